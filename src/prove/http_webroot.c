/* SPDX-License-Identifier: ISC */
/* HTTP-01 below a webroot: the keeper, which alone may write there, makes and removes the file. */
#include <stdlib.h>

#include "base/mem.h"
#include "prove/http_call.h"

enum { WEBROOT_KEEPER_MS = 20000 };

struct webroot {
	struct method method;
	struct rpc *keeper;
	struct http_look look;
	char *name, *shown;
};

static void webroot_answered(void *arg, const struct js *answer, const struct err *err)
{
	struct method_call *c = arg;

	(void)answer;
	c->rpc = NULL;
	http_call_end(c, NULL, err);
}

static struct method_call *webroot_ask(struct method *m, const char *op, const struct method_proof *proof, method_done *done, void *arg)
{
	struct webroot *w = (struct webroot *)m;
	struct method_call *c = http_call_new(done, arg);
	struct js *request = js_object();

	js_put_str(request, "op", op);
	js_put_str(request, "http", w->name);
	js_put_str(request, "ca", proof->ca);
	js_put_str(request, "token", proof->token);
	c->rpc = rpc_send(w->keeper, request, WEBROOT_KEEPER_MS, webroot_answered, c);
	return c;
}

static struct method_call *webroot_publish(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return webroot_ask(m, "publish", proof, done, arg);
}

static struct method_call *webroot_withdraw(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return webroot_ask(m, "withdraw", proof, done, arg);
}

static struct method_call *webroot_see(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return http_call_see(&((struct webroot *)m)->look, proof, done, arg);
}

static struct method_call *webroot_check(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return http_call_check(&((struct webroot *)m)->look, proof, done, arg);
}

static void webroot_free(struct method *m)
{
	struct webroot *w = (struct webroot *)m;

	free(w->name);
	free(w->shown);
	free(w);
}

struct method *http_webroot_new(const char *name, struct rpc *keeper, const struct http_look *look, struct err *err)
{
	static const struct method_ops ops = {.challenge = "http-01", .fits = http_fits, .publish = webroot_publish, .see = webroot_see,
		.withdraw = webroot_withdraw, .cancel = http_call_cancel, .free = webroot_free, .check = webroot_check};
	struct webroot *w = mem_alloc(sizeof(*w));

	err_clear(err);
	w->name = mem_strdup(name);
	w->shown = mem_printf("http:%s", name);
	w->method = (struct method){&ops, w->shown};
	w->keeper = keeper;
	w->look = *look;
	return &w->method;
}
