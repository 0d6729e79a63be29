/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/http.h"
#include "io/loop.h"
#include "testserver.h"

/* libcurl must never look up a name. If it does, this is called instead of the C library's. */
static unsigned resolver_calls;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)out;
	resolver_calls++;
	return EAI_FAIL;
}

struct result {
	int calls;
	int status;
	char *body;
	size_t len;
	long connects;
	int64_t elapsed_us;
	size_t nheaders;
	char marker[64], address[64]; /* of a header X-Marker */
	struct err err;
	struct http *free; /* in the callback */
	struct http_get *cancel;
	struct result *again; /* send one more from the callback */
};

static struct testdns *names;
static struct dns *dns;
static struct testserver server;
static struct testcert *cert;
static struct http *client;
static char url[256];

static void done(void *arg, const struct http_answer *a, const struct err *err);

static struct http_request get_request(const char *text)
{
	return (struct http_request){ .method = "GET", .url = text, .max_body = 65536, .timeout_ms = 10000 };
}

static void done(void *arg, const struct http_answer *a, const struct err *err)
{
	struct result *r = arg;
	const char *marker;

	assert_true((a == NULL) == (err != NULL));
	r->calls++;
	if (err)
		r->err = *err;
	if (a) {
		r->status = a->status;
		r->body = mem_strndup(a->body, a->len);
		r->len = a->len;
		assert_int_equal(a->body[a->len], 0);
		r->connects = a->connects;
		r->elapsed_us = a->elapsed_us;
		while (a->headers[r->nheaders])
			r->nheaders++;
		marker = http_header(a, "x-marker", NULL);
		snprintf(r->marker, sizeof(r->marker), "%s", marker ? marker : "");
		snprintf(r->address, sizeof(r->address), "%s", a->address ? a->address : "");
	}
	http_cancel(r->cancel);
	if (r->again) {
		struct http_request again = get_request(url);

		http_send(client, &again, done, r->again);
	}
	if (r->free)
		http_free(r->free);
}

static void wait_for(const struct result *r)
{
	while (!r->calls)
		loop_turn(true);
}

static void forget(struct result *r)
{
	free(r->body);
	memset(r, 0, sizeof(*r));
}

static struct result last;

static struct result *ask(const struct http_request *request)
{
	forget(&last);
	assert_non_null(http_send(client, request, done, &last));
	assert_int_equal(last.calls, 0); /* a later turn */
	wait_for(&last);
	return &last;
}

static struct result *ask_url(const char *text)
{
	struct http_request r = get_request(text);

	return ask(&r);
}

static struct http_options options(void)
{
	return (struct http_options){
		.dns = dns, .ca_file = testtrust_file(), .https_only = true, .verify = true, .allow_private = true, .user_agent = "test/1", .language = "en",
		.one_connection = true,
	};
}

static void new_client(const struct http_options *o)
{
	struct err err;

	http_free(client);
	client = http_new(o, &err);
	assert_non_null(client);
}

static void plain_client(void)
{
	struct http_options o = options();

	o.https_only = false;
	new_client(&o);
}

/* `path` on the running server, under the name ca.test. */
static const char *at(const char *path)
{
	snprintf(url, sizeof(url), "%s://ca.test:%u%s", server.ctx ? "https" : "http", server.port, path);
	return url;
}

static void serve_with(bool tls, testserver_serve *serve)
{
	struct testcert *certs[] = { cert, NULL };

	if (server.pid)
		testserver_stop(&server);
	testserver_start(&server, "127.0.0.1", tls ? certs : NULL, serve);
}

static int open_all(void **state)
{
	struct http_options o;
	const char *address;
	struct err err;

	(void)state;
	resolver_calls = 0;
	assert_true(loop_open(&err));
	names = testdns_open();
	address = testdns_address(names);
	dns = dns_open(&address, 1, &err);
	assert_non_null(dns);
	testdns_set(names, "ca.test", 0, "127.0.0.1");
	cert = testcert_new("ca.test", false, TESTCERT_GOOD);
	o = options();
	new_client(&o);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	http_free(client);
	client = NULL;
	dns_close(dns);
	testdns_close(names);
	if (server.pid)
		testserver_stop(&server);
	server.pid = 0;
	testcert_free(cert);
	testtrust_end();
	forget(&last);
	loop_close();
	assert_int_equal(resolver_calls, 0);
	return 0;
}

/* --- servers --- */

static void serve_echo(struct testpeer *p)
{
	while (testpeer_request(p)) {
		const char *head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Marker: \t yes \r\n\r\n";

		testpeer_puts(p, head);
		if (strncmp(p->server->notes->last, "HEAD", 4) != 0)
			testpeer_puts(p, "hello");
	}
}

static void serve_close(struct testpeer *p)
{
	testpeer_request(p);
}

/* Answers one request and ends the connection when the next one is there. */
static void serve_then_close(struct testpeer *p)
{
	if (testpeer_request(p))
		testpeer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	testpeer_request(p);
}

static void serve_hang(struct testpeer *p)
{
	testpeer_request(p);
	testpeer_hang(p);
}

static const char *said; /* copied into the child by fork */

static void serve_said(struct testpeer *p)
{
	while (testpeer_request(p))
		testpeer_puts(p, said);
}

static void serve_said_once(struct testpeer *p)
{
	if (testpeer_request(p))
		testpeer_puts(p, said);
}

static void serve_greeting(struct testpeer *p)
{
	testpeer_puts(p, said);
	testpeer_hang(p);
}

static void serve_endless_body(struct testpeer *p)
{
	static char block[16384];

	testpeer_request(p);
	memset(block, 'x', sizeof(block));
	testpeer_puts(p, "HTTP/1.1 200 OK\r\n\r\n");
	for (;;)
		testpeer_write(p, block, sizeof(block));
}

static void serve_many_headers(struct testpeer *p)
{
	char line[64];

	testpeer_request(p);
	testpeer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
	for (int i = 0; i < 1000; i++) {
		sprintf(line, "X-Number-%d: %d\r\n", i, i);
		testpeer_puts(p, line);
	}
	testpeer_puts(p, "\r\n");
	testpeer_hang(p);
}

static void serve_endless_headers(struct testpeer *p)
{
	testpeer_request(p);
	testpeer_puts(p, "HTTP/1.1 200 OK\r\n");
	for (;;)
		testpeer_puts(p, "X-Filler: 0123456789012345678901234567890123456789\r\n");
}

static void serve_large_header(struct testpeer *p)
{
	static char large[20000];

	testpeer_request(p);
	memset(large, 'a', sizeof(large) - 1);
	testpeer_puts(p, "HTTP/1.1 200 OK\r\nX-Large: ");
	testpeer_puts(p, large);
	testpeer_puts(p, "\r\nContent-Length: 0\r\n\r\n");
	testpeer_hang(p);
}

static void serve_huge_header(struct testpeer *p)
{
	static char block[16384];

	testpeer_request(p);
	memset(block, 'a', sizeof(block));
	testpeer_puts(p, "HTTP/1.1 200 OK\r\nX-Huge: ");
	for (;;)
		testpeer_write(p, block, sizeof(block));
}

static void serve_endless_1xx(struct testpeer *p)
{
	testpeer_request(p);
	for (;;)
		testpeer_puts(p, "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n");
}

static void serve_drip(struct testpeer *p)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };

	testpeer_request(p);
	testpeer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	while (poll(&fd, 1, 10) == 0)
		testpeer_puts(p, ".");
}

/* --- tests --- */

static void test_get(void **state)
{
	struct result *r;

	(void)state;
	serve_with(true, serve_echo);
	r = ask_url(at("/a/../b?q=%2e"));
	assert_int_equal(r->err.kind, ERR_NONE);
	assert_int_equal(r->status, 200);
	assert_string_equal(r->body, "hello");
	assert_string_equal(r->marker, "yes");
	assert_string_equal(r->address, "127.0.0.1");
	assert_int_equal(r->connects, 1);
	assert_true(r->elapsed_us > 0);
	assert_non_null(strstr(server.notes->last, "GET /a/../b?q=%2e HTTP/1.1\r\n"));
	assert_non_null(strstr(server.notes->last, "\r\nUser-Agent: test/1 libcurl/"));
	assert_non_null(strstr(server.notes->last, "\r\nAccept-Language: en\r\n"));
	assert_null(strcasestr(server.notes->last, "\r\nAccept-Encoding:"));
	assert_null(strcasestr(server.notes->last, "\r\nCookie:"));
	assert_null(strcasestr(server.notes->last, "\r\nAuthorization:"));
	r = ask_url(at("/again"));
	assert_int_equal(r->connects, 0);
	assert_int_equal(server.notes->connections, 1);
	assert_int_equal(testdns_questions(names), 2); /* A and AAAA, once */
	snprintf(url, sizeof(url), "https://CA.Test:%u", server.port);
	assert_int_equal(ask_url(url)->connects, 0);
	assert_non_null(strstr(server.notes->last, "GET / HTTP/1.1\r\n"));
}

static void test_post_and_head(void **state)
{
	struct http_request r = get_request(NULL);
	char body[5] = { 'a', 0, 'b', '\r', '\n' };

	(void)state;
	serve_with(true, serve_echo);
	r.method = "POST";
	r.url = at("/new");
	r.content_type = "application/jose+json";
	r.body = body;
	r.body_len = sizeof(body);
	assert_int_equal(ask(&r)->status, 200);
	assert_non_null(strstr(server.notes->last, "POST /new HTTP/1.1\r\n"));
	assert_non_null(strstr(server.notes->last, "\r\nContent-Type: application/jose+json\r\n"));
	assert_non_null(strstr(server.notes->last, "\r\nContent-Length: 5\r\n"));
	assert_memory_equal(strstr(server.notes->last, "\r\n\r\n") + 4, body, sizeof(body));

	/* the same handle again, for each other method */
	r = get_request(at("/nonce"));
	r.method = "HEAD";
	r.max_body = 0;
	assert_int_equal(ask(&r)->status, 200);
	assert_int_equal(last.len, 0);
	assert_string_equal(last.marker, "yes");
	assert_non_null(strstr(server.notes->last, "HEAD /nonce HTTP/1.1\r\n"));
	assert_null(strstr(server.notes->last, "Content-Type"));

	r.method = "POST";
	r.max_body = 100;
	r.repeatable = true;
	assert_string_equal(ask(&r)->body, "hello");
	assert_non_null(strstr(server.notes->last, "\r\nContent-Length: 0\r\n"));
	assert_null(strstr(server.notes->last, "Content-Type"));
	assert_string_equal(ask_url(at("/x"))->body, "hello");
	assert_non_null(strstr(server.notes->last, "GET /x HTTP/1.1\r\n"));
	assert_int_equal(server.notes->connections, 1);
}

static void test_headers_of_the_caller(void **state)
{
	static const char *const given[] = { "accept: application/json", "X-Long:\tb c; d=\"e\"", "x-utf8: \xe5\x9f\x9f", NULL };
	static const char *const bad[] = {
		"", "x", "x:", "x: ", "x:\t", ": y", " x: y", "x : y", "x y: z", "x: y\r\nz: a", "x: y\nz: a", "x: y\r", "x\r: y", "x: \x01", "x: \x7f", "x;", "x/y: z",
	};
	const char *list[] = { "a: b", NULL, NULL };
	struct http_request r = get_request(NULL);
	static char large[20000];

	(void)state;
	serve_with(true, serve_echo);
	r.method = "POST";
	r.url = at("/?A=b");
	r.headers = given;
	r.repeatable = true;
	assert_int_equal(ask(&r)->status, 200);
	assert_non_null(strstr(server.notes->last, "POST /?A=b HTTP/1.1\r\n"));
	assert_non_null(strstr(server.notes->last, "\r\naccept: application/json\r\n"));
	assert_null(strstr(server.notes->last, "*/*")); /* libcurl's own */
	assert_non_null(strstr(server.notes->last, "\r\nX-Long:\tb c; d=\"e\"\r\n"));
	assert_non_null(strstr(server.notes->last, "\r\nx-utf8: \xe5\x9f\x9f\r\n"));
	assert_null(strcasestr(server.notes->last, "Content-Type"));
	ask_url(at("/")); /* the same handle, of somebody else */
	assert_null(strstr(server.notes->last, "X-Long"));
	assert_non_null(strstr(server.notes->last, "\r\nAccept-Language: en\r\n"));
	r.method = "HEAD";
	r.max_body = 0;
	assert_int_equal(ask(&r)->status, 200);
	assert_non_null(strstr(server.notes->last, "\r\nX-Long:"));
	server.notes->requests = 0;
	r.headers = list;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		list[1] = bad[i];
		if (ask(&r)->err.kind != ERR_BUG)
			fail_msg("'%s' was sent", bad[i]);
	}
	memset(large, 'a', sizeof(large) - 1);
	large[1] = ':';
	list[1] = large;
	assert_int_equal(ask(&r)->err.kind, ERR_BUG);
	assert_int_equal(server.notes->requests, 0);
}

static void test_statuses(void **state)
{
	static const int codes[] = { 204, 301, 304, 308, 400, 401, 403, 429, 500, 503 };
	char text[200];

	(void)state;
	said = text;
	plain_client();
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		sprintf(text, "HTTP/1.1 %d X\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\nWWW-Authenticate: Basic realm=x\r\n"
			"Set-Cookie: a=b\r\n\r\n", codes[i]);
		serve_with(false, serve_said);
		assert_int_equal(ask_url(at("/"))->status, codes[i]);
		assert_int_equal(server.notes->requests, 1); /* nothing was followed */
	}
}

static void test_policy_urls(void **state)
{
	static const char *const urls[] = {
		"", "http://ca.test/", "file:///etc/passwd", "ftp://ca.test/", "gopher://ca.test/", "//ca.test/", "https:ca.test", "https:///x",
		"https://user@ca.test/", "https://user:pw@ca.test/", "https://ca.test/#f", "https://ca.test/a b", "https://ca.test/a\nb",
		"https://ca.test/\r\nHost: x", "https://ca.test:0/", "https://ca.test:65536/", "https://ca.test:x/", "https://ca.test:/",
		"https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://0177.0.0.1/", "https://[::1", "https://[fe80::1%25lo]/",
		"https://ca.test./", "https://ca..test/", "https://c\xc3\xa4.test/", "https://ca.test/\x01", "https://%63a.test/",
		"https://ca.test\\@evil.test/", "data:,x", "HTTPS//ca.test",
	};
	char large[HTTP_URL_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++)
		if (strcmp(ask_url(urls[i])->err.type, "policy") != 0)
			fail_msg("%s", urls[i]);
	memset(large, 'a', sizeof(large));
	memcpy(large, "https://ca.test/", 16);
	large[sizeof(large) - 1] = '\0';
	assert_string_equal(ask_url(large)->err.type, "policy");
	assert_int_equal(testdns_questions(names), 0);
}

static void test_policy_addresses(void **state)
{
	static const char *const urls[] = {
		"https://169.254.169.254/latest", "https://[::1]/", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://ca.test/",
		"https://meta.test/",
	};
	struct http_options o = options();

	(void)state;
	serve_with(true, serve_echo);
	testdns_set(names, "meta.test", 0, "169.254.169.254,fd00::1");
	o.allow_private = false;
	new_client(&o);
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		assert_string_equal(ask_url(urls[i])->err.type, "policy");
		assert_non_null(strstr(last.err.detail, "not public"));
	}
	assert_string_equal(ask_url(at("/"))->err.type, "policy");
	assert_non_null(strstr(last.err.detail, "ca.test: the address 127.0.0.1"));
	assert_int_equal(server.notes->connections, 0);
}

static void test_chosen_address(void **state)
{
	struct http_options o = options();
	struct http_request r;

	(void)state;
	serve_with(true, serve_echo);
	o.allow_private = false;
	new_client(&o);
	r = get_request("https://ca.test/.well-known/x"); /* the port is the address's */
	r.address = &server.addr;
	assert_int_equal(ask(&r)->status, 200);
	assert_non_null(strstr(server.notes->last, "\r\nHost: ca.test\r\n"));
	assert_int_equal(testdns_questions(names), 0);
	r.url = "https://[2001:db8::1]:8443/";
	assert_string_equal(ask(&r)->err.type, "tls"); /* the certificate is for others */
	r.url = "https://127.0.0.1:1/";
	assert_int_equal(ask(&r)->status, 200);
	r.url = "https://ca.test/";
	assert_int_equal(ask(&r)->status, 200);
	assert_string_equal(last.address, "127.0.0.1");
}

static void test_chosen_address_is_not_shared(void **state)
{
	struct testserver six;
	struct testcert *certs[] = { cert, NULL };
	struct http_request r;

	(void)state;
	serve_with(true, serve_echo);
	testserver_start(&six, "::1", certs, serve_echo);
	r = get_request("https://ca.test/");
	r.address = &server.addr;
	assert_string_equal(ask(&r)->address, "127.0.0.1");
	r.address = &six.addr;
	assert_string_equal(ask(&r)->address, "::1");
	r.address = &server.addr;
	assert_string_equal(ask(&r)->address, "127.0.0.1");
	assert_int_equal(six.notes->requests, 1);
	testserver_stop(&six);
}

static void test_tries_every_address(void **state)
{
	(void)state;
	serve_with(true, serve_echo);
	testdns_set(names, "ca.test", 0, "::1,127.0.0.1"); /* the server has no IPv6 */
	assert_int_equal(ask_url(at("/"))->status, 200);
	assert_string_equal(last.address, "127.0.0.1");
}

static void test_verification(void **state)
{
	struct testcert *expired = testcert_new("ca.test", false, TESTCERT_EXPIRED), *stranger = testcert_new("ca.test", false, TESTCERT_STRANGER),
			*good = cert;
	struct http_options o = options();

	(void)state;
	serve_with(true, serve_echo);
	testdns_set(names, "other.test", 0, "127.0.0.1");
	snprintf(url, sizeof(url), "https://other.test:%u/", server.port);
	assert_string_equal(ask_url(url)->err.type, "tls");
	assert_non_null(strstr(last.err.detail, "other.test"));
	assert_non_null(strstr(last.err.detail, "127.0.0.1"));
	cert = stranger;
	serve_with(true, serve_echo);
	assert_string_equal(ask_url(at("/"))->err.type, "tls");
	assert_non_null(strstr(last.err.detail, testtrust_file()));
	cert = expired;
	serve_with(true, serve_echo);
	assert_string_equal(ask_url(at("/"))->err.type, "tls");
	assert_non_null(strstr(last.err.detail, "expired"));
	assert_int_equal(server.notes->requests, 0);
	o.ca_file = NULL;
	new_client(&o); /* the system trusts nothing of this */
	assert_string_equal(ask_url(at("/"))->err.type, "tls");
	o.verify = false;
	new_client(&o);
	assert_int_equal(ask_url(at("/"))->status, 200);
	cert = good;
	testcert_free(expired);
	testcert_free(stranger);
}

static void test_tls_failures(void **state)
{
	(void)state;
	said = "220 mail.test ready\r\n";
	serve_with(false, serve_greeting); /* does not speak TLS at all */
	snprintf(url, sizeof(url), "https://ca.test:%u/", server.port);
	assert_string_equal(ask_url(url)->err.type, "tls");
	testserver_stop(&server);
	testserver_start(&server, "127.0.0.1", (struct testcert *[]){ cert, NULL }, serve_echo);
	testserver_stop(&server);
	server.pid = 0;
	assert_string_equal(ask_url(url)->err.type, "connect");
	assert_non_null(strstr(last.err.detail, "refused"));
	assert_int_equal(last.err.kind, ERR_TEMP);
}

static void test_old_tls(void **state)
{
	struct testcert *certs[] = { cert, NULL };

	(void)state;
	testserver_newest_tls = TLS1_1_VERSION;
	testserver_start(&server, "127.0.0.1", certs, serve_echo);
	testserver_newest_tls = 0;
	assert_string_equal(ask_url(at("/"))->err.type, "tls");
	assert_int_equal(server.notes->requests, 0);
}

static void test_bundles(void **state)
{
	struct http_options o = options();
	char empty[] = "/tmp/dovad-test-empty-XXXXXX";
	int fd = mkstemp(empty);
	struct err err;

	(void)state;
	assert_true(fd >= 0);
	o.ca_file = empty;
	assert_null(http_new(&o, &err));
	assert_non_null(strstr(err.detail, empty));
	assert_true(write(fd, "no certificate\n", 15) == 15);
	assert_null(http_new(&o, &err));
	o.ca_file = "/tmp";
	assert_null(http_new(&o, &err));
	close(fd);
	unlink(empty);
	o.ca_file = empty;
	assert_null(http_new(&o, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
}

static void test_environment(void **state)
{
	static const char *const variables[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };

	(void)state;
	serve_with(true, serve_echo);
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		setenv(variables[i], "http://127.0.0.1:1", 1);
	setenv("SSL_CERT_FILE", "/dev/null", 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
	setenv("CURL_CA_BUNDLE", "/dev/null", 1);
	plain_client();
	assert_int_equal(ask_url(at("/"))->status, 200);
	serve_with(false, serve_echo);
	assert_int_equal(ask_url(at("/"))->status, 200);
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		unsetenv(variables[i]);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	unsetenv("CURL_CA_BUNDLE");
}

static void test_names_fail(void **state)
{
	struct http_request r = get_request("https://nowhere.test/");

	(void)state;
	assert_string_equal(ask(&r)->err.type, "dns");
	assert_non_null(strstr(last.err.detail, "NXDOMAIN"));
	testdns_set(names, "silent.test", TESTDNS_SILENT, "");
	r.url = "https://silent.test/";
	r.timeout_ms = 100;
	assert_string_equal(ask(&r)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "silent.test"));
	testdns_set(names, "nowhere.test", 0, "127.0.0.1"); /* a failure is not remembered */
	r.url = "https://nowhere.test:1/";
	assert_string_equal(ask(&r)->err.type, "connect");
}

static void test_too_large(void **state)
{
	static testserver_serve *const servers[] = {
		serve_endless_body, serve_endless_headers, serve_large_header, serve_endless_1xx, serve_huge_header,
	};

	(void)state;
	plain_client();
	for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++) {
		serve_with(i % 2 == 0, servers[i]);
		assert_string_equal(ask_url(at("/"))->err.type, "too-large");
	}
	said = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\nx";
	serve_with(false, serve_said);
	assert_string_equal(ask_url(at("/"))->err.type, "too-large");
	said = "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n";
	serve_with(false, serve_said);
	assert_string_equal(ask_url(at("/"))->err.type, "too-large");
	serve_with(false, serve_many_headers);
	assert_int_equal(ask_url(at("/"))->status, 200);
	assert_int_equal(last.nheaders, HTTP_HEADERS_MAX);
}

static void test_body_limit_is_exact(void **state)
{
	struct http_request r;

	(void)state;
	serve_with(true, serve_echo);
	r = get_request(at("/"));
	r.max_body = 5;
	assert_string_equal(ask(&r)->body, "hello");
	r.max_body = 4;
	assert_string_equal(ask(&r)->err.type, "too-large");
	r.max_body = 0;
	assert_string_equal(ask(&r)->err.type, "too-large");
}

static void test_strange_headers(void **state)
{
	(void)state;
	said = "HTTP/1.1 100 Continue\r\nX-Marker: early\r\n\r\n"
	       "HTTP/1.1 200 OK\r\nX-Bell: a\abc\r\n folded: no\r\n: empty\r\nTransfer-Encoding: chunked\r\nTrailer: X-Marker\r\n\r\n"
	       "2\r\nab\r\n0\r\nX-Marker: late\r\n\r\n";
	plain_client();
	serve_with(false, serve_said);
	assert_int_equal(ask_url(at("/"))->status, 200);
	assert_string_equal(last.body, "ab");
	assert_string_equal(last.marker, "");
	assert_int_equal(last.nheaders, 2);
}

static void test_broken_answers(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", "HTTP/1.1 200", "hello\r\n\r\n", "\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "",
	};

	(void)state;
	plain_client();
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		said = answers[i];
		serve_with(false, serve_said_once);
		if (ask_url(at("/"))->err.kind != ERR_TEMP)
			fail_msg("'%s' was taken", answers[i]);
		assert_string_not_equal(last.err.detail, "");
	}
	serve_with(true, serve_close);
	assert_string_equal(ask_url(at("/"))->err.type, "connect");
}

static void test_connection_dies(void **state)
{
	struct http_request r = get_request(NULL);

	(void)state;
	serve_with(true, serve_then_close);
	r.url = at("/");
	r.method = "POST";
	r.body = "a";
	r.body_len = 1;
	assert_int_equal(ask(&r)->status, 200);
	assert_string_equal(ask(&r)->err.type, "connect"); /* it may have happened: the caller must find out */
	assert_non_null(strstr(last.err.detail, "ended before an answer"));
	assert_int_equal(server.notes->requests, 2);
	assert_int_equal(ask(&r)->status, 200);
	r.repeatable = true;
	assert_int_equal(ask(&r)->status, 200);
	assert_int_equal(server.notes->requests, 5);
	r.method = "GET";
	assert_int_equal(ask(&r)->status, 200);
	assert_int_equal(server.notes->requests, 7);
	r = get_request(at("/"));
	r.method = "POST"; /* without a body */
	assert_int_equal(ask(&r)->status, 200);
	assert_int_equal(last.connects, 1);
	assert_int_equal(server.notes->requests, 8);
}

static void test_timeouts(void **state)
{
	struct http_request r;
	struct addr hole;
	int64_t began;
	int fds[2];

	(void)state;
	serve_with(true, serve_hang);
	r = get_request(at("/"));
	r.timeout_ms = 1500; /* long enough for the handshake on a busy machine */
	began = clock_mono_ms();
	assert_string_equal(ask(&r)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "no answer within 1.5 s"));
	assert_in_range(clock_mono_ms() - began, 1499, 30000);
	serve_with(true, serve_drip);
	r.url = at("/");
	r.max_body = 200000;
	assert_string_equal(ask(&r)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "did not end"));
	serve_with(false, testpeer_hang); /* never says a word of TLS */
	snprintf(url, sizeof(url), "https://ca.test:%u/", server.port);
	r.url = url;
	assert_string_equal(ask(&r)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "TLS"));
	testserver_black_hole(fds, &hole);
	snprintf(url, sizeof(url), "https://ca.test:%u/", addr_port(&hole));
	assert_string_equal(ask(&r)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "no connection"));
	close(fds[0]);
	close(fds[1]);
	r.timeout_ms = 0;
	assert_string_equal(ask(&r)->err.type, "timeout");
}

static void test_others_go_on(void **state)
{
	struct result slow = { 0 };
	struct testserver drip;
	struct http_request r;
	char other[128];

	(void)state;
	serve_with(true, serve_echo);
	testserver_start(&drip, "127.0.0.1", (struct testcert *[]){ cert, NULL }, serve_drip);
	snprintf(other, sizeof(other), "https://ca.test:%u/", drip.port);
	r = get_request(other);
	r.max_body = 200000;
	http_send(client, &r, done, &slow);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask_url(at("/"))->status, 200);
	assert_int_equal(slow.calls, 0);
	testserver_stop(&drip);
	wait_for(&slow);
	assert_int_equal(slow.err.kind, ERR_TEMP);
}

static void test_many_at_once(void **state)
{
	enum { MANY = 300 };
	struct result *all = mem_array(MANY, sizeof(*all));
	struct http_request r;
	long connects = 0;

	(void)state;
	serve_with(true, serve_echo);
	r = get_request(at("/"));
	for (int i = 0; i < MANY; i++)
		http_send(client, &r, done, &all[i]);
	for (int i = 0; i < MANY; i++) {
		wait_for(&all[i]);
		assert_int_equal(all[i].status, 200);
		connects += all[i].connects;
		forget(&all[i]);
	}
	assert_int_equal(testdns_questions(names), 2);
	assert_int_equal(server.notes->requests, MANY);
	assert_in_range(connects, 1, 8);
	assert_int_equal(server.notes->connections, connects);
	free(all);
}

/* More than one host would get otherwise, and another one each afterwards. */
static void test_fresh(void **state)
{
	enum { MANY = 20 };
	struct http_options o = options();
	struct result all[MANY] = { 0 };
	struct http_request r;

	(void)state;
	o.fresh = true;
	new_client(&o);
	serve_with(true, serve_echo);
	r = get_request(at("/"));
	for (int i = 0; i < MANY; i++)
		http_send(client, &r, done, &all[i]);
	for (int i = 0; i < MANY; i++) {
		wait_for(&all[i]);
		assert_int_equal(all[i].status, 200);
		assert_int_equal(all[i].connects, 1);
		forget(&all[i]);
	}
	assert_int_equal(ask_url(at("/"))->connects, 1);
	assert_int_equal(server.notes->connections, MANY + 1);
}

static void test_addresses_expire(void **state)
{
	(void)state;
	serve_with(true, serve_echo);
	clock_freeze(1790000000);
	assert_int_equal(ask_url(at("/"))->status, 200);
	clock_advance(59000);
	assert_int_equal(ask_url(at("/"))->status, 200);
	assert_int_equal(testdns_questions(names), 2);
	clock_advance(2000);
	assert_int_equal(ask_url(at("/"))->status, 200);
	assert_int_equal(testdns_questions(names), 4);
	assert_int_equal(server.notes->connections, 1); /* the connection is still good */
	clock_thaw();
}

static void test_moved_host(void **state)
{
	struct testserver six;

	(void)state;
	serve_with(true, serve_echo);
	clock_freeze(1790000000);
	assert_int_equal(ask_url(at("/"))->status, 200);
	said = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
	testserver_stop(&server);
	server.pid = 0;
	testserver_start(&six, "::1", (struct testcert *[]){ cert, NULL }, serve_said);
	testdns_set(names, "ca.test", 0, "::1");
	clock_advance(61000);
	snprintf(url, sizeof(url), "https://ca.test:%u/", six.port);
	assert_string_equal(ask_url(url)->address, "::1");
	clock_thaw();
	testserver_stop(&six);
}

static void test_cancel(void **state)
{
	struct result never = { 0 }, other = { 0 };
	struct http_request r, bad = get_request("file:///x"), silent = get_request("https://silent.test/");

	(void)state;
	http_cancel(NULL);
	testdns_set(names, "silent.test", TESTDNS_SILENT, "");
	serve_with(true, serve_hang);
	r = get_request(at("/"));
	http_cancel(http_send(client, &bad, done, &never));    /* failed already */
	http_cancel(http_send(client, &silent, done, &never)); /* being looked up */
	http_cancel(http_send(client, &r, done, &never));
	other.cancel = http_send(client, &r, done, &never);
	while (!server.notes->requests)
		loop_turn(true);
	http_send(client, &bad, done, &other); /* cancels a running one from inside a callback */
	wait_for(&other);
	forget(&other);
	other.cancel = http_send(client, &bad, done, &other); /* itself */
	wait_for(&other);
	loop_turn(false);
	assert_int_equal(never.calls, 0);
}

static void test_send_in_callback(void **state)
{
	struct result first = { 0 }, second = { 0 };
	struct http_request r;

	(void)state;
	serve_with(true, serve_echo);
	r = get_request(at("/"));
	first.again = &second;
	http_send(client, &r, done, &first);
	wait_for(&second);
	assert_int_equal(second.status, 200);
	assert_int_equal(second.connects, 0);
	forget(&first);
	forget(&second);
}

static void test_free_in_callback(void **state)
{
	struct result never = { 0 }, one = { 0 };
	struct http_request r, silent = get_request("https://silent.test/"), bad = get_request("file:///x");
	struct testserver hang;
	char other[128];

	(void)state;
	testdns_set(names, "silent.test", TESTDNS_SILENT, "");
	serve_with(true, serve_echo);
	testserver_start(&hang, "127.0.0.1", (struct testcert *[]){ cert, NULL }, serve_hang);
	snprintf(other, sizeof(other), "https://ca.test:%u/", hang.port);
	r = get_request(other);
	http_send(client, &r, done, &never);
	http_send(client, &silent, done, &never);
	while (!hang.notes->requests)
		loop_turn(true);
	r = get_request(at("/"));
	one.free = client;
	http_send(client, &r, done, &one);
	wait_for(&one);
	assert_int_equal(one.status, 200);
	client = NULL;
	forget(&one);
	plain_client();
	one.free = client;
	http_send(client, &bad, done, &one);
	http_send(client, &bad, done, &never);
	wait_for(&one);
	client = NULL;
	loop_turn(false);
	assert_int_equal(never.calls, 0);
	testserver_stop(&hang);
}

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_descriptors(void **state)
{
	unsigned before = open_descriptors();
	struct http *own = client;
	struct http_options o = options();
	struct err err;

	(void)state;
	serve_with(true, serve_echo);
	before = open_descriptors();
	for (int i = 0; i < 10; i++) {
		client = http_new(&o, &err);
		assert_int_equal(ask_url(at("/"))->status, 200);
		http_free(client);
	}
	client = own;
	assert_int_equal(open_descriptors(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_get), TEST(test_post_and_head), TEST(test_headers_of_the_caller), TEST(test_statuses), TEST(test_policy_urls), TEST(test_policy_addresses),
		TEST(test_chosen_address), TEST(test_chosen_address_is_not_shared), TEST(test_tries_every_address), TEST(test_verification),
		TEST(test_tls_failures), TEST(test_old_tls), TEST(test_bundles), TEST(test_environment), TEST(test_names_fail),
		TEST(test_too_large), TEST(test_body_limit_is_exact), TEST(test_strange_headers), TEST(test_broken_answers), TEST(test_connection_dies), TEST(test_timeouts),
		TEST(test_others_go_on), TEST(test_many_at_once), TEST(test_fresh), TEST(test_addresses_expire), TEST(test_moved_host), TEST(test_cancel),
		TEST(test_send_in_callback), TEST(test_free_in_callback), TEST(test_descriptors),
	};

	alarm(120); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
