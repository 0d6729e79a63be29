/* SPDX-License-Identifier: ISC */
/* Certificates by the time something is due (a heap): nothing walks all of them to find the next. */
#ifndef DOVAD_CORE_QUEUE_H
#define DOVAD_CORE_QUEUE_H

#include "core/cert.h"

struct queue {
	struct cert **v; /* 1-based; cert->heap is its place */
	size_t n, room;
};

void queue_set(struct queue *q, struct cert *c);    /* put in, or move to its new next_at; next_at 0 takes it out */
void queue_drop(struct queue *q, struct cert *c);   /* harmless when not in */
struct cert *queue_first(const struct queue *q);    /* NULL: empty */
void queue_free(struct queue *q);

#endif
