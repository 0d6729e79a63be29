/* SPDX-License-Identifier: ISC */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum { COMMIT_RETRY_MS = 5000 };

/* --- events and records ------------------------------------------------------------------------------------------------- */

/* detail is taken over. Kept in the history unless it is only a step on the way. */
void registry_event(struct registry *r, const struct cert *c, const char *event, struct js *detail, bool keep)
{
	struct registry_watch *w, **at;

	if (keep)
		store_event(r->store, clock_now_us(), c->name, event, detail);
	if (r->watches) {
		if (!detail)
			detail = js_object();
		js_put_time(detail, "at", clock_now());
		js_put_str(detail, "cert", c->name);
		js_put_str(detail, "event", event);
		js_put_str(detail, "state", cert_state_name(c->state));
		for (w = r->watches; w; w = w->next)
			if (!w->dead && (!w->cert || strcmp(w->cert, c->name) == 0))
				w->fn(w->arg, detail);
		for (at = &r->watches; (w = *at);) {
			if (!w->dead) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			free(w->cert);
			free(w);
		}
	}
	js_free(detail);
}

void registry_save(struct registry *r, struct cert *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->next_dirty = r->dirty;
	r->dirty = c;
}

static void registry_write_dirty(struct registry *r)
{
	struct cert *c;

	while ((c = r->dirty)) {
		struct js *record;

		r->dirty = c->next_dirty;
		c->dirty = false;
		if (c->order) {
			js_free(c->products);
			c->products = order_save(c->order);
			if (c->products && c->conf)
				js_put_int(c->products, "digest", (int64_t)c->conf->digest);
		}
		record = cert_save(c);
		store_put(r->store, "cert", c->name, record);
		js_free(record);
	}
}

static void registry_unsave(struct registry *r, struct cert *c)
{
	struct cert **at;

	for (at = &r->dirty; *at && *at != c; at = &(*at)->next_dirty)
		;
	if (*at)
		*at = c->next_dirty;
	c->dirty = false;
}

static void registry_commit_again(void *arg)
{
	(void)arg; /* the turn that follows tries again */
}

/* End of a turn: what was decided is committed, then the machines that moved begin. */
static bool registry_turn(void *arg)
{
	struct registry *r = arg;
	struct err err;

	registry_write_dirty(r);
	if (!store_commit(r->store, &err)) {
		if (!r->commit_failed)
			log_error("the journal cannot be written: no order goes on until it can; certificates in use are not touched", "error", log_err(&err),
				NULL);
		r->commit_failed = true;
		timer_arm(&r->commit_retry, COMMIT_RETRY_MS, registry_commit_again, r);
		return false;
	}
	if (r->commit_failed)
		log_notice("the journal can be written again", NULL);
	r->commit_failed = false;
	return machine_run();
}

/* --- configuration --------------------------------------------------------------------------------------------------------- */

/* A certificate that left: its order ends cleanly, files and keys stay where they are. */
static void registry_remove(struct registry *r, struct cert *c)
{
	log_notice("certificate left the configuration: it is not renewed any more, its files stay", "cert", c->name, NULL);
	registry_event(r, c, "removed", NULL, true);
	queue_drop(&r->due, c);
	registry_unwait(r, c);
	registry_unsave(r, c);
	store_drop(r->store, "cert", c->name);
	c->conf = NULL;
	if (!registry_orphan(r, c))
		cert_free(c);
}

static struct cert *registry_adopt(struct registry *r, const struct conf_cert *conf)
{
	struct js *record = store_get(r->store, "cert", conf->name);
	struct cert *c = cert_new(conf->name);

	c->conf = conf;
	if (!record) {
		registry_ask_installed(r, c);
		c->next_step = "issue";
		return c;
	}
	cert_load(c, record);
	js_free(record);
	if (!conf->enabled || (c->attempts == 0 && !c->products))
		registry_plan(r, c);
	else if (c->attempts == 0 || c->next_at == 0)
		c->next_at = clock_now(); /* it was under way when we stopped */
	queue_set(&r->due, c);
	return c;
}

static void registry_change(struct registry *r, struct cert *c, const struct conf_cert *conf)
{
	bool changed = c->conf->digest != conf->digest, toggled = c->conf->enabled != conf->enabled;

	c->conf = conf;
	if (!changed && !toggled)
		return;
	log_info("certificate changed in the configuration", "cert", c->name, NULL);
	c->attempts = 0; /* what failed before may well be mended now */
	cert_set_error(c, NULL, 0);
	registry_unwait(r, c);
	if (c->order)
		order_abandon(c->order);
	else if (!c->asking)
		registry_plan(r, c);
	registry_save(r, c);
}

void registry_apply(struct registry *r, struct conf *conf)
{
	struct cert **certs = mem_array(conf->cert.n + 1, sizeof(struct cert *));
	size_t old = 0, added = 0, removed = 0;
	struct conf *before = r->conf;

	conf_ref(conf);
	r->conf = conf;
	parts_apply(&r->parts, conf);
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
	r->parts.make = &r->make;
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
	timer_disarm(&r->commit_retry);
	registry_write_dirty(r);
	registry_end_runs(r);
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
	memset(out, 0, sizeof(*out));
	out->certs = r->ncerts;
	for (size_t i = 0; i < r->ncerts; i++) {
		enum cert_state s = r->certs[i]->state;

		out->failing += s == CERT_FAILED || s == CERT_HELD;
		out->stale += s == CERT_STALE;
		out->waiting += s == CERT_WAITING;
		out->disabled += s == CERT_DISABLED;
		out->running += r->certs[i]->order != NULL;
	}
	out->next = queue_first(&r->due);
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
	char when[TEXT_TIME];

	if (!c->conf->enabled)
		return err_set(err, ERR_INPUT, "disabled", "%s is disabled in %s", c->name, c->conf->file);
	if (c->order || c->waiting)
		return true; /* already on its way */
	if (!force && c->attempts == 0 && registry_current(c) && c->next_at > clock_now())
		return err_set(err, ERR_INPUT, "not-due", "%s is not due before %s: --force renews it all the same", c->name,
			text_time_format(c->next_at, when));
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
	w->dead = true; /* reaped after the next event */
}
