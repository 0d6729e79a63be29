/* SPDX-License-Identifier: ISC */
/* Finding a zone, shared by zone.c (the table of steps and what answers mean), zone_ask.c (asking one server after the other) and zone_made.c (what comes
 * of it). Everything lives in the arena of one search. */
#ifndef DOVAD_PROVE_ZONE_INNER_H
#define DOVAD_PROVE_ZONE_INNER_H

#include "base/mem.h"
#include "prove/answer.h"
#include "prove/zone.h"

enum {
	FIND_WINDOW = 2,           /* servers asked at a time */
	FIND_QUESTIONS = 600,      /* in one search, whatever name servers think of */
	FIND_RECURSIVE_MS = 5000,  /* they may have to ask their way */
	FIND_PARENT_HOSTS = 2, FIND_PARENT_ADDRS = 4, /* of the parent zone are asked */
	FIND_NOTES = 24,
};

struct find_host {             /* a name server */
	struct zone_find *find;
	const char *name;
	bool own, parent;          /* listed by the zone itself; by its parent */
	bool known;                /* it has an address of one that the zone itself lists */
	struct dns_lookup *lookup;
	bool looked;
};
struct find_target {           /* an address to ask */
	struct find_host *host;    /* NULL: recursive, or given by the configuration */
	struct addr addr;
	const char *said;          /* why it was of no use; NULL: not asked, or it was */
	enum dns_how how;
	bool shows_zone;           /* found to answer for the zone although only the parent lists it */
};
struct find_side {             /* the name servers of one zone */
	const char *apex;
	struct find_host host[ANSWER_NS_MAX];
	size_t nhosts;
	struct find_target at[ZONE_SERVERS_MAX];
	size_t n;
	size_t used;               /* whose answer was taken */
};
enum find_cut { CUT_SOA, CUT_REFERRAL, CUT_ANSWER };
enum find_view { VIEW_UNKNOWN, VIEW_AGREES, VIEW_DIFFERS };

struct find_question {
	const char *name;
	uint16_t type;
	bool recursive;
	unsigned window;           /* at most FIND_WINDOW */
};
struct find_ask {
	struct zone_find *find;
	struct dns_query *query;
	struct find_target *target;
};

struct zone_find {
	struct zone_world world;
	struct arena *arena, *scratch; /* scratch: the answer that is being read */
	zone_found *done;
	void *arg;

	int step;
	struct find_question question;
	struct find_target *order[ZONE_SERVERS_MAX]; /* to be asked in this step */
	size_t norder, next;
	struct find_ask ask[FIND_WINDOW];
	unsigned asked;
	bool unchecked;            /* recursive servers are asked not to validate: to tell a bogus zone from a broken one */

	char base[DNS_NAME_TEXT];
	const char *challenge, *owner, *point, *sibling, *target;
	const char *chain[ZONE_HOPS_MAX];
	size_t nchain;
	unsigned depth;
	struct find_target *recursive;
	struct find_side *zone, *parent, *resolving;
	enum find_cut cut;
	enum find_view view;
	struct answer_glue glue[ANSWER_GLUE_MAX];
	size_t nglue;
	struct answer_value *values;
	size_t nvalues;
	bool authoritative;        /* the answer that is being read */
	bool has_soa, wildcard, wildcard_cname;
	uint32_t serial, negative_ttl;
	const char *note[FIND_NOTES];
	size_t nnotes;
	struct err err;
};

/* zone.c: the answer of `target` was read (NULL: nobody is left to ask) */
void find_heard(struct zone_find *f, const struct dns_answer *raw, const struct answer *a, struct find_target *target);
/* All addresses that can be found of f->resolving are there. */
void find_resolved(struct zone_find *f);
/* Ends, with f->err or the zone, on a later turn. */
void find_end(void *find);

/* zone_ask.c */
/* Ask f->order one after the other until find_heard says it is enough (find_stop, or another question). */
void find_ask(struct zone_find *f, const struct find_question *q);
void find_more(struct zone_find *f); /* the answer was of no use: go on */
void find_stop(struct zone_find *f);
void find_resolve(struct zone_find *f, struct find_side *side); /* look up those hosts of side that were not looked up */
struct find_side *find_side_new(struct zone_find *f, const char *apex);
struct find_side *find_side_given(struct zone_find *f, const char *apex); /* the addresses the configuration gives for the zone of f->owner, if any */
struct find_side *find_side_same(struct zone_find *f, const struct find_side *other, const char *apex); /* the addresses of the other, of no name */
struct find_host *find_host_ensure(struct zone_find *f, struct find_side *side, const char *name); /* NULL: there are too many */
bool find_is_private(const char *name);  /* a label begins with "_": never a matter of recursive servers */
void find_note(struct zone_find *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* zone_made.c */
struct zone *find_make_zone(const struct zone_find *f);
/* "ns1.example.org (192.0.2.1): REFUSED, ..." of those asked */
void find_say_targets(struct find_target *const *targets, size_t n, char *out, size_t room);

#endif
