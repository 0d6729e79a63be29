/* SPDX-License-Identifier: ISC */
/* Crashes at every operation of an order, before it was done and after it was done but before its answer: what was not committed is lost. Each ends,
 * after the restart, in exactly one order, one certificate, one installation, served, with nothing left published. */
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

#define TWO_NAMES SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\", \"b.test\" ]; service = [ \"web\" ]; } );"

struct story {
	const char *conf;
	void (*prepare)(struct script *s); /* once started and idle; NULL: the first order is what it is about */
	void (*change)(struct script *s);  /* after the crash */
	unsigned created, issued;          /* in all */
	int64_t generation;
	bool strict;                       /* methods are; see script.h */
};

static bool goes_on(struct script *s, const void *arg)
{
	const unsigned *starts = arg;

	return s->starts != *starts || (!script_cert(s, "a")->order && !script_cert(s, "a")->asking && script_cert(s, "a")->next_at > clock_now());
}

/* true: the crash came; false: the story was over before. */
static bool tell(const struct story *t, unsigned at, bool done, unsigned again)
{
	void *state;
	struct script *s;
	unsigned starts;

	assert_int_equal(script_setup(&state), 0);
	s = state;
	s->strict = t->strict;
	if (t->prepare) {
		script_conf(s, t->conf);
		script_until_served(s, "a");
		t->prepare(s);
	}
	script_forget(s);
	s->crash_at = at;
	s->crash_done = done;
	if (!t->prepare)
		script_conf(s, t->conf);
	starts = s->starts ? s->starts : 1;
	script_until(s, goes_on, &starts, 10 * (int64_t)DAY_MS);
	if (s->starts == starts) {
		assert_int_equal(script_teardown(&state), 0);
		return false;
	}
	if (t->change)
		t->change(s);
	if (again) { /* and once more, soon after */
		script_forget(s);
		s->crash_at = again;
	}
	script_until_served(s, "a");
	if (s->created != t->created || s->issued != t->issued || s->published || script_cert(s, "a")->generation != t->generation ||
	    script_cert(s, "a")->products || !script_is_served(s, "a"))
		fail_msg("crash at %u (%s), again %u: %u created, %u issued, %zu published, generation %lld; %s", at, done ? "done" : "not done", again,
			s->created, s->issued, s->published, (long long)script_cert(s, "a")->generation, s->trace);
	assert_int_equal(script_teardown(&state), 0);
	return true;
}

static void tell_all(const struct story *t)
{
	unsigned n = 0;

	for (unsigned at = 1; tell(t, at, false, 0); at++) {
		assert_true(tell(t, at, true, 0));
		assert_true(tell(t, at, true, 1 + at % 5));
		n++;
	}
	assert_true(n >= 8);
}

static void the_first_order(void **state)
{
	static const struct story t = { SCRIPT_ONE, NULL, NULL, 1, 1, 1, false };

	(void)state;
	tell_all(&t);
}

static void the_first_order_by_a_strict_method(void **state)
{
	static const struct story t = { SCRIPT_ONE, NULL, NULL, 1, 1, 1, true };

	(void)state;
	tell_all(&t);
}

static void two_names(void **state)
{
	static const struct story t = { TWO_NAMES, NULL, NULL, 1, 1, 1, false };

	(void)state;
	tell_all(&t);
}

static void force(struct script *s)
{
	struct err err;

	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
}

static void a_renewal(void **state)
{
	static const struct story t = { SCRIPT_ONE, force, NULL, 2, 2, 2, false };

	(void)state;
	tell_all(&t);
}

/* No proof is asked for: the order is ready when it comes. */
static void be_ready(struct script *s)
{
	s->born = ISSUER_READY;
	force(s);
}

static void an_order_that_is_ready_at_once(void **state)
{
	static const struct story t = { SCRIPT_ONE, be_ready, NULL, 2, 2, 2, false };

	(void)state;
	tell_all(&t);
}

static void take_time(struct script *s)
{
	s->processing = 3;
	force(s);
}

static void an_order_that_is_processed(void **state)
{
	static const struct story t = { SCRIPT_ONE, take_time, NULL, 2, 2, 2, false };

	(void)state;
	tell_all(&t);
}

static void be_deaf(struct script *s)
{
	struct script_rule *rule = script_rule(s, OP_LOOK, PASS);

	rule->delay_ms = 3000; /* so that there are not too many to crash at */
	rule->times = ALWAYS;
	s->deaf = true;
	force(s);
}

static void listen_again(struct script *s)
{
	s->deaf = false;
}

static void one_that_is_rolled_back(void **state)
{
	static const struct story t = { SCRIPT_ONE, be_deaf, listen_again, 2, 2, 2, false };

	(void)state;
	tell_all(&t);
}

/* The CA says no to one of two names: what is left is swept. */
static void say_no(struct script *s)
{
	struct script_rule *rule = script_fail(s, OP_ANNOUNCE, ERR_DENIED, "rejectedIdentifier");

	rule->about = "b.test";
	force(s);
}

/* Until the CA has heard that we give up, the order can still be saved; from then on another one is made. false: the story was over before. */
static bool tell_of_the_sweep(unsigned at, bool done, unsigned *replaced)
{
	void *state;
	struct script *s;
	unsigned starts;
	bool crashed;

	assert_int_equal(script_setup(&state), 0);
	s = state;
	script_conf(s, TWO_NAMES);
	script_until_served(s, "a");
	say_no(s);
	script_forget(s);
	s->crash_at = at;
	s->crash_done = done;
	starts = s->starts;
	script_until(s, goes_on, &starts, 10 * (int64_t)DAY_MS);
	crashed = s->starts != starts;
	script_forget_rules(s);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 2);
	assert_in_range(s->created, 2, 3);
	*replaced += s->created == 3;
	assert_true(script_is_served(s, "a"));
	assert_int_equal(script_teardown(&state), 0);
	return crashed;
}

static void one_that_is_swept(void **state)
{
	unsigned replaced = 0, at = 1;

	(void)state;
	for (; tell_of_the_sweep(at, false, &replaced); at++)
		tell_of_the_sweep(at, true, &replaced);
	assert_in_range(at, 10, 40);
	assert_int_equal(replaced, 2); /* once after the deactivation, once without a crash */
}

/* Stopped in good order at each operation: the same. */
static void stopped_instead_of_crashed(void **state)
{
	(void)state;
	for (unsigned at = 1; at < 40; at++) {
		void *world;
		struct script *s;

		assert_int_equal(script_setup(&world), 0);
		s = world;
		script_conf(s, TWO_NAMES);
		while (s->ops < at && s->issued + script_cert(s, "a")->attempts < 2 && !(script_cert(s, "a")->not_after && !script_cert(s, "a")->order))
			loop_turn(true);
		script_stop(s);
		script_conf(s, NULL);
		script_until_served(s, "a");
		assert_int_equal(s->created, 1);
		assert_int_equal(s->issued, 1);
		assert_int_equal(script_cert(s, "a")->generation, 1);
		assert_int_equal(script_teardown(&world), 0);
	}
}

/* The journal is lost altogether: the keeper knows what is installed, and nothing is ordered for it. */
static void without_its_journal_it_asks_the_keeper(void **state)
{
	struct script *s;

	assert_int_equal(script_setup(state), 0);
	s = *state;
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_stop(s);
	script_lose_record(s, "a");
	script_forget(s);
	script_rule(s, OP_INSTALLED, SILENT);
	script_conf(s, NULL);
	script_run(s, 50000);
	assert_string_equal(s->trace, "installed");
	script_stop(s); /* it still does not know, and must not take silence for an answer */
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
	assert_int_equal(script_cert(s, "a")->generation, 1);
	assert_int_equal(script_cert(s, "a")->not_after, SCRIPT_NOW + 90 * 86400);
	script_run(s, 59 * (int64_t)DAY_MS + 20 * HOUR_MS);
	assert_int_equal(script_cert(s, "a")->generation, 2);
	assert_int_equal(script_teardown(state), 0);
}

/* Garbage instead of a journal. Nothing is known of what the services serve, so they are told once more and looked at. */
static void a_broken_journal_costs_no_certificate(void **state)
{
	struct script *s;
	char *path, junk[4096];
	FILE *f;

	assert_int_equal(script_setup(state), 0);
	s = *state;
	script_conf(s, TWO_NAMES);
	script_until_served(s, "a");
	script_stop(s);
	path = mem_printf("%s/journal.db", s->dir);
	f = fopen(path, "r+");
	memset(junk, 'j', sizeof junk);
	assert_int_equal(fwrite(junk, 1, sizeof junk, f), sizeof junk);
	fclose(f);
	free(path);
	script_forget(s);
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed install test load look confirm");
	assert_int_equal(s->created, 1);
	assert_int_equal(script_cert(s, "a")->generation, 1);
	assert_string_equal(script_cert(s, "a")->next_step, "renew");
	assert_int_equal(script_teardown(state), 0);
}

static void a_keeper_that_is_silent_for_long_is_asked_again(void **state)
{
	struct script *s;

	assert_int_equal(script_setup(state), 0);
	s = *state;
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_stop(s);
	script_lose_record(s, "a");
	script_rule(s, OP_INSTALLED, SILENT)->times = 10;
	script_forget(s);
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_INSTALLED], 11);
	assert_int_equal(s->created, 1);
	/* One that says it cannot tell is no reason to wait for ever. */
	script_stop(s);
	script_lose_record(s, "a");
	script_fail(s, OP_INSTALLED, ERR_LOCAL, "system");
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
	assert_int_equal(script_teardown(state), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		TEST(the_first_order),
		TEST(the_first_order_by_a_strict_method),
		TEST(two_names),
		TEST(a_renewal),
		TEST(an_order_that_is_ready_at_once),
		TEST(an_order_that_is_processed),
		TEST(one_that_is_rolled_back),
		TEST(one_that_is_swept),
		TEST(stopped_instead_of_crashed),
		TEST(without_its_journal_it_asks_the_keeper),
		TEST(a_broken_journal_costs_no_certificate),
		TEST(a_keeper_that_is_silent_for_long_is_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
