/* SPDX-License-Identifier: ISC */
/* Where a certificate is to be seen on the wire, and whether it is: shared by the order that puts it there and the regular look afterwards. */
#ifndef DOVAD_CORE_LOOK_H
#define DOVAD_CORE_LOOK_H

#include "core/cert.h"
#include "core/name.h"
#include "io/tls.h"

enum { LOOK_PORT = 443 /* where TLS begins at once */, LOOK_TIMEOUT_MS = 5000 };

struct look_at {
	const struct conf_service *service;
	size_t nth;                /* it is the certificate's n-th */
	const char *address;       /* as configured */
	char sni[NAME_ROOM + 8];
};
/* The n-th address to look at, counted over all services; false: there are no more. */
bool look_find(const struct conf_cert *conf, size_t n, struct look_at *out) __attribute__((warn_unused_result));
/* How to look there; false: the address is none. Borrows from `at`. The one way into a look, whoever looks. */
bool look_ask(const struct look_at *at, struct tls_ask *ask) __attribute__((warn_unused_result));

enum look_verdict {
	LOOK_OURS,    /* what is installed, chain and all */
	LOOK_OTHER,   /* another one, or not all of it: ERR_LOCAL "stale" */
	LOOK_NOTHING, /* no answer, or none that can be read */
};
/* What was seen there, compared with what is installed and noted at the certificate's target. *err: how the look ended; on return why it is not ours.
 * *news: is set when something else was noted before; NULL: no matter. */
enum look_verdict look_note(struct cert *c, const struct look_at *at, const struct tls_seen *seen, struct err *err, bool *news);

#endif
