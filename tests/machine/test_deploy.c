/* SPDX-License-Identifier: ISC */
/* The deploying half of the order's table: install, test, reload, look, confirm, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define BACK " rollback restore"

static void issue(struct script *s)
{
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
}

/* A renewal, traced from the installation on. */
static void renew(struct script *s)
{
	struct err err;

	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_op(s, OP_INSTALL, s->count[OP_INSTALL] + 1);
	script_forget(s);
}

static void until_failed(struct script *s, const char *type)
{
	script_until_idle(s, "a");
	if (!script_cert(s, "a")->last_error)
		fail_msg("it went well: %s", s->trace);
	assert_string_equal(script_cert(s, "a")->last_error->type, type);
}

static uint64_t outcomes(struct script *s, const char *word)
{
	size_t n;
	const struct registry_outcome *o = registry_outcomes(s->registry, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(o[i].word, word) == 0)
			return o[i].times;
	fail_msg("no outcome is called %s", word);
	return 0;
}

/* The old one is current again, is served, and the record says so. */
static void is_back(struct script *s, int64_t generation)
{
	struct cert *c = script_cert(s, "a");
	struct js *chain = script_record(s, "chain", "a");

	assert_int_equal(script_place(s, "a")->current, generation);
	assert_int_equal(c->generation, generation);
	assert_true(script_is_served(s, "a"));
	assert_string_equal(js_str(chain, "pem"), c->chain); /* paid for, and kept */
	js_free(chain);
	assert_true(script_has_event(s, "a", "rolled-back"));
	assert_true(outcomes(s, "rolled-back") > 0);
}

/* --- test ------------------------------------------------------------------------------------------------------------------------ */

static void a_failing_test_takes_it_back_without_a_reload(void **state)
{
	struct script *s = *state;

	issue(s);
	script_fail(s, OP_TEST, ERR_LOCAL, "exit");
	renew(s);
	until_failed(s, "exit");
	assert_string_equal(s->trace, "test rollback test installed");
	assert_int_equal(script_cert(s, "a")->state, CERT_FAILED);
	assert_string_equal(script_cert(s, "a")->last_error->during, "test");
	assert_non_null(strstr(script_cert(s, "a")->last_error->detail, "with the new certificate only: service web: "));
	is_back(s, 1);
	/* The retry installs the same chain: the CA is not asked. */
	script_forget(s);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "install test load look confirm");
	assert_int_equal(script_cert(s, "a")->generation, 2);
	assert_int_equal(s->issued, 2);
}

/* The configuration is to blame, not the certificate. */
static void a_test_that_fails_anyway_says_so(void **state)
{
	struct script *s = *state;

	issue(s);
	script_fail(s, OP_TEST, ERR_LOCAL, "exit")->times = 2;
	renew(s);
	until_failed(s, "exit");
	assert_non_null(strstr(script_cert(s, "a")->last_error->detail, "with the previous certificate, too: service web: "));
	is_back(s, 1);
	assert_int_equal(s->count[OP_LOAD], 0);
	script_fail(s, OP_TEST, ERR_LOCAL, "exit");
	script_fail(s, OP_TEST, ERR_LOCAL, "keeper"); /* nobody knows */
	script_until_op(s, OP_ROLLBACK, 2);
	script_until_idle(s, "a");
	assert_memory_equal(script_cert(s, "a")->last_error->detail, "service web: ", 13);
	is_back(s, 1);
}

static void the_first_one_that_fails_its_test_stays(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_TEST, ERR_LOCAL, "exit");
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "exit");
	assert_int_equal(s->count[OP_ROLLBACK], 0); /* there is nothing to go back to */
	assert_int_equal(s->count[OP_LOAD], 0);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 1);
}

/* By our clock it is not valid yet: a service would show what every client refuses. */
static void one_of_the_future_waits_for_its_time(void **state)
{
	struct script *s = *state;
	int64_t begun = clock_now();

	s->early_s = 250;
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_INSTALL, 1);
	assert_true(clock_now() - begun >= 250);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 1);
	assert_int_equal(script_cert(s, "a")->attempts, 0);
}

/* --- reload ----------------------------------------------------------------------------------------------------------------------- */

static void a_failing_reload_takes_it_back_and_reloads(void **state)
{
	struct script *s = *state;

	issue(s);
	script_fail(s, OP_LOAD, ERR_LOCAL, "exit");
	renew(s);
	until_failed(s, "exit");
	assert_string_equal(s->trace, "test load" BACK " installed");
	assert_string_equal(script_cert(s, "a")->last_error->during, "reload");
	is_back(s, 1);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 2);
}

static void a_reload_that_hangs_ends(void **state)
{
	struct script *s = *state;
	int64_t begun;

	issue(s);
	script_rule(s, OP_LOAD, SILENT);
	renew(s);
	begun = clock_mono_ms();
	until_failed(s, "keeper");
	assert_in_range(clock_mono_ms() - begun, 4 * 30000, 300000); /* the service's timeout, that of whom it waits for at the keeper, and some */
	is_back(s, 1);
	script_until_served(s, "a");
}

static void both_reloads_may_fail(void **state)
{
	struct script *s = *state;

	issue(s);
	script_fail(s, OP_LOAD, ERR_LOCAL, "exit");
	script_fail(s, OP_RESTORE, ERR_LOCAL, "exit");
	renew(s);
	until_failed(s, "exit");
	assert_string_equal(s->trace, "test load" BACK " installed");
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2);
}

#define TWO_SERVICES SCRIPT_CA SCRIPT_HTTP "service = ( { name = \"one\"; test = [ \"/bin/true\" ]; command = [ \"/bin/true\" ]; look = [ \"127.0.0.1:1\" ]; }, " \
	"{ name = \"two\"; unit = \"two.service\"; look = [ \"127.0.0.1:2\", \"[::1]:2\" ]; } );\n" \
	"certificate = ( { name = \"a\"; names = [ \"a.test\" ]; service = [ \"one\", \"two\" ]; } );"

static void services_are_served_one_after_the_other(void **state)
{
	struct script *s = *state;

	script_conf(s, TWO_SERVICES);
	script_until_op(s, OP_INSTALL, 1);
	script_forget(s);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "test test load load look look look confirm");
	assert_int_equal(script_cert(s, "a")->ntargets, 3);
	assert_string_equal(script_cert(s, "a")->targets[2].address, "[::1]:2");
}

/* The first one's way back fails; the second one is told of the old certificate all the same. */
static void every_service_is_told_of_the_way_back(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;

	script_conf(s, TWO_SERVICES);
	script_until_served(s, "a");
	rule = script_fail(s, OP_LOAD, ERR_LOCAL, "exit");
	rule->about = "two";
	rule = script_fail(s, OP_RESTORE, ERR_LOCAL, "exit");
	rule->about = "one";
	renew(s);
	until_failed(s, "exit");
	assert_string_equal(s->trace, "test test load load rollback restore restore installed");
	is_back(s, 1);
	script_until_served(s, "a");
}

/* The second one was never told of the new certificate: nothing is done to it. */
static void who_was_not_told_is_left_alone(void **state)
{
	struct script *s = *state;

	script_conf(s, TWO_SERVICES);
	script_until_served(s, "a");
	script_fail(s, OP_LOAD, ERR_LOCAL, "exit")->about = "one";
	renew(s);
	until_failed(s, "exit");
	assert_string_equal(s->trace, "test test load rollback restore installed");
	is_back(s, 1);
}

/* One that was down before is not started on the way back. */
static void who_slept_before_is_not_started(void **state)
{
	struct script *s = *state;

	script_conf(s, TWO_SERVICES);
	script_until_served(s, "a");
	s->asleep = true; /* both say so; only of a unit it is believed */
	script_rule(s, OP_LOOK, FAIL)->times = ALWAYS;
	renew(s);
	until_failed(s, "scripted");
	assert_string_equal(strstr(s->trace, "rollback"), "rollback restore installed");
}

/* The first certificate: there is none to go back to, but a unit that went down over it is started. */
static void a_unit_is_started_again_without_a_previous_one_too(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_LOAD, ERR_LOCAL, "exit")->about = "two";
	script_conf(s, TWO_SERVICES);
	until_failed(s, "exit");
	assert_int_equal(s->count[OP_RESTORE], 1);
	assert_int_equal(s->count[OP_ROLLBACK], 0);
	assert_string_equal(strstr(s->trace, "load"), "load load restore installed");
}

/* --- look -------------------------------------------------------------------------------------------------------------------------- */

static void a_service_that_needs_a_moment_gets_it(void **state)
{
	struct script *s = *state;
	int64_t begun;

	issue(s);
	script_fail(s, OP_LOOK, ERR_TEMP, "connect")->times = 6;
	renew(s);
	begun = clock_mono_ms();
	script_until_served(s, "a");
	assert_in_range(clock_mono_ms() - begun, 20, 3000);
	assert_int_equal(s->count[OP_LOOK], 7);
	assert_int_equal(s->count[OP_ROLLBACK], 0);
	assert_int_equal(script_cert(s, "a")->generation, 2);
}

static void one_that_still_serves_the_old_one_is_stale(void **state)
{
	struct script *s = *state;
	struct cert *c;
	int64_t begun;

	issue(s);
	s->deaf = true;
	renew(s);
	begun = clock_mono_ms();
	until_failed(s, "stale");
	c = script_cert(s, "a");
	assert_in_range(clock_mono_ms() - begun, 15000, 20000);
	assert_int_equal(c->state, CERT_STALE);
	assert_int_equal(s->count[OP_ROLLBACK], 0); /* nothing is broken: it stays in place */
	assert_int_equal(s->count[OP_LOAD], 1);
	assert_int_equal(s->count[OP_CONFIRM], 0);
	assert_in_range(s->count[OP_LOOK], 10, 60);
	assert_int_equal(script_place(s, "a")->current, 2);
	assert_int_equal(c->generation, 2);
	assert_false(c->targets[0].ok);
	assert_non_null(strstr(c->targets[0].text, "another certificate"));
	assert_in_range(c->targets[0].not_after, clock_now(), c->not_after);
	s->deaf = false;
	script_forget(s);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "install test load look confirm"); /* with the kept chain */
	assert_int_equal(s->issued, 2);
	assert_true(c->targets[0].ok);
	assert_null(c->targets[0].text);
	assert_int_equal(outcomes(s, "done"), 2);
	assert_int_equal(outcomes(s, "stale"), 1);
	assert_int_equal(outcomes(s, "failed"), 0);
	assert_int_equal(outcomes(s, "rolled-back"), 0);
}

static void a_stale_one_is_tried_again_for_as_long_as_it_takes(void **state)
{
	struct script *s = *state;
	struct registry_summary sum;

	issue(s);
	s->deaf = true;
	renew(s);
	script_run(s, 10 * (int64_t)DAY_MS);
	assert_in_range(s->count[OP_INSTALL], 7, 20);
	assert_int_equal(s->issued, 2);
	registry_summary(s->registry, &sum);
	assert_int_equal(sum.stale, 1);
	s->deaf = false;
	script_until_served(s, "a");
	assert_int_equal(s->issued, 2);
}

/* One that does not serve it says nothing about the others. */
static void all_are_looked_at_although_the_first_one_is_stale(void **state)
{
	struct script *s = *state;
	struct cert *c;

	script_conf(s, TWO_SERVICES);
	script_until_served(s, "a");
	s->deaf = true;
	renew(s);
	until_failed(s, "stale");
	c = script_cert(s, "a");
	assert_int_equal(c->ntargets, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(!c->targets[i].ok && c->targets[i].serves);
	assert_non_null(strstr(c->last_error->detail, "127.0.0.1:1 "));
}

/* Nobody answers at the second address: that is no service that reads something else. */
static void one_that_is_gone_is_taken_back_although_another_one_is_stale(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;

	script_conf(s, TWO_SERVICES);
	script_until_served(s, "a");
	s->deaf = true;
	rule = script_fail(s, OP_LOOK, ERR_TEMP, "connect");
	rule->about = "127.0.0.1:2";
	rule->times = ALWAYS;
	renew(s);
	until_failed(s, "connect");
	is_back(s, 1);
}

/* The kept chain ended before any service took it: another one is ordered. */
static void a_kept_chain_that_expired_is_replaced(void **state)
{
	struct script *s = *state;

	issue(s);
	s->life_s = 5 * 86400;
	s->deaf = true;
	renew(s);
	script_run(s, 7 * (int64_t)DAY_MS);
	assert_int_equal(s->issued, 3);
	s->deaf = false;
	s->life_s = 90 * 86400;
	script_until_served(s, "a");
	assert_true(script_cert(s, "a")->not_after > clock_now());
}

static void the_first_one_that_is_not_seen_has_nothing_to_go_back_to(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_LOOK, FAIL)->times = ALWAYS;
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "scripted");
	assert_int_equal(s->count[OP_ROLLBACK], 0);
	assert_int_equal(script_place(s, "a")->current, 1);
	assert_int_equal(script_cert(s, "a")->generation, 1); /* it is in place, and known to be */
	script_forget_rules(s);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 1);
}

static void a_silent_look_is_ended_with_the_order(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_LOOK, SILENT);
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_LOOK, 1);
	script_stop(s); /* cancels it */
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 1);
}

static void a_half_chain_is_not_good_enough(void **state)
{
	struct script *s = *state;
	struct script_place *p;
	char *end;

	issue(s);
	renew(s);
	script_until_op(s, OP_LOAD, 1);
	p = script_place(s, "a");
	end = strstr(p->served, "-----END CERTIFICATE-----") + strlen("-----END CERTIFICATE-----\n");
	assert_true(strlen(end) > 100);
	*end = '\0'; /* cert.pem instead of fullchain.pem */
	s->deaf = true;
	until_failed(s, "stale");
	assert_non_null(strstr(script_cert(s, "a")->last_error->detail, "fullchain.pem"));
	s->deaf = false;
	script_until_served(s, "a");
}

/* --- services asleep, none, without addresses ------------------------------------------------------------------------------------------ */

static void a_service_that_sleeps_is_not_woken(void **state)
{
	struct script *s = *state;

	s->asleep = true;
	script_conf(s, SCRIPT_CA SCRIPT_HTTP "service = ( { name = \"web\"; unit = \"web.service\"; look = [ \"127.0.0.1:443\" ]; } );\n"
		"certificate = ( " SCRIPT_CERT("a", "") " );");
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_LOOK], 0);
	assert_int_equal(s->count[OP_CONFIRM], 1);
	assert_string_equal(script_cert(s, "a")->targets[0].text, "the service is not running");
	assert_false(script_cert(s, "a")->targets[0].ok);
}

static void a_haproxy_that_is_not_there_is_not_looked_at(void **state)
{
	struct script *s = *state;

	s->asleep = true;
	script_conf(s, SCRIPT_CA SCRIPT_HTTP "service = ( { name = \"web\"; haproxy = \"/run/haproxy.sock\"; look = [ \"127.0.0.1:443\" ]; } );\n"
		"certificate = ( " SCRIPT_CERT("a", "") " );");
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_LOOK], 0);
	assert_string_equal(script_cert(s, "a")->targets[0].text, "the service is not running");
}

static void a_certificate_without_services_is_installed(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\" ]; } );");
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed account create authz publish see announce authz withdraw request finalize fetch install confirm");
}

/* --- install, confirm, rollback -------------------------------------------------------------------------------------------------------- */

static void a_failed_installation_is_repeated_with_the_same_chain(void **state)
{
	static const enum script_what what[] = { FAIL, LOSE, SILENT, VANISH };
	struct script *s = *state;

	issue(s);
	for (size_t i = 0; i < 4; i++) {
		script_rule(s, OP_INSTALL, what[i])->err.kind = ERR_LOCAL;
		renew(s);
		script_until_idle(s, "a");
		assert_int_equal(script_cert(s, "a")->attempts, 1);
		assert_true(script_place(s, "a")->served != NULL);
		script_until_served(s, "a");
		assert_int_equal(s->issued, i + 2);
		assert_int_equal(script_cert(s, "a")->generation, i + 2);
		assert_int_equal(s->count[OP_CREATE], 0);
	}
}

static void what_the_keeper_refuses_is_not_offered_again(void **state)
{
	struct script *s = *state;

	issue(s);
	script_fail(s, OP_INSTALL, ERR_DENIED, "badCertificate");
	renew(s);
	until_failed(s, "badCertificate");
	assert_null(script_cert(s, "a")->products);
	assert_true(script_is_served(s, "a"));
	script_until_served(s, "a");
	assert_int_equal(s->issued, 3);
}

static void confirming_may_fail(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_CONFIRM, FAIL);
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->attempts, 0);
}

static void a_failed_rollback_is_told_and_the_next_attempt_goes_on(void **state)
{
	static const enum script_what what[] = { FAIL, LOSE, SILENT, VANISH };
	struct script *s = *state;

	issue(s);
	for (size_t i = 0; i < 4; i++) {
		script_fail(s, OP_TEST, ERR_LOCAL, "exit");
		script_rule(s, OP_ROLLBACK, what[i]);
		renew(s);
		until_failed(s, "exit"); /* the reason, not what came of it */
		assert_int_equal(script_cert(s, "a")->generation, script_place(s, "a")->current);
		script_until_served(s, "a");
		assert_int_equal(script_cert(s, "a")->generation, i + 2);
		assert_int_equal(s->issued, i + 2);
	}
}

/* The keeper does not say what is back until after the retry was due: it is due all the same. */
static void a_keeper_that_is_silent_about_it_holds_up_no_retry(void **state)
{
	struct script *s = *state;

	issue(s);
	for (int i = 0; i < 8; i++) { /* the retry comes after 45 to 75 s, its answer after 60 */
		int64_t begun;

		script_fail(s, OP_TEST, ERR_LOCAL, "exit");
		script_rule(s, OP_INSTALLED, SILENT);
		renew(s);
		begun = clock_mono_ms();
		script_until_state(s, "a", CERT_FAILED);
		script_until_served(s, "a");
		assert_in_range(clock_mono_ms() - begun, 45000, 5 * MINUTE_MS);
	}
}

/* What is still served ends soon: the retry must not be planned by the life of the one that is installed. */
static void the_retry_goes_by_the_life_of_what_is_served(void **state)
{
	struct script *s = *state;
	struct cert *c;

	s->life_s = 8 * 3600;
	issue(s);
	s->life_s = 90 * 86400;
	s->deaf = true;
	renew(s);
	until_failed(s, "stale");
	c = script_cert(s, "a");
	for (int i = 0; i < 6; i++) { /* would be daily by now */
		struct err err;

		assert_true(registry_renew(s->registry, c, true, &err));
		until_failed(s, "stale");
	}
	assert_int_equal(c->generation, 2); /* in place, and of no use to anybody yet */
	assert_true(cert_ends(c) == c->targets[0].not_after && cert_ends(c) < c->not_after);
	assert_in_range(c->next_at - clock_now(), 1, 5000);
	s->deaf = false;
	script_until_served(s, "a");
}

/* --- restart in the middle ---------------------------------------------------------------------------------------------------------------- */

static void stopped_in_the_middle_it_goes_on_with_the_chain(void **state)
{
	static const enum script_op ops[] = { OP_INSTALL, OP_TEST, OP_LOAD, OP_LOOK, OP_CONFIRM };
	struct script *s = *state;

	issue(s);
	for (size_t i = 0; i < 5; i++) {
		struct err err;

		script_rule(s, ops[i], VANISH);
		script_forget(s);
		assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_op(s, ops[i], 1);
		script_crash(s);
		script_forget(s);
		script_until_served(s, "a");
		assert_string_equal(s->trace, "install test load look confirm");
		assert_int_equal(s->issued, i + 2);
		assert_int_equal(script_cert(s, "a")->generation, i + 2);
	}
}

static void stopped_on_the_way_back_it_tries_again_and_goes_back_again(void **state)
{
	struct script *s = *state;

	issue(s);
	script_fail(s, OP_LOAD, ERR_LOCAL, "exit")->times = 2; /* now, and after the crash */
	script_rule(s, OP_ROLLBACK, SILENT);
	renew(s);
	script_until_op(s, OP_ROLLBACK, 1);
	assert_int_equal(script_place(s, "a")->current, 2);
	script_crash(s);
	until_failed(s, "exit");
	assert_int_equal(script_place(s, "a")->current, 1);
	assert_int_equal(script_cert(s, "a")->generation, 1);
	script_until_served(s, "a");
	assert_int_equal(s->issued, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_failing_test_takes_it_back_without_a_reload),
		TEST(a_test_that_fails_anyway_says_so),
		TEST(the_first_one_that_fails_its_test_stays),
		TEST(one_of_the_future_waits_for_its_time),
		TEST(a_failing_reload_takes_it_back_and_reloads),
		TEST(a_reload_that_hangs_ends),
		TEST(both_reloads_may_fail),
		TEST(services_are_served_one_after_the_other),
		TEST(every_service_is_told_of_the_way_back),
		TEST(who_was_not_told_is_left_alone),
		TEST(who_slept_before_is_not_started),
		TEST(a_unit_is_started_again_without_a_previous_one_too),
		TEST(a_service_that_needs_a_moment_gets_it),
		TEST(one_that_still_serves_the_old_one_is_stale),
		TEST(a_stale_one_is_tried_again_for_as_long_as_it_takes),
		TEST(all_are_looked_at_although_the_first_one_is_stale),
		TEST(one_that_is_gone_is_taken_back_although_another_one_is_stale),
		TEST(a_kept_chain_that_expired_is_replaced),
		TEST(the_first_one_that_is_not_seen_has_nothing_to_go_back_to),
		TEST(a_silent_look_is_ended_with_the_order),
		TEST(a_half_chain_is_not_good_enough),
		TEST(a_service_that_sleeps_is_not_woken),
		TEST(a_haproxy_that_is_not_there_is_not_looked_at),
		TEST(a_certificate_without_services_is_installed),
		TEST(a_failed_installation_is_repeated_with_the_same_chain),
		TEST(what_the_keeper_refuses_is_not_offered_again),
		TEST(confirming_may_fail),
		TEST(a_failed_rollback_is_told_and_the_next_attempt_goes_on),
		TEST(a_keeper_that_is_silent_about_it_holds_up_no_retry),
		TEST(the_retry_goes_by_the_life_of_what_is_served),
		TEST(stopped_in_the_middle_it_goes_on_with_the_chain),
		TEST(stopped_on_the_way_back_it_tries_again_and_goes_back_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
