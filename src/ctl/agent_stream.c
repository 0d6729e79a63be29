/* SPDX-License-Identifier: ISC */
/* The methods that answer in many pieces or later: List, Watch, Renew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl/agent_verbs.h"
#include "io/loop.h"

enum {
	BATCH = 32,	    /* certificates in one reply */
	SLICE = 512,	    /* certificates looked at in one turn of the loop */
	PATTERN_MOST = 255, /* characters */
	NAME_MOST = 64,
};
_Static_assert(SLICE > BATCH, "a step of an unfiltered walk sends what it took");

/* --- walking over the certificates, a bounded piece at a time --- */

enum walked {
	WALKED_SLICE, /* enough for this turn */
	WALKED_BATCH, /* the batch is full and there is more */
	WALKED_ALL,
};

struct walk {
	bool (*matches)(void *arg, const struct cert *c); /* NULL: all */
	void *arg;
	char after[NAME_MOST]; /* the last one looked at; they may come and go between two slices */
	struct js *batch;
	size_t looked;
	enum walked result;
};

static bool walk_one(void *arg, struct cert *c)
{
	struct walk *w = arg;

	if (w->looked++ == SLICE) {
		w->result = WALKED_SLICE;
		return false;
	}
	if (!w->matches || w->matches(w->arg, c)) {
		if (js_len(w->batch) == BATCH) {
			w->result = WALKED_BATCH;
			return false;
		}
		js_add(w->batch, cert_show(c, false));
	}
	snprintf(w->after, sizeof w->after, "%s", c->name);
	return true;
}

static enum walked walk_on(struct walk *w, struct registry *r)
{
	w->looked = 0;
	w->result = WALKED_ALL;
	registry_each(r, w->after[0] ? w->after : NULL, walk_one, w);
	return w->result;
}

/* The batch as "certificates" of a new answer; an empty one takes its place. */
static struct js *walk_take(struct walk *w)
{
	struct js *answer = js_object();

	js_put(answer, "certificates", w->batch);
	w->batch = js_array();
	return answer;
}

/* --- List --- */

struct list {
	struct agent *agent;
	struct varlink_call *call;
	struct walk walk;
	bool failing;
	int64_t due; /* UNIX seconds, INT64_MAX: whenever */
	char *ca, *pattern;
};

static bool matches_pattern(const char *pattern, const struct cert *c)
{
	if (text_glob(pattern, c->name))
		return true;
	for (size_t i = 0; c->conf && i < c->conf->names.n; i++)
		if (text_glob(pattern, c->conf->names.v[i]))
			return true;
	return false;
}

/* By the authority that issued it or, before the first time, the one that will. */
static bool matches_ca(const char *ca, const struct cert *c)
{
	const char *its = c->ca ? c->ca : c->conf && c->conf->ca ? c->conf->ca->name : NULL;

	return its && strcmp(its, ca) == 0;
}

static bool list_matches(void *arg, const struct cert *c)
{
	const struct list *l = arg;

	return (!l->failing || agent_is_failing(c)) && (l->due == INT64_MAX || (c->next_at && c->next_at <= l->due)) &&
	       (!l->ca || matches_ca(l->ca, c)) && (!l->pattern || matches_pattern(l->pattern, c));
}

static bool list_step(void *data)
{
	struct list *l = data;
	enum walked walked = walk_on(&l->walk, l->agent->options.registry);

	if (walked == WALKED_ALL)
		varlink_finish(l->call, walk_take(&l->walk));
	else if (walked == WALKED_BATCH && !varlink_wants_more(l->call))
		varlink_expect_more(l->call);
	else if (walked == WALKED_BATCH)
		varlink_progress(l->call, walk_take(&l->walk));
	return true; /* until the last reply */
}

static void list_end(void *data)
{
	struct list *l = data;

	js_free(l->walk.batch);
	free(l->ca);
	free(l->pattern);
	free(l);
}

static char *copy_or_null(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

void agent_list(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct varlink_ops ops = {list_step, list_end};
	const char *pattern = js_str(parameters, "name");
	int64_t due = js_int(parameters, "due", INT64_MAX);
	struct list *l;

	if (due < 0) {
		varlink_invalid(call, "due");
		return;
	}
	if (pattern && strlen(pattern) > PATTERN_MOST) {
		varlink_invalid(call, "name");
		return;
	}
	l = mem_alloc(sizeof *l);
	l->agent = arg;
	l->call = call;
	l->walk = (struct walk){.matches = list_matches, .arg = l, .batch = js_array()};
	l->failing = js_bool(parameters, "failing", false);
	if (__builtin_add_overflow(clock_now(), due, &l->due))
		l->due = INT64_MAX;
	l->ca = copy_or_null(js_str(parameters, "ca"));
	l->pattern = copy_or_null(pattern);
	varlink_keep(call, &ops, l);
}

/* --- Watch --- */

struct watch_call {
	struct agent *agent;
	struct varlink_call *call;
	struct walk walk;
	bool current; /* every certificate was told as it stands */
	char *name;   /* NULL: all */
	struct registry_watch *watch;
};

/* What the walk has yet to come to will be told as it stands then. What it took is sent already: no step of an
 * unfiltered walk ends with an unsent batch. */
static void watch_event(void *arg, const struct js *event)
{
	struct watch_call *w = arg;
	const char *cert = js_str(event, "cert");
	struct js *answer;

	if (!w->current && cert && strcmp(cert, w->walk.after) > 0)
		return;
	answer = js_object();
	js_put(answer, "event", js_ref((struct js *)event));
	varlink_progress(w->call, answer);
}

static void watch_one(struct watch_call *w)
{
	struct cert *c = registry_find(w->agent->options.registry, w->name);

	if (c)
		js_add(w->walk.batch, cert_show(c, false));
	w->current = true;
}

static bool watch_step(void *data)
{
	struct watch_call *w = data;
	struct js *answer;

	if (w->name)
		watch_one(w);
	else
		w->current = walk_on(&w->walk, w->agent->options.registry) == WALKED_ALL;
	answer = walk_take(&w->walk);
	js_put_bool(answer, "current", w->current);
	varlink_progress(w->call, answer);
	return !w->current;
}

static void watch_end(void *data)
{
	struct watch_call *w = data;

	registry_unwatch(w->watch);
	js_free(w->walk.batch);
	free(w->name);
	free(w);
}

void agent_watch(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct varlink_ops ops = {watch_step, watch_end};
	struct agent *a = arg;
	const char *name = js_str(parameters, "name");
	struct watch_call *w;

	if (name && !agent_find(a, call, parameters))
		return;
	w = mem_alloc(sizeof *w);
	w->agent = a;
	w->call = call;
	w->walk.batch = js_array();
	w->name = copy_or_null(name);
	w->watch = registry_watch(a->options.registry, name, watch_event, w);
	varlink_keep(call, &ops, w);
}

/* --- Renew --- */

/* Waiting for a renewal. */
struct renewal {
	struct agent *agent;
	struct varlink_call *call;
	struct registry_watch *watch;
	char *name;
	bool over; /* to be decided when the turn ends */
};

static void renewal_conclude(void *arg)
{
	struct renewal *n = arg;
	struct cert *c = registry_find(n->agent->options.registry, n->name);
	struct err err = {0};

	if (!c) {
		err_set(&err, ERR_INPUT, "removed", "it was removed from the configuration meanwhile");
		agent_fail(n->call, &err);
	} else if (c->last_error) {
		varlink_progress(n->call, agent_certificate(c, false)); /* says when it is tried again */
		agent_fail(n->call, c->last_error);
	} else {
		varlink_finish(n->call, agent_certificate(c, false));
	}
}

static void renewal_done(void *arg)
{
	struct renewal *n = arg;
	struct cert *c = registry_find(n->agent->options.registry, n->name);

	if (c)
		varlink_finish(n->call, agent_certificate(c, false));
	else
		renewal_conclude(n);
}

/* Its order was given up for a change of the configuration; mostly another one follows. */
static void renewal_consider(void *arg)
{
	struct renewal *n = arg;
	const struct cert *c = registry_find(n->agent->options.registry, n->name);
	struct err err = {0};

	n->over = !c || !(c->order || c->waiting || c->asking || (c->next_at && c->next_at <= clock_now()));
	if (c && !c->conf->enabled) {
		err_set(&err, ERR_INPUT, "disabled", "it was disabled in %s meanwhile", c->conf->file);
		agent_fail(n->call, &err);
	} else if (n->over) {
		renewal_conclude(n);
	}
}

/* Concluded when the turn ends: an event may come before the move it tells of is complete. */
static void renewal_event(void *arg, const struct js *event)
{
	static const struct {
		const char *event;
		void (*then)(void *arg);
	} rows[] = {{"done", renewal_done}, {"failed", renewal_conclude}, {"removed", renewal_conclude}, {"planned", renewal_consider}};
	struct renewal *n = arg;
	const char *what = js_str(event, "event");
	struct js *answer = js_object();

	js_put(answer, "event", js_ref((struct js *)event));
	varlink_progress(n->call, answer);
	for (size_t i = 0; what && !n->over && i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(what, rows[i].event) == 0) {
			n->over = true;
			loop_defer(rows[i].then, n);
		}
}

static void renewal_end(void *data)
{
	struct renewal *n = data;

	registry_unwatch(n->watch);
	loop_undefer(n);
	free(n->name);
	free(n);
}

void agent_wait(struct agent *a, struct varlink_call *call, const struct cert *c)
{
	static const struct varlink_ops ops = {.end = renewal_end};
	struct renewal *n = mem_alloc(sizeof *n);

	n->agent = a;
	n->call = call;
	n->name = mem_strdup(c->name);
	n->watch = registry_watch(a->options.registry, c->name, renewal_event, n);
	varlink_keep(call, &ops, n);
	varlink_progress(call, agent_certificate(c, false));
}

static void refuse_renewal(struct varlink_call *call, const struct cert *c, const struct err *err)
{
	struct js *details;

	if (strcmp(err->type, "not-due") == 0) {
		details = js_object();
		js_put_str(details, "name", c->name);
		js_put_time(details, "renews_at", err->not_before ? err->not_before : c->next_at);
		varlink_fail(call, AGENT_INTERFACE ".NotDue", details);
	} else {
		agent_fail(call, err);
	}
}

void agent_renew(void *arg, struct varlink_call *call, const struct js *parameters)
{
	struct agent *a = arg;
	struct cert *c = agent_find(a, call, parameters);
	struct err err = {0};

	if (!c)
		return;
	if (!registry_renew(a->options.registry, c, js_bool(parameters, "force", false), &err))
		refuse_renewal(call, c, &err);
	else if (js_bool(parameters, "wait", false))
		agent_wait(a, call, c);
	else
		varlink_finish(call, agent_certificate(c, false));
}
