/* SPDX-License-Identifier: ISC */
/* What the files of DNS-01 share; nobody else includes this. */
#ifndef DOVAD_PROVE_DNS01_INNER_H
#define DOVAD_PROVE_DNS01_INNER_H

#include <sys/queue.h>

#include "prove/dns01.h"
#include "prove/opinion.h"

struct dns01 {
	struct method method;
	TAILQ_ENTRY(dns01) link;
	struct dns01_world *world;
	struct arena *arena;
	struct dns01_options options;
	struct addr servers[ZONE_SERVERS_MAX];
	size_t nservers;
	unsigned refs; /* calls that write with its provider, and the configuration */
};

/* A value that is published, as long as it is: other proofs of the same place wait until theirs and this one are seen together. */
struct held {
	LIST_ENTRY(held) link;
	struct zone *zone;
	char *value;
	char *by;             /* name of the dns entry that wrote it */
	int64_t since_ms;     /* monotonic, when the provider said yes */
};

struct dns01_world {
	struct dns01_world_options options;
	TAILQ_HEAD(, dns01) methods;
	LIST_HEAD(, held) held;
	LIST_HEAD(, method_call) calls;  /* all of them */
	LIST_HEAD(, method_call) seeing;
	LIST_HEAD(, dns01_gate) gates;
};

struct dns01_gate { /* of one zone, while any of its records is being looked for */
	LIST_ENTRY(dns01_gate) link;
	char *apex;
	struct visible_gate *gate;
	unsigned users;
};

/* The world's book of what is published. */
struct held *held_find(struct dns01_world *w, const char *value); /* NULL: not by this run */
void held_add(struct dns01_world *w, struct zone *zone, const char *value, const char *by);
void held_drop(struct dns01_world *w, const char *value); /* and those who waited to see it as well, wait for one less */
/* Values at this place; borrowed strings, at most room. */
size_t held_values(struct dns01_world *w, const char *owner, const char **out, size_t room);

/* By which entry a record at owner is written: `own` if its zones hold it, else the one with the longest zone that does. NULL and *err: by none. */
struct dns01 *dns01_writer(struct dns01 *own, const char *owner, struct err *err);
struct dns01 *dns01_find(struct dns01_world *w, const char *name); /* NULL: not configured */
void dns01_hold(struct dns01 *d);
void dns01_release(struct dns01 *d);

/* The look: see dns01_see.c */
struct method_call *dns01_see(struct method *m, const struct method_proof *proof, method_done *done, void *arg);
struct method_call *dns01_review(struct method *m, const struct method_proof *proof, method_done *done, void *arg);
const struct js *dns01_seeing(const struct method_call *c);
int64_t dns01_judged(struct method *m, const struct method_proof *proof, const struct err *err);
void dns01_see_again(struct method_call *c); /* the values changed */
void dns01_see_stop(struct method_call *c);

/* The look ahead: see dns01_check.c */
struct method_call *dns01_check(struct method *m, const struct method_proof *proof, method_done *done, void *arg);
void dns01_check_stop(struct method_call *c);

struct method_call {
	LIST_ENTRY(method_call) all;   /* of the world's calls */
	LIST_ENTRY(method_call) link;  /* of the world's seeing */
	struct dns01 *m;
	struct dns01 *by;              /* who writes; held */
	method_done *done;
	void *arg;
	void (*found)(struct method_call *c); /* what to do once the zone is found ... */
	void (*written)(struct method_call *c, const struct err *err); /* ... and once the provider has answered */
	bool review;                   /* a quick look beside the CA's word */
	bool looking;                  /* in the world's list */
	char *base, *value;
	char *old_zone, *old_owner, *old_by; /* where it was written before, by what publish told then */
	struct zone *zone;
	struct zone_find *find;
	struct dns_change *change;
	struct dns01_gate *gate;
	struct visible *visible;
	struct opinion *opinion;
	struct dns01_checking *checking;
	struct timer timer;
	struct js *report;             /* of the look */
	struct err err;
};
struct method_call *dns01_call_new(struct method *m, const struct method_proof *proof, method_done *done, void *arg);
struct method_call *dns01_end_later(struct method_call *c); /* with c->err */
void dns01_find_zone(struct method_call *c, void (*found)(struct method_call *c));
void dns01_end(struct method_call *c, const struct js *report, const struct err *err); /* tells on the spot: from callbacks that come on a later turn */

#endif
