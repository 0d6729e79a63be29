/* SPDX-License-Identifier: ISC */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

/* --- what the keeper has ------------------------------------------------------------------------------------------------- */

struct asking {
	struct registry *r;
	char *name;
};

static void asking_ended(void *arg, const struct js *answer, const struct err *err)
{
	struct asking *a = arg;
	struct registry *r = a->r;
	struct cert *c = registry_find(r, a->name);
	const char *chain = answer ? js_str(answer, "chain") : NULL;
	struct x509_chain *x = NULL;
	struct err why;

	free(a->name);
	free(a);
	if (!c)
		return;
	c->asking = false;
	if (err)
		log_warning("the keeper did not tell what is installed", "cert", c->name, "error", log_err(err), NULL);
	if (chain)
		x = x509_parse(chain, strlen(chain), &why);
	if (x) {
		const struct x509_leaf *leaf = x509_leaf(x);
		size_t same = 0;

		cert_set_leaf(c, leaf);
		c->generation = js_int(answer, "generation", 0);
		for (size_t i = 0; i < leaf->nnames; i++)
			for (size_t k = 0; k < c->conf->names.n; k++)
				same += strcmp(leaf->names[i], c->conf->names.v[k]) == 0;
		c->digest = same == leaf->nnames && same == c->conf->names.n ? c->conf->digest : 0;
	}
	x509_free(x);
	if (!c->order && c->attempts == 0)
		registry_plan(r, c);
	registry_save(r, c);
	registry_look_again(r);
}

void registry_ask_installed(struct registry *r, struct cert *c)
{
	struct asking *a = mem_alloc(sizeof(*a));
	struct js *request = js_object();

	a->r = r;
	a->name = mem_strdup(c->name);
	c->asking = true;
	js_put_str(request, "op", "installed");
	js_put_str(request, "cert", c->name);
	rpc_send(r->keeper, request, REGISTRY_KEEPER_MS, asking_ended, a);
}

/* --- revocation ---------------------------------------------------------------------------------------------------------- */

struct revoking {
	struct registry *r;
	char *cert;
	int reason;
	struct part *ca;
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

static void revoking_end(struct revoking *v, const struct err *err)
{
	struct cert *c = registry_find(v->r, v->cert);

	if (!err && c) {
		log_notice("certificate revoked; a new one is ordered at once", "cert", c->name, "serial", c->serial, NULL);
		registry_event(v->r, c, "revoked", NULL, true);
		c->forced = true;
		c->attempts = 0;
		if (!c->order)
			registry_plan(v->r, c);
		registry_save(v->r, c);
		registry_look_again(v->r);
	}
	v->done(v->arg, err);
	if (v->ca)
		part_release(&v->r->parts, v->ca);
	free(v->cert);
	free(v);
}

static void revoking_answered(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	(void)answer;
	revoking_end(arg, err);
}

static void revoking_found(void *arg, const struct js *answer, const struct err *err)
{
	const char *chain = answer ? js_str(answer, "chain") : NULL;
	struct revoking *v = arg;
	struct x509_chain *x = NULL;
	const unsigned char *der;
	struct err why;
	size_t len;
	char *text;

	if (err) {
		revoking_end(v, err);
		return;
	}
	if (chain)
		x = x509_parse(chain, strlen(chain), &why);
	else
		err_set(&why, ERR_INPUT, "not-issued", "no certificate is installed for %s", v->cert);
	if (!x) {
		revoking_end(v, &why);
		return;
	}
	x509_leaf_der(x, &der, &len);
	text = text_b64url_encode(der, len);
	v->ca->issuer->ops->revoke(v->ca->issuer, text, v->reason, revoking_answered, v);
	free(text);
	x509_free(x);
}

void registry_revoke(struct registry *r, struct cert *c, int reason, void (*done)(void *arg, const struct err *err), void *arg)
{
	struct part *ca = parts_issuer(&r->parts, c->ca ? c->ca : c->conf->ca->name);
	struct revoking *v = mem_alloc(sizeof(*v));
	struct js *request = js_object();

	*v = (struct revoking){.r = r, .cert = mem_strdup(c->name), .reason = reason, .done = done, .arg = arg};
	if (ca && ca->issuer) {
		v->ca = ca;
		part_hold(ca);
		js_put_str(request, "op", "installed");
		js_put_str(request, "cert", c->name);
		rpc_send(r->keeper, request, REGISTRY_KEEPER_MS, revoking_found, v);
	} else {
		struct err err;

		js_free(request);
		err_set(&err, ERR_INPUT, "ca", "the CA that issued %s (%s) is not configured any more", c->name, c->ca ? c->ca : "none");
		revoking_end(v, &err);
	}
}

