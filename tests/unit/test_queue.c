/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/queue.h"

#include <stdlib.h>
#include <string.h>

enum { MANY = 300 };

static void the_earliest_comes_first(void **state)
{
	struct cert c[3] = { { .next_at = 30 }, { .next_at = 10 }, { .next_at = 20 } };
	struct queue q = { 0 };

	(void)state;
	assert_null(queue_first(&q));
	for (int i = 0; i < 3; i++)
		queue_set(&q, &c[i]);
	assert_ptr_equal(queue_first(&q), &c[1]);
	queue_drop(&q, &c[1]);
	assert_ptr_equal(queue_first(&q), &c[2]);
	queue_drop(&q, &c[2]);
	queue_drop(&q, &c[0]);
	assert_null(queue_first(&q));
	queue_free(&q);
}

static void setting_again_moves_and_zero_takes_out(void **state)
{
	struct cert a = { .next_at = 10 }, b = { .next_at = 20 };
	struct queue q = { 0 };

	(void)state;
	queue_set(&q, &a);
	queue_set(&q, &b);
	a.next_at = 30;
	queue_set(&q, &a);
	assert_ptr_equal(queue_first(&q), &b);
	assert_int_equal(q.n, 2);
	b.next_at = 0;
	queue_set(&q, &b);
	assert_int_equal(b.heap, 0);
	assert_ptr_equal(queue_first(&q), &a);
	queue_drop(&q, &b); /* not in: harmless */
	queue_drop(&q, &a);
	queue_drop(&q, &a);
	assert_null(queue_first(&q));
	queue_free(&q);
	queue_free(&q);
}

static void check(const struct queue *q)
{
	for (size_t i = 1; i <= q->n; i++) {
		assert_int_equal(q->v[i]->heap, i);
		if (i > 1)
			assert_true(q->v[i / 2]->next_at <= q->v[i]->next_at);
	}
}

static int64_t least(const struct cert *c)
{
	int64_t best = 0;

	for (int i = 0; i < MANY; i++)
		if (c[i].heap && (best == 0 || c[i].next_at < best))
			best = c[i].next_at;
	return best;
}

/* Against a plain search, over many random changes; extreme times among them. */
static void it_is_a_heap_whatever_happens(void **state)
{
	static struct cert c[MANY];
	struct queue q = { 0 };
	size_t in = 0;

	(void)state;
	srandom(7);
	for (int step = 0; step < 20000; step++) {
		struct cert *one = &c[random() % MANY];

		in -= one->heap != 0;
		switch (random() % 4) {
		case 0:
			queue_drop(&q, one);
			break;
		case 1:
			one->next_at = random() % 50 == 0 ? INT64_MAX : random() % 50 == 0 ? INT64_MIN : random() % 100 - 50;
			queue_set(&q, one);
			break;
		default:
			one->next_at = 1 + random() % 1000;
			queue_set(&q, one);
		}
		in += one->heap != 0;
		assert_int_equal(q.n, in);
		if (step % 16 == 0) {
			check(&q);
			assert_int_equal(q.n ? queue_first(&q)->next_at : 0, least(c));
		}
	}
	queue_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_earliest_comes_first),
		cmocka_unit_test(setting_again_moves_and_zero_takes_out),
		cmocka_unit_test(it_is_a_heap_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
