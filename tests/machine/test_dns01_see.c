/* SPDX-License-Identifier: ISC */
/* DNS-01: the look, and what is learnt from it. */
#include "dns01_bed.h"

/* --- several at one place ----------------------------------------------------------------------------------------------------------- */

static void publish_as(const char *token, int64_t lag, bool nowhere)
{
	bed.proof.token = token;
	bed.proof.place = NULL;
	bed.entry[0].lag = lag;
	bed.entry[0].nowhere = nowhere;
	bed_run(0, PUBLISH);
	assert_well();
}

static void all_at_one_place_are_awaited(void **state)
{
	(void)state;
	publish_as("t1", 60000, false);
	publish_as("t2", 0, false);
	bed_run(0, SEE);
	assert_well();
	assert_in_range(bed.took, 55000, 90000);
	assert_int_equal(js_len(js_arr(bed.told.report, "values")), 2);
	assert_string_equal(bed_token(js_str_at(js_arr(bed.told.report, "values"), 0)), "t2"); /* ours first */
}

static void one_that_is_withdrawn_is_awaited_no_more(void **state)
{
	struct told other = { 0 };

	(void)state;
	publish_as("t1", 0, true);
	publish_as("t2", 0, false);
	bed_begin(0, SEE, &other);
	bed_until(20000);
	assert_int_equal(other.calls, 0);
	bed.proof.token = "t1";
	bed_run(0, WITHDRAW);
	bed.began = clock_mono_ms();
	told_wait(&other);
	assert_int_equal(other.err.kind, ERR_NONE);
	assert_true(clock_mono_ms() - bed.began < 1000);
	assert_int_equal(js_len(js_arr(other.report, "values")), 1);
	told_clear(&other);
}

static void another_place_is_another_matter(void **state)
{
	(void)state;
	publish_as("t1", 0, true);
	bed.proof.name = "example.org";
	publish_as("t2", 0, false);
	bed_run(0, SEE);
	assert_well();
	assert_true(bed.took < 1000);
	assert_int_equal(js_len(js_arr(bed.told.report, "values")), 1);
}

/* Two names, one place. One of them leads elsewhere now and is published anew there: at the old place nobody waits for it any more. */
static void one_that_moved_is_awaited_no_more(void **state)
{
	struct paper_rr *cname = bed_alias("www.acme.example.net"), *other_cname = bed_alias("www.acme.example.net");
	struct told other = { 0 };
	struct js *place;

	(void)state;
	other_cname->owner = "_acme-challenge.other.example.org";
	bed_entry(1, "net", "example.net")->nowhere = true;
	bed_configure(1);
	bed_entry(2, "com", "example.com");
	bed_configure(2);
	publish_as("t1", 0, false);
	place = js_ref(bed.place);
	bed.entry[1].nowhere = false;
	bed.proof.name = "other.example.org";
	publish_as("t2", 0, false);
	bed_begin(0, SEE, &other);
	bed_until(5000);
	assert_int_equal(other.calls, 0);
	cname->data = "www.example.com";
	bed.proof.name = "www.example.org";
	bed.proof.token = "t1";
	bed.proof.place = place;
	*bed.log = '\0';
	bed_run(0, PUBLISH);
	assert_well();
	assert_written("remove net example.net www.acme.example.net t1; add com example.com www.example.com t1");
	bed.began = clock_mono_ms();
	told_wait(&other);
	assert_int_equal(other.err.kind, ERR_NONE);
	assert_true(clock_mono_ms() - bed.began < 1000);
	assert_int_equal(js_len(js_arr(other.report, "values")), 1);
	told_clear(&other);
	js_free(place);
}

static void one_withdrawn_while_others_are_asked(void **state)
{
	static const char *const opinions[] = { "192.0.2.54" };
	struct told other = { 0 };

	(void)state;
	bed.entry[0].options.opinions = opinions;
	bed.entry[0].options.nopinions = 1;
	publish_as("t2", 0, false);
	bed.entry[0].recursive_lag = INT64_MAX / 4; /* our own servers have it, the others never will */
	publish_as("t1", 0, false);
	bed.proof.token = "t2";
	bed_begin(0, SEE, &other);
	bed_until(30000);
	assert_int_equal(other.calls, 0);
	bed.proof.token = "t1";
	bed_run(0, WITHDRAW);
	told_wait(&other);
	assert_int_equal(other.err.kind, ERR_NONE);
	assert_true(js_bool(js_at(js_arr(other.report, "opinions"), 0), "ok", false));
	told_clear(&other);
}

/* --- see ---------------------------------------------------------------------------------------------------------------------------- */

static void lag_is_waited_for_and_told_meanwhile(void **state)
{
	const struct method_ops *ops;
	struct method_call *c;
	const struct js *so_far;

	(void)state;
	bed.entry[0].lag = 100000;
	bed_run(0, PUBLISH);
	ops = bed_ops(0);
	told_clear(&bed.told);
	c = bed_begin(0, SEE, &bed.told);
	assert_null(ops->seeing(c));
	bed_until(10000);
	so_far = ops->seeing(c);
	assert_string_equal(js_str(so_far, "decision"), "wait");
	assert_string_equal(js_str(so_far, "challenge"), WWW);
	assert_false(js_has(so_far, "ok"));
	told_wait(&bed.told);
	assert_well();
	assert_false(js_has(bed.told.report, "usual_ms")); /* it is the first time */
	bed.entry[0].lag = 0;
	bed.proof.token = "t2";
	bed.proof.place = NULL;
	bed_run(0, PUBLISH);
	bed_run(0, SEE);
	assert_in_range(js_int(bed.told.report, "usual_ms", 0), 0, 150000);
	assert_int_equal(js_int(bed.told.report, "usual_of", 0), 1); /* before this one */
}

static void one_that_is_never_seen_ends_with_the_server_named(void **state)
{
	(void)state;
	bed.entry[0].nowhere = true;
	bed_run(0, PUBLISH);
	bed_run(0, SEE);
	assert_fails(ERR_TEMP, "propagation", "ns1.example.org");
	assert_false(js_bool(bed.told.report, "ok", true));
	assert_int_equal(bed.took, 900000);
	assert_int_equal(js_len(bed.memory), 0); /* nothing to learn from */
}

static void after_a_restart_it_is_found_again(void **state)
{
	struct paper_rr *cname = bed_alias("www.acme.example.net");

	(void)state;
	(void)cname;
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed_run(0, PUBLISH);
	bed_close_world();
	bed_open_world();
	bed_entry(0, "main", "example.org");
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed_run(0, SEE);
	assert_well();
	assert_string_equal(js_str(bed.told.report, "name"), "www.acme.example.net");
	bed_judged(0, "dns"); /* when it was published is not known: nothing is learnt */
	assert_int_equal(js_len(bed.memory), 0);
	*bed.log = '\0';
	bed_run(0, WITHDRAW);
	assert_written("remove net example.net www.acme.example.net t1");
}

static void review_is_quick_and_strict(void **state)
{
	(void)state;
	bed_run(0, PUBLISH);
	bed_run(0, REVIEW);
	assert_well();
	assert_true(bed.took < 100);
	paper_server(&bed.paper, "192.0.2.2")->way = PAPER_SILENT; /* which see() tolerates */
	bed_run(0, SEE);
	assert_well();
	bed_run(0, REVIEW);
	assert_fails(ERR_TEMP, "propagation", "ns2.example.net");
	assert_in_range(bed.took, 3000, 6000);
	paper_server(&bed.paper, "192.0.2.1")->way = PAPER_SILENT;
	bed_run(0, REVIEW);
	assert_int_equal(bed.told.err.kind, ERR_TEMP);
	assert_false(js_has(bed.told.report, "fallback"));
	assert_string_equal(bed.lines, "");
}

static void given_servers_are_asked_instead(void **state)
{
	static const char *const given[] = { "192.0.2.2" };

	(void)state;
	bed.entry[0].options.servers = given;
	bed.entry[0].options.nservers = 1;
	paper_server(&bed.paper, "192.0.2.1")->way = PAPER_REFUSED;
	bed_run(0, PUBLISH);
	assert_well();
	bed_run(0, SEE);
	assert_well();
	assert_int_equal(js_len(js_arr(bed.told.report, "servers")), 1);
	assert_int_equal(paper_count(&bed.paper, "192.0.2.1", NULL, 0), 0);
	paper_server(&bed.paper, "192.0.2.2")->way = PAPER_SILENT; /* it was said whom to ask: nobody else is */
	bed_run(0, SEE);
	assert_fails(ERR_TEMP, "propagation", "192.0.2.2");
	assert_string_equal(bed.lines, "");
}

static const char *only_server(void)
{
	const struct js *servers = js_arr(bed.told.report, "servers");

	assert_int_equal(js_len(servers), 1);
	return js_str(js_at(servers, 0), "address");
}

/* The servers of an entry are those of its zones: 192.0.2.1 knows nothing of the zone that the alias leads to. */
static void whoever_writes_gives_the_servers_of_an_alias(void **state)
{
	static const char *const given[] = { "192.0.2.1", "192.0.2.2" };

	(void)state;
	bed.entry[0].options.servers = given;
	bed.entry[0].options.nservers = 1;
	bed_entry(1, "acme", "example.net");
	bed_configure(1);
	bed_alias("www.acme.example.net");
	bed_run(0, PUBLISH);
	assert_well();
	assert_place("example.net", "www.acme.example.net", "acme");
	bed_run(0, SEE);
	assert_well();
	assert_string_equal(only_server(), "192.0.2.2");
	assert_string_equal(js_str(js_at(js_arr(bed.told.report, "servers"), 0), "name"), "ns2.example.net");
	bed_run(0, CHECK);
	assert_well();
	bed_run(0, WITHDRAW);
	bed_unconfigure(1);
	bed_entry(2, "acme", "example.net")->options.servers = given + 1;
	bed.entry[2].options.nservers = 1;
	bed_configure(2);
	bed_run(0, PUBLISH);
	assert_well();
	bed_run(0, SEE);
	assert_well();
	assert_string_equal(only_server(), "192.0.2.2");
	assert_string_equal(js_str(js_at(js_arr(bed.told.report, "servers"), 0), "name"), "");
	assert_int_equal(paper_count(&bed.paper, "192.0.2.1", "www.acme.example.net", 0), 0);
}

/* --- others ------------------------------------------------------------------------------------------------------------------------- */

static void opinions_come_after_the_name_servers(void **state)
{
	static const char *const opinions[] = { "192.0.2.54", "192.0.2.53" };

	(void)state;
	bed.entry[0].options.opinions = opinions;
	bed.entry[0].options.nopinions = 2;
	bed.entry[0].lag = 50000;
	bed_run(0, PUBLISH);
	bed_run(0, SEE);
	assert_well();
	assert_string_equal(js_str(js_at(js_arr(bed.told.report, "opinions"), 0), "server"), "192.0.2.54");
	for (size_t i = 0; i < bed.paper.nasked; i++)
		if (bed.paper.asked[i].bits & DNS_RD && strcmp(bed.paper.asked[i].name, WWW) == 0)
			assert_true(bed.paper.asked[i].at >= 50000);
	assert_true(bed.took < 70000);
}

static void what_others_have_cached_is_waited_for(void **state)
{
	static const char *const opinions[] = { "192.0.2.54" };
	struct method_call *c;
	const struct js *one;

	(void)state;
	bed.entry[0].options.opinions = opinions;
	bed.entry[0].options.nopinions = 1;
	bed.entry[0].recursive_lag = 590000;
	bed_run(0, PUBLISH);
	told_clear(&bed.told);
	bed.began = clock_mono_ms();
	c = bed_begin(0, SEE, &bed.told);
	bed_until(10000);
	one = js_at(js_arr(bed_ops(0)->seeing(c), "opinions"), 0);
	assert_string_equal(js_str(one, "text"), "NXDOMAIN, kept for 600 s");
	told_wait(&bed.told);
	assert_well();
	assert_in_range(clock_mono_ms() - bed.began, 601000, 601300);
}

static void bogus_is_final(void **state)
{
	static const char *const opinions[] = { "192.0.2.54" };

	(void)state;
	bed.entry[0].options.opinions = opinions;
	bed.entry[0].options.nopinions = 1;
	bed_run(0, PUBLISH);
	paper_server(&bed.paper, "192.0.2.54")->way = PAPER_BOGUS;
	bed_run(0, SEE);
	assert_fails(ERR_DENIED, "dnssec", "192.0.2.54");
	assert_true(bed.took < 1000);
	assert_false(js_bool(bed.told.report, "ok", true));
}

static size_t txt_at(const char *ip)
{
	return paper_count(&bed.paper, ip, WWW, DNS_TXT);
}

static void checks_that_do_not_ask_the_name_servers(void **state)
{
	size_t before;

	(void)state;
	bed.entry[0].options.check = DNS01_RECURSIVE;
	bed.entry[0].options.settle_ms = 7000;
	bed_run(0, PUBLISH);
	before = txt_at("192.0.2.1") + txt_at("192.0.2.2");
	bed_run(0, SEE);
	assert_well();
	assert_in_range(bed.took, 7000, 7100);
	assert_int_equal(txt_at("192.0.2.1") + txt_at("192.0.2.2"), before);
	assert_int_equal(txt_at("192.0.2.53"), 1);
	assert_int_equal(txt_at("192.0.2.54"), 1);
	assert_int_equal(js_len(js_arr(bed.told.report, "opinions")), 2);
	assert_string_equal(js_str(bed.told.report, "name"), WWW);
	bed_run(0, REVIEW); /* the CA's word is set beside what the name servers say all the same */
	assert_true(txt_at("192.0.2.1") > 0);
}

static void recursive_servers_are_not_asked_too_early(void **state)
{
	struct method_call *c;

	(void)state;
	bed.entry[0].options.check = DNS01_RECURSIVE;
	bed_run(0, PUBLISH);
	told_clear(&bed.told);
	bed.began = clock_mono_ms();
	c = bed_begin(0, SEE, &bed.told);
	bed_until(1900);
	assert_string_equal(js_str(bed_ops(0)->seeing(c), "challenge"), WWW);
	assert_int_equal(txt_at("192.0.2.53"), 0);
	told_wait(&bed.told);
	assert_well();
	assert_in_range(clock_mono_ms() - bed.began, 2000, 2100);
}

static void no_check_waits_and_asks_nobody(void **state)
{
	size_t before;

	(void)state;
	bed.entry[0].options.check = DNS01_UNSEEN;
	bed.entry[0].options.settle_ms = 120000;
	bed.entry[0].nowhere = true;
	bed_run(0, PUBLISH);
	before = bed.paper.nasked;
	bed_run(0, SEE);
	assert_well();
	assert_int_equal(bed.took, 120000);
	assert_int_equal(bed.paper.nasked, before);
	assert_true(js_bool(bed.told.report, "ok", false));
}

static void by_https_and_no_such_server(void **state)
{
	static const char *const opinions[] = { "192.0.2.54" };

	(void)state;
	bed.entry[0].options.check = DNS01_DOH;
	bed.entry[0].options.opinions = opinions;
	bed.entry[0].options.nopinions = 1;
	bed_run(0, PUBLISH);
	bed_run(0, SEE);
	assert_fails(ERR_INPUT, "dns", "there is no recursive server to ask for " WWW);
	assert_int_equal(txt_at("192.0.2.54"), 0);
}

/* --- nobody answers ---------------------------------------------------------------------------------------------------------------- */

static unsigned lines_with(const char *part)
{
	unsigned n = 0;

	for (const char *at = bed.lines; (at = strstr(at, part)); at++)
		n++;
	return n;
}

static void where_nobody_answers_others_are_asked(void **state)
{
	static const enum paper_way ways[] = { PAPER_SILENT, PAPER_NOROUTE };

	(void)state;
	bed.entry[0].options.settle_ms = 5000;
	for (size_t i = 0; i < 2; i++) {
		size_t before;

		paper_server(&bed.paper, "192.0.2.1")->way = paper_server(&bed.paper, "192.0.2.2")->way = PAPER_GOOD;
		bed_run(0, PUBLISH);
		assert_well();
		before = txt_at("192.0.2.53");
		*bed.lines = '\0';
		paper_server(&bed.paper, "192.0.2.1")->way = PAPER_SILENT;
		paper_server(&bed.paper, "192.0.2.2")->way = ways[i];
		bed_run(0, SEE);
		assert_well();
		assert_in_range(bed.took, 7000, 7100); /* the time-out, the settling */
		assert_int_equal(lines_with("is port 53 closed?"), 1);
		assert_non_null(js_str(bed.told.report, "fallback"));
		assert_int_equal(js_len(js_arr(bed.told.report, "opinions")), 2);
		assert_int_equal(txt_at("192.0.2.53"), before + 1);
		assert_true(js_bool(bed.told.report, "ok", false));
	}
}

static void one_that_answers_is_enough_to_stay(void **state)
{
	(void)state;
	bed_run(0, PUBLISH);
	paper_server(&bed.paper, "192.0.2.1")->way = PAPER_SILENT;
	paper_server(&bed.paper, "192.0.2.2")->way = PAPER_REFUSED;
	bed_run(0, SEE);
	assert_fails(ERR_TEMP, "propagation", "ns");
	assert_int_equal(lines_with("port 53"), 0);
	assert_int_equal(txt_at("192.0.2.53"), 0);
}

static void the_fallback_is_seen_anew_for_one_less(void **state)
{
	struct told other = { 0 };

	(void)state;
	publish_as("t1", 0, true);
	publish_as("t2", 0, false);
	paper_server(&bed.paper, "192.0.2.1")->way = paper_server(&bed.paper, "192.0.2.2")->way = PAPER_SILENT;
	bed_begin(0, SEE, &other);
	bed_until(20000);
	assert_int_equal(other.calls, 0);
	bed.proof.token = "t1";
	bed_run(0, WITHDRAW);
	told_wait(&other);
	assert_int_equal(other.err.kind, ERR_NONE);
	assert_int_equal(lines_with("is port 53 closed?"), 1);
	told_clear(&other);
}

/* --- learning ------------------------------------------------------------------------------------------------------------------------- */

static struct dns_learned learnt(const char *by)
{
	struct dns_memory memory = bed_memory();

	return dns_learned_get(&memory, by, "example.org");
}

/* What its resolver had before the record was written: a no, or other records. */
static void how_long_a_ca_may_keep_what_it_saw(void **state)
{
	(void)state;
	bed_run(0, PUBLISH);
	assert_int_equal(bed_judged(0, "unauthorized"), 300);
	assert_int_equal(bed_judged(0, "dns"), 300);
	assert_int_equal(bed_judged(0, "caa"), 0);
	assert_int_equal(bed_judged(0, NULL), 0);
	bed_run(0, WITHDRAW);
	assert_int_equal(bed_judged(0, "dns"), 0);
	bed_entry(1, "acme", "example.net");
	bed_configure(1);
	bed_alias("www.acme.example.net");
	bed_run(0, PUBLISH);
	assert_int_equal(bed_judged(0, "unauthorized"), 600);
	bed_run(0, WITHDRAW);
	bed.rr[bed.nrr++] = (struct paper_rr){ .zone = "example.net", .owner = "www.acme.example.net", .type = DNS_TXT, .data = "older" };
	bed_run(0, PUBLISH);
	assert_int_equal(bed_judged(0, "unauthorized"), 300); /* on paper every record has this TTL */
	bed_run(0, WITHDRAW);
}

static void a_ca_that_sees_less_makes_us_wait(void **state)
{
	static const char *const types[] = { "dns", "unauthorized", "incorrectResponse" };
	int64_t settle = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		bed_run(0, PUBLISH);
		bed_run(0, SEE);
		assert_well();
		assert_in_range(bed.took, settle, settle + 200);
		bed_judged(0, types[i]);
		settle = settle ? 2 * settle : 2000;
		assert_int_equal(learnt("main").settle_ms, settle);
		bed_run(0, WITHDRAW);
	}
	bed_run(0, PUBLISH);
	for (int i = 0; i < 10; i++)
		bed_judged(0, NULL);
	assert_int_equal(learnt("main").settle_ms, 4000);
	bed_judged(0, "caa"); /* says nothing of what was seen */
	bed_judged(0, "rateLimited");
	assert_int_equal(learnt("main").settle_ms, 4000);
	bed.entry[0].options.settle_ms = 0;
	bed_close_world(); /* it is kept */
	bed_open_world();
	bed_entry(0, "main", "example.org");
	bed_run(0, PUBLISH);
	bed_run(0, SEE);
	assert_in_range(bed.took, 4000, 4200);
	/* How long it takes to be seen is one thing, to wait on top of it another. */
	assert_in_range(learnt("main").usual_ms, 0, 200);
}

static void the_longer_wait_counts(void **state)
{
	(void)state;
	bed.entry[0].options.settle_ms = 9000;
	bed_run(0, PUBLISH);
	bed_judged(0, "dns");
	bed_run(0, SEE);
	assert_in_range(bed.took, 9000, 9200);
}

static void it_is_learnt_of_who_wrote_it(void **state)
{
	(void)state;
	bed_alias("www.acme.example.net");
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed_run(0, PUBLISH);
	bed_run(0, SEE);
	assert_true(js_has(bed.memory, "net example.net"));
	bed_judged(0, "dns");
	assert_int_equal(js_int(js_obj(bed.memory, "net example.net"), "settle_ms", 0), 2000);
	assert_int_equal(js_len(bed.memory), 1);
	bed_run(0, SEE);
	assert_in_range(bed.took, 2000, 2200);
}

static void a_hostile_memory_does_no_harm(void **state)
{
	static const char text[] = "{\"settle_ms\":9223372036854775807,\"seen_ms\":[7,{\"ms\":-9}],\"clean\":9223372036854775807}";
	struct err err;

	(void)state;
	js_put(bed.memory, "main example.org", js_parse(text, strlen(text), &err));
	bed_run(0, PUBLISH);
	bed_run(0, SEE);
	assert_well();
	assert_in_range(bed.took, 600000, 600300);
	bed_judged(0, NULL);
	bed_judged(0, "dns");
	assert_int_equal(learnt("main").settle_ms, 600000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)
	const struct CMUnitTest tests[] = {
		TEST(all_at_one_place_are_awaited),
		TEST(one_that_is_withdrawn_is_awaited_no_more),
		TEST(another_place_is_another_matter),
		TEST(one_that_moved_is_awaited_no_more),
		TEST(one_withdrawn_while_others_are_asked),
		TEST(lag_is_waited_for_and_told_meanwhile),
		TEST(one_that_is_never_seen_ends_with_the_server_named),
		TEST(after_a_restart_it_is_found_again),
		TEST(review_is_quick_and_strict),
		TEST(given_servers_are_asked_instead),
		TEST(whoever_writes_gives_the_servers_of_an_alias),
		TEST(opinions_come_after_the_name_servers),
		TEST(what_others_have_cached_is_waited_for),
		TEST(bogus_is_final),
		TEST(checks_that_do_not_ask_the_name_servers),
		TEST(recursive_servers_are_not_asked_too_early),
		TEST(no_check_waits_and_asks_nobody),
		TEST(by_https_and_no_such_server),
		TEST(where_nobody_answers_others_are_asked),
		TEST(one_that_answers_is_enough_to_stay),
		TEST(the_fallback_is_seen_anew_for_one_less),
		TEST(how_long_a_ca_may_keep_what_it_saw),
		TEST(a_ca_that_sees_less_makes_us_wait),
		TEST(the_longer_wait_counts),
		TEST(it_is_learnt_of_who_wrote_it),
		TEST(a_hostile_memory_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
