/* SPDX-License-Identifier: ISC */
/* Calls with numbered answers between our own programs, many at once over one connection:
 *   {"id": 7, "op": "sign", ...}  ->  {"id": 7, ...} or {"id": 7, "error": {kind, type, detail}}; events have "event" and no id. */
#ifndef DOVAD_IO_RPC_H
#define DOVAD_IO_RPC_H

#include "base/json.h"

struct rpc;      /* client: a connection that is made again when it breaks, calls are then sent again (every op is repeatable) */
struct rpc_call; /* one call under way */

/* answer is borrowed, NULL when err is set. Called once, on a later turn, unless cancelled. */
typedef void rpc_done(void *arg, const struct js *answer, const struct err *err);

/* connect() yields a connected descriptor or -1 and *err; it is called now and again (250 ms, doubling to 30 s) after each break.
 * event(): an unasked message. state(): up or down, with the reason; may be NULL. */
struct rpc_ops {
	int (*connect)(void *arg, struct err *err);
	void (*event)(void *arg, const struct js *event);
	void (*state)(void *arg, bool up, const struct err *err);
};
struct rpc *rpc_new(const struct rpc_ops *ops, void *arg);
void rpc_free(struct rpc *r); /* pending calls are forgotten without an answer */
/* request (an object with "op") is taken over. timeout_ms covers reconnects; when it passes the call ends with ERR_LOCAL "keeper".
 * The returned handle is valid until done() is called or rpc_cancel. */
struct rpc_call *rpc_send(struct rpc *r, struct js *request, int64_t timeout_ms, rpc_done *done, void *arg);
void rpc_cancel(struct rpc_call *c); /* NULL is fine; done() will not be called */

/* Serving side: one per accepted connection. */
struct rpc_peer;
struct rpc_request; /* one call to be answered exactly once */
struct rpc_serve_ops {
	void (*call)(void *arg, struct rpc_request *q, const struct js *request); /* request is borrowed for the call */
	void (*closed)(void *arg, struct rpc_peer *p);                           /* requests still open may yet be answered: harmless */
};
struct rpc_peer *rpc_serve(int fd, size_t message_cap, const struct rpc_serve_ops *ops, void *arg, struct err *err)
	__attribute__((warn_unused_result));
void rpc_answer(struct rpc_request *q, struct js *answer);            /* takes over answer (NULL: {}); q is gone */
void rpc_refuse(struct rpc_request *q, const struct err *err);        /* q is gone */
void rpc_event(struct rpc_peer *p, const struct js *event);
void rpc_peer_close(struct rpc_peer *p);

#endif
