/* SPDX-License-Identifier: ISC */
#include "method_seen.h"

#include "base/mem.h"
#include "io/rpc.h"
#include "io/web.h"
#include "prove/http.h"

#define TOKEN_PATH "/.well-known/acme-challenge/"
#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

/* A keeper with room for one file, and the web server that shows it. */
static struct keeper {
	struct rpc *client;
	struct rpc_peer *peer;
	enum { ANSWER, REFUSE, HOLD, BREAK } mood;
	struct rpc_request *held;
	unsigned calls, connects;
	char last[1024]; /* the latest call, without its id */
	char file[128];  /* name of the file, "" for none */
} keeper;

static struct web *web;
static uint16_t port;
static struct testdns *names;
static struct dns *dns;
static struct http *client;
static struct method *method;

static void keeper_do(const char *op, const char *token)
{
	if (strcmp(op, "publish") == 0)
		snprintf(keeper.file, sizeof(keeper.file), "%s", token);
	else if (strcmp(keeper.file, token) == 0)
		keeper.file[0] = '\0';
}

static void keeper_call(void *arg, struct rpc_request *q, const struct js *request)
{
	struct js *kept = js_object();
	char *dump;
	struct err err;

	assert_ptr_equal(arg, &keeper);
	keeper.calls++;
	for (void *i = js_first(request); i; i = js_next(request, i))
		if (strcmp(js_key(i), "id") != 0)
			js_put(kept, js_key(i), js_ref(js_value(i)));
	dump = js_dump(kept);
	snprintf(keeper.last, sizeof(keeper.last), "%s", dump);
	free(dump);
	js_free(kept);
	switch (keeper.mood) {
	case HOLD:
		keeper.held = q;
		break;
	case REFUSE:
		err_set(&err, ERR_LOCAL, "webroot", "/var/www/html: cannot make the challenge file: No space left on device");
		rpc_refuse(q, &err);
		break;
	case BREAK: /* it did it, but was killed before it could say so */
		keeper.mood = ANSWER;
		keeper_do(js_str(request, "op"), js_str(request, "token"));
		rpc_peer_close(keeper.peer);
		keeper.peer = NULL;
		rpc_answer(q, NULL);
		break;
	case ANSWER:
		keeper_do(js_str(request, "op"), js_str(request, "token"));
		rpc_answer(q, NULL);
		break;
	}
}

static void keeper_closed(void *arg, struct rpc_peer *p)
{
	(void)arg;
	if (keeper.peer == p)
		keeper.peer = NULL;
}

static int keeper_connect(void *arg, struct err *err)
{
	static const struct rpc_serve_ops ops = {.call = keeper_call, .closed = keeper_closed};
	int fds[2];

	keeper.connects++;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	keeper.peer = rpc_serve(fds[1], 65536, &ops, arg, err);
	assert_non_null(keeper.peer);
	return fds[0];
}

static void show(void *arg, const char *path, const char *host, struct web_answer *answer)
{
	(void)arg;
	(void)host;
	if (!keeper.file[0] || strncmp(path, TOKEN_PATH, strlen(TOKEN_PATH)) != 0 || strcmp(path + strlen(TOKEN_PATH), keeper.file) != 0)
		return;
	answer->status = 200;
	answer->body = mem_printf("%s." THUMBPRINT, keeper.file);
	answer->len = strlen(answer->body);
}

static int open_all(void **state)
{
	static const struct rpc_ops ops = {.connect = keeper_connect};
	struct http_look look;
	const char *server;
	struct addr a;
	struct err err;

	(void)state;
	memset(&keeper, 0, sizeof(keeper));
	assert_true(loop_open(&err));
	names = testdns_open();
	server = testdns_address(names);
	dns = dns_open(&server, 1, &err);
	assert_non_null(dns);
	client = http_look_client(dns, &err);
	testdns_set(names, "www.test", 0, "127.0.0.1");
	port = free_port("127.0.0.1");
	assert_true(addr_parse_ip("127.0.0.1", port, &a));
	web = web_open(&a, -1, show, NULL, &err);
	assert_non_null(web);
	keeper.client = rpc_new(&ops, &keeper);
	look = (struct http_look){.dns = dns, .http = client, .port = port};
	method = http_webroot_new("www", keeper.client, &look, &err);
	assert_non_null(method);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	method->ops->free(method);
	rpc_free(keeper.client);
	rpc_peer_close(keeper.peer);
	loop_turn(false);
	web_close(web);
	http_free(client);
	dns_close(dns);
	testdns_close(names);
	loop_close();
	return 0;
}

typedef struct method_call *operation(struct method *, const struct method_proof *, method_done *, void *);

static struct method_call *start(operation *op, struct seen *s)
{
	char token[] = TOKEN, name[] = "www.test";
	struct method_proof proof = {.ca = "letsencrypt", .name = name, .token = token, .thumbprint = THUMBPRINT};
	struct method_call *c;

	s->within = true;
	c = op(method, &proof, seen_done, s);
	s->within = false;
	memset(token, '!', sizeof(token));
	memset(name, '!', sizeof(name));
	return c;
}

static const char *operate(operation *op, struct seen *s)
{
	seen_clear(s);
	start(op, s);
	seen_wait(s);
	return s->err.kind ? s->err.detail : NULL;
}

/* --- tests -------------------------------------------------------------------------------------------------------------------- */

static void test_life(void **state)
{
	struct seen s = {0};

	(void)state;
	assert_string_equal(method->name, "http:www");
	assert_string_equal(method->ops->challenge, "http-01");
	assert_null(operate(method->ops->withdraw, &s)); /* never was there */
	assert_string_equal(keeper.last, "{\"op\":\"withdraw\",\"http\":\"www\",\"ca\":\"letsencrypt\",\"token\":\"" TOKEN "\"}");
	assert_non_null(strstr(operate(method->ops->see, &s), "www.test at 127.0.0.1:"));
	assert_non_null(strstr(s.err.detail, "answered 404"));
	assert_null(operate(method->ops->publish, &s));
	assert_null(s.report);
	/* Neither path nor contents are ours to say: the keeper knows both. */
	assert_string_equal(keeper.last, "{\"op\":\"publish\",\"http\":\"www\",\"ca\":\"letsencrypt\",\"token\":\"" TOKEN "\"}");
	assert_null(operate(method->ops->see, &s));
	assert_true(js_bool(s.report, "ok", false));
	assert_null(operate(method->ops->publish, &s)); /* twice */
	assert_null(operate(method->ops->see, &s));
	assert_null(operate(method->ops->withdraw, &s));
	assert_null(operate(method->ops->withdraw, &s));
	assert_non_null(operate(method->ops->see, &s));
	assert_int_equal(keeper.calls, 5); /* looking is no business of the keeper */
	seen_clear(&s);
}

static void test_refusal(void **state)
{
	struct seen s = {0};

	(void)state;
	keeper.mood = REFUSE;
	assert_string_equal(operate(method->ops->publish, &s), "/var/www/html: cannot make the challenge file: No space left on device");
	assert_int_equal(s.err.kind, ERR_LOCAL);
	assert_string_equal(s.err.type, "webroot");
	assert_non_null(operate(method->ops->withdraw, &s));
	keeper.mood = ANSWER;
	assert_null(operate(method->ops->publish, &s));
}

static void test_killed_keeper(void **state)
{
	struct seen s = {0};

	(void)state;
	keeper.mood = BREAK;
	assert_null(operate(method->ops->publish, &s)); /* asked again */
	assert_int_equal(keeper.calls, 2);
	assert_int_equal(keeper.connects, 2);
	assert_null(operate(method->ops->see, &s));
	keeper.mood = BREAK;
	assert_null(operate(method->ops->withdraw, &s));
	assert_string_equal(keeper.file, "");
	seen_clear(&s);
}

static void test_cancel(void **state)
{
	struct seen never = {.within = true}, s = {0};
	struct method_call *c;

	(void)state;
	c = start(method->ops->publish, &never); /* before there is a connection */
	never.within = true;
	method->ops->cancel(c);
	assert_null(operate(method->ops->withdraw, &s));
	keeper.mood = HOLD;
	for (int i = 0; i < 2; i++) {
		c = start(i ? method->ops->withdraw : method->ops->publish, &never);
		never.within = true;
		while (!keeper.held)
			loop_turn(true);
		method->ops->cancel(c);
		rpc_answer(keeper.held, NULL); /* too late */
		keeper.held = NULL;
	}
	keeper.mood = ANSWER;
	c = start(method->ops->see, &never);
	never.within = true;
	loop_turn(true);
	method->ops->cancel(c);
	assert_null(operate(method->ops->publish, &s));
	assert_null(operate(method->ops->see, &s));
	assert_int_equal(never.calls, 0);
	method->ops->cancel(NULL);
	seen_clear(&s);
}

static void test_many_at_once(void **state)
{
	struct seen s[64] = {0};

	(void)state;
	for (int i = 0; i < 64; i++)
		start(i % 2 ? method->ops->publish : method->ops->withdraw, &s[i]);
	for (int i = 0; i < 64; i++) {
		seen_wait(&s[i]);
		assert_int_equal(s[i].err.kind, ERR_NONE);
	}
	assert_int_equal(keeper.calls, 64);
	assert_int_equal(keeper.connects, 1);
}

static void test_fits(void **state)
{
	struct err why = {0};

	(void)state;
	assert_true(method->ops->fits(method, "www.test", false, &why));
	assert_false(method->ops->fits(method, "www.test", true, &why));
	assert_non_null(strstr(why.detail, "*.www.test"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(test_life), TEST(test_refusal), TEST(test_killed_keeper), TEST(test_cancel), TEST(test_many_at_once), TEST(test_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
