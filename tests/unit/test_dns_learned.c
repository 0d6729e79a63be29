/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "prove/dns_learned.h"

/* What is kept, as text: each load is a value of its own, as out of a journal. */
static struct kept {
	char *name, *text;
} kept[4];
static unsigned saves;

static struct js *load(void *arg, const char *name)
{
	struct err err;

	assert_ptr_equal(arg, kept);
	for (size_t i = 0; i < 4 && kept[i].name; i++)
		if (strcmp(kept[i].name, name) == 0)
			return js_parse(kept[i].text, strlen(kept[i].text), &err);
	return NULL;
}

static void keep(const char *name, char *text)
{
	size_t i = 0;

	while (kept[i].name && strcmp(kept[i].name, name) != 0)
		assert_true(++i < 4);
	free(kept[i].text);
	if (!kept[i].name)
		kept[i].name = mem_strdup(name);
	kept[i].text = text;
}

static void save(void *arg, const char *name, const struct js *record)
{
	assert_ptr_equal(arg, kept);
	saves++;
	keep(name, js_dump(record));
}

static const struct dns_memory memory = { load, save, kept };

static int forget(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		free(kept[i].name);
		free(kept[i].text);
	}
	memset(kept, 0, sizeof kept);
	saves = 0;
	return 0;
}

static struct dns_learned get(const char *zone)
{
	return dns_learned_get(&memory, "main", zone);
}

static void judged(bool valid, unsigned times)
{
	while (times--)
		dns_learned_judged(&memory, "main", "example.org", valid);
}

static int64_t settle(void)
{
	return get("example.org").settle_ms;
}

static void nothing_is_known_at_first(void **state)
{
	struct dns_learned known = get("example.org");

	(void)state;
	assert_int_equal(known.settle_ms, 0);
	assert_int_equal(known.usual_ms, 0);
	assert_int_equal(known.times, 0);
	judged(true, 100); /* nothing to unlearn, and nothing to write */
	assert_int_equal(saves, 0);
}

static void a_no_doubles_and_ten_good_ones_halve(void **state)
{
	static const int64_t up[] = { 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 512000, 600000, 600000 };

	(void)state;
	for (size_t i = 0; i < sizeof up / sizeof up[0]; i++) {
		judged(false, 1);
		assert_int_equal(settle(), up[i]);
	}
	for (int64_t ms = 600000; ms; ms = ms / 2 < 2000 ? 0 : ms / 2) {
		judged(true, 9);
		assert_int_equal(settle(), ms);
		judged(true, 1);
		assert_int_equal(settle(), ms / 2 < 2000 ? 0 : ms / 2);
	}
	judged(false, 1); /* and it begins anew */
	assert_int_equal(settle(), 2000);
}

static void in_a_row_means_in_a_row(void **state)
{
	(void)state;
	judged(false, 2);
	judged(true, 9);
	judged(false, 1);
	assert_int_equal(settle(), 8000);
	judged(true, 9);
	assert_int_equal(settle(), 8000);
	judged(true, 1);
	assert_int_equal(settle(), 4000);
}

static void each_provider_and_zone_for_itself(void **state)
{
	(void)state;
	judged(false, 1);
	dns_learned_seen(&memory, "main", "example.org", 700);
	assert_int_equal(get("example.net").settle_ms, 0);
	assert_int_equal(get("example.net").times, 0);
	assert_int_equal(dns_learned_get(&memory, "other", "example.org").settle_ms, 0);
	assert_int_equal(get("example.org").usual_ms, 700);
	assert_int_equal(settle(), 2000); /* one record holds both */
}

static void the_median_of_the_last_ones(void **state)
{
	(void)state;
	dns_learned_seen(&memory, "main", "example.org", 50);
	dns_learned_seen(&memory, "main", "example.org", 900000);
	dns_learned_seen(&memory, "main", "example.org", 60);
	assert_int_equal(get("example.org").usual_ms, 60);
	assert_int_equal(get("example.org").times, 3);
	for (int i = 0; i < 31; i++)
		dns_learned_seen(&memory, "main", "example.org", 10000 + i);
	assert_int_equal(get("example.org").times, 31); /* the first three are out */
	assert_int_equal(get("example.org").usual_ms, 10015);
	judged(false, 1);
	assert_int_equal(get("example.org").times, 31);
}

/* Records that no release has ever written. */
static void garbage_is_no_knowledge(void **state)
{
	static const struct {
		const char *text;
		int64_t settle, usual;
		unsigned times;
	} rows[] = {
		{ "[]", 0, 0, 0 },
		{ "[1,2,{\"settle_ms\":5000}]", 0, 0, 0 },
		{ "{}", 0, 0, 0 },
		{ "{\"settle_ms\":\"5000\",\"clean\":[],\"seen_ms\":7}", 0, 0, 0 },
		{ "{\"settle_ms\":-1,\"clean\":-9223372036854775808}", 0, 0, 0 },
		{ "{\"settle_ms\":9223372036854775807,\"clean\":0}", 600000, 0, 0 },
		{ "{\"seen_ms\":{\"ms\":4}}", 0, 0, 0 },
		{ "{\"seen_ms\":[1,\"x\",null,[],{},{\"ms\":\"9\"},{\"ms\":-5},{\"ms\":40}]}", 0, 40, 1 },
		{ "{\"seen_ms\":[{\"ms\":-9223372036854775808},{\"ms\":9223372036854775807}]}", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dns_learned known;

		keep("main example.org", mem_strdup(rows[i].text));
		known = get("example.org");
		assert_int_equal(known.settle_ms, rows[i].settle);
		assert_int_equal(known.usual_ms, rows[i].usual);
		assert_int_equal(known.times, rows[i].times);
		judged(true, 1);
		assert_int_equal(settle(), rows[i].settle);
		judged(false, 1);
		assert_int_equal(settle(), rows[i].settle ? 600000 : 2000);
		dns_learned_seen(&memory, "main", "example.org", 40);
		assert_int_equal(get("example.org").usual_ms, 40);
		assert_int_equal(get("example.org").times, rows[i].times + 1);
	}
}

static void hostile_numbers_of_good_ones(void **state)
{
	static const char *const counts[] = { "9223372036854775807", "-9223372036854775808", "1000", "-3" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		keep("main example.org", mem_printf("{\"settle_ms\":8000,\"clean\":%s}", counts[i]));
		judged(true, 10);
		assert_in_range(settle(), 2000, 4000); /* ten are enough, whatever was there */
	}
}

static void a_long_list_is_cut(void **state)
{
	char *text = mem_alloc(200000), *at = text;

	(void)state;
	at += sprintf(at, "{\"seen_ms\":[");
	for (int i = 0; i < 10000; i++)
		at += sprintf(at, "%s{\"ms\":%d}", i ? "," : "", i);
	sprintf(at, "]}");
	keep("main example.org", text);
	assert_int_equal(get("example.org").times, 31);
	assert_int_equal(get("example.org").usual_ms, 9984); /* of the newest */
	dns_learned_seen(&memory, "main", "example.org", 5);
	assert_true(strlen(kept[0].text) < 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, forget)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_known_at_first),
		TEST(a_no_doubles_and_ten_good_ones_halve),
		TEST(in_a_row_means_in_a_row),
		TEST(each_provider_and_zone_for_itself),
		TEST(the_median_of_the_last_ones),
		TEST(garbage_is_no_knowledge),
		TEST(hostile_numbers_of_good_ones),
		TEST(a_long_list_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
