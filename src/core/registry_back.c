/* SPDX-License-Identifier: ISC */
/* An operator goes back: the keeper makes the generation before the installed one current, then that is put into service like one that is to go elsewhere.
 * That it was wanted is on disk before the keeper is asked; what is installed afterwards tells how far it came. */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { BACK_MS = 300000 }; /* the keeper lets tests and reloads of the services end first */

struct backing {
	LIST_ENTRY(backing) link;
	struct registry *r;
	char *cert;
	uint64_t placed; /* here and below: as it was */
	bool forced;
	struct timer commit;
	struct rpc_call *call; /* NULL: not asked yet */
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

static void backing_free(struct backing *b)
{
	timer_disarm(&b->commit);
	LIST_REMOVE(b, link);
	free(b->cert);
	free(b);
}

static void tell_done(struct registry *r, struct cert *c, const struct js *answer)
{
	struct js *detail = js_object();

	js_put_int(detail, "generation", js_int(answer, "generation", 0));
	registry_event(r, c, "rolled-back", detail, true);
	log_notice("previous certificate put back as an operator asked: the services are told next", "cert", c->name, "generation",
		log_num(js_int(answer, "generation", 0)), NULL);
	c->back.from = 0; /* it got there */
}

/* Refused: all is as it was. No answer: whatever is installed is put into service. */
static void back_ended(void *arg, const struct js *answer, const struct err *err)
{
	struct backing *b = arg;
	struct registry *r = b->r;
	struct cert *c = registry_find(r, b->cert);
	bool refused = err && strcmp(err->type, "keeper") != 0;

	if (c) {
		c->asking = false;
		if (answer)
			tell_done(r, c, answer);
		if (refused) {
			c->back = (struct cert_back){0};
			c->placed = b->placed;
			c->forced = b->forced;
		} else {
			c->attempts = 0;
			c->unknown = true;
			c->next_at = clock_now();
		}
		queue_set(&r->due, c);
		registry_save(r, c);
		registry_look_again(r);
	}
	b->done(b->arg, err);
	backing_free(b);
}

static void ask(void *arg)
{
	struct backing *b = arg;
	struct js *request;
	struct err err;

	if (b->r->commit_failed) {
		err_set(&err, ERR_LOCAL, "disk-full", "the journal cannot be written");
		back_ended(b, NULL, &err);
		return;
	}
	request = js_object();
	js_put_str(request, "op", "rollback");
	js_put_str(request, "conf", b->r->conf->digest);
	js_put_str(request, "cert", b->cert);
	js_put_bool(request, "valid", true);
	b->call = rpc_send(b->r->keeper, request, BACK_MS, back_ended, b);
}

static bool check(const struct cert *c, struct err *err)
{
	if (!c->conf->enabled)
		return err_set(err, ERR_INPUT, "disabled", "%s is disabled in %s", c->name, c->conf->file);
	if (!c->generation)
		return err_set(err, ERR_INPUT, "not-issued", "no certificate is installed for %s", c->name);
	if (cert_is_back(c))
		return err_set(err, ERR_INPUT, "rolledBack", "%s is back at generation %lld already: dovactl renew %s orders a new one", c->name,
			(long long)c->generation, c->name);
	return !(c->order || c->asking) || err_set(err, ERR_TEMP, "busy", "%s is being worked on", c->name);
}

void registry_back(struct registry *r, struct cert *c, void (*done)(void *arg, const struct err *err), void *arg)
{
	struct backing *b;
	struct err err;

	if (!check(c, &err)) {
		done(arg, &err);
		return;
	}
	b = mem_alloc(sizeof(*b));
	*b = (struct backing){.r = r, .cert = mem_strdup(c->name), .placed = c->placed, .forced = c->forced, .done = done, .arg = arg};
	LIST_INSERT_HEAD(&r->backs, b, link);
	registry_unwait(r, c);
	queue_drop(&r->due, c);
	c->back = (struct cert_back){.at = clock_now(), .from = c->generation, .issue = c->conf->issue};
	c->placed = 0;
	c->forced = false;
	c->asking = true;
	registry_save(r, c);
	timer_arm(&b->commit, 0, ask, b); /* the turn in between commits */
}

void registry_settle_back(struct cert *c)
{
	if (c->back.at && c->generation == c->back.from)
		c->back = (struct cert_back){0};
}

void registry_tell_back(struct cert *c)
{
	struct err err;

	if (!cert_is_back(c))
		return;
	err_set(&err, ERR_LOCAL, "rolledBack", "generation %lld was put back by an operator and stays until then; dovactl renew orders a new one sooner",
		(long long)c->generation);
	cert_set_error(c, &err, c->back.at);
}

void registry_end_backs(struct registry *r)
{
	struct backing *b;

	while ((b = LIST_FIRST(&r->backs))) {
		rpc_cancel(b->call);
		backing_free(b);
	}
}
