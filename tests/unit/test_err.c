/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void test_set_fills_and_returns_false(void **state)
{
	struct err err;

	(void)state;
	memset(&err, 0x5a, sizeof err);
	assert_false(err_set(&err, ERR_DENIED, "rejectedIdentifier", "no %s, %d times", "way", 3));
	assert_int_equal(err.kind, ERR_DENIED);
	assert_string_equal(err.type, "rejectedIdentifier");
	assert_string_equal(err.detail, "no way, 3 times");
	assert_string_equal(err.during, "");
	assert_int_equal(err.http_status, 0);
	assert_int_equal(err.errnum, 0);
	assert_int_equal(err.not_before, 0);
	assert_int_equal(err.nsub, 0);
}

static void test_null_err_is_fine(void **state)
{
	struct err err;

	(void)state;
	err_clear(&err);
	assert_false(err_set(NULL, ERR_BUG, "x", "y"));
	assert_false(err_errno(NULL, "y"));
	assert_false(err_copy(NULL, &err));
}

static void test_arguments_may_point_into_err(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_TEMP, "connect", "refused");
	err_set(&err, ERR_LOCAL, err.type, "cannot go on: %s (%s)", err.detail, err.type);
	assert_string_equal(err.type, "connect");
	assert_string_equal(err.detail, "cannot go on: refused (connect)");
	errno = ENOENT;
	err_errno(&err, "%s", err.detail);
	assert_non_null(strstr(err.detail, "cannot go on: refused (connect): "));
}

static void test_peer_text_is_escaped_and_cut(void **state)
{
	struct err err;
	char longest[3000];

	(void)state;
	err_set(&err, ERR_DENIED, "a\nb", "x\n2026 fake line \033[31m \xff \xe2\x80\xae");
	assert_string_equal(err.type, "a\\x0ab");
	assert_string_equal(err.detail, "x\\x0a2026 fake line \\x1b[31m \\xff \\u{202e}");
	memset(longest, 'q', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	err_set(&err, ERR_DENIED, longest, "%s", longest);
	assert_int_equal(strlen(err.detail), sizeof err.detail - 1);
	assert_string_equal(err.detail + sizeof err.detail - 4, "...");
	assert_int_equal(strlen(err.type), sizeof err.type - 1);
	memset(longest, '\n', sizeof longest - 1);
	err_set(&err, ERR_DENIED, NULL, "%s", longest);
	assert_string_equal(err.type, "");
	assert_true(strlen(err.detail) < sizeof err.detail);
	assert_null(strchr(err.detail, '\n'));
}

static void test_errno_keeps_number_and_reason(void **state)
{
	struct err err;
	char longest[3000];

	(void)state;
	errno = EACCES;
	assert_false(err_errno(&err, "cannot open %s", "x"));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.type, "system");
	assert_int_equal(err.errnum, EACCES);
	assert_string_equal(err.detail, "cannot open x: Permission denied");
	memset(longest, '\001', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	errno = ENOSPC;
	err_errno(&err, "cannot write %s", longest);
	assert_string_equal(strstr(err.detail, "..."), "...: No space left on device");
}

static void test_copy_and_clear(void **state)
{
	struct err a, b;

	(void)state;
	err_set(&a, ERR_LIMIT, "rateLimited", "slow down");
	a.not_before = 1700000000;
	a.nsub = 1;
	strcpy(a.sub[0].identifier, "example.org");
	assert_false(err_copy(&b, &a));
	assert_memory_equal(&a, &b, sizeof a);
	assert_false(err_copy(&a, &a));
	assert_memory_equal(&a, &b, sizeof a);
	err_clear(&a);
	assert_int_equal(a.kind, ERR_NONE);
	assert_int_equal(a.not_before, 0);
	assert_string_equal(a.detail, "");
}

static void test_kind_names_are_inverse(void **state)
{
	static const char *const names[] = { "none", "temp", "limit", "denied", "input", "local", "bug" };

	(void)state;
	for (int kind = ERR_NONE; kind <= ERR_BUG; kind++) {
		assert_string_equal(err_kind_name(kind), names[kind]);
		assert_int_equal(err_kind_find(names[kind]), kind);
	}
	assert_non_null(err_kind_name((enum err_kind)99));
	assert_int_equal(err_kind_find("Temp"), ERR_NONE);
	assert_int_equal(err_kind_find(""), ERR_NONE);
	assert_int_equal(err_kind_find(NULL), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_fills_and_returns_false),
		cmocka_unit_test(test_null_err_is_fine),
		cmocka_unit_test(test_arguments_may_point_into_err),
		cmocka_unit_test(test_peer_text_is_escaped_and_cut),
		cmocka_unit_test(test_errno_keeps_number_and_reason),
		cmocka_unit_test(test_copy_and_clear),
		cmocka_unit_test(test_kind_names_are_inverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
