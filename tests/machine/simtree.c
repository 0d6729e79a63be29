/* SPDX-License-Identifier: ISC */
#include "simtree.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "io/loop.h"
#include "simwire.h"

enum { NXDOMAIN = 3, SERVFAIL = 2, REFUSED = 5, AA = 0x400, RA = 0x80, QR = 0x8000, LINKS = 12 };

uint64_t tree_random(struct tree *t, uint64_t n)
{
	uint64_t z = (t->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return n ? (z ^ (z >> 31)) % n : 0;
}

bool tree_chance(struct tree *t, unsigned percent)
{
	return tree_random(t, 100) < percent;
}

/* --- the tree ------------------------------------------------------------------------------------------------------------------------- */

bool tree_is_in(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	return n >= z && strcasecmp(name + n - z, zone) == 0 && (n == z || z == 0 || name[n - z - 1] == '.');
}

int tree_zone_of(const struct tree *t, const char *name, uint32_t mask)
{
	int best = -1;

	for (size_t z = 0; z < t->nzones; z++)
		if ((mask & 1U << z) && tree_is_in(name, t->zone[z].apex) && (best < 0 || strlen(t->zone[z].apex) > strlen(t->zone[best].apex)))
			best = (int)z;
	return best;
}

/* RFC 4592: a name exists when anything is at or below it. */
static bool exists(const struct tree *t, int zone, const char *name)
{
	for (size_t i = 0; i < t->nnodes; i++)
		if (tree_is_in(t->node[i].name, name) && tree_zone_of(t, t->node[i].name, UINT32_MAX) == zone)
			return true;
	for (size_t z = 0; z < t->nzones; z++)
		if (tree_is_in(t->zone[z].apex, name))
			return true;
	return false;
}

static const struct tree_node *node_at(const struct tree *t, const char *name, uint16_t type)
{
	for (size_t i = 0; i < t->nnodes; i++)
		if (strcasecmp(t->node[i].name, name) == 0 && (t->node[i].type == type || t->node[i].type == PAPER_CNAME))
			return &t->node[i];
	return NULL;
}

const struct tree_node *tree_look(const struct tree *t, int zone, const char *name, uint16_t type, bool *synthesized)
{
	char wild[TREE_NAME + 2];
	const char *up = name;

	*synthesized = false;
	if (exists(t, zone, name))
		return node_at(t, name, type);
	while (*up && !exists(t, zone, up)) {
		up += strcspn(up, ".");
		up += *up == '.';
	}
	snprintf(wild, sizeof wild, "*.%s", up);
	*synthesized = true;
	return node_at(t, wild, type);
}

/* --- answers -------------------------------------------------------------------------------------------------------------------------- */

struct said {
	struct paper *p;
	unsigned rcode, flags, count[3];
};

static void say_name(struct said *s, unsigned section, const char *owner, uint16_t type, const char *target)
{
	size_t at = paper_rr(s->p, owner, type);

	paper_name(s->p, target);
	paper_end(s->p, at);
	s->count[section]++;
}

static void say_node(struct said *s, const char *owner, const struct tree_node *n)
{
	size_t at;

	if (n->type == PAPER_CNAME || n->type == PAPER_NS) {
		say_name(s, 0, owner, n->type, n->target);
		return;
	}
	at = paper_rr(s->p, owner, n->type);
	if (n->type == PAPER_TXT) {
		paper_put(s->p, strlen(n->target), 1);
		paper_bytes(s->p, n->target, strlen(n->target));
	} else {
		paper_put(s->p, 0xc0000280, 4);
	}
	paper_end(s->p, at);
	s->count[0]++;
}

static void say_address(struct said *s, const struct tree *t, const struct tree_host *h, size_t k)
{
	const struct sockaddr_storage *ss = &t->server[h->server[k]].addr.ss;
	bool four = ss->ss_family == AF_INET;
	size_t at = paper_rr(s->p, h->name, four ? PAPER_A : PAPER_AAAA);

	if (four)
		paper_bytes(s->p, (const char *)&((const struct sockaddr_in *)ss)->sin_addr, 4);
	else
		paper_bytes(s->p, (const char *)&((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
	paper_end(s->p, at);
	s->count[2]++;
}

static void say_servers(struct said *s, const struct tree *t, int zone, unsigned section, bool glue)
{
	const struct tree_zone *z = &t->zone[zone];

	for (size_t h = 0; h < (t->bug == TREE_ONE_HOST ? 1 : z->nhosts); h++)
		say_name(s, section, z->apex, PAPER_NS, z->host[h].name);
	for (size_t h = 0; h < z->nhosts; h++) /* without it nobody would find the ones within */
		for (size_t k = 0; k < z->host[h].naddrs && (glue || tree_is_in(z->host[h].name, z->apex)); k++)
			say_address(s, t, &z->host[h], k);
}

static void say_soa(struct said *s, const struct tree *t, int zone, unsigned section)
{
	paper_soa(s->p, t->zone[zone].apex, 1000 + (uint32_t)zone);
	s->count[section]++;
}

/* In the zone that holds the name. Returns the target of a CNAME, or NULL. */
static const char *say_in_zone(struct said *s, const struct tree *t, int zone, const char *name, uint16_t type)
{
	bool apex = strcasecmp(name, t->zone[zone].apex) == 0, synthesized;
	const struct tree_node *n;

	s->rcode = 0;
	if (apex && type == PAPER_SOA) {
		say_soa(s, t, zone, 0);
		return NULL;
	}
	if (apex && type == PAPER_NS) {
		say_servers(s, t, zone, 0, true);
		return NULL;
	}
	n = tree_look(t, zone, name, type, &synthesized);
	if (n && n->type == PAPER_CNAME && t->bug == TREE_NO_CNAMES)
		n = NULL;
	if (n && n->type == PAPER_CNAME && synthesized && t->bug == TREE_WILDCARDS_FOLLOWED && name[0] != '_') /* so that the challenge's looks like its own */
		n = NULL;
	if (n) {
		say_node(s, name, n);
		return n->type == PAPER_CNAME && type != PAPER_CNAME ? n->target : NULL;
	}
	if (synthesized)
		s->rcode = NXDOMAIN;
	say_soa(s, t, zone, 1);
	return NULL;
}

/* A delegation on the way from this zone down to the name. */
static int delegation(const struct tree *t, int zone, const char *name)
{
	int best = -1;

	for (size_t z = 0; z < t->nzones; z++)
		if ((int)z != zone && tree_is_in(name, t->zone[z].apex) && tree_is_in(t->zone[z].apex, t->zone[zone].apex)
		    && (best < 0 || strlen(t->zone[z].apex) < strlen(t->zone[best].apex)))
			best = (int)z;
	return best;
}

static void say_authoritative(struct said *s, const struct tree *t, const struct tree_server *v, const char *name, uint16_t type)
{
	for (unsigned links = 0; name && links < LINKS; links++) {
		int zone = tree_zone_of(t, name, v->zones);

		if (zone < 0) {
			s->rcode = links ? s->rcode : REFUSED;
			return;
		}
		if (zone != tree_zone_of(t, name, UINT32_MAX)) {
			if (t->bug == TREE_NO_DELEGATIONS)
				s->flags |= AA;
			else if (links == 0)
				say_servers(s, t, delegation(t, zone, name), 1, v->glue);
			return;
		}
		s->flags |= AA;
		name = say_in_zone(s, t, zone, name, type);
		if (!v->follows)
			return;
	}
}

static void say_recursive(struct said *s, const struct tree *t, const char *name, uint16_t type)
{
	s->flags |= RA;
	for (unsigned links = 0; name; links++) {
		int zone = tree_zone_of(t, name, UINT32_MAX);

		if (zone < 0 || links > LINKS) {
			s->rcode = SERVFAIL;
			return;
		}
		name = say_in_zone(s, t, zone, name, type);
	}
}

/* --- the asker ------------------------------------------------------------------------------------------------------------------------ */

struct dns_query {
	struct tree *t;
	struct timer timer;
	dns_answered *done;
	void *arg;
	struct dns_ask ask;
	char *name;
};

static void forget(struct dns_query *q)
{
	timer_disarm(&q->timer);
	q->t->under_way--;
	free(q->name);
	free(q);
}

static int recursive_at(const struct tree *t, const struct addr *a)
{
	for (size_t i = 0; i < t->nrecursive; i++)
		if (addr_same_ip(&t->recursive[i], a))
			return (int)i;
	return -1;
}

static const struct tree_server *server_at(const struct tree *t, const struct addr *a)
{
	for (size_t i = 0; i < t->nservers; i++)
		if (addr_same_ip(&t->server[i].addr, a) && addr_port(a) == 53)
			return &t->server[i];
	return NULL;
}

static enum tree_mode mode_at(const struct tree *t, const struct addr *a)
{
	int r = recursive_at(t, a);
	const struct tree_server *v = server_at(t, a);

	return r >= 0 ? t->recursive_mode[r] : v ? v->mode : TREE_DEAD;
}

static void write_answer(const struct dns_query *q, struct paper *p, struct dns_answer *a)
{
	static const unsigned rcodes[TREE_MODES] = { [TREE_REFUSES] = REFUSED, [TREE_FAILS] = SERVFAIL };
	enum tree_mode mode = mode_at(q->t, &q->ask.to);
	struct said s = { .p = p, .rcode = rcodes[mode] };
	unsigned flags;

	paper_begin(p, 1, 0, q->name, q->ask.type);
	if (mode == TREE_GOOD && recursive_at(q->t, &q->ask.to) >= 0)
		say_recursive(&s, q->t, q->name, q->ask.type);
	else if (mode == TREE_GOOD)
		say_authoritative(&s, q->t, server_at(q->t, &q->ask.to), q->name, q->ask.type);
	paper_count(p, s.count[0], s.count[1], s.count[2]);
	flags = QR | s.flags | s.rcode | (q->ask.bits & DNS_RD ? 0x100 : 0);
	p->b[2] = (uint8_t)(flags >> 8);
	p->b[3] = (uint8_t)flags;
	a->how = DNS_ANSWERED;
	a->msg = p->b;
	a->len = p->n;
	a->head = (struct dns_head){ .id = 1, .response = true, .aa = s.flags & AA, .rd = q->ask.bits & DNS_RD, .ra = s.flags & RA, .rcode = s.rcode,
		                     .count = { 1, p->b[7], p->b[9], p->b[11] } };
}

static void deliver(void *arg)
{
	static struct paper p;
	struct dns_query *q = arg;
	struct dns_answer a = { .how = DNS_SILENT, .sent = 1, .rtt_us = 1000, .case_kept = true, .text = "simulated silence" };

	if (mode_at(q->t, &q->ask.to) != TREE_DEAD)
		write_answer(q, &p, &a);
	q->done(q->arg, &a);
	forget(q);
}

/* A recursive server keeps a "no" for the name it was asked for. */
static void check_recursive(struct tree *t, const char *name)
{
	if (name[0] == '_' || strstr(name, "._"))
		snprintf(t->bad, sizeof t->bad, "a recursive server was asked for %s", name);
	for (size_t i = 0; i < t->nforbidden; i++)
		if (tree_is_in(name, t->forbidden[i]))
			snprintf(t->bad, sizeof t->bad, "a recursive server was asked for %s, where the record is to be", name);
}

static void check(struct tree *t, const struct dns_ask *q)
{
	bool recursive = recursive_at(t, &q->to) >= 0;

	if (!recursive && !server_at(t, &q->to))
		snprintf(t->bad, sizeof t->bad, "%s was asked of an address that is no server", q->name);
	if (!recursive && (q->bits & DNS_RD))
		snprintf(t->bad, sizeof t->bad, "%s was asked of an authoritative server with RD", q->name);
	if (!recursive && !(q->bits & DNS_RD))
		return;
	check_recursive(t, q->name);
}

static struct dns_query *ask(struct asker *asker, const struct dns_ask *ask, dns_answered *done, void *arg)
{
	struct tree *t = (struct tree *)asker;
	struct dns_query *q = mem_alloc(sizeof *q);
	bool dead = mode_at(t, &ask->to) == TREE_DEAD;

	*q = (struct dns_query){ .t = t, .done = done, .arg = arg, .ask = *ask, .name = mem_strdup(ask->name) };
	if (t->bug == TREE_ASKS_RECURSIVE && ask->type == DNS_TXT) {
		q->ask.to = t->recursive[0];
		q->ask.bits |= DNS_RD;
	}
	t->asked++;
	t->under_way++;
	check(t, &q->ask);
	timer_arm(&q->timer, dead ? (ask->timeout_ms ? ask->timeout_ms : DNS_ASK_MS) : 1 + (int64_t)tree_random(t, 40), deliver, q);
	return q;
}

static void cancel(struct dns_query *q)
{
	if (q)
		forget(q);
}

void tree_begin(struct tree *t, uint64_t seed)
{
	static const struct asker_ops ops = { ask, cancel };

	t->asker.ops = &ops;
	t->random = seed * 0xd1342543de82ef95u + 7;
}

/* --- addresses of name servers -------------------------------------------------------------------------------------------------------- */

struct dns_lookup {
	struct tree *t;
	struct timer timer;
	dns_done *done;
	void *arg;
	char *name;
	uint16_t port;
};

void tree_addresses_cancel(struct dns_lookup *l)
{
	if (!l)
		return;
	timer_disarm(&l->timer);
	l->t->under_way--;
	free(l->name);
	free(l);
}

static const struct tree_host *host_named(const struct tree *t, const char *name)
{
	for (size_t z = 0; z < t->nzones; z++)
		for (size_t h = 0; h < t->zone[z].nhosts; h++)
			if (strcasecmp(t->zone[z].host[h].name, name) == 0)
				return &t->zone[z].host[h];
	return NULL;
}

static void found(void *arg)
{
	struct dns_lookup *l = arg;
	const struct tree_host *h = host_named(l->t, l->name);
	struct addr addrs[TREE_ADDRS];
	struct err err = { 0 };
	size_t n = 0;

	for (size_t k = 0; h && k < (l->t->bug == TREE_ONE_ADDRESS ? 1 : h->naddrs); k++) {
		const struct addr *a = &l->t->server[h->server[k]].addr;

		if (a->ss.ss_family == AF_INET6 && l->t->bug == TREE_IPV4_ONLY)
			continue;
		addrs[n] = *a;
		addr_set_port(&addrs[n++], l->port);
	}
	if (n == 0)
		err_set(&err, ERR_TEMP, "dns", "%s: no address", l->name);
	l->done(l->arg, addrs, n, n ? NULL : &err);
	tree_addresses_cancel(l);
}

struct dns_lookup *tree_addresses(struct dns *tree, const char *name, uint16_t port, dns_done *done, void *arg)
{
	struct tree *t = (struct tree *)(void *)tree;
	struct dns_lookup *l = mem_alloc(sizeof *l);

	*l = (struct dns_lookup){ .t = t, .done = done, .arg = arg, .name = mem_strdup(name), .port = port };
	t->under_way++;
	check_recursive(t, name);
	timer_arm(&l->timer, 1 + (int64_t)tree_random(t, 30), found, l);
	return l;
}
