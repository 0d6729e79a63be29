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
	const struct js *place; /* what publish told; NULL: nothing, or it did not come to that */
};

/* report: for publish what the method wants to be told again (NULL: nothing new), err or not; for see and review what was seen, for people: an object
 * {ok, ...}, NULL when there was nothing to look at; for withdraw NULL. Borrowed. Once, on a later turn. For see(): err set means "not visible everywhere"
 * with the first difference named. */
typedef void method_done(void *arg, const struct js *report, const struct err *err);
struct method_call;

enum method_fit { METHOD_NO, METHOD_PERHAPS /* only trying tells: by delegation, say */, METHOD_YES };

struct method_ops {
	const char *challenge; /* the CA's word: "http-01" */
	bool strict;           /* what see() does not see is nowhere: the CA is not asked for it, and see() has waited long enough by itself */
	/* Could this method prove the name at all? No side effect. why: of METHOD_NO. */
	enum method_fit (*fits)(const struct method *, const char *name, bool wildcard, struct err *why);
	struct method_call *(*publish)(struct method *, const struct method_proof *, method_done *, void *arg);
	struct method_call *(*see)(struct method *, const struct method_proof *, method_done *, void *arg);
	/* Repeatable; also of what never was there. */
	struct method_call *(*withdraw)(struct method *, const struct method_proof *, method_done *, void *arg);
	void (*cancel)(struct method_call *);
	void (*free)(struct method *);
	/* --- NULL where a method has no use for it --- */
	/* What a see() under way has seen so far, as its report; borrowed, NULL: nothing yet. */
	const struct js *(*seeing)(const struct method_call *);
	/* The CA did not see it, although we did: look once more, quickly, to be set beside the CA's word. */
	struct method_call *(*review)(struct method *, const struct method_proof *, method_done *, void *arg);
	/* How the CA judged what see() had passed; err NULL: valid. For how many seconds may resolvers keep what it saw instead? 0: nothing is kept. */
	int64_t (*judged)(struct method *, const struct method_proof *, const struct err *err);
	/* Would it prove the name, as things stand? Nothing is written, no CA is asked; of proof only ca, name and wildcard are set. The report is a list as
	 * finding.h has it; err set instead: it would fail, and why. */
	struct method_call *(*check)(struct method *, const struct method_proof *, method_done *, void *arg);
};
struct method { /* first member of each implementation */
	const struct method_ops *ops;
	const char *name; /* "http:www" as the configuration names it */
};

#endif
