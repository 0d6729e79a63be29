/* SPDX-License-Identifier: ISC */
/* The configuration changes while orders run: names, CA, methods, services; certificates come, go, and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define TWO_CAS "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://le.test/dir\"; }, " \
	"{ name = \"zero\"; type = \"acme\"; directory = \"https://zero.test/dir\"; } );\n"
#define REST SCRIPT_HTTP SCRIPT_SERVICE
#define A(names, more) "certificate = ( { name = \"a\"; names = [ " names " ]; service = [ \"web\" ]; " more " } );\n"
#define OTHER "certificate = ( " SCRIPT_CERT("z", "") " );\n"

static const char one_name[] = TWO_CAS REST A("\"a.test\"", "");
static const char two_names[] = TWO_CAS REST A("\"a.test\", \"b.test\"", "");
static const char other_ca[] = TWO_CAS REST A("\"a.test\"", "ca = \"zero\";");
static const char other_way[] = TWO_CAS "http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; }, "
	"{ name = \"more\"; type = \"webroot\"; path = \"/srv/more\"; } );\n" SCRIPT_SERVICE A("\"a.test\"", "prove = [ \"http:more\" ];");
static const char without[] = TWO_CAS REST OTHER;

/* How many operations the first order of this configuration takes in all. */
static unsigned count_ops(const char *text)
{
	void *state;
	struct script *s;
	unsigned n;

	assert_int_equal(script_setup(&state), 0);
	s = state;
	script_conf(s, text);
	script_until_served(s, "a");
	n = s->ops;
	assert_int_equal(script_teardown(&state), 0);
	assert_in_range(n, 10, 40);
	return n;
}

static bool ops_were(struct script *s, const void *arg)
{
	return s->ops >= *(const unsigned *)arg;
}

/* From one configuration to another at each operation of an order, with its answer pending. */
static void change_everywhere(const char *from, const char *to, void (*check)(struct script *s))
{
	unsigned n = count_ops(from);

	for (unsigned at = 1; at <= n + 1; at++) {
		void *state;
		struct script *s;

		assert_int_equal(script_setup(&state), 0);
		s = state;
		script_conf(s, from);
		if (at <= n)
			script_until(s, ops_were, &at, DAY_MS);
		else
			script_until_served(s, "a");
		script_conf(s, to);
		check(s);
		if (s->broken || s->published)
			fail_msg("changed at operation %u: %s", at, s->trace);
		assert_int_equal(script_teardown(&state), 0);
	}
}

/* The new names are served within the minute, whatever was going on. */
static void serves_the_new_names(struct script *s)
{
	struct x509_chain *x;
	struct err err;

	script_run(s, 2000);
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 90);
	x = x509_parse(script_place(s, "a")->served, strlen(script_place(s, "a")->served), &err);
	assert_int_equal(x509_leaf(x)->nnames, s->conf->cert.v[0].names.n);
	x509_free(x);
	assert_true(script_cert(s, "a")->issue == s->conf->cert.v[0].issue);
	assert_null(script_cert(s, "a")->products);
}

static void names_may_change_at_any_time(void **state)
{
	(void)state;
	change_everywhere(one_name, two_names, serves_the_new_names);
	change_everywhere(two_names, one_name, serves_the_new_names);
}

static void comes_from_the_other_ca(struct script *s)
{
	serves_the_new_names(s);
	assert_string_equal(script_cert(s, "a")->ca, "zero");
	assert_string_equal(s->orders->ca, "zero");
}

static void the_ca_may_change_at_any_time(void **state)
{
	(void)state;
	change_everywhere(one_name, other_ca, comes_from_the_other_ca);
}

/* A way that does not work is left at once; what was issued is good, however it was proved. */
static void nothing_is_issued_twice(struct script *s)
{
	const char *issued = strstr(s->trace, "install ");

	serves_the_new_names(s);
	assert_in_range(s->created, 1, 2);
	if (issued && strstr(issued, "create"))
		fail_msg("ordered anew although it was issued: %s", s->trace);
	script_crash(s);
	script_run(s, 10000);
	assert_in_range(s->created, 1, 2);
	if (issued && strstr(issued, "create"))
		fail_msg("ordered anew after a restart: %s", s->trace);
}

static void the_way_of_proving_may_change_at_any_time(void **state)
{
	(void)state;
	change_everywhere(one_name, other_way, nothing_is_issued_twice);
}

/* Changed while nothing was running: the order that was left half done is not gone on with. */
static void a_half_done_order_is_left_with_its_way(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, one_name);
	script_until_op(s, OP_ANNOUNCE, 1);
	script_stop(s);
	script_conf(s, other_way);
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
	assert_int_equal(s->published, 0);
}

static void is_gone(struct script *s)
{
	struct js *record;
	unsigned issued = s->issued;

	assert_null(registry_find(s->registry, "a"));
	script_until_served(s, "z");
	script_run(s, 100 * (int64_t)DAY_MS);
	record = script_record(s, "cert", "a");
	assert_null(record);
	assert_in_range(s->issued, issued + 1, issued + 3); /* those of z */
	assert_string_equal(s->orders->names[0], "z.test");
}

static void a_certificate_may_leave_at_any_time(void **state)
{
	(void)state;
	change_everywhere(one_name, without, is_gone);
}

static void comes_back(struct script *s)
{
	struct js *record;

	script_conf(s, one_name); /* while its old order is still being ended */
	script_until_served(s, "a");
	script_run(s, 2000);
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 10);
	assert_true(script_is_served(s, "a"));
	record = script_record(s, "cert", "a"); /* did not go with the old one's */
	assert_non_null(record);
	js_free(record);
	assert_in_range(s->issued, 1, 2);
	script_crash(s);
	script_until_served(s, "a");
	assert_in_range(s->issued, 1, 2);
}

static void it_may_come_back_at_once(void **state)
{
	(void)state;
	change_everywhere(one_name, without, comes_back);
}

static void disabled_and_enabled(struct script *s)
{
	script_run(s, 70000);
	assert_int_equal(script_cert(s, "a")->state, CERT_DISABLED);
	assert_null(script_cert(s, "a")->order);
	script_conf(s, one_name);
	script_until_served(s, "a");
}

static void one_may_be_disabled_at_any_time(void **state)
{
	(void)state;
	change_everywhere(one_name, TWO_CAS REST A("\"a.test\"", "enabled = false;"), disabled_and_enabled);
}

static void heard(void *arg, const struct js *event)
{
	const char *what = js_str(event, "event");

	if (strcmp(what, "planned") == 0)
		*(bool *)arg = strcmp(js_str(event, "state"), "disabled") == 0;
	else
		*(bool *)arg = strcmp(what, "done") == 0; /* it was too late to stop it */
}

/* Who waits for its order is told that it does not come. */
static void the_end_of_its_order_is_told(void **state)
{
	static const char disabled[] = TWO_CAS REST A("\"a.test\"", "enabled = false;");
	unsigned n = count_ops(one_name);

	(void)state;
	for (unsigned at = 1; at <= n; at++) {
		struct registry_watch *watch;
		bool told = false;
		struct script *s;
		void *world;

		assert_int_equal(script_setup(&world), 0);
		s = world;
		script_conf(s, one_name);
		watch = registry_watch(s->registry, "a", heard, &told);
		script_until(s, ops_were, &at, DAY_MS);
		script_conf(s, disabled);
		script_run(s, 70000);
		if (!told)
			fail_msg("disabled at operation %u, not told: %s", at, s->trace);
		registry_unwatch(watch);
		assert_int_equal(script_teardown(&world), 0);
	}
}

/* What does not matter for issuing disturbs nothing. */
static void goes_on_as_if_nothing_happened(struct script *s)
{
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
	assert_int_equal(s->issued, 1);
}

static void other_options_may_change_at_any_time(void **state)
{
	(void)state;
	change_everywhere(one_name, TWO_CAS REST "defaults = { self_check = \"off\"; };\n" A("\"a.test\"", ""), goes_on_as_if_nothing_happened);
	change_everywhere(one_name, TWO_CAS SCRIPT_HTTP
		"service = ( { name = \"web\"; unit = \"w.service\"; look = [ \"127.0.0.1:443\", \"[::1]:443\" ]; }, { name = \"more\"; unit = \"m.service\"; } );\n"
		"certificate = ( { name = \"a\"; names = [ \"a.test\" ]; service = [ \"more\", \"web\" ]; } );", goes_on_as_if_nothing_happened);
	change_everywhere(one_name, TWO_CAS REST "certificate = ( { name = \"a\"; names = [ \"a.test\" ]; } );", goes_on_as_if_nothing_happened);
	change_everywhere(one_name, TWO_CAS REST A("\"a.test\"", "") , goes_on_as_if_nothing_happened);
	/* The CA's own entry: the order goes on with the old one. */
	change_everywhere(one_name, "contact = [ \"mailto:new@a.test\" ];\n" TWO_CAS REST A("\"a.test\"", ""), goes_on_as_if_nothing_happened);
}

/* --- where it goes ------------------------------------------------------------------------------------------------------------------------ */

#define PLACED(install, services) TWO_CAS SCRIPT_HTTP \
	"look_every = \"0s\"; service = ( { name = \"web\"; unit = \"w.service\"; look = [ \"127.0.0.1:443\" ]; }, " \
	"{ name = \"mail\"; unit = \"m.service\"; look = [ \"127.0.0.1:25\" ]; } );\n" \
	"certificate = ( { name = \"a\"; names = [ \"a.test\" ]; " install " service = [ " services " ]; } );"

/* Nothing is ordered; what is there is put where it goes now. */
static void is_placed_anew(struct script *s, const char *conf, const char *trace)
{
	script_forget(s);
	script_conf(s, conf);
	script_run(s, 1000);
	assert_string_equal(s->trace, trace);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
	assert_int_equal(script_cert(s, "a")->generation, 1);
	assert_string_equal(script_cert(s, "a")->next_step, "renew");
	script_forget(s);
	script_conf(s, conf); /* once */
	script_run(s, 4 * HOUR_MS);
	assert_string_equal(s->trace, "");
}

static void a_new_place_gets_it_at_once(void **state)
{
	struct script *s = *state;

	script_conf(s, PLACED("", "\"web\""));
	script_until_served(s, "a");
	is_placed_anew(s, PLACED("", "\"web\", \"mail\""), "installed install test test load load look look confirm");
	is_placed_anew(s, PLACED("", "\"mail\""), "installed install test load look confirm");
	is_placed_anew(s, PLACED("install = ( { dir = \"/etc/x\"; } );", "\"mail\""), "installed install test load look confirm");
	is_placed_anew(s, PLACED("install = ( { dir = \"/etc/x\"; mode = \"0600\"; } );", "\"mail\""), "installed install test load look confirm");
	is_placed_anew(s, PLACED("", ""), "installed install confirm");
}

static void a_new_place_is_noticed_after_a_restart(void **state)
{
	struct script *s = *state;

	script_conf(s, PLACED("", "\"web\""));
	script_until_served(s, "a");
	script_stop(s);
	is_placed_anew(s, PLACED("", "\"web\", \"mail\""), "installed install test test load load look look confirm");
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, 1000);
	assert_string_equal(s->trace, "");
}

/* The address is wrong, not the certificate: it is not taken back for that. */
static void a_wrong_place_takes_nothing_back(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;
	struct err err;

	script_conf(s, PLACED("", "\"web\""));
	script_until_served(s, "a");
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2); /* there is something to go back to */
	rule = script_fail(s, OP_LOOK, ERR_TEMP, "connect");
	rule->about = ":25";
	rule->times = ALWAYS;
	script_conf(s, PLACED("", "\"web\", \"mail\""));
	script_until_state(s, "a", CERT_FAILED);
	assert_int_equal(s->count[OP_ROLLBACK], 0);
	assert_int_equal(script_cert(s, "a")->generation, 2);
	script_run(s, DAY_MS); /* tried again, with the same end */
	assert_int_equal(s->count[OP_ROLLBACK], 0);
	assert_true(script_is_served(s, "a"));
	script_conf(s, PLACED("", "\"web\"")); /* mended */
	script_run(s, 1000);
	assert_int_equal(script_cert(s, "a")->state, CERT_WAITING);
	assert_null(script_cert(s, "a")->last_error);
	assert_int_equal(s->created, 2);
	rule->times = 0;
}

/* Somebody wants a new one while the old one is being put elsewhere: gets it. */
static void a_renewal_can_be_forced_meanwhile(void **state)
{
	struct script *s = *state;
	struct err err;

	script_conf(s, PLACED("", "\"web\""));
	script_until_served(s, "a");
	script_rule(s, OP_LOAD, PASS)->delay_ms = 5000;
	script_forget(s);
	script_conf(s, PLACED("", "\"web\", \"mail\""));
	script_until_op(s, OP_LOAD, 1);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), false, &err)); /* not forced: nothing more */
	assert_false(script_cert(s, "a")->forced);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_run(s, 10000);
	assert_int_equal(s->created, 2);
	assert_int_equal(script_cert(s, "a")->generation, 2);
	assert_false(script_cert(s, "a")->forced);
}

/* What a failed order of another configuration left is being cleaned up when somebody wants a new certificate: gets it. */
static void a_renewal_can_be_forced_while_cleaning_up(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;
	struct err err;

	script_conf(s, one_name);
	script_until_served(s, "a");
	rule = script_fail(s, OP_PUBLISH, ERR_LOCAL, "system");
	rule->times = ALWAYS;
	script_conf(s, two_names);
	script_until_state(s, "a", CERT_FAILED);
	rule->times = 0;
	script_rule(s, OP_DEACTIVATE, PASS)->delay_ms = 5000;
	script_conf(s, one_name);
	script_until_op(s, OP_DEACTIVATE, 1);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	assert_true(script_cert(s, "a")->forced);
	script_run(s, MINUTE_MS);
	assert_int_equal(script_cert(s, "a")->generation, 2);
	assert_false(script_cert(s, "a")->forced);
}

/* A new service that can never be reloaded does not keep the certificate from being renewed. */
static void a_place_that_is_never_right_delays_no_renewal(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;
	struct err err;

	s->life_s = 20 * 86400;
	script_conf(s, PLACED("", "\"web\""));
	script_until_served(s, "a");
	rule = script_fail(s, OP_LOAD, ERR_LOCAL, "exit");
	rule->about = "mail";
	rule->times = ALWAYS;
	script_conf(s, PLACED("", "\"web\", \"mail\""));
	script_run(s, 10 * (int64_t)DAY_MS);
	assert_int_equal(s->created, 1);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_run(s, 1000);
	assert_int_equal(s->created, 2); /* at once when forced ... */
	script_run(s, 6 * (int64_t)DAY_MS);
	rule->times = 0;
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2);
	script_forget(s);
	rule->times = ALWAYS;
	script_conf(s, PLACED("", "\"mail\""));
	script_run(s, 16 * (int64_t)DAY_MS);
	assert_int_equal(s->created, 3); /* ... and in time by itself */
	rule->times = 0;
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 3);
}

/* The keeper's state is gone, ours is not. */
static void what_is_not_there_is_not_placed_but_ordered(void **state)
{
	struct script *s = *state;

	script_conf(s, PLACED("", "\"web\""));
	script_until_served(s, "a");
	script_place(s, "a")->current = 0;
	script_conf(s, PLACED("", "\"web\", \"mail\""));
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 10);
}

static void a_keeper_that_cannot_tell_is_asked_once_a_minute(void **state)
{
	struct script *s = *state;

	script_conf(s, PLACED("", "\"web\""));
	script_until_served(s, "a");
	script_forget(s);
	script_fail(s, OP_INSTALLED, ERR_LOCAL, "system")->times = 10;
	script_conf(s, PLACED("", "\"web\", \"mail\""));
	script_run(s, 9 * MINUTE_MS);
	assert_in_range(s->count[OP_INSTALLED], 9, 10);
	script_run(s, 3 * MINUTE_MS);
	assert_int_equal(script_cert(s, "a")->ntargets, 2);
	assert_int_equal(s->created, 1);
}

/* --- left-overs of those that left -------------------------------------------------------------------------------------------------------- */

static void stop_while_published(struct script *s)
{
	struct script_rule *rule = script_rule(s, OP_ANNOUNCE, SILENT);

	rule->about = "a.test";
	script_forget(s);
	script_conf(s, one_name);
	script_until_op(s, OP_ANNOUNCE, 1);
	assert_int_equal(s->published, 1);
	script_forget(s);
}

static void one_that_left_while_we_were_down_is_cleaned_up(void **state)
{
	struct script *s = *state;
	struct js *record;

	stop_while_published(s);
	script_stop(s);
	script_conf(s, without);
	script_run(s, 1000);
	assert_int_equal(s->count[OP_WITHDRAW], 2); /* and the one of z */
	assert_int_equal(s->published, 0);
	record = script_record(s, "cert", "a");
	assert_null(record);
}

static void a_crash_while_cleaning_up_is_made_good(void **state)
{
	static const enum script_what what[] = { SILENT, VANISH, FAIL };
	struct script *s = *state;
	struct js *record;

	for (size_t i = 0; i < 3; i++) {
		stop_while_published(s);
		script_rule(s, OP_WITHDRAW, what[i]);
		script_conf(s, without);
		script_until_op(s, OP_WITHDRAW, 1);
		script_run(s, 100);
		script_crash(s);
		script_run(s, 1000);
		assert_int_equal(s->published, 0);
		record = script_record(s, "cert", "a");
		assert_null(record);
		script_forget_rules(s);
	}
}

/* Never issued, failed, and then removed: its token was left by a withdrawal that failed. */
static void one_that_never_got_anywhere_is_cleaned_up_too(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_ANNOUNCE, ERR_LIMIT, "rateLimited");
	script_rule(s, OP_WITHDRAW, FAIL)->times = 3;
	script_conf(s, one_name);
	script_until_state(s, "a", CERT_FAILED);
	assert_int_equal(s->published, 1);
	script_conf(s, without);
	script_run(s, 1000);
	assert_int_equal(s->published, 0);
}

/* Its CA left with it. */
static void a_ca_that_left_is_no_obstacle(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, other_ca);
	script_until_op(s, OP_ANNOUNCE, 1);
	script_stop(s);
	script_conf(s, SCRIPT_CA REST OTHER);
	script_run(s, 1000);
	assert_int_equal(s->published, 0);
	assert_int_equal(s->count[OP_DEACTIVATE], 0); /* nobody else is asked about its authorizations */
}

static void a_change_while_we_were_down_is_noticed(void **state)
{
	struct script *s = *state;

	stop_while_published(s);
	script_stop(s);
	script_conf(s, two_names);
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 10);
	assert_int_equal(s->published, 0);
	assert_int_equal(s->issued, 1);
	assert_string_equal(s->orders->names[1], "b.test");
	assert_int_equal(script_cert(s, "a")->attempts, 0);
}

/* The old order's end takes its time: the new one begins all the same, and nothing counts as a failure. */
static void an_end_that_hangs_is_cut_short(void **state)
{
	struct script *s = *state;

	stop_while_published(s);
	script_rule(s, OP_DEACTIVATE, SILENT);
	script_conf(s, two_names);
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW + 300, SCRIPT_NOW + 310);
	assert_false(script_has_event(s, "a", "failed"));
}

/* What is on its way back goes back first: no service is left with what it could not use. */
static void a_way_back_is_gone_to_its_end(void **state)
{
	static const enum script_op ops[] = { OP_ROLLBACK, OP_RESTORE };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		void *world;
		struct script *s;
		struct err err;

		assert_int_equal(script_setup(&world), 0);
		s = world;
		script_conf(s, one_name);
		script_until_served(s, "a");
		script_fail(s, OP_LOAD, ERR_LOCAL, "exit");
		script_rule(s, ops[i], PASS)->delay_ms = 5000;
		script_forget(s);
		assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_op(s, ops[i], 1);
		script_run(s, 1000);
		script_conf(s, two_names);
		script_until_served(s, "a");
		assert_non_null(strstr(s->trace, "load rollback restore installed"));
		assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 100);
		assert_int_equal(s->orders->nnames, 2);
		assert_int_equal(script_teardown(&world), 0);
	}
}

/* A mistake was mended and the daemon restarted: the retry does not wait out the day. */
static void what_was_mended_while_we_were_down_is_tried_at_once(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_CREATE, ERR_DENIED, "rejectedIdentifier");
	script_conf(s, one_name);
	script_until_state(s, "a", CERT_FAILED);
	script_stop(s);
	script_conf(s, NULL); /* the same: waits */
	script_run(s, HOUR_MS);
	assert_int_equal(s->count[OP_CREATE], 1);
	script_stop(s);
	script_conf(s, two_names);
	script_run(s, 1000);
	assert_true(script_is_served(s, "a"));
}

static void what_was_mended_while_we_ran_is_tried_at_once(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_CREATE, ERR_DENIED, "rejectedIdentifier");
	script_conf(s, one_name);
	script_until_state(s, "a", CERT_FAILED);
	script_conf(s, two_names);
	script_run(s, 1000);
	assert_true(script_is_served(s, "a"));
	assert_null(script_cert(s, "a")->last_error);
}

/* An order for other names, already swept halfway, is not taken up again after a crash as if it were for the new ones. */
static void a_crash_between_the_names_mixes_nothing(void **state)
{
	struct script *s = *state;

	stop_while_published(s);
	script_rule(s, OP_WITHDRAW, SILENT);
	script_conf(s, two_names);
	script_until_op(s, OP_WITHDRAW, 1);
	script_run(s, 1000);
	script_crash(s);
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 10);
	assert_int_equal(s->issued, 1);
	assert_int_equal(s->orders->nnames, 2);
	assert_int_equal(s->published, 0);
	assert_int_equal(script_cert(s, "a")->attempts, 0);
}

static void many_come_and_go(void **state)
{
	static const char *const sets[] = { "abc", "c", "bcd", "", "ad", "abcd", "d" };
	struct script *s = *state;

	script_rule(s, OP_SEE, PASS)->delay_ms = 300;
	s->rules->times = ALWAYS;
	for (int round = 0; round < 21; round++) {
		char text[2048] = SCRIPT_MAIN "certificate = (";

		for (const char *c = sets[round % 7]; *c; c++)
			sprintf(text + strlen(text), "%s{ name = \"%c\"; names = [ \"%c.test\" ]; }", c == sets[round % 7] ? " " : ", ", *c, *c);
		strcat(text, " );");
		script_conf(s, text);
		script_run(s, 100 * (round % 5));
		for (const char *c = "abcd"; *c; c++)
			assert_true((registry_find(s->registry, (char[]){ *c, 0 }) != NULL) == (strchr(sets[round % 7], *c) != NULL));
	}
	script_until_served(s, "d");
	script_run(s, 10000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_may_change_at_any_time),
		cmocka_unit_test(the_ca_may_change_at_any_time),
		cmocka_unit_test(the_way_of_proving_may_change_at_any_time),
		cmocka_unit_test_setup_teardown(a_half_done_order_is_left_with_its_way, script_setup, script_teardown),
		cmocka_unit_test(a_certificate_may_leave_at_any_time),
		cmocka_unit_test(it_may_come_back_at_once),
		cmocka_unit_test(one_may_be_disabled_at_any_time),
		cmocka_unit_test(the_end_of_its_order_is_told),
		cmocka_unit_test(other_options_may_change_at_any_time),
		TEST(a_new_place_gets_it_at_once),
		TEST(a_new_place_is_noticed_after_a_restart),
		TEST(a_wrong_place_takes_nothing_back),
		TEST(a_renewal_can_be_forced_meanwhile),
		TEST(a_renewal_can_be_forced_while_cleaning_up),
		TEST(a_place_that_is_never_right_delays_no_renewal),
		TEST(what_is_not_there_is_not_placed_but_ordered),
		TEST(a_keeper_that_cannot_tell_is_asked_once_a_minute),
		TEST(one_that_left_while_we_were_down_is_cleaned_up),
		TEST(a_crash_while_cleaning_up_is_made_good),
		TEST(one_that_never_got_anywhere_is_cleaned_up_too),
		TEST(a_ca_that_left_is_no_obstacle),
		TEST(a_change_while_we_were_down_is_noticed),
		TEST(an_end_that_hangs_is_cut_short),
		cmocka_unit_test(a_way_back_is_gone_to_its_end),
		TEST(what_was_mended_while_we_were_down_is_tried_at_once),
		TEST(what_was_mended_while_we_ran_is_tried_at_once),
		TEST(a_crash_between_the_names_mixes_nothing),
		TEST(many_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
