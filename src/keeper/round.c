/* SPDX-License-Identifier: ISC */
#include "keeper/round.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

enum {
	WORKS = 64, /* more make the next round */
	SYSTEMS = 16,
	STEPS = 2,
};

struct work {
	const struct round_op *op;
	struct rpc_request *request;
	struct js *q, *answer;
	void *job; /* NULL: to be done alone */
	bool failed;
};

struct systems { /* the file systems that were written to, by a folder of each */
	dev_t dev[SYSTEMS];
	int folder[SYSTEMS];
	size_t n;
};

struct round {
	void *arg;
	struct work work[WORKS];
	size_t n;
	struct systems systems;
	struct timer timer;
};

/* --- syncing --- */

static bool systems_add(struct systems *s, int folder)
{
	struct stat st;

	if (fstat(folder, &st) != 0)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (s->dev[i] == st.st_dev)
			return true;
	if (s->n == SYSTEMS)
		return false;
	s->dev[s->n] = st.st_dev;
	s->folder[s->n++] = folder;
	return true;
}

static bool systems_sync(const struct systems *s)
{
	bool ok = true;

	for (size_t i = 0; i < s->n; i++)
		ok = syncfs(s->folder[i]) == 0 && ok;
	return ok;
}

/* --- one round --- */

/* The same thing asked for twice would be written to the same place. */
static bool is_first(const struct round *r, const struct work *w)
{
	const char *cert = js_str(w->q, "cert");

	for (const struct work *o = r->work; o < w; o++)
		if (!cert || (js_str(o->q, "cert") && strcmp(js_str(o->q, "cert"), cert) == 0))
			return false;
	return true;
}

static void work_write(struct round *r, struct work *w)
{
	int folder;

	w->job = is_first(r, w) ? w->op->write(r->arg, w->q) : NULL;
	for (size_t i = 0; w->job && !w->failed && (folder = w->op->folder(w->job, i)) >= 0; i++)
		w->failed = !systems_add(&r->systems, folder);
}

/* A job that failed is kept to the end: its folders are what is synced by. */
static void do_together(struct round *r)
{
	bool ok;

	r->systems.n = 0;
	for (size_t i = 0; i < r->n; i++)
		work_write(r, &r->work[i]);
	ok = systems_sync(&r->systems);
	for (int step = 0; step < STEPS && ok; step++) {
		for (struct work *w = r->work; w < r->work + r->n; w++)
			w->failed = !w->job || w->failed || !w->op->steps[step](w->job);
		ok = systems_sync(&r->systems);
	}
	if (!ok)
		log_warning("the disk failed: what was written together is written again one by one", NULL);
	for (struct work *w = r->work; w < r->work + r->n; w++)
		if (w->job)
			w->answer = w->op->end(w->job, ok && !w->failed);
}

static void round_run(void *arg)
{
	struct round *r = arg;

	if (r->n > 1)
		do_together(r);
	for (struct work *w = r->work; w < r->work + r->n; w++) {
		if (w->answer)
			rpc_answer(w->request, w->answer);
		else
			w->op->alone(r->arg, w->request, w->q);
		js_free(w->q);
	}
	r->n = 0;
}

void round_add(struct round *r, const struct round_op *op, struct rpc_request *request, const struct js *q)
{
	if (r->n == WORKS)
		round_run(r);
	r->work[r->n++] = (struct work){ .op = op, .request = request, .q = js_ref((struct js *)q) };
	/* Not at the end of this turn: answers that are ready go out first, and more of the kind may be waiting to be read. */
	if (!timer_armed(&r->timer))
		timer_arm(&r->timer, 0, round_run, r);
}

struct round *round_new(void *arg)
{
	struct round *r = mem_alloc(sizeof(*r));

	r->arg = arg;
	return r;
}

void round_free(struct round *r)
{
	if (!r)
		return;
	timer_disarm(&r->timer);
	for (size_t i = 0; i < r->n; i++) {
		rpc_answer(r->work[i].request, NULL); /* its peer is gone: only the memory goes */
		js_free(r->work[i].q);
	}
	free(r);
}
