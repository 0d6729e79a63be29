/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "io/local.h"

static bool has(const char *ip)
{
	struct addr a;

	assert_true(addr_parse_ip(ip, 443, &a));
	return local_has(&a);
}

static void test_addresses(void **state)
{
	(void)state;
	assert_true(has("127.0.0.1"));
	assert_true(has("127.0.1.1")); /* where Debian's /etc/hosts puts the host's own name */
	assert_true(has("::1"));
	assert_false(has("192.0.2.1"));
	assert_false(has("2001:db8::1"));
	assert_false(has("0.0.0.0"));
	assert_false(local_has(&(struct addr){.len = 0}));
}

/* Whatever the interfaces have, as they are listed. */
static void test_every_interface(void **state)
{
	struct ifaddrs *all;

	(void)state;
	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct addr a = {.len = sizeof(struct sockaddr_in)};

		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&a.ss, i->ifa_addr, sizeof(struct sockaddr_in));
		assert_true(local_has(&a));
	}
	freeifaddrs(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_every_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
