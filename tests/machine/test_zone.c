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
#include "prove/zone.h"
#include "simtime.h"

#define RR(in, of, kind, text) { .zone = in, .owner = of, .type = kind, .data = text }
#define AT(address, holds) { .ip = address, .zones = holds }
#define ORG(server2) \
	RR("org", "org", DNS_SOA, "1 900"), RR("org", "org", DNS_NS, "ns.org"), RR("org", "ns.org", DNS_A, "192.0.2.9"), \
	RR("org", "example.org", DNS_NS, "ns1.example.org"), RR("org", "example.org", DNS_NS, server2), \
	RR("org", "ns1.example.org", DNS_A, "192.0.2.1")
#define EXAMPLE \
	RR("example.org", "example.org", DNS_SOA, "7 300"), RR("example.org", "example.org", DNS_NS, "ns1.example.org"), \
	RR("example.org", "example.org", DNS_NS, "ns2.example.net"), RR("example.org", "ns1.example.org", DNS_A, "192.0.2.1"), \
	RR("example.org", "ns1.example.org", DNS_AAAA, "2001:db8::1"), RR("example.org", "www.example.org", DNS_A, "192.0.2.80")
#define NET \
	RR("example.net", "example.net", DNS_SOA, "3 600"), RR("example.net", "example.net", DNS_NS, "ns2.example.net"), \
	RR("example.net", "ns2.example.net", DNS_A, "192.0.2.2")
#define RESOLVERS AT("192.0.2.53", "*"), AT("192.0.2.54", "*")
#define SERVERS \
	RESOLVERS, AT("192.0.2.9", "org"), AT("192.0.2.1", "example.org"), AT("2001:db8::1", "example.org"), AT("192.0.2.2", "example.org example.net")

struct bed {
	struct paper paper;
	struct addr recursive[2], given[2];
	struct zone_world world;
	struct zone_find *find;
	struct zone *zone;
	struct err err;
	unsigned ended;
};

static void found(void *arg, struct zone *zone, const struct err *err)
{
	struct bed *b = arg;

	b->ended++;
	b->find = NULL;
	b->zone = zone;
	if (err)
		b->err = *err;
	assert_true(!zone == !!err);
}

static void bed_begin(struct bed *b, const struct paper_rr *rr, const struct paper_server *servers)
{
	memset(b, 0, sizeof(*b));
	paper_begin(&b->paper, rr, servers);
	assert_true(addr_parse("192.0.2.53", 53, &b->recursive[0]) && addr_parse("192.0.2.54", 53, &b->recursive[1]));
	b->world = (struct zone_world){ .asker = &b->paper.asker, .dns = (struct dns *)&b->paper, .addresses = paper_addresses,
		.addresses_cancel = paper_addresses_cancel, .recursive = b->recursive, .nrecursive = 2, .port = 53 };
}

static void bed_find(struct bed *b, const char *base)
{
	zone_free(b->zone);
	b->zone = NULL;
	b->ended = 0;
	b->find = zone_find_start(&b->world, base, found, b);
	assert_int_equal(b->ended, 0);
	while (!b->ended)
		loop_turn(true);
	for (int i = 0; i < 3; i++)
		loop_turn(false);
	assert_int_equal(b->ended, 1);
}

static void bed_end(struct bed *b)
{
	zone_free(b->zone);
	paper_end(&b->paper);
}

/* What was found as one line: easy to compare. */
static void assert_zone(const struct bed *b, const char *want)
{
	const struct zone *z = b->zone;
	char line[1024], text[ADDR_TEXT];
	size_t n;

	if (!z)
		fail_msg("not found: %s", b->err.detail);
	idl_check("Zone", z->report);
	n = (size_t)snprintf(line, sizeof(line), "%s @ %s", z->owner, z->apex);
	for (size_t i = 0; i < z->nservers; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=%s", z->servers[i].name, addr_format_ip(&z->servers[i].addr, text));
	snprintf(line + n, sizeof(line) - n, " serial %u ttl %u", z->serial, z->negative_ttl);
	assert_string_equal(line, want);
}

static void assert_note(const struct bed *b, const char *part)
{
	const struct js *notes = js_arr(b->zone->report, "notes");
	char *all;

	for (size_t i = 0; i < js_len(notes); i++)
		if (strstr(js_str_at(notes, i), part))
			return;
	all = js_dump(b->zone->report);
	fail_msg("no note \"%s\": %s", part, all);
}

#define ALL_SERVERS " ns1.example.org=192.0.2.1 ns1.example.org=2001:db8::1 ns2.example.net=192.0.2.2"

static void the_zone_is_found_and_its_parent_agrees(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "*.WWW.example.org");
	assert_zone(&b, "_acme-challenge.www.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
	assert_string_equal(b.zone->base, "www.example.org");
	assert_string_equal(b.zone->challenge, "_acme-challenge.www.example.org");
	assert_int_equal(b.zone->nchain, 0);
	assert_int_equal(b.zone->nvalues, 0);
	assert_string_equal(js_str(b.zone->report, "cut"), "SOA");
	assert_true(js_bool(b.zone->report, "parent_agrees", false));
	assert_true(b.paper.nasked <= 10);
	bed_end(&b);
}

static void the_parent_may_differ(void **state)
{
	static const struct paper_rr rr[] = { ORG("old.example.net"), EXAMPLE, NET, RR("example.net", "old.example.net", DNS_A, "192.0.2.3"), { 0 } };
	struct paper_server servers[] = { SERVERS, AT("192.0.2.3", ""), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "www.example.org");
	assert_zone(&b, "_acme-challenge.www.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
	assert_false(js_bool(b.zone->report, "parent_agrees", true));
	assert_string_equal(js_str_at(js_arr(b.zone->report, "missing_at_parent"), 0), "ns2.example.net");
	assert_string_equal(js_str_at(js_arr(b.zone->report, "lame_at_parent"), 0), "old.example.net");
	assert_note(&b, "old.example.net is a name server of example.org only by its parent zone");
	bed_end(&b);
	/* It still has an old copy of the zone: resolvers believe it, so it is watched as well. */
	servers[6].zones = "example.org";
	bed_begin(&b, rr, servers);
	bed_find(&b, "www.example.org");
	assert_zone(&b, "_acme-challenge.www.example.org @ example.org" ALL_SERVERS " old.example.net=192.0.2.3 serial 7 ttl 300");
	assert_int_equal(js_len(js_arr(b.zone->report, "lame_at_parent")), 0);
	bed_end(&b);
}

static void values_that_are_there_are_told(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", "_acme-challenge.www.example.org", DNS_TXT, "left over"),
		RR("example.org", "_acme-challenge.www.example.org", DNS_TXT, "an|other"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "www.example.org");
	assert_zone(&b, "_acme-challenge.www.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
	assert_int_equal(b.zone->nvalues, 2);
	assert_string_equal(b.zone->values[0], "left over");
	assert_string_equal(b.zone->values[1], "another");
	bed_end(&b);
}

static void the_next_recursive_server_is_asked(void **state)
{
	static const enum paper_way ways[] = { PAPER_SILENT, PAPER_NOROUTE, PAPER_REFUSED, PAPER_SERVFAIL, PAPER_BROKEN, PAPER_GARBLED };
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		bed_begin(&b, rr, servers);
		paper_server(&b.paper, "192.0.2.53")->way = ways[i];
		bed_find(&b, "www.example.org");
		assert_zone(&b, "_acme-challenge.www.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
		paper_server(&b.paper, "192.0.2.54")->way = ways[i];
		bed_find(&b, "www.example.org");
		assert_null(b.zone);
		assert_int_equal(b.err.kind, ERR_TEMP);
		assert_string_equal(b.err.type, "dns");
		assert_non_null(strstr(b.err.detail, "192.0.2.53"));
		assert_non_null(strstr(b.err.detail, "192.0.2.54"));
		bed_end(&b);
	}
}

static void a_bogus_zone_is_called_bogus(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	paper_server(&b.paper, "192.0.2.53")->way = paper_server(&b.paper, "192.0.2.54")->way = PAPER_BOGUS;
	bed_find(&b, "www.example.org");
	assert_null(b.zone);
	assert_non_null(strstr(b.err.detail, "bogus"));
	bed_end(&b);
}

static void an_alias_at_the_base_is_not_its_zone(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", "shop.example.org", DNS_CNAME, "www.example.net"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "shop.example.org");
	assert_zone(&b, "_acme-challenge.shop.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
	bed_end(&b);
}

static void what_does_not_exist_is_said(void **state)
{
	static const struct paper_rr rr[] = { RR("", "", DNS_SOA, "1 900"), ORG("ns2.example.net"), EXAMPLE, NET, { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "example.nosuch");
	assert_null(b.zone);
	assert_non_null(strstr(b.err.detail, "example.nosuch does not exist"));
	bed_find(&b, "_x.example.org");
	assert_int_equal(b.err.kind, ERR_INPUT);
	bed_find(&b, "a..b");
	assert_int_equal(b.err.kind, ERR_INPUT);
	bed_find(&b, "");
	assert_int_equal(b.err.kind, ERR_INPUT);
	bed_end(&b);
}

/* --- delegations ----------------------------------------------------------------------------------------------------------------- */

#define CHILD "_acme-challenge.www.example.org"
#define CHILD_ZONE(extra) \
	RR(CHILD, CHILD, DNS_SOA, "90 60"), RR(CHILD, CHILD, DNS_NS, "ns.child.net"), RR(CHILD, CHILD, DNS_NS, extra), \
	RR("child.net", "child.net", DNS_SOA, "3 600"), RR("child.net", "ns.child.net", DNS_A, "192.0.2.21")

static void a_referral_is_followed(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", CHILD, DNS_NS, "ns.child.net"),
		RR("example.org", CHILD, DNS_NS, "ns." CHILD), RR("example.org", "ns." CHILD, DNS_A, "192.0.2.22"), CHILD_ZONE("ns." CHILD), { 0 } };
	static const struct paper_server servers[] = { SERVERS, AT("192.0.2.21", CHILD " child.net"), AT("192.0.2.22", CHILD), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "www.example.org");
	/* The second one's address is glue: its name is below the challenge, so recursive servers are not asked for it. */
	assert_zone(&b, CHILD " @ " CHILD " ns." CHILD "=192.0.2.22 ns.child.net=192.0.2.21 serial 90 ttl 60");
	assert_string_equal(js_str(b.zone->report, "cut"), "referral");
	assert_true(js_bool(b.zone->report, "parent_agrees", false));
	assert_note(&b, "not asked of recursive servers");
	bed_end(&b);
}

static void a_zone_beside_its_parent_is_noticed(void **state)
{
	static const char *const values[] = { NULL, "left over" };
	struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", CHILD, DNS_NS, "ns.child.net"), CHILD_ZONE("ns2.example.net"),
		RR(CHILD, CHILD, DNS_TXT, "left over"), { 0 } };
	static const struct paper_server servers[] = { RESOLVERS, AT("192.0.2.9", "org"), AT("192.0.2.1", "example.org " CHILD), AT("2001:db8::1", "example.org " CHILD),
		AT("192.0.2.2", "example.org " CHILD), AT("192.0.2.21", CHILD), { 0 } };
	struct bed b;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		rr[sizeof(rr) / sizeof(*rr) - 2].zone = values[i] ? CHILD : NULL;
		bed_begin(&b, rr, servers);
		bed_find(&b, "www.example.org");
		assert_zone(&b, CHILD " @ " CHILD " ns.child.net=192.0.2.21 ns2.example.net=192.0.2.2 serial 90 ttl 60");
		assert_string_equal(js_str(b.zone->report, "cut"), "answer");
		assert_int_equal(b.zone->nvalues, i);
		bed_end(&b);
	}
}

static void delegations_without_end_are_refused(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	paper_server(&b.paper, "192.0.2.1")->way = paper_server(&b.paper, "2001:db8::1")->way = PAPER_REFUSED;
	paper_server(&b.paper, "192.0.2.2")->way = PAPER_DEEPER;
	bed_find(&b, "l.k.j.i.h.g.f.e.d.c.b.example.org");
	assert_null(b.zone);
	assert_non_null(strstr(b.err.detail, "more than 8 delegations"));
	bed_end(&b);
}

/* --- aliases --------------------------------------------------------------------------------------------------------------------- */

#define CHALLENGE "_acme-challenge.www.example.org"

static void a_chain_is_followed_into_other_zones(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", CHALLENGE, DNS_CNAME, "hop.example.org"),
		RR("example.org", "hop.example.org", DNS_CNAME, "d1._acme-challenge.example.net"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "www.example.org");
	assert_zone(&b, "d1._acme-challenge.example.net @ example.net ns2.example.net=192.0.2.2 serial 3 ttl 600");
	assert_string_equal(b.zone->challenge, CHALLENGE);
	assert_int_equal(b.zone->nchain, 3);
	assert_string_equal(b.zone->chain[0], CHALLENGE);
	assert_string_equal(b.zone->chain[1], "hop.example.org");
	assert_string_equal(b.zone->chain[2], b.zone->owner);
	assert_false(b.zone->wildcard_cname);
	/* A target that is to be made only now is not asked of recursive servers either: only its parent is. */
	assert_int_equal(paper_count(&b.paper, "192.0.2.53", "d1._acme-challenge.example.net", 0), 0);
	assert_int_equal(paper_count(&b.paper, "192.0.2.53", "hop.example.org", 0), 0);
	bed_end(&b);
}

static void loops_and_long_chains_are_refused(void **state)
{
	static char names[ZONE_HOPS_MAX + 3][40];
	static struct paper_rr rr[40] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", CHALLENGE, DNS_CNAME, "h0.example.org") };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;
	size_t n = 0, first;

	(void)state;
	while (rr[n].zone)
		n++;
	first = n;
	for (int i = 0; i < ZONE_HOPS_MAX + 2; i++)
		snprintf(names[i], sizeof(names[i]), "h%d.example.org", i);
	for (int i = 0; i < ZONE_HOPS_MAX - 1; i++)
		rr[n++] = (struct paper_rr)RR("example.org", names[i], DNS_CNAME, names[i + 1]);
	bed_begin(&b, rr, servers);
	bed_find(&b, "www.example.org"); /* ten are allowed */
	assert_zone(&b, "h9.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
	rr[n++] = (struct paper_rr)RR("example.org", names[ZONE_HOPS_MAX - 1], DNS_CNAME, names[ZONE_HOPS_MAX]);
	bed_find(&b, "www.example.org");
	assert_non_null(strstr(b.err.detail, "longer than 10"));
	rr[first + 3].data = "h1.example.org";
	bed_find(&b, "www.example.org");
	assert_non_null(strstr(b.err.detail, "loop"));
	rr[first].data = CHALLENGE;
	bed_find(&b, "www.example.org");
	assert_non_null(strstr(b.err.detail, "loop"));
	rr[first - 1].data = CHALLENGE;
	bed_find(&b, "www.example.org");
	assert_non_null(strstr(b.err.detail, "loop"));
	bed_end(&b);
}

static void a_wildcard_alias_is_not_followed(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", "*.example.org", DNS_CNAME, "lb.example.net"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "new.example.org");
	assert_zone(&b, "_acme-challenge.new.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
	assert_true(b.zone->wildcard_cname);
	assert_true(js_bool(b.zone->report, "wildcard_cname", false));
	assert_note(&b, "only by a wildcard");
	bed_end(&b);
}

static void an_alias_beside_a_wildcard_is_followed(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", "*.example.org", DNS_CNAME, "lb.example.net"),
		RR("example.org", "_acme-challenge.new.example.org", DNS_CNAME, "x.example.net"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "new.example.org");
	assert_string_equal(b.zone->owner, "x.example.net");
	assert_false(b.zone->wildcard_cname);
	bed_end(&b);
}

/* --- servers that are of no use -------------------------------------------------------------------------------------------------- */

static void useless_servers_are_skipped(void **state)
{
	static const enum paper_way ways[] = { PAPER_SILENT, PAPER_NOROUTE, PAPER_BROKEN, PAPER_GARBLED, PAPER_REFUSED, PAPER_SERVFAIL, PAPER_NOTIMP, PAPER_NOAA,
		PAPER_UPWARD };
	static const char *const text[] = { "no answer", "no route", "another question", "broken", "REFUSED", "SERVFAIL", "NOTIMP", "not authoritative",
		"name servers of the root" };
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		bed_begin(&b, rr, servers);
		paper_server(&b.paper, "192.0.2.1")->way = paper_server(&b.paper, "2001:db8::1")->way = ways[i];
		bed_find(&b, "www.example.org");
		assert_zone(&b, "_acme-challenge.www.example.org @ example.org" ALL_SERVERS " serial 7 ttl 300");
		paper_server(&b.paper, "192.0.2.2")->way = ways[i];
		bed_find(&b, "www.example.org");
		if (ways[i] == PAPER_SILENT || ways[i] == PAPER_NOROUTE) { /* that may be our side: recursive servers will have to tell, once it is written */
			assert_zone(&b, "_acme-challenge.www.example.org @ example.org" ALL_SERVERS " serial 0 ttl 0");
			assert_note(&b, "no name server of example.org answers from here (is port 53 closed?): whether _acme-challenge.www.example.org is an alias");
			bed_end(&b);
			continue;
		}
		assert_null(b.zone);
		if (!strstr(b.err.detail, text[i]) || !strstr(b.err.detail, "ns1.example.org (192.0.2.1)") || !strstr(b.err.detail, "ns2.example.net (192.0.2.2)"))
			fail_msg("%s", b.err.detail);
		bed_end(&b);
	}
}

static void servers_without_an_address_are_noted(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, { 0 } };
	static const struct paper_rr none[] = { RR("example.org", "example.org", DNS_SOA, "7 300"), RR("example.org", "example.org", DNS_NS, "ns9.example.net"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_find(&b, "www.example.org");
	assert_int_equal(b.zone->nservers, 2);
	assert_note(&b, "ns2.example.net");
	bed_end(&b);
	bed_begin(&b, none, servers);
	bed_find(&b, "www.example.org");
	assert_null(b.zone);
	assert_non_null(strstr(b.err.detail, "ns9.example.net"));
	bed_end(&b);
}

/* The configuration names the server to ask. */
static void bed_give(struct bed *b)
{
	assert_true(addr_parse("10.0.0.1", 53, &b->given[0]));
	b->world.servers = b->given;
	b->world.nservers = 1;
}

static void given_servers_are_asked_instead(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, { 0 } };
	static const struct paper_server servers[] = { SERVERS, AT("10.0.0.1", "example.org"), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_give(&b);
	bed_find(&b, "www.example.org");
	assert_zone(&b, "_acme-challenge.www.example.org @ example.org =10.0.0.1 serial 7 ttl 300");
	assert_int_equal(paper_count(&b.paper, "192.0.2.1", NULL, 0), 0);
	bed_end(&b);
}

static size_t alias_servers(void *arg, const char *owner, const struct addr **servers)
{
	struct bed *b = arg;

	assert_true(dns_name_is_in(owner, "example.net"));
	*servers = &b->given[1];
	return 1;
}

/* They were given for the zone of the name: of another one they need not know anything. */
static void given_servers_are_not_asked_for_the_zone_of_an_alias(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", CHALLENGE, DNS_CNAME, "hop.example.org"),
		RR("example.org", "hop.example.org", DNS_CNAME, "d1._acme-challenge.example.net"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, AT("10.0.0.1", "example.org"), AT("10.0.0.2", "example.net"), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_give(&b);
	assert_true(addr_parse("10.0.0.2", 53, &b.given[1]));
	bed_find(&b, "www.example.org");
	assert_zone(&b, "d1._acme-challenge.example.net @ example.net ns2.example.net=192.0.2.2 serial 3 ttl 600");
	assert_int_equal(b.zone->nchain, 3);
	assert_int_equal(paper_count(&b.paper, "10.0.0.1", "d1._acme-challenge.example.net", 0), 0);
	assert_int_equal(paper_count(&b.paper, "192.0.2.1", CHALLENGE, 0), 0);
	b.world.alias_servers = alias_servers;
	b.world.alias_arg = &b;
	bed_find(&b, "www.example.org");
	assert_zone(&b, "d1._acme-challenge.example.net @ example.net =10.0.0.2 serial 3 ttl 600");
	bed_end(&b);
}

/* An alias within the zone, or into one below that the same servers hold: they are still the ones. */
static void given_servers_hold_what_is_below_as_well(void **state)
{
	static const struct paper_rr rr[] = { ORG("ns2.example.net"), EXAMPLE, NET, RR("example.org", CHALLENGE, DNS_CNAME, "hop.sub.example.org"),
		RR("sub.example.org", "sub.example.org", DNS_SOA, "8 200"), RR("sub.example.org", "sub.example.org", DNS_NS, "ns.sub.example.org"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, AT("10.0.0.1", "example.org sub.example.org"), { 0 } };
	struct bed b;

	(void)state;
	bed_begin(&b, rr, servers);
	bed_give(&b);
	bed_find(&b, "www.example.org");
	assert_zone(&b, "hop.sub.example.org @ sub.example.org =10.0.0.1 serial 8 ttl 200");
	bed_end(&b);
}

/* --- ends ------------------------------------------------------------------------------------------------------------------------ */

static void cancelled_at_any_time_it_is_silent(void **state)
{
	static const struct paper_rr rr[] = { ORG("old.example.net"), EXAMPLE, NET, RR("example.org", CHALLENGE, DNS_CNAME, "d1.example.net"),
		RR("example.net", "old.example.net", DNS_A, "192.0.2.3"), { 0 } };
	static const struct paper_server servers[] = { SERVERS, AT("192.0.2.3", "example.org"), { 0 } };
	bool ended = false;
	struct bed b;

	(void)state;
	for (int turns = 0; !ended; turns++) {
		assert_true(turns < 500);
		bed_begin(&b, rr, servers);
		b.find = zone_find_start(&b.world, "www.example.org", found, &b);
		for (int i = 0; i < turns && !b.ended; i++)
			loop_turn(true);
		ended = b.ended;
		zone_find_cancel(b.find);
		b.find = NULL;
		for (int i = 0; i < 3; i++)
			loop_turn(false);
		assert_int_equal(b.ended, ended);
		bed_end(&b);
	}
	zone_find_cancel(NULL);
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
		cmocka_unit_test(the_zone_is_found_and_its_parent_agrees),
		cmocka_unit_test(the_parent_may_differ),
		cmocka_unit_test(values_that_are_there_are_told),
		cmocka_unit_test(the_next_recursive_server_is_asked),
		cmocka_unit_test(a_bogus_zone_is_called_bogus),
		cmocka_unit_test(an_alias_at_the_base_is_not_its_zone),
		cmocka_unit_test(what_does_not_exist_is_said),
		cmocka_unit_test(a_referral_is_followed),
		cmocka_unit_test(a_zone_beside_its_parent_is_noticed),
		cmocka_unit_test(delegations_without_end_are_refused),
		cmocka_unit_test(a_chain_is_followed_into_other_zones),
		cmocka_unit_test(loops_and_long_chains_are_refused),
		cmocka_unit_test(a_wildcard_alias_is_not_followed),
		cmocka_unit_test(an_alias_beside_a_wildcard_is_followed),
		cmocka_unit_test(useless_servers_are_skipped),
		cmocka_unit_test(servers_without_an_address_are_noted),
		cmocka_unit_test(given_servers_are_asked_instead),
		cmocka_unit_test(given_servers_are_not_asked_for_the_zone_of_an_alias),
		cmocka_unit_test(given_servers_hold_what_is_below_as_well),
		cmocka_unit_test(cancelled_at_any_time_it_is_silent),
	};

	return cmocka_run_group_tests(tests, open_loop, close_loop);
}
