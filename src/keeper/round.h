/* SPDX-License-Identifier: ISC */
/* The operations that must last, done in step: all that came write, one sync, all go on, one sync. So a disk that takes its time takes it once for all of
 * them, and meanwhile signatures are given. Nobody is answered before everything of his is on the disk. What does not go smoothly here is done again
 * alone: that is where errors are found and told. */
#ifndef DOVAD_KEEPER_ROUND_H
#define DOVAD_KEEPER_ROUND_H

#include "io/rpc.h"
#include "io/sync.h"
#include "keeper/gate.h"

struct round_op {
	/* Begins; what it adds to s is synced before each further step. NULL: to be done alone. The function itself NULL: always alone. */
	void *(*write)(void *arg, const struct js *q, struct sync *s);
	int steps;
	bool (*step)(void *job, int step, struct sync *s); /* from 0; false: to be done alone */
	struct js *(*end)(void *job, bool done);           /* frees the job; the answer when done, else nothing of it is left */
	void (*alone)(void *arg, struct rpc_request *request, const struct js *q); /* does and answers it */
	bool switches; /* what services read: begins when the gate lets it in, and holds nothing but its request before that */
};

struct round *round_new(void *arg, struct gate *gate); /* arg: for the functions above; both borrowed */
void round_free(struct round *r);   /* after the peers: what is not done is taken back, they ask the next keeper */
/* Begins on a later turn, when the present round is over; one after the other for the same certificate. Others do not wait for what waits at the gate.
 * q is kept. */
void round_add(struct round *r, const struct round_op *op, struct rpc_request *request, const struct js *q);
/* Is anything of this certificate (NULL: no) under way or waiting? */
bool round_holds(const struct round *r, const char *cert);

#endif
