/* SPDX-License-Identifier: ISC */
/* What an account has at its CA is asked for, and told once, whatever happens meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdlib.h>
#include <string.h>

static const char other[] = "ca = ( { name = \"zero\"; type = \"acme\"; directory = \"https://zero.test/dir\"; } );\n" SCRIPT_HTTP SCRIPT_SERVICE
	"certificate = ( " SCRIPT_CERT("a", "") " );\n";

static struct heard {
	unsigned times;
	char *list;
	struct err err;
} heard;

static void hear(void *arg, const struct js *list, const struct err *err)
{
	(void)arg;
	heard.times++;
	free(heard.list);
	heard.list = list ? js_dump(list) : NULL;
	heard.err = err ? *err : (struct err){ 0 };
}

static int setup(void **state)
{
	int failed = script_setup(state);

	memset(&heard, 0, sizeof(heard));
	((struct script *)*state)->ahead = true;
	return failed;
}

static int teardown(void **state)
{
	free(heard.list);
	return script_teardown(state);
}

static void ask(struct script *s, const char *ca, enum issuer_list what)
{
	heard.times = 0;
	registry_inventory(s->registry, ca, what, hear, NULL);
	for (int i = 0; i < 10 && !heard.times; i++)
		script_run(s, 1000);
}

static void it_is_told(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_forget(s);
	ask(s, "le", ISSUER_CONTACTS);
	assert_int_equal(heard.times, 1);
	assert_string_equal(heard.list, "[{\"id\":\"i1\"}]");
	assert_string_equal(s->trace, "list");
}

static void who_cannot_tell_says_so(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_ONE);
	ask(s, "nobody", ISSUER_INSTANCES);
	assert_int_equal(heard.times, 1);
	assert_string_equal(heard.err.detail, "no ca \"nobody\" is configured");
	script_fail(s, OP_LIST, ERR_DENIED, "NoPermission");
	ask(s, "le", ISSUER_INSTANCES);
	assert_int_equal(heard.times, 1);
	assert_string_equal(heard.err.type, "NoPermission");
	s->no_issuer = true;
	script_conf(s, other);
	ask(s, "zero", ISSUER_INSTANCES);
	assert_int_equal(heard.times, 1);
	assert_string_equal(heard.err.detail, "cannot read ca_file");
}

static void one_of_another_kind_has_none(void **state)
{
	struct script *s = *state;

	s->ahead = false;
	script_conf(s, SCRIPT_ONE);
	ask(s, "le", ISSUER_INSTANCES);
	assert_int_equal(heard.times, 1);
	assert_non_null(strstr(heard.err.detail, "ca le is of a kind that has no instances"));
}

/* It leaves the configuration while it is being asked: the answer still comes. */
static void its_ca_may_leave(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_rule(s, OP_LIST, PASS)->delay_ms = 5000;
	registry_inventory(s->registry, "le", ISSUER_INSTANCES, hear, NULL);
	script_run(s, 1000);
	script_conf(s, other);
	assert_int_equal(heard.times, 0);
	script_run(s, 5000);
	assert_int_equal(heard.times, 1);
	assert_string_equal(heard.list, "[{\"id\":\"i1\"}]");
}

static void the_end_comes_first(void **state)
{
	struct script *s = *state;

	script_conf(s, SCRIPT_ONE);
	script_rule(s, OP_LIST, SILENT);
	registry_inventory(s->registry, "le", ISSUER_COMPANIES, hear, NULL);
	script_run(s, 1000);
	script_stop(s);
	assert_int_equal(heard.times, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_told),
		TEST(who_cannot_tell_says_so),
		TEST(one_of_another_kind_has_none),
		TEST(its_ca_may_leave),
		TEST(the_end_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
