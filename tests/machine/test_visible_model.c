/* SPDX-License-Identifier: ISC */
/* The propagation proof against a model: worlds made by chance (name servers that lag, flip, lose what they had, keep silent, refuse, fail, lie), on a
 * frozen clock. A false "visible" is the worst bug there is; "never visible" for what everyone can see is the second worst. The model shares no code with what it
 * judges, and must itself catch the bugs planted below.
 *
 *     MODEL_RUNS=n   so many worlds, 10000 when not set
 *     MODEL_SEED=s   from this one on; alone: only this one, and it is printed whatever comes out
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "simtime.h"
#include "visible_world.h"

enum { WALL = 1800000000, BUG_RUNS = 3000 };

static struct world world; /* large */

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/* --- ten thousand worlds -------------------------------------------------------------------------------------------------------------- */

static void run(uint64_t seed)
{
	world_make(&world, seed);
	world_run(&world);
	world_judge(&world);
	world_free(&world);
}

static void no_world_is_misjudged(void **state)
{
	uint64_t first = number_from("MODEL_SEED", 1), runs = number_from("MODEL_RUNS", getenv("MODEL_SEED") ? 1 : 10000);
	unsigned wrong = 0, said = 0, names = 0, unlucky = 0, fell = 0, asked = 0;
	double luck = 0;

	(void)state;
	for (uint64_t seed = first; seed < first + runs; seed++) {
		run(seed);
		for (size_t i = 0; i < world.net.nnames; i++)
			said += world.waiting[i].said;
		names += (unsigned)world.net.nnames;
		asked += world.net.asked;
		luck += world.luck;
		unlucky += world.unlucky;
		fell += world.unlucky_fell;
		if (world.cry[0] || runs == 1)
			world_print(&world);
		wrong += world.cry[0] != 0;
		if (wrong > 10)
			break;
	}
	fprintf(stderr, "%llu worlds, %u names, %u questions, %u visible; %u visible by luck (%u at addresses that had contradicted themselves), %.1f are allowed\n",
	        (unsigned long long)runs, names, asked, said, unlucky, fell, luck);
	assert_int_equal(wrong, 0);
	if (runs < 1000)
		return;
	assert_in_range(said, names / 4, names * 9 / 10); /* both ends are reached */
	assert_true(unlucky <= luck + 4 * sqrt(luck));
	assert_true(fell <= luck / 10); /* what contradicted itself is looked at harder */
}

/* --- planted bugs --------------------------------------------------------------------------------------------------------------------- */

/* The number of the first world in which it was found out; 0: in none. */
static unsigned hunt(size_t bug)
{
	for (unsigned n = 1; n <= BUG_RUNS; n++) {
		world_make(&world, n);
		world_plant(&world, bug);
		world_run(&world);
		world_judge(&world);
		world_free(&world);
		if (world.cry[0])
			return n;
	}
	return 0;
}

static void planted_bugs_are_found(void **state)
{
	unsigned missed = 0;

	(void)state;
	for (size_t i = 0; i < world_nbugs; i++) {
		unsigned n = hunt(i);

		fprintf(stderr, "%-20s world %4u: %s\n", world_bugs[i].name, n, n ? world.cry : "NOT FOUND");
		missed += n == 0;
	}
	assert_int_equal(missed, 0);
}

/* --- figures -------------------------------------------------------------------------------------------------------------------------- */

static void run_by_hand(void)
{
	world_run(&world);
	world_judge(&world);
	if (world.cry[0] || !world.waiting[0].ended)
		world_print(&world);
	assert_string_equal(world.cry, "");
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A primary that has it at once, a secondary that lags up to 20 s: known 30 ms or a quarter of the wait later, as a median. */
static void known_within_a_quarter_of_the_wait(void **state)
{
	enum { RUNS = 50 };
	double share[RUNS];

	(void)state;
	for (unsigned n = 0; n < RUNS; n++) {
		int64_t lag = 20000 * n / (RUNS - 1), late, allowed = lag / 4 > 30 ? lag / 4 : 30;

		world_plain(&world, 2, 1);
		world.timeout = 300000;
		world.net.addr[1].machine[0].appears[0][0] = lag;
		run_by_hand();
		assert_true(world.waiting[0].said);
		late = world.waiting[0].at - world_holds_from(&world, 0);
		share[n] = (double)late / (double)allowed;
		world_free(&world);
	}
	qsort(share, RUNS, sizeof *share, by_size);
	fprintf(stderr, "known after %.2f of the time allowed (median), %.2f at most\n", share[RUNS / 2], share[RUNS - 1]);
	assert_true(share[RUNS / 2] <= 1);
}

static void ten_minutes_cost_a_hundred_questions(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 10; n++) {
		world_plain(&world, 3, 1);
		world.timeout = 600000;
		world.net.addr[2].machine[0].appears[0][0] = SIM_NEVER;
		run_by_hand();
		assert_false(world.waiting[0].said);
		assert_in_range(world.waiting[0].trace[2].asks, 50, 100);
		assert_in_range(world.waiting[0].trace[0].asks, 1, 3);
		world_free(&world);
	}
}

static void nothing_costs_more_than_it_must(void **state)
{
	(void)state;
	world_plain(&world, 4, 1);
	run_by_hand();
	assert_true(world.waiting[0].said);
	for (unsigned k = 0; k < 4; k++)
		assert_in_range(world.waiting[0].trace[k].asks, 2, 3);
	assert_in_range(world.waiting[0].at, 2, 100);
	world_free(&world);
}

/* The world's own truth: nobody answers at an address that was closed while the packet was on its way. */
static void nobody_answers_where_it_closed_meanwhile(void **state)
{
	static const enum sim_mode gone[] = { SIM_DEAD, SIM_CLOSED };

	(void)state;
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
		world_plain(&world, 2, 1);
		world.quorum.kind = QUORUM_STRICT;
		world.timeout = 2600;
		world.net.addr[1].rtt = 1000;
		world.net.addr[1].mode[0] = SIM_FORMERR;
		world.net.addr[1].mode[1] = gone[i];
		world.net.addr[1].turns = 400; /* half way there */
		run_by_hand();
		assert_false(world.waiting[0].said);
		world_free(&world);
	}
}

/* --- a thousand names of one zone ----------------------------------------------------------------------------------------------------- */

enum { CROWD = 1000 };
static struct crowd {
	struct visible *visible[CROWD];
	unsigned txt[CROWD][SIM_ADDRS], at[SIM_ADDRS], other, left, failed;
	struct zone *zone[CROWD];
} crowd;

static void crowd_heard(void *arg, const struct sim_reply *r, bool answered)
{
	(void)arg;
	if (answered)
		return;
	crowd.at[r->from - world.net.addr]++;
	if (r->type == DNS_TXT && r->name == 0)
		crowd.txt[simdns_crowd(&world.net, r->question)][r->from - world.net.addr]++;
	else
		crowd.other++;
}

static void crowd_done(void *arg, const struct js *report, const struct err *err)
{
	(void)report;
	*(struct visible **)arg = NULL;
	crowd.left--;
	crowd.failed += err && err->kind != ERR_NONE;
}

static void crowd_start(const char *prefix)
{
	const char *value = world.net.name[0].value[0];
	struct visible_options o = { .asker = &world.net.asker, .values = &value, .nvalues = 1, .quorum = world.quorum, .confirm = 1, .timeout_ms = 300000,
		                     .gate = world.gate };

	for (size_t i = 0; i < CROWD; i++) {
		o.zone = crowd.zone[i] = world_zone(&world, 0);
		free(o.zone->owner);
		o.zone->owner = mem_printf("%sn%zu.%s", prefix, i, world.net.apex);
		crowd.visible[i] = visible_start(&o, crowd_done, &crowd.visible[i]);
	}
}

static unsigned crowd_most(void)
{
	unsigned most = 0;

	for (size_t i = 0; i < CROWD; i++)
		for (size_t k = 0; k < SIM_ADDRS; k++)
			most = crowd.txt[i][k] > most ? crowd.txt[i][k] : most;
	return most;
}

/* Returns how long it took. prefix: "_acme-challenge.", or "" for names that CNAMEs lead to, which all have one parent. */
static int64_t crowd_run(int64_t lag, const char *prefix)
{
	int64_t took;

	memset(&crowd, 0, sizeof crowd);
	world_plain(&world, 3, 1);
	world.net.crowd = CROWD;
	world.net.name[0].nvalues = 1;
	world.net.heard = crowd_heard;
	world.net.addr[2].machine[0].appears[0][0] = lag;
	world.gate = visible_gate_new();
	crowd.left = CROWD;
	crowd_start(prefix);
	while (crowd.left > 0)
		loop_turn(true);
	took = simdns_now(&world.net);
	for (size_t i = 0; i < CROWD; i++)
		zone_free(crowd.zone[i]);
	world_free(&world);
	assert_string_equal(world.cry, "");
	assert_int_equal(crowd.failed, 0);
	fprintf(stderr, "%d names, the last server %lld ms late: seen after %lld ms; %u TXT a name and address at most, %u other questions; "
	                "%u, %u and %u at each address\n", CROWD, (long long)lag, (long long)took, crowd_most(), crowd.other, crowd.at[0], crowd.at[1], crowd.at[2]);
	return took;
}

/* 200 questions a second go to one address: a thousand names, each looked at twice, are ten seconds. Whether a wildcard shows them is asked of any address. */
static void a_thousand_names_at_once(void **state)
{
	(void)state;
	assert_in_range(crowd_run(0, "_acme-challenge."), 1000, 12500);
	assert_in_range(crowd_most(), 1, 3);
	for (size_t k = 0; k < 3; k++)
		assert_in_range(crowd.at[k], 2 * CROWD, 2 * CROWD + CROWD / 2);
}

/* Names beside each other share what is known of a wildcard. */
static void a_thousand_names_of_one_parent(void **state)
{
	(void)state;
	assert_in_range(crowd_run(0, ""), 1000, 10500);
	assert_in_range(crowd_most(), 1, 2);
	assert_in_range(crowd.other, 1, CROWD / 10);
}

static void a_thousand_names_wait_by_the_serial(void **state)
{
	(void)state;
	assert_in_range(crowd_run(20000, "_acme-challenge."), 20000, 42000);
	assert_in_range(crowd_most(), 1, 8);
	assert_in_range(crowd.other, 3, CROWD + 100); /* one for each, whether a wildcard shows it */
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
		cmocka_unit_test(nothing_costs_more_than_it_must),
		cmocka_unit_test(ten_minutes_cost_a_hundred_questions),
		cmocka_unit_test(known_within_a_quarter_of_the_wait),
		cmocka_unit_test(nobody_answers_where_it_closed_meanwhile),
		cmocka_unit_test(a_thousand_names_at_once),
		cmocka_unit_test(a_thousand_names_of_one_parent),
		cmocka_unit_test(a_thousand_names_wait_by_the_serial),
		cmocka_unit_test(no_world_is_misjudged),
		cmocka_unit_test(planted_bugs_are_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
