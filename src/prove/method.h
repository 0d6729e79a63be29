/* SPDX-License-Identifier: ISC */
/* How ownership is shown: one interface, one file per method. */
#ifndef DOVAD_PROVE_METHOD_H
#define DOVAD_PROVE_METHOD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

struct method;

struct method_proof { /* what is to be shown; copied by the method when it needs it longer */
	const char *ca;         /* name of the ca entry */
	const char *name;       /* without "*." */
	bool wildcard;
	const char *token;
	const char *thumbprint; /* of the account key */
};

/* report: what was seen, for people: an object {ok, addresses: [{address, ok, text}]}; NULL for publish and withdraw, and when there was no address
 * to look at. Borrowed. Once, on a later turn. For see(): err set means "not visible everywhere" with the first difference named. */
typedef void method_done(void *arg, const struct js *report, const struct err *err);
struct method_call;

struct method_ops {
	const char *challenge; /* the CA's word: "http-01" */
	/* Could this method prove the name at all? No side effect. */
	bool (*fits)(const struct method *, const char *name, bool wildcard, struct err *why);
	struct method_call *(*publish)(struct method *, const struct method_proof *, method_done *, void *arg);
	struct method_call *(*see)(struct method *, const struct method_proof *, method_done *, void *arg);
	/* Repeatable; also of what never was there. */
	struct method_call *(*withdraw)(struct method *, const struct method_proof *, method_done *, void *arg);
	void (*cancel)(struct method_call *);
	void (*free)(struct method *);
};
struct method { /* first member of each implementation */
	const struct method_ops *ops;
	const char *name; /* "http:www" as the configuration names it */
};

#endif
