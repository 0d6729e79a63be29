/* SPDX-License-Identifier: ISC */
/* `dovactl explain` on replies as the daemon sends them: each fits the published interface, and its text is held line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/print.h"
#include "ctl/print_explain.h"
#include "idl_check.h"

enum { NOW = 1795348800 }; /* 2026-11-22T12:00:00Z */

static char *text;
static size_t size;

static void explain(const char *certificate, bool colour)
{
	char *json;
	FILE *out = open_memstream(&text, &size);
	struct print *p = print_new(out, colour);
	struct err err = {0};
	struct js *reply;

	assert_true(asprintf(&json, "{\"certificate\":%s}", certificate) > 0);
	reply = js_parse(json, strlen(json), &err);
	if (!reply)
		fail_msg("%s", err.detail);
	idl_check_reply("Show", reply);
	print_explain(p, reply, true);
	js_free(reply);
	free(json);
	print_free(p);
	fclose(out);
}

static void expect(const char *certificate, const char *wanted)
{
	explain(certificate, false);
	assert_string_equal(text, wanted);
	free(text);
}

static int set_up(void **state)
{
	(void)state;
	clock_freeze(NOW);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	clock_thaw();
	return 0;
}

/* --- replies ------------------------------------------------------------------------------------------------------------------------ */

#define CERT(state, more) "{\"name\":\"www.example.com\",\"names\":[\"www.example.com\"],\"ca\":\"le\",\"state\":\"" state "\"," more "}"
#define ORDER(kind, step, more, proofs) \
	"\"" kind "\":{\"step\":\"" step "\",\"ca\":\"le\",\"begun\":\"2026-11-22T11:59:47Z\"" more ",\"proofs\":[" proofs "]}"
#define PROOF(method, step, seen, more) \
	"{\"name\":\"www.example.com\",\"method\":\"" method "\",\"step\":\"" step "\",\"seen\":{" seen "}" more "}"
#define ERROR(kind, type, detail) "{\"kind\":\"" kind "\",\"type\":\"" type "\",\"detail\":\"" detail "\"}"

#define ROW(name, address, how, more) "{\"name\":\"" name "\",\"address\":\"" address "\"," how ",\"note\":\"" more "\"}"
#define OK_AT(name, address, serial) \
	ROW(name, address, "\"proto\":\"udp\",\"seen\":3,\"rtt_ms\":11.31,\"rcode\":\"NOERROR\",\"aa\":true,\"serial\":" serial \
	    ",\"verdict\":\"OK\",\"since_ms\":51", "")
#define STALE_AT(name, address, next) \
	ROW(name, address, "\"proto\":\"udp\",\"seen\":9,\"rtt_ms\":24.2,\"rcode\":\"NXDOMAIN\",\"aa\":true,\"serial\":2026112205" \
	    ",\"verdict\":\"STALE\",\"since_ms\":12" next, "NXDOMAIN; 1 serial behind")
#define SILENT_AT(name, address) ROW(name, address, "\"proto\":\"u+t\",\"seen\":0,\"verdict\":\"SILENT\",\"since_ms\":4100", "no answer")
#define NOROUTE_AT(name, address) ROW(name, address, "\"proto\":\"-\",\"seen\":0,\"verdict\":\"NOROUTE\",\"since_ms\":0", "no way there from here")

#define PLACE "\"name\":\"_acme-challenge.www.example.com\",\"values\":[\"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0\"],\"zone\":\"example.com\","
#define FOUND(chain, more) \
	"\"challenge\":\"_acme-challenge.www.example.com\",\"found\":{\"zone\":\"example.com\",\"cut\":\"SOA\",\"chain\":[" chain \
	"],\"wildcard_cname\":false,\"serial\":2026112205,\"negative_ttl\":300,\"notes\":[]" more "}"
#define AGREES ",\"parent_agrees\":true,\"missing_at_parent\":[],\"lame_at_parent\":[]"
#define STATE(decision, why, questions, elapsed) \
	"\"serial_before\":2026112205,\"serial\":2026112206,\"negative_ttl\":300,\"decision\":\"" decision "\",\"why\":\"" why "\",\"questions\":" questions \
	",\"elapsed_ms\":" elapsed ","

#define LIVE \
	CERT("proving", "\"next_step\":\"prove\",\"attempts\":0,\"targets\":[],\"generation\":0," ORDER("order", "prove", "", \
		PROOF("dns:corp", "see", PLACE STATE("wait", "not there yet: ns2.example.net (1 stale, 1 without an answer, 0 not asked)", "16", "12800") \
			"\"servers\":[" OK_AT("ns1.example.com", "192.0.2.53", "2026112206") "," NOROUTE_AT("ns1.example.com", "2001:db8::53") "," \
			STALE_AT("ns2.example.net", "198.51.100.53", ",\"next_ms\":18900") "," SILENT_AT("ns3.example.net", "203.0.113.9") "],\"notes\":[]," \
			FOUND("", AGREES) ",\"usual_ms\":14000,\"usual_of\":22", "")))

static void one_that_waits_for_a_stale_secondary(void **state)
{
	(void)state;
	expect(LIVE,
		"www.example.com\n"
		"  state        proving, since 2026-11-22T11:59:47Z (13s ago)\n"
		"  order        prove at le, begun 2026-11-22T11:59:47Z (13s ago)\n"
		"\n"
		"www.example.com by dns:corp: see\n"
		"  _acme-challenge.www.example.com   value LoqX...X0   zone example.com (cut by SOA, parent agrees)   serial 2026112205 -> 2026112206\n"
		"  chain: none   wildcard: no   negTTL 300 s\n"
		"  NS               address        proto  seen  rtt    rcode     AA  serial      verdict  since   note\n"
		"  ns1.example.com  192.0.2.53     udp    3     11 ms  NOERROR   y   2026112206  OK       0.05 s\n"
		"  ns1.example.com  2001:db8::53   -      0     -      -         -   -           NOROUTE  0.00 s  no way there from here\n"
		"  ns2.example.net  198.51.100.53  udp    9     24 ms  NXDOMAIN  y   2026112205  STALE    0.01 s  NXDOMAIN; 1 serial behind; next look in 6.1 s\n"
		"  ns3.example.net  203.0.113.9    u+t    0     -      -         -   -           SILENT   4.1 s   no answer\n"
		"  decision: WAIT: not there yet: ns2.example.net (1 stale, 1 without an answer, 0 not asked)\n"
		"  asked 16 questions   elapsed 12.8 s   last opinion: none   usual for this provider: 14.0 s (p50 of 22)\n");
}

static void one_that_is_visible(void **state)
{
	(void)state;
	expect(CERT("waiting", "\"next_step\":\"renew\",\"next_at\":\"2026-12-22T12:00:00Z\",\"generation\":4," ORDER("last_order", "prove",
		",\"proved\":\"2026-11-22T11:59:59Z\"",
		PROOF("dns:corp", "valid", "\"ok\":true,\"name\":\"a1.acme.example.net\",\"values\":[\"tokA\",\"tokB\"],\"zone\":\"acme.example.net\","
			STATE("visible", "", "8", "51") "\"servers\":[" OK_AT("", "192.0.2.53", "2026112206") "],"
			"\"notes\":[\"the values are there by a wildcard\"],"
			FOUND("\"_acme-challenge.www.example.com\",\"a1.acme.example.net\"",
				",\"parent_agrees\":false,\"missing_at_parent\":[\"ns2.example.net\"],\"lame_at_parent\":[\"old.example.net\"]")
			",\"opinions\":[{\"server\":\"192.0.2.1:53\",\"ok\":true,\"asked\":1,\"rcode\":\"NOERROR\"},"
			"{\"server\":\"https://dns.example/q\",\"ok\":false,\"asked\":2,\"rcode\":\"NXDOMAIN\",\"text\":\"NXDOMAIN, kept for 297 s\",\"next_ms\":298000}],"
			"\"fallback\":\"recursive servers are asked instead\"", ",\"wildcard\":true"))),
		"www.example.com\n"
		"  state        waiting\n"
		"  next step    renew at 2026-12-22T12:00:00Z (in 30d)\n"
		"  last order   prove at le, begun 2026-11-22T11:59:47Z (13s ago), proofs over 2026-11-22T11:59:59Z (1s ago)\n"
		"\n"
		"*.www.example.com by dns:corp: valid\n"
		"  a1.acme.example.net   values tokA, tokB   zone acme.example.net (cut by SOA, parent differs)   serial 2026112205 -> 2026112206\n"
		"  chain: _acme-challenge.www.example.com -> a1.acme.example.net   wildcard: no   negTTL 300 s\n"
		"  NS  address     proto  seen  rtt    rcode    AA  serial      verdict  since   note\n"
		"  -   192.0.2.53  udp    3     11 ms  NOERROR  y   2026112206  OK       0.05 s\n"
		"  opinion of 192.0.2.1:53: it is there\n"
		"  opinion of https://dns.example/q: NXDOMAIN, kept for 297 s; next question in 4m 58s\n"
		"  decision: VISIBLE\n"
		"  asked 8 questions   elapsed 0.05 s   last opinion: 1 of 2 see it\n"
		"  not listed by the parent zone: ns2.example.net\n"
		"  listed by the parent zone only, and does not serve the zone: old.example.net\n"
		"  note: the values are there by a wildcard\n"
		"  note: recursive servers are asked instead\n");
}

#define REFUSED(kind, type, detail, servers) \
	CERT("failed", "\"next_step\":\"retry\",\"next_at\":\"2026-11-22T12:10:00Z\",\"attempts\":1,\"last_error\":{\"kind\":\"" kind "\",\"type\":\"" type \
		"\",\"detail\":\"" detail "\",\"during\":\"prove www.example.com\",\"at\":\"2026-11-22T11:59:59Z\"}," \
		ORDER("last_order", "prove", ",\"proved\":\"2026-11-22T11:59:59Z\"", PROOF("dns:corp", "failed", "\"ok\":true," PLACE \
			STATE("visible", "", "8", "51") "\"servers\":[" OK_AT("ns1.example.com", "192.0.2.53", "2026112206") "," \
			OK_AT("ns2.example.net", "198.51.100.53", "2026112206") "," SILENT_AT("ns3.example.net", "203.0.113.9") "]," FOUND("", AGREES) \
			",\"review\":{\"ca\":" ERROR(kind, type, detail) ",\"seen\":{\"ok\":false," PLACE STATE("failed", "", "4", "3000") \
			"\"servers\":[" servers "],\"notes\":[]," FOUND("", AGREES) "},\"error\":" ERROR("temp", "propagation", "not visible") "}", \
			",\"error\":" ERROR(kind, type, detail))))

#define OK_1 OK_AT("ns1.example.com", "192.0.2.53", "2026112206")
#define OK_2 OK_AT("ns2.example.net", "198.51.100.53", "2026112206")
#define STALE_2 STALE_AT("ns2.example.net", "198.51.100.53", "")
#define SILENT_3 SILENT_AT("ns3.example.net", "203.0.113.9")

static void one_that_the_ca_did_not_see(void **state)
{
	(void)state;
	expect(REFUSED("temp", "unauthorized", "No TXT record found", OK_1 "," STALE_2 "," SILENT_3),
		"www.example.com\n"
		"  state        failed, since 2026-11-22T11:59:59Z (1s ago)\n"
		"  next step    retry at 2026-11-22T12:10:00Z (in 10m)\n"
		"  last error   prove www.example.com: No TXT record found (unauthorized)\n"
		"               at 2026-11-22T11:59:59Z (1s ago)\n"
		"  what to do   The CA did not find the proof: see below who did not show it, and that no CDN, other host or old record answers for the name.\n"
		"  last order   prove at le, begun 2026-11-22T11:59:47Z (13s ago), proofs over 2026-11-22T11:59:59Z (1s ago)\n"
		"\n"
		"www.example.com by dns:corp: failed\n"
		"  _acme-challenge.www.example.com   value LoqX...X0   zone example.com (cut by SOA, parent agrees)   serial 2026112205 -> 2026112206\n"
		"  chain: none   wildcard: no   negTTL 300 s\n"
		"  NS               address        proto  seen  rtt    rcode    AA  serial      verdict  since   note\n"
		"  ns1.example.com  192.0.2.53     udp    3     11 ms  NOERROR  y   2026112206  OK       0.05 s\n"
		"  ns2.example.net  198.51.100.53  udp    3     11 ms  NOERROR  y   2026112206  OK       0.05 s\n"
		"  ns3.example.net  203.0.113.9    u+t    0     -      -        -   -           SILENT   4.1 s   no answer\n"
		"  decision: VISIBLE\n"
		"  asked 8 questions   elapsed 0.05 s   last opinion: none\n"
		"  the CA said  No TXT record found (unauthorized)\n"
		"  we see       right after it, within 3.0 s:\n"
		"  NS               address        proto  seen  rtt    rcode     AA  serial      verdict  since   note\n"
		"  ns1.example.com  192.0.2.53     udp    3     11 ms  NOERROR   y   2026112206  OK       0.05 s\n"
		"  ns2.example.net  198.51.100.53  udp    9     24 ms  NXDOMAIN  y   2026112205  STALE    0.01 s  NXDOMAIN; 1 serial behind\n"
		"  ns3.example.net  203.0.113.9    u+t    0     -      -         -   -           SILENT   4.1 s   no answer\n"
		"  not shown by ns2.example.net (198.51.100.53): STALE now, OK before\n"
		"               ns3.example.net (203.0.113.9): SILENT now, SILENT before\n"
		"  so           the CA seems to have asked one that shows it no more; dovad waits longer next time\n");
}

/* What stands below "the CA said", as it depends on what the review found. */
static void words_beside_the_ca(void **state)
{
	static const struct {
		const char *reply, *wanted;
	} rows[] = {
		{REFUSED("temp", "unauthorized", "Incorrect TXT record", OK_1 "," OK_2),
			"  so           from here every server shows it: the CA looks from elsewhere; dovad waits longer next time\n"},
		{REFUSED("temp", "dns", "SERVFAIL looking up TXT", OK_1 "," SILENT_3),
			"  not shown by ns3.example.net (203.0.113.9): SILENT now, SILENT before\n"
			"  so           no server shows it less than before: the CA looks from elsewhere, or asked one of these; "
			"dovad waits longer next time\n"},
		{REFUSED("temp", "unauthorized", "No TXT record", STALE_2 "," STALE_AT("ns4.example.net", "203.0.113.4", "")),
			"  not shown by ns2.example.net (198.51.100.53): STALE now, OK before\n"
			"               ns4.example.net (203.0.113.4): STALE now, not asked before\n"
			"  so           the CA seems to have asked one that shows it no more; dovad waits longer next time\n"},
		{REFUSED("denied", "caa", "CAA record prevents issuance", OK_1 "," OK_2), "  so           it is not the record that the CA speaks of\n"},
		{REFUSED("denied", "caa", "CAA record prevents issuance", ""), "  we see       nothing: our own look right after it failed: not visible (propagation)\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		explain(rows[i].reply, false);
		if (!strstr(text, rows[i].wanted))
			fail_msg("row %zu: %s", i, text);
		free(text);
	}
}

static void a_ca_that_keeps_its_answer(void **state)
{
	(void)state;
	explain(CERT("failed", "\"last_error\":{\"kind\":\"temp\",\"type\":\"dns\",\"detail\":\"NXDOMAIN\",\"not_before\":\"2026-11-22T13:00:00Z\"}"), false);
	if (!strstr(text, " Until 2026-11-22T13:00:00Z (in 1h) the CA may keep the answer that it had.\n"))
		fail_msg("%s", text);
	free(text);
}

static void one_by_http(void **state)
{
	(void)state;
	expect(CERT("failed", "\"last_error\":{\"kind\":\"limit\",\"type\":\"rateLimited\",\"detail\":\"too many\",\"status\":429,"
			      "\"not_before\":\"2026-11-22T13:00:00Z\"}," ORDER("last_order", "prove", "",
			PROOF("http:www", "failed", "\"ok\":false,\"addresses\":[{\"address\":\"192.0.2.1:80\",\"ok\":true},"
				"{\"address\":\"[2001:db8::1]:80\",\"ok\":false,\"text\":\"connection refused\"}]",
				",\"error\":" ERROR("temp", "connection", "Timeout during connect")) ","
			PROOF("dns:corp", "failed", "\"error\":" ERROR("denied", "zones", "no dns entry has it"), ",\"error\":" ERROR("limit", "rateLimited", "too many")))),
		"www.example.com\n"
		"  state        failed\n"
		"  last error   too many (rateLimited, HTTP 429)\n"
		"  what to do   Too many requests in the CA's eyes: nothing to do but wait; each attempt by hand makes it longer. "
		"The CA takes no attempt before 2026-11-22T13:00:00Z (in 1h).\n"
		"  last order   prove at le, begun 2026-11-22T11:59:47Z (13s ago)\n"
		"\n"
		"www.example.com by http:www: failed\n"
		"  192.0.2.1:80: the proof is there\n"
		"  [2001:db8::1]:80: connection refused\n"
		"  error        Timeout during connect (connection)\n"
		"  what to do   The CA could not connect: let port 80 of every address of the name (AAAA too) be reached from the whole Internet.\n"
		"\n"
		"www.example.com by dns:corp: failed\n"
		"  the look failed: no dns entry has it (zones)\n"
		"  error        too many (rateLimited)\n");
}

static void one_without_an_order(void **state)
{
	(void)state;
	expect(CERT("stale", "\"targets\":[{\"service\":\"nginx\",\"address\":\"127.0.0.1:443\",\"ok\":true},"
			     "{\"service\":\"nginx\",\"address\":\"[::1]:443\",\"ok\":false,\"text\":\"serves another certificate\"}],"
			     "\"last_error\":" ERROR("local", "stale", "it serves another")),
		"www.example.com\n"
		"  state        stale\n"
		"  last error   it serves another (stale)\n"
		"  what to do   It is installed, but a service still serves another one: see what that service reads, and that its reload reaches it; dovad goes on trying.\n"
		"  served       nginx [::1]:443: serves another certificate\n"
		"  last order   none so far\n");
	expect(CERT("waiting", "\"next_step\":\"renew\",\"next_at\":\"2026-11-22T11:59:46Z\""),
		"www.example.com\n"
		"  state        waiting\n"
		"  next step    renew now\n"
		"  last order   none so far\n");
	expect(CERT("waiting", "\"last_order\":{\"step\":\"request\",\"ca\":\"le\",\"begun\":\"2026-11-22T11:59:46Z\",\"proved\":\"2026-11-22T11:59:46Z\",\"proofs\":[]}"),
		"www.example.com\n"
		"  state        waiting\n"
		"  last order   request at le, begun 2026-11-22T11:59:46Z (14s ago), proofs over 2026-11-22T11:59:46Z (14s ago): "
		"the CA asked for none, it remembered earlier ones\n");
	expect(CERT("disabled", "\"targets\":[]"),
		"www.example.com\n"
		"  state        disabled\n"
		"  last order   none so far\n");
}

/* --- DNSSEC and CAA in the head --- */

#define STANDS(verdict, state, name, said, more) \
	"{\"what\":\"x\",\"verdict\":\"" verdict "\",\"state\":\"" state "\",\"name\":\"" name "\",\"text\":\"" said "\"" more "}"
#define STANDING(at, dnssec, caa) "\"standing\":{" at "\"dnssec\":[" dnssec "],\"caa\":[" caa "]}"
#define LOOKED "\"at\":\"2026-11-22T11:57:00Z\","

static void how_dnssec_and_caa_stand(void **state)
{
	static const struct {
		const char *certificate, *wanted;
	} rows[] = {
		{CERT("waiting", STANDING(LOOKED, STANDS("ok", "secure", "www.example.com", "signed, and validated by 127.0.0.1:53", ""),
			STANDS("ok", "allowed", "www.example.com", "the CAA records of example.com allow this CA", ""))),
			"  dnssec       secure: signed, and validated by 127.0.0.1:53 (looked at 3m ago)\n"
			"  caa          allowed: the CAA records of example.com allow this CA (looked at 3m ago)\n"},
		{CERT("failed", STANDING(LOOKED, STANDS("fail", "bogus", "www.example.com", "the signatures are wrong", ""), "")),
			"  dnssec       bogus: the signatures are wrong (looked at 3m ago)\n"
			"  caa          not known: the look at 2026-11-22T11:57:00Z (3m ago) could not tell\n"},
		{CERT("waiting", STANDING("", "", "")),
			"  dnssec       not looked at yet; dovactl check looks\n"
			"  caa          not looked at yet; dovactl check looks\n"},
		{"{\"name\":\"www\",\"names\":[\"a.example\",\"b.example\",\"c.example\",\"d.example\",\"e.example\"],\"state\":\"waiting\","
			STANDING(LOOKED, STANDS("untested", "unvalidated", "a.example", "it does not validate", ",\"more\":4"),
			STANDS("fail", "forbidden", "b.example", "no", "") "," STANDS("ok", "none", "a.example", "any CA may issue", ",\"more\":1")) "}",
			"  dnssec       unvalidated: a.example and 4 others: it does not validate (looked at 3m ago)\n"
			"  caa          forbidden: b.example: no (looked at 3m ago)\n"
			"               none: a.example and 1 other: any CA may issue\n"
			"               2 more names: see dovactl check\n"},
		{CERT("waiting", STANDING(LOOKED, STANDS("warn", "new", "a", "b", ",\"more\":9223372036854775807"), STANDS("ok", "none", "a", "b", ",\"more\":-7"))),
			"  dnssec       new: b (looked at 3m ago)\n"
			"  caa          none: b (looked at 3m ago)\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		explain(rows[i].certificate, false);
		if (!strstr(text, rows[i].wanted))
			fail_msg("row %zu: %s", i, text);
		free(text);
	}
	explain(rows[1].certificate, true);
	assert_non_null(strstr(text, "\033[31mbogus\033[0m: "));
	free(text);
}

/* A daemon that says nothing we know. */
static void one_of_another_version(void **state)
{
	struct print *p;
	FILE *out = open_memstream(&text, &size);
	struct js *empty = js_object();

	(void)state;
	p = print_new(out, false);
	print_explain(p, empty, true);
	print_free(p);
	js_free(empty);
	fclose(out);
	assert_string_equal(text, "-\n  state        -\n  last order   none so far\n");
	free(text);
}

static void colours_of_verdicts(void **state)
{
	(void)state;
	explain(LIVE, true);
	assert_non_null(strstr(text, "\033[32mOK     \033[0m"));
	assert_non_null(strstr(text, "\033[31mSTALE  \033[0m"));
	assert_non_null(strstr(text, "\033[33mNOROUTE\033[0m"));
	assert_non_null(strstr(text, "\033[33mWAIT\033[0m: "));
	free(text);
}

/* --- whatever stands in a reply, no control or direction character reaches the terminal ----------------------------------------------- */

/* Every member the interface knows of, each of the type it may have, and as bad as it gets. */
static const char *const texts[] = {"name", "names", "state", "next_step", "next_at", "step", "ca", "begun", "proved", "method", "type", "kind", "detail",
	"during", "at", "not_before", "challenge", "zone", "cut", "decision", "why", "fallback", "address", "proto", "rcode", "verdict", "note", "text",
	"server", "service", "identifier", "since"};
static const char *const lists[] = {"values", "chain", "notes", "missing_at_parent", "lame_at_parent"};
static const char *const objects[] = {"certificate", "order", "seen", "found", "review", "error", "last_error", "standing"};
static const char *const arrays[] = {"proofs", "servers", "addresses", "opinions", "targets", "subproblems", "dnssec", "caa"};

#define EACH(i, list) (size_t i = 0; i < sizeof list / sizeof list[0]; i++)

/* below: what stands in every object and list. */
static struct js *make_evil(struct js *below)
{
	static const char evil[] = "\033]0;x\a\n\r\302\2331m\342\200\256gpj.exe";
	struct js *v = js_object();

	for EACH (i, texts)
		js_put_str(v, texts[i], evil);
	for EACH (i, lists) {
		struct js *list = js_array();

		js_add_str(list, evil);
		js_add(list, js_object());
		js_add_str(list, evil);
		js_put(v, lists[i], list);
	}
	for EACH (i, objects)
		js_put(v, objects[i], js_ref(below));
	for EACH (i, arrays) {
		struct js *list = js_array();

		js_add(list, js_ref(below));
		js_add_str(list, evil);
		js_put(v, arrays[i], list);
	}
	js_free(below);
	return v;
}

static void hostile_replies(void **state)
{
	FILE *out = open_memstream(&text, &size);
	struct print *p = print_new(out, false);
	struct js *reply = js_object();

	(void)state;
	for (int depth = 0; depth < 8; depth++)
		reply = make_evil(reply);
	print_explain(p, reply, true);
	js_free(reply);
	print_free(p);
	fclose(out);
	assert_non_null(strstr(text, "opinion of \\x1b"));
	assert_non_null(strstr(text, "the CA said"));
	assert_non_null(strstr(text, "caa"));
	for (const char *s = text; *s; s++)
		assert_true(*s == '\n' || (*s >= ' ' && *s <= '~'));
	free(text);
}

/* --- advice --------------------------------------------------------------------------------------------------------------------------- */

static const char *advice(const char *kind, const char *type)
{
	struct js *failure = js_object();
	const char *found;

	js_put_str(failure, "kind", kind);
	js_put_str(failure, "type", type);
	found = advice_find(failure);
	js_free(failure);
	return found;
}

static void advice_for_everything(void **state)
{
	static const struct {
		const char *kind, *type, *part;
	} rows[] = {
		{"denied", "caa", "CAA record"},
		{"denied", "dnssec", "DS record"},
		{"temp", "propagation", "STALE"},
		{"temp", "opinion", "`opinions`"},
		{"denied", "zones", "`zones`"},
		{"denied", "tsig", "key_name"},
		{"denied", "no-method", "`prove`"},
		{"temp", "dns", "delegated"},
		{"input", "dns", "`resolvers`"},
		{"local", "dns", "on this host"}, /* no row of its own */
		{"temp", "unauthorized", "did not find the proof"},
		{"denied", "unauthorized", "refuses the account"},
		{"temp", "connection", "port 80"},
		{"local", "connection", "dovad-keeper"},
		{"limit", "rateLimited", "wait"},
		{"denied", "externalAccountRequired", "`eab`"},
		{"denied", "userActionRequired", "agree_tos"},
		{"temp", "badNonce", "sent again"},
		{"local", "stale", "still serves another"},
		{"local", "keeper", "dovad-keeper"},
		{"denied", "policy", "`directory`"},
		{"input", "policy", "dovad -t"},
		{"temp", "nobody-knows", "may pass by itself"},
		{"limit", "nobody-knows", "limit of the CA"},
		{"denied", "nobody-knows", "until something is changed"},
		{"input", "nobody-knows", "dovad -t"},
		{"local", "nobody-knows", "on this host"},
		{"bug", "nobody-knows", "please report it"},
		{"strange", NULL, "See the log"},
		{NULL, NULL, "See the log"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (!strstr(advice(rows[i].kind, rows[i].type), rows[i].part))
			fail_msg("%s %s: %s", rows[i].kind, rows[i].type, advice(rows[i].kind, rows[i].type));
}

/* --- the check of the interface finds what it is there for ------------------------------------------------------------------------------ */

static void what_does_not_fit(void **state)
{
	static const struct {
		const char *type, *json, *misfit; /* NULL: it fits */
	} rows[] = {
		{"Look", "{}", NULL},
		{"Look", "{\"ok\":true,\"found\":{\"chain\":[\"a\"]},\"servers\":[{\"rtt_ms\":1},{\"rtt_ms\":1.5,\"aa\":null}]}", NULL},
		{"Look", "{\"ok\":1}", "Look.ok: of another type"},
		{"Look", "{\"nonsense\":1}", "Look.nonsense: the definition does not tell of it"},
		{"Look", "{\"servers\":[{},{\"rtt_ms\":\"1\"}]}", "Look.servers[1].rtt_ms: of another type"},
		{"Look", "{\"servers\":{}}", "Look.servers: not a list"},
		{"Look", "{\"found\":[]}", "Look.found: not an object"},
		{"Look", "{\"decision\":\"perhaps\"}", "Look.decision: perhaps"},
		{"Look", "{\"review\":{\"seen\":{\"review\":{\"ca\":{}}}}}", "Look.review.seen.review.ca.kind: missing"},
		{"Look", "{\"questions\":1.5}", "Look.questions: of another type"},
		{"State", "[]", "State: not one of its words"},
		{"Proof", "{}", "Proof.name: missing"},
		{"Proof", "{\"name\":null}", "Proof.name: of another type"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct js *v = js_parse(rows[i].json, strlen(rows[i].json), NULL);
		char *wrong = idl_misfit("type", rows[i].type, v);

		assert_non_null(v);
		if (!wrong != !rows[i].misfit || (wrong && strcmp(wrong, rows[i].misfit) != 0))
			fail_msg("%s: %s", rows[i].json, wrong ? wrong : "it fits");
		free(wrong);
		js_free(v);
	}
}

#define ROW_OF(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW_OF(one_that_waits_for_a_stale_secondary),
		ROW_OF(one_that_is_visible),
		ROW_OF(one_that_the_ca_did_not_see),
		ROW_OF(words_beside_the_ca),
		ROW_OF(a_ca_that_keeps_its_answer),
		ROW_OF(one_by_http),
		ROW_OF(one_without_an_order),
		ROW_OF(how_dnssec_and_caa_stand),
		ROW_OF(one_of_another_version),
		ROW_OF(colours_of_verdicts),
		ROW_OF(hostile_replies),
		ROW_OF(advice_for_everything),
		ROW_OF(what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
