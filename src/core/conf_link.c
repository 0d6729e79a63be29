/* SPDX-License-Identifier: ISC */
/* From the drafts of all files to one struct conf: names registered, references looked up, files that do not fit set aside. Nothing here looks at
 * bytes, and nothing is quadratic in the number of files. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "core/conf_draft.h"
#include "core/name.h"

enum { CANDIDATES = 256 };

enum { KIND_DIR = DRAFT_LISTS, KINDS }; /* beside the lists of files: folders written to */
enum { KIND_METHOD = -1 };		/* of a reference: http or dns, as it says */
static const char *const kind_names[KINDS] = {
	[DRAFT_CA] = "ca", [DRAFT_HTTP] = "http", [DRAFT_DNS] = "dns", [DRAFT_SERVICE] = "service", [DRAFT_CERT] = "certificate", [KIND_DIR] = "install dir"};

/* What `prove` refers to, by what stands before the colon: conf_method_words. */
static const int method_kinds[CONF_METHOD_KINDS] = {[CONF_METHOD_HTTP] = DRAFT_HTTP, [CONF_METHOD_DNS] = DRAFT_DNS};

struct zone { /* that a dns entry may write to */
	const char *name;
	size_t number; /* of that entry, in the order of definition */
};

struct entry { /* one name in use */
	int kind;
	const char *name;
	struct draft_file *file;
	int line;
	const void *thing; /* as drafted, in the end as linked */
};

struct link {
	struct draft *d;
	struct conf *c;
	struct entry *table; /* open addressing */
	size_t mask;
	bool all; /* take files that are set aside for good ones */
	struct {
		const char *v[CANDIDATES];
		size_t n;
	} known[KINDS]; /* some of the names, for a did-you-mean */
	const struct schema_group *group[DRAFT_LISTS];
	bool has_http;
	const struct conf_ca *first_ca; /* what `ca` means when it is not there */
	struct zone *zone;		/* of every dns in use, sorted by name, then number; heap */
	size_t nzone;
};

/* --- names in use --- */

static struct entry *slot(struct link *l, int kind, const char *name)
{
	size_t i = (size_t)(text_hash(name) * (2 * (uint64_t)kind + 1) >> 8) & l->mask;

	while (l->table[i].name && (l->table[i].kind != kind || strcmp(l->table[i].name, name) != 0))
		i = (i + 1) & l->mask;
	return &l->table[i];
}

static bool is_out(const struct link *l, const struct draft_file *f)
{
	return f->problems && !l->all;
}

static bool is_shipped(const struct draft_file *f)
{
	return f->source->kind == CONF_SERVICES;
}

static const struct entry *find(struct link *l, int kind, const char *name)
{
	const struct entry *e = slot(l, kind, name);

	return e->name && !is_out(l, e->file) ? e : NULL;
}

static void take(struct link *l, struct entry new)
{
	struct entry *e = slot(l, new.kind, new.name);

	if (is_out(l, new.file) && e->name) /* a name of a file set aside: only for messages, if nobody else has it */
		return;
	/* The first has it. Before what is shipped stands an admin's own, or an earlier one. */
	if (find(l, new.kind, new.name) && (is_shipped(new.file) || !is_shipped(e->file)))
		return;
	*e = new;
	if (!is_out(l, new.file) && l->known[new.kind].n < CANDIDATES)
		l->known[new.kind].v[l->known[new.kind].n++] = new.name;
}

/* Has somebody else a name, who may keep it? */
static void check_name(struct link *l, struct entry new)
{
	const struct entry *e = slot(l, new.kind, new.name);

	if (e->thing == new.thing || is_shipped(new.file) || is_shipped(e->file) || (is_out(l, e->file) && e->file != new.file))
		return;
	draft_error(l->d, new.file, new.line, "%s \"%s\" is already defined in %s:%d", kind_names[new.kind], new.name, e->file->path, e->line);
}

static char *thing_at(const struct link *l, const struct draft_file *f, int kind, size_t i)
{
	return (char *)f->list[kind].v + i * l->group[kind]->size;
}

_Static_assert(!offsetof(struct conf_ca, name) && !offsetof(struct conf_http, name) && !offsetof(struct conf_dns, name) &&
		       !offsetof(struct conf_service, name) &&
		       !offsetof(struct draft_cert, name) && !offsetof(struct conf_cert, name),
	"thing_name");

static const char *thing_name(const void *thing)
{
	return *(const char *const *)thing;
}

typedef void with_entry(struct link *l, struct entry e);

/* What has no name that could be read may be what others refer to; but for a certificate. */
static void each_name(struct link *l, struct draft_file *f, with_entry *with)
{
	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		for (size_t i = 0; i < f->list[kind].n; i++) {
			const char *thing = thing_at(l, f, kind, i), *name = thing_name(thing);

			if (!name || !*name)
				f->unread = f->unread || kind != DRAFT_CERT;
			else
				with(l, (struct entry){kind, name, f, *(const int *)(thing + l->group[kind]->line), thing});
		}
	for (size_t i = 0; i < f->list[DRAFT_CERT].n; i++) {
		const struct draft_cert *cert = (const void *)thing_at(l, f, DRAFT_CERT, i);

		for (const struct conf_target *t = cert->install.v; t && t < cert->install.v + cert->install.n; t++)
			if (t->dir)
				with(l, (struct entry){KIND_DIR, t->dir, f, t->line, t});
	}
}

static size_t count_names(const struct draft_file *f)
{
	const struct draft_cert *cert = f->list[DRAFT_CERT].v;
	size_t n = 0;

	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		n += f->list[kind].n;
	for (size_t i = 0; i < f->list[DRAFT_CERT].n; i++)
		n += cert[i].install.n;
	return n;
}

static void make_table(struct link *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->d->nfile; i++)
		n += count_names(&l->d->file[i]);
	for (l->mask = 15; l->mask / 2 < n; l->mask = 2 * l->mask + 1)
		;
	l->table = arena_array(l->d->scratch, l->mask + 1, sizeof *l->table);
}

/* Those of good files first. */
static void take_files(struct link *l)
{
	memset(l->table, 0, (l->mask + 1) * sizeof *l->table);
	memset(l->known, 0, sizeof l->known);
	for (size_t i = 0; i < l->d->nfile; i++)
		if (!is_out(l, &l->d->file[i]))
			each_name(l, &l->d->file[i], take);
	for (size_t i = 0; i < l->d->nfile; i++)
		if (is_out(l, &l->d->file[i]))
			each_name(l, &l->d->file[i], take);
}

/* --- references --- */

/* What seems to be missing may stand where it could not be read. */
static bool is_unsure(const struct link *l, const struct draft_file *f)
{
	return f->unread || l->d->file[0].unread;
}

static void undefined(struct link *l, struct draft_file *f, int line, int kind, const char *name)
{
	const struct entry *e = slot(l, kind, name);
	const char *near;

	if (is_unsure(l, f))
		return;
	if (e->name) {
		draft_error(l->d, f, line, "%s \"%s\" is defined in %s, which is set aside", kind_names[kind], name, e->file->path);
		return;
	}
	near = text_nearest(name, l->known[kind].v, l->known[kind].n);
	if (near)
		draft_error(l->d, f, line, "no %s \"%.100s\" is defined, did you mean \"%s\"?", kind_names[kind], name, near);
	else
		draft_error(l->d, f, line, "no %s \"%.100s\" is defined", kind_names[kind], name);
}

/* "http:www" -> CONF_METHOD_HTTP and "www"; CONF_METHOD_KINDS when it names no method. */
static int method_kind(const char *ref, const char **name)
{
	size_t len = strcspn(ref, ":");
	int kind = 0;

	while (kind < CONF_METHOD_KINDS && (strlen(conf_method_words[kind]) != len || strncmp(ref, conf_method_words[kind], len) != 0))
		kind++;
	*name = ref + len + 1;
	return ref[len] ? kind : CONF_METHOD_KINDS;
}

static void check_methods(struct link *l, struct draft_file *f, const struct draft_refs *refs)
{
	for (size_t i = 0; i < refs->list.n; i++) {
		const char *ref = refs->list.v[i], *name;
		int kind = method_kind(ref, &name), near = 0;

		if (kind < CONF_METHOD_KINDS) {
			if (!find(l, method_kinds[kind], name))
				undefined(l, f, refs->line, method_kinds[kind], name);
			continue;
		}
		while (near < CONF_METHOD_KINDS && !find(l, method_kinds[near], ref))
			near++;
		if (near < CONF_METHOD_KINDS)
			draft_error(l->d, f, refs->line, "prove: \"%s\" names no method, did you mean \"%s:%s\"?", ref, conf_method_words[near], ref);
		else
			draft_error(l->d, f, refs->line, "prove: \"%.100s\" names no method: \"http:NAME\" or \"dns:NAME\", say", ref);
	}
}

static void check_refs(struct link *l, struct draft_file *f, const struct draft_refs *refs, int kind)
{
	if (kind == KIND_METHOD)
		check_methods(l, f, refs);
	for (size_t i = 0; i < refs->list.n && kind != KIND_METHOD; i++)
		if (!find(l, kind, refs->list.v[i]))
			undefined(l, f, refs->line, kind, refs->list.v[i]);
}

/* --- zones --- */

static int by_zone(const void *va, const void *vb)
{
	const struct zone *a = va, *b = vb;
	int names = strcmp(a->name, b->name);

	return names ? names : a->number < b->number ? -1 : a->number > b->number;
}

static void take_zones(struct link *l, const struct conf_dns *dns, size_t number)
{
	l->zone = mem_resize(l->zone, l->nzone + dns->zones.n, sizeof *l->zone);
	for (size_t i = 0; i < dns->zones.n; i++)
		l->zone[l->nzone++] = (struct zone){dns->zones.v[i], number};
}

static void sort_zones(struct link *l)
{
	if (l->nzone)
		qsort(l->zone, l->nzone, sizeof *l->zone, by_zone);
}

/* The first row of exactly this zone; NULL: none. */
static const struct zone *find_zone(const struct link *l, const char *name)
{
	size_t low = 0, high = l->nzone;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(l->zone[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->nzone && strcmp(l->zone[low].name, name) == 0 ? &l->zone[low] : NULL;
}

/* Of every zone that holds the name, from the name itself upwards. NULL at the end. */
static const struct zone *next_zone(const struct link *l, const char **name)
{
	while (*name) {
		const struct zone *z = find_zone(l, *name);
		const char *dot = strchr(*name, '.');

		*name = dot ? dot + 1 : NULL;
		if (z)
			return z;
	}
	return NULL;
}

/* The narrowest of the zones that hold the name; NULL: none. */
static const struct zone *holder(const struct link *l, const char *name)
{
	name += name_is_wildcard(name) ? 2 : 0;
	return next_zone(l, &name);
}

/* What is inherited was checked where it was written: another file, or the defaults of this one. */
static void check_cert_refs(struct link *l, struct draft_file *f, const struct draft_cert *cert, const struct draft_cert *defaults)
{
	static const struct {
		size_t offset;
		int kind;
	} rows[] = {
		{offsetof(struct draft_cert, ca), DRAFT_CA},
		{offsetof(struct draft_cert, prove), KIND_METHOD},
		{offsetof(struct draft_cert, service), DRAFT_SERVICE},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct draft_refs *refs = (const void *)((const char *)cert + rows[i].offset);
		const struct draft_refs *inherited = defaults ? (const void *)((const char *)defaults + rows[i].offset) : NULL;

		if (refs->file == f && (!inherited || refs->list.v != inherited->list.v))
			check_refs(l, f, refs, rows[i].kind);
	}
}

/* Where its CNAME may lead to is not known here: a dns that is named may prove anything, and so may what is no method as it was written. */
static bool names_dns(const struct draft_refs *refs)
{
	const char *name;

	for (size_t i = 0; i < refs->list.n; i++)
		if (method_kind(refs->list.v[i], &name) != CONF_METHOD_HTTP)
			return true;
	return refs->partial;
}

static void check_provable(struct link *l, struct draft_file *f, const struct draft_cert *cert)
{
	if (!cert->prove.file && !l->has_http && !l->nzone) {
		draft_error(l->d, f, cert->line, "no http is defined that could prove the names of \"%s\", and no dns with zones", cert->name);
		return;
	}
	for (size_t i = 0; i < cert->names.n; i++) {
		const char *name = cert->names.v[i];
		bool wild = name_is_wildcard(name);

		if (cert->prove.file ? !wild || names_dns(&cert->prove) : (!wild && l->has_http) || holder(l, name))
			continue;
		if (wild)
			draft_error(l->d, f, cert->line, "\"%s\" can only be proven by dns: define a dns entry with its zone, or name one in prove", name);
		else
			draft_error(l->d, f, cert->line, "no http is defined that could prove \"%s\", and no dns that has it in its zones", name);
	}
}

static void check_cert(struct link *l, struct draft_file *f, const struct draft_cert *cert)
{
	if (!is_unsure(l, f)) {
		if (!cert->ca.file && !l->first_ca)
			draft_error(l->d, f, cert->line, "no ca is defined that could issue \"%s\"", cert->name);
		check_provable(l, f, cert);
	}
	check_cert_refs(l, f, cert, &f->defaults);
}

/* The first that is in use, in the order of definition; NULL: none. */
static const void *first_thing(const struct link *l, int kind)
{
	for (size_t i = 0; i < l->d->nfile; i++)
		if (!is_out(l, &l->d->file[i]) && l->d->file[i].list[kind].n)
			return l->d->file[i].list[kind].v;
	return NULL;
}

static void take_all_zones(struct link *l)
{
	size_t number = 0;

	l->nzone = 0;
	for (size_t i = 0; i < l->d->nfile; i++)
		for (size_t j = 0; !is_out(l, &l->d->file[i]) && j < l->d->file[i].list[DRAFT_DNS].n; j++)
			take_zones(l, (const void *)thing_at(l, &l->d->file[i], DRAFT_DNS, j), number++);
	sort_zones(l);
}

/* What there is to refer to. */
static void survey(struct link *l)
{
	take_files(l);
	l->first_ca = first_thing(l, DRAFT_CA);
	l->has_http = first_thing(l, DRAFT_HTTP);
	take_all_zones(l);
}

static void check_file(struct link *l, struct draft_file *f, enum draft_check what)
{
	if (what == DRAFT_NAMES) {
		each_name(l, f, check_name);
	} else {
		check_cert_refs(l, f, &f->defaults, NULL);
		for (size_t i = 0; i < f->list[DRAFT_CERT].n; i++)
			check_cert(l, f, (const void *)thing_at(l, f, DRAFT_CERT, i));
	}
	f->checked[what] = f->problems;
}

/* false: nothing new was found; or the main file fell, and with it what the others could be blamed for. */
static bool check_files(struct link *l, enum draft_check last)
{
	bool found = false;

	for (size_t i = 0; i < l->d->nfile; i++) {
		struct draft_file *f = &l->d->file[i];

		if (l->d->file[0].problems)
			return false;
		if (f->problems)
			continue;
		for (int what = 0; what <= (int)last && !f->problems; what++)
			check_file(l, f, what);
		found = found || f->problems;
	}
	return found;
}

/* A file that is set aside takes its names with it, which may leave others without: again until nothing changes. Duplicates last, so that no good
 * file loses a name to one that is set aside anyway. */
static void settle(struct link *l)
{
	for (int last = 0; last < DRAFT_CHECKS && !l->d->file[0].problems; last++)
		do
			survey(l);
		while (check_files(l, last));
}

/* Of a file that is set aside, what else is wrong with it: it is looked at as if all were good, so that nothing is told which another mistake
 * brought about. Without the main file no file is any good. */
static void tell_rest(struct link *l)
{
	bool none = l->d->file[0].problems;

	l->all = true;
	survey(l);
	for (size_t i = 0; i < l->d->nfile; i++) {
		struct draft_file *f = &l->d->file[i];

		for (int what = 0; what < DRAFT_CHECKS && (none || f->problems); what++)
			if (!f->checked[what])
				check_file(l, f, what);
	}
	l->all = false;
	take_files(l);
}

/* --- the result --- */

/* All things of a kind that are in use, copied into one array, to which the table then points. */
static void *gather(struct link *l, int kind, size_t *n)
{
	size_t size = l->group[kind]->size, room = 0;
	char *all;

	for (size_t i = 0; i < l->d->nfile; i++)
		room += l->d->file[i].problems ? 0 : l->d->file[i].list[kind].n;
	all = arena_array(l->d->arena, room, size);
	*n = 0;
	for (size_t i = 0; i < l->d->nfile; i++)
		for (size_t j = 0; !l->d->file[i].problems && j < l->d->file[i].list[kind].n; j++) {
			const char *thing = thing_at(l, &l->d->file[i], kind, j);
			struct entry *e = slot(l, kind, thing_name(thing));

			if (e->thing == thing) {
				e->thing = memcpy(all + *n * size, thing, size);
				++*n;
			}
		}
	return all;
}

/* References as pointers. */
static const void **resolve(struct link *l, int kind, const struct conf_list *names)
{
	const void **v = arena_array(l->d->arena, names->n, sizeof *v);

	for (size_t i = 0; i < names->n; i++)
		v[i] = slot(l, kind, names->v[i])->thing;
	return v;
}

static struct conf_method method_of(struct link *l, const char *ref)
{
	struct conf_method m = {.kind = method_kind(ref, &m.name)};
	const void *thing = slot(l, method_kinds[m.kind], m.name)->thing;

	if (m.kind == CONF_METHOD_DNS)
		m.dns = thing;
	else
		m.http = thing;
	return m;
}

static void link_named(struct link *l, const struct conf_list *refs, struct conf_cert *to)
{
	struct conf_method *v = arena_array(l->d->arena, refs->n, sizeof *v);

	for (size_t i = 0; i < refs->n; i++)
		v[i] = method_of(l, refs->v[i]);
	to->prove.v = v;
	to->prove.n = refs->n;
}

static int by_number(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

/* Numbers of the entries with a zone that holds one of the names, each once and in order; heap, NULL when there are none. */
static size_t *fitting_dns(const struct link *l, const struct conf_list *names, size_t *n)
{
	size_t *v = NULL, all = 0;

	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->v[i] + (name_is_wildcard(names->v[i]) ? 2 : 0);
		const struct zone *z;

		while ((z = next_zone(l, &name)))
			for (const struct zone *same = z; same < l->zone + l->nzone && strcmp(same->name, z->name) == 0; same++) {
				v = mem_resize(v, all + 1, sizeof *v);
				v[all++] = same->number;
			}
	}
	if (all)
		qsort(v, all, sizeof *v, by_number);
	*n = 0;
	for (size_t i = 0; i < all; i++)
		if (i == 0 || v[i] != v[i - 1])
			v[(*n)++] = v[i];
	return v;
}

/* Every http, which all certificates share as long as nothing follows, then every dns that fits. */
static void link_default(struct link *l, struct conf_cert *to)
{
	size_t n, *numbers = fitting_dns(l, &to->names, &n), nhttp = l->c->http.n;
	const struct conf_method *all = l->c->methods.v;
	struct conf_method *v;

	to->prove.v = all;
	to->prove.n = nhttp + n;
	if (n) {
		to->prove.v = v = arena_array(l->d->arena, nhttp + n, sizeof *v);
		if (nhttp)
			memcpy(v, all, nhttp * sizeof *v);
		for (size_t i = 0; i < n; i++)
			v[nhttp + i] = all[nhttp + numbers[i]];
	}
	free(numbers);
}

/* A mere comparison with what the certificate was issued for; no secret, no adversary. */
static uint64_t cert_digest(const struct conf_cert *cert)
{
	struct buf text;
	bool ok;
	uint64_t digest;

	buf_init(&text, 0);
	ok = buf_printf(&text, "%s %s %d", cert->ca->name, cert->ca->directory, cert->key);
	for (size_t i = 0; i < cert->names.n; i++)
		ok = ok && buf_printf(&text, " %s", cert->names.v[i]);
	for (size_t i = 0; i < cert->prove.n; i++)
		ok = ok && buf_printf(&text, " %s:%s", conf_method_words[cert->prove.v[i].kind], cert->prove.v[i].name);
	digest = ok ? text_hash(text.data) : 0;
	buf_free(&text);
	return digest;
}

static void link_cert(struct link *l, const struct draft_file *f, const struct draft_cert *from, struct conf_cert *to)
{
	*to = (struct conf_cert){
		.name = from->name,
		.names = from->names,
		.key = from->key,
		.enabled = from->enabled,
		.self_check = from->self_check,
		.file = f->path,
		.line = from->line,
	};
	to->ca = from->ca.list.n ? slot(l, DRAFT_CA, from->ca.list.v[0])->thing : l->c->ca.v;
	to->install.v = from->install.v;
	to->install.n = from->install.n;
	to->service.v = (const struct conf_service *const *)resolve(l, DRAFT_SERVICE, &from->service.list);
	to->service.n = from->service.list.n;
	if (from->prove.file)
		link_named(l, &from->prove.list, to);
	else
		link_default(l, to);
	to->digest = cert_digest(to);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(thing_name(a), thing_name(b));
}

static void link_certs(struct link *l)
{
	size_t room = 0;
	struct conf_cert *v;

	for (size_t i = 0; i < l->d->nfile; i++)
		room += l->d->file[i].problems ? 0 : l->d->file[i].list[DRAFT_CERT].n;
	v = arena_array(l->d->arena, room, sizeof *v);
	for (size_t i = 0, n = 0; i < l->d->nfile; i++)
		for (size_t j = 0; !l->d->file[i].problems && j < l->d->file[i].list[DRAFT_CERT].n; j++)
			link_cert(l, &l->d->file[i], (const void *)thing_at(l, &l->d->file[i], DRAFT_CERT, j), &v[n++]);
	qsort(v, room, sizeof *v, by_name);
	l->c->cert.v = v;
	l->c->cert.n = room;
}

static void link_methods(struct link *l)
{
	struct conf *c = l->c;
	struct conf_method *v = arena_array(l->d->arena, c->http.n + c->dns.n, sizeof *v), *at = v;

	l->nzone = 0;
	for (size_t i = 0; i < c->http.n; i++)
		*at++ = (struct conf_method){.kind = CONF_METHOD_HTTP, .name = c->http.v[i].name, .http = &c->http.v[i]};
	for (size_t i = 0; i < c->dns.n; i++) {
		*at++ = (struct conf_method){.kind = CONF_METHOD_DNS, .name = c->dns.v[i].name, .dns = &c->dns.v[i]};
		take_zones(l, &c->dns.v[i], i);
	}
	sort_zones(l);
	c->methods.v = v;
	c->methods.n = (size_t)(at - v);
}

static void link_lists(struct link *l)
{
	struct conf *c = l->c;
	struct conf_ca *ca = gather(l, DRAFT_CA, &c->ca.n);

	for (size_t i = 0; i < c->ca.n; i++)
		if (!ca[i].contact.n)
			ca[i].contact = c->settings.contact;
	c->ca.v = ca;
	c->http.v = gather(l, DRAFT_HTTP, &c->http.n);
	c->service.v = gather(l, DRAFT_SERVICE, &c->service.n);
	c->dns.v = gather(l, DRAFT_DNS, &c->dns.n);
	link_methods(l);
	link_certs(l);
}

void conf_link(struct draft *d, struct conf *c)
{
	struct link l = {.d = d, .c = c};

	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		l.group[kind] = schema_find(&schema_top, kind_names[kind])->group;
	make_table(&l);
	settle(&l);
	tell_rest(&l);
	if (!d->file[0].problems)
		link_lists(&l);
	free(l.zone);
}
