/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "dns_scripted.h"
#include "io/dns_ask.h"
#include "io/loop.h"
#include "needs_root.h"

#define GOOD (DNS_PEER_AA | DNS_PEER_OPT)

struct result {
	int calls;
	struct dns_answer a; /* msg: see txt */
	char txt[66000];
	char text[256], reason[DNS_REASON];
	struct asker *close;      /* in the callback */
	struct dns_query *cancel;
	int64_t at_ms;
};

static struct asker *asker;
static struct dns_peer peer; /* 127.0.0.1 */
static const struct asker_limits fast = { .per_name = 1000000, .per_address = 1000000 };

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool read_txt(void *arg, const struct dns_rr *rr)
{
	struct result *r = arg;
	struct buf b;

	if (rr->section != DNS_ANSWER || rr->type != DNS_TXT)
		return true;
	buf_init(&b, sizeof(r->txt) - 1);
	assert_true(dns_rr_txt(rr, &b));
	memcpy(r->txt, b.len ? b.data : "", b.len + 1);
	buf_free(&b);
	return true;
}

static void done(void *arg, const struct dns_answer *a)
{
	struct result *r = arg;

	r->calls++;
	r->a = *a;
	r->at_ms = now_ms();
	assert_true((a->how == DNS_ANSWERED) == (a->msg != NULL));
	assert_true((a->how == DNS_ANSWERED) == (a->text == NULL));
	if (a->msg) {
		assert_true(dns_walk(a->msg, a->len, read_txt, r));
		dns_read_reason(a->msg, a->len, r->reason);
	} else {
		snprintf(r->text, sizeof(r->text), "%s", a->text);
	}
	asker->ops->cancel(r->cancel);
	if (r->close)
		asker_close(r->close);
}

static void wait_for(const struct result *r)
{
	while (!r->calls)
		loop_turn(true);
}

static struct dns_query *start(const struct dns_ask *ask, struct result *r)
{
	struct dns_query *q;

	memset(r, 0, sizeof(*r));
	q = asker->ops->ask(asker, ask, done, r);
	assert_non_null(q);
	assert_int_equal(r->calls, 0); /* a later turn */
	return q;
}

static struct result *ask(const struct dns_ask *ask)
{
	static struct result r;

	start(ask, &r);
	wait_for(&r);
	loop_turn(false);
	assert_int_equal(r.calls, 1);
	return &r;
}

static struct dns_ask txt_ask(void)
{
	return (struct dns_ask){ .to = peer.addr, .name = "_acme-challenge.example.org", .type = DNS_TXT, .timeout_ms = 5000 };
}

static struct result *ask_txt(void)
{
	struct dns_ask a = txt_ask();

	return ask(&a);
}

static int open_all(void **state)
{
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	dns_peer_open(&peer, "127.0.0.1", true);
	asker = asker_open(&fast, &err);
	assert_non_null(asker);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	asker_close(asker);
	dns_peer_close(&peer);
	loop_close();
	return 0;
}

/* --- servers --- */

static void serve_txt(const struct dns_peer_question *q)
{
	dns_peer_answer(q, GOOD, q->peer->txt ? q->peer->txt : "value");
}

static void serve_cut(const struct dns_peer_question *q)
{
	dns_peer_answer(q, GOOD | DNS_PEER_TC, NULL);
}

static void serve_hang_up(const struct dns_peer_question *q)
{
	dns_peer_hang_up(q);
}

/* --- answers --- */

static void test_answer(void **state)
{
	struct result *r;

	(void)state;
	peer.serve_udp = serve_txt;
	r = ask_txt();
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_string_equal(r->txt, "value");
	assert_true(r->a.head.aa && r->a.head.response);
	assert_false(r->a.over_tcp);
	assert_true(r->a.case_kept);
	assert_int_equal(r->a.sent, 1);
	assert_in_range(r->a.rtt_us, 1, 5000000);
	assert_int_equal(peer.last[2], 0); /* no RD */
	assert_int_equal(peer.last[11], 1);
}

static void test_answer_over_ipv6(void **state)
{
	struct dns_ask a = txt_ask();
	struct dns_peer six;
	struct result *r;

	(void)state;
	if (access("/proc/net/if_inet6", F_OK) < 0)
		skip();
	dns_peer_open(&six, "::1", true);
	six.serve_udp = serve_cut;
	six.serve_tcp = serve_txt;
	a.to = six.addr;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_true(r->a.over_tcp);
	dns_peer_close(&six);
	six.serve_udp = NULL;
}

static void test_bits(void **state)
{
	struct dns_ask a = txt_ask();

	(void)state;
	peer.serve_udp = serve_txt;
	a.bits = DNS_RD | DNS_AD | DNS_CD | DNS_DO;
	a.type = DNS_CAA;
	assert_int_equal(ask(&a)->a.how, DNS_ANSWERED);
	assert_int_equal(peer.last[2], 1);
	assert_int_equal(peer.last[3], 0x30);
	a.bits = DNS_PLAIN;
	assert_int_equal(ask(&a)->a.how, DNS_ANSWERED);
	assert_int_equal(peer.last[11], 0);
	a.name = "";
	assert_int_equal(ask(&a)->a.how, DNS_ANSWERED);
	a.name = "a..b";
	assert_int_equal(ask(&a)->a.how, DNS_BROKEN);
}

static void test_odd_names(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	peer.serve_udp = serve_txt;
	a.name = "a\\046b._-*.example.org";
	assert_string_equal(ask(&a)->txt, "value");
	a.name = "a\\032b.example.org"; /* not with every version of the library */
	r = ask(&a);
	if (r->a.how == DNS_ANSWERED)
		assert_string_equal(r->txt, "value");
	else
		assert_true(r->a.how == DNS_BROKEN && strstr(r->text, "domain name"));
}

static void serve_lower(const struct dns_peer_question *q)
{
	struct dns_peer_question lower = *q;

	for (size_t i = 12; i < q->end - 5; i++)
		lower.msg[i] |= lower.msg[i] >= 'A' && lower.msg[i] <= 'Z' ? 0x20 : 0;
	dns_peer_answer(&lower, GOOD, "lower");
}

static void test_mixed_case(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;
	unsigned upper = 0;

	(void)state;
	a.bits = DNS_MIXED_CASE;
	peer.serve_udp = serve_txt;
	r = ask(&a);
	assert_true(r->a.how == DNS_ANSWERED && r->a.case_kept);
	for (size_t i = 12; i < peer.last_len; i++)
		upper += peer.last[i] >= 'A' && peer.last[i] <= 'Z';
	assert_in_range(upper, 1, 24); /* of 25 letters: wrong once in 2^24 */
	peer.serve_udp = serve_lower;
	r = ask(&a);
	assert_true(r->a.how == DNS_ANSWERED && !r->a.case_kept);
	assert_string_equal(r->txt, "lower");
}

static void serve_rcode(const struct dns_peer_question *q)
{
	dns_peer_answer(q, (dns_peer_has_opt(q) ? DNS_PEER_OPT : 0U) | (unsigned)atoi(q->peer->txt), NULL);
}

static void test_rcodes_are_answers(void **state)
{
	static const char *const rcodes[] = { "2", "3", "5", "9" };

	(void)state;
	peer.serve_udp = serve_rcode;
	for (size_t i = 0; i < sizeof(rcodes) / sizeof(*rcodes); i++) {
		struct result *r;

		peer.txt = rcodes[i];
		r = ask_txt();
		assert_int_equal(r->a.how, DNS_ANSWERED);
		assert_int_equal(r->a.head.rcode, atoi(rcodes[i]));
		assert_int_equal(r->a.sent, 1);
	}
}

static void serve_badvers(const struct dns_peer_question *q)
{
	uint8_t out[1000];
	size_t n = dns_peer_make(q, GOOD, NULL, out, sizeof(out));

	out[n - 6] = 1; /* the upper bits */
	dns_peer_reply(q, out, n);
}

static void test_extended_rcode(void **state)
{
	(void)state;
	peer.serve_udp = serve_badvers;
	assert_int_equal(ask_txt()->a.head.rcode, 16);
}

static void serve_reason(const struct dns_peer_question *q)
{
	static const uint8_t option[] = "\0\17\0\5\0\7old";
	uint8_t out[600];
	size_t n = dns_peer_make(q, GOOD | DNS_SERVFAIL, NULL, out, sizeof(out));

	out[n - 1] = sizeof(option) - 1; /* RDLENGTH of OPT */
	memcpy(out + n, option, sizeof(option) - 1);
	dns_peer_reply(q, out, n + sizeof(option) - 1);
}

/* Why a server fails survives what the library does to messages. */
static void test_extended_error(void **state)
{
	const struct result *r;

	(void)state;
	peer.serve_udp = serve_reason;
	r = ask(&(struct dns_ask){ .to = peer.addr, .name = "example.org", .type = DNS_CAA, .bits = DNS_RD | DNS_AD });
	assert_int_equal(r->a.head.rcode, DNS_SERVFAIL);
	assert_string_equal(r->reason, "signature expired (7): old");
}

static void test_no_cache(void **state)
{
	(void)state;
	peer.serve_udp = serve_txt;
	peer.txt = "old";
	assert_string_equal(ask_txt()->txt, "old");
	peer.txt = "new";
	assert_string_equal(ask_txt()->txt, "new");
	assert_int_equal(peer.asked_udp, 2);
}

/* --- TCP --- */

static void test_cut_off_then_tcp(void **state)
{
	struct result *r;

	(void)state;
	peer.serve_udp = serve_cut;
	peer.serve_tcp = serve_txt;
	r = ask_txt();
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_true(r->a.over_tcp);
	assert_string_equal(r->txt, "value");
	assert_int_equal(r->a.sent, 2);
	assert_int_equal(peer.asked_udp, 1);
}

static void serve_second_cut(const struct dns_peer_question *q)
{
	if (q->peer->asked_udp == 2)
		serve_cut(q);
}

static void test_cut_off_at_the_second_try(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;
	int64_t began = now_ms();

	(void)state;
	a.timeout_ms = 5000; /* repeated after 1 s; for time alone TCP would begin after 3 s */
	peer.serve_udp = serve_second_cut;
	peer.serve_tcp = serve_txt;
	r = ask(&a);
	assert_string_equal(r->txt, "value");
	assert_int_equal(r->a.sent, 3);
	assert_true(now_ms() - began < 3000);
}

static void test_huge_answer(void **state)
{
	static char huge[65001];
	struct result *r;

	(void)state;
	memset(huge, 'h', sizeof(huge) - 1);
	peer.txt = huge;
	peer.serve_udp = serve_cut;
	peer.serve_tcp = serve_txt;
	r = ask_txt();
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_int_equal(strlen(r->txt), 65000);
	assert_true(r->a.len > 65000);
}

static void test_large_datagrams(void **state)
{
	static char large[3001];

	(void)state;
	peer.serve_udp = serve_txt;
	for (size_t n = 400; n <= 3000; n += 700) { /* also more than we announced */
		memset(large, 'l', n);
		large[n] = '\0';
		peer.txt = large;
		assert_string_equal(ask_txt()->txt, large);
	}
	assert_int_equal(peer.asked_udp, 4);
}

static void test_tcp_from_the_start(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	a.tcp = true;
	peer.serve_tcp = serve_txt;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_true(r->a.over_tcp);
	assert_int_equal(peer.asked_udp, 0);
	assert_int_equal(r->a.sent, 1);
}

static void test_silent_over_udp_only(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	a.timeout_ms = 1000;
	peer.serve_tcp = serve_txt;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_true(r->a.over_tcp);
	assert_int_equal(peer.asked_udp, 2);
	assert_int_equal(r->a.sent, 3);
}

static void test_silent(void **state)
{
	struct dns_ask a = txt_ask();
	int64_t began = now_ms();
	struct result *r;

	(void)state;
	a.timeout_ms = 300;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_SILENT);
	assert_in_range(now_ms() - began, 300, 5000);
	assert_int_equal(peer.asked_udp, 2);
	assert_int_equal(peer.asked_tcp, 1);
	assert_non_null(strstr(r->text, "127.0.0.1:"));
	assert_non_null(strstr(r->text, "300 ms"));
	a.tcp = true;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_SILENT);
	assert_int_equal(peer.asked_udp, 2);
	peer.serve_udp = serve_txt; /* and it is heard again */
	assert_string_equal(ask_txt()->txt, "value");
}

static void test_nobody_there(void **state)
{
	struct dns_ask a = txt_ask();
	struct dns_peer gone;
	struct result *r;
	int64_t began = now_ms();

	(void)state;
	dns_peer_open(&gone, "127.0.0.1", false);
	dns_peer_close(&gone);
	a.to = gone.addr;
	a.timeout_ms = 20000;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_SILENT);
	assert_true(now_ms() - began < 15000); /* a refusal is not waited for */
	assert_non_null(strstr(r->text, "refused"));
	a.tcp = true;
	assert_int_equal(ask(&a)->a.how, DNS_SILENT);
}

static void test_cut_off_and_no_tcp(void **state)
{
	struct dns_ask a = txt_ask();
	struct dns_peer lame;
	struct result *r;

	(void)state;
	dns_peer_open(&lame, "127.0.0.1", false);
	lame.serve_udp = serve_cut;
	a.to = lame.addr;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_BROKEN);
	assert_non_null(strstr(r->text, "cut off"));
	dns_peer_close(&lame);
	peer.serve_udp = serve_cut; /* and silent over TCP; and cut off there too */
	a = txt_ask();
	a.timeout_ms = 300;
	assert_int_equal(ask(&a)->a.how, DNS_BROKEN);
	peer.serve_tcp = serve_cut;
	assert_int_equal(ask(&a)->a.how, DNS_BROKEN);
}

static void serve_once(const struct dns_peer_question *q)
{
	serve_txt(q);
	dns_peer_hang_up(q);
}

static void test_connection_for_one_question(void **state)
{
	struct dns_ask a = txt_ask();
	static struct result r[2];

	(void)state;
	a.tcp = true;
	peer.serve_tcp = serve_once;
	start(&a, &r[0]);
	start(&a, &r[1]);
	for (int i = 0; i < 2; i++) {
		wait_for(&r[i]);
		assert_int_equal(r[i].a.how, DNS_ANSWERED);
	}
}

static void serve_half(const struct dns_peer_question *q)
{
	assert_true(send(q->conn->fd, "\0\x40half", 6, MSG_NOSIGNAL) == 6);
	dns_peer_hang_up(q);
}

static void test_connections_that_break(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	a.tcp = true;
	peer.serve_tcp = serve_hang_up;
	r = ask(&a);
	if (r->a.how != DNS_SILENT)
		fail_msg("%s", r->text);
	peer.serve_tcp = serve_half;
	r = ask(&a);
	if (r->a.how != DNS_SILENT)
		fail_msg("%s", r->text);
	assert_in_range(peer.accepted, 2, 4); /* once more each, not for ever */
	peer.serve_tcp = serve_txt;
	assert_int_equal(ask(&a)->a.how, DNS_ANSWERED);
}

/* --- EDNS --- */

static unsigned refuse_with;

static void serve_old(const struct dns_peer_question *q)
{
	dns_peer_answer(q, dns_peer_has_opt(q) ? refuse_with : DNS_PEER_AA, dns_peer_has_opt(q) ? NULL : "old");
}

static void test_server_older_than_edns(void **state)
{
	static const unsigned ways[] = { DNS_FORMERR, DNS_FORMERR | DNS_PEER_OPT, DNS_NOTIMP, DNS_NOTIMP | DNS_PEER_OPT };

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct dns_ask a = txt_ask();
		struct dns_peer old;

		refuse_with = ways[i];
		dns_peer_open(&old, "127.0.0.1", true);
		old.serve_udp = old.serve_tcp = serve_old;
		a.to = old.addr;
		assert_string_equal(ask(&a)->txt, "old");
		assert_int_equal(old.asked_udp, 2);
		assert_string_equal(ask(&a)->txt, "old"); /* remembered */
		assert_int_equal(old.asked_udp, 3);
		a.bits = DNS_DO; /* means nothing without */
		assert_string_equal(ask(&a)->txt, "old");
		assert_int_equal(old.asked_udp, 5);
		a.bits = 0;
		a.tcp = true;
		assert_string_equal(ask(&a)->txt, "old");
		assert_int_equal(old.asked_tcp, 1);
		dns_peer_close(&old);
	}
}

static void test_old_server_over_tcp(void **state)
{
	struct dns_ask a = txt_ask();

	(void)state;
	refuse_with = DNS_NOTIMP;
	a.tcp = true;
	peer.serve_tcp = serve_old;
	assert_string_equal(ask(&a)->txt, "old");
	assert_int_equal(peer.asked_tcp, 2);
	assert_int_equal(peer.asked_udp, 0);
}

static void serve_late_old(const struct dns_peer_question *q)
{
	if (q->peer->asked_tcp == 1)
		dns_peer_hang_up(q);
	else
		serve_old(q);
}

static void test_old_server_heard_at_the_last_try(void **state)
{
	struct dns_ask a = txt_ask();

	(void)state;
	refuse_with = DNS_NOTIMP;
	a.tcp = true;
	peer.serve_tcp = serve_late_old;
	assert_string_equal(ask(&a)->txt, "old");
	assert_int_equal(peer.asked_tcp, 3);
}

static void test_many_at_an_old_server(void **state)
{
	enum { MANY = 40 };
	struct result *r = mem_array(MANY, sizeof(*r));
	struct dns_ask a = txt_ask();

	(void)state;
	refuse_with = DNS_FORMERR;
	peer.serve_udp = serve_old;
	for (int i = 0; i < MANY; i++)
		start(&a, &r[i]);
	for (int i = 0; i < MANY; i++) {
		wait_for(&r[i]);
		assert_string_equal(r[i].txt, "old");
	}
	free(r);
}

static void test_formerr_whatever_is_asked(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;
	unsigned before;

	(void)state;
	peer.txt = "1";
	peer.serve_udp = serve_rcode;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_int_equal(r->a.head.rcode, DNS_FORMERR);
	assert_int_equal(r->a.sent, 2);
	before = peer.asked_udp;
	ask(&a);
	assert_int_equal(peer.asked_udp, before + 2); /* that was not about EDNS: nothing remembered */
	a.bits = DNS_PLAIN;
	r = ask(&a);
	assert_int_equal(r->a.head.rcode, DNS_FORMERR);
	assert_int_equal(r->a.sent, 1);
	assert_int_equal(peer.last_len, 12 + 29 + 4); /* nothing was cut off it */
}

/* Only a head, not even the question. */
static void serve_very_old(const struct dns_peer_question *q)
{
	uint8_t out[12] = { q->msg[0], q->msg[1], 0x84, DNS_FORMERR };

	if (dns_peer_has_opt(q))
		dns_peer_reply(q, out, sizeof(out));
	else
		dns_peer_answer(q, DNS_PEER_AA, "old");
}

static void test_edns_answered_with_a_head(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	a.timeout_ms = 1000;
	peer.serve_udp = serve_very_old;
	r = ask(&a);
	assert_string_equal(r->txt, "old");
	assert_false(r->a.over_tcp);
}

static void serve_without_opt(const struct dns_peer_question *q)
{
	dns_peer_answer(q, DNS_PEER_AA, "bare");
}

static void test_edns_left_out(void **state)
{
	(void)state;
	peer.serve_udp = serve_without_opt;
	assert_string_equal(ask_txt()->txt, "bare");
	assert_string_equal(ask_txt()->txt, "bare");
	assert_int_equal(peer.asked_udp, 2);
	assert_int_equal(peer.last[11], 0);
}

static void serve_cookie(const struct dns_peer_question *q)
{
	uint8_t out[1000];
	size_t n = dns_peer_make(q, GOOD, "cookie", out, sizeof(out));

	if (q->len >= q->end + 11 + 12) { /* the library sends one: give it a longer one */
		out[n - 1] = 4 + 16;
		memcpy(out + n, q->msg + q->end + 11, 12);
		out[n + 3] = 16;
		memcpy(out + n + 12, "12345678", 8);
		n += 20;
	}
	dns_peer_reply(q, out, n);
}

static void test_machine_without_cookies(void **state)
{
	struct result *r;

	(void)state;
	peer.serve_udp = serve_cookie;
	assert_string_equal(ask_txt()->txt, "cookie");
	peer.serve_udp = serve_txt; /* another one behind the same address */
	r = ask_txt();
	assert_string_equal(r->txt, "value");
	assert_false(r->a.over_tcp);
	assert_int_equal(ask_txt()->a.sent, 1); /* that was all */
}

/* --- what is no answer --- */

static void serve_wrong_id(const struct dns_peer_question *q)
{
	uint8_t out[1000];
	size_t n = dns_peer_make(q, GOOD, "spoof", out, sizeof(out));

	for (unsigned i = 1; i <= 100; i++) { /* as many as a socket holds */
		out[0] = (uint8_t)(q->msg[0] ^ (i >> 8));
		out[1] = (uint8_t)(q->msg[1] ^ i);
		dns_peer_reply(q, out, n);
	}
	serve_txt(q);
}

static void serve_wrong_question(const struct dns_peer_question *q)
{
	uint8_t out[1000];
	size_t n = dns_peer_make(q, GOOD, "spoof", out, sizeof(out));

	out[14] ^= 1;
	dns_peer_reply(q, out, n);
	out[14] ^= 1;
	out[q->end - 3] ^= 1; /* the type */
	dns_peer_reply(q, out, n);
	serve_txt(q);
}

static void serve_from_elsewhere(const struct dns_peer_question *q)
{
	struct dns_peer other;
	struct dns_peer_question copy = *q;

	dns_peer_open(&other, "127.0.0.1", true);
	copy.peer = &other;
	copy.control_len = 0;
	dns_peer_answer(&copy, GOOD, "spoof");
	dns_peer_close(&other);
	serve_txt(q);
}

static void test_spoofed(void **state)
{
	static dns_peer_serve *const ways[] = { serve_wrong_id, serve_wrong_question, serve_from_elsewhere };

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct result *r;

		peer.serve_udp = ways[i];
		r = ask_txt();
		assert_int_equal(r->a.how, DNS_ANSWERED);
		assert_string_equal(r->txt, "value");
		assert_false(r->a.over_tcp);
	}
}

static void serve_spoof_only(const struct dns_peer_question *q)
{
	uint8_t out[1000];
	size_t n = dns_peer_make(q, GOOD, "spoof", out, sizeof(out));

	out[1] ^= 1;
	for (unsigned i = 0; i < 1000; i++)
		dns_peer_reply(q, out, n);
}

static void test_spoof_flood_without_an_answer(void **state)
{
	struct dns_ask a = txt_ask();

	(void)state;
	a.timeout_ms = 500;
	peer.serve_udp = serve_spoof_only;
	assert_int_equal(ask(&a)->a.how, DNS_SILENT);
	assert_in_range(peer.asked_udp, 1, 2);
}

static void serve_old_answer(const struct dns_peer_question *q)
{
	static struct dns_peer_question before;

	if (q->peer->asked_udp == 1) {
		before = *q;
		return;
	}
	before.from = q->from;
	dns_peer_answer(&before, GOOD, "of the first question");
	dns_peer_answer(q, GOOD, "of the second");
}

static void test_answer_of_an_earlier_question(void **state)
{
	struct dns_ask a = txt_ask();

	(void)state;
	a.timeout_ms = 1000;
	peer.serve_udp = serve_old_answer;
	assert_string_equal(ask(&a)->txt, "of the second");
}

static unsigned good_from; /* the first question that gets a good answer */
static const uint8_t *bad_tail;
static size_t bad_len;
static uint8_t bad_counts[4];

/* The question, then bytes that are no records. */
static void serve_bad(const struct dns_peer_question *q)
{
	uint8_t out[1000];
	size_t n = dns_peer_make(q, GOOD, NULL, out, sizeof(out)) - 11;

	if (good_from && q->peer->asked_udp + q->peer->asked_tcp >= good_from) {
		serve_txt(q);
		return;
	}
	for (int i = 0; i < 4; i++)
		out[4 + 2 * i + 1] = bad_counts[i];
	out[6] = bad_counts[1] == 0xff ? 0xff : 0;
	memcpy(out + n, bad_tail, bad_len);
	dns_peer_reply(q, out, n + bad_len);
}

static void test_garbage(void **state)
{
	static const struct {
		const char *tail;
		size_t len;
		uint8_t counts[4];
	} rows[] = {
		{ "", 0, { 1, 1, 0, 0 } },                                         /* fewer records than counted */
		{ "", 0, { 1, 0xff, 0, 0 } },                                      /* 65535 */
		{ "\xc0\x2d\0\20\0\1\0\0\0\0\0\1\0", 13, { 1, 1, 0, 0 } },         /* a pointer to itself */
		{ "\xc0\x0c\0\20\0\1\0\0\0\0\xff\xff\1a", 14, { 1, 1, 0, 0 } },    /* data behind the end */
		{ "\x80\0\20\0\1\0\0\0\0\0\0", 11, { 1, 1, 0, 0 } },               /* a label of no kind */
	};

	(void)state;
	peer.serve_udp = peer.serve_tcp = serve_bad;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct result *r;

		bad_tail = (const uint8_t *)rows[i].tail;
		bad_len = rows[i].len;
		memcpy(bad_counts, rows[i].counts, 4);
		good_from = 0;
		r = ask_txt();
		if (r->a.how != DNS_BROKEN)
			fail_msg("row %zu: %d", i, r->a.how);
		assert_non_null(strstr(r->text, "no answer to the question"));
		good_from = peer.asked_udp + peer.asked_tcp + 2; /* once only: it is asked again */
		assert_int_equal(ask_txt()->a.how, DNS_ANSWERED);
	}
}

static void serve_noise(const struct dns_peer_question *q)
{
	uint8_t noise[600];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 7919 >> 3);
	dns_peer_reply(q, noise, sizeof(noise));
	for (size_t n = 0; n < 16; n++)
		dns_peer_reply(q, q->msg, n); /* an empty datagram, and some too short */
	if (q->conn || q->peer->txt)
		serve_txt(q);
}

static void test_noise(void **state)
{
	struct dns_ask a = txt_ask();

	(void)state;
	peer.serve_udp = serve_noise;
	peer.serve_tcp = serve_txt;
	a.timeout_ms = 1000;
	assert_int_equal(ask(&a)->a.how, DNS_ANSWERED); /* in the end over TCP */
	peer.txt = "at last";
	assert_string_equal(ask(&a)->txt, "at last");
	peer.serve_udp = peer.serve_tcp = serve_noise;
	peer.serve_tcp = NULL;
	peer.txt = NULL;
	a.timeout_ms = 300;
	assert_true(ask(&a)->a.how != DNS_ANSWERED);
}

/* --- slow --- */

struct late {
	struct timer timer;
	struct dns_peer_question q;
};
static int64_t delay_ms;

static void answer_late(void *arg)
{
	struct late *l = arg;

	dns_peer_answer(&l->q, GOOD, "late");
	free(l);
}

static void serve_late(const struct dns_peer_question *q)
{
	struct late *l = mem_alloc(sizeof(*l));

	l->q = *q;
	timer_arm(&l->timer, delay_ms, answer_late, l);
}

static void test_fast_server_turns_slow(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	peer.serve_udp = serve_txt;
	for (int i = 0; i < 10; i++)
		assert_string_equal(ask(&a)->txt, "value");
	peer.serve_udp = serve_late;
	delay_ms = 600;
	a.timeout_ms = 4000;
	r = ask(&a);
	assert_string_equal(r->txt, "late");
	assert_false(r->a.over_tcp);
	for (int64_t end = now_ms() + 2 * delay_ms; now_ms() < end;) { /* what is still to come finds nobody */
		static struct timer tick;

		timer_arm(&tick, delay_ms, (void (*)(void *))timer_disarm, &tick);
		loop_turn(true);
	}
}

static void test_first_answer_after_the_repeat(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	peer.serve_udp = serve_late;
	delay_ms = 300;
	a.timeout_ms = 1000; /* repeated after 200 */
	r = ask(&a);
	assert_string_equal(r->txt, "late");
	assert_int_equal(r->a.sent, 2);
	for (int i = 0; i < 2; i++) {
		static struct timer tick;

		timer_arm(&tick, delay_ms, (void (*)(void *))timer_disarm, &tick);
		loop_turn(true);
	}
}

/* --- no way there --- */

/* In a network of its own, where even the loopback interface is down. */
static int without_network(void)
{
	static const char *const ips[] = { "192.0.2.1", "2001:db8::1", "240.0.0.1" };
	struct err err;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	if (!loop_open(&err) || !(asker = asker_open(&fast, &err)))
		return 1;
	for (size_t i = 0; i < sizeof(ips) / sizeof(*ips); i++) {
		struct dns_ask a = { .name = "example.org", .type = DNS_A };
		static struct result r;

		if (!addr_parse_ip(ips[i], 53, &a.to))
			return 2;
		memset(&r, 0, sizeof(r));
		asker->ops->ask(asker, &a, done, &r);
		if (r.calls)
			return 3;
		wait_for(&r);
		if (r.a.how != DNS_NO_ROUTE || r.a.sent != 0 || !strstr(r.text, ips[i])) {
			fprintf(stderr, "%s: %d, %s\n", ips[i], r.a.how, r.text);
			return 4;
		}
	}
	asker_close(asker);
	loop_close();
	return 0;
}

static void test_no_route(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(without_network());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip_without_root();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- pace --- */

static unsigned seen_types[64], nseen;
static int64_t seen_last_ms;

static void serve_note(const struct dns_peer_question *q)
{
	seen_last_ms = now_ms();
	seen_types[nseen++ % 64] = q->msg[q->end - 3];
	serve_txt(q);
}

static void test_pace(void **state)
{
	enum { MANY = 24 };
	const struct asker_limits limits = { .per_name = 40, .per_address = 60, .channels = 8 };
	struct result *r = mem_array(MANY, sizeof(*r)), *other = mem_alloc(sizeof(*other));
	struct dns_ask a = txt_ask();
	struct dns_peer elsewhere;
	int64_t began = now_ms();

	(void)state;
	dns_peer_open(&elsewhere, "127.0.0.1", true);
	elsewhere.serve_udp = serve_txt;
	asker_set_limits(asker, &limits);
	nseen = 0;
	peer.serve_udp = serve_note;
	for (int i = 0; i < MANY; i++) {
		a.type = (uint16_t)(100 + i);
		start(&a, &r[i]);
	}
	a.to = elsewhere.addr;
	start(&a, other);
	wait_for(other);
	assert_true(nseen < MANY); /* no cost to other addresses */
	wait_for(&r[MANY - 1]);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(r[i].calls, 1);
		assert_int_equal(r[i].a.how, DNS_ANSWERED);
		assert_int_equal(seen_types[i], 100 + i);
	}
	assert_true(seen_last_ms - began >= (MANY - 10) * 33 - 1); /* 10 at once, then 30 a second */
	dns_peer_close(&elsewhere);
	free(other);
	free(r);
}

static void test_pace_over_all_names(void **state)
{
	enum { MANY = 24 };
	const struct asker_limits limits = { .per_name = 1000, .per_address = 40 };
	struct result *r = mem_array(MANY, sizeof(*r));
	struct dns_ask a = txt_ask();
	int64_t began = now_ms();
	char name[64];

	(void)state;
	asker_set_limits(asker, &limits);
	nseen = 0;
	peer.serve_udp = serve_note;
	for (int i = 0; i < MANY; i++) {
		a.type = (uint16_t)(100 + i);
		snprintf(name, sizeof(name), "n%d.example.org", i);
		a.name = name; /* copied */
		start(&a, &r[i]);
	}
	wait_for(&r[MANY - 1]);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(seen_types[i], 100 + i);
	assert_true(seen_last_ms - began >= (MANY - 10) * 33 - 1);
	free(r);
}

static int64_t heard_ms[64];
static unsigned nheard;

static void note_time(const struct dns_peer_question *q)
{
	(void)q;
	heard_ms[nheard++ % 64] = now_ms();
}

/* Nothing is ever answered: what is asked again counts, and waits, as what is asked; for a name and for the address. */
static void test_repeats_keep_the_pace(void **state)
{
	enum { MANY = 12, QUESTIONS = 24, AT_ONCE = 3, EACH_MS = 111 /* of 12 */ };
	static const struct asker_limits limits[] = { { .per_name = 12, .per_address = 1000 }, { .per_name = 1, .per_address = 12 } };

	(void)state;
	peer.serve_udp = peer.serve_tcp = note_time;
	for (size_t k = 0; k < 2; k++) {
		static struct result r[MANY];
		struct dns_query *q[MANY];
		struct dns_ask a = txt_ask();
		char name[32];
		int64_t began = now_ms();

		asker_set_limits(asker, &limits[k]);
		nheard = 0;
		a.timeout_ms = 200;
		a.name = name;
		for (int i = 0; i < MANY; i++) {
			snprintf(name, sizeof(name), "n%d.example.org", k == 0 ? 1 : 1 + i);
			q[i] = start(&a, &r[i]);
		}
		while (nheard < QUESTIONS)
			loop_turn(true);
		for (int i = AT_ONCE; i < QUESTIONS; i++)
			assert_true(heard_ms[i] - began >= (i - AT_ONCE + 1) * EACH_MS - 1);
		for (int i = 0; i < MANY; i++)
			if (!r[i].calls)
				asker->ops->cancel(q[i]);
	}
}

static const struct asker_limits one_a_second = { .per_name = 1, .per_address = 1000 };

static void test_answer_while_the_repeat_waits(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	asker_set_limits(asker, &one_a_second);
	peer.serve_udp = serve_late;
	delay_ms = 300;
	a.timeout_ms = 500; /* to be repeated after 100 ms, which may be done after 1000 ms */
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_int_equal(r->a.sent, 1);
}

static void serve_second(const struct dns_peer_question *q)
{
	if (q->peer->asked_udp == 2)
		serve_txt(q);
}

/* Nor does it after the first try. */
static void test_time_to_the_turn_does_not_count(void **state)
{
	struct dns_ask a = txt_ask();
	struct result *r;

	(void)state;
	asker_set_limits(asker, &one_a_second);
	peer.serve_udp = serve_second;
	a.timeout_ms = 400;
	r = ask(&a);
	assert_int_equal(r->a.how, DNS_ANSWERED);
	assert_int_equal(r->a.sent, 2);
	assert_false(r->a.over_tcp);
}

static void test_cancel_in_line(void **state)
{
	const struct asker_limits limits = { .per_name = 4, .per_address = 1000 };
	static struct result r[3];
	struct dns_ask a = txt_ask();
	struct dns_query *second;

	(void)state;
	asker_set_limits(asker, &limits);
	peer.serve_udp = serve_txt;
	start(&a, &r[0]);
	second = start(&a, &r[1]);
	start(&a, &r[2]);
	asker->ops->cancel(second);
	wait_for(&r[2]);
	assert_int_equal(r[0].calls, 1);
	assert_int_equal(r[1].calls, 0);
	assert_int_equal(peer.asked_udp, 2);
}

/* --- ends --- */

static void test_cancel(void **state)
{
	static struct result r[4];
	struct dns_ask a = txt_ask();

	(void)state;
	asker->ops->cancel(NULL);
	peer.serve_udp = serve_txt;
	asker->ops->cancel(start(&a, &r[0])); /* under way */
	start(&a, &r[1]);
	r[1].cancel = start(&a, &r[2]); /* another, which may be answered already, inside a callback */
	wait_for(&r[1]);
	r[1].cancel = NULL;
	memset(&r[3], 0, sizeof(r[3]));
	r[3].cancel = asker->ops->ask(asker, &a, done, &r[3]); /* itself */
	wait_for(&r[3]);
	a.name = "a..b";
	asker->ops->cancel(start(&a, &r[0])); /* over, not yet told */
	loop_turn(false);
	assert_int_equal(r[0].calls + r[2].calls, 0);
}

static void test_close_with_pending(void **state)
{
	static struct result silent[8], last;
	struct dns_ask a = txt_ask();
	struct err err;

	(void)state;
	for (int i = 0; i < 8; i++) {
		a.tcp = i & 1;
		a.fresh = i & 2;
		start(&a, &silent[i]);
	}
	loop_turn(false);
	peer.serve_udp = serve_txt;
	a = txt_ask();
	start(&a, &last);
	last.close = asker;
	wait_for(&last);
	asker = asker_open(&fast, &err);
	assert_non_null(asker);
	for (int i = 0; i < 8; i++)
		assert_int_equal(silent[i].calls, 0);
}

static void ask_again(void *arg, const struct dns_answer *answer)
{
	struct dns_ask a = txt_ask();

	assert_int_equal(answer->how, DNS_ANSWERED);
	asker->ops->ask(asker, &a, done, arg);
}

static void test_ask_in_callback(void **state)
{
	static struct result r;
	struct dns_ask a = txt_ask();

	(void)state;
	peer.serve_udp = serve_txt;
	asker->ops->ask(asker, &a, ask_again, &r);
	wait_for(&r);
	assert_int_equal(peer.asked_udp, 2);
}

/* --- sockets --- */

static void test_fresh_comes_from_another_port(void **state)
{
	static struct result r[3];
	struct dns_ask a = txt_ask();
	uint16_t port;

	(void)state;
	start(&a, &r[0]);
	while (peer.asked_udp < 1)
		loop_turn(true);
	port = peer.port;
	start(&a, &r[1]);
	while (peer.asked_udp < 2)
		loop_turn(true);
	assert_int_equal(peer.port, port); /* one socket for all under way */
	a.fresh = true;
	peer.serve_udp = serve_txt;
	start(&a, &r[2]);
	wait_for(&r[2]);
	assert_int_equal(r[2].a.how, DNS_ANSWERED);
	assert_true(peer.port != port);
}

static void test_few_descriptors_many_addresses(void **state)
{
	enum { MANY = 2000, ADDRESSES = 250 };
	struct result *r = mem_array(MANY, sizeof(*r));
	struct rlimit saved, few;
	struct dns_peer all;

	(void)state;
	dns_peer_open(&all, "0.0.0.0", true);
	all.serve_udp = serve_txt;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
	few = (struct rlimit){ 64, saved.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < MANY; i++) {
		struct dns_ask a = txt_ask();
		char ip[32];

		snprintf(ip, sizeof(ip), "127.0.1.%d", 1 + i % ADDRESSES);
		assert_true(addr_parse_ip(ip, addr_port(&all.addr), &a.to));
		start(&a, &r[i]);
	}
	for (int i = 0; i < MANY; i++) {
		wait_for(&r[i]);
		if (r[i].a.how != DNS_ANSWERED)
			fail_msg("%d: %s", i, r[i].text);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
	dns_peer_close(&all);
	free(r);
}

static void test_few_channels_all_silent(void **state)
{
	enum { MANY = 120 };
	const struct asker_limits limits = { .per_name = 1000000, .per_address = 1000000, .channels = 20 };
	struct result *r = mem_array(MANY, sizeof(*r));
	int64_t began = now_ms();
	struct dns_peer all;

	(void)state;
	dns_peer_open(&all, "0.0.0.0", false);
	asker_set_limits(asker, &limits);
	for (int i = 0; i < MANY; i++) {
		struct dns_ask a = txt_ask();
		char ip[32];

		snprintf(ip, sizeof(ip), "127.0.1.%d", 1 + i / 2); /* two each */
		assert_true(addr_parse_ip(ip, addr_port(&all.addr), &a.to));
		a.timeout_ms = 300;
		start(&a, &r[i]);
	}
	for (int i = 0; i < MANY; i++) {
		wait_for(&r[i]);
		assert_int_equal(r[i].a.how, DNS_SILENT);
		assert_in_range(r[i].a.sent, 2, 4); /* each had its turn over TCP */
	}
	assert_in_range(all.asked_udp, MANY, 2 * MANY);
	assert_true(now_ms() - began < 15000); /* who waits in line keeps nothing */
	dns_peer_close(&all);
	free(r);
}

static void serve_second_late(const struct dns_peer_question *q)
{
	if (!dns_peer_has_opt(q)) /* so it is the second */
		serve_late(q);
}

static void test_time_in_line_does_not_count(void **state)
{
	enum { MANY = 40 };
	const struct asker_limits limits = { .per_name = 1000000, .per_address = 1000000, .channels = 5 };
	struct result *r = mem_array(MANY, sizeof(*r));
	struct dns_peer all;

	(void)state;
	dns_peer_open(&all, "0.0.0.0", false);
	all.serve_udp = serve_second_late;
	delay_ms = 200;
	asker_set_limits(asker, &limits);
	for (int i = 0; i < MANY; i++) {
		struct dns_ask a = txt_ask();
		char ip[32];

		snprintf(ip, sizeof(ip), "127.0.1.%d", 1 + i / 2); /* two share a channel: the first has to let go of it, and wait */
		assert_true(addr_parse_ip(ip, addr_port(&all.addr), &a.to));
		a.timeout_ms = 1000; /* 400 of it for the second try */
		start(&a, &r[i]);
	}
	for (int i = 0; i < MANY; i++) {
		wait_for(&r[i]);
		if (r[i].a.how != DNS_ANSWERED)
			fail_msg("%d: %s", i, r[i].text);
	}
	dns_peer_close(&all);
	free(r);
}

static void test_many_at_one_address(void **state)
{
	enum { MANY = 200 }; /* as many as the socket of the server holds */
	struct result *r = mem_array(MANY, sizeof(*r));
	struct dns_ask a = txt_ask();

	(void)state;
	peer.serve_udp = peer.serve_tcp = serve_txt;
	for (int i = 0; i < MANY; i++)
		start(&a, &r[i]);
	for (int i = 0; i < MANY; i++) {
		wait_for(&r[i]);
		assert_int_equal(r[i].a.how, DNS_ANSWERED);
	}
	free(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answer), TEST(test_answer_over_ipv6), TEST(test_bits), TEST(test_odd_names), TEST(test_mixed_case),
		TEST(test_rcodes_are_answers), TEST(test_extended_rcode), TEST(test_extended_error), TEST(test_no_cache), TEST(test_cut_off_then_tcp),
		TEST(test_cut_off_at_the_second_try), TEST(test_huge_answer), TEST(test_large_datagrams), TEST(test_tcp_from_the_start),
		TEST(test_silent_over_udp_only), TEST(test_silent), TEST(test_nobody_there), TEST(test_cut_off_and_no_tcp),
		TEST(test_connection_for_one_question), TEST(test_connections_that_break), TEST(test_server_older_than_edns),
		TEST(test_old_server_over_tcp), TEST(test_old_server_heard_at_the_last_try), TEST(test_many_at_an_old_server),
		TEST(test_formerr_whatever_is_asked), TEST(test_edns_answered_with_a_head), TEST(test_edns_left_out),
		TEST(test_machine_without_cookies), TEST(test_spoofed), TEST(test_spoof_flood_without_an_answer),
		TEST(test_answer_of_an_earlier_question), TEST(test_garbage), TEST(test_noise), TEST(test_fast_server_turns_slow),
		TEST(test_first_answer_after_the_repeat), cmocka_unit_test(test_no_route), TEST(test_pace), TEST(test_pace_over_all_names),
		TEST(test_repeats_keep_the_pace), TEST(test_answer_while_the_repeat_waits), TEST(test_time_to_the_turn_does_not_count),
		TEST(test_cancel_in_line), TEST(test_cancel), TEST(test_close_with_pending), TEST(test_ask_in_callback),
		TEST(test_fresh_comes_from_another_port), TEST(test_few_descriptors_many_addresses), TEST(test_few_channels_all_silent),
		TEST(test_time_in_line_does_not_count), TEST(test_many_at_one_address),
	};

	cmocka_set_test_filter(getenv("ONLY"));
	alarm(240); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
