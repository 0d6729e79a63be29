/* SPDX-License-Identifier: ISC */
/* The ACME issuer against a scripted CA: one test for each of the 33 mistakes that ACME clients are known for. */
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
#include "base/text.h"

static const char *nonce_of(struct bed *b, const char *path, int i)
{
	return js_str(fakeca_request(b->ca, "POST", path, i)->header, "nonce");
}

static void once_without_nonce(struct bed *b, const char *path, int status, const char *headers, const char *body)
{
	fakeca_once(b->ca, &(struct fakeca_answer){"POST", path, status, headers, body, FAKECA_NO_NONCE});
}

static const char bad_nonce[] = "{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"JWS has an invalid anti-replay nonce\"}";

static void row_01_bad_nonce(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_account(b));
	once_without_nonce(b, "/new-order", 400, "Replay-Nonce: of-this-very-answer\n", bad_nonce);
	assert_ok(bed_create(b, "example.org"));
	assert_int_equal(fakeca_count(b->ca, "POST", "/new-order"), 2);
	assert_string_equal(nonce_of(b, "/new-order", 1), "of-this-very-answer");
	assert_int_equal(fakeca_count(b->ca, "HEAD", NULL), 1); /* the first request's */

	once_without_nonce(b, "/order/1", 400, NULL, bad_nonce); /* and none to go on with */
	assert_ok(bed_order(b, "/order/1"));
	assert_int_equal(fakeca_count(b->ca, "HEAD", NULL), 2);

	bed_always(b, "/order/1", 400, NULL, bad_nonce);
	assert_error(bed_order(b, "/order/1"), ERR_TEMP, "badNonce");
	assert_int_equal(fakeca_count(b->ca, "POST", "/order/1"), 2 + 1 + 5);
}

static void row_02_invalid_nonce_ignored(void **state)
{
	static const char *const bad[] = {"a b", "a\"b", "a/b", "a+b", "a=", "\xc3\xa9", ""};
	struct bed *b = *state;
	char huge[400] = "Replay-Nonce: ";

	assert_ok(bed_account(b));
	memset(huge + 14, 'a', 257);
	strcpy(huge + 14 + 257, "\n");
	once_without_nonce(b, "/new-order", 201, huge, NULL);
	assert_error(bed_create(b, "example.org"), ERR_TEMP, "object"); /* no Location: irrelevant here */
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char line[64];

		snprintf(line, sizeof line, "Replay-Nonce: %s\n", bad[i]);
		once_without_nonce(b, "/order/1", 200, line, bed_order_body("pending", ""));
		assert_ok(bed_order(b, "/order/1"));
	}
	/* Each of them left us without a nonce: a new one was fetched, and the bad one never came back. */
	assert_int_equal(fakeca_count(b->ca, "HEAD", NULL), 1 + sizeof bad / sizeof bad[0]);
}

static void row_03_resigned_after_network_error(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_account(b));
	fakeca_once(b->ca, &(struct fakeca_answer){"POST", "/order/1", 0, NULL, NULL, FAKECA_CLOSE});
	assert_int_equal(bed_order(b, "/order/1")->err.kind, ERR_TEMP);
	assert_ok(bed_order(b, "/order/1"));
	assert_string_not_equal(nonce_of(b, "/order/1", 0), nonce_of(b, "/order/1", -1));
}

static void row_04_post_as_get_is_empty(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_order(b, "/order/1"));
	assert_string_equal(fakeca_request(b->ca, "POST", "/order/1", 0)->payload, "");
	assert_ok(bed_authz(b, "/authz/1"));
	assert_string_equal(fakeca_request(b->ca, "POST", "/authz/1", 0)->payload, "");
	bed_fetch(b, "/cert/1");
	assert_string_equal(fakeca_request(b->ca, "POST", "/cert/1", 0)->payload, "");
}

static void row_05_challenge_answered_with_empty_object(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_announce(b, "/chal/1"));
	assert_string_equal(fakeca_request(b->ca, "POST", "/chal/1", 0)->payload, "{}");
	assert_int_equal(fakeca_count(b->ca, "POST", "/authz/1"), 0);
}

static void row_06_user_agent(void **state)
{
	struct bed *b = *state;

	/* The CA complains about any request without, or without Accept-Language: GET, HEAD and POST are among these. */
	assert_ok(bed_create(b, "example.org"));
	assert_int_equal(fakeca_count(b->ca, "GET", NULL), 1);
	assert_int_equal(fakeca_count(b->ca, "HEAD", NULL), 1);
	assert_int_equal(fakeca_count(b->ca, "POST", NULL), 2);
	assert_null(fakeca_fault(b->ca));
}

static char *make_chain(const char *root, char **cross_of_other)
{
	struct err err;
	struct testca *top = testca_new(root, NULL, NULL);
	struct testca *other = testca_new("Other Root", NULL, NULL);
	struct testca *middle = testca_new("Middle", top, NULL);
	struct testca *cross = testca_new(root, other, NULL);
	struct key *key = key_generate(KEY_ECDSA_P256, &err);
	char *chain = testca_chain(middle, key, &(struct testca_wish){.names = (const char *[]){"example.org"}, .nnames = 1});
	char *pem = testca_pem(cross);

	*cross_of_other = mem_printf("%s%s", chain, pem);
	free(pem);
	key_free(key);
	testca_free(cross);
	testca_free(middle);
	testca_free(other);
	testca_free(top);
	return chain;
}

static void row_07_content_type_does_not_decide(void **state)
{
	struct bed *b = *state;
	char *cross;
	char *chain = make_chain("Root", &cross);

	bed_always(b, "/order/1", 200, "Content-Type: text/html\n", bed_order_body("ready", ""));
	assert_int_equal(bed_order(b, "/order/1")->order->status, ISSUER_READY);
	bed_always(b, "/cert/1", 200, "Content-Type: application/octet-stream; a=b\n", chain);
	assert_string_equal(bed_fetch(b, "/cert/1")->chain, chain);
	bed_always(b, "/cert/1", 200, NULL, chain); /* none at all */
	assert_ok(bed_fetch(b, "/cert/1"));
	bed_problem(b, "/new-order", 403, "Content-Type: application/problem+json; charset=utf-8\n", "rejectedIdentifier");
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "rejectedIdentifier");
	bed_problem(b, "/new-order", 403, "Content-Type: text/plain\n", "rejectedIdentifier");
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "rejectedIdentifier");
	free(chain);
	free(cross);
}

static void row_08_retry_after(void **state)
{
	static const struct {
		const char *header;
		int64_t wait_ms;
	} polls[] = {
		{NULL, 0},
		{"Retry-After: 5\n", 5000},
		{"Retry-After: 0\n", 1000},
		{"Retry-After: 86400\n", 60000},
		{"Retry-After: 99999999999999999999999\n", 60000},
		{"Retry-After: -3\n", 0},
		{"Retry-After: soon\n", 0},
		{"Date: Mon, 21 Sep 2026 13:33:20 GMT\nRetry-After: Mon, 21 Sep 2026 13:33:27 GMT\n", 7000},
		{"Date: Mon, 01 Jan 2001 00:00:00 GMT\nRetry-After: Mon, 01 Jan 2001 00:00:09 GMT\n", 9000}, /* the CA's clock is wrong */
		{"Retry-After: Mon, 01 Jan 2001 00:00:00 GMT\n", 1000},
	};
	struct bed *b = *state;
	struct got *g;

	for (size_t i = 0; i < sizeof polls / sizeof polls[0]; i++) {
		bed_once(b, "/order/1", 200, polls[i].header, bed_order_body("processing", ""));
		assert_int_equal(bed_order(b, "/order/1")->order->wait_ms, polls[i].wait_ms);
		bed_once(b, "/authz/1", 200, polls[i].header,
			"{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},"
			"\"challenges\":[]}");
		assert_int_equal(bed_authz(b, "/authz/1")->authz->wait_ms, polls[i].wait_ms);
		bed_once(b, "/chal/1", 200, polls[i].header, "{}");
		assert_int_equal(bed_announce(b, "/chal/1")->wait_ms, polls[i].wait_ms);
	}
	bed_problem(b, "/order/1/finalize", 429, "Retry-After: 7200\n", "rateLimited");
	g = bed_finalize(b, "Y3Ny");
	assert_error(g, ERR_LIMIT, "rateLimited");
	assert_int_equal(g->err.not_before, ACMEBED_NOW + 7200);
	assert_int_equal(b->issuer->ops->not_before(b->issuer), 0); /* this order's affair */
	bed_problem(b, "/order/1/finalize", 429, "Retry-After: 1\n", "rateLimited");
	assert_int_equal(bed_finalize(b, "Y3Ny")->err.not_before, ACMEBED_NOW + 60);
	bed_problem(b, "/order/1/finalize", 429, "Retry-After: 99999999\n", "rateLimited");
	assert_int_equal(bed_finalize(b, "Y3Ny")->err.not_before, ACMEBED_NOW + 7 * 86400);
}

static void row_09_status_decides(void **state)
{
	static const struct {
		const char *word, *more;
		enum issuer_status status;
	} words[] = {
		{"pending", "", ISSUER_PENDING},
		{"ready", "", ISSUER_READY},
		{"processing", "", ISSUER_PROCESSING},
		{"valid", ",\"certificate\":\"{CA}/cert/1\"", ISSUER_VALID},
		{"invalid", ",\"error\":{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"forbidden\"}", ISSUER_INVALID},
	};
	static const char *const unknown[] = {"banana", "VALID", "Pending", "", "deactivated"};
	struct bed *b = *state;
	struct got *g;

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		const char *body = bed_order_body(words[i].word, words[i].more);

		bed_once(b, "/new-order", 201, "Location: {CA}/order/1\n", body);
		bed_once(b, "/order/1", 200, NULL, body);
		bed_once(b, "/order/1/finalize", 200, NULL, body);
		assert_int_equal(bed_create(b, "example.org")->order->status, words[i].status);
		assert_int_equal(bed_order(b, "/order/1")->order->status, words[i].status);
		g = bed_finalize(b, "Y3Ny");
		assert_int_equal(g->order->status, words[i].status);
		if (words[i].status == ISSUER_INVALID)
			assert_string_equal(g->order->problem->type, "caa");
		else
			assert_null(g->order->problem);
	}
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		bed_once(b, "/order/1", 200, NULL, bed_order_body(unknown[i], ""));
		g = bed_order(b, "/order/1");
		assert_error(g, ERR_TEMP, "object");
		assert_contains(g->err.detail, unknown[i]);
	}
}

static void row_10_already_valid(void **state)
{
	struct bed *b = *state;
	struct got *g;

	bed_once(b, "/new-order", 201, "Location: {CA}/order/1\n",
		"{\"status\":\"valid\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"}],\"authorizations\":[],"
		"\"finalize\":\"{CA}/order/1/finalize\",\"certificate\":\"{CA}/cert/1\"}");
	g = bed_create(b, "example.org");
	assert_ok(g);
	assert_int_equal(g->order->status, ISSUER_VALID);
	assert_int_equal(g->order->nauthz, 0);
	assert_contains(g->order->certificate, "/cert/1");

	bed_once(b, "/authz/1", 200, NULL,
		"{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},\"challenges\":"
		"[{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"valid\"}]}");
	g = bed_authz(b, "/authz/1");
	assert_ok(g);
	assert_int_equal(g->authz->status, ISSUER_VALID);
	assert_null(g->authz->challenge[0].token); /* nobody needs it any more */
}

static void row_11_wildcard_authorization(void **state)
{
	struct bed *b = *state;
	struct got *g;

	bed_once(b, "/new-order", 201, "Location: {CA}/order/1\n",
		"{\"status\":\"pending\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"},{\"type\":\"dns\",\"value\":\"*.example.org\"}"
		"],"
		"\"authorizations\":[\"{CA}/authz/1\",\"{CA}/authz/2\"],\"finalize\":\"{CA}/order/1/finalize\"}");
	g = bed_create(b, "*.example.org example.org");
	assert_ok(g);
	assert_int_equal(g->order->nauthz, 2); /* told apart by URL: the name is the same */
	assert_false(bed_authz(b, "/authz/1")->authz->wildcard);
	bed_once(b, "/authz/2", 200, NULL,
		"{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},\"wildcard\":true,"
		"\"challenges\":[{\"type\":\"dns-01\",\"url\":\"{CA}/chal/2\",\"status\":\"pending\",\"token\":\"t\"}]}");
	g = bed_authz(b, "/authz/2");
	assert_true(g->authz->wildcard);
	assert_string_equal(g->authz->name, "example.org");
	assert_contains(g->authz->url, "/authz/2");
	bed_once(
		b, "/authz/2", 200, NULL, "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"*.example.org\"},\"challenges\":[]}");
	assert_error(bed_authz(b, "/authz/2"), ERR_DENIED, "policy");
}

static void row_12_identifiers_are_what_was_asked(void **state)
{
	static const char one[] = "{\"status\":\"pending\",\"identifiers\":[%s],\"authorizations\":[],\"finalize\":\"{CA}/f\"}";
	static const struct {
		const char *identifiers;
		bool good;
	} rows[] = {
		{"{\"type\":\"dns\",\"value\":\"EXAMPLE.org\"}", true},
		{"{\"type\":\"dns\",\"value\":\"example.net\"}", false},
		{"{\"type\":\"dns\",\"value\":\"example.org\"},{\"type\":\"dns\",\"value\":\"www.example.org\"}", false},
		{"{\"type\":\"dns\",\"value\":\"*.example.org\"}", false},
		{"{\"type\":\"ip\",\"value\":\"192.0.2.1\"}", false},
		{"", false},
	};
	struct bed *b = *state;
	char body[512];
	struct got *g;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(body, sizeof body, one, rows[i].identifiers);
		bed_once(b, "/new-order", 201, "Location: {CA}/order/1\n", body);
		g = bed_create(b, "example.org");
		assert_int_equal(g->err.kind == ERR_NONE, rows[i].good);
		if (rows[i].good)
			assert_string_equal(g->order->names[0], "example.org");
	}
	/* Later answers show what they hold, for whoever keeps the first ones to compare. */
	bed_once(b, "/order/1", 200, NULL,
		"{\"status\":\"ready\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"evil.example\"}],"
		"\"authorizations\":[\"{CA}/authz/9\"],\"finalize\":\"{CA}/f\"}");
	g = bed_order(b, "/order/1");
	assert_string_equal(g->order->names[0], "evil.example");
	assert_contains(g->order->authz[0], "/authz/9");
}

static void row_13_order_not_ready(void **state)
{
	struct bed *b = *state;

	bed_problem(b, "/order/1/finalize", 403, NULL, "orderNotReady");
	assert_error(bed_finalize(b, "Y3Ny"), ERR_TEMP, "orderNotReady");
	assert_int_equal(fakeca_count(b->ca, "POST", "/order/1/finalize"), 1); /* the order decides, not a loop in here */
	assert_ok(bed_order(b, "/order/1"));
	assert_int_equal(bed_finalize(b, "Y3Ny")->order->status, ISSUER_PROCESSING);
}

static void row_14_bad_csr_leaves_order_ready(void **state)
{
	struct bed *b = *state;

	bed_problem(b, "/order/1/finalize", 400, NULL, "badCSR");
	bed_always(b, "/order/1", 200, NULL, bed_order_body("ready", ""));
	assert_error(bed_finalize(b, "Y3Ny"), ERR_DENIED, "badCSR");
	assert_int_equal(bed_order(b, "/order/1")->order->status, ISSUER_READY);
	assert_ok(bed_finalize(b, "Y3Ny"));
	assert_string_equal(fakeca_request(b->ca, "POST", "/order/1/finalize", 0)->payload, "{\"csr\":\"Y3Ny\"}");
}

static void row_15_finalize_is_not_repeated(void **state)
{
	struct bed *b = *state;
	struct got *g;

	assert_ok(bed_account(b));
	fakeca_once(b->ca, &(struct fakeca_answer){"POST", "/order/1/finalize", 200, NULL, NULL, FAKECA_CUT});
	assert_int_equal(bed_finalize(b, "Y3Ny")->err.kind, ERR_TEMP);
	assert_int_equal(fakeca_count(b->ca, "POST", "/order/1/finalize"), 1);
	bed_once(b, "/order/1", 200, NULL, bed_order_body("valid", ",\"certificate\":\"{CA}/cert/1\""));
	g = bed_order(b, "/order/1"); /* the CA knows what came of it */
	assert_int_equal(g->order->status, ISSUER_VALID);
}

static void row_16_location_only_in_new_order(void **state)
{
	struct bed *b = *state;
	struct got *g;

	g = bed_create(b, "example.org");
	assert_contains(g->order->url, "/order/1");
	g = bed_order(b, "/order/1");
	assert_contains(g->order->url, "/order/1");
	g = bed_finalize(b, "Y3Ny");
	assert_contains(g->order->url, "/order/1");
	bed_once(b, "/new-order", 201, NULL, bed_order_body("pending", ""));
	g = bed_create(b, "example.org");
	assert_error(g, ERR_TEMP, "object");
	assert_contains(g->err.detail, "Location");
	bed_once(b, "/new-order", 201, "Location: https://elsewhere.example/order/1\n", bed_order_body("pending", ""));
	g = bed_create(b, "example.org");
	assert_error(g, ERR_DENIED, "policy");
	assert_contains(g->err.detail, "Location");
}

static void row_17_expires(void **state)
{
	struct bed *b = *state;
	struct got *g;

	g = bed_order(b, "/order/1");
	assert_int_equal(g->order->expires, 1893456000);
	bed_problem(b, "/order/1", 404, NULL, "malformed");
	g = bed_order(b, "/order/1");
	assert_ok(g);
	assert_int_equal(g->order->status, ISSUER_GONE);
	assert_contains(g->order->url, "/order/1");
	bed_once(b, "/order/1", 200, NULL, "{\"status\":\"pending\",\"expires\":\"tomorrow\",\"identifiers\":[],\"authorizations\":[]}");
	assert_error(bed_order(b, "/order/1"), ERR_TEMP, "object");
}

static void row_18_challenge_processing(void **state)
{
	struct bed *b = *state;
	struct got *g;

	assert_ok(bed_announce(b, "/chal/1"));
	bed_once(b, "/authz/1", 200, "Retry-After: 3\n",
		"{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},"
		"\"challenges\":[{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"processing\",\"token\":\"t\","
		"\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\"}}]}");
	g = bed_authz(b, "/authz/1");
	assert_int_equal(g->authz->status, ISSUER_PENDING);
	assert_int_equal(g->authz->challenge[0].status, ISSUER_PROOF_PROCESSING);
	assert_int_equal(g->authz->wait_ms, 3000);
	assert_null(g->authz->problem); /* not decided yet */
	assert_int_equal(fakeca_count(b->ca, "POST", "/chal/1"), 1);
	bed_once(b, "/authz/1", 200, NULL,
		"{\"status\":\"invalid\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},"
		"\"challenges\":[{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"invalid\",\"token\":\"t\","
		"\"error\":{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"status\":403,\"detail\":\"wrong bytes\"}}]}");
	g = bed_authz(b, "/authz/1");
	assert_int_equal(g->authz->status, ISSUER_INVALID);
	assert_int_equal(g->authz->problem->kind, ERR_TEMP); /* a failed validation is no verdict on the account */
	assert_string_equal(g->authz->problem->type, "unauthorized");
	assert_string_equal(g->authz->problem->detail, "wrong bytes");
}

static void row_19_alternate_chains(void **state)
{
	struct bed *b = *state;
	char *cross;
	char *chain = make_chain("First Root", &cross);

	bed_always(b, "/cert/1", 200,
		"Link: <{CA}/dir>;rel=\"index\"\nLink: <{CA}/cert/junk>; rel=alternate, <https://elsewhere.example/cert>;rel=\"alternate\"\n"
		"Link: <{CA}/cert/2>; title=\"a, b; rel=x\"; rel=\"up alternate\"\n",
		chain);
	bed_always(b, "/cert/junk", 404, NULL, NULL);
	bed_always(b, "/cert/2", 200, NULL, cross);
	assert_string_equal(bed_fetch(b, "/cert/1")->chain, chain);
	assert_int_equal(fakeca_count(b->ca, "POST", "/cert/2"), 0); /* nobody asked for another */

	b->options.preferred_chain = "Other Root";
	bed_restart(b);
	assert_string_equal(bed_fetch(b, "/cert/1")->chain, cross);
	assert_int_equal(fakeca_count(b->ca, "POST", "/cert/junk"), 1); /* tried before, and no reason to fail */

	b->options.preferred_chain = "First Root";
	bed_restart(b);
	assert_string_equal(bed_fetch(b, "/cert/1")->chain, chain);
	assert_int_equal(fakeca_count(b->ca, "POST", "/cert/2"), 1);

	b->options.preferred_chain = "No Such Root";
	bed_restart(b);
	assert_string_equal(bed_fetch(b, "/cert/1")->chain, chain); /* with a warning in the log */
	free(chain);
	free(cross);
}

/* As it came it is handed on (the order parses and accepts it); where one root is preferred it is looked into here, too. */
static void row_20_pem_holds_certificates_only(void **state)
{
	static const char key[] =
		"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n";
	struct bed *b = *state;
	char *cross;
	char *chain = make_chain("Root", &cross);
	char *bad[] = {
		mem_printf("%s%s", chain, key),
		mem_printf("%s%s", key, chain),
		mem_printf("%.*s", (int)strlen(chain) - 40, chain),
		mem_strdup("<html>try later</html>"),
		mem_strdup(""),
	};

	bed_always(b, "/cert/1", 200, NULL, bad[0]);
	assert_string_equal(bed_fetch(b, "/cert/1")->chain, bad[0]);
	b->options.preferred_chain = "Root";
	bed_restart(b);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		bed_once(b, "/cert/1", 200, NULL, bad[i]);
		assert_error(bed_fetch(b, "/cert/1"), ERR_DENIED, "badCertificate");
		free(bad[i]);
	}
	free(chain);
	free(cross);
}

static void row_21_account_recovered_by_key(void **state)
{
	struct bed *b = *state;
	struct got *g;

	bed_always(b, "/account", 200, "Location: {CA}/acct/7\n", "{\"status\":\"valid\",\"contact\":null,\"orders\":null}");
	g = bed_account(b);
	assert_ok(g);
	assert_int_equal(strlen(g->text), 43); /* the thumbprint */
	assert_contains(js_str(b->memory, "account"), "/acct/7");
	assert_ok(bed_create(b, "example.org"));
	assert_contains(js_str(fakeca_request(b->ca, "POST", "/new-order", 0)->header, "kid"), "/acct/7");
	bed_restart(b);
	assert_ok(bed_create(b, "example.org"));
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 1); /* remembered */

	/* In doubt the CA is asked, and the question agrees to nothing. */
	bed_problem(b, "/new-order", 403, NULL, "unauthorized");
	assert_ok(bed_create(b, "example.org"));
	assert_string_equal(fakeca_request(b->ca, "POST", "/account", -1)->payload, "{\"onlyReturnExisting\":true}");
	assert_true(js_has(fakeca_request(b->ca, "POST", "/account", -1)->header, "jwk"));
}

static void row_22_contact_omitted_when_unset(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_account(b));
	assert_string_equal(fakeca_request(b->ca, "POST", "/account", 0)->payload, "{\"termsOfServiceAgreed\":true}");
	js_free(b->memory);
	b->memory = NULL;
	b->options.contact = (const char *[]){"mailto:a@example.org", "mailto:b@example.org"};
	b->options.ncontact = 2;
	bed_restart(b);
	assert_ok(bed_account(b));
	assert_string_equal(fakeca_request(b->ca, "POST", "/account", 1)->payload,
		"{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:a@example.org\",\"mailto:b@example.org\"]}");
}

/* The account of before gets them: once, and orders do not hang on it. */
static void row_22_contact_changed(void **state)
{
	struct bed *b = *state;
	const struct fakeca_request *q;

	b->options.contact = (const char *[]){"mailto:a@example.org"};
	b->options.ncontact = 1;
	bed_restart(b);
	assert_ok(bed_account(b));
	b->options.contact = (const char *[]){"mailto:b@example.org", "mailto:a@example.org"};
	b->options.ncontact = 2;
	bed_restart(b);
	bed_once(b, "/acct/1", 200, NULL, "{\"status\":\"valid\"}");
	assert_ok(bed_account(b));
	q = fakeca_request(b->ca, "POST", "/acct/1", 0);
	assert_string_equal(q->payload, "{\"contact\":[\"mailto:b@example.org\",\"mailto:a@example.org\"]}");
	assert_contains(js_str(q->header, "kid"), "/acct/1");
	bed_restart(b);
	assert_ok(bed_account(b));
	assert_int_equal(fakeca_count(b->ca, "POST", "/acct/1"), 1);
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 1);

	/* None any more: they are taken away. A CA that does not want to is asked once in the life of the daemon. */
	b->options.ncontact = 0;
	bed_restart(b);
	bed_problem(b, "/acct/1", 400, NULL, "invalidContact");
	assert_ok(bed_create(b, "example.org"));
	assert_ok(bed_create(b, "example.org"));
	assert_int_equal(fakeca_count(b->ca, "POST", "/acct/1"), 2);
	assert_string_equal(fakeca_request(b->ca, "POST", "/acct/1", 1)->payload, "{\"contact\":[]}");

	/* It comes to light that the account is gone. */
	bed_restart(b);
	bed_problem(b, "/acct/1", 400, NULL, "accountDoesNotExist");
	bed_once(b, "/account", 200, "Location: {CA}/acct/2\n", "{\"status\":\"valid\"}");
	assert_ok(bed_account(b));
	assert_contains(js_str(b->memory, "account"), "/acct/2");
}

/* Found by its key: what the CA shows of it decides whether there is anything to change. */
static void row_22_contact_of_an_account_found(void **state)
{
	struct bed *b = *state;

	b->options.contact = (const char *[]){"mailto:a@example.org"};
	b->options.ncontact = 1;
	bed_restart(b);
	bed_once(b, "/account", 200, "Location: {CA}/acct/1\n", "{\"status\":\"valid\",\"contact\":[\"mailto:a@example.org\"]}");
	assert_ok(bed_account(b));
	assert_int_equal(fakeca_count(b->ca, "POST", "/acct/1"), 0);
	js_free(b->memory);
	b->memory = NULL;
	bed_restart(b);
	bed_once(b, "/account", 200, "Location: {CA}/acct/1\n", "{\"status\":\"valid\",\"contact\":[\"mailto:old@example.org\"]}");
	bed_once(b, "/acct/1", 200, NULL, "{\"status\":\"valid\"}");
	assert_ok(bed_account(b));
	assert_string_equal(fakeca_request(b->ca, "POST", "/acct/1", 0)->payload, "{\"contact\":[\"mailto:a@example.org\"]}");
}

static void row_23_external_account_binding(void **state)
{
	struct bed *b = *state;
	struct js *payload, *inner;
	char *header;
	unsigned char *bytes;
	size_t len;
	struct err err;

	b->options.eab = true;
	bed_restart(b);
	bed_problem(b, "/account", 400, NULL, "accountDoesNotExist");
	assert_ok(bed_account(b));
	/* First the question whether there is one: a binding is not spent on that. */
	assert_string_equal(fakeca_request(b->ca, "POST", "/account", 0)->payload, "{\"onlyReturnExisting\":true}");
	assert_int_equal(b->keeper.binds, 1);
	payload =
		js_parse(fakeca_request(b->ca, "POST", "/account", 1)->payload, strlen(fakeca_request(b->ca, "POST", "/account", 1)->payload), &err);
	inner = js_obj(payload, "externalAccountBinding");
	assert_non_null(inner);
	assert_true(text_b64url_decode(js_str(inner, "protected"), strlen(js_str(inner, "protected")), &bytes, &len));
	header = mem_strndup((char *)bytes, len);
	assert_contains(header, "/account");
	assert_contains(header, "HS256");
	assert_null(strstr(header, "nonce"));
	free(header);
	free(bytes);
	js_free(payload);

	/* The CA loses the account: a binding may be good for one use, so a human is asked. */
	bed_problem(b, "/new-order", 400, NULL, "accountDoesNotExist");
	bed_problem(b, "/account", 400, NULL, "accountDoesNotExist");
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "accountDoesNotExist");
	assert_int_equal(b->keeper.binds, 1);
}

static void row_24_key_change_is_not_offered(void **state)
{
	struct bed *b = *state;

	/* The directory has keyChange; nothing in the interface leads there, and a conflict over a key stops rather than loops. */
	bed_once(b, "/account", 409, "Location: {CA}/acct/other\n", "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"key in use\"}");
	assert_error(bed_account(b), ERR_DENIED, "malformed");
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "malformed");
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 1);
	assert_int_equal(fakeca_count(b->ca, NULL, "/key-change"), 0);
}

static void row_25_keeper_may_refuse_to_sign(void **state)
{
	struct bed *b = *state;

	/* Whether a request holds an account's key only the keeper can see: its word is final, and nothing leaves. */
	assert_ok(bed_account(b));
	err_set(&b->keeper.refuse, ERR_DENIED, "sign", "the request is for an account key");
	assert_error(bed_finalize(b, "Y3Ny"), ERR_DENIED, "sign");
	assert_int_equal(fakeca_count(b->ca, "POST", "/order/1/finalize"), 0);
	b->keeper.refuse.kind = ERR_NONE;
	bed_problem(b, "/order/1/finalize", 400, NULL, "badPublicKey");
	assert_error(bed_finalize(b, "Y3Ny"), ERR_DENIED, "badPublicKey");
}

static void row_26_deactivated_account_stops(void **state)
{
	struct bed *b = *state;

	assert_ok(bed_account(b));
	bed_always(b, "/new-order", 401, NULL, "{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"account is deactivated\"}");
	bed_always(b, "/account", 403, NULL, "{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"account is deactivated\"}");
	for (int i = 0; i < 20; i++)
		assert_error(bed_create(b, "example.org"), ERR_DENIED, "unauthorized");
	assert_int_equal(fakeca_count(b->ca, "POST", "/new-order"), 1);
	assert_int_equal(fakeca_count(b->ca, "POST", "/account"), 2);
	assert_error(bed_order(b, "/order/1"), ERR_DENIED, "unauthorized"); /* all of the account */
	assert_int_equal(fakeca_count(b->ca, "POST", "/order/1"), 0);

	clock_advance(3600 * 1000 + 1); /* asked again now and then, so that it heals */
	bed_always(b, "/account", 200, "Location: {CA}/acct/1\n", "{\"status\":\"deactivated\"}");
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "unauthorized");
	clock_advance(3600 * 1000 + 1);
	bed_always(b, "/account", 200, "Location: {CA}/acct/1\n", "{\"status\":\"valid\"}");
	bed_always(b, "/new-order", 201, "Location: {CA}/order/1\n", bed_order_body("pending", ""));
	assert_ok(bed_create(b, "example.org"));
}

static void row_27_authorization_deactivated(void **state)
{
	struct bed *b = *state;

	bed_once(b, "/authz/1", 200, NULL, "{\"status\":\"deactivated\"}");
	assert_ok(bed_deactivate(b, "/authz/1"));
	assert_string_equal(fakeca_request(b->ca, "POST", "/authz/1", 0)->payload, "{\"status\":\"deactivated\"}");
	bed_once(b, "/authz/1", 200, NULL,
		"{\"status\":\"deactivated\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},\"challenges\":[]}");
	assert_int_equal(bed_authz(b, "/authz/1")->authz->status, ISSUER_GONE);
}

static void row_28_signature_algorithm(void **state)
{
	struct bed *b = *state;
	struct got *g;

	bed_once(b, "/new-order", 400, NULL,
		"{\"type\":\"urn:ietf:params:acme:error:badSignatureAlgorithm\",\"detail\":\"no\",\"algorithms\":[\"RS256\",\"EdDSA\"]}");
	g = bed_create(b, "example.org");
	assert_error(g, ERR_DENIED, "badSignatureAlgorithm");
	assert_contains(g->err.detail, "RS256, EdDSA"); /* what a human needs to choose the key type */
	for (int i = 0; i < 300; i++)			/* about one signature in 128 has a short half; the CA verifies each */
		assert_ok(bed_order(b, "/order/1"));
}

static void row_29_https_and_own_host_only(void **state)
{
	static const char *const bad[] = {
		"http://127.0.0.1/x",
		"file:///etc/passwd",
		"https://elsewhere.example/x",
		"https://127.0.0.1:1/x",
		"https://user@127.0.0.1/x",
		"https://169.254.169.254/latest",
		"https://[::1]/x",
		"//127.0.0.1/x",
		"/x",
		"",
		"https://",
		"HTTPS:/x",
	};
	static const char *const fields[] = {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"};
	struct bed *b = *state;
	struct got *g;
	char body[1024], order[1024];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		size_t f = i % (sizeof fields / sizeof fields[0]);
		int len = snprintf(body, sizeof body, "{");

		for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
			len += snprintf(
				body + len, sizeof body - (size_t)len, "%s\"%s\":\"%s\"", k ? "," : "", fields[k], k == f ? bad[i] : "{CA}/x");
		snprintf(body + len, sizeof body - (size_t)len, "}");
		fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 200, NULL, body, 0});
		g = bed_create(b, "example.org");
		assert_error(g, ERR_DENIED, "policy");
		assert_contains(g->err.detail, fields[f]);
		clock_advance(3600 * 1000 + 1); /* no account until then */
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(order, sizeof order,
			"{\"status\":\"valid\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"}],"
			"\"authorizations\":[\"%s\"],\"finalize\":\"%s\",\"certificate\":\"%s\"}",
			i % 3 == 0 ? bad[i] : "{CA}/x", i % 3 == 1 ? bad[i] : "{CA}/x", i % 3 == 2 ? bad[i] : "{CA}/x");
		bed_once(b, "/order/1", 200, NULL, order);
		assert_error(bed_order(b, "/order/1"), ERR_DENIED, "policy");
		assert_error(bed_order(b, bad[i][0] == '/' ? "x" : bad[i]), ERR_DENIED, "policy"); /* ours to ask, too */
	}
	b->options.directory = "http://127.0.0.1/dir";
	assert_null(acme_new(&b->options, &g->err));
	assert_error(g, ERR_INPUT, "policy");
}

static void row_30_directory_meta(void **state)
{
	static const char *const metas[] = {
		"",
		",\"meta\":null",
		",\"meta\":{}",
		",\"meta\":{\"termsOfService\":null,\"externalAccountRequired\":null,\"profiles\":null,\"website\":7}",
		",\"unknown\":[[]],\"renewalInfo\":null",
	};
	struct bed *b = *state;
	char body[512];

	for (size_t i = 0; i < sizeof metas / sizeof metas[0]; i++) {
		snprintf(body, sizeof body, "{\"newNonce\":\"{CA}/nonce\",\"newAccount\":\"{CA}/account\",\"newOrder\":\"{CA}/new-order\"%s}",
			metas[i]);
		fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 200, NULL, body, 0});
		bed_restart(b);
		assert_ok(bed_create(b, "example.org"));
	}
	/* Without revokeCert revocation is refused in words, and nothing is sent. */
	assert_error(bed_revoke(b, "Y2VydA", 0), ERR_DENIED, "directory");
}

/* Who the CA is in CAA records: read with the directory, without an account and without an order. What is wrong with it matters to nobody else. */
static void identity_of_the_directory(void **state)
{
	static const struct {
		const char *caa, *names;
	} rows[] = {
		{"[\"ca.example\",\"CA.example.net\"]", "ca.example,CA.example.net"},
		{"[]", ""},
		{"null", ""},
		{"\"ca.example\"", ""},
		{"{}", ""},
		{"[7,\"\",\"a b\",\"\\u001b\",null,\"ca.example\"]", "ca.example"},
	};
	struct bed *b = *state;
	char body[512], expected[256];
	struct got *g;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(body, sizeof body, "{\"newNonce\":\"{CA}/nonce\",\"newAccount\":\"{CA}/account\",\"newOrder\":\"{CA}/new-order\",\"meta\":{"
			"\"caaIdentities\":%s}}", rows[i].caa);
		fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 200, NULL, body, 0});
		bed_restart(b);
		assert_ok(g = bed_identify(b));
		snprintf(expected, sizeof expected, "%s -", rows[i].names);
		assert_string_equal(g->identity, expected);
	}
	assert_int_equal(fakeca_count(b->ca, "POST", NULL), 0);
	assert_int_equal(fakeca_count(b->ca, "HEAD", NULL), 0);
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), sizeof rows / sizeof rows[0]);
	assert_ok(bed_account(b));
	assert_ok(g = bed_identify(b)); /* it was there a moment ago */
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), sizeof rows / sizeof rows[0]);
	assert_contains(g->identity, "ca.example http");
}

static void an_identity_that_cannot_be_read(void **state)
{
	struct bed *b = *state;
	struct got *g, *h;

	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 503, NULL, "", 0});
	bed_restart(b);
	g = bed_got(b);
	h = bed_got(b);
	g->call = b->issuer->ops->identify(b->issuer, bed_done, g);
	h->call = b->issuer->ops->identify(b->issuer, bed_done, h);
	b->issuer->ops->cancel(h->call);
	bed_wait(g);
	assert_int_equal(g->err.kind, ERR_TEMP);
	assert_int_equal(h->times, 0);
	h->over = true;
}

static void a_ca_that_has_gone(void **state)
{
	const char *name = "example.org";
	struct bed *b = *state;
	struct got *g, *order[2];

	assert_ok(bed_account(b));
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 1);
	clock_advance(11 * 1000);
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 503, NULL, "", 0});
	g = bed_got(b);
	g->call = b->issuer->ops->identify(b->issuer, bed_done, g);
	for (size_t i = 0; i < 2; i++) { /* orders go on by what is known, also those that wait for a nonce meanwhile */
		order[i] = bed_got(b);
		order[i]->call = b->issuer->ops->create(b->issuer, &name, 1, bed_done, order[i]);
	}
	bed_wait(g);
	assert_int_equal(g->err.kind, ERR_TEMP);
	assert_contains(g->identity, "http"); /* the account is known all the same */
	for (size_t i = 0; i < 2; i++)
		assert_ok(order[i]->over ? order[i] : bed_wait(order[i]));
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 2);
	assert_ok(bed_identify(b));
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 3);
	assert_ok(bed_identify(b));
	assert_int_equal(fakeca_count(b->ca, "GET", "/dir"), 3);
}

static void row_31_redirects(void **state)
{
	static const int statuses[] = {301, 302, 303, 307, 308};
	struct bed *b = *state;
	struct got *g;

	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 301, "Location: {CA}/a\n", NULL, 0});
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/a", 302, "Location: /b\n", NULL, 0});
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/b", 307, "Location: {CA}/dir\n", NULL, 0});
	assert_ok(bed_create(b, "example.org"));

	bed_restart(b);
	fakeca_always(b->ca, &(struct fakeca_answer){"GET", "/loop", 302, "Location: {CA}/loop\n", NULL, 0});
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 302, "Location: {CA}/loop\n", NULL, 0});
	assert_error(bed_create(b, "example.org"), ERR_TEMP, "redirect");
	assert_int_equal(fakeca_count(b->ca, "GET", "/loop"), 5);
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 302, "Location: http://127.0.0.1/dir\n", NULL, 0});
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "policy");
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 302, "Location: //elsewhere.example/dir\n", NULL, 0});
	assert_error(bed_create(b, "example.org"), ERR_DENIED, "policy");
	fakeca_once(b->ca, &(struct fakeca_answer){"GET", "/dir", 302, NULL, NULL, 0});
	assert_error(bed_create(b, "example.org"), ERR_TEMP, "redirect");

	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		bed_once(b, "/new-order", statuses[i], "Location: {CA}/order/1\n", bed_order_body("pending", ""));
		g = bed_create(b, "example.org");
		assert_error(g, ERR_TEMP, "redirect");
		assert_int_equal(g->err.http_status, statuses[i]);
	}
	assert_int_equal(fakeca_count(b->ca, NULL, "/order/1"), 0);
}

static void row_32_subproblems(void **state)
{
	struct bed *b = *state;
	struct got *g;

	bed_once(b, "/new-order", 403, NULL,
		"{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"2 of 3\",\"subproblems\":["
		"{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"on a "
		"list\\u001b[31m\",\"identifier\":{\"type\":\"dns\",\"value\":\"bad.example.org\"}},"
		"{\"type\":\"urn:ietf:params:acme:error:caa\",\"identifier\":{\"type\":\"dns\",\"value\":\"worse.example.org\"}}]}");
	g = bed_create(b, "example.org");
	assert_error(g, ERR_DENIED, "rejectedIdentifier");
	assert_int_equal(g->err.nsub, 2);
	assert_string_equal(g->err.sub[0].identifier, "bad.example.org");
	assert_string_equal(g->err.sub[0].detail, "on a list\\x1b[31m");
	assert_string_equal(g->err.sub[1].identifier, "worse.example.org");
	assert_string_equal(g->err.sub[1].type, "caa");
}

static void row_33_user_action_required(void **state)
{
	struct bed *b = *state;
	struct got *g;

	assert_ok(bed_account(b));
	bed_once(b, "/new-order", 403, "Link: <https://example.net/terms/v2>;rel=\"terms-of-service\"\n",
		"{\"type\":\"urn:ietf:params:acme:error:userActionRequired\",\"detail\":\"terms have "
		"changed\",\"instance\":\"https://example.net/agree\"}");
	g = bed_create(b, "example.org");
	assert_error(g, ERR_DENIED, "userActionRequired");
	assert_contains(g->err.detail, "https://example.net/agree");
	assert_contains(g->err.detail, "https://example.net/terms/v2");

	js_free(b->memory);
	b->memory = NULL;
	b->options.agree_tos = false;
	bed_restart(b);
	bed_problem(b, "/account", 403, NULL, "userActionRequired");
	g = bed_account(b);
	assert_error(g, ERR_DENIED, "userActionRequired");
	assert_contains(g->err.detail, "agree_tos");
	assert_string_equal(fakeca_request(b->ca, "POST", "/account", -1)->payload, "{}");
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(row_01_bad_nonce),
		ROW(row_02_invalid_nonce_ignored),
		ROW(row_03_resigned_after_network_error),
		ROW(row_04_post_as_get_is_empty),
		ROW(row_05_challenge_answered_with_empty_object),
		ROW(row_06_user_agent),
		ROW(row_07_content_type_does_not_decide),
		ROW(row_08_retry_after),
		ROW(row_09_status_decides),
		ROW(row_10_already_valid),
		ROW(row_11_wildcard_authorization),
		ROW(row_12_identifiers_are_what_was_asked),
		ROW(row_13_order_not_ready),
		ROW(row_14_bad_csr_leaves_order_ready),
		ROW(row_15_finalize_is_not_repeated),
		ROW(row_16_location_only_in_new_order),
		ROW(row_17_expires),
		ROW(row_18_challenge_processing),
		ROW(row_19_alternate_chains),
		ROW(row_20_pem_holds_certificates_only),
		ROW(row_21_account_recovered_by_key),
		ROW(row_22_contact_omitted_when_unset),
		ROW(row_22_contact_changed),
		ROW(row_22_contact_of_an_account_found),
		ROW(row_23_external_account_binding),
		ROW(row_24_key_change_is_not_offered),
		ROW(row_25_keeper_may_refuse_to_sign),
		ROW(row_26_deactivated_account_stops),
		ROW(row_27_authorization_deactivated),
		ROW(row_28_signature_algorithm),
		ROW(row_29_https_and_own_host_only),
		ROW(row_30_directory_meta),
		ROW(identity_of_the_directory),
		ROW(an_identity_that_cannot_be_read),
		ROW(a_ca_that_has_gone),
		ROW(row_31_redirects),
		ROW(row_32_subproblems),
		ROW(row_33_user_action_required),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
