/* SPDX-License-Identifier: ISC */
#include "keeper/accepted_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/conf.h"
#include "crypto/digest.h"

/* "dovad-accepted 1 KIND LENGTH-OF-PATH LENGTH-OF-TEXT SHA-256\n", then path and text, over which the sum is. */
#define FORMAT "dovad-accepted 1 "

enum {
	HEAD_ROOM = 192,
	PATH_CAP = 65536,
	FILE_CAP = HEAD_ROOM + PATH_CAP + CONF_FILE_MAX,
	SYNC_EACH = 8,               /* more at once are synced together */
	TEMPORARY_ROOM = DIGEST_HEX + 1,
};

void accepted_file_free(struct accepted_file *f)
{
	free(f->path);
	free(f->text);
	*f = (struct accepted_file){ 0 };
}

/* --- loading --- */

static bool parse(const struct buf *b, struct accepted_file *f)
{
	char sum[DIGEST_HEX], found[DIGEST_HEX];
	size_t path_len, head;
	char *end;

	if (!b->len || strncmp(b->data, FORMAT, strlen(FORMAT)) != 0 ||
		sscanf(b->data + strlen(FORMAT), "%d %zu %zu %64[0-9a-f]", &f->kind, &path_len, &f->len, sum) != 4)
		return false;
	end = memchr(b->data, '\n', b->len);
	if (!end || f->kind < CONF_MAIN || f->kind > CONF_SNIPPET || path_len > PATH_CAP || f->len > CONF_FILE_MAX)
		return false;
	head = (size_t)(end + 1 - b->data);
	if (b->len - head != path_len + f->len || memchr(end + 1, '\0', b->len - head))
		return false;
	if (strcmp(digest_sha256_hex(end + 1, b->len - head, found), sum) != 0)
		return false;
	f->path = mem_strndup(end + 1, path_len);
	f->text = mem_strndup(end + 1 + path_len, f->len);
	return true;
}

static bool load_one(int dir, const char *name, struct accepted_file *f)
{
	struct err err = { 0 };
	struct buf b;
	bool ok;

	*f = (struct accepted_file){ 0 };
	buf_init(&b, FILE_CAP);
	ok = file_read(dir, name, FILE_CAP, &b, NULL, &err) && parse(&b, f);
	buf_free(&b);
	if (!ok && err.errnum) { /* out of descriptors, a bad sector: what is there may be good */
		log_error("a stored piece of configuration cannot be read", "file", name, "error", err.detail, NULL);
	} else if (!ok) {
		log_warning("a stored piece of configuration is unusable and is removed", "file", name, "error", err.kind ? err.detail : "not whole", NULL);
		unlinkat(dir, name, 0);
	}
	return ok;
}

bool accepted_disk_load(int dir, struct accepted_file **v, size_t *n, struct err *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct accepted_file f;
	struct dirent *d;
	size_t room = 0;
	bool ok;

	*v = NULL;
	*n = 0;
	if (!list) {
		err_errno(err, "cannot list the accepted configuration");
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (errno = 0, (d = readdir(list))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (d->d_name[0] == '.') {
			unlinkat(dir, d->d_name, 0); /* half-written before a crash */
			continue;
		}
		if (!load_one(dir, d->d_name, &f))
			continue;
		if (*n == room)
			*v = mem_resize(*v, room = room ? 2 * room : 64, sizeof(**v));
		(*v)[(*n)++] = f;
	}
	ok = errno == 0 || err_errno(err, "cannot list the accepted configuration"); /* what is not seen is not gone */
	closedir(list);
	while (!ok && *n > 0)
		accepted_file_free(&(*v)[--*n]);
	if (!ok)
		free(*v);
	return ok;
}

/* --- storing --- */

static void name_of(const char *path, char out[TEMPORARY_ROOM], bool temporary)
{
	char sum[DIGEST_HEX];

	snprintf(out, TEMPORARY_ROOM, "%s%s", temporary ? "." : "", digest_sha256_hex(path, strlen(path), sum));
}

static void format(const struct accepted_file *f, struct buf *b)
{
	char sum[DIGEST_HEX];
	struct buf body;
	bool ok;

	buf_init(&body, 0);
	ok = buf_puts(&body, f->path) && buf_add(&body, f->text, f->len);
	ok = ok && buf_printf(b, FORMAT "%d %zu %zu %s\n", f->kind, strlen(f->path), f->len, digest_sha256_hex(body.data ? body.data : "", body.len, sum));
	if (!ok || !buf_add(b, body.data, body.len))
		abort(); /* without a cap there is no failure */
	buf_free(&body);
}

/* A few are synced one by one; for thousands of files, as after the first start, one sync of the file system is quicker by far. */
static bool write_one(int dir, const struct accepted_file *f, bool sync, struct err *err)
{
	char name[TEMPORARY_ROOM];
	struct buf b;
	bool ok;
	int fd;

	name_of(f->path, name, true);
	unlinkat(dir, name, 0);
	buf_init(&b, 0);
	format(f, &b);
	if (sync) {
		ok = file_create(dir, name, b.data, b.len, 0600, err);
	} else {
		fd = file_create_unsynced(dir, name, b.data, b.len, 0600, err);
		ok = fd >= 0 && (close(fd) == 0 || err_errno(err, "cannot write %s", f->path));
	}
	buf_free(&b);
	return ok;
}

static bool rename_one(int dir, const struct accepted_file *f, struct err *err)
{
	char from[TEMPORARY_ROOM], to[TEMPORARY_ROOM];

	name_of(f->path, from, true);
	name_of(f->path, to, false);
	return renameat(dir, from, dir, to) == 0 || err_errno(err, "cannot store %s", f->path);
}

bool accepted_disk_store(int dir, const struct accepted_file *const *v, size_t n, struct err *err)
{
	char name[TEMPORARY_ROOM];
	bool ok = true;

	if (!n)
		return true;
	for (size_t i = 0; ok && i < n; i++)
		ok = write_one(dir, v[i], n <= SYNC_EACH, err);
	if (ok && n > SYNC_EACH)
		ok = syncfs(dir) == 0 || err_errno(err, "cannot write the accepted configuration to the disk");
	for (size_t i = 0; ok && i < n; i++)
		ok = rename_one(dir, v[i], err);
	for (size_t i = 0; !ok && i < n; i++) {
		name_of(v[i]->path, name, true);
		unlinkat(dir, name, 0);
	}
	return ok && file_sync_dir(dir, err);
}

void accepted_disk_remove(int dir, const char *path)
{
	char name[TEMPORARY_ROOM];

	name_of(path, name, false);
	unlinkat(dir, name, 0);
}
