/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/aside.h"

enum { LONG_MS = 20000, SHORT_MS = 200 };

static int inherited = -1; /* a descriptor that the copy is not to have */

static bool answer(void *arg, struct buf *out, struct err *err)
{
	(void)err;
	return buf_puts(out, arg) && buf_add(out, "\0x", 2);
}

static bool answer_much(void *arg, struct buf *out, struct err *err)
{
	char line[1024] = { 0 };

	(void)arg, (void)err;
	while (buf_add(out, line, sizeof(line)))
		;
	return true;
}

static bool refuse(void *arg, struct buf *out, struct err *err)
{
	(void)!buf_puts(out, "not to be seen");
	return err_set(err, ERR_DENIED, "because", "%s", (const char *)arg);
}

static bool crash(void *arg, struct buf *out, struct err *err)
{
	(void)arg, (void)out, (void)err;
	kill(getpid(), SIGSEGV);
	return true;
}

static bool leave(void *arg, struct buf *out, struct err *err)
{
	(void)arg, (void)out, (void)err;
	_exit(0);
	return true;
}

static bool hang(void *arg, struct buf *out, struct err *err)
{
	(void)arg, (void)out, (void)err;
	while (pause() < 0)
		;
	return true;
}

static bool hang_deaf(void *arg, struct buf *out, struct err *err)
{
	signal(SIGTERM, SIG_IGN);
	for (int fd = 0; fd < 64; fd++)
		close(fd);
	return hang(arg, out, err);
}

/* Leaves a process behind that has the pipe, too, and tells its number. */
static bool spawn(void *arg, struct buf *out, struct err *err)
{
	pid_t pid = fork();

	(void)arg, (void)err;
	if (pid == 0)
		hang(NULL, NULL, NULL);
	return buf_printf(out, "%d", pid);
}

static bool look_around(void *arg, struct buf *out, struct err *err)
{
	struct sigaction now;

	(void)arg, (void)err;
	sigaction(SIGUSR1, NULL, &now);
	return buf_printf(out, "%s %s %s", fcntl(inherited, F_GETFD) < 0 && errno == EBADF ? "closed" : "open", now.sa_handler == SIG_DFL ? "default" : "ours",
		getppid() > 1 && getpid() != getppid() ? "copy" : "same");
}

static void answers_come_back(void **state)
{
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	assert_true(aside_run(answer, "hello", LONG_MS, &out, &err));
	assert_int_equal(out.len, 7);
	assert_memory_equal(out.data, "hello\0x", 7);
	buf_reset(&out);
	assert_true(aside_run(answer_much, NULL, LONG_MS, &out, &err));
	assert_int_equal(out.len, ASIDE_MAX);
	buf_reset(&out);
	assert_false(aside_run(refuse, "of me", LONG_MS, &out, &err));
	assert_int_equal(out.len, 0);
	assert_int_equal(err.kind, ERR_DENIED);
	assert_string_equal(err.type, "because");
	assert_string_equal(err.detail, "of me");
	buf_free(&out);
}

static void failed(aside_work *work, int64_t limit, const char *type, const char *detail)
{
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 0);
	assert_false(aside_run(work, NULL, limit, &out, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.type, type);
	assert_string_equal(err.detail, detail);
	assert_int_equal(out.len, 0);
	buf_free(&out);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
	assert_int_equal(errno, ECHILD);
}

static void what_goes_wrong_there_stays_there(void **state)
{
	int64_t began = clock_mono_ms();

	(void)state;
	failed(crash, LONG_MS, "crash", "killed by signal 11");
	failed(leave, LONG_MS, "crash", "ended with 0 without an answer");
	failed(hang, SHORT_MS, ASIDE_TIMEOUT, "no answer within 200 ms");
	failed(hang_deaf, LONG_MS, "crash", "killed by signal 9");
	assert_true(clock_mono_ms() - began < LONG_MS / 2);
}

static void what_it_started_ends_with_it(void **state)
{
	int64_t began = clock_mono_ms();
	int status = 0, ended = 0;
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans come to us */
	assert_true(aside_run(spawn, NULL, LONG_MS, &out, &err));
	while (!ended && clock_mono_ms() - began < LONG_MS / 2)
		ended = waitpid(atoi(out.data), &status, WNOHANG);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	if (!ended)
		kill(atoi(out.data), SIGKILL);
	assert_int_equal(ended, atoi(out.data));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	buf_free(&out);
}

static void ours(int signum)
{
	(void)signum;
}

static void it_shares_nothing(void **state)
{
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	signal(SIGUSR1, ours);
	inherited = fcntl(2, F_DUPFD, 10);
	assert_true(inherited >= 10);
	assert_true(aside_run(look_around, NULL, LONG_MS, &out, &err));
	assert_string_equal(out.data, "closed default copy");
	close(inherited);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_back),
		cmocka_unit_test(what_goes_wrong_there_stays_there),
		cmocka_unit_test(what_it_started_ends_with_it),
		cmocka_unit_test(it_shares_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
