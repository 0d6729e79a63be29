/* SPDX-License-Identifier: ISC */
/* The signing part of the keeper for tests: served over io/rpc in this process, with a key of its own. For "acs" it signs nothing: the query is the action
 * and its parameters as they stand ("ListX&Status=a"), the headers x-action and x-skew. */
#ifndef DOVAD_TESTS_FAKEKEEPER_H
#define DOVAD_TESTS_FAKEKEEPER_H

#include "base/err.h"
#include "crypto/key.h"
#include "io/rpc.h"

struct fakekeeper {
	struct key *key;
	struct rpc *rpc; /* the client's side, to hand to an issuer */
	struct rpc_peer *peer;
	unsigned accounts, signs, binds, acs; /* calls */
	bool hold;			 /* answer nothing before the end */
	struct rpc_request *held[64];
	unsigned nheld;
	struct js *last; /* request, the latest */
	const char *say;   /* JSON: the answer to every "acs" */
	struct err refuse; /* kind set: refuse every call with this */
};

void fakekeeper_open(struct fakekeeper *k);
void fakekeeper_close(struct fakekeeper *k);

#endif
