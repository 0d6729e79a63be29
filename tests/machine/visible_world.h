/* SPDX-License-Identifier: ISC */
/* Worlds made by chance for the propagation proof, run on a frozen clock, and the judge of what it said. Knows the headers of what it tests and the facts
 * of DNS; nothing of the code. */
#ifndef DOVAD_TESTS_VISIBLE_WORLD_H
#define DOVAD_TESTS_VISIBLE_WORLD_H

#include "io/loop.h"
#include "prove/visible.h"
#include "simdns.h"

struct world;
struct trace { /* of the truth told to one proof by one address */
	unsigned asks, fresh_asks, answers, sent;
	enum verdict last;
	int64_t sampled;
	unsigned run, fresh;             /* good answers with nothing else but silence in between, and those of them on fresh sockets */
	bool fresh_udp, fresh_tcp;
	bool fell;                       /* good once, and then stale */
	bool ever_good;
	unsigned hushed;                 /* looks without an authoritative answer since one that was stale */
	unsigned lost, lost_in_run;      /* questions over UDP that met nobody where somebody is: in all, and on fresh sockets since `run` began */
};
struct waiting { /* one name's proof */
	struct world *w;
	size_t i;
	struct zone *zone;
	struct visible *visible;
	struct timer start, cancel;
	struct trace trace[SIM_ADDRS];
	bool started, ended, cancelled, said;
	unsigned calls;
	int64_t at;
	char error[600], type[64];
	struct js *report;
};
struct world {
	uint64_t seed;
	struct simdns net;
	struct waiting waiting[SIM_NAMES];
	struct quorum quorum;
	unsigned confirm;
	int64_t timeout, settle;
	bool gated, moved, progress;     /* moved: the serial is the same everywhere and moves with each change */
	uint32_t serial;
	struct visible_gate *gate;
	struct timer watchdog;
	size_t left;
	char cry[700];                   /* the first thing that was wrong; "": nothing */
	/* "Visible" though a machine behind an address of several was stale, which no look had met: what the luck of it may be, and how often it happened. */
	double luck;
	unsigned unlucky, unlucky_fell;
};

/* A world is a function of its seed alone, and so is what happens in it: arc4random is ours. */
void world_make(struct world *w, uint64_t seed);
void world_run(struct world *w);     /* until each proof has ended, or a cry */
void world_judge(struct world *w);   /* -> w->cry */
void world_free(struct world *w);
void world_print(const struct world *w);
void world_cry(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A proof may take so long at most: its time, and the last looks when all was there before that was over. */
int64_t world_longest(const struct world *w);
/* For worlds made by hand: `addrs` good ones, every value there from the start, one name, quorum all, confirm 1. */
void world_plain(struct world *w, size_t addrs, size_t names);
struct zone *world_zone(const struct world *w, size_t name); /* the caller's */
/* The moment from which the quorum holds for good; SIM_NEVER: it does not. */
int64_t world_holds_from(const struct world *w, size_t name);

/* Bugs to be planted, after world_make; each must make the judge cry in some world. */
struct world_bug {
	const char *name, *what;
	void (*bend)(void *memory, struct simdns *s, struct sim_reply *r);
	int64_t (*bend_ask)(void *memory, struct simdns *s, struct dns_ask *q);
};
extern const struct world_bug world_bugs[];
extern const size_t world_nbugs;
void world_plant(struct world *w, size_t bug);

#endif
