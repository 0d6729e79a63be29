/* SPDX-License-Identifier: ISC */
/* What one answer means, when all of them are enough, and when to ask again: pure functions, row by row in tests. */
#ifndef DOVAD_PROVE_VERDICT_H
#define DOVAD_PROVE_VERDICT_H

#include "io/dns_ask.h"

enum verdict {
	VERDICT_NONE,     /* not asked yet, or no answer yet */
	VERDICT_OK,       /* authoritative, and all expected values are there */
	VERDICT_STALE,    /* authoritative, without them: NXDOMAIN, no such record, another value */
	VERDICT_LAME,     /* REFUSED, NOTAUTH, not authoritative, a referral upward */
	VERDICT_SICK,     /* SERVFAIL, FORMERR, NOTIMP, a broken message */
	VERDICT_SILENT,   /* no answer over UDP and TCP */
	VERDICT_NOROUTE,  /* this host has no way there */
	VERDICT_WILD,     /* the values are there, but by a wildcard: counts as OK, and is told */
};
const char *verdict_name(enum verdict v); /* "OK", "STALE", ...; "-" for none */

struct seen { /* what an answer said */
	enum verdict verdict;
	unsigned rcode;
	bool answered, aa;
	size_t nvalues;          /* TXT records at the name */
	size_t missing;          /* of the expected ones */
	char note[160];          /* what is wrong, for people; "" for OK */
};
/* The answer to a TXT question at `owner` against the expected values (bytes of text, compared exactly, strings of a record joined). */
void verdict_read(const struct dns_answer *answer, const char *owner, const char *const *values, size_t nvalues, struct seen *out);

enum quorum_kind { QUORUM_ALL, QUORUM_STRICT, QUORUM_MAJORITY, QUORUM_ANY, QUORUM_NUMBER };
struct quorum {
	enum quorum_kind kind;
	unsigned number;         /* QUORUM_NUMBER: addresses */
};
struct quorum_row { /* one address */
	const char *server;      /* name of its name server */
	enum verdict verdict;
};
enum quorum_state { QUORUM_WAIT, QUORUM_HOLDS };
/* why (may be NULL) gets what is missing, or what is tolerated, in words. */
enum quorum_state quorum_check(const struct quorum *q, const struct quorum_row *rows, size_t n, char why[160]);
bool quorum_parse(const char *text, struct quorum *out) __attribute__((warn_unused_result));

/* Milliseconds from the n-th look (0: the first, at 0 ms) to the next: 25, then a quarter more each time up to min(10 s, timeout / 20), +-20 % by `coin`. */
int64_t look_gap(unsigned n, int64_t timeout_ms, uint64_t coin);

#endif
