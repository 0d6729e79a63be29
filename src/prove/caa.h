/* SPDX-License-Identifier: ISC */
/* Would a CA that keeps to CAA records (RFC 8659, with accounturi and validationmethods of RFC 8657) issue? A pure function of the record set found. */
#ifndef DOVAD_PROVE_CAA_H
#define DOVAD_PROVE_CAA_H

#include <stdbool.h>
#include <stddef.h>

#include "io/dns_wire.h"

enum { CAA_RECORDS_MAX = 64, CAA_TEXT = 512 };

struct caa_record {
	bool broken;              /* no CAA record by its form: nothing below is set */
	bool critical;            /* flag 128, or 1, which Let's Encrypt takes for it as well */
	char tag[16];             /* as struct dns_caa has it */
	const char *value;        /* any bytes, not NUL-terminated */
	size_t len;
};
/* rr is of type CAA; the value stays in its message. */
struct caa_record caa_read(const struct dns_rr *rr);

struct caa_ask { /* who wants to issue, borrowed */
	const char *const *issuers; /* the CA's names in CAA records (directory: meta.caaIdentities); none: it does not say */
	size_t nissuers;
	const char *account;        /* its URL; NULL: none yet */
	const char *challenge;      /* "dns-01" */
	bool wildcard;              /* for "*." and the name: issuewild goes before issue */
};
enum caa_verdict {
	CAA_FREE,                   /* nothing in the set restricts who may issue */
	CAA_ALLOWED,
	CAA_UNSURE,                 /* it depends on what is not known: the CA's names, our account, how strictly the CA reads */
	CAA_FORBIDDEN,
};
/* n 0: there is no set. text, of CAA_TEXT bytes, gets the reason in words that go on from "the records of example.org": printable whatever they hold. */
enum caa_verdict caa_check(const struct caa_record *set, size_t n, const struct caa_ask *ask, char text[CAA_TEXT]);

#endif
