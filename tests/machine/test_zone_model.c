/* SPDX-License-Identifier: ISC */
/* Where a record belongs, against a model: trees of zones made by chance, with delegations of the challenge name, chains of CNAMEs, wildcards, dead and lame
 * servers. What is found is what the tree says; no recursive server ever hears the name of the record.
 *
 *     MODEL_RUNS=n, MODEL_SEED=s   as in test_visible_model.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/loop.h"
#include "prove/zone.h"
#include "simtime.h"
#include "simtree.h"

enum { WALL = 1800000000, PATIENCE_MS = 300000 };

struct expected {
	enum { FOUND, FAILS, OPEN } end;       /* OPEN: either, but it ends */
	char owner[TREE_NAME];
	int zone;
	bool wildcard_cname;
	size_t links;
};
static struct tree tree;
static struct result {
	unsigned calls;
	struct zone *zone;
	struct err err;
	bool late;
} got;
static char base[TREE_NAME / 2], challenge[TREE_NAME];
static char cry[900];

/* --- a tree by chance ----------------------------------------------------------------------------------------------------------------- */

static size_t add_server(struct tree *t, unsigned bad)
{
	struct tree_server *v = &t->server[t->nservers];
	char text[64];

	snprintf(text, sizeof text, tree_chance(t, 30) ? "2001:db8:1::%zu" : "198.51.100.%zu", 100 + t->nservers);
	if (!addr_parse_ip(text, 53, &v->addr))
		abort();
	v->mode = tree_chance(t, bad) ? (enum tree_mode)(1 + tree_random(t, TREE_MODES - 1)) : TREE_GOOD;
	v->follows = tree_chance(t, 50);
	v->glue = tree_chance(t, 70);
	return t->nservers++;
}

static int add_zone(struct tree *t, const char *apex, unsigned bad)
{
	struct tree_zone *z = &t->zone[t->nzones];
	int parent = tree_zone_of(t, apex, UINT32_MAX);

	if (t->nzones == TREE_ZONES)
		return -1;
	snprintf(z->apex, sizeof z->apex, "%s", apex);
	if (parent > 0 && tree_chance(t, 25)) { /* the parent's servers have it as well */
		memcpy(z->host, t->zone[parent].host, sizeof z->host);
		z->nhosts = t->zone[parent].nhosts;
	} else {
		z->nhosts = 1 + tree_random(t, TREE_HOSTS);
		for (size_t h = 0; h < z->nhosts; h++) {
			snprintf(z->host[h].name, sizeof z->host[h].name, "ns%zu-%zu.%s", t->nzones, h, tree_chance(t, 50) ? apex : "test");
			z->host[h].naddrs = 1 + tree_random(t, TREE_ADDRS);
			for (size_t k = 0; k < z->host[h].naddrs; k++)
				z->host[h].server[k] = add_server(t, bad);
		}
	}
	for (size_t h = 0; h < z->nhosts; h++)
		for (size_t k = 0; k < z->host[h].naddrs; k++)
			t->server[z->host[h].server[k]].zones |= 1U << t->nzones;
	return (int)t->nzones++;
}

static void add_node(struct tree *t, const char *name, uint16_t type, const char *target)
{
	struct tree_node *n = &t->node[t->nnodes];

	if (t->nnodes == TREE_NODES)
		return;
	snprintf(n->name, sizeof n->name, "%s", name);
	snprintf(n->target, sizeof n->target, "%s", target);
	n->type = type;
	t->nnodes++;
}

static void add_zones(struct tree *t, unsigned bad)
{
	size_t n = 2 + tree_random(t, 6);
	char apex[TREE_NAME];

	add_zone(t, "test", 0);
	while (t->nzones < n) {
		const char *parent = t->zone[tree_random(t, t->nzones)].apex;

		if (strlen(parent) > 80)
			parent = "test";
		snprintf(apex, sizeof apex, tree_chance(t, 25) ? "z%zu.deep.%s" : "z%zu.%s", t->nzones, parent);
		add_zone(t, apex, bad);
	}
}

static void choose_base(struct tree *t)
{
	static const char *const hosts[] = { "", "", "www.", "www.a.", "a.b.c." };
	const char *apex = t->zone[1 + tree_random(t, t->nzones - 1)].apex;

	snprintf(base, sizeof base, "%s%s", hosts[tree_random(t, 5)], apex);
	snprintf(challenge, sizeof challenge, "_acme-challenge.%s", base);
	if (strcmp(base, apex) != 0 && tree_chance(t, 15))
		add_node(t, base, DNS_CNAME, "cdn.elsewhere.test");
	else if (tree_chance(t, 60))
		add_node(t, base, DNS_A, "");
}

static void add_chain(struct tree *t)
{
	size_t links = 1 + tree_random(t, tree_chance(t, 10) ? 12 : 3);
	char name[TREE_NAME], next[TREE_NAME];

	snprintf(name, sizeof name, "%s", challenge);
	for (size_t i = 0; i < links; i++) {
		const char *apex = t->zone[tree_random(t, t->nzones)].apex;

		snprintf(next, sizeof next, tree_chance(t, 30) ? "_acme-challenge.c%zu.%s" : tree_chance(t, 50) ? "c%zu.acme.%s" : "c%zu.%s", i, apex);
		if (i > 0 && tree_chance(t, 5))
			snprintf(next, sizeof next, "%s", challenge); /* a loop */
		add_node(t, name, DNS_CNAME, next);
		if (strcmp(next, challenge) == 0)
			return;
		snprintf(name, sizeof name, "%s", next);
	}
	if (tree_chance(t, 40))
		add_node(t, name, DNS_TXT, "left behind");
}

static void add_wildcard(struct tree *t)
{
	char name[TREE_NAME + 4];
	bool at_base = tree_chance(t, 60);

	snprintf(name, sizeof name, "*.%s", at_base ? base : t->zone[tree_zone_of(t, base, UINT32_MAX)].apex);
	add_node(t, name, tree_chance(t, 70) ? DNS_CNAME : DNS_TXT, "balancer.elsewhere.test");
}

static void make(uint64_t seed)
{
	struct tree *t = &tree;
	unsigned bad;

	memset(t, 0, sizeof *t);
	tree_begin(t, seed);
	bad = (unsigned[]){ 0, 0, 20, 50 }[tree_random(t, 4)];
	t->nrecursive = TREE_RECURSIVE;
	t->recursive_mode[0] = tree_chance(t, 15) ? (enum tree_mode)(1 + tree_random(t, 3)) : TREE_GOOD;
	for (size_t i = 0; i < TREE_RECURSIVE; i++)
		if (!addr_parse_ip(i ? "192.0.2.2" : "192.0.2.1", 53, &t->recursive[i]))
			abort();
	add_zones(t, bad);
	choose_base(t);
	if (tree_chance(t, 20))
		add_zone(t, challenge, bad);
	else if (tree_chance(t, 45))
		add_chain(t);
	if (tree_chance(t, 20))
		add_wildcard(t);
	if (tree_chance(t, 15) && !tree.nnodes)
		add_node(t, challenge, DNS_TXT, "left behind");
}

/* --- what the tree says --------------------------------------------------------------------------------------------------------------- */

static bool answers(const struct tree *t, int zone)
{
	const struct tree_zone *z = &t->zone[zone];

	for (size_t h = 0; h < z->nhosts; h++)
		for (size_t k = 0; k < z->host[h].naddrs; k++)
			if (t->server[z->host[h].server[k]].mode == TREE_GOOD)
				return true;
	return false;
}

/* Nobody finds what is below a zone whose servers are all silent or lame. */
static bool is_reachable(const struct tree *t, const char *name)
{
	bool all = true;

	for (size_t z = 0; z < t->nzones; z++)
		all &= !tree_is_in(name, t->zone[z].apex) || answers(t, (int)z);
	return all;
}

static void expect(struct tree *t, struct expected *e)
{
	*e = (struct expected){ .end = FOUND };
	snprintf(e->owner, sizeof e->owner, "%s", challenge);
	for (;;) {
		bool synthesized;
		const struct tree_node *n;

		snprintf(t->forbidden[t->nforbidden++], TREE_NAME, "%s", e->owner);
		e->zone = tree_zone_of(t, e->owner, UINT32_MAX);
		if (!is_reachable(t, e->owner))
			e->end = OPEN;
		n = tree_look(t, e->zone, e->owner, DNS_TXT, &synthesized);
		if (!n || n->type != DNS_CNAME)
			return;
		if (synthesized) {
			e->wildcard_cname = e->links == 0;
			e->end = e->links ? OPEN : e->end;
			return;
		}
		if (++e->links > ZONE_HOPS_MAX || strcmp(n->target, challenge) == 0) {
			e->end = e->end == OPEN ? OPEN : FAILS;
			return;
		}
		snprintf(e->owner, sizeof e->owner, "%s", n->target);
	}
}

/* --- judged --------------------------------------------------------------------------------------------------------------------------- */

static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *fmt, ...)
{
	va_list ap;

	if (cry[0])
		return;
	va_start(ap, fmt);
	vsnprintf(cry, sizeof cry, fmt, ap);
	va_end(ap);
}

static bool has_server(const struct zone *z, const char *name, const struct addr *addr)
{
	for (size_t i = 0; i < z->nservers; i++)
		if (strcmp(z->servers[i].name, name) == 0 && addr_same_ip(&z->servers[i].addr, addr) && addr_port(&z->servers[i].addr) == 53)
			return true;
	return false;
}

static void judge_servers(const struct zone *z, const struct tree_zone *truth)
{
	size_t n = 0;
	char text[ADDR_TEXT];

	for (size_t h = 0; h < truth->nhosts; h++)
		for (size_t k = 0; k < truth->host[h].naddrs; k++, n++)
			if (!has_server(z, truth->host[h].name, &tree.server[truth->host[h].server[k]].addr))
				complain("%s %s is missing", truth->host[h].name, addr_format_ip(&tree.server[truth->host[h].server[k]].addr, text));
	if (z->nservers != n)
		complain("%zu servers, not %zu", z->nservers, n);
}

static void judge_found(const struct zone *z, const struct expected *e)
{
	bool synthesized;
	const struct tree_node *txt = tree_look(&tree, e->zone, e->owner, DNS_TXT, &synthesized);

	if (strcmp(z->owner, e->owner) != 0)
		complain("owner is %s, not %s", z->owner, e->owner);
	if (strcmp(z->apex, tree.zone[e->zone].apex) != 0)
		complain("apex is %s, not %s", z->apex, tree.zone[e->zone].apex);
	if (strcmp(z->base, base) != 0 || strcmp(z->challenge, challenge) != 0)
		complain("base is %s, challenge is %s", z->base, z->challenge);
	if (z->wildcard_cname != e->wildcard_cname)
		complain("wildcard_cname is %d", z->wildcard_cname);
	if (e->links == 0 && z->nchain)
		complain("a chain of %zu, where there is none", z->nchain);
	judge_servers(z, &tree.zone[e->zone]);
	if (z->negative_ttl != 300 || z->serial != 1000 + (uint32_t)e->zone)
		complain("negative_ttl %u serial %u", z->negative_ttl, z->serial);
	if (txt && txt->type == DNS_TXT && (z->nvalues != 1 || strcmp(z->values[0], txt->target) != 0))
		complain("%zu values", z->nvalues);
	if ((!txt || txt->type != DNS_TXT) && z->nvalues)
		complain("%zu values, where there are none", z->nvalues);
}

static void judge(const struct expected *e)
{
	if (got.calls == 0)
		complain("it did not end");
	if (got.calls != 1)
		complain("done was called %u times", got.calls);
	if (tree.bad[0])
		complain("%s", tree.bad);
	if (e->end == FOUND && !got.zone)
		complain("not found: %s", got.err.detail);
	if (e->end == FAILS && got.zone)
		complain("found %s in %s, though there is no end to it", got.zone->owner, got.zone->apex);
	if (!got.zone && got.calls && (strcmp(got.err.type, "dns") != 0 || !got.err.detail[0]))
		complain("an error of type \"%s\": \"%s\"", got.err.type, got.err.detail);
	if (got.zone && e->end == FOUND)
		judge_found(got.zone, e);
}

static void on_found(void *arg, struct zone *zone, const struct err *err)
{
	(void)arg;
	got.calls++;
	got.zone = zone;
	if (err)
		got.err = *err;
}

static void on_patience(void *arg)
{
	(void)arg;
	got.late = true;
}

static void print_tree(uint64_t seed, const struct expected *e)
{
	static const char *const modes[TREE_MODES] = { "good", "dead", "refuses", "fails", "lame" };
	char text[ADDR_TEXT];

	fprintf(stderr, "MODEL_SEED=%llu: %s\n  base %s, %u questions\n  expected: %s %s in %s\n  got: %s in %s %s\n", (unsigned long long)seed, cry, base,
	        tree.asked, e->end == FOUND ? "found" : e->end == FAILS ? "fails" : "open", e->owner, tree.zone[e->zone].apex,
	        got.zone ? got.zone->owner : "-", got.zone ? got.zone->apex : "-", got.err.detail);
	for (size_t z = 0; z < tree.nzones; z++) {
		fprintf(stderr, "  zone %s:", tree.zone[z].apex);
		for (size_t h = 0; h < tree.zone[z].nhosts; h++)
			for (size_t k = 0; k < tree.zone[z].host[h].naddrs; k++) {
				const struct tree_server *v = &tree.server[tree.zone[z].host[h].server[k]];

				fprintf(stderr, " %s %s %s%s", tree.zone[z].host[h].name, addr_format_ip(&v->addr, text), modes[v->mode],
				        v->follows ? " follows" : "");
			}
		fprintf(stderr, "\n");
	}
	for (size_t i = 0; i < tree.nnodes; i++)
		fprintf(stderr, "  %s %s %s\n", tree.node[i].name, dns_type_name(tree.node[i].type), tree.node[i].target);
}

static void run(uint64_t seed, enum tree_bug bug, bool print)
{
	struct zone_world world = { .asker = &tree.asker, .dns = (struct dns *)(void *)&tree, .addresses = tree_addresses,
		                    .addresses_cancel = tree_addresses_cancel, .recursive = tree.recursive, .nrecursive = TREE_RECURSIVE, .port = 53 };
	struct zone_find *f;
	struct timer patience = { 0 };
	struct expected e;

	memset(&got, 0, sizeof got);
	cry[0] = 0;
	make(seed);
	expect(&tree, &e);
	tree.bug = bug;
	timer_arm(&patience, seed % 40 == 3 ? (int64_t)tree_random(&tree, 300) : PATIENCE_MS, on_patience, NULL);
	f = zone_find_start(&world, base, on_found, NULL);
	if (got.calls)
		complain("done was called from within zone_find_start");
	while (got.calls == 0 && !got.late)
		loop_turn(true);
	if (got.calls == 0)
		zone_find_cancel(f);
	timer_disarm(&patience);
	loop_turn(false);
	if (tree.under_way)
		complain("%u questions under way at the end", tree.under_way);
	if (got.calls || seed % 40 != 3) /* else it was called off */
		judge(&e);
	if ((cry[0] && bug == TREE_SOUND) || print)
		print_tree(seed, &e);
	zone_free(got.zone);
}

static void every_tree_is_read_right(void **state)
{
	const char *seed = getenv("MODEL_SEED"), *n = getenv("MODEL_RUNS");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 1, runs = n ? strtoull(n, NULL, 10) : seed ? 1 : 10000;
	unsigned wrong = 0, found = 0, asked = 0;

	(void)state;
	for (uint64_t s = first; s < first + runs && wrong < 10; s++) {
		run(s, TREE_SOUND, runs == 1);
		wrong += cry[0] != 0;
		found += got.zone != NULL;
		asked += tree.asked;
	}
	fprintf(stderr, "%llu trees, %u found, %u questions\n", (unsigned long long)runs, found, asked);
	assert_int_equal(wrong, 0);
	assert_true(runs < 1000 || found > runs / 2);
}

/* What a careless client would take from the answers; each must be found out. */
static void planted_bugs_are_found(void **state)
{
	static const char *const names[TREE_BUGS] = { "sound", "wildcards followed", "one address a name", "IPv4 only", "delegations overlooked",
		                                      "CNAMEs overlooked", "first name server only", "recursive asked" };
	unsigned missed = 0;

	(void)state;
	for (unsigned bug = TREE_SOUND + 1; bug < TREE_BUGS; bug++) {
		uint64_t seed = 0;

		do
			run(++seed, (enum tree_bug)bug, false);
		while (!cry[0] && seed < 2000);
		fprintf(stderr, "%-24s tree %4u: %s\n", names[bug], (unsigned)seed, cry[0] ? cry : "NOT FOUND");
		missed += !cry[0];
	}
	assert_int_equal(missed, 0);
}

static int setup(void **state)
{
	(void)state;
	simtime_start(WALL);
	return !loop_open(NULL);
}

static int teardown(void **state)
{
	(void)state;
	loop_close();
	simtime_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_tree_is_read_right),
		cmocka_unit_test(planted_bugs_are_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
