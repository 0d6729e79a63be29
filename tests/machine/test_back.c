/* SPDX-License-Identifier: ISC */
/* An operator goes back to the certificate before: it is put into service, and stays until it is renewed, configured anew, or half over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static void two_generations(struct script *s)
{
	struct err err;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2);
	script_forget(s);
}

static struct {
	unsigned times;
	struct err err; /* kind ERR_NONE: it went well */
} heard;

static void hear(void *arg, const struct err *err)
{
	(void)arg;
	heard.times++;
	heard.err = err ? *err : (struct err){0};
}

static void ask(struct script *s)
{
	memset(&heard, 0, sizeof(heard));
	registry_back(s->registry, script_cert(s, "a"), hear, NULL);
}

static bool has_heard(struct script *s, const void *arg)
{
	(void)s, (void)arg;
	return heard.times > 0;
}

static const char *refused(struct script *s)
{
	ask(s);
	script_until(s, has_heard, NULL, HOUR_MS);
	assert_int_equal(heard.times, 1);
	assert_int_not_equal(heard.err.kind, ERR_NONE);
	return heard.err.type;
}

static void go_back(struct script *s)
{
	ask(s);
	script_until(s, has_heard, NULL, HOUR_MS);
	assert_int_equal(heard.err.kind, ERR_NONE);
	script_until_idle(s, "a");
}

static void is_held(struct script *s, int64_t generation)
{
	struct cert *c = script_cert(s, "a");

	assert_int_equal(c->state, CERT_HELD);
	assert_int_equal(c->generation, generation);
	assert_int_equal(script_place(s, "a")->current, generation);
	assert_true(script_is_served(s, "a"));
	assert_int_equal(c->attempts, 0);
	assert_string_equal(c->last_error->type, "rolledBack");
	assert_string_equal(c->next_step, "renew");
	assert_in_range(c->next_at, c->back.at + 1, c->not_after - 1);
	assert_int_equal(c->next_at - c->back.at, (c->not_after - c->back.at) / 2);
}

static void it_is_put_into_service_and_stays(void **state)
{
	struct script *s = *state;

	two_generations(s);
	go_back(s);
	assert_string_equal(s->trace, "rollback installed install test load look confirm");
	is_held(s, 1);
	assert_true(script_has_event(s, "a", "rolled-back"));
	script_run(s, 20 * DAY_MS);
	is_held(s, 1);
	assert_int_equal(s->issued, 2);
	assert_string_equal(refused(s), "rolledBack");
	is_held(s, 1);
}

static void half_of_its_life_later_it_is_renewed(void **state)
{
	struct script *s = *state;
	int64_t at;

	two_generations(s);
	script_run(s, 10 * DAY_MS);
	go_back(s);
	at = script_cert(s, "a")->next_at;
	script_run(s, (at - clock_now() - 60) * 1000);
	assert_int_equal(s->issued, 2);
	script_run(s, 10 * MINUTE_MS);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 3);
	assert_int_equal(script_cert(s, "a")->state, CERT_WAITING);
	assert_null(script_cert(s, "a")->last_error);
	assert_int_equal(script_cert(s, "a")->back.at, 0);
}

static void renewing_ends_it(void **state)
{
	struct script *s = *state;
	struct err err;

	two_generations(s);
	go_back(s);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), false, &err));
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 3);
	assert_int_equal(script_cert(s, "a")->state, CERT_WAITING);
	/* and from there it can be gone back again, past the one that was left */
	go_back(s);
	is_held(s, 1);
}

static void another_configuration_ends_it(void **state)
{
	struct script *s = *state;

	two_generations(s);
	go_back(s);
	script_conf(s, SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\", \"b.test\" ]; service = [ \"web\" ]; } );\n");
	script_until_served(s, "a");
	assert_int_equal(s->issued, 3);
	assert_int_equal(script_cert(s, "a")->state, CERT_WAITING);
}

/* One for other names than are configured by now is what the operator wanted all the same. */
static void other_names_do_not_matter(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_conf(s, SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\", \"b.test\" ]; service = [ \"web\" ]; } );\n");
	script_until_served(s, "a");
	go_back(s);
	is_held(s, 1);
	script_run(s, 20 * DAY_MS);
	is_held(s, 1);
}

/* Nor does it matter how they would be proved. */
static void another_way_to_prove_does_not_end_it(void **state)
{
	static const char other[] = SCRIPT_CA SCRIPT_SERVICE "http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; }, "
		"{ name = \"more\"; type = \"webroot\"; path = \"/srv/more\"; } );\n" "certificate = ( " SCRIPT_CERT("a", "") " );\n";
	struct script *s = *state;

	two_generations(s);
	go_back(s);
	script_conf(s, other);
	is_held(s, 1);
	script_stop(s);
	script_conf(s, SCRIPT_ONE);
	script_run(s, DAY_MS);
	is_held(s, 1);
	assert_int_equal(s->issued, 2);
}

static void it_outlives_a_restart(void **state)
{
	struct script *s = *state;

	two_generations(s);
	go_back(s);
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, DAY_MS);
	is_held(s, 1);
	assert_int_equal(s->issued, 2);
}

static void a_stale_one_is_given_up(void **state)
{
	struct script *s = *state;
	struct err err;

	two_generations(s);
	s->deaf = true;
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_state(s, "a", CERT_STALE);
	s->deaf = false;
	go_back(s);
	is_held(s, 2);
	script_run(s, 20 * DAY_MS);
	is_held(s, 2);
	assert_int_equal(s->issued, 3);
}

/* It was taken back already, and is tried again and again: that ends. */
static void one_that_fails_its_test_is_given_up(void **state)
{
	struct script *s = *state;
	struct err err;

	two_generations(s);
	script_fail(s, OP_TEST, ERR_LOCAL, "exit");
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_state(s, "a", CERT_FAILED);
	script_until(s, has_heard, (ask(s), NULL), HOUR_MS);
	if (heard.err.kind != ERR_NONE) { /* asked in the moment it is being looked at */
		assert_string_equal(heard.err.type, "busy");
		script_run(s, 1000);
		go_back(s);
	}
	script_until_idle(s, "a");
	is_held(s, 2);
	script_run(s, 20 * DAY_MS);
	is_held(s, 2);
	assert_int_equal(s->issued, 3);
}

static void services_that_do_not_take_it_are_told_again(void **state)
{
	struct script *s = *state;

	two_generations(s);
	s->deaf = true;
	go_back(s);
	assert_int_equal(script_cert(s, "a")->state, CERT_STALE);
	assert_int_equal(script_place(s, "a")->current, 1); /* what an operator wanted is not taken back */
	s->deaf = false;
	script_until_state(s, "a", CERT_HELD);
	is_held(s, 1);
	assert_int_equal(s->issued, 2);
}

static void what_cannot_be_is_refused(void **state)
{
	struct script *s = *state;
	struct err err;

	script_conf(s, SCRIPT_ONE);
	assert_string_equal(refused(s), "not-issued");
	script_until_op(s, OP_PUBLISH, 1);
	script_until_served(s, "a");
	script_run(s, 60000);
	assert_string_equal(refused(s), "no-previous");
	assert_int_equal(script_cert(s, "a")->state, CERT_WAITING);
	assert_int_equal(s->count[OP_LOAD], 1); /* nothing came of it */
	script_run(s, DAY_MS);
	assert_int_equal(s->count[OP_LOAD], 1);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_op(s, OP_INSTALL, 2);
	assert_string_equal(refused(s), "busy");
	script_until_served(s, "a");
	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "enabled = false;") " );\n");
	assert_string_equal(refused(s), "disabled");
	assert_true(script_is_served(s, "a"));
}

/* There is none to go back to: it is renewed when it is due all the same. */
static void what_was_refused_changes_no_plan(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_string_equal(refused(s), "no-previous");
	script_run(s, 70 * (int64_t)DAY_MS);
	assert_int_equal(s->issued, 2);
}

/* Nor does it make forget what somebody wanted before. */
static void what_was_refused_cancels_no_renewal(void **state)
{
	struct script *s = *state;
	struct cert *c;
	struct err err;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_fail(s, OP_PUBLISH, ERR_LOCAL, "system");
	c = script_cert(s, "a");
	assert_true(registry_renew(s->registry, c, true, &err));
	script_until_state(s, "a", CERT_FAILED);
	assert_string_equal(refused(s), "no-previous");
	assert_true(c->forced);
	assert_string_equal(c->last_error->type, "system");
	script_run(s, HOUR_MS);
	assert_int_equal(s->issued, 2);
	assert_false(c->forced);
}

/* An order was left half done: its URL does not go with the certificate that is put back, what it published goes away. */
static void a_half_done_order_is_left(void **state)
{
	struct script *s = *state;
	struct err err;

	two_generations(s);
	script_fail(s, OP_ANNOUNCE, ERR_LOCAL, "system");
	script_fail(s, OP_WITHDRAW, ERR_TEMP, "connect")->times = 3;
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_state(s, "a", CERT_FAILED);
	assert_non_null(js_str(script_cert(s, "a")->products, "url"));
	assert_int_equal(s->published, 1);
	ask(s);
	script_until_op(s, OP_LOOK, s->count[OP_LOOK] + 1);
	assert_null(script_cert(s, "a")->order->url);
	script_until_idle(s, "a");
	script_run(s, DAY_MS);
	assert_int_equal(s->published, 0);
	is_held(s, 1);
}

/* No answer: what is installed tells whether it came to that. */
static void the_answer_is_lost(void **state)
{
	static const struct {
		enum script_what what;
		int64_t generation;
	} rows[] = {{VANISH, 1}, {SILENT, 2}};
	struct script *s = *state;

	two_generations(s);
	for (size_t i = 0; i < 2; i++) {
		struct err err;

		script_rule(s, OP_ROLLBACK, rows[i].what);
		assert_string_equal(refused(s), "keeper");
		script_until_idle(s, "a");
		script_run(s, 1000);
		script_until_idle(s, "a");
		assert_true(script_is_served(s, "a"));
		if (rows[i].generation == 1)
			is_held(s, 1);
		else
			assert_int_equal(script_cert(s, "a")->state, CERT_WAITING);
		assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_served(s, "a");
	}
}

static void killed_at_each_step(void **state)
{
	struct script *s = *state;

	two_generations(s);
	for (unsigned at = 1; at <= 14; at++) {
		struct err err;

		s->crash_at = s->ops + (at + 1) / 2;
		s->crash_done = at % 2;
		s->crashed = false;
		ask(s);
		script_run(s, 10 * MINUTE_MS);
		s->crash_at = 0;
		script_until_idle(s, "a");
		assert_true(script_is_served(s, "a"));
		if (script_cert(s, "a")->state != CERT_WAITING) {
			is_held(s, script_place(s, "a")->current);
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
			script_until_served(s, "a");
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_put_into_service_and_stays),
		TEST(half_of_its_life_later_it_is_renewed),
		TEST(renewing_ends_it),
		TEST(another_configuration_ends_it),
		TEST(other_names_do_not_matter),
		TEST(another_way_to_prove_does_not_end_it),
		TEST(it_outlives_a_restart),
		TEST(a_stale_one_is_given_up),
		TEST(one_that_fails_its_test_is_given_up),
		TEST(services_that_do_not_take_it_are_told_again),
		TEST(what_cannot_be_is_refused),
		TEST(what_was_refused_changes_no_plan),
		TEST(what_was_refused_cancels_no_renewal),
		TEST(a_half_done_order_is_left),
		TEST(the_answer_is_lost),
		TEST(killed_at_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
