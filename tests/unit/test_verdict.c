/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "paper.h"
#include "prove/verdict.h"

#define NAME "_acme-challenge.www.example.org"
#define VALUE "tokA0123456789abcdefghijklmnopqrstuvwxyzABCDE"

/* --- one answer ----------------------------------------------------------------------------------------------------------------- */

struct record {
	enum dns_section section;
	const char *owner;
	uint16_t type;
	const char *data;
};
#define TXT(data) { DNS_ANSWER, NAME, DNS_TXT, data }
#define SOA { DNS_AUTHORITY, "example.org", DNS_SOA, "7 300" }

static const struct {
	const char *what;
	enum dns_how how;
	unsigned rcode;
	bool not_aa, cut, garbled;
	const char *second;        /* another value that is expected */
	struct record records[4];
	enum verdict verdict;
	size_t nvalues, missing;
	const char *note;          /* is in the note */
} answers[] = {
	{ "the value", DNS_ANSWERED, 0, .records = { TXT(VALUE) }, .verdict = VERDICT_OK, .nvalues = 1, .note = "" },
	{ "in two strings", DNS_ANSWERED, 0, .records = { TXT("tokA0123456789|abcdefghijklmnopqrstuvwxyzABCDE") }, .verdict = VERDICT_OK, .nvalues = 1, .note = "" },
	{ "an empty string in it", DNS_ANSWERED, 0, .records = { TXT("tokA0123456789||abcdefghijklmnopqrstuvwxyzABCDE") }, .verdict = VERDICT_OK, .nvalues = 1,
		.note = "" },
	{ "among others", DNS_ANSWERED, 0, .records = { TXT("old"), TXT(VALUE), TXT("v=spf1") }, .verdict = VERDICT_OK, .nvalues = 3, .note = "" },
	{ "both", DNS_ANSWERED, 0, .second = "tokB", .records = { TXT("tokB"), TXT(VALUE) }, .verdict = VERDICT_OK, .nvalues = 2, .note = "" },
	{ "owner in capitals", DNS_ANSWERED, 0, .records = { { DNS_ANSWER, "_ACME-challenge.WWW.example.org", DNS_TXT, VALUE } }, .verdict = VERDICT_OK,
		.nvalues = 1, .note = "" },
	{ "one of two", DNS_ANSWERED, 0, .second = "tokB", .records = { TXT(VALUE) }, .verdict = VERDICT_STALE, .nvalues = 1, .missing = 1, .note = "1 of 2" },
	{ "two strings are one value", DNS_ANSWERED, 0, .second = "tokB", .records = { TXT(VALUE "|tokB") }, .verdict = VERDICT_STALE, .nvalues = 1,
		.missing = 2, .note = "2 of 2" },
	{ "old value", DNS_ANSWERED, 0, .records = { TXT("old") }, .verdict = VERDICT_STALE, .nvalues = 1, .missing = 1, .note = "1 TXT record" },
	{ "longer", DNS_ANSWERED, 0, .records = { TXT(VALUE "x") }, .verdict = VERDICT_STALE, .nvalues = 1, .missing = 1, .note = "not there" },
	{ "shorter", DNS_ANSWERED, 0, .records = { TXT("tokA") }, .verdict = VERDICT_STALE, .nvalues = 1, .missing = 1, .note = "not there" },
	{ "other case", DNS_ANSWERED, 0, .records = { TXT("TOKA0123456789abcdefghijklmnopqrstuvwxyzABCDE") }, .verdict = VERDICT_STALE, .nvalues = 1, .missing = 1,
		.note = "not there" },
	{ "quoted", DNS_ANSWERED, 0, .records = { TXT("\"" VALUE "\"") }, .verdict = VERDICT_STALE, .nvalues = 1, .missing = 1, .note = "not there" },
	{ "at another name", DNS_ANSWERED, 0, .records = { { DNS_ANSWER, "www.example.org", DNS_TXT, VALUE } }, .verdict = VERDICT_STALE, .missing = 1,
		.note = "no TXT record" },
	{ "not in the answer section", DNS_ANSWERED, 0, .records = { { DNS_ADDITIONAL, NAME, DNS_TXT, VALUE } }, .verdict = VERDICT_STALE, .missing = 1,
		.note = "no TXT record" },
	{ "NXDOMAIN", DNS_ANSWERED, 3, .records = { SOA }, .verdict = VERDICT_STALE, .missing = 1, .note = "NXDOMAIN" },
	{ "NXDOMAIN that contradicts itself", DNS_ANSWERED, 3, .records = { TXT(VALUE) }, .verdict = VERDICT_STALE, .missing = 1, .note = "NXDOMAIN" },
	{ "no such record", DNS_ANSWERED, 0, .records = { SOA }, .verdict = VERDICT_STALE, .missing = 1, .note = "no TXT record" },
	{ "an alias, the value behind it", DNS_ANSWERED, 0, .records = { { DNS_ANSWER, NAME, DNS_CNAME, "x.example.net" },
		{ DNS_ANSWER, "x.example.net", DNS_TXT, VALUE } }, .verdict = VERDICT_STALE, .missing = 1, .note = "(CNAME) of x.example.net" },
	{ "an alias of nothing", DNS_ANSWERED, 3, .records = { { DNS_ANSWER, NAME, DNS_CNAME, "x.example.net" } }, .verdict = VERDICT_STALE, .missing = 1,
		.note = "(CNAME) of x.example.net" },
	{ "by a wildcard, signed", DNS_ANSWERED, 0, .records = { TXT(VALUE), { DNS_ANSWER, NAME, DNS_RRSIG, "16 2" } }, .verdict = VERDICT_WILD, .nvalues = 1,
		.note = "wildcard" },
	{ "signed at the name itself", DNS_ANSWERED, 0, .records = { TXT(VALUE), { DNS_ANSWER, NAME, DNS_RRSIG, "16 4" } }, .verdict = VERDICT_OK, .nvalues = 1,
		.note = "" },
	{ "another value by a wildcard", DNS_ANSWERED, 0, .records = { TXT("old"), { DNS_ANSWER, NAME, DNS_RRSIG, "16 2" } }, .verdict = VERDICT_STALE,
		.nvalues = 1, .missing = 1, .note = "not there" },
	{ "REFUSED", DNS_ANSWERED, 5, true, .verdict = VERDICT_LAME, .missing = 1, .note = "REFUSED" },
	{ "NOTAUTH", DNS_ANSWERED, 9, true, .verdict = VERDICT_LAME, .missing = 1, .note = "NOTAUTH" },
	{ "the value, without authority", DNS_ANSWERED, 0, true, .records = { TXT(VALUE) }, .verdict = VERDICT_LAME, .missing = 1, .note = "not authoritative" },
	{ "NXDOMAIN without authority", DNS_ANSWERED, 3, true, .records = { SOA }, .verdict = VERDICT_LAME, .missing = 1, .note = "not authoritative" },
	{ "upwards", DNS_ANSWERED, 0, true, .records = { { DNS_AUTHORITY, "", DNS_NS, "a.root-servers.net" } }, .verdict = VERDICT_LAME, .missing = 1,
		.note = "name servers of the root" },
	{ "downwards", DNS_ANSWERED, 0, true, .records = { { DNS_AUTHORITY, "www.example.org", DNS_NS, "ns.example.net" } }, .verdict = VERDICT_LAME, .missing = 1,
		.note = "name servers of www.example.org" },
	{ "FORMERR", DNS_ANSWERED, 1, true, .verdict = VERDICT_SICK, .missing = 1, .note = "FORMERR" },
	{ "SERVFAIL", DNS_ANSWERED, 2, true, .verdict = VERDICT_SICK, .missing = 1, .note = "SERVFAIL" },
	{ "SERVFAIL with the value", DNS_ANSWERED, 2, .records = { TXT(VALUE) }, .verdict = VERDICT_SICK, .missing = 1, .note = "SERVFAIL" },
	{ "NOTIMP", DNS_ANSWERED, 4, true, .verdict = VERDICT_SICK, .missing = 1, .note = "NOTIMP" },
	{ "broken message", DNS_ANSWERED, 0, .garbled = true, .records = { TXT(VALUE) }, .verdict = VERDICT_SICK, .missing = 1, .note = "broken" },
	{ "cut off", DNS_ANSWERED, 0, .cut = true, .records = { TXT("old") }, .verdict = VERDICT_SICK, .missing = 1, .note = "cut off" },
	{ "cut off behind the value", DNS_ANSWERED, 0, .cut = true, .records = { TXT(VALUE) }, .verdict = VERDICT_SICK, .missing = 1, .note = "cut off" },
	{ "no answer", DNS_SILENT, .verdict = VERDICT_SILENT, .missing = 1, .note = "why not" },
	{ "no route", DNS_NO_ROUTE, .verdict = VERDICT_NOROUTE, .missing = 1, .note = "why not" },
	{ "no DNS", DNS_BROKEN, .verdict = VERDICT_SICK, .missing = 1, .note = "why not" },
};

static void each_answer_has_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		static struct paper_msg m;
		const char *values[] = { VALUE, answers[i].second };
		struct dns_answer a;
		struct seen seen;

		paper_head(&m, NAME, DNS_TXT, answers[i].rcode, !answers[i].not_aa);
		for (const struct record *r = answers[i].records; r < answers[i].records + 4 && r->data; r++)
			paper_rr(&m, r->section, r->owner, r->type, 60, r->data);
		m.b[2] |= answers[i].cut ? 2 : 0;
		a = paper_answer(&m);
		a.len -= answers[i].garbled ? 3 : 0;
		if (answers[i].how != DNS_ANSWERED)
			a = (struct dns_answer){ .how = answers[i].how, .text = "why not" };
		verdict_read(&a, "_acme-challenge.WWW.example.org.", values, answers[i].second ? 2 : 1, &seen);
		if (seen.verdict != answers[i].verdict || seen.nvalues != answers[i].nvalues || seen.missing != answers[i].missing ||
			!strstr(seen.note, answers[i].note) || (!*answers[i].note && *seen.note))
			fail_msg("%s: %s, %zu values, %zu missing: %s", answers[i].what, verdict_name(seen.verdict), seen.nvalues, seen.missing, seen.note);
		assert_int_equal(seen.answered, answers[i].how == DNS_ANSWERED);
		assert_int_equal(seen.aa, answers[i].how == DNS_ANSWERED && !answers[i].not_aa);
		assert_int_equal(seen.rcode, answers[i].rcode);
	}
}

static void sixty_values_hold_ours(void **state)
{
	static struct paper_msg m;
	const char *values[] = { VALUE, "other 17" };
	struct dns_answer a;
	struct seen seen;

	(void)state;
	paper_head(&m, NAME, DNS_TXT, 0, true);
	for (int i = 0; i < 60; i++) {
		char text[32];

		snprintf(text, sizeof(text), "other %d", i);
		paper_rr(&m, DNS_ANSWER, NAME, DNS_TXT, 60, i == 41 ? VALUE : text);
	}
	a = paper_answer(&m);
	verdict_read(&a, NAME, values, 2, &seen);
	assert_int_equal(seen.verdict, VERDICT_OK);
	assert_int_equal(seen.nvalues, 60);
	values[1] = "other 41";
	verdict_read(&a, NAME, values, 2, &seen);
	assert_int_equal(seen.verdict, VERDICT_STALE);
	assert_int_equal(seen.missing, 1);
	verdict_read(&a, NAME, values, 0, &seen); /* nothing expected is nothing seen */
	assert_int_equal(seen.verdict, VERDICT_STALE);
}

static void a_hostile_name_is_shown_escaped(void **state)
{
	static struct paper_msg m;
	const char *value = VALUE;
	struct dns_answer a;
	struct seen seen;

	(void)state;
	paper_head(&m, NAME, DNS_TXT, 0, true);
	paper_rr(&m, DNS_ANSWER, NAME, DNS_CNAME, 60, "\x1b[2Jx");
	a = paper_answer(&m);
	verdict_read(&a, NAME, &value, 1, &seen);
	assert_int_equal(seen.verdict, VERDICT_STALE);
	assert_null(strchr(seen.note, '\x1b'));
}

/* --- all answers ---------------------------------------------------------------------------------------------------------------- */

/* "a+ a- b?" : name server a with one address that is OK and one that is stale, b with one that is not asked. */
static size_t make_rows(const char *text, struct quorum_row rows[16], char names[16][4])
{
	static const char signs[] = "+-w!~.x?";
	static const enum verdict verdicts[] = { VERDICT_OK, VERDICT_STALE, VERDICT_WILD, VERDICT_LAME, VERDICT_SICK, VERDICT_SILENT, VERDICT_NOROUTE,
		VERDICT_NONE };
	size_t n = 0;

	for (; *text; text += 2 + (text[2] == ' '), n++) {
		snprintf(names[n], 4, "%s", *text == '0' ? "" : (char[]){ *text, 0 });
		rows[n] = (struct quorum_row){ .server = names[n], .verdict = verdicts[strchr(signs, text[1]) - signs] };
	}
	return n;
}

static const struct {
	const char *rows;
	bool all, strict, majority, any, two;
	const char *why; /* in the words for "all" */
} quorums[] = {
	{ "a+", true, true, true, true, false, "" },
	{ "a+ b+", true, true, true, true, true, "" },
	{ "aw", true, true, true, true, false, "" },
	{ "aw b+", true, true, true, true, true, "" },
	{ "a-", false, false, false, false, false, "no address shows it" },
	{ "a?", false, false, false, false, false, "1 not asked" },
	{ "a+ b-", false, false, false, true, false, "not there yet: b (1 stale" },
	{ "a+ b+ c-", false, false, true, true, true, "not there yet: c" },
	{ "a+ b- c-", false, false, false, true, false, "2 stale" },
	{ "a+ b?", false, false, false, true, false, "not answered yet: b" },
	{ "a+ b+ c?", false, false, true, true, true, "not answered yet: c" },
	{ "a+ b.", true, false, true, true, false, "tolerated: b" },       /* two addresses, one dead */
	{ "a+ b!", true, false, true, true, false, "tolerated: b" },
	{ "a+ b~", true, false, true, true, false, "tolerated: b" },
	{ "a+ bx", true, true, true, true, false, "" },                    /* no route is no evidence */
	{ "a+ ax b+ bx", true, true, true, true, true, "" },
	{ "a+ a.", true, false, true, true, false, "tolerated: a" },
	{ "a+ b. c.", false, false, false, true, false, "fewer than half" },
	{ "a+ b! c~", false, false, false, true, false, "fewer than half" },
	{ "a+ b+ c. d.", true, false, true, true, true, "tolerated: c (0 stale, 2 without" },
	{ "a+ b+ c. d. e.", false, false, false, true, true, "fewer than half" },
	{ "a+ a+ a+ b. c.", false, false, false, true, true, "fewer than half" }, /* of the names, not of the addresses */
	{ "a+ bx cx dx", true, true, true, true, false, "" },
	{ "a. b.", false, false, false, false, false, "no address shows it" },
	{ "a! b~", false, false, false, false, false, "2 without an answer" },
	{ "ax bx", false, false, false, false, false, "can be reached" },
	{ "", false, false, false, false, false, "can be reached" },
	{ "a+ b. c-", false, false, false, true, false, "not there yet: c" }, /* the stale one is named, not the dead one */
	{ "0+ 0.", true, false, true, true, false, "tolerated" },           /* addresses without a name are servers of their own */
	{ "0+ 0. 0.", false, false, false, true, false, "fewer than half" },
	{ "0+ 0+ 0-", false, false, true, true, true, "not there yet: a server" },
};

static void each_quorum_is_decided(void **state)
{
	static const struct quorum kinds[] = { { QUORUM_ALL, 0 }, { QUORUM_STRICT, 0 }, { QUORUM_MAJORITY, 0 }, { QUORUM_ANY, 0 }, { QUORUM_NUMBER, 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof(quorums) / sizeof(*quorums); i++) {
		const bool want[] = { quorums[i].all, quorums[i].strict, quorums[i].majority, quorums[i].any, quorums[i].two };
		struct quorum_row rows[16];
		char names[16][4], why[160];
		size_t n = make_rows(quorums[i].rows, rows, names);

		for (size_t k = 0; k < 5; k++)
			if ((quorum_check(&kinds[k], rows, n, NULL) == QUORUM_HOLDS) != want[k])
				fail_msg("\"%s\", kind %zu: %s", quorums[i].rows, k, want[k] ? "waits" : "holds");
		quorum_check(&kinds[0], rows, n, why);
		if (!strstr(why, quorums[i].why) || (!*quorums[i].why && *why))
			fail_msg("\"%s\": %s", quorums[i].rows, why);
	}
}

static void a_number_nobody_has_is_told(void **state)
{
	struct quorum_row rows[] = { { "a", VERDICT_OK }, { "b", VERDICT_OK }, { "b", VERDICT_NOROUTE } };
	char why[160];

	(void)state;
	assert_int_equal(quorum_check(&(struct quorum){ QUORUM_NUMBER, 3 }, rows, 3, why), QUORUM_WAIT);
	assert_string_equal(why, "2 of 3 addresses show it, and there are not that many");
}

static void quorums_are_read(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		enum quorum_kind kind;
		unsigned number;
	} rows[] = {
		{ "all", true, QUORUM_ALL, 0 }, { "strict", true, QUORUM_STRICT, 0 }, { "majority", true, QUORUM_MAJORITY, 0 }, { "any", true, QUORUM_ANY, 0 },
		{ "1", true, QUORUM_NUMBER, 1 }, { "64", true, QUORUM_NUMBER, 64 }, { "65", false, 0, 0 }, { "0", false, 0, 0 }, { "-1", false, 0, 0 },
		{ "+1", false, 0, 0 }, { " 1", false, 0, 0 }, { "1x", false, 0, 0 }, { "", false, 0, 0 }, { "ALL", false, 0, 0 },
		{ "18446744073709551617", false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct quorum q;

		if (quorum_parse(rows[i].text, &q) != rows[i].ok)
			fail_msg("%s", rows[i].text);
		if (rows[i].ok) {
			assert_int_equal(q.kind, rows[i].kind);
			assert_int_equal(q.number, rows[i].number);
		}
	}
}

/* --- when to look again --------------------------------------------------------------------------------------------------------- */

enum { COIN_LOW = 0, COIN_MIDDLE = 200, COIN_HIGH = 400 };

static unsigned looks_in(int64_t timeout_ms, uint64_t coin, bool *late)
{
	unsigned n = 0;

	for (int64_t t = 0; t < timeout_ms; n++) {
		int64_t gap = look_gap(n, timeout_ms, coin);

		*late |= gap > 30 + t * 3 / 10 || gap < 1;
		t += gap;
	}
	return n;
}

static void gaps_grow_by_a_quarter(void **state)
{
	bool late = false;

	(void)state;
	assert_int_equal(look_gap(0, 600000, COIN_MIDDLE), 25);
	assert_int_equal(look_gap(0, 600000, COIN_LOW), 20);
	assert_int_equal(look_gap(0, 600000, COIN_HIGH), 30);
	assert_int_equal(look_gap(1, 600000, COIN_MIDDLE), 31);
	assert_int_equal(look_gap(4, 600000, COIN_MIDDLE), 61);
	assert_int_equal(look_gap(60, 600000, COIN_MIDDLE), 10000);
	assert_int_equal(look_gap(UINT32_MAX, INT64_MAX, COIN_HIGH), 12000);
	assert_int_equal(look_gap(60, 60000, COIN_MIDDLE), 3000);
	assert_int_equal(look_gap(60, 0, COIN_MIDDLE), 25);
	assert_int_equal(look_gap(60, -5, UINT64_MAX) >= 20, true);
	assert_true(looks_in(600000, COIN_LOW, &late) <= 99);
	assert_true(looks_in(600000, COIN_MIDDLE, &late) >= 70);
	assert_true(looks_in(600000, COIN_HIGH, &late) >= 50);
	assert_false(late);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_has_its_verdict),
		cmocka_unit_test(sixty_values_hold_ours),
		cmocka_unit_test(a_hostile_name_is_shown_escaped),
		cmocka_unit_test(each_quorum_is_decided),
		cmocka_unit_test(a_number_nobody_has_is_told),
		cmocka_unit_test(quorums_are_read),
		cmocka_unit_test(gaps_grow_by_a_quarter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
