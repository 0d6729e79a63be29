/* SPDX-License-Identifier: ISC */
/* What a DNS answer says about one name, taken out of the message once, for those who decide. */
#ifndef DOVAD_PROVE_ANSWER_H
#define DOVAD_PROVE_ANSWER_H

#include "base/mem.h"
#include "io/dns_ask.h"

enum { ANSWER_NS_MAX = 32, ANSWER_GLUE_MAX = 64 };

struct answer_value { /* one TXT record, its strings joined; may hold any byte, NUL-terminated beyond len */
	const char *data;
	size_t len;
	uint32_t ttl;
};
struct answer_glue {
	const char *host;
	struct addr addr;        /* port 0 */
};
struct answer {
	const char *owner;       /* normalised */
	struct answer_value *values;
	size_t nvalues;
	const char *cname;       /* owner is an alias of this; NULL: it is none */
	bool wildcard;           /* a signature (RRSIG) tells that the TXT records come from a wildcard: fewer labels, RFC 4034 section 3.1.3 */
	const char *soa_owner;   /* of the first SOA record; NULL: there is none */
	bool soa_is_answer;      /* it was asked for, and not said because something is missing */
	struct dns_soa soa;
	uint32_t soa_ttl;
	const char *ns_owner;    /* of the first NS record; NULL: there is none */
	const char *ns[ANSWER_NS_MAX]; /* its name servers; more are left out */
	size_t nns;
	struct answer_glue glue[ANSWER_GLUE_MAX];
	size_t nglue;
};
/* The answer is of kind DNS_ANSWERED; all of *out lives in the arena. false: the message is broken. */
bool answer_read(struct arena *arena, const struct dns_answer *answer, const char *owner, struct answer *out) __attribute__((warn_unused_result));

#endif
