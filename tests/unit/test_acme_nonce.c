/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ca/acme_nonce.h"

static void take(struct acme_nonces *p, const char *expected)
{
	char *nonce = acme_nonce_take(p);

	if (!expected) {
		assert_null(nonce);
		return;
	}
	assert_non_null(nonce);
	assert_string_equal(nonce, expected);
	free(nonce);
}

static void freshest_first(void **state)
{
	struct acme_nonces p = {0};

	(void)state;
	take(&p, NULL);
	acme_nonce_put(&p, NULL);
	take(&p, NULL);
	acme_nonce_put(&p, "a");
	acme_nonce_put(&p, "b");
	take(&p, "b");
	acme_nonce_put(&p, "c");
	take(&p, "c");
	take(&p, "a");
	take(&p, NULL);
}

static void bounded(void **state)
{
	struct acme_nonces p = {0};
	char name[16];

	(void)state;
	for (int i = 0; i < 3 * ACME_NONCE_MAX; i++) {
		snprintf(name, sizeof name, "n%d", i);
		acme_nonce_put(&p, name);
	}
	assert_int_equal(p.n, ACME_NONCE_MAX);
	for (int i = 3 * ACME_NONCE_MAX - 1; i >= 2 * ACME_NONCE_MAX; i--) {
		snprintf(name, sizeof name, "n%d", i);
		take(&p, name);
	}
	take(&p, NULL);
}

static void aged(void **state)
{
	struct acme_nonces p = {0};

	(void)state;
	clock_freeze(1790000000);
	acme_nonce_put(&p, "old");
	clock_advance(ACME_NONCE_AGE_MS / 2);
	acme_nonce_put(&p, "younger");
	clock_advance(ACME_NONCE_AGE_MS / 2 + 1);
	take(&p, "younger");
	take(&p, NULL);
	acme_nonce_put(&p, "x");
	acme_nonce_clear(&p);
	take(&p, NULL);
	clock_thaw();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(freshest_first), cmocka_unit_test(bounded), cmocka_unit_test(aged)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
