/* SPDX-License-Identifier: ISC */
#include "core/conf_check.h"

#include <limits.h>
#include <string.h>

#include "base/text.h"
#include "core/name.h"

enum { KIND_METHOD = -1 }; /* of a reference: http or dns, as it says */

/* --- names --- */

/* What is put into a folder that is switched as a whole is gone with the next generation. The other way round, a folder that is to be where others
 * write already, is found when it is put there, which spares their files from being blamed for a later one. */
static void check_nesting(struct conf_index *x, struct conf_entry new)
{
	char above[PATH_MAX];
	const struct conf_entry *e = NULL;
	char *slash;

	if (strlen(new.name) >= sizeof above)
		return;
	memcpy(above, new.name, strlen(new.name) + 1);
	while (!e && (slash = strrchr(above, '/')) && slash > above) {
		*slash = '\0';
		e = conf_index_find(x, INDEX_PATH, above);
	}
	if (e && e->file <= new.file)
		draft_error(x->d, new.file, new.line, "install path \"%s\" lies in \"%s\", which %s:%d writes itself", new.name, above, e->file->path, e->line);
}

/* Has somebody else a name, who may keep it? */
static void check_name(struct conf_index *x, struct conf_entry new)
{
	const struct conf_entry *e = conf_index_slot(x, new.kind, new.name);

	if (new.kind == INDEX_PATH)
		check_nesting(x, new);
	if ((e->thing == new.thing && e->cert == new.cert) || new.file->source->kind == CONF_SERVICES || e->file->source->kind == CONF_SERVICES ||
		(conf_index_is_out(x, e->file) && e->file != new.file))
		return;
	draft_error(x->d, new.file, new.line, "%s \"%s\" is already defined in %s:%d", conf_index_kinds[new.kind], new.name, e->file->path, e->line);
}

/* --- references --- */

/* What seems to be missing may stand where it could not be read. */
static bool is_unsure(const struct conf_index *x, const struct draft_file *f)
{
	return f->unread || x->d->file[0].unread;
}

static void undefined(struct conf_index *x, struct draft_file *f, int line, int kind, const char *name)
{
	const struct conf_entry *e = conf_index_slot(x, kind, name);
	const char *near;

	if (is_unsure(x, f))
		return;
	if (e->name) {
		draft_error(x->d, f, line, "%s \"%s\" is defined in %s, which is set aside", conf_index_kinds[kind], name, e->file->path);
		return;
	}
	near = text_nearest(name, x->known[kind].v, x->known[kind].n);
	if (near)
		draft_error(x->d, f, line, "no %s \"%.100s\" is defined, did you mean \"%s\"?", conf_index_kinds[kind], name, near);
	else
		draft_error(x->d, f, line, "no %s \"%.100s\" is defined", conf_index_kinds[kind], name);
}

static void check_methods(struct conf_index *x, struct draft_file *f, const struct draft_refs *refs)
{
	for (size_t i = 0; i < refs->list.n; i++) {
		const char *ref = refs->list.v[i], *name;
		int kind = conf_index_method(ref, &name), near = 0;

		if (kind < CONF_METHOD_KINDS) {
			if (!conf_index_find(x, conf_index_methods[kind], name))
				undefined(x, f, refs->line, conf_index_methods[kind], name);
			continue;
		}
		while (near < CONF_METHOD_KINDS && !conf_index_find(x, conf_index_methods[near], ref))
			near++;
		if (near < CONF_METHOD_KINDS)
			draft_error(x->d, f, refs->line, "prove: \"%s\" names no method, did you mean \"%s:%s\"?", ref, conf_method_words[near], ref);
		else
			draft_error(x->d, f, refs->line, "prove: \"%.100s\" names no method: \"http:NAME\" or \"dns:NAME\", say", ref);
	}
}

static void check_refs(struct conf_index *x, struct draft_file *f, const struct draft_refs *refs, int kind)
{
	if (kind == KIND_METHOD)
		check_methods(x, f, refs);
	for (size_t i = 0; i < refs->list.n && kind != KIND_METHOD; i++)
		if (!conf_index_find(x, kind, refs->list.v[i]))
			undefined(x, f, refs->line, kind, refs->list.v[i]);
}

/* The narrowest of the zones that hold the name; NULL: none. */
static const struct conf_zone *holder(const struct conf_index *x, const char *name)
{
	name += name_is_wildcard(name) ? 2 : 0;
	return conf_index_zone(x, &name);
}

/* What is inherited was checked where it was written: another file, or the defaults of this one. */
static void check_cert_refs(struct conf_index *x, struct draft_file *f, const struct draft_cert *cert, const struct draft_cert *defaults)
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
			check_refs(x, f, refs, rows[i].kind);
	}
}

/* Where its CNAME may lead to is not known here: a dns that is named may prove anything, and so may what is no method as it was written. */
static bool names_dns(const struct draft_refs *refs)
{
	const char *name;

	for (size_t i = 0; i < refs->list.n; i++)
		if (conf_index_method(refs->list.v[i], &name) != CONF_METHOD_HTTP)
			return true;
	return refs->partial;
}

static void check_provable(struct conf_index *x, struct draft_file *f, const struct draft_cert *cert)
{
	if (!cert->prove.file && !x->has_http && !x->nzone) {
		draft_error(x->d, f, cert->line, "no http is defined that could prove the names of \"%s\", and no dns with zones", cert->name);
		return;
	}
	for (size_t i = 0; i < cert->names.n; i++) {
		const char *name = cert->names.v[i];
		bool wild = name_is_wildcard(name);

		if (cert->prove.file ? !wild || names_dns(&cert->prove) : (!wild && x->has_http) || holder(x, name))
			continue;
		if (wild)
			draft_error(x->d, f, cert->line, "\"%s\" can only be proven by dns: define a dns entry with its zone, or name one in prove", name);
		else
			draft_error(x->d, f, cert->line, "no http is defined that could prove \"%s\", and no dns that has it in its zones", name);
	}
}

/* By HAProxy's runtime API a certificate comes with its key, or not at all. */
static void check_token(struct conf_index *x, struct draft_file *f, const struct draft_cert *cert)
{
	for (size_t i = 0; cert->key.uri && i < cert->service.list.n; i++) {
		const struct conf_entry *e = conf_index_find(x, DRAFT_SERVICE, cert->service.list.v[i]);
		const struct conf_service *service = e ? e->thing : NULL;

		if (service && service->haproxy)
			draft_error(x->d, f, cert->line, "the key of \"%s\" is on a token, and haproxy of the service \"%s\" takes no certificate without its key",
				cert->name, service->name);
	}
}

static void check_issues(struct conf_index *x, struct draft_file *f, const struct draft_cert *cert)
{
	const struct conf_entry *e = cert->ca.list.n ? conf_index_find(x, DRAFT_CA, cert->ca.list.v[0]) : NULL;
	const struct conf_ca *ca = cert->ca.file ? (e ? e->thing : NULL) : is_unsure(x, f) ? NULL : x->first_ca;

	if (ca && ca->type == CONF_CA_ALIBABA_CAS)
		draft_error(x->d, f, cert->line, "certificates by a ca of type alibaba-cas are not in this version: name another one than \"%s\"", ca->name);
}

static void check_cert(struct conf_index *x, struct draft_file *f, const struct draft_cert *cert)
{
	if (!is_unsure(x, f)) {
		if (!cert->ca.file && !x->first_ca)
			draft_error(x->d, f, cert->line, "no ca is defined that could issue \"%s\"", cert->name);
		check_provable(x, f, cert);
	}
	check_cert_refs(x, f, cert, &f->defaults);
	check_issues(x, f, cert);
	check_token(x, f, cert);
}

/* --- all files --- */

static void check_file(struct conf_index *x, struct draft_file *f, enum draft_check what)
{
	if (what == DRAFT_NAMES) {
		conf_index_each(x, f, check_name);
	} else {
		check_cert_refs(x, f, &f->defaults, NULL);
		for (size_t i = 0; i < f->list[DRAFT_CERT].n; i++)
			check_cert(x, f, (const void *)conf_index_thing(x, f, DRAFT_CERT, i));
	}
	f->checked[what] = f->problems;
}

/* false: nothing new was found; or the main file fell, and with it what the others could be blamed for. */
static bool check_files(struct conf_index *x, enum draft_check last)
{
	bool found = false;

	for (size_t i = 0; i < x->d->nfile; i++) {
		struct draft_file *f = &x->d->file[i];

		if (x->d->file[0].problems)
			return false;
		if (f->problems)
			continue;
		for (int what = 0; what <= (int)last && !f->problems; what++)
			check_file(x, f, what);
		found = found || f->problems;
	}
	return found;
}

/* A file that is set aside takes its names with it, which may leave others without: again until nothing changes. Duplicates last, so that no good
 * file loses a name to one that is set aside anyway. */
static void settle(struct conf_index *x)
{
	for (int last = 0; last < DRAFT_CHECKS && !x->d->file[0].problems; last++)
		do
			conf_index_fill(x);
		while (check_files(x, last));
}

/* Of a file that is set aside, what else is wrong with it: it is looked at as if all were good, so that nothing is told which another mistake
 * brought about. Without the main file no file is any good. */
static void tell_rest(struct conf_index *x)
{
	bool none = x->d->file[0].problems;

	x->all = true;
	conf_index_fill(x);
	for (size_t i = 0; i < x->d->nfile; i++) {
		struct draft_file *f = &x->d->file[i];

		for (int what = 0; what < DRAFT_CHECKS && (none || f->problems); what++)
			if (!f->checked[what])
				check_file(x, f, what);
	}
	x->all = false;
	conf_index_fill(x);
}

void conf_check(struct conf_index *x)
{
	settle(x);
	tell_rest(x);
}
