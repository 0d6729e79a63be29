/* SPDX-License-Identifier: ISC */
/* What a CA's refusal means: one table from problem types (RFC 8555 section 6.7, RFC 7807) to a class and so to an error kind; the HTTP status
 * decides where the table is silent. */
#ifndef DOVAD_CA_ACME_PROBLEM_H
#define DOVAD_CA_ACME_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum acme_class {	/* from harmless to grave: a compound problem is as grave as its gravest part */
	ACME_NOW,	/* act on it within the same attempt: ERR_TEMP */
	ACME_TRANSIENT, /* try again later: ERR_TEMP */
	ACME_WAIT,	/* try again when told: ERR_LIMIT with not_before */
	ACME_PERMANENT, /* a human must change something: ERR_DENIED */
	ACME_ACCOUNT,	/* the same, for everything of this account: ERR_DENIED */
};

enum {
	ACME_POLL_MIN = 1, /* seconds between two looks at something that is processing */
	ACME_POLL_MAX = 60,
	ACME_WAIT_MIN = 60,	       /* seconds a refusal keeps us away */
	ACME_WAIT_MAX = 7 * 24 * 3600, /* longer than the longest window of a known limit (34 h per certificate, counted over 7 days) */
	ACME_PARK_MAX = 24 * 3600,     /* what stops a whole account or host is looked at again after a day */
};

struct acme_refusal {
	int status;	  /* HTTP */
	const char *body; /* a problem document or anything else; may be NULL */
	size_t len;
	int64_t retry_after; /* seconds; -1: none */
};

/* Fill *err (kind, type, detail, status, not_before, subproblems) from an answer that is no success. */
enum acme_class acme_problem_read(const struct acme_refusal *r, struct err *err);
/* The same from the "error" member of an order or a challenge: there, a failed validation is transient. */
enum acme_class acme_problem_parse(const struct js *problem, struct err *err);
enum err_kind acme_class_kind(enum acme_class c);
/* Retry-After of a successful answer (-1: none) as milliseconds between ACME_POLL_MIN and ACME_POLL_MAX; 0: none. */
int64_t acme_poll_ms(int64_t retry_after);

#endif
