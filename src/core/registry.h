/* SPDX-License-Identifier: ISC */
/* All certificates: compares new configuration with old, says what is due, starts orders within each CA's limit, and tells whoever watches. */
#ifndef DOVAD_CORE_REGISTRY_H
#define DOVAD_CORE_REGISTRY_H

#include "ca/issuer.h"
#include "core/cert.h"
#include "core/store.h"
#include "io/dns.h"
#include "io/rpc.h"
#include "io/tls.h"
#include "prove/caa_look.h"
#include "prove/method.h"

struct registry;

struct registry_parts { /* what only the main program knows how to make */
	struct issuer *(*issuer)(void *arg, const struct conf_ca *ca, struct err *err);
	struct method *(*method)(void *arg, const struct conf_method *method, struct err *err);
	/* Called whenever the clock is looked at, at least once a minute: for everything periodic that is not a certificate. May be NULL. */
	void (*tick)(void *arg);
	tls_looker *look;
	void (*look_cancel)(struct tls_look *l); /* NULL: tls_cancel */
	/* Addresses of a name, for services that are looked at where it leads; NULL: none are found. */
	struct dns_lookup *(*addresses)(void *arg, const char *name, dns_done *done, void *done_arg);
	void (*addresses_cancel)(struct dns_lookup *l); /* NULL: dns_cancel */
	/* CAA and DNSSEC of a name, for the look ahead: caa_look_start, or a script. NULL: neither is looked at. */
	struct caa_look *(*caa)(void *arg, const char *name, caa_looked *done, void *done_arg);
	void (*caa_cancel)(struct caa_look *l);
	void *arg;
};

struct registry *registry_new(struct store *store, struct rpc *keeper, const struct registry_parts *parts); /* all borrowed; loads the records */
void registry_free(struct registry *r); /* orders under way stay in the journal */

/* Make this the running configuration (takes a reference): certificates added, changed, removed; the others are not touched. */
void registry_apply(struct registry *r, struct conf *conf);
const struct conf *registry_conf(const struct registry *r); /* NULL before the first apply */

struct cert *registry_find(struct registry *r, const char *name); /* NULL: none of this name in the configuration */
/* In name order; fn returns false to stop. Cheap to resume: `after` NULL or a name. */
void registry_each(struct registry *r, const char *after, bool (*fn)(void *arg, struct cert *c), void *arg);

/* The last attempt that asked for proofs, as `order` of cert_show was, when none is under way; NULL: none. Caller owns. */
struct js *registry_last_order(struct registry *r, const struct cert *c);

struct registry_summary {
	size_t certs, failing, stale, running, waiting, disabled; /* failing: CERT_FAILED, CERT_HELD */
	size_t at_risk;                                           /* not failing, but the next renewal would fail */
	struct cert *next;                                        /* the next one due, NULL: none */
	const char *trouble[2];                                   /* what holds everything up, for people; NULL: no more of it */
};
void registry_summary(struct registry *r, struct registry_summary *out);
struct registry_outcome { /* since the start */
	const char *word; /* of the history; "failed" of those that are tried again, "stale" and "held" for themselves */
	uint64_t times;
};
const struct registry_outcome *registry_outcomes(const struct registry *r, size_t *n);
struct issuer *registry_issuer(struct registry *r, const char *ca); /* NULL: none */
void registry_each_issuer(struct registry *r, void (*fn)(void *arg, struct issuer *is), void *arg);

/* Operator's verbs. renew: begins at once or as soon as the CA allows; force: although not due (else a certificate that is not due is an error
 * that says when it is). */
bool registry_renew(struct registry *r, struct cert *c, bool force, struct err *err) __attribute__((warn_unused_result));
/* The generation before the installed one becomes current again and is put into service; it stays as cert_is_back() says. done(arg, err): err NULL when its
 * files are back; the services are told next, as events say. ERR_TEMP "busy": something else is under way. */
void registry_back(struct registry *r, struct cert *c, void (*done)(void *arg, const struct err *err), void *arg);
/* done(arg, err): err NULL when revoked. */
void registry_revoke(struct registry *r, struct cert *c, int reason, void (*done)(void *arg, const struct err *err), void *arg);

/* What our account at a CA has. list is borrowed and NULL when err is set ("ca": not configured, or of a kind without such things). Once, at once or later. */
void registry_inventory(struct registry *r, const char *ca, enum issuer_list what, void (*done)(void *arg, const struct js *list, const struct err *err), void *arg);

/* Would the next renewal work? Nothing is ordered or written. check, borrowed: {at, verdict "ok", "warn" or "fail", why, findings}; NULL: the certificate left
 * the configuration meanwhile. Once, on a later turn; a few are looked at at a time, others wait in line. */
struct registry_check;
struct registry_check *registry_check(struct registry *r, const struct cert *c, void (*done)(void *arg, const struct js *check), void *arg);
void registry_uncheck(struct registry_check *w); /* NULL is fine; done() will not be called */

/* Events as they happen: {at, cert, event, state, ...}. cert NULL: all. */
struct registry_watch;
struct registry_watch *registry_watch(struct registry *r, const char *cert, void (*fn)(void *arg, const struct js *event), void *arg);
void registry_unwatch(struct registry_watch *w); /* safe inside fn */

#endif
