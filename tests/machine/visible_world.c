/* SPDX-License-Identifier: ISC */
#include "visible_world.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/loop.h"

#define N(a) (sizeof(a) / sizeof *(a))

void world_cry(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->cry[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->cry, sizeof w->cry, fmt, ap);
	va_end(ap);
}

/* In front of the C library's: the dice of what is tested are those of the world, so that a seed tells all. */
static struct simdns dice;

uint32_t arc4random(void)
{
	return (uint32_t)simdns_random(&dice, 1ULL << 32);
}

/* --- made by chance ------------------------------------------------------------------------------------------------------------------- */

struct climate { /* how bad a world is; drawn first, so that whole worlds are calm and others are not */
	unsigned faults, flips, losses, loss, turns, udp, odd;
	unsigned lag;
	bool wildcard;
};

static unsigned one_of(struct simdns *s, const unsigned *from, size_t n)
{
	return from[simdns_random(s, n)];
}
#define ONE_OF(s, ...) one_of(s, (const unsigned[]){ __VA_ARGS__ }, N(((const unsigned[]){ __VA_ARGS__ })))

static int64_t make_lag(struct simdns *s, const struct climate *c)
{
	static const unsigned most[] = { 1, 120, 2000, 20000, 90000, 300000 };

	if (c->lag == N(most)) /* one in five lags, the others do not */
		return simdns_chance(s, 80) ? 0 : (int64_t)simdns_random(s, 60000);
	return simdns_chance(s, 30) ? 0 : (int64_t)simdns_random(s, most[c->lag]);
}

static void make_machine(struct world *w, struct sim_machine *m, const struct climate *c)
{
	struct simdns *s = &w->net;
	bool never = simdns_chance(s, c->faults / 4);

	m->before = (enum sim_before)simdns_random(s, SIM_BEFORES);
	m->serial = w->moved ? w->serial : (uint32_t)simdns_random(s, UINT32_MAX);
	m->lost_from = m->lost_to = SIM_NEVER;
	for (size_t i = 0; i < s->nnames; i++) {
		int64_t at = s->name[i].start + make_lag(s, c);

		for (size_t j = 0; j < s->name[i].nvalues; j++) {
			m->appears[i][j] = never ? SIM_NEVER : at;
			at += simdns_chance(s, 15) ? (int64_t)simdns_random(s, 5000) : 0;
		}
	}
	if (!simdns_chance(s, c->losses))
		return;
	m->lost_from = (int64_t)simdns_random(s, simdns_chance(s, 50) ? 2000 : 60000);
	m->lost_to = simdns_chance(s, 20) ? SIM_NEVER : m->lost_from + 1 + (int64_t)simdns_random(s, 30000);
}

static enum sim_mode make_mode(struct simdns *s, const struct climate *c)
{
	return simdns_chance(s, c->faults) ? (enum sim_mode)(1 + simdns_random(s, SIM_MODES - 1)) : SIM_GOOD;
}

static void make_addr(struct world *w, size_t k, unsigned ns, const struct climate *c)
{
	struct simdns *s = &w->net;
	struct sim_addr *a = &s->addr[k];
	char text[64];

	snprintf(text, sizeof text, simdns_chance(s, 40) ? "2001:db8::%zu" : "192.0.2.%zu", 101 + k);
	if (!addr_parse_ip(text, 53, &a->addr))
		abort();
	a->ns = ns;
	a->mode[0] = a->mode[1] = make_mode(s, c);
	a->turns = SIM_NEVER;
	if (simdns_chance(s, c->turns)) {
		a->mode[1] = make_mode(s, c);
		a->turns = (int64_t)simdns_random(s, 40000);
	}
	a->nmachines = simdns_chance(s, c->flips) ? 2 + (unsigned)simdns_random(s, 3) : 1;
	a->per_question = simdns_chance(s, 50);
	for (unsigned m = 0; m < a->nmachines; m++)
		make_machine(w, &a->machine[m], c);
	for (unsigned i = 0; i < 2; i++)
		a->socket[i] = (unsigned)simdns_random(s, a->nmachines);
	a->rtt = 1 + (int64_t)simdns_random(s, ONE_OF(s, 1, 20, 150));
	a->loss = c->loss;
	a->udp_silent = simdns_chance(s, c->udp);
	a->tcp_silent = !a->udp_silent && simdns_chance(s, c->udp);
	a->truncates = !a->tcp_silent && simdns_chance(s, c->odd);
	a->lowers_case = simdns_chance(s, c->odd);
	a->wildcard = c->wildcard;
}

/* Values are as long as the digests that ACME has. */
enum { VALUE = 43 };

static void make_decoys(struct sim_name *n, size_t j)
{
	const char *v = n->value[j];
	char (*d)[52] = n->decoy[j];

	snprintf(d[0], sizeof d[0], "%.*sx", VALUE, v);
	snprintf(d[1], sizeof d[1], "%.*s", VALUE - 1, v);
	for (size_t k = 0; k < VALUE; k++)
		d[2][k] = (char)(islower((unsigned char)v[k]) ? toupper((unsigned char)v[k]) : tolower((unsigned char)v[k]));
	snprintf(d[3], sizeof d[3], "\"%.*s\"", VALUE, v);
	snprintf(d[4], sizeof d[4], "%.*s", VALUE / 2, v);
	snprintf(d[5], sizeof d[5], "%.*s", VALUE - VALUE / 2, v + VALUE / 2);
}

static void make_name(struct world *w, size_t i)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	struct simdns *s = &w->net;
	struct sim_name *n = &s->name[i];

	snprintf(n->owner, sizeof n->owner, "_acme-challenge.n%zu.%s", i, s->apex);
	n->nvalues = ONE_OF(s, 1, 1, 1, 2, 2, 3);
	n->decoys = simdns_chance(s, 40) ? (unsigned)simdns_random(s, 128) : 0;
	n->decoys |= simdns_chance(s, 3) ? SIM_CROWD : 0;
	n->cut = simdns_chance(s, 20) ? 1 + (unsigned)simdns_random(s, VALUE - 1) : 0;
	n->start = i && simdns_chance(s, 50) ? (int64_t)simdns_random(s, 3000) : 0;
	for (size_t j = 0; j < n->nvalues; j++) {
		for (unsigned k = 0; k < VALUE; k++)
			n->value[j][k] = letters[simdns_random(s, 64)];
		make_decoys(n, j);
	}
}

struct zone *world_zone(const struct world *w, size_t i)
{
	const struct simdns *s = &w->net;
	struct zone *z = mem_alloc(sizeof *z);

	z->refs = 1;
	z->base = mem_strdup(s->name[i].owner + strlen("_acme-challenge."));
	z->challenge = mem_strdup(s->name[i].owner);
	z->owner = mem_strdup(s->name[i].owner);
	z->apex = mem_strdup(s->apex);
	z->nservers = s->naddrs;
	z->servers = mem_array(s->naddrs, sizeof *z->servers);
	for (size_t k = 0; k < s->naddrs; k++) {
		z->servers[k].name = mem_printf("ns%u.test", 1 + s->addr[k].ns);
		z->servers[k].addr = s->addr[k].addr;
	}
	z->negative_ttl = 300;
	z->serial = s->naddrs ? simdns_serial(s, &s->addr[0].machine[0], s->name[i].start - 1) : 0;
	z->report = js_object();
	return z;
}

static void make_quorum(struct world *w)
{
	struct simdns *s = &w->net;

	w->quorum.kind = (enum quorum_kind)ONE_OF(s, QUORUM_ALL, QUORUM_ALL, QUORUM_ALL, QUORUM_ALL, QUORUM_ALL, QUORUM_STRICT, QUORUM_MAJORITY, QUORUM_ANY,
	                                          QUORUM_NUMBER);
	w->quorum.number = w->quorum.kind == QUORUM_NUMBER ? 1 + (unsigned)simdns_random(s, 4) : 0;
	w->confirm = ONE_OF(s, 1, 1, 1, 0, 2, 3);
	w->settle = ONE_OF(s, 0, 0, 0, 0, 500, 5000);
	w->timeout = ONE_OF(s, 2000, 10000, 10000, 10000, 60000, 60000, 60000, 120000, 120000, 600000);
	w->gated = simdns_chance(s, s->nnames > 1 ? 75 : 10);
	w->progress = simdns_chance(s, 6);
}

static void heard(void *arg, const struct sim_reply *r, bool answered);

void world_make(struct world *w, uint64_t seed)
{
	struct simdns *s = &w->net;
	struct climate c;

	memset(w, 0, sizeof *w);
	w->seed = seed;
	simdns_begin(s, seed);
	simdns_begin(&dice, ~seed);
	s->heard = heard;
	s->arg = w;
	s->bumps = simdns_chance(s, 80);
	w->moved = s->bumps && simdns_chance(s, 80);
	w->serial = simdns_chance(s, 10) ? 0xffffffffU : 2026112200;
	s->limits = true;
	snprintf(s->apex, sizeof s->apex, "zone%u.test", (unsigned)simdns_random(s, 1000));
	s->nnames = simdns_chance(s, 87) ? 1 : 2 + simdns_random(s, SIM_NAMES - 1);
	s->nns = 1 + simdns_random(s, s->nnames > 1 ? 3 : SIM_NS);
	c = (struct climate){ .faults = ONE_OF(s, 0, 0, 10, 40), .flips = ONE_OF(s, 0, 0, 0, 40), .losses = ONE_OF(s, 0, 0, 0, 30),
		              .loss = ONE_OF(s, 0, 0, 5, 40), .turns = ONE_OF(s, 0, 0, 0, 30), .udp = ONE_OF(s, 0, 0, 0, 20),
		              .odd = ONE_OF(s, 0, 10), .lag = (unsigned)simdns_random(s, 7), .wildcard = simdns_chance(s, 5) };
	for (size_t i = 0; i < s->nnames; i++)
		make_name(w, i);
	for (unsigned n = 0; n < s->nns; n++)
		for (uint64_t k = simdns_random(s, simdns_chance(s, 70) ? 2 : 4); s->naddrs < SIM_ADDRS; k--) {
			make_addr(w, s->naddrs++, n, &c);
			if (k == 0)
				break;
		}
	make_quorum(w);
}

void world_plain(struct world *w, size_t addrs, size_t names)
{
	static const struct climate calm = { 0 };
	struct simdns *s = &w->net;

	memset(w, 0, sizeof *w);
	simdns_begin(s, 1);
	s->heard = heard;
	s->arg = w;
	s->limits = s->bumps = w->moved = true;
	snprintf(s->apex, sizeof s->apex, "zone.test");
	s->nnames = names;
	s->nns = addrs;
	for (size_t i = 0; i < names; i++) {
		make_name(w, i);
		s->name[i].start = 0;
	}
	for (; s->naddrs < addrs; s->naddrs++) {
		make_addr(w, s->naddrs, (unsigned)s->naddrs, &calm);
		for (size_t i = 0; i < names; i++)
			memset(s->addr[s->naddrs].machine[0].appears[i], 0, sizeof s->addr[0].machine[0].appears[i]);
		s->addr[s->naddrs].rtt = 1;
	}
	w->quorum.kind = QUORUM_ALL;
	w->confirm = 1;
	w->timeout = 60000;
}

/* --- run ------------------------------------------------------------------------------------------------------------------------------ */

/* So many packets were lost that it looked dead. */
static bool is_lost(const struct sim_reply *r)
{
	return !r->tcp && r->from->loss && r->from->tcp_silent && simdns_mode(r->from, r->sampled) == SIM_GOOD;
}

static void heard(void *arg, const struct sim_reply *r, bool answered)
{
	struct world *w = arg;
	struct trace *t;

	if (r->name < 0 || r->type != DNS_TXT)
		return;
	t = &w->waiting[r->name].trace[r->from - w->net.addr];
	if (!w->waiting[r->name].started || w->waiting[r->name].ended)
		world_cry(w, "name %d is asked for before its proof began or after it ended", r->name);
	if (!answered) {
		t->asks++;
		t->fresh_asks += r->fresh;
		return;
	}
	t->answers++;
	t->sent += r->sent;
	t->fell |= t->ever_good && r->truth == VERDICT_STALE;
	t->hushed = r->truth != VERDICT_OK && r->truth != VERDICT_STALE && (t->last == VERDICT_STALE || t->hushed) ? t->hushed + 1 : 0;
	t->last = r->truth;
	t->sampled = r->sampled;
	if (r->truth == VERDICT_SILENT) {
		t->lost += is_lost(r);
		t->lost_in_run += is_lost(r) && r->fresh;
		return;
	}
	if (r->truth != VERDICT_OK) {
		t->run = t->fresh = t->lost_in_run = 0;
		t->fresh_udp = t->fresh_tcp = false;
		return;
	}
	t->ever_good = true;
	t->run++;
	t->fresh += r->fresh;
	t->fresh_udp |= r->fresh && !r->over_tcp;
	t->fresh_tcp |= r->fresh && r->over_tcp;
}

static void on_cancel(void *arg)
{
	struct waiting *p = arg;

	if (p->ended)
		return;
	visible_cancel(p->visible);
	p->visible = NULL;
	p->ended = p->cancelled = true;
	p->w->left--;
}

static void on_progress(void *arg, const struct js *report)
{
	struct waiting *p = arg;

	if (p->ended || !js_is_object(report) || js_len(js_arr(report, "servers")) != p->w->net.naddrs)
		world_cry(p->w, "a progress that is none");
	if (p->w->seed % 50 == 9 && simdns_chance(&p->w->net, 30))
		on_cancel(p);
}

static void on_done(void *arg, const struct js *report, const struct err *err)
{
	struct waiting *p = arg;

	p->calls++;
	p->w->left -= !p->ended;
	p->ended = true;
	p->visible = NULL;
	p->at = simdns_now(&p->w->net);
	p->said = !err || err->kind == ERR_NONE;
	if (!p->said) {
		snprintf(p->error, sizeof p->error, "%s", err->detail);
		snprintf(p->type, sizeof p->type, "%s", err->type);
	}
	js_free(p->report);
	p->report = report ? js_ref((struct js *)report) : NULL;
}

static void on_start(void *arg)
{
	struct waiting *p = arg;
	struct world *w = p->w;
	const char *values[SIM_VALUES];
	struct visible_options o = { .asker = &w->net.asker, .zone = p->zone, .values = values, .nvalues = w->net.name[p->i].nvalues, .quorum = w->quorum,
		                     .confirm = w->confirm, .timeout_ms = w->timeout, .settle_ms = w->settle, .gate = w->gate,
		                     .progress = w->progress ? on_progress : NULL, .progress_arg = p };

	for (size_t j = 0; j < o.nvalues; j++)
		values[j] = w->net.name[p->i].value[j];
	p->started = true;
	p->visible = visible_start(&o, on_done, p);
	if (p->calls)
		world_cry(w, "done was called from within visible_start");
	if (!p->visible && !p->ended)
		world_cry(w, "visible_start gave nothing");
	/* Some are called off on the way. */
	if (w->seed % 50 == 7)
		timer_arm(&p->cancel, (int64_t)simdns_random(&w->net, 3000), on_cancel, p);
}

static void on_watchdog(void *arg)
{
	struct world *w = arg;

	world_cry(w, "a proof had not ended %lld ms after its time was up", (long long)(simdns_now(&w->net) - w->timeout));
	w->left = 0;
}

void world_run(struct world *w)
{
	w->gate = w->gated ? visible_gate_new() : NULL;
	w->left = w->net.nnames;
	for (size_t i = 0; i < w->net.nnames; i++) {
		struct waiting *p = &w->waiting[i];

		p->w = w;
		p->i = i;
		p->zone = world_zone(w, i);
		timer_arm(&p->start, w->net.name[i].start, on_start, p);
	}
	timer_arm(&w->watchdog, 3000 + world_longest(w) + DNS_ASK_MS, on_watchdog, w);
	while (w->left > 0)
		loop_turn(true);
	timer_disarm(&w->watchdog);
	loop_turn(false);
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < w->net.nnames; i++) {
		struct waiting *p = &w->waiting[i];

		if (!p->ended)
			visible_cancel(p->visible);
		timer_disarm(&p->start);
		timer_disarm(&p->cancel);
		zone_free(p->zone);
		js_free(p->report);
	}
	if (w->gate)
		visible_gate_free(w->gate);
	loop_turn(false);
	if (w->net.under_way)
		world_cry(w, "%u questions are under way after the end", w->net.under_way);
}

/* --- print ---------------------------------------------------------------------------------------------------------------------------- */

static long long shown(int64_t t)
{
	return t >= SIM_NEVER ? -1 : (long long)t;
}

static void print_addr(const struct world *w, size_t k)
{
	static const char *const modes[SIM_MODES] = { "good", "dead", "closed", "noroute", "refused", "notauth", "servfail", "formerr", "aa=0", "referral",
		                                      "broken", "garbled" };
	const struct sim_addr *a = &w->net.addr[k];
	char text[ADDR_TEXT];

	fprintf(stderr, "  ns%u %s %s, from %lld %s; rtt %lld loss %u%s%s%s%s%s%s\n", 1 + a->ns, addr_format_ip(&a->addr, text), modes[a->mode[0]],
	        shown(a->turns), modes[a->mode[1]], (long long)a->rtt, a->loss, a->udp_silent ? " udp-silent" : "", a->tcp_silent ? " tcp-silent" : "",
	        a->truncates ? " truncates" : "", a->lowers_case ? " lowers" : "", a->wildcard ? " wildcard" : "", a->per_question ? " per-question" : "");
	for (unsigned m = 0; m < a->nmachines; m++) {
		fprintf(stderr, "    machine %u: serial %u before %u lost %lld..%lld appears", m, a->machine[m].serial, a->machine[m].before,
		        shown(a->machine[m].lost_from), shown(a->machine[m].lost_to));
		for (size_t i = 0; i < w->net.nnames; i++)
			for (size_t j = 0; j < w->net.name[i].nvalues; j++)
				fprintf(stderr, " %zu.%zu:%lld", i, j, shown(a->machine[m].appears[i][j]));
		fprintf(stderr, "\n");
	}
	for (size_t i = 0; i < w->net.nnames; i++) {
		const struct trace *t = &w->waiting[i].trace[k];

		fprintf(stderr, "    name %zu: asks %u last %s at %lld, run %u fresh %u%s\n", i, t->asks, verdict_name(t->last), (long long)t->sampled, t->run,
		        t->fresh, t->fell ? " fell" : "");
	}
}

void world_print(const struct world *w)
{
	static const char *const kinds[] = { "all", "strict", "majority", "any", "number" };

	fprintf(stderr, "MODEL_SEED=%llu: %s\n  quorum %s %u confirm %u settle %lld timeout %lld %s %s%s\n", (unsigned long long)w->seed, w->cry,
	        kinds[w->quorum.kind], w->quorum.number, w->confirm, (long long)w->settle, (long long)w->timeout, w->gated ? "gated" : "",
	        w->net.bumps ? "bumps" : "serial stands", w->moved ? "" : ", serials differ");
	for (size_t i = 0; i < w->net.nnames; i++)
		fprintf(stderr, "  %s values %zu decoys %u cut %u start %lld: %s at %lld %s\n", w->net.name[i].owner, w->net.name[i].nvalues,
		        w->net.name[i].decoys, w->net.name[i].cut, (long long)w->net.name[i].start, w->waiting[i].said ? "VISIBLE" : "not visible",
		        (long long)w->waiting[i].at, w->waiting[i].error);
	for (size_t k = 0; k < w->net.naddrs; k++)
		print_addr(w, k);
}
