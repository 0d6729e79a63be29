/* SPDX-License-Identifier: ISC */
#include "dns_peer.h"

#include "base/clock.h"
#include "io/dns_exchange.h"
#include "testserver.h"

enum { HOLD_MS = 800 }; /* repeats are then 100 ms apart */

static struct dns_peer *peer;
static struct heard {
	int calls;
	struct err err;
	unsigned udp, tcp; /* messages it was asked about */
	enum dns_heard say_udp, say_tcp;
	size_t len;
} heard;
static int udp_answer, tcp_answer; /* length, or how else */
static unsigned drop;              /* datagrams */
static bool other_id;

static int script(struct dns_peer *p, const uint8_t *msg, size_t len, bool tcp, uint8_t *out)
{
	int n = tcp ? tcp_answer : udp_answer;

	if (!tcp && p->udp_seen <= drop)
		return DNS_PEER_SILENT;
	if (n > 0) {
		memset(out, 0x5a, (size_t)n);
		memcpy(out, msg, len < (size_t)n ? len : (size_t)n);
		out[0] ^= other_id;
	}
	return n;
}

static enum dns_heard hear(void *arg, const uint8_t *msg, size_t len, bool tcp, struct err *err)
{
	assert_ptr_equal(arg, &heard);
	assert_memory_equal(msg, "\xab\xcd", 2);
	heard.len = len;
	tcp ? heard.tcp++ : heard.udp++;
	if ((tcp ? heard.say_tcp : heard.say_udp) == DNS_HEARD_DOUBT)
		err_set(err, ERR_DENIED, "test", "doubt over %s", tcp ? "TCP" : "UDP");
	return tcp ? heard.say_tcp : heard.say_udp;
}

static void done(void *arg, const struct err *err)
{
	assert_ptr_equal(arg, &heard);
	assert_int_equal(++heard.calls, 1);
	if (err)
		heard.err = *err;
}

static struct dns_exchange *start(const struct addr *to, size_t len)
{
	static uint8_t msg[70000];
	struct dns_exchange_options o = {*to, msg, len, HOLD_MS, hear, done, &heard};
	enum dns_heard udp = heard.say_udp, tcp = heard.say_tcp;
	struct dns_exchange *x;

	memset(&heard, 0, sizeof heard);
	heard.say_udp = udp;
	heard.say_tcp = tcp;
	memcpy(msg, "\xab\xcd", 2);
	memset(msg + 2, 0x11, sizeof msg - 2);
	x = dns_exchange_start(&o);
	memset(msg, 0, sizeof msg);
	assert_int_equal(heard.calls, 0);
	return x;
}

static const char *exchange(const struct addr *to, size_t len)
{
	start(to, len);
	while (!heard.calls)
		loop_turn(true);
	return heard.err.detail;
}

static int open_all(void **state)
{
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	memset(&heard, 0, sizeof heard);
	udp_answer = tcp_answer = 100;
	drop = 0;
	other_id = false;
	peer = dns_peer_open("127.0.0.1", true, script);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	dns_peer_close(peer);
	loop_close();
	return 0;
}

static void test_udp(void **state)
{
	(void)state;
	assert_string_equal(exchange(&peer->addr, 512), "");
	assert_int_equal(heard.len, 100);
	assert_int_equal(peer->last_len, 512);
	assert_int_equal(peer->last[511], 0x11);
	assert_int_equal(peer->udp_seen, 1);
	assert_int_equal(peer->tcp_seen, 0);
	drop = peer->udp_seen + 2; /* the third is heard */
	assert_string_equal(exchange(&peer->addr, 12), "");
	assert_int_equal(peer->udp_seen, 4);
	assert_int_equal(peer->tcp_seen, 0);
}

static void test_tcp(void **state)
{
	(void)state;
	assert_string_equal(exchange(&peer->addr, 513), ""); /* too large */
	assert_int_equal(peer->udp_seen, 0);
	assert_int_equal(peer->tcp_seen, 1);
	peer->bytewise = true;
	assert_string_equal(exchange(&peer->addr, 600), "");
	peer->bytewise = false;
	tcp_answer = 65535;
	assert_string_equal(exchange(&peer->addr, 65535), "");
	assert_int_equal(heard.len, 65535);
	assert_int_equal(peer->last_len, 65535);
	drop = 1000; /* silence over UDP */
	assert_string_equal(exchange(&peer->addr, 20), "");
	assert_int_equal(peer->udp_seen, DNS_EXCHANGE_REPEATS);
	heard.say_udp = DNS_HEARD_DOUBT; /* at once, without repeats */
	drop = 0;
	assert_string_equal(exchange(&peer->addr, 20), "");
	assert_int_equal(peer->udp_seen, DNS_EXCHANGE_REPEATS + 1);
	assert_int_equal(heard.udp, 1);
	assert_int_equal(heard.tcp, 1);
}

static void test_not_ours(void **state)
{
	(void)state;
	other_id = true;
	assert_string_equal(exchange(&peer->addr, 20), "no answer within 0.8 seconds, over UDP and TCP");
	assert_string_equal(heard.err.type, "timeout");
	assert_int_equal(heard.err.kind, ERR_TEMP);
	assert_int_equal(heard.udp + heard.tcp, 0);
	other_id = false;
	udp_answer = tcp_answer = 11; /* too short to be a message */
	exchange(&peer->addr, 20);
	assert_int_equal(heard.udp + heard.tcp, 0);
	udp_answer = tcp_answer = 12;
	heard.say_udp = heard.say_tcp = DNS_HEARD_NOTHING;
	exchange(&peer->addr, 20);
	assert_int_equal(heard.udp, DNS_EXCHANGE_REPEATS);
	assert_int_equal(heard.tcp, 1);
}

static void test_doubt(void **state)
{
	(void)state;
	heard.say_udp = heard.say_tcp = DNS_HEARD_DOUBT;
	assert_string_equal(exchange(&peer->addr, 20), "doubt over TCP");
	assert_int_equal(heard.err.kind, ERR_DENIED);
	tcp_answer = DNS_PEER_SILENT;
	assert_string_equal(exchange(&peer->addr, 20), "doubt over UDP");
	tcp_answer = DNS_PEER_CLOSE;
	assert_string_equal(exchange(&peer->addr, 20), "doubt over UDP; the server ended the TCP connection without an answer");
	drop = 1000;
	assert_string_equal(exchange(&peer->addr, 20), "no answer over UDP; the server ended the TCP connection without an answer");
	assert_int_equal(heard.err.kind, ERR_TEMP);
}

static void test_nobody(void **state)
{
	struct dns_peer *deaf = dns_peer_open("127.0.0.1", false, script);
	struct addr gone, hole;
	int fds[2];
	int64_t begun = clock_mono_ms();

	(void)state;
	drop = 1000;
	assert_string_equal(exchange(&deaf->addr, 20), "no answer over UDP; no TCP connection: Connection refused");
	gone = deaf->addr;
	dns_peer_close(deaf);
	begun = clock_mono_ms();
	assert_string_equal(exchange(&gone, 20), "no answer over UDP; no TCP connection: Connection refused");
	assert_in_range(clock_mono_ms() - begun, 0, HOLD_MS / 8 - 1); /* ICMP says so at once */
	assert_string_equal(exchange(&gone, 600), "no TCP connection: Connection refused");
	testserver_black_hole(fds, &hole);
	assert_string_equal(exchange(&hole, 600), "no answer within 0.8 seconds, over TCP");
	close(fds[0]);
	close(fds[1]);
	assert_true(addr_parse("[ff02::1]:53", 53, &hole)); /* multicast: no TCP there */
	exchange(&hole, 600);
	assert_non_null(strstr(heard.err.detail, "the server cannot be reached"));
}

static void test_ipv6(void **state)
{
	struct dns_peer *six = dns_peer_open("::1", true, script);

	(void)state;
	assert_string_equal(exchange(&six->addr, 20), "");
	assert_string_equal(exchange(&six->addr, 600), "");
	dns_peer_close(six);
}

static void test_cancel(void **state)
{
	(void)state;
	dns_exchange_cancel(NULL);
	dns_exchange_cancel(start(&peer->addr, 20));
	dns_exchange_cancel(start(&peer->addr, 600));
	dns_exchange_cancel(start(&peer->addr, 3)); /* no message: it has failed, but has not told */
	drop = 1000;
	tcp_answer = DNS_PEER_SILENT;
	for (unsigned i = 0; i < 2; i++) {
		unsigned udp = peer->udp_seen, tcp = peer->tcp_seen;
		struct dns_exchange *x = start(&peer->addr, i ? 600 : 20);

		while (peer->udp_seen == udp && peer->tcp_seen == tcp)
			loop_turn(true);
		dns_exchange_cancel(x);
	}
	loop_turn(false);
	assert_int_equal(heard.calls, 0);
	assert_string_equal(exchange(&peer->addr, 3), "3 bytes are no DNS message");
	assert_string_equal(exchange(&peer->addr, 65536), "65536 bytes are no DNS message");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(test_udp), TEST(test_tcp), TEST(test_not_ours), TEST(test_doubt), TEST(test_nobody), TEST(test_ipv6), TEST(test_cancel),
	};

	alarm(120); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
