/* SPDX-License-Identifier: ISC */
/* Who issues: one interface, one implementation per kind of CA. What belongs to a CA (directory, nonces, account, limits, "not before") lives in
 * the issuer; orders queue on it. Words are RFC 8555's.
 *
 * Every operation calls done() once, on a later turn, unless its call is cancelled. The answer and everything in it are borrowed for the
 * call; err is set when the answer is NULL. Operations do not retry beyond badNonce and a connection that broke before the request
 * was sent: waiting and repeating is the order machine's work. */
#ifndef DOVAD_CA_ISSUER_H
#define DOVAD_CA_ISSUER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum issuer_status { ISSUER_PENDING, ISSUER_READY, ISSUER_PROCESSING, ISSUER_VALID, ISSUER_INVALID, ISSUER_GONE };
const char *issuer_status_name(enum issuer_status s); /* "pending", ... */

struct issuer_order {
	enum issuer_status status;
	const char *url;             /* where to read it again */
	const char *finalize;        /* NULL: not known yet */
	const char *certificate;     /* NULL: not there yet */
	int64_t expires;             /* UNIX seconds, 0: not said */
	const char *const *authz;    /* URLs */
	size_t nauthz;
	const char *const *names;    /* identifiers as the CA wrote them, lower case */
	size_t nnames;
	int64_t wait_ms;             /* the CA's word on when to ask again, clamped to 1..60 s; 0: none */
	const struct err *problem;   /* with ISSUER_INVALID, NULL: none given */
};

enum issuer_proof_status { ISSUER_PROOF_PENDING, ISSUER_PROOF_PROCESSING, ISSUER_PROOF_VALID, ISSUER_PROOF_INVALID };
struct issuer_challenge {
	const char *type; /* "http-01" */
	const char *url;
	const char *token; /* passes text_is_token; NULL: the type has none */
	enum issuer_proof_status status;
};
struct issuer_authz {
	const char *url;
	const char *name;        /* without "*." */
	bool wildcard;
	enum issuer_status status; /* PENDING, VALID, INVALID (deactivated, expired, revoked: GONE) */
	int64_t expires;
	const struct issuer_challenge *challenge;
	size_t nchallenge;
	int64_t wait_ms;
	const struct err *problem; /* of the failed challenge, with its type and detail */
};

struct issuer_identity { /* as CAA records know it */
	const char *const *names; /* issuer-domain-names (RFC 8659), any of which means this CA */
	size_t n;                 /* 0: it does not tell */
	const char *account;      /* accounturi (RFC 8657); NULL: there is no account yet */
};
enum { ISSUER_NAMES_MAX = 16 };

struct issuer_answer {
	const struct issuer_order *order; /* create, order, finalize */
	const struct issuer_authz *authz; /* authz; announce (the challenge's authorization is not in the answer: authz is NULL then) */
	const char *chain;                /* fetch: what should be PEM, as it was sent: to be parsed and accepted before it is believed */
	size_t chain_len;
	const char *text;                 /* account: thumbprint */
	int64_t wait_ms;                  /* announce: when to ask, 0: none */
	const struct issuer_identity *identity; /* identify */
	const struct js *list;            /* list: objects, for people */
};
/* What an account has at a CA that sells by the piece: purchased instances {id, certificate, brand, spec, source, state, certificate_state, names, single,
 * wildcards, ends}, contacts {id, name, email, email_verified, mobile_verified}, companies {id, name, city, country}; what it does not tell is
 * absent. */
enum issuer_list { ISSUER_INSTANCES, ISSUER_CONTACTS, ISSUER_COMPANIES, ISSUER_LISTS };

typedef void issuer_done(void *arg, const struct issuer_answer *answer, const struct err *err);

struct issuer;
struct issuer_call;

struct issuer_ops { /* of a kind that takes no orders all down to revoke are NULL */
	/* Account there and usable (made or recovered by key); answer->text: the key's thumbprint. Cheap when it already is. */
	struct issuer_call *(*account)(struct issuer *, issuer_done *, void *arg);
	struct issuer_call *(*create)(struct issuer *, const char *const *names, size_t n, issuer_done *, void *arg);
	struct issuer_call *(*order)(struct issuer *, const char *url, issuer_done *, void *arg);
	struct issuer_call *(*authz)(struct issuer *, const char *url, issuer_done *, void *arg);
	struct issuer_call *(*announce)(struct issuer *, const char *challenge_url, issuer_done *, void *arg);
	struct issuer_call *(*finalize)(struct issuer *, const char *order_url, const char *finalize_url, const char *csr_b64url, issuer_done *, void *arg);
	/* The default chain or, with a preferred root configured, the alternate that ends there. */
	struct issuer_call *(*fetch)(struct issuer *, const char *certificate_url, issuer_done *, void *arg);
	struct issuer_call *(*deactivate)(struct issuer *, const char *authz_url, issuer_done *, void *arg);
	struct issuer_call *(*revoke)(struct issuer *, const char *cert_b64url, int reason, issuer_done *, void *arg);
	void (*cancel)(struct issuer_call *);
	/* What admins and metrics see: {account, directory, not_before, requests, problems, profiles, terms}. Caller owns. */
	struct js *(*status)(struct issuer *);
	void (*free)(struct issuer *); /* calls under way are forgotten */
	/* An operator wants a try now: what was refused before is asked for again; times to wait that the CA named still hold. NULL: nothing to forget. */
	void (*retry)(struct issuer *);
	/* Who it is in CAA records, and whether it is there: asks for nothing but what everybody may read, every few seconds at most. An answer may come with an
	 * error: it is known from before then. NULL: this kind cannot tell. */
	struct issuer_call *(*identify)(struct issuer *, issuer_done *, void *arg);
	/* NULL: this kind of CA has no such things. */
	struct issuer_call *(*list)(struct issuer *, enum issuer_list what, issuer_done *, void *arg);
	/* UNIX seconds: no new order before (rate limit, outage of the whole host); 0: none. Asked anew each time: it passes, and clocks are set. */
	int64_t (*not_before)(const struct issuer *);
};
struct issuer { /* first member of each implementation */
	const struct issuer_ops *ops;
	const char *name;
};

/* What an issuer keeps over restarts (account URL, not_before): handed in at construction, and out whenever it changes. */
struct issuer_memory {
	struct js *(*load)(void *arg, const char *ca);                      /* NULL: nothing kept; caller owns */
	void (*save)(void *arg, const char *ca, const struct js *memory); /* committed with this turn, before the next request leaves */
	void *arg;
};

#endif
