/* SPDX-License-Identifier: ISC */
/* org.dovad.Agent: what answers from what is known. */
#include "agent_fixture.h"
#include "idl_check.h"
#include "needs_root.h"

/* --- Status --- */

static void test_status(void **state)
{
	struct js *r, *failing, *next, *issuer;

	(void)state;
	open_with(60);
	break_cert(stub_cert(7), CERT_FAILED, 2000000000);
	break_cert(stub_cert(40), CERT_HELD, 1900000000);
	break_cert(stub_cert(41), CERT_STALE, 1950000000);
	stub_cert(50)->next_at = clock_now() + 60;
	stub.trouble = "the disk is full";
	r = result(peer_ask(&peer, CALL("Status", "{}")), NULL);
	assert_string_equal(js_str(r, "version"), "1.2");
	assert_non_null(js_str(r, "since"));
	assert_int_equal(js_int(js_obj(r, "counts"), "total", 0), 60);
	assert_int_equal(js_int(js_obj(r, "counts"), "failing", 0), 2);
	assert_int_equal(js_int(js_obj(r, "counts"), "stale", 0), 1);
	assert_string_equal(js_str_at(js_arr(r, "trouble"), 0), "the disk is full");
	failing = js_arr(r, "failing");
	assert_int_equal(js_len(failing), 3);
	assert_string_equal(name_at(failing, 0), "c00040"); /* the first to expire */
	assert_string_equal(name_at(failing, 1), "c00041");
	assert_string_equal(name_at(failing, 2), "c00007");
	assert_string_equal(js_str(js_obj(js_at(failing, 0), "last_error"), "detail"), "CAA forbids it");
	next = js_arr(r, "next");
	assert_int_equal(js_len(next), 5);
	assert_string_equal(name_at(next, 0), "c00050");
	assert_string_equal(name_at(next, 1), "c00000");
	assert_string_equal(name_at(next, 4), "c00003");
	issuer = js_at(js_arr(r, "issuers"), 0);
	assert_string_equal(js_str(issuer, "name"), "ca-a");
	assert_string_equal(js_str(issuer, "account"), "https://ca.example.net/account/1");
	assert_false(js_has(issuer, "nonce")); /* only what the interface names */
	assert_int_equal(js_int(r, "errors", -1), 0);
	js_free(r);
}

static void test_status_is_bounded(void **state)
{
	struct js *report = js_object(), *problems = js_array(), *paths = js_array(), *r;

	(void)state;
	open_with(300);
	for (size_t i = 0; i < 300; i++)
		break_cert(stub_cert(i), CERT_FAILED, 1900000000 - (int64_t)i);
	for (int i = 0; i < 500; i++) {
		struct js *p = js_object();

		js_put_str(p, "file", "/etc/dovad/conf.d/x.conf");
		js_put_int(p, "line", i);
		js_put_bool(p, "warning", i >= 100);
		js_put_str(p, "text", "something is wrong");
		js_put_str(p, "secret", "not for others");
		js_add(problems, p);
		js_add_str(paths, "/etc/dovad/conf.d/x.conf");
	}
	js_put(report, "problems", problems);
	js_put(report, "quarantined", paths);
	agent_set_report(agent, report);
	js_free(report);
	r = result(peer_ask(&peer, CALL("Status", "{}")), NULL);
	assert_int_equal(js_len(js_arr(r, "failing")), 20);
	assert_string_equal(name_at(js_arr(r, "failing"), 0), "c00299");
	assert_string_equal(name_at(js_arr(r, "failing"), 19), "c00280");
	assert_int_equal(js_len(js_arr(r, "problems")), 20);
	assert_int_equal(js_int(r, "errors", 0), 100);
	assert_int_equal(js_int(r, "warnings", 0), 400);
	assert_int_equal(js_int(r, "quarantined_count", 0), 500);
	assert_false(js_has(js_at(js_arr(r, "problems"), 0), "line"));
	assert_int_equal(js_int(js_at(js_arr(r, "problems"), 1), "line", 0), 1);
	assert_false(js_has(js_at(js_arr(r, "problems"), 0), "secret"));
	js_free(r);
}

/* --- List --- */

static void test_list_streams(void **state)
{
	enum { CERTS = 5000 };
	bool continues = true;
	unsigned seen = 0, replies = 0;

	(void)state;
	open_with(CERTS);
	peer_expect_error(&peer, CALL("List", "{}"), SERVICE "ExpectedMore", NULL, NULL);
	send_call(MORE("List", "{}"));
	for (; continues; replies++) {
		struct js *r = result(peer_take(&peer), &continues);
		struct js *certs = js_arr(r, "certificates");

		assert_true(js_len(certs) > 0 && js_len(certs) <= 32);
		for (size_t i = 0; i < js_len(certs); i++, seen++) {
			char name[16];

			snprintf(name, sizeof name, "c%05u", seen);
			assert_string_equal(name_at(certs, i), name);
		}
		js_free(r);
	}
	assert_int_equal(seen, CERTS);
	assert_int_equal(replies, (CERTS + 31) / 32);
}

/* The whole text of a call for it. */
static char *take_metrics(unsigned *replies)
{
	bool continues = true;
	struct buf all;

	buf_init(&all, 0);
	send_call(MORE("Metrics", "{}"));
	for (*replies = 0; continues; ++*replies) {
		struct js *r = result(peer_take(&peer), &continues);

		idl_check_reply("Metrics", r);
		assert_in_range(strlen(js_str(r, "text")), 1, 40000);
		assert_true(buf_puts(&all, js_str(r, "text")));
		js_free(r);
	}
	return buf_take(&all);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static void test_metrics(void **state)
{
	unsigned replies;
	struct js *r;
	char *text;

	(void)state;
	open_with(3);
	break_cert(stub_cert(1), CERT_STALE, 1900000000);
	text = take_metrics(&replies);
	assert_int_equal(replies, 1);
	assert_non_null(strstr(text, "# TYPE dovad_build info\n# HELP dovad_build Version of the daemon.\ndovad_build_info{version=\"1.2\"} 1\n"));
	assert_non_null(strstr(text, "dovad_certificates{state=\"waiting\"} 2\n"));
	assert_non_null(strstr(text, "dovad_certificates{state=\"stale\"} 1\n"));
	assert_non_null(strstr(text, "dovad_outcomes_total{outcome=\"done\"} 3\ndovad_outcomes_total{outcome=\"rolled-back\"} 1\n"));
	assert_non_null(strstr(text, "dovad_certificate_state{cert=\"c00001\",state=\"stale\"} 1\n"));
	assert_non_null(strstr(text, "# UNIT dovad_certificate_not_after_timestamp_seconds seconds\n"));
	assert_non_null(strstr(text, "dovad_certificate_not_after_timestamp_seconds{cert=\"c00001\"} 1900000000\n"));
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	r = result(peer_ask(&peer, CALL("Metrics", "{}")), NULL); /* it fits one reply */
	assert_string_equal(js_str(r, "text"), text);
	js_free(r);
	free(text);
}

/* Five thousand: in pieces, one family after the other, each certificate once. */
static void test_metrics_stream(void **state)
{
	enum { CERTS = 5000 };
	unsigned replies, sample = 0;
	char *text, *at;

	(void)state;
	open_with(CERTS);
	peer_expect_error(&peer, CALL("Metrics", "{}"), SERVICE "ExpectedMore", NULL, NULL);
	text = take_metrics(&replies);
	assert_in_range(replies, 20, 200);
	assert_int_equal(count(text, "# TYPE "), 10);
	assert_int_equal(count(text, "# EOF\n"), 1);
	at = strstr(text, "# HELP dovad_certificate_consecutive_failures");
	for (at = strchr(at, '\n') + 1; *at != '#'; at = strchr(at, '\n') + 1, sample++) {
		char line[96];

		snprintf(line, sizeof line, "dovad_certificate_consecutive_failures{cert=\"c%05u\"} 0\n", sample);
		assert_memory_equal(at, line, strlen(line));
	}
	assert_int_equal(sample, CERTS);
	free(text);
}

static void expect_listed(const char *call, size_t n, const char *first)
{
	struct js *r = result(peer_ask(&peer, call), NULL);
	struct js *certs = js_arr(r, "certificates");

	assert_int_equal(js_len(certs), n);
	if (n)
		assert_string_equal(name_at(certs, 0), first);
	js_free(r);
}

static void test_list_filters(void **state)
{
	(void)state;
	open_with(1000);
	break_cert(stub_cert(700), CERT_FAILED, 0);
	break_cert(stub_cert(801), CERT_STALE, 0);
	stub_cert(801)->next_at = 0;
	expect_listed(CALL("List", "{\"failing\":true}"), 2, "c00700");
	expect_listed(CALL("List", "{\"failing\":true,\"ca\":\"ca-b\"}"), 1, "c00801");
	expect_listed(CALL("List", "{\"failing\":true,\"ca\":\"ca-c\"}"), 0, NULL);
	expect_listed(CALL("List", "{\"due\":259300}"), 3, "c00000");
	expect_listed(CALL("List", "{\"due\":0}"), 0, NULL);
	expect_listed(CALL("List", "{\"name\":\"c0099?\"}"), 10, "c00990");
	expect_listed(CALL("List", "{\"name\":\"odd.*\",\"due\":259300}"), 1, "c00001");
	expect_listed(CALL("List", "{\"failing\":false,\"name\":\"c00998\",\"due\":null,\"ca\":null}"), 1, "c00998");
	expect_listed(CALL("List", "{\"name\":\"\"}"), 0, NULL);
	expect_listed(CALL("List", "{\"name\":\"c000[12]?\"}"), 0, NULL);
	peer_expect_error(&peer, CALL("List", "{\"due\":-1}"), SERVICE "InvalidParameter", "parameter", "due");
	peer_expect_error(&peer, CALL("List", "{\"due\":9223372036854775807,\"ca\":\"ca-a\"}"), SERVICE "ExpectedMore",
		NULL, NULL);
}

static void test_list_exact_batch(void **state)
{
	struct js *r;

	(void)state;
	open_with(32);
	expect_listed(CALL("List", "{}"), 32, "c00000");
	expect_listed(MORE("List", "{}"), 32, "c00000");
	while (stub.n)
		stub_remove(0);
	r = result(peer_ask(&peer, MORE("List", "{}")), NULL);
	assert_int_equal(js_len(js_arr(r, "certificates")), 0);
	js_free(r);
}

static void test_list_hostile_pattern(void **state)
{
	char call[1024], pattern[300];

	(void)state;
	open_with(100);
	memset(pattern, '*', 256);
	pattern[256] = '\0';
	snprintf(call, sizeof call, CALL("List", "{\"name\":\"%s\"}"), pattern);
	peer_expect_error(&peer, call, SERVICE "InvalidParameter", "parameter", "name");
	for (int i = 0; i < 254; i += 2)
		memcpy(pattern + i, "*c", 2);
	pattern[254] = '\0';
	snprintf(call, sizeof call, CALL("List", "{\"name\":\"%s\"}"), pattern);
	expect_listed(call, 0, NULL);
}

/* Certificates that leave between two pieces: the others are all told, once. */
static void test_list_while_certificates_leave(void **state)
{
	bool continues = true;
	unsigned seen = 0;
	struct js *r;

	(void)state;
	open_with(200);
	send_call(MORE("List", "{}"));
	r = result(peer_take(&peer), &continues);
	seen += (unsigned)js_len(js_arr(r, "certificates"));
	js_free(r);
	for (int i = 0; i < 20; i++)
		stub_remove(25); /* behind and ahead of where the walk stands */
	while (continues) {
		r = result(peer_take(&peer), &continues);
		seen += (unsigned)js_len(js_arr(r, "certificates"));
		js_free(r);
	}
	assert_true(seen >= 180 && seen <= 200);
}

/* --- Show, History, Version --- */

static void test_show(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	r = result(peer_ask(&peer, CALL("Show", "{\"name\":\"c00001\"}")), NULL);
	assert_string_equal(js_str(js_obj(r, "certificate"), "name"), "c00001");
	assert_string_equal(js_str(js_obj(r, "certificate"), "file"), "/etc/dovad/conf.d/x.conf");
	js_free(r);
	peer_expect_error(
		&peer, CALL("Show", "{\"name\":\"../c00001\"}"), AGENT "NoSuchCertificate", "name", "../c00001");
	peer_expect_error(&peer, CALL("Show", "{\"name\":\"\"}"), AGENT "NoSuchCertificate", "name", "");
	peer_expect_error(&peer, CALL("Show", "{}"), SERVICE "InvalidParameter", "parameter", "name");
}

/* What the published interface says of each method is so. */
static void test_replies_fit_the_interface(void **state)
{
	static const struct {
		const char *method, *call;
	} rows[] = {
		{"Status", CALL("Status", "{}")},
		{"List", CALL("List", "{}")},
		{"Show", CALL("Show", "{\"name\":\"c00000\"}")},
		{"Show", CALL("Show", "{\"name\":\"c00001\"}")},
		{"Renew", CALL("Renew", "{\"name\":\"c00001\",\"force\":true}")},
		{"History", CALL("History", "{}")},
		{"Version", CALL("Version", "{}")},
	};

	(void)state;
	open_with(3);
	break_cert(stub_cert(1), CERT_FAILED, 1);
	stub.not_before = clock_now() + 60;
	stub.last_order = js_object();
	js_put_str(stub.last_order, "step", "prove");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct js *r = result(peer_ask(&peer, rows[i].call), NULL);

		idl_check_reply(rows[i].method, r);
		js_free(r);
	}
	js_free(stub.last_order);
	stub.last_order = NULL;
}

static void test_history(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	r = result(peer_ask(&peer, CALL("History", "{\"name\":\"c00001\",\"limit\":7}")), NULL);
	assert_int_equal(js_len(js_arr(r, "events")), 0);
	assert_int_equal(stub.history_limit, 7);
	assert_string_equal(stub.history_cert, "c00001");
	js_free(r);
	peer_expect_error(&peer, CALL("History", "{\"name\":\"gone\"}"), AGENT "NoSuchCertificate", "name", "gone");
	peer_expect_error(&peer, CALL("History", "{\"limit\":0}"), SERVICE "InvalidParameter", "parameter", "limit");
	peer_expect_error(&peer, CALL("History", "{\"limit\":501}"), SERVICE "InvalidParameter", "parameter", "limit");
	stub.history = js_array();
	js_add_str(stub.history, "an event");
	r = result(peer_ask(&peer, CALL("History", "{\"name\":\"gone\"}")),
		NULL); /* not configured any more, but it was */
	assert_int_equal(js_len(js_arr(r, "events")), 1);
	js_free(r);
	r = result(peer_ask(&peer, CALL("History", "{}")), NULL);
	assert_null(stub.history_cert);
	assert_int_equal(stub.history_limit, 50);
	js_free(r);
}

static void test_version(void **state)
{
	struct js *r;

	(void)state;
	open_with(0);
	r = result(peer_ask(&peer, CALL("Version", "{}")), NULL);
	assert_string_equal(js_str(r, "version"), "1.2");
	js_free(r);
}

/* --- the interface --- */

/* Every method of the definition is there, and every error and type it names is defined: the definition says what is
 * done. */
static void test_definition(void **state)
{
	struct js *r;
	const char *text;
	unsigned methods = 0;

	(void)state;
	open_with(1);
	r = result(peer_ask(&peer, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
				   "\"parameters\":{\"interface\":\"org.dovad.Agent\"}}"),
		NULL);
	text = js_str(r, "description");
	assert_non_null(strstr(text, "\ninterface org.dovad.Agent\n"));
	for (const char *s = text; (s = strstr(s, "\nmethod ")); methods++) {
		char call[128];
		struct js *v;

		s += strlen("\nmethod ");
		snprintf(call, sizeof call, "{\"method\":\"org.dovad.Agent.%.*s\",\"parameters\":{\"no such\":1}}",
			(int)strcspn(s, "("), s);
		v = peer_ask(&peer, call);
		assert_string_equal(js_str(v, "error"), SERVICE "InvalidParameter");
		js_free(v);
	}
	assert_int_equal(methods, 15);
	js_free(r);
}

/* What changes things is for operators, everything else for readers: checked against a caller who may nothing. */
static void test_nothing_for_strangers(void **state)
{
	static const char *const calls[] = {
		CALL("Status", "{}"),
		CALL("List", "{}"),
		CALL("Show", "{\"name\":\"c00000\"}"),
		CALL("Renew", "{\"name\":\"c00000\"}"),
		CALL("Reload", "{}"),
		MORE("Watch", "{}"),
		CALL("Revoke", "{\"name\":\"c00000\"}"),
		CALL("Rollback", "{\"name\":\"c00000\"}"),
		CALL("Metrics", "{}"),
		CALL("ListInstances", "{\"ca\":\"x\"}"),
		CALL("ListContacts", "{\"ca\":\"x\"}"),
		CALL("ListCompanies", "{\"ca\":\"x\"}"),
		CALL("History", "{}"),
		CALL("Version", "{}"),
	};
	struct peer stranger;

	(void)state;
	open_with(1);
	needs_root();
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	peer_open(&stranger, path);
	assert_int_equal(seteuid(0), 0);
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		peer_expect_error(&stranger, calls[i], SERVICE "PermissionDenied", NULL, NULL);
	assert_int_equal(stub.renewals, 0);
	assert_int_equal(reloads, 0);
	assert_null(stub.revoked);
	assert_null(stub.back);
	assert_null(stub.inventory);
	peer_close(&stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_status),
		ROW(test_status_is_bounded),
		ROW(test_list_streams),
		ROW(test_metrics),
		ROW(test_metrics_stream),
		ROW(test_list_filters),
		ROW(test_list_exact_batch),
		ROW(test_list_hostile_pattern),
		ROW(test_list_while_certificates_leave),
		ROW(test_show),
		ROW(test_replies_fit_the_interface),
		ROW(test_history),
		ROW(test_version),
		ROW(test_definition),
		ROW(test_nothing_for_strangers),
	};

	alarm(120); /* a reply that never comes is a failure, not a wait */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
