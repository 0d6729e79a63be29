/* SPDX-License-Identifier: ISC */
/* The ACME issuer under load, limits, losses and lies: what no single row of the protocol's table shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/testca.h"
#include "acmebed.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"

enum { MANY = 500, HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

static const char problem[] = "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"because\"}";

/* ---- economy ---- */

static char *make_leaf_chain(void)
{
	struct err err;
	struct testca *root = testca_new("Root", NULL, NULL);
	struct key *key = key_generate(KEY_ECDSA_P256, &err);
	char *chain = testca_chain(root, key, &(struct testca_wish){.names = (const char *[]){"example.org"}, .nnames = 1});

	key_free(key);
	testca_free(root);
	return chain;
}

static void seven_requests_on_one_connection(void **state)
{
	struct bed *b = *state;
	char *chain = make_leaf_chain();
	size_t before, connections;

	assert_ok(bed_account(b));
	before = fakeca_count(b->ca, NULL, NULL);
	connections = fakeca_connections(b->ca);
	bed_once(b, "/authz/1", 200, NULL,
		"{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},\"challenges\":"
		"[{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"pending\",\"token\":\"t\"}]}");
	bed_once(b, "/authz/1", 200, NULL, "{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},\"challenges\":[]}");
	bed_always(b, "/order/1", 200, NULL, bed_order_body("valid", ",\"certificate\":\"{CA}/cert/1\""));
	bed_always(b, "/cert/1", 200, NULL, chain);
	assert_int_equal(bed_create(b, "example.org")->order->status, ISSUER_PENDING);
	assert_int_equal(bed_authz(b, "/authz/1")->authz->status, ISSUER_PENDING);
	assert_ok(bed_announce(b, "/chal/1"));
	assert_int_equal(bed_authz(b, "/authz/1")->authz->status, ISSUER_VALID);
	assert_int_equal(bed_finalize(b, "Y3Ny")->order->status, ISSUER_PROCESSING);
	assert_int_equal(bed_order(b, "/order/1")->order->status, ISSUER_VALID);
	assert_string_equal(bed_fetch(b, "/cert/1")->chain, chain);
	assert_int_equal(fakeca_count(b->ca, NULL, NULL) - before, 7);
	assert_int_equal(fakeca_connections(b->ca), connections);
	assert_true(connections <= 1);
	free(chain);
}

static bool all_over(struct bed *b)
{
	for (struct got *g = b->gots; g; g = g->next)
		if (!g->over)
			return false;
	return true;
}

static void create_many(struct bed *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct got *g = bed_got(b);

		g->call = b->issuer->ops->create(b->issuer, (const char *[]){"example.org"}, 1, bed_done, g);
	}
	bed_turn(b, all_over);
}

static void one_account_for_many_orders(void **state)
{
	struct bed *b = *state;

	create_many(b, MANY);
	for (struct got *g = b->gots; g; g = g->next)
		assert_ok(g);
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 1);
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 1);
	assert_int_equal(fakeca_count(b->ca, "POST", "/new-order"), MANY);
	assert_int_equal(b->keeper.accounts, 1);
	assert_int_equal(b->saves, 1);
	/* Answers bring most nonces. */
	assert_true(fakeca_count(b->ca, "HEAD", "/nonce") < MANY / 2);
}

static void failed_registration_is_told_to_all(void **state)
{
	struct bed *b = *state;

	bed_always(b, "/account", 500, NULL, NULL);
	create_many(b, 50);
	for (struct got *g = b->gots; g; g = g->next)
		assert_error(g, ERR_TEMP, "http");
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 1);
	bed_always(b, "/account", 201, "Location: {CA}/acct/1\n", "{\"status\":\"valid\"}");
	assert_ok(bed_create(b, "example.org"));
}

static void nonces_age(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_order(b, "/order/1"));
	assert_int_equal(fakeca_count(b->ca, "HEAD", NULL), 1);
	assert_ok(bed_order(b, "/order/1"));
	clock_advance(HOUR_MS);
	assert_ok(bed_order(b, "/order/1"));
	assert_int_equal(fakeca_count(b->ca, "HEAD", NULL), 2);
}

static void directory_read_again_daily(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_order(b, "/order/1"));
	clock_advance(DAY_MS - 1000);
	assert_ok(bed_order(b, "/order/1"));
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 1);
	clock_advance(1000);
	assert_ok(bed_order(b, "/order/1"));
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 2);

	/* A CA that moved its URLs is met half a day later: looked at again at once. */
	clock_advance(DAY_MS / 2);
	bed_once(b, "/new-order", 404, NULL, NULL);
	assert_error(bed_create(b, "example.org"), ERR_TEMP, "http");
	assert_ok(bed_create(b, "example.org"));
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 3);
	bed_once(b, "/new-order", 404, NULL, NULL); /* not twice in a row */
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "http");
}

/* ---- the account ---- */

static void answer_to_registration_lost(void **state)
{
	struct bed *b = *state;

	fakeca_once(b->ca, &(struct fakeca_answer){"POST", "/account", 201, "Location: {CA}/acct/1\n", "{\"status\":\"valid\"}", FAKECA_CUT});
	assert_int_equal(bed_account(b)->err.kind, ERR_TEMP);
	bed_once(b, "/account", 200, "Location: {CA}/acct/1\n", "{\"status\":\"valid\"}");
	assert_ok(bed_account(b));
	assert_contains(js_str(b->memory, "account"), "/acct/1");
}

static void lost_account_is_made_again_once_a_day(void **state)
{
	struct bed *b = *state;
	char lost[128];

	snprintf(lost, sizeof lost, problem, "accountDoesNotExist");
	assert_ok(bed_account(b));
	clock_advance(2 * (int64_t)DAY_MS);
	bed_once(b, "/new-order", 400, NULL, lost);
	bed_once(b, "/account", 400, NULL, lost); /* to onlyReturnExisting */
	bed_once(b, "/account", 201, "Location: {CA}/acct/2\n", "{\"status\":\"valid\"}");
	assert_ok(bed_create(b, "example.org")); /* the order did not notice */
	assert_contains(js_str(fakeca_request(b->ca, "POST", "/new-order", -1)->header, "kid"), "/acct/2");
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 3);

	bed_always(b, "/new-order", 400, NULL, lost);
	bed_always(b, "/account", 400, NULL, lost);
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "accountDoesNotExist");
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 4); /* asked, not made */
	bed_restart(b);						      /* which forgets nothing of that */
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "accountDoesNotExist");
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 5);
}

static void doubt_of_many_is_one_question(void **state)
{
	struct bed *b = *state;
	char denied[128];

	snprintf(denied, sizeof denied, problem, "unauthorized");
	assert_ok(bed_account(b));
	bed_always(b, "/new-order", 403, NULL, denied);
	create_many(b, 50);
	for (struct got *g = b->gots; g->next; g = g->next)
		assert_error(g, ERR_DENIED, "unauthorized"); /* the account is fine: it is about these orders */
	/* Answers arrive one after the other, so a second look can begin after the first; never one per order. */
	assert_true(fakeca_count(b->ca, "POST", "/account") <= 5);
	assert_int_equal(fakeca_count(b->ca, "POST", "/new-order"), 100);
}

static void memory_of_another_directory_or_key_is_ignored(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_account(b));
	js_put_str(b->memory, "directory", "https://127.0.0.1/other");
	bed_restart(b);
	assert_ok(bed_account(b));
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 2);
	js_put_str(b->memory, "thumbprint", "of-an-older-key");
	bed_restart(b);
	assert_ok(bed_account(b));
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 3);
	js_put_str(b->memory, "account", "https://elsewhere.example/acct/1");
	bed_restart(b);
	assert_ok(bed_account(b));
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 4);
	bed_restart(b);
	assert_ok(bed_account(b));
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 4);
}

static void keeper_refuses(void **state)
{
	struct bed *b = *state;

	err_set(&b->keeper.refuse, ERR_TEMP, "stale-conf", "another configuration");
	assert_error(bed_account(b), ERR_TEMP, "stale-conf");
	b->keeper.refuse.kind = ERR_NONE;
	assert_ok(bed_account(b));
}

/* ---- limits ---- */

static void host_out_of_order_parks_everything(void **state)
{
	static const char html[] = "<html><body>Service Unavailable</body></html>";
	struct bed *b = *state;
	struct got *g;
	size_t before;

	assert_ok(bed_account(b));
	bed_once(b, "/order/1", 503, "Retry-After: 600\n", html);
	g = bed_order(b, "/order/1");
	assert_error(g, ERR_LIMIT, "http");
	assert_contains(g->err.detail, "Service Unavailable");
	assert_int_equal(b->issuer->ops->not_before(b->issuer), ACMEBED_NOW + 600);
	before = fakeca_count(b->ca, NULL, NULL);
	for (int i = 0; i < 20; i++) {
		g = i % 2 ? bed_create(b, "example.org") : bed_authz(b, "/authz/1");
		assert_error(g, ERR_LIMIT, "rateLimited");
		assert_int_equal(g->err.not_before, ACMEBED_NOW + 600);
	}
	bed_restart(b);
	assert_int_equal(b->issuer->ops->not_before(b->issuer), ACMEBED_NOW + 600);
	assert_error(bed_create(b, "example.org"), ERR_LIMIT, "rateLimited");
	assert_int_equal(fakeca_count(b->ca, NULL, NULL), before);
	clock_freeze(ACMEBED_NOW - 90000); /* learnt from a clock that was ahead: it binds nobody */
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0);
	clock_freeze(ACMEBED_NOW + 600);
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0);
	assert_ok(bed_create(b, "example.org"));
}

static void many_waiting_orders_do_not_run_into_a_parked_host(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_account(b));
	bed_always(b, "/new-order", 503, "Retry-After: 600\n", NULL);
	create_many(b, MANY);
	for (struct got *g = b->gots; g->next; g = g->next)
		assert_int_equal(g->err.kind, ERR_LIMIT);
	/* What had already left, not the rest. */
	assert_true(fakeca_count(b->ca, "POST", "/new-order") < 100);
}

static void server_errors(void **state)
{
	static const struct {
		int status;
		const char *headers, *body;
		enum err_kind kind;
		int64_t wait;
	} rows[] = {
		{500, "Retry-After: 60\n", "{\"type\":\"urn:ietf:params:acme:error:serverInternal\",\"detail\":\"oops\"}", ERR_TEMP, 60},
		{500, NULL, "", ERR_TEMP, 0},
		{502, NULL, "<html>", ERR_TEMP, 0},
		{503, NULL, "<html>", ERR_TEMP, 0},
		{504, NULL, "{\"type\":\"urn:ietf:params:acme:error:malformed\"}", ERR_TEMP, 0},
		{408, NULL, "", ERR_TEMP, 0},
		{400, NULL, "[]", ERR_DENIED, 0},
		{418, NULL, "{\"type\":\"about:blank\",\"title\":\"tea\"}", ERR_DENIED, 0},
	};
	struct bed *b = *state;
	struct got *g;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bed_once(b, "/order/1/finalize", rows[i].status, rows[i].headers, rows[i].body);
		g = bed_finalize(b, "Y3Ny");
		assert_int_equal(g->err.kind, rows[i].kind);
		assert_int_equal(g->err.http_status, rows[i].status);
		assert_int_equal(g->err.not_before, rows[i].wait ? ACMEBED_NOW + rows[i].wait : 0);
	}
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0);
}

static void limit_of_names_and_of_account(void **state)
{
	struct bed *b = *state;
	char limited[128];

	snprintf(limited, sizeof limited, problem, "rateLimited");
	assert_ok(bed_account(b));
	bed_once(b, "/new-order", 429, "Retry-After: 7200\n", limited);
	assert_error(bed_create(b, "www.example.org"), ERR_LIMIT, "rateLimited");
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0);
	bed_once(b, "/new-order", 429, "Retry-After: 7200\n", limited);
	assert_error(bed_create(b, "mail.example.org"), ERR_LIMIT, "rateLimited"); /* the same domain */
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0);
	assert_ok(bed_create(b, "example.org")); /* accepted: not the account */
	bed_once(b, "/new-order", 429, "Retry-After: 3600\n", limited);
	assert_error(bed_create(b, "example.net"), ERR_LIMIT, "rateLimited");
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0);
	bed_once(b, "/new-order", 429, "Retry-After: 36\n", limited);
	assert_error(bed_create(b, "example.com"), ERR_LIMIT, "rateLimited");
	assert_int_equal(b->issuer->ops->not_before(b->issuer), ACMEBED_NOW + 60); /* two domains in a row: the account, until the nearer of both */
	assert_error(bed_create(b, "example.edu"), ERR_LIMIT, "rateLimited");
	assert_int_equal(fakeca_count(b->ca, "POST", "/new-order"), 5);
	assert_ok(bed_order(b, "/order/1")); /* orders under way go on */
	assert_int_equal(js_int(b->memory, "account_until", 0), ACMEBED_NOW + 60);
}

static void limit_of_registrations(void **state)
{
	struct bed *b = *state;
	char limited[128];

	snprintf(limited, sizeof limited, problem, "rateLimited");
	bed_once(b, "/account", 429, "Retry-After: 9999999\n", limited);
	assert_error(bed_create(b, "example.org"), ERR_LIMIT, "rateLimited");
	assert_int_equal(b->issuer->ops->not_before(b->issuer), ACMEBED_NOW + 86400); /* looked at again after a day */
	assert_error(bed_create(b, "example.org"), ERR_LIMIT, "rateLimited");
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 1);
}

static void pause_without_time_is_for_humans(void **state)
{
	struct bed *b = *state;
	struct got *g;

	bed_once(b, "/new-order", 429, NULL,
		"{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"paused: visit https://example.net/unpause\"}");
	g = bed_create(b, "example.org");
	assert_error(g, ERR_DENIED, "rateLimited");
	assert_contains(g->err.detail, "https://example.net/unpause");
	assert_int_equal(g->err.not_before, 0);
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0);
}

static void clock_set_back_frees(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_account(b));
	bed_once(b, "/order/1", 503, "Retry-After: 600\n", NULL);
	bed_order(b, "/order/1");
	clock_freeze(1000);
	assert_ok(bed_order(b, "/order/1"));
}

/* ---- cancelling and freeing ---- */

static void never(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	(void)arg;
	(void)answer;
	(void)err;
	fail_msg("called although cancelled");
}

static struct issuer_call *begin(struct bed *b)
{
	return b->issuer->ops->create(b->issuer, (const char *[]){"example.org"}, 1, never, NULL);
}

static bool is_signing(struct bed *b)
{
	return b->keeper.nheld > 0;
}

static bool is_asked_order(struct bed *b)
{
	return fakeca_count(b->ca, "POST", "/new-order") > 0;
}

static bool is_asked_directory(struct bed *b)
{
	return fakeca_count(b->ca, "GET", "/dir") > 0;
}

static bool is_asked_nonce(struct bed *b)
{
	return fakeca_count(b->ca, "HEAD", NULL) > 0;
}

static bool is_asked_account(struct bed *b)
{
	return fakeca_count(b->ca, "POST", "/account") > 0;
}

static void hang(struct bed *b, const char *method, const char *path)
{
	fakeca_once(b->ca, &(struct fakeca_answer){method, path, 0, NULL, NULL, FAKECA_HANG});
}

/* Bring a call into one of its phases, then end it there. */
static struct issuer_call *into_phase(struct bed *b, int phase)
{
	static const struct {
		const char *method, *path;
		bool (*until)(struct bed *b);
	} phases[] = {
		{"GET", "/dir", is_asked_directory},
		{"HEAD", "/nonce", is_asked_nonce},
		{"POST", "/account", is_asked_account},
		{"POST", "/new-order", is_asked_order},
	};
	struct issuer_call *c;

	if (phase < 4)
		hang(b, phases[phase].method, phases[phase].path);
	else
		b->keeper.hold = phase == 5; /* 4: at once; 5: at the keeper */
	c = begin(b);
	if (phase < 4)
		bed_turn(b, phases[phase].until);
	else if (phase == 5)
		bed_turn(b, is_signing);
	return c;
}

static void settle(void)
{
	for (int i = 0; i < 20; i++)
		loop_turn(false);
}

static void cancel_in_each_phase(void **state)
{
	struct bed *b = *state;

	for (int phase = 0; phase < 6; phase++) {
		struct issuer_call *c = into_phase(b, phase);

		b->issuer->ops->cancel(c);
		settle();
		js_free(b->memory);
		b->memory = NULL;
		if (phase != 5)
			bed_restart(b);
	}
}

static void free_in_each_phase(void **state)
{
	struct bed *b = *state;

	for (int phase = 0; phase < 6; phase++) {
		bed_restart(b);
		js_free(b->memory);
		b->memory = NULL;
		bed_restart(b);
		into_phase(b, phase);
		for (int i = 0; i < 3; i++)
			begin(b);
		b->issuer->ops->free(b->issuer);
		b->issuer = NULL;
		settle();
	}
}

/* An answer may come, but not from an issuer that is gone. */
static void only_before(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	struct bed *b = arg;

	(void)answer;
	(void)err;
	assert_non_null(b->issuer);
}

static void free_issuer(struct got *g)
{
	struct bed *b = g->arg;

	b->issuer->ops->free(b->issuer);
	b->issuer = NULL;
}

/* Every way an answer can take to us, with the issuer gone when it is told. */
static void free_from_inside_an_answer(void **state)
{
	struct bed *b = *state;

	for (int way = 0; way < 7; way++) {
		struct got *g = bed_got(b);
		const char *names[] = {"example.org"};
		char *url = mem_printf("%s/%s", way == 4 ? "https://elsewhere.example" : fakeca_base(b->ca), way == 6 ? "cert/1" : "order/1");

		bed_restart(b);
		if (way == 1)
			bed_always(b, "/order/1", 500, NULL, NULL);
		if (way == 3)
			err_set(&b->keeper.refuse, ERR_LOCAL, "x", "x");
		if (way == 5)
			fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 500, NULL, NULL, 0});
		g->then = free_issuer;
		g->arg = b;
		if (way == 2)
			b->issuer->ops->account(b->issuer, bed_done, g);
		else if (way == 6)
			b->issuer->ops->fetch(b->issuer, url, bed_done, g);
		else
			b->issuer->ops->order(b->issuer, url, bed_done, g);
		for (int i = 0; i < 5; i++)
			b->issuer->ops->create(b->issuer, names, 1, only_before, b);
		bed_wait(g);
		settle();
		b->keeper.refuse.kind = ERR_NONE;
		free(url);
	}
}

static void cancel_other(struct got *g)
{
	struct bed *b = g->arg;
	struct got *other = g->next;

	if (other && !other->over) {
		b->issuer->ops->cancel(other->call);
		other->over = true;
	}
	b->issuer->ops->cancel(g->call); /* over already: harmless */
}

static void cancel_another_from_inside_an_answer(void **state)
{
	struct bed *b = *state;

	bed_always(b, "/account", 500, NULL, NULL); /* all fail at the same moment */
	for (int i = 0; i < 20; i++) {
		struct got *g = bed_got(b);

		g->then = cancel_other;
		g->arg = b;
		g->call = b->issuer->ops->create(b->issuer, (const char *[]){"example.org"}, 1, bed_done, g);
	}
	bed_turn(b, all_over);
	settle();
}

static void begin_from_inside(struct got *g)
{
	struct bed *b = g->arg;
	struct got *next = bed_got(b);

	if (fakeca_count(b->ca, "POST", "/account") < 5)
		next->then = begin_from_inside;
	next->arg = b;
	next->call = b->issuer->ops->create(b->issuer, (const char *[]){"example.org"}, 1, bed_done, next);
}

static void begin_another_from_inside_a_failure(void **state)
{
	struct bed *b = *state;
	struct got *g = bed_got(b);

	bed_always(b, "/account", 500, NULL, NULL);
	g->then = begin_from_inside;
	g->arg = b;
	g->call = b->issuer->ops->create(b->issuer, (const char *[]){"example.org"}, 1, bed_done, g);
	bed_turn(b, all_over);
	assert_true(fakeca_count(b->ca, "POST", "/account") >= 5);
}

/* ---- the hostile CA ---- */

static void bodies_are_capped(void **state)
{
	struct bed *b = *state;
	char *big = mem_alloc(300 * 1024);

	memset(big, ' ', 300 * 1024 - 1);
	bed_account(b);
	big[65 * 1024] = '\0';
	bed_once(b, "/order/1", 200, NULL, big);
	assert_int_equal(bed_order(b, "/order/1")->err.kind, ERR_TEMP);
	assert_string_equal(b->gots->err.type, "too-large");
	big[65 * 1024] = ' ';
	bed_once(b, "/cert/1", 200, NULL, big);
	assert_string_equal(bed_fetch(b, "/cert/1")->err.type, "too-large");
	bed_restart(b);
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 200, NULL, big, 0});
	assert_string_equal(bed_order(b, "/order/1")->err.type, "too-large");
	fakeca_once(b->ca, &(struct fakeca_answer){"POST", "/order/1", 200, NULL, NULL, FAKECA_ENDLESS});
	assert_string_equal(bed_order(b, "/order/1")->err.type, "too-large");
	fakeca_once(b->ca, &(struct fakeca_answer){"POST", "/order/1", 500, NULL, NULL, FAKECA_ENDLESS});
	assert_string_equal(bed_order(b, "/order/1")->err.type, "too-large");
	assert_ok(bed_order(b, "/order/1"));
	free(big);
}

static void answers_cut_short(void **state)
{
	struct bed *b = *state;
	const char *paths[] = {"/new-order", "/authz/1", "/chal/1", "/order/1/finalize", "/order/1", "/cert/1"};

	assert_ok(bed_account(b));
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		fakeca_once(b->ca, &(struct fakeca_answer){"POST", paths[i], 200, NULL, "{\"status\":\"pen", FAKECA_CUT});
	assert_int_equal(bed_create(b, "example.org")->err.kind, ERR_TEMP);
	assert_int_equal(bed_authz(b, "/authz/1")->err.kind, ERR_TEMP);
	assert_int_equal(bed_announce(b, "/chal/1")->err.kind, ERR_TEMP);
	assert_int_equal(bed_finalize(b, "Y3Ny")->err.kind, ERR_TEMP);
	assert_int_equal(bed_order(b, "/order/1")->err.kind, ERR_TEMP);
	assert_int_equal(bed_fetch(b, "/cert/1")->err.kind, ERR_TEMP);
	assert_int_equal(fakeca_count(b->ca, "POST", "/new-order"), 1);
	assert_ok(bed_create(b, "example.org"));
}

/* Wherever it ends, on the way or at the CA: none of it is taken for an answer, and the whole one is. */
static void an_answer_cut_at_every_byte(void **state)
{
	static const char whole[] = "{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},\"challenges\":[]}";
	struct bed *b = *state;
	const size_t len = sizeof whole - 1;

	assert_ok(bed_account(b));
	for (size_t i = 0; i < 2 * len; i++) {
		char *part = mem_strdup(whole);

		part[i / 2] = '\0';
		fakeca_once(b->ca, &(struct fakeca_answer){"POST", "/authz/1", 200, NULL, part, i % 2 ? FAKECA_CUT : 0});
		if (bed_authz(b, "/authz/1")->err.kind != ERR_TEMP)
			fail_msg("taken for an answer: %s", part);
		free(part);
	}
	bed_once(b, "/authz/1", 200, NULL, whole);
	assert_ok(bed_authz(b, "/authz/1"));
	assert_int_equal(fakeca_count(b->ca, "POST", "/authz/1"), 2 * len + 1);
}

/* New contacts do not reach the CA: the account is as good as before, and the order goes on. Each time in a life of its own. */
static void contact_does_not_get_there(void **state)
{
	static const unsigned how[] = {FAKECA_CLOSE, FAKECA_CUT};
	struct bed *b = *state;

	assert_ok(bed_account(b));
	b->options.contact = (const char *[]){"mailto:new@example.org"};
	b->options.ncontact = 1;
	for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
		bed_restart(b);
		fakeca_once(b->ca, &(struct fakeca_answer){"POST", "/acct/1", 200, NULL, "{\"status\":\"val", how[i]});
		assert_ok(bed_create(b, "example.org"));
		assert_int_equal(fakeca_count(b->ca, "POST", "/acct/1"), i + 1);
		assert_ok(bed_create(b, "example.org"));
		assert_int_equal(fakeca_count(b->ca, "POST", "/acct/1"), i + 1);
	}
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 1);
	bed_restart(b); /* nothing was taken for granted: it is asked for still */
	bed_once(b, "/acct/1", 200, NULL, "{\"status\":\"valid\"}");
	assert_ok(bed_create(b, "example.org"));
	assert_contains(fakeca_request(b->ca, "POST", "/acct/1", -1)->payload, "mailto:new@example.org");
}

static void nobody_there(void **state)
{
	struct bed *b = *state;

	b->options.directory = "https://127.0.0.1:1/dir";
	bed_restart(b);
	assert_error(bed_account(b), ERR_TEMP, "connect");
	assert_error(bed_create(b, "example.org"), ERR_TEMP, "connect");
	assert_error(bed_order(b, "https://127.0.0.1:1/order"), ERR_TEMP, "connect");
	b->options.directory = b->directory;
	b->options.allow_private = false;
	bed_restart(b);
	assert_string_equal(bed_account(b)->err.type, "policy");
}

static void stranger_with_the_right_address(void **state)
{
	struct bed *b = *state;
	struct fakeca *other = fakeca_open(b->keeper.key);

	b->options.ca_file = fakeca_trust_file(other); /* not the one that answers */
	bed_restart(b);
	assert_string_equal(bed_account(b)->err.type, "tls");
	assert_int_equal(fakeca_count(b->ca, NULL, NULL), 0);
	b->options.ca_file = fakeca_trust_file(b->ca);
	bed_restart(b);
	fakeca_close(other);
}

static void hostile_tokens(void **state)
{
	static const char *const tokens[] = {
		"\"a/b\"",
		"\"..\"",
		"\"..%2f\"",
		"\"a\\u0000b\"",
		"\"a\\nb\"",
		"\"$(reboot)\"",
		"\"\"",
		"\"caf\\u00e9\"",
		"\"a=\"",
		"\"a+b\"",
		"7",
		"null",
		"{}",
	};
	struct bed *b = *state;
	char *body, *huge = mem_alloc(10 * 1024);

	memset(huge, 'a', 10 * 1024 - 1);
	huge[0] = huge[10 * 1024 - 2] = '"';
	for (size_t i = 0; i <= sizeof tokens / sizeof tokens[0]; i++) {
		body = mem_printf("{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},\"challenges\":"
				  "[{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"pending\",\"token\":%s}]}",
			i < sizeof tokens / sizeof tokens[0] ? tokens[i] : huge);
		bed_once(b, "/authz/1", 200, NULL, body);
		assert_int_not_equal(bed_authz(b, "/authz/1")->err.kind, ERR_NONE);
		free(body);
	}
	free(huge);
}

static void authorization_states(void **state)
{
	static const struct {
		const char *word;
		enum issuer_status status;
	} words[] = {
		{"pending", ISSUER_PENDING},
		{"processing", ISSUER_PENDING},
		{"valid", ISSUER_VALID},
		{"invalid", ISSUER_INVALID},
		{"deactivated", ISSUER_GONE},
		{"expired", ISSUER_GONE},
		{"revoked", ISSUER_GONE},
	};
	struct bed *b = *state;
	char body[512];

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		snprintf(body, sizeof body,
			"{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},\"challenges\":["
			"{\"type\":\"carrier-pigeon-01\",\"url\":\"http://elsewhere/\",\"status\":\"fluffy\"},"
			"{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"pending\",\"token\":\"t\"}]}",
			words[i].word);
		bed_once(b, "/authz/1", 200, NULL, body);
		assert_int_equal(bed_authz(b, "/authz/1")->authz->status, words[i].status);
		assert_int_equal(b->gots->authz->nchallenge, 1); /* what we do not know is passed over */
		assert_string_equal(b->gots->authz->challenge[0].type, "http-01");
	}
}

static void nonsense_for_json(void **state)
{
	static const char *const bodies[] = {
		"",
		"null",
		"[]",
		"{",
		"\"x\"",
		"{\"status\":\"pending\",\"status\":\"valid\"}",
		"{}{}",
		"{\"status\":\"\xff\"}",
		"{\"status\":\"a\\u0000\"}",
		"<html></html>",
		"\xef\xbb\xbf{}",
	};
	struct bed *b = *state;
	char *deep = mem_alloc(200 * 1024);

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		bed_once(b, "/order/1", 200, NULL, bodies[i]);
		assert_int_equal(bed_order(b, "/order/1")->err.kind, ERR_TEMP);
	}
	memset(deep, '[', 200 * 1024 - 1);
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 200, NULL, deep, 0});
	bed_restart(b);
	assert_error(bed_order(b, "/order/1"), ERR_TEMP, "json");
	free(deep);
}

/* ---- the rest of the interface ---- */

static void revocation(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_revoke(b, "Y2VydA", 4));
	assert_string_equal(fakeca_request(b->ca, "POST", "/revoke", 0)->payload, "{\"certificate\":\"Y2VydA\",\"reason\":4}");
	assert_true(js_has(fakeca_request(b->ca, "POST", "/revoke", 0)->header, "kid"));
	assert_ok(bed_revoke(b, "Y2VydA", 0));
	assert_string_equal(fakeca_request(b->ca, "POST", "/revoke", 1)->payload, "{\"certificate\":\"Y2VydA\"}");
	bed_problem(b, "/revoke", 400, NULL, "alreadyRevoked");
	assert_error(bed_revoke(b, "Y2VydA", 0), ERR_DENIED, "alreadyRevoked");
}

static void status_tells(void **state)
{
	struct bed *b = *state;
	struct js *s = b->issuer->ops->status(b->issuer);

	assert_string_equal(js_str(js_obj(s, "account"), "status"), "none");
	assert_string_equal(js_str(s, "directory"), b->directory);
	assert_false(js_has(s, "not_before"));
	js_free(s);
	assert_ok(bed_create(b, "example.org"));
	bed_once(b, "/order/1", 503, "Retry-After: 600\n", NULL);
	bed_order(b, "/order/1");
	s = b->issuer->ops->status(b->issuer);
	assert_string_equal(js_str(js_obj(s, "account"), "status"), "valid");
	assert_contains(js_str(js_obj(s, "account"), "url"), "/acct/1");
	assert_string_equal(js_str(s, "terms"), "https://example.net/terms");
	assert_string_equal(js_str(js_obj(s, "profiles"), "classic"), "90 days");
	assert_int_equal(js_int(js_obj(s, "requests"), "newOrder", 0), 1);
	assert_int_equal(js_int(js_obj(s, "problems"), "limit", 0), 1);
	assert_non_null(js_str(s, "not_before"));
	js_free(s);
}

static void status_words(void **state)
{
	(void)state;
	assert_string_equal(issuer_status_name(ISSUER_PENDING), "pending");
	assert_string_equal(issuer_status_name(ISSUER_GONE), "gone");
	assert_string_equal(issuer_status_name((enum issuer_status)99), "unknown");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(seven_requests_on_one_connection),
		CASE(one_account_for_many_orders),
		CASE(failed_registration_is_told_to_all),
		CASE(nonces_age),
		CASE(directory_read_again_daily),
		CASE(answer_to_registration_lost),
		CASE(lost_account_is_made_again_once_a_day),
		CASE(doubt_of_many_is_one_question),
		CASE(memory_of_another_directory_or_key_is_ignored),
		CASE(keeper_refuses),
		CASE(host_out_of_order_parks_everything),
		CASE(many_waiting_orders_do_not_run_into_a_parked_host),
		CASE(server_errors),
		CASE(limit_of_names_and_of_account),
		CASE(limit_of_registrations),
		CASE(pause_without_time_is_for_humans),
		CASE(clock_set_back_frees),
		CASE(cancel_in_each_phase),
		CASE(free_in_each_phase),
		CASE(free_from_inside_an_answer),
		CASE(cancel_another_from_inside_an_answer),
		CASE(begin_another_from_inside_a_failure),
		CASE(bodies_are_capped),
		CASE(answers_cut_short),
		CASE(an_answer_cut_at_every_byte),
		CASE(contact_does_not_get_there),
		CASE(nobody_there),
		CASE(stranger_with_the_right_address),
		CASE(hostile_tokens),
		CASE(authorization_states),
		CASE(nonsense_for_json),
		CASE(revocation),
		CASE(status_tells),
		CASE(status_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
