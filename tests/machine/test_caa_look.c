/* SPDX-License-Identifier: ISC */
/* CAA and DNSSEC of a name in a DNS on paper: the climb, aliases, servers of which one is of no use, bogus zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "io/loop.h"
#include "paper.h"
#include "prove/caa_look.h"
#include "simtime.h"

#define RR(in, of, kind, text) { .zone = in, .owner = of, .type = kind, .data = text }
#define FIRST "192.0.2.53"
#define SECOND "192.0.2.54"

static const struct paper_rr world[] = {
	RR("", "", DNS_SOA, "1 900"), RR("org", "org", DNS_SOA, "1 900"), RR("example.org", "example.org", DNS_SOA, "1 900"),
	RR("example.org", "www.example.org", DNS_A, "192.0.2.1"), RR("example.org", "caa.example.org", DNS_CAA, "0 issue a.example"),
	RR("example.org", "caa.example.org", DNS_CAA, "0 iodef mailto:x"), RR("example.org", "deep.caa.example.org", DNS_A, "192.0.2.1"),
	RR("example.org", "alias.example.org", DNS_CNAME, "target.example.net"), RR("example.org", "blind.example.org", DNS_CNAME, "bare.example.net"),
	RR("example.org", "*.wild.example.org", DNS_CAA, "0 issue w.example"), RR("example.org", "broken.example.org", DNS_CAA, "broken"),
	RR("example.net", "example.net", DNS_SOA, "1 900"), RR("example.net", "example.net", DNS_CAA, "0 issue never.example"),
	RR("example.net", "target.example.net", DNS_CAA, "0 issue t.example"), RR("example.net", "bare.example.net", DNS_A, "192.0.2.1"),
	RR("com", "com", DNS_SOA, "1 900"), RR("com", "com", DNS_CAA, "0 issue top.example"), { 0 },
};

static struct bed {
	struct paper paper;
	struct addr recursive[2];
	int calls;
	struct caa_seen seen;
	char name[128], value[128], bogus[128], reason[DNS_REASON];
	struct err err;
} bed;

static int setup(void **state)
{
	static const struct paper_server servers[] = { { .ip = FIRST, .zones = "*" }, { .ip = SECOND, .zones = "*" }, { 0 } };
	struct err err;

	(void)state;
	memset(&bed, 0, sizeof(bed));
	simtime_start(1800000000);
	assert_true(loop_open(&err));
	paper_begin(&bed.paper, world, servers);
	return addr_parse_ip(FIRST, 53, &bed.recursive[0]) && addr_parse_ip(SECOND, 53, &bed.recursive[1]) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	paper_end(&bed.paper);
	loop_close();
	simtime_stop();
	return 0;
}

static void looked(void *arg, const struct caa_seen *seen, const struct err *err)
{
	(void)arg;
	bed.calls++;
	assert_true((seen == NULL) == (err != NULL));
	if (err) {
		bed.err = *err;
		return;
	}
	bed.seen = *seen;
	snprintf(bed.name, sizeof(bed.name), "%s", seen->name);
	snprintf(bed.bogus, sizeof(bed.bogus), "%s", seen->bogus);
	snprintf(bed.reason, sizeof(bed.reason), "%s", seen->reason);
	if (seen->n && !seen->set[0].broken)
		snprintf(bed.value, sizeof(bed.value), "%s %.*s", seen->set[0].tag, (int)seen->set[0].len, seen->set[0].value);
}

static void look(const char *name)
{
	struct caa_world w = { &bed.paper.asker, bed.recursive, 2 };

	bed.calls = 0;
	memset(&bed.seen, 0, sizeof(bed.seen));
	memset(&bed.err, 0, sizeof(bed.err));
	*bed.name = *bed.value = *bed.bogus = *bed.reason = '\0';
	caa_look_start(&w, name, looked, NULL);
	assert_int_equal(bed.calls, 0);
	while (!bed.calls)
		loop_turn(true);
	for (int i = 0; i < 3; i++)
		loop_turn(false);
	assert_int_equal(bed.calls, 1);
}

static void the_first_set_on_the_way_up_counts(void **state)
{
	static const struct {
		const char *name, *at, *value;
		size_t n;
	} rows[] = {
		{ "www.example.org", "", "", 0 }, { "caa.example.org", "caa.example.org", "issue a.example", 2 },
		{ "deep.caa.example.org", "caa.example.org", "issue a.example", 2 }, { "not.there.deep.caa.example.org", "caa.example.org", "issue a.example", 2 },
		{ "*.caa.example.org", "caa.example.org", "issue a.example", 2 }, { "CAA.Example.ORG.", "caa.example.org", "issue a.example", 2 },
		{ "alias.example.org", "alias.example.org", "issue t.example", 1 }, /* at the end of its alias ... */
		{ "blind.example.org", "", "", 0 },                                 /* ... whose parents do not count */
		{ "x.wild.example.org", "x.wild.example.org", "issue w.example", 1 }, { "wild.example.org", "", "", 0 },
		{ "www.example.com", "com", "issue top.example", 1 }, { "broken.example.org", "broken.example.org", "", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		look(rows[i].name);
		assert_int_equal(bed.err.kind, ERR_NONE);
		assert_string_equal(bed.name, rows[i].at);
		assert_string_equal(bed.value, rows[i].value);
		assert_int_equal(bed.seen.n, rows[i].n);
	}
}

static void how_dnssec_stands(void **state)
{
	static const struct {
		const char *secure; /* of the server */
		enum caa_dnssec dnssec;
	} rows[] = { { NULL, CAA_UNVALIDATED }, { "example.org", CAA_SECURE }, { "", CAA_SECURE }, { "org", CAA_SECURE }, { "com", CAA_UNVALIDATED } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		paper_server(&bed.paper, FIRST)->secure = rows[i].secure;
		look("www.example.org");
		assert_int_equal(bed.seen.dnssec, rows[i].dnssec);
		look("caa.example.org");
		assert_int_equal(bed.seen.dnssec, rows[i].dnssec);
	}
}

/* One that validates says nothing of a name that is not signed: whether it does is seen at its parents, or at the root. */
static void not_signed_is_told_from_not_validated(void **state)
{
	struct paper_server *s = paper_server(&bed.paper, FIRST);

	(void)state;
	s->secure = "";
	s->insecure = "example.org";
	look("www.example.org");
	assert_int_equal(bed.seen.dnssec, CAA_UNSIGNED);
	assert_int_equal(paper_count(&bed.paper, FIRST, "", DNS_SOA), 0); /* "org" has told */
	look("caa.example.org");
	assert_int_equal(bed.seen.dnssec, CAA_UNSIGNED);
	assert_int_equal(paper_count(&bed.paper, FIRST, "", DNS_SOA), 1);
	s->secure = "org";
	look("caa.example.org");
	assert_int_equal(bed.seen.dnssec, CAA_UNVALIDATED);
}

static void a_server_that_is_of_no_use_is_stepped_over(void **state)
{
	static const struct {
		enum paper_way way;
		const char *said;
	} rows[] = { { PAPER_SILENT, "no answer" }, { PAPER_NOROUTE, "no route" }, { PAPER_BROKEN, "another question" }, { PAPER_GARBLED, "broken answer" },
		{ PAPER_REFUSED, "REFUSED" }, { PAPER_SERVFAIL, "SERVFAIL" }, { PAPER_NOTIMP, "NOTIMP" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		paper_server(&bed.paper, FIRST)->way = rows[i].way;
		paper_server(&bed.paper, SECOND)->way = PAPER_GOOD;
		look("caa.example.org");
		assert_string_equal(bed.value, "issue a.example");
		paper_server(&bed.paper, SECOND)->way = PAPER_SILENT;
		look("caa.example.org");
		assert_int_equal(bed.err.kind, ERR_TEMP);
		assert_string_equal(bed.err.type, "dns");
		assert_non_null(strstr(bed.err.detail, "CAA records of caa.example.org"));
		assert_non_null(strstr(bed.err.detail, rows[i].said));
		assert_non_null(strstr(bed.err.detail, FIRST ":53"));
		assert_non_null(strstr(bed.err.detail, SECOND ":53"));
	}
}

static void a_parent_that_cannot_be_asked(void **state)
{
	(void)state;
	for (const char *const *ip = (const char *const[]){ FIRST, SECOND, NULL }; *ip; ip++) {
		paper_server(&bed.paper, *ip)->way = PAPER_SERVFAIL;
		paper_server(&bed.paper, *ip)->at = "org";
	}
	look("caa.example.org"); /* not asked at all: the first set counts */
	assert_string_equal(bed.value, "issue a.example");
	look("www.example.org");
	assert_int_equal(bed.err.kind, ERR_TEMP);
	assert_non_null(strstr(bed.err.detail, "the CAA records of org cannot be looked up"));
	assert_non_null(strstr(bed.err.detail, "SERVFAIL"));
	paper_server(&bed.paper, FIRST)->way = PAPER_BOGUS;
	look("www.example.org");
	assert_int_equal(bed.seen.dnssec, CAA_BOGUS);
	assert_string_equal(bed.bogus, "org");
}

static void bogus_is_named_with_the_reason(void **state)
{
	(void)state;
	paper_server(&bed.paper, FIRST)->way = PAPER_BOGUS;
	look("www.example.org");
	assert_int_equal(bed.seen.dnssec, CAA_BOGUS);
	assert_string_equal(bed.bogus, "www.example.org");
	assert_string_equal(bed.reason, "");
	assert_int_equal(bed.seen.n, 0);
	paper_server(&bed.paper, FIRST)->reason = "since \x1b" "yesterday";
	look("caa.example.org");
	assert_int_equal(bed.seen.dnssec, CAA_BOGUS);
	assert_string_equal(bed.reason, "signature expired (7): since \\x1byesterday");
	assert_int_equal(bed.seen.n, 0); /* what is not validated is not believed */
	paper_server(&bed.paper, FIRST)->way = PAPER_SERVFAIL; /* not even without validation */
	paper_server(&bed.paper, SECOND)->way = PAPER_SERVFAIL;
	look("caa.example.org");
	assert_non_null(strstr(bed.err.detail, "SERVFAIL, signature expired (7)"));
}

static void nothing_that_could_stay_in_a_cache_is_asked(void **state)
{
	(void)state;
	look("www.example.org");
	for (size_t i = 0; i < bed.paper.nasked; i++)
		assert_null(strchr(bed.paper.asked[i].name, '_'));
	assert_int_equal(bed.paper.nasked, 4); /* three names, and the root */
	assert_true(bed.paper.asked[0].bits & DNS_AD);
}

static void odd_questions(void **state)
{
	static const char *const names[] = { "", "*.", "a..b", "." };
	struct caa_world none = { &bed.paper.asker, NULL, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		look(names[i]);
		assert_int_equal(bed.err.kind, ERR_INPUT);
	}
	bed.calls = 0;
	caa_look_start(&none, "www.example.org", looked, NULL);
	while (!bed.calls)
		loop_turn(true);
	assert_non_null(strstr(bed.err.detail, "no recursive server"));
}

static void cancelled_at_any_moment(void **state)
{
	struct caa_world w = { &bed.paper.asker, bed.recursive, 2 };

	(void)state;
	paper_server(&bed.paper, FIRST)->way = PAPER_SERVFAIL;
	caa_look_cancel(NULL);
	for (int turns = 0; turns < 12; turns++) {
		struct caa_look *l = caa_look_start(&w, "www.example.org", looked, NULL);

		bed.calls = 0;
		for (int i = 0; i < turns && !bed.calls; i++)
			loop_turn(true);
		if (!bed.calls)
			caa_look_cancel(l);
		for (int i = 0; i < 3; i++)
			loop_turn(false);
	}
	assert_int_equal(bed.paper.pending, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_first_set_on_the_way_up_counts),
		TEST(how_dnssec_stands),
		TEST(not_signed_is_told_from_not_validated),
		TEST(a_server_that_is_of_no_use_is_stepped_over),
		TEST(a_parent_that_cannot_be_asked),
		TEST(bogus_is_named_with_the_reason),
		TEST(nothing_that_could_stay_in_a_cache_is_asked),
		TEST(odd_questions),
		TEST(cancelled_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
