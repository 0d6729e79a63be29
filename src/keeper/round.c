/* SPDX-License-Identifier: ISC */
#include "keeper/round.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

enum { DESCRIPTORS = 256 }; /* in one sync, about: what comes then makes the next round */

struct work {
	TAILQ_ENTRY(work) link;
	const struct round_op *op;
	struct rpc_request *request;
	struct js *q;
	const char *cert; /* of q; NULL: none */
	struct gate_pass pass;
	void *job;
};

TAILQ_HEAD(works, work);

struct round {
	void *arg;
	struct gate *gate;
	struct works waiting, running;
	int step; /* the running ones have done */
	bool busy;
	struct sync sync;
	struct syncer *syncer;
	struct timer timer;
};

/* Among those before `end`, NULL: all. */
static bool has_cert(const struct works *all, const char *cert, const struct work *end)
{
	const struct work *w;

	for (w = TAILQ_FIRST(all); cert && w != end; w = TAILQ_NEXT(w, link))
		if (w->cert && strcmp(w->cert, cert) == 0)
			return true;
	return false;
}

bool round_holds(const struct round *r, const char *cert)
{
	return has_cert(&r->running, cert, NULL) || has_cert(&r->waiting, cert, NULL);
}

static void work_free(struct works *of, struct work *w)
{
	TAILQ_REMOVE(of, w, link);
	gate_leave(&w->pass);
	js_free(w->q);
	free(w);
}

static void work_end(struct round *r, struct work *w, bool done)
{
	struct js *answer = w->job ? w->op->end(w->job, done) : NULL;

	if (answer)
		rpc_answer(w->request, answer);
	else
		w->op->alone(r->arg, w->request, w->q);
	work_free(&r->running, w);
}

static bool may_begin(const struct round *r, const struct work *w)
{
	return (!w->op->switches || w->pass.inside) && !has_cert(&r->running, w->cert, NULL) && !has_cert(&r->waiting, w->cert, w);
}

static struct work *first_ready(const struct round *r, struct work *w)
{
	while (w && !may_begin(r, w))
		w = TAILQ_NEXT(w, link);
	return w;
}

static void synced(void *arg, const struct err *err);
static void begin(void *arg);

/* Not at the end of this turn: answers that are ready go out first, and more of the kind may be waiting to be read. */
static void begin_soon(void *arg)
{
	struct round *r = arg;

	if (!r->busy && !timer_armed(&r->timer))
		timer_arm(&r->timer, 0, begin, r);
}

static void go_on(struct round *r)
{
	r->busy = !TAILQ_EMPTY(&r->running);
	if (r->busy)
		syncer_start(r->syncer, &r->sync, synced, r);
	else if (first_ready(r, TAILQ_FIRST(&r->waiting)))
		begin_soon(r);
}

static void synced(void *arg, const struct err *err)
{
	struct round *r = arg;
	struct work *w, *next;

	if (err)
		log_warning("what was written is written again, one by one", "error", err->detail, NULL);
	for (w = TAILQ_FIRST(&r->running); w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (err || r->step == w->op->steps)
			work_end(r, w, !err);
		else if (!w->op->step(w->job, r->step, &r->sync))
			work_end(r, w, false);
	}
	r->step++;
	go_on(r);
}

static void begin(void *arg)
{
	struct round *r = arg;
	struct work *w, *next;

	r->step = 0;
	for (w = first_ready(r, TAILQ_FIRST(&r->waiting)); w && r->sync.n < DESCRIPTORS; w = first_ready(r, next)) {
		next = TAILQ_NEXT(w, link);
		TAILQ_REMOVE(&r->waiting, w, link);
		TAILQ_INSERT_TAIL(&r->running, w, link);
		w->job = w->op->write ? w->op->write(r->arg, w->q, &r->sync) : NULL;
		if (!w->job)
			work_end(r, w, false);
	}
	go_on(r);
}

void round_add(struct round *r, const struct round_op *op, struct rpc_request *request, const struct js *q)
{
	struct work *w = mem_alloc(sizeof(*w));

	*w = (struct work){ .op = op, .request = request, .q = js_ref((struct js *)q), .cert = js_str(q, "cert") };
	w->pass = (struct gate_pass){ .kind = GATE_SWITCH, .name = w->cert, .enter = begin_soon, .arg = r };
	TAILQ_INSERT_TAIL(&r->waiting, w, link);
	if (op->switches)
		gate_ask(r->gate, &w->pass);
	else
		begin_soon(r);
}

struct round *round_new(void *arg, struct gate *gate)
{
	struct round *r = mem_alloc(sizeof(*r));

	r->arg = arg;
	r->gate = gate;
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->running);
	r->syncer = syncer_new();
	return r;
}

static void forget(struct works *all)
{
	struct work *w;

	while ((w = TAILQ_FIRST(all))) {
		rpc_answer(w->request, NULL); /* its peer is gone: only memory is freed */
		work_free(all, w);
	}
}

void round_free(struct round *r)
{
	struct work *w;

	if (!r)
		return;
	timer_disarm(&r->timer);
	syncer_free(r->syncer);
	TAILQ_FOREACH(w, &r->running, link)
		js_free(w->op->end(w->job, false));
	forget(&r->running);
	forget(&r->waiting);
	sync_drop(&r->sync);
	free(r);
}
