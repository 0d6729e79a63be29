/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/child.h"
#include "io/loop.h"

struct result {
	unsigned ends;
	struct child_end end;
	char output[20000];
	bool ok; /* as judged */
	struct err err;
	struct child *cancel; /* in done() */
};

static void done(void *arg, const struct child_end *end)
{
	struct result *r = arg;

	r->ends++;
	r->end = *end;
	assert_int_equal(end->output[end->output_len], '\0');
	assert_true(end->output_len < sizeof(r->output));
	memcpy(r->output, end->output, end->output_len + 1);
	r->ok = child_judge(end, "command", "the test", &r->err);
	child_cancel(r->cancel);
}

static int open_loop(void **state)
{
	struct err err;

	(void)state;
	return loop_open(&err) ? 0 : -1;
}

static int close_loop(void **state)
{
	(void)state;
	loop_turn(false);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left behind */
	assert_int_equal(errno, ECHILD);
	loop_close();
	return 0;
}

static struct child *start(const char *const *argv, int64_t timeout_ms, struct result *r)
{
	struct child_wish wish = { .argv = argv, .timeout_ms = timeout_ms, .uid = (uid_t)-1 };
	struct err err = { 0 };
	struct child *c;

	memset(r, 0, sizeof(*r));
	c = child_start(&wish, done, r, &err);
	assert_string_equal(err.detail, "");
	assert_non_null(c);
	return c;
}

static void run(const struct child_wish *wish, struct result *r)
{
	struct err err = { 0 };

	memset(r, 0, sizeof(*r));
	if (!child_start(wish, done, r, &err))
		fail_msg("%s", err.detail);
	while (r->ends == 0)
		loop_turn(true);
	loop_turn(false);
	assert_int_equal(r->ends, 1);
}

/* As a shell script, only in this test: a quick way to a program that does as told. */
static void run_script(const char *script, int64_t timeout_ms, struct result *r)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = timeout_ms, .uid = (uid_t)-1 };

	run(&wish, r);
}

static void test_output_and_exit_status(void **state)
{
	struct result r;

	(void)state;
	run_script("echo out; echo err >&2", 10000, &r);
	assert_true(r.ok);
	assert_string_equal(r.output, "out\nerr\n");
	assert_int_equal(r.end.output_len, 8);
	run_script("exit 0", 10000, &r);
	assert_true(r.ok);
	assert_string_equal(r.output, "");
	run_script("echo; echo '  broken\033[31m file'; echo more; exit 3", 10000, &r);
	assert_false(r.ok);
	assert_int_equal(r.err.kind, ERR_LOCAL);
	assert_string_equal(r.err.type, "command");
	assert_string_equal(r.err.detail, "the test: exited with 3: broken\\x1b[31m file");
	run_script("exit 4", 10000, &r);
	assert_string_equal(r.err.detail, "the test: exited with 4");
	run_script("kill -9 $$", 10000, &r);
	assert_string_equal(r.err.detail, "the test: killed by signal 9");
	assert_false(r.end.timed_out);
}

static void test_arguments_are_not_interpreted(void **state)
{
	const char *argv[] = { "/bin/echo", "$HOME;`id`", "a  b", "", "*", NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 10000, .uid = (uid_t)-1 };
	struct result r;

	(void)state;
	run(&wish, &r);
	assert_string_equal(r.output, "$HOME;`id` a  b  *\n");
}

static void test_environment_is_what_was_said(void **state)
{
	const char *argv[] = { "/usr/bin/env", NULL };
	const char *env[] = { "ONLY=this", NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 10000, .uid = (uid_t)-1 };
	struct result r;

	(void)state;
	assert_int_equal(setenv("SECRET", "xyzzy", 1), 0);
	run(&wish, &r);
	assert_null(strstr(r.output, "xyzzy"));
	assert_non_null(strstr(r.output, "PATH=/"));
	assert_non_null(strstr(r.output, "LANG=C.UTF-8\n"));
	wish.env = env;
	run(&wish, &r);
	assert_string_equal(r.output, "ONLY=this\n");
	unsetenv("SECRET");
}

static void test_what_cannot_be_started_is_said_at_once(void **state)
{
	static const struct {
		const char *program;
		enum err_kind kind;
		int errnum;
	} rows[] = {
		{ "/nonexistent/program", ERR_LOCAL, ENOENT },
		{ "/etc/passwd", ERR_LOCAL, EACCES },
		{ "/tmp", ERR_LOCAL, EACCES },
		{ "true", ERR_INPUT, 0 },
		{ "./true", ERR_INPUT, 0 },
		{ "", ERR_INPUT, 0 },
		{ NULL, ERR_INPUT, 0 },
	};
	struct result r = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *argv[] = { rows[i].program, NULL };
		struct child_wish wish = { .argv = argv, .timeout_ms = 10000, .uid = (uid_t)-1 };
		struct err err = { 0 };

		assert_null(child_start(&wish, done, &r, &err));
		assert_int_equal(err.kind, rows[i].kind);
		assert_int_equal(err.errnum, rows[i].errnum);
		if (rows[i].kind == ERR_LOCAL)
			assert_non_null(strstr(err.detail, rows[i].program));
	}
	loop_turn(false);
	assert_int_equal(r.ends, 0);
}

static void test_output_is_kept_up_to_a_limit(void **state)
{
	struct result r;

	(void)state;
	run_script("head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2; exit 5", 30000, &r);
	assert_int_equal(r.end.output_len, 16384);
	assert_int_equal(strspn(r.output, "x"), 16384);
	assert_int_equal(WEXITSTATUS(r.end.status), 5);
	assert_true(strlen(r.err.detail) < 400);
}

static void test_time_limit(void **state)
{
	struct result r;

	(void)state;
	run_script("echo waiting; exec sleep 1000", 700, &r);
	assert_true(r.end.timed_out);
	assert_true(WIFSIGNALED(r.end.status));
	assert_int_equal(WTERMSIG(r.end.status), SIGTERM);
	assert_string_equal(r.err.detail, "the test: still running after 1 s: waiting");
	/* Ending well after being told to does not make it a success. */
	run_script("trap 'exit 0' TERM; echo x; while :; do sleep 1000 & wait; done", 1000, &r);
	assert_int_equal(r.end.status, 0);
	assert_false(r.ok);
}

static void test_time_limit_of_the_stubborn(void **state)
{
	int64_t before = clock_mono_ms();
	struct result r;

	(void)state;
	run_script("trap '' TERM; while :; do sleep 1000; done", 1000, &r);
	assert_true(r.end.timed_out);
	assert_int_equal(WTERMSIG(r.end.status), SIGKILL);
	assert_true(clock_mono_ms() - before >= 3000);
}

/* Resolves when the last process holding the pipe is gone. */
static void await_end_of_pipe(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
	close(fd);
}

static void test_grandchildren_do_not_delay_the_end(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "sleep 1000 & yes & echo started; exit 7", NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 60000, .uid = (uid_t)-1 };
	int64_t before = clock_mono_ms();
	struct result r;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	wish.keep = (int[]){ fds[1] };
	wish.nkeep = 1;
	run(&wish, &r);
	close(fds[1]);
	assert_int_equal(WEXITSTATUS(r.end.status), 7);
	assert_true(clock_mono_ms() - before < 30000);
	await_end_of_pipe(fds[0]); /* they held descriptor 3: killed with the group, or this would hang */
}

static void test_cancel_kills_the_group(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait", NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 60000, .uid = (uid_t)-1 };
	struct result r = { 0 };
	struct child *c;
	struct err err;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	wish.keep = (int[]){ fds[1] };
	wish.nkeep = 1;
	c = child_start(&wish, done, &r, &err);
	assert_non_null(c);
	pid = child_pid(c);
	assert_int_equal(getpgid(pid), pid);
	assert_int_equal(getsid(pid), pid);
	close(fds[1]);
	child_cancel(c);
	child_cancel(NULL);
	await_end_of_pipe(fds[0]);
	while (waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT | WNOHANG) == 0)
		loop_turn(true); /* until it is reaped */
	assert_int_equal(r.ends, 0);
}

static void test_cancel_inside_done_is_harmless(void **state)
{
	const char *argv[] = { "/bin/true", NULL };
	struct result r;
	struct child *c = start(argv, 10000, &r);

	(void)state;
	r.cancel = c;
	while (r.ends == 0)
		loop_turn(true);
	assert_true(r.ok);
}

static void test_many_at_once(void **state)
{
	const char *argv[] = { "/bin/echo", "hello", NULL };
	static struct result r[20];
	unsigned ends = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		start(argv, 10000, &r[i]);
	while (ends < 20) {
		loop_turn(true);
		ends = 0;
		for (int i = 0; i < 20; i++)
			ends += r[i].ends;
	}
	for (int i = 0; i < 20; i++)
		assert_string_equal(r[i].output, "hello\n");
}

static void test_descriptors(void **state)
{
	static const char script[] = "cat <&3; ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0";
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 10000, .uid = (uid_t)-1 };
	struct result r;
	int fds[2], open_one, high;

	(void)state;
	open_one = open("/etc/passwd", O_RDONLY); /* not marked: closed all the same */
	high = fcntl(open_one, F_DUPFD, 400);
	assert_true(high >= 400);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "secret\n", 7), 7);
	close(fds[1]);
	wish.keep = (int[]){ fds[0] };
	wish.nkeep = 1;
	run(&wish, &r);
	/* 4 is the directory that ls itself reads. */
	assert_string_equal(r.output, "secret\n0 1 2 3 4 /dev/null\n");
	close(fds[0]);
	argv[2] = "ls /proc/self/fd | tr '\\n' ' '";
	wish.nkeep = 0;
	run(&wish, &r);
	assert_string_equal(r.output, "0 1 2 3 ");
	close(open_one);
	close(high);
}

/* In their order, whatever their numbers here; up to a limit. */
static void test_several_descriptors(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "for i in 3 4 5 6 7 8 9; do cat <&$i; done; ls /proc/self/fd | wc -l", NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 10000, .uid = (uid_t)-1 };
	int keep[CHILD_KEEP_MAX + 1];
	struct result r;
	struct err err;

	(void)state;
	for (int i = 6; i >= 0; i--) {
		int fds[2];

		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		assert_int_equal(dprintf(fds[1], "%d\n", i), 2);
		close(fds[1]);
		keep[i] = fds[0];
	}
	wish.keep = keep;
	wish.nkeep = 7;
	run(&wish, &r);
	assert_string_equal(r.output, "0\n1\n2\n3\n4\n5\n6\n11\n"); /* 0 to 9, and the folder that ls reads */
	for (int i = 0; i < 7; i++)
		close(keep[i]);
	wish.nkeep = CHILD_KEEP_MAX + 1;
	assert_null(child_start(&wish, done, &r, &err));
	assert_int_equal(err.kind, ERR_BUG);
}

/* A daemon may have its own standard descriptors closed, so that pipes get the low numbers. */
static void test_low_descriptors(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "cat <&3; echo err >&2", NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 10000, .uid = (uid_t)-1 };
	static struct result r;
	int saved[3], fds[2];

	(void)state;
	for (int i = 0; i < 3; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 50);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "kept\n", 5), 5);
	close(fds[1]);
	close(0);
	close(1);
	wish.keep = (int[]){ dup(fds[0]) }; /* becomes 0 */
	wish.nkeep = 1;
	struct err err;
	struct child *c = child_start(&wish, done, &r, &err);
	for (int i = 0; i < 3; i++)
		if (saved[i] >= 0)
			dup2(saved[i], i);
	for (int i = 0; i < 3; i++)
		close(saved[i]);
	assert_non_null(c);
	while (r.ends == 0)
		loop_turn(true);
	assert_string_equal(r.output, "kept\nerr\n");
	close(fds[0]);
}

static void test_surroundings(void **state)
{
	struct result r;

	(void)state;
	signal(SIGHUP, SIG_IGN); /* ours, not the child's */
	run_script("umask; ulimit -c; grep -E 'Sig(Ign|Blk)' /proc/self/status | tr -d '\\t '", 10000, &r);
	signal(SIGHUP, SIG_DFL);
	unsigned long long blocked, ignored;

	assert_int_equal(sscanf(r.output, "0077\n0\nSigBlk:%llx\nSigIgn:%llx\n", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	/* Signals 32 and 33 belong to libc, which lets nobody change them: they stay as this test was started. */
	assert_int_equal(ignored & ~(3ULL << 31), 0);
}

static void test_another_user(void **state)
{
	const char *argv[] = { "/usr/bin/id", NULL };
	struct child_wish wish = { .argv = argv, .timeout_ms = 10000, .uid = 65534, .gid = 65534 };
	struct err err = { 0 };
	struct result r;

	(void)state;
	if (geteuid() != 0) {
		assert_null(child_start(&wish, done, &r, &err));
		assert_non_null(strstr(err.detail, "change the user"));
		return;
	}
	run(&wish, &r);
	assert_string_equal(r.output, "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n");
	wish.user = "nobody";
	run(&wish, &r);
	assert_string_equal(r.output, "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n");
}

static void test_ignored_child_signal_does_not_hide_a_failure(void **state)
{
	struct result r;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	run_script("exit 6", 10000, &r);
	assert_int_equal(WEXITSTATUS(r.end.status), 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_output_and_exit_status),
		TEST(test_arguments_are_not_interpreted),
		TEST(test_environment_is_what_was_said),
		TEST(test_what_cannot_be_started_is_said_at_once),
		TEST(test_output_is_kept_up_to_a_limit),
		TEST(test_time_limit),
		TEST(test_time_limit_of_the_stubborn),
		TEST(test_grandchildren_do_not_delay_the_end),
		TEST(test_cancel_kills_the_group),
		TEST(test_cancel_inside_done_is_harmless),
		TEST(test_many_at_once),
		TEST(test_descriptors),
		TEST(test_several_descriptors),
		TEST(test_low_descriptors),
		TEST(test_surroundings),
		TEST(test_another_user),
		TEST(test_ignored_child_signal_does_not_hide_a_failure),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
