/* SPDX-License-Identifier: ISC */
/* What both ways of HTTP-01 share: the call under way and the look. */
#ifndef DOVAD_PROVE_HTTP_CALL_H
#define DOVAD_PROVE_HTTP_CALL_H

#include "prove/http_look.h"

struct method_call { /* exactly one of its kinds is under way */
	method_done *done;
	void *arg;
	struct rpc_call *rpc;
	struct http_seek *seek;
	char *name; /* of a check; else NULL */
};

struct method_call *http_call_new(method_done *done, void *arg);
struct method_call *http_call_at_once(method_done *done, void *arg); /* done on the next turn, without an error */
struct method_call *http_call_see(const struct http_look *look, const struct method_proof *proof, method_done *done, void *arg);
/* Fetches a token that nobody has: who answers 404 is there and would show one that is. */
struct method_call *http_call_check(const struct http_look *look, const struct method_proof *proof, method_done *done, void *arg);
void http_call_end(struct method_call *c, const struct js *report, const struct err *err);
void http_call_cancel(struct method_call *c);
enum method_fit http_fits(const struct method *m, const char *name, bool wildcard, struct err *why);

#endif
