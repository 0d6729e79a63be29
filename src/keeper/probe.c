/* SPDX-License-Identifier: ISC */
#include "keeper/probe.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keeper/path.h"
#include "keeper/webroot.h"

/* "/etc/tls/site/" -> "/etc/tls" */
static bool folder_above(const char *path, char out[PATH_MAX])
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 1 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	return path[0] == '/' && len < PATH_MAX && snprintf(out, PATH_MAX, "%.*s", (int)len, path) > 0;
}

/* ReadWritePaths= opens nothing below what ProtectHome=yes hides. */
static bool is_home(const char *path)
{
	static const char *const homes[] = { "/home", "/root", "/run/user" };

	for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++)
		if (strncmp(path, homes[i], strlen(homes[i])) == 0 && strchr("/", path[strlen(homes[i])]))
			return true;
	return false;
}

static bool tell_drop_in(const char *folder, const char *unit, struct err *err)
{
	bool there = access(folder, F_OK) == 0;

	err_set(err, ERR_LOCAL, "path", "%s may not write to %s: %ssystemctl edit %s, and add [Service] %sReadWritePaths=%s, then systemctl restart %s", unit,
		folder, there ? "" : "make that folder, then ", unit, is_home(folder) ? "ProtectHome=read-only and " : "", folder, unit);
	err->errnum = EROFS;
	return false;
}

bool probe_path(enum probe_kind kind, const char *path, const char *unit, struct err *err)
{
	char above[PATH_MAX];
	bool ok;

	if (kind == PROBE_TARGET && !folder_above(path, above))
		return err_set(err, ERR_LOCAL, "path", "%s: not an absolute path, or too long", path);
	ok = kind == PROBE_WEBROOT ? webroot_check(path, err) : path_check_folder(above, err);
	return ok || err->errnum != EROFS || !unit ? ok : tell_drop_in(kind == PROBE_WEBROOT ? path : above, unit, err);
}

static void add(struct js *list, enum probe_kind kind, const char *path, const char *unit)
{
	struct js *one = js_object();
	struct err err;

	js_put_str(one, "what", kind == PROBE_WEBROOT ? "webroot" : "target");
	js_put_str(one, "name", path);
	if (!probe_path(kind, path, unit, &err))
		js_put_str(one, "problem", err.detail);
	js_add(list, one);
}

void probe_list(struct js *list, enum probe_kind kind, const struct js *paths, const char *unit)
{
	for (size_t i = 0; i < js_len(paths); i++)
		if (js_str_at(paths, i))
			add(list, kind, js_str_at(paths, i), unit);
}

struct js *probe_cert(const struct conf_cert *cert, const char *unit)
{
	const char *paths[CONF_TARGET_PATHS];
	struct js *list = js_array();

	for (size_t i = 0; i < cert->install.n; i++)
		for (size_t k = 0, n = conf_target_paths(&cert->install.v[i], paths); k < n; k++)
			add(list, PROBE_TARGET, paths[k], unit);
	for (size_t i = 0; i < cert->prove.n; i++)
		if (cert->prove.v[i].http && cert->prove.v[i].http->type == CONF_HTTP_WEBROOT)
			add(list, PROBE_WEBROOT, cert->prove.v[i].http->path, unit);
	return list;
}
