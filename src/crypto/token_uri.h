/* SPDX-License-Identifier: ISC */
/* What names a key on a PKCS#11 token (RFC 7512). Pure. */
#ifndef DOVAD_CRYPTO_TOKEN_URI_H
#define DOVAD_CRYPTO_TOKEN_URI_H

#include "base/err.h"

#define TOKEN_URI_SCHEME "pkcs11:"
enum { TOKEN_URI_MAX = 1024, TOKEN_VALUE = 256 };

/* One that we use: path attributes only, each once, that name one key (object or id) and its token (token or serial). ERR_INPUT says what else it holds and
 * where that belongs; a PIN in it is never repeated. */
bool token_uri_check(const char *uri, struct err *err) __attribute__((warn_unused_result));
/* The value of an attribute, decoded (one without NUL); false: there is none. */
bool token_uri_find(const char *uri, const char *attribute, char out[TOKEN_VALUE]) __attribute__((warn_unused_result));
/* Could both mean the same token? Not when something that both say of it differs. */
bool token_uri_may_share(const char *a, const char *b);

#endif
