/* SPDX-License-Identifier: ISC */
#include "core/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/deploy.h"

enum {
	ORDER_PROOFS_AT_ONCE = 8,
	ORDER_POLL_FIRST_MS = 5,
	ORDER_POLL_CAP_MS = 5000,
	ORDER_MARGIN_S = 60, /* an order that ends sooner is not worth taking up again */
	ORDER_PROOFS_MAX = 1000,
	KEEPER_MS = 30000,
};

/* --- operations ------------------------------------------------------------------------------------------------------- */

static void order_cancel_issuer(void *arg, void *op)
{
	struct order *o = arg;

	o->issuer->ops->cancel(op);
}

void order_pending(struct order *o, struct machine *m, struct issuer_call *call)
{
	machine_pending(m, call, order_cancel_issuer, o);
}

static void order_issuer_ended(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	machine_ended(arg, answer, err);
}

static void order_cancel_keeper(void *arg, void *op)
{
	(void)arg;
	rpc_cancel(op);
}

static void order_keeper_ended(void *arg, const struct js *answer, const struct err *err)
{
	machine_ended(arg, answer, err);
}

void order_ask_keeper(struct order *o, struct machine *m, const char *op, struct js *request, int64_t timeout_ms)
{
	js_put_str(request, "op", op);
	js_put_str(request, "conf", o->env->digest(o->env->arg));
	machine_pending(m, rpc_send(o->env->keeper, request, timeout_ms, order_keeper_ended, machine_call(m)), order_cancel_keeper, NULL);
}

bool order_keeper_busy(struct machine *m, const struct err *err)
{
	if (err->kind == ERR_NONE || strcmp(err->type, "stale-conf") != 0)
		return false;
	m->wait_ms = 250; /* the new configuration is on its way to us */
	return true;
}

static struct js *order_named(const struct order *o)
{
	struct js *request = js_object();

	js_put_str(request, "cert", o->cert->name);
	return request;
}

/* --- what the CA's word means: one row each --------------------------------------------------------------------------- */

static int order_lost(struct order *o, const struct err *err)
{
	o->fail = *err;
	return ORDER_SWEEP;
}

static void order_take(struct order *o, const struct issuer_order *a)
{
	if (!o->url || strcmp(o->url, a->url) != 0)
		o->url = arena_strdup(o->arena, a->url);
	if (a->finalize && !o->finalize)
		o->finalize = arena_strdup(o->arena, a->finalize);
	if (a->certificate && !o->certificate)
		o->certificate = arena_strdup(o->arena, a->certificate);
	if (a->expires)
		o->expires = a->expires;
	if (o->proofs || a->nauthz == 0)
		return;
	o->proofs = arena_array(o->arena, a->nauthz, sizeof(*o->proofs));
	for (o->nproofs = 0; o->nproofs < a->nauthz && o->nproofs < ORDER_PROOFS_MAX; o->nproofs++) {
		struct proof *p = &o->proofs[o->nproofs];

		p->order = o;
		p->url = arena_strdup(o->arena, a->authz[o->nproofs]);
		p->name = "";
		p->open = true;
	}
}

static int order_follow(struct order *o, struct machine *m, const struct issuer_order *a, struct err *err)
{
	int64_t wait = ORDER_POLL_FIRST_MS;

	order_take(o, a);
	switch (a->status) {
	case ISSUER_PENDING:
		return ORDER_PROVE;
	case ISSUER_READY:
		return ORDER_REQUEST;
	case ISSUER_VALID:
		return ORDER_FETCH;
	case ISSUER_PROCESSING:
		for (unsigned i = 0; i < m->again && wait < ORDER_POLL_CAP_MS; i++)
			wait *= 2;
		m->wait_ms = a->wait_ms ? a->wait_ms : wait < ORDER_POLL_CAP_MS ? wait : ORDER_POLL_CAP_MS;
		return o->m.state == ORDER_READ ? MACHINE_AGAIN : ORDER_READ;
	case ISSUER_INVALID:
	case ISSUER_GONE:
		break;
	}
	if (a->problem)
		*err = *a->problem;
	else
		err_set(err, ERR_TEMP, "order", "the CA says the order is %s", issuer_status_name(a->status));
	return order_lost(o, err);
}

/* --- account, create, read -------------------------------------------------------------------------------------------- */

static void order_account_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	order_pending(o, m, o->issuer->ops->account(o->issuer, order_issuer_ended, machine_call(m)));
}

static int order_account_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	(void)m;
	if (err->kind != ERR_NONE)
		return MACHINE_FAIL;
	o->thumbprint = arena_strdup(o->arena, ((const struct issuer_answer *)answer)->text);
	if (o->url && o->expires && o->expires < clock_now() + ORDER_MARGIN_S) {
		err_set(err, ERR_TEMP, "order", "the order kept from an earlier attempt has expired");
		return order_lost(o, err);
	}
	return o->url ? ORDER_READ : ORDER_CREATE;
}

static void order_create_begin(void *owner, struct machine *m)
{
	struct order *o = owner;
	const struct conf_list *names = &o->cert->conf->names;

	order_pending(o, m, o->issuer->ops->create(o->issuer, names->v, names->n, order_issuer_ended, machine_call(m)));
}

static int order_create_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (err->kind != ERR_NONE)
		return MACHINE_FAIL;
	o->begun = clock_now();
	return order_follow(o, m, ((const struct issuer_answer *)answer)->order, err);
}

static void order_read_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	order_pending(o, m, o->issuer->ops->order(o->issuer, o->url, order_issuer_ended, machine_call(m)));
}

/* Reading right after finalize mostly comes too early: the first wait is in begin of "read", so that a restart reads at once. */
static void order_read_now(void *owner)
{
	struct order *o = owner;

	order_read_begin(o, &o->m);
}

static void order_read_enter(void *owner, struct machine *m)
{
	struct order *o = owner;

	if (m->again == 0 && o->csr)
		timer_arm(&m->timer, ORDER_POLL_FIRST_MS, order_read_now, owner);
	else
		order_read_begin(owner, m);
}

static int order_read_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (err->kind == ERR_NONE)
		return order_follow(o, m, ((const struct issuer_answer *)answer)->order, err);
	if (err->http_status == 404)
		return order_lost(o, err); /* gone: never to be found again */
	return MACHINE_FAIL;
}

/* --- prove ------------------------------------------------------------------------------------------------------------ */

static void order_cancel_proofs(void *arg, void *op)
{
	struct order *o = arg;

	(void)op;
	for (size_t i = 0; i < o->nproofs; i++)
		proof_stop(&o->proofs[i]);
}

static void order_prove_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	machine_call(m);
	machine_pending(m, o, order_cancel_proofs, o);
	o->proofs_left = o->nproofs;
	for (o->proof_next = 0; o->proof_next < o->nproofs && o->proof_next < ORDER_PROOFS_AT_ONCE; o->proof_next++)
		proof_start(&o->proofs[o->proof_next]);
	if (o->nproofs == 0)
		machine_skip(m, NULL); /* pending without authorizations: the CA has to move */
}

/* How much a failure matters: a human's turn before a wait that was told, before what may pass. */
static int err_weight(const struct err *e)
{
	static const int weight[] = {[ERR_NONE] = 0, [ERR_TEMP] = 1, [ERR_LIMIT] = 2, [ERR_LOCAL] = 3, [ERR_DENIED] = 4, [ERR_INPUT] = 5,
		[ERR_BUG] = 6};

	return weight[e->kind];
}

void order_proof_ended(struct order *o, struct proof *p)
{
	struct err worst = {0};

	(void)p;
	if (o->proof_next < o->nproofs)
		proof_start(&o->proofs[o->proof_next++]);
	if (--o->proofs_left > 0)
		return;
	for (size_t i = 0; i < o->nproofs; i++)
		if (err_weight(&o->proofs[i].err) > err_weight(&worst))
			worst = o->proofs[i].err;
	machine_ended(o->m.call, NULL, worst.kind == ERR_NONE ? NULL : &worst);
}

static int order_prove_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;
	bool dead = false;

	(void)answer, (void)m;
	if (err->kind == ERR_NONE)
		return o->nproofs ? ORDER_REQUEST : ORDER_READ;
	/* An authorization that failed takes the order with it; one we could not reach may yet be proven by the next attempt. */
	for (size_t i = 0; i < o->nproofs; i++)
		dead |= o->proofs[i].err.kind != ERR_NONE && !o->proofs[i].open;
	return dead || err->kind == ERR_DENIED ? order_lost(o, err) : MACHINE_FAIL;
}

/* --- request, finalize, fetch ----------------------------------------------------------------------------------------- */

static void order_request_begin(void *owner, struct machine *m)
{
	order_ask_keeper(owner, m, "request", order_named(owner), KEEPER_MS);
}

static int order_request_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (order_keeper_busy(m, err))
		return MACHINE_AGAIN;
	if (err->kind != ERR_NONE)
		return MACHINE_FAIL;
	o->csr = arena_strdup(o->arena, js_str(answer, "csr"));
	o->key = arena_strdup(o->arena, js_str(answer, "key"));
	if (o->csr && o->key && o->finalize)
		return ORDER_FINALIZE;
	err_set(err, ERR_BUG, "keeper", "no %s to finalize with", o->finalize ? "signing request" : "finalize URL");
	return MACHINE_FAIL;
}

static void order_finalize_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	order_pending(o, m, o->issuer->ops->finalize(o->issuer, o->url, o->finalize, o->csr, order_issuer_ended, machine_call(m)));
}

static int order_finalize_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (err->kind == ERR_NONE)
		return order_follow(o, m, ((const struct issuer_answer *)answer)->order, err);
	/* Finalize must not happen twice: after a doubtful outcome the order itself is asked. */
	if (err->kind == ERR_TEMP || strcmp(err->type, "orderNotReady") == 0)
		return ORDER_READ;
	return MACHINE_FAIL;
}

static void order_fetch_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	if (o->certificate)
		order_pending(o, m, o->issuer->ops->fetch(o->issuer, o->certificate, order_issuer_ended, machine_call(m)));
	else
		machine_skip(m, NULL);
}

static bool order_hex(const char *hex, unsigned char out[32])
{
	for (size_t i = 0; i < 32; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
			return false;
	return true;
}

static bool order_accept(struct order *o, const char *chain, size_t len, struct err *err)
{
	struct x509_wish wish = {.names = o->cert->conf->names.v, .nnames = o->cert->conf->names.n, .old_serial = o->cert->serial,
		.now = clock_now()};
	unsigned char digest[32];
	struct x509_chain *c = x509_parse(chain, len, err);

	if (!c)
		return false;
	arena_attach(o->arena, c, (void (*)(void *))x509_free);
	if (o->key && order_hex(o->key, digest))
		wish.key_digest = digest;
	if (!x509_accept(c, &wish, err))
		return false;
	o->leaf = c;
	return true;
}

static int order_fetch_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	const struct issuer_answer *is = answer;
	struct order *o = owner;

	(void)m;
	if (err->kind == ERR_NONE && !is)
		err_set(err, ERR_TEMP, "order", "the CA says the order is valid but names no certificate");
	if (err->kind != ERR_NONE)
		return MACHINE_FAIL;
	if (!order_accept(o, is->chain, is->chain_len, err)) {
		log_error("the CA sent a certificate that must not be installed; the old one stays in use", "cert", o->cert->name, "ca", o->issuer->name,
			"reason", err->detail, NULL);
		return order_lost(o, err);
	}
	o->chain = arena_strndup(o->arena, is->chain, is->chain_len);
	o->env->event(o->env->arg, o, "issued", NULL);
	return ORDER_INSTALL;
}

/* --- sweep ------------------------------------------------------------------------------------------------------------ */

static void order_method_ended(void *arg, const struct js *report, const struct err *err)
{
	machine_ended(arg, report, err);
}

static void order_cancel_withdraw(void *arg, void *op)
{
	struct proof *p = arg;

	p->how->ops->cancel(op);
}

/* One left-over per turn: first what is published, then what still hangs open at the CA (best effort). */
static void order_sweep_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	for (size_t i = 0; i < o->nproofs; i++) {
		struct proof *p = &o->proofs[i];
		struct method_call *op;

		if (p->published) {
			p->published = false;
			op = proof_withdraw(p, order_method_ended, machine_call(m));
			if (op)
				machine_pending(m, op, order_cancel_withdraw, p);
			else
				machine_skip(m, NULL);
			return;
		}
		if (p->open) {
			p->open = false;
			order_pending(o, m, o->issuer->ops->deactivate(o->issuer, p->url, order_issuer_ended, machine_call(m)));
			return;
		}
	}
	machine_skip(m, o);
}

static int order_sweep_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (answer != o) {
		m->wait_ms = 0;
		return MACHINE_AGAIN;
	}
	*err = o->fail;
	order_forget(o);
	return MACHINE_FAIL;
}

/* --- the table -------------------------------------------------------------------------------------------------------- */

#define TO(state) (1u << ORDER_##state)
#define FOLLOW (TO(PROVE) | TO(REQUEST) | TO(FETCH) | TO(READ) | TO(SWEEP))
static const struct machine_state order_table[] = {
	[ORDER_ACCOUNT] = {"account", order_account_begin, order_account_ended, 2, 0, TO(CREATE) | TO(READ) | TO(SWEEP)},
	[ORDER_CREATE] = {"create", order_create_begin, order_create_ended, 2, 0, FOLLOW},
	[ORDER_READ] = {"poll", order_read_enter, order_read_ended, 8, 3 * 86400, FOLLOW},
	[ORDER_PROVE] = {"prove", order_prove_begin, order_prove_ended, 4, 0, TO(REQUEST) | TO(READ) | TO(SWEEP)},
	[ORDER_REQUEST] = {"request", order_request_begin, order_request_ended, 6, 120, TO(FINALIZE)},
	[ORDER_FINALIZE] = {"finalize", order_finalize_begin, order_finalize_ended, 6, 0, FOLLOW},
	[ORDER_FETCH] = {"fetch", order_fetch_begin, order_fetch_ended, 4, 0, TO(INSTALL) | TO(SWEEP)},
	[ORDER_INSTALL] = {"install", deploy_install_begin, deploy_install_ended, 2, 120, TO(TEST)},
	[ORDER_TEST] = {"test", deploy_test_begin, deploy_test_ended, 2, 0, TO(RELOAD) | TO(ROLLBACK)},
	[ORDER_RELOAD] = {"reload", deploy_reload_begin, deploy_reload_ended, 2, 0, TO(LOOK) | TO(ROLLBACK)},
	[ORDER_LOOK] = {"look", deploy_look_begin, deploy_look_ended, 2, 0, TO(CONFIRM) | TO(ROLLBACK)},
	[ORDER_CONFIRM] = {"confirm", deploy_confirm_begin, deploy_confirm_ended, 2, 120, TO(DONE)},
	[ORDER_SWEEP] = {"sweep", order_sweep_begin, order_sweep_ended, 2, 300, 0},
	[ORDER_ROLLBACK] = {"rollback", deploy_rollback_begin, deploy_rollback_ended, 2, 120, TO(RELOAD_BACK)},
	[ORDER_RELOAD_BACK] = {"reload back", deploy_reload_begin, deploy_reload_back_ended, 2, 0, 0},
	[ORDER_DONE] = {"done", NULL, NULL, 0, 0, 0},
};
#undef TO

static void order_moved(void *owner, int from, int to)
{
	struct order *o = owner;

	if (from <= ORDER_FETCH && to >= ORDER_INSTALL)
		o->env->ca_done(o->env->arg, o);
	log_info("order moved", "cert", o->cert->name, "ca", o->issuer->name, "from", order_table[from].name, "to", order_table[to].name, NULL);
	if (order_table[to].begin)
		o->env->event(o->env->arg, o, order_table[to].name, NULL);
	o->env->save(o->env->arg, o);
}

static void order_finished(void *owner, const struct err *err)
{
	struct order *o = owner;
	struct err e;

	if (err) {
		e = *err;
		if (!e.during[0])
			snprintf(e.during, sizeof(e.during), "%s", order_table[o->m.state].name);
	}
	o->env->finished(o->env->arg, o, err ? &e : NULL);
}

static const struct machine_ops order_ops = {order_table, sizeof(order_table) / sizeof(order_table[0]), order_moved, order_finished};

/* --- life ------------------------------------------------------------------------------------------------------------- */

static void order_load_proofs(struct order *o, const struct js *list)
{
	size_t n = js_len(list);

	if (n == 0 || n > ORDER_PROOFS_MAX)
		return;
	o->proofs = arena_array(o->arena, n, sizeof(*o->proofs));
	for (size_t i = 0; i < n; i++) {
		const struct js *kept = js_at(list, i);
		struct proof *p = &o->proofs[o->nproofs];

		p->order = o;
		p->url = arena_strdup(o->arena, js_str(kept, "url"));
		p->name = arena_strdup(o->arena, js_str(kept, "name") ? js_str(kept, "name") : "");
		p->wildcard = js_bool(kept, "wildcard", false);
		p->method = arena_strdup(o->arena, js_str(kept, "method"));
		p->challenge = arena_strdup(o->arena, js_str(kept, "challenge"));
		p->token = arena_strdup(o->arena, js_str(kept, "token"));
		p->open = js_bool(kept, "open", true);
		p->published = js_bool(kept, "published", false) && p->token && p->method;
		o->nproofs += p->url != NULL;
	}
}

static void order_load(struct order *o, const struct js *kept)
{
	const char *chain = js_str(kept, "chain");
	struct err err;

	o->begun = js_int(kept, "begun", clock_now());
	o->url = arena_strdup(o->arena, js_str(kept, "url"));
	o->finalize = arena_strdup(o->arena, js_str(kept, "finalize"));
	o->certificate = arena_strdup(o->arena, js_str(kept, "certificate"));
	o->expires = js_int(kept, "expires", 0);
	o->key = arena_strdup(o->arena, js_str(kept, "key"));
	o->generation = js_int(kept, "generation", 0);
	o->previous = js_int(kept, "previous", 0);
	order_load_proofs(o, js_arr(kept, "proofs"));
	if (!chain)
		return;
	/* The serial in use may be this very certificate's, when the crash came after its installation. */
	o->leaf = x509_parse(chain, strlen(chain), &err);
	if (!o->leaf)
		return;
	arena_attach(o->arena, o->leaf, (void (*)(void *))x509_free);
	if (x509_leaf(o->leaf)->not_after <= clock_now())
		return;
	o->chain = arena_strdup(o->arena, chain);
}

struct order *order_new(struct cert *cert, const struct order_env *env, struct issuer *issuer, struct method *const *methods, size_t nmethods)
{
	struct order *o = mem_alloc(sizeof(*o));
	struct method **copy;

	o->arena = arena_new();
	o->cert = cert;
	o->env = env;
	o->issuer = issuer;
	copy = arena_array(o->arena, nmethods ? nmethods : 1, sizeof(struct method *));
	for (size_t i = 0; i < nmethods; i++)
		copy[i] = methods[i];
	o->methods = copy;
	o->nmethods = nmethods;
	o->begun = clock_now();
	if (cert->products)
		order_load(o, cert->products);
	return o;
}

void order_start(struct order *o)
{
	machine_start(&o->m, &order_ops, o, o->chain ? ORDER_INSTALL : ORDER_ACCOUNT);
	if (o->chain)
		o->env->ca_done(o->env->arg, o);
}

void order_free(struct order *o)
{
	if (!o)
		return;
	machine_stop(&o->m);
	for (size_t i = 0; i < o->nproofs; i++)
		proof_stop(&o->proofs[i]);
	arena_free(o->arena);
	free(o);
}

void order_abandon(struct order *o)
{
	machine_stop(&o->m);
	for (size_t i = 0; i < o->nproofs; i++)
		proof_stop(&o->proofs[i]);
	memset(&o->m, 0, sizeof(o->m));
	err_set(&o->fail, ERR_INPUT, "abandoned", "the configuration changed while the order was under way");
	machine_start(&o->m, &order_ops, o, ORDER_SWEEP);
}

void order_forget(struct order *o)
{
	o->url = o->finalize = o->certificate = o->key = o->chain = NULL;
	o->expires = 0;
	o->proofs = NULL; /* of the arena */
	o->nproofs = 0;
	o->generation = o->previous = 0;
}

static struct js *order_save_proof(const struct proof *p)
{
	struct js *kept = js_object();

	js_put_str(kept, "url", p->url);
	js_put_str(kept, "name", p->name);
	js_put_bool(kept, "wildcard", p->wildcard);
	js_put_str(kept, "method", p->method);
	js_put_str(kept, "challenge", p->challenge);
	js_put_str(kept, "token", p->token);
	js_put_bool(kept, "published", p->published);
	js_put_bool(kept, "open", p->open);
	return kept;
}

struct js *order_save(const struct order *o)
{
	struct js *kept, *proofs;

	if (!o->url && !o->chain)
		return NULL;
	kept = js_object();
	js_put_int(kept, "begun", o->begun);
	js_put_str(kept, "url", o->url);
	js_put_str(kept, "finalize", o->finalize);
	js_put_str(kept, "certificate", o->certificate);
	js_put_int(kept, "expires", o->expires);
	js_put_str(kept, "key", o->key);
	js_put_str(kept, "chain", o->chain);
	js_put_int(kept, "generation", o->generation);
	js_put_int(kept, "previous", o->previous);
	proofs = js_array();
	for (size_t i = 0; i < o->nproofs; i++)
		js_add(proofs, order_save_proof(&o->proofs[i]));
	js_put(kept, "proofs", proofs);
	return kept;
}

struct js *order_show(const struct order *o)
{
	struct js *shown = js_object(), *proofs = js_array();

	js_put_str(shown, "step", machine_state_name(&o->m));
	js_put_str(shown, "ca", o->issuer->name);
	js_put_str(shown, "url", o->url);
	js_put_time(shown, "begun", o->begun);
	js_put_time(shown, "expires", o->expires);
	for (size_t i = 0; i < o->nproofs; i++) {
		const struct proof *p = &o->proofs[i];
		struct js *shown_proof = js_object();

		js_put_str(shown_proof, "name", p->name);
		js_put_str(shown_proof, "method", p->method);
		js_put_str(shown_proof, "step", proof_state(p));
		if (p->report)
			js_put(shown_proof, "seen", js_ref(p->report));
		if (p->err.kind != ERR_NONE)
			js_put(shown_proof, "error", js_from_err(&p->err));
		js_add(proofs, shown_proof);
	}
	js_put(shown, "proofs", proofs);
	return shown;
}

enum cert_state order_cert_state(const struct order *o)
{
	static const enum cert_state shown[] = {
		[ORDER_ACCOUNT] = CERT_ORDERING,     [ORDER_CREATE] = CERT_ORDERING,      [ORDER_READ] = CERT_ISSUING,
		[ORDER_PROVE] = CERT_PROVING,        [ORDER_REQUEST] = CERT_ISSUING,      [ORDER_FINALIZE] = CERT_ISSUING,
		[ORDER_FETCH] = CERT_ISSUING,        [ORDER_INSTALL] = CERT_INSTALLING,   [ORDER_TEST] = CERT_INSTALLING,
		[ORDER_RELOAD] = CERT_RELOADING,     [ORDER_LOOK] = CERT_LOOKING,         [ORDER_CONFIRM] = CERT_INSTALLING,
		[ORDER_SWEEP] = CERT_ORDERING,       [ORDER_ROLLBACK] = CERT_INSTALLING,  [ORDER_RELOAD_BACK] = CERT_RELOADING,
		[ORDER_DONE] = CERT_WAITING,
	};

	return shown[o->m.state];
}
