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
static const char *const kind_names[KINDS] = {
	[DRAFT_CA] = "ca", [DRAFT_HTTP] = "http", [DRAFT_SERVICE] = "service", [DRAFT_CERT] = "certificate", [KIND_DIR] = "install dir"};

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
	bool strict; /* tell duplicates */
	struct {
		const char *v[CANDIDATES];
		size_t n;
	} known[KINDS]; /* some of the names, for a did-you-mean */
	const struct schema_group *group[DRAFT_LISTS];
	bool has_http;
	const struct conf_ca *first_ca;		 /* what `ca` means when it is not there */
	const struct conf_http *const *all_http; /* the same for `prove` */
};

/* --- names in use --- */

static struct entry *slot(struct link *l, int kind, const char *name)
{
	size_t i = (size_t)(text_hash(name) * (2 * (uint64_t)kind + 1) >> 8) & l->mask;

	while (l->table[i].name && (l->table[i].kind != kind || strcmp(l->table[i].name, name) != 0))
		i = (i + 1) & l->mask;
	return &l->table[i];
}

static const struct entry *find(struct link *l, int kind, const char *name)
{
	const struct entry *e = slot(l, kind, name);

	return e->name && !e->file->problems ? e : NULL;
}

static void take(struct link *l, struct entry new)
{
	bool shipped = new.file->source->kind == CONF_SERVICES;
	struct entry *e;

	if (!new.name)
		return;
	e = slot(l, new.kind, new.name);
	if (new.file->problems && e->name) /* a name of a file set aside: only for messages, if nobody else has it */
		return;
	if (find(l, new.kind, new.name)) {
		if (shipped) /* an admin's own, or an earlier one, stands before it */
			return;
		if (e->file->source->kind != CONF_SERVICES) {
			if (l->strict)
				draft_error(l->d, new.file, new.line, "%s \"%s\" is already defined in %s:%d", kind_names[new.kind], new.name,
					e->file->path, e->line);
			return;
		}
	}
	*e = new;
	if (!new.file->problems && l->known[new.kind].n < CANDIDATES)
		l->known[new.kind].v[l->known[new.kind].n++] = new.name;
}

static char *thing_at(const struct link *l, const struct draft_file *f, int kind, size_t i)
{
	return (char *)f->list[kind].v + i * l->group[kind]->size;
}

_Static_assert(!offsetof(struct conf_ca, name) && !offsetof(struct conf_http, name) && !offsetof(struct conf_service, name) &&
		       !offsetof(struct draft_cert, name) && !offsetof(struct conf_cert, name),
	"thing_name");

static const char *thing_name(const void *thing)
{
	return *(const char *const *)thing;
}

static void take_file(struct link *l, struct draft_file *f)
{
	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		for (size_t i = 0; i < f->list[kind].n; i++) {
			const char *thing = thing_at(l, f, kind, i);

			take(l, (struct entry){kind, thing_name(thing), f, *(const int *)(thing + l->group[kind]->line), thing});
		}
	for (size_t i = 0; i < f->list[DRAFT_CERT].n; i++) {
		const struct draft_cert *cert = (const void *)thing_at(l, f, DRAFT_CERT, i);

		for (size_t j = 0; j < cert->install.n; j++)
			take(l, (struct entry){KIND_DIR, cert->install.v[j].dir, f, cert->install.v[j].line, &cert->install.v[j]});
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
		if (!l->d->file[i].problems)
			take_file(l, &l->d->file[i]);
	for (size_t i = 0; i < l->d->nfile; i++)
		if (l->d->file[i].problems)
			take_file(l, &l->d->file[i]);
}

/* --- references --- */

static void undefined(struct link *l, struct draft_file *f, int line, int kind, const char *name)
{
	const struct entry *e = slot(l, kind, name);
	const char *near;

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

/* "http:www" -> "www", NULL when it names no method. The other kinds are bare names. */
static const char *bare(int kind, const char *ref)
{
	static const char http[] = "http:";

	if (kind != DRAFT_HTTP)
		return ref;
	return strncmp(ref, http, strlen(http)) == 0 ? ref + strlen(http) : NULL;
}

static void check_refs(struct link *l, struct draft_file *f, const struct draft_refs *refs, int kind)
{
	for (size_t i = 0; i < refs->list.n; i++) {
		const char *name = bare(kind, refs->list.v[i]);

		if (!name)
			draft_error(l->d, f, refs->line, "prove: \"%.100s\" names no method: \"http:NAME\", say", refs->list.v[i]);
		else if (!find(l, kind, name))
			undefined(l, f, refs->line, kind, name);
	}
}

/* What is inherited was checked where it was written: another file, or the defaults of this one. */
static void check_cert_refs(struct link *l, struct draft_file *f, const struct draft_cert *cert, const struct draft_cert *defaults)
{
	static const struct {
		size_t offset;
		int kind;
	} rows[] = {
		{offsetof(struct draft_cert, ca), DRAFT_CA},
		{offsetof(struct draft_cert, prove), DRAFT_HTTP},
		{offsetof(struct draft_cert, service), DRAFT_SERVICE},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct draft_refs *refs = (const void *)((const char *)cert + rows[i].offset);
		const struct draft_refs *inherited = defaults ? (const void *)((const char *)defaults + rows[i].offset) : NULL;

		if (refs->file == f && (!inherited || refs->list.v != inherited->list.v))
			check_refs(l, f, refs, rows[i].kind);
	}
}

static void check_cert(struct link *l, struct draft_file *f, const struct draft_cert *cert)
{
	if (!cert->ca.file && !l->first_ca)
		draft_error(l->d, f, cert->line, "no ca is defined that could issue \"%s\"", cert->name);
	if (!cert->prove.file && !l->has_http)
		draft_error(l->d, f, cert->line, "no http is defined that could prove the names of \"%s\"", cert->name);
	for (size_t i = 0; i < cert->names.n; i++)
		if (name_is_wildcard(cert->names.v[i]))
			draft_error(l->d, f, cert->line, "\"%s\" can only be proven by dns, which is not in this version", cert->names.v[i]);
	check_cert_refs(l, f, cert, &f->defaults);
}

/* The first that is in use, in the order of definition; NULL: none. */
static const void *first_thing(const struct link *l, int kind)
{
	for (size_t i = 0; i < l->d->nfile; i++)
		if (!l->d->file[i].problems && l->d->file[i].list[kind].n)
			return l->d->file[i].list[kind].v;
	return NULL;
}

/* false: nothing new was found; or the main file fell, and with it what the others could be blamed for. */
static bool check_files(struct link *l)
{
	bool found = false;

	l->first_ca = first_thing(l, DRAFT_CA);
	l->has_http = first_thing(l, DRAFT_HTTP);
	for (size_t i = 0; i < l->d->nfile; i++) {
		struct draft_file *f = &l->d->file[i];

		if (l->d->file[0].problems)
			return false;
		if (f->problems)
			continue;
		check_cert_refs(l, f, &f->defaults, NULL);
		for (size_t j = 0; j < f->list[DRAFT_CERT].n; j++)
			check_cert(l, f, (const void *)thing_at(l, f, DRAFT_CERT, j));
		found = found || f->problems;
	}
	return found;
}

/* A file that is set aside takes its names with it, which may leave others without: again until nothing changes. Duplicates last, so that no good
 * file loses a name to one that is set aside anyway. */
static void settle(struct link *l)
{
	for (int strict = 0; strict < 2 && !l->d->file[0].problems; strict++) {
		l->strict = strict;
		do
			take_files(l);
		while (check_files(l));
	}
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
		v[i] = slot(l, kind, bare(kind, names->v[i]))->thing;
	return v;
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
		ok = ok && buf_printf(&text, " http:%s", cert->prove.v[i]->name);
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
	to->prove.v = from->prove.file ? (const struct conf_http *const *)resolve(l, DRAFT_HTTP, &from->prove.list) : l->all_http;
	to->prove.n = from->prove.file ? from->prove.list.n : l->c->http.n;
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

static void link_lists(struct link *l)
{
	struct conf *c = l->c;
	struct conf_ca *ca = gather(l, DRAFT_CA, &c->ca.n);
	const struct conf_http **http;

	for (size_t i = 0; i < c->ca.n; i++)
		if (!ca[i].contact.n)
			ca[i].contact = c->settings.contact;
	c->ca.v = ca;
	c->http.v = gather(l, DRAFT_HTTP, &c->http.n);
	c->service.v = gather(l, DRAFT_SERVICE, &c->service.n);
	http = arena_array(l->d->arena, c->http.n, sizeof(struct conf_http *));
	for (size_t i = 0; i < c->http.n; i++)
		http[i] = &c->http.v[i];
	l->all_http = http;
	link_certs(l);
}

void conf_link(struct draft *d, struct conf *c)
{
	struct link l = {.d = d, .c = c};

	for (int kind = 0; kind < DRAFT_LISTS; kind++)
		l.group[kind] = schema_find(&schema_top, kind_names[kind])->group;
	make_table(&l);
	settle(&l);
	if (!d->file[0].problems)
		link_lists(&l);
}
