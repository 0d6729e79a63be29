/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "prove/answer.h"
#include "prove/visible_inner.h"

enum {
	GATE_MANY = 8,             /* names waited for at one address: as many ask for themselves */
	WILD_MS = 10000,           /* what is known of a wildcard is believed so long */
};

struct gate_address {
	LIST_ENTRY(gate_address) link;
	struct visible_gate *gate;
	struct asker *asker;
	struct zone *zone;
	struct addr addr;
	int64_t timeout_ms;
	TAILQ_HEAD(, gate_wait) waits;
	size_t nwaits;
	struct dns_query *query;
	struct timer timer;
	unsigned looks;
	bool heard;
	bool suspect, testing;     /* suspect: a name was seen while the serial stood at suspect_serial; testing: the question under way came after that */
	bool useless;              /* it tells no serial, or does not move it */
	uint32_t serial, suspect_serial;
	enum dns_how how;          /* the last answer; text: what it was when none came */
	char text[160];
};

struct visible_gate {
	LIST_HEAD(, gate_address) addresses;
	char *parent;              /* below which `wild` is so; NULL: of none yet */
	enum gate_wild wild;
	int64_t wild_until;
};

static void poll_now(void *arg);

static void release(struct gate_wait *w)
{
	if (w->held) {
		w->held = false;
		w->go(w->arg);
	}
}

static void release_all(struct gate_address *at)
{
	struct gate_wait *w;

	TAILQ_FOREACH(w, &at->waits, link)
		release(w);
}

static bool has_moved(const struct gate_address *at, const struct gate_wait *w)
{
	return !w->known || at->serial != w->since;
}

/* One of those that are held may look although the serial stands still: so it shows if this server's serial means nothing. */
static void let_one_look(struct gate_address *at)
{
	struct gate_wait *w;

	TAILQ_FOREACH(w, &at->waits, link)
		if (w->held)
			break;
	if (!w)
		return;
	TAILQ_REMOVE(&at->waits, w, link);
	TAILQ_INSERT_TAIL(&at->waits, w, link);
	w->lucky = true;
	release(w);
}

static void take_serial(struct gate_address *at, const struct dns_answer *answer)
{
	struct arena *arena = arena_new();
	struct answer a;
	bool ok = answer->head.aa && answer_read(arena, answer, at->zone->apex, &a) && a.soa_owner && strcmp(a.soa_owner, at->zone->apex) == 0;

	at->useless |= !ok || (at->testing && a.soa.serial == at->suspect_serial);
	if (ok)
		at->serial = a.soa.serial;
	arena_free(arena);
}

static void poll_answered(void *arg, const struct dns_answer *answer)
{
	struct gate_address *at = arg;
	struct gate_wait *w;
	bool held = false;

	at->query = NULL;
	at->heard = true;
	at->how = answer->how == DNS_BROKEN ? DNS_ANSWERED : answer->how;
	at->useless |= answer->how == DNS_BROKEN;
	if (answer->how == DNS_ANSWERED)
		take_serial(at, answer);
	else if (answer->text)
		strncpy(at->text, answer->text, sizeof(at->text) - 1);
	at->suspect &= !at->testing;
	at->testing = false;
	if (at->suspect)
		timer_arm(&at->timer, 0, poll_now, at);
	TAILQ_FOREACH(w, &at->waits, link) {
		if (at->useless || at->how != DNS_ANSWERED || has_moved(at, w))
			release(w);
		held |= w->held;
	}
	if (!held || at->suspect)
		return;
	let_one_look(at);
	timer_arm(&at->timer, look_gap(at->looks++, at->timeout_ms, arc4random()), poll_now, at);
}

static void poll_now(void *arg)
{
	struct gate_address *at = arg;
	const struct dns_ask ask = { .to = at->addr, .name = at->zone->apex, .type = DNS_SOA };

	if (at->query)
		return;
	at->testing = at->suspect;
	at->query = at->asker->ops->ask(at->asker, &ask, poll_answered, at);
}

static struct gate_address *address_ensure(struct visible_gate *g, const struct visible_options *o, const struct addr *addr)
{
	struct gate_address *at;

	LIST_FOREACH(at, &g->addresses, link)
		if (addr_same_ip(&at->addr, addr) && addr_port(&at->addr) == addr_port(addr) && strcmp(at->zone->apex, o->zone->apex) == 0)
			return at;
	at = mem_alloc(sizeof(*at));
	at->gate = g;
	at->asker = o->asker;
	at->zone = zone_ref(o->zone);
	at->addr = *addr;
	at->timeout_ms = o->timeout_ms;
	TAILQ_INIT(&at->waits);
	LIST_INSERT_HEAD(&g->addresses, at, link);
	return at;
}

static void address_free(struct gate_address *at)
{
	at->asker->ops->cancel(at->query);
	timer_disarm(&at->timer);
	LIST_REMOVE(at, link);
	zone_free(at->zone);
	free(at);
}

void visible_gate_enter(struct gate_wait *w, const struct visible_options *o, const struct addr *addr)
{
	if (w->at || !o->gate)
		return;
	w->at = address_ensure(o->gate, o, addr);
	w->held = w->lucky = false;
	w->at->looks = 0;
	w->at->nwaits++;
	TAILQ_INSERT_TAIL(&w->at->waits, w, link);
}

void visible_gate_leave(struct gate_wait *w, bool shown)
{
	struct gate_address *at = w->at;

	if (!at)
		return;
	w->at = NULL;
	w->held = false;
	TAILQ_REMOVE(&at->waits, w, link);
	if (--at->nwaits == 0) {
		address_free(at);
		return;
	}
	if (shown && at->heard && !at->useless && w->known && at->serial == w->since) {
		at->suspect = true; /* or it has moved since it was asked: the next answer tells */
		at->suspect_serial = at->serial;
		poll_now(at);
	}
	if (at->nwaits <= GATE_MANY)
		release_all(at);
}

bool visible_gate_is_crowded(const struct gate_wait *w)
{
	return w->at && w->at->nwaits > GATE_MANY;
}

enum gate_says visible_gate_ask(struct gate_wait *w, bool known, uint32_t since, struct dns_answer *dead)
{
	struct gate_address *at = w->at;
	bool lucky = w->lucky;

	w->known = known;
	w->since = since;
	w->lucky = false;
	if (!visible_gate_is_crowded(w) || at->useless || lucky)
		return GATE_LOOK;
	if (at->heard && at->how != DNS_ANSWERED) {
		*dead = (struct dns_answer){ .how = at->how, .text = at->text };
		if (!at->query && !timer_armed(&at->timer))
			timer_arm(&at->timer, look_gap(at->looks++, at->timeout_ms, arc4random()), poll_now, at);
		return GATE_DEAD;
	}
	if (at->heard && has_moved(at, w))
		return GATE_LOOK;
	w->held = true;
	if (!timer_armed(&at->timer))
		poll_now(at);
	return GATE_HOLD;
}

bool visible_gate_serial(const struct gate_wait *w, uint32_t *serial)
{
	if (!w->at || !w->at->heard || w->at->how != DNS_ANSWERED || w->at->useless)
		return false;
	*serial = w->at->serial;
	return true;
}

struct visible_gate *visible_gate_new(void)
{
	struct visible_gate *g = mem_alloc(sizeof(*g));

	LIST_INIT(&g->addresses);
	return g;
}

void visible_gate_free(struct visible_gate *g)
{
	struct gate_address *at;
	struct gate_wait *w;

	while (g && (at = LIST_FIRST(&g->addresses))) {
		TAILQ_FOREACH(w, &at->waits, link)
			w->at = NULL;
		release_all(at);
		address_free(at);
	}
	if (g)
		free(g->parent);
	free(g);
}

enum gate_wild visible_gate_wild(const struct visible_gate *g, const char *parent)
{
	return g && g->parent && strcmp(g->parent, parent) == 0 && clock_mono_ms() < g->wild_until ? g->wild : GATE_UNKNOWN;
}

void visible_gate_set_wild(struct visible_gate *g, const char *parent, enum gate_wild known)
{
	if (!g)
		return;
	free(g->parent);
	g->parent = mem_strdup(parent);
	g->wild = known;
	g->wild_until = clock_mono_ms() + WILD_MS;
}
