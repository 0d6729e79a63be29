/* SPDX-License-Identifier: ISC */
#include "method_seen.h"

#include "prove/http_call.h"

static struct testdns *names;
static struct dns *dns;
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
	return dns ? 0 : -1;
}

static int close_all(void **state)
{
	(void)state;
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
	struct http_look look = {.dns = dns, .port = 80};
	struct seen s = {0};

	(void)state;
	seen_of(&s, http_call_see(&look, &proof, seen_done, &s));
	assert_null(s.report);
	assert_string_equal(s.err.type, "dns");
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
	struct http_look look = {.dns = dns, .port = 80};
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
		TEST(test_at_once), TEST(test_end), TEST(test_see), TEST(test_another_from_done), TEST(test_cancel), TEST(test_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
