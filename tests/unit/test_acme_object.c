/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ca/acme_object.h"

static const struct acme_origin origin = {"ca.example", 443};

#define CA "https://ca.example"

/* ---- a matrix over every member: missing, null and each wrong type ---- */

union parsed {
	struct acme_directory directory;
	struct acme_account_object account;
	struct issuer_order order;
	struct issuer_authz authz;
};

static bool parse_directory(struct arena *a, const struct js *v, union parsed *out, struct err *err)
{
	(void)a;
	return acme_directory_parse(v, &origin, &out->directory, err);
}

static bool parse_account(struct arena *a, const struct js *v, union parsed *out, struct err *err)
{
	(void)a;
	return acme_account_parse(v, &out->account, err);
}

static bool parse_order(struct arena *a, const struct js *v, union parsed *out, struct err *err)
{
	return acme_order_parse(a, v, &origin, &out->order, err);
}

static bool parse_authz(struct arena *a, const struct js *v, union parsed *out, struct err *err)
{
	return acme_authz_parse(a, v, &origin, &out->authz, err);
}

struct sample {
	const char *text;
	bool (*parse)(struct arena *a, const struct js *v, union parsed *out, struct err *err);
	const char *const *optional; /* paths that may be missing or null */
};

static const struct sample samples[] = {
	{"{\"newNonce\":\"" CA "/n\",\"newAccount\":\"" CA "/a\",\"newOrder\":\"" CA "/o\",\"revokeCert\":\"" CA "/r\",\"keyChange\":\"" CA "/k\","
	 "\"renewalInfo\":\"" CA "/i\",\"meta\":{\"termsOfService\":\"t\",\"externalAccountRequired\":true,\"profiles\":{\"p\":\"x\"}}}",
		parse_directory,
		(const char *const[]){"revokeCert", "keyChange", "renewalInfo", "meta", "meta.termsOfService", "meta.externalAccountRequired",
			"meta.profiles", "meta.profiles.p", NULL}},
	{"{\"status\":\"valid\"}", parse_account, (const char *const[]){NULL}},
	{"{\"status\":\"ready\",\"expires\":\"2030-01-01T00:00:00Z\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}],"
	 "\"authorizations\":[\"" CA "/z\"],\"finalize\":\"" CA "/f\",\"certificate\":\"" CA "/c\",\"error\":{\"type\":\"t\"}}",
		parse_order, (const char *const[]){"expires", "certificate", "error", "error.type", NULL}},
	{"{\"status\":\"pending\",\"expires\":\"2030-01-01T00:00:00Z\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},\"wildcard\":true,"
	 "\"challenges\":[{\"type\":\"http-01\",\"url\":\"" CA "/h\",\"status\":\"pending\",\"token\":\"tok\",\"error\":{\"type\":\"t\"}}]}",
		parse_authz, (const char *const[]){"expires", "wildcard", "challenges.0.error", "challenges.0.error.type", NULL}},
};

/* What is free-form inside: a wrong type in there is nobody's business. */
static const char *const loose[] = {"meta.profiles.p", "error.type", "challenges.0.error.type"};

static bool is_listed(const char *path, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n && list[i]; i++)
		if (strcmp(path, list[i]) == 0)
			return true;
	return false;
}

/* A copy of v in which the member at path is replaced by (or, without it, loses) `by`. Caller owns. */
static struct js *mutate(const struct js *v, const char *path, struct js *by)
{
	const char *dot = strchr(path, '.');
	size_t len = dot ? (size_t)(dot - path) : strlen(path);
	struct js *copy = js_is_array(v) ? js_array() : js_object();

	for (size_t i = 0; js_is_array(v) && i < js_len(v); i++) {
		if (i != strtoul(path, NULL, 10))
			js_add(copy, js_ref(js_at(v, i)));
		else if (dot)
			js_add(copy, mutate(js_at(v, i), dot + 1, by));
		else if (by)
			js_add(copy, js_ref(by));
	}
	for (void *i = js_is_object(v) ? js_first(v) : NULL; i; i = js_next(v, i)) {
		bool here = strlen(js_key(i)) == len && strncmp(js_key(i), path, len) == 0;

		if (!here)
			js_put(copy, js_key(i), js_ref(js_value(i)));
		else if (dot)
			js_put(copy, js_key(i), mutate(js_value(i), dot + 1, by));
		else if (by)
			js_put(copy, js_key(i), js_ref(by));
	}
	return copy;
}

enum type { NUL, TEXT, NUMBER, REAL, BOOL, LIST, OBJECT, TYPES };

static struct js *value_of(enum type t)
{
	static const char *const texts[TYPES] = {"[null]", "[\"\"]", "[7]", "[1.5]", "[true]", "[[]]", "[{}]"};
	struct err err;
	struct js *list = js_parse(texts[t], strlen(texts[t]), &err);
	struct js *v = js_ref(js_at(list, 0));

	js_free(list);
	return v;
}

static enum type type_of(const struct js *v)
{
	return js_is_null(v)	 ? NUL
	       : js_is_string(v) ? TEXT
	       : js_is_int(v)	 ? NUMBER
	       : js_is_bool(v)	 ? BOOL
	       : js_is_array(v)	 ? LIST
	       : js_is_object(v) ? OBJECT
				 : REAL;
}

static unsigned tried;

static void expect(const struct sample *s, const struct js *root, const char *path, struct js *by, bool good)
{
	const char *last = strrchr(path, '.') ? strrchr(path, '.') + 1 : path;
	struct js *v = mutate(root, path, by);
	struct arena *a = arena_new();
	union parsed out;
	struct err err = {0};
	bool got;

	memset(&out, 0, sizeof out);
	got = s->parse(a, v, &out, &err);
	if (got != good)
		print_error("%s: %s\n", path, err.detail);
	assert_true(got == good);
	if (!good && strspn(last, "0123456789") != strlen(last)) /* an element has no name of its own */
		assert_non_null(strstr(err.detail, last));
	if (!good)
		assert_true(err.kind == ERR_TEMP || err.kind == ERR_DENIED);
	tried++;
	arena_free(a);
	js_free(v);
}

static void walk(const struct sample *s, const struct js *root, const struct js *at, const char *prefix)
{
	bool is_list = js_is_array(at);
	size_t n = 0;

	for (void *i = is_list ? NULL : js_first(at); i || (is_list && n < js_len(at)); i = i ? js_next(at, i) : NULL, n++) {
		struct js *value = is_list ? js_at(at, n) : js_value(i);
		char *path = is_list ? mem_printf("%s%zu", prefix, n) : mem_printf("%s%s", prefix, js_key(i));
		char *deeper = mem_printf("%s.", path);
		bool optional = is_listed(path, s->optional, SIZE_MAX);
		bool free_form = is_listed(path, loose, sizeof loose / sizeof loose[0]);

		if (!is_list) {
			struct js *null = value_of(NUL);

			expect(s, root, path, NULL, optional);
			expect(s, root, path, null, optional);
			js_free(null);
		}
		for (enum type t = TEXT; t < TYPES; t++) {
			struct js *by = value_of(t);

			if (t != type_of(value))
				expect(s, root, path, by, free_form);
			js_free(by);
		}
		if (js_is_object(value) || js_is_array(value))
			walk(s, root, value, deeper);
		free(path);
		free(deeper);
	}
}

static void every_member_missing_null_and_of_each_wrong_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
		struct err err;
		struct js *root = js_parse(samples[i].text, strlen(samples[i].text), &err);
		struct arena *a = arena_new();
		union parsed out = {0};

		assert_non_null(root);
		if (!samples[i].parse(a, root, &out, &err))
			fail_msg("%s", err.detail);
		arena_free(a);
		walk(&samples[i], root, root, "");
		js_free(root);
	}
	assert_true(tried > 200);
}

/* ---- values ---- */

static bool parse(const char *text, bool (*fn)(struct arena *, const struct js *, union parsed *, struct err *), struct err *err)
{
	struct js *v = js_parse(text, strlen(text), err);
	struct arena *a = arena_new();
	union parsed out;
	bool good;

	memset(&out, 0, sizeof out);
	assert_non_null(v);
	good = fn(a, v, &out, err);
	arena_free(a);
	js_free(v);
	return good;
}

static void orders(void **state)
{
	static const char base[] = "{\"status\":\"%s\",\"identifiers\":[{\"type\":\"%s\",\"value\":\"%s\"}],\"authorizations\":[]%s}";
	static const struct {
		const char *status, *type, *name, *more, *says; /* says NULL: good */
	} rows[] = {
		{"pending", "dns", "a.example", ",\"finalize\":\"" CA "/f\"", NULL},
		{"pending", "dns", "A.EXAMPLE", ",\"finalize\":\"" CA "/f\"", NULL},
		{"pending", "dns", "*.a.example", ",\"finalize\":\"" CA "/f\"", NULL},
		{"processing", "dns", "a.example", "", NULL},
		{"invalid", "dns", "a.example", "", NULL},
		{"ready", "dns", "a.example", "", "finalize"},
		{"valid", "dns", "a.example", ",\"finalize\":\"" CA "/f\"", "certificate"},
		{"valid", "dns", "a.example", ",\"certificate\":\"" CA "/c\"", NULL},
		{"pending", "ip", "192.0.2.1", ",\"finalize\":\"" CA "/f\"", "type"},
		{"pending", "dns", "*.*.a.example", ",\"finalize\":\"" CA "/f\"", "value"},
		{"pending", "dns", "a*.example", ",\"finalize\":\"" CA "/f\"", "value"},
		{"pending", "dns", "", ",\"finalize\":\"" CA "/f\"", "value"},
		{"pending", "dns", "*.", ",\"finalize\":\"" CA "/f\"", "value"},
		{"pending", "dns", "a/../b", ",\"finalize\":\"" CA "/f\"", "value"},
		{"pending", "dns", "a b", ",\"finalize\":\"" CA "/f\"", "value"},
		{"Valid", "dns", "a.example", ",\"certificate\":\"" CA "/c\"", "\"Valid\""},
		{"banana", "dns", "a.example", "", "\"banana\""},
		{"processing", "dns", "a.example", ",\"expires\":\"never\"", "expires"},
	};
	char text[512];
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(text, sizeof text, base, rows[i].status, rows[i].type, rows[i].name, rows[i].more);
		if (parse(text, parse_order, &err) != !rows[i].says)
			fail_msg("%s: %s", text, err.detail);
		if (rows[i].says)
			assert_non_null(strstr(err.detail, rows[i].says));
	}
	assert_false(parse("{\"status\":\"processing\",\"identifiers\":[],\"authorizations\":[]}", parse_order, &err));
	assert_non_null(strstr(err.detail, "identifiers is empty"));
	assert_false(parse("[]", parse_order, &err));
	assert_string_equal(err.detail, "order is not an object");
}

static void orders_against_the_asked_names(void **state)
{
	const char *has[] = {"a.example", "*.b.example"};
	struct issuer_order o = {.names = has, .nnames = 2};
	struct err err;

	(void)state;
	assert_true(acme_order_check(&o, (const char *[]){"*.B.example", "a.example"}, 2, &err));
	assert_false(acme_order_check(&o, (const char *[]){"a.example"}, 1, &err));
	assert_non_null(strstr(err.detail, "*.b.example"));
	assert_false(acme_order_check(&o, (const char *[]){"a.example", "*.b.example", "c.example"}, 3, &err));
	assert_non_null(strstr(err.detail, "c.example"));
	assert_int_equal(err.kind, ERR_DENIED);
	assert_string_equal(err.type, "identifiers");
}

static void tokens(void **state)
{
	static const char base[] = "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},\"challenges\":"
				   "[{\"type\":\"%s\",\"url\":\"" CA "/h\",\"status\":\"%s\"%s}]}";
	static const struct {
		const char *type, *status, *token;
		bool good;
	} rows[] = {
		{"http-01", "pending", ",\"token\":\"abc-_XYZ09\"", true},
		{"http-01", "pending", "", false},
		{"http-01", "valid", "", true},
		{"http-01", "valid", ",\"token\":null", true},
		{"http-01", "valid", ",\"token\":\"a/b\"", false},
		{"http-01", "pending", ",\"token\":\"..\"", false},
		{"dns-01", "pending", ",\"token\":\"a b\"", false},
		{"tls-alpn-01", "pending", ",\"token\":\"\"", false},
		{"unheard-of-01", "pending", ",\"token\":\"a/b\"", true}, /* passed over */
		{"dns-persist-01", "pending", "", true},
		{"http-01", "fluffy", ",\"token\":\"a\"", false},
	};
	char text[512];
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(text, sizeof text, base, rows[i].type, rows[i].status, rows[i].token);
		if (parse(text, parse_authz, &err) != rows[i].good)
			fail_msg("%s: %s", text, err.detail);
	}
}

static void accounts(void **state)
{
	struct acme_account_object account;
	struct err err;
	struct js *v;

	(void)state;
	assert_true(parse("{\"status\":\"valid\"}", parse_account, &err));
	assert_false(parse("{\"status\":\"banana\"}", parse_account, &err));
	v = js_parse("{\"status\":\"revoked\"}", 20, &err);
	assert_true(acme_account_parse(v, &account, &err));
	assert_false(account.valid);
	assert_string_equal(account.status, "revoked");
	js_free(v);
}

static void reading(void **state)
{
	struct err err;

	(void)state;
	assert_null(acme_object_read("order", "<html>", 6, &err));
	assert_int_equal(err.kind, ERR_TEMP);
	assert_string_equal(err.type, "json");
	assert_int_equal(strncmp(err.detail, "order: ", 7), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_missing_null_and_of_each_wrong_type),
		cmocka_unit_test(orders),
		cmocka_unit_test(orders_against_the_asked_names),
		cmocka_unit_test(tokens),
		cmocka_unit_test(accounts),
		cmocka_unit_test(reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
