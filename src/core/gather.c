/* SPDX-License-Identifier: ISC */
#include "core/gather.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

struct place { /* at one service */
	bool coming;      /* an order for it is under way */
	int64_t first_ms; /* who waits for it longest began to; 0: nobody does */
};

static size_t nservices(const struct gather_member *m)
{
	return m->cert->conf ? m->cert->conf->service.n : 0;
}

static struct place *place_of(const struct gather *g, struct place *places, const struct gather_member *m, size_t service)
{
	return &places[m->cert->conf->service.v[service] - g->conf->service.v];
}

static struct place *survey(const struct gather *g)
{
	struct place *places = mem_array(g->conf->service.n + 1, sizeof(*places));
	const struct gather_member *m;

	TAILQ_FOREACH(m, &g->members, link)
		for (size_t i = 0; i < nservices(m); i++) {
			struct place *p = place_of(g, places, m, i);

			p->coming |= !m->since_ms;
			if (m->since_ms && (!p->first_ms || m->since_ms < p->first_ms))
				p->first_ms = m->since_ms;
		}
	return places;
}

/* When its last service needs waiting for no longer; monotonic, 0: now. */
static int64_t ready_at(const struct gather *g, struct place *places, const struct gather_member *m)
{
	int64_t at = 0;

	for (size_t i = 0; i < nservices(m); i++) {
		const struct place *p = place_of(g, places, m, i);

		if (p->coming && p->first_ms + GATHER_MS > at)
			at = p->first_ms + GATHER_MS;
	}
	return at;
}

static struct gather_member *first_ready(const struct gather *g)
{
	struct gather_member *m;

	TAILQ_FOREACH(m, &g->members, link)
		if (m->ready)
			break;
	return m;
}

static void look(void *arg)
{
	struct gather *g = arg;
	int64_t now = clock_mono_ms(), next = 0;
	struct gather_member *m;
	struct place *places;

	if (TAILQ_EMPTY(&g->members))
		return;
	places = survey(g);
	TAILQ_FOREACH(m, &g->members, link) {
		int64_t at = m->since_ms ? ready_at(g, places, m) : now;

		m->ready = m->since_ms && at <= now;
		if (at > now && (!next || at < next))
			next = at;
	}
	free(places);
	if (next)
		timer_arm(&g->timer, next - now, look, g);
	while ((m = first_ready(g))) {
		gather_leave(m);
		m->go(m->arg);
	}
}

/* Once for all that happens in this turn. */
static void look_soon(struct gather *g)
{
	timer_arm(&g->timer, 0, look, g);
}

void gather_init(struct gather *g)
{
	TAILQ_INIT(&g->members);
}

void gather_end(struct gather *g)
{
	timer_disarm(&g->timer);
}

void gather_conf(struct gather *g, const struct conf *conf)
{
	g->conf = conf;
	look_soon(g);
}

void gather_join(struct gather *g, struct gather_member *m, const struct cert *cert)
{
	*m = (struct gather_member){ .of = g, .cert = cert };
	TAILQ_INSERT_TAIL(&g->members, m, link);
}

void gather_wait(struct gather *g, struct gather_member *m, const struct cert *cert, void (*go)(void *arg), void *arg)
{
	if (!m->of)
		gather_join(g, m, cert);
	m->since_ms = clock_mono_ms();
	m->go = go;
	m->arg = arg;
	look_soon(g);
}

void gather_leave(struct gather_member *m)
{
	struct gather *g = m->of;

	if (!g)
		return;
	m->of = NULL;
	m->ready = false;
	TAILQ_REMOVE(&g->members, m, link);
	look_soon(g);
}
