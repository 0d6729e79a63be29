/* SPDX-License-Identifier: ISC */
#include "prove/zone.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "io/loop.h"
#include "prove/zone_inner.h"

#define CHALLENGE "_acme-challenge."

enum step_number {
	STEP_MORE = -1,            /* no step: ask the next server */
	STEP_SOA, STEP_NS, STEP_ADDRESSES, STEP_TXT, STEP_SIBLING, STEP_SERIAL, STEP_BESIDE, STEP_OWN_NS, STEP_PARENT_SOA, STEP_PARENT_NS,
	STEP_PARENT_ADDRESSES, STEP_DELEGATION, STEP_MORE_ADDRESSES, STEP_EXTRA, STEP_END,
};
enum via { VIA_RECURSIVE, VIA_ZONE, VIA_USED /* the one whose answer was taken, then the others */, VIA_PARENT, VIA_EXTRA, VIA_LOOKUP };

static int fail(struct zone_find *f, enum err_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct zone_find *f, enum err_kind kind, const char *fmt, ...)
{
	char text[sizeof(f->err.detail)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&f->err, kind, "dns", "%s", text);
	return STEP_END;
}

static int useless(struct zone_find *f, struct find_target *t, const char *what, const char *name)
{
	t->said = arena_printf(f->arena, "%s%s", what, name);
	return STEP_MORE;
}

/* --- where is the zone: recursive servers, never below a label that begins with "_" ------------------------------------------------ */

static const char *about_point(struct zone_find *f)
{
	return f->point;
}

/* The name to ask recursive servers about `name`: what is behind its last label with "_"; otherwise its parent, since the name itself may be made only now. */
static const char *point_of(const char *name)
{
	const char *point = NULL;

	for (const char *label = name; *label; label = dns_name_parent(label))
		if (*label == '_')
			point = dns_name_parent(label);
	return point ? point : dns_name_parent(name);
}

static int point_up(struct zone_find *f)
{
	f->point = dns_name_parent(f->point);
	if (!*f->point)
		return fail(f, ERR_TEMP, "no zone was found that holds %.200s", f->owner);
	return STEP_SOA;
}

static int read_soa(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	(void)t;
	if (f->unchecked)
		return fail(f, ERR_TEMP, "DNSSEC: the signatures of %.200s are wrong (bogus): recursive servers answer only when told not to check them, and "
			"CAs do check", f->point);
	if (a->cname || !a->soa_owner || !dns_name_is_in(f->point, a->soa_owner))
		return point_up(f);
	if (!*a->soa_owner)
		return fail(f, ERR_TEMP, "%.200s does not exist: the root zone says so", f->point);
	f->cut = CUT_SOA;
	f->parent = NULL;
	f->zone = find_side_given(f, a->soa_owner);
	return f->zone->n > 0 ? STEP_TXT : STEP_NS;
}

static int none_soa(struct zone_find *f)
{
	char said[300];

	if (!f->unchecked)
		for (size_t i = 0; i < f->norder; i++)
			if (f->order[i]->said && strcmp(f->order[i]->said, "SERVFAIL") == 0) {
				find_say_targets(f->order, f->norder, said, sizeof(said));
				fail(f, ERR_TEMP, "the zone of %.120s was not found by recursive servers: %s", f->point, said);
				f->unchecked = true;
				return STEP_SOA;
			}
	if (f->unchecked) /* the first round has told why */
		return STEP_END;
	find_say_targets(f->order, f->norder, said, sizeof(said));
	return fail(f, ERR_TEMP, "the zone of %.120s was not found by recursive servers: %s", f->point, *said ? said : "there are none");
}

static const char *about_apex(struct zone_find *f)
{
	return f->zone->apex;
}

/* Marks the name servers of an answer; false: it lists none for this zone. */
static bool take_ns(struct zone_find *f, struct find_side *side, const struct answer *a, bool by_parent)
{
	if (!a->ns_owner || strcmp(a->ns_owner, side->apex) != 0)
		return false;
	for (size_t i = 0; i < a->nns; i++) {
		struct find_host *h = find_host_ensure(f, side, a->ns[i]);

		if (h && by_parent)
			h->parent = true;
		else if (h)
			h->own = true;
	}
	f->nglue = 0;
	for (size_t i = 0; i < a->nglue; i++) {
		f->glue[f->nglue] = a->glue[i];
		f->glue[f->nglue++].host = arena_strdup(f->arena, a->glue[i].host);
	}
	return true;
}

static int read_ns(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (!take_ns(f, f->zone, a, false))
		return useless(f, t, "no name servers of ", f->zone->apex);
	return STEP_ADDRESSES;
}

static int none_ns(struct zone_find *f)
{
	char said[300];

	find_say_targets(f->order, f->norder, said, sizeof(said));
	return fail(f, ERR_TEMP, "the name servers of %.120s were not found: %s", f->zone->apex, said);
}

static int none_addresses(struct zone_find *f)
{
	if (f->zone->n > 0)
		return STEP_TXT;
	return fail(f, ERR_TEMP, "no name server of %.120s has an address: %.300s", f->zone->apex, f->nnotes ? f->note[f->nnotes - 1] : "none is listed");
}

/* --- where is the record: authoritative servers only ------------------------------------------------------------------------------ */

static const char *about_owner(struct zone_find *f)
{
	return f->owner;
}

static bool is_deeper(const struct zone_find *f, const char *apex)
{
	return strcmp(apex, f->zone->apex) != 0 && dns_name_is_in(apex, f->zone->apex) && dns_name_is_in(f->owner, apex);
}

static int go_deeper(struct zone_find *f, const struct answer *a, const char *apex)
{
	bool given = f->zone->nhosts == 0;

	if (++f->depth > ZONE_DEPTH_MAX)
		return fail(f, ERR_TEMP, "more than %d delegations on the way to %.200s, the last to %.200s", ZONE_DEPTH_MAX, f->owner, apex);
	f->cut = f->authoritative ? CUT_ANSWER : CUT_REFERRAL; /* a server that holds both zones does not refer */
	f->has_soa = false;
	if (f->authoritative && given) {
		f->zone = find_side_same(f, f->zone, apex);
		return STEP_TXT;
	}
	f->parent = f->zone;
	f->zone = find_side_new(f, apex);
	return take_ns(f, f->zone, a, !f->authoritative) ? STEP_ADDRESSES : STEP_BESIDE;
}

static int read_referral(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (a->ns_owner && !a->cname && a->nvalues == 0 && is_deeper(f, a->ns_owner))
		return go_deeper(f, a, a->ns_owner);
	if (a->ns_owner && !a->cname && a->nvalues == 0)
		return useless(f, t, "not authoritative, refers to the name servers of ", *a->ns_owner ? a->ns_owner : "the root");
	return useless(f, t, "not authoritative", "");
}

static void take_soa(struct zone_find *f, const struct answer *a)
{
	f->has_soa = true;
	f->serial = a->soa.serial;
	f->negative_ttl = a->soa_ttl < a->soa.minimum ? a->soa_ttl : a->soa.minimum;
}

static void take_values(struct zone_find *f, const struct answer *a)
{
	f->values = arena_array(f->arena, a->nvalues, sizeof(*f->values));
	f->nvalues = a->nvalues;
	for (size_t i = 0; i < a->nvalues; i++) {
		char *data = arena_alloc(f->arena, a->values[i].len + 1);

		memcpy(data, a->values[i].data, a->values[i].len);
		f->values[i] = (struct answer_value){ .data = data, .len = a->values[i].len, .ttl = a->values[i].ttl };
	}
}

static int settled(struct zone_find *f)
{
	if (f->zone->nhosts == 0) /* given by the configuration: nobody is to be compared */
		return STEP_END;
	if (f->cut == CUT_REFERRAL)
		return STEP_OWN_NS;
	if (f->cut == CUT_ANSWER)
		return STEP_DELEGATION;
	return *dns_name_parent(f->zone->apex) ? STEP_PARENT_SOA : STEP_END;
}

static int read_alias(struct zone_find *f, const struct answer *a)
{
	f->target = arena_strdup(f->arena, a->cname);
	f->sibling = arena_printf(f->arena, "%08x.%s", arc4random(), dns_name_parent(f->owner));
	return STEP_SIBLING;
}

static int read_txt(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	f->zone->used = (size_t)(t - f->zone->at);
	if (a->cname)
		return read_alias(f, a);
	take_values(f, a);
	if (a->nvalues > 0 || !a->soa_owner)
		return STEP_SERIAL;
	if (is_deeper(f, a->soa_owner))
		return go_deeper(f, a, a->soa_owner);
	if (strcmp(a->soa_owner, f->zone->apex) != 0)
		return useless(f, t, "answers out of the zone ", a->soa_owner);
	take_soa(f, a);
	return settled(f);
}

static int none_txt(struct zone_find *f)
{
	char said[400];
	bool heard = false;

	for (size_t i = 0; i < f->norder; i++)
		heard |= f->order[i]->how != DNS_SILENT && f->order[i]->how != DNS_NO_ROUTE;
	find_say_targets(f->order, f->norder, said, sizeof(said));
	if (f->asked >= FIND_QUESTIONS)
		return fail(f, ERR_TEMP, "%.120s: given up after %d questions; last: %s", f->owner, FIND_QUESTIONS, said);
	if (!heard && f->zone->nhosts > 0 && f->cut == CUT_SOA) { /* recursive servers have found the zone, and can be asked again once it is written */
		find_note(f, "no name server of %s answers from here (is port 53 closed?): whether %s is an alias was not found out", f->zone->apex, f->owner);
		return STEP_END;
	}
	return fail(f, ERR_TEMP, "no name server of %.100s answers for it%s: %s", f->zone->apex,
		heard ? "" : " (port 53 may be closed on the way from here)", said);
}

static const char *about_sibling(struct zone_find *f)
{
	return f->sibling;
}

static int follow(struct zone_find *f)
{
	bool again = strcmp(f->target, f->challenge) == 0;

	for (size_t i = 0; i < f->nchain; i++)
		again |= strcmp(f->target, f->chain[i]) == 0;
	if (again)
		return fail(f, ERR_TEMP, "the CNAME chain of %.200s is a loop: it comes back to %.200s", f->challenge, f->target);
	if (f->nchain == ZONE_HOPS_MAX)
		return fail(f, ERR_TEMP, "the CNAME chain of %.200s is longer than %d, the last is %.200s", f->challenge, ZONE_HOPS_MAX, f->owner);
	f->owner = f->chain[f->nchain++] = f->target;
	f->has_soa = false;
	if (dns_name_is_in(f->owner, f->zone->apex))
		return STEP_TXT; /* the same servers, or a zone further down that they know of */
	f->point = point_of(f->owner);
	if (!*f->point)
		return fail(f, ERR_TEMP, "the CNAME chain of %.200s ends at %.200s, where no record can be", f->challenge, f->owner);
	return STEP_SOA;
}

/* A wildcard CNAME shows through only as long as the name has nothing of its own: the record is written at the name, not where the wildcard points. */
static int read_sibling(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	(void)t;
	if (!a->cname || strcmp(a->cname, f->target) != 0)
		return follow(f);
	f->wildcard = true;
	f->wildcard_cname |= f->nchain == 0;
	find_note(f, "%s is an alias (CNAME) of %s only by a wildcard, which is not followed", f->owner, f->target);
	return STEP_SERIAL;
}

static const char *about_serial(struct zone_find *f)
{
	return f->wildcard ? f->zone->apex : f->owner;
}

static int read_serial(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (!a->soa_owner)
		return useless(f, t, "no SOA record", "");
	if (is_deeper(f, a->soa_owner))
		return go_deeper(f, a, a->soa_owner);
	if (strcmp(a->soa_owner, f->zone->apex) != 0)
		return useless(f, t, "answers out of the zone ", a->soa_owner);
	take_soa(f, a);
	return settled(f);
}

static int none_serial(struct zone_find *f)
{
	find_note(f, "no name server of %s tells its SOA record", f->zone->apex);
	return settled(f);
}

static int read_beside(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (!take_ns(f, f->zone, a, false))
		return useless(f, t, "no name servers of ", f->zone->apex);
	return STEP_ADDRESSES;
}

/* --- what its parent says ----------------------------------------------------------------------------------------------------------- */

static int compare(struct zone_find *f)
{
	f->view = VIEW_AGREES;
	for (size_t i = 0; i < f->zone->nhosts; i++) {
		const struct find_host *h = &f->zone->host[i];

		if (h->own != h->parent) {
			f->view = VIEW_DIFFERS;
			find_note(f, h->own ? "%s is a name server of %s, but not by its parent zone" : "%s is a name server of %s only by its parent zone",
				h->name, f->zone->apex);
		}
	}
	return STEP_MORE_ADDRESSES;
}

static int read_own_ns(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (!take_ns(f, f->zone, a, false))
		return useless(f, t, "no name servers of ", f->zone->apex);
	return compare(f);
}

static int none_own_ns(struct zone_find *f)
{
	find_note(f, "%s does not tell its name servers; those its parent zone gives are asked", f->zone->apex);
	for (size_t i = 0; i < f->zone->nhosts; i++)
		f->zone->host[i].own = true;
	return STEP_END;
}

static const char *about_parent(struct zone_find *f)
{
	return dns_name_parent(f->zone->apex);
}

static int none_parent(struct zone_find *f)
{
	find_note(f, "what the parent zone of %s says was not found out", f->zone->apex);
	return STEP_END;
}

static int read_parent_soa(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (a->cname || !a->soa_owner || !dns_name_is_in(about_parent(f), a->soa_owner))
		return useless(f, t, "no SOA record", "");
	if (!*a->soa_owner)
		return none_parent(f);
	f->parent = find_side_new(f, a->soa_owner);
	return STEP_PARENT_NS;
}

static const char *about_parent_apex(struct zone_find *f)
{
	return f->parent->apex;
}

static int read_parent_ns(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (!take_ns(f, f->parent, a, false))
		return useless(f, t, "no name servers", "");
	if (f->parent->nhosts > FIND_PARENT_HOSTS)
		f->parent->nhosts = FIND_PARENT_HOSTS;
	return STEP_PARENT_ADDRESSES;
}

static int none_parent_addresses(struct zone_find *f)
{
	if (f->parent->n > FIND_PARENT_ADDRS)
		f->parent->n = FIND_PARENT_ADDRS;
	return f->parent->n > 0 ? STEP_DELEGATION : none_parent(f);
}

static int read_delegation(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	if (f->authoritative) /* it holds the zone itself and shows its own view, which tells nothing of the delegation */
		return useless(f, t, "holds the zone itself", "");
	return take_ns(f, f->zone, a, true) ? compare(f) : useless(f, t, "no delegation", "");
}

static int none_extra(struct zone_find *f)
{
	(void)f;
	return STEP_END;
}

static int none_more_addresses(struct zone_find *f)
{
	(void)f;
	return STEP_EXTRA;
}

static int read_extra(struct zone_find *f, const struct answer *a, struct find_target *t)
{
	t->shows_zone = a->soa_owner && a->soa_is_answer && strcmp(a->soa_owner, f->zone->apex) == 0;
	return STEP_MORE;
}

/* --- the steps -------------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum via via;
	uint16_t type;
	bool referral;             /* answers without authority are of use */
	const char *(*about)(struct zone_find *);
	int (*read)(struct zone_find *, const struct answer *, struct find_target *); /* the next step, or STEP_MORE */
	int (*none)(struct zone_find *);                                               /* nobody is left to ask: the next step */
} steps[] = {
	[STEP_SOA] = { "zone", VIA_RECURSIVE, DNS_SOA, true, about_point, read_soa, none_soa },
	[STEP_NS] = { "name servers", VIA_RECURSIVE, DNS_NS, true, about_apex, read_ns, none_ns },
	[STEP_ADDRESSES] = { "addresses", VIA_LOOKUP, 0, false, NULL, NULL, none_addresses },
	[STEP_TXT] = { "record", VIA_ZONE, DNS_TXT, false, about_owner, read_txt, none_txt },
	[STEP_SIBLING] = { "wildcard", VIA_USED, DNS_CNAME, false, about_sibling, read_sibling, follow },
	[STEP_SERIAL] = { "serial", VIA_USED, DNS_SOA, false, about_serial, read_serial, none_serial },
	[STEP_BESIDE] = { "zone beside", VIA_PARENT, DNS_NS, false, about_apex, read_beside, none_ns },
	[STEP_OWN_NS] = { "own name servers", VIA_USED, DNS_NS, false, about_apex, read_own_ns, none_own_ns },
	[STEP_PARENT_SOA] = { "parent zone", VIA_RECURSIVE, DNS_SOA, true, about_parent, read_parent_soa, none_parent },
	[STEP_PARENT_NS] = { "parent's name servers", VIA_RECURSIVE, DNS_NS, true, about_parent_apex, read_parent_ns, none_parent },
	[STEP_PARENT_ADDRESSES] = { "parent's addresses", VIA_LOOKUP, 0, false, NULL, NULL, none_parent_addresses },
	[STEP_DELEGATION] = { "delegation", VIA_PARENT, DNS_NS, true, about_apex, read_delegation, none_parent },
	[STEP_MORE_ADDRESSES] = { "more addresses", VIA_LOOKUP, 0, false, NULL, NULL, none_more_addresses },
	[STEP_EXTRA] = { "servers of the delegation", VIA_EXTRA, DNS_SOA, false, about_apex, read_extra, none_extra },
};

static void order_side(struct zone_find *f, struct find_side *side, size_t first)
{
	for (size_t i = 0; i < side->n; i++)
		f->order[f->norder++] = &side->at[(first + i) % side->n];
}

static void order_extra(struct zone_find *f)
{
	for (size_t i = 0; i < f->zone->n; i++)
		if (f->zone->at[i].host && !f->zone->at[i].host->own)
			f->order[f->norder++] = &f->zone->at[i];
}

static void order_targets(struct zone_find *f, enum via via)
{
	f->norder = 0;
	if (via == VIA_RECURSIVE)
		for (size_t i = 0; i < f->world.nrecursive && i < ZONE_SERVERS_MAX; i++)
			f->order[f->norder++] = &f->recursive[i];
	else if (via == VIA_ZONE)
		order_side(f, f->zone, 0);
	else if (via == VIA_USED)
		order_side(f, f->zone, f->zone->used);
	else if (via == VIA_PARENT)
		order_side(f, f->parent, f->parent->used);
	else
		order_extra(f);
}

static void step_begin(struct zone_find *f, int step)
{
	find_stop(f);
	f->step = step;
	if (step == STEP_END) {
		loop_defer(find_end, f);
	} else if (steps[step].via == VIA_LOOKUP) {
		find_resolve(f, step == STEP_PARENT_ADDRESSES ? f->parent : f->zone);
	} else {
		enum via via = steps[step].via;

		order_targets(f, via);
		find_ask(f, &(struct find_question){ .name = steps[step].about(f), .type = steps[step].type, .recursive = via == VIA_RECURSIVE,
			.window = via == VIA_ZONE || via == VIA_EXTRA ? FIND_WINDOW : 1 });
	}
}

void find_heard(struct zone_find *f, const struct dns_answer *raw, const struct answer *a, struct find_target *target)
{
	int step;

	f->authoritative = raw && raw->head.aa;
	if (!raw)
		step = steps[f->step].none(f);
	else if (f->authoritative || steps[f->step].referral)
		step = steps[f->step].read(f, a, target);
	else
		step = f->step == STEP_TXT ? read_referral(f, a, target) : useless(f, target, "not authoritative", "");
	if (step == STEP_MORE)
		find_more(f);
	else
		step_begin(f, step);
}

void find_resolved(struct zone_find *f)
{
	step_begin(f, steps[f->step].none(f));
}

static void find_free(struct zone_find *f)
{
	struct arena *arena = f->arena;

	arena_free(f->scratch);
	arena_free(arena);
}

void find_end(void *find)
{
	struct zone_find *f = find;
	zone_found *done = f->done;
	void *arg = f->arg;
	struct err err = f->err;
	struct zone *zone = err.kind == ERR_NONE ? find_make_zone(f) : NULL;

	find_free(f);
	done(arg, zone, zone ? NULL : &err);
}

void zone_find_cancel(struct zone_find *f)
{
	if (!f)
		return;
	find_stop(f);
	loop_undefer(f);
	find_free(f);
}

static void find_first(void *find)
{
	struct zone_find *f = find;

	step_begin(f, STEP_SOA);
}

struct zone_find *zone_find_start(const struct zone_world *world, const char *base, zone_found *done, void *arg)
{
	struct arena *arena = arena_new();
	struct zone_find *f = arena_alloc(arena, sizeof(*f));
	char shown[160];

	f->arena = arena;
	f->scratch = arena_new();
	f->world = *world;
	f->done = done;
	f->arg = arg;
	if (!f->world.addresses) {
		f->world.addresses = dns_addresses;
		f->world.addresses_cancel = dns_cancel;
	}
	f->recursive = arena_array(arena, world->nrecursive, sizeof(*f->recursive));
	for (size_t i = 0; i < world->nrecursive; i++)
		f->recursive[i].addr = world->recursive[i];
	if (!dns_name_normalise(strncmp(base, "*.", 2) == 0 ? base + 2 : base, f->base) || !*f->base || find_is_private(f->base)) {
		fail(f, ERR_INPUT, "'%s' is no domain name to be proven by DNS", text_escape(base, strlen(base), shown, sizeof(shown)));
		loop_defer(find_end, f);
		return f;
	}
	f->challenge = f->owner = arena_printf(arena, CHALLENGE "%s", f->base);
	f->point = f->base;
	loop_defer(find_first, f);
	return f;
}
