/* SPDX-License-Identifier: ISC */
/* subjectAltName, the one place where names stand in requests and in certificates. Only for this folder. */
#ifndef DOVAD_CRYPTO_SAN_H
#define DOVAD_CRYPTO_SAN_H

#include <openssl/x509v3.h>

#include "base/err.h"
#include "base/mem.h"

struct san {
	const char *const *names; /* dNSName entries, lower case, in the arena */
	size_t nnames;
	size_t nothers; /* entries of other kinds: addresses, mail, ... */
};

/* Caller owns the list (GENERAL_NAMES_free); NULL and *err (ERR_INPUT) when a name cannot stand there. */
GENERAL_NAMES *san_build(const char *const *names, size_t nnames, struct err *err) __attribute__((warn_unused_result));
/* Refuses (ERR_DENIED "badCertificate") more than X509_NAMES_MAX entries and any byte that no host name has, NUL above
 * all. */
bool san_read(const GENERAL_NAMES *list, struct arena *a, struct san *out, struct err *err)
	__attribute__((warn_unused_result));
/* Exactly these names and nothing else, in any order and case? The error (ERR_DENIED "badCertificate") names the first
 * difference. */
bool san_check(const struct san *san, const char *const *names, size_t nnames, struct err *err)
	__attribute__((warn_unused_result));

#endif
