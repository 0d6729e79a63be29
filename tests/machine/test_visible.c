/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "idl_check.h"
#include "io/loop.h"
#include "paper.h"
#include "prove/visible.h"
#include "simtime.h"

#define OWNER "_acme-challenge.www.example.org"
#define RR(of, kind, text) { .zone = "example.org", .owner = of, .type = kind, .data = text }
#define LATER(of, kind, text, since, where) { .zone = "example.org", .owner = of, .type = kind, .data = text, .from = since, .server = where }
#define SOA RR("example.org", DNS_SOA, "7 300")
#define AT(address) { .ip = address, .zones = "example.org" }
#define TWO AT("192.0.2.1"), AT("192.0.2.2")

struct bed {
	struct paper paper;
	struct zone *zone;
	struct visible_options options;
	struct visible *visible;
	unsigned ended, told;
	int64_t ended_at;
	struct js *report, *last;
	struct err err;
	bool cancel_when_told;
};

static void done(void *arg, const struct js *report, const struct err *err)
{
	struct bed *b = arg;

	b->ended++;
	b->ended_at = paper_now(&b->paper);
	b->visible = NULL;
	idl_check("Look", report);
	js_free(b->report);
	b->report = js_ref((struct js *)report);
	err_clear(&b->err);
	if (err)
		b->err = *err;
}

static void progress(void *arg, const struct js *report)
{
	struct bed *b = arg;

	b->told++;
	idl_check("Look", report);
	js_free(b->last);
	b->last = js_ref((struct js *)report);
	if (b->cancel_when_told) {
		visible_cancel(b->visible);
		b->visible = NULL;
	}
}

static struct zone *make_zone(const char *owner, const char *const *ips)
{
	struct zone *z = mem_alloc(sizeof(*z));

	z->refs = 1;
	z->base = mem_strdup(strchr(owner, '.') + 1);
	z->challenge = mem_strdup(owner);
	z->owner = mem_strdup(owner);
	z->apex = mem_strdup("example.org");
	z->serial = 7;
	z->negative_ttl = 300;
	z->servers = mem_array(8, sizeof(*z->servers));
	for (; ips[z->nservers]; z->nservers++) {
		z->servers[z->nservers].name = mem_printf("ns%zu.example.org", z->nservers + 1);
		assert_true(addr_parse(ips[z->nservers], 53, &z->servers[z->nservers].addr));
	}
	z->report = js_object();
	return z;
}

static const char *const one_value[] = { "tokA" };

static void bed_begin(struct bed *b, const struct paper_rr *rr, const struct paper_server *servers)
{
	const char *ips[PAPER_SERVERS] = { NULL };

	memset(b, 0, sizeof(*b));
	paper_begin(&b->paper, rr, servers);
	for (size_t i = 0; servers[i].ip; i++)
		ips[i] = servers[i].ip;
	b->zone = make_zone(OWNER, ips);
	b->options = (struct visible_options){ .asker = &b->paper.asker, .zone = b->zone, .values = one_value, .nvalues = 1, .quorum = { .kind = QUORUM_ALL },
		.confirm = 1, .timeout_ms = 600000, .progress = progress, .progress_arg = b };
}

static void bed_run(struct bed *b)
{
	b->ended = 0;
	b->visible = visible_start(&b->options, done, b);
	assert_int_equal(b->ended, 0);
	while (!b->ended)
		loop_turn(true);
	for (int i = 0; i < 3; i++)
		loop_turn(false);
	assert_int_equal(b->ended, 1);
	assert_int_equal(b->paper.pending, 0);
}

static void bed_end(struct bed *b)
{
	js_free(b->report);
	js_free(b->last);
	zone_free(b->zone);
	paper_end(&b->paper);
}

static const char *verdict_of(const struct bed *b, size_t i)
{
	return js_str(js_at(js_arr(b->report, "servers"), i), "verdict");
}

static const char *note_of(const struct bed *b, size_t i)
{
	return js_str(js_at(js_arr(b->report, "servers"), i), "note");
}

static void assert_visible(const struct bed *b)
{
	if (b->err.kind != ERR_NONE)
		fail_msg("%s", b->err.detail);
	assert_string_equal(js_str(b->report, "decision"), "visible");
}

static void assert_fails(const struct bed *b, const char *text)
{
	assert_int_equal(b->err.kind, ERR_TEMP);
	assert_string_equal(b->err.type, "propagation");
	if (!strstr(b->err.detail, text))
		fail_msg("%s", b->err.detail);
	assert_string_equal(js_str(b->report, "decision"), "failed");
}

/* --- the good case and lag ------------------------------------------------------------------------------------------------------- */

static void what_is_there_is_seen_at_once(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, AT("2001:db8::1"), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_run(&b);
	assert_visible(&b);
	assert_in_range(b.ended_at, 1, 20);
	assert_int_equal(b.paper.asked[0].at, 0);
	assert_int_equal(paper_count(&b.paper, NULL, OWNER, DNS_TXT), 6); /* each once, and once more on a fresh socket */
	assert_int_equal(b.paper.nasked, 8);
	for (size_t i = 0; i < b.paper.nasked; i++) {
		assert_int_equal(b.paper.asked[i].bits & DNS_RD, 0);
		if (strcmp(b.paper.asked[i].name, OWNER) == 0)
			assert_int_equal(b.paper.asked[i].bits & DNS_MIXED_CASE, DNS_MIXED_CASE);
	}
	assert_int_equal(js_int(b.report, "serial", 0), 7);
	assert_int_equal(js_int(b.report, "questions", 0), 8);
	assert_string_equal(js_str(b.report, "name"), OWNER);
	assert_string_equal(js_str(b.report, "zone"), "example.org");
	assert_string_equal(verdict_of(&b, 2), "OK");
	assert_string_equal(js_str(js_at(js_arr(b.report, "servers"), 2), "address"), "2001:db8::1");
	assert_string_equal(js_str(js_at(js_arr(b.report, "servers"), 2), "rcode"), "NOERROR");
	assert_true(b.told > 0);
	bed_end(&b);
}

static void lag_is_waited_for_and_seen_soon(void **state)
{
	static const int64_t lags[] = { 1, 30, 300, 2000, 20000, 120000 };
	struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), LATER(OWNER, DNS_TXT, "tokA", 0, "192.0.2.2"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	for (size_t i = 0; i < sizeof(lags) / sizeof(*lags); i++) {
		rr[2].from = lags[i];
		bed_begin(&b, rr, servers);
		b.paper.bumps = true;
		bed_run(&b);
		assert_visible(&b);
		assert_true(b.ended_at >= lags[i]);
		assert_true(b.ended_at <= lags[i] + 60 + lags[i] * 31 / 100);
		assert_true(paper_count(&b.paper, "192.0.2.1", OWNER, 0) <= 4);
		bed_end(&b);
	}
}

static void every_quorum_waits_for_what_it_says(void **state)
{
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), LATER(OWNER, DNS_TXT, "tokA", 5000, "192.0.2.2"),
		LATER(OWNER, DNS_TXT, "tokA", 50000, "192.0.2.3"), { 0 } };
	static const struct {
		struct quorum quorum;
		int64_t from, to;
	} rows[] = {
		{ { QUORUM_ANY, 0 }, 1, 200 }, { { QUORUM_NUMBER, 2 }, 5000, 7000 }, { { QUORUM_MAJORITY, 0 }, 5000, 7000 }, { { QUORUM_ALL, 0 }, 50000, 67000 },
		{ { QUORUM_STRICT, 0 }, 50000, 67000 },
	};
	static const struct paper_server servers[] = { TWO, AT("192.0.2.3"), { 0 } };
	struct bed b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bed_begin(&b, rr, servers);
		b.options.quorum = rows[i].quorum;
		bed_run(&b);
		assert_visible(&b);
		assert_in_range(b.ended_at, rows[i].from, rows[i].to);
		bed_end(&b);
	}
}

static void all_values_must_be_there_at_one_time(void **state)
{
	static const char *const two[] = { "tokA", "tokB" };
	static struct paper_rr rr[64] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 100, NULL), LATER(OWNER, DNS_TXT, "tok|B", 3000, NULL) };
	static char text[60][12];
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	for (int i = 0; i < 58; i++) {
		snprintf(text[i], sizeof(text[i]), "other %d", i);
		rr[3 + i] = (struct paper_rr)RR(OWNER, DNS_TXT, text[i]);
	}
	bed_begin(&b, rr, servers);
	b.options.values = two;
	b.options.nvalues = 2;
	bed_run(&b);
	assert_visible(&b);
	assert_in_range(b.ended_at, 3000, 4200);
	bed_end(&b);
}

/* --- servers that misbehave ------------------------------------------------------------------------------------------------------ */

static void what_a_resolver_steps_over_is_tolerated(void **state)
{
	static const enum paper_way ways[] = { PAPER_SILENT, PAPER_NOROUTE, PAPER_BROKEN, PAPER_GARBLED, PAPER_REFUSED, PAPER_SERVFAIL, PAPER_NOTIMP, PAPER_NOAA,
		PAPER_UPWARD, PAPER_CUT };
	static const char *const verdicts[] = { "SILENT", "NOROUTE", "SICK", "SICK", "LAME", "SICK", "SICK", "LAME", "LAME", "SICK" };
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		bed_begin(&b, rr, servers);
		paper_server(&b.paper, "192.0.2.2")->way = ways[i];
		bed_run(&b);
		assert_visible(&b);
		assert_in_range(b.ended_at, 1, 5000);
		assert_string_equal(verdict_of(&b, 1), verdicts[i]);
		if (ways[i] != PAPER_NOROUTE)
			assert_non_null(strstr(js_str(b.report, "why"), "tolerated: ns2.example.org"));
		bed_end(&b);
		/* Not by the strict. */
		bed_begin(&b, rr, servers);
		paper_server(&b.paper, "192.0.2.2")->way = ways[i];
		b.options.quorum.kind = QUORUM_STRICT;
		b.options.timeout_ms = 30000;
		bed_run(&b);
		if (ways[i] == PAPER_NOROUTE)
			assert_visible(&b);
		else
			assert_fails(&b, "ns2.example.org (192.0.2.2): ");
		bed_end(&b);
		/* Nor can it be the only one. */
		bed_begin(&b, rr, servers);
		paper_server(&b.paper, "192.0.2.1")->way = paper_server(&b.paper, "192.0.2.2")->way = ways[i];
		b.options.timeout_ms = 30000;
		bed_run(&b);
		assert_fails(&b, verdicts[i]);
		assert_int_equal(!!strstr(b.err.detail, "port 53 may be closed"), ways[i] == PAPER_SILENT || ways[i] == PAPER_NOROUTE);
		bed_end(&b);
	}
}

static void a_stale_one_blocks_and_is_named(void **state)
{
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), { 0 } };
	static const struct paper_server servers[] = { TWO, AT("192.0.2.3"), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	b.paper.bumps = true;
	paper_server(&b.paper, "192.0.2.2")->way = PAPER_SILENT;
	bed_run(&b);
	assert_fails(&b, "ns3.example.org (192.0.2.3): STALE, NXDOMAIN: the name is not there; 1 serial behind");
	assert_in_range(b.ended_at, 600000, 600000);
	assert_true(paper_count(&b.paper, "192.0.2.3", OWNER, 0) <= 100);
	assert_true(paper_count(&b.paper, "192.0.2.3", OWNER, 0) >= 50);
	assert_true(paper_count(&b.paper, "192.0.2.1", OWNER, 0) <= 2 + 1);
	bed_end(&b);
}

/* A stale server that does not answer once or twice is still a stale server; nor is it another one when it refuses: it may limit questions, or load the zone. */
static void one_lost_answer_makes_nothing_visible(void **state)
{
	static const enum paper_way ways[] = { PAPER_SERVFAIL, PAPER_SILENT, PAPER_REFUSED };
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		bed_begin(&b, rr, servers);
		b.options.confirm = i / 3;
		b.options.timeout_ms = 60000;
		b.ended = 0;
		b.visible = visible_start(&b.options, done, &b);
		while (!b.ended) {
			paper_server(&b.paper, "192.0.2.2")->way =
				paper_count(&b.paper, "192.0.2.2", OWNER, 0) % 4 < 3 ? PAPER_GOOD : ways[i % 3];
			loop_turn(true);
		}
		assert_fails(&b, "ns2.example.org (192.0.2.2): STALE");
		bed_end(&b);
	}
}

static void of_stale_ones_the_one_that_still_answers_is_named(void **state)
{
	static const struct paper_rr rr[] = { SOA, { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	b.options.timeout_ms = 5000;
	b.visible = visible_start(&b.options, done, &b);
	while (!b.ended) {
		if (paper_now(&b.paper) > 1000)
			paper_server(&b.paper, "192.0.2.1")->way = PAPER_SILENT;
		loop_turn(true);
	}
	assert_fails(&b, "ns2.example.org (192.0.2.2): STALE, NXDOMAIN");
	assert_string_equal(verdict_of(&b, 0), "STALE");
	assert_non_null(strstr(note_of(&b, 0), "no answer since then"));
	bed_end(&b);
}

static void a_dead_one_is_dead_in_the_end(void **state)
{
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1000, "192.0.2.1"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	static const struct {
		enum paper_way way;
		int64_t from, to;
	} rows[] = { { PAPER_SILENT, 7000, 16000 }, { PAPER_SERVFAIL, 4200, 7500 }, { PAPER_REFUSED, 4200, 7500 }, { PAPER_NOAA, 3000, 4000 },
		{ PAPER_UPWARD, 3000, 4000 } };
	struct bed b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bed_begin(&b, rr, servers);
		b.visible = visible_start(&b.options, done, &b);
		while (!b.ended) {
			if (paper_now(&b.paper) > 3000)
				paper_server(&b.paper, "192.0.2.2")->way = rows[i].way;
			loop_turn(true);
		}
		assert_visible(&b);
		assert_in_range(b.ended_at, rows[i].from, rows[i].to);
		bed_end(&b);
	}
}

/* Two values are waited for; the other one is gone after three seconds, when its CA has seen it. What the wait knows of the laggard stays. */
static void one_value_less_is_looked_for_in_the_same_wait(void **state)
{
	static const struct paper_rr rr[] = { SOA, { .zone = "example.org", .owner = OWNER, .type = DNS_TXT, .data = "tokB", .to = 3000 },
		LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), LATER(OWNER, DNS_TXT, "tokA", 20000, "192.0.2.2"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	static const char *const both[] = { "tokA", "tokB" };
	struct bed b;
	bool changed = false;

	(void)state;
	bed_begin(&b, rr, servers);
	b.options.values = both;
	b.options.nvalues = 2;
	b.visible = visible_start(&b.options, done, &b);
	while (!b.ended) {
		if (!changed && paper_now(&b.paper) > 3000) {
			assert_string_equal(js_str(js_at(js_arr(b.last, "servers"), 0), "verdict"), "OK");
			visible_change(b.visible, both, 1);
			changed = true;
		}
		loop_turn(true);
	}
	assert_visible(&b);
	assert_in_range(b.ended_at, 20000, 28000);
	assert_int_equal(js_len(js_arr(b.report, "values")), 1);
	assert_in_range(js_int(b.report, "elapsed_ms", 0), 20000, 28000);
	assert_in_range(js_int(js_at(js_arr(b.report, "servers"), 1), "since_ms", 0), 20000, 28000);
	bed_end(&b);
}

static void forget_the_second(void *arg)
{
	static const char *const first[] = { "tokA" };
	struct bed *b = arg;

	assert_string_equal(js_str(b->last, "decision"), "settle");
	visible_change(b->visible, first, 1);
}

/* Whoever takes the other value away may have taken ours as well: what was seen before does not count any more, in no phase; and the time still ends. */
static void a_change_makes_everything_be_seen_again(void **state)
{
	static const struct paper_rr rr[] = { SOA, { .zone = "example.org", .owner = OWNER, .type = DNS_TXT, .data = "tokA", .to = 4000 },
		{ .zone = "example.org", .owner = OWNER, .type = DNS_TXT, .data = "tokB", .to = 4000 }, { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	static const char *const both[] = { "tokA", "tokB" };
	struct timer timer = { 0 };
	struct bed b;

	(void)state;
	for (int64_t timeout = 3000; timeout <= 9000; timeout += 6000) { /* over when it changes, or not */
		bed_begin(&b, rr, servers);
		b.options.values = both;
		b.options.nvalues = 2;
		b.options.confirm = 0;
		b.options.settle_ms = 60000;
		b.options.timeout_ms = timeout;
		b.visible = visible_start(&b.options, done, &b);
		timer_arm(&timer, 5000, forget_the_second, &b);
		while (!b.ended)
			loop_turn(true);
		assert_in_range(b.ended_at, 9000, 11000);
		assert_fails(&b, "STALE");
		bed_end(&b);
	}
}

static void several_machines_behind_one_address(void **state)
{
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), LATER(OWNER, DNS_TXT, "tokA", 20000, "b"), { 0 } };
	struct paper_server servers[] = { AT("192.0.2.1"), { 0 } };
	struct bed b;

	(void)state;
	servers[0].twin = "b";
	for (unsigned confirm = 1; confirm < 4; confirm++) {
		bed_begin(&b, rr, servers);
		b.paper.server[0].sockets = 1; /* the first question meets the machine that has it */
		b.options.confirm = confirm;
		bed_run(&b);
		assert_visible(&b);
		assert_in_range(b.ended_at, 20000, 28000);
		bed_end(&b);
	}
}

/* The first look went over UDP: a single confirmation goes over TCP. */
static void confirmations_go_over_tcp_and_udp(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	for (unsigned confirm = 1; confirm <= 3; confirm++) {
		size_t tcp = 0, fresh = 0;

		bed_begin(&b, rr, servers);
		b.options.confirm = confirm;
		bed_run(&b);
		assert_visible(&b);
		for (size_t i = 0; i < b.paper.nasked; i++) {
			tcp += b.paper.asked[i].tcp;
			fresh += b.paper.asked[i].fresh;
			assert_true(!b.paper.asked[i].tcp || b.paper.asked[i].fresh);
		}
		assert_int_equal(tcp, 2 * ((confirm + 1) / 2));
		assert_int_equal(fresh, 2 * confirm);
		assert_string_equal(js_str(js_at(js_arr(b.report, "servers"), 0), "proto"), "u+t");
		bed_end(&b);
	}
}

/* Nothing comes over TCP: then each confirmation is had over UDP, on a socket of its own, and TCP is tried once. */
static void without_tcp_it_is_confirmed_over_udp(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	for (unsigned confirm = 1; confirm <= 3; confirm++) {
		size_t tcp = 0, udp = 0;

		bed_begin(&b, rr, servers);
		b.options.confirm = confirm;
		paper_server(&b.paper, "192.0.2.2")->way = PAPER_NOTCP;
		bed_run(&b);
		assert_visible(&b);
		for (size_t i = 0; i < b.paper.nasked; i++)
			if (strcmp(b.paper.asked[i].ip, "192.0.2.2") == 0) {
				tcp += b.paper.asked[i].tcp;
				udp += !b.paper.asked[i].tcp && b.paper.asked[i].fresh;
			}
		assert_int_equal(tcp, 1);
		assert_int_equal(udp, confirm);
		bed_end(&b);
	}
}

/* Over TCP alone a server that is dead or sick would be told as something else. */
static void who_never_showed_it_is_asked_as_before(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	paper_server(&b.paper, "192.0.2.2")->way = PAPER_SILENT;
	bed_run(&b);
	assert_visible(&b);
	assert_int_equal(paper_count(&b.paper, "192.0.2.2", OWNER, DNS_TXT), 2);
	for (size_t i = 0; i < b.paper.nasked; i++)
		assert_true(!b.paper.asked[i].tcp || strcmp(b.paper.asked[i].ip, "192.0.2.1") == 0);
	bed_end(&b);
}

static void one_that_knows_no_tcp_is_no_obstacle(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	b.options.confirm = 2;
	b.options.quorum.kind = QUORUM_STRICT;
	paper_server(&b.paper, "192.0.2.2")->way = PAPER_NOTCP;
	bed_run(&b);
	assert_visible(&b);
	assert_non_null(strstr(note_of(&b, 1), "no answer over TCP"));
	assert_string_equal(note_of(&b, 0), "");
	paper_server(&b.paper, "192.0.2.2")->way = PAPER_NOUDP;
	bed_run(&b);
	assert_visible(&b);
	assert_string_equal(js_str(js_at(js_arr(b.report, "servers"), 1), "proto"), "tcp");
	bed_end(&b);
}

static void the_case_of_letters_is_watched(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	paper_server(&b.paper, "192.0.2.2")->lowers_case = true;
	bed_run(&b);
	assert_visible(&b);
	assert_non_null(strstr(note_of(&b, 1), "0x20"));
	assert_string_equal(note_of(&b, 0), "");
	bed_end(&b);
}

static void no_ipv6_here_is_no_obstacle(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { AT("2001:db8::1"), AT("2001:db8::2"), { 0 } };
	static const struct paper_server both[] = { AT("2001:db8::1"), AT("192.0.2.1"), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, both);
	paper_server(&b.paper, "2001:db8::1")->way = PAPER_NOROUTE;
	bed_run(&b);
	assert_visible(&b);
	assert_int_equal(paper_count(&b.paper, "2001:db8::1", NULL, 0), 2); /* which costs nothing */
	bed_end(&b);
	bed_begin(&b, rr, servers);
	paper_server(&b.paper, "2001:db8::1")->way = paper_server(&b.paper, "2001:db8::2")->way = PAPER_NOROUTE;
	b.options.timeout_ms = 20000;
	bed_run(&b);
	assert_fails(&b, "no route from here (port 53 may be closed");
	bed_end(&b);
}

static void an_alias_that_appears_is_named(void **state)
{
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), LATER(OWNER, DNS_CNAME, "x.example.net", 3000, "192.0.2.2"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	b.options.timeout_ms = 20000;
	bed_run(&b);
	assert_fails(&b, "ns2.example.org (192.0.2.2): STALE, is an alias (CNAME) of x.example.net");
	bed_end(&b);
}

static void a_wildcard_counts_and_is_told(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR("*.example.org", DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_run(&b);
	assert_visible(&b);
	assert_string_equal(verdict_of(&b, 0), "WILD");
	assert_string_equal(verdict_of(&b, 1), "WILD");
	assert_string_equal(note_of(&b, 1), "by a wildcard");
	bed_end(&b);
	bed_begin(&b, rr, servers);
	b.options.confirm = 0;
	bed_run(&b);
	assert_string_equal(verdict_of(&b, 1), "WILD");
	bed_end(&b);
}

/* --- time ------------------------------------------------------------------------------------------------------------------------ */

static void it_settles_and_looks_once_more(void **state)
{
	struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), LATER(OWNER, DNS_TXT, "tokA", 30000, NULL), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	b.options.settle_ms = 10000;
	bed_run(&b);
	assert_visible(&b);
	assert_in_range(b.ended_at, 10000, 10030);
	assert_int_equal(paper_count(&b.paper, "192.0.2.1", OWNER, DNS_TXT), 3);
	bed_end(&b);
	rr[1].to = 8000; /* gone again at the last look */
	bed_begin(&b, rr, servers);
	b.options.settle_ms = 10000;
	bed_run(&b);
	assert_visible(&b);
	assert_in_range(b.ended_at, 40000, 52000);
	bed_end(&b);
	/* The time may run out while it settles, but not when the last look says no. */
	bed_begin(&b, rr, servers);
	b.options.settle_ms = 6000;
	b.options.timeout_ms = 5000;
	bed_run(&b);
	assert_visible(&b);
	bed_end(&b);
	bed_begin(&b, rr, servers);
	b.options.settle_ms = 10000;
	b.options.timeout_ms = 5000;
	bed_run(&b);
	assert_fails(&b, "STALE");
	assert_in_range(b.ended_at, 10000, 10100);
	bed_end(&b);
}

/* What could not be asked may be asked later, and then it counts. */
static void a_way_that_opens_while_it_settles(void **state)
{
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), { 0 } };
	static const struct paper_server servers[] = { AT("192.0.2.1"), AT("2001:db8::1"), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	paper_server(&b.paper, "2001:db8::1")->way = PAPER_NOROUTE;
	paper_server(&b.paper, "2001:db8::1")->until = 5000;
	b.options.settle_ms = 10000;
	b.options.timeout_ms = 30000;
	bed_run(&b);
	assert_fails(&b, "ns2.example.org (2001:db8::1): STALE");
	bed_end(&b);
}

static void nothing_to_see_is_not_seen(void **state)
{
	static const struct paper_rr rr[] = { SOA, RR(OWNER, DNS_TXT, "tokA"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } }, none[] = { { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, none);
	bed_run(&b);
	assert_fails(&b, "not visible");
	bed_end(&b);
	bed_begin(&b, rr, servers);
	b.options.nvalues = 0;
	bed_run(&b);
	assert_fails(&b, "not visible");
	bed_end(&b);
}

static void cancelled_at_any_time_it_is_silent(void **state)
{
	static const struct paper_rr rr[] = { SOA, LATER(OWNER, DNS_TXT, "tokA", 1, "192.0.2.1"), LATER(OWNER, DNS_TXT, "tokA", 300, "192.0.2.2"), { 0 } };
	static const struct paper_server servers[] = { TWO, AT("2001:db8::1"), { 0 } };
	bool ended = false;
	struct bed b;

	(void)state;
	for (int turns = 0; !ended; turns++) {
		assert_true(turns < 1000);
		bed_begin(&b, rr, servers);
		paper_server(&b.paper, "2001:db8::1")->way = PAPER_SILENT;
		b.options.settle_ms = 1000;
		b.options.gate = turns % 2 ? visible_gate_new() : NULL;
		b.visible = visible_start(&b.options, done, &b);
		for (int i = 0; i < turns && !b.ended; i++)
			loop_turn(true);
		ended = b.ended;
		visible_cancel(b.visible);
		for (int i = 0; i < 3; i++)
			loop_turn(false);
		assert_int_equal(b.ended, ended);
		visible_gate_free(b.options.gate);
		bed_end(&b);
	}
	visible_cancel(NULL);
	bed_begin(&b, rr, servers);
	b.cancel_when_told = true;
	b.visible = visible_start(&b.options, done, &b);
	while (b.visible)
		loop_turn(true);
	assert_int_equal(b.ended, 0);
	bed_end(&b);
}

/* --- many names ------------------------------------------------------------------------------------------------------------------ */

enum { MANY = 1000 };

struct crowd {
	struct paper paper;
	struct zone *zone[MANY];
	struct visible *visible[MANY];
	char owner[MANY][64];
	size_t ended, failed;
	int64_t last;
};

static void one_done(void *arg, const struct js *report, const struct err *err)
{
	struct crowd *c = arg;

	(void)report;
	c->ended++;
	c->failed += err != NULL;
	c->last = paper_now(&c->paper);
}

/* Most questions for one name at one address; and how many in all. */
static size_t most_asked(const struct crowd *c, const char *ip, size_t *all)
{
	static unsigned n[MANY];
	size_t most = 0;

	memset(n, 0, sizeof(n));
	*all = 0;
	for (size_t i = 0; i < c->paper.nasked; i++) {
		unsigned k;

		if (strcmp(c->paper.asked[i].ip, ip) != 0)
			continue;
		++*all;
		if (sscanf(c->paper.asked[i].name, "_acme-challenge.n%u.", &k) == 1 && k < MANY && ++n[k] > most)
			most = n[k];
	}
	return most;
}

static void crowd_run(struct crowd *c, struct paper_rr *rr, const struct paper_server *servers, bool bumps)
{
	static const char *const ips[] = { "192.0.2.1", "192.0.2.2", NULL };
	struct visible_gate *gate = visible_gate_new();
	struct visible_options o = { .asker = &c->paper.asker, .values = one_value, .nvalues = 1, .confirm = 1, .timeout_ms = 600000, .gate = gate };

	memset(c, 0, sizeof(*c));
	paper_begin(&c->paper, rr, servers);
	c->paper.bumps = bumps;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(c->owner[i], sizeof(c->owner[i]), "_acme-challenge.n%zu.example.org", i);
		o.zone = c->zone[i] = make_zone(c->owner[i], ips);
		c->visible[i] = visible_start(&o, one_done, c);
	}
	while (c->ended < MANY)
		loop_turn(true);
	for (size_t i = 0; i < MANY; i++)
		zone_free(c->zone[i]);
	visible_gate_free(gate);
}

/* All names are there by one wildcard: what counts is how often each is asked for. */
static void many_names_cost_little(void **state)
{
	static struct crowd c;
	struct paper_rr rr[] = { SOA, LATER("*.example.org", DNS_TXT, "tokA", 1, "192.0.2.1"), LATER("*.example.org", DNS_TXT, "tokA", 20000, "192.0.2.2"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	size_t all;

	(void)state;
	crowd_run(&c, rr, servers, true);
	assert_int_equal(c.failed, 0);
	assert_in_range(c.last, 20000, 26500);
	assert_true(most_asked(&c, "192.0.2.1", &all) <= 3);
	assert_true(most_asked(&c, "192.0.2.2", &all) <= 3);
	assert_true(all < 3 * MANY + 100);
	paper_end(&c.paper);
}

static void a_serial_that_never_moves_is_found_out(void **state)
{
	static struct crowd c;
	struct paper_rr rr[] = { SOA, LATER("*.example.org", DNS_TXT, "tokA", 1, "192.0.2.1"), LATER("*.example.org", DNS_TXT, "tokA", 20000, "192.0.2.2"), { 0 } };
	static const struct paper_server servers[] = { TWO, { 0 } };
	size_t all;

	(void)state;
	crowd_run(&c, rr, servers, false);
	assert_int_equal(c.failed, 0);
	assert_in_range(c.last, 20000, 26500);
	assert_true(most_asked(&c, "192.0.2.1", &all) <= 4);
	assert_true(most_asked(&c, "192.0.2.2", &all) <= 4);
	assert_true(all < 3 * MANY + 100);
	paper_end(&c.paper);
}

static void a_dead_server_is_not_asked_for_each_name(void **state)
{
	static struct crowd c;
	struct paper_rr rr[] = { SOA, LATER("*.example.org", DNS_TXT, "tokA", 1, "192.0.2.1"), { 0 } };
	struct paper_server servers[] = { TWO, { 0 } };
	size_t all;

	(void)state;
	servers[1].way = PAPER_SILENT;
	crowd_run(&c, rr, servers, true);
	assert_int_equal(c.failed, 0);
	most_asked(&c, "192.0.2.2", &all);
	assert_true(all < MANY + 100); /* the last round, and the gate */
	paper_end(&c.paper);
}

static int open_loop(void **state)
{
	struct err err;

	(void)state;
	simtime_start(1796000000);
	return loop_open(&err) ? 0 : -1;
}

static int close_loop(void **state)
{
	(void)state;
	loop_close();
	simtime_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_seen_at_once),
		cmocka_unit_test(lag_is_waited_for_and_seen_soon),
		cmocka_unit_test(every_quorum_waits_for_what_it_says),
		cmocka_unit_test(all_values_must_be_there_at_one_time),
		cmocka_unit_test(what_a_resolver_steps_over_is_tolerated),
		cmocka_unit_test(a_stale_one_blocks_and_is_named),
		cmocka_unit_test(one_lost_answer_makes_nothing_visible),
		cmocka_unit_test(of_stale_ones_the_one_that_still_answers_is_named),
		cmocka_unit_test(a_dead_one_is_dead_in_the_end),
		cmocka_unit_test(one_value_less_is_looked_for_in_the_same_wait),
		cmocka_unit_test(a_change_makes_everything_be_seen_again),
		cmocka_unit_test(several_machines_behind_one_address),
		cmocka_unit_test(confirmations_go_over_tcp_and_udp),
		cmocka_unit_test(without_tcp_it_is_confirmed_over_udp),
		cmocka_unit_test(who_never_showed_it_is_asked_as_before),
		cmocka_unit_test(one_that_knows_no_tcp_is_no_obstacle),
		cmocka_unit_test(the_case_of_letters_is_watched),
		cmocka_unit_test(no_ipv6_here_is_no_obstacle),
		cmocka_unit_test(an_alias_that_appears_is_named),
		cmocka_unit_test(a_wildcard_counts_and_is_told),
		cmocka_unit_test(it_settles_and_looks_once_more), cmocka_unit_test(a_way_that_opens_while_it_settles),
		cmocka_unit_test(nothing_to_see_is_not_seen),
		cmocka_unit_test(cancelled_at_any_time_it_is_silent),
		cmocka_unit_test(many_names_cost_little),
		cmocka_unit_test(a_serial_that_never_moves_is_found_out),
		cmocka_unit_test(a_dead_server_is_not_asked_for_each_name),
	};

	return cmocka_run_group_tests(tests, open_loop, close_loop);
}
