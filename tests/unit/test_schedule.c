/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/schedule.h"

enum { DAY = 86400 };

static void renewal_is_at_a_third_with_jitter_inside_a_fortieth(void **state)
{
	int64_t nb = 1700000000, na = nb + 90 * DAY;

	(void)state;
	for (int i = 0; i < 500; i++) {
		char name[16] = {(char)('a' + i % 26), (char)('a' + i / 26), 0};
		int64_t at = schedule_renewal(name, nb, na);

		assert_in_range(at, na - 30 * DAY - 90 * DAY / 40, na - 30 * DAY);
		assert_int_equal(at, schedule_renewal(name, nb, na));
	}
	assert_int_not_equal(schedule_renewal("a", nb, na), schedule_renewal("b", nb, na));
}

static void short_lives_renew_at_half(void **state)
{
	int64_t nb = 1700000000, na = nb + 160 * 3600;

	(void)state;
	assert_in_range(schedule_renewal("a", nb, na), na - 80 * 3600 - 4 * 3600, na - 80 * 3600);
}

static void absurd_lives_do_not_overflow(void **state)
{
	(void)state;
	assert_int_equal(schedule_renewal("a", 100, 100), 100);
	assert_int_equal(schedule_renewal("a", 100, 99), 99);
	assert_in_range(schedule_renewal("a", 100, 101), 100, 101);
	assert_true(schedule_renewal("a", 0, INT64_C(253402300799)) > 0);
}

static void retries_grow_to_daily_and_never_shrink_or_vanish(void **state)
{
	static const int64_t want[] = {60, 600, 6000, DAY, DAY};
	struct err err = {.kind = ERR_TEMP};
	int64_t now = 1700000000;

	(void)state;
	for (unsigned n = 1; n <= 100000; n = n < 6 ? n + 1 : n * 7)
		for (uint64_t seed = 0; seed < 50; seed++) {
			int64_t w = want[n > 5 ? 4 : n - 1], d = schedule_retry(&err, n, now, 0, seed * 7919) - now;

			assert_in_range(d, w - w / 4 - 1, w + w / 4 + 1);
		}
	assert_true(schedule_retry(&err, 4294967295u, now, 0, UINT64_MAX) > now + DAY / 2);
	assert_true(schedule_retry(&err, 0, now, 0, 1) > now);
}

static void a_ca_forgets_sooner_or_later(void **state)
{
	static const struct {
		const char *directory;
		int64_t ttl, wait;
	} rows[] = {
		{"https://acme-v02.api.letsencrypt.org/directory", 30, 30}, {"https://acme-v02.api.letsencrypt.org/directory", 900, 60},
		{"https://acme-staging-v02.api.letsencrypt.org/directory", 86400, 60}, {"https://letsencrypt.org.example/dir", 900, 900},
		{"https://ca.example/dir", 900, 900}, {"https://ca.example/dir", UINT32_MAX, 3600}, {"", 0, 0}, {"https://ca.example/dir", -5, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(schedule_forgotten(rows[i].directory, rows[i].ttl, 1700000000), 1700000000 + rows[i].wait);
}

static void a_short_remaining_life_clamps_the_delay(void **state)
{
	struct err err = {.kind = ERR_DENIED};
	int64_t now = 1700000000;

	(void)state;
	assert_in_range(schedule_retry(&err, 9, now, now + 16 * 3600, 3) - now, 5400, 9000); /* an eighth: 2 h */
	assert_in_range(schedule_retry(&err, 9, now, now + 60, 3) - now, 2700, 4500);        /* at least 1 h */
	assert_in_range(schedule_retry(&err, 9, now, now - 60, 3) - now, DAY * 3 / 4, DAY * 5 / 4);
}

static void what_a_human_must_change_is_tried_daily(void **state)
{
	static const enum err_kind kinds[] = {ERR_DENIED, ERR_INPUT, ERR_BUG};
	int64_t now = 1700000000;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct err err = {.kind = kinds[i]};

		assert_in_range(schedule_retry(&err, 1, now, 0, 99) - now, DAY * 3 / 4, DAY * 5 / 4);
	}
}

static void a_bad_nonce_is_tried_again_soon_but_only_once(void **state)
{
	struct err err = {.kind = ERR_TEMP, .type = "badNonce"};

	(void)state;
	assert_in_range(schedule_retry(&err, 1, 1700000000, 0, 7) - 1700000000, 3, 7);
	assert_in_range(schedule_retry(&err, 2, 1700000000, 0, 7) - 1700000000, 450, 750);
}

static void the_peers_own_time_is_never_undercut(void **state)
{
	struct err err = {.kind = ERR_LIMIT, .not_before = 1700000000 + 40 * DAY};

	(void)state;
	assert_int_equal(schedule_retry(&err, 1, 1700000000, 0, 5), err.not_before);
	err.not_before = 1700000001;
	assert_true(schedule_retry(&err, 1, 1700000000, 0, 5) >= 1700000045);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renewal_is_at_a_third_with_jitter_inside_a_fortieth),
		cmocka_unit_test(short_lives_renew_at_half),
		cmocka_unit_test(absurd_lives_do_not_overflow),
		cmocka_unit_test(retries_grow_to_daily_and_never_shrink_or_vanish),
		cmocka_unit_test(a_ca_forgets_sooner_or_later),
		cmocka_unit_test(a_short_remaining_life_clamps_the_delay),
		cmocka_unit_test(what_a_human_must_change_is_tried_daily),
		cmocka_unit_test(a_bad_nonce_is_tried_again_soon_but_only_once),
		cmocka_unit_test(the_peers_own_time_is_never_undercut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
