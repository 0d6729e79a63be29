/* SPDX-License-Identifier: ISC */
/* PKCS#12 files (RFC 7292): a key with its chain behind a password, for what reads no PEM. They are written only: nobody's are read. */
#ifndef DOVAD_CRYPTO_PKCS12_H
#define DOVAD_CRYPTO_PKCS12_H

#include "base/buf.h"
#include "crypto/key.h"

struct pkcs12 { /* borrowed */
	const struct key *key;
	const struct buf *chain; /* PEM, the key's certificate first */
	const char *password;    /* UTF-8; may be "" */
	const char *name;        /* what programs list key and certificate by (friendlyName) */
};

/* Appends the file to out, which the caller wipes: AES-256-CBC under PBKDF2 with HMAC-SHA-256 for both halves, HMAC-SHA-256 over all of it. Salts and
 * initial vectors come from key and password by HMAC: nobody without the key can tell them from random ones, and the same input makes the same file. */
bool pkcs12_format(const struct pkcs12 *p, struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
