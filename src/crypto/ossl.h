/* SPDX-License-Identifier: ISC */
/* What the files of this folder share about OpenSSL. Nothing outside the folder includes it. */
#ifndef DOVAD_CRYPTO_OSSL_H
#define DOVAD_CRYPTO_OSSL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "crypto/key.h"

struct key {
	EVP_PKEY *pkey;
	EVP_PKEY_CTX *signer; /* ossl_sign()'s; NULL: it did not sign yet */
	OSSL_LIB_CTX *lib;    /* the library context it is of; NULL: the common one */
	char *uri;            /* pkey is its public half, the private one is on a token; NULL: pkey is all of it */
	key_sign_fn *sign;    /* with uri: how it signs; NULL: nobody said */
	void *sign_arg;
};

/* err_set() with OpenSSL's own reason appended, if it left one; its error queue is empty afterwards, because what lies
 * in it would be taken for a failure of the next TLS connection. Returns false. */
bool ossl_fail(struct err *err, enum err_kind kind, const char *type, const char *what);
/* The digest this kind of key signs with; NULL for a kind we do not use. */
const EVP_MD *ossl_md(const struct key *k);
/* Signature in OpenSSL's own form (ECDSA: DER); caller owns *sig (free). */
bool ossl_sign(const struct key *k, const void *data, size_t len, unsigned char **sig, size_t *sig_len, struct err *err)
	__attribute__((warn_unused_result));
bool ossl_verify(const struct key *k, const void *data, size_t len, const unsigned char *sig, size_t sig_len)
	__attribute__((warn_unused_result));
/* The SubjectPublicKeyInfo. OpenSSL 3.0 looks through every encoder and decoder it has for this, which is most of the work of making a signing
 * request; for a curve with a name the parts are at hand. false: of another kind, take OpenSSL's way. */
bool ossl_spki_fill(X509_PUBKEY *spki, const EVP_PKEY *pkey) __attribute__((warn_unused_result));
/* The same for a private key's PKCS#8 form (RFC 5208, RFC 5915), byte for byte OpenSSL's. */
bool ossl_pkcs8_fill(PKCS8_PRIV_KEY_INFO *info, const EVP_PKEY *pkey) __attribute__((warn_unused_result));
/* OpenSSL's own call looks the algorithm up each time, which takes five times as long as the digest of a certificate. */
bool ossl_sha256(const void *data, size_t len, unsigned char out[32]) __attribute__((warn_unused_result));
/* SHA-256 over the SubjectPublicKeyInfo. */
bool ossl_spki_digest(const X509_PUBKEY *spki, unsigned char out[32]) __attribute__((warn_unused_result));
bool ossl_key_digest(const EVP_PKEY *pkey, unsigned char out[32]) __attribute__((warn_unused_result));

#endif
