/* SPDX-License-Identifier: ISC */
/* Signed requests to Alibaba Cloud's RPC-style interfaces, by its two schemes: ACS3-HMAC-SHA256, whose signature stands in headers, and the older
 * HMAC-SHA1 over all parameters, whose signature is one of them. Pure functions: clock and chance are the caller's. */
#ifndef DOVAD_CRYPTO_ACS_H
#define DOVAD_CRYPTO_ACS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/digest.h"

struct acs_pair { /* texts in UTF-8 */
	const char *name, *value;
};
struct acs_key {
	const char *id, *secret;
	const char *token; /* of a temporary key (STS); NULL: none */
};
struct acs_request {
	const char *method;  /* "POST" or "GET"; the path is always "/" */
	const char *host;    /* as it is sent: with its port, unless that is the scheme's own */
	const char *action, *version;
	const char *date;    /* "2025-06-01T12:00:00Z" */
	const char *nonce;   /* any text, once only */
	const char *format;  /* of the answer, "JSON" or "XML"; acs_sign_query only */
	const struct acs_pair *param; /* of the query, in any order, no name twice */
	size_t nparam;
	const char *body, *body_type; /* acs_sign_headers only; NULL: no body */
};

/* The one encoding of both: bytes that are not A-Z a-z 0-9 - _ . ~ become %XX, in upper case. */
void acs_encode(const char *text, struct buf *out);

/* What is signed. Neither sees the key's secret. */
void acs_canonical_headers(const struct acs_request *r, const struct acs_key *key, struct buf *out); /* its SHA-256 is */
void acs_canonical_query(const struct acs_request *r, const struct acs_key *key, struct buf *out);   /* all parameters but Signature; method and it are */

enum { ACS_HEADERS = 10 };
struct acs_signed { /* not to be copied; acs_signed_free */
	struct buf query;  /* what stands behind "?", encoded; may be empty */
	struct acs_pair header[ACS_HEADERS]; /* names in lower case; values are the request's, the key's or stand here. acs_sign_query: none */
	size_t nheader;
	struct buf authorization;
	char payload[DIGEST_HEX];
};
/* Nothing of the request may hold line ends or surrounding blanks but values of parameters and the body. false: OpenSSL failed (ERR_LOCAL). */
bool acs_sign_headers(const struct acs_request *r, const struct acs_key *key, struct acs_signed *out, struct err *err) __attribute__((warn_unused_result));
bool acs_sign_query(const struct acs_request *r, const struct acs_key *key, struct acs_signed *out, struct err *err) __attribute__((warn_unused_result));
void acs_signed_free(struct acs_signed *s); /* overwritten: it may hold a token */

#endif
