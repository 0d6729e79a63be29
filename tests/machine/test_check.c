/* SPDX-License-Identifier: ISC */
/* The look ahead at renewals, on a frozen clock: what it finds, when it looks by itself, and that it never stands in the way of anything. */
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
#include "prove/finding.h"

#define MAIN SCRIPT_CA SCRIPT_HTTP
#define CERTS(text) "certificate = ( " text " );"
#define PLAIN(name, more) "{ name = \"" name "\"; names = [ \"" name ".test\" ]; " more " }"
enum { WEEK_MS = 7 * DAY_MS, FORTNIGHT_S = 14 * 86400 };

static int setup(void **state)
{
	int failed = script_setup(state);

	((struct script *)*state)->ahead = true;
	((struct script *)*state)->dnssec = CAA_UNSIGNED;
	return failed;
}

static struct told {
	int calls;
	struct js *check; /* NULL: none */
} told;

static void hear(void *arg, const struct js *check)
{
	struct told *t = arg;

	t->calls++;
	js_free(t->check);
	t->check = check ? js_ref((struct js *)check) : NULL;
}

static void forget(void)
{
	js_free(told.check);
	memset(&told, 0, sizeof(told));
}

static const char *check(struct script *s, const char *name)
{
	forget();
	registry_check(s->registry, script_cert(s, name), hear, &told);
	assert_int_equal(told.calls, 0);
	for (int i = 0; i < 200 && !told.calls; i++)
		script_run(s, 1000);
	assert_int_equal(told.calls, 1);
	return js_str(told.check, "verdict");
}

static const char *why(struct script *s, const char *name)
{
	const struct js *c = script_cert(s, name)->check;

	return c && js_str(c, "why") ? js_str(c, "why") : "";
}

/* In one word, of the first of them; "": nothing is known. */
static const char *stands(struct script *s, const char *name, const char *what)
{
	const struct cert_standing *at = &script_cert(s, name)->standing;
	const char *word = js_str(js_at(strcmp(what, "caa") == 0 ? at->caa : at->dnssec, 0), "state");

	return word ? word : "";
}

static void serve(struct script *s, const char *text, const char *name)
{
	script_conf(s, text);
	script_until_served(s, name);
	script_forget(s);
}

static void what_is_found(void **state)
{
	static const struct {
		const char *caa, *finding;
		int dnssec;
		bool strict;
		const char *verdict, *why, *stands;
	} rows[] = {
		{ NULL, NULL, CAA_UNSIGNED, true, "ok", "", "none" },
		{ NULL, NULL, CAA_UNVALIDATED, true, "ok", "", "none" },
		{ "issue ca.test", NULL, CAA_SECURE, true, "ok", "", "allowed" },
		{ "issue ca.test; accounturi=https://le.test/account/1", NULL, CAA_SECURE, true, "ok", "", "allowed" },
		{ "issue ca.test; accounturi=https://le.test/account/2", NULL, CAA_SECURE, true, "fail",
			"a.test: the CAA records of a.test allow this CA only for another", "forbidden" },
		{ "issue ca.test; validationmethods=dns-01", NULL, CAA_SECURE, true, "fail", "it would be proven by http-01", "forbidden" },
		{ "issue other.test", NULL, CAA_SECURE, true, "fail", "allow other CAs only", "forbidden" },
		{ "issue ca.test; a=b;", NULL, CAA_SECURE, true, "warn", "some CAs take for malformed", "unsure" },
		{ NULL, NULL, CAA_BOGUS, true, "fail", "bogus", "" },
		{ NULL, "warn careful", CAA_SECURE, true, "warn", "a.test: careful", "none" },
		{ NULL, "fail no way", CAA_SECURE, true, "fail", "a.test: no way", "none" },
		{ NULL, "untested cannot tell", CAA_SECURE, true, "ok", "", "none" },
		{ NULL, "fail no way", CAA_SECURE, false, "warn", "a.test: no way", "none" }, /* seen from here only */
		{ "issue other.test", "fail no way", CAA_SECURE, true, "fail", "allow other CAs only", "forbidden" },
	};
	static const char *const dnssec[] = { "secure", "insecure", "unvalidated", "bogus" };
	struct script *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		s->strict = rows[i].strict;
		serve(s, rows[i].strict ? MAIN CERTS(PLAIN("a", "")) : SCRIPT_CA "http = ( { name = \"x\"; type = \"webroot\"; path = \"/srv/x\"; } );"
			CERTS(PLAIN("a", "")), "a");
		s->caa = rows[i].caa;
		s->finding = rows[i].finding;
		s->dnssec = rows[i].dnssec;
		if (strcmp(check(s, "a"), rows[i].verdict) != 0 || !strstr(why(s, "a"), rows[i].why) || (*why(s, "a") != '\0') != (*rows[i].why != '\0'))
			fail_msg("row %zu: %s", i, js_dump(told.check));
		if (strcmp(stands(s, "a", "dnssec"), dnssec[rows[i].dnssec]) != 0 || strcmp(stands(s, "a", "caa"), rows[i].stands) != 0)
			fail_msg("row %zu: DNSSEC %s, CAA %s", i, stands(s, "a", "dnssec"), stands(s, "a", "caa"));
		assert_int_equal(cert_is_at_risk(script_cert(s, "a")), strcmp(rows[i].verdict, "fail") == 0);
		assert_int_equal(s->count[OP_CREATE] + s->count[OP_PUBLISH], 0);
	}
	forget();
}

static void require_makes_our_own_look_decide(void **state)
{
	struct script *s = *state;

	s->finding = "fail no way";
	serve(s, MAIN CERTS(PLAIN("a", "self_check = \"require\";")), "a");
	assert_string_equal(check(s, "a"), "fail");
	script_fail(s, OP_CHECK, ERR_TEMP, "dns");
	assert_string_equal(check(s, "a"), "fail");
	assert_string_equal(why(s, "a"), "a.test: http:www: as the script says");
	forget();
}

static void what_cannot_be_asked(void **state)
{
	struct script *s = *state;

	serve(s, MAIN CERTS(PLAIN("a", "")), "a");
	script_fail(s, OP_CAA, ERR_TEMP, "dns");
	assert_string_equal(check(s, "a"), "fail"); /* neither could a CA */
	assert_string_equal(why(s, "a"), "a.test: as the script says");
	script_fail(s, OP_IDENTIFY, ERR_TEMP, "connect");
	assert_string_equal(check(s, "a"), "warn");
	assert_non_null(strstr(why(s, "a"), "le: it does not answer now"));
	script_rule(s, OP_CHECK, SILENT);
	assert_string_equal(check(s, "a"), "ok"); /* given up, and that is told */
	assert_string_equal(js_str(js_at(js_arr(told.check, "findings"), js_len(js_arr(told.check, "findings")) - 1), "what"), "time");
	script_rule(s, OP_IDENTIFY, SILENT);
	assert_string_equal(check(s, "a"), "ok");
	forget();
}

static void where_the_keeper_may_not_write(void **state)
{
	struct script *s = *state;

	serve(s, MAIN CERTS(PLAIN("a", "")), "a");
	assert_string_equal(check(s, "a"), "ok");
	assert_string_equal(js_str(js_at(js_arr(told.check, "findings"), 0), "what"), "target");
	assert_string_equal(js_str(js_at(js_arr(told.check, "findings"), 0), "verdict"), "ok");
	s->unwritable = "dovad-keeper.service may not write to /srv";
	assert_string_equal(check(s, "a"), "fail");
	assert_string_equal(why(s, "a"), "/srv/tls: dovad-keeper.service may not write to /srv");
	assert_true(cert_is_at_risk(script_cert(s, "a")));
	s->unwritable = NULL;
	assert_string_equal(check(s, "a"), "ok");
	script_keeper_gone(s);
	assert_string_equal(check(s, "a"), "ok"); /* it is back, and asked again */
	forget();
}

static void what_could_not_be_made(void **state)
{
	struct script *s = *state;

	s->no_method = "*";
	script_conf(s, MAIN CERTS(PLAIN("a", "")));
	script_run(s, MINUTE_MS);
	assert_string_equal(check(s, "a"), "fail");
	assert_non_null(strstr(why(s, "a"), "the address is in use"));
	s->no_method = "x"; /* one of two: an order makes do with the other */
	script_conf(s, SCRIPT_CA "http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/y\"; }, { name = \"x\"; type = \"webroot\"; path = \"/srv/x\"; } );"
		CERTS(PLAIN("a", "")));
	assert_string_equal(check(s, "a"), "warn");
	assert_string_equal(js_str(told.check, "why"), "x: cannot be used: the address is in use");
	s->no_method = NULL;
	s->no_issuer = true;
	script_conf(s, "ca = ( { name = \"x\"; type = \"acme\"; directory = \"https://le.test/x\"; agree_tos = true; } );" SCRIPT_HTTP CERTS(PLAIN("a", "")));
	assert_string_equal(check(s, "a"), "fail");
	assert_non_null(strstr(why(s, "a"), "x: cannot be used"));
	s->no_issuer = false;
	forget();
}

/* "a" is for n0.test to n19.test. */
static void serve_twenty_names(struct script *s)
{
	char text[4000] = MAIN "certificate = { name = \"a\"; names = [ \"n0.test\"";

	for (int i = 1; i < 20; i++)
		sprintf(text + strlen(text), ", \"n%d.test\"", i);
	strcat(text, " ]; };");
	serve(s, text, "a");
}

static void all_names_a_few_at_a_time(void **state)
{
	struct script *s = *state;

	serve_twenty_names(s);
	script_rule(s, OP_CAA, PASS)->times = 20;
	for (struct script_rule *r = s->rules; r; r = r->next)
		r->delay_ms = 70000;
	registry_check(s->registry, script_cert(s, "a"), hear, &told);
	script_run(s, 30000);
	assert_int_equal(s->count[OP_CAA], 4);
	assert_int_equal(s->count[OP_IDENTIFY], 1);
	script_run(s, 200000); /* not for ever: what was not looked at is told */
	assert_int_equal(told.calls, 1);
	assert_int_equal(js_len(js_arr(told.check, "findings")), 4 * 3 + 16 + 1); /* and the keeper's */
	forget();
}

static void a_day_has_a_look_when_renewal_is_near(void **state)
{
	struct script *s = *state;
	int64_t renews;

	serve(s, MAIN CERTS(PLAIN("a", "")), "a");
	script_run(s, 30 * (int64_t)DAY_MS);
	assert_int_equal(s->count[OP_CAA], 0); /* far away */
	renews = script_cert(s, "a")->next_at;
	script_run(s, (renews - FORTNIGHT_S - clock_now()) * 1000 + DAY_MS + HOUR_MS);
	assert_in_range(s->count[OP_CAA], 1, 2);
	s->caa = "issue other.test";
	script_run(s, DAY_MS + HOUR_MS);
	assert_true(cert_is_at_risk(script_cert(s, "a")));
	assert_true(script_has_event(s, "a", "at-risk"));
	assert_int_equal(script_cert(s, "a")->state, CERT_WAITING);
	assert_int_equal(script_cert(s, "a")->next_at, renews);
	script_run(s, WEEK_MS);
	assert_in_range(s->count[OP_CAA], 8, 11);
	assert_int_equal(s->count[OP_CREATE], 0);
	s->caa = "issue ca.test";
	script_run(s, DAY_MS + HOUR_MS);
	assert_false(cert_is_at_risk(script_cert(s, "a")));
	assert_true(script_has_event(s, "a", "safe"));
	s->caa = "issue other.test";
	script_run(s, DAY_MS + HOUR_MS);
	assert_true(cert_is_at_risk(script_cert(s, "a")));
	script_until_op(s, OP_CONFIRM, 1); /* a finding holds nothing back: the CA of the script does not care */
	script_until_idle(s, "a");
	assert_null(script_cert(s, "a")->check);
	assert_true(script_cert(s, "a")->next_at > renews);
}

static void spread_and_soon_after_a_start(void **state)
{
	struct script *s = *state;
	char text[8000] = MAIN "certificate = (";

	for (int i = 0; i < 30; i++)
		sprintf(text + strlen(text), "%s{ name = \"c%02d\"; names = [ \"c%02d.test\" ]; }", i ? ", " : " ", i, i);
	strcat(text, " );");
	s->life_s = 20 * 86400; /* renewal is always near */
	script_conf(s, text);
	for (int i = 0; i < 30; i++) {
		char name[8];

		snprintf(name, sizeof(name), "c%02d", i);
		script_until_served(s, name);
	}
	script_stop(s);
	script_conf(s, NULL);
	script_forget(s);
	script_run(s, 10 * MINUTE_MS);
	assert_in_range(s->count[OP_CAA], 3, 7);
	script_run(s, HOUR_MS - 8 * MINUTE_MS);
	assert_in_range(s->count[OP_CAA], 29, 33);
	script_forget(s);
	script_run(s, HOUR_MS);
	assert_in_range(s->count[OP_CAA], 0, 3);
	script_run(s, DAY_MS - HOUR_MS);
	assert_in_range(s->count[OP_CAA], 28, 32);
}

static void not_by_itself_when_that_is_off(void **state)
{
	struct script *s = *state;

	s->life_s = 20 * 86400;
	serve(s, "check_every = \"0s\";" MAIN CERTS(PLAIN("a", "")), "a");
	script_run(s, 5 * (int64_t)DAY_MS);
	assert_int_equal(s->count[OP_CAA], 0);
	assert_string_equal(check(s, "a"), "ok");
	forget();
}

/* What fails has its own reason already; what nobody wants is not looked at. */
static void only_what_is_well_is_looked_at(void **state)
{
	struct script *s = *state;

	s->life_s = 20 * 86400;
	serve(s, MAIN CERTS(PLAIN("a", "") ", " PLAIN("b", "enabled = false;")), "a");
	script_rule(s, OP_CREATE, FAIL)->times = ALWAYS;
	script_run(s, (script_cert(s, "a")->next_at - clock_now()) * 1000 + HOUR_MS);
	assert_int_equal(script_cert(s, "a")->state, CERT_FAILED);
	script_forget(s);
	script_run(s, 2 * DAY_MS);
	assert_int_equal(s->count[OP_CAA], 0);
	assert_string_equal(check(s, "b"), "ok"); /* but when somebody asks */
	script_forget_rules(s);
	script_until_served(s, "a");
	forget();
}

static void askers_share_wait_and_leave(void **state)
{
	struct told other = { 0 }, third = { 0 };
	struct script *s = *state;
	struct registry_check *leaver;

	serve(s, MAIN CERTS(PLAIN("a", "")), "a");
	registry_check(s->registry, script_cert(s, "a"), hear, &told);
	registry_check(s->registry, script_cert(s, "a"), hear, &other);
	leaver = registry_check(s->registry, script_cert(s, "a"), hear, &third);
	script_run(s, 0);
	registry_uncheck(leaver);
	registry_uncheck(NULL);
	script_run(s, 1000);
	assert_int_equal(told.calls + other.calls, 2);
	assert_int_equal(third.calls, 0);
	assert_int_equal(s->count[OP_CAA], 1);
	js_free(other.check);
	forget();
}

/* In one turn with the end of a look, as somebody does who looks at all of them. */
static void again(void *arg, const struct js *c)
{
	struct script *s = arg;

	assert_non_null(c);
	if (++told.calls < 5)
		registry_check(s->registry, script_cert(s, "a"), again, s);
}

static void asked_anew_by_whom_it_is_told(void **state)
{
	struct script *s = *state;

	serve(s, MAIN CERTS(PLAIN("a", "")), "a");
	forget();
	registry_check(s->registry, script_cert(s, "a"), again, s);
	script_run(s, 10000);
	assert_int_equal(told.calls, 5);
	assert_int_equal(s->count[OP_CAA], 5);
}

static void it_leaves_or_changes_meanwhile(void **state)
{
	struct told line = { 0 };
	struct script *s = *state;

	serve(s, MAIN CERTS(PLAIN("a", "") ", " PLAIN("b", "") ", " PLAIN("c", "") ", " PLAIN("d", "") ", " PLAIN("e", "")), "e");
	script_rule(s, OP_CAA, SILENT)->times = 4;
	forget();
	for (const char *const *name = (const char *const[]){ "a", "b", "c", "d", NULL }; *name; name++)
		registry_check(s->registry, script_cert(s, *name), hear, &told);
	registry_check(s->registry, script_cert(s, "e"), hear, &line);
	script_run(s, 1000);
	assert_int_equal(s->count[OP_CAA], 4); /* four at a time */
	script_conf(s, SCRIPT_CA "http = ( { name = \"x\"; type = \"webroot\"; path = \"/srv/x\"; } );" CERTS(PLAIN("a", "")));
	script_run(s, 130000);
	assert_int_equal(told.calls, 4);
	assert_int_equal(line.calls, 1);
	assert_null(line.check);
	forget();
	registry_check(s->registry, script_cert(s, "a"), hear, &told); /* and the end of all */
	registry_check(s->registry, script_cert(s, "a"), hear, &line);
	script_stop(s);
	assert_int_equal(told.calls, 0);
	script_conf(s, NULL);
}

static void what_was_looked_at_before_a_change_is_not_kept(void **state)
{
	struct script *s = *state;

	serve(s, MAIN CERTS(PLAIN("a", "")), "a");
	s->caa = "issue other.test";
	script_rule(s, OP_CAA, PASS)->delay_ms = 20000;
	forget();
	registry_check(s->registry, script_cert(s, "a"), hear, &told);
	script_run(s, 1000);
	script_conf(s, MAIN CERTS(PLAIN("a", "key = \"rsa-2048\";")));
	script_run(s, 30000);
	assert_int_equal(told.calls, 1);
	assert_string_equal(js_str(told.check, "verdict"), "fail");
	assert_null(script_cert(s, "a")->check);
	script_until_served(s, "a");
	forget();
}

static void a_change_of_the_configuration_forgets_it(void **state)
{
	struct script *s = *state;

	serve(s, MAIN CERTS(PLAIN("a", "")), "a");
	s->caa = "issue other.test";
	assert_string_equal(check(s, "a"), "fail");
	script_conf(s, MAIN CERTS(PLAIN("a", "key = \"rsa-2048\";")));
	assert_null(script_cert(s, "a")->check);
	script_until_served(s, "a");
	forget();
}

/* What is well, too, and with the time; from one certificate to the next, over a restart, too, but not over a change, be it made meanwhile. */
static void how_it_stands_is_kept(void **state)
{
	struct script *s = *state;
	struct js *shown;
	int64_t at;

	serve(s, MAIN CERTS("{ name = \"a\"; names = [ \"a.test\", \"b.test\" ]; }"), "a");
	assert_int_equal(script_cert(s, "a")->standing.at, 0);
	s->caa = "issue other.test";
	s->dnssec = CAA_SECURE;
	check(s, "a");
	at = script_cert(s, "a")->standing.at;
	assert_in_range(at, clock_now() - 2, clock_now());
	assert_int_equal(js_len(script_cert(s, "a")->standing.dnssec), 1);
	assert_int_equal(js_int(js_at(script_cert(s, "a")->standing.dnssec, 0), "more", 0), 1);
	assert_int_equal(js_len(script_cert(s, "a")->standing.caa), 2); /* in the records of one and of the other */
	script_run(s, (script_cert(s, "a")->next_at - clock_now()) * 1000 + HOUR_MS);
	script_until_idle(s, "a");
	assert_int_equal(s->count[OP_CONFIRM], 1);
	assert_null(script_cert(s, "a")->check);
	assert_true(script_cert(s, "a")->standing.at > at); /* once a day meanwhile */
	shown = cert_show(script_cert(s, "a"), true);
	assert_string_equal(js_str(js_at(js_arr(js_obj(shown, "standing"), "dnssec"), 0), "state"), "secure");
	js_free(shown);
	shown = cert_show(script_cert(s, "a"), false);
	assert_false(js_has(shown, "standing"));
	js_free(shown);
	script_conf(s, MAIN CERTS("{ name = \"a\"; names = [ \"a.test\" ]; }"));
	assert_int_equal(script_cert(s, "a")->standing.at, 0);
	script_until_served(s, "a");
	check(s, "a");
	at = script_cert(s, "a")->standing.at;
	assert_true(at > 0 && cert_is_at_risk(script_cert(s, "a")));
	script_stop(s);
	script_run(s, HOUR_MS);
	script_conf(s, NULL);
	assert_int_equal(script_cert(s, "a")->standing.at, at);
	assert_int_equal(js_len(script_cert(s, "a")->standing.caa), 1);
	assert_true(cert_is_at_risk(script_cert(s, "a")));
	script_stop(s);
	script_conf(s, MAIN CERTS("{ name = \"a\"; names = [ \"a.test\", \"c.test\" ]; }"));
	assert_int_equal(script_cert(s, "a")->standing.at, 0);
	assert_null(script_cert(s, "a")->check);
	shown = cert_show(script_cert(s, "a"), true);
	assert_false(js_has(js_obj(shown, "standing"), "at"));
	assert_int_equal(js_len(js_arr(js_obj(shown, "standing"), "caa")), 0);
	js_free(shown);
	forget();
}

/* Worst first, and no more than that. */
static void how_many_names_stand_has_a_cap(void **state)
{
	struct script *s = *state;

	serve_twenty_names(s);
	s->caa = "issue ca.test";
	script_fail(s, OP_CAA, ERR_TEMP, "dns")->about = "n13.test";
	check(s, "a");
	assert_int_equal(js_len(script_cert(s, "a")->standing.caa), 8);
	assert_string_equal(stands(s, "a", "caa"), "unknown");
	assert_string_equal(js_str(js_at(script_cert(s, "a")->standing.caa, 0), "name"), "n13.test");
	assert_int_equal(js_len(script_cert(s, "a")->standing.dnssec), 1);
	assert_int_equal(js_int(js_at(script_cert(s, "a")->standing.dnssec, 0), "more", 0), 18);
	forget();
}

static void until_failed(struct script *s, const char *name, unsigned attempts)
{
	for (int i = 0; i < 20000 && script_cert(s, name)->attempts < attempts; i++)
		script_run(s, 1000);
	assert_int_equal(script_cert(s, name)->attempts, attempts);
	script_run(s, 5000);
}

static void a_first_order_that_the_ca_refuses_has_its_look(void **state)
{
	static const struct {
		const char *more, *type, *sub;
		bool looks;
	} rows[] = {
		{ "", "caa", NULL, true },
		{ "", "dns", NULL, true },
		{ "", "unauthorized", NULL, true },
		{ "", "compound", "caa", true },
		{ "", "compound", "malformed", false },
		{ "", "connect", NULL, false }, /* ours: the CA was not reached */
		{ "", "serverInternal", NULL, false },
		{ "check_every = \"0s\";", "caa", NULL, false }, /* only when asked */
	};
	struct script *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct script_rule *rule;
		char text[800], name[8];

		snprintf(name, sizeof(name), "c%zu", i);
		snprintf(text, sizeof(text), "%s" MAIN "certificate = { name = \"%s\"; names = [ \"%s.test\" ]; };", rows[i].more, name, name);
		script_forget(s);
		s->caa = "issue other.test";
		rule = script_fail(s, OP_CREATE, ERR_DENIED, rows[i].type);
		if (rows[i].sub) {
			rule->err.nsub = 1;
			strcpy(rule->err.sub[0].type, rows[i].sub);
		}
		script_conf(s, text);
		until_failed(s, name, 1);
		if (s->count[OP_CAA] != rows[i].looks || strcmp(stands(s, name, "caa"), rows[i].looks ? "forbidden" : "") != 0)
			fail_msg("row %zu: %u looks, CAA %s", i, s->count[OP_CAA], stands(s, name, "caa"));
		assert_int_equal(cert_is_at_risk(script_cert(s, name)), rows[i].looks);
		assert_int_equal(script_cert(s, name)->state, CERT_FAILED);
	}
}

/* Not for every attempt, and not beside a look that is under way; what the order does and when does not depend on it. */
static void one_look_for_many_refusals(void **state)
{
	struct script *s = *state;
	int64_t next;

	script_fail(s, OP_CREATE, ERR_TEMP, "unauthorized")->times = ALWAYS;
	script_conf(s, MAIN CERTS(PLAIN("a", "")));
	until_failed(s, "a", 1);
	assert_int_equal(s->count[OP_CAA], 1);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, NULL));
	until_failed(s, "a", 2); /* what is known is fresh */
	assert_int_equal(s->count[OP_CAA], 1);
	script_run(s, 10 * MINUTE_MS);
	script_forget(s);
	script_rule(s, OP_CAA, PASS)->delay_ms = 60000;
	forget();
	registry_check(s->registry, script_cert(s, "a"), hear, &told);
	script_run(s, 1000);
	next = script_cert(s, "a")->attempts + 1;
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, NULL));
	until_failed(s, "a", (unsigned)next); /* at once, while the look takes its time */
	assert_int_equal(told.calls, 0);
	script_run(s, 60000);
	assert_int_equal(told.calls, 1);
	assert_int_equal(s->count[OP_CAA], 1);
	script_run(s, 10 * MINUTE_MS);
	script_rule(s, OP_CAA, SILENT)->times = ALWAYS; /* it never ends by itself */
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, NULL));
	until_failed(s, "a", script_cert(s, "a")->attempts + 1);
	script_forget_rules(s);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, NULL));
	script_until_served(s, "a");
	forget();
}

/* Whoever asks does not wait until all that failed have had theirs. */
static void who_asks_comes_first(void **state)
{
	struct script *s = *state;
	char text[4000] = MAIN "certificate = (";
	struct script_rule *slow;

	for (int i = 0; i < 20; i++)
		sprintf(text + strlen(text), "%s" PLAIN("c%02d", ""), i ? ", " : "", i, i);
	strcat(text, " );");
	script_fail(s, OP_CREATE, ERR_DENIED, "caa")->times = ALWAYS;
	slow = script_rule(s, OP_CAA, PASS);
	slow->times = ALWAYS;
	slow->delay_ms = 60000;
	script_conf(s, text);
	until_failed(s, "c19", 1);
	assert_int_equal(s->count[OP_CAA], 4); /* a few at a time */
	forget();
	registry_check(s->registry, script_cert(s, "c19"), hear, &told);
	script_run(s, 130000);
	assert_int_equal(told.calls, 1);
	assert_in_range(s->count[OP_CAA], 9, 13);
	script_run(s, 10 * MINUTE_MS);
	assert_int_equal(s->count[OP_CAA], 20);
	for (int i = 0; i < 20; i++) {
		char name[8];

		snprintf(name, sizeof(name), "c%02d", i);
		assert_string_equal(stands(s, name, "caa"), "none");
	}
	forget();
}

/* The services are looked at first, as they are now: one that is down would have the next certificate taken back. */
static void services_are_looked_at(void **state)
{
	struct script *s = *state;
	const struct js *one;

	serve(s, SCRIPT_ONE, "a");
	assert_string_equal(check(s, "a"), "ok");
	assert_int_equal(s->count[OP_LOOK], 1);
	script_fail(s, OP_LOOK, ERR_TEMP, "connect");
	assert_string_equal(check(s, "a"), "warn");
	one = finding_worst(js_arr(told.check, "findings"));
	assert_string_equal(js_str(one, "what"), "service");
	assert_string_equal(js_str(one, "name"), "web at 127.0.0.1:443");
	assert_string_equal(check(s, "a"), "ok");
	script_rule(s, OP_LOOK, SILENT)->times = ALWAYS; /* it leaves meanwhile */
	forget();
	registry_check(s->registry, script_cert(s, "a"), hear, &told);
	script_run(s, 1000);
	script_conf(s, SCRIPT_MAIN);
	script_stop(s);
	assert_null(told.check);
	forget();
}

/* Services are not looked at then: what was seen before is not said to be so now. */
static void of_a_failed_one_services_are_not_vouched_for(void **state)
{
	struct script *s = *state;
	struct err err;
	char *text;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	check(s, "a");
	text = js_dump(told.check);
	assert_non_null(strstr(text, "it serves what is installed"));
	free(text);
	script_fail(s, OP_PUBLISH, ERR_LOCAL, "system");
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_state(s, "a", CERT_FAILED);
	check(s, "a");
	text = js_dump(told.check);
	assert_null(strstr(text, "it serves what is installed"));
	assert_non_null(strstr(text, "it is not looked at between a failed attempt and the next"));
	free(text);
	forget();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_found),
		TEST(services_are_looked_at),
		TEST(of_a_failed_one_services_are_not_vouched_for),
		TEST(require_makes_our_own_look_decide),
		TEST(what_cannot_be_asked),
		TEST(where_the_keeper_may_not_write), TEST(what_could_not_be_made),
		TEST(all_names_a_few_at_a_time),
		TEST(a_day_has_a_look_when_renewal_is_near),
		TEST(spread_and_soon_after_a_start),
		TEST(not_by_itself_when_that_is_off),
		TEST(only_what_is_well_is_looked_at),
		TEST(askers_share_wait_and_leave),
		TEST(asked_anew_by_whom_it_is_told),
		TEST(it_leaves_or_changes_meanwhile),
		TEST(what_was_looked_at_before_a_change_is_not_kept),
		TEST(a_change_of_the_configuration_forgets_it),
		TEST(how_it_stands_is_kept),
		TEST(how_many_names_stand_has_a_cap),
		TEST(a_first_order_that_the_ca_refuses_has_its_look),
		TEST(one_look_for_many_refusals),
		TEST(who_asks_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
