/* SPDX-License-Identifier: ISC */
/* One test and one reload for many: what is installed and waits for the same service is put into service together. Who waits goes on once no other order
 * for any of his services is under way, or ten seconds after the first who waits for the service. */
#ifndef DOVAD_CORE_GATHER_H
#define DOVAD_CORE_GATHER_H

#include <sys/queue.h>

#include "core/cert.h"
#include "io/loop.h"

enum { GATHER_MS = 10000 };

struct gather_member { /* an order; memory of its owner, zeroed */
	TAILQ_ENTRY(gather_member) link;
	struct gather *of;       /* NULL: of none */
	const struct cert *cert; /* whose services count as they are configured at the time */
	int64_t since_ms;        /* monotonic, when it began to wait; 0: it is under way */
	bool ready;
	void (*go)(void *arg);
	void *arg;
};

struct gather {
	TAILQ_HEAD(, gather_member) members;
	const struct conf *conf; /* borrowed */
	struct timer timer;
};

void gather_init(struct gather *g);
void gather_end(struct gather *g); /* after all members left */
/* The running configuration, when it is another one; those of all members' certificates are of it. */
void gather_conf(struct gather *g, const struct conf *conf);
/* An order for this certificate is under way. */
void gather_join(struct gather *g, struct gather_member *m, const struct cert *cert);
/* What it orders is installed: it waits, or joins and waits. go(arg) is called once, on a later turn, when m has left. */
void gather_wait(struct gather *g, struct gather_member *m, const struct cert *cert, void (*go)(void *arg), void *arg);
void gather_leave(struct gather_member *m); /* however it ends; harmless for one that is not in */

#endif
