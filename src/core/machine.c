/* SPDX-License-Identifier: ISC */
#include "core/machine.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct machine_call {
	struct machine *m; /* NULL: the machine moved on, this answer is late */
	const void *answer; /* of machine_skip */
	void *op, *arg;
	void (*cancel)(void *arg, void *op);
};

static struct machine *runnable_first, *runnable_last;

static void machine_drive(struct machine *m, const void *answer, const struct err *err);

static const struct machine_state *machine_here(const struct machine *m)
{
	return &m->ops->table[m->state];
}

/* Whatever is still under way for the present state is cancelled or will be ignored. */
static void machine_let_go(struct machine *m)
{
	struct machine_call *call = m->call;

	m->call = NULL;
	timer_disarm(&m->timer);
	if (!call)
		return;
	call->m = NULL;
	if (call->cancel) {
		call->cancel(call->arg, call->op);
		free(call);
	}
}

static void machine_enqueue(struct machine *m)
{
	m->runnable = true;
	m->next_runnable = NULL;
	if (runnable_last)
		runnable_last->next_runnable = m;
	else
		runnable_first = m;
	runnable_last = m;
}

static void machine_dequeue(struct machine *m)
{
	struct machine **p, *last = NULL;

	if (!m->runnable)
		return;
	for (p = &runnable_first; *p != m; p = &(*p)->next_runnable)
		last = *p;
	*p = m->next_runnable;
	if (runnable_last == m)
		runnable_last = last;
	m->runnable = false;
}

static void machine_end(struct machine *m, const struct err *err)
{
	machine_let_go(m);
	timer_disarm(&m->limit);
	m->ended = true;
	m->ops->finished(m->owner, err); /* may free m */
}

static void machine_set_late(const struct machine *m, struct err *err)
{
	err_set(err, ERR_TEMP, "timeout", "no end after %lld s", (long long)machine_here(m)->limit_s);
}

static void machine_late(void *arg)
{
	struct machine *m = arg;
	struct err err;

	m->late = true;
	machine_set_late(m, &err);
	machine_let_go(m);
	machine_drive(m, NULL, &err);
}

static void machine_enter(struct machine *m, int state)
{
	m->state = state;
	m->again = 0;
	m->wait_ms = 0;
	m->late = false;
	m->visits[state]++;
	timer_disarm(&m->limit);
	if (machine_here(m)->begin)
		machine_enqueue(m);
}

/* The limit counts from here: a state that waits for the journal has not begun. */
static void machine_begin(struct machine *m)
{
	m->entered_ms = clock_mono_ms();
	if (machine_here(m)->limit_s)
		timer_arm(&m->limit, machine_here(m)->limit_s * 1000, machine_late, m);
	machine_here(m)->begin(m->owner, m);
}

static void machine_again(void *arg)
{
	struct machine *m = arg;

	machine_here(m)->begin(m->owner, m);
}

static void machine_move(struct machine *m, int next)
{
	const struct machine_state *to;
	int from = m->state;
	struct err err;

	if (next < 0 || next >= (int)m->ops->nstates || !(machine_here(m)->next & (1u << next))) {
		err_set(&err, ERR_BUG, "state", "no way from %s to state %d", machine_here(m)->name, next);
		machine_end(m, &err);
		return;
	}
	to = &m->ops->table[next];
	if (to->visits && m->visits[next] >= to->visits) {
		err_set(&err, ERR_TEMP, "loop", "came to \"%s\" %u times without getting further", to->name, m->visits[next]);
		machine_end(m, &err);
		return;
	}
	machine_enter(m, next);
	m->ops->moved(m->owner, from, next);
	if (!to->begin)
		machine_end(m, NULL);
}

static void machine_drive(struct machine *m, const void *answer, const struct err *err)
{
	struct err e = {0};
	int next;

	if (err)
		e = *err;
	next = machine_here(m)->ended(m->owner, m, answer, &e);
	if (next == m->state)
		next = MACHINE_AGAIN;
	if (next == MACHINE_AGAIN && m->late) { /* its time is up, whatever it thinks */
		machine_set_late(m, &e);
		next = MACHINE_FAIL;
	}
	if (next == MACHINE_FAIL) {
		machine_end(m, &e);
	} else if (next == MACHINE_AGAIN) {
		m->again++;
		timer_arm(&m->timer, m->wait_ms, machine_again, m);
	} else {
		machine_move(m, next);
	}
}

void machine_start(struct machine *m, const struct machine_ops *ops, void *owner, int state)
{
	m->ops = ops;
	m->owner = owner;
	machine_enter(m, state);
}

void machine_stop(struct machine *m)
{
	if (!m->ops)
		return;
	machine_let_go(m);
	timer_disarm(&m->limit);
	machine_dequeue(m);
	m->ended = true;
}

struct machine_call *machine_call(struct machine *m)
{
	struct machine_call *call = mem_alloc(sizeof(*call));

	machine_let_go(m);
	call->m = m;
	m->call = call;
	return call;
}

void machine_ended(struct machine_call *call, const void *answer, const struct err *err)
{
	struct machine *m = call->m;

	free(call);
	if (!m)
		return;
	m->call = NULL;
	machine_drive(m, answer, err);
}

void machine_pending(struct machine *m, void *op, void (*cancel)(void *arg, void *op), void *arg)
{
	if (!m->call || !op)
		return;
	m->call->op = op;
	m->call->cancel = cancel;
	m->call->arg = arg;
}

static void machine_unskip(void *arg, void *op)
{
	(void)arg;
	loop_undefer(op);
}

static void machine_skipped(void *arg)
{
	struct machine_call *call = arg;

	machine_ended(call, call->answer, NULL);
}

void machine_skip(struct machine *m, const void *answer)
{
	struct machine_call *call = m->call ? m->call : machine_call(m);

	call->answer = answer;
	machine_pending(m, call, machine_unskip, NULL);
	loop_defer(machine_skipped, call);
}

const char *machine_state_name(const struct machine *m)
{
	return machine_here(m)->name;
}

bool machine_run(void)
{
	struct machine *m, *stop = runnable_last;
	bool any = runnable_first != NULL;

	/* Only what was there when the commit was made: a machine that a begin starts waits for the next one. */
	while ((m = runnable_first)) {
		runnable_first = m->next_runnable;
		if (!runnable_first)
			runnable_last = NULL;
		m->runnable = false;
		machine_begin(m);
		if (m == stop)
			break;
	}
	return any;
}
