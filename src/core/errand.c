/* SPDX-License-Identifier: ISC */
#include "core/errand.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/loop.h"

struct errand_wait {
	TAILQ_ENTRY(errand_wait) link;
	struct errand *errand;
	rpc_done *done;
	void *arg;
};

struct errand {
	LIST_ENTRY(errand) link;
	struct errands *of;
	char *op, *service, *conf;
	struct js *certs;
	int64_t timeout_ms;
	struct rpc_call *call;
	enum { JOINING, ASKED, ENDING } state;
	TAILQ_HEAD(, errand_wait) waits;
};

static void errand_free(struct errand *e)
{
	LIST_REMOVE(e, link);
	loop_undefer(e);
	rpc_cancel(e->call);
	free(e->op);
	free(e->service);
	free(e->conf);
	js_free(e->certs);
	free(e);
}

static void ended(void *arg, const struct js *answer, const struct err *err)
{
	struct errand *e = arg;
	struct errand_wait *w;

	e->call = NULL;
	e->state = ENDING;
	while ((w = TAILQ_FIRST(&e->waits))) {
		TAILQ_REMOVE(&e->waits, w, link);
		w->done(w->arg, answer, err);
		free(w);
	}
	errand_free(e);
}

static void ask(void *arg)
{
	struct errand *e = arg;
	struct js *request = js_object();

	e->state = ASKED;
	js_put_str(request, "op", e->op);
	js_put_str(request, "service", e->service);
	js_put_str(request, "conf", e->conf);
	js_put(request, "certs", js_ref(e->certs));
	e->call = rpc_send(e->of->keeper, request, e->timeout_ms, ended, e);
}

static struct errand *errand_new(struct errands *all, const struct errand_wish *wish)
{
	struct errand *e = mem_alloc(sizeof(*e));

	e->of = all;
	e->op = mem_strdup(wish->op);
	e->service = mem_strdup(wish->service);
	e->conf = mem_strdup(wish->conf);
	e->certs = js_array();
	TAILQ_INIT(&e->waits);
	LIST_INSERT_HEAD(&all->all, e, link);
	loop_defer(ask, e);
	return e;
}

static struct errand *errand_ensure(struct errands *all, const struct errand_wish *wish)
{
	struct errand *e;

	LIST_FOREACH(e, &all->all, link)
		if (e->state == JOINING && strcmp(e->op, wish->op) == 0 && strcmp(e->service, wish->service) == 0 && strcmp(e->conf, wish->conf) == 0)
			return e;
	return errand_new(all, wish);
}

struct errand_wait *errand_ask(struct errands *all, const struct errand_wish *wish, rpc_done *done, void *arg)
{
	struct errand *e = errand_ensure(all, wish);
	struct errand_wait *w = mem_alloc(sizeof(*w));

	*w = (struct errand_wait){ .errand = e, .done = done, .arg = arg };
	TAILQ_INSERT_TAIL(&e->waits, w, link);
	js_add_str(e->certs, wish->cert);
	if (wish->timeout_ms > e->timeout_ms)
		e->timeout_ms = wish->timeout_ms;
	return w;
}

void errand_cancel(struct errand_wait *w)
{
	struct errand *e = w->errand;

	TAILQ_REMOVE(&e->waits, w, link);
	free(w);
	if (TAILQ_EMPTY(&e->waits) && e->state != ENDING)
		errand_free(e);
}
