/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static struct js *parse(const char *text)
{
	struct err err;
	struct js *v = js_parse(text, strlen(text), &err);

	assert_non_null(v);
	return v;
}

static void assert_dump(const struct js *v, const char *expected)
{
	char *s = js_dump(v);

	assert_string_equal(s, expected);
	free(s);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"null",
		"1",
		"\"x\"",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"{} x",
		"{}{}",
		"{a:1}",
		"{'a':1}",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\xff\"}",
		"[\"\\ud800\"]",
		"[\"\\u0000\"]",
		"{\"\\u0000\":1}",
		"[99999999999999999999]",
		"[1e999]",
		"[NaN]",
		"[\"a\nb\"]",
		"[01]",
		"]]]]",
		"\xef\xbb\xbf{}",
		"// c\n{}",
		"{\"a\":{\"b\":1,\"b\":1}}",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err_clear(&err);
		assert_null(js_parse(bad[i], strlen(bad[i]), &err));
		assert_int_equal(err.kind, ERR_TEMP);
		assert_string_equal(err.type, "json");
		assert_true(err.detail[0]);
	}
	assert_null(js_parse("{}\0", 3, &err));
	assert_null(js_parse("{\"a\0\":1}", 8, &err));
	assert_null(js_parse(NULL, 0, &err));
	assert_null(js_parse("[", 1, NULL));
}

static struct js *parse_nested(size_t depth, struct err *err)
{
	char *text = mem_array(2 * depth + 1, 1);
	struct js *v;

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	v = js_parse(text, 2 * depth, err);
	free(text);
	return v;
}

static void test_depth(void **state)
{
	struct err err;
	struct js *v = parse_nested(64, &err);

	(void)state;
	assert_non_null(v);
	js_free(v);
	assert_null(parse_nested(65, &err));
	assert_non_null(strstr(err.detail, "64"));
	assert_null(parse_nested(100000, &err));
	/* brackets inside strings and beside each other are not depth */
	v = parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\",[],[],{}]");
	js_free(v);
	v = parse("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		  "[],[],[],"
		  "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],["
		  "],[],[]]");
	js_free(v);
}

static void test_exactly_len_bytes(void **state)
{
	struct err err;
	struct js *v = js_parse("{\"a\":1}garbage", 7, &err);

	(void)state;
	assert_non_null(v);
	assert_int_equal(js_int(v, "a", 0), 1);
	js_free(v);
}

static void test_reading(void **state)
{
	struct js *v = parse("{\"s\":\"text\",\"n\":-5,\"r\":1.5,\"b\":true,\"f\":false,\"z\":null,\"o\":{\"k\":\"v\"},"
			     "\"a\":[\"x\",1,null],\"ns\":\"12\"}");
	struct js *a = js_arr(v, "a");

	(void)state;
	assert_true(js_is_object(v));
	assert_false(js_is_array(v));
	assert_string_equal(js_str(v, "s"), "text");
	assert_int_equal(js_int(v, "n", 9), -5);
	assert_true(js_bool(v, "b", false));
	assert_false(js_bool(v, "f", true));
	assert_string_equal(js_str(js_obj(v, "o"), "k"), "v");
	assert_int_equal(js_len(v), 9);
	assert_int_equal(js_len(a), 3);
	assert_string_equal(js_str_at(a, 0), "x");
	assert_null(js_str_at(a, 1));
	assert_null(js_str_at(a, 2));
	assert_null(js_at(a, 3));
	assert_true(js_is_string(js_at(a, 0)));
	assert_string_equal(js_text(js_at(a, 0)), "x");
	assert_null(js_text(js_at(a, 1)));
	js_free(v);
}

static void test_other_types_are_not_there(void **state)
{
	static const char *const keys[] = { "s", "n", "r", "b", "z", "o", "a", "missing" };
	struct js *v = parse("{\"s\":\"7\",\"n\":7,\"r\":7.0,\"b\":true,\"z\":null,\"o\":{},\"a\":[]}");

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const char *k = keys[i];

		assert_int_equal(js_str(v, k) != NULL, *k == 's');
		assert_int_equal(js_int(v, k, -1), *k == 'n' ? 7 : -1);
		assert_int_equal(js_bool(v, k, false), *k == 'b');
		assert_int_equal(js_obj(v, k) != NULL, *k == 'o');
		assert_int_equal(js_arr(v, k) != NULL, *k == 'a');
		assert_int_equal(js_has(v, k), *k != 'm');
		assert_int_equal(js_get(v, k) != NULL, *k != 'm' && *k != 'z');
	}
	js_free(v);
}

static void test_null_is_fine(void **state)
{
	(void)state;
	assert_false(js_is_object(NULL));
	assert_false(js_is_array(NULL));
	assert_false(js_is_string(NULL));
	assert_false(js_has(NULL, "k"));
	assert_null(js_get(NULL, "k"));
	assert_null(js_str(NULL, "k"));
	assert_int_equal(js_int(NULL, "k", 3), 3);
	assert_true(js_bool(NULL, "k", true));
	assert_null(js_obj(NULL, "k"));
	assert_null(js_arr(NULL, "k"));
	assert_int_equal(js_len(NULL), 0);
	assert_null(js_at(NULL, 0));
	assert_null(js_str_at(NULL, 0));
	assert_null(js_text(NULL));
	assert_null(js_first(NULL));
	js_free(NULL);
}

static void test_walk(void **state)
{
	struct js *v = parse("{\"b\":1,\"a\":\"two\",\"c\":null}"), *empty = parse("[]");
	char keys[8] = "";

	(void)state;
	for (void *i = js_first(v); i; i = js_next(v, i)) {
		strcat(keys, js_key(i));
		assert_non_null(js_value(i));
	}
	assert_string_equal(keys, "bac");
	assert_null(js_first(empty));
	js_free(v);
	js_free(empty);
}

static void test_building(void **state)
{
	struct js *o = js_object(), *a = js_array();

	(void)state;
	js_put_str(o, "z", "last letter first");
	js_put_str(o, "left out", NULL);
	js_put_int(o, "n", INT64_MIN);
	js_put_real(o, "r", 0.1);
	js_put_real(o, "nan", NAN);
	js_put_bool(o, "b", true);
	js_put_null(o, "nil");
	js_put_time(o, "t", 1795365828);
	js_put_time(o, "t0", 0);
	js_add_str(a, "x");
	js_add(a, js_object());
	js_put(o, "a", a);
	assert_dump(o, "{\"z\":\"last letter first\",\"n\":-9223372036854775808,\"r\":0.1,\"nan\":null,\"b\":true,"
		       "\"nil\":null,\"t\":\"2026-11-22T16:43:48Z\",\"a\":[\"x\",{}]}");
	assert_float_equal(js_real(o, "r", 7), 0.1, 1e-9);
	assert_float_equal(js_real(o, "n", 7), (double)INT64_MIN, 1);
	assert_float_equal(js_real(o, "z", 7), 7, 0);
	assert_float_equal(js_real(NULL, "r", 7), 7, 0);
	js_free(o);
}

static void test_bad_utf8_is_escaped_first(void **state)
{
	struct js *o = js_object();
	char worst[401];

	(void)state;
	js_put_str(o, "s",
		   "a\xff"
		   "b\n");
	js_put_str(o, "k\xc3", "v");
	js_put_str(o, "quote", "\"\\");
	assert_dump(o, "{\"s\":\"a\\\\xffb\\\\x0a\",\"k\\\\xc3\":\"v\",\"quote\":\"\\\"\\\\\"}");
	js_free(o);
	memset(worst, 0xfe, 400);
	worst[400] = '\0';
	o = js_string(worst);
	assert_int_equal(strlen(js_text(o)), 1600);
	js_free(o);
}

static void test_references(void **state)
{
	struct js *inner = js_string("kept"), *o = js_object();

	(void)state;
	js_put(o, "k", js_ref(inner));
	js_free(o);
	assert_string_equal(js_text(inner), "kept");
	assert_dump(inner, "\"kept\"");
	js_free(inner);
}

static void test_err_round_trip(void **state)
{
	struct err err, back;
	struct js *o;

	(void)state;
	err_set(&err, ERR_LIMIT, "rateLimited", "too many");
	strcpy(err.during, "create order");
	err.http_status = 429;
	err.not_before = 1795365828;
	err.nsub = 2;
	strcpy(err.sub[0].identifier, "a.example");
	strcpy(err.sub[0].type, "caa");
	strcpy(err.sub[0].detail, "forbidden");
	strcpy(err.sub[1].identifier, "b.example");
	o = js_from_err(&err);
	assert_dump(o,
		    "{\"kind\":\"limit\",\"type\":\"rateLimited\",\"detail\":\"too many\",\"during\":\"create order\","
		    "\"status\":429,\"not_before\":\"2026-11-22T16:43:48Z\",\"subproblems\":[{\"identifier\":"
		    "\"a.example\",\"type\":\"caa\",\"detail\":\"forbidden\"},{\"identifier\":\"b.example\"}]}");
	js_to_err(o, &back);
	assert_memory_equal(&back, &err, sizeof err);
	js_free(o);
}

static void test_err_from_hostile_json(void **state)
{
	struct js *o =
		parse("{\"kind\":7,\"type\":[],\"detail\":\"a\\nb\",\"status\":99999999999,\"not_before\":\"soon\","
		      "\"subproblems\":[1,null,{\"identifier\":5},{},{}]}");
	struct err err;

	(void)state;
	js_to_err(o, &err);
	assert_int_equal(err.kind, ERR_NONE);
	assert_string_equal(err.type, "");
	assert_string_equal(err.detail, "a\\x0ab");
	assert_int_equal(err.http_status, 0);
	assert_int_equal(err.not_before, 0);
	assert_int_equal(err.nsub, ERR_SUBS);
	js_free(o);
	js_to_err(NULL, &err);
	assert_int_equal(err.kind, ERR_NONE);
	assert_int_equal(err.nsub, 0);
	err.nsub = 1000;
	o = js_from_err(&err);
	assert_int_equal(js_len(js_arr(o, "subproblems")), ERR_SUBS);
	js_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_exactly_len_bytes),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_other_types_are_not_there),
		cmocka_unit_test(test_null_is_fine),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_building),
		cmocka_unit_test(test_bad_utf8_is_escaped_first),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_err_round_trip),
		cmocka_unit_test(test_err_from_hostile_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
