/* SPDX-License-Identifier: ISC */
/* The operations of keeper.h, by name. */
#ifndef DOVAD_KEEPER_OP_H
#define DOVAD_KEEPER_OP_H

#include <sys/types.h>

#include "io/rpc.h"
#include "keeper/accepted.h"
#include "keeper/haproxy.h"
#include "keeper/install.h"
#include "keeper/round.h"
#include "keeper/run.h"
#include "keeper/vault.h"

struct op_parts { /* borrowed */
	struct accepted *accepted;
	struct vault *vault;
	struct install *install;
	struct run *run;
	struct haproxy *haproxy;
	struct round *round; /* on these parts */
	const char *unit;    /* of the service manager, that we run as; NULL: of none */
	void (*reload)(void *arg); /* read the disk now */
	void *arg;
};

/* Answers the request, at once or later. uid: of the process that asks. */
void op_call(struct op_parts *k, struct rpc_request *request, const struct js *q, uid_t uid);

#endif
