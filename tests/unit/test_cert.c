/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf_made.h"

enum { NOW = 1800000000 };

static int setup(void **state)
{
	(void)state;
	clock_freeze(NOW);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clock_thaw();
	return 0;
}

static struct cert *full(void)
{
	static const char *const names[] = { "a.test" };
	static const struct x509_leaf leaf = { .not_before = NOW - 3600, .not_after = NOW + 86400, .serial = "00ab", .fingerprint = "fefe",
		.issuer = "Test CA", .names = names, .nnames = 1, .length = 2 };
	struct cert *c = cert_new("a");
	struct err err;

	cert_set_leaf(c, &leaf);
	cert_set_ca(c, "le");
	c->state = CERT_STALE;
	c->generation = 7;
	c->issue = 0xfedcba9876543210u;
	c->next_at = NOW + 60;
	c->next_step = "retry";
	c->attempts = 3;
	c->forced = true;
	c->unknown = true;
	err_set(&err, ERR_LIMIT, "rateLimited", "too many");
	err.not_before = NOW + 50;
	cert_set_error(c, &err, NOW - 5);
	c->products = js_object();
	js_put_str(c->products, "url", "https://ca.test/order/1");
	assert_true(cert_target_note(cert_target(c, "web", "127.0.0.1:443"), &leaf, NULL));
	assert_false(cert_target_note(cert_target(c, "web", "127.0.0.1:443"), &leaf, NULL)); /* no news */
	assert_true(cert_target_note(cert_target(c, "web", "[::1]:443"), NULL, "connection refused"));
	return c;
}

/* What an earlier version remembered of a plain folder is still right; each option makes another place. */
static void places_differ(void **state)
{
	struct conf_target t[2] = { { .dir = "/x", .mode = 0640 } };
	struct conf_cert conf = { .name = "a" };
	uint64_t seen[6];

	(void)state;
	conf.install.v = t;
	conf.install.n = 1;
	seen[0] = cert_place(&conf);
	assert_int_equal(seen[0], text_hash("place\n/x   640\n"));
	t[0].bundle = true;
	seen[1] = cert_place(&conf);
	t[0].pkcs12 = true;
	seen[2] = cert_place(&conf);
	t[0].pkcs12_password = "p";
	seen[3] = cert_place(&conf);
	t[0] = (struct conf_target){ .file = { [CONF_PART_KEY] = "/x" }, .mode = 0640 };
	seen[4] = cert_place(&conf);
	t[0] = (struct conf_target){ .file = { [CONF_PART_CERT] = "/x" }, .mode = 0640 };
	seen[5] = cert_place(&conf);
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
}

static void a_record_comes_back_whole(void **state)
{
	struct cert *c = full(), *back = cert_new("a");
	struct js *record = cert_save(c), *again;
	char *one = js_dump(record), *two;

	(void)state;
	cert_load(back, record);
	again = cert_save(back);
	two = js_dump(again);
	assert_string_equal(one, two);
	assert_int_equal(back->state, CERT_STALE);
	assert_true(back->issue == 0xfedcba9876543210u);
	assert_int_equal(back->ntargets, 2);
	assert_string_equal(back->targets[1].text, "connection refused");
	assert_int_equal(back->last_error->not_before, NOW + 50);
	assert_int_equal(back->last_error_at, NOW - 5);
	assert_true(back->forced && back->unknown);
	cert_load(back, again); /* over what is there: nothing is left over, nothing leaks */
	assert_int_equal(back->ntargets, 2);
	free(one);
	free(two);
	js_free(record);
	js_free(again);
	cert_free(c);
	cert_free(back);
}

/* Written by an older or a newer version, or by a fool. */
static void odd_records_are_taken_for_what_they_hold(void **state)
{
	static const char *const odd[] = {
		"{}",
		"{\"state\": \"banana\", \"next_step\": \"dance\", \"future\": {\"a\": [1]}}",
		"{\"state\": 5, \"ca\": [], \"not_after\": \"soon\", \"serial\": 7, \"attempts\": -4, \"last_error\": \"x\", \"targets\": {}, \"products\": 1}",
		"{\"attempts\": 9223372036854775807, \"last_error\": {}, \"targets\": [1, {}, {\"service\": \"s\"}]}",
		"{\"targets\": [{\"service\": \"s\", \"address\": \"a\", \"since\": \"never\"}]}",
		"{\"last_error\": {\"kind\": \"temp\", \"at\": \"garbage\"}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		struct err err;
		struct js *record = js_parse(odd[i], strlen(odd[i]), &err), *saved;
		struct cert *c = cert_new("a");

		assert_non_null(record);
		cert_load(c, record);
		assert_in_range(c->attempts, 0, 1000000);
		assert_in_range(c->ntargets, 0, 1);
		assert_int_equal(c->state, CERT_WAITING);
		assert_null(c->next_step);
		saved = cert_save(c);
		js_free(saved);
		js_free(record);
		cert_free(c);
	}
}

static void targets_have_a_cap(void **state)
{
	struct cert *c = cert_new("a");
	char address[32];

	(void)state;
	for (int i = 0; i < CERT_TARGETS + 10; i++) {
		snprintf(address, sizeof address, "127.0.0.1:%d", i + 1);
		assert_non_null(cert_target(c, "web", address));
	}
	assert_int_equal(c->ntargets, CERT_TARGETS);
	assert_string_equal(cert_target(c, "web", "127.0.0.1:3")->address, "127.0.0.1:3");
	cert_reset_targets(c);
	assert_int_equal(c->ntargets, 0);
	cert_target(c, "web", "127.0.0.1:1");
	assert_int_equal(c->ntargets, 1);
	cert_free(c);
}

static void an_error_is_copied_and_can_be_forgotten(void **state)
{
	struct err err = { .kind = ERR_TEMP, .type = "dns" };
	struct cert *c = cert_new("a");

	(void)state;
	cert_set_error(c, &err, NOW);
	memset(&err, 0, sizeof err);
	assert_string_equal(c->last_error->type, "dns");
	cert_set_error(c, NULL, NOW);
	assert_null(c->last_error);
	assert_int_equal(c->last_error_at, 0);
	cert_free(c);
	cert_free(NULL);
}

static void every_state_has_its_word(void **state)
{
	static const char *const words[] = { "waiting", "ordering", "proving", "issuing", "installing", "reloading", "looking", "stale", "failed", "held",
		"disabled" };

	(void)state;
	for (int i = 0; i < CERT_STATES; i++)
		assert_string_equal(cert_state_name((enum cert_state)i), words[i]);
}

static void people_are_shown_what_the_interface_names(void **state)
{
	struct conf *conf = MADE(MAIN_TEXT, "certificate = ( { name = \"a\"; names = [ \"a.test\", \"www.a.test\" ]; service = [ \"nginx\" ]; } );");
	static const char *const keys[] = { "name", "names", "ca", "state", "not_before", "not_after", "next_step", "next_at", "attempts", "last_error",
		"targets", "generation" };
	static const char *const more[] = { "serial", "fingerprint", "issuer", "prove", "install", "services", "file", "line" };
	struct cert *c = full();
	struct js *v;

	(void)state;
	assert_int_equal(conf->cert.n, 1);
	c->conf = &conf->cert.v[0];
	v = cert_show(c, false);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		assert_true(js_has(v, keys[i]));
	assert_int_equal(js_len(js_arr(v, "names")), 2);
	assert_false(js_has(v, "serial"));
	js_free(v);
	v = cert_show(c, true);
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
		assert_true(js_has(v, more[i]));
	assert_string_equal(js_str_at(js_arr(v, "prove"), 0), "http:www");
	assert_string_equal(js_str_at(js_arr(v, "services"), 0), "nginx");
	js_free(v);
	c->conf = NULL; /* removed, its order is still being ended */
	v = cert_show(c, true);
	assert_string_equal(js_str(v, "ca"), "le");
	js_free(v);
	cert_free(c);
	conf_free(conf);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(places_differ),
		TEST(a_record_comes_back_whole),
		TEST(odd_records_are_taken_for_what_they_hold),
		TEST(targets_have_a_cap),
		TEST(an_error_is_copied_and_can_be_forgotten),
		TEST(every_state_has_its_word),
		TEST(people_are_shown_what_the_interface_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
