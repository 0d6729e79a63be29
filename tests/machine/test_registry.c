/* SPDX-License-Identifier: ISC */
/* All certificates together: limits, who waits for whom, what an operator may ask, who watches, and a journal that cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define LE(more) "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://le.test/dir\"; " more " } );\n"
#define REST SCRIPT_HTTP SCRIPT_SERVICE

/* n certificates c0, c1, ... after `head`; caller owns. */
static char *many(const char *head, unsigned n)
{
	char *text = mem_printf("%scertificate = (", head);

	for (unsigned i = 0; i < n; i++) {
		char *longer = mem_printf("%s%s{ name = \"c%u\"; names = [ \"c%u.test\" ]; }", text, i ? ", " : " ", i, i);

		free(text);
		text = longer;
	}
	head = text;
	text = mem_printf("%s );\n", head);
	free((char *)head);
	return text;
}

static void conf_many(struct script *s, const char *head, unsigned n)
{
	char *text = many(head, n);

	script_conf(s, text);
	free(text);
}

static bool all_served(struct script *s, const void *arg)
{
	struct registry_summary sum;

	registry_summary(s->registry, &sum);
	return sum.running == 0 && sum.failing == 0 && s->issued >= *(const unsigned *)arg;
}

/* --- the limit at each CA -------------------------------------------------------------------------------------------------------- */

static size_t running(struct script *s)
{
	struct registry_summary sum;

	registry_summary(s->registry, &sum);
	return sum.running;
}

static void no_more_orders_at_once_than_the_ca_allows(void **state)
{
	struct script *s = *state;
	unsigned n = 40;
	size_t most = 0;

	script_rule(s, OP_CREATE, PASS)->delay_ms = 50;
	s->rules->times = ALWAYS;
	conf_many(s, LE("max_orders = 3;") REST, n);
	while (!all_served(s, &n)) {
		loop_turn(true);
		most = running(s) > most ? running(s) : most;
	}
	/* Those that only deploy do not count: there may be some more for a moment. */
	assert_in_range(most, 3, 8);
	assert_int_equal(s->created, 40);
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 5);
}

static void a_higher_limit_counts_at_once(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_CREATE, SILENT)->times = ALWAYS;
	conf_many(s, LE("max_orders = 2;") REST, 10);
	script_run(s, 1000);
	assert_int_equal(s->count[OP_CREATE], 2);
	conf_many(s, LE("max_orders = 7;") REST, 10);
	script_run(s, 1000);
	assert_int_equal(s->count[OP_CREATE], 7);
	conf_many(s, LE("max_orders = 1;") REST, 10); /* a lower one cancels nobody */
	script_run(s, 1000);
	assert_int_equal(s->count[OP_CREATE], 7);
	assert_int_equal(running(s), 7);
}

/* Those who wait for a CA whose entry changes wait for the new one. */
static void a_queue_survives_its_ca(void **state)
{
	struct script *s = *state;
	unsigned n = 6;

	script_rule(s, OP_CREATE, SILENT);
	conf_many(s, LE("max_orders = 1;") REST, 6);
	script_run(s, 1000);
	assert_int_equal(s->count[OP_CREATE], 1);
	conf_many(s, LE("max_orders = 2; contact = [ \"mailto:new@a.test\" ];") REST, 6);
	script_run(s, 1000);
	assert_int_equal(s->issued, 5);
	script_forget_rules(s);
	conf_many(s, LE("max_orders = 2;") REST, 6);
	assert_int_equal(running(s), 1); /* still with the old one, whose answer never comes */
	script_crash(s);
	script_until(s, all_served, &n, 10 * (int64_t)DAY_MS);
	assert_int_equal(s->created, 6);
}

/* --- I5: nobody waits for somebody else's failure ----------------------------------------------------------------------------------- */

static void one_that_fails_delays_nobody(void **state)
{
	static const enum script_op ops[] = { OP_CREATE, OP_AUTHZ, OP_PUBLISH, OP_SEE, OP_ANNOUNCE, OP_WITHDRAW, OP_REQUEST, OP_INSTALL, OP_LOOK };
	static const enum script_what what[] = { FAIL, SILENT };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof ops / sizeof ops[0]; i++) {
		void *world;
		struct script *s;
		struct script_rule *rule;

		assert_int_equal(script_setup(&world), 0);
		s = world;
		rule = script_rule(s, ops[i / 2], what[i % 2]);
		rule->times = ALWAYS;
		rule->about = ops[i / 2] == OP_LOOK ? "127.0.0.1:1" : ops[i / 2] == OP_REQUEST || ops[i / 2] == OP_INSTALL ? "bad" : "bad.test";
		script_conf(s, LE("max_orders = 4;") SCRIPT_HTTP "service = ( { name = \"web\"; unit = \"w.service\"; look = [ \"127.0.0.1:443\" ]; }, "
			"{ name = \"odd\"; unit = \"o.service\"; look = [ \"127.0.0.1:1\" ]; } );\n"
			"certificate = ( { name = \"bad\"; names = [ \"bad.test\" ]; service = [ \"odd\" ]; }, " SCRIPT_CERT("a", "") ", " SCRIPT_CERT("b", "")
			", " SCRIPT_CERT("z", "") " );");
		script_run(s, 1000);
		if (!script_is_served(s, "a") || !script_is_served(s, "b") || !script_is_served(s, "z"))
			fail_msg("operation %d: %s", (int)ops[i / 2], s->trace);
		script_forget_rules(s);
		script_until_served(s, "bad");
		script_run(s, 2 * HOUR_MS); /* left-overs */
		assert_int_equal(script_teardown(&world), 0);
	}
}

static void one_bad_ca_delays_nobody(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_rule(s, OP_ACCOUNT, SILENT);

	rule->about = "dead";
	rule->times = ALWAYS;
	script_conf(s, "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://le.test/dir\"; }, "
		"{ name = \"dead\"; type = \"acme\"; directory = \"https://dead.test/dir\"; } );\n" REST
		"certificate = ( " SCRIPT_CERT("a", "") ", " SCRIPT_CERT("d", "ca = \"dead\";") ", " SCRIPT_CERT("e", "ca = \"dead\";") " );");
	script_run(s, 1000);
	assert_int_equal(script_place(s, "a")->current, 1); /* they may all be put into service together, and are awaited for that, but not for long */
	script_run(s, 10000);
	assert_true(script_is_served(s, "a"));
	assert_int_equal(running(s), 2);
}

static void the_cas_pause_holds_for_all_of_its_orders(void **state)
{
	struct script *s = *state;
	unsigned n = 5;

	conf_many(s, LE("max_orders = 1;") REST, 5);
	script_until_op(s, OP_CREATE, 1);
	s->ca_not_before = SCRIPT_NOW + 500;
	script_run(s, 400000);
	assert_int_equal(s->count[OP_CREATE], 1);
	assert_int_equal(script_cert(s, "c3")->next_at, SCRIPT_NOW + 500);
	assert_int_equal(script_cert(s, "c3")->attempts, 0);
	script_until(s, all_served, &n, 200000);
	assert_in_range(clock_now(), SCRIPT_NOW + 500, SCRIPT_NOW + 510);
}

/* What needs no CA does not wait for one. */
static void a_pause_of_the_ca_does_not_hold_up_an_installation(void **state)
{
	struct script *s = *state;

	script_fail(s, OP_TEST, ERR_LOCAL, "exit");
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	s->ca_not_before = SCRIPT_NOW + 90000;
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW + 40, SCRIPT_NOW + 80);
}

static void a_limit_that_was_told_is_kept_to_the_second(void **state)
{
	struct script *s = *state;
	struct script_rule *rule = script_fail(s, OP_CREATE, ERR_LIMIT, "rateLimited");

	rule->err.not_before = SCRIPT_NOW + 3 * 86400;
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	assert_int_equal(script_cert(s, "a")->next_at, SCRIPT_NOW + 3 * 86400);
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, 3 * (int64_t)DAY_MS - 10000);
	assert_int_equal(s->count[OP_CREATE], 1);
	script_run(s, 11000);
	assert_true(script_is_served(s, "a"));
}

/* --- operators ---------------------------------------------------------------------------------------------------------------------- */

static void renewing_one_that_is_not_due_is_refused_unless_forced(void **state)
{
	struct script *s = *state;
	struct cert *c;
	struct err err;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	c = script_cert(s, "a");
	assert_false(registry_renew(s->registry, c, false, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_string_equal(err.type, "not-due");
	assert_non_null(strstr(err.detail, "2027-03-"));
	assert_true(registry_renew(s->registry, c, true, &err));
	script_until_op(s, OP_CREATE, 2);
	assert_true(c->forced);
	assert_true(registry_renew(s->registry, c, true, &err)); /* already on its way: nothing more */
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
	assert_false(c->forced);
	assert_false(registry_renew(s->registry, c, false, &err));
}

static void a_forced_renewal_outlives_a_restart(void **state)
{
	struct script *s = *state;
	struct err err;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_rule(s, OP_ACCOUNT, FAIL);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_until_state(s, "a", CERT_FAILED);
	script_crash(s);
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2);
}

static void one_that_failed_may_be_renewed_without_force(void **state)
{
	struct script *s = *state;
	struct err err;

	script_fail(s, OP_CREATE, ERR_DENIED, "caa");
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	assert_true(registry_renew(s->registry, script_cert(s, "a"), false, &err));
	assert_int_equal(s->retried, 1); /* the CA's own memory of refusals, too */
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 5);
}

static void a_disabled_one_is_left_alone(void **state)
{
	struct script *s = *state;
	struct cert *c;
	struct err err;

	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "enabled = false;") " );");
	script_run(s, 100 * (int64_t)DAY_MS);
	c = script_cert(s, "a");
	assert_int_equal(s->count[OP_ACCOUNT], 0);
	assert_int_equal(c->state, CERT_DISABLED);
	assert_int_equal(c->next_at, 0);
	assert_false(registry_renew(s->registry, c, true, &err));
	assert_string_equal(err.type, "disabled");
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "enabled = false;") " );");
	assert_int_equal(c->state, CERT_DISABLED);
	assert_int_equal(c->not_after != 0, true);
	script_stop(s);
	script_conf(s, NULL);
	script_run(s, 100 * (int64_t)DAY_MS);
	assert_int_equal(s->created, 1);
	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	assert_int_equal(s->created, 2);
}

static void a_part_that_cannot_be_made_is_made_later(void **state)
{
	struct script *s = *state;

	s->no_issuer = true;
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	assert_string_equal(script_cert(s, "a")->last_error->detail, "cannot read ca_file");
	assert_null(registry_issuer(s->registry, "le"));
	s->no_issuer = false;
	script_until_served(s, "a");
	assert_in_range(clock_now(), SCRIPT_NOW, SCRIPT_NOW + 100);
}

/* --- revocation ----------------------------------------------------------------------------------------------------------------------- */

struct told {
	unsigned times;
	struct err err;
};

static void revoked(void *arg, const struct err *err)
{
	struct told *t = arg;

	t->times++;
	if (err)
		t->err = *err;
}

static void revoke(struct script *s, struct told *t)
{
	memset(t, 0, sizeof *t);
	registry_revoke(s->registry, script_cert(s, "a"), 4, revoked, t);
	for (int i = 0; i < 20 && !t->times; i++)
		loop_turn(true);
	assert_int_equal(t->times, 1);
}

static void one_that_is_revoked_is_replaced_at_once(void **state)
{
	struct script *s = *state;
	struct told t;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	revoke(s, &t);
	assert_int_equal(t.err.kind, ERR_NONE);
	script_run(s, 1000);
	assert_int_equal(script_cert(s, "a")->generation, 2);
	assert_true(script_has_event(s, "a", "revoked"));
	assert_int_equal(s->count[OP_REVOKE], 1);
}

/* It had been issued, but not served: what is revoked must not be put into service by the next retry. */
static void one_that_was_never_served_is_not_put_into_service_once_revoked(void **state)
{
	struct script *s = *state;
	struct told t;

	script_fail(s, OP_TEST, ERR_LOCAL, "exit");
	script_conf(s, SCRIPT_ONE);
	script_until_state(s, "a", CERT_FAILED);
	script_until_idle(s, "a");
	revoke(s, &t);
	assert_int_equal(t.err.kind, ERR_NONE);
	script_until_served(s, "a");
	assert_int_equal(script_cert(s, "a")->generation, 2);
	assert_int_equal(s->issued, 2);
}

static void a_failed_revocation_changes_nothing(void **state)
{
	struct script *s = *state;
	struct told t;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	script_fail(s, OP_INSTALLED, ERR_LOCAL, "system");
	revoke(s, &t);
	assert_string_equal(t.err.type, "system");
	script_fail(s, OP_REVOKE, ERR_DENIED, "alreadyRevoked");
	revoke(s, &t);
	assert_string_equal(t.err.type, "alreadyRevoked");
	script_run(s, DAY_MS);
	assert_int_equal(s->created, 1);
	script_conf(s, "ca = ( { name = \"zero\"; type = \"acme\"; directory = \"https://zero.test/dir\"; } );\n" REST
		"certificate = ( " SCRIPT_CERT("a", "enabled = false;") " );");
	revoke(s, &t);
	assert_non_null(strstr(t.err.detail, "not configured"));
}

static void nothing_installed_is_nothing_to_revoke(void **state)
{
	struct script *s = *state;
	struct told t;

	script_rule(s, OP_CREATE, SILENT);
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_CREATE, 1);
	revoke(s, &t);
	assert_string_equal(t.err.type, "not-issued");
}

static void a_stop_in_the_middle_of_it_leaves_nothing_behind(void **state)
{
	static const enum script_op ops[] = { OP_INSTALLED, OP_REVOKE };
	struct script *s = *state;
	struct told t;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	for (size_t i = 0; i < 2; i++) {
		memset(&t, 0, sizeof t);
		script_forget(s);
		script_rule(s, ops[i], SILENT);
		registry_revoke(s->registry, script_cert(s, "a"), 0, revoked, &t);
		script_until_op(s, ops[i], 1);
		script_stop(s);
		assert_int_equal(t.times, 0);
		script_conf(s, NULL);
	}
}

/* --- watching ---------------------------------------------------------------------------------------------------------------------------- */

struct watcher {
	struct registry_watch *watch;
	char said[1024];
	bool leaves;
};

static void watched(void *arg, const struct js *event)
{
	struct watcher *w = arg;
	size_t len = strlen(w->said);

	assert_non_null(js_str(event, "at"));
	assert_non_null(js_str(event, "state"));
	snprintf(w->said + len, sizeof w->said - len, "%s:%s ", js_str(event, "cert"), js_str(event, "event"));
	if (w->leaves)
		registry_unwatch(w->watch);
}

static void watchers_hear_of_every_step(void **state)
{
	struct script *s = *state;
	struct watcher all = { 0 }, b = { 0 }, once = { .leaves = true };

	script_rule(s, OP_INSTALLED, PASS)->delay_ms = 1000;
	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "") ", " SCRIPT_CERT("b", "enabled = false;") " );");
	all.watch = registry_watch(s->registry, NULL, watched, &all);
	b.watch = registry_watch(s->registry, "b", watched, &b);
	once.watch = registry_watch(s->registry, "a", watched, &once);
	script_until_served(s, "a");
	assert_non_null(strstr(all.said, "a:create a:prove a:request a:finalize a:fetch a:issued a:install a:gather a:test a:reload a:look a:confirm"));
	assert_non_null(strstr(all.said, "a:done "));
	assert_string_equal(b.said, "b:planned "); /* nothing, as it is disabled */
	assert_int_equal(strchr(once.said, ' ') - once.said + 1, strlen(once.said)); /* one event, then it left */
	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "") " );");
	assert_string_equal(b.said, "b:planned b:removed ");
	registry_unwatch(all.watch);
	registry_unwatch(b.watch);
}

/* Who comes and goes while nothing happens leaves nothing behind. */
static void watchers_that_leave_are_gone(void **state)
{
	struct script *s = *state;
	struct watcher w = { 0 };

	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "enabled = false;") " );");
	for (int i = 0; i < 100; i++) {
		w.watch = registry_watch(s->registry, "a", watched, &w);
		registry_unwatch(w.watch);
	}
	w.watch = registry_watch(s->registry, NULL, watched, &w); /* and one that stays until the end */
}

/* --- lists --------------------------------------------------------------------------------------------------------------------------------- */

struct list {
	char names[128];
	unsigned room;
};

static bool collect(void *arg, struct cert *c)
{
	struct list *l = arg;

	strcat(strcat(l->names, c->name), " ");
	return --l->room > 0;
}

static void walking_is_in_order_and_can_be_resumed(void **state)
{
	struct script *s = *state;
	struct list l = { .room = 2 };

	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("d", "") ", " SCRIPT_CERT("b", "") ", " SCRIPT_CERT("a", "") " );");
	registry_each(s->registry, NULL, collect, &l);
	assert_string_equal(l.names, "a b ");
	l.room = 9;
	registry_each(s->registry, "b", collect, &l);
	assert_string_equal(l.names, "a b d ");
	registry_each(s->registry, "c", collect, &l); /* one that is gone meanwhile */
	assert_string_equal(l.names, "a b d d ");
	registry_each(s->registry, "z", collect, &l);
	assert_string_equal(l.names, "a b d d ");
	assert_null(registry_find(s->registry, "c"));
	assert_null(registry_find(s->registry, ""));
	assert_non_null(registry_find(s->registry, "d"));
}

/* --- a journal that cannot be written --------------------------------------------------------------------------------------------------------- */

/* Somebody else holds the file, as a full disk would. */
static sqlite3 *seize(struct script *s)
{
	char *path = mem_printf("%s/journal.db", s->dir);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	free(path);
	return db;
}

static void nothing_begins_while_the_journal_cannot_be_written(void **state)
{
	struct script *s = *state;
	sqlite3 *db;

	script_rule(s, OP_INSTALLED, PASS)->delay_ms = 1000;
	script_conf(s, SCRIPT_ONE);
	script_until_op(s, OP_INSTALLED, 1);
	db = seize(s);
	script_run(s, 30 * MINUTE_MS);
	assert_string_equal(s->trace, "installed"); /* not even the account */
	sqlite3_close(db);
	script_run(s, 10000);
	assert_true(script_is_served(s, "a"));
	assert_int_equal(script_cert(s, "a")->attempts, 0);
	assert_int_equal(s->created, 1);
}

static bool record_has_key(struct script *s, const char *name)
{
	struct js *record = script_record(s, "cert", name);
	bool has = js_str(js_obj(record, "products"), "key") != NULL;

	js_free(record);
	return has;
}

/* What nothing hangs on is not written because another certificate must be, but within a second all the same. */
static void what_may_wait_is_written_within_a_second(void **state)
{
	struct script *s = *state;

	script_rule(s, OP_FINALIZE, SILENT); /* the first one that comes so far: it has its key by then */
	script_conf(s, SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "") ", " SCRIPT_CERT("b", "") " );");
	script_until_op(s, OP_INSTALL, 1);
	assert_true(record_has_key(s, "b"));
	assert_false(record_has_key(s, "a"));
	script_run(s, 1000);
	assert_true(record_has_key(s, "a"));
}

static void what_is_under_way_stops_before_its_next_step_and_goes_on_later(void **state)
{
	static const enum script_op ops[] = { OP_CREATE, OP_AUTHZ, OP_PUBLISH, OP_ANNOUNCE, OP_FINALIZE, OP_FETCH, OP_INSTALL, OP_LOAD };
	struct script *s = *state;
	struct err err;

	script_conf(s, SCRIPT_ONE);
	script_until_served(s, "a");
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		unsigned before[SCRIPT_OPS];
		sqlite3 *db;

		script_rule(s, ops[i], PASS)->delay_ms = 100;
		script_forget(s);
		assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
		script_until_op(s, ops[i], 1);
		memcpy(before, s->count, sizeof before);
		db = seize(s);
		script_run(s, 20 * MINUTE_MS);
		/* What can be asked for again needs no record; these do. */
		assert_int_equal(s->count[OP_CREATE], before[OP_CREATE]);
		assert_int_equal(s->count[OP_PUBLISH], before[OP_PUBLISH]);
		assert_int_equal(s->count[OP_INSTALL], before[OP_INSTALL]);
		sqlite3_close(db);
		script_until_served(s, "a");
		assert_int_equal(s->issued, i + 2);
		assert_int_equal(s->created, i + 2);
	}
}

/* Steps with a limit of their own wait, too: more of them than one, so that a queue of them is not torn. */
static void many_that_wait_for_the_journal_all_go_on(void **state)
{
	struct script *s = *state;
	unsigned n = 20;
	sqlite3 *db;

	script_rule(s, OP_AUTHZ, PASS)->delay_ms = 100;
	s->rules->times = ALWAYS;
	conf_many(s, SCRIPT_MAIN, n);
	script_until_op(s, OP_AUTHZ, 20);
	db = seize(s);
	script_run(s, 20 * MINUTE_MS);
	sqlite3_close(db);
	script_until(s, all_served, &n, HOUR_MS);
	assert_int_equal(s->created, 20);
	assert_int_equal(s->issued, 20);
}

/* --- records that are not what they should be --------------------------------------------------------------------------------------------------- */

static void odd_records_do_no_harm(void **state)
{
	static const char *const odd[] = {
		"{}",
		"{\"products\": {}}",
		"{\"products\": {\"url\": \"https://ca.test/order/999\", \"digest\": 0, \"proofs\": [1, {}, {\"url\": 5}]}}",
		"{\"products\": {\"url\": \"https://ca.test/order/999\", \"ca\": \"le\"}, \"attempts\": 2, \"next_at\": 5}",
		"{\"products\": {\"ca\": 7}, \"state\": \"looking\"}",
		"{\"not_after\": 9223372036854775807, \"not_before\": -9223372036854775807, \"digest\": 5}",
		"{\"not_after\": -1, \"next_at\": -9223372036854775807, \"attempts\": 3, \"wish\": 1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		void *world;
		struct script *s;
		struct store *store;
		struct js *record, *chain = js_object();
		struct err err;
		bool fresh;

		assert_int_equal(script_setup(&world), 0);
		s = world;
		store = store_open(s->dir, &fresh, &err);
		js_put_str(chain, "pem", "garbage");
		store_put(store, "chain", "a", chain);
		js_free(chain);
		record = js_parse(odd[i], strlen(odd[i]), &err);
		assert_non_null(record);
		store_put(store, "cert", "a", record);
		store_put(store, "cert", "not-a-name-of-ours", record);
		js_free(record);
		store_close(store);
		script_conf(s, SCRIPT_ONE);
		script_until_served(s, "a");
		assert_true(script_is_served(s, "a"));
		assert_int_equal(script_teardown(&world), 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_setup, script_teardown)
	const struct CMUnitTest tests[] = {
		TEST(no_more_orders_at_once_than_the_ca_allows),
		TEST(a_higher_limit_counts_at_once),
		TEST(a_queue_survives_its_ca),
		cmocka_unit_test(one_that_fails_delays_nobody),
		TEST(one_bad_ca_delays_nobody),
		TEST(the_cas_pause_holds_for_all_of_its_orders),
		TEST(a_pause_of_the_ca_does_not_hold_up_an_installation),
		TEST(a_limit_that_was_told_is_kept_to_the_second),
		TEST(renewing_one_that_is_not_due_is_refused_unless_forced),
		TEST(a_forced_renewal_outlives_a_restart),
		TEST(one_that_failed_may_be_renewed_without_force),
		TEST(a_disabled_one_is_left_alone),
		TEST(a_part_that_cannot_be_made_is_made_later),
		TEST(one_that_is_revoked_is_replaced_at_once),
		TEST(one_that_was_never_served_is_not_put_into_service_once_revoked),
		TEST(a_failed_revocation_changes_nothing),
		TEST(nothing_installed_is_nothing_to_revoke),
		TEST(a_stop_in_the_middle_of_it_leaves_nothing_behind),
		TEST(watchers_hear_of_every_step),
		TEST(watchers_that_leave_are_gone),
		TEST(walking_is_in_order_and_can_be_resumed),
		TEST(nothing_begins_while_the_journal_cannot_be_written),
		TEST(what_may_wait_is_written_within_a_second),
		TEST(what_is_under_way_stops_before_its_next_step_and_goes_on_later),
		TEST(many_that_wait_for_the_journal_all_go_on),
		cmocka_unit_test(odd_records_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
