/* SPDX-License-Identifier: ISC */
/* PKCS#10 certificate signing requests (RFC 2986). */
#ifndef DOVAD_CRYPTO_CSR_H
#define DOVAD_CRYPTO_CSR_H

#include "crypto/key.h"

struct csr_wish {
	const char *const *names; /* A-labels, wildcards allowed, at least one: all go into subjectAltName */
	size_t nnames;
	const char *common_name; /* NULL: empty subject (best for ACME); at most 64 bytes, else left out */
};

/* DER; caller owns *der (free). */
bool csr_build(const struct key *k, const struct csr_wish *wish, unsigned char **der, size_t *len, struct err *err)
	__attribute__((warn_unused_result));
/* A PEM block with single LF line ends, appended to out. */
#define CSR_BEGIN "-----BEGIN CERTIFICATE REQUEST-----"
bool csr_format(const unsigned char *der, size_t len, struct buf *out, struct err *err) __attribute__((warn_unused_result));
/* What csr_format wrote, byte for byte and nothing else, back to DER, which csr_check is still to look at; caller owns *der (free). */
bool csr_parse(const char *pem, size_t len, unsigned char **der, size_t *der_len, struct err *err) __attribute__((warn_unused_result));
/* Is this DER request self-signed by k and for exactly these names (order does not matter)? For requests read back from disk. */
bool csr_check(const struct key *k, const struct csr_wish *wish, const unsigned char *der, size_t len, struct err *err)
	__attribute__((warn_unused_result));

#endif
