/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/loop.h"
#include "keeper/gate.h"

enum { MOST = 8 };

struct bed {
	struct gate *gate;
	struct gate_pass pass[MOST];
	bool leaves; /* whoever comes in */
};

static struct buf story; /* names in the order of entering */

/* "*" is read by all, "b2" by the service "b". */
static bool may_read(void *arg, const char *service, const char *cert)
{
	(void)arg;
	return !cert || cert[0] == '*' || cert[0] == service[0];
}

static struct bed *bed;

static void entered(void *arg)
{
	struct gate_pass *p = arg;

	assert_true(p->inside);
	assert_true(buf_printf(&story, "%s%s%s", story.len ? " " : "", p->kind == GATE_RUN ? "run:" : "", p->name ? p->name : "?"));
	if (bed->leaves)
		gate_leave(p);
}

static int setup(void **state)
{
	struct err err;

	assert_true(loop_open(&err));
	bed = mem_alloc(sizeof(*bed));
	bed->gate = gate_new(may_read, NULL);
	buf_init(&story, 0);
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < MOST; i++)
		gate_leave(&bed->pass[i]);
	gate_free(bed->gate);
	loop_close();
	buf_free(&story);
	free(bed);
	return 0;
}

static void ask(int i, enum gate_kind kind, const char *name)
{
	struct gate_pass *p = &bed->pass[i];

	*p = (struct gate_pass){ .kind = kind, .name = name, .enter = entered, .arg = p };
	gate_ask(bed->gate, p);
}

/* What entered since, after one turn. */
static void assert_enters(const char *expected)
{
	loop_turn(false);
	assert_string_equal(story.len ? story.data : "", expected);
	buf_reset(&story);
}

static void one_kind_goes_together(void **state)
{
	(void)state;
	ask(0, GATE_RUN, "a");
	assert_false(bed->pass[0].inside); /* on a later turn */
	ask(1, GATE_RUN, "a");
	ask(2, GATE_RUN, "b");
	assert_enters("run:a run:a run:b");
	for (int i = 0; i < 3; i++)
		gate_leave(&bed->pass[i]);
	ask(3, GATE_SWITCH, "a1");
	ask(4, GATE_SWITCH, "b1");
	assert_enters("a1 b1");
}

static void the_others_wait(void **state)
{
	(void)state;
	ask(0, GATE_RUN, "a");
	assert_enters("run:a");
	ask(1, GATE_SWITCH, "a1");
	ask(2, GATE_SWITCH, "a2");
	assert_enters("");
	gate_leave(&bed->pass[0]);
	assert_enters("a1 a2");
	ask(0, GATE_RUN, "a");
	assert_enters("");
	gate_leave(&bed->pass[1]);
	assert_enters(""); /* one is still there */
	gate_leave(&bed->pass[2]);
	assert_enters("run:a");
}

static void who_reads_nothing_of_it_does_not_wait(void **state)
{
	(void)state;
	ask(0, GATE_RUN, "a");
	ask(1, GATE_SWITCH, "b1");
	ask(2, GATE_SWITCH, "*");
	ask(3, GATE_SWITCH, NULL);
	assert_enters("run:a b1");
	gate_leave(&bed->pass[0]);
	assert_enters("* ?");
}

/* However many of one kind come one after the other, while the gate is theirs: who asked before them goes before them. */
static void nobody_starves(void **state)
{
	static const enum gate_kind kinds[] = { GATE_RUN, GATE_SWITCH };

	(void)state;
	for (int k = 0; k < 2; k++) {
		const char *stream = kinds[k] == GATE_RUN ? "a" : "a1", *other = kinds[k] == GATE_RUN ? "a1" : "a";

		ask(0, kinds[k], stream);
		assert_enters(k ? "a1" : "run:a");
		ask(1, kinds[!k], other);
		ask(2, kinds[k], stream);
		assert_enters("");
		gate_leave(&bed->pass[0]);
		assert_enters(k ? "run:a" : "a1");
		ask(3, kinds[!k], other); /* the same the other way round */
		gate_leave(&bed->pass[1]);
		assert_enters(k ? "a1" : "run:a");
		gate_leave(&bed->pass[2]);
		assert_enters(k ? "run:a" : "a1");
		gate_leave(&bed->pass[3]);
	}
}

static void leaving_while_waiting(void **state)
{
	(void)state;
	ask(0, GATE_RUN, "a");
	assert_enters("run:a");
	ask(1, GATE_SWITCH, "a1");
	ask(2, GATE_RUN, "a");
	assert_enters("");
	gate_leave(&bed->pass[1]); /* nobody is in the way any more */
	gate_leave(&bed->pass[1]);
	assert_enters("run:a");
	ask(3, GATE_SWITCH, "b1");
	gate_leave(&bed->pass[3]); /* before anybody looked */
	assert_enters("");
}

static void leave_the_other(void *arg)
{
	struct gate_pass *p = arg;

	gate_leave(&bed->pass[p == &bed->pass[0] ? 1 : 0]);
	entered(p);
}

/* Let in, and left before it was told. */
static void leaving_at_the_door(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		ask(i, GATE_SWITCH, i ? "a2" : "a1");
		bed->pass[i].enter = leave_the_other;
	}
	assert_enters("a1");
}

static void entering_and_leaving_at_once(void **state)
{
	(void)state;
	bed->leaves = true;
	ask(0, GATE_SWITCH, "a1");
	ask(1, GATE_RUN, "a");
	ask(2, GATE_SWITCH, "a2");
	ask(3, GATE_RUN, "a");
	assert_enters("a1 run:a a2 run:a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_kind_goes_together, setup, teardown),
		cmocka_unit_test_setup_teardown(the_others_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(who_reads_nothing_of_it_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_starves, setup, teardown),
		cmocka_unit_test_setup_teardown(leaving_while_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(leaving_at_the_door, setup, teardown),
		cmocka_unit_test_setup_teardown(entering_and_leaving_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
