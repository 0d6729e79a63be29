/* SPDX-License-Identifier: ISC */
/* What the registry's own files share; nobody else includes this. */
#ifndef DOVAD_CORE_REGISTRY_INNER_H
#define DOVAD_CORE_REGISTRY_INNER_H

#include <sys/queue.h>

#include "core/gather.h"
#include "core/order.h"
#include "core/parts.h"
#include "core/queue.h"
#include "core/registry.h"

enum { REGISTRY_KEEPER_MS = 60000 };

struct registry_watch {
	struct registry_watch *next;
	struct registry *r;
	char *cert; /* NULL: all */
	void (*fn)(void *arg, const struct js *event);
	void *arg;
	bool dead;
};

struct asking;
struct revoking;
struct backing;
struct glance;
struct checking;

struct rota { /* everybody's turn once in a time, spread evenly */
	size_t next, due; /* whose turn it is, how many are to follow */
	int64_t ms;       /* monotonic, up to where turns were given */
};
/* More of n turns are due; every_ms 0: none. */
void rota_pass(struct rota *t, size_t n, int64_t every_ms);

enum { REGISTRY_OUTCOMES = 10 };
struct registry {
	struct store *store;
	struct rpc *keeper;
	struct registry_parts make;
	struct parts parts;
	struct conf *conf;
	struct cert **certs; /* sorted by name */
	size_t ncerts;
	struct queue due;
	struct cert *dirty;
	struct registry_watch *watches;
	unsigned telling;     /* watches are being called */
	struct registry_outcome outcomes[REGISTRY_OUTCOMES];
	struct running *runs; /* every order under way */
	size_t nruns;
	bool rush;            /* they were many at once since the last time that there was none */
	struct gather gather;
	struct errands errands;
	struct asking *asks;
	struct revoking *revokes;
	LIST_HEAD(, backing) backs;
	LIST_HEAD(, inventory) inventories;
	struct glance *glances;
	size_t nglances;      /* the regular look: under way */
	struct rota glance_rota;
	TAILQ_HEAD(, checking) checks; /* the look ahead: under way and in line */
	size_t checks_running, check_rounds;
	struct rota check_rota;
	struct { struct rpc_call *call; char *cert; size_t next; int64_t begun_ms; } verify; /* the daily look at files: next 0: not now */
	struct timer tick, commit_later;
	int64_t tick_wall, tick_boot_ms;
	bool urgent, overdue, commit_failed, implausible;
};

/* registry.c: the configuration, and what the next turn commits */
void registry_event(struct registry *r, const struct cert *c, const char *event, struct js *detail, bool keep); /* detail is taken over */
void registry_replan(struct registry *r, struct cert *c);    /* registry_plan, and whoever waits for what was under way is told: event "planned" */
void registry_keep(struct cert *c, const struct order *o);    /* what the order has so far becomes what it left */
void registry_save(struct registry *r, struct cert *c);      /* committed at the end of this turn, before anything that follows begins */
void registry_save_soon(struct registry *r, struct cert *c); /* within a second */
void registry_drop_records(struct registry *r, const char *name);

/* registry_due.c: when */
enum registry_step { REGISTRY_NEW, REGISTRY_DEPLOY, REGISTRY_SWEEP }; /* what an order that is started now has to do */
enum registry_step registry_step(const struct cert *c);
bool registry_current(const struct cert *c);              /* installed, for these names, valid, and nobody asked for another one */
void registry_plan(struct registry *r, struct cert *c);   /* say what comes next for one that nothing is running for */
void registry_sweep_soon(struct registry *r, struct cert *c); /* if left-overs come next: now, what they wait for may be back */
void registry_look_again(struct registry *r);             /* something may be due now */
void registry_unwait(struct registry *r, struct cert *c); /* leave the CA's queue */
void registry_unwait_all(struct registry *r);             /* everybody: due again at once */
/* A retry lies no further ahead than retries do, unless the CA said so: the clock was wrong when it was planned. */
void registry_check_retry(struct cert *c);
void registry_pump(struct registry *r, struct part *ca);  /* start who waits, as far as the CA's places go */

/* registry_run.c: orders under way */
void registry_start(struct registry *r, struct cert *c, struct part *ca);
void registry_failed(struct registry *r, struct cert *c, const struct err *err);
/* It left: its order, or what one left behind, ends cleanly and then takes c and its record with it; false: nothing to end. */
bool registry_orphan(struct registry *r, struct cert *c);
bool registry_is_orphaned(const struct registry *r, const char *name); /* such an end is under way */
void registry_end_runs(struct registry *r);

/* registry_look.c: the regular look at what services serve */
void registry_give_looks(struct registry *r); /* at each tick */
void registry_end_looks(struct registry *r);
/* One, though it is not its turn; done(arg) on a later turn, when what was seen is noted. false: there is nothing to look at, or something is being done. */
bool registry_glance(struct registry *r, struct cert *c, void (*done)(void *arg), void *arg);
void registry_unglance(struct registry *r, const void *arg); /* done() is not called */

/* registry_check.c: the look ahead at renewals */
void registry_give_checks(struct registry *r); /* at each tick */
void registry_check_failed(struct registry *r, const struct cert *c, const struct err *err); /* have it looked at now, if that may tell why */
void registry_check_over(struct registry *r, struct cert *c); /* it was renewed: what was in the way is not */
void registry_end_checks(struct registry *r);

/* registry_verify.c: are the files what was installed? */
void registry_give_verify(struct registry *r); /* at each tick */
void registry_end_verify(struct registry *r);

/* registry_back.c: an operator's way back */
void registry_settle_back(struct cert *c);   /* what is installed is known: did it get there? */
void registry_tell_back(struct cert *c);     /* it is in service: why it is held */
void registry_end_backs(struct registry *r);

/* registry_inventory.c: what an account has */
void registry_end_inventories(struct registry *r);

/* registry_keeper.c: what is installed, and revocation */
void registry_ask_installed(struct registry *r, struct cert *c);
void registry_end_asks(struct registry *r);

#endif
