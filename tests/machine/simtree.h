/* SPDX-License-Identifier: ISC */
/* A tree of zones on paper: delegations, CNAMEs, wildcards, servers that are lame or dead, and recursive servers before it; behind the interface of
 * io/dns_ask.h and the look-up of addresses of prove/zone.h. Shares no code with what it tests. */
#ifndef DOVAD_TESTS_SIMTREE_H
#define DOVAD_TESTS_SIMTREE_H

#include "io/dns.h"
#include "io/dns_ask.h"

enum { TREE_ZONES = 16, TREE_HOSTS = 3, TREE_NODES = 48, TREE_SERVERS = 96, TREE_NAME = 160, TREE_ADDRS = 2, TREE_RECURSIVE = 2 };
enum tree_mode { TREE_GOOD, TREE_DEAD, TREE_REFUSES, TREE_FAILS, TREE_LAME, TREE_MODES };
/* Planted: what is heard is bent to what a client with this bug would make of it. */
enum tree_bug {
	TREE_SOUND, TREE_WILDCARDS_FOLLOWED, TREE_ONE_ADDRESS, TREE_IPV4_ONLY, TREE_NO_DELEGATIONS, TREE_NO_CNAMES, TREE_ONE_HOST, TREE_ASKS_RECURSIVE,
	TREE_BUGS
};

struct tree_server {
	struct addr addr;
	enum tree_mode mode;
	uint32_t zones;                  /* bits of those it is authoritative for */
	bool follows;                    /* CNAMEs, as far as it knows their targets */
	bool glue;
};
struct tree_host { /* a name server's name */
	char name[TREE_NAME];
	size_t server[TREE_ADDRS], naddrs;
};
struct tree_zone {
	char apex[TREE_NAME];
	struct tree_host host[TREE_HOSTS];
	size_t nhosts;
};
struct tree_node {
	char name[TREE_NAME], target[TREE_NAME];
	uint16_t type;
};
struct tree {
	struct asker asker;              /* first */
	uint64_t random;
	struct tree_zone zone[TREE_ZONES];
	size_t nzones;
	struct tree_node node[TREE_NODES];
	size_t nnodes;
	struct tree_server server[TREE_SERVERS];
	size_t nservers;
	struct addr recursive[TREE_RECURSIVE];
	enum tree_mode recursive_mode[TREE_RECURSIVE];
	size_t nrecursive;
	char forbidden[TREE_ZONES][TREE_NAME]; /* names that no recursive server may hear of */
	size_t nforbidden;
	char bad[400];
	enum tree_bug bug;
	unsigned asked, under_way;
};

void tree_begin(struct tree *t, uint64_t seed); /* after memset 0 */
uint64_t tree_random(struct tree *t, uint64_t n);
bool tree_chance(struct tree *t, unsigned percent);
/* The zone that holds this name, of those in the mask; -1: none. */
int tree_zone_of(const struct tree *t, const char *name, uint32_t mask);
/* What stands at a name in its zone: of this type, or a CNAME; NULL: nothing such. synthesized: by a wildcard. */
const struct tree_node *tree_look(const struct tree *t, int zone, const char *name, uint16_t type, bool *synthesized);
bool tree_is_in(const char *name, const char *zone);

struct dns_lookup *tree_addresses(struct dns *tree, const char *name, uint16_t port, dns_done *done, void *arg); /* the tree, cast */
void tree_addresses_cancel(struct dns_lookup *l);

#endif
