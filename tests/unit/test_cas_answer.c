/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ca/cas_answer.h"

enum { NOW = 1790000000 };

static const char *const no_headers[] = {NULL};
static const char *const *headers = no_headers; /* of the next answer */

static bool read_bytes(int status, const char *body, size_t len, struct err *err)
{
	struct http_answer a = {.status = status, .body = body, .len = len, .headers = headers};
	struct js *o;
	bool good;

	memset(err, 0xa5, sizeof *err); /* it may hold anything before */
	err->detail[0] = '\0';
	good = cas_answer_read(&a, "ListInstances", &o, err);
	assert_int_equal(good, o != NULL);
	if (!good) {
		assert_int_equal(err->http_status, status);
		assert_true(err->kind != ERR_NONE && err->type[0] && err->detail[0]);
		assert_true(text_is_utf8(err->detail, strlen(err->detail)));
	}
	js_free(o);
	return good;
}

static bool read_it(int status, const char *body, struct err *err)
{
	return read_bytes(status, body, strlen(body), err);
}

static void has(const struct err *err, const char *part)
{
	if (!strstr(err->detail, part))
		fail_msg("\"%s\" is not in \"%s\"", part, err->detail);
}

static void has_not(const struct err *err, const char *part)
{
	if (strstr(err->detail, part))
		fail_msg("\"%s\" is in \"%s\"", part, err->detail);
}

static void a_success(void **state)
{
	static const char body[] = "{\"RequestId\":\"R\",\"OrderId\":98987582437920968,\"Code\":\"200\"}";
	struct http_answer a = {.status = 200, .body = body, .len = strlen(body), .headers = headers};
	struct js *o;
	struct err err;

	(void)state;
	assert_true(cas_answer_read(&a, "X", &o, &err));
	assert_true(js_int(o, "OrderId", 0) == INT64_C(98987582437920968));
	js_free(o);
	assert_true(read_it(200, "{\"code\":200}", &err));
	assert_true(read_it(200, "{\"Code\":\"OK\"}", &err));
	assert_true(read_it(200, "{\"Code\":null}", &err));
	assert_true(read_it(200, "{\"Code\":{}}", &err)); /* no code at all */
	assert_true(read_it(200, "{}", &err));
}

/* Every code of the vendor's tables that we know of. */
static const struct {
	const char *code;
	int status;
	enum err_kind kind;
	enum cas_retry retry;
	const char *remedy; /* a part of it; NULL: none */
} table[] = {
	{"InvalidTimeStamp.Expired", 400, ERR_TEMP, CAS_RETRY_CLOCK, "clock"},
	{"InvalidTimeStamp.Format", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"SignatureNonceUsed", 400, ERR_TEMP, CAS_RETRY_NONCE, NULL},
	{"SignatureDoesNotMatch", 400, ERR_DENIED, CAS_RETRY_NEVER, "access_key_secret"},
	{"SignatureDoesNotMatch", 403, ERR_DENIED, CAS_RETRY_NEVER, "access_key_secret"},
	{"IncompleteSignature", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"InvalidAccessKeyId.NotFound", 404, ERR_DENIED, CAS_RETRY_NEVER, "access_key_id"},
	{"InvalidAccessKeyId.NotFound", 400, ERR_DENIED, CAS_RETRY_NEVER, "access_key_id"},
	{"InvalidAccessKeyId.Inactive", 400, ERR_DENIED, CAS_RETRY_NEVER, "disabled"},
	{"InvalidSecurityToken.Expired", 400, ERR_TEMP, CAS_RETRY_TOKEN, "security_token"},
	{"InvalidSecurityToken.Malformed", 400, ERR_DENIED, CAS_RETRY_TOKEN, "security_token"},
	{"MissingParameter", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"MissingInstanceId", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"InvalidParameter", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"InvalidDomain", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"InvalidParameter.Format", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"InvalidSignatureMethod", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"UnsupportedHTTPMethod", 405, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"InvalidAction.NotFound", 404, ERR_DENIED, CAS_RETRY_NEVER, "endpoint"},
	{"InvalidApi.NotFound", 404, ERR_DENIED, CAS_RETRY_NEVER, "endpoint"},
	{"NoSuchVersion", 400, ERR_DENIED, CAS_RETRY_NEVER, "endpoint"},
	{"InvalidVersion", 400, ERR_DENIED, CAS_RETRY_NEVER, "endpoint"},
	{"InvalidProduct.NotFound", 404, ERR_DENIED, CAS_RETRY_NEVER, "endpoint"},
	{"InvalidProtocol.NeedSsl", 404, ERR_INPUT, CAS_RETRY_NEVER, "https"},
	{"Forbidden.RAM", 403, ERR_DENIED, CAS_RETRY_NEVER, "yundun-cert: and cas:"},
	{"NoPermission", 403, ERR_DENIED, CAS_RETRY_NEVER, "yundun-cert: and cas:"},
	{"Forbidden", 403, ERR_DENIED, CAS_RETRY_NEVER, "account"},
	{"Forbidden.RiskControl", 403, ERR_DENIED, CAS_RETRY_NEVER, "restricted"},
	{"Forbidden.UserVerification", 403, ERR_DENIED, CAS_RETRY_NEVER, "verified"},
	{"NotApplicable", 400, ERR_DENIED, CAS_RETRY_NEVER, "site"},
	{"Throttling", 400, ERR_LIMIT, CAS_RETRY_WAIT, NULL},
	{"Throttling.User", 429, ERR_LIMIT, CAS_RETRY_WAIT, NULL},
	{"Throttling.Api", 503, ERR_LIMIT, CAS_RETRY_WAIT, NULL},
	{"Rejected.Throttling", 400, ERR_LIMIT, CAS_RETRY_WAIT, NULL},
	{"FlowControlError", 400, ERR_LIMIT, CAS_RETRY_WAIT, NULL},
	{"ServiceUnavailable", 503, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"InternalError", 500, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"InternalError", 400, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"Error", 500, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"500", 400, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"AccessDenied.NoAuth", 400, ERR_DENIED, CAS_RETRY_NEVER, "RAM policy"},
	{"PermissionDenied", 400, ERR_DENIED, CAS_RETRY_NEVER, "RAM policy"},
	{"AlreadyExists.Name", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"AlreadyExistsTry", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"CertificateChainNotMatch", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"CertificateExpired", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"CertificateFormatException", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"CertificatePrivateKey.Existed", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"CouldNotRefund.InsufficientQuota", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"CouldNotRefund.NotSupport", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"CouldNotRefund.OverTime", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"CreateCsrFailed", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"CreateOrderFailed", 400, ERR_DENIED, CAS_RETRY_STATE, NULL},
	{"DataTooLongException", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"DecryptError", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"DeductQuotaFailed", 400, ERR_DENIED, CAS_RETRY_NEVER, "buy"},
	{"DeployFailed.InvalidCertPath", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"DomainAlreadyExist", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"DomainRepeat", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"DomainAndProductNotMatch", 400, ERR_INPUT, CAS_RETRY_NEVER, "not made for"},
	{"InsufficientQuota", 400, ERR_DENIED, CAS_RETRY_NEVER, "buy"},
	{"InvalidParameter.MobileIllegal", 400, ERR_INPUT, CAS_RETRY_NEVER, "telephone"},
	{"InvalidStatus.DeleteProtection", 400, ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"InvalidStatus.UpdateProtection", 400, ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"NameRepeat", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"NotFound", 400, ERR_DENIED, CAS_RETRY_NEVER, "id"},
	{"InvalidInstanceId.NotFound", 400, ERR_DENIED, CAS_RETRY_NEVER, "id"},
	{"NotFoundPackage", 404, ERR_DENIED, CAS_RETRY_NEVER, "buy"},
	{"NotRemainCount", 404, ERR_DENIED, CAS_RETRY_NEVER, "buy"},
	{"NotFoundOrder", 404, ERR_DENIED, CAS_RETRY_NEVER, "id"},
	{"OrderStateError", 403, ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"OperationDenied.NotSameCompanyEntity", 400, ERR_DENIED, CAS_RETRY_NEVER, "company"},
	{"OperationDenied.StatusNotSupport", 400, ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"OperationDenied.SystemUpgrading", 400, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"OperationDenied.ProductNotSupport", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"OrderExpired", 400, ERR_DENIED, CAS_RETRY_NEVER, "bought"},
	{"ParamRepeat", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"ParseCertificateFailed", 400, ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"ResourceAlreadyAssociated", 400, ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"WebHookFailed", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"SomethingNew", 400, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"SomethingNew", 502, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"SomethingNew", 408, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"SomethingNew", 429, ERR_LIMIT, CAS_RETRY_WAIT, NULL},
	{"InvalidParameter", 500, ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"SomethingNew", 200, ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"invalidtimestamp.EXPIRED", 400, ERR_TEMP, CAS_RETRY_CLOCK, "clock"},
};

static void check_row(size_t i, const char *body)
{
	struct err err;

	assert_false(read_it(table[i].status, body, &err));
	if (err.kind != table[i].kind || cas_answer_retry(&err) != table[i].retry)
		fail_msg("%s, %d: %s, %d", table[i].code, table[i].status, err_kind_name(err.kind), cas_answer_retry(&err));
	assert_string_equal(err.type, table[i].code);
	assert_int_equal(err.not_before, table[i].kind == ERR_LIMIT ? NOW + CAS_WAIT_S : 0);
	assert_int_equal(strncmp(err.detail, "why", 3), 0);
	if (table[i].remedy)
		has(&err, table[i].remedy);
	else
		has_not(&err, "hint");
}

static void every_code(void **state)
{
	char body[512];

	(void)state;
	clock_freeze(NOW);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		snprintf(body, sizeof body, "{\"RequestId\":\"R-1\",\"HostId\":\"h\",\"Code\":\"%s\",\"Message\":\"why\"}", table[i].code);
		check_row(i, body);
		snprintf(body, sizeof body, "{\"requestId\":\"R-1\",\"code\":\"%s\",\"message\":\"why\"}", table[i].code);
		check_row(i, body);
		snprintf(body, sizeof body, "{\"REQUESTID\":\"R-1\",\"CODE\":\"%s\",\"MESSAGE\":\"why\"}", table[i].code);
		check_row(i, body);
		snprintf(body, sizeof body, "<?xml version='1.0' encoding='UTF-8'?>\n<Error>\n <RequestId>R-1</RequestId><Code>%s</Code><Message>why</Message></Error>\n",
			table[i].code);
		check_row(i, body);
	}
	clock_thaw();
}

static void spellings(void **state)
{
	struct err err;

	(void)state;
	assert_false(read_it(400, "{\"code\":\"Mine\",\"Code\":\"NotFound\",\"message\":\"m\"}", &err)); /* the vendor's own spelling wins */
	assert_string_equal(err.type, "NotFound");
	assert_false(read_it(400, "{\"Code\":404,\"Message\":\"m\"}", &err));
	assert_string_equal(err.type, "404");
	assert_false(read_it(400, "{\"Code\":\"NotFound\"}", &err));
	has(&err, "gave no reason");
	assert_false(read_it(400, "{\"Code\":\"NotFound\",\"Message\":7}", &err));
	has(&err, "gave no reason");
}

static void what_people_need(void **state)
{
	char body[2048], url[300];
	struct err err;

	(void)state;
	read_it(403,
		"{\"RequestId\":\"0A1B2C3D-1111-2222-3333-445566778899\",\"Code\":\"NoPermission\",\"Message\":\"You are not authorized.\","
		"\"Recommend\":\"https://help.example/x?q=1\",\"AccessDeniedDetail\":{\"AuthAction\":\"cas:ListInstances\",\"PolicyType\":"
		"\"AccountLevelIdentityBasedPolicy\",\"EncodedDiagnosticMessage\":\"AQEAAAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
		"\"Deep\":{\"x\":1}}}",
		&err);
	assert_string_equal(err.detail, "You are not authorized. (hint: " /* and in this order */
					"the RAM policy of this access key has to allow the operation, under both of its prefixes, yundun-cert: and cas:)"
					" (AuthAction=cas:ListInstances, PolicyType=AccountLevelIdentityBasedPolicy)"
					" (request 0A1B2C3D-1111-2222-3333-445566778899) (see https://help.example/x?q=1)");
	memset(url, 'u', sizeof url);
	url[sizeof url - 1] = '\0';
	snprintf(body, sizeof body, "{\"Code\":\"NotFound\",\"Message\":\"m\",\"Recommend\":\"%s\",\"AccessDeniedDetail\":\"no object\"}", url);
	read_it(400, body, &err);
	has_not(&err, "uuu");
	has_not(&err, "no object");
}

/* The service's own words, whatever their language: whole where there is room, else cut between characters. */
static void chinese(void **state)
{
	static const char why[] = "\xe5\x9f\x9f\xe5\x90\x8d\xe9\xaa\x8c\xe8\xaf\x81\xe5\xa4\xb1\xe8\xb4\xa5: TXT"; /* domain validation failed */
	char body[4096];
	struct err err;
	int len;

	(void)state;
	snprintf(body, sizeof body, "{\"Code\":\"WebHookFailed\",\"Message\":\"%s\"}", why);
	read_it(400, body, &err);
	assert_string_equal(err.detail, why);
	for (int shift = 0; shift < 3; shift++) {
		len = snprintf(body, sizeof body, "{\"Code\":\"WebHookFailed\",\"RequestId\":\"R-1\",\"Message\":\"%.*s", shift, "abc");
		for (int i = 0; i < 400; i++)
			len += snprintf(body + len, sizeof body - (size_t)len, "\xe5\x9f\x9f");
		snprintf(body + len, sizeof body - (size_t)len, "\"}");
		read_it(400, body, &err); /* read_bytes looks whether it is UTF-8 */
		has_not(&err, "\\x");
		has(&err, "\xe5\x9f\x9f... (request R-1)");
	}
	read_it(400, "{\"Code\":\"A\\u001b[31m\",\"Message\":\"a\\u001b[31mb\\u202ec\\nd\",\"RequestId\":\"\\n\"}", &err);
	assert_string_equal(err.detail, "a\\x1b[31mb\\u{202e}c\\x0ad (request \\x0a)");
	assert_string_equal(err.type, "A\\x1b[31m");
}

static void tokens_stay_secret(void **state)
{
	static const char *const messages[] = {
		"server string to sign is:POST&%2F&AccessKeyId%3Dx%26SecurityToken%3DSECRET%26Version",
		"server string to sign is:POST&%2F&AccessKeyId%3Dx%26SecurityToken%253DSECRET",
		"AccessKeyId=x&SecurityToken=SECRET&Version=1",
		"canonical: x-acs-security-token:SECRET",
		"X-ACS-Security-Token: SECRET",
		"of x-acs-security-token;x-acs-version and x-acs-security-token:SECRET",
	};
	char body[1024];
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		snprintf(body, sizeof body, "{\"Code\":\"SignatureDoesNotMatch\",\"Message\":\"%s\"}", messages[i]);
		read_it(400, body, &err);
		has_not(&err, "SECRET");
		has(&err, "left out");
		snprintf(body, sizeof body, "{\"Code\":\"SignatureDoesNotMatch\",\"Message\":\"%s", messages[i]); /* cut */
		read_it(400, body, &err);
		has_not(&err, "SECRET");
	}
	read_it(400, "{\"Code\":\"InvalidSecurityToken.Expired\",\"Message\":\"Specified SecurityToken is expired.\"}", &err);
	has(&err, "Specified SecurityToken is expired.");
}

static void when_to_come_back(void **state)
{
	static const struct {
		const char *headers[3];
		int64_t wait;
	} rows[] = {
		{{NULL}, CAS_WAIT_S},
		{{"x-acs-retry-after: 0", NULL}, 1},
		{{"x-acs-retry-after: 5", NULL}, 5},
		{{"X-Acs-Retry-After: 120", NULL}, 120},
		{{"x-acs-retry-after: 121", NULL}, 1},
		{{"x-acs-retry-after: 1000", NULL}, 1},
		{{"x-acs-retry-after: 1001", NULL}, 2},
		{{"x-acs-retry-after: 60000", NULL}, 60},
		{{"x-acs-retry-after: 999999999", NULL}, CAS_WAIT_MAX_S},
		{{"x-acs-retry-after: 99999999999999999999", NULL}, CAS_WAIT_S},
		{{"x-acs-retry-after: -5", NULL}, CAS_WAIT_S},
		{{"x-acs-retry-after: soon", NULL}, CAS_WAIT_S},
		{{"x-acs-retry-after: ", NULL}, CAS_WAIT_S},
		{{"Retry-After: 30", NULL}, 30},
		{{"Retry-After: 30", "x-acs-retry-after: 7", NULL}, 7},
	};
	struct err err;

	(void)state;
	clock_freeze(NOW);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		headers = rows[i].headers;
		read_it(400, "{\"Code\":\"Throttling.User\",\"Message\":\"m\"}", &err);
		assert_int_equal(err.not_before, NOW + rows[i].wait);
		read_it(400, "{\"Code\":\"NotFound\",\"Message\":\"m\"}", &err);
		assert_int_equal(err.not_before, 0);
	}
	headers = (const char *const[]){"Retry-After: 9", NULL};
	read_it(503, "{\"Code\":\"ServiceUnavailable\",\"Message\":\"m\"}", &err); /* told, too, though nobody was throttled */
	assert_int_equal(err.kind, ERR_TEMP);
	assert_int_equal(err.not_before, NOW + 9);
	read_it(502, "<html>", &err);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_int_equal(err.not_before, NOW + 9);
	read_it(404, "<html>", &err);
	assert_int_equal(err.not_before, 0);
	read_it(503, "<html>", &err);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_int_equal(cas_answer_retry(&err), CAS_RETRY_WAIT);
	assert_int_equal(err.not_before, NOW + 9);
	headers = no_headers;
	read_it(503, "<html>", &err);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_int_equal(err.not_before, 0);
	clock_thaw();
}

static void not_theirs(void **state)
{
	static const char *const bodies[] = {
		"", "<html>x</html>", "[]", "{", "{\"Code\":\"NotFound\",\"Message\":\"m", "\"x\"", "<Error><Code>NotFound</Code>", "<Error>",
		"<!DOCTYPE Error [<!ENTITY a 'NotFound'>]><Error><Code>&a;</Code></Error>", "<Other><Code>NotFound</Code></Other>",
		"<Error><Code>NotFound</Error></Code>", "<Error/><Error/>", "\xff\xfe", "{\"Code\":\"A\",\"Code\":\"B\"}",
	};
	static const struct {
		int status;
		enum err_kind kind;
		enum cas_retry retry;
	} rows[] = {
		{200, ERR_TEMP, CAS_RETRY_LATER},
		{301, ERR_TEMP, CAS_RETRY_LATER},
		{400, ERR_DENIED, CAS_RETRY_NEVER},
		{404, ERR_DENIED, CAS_RETRY_NEVER},
		{408, ERR_TEMP, CAS_RETRY_LATER},
		{429, ERR_LIMIT, CAS_RETRY_WAIT},
		{500, ERR_TEMP, CAS_RETRY_LATER},
		{503, ERR_TEMP, CAS_RETRY_LATER},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
			assert_false(read_it(rows[k].status, bodies[i], &err));
			assert_string_equal(err.type, "answer");
			assert_int_equal(err.kind, rows[k].kind);
			assert_int_equal(cas_answer_retry(&err), rows[k].retry);
			has(&err, "ListInstances: HTTP ");
		}
	}
	read_it(502, "<html>Bad gateway</html>", &err);
	has(&err, "\"<html>Bad gateway</html>\"");
	read_it(200, "{\"Cert\":\"x\",\"Key\":\"-----BEGIN PRIVATE KEY-----", &err); /* cut */
	has_not(&err, "BEGIN");
	read_it(200, "{\"Key\":\"SECRET\" \"SECRET\"", &err); /* the parser would show it */
	has_not(&err, "SECRET");
	read_it(200, "<ListContactResponse><Mobile>SECRET</Mobile></ListContactResponse>", &err);
	assert_string_equal(err.detail, "ListInstances: HTTP 200 with something that is no JSON");
	assert_false(read_it(400, "{\"RequestId\":\"R\"}", &err));
	has(&err, "neither data nor an error code");
	assert_false(read_bytes(500, "\0x", 2, &err));
	assert_int_equal(cas_answer_retry(&(struct err){.kind = ERR_TEMP, .type = "timeout"}), CAS_RETRY_LATER);
	assert_int_equal(cas_answer_retry(&(struct err){.kind = ERR_LOCAL, .type = "keeper"}), CAS_RETRY_NEVER);
}

static void xml(void **state)
{
	char body[40000];
	struct err err;
	int len;

	(void)state;
	read_it(400,
		"<error><!-- c --><code>NotFound</code><Message>a &lt;b&gt; &#x57DF; <![CDATA[<c>]]></Message><Deep><Code>Other</Code></Deep>"
		"<Recommend>https://x.example</Recommend></error>",
		&err);
	assert_string_equal(err.type, "NotFound");
	assert_string_equal(err.detail, "a <b> \xe5\x9f\x9f <c> (hint: is the id right, and site that where it was bought?) (see https://x.example)");
	len = snprintf(body, sizeof body, "<Error><Code>NotFound</Code>"); /* many members, deep ones, long ones */
	for (int i = 0; i < 1000; i++)
		len += snprintf(body + len, sizeof body - (size_t)len, "<m%d>x</m%d>", i, i);
	snprintf(body + len, sizeof body - (size_t)len, "<Message>late</Message></Error>");
	read_it(400, body, &err);
	assert_string_equal(err.type, "NotFound");
	has_not(&err, "late");
	len = snprintf(body, sizeof body, "<Error><Code>NotFound</Code><Message>%020000d", 1);
	snprintf(body + len, sizeof body - (size_t)len, "</Message></Error>");
	read_it(400, body, &err);
	assert_string_equal(err.type, "NotFound");
	len = snprintf(body, sizeof body, "<Error><Code>NotFound</Code>");
	for (int i = 0; i < 5000; i++)
		len += snprintf(body + len, sizeof body - (size_t)len, "<m>");
	read_it(400, body, &err);
	assert_string_equal(err.type, "answer");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_success),
		cmocka_unit_test(every_code),
		cmocka_unit_test(spellings),
		cmocka_unit_test(what_people_need),
		cmocka_unit_test(chinese),
		cmocka_unit_test(tokens_stay_secret),
		cmocka_unit_test(when_to_come_back),
		cmocka_unit_test(not_theirs),
		cmocka_unit_test(xml),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
