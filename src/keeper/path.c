/* SPDX-License-Identifier: ISC */
#include "keeper/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

enum { LINKS_MAX = 40 }; /* as the kernel */

struct walk {
	const char *path; /* as configured, for errors */
	char rest[2 * PATH_MAX];
	int at;
	struct stat here;
	unsigned links;
	enum { ENTER, MAKE, PRETEND } missing; /* folders: an error, made, or left at what is there */
};

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

bool path_is_guarded(const struct stat *dir)
{
	return is_ours(dir) && (!(dir->st_mode & (S_IWGRP | S_IWOTH)) || dir->st_mode & S_ISVTX);
}

/* Takes over fd, -1 included (errno says why). */
static bool step_to(struct walk *w, int fd, const char *name, struct err *err)
{
	if (fd < 0)
		return err_errno(err, "%s: cannot open \"%s\"", w->path, name);
	if (w->at >= 0)
		close(w->at);
	w->at = fd;
	return fstat(fd, &w->here) == 0 || err_errno(err, "%s: cannot stat \"%s\"", w->path, name);
}

static bool follow(struct walk *w, int link, const struct stat *st, const char *name, struct err *err)
{
	char target[PATH_MAX], rest[2 * PATH_MAX];
	ssize_t len = readlinkat(link, "", target, sizeof(target) - 1);

	if (len < 0)
		return err_errno(err, "%s: cannot read the symbolic link \"%s\"", w->path, name);
	target[len] = '\0';
	if (!is_ours(st) || !path_is_guarded(&w->here))
		return err_set(err, ERR_LOCAL, "path", "%s: \"%s\" is a symbolic link that others than root can change; name the folder it leads to",
			w->path, name);
	if (++w->links > LINKS_MAX || snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= (int)sizeof(rest))
		return err_set(err, ERR_LOCAL, "path", "%s: too many symbolic links", w->path);
	memcpy(w->rest, rest, sizeof(rest));
	return target[0] != '/' || step_to(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "/", err);
}

static bool make(struct walk *w, const char *name, struct err *err)
{
	int fd;

	/* In a sticky folder a stranger could make it before us. */
	if (!path_is_guarded(&w->here) || w->here.st_mode & S_IWOTH)
		return err_set(err, ERR_LOCAL, "path", "%s: there is no \"%s\" and it is not made where others than root can write; make it first",
			w->path, name);
	if (w->missing == PRETEND) {
		w->rest[0] = '\0';
		return true;
	}
	fd = file_open_dir(w->at, name, 0755, err);
	if (fd < 0)
		return false;
	/* As an ordinary user the folder stays ours: its parent is ours or root's. */
	if (w->here.st_uid != geteuid() && fchown(fd, w->here.st_uid, w->here.st_gid) != 0 && errno != EPERM) {
		err_errno(err, "%s: cannot give \"%s\" to the owner of the folder above", w->path, name);
		close(fd);
		return false;
	}
	return step_to(w, fd, name, err);
}

static bool enter(struct walk *w, const char *name, struct err *err)
{
	int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool ok;

	if (fd < 0 && errno == ENOENT && w->missing != ENTER)
		return make(w, name, err);
	if (fd < 0 || fstat(fd, &st) != 0 || S_ISDIR(st.st_mode))
		return step_to(w, fd, name, err);
	if (S_ISLNK(st.st_mode))
		ok = follow(w, fd, &st, name, err);
	else
		ok = err_set(err, ERR_LOCAL, "path", "%s: \"%s\" is not a folder", w->path, name);
	close(fd);
	return ok;
}

static int walk(const char *path, int missing, struct err *err)
{
	struct walk w = { .path = path, .at = -1, .missing = missing };
	char name[NAME_MAX + 1];
	bool ok;

	if (path[0] != '/' || strlen(path) >= PATH_MAX) {
		err_set(err, ERR_LOCAL, "path", "%s: not an absolute path, or too long", path);
		return -1;
	}
	memcpy(w.rest, path, strlen(path) + 1);
	ok = step_to(&w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "/", err);
	while (ok) {
		char *start = w.rest + strspn(w.rest, "/");
		size_t len = strcspn(start, "/");

		if (!len)
			return w.at;
		if (len > NAME_MAX) {
			ok = err_set(err, ERR_LOCAL, "path", "%s: a name in it is too long", path);
			break;
		}
		memcpy(name, start, len);
		name[len] = '\0';
		memmove(w.rest, start + len, strlen(start + len) + 1);
		ok = enter(&w, name, err);
	}
	if (w.at >= 0)
		close(w.at);
	return -1;
}

int path_open_dir(const char *path, bool make_missing, struct err *err)
{
	return walk(path, make_missing ? MAKE : ENTER, err);
}

bool path_check_open(int dirfd, const char *path, struct err *err)
{
	return faccessat(dirfd, ".", W_OK | X_OK, AT_EACCESS) == 0 || err_errno(err, "%s cannot be written to", path);
}

bool path_check_folder(const char *path, struct err *err)
{
	int fd = walk(path, PRETEND, err);
	bool ok = fd >= 0 && path_check_open(fd, path, err);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* "/etc/tls/site/" -> "/etc/tls/", "site" */
static bool split(const char *path, char parent[PATH_MAX], char name[NAME_MAX + 1])
{
	size_t len = strlen(path), start;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (start = len; start > 0 && path[start - 1] != '/'; start--)
		;
	if (path[0] != '/' || start == len || len - start > NAME_MAX || start > PATH_MAX - 1)
		return false;
	snprintf(name, NAME_MAX + 1, "%.*s", (int)(len - start), path + start);
	snprintf(parent, PATH_MAX, "%.*s", (int)start, path);
	return true;
}

int path_open_parent(const char *path, char name[NAME_MAX + 1], struct err *err)
{
	char parent[PATH_MAX];
	int fd, readable;

	if (!split(path, parent, name)) {
		err_set(err, ERR_LOCAL, "path", "%s: not the absolute path of a file or folder", path);
		return -1;
	}
	fd = path_open_dir(parent, true, err);
	if (fd < 0)
		return -1;
	readable = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (readable < 0)
		err_errno(err, "%s: cannot open the folder above", path);
	close(fd);
	return readable;
}

int path_open_below(int dirfd, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	/* RestrictSUIDSGID= of a unit hides openat2, whose flags a filter cannot see. For one plain name openat promises the same. */
	if (fd < 0 && errno == ENOSYS && !strchr(name, '/') && strcmp(name, "..") != 0)
		fd = openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	return fd;
}
