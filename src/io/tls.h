/* SPDX-License-Identifier: ISC */
/* Look at what a TLS service really serves: connect, shake hands with SNI, take the certificates, leave. Nothing is verified here. */
#ifndef DOVAD_IO_TLS_H
#define DOVAD_IO_TLS_H

#include "base/err.h"
#include "io/addr.h"

struct tls_look;
struct tls_seen {
	size_t n; /* certificates, leaf first, at most 10 */
	const unsigned char *der[10];
	size_t len[10];
	const char *version; /* "TLSv1.3" */
};
/* seen is borrowed and NULL when err is set (type "connect", "tls", "timeout"). Once, on a later turn. */
typedef void tls_done(void *arg, const struct tls_seen *seen, const struct err *err);
/* ecdsa: offer only ECDSA (true) or RSA (false) signatures? -1: any. */
struct tls_look *tls_look(const struct addr *a, const char *sni, int ecdsa, int64_t timeout_ms, tls_done *done, void *arg);
void tls_cancel(struct tls_look *l); /* NULL is fine */

const char *tls_library(void); /* the library behind this and its version */

#endif
