/* SPDX-License-Identifier: ISC */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/schedule.h"

enum {
	CALM_S = 60, /* between two orders for one certificate */
	RUSH = 32,   /* orders at once whose memory is worth giving back */
};

struct running { /* an order and what it holds */
	struct registry *r;
	struct order *order;
	struct order_env env;
	struct gather_member member;
	struct part *ca;
	struct part **methods; /* the prove list, then what published left-overs */
	size_t nmethods;
	bool at_ca;           /* takes one of the CA's places */
	struct cert *orphan;  /* owned: its certificate is not configured any more */
	struct running *next;
};

/* --- running orders ----------------------------------------------------------------------------------------------------- */

static const char *env_digest(void *arg)
{
	const struct running *run = arg;

	return run->r->conf->digest;
}

static void env_save(void *arg, struct order *o, bool ahead)
{
	struct running *run = arg;

	o->cert->state = order_cert_state(o);
	if (run->orphan)
		return;
	if (ahead)
		registry_save(run->r, o->cert);
	else
		registry_save_soon(run->r, o->cert);
}

static void env_event(void *arg, struct order *o, const char *event, struct js *detail)
{
	struct running *run = arg;
	bool keep = strcmp(event, "issued") == 0 || strcmp(event, "rolled-back") == 0;

	o->cert->state = order_cert_state(o);
	registry_event(run->r, o->cert, event, detail, keep);
}

static struct dns_lookup *env_addresses(void *arg, const char *name, dns_done *done, void *done_arg)
{
	const struct registry_parts *make = &((struct running *)arg)->r->make;

	return make->addresses(make->arg, name, done, done_arg);
}

static void env_ca_done(void *arg, struct order *o)
{
	struct running *run = arg;

	(void)o;
	if (!run->at_ca)
		return;
	run->at_ca = false;
	run->ca->running--;
	registry_pump(run->r, run->ca);
}

static void env_gather(void *arg, struct order *o, void (*go)(void *go_arg), void *go_arg)
{
	struct running *run = arg;

	gather_wait(&run->r->gather, &run->member, o->cert, go, go_arg);
}

static void env_stay(void *arg, struct order *o)
{
	struct running *run = arg;

	(void)o;
	gather_leave(&run->member);
}

static void running_end(void *arg)
{
	struct running *run = arg;
	struct registry *r = run->r;
	struct running **at;

	for (at = &r->runs; *at != run; at = &(*at)->next)
		;
	*at = run->next;
	gather_leave(&run->member);
	order_free(run->order);
	cert_free(run->orphan);
	for (size_t i = 0; i < run->nmethods; i++)
		part_release(&run->r->parts, run->methods[i]);
	part_release(&run->r->parts, run->ca);
	free(run->methods);
	free(run);
	if (--r->nruns == 0 && r->rush) { /* those that were reloaded together were here together */
		r->rush = false;
		store_rest(r->store);
		mem_trim();
	}
}

static bool needs_a_human(const struct err *err)
{
	return err->kind == ERR_DENIED && (strcmp(err->during, "account") == 0 || strcmp(err->type, "userActionRequired") == 0);
}

void registry_failed(struct registry *r, struct cert *c, const struct err *err)
{
	void (*const say)(const char *, ...) = err->kind == ERR_TEMP || err->kind == ERR_LIMIT ? log_warning : log_error;

	c->attempts += c->attempts < 1000000;
	cert_set_error(c, err, clock_now());
	c->state = strcmp(err->type, "stale") == 0 ? CERT_STALE : needs_a_human(err) ? CERT_HELD : CERT_FAILED;
	c->next_at = schedule_retry(err, c->attempts, clock_now(), cert_ends(c), text_hash(c->name) * c->attempts + (uint64_t)clock_now_us());
	c->next_step = "retry";
	say("attempt failed", "cert", c->name, "ca", c->conf ? c->conf->ca->name : c->ca, "error", log_err(err), "attempts", log_num(c->attempts), "next",
		log_time(c->next_at), NULL);
	registry_event(r, c, "failed", js_from_err(err), true);
	queue_set(&r->due, c);
}

/* Due in the moment it was issued, or nearly: our clock is ahead of the CA's, or the CA gives what is soon over. Ordered again at once it would be the
 * same. */
static void registry_calm(struct registry *r, struct cert *c)
{
	int64_t now = clock_now();
	bool over = c->next_at <= now;

	if (!c->next_at || c->next_at > now + CALM_S || c->unknown || c->forced || c->issue != c->conf->issue) /* wanted for another reason */
		return;
	c->next_at = now + (over && c->not_after > now ? (c->not_after - now) / 2 : 0) + CALM_S;
	queue_set(&r->due, c);
	log_warning("the new certificate is past the time of its renewal already, or nearly: look at the clock and at the CA", "cert", c->name, "not_before",
		log_time(c->not_before), "not_after", log_time(c->not_after), NULL);
}

static void registry_served(struct registry *r, struct cert *c, const struct order *o)
{
	c->placed = o->place;
	c->attempts = 0;
	c->forced = c->forced && o->stays;
	cert_set_error(c, NULL, 0);
	registry_check_over(r, c);
	c->state = CERT_WAITING;
	registry_plan(r, c);
	registry_calm(r, c);
	log_notice(c->ntargets ? "certificate is served" : "certificate is in place", "cert", c->name, "ca", c->ca, "not_after", log_time(c->not_after),
		"renews", log_time(c->next_at), NULL);
	registry_event(r, c, "done", NULL, true);
}

/* For people who ask afterwards. */
static void env_proved(void *arg, struct order *o)
{
	struct running *run = arg;
	struct js *shown;

	if (run->orphan)
		return;
	shown = order_show(o);
	js_put_time(shown, "proved", clock_now());
	store_put(run->r->store, "order", o->cert->name, shown);
	js_free(shown);
}

struct js *registry_last_order(struct registry *r, const struct cert *c)
{
	return c->order ? NULL : store_get(r->store, "order", c->name);
}

static void env_finished(void *arg, struct order *o, const struct err *err)
{
	struct running *run = arg;
	struct registry *r = run->r;
	struct cert *c = o->cert;
	bool back = o->m.state == ORDER_RESTORE || o->m.state == ORDER_ROLLBACK;

	env_ca_done(run, o);
	gather_leave(&run->member);
	c->order = NULL;
	registry_keep(c, o);
	if (o->m.state == ORDER_PROVE)
		env_proved(run, o);
	loop_defer(running_end, run);
	if (run->orphan) {
		if (!c->products && !registry_find(r, c->name))
			registry_drop_records(r, c->name);
		return;
	}
	if (!err)
		registry_served(r, c, o);
	else if (strcmp(err->type, "abandoned") == 0)
		registry_replan(r, c);
	else
		registry_failed(r, c, err);
	if (err)
		registry_check_failed(r, c, err);
	registry_save(r, c);
	if (back)
		registry_ask_installed(r, c); /* the record tells of the generation that was put back */
	registry_look_again(r);
}

/* part: NULL: none. */
static void running_hold(struct running *run, struct part *part)
{
	size_t i = 0;

	while (i < run->nmethods && run->methods[i] != part)
		i++;
	if (i < run->nmethods || !part || !part_ready(&run->r->parts, part))
		return;
	part_hold(part);
	run->methods[run->nmethods++] = part;
}

/* `prove` may be another one now than when these were published. */
static void running_hold_left(struct running *run, const struct js *proofs)
{
	for (size_t i = 0; i < js_len(proofs); i++) {
		const struct js *p = js_at(proofs, i);

		if (js_bool(p, "published", false) && js_str(p, "method"))
			running_hold(run, parts_named_method(&run->r->parts, js_str(p, "method")));
	}
}

static struct order *running_order(struct running *run, struct cert *c)
{
	size_t n = c->conf ? c->conf->prove.n : 0;
	struct method **v = mem_array(n + run->r->conf->methods.n + 1, sizeof(struct method *));
	struct order_methods methods = {.v = v};
	struct order *o;

	run->methods = mem_array(n + run->r->conf->methods.n + 1, sizeof(struct part *));
	for (size_t i = 0; i < n; i++)
		running_hold(run, parts_method(&run->r->parts, &c->conf->prove.v[i]));
	methods.nprove = run->nmethods;
	running_hold_left(run, js_arr(c->products, "proofs"));
	for (; methods.n < run->nmethods; methods.n++)
		v[methods.n] = run->methods[methods.n]->method;
	o = order_new(c, &run->env, run->ca->issuer, &methods);
	free(v);
	return o;
}

static struct running *running_new(struct registry *r, struct cert *c, struct part *ca)
{
	struct running *run = mem_alloc(sizeof(*run));

	run->r = r;
	run->ca = ca;
	part_hold(ca);
	run->env = (struct order_env){.keeper = r->keeper, .errands = &r->errands, .look = r->make.look, .look_cancel = r->make.look_cancel,
		.addresses = r->make.addresses ? env_addresses : NULL, .addresses_cancel = r->make.addresses_cancel,
		.digest = env_digest, .save = env_save, .event = env_event, .proved = env_proved, .gather = env_gather, .stay = env_stay,
		.ca_done = env_ca_done, .finished = env_finished, .arg = run};
	c->order = run->order = running_order(run, c);
	run->next = r->runs;
	r->runs = run;
	r->rush |= ++r->nruns >= RUSH;
	return run;
}

void registry_start(struct registry *r, struct cert *c, struct part *ca)
{
	enum registry_step step = registry_step(c);
	struct running *run;

	if (step == REGISTRY_NEW && js_bool(c->products, "stays", false)) { /* it was to be put elsewhere, too; the next one will be */
		cert_set_chain(c, NULL);
		js_put_bool(c->products, "stays", false);
	}
	run = running_new(r, c, ca);

	run->at_ca = step == REGISTRY_NEW;
	ca->running += run->at_ca;
	queue_drop(&r->due, c);
	c->state = CERT_ORDERING;
	registry_save_soon(r, c);
	if (step == REGISTRY_SWEEP) {
		order_abandon(run->order);
	} else {
		gather_join(&r->gather, &run->member, c);
		order_start(run->order);
	}
}

bool registry_orphan(struct registry *r, struct cert *c)
{
	struct part *ca = c->products ? parts_cleaner(&r->parts, js_str(c->products, "ca")) : NULL;
	struct running *run = c->order ? c->order->env->arg : NULL;

	if (!run && ca)
		run = running_new(r, c, ca);
	if (!run)
		return false;
	run->orphan = c;
	order_abandon(run->order);
	c->order = NULL; /* owned by run from here on */
	return true;
}

bool registry_is_orphaned(const struct registry *r, const char *name)
{
	const struct running *run = r->runs;

	while (run && !(run->orphan && strcmp(run->orphan->name, name) == 0))
		run = run->next;
	return run != NULL;
}

void registry_end_runs(struct registry *r)
{
	for (size_t i = 0; i < r->ncerts; i++)
		r->certs[i]->order = NULL; /* its run frees it */
	while (r->runs) {
		loop_undefer(r->runs);
		running_end(r->runs);
	}
}
