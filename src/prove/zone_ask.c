/* SPDX-License-Identifier: ISC */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "prove/zone_inner.h"

void find_note(struct zone_find *f, const char *fmt, ...)
{
	va_list ap;
	const char *note;

	va_start(ap, fmt);
	note = arena_vprintf(f->arena, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < f->nnotes; i++)
		if (strcmp(f->note[i], note) == 0)
			return;
	if (f->nnotes < FIND_NOTES)
		f->note[f->nnotes++] = note;
}

bool find_is_private(const char *name)
{
	return *name == '_' || strstr(name, "._");
}

/* --- questions ------------------------------------------------------------------------------------------------------------------ */

static void heard(void *arg, const struct dns_answer *raw);

static bool ask_next(struct zone_find *f, struct find_ask *slot)
{
	const struct find_question *q = &f->question;
	struct find_target *t = f->order[f->next];
	const struct dns_ask ask = {
		.to = t->addr,
		.name = q->name,
		.type = q->type,
		.bits = q->recursive ? DNS_RD | (f->unchecked ? DNS_CD : 0) : 0,
		.timeout_ms = q->recursive ? FIND_RECURSIVE_MS : 0,
	};

	if (q->recursive && find_is_private(q->name)) /* the steps see to that; were one wrong, a "no" would stay in caches */
		return false;
	f->next++;
	f->asked++;
	*slot = (struct find_ask){ .find = f, .target = t };
	slot->query = f->world.asker->ops->ask(f->world.asker, &ask, heard, slot);
	return true;
}

void find_more(struct zone_find *f)
{
	bool busy = false;

	for (size_t i = 0; i < f->question.window && f->next < f->norder && f->asked < FIND_QUESTIONS; i++)
		if (!f->ask[i].query && !ask_next(f, &f->ask[i]))
			break;
	for (size_t i = 0; i < FIND_WINDOW; i++)
		busy |= f->ask[i].query != NULL;
	if (!busy)
		find_heard(f, NULL, NULL, NULL);
}

void find_stop(struct zone_find *f)
{
	for (size_t i = 0; i < FIND_WINDOW; i++) {
		f->world.asker->ops->cancel(f->ask[i].query);
		f->ask[i].query = NULL;
	}
	for (size_t i = 0; f->resolving && i < f->resolving->nhosts; i++) {
		f->world.addresses_cancel(f->resolving->host[i].lookup);
		f->resolving->host[i].lookup = NULL;
	}
}

void find_ask(struct zone_find *f, const struct find_question *q)
{
	find_stop(f);
	f->question = *q;
	f->next = 0;
	for (size_t i = 0; i < f->norder; i++)
		f->order[i]->said = NULL;
	find_more(f);
}

/* Is it an answer that a step can read? Otherwise what it is instead is kept with the address. */
static bool is_readable(struct zone_find *f, const struct dns_answer *raw, struct find_target *t, struct answer *out)
{
	t->how = raw->how;
	if (raw->how != DNS_ANSWERED)
		t->said = arena_strdup(f->arena, raw->text ? raw->text : "no answer");
	else if (raw->head.rcode != DNS_NOERROR && raw->head.rcode != DNS_NXDOMAIN)
		t->said = arena_strdup(f->arena, dns_rcode_name(raw->head.rcode));
	else if (!answer_read(f->scratch, raw, f->question.name, out))
		t->said = "a broken answer";
	else
		return true;
	return false;
}

static void heard(void *arg, const struct dns_answer *raw)
{
	struct find_ask *slot = arg;
	struct zone_find *f = slot->find;
	struct answer a;

	slot->query = NULL;
	arena_reset(f->scratch);
	if (is_readable(f, raw, slot->target, &a))
		find_heard(f, raw, &a, slot->target);
	else
		find_more(f);
}

/* --- addresses ------------------------------------------------------------------------------------------------------------------ */

struct find_side *find_side_new(struct zone_find *f, const char *apex)
{
	struct find_side *side = arena_alloc(f->arena, sizeof(*side));

	side->apex = arena_strdup(f->arena, apex);
	return side;
}

struct find_side *find_side_given(struct zone_find *f, const char *apex)
{
	struct find_side *side = find_side_new(f, apex);
	const struct addr *servers = f->world.servers;
	size_t n = f->world.nservers;

	if (f->nchain > 0)
		n = f->world.alias_servers ? f->world.alias_servers(f->world.alias_arg, f->owner, &servers) : 0;
	for (size_t i = 0; i < n && i < ZONE_SERVERS_MAX; i++)
		side->at[side->n++].addr = servers[i];
	return side;
}

struct find_side *find_side_same(struct zone_find *f, const struct find_side *other, const char *apex)
{
	struct find_side *side = find_side_new(f, apex);

	for (size_t i = 0; i < other->n; i++)
		side->at[side->n++].addr = other->at[i].addr;
	return side;
}

struct find_host *find_host_ensure(struct zone_find *f, struct find_side *side, const char *name)
{
	for (size_t i = 0; i < side->nhosts; i++)
		if (strcmp(side->host[i].name, name) == 0)
			return &side->host[i];
	if (side->nhosts == ANSWER_NS_MAX) {
		find_note(f, "%s has more than %d name servers: the rest is not asked", side->apex, ANSWER_NS_MAX);
		return NULL;
	}
	side->host[side->nhosts] = (struct find_host){ .find = f, .name = arena_strdup(f->arena, name) };
	return &side->host[side->nhosts++];
}

static void add_address(struct zone_find *f, struct find_side *side, struct find_host *host, const struct addr *addr)
{
	for (size_t i = 0; i < side->n; i++)
		if (addr_same_ip(&side->at[i].addr, addr)) {
			host->known |= side->at[i].host && side->at[i].host->own;
			return;
		}
	if (side->n == ZONE_SERVERS_MAX)
		find_note(f, "%s has more than %d addresses of name servers: the rest is not asked", side->apex, ZONE_SERVERS_MAX);
	else
		side->at[side->n++] = (struct find_target){ .host = host, .addr = *addr };
}

/* Glue is the word of another zone: only when nothing better can be had, and only for names inside the zone that was referred to. */
static void add_glue(struct zone_find *f, struct find_side *side, struct find_host *host, const char *why)
{
	bool any = false;

	for (size_t i = 0; i < f->nglue; i++)
		if (strcmp(f->glue[i].host, host->name) == 0 && dns_name_is_in(host->name, side->apex)) {
			struct addr a = f->glue[i].addr;

			addr_set_port(&a, f->world.port);
			add_address(f, side, host, &a);
			any = true;
		}
	find_note(f, "%s%s", why, any ? ": the addresses its parent zone gives are asked" : "");
}

static bool is_resolving(const struct find_side *side)
{
	for (size_t i = 0; i < side->nhosts; i++)
		if (side->host[i].lookup)
			return true;
	return false;
}

static void resolved(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct find_host *h = arg;
	struct zone_find *f = h->find;
	struct find_side *side = f->resolving;

	h->lookup = NULL;
	for (size_t i = 0; i < n; i++)
		add_address(f, side, h, &addrs[i]);
	if (err)
		add_glue(f, side, h, err->detail);
	if (!is_resolving(side))
		find_resolved(f);
}

void find_resolve(struct zone_find *f, struct find_side *side)
{
	find_stop(f);
	f->resolving = side;
	for (size_t i = 0; i < side->nhosts; i++) {
		struct find_host *h = &side->host[i];

		if (h->looked)
			continue;
		h->looked = true;
		if (find_is_private(h->name))
			add_glue(f, side, h, arena_printf(f->arena, "%s is not asked of recursive servers", h->name));
		else
			h->lookup = f->world.addresses(f->world.dns, h->name, f->world.port, resolved, h);
	}
	if (!is_resolving(side))
		find_resolved(f);
}
