/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/http.h"
#include "io/http_head.h"

#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define TEN_YEARS (INT64_C(10) * 365 * 86400)

static struct http_answer answer_of(const char *const *lines)
{
	return (struct http_answer){ .headers = lines };
}

static void test_url(void **state)
{
	static const struct {
		const char *url;
		bool https;
		const char *host;
		uint16_t port;
		const char *path;
	} rows[] = {
		{ "https://acme.example", true, "acme.example", 443, "" },
		{ "https://ACME.Example/", true, "acme.example", 443, "/" },
		{ "HTTP://a_b.example:8080/x?y=z", false, "a_b.example", 8080, "/x?y=z" },
		{ "http://example.org?x", false, "example.org", 80, "?x" },
		{ "https://192.0.2.1:14000/dir", true, "192.0.2.1", 14000, "/dir" },
		{ "https://[2001:DB8::1]/a@b:c", true, "2001:db8::1", 443, "/a@b:c" },
		{ "https://[::1]:65535", true, "::1", 65535, "" },
		{ "https://localhost/%2e%2e/%00", true, "localhost", 443, "/%2e%2e/%00" },
		{ "https://xn--bcher-kva.example//", true, "xn--bcher-kva.example", 443, "//" },
		{ "https://1and1.example/", true, "1and1.example", 443, "/" },
	};
	struct http_url u;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!http_url_parse(rows[i].url, &u))
			fail_msg("%s", rows[i].url);
		assert_int_equal(u.https, rows[i].https);
		assert_string_equal(u.host, rows[i].host);
		assert_int_equal(u.port, rows[i].port);
		assert_string_equal(u.path, rows[i].path);
	}
}

static void test_url_refuses(void **state)
{
	static const char *const urls[] = {
		"", "https", "https:", "https:/", "https://", "https:///", "https://?x", "https://:443/", "http:/example.org/", "ftp://example.org/",
		"https://a b/", "https://a\tb/", "https://example.org/\x7f", "https://example.org/\xc3\xa4", "https://b\xc3\xbc.example/",
		"https://u@example.org/", "https://u:p@example.org/", "https://@example.org/", "https://example.org#x", "https://example.org/#",
		"https://example.org:", "https://example.org:/", "https://example.org:0/", "https://example.org:65536/", "https://example.org:080443/",
		"https://example.org:-1/", "https://example.org:+1/", "https://example.org:4 43/", "https://example.org:1:2/", "https://.example.org/",
		"https://example.org./", "https://example..org/", "https://256.1.1.1/", "https://1.2.3/", "https://1.2.3.4.5/",
		"https://0x7f.0.0.1/", "https://0x7f000001/", "https://017700000001/", "https://2130706433/", "https://127.0.0.01/",
		"https://example.1/", "https://[]/", "https://[::1/", "https://::1/", "https://[::1]x/", "https://[192.0.2.1]/", "https://[::g]/",
		"https://[fe80::1%25eth0]/", "https://[v1.x]/", "https://[::1]:/", "https://exa%6dple.org/", "https://example.org\\x/",
		"https://example.org/<x>", "https://example.org/\"x\"", "https://example.org/{x}", "https://example.org/a|b", " https://example.org/",
	};
	char label[100] = "https://", large[HTTP_URL_MAX + 2] = "https://example.org/";
	struct http_url u;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++)
		if (http_url_parse(urls[i], &u))
			fail_msg("'%s' was taken", urls[i]);
	memset(label + 8, 'a', 64);
	assert_false(http_url_parse(label, &u));
	label[8 + 63] = '\0';
	assert_true(http_url_parse(label, &u));
	memset(large + 20, 'a', HTTP_URL_MAX - 20);
	assert_true(http_url_parse(large, &u));
	large[HTTP_URL_MAX] = 'a';
	assert_false(http_url_parse(large, &u));
}

static void test_header(void **state)
{
	static const char *const lines[] = { "Date: x", "Replay-Nonce:  \tabc", "Replay-NonceX: no", "replay-nonce:", "Replay-Nonce:d:e", NULL };
	struct http_answer a = answer_of(lines);
	size_t from = 0;

	(void)state;
	assert_string_equal(http_header(&a, "REPLAY-NONCE", NULL), "abc");
	assert_null(http_header(&a, "Replay", NULL));
	assert_null(http_header(&a, "Location", NULL));
	assert_string_equal(http_header(&a, "Replay-Nonce", &from), "abc");
	assert_string_equal(http_header(&a, "Replay-Nonce", &from), "");
	assert_string_equal(http_header(&a, "Replay-Nonce", &from), "d:e");
	assert_null(http_header(&a, "Replay-Nonce", &from));
	assert_null(http_header(&a, "Replay-Nonce", &from));
}

static void test_retry_after(void **state)
{
	static const struct {
		const char *date, *value;
		int64_t seconds;
	} rows[] = {
		{ NULL, "0", 0 },
		{ NULL, "120", 120 },
		{ NULL, "00120", 120 },
		{ NULL, "2592000", 2592000 },
		{ NULL, "315360000", TEN_YEARS },
		{ NULL, "315360001", TEN_YEARS },
		{ NULL, "99999999999999999999999999999999999", TEN_YEARS },
		{ NULL, "", -1 },
		{ NULL, "-5", -1 },
		{ NULL, "+5", -1 },
		{ NULL, "1.5", -1 },
		{ NULL, "5 s", -1 },
		{ NULL, "soon", -1 },
		{ NULL, "0x10", -1 },
		{ NULL, "Sun, 06 Nov 1994 08:50:37 GMT", 60 },
		{ NULL, "Sunday, 06-Nov-94 08:50:37 GMT", 60 },
		{ NULL, "Sun Nov  6 08:50:37 1994", 60 },
		{ NULL, "Sun, 06 Nov 1994 08:49:37 GMT", 0 },
		{ NULL, "Sun, 06 Nov 1994 07:49:37 GMT", 0 },
		{ NULL, "Fri, 31 Dec 9999 23:59:59 GMT", TEN_YEARS },
		{ "Sun, 06 Nov 1994 08:50:00 GMT", "Sun, 06 Nov 1994 08:50:37 GMT", 37 },
		{ "garbage", "Sun, 06 Nov 1994 08:50:37 GMT", 60 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", "Sun, 06 Nov 1994 08:50:37 GMT", TEN_YEARS },
	};
	const char *lines[3] = { NULL };
	struct http_answer a = answer_of(lines);

	(void)state;
	clock_freeze(NOW);
	assert_int_equal(http_retry_after(&a), -1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *value = mem_printf("Retry-After: %s", rows[i].value), *date = mem_printf("Date: %s", rows[i].date ? rows[i].date : "");

		lines[0] = value;
		lines[1] = rows[i].date ? date : NULL;
		if (http_retry_after(&a) != rows[i].seconds)
			fail_msg("%s: %lld", rows[i].value, (long long)http_retry_after(&a));
		free(value);
		free(date);
	}
	clock_thaw();
}

static void assert_links(const char *const *lines, const char *rel, const char *expected)
{
	struct http_answer a = answer_of(lines);
	char *links[8], all[1000] = "";
	size_t n = http_links(&a, rel, links, 8);

	for (size_t i = 0; i < n; i++) {
		strcat(strcat(all, i > 0 ? " " : ""), links[i]);
		free(links[i]);
	}
	assert_string_equal(all, expected);
}

static void test_links(void **state)
{
	static const char *const lines[] = {
		"Link: <https://a.example/1>;rel=\"alternate\"", "Content-Type: x", "link: </2>; REL=Alternate , <3> ; title=\"a, <x>; rel=alternate\"; rel=up",
		"Link: <4>; rel=\"next alternate\"; title*=UTF-8''x, , <5>;rel=alternates,<6>; rel=\"up\"; rel=\"alternate\"",
		"Link: <a,b;c>; foo; bar=; rel = \"alternate\" ;x,<7>", "Link: <8>;title=\"\\\"; rel=up, <no>\";rel=alternate", NULL,
	};

	(void)state;
	assert_links(lines, "alternate", "https://a.example/1 /2 4 a,b;c 8");
	assert_links(lines, "up", "3 6");
	assert_links(lines, "next", "4");
	assert_links(lines, "index", "");
}

static void test_links_broken(void **state)
{
	static const char *const values[] = {
		"", "<", ">", "<>", "x", "<x", "x>", "<x>", "<x>;", "<x>;;;", "<x>;rel", "<x>;rel=", "<x>;rel=\"", "<x>;rel=\"\"", "<x>;=up", "<x>;\"rel\"=up",
		"<x>;rel=\"upp\"", "<x>;rel=\"u p\"", ",,,,", "rel=up", "<x>;relx=up", "<x>;xrel=up", "<x>;rel=a;rel=up", "<x>;title=\"rel=up", "x, <y>;rel=up",
	};
	const char *lines[2] = { NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char *line = mem_printf("Link: %s", values[i]);

		lines[0] = line;
		assert_links(lines, "up", "");
		free(line);
	}
}

static void test_links_bounded(void **state)
{
	char line[16 * 1024] = "Link: ";
	const char *lines[] = { line, line, NULL };
	struct http_answer a = answer_of(lines);
	char *links[30];

	(void)state;
	for (int i = 0; i < 500; i++)
		strcat(line, "</x>; rel=\"alternate\",");
	assert_int_equal(http_links(&a, "alternate", links, 0), 0);
	assert_int_equal(http_links(&a, "alternate", links, 30), 30);
	for (size_t i = 0; i < 30; i++)
		free(links[i]);
}

static bool add(struct head *h, const char *text)
{
	return head_add(h, text, strlen(text));
}

static void test_head(void **state)
{
	struct head h = { .n = 0 };

	(void)state;
	assert_true(add(&h, "HTTP/1.1 100 Continue\r\n"));
	assert_true(add(&h, "X: early\r\n"));
	assert_true(add(&h, "\r\n"));
	assert_true(add(&h, "HTTP/2 200 \r\n"));
	assert_int_equal(h.n, 0);
	assert_true(add(&h, "A: 1 \t\r\n"));
	assert_true(add(&h, "no colon\r\n"));
	assert_true(add(&h, ": no name\r\n"));
	assert_true(add(&h, " folded: 2\r\n"));
	assert_true(add(&h, "Bell: \a\r\n"));
	assert_true(add(&h, "Return: a\rb\r\n"));
	assert_true(head_add(&h, "Nul: a\0b\r\n", 10));
	assert_true(add(&h, "B: \xc3\xa4\n"));
	assert_true(add(&h, "\n"));
	assert_true(add(&h, "Trailer: 3\r\n"));
	assert_int_equal(h.n, 2);
	assert_int_equal(h.lines.len, sizeof("A: 1\0B: \xc3\xa4"));
	assert_memory_equal(h.lines.data, "A: 1\0B: \xc3\xa4", h.lines.len);
	buf_free(&h.lines);
}

static void test_head_limits(void **state)
{
	struct head h = { .n = 0 };
	char line[16 * 1024 + 2];
	int lines = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(add(&h, "X: y\r\n"));
	assert_int_equal(h.n, HTTP_HEADERS_MAX);
	buf_free(&h.lines);
	memset(line, 'a', sizeof(line));
	h = (struct head){ .n = 0 };
	assert_false(head_add(&h, line, sizeof(line) - 1));
	h = (struct head){ .n = 0 };
	while (head_add(&h, line, sizeof(line) - 2))
		lines++;
	assert_int_equal(lines, 8);
	h = (struct head){ .n = 0 }; /* it does not help to begin anew */
	for (lines = 0; add(&h, "HTTP/1.1 103 Early Hints\r\n") && lines < 100000; lines++)
		;
	assert_in_range(lines, 1, 128 * 1024 / 20);
	buf_free(&h.lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url), cmocka_unit_test(test_url_refuses), cmocka_unit_test(test_header), cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_links), cmocka_unit_test(test_links_broken), cmocka_unit_test(test_links_bounded), cmocka_unit_test(test_head),
		cmocka_unit_test(test_head_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
