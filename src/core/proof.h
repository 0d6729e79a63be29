/* SPDX-License-Identifier: ISC */
/* One authorization of an order and how it is proven: plan -> publish -> see -> announce -> poll -> withdraw. Withdraw always runs, also after a
 * failure; what a crash left published is in the order's record and withdrawn by the next attempt. */
#ifndef DOVAD_CORE_PROOF_H
#define DOVAD_CORE_PROOF_H

#include "ca/issuer.h"
#include "core/machine.h"
#include "prove/method.h"

struct order;

struct proof {
	/* kept in the order's record; memory of the order's arena */
	const char *url;       /* of the authorization */
	const char *name;      /* "" until read */
	bool wildcard;
	const char *method;    /* "http:www", NULL: none chosen */
	const char *challenge; /* URL */
	const char *token;
	bool published;        /* must be withdrawn */
	bool open;             /* pending at the CA as far as we know: to be proven */
	bool left;             /* of an order that is no more: to be withdrawn, nothing else */
	const char *thumbprint; /* of the account it is for */
	struct js *place;      /* what the method told when it was published, for the method; NULL: nothing. Attached to the arena */
	struct js *report;     /* what our own look saw, NULL: nothing yet; the same */
	/* while running */
	struct order *order;
	struct method *how;
	struct machine m;
	struct err err;        /* the first failure, kind ERR_NONE: none */
	bool running;
	struct method_call *seeing; /* our own look under way */
	bool held;             /* for another one of the same name: looked at when that is published, withdrawn when that is judged */
	bool doubtful;         /* nobody knows whether the CA heard our announcement */
	unsigned tries;
	int64_t wait_ms;       /* the CA's word on when to poll first */
};

/* Ends with order_proof_ended() on a later turn. One that is not open is only withdrawn. */
void proof_start(struct proof *p);
void proof_stop(struct proof *p);  /* nothing is withdrawn */
bool proof_can_withdraw(const struct proof *p); /* published, and the method that did it is at hand */
/* Begin withdrawing what can be, outside of a running machine (sweep). */
struct method_call *proof_withdraw(struct proof *p, method_done *done, void *arg);
const char *proof_state(const struct proof *p); /* for people */
const struct js *proof_seen(const struct proof *p); /* so far, or in the end; borrowed, NULL: nothing */

#endif
