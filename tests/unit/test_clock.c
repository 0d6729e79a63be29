/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

static void test_running_clock(void **state)
{
	int64_t mono = clock_mono_ms(), boot = clock_boot_ms(), wall = time(NULL);

	(void)state;
	assert_true(clock_now() >= wall - 1 && clock_now() <= wall + 60);
	assert_true(clock_now_us() / 1000000 >= wall - 1);
	assert_true(mono > 0 && clock_mono_ms() >= mono);
	assert_true(clock_mono_us() / 1000 >= mono);
	assert_true(boot > 0 && clock_boot_ms() >= boot);
}

static void test_frozen_clock_stands_still(void **state)
{
	int64_t mono, boot;

	(void)state;
	clock_freeze(1800000000);
	mono = clock_mono_ms();
	boot = clock_boot_ms();
	assert_int_equal(clock_now(), 1800000000);
	assert_int_equal(clock_now_us(), 1800000000000000);
	clock_advance(1500);
	assert_int_equal(clock_now(), 1800000001);
	assert_int_equal(clock_now_us(), 1800000001500000);
	assert_int_equal(clock_mono_ms(), mono + 1500);
	assert_int_equal(clock_mono_us() / 1000, mono + 1500);
	assert_int_equal(clock_boot_ms(), boot + 1500);
	clock_thaw();
}

static void test_wall_jump_leaves_monotonic_alone(void **state)
{
	int64_t mono;

	(void)state;
	clock_freeze(1800000000);
	clock_advance(10);
	mono = clock_mono_ms();
	clock_freeze(0);
	assert_int_equal(clock_now(), 0);
	assert_int_equal(clock_mono_ms(), mono);
	clock_thaw();
	assert_true(clock_now() > 0);
}

static void test_before_1970_rounds_down(void **state)
{
	(void)state;
	clock_freeze(0);
	clock_advance(-1);
	assert_int_equal(clock_now(), -1);
	clock_advance(-999);
	assert_int_equal(clock_now(), -1);
	clock_advance(-1);
	assert_int_equal(clock_now(), -2);
	clock_thaw();
}

static void test_plausible(void **state)
{
	(void)state;
	clock_freeze(0);
	assert_false(clock_is_plausible());
	clock_freeze(1600000000);
	assert_false(clock_is_plausible());
	clock_freeze(4000000000);
	assert_true(clock_is_plausible());
	clock_thaw();
}

static void test_what_is_ahead(void **state)
{
	(void)state;
	clock_freeze(1000);
	assert_false(clock_is_ahead(0, 10));
	assert_false(clock_is_ahead(1000, 10));
	assert_true(clock_is_ahead(1001, 10));
	assert_true(clock_is_ahead(1010, 10));
	assert_false(clock_is_ahead(1011, 10));
	assert_false(clock_is_ahead(INT64_MAX, 10));
	assert_false(clock_is_ahead(INT64_MIN, 10));
	clock_thaw();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running_clock),
		cmocka_unit_test(test_what_is_ahead),
		cmocka_unit_test(test_frozen_clock_stands_still),
		cmocka_unit_test(test_wall_jump_leaves_monotonic_alone),
		cmocka_unit_test(test_before_1970_rounds_down),
		cmocka_unit_test(test_plausible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
