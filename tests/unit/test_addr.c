/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "io/addr.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text, *back;
	} rows[] = {
		{ "192.0.2.1:80", "192.0.2.1:80" },
		{ "192.0.2.1", "192.0.2.1:53" },
		{ "[2001:db8::1]:8443", "[2001:db8::1]:8443" },
		{ "[2001:DB8:0::1]", "[2001:db8::1]:53" },
		{ "2001:db8::1", "[2001:db8::1]:53" },
		{ "::", "[::]:53" },
		{ "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:53" },
		{ "0.0.0.0:65535", "0.0.0.0:65535" },
	};
	struct addr a;
	char text[ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_true(addr_parse(rows[i].text, 53, &a));
		assert_string_equal(addr_format(&a, text), rows[i].back);
		assert_int_equal(a.len, a.ss.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const texts[] = {
		"", ":", ":80", "localhost", "example.org:80", "192.0.2", "192.0.2.256", "192.0.2.01", "0x7f.0.0.1", "2130706433", "192.0.2.1:",
		"192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:99999999999999999999", "192.0.2.1:+80", "192.0.2.1: 80", "192.0.2.1:80 ",
		" 192.0.2.1", "192.0.2.1:8a", "[192.0.2.1]:80", "[192.0.2.1]", "[2001:db8::1", "[2001:db8::1]80", "[2001:db8::1]:", "[]:80", "[",
		"2001:db8::1]:80", "2001:db8:::1", "fe80::1%lo", "1:2:3:4:5:6:7:8:9",
		"11111111111111111111111111111111111111111111111111111111111111111111111111111111",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (addr_parse(texts[i], 53, &a))
			fail_msg("'%s' was taken", texts[i]);
	assert_false(addr_parse_ip("192.0.2.1:80", 1, &a));
	assert_false(addr_parse_ip("[::1]", 1, &a));
}

static void test_port(void **state)
{
	struct addr a, nothing = { .len = 0 };
	char text[ADDR_TEXT];

	(void)state;
	assert_true(addr_parse_ip("2001:db8::1", 0, &a));
	assert_int_equal(addr_port(&a), 0);
	addr_set_port(&a, 443);
	assert_int_equal(addr_port(&a), 443);
	assert_string_equal(addr_format_ip(&a, text), "2001:db8::1");
	assert_true(addr_parse_ip("192.0.2.1", 80, &a));
	addr_set_port(&a, 8080);
	assert_string_equal(addr_format(&a, text), "192.0.2.1:8080");
	addr_set_port(&nothing, 80);
	assert_int_equal(addr_port(&nothing), 0);
	assert_string_equal(addr_format_ip(&nothing, text), "?");
	assert_false(addr_is_public(&nothing));
	assert_false(addr_same_ip(&nothing, &nothing));
}

static bool same(const char *x, const char *y)
{
	struct addr a, b;

	assert_true(addr_parse_ip(x, 1, &a));
	assert_true(addr_parse_ip(y, 2, &b));
	return addr_same_ip(&a, &b);
}

static void test_same(void **state)
{
	(void)state;
	assert_true(same("192.0.2.1", "192.0.2.1"));
	assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
	assert_true(same("2001:db8::1", "2001:DB8:0:0::1"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_false(same("192.0.2.1", "::192.0.2.1"));
	assert_false(same("::1", "127.0.0.1"));
}

static void test_public(void **state)
{
	static const char *const yes[] = {
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"172.15.255.255", "172.32.0.0", "192.0.0.9", "192.0.0.10", "192.0.1.0", "192.167.255.255", "192.169.0.0", "192.175.48.1",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
		"2001:1::1", "2001:1::2", "2001:3::1", "2001:4:112::1", "2001:20::1", "2001:3f::1", "2001:200::1", "2001:db7::1", "2001:db9::1",
		"2003::1", "2400::1", "2606:4700::1", "3ffe::1", "3fff:1000::1",
	};
	static const char *const no[] = {
		"0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.0.1",
		"169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1",
		"192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::2", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:8.8.8.8", "64:ff9b::10.0.0.1",
		"64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:1::3", "2001:2::1", "2001:10::1", "2001:db8::1", "2002:a00:1::1", "2002:7f00:1::",
		"3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		assert_true(addr_parse_ip(yes[i], 0, &a));
		if (!addr_is_public(&a))
			fail_msg("%s is public", yes[i]);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
		assert_true(addr_parse_ip(no[i], 0, &a));
		if (addr_is_public(&a))
			fail_msg("%s is not public", no[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
