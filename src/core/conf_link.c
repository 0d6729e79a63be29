/* SPDX-License-Identifier: ISC */
/* From the drafts of all files that fit together to one struct conf. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "core/conf_check.h"
#include "core/name.h"

/* All things of a kind that are in use, copied into one array, to which the table then points. */
static void *gather(struct conf_index *x, int kind, size_t *n)
{
	size_t size = x->group[kind]->size, room = 0;
	char *all;

	for (size_t i = 0; i < x->d->nfile; i++)
		room += x->d->file[i].problems ? 0 : x->d->file[i].list[kind].n;
	all = arena_array(x->d->arena, room, size);
	*n = 0;
	for (size_t i = 0; i < x->d->nfile; i++)
		for (size_t j = 0; !x->d->file[i].problems && j < x->d->file[i].list[kind].n; j++) {
			const char *thing = conf_index_thing(x, &x->d->file[i], kind, j);
			struct conf_entry *e = conf_index_slot(x, kind, conf_index_name(thing));

			if (e->thing == thing) {
				e->thing = memcpy(all + *n * size, thing, size);
				++*n;
			}
		}
	return all;
}

/* References as pointers. */
static const void **resolve(struct conf_index *x, int kind, const struct conf_list *names)
{
	const void **v = arena_array(x->d->arena, names->n, sizeof *v);

	for (size_t i = 0; i < names->n; i++)
		v[i] = conf_index_slot(x, kind, names->v[i])->thing;
	return v;
}

static struct conf_method method_of(struct conf_index *x, const char *ref)
{
	struct conf_method m = {.kind = conf_index_method(ref, &m.name)};
	const void *thing = conf_index_slot(x, conf_index_methods[m.kind], m.name)->thing;

	if (m.kind == CONF_METHOD_DNS)
		m.dns = thing;
	else
		m.http = thing;
	return m;
}

static void link_named(struct conf_index *x, const struct conf_list *refs, struct conf_cert *to)
{
	struct conf_method *v = arena_array(x->d->arena, refs->n, sizeof *v);

	for (size_t i = 0; i < refs->n; i++)
		v[i] = method_of(x, refs->v[i]);
	to->prove.v = v;
	to->prove.n = refs->n;
}

static int by_number(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

/* Numbers of the entries with a zone that holds one of the names, each once and in order; heap, NULL when there are none. */
static size_t *fitting_dns(const struct conf_index *x, const struct conf_list *names, size_t *n)
{
	size_t *v = NULL, all = 0;

	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->v[i] + (name_is_wildcard(names->v[i]) ? 2 : 0);
		const struct conf_zone *z;

		while ((z = conf_index_zone(x, &name)))
			for (const struct conf_zone *same = z; same < x->zone + x->nzone && strcmp(same->name, z->name) == 0; same++) {
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
static void link_default(const struct conf_index *x, const struct conf *c, struct conf_cert *to)
{
	size_t n, *numbers = fitting_dns(x, &to->names, &n), nhttp = c->http.n;
	const struct conf_method *all = c->methods.v;
	struct conf_method *v;

	to->prove.v = all;
	to->prove.n = nhttp + n;
	if (n) {
		to->prove.v = v = arena_array(x->d->arena, nhttp + n, sizeof *v);
		if (nhttp)
			memcpy(v, all, nhttp * sizeof *v);
		for (size_t i = 0; i < n; i++)
			v[nhttp + i] = all[nhttp + numbers[i]];
	}
	free(numbers);
}

/* Mere comparisons with what it was issued for, and how; no secret, no adversary. */
static void link_digests(struct conf_cert *cert)
{
	struct buf text;
	bool ok;

	buf_init(&text, 0);
	ok = buf_printf(&text, "%s %s %d", cert->ca->name, conf_ca_address(cert->ca), cert->key.type);
	ok = ok && (!cert->key.uri || buf_printf(&text, " %s", cert->key.uri));
	for (size_t i = 0; i < cert->names.n; i++)
		ok = ok && buf_printf(&text, " %s", cert->names.v[i]);
	cert->issue = ok ? text_hash(text.data) : 0;
	for (size_t i = 0; i < cert->prove.n; i++)
		ok = ok && buf_printf(&text, " %s:%s", conf_method_words[cert->prove.v[i].kind], cert->prove.v[i].name);
	cert->digest = ok ? text_hash(text.data) : 0;
	buf_free(&text);
}

static void link_key(const struct conf_index *x, struct conf_key *key)
{
	key->module = x->d->settings.pkcs11_module;
	key->timeout = x->d->settings.pkcs11_timeout;
	key->credentials = x->d->settings.credentials;
}

static void link_cert(struct conf_index *x, const struct conf *c, const struct draft_file *f, const struct draft_cert *from, struct conf_cert *to)
{
	*to = (struct conf_cert){
		.name = from->name,
		.names = from->names,
		.key = from->key,
		.enabled = from->enabled,
		.self_check = from->self_check,
		.file = f->path,
		.credentials = x->d->settings.credentials,
		.line = from->line,
	};
	link_key(x, &to->key);
	to->ca = from->ca.list.n ? conf_index_slot(x, DRAFT_CA, from->ca.list.v[0])->thing : c->ca.v;
	to->install.v = from->install.v;
	to->install.n = from->install.n;
	to->service.v = (const struct conf_service *const *)resolve(x, DRAFT_SERVICE, &from->service.list);
	to->service.n = from->service.list.n;
	if (from->prove.file)
		link_named(x, &from->prove.list, to);
	else
		link_default(x, c, to);
	link_digests(to);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(conf_index_name(a), conf_index_name(b));
}

static void link_certs(struct conf_index *x, struct conf *c)
{
	size_t room = 0;
	struct conf_cert *v;

	for (size_t i = 0; i < x->d->nfile; i++)
		room += x->d->file[i].problems ? 0 : x->d->file[i].list[DRAFT_CERT].n;
	v = arena_array(x->d->arena, room, sizeof *v);
	for (size_t i = 0, n = 0; i < x->d->nfile; i++)
		for (size_t j = 0; !x->d->file[i].problems && j < x->d->file[i].list[DRAFT_CERT].n; j++)
			link_cert(x, c, &x->d->file[i], (const void *)conf_index_thing(x, &x->d->file[i], DRAFT_CERT, j), &v[n++]);
	qsort(v, room, sizeof *v, by_name);
	c->cert.v = v;
	c->cert.n = room;
}

static void link_names(struct conf_index *x, struct conf *c)
{
	struct conf_name *v, *at;
	size_t room = 0;

	for (size_t i = 0; i < c->cert.n; i++)
		room += c->cert.v[i].names.n;
	at = v = arena_array(x->d->arena, room, sizeof *v);
	for (size_t i = 0; i < c->cert.n; i++)
		for (size_t j = 0; j < c->cert.v[i].names.n; j++)
			*at++ = (struct conf_name){c->cert.v[i].names.v[j], c->cert.v[i].ca};
	if (room)
		qsort(v, room, sizeof *v, conf_name_compare);
	c->names.v = v;
	c->names.n = room;
}

static void link_methods(struct conf_index *x, struct conf *c)
{
	struct conf_method *v = arena_array(x->d->arena, c->http.n + c->dns.n, sizeof *v), *at = v;

	for (size_t i = 0; i < c->http.n; i++)
		*at++ = (struct conf_method){.kind = CONF_METHOD_HTTP, .name = c->http.v[i].name, .http = &c->http.v[i]};
	for (size_t i = 0; i < c->dns.n; i++)
		*at++ = (struct conf_method){.kind = CONF_METHOD_DNS, .name = c->dns.v[i].name, .dns = &c->dns.v[i]};
	c->methods.v = v;
	c->methods.n = (size_t)(at - v);
}

static void link_lists(struct conf_index *x, struct conf *c)
{
	struct conf_ca *ca = gather(x, DRAFT_CA, &c->ca.n);

	for (size_t i = 0; i < c->ca.n; i++) {
		link_key(x, &ca[i].account_key);
		if (!ca[i].contact.n)
			ca[i].contact = c->settings.contact;
	}
	c->ca.v = ca;
	c->http.v = gather(x, DRAFT_HTTP, &c->http.n);
	c->service.v = gather(x, DRAFT_SERVICE, &c->service.n);
	c->dns.v = gather(x, DRAFT_DNS, &c->dns.n);
	link_methods(x, c);
	link_certs(x, c);
	link_names(x, c);
}

void conf_link(struct draft *d, struct conf *c)
{
	struct conf_index x;

	conf_index_open(&x, d);
	conf_check(&x);
	if (!d->file[0].problems)
		link_lists(&x, c);
	conf_index_close(&x);
}
