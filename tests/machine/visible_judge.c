/* SPDX-License-Identifier: ISC */
/* What a proof may say and when, from the truth of the world: a CA's resolver steps over servers that are silent, refuse or fail, and believes the first
 * authoritative answer, whichever address and machine it comes from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "visible_world.h"

enum {
	SLACK_MS = 60,
	MORE_ROUNDS = 6,                  /* at addresses that contradict themselves */
	GONE = 3,                         /* silences that make a stale address one that is gone: not one or two lost packets */
	TCP_MS = 1000,                    /* where a confirmation over TCP is not answered, one over UDP comes so much later */
	LAST_ROUND_MS = TCP_MS + DNS_ASK_MS + 100, /* the confirmations of the last round lie no further back */
};

/* --- the truth over a time ------------------------------------------------------------------------------------------------------------ */

static int64_t cap_of(const struct world *w)
{
	return w->timeout / 20 < 10000 ? w->timeout / 20 : 10000;
}

static unsigned rounds_of(const struct world *w)
{
	return w->confirm + (w->settle > 0);
}

int64_t world_longest(const struct world *w)
{
	return w->timeout + w->settle + (rounds_of(w) + MORE_ROUNDS + 1) * (TCP_MS + DNS_ASK_MS + SLACK_MS);
}

static bool value_is_missing_throughout(const struct sim_machine *m, size_t name, size_t value, int64_t from, int64_t to)
{
	int64_t appears = m->appears[name][value];
	int64_t there = appears >= m->lost_from && appears < m->lost_to ? m->lost_to : appears;

	return to < there || (from >= m->lost_from && to < m->lost_to);
}

/* Whoever asked this machine at any moment of this time got an authoritative answer without one of the values. */
static bool is_stale_throughout(const struct world *w, const struct sim_addr *a, const struct sim_machine *m, size_t name, const int64_t span[2])
{
	if (simdns_mode(a, span[0]) != SIM_GOOD || simdns_mode(a, span[1]) != SIM_GOOD || (a->udp_silent && a->tcp_silent))
		return false;
	for (size_t j = 0; j < w->net.name[name].nvalues; j++)
		if (value_is_missing_throughout(m, name, j, span[0], span[1]))
			return true;
	return false;
}

static unsigned stale_machines(const struct world *w, const struct sim_addr *a, size_t name, const int64_t span[2])
{
	unsigned n = 0;

	for (unsigned m = 0; m < a->nmachines; m++)
		n += is_stale_throughout(w, a, &a->machine[m], name, span);
	return n;
}

static bool is_routable(const struct sim_addr *a, int64_t t)
{
	return simdns_mode(a, t) != SIM_NOROUTE;
}

/* --- when the quorum holds ------------------------------------------------------------------------------------------------------------ */

struct count {
	unsigned good, stale, routable, addrs, names, good_names, routable_names;
};

static void count_names(const struct world *w, const bool good[SIM_ADDRS], int64_t t, struct count *c)
{
	bool any[SIM_NS] = { false }, routable[SIM_NS] = { false }, there[SIM_NS] = { false };

	for (size_t k = 0; k < w->net.naddrs; k++) {
		there[w->net.addr[k].ns] = true;
		any[w->net.addr[k].ns] |= good[k];
		routable[w->net.addr[k].ns] |= is_routable(&w->net.addr[k], t);
	}
	for (unsigned n = 0; n < SIM_NS; n++) {
		c->names += there[n];
		c->good_names += any[n];
		c->routable_names += routable[n];
	}
}

/* Of an address of several machines: good when all are, stale when one is. */
static struct count count_at(const struct world *w, size_t name, int64_t t)
{
	struct count c = { .addrs = (unsigned)w->net.naddrs };
	bool good[SIM_ADDRS] = { false };

	for (size_t k = 0; k < w->net.naddrs; k++) {
		const struct sim_addr *a = &w->net.addr[k];
		unsigned ok = 0, stale = 0;

		for (unsigned m = 0; m < a->nmachines; m++) {
			enum verdict v = simdns_truth(&w->net, a, &a->machine[m], name, t);

			ok += v == VERDICT_OK;
			stale += v == VERDICT_STALE;
		}
		good[k] = ok == a->nmachines;
		c.good += good[k];
		c.stale += stale > 0;
		c.routable += is_routable(a, t);
	}
	count_names(w, good, t, &c);
	return c;
}

/* By everyone's reading of the rule. */
static bool surely_holds(const struct world *w, size_t name, int64_t t)
{
	struct count c = count_at(w, name, t);

	switch (w->quorum.kind) {
	case QUORUM_ALL:
		return c.stale == 0 && c.good > 0 && c.good_names * 2 >= c.names;
	case QUORUM_STRICT:
		return c.good > 0 && c.good == c.routable;
	case QUORUM_MAJORITY:
		return c.good * 2 > c.addrs && c.good_names * 2 > c.names;
	case QUORUM_ANY:
		return c.good > 0;
	case QUORUM_NUMBER:
		return c.good >= w->quorum.number;
	}
	return false;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static size_t moments(const struct world *w, size_t name, int64_t *out)
{
	size_t n = 0;

	out[n++] = w->net.name[name].start;
	for (size_t k = 0; k < w->net.naddrs; k++) {
		const struct sim_addr *a = &w->net.addr[k];

		out[n++] = a->turns;
		for (unsigned m = 0; m < a->nmachines; m++) {
			out[n++] = a->machine[m].lost_from;
			out[n++] = a->machine[m].lost_to;
			for (size_t j = 0; j < w->net.name[name].nvalues; j++)
				out[n++] = a->machine[m].appears[name][j];
		}
	}
	qsort(out, n, sizeof *out, by_time);
	return n;
}

int64_t world_holds_from(const struct world *w, size_t name)
{
	static int64_t t[2 + SIM_ADDRS * (1 + SIM_MACHINES * (2 + SIM_VALUES))];
	size_t n = moments(w, name, t);
	int64_t from = SIM_NEVER;

	while (n > 0 && t[n - 1] >= SIM_NEVER)
		n--;
	for (; n > 0 && surely_holds(w, name, t[n - 1]); n--)
		from = t[n - 1];
	return from < w->net.name[name].start ? w->net.name[name].start : from;
}

/* --- not later than ------------------------------------------------------------------------------------------------------------------- */

/* One question and its answer take at most so long in this world. */
static int64_t longest_question(const struct world *w)
{
	int64_t most = 0;

	for (size_t k = 0; k < w->net.naddrs; k++) {
		const struct sim_addr *a = &w->net.addr[k];
		bool goes = a->mode[1] != a->mode[0] && (a->mode[1] == SIM_CLOSED || a->mode[1] == SIM_NOROUTE); /* maybe while it is being asked */
		bool steady = a->mode[0] != SIM_DEAD && a->mode[1] != SIM_DEAD && !goes && !a->loss && !a->udp_silent && !a->tcp_silent;
		int64_t d = steady ? 3 * a->rtt : DNS_ASK_MS;

		most = d > most ? d : most;
	}
	return most;
}

static bool anyone_fell(const struct world *w, size_t name)
{
	bool fell = false;

	for (size_t k = 0; k < w->net.naddrs; k++)
		fell |= w->waiting[name].trace[k].fell;
	return fell;
}

/* An address that was stale and then says nothing more is looked at again before it is stepped over; one whose packets are lost must be. */
static bool anyone_is_doubtful(const struct world *w, size_t name)
{
	bool doubtful = false;

	for (size_t k = 0; k < w->net.naddrs; k++)
		doubtful |= w->waiting[name].trace[k].hushed || (w->net.addr[k].tcp_silent && w->net.addr[k].loss);
	return doubtful;
}

static unsigned all_lost(const struct world *w, size_t name)
{
	unsigned n = 0;

	for (size_t k = 0; k < w->net.naddrs; k++)
		n += w->waiting[name].trace[k].lost;
	return n;
}

/* The look after the moment of truth comes at most a gap later, which is a quarter of the time waited but for the jitter (so 3/8), up to the cap; then the
 * confirmations. */
static int64_t latest(const struct world *w, size_t name)
{
	int64_t from = world_holds_from(w, name), start = w->net.name[name].start;
	int64_t d = longest_question(w), round = d + SLACK_MS + (d < DNS_ASK_MS ? 0 : TCP_MS), gap = 30 + (from - (w->gated ? 0 : start)) * 3 / 8, most = cap_of(w) * 6 / 5;
	int64_t end;

	if (from >= SIM_NEVER)
		return SIM_NEVER;
	gap = gap > most ? most : gap;
	end = from + 2 * d + gap + rounds_of(w) * round + w->settle + SLACK_MS;
	if (w->gated)
		end += gap + 2 * d;
	if (w->gated && !w->moved) /* the serial tells nothing: all that is asked is that it is seen in time */
		end = w->timeout >= 60000 && from - start < w->timeout / 3 ? start + w->timeout - 1 : SIM_NEVER;
	if (anyone_is_doubtful(w, name)) /* so must one with TCP closed in each round */
		end += (3 + 2 * (int64_t)rounds_of(w)) * (gap + d);
	if (anyone_fell(w, name)) /* an address that contradicts itself is looked at harder */
		end += 12 * (most + round) + w->settle;
	if (w->quorum.kind == QUORUM_STRICT) /* each look in vain may cost all rounds so far */
		end += all_lost(w, name) * (most + rounds_of(w) * round + w->settle);
	return end;
}

/* --- "visible" ------------------------------------------------------------------------------------------------------------------------ */

struct view { /* of one address, at the moment "visible" was said */
	struct world *w;
	const struct waiting *p;
	const struct sim_addr *a;
	const struct trace *t;
	char text[ADDR_TEXT];
};

static struct view view_of(struct world *w, const struct waiting *p, size_t k)
{
	struct view v = { w, p, &w->net.addr[k], &p->trace[k], "" };

	addr_format_ip(&v.a->addr, v.text);
	return v;
}

/* How far back what is known of it may lie. */
static int64_t window_from(const struct view *v)
{
	int64_t start = v->w->net.name[v->p->i].start, from;

	if (v->t->last != VERDICT_OK)
		from = v->p->at - 2 * DNS_ASK_MS - cap_of(v->w) * 6 / 5 - 2 * SLACK_MS;
	else
		from = rounds_of(v->w) ? v->p->at - LAST_ROUND_MS : start;
	return from < start ? start : from;
}

/* Each round looked at it anew, on another socket, TCP (which the first look did not take) and UDP in turn, and saw all values each time, or nobody. */
static bool was_confirmed(const struct view *v)
{
	const struct trace *t = v->t;
	bool by_tcp = v->w->confirm < 1 || v->a->tcp_silent || t->fresh_tcp, by_udp = v->w->confirm < 2 || t->fresh_udp;
	bool both = v->a->truncates || v->a->udp_silent || v->a->loss || (by_tcp && by_udp);

	return t->run + t->lost_in_run >= 1 + rounds_of(v->w) && t->fresh + t->lost_in_run >= v->w->confirm && both;
}

static void judge_stale(const struct view *v)
{
	const int64_t span[2] = { window_from(v), v->p->at };
	unsigned stale = stale_machines(v->w, v->a, v->p->i, span);

	if (stale && v->a->tcp_silent && v->a->loss && v->t->last == VERDICT_SILENT && (v->t->hushed == 0 || v->t->hushed >= GONE))
		stale = 0; /* too many packets were lost to tell it from a dead one */
	if (v->t->answers == 0)
		world_cry(v->w, "visible, but %s never answered nor kept silent for its whole time", v->text);
	else if (v->t->last == VERDICT_STALE)
		world_cry(v->w, "visible, but the last answer of %s was stale", v->text);
	else if (stale && v->a->nmachines == 1)
		world_cry(v->w, "visible, but %s is stale, and was for all of the last %lld ms", v->text, (long long)(span[1] - span[0]));
	else if (stale && !was_confirmed(v))
		world_cry(v->w, "visible, but a machine behind %s is stale, and it was not looked at often enough", v->text);
}

static void judge_confirmed(const struct view *v)
{
	bool steady = v->a->turns >= SIM_NEVER && v->a->mode[0] == SIM_GOOD && !(v->a->tcp_silent && v->a->loss);

	if (!steady)
		return;
	if (!was_confirmed(v))
		world_cry(v->w, "visible, but %s was not confirmed: %u looks, %u on fresh sockets%s%s", v->text, v->t->run, v->t->fresh,
		          v->t->fresh_udp ? ", UDP" : "", v->t->fresh_tcp ? ", TCP" : "");
	else if (rounds_of(v->w) && v->p->at - v->t->sampled > LAST_ROUND_MS)
		world_cry(v->w, "visible, but %s was looked at %lld ms ago", v->text, (long long)(v->p->at - v->t->sampled));
}

static bool is_good(const struct view *v)
{
	const int64_t span[2] = { window_from(v), v->p->at };

	return v->t->run > 0 && v->t->last != VERDICT_STALE && stale_machines(v->w, v->a, v->p->i, span) < v->a->nmachines
	       && (rounds_of(v->w) == 0 || v->t->fresh > 0);
}

static void judge_strict(const struct view *v, bool good)
{
	if (!good && is_routable(v->a, v->p->at))
		world_cry(v->w, "visible by quorum strict, but %s has not shown all", v->text);
}

static void judge_count(struct world *w, const struct count *c)
{
	unsigned number = w->quorum.number < c->routable ? w->quorum.number : c->routable;
	bool enough = false;

	switch (w->quorum.kind) {
	case QUORUM_ALL:
		enough = c->good > 0 && c->good_names * 2 >= c->routable_names;
		break;
	case QUORUM_STRICT:
	case QUORUM_ANY:
		enough = c->good > 0;
		break;
	case QUORUM_MAJORITY:
		enough = c->good > c->stale;
		break;
	case QUORUM_NUMBER:
		enough = c->good >= number && c->good > 0;
		break;
	}
	if (!enough)
		world_cry(w, "visible, but only %u of %u addresses (%u stale) of %u of %u name servers have it", c->good, c->addrs, c->stale, c->good_names,
		          c->names);
}

static void judge_visible(struct world *w, const struct waiting *p)
{
	struct count c = { .addrs = (unsigned)w->net.naddrs };
	bool good[SIM_ADDRS] = { false }, every = w->quorum.kind == QUORUM_ALL || w->quorum.kind == QUORUM_STRICT;

	for (size_t k = 0; k < w->net.naddrs; k++) {
		struct view v = view_of(w, p, k);

		if (every)
			judge_stale(&v);
		if (every)
			judge_confirmed(&v);
		good[k] = is_good(&v);
		if (w->quorum.kind == QUORUM_STRICT)
			judge_strict(&v, good[k]);
		c.good += good[k];
		c.stale += v.t->last == VERDICT_STALE;
		c.routable += is_routable(v.a, p->at);
	}
	count_names(w, good, p->at, &c);
	judge_count(w, &c);
	if (p->at > latest(w, p->i))
		world_cry(w, "visible at %lld ms, but it was so from %lld ms and known %lld ms at the latest", (long long)p->at,
		          (long long)world_holds_from(w, p->i), (long long)latest(w, p->i));
}

/* --- "not visible" -------------------------------------------------------------------------------------------------------------------- */

static bool stands_in_the_way(const struct world *w, const struct trace *t, bool any_stale)
{
	bool every = w->quorum.kind == QUORUM_ALL && any_stale;

	return every ? t->last == VERDICT_STALE || t->fell || t->hushed : t->last != VERDICT_OK || t->fell;
}

static void judge_blame(struct world *w, const struct waiting *p)
{
	bool any_stale = false, any = false, named = false;

	for (size_t k = 0; k < w->net.naddrs; k++)
		any_stale |= p->trace[k].last == VERDICT_STALE;
	for (size_t k = 0; k < w->net.naddrs; k++) {
		struct view v = view_of(w, p, k);

		if (!stands_in_the_way(w, v.t, any_stale))
			continue;
		any = true;
		named |= strstr(p->error, v.text) != NULL;
	}
	if (any && !named)
		world_cry(w, "not visible, but none of the addresses in the way is named: \"%s\"", p->error);
	if (strcmp(p->type, "propagation") != 0)
		world_cry(w, "not visible, with an error of type \"%s\"", p->type);
}

static void judge_unseen(struct world *w, const struct waiting *p)
{
	int64_t end = w->net.name[p->i].start + w->timeout;
	bool routable = false;

	for (size_t k = 0; k < w->net.naddrs; k++)
		routable |= w->net.addr[k].mode[0] != SIM_NOROUTE || w->net.addr[k].mode[1] != SIM_NOROUTE;
	if (latest(w, p->i) < end)
		world_cry(w, "not visible (\"%s\"), though it was from %lld ms and should be known at %lld ms", p->error,
		          (long long)world_holds_from(w, p->i), (long long)latest(w, p->i));
	if (p->at < end - 1 && routable)
		world_cry(w, "given up at %lld ms, before the time was over (\"%s\")", (long long)p->at, p->error);
	judge_blame(w, p);
}

/* --- what it told and what it cost ---------------------------------------------------------------------------------------------------- */

static const struct js *row_of(const struct js *servers, const char *address)
{
	for (size_t r = 0; r < js_len(servers); r++) {
		const char *text = js_str(js_at(servers, r), "address");

		if (text && strstr(text, address))
			return js_at(servers, r);
	}
	return NULL;
}

static void judge_row(const struct view *v, const struct js *row)
{
	const char *told = js_str(row, "verdict"), *truth = v->t->answers ? verdict_name(v->t->last) : verdict_name(VERDICT_NONE);
	bool open = v->t->fell || v->t->hushed || (v->t->last == VERDICT_SILENT && v->t->run); /* what it was before may be told as well */

	if (told && v->a->wildcard && strcmp(told, "WILD") == 0)
		told = "OK";
	if (!told || (strcmp(told, truth) != 0 && !open))
		world_cry(v->w, "the report has %s for %s, whose last answer was %s", told ? told : "nothing", v->text, truth);
}

/* No more looks than the schedule has in this time, the jitter at its quickest. */
static unsigned looks_in(const struct world *w, int64_t elapsed)
{
	double gap = 25, cap = (double)cap_of(w), t = 0;
	unsigned n = 1;

	while ((t += 0.8 * (gap < cap ? gap : cap)) <= (double)elapsed) {
		gap *= 1.25;
		n++;
	}
	return n + 1;
}

static void judge_cost(const struct view *v)
{
	int64_t elapsed = v->p->at - v->w->net.name[v->p->i].start;
	unsigned most = looks_in(v->w, elapsed), looks = v->t->asks - v->t->fresh_asks, all = 250;

	if (!v->t->ever_good && looks > most)
		world_cry(v->w, "%s, which never had it, was asked %u times in %lld ms, not %u", v->text, looks, (long long)elapsed, most);
	if (anyone_fell(v->w, v->p->i)) /* rounds failed again and again */
		all = most * (1 + rounds_of(v->w) + MORE_ROUNDS);
	if ((!v->t->ever_good && looks > 100) || v->t->asks > all)
		world_cry(v->w, "%s was asked %u times, %u of them in rounds", v->text, v->t->asks, v->t->fresh_asks);
}

static void judge_report(struct world *w, const struct waiting *p)
{
	const struct js *servers = js_arr(p->report, "servers");
	unsigned sent = 0;

	if (js_len(servers) != w->net.naddrs)
		world_cry(w, "the report has %zu servers of %zu", js_len(servers), w->net.naddrs);
	for (size_t k = 0; k < w->net.naddrs; k++) {
		struct view v = view_of(w, p, k);

		if (!w->net.bend && !w->net.bend_ask) /* planted bugs are to be found by what they do, not by what they say */
			judge_row(&v, row_of(servers, v.text));
		judge_cost(&v);
		sent += v.t->sent;
	}
	if (js_int(p->report, "questions", 0) < sent)
		world_cry(w, "the report has %lld questions of %u", (long long)js_int(p->report, "questions", 0), sent);
}

/* "Visible" in spite of machines that stayed stale from beginning to end, behind addresses where others were good: how often chance allows it (each
 * confirmation meets a good one), and how often it was. */
static void weigh_luck(struct world *w, const struct waiting *p)
{
	const int64_t span[2] = { w->net.name[p->i].start, w->net.name[p->i].start + w->timeout };

	if (w->quorum.kind != QUORUM_ALL && w->quorum.kind != QUORUM_STRICT)
		return;
	for (size_t k = 0; k < w->net.naddrs; k++) {
		struct view v = view_of(w, p, k);
		unsigned stale = stale_machines(w, v.a, p->i, span), n = v.a->nmachines;
		double luck = 1;

		if (!stale || stale == n)
			continue;
		for (unsigned c = 0; c < w->confirm; c++)
			luck *= (double)(n - stale) / n;
		w->luck += luck;
		w->unlucky += p->said;
		w->unlucky_fell += p->said && v.t->fell;
	}
}

void world_judge(struct world *w)
{
	for (size_t i = 0; i < w->net.nnames; i++) {
		struct waiting *p = &w->waiting[i];

		if (p->calls != !p->cancelled && p->ended)
			world_cry(w, "done was called %u times", p->calls);
		if (!p->ended || p->cancelled)
			continue;
		if (p->at > w->net.name[i].start + world_longest(w))
			world_cry(w, "ended %lld ms after its time", (long long)(p->at - w->net.name[i].start - w->timeout));
		if (p->said)
			judge_visible(w, p);
		else
			judge_unseen(w, p);
		judge_report(w, p);
		weigh_luck(w, p);
	}
	if (w->net.bad[0])
		world_cry(w, "%s", w->net.bad);
}
