/* SPDX-License-Identifier: ISC */
/* What a dns command may be asked, what it gets, and what its end means. That it is run so: tests/integration/test_hook.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/wait.h>

#include "keeper/hook.h"
#include "keeper_fixture.h"

#define CONF                                                                                                                                     \
	FIXTURE_CONF "dns = ( { name = \"any\"; type = \"exec\"; command = [ \"/bin/hook\", \"-v\" ]; ttl = 33; },\n"                              \
		     "  { name = \"own\"; type = \"exec\"; command = [ \"/bin/hook\" ]; zones = [ \"example.org\", \"example.net\" ];\n"            \
		     "    secrets = [ \"credential:cf-token\", \"credential:other\" ]; },\n"                                                       \
		     "  { name = \"up\"; type = \"rfc2136\"; server = \"192.0.2.1\"; } );\n"

static struct js *request(const char *action, const char *zone, const char *record, const char *value)
{
	return hook_to_js(&(struct hook_call){ action, zone, record, value });
}

static void only_records_may_be_asked_for(void **state)
{
	static const struct {
		const char *dns, *action, *zone, *record, *value, *type, *detail; /* type NULL: fine */
	} rows[] = {
		{ "any", "add", "example.org", "_acme-challenge.example.org", "gfj9Xq_-Rg85nM", NULL, NULL },
		{ "any", "remove", "org", "_acme-challenge.example.org", "-x", NULL, NULL },
		{ "any", "add", "example.org", "Example.ORG", "ca.example; policy=wildcard $(id) %s", NULL, NULL },
		{ "own", "add", "example.net", "a.example.net", "v", NULL, NULL },
		{ "own", "add", "com", "a.example.com", "v", "policy", "dns:own: a.example.com is not below its zones" },
		{ "own", "add", "net", "badexample.net", "v", "policy", "not below its zones" },
		{ "own", "add", "net", "net", "v", "policy", "not below its zones" },
		{ "up", "add", "example.org", "a.example.org", "v", "call", "dns:up: has no command" },
		{ "any", "Add", "example.org", "a.example.org", "v", "call", "add or remove" },
		{ "any", "--help", "example.org", "a.example.org", "v", "call", "add or remove" },
		{ "any", NULL, "example.org", "a.example.org", "v", "call", "add or remove" },
		{ "any", "add", NULL, "a.example.org", "v", "call", "domain names" },
		{ "any", "add", "example.org.", "a.example.org", "v", "call", "domain names" },
		{ "any", "add", "-zone.example", "a.-zone.example", "v", "call", "domain names" },
		{ "any", "add", "example.org", NULL, "v", "call", "domain names" },
		{ "any", "add", "example.org", "a b.example.org", "v", "call", "domain names" },
		{ "any", "add", "example.org", "a\n.example.org", "v", "call", "domain names" },
		{ "any", "add", "example.org", "", "v", "call", "domain names" },
		{ "any", "add", "example.org", "a.example.net", "v", "call", "not in the zone" },
		{ "any", "add", "example.org", "a.example.org", NULL, "call", "the value is" },
		{ "any", "add", "example.org", "a.example.org", "", "call", "the value is" },
		{ "any", "add", "example.org", "a.example.org", "a\"b", "call", "the value is" },
		{ "any", "add", "example.org", "a.example.org", "a'b", "call", "the value is" },
		{ "any", "add", "example.org", "a.example.org", "a\\b", "call", "the value is" },
		{ "any", "add", "example.org", "a.example.org", "a\nb", "call", "the value is" },
		{ "any", "add", "example.org", "a.example.org", "a\x7f", "call", "the value is" },
		{ "any", "add", "example.org", "a.example.org", "\xc3\xbc", "call", "the value is" },
	};
	struct fixture *f = *state;

	fixture_configure(f, CONF);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct js *q = request(rows[i].action, rows[i].zone, rows[i].record, rows[i].value);
		struct hook_call call;
		struct err err = { 0 };
		bool ok = hook_read(conf_find_dns(f->conf, rows[i].dns), q, &call, &err);

		if (ok != !rows[i].type)
			fail_msg("row %zu: %s", i, err.detail);
		if (rows[i].type) {
			assert_string_equal(err.type, rows[i].type);
			if (!strstr(err.detail, rows[i].detail))
				fail_msg("row %zu: %s", i, err.detail);
		} else {
			assert_string_equal(call.action, rows[i].action);
			assert_string_equal(call.zone, rows[i].zone);
			assert_string_equal(call.record, rows[i].record);
			assert_string_equal(call.value, rows[i].value);
		}
		js_free(q);
	}
}

static void values_have_an_end(void **state)
{
	struct fixture *f = *state;
	char value[HOOK_VALUE_MAX + 2];
	struct hook_call call;
	struct err err;
	struct js *q;

	fixture_configure(f, CONF);
	memset(value, 'x', sizeof(value));
	value[HOOK_VALUE_MAX + 1] = '\0';
	q = request("add", "example.org", "a.example.org", value);
	assert_false(hook_read(conf_find_dns(f->conf, "any"), q, &call, &err));
	js_free(q);
	value[HOOK_VALUE_MAX] = '\0';
	q = request("add", "example.org", "a.example.org", value);
	assert_true(hook_read(conf_find_dns(f->conf, "any"), q, &call, &err));
	js_free(q);
	q = js_object();
	js_put_int(q, "action", 1);
	assert_false(hook_read(conf_find_dns(f->conf, "any"), q, &call, &err));
	js_free(q);
	assert_false(hook_read(conf_find_dns(f->conf, "any"), NULL, &call, &err));
}

static bool has(const struct hook *h, const char *variable)
{
	for (size_t i = 0; i < h->nenv; i++)
		if (strcmp(h->env[i], variable) == 0)
			return true;
	return false;
}

static void a_command_gets_no_more_than_it_needs(void **state)
{
	static const struct hook_call call = { "add", "example.org", "a.example.org", "v" };
	struct fixture *f = *state;
	struct err err;
	struct hook h;

	fixture_configure(f, CONF);
	assert_int_equal(setenv("DOVAD_TEST_SECRET", "x", 1), 0);
	assert_true(hook_prepare(&h, f->conf, conf_find_dns(f->conf, "any"), &call, &err));
	for (size_t i = 0; i < 7; i++)
		if (i < 6)
			assert_string_equal(h.argv[i], ((const char *[]){ "/bin/hook", "-v", "add", "a.example.org", "v", "example.org" })[i]);
		else
			assert_null(h.argv[i]);
	assert_int_equal(h.nenv, 4);
	assert_null(h.env[4]);
	assert_true(has(&h, "DOVAD_DNS=any") && has(&h, "DOVAD_TTL=33") && has(&h, "LANG=C.UTF-8"));
	assert_int_equal(h.nsecrets, 0);
	hook_free(&h);
}

static void secret_is(int fd, const char *text)
{
	char got[64] = "";

	assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(text));
	assert_string_equal(got, text);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), -1); /* sealed */
	assert_int_equal(ftruncate(fd, 0), -1);
}

static void secrets_come_by_descriptor(void **state)
{
	static const struct hook_call call = { "add", "example.org", "a.example.org", "v" };
	struct fixture *f = *state;
	const struct conf_dns *own;
	char *path = fixture_path(f, "credentials");
	struct err err;
	struct hook h;
	int fd;

	fixture_configure(f, CONF);
	own = conf_find_dns(f->conf, "own");
	assert_int_equal(mkdir(path, 0700), 0);
	fixture_write(f, "credentials/cf-token", "hush\r\n", 0600);
	assert_false(hook_prepare(&h, f->conf, own, &call, &err)); /* the other one is missing */
	assert_non_null(strstr(err.detail, "other"));
	assert_int_equal(h.nsecrets, 1);
	fd = h.secrets[0];
	hook_free(&h);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fixture_write(f, "credentials/other", "more", 0600);
	assert_true(hook_prepare(&h, f->conf, own, &call, &err));
	assert_int_equal(h.nsecrets, 2);
	assert_true(has(&h, "DOVAD_SECRET_FD_CF_TOKEN=3") && has(&h, "DOVAD_SECRET_FD_OTHER=4"));
	secret_is(h.secrets[0], "hush\n");
	secret_is(h.secrets[1], "more\n");
	for (size_t i = 0; i < h.nenv; i++)
		assert_null(strstr(h.env[i], "hush"));
	hook_free(&h);
	free(path);
}

static void ends_have_a_meaning(void **state)
{
	static const struct {
		struct child_end end;
		enum err_kind kind;
		const char *detail;
	} rows[] = {
		{ { .status = W_EXITCODE(0, 0), .output = "" }, ERR_NONE, "" },
		{ { .status = W_EXITCODE(75, 0), .output = "busy\n" }, ERR_TEMP, "the command of dns:own: exited with 75: busy" },
		{ { .status = W_EXITCODE(1, 0), .output = "no such\033[1m zone\nmore" }, ERR_DENIED, "exited with 1: no such\\x1b[1m zone" },
		{ { .status = W_EXITCODE(127, 0), .output = "" }, ERR_DENIED, "exited with 127" },
		{ { .status = W_EXITCODE(0, 9), .output = "" }, ERR_TEMP, "killed by signal 9" },
		{ { .status = W_EXITCODE(0, 15), .timed_out = true, .timeout_ms = 60000, .output = "" }, ERR_TEMP, "still running after 60 s" },
		{ { .status = W_EXITCODE(0, 0), .timed_out = true, .timeout_ms = 1000, .output = "" }, ERR_TEMP, "still running after 1 s" },
	};
	struct fixture *f = *state;

	fixture_configure(f, CONF);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { 0 };

		assert_int_equal(hook_judge(&rows[i].end, conf_find_dns(f->conf, "own"), &err), rows[i].kind == ERR_NONE);
		assert_int_equal(err.kind, rows[i].kind);
		if (!strstr(err.detail, rows[i].detail))
			fail_msg("%s", err.detail);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_records_may_be_asked_for),
		TEST(values_have_an_end),
		TEST(a_command_gets_no_more_than_it_needs),
		TEST(secrets_come_by_descriptor),
		TEST(ends_have_a_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
