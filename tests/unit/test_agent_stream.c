/* SPDX-License-Identifier: ISC */
/* org.dovad.Agent: what answers in pieces or later. */
#include "agent_fixture.h"
#include "idl_check.h"

/* --- Renew --- */

static void test_renew(void **state)
{
	struct js *r;
	char stamp[32];

	(void)state;
	open_with(3);
	r = result(peer_ask(&peer, CALL("Renew", "{\"name\":\"c00001\",\"force\":true}")), NULL);
	assert_string_equal(js_str(js_obj(r, "certificate"), "name"), "c00001");
	assert_true(stub.forced);
	js_free(r);
	assert_int_equal(stub_watchers(), 0);
	peer_expect_error(&peer, CALL("Renew", "{\"name\":\"nobody\"}"), AGENT "NoSuchCertificate", "name", "nobody");
	assert_int_equal(stub.renewals, 1);
	err_set(&stub.renew_error, ERR_INPUT, "not-due", "too early");
	snprintf(stamp, sizeof stamp, "2033-05-18T03:33:20Z");
	stub_cert(1)->next_at = 2000000000;
	r = peer_ask(&peer, CALL("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	assert_string_equal(js_str(r, "error"), AGENT "NotDue");
	assert_string_equal(js_str(js_obj(r, "parameters"), "renews_at"), stamp);
	js_free(r);
	err_set(&stub.renew_error, ERR_TEMP, "busy", "under way");
	peer_expect_error(&peer, CALL("Renew", "{\"name\":\"c00001\"}"), AGENT "Busy", NULL, NULL);
	err_set(&stub.renew_error, ERR_INPUT, "disabled", "it is disabled");
	r = peer_ask(&peer, CALL("Renew", "{\"name\":\"c00001\"}"));
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	assert_string_equal(js_str(js_obj(r, "parameters"), "kind"), "input");
	assert_string_equal(js_str(js_obj(r, "parameters"), "detail"), "it is disabled");
	js_free(r);
}

static void test_renew_and_wait(void **state)
{
	struct cert *c;
	struct js *r;

	(void)state;
	open_with(3);
	c = stub_cert(1);
	send_call(MORE("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	expect_progress(NULL);
	assert_int_equal(stub_watchers(), 1);
	c->state = CERT_ORDERING;
	stub_event("c00001", "create");
	stub_event("c00002", "create"); /* another's */
	expect_progress("create");
	c->state = CERT_WAITING;
	c->generation = 2;
	stub_event("c00001", "done");
	expect_progress("done");
	r = result(peer_take(&peer), NULL);
	assert_int_equal(js_int(js_obj(r, "certificate"), "generation", 0), 2);
	js_free(r);
	assert_int_equal(stub_watchers(), 0);
}

static void test_renew_and_wait_for_one_answer(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	send_call(CALL("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	while (!stub_watchers())
		loop_turn(true);
	stub_event("c00001", "create");
	break_cert(stub_cert(1), CERT_FAILED, 0);
	stub_cert(1)->attempts = 1;
	stub_event("c00001", "failed");
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	assert_string_equal(js_str(js_obj(r, "parameters"), "type"), "caa");
	js_free(r);
	assert_int_equal(stub_watchers(), 0);
}

static void test_renewal_fails(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	send_call(MORE("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	expect_progress(NULL);
	break_cert(stub_cert(1), CERT_FAILED, 0);
	stub_cert(1)->attempts = 1;
	stub_event("c00001", "failed");
	expect_progress("failed");
	expect_progress(NULL); /* says when it is tried again */
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	js_free(r);
}

static void test_renewed_certificate_is_removed(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	send_call(MORE("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	expect_progress(NULL);
	stub_event("c00001", "removed");
	stub_remove(1);
	expect_progress("removed");
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	assert_string_equal(js_str(js_obj(r, "parameters"), "type"), "removed");
	js_free(r);
}

/* Its order was given up: waiting goes on only if another one follows. */
static void test_renewal_is_planned_anew(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	send_call(MORE("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	expect_progress(NULL);
	stub_cert(1)->next_at = clock_now();
	stub_event("c00001", "planned");
	expect_progress("planned");
	stub_event("c00001", "create");
	expect_progress("create");
	stub_cert(1)->next_at = clock_now() + 1000; /* what is installed is what is wanted now */
	stub_event("c00001", "planned");
	expect_progress("planned");
	r = result(peer_take(&peer), NULL);
	assert_string_equal(js_str(js_obj(r, "certificate"), "name"), "c00001");
	js_free(r);
	assert_int_equal(stub_watchers(), 0);
}

static void test_renewed_certificate_is_disabled(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	send_call(MORE("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	expect_progress(NULL);
	stub.v[1].conf.enabled = false;
	stub_cert(1)->state = CERT_DISABLED;
	stub_cert(1)->next_at = 0;
	stub_event("c00001", "planned");
	expect_progress("planned");
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	assert_string_equal(js_str(js_obj(r, "parameters"), "type"), "disabled");
	js_free(r);
	assert_int_equal(stub_watchers(), 0);
}

static void test_waiting_caller_leaves(void **state)
{
	(void)state;
	open_with(3);
	send_call(MORE("Renew", "{\"name\":\"c00001\",\"wait\":true}"));
	expect_progress(NULL);
	stub_event("c00001", "create");
	leave();
	assert_int_equal(stub_watchers(), 0);
	stub_event("c00001", "done");
}

/* --- Check --- */

static void test_check(void **state)
{
	struct js *r;

	(void)state;
	open_with(3);
	stub.at_risk = "c00002";
	r = result(peer_ask(&peer, CALL("Check", "{\"name\":\"c00001\"}")), NULL);
	assert_int_equal(js_len(js_arr(r, "checks")), 1);
	assert_string_equal(name_at(js_arr(r, "checks"), 0), "c00001");
	assert_string_equal(js_str(js_obj(js_at(js_arr(r, "checks"), 0), "check"), "verdict"), "ok");
	js_free(r);
	r = result(peer_ask(&peer, CALL("Check", "{\"name\":\"c00002\"}")), NULL);
	assert_string_equal(js_str(js_obj(js_at(js_arr(r, "checks"), 0), "check"), "verdict"), "fail");
	js_free(r);
	peer_expect_error(&peer, CALL("Check", "{\"name\":\"nobody\"}"), AGENT "NoSuchCertificate", "name", "nobody");
	peer_expect_error(&peer, CALL("Check", "{}"), SERVICE "ExpectedMore", NULL, NULL);
	stub.checks_gone = true;
	r = peer_ask(&peer, CALL("Check", "{\"name\":\"c00001\"}"));
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	js_free(r);
}

static size_t check_all(char *names, size_t room)
{
	bool continues = true;
	size_t n = 0;

	send_call(MORE("Check", "{}"));
	while (continues) {
		struct js *r = result(peer_take(&peer), &continues);
		const struct js *list = js_arr(r, "checks");

		assert_non_null(list);
		for (size_t i = 0; i < js_len(list); i++, n++)
			snprintf(names + strlen(names), room - strlen(names), "%s ", name_at(list, i));
		js_free(r);
	}
	return n;
}

static void test_check_all(void **state)
{
	char names[4096] = "";

	(void)state;
	open_with(100);
	assert_int_equal(check_all(names, sizeof names), 100);
	assert_int_equal(stub.checks_most, 4);
	for (size_t i = 0; i < 100; i++)
		assert_non_null(strstr(names, stub_cert(i)->name));
	stub.checks_gone = true; /* those that left meanwhile are passed over */
	assert_int_equal(check_all(names, sizeof names), 0);
}

static void test_check_of_few(void **state)
{
	char names[4096] = "";
	struct js *r;

	(void)state;
	open_with(1);
	r = result(peer_ask(&peer, CALL("Check", "{}")), NULL);
	assert_int_equal(js_len(js_arr(r, "checks")), 1);
	js_free(r);
	assert_int_equal(check_all(names, sizeof names), 1);
	stub_remove(0);
	assert_int_equal(check_all(names, sizeof names), 0);
	r = result(peer_ask(&peer, CALL("Check", "{}")), NULL);
	assert_int_equal(js_len(js_arr(r, "checks")), 0);
	js_free(r);
}

static void test_checking_caller_leaves(void **state)
{
	(void)state;
	open_with(100);
	stub.checks_silent = true;
	send_call(MORE("Check", "{}"));
	while (!stub.checks)
		loop_turn(true);
	assert_int_equal(stub.checks, 4);
	leave();
	assert_int_equal(stub.checks, 0);
	assert_int_equal(stub.checks_over, 0);
}

/* --- Watch --- */

static void test_watch(void **state)
{
	enum { CERTS = 100 };
	bool current = false, continues = false;
	unsigned seen = 0;

	(void)state;
	open_with(CERTS);
	peer_expect_error(&peer, CALL("Watch", "{}"), SERVICE "ExpectedMore", NULL, NULL);
	peer_expect_error(&peer, MORE("Watch", "{\"name\":\"nobody\"}"), AGENT "NoSuchCertificate", "name", "nobody");
	send_call(MORE("Watch", "{}"));
	while (!current) {
		struct js *r = result(peer_take(&peer), &continues);

		assert_true(continues);
		seen += (unsigned)js_len(js_arr(r, "certificates"));
		current = js_bool(r, "current", false);
		js_free(r);
	}
	assert_int_equal(seen, CERTS);
	stub_event("c00042", "create");
	stub_event("c00099", "done");
	expect_progress("create");
	expect_progress("done");
	leave();
	assert_int_equal(stub_watchers(), 0);
}

static void test_watch_one(void **state)
{
	bool continues;
	struct js *r;

	(void)state;
	open_with(1500); /* more than one turn looks at */
	send_call(MORE("Watch", "{\"name\":\"c01400\"}"));
	r = result(peer_take(&peer), &continues);
	assert_int_equal(js_len(js_arr(r, "certificates")), 1);
	assert_string_equal(name_at(js_arr(r, "certificates"), 0), "c01400");
	assert_true(js_bool(r, "current", false));
	js_free(r);
	stub_event("c01399", "create");
	stub_event("c01400", "done");
	expect_progress("done");
}

/* While the present state is still being told, an event of what was told already is passed on, and one of what is yet
 * to come is not: it will be told as it stands then. In both cases the last word is the newest. */
static void test_watch_has_no_gap(void **state)
{
	const char *last_behind = NULL, *last_ahead = NULL;
	bool current = false, continues, early = false;

	(void)state;
	open_with(3000);
	send_call(MORE("Watch", "{}"));
	js_free(result(peer_take(&peer), &continues));
	stub_cert(3)->state = CERT_ORDERING;
	stub_event("c00003", "create");
	stub_cert(2990)->state = CERT_ORDERING;
	stub_event("c02990", "create");
	while (!current) {
		struct js *r = result(peer_take(&peer), &continues);
		struct js *certs = js_arr(r, "certificates"), *event = js_obj(r, "event");

		for (size_t i = 0; i < js_len(certs); i++) {
			if (strcmp(name_at(certs, i), "c00003") == 0)
				last_behind = "state";
			if (strcmp(name_at(certs, i), "c02990") == 0)
				last_ahead = strcmp(js_str(js_at(certs, i), "state"), "ordering") == 0 ? "new state"
												       : "old state";
		}
		if (event && strcmp(js_str(event, "cert"), "c00003") == 0)
			last_behind = "event";
		early = early || (event && strcmp(js_str(event, "cert"), "c02990") == 0);
		current = js_bool(r, "current", false);
		js_free(r);
	}
	assert_string_equal(last_behind, "event");
	assert_string_equal(last_ahead, "new state");
	assert_false(early);
}

/* --- Reload --- */

static void test_reload(void **state)
{
	struct js *report = js_object(), *problems = js_array(), *problem = js_object(), *r;
	struct err err = {0};

	(void)state;
	open_with(0);
	js_put_str(problem, "file", "/etc/dovad/conf.d/x.conf");
	js_put_str(problem, "text", "bad");
	js_add(problems, problem);
	js_put_str(report, "digest", "abc");
	js_put_bool(report, "changed", true);
	js_put(report, "problems", problems);
	send_call(CALL("Reload", "{}"));
	while (!reloads)
		loop_turn(true);
	reload_done(reload_arg, report, NULL);
	js_free(report);
	r = result(peer_take(&peer), NULL);
	assert_string_equal(js_str(r, "digest"), "abc");
	assert_true(js_bool(r, "changed", false));
	assert_int_equal(js_int(r, "errors", 0), 1);
	assert_string_equal(js_str(js_at(js_arr(r, "problems"), 0), "text"), "bad");
	js_free(r);

	send_call(CALL("Reload", "{}"));
	while (reloads < 2)
		loop_turn(true);
	err_set(&err, ERR_LOCAL, "keeper", "the keeper does not answer");
	reload_done(reload_arg, NULL, &err);
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	js_free(r);
	r = result(peer_ask(&peer, CALL("Status", "{}")), NULL); /* what was known before still is */
	assert_int_equal(js_int(r, "errors", 0), 1);
	js_free(r);
}

static void test_reload_one_at_a_time(void **state)
{
	struct js *report = js_object();
	struct peer other;

	(void)state;
	open_with(0);
	send_call(CALL("Reload", "{}"));
	while (!reloads)
		loop_turn(true);
	peer_open(&other, path);
	peer_expect_error(&other, CALL("Reload", "{}"), AGENT "Busy", NULL, NULL);
	leave(); /* who asked goes; the reload goes on */
	peer_expect_error(&other, CALL("Reload", "{}"), AGENT "Busy", NULL, NULL);
	reload_done(reload_arg, report, NULL);
	js_free(report);
	assert_true(peer_send(&other, CALL("Reload", "{}"), sizeof CALL("Reload", "{}")));
	while (reloads < 2)
		loop_turn(true);
	peer_close(&other);
	/* and the service closes with one under way: see tear_down */
}

/* --- Revoke --- */

static void test_revoke(void **state)
{
	static const struct {
		const char *call;
		int reason;
	} rows[] = {
		{CALL("Revoke", "{\"name\":\"c00001\"}"), 0},
		{CALL("Revoke", "{\"name\":\"c00001\",\"reason\":\"unspecified\"}"), 0},
		{CALL("Revoke", "{\"name\":\"c00001\",\"reason\":\"keyCompromise\"}"), 1},
		{CALL("Revoke", "{\"name\":\"c00001\",\"reason\":\"affiliationChanged\"}"), 3},
		{CALL("Revoke", "{\"name\":\"c00001\",\"reason\":\"superseded\"}"), 4},
		{CALL("Revoke", "{\"name\":\"c00001\",\"reason\":\"cessationOfOperation\"}"), 5},
		{CALL("Revoke", "{\"name\":\"c00001\",\"reason\":\"privilegeWithdrawn\"}"), 9},
	};

	(void)state;
	open_with(3);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct js *r;

		stub.revoked = NULL;
		send_call(rows[i].call);
		while (!stub.revoked)
			loop_turn(true);
		assert_int_equal(stub.reason, rows[i].reason);
		stub.revoked(stub.revoked_arg, NULL);
		r = result(peer_take(&peer), NULL);
		assert_string_equal(js_str(js_obj(r, "certificate"), "name"), "c00001");
		js_free(r);
	}
	peer_expect_error(&peer, CALL("Revoke", "{\"name\":\"c00001\",\"reason\":\"boredom\"}"),
		SERVICE "InvalidParameter", "parameter", "reason");
	peer_expect_error(&peer, CALL("Revoke", "{\"name\":\"nobody\"}"), AGENT "NoSuchCertificate", "name", "nobody");
}

static void test_revocation_fails_or_outlives_its_caller(void **state)
{
	struct err err = {0};
	struct js *r;

	(void)state;
	open_with(3);
	err_set(&err, ERR_DENIED, "alreadyRevoked", "it is revoked already");
	send_call(CALL("Revoke", "{\"name\":\"c00001\"}"));
	while (!stub.revoked)
		loop_turn(true);
	stub.revoked(stub.revoked_arg, &err);
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	assert_string_equal(js_str(js_obj(r, "parameters"), "type"), "alreadyRevoked");
	js_free(r);
	stub.revoked = NULL;
	send_call(CALL("Revoke", "{\"name\":\"c00001\"}"));
	while (!stub.revoked)
		loop_turn(true);
	leave();
	stub_remove(1);
	stub.revoked(stub.revoked_arg, NULL);
	stub.revoked = NULL;
	send_call(CALL("Revoke", "{\"name\":\"c00002\"}")); /* and one is under way when the service closes */
	while (!stub.revoked)
		loop_turn(true);
}

/* --- what an account has --- */

static void ask_inventory(const char *call, const char *what)
{
	send_call(call);
	while (!stub.inventory)
		loop_turn(true);
	assert_string_equal(stub.inventory, what);
	free(stub.inventory);
	stub.inventory = NULL;
}

static void test_inventory(void **state)
{
	static const struct { const char *method, *call, *what, *member, *list; } rows[] = {
		{"ListInstances", CALL("ListInstances", "{\"ca\":\"alibaba\"}"), "alibaba 0", "instances",
			"[{\"id\":\"cas_dv-1\",\"certificate\":\"DV\",\"brand\":\"WoSign\",\"spec\":\"ws.dv.f\",\"source\":\"BUY\",\"state\":\"normal\","
			"\"certificate_state\":\"issued\",\"names\":[\"a.example\"],\"single\":1,\"wildcards\":0,\"ends\":\"2027-01-01T00:00:00Z\"}]"},
		{"ListContacts", CALL("ListContacts", "{\"ca\":\"b\"}"), "b 1", "contacts",
			"[{\"id\":\"5\",\"name\":\"Tom\",\"email\":\"t@a.example\",\"email_verified\":true,\"mobile_verified\":false}]"},
		{"ListCompanies", CALL("ListCompanies", "{\"ca\":\"b\"}"), "b 2", "companies", "[{\"id\":\"6\",\"name\":\"A\",\"city\":\"B\",\"country\":\"CN\"}]"},
	};
	struct err err;

	(void)state;
	open_with(1);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct js *list = js_parse(rows[i].list, strlen(rows[i].list), &err), *r;
		char *text;

		ask_inventory(rows[i].call, rows[i].what);
		stub.listed(stub.listed_arg, list, NULL);
		r = result(peer_take(&peer), NULL);
		idl_check_reply(rows[i].method, r);
		text = js_dump(js_arr(r, rows[i].member));
		assert_string_equal(text, rows[i].list);
		free(text);
		js_free(list);
		js_free(r);
	}
	peer_expect_error(&peer, CALL("ListInstances", "{}"), SERVICE "InvalidParameter", "parameter", "ca");
}

static void test_inventory_fails_or_outlives_its_caller(void **state)
{
	struct err err = {0};
	struct js *r;

	(void)state;
	open_with(1);
	err_set(&err, ERR_DENIED, "InvalidAccessKeyId.NotFound", "there is no such key");
	ask_inventory(CALL("ListInstances", "{\"ca\":\"x\"}"), "x 0");
	stub.listed(stub.listed_arg, NULL, &err);
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), AGENT "Failed");
	assert_string_equal(js_str(js_obj(r, "parameters"), "detail"), "there is no such key");
	js_free(r);
	ask_inventory(CALL("ListInstances", "{\"ca\":\"x\"}"), "x 0");
	leave();
	stub.listed(stub.listed_arg, NULL, &err);
	ask_inventory(CALL("ListContacts", "{\"ca\":\"x\"}"), "x 1"); /* and one is under way when the service closes */
}

/* --- Rollback --- */

static void begin_rollback(bool wait)
{
	stub.back = NULL;
	if (wait)
		send_call(MORE("Rollback", "{\"name\":\"c00001\",\"wait\":true}"));
	else
		send_call(CALL("Rollback", "{\"name\":\"c00001\"}"));
	while (!stub.back)
		loop_turn(true);
}

static void expect_refusal(const char *type, const char *error)
{
	struct err err;
	struct js *r;

	begin_rollback(false);
	err_set(&err, ERR_TEMP, type, "because");
	stub.back(stub.back_arg, &err);
	r = peer_take(&peer);
	assert_string_equal(js_str(r, "error"), error);
	js_free(r);
}

static void expect_certificate(void)
{
	struct js *r = result(peer_take(&peer), NULL);

	assert_string_equal(js_str(js_obj(r, "certificate"), "name"), "c00001");
	js_free(r);
}

static void test_rollback(void **state)
{
	struct err err;

	(void)state;
	open_with(3);
	begin_rollback(false);
	stub.back(stub.back_arg, NULL);
	expect_certificate();
	expect_refusal("no-previous", AGENT "Failed");
	expect_refusal("busy", AGENT "Busy");
	begin_rollback(true);
	stub.back(stub.back_arg, NULL);
	expect_progress(NULL);
	err_set(&err, ERR_LOCAL, "rolledBack", "an operator wanted it"); /* held is how it should end: no failure, though it has a reason */
	cert_set_error(stub_cert(1), &err, 1);
	stub_event("c00001", "done");
	expect_progress("done");
	expect_certificate();
	assert_int_equal(stub_watchers(), 0);
	begin_rollback(true);
	leave();
	stub.back(stub.back_arg, NULL);
	assert_int_equal(stub_watchers(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_renew),
		ROW(test_renew_and_wait),
		ROW(test_renew_and_wait_for_one_answer),
		ROW(test_renewal_fails),
		ROW(test_renewed_certificate_is_removed),
		ROW(test_renewal_is_planned_anew),
		ROW(test_renewed_certificate_is_disabled),
		ROW(test_waiting_caller_leaves),
		ROW(test_check),
		ROW(test_check_all),
		ROW(test_check_of_few),
		ROW(test_checking_caller_leaves),
		ROW(test_watch),
		ROW(test_watch_one),
		ROW(test_watch_has_no_gap),
		ROW(test_reload),
		ROW(test_reload_one_at_a_time),
		ROW(test_revoke),
		ROW(test_rollback),
		ROW(test_revocation_fails_or_outlives_its_caller),
		ROW(test_inventory),
		ROW(test_inventory_fails_or_outlives_its_caller),
	};

	alarm(120); /* a reply that never comes is a failure, not a wait */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
