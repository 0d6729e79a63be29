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
#include "core/sweep.h"

enum {
	ORDER_PROOFS_AT_ONCE = 8,
	ORDER_POLL_FIRST_MS = 5,
	ORDER_POLL_CAP_MS = 5000,
	ORDER_POLL_SLOW_MS = 600000, /* for orders that are processed for days */
	ORDER_PLACE_MS = 60000,      /* one that takes longer than this does not keep others from the CA */
	ORDER_CA_S = 900,            /* for one answer; a CA's server has its own, much shorter limits */
	ORDER_LOOK_S = 900,
	ORDER_MARGIN_S = 60,         /* an order that ends sooner is not worth taking up again */
	ORDER_FINALIZE_TRIES = 3,
	KEEPER_MS = 30000,
	KEEPER_BUSY_TRIES = 480,
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
	if (err->kind == ERR_NONE || strcmp(err->type, "stale-conf") != 0 || m->again >= KEEPER_BUSY_TRIES)
		return false;
	m->wait_ms = 250; /* the new configuration is on its way to us */
	return true;
}

struct js *order_named(const struct order *o)
{
	struct js *request = js_object();

	js_put_str(request, "cert", o->cert->name);
	return request;
}

/* --- what the CA's word means: one row each --------------------------------------------------------------------------- */

void order_set_fail(struct order *o, const struct err *err)
{
	o->fail = *err;
	if (err->kind != ERR_NONE && !o->fail.during[0])
		snprintf(o->fail.during, sizeof(o->fail.during), "%s", machine_state_name(&o->m));
}

static int order_lost(struct order *o, const struct err *err)
{
	order_set_fail(o, err);
	o->sweep = 0;
	return ORDER_SWEEP;
}

/* The CA's order is no more, through nobody's fault: another one takes its place, once. */
static int order_anew(struct order *o, struct err *err)
{
	err_clear(err);
	return order_lost(o, err);
}

/* Of its own, not left from an earlier one. */
static bool order_has_proofs(const struct order *o)
{
	bool any = false;

	for (size_t i = 0; i < o->nproofs; i++)
		any |= !o->proofs[i].left;
	return any;
}

static bool order_has_expired(const struct order *o, int64_t margin_s)
{
	return o->expires && o->expires < clock_now() + margin_s;
}

static void order_take_proofs(struct order *o, const struct issuer_order *a)
{
	size_t n = a->nauthz < ORDER_PROOFS_MAX ? a->nauthz : ORDER_PROOFS_MAX;
	struct proof *proofs = arena_array(o->arena, o->nproofs + n, sizeof(*proofs));

	for (size_t i = 0; i < o->nproofs; i++)
		proofs[i] = o->proofs[i];
	o->proofs = proofs;
	for (size_t i = 0; i < n; i++) {
		struct proof *p = &o->proofs[o->nproofs++];

		p->order = o;
		p->url = arena_strdup(o->arena, a->authz[i]);
		p->name = "";
	}
}

static void order_take(struct order *o, const struct issuer_order *a)
{
	if (!o->url || strcmp(o->url, a->url) != 0)
		o->url = arena_strdup(o->arena, a->url);
	if (a->finalize && !o->finalize)
		o->finalize = arena_strdup(o->arena, a->finalize);
	if (a->certificate && !o->certificate)
		o->certificate = arena_strdup(o->arena, a->certificate);
	if (a->expires) /* over before it began: the CA's clock and ours differ, so it tells nothing */
		o->expires = a->expires > o->begun ? a->expires : 0;
	if (a->nauthz && !order_has_proofs(o))
		order_take_proofs(o, a);
}

static int64_t order_poll_wait(const struct machine *m, int64_t said)
{
	int64_t wait = ORDER_POLL_FIRST_MS, cap = (clock_mono_ms() - m->entered_ms) / 16;

	cap = cap < ORDER_POLL_CAP_MS ? ORDER_POLL_CAP_MS : cap > ORDER_POLL_SLOW_MS ? ORDER_POLL_SLOW_MS : cap;
	for (unsigned i = 0; i < m->again && wait < cap; i++)
		wait *= 2;
	return said ? said : wait < cap ? wait : cap;
}

/* Authorizations matter as long as the CA waits for them, and no longer. true: something is still published for those that do not. */
static bool order_tend_proofs(struct order *o)
{
	bool left = false;

	for (size_t i = 0; i < o->nproofs; i++) {
		o->proofs[i].open = o->pending && !o->proofs[i].left;
		left |= proof_can_withdraw(&o->proofs[i]);
	}
	return left && !o->pending && !o->tidied;
}

/* What an order is for may not change (RFC 8555 section 7.1.3): with other names it is void. */
static bool order_check_names(const struct order *o, const struct issuer_order *a, struct err *err)
{
	const struct conf_list *names = &o->cert->conf->names;
	size_t known = 0;

	for (size_t i = 0; i < a->nnames; i++)
		for (size_t k = 0; k < names->n; k++)
			known += strcmp(a->names[i], names->v[k]) == 0;
	return (known == a->nnames && (a->nnames == names->n || a->nnames == 0)) ||
		err_set(err, ERR_DENIED, "identifiers", "the CA's order is for other names than it was made for");
}

/* Ready to be finalized. A server that is out of order is not asked twice in a row, nothing is lost three times in one attempt. */
static int order_ready(struct order *o, const struct machine *m, struct err *err)
{
	if (!o->doubt || (o->doubt->http_status < 500 && m->visits[ORDER_FINALIZE] < ORDER_FINALIZE_TRIES))
		return ORDER_REQUEST;
	*err = *o->doubt;
	return MACHINE_FAIL;
}

static int order_follow(struct order *o, struct machine *m, const struct issuer_order *a, struct err *err)
{
	if (!order_check_names(o, a, err))
		return order_lost(o, err);
	order_take(o, a);
	if (a->status == ISSUER_GONE)
		return order_anew(o, err);
	if (a->status == ISSUER_INVALID) {
		if (a->problem)
			*err = *a->problem;
		else
			err_set(err, ERR_TEMP, "order", "the CA says the order is %s", issuer_status_name(a->status));
		return order_lost(o, err);
	}
	o->pending = a->status == ISSUER_PENDING;
	if (order_tend_proofs(o)) {
		o->tidied = true;
		return ORDER_PROVE;
	}
	if (o->pending)
		return ORDER_PROVE;
	if (a->status == ISSUER_READY)
		return order_ready(o, m, err);
	if (a->status == ISSUER_VALID)
		return ORDER_FETCH;
	if (o->m.state != ORDER_READ)
		o->wait_ms = a->wait_ms;
	m->wait_ms = order_poll_wait(m, a->wait_ms);
	return ORDER_READ;
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
		return sweep_put_off(o, err);
	o->thumbprint = arena_strdup(o->arena, ((const struct issuer_answer *)answer)->text);
	if (o->url && order_has_expired(o, ORDER_MARGIN_S))
		return order_anew(o, err);
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
		return sweep_put_off(o, err);
	o->begun = clock_now();
	return order_follow(o, m, ((const struct issuer_answer *)answer)->order, err);
}

static void order_read_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	order_pending(o, m, o->issuer->ops->order(o->issuer, o->url, order_issuer_ended, machine_call(m)));
}

static void order_read_now(void *owner)
{
	struct order *o = owner;

	order_read_begin(o, &o->m);
}

/* The first time the CA's word counts; without one, reading right after finalize mostly comes too early. A restart reads at once. */
static void order_read_enter(void *owner, struct machine *m)
{
	struct order *o = owner;
	int64_t wait = o->wait_ms ? o->wait_ms : o->csr ? ORDER_POLL_FIRST_MS : 0;

	o->wait_ms = 0;
	if (m->again == 0 && wait)
		timer_arm(&m->timer, wait, order_read_now, owner);
	else
		order_read_begin(owner, m);
}

static int order_read_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (err->http_status == 404)
		return order_anew(o, err); /* never to be found again */
	if (err->kind != ERR_NONE)
		return sweep_put_off(o, err);
	if (clock_mono_ms() - m->entered_ms > ORDER_PLACE_MS)
		o->env->ca_done(o->env->arg, o);
	return order_follow(o, m, ((const struct issuer_answer *)answer)->order, err);
}

/* --- prove ------------------------------------------------------------------------------------------------------------ */

static void order_cancel_proofs(void *arg, void *op)
{
	struct order *o = arg;

	(void)op;
	for (size_t i = 0; i < o->nproofs; i++)
		proof_stop(&o->proofs[i]);
}

static bool order_start_proof(struct order *o)
{
	while (o->proof_next < o->nproofs) {
		struct proof *p = &o->proofs[o->proof_next++];

		if (!p->open && !proof_can_withdraw(p))
			continue;
		o->proofs_left++;
		proof_start(p);
		return true;
	}
	return false;
}

static void order_prove_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	machine_call(m);
	o->proofs_left = 0;
	o->proof_next = 0;
	for (size_t i = 0; i < ORDER_PROOFS_AT_ONCE && order_start_proof(o); i++)
		;
	if (o->proofs_left)
		machine_pending(m, o, order_cancel_proofs, o);
	else
		machine_skip(m, NULL); /* nothing to prove: the CA has to move */
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
	order_start_proof(o);
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
	if (err->kind == ERR_NONE && o->pending && order_has_expired(o, 0))
		return order_anew(o, err);
	if (err->kind == ERR_NONE)
		return o->pending && order_has_proofs(o) ? ORDER_REQUEST : ORDER_READ;
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
	if (err->kind != ERR_TEMP && strcmp(err->type, "orderNotReady") != 0)
		return MACHINE_FAIL;
	o->doubt = arena_alloc(o->arena, sizeof(*o->doubt));
	*o->doubt = *err;
	snprintf(o->doubt->during, sizeof(o->doubt->during), "finalize");
	return ORDER_READ;
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
	if (strlen(hex) != 64)
		return false;
	for (size_t i = 0; i < 32; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
			return false;
	return true;
}

static bool order_accept(struct order *o, const char *chain, size_t len, struct err *err)
{
	struct x509_wish wish = {.names = o->cert->conf->names.v, .nnames = o->cert->conf->names.n, .old_serial = o->cert->serial,
		.staging = conf_is_staging(o->cert->conf->ca), .now = clock_now()};
	unsigned char digest[32];

	x509_free(o->leaf);
	o->leaf = x509_parse(chain, len, err);
	if (!o->leaf)
		return false;
	if (o->key && !order_hex(o->key, digest))
		return err_set(err, ERR_BUG, "keeper", "\"%s\" is not the digest of a key", o->key);
	wish.key_digest = o->key ? digest : NULL; /* an order that was valid at once: the keeper alone knows which key */
	return x509_accept(o->leaf, &wish, err);
}

static int order_fetch_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	const struct issuer_answer *is = answer;
	struct order *o = owner;

	(void)m;
	if (err->kind == ERR_NONE && !is)
		err_set(err, ERR_TEMP, "order", "the CA says the order is valid but names no certificate");
	if (strcmp(err->type, "badCertificate") == 0)
		return order_lost(o, err); /* it will not get better: the next attempt orders anew */
	if (err->kind != ERR_NONE)
		return MACHINE_FAIL;
	if (!order_accept(o, is->chain, is->chain_len, err))
		return order_lost(o, err);
	cert_set_chain(o->cert, mem_strndup(is->chain, is->chain_len));
	o->env->event(o->env->arg, o, "issued", NULL);
	return ORDER_INSTALL;
}

/* --- the table -------------------------------------------------------------------------------------------------------- */

#define TO(state) (1u << ORDER_##state)
#define FOLLOW (TO(PROVE) | TO(REQUEST) | TO(FETCH) | TO(READ) | TO(SWEEP))
static const struct machine_state order_table[] = {
	[ORDER_ACCOUNT] = {"account", order_account_begin, order_account_ended, 2, ORDER_CA_S, TO(CREATE) | TO(READ) | TO(WITHDRAW) | TO(SWEEP)},
	[ORDER_CREATE] = {"create", order_create_begin, order_create_ended, 2, ORDER_CA_S, FOLLOW | TO(WITHDRAW)},
	[ORDER_READ] = {"poll", order_read_enter, order_read_ended, 8, 3 * 86400, FOLLOW | TO(WITHDRAW)},
	[ORDER_PROVE] = {"prove", order_prove_begin, order_prove_ended, 4, 0, TO(REQUEST) | TO(READ) | TO(SWEEP)},
	[ORDER_REQUEST] = {"request", order_request_begin, order_request_ended, 6, 120, TO(FINALIZE)},
	[ORDER_FINALIZE] = {"finalize", order_finalize_begin, order_finalize_ended, 6, ORDER_CA_S, FOLLOW},
	[ORDER_FETCH] = {"fetch", order_fetch_begin, order_fetch_ended, 4, ORDER_CA_S, TO(INSTALL) | TO(SWEEP)},
	[ORDER_INSTALL] = {"install", deploy_install_begin, deploy_install_ended, 2, 0, TO(GATHER) | TO(CONFIRM)},
	[ORDER_GATHER] = {"gather", deploy_gather_begin, deploy_gather_ended, 2, 0, TO(TEST)},
	[ORDER_TEST] = {"test", deploy_test_begin, deploy_test_ended, 2, 0, TO(RELOAD) | TO(ROLLBACK)},
	[ORDER_RELOAD] = {"reload", deploy_reload_begin, deploy_reload_ended, 2, 0, TO(LOOK) | TO(ROLLBACK)},
	[ORDER_LOOK] = {"look", deploy_look_begin, deploy_look_ended, 2, ORDER_LOOK_S, TO(CONFIRM) | TO(ROLLBACK)},
	[ORDER_CONFIRM] = {"confirm", deploy_confirm_begin, deploy_confirm_ended, 2, 120, TO(DONE)},
	[ORDER_WITHDRAW] = {"withdraw", sweep_begin, sweep_withdraw_ended, 1, 300, 0},
	[ORDER_SWEEP] = {"sweep", sweep_begin, sweep_ended, 2, 300, TO(CREATE)},
	[ORDER_ROLLBACK] = {"rollback", deploy_rollback_begin, deploy_rollback_ended, 2, 0, TO(RESTORE)},
	[ORDER_RESTORE] = {"restore", deploy_restore_begin, deploy_restore_ended, 2, 0, 0},
	[ORDER_DONE] = {"done", NULL, NULL, 0, 0, 0},
};

/* What must be on disk before these begin cannot be asked for again: the chain, that something is to be cleared away; and the URL of a new order. */
static const uint32_t order_ahead = TO(INSTALL) | TO(SWEEP) | TO(ROLLBACK);
/* What the log tells of a good order: that it begins, that the names are proved; then its certificate is installed and served. */
static const uint32_t order_told_from = TO(ACCOUNT) | TO(PROVE), order_told_to = TO(WITHDRAW) | TO(SWEEP) | TO(ROLLBACK);
#undef TO

static void order_moved(void *owner, int from, int to)
{
	struct order *o = owner;

	if (from == ORDER_PROVE || to == ORDER_REQUEST) /* some have nothing to prove */
		o->env->proved(o->env->arg, o);
	if (to == ORDER_INSTALL)
		o->env->ca_done(o->env->arg, o);
	(order_told_from & (1u << from) || order_told_to & (1u << to) ? log_info : log_debug)("order moved", "cert", o->cert->name, "ca",
		o->issuer->name, "from", order_table[from].name, "to", order_table[to].name, NULL);
	if (order_table[to].begin)
		o->env->event(o->env->arg, o, order_table[to].name, NULL);
	o->env->save(o->env->arg, o, from == ORDER_CREATE || order_ahead & (1u << to));
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

struct order *order_new(struct cert *cert, const struct order_env *env, struct issuer *issuer, const struct order_methods *methods)
{
	struct order *o = mem_alloc(sizeof(*o));
	struct method **copy;

	o->arena = arena_new();
	o->cert = cert;
	o->env = env;
	o->issuer = issuer;
	copy = arena_array(o->arena, methods->n + 1, sizeof(struct method *));
	for (size_t i = 0; i < methods->n; i++)
		copy[i] = methods->v[i];
	o->methods = (struct order_methods){copy, methods->n, methods->nprove};
	o->begun = clock_now();
	o->issue = cert->conf ? cert->conf->issue : 0;
	o->digest = cert->conf ? cert->conf->digest : 0;
	if (cert->products)
		order_load(o, cert->products);
	return o;
}

void order_start(struct order *o)
{
	machine_start(&o->m, &order_ops, o, o->cert->chain ? ORDER_INSTALL : ORDER_ACCOUNT);
	if (o->cert->chain)
		o->env->ca_done(o->env->arg, o);
}

void order_free(struct order *o)
{
	if (!o)
		return;
	machine_stop(&o->m);
	for (size_t i = 0; i < o->nproofs; i++)
		proof_stop(&o->proofs[i]);
	x509_free(o->leaf);
	arena_free(o->arena);
	free(o);
}

void order_abandon(struct order *o)
{
	if (o->m.ops && o->m.state > ORDER_INSTALL && o->m.state != ORDER_SWEEP && o->cert->conf)
		return;
	machine_stop(&o->m);
	for (size_t i = 0; i < o->nproofs; i++)
		proof_stop(&o->proofs[i]);
	memset(&o->m, 0, sizeof(o->m));
	o->sweep = 0;
	err_set(&o->fail, ERR_INPUT, "abandoned", "the configuration changed while the order was under way");
	machine_start(&o->m, &order_ops, o, ORDER_SWEEP);
}
