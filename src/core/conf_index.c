/* SPDX-License-Identifier: ISC */
#include "core/conf_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const char *const conf_index_kinds[INDEX_KINDS] = {
	[DRAFT_CA] = "ca", [DRAFT_HTTP] = "http", [DRAFT_DNS] = "dns", [DRAFT_SERVICE] = "service", [DRAFT_CERT] = "certificate", [INDEX_PATH] = "install path"};

const int conf_index_methods[CONF_METHOD_KINDS] = {[CONF_METHOD_HTTP] = DRAFT_HTTP, [CONF_METHOD_DNS] = DRAFT_DNS};

/* --- names in use --- */

struct conf_entry *conf_index_slot(struct conf_index *x, int kind, const char *name)
{
	size_t i = (size_t)(text_hash(name) * (2 * (uint64_t)kind + 1) >> 8) & x->mask;

	while (x->table[i].name && (x->table[i].kind != kind || strcmp(x->table[i].name, name) != 0))
		i = (i + 1) & x->mask;
	return &x->table[i];
}

bool conf_index_is_out(const struct conf_index *x, const struct draft_file *f)
{
	return f->problems && !x->all;
}

const struct conf_entry *conf_index_find(struct conf_index *x, int kind, const char *name)
{
	const struct conf_entry *e = conf_index_slot(x, kind, name);

	return e->name && !conf_index_is_out(x, e->file) ? e : NULL;
}

char *conf_index_thing(const struct conf_index *x, const struct draft_file *f, int kind, size_t i)
{
	return (char *)f->list[kind].v + i * x->group[kind]->size;
}

static bool is_shipped(const struct draft_file *f)
{
	return f->source->kind == CONF_SERVICES;
}

static void take(struct conf_index *x, struct conf_entry new)
{
	struct conf_entry *e = conf_index_slot(x, new.kind, new.name);

	if (conf_index_is_out(x, new.file) && e->name) /* a name of a file set aside: only for messages, if nobody else has it */
		return;
	/* The first has it. Before what is shipped stands an admin's own, or an earlier one. */
	if (conf_index_find(x, new.kind, new.name) && (is_shipped(new.file) || !is_shipped(e->file)))
		return;
	*e = new;
	if (!conf_index_is_out(x, new.file) && x->known[new.kind].n < INDEX_NEAR)
		x->known[new.kind].v[x->known[new.kind].n++] = new.name;
}

_Static_assert(!offsetof(struct conf_ca, name) && !offsetof(struct conf_http, name) && !offsetof(struct conf_dns, name) &&
		       !offsetof(struct conf_service, name) && !offsetof(struct draft_cert, name) && !offsetof(struct conf_cert, name),
	"conf_index_name");

const char *conf_index_name(const void *thing)
{
	return *(const char *const *)thing;
}

/* Those of the defaults are the same structs for all who take them over. */
static void each_path(struct conf_index *x, struct draft_file *f, const struct draft_cert *cert, conf_index_with *with)
{
	bool inherited = cert->install.v == f->defaults.install.v;
	const char *paths[CONF_TARGET_PATHS];

	for (const struct conf_target *t = cert->install.v; t && t < cert->install.v + cert->install.n; t++)
		for (size_t i = 0, n = conf_target_paths(t, paths); i < n; i++)
			with(x, (struct conf_entry){INDEX_PATH, paths[i], f, inherited ? cert->line : t->line, paths[i], cert});
}

/* What has no name that could be read may be what others refer to, but for a certificate. */
void conf_index_each(struct conf_index *x, struct draft_file *f, conf_index_with *with)
{
	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		for (size_t i = 0; i < f->list[kind].n; i++) {
			const char *thing = conf_index_thing(x, f, kind, i), *name = conf_index_name(thing);

			if (!name || !*name)
				f->unread = f->unread || kind != DRAFT_CERT;
			else
				with(x, (struct conf_entry){kind, name, f, *(const int *)(thing + x->group[kind]->line), thing, NULL});
		}
	for (size_t i = 0; i < f->list[DRAFT_CERT].n; i++)
		each_path(x, f, (const void *)conf_index_thing(x, f, DRAFT_CERT, i), with);
}

static size_t count_names(const struct draft_file *f)
{
	const struct draft_cert *cert = f->list[DRAFT_CERT].v;
	const char *paths[CONF_TARGET_PATHS];
	size_t n = 0;

	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		n += f->list[kind].n;
	for (size_t i = 0; i < f->list[DRAFT_CERT].n; i++)
		for (size_t j = 0; j < cert[i].install.n; j++)
			n += conf_target_paths(&cert[i].install.v[j], paths);
	return n;
}

/* Those of good files first. */
static void take_files(struct conf_index *x)
{
	memset(x->table, 0, (x->mask + 1) * sizeof *x->table);
	memset(x->known, 0, sizeof x->known);
	for (size_t i = 0; i < x->d->nfile; i++)
		if (!conf_index_is_out(x, &x->d->file[i]))
			conf_index_each(x, &x->d->file[i], take);
	for (size_t i = 0; i < x->d->nfile; i++)
		if (conf_index_is_out(x, &x->d->file[i]))
			conf_index_each(x, &x->d->file[i], take);
}

int conf_index_method(const char *ref, const char **name)
{
	size_t len = strcspn(ref, ":");
	int kind = 0;

	while (kind < CONF_METHOD_KINDS && (strlen(conf_method_words[kind]) != len || strncmp(ref, conf_method_words[kind], len) != 0))
		kind++;
	*name = ref + len + 1;
	return ref[len] ? kind : CONF_METHOD_KINDS;
}

/* --- zones --- */

static int by_zone(const void *va, const void *vb)
{
	const struct conf_zone *a = va, *b = vb;
	int names = strcmp(a->name, b->name);

	return names ? names : a->number < b->number ? -1 : a->number > b->number;
}

static void take_zones(struct conf_index *x, const struct conf_dns *dns, size_t number)
{
	x->zone = mem_resize(x->zone, x->nzone + dns->zones.n, sizeof *x->zone);
	for (size_t i = 0; i < dns->zones.n; i++)
		x->zone[x->nzone++] = (struct conf_zone){dns->zones.v[i], number};
}

static void sort_zones(struct conf_index *x)
{
	if (x->nzone)
		qsort(x->zone, x->nzone, sizeof *x->zone, by_zone);
}

/* The first row of exactly this zone; NULL: none. */
static const struct conf_zone *find_zone(const struct conf_index *x, const char *name)
{
	size_t low = 0, high = x->nzone;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(x->zone[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->nzone && strcmp(x->zone[low].name, name) == 0 ? &x->zone[low] : NULL;
}

const struct conf_zone *conf_index_zone(const struct conf_index *x, const char **name)
{
	while (*name) {
		const struct conf_zone *z = find_zone(x, *name);
		const char *dot = strchr(*name, '.');

		*name = dot ? dot + 1 : NULL;
		if (z)
			return z;
	}
	return NULL;
}

static void take_all_zones(struct conf_index *x)
{
	size_t number = 0;

	x->nzone = 0;
	for (size_t i = 0; i < x->d->nfile; i++)
		for (size_t j = 0; !conf_index_is_out(x, &x->d->file[i]) && j < x->d->file[i].list[DRAFT_DNS].n; j++)
			take_zones(x, (const void *)conf_index_thing(x, &x->d->file[i], DRAFT_DNS, j), number++);
	sort_zones(x);
}

/* --- the whole --- */

/* The first that is in use, in the order of definition; NULL: none. */
static const void *first_thing(const struct conf_index *x, int kind)
{
	for (size_t i = 0; i < x->d->nfile; i++)
		if (!conf_index_is_out(x, &x->d->file[i]) && x->d->file[i].list[kind].n)
			return x->d->file[i].list[kind].v;
	return NULL;
}

void conf_index_fill(struct conf_index *x)
{
	take_files(x);
	x->first_ca = first_thing(x, DRAFT_CA);
	x->has_http = first_thing(x, DRAFT_HTTP);
	take_all_zones(x);
}

void conf_index_open(struct conf_index *x, struct draft *d)
{
	size_t n = 0;

	*x = (struct conf_index){.d = d};
	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		x->group[kind] = schema_find(&schema_top, conf_index_kinds[kind])->group;
	for (size_t i = 0; i < d->nfile; i++)
		n += count_names(&d->file[i]);
	for (x->mask = 15; x->mask / 2 < n; x->mask = 2 * x->mask + 1)
		;
	x->table = arena_array(d->scratch, x->mask + 1, sizeof *x->table);
}

void conf_index_close(struct conf_index *x)
{
	free(x->zone);
}
