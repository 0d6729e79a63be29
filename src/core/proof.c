/* SPDX-License-Identifier: ISC */
#include "core/proof.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/order.h"
#include "core/schedule.h"

enum proof_state { PROOF_PLAN, PROOF_PUBLISH, PROOF_SEE, PROOF_ANNOUNCE, PROOF_POLL, PROOF_REVIEW, PROOF_WITHDRAW, PROOF_DONE };

enum {
	POLL_FIRST_MS = 5,      /* without a word of the CA: quick at first, ... */
	POLL_CAP_MS = 5000,     /* ... polite soon */
	PROOF_POLL_S = 600,     /* the CA's time to make up its mind */
	PROOF_CA_S = 900,       /* for one answer */
	PROOF_WRITE_S = 300,    /* to publish or withdraw, finding the zone included */
	PROOF_SEE_S = 90000,    /* beyond what may be configured: a method ends by itself */
	SEE_WAIT_MS = 250,
	SEE_TRIES = 40,
	COMPANY_WAIT_MS = 20,
	COMPANY_MOST_MS = 60000, /* for a withdrawal: the other one's look may take a day */
	ANNOUNCE_TRIES = 3,
	ANNOUNCE_DOUBT_MS = 1000,
	POLL_TRIES = 3,         /* polls that fail in a row */
	WITHDRAW_TRIES = 3,
};

static void proof_cancel_method(void *arg, void *op)
{
	struct proof *p = arg;

	p->how->ops->cancel(op);
}

static void proof_issuer_ended(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	machine_ended(arg, answer, err);
}

static void proof_method_ended(void *arg, const struct js *report, const struct err *err)
{
	machine_ended(arg, report, err);
}

static struct method_proof proof_shown(const struct proof *p)
{
	return (struct method_proof){.ca = p->order->issuer->name, .name = p->name, .wildcard = p->wildcard, .token = p->token,
		.thumbprint = p->thumbprint, .place = p->place};
}

/* The first failure is what people are told; the proof goes on to withdraw. */
static int proof_fail(struct proof *p, const struct err *err)
{
	if (p->err.kind == ERR_NONE)
		p->err = *err;
	return p->published ? PROOF_WITHDRAW : PROOF_DONE;
}

/* --- plan ------------------------------------------------------------------------------------------------------------- */

static void proof_plan_begin(void *owner, struct machine *m)
{
	struct proof *p = owner;
	struct issuer *is = p->order->issuer;

	order_pending(p->order, m, is->ops->authz(is, p->url, proof_issuer_ended, machine_call(m)));
}

static bool proof_was_asked(const struct proof *p, const struct issuer_authz *a)
{
	const struct conf_list *names = &p->order->cert->conf->names;

	for (size_t i = 0; i < names->n; i++) {
		bool wild = strncmp(names->v[i], "*.", 2) == 0;

		if (wild == a->wildcard && strcmp(names->v[i] + (wild ? 2 : 0), a->name) == 0)
			return true;
	}
	return false;
}

/* May this method be tried? Otherwise *err says why not. */
static enum method_fit proof_fit(const struct method *how, const struct issuer_authz *a, const struct issuer_challenge **found, struct err *err)
{
	enum method_fit fit;
	struct err why;

	fit = how->ops->fits(how, a->name, a->wildcard, &why);
	if (fit == METHOD_NO) {
		err_set(err, ERR_DENIED, "no-method", "%s cannot prove %s%s: %s", how->name, a->wildcard ? "*." : "", a->name, why.detail);
		return METHOD_NO;
	}
	for (size_t k = 0; k < a->nchallenge; k++)
		if (strcmp(a->challenge[k].type, how->ops->challenge) == 0 && a->challenge[k].token) {
			*found = &a->challenge[k];
			return fit;
		}
	err_set(err, ERR_DENIED, "no-method", "the CA does not offer %s for %s, which %s would need", how->ops->challenge, a->name, how->name);
	return METHOD_NO;
}

/* The first method of the prove list that fits the name and whose challenge the CA offers, before those of which only trying tells; NULL and *err when
 * there is none. */
static struct method *proof_choose(const struct proof *p, const struct issuer_authz *a, const struct issuer_challenge **found, struct err *err)
{
	const struct order *o = p->order;
	const struct issuer_challenge *c;
	struct method *perhaps = NULL;

	err_set(err, ERR_DENIED, "no-method", "no entry of `prove` can prove %s%s", a->wildcard ? "*." : "", a->name);
	for (size_t i = 0; i < o->methods.nprove; i++) {
		enum method_fit fit = proof_fit(o->methods.v[i], a, &c, err);

		if (fit == METHOD_YES) {
			*found = c;
			return o->methods.v[i];
		}
		if (fit == METHOD_PERHAPS && !perhaps) {
			perhaps = o->methods.v[i];
			*found = c;
		}
	}
	return perhaps;
}

static void proof_take(struct proof *p, struct method *how, const struct issuer_challenge *c)
{
	struct arena *a = p->order->arena;

	p->how = how;
	p->method = arena_strdup(a, p->how->name);
	p->challenge = arena_strdup(a, c->url);
	p->token = arena_strdup(a, c->token);
	p->thumbprint = p->order->thumbprint;
	if (!p->published) /* else the method is told where, and clears that up if it is another place now */
		p->place = NULL;
}

/* What the CA says of the authorization, wherever it says it: a step to go to, or -3 when it is simply pending. */
static int proof_judge(struct proof *p, const struct issuer_authz *a, struct err *err)
{
	switch (a->status) {
	case ISSUER_VALID:
		p->open = false;
		return p->published ? PROOF_WITHDRAW : PROOF_DONE;
	case ISSUER_PENDING:
	case ISSUER_PROCESSING:
	case ISSUER_READY:
		p->open = true;
		return -3;
	case ISSUER_INVALID:
	case ISSUER_GONE:
		break;
	}
	p->open = false;
	if (a->problem)
		*err = *a->problem;
	else
		err_set(err, ERR_TEMP, "authorization", "the authorization for %s is %s", a->name, issuer_status_name(a->status));
	if (p->m.state != PROOF_POLL || !p->how->ops->review)
		return proof_fail(p, err);
	(void)proof_fail(p, err);
	return PROOF_REVIEW;
}

/* What a see() passed and the CA judged: the method may learn from it. A no without a word may be about anything. Returns for how many seconds the CA may
 * keep what it saw instead. */
static int64_t proof_tell_judgement(struct proof *p, const struct issuer_authz *a)
{
	struct method_proof shown = proof_shown(p);
	bool valid = a->status == ISSUER_VALID, invalid = a->status == ISSUER_INVALID && a->problem;

	if (!p->how->ops->judged || !(valid || invalid) || p->order->cert->conf->self_check == CONF_CHECK_OFF)
		return 0;
	return p->how->ops->judged(p->how, &shown, valid ? NULL : a->problem);
}

static void proof_wait_for_ca(struct proof *p, int64_t kept_s)
{
	int64_t forgotten = schedule_forgotten(conf_ca_address(p->order->cert->conf->ca), kept_s, clock_now());

	if (kept_s > 0 && p->err.not_before < forgotten)
		p->err.not_before = forgotten;
}

static int proof_plan_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	const struct issuer_answer *is = answer;
	const struct issuer_challenge *c = NULL;
	struct proof *p = owner;
	struct method *how;
	int next;

	(void)m;
	if (err->kind != ERR_NONE)
		return proof_fail(p, err);
	p->name = arena_strdup(p->order->arena, is->authz->name);
	p->wildcard = is->authz->wildcard;
	if (!proof_was_asked(p, is->authz)) {
		err_set(err, ERR_DENIED, "malformed", "the CA sent an authorization for %s%s, which was not asked for",
			p->wildcard ? "*." : "", p->name);
		return proof_fail(p, err);
	}
	next = proof_judge(p, is->authz, err);
	if (next != -3)
		return next;
	how = proof_choose(p, is->authz, &c, err);
	if (!how)
		return proof_fail(p, err);
	if (p->published && (strcmp(p->token, c->token) != 0 || strcmp(p->method, how->name) != 0))
		return PROOF_WITHDRAW; /* of an older attempt; the plan is made again afterwards */
	proof_take(p, how, c);
	return c->status == ISSUER_PROOF_PROCESSING && p->published ? PROOF_POLL : PROOF_PUBLISH;
}

static struct js *proof_keep(struct proof *p, const struct js *told)
{
	struct js *kept = told ? js_ref((struct js *)told) : NULL;

	if (kept)
		arena_attach(p->order->arena, kept, (void (*)(void *))js_free);
	return kept;
}

/* --- publish, see, announce ------------------------------------------------------------------------------------------- */

static void proof_publish_begin(void *owner, struct machine *m)
{
	struct proof *p = owner;
	struct method_proof shown = proof_shown(p);

	machine_pending(m, p->how->ops->publish(p->how, &shown, proof_method_ended, machine_call(m)), proof_cancel_method, p);
}

static int proof_publish_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct proof *p = owner;

	(void)m;
	if (err->kind == ERR_NONE || answer) /* what failed may have been done all the same, there */
		p->place = proof_keep(p, answer);
	if (err->kind != ERR_NONE)
		return proof_fail(p, err);
	return p->order->cert->conf->self_check == CONF_CHECK_OFF ? PROOF_ANNOUNCE : PROOF_SEE;
}

#define TO(state) (1u << PROOF_##state)
enum { NOT_YET_THERE = TO(PLAN) | TO(PUBLISH), LOOKED_AT = TO(SEE) | TO(ANNOUNCE) | TO(POLL) };

/* A name and its wildcard have their values at one place. */
static bool proof_has_company(const struct proof *p, unsigned states)
{
	const struct order *o = p->order;

	for (size_t i = 0; i < o->nproofs; i++) {
		const struct proof *q = &o->proofs[i];

		if (q != p && q->running && (states & 1u << q->m.state) && (!*q->name || strcmp(q->name, p->name) == 0))
			return true;
	}
	return false;
}

/* Who overwrites instead of adding is found out only by a look at both. */
static void proof_see_begin(void *owner, struct machine *m)
{
	struct proof *p = owner;
	struct method_proof shown = proof_shown(p);

	p->held = p->how->ops->strict && proof_has_company(p, NOT_YET_THERE);
	if (p->held) {
		machine_skip(m, NULL);
		return;
	}
	p->seeing = p->how->ops->see(p->how, &shown, proof_method_ended, machine_call(m));
	machine_pending(m, p->seeing, proof_cancel_method, p);
}

static void proof_keep_report(struct proof *p, const struct js *report, const struct err *err)
{
	struct js *kept = report ? js_ref((struct js *)report) : js_object();

	if (!report && err->kind != ERR_NONE)
		js_put(kept, "error", js_from_err(err));
	arena_attach(p->order->arena, kept, (void (*)(void *))js_free);
	p->report = kept;
}

static int proof_see_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct proof *p = owner;
	bool require = p->how->ops->strict || p->order->cert->conf->self_check == CONF_CHECK_REQUIRE;

	if (p->held && !m->late) {
		m->wait_ms = COMPANY_WAIT_MS;
		return MACHINE_AGAIN;
	}
	p->seeing = NULL;
	proof_keep_report(p, answer, err);
	if (err->kind == ERR_NONE)
		return PROOF_ANNOUNCE;
	if (!require) {
		log_warning("the proof was not seen everywhere by our own check; the CA is asked all the same (self_check = \"advise\")", "cert",
			p->order->cert->name, "name", p->name, "method", p->method, "seen", err->detail, NULL);
		return PROOF_ANNOUNCE;
	}
	if (!p->how->ops->strict && !m->late && ++p->tries < SEE_TRIES) {
		m->wait_ms = SEE_WAIT_MS;
		return MACHINE_AGAIN;
	}
	return proof_fail(p, err);
}

static void proof_announce_begin(void *owner, struct machine *m)
{
	struct proof *p = owner;
	struct issuer *is = p->order->issuer;

	order_pending(p->order, m, is->ops->announce(is, p->challenge, proof_issuer_ended, machine_call(m)));
}

static int64_t proof_poll_wait(const struct machine *m, int64_t said)
{
	int64_t wait = POLL_FIRST_MS;

	for (unsigned i = 0; i < m->again && wait < POLL_CAP_MS; i++)
		wait *= 2;
	return said > 0 ? said : wait < POLL_CAP_MS ? wait : POLL_CAP_MS;
}

static int proof_announce_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct proof *p = owner;

	/* A doubtful or a late answer ("conflict", "malformed" for one that is not pending any more): the authorization itself knows. */
	p->doubtful = err->kind == ERR_TEMP && m->visits[PROOF_ANNOUNCE] < ANNOUNCE_TRIES;
	if (err->kind != ERR_NONE && !p->doubtful && strcmp(err->type, "conflict") != 0 && strcmp(err->type, "malformed") != 0)
		return proof_fail(p, err);
	p->wait_ms = p->doubtful ? ANNOUNCE_DOUBT_MS : answer ? ((const struct issuer_answer *)answer)->wait_ms : 0;
	return PROOF_POLL;
}

/* --- poll ------------------------------------------------------------------------------------------------------------- */

static void proof_poll_now(void *owner)
{
	struct proof *p = owner;
	struct issuer *is = p->order->issuer;
	struct machine_call *call = machine_call(&p->m);

	order_pending(p->order, &p->m, is->ops->authz(is, p->url, proof_issuer_ended, call));
}

static void proof_poll_begin(void *owner, struct machine *m)
{
	if (m->again == 0)
		timer_arm(&m->timer, proof_poll_wait(m, ((struct proof *)owner)->wait_ms), proof_poll_now, owner);
	else
		proof_poll_now(owner);
}

static bool proof_was_heard(const struct proof *p, const struct issuer_authz *a)
{
	for (size_t i = 0; i < a->nchallenge; i++)
		if (strcmp(a->challenge[i].url, p->challenge) == 0)
			return a->challenge[i].status != ISSUER_PROOF_PENDING;
	return true;
}

static int proof_poll_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	const struct issuer_answer *is = answer;
	struct proof *p = owner;
	int64_t kept_s;
	int next;

	/* The CA may be looking at the proof right now: it is not taken away for one answer that got lost. */
	if (err->kind == ERR_TEMP && !m->late && ++p->tries < POLL_TRIES) {
		m->wait_ms = POLL_CAP_MS;
		return MACHINE_AGAIN;
	}
	if (err->kind != ERR_NONE)
		return proof_fail(p, err);
	p->tries = 0;
	kept_s = proof_tell_judgement(p, is->authz);
	next = proof_judge(p, is->authz, err);
	proof_wait_for_ca(p, kept_s);
	if (next != -3)
		return next;
	if (p->doubtful && !proof_was_heard(p, is->authz))
		return PROOF_ANNOUNCE;
	m->wait_ms = proof_poll_wait(m, is->authz->wait_ms);
	return MACHINE_AGAIN;
}

/* --- review: the CA did not see it -------------------------------------------------------------------------------------- */

static void proof_review_begin(void *owner, struct machine *m)
{
	struct proof *p = owner;
	struct method_proof shown = proof_shown(p);

	machine_pending(m, p->how->ops->review(p->how, &shown, proof_method_ended, machine_call(m)), proof_cancel_method, p);
}

/* Whatever came of it, the CA's word is what failed; beside it stands what we see. */
static int proof_review_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct proof *p = owner;
	struct js *both = js_object();

	(void)m;
	js_put(both, "ca", js_from_err(&p->err));
	if (answer)
		js_put(both, "seen", js_ref((struct js *)answer));
	if (err->kind != ERR_NONE)
		js_put(both, "error", js_from_err(err));
	if (!p->report)
		proof_keep_report(p, NULL, err);
	js_put(p->report, "review", both);
	return p->published ? PROOF_WITHDRAW : PROOF_DONE;
}

/* --- withdraw --------------------------------------------------------------------------------------------------------- */

/* What it was published with, not what the plan may have chosen since. */
static struct method *proof_publisher(const struct proof *p)
{
	const struct order_methods *all = &p->order->methods;

	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i]->name, p->method) == 0)
			return all->v[i];
	return NULL;
}

bool proof_can_withdraw(const struct proof *p)
{
	return p->published && proof_publisher(p);
}

struct method_call *proof_withdraw(struct proof *p, method_done *done, void *arg)
{
	struct method_proof shown = proof_shown(p);

	p->how = proof_publisher(p);
	return p->how->ops->withdraw(p->how, &shown, done, arg);
}

/* What is taken away here is still there at slower name servers. A resolver that compares what they say (use-caps-for-id of Unbound, where some are slow)
 * fails then, also for the other one, which the CA may be looking at. */
static bool proof_is_held(const struct proof *p, const struct machine *m)
{
	bool is_over = !p->open || p->err.kind != ERR_NONE; /* else it is an older token, in the way of the next */

	return is_over && proof_publisher(p)->ops->strict && proof_has_company(p, LOOKED_AT) && clock_mono_ms() - m->entered_ms < COMPANY_MOST_MS;
}

static void proof_withdraw_begin(void *owner, struct machine *m)
{
	struct proof *p = owner;

	p->held = proof_is_held(p, m);
	if (p->held)
		machine_skip(m, NULL);
	else
		machine_pending(m, proof_withdraw(p, proof_method_ended, machine_call(m)), proof_cancel_method, p);
}

static int proof_withdraw_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct proof *p = owner;

	(void)answer;
	if (p->held && !m->late) {
		m->wait_ms = COMPANY_WAIT_MS;
		return MACHINE_AGAIN;
	}
	if (err->kind != ERR_NONE && !m->late && ++p->tries < WITHDRAW_TRIES) {
		m->wait_ms = 1000;
		return MACHINE_AGAIN;
	}
	if (err->kind != ERR_NONE)
		log_warning("a proof could not be withdrawn; the next attempt tries again", "cert", p->order->cert->name, "name", p->name, "method",
			p->method, "error", err->detail, NULL);
	else
		p->published = false;
	return p->open && p->err.kind == ERR_NONE ? PROOF_PLAN : PROOF_DONE;
}

/* --- the table -------------------------------------------------------------------------------------------------------- */

static const struct machine_state proof_table[] = {
	[PROOF_PLAN] = {"plan", proof_plan_begin, proof_plan_ended, 3, PROOF_CA_S, TO(PUBLISH) | TO(POLL) | TO(WITHDRAW) | TO(DONE)},
	[PROOF_PUBLISH] = {"publish", proof_publish_begin, proof_publish_ended, 3, PROOF_WRITE_S, TO(SEE) | TO(ANNOUNCE) | TO(WITHDRAW) | TO(DONE)},
	[PROOF_SEE] = {"see", proof_see_begin, proof_see_ended, 3, PROOF_SEE_S, TO(ANNOUNCE) | TO(WITHDRAW) | TO(DONE)},
	[PROOF_ANNOUNCE] = {"announce", proof_announce_begin, proof_announce_ended, 3, PROOF_CA_S, TO(POLL) | TO(WITHDRAW) | TO(DONE)},
	[PROOF_POLL] = {"poll", proof_poll_begin, proof_poll_ended, 3, PROOF_POLL_S, TO(ANNOUNCE) | TO(REVIEW) | TO(WITHDRAW) | TO(DONE)},
	[PROOF_REVIEW] = {"review", proof_review_begin, proof_review_ended, 3, 60, TO(WITHDRAW) | TO(DONE)},
	[PROOF_WITHDRAW] = {"withdraw", proof_withdraw_begin, proof_withdraw_ended, 3, PROOF_WRITE_S, TO(PLAN) | TO(DONE)},
	[PROOF_DONE] = {"done", NULL, NULL, 0, 0, 0},
};
#undef TO

static void proof_moved(void *owner, int from, int to)
{
	struct proof *p = owner;
	bool placed = from == PROOF_PUBLISH && p->place;

	p->tries = 0;
	if (to == PROOF_PUBLISH)
		p->published = true; /* written ahead: a crash in between withdraws what may be there */
	/* Only a token about to be published, and where it was, must be known after a crash. */
	p->order->env->save(p->order->env->arg, p->order, to == PROOF_PUBLISH || placed);
}

static void proof_finished(void *owner, const struct err *err)
{
	struct proof *p = owner;

	if (err && p->err.kind == ERR_NONE)
		p->err = *err;
	p->running = false;
	if (p->err.kind != ERR_NONE && !p->err.during[0])
		snprintf(p->err.during, sizeof(p->err.during), "prove %.80s", p->name);
	order_proof_ended(p->order, p);
}

void proof_start(struct proof *p)
{
	static const struct machine_ops ops = {proof_table, sizeof(proof_table) / sizeof(proof_table[0]), proof_moved, proof_finished};

	memset(&p->m, 0, sizeof(p->m));
	err_clear(&p->err);
	p->running = true;
	p->doubtful = false;
	p->seeing = NULL;
	p->tries = 0;
	machine_start(&p->m, &ops, p, p->open ? PROOF_PLAN : PROOF_WITHDRAW);
}

void proof_stop(struct proof *p)
{
	machine_stop(&p->m);
	p->seeing = NULL;
	p->running = false;
}

const char *proof_state(const struct proof *p)
{
	return p->running ? machine_state_name(&p->m) : p->err.kind != ERR_NONE ? "failed" : p->open ? "pending" : "valid";
}

const struct js *proof_seen(const struct proof *p)
{
	const struct js *so_far = p->seeing && p->how->ops->seeing ? p->how->ops->seeing(p->seeing) : NULL;

	return so_far ? so_far : p->report;
}
