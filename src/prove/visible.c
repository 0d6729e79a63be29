/* SPDX-License-Identifier: ISC */
#include "prove/visible.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "prove/answer.h"
#include "prove/visible_inner.h"

enum {
	/* Looks in a row, and how far apart at most, before a stale address counts as gone: one lost answer proves nothing, nor does a SERVFAIL or a REFUSED
	 * while the old zone is loaded again, or questions are limited. */
	FAILURES = 3, FAILING_MS = 1000,
	ROUNDS_PER_FLIP = 2, ROUNDS_MORE = 6, /* more rounds once an address was seen to contradict itself */
	CHANGED_MS = 5000,         /* when the time is up already and there is something new to look for */
	TCP_MS = 1000,             /* for a confirmation over TCP: where that is closed, UDP comes after it */
	HELD_MS = 30000,           /* at least: then a name is looked for although the serial stands still */
};

static void row_tick(void *arg);
static void row_ask(struct visible_row *row, bool fresh, bool tcp);
static void go_on(struct visible *v);
static void check(struct visible *v);

static bool is_good(const struct visible_row *row)
{
	return row->seen.verdict == VERDICT_OK || row->seen.verdict == VERDICT_WILD;
}

static bool is_authoritative(enum verdict v)
{
	return v == VERDICT_OK || v == VERDICT_WILD || v == VERDICT_STALE;
}

/* --- telling -------------------------------------------------------------------------------------------------------------------- */

static void tell_now(void *arg)
{
	struct visible *v = arg;
	struct js *report = visible_report(v);

	v->telling = false;
	v->o.progress(v->o.progress_arg, report); /* may cancel v */
	js_free(report);
}

static void tell(struct visible *v)
{
	if (!v->o.progress || v->telling)
		return;
	v->telling = true;
	loop_defer(tell_now, v);
}

/* --- ends ----------------------------------------------------------------------------------------------------------------------- */

static void row_stop(struct visible_row *row)
{
	row->v->o.asker->ops->cancel(row->query);
	row->query = NULL;
	timer_disarm(&row->timer);
	row->next_ms = 0;
	row->held = false;
}

static void stop(struct visible *v)
{
	for (size_t i = 0; i < v->nrows; i++) {
		row_stop(&v->row[i]);
		visible_gate_leave(&v->row[i].wait, false);
	}
	v->o.asker->ops->cancel(v->sibling_query);
	v->o.asker->ops->cancel(v->serial_query);
	v->sibling_query = v->serial_query = NULL;
	timer_disarm(&v->deadline);
	timer_disarm(&v->settle);
	loop_undefer(v);
}

static void set_values(struct visible *v, const char *const *values, size_t n)
{
	for (size_t i = 0; v->values && i < v->o.nvalues; i++)
		free(v->values[i]);
	free(v->values);
	v->values = mem_array(n, sizeof(*v->values));
	v->o.nvalues = n;
	for (size_t i = 0; i < n; i++)
		v->values[i] = mem_strdup(values[i]);
}

static void visible_free(struct visible *v)
{
	set_values(v, NULL, 0);
	free(v->values);
	free(v->sibling);
	free(v->row);
	zone_free(v->o.zone);
	free(v);
}

static void finish_now(void *arg)
{
	struct visible *v = arg;
	struct js *report = visible_report(v);
	struct err err = v->err;
	visible_done *done = v->done;
	void *done_arg = v->arg;

	visible_free(v);
	done(done_arg, report, err.kind == ERR_NONE ? NULL : &err);
	js_free(report);
}

static void finish(struct visible *v, enum visible_phase how)
{
	stop(v);
	if (how == PHASE_FAILED)
		visible_explain(v, &v->err);
	v->phase = how;
	loop_defer(finish_now, v);
}

/* While the values are there and only the last looks are made, the time does not run out; it does when one of them says otherwise. */
static void deadline(void *arg)
{
	struct visible *v = arg;

	if (v->phase == PHASE_WAIT)
		finish(v, PHASE_FAILED);
	else
		v->late = true;
}

/* --- one answer ----------------------------------------------------------------------------------------------------------------- */

static bool take_serial(struct visible_row *row, const struct dns_answer *answer)
{
	const char *apex = row->v->o.zone->apex;
	struct arena *arena = arena_new();
	struct answer a;
	bool ok = answer->head.aa && answer_read(arena, answer, apex, &a) && a.soa_owner && strcmp(a.soa_owner, apex) == 0;

	if (ok) {
		row->has_serial = true;
		row->serial = a.soa.serial;
	}
	arena_free(arena);
	return ok;
}

/* It says that the zone is not here, and does not only refuse to answer this time. */
static bool is_without_zone(const struct seen *seen)
{
	return seen->verdict == VERDICT_LAME && (seen->rcode == DNS_NOERROR || seen->rcode == DNS_NXDOMAIN);
}

/* What counts: the answer itself, but for answers that prove less than what was known. */
static void weigh(struct visible_row *row, struct seen *now)
{
	const struct seen *was = &row->seen;

	if (is_authoritative(now->verdict)) {
		row->failures = 0;
		row->no_tcp &= !row->asked_tcp;
	} else if (row->asked_tcp && is_good(row)) { /* CAs ask over UDP */
		row->no_tcp = true;
		*now = *was;
	} else if (was->verdict == VERDICT_STALE && !is_without_zone(now) && ++row->failures < FAILURES) {
		*now = *was;
	}
	if (now->verdict == VERDICT_OK && row->v->wild)
		now->verdict = VERDICT_WILD;
}

static void take_answer(struct visible_row *row, const struct dns_answer *answer)
{
	struct visible *v = row->v;
	struct seen now;

	verdict_read(answer, v->o.zone->owner, (const char *const *)v->values, v->o.nvalues, &now);
	v->questions += answer->sent;
	if (answer->how == DNS_ANSWERED) {
		row->answers++;
		row->by_tcp |= answer->over_tcp;
		row->by_udp |= !answer->over_tcp;
		row->lowers_case |= !answer->case_kept;
		row->rtt_us = answer->rtt_us;
	}
	if (now.verdict == VERDICT_STALE && !take_serial(row, answer) && row->gate_known) {
		row->has_serial = true;
		row->serial = row->gate_serial;
	}
	weigh(row, &now);
	if (now.verdict != row->seen.verdict)
		row->since_ms = clock_mono_ms();
	row->seen = now;
	tell(v);
}

/* --- looking, each address for itself --------------------------------------------------------------------------------------------- */

static void row_wait(struct visible_row *row, int64_t gap)
{
	row->next_ms = clock_mono_ms() + gap;
	timer_arm(&row->timer, gap, row_tick, row);
}

static void serial_answered(void *arg, const struct dns_answer *answer)
{
	struct visible *v = arg;

	v->serial_query = NULL;
	v->questions += answer->sent;
	if (answer->how == DNS_ANSWERED)
		(void)!take_serial(v->serial_row, answer);
	tell(v);
}

/* Once, where the values were seen first: only for people, to tell how far the others are behind. Many names would all ask the same. */
static void ask_serial(struct visible_row *row)
{
	struct visible *v = row->v;
	const struct dns_ask ask = { .to = row->server->addr, .name = v->o.zone->apex, .type = DNS_SOA };

	if (v->serial_row || visible_gate_is_crowded(&row->wait))
		return;
	v->serial_row = row;
	v->serial_query = v->o.asker->ops->ask(v->o.asker, &ask, serial_answered, v);
}

static void row_next(struct visible_row *row)
{
	int64_t gap;

	if (is_good(row)) {
		ask_serial(row);
		row_stop(row);
		visible_gate_leave(&row->wait, true);
		return;
	}
	visible_gate_enter(&row->wait, &row->v->o, &row->server->addr);
	gap = look_gap(row->looks++, row->v->o.timeout_ms, arc4random());
	row_wait(row, row->failures > 0 && row->failures < FAILURES && gap > FAILING_MS ? FAILING_MS : gap);
}

static void row_heard(struct visible_row *row, const struct dns_answer *answer)
{
	take_answer(row, answer);
	row_next(row);
	check(row->v);
}

static void row_answered(void *arg, const struct dns_answer *answer)
{
	struct visible_row *row = arg;
	struct visible *v = row->v;
	bool was_good = is_good(row);

	row->query = NULL;
	if (v->phase == PHASE_WAIT) {
		row_heard(row, answer);
		return;
	}
	take_answer(row, answer);
	if (row->asked_tcp && row->no_tcp) { /* it is to be confirmed all the same */
		row_ask(row, true, false);
		return;
	}
	v->flips += was_good && row->seen.verdict == VERDICT_STALE;
	if (--v->pending == 0)
		go_on(v);
}

static void row_ask(struct visible_row *row, bool fresh, bool tcp)
{
	struct visible *v = row->v;
	const struct dns_ask ask = {
		.to = row->server->addr, .name = v->o.zone->owner, .type = DNS_TXT, .bits = DNS_MIXED_CASE, .tcp = tcp, .fresh = fresh,
		.timeout_ms = tcp ? TCP_MS : 0,
	};

	row_stop(row);
	row->asked_tcp = tcp;
	row->gate_known = visible_gate_serial(&row->wait, &row->gate_serial);
	row->query = v->o.asker->ops->ask(v->o.asker, &ask, row_answered, row);
}

static void row_look(void *arg)
{
	row_ask(arg, false, false);
}

/* The gate holds back names that cannot be there yet; not for ever, since a serial may mean nothing. */
static void row_hold(struct visible_row *row)
{
	int64_t timeout = row->v->o.timeout_ms, most = timeout / 4 > HELD_MS ? timeout / 4 : HELD_MS;

	if (!row->held && row->seen.verdict == VERDICT_NONE)
		tell(row->v);
	row->held = true;
	if (most > timeout / 2)
		most = timeout / 2;
	row->next_ms = clock_mono_ms() + most;
	timer_arm(&row->timer, most, row_look, row);
}

static void row_tick(void *arg)
{
	struct visible_row *row = arg;
	const struct zone *zone = row->v->o.zone;
	bool known = row->has_serial || zone->serial != 0;
	struct dns_answer dead;

	switch (visible_gate_ask(&row->wait, known, row->has_serial ? row->serial : zone->serial, &dead)) {
	case GATE_LOOK:
		row_look(row);
		break;
	case GATE_HOLD:
		row_hold(row);
		break;
	case GATE_DEAD:
		row->asked_tcp = false;
		row_heard(row, &dead);
		break;
	}
}

static void row_go(void *arg)
{
	struct visible_row *row = arg;

	if (!row->query && row->v->phase == PHASE_WAIT)
		row_wait(row, 0);
}

/* --- all of them ------------------------------------------------------------------------------------------------------------------ */

static void sibling_answered(void *arg, const struct dns_answer *answer)
{
	struct visible *v = arg;
	struct seen seen;

	v->sibling_query = NULL;
	v->questions += answer->sent;
	verdict_read(answer, v->sibling, (const char *const *)v->values, v->o.nvalues, &seen);
	v->wild = seen.verdict == VERDICT_OK || seen.verdict == VERDICT_WILD;
	if (seen.verdict == VERDICT_STALE && seen.nvalues == 0)
		visible_gate_set_wild(v->o.gate, dns_name_parent(v->sibling), GATE_BARE);
	for (size_t i = 0; i < v->nrows && v->wild; i++)
		if (v->row[i].seen.verdict == VERDICT_OK)
			v->row[i].seen.verdict = VERDICT_WILD;
	if (--v->pending == 0)
		go_on(v);
}

/* The one that had least to say so far, by chance among equals: what many names ask is to be spread. */
static const struct visible_row *any_good(const struct visible *v)
{
	const struct visible_row *any = NULL;
	uint32_t equals = 0;

	for (const struct visible_row *row = v->row; row < v->row + v->nrows; row++) {
		if (!is_good(row) || (any && row->answers > any->answers))
			continue;
		equals = any && row->answers == any->answers ? equals + 1 : 1;
		if (arc4random() % equals == 0)
			any = row;
	}
	return any;
}

/* Once: is it there by a wildcard only? When another name has asked that just now, its answer may be there after the round that is under way. */
static void ask_extras(struct visible *v)
{
	const char *parent = dns_name_parent(v->sibling);
	enum gate_wild known = visible_gate_wild(v->o.gate, parent);
	const struct visible_row *row = any_good(v);
	struct dns_ask ask = { .name = v->sibling, .type = DNS_TXT };

	v->extras = known != GATE_ASKED || v->pending == 0;
	if (!v->extras || known == GATE_BARE || !row)
		return;
	visible_gate_set_wild(v->o.gate, parent, GATE_ASKED);
	ask.to = row->server->addr;
	v->sibling_query = v->o.asker->ops->ask(v->o.asker, &ask, sibling_answered, v);
	v->pending++;
}

static void ask_all(struct visible *v, bool tcp)
{
	for (size_t i = 0; i < v->nrows; i++) {
		struct visible_row *row = &v->row[i];

		row_ask(row, true, tcp && is_good(row) && !row->no_tcp);
		v->pending++;
	}
}

static unsigned rounds_needed(const struct visible *v)
{
	unsigned more = v->flips * ROUNDS_PER_FLIP;

	return v->o.confirm + (more < ROUNDS_MORE ? more : ROUNDS_MORE);
}

static void settle_over(void *arg)
{
	struct visible *v = arg;

	v->settled = true;
	v->phase = PHASE_CONFIRM;
	ask_all(v, false);
}

static void wait_again(struct visible *v)
{
	v->phase = PHASE_WAIT;
	v->round = 0;
	v->settled = false;
	if (v->late) {
		finish(v, PHASE_FAILED);
		return;
	}
	for (size_t i = 0; i < v->nrows; i++)
		if (!v->row[i].query)
			row_next(&v->row[i]);
	tell(v);
}

/* The quorum held when this round began. Does it still? Then the next round, the wait, the last look. */
static void go_on(struct visible *v)
{
	if (visible_quorum(v, NULL) != QUORUM_HOLDS) {
		wait_again(v);
		return;
	}
	v->phase = PHASE_CONFIRM;
	if (v->round < rounds_needed(v))
		ask_all(v, v->round++ % 2 == 0);
	if (!v->extras)
		ask_extras(v);
	if (v->pending > 0) {
		tell(v);
	} else if (v->o.settle_ms > 0 && !v->settled) {
		v->phase = PHASE_SETTLE;
		timer_arm(&v->settle, v->o.settle_ms, settle_over, v);
		tell(v);
	} else {
		finish(v, PHASE_VISIBLE);
	}
}

static void check(struct visible *v)
{
	if (visible_quorum(v, NULL) != QUORUM_HOLDS)
		return;
	for (size_t i = 0; i < v->nrows; i++) {
		row_stop(&v->row[i]);
		visible_gate_leave(&v->row[i].wait, false);
	}
	go_on(v);
}

/* --- start ---------------------------------------------------------------------------------------------------------------------- */

static char *sibling_of(const char *owner)
{
	return mem_printf("%08x.%s", arc4random(), dns_name_parent(owner));
}

struct visible *visible_start(const struct visible_options *options, visible_done *done, void *arg)
{
	struct visible *v = mem_alloc(sizeof(*v));

	v->o = *options;
	v->o.zone = zone_ref(options->zone);
	set_values(v, options->values, options->nvalues);
	v->sibling = sibling_of(options->zone->owner);
	v->done = done;
	v->arg = arg;
	v->began_ms = clock_mono_ms();
	v->nrows = options->zone->nservers;
	v->row = mem_array(v->nrows, sizeof(*v->row));
	for (size_t i = 0; i < v->nrows; i++) {
		struct visible_row *row = &v->row[i];

		row->v = v;
		row->server = &options->zone->servers[i];
		row->wait.go = row_go;
		row->wait.arg = row;
		visible_gate_enter(&row->wait, &v->o, &row->server->addr);
		row_wait(row, 0);
	}
	timer_arm(&v->deadline, v->o.timeout_ms, deadline, v);
	if (v->nrows == 0 || v->o.nvalues == 0)
		finish(v, PHASE_FAILED);
	return v;
}

void visible_change(struct visible *v, const char *const *values, size_t nvalues)
{
	if (v->phase == PHASE_VISIBLE || v->phase == PHASE_FAILED) /* about to be told */
		return;
	set_values(v, values, nvalues);
	v->extras &= !v->sibling_query;
	v->o.asker->ops->cancel(v->sibling_query);
	v->sibling_query = NULL;
	timer_disarm(&v->settle);
	v->phase = PHASE_WAIT;
	v->settled = false;
	v->pending = v->round = 0;
	if (v->late)
		timer_arm(&v->deadline, CHANGED_MS, deadline, v);
	v->late = false;
	for (size_t i = 0; i < v->nrows; i++) {
		struct visible_row *row = &v->row[i];

		row_stop(row);
		if (is_good(row))
			row->seen = (struct seen){ .verdict = VERDICT_NONE };
		visible_gate_enter(&row->wait, &v->o, &row->server->addr);
		row_wait(row, 0);
	}
}

void visible_cancel(struct visible *v)
{
	if (!v)
		return;
	stop(v);
	visible_free(v);
}
