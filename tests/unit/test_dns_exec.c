/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fakekeeper.h"
#include "io/loop.h"
#include "prove/dns_provider.h"
#include "simtime.h"

/* A keeper that keeps each call until the test has looked at it. */
static struct bed {
	struct fakekeeper keeper;
	struct dns_provider *provider;
	unsigned ended[2];
	struct err err[2];
	bool frees; /* the end of the first frees the provider */
} bed;
static const struct dns_record record = { .zone = "example.org", .name = "_acme-challenge.www.example.org", .value = "abc-_123" };

static void ended(void *arg, const struct err *err)
{
	size_t i = (size_t)((unsigned *)arg - bed.ended);

	bed.ended[i]++;
	if (err)
		bed.err[i] = *err;
	if (bed.frees) {
		bed.provider->ops->free(bed.provider);
		bed.provider = NULL;
	}
}

static int open_bed(void **state)
{
	static const char *const zones[] = { "example.org", "example.net" };
	struct err err;

	(void)state;
	memset(&bed, 0, sizeof(bed));
	simtime_start(1800000000);
	assert_true(loop_open(&err));
	fakekeeper_open(&bed.keeper);
	bed.keeper.hold = true;
	bed.provider = dns_exec_new(&(struct dns_exec_options){ .name = "main", .zones = zones, .nzones = 2, .timeout_ms = 70000, .keeper = bed.keeper.rpc }, &err);
	return bed.provider ? 0 : -1;
}

static int close_bed(void **state)
{
	(void)state;
	if (bed.provider)
		bed.provider->ops->free(bed.provider);
	fakekeeper_close(&bed.keeper);
	loop_close();
	simtime_stop();
	return 0;
}

static struct dns_change *start(size_t i, bool add)
{
	const struct dns_provider_ops *ops = bed.provider->ops;
	struct dns_change *c = (add ? ops->add : ops->remove)(bed.provider, &record, ended, &bed.ended[i]);

	assert_int_equal(bed.ended[i], 0);
	return c;
}

static void until_asked(unsigned n)
{
	while (bed.keeper.nheld < n)
		loop_turn(true);
}

static struct rpc_request *take_held(void)
{
	return bed.keeper.held[--bed.keeper.nheld];
}

static void until_ended(size_t i)
{
	while (!bed.ended[i])
		loop_turn(true);
	loop_turn(false);
	assert_int_equal(bed.ended[i], 1);
}

static void it_is_what_it_was_made_of(void **state)
{
	(void)state;
	assert_string_equal(bed.provider->name, "main");
	assert_int_equal(bed.provider->nzones, 2);
	assert_string_equal(bed.provider->zones[1], "example.net");
	assert_null(bed.provider->ops->probe);
}

static void assert_request(const char *action)
{
	static const char *const keys[] = { "op", "dns", "zone", "record", "value" };
	const char *const want[] = { "hook", "main", record.zone, record.name, record.value };
	const struct js *request = bed.keeper.last;

	for (size_t i = 0; i < 5; i++)
		assert_string_equal(js_str(request, keys[i]), want[i]);
	assert_string_equal(js_str(request, "action"), action);
	assert_int_equal(js_len(request), 7); /* these and the call's number */
}

static void the_keeper_is_asked_by_name(void **state)
{
	(void)state;
	start(0, true);
	until_asked(1);
	assert_request("add");
	rpc_answer(take_held(), NULL);
	until_ended(0);
	assert_int_equal(bed.err[0].kind, ERR_NONE);
	start(1, false);
	until_asked(1);
	assert_request("remove");
	rpc_answer(take_held(), NULL);
	until_ended(1);
	assert_int_equal(bed.err[1].kind, ERR_NONE);
}

static void what_the_keeper_says_is_handed_on(void **state)
{
	struct err no;

	(void)state;
	err_set(&no, ERR_DENIED, "hook", "the command of dns:main ended with 3");
	start(0, true);
	until_asked(1);
	rpc_refuse(take_held(), &no);
	until_ended(0);
	assert_int_equal(bed.err[0].kind, ERR_DENIED);
	assert_string_equal(bed.err[0].type, "hook");
	assert_string_equal(bed.err[0].detail, "the command of dns:main ended with 3");
}

static void one_that_never_answers_ends_in_time(void **state)
{
	int64_t begun = clock_mono_ms();

	(void)state;
	start(0, true);
	until_ended(0);
	assert_int_equal(clock_mono_ms() - begun, 70000);
	assert_int_equal(bed.err[0].kind, ERR_LOCAL);
	assert_string_equal(bed.err[0].type, "keeper");
	until_asked(1);
	rpc_answer(take_held(), NULL); /* late: nobody hears it */
	for (int i = 0; i < 5; i++)
		loop_turn(false);
	assert_int_equal(bed.ended[0], 1);
}

static void several_at_once_each_with_its_own_answer(void **state)
{
	struct err no;

	(void)state;
	err_set(&no, ERR_TEMP, "hook", "later");
	start(0, true);
	until_asked(1);
	start(1, false);
	until_asked(2);
	rpc_refuse(take_held(), &no); /* the second first */
	until_ended(1);
	assert_int_equal(bed.ended[0], 0);
	assert_int_equal(bed.err[1].kind, ERR_TEMP);
	rpc_answer(take_held(), NULL);
	until_ended(0);
	assert_int_equal(bed.err[0].kind, ERR_NONE);
}

static void cancelled_ones_are_not_heard_of(void **state)
{
	struct dns_change *c;

	(void)state;
	bed.provider->ops->cancel(NULL);
	bed.provider->ops->cancel(start(0, true)); /* before anything was sent */
	c = start(0, true);
	until_asked(1);
	bed.provider->ops->cancel(c);
	while (bed.keeper.nheld)
		rpc_answer(take_held(), NULL);
	for (int i = 0; i < 5; i++)
		loop_turn(false);
	assert_int_equal(bed.ended[0], 0);
}

static void free_forgets_what_is_under_way(void **state)
{
	(void)state;
	start(0, true);
	start(1, false);
	until_asked(2);
	bed.provider->ops->free(bed.provider);
	bed.provider = NULL;
	while (bed.keeper.nheld)
		rpc_answer(take_held(), NULL);
	for (int i = 0; i < 5; i++)
		loop_turn(false);
	assert_int_equal(bed.ended[0] + bed.ended[1], 0);
}

static void it_may_be_freed_when_told(void **state)
{
	(void)state;
	bed.frees = true;
	start(0, true);
	start(1, false);
	until_asked(2);
	rpc_answer(bed.keeper.held[0], NULL);
	bed.keeper.held[0] = bed.keeper.held[1];
	bed.keeper.nheld = 1;
	until_ended(0);
	assert_null(bed.provider);
	rpc_answer(take_held(), NULL);
	for (int i = 0; i < 5; i++)
		loop_turn(false);
	assert_int_equal(bed.ended[1], 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)
	const struct CMUnitTest tests[] = {
		TEST(it_is_what_it_was_made_of),
		TEST(the_keeper_is_asked_by_name),
		TEST(what_the_keeper_says_is_handed_on),
		TEST(one_that_never_answers_ends_in_time),
		TEST(several_at_once_each_with_its_own_answer),
		TEST(cancelled_ones_are_not_heard_of),
		TEST(free_forgets_what_is_under_way),
		TEST(it_may_be_freed_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
