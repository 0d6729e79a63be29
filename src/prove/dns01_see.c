/* SPDX-License-Identifier: ISC */
/* The look of DNS-01: the zone's own name servers, then whoever else is to be asked; and what is learnt when a CA sees it differently. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "prove/dns01_inner.h"

enum {
	VALUES_MAX = OPINION_VALUES_MAX,
	REVIEW_MS = 3000,
	LAG_MS = 2000, /* secondaries get at least, where nobody can look at them */
};

/* --- the gate of a zone ------------------------------------------------------------------------------------------------------ */

static struct dns01_gate *gate_take(struct dns01_world *w, const char *apex)
{
	struct dns01_gate *g;

	LIST_FOREACH(g, &w->gates, link)
		if (strcmp(g->apex, apex) == 0)
			break;
	if (!g) {
		g = mem_alloc(sizeof(*g));
		g->apex = mem_strdup(apex);
		g->gate = visible_gate_new();
		LIST_INSERT_HEAD(&w->gates, g, link);
	}
	g->users++;
	return g;
}

static void gate_give(struct dns01_gate *g)
{
	if (!g || --g->users)
		return;
	LIST_REMOVE(g, link);
	visible_gate_free(g->gate);
	free(g->apex);
	free(g);
}

/* --- what is to be seen ------------------------------------------------------------------------------------------------------ */

/* Ours first; then what else is published at this place, so that none of it is overwritten unseen. */
static size_t wanted(struct method_call *c, const char *values[VALUES_MAX])
{
	const char *held[VALUES_MAX];
	size_t n = held_values(c->m->world, c->zone->owner, held, VALUES_MAX), k = 1;

	values[0] = c->value;
	for (size_t i = 0; i < n && k < VALUES_MAX; i++)
		if (strcmp(held[i], c->value) != 0)
			values[k++] = held[i];
	return k;
}

static const char *writer_name(struct method_call *c)
{
	struct held *h = held_find(c->m->world, c->value);

	return h ? h->by : c->old_by ? c->old_by : c->m->options.provider->name;
}

static struct dns_learned learned(struct method_call *c)
{
	return dns_learned_get(&c->m->world->options.memory, writer_name(c), c->zone->apex);
}

static int64_t settle_ms(struct method_call *c)
{
	int64_t known = learned(c).settle_ms;

	return known > c->m->options.settle_ms ? known : c->m->options.settle_ms;
}

/* --- keeping what was seen --------------------------------------------------------------------------------------------------- */

static void keep(struct method_call *c, const struct js *report)
{
	struct dns_learned usual = learned(c);

	js_free(c->report);
	c->report = js_ref((struct js *)report);
	js_put_str(c->report, "challenge", c->zone->challenge);
	js_put(c->report, "found", js_ref(c->zone->report));
	if (usual.times) {
		js_put_int(c->report, "usual_ms", usual.usual_ms);
		js_put_int(c->report, "usual_of", usual.times);
	}
}

static struct js *own_report(struct method_call *c)
{
	if (!c->report) {
		struct js *report = js_object();

		js_put_str(report, "name", c->zone->owner);
		keep(c, report);
		js_free(report);
	}
	return c->report;
}

const struct js *dns01_seeing(const struct method_call *c)
{
	if (c->opinion && c->report)
		js_put(c->report, "opinions", opinion_report(c->opinion));
	return c->report;
}

static void end_seen(struct method_call *c, const struct err *err)
{
	js_put_bool(own_report(c), "ok", !err);
	dns01_end(c, c->report, err);
}

static void settled(void *arg)
{
	end_seen(arg, NULL);
}

/* --- others ------------------------------------------------------------------------------------------------------------------ */

static void opinion_came(void *arg, const struct js *report, const struct err *err)
{
	struct method_call *c = arg;

	c->opinion = NULL;
	js_put(own_report(c), "opinions", js_ref((struct js *)report));
	end_seen(c, err);
}

/* By HTTPS only, or whichever are configured. */
static bool is_wanted(const struct method_call *c, const char *server)
{
	return c->m->options.check != DNS01_DOH || strncmp(server, "https://", 8) == 0;
}

static void ask_others(struct method_call *c)
{
	const struct dns01_options *o = &c->m->options;
	struct dns01_world *w = c->m->world;
	const char *servers[OPINIONS_MAX], *values[VALUES_MAX];
	char texts[OPINIONS_MAX][ADDR_TEXT];
	struct addr recursive[OPINIONS_MAX];
	size_t n = 0, nrecursive;

	for (size_t i = 0; i < o->nopinions && n < OPINIONS_MAX; i++)
		if (is_wanted(c, o->opinions[i]))
			servers[n++] = o->opinions[i];
	if (!n && o->check != DNS01_DOH) {
		nrecursive = dns_recursive(w->options.dns, recursive, OPINIONS_MAX);
		for (; n < nrecursive; n++)
			servers[n] = addr_format(&recursive[n], texts[n]);
	}
	c->opinion = opinion_start(&(struct opinion_options){.asker = w->options.asker, .http = w->options.http, .servers = servers, .nservers = n,
		.name = c->zone->challenge, .values = values, .nvalues = wanted(c, values), .timeout_ms = o->timeout_ms}, opinion_came, c);
}

static void ask_others_now(void *arg)
{
	ask_others(arg);
}

/* Nobody else is asked. A recursive server that is asked too early may meet a secondary that is late, and keeps its answer: so it settles before. */
static void ask_only_others(struct method_call *c)
{
	int64_t settle = settle_ms(c);

	own_report(c);
	timer_arm(&c->timer, settle > LAG_MS ? settle : LAG_MS, ask_others_now, c);
}

/* --- the zone's own name servers --------------------------------------------------------------------------------------------- */

static void look(struct method_call *c);

static void look_elsewhere(void *arg)
{
	struct method_call *c = arg;

	visible_cancel(c->visible);
	c->visible = NULL;
	log_warning("no name server of the zone answers from here (is port 53 closed?): recursive servers are asked instead", "zone", c->zone->apex, "name",
		c->zone->owner, NULL);
	js_put_str(own_report(c), "fallback", "no name server of the zone answers from here: recursive servers are asked instead");
	ask_only_others(c);
}

static bool nobody_answers(const struct js *report)
{
	const struct js *servers = js_arr(report, "servers");
	size_t silent = 0;

	for (size_t i = 0; i < js_len(servers); i++) {
		const char *verdict = js_str(js_at(servers, i), "verdict");

		silent += verdict && (strcmp(verdict, verdict_name(VERDICT_SILENT)) == 0 || strcmp(verdict, verdict_name(VERDICT_NOROUTE)) == 0);
	}
	return silent && silent == js_len(servers);
}

static bool servers_are_given(const struct zone *z)
{
	return z->nservers > 0 && !*z->servers[0].name;
}

static void progress(void *arg, const struct js *report)
{
	struct method_call *c = arg;

	keep(c, report);
	if (!c->review && !servers_are_given(c->zone) && nobody_answers(report))
		loop_defer(look_elsewhere, c);
}

/* What we waited on top of it says nothing of the servers. */
static void note_seen(struct method_call *c, const struct held *h)
{
	int64_t ms = clock_mono_ms() - h->since_ms - settle_ms(c);

	dns_learned_seen(&c->m->world->options.memory, h->by, c->zone->apex, ms > 0 ? ms : 0);
}

static void visible_came(void *arg, const struct js *report, const struct err *err)
{
	struct method_call *c = arg;
	struct held *h = held_find(c->m->world, c->value);

	c->visible = NULL;
	if (report)
		keep(c, report);
	if (c->review || err) {
		end_seen(c, err);
		return;
	}
	if (h)
		note_seen(c, h);
	if (c->m->options.nopinions)
		ask_others(c);
	else
		end_seen(c, NULL);
}

static void look(struct method_call *c)
{
	const struct dns01_options *o = &c->m->options;
	const char *values[VALUES_MAX];
	struct visible_options options = {.asker = c->m->world->options.asker, .zone = c->zone, .values = values, .quorum = o->quorum,
		.confirm = o->confirm, .timeout_ms = o->timeout_ms, .progress = progress, .progress_arg = c};

	options.nvalues = wanted(c, values);
	if (c->review) {
		options.nvalues = 1;
		options.quorum = (struct quorum){.kind = QUORUM_STRICT};
		options.confirm = 0;
		options.timeout_ms = REVIEW_MS;
	} else {
		options.settle_ms = settle_ms(c);
		options.gate = c->gate->gate;
	}
	c->visible = visible_start(&options, visible_came, c);
}

/* --- begin, again, stop ------------------------------------------------------------------------------------------------------ */

static void begin(struct method_call *c)
{
	c->looking = true;
	LIST_INSERT_HEAD(&c->m->world->seeing, c, link);
	c->gate = gate_take(c->m->world, c->zone->apex);
	if (c->review || c->m->options.check == DNS01_AUTHORITATIVE)
		look(c);
	else if (c->m->options.check == DNS01_UNSEEN)
		timer_arm(&c->timer, settle_ms(c), settled, c);
	else
		ask_only_others(c);
}

static void begin_soon(void *arg)
{
	begin(arg);
}

static struct method_call *see(struct method *m, const struct method_proof *proof, bool review, method_done *done, void *arg)
{
	struct method_call *c = dns01_call_new(m, proof, done, arg);
	struct held *h;

	if (!c->value) {
		err_set(&c->err, ERR_BUG, "dns", "no token or account to look for");
		return dns01_end_later(c);
	}
	c->review = review;
	h = held_find(c->m->world, c->value);
	if (h) {
		c->zone = zone_ref(h->zone);
		loop_defer(begin_soon, c);
	} else {
		dns01_find_zone(c, begin);
	}
	return c;
}

struct method_call *dns01_see(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return see(m, proof, false, done, arg);
}

struct method_call *dns01_review(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return see(m, proof, true, done, arg);
}

static void look_anew(void *arg)
{
	struct method_call *c = arg;
	const char *values[VALUES_MAX];

	if (c->visible) {
		size_t n = wanted(c, values);

		visible_change(c->visible, values, n);
	} else if (c->opinion) {
		opinion_cancel(c->opinion);
		ask_others(c);
	}
}

void dns01_see_again(struct method_call *c)
{
	if (!c->review)
		loop_defer(look_anew, c);
}

void dns01_see_stop(struct method_call *c)
{
	visible_cancel(c->visible);
	opinion_cancel(c->opinion);
	gate_give(c->gate);
	if (c->looking)
		LIST_REMOVE(c, link);
}

/* --- the CA's word ----------------------------------------------------------------------------------------------------------- */

int64_t dns01_judged(struct method *m, const struct method_proof *proof, const struct err *err)
{
	static const char *const unseen[] = {"dns", "unauthorized", "incorrectResponse"}; /* what a CA says that did not find it */
	struct method_call *c = dns01_call_new(m, proof, NULL, NULL);
	struct held *h = c->value ? held_find(c->m->world, c->value) : NULL;
	bool counts = !err;
	int64_t kept_s;

	for (size_t i = 0; err && i < sizeof(unseen) / sizeof(unseen[0]); i++)
		counts |= strcmp(err->type, unseen[i]) == 0;
	if (h && counts)
		dns_learned_judged(&c->m->world->options.memory, h->by, h->zone->apex, !err);
	kept_s = h && counts && err ? h->zone->kept_s : 0;
	m->ops->cancel(c);
	return kept_s;
}
