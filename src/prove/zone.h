/* SPDX-License-Identifier: ISC */
/* Where does a record for this name have to be written, and who has to show it? One SOA question at the base name finds the zone; from there on only its
 * authoritative servers are asked, referrals and CNAMEs followed hop by hop. The challenge name is never asked of a recursive server: its "no" would stay
 * in caches after the record was made. Where port 53 is closed, so that none of the zone's own servers answers, the record belongs to that zone as far as is
 * known: a note says so. */
#ifndef DOVAD_PROVE_ZONE_H
#define DOVAD_PROVE_ZONE_H

#include "base/json.h"
#include "io/dns.h"
#include "io/dns_ask.h"

enum { ZONE_SERVERS_MAX = 64, ZONE_HOPS_MAX = 10, ZONE_DEPTH_MAX = 8 };

struct zone_server {
	char *name;                /* of the name server; "" for an address the configuration gives */
	struct addr addr;
};
struct zone { /* reference-counted, immutable */
	unsigned refs;
	char *base;                /* the domain name to be proven, without "*." */
	char *challenge;           /* "_acme-challenge." and base */
	char *owner;               /* where the record is to be written: challenge, or the end of its chain of CNAMEs */
	char *apex;                /* of the zone that holds owner */
	char **chain;              /* the names on the way from challenge to owner, both left out when they are the same */
	size_t nchain;
	struct zone_server *servers; /* every address of every authoritative name server of apex */
	size_t nservers;
	uint32_t negative_ttl;     /* seconds a "no" of this zone may be kept: min(SOA TTL, MINIMUM); RFC 2308 section 5 */
	uint32_t serial;           /* when found */
	char **values;             /* TXT at owner when found, as the first server that answered has them */
	size_t nvalues;
	uint32_t kept_s;           /* seconds in which resolvers may answer as it was then: the TTL of these records, negative_ttl where there were none */
	bool wildcard_cname;       /* challenge is a CNAME by a wildcard only, which is not followed */
	struct js *report;         /* for people and `explain`: {zone, cut, chain, wildcard_cname, parent_agrees, missing_at_parent [..], lame_at_parent [..],
	                              serial, negative_ttl, notes [text]} */
};
struct zone *zone_ref(struct zone *z);
void zone_free(struct zone *z); /* drops one reference; NULL is fine */

struct zone_world { /* borrowed */
	struct asker *asker;
	struct dns *dns;           /* addresses of name servers */
	/* Who looks them up in dns's place (a simulated network); NULL: dns_addresses and dns_cancel. */
	struct dns_lookup *(*addresses)(struct dns *, const char *name, uint16_t port, dns_done *, void *arg);
	void (*addresses_cancel)(struct dns_lookup *);
	const struct addr *recursive; /* asked for SOA and NS of base and above, never for anything below "_acme-challenge" */
	size_t nrecursive;
	uint16_t port;             /* authoritative servers answer at, 53 */
	/* Split horizon: ask these instead of the own name servers of the zone that holds the base name; n 0: no. */
	const struct addr *servers;
	size_t nservers;
	/* The same for the zone that holds `owner`, to which a CNAME led: how many, and which. NULL: none. */
	size_t (*alias_servers)(void *arg, const char *owner, const struct addr **servers);
	void *alias_arg;
};

struct zone_find;
/* zone is the caller's reference; NULL when err is set: type "dns" with the name, server and answer named. Once, on a later turn. */
typedef void zone_found(void *arg, struct zone *zone, const struct err *err);
struct zone_find *zone_find_start(const struct zone_world *world, const char *base, zone_found *done, void *arg);
void zone_find_cancel(struct zone_find *f); /* NULL is fine */

#endif
