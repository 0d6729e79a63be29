/* SPDX-License-Identifier: ISC */
#include "dns_peer.h"

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/text.h"
#include "crypto/tsig.h"
#include "io/dns.h"
#include "prove/dns_provider.h"
#include "testserver.h"

#define ZONE "example.org"
#define NAME "_acme-challenge.www.example.org"
enum { HOLD_MS = 800 /* the repeats are then 100 ms apart */, MANY = 80, IN_FLIGHT = 32, MAC = 32, RECORD = 10 + 10 + 13 + 10 + MAC + 6 };

/* --- a keeper with one secret, and a name server that knows it --- */

static struct keeper {
	struct rpc *client;
	struct rpc_peer *peer;
	const char *text;  /* of the credential */
	struct err refuse; /* kind set: instead */
	bool hold, fickle; /* fickle: another secret each time */
	struct rpc_request *held;
	unsigned calls;
} keeper;

static struct dns_peer *peer;
static struct testdns *names;
static struct dns *dns;
static struct dns_provider *provider;
static const uint8_t secret[] = "sixteen bytes...";
#define SECRET_TEXT " c2l4dGVlbiBieXRlcy4uLg==\n" /* base64 of the same, without its NUL */
#define OTHER_TEXT "b3RoZXI="

enum act { FINE, DROP, CUT, OTHER_ID, OTHER_OPCODE, NO_RESPONSE, WRONG_MAC, OLD, BARE, SHORT, BADKEY, BADSIG, BADTIME, CLOSE };
static struct script {
	enum act udp, tcp;
	unsigned rcode, drop; /* drop: that many datagrams first */
	bool hold;
} script;

static struct {
	struct sockaddr_storage from;
	socklen_t from_len;
	uint8_t msg[512];
	size_t len;
} held[MANY];
static size_t nheld;

static void give_secret(struct rpc_request *q)
{
	struct js *answer = js_object();
	const char *credential = keeper.fickle && keeper.calls % 2 ? OTHER_TEXT : keeper.text;
	char *text = text_b64url_encode(credential, strlen(credential));

	js_put_str(answer, "secret", text);
	free(text);
	rpc_answer(q, answer);
}

static void keeper_call(void *arg, struct rpc_request *q, const struct js *request)
{
	(void)arg;
	keeper.calls++;
	assert_string_equal(js_str(request, "op"), "secret");
	assert_string_equal(js_str(request, "dns"), "corp");
	assert_int_equal(js_len(request), 3); /* and its id */
	if (keeper.hold)
		keeper.held = q;
	else if (keeper.refuse.kind)
		rpc_refuse(q, &keeper.refuse);
	else
		give_secret(q);
}

static void keeper_closed(void *arg, struct rpc_peer *p)
{
	(void)arg;
	(void)p;
	keeper.peer = NULL;
}

static int keeper_connect(void *arg, struct err *err)
{
	static const struct rpc_serve_ops ops = {.call = keeper_call, .closed = keeper_closed};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	keeper.peer = rpc_serve(fds[1], 65536, &ops, arg, err);
	return fds[0];
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Signs the n bytes of an answer; done here anew, by the letters of RFC 8945. */
static size_t sign(const uint8_t *request, size_t len, uint8_t *out, size_t n, unsigned error, bool mac, int64_t now)
{
	static const uint8_t name[] = "\5dovad\4test", algorithm[] = "\13hmac-sha256";
	uint8_t times[8] = {0}, bytes[2048];
	size_t at = 0, got, signed_len = mac ? MAC : 0;

	for (int i = 0; i < 6; i++)
		times[i] = (uint8_t)(now >> 8 * (5 - i));
	put16(times + 6, 300);
#define PUT(data, size) (memcpy(bytes + at, data, size), at += (size))
	PUT("\0\40", 2);
	PUT(request + len - 6 - MAC, MAC);
	PUT(out, n);
	PUT(name, sizeof name);
	PUT("\0\377\0\0\0\0", 6);
	PUT(algorithm, sizeof algorithm);
	PUT(times, 8);
	PUT("\0\0\0\0", 4);
	memcpy(out + n, name, sizeof name);
	n += sizeof name;
	memcpy(out + n, "\0\372\0\377\0\0\0\0", 8);
	put16(out + n + 8, (unsigned)(sizeof algorithm + 10 + signed_len + 6));
	n += 10;
	memcpy(out + n, algorithm, sizeof algorithm);
	n += sizeof algorithm;
	memcpy(out + n, times, 8);
	put16(out + n + 8, (unsigned)signed_len);
	n += 10;
	if (mac)
		assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, sizeof secret - 1, bytes, at, out + n, MAC, &got));
	n += signed_len;
	memcpy(out + n, request, 2);
	put16(out + n + 2, error);
	put16(out + n + 4, 0);
	return n + 6;
}

static int act(enum act what, const uint8_t *msg, size_t len, uint8_t *out)
{
	int64_t now = what == OLD ? clock_now() - 1000 : clock_now();
	bool has_key = msg[11] != 0;
	size_t n = 12;

	if (what == DROP || what == CLOSE)
		return what == DROP ? DNS_PEER_SILENT : DNS_PEER_CLOSE;
	memset(out, 0, n);
	memcpy(out, msg, 2);
	out[2] = what == NO_RESPONSE ? 0x28 : what == OTHER_OPCODE ? 0x80 : what == CUT ? 0xaa : 0xa8;
	out[3] = (uint8_t)(what == BADKEY || what == BADSIG || what == BADTIME ? 9 : script.rcode);
	if (has_key && what == BADKEY)
		n = sign(msg, len, out, n, 17, false, now);
	else if (has_key && what == BADSIG)
		n = sign(msg, len, out, n, 16, false, now);
	else if (has_key && what == BADTIME)
		n = sign(msg, len, out, n, 18, false, now);
	else if (has_key && what != BARE)
		n = sign(msg, len, out, n, 0, true, now);
	out[11] = n > 12;
	out[0] ^= what == OTHER_ID;
	if (what == WRONG_MAC)
		out[n - 7] ^= 1;
	return what == SHORT ? 11 : (int)n;
}

static int play(struct dns_peer *p, const uint8_t *msg, size_t len, bool tcp, uint8_t *out)
{
	if (script.hold) {
		assert_true(nheld < MANY && len <= sizeof held[0].msg);
		memcpy(held[nheld].msg, msg, len);
		held[nheld].len = len;
		held[nheld].from = p->from;
		held[nheld++].from_len = p->from_len;
		return DNS_PEER_SILENT;
	}
	if (!tcp && script.drop) {
		script.drop--;
		return DNS_PEER_SILENT;
	}
	return act(tcp ? script.tcp : script.udp, msg, len, out);
}

/* --- around each test --- */

static size_t nzones;

static struct dns_provider *make(const char *server, const char *key)
{
	static const char *const zones[] = {"other.test", ZONE};
	struct dns_rfc2136_options o = {.name = "corp", .zones = zones, .nzones = nzones, .server = server, .key_name = key, .key_algorithm = TSIG_HMAC_SHA256,
					.ttl = 60, .timeout_ms = HOLD_MS, .dns = dns, .keeper = keeper.client};
	struct err err;
	struct dns_provider *p = dns_rfc2136_new(&o, &err);

	if (!p)
		fail_msg("%s", err.detail);
	return p;
}

static void provide(const char *server, const char *key)
{
	if (provider)
		provider->ops->free(provider);
	provider = make(server, key);
}

static int open_all(void **state)
{
	static const struct rpc_ops ops = {.connect = keeper_connect};
	const char *server;
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	memset(&keeper, 0, sizeof keeper);
	memset(&script, 0, sizeof script);
	nheld = 0;
	nzones = 2;
	keeper.text = SECRET_TEXT;
	names = testdns_open();
	server = testdns_address(names);
	dns = dns_open(&server, 1, &err);
	assert_non_null(dns);
	keeper.client = rpc_new(&ops, NULL);
	peer = dns_peer_open("127.0.0.1", true, play);
	provider = NULL;
	provide(peer->address, "dovad.test.");
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	if (provider)
		provider->ops->free(provider);
	dns_peer_close(peer);
	rpc_free(keeper.client);
	rpc_peer_close(keeper.peer);
	loop_turn(false);
	dns_close(dns);
	testdns_close(names);
	loop_close();
	return 0;
}

struct told {
	int calls;
	struct err err;
	struct dns_provider **free; /* within the call */
};

static void changed(void *arg, const struct err *err)
{
	struct told *t = arg;

	assert_int_equal(++t->calls, 1);
	if (err)
		t->err = *err;
	if (t->free) {
		(*t->free)->ops->free(*t->free);
		*t->free = NULL;
	}
}

typedef struct dns_change *operation(struct dns_provider *, const struct dns_record *, dns_changed *, void *);

static struct dns_change *start(operation *op, const char *name, const char *value, struct told *t)
{
	char zone[] = ZONE, *n = mem_strdup(name), *v = mem_strdup(value);
	struct dns_record r = {zone, n, v};
	struct dns_change *c;

	memset(t, 0, sizeof *t);
	c = op(provider, &r, changed, t);
	assert_int_equal(t->calls, 0);
	memset(zone, '!', sizeof zone - 1);
	memset(n, '!', strlen(n));
	memset(v, '!', strlen(v));
	free(n);
	free(v);
	return c;
}

static void wait_for(const struct told *t)
{
	while (!t->calls)
		loop_turn(true);
}

static const char *change(operation *op, const char *name, const char *value, struct told *t)
{
	start(op, name, value, t);
	wait_for(t);
	return t->err.detail;
}

static const char *add(struct told *t)
{
	return change(provider->ops->add, NAME, "v", t);
}

/* --- tests --- */

#define HEX_ZONE "076578616d706c65036f72670000060001"
#define HEX_NAME "0f5f61636d652d6368616c6c656e676503777777c00c"

/* What the last message says behind its id and before its signature. */
static void check_message(const char *expected)
{
	char *hex = text_hex_encode(peer->last + 2, strlen(expected) / 2);

	assert_string_equal(hex, expected);
	assert_int_equal(peer->last_len, 2 + strlen(expected) / 2 + RECORD + 2);
	free(hex);
}

static void test_messages(void **state)
{
	struct told t;

	(void)state;
	assert_string_equal(change(provider->ops->add, NAME, "abc", &t), "");
	/* one zone, no CNAME at the name, one record of class IN with TTL 60 */
	check_message("28000001000100010001" HEX_ZONE HEX_NAME "000500fe000000000000" "c01d00100001" "0000003c" "000403616263");
	assert_string_equal(change(provider->ops->remove, NAME, "abc", &t), "");
	check_message("28000001000000010001" HEX_ZONE HEX_NAME "001000fe" "00000000" "000403616263");
	assert_int_equal(peer->udp_seen, 2);
	assert_int_equal(keeper.calls, 1);
	assert_string_equal(change(provider->ops->add, NAME, "", &t), "");
	check_message("28000001000100010001" HEX_ZONE HEX_NAME "000500fe000000000000" "c01d00100001" "0000003c" "000100");
}

static void test_probe(void **state)
{
	char *first, *second;
	struct told t;

	(void)state;
	assert_string_equal(change(provider->ops->probe, NAME, "abc", &t), "");
	first = text_hex_encode(peer->last + 2, peer->last_len - 2);
	/* an SOA there, no CNAME here, and without a value that only chance can make */
	assert_memory_equal(first, "28000001000200010001" HEX_ZONE "c00c000600ff000000000000" HEX_NAME
		 "000500fe000000000000" "c029001000fe" "00000000" "002120", 158);
	assert_string_equal(change(provider->ops->probe, NAME, "abc", &t), "");
	second = text_hex_encode(peer->last + 2, peer->last_len - 2);
	assert_string_not_equal(first, second);
	free(first);
	free(second);
	script.rcode = 5;
	change(provider->ops->probe, NAME, "abc", &t);
	assert_int_equal(t.err.kind, ERR_DENIED);
}

static void test_long_value(void **state)
{
	char value[4098];
	struct told t;

	(void)state;
	memset(value, 'x', sizeof value);
	value[256] = '\0';
	assert_string_equal(change(provider->ops->add, NAME, value, &t), ""); /* two strings */
	assert_memory_equal(peer->last + peer->last_len - RECORD - 2 - 258 - 2, "\1\2\377x", 4);
	assert_memory_equal(peer->last + peer->last_len - RECORD - 2 - 2, "\1x", 2);
	value[256] = 'x';
	value[4096] = '\0';
	assert_string_equal(change(provider->ops->add, NAME, value, &t), "");
	assert_int_equal(peer->tcp_seen, 1);
	assert_true(peer->last_len > 4096 + 17);
	value[4096] = 'x';
	value[4097] = '\0';
	assert_non_null(strstr(change(provider->ops->add, NAME, value, &t), "a TXT record of more than 4096 bytes"));
	assert_int_equal(t.err.kind, ERR_INPUT);
	assert_int_equal(peer->tcp_seen, 1);
}

static void test_answers(void **state)
{
	static const struct {
		const char *what;
		struct script script;
		enum err_kind kind;
		const char *text;
		unsigned udp, tcp;
	} rows[] = {
		{"a plain answer", {.udp = FINE}, ERR_NONE, "", 1, 0},
		{"a lost datagram", {.udp = FINE, .drop = 1}, ERR_NONE, "", 2, 0},
		{"two of them", {.udp = FINE, .drop = 2}, ERR_NONE, "", 3, 0},
		{"silence over UDP", {.udp = DROP}, ERR_NONE, "", 3, 1},
		{"silence", {.udp = DROP, .tcp = DROP}, ERR_TEMP, "no answer within 0.8 seconds, over UDP and TCP", 3, 1},
		{"no answer over TCP", {.udp = DROP, .tcp = CLOSE}, ERR_TEMP, "the server ended the TCP connection without an answer", 3, 1},
		{"an answer cut off", {.udp = CUT}, ERR_NONE, "", 1, 1},
		{"and no TCP", {.udp = CUT, .tcp = CLOSE}, ERR_TEMP, "the answer over UDP was cut off; the server ended the TCP connection", 1, 1},
		{"the id of another", {.udp = OTHER_ID}, ERR_NONE, "", 3, 1},
		{"the id of another, always", {.udp = OTHER_ID, .tcp = OTHER_ID}, ERR_TEMP, "no answer within", 3, 1},
		{"no answer but a request", {.udp = NO_RESPONSE}, ERR_NONE, "", 3, 1},
		{"an answer to a question", {.udp = OTHER_OPCODE}, ERR_NONE, "", 3, 1},
		{"the same over TCP", {.udp = DROP, .tcp = OTHER_OPCODE}, ERR_TEMP, "what came is no answer to an update", 3, 1},
		{"a wrong signature over UDP", {.udp = WRONG_MAC}, ERR_NONE, "", 1, 1},
		{"a wrong signature", {.udp = WRONG_MAC, .tcp = WRONG_MAC}, ERR_TEMP, "the signature of the answer is wrong", 1, 1},
		{"an old answer", {.udp = OLD, .tcp = OLD}, ERR_TEMP, "signed 16m 40s ago", 1, 1},
		{"no signature over UDP", {.udp = BARE}, ERR_NONE, "", 1, 1},
		{"no signature", {.udp = BARE, .tcp = BARE}, ERR_TEMP, "the answer is not signed", 1, 1},
		{"no signature below a SERVFAIL", {.udp = BARE, .tcp = BARE, .rcode = 2}, ERR_TEMP, "could not do it; its log says why; the answer is not signed", 1, 1},
		{"no signature below a FORMERR", {.udp = BARE, .tcp = BARE, .rcode = 1}, ERR_DENIED, "FORMERR: the server cannot read the update; the answer is not", 1, 1},
		{"a short message", {.udp = SHORT}, ERR_NONE, "", 3, 1},
		{"BADTIME", {.udp = BADTIME, .tcp = BADTIME}, ERR_TEMP, "BADTIME", 1, 1},
		{"BADKEY that somebody else said", {.udp = BADKEY}, ERR_NONE, "", 1, 1},
		{"FORMERR", {.rcode = 1}, ERR_DENIED, "FORMERR", 1, 0},
		{"SERVFAIL", {.rcode = 2}, ERR_TEMP, "SERVFAIL", 1, 0},
		{"NXDOMAIN", {.rcode = 3}, ERR_DENIED, "NXDOMAIN", 1, 0},
		{"NOTIMP", {.rcode = 4}, ERR_DENIED, "is it the primary", 1, 0},
		{"REFUSED", {.rcode = 5}, ERR_DENIED, "REFUSED: the server does not allow it: its ACL (allow-update, update-policy)", 1, 0},
		{"YXDOMAIN", {.rcode = 6}, ERR_DENIED, "YXDOMAIN", 1, 0},
		{"YXRRSET", {.rcode = 7}, ERR_DENIED, "YXRRSET: there is a CNAME at this name", 1, 0},
		{"NXRRSET", {.rcode = 8}, ERR_DENIED, "NXRRSET", 1, 0},
		{"NOTAUTH", {.rcode = 9}, ERR_DENIED, "NOTAUTH: the server is not the primary of this zone", 1, 0},
		{"NOTZONE", {.rcode = 10}, ERR_DENIED, "NOTZONE: the name is not in this zone", 1, 0},
		{"an unknown RCODE", {.rcode = 13}, ERR_TEMP, "RCODE 13", 1, 0},
	};
	struct told t;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned udp = peer->udp_seen, tcp = peer->tcp_seen;

		script = rows[i].script;
		if (!strstr(add(&t), rows[i].text) || t.err.kind != rows[i].kind || peer->udp_seen - udp != rows[i].udp || peer->tcp_seen - tcp != rows[i].tcp)
			fail_msg("%s: kind %d: %s (%u over UDP, %u over TCP)", rows[i].what, t.err.kind, t.err.detail, peer->udp_seen - udp, peer->tcp_seen - tcp);
		if (t.err.kind && !strstr(t.err.detail, ", zone " ZONE ", name " NAME ": "))
			fail_msg("%s: %s", rows[i].what, t.err.detail);
	}
	script = (struct script){.rcode = 10};
	add(&t);
	assert_non_null(strstr(t.err.detail, "dns corp: server 127.0.0.1:"));
	assert_string_equal(t.err.type, "update");
	assert_int_equal(keeper.calls, 1);
}

static void test_without_key(void **state)
{
	struct told t;

	(void)state;
	provide(peer->address, NULL);
	assert_string_equal(add(&t), "");
	assert_int_equal(peer->last[11], 0);
	script.rcode = 5;
	add(&t);
	assert_int_equal(t.err.kind, ERR_DENIED);
	assert_int_equal(keeper.calls, 0);
	assert_int_equal(peer->udp_seen, 2);
}

static void test_secret_replaced(void **state)
{
	static const struct script refusals[] = {{.udp = BADSIG, .tcp = BADSIG}, {.udp = BADKEY, .tcp = BADKEY}, {.udp = BARE, .tcp = BARE, .rcode = 5},
						 {.udp = BARE, .tcp = BARE, .rcode = 9}};
	struct told t;

	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		unsigned calls;

		provide(peer->address, "dovad.test");
		calls = keeper.calls;
		script = (struct script){0};
		assert_string_equal(add(&t), "");
		script = refusals[i];
		add(&t); /* asked for again, and it is the same */
		assert_int_equal(t.err.kind, ERR_DENIED);
		assert_int_equal(keeper.calls, calls + 2);
	}
	keeper.fickle = true; /* it is another one, which is refused as well: that is enough */
	keeper.calls = 0;
	provide(peer->address, "dovad.test");
	script = refusals[0];
	add(&t);
	assert_int_equal(t.err.kind, ERR_DENIED);
	assert_int_equal(keeper.calls, 2);
	keeper.fickle = false;
	/* The admin has put another one in place: the message goes out again. The server knows the new one only. */
	provide(peer->address, "dovad.test");
	keeper.text = OTHER_TEXT;
	keeper.calls = 0;
	script = (struct script){.udp = BADSIG, .tcp = BADSIG};
	start(provider->ops->add, NAME, "v", &t);
	while (keeper.calls < 1)
		loop_turn(true);
	keeper.text = SECRET_TEXT;
	while (keeper.calls < 2)
		loop_turn(true);
	script = (struct script){0};
	wait_for(&t);
	assert_string_equal(t.err.detail, "");
	assert_int_equal(keeper.calls, 2);
}

static void test_secret_missing(void **state)
{
	static const char *const bad[] = {"", " ", "not base64!", "\xff"};
	struct told t, u;

	(void)state;
	err_set(&keeper.refuse, ERR_LOCAL, "credential", "credential corp-tsig: no such file");
	assert_non_null(strstr(add(&t), "no such file"));
	assert_non_null(strstr(t.err.detail, "dns corp: server 127.0.0.1, zone " ZONE));
	assert_int_equal(t.err.kind, ERR_LOCAL);
	err_clear(&keeper.refuse);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		keeper.text = bad[i];
		assert_non_null(strstr(add(&t), "the secret of key dovad.test. is not a key in base64"));
		assert_int_equal(t.err.kind, ERR_INPUT);
	}
	assert_int_equal(peer->udp_seen, 0);
	keeper.text = SECRET_TEXT;
	keeper.calls = 0;
	start(provider->ops->add, NAME, "v", &u); /* both wait for the same call */
	assert_string_equal(add(&t), "");
	wait_for(&u);
	assert_int_equal(keeper.calls, 1);
}

static void test_many(void **state)
{
	static struct told t[MANY];
	uint8_t out[512];
	int n;

	(void)state;
	script.hold = true;
	for (size_t i = 0; i < MANY; i++)
		start(i % 2 ? provider->ops->remove : provider->ops->add, NAME, "v", &t[i]);
	while (nheld < IN_FLIGHT)
		loop_turn(true);
	for (int i = 0; i < 20; i++)
		loop_turn(false);
	assert_int_equal(nheld, IN_FLIGHT); /* the others wait in line */
	for (size_t i = 0; i < 3; i++) {    /* three answers make room for three */
		n = act(FINE, held[i].msg, held[i].len, out);
		assert_int_equal(sendto(peer->udp, out, (size_t)n, 0, (struct sockaddr *)&held[i].from, held[i].from_len), n);
	}
	while (nheld < IN_FLIGHT + 3)
		loop_turn(true);
	assert_int_equal(t[0].calls + t[1].calls + t[2].calls, 3);
	script.hold = false; /* the repeats are answered */
	for (size_t i = 0; i < MANY; i++) {
		wait_for(&t[i]);
		assert_string_equal(t[i].err.detail, "");
	}
	assert_int_equal(keeper.calls, 1);
}

/* Every address of a name is tried, in turn, each with its share of the time; a clear "no" ends it. */
static void test_addresses(void **state)
{
	struct dns_peer *first = dns_peer_open("127.0.0.7", false, play); /* on another port: nothing is at ours */
	char server[64];
	struct told t;

	(void)state;
	snprintf(server, sizeof server, "primary.test:%u", addr_port(&peer->addr));
	testdns_set(names, "primary.test", 0, "127.0.0.7,127.0.0.1");
	provide(server, "dovad.test");
	assert_string_equal(add(&t), "");
	script.rcode = 5;
	add(&t);
	assert_non_null(strstr(t.err.detail, "server 127.0.0.1:"));
	testdns_set(names, "primary.test", 0, "127.0.0.7,127.0.0.8");
	assert_non_null(strstr(add(&t), "Connection refused"));
	assert_int_equal(t.err.kind, ERR_TEMP);
	testdns_set(names, "primary.test", 3, "");
	assert_non_null(strstr(add(&t), "server primary.test, zone " ZONE ", name " NAME ": looking up primary.test: the name does not exist"));
	dns_peer_close(first);
}

static void test_ipv6(void **state)
{
	struct dns_peer *six = dns_peer_open("::1", true, play);
	struct told t;

	(void)state;
	provide(six->address, "dovad.test");
	assert_string_equal(add(&t), "");
	assert_int_equal(six->udp_seen, 1);
	dns_peer_close(six);
}

static void test_zones(void **state)
{
	static const char *const others[] = {"example.com", "example.org.evil.test", "notexample.org", "org", ""};
	struct told t;

	(void)state;
	assert_string_equal(change(provider->ops->add, "Example.ORG", "v", &t), "");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_non_null(strstr(change(provider->ops->add, others[i], "v", &t), "none of the zones of this entry holds this name"));
		assert_int_equal(t.err.kind, ERR_INPUT);
	}
	assert_non_null(strstr(change(provider->ops->add, "a.other.test", "v", &t), "the name is not in the zone"));
	assert_int_equal(peer->udp_seen, 1);
	nzones = 0; /* any */
	provide(peer->address, "dovad.test");
	assert_string_equal(change(provider->ops->add, NAME, "v", &t), "");
}

static void test_options(void **state)
{
	static const char *const good[] = {"192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53", "ns.example.org", "ns.example.org:53"};
	static const char *const bad[] = {"", ":53", "ns.example.org:", "ns.example.org:0", "ns.example.org:65536", "ns:53:53", "[::1"};
	struct dns_rfc2136_options o = {.name = "corp", .server = "192.0.2.1", .dns = dns};
	struct dns_provider *p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		o.server = good[i];
		p = dns_rfc2136_new(&o, &err);
		assert_non_null(p);
		assert_string_equal(p->name, "corp");
		p->ops->free(p);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		o.server = bad[i];
		assert_null(dns_rfc2136_new(&o, &err));
		assert_int_equal(err.kind, ERR_INPUT);
	}
	o.server = "192.0.2.1";
	o.key_name = "no key";
	assert_null(dns_rfc2136_new(&o, &err));
	assert_string_equal(err.detail, "dns corp: 'no key' cannot be the name of a TSIG key");
	o.key_name = "key";
	o.key_algorithm = TSIG_ALGORITHMS;
	assert_null(dns_rfc2136_new(&o, &err));
}

static void test_cancel(void **state)
{
	static struct told t[MANY], in_call;
	struct dns_change *c[MANY];

	(void)state;
	provider->ops->cancel(NULL);
	script.hold = true;
	keeper.hold = true;
	c[0] = start(provider->ops->add, NAME, "v", &t[0]); /* in line */
	provider->ops->cancel(c[0]);
	c[0] = start(provider->ops->add, NAME, "v", &t[0]);
	while (!keeper.held)
		loop_turn(true);
	provider->ops->cancel(c[0]); /* waiting for the secret */
	give_secret(keeper.held); /* the provider takes it all the same */
	keeper.hold = false;
	for (size_t i = 0; i < MANY; i++)
		c[i] = start(provider->ops->add, NAME, "v", &t[i]);
	while (nheld < IN_FLIGHT)
		loop_turn(true);
	provider->ops->cancel(c[MANY - 1]);
	for (size_t i = 0; i < IN_FLIGHT; i++)
		provider->ops->cancel(c[i]);
	script.hold = false;
	for (size_t i = IN_FLIGHT; i < MANY - 1; i++)
		wait_for(&t[i]);
	for (size_t i = 0; i < IN_FLIGHT; i++)
		assert_int_equal(t[i].calls, 0);
	assert_int_equal(t[MANY - 1].calls, 0);
	/* The provider goes while much is under way, inside of a call. */
	for (size_t i = 0; i < MANY; i++)
		start(provider->ops->add, NAME, "v", &t[i]);
	start(provider->ops->add, "elsewhere.test", "v", &in_call); /* one that fails at once, when it is its turn */
	in_call.free = &provider;
	wait_for(&in_call);
	assert_null(provider);
	loop_turn(false);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(test_messages), TEST(test_probe), TEST(test_long_value), TEST(test_answers), TEST(test_without_key), TEST(test_secret_replaced),
		TEST(test_secret_missing), TEST(test_many), TEST(test_addresses), TEST(test_ipv6), TEST(test_zones), TEST(test_options), TEST(test_cancel),
	};

	alarm(120); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
