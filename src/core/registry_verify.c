/* SPDX-License-Identifier: ISC */
/* Once a day the keeper compares what services read with what it installed, as it does at its own start, and puts right what somebody changed. All
 * certificates one after the other: a keeper that ends when idle is woken once, not all day long. What was put right is put into service again. */
#include "core/registry_inner.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { DAY_MS = 86400000, AGAIN_MS = 3600000 };

static void verify_next(void *arg);

static bool can_verify(const struct cert *c)
{
	return c->conf->enabled && c->generation && !c->order && !c->waiting && !c->asking;
}

static void mended(struct registry *r, struct cert *c)
{
	log_warning("the files of a certificate were not what was installed and are again: its services are told", "cert", c->name, NULL);
	registry_event(r, c, "mended", NULL, true);
	c->placed = 0;
	if (!c->attempts) /* else the next attempt does it */
		registry_plan(r, c);
	registry_save(r, c);
	registry_look_again(r);
}

/* Another configuration, or no keeper: the rest comes later. */
static void put_off(struct registry *r, const struct err *err)
{
	log_warning("what services read could not be compared with what is installed", "error", log_err(err), NULL);
	r->verify.next = 0;
	r->verify.begun_ms = clock_mono_ms() - DAY_MS + AGAIN_MS;
}

static void verified(void *arg, const struct js *answer, const struct err *err)
{
	struct registry *r = arg;
	struct cert *c = registry_find(r, r->verify.cert);

	r->verify.call = NULL;
	free(r->verify.cert);
	r->verify.cert = NULL;
	if (err) {
		put_off(r, err);
		return;
	}
	if (js_bool(answer, "mended", false) && c && can_verify(c))
		mended(r, c);
	loop_defer(verify_next, r);
}

static void verify_next(void *arg)
{
	struct registry *r = arg;
	struct js *request;

	while (r->verify.next < r->ncerts && !can_verify(r->certs[r->verify.next]))
		r->verify.next++;
	if (r->verify.next >= r->ncerts) {
		r->verify.next = 0;
		return;
	}
	r->verify.cert = mem_strdup(r->certs[r->verify.next++]->name);
	request = js_object();
	js_put_str(request, "op", "verify");
	js_put_str(request, "cert", r->verify.cert);
	js_put_str(request, "conf", r->conf->digest);
	r->verify.call = rpc_send(r->keeper, request, REGISTRY_KEEPER_MS, verified, r);
}

void registry_give_verify(struct registry *r)
{
	if (r->verify.next || r->implausible || !r->conf || clock_mono_ms() - r->verify.begun_ms < DAY_MS)
		return;
	r->verify.begun_ms = clock_mono_ms();
	verify_next(r);
}

void registry_end_verify(struct registry *r)
{
	loop_undefer(r);
	rpc_cancel(r->verify.call);
	free(r->verify.cert);
}
