/* SPDX-License-Identifier: ISC */
#include "core/look.h"

#include <stdio.h>
#include <string.h>

bool look_find(const struct conf_cert *conf, size_t n, struct look_at *out)
{
	const char *name = conf->names.v[0];
	bool wild = name[0] == '*';

	/* Any name below a wildcard will do. */
	snprintf(out->sni, sizeof(out->sni), "%s%s", wild ? "dovad" : "", wild ? name + 1 : name);
	for (out->nth = 0; out->nth < conf->service.n; out->nth++) {
		out->service = conf->service.v[out->nth];
		if (n < out->service->look.n) {
			out->address = out->service->look.v[n];
			return true;
		}
		n -= out->service->look.n;
	}
	return false;
}

bool look_ask(const struct look_at *at, struct tls_ask *ask)
{
	enum starttls_kind kind = (enum starttls_kind)at->service->starttls;

	*ask = (struct tls_ask){.sni = at->sni, .starttls = kind, .timeout_ms = LOOK_TIMEOUT_MS};
	return addr_parse(at->address, kind ? starttls_port(kind) : LOOK_PORT, &ask->at);
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
