/* SPDX-License-Identifier: ISC */
#include "method_seen.h"

#include "prove/http_call.h"

static struct testdns *names;
static struct dns *dns;
static struct http *client;
static const struct method_proof proof = {.ca = "ca", .name = "gone.test", .token = "token", .thumbprint = THUMBPRINT};

static int open_all(void **state)
{
	const char *server;
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	names = testdns_open();
	server = testdns_address(names);
	dns = dns_open(&server, 1, &err);
	client = http_look_client(dns, &err);
	return dns ? 0 : -1;
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

static void test_at_once(void **state)
{
	struct seen s = {0};

	(void)state;
	seen_of(&s, http_call_at_once(seen_done, &s));
	assert_int_equal(s.err.kind, ERR_NONE);
	assert_null(s.report);
	loop_turn(false);
	assert_int_equal(s.calls, 1);
}

static void test_end(void **state)
{
	struct js *report = js_object();
	struct seen s = {0};
	struct err err;

	(void)state;
	err_set(&err, ERR_TEMP, "http", "not seen");
	http_call_end(http_call_new(seen_done, &s), report, &err);
	assert_int_equal(s.calls, 1);
	assert_ptr_equal(s.report, report);
	assert_string_equal(s.err.detail, "not seen");
	js_free(report);
	seen_clear(&s);
}

static void test_see(void **state)
{
	struct http_look look = {.dns = dns, .http = client, .port = 80};
	struct seen s = {0};

	(void)state;
	seen_of(&s, http_call_see(&look, &proof, seen_done, &s));
	assert_null(s.report);
	assert_string_equal(s.err.type, "dns");
}

static int answers; /* the status that servers give */

static void serve(struct testpeer *p)
{
	char head[160];

	while (testpeer_request(p)) {
		snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: 0\r\n%s\r\n", answers, answers == 302 ? "Location: http://10.0.0.1/\r\n" : "");
		testpeer_puts(p, head);
	}
}

static const char *finding_of(const struct seen *s, size_t i)
{
	return js_str(js_at(s->report, i), "verdict");
}

/* Nothing is there to be fetched: who says so is well, who says anything else is odd, who says nothing would not show a proof either. */
static void test_check(void **state)
{
	static const struct {
		int status;
		const char *verdict, *part;
	} rows[] = {
		{404, "ok", "127.0.0.1"}, {410, "ok", "answers"}, {200, "ok", "answers"}, {403, "warn", "answered 403"}, {500, "warn", "answered 500"},
		{302, "fail", "redirected to 10.0.0.1"},
	};
	struct method_proof ahead = {.ca = "ca", .name = "here.test"};
	struct testserver server;
	struct http_look look;
	struct seen s = {0};

	(void)state;
	testdns_set(names, "here.test", 0, "127.0.0.1");
	testdns_set(names, "both.test", 0, "127.0.0.1,::1");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		answers = rows[i].status;
		testserver_start(&server, "127.0.0.1", NULL, serve);
		look = (struct http_look){.dns = dns, .http = client, .port = server.port};
		seen_of(&s, http_call_check(&look, &ahead, seen_done, &s));
		assert_int_equal(js_len(s.report), 1);
		assert_string_equal(finding_of(&s, 0), rows[i].verdict);
		assert_string_equal(js_str(js_at(s.report, 0), "name"), "here.test");
		if (!strstr(js_str(js_at(s.report, 0), "text"), rows[i].part))
			fail_msg("%s", js_str(js_at(s.report, 0), "text"));
		seen_clear(&s);
		if (i + 1 < sizeof(rows) / sizeof(*rows))
			testserver_stop(&server);
	}
	ahead.name = "both.test"; /* each address for itself */
	seen_of(&s, http_call_check(&look, &ahead, seen_done, &s));
	assert_int_equal(js_len(s.report), 2);
	seen_clear(&s);
	testserver_stop(&server);
	seen_of(&s, http_call_check(&look, &ahead, seen_done, &s));
	assert_string_equal(finding_of(&s, 0), "fail");
	assert_string_equal(finding_of(&s, 1), "fail");
	seen_clear(&s);
	ahead.name = "gone.test";
	seen_of(&s, http_call_check(&look, &ahead, seen_done, &s));
	assert_null(s.report);
	assert_string_equal(s.err.type, "dns");
	s.within = true;
	http_call_cancel(http_call_check(&look, &ahead, seen_done, &s));
}

static void again(void *arg, const struct js *report, const struct err *err)
{
	(void)report;
	(void)err;
	http_call_at_once(seen_done, arg);
}

static void test_another_from_done(void **state)
{
	struct seen s = {0};

	(void)state;
	http_call_at_once(again, &s);
	seen_wait(&s);
}

static void cancel_other(void *arg, const struct js *report, const struct err *err)
{
	struct method_call **other = arg;

	(void)report;
	(void)err;
	http_call_cancel(*other);
	*other = NULL;
}

static void test_cancel(void **state)
{
	struct http_look look = {.dns = dns, .http = client, .port = 80};
	struct seen never = {.within = true};
	struct method_call *other;

	(void)state;
	http_call_cancel(NULL);
	http_call_cancel(http_call_new(seen_done, &never));
	http_call_cancel(http_call_at_once(seen_done, &never));
	http_call_cancel(http_call_see(&look, &proof, seen_done, &never));
	http_call_at_once(cancel_other, &other); /* its end is on its way */
	other = http_call_at_once(seen_done, &never);
	while (other)
		loop_turn(true);
	loop_turn(false);
	assert_int_equal(never.calls, 0);
}

static void test_fits(void **state)
{
	struct err why = {0};

	(void)state;
	assert_true(http_fits(NULL, "www.test", false, &why));
	assert_int_equal(why.kind, ERR_NONE);
	assert_false(http_fits(NULL, "www.test", true, &why));
	assert_int_equal(why.kind, ERR_INPUT);
	assert_string_equal(why.detail, "HTTP-01 does not prove wildcards (*.www.test): a DNS proof is needed");
	assert_false(http_fits(NULL, "www.test", true, NULL));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(test_at_once), TEST(test_end), TEST(test_see), TEST(test_check), TEST(test_another_from_done), TEST(test_cancel), TEST(test_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
