/* SPDX-License-Identifier: ISC */
/* A table of states and the one driver that moves, waits, limits and saves. A state begins ONE operation; its end reads the answer, fills the error
 * and names the next state. A state change is committed to the store before the next state begins. */
#ifndef DOVAD_CORE_MACHINE_H
#define DOVAD_CORE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"

enum { MACHINE_STATES = 24, MACHINE_AGAIN = -1, MACHINE_FAIL = -2 };

struct machine;
struct machine_call; /* one operation under way: the `arg` to hand to it */

struct machine_state {
	const char *name;
	/* Start exactly one operation with machine_call(m) as its argument, or call machine_skip. Repeatable. */
	void (*begin)(void *owner, struct machine *m);
	/* Read the answer (its type is known to the state). Returns the next state, MACHINE_AGAIN (begin again after m->wait_ms) or MACHINE_FAIL with
	 * *err filled. err holds the operation's failure on entry (kind ERR_NONE: none); clear it when it is not one here. */
	int (*ended)(void *owner, struct machine *m, const void *answer, struct err *err);
	unsigned visits;    /* at most; more fails as ERR_TEMP "loop" */
	/* In this state at a stretch, counted from its first begin; 0: none. Then `ended` gets ERR_TEMP "timeout" with m->late set, and MACHINE_AGAIN is
	 * not an answer any more. */
	int64_t limit_s;
	uint32_t next;      /* bit set of states that may follow; another is ERR_BUG */
};

struct machine_ops {
	const struct machine_state *table;
	size_t nstates;
	void (*moved)(void *owner, int from, int to);                   /* save it: the commit follows before the next begin */
	void (*finished)(void *owner, const struct err *err);           /* err NULL: entered a state without begin (the end) */
};

struct machine {
	const struct machine_ops *ops;
	void *owner;
	int state;
	int64_t wait_ms;              /* for MACHINE_AGAIN */
	int64_t entered_ms;           /* monotonic, when the state first began */
	unsigned visits[MACHINE_STATES];
	unsigned again;               /* times in a row */
	struct machine_call *call;    /* the one valid call, NULL: none */
	struct machine *next_runnable;
	bool runnable, late, ended;
	struct timer timer, limit;
};

void machine_start(struct machine *m, const struct machine_ops *ops, void *owner, int state); /* zeroed memory; begins after the next commit */
void machine_stop(struct machine *m); /* cancels what is under way; before the memory goes; harmless when never started */
/* The argument for an operation. Freed by the one machine_ended call that every operation makes, late ones included. */
struct machine_call *machine_call(struct machine *m);
/* An operation ended: answer is borrowed. The machine may be long gone: then nothing happens. */
void machine_ended(struct machine_call *call, const void *answer, const struct err *err);
/* The operation just begun with machine_call() and how to end it without an answer: used when the state is left before the answer comes. Without
 * this, or with op NULL, a late answer is awaited and ignored. */
void machine_pending(struct machine *m, void *op, void (*cancel)(void *arg, void *op), void *arg);
/* From begin: nothing to do here, end with this answer on the next turn. A machine_call made meanwhile and handed to nobody is used for it. */
void machine_skip(struct machine *m, const void *answer);
const char *machine_state_name(const struct machine *m);

/* Begin every machine that moved; to be called after the commit. true: at least one began. */
bool machine_run(void);

#endif
