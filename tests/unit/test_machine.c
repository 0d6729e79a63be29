/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "simtime.h"

enum { A, B, C, END };

/* A machine whose states do as they are told, and what happened to it in words. */
struct toy {
	struct machine m;
	char said[512];
	struct err err; /* of the end */
	struct machine_call *call[8]; /* operations begun, never ended by themselves */
	unsigned calls, cancelled;
	int next;         /* what ended says */
	int64_t wait_ms;
	bool skip, cancellable, stays, free_at_end, over;
	const void *answer;
	struct toy *starts; /* when it begins */
};

static struct toy *other;

static void say(struct toy *t, const char *what)
{
	size_t len = strlen(t->said);

	snprintf(t->said + len, sizeof t->said - len, "%s%s", len ? " " : "", what);
}

static void cancel(void *arg, void *op)
{
	struct toy *t = arg;

	assert_ptr_equal(op, t);
	t->cancelled++;
}

static const struct machine_ops toy_ops;

static void begin(void *owner, struct machine *m)
{
	struct toy *t = owner;
	char word[32];

	snprintf(word, sizeof word, "%s%u", machine_state_name(m), m->again);
	say(t, word);
	if (t->starts) {
		machine_start(&t->starts->m, &toy_ops, t->starts, A);
		t->starts = NULL;
	}
	if (t->skip) {
		machine_skip(m, "skipped");
		return;
	}
	assert_in_range(t->calls, 0, 7);
	t->call[t->calls++] = machine_call(m);
	if (t->cancellable)
		machine_pending(m, t, cancel, t);
}

static int ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct toy *t = owner;

	t->answer = answer;
	m->wait_ms = t->wait_ms;
	if (err->kind != ERR_NONE)
		say(t, err->type);
	if (t->stays)
		return MACHINE_AGAIN;
	return err->kind == ERR_NONE ? t->next : MACHINE_FAIL;
}

static void moved(void *owner, int from, int to)
{
	struct toy *t = owner;
	char word[8];

	snprintf(word, sizeof word, "%d>%d", from, to);
	say(t, word);
}

static void finished(void *owner, const struct err *err)
{
	struct toy *t = owner;

	t->over = true;
	if (err)
		t->err = *err;
	say(t, err ? "failed" : "end");
	if (t->free_at_end) {
		other = NULL;
		free(t);
	}
}

static const struct machine_state table[] = {
	[A] = { "a", begin, ended, 2, 10, 1u << B | 1u << END },
	[B] = { "b", begin, ended, 2, 0, 1u << A | 1u << C },
	[C] = { "c", begin, ended, 0, 0, 1u << END },
	[END] = { "end", NULL, NULL, 0, 0, 0 },
};
static const struct machine_ops toy_ops = { table, 4, moved, finished };

static int setup(void **state)
{
	struct err err;

	(void)state;
	simtime_start(1800000000);
	assert_true(loop_open(&err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(machine_run()); /* nothing is left in the queue */
	loop_close();
	simtime_stop();
	return 0;
}

static void start(struct toy *t)
{
	machine_start(&t->m, &toy_ops, t, A);
}

static void end_call(struct toy *t, const void *answer, const struct err *err)
{
	machine_ended(t->call[t->calls - 1], answer, err);
}

static void wake(void *arg)
{
	*(bool *)arg = true;
}

static void pass(int64_t ms)
{
	struct timer t = { 0 };
	bool over = false;

	timer_arm(&t, ms, wake, &over);
	while (!over)
		loop_turn(true);
}

/* --- the tests -------------------------------------------------------------------------------------------------------------- */

static void a_state_begins_after_the_commit_and_not_before(void **state)
{
	struct toy t = { .next = B };

	(void)state;
	start(&t);
	loop_turn(false);
	assert_string_equal(t.said, "");
	assert_true(machine_run());
	assert_string_equal(t.said, "a0");
	assert_false(machine_run());
	end_call(&t, "answer", NULL);
	assert_string_equal(t.answer, "answer");
	assert_string_equal(t.said, "a0 0>1");
	assert_true(machine_run());
	assert_string_equal(t.said, "a0 0>1 b0");
	machine_stop(&t.m);
	machine_ended(t.call[1], NULL, NULL);
}

static void the_end_is_a_state_without_a_beginning(void **state)
{
	struct toy t = { .next = END };

	(void)state;
	start(&t);
	machine_run();
	end_call(&t, NULL, NULL);
	assert_string_equal(t.said, "a0 0>3 end");
	assert_true(t.over);
	assert_int_equal(t.err.kind, ERR_NONE);
}

static void again_waits_and_counts(void **state)
{
	struct toy t = { .next = MACHINE_AGAIN, .wait_ms = 3000 };
	int64_t begun;

	(void)state;
	start(&t);
	machine_run();
	end_call(&t, NULL, NULL);
	begun = clock_mono_ms();
	while (t.calls < 2)
		loop_turn(true);
	assert_int_equal(clock_mono_ms() - begun, 3000);
	t.next = A; /* the state itself means the same */
	t.wait_ms = 0;
	end_call(&t, NULL, NULL);
	while (t.calls < 3)
		loop_turn(true);
	t.next = B;
	end_call(&t, NULL, NULL);
	machine_run();
	assert_string_equal(t.said, "a0 a1 a2 0>1 b0");
	machine_stop(&t.m);
	machine_ended(t.call[3], NULL, NULL);
}

static void an_error_reaches_the_state_and_the_owner(void **state)
{
	struct err err = { .kind = ERR_DENIED, .type = "no", .detail = "because" };
	struct toy t = { .next = B };

	(void)state;
	start(&t);
	machine_run();
	end_call(&t, NULL, &err);
	assert_string_equal(t.said, "a0 no failed");
	assert_int_equal(t.err.kind, ERR_DENIED);
	assert_string_equal(t.err.detail, "because");
}

static void a_way_that_is_not_in_the_table_is_a_bug_of_ours(void **state)
{
	static const int wrong[] = { C, 7, 31, 40, -3, -100 };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct toy t = { .next = wrong[i] };

		start(&t);
		machine_run();
		end_call(&t, NULL, NULL);
		assert_int_equal(t.err.kind, ERR_BUG);
		assert_string_equal(t.err.type, "state");
	}
}

static void ping_pong_ends(void **state)
{
	struct toy t = { .next = B };

	(void)state;
	start(&t);
	while (!t.over) {
		machine_run();
		t.next = t.m.state == A ? B : A;
		end_call(&t, NULL, NULL);
	}
	assert_string_equal(t.said, "a0 0>1 b0 1>0 a0 0>1 b0 failed");
	assert_int_equal(t.err.kind, ERR_TEMP);
	assert_string_equal(t.err.type, "loop");
}

static void patience_ends_and_what_is_under_way_is_cancelled(void **state)
{
	struct toy t = { .next = B, .cancellable = true };

	(void)state;
	start(&t);
	machine_run();
	pass(9999);
	assert_false(t.over);
	pass(1);
	assert_true(t.over);
	assert_string_equal(t.said, "a0 timeout failed");
	assert_int_equal(t.err.kind, ERR_TEMP);
	assert_int_equal(t.cancelled, 1);
}

static void the_limit_holds_over_repetitions(void **state)
{
	struct toy t = { .next = MACHINE_AGAIN, .wait_ms = 4000, .skip = true };

	(void)state;
	start(&t);
	machine_run();
	pass(60000);
	assert_string_equal(t.said, "a0 a1 a2 timeout failed");
}

/* Otherwise a state that ignores the error would go on without any limit. */
static void a_state_that_wants_to_stay_beyond_its_limit_is_ended(void **state)
{
	struct toy t = { .stays = true, .cancellable = true };

	(void)state;
	start(&t);
	machine_run();
	pass(10000);
	assert_true(t.over);
	assert_string_equal(t.said, "a0 timeout failed");
	assert_string_equal(t.err.type, "timeout");
}

/* The journal could not be written for longer than the limit: nothing was begun, so nothing is late. */
static void the_limit_counts_from_the_beginning(void **state)
{
	struct toy t = { .next = B, .cancellable = true }, u = { .next = B, .cancellable = true };

	(void)state;
	start(&t);
	start(&u);
	pass(100000);
	assert_string_equal(t.said, "");
	assert_true(machine_run());
	assert_false(machine_run());
	assert_string_equal(t.said, "a0");
	assert_string_equal(u.said, "a0");
	end_call(&t, NULL, NULL);
	pass(10000);
	assert_string_equal(u.said, "a0 timeout failed");
	machine_stop(&t.m);
}

static void a_skip_answers_on_the_next_turn(void **state)
{
	struct toy t = { .next = B, .skip = true };

	(void)state;
	start(&t);
	machine_run();
	assert_string_equal(t.said, "a0");
	loop_turn(false);
	assert_string_equal(t.answer, "skipped");
	assert_string_equal(t.said, "a0 0>1");
	machine_run();
	machine_stop(&t.m); /* with a skip under way */
	loop_turn(false);
	assert_string_equal(t.said, "a0 0>1 b0");
}

static void begin_then_skip(void *owner, struct machine *m)
{
	(void)owner;
	machine_call(m); /* for an operation that then could not be begun */
	machine_pending(m, NULL, cancel, owner);
	machine_skip(m, "skipped");
}

static void a_call_handed_to_nobody_serves_the_skip(void **state)
{
	static const struct machine_state odd[] = { { "odd", begin_then_skip, ended, 0, 0, 2 }, { "end", NULL, NULL, 0, 0, 0 } };
	static const struct machine_ops ops = { odd, 2, moved, finished };
	struct toy t = { .next = 1 };

	(void)state;
	machine_start(&t.m, &ops, &t, 0);
	machine_run();
	loop_turn(false);
	assert_true(t.over);
	assert_string_equal(t.answer, "skipped");
	assert_int_equal(t.cancelled, 0);
}

static void a_late_answer_is_harmless(void **state)
{
	struct toy t = { .next = B };
	struct toy *gone = mem_alloc(sizeof(*gone));
	struct machine_call *late;

	(void)state;
	start(&t);
	machine_run();
	pass(10000); /* cannot be cancelled, so the answer comes, later */
	assert_true(t.over);
	end_call(&t, "late", NULL);
	assert_null(t.answer);

	gone->next = B;
	start(gone);
	machine_run();
	late = gone->call[0];
	machine_stop(&gone->m);
	free(gone);
	machine_ended(late, NULL, NULL);
}

static void stopping_cancels_and_can_be_repeated(void **state)
{
	struct toy t = { .cancellable = true };
	struct machine never = { 0 };

	(void)state;
	machine_stop(&never);
	start(&t);
	machine_run();
	machine_stop(&t.m);
	machine_stop(&t.m);
	assert_int_equal(t.cancelled, 1);
	assert_false(t.over);
}

static void a_stopped_machine_leaves_the_queue(void **state)
{
	struct toy t[4];

	(void)state;
	for (int gone = 0; gone < 4; gone++) {
		memset(t, 0, sizeof t);
		for (int i = 0; i < 4; i++) {
			t[i].cancellable = true;
			start(&t[i]);
		}
		machine_stop(&t[gone].m);
		machine_run();
		for (int i = 0; i < 4; i++) {
			assert_string_equal(t[i].said, i == gone ? "" : "a0");
			machine_stop(&t[i].m);
		}
	}
}

static void what_a_beginning_starts_waits_for_the_next_commit(void **state)
{
	struct toy child = { .cancellable = true }, t = { .cancellable = true, .starts = &child };

	(void)state;
	start(&t);
	assert_true(machine_run());
	assert_string_equal(t.said, "a0");
	assert_string_equal(child.said, "");
	assert_true(machine_run());
	assert_string_equal(child.said, "a0");
	machine_stop(&t.m);
	machine_stop(&child.m);
}

static void an_owner_may_free_it_at_the_end(void **state)
{
	struct err err = { .kind = ERR_TEMP };

	(void)state;
	for (int how = 0; how < 3; how++) {
		other = mem_alloc(sizeof(*other));
		other->free_at_end = true;
		other->next = how == 0 ? END : C; /* in good order, by a bug, by an error */
		start(other);
		machine_run();
		end_call(other, NULL, how == 2 ? &err : NULL);
		assert_null(other);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_state_begins_after_the_commit_and_not_before),
		TEST(the_end_is_a_state_without_a_beginning),
		TEST(again_waits_and_counts),
		TEST(an_error_reaches_the_state_and_the_owner),
		TEST(a_way_that_is_not_in_the_table_is_a_bug_of_ours),
		TEST(ping_pong_ends),
		TEST(patience_ends_and_what_is_under_way_is_cancelled),
		TEST(the_limit_holds_over_repetitions),
		TEST(a_state_that_wants_to_stay_beyond_its_limit_is_ended),
		TEST(the_limit_counts_from_the_beginning),
		TEST(a_skip_answers_on_the_next_turn),
		TEST(a_call_handed_to_nobody_serves_the_skip),
		TEST(a_late_answer_is_harmless),
		TEST(stopping_cancels_and_can_be_repeated),
		TEST(a_stopped_machine_leaves_the_queue),
		TEST(what_a_beginning_starts_waits_for_the_next_commit),
		TEST(an_owner_may_free_it_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
