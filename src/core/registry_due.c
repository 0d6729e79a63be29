/* SPDX-License-Identifier: ISC */
#include "core/registry_inner.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/schedule.h"

enum {
	JUMP_PAUSE_S = 600,   /* after the clock jumped forward nothing starts for a while ... */
	JUMP_SPREAD_S = 3600, /* ... and then not everything at once */
	RETRY_MAX_S = 110000, /* a day, jitter and some */
	SWEEP_S = 3600,       /* until left-overs are tried again, ... */
	STRANDED_S = 86400,   /* ... and those whose method is not configured any more */
};

/* --- when ----------------------------------------------------------------------------------------------------------------- */

bool registry_current(const struct cert *c)
{
	return c->not_after && c->issue == c->conf->issue && !c->forced && c->not_after > clock_now();
}

static bool registry_has_order(const struct cert *c)
{
	return js_str(c->products, "url") || c->chain;
}

static int64_t registry_renews_at(const struct cert *c)
{
	return cert_is_back(c) ? cert_back_until(c) : schedule_renewal(c->name, c->not_before, c->not_after);
}

static bool registry_is_due(const struct cert *c)
{
	return !registry_current(c) || registry_renews_at(c) <= clock_now();
}

/* What an order that ended badly left decides: of other names or another CA, it is only cleaned up; with a certificate, that is put into service
 * without asking the CA again, however it was proved. A disabled one is only cleaned up. Mere left-overs (proofs that could not be withdrawn) wait for
 * the next order, but not for weeks. */
enum registry_step registry_step(const struct cert *c)
{
	if (!c->conf->enabled)
		return REGISTRY_SWEEP;
	if (!registry_has_order(c))
		return c->products && !registry_is_due(c) ? REGISTRY_SWEEP : REGISTRY_NEW;
	if (js_bool(c->products, "stays", false) && registry_is_due(c))
		return REGISTRY_NEW;
	if (js_int(c->products, "issue", 0) != (int64_t)c->conf->issue)
		return REGISTRY_SWEEP;
	if (!c->chain && js_int(c->products, "digest", 0) != (int64_t)c->conf->digest)
		return REGISTRY_SWEEP;
	return c->chain ? REGISTRY_DEPLOY : REGISTRY_NEW;
}

/* Seconds until what is still published is tried again; 0: nothing is. */
static int64_t registry_sweep_wait(struct registry *r, const struct js *products)
{
	const struct js *proofs = js_arr(products, "proofs");
	int64_t wait = 0;

	for (size_t i = 0; i < js_len(proofs) && wait != SWEEP_S; i++) {
		const struct js *p = js_at(proofs, i);

		if (js_bool(p, "published", false) && js_str(p, "method"))
			wait = parts_named_method(&r->parts, js_str(p, "method")) ? SWEEP_S : STRANDED_S;
	}
	return wait;
}

/* Say what comes next for a certificate that nothing is running for. */
void registry_plan(struct registry *r, struct cert *c)
{
	int64_t now = clock_now(), wait = registry_sweep_wait(r, c->products);

	c->state = c->conf->enabled ? CERT_WAITING : CERT_DISABLED;
	c->next_at = now;
	c->next_step = c->not_after ? "renew" : "issue";
	if (!c->conf->enabled) {
		c->next_at = wait ? now + wait : 0;
		c->next_step = wait ? "withdraw" : NULL;
	} else if (registry_current(c) && !registry_has_order(c) && c->placed != cert_place(c->conf)) {
		c->unknown = true; /* the keeper has it; where it goes now, it was not seen yet */
		c->next_step = "look";
	} else if (registry_current(c) && !registry_has_order(c)) {
		c->state = cert_is_back(c) ? CERT_HELD : CERT_WAITING;
		registry_tell_back(c);
		c->next_at = registry_renews_at(c);
		if (wait && c->next_at > now + wait) {
			c->next_at = now + wait;
			c->next_step = "withdraw";
		}
	}
	queue_set(&r->due, c);
}

void registry_sweep_soon(struct registry *r, struct cert *c)
{
	if (c->order || c->asking || !c->next_step || strcmp(c->next_step, "withdraw") != 0)
		return;
	c->next_at = clock_now();
	queue_set(&r->due, c);
}

void registry_check_retry(struct cert *c)
{
	static const struct err unknown = {.kind = ERR_TEMP};
	const struct err *err = c->last_error ? c->last_error : &unknown;

	if (c->next_at > clock_now() + RETRY_MAX_S)
		c->next_at = schedule_retry(err, c->attempts, clock_now(), cert_ends(c), text_hash(c->name));
}

static void registry_wait_for_ca(struct cert *c, struct part *ca)
{
	if (c->waiting)
		return;
	c->waiting = true;
	c->next_waiting = NULL;
	if (ca->last_waiting)
		ca->last_waiting->next_waiting = c;
	else
		ca->first_waiting = c;
	ca->last_waiting = c;
}

void registry_unwait(struct registry *r, struct cert *c)
{
	for (struct part *ca = r->parts.all; ca && c->waiting; ca = ca->next) {
		struct cert **at = &ca->first_waiting, *last = NULL;

		for (; *at && *at != c; at = &(*at)->next_waiting)
			last = *at;
		if (!*at)
			continue;
		*at = c->next_waiting;
		if (ca->last_waiting == c)
			ca->last_waiting = last;
		c->waiting = false;
	}
}

void registry_unwait_all(struct registry *r)
{
	for (struct part *ca = r->parts.all; ca; ca = ca->next) {
		struct cert *c;

		while ((c = ca->first_waiting)) {
			ca->first_waiting = c->next_waiting;
			c->waiting = false;
			c->next_at = clock_now();
			queue_set(&r->due, c);
		}
		ca->last_waiting = NULL;
	}
}

void registry_pump(struct registry *r, struct part *ca)
{
	struct cert *c;
	int64_t until;

	while ((c = ca->first_waiting) && ca->running < ca->limit) {
		ca->first_waiting = c->next_waiting;
		if (!ca->first_waiting)
			ca->last_waiting = NULL;
		c->waiting = false;
		until = ca->issuer->ops->not_before(ca->issuer);
		/* The CA as a whole told us to wait. What is still published does not: an attempt hears the same, and withdraws. */
		if (until > clock_now() && !registry_sweep_wait(r, c->products)) {
			c->next_at = until;
			queue_set(&r->due, c);
			registry_save(r, c);
		} else {
			registry_start(r, c, ca);
		}
	}
}

/* Is there what an order takes? A CA or method that could not be made before may be made by now. */
static bool registry_can_start(struct registry *r, const struct cert *c, struct part *ca, struct err *err)
{
	err_set(err, ERR_BUG, "ca", "no CA \"%s\"", c->conf->ca->name);
	if (!ca)
		return false;
	if (!part_ready(&r->parts, ca))
		return err_copy(err, &ca->err);
	if (registry_step(c) != REGISTRY_NEW)
		return true;
	for (size_t i = 0; i < c->conf->prove.n; i++) {
		struct part *how = parts_method(&r->parts, &c->conf->prove.v[i]);

		if (how && part_ready(&r->parts, how))
			return true;
		if (how)
			err_copy(err, &how->err);
	}
	return false;
}

/* Who is asked; to clean up, anybody will do when it cannot be had. */
static struct part *registry_part(struct registry *r, const struct cert *c)
{
	struct part *cleaner = registry_step(c) == REGISTRY_SWEEP ? parts_cleaner(&r->parts, js_str(c->products, "ca")) : NULL;

	return cleaner ? cleaner : parts_issuer(&r->parts, c->conf->ca->name);
}

static void registry_due(struct registry *r, struct cert *c)
{
	struct part *ca = registry_part(r, c);
	struct err err;

	queue_drop(&r->due, c);
	if (c->order || c->waiting || c->asking)
		return;
	if (c->unknown) {
		registry_ask_installed(r, c);
	} else if (!c->conf->enabled && (!registry_sweep_wait(r, c->products) || !ca || !part_ready(&r->parts, ca))) {
		registry_plan(r, c);
	} else if (!registry_can_start(r, c, ca, &err)) {
		registry_failed(r, c, &err);
		registry_save(r, c);
	} else if (registry_step(c) == REGISTRY_NEW) {
		registry_wait_for_ca(c, ca);
		registry_pump(r, ca);
	} else {
		registry_start(r, c, ca);
	}
}

/* Forward: everything now overdue at once would be a stampede, and the clock may yet come back. */
static void registry_put_off(struct cert *c, int64_t now)
{
	if (c->next_at <= now && c->not_after)
		c->next_at = now + JUMP_PAUSE_S + (int64_t)(text_hash(c->name) % JUMP_SPREAD_S);
}

/* Back: what was planned by the wrong clock would never come. */
static void registry_bring_forward(struct registry *r, struct cert *c, int64_t now)
{
	if (c->attempts)
		registry_check_retry(c);
	else if (c->next_at > now)
		registry_plan(r, c);
}

static void registry_after_jump(struct registry *r, int64_t now, bool forward)
{
	for (size_t i = 0; i < r->ncerts; i++) {
		struct cert *c = r->certs[i];

		if (c->order || c->waiting || c->asking || !c->next_at)
			continue;
		if (forward)
			registry_put_off(c, now);
		else
			registry_bring_forward(r, c, now);
		queue_set(&r->due, c);
	}
}

static bool registry_look_at_clock(struct registry *r, int64_t now)
{
	int64_t boot = clock_boot_ms(), drift = (now - r->tick_wall) - (boot - r->tick_boot_ms) / 1000;
	bool first = r->tick_wall == 0, was_implausible = r->implausible;

	r->tick_wall = now;
	r->tick_boot_ms = boot;
	r->implausible = !clock_is_plausible();
	if (r->implausible) {
		if (!was_implausible)
			log_error("the clock is set before this program was made: nothing is ordered until it is right", "clock", log_time(now), NULL);
		return false;
	}
	if (first || (drift > -SCHEDULE_JUMP && drift < SCHEDULE_JUMP))
		return true;
	log_warning("the clock jumped", "seconds", log_num(drift), "clock", log_time(now), NULL);
	registry_after_jump(r, now, drift > 0);
	return true;
}

/* The one timer: fires when something is due, and at least once a minute, so that a jump or a suspend is noticed. */
static void registry_tick(void *arg)
{
	struct registry *r = arg;
	int64_t now = clock_now(), wait = SCHEDULE_TICK;
	struct cert *c;

	if (registry_look_at_clock(r, now))
		while ((c = queue_first(&r->due)) && c->next_at <= now)
			registry_due(r, c);
	c = queue_first(&r->due);
	if (c && !r->implausible && c->next_at - now < wait)
		wait = c->next_at > now ? c->next_at - now : 1;
	timer_arm(&r->tick, wait * 1000, registry_tick, r);
	registry_give_looks(r);
	registry_give_checks(r);
	registry_give_verify(r);
	if (r->make.tick)
		r->make.tick(r->make.arg);
}

void registry_look_again(struct registry *r)
{
	timer_arm(&r->tick, 0, registry_tick, r);
}
