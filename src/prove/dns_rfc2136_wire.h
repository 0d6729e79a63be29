/* SPDX-License-Identifier: ISC */
/* UPDATE messages (RFC 2136) as we write them, and what the answers to them mean. Pure functions. */
#ifndef DOVAD_PROVE_DNS_RFC2136_WIRE_H
#define DOVAD_PROVE_DNS_RFC2136_WIRE_H

#include "base/buf.h"
#include "base/err.h"
#include "crypto/tsig.h"
#include "io/dns_exchange.h"

enum { UPDATE_VALUE_MAX = 4096 };

enum update_kind {
	UPDATE_ADD,    /* the one TXT record, unless there is a CNAME at its name: beside that servers drop it without a word (RFC 2136 section 3.4.2.2) */
	UPDATE_REMOVE, /* exactly that record */
	UPDATE_PROBE,  /* the removal of a record that cannot be there: see update_write */
};
struct update {
	enum update_kind kind;
	uint16_t id;
	const char *zone, *name, *value; /* as in struct dns_record */
	uint32_t ttl;
};
/* The whole message, without a signature, into out (reset first). ERR_INPUT: what cannot be written as DNS, or a name that is not in the zone.
 *
 * A probe asks that the zone has its SOA record and that there is no CNAME at the name, and removes a TXT record at the name whose value is `value`: the
 * caller gives one that nobody can have (128 random bits). Prerequisites alone would be too little: with an update-policy BIND 9.18 looks at permissions
 * record by record, so it says NOERROR even to a key that may write nothing. With the removal BIND, Knot DNS 3.2 and PowerDNS 4.7 refuse what they would
 * refuse an add, and where it is allowed nothing changes, the serial neither (tests/integration/test_dns_update.py). */
bool update_write(const struct update *u, struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* Is a name (of a record) the zone's own, or below it? false too when one of them is no name. */
bool update_name_is_in(const char *name, const char *zone) __attribute__((warn_unused_result));

struct update_answer { /* filled by update_read */
	struct err err;       /* kind ERR_NONE: done */
	bool key_refused;     /* the secret may have been replaced since we got it */
};
/* A message that came back for the id of the request: in the words of io/dns_exchange.h; *doubt is set for DNS_HEARD_DOUBT, *answer for DNS_HEARD_ANSWER, and
 * answer->key_refused for both. key NULL: nothing was signed. */
struct update_signature {
	const struct tsig_key *key;
	const struct tsig_state *state;
	int64_t now;
};
enum dns_heard update_read(const struct update_signature *s, const uint8_t *msg, size_t len, bool tcp, struct update_answer *answer, struct err *doubt)
	__attribute__((warn_unused_result));

#endif
