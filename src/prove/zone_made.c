/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "prove/zone_inner.h"

enum { NEGATIVE_LONG_S = 900 };

struct zone *zone_ref(struct zone *z)
{
	z->refs++;
	return z;
}

static void free_texts(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void zone_free(struct zone *z)
{
	if (!z || --z->refs > 0)
		return;
	for (size_t i = 0; i < z->nservers; i++)
		free(z->servers[i].name);
	free_texts(z->chain, z->nchain);
	free_texts(z->values, z->nvalues);
	js_free(z->report);
	free(z->servers);
	free(z->base);
	free(z->challenge);
	free(z->owner);
	free(z->apex);
	free(z);
}

void find_say_targets(struct find_target *const *targets, size_t n, char *out, size_t room)
{
	char text[ADDR_TEXT];
	size_t used = 0;

	*out = 0;
	for (size_t i = 0; i < n && used < room; i++) {
		const struct find_target *t = targets[i];
		const char *name = t->host ? t->host->name : "";

		if (t->said)
			used += (size_t)snprintf(out + used, room - used, "%s%s%s%s%s: %s", used ? "; " : "", name, *name ? " (" : "",
				addr_format_ip(&t->addr, text), *name ? ")" : "", t->said);
	}
}

/* Those only the parent zone lists are asked as well when they answer for the zone: a CA's resolver begins with what the parent says. */
static bool is_server(const struct find_target *t)
{
	return !t->host || t->host->own || t->shows_zone;
}

static void make_servers(const struct zone_find *f, struct zone *z)
{
	z->servers = mem_array(f->zone->n, sizeof(*z->servers));
	for (size_t i = 0; i < f->zone->n; i++) {
		const struct find_target *t = &f->zone->at[i];

		if (is_server(t))
			z->servers[z->nservers++] = (struct zone_server){ .name = mem_strdup(t->host ? t->host->name : ""), .addr = t->addr };
	}
}

static bool host_shows_zone(const struct find_side *side, const struct find_host *h)
{
	for (size_t i = 0; i < side->n; i++)
		if (side->at[i].host == h && side->at[i].shows_zone)
			return true;
	return false;
}

static struct js *make_notes(const struct zone_find *f, const struct zone *z)
{
	struct js *notes = js_array();
	char text[ADDR_TEXT], line[256];

	for (size_t i = 0; i < f->nnotes; i++)
		js_add_str(notes, f->note[i]);
	if (f->has_soa && z->negative_ttl > NEGATIVE_LONG_S) {
		snprintf(line, sizeof(line), "a \"no\" of this zone stays in caches for up to %u s", z->negative_ttl);
		js_add_str(notes, line);
	}
	for (size_t i = 0; i < z->nservers; i++)
		if (*z->servers[i].name && !addr_is_public(&z->servers[i].addr)) {
			snprintf(line, sizeof(line), "%.120s has the address %s, where no CA can ask (split horizon?)", z->servers[i].name,
				addr_format_ip(&z->servers[i].addr, text));
			js_add_str(notes, line);
		}
	return notes;
}

static struct js *make_report(const struct zone_find *f, const struct zone *z)
{
	static const char *const cuts[] = { [CUT_SOA] = "SOA", [CUT_REFERRAL] = "referral", [CUT_ANSWER] = "answer" };
	struct js *r = js_object(), *chain = js_array(), *missing = js_array(), *lame = js_array();

	for (size_t i = 0; i < z->nchain; i++)
		js_add_str(chain, z->chain[i]);
	for (size_t i = 0; i < f->zone->nhosts && f->view == VIEW_DIFFERS; i++) {
		const struct find_host *h = &f->zone->host[i];

		if (!h->parent)
			js_add_str(missing, h->name);
		if (!h->own && !h->known && !host_shows_zone(f->zone, h))
			js_add_str(lame, h->name);
	}
	js_put_str(r, "zone", z->apex);
	js_put_str(r, "cut", cuts[f->cut]);
	js_put(r, "chain", chain);
	js_put_bool(r, "wildcard_cname", z->wildcard_cname);
	if (f->view != VIEW_UNKNOWN)
		js_put_bool(r, "parent_agrees", f->view == VIEW_AGREES);
	js_put(r, "missing_at_parent", missing);
	js_put(r, "lame_at_parent", lame);
	if (f->has_soa) {
		js_put_int(r, "serial", z->serial);
		js_put_int(r, "negative_ttl", z->negative_ttl);
	}
	js_put(r, "notes", make_notes(f, z));
	return r;
}

struct zone *find_make_zone(const struct zone_find *f)
{
	struct zone *z = mem_alloc(sizeof(*z));

	z->refs = 1;
	z->base = mem_strdup(f->base);
	z->challenge = mem_strdup(f->challenge);
	z->owner = mem_strdup(f->owner);
	z->apex = mem_strdup(f->zone->apex);
	z->nchain = f->nchain > 0 ? f->nchain + 1 : 0;
	z->chain = mem_array(z->nchain, sizeof(*z->chain));
	for (size_t i = 0; i < z->nchain; i++)
		z->chain[i] = mem_strdup(i == 0 ? f->challenge : f->chain[i - 1]);
	z->values = mem_array(f->nvalues, sizeof(*z->values));
	for (size_t i = 0; i < f->nvalues; i++)
		if (strlen(f->values[i].data) == f->values[i].len)
			z->values[z->nvalues++] = mem_strdup(f->values[i].data);
	make_servers(f, z);
	z->serial = f->serial;
	z->negative_ttl = f->negative_ttl;
	z->kept_s = f->nvalues > 0 ? f->values[0].ttl : f->negative_ttl;
	z->wildcard_cname = f->wildcard_cname;
	z->report = make_report(f, z);
	return z;
}
