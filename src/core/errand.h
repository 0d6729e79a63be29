/* SPDX-License-Identifier: ISC */
/* Tests and reloads of services, asked of the keeper: those of one kind and service that are asked for in one turn are one, and all hear how it ended. */
#ifndef DOVAD_CORE_ERRAND_H
#define DOVAD_CORE_ERRAND_H

#include <stdint.h>
#include <sys/queue.h>

#include "io/rpc.h"

struct errand;
struct errand_wait;

struct errands { /* zeroed, then these two */
	struct rpc *keeper; /* borrowed */
	LIST_HEAD(, errand) all;
};

struct errand_wish {      /* copied */
	const char *op;       /* of the keeper: "test", "load", "restore" */
	const char *service;
	const char *cert;     /* it is asked for */
	const char *conf;     /* digest of the configuration it is asked by */
	int64_t timeout_ms;
};
/* done() as of rpc_send, unless cancelled. */
struct errand_wait *errand_ask(struct errands *e, const struct errand_wish *wish, rpc_done *done, void *arg);
void errand_cancel(struct errand_wait *w);

#endif
