/* SPDX-License-Identifier: ISC */
/* What of an order is kept for the next attempt, and what of it people are shown. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/order.h"

/* What published it is not configured any more, or cannot be used: it is a left-over, that nobody waits for, until that is back. */
static void order_load_stranded(struct order *o, struct proof *p)
{
	struct proof *left;

	log_warning("a published proof cannot be withdrawn now, there is no method to do it with; it will be when there is", "cert", o->cert->name, "name",
		p->name, "method", p->method, NULL);
	if (p->left)
		return;
	left = &o->proofs[o->nproofs++];
	*left = *p;
	left->left = true;
	left->open = p->published = false;
}

/* mine: of the issuer that we have. Another one has nothing to do with these authorizations. */
static void order_load_proofs(struct order *o, const struct js *list, bool mine)
{
	size_t n = js_len(list);

	if (n == 0 || n > ORDER_PROOFS_MAX)
		return;
	o->proofs = arena_array(o->arena, 2 * n, sizeof(*o->proofs));
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
		p->thumbprint = arena_strdup(o->arena, js_str(kept, "thumbprint"));
		p->place = js_obj(kept, "place");
		if (p->place)
			arena_attach(o->arena, js_ref(p->place), (void (*)(void *))js_free);
		p->left = js_bool(kept, "left", false);
		p->open = mine && js_bool(kept, "open", true) && !p->left;
		p->published = js_bool(kept, "published", false) && p->token && p->method;
		if (!p->url)
			continue;
		o->nproofs++;
		if (p->published && !proof_can_withdraw(p))
			order_load_stranded(o, p);
	}
}

void order_load(struct order *o, const struct js *kept)
{
	const char *ca = js_str(kept, "ca"), *chain = o->cert->chain;
	struct err err;

	if (js_str(kept, "url") || chain) { /* else mere left-overs, of whatever it was for once */
		o->issue = (uint64_t)js_int(kept, "issue", 0);
		o->digest = (uint64_t)js_int(kept, "digest", 0);
	}
	o->begun = js_int(kept, "begun", clock_now());
	o->url = arena_strdup(o->arena, js_str(kept, "url"));
	o->finalize = arena_strdup(o->arena, js_str(kept, "finalize"));
	o->certificate = arena_strdup(o->arena, js_str(kept, "certificate"));
	o->expires = js_int(kept, "expires", 0);
	o->key = arena_strdup(o->arena, js_str(kept, "key"));
	o->generation = js_int(kept, "generation", 0);
	o->previous = js_int(kept, "previous", 0);
	o->stays = js_bool(kept, "stays", false);
	order_load_proofs(o, js_arr(kept, "proofs"), ca && strcmp(ca, o->issuer->name) == 0);
	if (!chain)
		return;
	/* The serial in use may be this very certificate's, when the crash came after its installation. */
	o->leaf = x509_parse(chain, strlen(chain), &err);
	if (!o->leaf || x509_leaf(o->leaf)->not_after <= clock_now())
		cert_set_chain(o->cert, NULL);
}

void order_forget(struct order *o)
{
	size_t n = 0;

	o->url = o->finalize = o->certificate = o->key = o->csr = NULL;
	cert_set_chain(o->cert, NULL);
	o->expires = 0;
	o->generation = o->previous = 0;
	for (size_t i = 0; i < o->nproofs; i++)
		if (o->proofs[i].published) {
			o->proofs[n] = o->proofs[i];
			o->proofs[n].left = true;
			o->proofs[n++].open = false;
		}
	o->nproofs = n;
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
	js_put_str(kept, "thumbprint", p->thumbprint);
	if (p->place)
		js_put(kept, "place", js_ref(p->place));
	js_put_bool(kept, "published", p->published);
	js_put_bool(kept, "open", p->open);
	js_put_bool(kept, "left", p->left);
	return kept;
}

struct js *order_save(const struct order *o)
{
	struct js *kept, *proofs;

	if (!o->url && !o->cert->chain && !o->nproofs)
		return NULL;
	kept = js_object();
	js_put_str(kept, "ca", o->issuer->name);
	js_put_int(kept, "issue", (int64_t)o->issue);
	js_put_int(kept, "digest", (int64_t)o->digest);
	js_put_int(kept, "begun", o->begun);
	js_put_str(kept, "url", o->url);
	js_put_str(kept, "finalize", o->finalize);
	js_put_str(kept, "certificate", o->certificate);
	js_put_int(kept, "expires", o->expires);
	js_put_str(kept, "key", o->key);
	js_put_int(kept, "generation", o->generation);
	js_put_int(kept, "previous", o->previous);
	js_put_bool(kept, "stays", o->stays);
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
		struct js *shown_proof;

		if (p->left || (!p->open && !*p->name)) /* an earlier order's, or one that the CA does not wait for */
			continue;
		shown_proof = js_object();
		js_put_str(shown_proof, "name", p->name);
		if (p->wildcard)
			js_put_bool(shown_proof, "wildcard", true);
		js_put_str(shown_proof, "method", p->method);
		js_put_str(shown_proof, "step", proof_state(p));
		if (proof_seen(p))
			js_put(shown_proof, "seen", js_ref((struct js *)proof_seen(p)));
		if (p->err.kind != ERR_NONE)
			js_put(shown_proof, "error", js_from_err(&p->err));
		js_add(proofs, shown_proof);
	}
	js_put(shown, "proofs", proofs);
	return shown;
}

bool order_renews(const struct order *o)
{
	return !o->stays && !(o->m.state == ORDER_SWEEP && strcmp(o->fail.type, "abandoned") == 0);
}

enum cert_state order_cert_state(const struct order *o)
{
	static const enum cert_state shown[] = {
		[ORDER_ACCOUNT] = CERT_ORDERING,     [ORDER_CREATE] = CERT_ORDERING,      [ORDER_READ] = CERT_ISSUING,
		[ORDER_PROVE] = CERT_PROVING,        [ORDER_REQUEST] = CERT_ISSUING,      [ORDER_FINALIZE] = CERT_ISSUING,
		[ORDER_FETCH] = CERT_ISSUING,        [ORDER_INSTALL] = CERT_INSTALLING,   [ORDER_GATHER] = CERT_INSTALLING,
		[ORDER_TEST] = CERT_INSTALLING,
		[ORDER_RELOAD] = CERT_RELOADING,     [ORDER_LOOK] = CERT_LOOKING,         [ORDER_CONFIRM] = CERT_INSTALLING,
		[ORDER_WITHDRAW] = CERT_PROVING,
		[ORDER_SWEEP] = CERT_ORDERING,       [ORDER_ROLLBACK] = CERT_INSTALLING,  [ORDER_RESTORE] = CERT_RELOADING,
		[ORDER_DONE] = CERT_WAITING,
	};

	return shown[o->m.state];
}
