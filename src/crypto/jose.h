/* SPDX-License-Identifier: ISC */
/* JWS and JWK as ACME uses them (RFC 7515, 7517, 7518, 7638; RFC 8555 section 6.2). */
#ifndef DOVAD_CRYPTO_JOSE_H
#define DOVAD_CRYPTO_JOSE_H

#include "base/json.h"
#include "crypto/key.h"

/* "ES256", "ES384", "RS256". */
const char *jose_alg(const struct key *k);
/* Public JWK with members in the lexicographic order RFC 7638 wants, and nothing else; x and y at full width. Caller owns. */
struct js *jose_jwk(const struct key *k, struct err *err) __attribute__((warn_unused_result));
/* base64url(SHA-256(JWK)); caller owns; NULL on failure. */
char *jose_thumbprint(const struct key *k, struct err *err) __attribute__((warn_unused_result));
/* token "." thumbprint (RFC 8555 section 8.1); caller owns. */
char *jose_key_authorization(const char *token, const char *thumbprint);

/* base64url(SHA-256(key authorization)): what a dns-01 record says (RFC 8555 section 8.4); caller owns. */
char *jose_dns_value(const char *token, const char *thumbprint);

struct jose_header {
	const char *url;   /* required */
	const char *nonce; /* NULL: left out (inner JWS) */
	const char *kid;   /* account URL; NULL: the JWK goes into the header */
};
/* Flattened JSON serialisation of payload (exact bytes; "" for POST-as-GET). Caller owns. EC signatures are r||s at fixed width. */
char *jose_sign(const struct key *k, const struct jose_header *header, const char *payload, size_t len, struct err *err)
	__attribute__((warn_unused_result));
/* External account binding (RFC 8555 section 7.3.4): inner JWS over the account's JWK, HS256, no nonce. Caller owns. */
struct js *jose_bind(const struct key *account, const char *url, const char *kid, const unsigned char *hmac, size_t hmac_len,
	struct err *err) __attribute__((warn_unused_result));
/* Verifies a flattened JWS against k: for tests and for reading our own work back. */
bool jose_verify(const struct key *k, const char *jws, size_t len, struct err *err) __attribute__((warn_unused_result));

#endif
