/* SPDX-License-Identifier: ISC */
/* Where a certificate is to be seen on the wire, and whether it is: shared by the order that puts it there and the regular look afterwards. */
#ifndef DOVAD_CORE_LOOK_H
#define DOVAD_CORE_LOOK_H

#include "core/conf.h"
#include "core/name.h"
#include "crypto/x509.h"

enum { LOOK_PORT = 443, LOOK_TIMEOUT_MS = 5000 };

struct look_at {
	const struct conf_service *service;
	size_t nth;                /* it is the certificate's n-th */
	const char *address;       /* as configured */
	char sni[NAME_ROOM + 8];
};
/* The n-th address to look at, counted over all services; false: there are no more. */
bool look_find(const struct conf_cert *conf, size_t n, struct look_at *out) __attribute__((warn_unused_result));
/* Is it the one with this fingerprint? Otherwise ERR_LOCAL "stale" that tells what is served instead. */
bool look_compare(const struct x509_chain *served, const char *fingerprint, const char *address, const struct conf_cert *conf, struct err *err)
	__attribute__((warn_unused_result));

#endif
