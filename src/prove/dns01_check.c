/* SPDX-License-Identifier: ISC */
/* Would a DNS-01 proof work? The zone is found as for a proof, its servers are asked what a CA's resolver would ask them, and the provider is asked whether it
 * would write. Nothing is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/loop.h"
#include "prove/answer.h"
#include "prove/dns01_inner.h"
#include "prove/finding.h"

enum {
	SERVERS_MAX = 16,     /* addresses asked */
	NEGATIVE_TTL_S = 900, /* a "no" that is kept for longer stands in the way of the next try */
	SHOWN = 3,
	HELD_MAX = 64,
	RECORD_BYTES = 13,    /* of a TXT record in an answer, beside its value: pointer, type, class, TTL, length, length of the string */
};

enum shadow { SHADOW_HOST, SHADOW_BELOW, SHADOW_BESIDE, SHADOWS };

struct look { /* one question */
	struct method_call *call;
	struct dns_query *query;
	struct addr to;
	const char *name;
	char data[DNS_NAME_TEXT]; /* SHADOW_*: what was answered, "" nothing */
};

struct dns01_checking {
	struct arena *arena;
	struct js *list;
	struct look server[SERVERS_MAX];
	struct look shadow[SHADOWS];
	const struct addr *good;  /* a server that answered */
	uint16_t type;            /* of the questions about the shadow */
	size_t under_way;
};

void dns01_check_stop(struct method_call *c)
{
	struct dns01_checking *k = c->checking;
	struct asker *asker = c->m->world->options.asker;

	if (!k)
		return;
	for (size_t i = 0; i < SERVERS_MAX; i++)
		asker->ops->cancel(k->server[i].query);
	for (size_t i = 0; i < SHADOWS; i++)
		asker->ops->cancel(k->shadow[i].query);
	js_free(k->list);
	arena_free(k->arena);
	free(k);
	c->checking = NULL;
}

static void check_end(struct method_call *c)
{
	dns01_end(c, c->checking->list, NULL);
}

static void ask(struct method_call *c, struct look *l, const struct dns_ask *q, dns_answered *done)
{
	struct asker *asker = c->m->world->options.asker;

	l->call = c;
	l->to = q->to;
	l->name = q->name;
	c->checking->under_way++;
	l->query = asker->ops->ask(asker, q, done, l);
}

/* --- what finding the zone has told ------------------------------------------------------------------------------------------------ */

static void add_notes(struct js *list, const struct zone *z)
{
	const struct js *notes = js_arr(z->report, "notes");

	for (size_t i = 0; i < js_len(notes); i++)
		finding_add(list, FINDING_WARN, "zone", z->apex, "%s", js_str_at(notes, i));
}

/* TXT records that are at the place of the proof already, and are not of a proof of ours under way. */
static void add_leftovers(struct method_call *c, struct js *list)
{
	const struct zone *z = c->zone;
	const char *ours[HELD_MAX];
	size_t nours = held_values(c->m->world, z->owner, ours, HELD_MAX), left = 0, size = 12 + strlen(z->owner) + 6 + 11;
	struct buf shown;

	buf_init(&shown, 0);
	for (size_t i = 0; i < z->nvalues; i++) {
		bool known = false;

		size += RECORD_BYTES + strlen(z->values[i]);
		for (size_t k = 0; k < nours; k++)
			known |= strcmp(ours[k], z->values[i]) == 0;
		if (!known && left++ < SHOWN && !buf_printf(&shown, "%s\"%.60s\"", shown.len ? ", " : "", z->values[i]))
			abort(); /* no cap: cannot happen */
	}
	if (left)
		finding_add(list, FINDING_WARN, "leftovers", z->owner, "%zu TXT record%s there already that no proof under way needs: %s%s", left,
			left == 1 ? " is" : "s are", shown.data, left > SHOWN ? ", ..." : "");
	if (size > DNS_UDP_SIZE)
		finding_add(list, FINDING_WARN, "leftovers", z->owner, "an answer takes about %zu bytes: more than %d need TCP, which not every way lets through",
			size, DNS_UDP_SIZE);
	if (!z->nvalues && !c->checking->good)
		finding_add(list, FINDING_UNTESTED, "leftovers", z->owner, "none of its name servers tells what is there");
	else if (!left && size <= DNS_UDP_SIZE)
		finding_add(list, FINDING_OK, "leftovers", z->owner, "no TXT record is left there");
	buf_free(&shown);
}

static void add_zone(struct method_call *c, struct js *list)
{
	const struct zone *z = c->zone;

	finding_add(list, FINDING_OK, "zone", z->apex, "holds the record, %zu address%s of its name servers", z->nservers, z->nservers == 1 ? "" : "es");
	add_notes(list, z);
	if (z->negative_ttl > NEGATIVE_TTL_S)
		finding_add(list, FINDING_WARN, "negative_ttl", z->apex, "resolvers keep a \"no\" for %u s: after a failure the next try has to wait for that",
			z->negative_ttl);
}

/* --- who writes -------------------------------------------------------------------------------------------------------------------- */

static void probed(struct method_call *c, const struct err *err)
{
	const char *by = c->by->options.provider->name;

	if (err)
		finding_add(c->checking->list, FINDING_FAIL, "update", c->zone->owner, "%s", err->detail);
	else
		finding_add(c->checking->list, FINDING_OK, "update", c->zone->owner, "dns:%s may write there", by);
	check_end(c);
}

static void probe_ended(void *arg, const struct err *err)
{
	struct method_call *c = arg;

	c->change = NULL;
	probed(c, err);
}

/* Who would write, and did he say that he would? The last step. */
static void check_writer(struct method_call *c)
{
	struct dns_record record = {.zone = c->zone->apex, .name = c->zone->owner, .value = "dovad-check"};
	struct dns01 *by = dns01_writer(c->m, c->zone->owner, &c->err);
	const struct dns_provider *p = by ? by->options.provider : NULL;
	struct js *list = c->checking->list;

	if (c->zone->nchain > 0)
		finding_add(list, by ? FINDING_OK : FINDING_FAIL, "delegation", c->zone->challenge, by ? "an alias of %s" : "an alias of %s: %s", c->zone->owner,
			c->err.detail);
	else if (!by)
		finding_add(list, FINDING_FAIL, "delegation", c->zone->challenge, "no CNAME leads from there into the zones of an entry: %s", c->err.detail);
	if (by && !p->ops->probe)
		finding_add(list, FINDING_UNTESTED, "update", c->zone->owner, "dns:%s would write: whether it can is only known once it does", p->name);
	if (!by || !p->ops->probe) {
		check_end(c);
		return;
	}
	dns01_hold(by);
	c->by = by;
	c->change = p->ops->probe(by->options.provider, &record, probe_ended, c);
}

/* --- a host that is there only by a wildcard (RFC 4592) ----------------------------------------------------------------------------- */

static void shadow_ask(struct method_call *c, uint16_t type);

static void shadow_over(struct method_call *c)
{
	struct dns01_checking *k = c->checking;
	const struct look *host = &k->shadow[SHADOW_HOST];
	bool same = *host->data && strcmp(host->data, k->shadow[SHADOW_BELOW].data) == 0 && strcmp(host->data, k->shadow[SHADOW_BESIDE].data) == 0;

	if (!*host->data && k->type == DNS_A) {
		shadow_ask(c, DNS_AAAA);
		return;
	}
	/* As long as nothing is below it, a name that does not exist is what the wildcard says; any record below makes it an empty one of its own. */
	if (same)
		finding_add(k->list, FINDING_WARN, "wildcard", c->base, "is there only by the wildcard *.%s: while the record at %s exists, it has no %s record",
			dns_name_parent(c->base), c->zone->owner, dns_type_name(k->type));
	check_writer(c);
}

struct shadow_data {
	const struct dns_answer *answer;
	struct look *look;
	uint16_t type;
};

static bool take_data(void *arg, const struct dns_rr *rr)
{
	struct shadow_data *f = arg;
	char name[DNS_NAME_TEXT];

	if (rr->section != DNS_ANSWER)
		return true;
	if (rr->type == DNS_CNAME && dns_rr_name(f->answer->msg, f->answer->len, rr, 0, name)) {
		memcpy(f->look->data, name, sizeof(name));
		return false;
	}
	if (rr->type != f->type || rr->len > 16)
		return true;
	for (size_t i = 0; i < rr->len; i++) /* the smallest of several: their order changes */
		snprintf(name + 2 * i, 3, "%02x", rr->data[i]);
	if (rr->len && (!*f->look->data || strcmp(name, f->look->data) < 0))
		memcpy(f->look->data, name, 2 * rr->len + 1);
	return true;
}

static void shadow_heard(void *arg, const struct dns_answer *a)
{
	struct look *l = arg;
	struct method_call *c = l->call;
	struct shadow_data f = {a, l, c->checking->type};

	l->query = NULL;
	l->data[0] = '\0';
	if (a->how == DNS_ANSWERED && a->head.aa && a->head.rcode == DNS_NOERROR && !dns_walk(a->msg, a->len, take_data, &f))
		l->data[0] = '\0';
	if (--c->checking->under_way == 0)
		shadow_over(c);
}

static void shadow_ask(struct method_call *c, uint16_t type)
{
	struct dns01_checking *k = c->checking;
	const char *names[SHADOWS] = {
		[SHADOW_HOST] = c->base,
		[SHADOW_BELOW] = arena_printf(k->arena, "%08x.%s", arc4random(), c->base),
		[SHADOW_BESIDE] = arena_printf(k->arena, "%08x.%s", arc4random(), dns_name_parent(c->base)),
	};

	k->type = type;
	for (size_t i = 0; i < SHADOWS; i++)
		ask(c, &k->shadow[i], &(struct dns_ask){.to = *k->good, .name = names[i], .type = type}, shadow_heard);
}

/* --- the zone's servers ------------------------------------------------------------------------------------------------------------- */

/* Only a name of the zone the record is in can be asked of its servers. */
static bool may_shadow(const struct method_call *c)
{
	return c->checking->good && c->zone->nchain == 0 && strcmp(c->base, c->zone->apex) != 0 && dns_name_is_in(c->base, c->zone->apex);
}

static void servers_over(struct method_call *c)
{
	struct dns01_checking *k = c->checking;

	if (k->good)
		finding_add(k->list, FINDING_OK, "servers", c->zone->apex, "a question as CAs ask it is answered");
	else
		finding_add(k->list, FINDING_WARN, "servers", c->zone->apex, "none of its name servers answers from here");
	add_leftovers(c, k->list);
	if (may_shadow(c))
		shadow_ask(c, DNS_A);
	else
		check_writer(c);
}

/* What is wrong with an answer; NULL: nothing. */
static const char *complaint(const struct dns_answer *a)
{
	if (a->how != DNS_ANSWERED)
		return a->how == DNS_NO_ROUTE ? NULL : a->text ? a->text : "no answer"; /* nobody's fault but ours */
	if (a->head.rcode != DNS_NOERROR && a->head.rcode != DNS_NXDOMAIN)
		return dns_rcode_name(a->head.rcode);
	return a->head.aa ? NULL : "not authoritative";
}

static void server_heard(void *arg, const struct dns_answer *a)
{
	struct look *l = arg;
	struct method_call *c = l->call;
	struct dns01_checking *k = c->checking;
	const char *wrong = complaint(a), *type = dns_type_name(c->zone->nchain ? DNS_TXT : DNS_CAA);
	char text[ADDR_TEXT];

	l->query = NULL;
	addr_format(&l->to, text);
	if (wrong)
		finding_add(k->list, FINDING_WARN, "servers", text, "asked for %s of %s: %s", type, l->name, wrong);
	else if (a->how == DNS_ANSWERED && !a->case_kept)
		finding_add(k->list, FINDING_WARN, "servers", text, "does not repeat a name in the case it was asked: the resolvers of CAs do not believe that");
	else if (a->how == DNS_ANSWERED)
		k->good = &l->to;
	if (--k->under_way == 0)
		servers_over(c);
}

/* CAA is a type that some servers fail at, and a CA asks for it; where the record is elsewhere, TXT at its place. */
static void ask_servers(struct method_call *c)
{
	const struct zone *z = c->zone;
	struct dns_ask q = {.name = z->nchain ? z->owner : c->base, .type = z->nchain ? DNS_TXT : DNS_CAA, .bits = DNS_MIXED_CASE};
	size_t n = z->nservers < SERVERS_MAX ? z->nservers : SERVERS_MAX;

	for (size_t i = 0; i < n; i++) {
		q.to = z->servers[i].addr;
		ask(c, &c->checking->server[i], &q, server_heard);
	}
	if (!n)
		servers_over(c);
}

static void check_found(struct method_call *c)
{
	add_zone(c, c->checking->list);
	ask_servers(c);
}

struct method_call *dns01_check(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	struct method_call *c = dns01_call_new(m, proof, done, arg);

	c->checking = mem_alloc(sizeof(*c->checking));
	c->checking->arena = arena_new();
	c->checking->list = js_array();
	dns01_find_zone(c, check_found);
	return c;
}
