/* SPDX-License-Identifier: ISC */
/* Recursive servers of which every word is written down here, on a frozen clock; and servers of DNS over HTTPS in real processes. */
#include "method_seen.h"

#include "base/clock.h"
#include "base/mem.h"
#include "paper.h"
#include "prove/opinion.h"
#include "simtime.h"

#define NAME "_acme-challenge.www.example.org"

enum say { YES, BOTH, OTHER, NXDOMAIN, NODATA, BARE, SERVFAIL, REFUSED, CUT, SILENT, BROKEN };
enum checking { ANYHOW, CHECKED, UNCHECKED };

static const struct word { /* the first that fits the question is said */
	const char *ip;
	enum checking how;
	int64_t until;  /* milliseconds since the start; 0: for ever */
	enum say say;
	uint32_t ttl;   /* seconds */
	bool counts;    /* ttl is of a cache that was filled at the start: what is left of it */
} *words;

static struct bed {
	struct asker asker;
	int64_t began;
	unsigned under_way, nasked;
	struct {
		char ip[ADDR_TEXT];
		unsigned bits;
		int64_t at;
	} asked[1000];
	struct opinion_options options;
	struct opinion *opinion;
	struct seen seen;
	int64_t ended_at;
} bed;

static int64_t now(void)
{
	return clock_mono_ms() - bed.began;
}

/* --- the servers ---------------------------------------------------------------------------------------------------------------- */

struct dns_query {
	struct dns_ask ask;
	char ip[ADDR_TEXT];
	struct timer timer;
	dns_answered *done;
	void *arg;
};

static const struct word *word_for(const struct dns_query *q)
{
	bool cd = q->ask.bits & DNS_CD;

	for (const struct word *w = words; w->ip; w++)
		if (strcmp(w->ip, q->ip) == 0 && (w->how == ANYHOW || (w->how == UNCHECKED) == cd) && (!w->until || now() < w->until))
			return w;
	fail_msg("%s was asked, and has no word for it", q->ip);
	return NULL;
}

static void put_txt(struct paper_msg *m, uint32_t ttl, const char *text)
{
	paper_rr(m, DNS_ANSWER, NAME, DNS_TXT, ttl, text);
}

static struct dns_answer say(const struct word *w, struct paper_msg *m)
{
	static const unsigned rcodes[] = { [NXDOMAIN] = 3, [SERVFAIL] = 2, [REFUSED] = 5, [BROKEN] = 0 };
	uint32_t ttl = w->counts ? w->ttl - (uint32_t)(now() / 1000) : w->ttl;
	struct dns_answer a;

	paper_head(m, NAME, DNS_TXT, rcodes[w->say], false);
	if (w->say == YES || w->say == BOTH || w->say == CUT)
		put_txt(m, ttl, "tok|A");
	if (w->say == BOTH)
		put_txt(m, ttl, "tokB");
	if (w->say == OTHER)
		put_txt(m, ttl, "of last year");
	if (w->say == NXDOMAIN || w->say == NODATA)
		paper_rr(m, DNS_AUTHORITY, "example.org", DNS_SOA, ttl, "7 300");
	a = paper_answer(m);
	if (w->say == CUT)
		a.len -= 3;
	return a;
}

static void answer(void *arg)
{
	static struct paper_msg m;
	struct dns_query *q = arg;
	const struct word *w = word_for(q);
	struct dns_answer a = { .how = w->say == SILENT ? DNS_SILENT : DNS_BROKEN, .text = w->say == SILENT ? "no answer over UDP and TCP" : "a broken answer" };

	if (w->say != SILENT && w->say != BROKEN)
		a = say(w, &m);
	bed.under_way--;
	q->done(q->arg, &a);
	free(q);
}

static struct dns_query *ask(struct asker *asker, const struct dns_ask *ask, dns_answered *done, void *arg)
{
	struct dns_query *q = mem_alloc(sizeof(*q));

	assert_ptr_equal(asker, &bed.asker);
	assert_string_equal(ask->name, NAME);
	assert_int_equal(ask->type, DNS_TXT);
	assert_int_equal(ask->bits & (DNS_RD | DNS_AD), DNS_RD | DNS_AD);
	assert_int_equal(addr_port(&ask->to), 53);
	*q = (struct dns_query){ .ask = *ask, .done = done, .arg = arg };
	addr_format_ip(&ask->to, q->ip);
	assert_true(bed.nasked < 1000);
	snprintf(bed.asked[bed.nasked].ip, ADDR_TEXT, "%s", q->ip);
	bed.asked[bed.nasked].bits = ask->bits;
	bed.asked[bed.nasked++].at = now();
	bed.under_way++;
	timer_arm(&q->timer, word_for(q)->say == SILENT ? ask->timeout_ms : 5, answer, q);
	return q;
}

static void cancel(struct dns_query *q)
{
	timer_disarm(&q->timer);
	bed.under_way--;
	free(q);
}

/* --- the bed -------------------------------------------------------------------------------------------------------------------- */

static const struct asker_ops asker_ops = { ask, cancel };
static const char *const two[] = { "192.0.2.1", "192.0.2.2" }, *const values[] = { "tokA", "tokB" };

static void begin(const struct word *said, size_t nservers)
{
	words = said;
	memset(&bed, 0, sizeof(bed));
	bed.asker.ops = &asker_ops;
	bed.began = clock_mono_ms();
	bed.options = (struct opinion_options){ .asker = &bed.asker, .servers = two, .nservers = nservers, .name = NAME, .values = values, .nvalues = 1,
		.timeout_ms = 900000 };
}

static void come(void *arg, const struct js *report, const struct err *err)
{
	bed.ended_at = now();
	seen_done(arg, report, err);
}

static void run(void)
{
	seen_of(&bed.seen, bed.opinion = opinion_start(&bed.options, come, &bed.seen));
	for (int i = 0; i < 3; i++)
		loop_turn(false);
	assert_int_equal(bed.under_way, 0);
	assert_true(js_is_array(bed.seen.report));
}

static void assert_yes(void)
{
	if (bed.seen.err.kind != ERR_NONE)
		fail_msg("%s", bed.seen.err.detail);
}

static void assert_no(enum err_kind kind, const char *type, const char *part)
{
	assert_int_equal(bed.seen.err.kind, kind);
	assert_string_equal(bed.seen.err.type, type);
	if (!strstr(bed.seen.err.detail, part))
		fail_msg("%s", bed.seen.err.detail);
}

static const struct js *row(size_t i)
{
	return js_at(bed.seen.report, i);
}

static unsigned count(const char *ip)
{
	unsigned n = 0;

	for (unsigned i = 0; i < bed.nasked; i++)
		n += strcmp(bed.asked[i].ip, ip) == 0;
	return n;
}

static int frozen(void **state)
{
	struct err err;

	(void)state;
	simtime_start(1800000000);
	return loop_open(&err) ? 0 : -1;
}

static int thaw(void **state)
{
	(void)state;
	seen_clear(&bed.seen);
	loop_close();
	simtime_stop();
	return 0;
}

/* --- yes and no ------------------------------------------------------------------------------------------------------------------- */

static void all_say_yes(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = YES, .ttl = 60 }, { .ip = "192.0.2.2", .say = BOTH, .ttl = 60 }, { 0 } };

	(void)state;
	begin(said, 2);
	run();
	assert_yes();
	assert_int_equal(bed.ended_at, 5);
	assert_int_equal(bed.nasked, 2);
	assert_int_equal(bed.asked[0].bits & DNS_CD, 0);
	assert_string_equal(js_str(row(0), "server"), "192.0.2.1");
	assert_true(js_bool(row(0), "ok", false));
	assert_int_equal(js_int(row(1), "asked", 0), 1);
	assert_string_equal(js_str(row(1), "rcode"), "NOERROR");
	assert_false(js_has(row(1), "text"));
	assert_false(js_has(row(1), "next_ms"));
}

static void every_value_is_to_be_there(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .until = 90000, .say = YES, .ttl = 60 }, { .ip = "192.0.2.1", .say = BOTH, .ttl = 60 }, { 0 } };

	(void)state;
	begin(said, 1);
	bed.options.nvalues = 2;
	run();
	assert_yes();
	assert_int_equal(bed.ended_at, 61005 + 61005 + 5);
}

/* The question after a "no" goes out when it has left the cache, not a second before, and not much later. */
static void what_is_cached_is_waited_for_to_the_second(void **state)
{
	static const enum say ways[] = { NXDOMAIN, NODATA, OTHER };
	static const char *const texts[] = { "NXDOMAIN, kept for 297 s", "no TXT record, kept for 297 s", "another value, kept for 297 s" };
	struct word said[] = { { .ip = "192.0.2.1", .until = 297000, .ttl = 297, .counts = true }, { .ip = "192.0.2.1", .say = YES, .ttl = 60 }, { 0 } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct js *report;

		said[0].say = ways[i];
		begin(said, 1);
		bed.opinion = opinion_start(&bed.options, come, &bed.seen);
		while (now() < 5)
			loop_turn(true);
		loop_turn(false);
		report = opinion_report(bed.opinion);
		assert_string_equal(js_str(js_at(report, 0), "text"), texts[i]);
		assert_int_equal(js_int(js_at(report, 0), "next_ms", 0), 298000);
		assert_false(js_bool(js_at(report, 0), "ok", true));
		js_free(report);
		seen_wait(&bed.seen);
		assert_yes();
		assert_int_equal(bed.nasked, 2);
		assert_int_equal(bed.asked[1].at, 5 + 298000);
		assert_int_equal(bed.ended_at, 298010);
		seen_clear(&bed.seen);
	}
}

static void a_no_that_tells_no_ttl_is_asked_again_soon(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .until = 20000, .say = BARE }, { .ip = "192.0.2.1", .say = YES }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_yes();
	assert_in_range(bed.ended_at, 20000, 26000);
	assert_in_range(bed.nasked, 3, 6);
}

static void a_ttl_of_nothing_is_no_hurry(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .until = 30000, .say = NXDOMAIN }, { .ip = "192.0.2.1", .say = YES }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_yes();
	assert_in_range(bed.nasked, 29, 32); /* once a second, no faster */
}

static void a_ttl_of_years_does_not_outlive_the_deadline(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = NXDOMAIN, .ttl = 0x7fffffff }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_no(ERR_TEMP, "propagation", "192.0.2.1: NXDOMAIN");
	assert_int_equal(bed.ended_at, 900000);
	assert_int_equal(bed.nasked, 1);
}

static void one_that_says_no_is_named_though_another_says_yes(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = YES }, { .ip = "192.0.2.2", .say = NODATA, .ttl = 3600 }, { 0 } };

	(void)state;
	begin(said, 2);
	run();
	assert_no(ERR_TEMP, "propagation", NAME ": not seen there by 192.0.2.2: no TXT record");
	assert_int_equal(count("192.0.2.1"), 1); /* one that has said yes is left alone */
}

/* --- SERVFAIL ---------------------------------------------------------------------------------------------------------------------- */

static void bogus_is_named_at_once(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = YES },
		{ .ip = "192.0.2.2", .how = CHECKED, .say = SERVFAIL }, { .ip = "192.0.2.2", .how = UNCHECKED, .say = YES }, { 0 } };

	(void)state;
	begin(said, 2);
	run();
	assert_no(ERR_DENIED, "dnssec", "192.0.2.2: DNSSEC is bogus");
	assert_int_equal(bed.ended_at, 10);
	assert_int_equal(bed.nasked, 3);
	assert_int_equal(bed.asked[2].bits & DNS_CD, DNS_CD);
}

static void servfail_without_validation_as_well_is_waited_for(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .until = 10000, .say = SERVFAIL }, { .ip = "192.0.2.1", .say = YES }, { 0 } };
	bool checked = false;

	(void)state;
	begin(said, 1);
	run();
	assert_yes();
	assert_in_range(bed.ended_at, 10000, 20000);
	for (unsigned i = 0; i < bed.nasked; i++, checked = !checked) /* in turn */
		assert_int_equal(!!(bed.asked[i].bits & DNS_CD), checked);
}

static void servfail_for_ever_is_told(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = SERVFAIL }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_no(ERR_TEMP, "propagation", "192.0.2.1: SERVFAIL: the zone cannot be looked up");
	assert_string_equal(js_str(row(0), "rcode"), "SERVFAIL");
	assert_in_range(bed.nasked, 30, 80); /* in a quarter of an hour */
}

/* Answered without validation, but not with what is wanted: nothing is proven against the signatures. */
static void servfail_and_not_there_is_not_bogus(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .how = UNCHECKED, .say = NXDOMAIN, .ttl = 300 },
		{ .ip = "192.0.2.1", .how = CHECKED, .until = 4000, .say = SERVFAIL }, { .ip = "192.0.2.1", .say = YES }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_yes();
	assert_in_range(bed.ended_at, 4000, 20000);
}

/* The second question got lost; until the third a server that was only busy has recovered. */
static void a_check_that_got_no_answer_begins_anew(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .how = CHECKED, .until = 1000, .say = SERVFAIL },
		{ .ip = "192.0.2.1", .how = UNCHECKED, .until = 1000, .say = SILENT }, { .ip = "192.0.2.1", .until = 5500, .say = SILENT },
		{ .ip = "192.0.2.1", .say = YES }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_yes();
}

static void refused_is_a_no_with_its_name(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = REFUSED }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_no(ERR_TEMP, "propagation", "192.0.2.1: REFUSED");
	for (unsigned i = 0; i < bed.nasked; i++)
		assert_int_equal(bed.asked[i].bits & DNS_CD, 0);
	assert_true(bed.nasked > 20 && bed.asked[bed.nasked - 1].at - bed.asked[bed.nasked - 2].at <= 30005); /* polite, not asleep */
}

/* --- silence ----------------------------------------------------------------------------------------------------------------------- */

static void silent_ones_are_tolerated_when_another_says_yes(void **state)
{
	static const enum say ways[] = { SILENT, BROKEN, CUT };
	struct word said[] = { { .ip = "192.0.2.1", .say = YES }, { .ip = "192.0.2.2" }, { 0 } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		said[1].say = ways[i];
		begin(said, 2);
		run();
		assert_yes();
		assert_int_equal(count("192.0.2.2"), 3);
		assert_true(bed.ended_at < 30000);
		assert_false(js_bool(row(1), "ok", true));
		assert_false(js_has(row(1), "rcode"));
		assert_non_null(js_str(row(1), "text"));
		seen_clear(&bed.seen);
	}
}

static void also_when_the_time_is_up_before_three_tries(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = YES }, { .ip = "192.0.2.2", .say = SILENT }, { 0 } };

	(void)state;
	begin(said, 2);
	bed.options.timeout_ms = 2000;
	run();
	assert_yes();
	assert_int_equal(bed.ended_at, 2000);
	seen_clear(&bed.seen);
	begin(said, 2);
	bed.options.timeout_ms = 7000;
	run();
	assert_yes();
}

static void all_silent_is_an_error(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = SILENT }, { .ip = "192.0.2.2", .say = SILENT }, { 0 } };

	(void)state;
	begin(said, 2);
	run();
	assert_no(ERR_TEMP, "opinion", "not seen there by 192.0.2.1: no answer over UDP and TCP");
	assert_int_equal(bed.ended_at, 900000);
	seen_clear(&bed.seen);
	begin(said, 2);
	bed.options.timeout_ms = 1000;
	run();
	assert_no(ERR_TEMP, "opinion", "not seen there by 192.0.2.1: no answer yet");
}

static void one_that_wakes_up_counts(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .until = 100000, .say = SILENT }, { .ip = "192.0.2.1", .say = YES }, { 0 } };

	(void)state;
	begin(said, 1);
	run();
	assert_yes();
	assert_true(bed.ended_at > 100000 && bed.ended_at < 140000);
}

/* Asked again after silence, it may well say no: then it counts again. */
static void one_that_wakes_up_to_say_no_counts_as_well(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .until = 60000, .say = NXDOMAIN, .ttl = 59 }, { .ip = "192.0.2.1", .say = YES },
		{ .ip = "192.0.2.2", .until = 20000, .say = SILENT }, { .ip = "192.0.2.2", .say = REFUSED }, { 0 } };

	(void)state;
	begin(said, 2);
	run();
	assert_no(ERR_TEMP, "propagation", "192.0.2.2: REFUSED");
}

/* --- nobody to ask, cancel ------------------------------------------------------------------------------------------------------------ */

static void nobody_to_ask_is_told(void **state)
{
	static const char *const strange[] = { "https://127.0.0.1/dns-query", "no address" };
	static const struct word said[] = { { 0 } };

	(void)state;
	begin(said, 0);
	run();
	assert_no(ERR_INPUT, "dns", "there is no recursive server to ask for " NAME);
	seen_clear(&bed.seen);
	begin(said, 2);
	bed.options.servers = strange; /* and no http */
	run();
	assert_no(ERR_INPUT, "dns", "there is no recursive server");
	seen_clear(&bed.seen);
	begin(said, 1);
	bed.options.nvalues = OPINION_VALUES_MAX + 1;
	bed.options.values = mem_array(bed.options.nvalues, sizeof(char *));
	for (size_t i = 0; i < bed.options.nvalues; i++)
		((const char **)bed.options.values)[i] = "v";
	run();
	assert_no(ERR_INPUT, "dns", "too many values");
	free((void *)bed.options.values);
}

static void it_may_be_cancelled_whenever(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .how = CHECKED, .until = 5000, .say = SERVFAIL }, { .ip = "192.0.2.1", .say = BARE },
		{ .ip = "192.0.2.2", .until = 30000, .say = SILENT }, { .ip = "192.0.2.2", .say = YES }, { 0 } };

	(void)state;
	opinion_cancel(NULL);
	for (int turns = 0; turns < 30; turns++) {
		begin(said, turns % 3);
		bed.opinion = opinion_start(&bed.options, come, &bed.seen);
		for (int i = 0; i < turns && !bed.seen.calls; i++)
			loop_turn(true);
		if (!bed.seen.calls)
			opinion_cancel(bed.opinion);
		assert_int_equal(bed.under_way, 0);
		loop_turn(false);
		seen_clear(&bed.seen);
	}
}

/* --- DNS over HTTPS ------------------------------------------------------------------------------------------------------------------- */

static struct testserver server;
static struct testcert *cert;
static struct testdns *names;
static struct dns *dns;
static struct http *http;
static char url[128];
static unsigned descriptors;

static void reply(struct testpeer *p, int status, const void *body, size_t len)
{
	char head[160];

	snprintf(head, sizeof(head), "HTTP/1.1 %d Whatever\r\nContent-Type: application/dns-message\r\nContent-Length: %zu\r\n\r\n", status, len);
	testpeer_puts(p, head);
	testpeer_write(p, body, len);
}

/* The question of the request, turned into an answer with one TXT record of "tokA". Its length. */
static size_t turn_round(const char *request, uint8_t out[600])
{
	static const uint8_t record[] = { 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 5, 4, 't', 'o', 'k', 'A' };
	const uint8_t *question = (const uint8_t *)strstr(request, "\r\n\r\n") + 4;
	size_t end = 12 + strlen(NAME) + 2 + 4;

	memcpy(out, question, end);
	out[2] |= 0x80;
	memset(out + 6, 0, 6);
	out[7] = 1;
	memcpy(out + end, record, sizeof(record));
	return end + sizeof(record);
}

static void serve(struct testpeer *p)
{
	static const uint8_t huge[100000];
	uint8_t msg[600];
	size_t len;

	while (testpeer_request(p)) {
		const char *last = p->server->notes->last;

		len = turn_round(last, msg);
		if (strncmp(last, "POST /good ", 11) == 0) {
			reply(p, 200, msg, len);
		} else if (strncmp(last, "POST /404 ", 10) == 0) {
			reply(p, 404, msg, len);
		} else if (strncmp(last, "POST /redirect ", 15) == 0) {
			reply(p, 302, msg, len);
		} else if (strncmp(last, "POST /garbage ", 14) == 0) {
			reply(p, 200, "<html>Log in to the network</html>", 34);
		} else if (strncmp(last, "POST /empty ", 12) == 0) {
			reply(p, 200, "", 0);
		} else if (strncmp(last, "POST /other ", 12) == 0) {
			msg[14] ^= 1; /* another name */
			reply(p, 200, msg, len);
		} else if (strncmp(last, "POST /cut ", 10) == 0) {
			reply(p, 200, msg, len - 2);
		} else if (strncmp(last, "POST /huge ", 11) == 0) {
			reply(p, 200, huge, sizeof(huge));
		} else if (strncmp(last, "POST /refused ", 14) == 0) {
			msg[3] |= 5;
			reply(p, 200, msg, len);
		} else {
			testpeer_hang(p);
		}
	}
}

static int open_servers(void **state)
{
	struct http_options options = { .https_only = true, .verify = true, .allow_private = true, .user_agent = "test", .one_connection = true };
	struct testcert *certs[2] = { NULL };
	const char *address;
	struct err err;

	(void)state;
	cert = certs[0] = testcert_new("doh.test", false, TESTCERT_GOOD);
	testserver_start(&server, "127.0.0.1", certs, serve);
	descriptors = open_descriptors();
	assert_true(loop_open(&err));
	names = testdns_open();
	address = testdns_address(names);
	dns = dns_open(&address, 1, &err);
	options.dns = dns;
	options.ca_file = testtrust_file();
	http = http_new(&options, &err);
	return dns && http ? 0 : -1;
}

static int close_servers(void **state)
{
	(void)state;
	seen_clear(&bed.seen);
	http_free(http);
	dns_close(dns);
	testdns_close(names);
	loop_close();
	assert_int_equal(open_descriptors(), descriptors);
	testserver_stop(&server);
	testcert_free(cert);
	testtrust_end();
	return 0;
}

static void begin_https(const char *path)
{
	static const char *servers[1];
	static const struct word none[] = { { 0 } };

	snprintf(url, sizeof(url), "https://127.0.0.1:%u%s", (unsigned)server.port, path);
	servers[0] = url;
	begin(none, 1);
	bed.options.servers = servers;
	bed.options.http = http;
}

static void https_that_says_yes(void **state)
{
	const char *last = server.notes->last, *body;

	(void)state;
	begin_https("/good");
	run();
	assert_yes();
	assert_string_equal(js_str(row(0), "server"), url);
	assert_true(js_bool(row(0), "ok", false));
	assert_non_null(strstr(last, "\r\nContent-Type: application/dns-message\r\n"));
	body = strstr(last, "\r\n\r\n") + 4;
	assert_memory_equal(body, "\0\0", 2); /* the id, so that caches can help (RFC 8484 section 4.1) */
}

static void https_that_says_something_else(void **state)
{
	static const struct {
		const char *path, *text;
	} rows[] = {
		{ "/404", "HTTP 404" },
		{ "/redirect", "HTTP 302" },
		{ "/garbage", "what came is no answer" },
		{ "/empty", "what came is no answer" },
		{ "/other", "what came is no answer" },
		{ "/cut", "a broken answer" },
		{ "/refused", "REFUSED" },
		{ "/huge", "larger than we accept" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = NULL;
		struct js *report = NULL;

		begin_https(rows[i].path);
		bed.opinion = opinion_start(&bed.options, come, &bed.seen);
		while (!text) {
			js_free(report);
			loop_turn(true);
			report = opinion_report(bed.opinion);
			text = js_str(js_at(report, 0), "text");
		}
		if (!strstr(text, rows[i].text))
			fail_msg("%s: %s", rows[i].path, text);
		assert_false(js_bool(js_at(report, 0), "ok", true));
		assert_int_equal(bed.seen.calls, 0);
		assert_true(js_int(js_at(report, 0), "next_ms", 0) > 0);
		js_free(report);
		opinion_cancel(bed.opinion);
	}
}

/* Its certificate is another's: why it is not believed is told to the end, and the question does not get there. */
static void https_that_is_somebody_else(void **state)
{
	unsigned before = server.notes->requests;
	const char *text;

	(void)state;
	begin_https("/good");
	snprintf(url, sizeof(url), "https://localhost:%u/good", (unsigned)server.port);
	bed.options.timeout_ms = 1000;
	run();
	assert_no(ERR_TEMP, "opinion", url);
	text = js_str(row(0), "text");
	assert_non_null(strstr(text, "no alternative certificate subject name matches")); /* the rest of it differs among versions of libcurl */
	assert_non_null(strstr(text, "; trusted CAs come from "));
	assert_string_equal(text + strlen(text) - strlen(testtrust_file()), testtrust_file());
	assert_non_null(strstr(bed.seen.err.detail, text));
	assert_int_equal(server.notes->requests, before);
}

static void https_that_never_answers_is_cancelled(void **state)
{
	unsigned before = server.notes->requests;

	(void)state;
	begin_https("/hang");
	bed.opinion = opinion_start(&bed.options, come, &bed.seen);
	opinion_cancel(bed.opinion);
	bed.opinion = opinion_start(&bed.options, come, &bed.seen);
	while (server.notes->requests == before)
		loop_turn(false);
	opinion_cancel(bed.opinion);
	loop_turn(false);
	assert_int_equal(bed.seen.calls, 0);
}

static void https_beside_one_that_is_asked_by_dns(void **state)
{
	static const struct word said[] = { { .ip = "192.0.2.1", .say = YES }, { 0 } };
	const char *mixed[] = { "192.0.2.1", url };

	(void)state;
	begin_https("/good");
	words = said;
	bed.options.servers = mixed;
	bed.options.nservers = 2;
	run();
	assert_yes();
	assert_int_equal(js_len(bed.seen.report), 2);
	assert_true(js_bool(row(1), "ok", false));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, frozen, thaw)
#define HTTPS(name) cmocka_unit_test_setup_teardown(name, open_servers, close_servers)
	const struct CMUnitTest tests[] = {
		TEST(all_say_yes),
		TEST(every_value_is_to_be_there),
		TEST(what_is_cached_is_waited_for_to_the_second),
		TEST(a_no_that_tells_no_ttl_is_asked_again_soon),
		TEST(a_ttl_of_nothing_is_no_hurry),
		TEST(a_ttl_of_years_does_not_outlive_the_deadline),
		TEST(one_that_says_no_is_named_though_another_says_yes),
		TEST(bogus_is_named_at_once),
		TEST(servfail_without_validation_as_well_is_waited_for),
		TEST(servfail_for_ever_is_told),
		TEST(servfail_and_not_there_is_not_bogus),
		TEST(a_check_that_got_no_answer_begins_anew),
		TEST(refused_is_a_no_with_its_name),
		TEST(silent_ones_are_tolerated_when_another_says_yes),
		TEST(also_when_the_time_is_up_before_three_tries),
		TEST(all_silent_is_an_error),
		TEST(one_that_wakes_up_counts),
		TEST(one_that_wakes_up_to_say_no_counts_as_well),
		TEST(nobody_to_ask_is_told),
		TEST(it_may_be_cancelled_whenever),
		HTTPS(https_that_says_yes),
		HTTPS(https_that_says_something_else),
		HTTPS(https_that_is_somebody_else),
		HTTPS(https_that_never_answers_is_cancelled),
		HTTPS(https_beside_one_that_is_asked_by_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
