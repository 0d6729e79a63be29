/* SPDX-License-Identifier: ISC */
/* The order's table from account to fetch: what the CA says, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define DEPLOYED " install test load look confirm"
#define PROVEN " authz publish see announce authz withdraw"

static void issue(struct script *s)
{
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
}

/* A second order, with a good certificate in use. */
static void renew(struct script *s)
{
	struct err err;

	script_forget(s);
	if (!registry_renew(s->registry, script_cert(s, "a"), true, &err))
		fail_msg("%s", err.detail);
}

static void until_failed(struct script *s, const char *type)
{
	script_until_idle(s, "a");
	if (!script_cert(s, "a")->last_error)
		fail_msg("it went well: %s", s->trace);
	assert_string_equal(script_cert(s, "a")->last_error->type, type);
}

/* --- the plain way ---------------------------------------------------------------------------------------------------------- */

static void everything_in_order(void **state)
{
	struct script *s = *state;
	struct cert *c;
	struct js *record;

	issue(s);
	assert_string_equal(s->trace, "installed account create" PROVEN " request finalize fetch" DEPLOYED);
	c = script_cert(s, "a");
	assert_int_equal(c->generation, 1);
	assert_int_equal(c->not_after, SCRIPT_NOW + 90 * 86400);
	assert_string_equal(c->ca, "le");
	assert_string_equal(c->issuer, "Script CA");
	assert_string_equal(c->next_step, "renew");
	assert_null(c->products);
	assert_true(script_is_served(s, "a"));
	assert_int_equal(c->ntargets, 1);
	assert_true(c->targets[0].ok);
	assert_string_equal(c->targets[0].serves, c->fingerprint);
	record = script_record(s, "cert", "a");
	assert_string_equal(js_str(record, "serial"), c->serial);
	assert_null(js_obj(record, "products"));
	js_free(record);
	assert_null(script_record(s, "chain", "a"));
	assert_true(script_has_event(s, "a", "issued"));
	assert_true(script_has_event(s, "a", "done"));
}

static void no_wait_of_ours_where_the_ca_asks_for_none(void **state)
{
	struct script *s = *state;
	int64_t begun;

	script_conf(s, SCRIPT_ONE);
	begun = clock_mono_ms();
	script_until_served(s, "a");
	assert_in_range(clock_mono_ms() - begun, 0, 20);
}

static void many_names_are_proven_side_by_side(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_MAIN "certificate = ( { name = \"a\"; names = [ \"a.test\", \"b.test\", \"c.test\", \"d.test\", \"e.test\", \"f.test\", "
		"\"g.test\", \"h.test\", \"i.test\", \"j.test\", \"k.test\" ]; } );");
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_ANNOUNCE], 11);
	assert_int_equal(s->count[OP_WITHDRAW], 11);
	assert_int_equal(s->issued, 1);
	assert_non_null(strstr(s->trace, "publish publish publish")); /* not one after the other */
}

/* --- A20: what newOrder may say --------------------------------------------------------------------------------------------- */

static void make_ready(struct script *s, const char *about)
{
	(void)about;
	s->orders->status = ISSUER_READY;
}

static void make_ready_without_authorizations(struct script *s, const char *about)
{
	make_ready(s, about);
	s->orders->nauthz = 0;
}

static void an_order_that_is_ready_at_once(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_ONE);
	script_rule(s, OP_CREATE, PASS)->delay_ms = 1000;
	script_until_op(s, OP_CREATE, 1);
	make_ready(s, NULL);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed account create request finalize fetch" DEPLOYED);
}

/* What an earlier order had to prove, and how that failed, does not stay beside the certificate of a later one. */
static void an_order_that_proves_nothing_is_the_last_one(void **state)
{
	struct script *s = *state;
	struct js *last;

	script_fail(s, OP_ANNOUNCE, ERR_DENIED, "unauthorized");
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	last = registry_last_order(s->registry, script_cert(s, "a"));
	assert_int_equal(js_len(js_arr(last, "proofs")), 1);
	js_free(last);
	script_rule(s, OP_CREATE, PASS)->delay_ms = 1000;
	script_until_op(s, OP_CREATE, s->count[OP_CREATE] + 1);
	make_ready(s, NULL);
	script_until_served(s, "a");
	last = registry_last_order(s->registry, script_cert(s, "a"));
	assert_string_equal(js_str(last, "step"), "request");
	assert_int_equal(js_len(js_arr(last, "proofs")), 0);
	js_free(last);
}

static void an_order_without_authorizations(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_CREATE, PASS)->delay_ms = 1000;
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_CREATE, 1);
	make_ready_without_authorizations(s, NULL);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed account create request finalize fetch" DEPLOYED);
}

static void a_pending_order_without_authorizations_ends(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_CREATE, PASS)->delay_ms = 1000;
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_CREATE, 1);
	s->orders->nauthz = 0;
	until_failed(s, "loop");
	assert_in_range(s->count[OP_ORDER], 1, 10);
	assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_TEMP);
}

static void an_order_that_is_processing_at_once(void **state)
{
	struct script *s = *state;
	int64_t begun;

	issue(s);
	/* Renewal: the CA has an order for us whose certificate it is making already. */
	script_rule(s, OP_CREATE, PASS)->delay_ms = 1000;
	renew(s);
	script_until_op(s, OP_CREATE, 1);
	s->orders->status = ISSUER_PROCESSING;
	s->wait_ms = 7000;
	begun = clock_mono_ms();
	script_until_op(s, OP_ORDER, 1);
	assert_int_equal(clock_mono_ms() - begun, 1000 + 7000); /* its Retry-After holds for the first read too */
	s->wait_ms = 0;
	s->orders->status = ISSUER_READY;
	script_until_served(s, "a");
	assert_string_equal(s->trace, "account create order request finalize fetch" DEPLOYED);
}

/* It has a certificate of an earlier time, for a key that the keeper still keeps; if not, the keeper refuses it. */
static void an_order_that_is_valid_at_once(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_FETCH, SILENT);
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_FETCH, 1);
	script_stop(s);
	script_lose_record(s, "a"); /* ours, not the CA's */
	script_forget(s);
	script_rule(s, OP_CREATE, PASS)->delay_ms = 1000;
	s->reuse = false;
	script_conf(s, NULL);
	script_until_op(s, OP_CREATE, 1);
	s->orders->status = ISSUER_VALID; /* the new one answers with the old one's certificate */
	s->orders->chain = s->orders->next->chain;
	s->orders->certificate = s->orders->next->certificate;
	s->orders->next->chain = s->orders->next->certificate = NULL;
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed account create fetch" DEPLOYED);
}

static void valid_without_a_certificate_is_an_error(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_CREATE, PASS)->delay_ms = 1000;
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_CREATE, 1);
	s->orders->status = ISSUER_VALID;
	until_failed(s, "order");
	assert_int_equal(s->count[OP_FETCH], 0);
	assert_int_equal(s->count[OP_INSTALL], 0);
}

/* --- A22: the order turns invalid after each step ----------------------------------------------------------------------------- */

static void make_invalid(struct script *s, const char *about)
{
	(void)about;
	s->orders->status = ISSUER_INVALID;
	err_set(&s->orders->problem, ERR_DENIED, "caa", "CAA forbids it");
}

static void make_invalid_without_a_word(struct script *s, const char *about)
{
	(void)about;
	s->orders->status = ISSUER_INVALID;
}

static void an_order_that_turns_invalid_is_given_up(void **state)
{
	static const struct {
		enum script_op op;
		enum script_what what;
	} steps[] = { { OP_CREATE, PASS }, { OP_FINALIZE, FAIL }, { OP_ORDER, PASS } };
	struct script *s = *state;

	issue(s);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		char *serial = mem_strdup(script_cert(s, "a")->serial);

		s->processing = steps[i].op == OP_ORDER ? 3 : 0;
		script_rule(s, steps[i].op, steps[i].what)->delay_ms = 500;
		renew(s);
		script_until_op(s, steps[i].op, 1);
		make_invalid(s, NULL);
		until_failed(s, "caa");
		assert_string_equal(script_cert(s, "a")->last_error->detail, "CAA forbids it");
		assert_null(script_cert(s, "a")->products);
		assert_string_equal(script_cert(s, "a")->serial, serial);
		assert_int_equal(s->count[OP_INSTALL], 0);
		assert_true(script_is_served(s, "a"));
		free(serial);
		s->processing = 0;
		renew(s);
		script_until_served(s, "a");
		script_forget_rules(s);
	}
}

static void an_invalid_order_without_a_reason_may_pass(void **state)
{
	struct script *s = *state;

	s->processing = 3;
	script_rule(s, OP_ORDER, PASS)->before = make_invalid_without_a_word;
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "order");
	assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_TEMP);
	s->processing = 0;
	script_until_served(s, "a");
}

/* --- A23: expired orders -------------------------------------------------------------------------------------------------------- */

static void an_order_that_expired_while_we_were_away_is_replaced(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_ANNOUNCE, SILENT);
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_ANNOUNCE, 1);
	assert_int_equal(s->published, 1);
	script_stop(s);
	clock_advance(8 * (int64_t)DAY_MS);
	script_forget(s);
	script_conf(s, NULL);
	script_until_served(s, "a");
	/* Swept and ordered anew in one attempt. */
	assert_string_equal(s->trace, "account withdraw deactivate create" PROVEN " request finalize fetch" DEPLOYED);
	assert_int_equal(s->created, 2);
	assert_int_equal(s->issued, 1);
}

static void an_order_that_expires_while_it_is_proven_is_replaced(void **state)
{
	struct script *s = *state;

	s->order_life_s = 120;
	script_rule(s, OP_SEE, PASS)->delay_ms = 110000;
	script_rule(s, OP_ANNOUNCE, PASS)->delay_ms = 20000;
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
	assert_int_equal(s->issued, 1);
	assert_int_equal(s->count[OP_FINALIZE], 1); /* noticed before */
	assert_int_equal(script_cert(s, "a")->attempts, 0);
}

static void lose_the_order(struct script *s, const char *about)
{
	(void)about;
	s->orders->status = ISSUER_GONE;
}

static void an_order_the_ca_forgot_is_replaced_once(void **state)
{
	struct script *s = *state;

	s->processing = 1000;
	script_rule(s, OP_ORDER, PASS)->before = lose_the_order;
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_CREATE, 2);
	s->processing = 0;
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
}

static void a_ca_that_forgets_every_order_does_not_get_more_and_more(void **state)
{
	struct script *s = *state;

	s->processing = 1000000;
	script_rule(s, OP_ORDER, PASS)->before = lose_the_order;
	s->rules->times = ALWAYS;
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "loop");
	assert_int_equal(s->created, 2);
	assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_TEMP);
}

static void a_404_for_the_order_is_the_same(void **state)
{
	struct script *s = *state;
	struct script_rule *rule;

	script_rule(s, OP_FETCH, FAIL);
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "scripted");
	rule = script_fail(s, OP_ORDER, ERR_DENIED, "malformed");
	rule->err.http_status = 404;
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
	assert_null(script_cert(s, "a")->last_error);
}

/* --- A25: an order is for the names it was made for ------------------------------------------------------------------------------- */

static void rename_it(struct script *s, const char *about)
{
	(void)about;
	free(s->orders->names[0]);
	s->orders->names[0] = mem_strdup("victim.test");
}

static void an_order_for_other_names_is_void(void **state)
{
	static const enum script_op ops[] = { OP_CREATE, OP_FINALIZE, OP_ORDER };
	struct script *s = *state;

	issue(s);
	for (size_t i = 0; i < 3; i++) {
		s->processing = ops[i] == OP_ORDER ? 2 : 0;
		script_rule(s, ops[i], PASS)->delay_ms = 500;
		renew(s);
		script_until_op(s, ops[i], 1);
		rename_it(s, NULL);
		until_failed(s, "identifiers");
		assert_int_equal(s->count[OP_INSTALL], 0);
		assert_null(script_cert(s, "a")->products);
		s->processing = 0;
		script_forget_rules(s);
		renew(s);
		script_until_served(s, "a");
	}
}

/* --- A24: processing for days ----------------------------------------------------------------------------------------------------- */

static void an_order_is_processed_for_two_days(void **state)
{
	struct script *s = *state;

	s->processing = 1000000;
	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "") " );");
	script_run(s, 2 * DAY_MS);
	assert_int_equal(s->created, 1);
	assert_int_equal(script_cert(s, "a")->state, CERT_ISSUING);
	assert_in_range(s->count[OP_ORDER], 100, 700); /* politely */
	script_stop(s); /* and a restart reads at once */
	script_forget(s);
	s->processing = 0;
	s->orders->status = ISSUER_VALID;
	script_conf(s, NULL);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "account order fetch" DEPLOYED);
	assert_int_equal(s->issued, 1);
}

static void slow_orders_do_not_keep_the_places_at_the_ca(void **state)
{
	struct script *s = *state;

	s->processing = 1000000;
	script_conf(s, "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://le.test/dir\"; max_orders = 1; } );\n" SCRIPT_HTTP SCRIPT_SERVICE
		"certificate = ( " SCRIPT_CERT("a", "") ", " SCRIPT_CERT("b", "") " );");
	script_run(s, 2 * MINUTE_MS);
	assert_int_equal(s->count[OP_FINALIZE], 2);
	assert_int_equal(s->created, 2);
	s->processing = 1;
	for (struct script_order *o = s->orders; o; o = o->next)
		o->status = ISSUER_VALID;
	script_until_served(s, "a");
	script_until_served(s, "b");
}

/* --- failures of each request, and the attempt after ------------------------------------------------------------------------------ */

static void every_request_may_fail_once(void **state)
{
	static const enum script_op ops[] = { OP_ACCOUNT, OP_CREATE, OP_AUTHZ, OP_PUBLISH, OP_ANNOUNCE, OP_REQUEST, OP_FINALIZE, OP_FETCH, OP_INSTALL,
		OP_CONFIRM, OP_WITHDRAW };
	static const enum err_kind kinds[] = { ERR_TEMP, ERR_LIMIT, ERR_DENIED, ERR_LOCAL };
	struct script *s = *state;

	issue(s);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
			/* What the keeper refuses to install is good for nothing: that takes another order. */
			unsigned wanted = s->issued + 1 + (ops[i] == OP_INSTALL && kinds[k] == ERR_DENIED);

			script_fail(s, ops[i], kinds[k], "scripted");
			renew(s);
			script_until_served(s, "a");
			if (s->issued != wanted || s->published)
				fail_msg("op %d kind %d: %s", (int)ops[i], (int)kinds[k], s->trace);
			assert_int_equal(s->count[OP_INSTALL] - (ops[i] == OP_INSTALL), 1);
			script_forget_rules(s);
		}
}

static void a_failure_is_told_and_kept(void **state)
{
	struct script *s = *state;
	struct cert *c;
	struct js *record;

	script_fail(s, OP_CREATE, ERR_DENIED, "rejectedIdentifier");
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "rejectedIdentifier");
	c = script_cert(s, "a");
	assert_int_equal(c->state, CERT_FAILED);
	assert_int_equal(c->attempts, 1);
	assert_string_equal(c->last_error->during, "create");
	assert_in_range(c->next_at, clock_now() + 64000, clock_now() + 108100);
	assert_string_equal(c->next_step, "retry");
	assert_true(script_has_event(s, "a", "failed"));
	record = script_record(s, "cert", "a");
	assert_string_equal(js_str(js_obj(record, "last_error"), "type"), "rejectedIdentifier");
	js_free(record);
}

static void what_a_person_must_do_is_held(void **state)
{
	static const char *const types[] = { "userActionRequired", "externalAccountRequired", "accountDoesNotExist", "unauthorized" };
	struct script *s = *state;
	struct err err;

	for (size_t i = 0; i < 4; i++) {
		script_fail(s, OP_ACCOUNT, ERR_DENIED, types[i]);
		script_conf(s, SCRIPT_ONE);
		if (i)
			assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		until_failed(s, types[i]);
		assert_int_equal(script_cert(s, "a")->state, CERT_HELD);
	}
	/* Said of the order it is this certificate's own matter, unless the CA wants a person. */
	script_fail(s, OP_ACCOUNT, ERR_NONE, "");
	script_fail(s, OP_CREATE, ERR_DENIED, "unauthorized");
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	until_failed(s, "unauthorized");
	assert_int_equal(script_cert(s, "a")->state, CERT_FAILED);
}

/* --- A37: answers that got lost ----------------------------------------------------------------------------------------------------- */

static void a_lost_answer_of_create_makes_no_second_order(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_CREATE, LOSE);
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "scripted");
	script_until_served(s, "a");
	assert_int_equal(s->created, 1); /* the CA gives the same one again */
	assert_int_equal(s->issued, 1);
}

static void a_lost_answer_of_finalize_is_asked_for(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_FINALIZE, LOSE);
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed account create" PROVEN " request finalize order fetch" DEPLOYED);
	assert_int_equal(s->count[OP_FINALIZE], 1);
	assert_int_equal(s->issued, 1);
}

static void a_finalize_that_never_arrived_is_repeated(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_FINALIZE, FAIL);
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "installed account create" PROVEN " request finalize order request finalize fetch" DEPLOYED);
	assert_int_equal(s->issued, 1);
	assert_int_equal(s->created, 1);
}

/* A server that is out of order gets a pause before anything is repeated. */
static void a_finalize_that_met_a_broken_server_waits_for_the_next_attempt(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_fail(s, OP_FINALIZE, ERR_TEMP, "serverInternal");

	rule->err.http_status = 503;
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "serverInternal");
	assert_int_equal(s->count[OP_FINALIZE], 1);
	assert_string_equal(script_cert(s, "a")->last_error->during, "finalize");
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
	assert_int_equal(s->issued, 1);
}

static void finalize_is_not_repeated_for_ever(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_FINALIZE, ERR_TEMP, "orderNotReady")->times = 1000;
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "orderNotReady");
	assert_in_range(s->count[OP_FINALIZE], 2, 6);
	script_forget_rules(s);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
}

static void order_not_ready_is_asked_again(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_FINALIZE, ERR_TEMP, "orderNotReady");
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_int_equal(s->count[OP_FINALIZE], 2);
	assert_int_equal(script_cert(s, "a")->attempts, 0);
}

static void a_lost_answer_of_fetch_is_fetched_again(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_FETCH, LOSE);
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "scripted");
	script_forget(s);
	script_until_served(s, "a");
	assert_string_equal(s->trace, "account order fetch" DEPLOYED);
	assert_int_equal(s->issued, 1);
}

/* --- A29..A34: certificates that must not be installed -------------------------------------------------------------------------------- */

static void wrong_certificates_are_never_installed(void **state)
{
	static const enum script_mint wrong[] = { MINT_OTHER_KEY, MINT_NAME_MISSING, MINT_NAME_EXTRA, MINT_EXPIRED, MINT_FUTURE, MINT_KEY_INSIDE,
		MINT_GARBAGE };
	struct script *s = *state;

	issue(s);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char *serial = mem_strdup(script_cert(s, "a")->serial);

		s->mint = wrong[i];
		renew(s);
		until_failed(s, "badCertificate");
		assert_int_equal(s->count[OP_INSTALL], 0);
		assert_string_equal(script_cert(s, "a")->serial, serial);
		assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_DENIED);
		assert_true(script_is_served(s, "a"));
		assert_null(script_cert(s, "a")->products); /* that order is good for nothing */
		free(serial);
		s->mint = MINT_GOOD;
		script_until_served(s, "a"); /* a day later, by itself */
	}
}

static void what_the_issuer_itself_refuses_is_not_fetched_again(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_FETCH, ERR_DENIED, "badCertificate");
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "badCertificate");
	assert_null(script_cert(s, "a")->products);
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
}

static void the_same_serial_is_no_renewal(void **state)
{
	struct script *s = *state;

	s->mint = MINT_SAME;
	issue(s);
	renew(s);
	until_failed(s, "badCertificate");
	assert_int_equal(s->count[OP_INSTALL], 0);
	assert_int_equal(script_cert(s, "a")->generation, 1);
	s->mint = MINT_GOOD;
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2);
}

/* --- the keeper ------------------------------------------------------------------------------------------------------------------------ */

static void a_keeper_that_says_nonsense_is_an_error(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_REQUEST, SILENT);
	script_conf(s, SCRIPT_ONE);
	until_failed(s, "keeper"); /* no answer in time */
	assert_int_equal(script_cert(s, "a")->last_error->kind, ERR_LOCAL);
	script_until_served(s, "a");
	assert_int_equal(s->created, 1);
}

static void a_keeper_that_dies_is_asked_again(void **state)
{
	static const enum script_op ops[] = { OP_INSTALLED, OP_REQUEST, OP_INSTALL, OP_TEST, OP_LOAD, OP_CONFIRM };
	struct script *s = *state;

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		script_rule(s, ops[i], i % 2 ? SILENT : VANISH);
		if (i == 0)
			script_conf(s, SCRIPT_ONE);
		else
			renew(s);
		script_until_op(s, ops[i], 1);
		script_keeper_gone(s);
		script_until_served(s, "a");
		assert_int_equal(s->count[ops[i]], 2); /* the call was sent again */
		assert_int_equal(s->issued, i + 1);
		assert_int_equal(script_cert(s, "a")->attempts, 0);
	}
}

static void a_keeper_with_another_configuration_is_waited_for(void **state)
{
	struct script *s = *state;

	s->keeper_conf = "another";
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_REQUEST, 5);
	s->keeper_conf = NULL;
	script_until_served(s, "a");
	assert_int_equal(s->issued, 1);
	assert_null(script_cert(s, "a")->last_error);
}

static void but_not_for_ever(void **state)
{
	struct script *s = *state;

	s->keeper_conf = "another";
	script_conf(s, SCRIPT_ONE);
	script_until_idle(s, "a");
	assert_int_equal(script_cert(s, "a")->attempts, 1);
	assert_in_range(s->count[OP_REQUEST], 100, 500);
	s->keeper_conf = NULL;
	script_until_served(s, "a");
	script_until_served(s, "a");
	/* The states that have no limit of their own: test and reload. */
	renew(s);
	script_until_op(s, OP_INSTALL, 1);
	s->keeper_conf = "another";
	script_until_idle(s, "a");
	assert_int_equal(script_cert(s, "a")->attempts, 1);
	s->keeper_conf = NULL;
	script_until_served(s, "a");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(everything_in_order),
		TEST(no_wait_of_ours_where_the_ca_asks_for_none),
		TEST(many_names_are_proven_side_by_side),
		TEST(an_order_that_is_ready_at_once),
		TEST(an_order_that_proves_nothing_is_the_last_one),
		TEST(an_order_without_authorizations),
		TEST(a_pending_order_without_authorizations_ends),
		TEST(an_order_that_is_processing_at_once),
		TEST(an_order_that_is_valid_at_once),
		TEST(valid_without_a_certificate_is_an_error),
		TEST(an_order_that_turns_invalid_is_given_up),
		TEST(an_invalid_order_without_a_reason_may_pass),
		TEST(an_order_that_expired_while_we_were_away_is_replaced),
		TEST(an_order_that_expires_while_it_is_proven_is_replaced),
		TEST(an_order_the_ca_forgot_is_replaced_once),
		TEST(a_ca_that_forgets_every_order_does_not_get_more_and_more),
		TEST(a_404_for_the_order_is_the_same),
		TEST(an_order_for_other_names_is_void),
		TEST(an_order_is_processed_for_two_days),
		TEST(slow_orders_do_not_keep_the_places_at_the_ca),
		TEST(every_request_may_fail_once),
		TEST(a_failure_is_told_and_kept),
		TEST(what_a_person_must_do_is_held),
		TEST(a_lost_answer_of_create_makes_no_second_order),
		TEST(a_lost_answer_of_finalize_is_asked_for),
		TEST(a_finalize_that_never_arrived_is_repeated),
		TEST(a_finalize_that_met_a_broken_server_waits_for_the_next_attempt),
		TEST(finalize_is_not_repeated_for_ever),
		TEST(order_not_ready_is_asked_again),
		TEST(a_lost_answer_of_fetch_is_fetched_again),
		TEST(wrong_certificates_are_never_installed),
		TEST(what_the_issuer_itself_refuses_is_not_fetched_again),
		TEST(the_same_serial_is_no_renewal),
		TEST(a_keeper_that_says_nonsense_is_an_error),
		TEST(a_keeper_that_dies_is_asked_again),
		TEST(a_keeper_with_another_configuration_is_waited_for),
		TEST(but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
