/* SPDX-License-Identifier: ISC */
/* What an answer of Alibaba Cloud's gateway means: one reader for the envelope, one table from its error codes to an error kind, what may be done about
 * it by a program, and what a person can do. Pure functions.
 *
 * Source: the vendor's error tables and SDKs. Unlike a CA that speaks ACME it tells nothing by HTTP status alone: the code decides, and the status only
 * where the table is silent, except that what comes with 5xx may always pass. */
#ifndef DOVAD_CA_CAS_ANSWER_H
#define DOVAD_CA_CAS_ANSWER_H

#include "base/json.h"
#include "io/http.h"

enum cas_retry {
	CAS_RETRY_NEVER, /* not until somebody changed something */
	CAS_RETRY_CLOCK, /* once, signed with the time of the service */
	CAS_RETRY_NONCE, /* once, with another nonce: nothing was done */
	CAS_RETRY_WAIT,	 /* not before err.not_before: nothing was done */
	CAS_RETRY_LATER, /* it may pass (err.not_before when the service says how soon); a change may have been made all the same, so look before it is asked for again */
	CAS_RETRY_STATE, /* the object is in a state in which this cannot be done: look at it, it may have been done already */
	CAS_RETRY_TOKEN, /* with the security token that is to follow this one */
};

enum {
	CAS_WAIT_S = 2,		/* throttled, and not told how long */
	CAS_WAIT_MAX_S = 3600,
	CAS_WAIT_SECONDS = 120, /* x-acs-retry-after up to this is read as seconds, more of it as milliseconds */
};

/* true: the answer is a success and *body its object (caller owns). false: *body is NULL and *err says why; err.type is the code, err.detail the message
 * as the service wrote it, what to do about it where that is known, what its access check says, the request's id and the page about it, each as long as
 * there is room. Security tokens, which the service repeats when a signature is wrong, are left out, and nothing of what may be data is shown. */
bool cas_answer_read(const struct http_answer *a, const char *action, struct js **body, struct err *err) __attribute__((warn_unused_result));
/* From an error of cas_answer_read; errors of others have no class (NEVER, LATER with ERR_TEMP). */
enum cas_retry cas_answer_retry(const struct err *err);

#endif
