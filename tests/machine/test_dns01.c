/* SPDX-License-Identifier: ISC */
/* DNS-01: where it is written and by whom, how it is taken away, and that any of it may be cancelled. */
#include "dns01_bed.h"

/* --- publish --------------------------------------------------------------------------------------------------------------------- */

static void the_zone_is_found_and_the_place_told(void **state)
{
	(void)state;
	bed_run(0, PUBLISH);
	assert_well();
	assert_written("add main example.org " WWW " t1");
	assert_place("example.org", WWW, "main");
	bed_run(0, SEE);
	assert_well();
	assert_true(js_bool(bed.told.report, "ok", false));
	assert_string_equal(js_str(bed.told.report, "name"), WWW);
	assert_string_equal(js_str(bed.told.report, "challenge"), WWW);
	assert_string_equal(js_str(js_obj(bed.told.report, "found"), "zone"), "example.org");
	assert_int_equal(js_len(js_arr(bed.told.report, "servers")), 2);
	bed_run(0, WITHDRAW);
	assert_well();
	assert_written("remove main example.org " WWW " t1");
	bed_run(0, REVIEW);
	assert_fails(ERR_TEMP, "propagation", "ns1.example.org");
	assert_string_equal(*bed.lines ? bed.lines : "", "");
}

static void which_names_fit(void **state)
{
	static const struct {
		const char *zone, *name;
		enum method_fit fit;
	} rows[] = { { "example.org", "www.example.org", METHOD_YES }, { "example.org", "example.org", METHOD_YES },
		{ "example.org", "notexample.org", METHOD_PERHAPS }, { "acme.example.org", "example.org", METHOD_PERHAPS }, { NULL, "any.test", METHOD_YES } };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int wild = 0; wild < 2; wild++) {
			struct method *m;

			bed_entry(0, "main", rows[i].zone);
			bed_configure(0);
			m = bed.entry[0].method;
			assert_string_equal(m->name, "dns:main");
			assert_int_equal(m->ops->fits(m, rows[i].name, wild, &err), rows[i].fit);
			bed_unconfigure(0);
		}
}

static void who_writes(void **state)
{
	static const struct {
		const char *own, *other, *third; /* zones of the entries main, second, third; "": without zones; NULL: there is none */
		const char *by;                  /* NULL: nobody */
	} rows[] = {
		{ "example.org", "example.net", NULL, "second" },
		{ "example.org", "example.net", "acme.example.net", "third" },
		{ "example.org", "acme.example.net", "example.net", "second" },
		{ "example.net", "acme.example.net", NULL, "main" },      /* its own will do */
		{ "", "acme.example.net", NULL, "main" },                 /* may write anywhere */
		{ "example.org", "", NULL, NULL },                        /* but is not chosen for it */
		{ "example.org", "b.example.net", "e.net", NULL },
		{ "example.org", "example.net", "example.net", "second" }, /* the first of two */
	};

	(void)state;
	bed_alias("www.acme.example.net");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *zones[] = { rows[i].own, rows[i].other, rows[i].third }, *const names[] = { "main", "second", "third" };
		char want[200];

		for (size_t k = 0; k < 3; k++)
			if (zones[k]) {
				bed_entry(k, names[k], *zones[k] ? zones[k] : NULL);
				bed_configure(k);
			}
		bed.proof.place = NULL;
		bed_run(0, PUBLISH);
		if (rows[i].by) {
			assert_well();
			assert_place("example.net", "www.acme.example.net", rows[i].by);
			snprintf(want, sizeof(want), "add %s example.net www.acme.example.net t1", rows[i].by);
			assert_written(want);
			bed_run(0, WITHDRAW);
			assert_well();
		} else {
			assert_fails(ERR_DENIED, "zones", "the record belongs at www.acme.example.net, and no dns entry has that in its zones");
			assert_null(bed.told.report);
			assert_written("");
		}
		*bed.log = '\0';
		for (size_t k = 0; k < 3; k++)
			if (bed.entry[k].method)
				bed_unconfigure(k);
	}
}

static void a_provider_that_says_no_is_named(void **state)
{
	(void)state;
	bed.entry[0].takes = FAILS;
	bed.entry[0].late = 30000;
	bed_run(0, PUBLISH);
	assert_fails(ERR_TEMP, "provider", "main says no");
	assert_in_range(bed.took, 30000, 31000);
	bed_run(0, WITHDRAW);
	assert_fails(ERR_TEMP, "provider", "main says no");
}

/* Nobody knows whether it is there now: where it would be is told all the same, so that it is taken away there. */
static void where_it_may_be_is_told_even_when_writing_failed(void **state)
{
	struct paper_rr *cname = bed_alias("www.acme.example.net");

	(void)state;
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed.entry[1].takes = LOSES;
	bed_run(0, PUBLISH);
	assert_fails(ERR_TEMP, "provider", "net says no");
	assert_place("example.net", "www.acme.example.net", "net");
	bed.entry[1].takes = TAKES;
	cname->from = INT64_MAX;
	*bed.log = '\0';
	bed_run(0, WITHDRAW);
	assert_well();
	assert_written("remove net example.net www.acme.example.net t1");
}

static void without_token_or_account_there_is_nothing(void **state)
{
	(void)state;
	bed.proof.thumbprint = NULL;
	bed_run(0, PUBLISH);
	assert_fails(ERR_BUG, "dns", "no token or account");
	bed_run(0, SEE);
	assert_fails(ERR_BUG, "dns", "no token or account");
	bed_run(0, REVIEW);
	assert_fails(ERR_BUG, "dns", "no token or account");
	bed_run(0, WITHDRAW);
	assert_well();
	bed_judged(0, "dns");
	assert_int_equal(bed.paper.nasked, 0);
	assert_written("");
}

static void a_name_without_a_zone_is_told(void **state)
{
	static const enum op ops[] = { PUBLISH, SEE, WITHDRAW, REVIEW };

	(void)state;
	bed.proof.name = "nowhere.test";
	for (size_t i = 0; i < 4; i++) {
		bed_run(0, ops[i]);
		assert_fails(ERR_TEMP, "dns", "nowhere.test");
		assert_null(bed.told.report);
	}
	assert_written("");
}

/* --- the CNAME moved -------------------------------------------------------------------------------------------------------------- */

static void what_was_left_at_the_old_place_goes_first(void **state)
{
	struct paper_rr *cname = bed_alias("www.acme.example.net");

	(void)state;
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed_entry(2, "com", "example.com");
	bed_configure(2);
	bed_run(0, PUBLISH);
	bed_run(0, PUBLISH); /* the same place: it is written again, no more */
	assert_well();
	assert_written("add net example.net www.acme.example.net t1; add net example.net www.acme.example.net t1");
	cname->data = "www.example.com";
	bed_run(0, PUBLISH);
	assert_well();
	assert_written("remove net example.net www.acme.example.net t1; add com example.com www.example.com t1");
	assert_place("example.com", "www.example.com", "com");
	bed_run(0, SEE);
	assert_well();
	assert_string_equal(js_str(bed.told.report, "name"), "www.example.com");
	bed_run(0, WITHDRAW);
	assert_written("remove com example.com www.example.com t1");
}

static void one_that_cannot_be_taken_away_is_not_lost(void **state)
{
	struct paper_rr *cname = bed_alias("www.acme.example.net");

	(void)state;
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed_entry(2, "com", "example.com");
	bed_configure(2);
	bed_run(0, PUBLISH);
	*bed.log = '\0';
	cname->data = "www.example.com";
	bed.entry[1].takes = FAILS;
	bed_run(0, PUBLISH);
	assert_fails(ERR_TEMP, "provider", "net says no");
	assert_null(bed.told.report); /* the old place stays noted */
	assert_written("remove net example.net www.acme.example.net t1");
	bed.entry[1].takes = TAKES;
	bed.entry[2].takes = LOSES;
	bed_run(0, PUBLISH);
	assert_fails(ERR_TEMP, "provider", "com says no");
	assert_place("example.com", "www.example.com", "com");
	*bed.log = '\0';
	bed.entry[2].takes = TAKES;
	bed_run(0, WITHDRAW);
	assert_written("remove com example.com www.example.com t1");
}

static void the_old_writer_may_be_gone(void **state)
{
	struct paper_rr *cname = bed_alias("www.acme.example.net");

	(void)state;
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed_entry(2, "com", "example.com");
	bed_configure(2);
	bed_run(0, PUBLISH);
	bed_unconfigure(1);
	bed_entry(1, "renamed", "example.net");
	bed_configure(1);
	cname->data = "www.example.com";
	*bed.log = '\0';
	bed_run(0, PUBLISH);
	assert_well();
	assert_written("remove renamed example.net www.acme.example.net t1; add com example.com www.example.com t1");
	/* One that nobody can write any more is no obstacle. */
	bed_unconfigure(2);
	cname->data = "www.acme.example.net";
	bed_run(0, PUBLISH);
	assert_well();
	assert_written("add renamed example.net www.acme.example.net t1");
	assert_non_null(strstr(bed.lines, "www.example.com"));
}

/* --- withdraw --------------------------------------------------------------------------------------------------------------------- */

static void with_its_place_nothing_is_looked_for(void **state)
{
	size_t asked;

	(void)state;
	bed_run(0, PUBLISH);
	asked = bed.paper.nasked;
	*bed.log = '\0';
	bed_run(0, WITHDRAW);
	assert_well();
	assert_int_equal(bed.paper.nasked, asked);
	assert_written("remove main example.org " WWW " t1");
	bed_run(0, WITHDRAW); /* of what is not there any more */
	assert_well();
	assert_written("remove main example.org " WWW " t1");
}

static void without_its_place_it_is_found(void **state)
{
	(void)state;
	bed_run(0, WITHDRAW);
	assert_well();
	assert_written("remove main example.org " WWW " t1"); /* what never was there, as far as we know */
	bed_alias("www.acme.example.net");
	bed_run(0, WITHDRAW);
	assert_fails(ERR_DENIED, "zones", "www.acme.example.net");
	assert_written("");
}

static void with_the_writer_gone_whoever_may_takes_it_away(void **state)
{
	struct paper_rr *cname = bed_alias("www.acme.example.net");

	(void)state;
	bed_entry(1, "net", "example.net");
	bed_configure(1);
	bed_run(0, PUBLISH);
	bed_unconfigure(1);
	bed_entry(2, "renamed", "acme.example.net");
	bed_configure(2);
	*bed.log = '\0';
	cname->from = INT64_MAX; /* where it would be written today is another place */
	bed_run(0, WITHDRAW);
	assert_well();
	assert_written("remove renamed example.net www.acme.example.net t1");
	bed_unconfigure(2);
	bed_run(0, WITHDRAW);
	assert_fails(ERR_DENIED, "zones", "www.acme.example.net");
	assert_written("");
}

static void a_strange_place_is_none(void **state)
{
	static const char *const places[] = { "{}", "{\"zone\":1,\"owner\":[],\"by\":null}", "{\"zone\":\"example.net\",\"owner\":\"a.example.net\"}" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct js *place = js_parse(places[i], strlen(places[i]), &err);

		bed.proof.place = place;
		bed_run(0, WITHDRAW);
		assert_well();
		assert_written("remove main example.org " WWW " t1");
		js_free(place);
	}
	bed.proof.place = NULL;
}

/* --- cancel and free -------------------------------------------------------------------------------------------------------------------- */

static unsigned all_under_way(void)
{
	unsigned n = bed.paper.pending;

	for (size_t i = 0; i < BED_ENTRIES; i++)
		n += bed.entry[i].under_way;
	return n;
}

/* What is to be cancelled or freed at every turn: a publication that has to clear up elsewhere first, and what comes after. */
static void set_scene(enum op op, int64_t lag)
{
	static const char *const opinions[] = { "192.0.2.53", "192.0.2.54" };
	bed.entry[0].options.opinions = opinions;
	bed.entry[0].options.nopinions = 2;
	bed.entry[0].options.settle_ms = 1000;
	bed_configure(0);
	bed_entry(1, "net", "example.net")->late = 20;
	bed.entry[1].lag = lag;
	bed.entry[1].recursive_lag = 100;
	bed_configure(1);
	bed_entry(2, "com", "example.com")->late = 20;
	bed_configure(2);
	bed.proof.place = NULL;
	bed.paper.published = true;
	if (op == SEE || op == REVIEW) {
		bed_run(0, PUBLISH);
	} else if (op == PUBLISH) {
		js_free(bed.place);
		bed.place = js_object();
		js_put_str(bed.place, "zone", "example.com");
		js_put_str(bed.place, "owner", "www.example.com");
		js_put_str(bed.place, "by", "com");
		bed.proof.place = bed.place;
	}
}

static void clear_scene(void)
{
	bed_clear();
	bed_alias("www.acme.example.net");
	bed_entry(0, "main", "example.org");
	told_clear(&bed.told);
}

static void a_call_may_be_cancelled_at_every_step(void **state)
{
	(void)state;
	bed_alias("www.acme.example.net");
	for (enum op op = PUBLISH; op <= REVIEW; op++) {
		bool ended = false;

		for (unsigned turns = 0; !ended; turns++) {
			struct method_call *c;

			set_scene(op, 40);
			told_clear(&bed.told);
			c = bed_begin(0, op, &bed.told);
			for (unsigned i = 0; i < turns && !bed.told.calls; i++)
				loop_turn(true);
			ended = bed.told.calls;
			if (!ended)
				bed_ops(0)->cancel(c);
			assert_int_equal(all_under_way(), 0);
			loop_turn(false);
			assert_int_equal(bed.told.calls, ended);
			bed_close_world();
			bed_open_world();
			clear_scene();
			assert_true(turns < 400);
		}
	}
}

static void a_method_may_be_freed_at_every_step(void **state)
{
	(void)state;
	bed_alias("www.acme.example.net");
	for (enum op op = PUBLISH; op <= REVIEW; op++) {
		bool ended = false;

		for (unsigned turns = 0; !ended; turns++) {
			set_scene(op, 40);
			told_clear(&bed.told);
			bed_begin(0, op, &bed.told);
			for (unsigned i = 0; i < turns && !bed.told.calls; i++)
				loop_turn(true);
			ended = bed.told.calls;
			bed_unconfigure(0); /* the call goes on to its end with what it has */
			assert_int_equal(bed.entry[0].freed, ended);
			told_wait(&bed.told);
			assert_well();
			assert_true(bed.entry[0].freed);
			bed_close_world();
			bed_open_world();
			clear_scene();
			assert_true(turns < 400);
		}
	}
}

static void the_world_may_be_freed_at_every_step(void **state)
{
	(void)state;
	bed_alias("www.acme.example.net");
	for (enum op op = PUBLISH; op <= REVIEW; op++) {
		bool ended = false;

		for (unsigned turns = 0; !ended; turns++) {
			set_scene(op, 40);
			told_clear(&bed.told);
			bed_begin(0, op, &bed.told);
			for (unsigned i = 0; i < turns && !bed.told.calls; i++)
				loop_turn(true);
			ended = bed.told.calls;
			bed_close_world();
			assert_int_equal(all_under_way(), 0);
			loop_turn(false);
			assert_int_equal(bed.told.calls, ended); /* forgotten */
			bed_open_world();
			clear_scene();
			assert_true(turns < 400);
		}
	}
}

/* Another entry writes; it leaves the configuration just then. */
static void the_writer_may_be_freed_while_it_writes(void **state)
{
	(void)state;
	bed_alias("www.acme.example.net");
	bed_entry(1, "net", "example.net")->late = 60000;
	bed_configure(1);
	bed_begin(0, PUBLISH, &bed.told);
	while (!bed.entry[1].under_way)
		loop_turn(true);
	bed_unconfigure(1);
	assert_false(bed.entry[1].freed);
	told_wait(&bed.told);
	assert_well();
	assert_true(bed.entry[1].freed);
	assert_place("example.net", "www.acme.example.net", "net");
}

static void a_provider_that_never_answers_is_cancelled(void **state)
{
	struct method_call *c;

	(void)state;
	bed.entry[0].takes = NEVER_ANSWERS;
	c = bed_begin(0, PUBLISH, &bed.told);
	while (!bed.entry[0].under_way)
		loop_turn(true);
	bed_until(300000);
	assert_int_equal(bed.told.calls, 0);
	bed_ops(0)->cancel(c);
	assert_int_equal(bed.entry[0].under_way, 0);
	bed_ops(0)->cancel(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)
	const struct CMUnitTest tests[] = {
		TEST(the_zone_is_found_and_the_place_told),
		TEST(which_names_fit),
		TEST(who_writes),
		TEST(a_provider_that_says_no_is_named),
		TEST(where_it_may_be_is_told_even_when_writing_failed),
		TEST(without_token_or_account_there_is_nothing),
		TEST(a_name_without_a_zone_is_told),
		TEST(what_was_left_at_the_old_place_goes_first),
		TEST(one_that_cannot_be_taken_away_is_not_lost),
		TEST(the_old_writer_may_be_gone),
		TEST(with_its_place_nothing_is_looked_for),
		TEST(without_its_place_it_is_found),
		TEST(with_the_writer_gone_whoever_may_takes_it_away),
		TEST(a_strange_place_is_none),
		TEST(a_call_may_be_cancelled_at_every_step),
		TEST(a_method_may_be_freed_at_every_step),
		TEST(the_world_may_be_freed_at_every_step),
		TEST(the_writer_may_be_freed_while_it_writes),
		TEST(a_provider_that_never_answers_is_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
