/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/name.h"

enum { LABEL = 63 };

static void check_good(const char *text, const char *want)
{
	struct err err = {0};
	char out[NAME_ROOM];

	if (!name_normalise(text, out, &err))
		fail_msg("refused: %s", err.detail);
	assert_string_equal(out, want);
	assert_true(name_normalise(out, out, &err)); /* its own result, in place */
	assert_string_equal(out, want);
}

static void check_bad(const char *text, const char *why)
{
	struct err err = {0};
	char out[NAME_ROOM];

	if (name_normalise(text, out, &err))
		fail_msg("\"%s\" was accepted as \"%s\"", text, out);
	assert_int_equal(err.kind, ERR_INPUT);
	if (!strstr(err.detail, why))
		fail_msg("\"%s\" does not say \"%s\"", err.detail, why);
	assert_false(name_normalise(text, out, NULL));
}

static void normalises(void **state)
{
	(void)state;
	check_good("example.org", "example.org");
	check_good("WWW.Example.ORG.", "www.example.org");
	check_good("*.Example.org", "*.example.org");
	check_good("b\xc3\xbc"
		   "cher.example",
		"xn--bcher-kva.example");
	check_good("B\xc3\x9c"
		   "CHER.example",
		"xn--bcher-kva.example");
	check_good("*.b\xc3\xbc"
		   "cher.example",
		"*.xn--bcher-kva.example");
	check_good("XN--BCHER-KVA.example", "xn--bcher-kva.example");
	check_good("fa\xc3\x9f.de", "xn--fa-hia.de"); /* sharp s is a letter of its own since IDNA 2008 */
	check_good("a\xe3\x80\x82"
		   "b.example",
		"a.b.example"); /* ideographic full stop */
	check_good("3com.example", "3com.example");
	check_good("1.2.3.4.example", "1.2.3.4.example");
	check_good("a--b.example", "a--b.example");
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "empty label"},
		{".", "empty label"},
		{"..", "empty label"},
		{"a..example", "empty label"},
		{".example.org", "empty label"},
		{"example.org..", "empty label"},
		{"*.", "empty label"},
		{"localhost", "single label"},
		{"*.com", "single label"},
		{"*", "whole first label"},
		{"*.*.example.org", "whole first label"},
		{"www.*.example.org", "whole first label"},
		{"w*.example.org", "whole first label"},
		{"*www.example.org", "whole first label"},
		{"_acme.example.org", "underscore"},
		{"-a.example.org", "hyphen"},
		{"a-.example.org", "hyphen"},
		{"ab--c.example.org", "reserved form"},
		{"a b.example.org", "not a letter"},
		{"a/b.example.org", "not a letter"},
		{"a\nb.example.org", "not a letter"},
		{"$(id).example.org", "not a letter"},
		{"192.0.2.1", "IP address"},
		{"*.192.0.2.1", "IP address"},
		{"::1", "IP address"},
		{"[2001:db8::1]", "IP address"},
		{"example.org:443", "IP address"},
		{"\xef\xbc\x91.2.3.4", "IP address"}, /* a full-width 1 */
		{"example.1", "ends in a number"},
		{"xn--a.example", "internationalised"},
		{"xn--.example", "internationalised"},
		{"xn--ls8h.example", "internationalised"},	   /* an emoji, as A-label */
		{"\xf0\x9f\x92\xa9.example", "internationalised"}, /* the same */
		{"a\xe2\x80\xae.example", "internationalised"},	   /* right-to-left override */
		{"\xff.example", "internationalised"},		   /* not UTF-8 */
		{"\xc3.example", "internationalised"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_bad(rows[i].text, rows[i].why);
}

/* `labels` of 63 octets, then one of `last`, behind `prefix`. */
static const char *long_name(const char *prefix, int labels, int last)
{
	static char name[2048];
	char *s = stpcpy(name, prefix);

	for (int i = 0; i <= labels; i++) {
		int len = i < labels ? LABEL : last;

		memset(s, 'a', (size_t)len);
		s += len;
		*s++ = i < labels ? '.' : '\0';
	}
	return name;
}

static void lengths(void **state)
{
	char want[NAME_ROOM];

	(void)state;
	strcpy(want, long_name("", 3, 61)); /* 253 */
	assert_int_equal(strlen(want), 253);
	check_good(want, want);
	check_bad(long_name("", 3, 62), "253");
	strcpy(want, long_name("*.", 3, 59));
	check_good(want, want);
	check_bad(long_name("*.", 3, 60), "253");
	check_bad(long_name("", 1, 64), "63 octets");
	check_bad(long_name("", 30, 10), "253");
	check_bad("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
		  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.example",
		"internationalised");
}

static void names_of_the_dns_may_be_more(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"Example.ORG.", "example.org"},
		{"_acme-challenge.example.org", "_acme-challenge.example.org"},
		{"_x.b\xc3\xbc"
		 "cher.example",
			"_x.xn--bcher-kva.example"},
		{"lan", "lan"},
		{"2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa"},
		{"*.example.org", NULL},
		{"a..b", NULL},
		{"", NULL},
		{".", NULL},
		{"-a.b", NULL},
		{"a b", NULL},
		{"192.0.2.1", NULL},
		{"2001:db8::1", NULL},
		{"a/b", NULL},
	};
	struct err err = {0};
	char out[NAME_ROOM];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (name_normalise_dns(rows[i].text, out, &err) != (rows[i].want != NULL))
			fail_msg("%s: %s", rows[i].text, err.detail);
		if (rows[i].want)
			assert_string_equal(out, rows[i].want);
		else
			assert_int_equal(err.kind, ERR_INPUT);
	}
	assert_false(name_normalise_dns(long_name("", 1, 64), out, &err));
	assert_false(name_normalise_dns(long_name("", 30, 10), out, &err));
}

static void covers(void **state)
{
	(void)state;
	assert_true(name_covers("example.org", "example.org"));
	assert_true(name_covers("Example.org", "example.ORG"));
	assert_true(name_covers("*.example.org", "www.example.org"));
	assert_true(name_covers("*.example.org", "*.example.org"));
	assert_false(name_covers("*.example.org", "example.org"));
	assert_false(name_covers("*.example.org", "a.b.example.org"));
	assert_false(name_covers("*.example.org", ".example.org"));
	assert_false(name_covers("*.example.org", "*.a.example.org"));
	assert_false(name_covers("*.b.example.org", "*.example.org"));
	assert_false(name_covers("*.org", "*.org.evil"));
	assert_false(name_covers("example.org", "www.example.org"));
	assert_false(name_covers("", "example.org"));
	assert_false(name_covers("*.example.org", ""));
	assert_true(name_is_wildcard("*.example.org"));
	assert_false(name_is_wildcard("*"));
	assert_false(name_is_wildcard("a.*.example.org"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalises),
		cmocka_unit_test(refuses),
		cmocka_unit_test(lengths),
		cmocka_unit_test(names_of_the_dns_may_be_more),
		cmocka_unit_test(covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
