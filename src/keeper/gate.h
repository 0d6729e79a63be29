/* SPDX-License-Identifier: ISC */
/* A service reads key and chain one after the other, and one service reads the pairs of many certificates. Where a link is switched in between it reads
 * a mixed pair, and the certificate for which it is just tested gets the blame. So the tests and reloads of a service and the switches of a certificate
 * that it may read take turns. First come, first served: whoever asks waits for those of the other kind who asked before him, so a stream of one kind
 * never keeps out the other, and those of one kind that come together go in together. What a service reads after its reload command has ended is not
 * covered; the reload that follows each switch covers that. */
#ifndef DOVAD_KEEPER_GATE_H
#define DOVAD_KEEPER_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct gate;

enum gate_kind { GATE_RUN, GATE_SWITCH };

struct gate_pass { /* memory of its owner, who sets the first four; to be left before that memory goes */
	enum gate_kind kind;
	const char *name; /* the service of a run, the certificate of a switch (NULL: unknown); borrowed */
	void (*enter)(void *arg);
	void *arg;
	TAILQ_ENTRY(gate_pass) link;
	struct gate *gate; /* NULL: neither waiting nor inside */
	uint64_t turn;
	bool inside;
};

/* may_read: have runs of this service and switches of this certificate to take turns? */
struct gate *gate_new(bool (*may_read)(void *arg, const char *service, const char *cert), void *arg);
void gate_free(struct gate *g); /* after all passes were left; NULL is fine */
/* enter() is called later, once, when those that clash are out; from then on p is inside. A pass that was left may ask again. */
void gate_ask(struct gate *g, struct gate_pass *p);
/* Out again, or waiting no longer: enter() is not called any more. Harmless for one that did not ask. */
void gate_leave(struct gate_pass *p);

#endif
