/* SPDX-License-Identifier: ISC */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	CHUNK = 16384,
	TRIES = 32,      /* for a temporary name that is free */
	TREE_DEPTH = 32, /* deeper than anything of ours */
};

/* Close without losing the errno of what went wrong before. */
static void drop_fd(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

/* --- reading --- */

static bool check_readable(const struct stat *st, const char *name, size_t cap, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_LOCAL, "file", "%s is not a regular file", name);
	if ((uintmax_t)st->st_size > cap)
		return err_set(err, ERR_LOCAL, "file", "%s is larger than %zu bytes", name, cap);
	return true;
}

static bool read_all(int fd, const char *name, size_t cap, struct buf *out, struct err *err)
{
	char chunk[CHUNK];
	ssize_t n;
	bool ok = false;

	for (;;) {
		n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_errno(err, "cannot read %s", name);
			break;
		}
		if ((size_t)n > cap - out->len || !buf_add(out, chunk, (size_t)n)) {
			err_set(err, ERR_LOCAL, "file", "%s is larger than %zu bytes", name, cap);
			break;
		}
		if (n == 0) {
			ok = true;
			break;
		}
	}
	explicit_bzero(chunk, sizeof chunk); /* it may be a key */
	return ok;
}

bool file_read(int dirfd, const char *name, size_t cap, struct buf *out, struct stat *st, struct err *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat own;
	bool ok;

	buf_reset(out);
	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_LOCAL, "file", "%s is a symbolic link", name);
	if (fd < 0 && errno == ENXIO) /* a socket, or a device without a driver */
		return err_set(err, ERR_LOCAL, "file", "%s is not a regular file", name);
	if (fd < 0)
		return err_errno(err, "cannot open %s", name);
	if (!st)
		st = &own;
	if (fstat(fd, st) != 0)
		ok = err_errno(err, "cannot stat %s", name);
	else
		ok = check_readable(st, name, cap, err) && read_all(fd, name, cap, out, err);
	close(fd);
	if (!ok)
		buf_reset(out);
	return ok;
}

/* --- writing --- */

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int open_new(int dirfd, const char *name)
{
	return openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Fill a file just made: fd, or -1 and it is closed. The mode comes before the first byte, the umask has no say. */
static int fill_new(int fd, const void *data, size_t len, mode_t mode)
{
	if (fchmod(fd, mode) == 0 && write_all(fd, data, len))
		return fd;
	drop_fd(fd);
	return -1;
}

/* A failed fsync is final: the kernel may have dropped the pages, and a second one would report success. */
static bool sync_and_close(int fd)
{
	if (fsync(fd) == 0)
		return close(fd) == 0;
	drop_fd(fd);
	return false;
}

static void unlink_quietly(int dirfd, const char *name)
{
	int saved = errno;

	unlinkat(dirfd, name, 0);
	errno = saved;
}

int file_create_unsynced(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
{
	int fd = open_new(dirfd, name);

	if (fd < 0) {
		err_errno(err, "cannot create %s", name);
		return -1;
	}
	fd = fill_new(fd, data, len, mode);
	if (fd < 0) {
		unlink_quietly(dirfd, name);
		err_errno(err, "cannot write %s", name);
	}
	return fd;
}

bool file_create(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
{
	int fd = file_create_unsynced(dirfd, name, data, len, mode, err);

	if (fd < 0)
		return false;
	if (sync_and_close(fd))
		return true;
	unlink_quietly(dirfd, name);
	return err_errno(err, "cannot write %s", name);
}

/* ".name.XXXXXX": hidden, so that no reader of the directory takes it for a file of its own. */
static int open_temporary(int dirfd, const char *name, char temporary[NAME_MAX + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	unsigned char random[6];
	char suffix[sizeof random + 1] = "";

	for (int i = 0; i < TRIES; i++) {
		int fd;

		if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
			return -1;
		for (size_t j = 0; j < sizeof random; j++)
			suffix[j] = letters[random[j] % 32];
		if (snprintf(temporary, NAME_MAX + 1, ".%s.%s", name, suffix) > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		fd = open_new(dirfd, temporary);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

bool file_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
{
	char temporary[NAME_MAX + 1];
	int fd;

	if (name[0] == '\0' || strchr(name, '/'))
		return err_set(err, ERR_BUG, "file", "\"%s\" is not the name of a file", name);
	fd = open_temporary(dirfd, name, temporary);
	if (fd < 0)
		return err_errno(err, "cannot create a temporary file for %s", name);
	fd = fill_new(fd, data, len, mode);
	if (fd < 0 || !sync_and_close(fd)) {
		unlink_quietly(dirfd, temporary);
		return err_errno(err, "cannot write %s", name);
	}
	if (renameat(dirfd, temporary, dirfd, name) != 0) {
		err_errno(err, "cannot replace %s", name);
		unlinkat(dirfd, temporary, 0);
		return false;
	}
	return file_sync_dir(dirfd, err);
}

bool file_sync_dir(int dirfd, struct err *err)
{
	bool ok;
	int fd;

	if (dirfd != AT_FDCWD)
		return fsync(dirfd) == 0 || err_errno(err, "cannot sync a directory");
	fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "cannot open the working directory");
	ok = file_sync_dir(fd, err);
	close(fd);
	return ok;
}

/* --- directories --- */

int file_open_dir(int dirfd, const char *name, mode_t mode, struct err *err)
{
	bool made = mkdirat(dirfd, name, mode & 0700) == 0;
	int fd;

	if (!made && errno != EEXIST) {
		err_errno(err, "cannot make directory %s", name);
		return -1;
	}
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err_errno(err, "cannot open directory %s", name);
		return -1;
	}
	if (made && fchmod(fd, mode) != 0) {
		err_errno(err, "cannot set the mode of directory %s", name);
		close(fd);
		unlinkat(dirfd, name, AT_REMOVEDIR);
		return -1;
	}
	return fd;
}

/* A parent may be reached through a symlink (/var/run) and need not be readable, only searchable. */
static int open_parent(int dirfd, const char *name, struct err *err)
{
	int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 || errno == ENOENT)
		return fd >= 0 ? fd : file_open_dir(dirfd, name, 0755, err);
	err_errno(err, "cannot open directory %s", name);
	return -1;
}

/* Step from `at`, which is closed, to the first component of *path, which moves on to the next. -1 on error. */
static int step_into(int at, const char **path, mode_t mode, struct err *err)
{
	size_t len = strcspn(*path, "/");
	char name[NAME_MAX + 1];
	int next = -1;

	if (len <= NAME_MAX) {
		memcpy(name, *path, len);
		name[len] = '\0';
		*path += len + strspn(*path + len, "/");
		next = **path ? open_parent(at, name, err) : file_open_dir(at, name, mode, err);
	} else {
		errno = ENAMETOOLONG;
		err_errno(err, "cannot make directory %s", *path);
	}
	close(at);
	return next;
}

int file_make_dirs(const char *path, mode_t mode, struct err *err)
{
	int at = open(path[0] == '/' ? "/" : path[0] ? "." : "", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		err_errno(err, "cannot open the directory that %s starts from", path);
	path += strspn(path, "/");
	while (at >= 0 && *path)
		at = step_into(at, &path, mode, err);
	return at;
}

/* --- removing --- */

static int open_tree(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool remove_contents(int fd, dev_t dev, int depth, struct err *err);

static bool remove_entry(int dirfd, const char *name, dev_t dev, int depth, struct err *err)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR)
		return err_errno(err, "cannot remove %s", name);
	fd = open_tree(dirfd, name);
	if (fd < 0)
		return err_errno(err, "cannot open directory %s", name);
	if (!remove_contents(fd, dev, depth + 1, err))
		return false;
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || err_errno(err, "cannot remove directory %s", name);
}

/* Takes over fd. */
static bool remove_contents(int fd, dev_t dev, int depth, struct err *err)
{
	struct dirent *entry;
	struct stat st;
	bool ok = true;
	DIR *dir;

	if (fstat(fd, &st) != 0 || st.st_dev != dev || depth > TREE_DEPTH) {
		close(fd);
		return err_set(err, ERR_LOCAL, "file", "a directory to be removed is %s",
			       depth > TREE_DEPTH ? "nested too deep" : "on another file system");
	}
	dir = fdopendir(fd);
	if (!dir) {
		err_errno(err, "cannot read a directory");
		close(fd);
		return false;
	}
	while (ok && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			ok = remove_entry(fd, entry->d_name, dev, depth, err);
	if (ok && errno)
		ok = err_errno(err, "cannot read a directory");
	closedir(dir);
	return ok;
}

bool file_remove_tree(int dirfd, const char *name, struct err *err)
{
	int fd = open_tree(dirfd, name);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || err_errno(err, "cannot open directory %s", name);
	if (fstat(fd, &st) != 0) {
		err_errno(err, "cannot stat %s", name);
		close(fd);
		return false;
	}
	if (!remove_contents(fd, st.st_dev, 0, err))
		return false;
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ||
	       err_errno(err, "cannot remove directory %s", name);
}
