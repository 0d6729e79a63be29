/* SPDX-License-Identifier: ISC */
#include "method_seen.h"

#include <poll.h>

#include "base/buf.h"
#include "base/mem.h"
#include "prove/http.h"

#define TOKEN_PATH "/.well-known/acme-challenge/"
#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define PROOF TOKEN "." THUMBPRINT

static struct testdns *names;
static struct dns *dns;
static struct http *client;
static uint16_t port;

/* Handed over by a "service manager", which is main() here: two named "http", one the supervisor would have opened, one that is no listener. */
enum { HANDED_HTTP = 3, HANDED_HTTP6, HANDED_LOW, HANDED_BAD, HANDED_END };
static uint16_t handed_port[HANDED_END];

/* --- around the tests --------------------------------------------------------------------------------------------------------- */

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
	testdns_set(names, "both.test", 0, "127.0.0.1,::1");
	port = free_port("127.0.0.1");
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

static struct method *listener(const char *name, const char *const *listen, struct err *err)
{
	struct http_look look = {.dns = dns, .http = client, .port = port};
	size_t n = 0;

	while (listen[n])
		n++;
	return http_listener_new(name, listen, n, &look, err);
}

static struct method *listener_at(const char *name, const char *listen)
{
	struct err err;
	struct method *m = listener(name, (const char *[]){listen, NULL}, &err);

	if (!m)
		fail_msg("%s", err.detail);
	return m;
}

static const char *here(const char *ip)
{
	static char text[ADDR_TEXT];

	snprintf(text, sizeof(text), strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
	return text;
}

static void no_listener(const char *const *listen, const char *problem)
{
	struct err err = {0};

	assert_null(listener("other", listen, &err));
	if (!strstr(err.detail, problem))
		fail_msg("%s instead of %s", err.detail, problem);
}

typedef struct method_call *operation(struct method *, const struct method_proof *, method_done *, void *);

/* The operation's failure is told; NULL: none. The report is in *s until the next seen_clear. */
static const char *operate(operation *op, struct method *m, const char *name, const char *token, const char *thumbprint, struct seen *s)
{
	struct method_proof proof = {.ca = "ca", .name = name, .token = token, .thumbprint = thumbprint};

	seen_clear(s);
	seen_of(s, op(m, &proof, seen_done, s));
	return s->err.kind ? s->err.detail : NULL;
}

static void publish(struct method *m, const char *token, const char *thumbprint)
{
	struct seen s = {0};

	assert_null(operate(m->ops->publish, m, "www.test", token, thumbprint, &s));
	assert_null(s.report);
}

static void withdraw(struct method *m, const char *token)
{
	struct seen s = {0};

	assert_null(operate(m->ops->withdraw, m, "www.test", token, THUMBPRINT, &s));
	assert_null(s.report);
}

/* --- a visitor ---------------------------------------------------------------------------------------------------------------- */

struct visit {
	int fd;
	struct buf got;
	bool ended;
};

static void visit_ready(void *arg, short events)
{
	struct visit *v = arg;
	char chunk[4096];
	ssize_t n = recv(v->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	(void)events;
	if (n > 0)
		assert_true(buf_add(&v->got, chunk, (size_t)n));
	else
		v->ended = true;
}

/* One request; the whole answer. */
static const char *exchange(const struct addr *to, const char *request)
{
	static char answer[8192];
	struct watch watch = {0};
	struct visit v = {.fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct err err;

	assert_int_equal(connect(v.fd, (const struct sockaddr *)&to->ss, to->len), 0);
	assert_true(watch_set(&watch, v.fd, POLLIN, visit_ready, &v, &err));
	(void)!send(v.fd, request, strlen(request), MSG_NOSIGNAL);
	while (!v.ended)
		loop_turn(true);
	watch_clear(&watch);
	close(v.fd);
	snprintf(answer, sizeof(answer), "%s", v.got.data ? v.got.data : "");
	buf_free(&v.got);
	return answer;
}

static const char *get(const char *ip, uint16_t at, const char *path)
{
	static char request[20000];
	struct addr to;

	assert_true(addr_parse_ip(ip, at, &to));
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: www.test\r\n\r\n", path);
	return exchange(&to, request);
}

static bool has_proof(const char *answer, const char *proof)
{
	const char *body = strstr(answer, "\r\n\r\n");

	return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 && strcmp(body + 4, proof) == 0;
}

static bool is_404(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");

	return strncmp(answer, "HTTP/1.1 404 ", 13) == 0 && body[4] == '\0';
}

/* --- tests -------------------------------------------------------------------------------------------------------------------- */

static void test_life(void **state)
{
	struct method *m = listener_at("port80", here("127.0.0.1"));
	struct seen s = {0};
	const char *answer;

	(void)state;
	assert_string_equal(m->name, "http:port80");
	assert_string_equal(m->ops->challenge, "http-01");
	withdraw(m, TOKEN); /* never was there */
	assert_true(is_404(get("127.0.0.1", port, TOKEN_PATH TOKEN)));
	assert_non_null(strstr(operate(m->ops->see, m, "www.test", TOKEN, THUMBPRINT, &s), "answered 404"));
	publish(m, TOKEN, THUMBPRINT);
	answer = get("127.0.0.1", port, TOKEN_PATH TOKEN);
	assert_true(has_proof(answer, PROOF)); /* no line feed behind it */
	assert_non_null(strcasestr(answer, "\r\nContent-Type: application/octet-stream\r\n"));
	assert_non_null(strcasestr(answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_null(operate(m->ops->see, m, "www.test", TOKEN, THUMBPRINT, &s));
	assert_true(js_bool(s.report, "ok", false));
	publish(m, TOKEN, "another-thumbprint"); /* of an account made anew */
	assert_true(has_proof(get("127.0.0.1", port, TOKEN_PATH TOKEN), TOKEN ".another-thumbprint"));
	assert_non_null(strstr(operate(m->ops->see, m, "www.test", TOKEN, THUMBPRINT, &s), "differs at byte 45"));
	publish(m, "second", THUMBPRINT);
	assert_true(has_proof(get("127.0.0.1", port, TOKEN_PATH "second"), "second." THUMBPRINT));
	withdraw(m, TOKEN);
	withdraw(m, TOKEN);
	assert_true(is_404(get("127.0.0.1", port, TOKEN_PATH TOKEN)));
	assert_true(has_proof(get("127.0.0.1", port, TOKEN_PATH "second"), "second." THUMBPRINT));
	seen_clear(&s);
	m->ops->free(m); /* with a token shown */
}

static void test_exact_path(void **state)
{
	static const char *const paths[] = {
		"/", "//", "*", "/.well-known", "/.well-known/acme-challenge", TOKEN_PATH, TOKEN_PATH "/" TOKEN, TOKEN_PATH TOKEN "/",
		TOKEN_PATH TOKEN ".", TOKEN_PATH TOKEN "x", TOKEN_PATH "x" TOKEN, TOKEN_PATH "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-o",
		TOKEN_PATH "EVAGXFADS6PSRB2LAV9IZF17DT3JUXGJ-PCT92WR-OA", "/" TOKEN_PATH TOKEN, "/.well-known//acme-challenge/" TOKEN,
		"/.well-known/./acme-challenge/" TOKEN, "/x/../.well-known/acme-challenge/" TOKEN, "/%2ewell-known/acme-challenge/" TOKEN,
		"/.well-known%2facme-challenge/" TOKEN, TOKEN_PATH "%65vaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", TOKEN_PATH TOKEN "%00",
		TOKEN_PATH "../acme-challenge/" TOKEN, "/.WELL-KNOWN/acme-challenge/" TOKEN, TOKEN_PATH TOKEN "." THUMBPRINT, TOKEN_PATH "..",
		TOKEN_PATH "<script>alert(1)</script>", TOKEN_PATH ";" TOKEN, "/" TOKEN, "http://www.test" TOKEN_PATH TOKEN, TOKEN_PATH "%",
		TOKEN_PATH TOKEN "+", "/\\.well-known\\acme-challenge\\" TOKEN,
	};
	struct method *m = listener_at("port80", here("127.0.0.1"));
	char longer[8300] = TOKEN_PATH;

	(void)state;
	publish(m, TOKEN, THUMBPRINT);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!is_404(get("127.0.0.1", port, paths[i])))
			fail_msg("%s: %s", paths[i], get("127.0.0.1", port, paths[i]));
	assert_true(has_proof(get("127.0.0.1", port, TOKEN_PATH TOKEN "?x=/../y"), PROOF));
	memset(longer + strlen(longer), 'A', 8000);
	assert_true(is_404(get("127.0.0.1", port, longer)));
	m->ops->free(m);
}

static void test_odd_requests(void **state)
{
	static const struct {
		const char *request;
		const char *status; /* begins with */
		bool proof;
	} cases[] = {
		{"GET " TOKEN_PATH TOKEN " HTTP/1.1\r\nHost: stranger.test\r\n\r\n", "HTTP/1.1 200", true}, /* the name is the token's business */
		{"GET " TOKEN_PATH TOKEN " HTTP/1.1\r\nHost: <script>\r\n\r\n", "HTTP/1.1 200", true},
		{"GET " TOKEN_PATH TOKEN " HTTP/1.0\r\n\r\n", "HTTP/1.1 200", true},
		{"GET " TOKEN_PATH TOKEN " HTTP/1.1\r\n\r\n", "HTTP/1.1 400", false},
		{"GET " TOKEN_PATH "AAAA HTTP/1.1\r\nHost: AAAA\r\n\r\n", "HTTP/1.1 404", false},
		{"HEAD " TOKEN_PATH TOKEN " HTTP/1.1\r\nHost: www.test\r\n\r\n", "HTTP/1.1 200", false},
		{"POST " TOKEN_PATH TOKEN " HTTP/1.1\r\nHost: www.test\r\nContent-Length: 4\r\n\r\nAAAA", "HTTP/1.1 405", false},
		{"PUT " TOKEN_PATH TOKEN " HTTP/1.1\r\nHost: www.test\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405", false},
		{"DELETE " TOKEN_PATH TOKEN " HTTP/1.1\r\nHost: www.test\r\n\r\n", "HTTP/1.1 405", false},
		{"AAAA " TOKEN_PATH TOKEN " HTTP/1.1\r\nHost: www.test\r\n\r\n", "HTTP/1.1 405", false},
		{"GET  HTTP/1.1\r\nHost: AAAA\r\n\r\n", "", false},
		{"GET AAAA HTTP/1.1\r\nHost: AAAA\r\n\r\n", "HTTP/1.1 404", false},
		{"AAAA\r\n\r\n", "", false},
	};
	struct method *m = listener_at("port80", here("127.0.0.1"));
	struct addr to;

	(void)state;
	publish(m, TOKEN, THUMBPRINT);
	assert_true(addr_parse(here("127.0.0.1"), 0, &to));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *answer = exchange(&to, cases[i].request);

		if (strncmp(answer, cases[i].status, strlen(cases[i].status)) != 0 || (strstr(answer, PROOF) != NULL) != cases[i].proof ||
			strstr(answer, "AAAA") || strstr(answer, "<script>"))
			fail_msg("%s: %s", cases[i].request, answer);
	}
	m->ops->free(m);
}

static void test_many_tokens(void **state)
{
	struct method *m = listener_at("port80", here("127.0.0.1"));
	char token[32], path[128], proof[128];

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(token, sizeof(token), "token-%d", i);
		publish(m, token, THUMBPRINT);
	}
	for (int i = 0; i < 500; i += 2) {
		snprintf(token, sizeof(token), "token-%d", i);
		withdraw(m, token);
	}
	for (int i = 0; i < 500; i += 99) {
		snprintf(path, sizeof(path), TOKEN_PATH "token-%d", i);
		snprintf(proof, sizeof(proof), "token-%d." THUMBPRINT, i);
		assert_true(i % 2 ? has_proof(get("127.0.0.1", port, path), proof) : is_404(get("127.0.0.1", port, path)));
	}
	m->ops->free(m);
}

static void test_both_families(void **state)
{
	char four[ADDR_TEXT], six[ADDR_TEXT];
	struct seen s = {0};
	struct method *m;
	struct js *list;
	struct err err;

	(void)state;
	strcpy(four, here("127.0.0.1"));
	strcpy(six, here("::1"));
	m = listener("port80", (const char *[]){four, six, NULL}, &err);
	assert_non_null(m);
	publish(m, TOKEN, THUMBPRINT);
	assert_true(has_proof(get("::1", port, TOKEN_PATH TOKEN), PROOF));
	assert_null(operate(m->ops->see, m, "both.test", TOKEN, THUMBPRINT, &s));
	assert_int_equal(js_len(js_arr(s.report, "addresses")), 2);
	m->ops->free(m);
	m = listener("port80", (const char *[]){"127.0.0.1", NULL}, &err); /* the port is the self-check's */
	assert_non_null(m);
	publish(m, TOKEN, THUMBPRINT);
	assert_non_null(strstr(operate(m->ops->see, m, "both.test", TOKEN, THUMBPRINT, &s), "both.test at [::1]:"));
	assert_non_null(strstr(s.err.detail, "refused"));
	list = js_arr(s.report, "addresses");
	for (size_t i = 0; i < js_len(list); i++)
		assert_int_equal(js_bool(js_at(list, i), "ok", false), js_str(js_at(list, i), "address")[0] == '1');
	seen_clear(&s);
	m->ops->free(m);
}

static void test_one_port_twice(void **state)
{
	struct method *first = listener_at("first", here("127.0.0.1")), *again;
	unsigned before = open_descriptors();
	char taken[ADDR_TEXT], problem[128];

	(void)state;
	strcpy(taken, here("127.0.0.1"));
	snprintf(problem, sizeof(problem), "cannot listen on %s: Address already in use", taken);
	no_listener((const char *[]){taken, NULL}, problem);
	no_listener((const char *[]){"127.0.0.2", taken, NULL}, problem);
	assert_int_equal(open_descriptors(), before);
	again = listener_at("again", "127.0.0.2"); /* was given back */
	publish(first, TOKEN, THUMBPRINT);
	assert_true(has_proof(get("127.0.0.1", port, TOKEN_PATH TOKEN), PROOF));
	assert_true(is_404(get("127.0.0.2", port, TOKEN_PATH TOKEN)));
	again->ops->free(again);
	first->ops->free(first);
	first = listener_at("first", taken);
	first->ops->free(first);
}

static void test_bad_listen(void **state)
{
	static const char *const bad[] = {
		"", "localhost:80", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:80x", "[::1", "*:80", "300.0.0.1:80",
	};
	const char *many[66] = {NULL};
	char at[65][ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		no_listener((const char *[]){bad[i], NULL}, "is not an address");
	no_listener((const char *[]){"192.0.2.77", NULL}, "Cannot assign requested address");
	for (int i = 0; i < 65; i++) {
		snprintf(at[i], sizeof(at[i]), "127.0.1.%d", i + 1);
		many[i] = at[i];
	}
	no_listener(many, "more than 64 sockets");
}

static void test_fits(void **state)
{
	struct method *m = listener_at("port80", here("127.0.0.1"));
	struct err why = {0};

	(void)state;
	assert_true(m->ops->fits(m, "www.test", false, &why));
	assert_false(m->ops->fits(m, "www.test", true, &why));
	assert_int_equal(why.kind, ERR_INPUT);
	assert_non_null(strstr(why.detail, "*.www.test"));
	m->ops->free(m);
}

static void test_cancel(void **state)
{
	struct method_proof proof = {.ca = "ca", .name = "www.test", .token = TOKEN, .thumbprint = THUMBPRINT};
	struct method *m = listener_at("port80", here("127.0.0.1"));
	struct seen s = {.within = true}; /* never told */

	(void)state;
	m->ops->cancel(m->ops->publish(m, &proof, seen_done, &s));
	loop_turn(false);
	assert_true(has_proof(get("127.0.0.1", port, TOKEN_PATH TOKEN), PROOF)); /* withdrawn by whoever cancels */
	m->ops->cancel(m->ops->see(m, &proof, seen_done, &s));
	loop_turn(false);
	m->ops->cancel(m->ops->withdraw(m, &proof, seen_done, &s));
	loop_turn(false);
	assert_true(is_404(get("127.0.0.1", port, TOKEN_PATH TOKEN)));
	m->ops->cancel(NULL);
	m->ops->free(m);
}

/* --- sockets that were handed over -------------------------------------------------------------------------------------------- */

static void test_handed_over(void **state)
{
	unsigned before = open_descriptors();

	(void)state;
	for (int i = 0; i < 3; i++) { /* they outlive the listener, over reloads */
		struct method *m = listener_at("port80", "systemd:http");

		publish(m, TOKEN, THUMBPRINT);
		assert_true(has_proof(get("127.0.0.1", handed_port[HANDED_HTTP], TOKEN_PATH TOKEN), PROOF));
		assert_true(has_proof(get("::1", handed_port[HANDED_HTTP6], TOKEN_PATH TOKEN), PROOF));
		m->ops->free(m);
		assert_int_equal(open_descriptors(), before);
	}
}

static void test_handed_over_once(void **state)
{
	struct method *m = listener_at("port80", "systemd:http");

	(void)state;
	no_listener((const char *[]){"systemd:http", NULL}, "the socket \"http\" is in use already");
	m->ops->free(m);
	no_listener((const char *[]){"systemd:http", "systemd:http", NULL}, "is in use already");
	m = listener_at("other", "systemd:http");
	m->ops->free(m);
	no_listener((const char *[]){"systemd:absent", NULL}, "no socket named \"absent\" was handed over");
	no_listener((const char *[]){"systemd:", NULL}, "no socket named \"\" was handed over");
	no_listener((const char *[]){"systemd:bad", NULL}, "is no listening socket");
}

/* What the supervisor bound is found by its address: another address of the entry is not taken for it. */
static void test_bound_by_supervisor(void **state)
{
	char low[ADDR_TEXT], own[ADDR_TEXT];
	struct method *m;
	struct err err;

	(void)state;
	snprintf(low, sizeof(low), "127.0.0.1:%u", handed_port[HANDED_LOW]);
	strcpy(own, here("127.0.0.1"));
	no_listener((const char *[]){low, NULL}, "Address already in use"); /* it belongs to the entry "low" */
	for (int i = 0; i < 2; i++) {
		m = listener("low", (const char *[]){own, low, NULL}, &err);
		assert_non_null(m);
		publish(m, TOKEN, THUMBPRINT);
		assert_true(has_proof(get("127.0.0.1", handed_port[HANDED_LOW], TOKEN_PATH TOKEN), PROOF));
		assert_true(has_proof(get("127.0.0.1", port, TOKEN_PATH TOKEN), PROOF));
		m->ops->free(m);
	}
}

static void hand_over(int as, const char *ip, bool listening)
{
	struct addr a;
	int fd = -1;

	if (addr_parse_ip(ip, 0, &a))
		fd = socket(a.ss.ss_family, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a.ss, a.len) != 0 || (listening && listen(fd, 16) != 0) ||
		getsockname(fd, (struct sockaddr *)&a.ss, &a.len) != 0)
		abort();
	handed_port[as] = addr_port(&a);
	if (fd != as) {
		dup2(fd, as);
		close(fd);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(test_life), TEST(test_exact_path), TEST(test_odd_requests), TEST(test_many_tokens), TEST(test_both_families),
		TEST(test_one_port_twice), TEST(test_bad_listen), TEST(test_fits), TEST(test_cancel), TEST(test_handed_over),
		TEST(test_handed_over_once), TEST(test_bound_by_supervisor),
	};
	char pid[16];

	hand_over(HANDED_HTTP, "127.0.0.1", true);
	hand_over(HANDED_HTTP6, "::1", true);
	hand_over(HANDED_LOW, "127.0.0.1", true);
	hand_over(HANDED_BAD, "127.0.0.1", false);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "4", 1);
	setenv("LISTEN_FDNAMES", "http:http:http-low:bad", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
