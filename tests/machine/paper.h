/* SPDX-License-Identifier: ISC */
/* A small DNS on paper behind the interface of io/dns_ask.h: zones with records, servers that hold some of them and may misbehave, recursive servers that
 * know everything; for tests on a frozen clock (simtime.h). Every question asked is kept. */
#ifndef DOVAD_TESTS_PAPER_H
#define DOVAD_TESTS_PAPER_H

#include "io/dns.h"
#include "io/dns_ask.h"

enum { PAPER_MSG = 16384, PAPER_RRS = 160, PAPER_SERVERS = 16, PAPER_ASKED = 200000 };

/* --- messages ------------------------------------------------------------------------------------------------------------------- */

struct paper_msg {
	uint8_t b[PAPER_MSG];
	size_t len;
};
void paper_head(struct paper_msg *m, const char *name, uint16_t type, unsigned rcode, bool aa);
/* data: for TXT its bytes (strings cut at "|"), for NS and CNAME a name, for SOA "serial minimum" (in a world also its TTL, 600), for A and AAAA an address, for
 * RRSIG "type labels", for CAA "flags tag value". */
void paper_rr(struct paper_msg *m, enum dns_section section, const char *owner, uint16_t type, uint32_t ttl, const char *data);
/* As the real asker hands it over. */
struct dns_answer paper_answer(const struct paper_msg *m);

/* --- a world -------------------------------------------------------------------------------------------------------------------- */

struct paper_rr {
	const char *zone, *owner;  /* owner "*.x": a wildcard */
	uint16_t type;
	const char *data;
	int64_t from, to;          /* there from .. to (0: for ever), in milliseconds since the start; on this server only: */
	const char *server;        /* NULL: on all */
};
enum paper_way {
	PAPER_GOOD, PAPER_SILENT, PAPER_NOROUTE, PAPER_BROKEN, PAPER_GARBLED, PAPER_REFUSED, PAPER_SERVFAIL, PAPER_NOTIMP, PAPER_NOAA, PAPER_UPWARD,
	PAPER_NOUDP, PAPER_NOTCP, PAPER_CUT /* TC, and nothing over TCP */, PAPER_BOGUS /* recursive: SERVFAIL without CD */,
	PAPER_DEEPER /* refers to itself, each time one label further down */,
};
struct paper_server {
	const char *ip;
	const char *zones;         /* "a.example b.example"; "*": a recursive server, knows all */
	enum paper_way way;
	int64_t until;             /* the way ends then; 0: never */
	bool lowers_case;
	const char *secure;        /* recursive: it validates, and finds names in this zone signed ("": all of them); NULL: it does not validate */
	const char *insecure;      /* ... but for names in this one; NULL: none */
	const char *reason;        /* told with SERVFAIL as extended error 7; NULL: none */
	const char *at;            /* the way is taken for questions of this name only; NULL: for all */
	uint16_t only;             /* the way is taken for questions of this type only; 0: for all */
	const char *twin;          /* a second machine behind the address, with the records of this "ip"; every other socket meets it */
	unsigned sockets, deeper;
};
struct paper_asked {
	char name[128], ip[48];
	uint16_t type;
	unsigned bits;
	bool tcp, fresh;
	int64_t at;
};
struct paper {
	struct asker asker;        /* first */
	const struct paper_rr *rr;
	struct paper_server server[PAPER_SERVERS];
	int64_t began, rtt;
	unsigned pending;          /* questions and look-ups under way: 0 at the end of every test */
	struct paper_asked *asked;
	size_t nasked;
	char poisoned[160];        /* a question to a recursive server that must never be asked; "": none was */
	bool published;            /* the record is there: from now on anybody may be asked for it */
	bool bumps;                /* each record that comes later moves the serial of its zone */
};
void paper_begin(struct paper *p, const struct paper_rr *rr, const struct paper_server *servers);
void paper_end(struct paper *p); /* checks that nothing is left and nothing was poisoned */
int64_t paper_now(const struct paper *p);
struct paper_server *paper_server(struct paper *p, const char *ip);
/* Questions like this; NULL and 0: any. */
size_t paper_count(const struct paper *p, const char *ip, const char *name, uint16_t type);

/* The addresses of name servers, out of the A and AAAA records of the world: for struct zone_world. */
struct dns_lookup *paper_addresses(struct dns *paper, const char *name, uint16_t port, dns_done *done, void *arg);
void paper_addresses_cancel(struct dns_lookup *l);

#endif
