/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/jose.h"
#include "io/loop.h"
#include "prove/dns01_inner.h"

/* --- what is published ------------------------------------------------------------------------------------------------------- */

struct held *held_find(struct dns01_world *w, const char *value)
{
	struct held *h;

	LIST_FOREACH(h, &w->held, link)
		if (strcmp(h->value, value) == 0)
			return h;
	return NULL;
}

static void held_free(struct held *h)
{
	LIST_REMOVE(h, link);
	zone_free(h->zone);
	free(h->value);
	free(h->by);
	free(h);
}

void held_add(struct dns01_world *w, struct zone *zone, const char *value, const char *by)
{
	struct held *h = held_find(w, value);

	if (h)
		held_free(h);
	h = mem_alloc(sizeof(*h));
	*h = (struct held){.zone = zone_ref(zone), .value = mem_strdup(value), .by = mem_strdup(by), .since_ms = clock_mono_ms()};
	LIST_INSERT_HEAD(&w->held, h, link);
}

void held_drop(struct dns01_world *w, const char *value)
{
	struct held *h = held_find(w, value);
	struct method_call *c;
	char *owner;

	if (!h)
		return;
	owner = mem_strdup(h->zone->owner);
	held_free(h);
	LIST_FOREACH(c, &w->seeing, link)
		if (strcmp(c->zone->owner, owner) == 0 && strcmp(c->value, value) != 0)
			dns01_see_again(c);
	free(owner);
}

size_t held_values(struct dns01_world *w, const char *owner, const char **out, size_t room)
{
	struct held *h;
	size_t n = 0;

	LIST_FOREACH(h, &w->held, link)
		if (n < room && strcmp(h->zone->owner, owner) == 0)
			out[n++] = h->value;
	return n;
}

/* --- who writes -------------------------------------------------------------------------------------------------------------- */

/* Labels of the longest zone of the entry that holds the name; 0: none does. An entry without zones may write anywhere, but is never chosen for it. */
static size_t holds(const struct dns_provider *p, const char *name)
{
	size_t best = 0;

	for (size_t i = 0; i < p->nzones; i++)
		if (dns_name_is_in(name, p->zones[i]) && dns_name_labels(p->zones[i]) > best)
			best = dns_name_labels(p->zones[i]);
	return best;
}

static bool may_write(const struct dns_provider *p, const char *name)
{
	return !p->nzones || holds(p, name);
}

struct dns01 *dns01_writer(struct dns01 *own, const char *owner, struct err *err)
{
	struct dns01 *d, *best = NULL;
	size_t most = 0;

	if (may_write(own->options.provider, owner))
		return own;
	TAILQ_FOREACH(d, &own->world->methods, link)
		if (holds(d->options.provider, owner) > most) {
			most = holds(d->options.provider, owner);
			best = d;
		}
	if (!best)
		err_set(err, ERR_DENIED, "zones", "the record belongs at %s, and no dns entry has that in its zones", owner);
	return best;
}

struct dns01 *dns01_find(struct dns01_world *w, const char *name)
{
	struct dns01 *d;

	TAILQ_FOREACH(d, &w->methods, link)
		if (strcmp(d->options.provider->name, name) == 0)
			return d;
	return NULL;
}

void dns01_hold(struct dns01 *d)
{
	d->refs++;
}

void dns01_release(struct dns01 *d)
{
	if (!d || --d->refs)
		return;
	d->options.provider->ops->free(d->options.provider);
	arena_free(d->arena);
	free(d);
}

/* --- calls ------------------------------------------------------------------------------------------------------------------- */

struct method_call *dns01_call_new(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	struct method_call *c = mem_alloc(sizeof(*c));
	const char *zone = js_str(proof->place, "zone"), *owner = js_str(proof->place, "owner"), *by = js_str(proof->place, "by");

	c->m = (struct dns01 *)m;
	dns01_hold(c->m);
	c->done = done;
	c->arg = arg;
	c->base = mem_strdup(proof->name);
	LIST_INSERT_HEAD(&c->m->world->calls, c, all);
	if (proof->token && proof->thumbprint)
		c->value = jose_dns_value(proof->token, proof->thumbprint);
	if (zone && owner && by) {
		c->old_zone = mem_strdup(zone);
		c->old_owner = mem_strdup(owner);
		c->old_by = mem_strdup(by);
	}
	return c;
}

static void call_free(struct method_call *c)
{
	LIST_REMOVE(c, all);
	loop_undefer(c);
	timer_disarm(&c->timer);
	dns01_see_stop(c);
	dns01_check_stop(c);
	zone_find_cancel(c->find);
	if (c->change)
		c->by->options.provider->ops->cancel(c->change);
	zone_free(c->zone);
	dns01_release(c->by);
	dns01_release(c->m);
	js_free(c->report);
	for (char **text = (char *[]){c->base, c->value, c->old_zone, c->old_owner, c->old_by}, **end = text + 5; text < end; text++)
		free(*text);
	free(c);
}

void dns01_end(struct method_call *c, const struct js *report, const struct err *err)
{
	method_done *done = c->done;
	void *arg = c->arg;
	struct js *told = report ? js_ref((struct js *)report) : NULL;
	struct err copy = {0};

	if (err)
		copy = *err;
	call_free(c);
	done(arg, told, err ? &copy : NULL);
	js_free(told);
}

static void end_soon(void *arg)
{
	struct method_call *c = arg;

	dns01_end(c, NULL, c->err.kind ? &c->err : NULL);
}

struct method_call *dns01_end_later(struct method_call *c)
{
	loop_defer(end_soon, c);
	return c;
}

static void zone_came(void *arg, struct zone *zone, const struct err *err)
{
	struct method_call *c = arg;

	c->find = NULL;
	c->zone = zone;
	if (err)
		dns01_end(c, NULL, err);
	else
		c->found(c);
}

/* An entry names the servers of its own zones: of the zone of an alias whoever writes there knows them. */
static size_t alias_servers(void *arg, const char *owner, const struct addr **servers)
{
	struct method_call *c = arg;
	struct err nobody; /* told by whoever wants to write */
	struct dns01 *by = dns01_writer(c->m, owner, &nobody);

	*servers = by ? by->servers : NULL;
	return by ? by->nservers : 0;
}

void dns01_find_zone(struct method_call *c, void (*found)(struct method_call *c))
{
	struct dns01_world *w = c->m->world;
	struct addr recursive[OPINIONS_MAX];
	struct zone_world world = {.asker = w->options.asker, .dns = w->options.dns, .addresses = w->options.addresses,
		.addresses_cancel = w->options.addresses_cancel, .recursive = recursive, .port = w->options.port, .servers = c->m->servers,
		.nservers = c->m->nservers, .alias_servers = alias_servers, .alias_arg = c};

	world.nrecursive = dns_recursive(w->options.dns, recursive, OPINIONS_MAX);
	c->found = found;
	c->find = zone_find_start(&world, c->base, zone_came, c);
}

/* Another entry may have to write; each is held while it does. */
static void write_by(struct method_call *c, struct dns01 *by)
{
	dns01_hold(by);
	dns01_release(c->by);
	c->by = by;
}

static void write_ended(void *arg, const struct err *err)
{
	struct method_call *c = arg;

	c->change = NULL;
	c->written(c, err);
}

static void take_away(struct method_call *c, struct dns01 *by, const char *zone, const char *owner,
	void (*written)(struct method_call *c, const struct err *err))
{
	struct dns_record record = {.zone = zone, .name = owner, .value = c->value};

	write_by(c, by);
	c->written = written;
	c->change = by->options.provider->ops->remove(by->options.provider, &record, write_ended, c);
}

/* Who takes away what was written before: the entry that wrote it, or whoever has the place in its zones now. NULL and *err: nobody. */
static struct dns01 *old_writer(const struct method_call *c, struct err *err)
{
	struct dns01 *by = dns01_find(c->m->world, c->old_by);

	return by && may_write(by->options.provider, c->old_owner) ? by : dns01_writer(c->m, c->old_owner, err);
}

/* --- publish ----------------------------------------------------------------------------------------------------------------- */

/* Also when the provider said no: it may have been done all the same, and is to be taken away there. */
static void added(struct method_call *c, const struct err *err)
{
	struct js *place = js_object();

	js_put_str(place, "zone", c->zone->apex);
	js_put_str(place, "owner", c->zone->owner);
	js_put_str(place, "by", c->by->options.provider->name);
	if (!err)
		held_add(c->m->world, c->zone, c->value, c->by->options.provider->name);
	dns01_end(c, place, err);
	js_free(place);
}

static void add(struct method_call *c)
{
	struct dns01 *by = dns01_writer(c->m, c->zone->owner, &c->err);
	struct dns_record record = {.zone = c->zone->apex, .name = c->zone->owner, .value = c->value};

	if (!by) {
		dns01_end(c, NULL, &c->err);
		return;
	}
	write_by(c, by);
	c->written = added;
	c->change = by->options.provider->ops->add(by->options.provider, &record, write_ended, c);
}

static void cleared(struct method_call *c, const struct err *err)
{
	if (err)
		dns01_end(c, NULL, err);
	else
		add(c);
}

static void publish_found(struct method_call *c)
{
	struct dns01 *old;
	struct err err;

	if (!c->old_owner || strcmp(c->old_owner, c->zone->owner) == 0) {
		add(c);
		return;
	}
	/* The CNAME leads elsewhere now: what was left behind there goes first. */
	held_drop(c->m->world, c->value);
	old = old_writer(c, &err);
	if (old) {
		take_away(c, old, c->old_zone, c->old_owner, cleared);
	} else {
		log_warning("a record of an earlier attempt stays where it is", "name", c->old_owner, "error", err.detail, NULL);
		add(c);
	}
}

static struct method_call *dns01_publish(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	struct method_call *c = dns01_call_new(m, proof, done, arg);

	if (!c->value) {
		err_set(&c->err, ERR_BUG, "dns", "no token or account to make a record of");
		return dns01_end_later(c);
	}
	dns01_find_zone(c, publish_found);
	return c;
}

/* --- withdraw ---------------------------------------------------------------------------------------------------------------- */

static void taken_away(struct method_call *c, const struct err *err)
{
	dns01_end(c, NULL, err);
}

static void withdraw_found(struct method_call *c)
{
	struct dns01 *by = dns01_writer(c->m, c->zone->owner, &c->err);

	if (by)
		take_away(c, by, c->zone->apex, c->zone->owner, taken_away);
	else
		dns01_end(c, NULL, &c->err);
}

static struct method_call *dns01_withdraw(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	struct method_call *c = dns01_call_new(m, proof, done, arg);
	struct dns01 *by;

	if (!c->value) /* nothing can have been written */
		return dns01_end_later(c);
	held_drop(c->m->world, c->value);
	if (!c->old_owner) { /* the program ended before it could note where */
		dns01_find_zone(c, withdraw_found);
		return c;
	}
	by = old_writer(c, &c->err);
	if (!by)
		return dns01_end_later(c);
	take_away(c, by, c->old_zone, c->old_owner, taken_away);
	return c;
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void dns01_cancel(struct method_call *c)
{
	if (c)
		call_free(c);
}

static enum method_fit dns01_fits(const struct method *m, const char *name, bool wildcard, struct err *why)
{
	const struct dns_provider *p = ((const struct dns01 *)m)->options.provider;

	(void)wildcard, (void)why;
	return !p->nzones || holds(p, name) ? METHOD_YES : METHOD_PERHAPS; /* a CNAME may lead into its zones */
}

static void dns01_free(struct method *m)
{
	struct dns01 *d = (struct dns01 *)m;

	TAILQ_REMOVE(&d->world->methods, d, link);
	dns01_release(d);
}

static const char *const *copy_texts(struct arena *a, const char *const *texts, size_t n)
{
	const char **copy = arena_array(a, n + 1, sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, texts[i]);
	return copy;
}

struct method *dns01_new(struct dns01_world *w, const struct dns01_options *options)
{
	static const struct method_ops ops = {.challenge = "dns-01", .strict = true, .fits = dns01_fits, .publish = dns01_publish, .see = dns01_see,
		.withdraw = dns01_withdraw, .cancel = dns01_cancel, .free = dns01_free, .seeing = dns01_seeing, .review = dns01_review,
		.judged = dns01_judged, .check = dns01_check};
	struct dns01 *d = mem_alloc(sizeof(*d));

	d->arena = arena_new();
	d->world = w;
	d->refs = 1;
	d->options = *options;
	d->options.opinions = copy_texts(d->arena, options->opinions, options->nopinions);
	for (size_t i = 0; i < options->nservers && d->nservers < ZONE_SERVERS_MAX; i++)
		d->nservers += addr_parse(options->servers[i], w->options.port, &d->servers[d->nservers]);
	d->method = (struct method){&ops, arena_printf(d->arena, "dns:%s", options->provider->name)};
	TAILQ_INSERT_TAIL(&w->methods, d, link);
	return &d->method;
}

struct dns01_world *dns01_world_new(const struct dns01_world_options *options)
{
	struct dns01_world *w = mem_alloc(sizeof(*w));

	w->options = *options;
	TAILQ_INIT(&w->methods);
	LIST_INIT(&w->held);
	LIST_INIT(&w->calls);
	LIST_INIT(&w->seeing);
	LIST_INIT(&w->gates);
	return w;
}

void dns01_world_set_port(struct dns01_world *w, uint16_t port)
{
	w->options.port = port;
}

void dns01_world_free(struct dns01_world *w)
{
	if (!w)
		return;
	while (!LIST_EMPTY(&w->calls))
		call_free(LIST_FIRST(&w->calls));
	while (!LIST_EMPTY(&w->held))
		held_free(LIST_FIRST(&w->held));
	free(w);
}
