/* SPDX-License-Identifier: ISC */
/* Is the proof visible everywhere? Every address of every authoritative server is asked, each on its own schedule, until the quorum holds or the time is
 * up; nothing is believed that was not seen. What is decided and when is in verdict.h (pure); here is who is asked next. */
#ifndef DOVAD_PROVE_VISIBLE_H
#define DOVAD_PROVE_VISIBLE_H

#include "prove/verdict.h"
#include "prove/zone.h"

struct visible_options { /* borrowed while it runs, but for `values`, which is copied */
	struct asker *asker;
	struct zone *zone;
	const char *const *values; /* all of them must be there at one time: ours, and other pending ones of the same name */
	size_t nvalues;
	struct quorum quorum;
	unsigned confirm;          /* passes on fresh sockets after the first, TCP and UDP in turn (UDP where TCP is not answered); 0 or more */
	/* Until the quorum must have held; the last looks (confirmations, settle) may pass it, and fail when they see otherwise then. */
	int64_t timeout_ms;
	int64_t settle_ms;         /* to wait after the pass, and then look once more */
	struct visible_gate *gate; /* shared by the proofs of one zone; NULL: none */
	/* What is seen, whenever it changed: as the final report; on a turn of its own, where the wait may be cancelled; may be NULL. */
	void (*progress)(void *arg, const struct js *report);
	void *progress_arg;
};

/* report: {name, values, zone, serial_before, serial, negative_ttl, decision, why, questions, elapsed_ms, servers: [{name, address, proto, seen, rtt_ms,
 * rcode, aa, serial, verdict, since_ms, next_ms, note}], notes}. decision: "wait", "confirm", "settle", "visible" or "failed", why: the quorum's words;
 * since_ms (when the verdict was first so) and next_ms (the next look) count from the start, as elapsed_ms does; members that are not known are left out.
 * err set: not visible, with the first server that stands in the way named (type "propagation"). Once, on a later turn. */
typedef void visible_done(void *arg, const struct js *report, const struct err *err);
struct visible;
struct visible *visible_start(const struct visible_options *options, visible_done *done, void *arg);
/* Other values are to be there from now on: all servers are asked anew, within the same time. */
void visible_change(struct visible *v, const char *const *values, size_t nvalues);
void visible_cancel(struct visible *v); /* NULL is fine */

/* Many names of one zone wait at once: its servers are asked for the SOA serial, and for the names only when that moved (and a few times without, for
 * servers that do not move it). */
struct visible_gate;
struct visible_gate *visible_gate_new(void);
void visible_gate_free(struct visible_gate *g);

#endif
