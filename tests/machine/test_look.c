/* SPDX-License-Identifier: ISC */
/* The regular look at what services serve, long after it was put there. */
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

#define WEB "service = ( { name = \"web\"; command = [ \"/bin/true\" ]; look = [ \"127.0.0.1:443\", \"[::1]:443\" ]; } );\n"
#define EVERY(time) SCRIPT_CA SCRIPT_HTTP "look_every = \"" time "\"; " WEB

static void serve(struct script *s, const char *main, unsigned n)
{
	char text[65536], name[16];

	snprintf(text, sizeof text, "%scertificate = (", main);
	for (unsigned i = 0; i < n; i++)
		sprintf(text + strlen(text), "%s{ name = \"c%u\"; names = [ \"c%u.test\" ]; service = [ \"web\" ]; }", i ? ", " : " ", i, i);
	strcat(text, " );");
	script_conf(s, text);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof name, "c%u", i);
		script_until_served(s, name);
	}
	script_forget(s);
}

/* The service goes back to what it served before the last renewal, as after a restored backup. */
static void drift(struct script *s)
{
	char *before = mem_strdup(script_place(s, "c0")->served);
	struct err err;

	assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &err));
	script_until_op(s, OP_CONFIRM, s->count[OP_CONFIRM] + 1);
	script_until_idle(s, "c0");
	free(script_place(s, "c0")->served);
	script_place(s, "c0")->served = before;
	script_forget(s);
}

static void everything_is_looked_at_once_in_that_time(void **state)
{
	struct script *s = *state;

	serve(s, EVERY("1h"), 30);
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	assert_in_range(s->count[OP_LOOK], 2 * 29, 2 * 32);
	assert_int_equal(s->count[OP_INSTALLED] + s->count[OP_INSTALL] + s->count[OP_LOAD], 0);
	script_forget(s);
	script_run(s, 10 * MINUTE_MS); /* spread, not all at once */
	assert_in_range(s->count[OP_LOOK], 2 * 4, 2 * 6);
}

/* Whatever the time since boot is. */
static void a_start_begins_a_round(void **state)
{
	struct script *s = *state;

	serve(s, EVERY("1h"), 1);
	for (int i = 0; i < 60; i++) {
		script_stop(s);
		clock_advance(MINUTE_MS);
		script_conf(s, NULL);
		script_forget(s);
		script_run(s, MINUTE_MS);
		assert_int_equal(s->count[OP_LOOK], 0); /* not all of them at once */
		script_run(s, HOUR_MS + MINUTE_MS);
		assert_int_equal(s->count[OP_LOOK], 2);
	}
}

static void none_is_looked_at_when_that_is_off(void **state)
{
	struct script *s = *state;

	serve(s, EVERY("0s"), 5);
	drift(s);
	script_run(s, DAY_MS);
	assert_int_equal(s->count[OP_LOOK], 0);
}

static void one_that_drifted_away_is_put_back_into_service(void **state)
{
	struct script *s = *state;

	serve(s, EVERY("1h"), 3);
	drift(s);
	assert_false(script_is_served(s, "c0"));
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	assert_true(script_is_served(s, "c0"));
	assert_true(script_has_event(s, "c0", "drifted"));
	assert_int_equal(s->count[OP_CREATE], 0); /* the CA has nothing to do with it */
	assert_int_equal(s->count[OP_LOAD], 1);
	assert_int_equal(script_cert(s, "c0")->state, CERT_WAITING);
	assert_null(script_cert(s, "c0")->last_error);
	assert_true(script_cert(s, "c0")->targets[0].ok);
}

static void one_that_does_not_come_back_is_stale(void **state)
{
	struct script *s = *state;

	serve(s, EVERY("1h"), 1);
	drift(s);
	s->deaf = true;
	script_run(s, 2 * HOUR_MS);
	assert_int_equal(script_cert(s, "c0")->state, CERT_STALE);
	assert_string_equal(script_cert(s, "c0")->last_error->type, "stale");
	assert_int_equal(s->count[OP_ROLLBACK], 0);
	s->deaf = false;
	script_until_served(s, "c0");
	assert_int_equal(s->count[OP_CREATE], 0);
}

/* A service that is down, or restarting: told, and nothing is done about it. */
static void one_that_does_not_answer_is_told(void **state)
{
	struct script *s = *state;
	int64_t since;

	serve(s, EVERY("1h"), 1);
	script_fail(s, OP_LOOK, ERR_TEMP, "connect")->times = 2;
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	assert_int_equal(s->count[OP_INSTALLED] + s->count[OP_LOAD], 0);
	assert_false(script_cert(s, "c0")->targets[0].ok);
	assert_non_null(script_cert(s, "c0")->targets[0].text);
	since = script_cert(s, "c0")->targets[0].since;
	script_crash(s); /* not at once, but it is kept */
	assert_false(script_cert(s, "c0")->targets[0].ok);
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	assert_true(script_cert(s, "c0")->targets[0].ok);
	assert_true(script_cert(s, "c0")->targets[0].since > since);
}

/* The order's look and the regular one ask alike; an address without a port has that of the protocol. */
static void tls_is_asked_for_first_where_the_service_says_so(void **state)
{
	static const struct {
		const char *starttls;
		int kind, port;
	} rows[] = {
		{ "", STARTTLS_NONE, 443 },
		{ "starttls = \"none\";", STARTTLS_NONE, 443 },
		{ "starttls = \"smtp\";", STARTTLS_SMTP, 25 },
		{ "starttls = \"postgres\";", STARTTLS_POSTGRES, 5432 },
		{ "starttls = \"xmpp\";", STARTTLS_XMPP, 5222 },
	};
	struct script *s = *state;
	char main[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(main, sizeof main, SCRIPT_CA SCRIPT_HTTP "look_every = \"1h\"; "
			"service = ( { name = \"web\"; command = [ \"/bin/true\" ]; look = [ \"127.0.0.1\" ]; %s } );\n", rows[i].starttls);
		serve(s, main, 1);
		assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &(struct err){0}));
		s->spoken = -1;
		script_until_op(s, OP_LOOK, s->count[OP_LOOK] + 1);
		assert_int_equal(s->spoken, rows[i].kind);
		assert_int_equal(s->looked_port, rows[i].port);
		script_until_idle(s, "c0");
		s->spoken = -1;
		script_run(s, HOUR_MS + 2 * MINUTE_MS);
		assert_int_equal(s->spoken, rows[i].kind);
		assert_int_equal(s->looked_port, rows[i].port);
	}
}

static void a_look_under_way_ends_with_what_it_is_for(void **state)
{
	struct script *s = *state;

	serve(s, EVERY("1h"), 3);
	script_rule(s, OP_LOOK, SILENT)->times = 3;
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	script_conf(s, EVERY("1h") "certificate = { name = \"c1\"; names = [ \"c1.test\" ]; service = [ \"web\" ]; };");
	script_run(s, MINUTE_MS);
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, HOUR_MS);
}

/* --- addresses that are found ---------------------------------------------------------------------------------------------- */

#define FOUND(look) SCRIPT_CA SCRIPT_HTTP "look_every = \"1h\"; service = ( { name = \"web\"; command = [ \"/bin/true\" ]; look = [ " look " ]; } );\n"

static void expect_targets(struct script *s, const char *addresses)
{
	const struct cert *c = script_cert(s, "c0");
	char all[1024] = "";

	for (size_t i = 0; i < c->ntargets; i++)
		sprintf(all + strlen(all), "%s%s", i ? " " : "", c->targets[i].address);
	assert_string_equal(all, addresses);
}

static void the_names_own_addresses_are_looked_at(void **state)
{
	struct script *s = *state;

	s->resolves = "127.0.0.5 192.0.2.1 ::1 2001:db8::1";
	serve(s, FOUND("\"*:8443\""), 1);
	expect_targets(s, "127.0.0.5:8443 [::1]:8443");
	serve(s, FOUND("\"127.0.0.1:8443\", \"*\""), 1); /* besides one that is configured, and at the usual port */
	assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &(struct err){0}));
	script_until_served(s, "c0");
	expect_targets(s, "127.0.0.1:8443 127.0.0.5:443 [::1]:443");
	script_forget(s);
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	assert_int_equal(s->count[OP_RESOLVE], 1); /* asked anew: the name may lead elsewhere by now */
	assert_int_equal(s->count[OP_LOOK], 3);
}

static void with_none_of_this_host_it_is_loopback(void **state)
{
	static const char *const resolves[] = { "192.0.2.1 2001:db8::1", NULL };
	struct script *s = *state;

	for (size_t i = 0; i < 2; i++) {
		s->resolves = resolves[i];
		serve(s, FOUND("\"*:443\""), 1);
		assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &(struct err){0}));
		script_until_served(s, "c0");
		expect_targets(s, "127.0.0.1:443");
	}
	script_rule(s, OP_RESOLVE, SILENT); /* the order does not hang for it */
	assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &(struct err){0}));
	script_until_served(s, "c0");
}

static void not_each_of_them_has_to_answer(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;

	s->resolves = "::1 127.0.0.5";
	serve(s, FOUND("\"*:443\""), 1);
	rule = script_fail(s, OP_LOOK, ERR_TEMP, "connect");
	rule->about = "[::1]";
	rule->times = ALWAYS;
	assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &(struct err){0}));
	script_until_op(s, OP_CONFIRM, 1);
	script_until_idle(s, "c0");
	expect_targets(s, "[::1]:443 127.0.0.5:443");
	assert_false(script_cert(s, "c0")->targets[0].ok);
	assert_true(script_cert(s, "c0")->targets[1].ok);
	assert_int_equal(script_cert(s, "c0")->state, CERT_WAITING);
	script_run(s, 3 * HOUR_MS); /* told, and nothing is done about it */
	assert_int_equal(s->count[OP_LOAD], 1);
	rule = script_fail(s, OP_LOOK, ERR_TEMP, "connect"); /* but one of them has to */
	rule->times = ALWAYS;
	assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &(struct err){0}));
	script_until_op(s, OP_ROLLBACK, 1);
	script_forget_rules(s);
	script_until_served(s, "c0");
}

/* DNS is out of order: what was found before is good enough. */
static void without_dns_it_is_what_was_known(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;

	s->resolves = "127.0.0.5 127.0.0.6";
	serve(s, FOUND("\"*:443\""), 1);
	rule = script_fail(s, OP_LOOK, ERR_TEMP, "connect");
	rule->about = "127.0.0.1:"; /* nobody listens there */
	rule->times = ALWAYS;
	s->resolves = NULL;
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	expect_targets(s, "127.0.0.5:443 127.0.0.6:443");
	assert_int_equal(s->count[OP_LOOK], 2);
	assert_true(registry_renew(s->registry, script_cert(s, "c0"), true, &(struct err){0}));
	script_until_served(s, "c0");
	expect_targets(s, "127.0.0.5:443 127.0.0.6:443");
	assert_int_equal(s->count[OP_ROLLBACK], 0);
}

static void where_the_name_does_not_lead_any_more_is_forgotten(void **state)
{
	struct script *s = *state;

	s->resolves = "127.0.0.5 127.0.0.6";
	serve(s, FOUND("\"127.0.0.1:443\", \"*:443\""), 1);
	expect_targets(s, "127.0.0.1:443 127.0.0.5:443 127.0.0.6:443");
	s->resolves = "127.0.0.7 127.0.0.6";
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	expect_targets(s, "127.0.0.1:443 127.0.0.6:443 127.0.0.7:443");
	script_crash(s);
	s->resolves = "127.0.0.6";
	script_run(s, HOUR_MS + 2 * MINUTE_MS);
	expect_targets(s, "127.0.0.1:443 127.0.0.6:443");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_is_looked_at_once_in_that_time),
		TEST(a_start_begins_a_round),
		TEST(none_is_looked_at_when_that_is_off),
		TEST(one_that_drifted_away_is_put_back_into_service),
		TEST(one_that_does_not_come_back_is_stale),
		TEST(one_that_does_not_answer_is_told),
		TEST(tls_is_asked_for_first_where_the_service_says_so),
		TEST(a_look_under_way_ends_with_what_it_is_for),
		TEST(the_names_own_addresses_are_looked_at),
		TEST(with_none_of_this_host_it_is_loopback),
		TEST(not_each_of_them_has_to_answer),
		TEST(without_dns_it_is_what_was_known),
		TEST(where_the_name_does_not_lead_any_more_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
