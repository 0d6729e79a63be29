/* SPDX-License-Identifier: ISC */
/* Status: everything at a glance, of bounded size however many certificates there are. */
#include <string.h>

#include "ctl/agent_verbs.h"

enum {
	SHOWN = 20, /* certificates of each group */
	SHOWN_NEXT = 5,
	PROBLEMS = 20,
};

/* The certificates with the smallest keys, the order of arrival among equals. */
struct first {
	size_t n, room;
	struct {
		int64_t key;
		const struct cert *cert;
	} v[SHOWN];
};

struct overview {
	struct first failing, at_risk, running, next;
};

static void offer(struct first *f, int64_t key, const struct cert *c)
{
	size_t i = f->n;

	if (f->n == f->room && key >= f->v[f->n - 1].key)
		return;
	if (f->n < f->room)
		f->n++;
	else
		i--;
	for (; i > 0 && f->v[i - 1].key > key; i--)
		f->v[i] = f->v[i - 1];
	f->v[i].key = key;
	f->v[i].cert = c;
}

static bool look_at(void *arg, struct cert *c)
{
	struct overview *o = arg;

	if (agent_is_failing(c))
		offer(&o->failing, cert_ends(c), c);
	else if (c->order)
		offer(&o->running, 0, c);
	else if (cert_is_at_risk(c))
		offer(&o->at_risk, c->next_at, c);
	else if (c->next_at)
		offer(&o->next, c->next_at, c);
	return true;
}

static void put_certs(struct js *answer, const char *key, const struct first *f)
{
	struct js *list = js_array();

	for (size_t i = 0; i < f->n; i++)
		js_add(list, cert_show(f->v[i].cert, false));
	js_put(answer, key, list);
}

static void put_counts(struct js *answer, const struct registry_summary *s)
{
	struct js *counts = js_object();

	js_put_int(counts, "total", (int64_t)s->certs);
	js_put_int(counts, "failing", (int64_t)s->failing);
	js_put_int(counts, "stale", (int64_t)s->stale);
	js_put_int(counts, "at_risk", (int64_t)s->at_risk);
	js_put_int(counts, "running", (int64_t)s->running);
	js_put_int(counts, "waiting", (int64_t)s->waiting);
	js_put_int(counts, "disabled", (int64_t)s->disabled);
	js_put(answer, "counts", counts);
}

/* Only the members the interface names: what else an issuer tells of itself is its own. */
static void put_issuer(void *arg, struct issuer *is)
{
	struct js *status = is->ops->status(is);
	struct js *o = js_object();

	js_put_str(o, "name", is->name);
	js_put_str(o, "directory", js_str(status, "directory"));
	js_put_str(o, "account", js_str(js_obj(status, "account"), "url"));
	js_put_time(o, "not_before", is->ops->not_before(is));
	js_add(arg, o);
	js_free(status);
}

void agent_status(void *arg, struct varlink_call *call, const struct js *parameters)
{
	struct agent *a = arg;
	struct registry *r = a->options.registry;
	struct overview o = {.failing.room = SHOWN, .at_risk.room = SHOWN, .running.room = SHOWN, .next.room = SHOWN_NEXT};
	struct registry_summary summary;
	struct js *answer = js_object();
	struct js *issuers = js_array(), *trouble = js_array();

	(void)parameters;
	registry_summary(r, &summary);
	registry_each(r, NULL, look_at, &o);
	js_put_str(answer, "version", a->options.version);
	js_put_time(answer, "since", a->since);
	put_counts(answer, &summary);
	for (size_t i = 0; i < sizeof(summary.trouble) / sizeof(summary.trouble[0]) && summary.trouble[i]; i++)
		js_add_str(trouble, summary.trouble[i]);
	js_put(answer, "trouble", trouble);
	put_certs(answer, "failing", &o.failing);
	put_certs(answer, "at_risk", &o.at_risk);
	put_certs(answer, "running", &o.running);
	put_certs(answer, "next", &o.next);
	registry_each_issuer(r, put_issuer, issuers);
	js_put(answer, "issuers", issuers);
	agent_put_problems(a, answer, PROBLEMS);
	varlink_finish(call, answer);
}
