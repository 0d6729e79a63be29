/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_b64url_vectors(void **state)
{
	/* RFC 4648 section 10, without padding, and the two characters of its own */
	static const char *const rows[][2] = {
		{ "", "" },	      { "f", "Zg" },	      { "fo", "Zm8" },		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "-_-_" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *s = text_b64url_encode(rows[i][0], strlen(rows[i][0]));
		unsigned char *p;
		size_t len;

		assert_string_equal(s, rows[i][1]);
		assert_true(text_b64url_decode(s, strlen(s), &p, &len));
		assert_int_equal(len, strlen(rows[i][0]));
		assert_memory_equal(p, rows[i][0], len);
		free(s);
		free(p);
	}
}

static void test_b64url_every_byte_round_trips(void **state)
{
	unsigned char bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 167);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		char *s = text_b64url_encode(bytes, n);
		unsigned char *p;
		size_t len;

		assert_true(text_b64url_decode(s, strlen(s), &p, &len));
		assert_int_equal(len, n);
		assert_memory_equal(p, bytes, n);
		free(s);
		free(p);
	}
}

static void test_b64url_strict(void **state)
{
	static const char *const bad[] = { "Z",	 "Zg==", "Zg=",	 "Zm9v Yg", " Zg",	    "Zg\n", "Zm9vY",
					   "Zh", "Zm9",	 "+/+/", "Zm.v",    "Zm9v\xc3\xa9", "====", "-_-" };
	unsigned char *p;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_b64url_decode(bad[i], strlen(bad[i]), &p, &len));
	assert_false(text_b64url_decode("Zm\0v", 4, &p, &len));
}

static void test_b64_lenient(void **state)
{
	static const char *const good[] = { "Zm9vYg", "Zm9vYg==", " Zm9vYg==\r\n", "\tZm9vYh  " };
	static const char *const bad[] = { "Zm9vYg=", "Zm9vYg===", "Zm9v Yg==", "Zm9v=", "Zm9v==",
					   "=",	      "a",	   "Zg=a",	"Z*==" };
	unsigned char *p;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(text_b64_decode_lenient(good[i], strlen(good[i]), &p, &len));
		assert_int_equal(len, 4);
		assert_memory_equal(p, "foob", 4);
		free(p);
	}
	assert_true(text_b64_decode_lenient("+/-_", 4, &p, &len));
	assert_memory_equal(p, "\xfb\xff\xbf", 3);
	free(p);
	assert_true(text_b64_decode_lenient("  ", 2, &p, &len));
	assert_int_equal(len, 0);
	free(p);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_b64_decode_lenient(bad[i], strlen(bad[i]), &p, &len));
}

static void test_hex(void **state)
{
	char *s = text_hex_encode("\x00\x0f\xf0\xff", 4);

	(void)state;
	assert_string_equal(s, "000ff0ff");
	free(s);
	s = text_hex_encode("", 0);
	assert_string_equal(s, "");
	free(s);
}

static void test_time_format(void **state)
{
	static const struct {
		int64_t t;
		const char *s;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 1795365828, "2026-11-22T16:43:48Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ -62167219200, "0000-01-01T00:00:00Z" },
		{ -61000000000, "0036-12-26T11:33:20Z" },
		{ INT64_MIN, "0000-01-01T00:00:00Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
		{ INT64_MAX, "9999-12-31T23:59:59Z" },
	};
	char out[TEXT_TIME];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_string_equal(text_time_format(rows[i].t, out), rows[i].s);
		assert_true(text_time_parse(out, &back));
		if (rows[i].t != INT64_MIN && rows[i].t != INT64_MAX)
			assert_int_equal(back, rows[i].t);
	}
}

static void test_time_parse(void **state)
{
	static const struct {
		const char *s;
		int64_t t;
	} good[] = {
		{ "1985-04-12T23:20:50.52Z", 482196050 },
		{ "1996-12-19T16:39:57-08:00", 851042397 },
		{ "1990-12-31T23:59:60Z", 662688000 },
		{ "1937-01-01T12:00:27.87+00:20", -1041337173 },
		{ "2026-11-22t16:43:48z", 1795365828 },
		{ "2026-11-22T16:43:48.123456789012345678901234567890Z", 1795365828 },
		{ "2026-11-22T16:43:48-00:00", 1795365828 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
	};
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-22",
		"2026-11-22T16:43:48",
		"2026-11-22 16:43:48Z",
		"2026-11-22T16:43Z",
		"2026-02-30T00:00:00Z",
		"2023-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:61Z",
		"2026-11-22T16:43:48.Z",
		"2026-11-22T16:43:48Zx",
		"2026-11-22T16:43:48+2:00",
		"2026-11-22T16:43:48+24:00",
		"2026-11-22T16:43:48+00:60",
		"2026-11-22T16:43:48+0000",
		"+026-11-22T16:43:48Z",
		"2026-11-22T-6:43:48Z",
		" 2026-11-22T16:43:48Z",
		"2026-11- 2T16:43:48Z",
		"12026-11-22T16:43:48Z",
		"2026-11-22T16:43:48+",
	};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(text_time_parse(good[i].s, &t));
		assert_int_equal(t, good[i].t);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_time_parse(bad[i], &t));
}

static void test_time_parse_http(void **state)
{
	static const struct {
		const char *s;
		int64_t t;
	} good[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },	  { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
		{ "Sun Nov  6 08:49:37 1994", 784111777 },	  { "Sun Nov 16 08:49:37 1994", 784975777 },
		{ "Sunday, 22-Nov-26 16:43:48 GMT", 1795365828 }, { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
	};
	static const char *const bad[] = {
		"",
		"120",
		"Sun",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 31 Feb 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMTx",
		"Sun, 06 Nov 1994 25:49:37 GMT",
		"Xxx, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Foo 1994 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Sun Nov    08:49:37 1994",
		"Sun Nov  0 08:49:37 1994",
		"2026-11-22T16:43:48Z",
	};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(text_time_parse_http(good[i].s, &t));
		assert_int_equal(t, good[i].t);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_time_parse_http(bad[i], &t));
}

static void test_durations(void **state)
{
	static const struct {
		const char *s;
		int64_t n;
	} good[] = {
		{ "90s", 90 },	   { "15m", 900 }, { "12h", 43200 },   { "30d", 2592000 },
		{ "2w", 1209600 }, { "0s", 0 },	   { "007d", 604800 }, { "9223372036854775807s", INT64_MAX },
	};
	static const char *const bad[] = { "",
					   "s",
					   "90",
					   "-1s",
					   "+1s",
					   " 1s",
					   "1 s",
					   "1s ",
					   "1S",
					   "1.5h",
					   "1h30m",
					   "1y",
					   "0x1s",
					   "9223372036854775808s",
					   "9223372036854775807w",
					   "99999999999999999999999s" };
	int64_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(text_duration_parse(good[i].s, &n));
		assert_int_equal(n, good[i].n);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_duration_parse(bad[i], &n));
}

static void test_sizes(void **state)
{
	static const char *const bad[] = { "",	     "KiB",    "64kib",
					   "64 KiB", "64K",    "64KB",
					   "-1",     "1.5MiB", "9007199254740992GiB" };
	int64_t n;

	(void)state;
	assert_true(text_size_parse("64KiB", &n) && n == 65536);
	assert_true(text_size_parse("1MiB", &n) && n == 1048576);
	assert_true(text_size_parse("3GiB", &n) && n == 3221225472);
	assert_true(text_size_parse("4096", &n) && n == 4096);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_size_parse(bad[i], &n));
}

static void test_duration_format(void **state)
{
	static const struct {
		int64_t n;
		const char *s;
	} rows[] = {
		{ 0, "0s" },	      { 59, "59s" },	{ 60, "1m" },
		{ 725, "12m 5s" },    { 3600, "1h" },	{ 3605, "1h" },
		{ 273600, "3d 4h" },  { -7200, "-2h" }, { 86400 * 90, "90d" },
		{ 86399, "23h 59m" }, { -1, "-1s" },	{ INT64_MIN, "-106751991167300d 15h" },
	};
	char out[32];
	char small[4];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(text_duration_format(rows[i].n, out, sizeof out), rows[i].s);
	assert_string_equal(text_duration_format(725, small, sizeof small), "12m");
}

static void test_escape(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "plain \"text\" \\ stays", "plain \"text\" \\ stays" },
		{ "a\nb\tc\r\033\x7f", "a\\x0ab\\x09c\\x0d\\x1b\\x7f" },
		{ "Gr\xc3\xbc\xc3\x9f \xe4\xb8\xad\xf0\x9f\x98\x80",
		  "Gr\xc3\xbc\xc3\x9f \xe4\xb8\xad\xf0\x9f\x98\x80" },
		{ "\xc2\x80\xc2\x9f\xc2\xa0", "\\u{0080}\\u{009f}\xc2\xa0" },
		{ "\xe2\x80\xae\xe2\x81\xa6\xd8\x9c\xe2\x80\x8f\xe2\x80\xa8\xef\xbb\xbf",
		  "\\u{202e}\\u{2066}\\u{061c}\\u{200f}\\u{2028}\\u{feff}" },
		{ "\xff\xc0\xaf\xed\xa0\x80\xe4\xb8", "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xe4\\xb8" },
		{ "\xf4\x90\x80\x80\xf8\x80", "\\xf4\\x90\\x80\\x80\\xf8\\x80" },
	};
	char out[256];
	char again[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_string_equal(text_escape(rows[i][0], strlen(rows[i][0]), out, sizeof out), rows[i][1]);
		assert_true(text_is_utf8(out, strlen(out)));
		assert_string_equal(text_escape(out, strlen(out), again, sizeof again), out);
	}
	assert_string_equal(text_escape("a\0b", 3, out, sizeof out), "a\\x00b");
}

static void test_escape_cuts(void **state)
{
	char out[16];

	(void)state;
	memset(out, '#', sizeof out);
	text_escape("abc", 3, out, 0);
	assert_int_equal(out[0], '#');
	assert_string_equal(text_escape("a", 1, out, 2), "a");
	assert_string_equal(text_escape("abcdef", 6, out, 1), "");
	assert_string_equal(text_escape("abcdef", 6, out, 3), "..");
	assert_string_equal(text_escape("abcdef", 6, out, 4), "...");
	assert_string_equal(text_escape("abcdef", 6, out, 5), "a...");
	assert_string_equal(text_escape("abcde", 5, out, 6), "abcde");
	assert_string_equal(text_escape("abcdef", 6, out, 7), "abcdef");
	/* never half an escape or half a character */
	assert_string_equal(text_escape("ab\n\n", 4, out, 9), "ab...");
	assert_string_equal(text_escape("\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 9, out, 9), "\xe4\xb8\xad...");
}

static void test_escape_any_bytes_any_room(void **state)
{
	unsigned char bytes[64];
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t len = (size_t)round % sizeof bytes, room = (size_t)(round * 7) % 90 + 1;
		char *out = mem_array(room, 1);

		for (size_t i = 0; i < len; i++) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			bytes[i] = (unsigned char)(seed >> 56);
		}
		text_escape((char *)bytes, len, out, room);
		assert_true(strnlen(out, room) < room);
		assert_true(text_is_utf8(out, strlen(out)));
		for (const char *c = out; *c; c++)
			assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
		free(out);
	}
}

static void test_utf8(void **state)
{
	static const char *const good[] = {
		"", "a", "\xc3\xbc", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80"
	};
	static const char *const bad[] = { "\x80",
					   "\xc3",
					   "\xc3(",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xed\xbf\xbf",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xff",
					   "\xe2\x82",
					   "ok\xe2\x82 no" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(text_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_is_utf8(bad[i], strlen(bad[i])));
	assert_false(text_is_utf8("a\0b", 3));
	assert_false(text_is_utf8("\xc3\xbc", 1));
}

static void test_tokens(void **state)
{
	static const char *const bad[] = { "",	  "a/b",   "..",  "a.b",      "a b", "a=",
					   "a+b", "$(id)", "a\n", "\xc3\xbc", "a;b", "%2e" };
	char longest[258];

	(void)state;
	memset(longest, 'x', sizeof longest);
	longest[257] = '\0';
	assert_false(text_is_token(longest));
	longest[256] = '\0';
	assert_true(text_is_token(longest));
	assert_true(text_is_token("a"));
	assert_true(text_is_token("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-_oA"));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_is_token(bad[i]));
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "0", "example.org", "web-1_b", "a..b" };
	static const char *const bad[] = { "", ".", "..", ".a", "-a", "_a", "A", "a/b", "a b", "a\n", "\xc3\xbc", "*" };
	char longest[65];

	(void)state;
	memset(longest, 'x', sizeof longest);
	longest[64] = '\0';
	assert_false(text_is_name(longest));
	longest[63] = '\0';
	assert_true(text_is_name(longest));
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(text_is_name(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_is_name(bad[i]));
}

static void test_domains(void **state)
{
	static const char *const good[] = { "a", "example.org", "_acme-challenge.Example.org", "1.2.3.4", "a-b.c_d", "xn--bcher-kva.example" };
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "a.-b", "*.a", "a b", "a\n", "a/b", "\xc3\xbc.de", "a\"b", "--help" };
	char longest[255];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(text_is_domain(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_is_domain(bad[i]));
	memset(longest, 'x', sizeof longest);
	for (size_t i = 63; i < sizeof longest; i += 64)
		longest[i] = '.';
	longest[254] = '\0';
	assert_false(text_is_domain(longest)); /* 254 octets */
	longest[253] = '\0';
	assert_true(text_is_domain(longest));
	longest[64] = '\0';
	longest[63] = 'x';
	assert_false(text_is_domain(longest)); /* a label of 64 */
	longest[63] = '\0';
	assert_true(text_is_domain(longest));
	assert_true(text_is_below("a.example.org", "example.org") && text_is_below("example.org", "Example.ORG"));
	assert_false(text_is_below("aexample.org", "example.org") || text_is_below("org", "example.org") || text_is_below("example.org", "a.example.org"));
}

static void test_nearest(void **state)
{
	static const char *const options[] = { "names", "install", "reload", "key_type", "webroot", "listen", "mode" };
	static const struct {
		const char *s, *near;
	} rows[] = {
		{ "name", "names" },	   { "names", "names" }, { "instal", "install" }, { "isntall", "install" },
		{ "keytype", "key_type" }, { "mdoe", "mode" },	 { "webrot", "webroot" }, { "reolads", "reload" },
		{ "zebra", NULL },	   { "", NULL },	 { "x", NULL },		  { "moooode", NULL },
	};
	char longest[5000];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *near = text_nearest(rows[i].s, options, COUNT(options));

		if (rows[i].near)
			assert_string_equal(near, rows[i].near);
		else
			assert_null(near);
	}
	memset(longest, 'n', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_null(text_nearest(longest, options, COUNT(options)));
	assert_null(text_nearest("names", (const char *const[]){ longest }, 1));
	assert_null(text_nearest("names", options, 0));
	longest[63] = '\0';
	assert_ptr_equal(text_nearest(longest, (const char *const[]){ longest }, 1), longest);
}

static void test_hash(void **state)
{
	(void)state;
	assert_true(text_hash("") == 0xcbf29ce484222325);
	assert_true(text_hash("a") == 0xaf63dc4c8601ec8c);
	assert_true(text_hash("foobar") == 0x85944171f73967e8);
}

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *s;
		bool match;
	} rows[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "anything", true },
		{ "?", "", false },
		{ "?", "a", true },
		{ "a*c", "abbbc", true },
		{ "a*c", "abbbd", false },
		{ "*.org", "www.org", true },
		{ "*.org", "www.orgx", false },
		{ "w?w.*", "www.example", true },
		{ "a**b", "ab", true },
		{ "*a*b*", "xxaxxbxx", true },
		{ "*ab*ab", "abab", true },
		{ "*ab*ab", "aab", false },
		{ "a", "A", false },
		{ "[a]", "a", false },
		{ "abc", "ab", false },
		{ "ab*", "ab", true },
	};
	char many[2001];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(text_glob(rows[i].pattern, rows[i].s), rows[i].match);
	memset(many, 'a', sizeof many - 1);
	many[sizeof many - 1] = '\0';
	assert_false(text_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", many)); /* exponential in a naive matcher */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_b64url_vectors),
		cmocka_unit_test(test_b64url_every_byte_round_trips),
		cmocka_unit_test(test_b64url_strict),
		cmocka_unit_test(test_b64_lenient),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_time_format),
		cmocka_unit_test(test_time_parse),
		cmocka_unit_test(test_time_parse_http),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_duration_format),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_cuts),
		cmocka_unit_test(test_escape_any_bytes_any_room),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_glob),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
