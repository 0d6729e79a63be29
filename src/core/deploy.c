/* SPDX-License-Identifier: ISC */
#include "core/deploy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/look.h"

enum {
	DEPLOY_KEEPER_MS = 60000,
	DEPLOY_TURN_MS = 120000, /* for its disk, and for services of others that a certificate without its own waits for */
	DEPLOY_TURNS = 4,        /* tests and reloads of a service one after the other, ours the last */
	LOOK_FIRST_MS = 20,    /* a reload is asynchronous: new workers need a moment */
	LOOK_CAP_MS = 1000,
	LOOK_PATIENCE_MS = 15000,
};

static const struct conf_service *deploy_service(const struct order *o)
{
	const struct conf_cert *conf = o->cert->conf;

	return o->service < conf->service.n ? conf->service.v[o->service] : NULL;
}

/* The keeper lets nobody switch what a service just reads, so each waits for others there. All of that ends by itself: who gives up sooner takes a good
 * certificate back, who waits for this long has a keeper that hangs. */
static int64_t deploy_patience_ms(const struct order *o)
{
	const struct conf_cert *conf = o->cert->conf;
	int64_t longest = 0;

	for (size_t i = 0; i < conf->service.n; i++)
		if (conf->service.v[i]->timeout > longest)
			longest = conf->service.v[i]->timeout;
	return DEPLOY_TURN_MS + DEPLOY_TURNS * longest * 1000;
}

/* Something is wrong with what was installed: the previous generation comes back, then this error is reported. */
static int deploy_back(struct order *o, const struct err *err)
{
	order_set_fail(o, err);
	o->told = o->m.state == ORDER_TEST ? 0 : o->m.state == ORDER_RELOAD ? o->service + 1 : o->cert->conf->service.n;
	if (o->told)
		o->service = 0;
	return ORDER_ROLLBACK;
}

/* As deploy_back; the error names the service it is about. */
static int deploy_back_from_service(struct order *o, const struct err *err)
{
	const struct conf_service *s = deploy_service(o);
	struct err named;

	if (!s)
		return deploy_back(o, err);
	err_set(&named, err->kind, err->type, "service %s: %s", s->name, err->detail);
	return deploy_back(o, &named);
}

/* --- install ---------------------------------------------------------------------------------------------------------- */

static void deploy_install_now(void *owner)
{
	struct order *o = owner;
	struct js *request = order_named(o);

	js_put_str(request, "chain", o->cert->chain);
	o->place = cert_place(o->cert->conf);
	order_ask_keeper(o, &o->m, "install", request, deploy_patience_ms(o));
}

/* A certificate that is not valid yet by our clock (by X509_SKEW at most, else it was not accepted) would be refused by clients: it waits for its time. */
void deploy_install_begin(void *owner, struct machine *m)
{
	const struct order *o = owner;
	int64_t early = x509_leaf(o->leaf)->not_before - clock_now();

	if (early <= 0) {
		deploy_install_now(owner);
		return;
	}
	log_info("certificate is not valid yet: it is installed when it is", "cert", o->cert->name, "not_before",
		log_time(x509_leaf(o->leaf)->not_before), NULL);
	timer_arm(&m->timer, early * 1000, deploy_install_now, owner);
}

static void deploy_note_leaf(struct order *o)
{
	const struct x509_leaf *leaf = x509_leaf(o->leaf);
	struct cert *c = o->cert;

	cert_set_leaf(c, leaf);
	cert_set_ca(c, o->issuer->name);
	c->issue = o->issue;
	c->generation = o->generation;
	x509_free(o->leaf); /* it may wait long now, among many */
	o->leaf = NULL;
}

int deploy_install_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (order_keeper_busy(m, err))
		return MACHINE_AGAIN;
	if (err->kind == ERR_DENIED) { /* the keeper's own acceptance check says no: this chain is good for nothing */
		order_forget(o);
		return MACHINE_FAIL;
	}
	if (err->kind != ERR_NONE)
		return MACHINE_FAIL;
	o->generation = js_int(answer, "generation", 0);
	if (js_int(answer, "previous", 0) && !o->stays)
		o->previous = js_int(answer, "previous", 0);
	deploy_note_leaf(o);
	if (!o->stays)
		o->cert->back = (struct cert_back){0};
	log_notice("certificate installed", "cert", o->cert->name, "ca", o->issuer->name, "generation", log_num(o->generation), "not_after",
		log_time(o->cert->not_after), NULL);
	o->service = 0;
	o->asleep = 0;
	if (!o->known) {
		o->known = look_own_known(o->cert);
		arena_attach(o->arena, o->known, free);
	}
	cert_reset_targets(o->cert);
	return o->cert->conf->service.n ? ORDER_GATHER : ORDER_CONFIRM;
}

/* --- gather: one test and one reload for many -------------------------------------------------------------------------- */

static void deploy_gathered(void *arg)
{
	machine_ended(arg, NULL, NULL);
}

static void deploy_cancel_gather(void *arg, void *op)
{
	struct order *o = arg;

	(void)op;
	o->env->stay(o->env->arg, o);
}

void deploy_gather_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	o->env->gather(o->env->arg, o, deploy_gathered, machine_call(m));
	machine_pending(m, o, deploy_cancel_gather, o);
}

int deploy_gather_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	(void)owner, (void)m, (void)answer, (void)err;
	return ORDER_TEST;
}

/* --- test and reload: one service after the other --------------------------------------------------------------------- */

static void deploy_ran(void *arg, const struct js *answer, const struct err *err)
{
	machine_ended(arg, answer, err);
}

static void deploy_cancel_run(void *arg, void *op)
{
	(void)arg;
	errand_cancel(op);
}

static void deploy_run(struct order *o, struct machine *m, const char *op)
{
	const struct conf_service *s = deploy_service(o);
	struct errand_wish wish = {.op = op, .cert = o->cert->name, .conf = o->env->digest(o->env->arg), .timeout_ms = deploy_patience_ms(o)};

	if (!s) {
		machine_skip(m, NULL);
		return;
	}
	wish.service = s->name;
	machine_pending(m, errand_ask(o->env->errands, &wish, deploy_ran, machine_call(m)), deploy_cancel_run, NULL);
}

void deploy_test_begin(void *owner, struct machine *m)
{
	deploy_run(owner, m, "test");
}

int deploy_test_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (order_keeper_busy(m, err))
		return MACHINE_AGAIN;
	if (err->kind != ERR_NONE)
		return deploy_back_from_service(o, err);
	if (answer && deploy_service(o)) {
		o->service++;
		m->wait_ms = 0;
		return MACHINE_AGAIN;
	}
	o->service = 0;
	return ORDER_RELOAD;
}

void deploy_reload_begin(void *owner, struct machine *m)
{
	deploy_run(owner, m, "load");
}

static bool deploy_slept(const struct order *o, size_t service)
{
	return service < 64 && o->asleep & (UINT64_C(1) << service);
}

static bool deploy_next_service(struct order *o, struct machine *m, const struct js *answer)
{
	if (!answer || !deploy_service(o))
		return false;
	if (!js_bool(answer, "ran", true) && (deploy_service(o)->unit || deploy_service(o)->haproxy) && o->service < 64)
		o->asleep |= UINT64_C(1) << o->service;
	o->service++;
	m->wait_ms = 0;
	return true;
}

int deploy_reload_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (order_keeper_busy(m, err))
		return MACHINE_AGAIN;
	if (err->kind != ERR_NONE)
		return deploy_back_from_service(o, err);
	if (deploy_next_service(o, m, answer))
		return MACHINE_AGAIN;
	o->look = 0;
	err_clear(&o->fail);
	o->look_until_ms = clock_mono_ms() + LOOK_PATIENCE_MS;
	return ORDER_LOOK;
}

/* --- look: success is what was seen on the wire ------------------------------------------------------------------------- */

static void deploy_seen(void *arg, const struct tls_seen *seen, const struct err *err)
{
	machine_ended(arg, seen, err);
}

static void deploy_cancel_look(void *arg, void *op)
{
	((struct order *)arg)->env->look_cancel(op);
}

/* Where services listen that are to be found by themselves is asked once, and first. */
static bool deploy_lacks_own(const struct order *o)
{
	return !o->own && look_wants_own(o->cert->conf);
}

struct found {
	const struct addr *addrs;
	size_t n;
};

static void deploy_found(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct found found = {addrs, n};

	machine_ended(arg, err ? NULL : &found, NULL);
}

static void deploy_take_own(struct order *o, const struct found *found)
{
	o->own = found ? look_own_of(found->addrs, found->n) : o->known;
	if (o->own != o->known)
		arena_attach(o->arena, o->own, free);
}

static void deploy_cancel_find(void *arg, void *op)
{
	((struct order *)arg)->env->addresses_cancel(op);
}

static void deploy_find(struct order *o, struct machine *m)
{
	char name[NAME_ROOM + 8];

	if (o->env->addresses)
		machine_pending(m, o->env->addresses(o->env->arg, look_name(o->cert->conf, name), deploy_found, machine_call(m)), deploy_cancel_find, o);
	else
		machine_skip(m, NULL);
}

void deploy_look_begin(void *owner, struct machine *m)
{
	struct order *o = owner;
	struct look_at at;
	struct tls_ask ask;

	if (deploy_lacks_own(o))
		deploy_find(o, m);
	else if (!look_find(o->cert->conf, o->own, o->look, &at) || deploy_slept(o, at.nth) || !look_ask(o->cert->conf, &at, &ask))
		machine_skip(m, NULL);
	else
		machine_pending(m, o->env->look(&ask, deploy_seen, machine_call(m)), deploy_cancel_look, o);
}

/* As long again as was waited already. */
static int64_t deploy_look_wait(const struct order *o)
{
	int64_t waited = clock_mono_ms() - (o->look_until_ms - LOOK_PATIENCE_MS);

	return waited < LOOK_FIRST_MS ? LOOK_FIRST_MS : waited > LOOK_CAP_MS ? LOOK_CAP_MS : waited;
}

static int deploy_look_next(struct order *o, struct machine *m)
{
	o->look++;
	m->wait_ms = 0;
	return MACHINE_AGAIN;
}

/* The last one of its service? */
static bool deploy_look_leaves(const struct order *o, const struct look_at *at)
{
	struct look_at next;

	return !look_find(o->cert->conf, o->own, o->look + 1, &next) || next.nth != at->nth;
}

/* Nobody answers: the reload broke it, the previous generation comes back; that is so of each address that is configured, and of those that were found when
 * none of them answers. Who serves another one reads something else, or has not read it again: nothing is broken, what was issued stays in place, and that
 * it is not served is told until it is. */
static int deploy_looked(struct order *o, struct machine *m, const struct look_at *at, const void *answer, struct err *err)
{
	enum look_verdict verdict = look_note(o->cert, at, answer, err, NULL);
	bool last = deploy_look_leaves(o, at), given_up = verdict == LOOK_NOTHING && at->found && o->answered;

	if (verdict != LOOK_OURS && !given_up && clock_mono_ms() < o->look_until_ms) {
		m->wait_ms = deploy_look_wait(o);
		return MACHINE_AGAIN;
	}
	if (verdict == LOOK_NOTHING && (!at->found || (last && !o->answered)))
		return deploy_back(o, err);
	if (verdict == LOOK_NOTHING)
		log_warning("an address of the name on this host does not answer", "cert", o->cert->name, "service", at->service->name, "error",
			log_err(err), NULL);
	if (verdict == LOOK_OTHER && o->fail.kind == ERR_NONE)
		order_set_fail(o, err);
	o->answered = !last && (o->answered || verdict != LOOK_NOTHING);
	return deploy_look_next(o, m);
}

int deploy_look_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;
	struct look_at at;

	if (deploy_lacks_own(o)) {
		deploy_take_own(o, answer);
		m->wait_ms = 0;
		return MACHINE_AGAIN;
	}
	if (!look_find(o->cert->conf, o->own, o->look, &at)) {
		*err = o->fail;
		return o->fail.kind == ERR_NONE ? (int)ORDER_CONFIRM : MACHINE_FAIL;
	}
	if (!deploy_slept(o, at.nth))
		return deploy_looked(o, m, &at, answer, err);
	cert_target_note(cert_target(o->cert, at.service->name, at.address), NULL, "the service is not running");
	return deploy_look_next(o, m);
}

/* --- confirm ---------------------------------------------------------------------------------------------------------- */

void deploy_confirm_begin(void *owner, struct machine *m)
{
	order_ask_keeper(owner, m, "confirm", order_named(owner), DEPLOY_KEEPER_MS);
}

int deploy_confirm_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	(void)answer;
	if (order_keeper_busy(m, err))
		return MACHINE_AGAIN;
	if (err->kind != ERR_NONE) /* served all the same: clearing up waits for the next time */
		log_warning("old generations could not be cleared", "cert", o->cert->name, "error", log_err(err), NULL);
	order_forget(o);
	return ORDER_DONE;
}

/* --- the way back ------------------------------------------------------------------------------------------------------- */

void deploy_rollback_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	if (o->previous)
		order_ask_keeper(o, m, "rollback", order_named(o), deploy_patience_ms(o));
	else
		machine_skip(m, NULL); /* the first one: nothing to go back to */
}

/* The first one that fails has nothing to go back to, but a unit that went down over it is started again all the same. */
int deploy_rollback_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (order_keeper_busy(m, err))
		return MACHINE_AGAIN;
	if (err->kind != ERR_NONE)
		log_error("the previous certificate could not be put back", "cert", o->cert->name, "error", log_err(err), NULL);
	if (answer) {
		log_warning("previous certificate put back", "cert", o->cert->name, "generation", log_num(js_int(answer, "generation", 0)), "because",
			log_err(&o->fail), NULL);
		o->env->event(o->env->arg, o, "rolled-back", js_from_err(&o->fail));
	}
	*err = o->fail;
	return o->told || answer ? (int)ORDER_RESTORE : MACHINE_FAIL;
}

/* Those that were told of the new one and ran before that. Without a previous certificate a command would only be repeated. */
static bool deploy_restores(const struct order *o)
{
	const struct conf_service *s = deploy_service(o);

	return o->service < o->told && s && !deploy_slept(o, o->service) && (o->previous || s->unit);
}

void deploy_restore_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	if (!o->told) { /* nobody was told of the new one: no reload, but is it to blame? */
		deploy_run(o, m, "test");
		return;
	}
	while (o->service < o->told && !deploy_restores(o))
		o->service++;
	if (deploy_restores(o))
		deploy_run(o, m, "restore");
	else
		machine_skip(m, NULL);
}

/* How the test ended with the previous one. */
static void deploy_blame(struct order *o, const struct err *err)
{
	char *text;

	if (err->kind != ERR_NONE && strcmp(err->type, o->fail.type) != 0)
		return; /* it was not tested */
	text = mem_printf("with the %s: %s", err->kind == ERR_NONE ? "new certificate only" : "previous certificate, too", o->fail.detail);
	snprintf(o->fail.detail, sizeof(o->fail.detail), "%s", text);
	free(text);
}

int deploy_restore_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	(void)answer;
	if (order_keeper_busy(m, err))
		return MACHINE_AGAIN;
	if (!o->told)
		deploy_blame(o, err);
	if (!deploy_restores(o)) {
		*err = o->fail;
		return MACHINE_FAIL;
	}
	if (err->kind != ERR_NONE) /* the others are to be told all the same */
		log_error("the service could not be brought back", "cert", o->cert->name, "service", deploy_service(o)->name, "error", log_err(err), NULL);
	o->service++;
	m->wait_ms = 0;
	return MACHINE_AGAIN;
}
