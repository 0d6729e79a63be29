/* SPDX-License-Identifier: ISC */
/* Where a certificate is to be seen on the wire, and whether it is: shared by the order that puts it there and the regular look afterwards. */
#ifndef DOVAD_CORE_LOOK_H
#define DOVAD_CORE_LOOK_H

#include "core/cert.h"
#include "core/name.h"
#include "io/tls.h"

enum { LOOK_PORT = 443 /* where TLS begins at once */, LOOK_TIMEOUT_MS = 5000 };

struct look_own { /* where a service listens that is to be found by itself: the name's own addresses on this host */
	size_t n;
	struct addr v[];
};
bool look_wants_own(const struct conf_cert *conf); /* one of its services is */
char *look_name(const struct conf_cert *conf, char out[NAME_ROOM + 8]); /* whose: it is asked for on the wire, too; returns out */
/* Those of a name's addresses that are of this host, loopback when none is (behind NAT, or nobody could tell). Caller frees. */
struct look_own *look_own_of(const struct addr *addrs, size_t n);
struct look_own *look_own_known(const struct cert *c); /* the same of where it was looked at before: for when DNS does not answer */

struct look_at {
	const struct conf_service *service;
	size_t nth;                /* it is the certificate's n-th */
	char address[ADDR_TEXT];   /* as configured, or found */
	bool found;                /* one of several: the service need not listen at each of them */
	char sni[NAME_ROOM + 8];
};
/* The n-th address to look at, counted over all services; false: there are no more. own: NULL: those to be found are left out. */
bool look_find(const struct conf_cert *conf, const struct look_own *own, size_t n, struct look_at *out) __attribute__((warn_unused_result));
/* How to look there; false: the address is none. Borrows from `at`. The one way into a look, whoever looks. */
bool look_ask(const struct conf_cert *conf, const struct look_at *at, struct tls_ask *ask) __attribute__((warn_unused_result));

/* Targets of the certificate that look_find has no more are forgotten. true: there were some. */
bool look_prune(struct cert *c, const struct look_own *own);

enum look_verdict {
	LOOK_OURS,    /* what is installed, chain and all */
	LOOK_OTHER,   /* another one, or not all of it: ERR_LOCAL "stale" */
	LOOK_NOTHING, /* no answer, or none that can be read */
};
/* What was seen there, compared with what is installed and noted at the certificate's target. *err: how the look ended; on return why it is not ours.
 * *news: is set when something else was noted before; NULL: no matter. */
enum look_verdict look_note(struct cert *c, const struct look_at *at, const struct tls_seen *seen, struct err *err, bool *news);

#endif
