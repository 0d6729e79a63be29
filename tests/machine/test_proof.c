/* SPDX-License-Identifier: ISC */
/* The proof's table: one authorization from plan to withdraw. Whatever happens, at the end nothing is published (the script looks for that itself). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define CERT(more) SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", more) " );"

static struct script_authz *authz(struct script *s)
{
	assert_non_null(s->orders);
	return &s->orders->authz[0];
}

static void until_failed(struct script *s, const char *type)
{
	script_until_idle(s, "a");
	if (!script_cert(s, "a")->last_error)
		fail_msg("it went well: %s", s->trace);
	assert_string_equal(script_cert(s, "a")->last_error->type, type);
	assert_int_equal(s->published, 0);
}

/* --- A21: what the authorization is when first read ------------------------------------------------------------------------------ */

static void make_valid(struct script *s, const char *about)
{
	(void)about;
	authz(s)->status = ISSUER_VALID;
}

static void one_that_is_valid_already(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_AUTHZ, PASS)->before = make_valid;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed account create authz request finalize fetch install test load look confirm");
}

static void make_gone(struct script *s, const char *about)
{
	(void)about;
	authz(s)->status = ISSUER_GONE;
}

static void one_that_was_deactivated_or_expired(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_AUTHZ, PASS)->before = make_gone;
	script_conf(s, CERT(""));
	until_failed(s, "authorization");
	assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_TEMP);
	assert_null(script_cert(s, "a")->products); /* an order with such an authorization is never taken up again */
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
}

static void make_invalid(struct script *s, const char *about)
{
	(void)about;
	authz(s)->status = ISSUER_INVALID;
	err_set(&authz(s)->problem, ERR_TEMP, "dns", "no address");
}

static void one_that_is_invalid(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_AUTHZ, PASS)->before = make_invalid;
	script_conf(s, CERT(""));
	until_failed(s, "dns");
	assert_string_equal(script_cert(s, "a")->last_error->detail, "no address");
	assert_string_equal(script_cert(s, "a")->last_error->during, "prove a.test");
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
}

/* Its other name is pending: it is deactivated, so that no pending authorization is left behind. */
static void one_invalid_among_two(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_AUTHZ, PASS);

	rule->before = make_invalid;
	rule->about = "a.test";
	rule = script_fail(s, OP_AUTHZ, ERR_TEMP, "connect");
	rule->about = "b.test";
	script_conf(s, SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\", \"b.test\" ]; } );");
	until_failed(s, "dns");
	assert_int_equal(s->count[OP_DEACTIVATE], 1);
	assert_int_equal(s->orders->authz[1].status, ISSUER_GONE);
	script_until_served(s, "a");
}

static void make_processing(struct script *s, const char *about)
{
	(void)about;
	authz(s)->status = ISSUER_PROCESSING;
	authz(s)->challenge = ISSUER_PROOF_PROCESSING;
}

static void one_that_is_processing(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_AUTHZ, PASS)->before = make_processing;
	script_rule(s, OP_ANNOUNCE, PASS)->before = make_valid;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_PUBLISH], 1);
	assert_int_equal(s->count[OP_WITHDRAW], 1);
}

/* --- A26, A28: challenges ----------------------------------------------------------------------------------------------------------- */

static void offer_nothing(struct script *s, const char *about)
{
	(void)about;
	authz(s)->type = "tls-alpn-01";
}

static void no_challenge_that_we_can_do(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_AUTHZ, PASS)->before = offer_nothing;
	script_conf(s, CERT(""));
	until_failed(s, "no-method");
	assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_DENIED);
	assert_non_null(strstr(script_cert(s, "a")->last_error->detail, "http-01"));
	assert_int_equal(s->count[OP_PUBLISH], 0);
	assert_int_equal(s->count[OP_DEACTIVATE], 1);
	script_until_served(s, "a"); /* a day later */
}

static void take_the_token(struct script *s, const char *about)
{
	(void)about;
	free(authz(s)->token);
	authz(s)->token = NULL;
}

static void give_a_token(struct script *s, const char *about)
{
	(void)about;
	if (!authz(s)->token)
		authz(s)->token = script_number(s, "token-");
}

static void a_challenge_without_a_token_is_none(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_AUTHZ, PASS)->before = take_the_token;
	script_rule(s, OP_AUTHZ, PASS)->before = give_a_token;
	script_conf(s, CERT(""));
	until_failed(s, "no-method");
	assert_int_equal(s->count[OP_PUBLISH], 0);
	script_until_served(s, "a");
}

static void rename_it(struct script *s, const char *about)
{
	(void)about;
	free(authz(s)->name);
	authz(s)->name = script_number(s, "victim.test");
}

static void a_name_that_was_not_asked_for_is_refused(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_AUTHZ, PASS)->before = rename_it;
	script_conf(s, CERT(""));
	until_failed(s, "malformed");
	assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_DENIED);
	assert_int_equal(s->count[OP_PUBLISH], 0);
	assert_int_equal(s->count[OP_ANNOUNCE], 0);
	script_until_served(s, "a");
}

static void the_first_method_that_fits_is_taken(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_CA SCRIPT_SERVICE "http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; }, "
		"{ name = \"alt\"; type = \"webroot\"; path = \"/srv/alt\"; } );\n"
		"certificate = ( " SCRIPT_CERT("a", "prove = [ \"http:alt\", \"http:www\" ];") " );");
	script_rule(s, OP_PUBLISH, PASS)->delay_ms = 1000;
	script_until_op(s, OP_PUBLISH, 1);
	{
		struct order *o = script_cert(s, "a")->order;
		struct js *shown = order_show(o);

		assert_string_equal(js_str(js_at(js_arr(shown, "proofs"), 0), "method"), "http:alt");
		assert_string_equal(js_str(js_at(js_arr(shown, "proofs"), 0), "step"), "publish");
		assert_string_equal(js_str(shown, "step"), "prove");
		assert_false(js_has(js_at(js_arr(shown, "proofs"), 0), "wildcard"));
		js_free(shown);
		o->proofs[0].wildcard = true; /* else it could not be told from that of the name itself */
		shown = order_show(o);
		assert_true(js_bool(js_at(js_arr(shown, "proofs"), 0), "wildcard", false));
		js_free(shown);
		o->proofs[0].wildcard = false;
	}
	script_until_served(s, "a");
}

/* --- the self-check --------------------------------------------------------------------------------------------------------------------- */

static void off_does_not_look(void **state)
{
	struct script *s = *state;

	script_conf(s, CERT("self_check = \"off\";"));
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_SEE], 0);
}

static void advise_looks_and_goes_on(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_SEE, ERR_TEMP, "differs");
	script_conf(s, CERT("self_check = \"advise\";"));
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_SEE], 1);
	assert_int_equal(s->count[OP_ANNOUNCE], 1);
}

static void require_waits_until_it_is_seen(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_SEE, ERR_TEMP, "differs")->times = 5;
	script_conf(s, CERT("self_check = \"require\";"));
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_SEE], 6);
	assert_int_equal(s->count[OP_ANNOUNCE], 1);
}

static void require_gives_up_without_asking_the_ca(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_SEE, ERR_TEMP, "differs")->times = 40;
	script_conf(s, CERT("self_check = \"require\";"));
	until_failed(s, "differs");
	assert_int_equal(s->count[OP_ANNOUNCE], 0);
	assert_int_equal(s->count[OP_WITHDRAW], 1);
	assert_int_equal(s->count[OP_DEACTIVATE], 0); /* the next attempt may yet prove it */
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
}

static void a_look_without_end_ends(void **state)
{
	static const char *const how[] = { CERT("self_check = \"require\";"), CERT("self_check = \"advise\";") };
	struct script *s = *state;

	script_rule(s, OP_SEE, SILENT);
	script_conf(s, how[0]);
	until_failed(s, "timeout");
	assert_int_equal(s->count[OP_SEE], 1); /* the limit is the state's: no further try after it */
	assert_int_equal(s->count[OP_ANNOUNCE], 0);
	script_until_served(s, "a");
	script_rule(s, OP_SEE, SILENT);
	script_conf(s, how[1]);
	{
		struct err err;

		assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	}
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2);
}

/* --- announce and poll -------------------------------------------------------------------------------------------------------------------- */

static void a_lost_announcement_is_found_out(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, LOSE);
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_ANNOUNCE], 1);
	assert_int_equal(script_cert(s, "a")->attempts, 0);
}

static void one_that_never_arrived_is_repeated_soon(void **state)
{
	struct script *s = *state;
	int64_t begun;

	script_rule(s, OP_ANNOUNCE, FAIL);
	script_conf(s, CERT(""));
	begun = clock_mono_ms();
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_ANNOUNCE], 2);
	assert_in_range(clock_mono_ms() - begun, 1000, 5000);
	assert_int_equal(s->count[OP_WITHDRAW], 1);
}

static void but_not_without_end(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_ANNOUNCE, ERR_TEMP, "serverInternal")->times = 3;
	script_conf(s, CERT(""));
	until_failed(s, "serverInternal");
	assert_int_equal(s->count[OP_ANNOUNCE], 3);
	assert_int_equal(s->count[OP_WITHDRAW], 1);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
}

static void a_late_announcement_is_no_error(void **state)
{
	static const char *const types[] = { "malformed", "conflict" };
	struct script *s = *state;

	for (size_t i = 0; i < 2; i++) {
		struct script_rule *rule = script_fail(s, OP_ANNOUNCE, ERR_DENIED, types[i]);
		struct err err;

		rule->what = LOSE;
		if (i == 0)
			script_conf(s, CERT(""));
		else
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_served(s, "a");
		assert_int_equal(script_cert(s, "a")->generation, i + 1);
	}
}

static void keep_pending(struct script *s, const char *about)
{
	(void)about;
	authz(s)->status = ISSUER_PENDING;
	authz(s)->challenge = ISSUER_PROOF_PROCESSING;
}

static void the_cas_word_on_waiting_counts(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_AUTHZ, PASS);
	int64_t begun;

	s->wait_ms = 9000;
	rule->skip = 1; /* the plan */
	rule->times = 2;
	rule->before = keep_pending;
	rule = script_rule(s, OP_AUTHZ, PASS);
	rule->skip = 1;
	rule->before = make_valid;
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	begun = clock_mono_ms();
	script_until_op(s, OP_AUTHZ, 2);
	assert_int_equal(clock_mono_ms() - begun, 9000);
	script_until_op(s, OP_AUTHZ, 4);
	assert_int_equal(clock_mono_ms() - begun, 27000);
	script_until_served(s, "a");
}

static void polls_grow_polite_and_end(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_AUTHZ, PASS);

	rule->skip = 1;
	rule->times = ALWAYS;
	rule->before = keep_pending;
	script_conf(s, CERT(""));
	until_failed(s, "timeout");
	assert_in_range(s->count[OP_AUTHZ], 60, 160); /* in ten minutes */
	assert_int_equal(s->count[OP_WITHDRAW], 1);
	script_forget_rules(s);
	make_valid(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
}

static void a_poll_that_fails_does_not_take_the_proof_away(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_fail(s, OP_AUTHZ, ERR_TEMP, "connect");

	rule->skip = 1;
	rule->times = 2;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_WITHDRAW], 1);
	assert_int_equal(script_cert(s, "a")->attempts, 0);
	assert_string_equal(s->trace, "installed account create authz publish see announce authz authz authz withdraw request finalize fetch install test "
		"load look confirm");
}

static void a_good_answer_in_between_counts(void **state)
{
	struct script *s = *state;

	for (int i = 0; i < 4; i++) { /* the plan and each poll after a bad one goes well */
		struct script_rule *rule = script_rule(s, OP_AUTHZ, PASS);

		rule->before = keep_pending;
		script_fail(s, OP_AUTHZ, ERR_TEMP, "connect");
	}
	script_rule(s, OP_AUTHZ, PASS)->before = make_valid;
	s->rules->before = NULL;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->attempts, 0);
	assert_int_equal(s->count[OP_WITHDRAW], 1);
	assert_int_equal(s->count[OP_AUTHZ], 9);
}

static void polls_that_keep_failing_end(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_fail(s, OP_AUTHZ, ERR_TEMP, "connect");

	rule->skip = 1;
	rule->times = 3;
	script_conf(s, CERT(""));
	until_failed(s, "connect");
	assert_int_equal(s->count[OP_WITHDRAW], 1);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
}

static void a_proof_that_the_ca_does_not_see_costs_the_order(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, FAIL)->before = make_invalid;
	script_conf(s, CERT(""));
	until_failed(s, "dns");
	assert_int_equal(s->count[OP_WITHDRAW], 1);
	assert_null(script_cert(s, "a")->products);
	script_until_served(s, "a");
}

/* --- publish and withdraw -------------------------------------------------------------------------------------------------------------------- */

static void what_may_be_published_is_withdrawn(void **state)
{
	static const enum script_what what[] = { FAIL, LOSE, VANISH };
	struct script *s = *state;

	for (size_t i = 0; i < 3; i++) {
		struct err err;

		script_forget(s);
		script_rule(s, OP_PUBLISH, what[i]);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		until_failed(s, what[i] == VANISH ? "timeout" : "scripted");
		assert_int_equal(s->count[OP_WITHDRAW], 1);
		assert_int_equal(s->count[OP_SEE], 0);
		script_until_served(s, "a");
	}
}

static void withdrawing_is_tried_again(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_WITHDRAW, FAIL)->times = 2;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_WITHDRAW], 3);
	assert_null(script_cert(s, "a")->products);
}

/* Issued, but its proof could not be withdrawn. */
static void leave_published(struct script *s)
{
	script_rule(s, OP_WITHDRAW, FAIL)->times = 6;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_int_equal(s->published, 1);
}

/* It does not hold up the certificate, it is not forgotten, and it does not wait for the next renewal. */
static void what_cannot_be_withdrawn_is_left_for_later(void **state)
{
	struct script *s = *state;
	struct cert *c;
	int64_t begun;

	begun = clock_mono_ms();
	leave_published(s);
	assert_in_range(clock_mono_ms() - begun, 4000, 5000); /* after the proof, and once more before the end */
	c = script_cert(s, "a");
	assert_non_null(c->products);
	assert_string_equal(c->next_step, "withdraw");
	script_run(s, 2 * HOUR_MS);
	assert_int_equal(s->published, 0);
	assert_null(c->products);
	assert_string_equal(c->next_step, "renew");
	assert_int_equal(s->created, 1);
}

static void it_is_not_forgotten_over_a_restart(void **state)
{
	struct script *s = *state;

	leave_published(s);
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, 1000);
	assert_int_equal(s->published, 0);
	assert_int_equal(s->created, 1);
	assert_string_equal(script_cert(s, "a")->next_step, "renew");
}

static void one_that_can_never_be_withdrawn_does_not_keep_us_busy(void **state)
{
	struct script *s = *state;

	s->life_s = 9 * 86400;
	script_rule(s, OP_WITHDRAW, FAIL)->times = ALWAYS;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	script_forget(s);
	script_run(s, 2 * (int64_t)DAY_MS);
	assert_in_range(s->count[OP_WITHDRAW], 24, 60);
	assert_int_equal(s->count[OP_CREATE], 0);
	script_run(s, 4 * (int64_t)DAY_MS);
	assert_int_equal(script_cert(s, "a")->generation, 2); /* renewed all the same */
	script_forget_rules(s);
	script_run(s, 3 * HOUR_MS);
	assert_int_equal(s->published, 0); /* both of them */
}

static void a_silent_withdrawal_ends(void **state)
{
	struct script *s = *state;
	int64_t begun;

	script_rule(s, OP_WITHDRAW, VANISH);
	script_conf(s, CERT(""));
	begun = clock_mono_ms();
	script_until_served(s, "a");
	assert_in_range(clock_mono_ms() - begun, 300000, 301000);
	script_run(s, 2 * HOUR_MS);
	assert_null(script_cert(s, "a")->products);
}

/* --- the limits of one answer ------------------------------------------------------------------------------------------------------------------ */

static void a_ca_that_never_answers_does_not_hold_us_for_ever(void **state)
{
	static const enum script_op ops[] = { OP_ACCOUNT, OP_CREATE, OP_AUTHZ, OP_ANNOUNCE, OP_FINALIZE, OP_FETCH };
	struct script *s = *state;

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		int64_t begun = clock_mono_ms();
		struct err err;

		script_rule(s, ops[i], SILENT);
		script_forget(s);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_served(s, "a");
		assert_in_range(clock_mono_ms() - begun, 15 * MINUTE_MS, 18 * MINUTE_MS);
		assert_int_equal(s->issued, i + 1);
	}
}

/* --- resuming --------------------------------------------------------------------------------------------------------------------------------- */

static void change_token(struct script *s, const char *about)
{
	(void)about;
	free(authz(s)->token);
	authz(s)->token = script_number(s, "token-");
}

static void an_older_token_is_withdrawn_before_the_new_one(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	script_crash(s);
	change_token(s, NULL);
	script_forget(s);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "account order authz withdraw authz publish see announce authz withdraw request finalize fetch install test load look "
		"confirm");
}

static void one_that_the_ca_looks_at_is_only_waited_for(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	script_crash(s);
	make_processing(s, NULL);
	script_forget(s);
	script_until_op(s, OP_AUTHZ, 3);
	make_valid(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_PUBLISH], 0);
	assert_int_equal(s->count[OP_ANNOUNCE], 0);
	assert_int_equal(s->count[OP_WITHDRAW], 1);
}

/* The method of choice could not be made then, and can be now. */
static void what_another_method_published_is_withdrawn_by_it(void **state)
{
	static const char conf[] = SCRIPT_CA SCRIPT_SERVICE "http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; }, "
		"{ name = \"alt\"; type = \"webroot\"; path = \"/srv/alt\"; } );\n"
		"certificate = ( " SCRIPT_CERT("a", "prove = [ \"http:alt\", \"http:www\" ];") " );";
	struct script *s = *state;

	s->no_method = "alt";
	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, conf);
	script_until_op(s, OP_ANNOUNCE, 1);
	script_stop(s);
	s->no_method = NULL;
	script_forget(s);
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_WITHDRAW], 2);
	assert_int_equal(s->published, 0);
}

/* Killed while published, and the CA is away at the restart: nothing stays published until it is back. The order goes on then. */
static void what_is_left_goes_though_the_ca_is_away(void **state)
{
	static const enum script_op away[] = { OP_ACCOUNT, OP_ORDER };
	struct script *s = *state;

	for (size_t i = 0; i < 2; i++) {
		struct err err;

		script_forget(s);
		script_rule(s, OP_ANNOUNCE, SILENT);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_op(s, OP_ANNOUNCE, 1);
		script_fail(s, away[i], ERR_TEMP, "connect")->times = 2;
		script_forget(s);
		script_crash(s);
		script_until_op(s, away[i], 1);
		script_run(s, 1000);
		assert_int_equal(s->published, 0);
		assert_int_equal(s->count[OP_WITHDRAW], 1);
		assert_string_equal(script_cert(s, "a")->last_error->type, "connect");
		assert_string_equal(script_cert(s, "a")->last_error->during, i ? "poll" : "account");
		script_until_served(s, "a");
		assert_int_equal(s->created, i + 1);
		assert_int_equal(s->count[OP_DEACTIVATE], 0);
		assert_int_equal(s->count[OP_WITHDRAW], 2); /* once published anew */
		script_forget_rules(s);
	}
}

static void what_is_left_goes_though_the_ca_wants_a_pause(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	s->ca_not_before = SCRIPT_NOW + 5000;
	rule = script_fail(s, OP_ORDER, ERR_LIMIT, "rateLimited");
	rule->err.not_before = s->ca_not_before;
	script_crash(s);
	script_run(s, 1000);
	assert_int_equal(s->published, 0);
	assert_in_range(script_cert(s, "a")->next_at, SCRIPT_NOW + 5000, SCRIPT_NOW + 6000);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
}

/* The old order was over, its left-over not: another order is not to be had, either. */
static void what_is_left_goes_though_no_order_is_made(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_ANNOUNCE, ERR_DENIED, "unauthorized");
	script_rule(s, OP_WITHDRAW, FAIL)->times = 4; /* by the proof, and by the sweep */
	script_conf(s, CERT(""));
	script_until_state(s, "a", CERT_FAILED);
	assert_int_equal(s->published, 1);
	script_fail(s, OP_CREATE, ERR_TEMP, "connect");
	script_forget(s);
	script_until_op(s, OP_CREATE, 1);
	script_run(s, 1000);
	assert_int_equal(s->published, 0);
	script_until_served(s, "a");
}

/* It goes while the withdrawal takes its time, too: no order is kept for what nobody wants any more. */
static void a_change_while_it_goes_counts_at_once(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	script_fail(s, OP_ACCOUNT, ERR_TEMP, "connect");
	script_rule(s, OP_WITHDRAW, SILENT);
	script_forget(s);
	script_crash(s);
	script_until_op(s, OP_WITHDRAW, 1);
	script_conf(s, SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\", \"b.test\" ]; service = [ \"web\" ]; } );");
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 10);
	assert_int_equal(s->published, 0);
}

/* Killed while published, and disabled meanwhile: no certificate, but nothing stays, either. */
static void what_a_disabled_one_left_goes(void **state)
{
	struct script *s = *state;
	struct cert *c;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	script_stop(s);
	assert_int_equal(s->published, 1);
	script_rule(s, OP_WITHDRAW, FAIL);
	script_conf(s, CERT("enabled = false;"));
	script_run(s, 1000);
	c = script_cert(s, "a");
	assert_int_equal(c->state, CERT_DISABLED);
	assert_string_equal(c->next_step, "withdraw");
	assert_int_equal(s->published, 1);
	script_run(s, HOUR_MS + MINUTE_MS);
	assert_int_equal(s->published, 0);
	assert_int_equal(s->count[OP_WITHDRAW], 2);
	assert_int_equal(c->state, CERT_DISABLED);
	assert_null(c->next_step);
	assert_int_equal(c->next_at, 0);
	assert_null(c->products);
	assert_int_equal(s->created, 1);
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
}

/* Issued long ago, but the last withdrawal failed; and disabled over a restart, with nobody to ask. */
static void what_one_that_was_disabled_later_left_goes(void **state)
{
	struct script *s = *state;

	leave_published(s);
	script_stop(s);
	s->no_issuer = true;
	script_conf(s, CERT("enabled = false;"));
	script_run(s, 2 * HOUR_MS);
	assert_int_equal(s->published, 1);
	assert_int_equal(script_cert(s, "a")->state, CERT_DISABLED);
	assert_null(script_cert(s, "a")->last_error);
	s->no_issuer = false;
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, 1000);
	assert_int_equal(s->published, 0);
	assert_int_equal(script_cert(s, "a")->state, CERT_DISABLED);
	assert_int_equal(script_cert(s, "a")->next_at, 0);
}

/* Everything was said and done while we were down: the order is ready, and the token still lies there. */
static void a_token_of_an_order_that_needs_it_no_more_is_withdrawn(void **state)
{
	static const enum issuer_status status[] = { ISSUER_READY, ISSUER_INVALID, ISSUER_GONE };
	struct script *s = *state;

	for (size_t i = 0; i < 3; i++) {
		struct err err;

		script_rule(s, OP_ANNOUNCE, VANISH);
		script_forget(s);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_op(s, OP_ANNOUNCE, 1);
		script_crash(s);
		assert_int_equal(s->published, 1);
		s->orders->status = status[i];
		script_until_op(s, OP_WITHDRAW, 1);
		assert_int_equal(s->count[OP_FINALIZE], 0); /* first things first */
		script_until_served(s, "a");
		assert_int_equal(s->published, 0);
		script_forget_rules(s);
	}
}

#define WEBROOT(name) "{ name = \"" name "\"; type = \"webroot\"; path = \"/srv/" name "\"; }"

/* Published by "old", and killed before the CA was told. */
static void kill_while_published(struct script *s, const char *conf)
{
	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, conf);
	script_until_op(s, OP_ANNOUNCE, 1);
	script_stop(s);
	assert_int_equal(s->published, 1);
	script_forget(s);
}

static void what_a_method_published_is_withdrawn_by_it_though_it_does_not_prove_any_more(void **state)
{
	struct script *s = *state;

	kill_while_published(s, SCRIPT_CA SCRIPT_SERVICE "http = ( " WEBROOT("old") ", " WEBROOT("new") " );\n"
		"certificate = ( " SCRIPT_CERT("a", "prove = [ \"http:old\" ];") " );");
	script_conf(s, SCRIPT_CA SCRIPT_SERVICE "http = ( " WEBROOT("old") ", " WEBROOT("new") " );\n"
		"certificate = ( " SCRIPT_CERT("a", "prove = [ \"http:new\" ];") " );");
	script_until_served(s, "a");
	assert_int_equal(s->published, 0);
	assert_int_equal(s->count[OP_WITHDRAW], 2);
	assert_null(script_cert(s, "a")->products);
}

/* It is no obstacle, it is not forgotten, and withdrawn once there is something to do it with. */
static void what_a_method_published_waits_until_that_is_back(void **state)
{
	static const char both[] = SCRIPT_CA SCRIPT_SERVICE "http = ( " WEBROOT("old") ", " WEBROOT("new") " );\n"
		"certificate = ( " SCRIPT_CERT("a", "prove = [ \"http:new\" ];") " );";
	struct script *s = *state;

	kill_while_published(s, SCRIPT_CA SCRIPT_SERVICE "http = ( " WEBROOT("old") " );\n"
		"certificate = ( " SCRIPT_CERT("a", "") " );");
	script_conf(s, SCRIPT_CA SCRIPT_SERVICE "http = ( " WEBROOT("new") " );\n"
		"certificate = ( " SCRIPT_CERT("a", "prove = [ \"http:new\" ];") " );");
	script_until_served(s, "a");
	assert_int_equal(s->published, 1);
	assert_string_equal(script_cert(s, "a")->next_step, "withdraw");
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, 10 * (int64_t)DAY_MS);
	assert_int_equal(s->published, 1);
	assert_int_equal(s->count[OP_WITHDRAW], 1); /* of the one that proved */
	assert_string_equal(script_cert(s, "a")->next_step, "withdraw");
	assert_true(script_cert(s, "a")->next_at > clock_now());
	script_conf(s, both);
	script_run(s, 1000);
	assert_int_equal(s->published, 0);
	assert_string_equal(script_cert(s, "a")->next_step, "renew");
	assert_int_equal(s->created, 2);
}

/* The order goes on by another one. */
static void what_a_method_published_that_cannot_be_made_now_waits_as_well(void **state)
{
	struct script *s = *state;

	kill_while_published(s, SCRIPT_CA SCRIPT_SERVICE "http = ( " WEBROOT("old") ", " WEBROOT("new") " );\n"
		"certificate = ( " SCRIPT_CERT("a", "prove = [ \"http:old\", \"http:new\" ];") " );");
	s->no_method = "old";
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
	assert_int_equal(s->published, 1);
	s->no_method = NULL;
	script_run(s, 2 * HOUR_MS);
	assert_int_equal(s->published, 0);
	assert_null(script_cert(s, "a")->products);
}

static void a_method_that_cannot_be_made_is_named(void **state)
{
	struct script *s = *state;

	s->no_method = "*";
	script_conf(s, CERT(""));
	until_failed(s, "listen");
	assert_string_equal(script_cert(s, "a")->last_error->detail, "the address is in use");
	assert_int_equal(s->count[OP_CREATE], 0);
	s->no_method = NULL; /* and is made when it can be */
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 100);
}

/* --- a strict method -------------------------------------------------------------------------------------------------------------------------------- */

#define TWO(prove) SCRIPT_CA SCRIPT_SERVICE "http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; }, " \
	"{ name = \"alt\"; type = \"webroot\"; path = \"/srv/alt\"; } );\ncertificate = ( " SCRIPT_CERT("a", prove) " );"

static void renew(struct script *s)
{
	struct err err;

	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
}

static const struct js *shown_proof(const struct js *shown)
{
	return js_at(js_arr(shown, "proofs"), 0);
}

/* Whatever self_check says short of "off": it has waited long enough by itself. */
static void what_a_strict_method_does_not_see_is_not_asked_for(void **state)
{
	static const char *const how[] = { CERT(""), CERT("self_check = \"advise\";"), CERT("self_check = \"require\";") };
	struct script *s = *state;

	s->strict = true;
	for (size_t i = 0; i < 3; i++) {
		script_fail(s, OP_SEE, ERR_TEMP, "propagation");
		script_forget(s);
		script_conf(s, how[i]);
		if (i)
			renew(s);
		until_failed(s, "propagation");
		assert_int_equal(s->count[OP_SEE], 1);
		assert_int_equal(s->count[OP_ANNOUNCE], 0);
		assert_int_equal(s->count[OP_WITHDRAW], 1);
		assert_string_equal(s->judged, "");
		script_until_served(s, "a");
		assert_string_equal(s->judged, "valid");
		*s->judged = '\0';
	}
}

static void a_strict_look_may_take_a_day(void **state)
{
	struct script *s = *state;
	int64_t begun;

	s->strict = true;
	script_rule(s, OP_SEE, PASS)->delay_ms = DAY_MS;
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	script_rule(s, OP_SEE, SILENT);
	renew(s);
	script_until_op(s, OP_SEE, 2);
	begun = clock_mono_ms();
	until_failed(s, "timeout");
	assert_int_equal(clock_mono_ms() - begun, 90000000);
	assert_int_equal(s->count[OP_ANNOUNCE], 1);
	script_until_served(s, "a");
}

static const char *last_of(const char *trace, const char *word)
{
	const char *last = NULL;

	for (const char *at = trace; (at = strstr(at, word)); at++)
		last = at;
	return last;
}

/* As for a name and its wildcard. */
static void make_same_name(struct script *s, const char *about)
{
	(void)about;
	free(s->orders->authz[1].name);
	s->orders->authz[1].name = mem_strdup("a.test");
}

static void start_two_of_a_name(struct script *s, int64_t second_look_ms)
{
	struct script_rule *rule = script_rule(s, OP_SEE, PASS);

	s->strict = true;
	rule->skip = 1;
	rule->delay_ms = second_look_ms;
	script_rule(s, OP_AUTHZ, PASS)->before = make_same_name;
	script_conf(s, SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\", \"b.test\" ]; service = [ \"web\" ]; } );");
}

/* The CA may look at one while the other is withdrawn, here and not yet there: resolvers that compare what name servers say would find them at odds. */
static void none_is_withdrawn_while_another_of_its_name_is_looked_at(void **state)
{
	struct script *s = *state;

	start_two_of_a_name(s, 3000);
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_WITHDRAW], 2);
	assert_true(strstr(s->trace, "withdraw") > last_of(s->trace, "announce"));
	assert_true(strstr(s->trace, "withdraw") > last_of(s->trace, "authz"));
}

static void but_not_for_long(void **state)
{
	struct script *s = *state;

	start_two_of_a_name(s, HOUR_MS);
	script_until_op(s, OP_WITHDRAW, 1);
	assert_in_range(clock_now(), SCRIPT_NOW + 59, SCRIPT_NOW + 70);
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_WITHDRAW], 2);
}

static void what_is_seen_so_far_is_shown(void **state)
{
	struct script *s = *state;
	struct js *shown;

	s->strict = true;
	script_rule(s, OP_SEE, PASS)->delay_ms = 60000;
	script_rule(s, OP_ANNOUNCE, PASS)->delay_ms = 60000;
	script_conf(s, CERT(""));
	script_until_op(s, OP_PUBLISH, 1);
	shown = order_show(script_cert(s, "a")->order);
	assert_false(js_has(shown_proof(shown), "seen"));
	js_free(shown);
	script_until_op(s, OP_SEE, 1);
	shown = order_show(script_cert(s, "a")->order);
	assert_string_equal(js_str(js_obj(shown_proof(shown), "seen"), "decision"), "wait");
	js_free(shown);
	script_until_op(s, OP_ANNOUNCE, 1);
	shown = order_show(script_cert(s, "a")->order);
	assert_true(js_bool(js_obj(shown_proof(shown), "seen"), "ok", false));
	js_free(shown);
	script_until_served(s, "a");
}

/* --- the place ------------------------------------------------------------------------------------------------------------------------------------- */

static void the_place_is_handed_back(void **state)
{
	struct script *s = *state;

	s->strict = true;
	s->where = "one";
	script_conf(s, CERT(""));
	script_until_served(s, "a");
	assert_string_equal(s->handed[OP_PUBLISH], "");
	assert_string_equal(s->handed[OP_SEE], "one");
	assert_string_equal(s->handed[OP_WITHDRAW], "one");
	s->where = "two"; /* a proof of its own: the old place was cleared */
	renew(s);
	script_until_op(s, OP_PUBLISH, 2);
	assert_string_equal(s->handed[OP_PUBLISH], "");
	script_until_served(s, "a");
	assert_string_equal(s->handed[OP_WITHDRAW], "two");
}

static void a_second_publication_is_told_of_the_first(void **state)
{
	struct script *s = *state;

	s->strict = true;
	s->where = "one";
	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	script_crash(s);
	s->where = "two"; /* the CNAME leads elsewhere now */
	script_until_op(s, OP_PUBLISH, 2);
	assert_string_equal(s->handed[OP_PUBLISH], "one");
	script_until_op(s, OP_SEE, 2);
	assert_string_equal(s->handed[OP_SEE], "two");
	script_until_served(s, "a");
	assert_string_equal(s->handed[OP_WITHDRAW], "two");
}

/* The look may take long: until its end the journal must know where to clear up. */
static void the_place_is_known_after_a_crash_in_the_look(void **state)
{
	struct script *s = *state;

	s->strict = true;
	script_rule(s, OP_SEE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_SEE, 1);
	script_crash(s);
	change_token(s, NULL);
	script_until_op(s, OP_WITHDRAW, 1);
	assert_string_equal(s->handed[OP_WITHDRAW], "here");
	script_until_op(s, OP_PUBLISH, 2);
	assert_string_equal(s->handed[OP_PUBLISH], ""); /* the new token was nowhere */
	script_until_served(s, "a");
}

static void the_place_of_a_doubtful_publication_is_cleared(void **state)
{
	static const enum script_what what[] = { LOSE, FAIL, VANISH };
	static const char *const handed[] = { "here", "", "" };
	struct script *s = *state;

	s->strict = true;
	for (size_t i = 0; i < 3; i++) {
		script_rule(s, OP_PUBLISH, what[i]);
		script_forget(s);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			renew(s);
		until_failed(s, what[i] == VANISH ? "timeout" : "scripted");
		assert_int_equal(s->count[OP_WITHDRAW], 1);
		assert_string_equal(s->handed[OP_WITHDRAW], handed[i]);
		script_until_served(s, "a");
	}
}

/* What is new is unknown, what was is not: the second publication failed before it told anything. */
static void an_old_place_outlives_a_publication_that_failed(void **state)
{
	struct script *s = *state;

	s->strict = true;
	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, CERT(""));
	script_until_op(s, OP_ANNOUNCE, 1);
	script_crash(s);
	script_rule(s, OP_PUBLISH, FAIL);
	until_failed(s, "scripted");
	assert_string_equal(s->handed[OP_WITHDRAW], "here");
	script_until_served(s, "a");
}

static void the_sweep_hands_the_place_back_as_well(void **state)
{
	struct script *s = *state;

	s->strict = true;
	s->where = "one";
	leave_published(s);
	script_stop(s);
	s->where = "two";
	memset(s->handed, 0, sizeof s->handed);
	script_conf(s, NULL);
	script_run(s, 2 * HOUR_MS);
	assert_int_equal(s->published, 0);
	assert_string_equal(s->handed[OP_WITHDRAW], "one");
}

/* --- the CA's word --------------------------------------------------------------------------------------------------------------------------------- */

static void what_the_ca_does_not_see_is_looked_at_again(void **state)
{
	struct script *s = *state;
	const struct js *review;
	struct js *shown;

	s->strict = true;
	script_rule(s, OP_ANNOUNCE, PASS)->before = make_invalid;
	script_rule(s, OP_WITHDRAW, PASS)->delay_ms = 1000;
	script_conf(s, CERT(""));
	script_until_op(s, OP_WITHDRAW, 1);
	assert_int_equal(s->count[OP_REVIEW], 1);
	assert_string_equal(s->handed[OP_REVIEW], "here");
	shown = order_show(script_cert(s, "a")->order);
	assert_string_equal(js_str(js_obj(shown_proof(shown), "error"), "type"), "dns");
	assert_true(js_bool(js_obj(shown_proof(shown), "seen"), "ok", false)); /* our first look stays beside it */
	review = js_obj(js_obj(shown_proof(shown), "seen"), "review");
	assert_string_equal(js_str(js_obj(review, "ca"), "detail"), "no address");
	assert_true(js_bool(js_obj(review, "seen"), "ok", false));
	assert_false(js_has(review, "error"));
	js_free(shown);
	until_failed(s, "dns");
	assert_string_equal(script_cert(s, "a")->last_error->detail, "no address");
	assert_string_equal(s->judged, "dns");
	script_until_served(s, "a");
}

/* Before, its resolver would say the same again. A CA that nobody knows may keep it for an hour at most. */
static void the_next_attempt_waits_until_the_ca_has_forgotten(void **state)
{
	static const int64_t kept[] = { 0, 300, 86400 }, waits[] = { 0, 300, 3600 };
	struct script *s = *state;
	const struct cert *c;
	int64_t failed;

	s->strict = true;
	for (size_t i = 0; i < 3; i++) {
		s->kept_s = kept[i];
		script_rule(s, OP_ANNOUNCE, PASS)->before = make_invalid;
		script_forget(s);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			renew(s);
		until_failed(s, "dns");
		c = script_cert(s, "a");
		failed = c->last_error_at;
		assert_int_equal(c->last_error->not_before, waits[i] ? failed + waits[i] : 0);
		assert_true(c->next_at >= failed + waits[i] && c->next_at <= failed + (waits[i] ? waits[i] : 75));
		script_until_served(s, "a");
		assert_true(clock_now() >= failed + waits[i]);
	}
}

static void whatever_comes_of_looking_again_the_ca_is_what_failed(void **state)
{
	static const enum script_what what[] = { FAIL, SILENT };
	static const char *const errors[] = { "scripted", "timeout" };
	struct script *s = *state;

	s->strict = true;
	for (size_t i = 0; i < 2; i++) {
		const struct js *review;
		struct js *shown;
		int64_t begun;

		script_rule(s, OP_ANNOUNCE, PASS)->before = make_invalid;
		script_rule(s, OP_REVIEW, what[i]);
		script_rule(s, OP_WITHDRAW, PASS)->delay_ms = 1000;
		script_forget(s);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			renew(s);
		script_until_op(s, OP_REVIEW, 1);
		begun = clock_mono_ms();
		script_until_op(s, OP_WITHDRAW, 1);
		assert_int_equal(clock_mono_ms() - begun, what[i] == SILENT ? 60000 : 0);
		shown = order_show(script_cert(s, "a")->order);
		review = js_obj(js_obj(shown_proof(shown), "seen"), "review");
		assert_string_equal(js_str(js_obj(review, "error"), "type"), errors[i]);
		assert_string_equal(js_str(js_obj(review, "ca"), "type"), "dns");
		js_free(shown);
		until_failed(s, "dns");
		script_until_served(s, "a");
	}
}

static void looking_again_may_be_interrupted(void **state)
{
	struct script *s = *state;

	s->strict = true;
	for (int i = 0; i < 2; i++) {
		script_rule(s, OP_ANNOUNCE, PASS)->before = make_invalid;
		script_rule(s, OP_REVIEW, SILENT);
		script_forget(s);
		if (i == 0)
			script_conf(s, CERT(""));
		else
			renew(s);
		script_until_op(s, OP_REVIEW, 1);
		if (i == 0) {
			script_stop(s);
			script_conf(s, NULL);
		} else {
			script_crash(s);
		}
		script_until_served(s, "a");
		assert_int_equal(s->published, 0);
		assert_string_equal(s->handed[OP_WITHDRAW], "here");
	}
}

static void there_is_nothing_to_look_at_again_before_it_was_published(void **state)
{
	struct script *s = *state;

	s->strict = true;
	script_rule(s, OP_AUTHZ, PASS)->before = make_invalid;
	script_conf(s, CERT(""));
	until_failed(s, "dns");
	assert_int_equal(s->count[OP_REVIEW], 0);
	assert_string_equal(s->judged, "");
	script_until_served(s, "a");
}

static void make_invalid_without_a_word(struct script *s, const char *about)
{
	(void)about;
	authz(s)->status = ISSUER_INVALID;
	authz(s)->problem = (struct err){ .kind = ERR_NONE };
}

static void a_no_without_a_word_teaches_nothing(void **state)
{
	struct script *s = *state;

	s->strict = true;
	script_rule(s, OP_ANNOUNCE, PASS)->before = make_invalid_without_a_word;
	script_conf(s, CERT(""));
	until_failed(s, "authorization");
	assert_string_equal(s->judged, "");
	assert_int_equal(s->count[OP_REVIEW], 1);
	script_until_served(s, "a");
	assert_string_equal(s->judged, "valid");
}

/* Nobody looked: what the CA says of it is no news about our looking. */
static void without_a_look_nothing_is_learnt(void **state)
{
	struct script *s = *state;

	s->strict = true;
	script_rule(s, OP_ANNOUNCE, PASS)->before = make_invalid;
	script_conf(s, CERT("self_check = \"off\";"));
	until_failed(s, "dns");
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_SEE], 0);
	assert_string_equal(s->judged, "");
}

/* --- METHOD_PERHAPS -------------------------------------------------------------------------------------------------------------------------------- */

static void one_that_surely_fits_comes_before_one_that_may(void **state)
{
	static const struct {
		const char *conf, *perhaps, *method;
	} rows[] = {
		{ TWO("prove = [ \"http:alt\", \"http:www\" ];"), "alt", "http:www" },
		{ TWO("prove = [ \"http:alt\", \"http:www\" ];"), "www", "http:alt" },
		{ TWO("prove = [ \"http:alt\", \"http:www\" ];"), "*", "http:alt" },
		{ TWO("prove = [ \"http:www\", \"http:alt\" ];"), "*", "http:www" },
		{ TWO("prove = [ \"http:www\" ];"), "*", "http:www" },
	};
	struct script *s = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct js *shown;

		s->perhaps = rows[i].perhaps;
		script_forget(s);
		script_conf(s, rows[i].conf);
		if (i)
			renew(s);
		script_rule(s, OP_SEE, PASS)->delay_ms = 1000;
		script_until_op(s, OP_SEE, 1);
		shown = order_show(script_cert(s, "a")->order);
		assert_string_equal(js_str(shown_proof(shown), "method"), rows[i].method);
		js_free(shown);
		script_until_served(s, "a");
	}
}

static void one_that_may_fit_needs_its_challenge_too(void **state)
{
	struct script *s = *state;

	s->perhaps = "*";
	script_rule(s, OP_AUTHZ, PASS)->before = offer_nothing;
	script_conf(s, CERT(""));
	until_failed(s, "no-method");
	assert_int_equal(s->count[OP_PUBLISH], 0);
	script_until_served(s, "a");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_that_is_valid_already),
		TEST(one_that_was_deactivated_or_expired),
		TEST(one_that_is_invalid),
		TEST(one_invalid_among_two),
		TEST(one_that_is_processing),
		TEST(no_challenge_that_we_can_do),
		TEST(a_challenge_without_a_token_is_none),
		TEST(a_name_that_was_not_asked_for_is_refused),
		TEST(the_first_method_that_fits_is_taken),
		TEST(off_does_not_look),
		TEST(advise_looks_and_goes_on),
		TEST(require_waits_until_it_is_seen),
		TEST(require_gives_up_without_asking_the_ca),
		TEST(a_look_without_end_ends),
		TEST(a_lost_announcement_is_found_out),
		TEST(one_that_never_arrived_is_repeated_soon),
		TEST(but_not_without_end),
		TEST(a_late_announcement_is_no_error),
		TEST(the_cas_word_on_waiting_counts),
		TEST(polls_grow_polite_and_end),
		TEST(a_poll_that_fails_does_not_take_the_proof_away),
		TEST(a_good_answer_in_between_counts),
		TEST(polls_that_keep_failing_end),
		TEST(a_proof_that_the_ca_does_not_see_costs_the_order),
		TEST(what_may_be_published_is_withdrawn),
		TEST(withdrawing_is_tried_again),
		TEST(what_cannot_be_withdrawn_is_left_for_later),
		TEST(it_is_not_forgotten_over_a_restart),
		TEST(one_that_can_never_be_withdrawn_does_not_keep_us_busy),
		TEST(a_silent_withdrawal_ends),
		TEST(a_ca_that_never_answers_does_not_hold_us_for_ever),
		TEST(an_older_token_is_withdrawn_before_the_new_one),
		TEST(one_that_the_ca_looks_at_is_only_waited_for),
		TEST(what_another_method_published_is_withdrawn_by_it),
		TEST(a_token_of_an_order_that_needs_it_no_more_is_withdrawn),
		TEST(what_a_disabled_one_left_goes),
		TEST(what_one_that_was_disabled_later_left_goes),
		TEST(what_is_left_goes_though_the_ca_is_away),
		TEST(what_is_left_goes_though_the_ca_wants_a_pause),
		TEST(what_is_left_goes_though_no_order_is_made),
		TEST(a_change_while_it_goes_counts_at_once),
		TEST(what_a_method_published_is_withdrawn_by_it_though_it_does_not_prove_any_more),
		TEST(what_a_method_published_waits_until_that_is_back),
		TEST(what_a_method_published_that_cannot_be_made_now_waits_as_well),
		TEST(a_method_that_cannot_be_made_is_named),
		TEST(what_a_strict_method_does_not_see_is_not_asked_for),
		TEST(a_strict_look_may_take_a_day),
		TEST(none_is_withdrawn_while_another_of_its_name_is_looked_at), TEST(but_not_for_long),
		TEST(what_is_seen_so_far_is_shown),
		TEST(the_place_is_handed_back),
		TEST(a_second_publication_is_told_of_the_first),
		TEST(the_place_is_known_after_a_crash_in_the_look),
		TEST(the_place_of_a_doubtful_publication_is_cleared),
		TEST(an_old_place_outlives_a_publication_that_failed),
		TEST(the_sweep_hands_the_place_back_as_well),
		TEST(what_the_ca_does_not_see_is_looked_at_again),
		TEST(the_next_attempt_waits_until_the_ca_has_forgotten),
		TEST(whatever_comes_of_looking_again_the_ca_is_what_failed),
		TEST(looking_again_may_be_interrupted),
		TEST(there_is_nothing_to_look_at_again_before_it_was_published),
		TEST(a_no_without_a_word_teaches_nothing),
		TEST(without_a_look_nothing_is_learnt),
		TEST(one_that_surely_fits_comes_before_one_that_may),
		TEST(one_that_may_fit_needs_its_challenge_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
