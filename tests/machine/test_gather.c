/* SPDX-License-Identifier: ISC */
/* One test and one reload for many certificates of one service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

#define MAIN SCRIPT_CA SCRIPT_HTTP "look_every = \"0s\"; service = ( " \
	"{ name = \"web\"; test = [ \"/bin/true\" ]; command = [ \"/bin/true\" ]; look = [ \"127.0.0.1:443\" ]; }, " \
	"{ name = \"mail\"; test = [ \"/bin/true\" ]; command = [ \"/bin/true\" ]; look = [ \"127.0.0.1:993\" ]; } );\n"

enum { MANY = 200 };

static bool all_served(struct script *s, const void *arg)
{
	struct registry_summary sum;

	(void)arg;
	registry_summary(s->registry, &sum);
	return s->issued > 0 && sum.running == 0 && sum.failing == 0 && sum.stale == 0 && s->published == 0 && sum.waiting == sum.certs;
}

/* c0, c1, ..., each with `service`. */
static void configure(struct script *s, unsigned n, const char *service)
{
	struct buf text;

	buf_init(&text, 0);
	assert_true(buf_printf(&text, MAIN "certificate = ( "));
	for (unsigned i = 0; i < n; i++)
		assert_true(buf_printf(&text, "%s{ name = \"c%u\"; names = [ \"c%u.test\" ]; service = [ %s ]; }", i ? ", " : "", i, i, service));
	assert_true(buf_printf(&text, " );\n"));
	script_conf(s, text.data);
	buf_free(&text);
}

static void many_are_reloaded_once(void **state)
{
	struct script *s = *state;

	configure(s, MANY, "\"web\"");
	script_until(s, all_served, NULL, HOUR_MS);
	assert_int_equal(s->issued, MANY);
	assert_int_equal(s->count[OP_INSTALL], MANY);
	assert_int_equal(s->count[OP_TEST], 1);
	assert_int_equal(s->count[OP_LOAD], 1);
	assert_int_equal(s->loaded_for, MANY);
	assert_int_equal(s->count[OP_LOOK], MANY);
}

static void a_single_one_waits_for_nobody(void **state)
{
	struct script *s = *state;
	int64_t begun = clock_mono_ms();

	configure(s, 1, "\"web\"");
	script_until(s, all_served, NULL, HOUR_MS);
	assert_true(clock_mono_ms() - begun < 2000);
}

/* One is held up: the others are put into service ten seconds after the first of them, it itself later. */
static void the_late_are_awaited_for_ten_seconds(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_SEE, PASS);
	int64_t begun = clock_mono_ms();

	rule->about = "c3.test";
	rule->delay_ms = 60000;
	configure(s, 6, "\"web\"");
	script_until_op(s, OP_LOAD, 1);
	assert_in_range(clock_mono_ms() - begun, 10000, 12000);
	assert_int_equal(s->count[OP_INSTALL], 5);
	script_until(s, all_served, NULL, HOUR_MS);
	assert_int_equal(s->count[OP_TEST], 2);
	assert_int_equal(s->count[OP_LOAD], 2);
}

/* It ends before that: nobody waits for it any more. */
static void who_gives_up_is_not_awaited(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_fail(s, OP_PUBLISH, ERR_DENIED, "unauthorized");
	int64_t begun = clock_mono_ms();

	rule->about = "c3.test";
	rule->delay_ms = 3000;
	configure(s, 6, "\"web\"");
	script_until_op(s, OP_LOAD, 1);
	assert_in_range(clock_mono_ms() - begun, 3000, 6000);
	assert_int_equal(s->count[OP_INSTALL], 5);
	script_until_state(s, "c0", CERT_WAITING);
	assert_int_equal(s->count[OP_LOAD], 1);
	script_until(s, all_served, NULL, 2 * (int64_t)DAY_MS);
}

static void other_services_are_not_held_up(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_SEE, PASS);
	int64_t begun = clock_mono_ms();

	rule->about = "slow.test";
	rule->delay_ms = 60000;
	script_conf(s, MAIN "certificate = ( { name = \"slow\"; names = [ \"slow.test\" ]; service = [ \"web\" ]; }, "
		"{ name = \"fast\"; names = [ \"fast.test\" ]; service = [ \"mail\" ]; }, "
		"{ name = \"both\"; names = [ \"both.test\" ]; service = [ \"mail\", \"web\" ]; } );");
	script_until_state(s, "fast", CERT_LOOKING);
	assert_true(clock_mono_ms() - begun < 2000);
	script_until_state(s, "both", CERT_LOOKING);
	assert_in_range(clock_mono_ms() - begun, 10000, 12000);
	script_until(s, all_served, NULL, HOUR_MS);
}

/* A test that fails takes all of them back, and all of them try again. */
static void what_fails_together_is_tried_again(void **state)
{
	struct script *s = *state;

	configure(s, 20, "\"web\"");
	script_until(s, all_served, NULL, HOUR_MS);
	script_fail(s, OP_TEST, ERR_LOCAL, "exit");
	for (unsigned i = 0; i < 20; i++) {
		struct err err;
		char name[16];

		snprintf(name, sizeof name, "c%u", i);
		assert_true(registry_renew(s->registry, script_cert(s, name), true, &err));
	}
	script_until_state(s, "c7", CERT_FAILED);
	script_run(s, 1000);
	assert_int_equal(s->count[OP_ROLLBACK], 20);
	assert_int_equal(s->count[OP_TEST], 3);
	assert_int_equal(s->count[OP_LOAD], 1);
	script_until(s, all_served, NULL, HOUR_MS);
	assert_int_equal(s->issued, 40);
}

/* The certificate leaves, or the configuration changes, while it waits. */
static void a_wait_ends_with_what_it_is_for(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_SEE, PASS);

	rule->about = "c1.test";
	rule->delay_ms = 60000;
	configure(s, 3, "\"web\"");
	script_until_op(s, OP_INSTALL, 2);
	script_run(s, 1000);
	configure(s, 2, "\"mail\", \"web\""); /* c2 is gone, the others are to be seen elsewhere, too */
	script_until_op(s, OP_LOAD, 1);
	script_run(s, 1000);
	script_crash(s);
	script_until(s, all_served, NULL, HOUR_MS);
	assert_int_equal(script_cert(s, "c0")->ntargets, 2);
	script_stop(s);
	script_conf(s, NULL);
}

/* Stopped while it waits. */
static void a_wait_ends_with_the_daemon(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_SEE, PASS);

	rule->about = "c1.test";
	rule->delay_ms = 5000;
	configure(s, 2, "\"web\"");
	script_until_op(s, OP_INSTALL, 1);
	script_run(s, 100);
	script_stop(s);
	script_conf(s, NULL);
	script_until(s, all_served, NULL, HOUR_MS);
	assert_int_equal(s->issued, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(many_are_reloaded_once),
		TEST(a_single_one_waits_for_nobody),
		TEST(the_late_are_awaited_for_ten_seconds),
		TEST(who_gives_up_is_not_awaited),
		TEST(other_services_are_not_held_up),
		TEST(what_fails_together_is_tried_again),
		TEST(a_wait_ends_with_what_it_is_for),
		TEST(a_wait_ends_with_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
