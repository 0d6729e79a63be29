/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "prove/caa.h"

#define ACCOUNT "https://ca.example/acct/1"
static const char *const names[] = {"ca.example", "ca.example.net"};

static struct caa_record record(const char *text)
{
	struct caa_record r = {0};
	unsigned flags;
	int used = 0;

	if (strcmp(text, "broken") == 0)
		return (struct caa_record){.broken = true};
	assert_int_equal(sscanf(text, "%u %15s %n", &flags, r.tag, &used), 2);
	r.critical = flags != 0;
	r.value = text + used;
	r.len = strlen(r.value);
	return r;
}

#define DNS false, "dns-01", ACCOUNT
#define HTTP false, "http-01", ACCOUNT
#define WILD true, "dns-01", ACCOUNT

static const struct row {
	const char *records[4];
	bool wildcard;
	const char *challenge, *account;
	enum caa_verdict verdict;
	const char *part; /* is in the text */
} rows[] = {
	/* what restricts at all: RFC 8659 sections 3 and 4 */
	{{NULL}, DNS, CAA_FREE, "none"},
	{{"0 iodef mailto:a@example.org"}, DNS, CAA_FREE, "restrict nobody"},
	{{"0 issuewild ;"}, DNS, CAA_FREE, "restrict nobody"},
	{{"0 unknown x"}, DNS, CAA_FREE, "restrict nobody"},
	{{"0 issuemail ;"}, DNS, CAA_FREE, "restrict nobody"},
	/* whom */
	{{"0 issue ca.example"}, DNS, CAA_ALLOWED, "allow this CA: issue \"ca.example\""},
	{{"0 issue ca.example.net"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue CA.Example"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue \t ca.example \t "}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue other.example", "0 issue ca.example"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"128 issue ca.example"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue other.example"}, DNS, CAA_FORBIDDEN, "other CAs only: issue \"other.example\"; this CA is issue \"ca.example\""},
	{{"0 issue other.example", "0 issue another.example"}, DNS, CAA_FORBIDDEN, "issue \"other.example\", issue \"another.example\""},
	{{"0 issue xca.example"}, DNS, CAA_FORBIDDEN, "other CAs only"},
	{{"0 issue ca.example.org"}, DNS, CAA_FORBIDDEN, "other CAs only"},
	{{"0 issue ;"}, DNS, CAA_FORBIDDEN, "no CA at all: issue \";\""},
	{{"0 issue "}, DNS, CAA_FORBIDDEN, "no CA at all"},
	{{"0 issue  ; "}, DNS, CAA_FORBIDDEN, "no CA at all"},
	{{"0 issue ;", "0 issue ca.example"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ;", "0 issue other.example"}, DNS, CAA_FORBIDDEN, "other CAs only"},
	/* wildcards */
	{{"0 issue ca.example"}, WILD, CAA_ALLOWED, "allow this CA"},
	{{"0 issue other.example"}, WILD, CAA_FORBIDDEN, "other CAs only"},
	{{"0 issuewild ca.example"}, WILD, CAA_ALLOWED, "issuewild \"ca.example\""},
	{{"0 issue ca.example", "0 issuewild ;"}, WILD, CAA_FORBIDDEN, "no CA at all: issuewild \";\""},
	{{"0 issue ca.example", "0 issuewild other.example"}, WILD, CAA_FORBIDDEN, "this CA is issuewild \"ca.example\""},
	{{"0 issue ;", "0 issuewild ca.example"}, WILD, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ;", "0 issuewild ca.example"}, DNS, CAA_FORBIDDEN, "no CA at all"},
	{{"0 issue ca.example", "0 issuewild ;"}, DNS, CAA_ALLOWED, "allow this CA"},
	/* critical properties */
	{{"0 issue ca.example", "128 tbs x"}, DNS, CAA_FORBIDDEN, "critical property that CAs may not know: tbs \"x\""},
	{{"128 contactemail a@example.org"}, DNS, CAA_FORBIDDEN, "critical property"},
	{{"128 iodef x"}, DNS, CAA_FREE, "restrict nobody"},
	{{"0 issue ca.example", "broken"}, DNS, CAA_FORBIDDEN, "broken"},
	/* parameters: RFC 8657 */
	{{"0 issue ca.example; accounturi=" ACCOUNT}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.example;AccountURI = " ACCOUNT " ; x=y"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.example; accounturi=" ACCOUNT "1"}, DNS, CAA_FORBIDDEN, "another account (accounturi)"},
	{{"0 issue ca.example; accounturi=https://CA.example/acct/1"}, DNS, CAA_FORBIDDEN, "ours is " ACCOUNT},
	{{"0 issue ca.example; accounturi="}, DNS, CAA_FORBIDDEN, "nobody can satisfy"},
	{{"0 issue ca.example; accounturi=" ACCOUNT "; accounturi=" ACCOUNT}, DNS, CAA_FORBIDDEN, "nobody can satisfy"},
	{{"0 issue ca.example; accounturi=https://x", "0 issue ca.example; accounturi=" ACCOUNT}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.example; accounturi=" ACCOUNT}, false, "dns-01", NULL, CAA_UNSURE, "ours is not known yet"},
	{{"0 issue other.example; accounturi=" ACCOUNT}, DNS, CAA_FORBIDDEN, "other CAs only"},
	{{"0 issue ca.example; validationmethods=dns-01"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.example; validationmethods=http-01,dns-01"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.example; validationmethods=http-01"}, DNS, CAA_FORBIDDEN,
		"(validationmethods): issue \"ca.example; validationmethods=http-01\"; it would be proven by dns-01"},
	{{"0 issue ca.example; validationmethods=dns-01"}, HTTP, CAA_FORBIDDEN, "it would be proven by http-01"},
	{{"0 issue ca.example; validationmethods=dns-011"}, DNS, CAA_FORBIDDEN, "method of proof"},
	{{"0 issue ca.example; validationmethods=DNS-01"}, DNS, CAA_FORBIDDEN, "method of proof"},
	{{"0 issue ca.example; validationmethods="}, DNS, CAA_FORBIDDEN, "method of proof"},
	{{"0 issue ca.example; validationmethods=dns-01,"}, DNS, CAA_FORBIDDEN, "nobody can satisfy"},
	{{"0 issue ca.example; validationmethods=dns_01"}, DNS, CAA_FORBIDDEN, "nobody can satisfy"},
	{{"0 issue ca.example; validationmethods=dns-01; validationmethods=dns-01"}, DNS, CAA_FORBIDDEN, "nobody can satisfy"},
	{{"0 issue ca.example; validationmethods=http-01", "0 issuewild ca.example; validationmethods=dns-01"}, WILD, CAA_ALLOWED, "allow this CA"},
	/* form: RFC 8659 section 4.2 */
	{{"0 issue ca.example;"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.example; "}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.example; a=b;"}, DNS, CAA_UNSURE, "some CAs take for malformed"},
	{{"0 issue ca.example; ;"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca.example; a"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca.example; =b"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca.example; a=b c"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca.example; %%%"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca.example x=y"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca..example"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca.example."}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue -ca.example"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue ca_.example"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue %%", "0 issue ca.example"}, DNS, CAA_ALLOWED, "allow this CA"},
	{{"0 issue ca.\xc3\xa9xample"}, DNS, CAA_FORBIDDEN, "malformed"},
	{{"0 issue \x1b[31mred"}, DNS, CAA_FORBIDDEN, "\\x1b[31mred"},
};

static void each_row(void **state)
{
	(void)state;
	for (const struct row *r = rows; r < rows + sizeof(rows) / sizeof(*rows); r++) {
		struct caa_ask ask = {names, 2, r->account, r->challenge, r->wildcard};
		struct caa_record set[4];
		char text[CAA_TEXT];
		enum caa_verdict verdict;
		size_t n = 0;

		for (; n < 4 && r->records[n]; n++)
			set[n] = record(r->records[n]);
		verdict = caa_check(set, n, &ask, text);
		if (verdict != r->verdict || !strstr(text, r->part))
			fail_msg("%s: %d \"%s\"", r->records[0] ? r->records[0] : "none", verdict, text);
	}
}

static void a_ca_that_does_not_tell_its_names(void **state)
{
	static const struct {
		const char *record;
		enum caa_verdict verdict;
		const char *part;
	} unknown[] = {
		{"0 issue ca.example", CAA_UNSURE, "does not tell its names"},
		{"0 issue ;", CAA_FORBIDDEN, "no CA at all"},
		{"0 issue %", CAA_FORBIDDEN, "malformed"},
		{"0 issue ca.example; validationmethods=http-01", CAA_FORBIDDEN, "method of proof"},
	};
	struct caa_ask ask = {NULL, 0, ACCOUNT, "dns-01", false};
	char text[CAA_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		struct caa_record r = record(unknown[i].record);

		assert_int_equal(caa_check(&r, 1, &ask, text), unknown[i].verdict);
		assert_non_null(strstr(text, unknown[i].part));
	}
}

/* However many and however long, the text stays whole and in its bounds. */
static void long_sets(void **state)
{
	static char value[70000];
	struct caa_record set[CAA_RECORDS_MAX];
	struct caa_ask ask = {names, 2, ACCOUNT, "dns-01", false};
	char text[CAA_TEXT];

	(void)state;
	memset(value, 'a', sizeof(value));
	for (size_t i = 0; i < CAA_RECORDS_MAX; i++)
		set[i] = (struct caa_record){.tag = "issue", .value = value, .len = sizeof(value)};
	assert_int_equal(caa_check(set, CAA_RECORDS_MAX, &ask, text), CAA_FORBIDDEN);
	assert_in_range(strlen(text), 100, CAA_TEXT - 1);
	assert_non_null(strstr(text, " and 61 more"));
	memset(value, ';', sizeof(value));
	assert_int_equal(caa_check(set, CAA_RECORDS_MAX, &ask, text), CAA_FORBIDDEN);
	memset(value, '\0', sizeof(value));
	assert_int_equal(caa_check(set, CAA_RECORDS_MAX, &ask, text), CAA_FORBIDDEN);
}

static void records_of_a_message(void **state)
{
	static const uint8_t critical[] = "\x80\x05ISSUEca", odd[] = "\x01\x03tbs", broken[] = "\x00\x09issue", none[] = "\x00\x00issue";
	struct caa_record r;

	(void)state;
	r = caa_read(&(struct dns_rr){.type = DNS_CAA, .data = critical, .len = sizeof(critical) - 1});
	assert_true(r.critical && !r.broken && strcmp(r.tag, "issue") == 0 && r.len == 2 && memcmp(r.value, "ca", 2) == 0);
	r = caa_read(&(struct dns_rr){.type = DNS_CAA, .data = odd, .len = sizeof(odd) - 1});
	assert_true(r.critical && strcmp(r.tag, "tbs") == 0 && r.len == 0);
	assert_true(caa_read(&(struct dns_rr){.type = DNS_CAA, .data = broken, .len = sizeof(broken) - 1}).broken);
	assert_true(caa_read(&(struct dns_rr){.type = DNS_CAA, .data = none, .len = sizeof(none) - 1}).broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row),
		cmocka_unit_test(a_ca_that_does_not_tell_its_names),
		cmocka_unit_test(long_sets),
		cmocka_unit_test(records_of_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
