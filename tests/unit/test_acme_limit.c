/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ca/acme_limit.h"

enum { NOW = 1790000000, DAY = 86400 };

static struct err refusal(int status, int64_t seconds)
{
	return (struct err){.kind = ERR_LIMIT, .http_status = status, .not_before = NOW + seconds};
}

static int setup(void **state)
{
	(void)state;
	clock_freeze(NOW);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clock_thaw();
	return 0;
}

static void nothing_known(void **state)
{
	struct acme_limit l = {0};

	(void)state;
	for (enum acme_scope s = ACME_SCOPE_HOST; s <= ACME_SCOPE_ONE; s++)
		assert_true(acme_limit_check(&l, s, NULL));
	assert_int_equal(acme_limit_not_before(&l), 0);
}

static void host(void **state)
{
	struct acme_limit l = {0};
	struct err err = refusal(503, 600);

	(void)state;
	assert_true(acme_limit_note(&l, ACME_SCOPE_ONE, NULL, &err));
	assert_false(acme_limit_note(&l, ACME_SCOPE_ONE, NULL, &err)); /* nothing new */
	for (enum acme_scope s = ACME_SCOPE_HOST; s <= ACME_SCOPE_ONE; s++) {
		assert_false(acme_limit_check(&l, s, &err));
		assert_int_equal(err.kind, ERR_LIMIT);
		assert_int_equal(err.not_before, NOW + 600);
		assert_false(acme_limit_check(&l, s, NULL));
	}
	clock_advance(600 * 1000);
	assert_true(acme_limit_check(&l, ACME_SCOPE_NAMES, NULL));
	assert_int_equal(acme_limit_not_before(&l), 0);
	err = refusal(429, 700);
	assert_true(acme_limit_note(&l, ACME_SCOPE_HOST, NULL, &err));
	assert_int_equal(acme_limit_not_before(&l), NOW + 700);
}

static void account(void **state)
{
	struct acme_limit l = {0};
	struct err err = refusal(429, 3 * DAY);

	(void)state;
	assert_true(acme_limit_note(&l, ACME_SCOPE_ACCOUNT, NULL, &err));
	assert_int_equal(acme_limit_not_before(&l), NOW + DAY);
	assert_false(acme_limit_check(&l, ACME_SCOPE_ACCOUNT, NULL));
	assert_false(acme_limit_check(&l, ACME_SCOPE_NAMES, NULL));
	assert_true(acme_limit_check(&l, ACME_SCOPE_ONE, NULL));
	assert_true(acme_limit_check(&l, ACME_SCOPE_HOST, NULL));
}

static void names(void **state)
{
	struct acme_limit l = {0};
	struct err err = refusal(429, 3600);
	struct err near = refusal(429, 36);

	(void)state;
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "a.example.org", &err));
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "*.b.example.org", &err));
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "example.org", &err));
	assert_true(acme_limit_check(&l, ACME_SCOPE_NAMES, NULL));
	assert_true(acme_limit_note(&l, ACME_SCOPE_NAMES, "example.net", &near));
	assert_int_equal(acme_limit_not_before(&l), NOW + 36);

	l = (struct acme_limit){0};
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "example.org", &err));
	acme_limit_accept(&l);
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "example.net", &err));
	clock_advance(3601 * 1000); /* that refusal is over */
	err.not_before = NOW + 7200;
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "example.com", &err));
	err.nsub = 1; /* it names its names */
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "example.edu", &err));
	err.nsub = 0;
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, NULL, &err));
	assert_false(acme_limit_note(&l, ACME_SCOPE_NAMES, "", &err) && l.account == 0);
}

static void one(void **state)
{
	struct acme_limit l = {0};
	struct err err = refusal(429, 3600);

	(void)state;
	assert_false(acme_limit_note(&l, ACME_SCOPE_ONE, "example.org", &err));
	assert_int_equal(acme_limit_not_before(&l), 0);
}

static void clocks_that_jump(void **state)
{
	struct acme_limit l = {.host = NOW + 600, .account = NOW + 600};

	(void)state;
	clock_freeze(NOW - 30 * DAY);
	assert_true(acme_limit_check(&l, ACME_SCOPE_NAMES, NULL));
	clock_freeze(0);
	assert_true(acme_limit_check(&l, ACME_SCOPE_NAMES, NULL));
	l = (struct acme_limit){.host = INT64_MAX, .account = INT64_MIN};
	clock_freeze(NOW);
	assert_true(acme_limit_check(&l, ACME_SCOPE_NAMES, NULL));
	assert_int_equal(acme_limit_not_before(&l), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_known, setup, teardown),
		cmocka_unit_test_setup_teardown(host, setup, teardown),
		cmocka_unit_test_setup_teardown(account, setup, teardown),
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(one, setup, teardown),
		cmocka_unit_test_setup_teardown(clocks_that_jump, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
