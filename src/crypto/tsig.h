/* SPDX-License-Identifier: ISC */
/* TSIG (RFC 8945): a message signed with a shared secret, and an answer checked against it. Pure functions over wire bytes; ldns 1.8.3 does not know
 * SHA-224 and SHA-384. */
#ifndef DOVAD_CRYPTO_TSIG_H
#define DOVAD_CRYPTO_TSIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum tsig_algorithm { TSIG_HMAC_SHA1, TSIG_HMAC_SHA224, TSIG_HMAC_SHA256, TSIG_HMAC_SHA384, TSIG_HMAC_SHA512, TSIG_ALGORITHMS };
extern const char *const tsig_algorithm_words[TSIG_ALGORITHMS + 1]; /* "hmac-sha1", ...; NULL at the end */

enum { TSIG_FUDGE = 300, TSIG_MAC_MAX = 64 };

struct tsig_key {
	const char *name;       /* as in the configuration, with or without the final dot */
	enum tsig_algorithm algorithm;
	const uint8_t *secret;
	size_t len;
};
struct tsig_state { /* of one exchange: what the answer is checked against */
	uint8_t mac[TSIG_MAC_MAX];
	size_t mac_len;
	uint16_t id;
};
/* Can this be the name of a key (labels of letters, digits, "-" and "_")? */
bool tsig_name_check(const char *name) __attribute__((warn_unused_result));
/* Appends the TSIG record to a whole message and counts it. now: UNIX seconds. */
bool tsig_sign(const struct tsig_key *key, struct buf *msg, int64_t now, struct tsig_state *state, struct err *err) __attribute__((warn_unused_result));

enum tsig_verdict {
	TSIG_GOOD,              /* signed by the same key, for this very request, within its time */
	TSIG_REFUSED,           /* the server says it cannot take our signature: BADKEY, BADSIG, BADTRUNC (ERR_DENIED), BADTIME (ERR_TEMP, with both clocks).
	                         * That may come unsigned, for want of a common key */
	TSIG_DOUBTFUL,          /* not signed, signed wrongly or late, or broken: not to be believed (ERR_TEMP) */
};
/* err (type "tsig") is set for all but TSIG_GOOD. *stripped: length of a good message without the record. */
enum tsig_verdict tsig_verify(const struct tsig_key *key, const uint8_t *msg, size_t len, int64_t now, const struct tsig_state *state, size_t *stripped,
	struct err *err) __attribute__((warn_unused_result));

#endif
