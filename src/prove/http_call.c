/* SPDX-License-Identifier: ISC */
#include "prove/http_call.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/loop.h"
#include "prove/finding.h"

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

	free(c->name);
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

static void add_address(struct js *list, const char *name, const struct js *seen)
{
	const char *address = js_str(seen, "address"), *text = js_str(seen, "text");
	int64_t status = js_int(seen, "status", 0);

	if (status == 404 || status == 410 || status == 200)
		finding_add(list, FINDING_OK, "http", name, "%s answers", address);
	else if (status)
		finding_add(list, FINDING_WARN, "http", name, "%s: a token that is not there %s", address, text);
	else
		finding_add(list, FINDING_FAIL, "http", name, "%s: %s", address, text);
}

static void call_checked(void *arg, const struct js *report, const struct err *err)
{
	const struct js *addresses = js_arr(report, "addresses");
	struct method_call *c = arg;
	struct js *list = report ? js_array() : NULL;

	for (size_t i = 0; i < js_len(addresses); i++)
		add_address(list, c->name, js_at(addresses, i));
	http_call_end(c, list, report ? NULL : err);
	js_free(list);
}

struct method_call *http_call_check(const struct http_look *look, const struct method_proof *proof, method_done *done, void *arg)
{
	struct method_call *c = http_call_new(done, arg);
	struct method_proof nobodys = *proof;
	char token[40];

	snprintf(token, sizeof(token), "dovad-check-%08x%08x", arc4random(), arc4random());
	nobodys.token = token;
	nobodys.thumbprint = "none";
	c->name = mem_strdup(proof->name);
	c->seek = http_look_start(look, &nobodys, call_checked, c);
	return c;
}

void http_call_cancel(struct method_call *c)
{
	if (!c)
		return;
	loop_undefer(c);
	rpc_cancel(c->rpc);
	http_look_cancel(c->seek);
	free(c->name);
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
