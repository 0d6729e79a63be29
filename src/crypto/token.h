/* SPDX-License-Identifier: ISC */
/* Private keys on PKCS#11 tokens: through an OpenSSL provider where there is one, else its engine. The module of the token's vendor is loaded into this
 * process and stays: to be called in a process that ends soon (io/aside.h), never twice in one. */
#ifndef DOVAD_CRYPTO_TOKEN_H
#define DOVAD_CRYPTO_TOKEN_H

#include "crypto/key.h"

struct token_access { /* borrowed */
	const char *uri;    /* token_uri_check()ed */
	const char *module; /* path; NULL: p11-kit's, which knows the installed ones */
	const char *pin;    /* NULL: none */
};

#define TOKEN_PIN_REFUSED "token-pin" /* err.type: trying again brings the token nearer to locking itself */

/* Logs in, once and never again, and finds the key. Its private half stays on the token: it can sign and tell its public half. Caller owns. NULL and *err
 * (ERR_LOCAL "token" or TOKEN_PIN_REFUSED) without the URI, whose owner says it. */
struct key *token_open(const struct token_access *a, struct err *err) __attribute__((warn_unused_result));
/* "provider" or "engine": what OpenSSL has for this on this host; NULL and *err say what is missing. Nothing is loaded. */
const char *token_backend(struct err *err);

#endif
