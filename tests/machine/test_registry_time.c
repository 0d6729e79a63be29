/* SPDX-License-Identifier: ISC */
/* Simulated weeks and years: renewals, retries, and clocks that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { DAY = 86400, YEAR = 365 * DAY };

/* The wall clock is set; the monotonic ones go on. */
static void jump(int64_t seconds)
{
	clock_freeze(clock_now() + seconds);
}

static void conf_many(struct script *s, unsigned n)
{
	char text[65536] = SCRIPT_MAIN "certificate = (";

	for (unsigned i = 0; i < n; i++)
		sprintf(text + strlen(text), "%s{ name = \"c%u\"; names = [ \"c%u.test\" ]; }", i ? ", " : " ", i, i);
	strcat(text, " );");
	script_conf(s, text);
}

static void serve_many(struct script *s, unsigned n)
{
	conf_many(s, n);
	script_run(s, 5000);
	assert_int_equal(s->issued, n);
	script_forget(s);
}

/* --- the plain course of time ------------------------------------------------------------------------------------------------------- */

static void a_year_of_renewals(void **state)
{
	struct script *s = *state;

	serve_many(s, 20);
	script_run(s, 365 * (int64_t)DAY_MS);
	/* Each after two thirds of 90 days, a little spread: six more of each. */
	assert_in_range(s->issued, 20 * 7, 20 * 8);
	assert_int_equal(s->created, s->issued);
	for (unsigned i = 0; i < 20; i++) {
		char name[8];

		snprintf(name, sizeof name, "c%u", i);
		assert_true(script_cert(s, name)->not_after - clock_now() > 29 * DAY);
	}
}

static void short_lives_are_renewed_at_half(void **state)
{
	struct script *s = *state;

	s->life_s = 6 * DAY;
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_run(s, 30 * (int64_t)DAY_MS);
	assert_in_range(s->issued, 10, 12);
	assert_true(script_cert(s, "a")->not_after - clock_now() > 2 * DAY);
}

/* A certificate that ends in a second, or has ended by the time it is there: no storm. */
static void absurd_lives_make_no_storm(void **state)
{
	struct script *s = *state;

	for (int64_t life = 1; life <= 10000; life *= 10) {
		s->life_s = 1 + life / 2;
		s->early_s = life % 100 ? 0 : -3600;
		script_forget(s);
		script_conf(s, SCRIPT_ONE);
		script_run(s, HOUR_MS);
		assert_in_range(s->count[OP_CREATE], 1, 61);
	}
	script_forget(s);
	s->life_s = 90 * DAY;
	script_run(s, 2 * (int64_t)DAY_MS);
	assert_true(script_cert(s, "a")->not_after > clock_now());
}

static void nothing_wakes_us_more_than_once_a_minute(void **state)
{
	struct script *s = *state;
	unsigned ticks;

	serve_many(s, 100);
	ticks = s->ticks;
	script_run(s, 10 * MINUTE_MS);
	assert_in_range(s->ticks - ticks, 10, 11);
	assert_int_equal(s->ops, 0);
}

/* --- A3: failures for weeks ------------------------------------------------------------------------------------------------------------ */

static void sixty_days_of_nothing_but_failures(void **state)
{
	struct script *s = *state;
	struct cert *c;
	int64_t last = 0, delay = 0; /* seen up to 20 s late */
	unsigned n = 0;

	script_rule(s, OP_ACCOUNT, FAIL)->times = ALWAYS;
	script_conf(s, SCRIPT_ONE);
	while (clock_now() < SCRIPT_NOW + 60 * DAY) {
		script_run(s, 20000);
		c = script_cert(s, "a");
		if (c->attempts == n)
			continue;
		assert_int_equal(c->attempts, n + 1);
		n = c->attempts;
		assert_true(c->next_at > clock_now());
		assert_true(n == 1 || n > 4 || c->next_at - clock_now() > delay);
		delay = c->next_at - clock_now();
		assert_in_range(delay, 24, DAY * 5 / 4 + 1);
		last = clock_now();
		if (n == 3 || n == 20)
			script_stop(s), script_conf(s, NULL); /* a restart does not reset it */
	}
	assert_true(last > SCRIPT_NOW + 58 * DAY);
	assert_in_range(s->count[OP_ACCOUNT], 45, 85);
	script_forget_rules(s);
	script_run(s, DAY_MS * 5 / 4 + 1000);
	assert_true(script_is_served(s, "a")); /* within one interval */
}

static void the_schedule_outlives_restarts(void **state)
{
	struct script *s = *state;
	int64_t at;

	script_fail(s, OP_CREATE, ERR_TEMP, "connect")->times = 3;
	script_conf(s, SCRIPT_ONE);
	while (script_cert(s, "a")->attempts < 3)
		loop_turn(true);
	script_run(s, 1);
	at = script_cert(s, "a")->next_at;
	script_crash(s);
	assert_int_equal(script_cert(s, "a")->attempts, 3);
	assert_int_equal(script_cert(s, "a")->next_at, at);
	assert_int_equal(script_cert(s, "a")->state, CERT_FAILED);
	assert_string_equal(script_cert(s, "a")->last_error->type, "connect");
	script_until_served(s, "a");
	assert_in_range(clock_now(), at, at + 2);
}

/* Twice as long away as the retry: it is simply due. */
static void what_became_due_while_we_were_down_is_done_at_once(void **state)
{
	struct script *s = *state;

	serve_many(s, 10);
	script_stop(s);
	clock_advance(75 * (int64_t)DAY_MS);
	script_conf(s, NULL);
	script_run(s, 5000);
	assert_int_equal(s->issued, 20);
}

/* D8: the machine slept; all clocks that count went on. */
static void a_long_sleep_is_noticed_within_a_minute(void **state)
{
	struct script *s = *state;

	serve_many(s, 10);
	clock_advance(61 * (int64_t)DAY_MS); /* no timer fired meanwhile */
	script_run(s, MINUTE_MS);
	assert_int_equal(s->issued, 20);
}

/* --- D7: the wall clock ------------------------------------------------------------------------------------------------------------------ */

static void a_jump_ahead_starts_no_stampede(void **state)
{
	struct script *s = *state;

	serve_many(s, 50);
	jump(YEAR);
	script_run(s, 9 * MINUTE_MS);
	assert_int_equal(s->ops, 0);
	script_run(s, 20 * MINUTE_MS);
	assert_in_range(s->count[OP_CREATE], 5, 45); /* spread over the hour */
	script_run(s, HOUR_MS);
	assert_int_equal(s->count[OP_CREATE], 50);
}

static void what_was_never_issued_does_not_wait_after_a_jump(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_CREATE, ERR_TEMP, "scripted");
	conf_many(s, 1);
	script_run(s, 5000);
	assert_int_equal(s->issued, 0);
	jump(YEAR);
	script_run(s, 2 * MINUTE_MS);
	assert_int_equal(s->issued, 1);
}

/* It was wrong for a few minutes, and is right again: as if nothing had been. */
static void a_jump_ahead_and_back_leaves_everything_as_it_was(void **state)
{
	struct script *s = *state;
	int64_t next[50];
	char name[8];

	serve_many(s, 50);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "c%u", i);
		next[i] = script_cert(s, name)->next_at;
	}
	jump(YEAR);
	script_run(s, 5 * MINUTE_MS);
	jump(-YEAR);
	script_run(s, 2 * MINUTE_MS);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "c%u", i);
		assert_int_equal(script_cert(s, name)->next_at, next[i]);
	}
	assert_int_equal(s->ops, 0);
	script_run(s, 62 * (int64_t)DAY_MS);
	assert_int_equal(s->count[OP_CREATE], 50);
}

static void a_jump_back_delays_no_retry(void **state)
{
	static const int64_t back[] = { DAY, YEAR / 10 };
	struct script *s = *state;

	for (size_t i = 0; i < 2; i++) {
		struct err err;

		script_fail(s, OP_CREATE, ERR_TEMP, "connect")->times = 4;
		if (i == 0)
			script_conf(s, SCRIPT_ONE);
		else
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		while (script_cert(s, "a")->attempts < 4)
			loop_turn(true);
		script_run(s, 1000);
		jump(-back[i]);
		script_run(s, 3 * (int64_t)DAY_MS);
		assert_int_equal(script_cert(s, "a")->attempts, 0);
		jump(back[i]);
		script_run(s, 1000);
	}
}

/* The clock was ahead when we stopped, and is right when we start. */
static void a_record_from_the_future_is_not_waited_for(void **state)
{
	struct script *s = *state;

	jump(2 * YEAR);
	script_fail(s, OP_CREATE, ERR_TEMP, "connect");
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	script_stop(s);
	jump(-2 * YEAR);
	script_conf(s, NULL);
	script_run(s, DAY_MS * 5 / 4);
	assert_true(script_is_served(s, "a"));
}

/* ... unless the CA itself named the day. */
static void a_far_day_that_the_ca_named_is_waited_for(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_fail(s, OP_CREATE, ERR_LIMIT, "rateLimited");

	rule->err.not_before = SCRIPT_NOW + 7 * DAY;
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	script_crash(s);
	assert_int_equal(script_cert(s, "a")->next_at, SCRIPT_NOW + 7 * DAY);
	jump(-1000);
	script_run(s, 2 * MINUTE_MS);
	assert_int_equal(script_cert(s, "a")->next_at, SCRIPT_NOW + 7 * DAY);
}

static void in_1970_nothing_is_ordered(void **state)
{
	struct script *s = *state;
	int64_t now = clock_now();
	struct err err;

	jump(-now + 1000);
	conf_many(s, 5);
	script_run(s, DAY_MS);
	assert_int_equal(s->count[OP_ACCOUNT], 0);
	assert_false(registry_renew(s->registry, script_cert(s, "c0"), true, &err)); /* whoever asks for it is told why */
	assert_string_equal(err.type, "clock");
	jump(now - clock_now());
	script_run(s, 2 * MINUTE_MS);
	assert_int_equal(s->issued, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(script_cert(s, "c0")->attempts, 0);
}

static void a_host_without_a_clock_of_its_own_starts_every_day_in_1970(void **state)
{
	struct script *s = *state;
	int64_t now;

	serve_many(s, 5);
	for (int boot = 0; boot < 3; boot++) {
		script_stop(s);
		now = clock_now();
		jump(-now);
		script_conf(s, NULL);
		script_run(s, 20000);
		jump(now + 20 - clock_now());
		script_run(s, 10 * (int64_t)DAY_MS);
	}
	assert_int_equal(s->ops, s->count[OP_VERIFY]); /* nothing was due */
	assert_true(script_cert(s, "c3")->next_at > clock_now());
	script_stop(s);
	now = clock_now() + 40 * DAY; /* renewal is overdue */
	jump(-clock_now());
	script_conf(s, NULL);
	script_run(s, 20000);
	jump(now - clock_now());
	script_run(s, 80 * (int64_t)MINUTE_MS);
	assert_int_equal(s->count[OP_CREATE], 5);
}

static void a_clock_that_fails_in_the_middle_of_an_order(void **state)
{
	struct script *s = *state;
	int64_t now;

	script_rule(s, OP_FETCH, FAIL)->delay_ms = 1000;
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_FETCH, 1);
	now = clock_now();
	jump(-now + 5000);
	script_run(s, HOUR_MS);
	assert_int_equal(script_cert(s, "a")->attempts, 1);
	jump(now - clock_now());
	script_run(s, 2 * HOUR_MS);
	assert_true(script_is_served(s, "a"));
	assert_int_equal(s->created, 1);
}

/* Small corrections, leap seconds, NTP: nothing to speak of. */
static void small_steps_are_no_jumps(void **state)
{
	struct script *s = *state;
	struct cert *c;
	int64_t at;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	c = script_cert(s, "a");
	at = c->next_at;
	for (int i = 0; i < 50; i++) {
		jump(i % 2 ? 200 : -199);
		script_run(s, MINUTE_MS);
	}
	assert_int_equal(c->next_at, at);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_year_of_renewals),
		TEST(short_lives_are_renewed_at_half),
		TEST(absurd_lives_make_no_storm),
		TEST(nothing_wakes_us_more_than_once_a_minute),
		TEST(sixty_days_of_nothing_but_failures),
		TEST(the_schedule_outlives_restarts),
		TEST(what_became_due_while_we_were_down_is_done_at_once),
		TEST(a_long_sleep_is_noticed_within_a_minute),
		TEST(a_jump_ahead_starts_no_stampede),
		TEST(what_was_never_issued_does_not_wait_after_a_jump),
		TEST(a_jump_ahead_and_back_leaves_everything_as_it_was),
		TEST(a_jump_back_delays_no_retry),
		TEST(a_record_from_the_future_is_not_waited_for),
		TEST(a_far_day_that_the_ca_named_is_waited_for),
		TEST(in_1970_nothing_is_ordered),
		TEST(a_host_without_a_clock_of_its_own_starts_every_day_in_1970),
		TEST(a_clock_that_fails_in_the_middle_of_an_order),
		TEST(small_steps_are_no_jumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
