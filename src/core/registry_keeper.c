/* SPDX-License-Identifier: ISC */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/schedule.h"

/* --- what the keeper has ------------------------------------------------------------------------------------------------- */

enum { ASK_AGAIN_S = 60 };

struct asking {
	struct asking *next;
	struct registry *r;
	char *name;
	struct rpc_call *call;
};

static void asking_free(struct asking *a)
{
	struct asking **at;

	for (at = &a->r->asks; *at != a; at = &(*at)->next)
		;
	*at = a->next;
	free(a->name);
	free(a);
}

static void asking_take(struct cert *c, const struct js *answer, const struct x509_chain *x)
{
	const struct x509_leaf *leaf = x509_leaf(x);
	size_t same = 0;

	cert_set_leaf(c, leaf);
	c->generation = js_int(answer, "generation", 0);
	registry_settle_back(c);
	for (size_t i = 0; i < leaf->nnames; i++)
		for (size_t k = 0; k < c->conf->names.n; k++)
			same += strcmp(leaf->names[i], c->conf->names.v[k]) == 0;
	c->issue = (same == leaf->nnames && same == c->conf->names.n) || cert_is_back(c) ? c->conf->issue : 0;
}

/* Of an order that was left half done nothing is gone on with, but what it published is withdrawn. */
static struct js *asking_left(struct js *proofs)
{
	struct js *left = js_array();

	for (size_t i = 0; i < js_len(proofs); i++)
		if (js_bool(js_at(proofs, i), "published", false)) {
			js_put_bool(js_at(proofs, i), "left", true);
			js_add(left, js_ref(js_at(proofs, i)));
		}
	return left;
}

/* It is installed, but nobody has seen the services take it: there is no record of that, or it goes elsewhere now. They are told and looked at. */
static void asking_deploy(struct cert *c, const char *chain)
{
	struct js *products = js_object();

	js_put_str(products, "ca", c->conf->ca->name);
	js_put_int(products, "issue", (int64_t)c->issue);
	js_put_bool(products, "stays", true);
	js_put(products, "proofs", asking_left(js_arr(c->products, "proofs")));
	js_free(c->products);
	c->products = products;
	cert_set_chain(c, mem_strdup(chain));
}

/* What is installed is known: what comes next? */
static void asking_plan(struct registry *r, struct cert *c)
{
	int64_t at;

	if (c->order || c->waiting)
		return;
	if (c->attempts == 0) {
		registry_replan(r, c);
		return;
	}
	/* The retry was planned by the life of the certificate that was put back since: that one may end sooner. */
	at = c->last_error ? schedule_retry(c->last_error, c->attempts, c->last_error_at, cert_ends(c), text_hash(c->name)) : c->next_at;
	if (at < c->next_at)
		c->next_at = at;
	queue_set(&r->due, c);
}

static void asking_ended(void *arg, const struct js *answer, const struct err *err)
{
	struct asking *a = arg;
	struct registry *r = a->r;
	struct cert *c = registry_find(r, a->name);
	const char *chain = answer ? js_str(answer, "chain") : NULL;
	struct x509_chain *x = NULL;
	struct err why;

	asking_free(a);
	if (!c)
		return;
	c->asking = false;
	if (err)
		log_warning("the keeper did not tell what is installed", "cert", c->name, "error", log_err(err), NULL);
	if (chain)
		x = x509_parse(chain, strlen(chain), &why);
	if (x)
		asking_take(c, answer, x);
	else if (!err && !c->order) /* whatever we thought: there is none */
		cert_set_leaf(c, NULL);
	if (x && c->unknown && registry_current(c) && !c->order)
		asking_deploy(c, chain);
	x509_free(x);
	/* Without a word of the keeper nothing can be ordered, and should not: there may be a good certificate. */
	c->unknown = c->unknown && err && (registry_current(c) || strcmp(err->type, "keeper") == 0);
	if (c->unknown) {
		c->next_at = clock_now() + ASK_AGAIN_S;
		queue_set(&r->due, c);
	} else {
		asking_plan(r, c);
	}
	registry_save(r, c);
	registry_look_again(r);
}

void registry_ask_installed(struct registry *r, struct cert *c)
{
	struct asking *a = mem_alloc(sizeof(*a));
	struct js *request = js_object();

	*a = (struct asking){.next = r->asks, .r = r, .name = mem_strdup(c->name)};
	r->asks = a;
	c->asking = true;
	js_put_str(request, "op", "installed");
	js_put_str(request, "cert", c->name);
	a->call = rpc_send(r->keeper, request, REGISTRY_KEEPER_MS, asking_ended, a);
}

/* --- revocation ---------------------------------------------------------------------------------------------------------- */

struct revoking {
	struct revoking *next;
	struct registry *r;
	char *cert;
	int reason;
	struct part *ca;
	struct rpc_call *asked; /* one of the two is under way */
	struct issuer_call *revoked;
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

static void revoking_free(struct revoking *v)
{
	struct revoking **at;

	for (at = &v->r->revokes; *at != v; at = &(*at)->next)
		;
	*at = v->next;
	if (v->ca)
		part_release(&v->r->parts, v->ca);
	free(v->cert);
	free(v);
}

static void revoking_end(struct revoking *v, const struct err *err)
{
	struct cert *c = registry_find(v->r, v->cert);

	if (!err && c) {
		log_notice("certificate revoked; a new one is ordered at once", "cert", c->name, "serial", c->serial, NULL);
		registry_event(v->r, c, "revoked", NULL, true);
		c->forced = true;
		c->attempts = 0;
		if (c->products) /* what waits to be put into service may be the very one */
			js_put_int(c->products, "issue", 0);
		if (!c->order)
			registry_plan(v->r, c);
		registry_save(v->r, c);
		registry_look_again(v->r);
	}
	v->done(v->arg, err);
	revoking_free(v);
}

static void revoking_answered(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	struct revoking *v = arg;

	(void)answer;
	v->revoked = NULL;
	revoking_end(v, err);
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

	v->asked = NULL;
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
	x509_der(x, 0, &der, &len);
	text = text_b64url_encode(der, len);
	v->revoked = v->ca->issuer->ops->revoke(v->ca->issuer, text, v->reason, revoking_answered, v);
	free(text);
	x509_free(x);
}

void registry_revoke(struct registry *r, struct cert *c, int reason, void (*done)(void *arg, const struct err *err), void *arg)
{
	struct part *ca = parts_issuer(&r->parts, c->ca ? c->ca : c->conf->ca->name);
	struct revoking *v = mem_alloc(sizeof(*v));
	struct js *request = js_object();

	*v = (struct revoking){.next = r->revokes, .r = r, .cert = mem_strdup(c->name), .reason = reason, .done = done, .arg = arg};
	r->revokes = v;
	if (ca && ca->issuer && ca->issuer->ops->revoke) {
		v->ca = ca;
		part_hold(ca);
		js_put_str(request, "op", "installed");
		js_put_str(request, "cert", c->name);
		v->asked = rpc_send(r->keeper, request, REGISTRY_KEEPER_MS, revoking_found, v);
	} else {
		struct err err;

		js_free(request);
		err_set(&err, ERR_INPUT, "ca", "the CA that issued %s (%s) is not configured any more", c->name, c->ca ? c->ca : "none");
		revoking_end(v, &err);
	}
}

void registry_end_asks(struct registry *r)
{
	while (r->asks) {
		rpc_cancel(r->asks->call);
		asking_free(r->asks);
	}
	while (r->revokes) {
		struct revoking *v = r->revokes;

		rpc_cancel(v->asked);
		if (v->revoked)
			v->ca->issuer->ops->cancel(v->revoked);
		revoking_free(v);
	}
}
