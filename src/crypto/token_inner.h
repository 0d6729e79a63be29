/* SPDX-License-Identifier: ISC */
/* Inside of crypto/token.h, for src/crypto/token*.c only. */
#ifndef DOVAD_CRYPTO_TOKEN_INNER_H
#define DOVAD_CRYPTO_TOKEN_INNER_H

#include <openssl/evp.h>
#include <openssl/ui.h>

#include "crypto/token.h"

/* The vendor's module, a session on the one token that fits, the PIN told. The session stays open: who opens another one in this process is logged in. */
bool token_login(const struct token_access *a, struct err *err) __attribute__((warn_unused_result));
/* NULL: OpenSSL says why in its queue. */
EVP_PKEY *token_engine_load(const struct token_access *a, UI_METHOD *ui);
bool token_engine_is_built(void);

#endif
