/* SPDX-License-Identifier: ISC */
#include "paper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"

/* --- messages ------------------------------------------------------------------------------------------------------------------- */

static void put(struct paper_msg *m, const void *data, size_t len)
{
	assert_true(m->len + len <= sizeof(m->b));
	memcpy(m->b + m->len, data, len);
	m->len += len;
}

static void put16(struct paper_msg *m, unsigned n)
{
	put(m, (const uint8_t[]){ (uint8_t)(n >> 8), (uint8_t)n }, 2);
}

static void put32(struct paper_msg *m, uint32_t n)
{
	put16(m, n >> 16);
	put16(m, n & 0xffff);
}

static void put_name(struct paper_msg *m, const char *name)
{
	while (*name) {
		uint8_t len = (uint8_t)strcspn(name, ".");

		put(m, &len, 1);
		put(m, name, len);
		name += len + (name[len] == '.');
	}
	put(m, "", 1);
}

void paper_head(struct paper_msg *m, const char *name, uint16_t type, unsigned rcode, bool aa)
{
	m->len = 0;
	put16(m, 1);
	put16(m, 0x8000 | (aa ? 0x400 : 0) | rcode);
	put16(m, 1);
	put(m, "\0\0\0\0\0\0", 6);
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
}

static void put_txt(struct paper_msg *m, const char *data)
{
	do {
		size_t all = strcspn(data, "|");
		uint8_t len = (uint8_t)(all > 255 ? 255 : all);

		put(m, &len, 1);
		put(m, data, len);
		data += len;
		if (*data == '|')
			data++;
	} while (*data);
}

static void put_soa(struct paper_msg *m, const char *data)
{
	unsigned long serial = 0, minimum = 0;

	assert_int_equal(sscanf(data, "%lu %lu", &serial, &minimum), 2);
	put_name(m, "ns.invalid");
	put_name(m, "who.invalid");
	put32(m, (uint32_t)serial);
	put32(m, 7200);
	put32(m, 600);
	put32(m, 86400);
	put32(m, (uint32_t)minimum);
}

static void put_address(struct paper_msg *m, int family, const char *data)
{
	uint8_t ip[16];

	assert_int_equal(inet_pton(family, data, ip), 1);
	put(m, ip, family == AF_INET ? 4 : 16);
}

static void put_rrsig(struct paper_msg *m, const char *data)
{
	unsigned type = 0, labels = 0;

	assert_int_equal(sscanf(data, "%u %u", &type, &labels), 2);
	put16(m, type);
	put(m, (const uint8_t[]){ 13, (uint8_t)labels }, 2);
	put(m, "\0\0\1\54\0\0\0\1\0\0\0\0\0\1\0sig", 18);
}

static void put_caa(struct paper_msg *m, const char *data)
{
	unsigned flags;
	char tag[40];
	int used = 0;

	if (strcmp(data, "broken") == 0) {
		put(m, "\0\77issue", 7);
		return;
	}
	assert_int_equal(sscanf(data, "%u %39s %n", &flags, tag, &used), 2);
	put(m, (const uint8_t[]){ (uint8_t)flags, (uint8_t)strlen(tag) }, 2);
	put(m, tag, strlen(tag));
	put(m, data + used, strlen(data + used));
}

static void put_data(struct paper_msg *m, uint16_t type, const char *data)
{
	switch (type) {
	case DNS_CAA:
		put_caa(m, data);
		break;
	case DNS_TXT:
		put_txt(m, data);
		break;
	case DNS_SOA:
		put_soa(m, data);
		break;
	case DNS_A:
	case DNS_AAAA:
		put_address(m, type == DNS_A ? AF_INET : AF_INET6, data);
		break;
	case DNS_RRSIG:
		put_rrsig(m, data);
		break;
	default:
		put_name(m, data);
	}
}

void paper_rr(struct paper_msg *m, enum dns_section section, const char *owner, uint16_t type, uint32_t ttl, const char *data)
{
	size_t at, len;
	uint8_t *count = m->b + 4 + 2 * section;

	put_name(m, owner);
	put16(m, type);
	put16(m, 1);
	put32(m, ttl);
	at = m->len;
	put16(m, 0);
	put_data(m, type, data);
	len = m->len - at - 2;
	m->b[at] = (uint8_t)(len >> 8);
	m->b[at + 1] = (uint8_t)len;
	if (++count[1] == 0)
		count[0]++;
}

struct dns_answer paper_answer(const struct paper_msg *m)
{
	struct dns_answer a = { .how = DNS_ANSWERED, .msg = m->b, .len = m->len, .case_kept = true, .rtt_us = 1000, .sent = 1 };

	assert_true(dns_read_head(m->b, m->len, &a.head));
	return a;
}

/* --- zones ---------------------------------------------------------------------------------------------------------------------- */

struct looking { /* for a name, on a machine, now */
	const struct paper *p;
	const char *ip;
	int64_t now;
};

static bool is_now(const struct looking *l, const struct paper_rr *rr)
{
	return rr->from <= l->now && (rr->to == 0 || l->now < rr->to) && (!rr->server || strcmp(rr->server, l->ip) == 0);
}

/* The deepest of the machine's zones that the name is in; NULL: none. */
static const char *zone_of(const struct looking *l, const char *zones, const char *name)
{
	const char *best = NULL;

	for (const struct paper_rr *rr = l->p->rr; rr->zone; rr++) {
		const char *at = strcmp(zones, "*") == 0 ? zones : strstr(zones, rr->zone);
		size_t len = strlen(rr->zone);

		while (at && *zones != '*' && ((at > zones && at[-1] != ' ') || (at[len] && at[len] != ' ')))
			at = strstr(at + 1, rr->zone);
		if (at && dns_name_is_in(name, rr->zone) && (!best || strlen(rr->zone) > strlen(best)))
			best = rr->zone;
	}
	return best;
}

static bool exists(const struct looking *l, const char *zone, const char *name)
{
	for (const struct paper_rr *rr = l->p->rr; rr->zone; rr++)
		if (strcmp(rr->zone, zone) == 0 && is_now(l, rr) && dns_name_is_in(rr->owner, name))
			return true;
	return false;
}

/* Where the records of the name are: itself, or the wildcard of the closest name that exists (RFC 4592); NULL: nowhere. */
static const char *source_of(const struct looking *l, const char *zone, const char *name, char room[160])
{
	const char *closest = name;

	if (exists(l, zone, name))
		return name;
	do
		closest = dns_name_parent(closest);
	while (!exists(l, zone, closest) && strcmp(closest, zone) != 0);
	snprintf(room, 160, "*.%s", closest);
	return exists(l, zone, room) ? room : NULL;
}

static unsigned add_all(const struct looking *l, struct paper_msg *m, enum dns_section section, const struct paper_rr *like, const char *as)
{
	unsigned n = 0;

	for (const struct paper_rr *rr = l->p->rr; rr->zone; rr++)
		if (strcmp(rr->zone, like->zone) == 0 && strcmp(rr->owner, like->owner) == 0 && rr->type == like->type && is_now(l, rr)) {
			paper_rr(m, section, as, rr->type, 300, rr->data);
			n++;
		}
	return n;
}

static void add_soa(const struct looking *l, struct paper_msg *m, enum dns_section section, const char *zone)
{
	const char *data = "1 300";
	char text[32];
	unsigned long serial = 0, minimum = 0;
	unsigned ttl = 600;

	for (const struct paper_rr *rr = l->p->rr; rr->zone; rr++)
		if (strcmp(rr->zone, zone) == 0 && rr->type == DNS_SOA && is_now(l, rr))
			data = rr->data;
	assert_in_range(sscanf(data, "%lu %lu %u", &serial, &minimum, &ttl), 2, 3);
	for (const struct paper_rr *rr = l->p->rr; rr->zone && l->p->bumps; rr++)
		serial += strcmp(rr->zone, zone) == 0 && rr->from > 0 && is_now(l, rr);
	snprintf(text, sizeof(text), "%lu %lu", serial, minimum);
	paper_rr(m, section, zone, DNS_SOA, ttl, text);
}

/* A delegation between the zone and the name; NULL: none. */
static const char *cut_of(const struct looking *l, const char *zone, const char *name)
{
	for (const struct paper_rr *rr = l->p->rr; rr->zone; rr++)
		if (strcmp(rr->zone, zone) == 0 && rr->type == DNS_NS && strcmp(rr->owner, zone) != 0 && is_now(l, rr) && dns_name_is_in(name, rr->owner))
			return rr->owner;
	return NULL;
}

static void refer(const struct looking *l, struct paper_msg *m, const char *zone, const char *cut)
{
	struct paper_rr ns = { .zone = zone, .owner = cut, .type = DNS_NS };

	m->b[2] &= (uint8_t)~4; /* AA */
	add_all(l, m, DNS_AUTHORITY, &ns, cut);
	for (const struct paper_rr *rr = l->p->rr; rr->zone; rr++)
		if (strcmp(rr->zone, zone) == 0 && (rr->type == DNS_A || rr->type == DNS_AAAA) && dns_name_is_in(rr->owner, cut) && is_now(l, rr))
			paper_rr(m, DNS_ADDITIONAL, rr->owner, rr->type, 300, rr->data);
}

static const char *alias_of(const struct looking *l, const struct paper_rr *like)
{
	for (const struct paper_rr *rr = l->p->rr; rr->zone; rr++)
		if (strcmp(rr->zone, like->zone) == 0 && strcmp(rr->owner, like->owner) == 0 && rr->type == DNS_CNAME && is_now(l, rr))
			return rr->data;
	return NULL;
}

static void reply(const struct looking *l, const char *zones, const struct dns_ask *q, const char *name, struct paper_msg *m)
{
	const char *zone = zone_of(l, zones, name), *cut, *source;
	struct paper_rr like = { .zone = zone, .type = q->type };
	char room[160];

	if (!zone) {
		m->b[3] = 5;
		return;
	}
	cut = *zones == '*' ? NULL : cut_of(l, zone, name);
	if (cut) {
		refer(l, m, zone, cut);
		return;
	}
	like.owner = source = source_of(l, zone, name, room);
	if (!source)
		m->b[3] |= 3;
	if (source && q->type == DNS_SOA && strcmp(name, zone) == 0) {
		add_soa(l, m, DNS_ANSWER, zone);
		return;
	}
	if (source && add_all(l, m, DNS_ANSWER, &like, name) > 0)
		return;
	like.type = DNS_CNAME;
	if (!source || add_all(l, m, DNS_ANSWER, &like, name) == 0)
		add_soa(l, m, DNS_AUTHORITY, zone);
	else if (*zones == '*' && m->b[7] < 10) /* recursive servers follow to the end */
		reply(l, zones, q, alias_of(l, &like), m);
}

/* --- asking --------------------------------------------------------------------------------------------------------------------- */

struct dns_query {
	struct paper *p;
	struct paper_server *server;
	struct dns_ask ask;
	char name[256];
	struct timer timer;
	dns_answered *done;
	void *arg;
};

static enum paper_way way_of(const struct dns_query *q)
{
	const struct paper_server *s = q->server;

	if (!s)
		return PAPER_SILENT;
	if ((s->only && s->only != q->ask.type) || (s->at && strcmp(s->at, q->name) != 0))
		return PAPER_GOOD;
	return s->until && paper_now(q->p) >= s->until ? PAPER_GOOD : s->way;
}

static struct dns_answer failed(enum dns_how how, const char *text)
{
	return (struct dns_answer){ .how = how, .text = text, .sent = how == DNS_NO_ROUTE ? 0 : 3 };
}

static void refer_deeper(struct paper_server *s, const struct dns_query *q, struct paper_msg *m)
{
	const char *cut = q->name;

	s->deeper++;
	while (dns_name_labels(cut) > 2 + s->deeper)
		cut = dns_name_parent(cut);
	paper_head(m, q->name, q->ask.type, 0, false);
	paper_rr(m, DNS_AUTHORITY, cut, DNS_NS, 300, "ns2.example.net");
}

static void put_reason(struct paper_msg *m, const char *text)
{
	size_t len = strlen(text);

	put(m, "\0\0\51\4\320\0\0\0\0", 9); /* OPT */
	put16(m, (unsigned)len + 6);
	put16(m, 15);
	put16(m, (unsigned)len + 2);
	put16(m, 7);
	put(m, text, len);
	m->b[11]++;
}

static struct dns_answer answer(struct dns_query *q, struct paper_msg *m)
{
	const char *ip = q->server ? q->server->ip : "";
	struct dns_answer a;
	enum paper_way way = way_of(q);
	bool rd = q->ask.bits & DNS_RD;

	if (q->server && q->server->twin && q->server->sockets % 2 == 0)
		ip = q->server->twin;
	paper_head(m, q->name, q->ask.type, 0, !rd);
	reply(&(struct looking){ .p = q->p, .ip = ip, .now = paper_now(q->p) }, q->server ? q->server->zones : "", &q->ask, q->name, m);
	if (way == PAPER_SILENT || (way == PAPER_NOTCP && q->ask.tcp))
		return failed(DNS_SILENT, "no answer over UDP and TCP");
	if (way == PAPER_NOROUTE)
		return failed(DNS_NO_ROUTE, "no route from here");
	if (way == PAPER_BROKEN)
		return failed(DNS_BROKEN, "the answer is for another question");
	if (way == PAPER_REFUSED || way == PAPER_SERVFAIL || way == PAPER_NOTIMP || (way == PAPER_BOGUS && !(q->ask.bits & DNS_CD)))
		paper_head(m, q->name, q->ask.type, way == PAPER_REFUSED ? 5 : way == PAPER_NOTIMP ? 4 : 2, false);
	if (q->server && q->server->secure && q->ask.bits & DNS_AD && (m->b[3] & 15) % 3 == 0 && dns_name_is_in(q->name, q->server->secure) &&
	    !(q->server->insecure && dns_name_is_in(q->name, q->server->insecure)))
		m->b[3] |= 0x20;
	if (q->server && q->server->reason && (m->b[3] & 15) == 2)
		put_reason(m, q->server->reason);
	if (way == PAPER_UPWARD) {
		paper_head(m, q->name, q->ask.type, 0, false);
		paper_rr(m, DNS_AUTHORITY, "", DNS_NS, 300, "a.root-servers.net");
	}
	if (way == PAPER_DEEPER)
		refer_deeper(q->server, q, m);
	if (way == PAPER_NOAA)
		m->b[2] &= (uint8_t)~4;
	if (way == PAPER_CUT)
		m->b[2] |= 2;
	a = paper_answer(m);
	a.over_tcp = q->ask.tcp || way == PAPER_NOUDP;
	a.rtt_us = q->p->rtt * 1000;
	a.case_kept = !(q->server->lowers_case && q->ask.bits & DNS_MIXED_CASE);
	if (way == PAPER_GARBLED)
		a.len -= 5;
	return a;
}

static void answer_now(void *arg)
{
	struct dns_query *q = arg;
	static struct paper_msg m;
	struct dns_answer a = answer(q, &m);

	q->p->pending--;
	q->done(q->arg, &a);
	free(q);
}

static bool is_poison(const char *name)
{
	return *name == '_' || strstr(name, "._");
}

static void note_question(struct paper *p, const struct paper_server *s, const struct dns_query *q)
{
	struct paper_asked *a = &p->asked[p->nasked++];

	assert_true(p->nasked < PAPER_ASKED);
	*a = (struct paper_asked){ .type = q->ask.type, .bits = q->ask.bits, .tcp = q->ask.tcp, .fresh = q->ask.fresh, .at = paper_now(p) };
	snprintf(a->name, sizeof(a->name), "%.127s", q->name);
	if (s)
		snprintf(a->ip, sizeof(a->ip), "%.47s", s->ip);
	if ((q->ask.bits & DNS_RD || (s && strcmp(s->zones, "*") == 0)) && is_poison(q->name) && !p->published && !*p->poisoned)
		snprintf(p->poisoned, sizeof(p->poisoned), "%.100s asked of %.47s", a->name, a->ip);
}

static struct dns_query *ask(struct asker *asker, const struct dns_ask *ask, dns_answered *done, void *arg)
{
	struct paper *p = (struct paper *)asker;
	struct dns_query *q = mem_alloc(sizeof(*q));
	char ip[ADDR_TEXT];
	enum paper_way way;

	q->p = p;
	q->ask = *ask;
	q->done = done;
	q->arg = arg;
	snprintf(q->name, sizeof(q->name), "%s", ask->name);
	q->server = paper_server(p, addr_format_ip(&ask->to, ip));
	if (q->server)
		q->server->sockets += ask->fresh;
	p->pending++;
	note_question(p, q->server, q);
	way = way_of(q);
	timer_arm(&q->timer, way == PAPER_SILENT ? DNS_ASK_MS : way == PAPER_NOROUTE ? 0 : p->rtt, answer_now, q);
	return q;
}

static void cancel(struct dns_query *q)
{
	if (!q)
		return;
	timer_disarm(&q->timer);
	q->p->pending--;
	free(q);
}

static const struct asker_ops ops = { ask, cancel };

void paper_begin(struct paper *p, const struct paper_rr *rr, const struct paper_server *servers)
{
	memset(p, 0, sizeof(*p));
	p->asker.ops = &ops;
	p->rr = rr;
	p->rtt = 5;
	p->began = clock_mono_ms();
	p->asked = mem_array(PAPER_ASKED, sizeof(*p->asked));
	for (size_t i = 0; servers[i].ip; i++)
		p->server[i] = servers[i];
}

void paper_end(struct paper *p)
{
	assert_int_equal(p->pending, 0);
	assert_string_equal(p->poisoned, "");
	free(p->asked);
}

int64_t paper_now(const struct paper *p)
{
	return clock_mono_ms() - p->began;
}

struct paper_server *paper_server(struct paper *p, const char *ip)
{
	for (struct paper_server *s = p->server; s->ip; s++)
		if (strcmp(s->ip, ip) == 0)
			return s;
	return NULL;
}

size_t paper_count(const struct paper *p, const char *ip, const char *name, uint16_t type)
{
	size_t n = 0;

	for (size_t i = 0; i < p->nasked; i++)
		n += (!ip || strcmp(p->asked[i].ip, ip) == 0) && (!name || strcmp(p->asked[i].name, name) == 0) && (!type || p->asked[i].type == type);
	return n;
}

/* --- addresses ------------------------------------------------------------------------------------------------------------------ */

struct dns_lookup {
	struct paper *p;
	char name[256];
	uint16_t port;
	struct timer timer;
	dns_done *done;
	void *arg;
};

static void found(void *arg)
{
	struct dns_lookup *l = arg;
	const struct looking now = { .p = l->p, .ip = "", .now = paper_now(l->p) };
	const char *zone = zone_of(&now, "*", l->name);
	struct addr addrs[DNS_ADDRS_MAX];
	struct err err;
	size_t n = 0;

	for (const struct paper_rr *rr = l->p->rr; zone && rr->zone; rr++)
		if (strcmp(rr->zone, zone) == 0 && strcmp(rr->owner, l->name) == 0 && (rr->type == DNS_A || rr->type == DNS_AAAA))
			assert_true(addr_parse_ip(rr->data, l->port, &addrs[n++]));
	l->p->pending--;
	err_set(&err, ERR_TEMP, "dns", "looking up %s: the name does not exist (NXDOMAIN)", l->name);
	l->done(l->arg, n ? addrs : NULL, n, n ? NULL : &err);
	free(l);
}

struct dns_lookup *paper_addresses(struct dns *paper, const char *name, uint16_t port, dns_done *done, void *arg)
{
	struct dns_lookup *l = mem_alloc(sizeof(*l));

	l->p = (struct paper *)paper;
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->port = port;
	l->done = done;
	l->arg = arg;
	l->p->pending++;
	if (is_poison(name) && !*l->p->poisoned)
		snprintf(l->p->poisoned, sizeof(l->p->poisoned), "address of %.100s", name);
	timer_arm(&l->timer, 1, found, l);
	return l;
}

void paper_addresses_cancel(struct dns_lookup *l)
{
	if (!l)
		return;
	timer_disarm(&l->timer);
	l->p->pending--;
	free(l);
}
