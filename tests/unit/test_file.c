/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

/* In front of libc's: counts, and fails from the given call on. */
static int fsync_calls, fsync_fails_from;

int fsync(int fd)
{
	fsync_calls++;
	if (fsync_fails_from && fsync_calls >= fsync_fails_from) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

struct place {
	char path[64];
	int fd;
	mode_t umask;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	strcpy(p->path, "/tmp/dovad-test-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	p->umask = umask(022);
	fsync_calls = fsync_fails_from = 0;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct err err;

	umask(p->umask);
	fsync_fails_from = 0;
	assert_true(file_remove_tree(AT_FDCWD, p->path, &err));
	close(p->fd);
	free(p);
	return 0;
}

static void put(int dirfd, const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void assert_text(int dirfd, const char *name, const char *text)
{
	struct err err;
	struct buf b;

	buf_init(&b, 0);
	if (!file_read(dirfd, name, 1 << 20, &b, NULL, &err))
		fail_msg("%s", err.detail);
	assert_string_equal(b.data, text);
	buf_free(&b);
}

static mode_t mode_of(int dirfd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static bool is_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int entries(const struct place *p)
{
	DIR *dir = opendir(p->path);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void test_read(void **state)
{
	struct place *p = *state;
	struct stat st;
	struct err err;
	struct buf b;

	buf_init(&b, 0);
	put(p->fd, "f", "0123456789");
	assert_true(buf_puts(&b, "what was there before"));
	assert_true(file_read(p->fd, "f", 10, &b, &st, &err));
	assert_string_equal(b.data, "0123456789");
	assert_int_equal(st.st_size, 10);
	put(p->fd, "empty", "");
	assert_true(file_read(p->fd, "empty", 0, &b, NULL, &err));
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static void assert_refused(int dirfd, const char *name, size_t cap, struct buf *b, const char *why)
{
	struct err err;

	assert_false(file_read(dirfd, name, cap, b, NULL, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	if (!strstr(err.detail, why))
		fail_msg("\"%s\" does not say \"%s\"", err.detail, why);
	assert_int_equal(b->len, 0);
}

static void test_read_refuses(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct place *p = *state;
	struct buf b;
	int s;

	buf_init(&b, 0);
	put(p->fd, "f", "0123456789");
	assert_refused(p->fd, "f", 9, &b, "f is larger than 9 bytes");
	assert_refused(p->fd, "none", 9, &b, "cannot open none: No such file");
	assert_int_equal(symlinkat("f", p->fd, "link"), 0);
	assert_refused(p->fd, "link", 99, &b, "link is a symbolic link");
	assert_int_equal(mkfifoat(p->fd, "fifo", 0600), 0);
	assert_refused(p->fd, "fifo", 99, &b, "fifo is not a regular file");
	assert_int_equal(mkdirat(p->fd, "dir", 0700), 0);
	assert_refused(p->fd, "dir", 99, &b, "dir is not a regular file");
	assert_refused(AT_FDCWD, "/dev/zero", 99, &b, "is not a regular file");
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof un.sun_path, "%s/sock", p->path);
	assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof un), 0);
	assert_refused(p->fd, "sock", 99, &b, "sock is not a regular file");
	close(s);
	buf_free(&b);
	buf_init(&b, 5);
	assert_refused(p->fd, "f", 99, &b, "is larger than");
	buf_free(&b);
}

/* Its fstat says 0 bytes, and there are more: as when it grows between fstat and read. */
static void test_read_stops_at_cap_when_it_grew(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_refused(AT_FDCWD, "/proc/self/status", 10, &b, "is larger than 10 bytes");
	buf_free(&b);
}

static void test_read_one_gigabyte_is_refused_unread(void **state)
{
	struct place *p = *state;
	struct buf b;

	buf_init(&b, 0);
	put(p->fd, "big", "");
	assert_int_equal(fchmodat(p->fd, "big", 0600, 0), 0);
	{
		int fd = openat(p->fd, "big", O_WRONLY | O_CLOEXEC);

		assert_int_equal(ftruncate(fd, 1 << 30), 0);
		close(fd);
	}
	assert_refused(p->fd, "big", 1 << 20, &b, "big is larger than 1048576 bytes");
	assert_null(b.data);
}

static void test_write_atomic_mode_is_exact(void **state)
{
	static const mode_t modes[] = { 0600, 0640, 0644, 0400, 0666, 0 };
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	struct place *p = *state;
	struct err err;

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		umask(masks[i]);
		for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++) {
			assert_true(file_write_atomic(p->fd, "f", "x", 1, modes[j], &err));
			assert_int_equal(mode_of(p->fd, "f"), modes[j]);
		}
	}
	umask(022);
	assert_int_equal(entries(p), 1);
}

static void test_write_atomic_replaces(void **state)
{
	struct place *p = *state;
	struct stat before, after;
	struct err err;

	put(p->fd, "outside", "untouched");
	assert_true(file_write_atomic(p->fd, "f", "old", 3, 0600, &err));
	assert_int_equal(fsync_calls, 2);
	assert_int_equal(fstatat(p->fd, "f", &before, 0), 0);
	assert_true(file_write_atomic(p->fd, "f", "", 0, 0600, &err));
	assert_int_equal(fstatat(p->fd, "f", &after, 0), 0);
	assert_true(before.st_ino != after.st_ino);
	assert_text(p->fd, "f", "");
	/* a symlink in its place is replaced, not followed */
	assert_int_equal(symlinkat("outside", p->fd, "link"), 0);
	assert_true(file_write_atomic(p->fd, "link", "new", 3, 0600, &err));
	assert_text(p->fd, "link", "new");
	assert_text(p->fd, "outside", "untouched");
	assert_int_equal(entries(p), 3);
}

static void test_write_atomic_refuses_names(void **state)
{
	struct place *p = *state;
	char name[251];
	struct err err;

	assert_false(file_write_atomic(p->fd, "a/b", "x", 1, 0600, &err));
	assert_int_equal(err.kind, ERR_BUG);
	assert_false(file_write_atomic(p->fd, "", "x", 1, 0600, &err));
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_false(file_write_atomic(p->fd, name, "x", 1, 0600, &err));
	assert_int_equal(err.errnum, ENAMETOOLONG);
	assert_false(file_write_atomic(p->fd, "..", "x", 1, 0600, &err));
	assert_int_equal(entries(p), 0);
}

static void test_write_atomic_failed_rename_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct err err;

	assert_int_equal(mkdirat(p->fd, "d", 0700), 0);
	assert_false(file_write_atomic(p->fd, "d", "x", 1, 0600, &err));
	assert_int_equal(err.errnum, EISDIR);
	assert_int_equal(entries(p), 1);
}

static void test_failed_write_keeps_the_old(void **state)
{
	struct rlimit before, small;
	struct place *p = *state;
	char data[4096] = "";
	struct err err;
	struct err err2;
	bool ok, created;

	assert_true(file_write_atomic(p->fd, "f", "old", 3, 0600, &err));
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 1000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	ok = file_write_atomic(p->fd, "f", data, sizeof data, 0600, &err);
	created = file_create(p->fd, "g", data, sizeof data, 0600, &err2);
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_DFL);
	assert_false(ok);
	assert_int_equal(err.errnum, EFBIG);
	assert_false(created);
	assert_int_equal(err2.errnum, EFBIG);
	assert_text(p->fd, "f", "old");
	assert_int_equal(entries(p), 1);
}

static void test_failed_fsync_is_final(void **state)
{
	struct place *p = *state;
	struct err err;

	assert_true(file_write_atomic(p->fd, "f", "old", 3, 0600, &err));
	fsync_calls = 0;
	fsync_fails_from = 1;
	assert_false(file_write_atomic(p->fd, "f", "new", 3, 0600, &err));
	assert_int_equal(err.errnum, EIO);
	assert_int_equal(fsync_calls, 1);
	assert_false(file_create(p->fd, "g", "new", 3, 0600, &err));
	assert_int_equal(fsync_calls, 2);
	fsync_fails_from = 0;
	assert_text(p->fd, "f", "old");
	assert_int_equal(entries(p), 1);
}

static void test_failed_fsync_of_directory_is_told(void **state)
{
	struct place *p = *state;
	struct err err;

	fsync_fails_from = 2;
	assert_false(file_write_atomic(p->fd, "f", "new", 3, 0600, &err));
	assert_int_equal(err.errnum, EIO);
	assert_int_equal(fsync_calls, 2);
	assert_int_equal(entries(p), 1);
}

static void test_create(void **state)
{
	struct place *p = *state;
	struct err err;

	umask(077);
	assert_true(file_create(p->fd, "f", "one", 3, 0644, &err));
	assert_int_equal(mode_of(p->fd, "f"), 0644);
	assert_false(file_create(p->fd, "f", "two", 3, 0644, &err));
	assert_int_equal(err.errnum, EEXIST);
	assert_text(p->fd, "f", "one");
	assert_int_equal(symlinkat("elsewhere", p->fd, "dangling"), 0);
	assert_false(file_create(p->fd, "dangling", "two", 3, 0644, &err));
	assert_false(is_there(p->fd, "elsewhere"));
	assert_true(is_there(p->fd, "dangling"));
}

static void test_sync_dir(void **state)
{
	struct place *p = *state;
	struct err err;

	assert_true(file_sync_dir(p->fd, &err));
	assert_true(file_sync_dir(AT_FDCWD, &err));
	assert_false(file_sync_dir(-1, &err));
	assert_int_equal(err.errnum, EBADF);
}

static void test_open_dir(void **state)
{
	struct place *p = *state;
	struct err err;
	int fd;

	umask(077);
	fd = file_open_dir(p->fd, "d", 0755, &err);
	assert_true(fd >= 0);
	put(fd, "inside", "x");
	close(fd);
	assert_int_equal(mode_of(p->fd, "d"), 0755);
	fd = file_open_dir(p->fd, "d", 0700, &err); /* one that is there keeps its mode */
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mode_of(p->fd, "d"), 0755);
	assert_int_equal(symlinkat("d", p->fd, "link"), 0);
	assert_int_equal(file_open_dir(p->fd, "link", 0755, &err), -1);
	put(p->fd, "f", "x");
	assert_int_equal(file_open_dir(p->fd, "f", 0755, &err), -1);
	assert_int_equal(err.errnum, ENOTDIR);
	assert_int_equal(file_open_dir(p->fd, "none/d", 0755, &err), -1);
	assert_int_equal(err.errnum, ENOENT);
}

static void test_make_dirs(void **state)
{
	struct place *p = *state;
	char path[128];
	struct err err;
	int fd;

	umask(077);
	snprintf(path, sizeof path, "%s//a/b///c/", p->path);
	fd = file_make_dirs(path, 0700, &err);
	assert_true(fd >= 0);
	put(fd, "f", "inside");
	assert_true(file_sync_dir(fd, &err));
	close(fd);
	assert_int_equal(mode_of(p->fd, "a"), 0755);
	assert_int_equal(mode_of(p->fd, "a/b"), 0755);
	assert_int_equal(mode_of(p->fd, "a/b/c"), 0700);
	assert_text(p->fd, "a/b/c/f", "inside");
	fd = file_make_dirs(path, 0755, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mode_of(p->fd, "a/b/c"), 0700);
	fd = file_make_dirs("/", 0755, &err);
	assert_true(fd >= 0);
	close(fd);
}

static void test_make_dirs_relative(void **state)
{
	struct place *p = *state;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err;
	int fd;

	assert_int_equal(fchdir(p->fd), 0);
	fd = file_make_dirs("x/y", 0750, &err);
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mode_of(p->fd, "x/y"), 0750);
}

static void test_make_dirs_refuses(void **state)
{
	struct place *p = *state;
	char path[1024], longest[400];
	struct err err;
	int fd;

	assert_int_equal(mkdirat(p->fd, "d", 0700), 0);
	assert_int_equal(symlinkat("d", p->fd, "link"), 0);
	put(p->fd, "f", "x");
	snprintf(path, sizeof path, "%s/link", p->path);
	assert_int_equal(file_make_dirs(path, 0700, &err), -1);
	snprintf(path, sizeof path, "%s/link/below", p->path); /* a parent may be one, as /var/run is */
	fd = file_make_dirs(path, 0700, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_true(is_there(p->fd, "d/below"));
	snprintf(path, sizeof path, "%s/f/below", p->path);
	assert_int_equal(file_make_dirs(path, 0700, &err), -1);
	assert_int_equal(err.errnum, ENOTDIR);
	memset(longest, 'l', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	snprintf(path, sizeof path, "%s/%s", p->path, longest);
	assert_int_equal(file_make_dirs(path, 0700, &err), -1);
	assert_int_equal(err.errnum, ENAMETOOLONG);
	assert_int_equal(file_make_dirs("", 0700, &err), -1);
	assert_int_equal(err.errnum, ENOENT);
}

static void test_remove_tree(void **state)
{
	struct place *p = *state;
	struct err err;

	put(p->fd, "outside", "kept");
	assert_int_equal(mkdirat(p->fd, "kept", 0700), 0);
	put(p->fd, "kept/f", "kept");
	assert_int_equal(mkdirat(p->fd, "t", 0700), 0);
	assert_int_equal(mkdirat(p->fd, "t/d", 0700), 0);
	assert_int_equal(mkdirat(p->fd, "t/d/e", 0700), 0);
	put(p->fd, "t/d/e/.hidden", "x");
	put(p->fd, "t/f", "x");
	assert_int_equal(mkfifoat(p->fd, "t/d/fifo", 0600), 0);
	assert_int_equal(symlinkat("../outside", p->fd, "t/link"), 0);
	assert_int_equal(symlinkat("../../kept", p->fd, "t/d/dirlink"), 0);
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof name, "t/d/%d", i);
		put(p->fd, name, "");
	}
	assert_true(file_remove_tree(p->fd, "t", &err));
	assert_false(is_there(p->fd, "t"));
	assert_text(p->fd, "outside", "kept");
	assert_text(p->fd, "kept/f", "kept");
	assert_true(file_remove_tree(p->fd, "t", &err));
}

static void test_remove_tree_refuses(void **state)
{
	struct place *p = *state;
	struct err err;

	assert_int_equal(mkdirat(p->fd, "kept", 0700), 0);
	put(p->fd, "kept/f", "kept");
	assert_int_equal(symlinkat("kept", p->fd, "link"), 0);
	assert_false(file_remove_tree(p->fd, "link", &err));
	assert_text(p->fd, "kept/f", "kept");
	put(p->fd, "f", "x");
	assert_false(file_remove_tree(p->fd, "f", &err));
	assert_true(is_there(p->fd, "f"));
}

static void test_remove_tree_too_deep(void **state)
{
	struct place *p = *state;
	char path[256] = "t";
	struct err err;

	assert_int_equal(mkdirat(p->fd, path, 0700), 0);
	for (int i = 0; i < 40; i++) {
		strcat(path, "/d");
		assert_int_equal(mkdirat(p->fd, path, 0700), 0);
	}
	assert_false(file_remove_tree(p->fd, "t", &err));
	assert_non_null(strstr(err.detail, "nested too deep"));
	assert_true(is_there(p->fd, path));
	assert_int_equal(renameat(p->fd, "t/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d", p->fd, "u"), 0);
	assert_true(file_remove_tree(p->fd, "t", &err));
	assert_true(file_remove_tree(p->fd, "u", &err));
}

static void test_no_descriptor_is_left_open(void **state)
{
	struct place *p = *state;
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

	close(before);
	test_read_refuses(state);
	assert_int_equal(unlinkat(p->fd, "link", 0), 0);
	test_remove_tree_refuses(state);
	fsync_fails_from = 1;
	assert_false(file_write_atomic(p->fd, "x", "y", 1, 0600, &(struct err){ 0 }));
	fsync_fails_from = 0;
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(after);
	assert_int_equal(after, before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_read),
		CASE(test_read_refuses),
		CASE(test_read_stops_at_cap_when_it_grew),
		CASE(test_read_one_gigabyte_is_refused_unread),
		CASE(test_write_atomic_mode_is_exact),
		CASE(test_write_atomic_replaces),
		CASE(test_write_atomic_refuses_names),
		CASE(test_write_atomic_failed_rename_leaves_nothing),
		CASE(test_failed_write_keeps_the_old),
		CASE(test_failed_fsync_is_final),
		CASE(test_failed_fsync_of_directory_is_told),
		CASE(test_create),
		CASE(test_sync_dir),
		CASE(test_open_dir),
		CASE(test_make_dirs),
		CASE(test_make_dirs_relative),
		CASE(test_make_dirs_refuses),
		CASE(test_remove_tree),
		CASE(test_remove_tree_refuses),
		CASE(test_remove_tree_too_deep),
		CASE(test_no_descriptor_is_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
