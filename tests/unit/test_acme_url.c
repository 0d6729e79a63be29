/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ca/acme_url.h"

static void good(void **state)
{
	static const char *const urls[] = {
		"https://ca.example/x",
		"https://CA.Example/x",
		"https://ca.example:443/x",
		"https://ca.example/",
		"https://ca.example/a?b=c&d=%20",
	};
	struct acme_origin o;
	struct err err;

	(void)state;
	assert_true(acme_origin_parse(&o, "https://ca.example/directory", &err));
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
		assert_true(acme_url_check(&o, "url", urls[i], &err));
	assert_true(acme_origin_parse(&o, "https://[::1]:14000/dir", &err));
	assert_true(acme_url_check(&o, "url", "https://[::1]:14000/x", &err));
}

static void bad(void **state)
{
	static const char *const urls[] = {
		"",
		"x",
		"/x",
		"//ca.example/x",
		"http://ca.example/x",
		"http://ca.example:443/x",
		"ftp://ca.example/x",
		"file:///etc/passwd",
		"https://ca.example:444/x",
		"https://ca.example.evil.example/x",
		"https://evil.example/ca.example",
		"https://ca.example@evil.example/",
		"https://user@ca.example/x",
		"https://user:pass@ca.example/x",
		"https://:@ca.example/x",
		"https://169.254.169.254/",
		"https://[::1]/",
		"https://ca.example/a b",
		"https://ca.example/a\nb",
		"https://ca.example/\r\nX: y",
		"https://ca.example/\t",
		"https://ca.example/\x7f",
		"https://ca.example/caf\xc3\xa9",
		"https://ca.example\\@evil.example/",
		"https:ca.example/x",
		"https:///x",
		"https://",
		"https://ca.example:/x",
		"https://ca.example:0/x",
		"https://ca.example:65536/x",
		"https://ca.example:443x/",
		"https://ca.example#x",
		"javascript:alert(1)",
		" https://ca.example/x",
		"https://ca.example%2f@evil.example/",
		"https://2130706433/",
		"https://0x7f.1/",
	};
	struct acme_origin o;
	struct err err;
	char longest[4096] = "https://ca.example/";

	(void)state;
	assert_true(acme_origin_parse(&o, "https://ca.example/directory", &err));
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		if (acme_url_check(&o, "the field", urls[i], &err))
			fail_msg("%s", urls[i]);
		assert_int_equal(err.kind, ERR_DENIED);
		assert_string_equal(err.type, "policy");
		assert_int_equal(strncmp(err.detail, "the field ", 10), 0);
	}
	memset(longest + 19, 'a', ACME_URL_MAX - 19);
	assert_true(acme_url_check(&o, "url", longest, &err));
	longest[ACME_URL_MAX] = 'a';
	assert_false(acme_url_check(&o, "url", longest, &err));
	assert_false(acme_origin_parse(&o, "http://ca.example/", &err));
	assert_int_equal(err.kind, ERR_INPUT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
