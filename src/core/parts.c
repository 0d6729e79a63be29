/* SPDX-License-Identifier: ISC */
#include "core/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

static void identity_add(struct buf *b, const char *s)
{
	/* With its length: nothing an admin writes can look like the end of one text and the beginning of another. */
	if (!(s ? buf_printf(b, "%zu:%s|", strlen(s), s) : buf_printf(b, "-|")))
		abort(); /* no cap: cannot happen */
}

static void identity_add_list(struct buf *b, const struct conf_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		identity_add(b, l->v[i]);
	identity_add(b, NULL);
}

static char *ca_identity(const struct conf_ca *ca)
{
	char numbers[64];
	struct buf b;

	buf_init(&b, 0);
	snprintf(numbers, sizeof(numbers), "ca %d %d %d %d %d", ca->type, ca->agree_tos, ca->allow_private, ca->account_key.type, ca->signature);
	identity_add(&b, numbers);
	identity_add(&b, ca->name);
	identity_add(&b, conf_ca_address(ca));
	identity_add(&b, ca->ca_file);
	identity_add(&b, ca->eab.key_id);
	identity_add(&b, ca->eab.hmac_key);
	identity_add(&b, ca->preferred_chain);
	identity_add(&b, ca->account_key.uri);
	identity_add(&b, ca->access_key_id);
	identity_add(&b, ca->access_key_secret);
	identity_add(&b, ca->security_token);
	identity_add_list(&b, &ca->contact);
	return buf_take(&b);
}

/* The look goes to settings.http_port, whatever the method. */
static char *http_identity(const struct conf_http *h, const struct conf_settings *s)
{
	char numbers[32];
	struct buf b;

	buf_init(&b, 0);
	snprintf(numbers, sizeof(numbers), "http %d %d", h->type, s->http_port);
	identity_add(&b, numbers);
	identity_add(&b, h->name);
	identity_add(&b, h->path);
	identity_add_list(&b, &h->listen);
	return buf_take(&b);
}

/* Who is asked, and how often, stands among the settings. */
static char *dns_identity(const struct conf_dns *dns, const struct conf_settings *s)
{
	char numbers[160];
	struct buf b;

	buf_init(&b, 0);
	snprintf(numbers, sizeof(numbers), "dns %d %d %d %d %" PRId64 " %" PRId64 " %d %" PRId64 " %d", dns->type, dns->ttl, dns->check, dns->confirm,
		dns->timeout, dns->settle, dns->key_algorithm, dns->command_timeout, s->dns_port);
	identity_add(&b, numbers);
	identity_add(&b, dns->name);
	identity_add(&b, dns->quorum);
	identity_add(&b, dns->server);
	identity_add(&b, dns->key_name);
	identity_add(&b, dns->key_secret);
	identity_add(&b, dns->run_as);
	identity_add_list(&b, &dns->zones);
	identity_add_list(&b, &dns->servers);
	identity_add_list(&b, &dns->opinions);
	identity_add_list(&b, &dns->command);
	identity_add_list(&b, &dns->secrets);
	identity_add_list(&b, &s->resolvers);
	return buf_take(&b);
}

static char *method_identity(const struct conf_method *m, const struct conf_settings *s)
{
	return m->dns ? dns_identity(m->dns, s) : http_identity(m->http, s);
}

static enum part_kind method_part(const struct conf_method *m)
{
	return m->dns ? PART_DNS : PART_HTTP;
}

/* The one of the two that is there. */
static void part_make(struct parts *p, struct part *part, const struct conf_ca *ca, const struct conf_method *method)
{
	if (ca)
		part->issuer = p->make->issuer(p->make->arg, ca, &part->err);
	else
		part->method = p->make->method(p->make->arg, method, &part->err);
}

static const struct conf_method *method_of(const struct parts *p, const struct part *part)
{
	for (size_t i = 0; i < p->conf->methods.n; i++)
		if (method_part(&p->conf->methods.v[i]) == part->kind && strcmp(p->conf->methods.v[i].name, part->name) == 0)
			return &p->conf->methods.v[i];
	return NULL;
}

bool part_ready(struct parts *p, struct part *part)
{
	const struct conf_ca *ca;
	const struct conf_method *method;

	if (part->issuer || part->method)
		return true;
	ca = part->kind == PART_CA ? conf_find_ca(p->conf, part->name) : NULL;
	method = part->kind == PART_CA ? NULL : method_of(p, part);
	if ((ca || method) && !part->retired)
		part_make(p, part, ca, method);
	return part->issuer || part->method;
}

static struct part *part_find_identity(struct parts *p, const char *identity)
{
	for (struct part *part = p->all; part; part = part->next)
		if (!part->retired && strcmp(part->identity, identity) == 0)
			return part;
	return NULL;
}

/* identity is taken over. */
static void part_ensure(struct parts *p, char *identity, const struct conf_ca *ca, const struct conf_method *method)
{
	struct part *part = part_find_identity(p, identity);

	if (part) {
		free(identity);
	} else {
		part = mem_alloc(sizeof(*part));
		part->identity = identity;
		part->kind = ca ? PART_CA : method_part(method);
		part->name = mem_strdup(ca ? ca->name : method->name);
		part->next = p->all;
		p->all = part;
	}
	part->configured = true;
	part->holds++;
	if (ca)
		part->limit = (unsigned)ca->max_orders;
	if (!part_ready(p, part))
		log_error(ca ? "CA cannot be used" : "proof method cannot be used", "name", part->name, "error", log_err(&part->err), NULL);
}

static void part_keep(struct parts *p, char *identity)
{
	for (struct part *part = p->all; part; part = part->next)
		if (strcmp(part->identity, identity) == 0)
			part->retired = false;
	free(identity);
}

/* What goes, goes first: the address of a listener must be free before another one takes it. */
void parts_apply(struct parts *p, const struct conf *conf)
{
	struct part *next;

	p->conf = conf;
	for (struct part *part = p->all; part; part = part->next)
		part->retired = true;
	for (size_t i = 0; i < conf->ca.n; i++)
		part_keep(p, ca_identity(&conf->ca.v[i]));
	for (size_t i = 0; i < conf->methods.n; i++)
		part_keep(p, method_identity(&conf->methods.v[i], &conf->settings));
	for (struct part *part = p->all; part; part = next) {
		next = part->next;
		if (part->configured) {
			part->configured = false;
			part_release(p, part);
		}
	}
	for (size_t i = 0; i < conf->ca.n; i++)
		part_ensure(p, ca_identity(&conf->ca.v[i]), &conf->ca.v[i], NULL);
	for (size_t i = 0; i < conf->methods.n; i++)
		part_ensure(p, method_identity(&conf->methods.v[i], &conf->settings), NULL, &conf->methods.v[i]);
}

static struct part *part_find(struct parts *p, const char *name, enum part_kind kind)
{
	for (struct part *part = p->all; part; part = part->next)
		if (!part->retired && part->kind == kind && strcmp(part->name, name) == 0)
			return part;
	return NULL;
}

struct part *parts_issuer(struct parts *p, const char *ca)
{
	return part_find(p, ca, PART_CA);
}

struct part *parts_method(struct parts *p, const struct conf_method *method)
{
	return part_find(p, method->name, method_part(method));
}

struct part *parts_named_method(struct parts *p, const char *name)
{
	for (size_t i = 0; i < p->conf->methods.n; i++) {
		const struct conf_method *m = &p->conf->methods.v[i];
		const char *word = conf_method_words[m->kind];
		size_t len = strlen(word);

		if (strncmp(name, word, len) == 0 && name[len] == ':' && strcmp(name + len + 1, m->name) == 0)
			return parts_method(p, m);
	}
	return NULL;
}

static bool can_clean(const struct part *part)
{
	return part->issuer && part->issuer->ops->create;
}

struct part *parts_cleaner(struct parts *p, const char *ca)
{
	struct part *part = ca ? parts_issuer(p, ca) : NULL;

	if (!part || !can_clean(part))
		for (part = p->all; part && !can_clean(part); part = part->next)
			;
	return part;
}

void part_hold(struct part *part)
{
	part->holds++;
}

static void part_free(struct part *part)
{
	if (part->issuer)
		part->issuer->ops->free(part->issuer);
	if (part->method)
		part->method->ops->free(part->method);
	free(part->identity);
	free(part->name);
	free(part);
}

void part_release(struct parts *p, struct part *part)
{
	struct part **at;

	part->holds--;
	if (part->holds > 0 || !part->retired)
		return;
	for (at = &p->all; *at != part; at = &(*at)->next)
		;
	*at = part->next;
	part_free(part);
}

void parts_free(struct parts *p)
{
	struct part *part;

	while ((part = p->all)) {
		p->all = part->next;
		part_free(part);
	}
}
