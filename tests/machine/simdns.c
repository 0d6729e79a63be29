/* SPDX-License-Identifier: ISC */
#include "simdns.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "simwire.h"

enum { UDP_AGAIN_MS = 400, UDP_END_MS = 1200, NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5, NOTAUTH = 9, TYPE_SPF = 99 };

/* --- chance and time ------------------------------------------------------------------------------------------------------------------ */

/* splitmix64 */
uint64_t simdns_random(struct simdns *s, uint64_t n)
{
	uint64_t z = (s->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return n ? (z ^ (z >> 31)) % n : 0;
}

bool simdns_chance(struct simdns *s, unsigned percent)
{
	return simdns_random(s, 100) < percent;
}

int64_t simdns_now(const struct simdns *s)
{
	return clock_mono_ms() - s->began;
}

/* --- the truth ------------------------------------------------------------------------------------------------------------------------ */

enum sim_mode simdns_mode(const struct sim_addr *a, int64_t t)
{
	return a->mode[t >= a->turns];
}

bool simdns_has(const struct sim_machine *m, size_t name, size_t value, int64_t t)
{
	return t >= m->appears[name][value] && !(t >= m->lost_from && t < m->lost_to);
}

uint32_t simdns_serial(const struct simdns *s, const struct sim_machine *m, int64_t t)
{
	uint32_t serial = m->serial;

	for (size_t i = 0; s->bumps && i < s->nnames; i++)
		for (size_t j = 0; j < s->name[i].nvalues; j++)
			serial += simdns_has(m, i, j, t);
	return serial;
}

static enum verdict mode_verdict(enum sim_mode mode)
{
	static const enum verdict verdicts[SIM_MODES] = {
		[SIM_GOOD] = VERDICT_OK,         [SIM_DEAD] = VERDICT_SILENT,  [SIM_CLOSED] = VERDICT_SILENT,  [SIM_NOROUTE] = VERDICT_NOROUTE,
		[SIM_REFUSED] = VERDICT_LAME,    [SIM_NOTAUTH] = VERDICT_LAME, [SIM_SERVFAIL] = VERDICT_SICK,  [SIM_FORMERR] = VERDICT_SICK,
		[SIM_NOT_AA] = VERDICT_LAME,     [SIM_REFERRAL] = VERDICT_LAME, [SIM_BROKEN] = VERDICT_SICK,   [SIM_GARBLED] = VERDICT_SICK,
	};

	return verdicts[mode];
}

enum verdict simdns_truth(const struct simdns *s, const struct sim_addr *a, const struct sim_machine *m, size_t name, int64_t t)
{
	enum verdict v = mode_verdict(simdns_mode(a, t));

	for (size_t j = 0; v == VERDICT_OK && j < s->name[name].nvalues; j++)
		if (!simdns_has(m, name, j, t))
			v = VERDICT_STALE;
	return v;
}

/* --- what a machine says -------------------------------------------------------------------------------------------------------------- */

static void say(struct sim_reply *r, const char *text, unsigned cut, uint16_t type)
{
	if (r->ntexts < SIM_TEXTS)
		r->texts[r->ntexts++] = (struct sim_text){ text, cut, type, false };
}

static void say_decoys(const struct sim_name *n, struct sim_reply *r)
{
	for (size_t j = 0; j < n->nvalues; j++) {
		for (unsigned k = 0; k < 4; k++)
			if (n->decoys & 1U << k)
				say(r, n->decoy[j][k], 0, DNS_TXT);
		if (n->decoys & SIM_TYPE_SPF)
			say(r, n->value[j], 0, TYPE_SPF);
		if (n->decoys & SIM_HALVES) {
			say(r, n->decoy[j][4], 0, DNS_TXT);
			say(r, n->decoy[j][5], 0, DNS_TXT);
		}
		if (n->decoys & SIM_ELSEWHERE) {
			say(r, n->value[j], 0, DNS_TXT);
			r->texts[r->ntexts - 1].elsewhere = true;
		}
	}
	for (unsigned k = 0; (n->decoys & SIM_CROWD) && k < 60; k++)
		say(r, "of another client, who waits as we do", 0, DNS_TXT);
}

static void say_txt(struct simdns *s, const struct sim_machine *m, size_t name, struct sim_reply *r)
{
	const struct sim_name *n = &s->name[name];
	size_t first = simdns_random(s, n->nvalues), have = 0;

	for (size_t j = 0; j < n->nvalues; j++)
		have += simdns_has(m, name, j, r->sampled);
	if (have == 0 && m->before == SIM_NXDOMAIN)
		r->rcode = NXDOMAIN;
	if (have == 0 && m->before == SIM_CNAME)
		r->cname = "elsewhere.test";
	if (have == 0 && m->before != SIM_OLD)
		return;
	if (m->before == SIM_OLD)
		say(r, "the value of the last time", 0, DNS_TXT);
	if (first)
		say_decoys(n, r);
	for (size_t k = 0; k < n->nvalues; k++) {
		size_t j = (first + k) % n->nvalues;

		if (simdns_has(m, name, j, r->sampled))
			say(r, n->value[j], n->cut, DNS_TXT);
	}
	if (!first)
		say_decoys(n, r);
}

static void say_content(struct simdns *s, const struct sim_machine *m, struct sim_reply *r)
{
	int name = r->name;

	r->aa = true;
	r->serial = simdns_serial(s, m, r->sampled);
	r->soa = r->type == DNS_SOA;
	if (r->type == DNS_TXT && name < 0 && r->from->wildcard)
		name = 0;
	if (r->type == DNS_TXT && name >= 0)
		say_txt(s, m, (size_t)name, r);
	else if (name < 0 && !r->soa)
		r->rcode = NXDOMAIN;
}

/* The machine that the packet meets answers at r->sampled. */
static void meet_with(struct simdns *s, const struct sim_machine *m, struct sim_reply *r)
{
	r->machine = m;
	r->how = simdns_mode(r->from, r->sampled) == SIM_BROKEN ? DNS_BROKEN : DNS_ANSWERED;
	r->truth = r->name >= 0 ? simdns_truth(s, r->from, m, (size_t)r->name, r->sampled) : VERDICT_NONE;
}

/* What it said. */
static void answer(struct simdns *s, struct sim_reply *r)
{
	static const unsigned rcodes[SIM_MODES] = { [SIM_REFUSED] = REFUSED, [SIM_NOTAUTH] = NOTAUTH, [SIM_SERVFAIL] = SERVFAIL, [SIM_FORMERR] = FORMERR };
	enum sim_mode mode = simdns_mode(r->from, r->sampled);

	r->texts = s->texts;
	if (r->how != DNS_ANSWERED)
		return;
	r->rcode = rcodes[mode];
	if (mode == SIM_GOOD || mode == SIM_NOT_AA || mode == SIM_GARBLED)
		say_content(s, r->machine, r);
	if (mode == SIM_NOT_AA)
		r->aa = false;
	r->garbled = mode == SIM_GARBLED;
	r->referral = mode == SIM_REFERRAL;
}

/* --- the way there -------------------------------------------------------------------------------------------------------------------- */

static struct sim_machine *meet(struct simdns *s, struct sim_reply *r, bool tcp)
{
	struct sim_addr *a = r->from;

	if (a->per_question || r->fresh)
		a->socket[tcp] = (unsigned)simdns_random(s, a->nmachines);
	return &a->machine[a->socket[tcp]];
}

/* What was open when the question began may be so no more when a packet of it comes. */
static bool is_deaf(const struct sim_addr *a, bool tcp, int64_t t)
{
	enum sim_mode mode = simdns_mode(a, t);

	return mode == SIM_DEAD || mode == SIM_CLOSED || mode == SIM_NOROUTE || (tcp ? a->tcp_silent : a->udp_silent);
}

static bool try_tcp(struct simdns *s, struct sim_reply *r, int64_t t)
{
	r->sent++;
	r->over_tcp = true;
	r->sampled = t + r->from->rtt + r->from->rtt / 2;
	if (is_deaf(r->from, true, r->sampled))
		return false;
	meet_with(s, meet(s, r, true), r);
	r->delivered = t + 2 * r->from->rtt;
	return true;
}

static bool try_udp(struct simdns *s, struct sim_reply *r, int64_t t)
{
	struct sim_machine *m = meet(s, r, false);

	r->sent++;
	r->sampled = t + r->from->rtt / 2;
	if (is_deaf(r->from, false, r->sampled) || simdns_chance(s, r->from->loss))
		return false;
	if (r->from->truncates && r->type == DNS_TXT && simdns_mode(r->from, r->sampled) == SIM_GOOD)
		return try_tcp(s, r, t + r->from->rtt);
	meet_with(s, m, r);
	r->delivered = t + r->from->rtt;
	return true;
}

/* Everything that will happen to the question is known now. */
static void travel(struct simdns *s, const struct dns_ask *q, struct sim_reply *r, int64_t t)
{
	int64_t end = t + (q->timeout_ms ? q->timeout_ms : DNS_ASK_MS);
	bool got;

	r->sampled = r->delivered = t;
	r->how = DNS_NO_ROUTE;
	r->truth = VERDICT_NOROUTE;
	if (simdns_mode(r->from, t) == SIM_NOROUTE)
		return;
	if (simdns_mode(r->from, t) == SIM_CLOSED) {
		end = t + 2 * r->from->rtt;
		got = false;
	} else if (q->tcp) {
		got = try_tcp(s, r, t);
	} else {
		got = try_udp(s, r, t) || try_udp(s, r, t + UDP_AGAIN_MS) || try_tcp(s, r, t + UDP_END_MS);
	}
	if (got && r->delivered <= end)
		return;
	r->how = DNS_SILENT;
	r->truth = VERDICT_SILENT;
	r->sampled = r->delivered = end;
}

/* --- messages ------------------------------------------------------------------------------------------------------------------------- */

static void put_text(struct paper *p, const struct sim_text *t)
{
	size_t len = strlen(t->text), cut = t->cut && t->cut < len ? t->cut : len;
	size_t at = paper_rr(p, t->elsewhere ? "neighbour.test" : p->question, t->type);

	paper_put(p, (unsigned)cut, 1);
	paper_bytes(p, t->text, cut);
	if (cut < len) {
		paper_put(p, (unsigned)(len - cut), 1);
		paper_bytes(p, t->text + cut, len - cut);
	}
	paper_end(p, at);
}

static unsigned put_answers(struct paper *p, const struct simdns *s, const struct sim_reply *r)
{
	unsigned n = 0;
	size_t at;

	if (r->cname) {
		at = paper_rr(p, p->question, DNS_CNAME);
		paper_name(p, r->cname);
		paper_end(p, at);
		n++;
	}
	for (size_t i = 0; i < r->ntexts; i++, n++)
		put_text(p, &r->texts[i]);
	if (r->soa) {
		paper_soa(p, s->apex, r->serial);
		n++;
	}
	return n;
}

static unsigned put_authority(struct paper *p, const struct simdns *s, const struct sim_reply *r, unsigned answers)
{
	size_t at;

	if (r->referral) {
		at = paper_rr(p, "", DNS_NS);
		paper_name(p, "a.root.test");
		paper_end(p, at);
		return 1;
	}
	if (answers || !r->aa)
		return 0;
	paper_soa(p, s->apex, r->serial);
	return 1;
}

static void write_message(struct paper *p, struct simdns *s, const struct sim_reply *r, const char *question)
{
	unsigned answers, authority;

	paper_begin(p, (uint16_t)simdns_random(s, 65536), 0x8000U | (r->aa ? 0x400U : 0) | r->rcode, question, r->type);
	answers = put_answers(p, s, r);
	authority = put_authority(p, s, r, answers);
	for (size_t i = 12; i < 12 + strlen(question) && (r->bits & DNS_MIXED_CASE) && !r->from->lowers_case; i++)
		if (p->b[i] >= 'a' && simdns_chance(s, 50))
			p->b[i] = (uint8_t)toupper(p->b[i]);
	paper_count(p, answers, authority, 0);
	if (r->garbled)
		p->n -= 1 + (size_t)simdns_random(s, 11);
}

/* --- the asker ------------------------------------------------------------------------------------------------------------------------ */

struct dns_query {
	struct simdns *s;
	struct timer timer;
	dns_answered *done;
	void *arg;
	char *question;
	struct sim_reply reply;
};

static void forget(struct dns_query *q)
{
	timer_disarm(&q->timer);
	q->s->under_way--;
	free(q->question);
	free(q);
}

static void deliver(void *arg)
{
	static struct paper p;
	struct dns_query *q = arg;
	struct sim_reply *r = &q->reply;
	struct dns_answer a = { .text = "simulated" };

	answer(q->s, r);
	if (q->s->heard)
		q->s->heard(q->s->arg, r, true);
	if (q->s->bend)
		q->s->bend(q->s->bug, q->s, r);
	a.how = r->how;
	a.over_tcp = r->over_tcp;
	a.case_kept = !(r->from->lowers_case && (r->bits & DNS_MIXED_CASE));
	a.rtt_us = r->from->rtt * 1000;
	a.sent = r->sent;
	if (r->how == DNS_ANSWERED) {
		write_message(&p, q->s, r, q->question);
		a.msg = p.b;
		a.len = p.n;
		a.head = (struct dns_head){ .id = (uint16_t)(p.b[0] << 8 | p.b[1]), .response = true, .aa = r->aa, .rcode = r->rcode,
			                    .count = { 1, p.b[7], p.b[9], 1 } };
	}
	q->done(q->arg, &a);
	forget(q);
}

static struct sim_addr *find_addr(struct simdns *s, const struct addr *to)
{
	for (size_t i = 0; i < s->naddrs; i++)
		if (addr_same_ip(&s->addr[i].addr, to) && addr_port(to) == addr_port(&s->addr[i].addr))
			return &s->addr[i];
	return NULL;
}

size_t simdns_crowd(const struct simdns *s, const char *name)
{
	size_t prefix = strlen("_acme-challenge.");
	char *end;
	unsigned long i;

	if (strncasecmp(name, "_acme-challenge.", prefix) == 0)
		name += prefix;
	i = *name == 'n' && name[1] >= '0' && name[1] <= '9' ? strtoul(name + 1, &end, 10) : SIZE_MAX;
	return i < s->crowd && *end == '.' && strcasecmp(end + 1, s->apex) == 0 ? i : SIZE_MAX;
}

static int find_name(const struct simdns *s, const char *name)
{
	for (size_t i = 0; i < s->nnames; i++)
		if (strcasecmp(s->name[i].owner, name) == 0)
			return (int)i;
	return simdns_crowd(s, name) < s->crowd ? 0 : -1;
}

/* When the n-th last question went a second ago, the next may go. */
static int64_t in_line(int64_t *ring, unsigned room, unsigned *n, int64_t t)
{
	int64_t at = *n >= room && ring[*n % room] + 1000 > t ? ring[*n % room] + 1000 : t;

	ring[(*n)++ % room] = at;
	return at;
}

static int64_t wait_in_line(struct simdns *s, const struct sim_reply *r, int64_t t)
{
	size_t a = (size_t)(r->from - s->addr);

	if (!s->limits)
		return t;
	if (r->name >= 0 && !s->crowd)
		t = in_line(s->turn[a][r->name], 20, &s->nturn[a][r->name], t);
	return in_line(s->line[a], 200, &s->nline[a], t);
}

static struct dns_query *ask(struct asker *asker, const struct dns_ask *ask, dns_answered *done, void *arg)
{
	struct simdns *s = (struct simdns *)asker;
	struct dns_query *q = mem_alloc(sizeof *q);
	struct dns_ask asked = *ask;
	struct sim_reply *r = &q->reply;
	int64_t held = 0;

	q->s = s;
	q->done = done;
	q->arg = arg;
	q->question = mem_strdup(ask->name);
	s->asked++;
	s->under_way++;
	if (s->bend_ask)
		held = s->bend_ask(s->bug, s, &asked);
	r->from = find_addr(s, &asked.to);
	if (!r->from) {
		char text[ADDR_TEXT];

		snprintf(s->bad, sizeof s->bad, "%s was asked, which is no server of the zone", addr_format(&asked.to, text));
		r->from = &s->addr[0];
	}
	if (asked.bits & DNS_RD)
		snprintf(s->bad, sizeof s->bad, "an authoritative server was asked to recurse");
	r->question = q->question;
	r->name = find_name(s, asked.name);
	r->type = asked.type;
	r->bits = asked.bits;
	r->fresh = asked.fresh;
	r->tcp = asked.tcp;
	r->asked = simdns_now(s);
	if (s->heard)
		s->heard(s->arg, r, false);
	travel(s, &asked, r, wait_in_line(s, r, r->asked) + held);
	timer_arm(&q->timer, r->delivered - r->asked, deliver, q);
	return q;
}

static void cancel(struct dns_query *q)
{
	if (q)
		forget(q);
}

void simdns_begin(struct simdns *s, uint64_t seed)
{
	static const struct asker_ops ops = { ask, cancel };

	s->asker.ops = &ops;
	s->random = seed * 0xd1342543de82ef95u + 1;
	s->began = clock_mono_ms();
}
