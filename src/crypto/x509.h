/* SPDX-License-Identifier: ISC */
/* Certificates as a CA sends them and as a service shows them: inspect, match, accept. */
#ifndef DOVAD_CRYPTO_X509_H
#define DOVAD_CRYPTO_X509_H

#include <stdint.h>

#include "crypto/key.h"

enum {
	X509_CHAIN_MAX = 10,          /* certificates in a chain */
	X509_PEM_MAX = 256 * 1024,    /* bytes of a PEM answer */
	X509_NAMES_MAX = 1000,        /* subjectAltName entries looked at */
	X509_SKEW = 300,              /* seconds by which notBefore may lie ahead of our clock */
};

struct x509_chain; /* leaf first */

/* Exactly the CERTIFICATE blocks of a PEM text, parsed by length. Refused (RFC 8555 section 11.4): any other label, a NUL, no
 * certificate, more than X509_CHAIN_MAX, more than X509_PEM_MAX bytes. Explanatory text between blocks and CRLF are tolerated.
 * Caller owns; NULL and *err (ERR_DENIED "badCertificate") on failure. */
struct x509_chain *x509_parse(const char *pem, size_t len, struct err *err) __attribute__((warn_unused_result));
/* The same from n DER certificates (what a TLS server sent). */
struct x509_chain *x509_parse_der(const unsigned char *const *der, const size_t *len, size_t n, struct err *err)
	__attribute__((warn_unused_result));
void x509_free(struct x509_chain *c);

/* What the leaf says. Pointers are borrowed from the chain. */
struct x509_leaf {
	int64_t not_before, not_after; /* UNIX seconds */
	const char *serial;            /* lower-case hex of the DER integer's content octets, leading zero octet kept */
	const char *fingerprint;       /* SHA-256 over the DER, lower-case hex */
	const char *issuer;            /* common name (else the whole name) of the issuer, escaped */
	const char *root;              /* common name of the last certificate's issuer, escaped: for preferred_chain */
	const char *aki;               /* lower-case hex of the authority key identifier, NULL when there is none (RFC 9773 certID) */
	const char *const *names;      /* dNSName entries, lower case; a name with a NUL makes x509_parse fail */
	size_t nnames;
	size_t length;                 /* certificates in the chain */
};
const struct x509_leaf *x509_leaf(const struct x509_chain *c);

/* PEM, one block per certificate with single LF line ends, appended to out: the leaf, what follows it, or both. */
enum x509_part { X509_CERT, X509_CHAIN, X509_FULLCHAIN };
bool x509_format(const struct x509_chain *c, enum x509_part part, struct buf *out) __attribute__((warn_unused_result));
/* DER of the n-th certificate (< length; 0: the leaf); borrowed. */
void x509_der(const struct x509_chain *c, size_t n, const unsigned char **der, size_t *len);
enum { X509_SHA1_HEX = 41 };
/* SHA-1 over the leaf's DER in lower-case hex, as some programs call a certificate; nothing is to rest on it. Returns out; "" where OpenSSL has none. */
char *x509_sha1(const struct x509_chain *c, char out[X509_SHA1_HEX]);
/* Names each certificate the next one as its issuer? Signatures are not looked at. */
bool x509_is_ordered(const struct x509_chain *c);
/* Do both chains begin with the same leaf (DER equality)? */
bool x509_same_leaf(const struct x509_chain *a, const struct x509_chain *b);

/* The one acceptance check of both programs (checklist of the security notes): key matches; names are exactly the asked ones; not a CA;
 * serverAuth when an EKU is there (without one a certificate is good for all, RFC 5280 section 4.2.1.12); valid now (X509_SKEW ahead allowed)
 * and not expired, notBefore < notAfter; serial differs from old_serial; not from a staging CA of Let's Encrypt; each certificate signed by the
 * next and the order right; the key is none of the account keys. */
struct x509_wish {
	const struct key *key;        /* private half or public half; NULL: skip the key check and use key_digest */
	const unsigned char *key_digest; /* 32 bytes (key_digest()), used when key is NULL: the network half knows only this; may be NULL */
	const char *const *names;
	size_t nnames;
	const char *old_serial;       /* of the certificate in use; NULL: none */
	const unsigned char (*account_digests)[32]; /* key_digest() of every account key; may be NULL */
	size_t naccounts;
	bool staging;                 /* the CA that was asked is one */
	int64_t now;
};
/* Kind ERR_DENIED, type "badCertificate", and a sentence that names the first difference. */
bool x509_accept(const struct x509_chain *c, const struct x509_wish *wish, struct err *err) __attribute__((warn_unused_result));

#endif
