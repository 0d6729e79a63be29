/* SPDX-License-Identifier: ISC */
#include "core/queue.h"

#include <stdlib.h>

#include "base/mem.h"

static void queue_place(struct queue *q, size_t i, struct cert *c)
{
	q->v[i] = c;
	c->heap = i;
}

/* Move c from the hole at i to where it belongs. */
static void queue_sift(struct queue *q, size_t i, struct cert *c)
{
	while (i > 1 && q->v[i / 2]->next_at > c->next_at) {
		queue_place(q, i, q->v[i / 2]);
		i /= 2;
	}
	for (size_t child; (child = 2 * i) <= q->n; i = child) {
		if (child < q->n && q->v[child + 1]->next_at < q->v[child]->next_at)
			child++;
		if (q->v[child]->next_at >= c->next_at)
			break;
		queue_place(q, i, q->v[child]);
	}
	queue_place(q, i, c);
}

void queue_drop(struct queue *q, struct cert *c)
{
	size_t hole = c->heap;
	struct cert *last;

	if (hole == 0)
		return;
	c->heap = 0;
	last = q->v[q->n--];
	if (last != c)
		queue_sift(q, hole, last);
}

void queue_set(struct queue *q, struct cert *c)
{
	queue_drop(q, c);
	if (c->next_at == 0)
		return;
	if (q->n + 1 >= q->room) {
		q->room = q->room ? q->room * 2 : 64;
		q->v = mem_resize(q->v, q->room, sizeof(struct cert *));
	}
	queue_sift(q, ++q->n, c);
}

struct cert *queue_first(const struct queue *q)
{
	return q->n ? q->v[1] : NULL;
}

void queue_free(struct queue *q)
{
	free(q->v);
	*q = (struct queue){0};
}
