/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"

static char trace[256];

static void note(const char *word)
{
	strncat(trace, word, sizeof(trace) - strlen(trace) - 1);
}

static void note_arg(void *arg)
{
	note(arg);
}

static int open_loop(void **state)
{
	struct err err;

	(void)state;
	trace[0] = '\0';
	return loop_open(&err) ? 0 : -1;
}

static int close_loop(void **state)
{
	(void)state;
	loop_close();
	return 0;
}

static void test_open_once(void **state)
{
	struct err err;

	(void)state;
	assert_false(loop_open(&err));
	assert_int_equal(err.kind, ERR_BUG);
}

static void test_defer_keeps_order(void **state)
{
	static char a[] = "a", b[] = "b", c[] = "c";

	(void)state;
	loop_defer(note_arg, a);
	loop_defer(note_arg, b);
	loop_defer(note_arg, c);
	loop_defer(note_arg, b);
	loop_undefer(b);
	assert_string_equal(trace, "");
	loop_turn(true); /* does not wait: something is due */
	assert_string_equal(trace, "ac");
	loop_turn(false);
	assert_string_equal(trace, "ac");
}

static void defer_more(void *arg)
{
	static char inner[] = "2";

	note(arg);
	loop_defer(note_arg, inner);
}

static void test_deferred_by_deferred_run_in_the_same_turn(void **state)
{
	static char first[] = "1", next[] = "+";

	(void)state;
	loop_defer(defer_more, first);
	loop_defer(note_arg, next);
	loop_turn(true);
	assert_string_equal(trace, "1+2");
}

static bool commit(void *arg)
{
	static char called[] = "d";
	int *left = arg;

	note("h");
	if (*left == 0)
		return false;
	--*left;
	loop_defer(note_arg, called);
	return true;
}

static void test_on_turn_repeats_after_its_own_deferred_calls(void **state)
{
	static char d[] = "d";
	int left = 2;

	(void)state;
	loop_on_turn(commit, &left);
	loop_defer(note_arg, d);
	loop_turn(true);
	assert_string_equal(trace, "dhdhdh");
	loop_on_turn(NULL, NULL);
	loop_turn(false);
	assert_string_equal(trace, "dhdhdh");
}

static bool commit_and_stop(void *arg)
{
	(void)arg;
	note("h");
	loop_stop();
	return false;
}

static void test_run_ends_the_starting_turn_before_it_waits(void **state)
{
	(void)state;
	loop_on_turn(commit_and_stop, NULL);
	loop_run(); /* nothing to wait for: would hang */
	assert_string_equal(trace, "h");
	loop_stop();
	loop_run(); /* stopped before it began */
	assert_string_equal(trace, "h");
}

static void stop(void *arg)
{
	note(arg);
	loop_stop();
}

static void test_timers_fire_in_order_and_once(void **state)
{
	static char a[] = "a", b[] = "b", end[] = ".";
	struct timer first = { 0 }, second = { 0 }, last = { 0 };
	int64_t before = clock_mono_ms();

	(void)state;
	timer_arm(&last, 60, stop, end);
	timer_arm(&second, 20, note_arg, b);
	timer_arm(&first, -5, note_arg, a);
	assert_true(timer_armed(&first));
	loop_run();
	assert_string_equal(trace, "ab.");
	assert_false(timer_armed(&first));
	assert_false(timer_armed(&last));
	assert_true(clock_mono_ms() - before >= 60);
}

static void test_timer_moves_when_armed_again(void **state)
{
	static char a[] = "a", b[] = "b", end[] = ".";
	struct timer t = { 0 }, last = { 0 };

	(void)state;
	timer_arm(&t, 0, note_arg, a);
	timer_arm(&t, 60000, note_arg, b);
	timer_arm(&last, 10, stop, end);
	loop_run();
	assert_string_equal(trace, ".");
	timer_arm(&t, 5, note_arg, b);
	timer_arm(&last, INT64_MAX, stop, end); /* no overflow: it simply does not come */
	loop_turn(true);
	assert_string_equal(trace, ".b");
	timer_disarm(&last);
	timer_disarm(&last);
	assert_false(timer_armed(&last));
}

struct owner {
	struct timer timer;
	struct timer *other;
};

static void free_owner(void *arg)
{
	struct owner *o = arg;

	note("f");
	timer_disarm(o->other);
	free(o);
}

static void test_timer_may_free_its_owner_and_disarm_a_due_one(void **state)
{
	static char never[] = "!";
	struct owner *o = mem_alloc(sizeof(*o));
	struct timer other = { 0 };

	(void)state;
	o->other = &other;
	timer_arm(&o->timer, 0, free_owner, o);
	timer_arm(&other, 0, note_arg, never);
	/* Both are due by the time the loop looks. */
	for (int64_t until = clock_mono_ms() + 3; clock_mono_ms() < until;)
		;
	loop_turn(true);
	loop_turn(false);
	assert_string_equal(trace, "f");
}

struct again {
	struct timer timer;
	int left;
};

static void arm_again(void *arg)
{
	struct again *a = arg;

	note("x");
	if (--a->left > 0)
		timer_arm(&a->timer, 0, arm_again, a);
}

static void test_timer_armed_by_itself_waits_for_a_later_turn(void **state)
{
	struct again a = { .left = 2 };

	(void)state;
	timer_arm(&a.timer, 0, arm_again, &a);
	loop_turn(true);
	assert_string_equal(trace, "x");
	assert_true(timer_armed(&a.timer));
	loop_turn(true);
	assert_string_equal(trace, "xx");
	assert_false(timer_armed(&a.timer));
}

static void test_signals_are_events(void **state)
{
	static char u[] = "u";
	struct err err;

	(void)state;
	assert_true(loop_signal(SIGUSR1, note_arg, u, &err));
	assert_false(loop_signal(SIGUSR1, note_arg, u, &err));
	assert_int_equal(err.kind, ERR_BUG);
	assert_false(loop_signal(0, note_arg, u, &err));
	assert_false(loop_signal(NSIG, note_arg, u, &err));
	raise(SIGUSR1);
	assert_string_equal(trace, ""); /* never inside the signal */
	loop_turn(true);
	assert_string_equal(trace, "u");
}

static void test_broken_pipe_is_an_error_number(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(fds[1]);
}

struct reader {
	struct watch watch;
	int fd;
	short seen;
	bool clear;
};

static void readable(void *arg, short events)
{
	struct reader *r = arg;

	r->seen = events;
	note("r");
	if (r->clear)
		watch_clear(&r->watch);
}

static void test_watch(void **state)
{
	struct reader r = { 0 };
	struct err err;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(watch_set(&r.watch, fds[0], POLLIN, readable, &r, &err));
	loop_turn(false);
	assert_string_equal(trace, "");
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_turn(true);
	loop_turn(true); /* persistent, by level */
	assert_string_equal(trace, "rr");
	assert_int_equal(r.seen, POLLIN);
	assert_true(watch_set(&r.watch, fds[0], 0, readable, &r, &err)); /* nothing to look for */
	loop_turn(false);
	assert_string_equal(trace, "rr");
	r.clear = true;
	assert_true(watch_set(&r.watch, fds[0], POLLIN, readable, &r, &err));
	loop_turn(true);
	loop_turn(false);
	assert_string_equal(trace, "rrr");
	watch_clear(&r.watch);
	close(fds[0]);
	close(fds[1]);
}

static void test_watch_changes_events(void **state)
{
	struct reader r = { 0 };
	struct err err;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(watch_set(&r.watch, fds[1], POLLIN, readable, &r, &err));
	loop_turn(false);
	assert_string_equal(trace, "");
	assert_true(watch_set(&r.watch, fds[1], POLLOUT, readable, &r, &err));
	loop_turn(true);
	assert_int_equal(r.seen, POLLOUT);
	watch_clear(&r.watch);
	close(fds[0]);
	close(fds[1]);
}

static void test_watch_refuses_a_regular_file(void **state)
{
	struct reader r = { 0 };
	struct err err;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_false(watch_set(&r.watch, fd, POLLIN, readable, &r, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(err.errnum, EPERM);
	assert_null(r.watch.event);
	close(fd);
	assert_false(watch_set(&r.watch, fd, POLLIN, readable, &r, &err));
	assert_int_equal(err.errnum, EBADF);
}

static bool count_turn(void *arg)
{
	++*(int *)arg;
	return false;
}

static void test_waiting_is_one_turn(void **state)
{
	static char end[] = ".";
	struct timer t = { 0 };
	struct watch w = { 0 };
	struct err err;
	int fds[2], turns = 0;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(watch_set(&w, fds[0], POLLIN, readable, NULL, &err));
	timer_arm(&t, 200, stop, end);
	loop_on_turn(count_turn, &turns);
	loop_run();
	assert_true(turns <= 2); /* the starting one, and the one the timer ended */
	watch_clear(&w);
	close(fds[0]);
	close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open_once),
		TEST(test_defer_keeps_order),
		TEST(test_deferred_by_deferred_run_in_the_same_turn),
		TEST(test_on_turn_repeats_after_its_own_deferred_calls),
		TEST(test_run_ends_the_starting_turn_before_it_waits),
		TEST(test_timers_fire_in_order_and_once),
		TEST(test_timer_moves_when_armed_again),
		TEST(test_timer_may_free_its_owner_and_disarm_a_due_one),
		TEST(test_timer_armed_by_itself_waits_for_a_later_turn),
		TEST(test_signals_are_events),
		TEST(test_broken_pipe_is_an_error_number),
		TEST(test_watch),
		TEST(test_watch_changes_events),
		TEST(test_watch_refuses_a_regular_file),
		TEST(test_waiting_is_one_turn),
	};

	alarm(60); /* a loop that waits for nothing ends here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
