/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "io/dns_pool.h"

static struct dns_pool pool;

static int open_all(void **state)
{
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	assert_int_equal(ares_library_init(ARES_LIB_INIT_ALL), ARES_SUCCESS);
	dns_pool_init(&pool);
	pool.cap = 4;
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	dns_pool_end(&pool);
	ares_library_cleanup();
	loop_close();
	return 0;
}

static struct dns_host *host(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, 53, &a));
	return dns_pool_host(&pool, &a);
}

static struct dns_channel *channel(struct dns_host *h, enum dns_pool_kind kind)
{
	struct err err;
	struct dns_channel *c = dns_pool_channel(&pool, h, kind, false, &err);

	assert_true(c || err.kind == ERR_NONE);
	return c;
}

static void test_one_host_per_address_and_port(void **state)
{
	struct dns_host *h = host("192.0.2.1");

	(void)state;
	assert_ptr_equal(host("192.0.2.1:53"), h);
	assert_ptr_not_equal(host("192.0.2.1:5353"), h);
	assert_ptr_not_equal(host("[2001:db8::1]:53"), h);
	assert_string_equal(host("[2001:db8::1]")->text, "[2001:db8::1]:53");
}

static void test_channels_are_kept(void **state)
{
	struct dns_host *h = host("192.0.2.1"), *six = host("2001:db8::1");
	struct dns_channel *udp = channel(h, DNS_POOL_UDP), *fresh;
	struct err err;

	(void)state;
	assert_non_null(udp);
	assert_ptr_equal(channel(h, DNS_POOL_UDP), udp);
	assert_ptr_not_equal(channel(h, DNS_POOL_TCP), udp);
	assert_non_null(channel(six, DNS_POOL_PLAIN));
	fresh = dns_pool_channel(&pool, h, DNS_POOL_UDP, true, &err);
	assert_true(fresh && fresh != udp);
	assert_ptr_equal(h->channels[DNS_POOL_UDP], udp);
	assert_int_equal(pool.channels.n, 4);
	dns_channel_take(fresh);
	dns_channel_release(fresh); /* kept nowhere: it ends */
	dns_channel_take(udp);
	dns_channel_release(udp);   /* kept */
	loop_turn(false);
	assert_int_equal(pool.channels.n, 3);
	dns_channel_take(udp);
	dns_channel_retire(udp);    /* somebody still waits */
	dns_channel_retire(udp);
	dns_channel_retire(NULL);
	loop_turn(false);
	assert_int_equal(pool.channels.n, 3);
	assert_null(h->channels[DNS_POOL_UDP]);
	assert_ptr_not_equal(channel(h, DNS_POOL_UDP), udp);
	dns_channel_release(udp);
	loop_turn(false);
	assert_int_equal(pool.channels.n, 3);
}

static void test_cap(void **state)
{
	struct dns_host *h[6];
	struct dns_channel *c[4];
	char text[32];

	(void)state;
	for (int i = 0; i < 6; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i);
		h[i] = host(text);
	}
	for (int i = 0; i < 4; i++) {
		c[i] = channel(h[i], DNS_POOL_UDP);
		dns_channel_take(c[i]);
	}
	assert_null(channel(h[4], DNS_POOL_UDP)); /* all in use */
	assert_ptr_equal(channel(h[2], DNS_POOL_UDP), c[2]);
	dns_channel_release(c[2]);
	dns_channel_release(c[1]);
	dns_channel_take(c[1]);
	dns_channel_release(c[1]); /* now 2 is unused the longest */
	assert_non_null(channel(h[4], DNS_POOL_UDP));
	assert_null(h[2]->channels[DNS_POOL_UDP]);
	assert_ptr_equal(h[1]->channels[DNS_POOL_UDP], c[1]);
	assert_int_equal(pool.channels.n, 4);
	pool.cap = 100;
	assert_non_null(channel(h[5], DNS_POOL_UDP));
	assert_int_equal(pool.channels.n, 5);
}

static void test_cap_by_descriptors(void **state)
{
	struct rlimit saved, few;
	char text[32];

	(void)state;
	pool.cap = 256;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
	few = (struct rlimit){ 40, saved.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 20; i++) {
		struct dns_channel *c;

		snprintf(text, sizeof(text), "192.0.2.%d", i);
		c = channel(host(text), DNS_POOL_UDP);
		assert_true((c != NULL) == (i < 10));
		if (c)
			dns_channel_take(c);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
}

static void test_what_is_unused_goes(void **state)
{
	struct dns_host *busy, *old;
	struct dns_channel *c;

	(void)state;
	clock_freeze(1800000000);
	busy = host("192.0.2.1");
	busy->users = 1;
	old = host("192.0.2.2");
	old->plain_until_ms = clock_mono_ms() + 600000;
	c = channel(old, DNS_POOL_PLAIN);
	dns_channel_take(c);
	dns_channel_release(c);
	dns_channel_take(channel(busy, DNS_POOL_UDP));
	clock_advance(30000);
	pool.sweep.fn(pool.sweep.arg);
	assert_int_equal(pool.channels.n, 2);
	clock_advance(31000);
	pool.sweep.fn(pool.sweep.arg);
	assert_int_equal(pool.channels.n, 1);
	assert_null(old->channels[DNS_POOL_PLAIN]);
	assert_ptr_equal(host("192.0.2.2"), old); /* what we know of it stays */
	assert_true(timer_armed(&pool.sweep));
	clock_advance(600000);
	busy->users = 0;
	dns_channel_release(busy->channels[DNS_POOL_UDP]);
	pool.sweep.fn(pool.sweep.arg);
	assert_int_equal(pool.channels.n, 0);
	assert_int_equal(host("192.0.2.2")->plain_until_ms, 0); /* a new one */
	clock_thaw();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_host_per_address_and_port), TEST(test_channels_are_kept), TEST(test_cap), TEST(test_cap_by_descriptors),
		TEST(test_what_is_unused_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
