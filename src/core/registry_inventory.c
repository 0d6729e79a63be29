/* SPDX-License-Identifier: ISC */
/* What the account at a CA has, asked there when somebody wants to know. */
#include "core/registry_inner.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/loop.h"

struct inventory {
	LIST_ENTRY(inventory) link;
	struct registry *r;
	struct part *ca; /* held */
	struct issuer_call *call; /* NULL: it was answered */
	void (*done)(void *arg, const struct js *list, const struct err *err);
	void *arg;
};

static void inventory_free(void *arg)
{
	struct inventory *i = arg;

	LIST_REMOVE(i, link);
	part_release(&i->r->parts, i->ca);
	free(i);
}

static void inventory_ended(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	struct inventory *i = arg;

	i->call = NULL;
	loop_defer(inventory_free, i); /* its CA may go with it, and this is its own call */
	i->done(i->arg, answer ? answer->list : NULL, err);
}

void registry_inventory(struct registry *r, const char *ca, enum issuer_list what, void (*done)(void *arg, const struct js *list, const struct err *err), void *arg)
{
	struct part *part = parts_issuer(&r->parts, ca);
	struct inventory *i;
	struct err err;

	if (!part)
		err_set(&err, ERR_INPUT, "ca", "no ca \"%s\" is configured", ca);
	else if (!part_ready(&r->parts, part))
		err = part->err;
	else if (!part->issuer->ops->list)
		err_set(&err, ERR_INPUT, "ca", "ca %s is of a kind that has no instances, contacts and companies: they are of type alibaba-cas", ca);
	else
		err.kind = ERR_NONE;
	if (err.kind != ERR_NONE) {
		done(arg, NULL, &err);
		return;
	}
	i = mem_alloc(sizeof(*i));
	*i = (struct inventory){.r = r, .ca = part, .done = done, .arg = arg};
	LIST_INSERT_HEAD(&r->inventories, i, link);
	part_hold(part);
	i->call = part->issuer->ops->list(part->issuer, what, inventory_ended, i);
}

void registry_end_inventories(struct registry *r)
{
	struct inventory *i;

	while ((i = LIST_FIRST(&r->inventories))) {
		if (i->call)
			i->ca->issuer->ops->cancel(i->call);
		loop_undefer(i);
		inventory_free(i);
	}
}
