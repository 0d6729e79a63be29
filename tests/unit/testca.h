/* SPDX-License-Identifier: ISC */
/* A certification authority for tests: mints right certificates and, on demand, wrong ones. */
#ifndef DOVAD_TESTS_TESTCA_H
#define DOVAD_TESTS_TESTCA_H

#include <stdint.h>

#include "crypto/key.h"

/* The clock of tests that freeze it: 2026-09-21. Leaves are valid from an hour before it for 90 days, CAs from 2000 to 2099. */
enum { TESTCA_NOW = 1790000000 };

/* Everything left zero is as it should be. */
struct testca_wish {
	const char *cn;  /* of the subject; NULL: none */
	const char *org; /* its organisation; NULL: none */
	const char *const *names;
	size_t nnames;
	const char *raw; /* one more dNSName of exactly raw_len bytes */
	size_t raw_len;
	const char *address; /* one more entry: an IP address */
	const char *eku;     /* NULL: serverAuth; "": no such extension; else OpenSSL's words */
	int64_t not_before, not_after;
	const char *serial; /* hex; NULL: the next number */
	const char *aki;    /* the authority key identifier in hex instead of the true one; "": none */
	bool ca;            /* CA:TRUE for what shall be a leaf */
	bool not_ca;        /* no CA:TRUE for what shall be a CA */
	bool names_twice;   /* the extension with the names stands there twice */
	bool names_broken;  /* ... and this one is no DER */
	bool eku_twice;
	bool bad_signature;
	bool rsa;           /* the key of what shall be a CA is of RSA */
	bool pss;           /* signed with RSA-PSS; by a CA with such a key */
};

struct testca;

/* Self-signed when parent is NULL; wish (its cn is not looked at) may be NULL. parent must outlive it. Caller owns. */
struct testca *testca_new(const char *cn, const struct testca *parent, const struct testca_wish *wish);
void testca_free(struct testca *ca);
const struct key *testca_key(const struct testca *ca);
/* PEM; the caller owns each of these: the CA's own certificate; a certificate for this key; that with the CAs behind it, root left out. */
char *testca_pem(const struct testca *ca);
char *testca_mint(const struct testca *ca, const struct key *key, const struct testca_wish *wish);
char *testca_chain(const struct testca *ca, const struct key *key, const struct testca_wish *wish);

#endif
