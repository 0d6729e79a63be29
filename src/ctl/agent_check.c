/* SPDX-License-Identifier: ISC */
/* Check: would the next renewal work? Of one certificate or, a few at a time, of all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/agent_verbs.h"

enum { AT_ONCE = 4, NAME_MOST = 64 };

struct check_one {
	struct check_call *owner;
	struct registry_check *check; /* NULL: not in use */
	char cert[NAME_MOST];
};

struct check_call {
	struct agent *agent;
	struct varlink_call *call;
	bool one;              /* a certificate was named: no other follows */
	bool all;              /* the last one is begun */
	char after[NAME_MOST]; /* the latest that was begun */
	struct check_one at[AT_ONCE];
};

static void check_on(struct check_call *k);

static size_t count_busy(const struct check_call *k)
{
	size_t busy = 0;

	for (size_t i = 0; i < AT_ONCE; i++)
		busy += k->at[i].check != NULL;
	return busy;
}

static struct js *answer_of(const char *cert, const struct js *check)
{
	struct js *answer = js_object(), *list = js_array(), *row = js_object();

	if (check) {
		js_put_str(row, "name", cert);
		js_put(row, "check", js_ref((struct js *)check));
		js_add(list, row);
	} else {
		js_free(row);
	}
	js_put(answer, "checks", list);
	return answer;
}

static void check_done(void *arg, const struct js *check)
{
	struct check_one *one = arg;
	struct check_call *k = one->owner;
	struct js *answer = answer_of(one->cert, check);
	struct err err;

	one->check = NULL;
	check_on(k);
	if (k->one && !check) {
		js_free(answer);
		err_set(&err, ERR_INPUT, "removed", "it was removed from the configuration meanwhile");
		agent_fail(k->call, &err);
	} else if (k->all && count_busy(k) == 0) {
		varlink_finish(k->call, answer);
	} else {
		varlink_progress(k->call, answer);
	}
}

static void begin(struct check_call *k, const struct cert *c)
{
	struct check_one *free_one = k->at;

	while (free_one->check)
		free_one++;
	snprintf(free_one->cert, sizeof(free_one->cert), "%s", c->name);
	free_one->check = registry_check(k->agent->options.registry, c, check_done, free_one);
}

static bool check_next(void *arg, struct cert *c)
{
	struct check_call *k = arg;

	if (count_busy(k) == AT_ONCE)
		return false;
	snprintf(k->after, sizeof(k->after), "%s", c->name);
	begin(k, c);
	return true;
}

/* They may come and go meanwhile: the next is found by name. */
static void check_on(struct check_call *k)
{
	if (k->all)
		return;
	registry_each(k->agent->options.registry, k->after[0] ? k->after : NULL, check_next, k);
	k->all = count_busy(k) < AT_ONCE; /* else somebody may be left */
}

static void check_end(void *data)
{
	struct check_call *k = data;

	for (size_t i = 0; i < AT_ONCE; i++)
		registry_uncheck(k->at[i].check);
	free(k);
}

static bool count_two(void *arg, struct cert *c)
{
	(void)c;
	return ++*(size_t *)arg < 2;
}

void agent_check(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct varlink_ops ops = {.end = check_end};
	struct agent *a = arg;
	struct cert *c = js_str(parameters, "name") ? agent_find(a, call, parameters) : NULL;
	struct check_call *k;
	size_t n = 0;

	if (js_str(parameters, "name") && !c)
		return;
	registry_each(a->options.registry, NULL, count_two, &n);
	if (!c && n == 0) {
		varlink_finish(call, answer_of(NULL, NULL));
		return;
	}
	if (!c && n > 1 && !varlink_wants_more(call)) {
		varlink_expect_more(call);
		return;
	}
	k = mem_alloc(sizeof(*k));
	k->agent = a;
	k->call = call;
	for (size_t i = 0; i < AT_ONCE; i++)
		k->at[i].owner = k;
	varlink_keep(call, &ops, k);
	k->one = k->all = c != NULL;
	if (c)
		begin(k, c);
	else
		check_on(k);
}
