/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "io/pace.h"
#include "io/loop.h"

enum { EACH_US = 66667 };
static struct pace *pace;

static int open_all(void **state)
{
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	clock_freeze(1800000000);
	pace = pace_new();
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	pace_free(pace);
	clock_thaw();
	loop_close();
	return 0;
}

static void test_even_pace_after_a_first_few(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(pace_take(pace, "a", 20), 0);
	for (int i = 1; i <= 1000; i++)
		assert_int_equal(pace_take(pace, "a", 20), i * EACH_US); /* 15 a second */
}

static void test_keys_do_not_wait_for_each_other(void **state)
{
	(void)state;
	while (pace_take(pace, "a", 20) == 0)
		;
	assert_int_equal(pace_take(pace, "a b", 20), 0);
	assert_int_equal(pace_take(pace, "", 20), 0);
}

enum { TURNS_MAX = 40000 };
static int64_t turns[TURNS_MAX];
static size_t nturns;

/* Whoever wants more for a while, then rests, again and again: turns in microseconds from the beginning. */
static void be_greedy(const char *key, unsigned rate, int64_t wants_ms, int64_t rests_ms)
{
	int64_t began = clock_mono_us(), next = 0;

	nturns = 0;
	for (int64_t ms = 0; ms < 10000; ms++, clock_advance(1)) {
		int64_t now = clock_mono_us() - began;

		while (ms % (wants_ms + rests_ms) < wants_ms && next <= now) {
			next = now + pace_take(pace, key, rate);
			assert_true(nturns < TURNS_MAX);
			turns[nturns++] = next;
		}
	}
}

static size_t most_in_a_second(void)
{
	size_t most = 0;

	for (size_t first = 0, end = 0; first < nturns; first++) {
		while (end < nturns && turns[end] < turns[first] + 1000000)
			end++;
		if (end - first > most)
			most = end - first;
	}
	return most;
}

static void test_no_second_has_more_than_told(void **state)
{
	static const unsigned rates[] = { 1, 2, 3, 7, 8, 9, 19, 20, 33, 200, 1000, 3333 };
	static const int64_t rests[] = { 0, 1, 70, 400, 999, 1500 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++)
		for (size_t k = 0; k < sizeof(rests) / sizeof(*rests); k++) {
			char key[32];

			snprintf(key, sizeof(key), "%u %zu", rates[i], k);
			be_greedy(key, rates[i], 300, rests[k]);
			assert_in_range(most_in_a_second(), 1, rates[i]);
			if (rests[k] == 0)
				assert_in_range(nturns, rates[i] * 10 * 7 / 10, rates[i] * 10 + 1);
		}
}

static void test_a_pause_fills_up_again(void **state)
{
	(void)state;
	while (pace_take(pace, "a", 20) < 1000000)
		;
	clock_advance(2000);
	for (int i = 0; i < 5; i++)
		assert_int_equal(pace_take(pace, "a", 20), 0);
	assert_int_equal(pace_take(pace, "a", 20), EACH_US);
	clock_advance(3600000); /* not more than at first */
	for (int i = 0; i < 5; i++)
		assert_int_equal(pace_take(pace, "a", 20), 0);
	assert_int_equal(pace_take(pace, "a", 20), EACH_US);
}

static void test_slow_rates(void **state)
{
	(void)state;
	assert_int_equal(pace_take(pace, "a", 1), 0);
	assert_int_equal(pace_take(pace, "a", 1), 1000000);
	assert_int_equal(pace_take(pace, "b", 1000000000), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pace_take(pace, "b", 1000000000), 0);
}

static void test_quiet_keys_are_forgotten(void **state)
{
	char key[32];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		pace_take(pace, key, 20);
		if (i % 10 == 0)
			pace_take(pace, key, 1);
	}
	assert_int_equal(pace_forget(pace), 5000);
	clock_advance(70);
	assert_int_equal(pace_forget(pace), 500);
	clock_advance(1000);
	assert_int_equal(pace_forget(pace), 0);
	pace_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_even_pace_after_a_first_few), TEST(test_keys_do_not_wait_for_each_other), TEST(test_no_second_has_more_than_told),
		TEST(test_a_pause_fills_up_again), TEST(test_slow_rates), TEST(test_quiet_keys_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
