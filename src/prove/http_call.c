/* SPDX-License-Identifier: ISC */
#include "prove/http_call.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/loop.h"

struct method_call *http_call_new(method_done *done, void *arg)
{
	struct method_call *c = mem_alloc(sizeof(*c));

	c->done = done;
	c->arg = arg;
	return c;
}

void http_call_end(struct method_call *c, const struct js *report, const struct err *err)
{
	method_done *done = c->done;
	void *arg = c->arg;

	free(c);
	done(arg, report, err);
}

static void call_now(void *arg)
{
	http_call_end(arg, NULL, NULL);
}

struct method_call *http_call_at_once(method_done *done, void *arg)
{
	struct method_call *c = http_call_new(done, arg);

	loop_defer(call_now, c);
	return c;
}

static void call_seen(void *arg, const struct js *report, const struct err *err)
{
	http_call_end(arg, report, err);
}

struct method_call *http_call_see(const struct http_look *look, const struct method_proof *proof, method_done *done, void *arg)
{
	struct method_call *c = http_call_new(done, arg);

	c->seek = http_look_start(look, proof, call_seen, c);
	return c;
}

void http_call_cancel(struct method_call *c)
{
	if (!c)
		return;
	loop_undefer(c);
	rpc_cancel(c->rpc);
	http_look_cancel(c->seek);
	free(c);
}

enum method_fit http_fits(const struct method *m, const char *name, bool wildcard, struct err *why)
{
	(void)m;
	if (!wildcard)
		return METHOD_YES;
	err_set(why, ERR_INPUT, "wildcard", "HTTP-01 does not prove wildcards (*.%s): a DNS proof is needed", name);
	return METHOD_NO;
}
