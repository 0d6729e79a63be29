/* SPDX-License-Identifier: ISC */
/* What other clients do wrong, and what one might: the world is heard as a client with that bug would take it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "visible_world.h"

struct memory { /* of a bug, in one world */
	bool good[SIM_NAMES], good_at[SIM_ADDRS][SIM_NAMES];
	struct sim_reply kept[SIM_ADDRS][SIM_NAMES];
	struct sim_text kept_texts[SIM_ADDRS][SIM_NAMES][SIM_TEXTS];
	int64_t kept_until[SIM_ADDRS][SIM_NAMES];
	char first[SIM_TEXTS][64];
	bool moved[SIM_ADDRS];
};
static struct memory memory;

static size_t index_of(const struct simdns *s, const struct sim_reply *r)
{
	return (size_t)(r->from - s->addr);
}

static void tell_all(struct simdns *s, struct sim_reply *r)
{
	const struct sim_name *n = &s->name[r->name];

	r->how = DNS_ANSWERED;
	r->rcode = 0;
	r->aa = true;
	r->garbled = r->referral = false;
	r->cname = NULL;
	r->ntexts = 0;
	for (size_t j = 0; j < n->nvalues; j++)
		r->texts[r->ntexts++] = (struct sim_text){ n->value[j], 0, DNS_TXT, false };
}

static void tell_nothing(struct sim_reply *r)
{
	r->how = DNS_ANSWERED;
	r->rcode = 3;
	r->aa = true;
	r->garbled = r->referral = false;
	r->cname = NULL;
	r->ntexts = 0;
}

static void first_server_wins(void *bug, struct simdns *s, struct sim_reply *r)
{
	struct memory *m = bug;

	if ((m->good[r->name] |= r->truth == VERDICT_OK))
		tell_all(s, r);
}

static void stale_is_dead(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	if (r->truth == VERDICT_STALE)
		r->how = DNS_SILENT;
}

static void first_yes_is_kept(void *bug, struct simdns *s, struct sim_reply *r)
{
	struct memory *m = bug;

	if ((m->good_at[index_of(s, r)][r->name] |= r->truth == VERDICT_OK))
		tell_all(s, r);
}

static void nxdomain_is_silence(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	if (r->how == DNS_ANSWERED && r->rcode == 3)
		r->how = DNS_SILENT;
}

static void ipv4_is_all_there_is(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	if (r->from->addr.ss.ss_family == AF_INET6)
		r->how = DNS_NO_ROUTE;
}

static int64_t one_address_for_a_name(void *bug, struct simdns *s, struct dns_ask *q)
{
	size_t k = 0, first = 0;

	(void)bug;
	while (k < s->naddrs && !addr_same_ip(&s->addr[k].addr, &q->to))
		k++;
	while (k < s->naddrs && s->addr[first].ns != s->addr[k].ns)
		first++;
	q->to = s->addr[first].addr;
	return 0;
}

static bool has_text(const struct simdns *s, const struct sim_reply *r, bool (*match)(const char *text, const char *value))
{
	for (size_t i = 0; i < r->ntexts; i++)
		for (size_t j = 0; j < s->name[r->name].nvalues; j++)
			if (r->texts[i].type == DNS_TXT && !r->texts[i].elsewhere && match(r->texts[i].text, s->name[r->name].value[j]))
				return true;
	return false;
}

static bool is_same(const char *text, const char *value)
{
	return strcmp(text, value) == 0;
}

static void one_value_will_do(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	if (r->aa && has_text(s, r, is_same))
		tell_all(s, r);
}

static bool begins(const char *text, const char *value)
{
	return strncmp(text, value, strlen(value)) == 0;
}

static bool is_like(const char *text, const char *value)
{
	return strcasecmp(text, value) == 0;
}

/* Each text that is taken for a value is told as that value. */
static void take_for(struct simdns *s, struct sim_reply *r, bool (*match)(const char *text, const char *value))
{
	for (size_t i = 0; i < r->ntexts; i++)
		for (size_t j = 0; j < s->name[r->name].nvalues; j++)
			if (match(r->texts[i].text, s->name[r->name].value[j]))
				r->texts[i].text = s->name[r->name].value[j];
}

static void beginning_is_enough(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	take_for(s, r, begins);
}

static void letters_of_any_case(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	take_for(s, r, is_like);
}

static void aa_is_not_looked_at(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	r->aa |= r->how == DNS_ANSWERED && r->rcode == 0 && r->ntexts > 0;
}

static void owner_is_not_looked_at(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	for (size_t i = 0; i < r->ntexts; i++)
		r->texts[i].elsewhere = false;
}

static void type_is_not_looked_at(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	for (size_t i = 0; i < r->ntexts; i++)
		r->texts[i].type = DNS_TXT;
}

static void first_string_only(void *bug, struct simdns *s, struct sim_reply *r)
{
	struct memory *m = bug;

	(void)s;
	for (size_t i = 0; i < r->ntexts; i++)
		if (r->texts[i].cut) {
			snprintf(m->first[i], sizeof m->first[i], "%.*s", (int)r->texts[i].cut, r->texts[i].text);
			r->texts[i].text = m->first[i];
			r->texts[i].cut = 0;
		}
}

static int64_t sockets_are_kept(void *bug, struct simdns *s, struct dns_ask *q)
{
	(void)bug;
	(void)s;
	q->fresh = false;
	return 0;
}

static int64_t never_over_tcp(void *bug, struct simdns *s, struct dns_ask *q)
{
	(void)bug;
	(void)s;
	q->tcp = false;
	return 0;
}

static void answers_are_kept(void *bug, struct simdns *s, struct sim_reply *r)
{
	struct memory *m = bug;
	size_t k = index_of(s, r);

	if (m->kept_until[k][r->name] > r->delivered) {
		memcpy(r->texts, m->kept_texts[k][r->name], sizeof m->kept_texts[k][r->name]);
		*r = m->kept[k][r->name];
	} else if (r->how == DNS_ANSWERED) {
		memcpy(m->kept_texts[k][r->name], r->texts, sizeof m->kept_texts[k][r->name]);
		m->kept[k][r->name] = *r;
		m->kept_until[k][r->name] = r->delivered + 300000;
	}
}

static int64_t looks_every_ten_seconds(void *bug, struct simdns *s, struct dns_ask *q)
{
	(void)bug;
	(void)q;
	return 9999 - (simdns_now(s) + 9999) % 10000;
}

static int64_t sleeps_before_the_first_look(void *bug, struct simdns *s, struct dns_ask *q)
{
	(void)bug;
	(void)q;
	return simdns_now(s) < 2000 ? 2000 - simdns_now(s) : 0;
}

static void dead_ones_block(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	if (r->how == DNS_SILENT)
		tell_nothing(r);
}

static void no_route_blocks(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	if (r->how == DNS_NO_ROUTE)
		tell_nothing(r);
}

static void refusal_is_no(void *bug, struct simdns *s, struct sim_reply *r)
{
	(void)bug;
	(void)s;
	if (r->how == DNS_ANSWERED && r->rcode == 5)
		tell_nothing(r);
}

static void serial_is_enough(void *bug, struct simdns *s, struct sim_reply *r)
{
	struct memory *m = bug;
	size_t k = index_of(s, r);

	if (r->how == DNS_ANSWERED && r->serial > simdns_serial(s, &s->addr[0].machine[0], -1))
		m->moved[k] = true;
	if (m->moved[k])
		tell_all(s, r);
}

const struct world_bug world_bugs[] = {
	/* false "visible" */
	{ "first server wins", "when one server has it, it is believed to be everywhere", first_server_wins, NULL },
	{ "stale is dead", "a server that answers without the values is stepped over", stale_is_dead, NULL },
	{ "first yes is kept", "an address that had it once is not believed to have lost it", first_yes_is_kept, NULL },
	{ "NXDOMAIN is silence", "a \"no such name\" counts as no answer", nxdomain_is_silence, NULL },
	{ "IPv4 only", "addresses of the other family are taken for unreachable", ipv4_is_all_there_is, NULL },
	{ "one address a name", "of a name server's addresses only the first is asked", NULL, one_address_for_a_name },
	{ "one value will do", "apex and wildcard: one of both is enough", one_value_will_do, NULL },
	{ "prefix match", "a text that begins with the value is the value", beginning_is_enough, NULL },
	{ "caseless match", "texts are compared as names are", letters_of_any_case, NULL },
	{ "AA ignored", "an answer out of a cache is believed", aa_is_not_looked_at, NULL },
	{ "owner ignored", "a TXT of another name counts", owner_is_not_looked_at, NULL },
	{ "type ignored", "another type with the same bytes counts", type_is_not_looked_at, NULL },
	{ "sockets kept", "confirmations meet the same machine again", NULL, sockets_are_kept },
	{ "UDP only", "no confirmation comes over TCP", NULL, never_over_tcp },
	{ "serial is enough", "when the serial moved, the value is believed to be there", serial_is_enough, NULL },
	/* "never visible", or late */
	{ "answers kept", "a cache of 300 s stands between", answers_are_kept, NULL },
	{ "first string only", "the strings of a TXT are not joined", first_string_only, NULL },
	{ "every ten seconds", "the looks come at fixed times", NULL, looks_every_ten_seconds },
	{ "sleep first", "two seconds are slept before the first look", NULL, sleeps_before_the_first_look },
	{ "dead ones block", "a silent server is waited for", dead_ones_block, NULL },
	{ "no route blocks", "a family that this host does not have is waited for", no_route_blocks, NULL },
	{ "refusal is no", "REFUSED is taken for the zone's word", refusal_is_no, NULL },
};

const size_t world_nbugs = sizeof world_bugs / sizeof *world_bugs;

static void only_txt(void *bug, struct simdns *s, struct sim_reply *r)
{
	const struct world_bug *b = bug;

	if (r->type == DNS_TXT && r->name >= 0)
		b->bend(&memory, s, r);
}

static int64_t any_question(void *bug, struct simdns *s, struct dns_ask *q)
{
	const struct world_bug *b = bug;

	return b->bend_ask(&memory, s, q);
}

void world_plant(struct world *w, size_t bug)
{
	const struct world_bug *b = &world_bugs[bug];

	memset(&memory, 0, sizeof memory);
	w->net.bug = (void *)(uintptr_t)b;
	w->net.bend = b->bend ? only_txt : NULL;
	w->net.bend_ask = b->bend_ask ? any_question : NULL;
}
