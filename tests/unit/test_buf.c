/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void test_add_terminates(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_null(b.data);
	assert_true(buf_add(&b, NULL, 0));
	assert_string_equal(b.data, "");
	assert_true(buf_add(&b, "a\0b", 3));
	assert_true(buf_puts(&b, "cd"));
	assert_true(buf_printf(&b, "%03d", 7));
	assert_int_equal(b.len, 8);
	assert_memory_equal(b.data, "a\0bcd007", 9);
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
}

static void test_cap_is_exact(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_true(buf_puts(&b, "12345"));
	assert_false(buf_puts(&b, "678901"));
	assert_false(buf_printf(&b, "%s", "678901"));
	assert_false(buf_add(&b, "x", SIZE_MAX));
	assert_false(buf_add(&b, "x", SIZE_MAX - 5));
	assert_string_equal(b.data, "12345");
	assert_true(buf_printf(&b, "%s", "67890"));
	assert_false(buf_puts(&b, "x"));
	assert_true(buf_puts(&b, ""));
	assert_string_equal(b.data, "1234567890");
	buf_free(&b);
	assert_true(buf_puts(&b, "again"));
	assert_false(buf_puts(&b, "too long"));
	buf_free(&b);
}

static void test_no_cap_still_refuses_the_impossible(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_false(buf_add(&b, "x", SIZE_MAX));
	assert_false(buf_add(&b, "x", PTRDIFF_MAX));
	buf_init(&b, SIZE_MAX);
	assert_false(buf_add(&b, "x", SIZE_MAX));
	assert_null(b.data);
}

static void test_growth_keeps_contents(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (unsigned i = 0; i < 5000; i++)
		assert_true(buf_add(&b, &(unsigned char){ (unsigned char)(i % 251) }, 1));
	assert_int_equal(b.len, 5000);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal((unsigned char)b.data[i], i % 251);
	assert_int_equal(b.data[5000], 0);
	buf_free(&b);
}

static void test_drop(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_drop(&b, 3);
	assert_null(b.data);
	assert_true(buf_puts(&b, "abcdef"));
	buf_drop(&b, 0);
	assert_string_equal(b.data, "abcdef");
	buf_drop(&b, 4);
	assert_string_equal(b.data, "ef");
	assert_int_equal(b.len, 2);
	buf_drop(&b, 100);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static void test_reset_keeps_room(void **state)
{
	struct buf b;
	size_t room;

	(void)state;
	buf_init(&b, 0);
	buf_reset(&b);
	assert_true(buf_printf(&b, "%200s", ""));
	room = b.room;
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	assert_int_equal(b.room, room);
	buf_wipe(&b);
	assert_null(b.data);
	buf_wipe(&b);
}

static void test_take(void **state)
{
	struct buf b;
	char *s;

	(void)state;
	buf_init(&b, 4);
	s = buf_take(&b);
	assert_string_equal(s, "");
	free(s);
	assert_true(buf_puts(&b, "full"));
	s = buf_take(&b);
	assert_string_equal(s, "full");
	free(s);
	assert_int_equal(b.len, 0);
	assert_null(b.data);
	assert_false(buf_puts(&b, "five5"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_terminates),
		cmocka_unit_test(test_cap_is_exact),
		cmocka_unit_test(test_no_cap_still_refuses_the_impossible),
		cmocka_unit_test(test_growth_keeps_contents),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_reset_keeps_room),
		cmocka_unit_test(test_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
