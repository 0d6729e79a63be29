/* SPDX-License-Identifier: ISC */
/* Look at what a TLS service really serves: connect, ask for TLS where it does not begin at once, shake hands with SNI, take the certificates, leave.
 * Nothing is verified here. */
#ifndef DOVAD_IO_TLS_H
#define DOVAD_IO_TLS_H

#include "base/err.h"
#include "io/addr.h"
#include "io/starttls.h"

struct tls_look;

enum tls_keys { TLS_ANY, TLS_ECDSA, TLS_RSA };
struct tls_ask {
	struct addr at;
	const char *sni;             /* NULL or an IP: none is sent */
	enum starttls_kind starttls; /* what is spoken there before TLS */
	enum tls_keys keys;          /* which of its certificates; who has none of this kind is asked once more, for any */
	int64_t timeout_ms;          /* for all of it, from when it begins: few are under way at once, the others wait their turn */
};
struct tls_seen {
	size_t n; /* certificates, leaf first, at most 10 */
	const unsigned char *der[10];
	size_t len[10];
	const char *version; /* "TLSv1.3" */
};
/* seen is borrowed and NULL when err is set (type "connect", "starttls", "tls", "timeout"). Once, on a later turn. */
typedef void tls_done(void *arg, const struct tls_seen *seen, const struct err *err);
typedef struct tls_look *tls_looker(const struct tls_ask *ask, tls_done *done, void *arg); /* tls_look, or a script of tests */
tls_looker tls_look; /* ask is copied */
void tls_cancel(struct tls_look *l); /* NULL is fine */

const char *tls_library(void); /* the library behind this and its version */

#endif
