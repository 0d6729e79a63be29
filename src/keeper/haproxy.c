/* SPDX-License-Identifier: ISC */
#include "keeper/haproxy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"

struct waiter {
	STAILQ_ENTRY(waiter) link;
	run_done *done;
	void *arg;
};

struct job { /* of one service and kind; the first of a service is under way, or at the gate */
	TAILQ_ENTRY(job) link;
	struct haproxy *of;
	struct conf *conf;
	const struct conf_service *service;
	struct js *certs; /* an array of names */
	bool restore, begun;
	STAILQ_HEAD(, waiter) waiters;
	struct gate_pass pass;
	struct haproxy_talk *talk;
};

struct haproxy {
	const struct install *install;
	struct run *run;
	struct gate *gate;
	TAILQ_HEAD(, job) jobs;
};

static void job_free(struct job *j)
{
	TAILQ_REMOVE(&j->of->jobs, j, link);
	gate_leave(&j->pass);
	haproxy_talk_cancel(j->talk);
	js_free(j->certs);
	conf_free(j->conf);
	free(j);
}

static bool is_of(const struct job *j, const char *service)
{
	return strcmp(j->service->name, service) == 0;
}

static struct job *first_of(const struct haproxy *h, const char *service)
{
	struct job *j;

	TAILQ_FOREACH(j, &h->jobs, link)
		if (is_of(j, service))
			return j;
	return NULL;
}

static void answer(struct job *j, bool ran, const char *output, const struct err *err)
{
	struct waiter *w;

	while ((w = STAILQ_FIRST(&j->waiters))) {
		STAILQ_REMOVE_HEAD(&j->waiters, link);
		w->done(w->arg, ran, output, err);
		free(w);
	}
}

static void finish(struct job *j, bool ran, const char *output, const struct err *err)
{
	struct haproxy *h = j->of;
	char *service = mem_strdup(j->service->name);
	struct job *next;

	answer(j, ran, output, err);
	job_free(j);
	next = first_of(h, service);
	if (next)
		gate_ask(h->gate, &next->pass);
	free(service);
}

static void unit_ended(void *arg, bool ran, const char *output, const struct err *err)
{
	finish(arg, ran, output, err);
}

/* It takes its own turn at the gate: ours would keep out who waits there before it. */
static void take_unit(struct job *j, const char *why)
{
	struct run_wish wish = { j->restore ? "restore" : "load", j->service->name, NULL, j->service->timeout, true };

	log_info("HAProxy's unit is reloaded", "service", j->service->name, "unit", j->service->unit, "because", why, NULL);
	gate_leave(&j->pass);
	run_start(j->of->run, &wish, unit_ended, j);
}

static void ended(void *arg, enum haproxy_end how, const char *output, const struct err *err)
{
	struct job *j = arg;

	j->talk = NULL;
	if (j->service->unit && (how == HAPROXY_DOWN || how == HAPROXY_MISSING))
		take_unit(j, err->detail);
	else if (how == HAPROXY_DOWN)
		finish(j, false, err->detail, NULL);
	else
		finish(j, true, output, how == HAPROXY_DONE ? NULL : err);
}

static void begin(void *arg)
{
	struct job *j = arg;
	struct haproxy_wish wish = { j->conf, j->service, j->certs, j->restore };

	j->begun = true;
	j->talk = haproxy_talk_start(j->of->install, &wish, ended, j);
}

/* --- requests --- */

static struct job *job_ensure(struct haproxy *h, const struct haproxy_wish *wish)
{
	bool first = !first_of(h, wish->service->name);
	struct job *j;

	TAILQ_FOREACH(j, &h->jobs, link)
		if (!j->begun && j->conf == wish->conf && j->service == wish->service && j->restore == wish->restore)
			return j;
	j = mem_alloc(sizeof(*j));
	*j = (struct job){ .of = h, .conf = conf_ref((struct conf *)wish->conf), .service = wish->service, .restore = wish->restore, .certs = js_array() };
	j->pass = (struct gate_pass){ .kind = GATE_RUN, .name = j->service->name, .enter = begin, .arg = j };
	STAILQ_INIT(&j->waiters);
	TAILQ_INSERT_TAIL(&h->jobs, j, link);
	if (first)
		gate_ask(h->gate, &j->pass);
	return j;
}

void haproxy_start(struct haproxy *h, const struct haproxy_wish *wish, run_done *done, void *arg)
{
	struct job *j = job_ensure(h, wish);
	struct waiter *w = mem_alloc(sizeof(*w));

	*w = (struct waiter){ .done = done, .arg = arg };
	STAILQ_INSERT_TAIL(&j->waiters, w, link);
	for (size_t i = 0; i < js_len(wish->certs); i++)
		js_add(j->certs, js_ref(js_at(wish->certs, i)));
}

bool haproxy_is_idle(const struct haproxy *h)
{
	return TAILQ_EMPTY(&h->jobs);
}

struct haproxy *haproxy_open(const struct install *install, struct run *run, struct gate *gate)
{
	struct haproxy *h = mem_alloc(sizeof(*h));

	*h = (struct haproxy){ .install = install, .run = run, .gate = gate };
	TAILQ_INIT(&h->jobs);
	return h;
}

void haproxy_close(struct haproxy *h)
{
	struct job *j;
	struct err err;

	if (!h)
		return;
	err_set(&err, ERR_TEMP, "run", "the keeper ends");
	while ((j = TAILQ_FIRST(&h->jobs))) {
		answer(j, false, NULL, &err);
		job_free(j);
	}
	free(h);
}
