/* SPDX-License-Identifier: ISC */
/* A command of the admin's writes the record: the keeper has it run by the entry's name. */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "prove/dns_provider.h"

struct exec {
	struct dns_provider provider;
	struct arena *arena;
	struct rpc *keeper;
	int64_t timeout_ms;
	LIST_HEAD(, dns_change) changes; /* under way */
};

struct dns_change {
	LIST_ENTRY(dns_change) link;
	struct rpc_call *call;
	dns_changed *done;
	void *arg;
};

static void change_free(struct dns_change *c)
{
	LIST_REMOVE(c, link);
	free(c);
}

static void ended(void *arg, const struct js *answer, const struct err *err)
{
	struct dns_change *c = arg;
	dns_changed *done = c->done;
	void *done_arg = c->arg;

	(void)answer;
	change_free(c);
	done(done_arg, err);
}

static struct dns_change *ask(struct dns_provider *p, const char *action, const struct dns_record *record, dns_changed *done, void *arg)
{
	struct exec *x = (struct exec *)p;
	struct dns_change *c = mem_alloc(sizeof(*c));
	struct js *request = js_object();

	c->done = done;
	c->arg = arg;
	LIST_INSERT_HEAD(&x->changes, c, link);
	js_put_str(request, "op", "hook");
	js_put_str(request, "dns", p->name);
	js_put_str(request, "action", action);
	js_put_str(request, "zone", record->zone);
	js_put_str(request, "record", record->name);
	js_put_str(request, "value", record->value);
	c->call = rpc_send(x->keeper, request, x->timeout_ms, ended, c);
	return c;
}

static struct dns_change *exec_add(struct dns_provider *p, const struct dns_record *record, dns_changed *done, void *arg)
{
	return ask(p, "add", record, done, arg);
}

static struct dns_change *exec_remove(struct dns_provider *p, const struct dns_record *record, dns_changed *done, void *arg)
{
	return ask(p, "remove", record, done, arg);
}

static void exec_cancel(struct dns_change *c)
{
	if (!c)
		return;
	rpc_cancel(c->call);
	change_free(c);
}

static void exec_free(struct dns_provider *p)
{
	struct exec *x = (struct exec *)p;

	while (!LIST_EMPTY(&x->changes))
		exec_cancel(LIST_FIRST(&x->changes));
	arena_free(x->arena);
	free(x);
}

struct dns_provider *dns_exec_new(const struct dns_exec_options *options, struct err *err)
{
	static const struct dns_provider_ops ops = {.add = exec_add, .remove = exec_remove, .cancel = exec_cancel, .free = exec_free};
	struct exec *x = mem_alloc(sizeof(*x));
	const char **zones;

	err_clear(err);
	LIST_INIT(&x->changes);
	x->arena = arena_new();
	x->keeper = options->keeper;
	x->timeout_ms = options->timeout_ms;
	zones = arena_array(x->arena, options->nzones + 1, sizeof(*zones));
	for (size_t i = 0; i < options->nzones; i++)
		zones[i] = arena_strdup(x->arena, options->zones[i]);
	x->provider = (struct dns_provider){.ops = &ops, .name = arena_strdup(x->arena, options->name), .zones = zones, .nzones = options->nzones};
	return &x->provider;
}
