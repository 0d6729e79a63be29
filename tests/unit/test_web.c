/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/web.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

struct visit { /* one connection to the server, on the same loop */
	int fd;
	struct watch watch;
	struct buf got;
	bool ended;
};

static struct web *web;
static struct addr address;
static struct {
	unsigned calls;
	char path[1024], host[256];
	struct web_answer answer; /* its body is copied */
	bool close;
} handler;

static void handle(void *arg, const char *path, const char *host, struct web_answer *answer)
{
	assert_ptr_equal(arg, &handler);
	handler.calls++;
	snprintf(handler.path, sizeof(handler.path), "%s", path);
	snprintf(handler.host, sizeof(handler.host), "%s", host ? host : "(none)");
	*answer = handler.answer;
	if (answer->body)
		answer->body = mem_strdup(answer->body);
	if (handler.close) {
		web_close(web);
		web = NULL;
	}
}

static int listener(const char *ip, uint16_t port, struct addr *bound)
{
	const int on = 1;
	int fd;

	assert_true(addr_parse_ip(ip, port, bound));
	fd = socket(bound->ss.ss_family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&bound->ss, bound->len), 0);
	assert_int_equal(listen(fd, 200), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&bound->ss, &bound->len), 0);
	return fd;
}

static int open_all(void **state)
{
	struct err err;

	(void)state;
	memset(&handler, 0, sizeof(handler));
	assert_true(loop_open(&err));
	web = web_open(NULL, listener("127.0.0.1", 0, &address), handle, &handler, &err);
	return web ? 0 : -1;
}

static int close_all(void **state)
{
	(void)state;
	web_close(web);
	web = NULL;
	loop_close();
	return 0;
}

/* --- the visitor's side --- */

static void visit_ready(void *arg, short events)
{
	struct visit *v = arg;
	char chunk[4096];
	ssize_t n = recv(v->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	(void)events;
	if (n > 0) {
		assert_true(buf_add(&v->got, chunk, (size_t)n));
		return;
	}
	v->ended = true;
	watch_clear(&v->watch);
}

static void visit_open(struct visit *v)
{
	struct err err;

	memset(v, 0, sizeof(*v));
	v->fd = socket(address.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(v->fd, (struct sockaddr *)&address.ss, address.len), 0);
	assert_true(watch_set(&v->watch, v->fd, POLLIN, visit_ready, v, &err));
}

static void visit_say(const struct visit *v, const char *text, size_t len)
{
	(void)!send(v->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static const char *visit_end(struct visit *v)
{
	while (!v->ended)
		loop_turn(true);
	return v->got.data ? v->got.data : "";
}

static void visit_close(struct visit *v)
{
	watch_clear(&v->watch);
	close(v->fd);
	buf_free(&v->got);
}

/* One whole exchange; the answer until the server closes. */
static const char *exchange(const char *request, size_t len)
{
	static char answer[8192];
	struct visit v;

	visit_open(&v);
	visit_say(&v, request, len);
	snprintf(answer, sizeof(answer), "%s", visit_end(&v));
	visit_close(&v);
	return answer;
}

static const char *ask(const char *request)
{
	return exchange(request, strlen(request));
}

static int status_of(const char *answer)
{
	int status = 0;

	return sscanf(answer, "HTTP/1.%*d %d ", &status) == 1 ? status : -1;
}

static const char *body_of(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

/* --- tests --- */

static void test_get(void **state)
{
	char body[] = "token.thumbprint";
	const char *answer;

	(void)state;
	handler.answer = (struct web_answer){ .status = 200, .content_type = "text/plain", .body = body, .len = strlen(body) };
	answer = ask("GET /.well-known/acme-challenge/token?x=1 HTTP/1.1\r\nHost: www.test:80\r\n\r\n");
	assert_int_equal(status_of(answer), 200);
	assert_string_equal(body_of(answer), body);
	assert_non_null(strcasestr(answer, "\r\nContent-Type: text/plain\r\n"));
	assert_non_null(strcasestr(answer, "\r\nContent-Length: 16\r\n"));
	assert_non_null(strcasestr(answer, "\r\nConnection: close\r\n"));
	assert_non_null(strcasestr(answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_null(strcasestr(answer, "\r\nServer:"));
	assert_string_equal(handler.path, "/.well-known/acme-challenge/token");
	assert_string_equal(handler.host, "www.test:80");
	handler.answer.content_type = NULL;
	answer = ask("GET / HTTP/1.0\r\n\r\n");
	assert_string_equal(body_of(answer), body);
	assert_non_null(strcasestr(answer, "\r\nContent-Type: application/octet-stream\r\n"));
	assert_string_equal(handler.host, "(none)");
	assert_int_equal(handler.calls, 2);
}

static void test_head(void **state)
{
	char body[] = "token.thumbprint";
	const char *answer;

	(void)state;
	handler.answer = (struct web_answer){ .status = 200, .body = body, .len = strlen(body) };
	answer = ask("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(status_of(answer), 200);
	assert_string_equal(body_of(answer), "");
	assert_non_null(strcasestr(answer, "\r\nContent-Length: 16\r\n"));
}

static void test_not_found(void **state)
{
	const char *answer = ask("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(answer), 404);
	assert_string_equal(body_of(answer), "");
	assert_int_equal(handler.calls, 1);
}

static void test_paths_are_raw(void **state)
{
	static const char *const paths[] = {
		"/.well-known/acme-challenge/..%2f..%2fetc/passwd", "/a/../b", "//", "/%00", "/%", "/%zz", "/a+b", "/a;b", "/\xc3\xa4",
	};
	char request[300];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		snprintf(request, sizeof(request), "GET %s?q=%%41#f HTTP/1.1\r\nHost: h\r\n\r\n", paths[i]);
		assert_int_equal(status_of(ask(request)), 404);
		assert_string_equal(handler.path, paths[i]);
	}
}

static void test_other_methods(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "get", "MARKER" };
	char request[300];

	(void)state;
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		const char *answer;

		snprintf(request, sizeof(request), "%s /MARKER HTTP/1.1\r\nHost: MARKER\r\nContent-Length: 6\r\n\r\nMARKER", methods[i]);
		answer = ask(request);
		assert_int_equal(status_of(answer), 405);
		assert_non_null(strcasestr(answer, "\r\nAllow: GET, HEAD\r\n"));
		assert_null(strstr(answer, "MARKER"));
	}
	assert_int_equal(handler.calls, 0);
}

static void test_bodies_are_ignored(void **state)
{
	(void)state;
	handler.answer.status = 200;
	assert_int_equal(status_of(ask("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nMARKER")), 200);
	assert_int_equal(status_of(ask("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")), 200);
	assert_int_equal(handler.calls, 2);
}

static void test_one_answer_per_connection(void **state)
{
	const char *answer = ask(GET GET);

	(void)state;
	assert_int_equal(status_of(answer), 404);
	assert_null(strstr(answer + 1, "HTTP/1."));
	assert_int_equal(handler.calls, 1);
}

static void test_hostile(void **state)
{
	static const char *const requests[] = {
		"GET /MARKER HTTP/1.1\r\n\r\n", "MARKER\r\n\r\n", "GET /MARKER\r\n\r\n", "GET MARKER HTTP/9.9\r\n\r\n",
		"GET /MARKER HTTP/1.1\r\nMARKER\r\n\r\n", "GET /MARKER HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET /MARKER HTTP/1.1\r\nHost: h\r\nContent-Length: MARKER\r\n\r\n", "\x16\x03\x01\x02\x01MARKER\r\n\r\n",
		"GET /MARKER HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nMARKER\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		const char *answer = ask(requests[i]);

		assert_null(strstr(answer, "MARKER"));
		assert_true(!*answer || status_of(answer) >= 400);
	}
	assert_int_not_equal(status_of(exchange("GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n", 31)), 200);
}

static void test_too_large(void **state)
{
	enum { LARGE = 100000 };
	char *request = mem_alloc(LARGE + 100);
	const char *answer;

	(void)state;
	strcpy(request, "GET /");
	memset(request + 5, 'M', LARGE);
	strcpy(request + 5 + LARGE, " HTTP/1.1\r\nHost: h\r\n\r\n");
	answer = ask(request);
	assert_true(!*answer || status_of(answer) == 414 || status_of(answer) == 413 || status_of(answer) == 431);
	assert_null(strstr(answer, "MMMM"));
	strcpy(request, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
	memset(request + 28, 'M', LARGE);
	strcpy(request + 28 + LARGE, "\r\n\r\n");
	answer = ask(request);
	assert_true(!*answer || status_of(answer) / 100 == 4);
	assert_null(strstr(answer, "MMMM"));
	assert_int_equal(handler.calls, 0);
	free(request);
}

static void test_byte_by_byte(void **state)
{
	struct visit v;

	(void)state;
	visit_open(&v);
	for (const char *p = GET; *p; p++) {
		visit_say(&v, p, 1);
		loop_turn(false);
	}
	assert_int_equal(status_of(visit_end(&v)), 404);
	visit_close(&v);
}

static void test_connection_limit(void **state)
{
	enum { MANY = 60, MOST = 50 };
	struct visit *all = mem_array(MANY, sizeof(*all));
	unsigned answered = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		visit_open(&all[i]);
	loop_turn(true);
	visit_say(&all[MANY - 1], GET, strlen(GET));
	for (int i = 0; i < 50; i++)
		loop_turn(false);
	assert_false(all[MANY - 1].ended); /* it waits in the queue of the kernel */
	for (int i = 0; i < MANY - MOST; i++)
		visit_close(&all[i]);
	assert_int_equal(status_of(visit_end(&all[MANY - 1])), 404);
	for (int i = MANY - MOST; i < MANY - 1; i++) {
		visit_say(&all[i], GET, strlen(GET));
		answered += status_of(visit_end(&all[i])) == 404;
		visit_close(&all[i]);
	}
	visit_close(&all[MANY - 1]);
	assert_int_equal(answered, MOST - 1);
	free(all);
}

static void test_dripping_peer(void **state)
{
	struct visit slow, later;

	(void)state;
	clock_freeze(1790000000);
	visit_open(&slow);
	visit_say(&slow, "GET / HT", 8);
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	clock_advance(9000);
	visit_open(&later);
	visit_say(&slow, "T", 1); /* never idle for long */
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	assert_false(slow.ended);
	clock_advance(1000);
	visit_say(&slow, "P", 1);
	assert_string_equal(visit_end(&slow), "");
	assert_false(later.ended);
	visit_say(&later, GET, strlen(GET));
	assert_int_equal(status_of(visit_end(&later)), 404);
	visit_close(&slow);
	visit_close(&later);
	clock_thaw();
}

static void test_silent_peer(void **state)
{
	struct visit silent;

	(void)state;
	clock_freeze(1790000000);
	visit_open(&silent);
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	clock_advance(10000);
	assert_false(silent.ended);
	assert_int_equal(status_of(ask(GET)), 404); /* which lets it look at the clock */
	assert_string_equal(visit_end(&silent), "");
	visit_close(&silent);
	clock_thaw();
}

static void test_large_answer(void **state)
{
	enum { LARGE = 3000000 };
	struct visit v;
	const char *answer;

	(void)state;
	handler.answer = (struct web_answer){ .status = 200, .body = mem_alloc(LARGE + 1), .len = LARGE };
	memset(handler.answer.body, 'x', LARGE);
	visit_open(&v);
	visit_say(&v, GET, strlen(GET));
	answer = visit_end(&v);
	assert_int_equal(strlen(body_of(answer)), LARGE);
	visit_close(&v);
	free(handler.answer.body);
}

static void test_visitor_leaves(void **state)
{
	struct visit v;

	(void)state;
	for (int i = 0; i < 5; i++) {
		visit_open(&v);
		visit_say(&v, GET, i * 5u);
		if (i % 2)
			loop_turn(true);
		visit_close(&v);
		for (int j = 0; j < 5; j++)
			loop_turn(false);
	}
	assert_int_equal(status_of(ask(GET)), 404);
}

static void test_close_in_handler(void **state)
{
	struct visit v, other;

	(void)state;
	visit_open(&other);
	visit_open(&v);
	handler.close = true;
	visit_say(&v, GET, strlen(GET));
	visit_end(&v);
	visit_end(&other);
	assert_null(web);
	assert_int_equal(handler.calls, 1);
	visit_close(&v);
	visit_close(&other);
}

static void test_close_and_open_again(void **state)
{
	struct visit v;
	struct err err;

	(void)state;
	visit_open(&v);
	loop_turn(true);
	web_close(web);
	web = web_open(&address, -1, handle, &handler, &err); /* in the same turn */
	assert_non_null(web);
	visit_end(&v);
	visit_close(&v);
	assert_int_equal(status_of(ask(GET)), 404);
	web_close(NULL);
}

static void test_both_families(void **state)
{
	struct addr any4, any6;
	struct web *four, *six;
	struct err err;
	int fd;

	(void)state;
	fd = listener("127.0.0.1", 0, &any4); /* a port that is free */
	close(fd);
	assert_true(addr_parse_ip("::", addr_port(&any4), &any6));
	assert_true(addr_parse_ip("0.0.0.0", addr_port(&any4), &any4));
	four = web_open(&any4, -1, handle, &handler, &err);
	six = web_open(&any6, -1, handle, &handler, &err);
	assert_non_null(four);
	assert_non_null(six);
	assert_true(addr_parse_ip("::1", addr_port(&any4), &address));
	assert_int_equal(status_of(ask(GET)), 404);
	assert_true(addr_parse_ip("127.0.0.1", addr_port(&any4), &address));
	assert_int_equal(status_of(ask(GET)), 404);
	web_close(four);
	web_close(six);
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

static void test_cannot_open(void **state)
{
	unsigned before = open_descriptors();
	char text[ADDR_TEXT];
	struct err err;

	(void)state;
	assert_null(web_open(&address, -1, handle, &handler, &err)); /* in use */
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_non_null(strstr(err.detail, addr_format(&address, text)));
	assert_null(web_open(NULL, socket(AF_INET, SOCK_STREAM, 0), handle, &handler, &err));
	assert_non_null(strstr(err.detail, "no listening socket"));
	assert_null(web_open(NULL, 9999, handle, &handler, &err));
	assert_int_equal(open_descriptors(), before);
}

static void test_descriptors(void **state)
{
	unsigned before;

	(void)state;
	ask(GET);
	before = open_descriptors();
	for (int i = 0; i < 20; i++)
		assert_int_equal(status_of(ask(GET)), 404);
	assert_int_equal(open_descriptors(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_get), TEST(test_head), TEST(test_not_found), TEST(test_paths_are_raw), TEST(test_other_methods),
		TEST(test_bodies_are_ignored), TEST(test_one_answer_per_connection), TEST(test_hostile), TEST(test_too_large),
		TEST(test_byte_by_byte), TEST(test_connection_limit), TEST(test_dripping_peer), TEST(test_silent_peer), TEST(test_large_answer),
		TEST(test_visitor_leaves), TEST(test_close_in_handler), TEST(test_close_and_open_again), TEST(test_both_families),
		TEST(test_cannot_open), TEST(test_descriptors),
	};

	alarm(120); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
