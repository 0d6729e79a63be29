/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "io/sync.h"

/* In front of libc's: is there an asynchronous fsync, and how many does it take? */
static bool has_aio, deaf; /* deaf: how they ended is not told */
static long takes; /* at most so many of one submission; -1: all */
static int fsyncs, fsync_fails_at;

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list ap;
	long a[5];

	va_start(ap, number);
	for (size_t i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_io_setup && !has_aio) {
		errno = ENOSYS;
		return -1;
	}
	if (number == SYS_io_submit && takes == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (number == SYS_io_submit && takes > 0 && a[1] > takes) {
		a[1] = takes;
		takes = 0;
	}
	if (number == SYS_io_getevents && deaf) {
		errno = EIO;
		return -1;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4]);
}

int fsync(int fd)
{
	if (++fsyncs != fsync_fails_at)
		return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
	errno = EIO;
	return -1;
}

/* --- */

static int done_calls, done_errnum;

static void done(void *arg, const struct err *err)
{
	assert_ptr_equal(arg, &done_calls);
	done_calls++;
	done_errnum = err ? err->errnum : 0;
}

static void quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static int setup(void **state)
{
	struct err err;

	(void)state;
	log_set_sink(quiet, NULL);
	has_aio = true;
	takes = -1;
	fsyncs = fsync_fails_at = done_calls = done_errnum = 0;
	return loop_open(&err) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_close();
	log_set_sink(NULL, NULL);
	return 0;
}

static int new_file(void)
{
	char name[] = "/tmp/dovad-sync-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "text", 4), 4);
	unlink(name);
	return fd;
}

static void fill(struct sync *s, int n)
{
	for (int i = 0; i < n; i++)
		sync_add(s, new_file());
}

static void run(struct syncer *y, struct sync *s)
{
	done_calls = 0;
	syncer_start(y, s, done, &done_calls);
	assert_int_equal(s->n, 0);
	assert_int_equal(done_calls, 0); /* never from within */
	while (!done_calls)
		loop_turn(true);
	assert_int_equal(done_calls, 1);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_now(void **state)
{
	struct sync s = { 0 };
	struct err err;
	int fd;

	(void)state;
	assert_true(sync_now(&s, &err)); /* nothing */
	fill(&s, 3);
	fd = s.fds[2];
	assert_true(sync_now(&s, &err));
	assert_int_equal(fsyncs, 3);
	assert_int_equal(s.n, 0);
	assert_false(is_open(fd));
	fill(&s, 3);
	fsync_fails_at = 5;
	assert_false(sync_now(&s, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(err.errnum, EIO);
	assert_int_equal(s.n, 0);
}

static void test_copies(void **state)
{
	struct sync s = { 0 };
	struct err err;
	int fd = new_file();

	(void)state;
	sync_add_copy(&s, fd);
	assert_int_not_equal(s.fds[0], fd);
	assert_true(sync_now(&s, &err));
	assert_true(is_open(fd));
	close(fd);
	/* What cannot be copied was not synced. */
	sync_add_copy(&s, fd);
	assert_int_equal(s.n, 0);
	assert_false(sync_now(&s, &err));
	assert_int_equal(err.errnum, EBADF);
	sync_add_copy(&s, fd);
	sync_drop(&s);
	assert_true(sync_now(&s, &err)); /* forgotten */
}

static void test_side_by_side(void **state)
{
	struct syncer *y = syncer_new();
	struct sync s = { 0 };

	(void)state;
	run(y, &s); /* nothing */
	assert_int_equal(done_errnum, 0);
	for (int n = 1; n <= 300; n += 99) {
		fill(&s, n);
		run(y, &s);
		assert_int_equal(done_errnum, 0);
	}
	assert_int_equal(fsyncs, 0); /* the kernel did them */
	syncer_free(y);
}

/* A descriptor of which the kernel itself says no. */
static void test_fails(void **state)
{
	struct syncer *y = syncer_new();
	struct sync s = { 0 };
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fill(&s, 2);
	sync_add(&s, pair[0]);
	fill(&s, 2);
	fsync_fails_at = 1; /* it is refused, and those after it are done one by one */
	run(y, &s);
	assert_int_equal(done_errnum, EIO);
	close(pair[1]);
	sync_add_copy(&s, -1);
	fill(&s, 1);
	run(y, &s);
	assert_int_equal(done_errnum, EBADF);
	fill(&s, 1);
	run(y, &s);
	assert_int_equal(done_errnum, 0);
	syncer_free(y);
}

static void test_without(void **state)
{
	struct syncer *y;
	struct sync s = { 0 };

	(void)state;
	has_aio = false;
	y = syncer_new();
	fill(&s, 3);
	run(y, &s);
	assert_int_equal(done_errnum, 0);
	assert_int_equal(fsyncs, 3);
	fill(&s, 3);
	fsync_fails_at = 5;
	run(y, &s);
	assert_int_equal(done_errnum, EIO);
	syncer_free(y);
}

/* The kernel takes only some of them. */
static void test_taken_in_part(void **state)
{
	struct syncer *y = syncer_new();
	struct sync s = { 0 };

	(void)state;
	fill(&s, 10);
	takes = 4;
	run(y, &s);
	assert_int_equal(done_errnum, 0);
	assert_int_equal(fsyncs, 6);
	fill(&s, 10);
	fsync_fails_at = 7;
	run(y, &s);
	assert_int_equal(done_errnum, EIO);
	assert_int_equal(fsyncs, 16);
	syncer_free(y);
}

/* An error, not a wait for ever; and from then on without. */
static void test_results_are_lost(void **state)
{
	struct syncer *y = syncer_new();
	struct sync s = { 0 };

	(void)state;
	fill(&s, 3);
	deaf = true;
	run(y, &s);
	deaf = false;
	assert_int_equal(done_errnum, EIO);
	assert_int_equal(fsyncs, 0);
	fill(&s, 3);
	run(y, &s);
	assert_int_equal(done_errnum, 0);
	assert_int_equal(fsyncs, 3);
	syncer_free(y);
}

static void test_freed_within(void **state)
{
	struct syncer *y = syncer_new();
	struct sync s = { 0 };

	(void)state;
	fill(&s, 20);
	syncer_start(y, &s, done, &done_calls);
	syncer_free(y);
	loop_turn(false);
	assert_int_equal(done_calls, 0);
	syncer_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_now, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_side_by_side, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_results_are_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_within, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
