/* SPDX-License-Identifier: ISC */
/* One wait for a proof, shared by visible.c (who is asked when, and when it is enough), visible_report.c (what is told) and visible_gate.c (many names of
 * one zone). */
#ifndef DOVAD_PROVE_VISIBLE_INNER_H
#define DOVAD_PROVE_VISIBLE_INNER_H

#include <sys/queue.h>

#include "io/loop.h"
#include "prove/visible.h"

/* --- the gate ------------------------------------------------------------------------------------------------------------------- */

struct gate_address;
struct gate_wait { /* an address that some name is waited for at; memory of its owner */
	TAILQ_ENTRY(gate_wait) link;
	struct gate_address *at;  /* NULL: not waiting, or without a gate */
	void (*go)(void *arg);    /* ask gate_ask again; only a timer may be armed in it */
	void *arg;
	bool held, lucky, known;
	uint32_t since;
};
enum gate_says { GATE_LOOK, GATE_HOLD /* go() will be called */, GATE_DEAD /* the address did not answer the gate either */ };

void visible_gate_enter(struct gate_wait *w, const struct visible_options *o, const struct addr *addr); /* again: harmless */
void visible_gate_leave(struct gate_wait *w, bool shown); /* shown: the name was seen there; harmless when not waiting */
/* May the name be asked for now, when the last serial known to be without it is `since`? GATE_DEAD: *dead says how. */
enum gate_says visible_gate_ask(struct gate_wait *w, bool known, uint32_t since, struct dns_answer *dead);
bool visible_gate_is_crowded(const struct gate_wait *w); /* so many names wait there that none of them may ask for more than it has to */
/* The serial there, as last heard. */
bool visible_gate_serial(const struct gate_wait *w, uint32_t *serial);

/* Does a wildcard show TXT records below this parent? Kept for a short while, of one parent: names that a CNAME led to share it. g may be NULL. */
enum gate_wild { GATE_UNKNOWN, GATE_ASKED /* and not answered yet, or with yes */, GATE_BARE /* no */ };
enum gate_wild visible_gate_wild(const struct visible_gate *g, const char *parent);
void visible_gate_set_wild(struct visible_gate *g, const char *parent, enum gate_wild known);

/* --- one wait ------------------------------------------------------------------------------------------------------------------- */

enum visible_phase { PHASE_WAIT, PHASE_CONFIRM, PHASE_SETTLE, PHASE_VISIBLE, PHASE_FAILED };

struct visible_row { /* one address */
	struct visible *v;
	const struct zone_server *server;
	struct dns_query *query;
	struct timer timer;        /* to the next look */
	struct gate_wait wait;
	struct seen seen;
	unsigned looks;            /* that had to be repeated: the gaps grow */
	unsigned answers, failures; /* failures: in a row, after an authoritative answer */
	bool asked_tcp;            /* the question under way */
	bool by_udp, by_tcp, lowers_case, no_tcp, held;
	bool has_serial, gate_known; /* gate_...: what the gate knew when the question was asked */
	uint32_t serial, gate_serial;
	int64_t rtt_us, since_ms, next_ms; /* the clock's; 0: none */
};

struct visible {
	struct visible_options o;
	char **values;
	char *sibling;
	enum visible_phase phase;
	struct visible_row *row;
	size_t nrows;
	size_t pending;            /* answers this round waits for */
	unsigned round, flips;
	bool extras, settled, late, wild, telling;
	struct dns_query *sibling_query, *serial_query;
	struct visible_row *serial_row;
	struct timer deadline, settle;
	int64_t began_ms;
	unsigned questions;
	struct err err;
	visible_done *done;
	void *arg;
};
enum quorum_state visible_quorum(const struct visible *v, char why[160]);
struct js *visible_report(const struct visible *v);
/* Why it is not visible, the first address that stands in the way named. */
void visible_explain(const struct visible *v, struct err *err);

#endif
