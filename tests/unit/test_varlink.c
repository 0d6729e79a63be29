/* SPDX-License-Identifier: ISC */
#include "varlink_service.h"

static void test_info(void **state)
{
	static const char *const strings[][2] = {
		{"vendor", "a vendor"},
		{"product", "a product"},
		{"version", "1.2"},
		{"url", "https://example.net/"},
	};
	struct peer p;
	struct js *v, *info;

	(void)state;
	peer_open(&p, path);
	v = peer_ask(&p, INFO);
	info = js_obj(v, "parameters");
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(js_str(info, strings[i][0]), strings[i][1]);
	assert_int_equal(js_len(js_arr(info, "interfaces")), 2);
	assert_string_equal(js_str_at(js_arr(info, "interfaces"), 0), "org.varlink.service");
	assert_string_equal(js_str_at(js_arr(info, "interfaces"), 1), "org.example.Test");
	js_free(v);
	peer_close(&p);
}

static void test_descriptions(void **state)
{
	struct peer p;
	struct js *v;

	(void)state;
	peer_open(&p, path);
	v = peer_ask(&p, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":"
			 "\"org.example.Test\"}}");
	assert_string_equal(js_str(js_obj(v, "parameters"), "description"), "interface org.example.Test\n");
	js_free(v);
	v = peer_ask(&p, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":"
			 "\"org.varlink.service\"}}");
	assert_non_null(strstr(js_str(js_obj(v, "parameters"), "description"), "\ninterface org.varlink.service\n"));
	assert_non_null(strstr(js_str(js_obj(v, "parameters"), "description"), "call with the flag \"more\""));
	js_free(v);
	peer_expect_error(&p,
		"{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"a.b\"}}",
		SERVICE "InterfaceNotFound", "interface", "a.b");
	peer_close(&p);
}

static void test_standard_errors(void **state)
{
	static const struct {
		const char *call, *error, *key, *value;
	} rows[] = {
		{"{\"method\":\"org.other.Do\"}", "InterfaceNotFound", "interface", "org.other"},
		{"{\"method\":\"org.example.Test.\"}", "MethodNotFound", "method", TEST},
		{"{\"method\":\"org.example.Test.echo\"}", "MethodNotFound", "method", TEST "echo"},
		{"{\"method\":\"org.varlink.service.Nothing\"}", "MethodNotFound", "method", SERVICE "Nothing"},
		{"{\"method\":\"org.example.Tes.Echo\"}", "InterfaceNotFound", "interface", "org.example.Tes"},
		{"{\"method\":\"Echo\"}", "InvalidParameter", "parameter", "method"},
		{"{\"method\":\"\"}", "InvalidParameter", "parameter", "method"},
		{"{\"method\":\".\"}", "InterfaceNotFound", "interface", ""},
		{"{\"method\":\"org.example.Test.Echo\"}", "InvalidParameter", "parameter", "name"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":null}", "InvalidParameter", "parameter", "name"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":null}}", "InvalidParameter",
			"parameter", "name"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":7}}", "InvalidParameter", "parameter",
			"name"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"n\":\"1\"}}",
			"InvalidParameter", "parameter", "n"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"n\":1.5}}", "InvalidParameter",
			"parameter", "n"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"flag\":0}}",
			"InvalidParameter", "parameter", "flag"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"flag\":[true]}}",
			"InvalidParameter", "parameter", "flag"},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"Name\":1}}",
			"InvalidParameter", "parameter", "Name"},
		{"{\"method\":\"org.example.Test.Later\",\"parameters\":{\"x\":1}}", "InvalidParameter", "parameter",
			"x"},
		{"{\"method\":\"org.example.Test.Stream\"}", "ExpectedMore", NULL, NULL},
		{"{\"method\":\"org.example.Test.Stream\",\"more\":false}", "ExpectedMore", NULL, NULL},
		{"{\"method\":\"org.example.Test.Later\",\"upgrade\":true}", "MethodNotImplemented", "method",
			TEST "Later"},
		{"{\"method\":\"org.example.Test.No\",\"upgrade\":true}", "MethodNotFound", "method", TEST "No"},
	};
	struct peer p;

	(void)state;
	peer_open(&p, path);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char error[64];

		snprintf(error, sizeof error, SERVICE "%s", rows[i].error);
		peer_expect_error(&p, rows[i].call, error, rows[i].key, rows[i].value);
	}
	assert_int_equal(echoed, 0);
	peer_expect_reply(&p, INFO); /* an error ends the call, not the connection */
	peer_close(&p);
}

static void test_parameters(void **state)
{
	static const char *const calls[] = {
		"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\"}}",
		"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"n\":null,\"flag\":null}}",
		"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"n\":9007199254740993,\"flag\":"
		"true}}",
		" {\n\"parameters\" : { \"name\" : \"x\" } , \"method\" : \"org.example.Test.Echo\" }\t",
		"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\"},\"com.example.extension\":[1],"
		"\"oneway\":false,\"more\":true}",
	};
	struct peer p;

	(void)state;
	peer_open(&p, path);
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		struct js *v = peer_ask(&p, calls[i]);

		assert_false(js_has(v, "error"));
		assert_false(js_has(v, "continues"));
		assert_string_equal(js_str(js_obj(v, "parameters"), "name"), "x");
		if (i == 2)
			assert_true(js_int(js_obj(v, "parameters"), "n", 0) == INT64_C(9007199254740993));
		js_free(v);
	}
	peer_close(&p);
}

/* Rule 1: closed, one line in the log, no error reply. */
static void test_malformed(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: to the NUL, included */
	} rows[] = {
		{"", 1},
		{"{", 0},
		{"hello", 0},
		{"[]", 0},
		{"\"x\"", 0},
		{"null", 0},
		{"{}", 0},
		{"{\"method\":null}", 0},
		{"{\"method\":7}", 0},
		{"{\"method\":[\"org.varlink.service.GetInfo\"]}", 0},
		{"{\"parameters\":{}}", 0},
		{"{\"method\":\"a.B\",\"parameters\":[]}", 0},
		{"{\"method\":\"a.B\",\"parameters\":\"x\"}", 0},
		{"{\"method\":\"a.B\",\"parameters\":1.5}", 0},
		{"{\"method\":\"a.B\",\"more\":1}", 0},
		{"{\"method\":\"a.B\",\"more\":null}", 0},
		{"{\"method\":\"a.B\",\"oneway\":\"true\"}", 0},
		{"{\"method\":\"a.B\",\"upgrade\":[]}", 0},
		{"{\"method\":\"a.B\",\"oneway\":true,\"more\":true}", 0},
		{"{\"method\":\"a.B\",\"upgrade\":true,\"more\":true}", 0},
		{"{\"method\":\"a.B\",\"upgrade\":true,\"oneway\":true,\"more\":true}", 0},
		{"{\"method\":\"a.B\",\"unknown\":1}", 0},
		{"{\"method\":\"a.B\",\"\":1}", 0},
		{"{\"method\":\"a.B\",\"method\":\"a.B\"}", 0},
		{"{\"method\":\"a.B\"}}", 0},
		{"{\"method\":\"a.B\"}{\"method\":\"a.B\"}", 0},
		{"{\"method\":\"a.\xff\"}", 0},
		{"{\"method\":\"a.\xc3\"}", 0},
		{"{\"method\":\"a.\\ud800\"}", 0},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\\u0000y\"}}", 0},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"na\\u0000me\":\"x\"}}", 0},
		{"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\",\"n\":99999999999999999999}}",
			0},
		{"\x7f\x45\x4c\x46\x01\x02\x03", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct peer p;

		log_text[0] = '\0';
		peer_open(&p, path);
		(void)peer_send(&p, rows[i].text, rows[i].len ? rows[i].len : strlen(rows[i].text) + 1);
		assert_null(peer_take(&p));
		assert_int_equal(lines_with("\n"), 1);
		peer_close(&p);
	}
	assert_int_equal(echoed, 0);
}

static void test_nested(void **state)
{
	char text[400] = "{\"method\":\"org.varlink.service.GetInfo\",\"a.b\":";
	size_t at = strlen(text);
	struct peer p;

	(void)state;
	memset(text + at, '[', 100);
	memset(text + at + 100, ']', 100);
	text[at + 200] = '}';
	peer_open(&p, path);
	assert_null(peer_ask(&p, text));
	peer_close(&p);
	memset(text + at, ' ', 60); /* 40 deep is fine */
	memset(text + at + 140, ' ', 60);
	peer_open(&p, path);
	peer_expect_reply(&p, text);
	peer_close(&p);
}

static void test_huge(void **state)
{
	enum { CAP = 64 * 1024, MUCH = 1024 * 1024 };
	char *much = mem_alloc(MUCH);
	struct peer p;
	struct js *v;

	(void)state;
	memset(much, ' ', MUCH);
	memcpy(much, INFO, strlen(INFO));
	peer_open(&p, path);
	much[CAP] = '\0'; /* exactly as much as is allowed */
	assert_true(peer_send(&p, much, CAP + 1));
	v = peer_take(&p);
	assert_non_null(v);
	js_free(v);
	much[CAP] = ' ';
	much[CAP + 1] = '\0';
	(void)peer_send(&p, much, CAP + 2);
	assert_null(peer_take(&p));
	peer_close(&p);

	much[CAP + 1] = ' ';
	peer_open(&p, path);
	(void)peer_send(&p, much, MUCH); /* never a NUL */
	assert_null(peer_take(&p));
	peer_close(&p);
	free(much);
}

static void test_pieces_and_pipelines(void **state)
{
	static const char calls[] =
		INFO "\0" INFO "\0{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"last\"}}";
	struct peer p;
	struct js *v;

	(void)state;
	peer_open(&p, path);
	for (size_t i = 0; i < sizeof INFO; i++) {
		assert_true(peer_send(&p, &INFO[i], 1));
		loop_turn(false);
	}
	v = peer_take(&p);
	assert_non_null(v);
	js_free(v);
	assert_true(peer_send(&p, calls, sizeof calls));
	for (int i = 0; i < 2; i++) {
		v = peer_take(&p);
		assert_true(js_has(js_obj(v, "parameters"), "vendor"));
		js_free(v);
	}
	v = peer_take(&p);
	assert_string_equal(js_str(js_obj(v, "parameters"), "name"), "last");
	js_free(v);
	peer_close(&p);
}

/* No answer of any kind, or those that follow are taken for others'. */
static void test_oneway(void **state)
{
	static const char *const calls[] = {
		"{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\"},\"oneway\":true}",
		"{\"method\":\"org.example.Test.Echo\",\"oneway\":true}",
		"{\"method\":\"org.example.Test.No\",\"oneway\":true}",
		"{\"method\":\"org.example.Test.Stream\",\"oneway\":true}",
		"{\"method\":\"org.example.Test.Search\",\"parameters\":{\"n\":3},\"oneway\":true}",
	};
	struct peer p;
	struct js *v;

	(void)state;
	peer_open(&p, path);
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		assert_true(peer_send(&p, calls[i], strlen(calls[i]) + 1));
	v = peer_ask(&p, INFO);
	assert_true(js_has(js_obj(v, "parameters"), "vendor"));
	js_free(v);
	assert_int_equal(echoed, 1);
	assert_int_equal(stepped, 3);
	assert_int_equal(ended, 1);
	peer_close(&p);
}

static void test_ordered(void **state)
{
	struct peer p;
	struct js *v;

	(void)state;
	peer_open(&p, path);
	v = peer_ask(&p, "{\"method\":\"org.example.Test.Later\",\"more\":true}");
	assert_true(js_bool(v, "continues", false));
	js_free(v);
	assert_true(peer_send(&p, INFO, sizeof INFO));
	for (int i = 0; i < 5; i++)
		loop_turn(false);
	varlink_progress(later, NULL);
	v = peer_take(&p);
	assert_true(js_bool(v, "continues", false));
	js_free(v);
	varlink_finish(later, NULL);
	assert_int_equal(ended, 0); /* not under its owner's feet */
	v = peer_take(&p);
	assert_false(js_has(v, "continues"));
	assert_int_equal(js_len(js_obj(v, "parameters")), 0);
	js_free(v);
	assert_int_equal(ended, 1);
	v = peer_take(&p);
	assert_true(js_has(js_obj(v, "parameters"), "vendor"));
	js_free(v);
	peer_close(&p);
}

static void test_progress_needs_more(void **state)
{
	struct peer p;
	struct js *v;

	(void)state;
	peer_open(&p, path);
	assert_true(peer_send(
		&p, "{\"method\":\"org.example.Test.Later\"}", sizeof "{\"method\":\"org.example.Test.Later\"}"));
	while (!later)
		loop_turn(true);
	varlink_progress(later, NULL);
	varlink_fail(later, TEST "Oops", NULL);
	varlink_finish(later, NULL); /* too late */
	v = peer_take(&p);
	assert_string_equal(js_str(v, "error"), TEST "Oops");
	js_free(v);
	peer_expect_reply(&p, INFO);
	peer_close(&p);
}

/* 12.5 MiB through 4 MiB of output: it only works when each piece waits for the one before to be sent. */
static void test_backpressure(void **state)
{
	enum { PIECES = 200 };
	static const char call[] = "{\"method\":\"org.example.Test.Stream\",\"parameters\":{\"n\":200},\"more\":true}";
	struct peer p;

	(void)state;
	peer_open(&p, path);
	assert_true(peer_send(&p, call, sizeof call));
	for (int i = 0; i < 100; i++)
		loop_turn(false);
	assert_true(stepped < 20);
	for (int64_t i = 1; i <= PIECES; i++) {
		struct js *v = peer_take(&p);

		assert_non_null(v);
		assert_true(js_int(js_obj(v, "parameters"), "n", 0) == i);
		assert_int_equal(js_bool(v, "continues", false), i < PIECES);
		js_free(v);
	}
	peer_expect_reply(&p, INFO);
	assert_int_equal(ended, 1);
	assert_int_equal(stepped, PIECES);
	peer_close(&p);
}

static void test_search_shares_the_loop(void **state)
{
	static const char call[] = "{\"method\":\"org.example.Test.Search\",\"parameters\":{\"n\":50}}";
	struct peer p, other;
	struct js *v;

	(void)state;
	peer_open(&p, path);
	peer_open(&other, path);
	assert_true(peer_send(&p, call, sizeof call));
	while (!stepped)
		loop_turn(true);
	peer_expect_reply(&other, INFO);
	assert_true(stepped < 50);
	v = peer_take(&p);
	assert_non_null(v);
	assert_int_equal(stepped, 50);
	js_free(v);
	peer_expect_reply(&p, INFO); /* the second answer was not sent */
	peer_close(&p);
	peer_close(&other);
}

static void test_caller_leaves(void **state)
{
	static const char call[] =
		"{\"method\":\"org.example.Test.Stream\",\"parameters\":{\"n\":100000},\"more\":true}";
	struct peer p, other;

	(void)state;
	peer_open(&p, path);
	assert_true(peer_send(&p, call, sizeof call));
	js_free(peer_take(&p));
	peer_close(&p);
	while (!ended)
		loop_turn(true);
	assert_int_equal(lines_with("\n"), 0); /* he saw enough: nothing to report */
	peer_open(&other, path);
	peer_expect_reply(&other, "{\"method\":\"org.example.Test.Later\",\"more\":true}");
	peer_close(&other);
	while (ended < 2)
		loop_turn(true);
}

static void test_closed_service_ends_calls(void **state)
{
	struct peer p;

	peer_open(&p, path);
	peer_expect_reply(&p, "{\"method\":\"org.example.Test.Later\",\"more\":true}");
	varlink_close(service);
	service = NULL;
	assert_int_equal(ended, 1);
	assert_null(peer_take(&p));
	peer_close(&p);
	(void)state;
}

/* A caller that asks on and on and never reads is held back instead of filling memory, and loses nothing. */
static void test_pipelining_without_reading(void **state)
{
	enum { CALLS = 8000 }; /* more answers than the output may ever hold */
	static const char call[] = "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
				   "\"interface\":\"org.varlink.service\"}}";
	struct peer p;
	unsigned sent = 0;

	(void)state;
	peer_open(&p, path);
	while (sent < CALLS && send(p.fd, call, sizeof call, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof call) {
		sent++;
		loop_turn(false);
	}
	assert_true(sent > 100);
	for (unsigned i = 0; i < sent - 1; i++) { /* the last may have been cut by the full socket */
		struct js *v = peer_take(&p);

		assert_non_null(v);
		js_free(v);
	}
	peer_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_ROW(test_info),
		TEST_ROW(test_descriptions),
		TEST_ROW(test_standard_errors),
		TEST_ROW(test_parameters),
		TEST_ROW(test_malformed),
		TEST_ROW(test_nested),
		TEST_ROW(test_huge),
		TEST_ROW(test_pieces_and_pipelines),
		TEST_ROW(test_oneway),
		TEST_ROW(test_ordered),
		TEST_ROW(test_progress_needs_more),
		TEST_ROW(test_backpressure),
		TEST_ROW(test_search_shares_the_loop),
		TEST_ROW(test_caller_leaves),
		TEST_ROW(test_closed_service_ends_calls),
		TEST_ROW(test_pipelining_without_reading),
	};

	alarm(60); /* a reply that never comes is a failure, not a wait */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
