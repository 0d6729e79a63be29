/* SPDX-License-Identifier: ISC */
/* The envelope of an answer: status, nonce, Location, Retry-After, and what a refusal means. Read here, once, for every answer of an ACME server. */
#ifndef DOVAD_CA_ACME_ENVELOPE_H
#define DOVAD_CA_ACME_ENVELOPE_H

#include "io/http.h"

struct acme_reply { /* borrowed from the answer */
	int status;
	const char *nonce;    /* NULL: none, or not one (RFC 8555 section 6.5.1) */
	const char *location; /* as sent; NULL: none */
	int64_t retry_after;  /* seconds; -1: none */
	const char *body;     /* judged by what it is: the content type is no help */
	size_t len;
	const struct http_answer *http; /* for http_links */
};

/* Fills *r from any answer. false and *err unless it is a success (2xx); what: the kind of request, for the text. */
bool acme_envelope_read(const struct http_answer *a, const char *what, struct acme_reply *r, struct err *err) __attribute__((warn_unused_result));

#endif
