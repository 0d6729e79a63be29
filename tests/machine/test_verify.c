/* SPDX-License-Identifier: ISC */
/* The daily look at files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <string.h>

#include "base/clock.h"

#define THREE SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "") ", " SCRIPT_CERT("b", "") ", " SCRIPT_CERT("off", "enabled = false;") " );\n"

static void serve(struct script *s)
{
	script_conf(s, THREE);
	script_until_served(s, "a");
	script_until_served(s, "b");
	script_forget(s);
}

static void once_a_day_and_one_after_the_other(void **state)
{
	struct script *s = *state;

	serve(s);
	script_run(s, 23 * (int64_t)HOUR_MS);
	assert_int_equal(s->count[OP_VERIFY], 0); /* the keeper has done so at its start */
	script_run(s, 2 * HOUR_MS);
	assert_string_equal(s->trace, "verify verify");
	script_run(s, 10 * (int64_t)DAY_MS);
	assert_int_equal(s->count[OP_VERIFY], 2 * 11);
	assert_int_equal(s->count[OP_LOAD], 0);
}

static void what_was_changed_is_put_into_service_again(void **state)
{
	struct script *s = *state;

	serve(s);
	s->damaged = "b";
	script_run(s, 24 * (int64_t)HOUR_MS + MINUTE_MS);
	s->damaged = NULL;
	script_until_served(s, "b");
	assert_int_equal(s->count[OP_LOAD], 1);
	assert_int_equal(s->count[OP_CREATE], 0);
	assert_true(script_has_event(s, "b", "mended"));
	assert_false(script_has_event(s, "a", "mended"));
	script_forget(s);
	script_run(s, 2 * (int64_t)DAY_MS);
	assert_int_equal(s->count[OP_LOAD], 0);
}

static void a_keeper_that_cannot_is_asked_again_in_an_hour(void **state)
{
	struct script *s = *state;

	serve(s);
	script_fail(s, OP_VERIFY, ERR_LOCAL, "disk");
	script_run(s, 24 * (int64_t)HOUR_MS + MINUTE_MS);
	assert_int_equal(s->count[OP_VERIFY], 1);
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	assert_int_equal(s->count[OP_VERIFY], 3);
}

/* The configuration changes, and the daemon ends, while one is looked at. */
static void what_it_is_about_may_go(void **state)
{
	struct script *s = *state;

	serve(s);
	s->damaged = "a";
	script_rule(s, OP_VERIFY, PASS)->delay_ms = 30000;
	script_until_op(s, OP_VERIFY, 1);
	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("b", "") " );\n");
	script_run(s, 2 * MINUTE_MS);
	assert_int_equal(s->count[OP_LOAD], 0);
	script_rule(s, OP_VERIFY, SILENT);
	script_until_op(s, OP_VERIFY, s->count[OP_VERIFY] + 1);
	script_stop(s);
	script_conf(s, NULL);
	script_until_served(s, "b");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(once_a_day_and_one_after_the_other),
		TEST(what_was_changed_is_put_into_service_again),
		TEST(a_keeper_that_cannot_is_asked_again_in_an_hour),
		TEST(what_it_is_about_may_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
