/* SPDX-License-Identifier: ISC */
/* One question to one address: over UDP, over TCP when the answer was cut off or when told to, on channels of its own per address (c-ares), never faster
 * than name servers like to be asked. An interface, so that a simulated network can stand in its place. */
#ifndef DOVAD_IO_DNS_ASK_H
#define DOVAD_IO_DNS_ASK_H

#include "base/err.h"
#include "io/addr.h"
#include "io/dns_wire.h"

struct dns_ask {            /* copied */
	struct addr to;
	const char *name;       /* as dns_write_question takes it */
	uint16_t type;
	unsigned bits;          /* enum dns_bits */
	bool tcp;               /* TCP from the start */
	bool fresh;             /* on a new socket, so from another port: another machine behind an anycast address may answer */
	int64_t timeout_ms;     /* of it all, time in line apart (TCP has two fifths, also when the need for it shows late); 0: DNS_ASK_MS, at most
	                           DNS_ASK_MAX_MS */
};
enum { DNS_ASK_MS = 2000, DNS_ASK_MAX_MS = 60000 };

enum dns_how {
	DNS_ANSWERED,           /* a whole message that answers the question, whatever it says */
	DNS_SILENT,             /* nothing came, over UDP and, after that, over TCP */
	DNS_NO_ROUTE,           /* this host cannot send there (ENETUNREACH, EHOSTUNREACH, a family it does not have, ...) */
	DNS_BROKEN,             /* something came that is no answer to the question, or only a part of one; also: no name to be asked for */
};
struct dns_answer {
	enum dns_how how;
	const uint8_t *msg;     /* DNS_ANSWERED only; borrowed */
	size_t len;
	struct dns_head head;
	bool over_tcp;
	bool case_kept;         /* the question came back letter by letter as it was asked */
	int64_t rtt_us;         /* of the last try */
	unsigned sent;          /* questions sent for it */
	const char *text;       /* how else than DNS_ANSWERED: what happened, for people, the address named; borrowed. NULL otherwise */
};

struct asker;
struct dns_query;
/* Once, on a later turn. */
typedef void dns_answered(void *arg, const struct dns_answer *answer);
struct asker_ops {
	struct dns_query *(*ask)(struct asker *, const struct dns_ask *, dns_answered *, void *arg);
	void (*cancel)(struct dns_query *); /* NULL is fine; done() will not be called */
};
struct asker { /* first member of each implementation */
	const struct asker_ops *ops;
};

struct asker_limits {       /* 0: the default */
	unsigned per_name;      /* questions a second to one address for one name; 20 */
	unsigned per_address;   /* over all names; 200 */
	unsigned channels;      /* kept at most, and at most a quarter of the descriptors this process may have; the one unused the longest goes; 256 */
};
/* The real one. What would be too fast waits in line, in order, at no cost to other addresses, each repeat as well as each first try; so does, in one line
 * for all, what finds every channel in use. A server that knows no EDNS (FORMERR, NOTIMP) is asked without it, DNS_DO apart, for ten minutes. */
struct asker *asker_open(const struct asker_limits *limits, struct err *err) __attribute__((warn_unused_result));
void asker_set_limits(struct asker *a, const struct asker_limits *limits);
void asker_close(struct asker *a); /* queries under way are forgotten without an answer; safe inside callbacks */

#endif
