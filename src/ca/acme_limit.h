/* SPDX-License-Identifier: ISC */
/* Who has to stay away after a refusal with a time to wait: the one order that was refused, every new order of the account, or everything that goes
 * to this host. Never read out of the words of a refusal: the kind of request and the HTTP status tell. */
#ifndef DOVAD_CA_ACME_LIMIT_H
#define DOVAD_CA_ACME_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum acme_scope {	    /* whom a 429 to a request concerns */
	ACME_SCOPE_HOST,    /* everybody: a request without account */
	ACME_SCOPE_ACCOUNT, /* every new order: newAccount */
	ACME_SCOPE_NAMES,   /* these names, until names of another domain are refused too: newOrder */
	ACME_SCOPE_ONE,	    /* nobody else */
};

struct acme_limit {	  /* zeroed: nothing known */
	int64_t host;	  /* UNIX seconds, no request before; 0: none */
	int64_t account;  /* no new order and no new account before; 0: none */
	int64_t until;	  /* of the last newOrder that was refused ... */
	char domain[256]; /* ... for names of this domain */
};

/* May a request of this scope leave now? Else ERR_LIMIT with not_before. */
bool acme_limit_check(const struct acme_limit *l, enum acme_scope scope, struct err *err) __attribute__((warn_unused_result));
/* A request was refused with ERR_LIMIT. name: one of the order's, NULL without. Returns true when host or account changed. */
bool acme_limit_note(struct acme_limit *l, enum acme_scope scope, const char *name, const struct err *err);
/* A new order was accepted: an earlier refusal was about its own names only. */
void acme_limit_accept(struct acme_limit *l);
/* UNIX seconds before which no new order makes sense; 0: none. */
int64_t acme_limit_not_before(const struct acme_limit *l);

#endif
