/* SPDX-License-Identifier: ISC */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum { COMMIT_SOON_MS = 1000, COMMIT_RETRY_MS = 5000 };

/* --- events and records ------------------------------------------------------------------------------------------------- */

static void registry_reap_watches(struct registry *r)
{
	struct registry_watch *w, **at = &r->watches;

	if (r->telling)
		return;
	while ((w = *at)) {
		if (!w->dead) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w->cert);
		free(w);
	}
}

static const char *const outcome_words[REGISTRY_OUTCOMES] = {
	"issued", "done", "failed", "stale", "held", "rolled-back", "revoked", "drifted", "mended", "removed",
};

static void registry_count(struct registry *r, const char *event, enum cert_state state)
{
	const char *word = strcmp(event, "failed") == 0 && (state == CERT_STALE || state == CERT_HELD) ? cert_state_name(state) : event;

	for (size_t i = 0; i < REGISTRY_OUTCOMES; i++)
		r->outcomes[i].times += strcmp(r->outcomes[i].word, word) == 0;
}

const struct registry_outcome *registry_outcomes(const struct registry *r, size_t *n)
{
	*n = REGISTRY_OUTCOMES;
	return r->outcomes;
}

/* detail is taken over. Kept in the history unless it is only a step on the way. */
void registry_event(struct registry *r, const struct cert *c, const char *event, struct js *detail, bool keep)
{
	if (keep) {
		registry_count(r, event, c->state);
		store_event(r->store, clock_now_us(), c->name, event, detail);
	}
	if (r->watches) {
		if (!detail)
			detail = js_object();
		js_put_time(detail, "at", clock_now());
		js_put_str(detail, "cert", c->name);
		js_put_str(detail, "event", event);
		js_put_str(detail, "state", cert_state_name(c->state));
		r->telling++;
		for (struct registry_watch *w = r->watches; w; w = w->next)
			if (!w->dead && (!w->cert || strcmp(w->cert, c->name) == 0))
				w->fn(w->arg, detail);
		r->telling--;
		registry_reap_watches(r);
	}
	js_free(detail);
}

void registry_replan(struct registry *r, struct cert *c)
{
	registry_plan(r, c);
	registry_event(r, c, "planned", NULL, false);
}

void registry_save_soon(struct registry *r, struct cert *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->next_dirty = r->dirty;
	r->dirty = c;
}

void registry_save(struct registry *r, struct cert *c)
{
	registry_save_soon(r, c);
	c->urgent = r->urgent = true;
}

void registry_keep(struct cert *c, const struct order *o)
{
	js_free(c->products);
	c->products = order_save(o);
}

static void registry_write_chain(struct registry *r, struct cert *c)
{
	struct js *record;

	c->chain_changed = false;
	if (!c->chain) {
		store_drop(r->store, "chain", c->name);
		return;
	}
	record = js_object();
	js_put_str(record, "pem", c->chain);
	store_put(r->store, "chain", c->name, record);
	js_free(record);
}

static void registry_write(struct registry *r, struct cert *c)
{
	struct js *record;

	c->dirty = c->urgent = false;
	if (c->order)
		registry_keep(c, c->order);
	record = cert_save(c);
	store_put(r->store, "cert", c->name, record);
	js_free(record);
	if (c->order) { /* thousands may be under way */
		js_free(c->products);
		c->products = NULL;
	}
	if (c->chain_changed)
		registry_write_chain(r, c);
}

/* What may wait does, even when another certificate cannot: in a second it has mostly changed again. */
static void registry_write_dirty(struct registry *r, bool all)
{
	struct cert **at = &r->dirty, *c;

	while ((c = *at)) {
		if (all || c->urgent) {
			*at = c->next_dirty;
			registry_write(r, c);
		} else {
			at = &c->next_dirty;
		}
	}
}

static void registry_unsave(struct registry *r, struct cert *c)
{
	struct cert **at;

	for (at = &r->dirty; *at && *at != c; at = &(*at)->next_dirty)
		;
	if (*at)
		*at = c->next_dirty;
	c->dirty = c->urgent = false;
}

static void registry_commit_now(void *arg)
{
	struct registry *r = arg;

	r->overdue = true; /* this very turn ends with the commit */
}

/* End of a turn: what was decided is committed, then the machines that moved begin. */
static bool registry_turn(void *arg)
{
	struct registry *r = arg;
	struct err err;

	if (r->urgent || r->overdue)
		registry_write_dirty(r, r->overdue);
	if (!store_commit(r->store, &err)) {
		if (!r->commit_failed)
			log_error("the journal cannot be written: no order goes on until it can; certificates in use are not touched", "error", log_err(&err),
				NULL);
		r->commit_failed = true;
		timer_arm(&r->commit_later, COMMIT_RETRY_MS, registry_commit_now, r);
		return false;
	}
	if (r->commit_failed)
		log_notice("the journal can be written again", NULL);
	r->commit_failed = r->urgent = r->overdue = false;
	if (!r->dirty)
		timer_disarm(&r->commit_later);
	else if (!timer_armed(&r->commit_later))
		timer_arm(&r->commit_later, COMMIT_SOON_MS, registry_commit_now, r);
	return machine_run();
}

/* --- configuration --------------------------------------------------------------------------------------------------------- */

void registry_drop_records(struct registry *r, const char *name)
{
	store_drop(r->store, "cert", name);
	store_drop(r->store, "chain", name);
	store_drop(r->store, "order", name);
	store_drop(r->store, "check", name);
}

/* A certificate that left: its order ends cleanly, files and keys stay where they are. */
static void registry_remove(struct registry *r, struct cert *c)
{
	log_notice("certificate left the configuration: it is not renewed any more, its files stay", "cert", c->name, NULL);
	registry_event(r, c, "removed", NULL, true);
	queue_drop(&r->due, c);
	registry_unwait(r, c);
	registry_unsave(r, c);
	c->conf = NULL;
	if (registry_orphan(r, c))
		return; /* the record tells what is still to be withdrawn until that is done */
	registry_drop_records(r, c->name);
	cert_free(c);
}

/* Left while we were not running. */
static void registry_remove_gone(void *arg, const char *name, const struct js *record)
{
	struct registry *r = arg;
	struct cert *c;

	if (conf_find_cert(r->conf, name))
		return;
	c = cert_new(name);
	cert_load(c, record);
	registry_remove(r, c);
}

/* Take up where the last run stopped. */
static void registry_take_up(struct registry *r, struct cert *c, const struct js *record)
{
	struct js *chain;

	cert_load(c, record);
	chain = c->products ? store_get(r->store, "chain", c->name) : NULL;
	cert_set_chain(c, js_str(chain, "pem") ? mem_strdup(js_str(chain, "pem")) : NULL);
	c->chain_changed = false;
	js_free(chain);
	if (js_int(record, "wish", 0) != (int64_t)c->conf->digest) { /* what failed before may well be mended now */
		c->attempts = 0;
		cert_set_error(c, NULL, 0);
	}
	if (c->state < CERT_STALE)
		c->state = CERT_WAITING;
	if (!c->conf->enabled) {
		registry_plan(r, c);
		registry_sweep_soon(r, c);
	} else if (c->attempts == 0 && !c->products && !c->unknown) {
		registry_plan(r, c);
	} else if (c->attempts == 0 || c->next_at == 0) {
		c->next_at = clock_now(); /* it was under way */
	} else {
		registry_check_retry(c);
	}
	queue_set(&r->due, c);
}

static struct cert *registry_adopt(struct registry *r, const struct conf_cert *conf)
{
	struct js *record = registry_is_orphaned(r, conf->name) ? NULL : store_get(r->store, "cert", conf->name);
	struct cert *c = cert_new(conf->name);

	c->conf = conf;
	if (record) {
		struct js *found = store_get(r->store, "check", conf->name);

		cert_load_check(c, found);
		js_free(found);
		registry_take_up(r, c, record);
	} else {
		c->state = conf->enabled ? CERT_WAITING : CERT_DISABLED;
		c->next_step = conf->enabled ? "issue" : NULL;
		c->unknown = true;
		registry_ask_installed(r, c);
	}
	js_free(record);
	return c;
}

static void registry_change(struct registry *r, struct cert *c, const struct conf_cert *conf)
{
	bool changed = c->conf->digest != conf->digest || c->conf->enabled != conf->enabled;
	bool moved = cert_place(c->conf) != cert_place(conf);

	c->conf = conf;
	if (!changed && !moved) {
		registry_sweep_soon(r, c);
		return;
	}
	log_info("certificate changed in the configuration", "cert", c->name, NULL);
	c->attempts = 0; /* what failed before may well be mended now */
	cert_set_error(c, NULL, 0);
	cert_set_check(c, NULL);
	cert_forget_standing(c);
	store_drop(r->store, "check", c->name);
	if (c->order && changed)
		order_abandon(c->order);
	else if (!c->order && !c->asking)
		registry_replan(r, c);
	registry_sweep_soon(r, c);
	registry_save(r, c);
}

void registry_apply(struct registry *r, struct conf *conf)
{
	struct cert **certs = mem_array(conf->cert.n + 1, sizeof(struct cert *));
	size_t old = 0, added = 0, removed = 0;
	struct conf *before = r->conf;

	conf_ref(conf);
	r->conf = conf;
	registry_unwait_all(r); /* their CA may be another one now */
	parts_apply(&r->parts, conf);
	if (!before)
		store_each(r->store, "cert", registry_remove_gone, r);
	for (size_t i = 0; i < conf->cert.n; i++) {
		const struct conf_cert *want = &conf->cert.v[i];

		while (old < r->ncerts && strcmp(r->certs[old]->name, want->name) < 0) {
			registry_remove(r, r->certs[old++]);
			removed++;
		}
		if (old < r->ncerts && strcmp(r->certs[old]->name, want->name) == 0) {
			certs[i] = r->certs[old++];
			registry_change(r, certs[i], want);
		} else {
			certs[i] = registry_adopt(r, want);
			added++;
		}
	}
	for (; old < r->ncerts; removed++)
		registry_remove(r, r->certs[old++]);
	free(r->certs);
	r->certs = certs;
	r->ncerts = conf->cert.n;
	gather_conf(&r->gather, conf);
	conf_free(before);
	log_info("configuration in force", "certificates", log_num((int64_t)r->ncerts), "added", log_num((int64_t)added), "removed",
		log_num((int64_t)removed), "problems", log_num((int64_t)conf->problems.n), NULL);
	registry_look_again(r);
}

const struct conf *registry_conf(const struct registry *r)
{
	return r->conf;
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

struct registry *registry_new(struct store *store, struct rpc *keeper, const struct registry_parts *parts)
{
	struct registry *r = mem_alloc(sizeof(*r));

	r->store = store;
	r->keeper = keeper;
	r->make = *parts;
	if (!r->make.look_cancel)
		r->make.look_cancel = tls_cancel;
	if (!r->make.addresses_cancel)
		r->make.addresses_cancel = dns_cancel;
	r->parts.make = &r->make;
	for (size_t i = 0; i < REGISTRY_OUTCOMES; i++)
		r->outcomes[i].word = outcome_words[i];
	TAILQ_INIT(&r->checks);
	gather_init(&r->gather);
	r->errands.keeper = keeper;
	r->glance_rota.ms = r->check_rota.ms = r->verify.begun_ms = clock_mono_ms(); /* not all at once after a start */
	loop_on_turn(registry_turn, r);
	return r;
}

void registry_free(struct registry *r)
{
	struct registry_watch *w;

	if (!r)
		return;
	loop_on_turn(NULL, NULL);
	timer_disarm(&r->tick);
	timer_disarm(&r->commit_later);
	registry_write_dirty(r, true);
	registry_end_asks(r);
	registry_end_backs(r);
	registry_end_inventories(r);
	registry_end_looks(r);
	registry_end_checks(r);
	registry_end_verify(r);
	registry_end_runs(r);
	gather_end(&r->gather);
	for (size_t i = 0; i < r->ncerts; i++)
		cert_free(r->certs[i]);
	while ((w = r->watches)) {
		r->watches = w->next;
		free(w->cert);
		free(w);
	}
	parts_free(&r->parts);
	queue_free(&r->due);
	free(r->certs);
	conf_free(r->conf);
	free(r);
}

/* --- asking and steering ----------------------------------------------------------------------------------------------------- */

static size_t registry_place(const struct registry *r, const char *name)
{
	size_t low = 0, high = r->ncerts;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(r->certs[mid]->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct cert *registry_find(struct registry *r, const char *name)
{
	size_t i = registry_place(r, name);

	return i < r->ncerts && strcmp(r->certs[i]->name, name) == 0 ? r->certs[i] : NULL;
}

void registry_each(struct registry *r, const char *after, bool (*fn)(void *arg, struct cert *c), void *arg)
{
	size_t i = after ? registry_place(r, after) : 0;

	if (after && i < r->ncerts && strcmp(r->certs[i]->name, after) == 0)
		i++;
	while (i < r->ncerts && fn(arg, r->certs[i]))
		i++;
}

void registry_summary(struct registry *r, struct registry_summary *out)
{
	size_t n = 0;

	memset(out, 0, sizeof(*out));
	out->certs = r->ncerts;
	for (size_t i = 0; i < r->ncerts; i++) {
		enum cert_state s = r->certs[i]->state;

		out->failing += s == CERT_FAILED || s == CERT_HELD;
		out->stale += s == CERT_STALE;
		out->waiting += s == CERT_WAITING;
		out->disabled += s == CERT_DISABLED;
		out->running += r->certs[i]->order != NULL;
		out->at_risk += s != CERT_FAILED && s != CERT_HELD && s != CERT_STALE && cert_is_at_risk(r->certs[i]);
	}
	out->next = queue_first(&r->due);
	if (r->commit_failed)
		out->trouble[n++] = "the journal cannot be written (is the disk full?): no order goes on until it can";
	if (r->implausible)
		out->trouble[n++] = "the clock is set before this program was made: nothing is ordered until it is right";
}

struct issuer *registry_issuer(struct registry *r, const char *ca)
{
	struct part *part = parts_issuer(&r->parts, ca);

	return part ? part->issuer : NULL;
}

void registry_each_issuer(struct registry *r, void (*fn)(void *arg, struct issuer *is), void *arg)
{
	for (struct part *part = r->parts.all; part; part = part->next)
		if (part->issuer && !part->retired)
			fn(arg, part->issuer);
}

bool registry_renew(struct registry *r, struct cert *c, bool force, struct err *err)
{
	struct part *ca = parts_issuer(&r->parts, c->conf->ca->name);
	char when[TEXT_TIME];

	if (!c->conf->enabled)
		return err_set(err, ERR_INPUT, "disabled", "%s is disabled in %s", c->name, c->conf->file);
	if (c->order && !order_renews(c->order)) /* what it has is put elsewhere, or what another one left is cleaned up: another order follows */
		c->forced = c->forced || force;
	if (c->order || c->waiting)
		return true; /* already on its way */
	if (!clock_is_plausible())
		return err_set(err, ERR_LOCAL, "clock", "the clock stands at %s: nothing is ordered until it is right",
			text_time_format(clock_now(), when));
	force = force || cert_is_back(c);
	if (!force && c->attempts == 0 && registry_current(c) && c->next_at > clock_now())
		return err_set(err, ERR_INPUT, "not-due", "%s is not due before %s: --force renews it all the same", c->name,
			text_time_format(c->next_at, when));
	if (ca && ca->issuer && ca->issuer->ops->retry)
		ca->issuer->ops->retry(ca->issuer);
	c->forced = force || c->forced;
	c->next_at = clock_now();
	queue_set(&r->due, c);
	registry_save(r, c);
	registry_look_again(r);
	return true;
}

struct registry_watch *registry_watch(struct registry *r, const char *cert, void (*fn)(void *arg, const struct js *event), void *arg)
{
	struct registry_watch *w = mem_alloc(sizeof(*w));

	*w = (struct registry_watch){.next = r->watches, .r = r, .cert = cert ? mem_strdup(cert) : NULL, .fn = fn, .arg = arg};
	r->watches = w;
	return w;
}

void registry_unwatch(struct registry_watch *w)
{
	w->dead = true;
	registry_reap_watches(w->r);
}
