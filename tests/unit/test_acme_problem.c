/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ca/acme_problem.h"

enum { NOW = 1790000000 };

#define URN "urn:ietf:params:acme:error:"

static enum acme_class read_it(int status, const char *body, int64_t retry_after, struct err *err)
{
	struct acme_refusal r = {.status = status, .body = body, .len = strlen(body), .retry_after = retry_after};

	memset(err, 0xa5, sizeof *err); /* it may hold anything before */
	return acme_problem_read(&r, err);
}

static enum acme_class read_type(const char *type, int status, int64_t retry_after, struct err *err)
{
	char body[256];

	snprintf(body, sizeof body, "{\"type\":\"" URN "%s\",\"detail\":\"why\",\"status\":%d}", type, status);
	return read_it(status, body, retry_after, err);
}

static const struct {
	const char *type;
	int status;
	enum acme_class answer, validation;
} table[] = {
	{"badNonce", 400, ACME_NOW, ACME_NOW},
	{"orderNotReady", 403, ACME_NOW, ACME_NOW},
	{"alreadyReplaced", 409, ACME_NOW, ACME_NOW},
	{"conflict", 409, ACME_NOW, ACME_NOW},
	{"serverInternal", 500, ACME_TRANSIENT, ACME_TRANSIENT},
	{"connection", 400, ACME_TRANSIENT, ACME_TRANSIENT},
	{"tls", 400, ACME_TRANSIENT, ACME_TRANSIENT},
	{"dns", 400, ACME_TRANSIENT, ACME_TRANSIENT},
	{"incorrectResponse", 403, ACME_TRANSIENT, ACME_TRANSIENT},
	{"unauthorized", 403, ACME_ACCOUNT, ACME_TRANSIENT},
	{"accountDoesNotExist", 400, ACME_ACCOUNT, ACME_ACCOUNT},
	{"externalAccountRequired", 403, ACME_ACCOUNT, ACME_ACCOUNT},
	{"userActionRequired", 403, ACME_ACCOUNT, ACME_ACCOUNT},
	{"caa", 403, ACME_PERMANENT, ACME_PERMANENT},
	{"badCSR", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"badPublicKey", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"badSignatureAlgorithm", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"badRevocationReason", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"alreadyRevoked", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"invalidContact", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"unsupportedContact", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"invalidProfile", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"malformed", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"rejectedIdentifier", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"unsupportedIdentifier", 400, ACME_PERMANENT, ACME_PERMANENT},
	{"somethingNew", 403, ACME_PERMANENT, ACME_PERMANENT},
	{"somethingNew", 500, ACME_TRANSIENT, ACME_TRANSIENT},
};

static void every_type(void **state)
{
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		assert_int_equal(read_type(table[i].type, table[i].status, -1, &err), table[i].answer);
		assert_int_equal(err.kind, acme_class_kind(table[i].answer));
		assert_string_equal(err.type, table[i].type);
		assert_string_equal(err.detail, "why");
		assert_int_equal(err.http_status, table[i].status);
		assert_int_equal(err.not_before, 0);
		assert_int_equal(err.nsub, 0);
	}
}

static void every_type_in_a_validation(void **state)
{
	char body[256];
	struct err err;
	struct js *v;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		snprintf(body, sizeof body, "{\"type\":\"" URN "%s\",\"detail\":\"why\",\"status\":%d}", table[i].type, table[i].status);
		v = js_parse(body, strlen(body), &err);
		assert_int_equal(acme_problem_parse(v, &err), table[i].validation);
		assert_int_equal(err.kind, acme_class_kind(table[i].validation));
		assert_string_equal(err.type, table[i].type);
		js_free(v);
	}
}

static void kinds(void **state)
{
	(void)state;
	assert_int_equal(acme_class_kind(ACME_NOW), ERR_TEMP);
	assert_int_equal(acme_class_kind(ACME_TRANSIENT), ERR_TEMP);
	assert_int_equal(acme_class_kind(ACME_WAIT), ERR_LIMIT);
	assert_int_equal(acme_class_kind(ACME_PERMANENT), ERR_DENIED);
	assert_int_equal(acme_class_kind(ACME_ACCOUNT), ERR_DENIED);
}

static void rate_limits(void **state)
{
	static const struct {
		int64_t said, kept;
	} waits[] = {{0, 60}, {1, 60}, {60, 60}, {61, 61}, {7200, 7200}, {34 * 3600, 34 * 3600}, {30 * 86400, 7 * 86400}};
	struct err err;

	(void)state;
	clock_freeze(NOW);
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		assert_int_equal(read_type("rateLimited", 429, waits[i].said, &err), ACME_WAIT);
		assert_int_equal(err.kind, ERR_LIMIT);
		assert_int_equal(err.not_before, NOW + waits[i].kept);
	}
	assert_int_equal(read_type("rateLimited", 429, -1, &err), ACME_PERMANENT); /* paused */
	assert_int_equal(err.not_before, 0);
	assert_int_equal(read_it(429, "", 120, &err), ACME_WAIT);
	assert_int_equal(read_it(503, "<html>", 120, &err), ACME_WAIT);
	assert_int_equal(read_type("serverInternal", 503, 120, &err), ACME_WAIT);
	assert_int_equal(read_type("serverInternal", 500, 120, &err), ACME_TRANSIENT);
	assert_int_equal(err.not_before, NOW + 120);
	assert_int_equal(read_type("rateLimited", 503, -1, &err), ACME_TRANSIENT);
	assert_int_equal(read_type("caa", 403, 120, &err), ACME_PERMANENT);
	assert_int_equal(err.not_before, 0);
	clock_thaw();
}

static void status_where_the_type_is_silent(void **state)
{
	static const struct {
		int status;
		enum acme_class class;
	} rows[] = {
		{301, ACME_TRANSIENT},
		{400, ACME_PERMANENT},
		{401, ACME_ACCOUNT},
		{403, ACME_PERMANENT},
		{404, ACME_PERMANENT},
		{405, ACME_PERMANENT},
		{408, ACME_TRANSIENT},
		{429, ACME_PERMANENT},
		{500, ACME_TRANSIENT},
		{502, ACME_TRANSIENT},
		{503, ACME_TRANSIENT},
		{504, ACME_TRANSIENT},
		{599, ACME_TRANSIENT},
	};
	static const char *const bodies[] = {
		"", "{}", "{\"type\":\"about:blank\"}", "{\"type\":null,\"detail\":null}", "{\"type\":7}", "[]", "<html>", "\"x\"", "{"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t k = 0; k < sizeof bodies / sizeof bodies[0]; k++) {
			assert_int_equal(read_it(rows[i].status, bodies[k], -1, &err), rows[i].class);
			assert_int_equal(err.http_status, rows[i].status);
			assert_true(err.detail[0]);
			assert_true(err.type[0]);
		}
	}
	assert_int_equal(acme_problem_read(&(struct acme_refusal){.status = 500, .retry_after = -1}, &err), ACME_TRANSIENT);
}

static void texts_are_escaped_and_cut(void **state)
{
	char body[4096];
	struct err err;

	(void)state;
	read_it(400, "{\"type\":\"" URN "caa\",\"detail\":\"a\\u001b[31mb\\u202ec\\nd\"}", -1, &err);
	assert_string_equal(err.detail, "a\\x1b[31mb\\u{202e}c\\x0ad");
	snprintf(body, sizeof body, "{\"type\":\"%0300d\",\"detail\":\"%02000d\",\"instance\":\"%01000d\"}", 1, 2, 3);
	read_it(400, body, -1, &err);
	assert_true(strlen(err.detail) < sizeof err.detail);
	assert_true(strlen(err.type) < sizeof err.type);
	snprintf(body, sizeof body, "<html>%01000d\033</html>", 7);
	read_it(502, body, -1, &err);
	assert_non_null(strstr(err.detail, "<html>"));
	assert_true(strlen(err.detail) < 300);
	read_it(502, "\033]0;x\a\xff", -1, &err);
	assert_null(strchr(err.detail, '\033'));
	read_it(400, "{\"type\":\"urn:acme:error:malformed\",\"title\":\"only a title\"}", -1, &err);
	assert_string_equal(err.type, "malformed");
	assert_string_equal(err.detail, "only a title");
	read_it(400, "{\"type\":\"" URN "badSignatureAlgorithm\",\"detail\":\"no\",\"algorithms\":[\"ES256\",7,\"RS256\"]}", -1, &err);
	assert_string_equal(err.detail, "no (accepted: ES256, RS256)");
	read_it(400, "{\"type\":\"" URN "caa\",\"detail\":\"no\",\"instance\":\"https://x/y\",\"algorithms\":[]}", -1, &err);
	assert_string_equal(err.detail, "no (see https://x/y)");
}

static void subproblems(void **state)
{
	char body[8192];
	int len;
	struct err err;

	(void)state;
	assert_int_equal(
		read_it(403, "{\"type\":\"" URN "compound\",\"detail\":\"d\",\"subproblems\":[{\"type\":\"" URN "dns\"},{\"type\":\"" URN "caa\"}]}",
			-1, &err),
		ACME_PERMANENT);
	assert_int_equal(
		read_it(403, "{\"type\":\"" URN "compound\",\"subproblems\":[{\"type\":\"" URN "dns\"},{\"type\":\"" URN "tls\"}]}", -1, &err),
		ACME_TRANSIENT);
	assert_int_equal(read_it(403, "{\"type\":\"" URN "compound\",\"subproblems\":[{\"type\":\"x\"},7,null,{}]}", -1, &err), ACME_PERMANENT);
	assert_int_equal(err.nsub, 4);
	assert_string_equal(err.sub[0].type, "x");
	assert_string_equal(err.sub[1].type, "");
	assert_int_equal(read_it(403, "{\"type\":\"" URN "compound\",\"subproblems\":{}}", -1, &err), ACME_PERMANENT);
	assert_int_equal(err.nsub, 0);
	len = snprintf(body, sizeof body, "{\"type\":\"" URN "rejectedIdentifier\",\"subproblems\":[");
	for (int i = 0; i < 99; i++)
		len += snprintf(body + len, sizeof body - (size_t)len, "%s{\"identifier\":{\"value\":\"n%d.example\"}}", i ? "," : "", i);
	snprintf(body + len, sizeof body - (size_t)len, "]}");
	read_it(403, body, -1, &err);
	assert_int_equal(err.nsub, 99);
	assert_string_equal(err.sub[ERR_SUBS - 1].identifier, "n2.example");
}

static void polls(void **state)
{
	(void)state;
	assert_int_equal(acme_poll_ms(-1), 0);
	assert_int_equal(acme_poll_ms(0), 1000);
	assert_int_equal(acme_poll_ms(1), 1000);
	assert_int_equal(acme_poll_ms(59), 59000);
	assert_int_equal(acme_poll_ms(60), 60000);
	assert_int_equal(acme_poll_ms(INT64_MAX), 60000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type),
		cmocka_unit_test(every_type_in_a_validation),
		cmocka_unit_test(kinds),
		cmocka_unit_test(rate_limits),
		cmocka_unit_test(status_where_the_type_is_silent),
		cmocka_unit_test(texts_are_escaped_and_cut),
		cmocka_unit_test(subproblems),
		cmocka_unit_test(polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
