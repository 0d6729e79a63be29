/* SPDX-License-Identifier: ISC */
#include "keeper/webroot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/jose.h"
#include "keeper/path.h"

enum {
	ANSWER_MAX = 512,   /* token, dot, thumbprint: 300 at most */
	THUMBPRINT_LEN = 43 /* SHA-256 in base64url */
};

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	size_t n = 0;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	while (readdir(dir))
		n++;
	closedir(dir);
	return n <= 2; /* "." and ".." */
}

/* Owner as the folder's. As an ordinary user we may not, and need not: what we make is readable by all. */
static bool give(int fd, const struct stat *like)
{
	return like->st_uid == geteuid() || fchown(fd, like->st_uid, like->st_gid) == 0 || errno == EPERM;
}

/* The folder just made. Its owner's neighbour may have put another one in its place since: that one is used as it is and not given away. */
static bool adopt(int above, int fd)
{
	struct stat parent, st;

	if (fstat(above, &parent) != 0 || fstat(fd, &st) != 0)
		return false;
	return st.st_uid != geteuid() || !is_empty(fd) || (fchmod(fd, 0755) == 0 && give(fd, &parent));
}

/* The folder `name` below `above`, which is closed. -1 and errno. */
static int descend(int above, const char *name, bool make)
{
	int fd = path_open_below(above, name, O_RDONLY | O_DIRECTORY, 0);
	int saved;

	if (fd < 0 && errno == ENOENT && make && (mkdirat(above, name, 0700) == 0 || errno == EEXIST)) {
		fd = path_open_below(above, name, O_RDONLY | O_DIRECTORY, 0);
		if (fd >= 0 && !adopt(above, fd)) {
			saved = errno;
			close(fd);
			errno = saved;
			fd = -1;
		}
	}
	saved = errno;
	close(above);
	errno = saved;
	return fd;
}

static const char *const folders[] = { ".well-known", "acme-challenge" };
enum { FOLDERS = sizeof(folders) / sizeof(folders[0]) };

/* errno says why it was not opened. Returns false. */
static bool fail_folder(const char *root, const char *name, struct err *err)
{
	if (errno == ELOOP)
		return err_set(err, ERR_LOCAL, "webroot", "%s: \"%s\" in it is a symbolic link; make it a folder", root, name);
	return err_errno(err, "%s: cannot open \"%s\" in it", root, name);
}

/* -1 and *err, whose errnum is ENOENT when there is no such folder. */
static int open_folder(const char *root, bool make, struct err *err)
{
	int fd = path_open_dir(root, false, err);

	for (size_t i = 0; fd >= 0 && i < FOLDERS; i++) {
		fd = descend(fd, folders[i], make);
		if (fd < 0)
			fail_folder(root, folders[i], err);
	}
	return fd;
}

bool webroot_check(const char *root, struct err *err)
{
	int fd = path_open_dir(root, false, err);
	bool ok = fd >= 0;

	for (size_t i = 0; ok && i < FOLDERS; i++) {
		int below = path_open_below(fd, folders[i], O_PATH | O_DIRECTORY, 0);

		if (below < 0 && errno == ENOENT)
			break; /* it would be made */
		if (below < 0) {
			ok = fail_folder(root, folders[i], err);
		} else {
			close(fd);
			fd = below;
		}
	}
	ok = ok && path_check_open(fd, root, err);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* The name is free for a new file. A file with a second name is not touched: someone put it there for us to find. */
static bool clear_name(int dir, const char *root, const char *token, struct err *err)
{
	struct stat st;

	if (fstatat(dir, token, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || err_errno(err, "%s: cannot stat the challenge file", root);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(err, ERR_LOCAL, "webroot", "%s: something that is not a plain file stands where the challenge file goes", root);
	return unlinkat(dir, token, 0) == 0 || errno == ENOENT || err_errno(err, "%s: cannot replace the challenge file", root);
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* Not synced: after a power cut the proof begins anew. */
static bool put_file(int dir, const char *root, const char *token, const char *text, struct err *err)
{
	struct stat folder;
	bool ok;
	int fd;

	if (!clear_name(dir, root, token, err))
		return false;
	fd = path_open_below(dir, token, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return err_errno(err, "%s: cannot make the challenge file", root);
	ok = fstat(dir, &folder) == 0 && write_all(fd, text, strlen(text)) && fchmod(fd, 0644) == 0 && give(fd, &folder);
	if (!ok)
		err_errno(err, "%s: cannot write the challenge file", root);
	if (close(fd) != 0 && ok)
		ok = err_errno(err, "%s: cannot write the challenge file", root);
	if (!ok)
		unlinkat(dir, token, 0);
	return ok;
}

static bool check_token(const char *token, struct err *err)
{
	return text_is_token(token) || err_set(err, ERR_INPUT, "token", "not a token");
}

bool webroot_publish(const char *root, const char *token, const char *thumbprint, size_t *len, struct err *err)
{
	char *text;
	bool ok;
	int dir;

	if (!check_token(token, err))
		return false;
	dir = open_folder(root, true, err);
	if (dir < 0)
		return false;
	text = jose_key_authorization(token, thumbprint);
	*len = strlen(text);
	ok = put_file(dir, root, token, text, err);
	free(text);
	close(dir);
	return ok;
}

/* As we write it, or the beginning of that (a crash while writing). */
static bool is_ours(const struct buf *b, const char *token)
{
	size_t len = strlen(token), head = b->len < len ? b->len : len;

	return b->len <= len + 1 + THUMBPRINT_LEN && (!head || memcmp(b->data, token, head) == 0) && (b->len <= len || b->data[len] == '.');
}

static bool remove_file(int dir, const char *root, const char *token, struct err *err)
{
	struct buf content;
	struct stat st;
	bool ours;

	if (fstatat(dir, token, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || err_errno(err, "%s: cannot stat the challenge file", root);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_LOCAL, "webroot", "%s: what stands in place of the challenge file is not one, it is left there", root);
	buf_init(&content, ANSWER_MAX);
	ours = file_read(dir, token, ANSWER_MAX, &content, NULL, err) && is_ours(&content, token);
	buf_free(&content);
	if (!ours)
		return err_set(err, ERR_LOCAL, "webroot", "%s: the challenge file is not as we wrote it, it is left there", root);
	return unlinkat(dir, token, 0) == 0 || errno == ENOENT || err_errno(err, "%s: cannot remove the challenge file", root);
}

bool webroot_withdraw(const char *root, const char *token, struct err *err)
{
	struct err why = { 0 };
	bool ok;
	int dir;

	if (!check_token(token, err))
		return false;
	dir = open_folder(root, false, &why);
	if (dir < 0)
		return why.errnum == ENOENT || err_copy(err, &why);
	ok = remove_file(dir, root, token, err);
	close(dir);
	return ok;
}

