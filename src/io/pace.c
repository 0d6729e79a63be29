/* SPDX-License-Identifier: ISC */
#include "io/pace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/loop.h"

enum { ROWS = 1024, SWEEP_MS = 10000, SECOND_US = 1000000 };

/* A token bucket told by one number (the virtual scheduling of the generic cell rate algorithm): when it will be full again. Full now: as good as none. */
struct bucket {
	LIST_ENTRY(bucket) link;
	int64_t full_us;
	char key[];
};

struct pace {
	LIST_HEAD(, bucket) rows[ROWS];
	struct timer sweep;
};

struct pace *pace_new(void)
{
	struct pace *p = mem_alloc(sizeof(*p));

	for (size_t i = 0; i < ROWS; i++)
		LIST_INIT(&p->rows[i]);
	return p;
}

/* Drops what is full by `now`. */
static size_t drop(struct pace *p, int64_t now)
{
	struct bucket *b, *next;
	size_t left = 0;

	for (size_t i = 0; i < ROWS; i++) {
		for (b = LIST_FIRST(&p->rows[i]); b; b = next) {
			next = LIST_NEXT(b, link);
			if (b->full_us > now) {
				left++;
				continue;
			}
			LIST_REMOVE(b, link);
			free(b);
		}
	}
	return left;
}

size_t pace_forget(struct pace *p)
{
	return drop(p, clock_mono_us());
}

static void sweep(void *arg)
{
	struct pace *p = arg;

	if (pace_forget(p) > 0)
		timer_arm(&p->sweep, SWEEP_MS, sweep, p);
}

static struct bucket *bucket_ensure(struct pace *p, const char *key)
{
	size_t row = text_hash(key) % ROWS, len = strlen(key) + 1;
	struct bucket *b;

	LIST_FOREACH(b, &p->rows[row], link)
		if (strcmp(b->key, key) == 0)
			return b;
	b = mem_alloc(sizeof(*b) + len);
	memcpy(b->key, key, len);
	LIST_INSERT_HEAD(&p->rows[row], b, link);
	if (!timer_armed(&p->sweep))
		timer_arm(&p->sweep, SWEEP_MS, sweep, p);
	return b;
}

/* What may come at once and what comes evenly, together, in the second that begins with the first of them: no more than the rate. */
int64_t pace_take(struct pace *p, const char *key, unsigned per_second)
{
	struct bucket *b = bucket_ensure(p, key);
	int64_t at_once = per_second < 8 ? 1 : per_second / 4, evenly = at_once > 1 ? per_second - at_once : per_second;
	int64_t now = clock_mono_us(), each = (SECOND_US + evenly - 1) / evenly, wait;

	if (b->full_us < now)
		b->full_us = now;
	wait = b->full_us - now - (at_once - 1) * each;
	b->full_us += each;
	return wait > 0 ? wait : 0;
}

void pace_free(struct pace *p)
{
	if (!p)
		return;
	timer_disarm(&p->sweep);
	drop(p, INT64_MAX);
	free(p);
}
