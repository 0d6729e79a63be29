/* SPDX-License-Identifier: ISC */
#include "core/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/key.h"
#include "io/local.h"

enum { OWN_MAX = 8 };

static bool is_own(const char *address)
{
	return *address == '*';
}

bool look_wants_own(const struct conf_cert *conf)
{
	for (size_t i = 0; i < conf->service.n; i++)
		for (size_t k = 0; k < conf->service.v[i]->look.n; k++)
			if (is_own(conf->service.v[i]->look.v[k]))
				return true;
	return false;
}

/* Any name below a wildcard will do. */
char *look_name(const struct conf_cert *conf, char out[NAME_ROOM + 8])
{
	const char *name = conf->names.v[0];
	bool wild = name[0] == '*';

	snprintf(out, NAME_ROOM + 8, "%s%s", wild ? "dovad" : "", wild ? name + 1 : name);
	return out;
}

static bool has_own(const struct look_own *own, const struct addr *a)
{
	for (size_t i = 0; i < own->n; i++)
		if (addr_same_ip(&own->v[i], a))
			return true;
	return false;
}

struct look_own *look_own_of(const struct addr *addrs, size_t n)
{
	size_t room = n < 1 ? 1 : n < OWN_MAX ? n : OWN_MAX;
	struct look_own *own = mem_alloc(sizeof(*own) + room * sizeof(own->v[0]));

	for (size_t i = 0; i < n && own->n < OWN_MAX; i++)
		if (!has_own(own, &addrs[i]) && local_has(&addrs[i]))
			own->v[own->n++] = addrs[i];
	if (own->n == 0)
		own->n = addr_parse_ip("127.0.0.1", LOOK_PORT, &own->v[0]);
	return own;
}

struct look_own *look_own_known(const struct cert *c)
{
	struct addr known[OWN_MAX];
	size_t n = 0;

	for (size_t i = 0; i < c->ntargets && n < OWN_MAX; i++)
		n += addr_parse(c->targets[i].address, LOOK_PORT, &known[n]);
	return look_own_of(known, n);
}

static uint16_t default_port(const struct conf_service *s)
{
	return s->starttls ? starttls_port((enum starttls_kind)s->starttls) : LOOK_PORT;
}

/* The k-th place that an entry of `look` stands for. */
static bool look_place(const char *entry, const struct look_own *own, size_t k, struct look_at *out)
{
	struct addr a;

	out->found = is_own(entry);
	if (!out->found) {
		snprintf(out->address, sizeof(out->address), "%s", entry);
		return k == 0;
	}
	if (!own || k >= own->n)
		return false;
	a = own->v[k];
	addr_set_port(&a, entry[1] ? (uint16_t)strtoul(entry + 2, NULL, 10) : default_port(out->service));
	addr_format(&a, out->address);
	return true;
}

bool look_find(const struct conf_cert *conf, const struct look_own *own, size_t n, struct look_at *out)
{
	look_name(conf, out->sni);
	for (out->nth = 0; out->nth < conf->service.n; out->nth++) {
		out->service = conf->service.v[out->nth];
		for (size_t i = 0; i < out->service->look.n; i++)
			for (size_t k = 0; look_place(out->service->look.v[i], own, k, out); k++)
				if (n-- == 0)
					return true;
	}
	return false;
}

struct kept {
	const struct conf_cert *conf;
	const struct look_own *own;
};

static bool is_looked_at(const void *arg, const struct cert_target *t)
{
	const struct kept *k = arg;
	struct look_at at;

	for (size_t n = 0; look_find(k->conf, k->own, n, &at); n++)
		if (strcmp(at.service->name, t->service) == 0 && strcmp(at.address, t->address) == 0)
			return true;
	return false;
}

bool look_prune(struct cert *c, const struct look_own *own)
{
	return cert_keep_targets(c, is_looked_at, &(struct kept){c->conf, own});
}

/* Who has keys of several kinds shows the one that is asked for. */
static enum tls_keys kind_of(const struct conf_key *key)
{
	if (key->uri)
		return TLS_ANY; /* its token knows */
	return key->type == KEY_ECDSA_P256 || key->type == KEY_ECDSA_P384 ? TLS_ECDSA : TLS_RSA;
}

bool look_ask(const struct conf_cert *conf, const struct look_at *at, struct tls_ask *ask)
{
	*ask = (struct tls_ask){.sni = at->sni, .starttls = (enum starttls_kind)at->service->starttls, .keys = kind_of(&conf->key), .timeout_ms = LOOK_TIMEOUT_MS};
	return addr_parse(at->address, default_port(at->service), &ask->at);
}

static bool is_ours(const struct cert *c, const struct look_at *at, const struct x509_chain *served, struct err *err)
{
	const struct x509_leaf *leaf = x509_leaf(served);

	if (!c->fingerprint || strcmp(leaf->fingerprint, c->fingerprint) != 0)
		return err_set(err, ERR_LOCAL, "stale", "%s still serves another certificate for %s (serial %s, issued by %s)", at->address,
			c->conf->names.v[0], leaf->serial, leaf->issuer);
	if (leaf->length < c->length)
		return err_set(err, ERR_LOCAL, "stale", "%s serves %zu certificates of a chain of %zu: use fullchain.pem", at->address, leaf->length, c->length);
	return x509_is_ordered(served) || err_set(err, ERR_LOCAL, "stale", "%s serves the chain in a wrong order: use fullchain.pem", at->address);
}

enum look_verdict look_note(struct cert *c, const struct look_at *at, const struct tls_seen *seen, struct err *err, bool *news)
{
	struct x509_chain *served = NULL;
	bool ours, changed;

	if (err->kind == ERR_NONE && !seen)
		err_set(err, ERR_BUG, "address", "%s is no address to look at", at->address);
	if (err->kind == ERR_NONE)
		served = x509_parse_der(seen->der, seen->len, seen->n, err);
	ours = served && is_ours(c, at, served, err);
	changed = cert_target_note(cert_target(c, at->service->name, at->address), served ? x509_leaf(served) : NULL, ours ? NULL : err->detail);
	if (news)
		*news |= changed;
	x509_free(served);
	return ours ? LOOK_OURS : served ? LOOK_OTHER : LOOK_NOTHING;
}
