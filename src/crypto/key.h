/* SPDX-License-Identifier: ISC */
/* Private keys: made, kept, compared. Only the keeper ever holds one. */
#ifndef DOVAD_CRYPTO_KEY_H
#define DOVAD_CRYPTO_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct key; /* an EVP_PKEY */

enum key_type { KEY_ECDSA_P256, KEY_ECDSA_P384, KEY_RSA_2048, KEY_RSA_3072, KEY_RSA_4096, KEY_TYPES };

/* "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096": the words of the configuration. */
const char *key_type_name(enum key_type type);
bool key_type_find(const char *name, enum key_type *type) __attribute__((warn_unused_result));

/* Caller owns the result; NULL and *err on failure. */
struct key *key_generate(enum key_type type, struct err *err) __attribute__((warn_unused_result));
/* From PEM (PKCS#8 or traditional, unencrypted). */
struct key *key_parse(const char *pem, size_t len, struct err *err) __attribute__((warn_unused_result));
void key_free(struct key *k); /* NULL is fine */

/* A key that is on a PKCS#11 token: its URI and its public half (DER SubjectPublicKeyInfo), which is all there is of it here. Its text, as key_format()
 * writes and key_parse() reads it, is a line with the URI and the public half in PEM. It has no DER. */
struct key *key_on_token(const char *uri, const void *spki, size_t len, struct err *err) __attribute__((warn_unused_result));
const char *key_uri(const struct key *k); /* NULL: it is here */
/* How it signs: *sig gets what OpenSSL would give (ECDSA: DER). */
typedef bool key_sign_fn(void *arg, const struct key *k, const void *data, size_t len, struct buf *sig, struct err *err);
void key_set_signer(struct key *k, key_sign_fn *sign, void *arg);
/* A signature by the digest that goes with this kind of key, and the public half as DER SubjectPublicKeyInfo; appended to out. */
bool key_sign(const struct key *k, const void *data, size_t len, struct buf *out, struct err *err) __attribute__((warn_unused_result));
bool key_format_public(const struct key *k, struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* PKCS#8 PEM appended to out, which the caller wipes (buf_wipe). */
bool key_format(const struct key *k, struct buf *out, struct err *err) __attribute__((warn_unused_result));
/* The same in DER. */
bool key_format_der(const struct key *k, struct buf *out, struct err *err) __attribute__((warn_unused_result));
enum key_type key_type(const struct key *k); /* KEY_TYPES when of another kind */
/* SHA-256 over the SubjectPublicKeyInfo: the identity of a key pair. */
bool key_digest(const struct key *k, unsigned char out[32], struct err *err) __attribute__((warn_unused_result));
bool key_equal(const struct key *a, const struct key *b);

#endif
