/* SPDX-License-Identifier: ISC */
/* The operations of one turn that must last, done in step: all write, one sync, all go on, one sync. So a disk that takes its time takes it once for
 * all of them, and nobody is answered before everything of his is on the disk. What does not go smoothly here is done again alone, as if it had come
 * alone: that is where errors are found and told. */
#ifndef DOVAD_KEEPER_ROUND_H
#define DOVAD_KEEPER_ROUND_H

#include "io/rpc.h"

struct round_op { /* arg is that of round_new; NULL and false: to be done alone */
	void *(*write)(void *arg, const struct js *q);
	bool (*steps[2])(void *job);
	int (*folder)(void *job, size_t i);           /* one on each file system that is written to; -1 beyond the last */
	struct js *(*end)(void *job, bool done);      /* frees the job; the answer when done, else nothing of it is left */
	void (*alone)(void *arg, struct rpc_request *request, const struct js *q); /* does and answers it */
};

struct round *round_new(void *arg);
void round_free(struct round *r); /* after the peers: what was not begun is forgotten, they ask the next keeper */
/* Gathered until the next turn. q is kept. */
void round_add(struct round *r, const struct round_op *op, struct rpc_request *request, const struct js *q);

#endif
