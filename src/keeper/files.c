/* SPDX-License-Identifier: ISC */
#include "keeper/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "keeper/path.h"

/* --- opening --- */

static bool open_one(struct files_one *one, const char *path, struct err *err)
{
	char name[NAME_MAX + 1] = "";

	one->dir = path_open_parent(path, name, err);
	if (one->dir < 0)
		return false;
	memcpy(one->name, name, sizeof(name));
	if (snprintf(one->fresh, sizeof(one->fresh), ".%s.dovad-new", name) >= (int)sizeof(one->fresh) ||
		snprintf(one->old, sizeof(one->old), ".%s.dovad-old", name) >= (int)sizeof(one->old))
		return err_set(err, ERR_LOCAL, "path", "%s: the name is too long for another one beside it", path);
	return true;
}

bool files_open(struct files *f, const struct conf_target *target, struct err *err)
{
	const char *paths[CONF_TARGET_PATHS];
	bool ok;

	(void)conf_target_paths(target, paths);
	*f = (struct files){ .target = target };
	for (int i = 0; i < CONF_PARTS; i++)
		f->one[i].dir = -1;
	ok = owned_find(&f->owner, paths[0], target, err);
	for (int i = 0; ok && i < CONF_PARTS; i++)
		ok = !target->file[i] || open_one(&f->one[i], target->file[i], err);
	if (!ok)
		files_close(f);
	return ok;
}

void files_close(struct files *f)
{
	for (int i = 0; i < CONF_PARTS; i++) {
		if (f->one[i].dir >= 0)
			close(f->one[i].dir);
		f->one[i].dir = -1;
	}
}

/* --- reading --- */

static bool holds(const struct files *f, enum conf_part part, const struct buf *wanted)
{
	const struct files_one *one = &f->one[part];
	struct buf there;
	struct stat st;
	bool same;

	buf_init(&there, BUNDLE_FILE_MAX);
	same = file_read(one->dir, one->name, BUNDLE_FILE_MAX, &there, &st, NULL) && owned_fits(&f->owner, &st) && there.len == wanted->len &&
		(!there.len || memcmp(there.data, wanted->data, there.len) == 0);
	buf_wipe(&there);
	return same;
}

bool files_hold(const struct files *f, const struct bundle *b)
{
	bool same = true;

	for (int i = 0; same && i < CONF_PARTS; i++)
		same = f->one[i].dir < 0 || holds(f, i, &b->file[i]);
	return same;
}

/* --- writing --- */

static void remove_leftover(const struct files_one *one, const char *name, const char *path)
{
	if (unlinkat(one->dir, name, 0) != 0 && errno != ENOENT)
		log_warning("a leftover cannot be removed", "place", path, "name", name, "error", strerror(errno), NULL);
}

void files_clean(struct files *f)
{
	for (int i = 0; i < CONF_PARTS; i++)
		if (f->one[i].dir >= 0) {
			remove_leftover(&f->one[i], f->one[i].fresh, f->target->file[i]);
			remove_leftover(&f->one[i], f->one[i].old, f->target->file[i]);
			f->one[i].written = f->one[i].kept = false;
		}
}

/* May what stands there be replaced? A link may be somebody else's: that is how a running service is moved over to dovad. */
static bool check_names(const struct files *f, struct err *err)
{
	struct stat st;

	for (int i = 0; i < CONF_PARTS; i++) {
		if (f->one[i].dir < 0)
			continue;
		if (fstatat(f->one[i].dir, f->one[i].name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			if (errno != ENOENT)
				return err_errno(err, "%s: cannot stat it", f->target->file[i]);
		} else if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
			return err_set(err, ERR_LOCAL, "occupied", "%s is there already and is not a file: move it away", f->target->file[i]);
		}
	}
	return true;
}

static bool write_one(struct files *f, enum conf_part part, const struct buf *b, struct sync *s, struct err *err)
{
	struct owned owner = f->owner;
	struct files_one *one = &f->one[part];
	int fd;

	owner.place = f->target->file[part];
	fd = owned_create(&owner, one->dir, one->fresh, b, err);
	one->written = true; /* a part of it, perhaps */
	if (fd >= 0)
		sync_add(s, fd);
	return fd >= 0;
}

bool files_write(struct files *f, const struct bundle *b, struct sync *s, struct err *err)
{
	bool ok = check_names(f, err);

	files_clean(f);
	if (ok && files_hold(f, b))
		return true;
	for (int i = 0; ok && i < CONF_PARTS; i++)
		ok = f->one[i].dir < 0 || write_one(f, i, &b->file[i], s, err);
	if (!ok)
		files_undo(f);
	return ok;
}

void files_undo(struct files *f)
{
	for (int i = 0; i < CONF_PARTS; i++) {
		if (f->one[i].written)
			remove_leftover(&f->one[i], f->one[i].fresh, f->target->file[i]);
		f->one[i].written = false;
	}
}

/* --- switching --- */

static void tell_takeover(const struct files *f, enum conf_part part)
{
	char was[PATH_MAX];
	ssize_t len = readlinkat(f->one[part].dir, f->one[part].name, was, sizeof(was) - 1);

	if (len < 0)
		return;
	was[len] = '\0';
	log_notice("a symbolic link that dovad did not make is replaced", "target", f->target->file[part], "was", was, NULL);
}

/* A second name for what stands there, by which a rename can be taken back. */
static bool keep_old(struct files *f, struct err *err)
{
	for (int i = 0; i < CONF_PARTS; i++) {
		struct files_one *one = &f->one[i];

		if (!one->written)
			continue;
		tell_takeover(f, i);
		one->kept = linkat(one->dir, one->name, one->dir, one->old, 0) == 0;
		if (!one->kept && errno != ENOENT)
			return err_errno(err, "%s: cannot keep what stands there until the others are in place", f->target->file[i]);
	}
	return true;
}

static void drop_old(struct files *f)
{
	for (int i = 0; i < CONF_PARTS; i++) {
		if (f->one[i].kept)
			remove_leftover(&f->one[i], f->one[i].old, f->target->file[i]);
		f->one[i].kept = false;
	}
}

/* Those before `end` stand there as they did. */
static void take_back(struct files *f, int end)
{
	for (int i = 0; i < end; i++) {
		struct files_one *one = &f->one[i];

		if (!one->written)
			continue;
		if (one->kept ? renameat(one->dir, one->old, one->dir, one->name) != 0 : unlinkat(one->dir, one->name, 0) != 0)
			log_error("a file could not be taken back", "file", f->target->file[i], "error", strerror(errno), NULL);
		one->written = one->kept = false;
	}
}

/* Nothing lies between the renames. */
static bool rename_all(struct files *f, struct err *err)
{
	int i = 0, errnum;

	while (i < CONF_PARTS && (!f->one[i].written || renameat(f->one[i].dir, f->one[i].fresh, f->one[i].dir, f->one[i].name) == 0))
		i++;
	if (i == CONF_PARTS)
		return true;
	errnum = errno;
	take_back(f, i);
	errno = errnum;
	return err_errno(err, "%s: cannot switch to the new file", f->target->file[i]);
}

bool files_point(struct files *f, struct sync *s, struct err *err)
{
	bool ok = check_names(f, err) && keep_old(f, err) && rename_all(f, err);

	drop_old(f);
	/* Also when nothing was written: whoever renamed may have been killed before he did this. */
	for (int i = 0; i < CONF_PARTS; i++) {
		if (f->one[i].dir < 0)
			continue;
		if (ok)
			f->one[i].written = false;
		sync_add_copy(s, f->one[i].dir);
	}
	return ok;
}

bool files_put(struct files *f, const struct bundle *b, struct err *err)
{
	struct sync s = { 0 };
	bool ok = files_write(f, b, &s, err) && sync_now(&s, err) && files_point(f, &s, err) && sync_now(&s, err);

	sync_drop(&s);
	if (!ok)
		files_undo(f);
	return ok;
}
