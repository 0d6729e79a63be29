/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "io/dns_pace.h"
#include "io/loop.h"

static struct dns_pace *pace;

static int open_all(void **state)
{
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	clock_freeze(1800000000);
	pace = dns_pace_new();
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	dns_pace_free(pace);
	clock_thaw();
	loop_close();
	return 0;
}

static void test_even_pace_after_a_first_few(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(dns_pace_take(pace, "a", 20), 0);
	for (int i = 1; i <= 1000; i++)
		assert_int_equal(dns_pace_take(pace, "a", 20), i * 50000);
}

static void test_keys_do_not_wait_for_each_other(void **state)
{
	(void)state;
	while (dns_pace_take(pace, "a", 20) == 0)
		;
	assert_int_equal(dns_pace_take(pace, "a b", 20), 0);
	assert_int_equal(dns_pace_take(pace, "", 20), 0);
}

static void test_never_more_than_told(void **state)
{
	static const unsigned rates[] = { 1, 3, 20, 200, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		unsigned rate = rates[i], sent = 0;
		char key[16];
		int64_t free_at = 0; /* milliseconds from now */

		snprintf(key, sizeof(key), "%u", rate);
		for (int64_t ms = 0; ms < 10000; ms++, clock_advance(1)) { /* who always wants more */
			while (free_at <= ms) {
				free_at = ms + (dns_pace_take(pace, key, rate) + 999) / 1000;
				sent += free_at <= ms;
			}
			sent += free_at == ms + 1;
		}
		assert_in_range(sent, rate * 10 / 2, rate * 10 + rate / 4 + 2);
	}
}

static void test_a_pause_fills_up_again(void **state)
{
	(void)state;
	while (dns_pace_take(pace, "a", 20) < 1000000)
		;
	clock_advance(2000);
	for (int i = 0; i < 5; i++)
		assert_int_equal(dns_pace_take(pace, "a", 20), 0);
	assert_int_equal(dns_pace_take(pace, "a", 20), 50000);
	clock_advance(3600000); /* not more than at first */
	for (int i = 0; i < 5; i++)
		assert_int_equal(dns_pace_take(pace, "a", 20), 0);
	assert_int_equal(dns_pace_take(pace, "a", 20), 50000);
}

static void test_slow_rates(void **state)
{
	(void)state;
	assert_int_equal(dns_pace_take(pace, "a", 1), 0);
	assert_int_equal(dns_pace_take(pace, "a", 1), 1000000);
	assert_int_equal(dns_pace_take(pace, "b", 1000000000), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(dns_pace_take(pace, "b", 1000000000), 0);
}

static void test_quiet_keys_are_forgotten(void **state)
{
	char key[32];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		dns_pace_take(pace, key, 20);
		if (i % 10 == 0)
			dns_pace_take(pace, key, 1);
	}
	assert_int_equal(dns_pace_forget(pace), 5000);
	clock_advance(50);
	assert_int_equal(dns_pace_forget(pace), 500);
	clock_advance(1000);
	assert_int_equal(dns_pace_forget(pace), 0);
	dns_pace_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_even_pace_after_a_first_few), TEST(test_keys_do_not_wait_for_each_other), TEST(test_never_more_than_told),
		TEST(test_a_pause_fills_up_again), TEST(test_slow_rates), TEST(test_quiet_keys_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
