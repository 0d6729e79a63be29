/* SPDX-License-Identifier: ISC */
/* DNS-01 looks ahead: what it finds in a DNS on paper, and that nothing is written and no cache is poisoned. */
#include "dns01_bed.h"

#include "prove/finding.h"

/* The first finding of this kind; NULL: there is none. */
static const struct js *found(const char *what, enum finding verdict)
{
	for (size_t i = 0; i < js_len(bed.told.report); i++) {
		const struct js *one = js_at(bed.told.report, i);

		if (strcmp(js_str(one, "what"), what) == 0 && finding_verdict(one) == verdict)
			return one;
	}
	return NULL;
}

static void assert_found(const char *what, enum finding verdict, const char *name, const char *part)
{
	char *all = bed.told.report ? js_dump(bed.told.report) : NULL;
	bool there = false;

	for (size_t i = 0; i < js_len(bed.told.report); i++) {
		const struct js *one = js_at(bed.told.report, i);

		there |= strcmp(js_str(one, "what"), what) == 0 && finding_verdict(one) == verdict && strcmp(js_str(one, "name"), name) == 0 &&
			strstr(js_str(one, "text"), part);
	}
	if (!there)
		fail_msg("no %s of %s: \"%s\" in %s", what, name, part, all ? all : bed.told.err.detail);
	free(all);
}

static void assert_no_worse(enum finding verdict)
{
	char *all = js_dump(bed.told.report);

	if (finding_verdict(finding_worst(bed.told.report)) > verdict)
		fail_msg("%s", all);
	free(all);
}

static void add(const char *zone, const char *owner, uint16_t type, const char *data)
{
	bed.rr[bed.nrr++] = (struct paper_rr){ .zone = zone, .owner = owner, .type = type, .data = data };
}

static void all_is_well(void **state)
{
	(void)state;
	bed_run(0, CHECK);
	assert_well();
	assert_no_worse(FINDING_WARN);
	assert_found("zone", FINDING_OK, "example.org", "2 addresses");
	assert_found("leftovers", FINDING_OK, WWW, "no TXT record");
	assert_found("servers", FINDING_OK, "example.org", "answered");
	assert_found("update", FINDING_OK, WWW, "dns:main may write there");
	assert_null(found("wildcard", FINDING_WARN));
	assert_null(found("negative_ttl", FINDING_WARN));
	assert_written("probe main example.org " WWW " ?");
	assert_string_equal(bed.paper.poisoned, "");
}

static void nobody_may_write(void **state)
{
	(void)state;
	bed.entry[0].takes = FAILS;
	bed_run(0, CHECK);
	assert_well();
	assert_found("update", FINDING_FAIL, WWW, "main says no");
}

static void what_is_left_there(void **state)
{
	static char big[1300];

	(void)state;
	add("example.org", WWW, DNS_TXT, "left");
	add("example.org", WWW, DNS_TXT, "over");
	bed_run(0, CHECK);
	assert_found("leftovers", FINDING_WARN, WWW, "2 TXT records are there already that no proof under way needs: \"left\", \"over\"");
	memset(big, 'x', sizeof(big) - 1);
	add("example.org", WWW, DNS_TXT, big);
	bed_run(0, CHECK);
	assert_found("leftovers", FINDING_WARN, WWW, "3 TXT records");
	assert_null(found("leftovers", FINDING_OK));
}

/* A proof of ours under way is nothing that was left. */
static void what_is_being_proven_now(void **state)
{
	(void)state;
	bed_run(0, PUBLISH);
	bed_run(0, CHECK);
	assert_found("leftovers", FINDING_OK, WWW, "no TXT record");
	bed_run(0, WITHDRAW);
}

static void a_long_memory_of_no(void **state)
{
	(void)state;
	for (size_t i = 0; i < bed.nrr; i++)
		if (bed.rr[i].type == DNS_SOA && strcmp(bed.rr[i].owner, "example.org") == 0)
			bed.rr[i].data = "7 86400";
	bed_run(0, CHECK);
	assert_null(found("negative_ttl", FINDING_WARN)); /* the SOA record's own TTL is 600: the smaller one counts */
	for (size_t i = 0; i < bed.nrr; i++)
		if (bed.rr[i].type == DNS_SOA && strcmp(bed.rr[i].owner, "example.org") == 0)
			bed.rr[i].data = "7 86400 3600";
	bed_run(0, CHECK);
	assert_found("negative_ttl", FINDING_WARN, "example.org", "for 3600 s");
}

static void a_host_that_is_there_by_a_wildcard_only(void **state)
{
	static const struct {
		const char *owner[3];
		uint16_t type;
		const char *data;
		const char *base;
		bool shadowed;
	} rows[] = {
		{ { "*.example.org" }, DNS_A, "192.0.2.7", "host.example.org", true },
		{ { "*.example.org" }, DNS_AAAA, "2001:db8::7", "host.example.org", true },
		{ { "*.example.org" }, DNS_CNAME, "www.example.org", "host.example.org", true },
		{ { "*.example.org", "host.example.org" }, DNS_A, "192.0.2.7", "host.example.org", false },
		{ { "*.example.org", "below.host.example.org" }, DNS_A, "192.0.2.7", "host.example.org", false },
		{ { "host.example.org" }, DNS_A, "192.0.2.7", "host.example.org", false },
		{ { "*.example.org" }, DNS_TXT, "x", "host.example.org", false },
		{ { "*.example.org" }, DNS_A, "192.0.2.7", "example.org", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bed_clear();
		for (size_t k = 0; k < 3 && rows[i].owner[k]; k++)
			add("example.org", rows[i].owner[k], rows[i].type, rows[i].data);
		bed.proof.name = rows[i].base;
		bed_run(0, CHECK);
		assert_well();
		if (rows[i].shadowed)
			assert_found("wildcard", FINDING_WARN, rows[i].base, "only by the wildcard *.example.org");
		else
			assert_null(found("wildcard", FINDING_WARN));
		assert_non_null(found("update", FINDING_OK));
	}
	assert_string_equal(bed.paper.poisoned, "");
}

static void an_alias(void **state)
{
	(void)state;
	bed_alias("x.example.net");
	bed_run(0, CHECK);
	assert_found("delegation", FINDING_FAIL, WWW, "an alias of x.example.net: the record belongs at x.example.net, and no dns entry has that");
	assert_null(found("update", FINDING_OK));
	bed_entry(1, "second", "example.net");
	bed_configure(1);
	bed_run(0, CHECK);
	assert_found("delegation", FINDING_OK, WWW, "an alias of x.example.net");
	assert_found("update", FINDING_OK, "x.example.net", "dns:second may write there");
	bed_clear();
	bed_alias("x.nowhere.test");
	bed_run(0, CHECK);
	assert_int_not_equal(bed.told.err.kind, ERR_NONE); /* no zone of it is to be found */
	assert_null(bed.told.report);
}

/* Its own zones hold neither the name nor what leads from it: only a CNAME could help. */
static void no_alias_where_one_is_needed(void **state)
{
	(void)state;
	bed_entry(0, "main", "example.net");
	bed_run(0, CHECK);
	assert_found("delegation", FINDING_FAIL, WWW, "no CNAME leads from there");
}

static void servers_that_would_fail_a_ca(void **state)
{
	static const struct {
		enum paper_way way;
		uint16_t only;
		bool lowers;
		const char *part;
	} rows[] = {
		{ PAPER_SERVFAIL, DNS_CAA, false, "asked for CAA of www.example.org: SERVFAIL" }, { PAPER_NOTIMP, DNS_CAA, false, "NOTIMP" },
		{ PAPER_REFUSED, 0, false, "REFUSED" }, { PAPER_SILENT, DNS_CAA, false, "no answer" }, { PAPER_NOAA, 0, false, "not authoritative" },
		{ PAPER_GOOD, 0, true, "in the case it was asked" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct paper_server *s = paper_server(&bed.paper, "192.0.2.2");

		s->way = rows[i].way;
		s->only = rows[i].only;
		s->lowers_case = rows[i].lowers;
		bed_run(0, CHECK);
		assert_well();
		assert_found("servers", FINDING_WARN, "192.0.2.2:53", rows[i].part);
		assert_non_null(found("servers", FINDING_OK)); /* the other one */
		assert_non_null(found("update", FINDING_OK));
	}
}

static void nobody_answers(void **state)
{
	(void)state;
	paper_server(&bed.paper, "192.0.2.1")->way = PAPER_SILENT;
	paper_server(&bed.paper, "192.0.2.2")->way = PAPER_SILENT;
	bed_run(0, CHECK);
	assert_well(); /* what a proof would do there, too: see zone.h */
	assert_found("servers", FINDING_WARN, "example.org", "none of its name servers answers");
	assert_found("leftovers", FINDING_UNTESTED, WWW, "none of its name servers");
	paper_server(&bed.paper, "192.0.2.53")->way = PAPER_BOGUS;
	paper_server(&bed.paper, "192.0.2.54")->way = PAPER_BOGUS;
	bed_run(0, CHECK);
	assert_fails(ERR_TEMP, "dns", "bogus");
}

static void cancelled_at_any_moment(void **state)
{
	(void)state;
	add("example.org", "*.example.org", DNS_A, "192.0.2.7");
	bed.proof.name = "host.example.org";
	bed.entry[0].late = 50;
	for (int turns = 0; turns < 60; turns++) {
		struct told told = { 0 };
		struct method_call *c = bed_begin(0, CHECK, &told);

		for (int i = 0; i < turns && !told.calls; i++)
			loop_turn(true);
		if (!told.calls)
			bed_ops(0)->cancel(c);
		told_clear(&told);
	}
	assert_int_equal(bed.paper.pending, 0);
	bed_begin(0, CHECK, &bed.told); /* and one that its world leaves behind */
	loop_turn(true);
	bed_close_world();
	assert_int_equal(bed.told.calls, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)
	const struct CMUnitTest tests[] = {
		TEST(all_is_well),
		TEST(nobody_may_write),
		TEST(what_is_left_there),
		TEST(what_is_being_proven_now),
		TEST(a_long_memory_of_no),
		TEST(a_host_that_is_there_by_a_wildcard_only),
		TEST(an_alias),
		TEST(no_alias_where_one_is_needed),
		TEST(servers_that_would_fail_a_ca),
		TEST(nobody_answers),
		TEST(cancelled_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
