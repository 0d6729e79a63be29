/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/conf_fetch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "conf_made.h"
#include "io/loop.h"
#include "simtime.h"

enum { FILES = 8 };

/* A keeper that has a few files and hands them out as it is told. */
struct bed {
	struct conf_source file[FILES];
	size_t n, batch;   /* files, and how many in one answer */
	unsigned asked;
	bool silent, restless, lying, broken, no_digest, endless;
	struct err refuse; /* kind ERR_NONE: answers */
	struct rpc *rpc;
	struct rpc_peer *peer;
	struct rpc_request *held;
	/* what came of it */
	bool over;
	struct conf *conf;
	struct js *report;
	struct err err;
};

static struct js *file_to_js(const struct bed *b, size_t i)
{
	static const char *const kinds[] = { [CONF_MAIN] = "main", [CONF_SERVICES] = "services", [CONF_SNIPPET] = "snippet" };
	struct js *v = js_object();

	js_put_str(v, "path", b->file[i].path);
	js_put_str(v, "kind", kinds[b->file[i].kind]);
	if (!b->broken)
		js_put_str(v, "text", b->file[i].text);
	return v;
}

static char *digest_of(const struct bed *b)
{
	struct conf *conf = conf_build(b->file, b->n, NULL, 0);
	char *digest = mem_strdup(b->lying ? "0000" : conf->digest);

	conf_free(conf);
	return digest;
}

static struct js *batch(struct bed *b, int64_t from)
{
	struct js *answer = js_object(), *files = js_array(), *problems = js_array();
	char *digest = digest_of(b);
	size_t i = (size_t)from;

	for (size_t k = 0; k < b->batch && i < b->n; k++)
		js_add(files, file_to_js(b, i++));
	if (from == 0)
		js_put(answer, "problems", js_ref(problems));
	if (!b->no_digest)
		js_put_str(answer, "digest", digest);
	js_put(answer, "files", files);
	if (i < b->n || b->endless)
		js_put_int(answer, "next", b->endless ? 1 : (int64_t)i);
	js_free(problems);
	free(digest);
	return answer;
}

static void called(void *arg, struct rpc_request *q, const struct js *request)
{
	struct bed *b = arg;

	assert_string_equal(js_str(request, "op"), "conf");
	b->asked++;
	if (b->silent)
		b->held = q;
	else if (b->refuse.kind != ERR_NONE)
		rpc_refuse(q, &b->refuse);
	else
		rpc_answer(q, batch(b, js_int(request, "from", 0)));
	if (b->restless) /* another configuration each time */
		b->file[1].text = b->asked % 2 ? "# one\n" : "# two\n";
	b->file[1].len = strlen(b->file[1].text);
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

static int setup(void **state)
{
	static const struct rpc_ops ops = { .connect = dial };
	struct bed *b = mem_alloc(sizeof(*b));
	struct err err;

	simtime_start(1800000000);
	assert_true(loop_open(&err));
	b->file[0] = made_source(MAIN_PATH, MAIN_TEXT, CONF_MAIN);
	b->file[1] = made_source("/usr/share/x.conf", "service = ( { name = \"x\"; unit = \"x.service\"; } );", CONF_SERVICES);
	b->file[2] = made_source("/etc/a.conf", "certificate = ( { names = [ \"a.test\" ]; service = [ \"x\" ]; } );", CONF_SNIPPET);
	b->file[3] = made_source("/etc/b.conf", "certificate = ( { names = [ \"b.test\" ]; } );", CONF_SNIPPET);
	b->n = 4;
	b->batch = 100;
	b->rpc = rpc_new(&ops, b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	rpc_free(b->rpc);
	rpc_peer_close(b->peer);
	if (b->held)
		rpc_answer(b->held, NULL);
	loop_turn(false);
	conf_free(b->conf);
	js_free(b->report);
	free(b);
	loop_close();
	simtime_stop();
	return 0;
}

static void fetched(void *arg, struct conf *conf, const struct js *report, const struct err *err)
{
	struct bed *b = arg;

	assert_false(b->over);
	b->over = true;
	b->conf = conf;
	js_free(b->report);
	b->report = report ? js_ref((struct js *)report) : NULL;
	if (err)
		b->err = *err;
	assert_true((conf == NULL) == (err != NULL));
}

static void fetch(struct bed *b)
{
	assert_non_null(conf_fetch_start(b->rpc, fetched, b));
	assert_false(b->over); /* never from inside */
	while (!b->over)
		loop_turn(true);
}

static void all_files_make_the_same_configuration(void **state)
{
	struct bed *b = *state;
	char *digest = digest_of(b);

	fetch(b);
	assert_int_equal(b->asked, 1);
	assert_true(b->conf->usable);
	assert_string_equal(b->conf->digest, digest);
	assert_int_equal(b->conf->cert.n, 2);
	assert_string_equal(conf_find_cert(b->conf, "a")->service.v[0]->name, "x");
	assert_string_equal(js_str(b->report, "digest"), digest);
	assert_true(js_has(b->report, "problems"));
	free(digest);
}

static void batches_are_put_together(void **state)
{
	struct bed *b = *state;

	b->batch = 1;
	fetch(b);
	assert_int_equal(b->asked, 4);
	assert_int_equal(b->conf->cert.n, 2);
	assert_true(js_has(b->report, "problems")); /* of the first one */
}

static void a_change_between_batches_begins_anew(void **state)
{
	struct bed *b = *state;
	char *digest;

	b->batch = 3;
	b->restless = true;
	assert_non_null(conf_fetch_start(b->rpc, fetched, b));
	while (b->asked < 3)
		loop_turn(true);
	b->restless = false;
	while (!b->over)
		loop_turn(true);
	digest = digest_of(b);
	assert_string_equal(b->conf->digest, digest); /* of the last one, whole */
	assert_int_equal(b->conf->files.n, 4);
	free(digest);
}

static void one_that_never_rests_is_given_up(void **state)
{
	struct bed *b = *state;

	b->batch = 1;
	b->restless = true;
	fetch(b);
	assert_int_equal(b->err.kind, ERR_BUG);
	assert_in_range(b->asked, 20, 60);
}

static void a_keeper_that_reads_otherwise_is_a_bug(void **state)
{
	struct bed *b = *state;

	b->lying = true;
	fetch(b);
	assert_int_equal(b->err.kind, ERR_BUG);
	assert_non_null(strstr(b->err.detail, "version"));
}

static void half_an_answer_is_a_bug(void **state)
{
	struct bed *b = *state;

	b->broken = true;
	fetch(b);
	assert_int_equal(b->err.kind, ERR_BUG);
	b->over = false;
	b->broken = false;
	b->no_digest = true;
	fetch(b);
	assert_int_equal(b->err.kind, ERR_BUG);
}

static void batches_without_end_have_an_end(void **state)
{
	struct bed *b = *state;

	b->endless = true;
	fetch(b); /* the batch after the last file is empty */
	assert_non_null(b->conf);
	assert_in_range(b->asked, 1, 3);
}

static void a_refusal_comes_through(void **state)
{
	struct bed *b = *state;

	err_set(&b->refuse, ERR_LOCAL, "system", "disk");
	fetch(b);
	assert_string_equal(b->err.type, "system");
	assert_null(b->conf);
}

static void silence_ends(void **state)
{
	struct bed *b = *state;

	b->silent = true;
	fetch(b);
	assert_int_equal(b->err.kind, ERR_LOCAL);
	assert_string_equal(b->err.type, "keeper");
}

static void a_cancelled_one_says_nothing(void **state)
{
	struct bed *b = *state;
	struct conf_fetch *f;

	b->batch = 1;
	f = conf_fetch_start(b->rpc, fetched, b);
	while (b->asked < 2)
		loop_turn(true);
	conf_fetch_cancel(f);
	conf_fetch_cancel(NULL);
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	assert_false(b->over);
}

/* A configuration that is good for nothing is handed over too: the caller looks. */
static void a_bad_main_file_comes_through(void **state)
{
	struct bed *b = *state;

	b->file[0] = made_source(MAIN_PATH, "ca = 5;", CONF_MAIN);
	fetch(b);
	assert_non_null(b->conf);
	assert_false(b->conf->usable);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_files_make_the_same_configuration),
		TEST(batches_are_put_together),
		TEST(a_change_between_batches_begins_anew),
		TEST(one_that_never_rests_is_given_up),
		TEST(a_keeper_that_reads_otherwise_is_a_bug),
		TEST(half_an_answer_is_a_bug),
		TEST(batches_without_end_have_an_end),
		TEST(a_refusal_comes_through),
		TEST(silence_ends),
		TEST(a_cancelled_one_says_nothing),
		TEST(a_bad_main_file_comes_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
