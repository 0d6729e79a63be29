/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/conf_follow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf_made.h"
#include "io/loop.h"
#include "simtime.h"

enum { HELD = 8 };

/* A keeper that holds every request until the test has it answered. */
struct bed {
	const char *snippet; /* what it has accepted now */
	struct {
		struct rpc_request *request;
		char op[16];
	} held[HELD];
	size_t n, asked; /* held now; in all */
	struct rpc *rpc;
	struct rpc_peer *peer;
	struct conf_follow *follow;
	/* what came of it */
	char said[256];  /* one word for each thing that happened, in order */
};

static void say(struct bed *b, const char *word)
{
	size_t len = strlen(b->said);

	snprintf(b->said + len, sizeof(b->said) - len, "%s ", word);
}

static void said(struct bed *b, const char *words)
{
	assert_string_equal(b->said, words);
	b->said[0] = '\0';
}

static void called(void *arg, struct rpc_request *q, const struct js *request)
{
	struct bed *b = arg;

	assert_in_range(b->n, 0, HELD - 1);
	snprintf(b->held[b->n].op, sizeof(b->held[b->n].op), "%s", js_str(request, "op"));
	b->held[b->n++].request = q;
	b->asked++;
}

static void closed(void *arg, struct rpc_peer *p)
{
	(void)p;
	((struct bed *)arg)->peer = NULL;
}

static int dial(void *arg, struct err *err)
{
	static const struct rpc_serve_ops ops = { .call = called, .closed = closed };
	struct bed *b = arg;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	b->peer = rpc_serve(fds[1], 1 << 20, &ops, b, err);
	return fds[0];
}

static struct conf *accepted(const struct bed *b, struct js *files)
{
	const struct conf_source v[] = { made_source(MAIN_PATH, MAIN_TEXT, CONF_MAIN), made_source("/etc/a.conf", b->snippet, CONF_SNIPPET) };

	for (size_t i = 0; files && i < 2; i++) {
		struct js *file = js_object();

		js_put_str(file, "path", v[i].path);
		js_put_str(file, "kind", i ? "snippet" : "main");
		js_put_str(file, "text", v[i].text);
		js_add(files, file);
	}
	return conf_build(v, 2, NULL, 0);
}

/* Let everything come that is under way; time passes only for what is waited for. */
static void settle(void)
{
	for (int i = 0; i < 6; i++)
		loop_turn(false);
}

static struct rpc_request *take(struct bed *b, const char *op)
{
	struct rpc_request *q;

	settle();
	assert_in_range(b->n, 1, HELD);
	assert_string_equal(b->held[0].op, op);
	q = b->held[0].request;
	memmove(&b->held[0], &b->held[1], --b->n * sizeof(b->held[0]));
	return q;
}

static void answer_conf(struct bed *b)
{
	struct js *v = js_object(), *files = js_array();
	struct rpc_request *q = take(b, "conf");
	struct conf *conf = accepted(b, files);

	js_put_str(v, "digest", conf->digest);
	js_put(v, "files", files);
	conf_free(conf);
	rpc_answer(q, v);
	settle();
}

/* The keeper has read the disk: this is what it accepts now. */
static void answer_reload(struct bed *b, const char *snippet, const char *mark)
{
	struct js *v = js_object();
	struct conf *conf;

	b->snippet = snippet;
	conf = accepted(b, NULL);
	js_put_str(v, "digest", conf->digest);
	js_put_str(v, "mark", mark);
	conf_free(conf);
	rpc_answer(take(b, "reload"), v);
	settle();
}

static void refuse(struct bed *b, const char *op)
{
	struct err err;

	err_set(&err, ERR_LOCAL, "disk", "no luck");
	rpc_refuse(take(b, op), &err);
	settle();
}

static void fetched(void *arg, struct conf *conf, const struct js *report, const struct err *err)
{
	struct bed *b = arg;

	assert_true((conf == NULL) == (err != NULL) && (err || report));
	say(b, err ? "unfetched" : conf->cert.n ? conf->cert.v[0].name : "none");
	conf_free(conf);
}

static void reloading(void *arg, bool busy)
{
	say(arg, busy ? "busy" : "free");
}

static void reloaded(void *arg, const struct js *report, const struct err *err)
{
	assert_true((report == NULL) == (err != NULL));
	say(arg, err ? err->detail : js_str(report, "mark"));
}

static const char nothing[] = "", one[] = "certificate = { name = \"one\"; names = [ \"a.test\" ]; };\n",
		  two[] = "certificate = { name = \"two\"; names = [ \"b.test\" ]; };\n";

static int setup(void **state)
{
	static const struct rpc_ops ops = { .connect = dial };
	static const struct conf_follow_ops follow = { fetched, reloading };
	struct bed *b = mem_alloc(sizeof(*b));
	struct err err;

	simtime_start(1800000000);
	assert_true(loop_open(&err));
	b->snippet = nothing;
	b->rpc = rpc_new(&ops, b);
	b->follow = conf_follow_new(b->rpc, &follow, b);
	answer_conf(b);
	said(b, "none ");
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	conf_follow_free(b->follow);
	rpc_free(b->rpc);
	rpc_peer_close(b->peer);
	while (b->n)
		rpc_answer(b->held[--b->n].request, NULL);
	loop_turn(false);
	free(b);
	loop_close();
	simtime_stop();
	return 0;
}

static void reload_is_over_when_its_result_is_here(void **state)
{
	struct bed *b = *state;

	conf_follow_reload(b->follow, reloaded, b);
	said(b, "busy ");
	answer_reload(b, one, "first");
	said(b, "");
	answer_conf(b);
	said(b, "one free first ");
	assert_int_equal(b->n, 0);
}

static void a_fetch_begun_before_does_not_end_it(void **state)
{
	struct bed *b = *state;

	conf_follow_changed(b->follow);
	settle();
	conf_follow_reload(b->follow, reloaded, b);
	answer_conf(b); /* of before: ends while the keeper still reads */
	said(b, "busy none ");
	answer_reload(b, one, "first");
	said(b, "");
	answer_conf(b);
	said(b, "one free first ");
}

static void a_fetch_begun_before_that_ends_late_does_not_end_it(void **state)
{
	struct bed *b = *state;
	struct rpc_request *old;

	conf_follow_changed(b->follow);
	old = take(b, "conf");
	conf_follow_reload(b->follow, reloaded, b);
	answer_reload(b, one, "first");
	b->snippet = nothing; /* what the old fetch still brings */
	b->held[b->n].request = old;
	snprintf(b->held[b->n++].op, sizeof(b->held[0].op), "conf");
	answer_conf(b);
	said(b, "busy none ");
	b->snippet = one;
	answer_conf(b);
	said(b, "one free first ");
}

static void a_fetch_begun_before_that_fails_does_not_fail_it(void **state)
{
	struct bed *b = *state;

	conf_follow_changed(b->follow);
	settle();
	conf_follow_reload(b->follow, reloaded, b);
	refuse(b, "conf");
	said(b, "busy unfetched ");
	answer_reload(b, one, "first");
	answer_conf(b);
	said(b, "one free first ");
}

static void its_own_failures_fail_it(void **state)
{
	struct bed *b = *state;

	conf_follow_reload(b->follow, reloaded, b);
	refuse(b, "reload");
	said(b, "busy free no luck ");
	conf_follow_reload(b->follow, reloaded, b);
	answer_reload(b, one, "second");
	refuse(b, "conf");
	said(b, "busy unfetched free no luck ");
	assert_int_equal(b->n, 0);
}

static void a_change_while_the_disk_is_read_is_one_fetch(void **state)
{
	struct bed *b = *state;
	size_t before = b->asked;

	conf_follow_reload(b->follow, reloaded, b);
	settle();
	conf_follow_changed(b->follow); /* the keeper tells of it before it answers */
	answer_reload(b, one, "first");
	answer_conf(b);
	said(b, "busy one free first ");
	assert_int_equal(b->asked, before + 2);
	/* ... nor is it lost when the reload is. */
	conf_follow_reload(b->follow, reloaded, b);
	settle();
	conf_follow_changed(b->follow);
	b->snippet = two;
	refuse(b, "reload");
	answer_conf(b);
	said(b, "busy free no luck two ");
}

static void a_change_during_its_fetch_is_fetched_after_it(void **state)
{
	struct bed *b = *state;

	conf_follow_reload(b->follow, reloaded, b);
	answer_reload(b, one, "first");
	conf_follow_changed(b->follow);
	answer_conf(b);
	said(b, "busy one free first ");
	b->snippet = two;
	answer_conf(b);
	said(b, "two ");
}

static void many_asked_for_meanwhile_are_one_more(void **state)
{
	struct bed *b = *state;

	conf_follow_reload(b->follow, NULL, NULL);
	conf_follow_reload(b->follow, NULL, NULL);
	conf_follow_reload(b->follow, reloaded, b);
	conf_follow_reload(b->follow, NULL, NULL);
	answer_reload(b, one, "first");
	answer_conf(b);
	said(b, "busy one free busy ");
	answer_reload(b, two, "second");
	answer_conf(b);
	said(b, "two free second ");
	assert_int_equal(b->n, 0);
}

static void it_can_be_left_at_any_moment(void **state)
{
	struct bed *b = *state;

	conf_follow_reload(b->follow, reloaded, b);
	answer_reload(b, one, "first");
	conf_follow_reload(b->follow, reloaded, b);
	settle(); /* the rest is the teardown's, under the sanitizer */
	assert_int_equal(b->n, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(reload_is_over_when_its_result_is_here),
		TEST(a_fetch_begun_before_does_not_end_it),
		TEST(a_fetch_begun_before_that_ends_late_does_not_end_it),
		TEST(a_fetch_begun_before_that_fails_does_not_fail_it),
		TEST(its_own_failures_fail_it),
		TEST(a_change_while_the_disk_is_read_is_one_fetch),
		TEST(a_change_during_its_fetch_is_fetched_after_it),
		TEST(many_asked_for_meanwhile_are_one_more),
		TEST(it_can_be_left_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
