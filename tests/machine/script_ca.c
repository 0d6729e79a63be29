/* SPDX-License-Identifier: ISC */
/* The script's CAs. */
#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "testca.h"

struct script_issuer {
	struct issuer issuer;
	struct script *s;
	char *name;
};

struct issuer_call {
	struct leaf leaf;
};

/* --- orders and authorizations ------------------------------------------------------------------------------------------- */

static struct script_order *order_at(struct script *s, const char *url)
{
	struct script_order *o = s->orders;

	while (o && strcmp(o->url, url) != 0 && !(o->certificate && strcmp(o->certificate, url) == 0))
		o = o->next;
	return o;
}

static struct script_authz *authz_at(struct script *s, const char *url)
{
	size_t len = strlen(url) - (strstr(url, "/challenge") ? strlen("/challenge") : 0);

	for (struct script_order *o = s->orders; o; o = o->next)
		for (size_t i = 0; i < o->nauthz; i++)
			if (strlen(o->authz[i].url) == len && strncmp(o->authz[i].url, url, len) == 0)
				return &o->authz[i];
	return NULL;
}

static bool same_names(const struct script_order *o, const char *const *names, size_t n)
{
	if (o->nnames != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(o->names[i], names[i]) != 0)
			return false;
	return true;
}

static void order_update(struct script_order *o)
{
	size_t valid = 0;

	for (size_t i = 0; i < o->nauthz && o->status == ISSUER_PENDING; i++) {
		if (o->authz[i].status == ISSUER_INVALID || o->authz[i].status == ISSUER_GONE)
			o->status = ISSUER_INVALID;
		valid += o->authz[i].status == ISSUER_VALID;
	}
	if (o->status == ISSUER_PENDING && o->nauthz && valid == o->nauthz)
		o->status = ISSUER_READY;
	if (o->expires < clock_now() && o->status != ISSUER_VALID)
		o->status = ISSUER_INVALID;
}

static struct script_order *order_made(struct script *s, const char *ca, const char *const *names, size_t n)
{
	struct script_order *o;

	for (o = s->orders; o && s->reuse; o = o->next) {
		order_update(o);
		if (strcmp(o->ca, ca) == 0 && (o->status == ISSUER_PENDING || o->status == ISSUER_READY) && same_names(o, names, n))
			return o;
	}
	o = mem_alloc(sizeof(*o));
	o->ca = mem_strdup(ca);
	o->url = script_number(s, "https://ca.test/order/");
	o->names = mem_array(n, sizeof(char *));
	o->authz = mem_array(n, sizeof(*o->authz));
	o->nnames = o->nauthz = n;
	o->status = s->born;
	o->expires = clock_now() + s->order_life_s;
	for (size_t i = 0; i < n; i++) {
		o->names[i] = mem_strdup(names[i]);
		o->authz[i].name = mem_strdup(names[i]);
		o->authz[i].url = script_number(s, "https://ca.test/authz/");
		o->authz[i].token = script_number(s, "token-");
		o->authz[i].type = "http-01";
	}
	o->next = s->orders;
	s->orders = o;
	s->created++;
	return o;
}

void script_free_orders(struct script *s)
{
	struct script_order *o;

	while ((o = s->orders)) {
		s->orders = o->next;
		for (size_t i = 0; i < o->nnames; i++) {
			free(o->names[i]);
			free(o->authz[i].url);
			free(o->authz[i].name);
			free(o->authz[i].token);
		}
		free((char *)o->ca);
		free(o->names);
		free(o->authz);
		free(o->url);
		free(o->certificate);
		free(o->chain);
		free(o);
	}
}

/* --- certificates --------------------------------------------------------------------------------------------------------- */

static char *chain_minted(struct script *s, const struct script_order *o, const struct key *key)
{
	const char *names[64];
	struct testca_wish wish = { .names = names, .nnames = o->nnames, .not_before = clock_now() + s->early_s, .not_after = clock_now() + s->life_s };
	char *chain, *longer;
	struct err err;
	struct buf pem;

	for (size_t i = 0; i < o->nnames; i++)
		names[i] = o->names[i];
	if (s->mint == MINT_GARBAGE)
		return mem_strdup("this is no certificate\n");
	if (s->mint == MINT_NAME_MISSING)
		names[0] = "other.test";
	if (s->mint == MINT_NAME_EXTRA)
		names[wish.nnames++] = "extra.test";
	if (s->mint == MINT_EXPIRED) {
		wish.not_before = clock_now() - 7200;
		wish.not_after = clock_now() - 3600;
	}
	if (s->mint == MINT_FUTURE)
		wish.not_before = clock_now() + 86400;
	if (s->mint == MINT_SAME)
		wish.serial = "7777";
	chain = testca_chain(s->mid, s->mint == MINT_OTHER_KEY ? s->other : key, &wish);
	if (s->mint != MINT_KEY_INSIDE)
		return chain;
	buf_init(&pem, 0);
	if (!key_format(s->other, &pem, &err))
		abort();
	longer = mem_printf("%s%s", chain, pem.data);
	buf_free(&pem);
	free(chain);
	return longer;
}

/* The rules of RFC 8555 that a client could break. */
static bool order_finalized(struct script *s, struct script_order *o, const char *csr, struct err *err)
{
	const struct key *key = script_key_of(s, csr);

	order_update(o);
	if (o->status != ISSUER_READY)
		return err_set(err, ERR_TEMP, "orderNotReady", "the order is %s", issuer_status_name(o->status));
	if (!key) {
		script_broken(s, "a request that the keeper never made");
		return err_set(err, ERR_DENIED, "badCSR", "no such key");
	}
	if (++o->finalized > 1)
		script_broken(s, "finalized twice");
	o->chain = chain_minted(s, o, key);
	o->certificate = script_number(s, "https://ca.test/cert/");
	o->status = s->processing ? ISSUER_PROCESSING : ISSUER_VALID;
	s->issued++;
	return true;
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

static void answer(struct leaf *l, const struct issuer_answer *a)
{
	((issuer_done *)l->done)(l->arg, l->err.kind == ERR_NONE ? a : NULL, l->err.kind == ERR_NONE ? NULL : &l->err);
}

static void plain_ended(struct leaf *l)
{
	struct issuer_answer a = { .text = "thumb", .wait_ms = l->s->wait_ms };

	answer(l, &a);
}

static void order_ended(struct leaf *l)
{
	struct script_order *o = l->extra ? order_at(l->s, l->extra) : NULL;
	const char *authz[64];
	struct issuer_order shown;
	struct issuer_answer a = { .order = &shown };

	if (l->err.kind == ERR_NONE && !o)
		err_set(&l->err, ERR_DENIED, "malformed", "no such order");
	if (l->err.kind != ERR_NONE) {
		answer(l, NULL);
		return;
	}
	order_update(o);
	if (l->op == OP_ORDER && o->status == ISSUER_PROCESSING && l->s->processing && --l->s->processing == 0)
		o->status = ISSUER_VALID;
	for (size_t i = 0; i < o->nauthz; i++)
		authz[i] = o->authz[i].url;
	shown = (struct issuer_order){ .status = o->status, .url = o->url, .finalize = o->url, .expires = o->expires, .authz = authz,
		.certificate = o->status == ISSUER_VALID ? o->certificate : NULL, .nauthz = o->nauthz, .names = (const char *const *)o->names,
		.nnames = o->nnames, .wait_ms = l->s->wait_ms, .problem = o->problem.kind == ERR_NONE ? NULL : &o->problem };
	answer(l, &a);
}

static void authz_ended(struct leaf *l)
{
	struct script_authz *z = authz_at(l->s, l->extra);
	struct issuer_challenge c[2] = { { .type = "dns-01", .url = "https://ca.test/else", .token = "else" } };
	struct issuer_authz shown;
	struct issuer_answer a = { .authz = &shown };
	char *url = mem_printf("%s/challenge", l->extra);

	if (z) {
		c[1] = (struct issuer_challenge){ .type = z->type, .url = url, .token = z->token, .status = z->challenge };
		shown = (struct issuer_authz){ .url = z->url, .name = z->name, .status = z->status, .challenge = c, .nchallenge = 2,
			.wait_ms = l->s->wait_ms, .problem = z->problem.kind == ERR_NONE ? NULL : &z->problem };
	}
	answer(l, &a);
	free(url);
}

static void fetch_ended(struct leaf *l)
{
	struct script_order *o = order_at(l->s, l->extra);
	struct issuer_answer a = { .chain = o ? o->chain : "" };

	a.chain_len = strlen(a.chain);
	answer(l, &a);
}

/* --- operations ----------------------------------------------------------------------------------------------------------- */

static struct issuer_call *begin(struct issuer *is, enum script_op op, const char *about, const char *url, void (*end)(struct leaf *l), issuer_done *done,
	void *arg, bool *effect)
{
	struct script_issuer *si = (struct script_issuer *)is;
	struct issuer_call *c = mem_alloc(sizeof(*c));

	c->leaf.owner = is;
	c->leaf.done = (void *)done;
	c->leaf.arg = arg;
	c->leaf.extra = url ? mem_strdup(url) : NULL;
	*effect = leaf_begin(&c->leaf, si->s, op, about, end);
	return c;
}

static struct issuer_call *ca_account(struct issuer *is, issuer_done *done, void *arg)
{
	bool effect;

	return begin(is, OP_ACCOUNT, is->name, NULL, plain_ended, done, arg, &effect);
}

static struct issuer_call *ca_create(struct issuer *is, const char *const *names, size_t n, issuer_done *done, void *arg)
{
	bool effect;
	struct issuer_call *c = begin(is, OP_CREATE, names[0], NULL, order_ended, done, arg, &effect);

	if (effect)
		c->leaf.extra = mem_strdup(order_made(c->leaf.s, is->name, names, n)->url);
	return c;
}

/* URLs of one CA are not to be asked of another. */
static void check_ca(struct issuer *is, struct script *s, const char *url)
{
	struct script_order *o = order_at(s, url);

	if (o && strcmp(o->ca, is->name) != 0)
		script_broken(s, "one CA was asked for an order of another");
	for (o = s->orders; o; o = o->next)
		for (size_t i = 0; i < o->nauthz; i++)
			if (strcmp(o->authz[i].url, url) == 0 && strcmp(o->ca, is->name) != 0)
				script_broken(s, "one CA was asked for an authorization of another");
}

static struct issuer_call *ca_order(struct issuer *is, const char *url, issuer_done *done, void *arg)
{
	bool effect;
	struct issuer_call *c = begin(is, OP_ORDER, url, url, order_ended, done, arg, &effect);

	check_ca(is, c->leaf.s, url);
	return c;
}

static struct issuer_call *ca_authz(struct issuer *is, const char *url, issuer_done *done, void *arg)
{
	struct script_authz *z = authz_at(((struct script_issuer *)is)->s, url);
	bool effect;
	struct issuer_call *c = begin(is, OP_AUTHZ, z ? z->name : url, url, authz_ended, done, arg, &effect);

	check_ca(is, c->leaf.s, url);
	return c;
}

/* Whether the proof is there is looked at this moment. */
static struct issuer_call *ca_announce(struct issuer *is, const char *url, issuer_done *done, void *arg)
{
	struct script_authz *z = authz_at(((struct script_issuer *)is)->s, url);
	bool effect;
	struct issuer_call *c = begin(is, OP_ANNOUNCE, z ? z->name : url, url, plain_ended, done, arg, &effect);

	if (!z || !effect || z->status != ISSUER_PENDING)
		return c;
	z->challenge = ISSUER_PROOF_VALID;
	z->status = ISSUER_VALID;
	if (!script_is_published(c->leaf.s, z->token)) {
		z->challenge = ISSUER_PROOF_INVALID;
		z->status = ISSUER_INVALID;
		err_set(&z->problem, ERR_TEMP, "unauthorized", "nothing is published for %s", z->name);
		script_broken(c->leaf.s, "announced before it was published");
	}
	return c;
}

static struct issuer_call *ca_finalize(struct issuer *is, const char *order_url, const char *finalize_url, const char *csr, issuer_done *done, void *arg)
{
	bool effect;
	struct issuer_call *c = begin(is, OP_FINALIZE, order_url, order_url, order_ended, done, arg, &effect);
	struct script_order *o = order_at(c->leaf.s, finalize_url);

	check_ca(is, c->leaf.s, order_url);
	if (o && effect)
		order_finalized(c->leaf.s, o, csr, c->leaf.err.kind == ERR_NONE ? &c->leaf.err : NULL);
	return c;
}

static struct issuer_call *ca_fetch(struct issuer *is, const char *url, issuer_done *done, void *arg)
{
	bool effect;

	return begin(is, OP_FETCH, url, url, fetch_ended, done, arg, &effect);
}

static struct issuer_call *ca_deactivate(struct issuer *is, const char *url, issuer_done *done, void *arg)
{
	struct script_authz *z = authz_at(((struct script_issuer *)is)->s, url);
	bool effect;
	struct issuer_call *c = begin(is, OP_DEACTIVATE, z ? z->name : url, url, plain_ended, done, arg, &effect);

	check_ca(is, c->leaf.s, url);
	if (z && effect)
		z->status = ISSUER_GONE;
	return c;
}

static struct issuer_call *ca_revoke(struct issuer *is, const char *cert, int reason, issuer_done *done, void *arg)
{
	bool effect;

	(void)reason;
	return begin(is, OP_REVOKE, cert, NULL, plain_ended, done, arg, &effect);
}

static void identify_ended(struct leaf *l)
{
	static const char *const names[] = { "ca.test" };
	struct issuer_identity id = { names, 1, "https://le.test/account/1" };
	struct issuer_answer a = { .identity = &id };

	answer(l, &a);
}

static struct issuer_call *ca_identify(struct issuer *is, issuer_done *done, void *arg)
{
	bool effect;

	return begin(is, OP_IDENTIFY, is->name, NULL, identify_ended, done, arg, &effect);
}

static void list_ended(struct leaf *l)
{
	struct err err;
	struct js *list = js_parse("[{\"id\":\"i1\"}]", 13, &err);
	struct issuer_answer a = { .list = list };

	answer(l, &a);
	js_free(list);
}

static struct issuer_call *ca_list(struct issuer *is, enum issuer_list what, issuer_done *done, void *arg)
{
	static const char *const lists[ISSUER_LISTS] = { "instances", "contacts", "companies" };
	bool effect;

	return begin(is, OP_LIST, lists[what], NULL, list_ended, done, arg, &effect);
}

static void ca_cancel(struct issuer_call *c)
{
	leaf_free(&c->leaf);
}

static struct js *ca_status(struct issuer *is)
{
	(void)is;
	return js_object();
}

static void ca_retry(struct issuer *is)
{
	((struct script_issuer *)is)->s->retried++;
}

static void ca_free(struct issuer *is)
{
	struct script_issuer *si = (struct script_issuer *)is;

	leaf_free_of(si->s, is);
	free(si->name);
	free(si);
}

static int64_t ca_not_before(const struct issuer *is)
{
	return ((const struct script_issuer *)is)->s->ca_not_before;
}

struct issuer *script_issuer(void *arg, const struct conf_ca *ca, struct err *err)
{
	static struct issuer_ops ahead;
	static const struct issuer_ops ops = { .account = ca_account, .create = ca_create, .order = ca_order, .authz = ca_authz, .announce = ca_announce,
		.finalize = ca_finalize, .fetch = ca_fetch, .deactivate = ca_deactivate, .revoke = ca_revoke, .cancel = ca_cancel, .status = ca_status,
		.free = ca_free, .retry = ca_retry, .not_before = ca_not_before };
	struct script *s = arg;
	struct script_issuer *si;

	if (s->no_issuer) {
		err_set(err, ERR_LOCAL, "system", "cannot read ca_file");
		return NULL;
	}
	si = mem_alloc(sizeof(*si));
	si->s = s;
	si->name = mem_strdup(ca->name);
	ahead = ops;
	ahead.identify = ca_identify;
	ahead.list = ca_list;
	si->issuer = (struct issuer){ .ops = s->ahead ? &ahead : &ops, .name = si->name };
	return &si->issuer;
}
