/* SPDX-License-Identifier: ISC */
/* DNS messages (RFC 1035, EDNS: RFC 6891): one question is written, any message is read. Pure functions; no length, count or pointer of a peer is
 * trusted. Names are text in lower case without the final dot ("" is the root); bytes that are no letter, digit, "-", "_" or "*" are written \DDD, so that
 * two names are the same exactly when their texts are. */
#ifndef DOVAD_IO_DNS_WIRE_H
#define DOVAD_IO_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_TXT = 16, DNS_AAAA = 28, DNS_OPT = 41, DNS_DS = 43, DNS_RRSIG = 46, DNS_CAA = 257,
	DNS_NAME_TEXT = 1025,    /* room for any name as text */
	DNS_MESSAGE_MAX = 65535,
	DNS_QUESTION_MAX = 512,  /* room for any question */
	DNS_UDP_SIZE = 1232,     /* announced by EDNS */
};
enum dns_bits {
	DNS_RD = 1, DNS_AD = 2, DNS_CD = 4, DNS_DO = 8,
	DNS_MIXED_CASE = 16, /* "0x20": case by chance */
	DNS_PLAIN = 32,      /* without OPT, for servers older than EDNS; then DNS_DO says nothing */
};

/* The length of the question with an OPT record at its end; 0: this is no name that can be asked for (text as above, in any case, or with a final dot).
 * `id` and, with DNS_MIXED_CASE, `coin` are random numbers of the caller. */
size_t dns_write_question(uint8_t out[DNS_QUESTION_MAX], uint16_t id, const char *name, uint16_t type, unsigned bits, uint64_t coin)
	__attribute__((warn_unused_result));

enum dns_rcode {
	DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4, DNS_REFUSED = 5,
	DNS_YXDOMAIN = 6, DNS_YXRRSET = 7, DNS_NXRRSET = 8, DNS_NOTAUTH = 9, DNS_NOTZONE = 10, /* of updates: RFC 2136 section 2.2 */
};
struct dns_head {
	uint16_t id;
	bool response, aa, tc, rd, ra, ad, cd;
	unsigned opcode;
	unsigned rcode;           /* with the upper bits of an OPT record once dns_walk has seen one; see dns_read_head */
	uint16_t count[4];        /* question, answer, authority, additional: as announced */
	bool whole;               /* all of them are there: dns_walk comes to the end */
	bool edns;                /* one is an OPT record; only when whole */
};
enum dns_section { DNS_ANSWER = 1, DNS_AUTHORITY = 2, DNS_ADDITIONAL = 3 };
struct dns_rr {
	enum dns_section section;
	char owner[DNS_NAME_TEXT];
	uint16_t type, class;
	uint32_t ttl;
	const uint8_t *data;      /* into the message */
	size_t len;
};

/* The twelve bytes, the extended RCODE included when the whole message can be walked. false: too short. */
bool dns_read_head(const uint8_t *msg, size_t len, struct dns_head *out) __attribute__((warn_unused_result));
/* Is this an answer to exactly this question (name, type, class; `exact`: the case of each letter too)? */
bool dns_is_answer_to(const uint8_t *msg, size_t len, const uint8_t *question, size_t qlen, bool exact) __attribute__((warn_unused_result));
/* Every record in order; fn returns false to stop early, which is no error. false: the message is broken (then what fn heard is worth nothing). */
bool dns_walk(const uint8_t *msg, size_t len, bool (*fn)(void *arg, const struct dns_rr *rr), void *arg) __attribute__((warn_unused_result));
/* A name inside the data of a record (NS, CNAME: at 0), pointers followed within the message. */
bool dns_rr_name(const uint8_t *msg, size_t len, const struct dns_rr *rr, size_t at, char out[DNS_NAME_TEXT]) __attribute__((warn_unused_result));
/* The strings of a TXT record joined (RFC 8555 section 8.4; at most 65535 bytes, may hold any byte); out is reset first. false: broken (also: not even an
 * empty string in it), or more than out may hold. */
bool dns_rr_txt(const struct dns_rr *rr, struct buf *out) __attribute__((warn_unused_result));
struct dns_soa {
	uint32_t serial, refresh, retry, expire, minimum;
};
bool dns_rr_soa(const uint8_t *msg, size_t len, const struct dns_rr *rr, struct dns_soa *out) __attribute__((warn_unused_result));
struct dns_caa { /* RFC 8659 section 4.1 */
	bool critical;
	char tag[16];             /* lower case; a longer one (all such are unknown) is cut */
	const char *value;        /* into the message, not NUL-terminated */
	size_t len;
};
bool dns_rr_caa(const struct dns_rr *rr, struct dns_caa *out) __attribute__((warn_unused_result));
/* Why a server cannot answer, in words: its extended error (RFC 8914), by number and with its own text, escaped; the first of several. "": it gives none. */
enum { DNS_REASON = 200 };
void dns_read_reason(const uint8_t *msg, size_t len, char out[DNS_REASON]);

/* "example.org" is in "org", in "example.org" and in "". */
bool dns_name_is_in(const char *name, const char *zone);
const char *dns_name_parent(const char *name);      /* into name; "" of a single label and of the root */
size_t dns_name_labels(const char *name);
/* Lower case, without the final dot, escapes only where they are needed; false: longer than a name may be, an empty label, or a byte that should be \DDD. */
bool dns_name_normalise(const char *text, char out[DNS_NAME_TEXT]) __attribute__((warn_unused_result));
const char *dns_rcode_name(unsigned rcode);         /* "NOERROR", "NXDOMAIN", ... "RCODE24" in a static buffer of its own */
const char *dns_type_name(unsigned type);

#endif
