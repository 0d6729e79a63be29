/* SPDX-License-Identifier: ISC */
/* Once in `look_every` each certificate that is in service is looked at, spread evenly over that time and a few at once. A service that serves another
 * one has drifted away: what is installed is put into service again. */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/look.h"

enum { LOOKS_AT_ONCE = 32 };

struct glance { /* at one certificate, one address after the other */
	struct glance *next;
	struct registry *r;
	char *cert;
	size_t nth;
	struct look_own *own; /* NULL: not found out */
	struct dns_lookup *find;
	struct tls_look *look;
	struct err drift; /* the first that serves something else */
	bool news;
	void (*done)(void *arg); /* NULL: nobody waits */
	void *arg;
};

static void give(struct registry *r);

static void glance_free(struct glance *g)
{
	struct glance **at;

	for (at = &g->r->glances; *at != g; at = &(*at)->next)
		;
	*at = g->next;
	g->r->nglances--;
	free(g->own);
	free(g->cert);
	free(g);
}

/* Served as it should be by all we know, and nothing is being done about it. */
static bool is_settled(const struct cert *c)
{
	return c->conf->enabled && !c->order && !c->waiting && !c->asking && !c->unknown && !c->attempts && c->fingerprint && registry_current(c) &&
		c->placed == cert_place(c->conf);
}

static void drifted(struct registry *r, struct cert *c, const struct err *err)
{
	log_error("a service does not serve the installed certificate any more: it is put into service again", "cert", c->name, "error", log_err(err), NULL);
	c->placed = 0;
	registry_plan(r, c);
	c->state = CERT_STALE;
	cert_set_error(c, err, clock_now());
	registry_event(r, c, "drifted", js_from_err(err), true);
	registry_look_again(r);
}

static void glance_end(void *arg)
{
	struct glance *g = arg;
	struct registry *r = g->r;
	struct cert *c = registry_find(r, g->cert);

	if (c && is_settled(c)) {
		g->news |= look_prune(c, g->own);
		if (g->drift.kind != ERR_NONE)
			drifted(r, c, &g->drift);
		if (g->news)
			registry_save_soon(r, c);
	}
	if (g->done)
		g->done(g->arg);
	glance_free(g);
	give(r);
}

static void glance_at_next(struct glance *g);

static void glance_seen(void *arg, const struct tls_seen *seen, const struct err *err)
{
	struct glance *g = arg;
	struct cert *c = registry_find(g->r, g->cert);
	struct err why = {0};
	struct look_at at;

	g->look = NULL;
	if (err)
		why = *err;
	if (c && is_settled(c) && look_find(c->conf, g->own, g->nth, &at) && look_note(c, &at, seen, &why, &g->news) == LOOK_OTHER &&
		g->drift.kind == ERR_NONE)
		g->drift = why;
	g->nth++;
	glance_at_next(g);
}

static void glance_found(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct glance *g = arg;
	struct cert *c = registry_find(g->r, g->cert);

	g->find = NULL;
	g->own = err && c ? look_own_known(c) : look_own_of(addrs, err ? 0 : n);
	glance_at_next(g);
}

static void glance_at_next(struct glance *g)
{
	struct cert *c = registry_find(g->r, g->cert);
	struct look_at at;
	struct tls_ask ask;

	if (c && is_settled(c) && !g->own && look_wants_own(c->conf) && g->r->make.addresses) {
		g->find = g->r->make.addresses(g->r->make.arg, look_name(c->conf, at.sni), glance_found, g);
		return;
	}
	while (c && is_settled(c) && look_find(c->conf, g->own, g->nth, &at)) {
		if (look_ask(c->conf, &at, &ask)) {
			g->look = g->r->make.look(&ask, glance_seen, g);
			return;
		}
		g->nth++;
	}
	loop_defer(glance_end, g);
}

static struct glance *glance_start(struct registry *r, struct cert *c)
{
	struct glance *g = mem_alloc(sizeof(*g));

	*g = (struct glance){.next = r->glances, .r = r, .cert = mem_strdup(c->name)};
	r->glances = g;
	r->nglances++;
	glance_at_next(g);
	return g;
}

static bool is_looked_at(const struct conf_cert *conf)
{
	for (size_t i = 0; i < conf->service.n; i++)
		if (conf->service.v[i]->look.n)
			return true;
	return false;
}

bool registry_glance(struct registry *r, struct cert *c, void (*done)(void *arg), void *arg)
{
	struct glance *g;

	if (!is_settled(c) || !is_looked_at(c->conf))
		return false;
	g = glance_start(r, c);
	g->done = done;
	g->arg = arg;
	return true;
}

void registry_unglance(struct registry *r, const void *arg)
{
	for (struct glance *g = r->glances; g; g = g->next)
		if (g->arg == arg)
			g->done = NULL;
}

static void give(struct registry *r)
{
	while (r->glance_rota.due && r->nglances < LOOKS_AT_ONCE && r->ncerts) {
		struct cert *c = r->certs[r->glance_rota.next++ % r->ncerts];

		r->glance_rota.due--;
		if (is_settled(c) && is_looked_at(c->conf))
			glance_start(r, c);
	}
}

void rota_pass(struct rota *t, size_t n, int64_t every_ms)
{
	int64_t now = clock_mono_ms(), due;

	if (!every_ms || !n) {
		t->ms = now;
		return;
	}
	due = (now - t->ms) * (int64_t)n / every_ms;
	t->ms += due * every_ms / (int64_t)n;
	t->due += (size_t)due;
	if (t->due > n)
		t->due = n;
}

void registry_give_looks(struct registry *r)
{
	rota_pass(&r->glance_rota, r->ncerts, r->conf && !r->implausible ? r->conf->settings.look_every * 1000 : 0);
	give(r);
}

void registry_end_looks(struct registry *r)
{
	struct glance *g;

	while ((g = r->glances)) {
		loop_undefer(g);
		if (g->look)
			r->make.look_cancel(g->look);
		if (g->find)
			r->make.addresses_cancel(g->find);
		glance_free(g);
	}
}
