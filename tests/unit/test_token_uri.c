/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/token_uri.h"

static void good_ones_pass(void **state)
{
	static const char *const good[] = {
		"pkcs11:token=web;object=www", "pkcs11:object=www;token=web;type=private", "pkcs11:serial=0123;id=%01%00%ff",
		"pkcs11:token=The%20Token;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;serial=a1;object=www.example.org;id=%01",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(token_uri_check(good[i], &err));
}

static void others_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *uri, *why;
	} rows[] = {
		{ "", "begins with" }, { "PKCS11:token=a;object=b", "begins with" }, { "file:/etc/key.pem", "begins with" },
		{ "pkcs11:", "attribute=value" }, { "pkcs11:token", "attribute=value" }, { "pkcs11:token=a;;object=b", "attribute=value" },
		{ "pkcs11:token=a", "which key" }, { "pkcs11:object=b", "which token" }, { "pkcs11:token=;object=b", "empty" },
		{ "pkcs11:token=a;token=b;object=c", "twice" }, { "pkcs11:token=a;object=b;slot-id=3", "\"slot-id\"" },
		{ "pkcs11:token=a;object=b;type=public", "type is private" }, { "pkcs11:token=a;object=%zz", "% escape" },
		{ "pkcs11:token=a;object=%4", "% escape" }, { "pkcs11:token=a;object=b%00c", "NUL" }, { "pkcs11:token=a b;object=c", "%XX" },
		{ "pkcs11:token=a;object=\"b", "%XX" }, { "pkcs11:token=a;object=b\nc", "%XX" }, { "pkcs11:token=\xc3\xa4;object=b", "%XX" },
		{ "pkcs11:token=a;object=b?pin-value=1234", "pkcs11_pin" }, { "pkcs11:token=a;object=b;pin-value=1234", "pkcs11_pin" },
		{ "pkcs11:token=a;object=b?pin-source=file%3apin", "pkcs11_pin" }, { "pkcs11:token=a;object=b?module-path=%2fx.so", "pkcs11_module" },
		{ "pkcs11:token=a;object=b?", "unknown part" }, { "pkcs11:token=a;object=b?x=1&pin-value=1234", "unknown part \"x\"" },
	};
	struct err err;
	char *large;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(token_uri_check(rows[i].uri, &err));
		assert_int_equal(err.kind, ERR_INPUT);
		if (!strstr(err.detail, rows[i].why))
			fail_msg("%s: %s", rows[i].uri, err.detail);
		assert_null(strstr(err.detail, "1234")); /* a PIN is not repeated */
	}
	large = mem_printf("pkcs11:token=a;object=%0*d", TOKEN_VALUE, 1);
	assert_false(token_uri_check(large, &err));
	free(large);
	large = mem_printf("pkcs11:token=a;object=b;model=%0*d", TOKEN_URI_MAX, 1);
	assert_false(token_uri_check(large, &err));
	free(large);
}

static void values_are_decoded(void **state)
{
	char out[TOKEN_VALUE];

	(void)state;
	assert_true(token_uri_find("pkcs11:token=The%20T%6fken;object=x", "token", out));
	assert_string_equal(out, "The Token");
	assert_false(token_uri_find("pkcs11:token=object%3d;serial=1", "object", out));
}

/* Where it is not certain that they are two, a PIN that one refused is not told to the other. */
static void tokens_differ_when_something_differs(void **state)
{
	(void)state;
	assert_true(token_uri_may_share("pkcs11:token=web;object=a", "pkcs11:object=b;token=web"));
	assert_true(token_uri_may_share("pkcs11:token=web;object=a", "pkcs11:serial=12;object=a"));
	assert_true(token_uri_may_share("pkcs11:token=web;object=a", "pkcs11:token=w%65b;object=a"));
	assert_false(token_uri_may_share("pkcs11:token=web;object=a", "pkcs11:token=mail;object=a"));
	assert_false(token_uri_may_share("pkcs11:token=web;serial=1;object=a", "pkcs11:token=web;serial=2;object=a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_pass),
		cmocka_unit_test(others_are_refused_with_a_reason),
		cmocka_unit_test(values_are_decoded),
		cmocka_unit_test(tokens_differ_when_something_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
