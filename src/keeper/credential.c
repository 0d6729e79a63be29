/* SPDX-License-Identifier: ISC */
#include "keeper/credential.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { CREDENTIAL_CAP = 64 * 1024 };

static bool read_from(const char *folder, const char *name, bool ours, struct buf *out, struct err *err)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err why;
	struct stat st;
	bool ok;

	if (dir < 0)
		return err_errno(err, "cannot open the folder of credentials %s", folder);
	ok = file_read(dir, name, CREDENTIAL_CAP, out, &st, &why);
	close(dir);
	if (!ok)
		return err_set(err, why.kind, why.type, "credential %s/%s: %s", folder, name, why.detail);
	if (ours && ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & 077))
		return err_set(err, ERR_LOCAL, "credential", "%s/%s must belong to root and be closed to others (chmod 600)", folder, name);
	return true;
}

bool credential_read(const char *folder, const char *name, struct buf *out, struct err *err)
{
	const char *manager = getenv("CREDENTIALS_DIRECTORY");

	if (!*name || name[0] == '.' || strchr(name, '/'))
		return err_set(err, ERR_INPUT, "credential", "\"%s\" is not the name of a credential", name);
	if (!manager || !read_from(manager, name, false, out, NULL)) {
		if (!read_from(folder, name, true, out, err)) {
			buf_wipe(out);
			return false;
		}
	}
	while (out->len && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
		out->data[--out->len] = '\0';
	return out->len || err_set(err, ERR_LOCAL, "credential", "the credential \"%s\" is empty", name);
}
