/* SPDX-License-Identifier: ISC */
/* The operations of keeper.h, by name. */
#ifndef DOVAD_KEEPER_OP_H
#define DOVAD_KEEPER_OP_H

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
	void (*reload)(void *arg); /* read the disk now */
	void *arg;
};

/* Answers the request, at once or later. */
void op_call(struct op_parts *k, struct rpc_request *request, const struct js *q);

#endif
