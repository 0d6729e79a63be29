/* SPDX-License-Identifier: ISC */
#include "method_seen.h"

#include <poll.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "prove/http_look.h"

#define TOKEN_PATH "/.well-known/acme-challenge/"
#define SECRET "do-not-show-this"

/* Web servers at three addresses with one port, each speaking HTTP and HTTPS there. */
enum { ONE, TWO, SIX, SERVERS };
static const char *const ips[SERVERS] = {"127.0.0.1", "127.0.0.2", "::1"};
static struct testserver servers[SERVERS];
static uint16_t port;
static struct testcert *cert;
static SSL_CTX *tls;
static struct testdns *names;
static struct dns *dns;
static struct http *client;

/* --- what the servers answer -------------------------------------------------------------------------------------------------- */

static const struct redirect {
	const char *token;
	int status;
	const char *location; /* '%': the port; NULL: none */
	const char *problem;  /* in the report; NULL: the proof is seen. Paths with "proof" in them have it. */
} redirects[] = {
	{"r301", 301, "/proof/r301", NULL},
	{"r302", 302, "/proof/r302", NULL},
	{"r307", 307, "/proof/r307", NULL},
	{"r308", 308, "/proof/r308", NULL},
	{"r300", 300, "/proof/r300", "answered 300, which CAs do not follow"},
	{"r303", 303, "/proof/r303", "answered 303, which CAs do not follow"},
	{"r305", 305, "/proof/r305", "answered 305, which CAs do not follow"},
	{"r201", 201, "/proof/r201", "answered 201"},
	{"absolute", 302, "http://www.test:%/proof/absolute", NULL},
	{"upper", 302, "HTTP://WWW.Test:%/proof/upper", NULL},
	{"protocol", 302, "//www.test:%/proof/protocol", NULL},
	{"query", 302, "/proof/query?a=b/c", NULL},
	{"fragment", 302, "/proof/fragment#a/b?c:d", NULL},
	{"sibling", 302, "proof/sibling", NULL},
	{"dots", 302, "../../proof/dots", NULL},
	{"question", 302, "?proof", NULL},
	{"requery", 302, "/again/requery?x=1", NULL},
	{"slashes", 302, "/again/slashes?x=/y", NULL},
	{"bare", 302, "http://www.test:%?proof/bare", NULL}, /* no path */
	{"tls", 302, "https://www.test:%/proof/tls", NULL},
	{"unheard", 302, "http://silent.test:%/proof", "not run"},
	{"othername", 302, "http://other.test:%/proof/othername", NULL},
	{"ownaddress", 302, "http://127.0.0.1:%/proof/ownaddress", NULL},
	{"ownmapped", 302, "http://[::ffff:127.0.0.1]:%/proof/ownmapped", NULL},
	{"nowhere", 302, "/.well-known/acme-challenge/missing", "answered 404 (redirect 1, to http://www.test:"},
	{"loop", 302, "/.well-known/acme-challenge/loop", "more than 10 redirects"},
	{"itself", 302, "#again", "more than 10 redirects"},
	{"ssh", 302, "http://www.test:22/", "redirected to port 22"},
	{"alt", 302, "https://www.test:8443/proof", "redirected to port 8443"},
	{"port0", 302, "http://www.test:0/", "cannot be followed"},
	{"port99999", 302, "http://www.test:99999/", "cannot be followed"},
	{"userinfo", 302, "http://www.test@127.0.0.3:%/", "cannot be followed"},
	{"password", 302, "http://www.test:80@127.0.0.3:%/", "cannot be followed"},
	{"ftp", 302, "ftp://www.test/proof/ftp", "cannot be followed"},
	{"file", 302, "file:///etc/passwd", "cannot be followed"},
	{"script", 302, "javascript:alert(1)", "cannot be followed"},
	{"gopher", 302, "gopher://127.0.0.1:%/_x", "cannot be followed"},
	{"colon", 302, ":", "cannot be followed"},
	{"triple", 302, "///", "cannot be followed"},
	{"blank", 302, "/proof/a b", "cannot be followed"},
	{"control", 302, "/proof/a\001b", "cannot be followed"},
	{"escape", 302, "/proof/\033[2Jx", "cannot be followed"},
	{"return", 302, "/proof/a\rX-Injected: b", "cannot be followed"},
	{"latin", 302, "/proof/caf\351", "cannot be followed"},
	{"backslash", 302, "\\\\evil.test\\proof", "cannot be followed"},
	{"quote", 302, "/proof/\"<script>", "cannot be followed"},
	{"none", 302, NULL, "answered 302 with a Location that cannot be followed"},
	{"empty", 302, "", "answered 302 with a Location that cannot be followed"},
	{"gone", 302, "http://gone.test:%/proof", "redirected to a host that was not found: looking up gone.test: the name does not exist"},
	{"broken", 302, "http://broken.test:%/proof", "SERVFAIL"},
	{"void", 302, "http://void.test:%/proof", "neither A nor AAAA"},
	{"private", 302, "http://private.test:%/proof", "redirected to 10.1.2.3, which is neither public nor an address of www.test"},
	{"mixed", 302, "http://mixed.test:%/proof", "redirected to 10.1.2.3, which is neither public"},
	{"neighbour", 302, "http://127.0.0.2:%/proof", "redirected to 127.0.0.2, which is neither public"},
	{"loopback6", 302, "http://[::1]:%/proof", "redirected to ::1, which is neither public"},
	{"mapped", 302, "http://[::ffff:127.0.0.2]:%/proof", "127.0.0.2, which is neither public"},
	{"zone", 302, "http://[fe80::1%25lo]:80/proof", "cannot be followed"},
	{"metadata", 302, "http://169.254.169.254/latest/meta-data/", "redirected to 169.254.169.254, which is neither public"},
	{"decimal", 302, "http://2130706433:%/proof", "cannot be followed"},
	{"octal", 302, "http://0177.0.0.1:%/proof", "cannot be followed"},
	{"hex", 302, "http://0x7f.1:%/proof", "cannot be followed"},
	{"short", 302, "http://127.1:%/proof", "cannot be followed"},
	{"nohost", 302, "http://:%/proof", "cannot be followed"},
};

static const struct body {
	const char *token;
	int status;
	int cut;          /* bytes off the proof's end */
	const char *tail; /* behind it */
	size_t tail_len;
	size_t pad;       /* line feeds up to this length */
	size_t flip;      /* this byte, from 1, is another one */
	const char *problem;
} bodies[] = {
	{"exact", 200, 0, "", 0, 0, 0, NULL},
	{"newline", 200, 0, "\n", 1, 0, 0, NULL},
	{"dosline", 200, 0, "\r\n", 2, 0, 0, NULL},
	{"blanks", 200, 0, " \t\v\f\r\n\n", 7, 0, 0, NULL},
	{"most", 200, 0, "", 0, 127, 0, NULL},
	{"toomuch", 200, 0, "", 0, 128, 0, "answered 200 with 128 bytes instead of 51: differs at byte 52"},
	{"shorter", 200, 1, "", 0, 0, 0, "answered 200 with 50 bytes instead of 51: differs at byte 51"},
	{"shortnl", 200, 1, "\n", 1, 0, 0, "answered 200 with 51 bytes instead of 51: differs at byte 51"},
	{"longer", 200, 0, "x", 1, 0, 0, "answered 200 with 51 bytes instead of 50: differs at byte 51"},
	{"twice", 200, 0, "\nmore", 5, 0, 0, "differs at byte 50"},
	{"nul", 200, 0, "\0", 1, 0, 0, "answered 200 with 48 bytes instead of 47: differs at byte 48"},
	{"first", 200, 0, "", 0, 0, 1, "answered 200 with 49 bytes instead of 49: differs at byte 1"},
	{"thumb", 200, 0, "", 0, 0, 7, "answered 200 with 49 bytes instead of 49: differs at byte 7"},
	{"last", 200, 0, "", 0, 0, 48, "answered 200 with 48 bytes instead of 48: differs at byte 48"},
	{"nothing", 200, 51, "", 0, 0, 0, "answered 200 with 0 bytes instead of 51: differs at byte 1"},
	{"page", 200, 48, "<html>" SECRET "</html>", 29, 0, 0, "bytes instead of 48: differs at byte 1"},
	{"created", 201, 0, "", 0, 0, 0, "answered 201"},
	{"partial", 206, 0, "", 0, 0, 0, "answered 206"},
	{"denied", 401, 0, SECRET, 16, 0, 0, "answered 401"},
	{"missing", 404, 0, SECRET, 16, 20000, 0, "answered 404"},
	{"failing", 500, 0, SECRET, 16, 0, 0, "answered 500"},
	{"huge", 200, 0, "", 0, 70000, 0, "larger than we accept"},
};

static void answer(struct testpeer *p, int status, const char *header, const char *body, size_t len)
{
	char head[4096];

	snprintf(head, sizeof(head), "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n", status, header, len);
	testpeer_puts(p, head);
	testpeer_write(p, body, len);
}

static void answer_proof(struct testpeer *p, const char *token)
{
	char body[512];

	snprintf(body, sizeof(body), "%s.%s", token, p->server == &servers[TWO] && strcmp(token, "uneven") == 0 ? SECRET : THUMBPRINT);
	answer(p, 200, "", body, strlen(body));
}

static void answer_body(struct testpeer *p, const struct body *b)
{
	static char body[80000];
	size_t len = (size_t)snprintf(body, sizeof(body), "%s.%s", b->token, THUMBPRINT) - (size_t)b->cut;

	memcpy(body + len, b->tail, b->tail_len);
	len += b->tail_len;
	while (len < b->pad)
		body[len++] = '\n';
	if (b->flip)
		body[b->flip - 1] ^= 1;
	answer(p, b->status, "", body, len);
}

static void answer_location(struct testpeer *p, int status, const char *location)
{
	char header[3000] = "Location: ";

	for (; *location; location++) {
		size_t used = strlen(header);

		if (*location == '%')
			snprintf(header + used, sizeof(header) - used, "%u", p->server->port);
		else
			snprintf(header + used, sizeof(header) - used, "%c", *location);
	}
	strcat(header, "\r\n");
	answer(p, status, header, SECRET, strlen(SECRET));
}

static void drip(struct testpeer *p, const char *text)
{
	struct pollfd gone = {.fd = p->fd, .events = POLLIN};

	while (poll(&gone, 1, 200) == 0)
		testpeer_puts(p, text);
}

/* Servers that do not come to an end. */
static bool misbehave(struct testpeer *p, const char *token)
{
	struct pollfd gone = {.fd = p->fd, .events = POLLIN};
	char location[128];

	if (strcmp(token, "mute") == 0)
		testpeer_hang(p);
	if (strcmp(token, "slowhead") == 0)
		testpeer_puts(p, "HTTP/1.1 200 OK\r\nX-Long: "), drip(p, "x");
	if (strcmp(token, "slowbody") == 0)
		testpeer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), drip(p, "x");
	if (strcmp(token, "torn") == 0)
		testpeer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\ntorn."), testpeer_hang(p);
	if (strcmp(token, "closed") == 0)
		return true;
	if (strcmp(token, "half") == 0)
		testpeer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\nhalf.");
	else if (strcmp(token, "ancient") == 0)
		testpeer_puts(p, "ancient." THUMBPRINT);
	else if (strcmp(token, "endless") == 0)
		for (testpeer_puts(p, "HTTP/1.1 200 OK\r\n\r\n");;)
			testpeer_puts(p, SECRET SECRET SECRET SECRET);
	else if (strcmp(token, "heads") == 0)
		for (testpeer_puts(p, "HTTP/1.1 200 OK\r\n");;)
			testpeer_puts(p, "X-" SECRET ": " SECRET "\r\n");
	else if (strcmp(token, "infos") == 0)
		for (;;)
			testpeer_puts(p, "HTTP/1.1 103 " SECRET "\r\nX-" SECRET ": " SECRET "\r\n\r\n");
	else if (strncmp(token, "tired", 5) == 0 && p->server == &servers[TWO] && poll(&gone, 1, 8000) == 0) {
		snprintf(location, sizeof(location), "/tired%d", atoi(token + 5) + 1);
		answer_location(p, 302, location);
	} else if (strncmp(token, "hops-", 5) == 0) {
		snprintf(location, sizeof(location), "/%s-%d", atoi(token + 5) > 1 ? "hops" : "proof/hops-10?", atoi(token + 5) - 1);
		answer_location(p, 302, location);
	} else {
		return false;
	}
	return true;
}

static void route(struct testpeer *p, char *path)
{
	const char *token = strncmp(path, TOKEN_PATH, strlen(TOKEN_PATH)) == 0 ? path + strlen(TOKEN_PATH) : path + 1;
	char *query = strchr(path, '?'), longer[2100];

	if (query)
		*query++ = '\0';
	if (strstr(path, "proof") || (query && strncmp(query, "proof", 5) == 0)) {
		answer_proof(p, strcmp(path, "/") == 0 ? "bare" : strrchr(path, '/') + 1);
		return;
	}
	for (size_t i = 0; i < sizeof(redirects) / sizeof(redirects[0]); i++)
		if (strcmp(redirects[i].token, token) == 0) {
			if (redirects[i].location)
				answer_location(p, redirects[i].status, redirects[i].location);
			else
				answer(p, redirects[i].status, "", SECRET, strlen(SECRET));
			return;
		}
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		if (strcmp(bodies[i].token, token) == 0) {
			answer_body(p, &bodies[i]);
			return;
		}
	if (strcmp(token, "far") == 0 || strcmp(token, "farther") == 0) {
		memset(longer, 'a', sizeof(longer));
		memcpy(longer, "/proof/far?", 11);
		longer[strcmp(token, "far") == 0 ? 2000 : 2001] = '\0';
		answer_location(p, 302, longer);
	} else if (strcmp(token, "again/requery") == 0) {
		answer_location(p, 302, "?proof");
	} else if (strcmp(token, "again/slashes") == 0) {
		answer_location(p, 302, "proof/slashes");
	} else if (strcmp(token, "stall") == 0) {
		answer_location(p, 302, "https://six.test:%/");
	} else if (strcmp(token, "uneven") == 0) {
		answer_location(p, 307, "https://all.test:%/proof/uneven");
	} else if (!misbehave(p, token)) {
		answer(p, 404, "", SECRET, strlen(SECRET));
	}
}

static void serve(struct testpeer *p)
{
	char head[8192];
	size_t len = 0;
	ssize_t n;
	char *path;

	if (recv(p->fd, head, 1, MSG_PEEK) == 1 && head[0] == 0x16) { /* a TLS handshake */
		if (p->server == &servers[SIX])
			testpeer_hang(p);
		p->ssl = SSL_new(tls);
		SSL_set_fd(p->ssl, p->fd);
		if (SSL_accept(p->ssl) != 1)
			return;
	}
	do {
		n = p->ssl ? SSL_read(p->ssl, head + len, (int)(sizeof(head) - 1 - len)) : read(p->fd, head + len, sizeof(head) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
		head[len] = '\0';
	} while (n > 0 && !strstr(head, "\r\n\r\n"));
	if (n <= 0 || strncmp(head, "GET /", 5) != 0)
		return;
	p->server->notes->requests++;
	memcpy(p->server->notes->last, head, len + 1);
	path = head + 4;
	path[strcspn(path, " ")] = '\0';
	route(p, path);
}

/* --- around the tests --------------------------------------------------------------------------------------------------------- */

static int start_servers(void **state)
{
	char at[ADDR_TEXT];

	(void)state;
	cert = testcert_new("somebody.else.test", false, TESTCERT_STRANGER);
	tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_cert_and_key(tls, cert->leaf, cert->key, cert->chain, 0), 1);
	testserver_start(&servers[ONE], ips[ONE], NULL, serve);
	port = servers[ONE].port;
	for (int i = TWO; i < SERVERS; i++) {
		snprintf(at, sizeof(at), strchr(ips[i], ':') ? "[%s]:%u" : "%s:%u", ips[i], port);
		testserver_start(&servers[i], at, NULL, serve);
	}
	return 0;
}

static int stop_servers(void **state)
{
	(void)state;
	for (int i = 0; i < SERVERS; i++)
		testserver_stop(&servers[i]);
	SSL_CTX_free(tls);
	testcert_free(cert);
	testtrust_end();
	return 0;
}

static int open_all(void **state)
{
	const char *server;
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	names = testdns_open();
	server = testdns_address(names);
	dns = dns_open(&server, 1, &err);
	assert_non_null(dns);
	client = http_look_client(dns, &err);
	testdns_set(names, "www.test", 0, "127.0.0.1");
	testdns_set(names, "two.test", 0, "127.0.0.2");
	testdns_set(names, "six.test", 0, "::1");
	testdns_set(names, "all.test", 0, "127.0.0.1,127.0.0.2,::1");
	testdns_set(names, "pair.test", 0, "127.0.0.1,127.0.0.2");
	testdns_set(names, "half.test", 0, "127.0.0.1,127.0.0.9"); /* nobody listens at the second */
	testdns_set(names, "other.test", 0, "127.0.0.1");
	testdns_set(names, "private.test", 0, "10.1.2.3");
	testdns_set(names, "mixed.test", 0, "127.0.0.1,10.1.2.3");
	testdns_set(names, "broken.test", 2, "");
	testdns_set(names, "void.test", 0, "");
	testdns_set(names, "silent.test", TESTDNS_SILENT, "");
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	http_free(client);
	dns_close(dns);
	testdns_close(names);
	loop_close();
	return 0;
}

static struct http_seek *look_start(const char *name, const char *token, struct seen *s)
{
	struct http_look look = {.dns = dns, .http = client, .port = port};
	char name_copy[300], token_copy[300]; /* what is needed longer is copied */
	struct method_proof proof = {.ca = "ca", .name = name_copy, .token = token_copy, .thumbprint = THUMBPRINT};
	struct http_seek *seek;

	snprintf(name_copy, sizeof(name_copy), "%s", name);
	snprintf(token_copy, sizeof(token_copy), "%s", token);
	s->within = true;
	seek = http_look_start(&look, &proof, seen_done, s);
	s->within = false;
	memset(name_copy, '!', sizeof(name_copy));
	memset(token_copy, '!', sizeof(token_copy));
	return seek;
}

static void look(const char *name, const char *token, struct seen *s)
{
	seen_clear(s);
	look_start(name, token, s);
	seen_wait(s);
}

/* Whatever was seen, it must be told right: all addresses, ok or not, the first failure as the error, no byte of any body. */
static void check_report(const struct seen *s, size_t n)
{
	struct js *list = js_arr(s->report, "addresses");
	bool ok = true;
	char *dump;

	assert_non_null(list);
	assert_int_equal(js_len(list), n);
	for (size_t i = 0; i < n; i++) {
		const struct js *one = js_at(list, i);

		assert_true(js_str(one, "address") && js_str(one, "text") && *js_str(one, "text"));
		if (!js_bool(one, "ok", true)) {
			if (ok)
				assert_non_null(strstr(s->err.detail, js_str(one, "address")));
			ok = false;
		} else {
			assert_string_equal(js_str(one, "text"), "the proof is there");
		}
	}
	assert_int_equal(js_bool(s->report, "ok", !ok), ok);
	assert_int_equal(s->err.kind, ok ? ERR_NONE : ERR_TEMP);
	dump = js_dump(s->report);
	assert_null(strstr(dump, SECRET));
	assert_null(strstr(s->err.detail, SECRET));
	free(dump);
}

static const char *text_of(const struct seen *s, const char *ip)
{
	struct js *list = js_arr(s->report, "addresses");
	char at[ADDR_TEXT];

	snprintf(at, sizeof(at), strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
	for (size_t i = 0; i < js_len(list); i++)
		if (strcmp(js_str(js_at(list, i), "address"), at) == 0)
			return js_str(js_at(list, i), "text");
	fail_msg("nothing was reported of %s", at);
	return "";
}

/* --- tests -------------------------------------------------------------------------------------------------------------------- */

static void test_every_address(void **state)
{
	unsigned before[SERVERS];
	struct seen s = {0};
	char expected[128];

	(void)state;
	for (int i = 0; i < SERVERS; i++)
		before[i] = servers[i].notes->requests;
	look("all.test", "exact", &s);
	check_report(&s, SERVERS);
	assert_int_equal(s.err.kind, ERR_NONE);
	for (int i = 0; i < SERVERS; i++) {
		assert_int_equal(servers[i].notes->requests, before[i] + 1);
		assert_string_equal(text_of(&s, ips[i]), "the proof is there");
		snprintf(expected, sizeof(expected), "GET " TOKEN_PATH "exact HTTP/1.1\r\nHost: all.test:%u\r\n", port);
		assert_non_null(strstr(servers[i].notes->last, expected));
		assert_null(strcasestr(servers[i].notes->last, "\r\nAccept-Encoding:"));
		assert_non_null(strcasestr(servers[i].notes->last, "\r\nUser-Agent: dovad self-check libcurl/"));
		assert_null(strcasestr(servers[i].notes->last, "\r\nAccept-Language:"));
	}
	look("www.test", "exact", &s);
	check_report(&s, 1);
	look("six.test", "exact", &s);
	check_report(&s, 1);
	assert_int_equal(s.err.kind, ERR_NONE);
	look("127.0.0.2", "exact", &s); /* for names that are addresses */
	check_report(&s, 1);
	assert_int_equal(s.err.kind, ERR_NONE);
	seen_clear(&s);
}

static void test_one_good_one_bad(void **state)
{
	struct seen s = {0};

	(void)state;
	look("half.test", "exact", &s);
	check_report(&s, 2);
	assert_string_equal(text_of(&s, "127.0.0.1"), "the proof is there");
	assert_non_null(strstr(text_of(&s, "127.0.0.9"), "refused"));
	assert_non_null(strstr(s.err.detail, "half.test at 127.0.0.9:"));
	assert_string_equal(s.err.type, "http");
	seen_clear(&s);
}

/* A redirect to the name itself stays at the address it came from, so that each shows what it has. */
static void test_redirect_stays(void **state)
{
	unsigned questions;
	struct seen s = {0};

	(void)state;
	testdns_set(names, "all.test", 0, "127.0.0.1,127.0.0.2");
	look("all.test", "uneven", &s);
	check_report(&s, 2);
	assert_string_equal(text_of(&s, "127.0.0.1"), "the proof is there");
	assert_non_null(strstr(text_of(&s, "127.0.0.2"), "answered 200 with 23 bytes instead of 50: differs at byte 8 (redirect 1, to https://all.test:"));
	questions = testdns_questions(names);
	look("www.test", "tls", &s);
	assert_int_equal(testdns_questions(names), questions + 2); /* A and AAAA, once */
	assert_int_equal(s.err.kind, ERR_NONE);
	questions = testdns_questions(names);
	look("www.test", "othername", &s); /* another name is asked for once, and what was looked at is what is connected to */
	assert_int_equal(testdns_questions(names), questions + 4);
	assert_int_equal(s.err.kind, ERR_NONE);
	seen_clear(&s);
}

static void test_bodies(void **state)
{
	struct seen s = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		const struct body *b = &bodies[i];

		look("www.test", b->token, &s);
		check_report(&s, 1);
		if (b->problem ? !strstr(s.err.detail, b->problem) : s.err.kind != ERR_NONE)
			fail_msg("%s: %s instead of %s", b->token, s.err.detail, b->problem ? b->problem : "success");
	}
	seen_clear(&s);
}

static void test_redirects(void **state)
{
	struct seen s = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(redirects) / sizeof(redirects[0]); i++) {
		const struct redirect *r = &redirects[i];

		if (strcmp(r->token, "unheard") == 0)
			continue; /* for test_cancel */
		look("www.test", r->token, &s);
		check_report(&s, 1);
		if (r->problem ? !strstr(s.err.detail, r->problem) : s.err.kind != ERR_NONE)
			fail_msg("%s: %s instead of %s", r->token, s.err.detail, r->problem ? r->problem : "success");
	}
	seen_clear(&s);
}

static void test_redirect_count(void **state)
{
	struct seen s = {0};

	(void)state;
	look("www.test", "hops-10", &s);
	check_report(&s, 1);
	assert_int_equal(s.err.kind, ERR_NONE);
	look("www.test", "hops-11", &s);
	check_report(&s, 1);
	assert_non_null(strstr(s.err.detail, "more than 10 redirects"));
	seen_clear(&s);
}

static void test_redirect_length(void **state)
{
	struct seen s = {0};

	(void)state;
	look("www.test", "far", &s);
	check_report(&s, 1);
	assert_int_equal(s.err.kind, ERR_NONE);
	look("www.test", "farther", &s);
	check_report(&s, 1);
	assert_non_null(strstr(s.err.detail, "cannot be followed"));
	seen_clear(&s);
}

/* The addresses of a redirect's host are the name's own: allowed whichever of them it is. */
static void test_redirect_to_own(void **state)
{
	struct seen s = {0};

	(void)state;
	look("pair.test", "neighbour", &s);
	check_report(&s, 2);
	assert_non_null(strstr(text_of(&s, "127.0.0.1"), "differs at byte 1")); /* it was asked, and has another token's proof */
	look("six.test", "loopback6", &s);
	check_report(&s, 1);
	assert_non_null(strstr(s.err.detail, "differs at byte 1"));
	seen_clear(&s);
}

static void test_no_address(void **state)
{
	static const struct {
		const char *name, *problem;
		enum err_kind kind;
	} cases[] = {
		{"gone.test", "looking up gone.test: the name does not exist (NXDOMAIN)", ERR_TEMP},
		{"broken.test", "SERVFAIL", ERR_TEMP},
		{"void.test", "the name has no address (neither A nor AAAA record)", ERR_TEMP},
		{"not a name", "this is not a name that DNS can look up", ERR_INPUT},
		{"", "this is not a name that DNS can look up", ERR_INPUT},
		{"a.\r\nX: b", "this is not a name that DNS can look up", ERR_INPUT},
	};
	struct seen s = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		look(cases[i].name, "exact", &s);
		assert_null(s.report);
		assert_int_equal(s.err.kind, cases[i].kind);
		assert_string_equal(s.err.type, "dns");
		assert_non_null(strstr(s.err.detail, cases[i].problem));
		assert_null(strpbrk(s.err.detail, "\r\n"));
	}
	seen_clear(&s);
}

/* Tokens pass text_is_token where they come in. Should one not have, no request is made of it. */
static void test_hostile_token(void **state)
{
	static const char *const tokens[] = {"a b", "a\r\nX-Injected: b", "a\nb", "\001", "a#b", "\"<x>\"", "caf\303\251"};
	struct seen s = {0};
	unsigned before = servers[ONE].notes->requests;

	(void)state;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		look("www.test", tokens[i], &s);
		check_report(&s, 1);
		assert_non_null(strstr(s.err.detail, "is not a URL that we ask"));
		assert_null(strpbrk(s.err.detail, "\r\n\001"));
	}
	assert_int_equal(servers[ONE].notes->requests, before);
	seen_clear(&s);
}

static void test_fast_misbehaviour(void **state)
{
	static const char *const cases[][2] = {
		{"closed", "Empty reply"}, {"half", "43 bytes "}, {"ancient", "HTTP/0.9"}, {"endless", "larger than we accept"},
		{"heads", "headers of the answer are"}, {"infos", "headers of the answer are"},
	};
	struct seen s = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		look("www.test", cases[i][0], &s);
		check_report(&s, 1);
		if (!strstr(s.err.detail, cases[i][1]))
			fail_msg("%s: %s", cases[i][0], s.err.detail);
	}
	seen_clear(&s);
}

/* All of these at once, because each takes as long as the look is patient. None stands in the way of a good one. */
static void test_slow(void **state)
{
	static const struct {
		const char *name, *token, *problem;
		int64_t least_ms;
	} cases[] = {
		{"www.test", "mute", "no answer within 10 seconds", 9900},
		{"www.test", "slowhead", "within 10 seconds", 9900},
		{"www.test", "slowbody", "the answer did not end within 10 seconds", 9900},
		{"www.test", "torn", "the answer did not end within 10 seconds", 9900},
		{"six.test", "stall", "the TLS handshake did not end within 10 seconds", 9900},
		{"hole.test", "hole", "no connection within 10 seconds", 9900},
		{"silent.test", "exact", "no name server answered in time", 900},
		{"pair.test", "tired0", "no end within 15 seconds (redirect 1, to http://pair.test:", 14900},
	};
	enum { CASES = sizeof(cases) / sizeof(cases[0]), GOOD = 40 };
	struct seen s[CASES] = {0}, good[GOOD] = {0};
	int64_t began = clock_mono_ms(), ended[CASES] = {0};
	size_t left = CASES;
	struct addr hole;
	char *dump;
	int fds[2];

	(void)state;
	testserver_black_hole(fds, &hole);
	testdns_set(names, "hole.test", 0, "127.0.0.1");
	for (size_t i = 0; i < CASES; i++) {
		uint16_t normal = port;

		port = strcmp(cases[i].token, "hole") == 0 ? addr_port(&hole) : port;
		look_start(cases[i].name, cases[i].token, &s[i]);
		port = normal;
	}
	for (size_t i = 0; i < GOOD; i++)
		look_start("www.test", "exact", &good[i]);
	while (left > 0) {
		loop_turn(true);
		for (size_t i = 0; i < CASES; i++)
			if (s[i].calls && !ended[i]) {
				ended[i] = clock_mono_ms() - began;
				left--;
			}
	}
	for (size_t i = 0; i < GOOD; i++) {
		assert_int_equal(good[i].calls, 1);
		assert_int_equal(good[i].err.kind, ERR_NONE);
		seen_clear(&good[i]);
	}
	for (size_t i = 0; i < CASES; i++) {
		dump = s[i].report ? js_dump(s[i].report) : mem_strdup(s[i].err.detail);
		if (s[i].report)
			check_report(&s[i], strcmp(cases[i].name, "pair.test") == 0 ? 2 : 1);
		if (!strstr(dump, cases[i].problem))
			fail_msg("%s: %s", cases[i].token, dump);
		free(dump);
		assert_in_range(ended[i], cases[i].least_ms, 30000);
		seen_clear(&s[i]);
	}
	close(fds[0]);
	close(fds[1]);
}

/* --- cancel ------------------------------------------------------------------------------------------------------------------- */

static void guard(void *arg)
{
	*(bool *)arg = true;
}

/* Cancels after so many turns; true: there are more to come. */
static bool cancel_after(unsigned turns, const char *name, const char *token)
{
	struct timer hangs = {0};
	struct seen s = {0};
	struct http_seek *seek = look_start(name, token, &s);
	bool hung = false, more;

	timer_arm(&hangs, 100, guard, &hung);
	while (turns-- > 0 && !s.calls && !hung)
		loop_turn(true);
	timer_disarm(&hangs);
	more = !s.calls && !hung;
	if (!s.calls) {
		http_look_cancel(seek);
		s.within = true; /* told no more */
	}
	loop_turn(false);
	loop_turn(false);
	seen_clear(&s);
	return more;
}

static void test_cancel(void **state)
{
	static const char *const cases[][2] = {
		{"gone.test", "exact"}, {"silent.test", "exact"}, {"all.test", "exact"}, {"pair.test", "uneven"}, {"www.test", "othername"},
		{"www.test", "gone"}, {"www.test", "unheard"}, {"www.test", "hops-10"}, {"www.test", "mute"}, {"six.test", "stall"},
		{"half.test", "exact"}, {"www.test", "a b"},
	};
	unsigned before = open_descriptors(), turns;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (turns = 0; cancel_after(turns, cases[i][0], cases[i][1]); turns++)
			;
		assert_true(turns >= 1);
	}
	http_free(client);
	dns_close(dns); /* it keeps sockets for a while */
	dns = dns_open(&(const char *){testdns_address(names)}, 1, &(struct err){0});
	client = http_look_client(dns, &(struct err){0});
	assert_non_null(dns);
	assert_in_range(open_descriptors(), before - 4, before);
}

static void cancel_other(void *arg, const struct js *report, const struct err *err)
{
	struct http_seek **other = arg;

	(void)report;
	assert_non_null(err);
	http_look_cancel(*other);
	*other = NULL;
}

/* Both end in the same turn, so that the second one's end is on its way when the first one's is told. */
static void test_cancel_in_done(void **state)
{
	struct http_look l = {.dns = dns, .http = client, .port = port};
	struct method_proof proof = {.ca = "ca", .name = "127.0.0.1", .token = "a b", .thumbprint = THUMBPRINT};
	struct http_seek *second = NULL;
	struct seen s = {0};

	(void)state;
	http_look_start(&l, &proof, cancel_other, &second);
	second = http_look_start(&l, &proof, seen_done, &s);
	while (second)
		loop_turn(true);
	loop_turn(false);
	assert_int_equal(s.calls, 0);
	http_look_cancel(NULL);
}

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void test_many(void **state)
{
	enum { LOOKS = 500, AT_ONCE = 32 };
	static struct seen s[LOOKS];
	unsigned before, started = 0, ended = 0;
	double began;

	(void)state;
	before = open_descriptors();
	began = cpu_ms();
	while (ended < LOOKS) {
		for (; started < LOOKS && started < ended + AT_ONCE; started++)
			look_start("pair.test", "exact", &s[started]);
		loop_turn(true);
		while (ended < started && s[ended].calls) {
			assert_int_equal(s[ended].err.kind, ERR_NONE);
			seen_clear(&s[ended++]);
		}
	}
	print_message("%.3f ms of CPU for a look at two addresses, our name server included\n", (cpu_ms() - began) / LOOKS);
	assert_in_range(open_descriptors(), before, before + 2); /* the resolver's own */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(test_every_address), TEST(test_one_good_one_bad), TEST(test_redirect_stays), TEST(test_bodies), TEST(test_redirects),
		TEST(test_redirect_count), TEST(test_redirect_length), TEST(test_redirect_to_own), TEST(test_no_address), TEST(test_hostile_token),
		TEST(test_fast_misbehaviour), TEST(test_slow), TEST(test_cancel), TEST(test_cancel_in_done), TEST(test_many),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
