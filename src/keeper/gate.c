/* SPDX-License-Identifier: ISC */
#include "keeper/gate.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/loop.h"

struct gate {
	bool (*may_read)(void *arg, const char *service, const char *cert);
	void *arg;
	TAILQ_HEAD(, gate_pass) of[2]; /* by kind, in order of asking; inside or waiting */
	uint64_t turns;
	bool looks; /* at the end of this turn */
};

static bool do_clash(const struct gate *g, const struct gate_pass *p, const struct gate_pass *q)
{
	const struct gate_pass *run = p->kind == GATE_RUN ? p : q, *change = p->kind == GATE_RUN ? q : p;

	return g->may_read(g->arg, run->name, change->name);
}

/* Who is inside counts even when he came later: what clashes may change with the configuration. */
static bool is_barred(const struct gate *g, const struct gate_pass *p)
{
	const struct gate_pass *q;

	TAILQ_FOREACH(q, &g->of[p->kind == GATE_RUN ? GATE_SWITCH : GATE_RUN], link)
		if ((q->inside || q->turn < p->turn) && do_clash(g, p, q))
			return true;
	return false;
}

static void enter(void *pass)
{
	struct gate_pass *p = pass;

	p->enter(p->arg);
}

static void look(void *gate)
{
	struct gate *g = gate;
	struct gate_pass *p;

	g->looks = false;
	for (int kind = GATE_RUN; kind <= GATE_SWITCH; kind++)
		TAILQ_FOREACH(p, &g->of[kind], link) {
			if (p->inside || is_barred(g, p))
				continue;
			p->inside = true;
			loop_defer(enter, p); /* it may leave at once */
		}
}

/* Many may come and go in one turn. */
static void look_soon(struct gate *g)
{
	if (!g->looks)
		loop_defer(look, g);
	g->looks = true;
}

void gate_ask(struct gate *g, struct gate_pass *p)
{
	p->gate = g;
	p->turn = g->turns++;
	p->inside = false;
	TAILQ_INSERT_TAIL(&g->of[p->kind], p, link);
	look_soon(g);
}

void gate_leave(struct gate_pass *p)
{
	struct gate *g = p->gate;

	if (!g)
		return;
	TAILQ_REMOVE(&g->of[p->kind], p, link);
	loop_undefer(p);
	p->gate = NULL;
	p->inside = false;
	look_soon(g);
}

struct gate *gate_new(bool (*may_read)(void *arg, const char *service, const char *cert), void *arg)
{
	struct gate *g = mem_alloc(sizeof(*g));

	g->may_read = may_read;
	g->arg = arg;
	for (int kind = GATE_RUN; kind <= GATE_SWITCH; kind++)
		TAILQ_INIT(&g->of[kind]);
	return g;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	loop_undefer(g);
	free(g);
}
