/* SPDX-License-Identifier: ISC */
#include "io/rpc.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "io/loop.h"
#include "io/msg.h"

enum {
	RECONNECT_MS = 250, /* first wait after a break, then doubled up to: */
	RECONNECT_MAX_MS = 30000,
	PARTIAL_MS = 30000,
	WRITE_MS = 30000,
	OPEN_MAX = 4096, /* calls of one peer under way at once */
};

/* The whole configuration of a very large host is one answer. */
#define ANSWER_CAP ((size_t)64 << 20)
/* What waits for a peer that does not read. The peer decides how many answers it provokes, so there is an end. */
#define OUTPUT_CAP ((size_t)128 << 20)

struct rpc_call {
	TAILQ_ENTRY(rpc_call) link;
	struct rpc *rpc;
	int64_t id;
	struct js *request; /* kept whole: sent again after a break */
	struct timer limit;
	rpc_done *done;
	void *arg;
};

TAILQ_HEAD(rpc_calls, rpc_call);

struct rpc {
	struct rpc_ops ops;
	void *arg;
	struct msg *msg; /* NULL: down */
	struct timer again;
	int64_t delay;
	struct rpc_calls calls; /* in order of sending, so answers are found near the front */
	bool dead;
};

static int64_t last_id;

static void call_forget(struct rpc_call *c)
{
	TAILQ_REMOVE(&c->rpc->calls, c, link);
	timer_disarm(&c->limit);
	js_free(c->request);
	free(c);
}

static void call_end(struct rpc_call *c, const struct js *answer, const struct err *err)
{
	rpc_done *done = c->done;
	void *arg = c->arg;

	call_forget(c);
	done(arg, answer, err);
}

static void call_timed_out(void *arg)
{
	struct rpc_call *c = arg;
	const char *op = js_str(c->request, "op");
	struct err err;

	err_set(&err, ERR_LOCAL, "keeper", "no answer to \"%s\" in time (%s)", op ? op : "",
		c->rpc->msg ? "connected" : "not connected");
	call_end(c, NULL, &err);
}

static void answered(struct rpc *r, const struct js *v, int64_t id)
{
	const struct js *error = js_obj(v, "error");
	struct rpc_call *c;
	struct err err = { 0 };

	TAILQ_FOREACH(c, &r->calls, link)
		if (c->id == id)
			break;
	if (!c)
		return; /* cancelled, or timed out */
	if (error) {
		js_to_err(error, &err);
		if (err.kind == ERR_NONE)
			err.kind = ERR_BUG; /* a failure of no kind we know must not pass for success */
	}
	call_end(c, error ? NULL : v, error ? &err : NULL);
}

static void client_got(void *arg, struct msg *m, struct js *v)
{
	struct rpc *r = arg;
	int64_t id = js_int(v, "id", 0);

	(void)m;
	r->delay = RECONNECT_MS; /* this connection works */
	if (id > 0)
		answered(r, v, id);
	else if (js_str(v, "event") && r->ops.event)
		r->ops.event(r->arg, v);
}

static void dial(void *arg);

static void down(struct rpc *r, const struct err *err)
{
	r->msg = NULL;
	timer_arm(&r->again, r->delay, dial, r);
	r->delay = r->delay * 2 < RECONNECT_MAX_MS ? r->delay * 2 : RECONNECT_MAX_MS;
	if (r->ops.state)
		r->ops.state(r->arg, false, err);
}

static void client_closed(void *arg, struct msg *m, const struct err *err)
{
	struct err ended;

	(void)m;
	err_set(&ended, ERR_TEMP, "connection", "the other side closed the connection");
	down(arg, err->kind == ERR_NONE ? &ended : err);
}

static void dial(void *arg)
{
	/* Output is bounded by the number of our own calls; a cap would only break a connection that works. */
	static const struct msg_limits limits = {
		.message = ANSWER_CAP, .output = SIZE_MAX, .partial_ms = PARTIAL_MS, .write_ms = WRITE_MS,
	};
	static const struct msg_ops ops = { .got = client_got, .closed = client_closed };
	struct rpc *r = arg;
	struct err err = { 0 };
	struct rpc_call *c;
	int fd = r->ops.connect(r->arg, &err);

	if (fd >= 0)
		r->msg = msg_open(fd, &limits, &ops, r, &err);
	if (!r->msg) {
		down(r, &err);
		return;
	}
	TAILQ_FOREACH(c, &r->calls, link)
		msg_send(r->msg, c->request);
	if (r->ops.state)
		r->ops.state(r->arg, true, NULL);
}

struct rpc *rpc_new(const struct rpc_ops *ops, void *arg)
{
	struct rpc *r = mem_alloc(sizeof(*r));

	r->ops = *ops;
	r->arg = arg;
	r->delay = RECONNECT_MS;
	TAILQ_INIT(&r->calls);
	timer_arm(&r->again, 0, dial, r);
	return r;
}

void rpc_free(struct rpc *r)
{
	struct rpc_call *c;

	if (!r || r->dead)
		return;
	r->dead = true;
	while ((c = TAILQ_FIRST(&r->calls)))
		call_forget(c);
	msg_close(r->msg);
	timer_disarm(&r->again);
	loop_defer(free, r);
}

struct rpc_call *rpc_send(struct rpc *r, struct js *request, int64_t timeout_ms, rpc_done *done, void *arg)
{
	struct rpc_call *c = mem_alloc(sizeof(*c));

	c->rpc = r;
	c->id = ++last_id;
	c->request = request;
	c->done = done;
	c->arg = arg;
	js_put_int(request, "id", c->id);
	TAILQ_INSERT_TAIL(&r->calls, c, link);
	timer_arm(&c->limit, timeout_ms, call_timed_out, c);
	if (r->msg)
		msg_send(r->msg, request);
	return c;
}

void rpc_cancel(struct rpc_call *c)
{
	if (c)
		call_forget(c);
}

/* The serving side. */

struct rpc_request {
	LIST_ENTRY(rpc_request) link;
	struct rpc_peer *peer; /* NULL: gone, nobody wants the answer */
	int64_t id;
};

struct rpc_peer {
	struct rpc_serve_ops ops;
	void *arg;
	struct msg *msg;
	LIST_HEAD(, rpc_request) open;
	unsigned nopen;
	bool dead;
};

void rpc_peer_close(struct rpc_peer *p)
{
	struct rpc_request *q;

	if (!p || p->dead)
		return;
	p->dead = true;
	LIST_FOREACH(q, &p->open, link)
		q->peer = NULL;
	msg_close(p->msg);
	loop_defer(free, p);
}

static void peer_ended(struct rpc_peer *p)
{
	rpc_peer_close(p);
	p->ops.closed(p->arg, p);
}

static void peer_closed(void *arg, struct msg *m, const struct err *err)
{
	(void)m;
	(void)err;
	peer_ended(arg);
}

static void peer_got(void *arg, struct msg *m, struct js *v)
{
	struct rpc_peer *p = arg;
	int64_t id = js_int(v, "id", 0);
	struct rpc_request *q;
	struct err err;

	(void)m;
	if (id <= 0) {
		peer_ended(p); /* nothing could be answered */
		return;
	}
	q = mem_alloc(sizeof(*q));
	q->peer = p;
	q->id = id;
	LIST_INSERT_HEAD(&p->open, q, link);
	p->nopen++;
	if (!js_str(v, "op")) {
		err_set(&err, ERR_INPUT, "call", "a call without \"op\"");
		rpc_refuse(q, &err);
	} else if (p->nopen > OPEN_MAX) {
		err_set(&err, ERR_TEMP, "call", "more than %d calls under way", OPEN_MAX);
		rpc_refuse(q, &err);
	} else {
		p->ops.call(p->arg, q, v);
	}
}

struct rpc_peer *rpc_serve(int fd, size_t message_cap, const struct rpc_serve_ops *ops, void *arg, struct err *err)
{
	static const struct msg_ops msg_ops = { .got = peer_got, .closed = peer_closed };
	struct msg_limits limits = {
		.message = message_cap, .output = OUTPUT_CAP, .partial_ms = PARTIAL_MS, .write_ms = WRITE_MS,
	};
	struct rpc_peer *p = mem_alloc(sizeof(*p));

	p->ops = *ops;
	p->arg = arg;
	LIST_INIT(&p->open);
	p->msg = msg_open(fd, &limits, &msg_ops, p, err);
	if (p->msg)
		return p;
	free(p);
	return NULL;
}

void rpc_answer(struct rpc_request *q, struct js *answer)
{
	struct rpc_peer *p = q->peer;
	struct js *v = answer ? answer : js_object();

	if (p) {
		LIST_REMOVE(q, link);
		p->nopen--;
		js_put_int(v, "id", q->id);
		msg_send(p->msg, v);
	}
	js_free(v);
	free(q);
}

void rpc_refuse(struct rpc_request *q, const struct err *err)
{
	struct js *v = js_object();

	js_put(v, "error", js_from_err(err));
	rpc_answer(q, v);
}

void rpc_event(struct rpc_peer *p, const struct js *event)
{
	if (!p->dead)
		msg_send(p->msg, event);
}
