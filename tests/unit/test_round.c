/* SPDX-License-Identifier: ISC */
/* What one turn brings is done in step: here on jobs that only write down what is asked of them. The real ones are killed, failed and cut off in
 * tests/integration/test_install_loop.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "keeper/round.h"

/* --- the file systems, in front of libc's --- */

static struct buf story; /* what happened, in order */
static int syncs, sync_fails_at;

static void note(const char *what, const char *name)
{
	assert_true(buf_printf(&story, "%s%s%s", story.len ? " " : "", what, name));
}

int syncfs(int fd)
{
	note("sync", "");
	if (++syncs != sync_fails_at)
		return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
	errno = EIO;
	return -1;
}

/* --- jobs --- */

struct job {
	char name[16];
	int folder;
};

static const char *clumsy = "", *foreign = ""; /* whose second step fails; who has a folder that is none */

static void *job_write(void *arg, const struct js *q)
{
	const char *name = js_str(q, "cert");
	struct job *j;

	(void)arg;
	if (js_bool(q, "odd", false))
		return NULL;
	note("write:", name);
	j = mem_alloc(sizeof(*j));
	snprintf(j->name, sizeof(j->name), "%s", name);
	j->folder = strcmp(name, foreign) == 0 ? -2 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return j;
}

static bool job_name(void *job)
{
	note("name:", ((struct job *)job)->name);
	return strcmp(((struct job *)job)->name, clumsy) != 0;
}

static bool job_point(void *job)
{
	note("point:", ((struct job *)job)->name);
	return true;
}

static int job_folder(void *job, size_t i)
{
	struct job *j = job;

	return i > 0 ? -1 : j->folder == -2 ? 1 << 20 : j->folder;
}

static struct js *job_end(void *job, bool done)
{
	struct job *j = job;
	struct js *answer = done ? js_object() : NULL;

	note(done ? "done:" : "undone:", j->name);
	if (done)
		js_put_str(answer, "how", "together");
	if (j->folder >= 0)
		close(j->folder);
	free(j);
	return answer;
}

static void job_alone(void *arg, struct rpc_request *request, const struct js *q)
{
	struct js *answer = js_object();

	(void)arg;
	note("alone:", js_str(q, "cert") ? js_str(q, "cert") : "?");
	js_put_str(answer, "how", "alone");
	rpc_answer(request, answer);
}

static const struct round_op op = { job_write, { job_name, job_point }, job_folder, job_end, job_alone };

/* --- a peer that asks --- */

struct bed {
	struct round *round;
	struct rpc_peer *peer;
	int fd; /* the asking end */
};

static void called(void *arg, struct rpc_request *request, const struct js *q)
{
	round_add(((struct bed *)arg)->round, &op, request, q);
}

static void closed(void *arg, struct rpc_peer *p)
{
	(void)p;
	((struct bed *)arg)->peer = NULL;
}

static void quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static int setup(void **state)
{
	static const struct rpc_serve_ops serve = { .call = called, .closed = closed };
	struct bed *b = mem_alloc(sizeof(*b));
	struct err err;
	int pair[2];

	log_set_sink(quiet, NULL);
	assert_true(loop_open(&err));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	b->fd = pair[0];
	b->round = round_new(b);
	b->peer = rpc_serve(pair[1], 1 << 20, &serve, b, &err);
	assert_non_null(b->peer);
	buf_init(&story, 0);
	syncs = sync_fails_at = 0;
	clumsy = foreign = "";
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	rpc_peer_close(b->peer);
	round_free(b->round);
	close(b->fd);
	loop_turn(false);
	loop_close();
	buf_free(&story);
	free(b);
	log_set_sink(NULL, NULL);
	return 0;
}

/* n calls in one packet. Each of `names` is a certificate; one that begins with '!' is not for a round. */
static void ask(struct bed *b, const char *const *names, int n)
{
	struct buf all;

	buf_init(&all, 0);
	for (int i = 0; i < n; i++) {
		bool odd = names[i][0] == '!';

		assert_true(buf_printf(&all, "{\"id\":%d,\"op\":\"x\",\"cert\":\"%s\",\"odd\":%s}", i + 1, names[i] + odd, odd ? "true" : "false"));
		assert_true(buf_add(&all, "", 1));
	}
	assert_int_equal(write(b->fd, all.data, all.len), all.len);
	buf_free(&all);
}

/* Turns until n answers came; how[i] is 't' or 'a' for call i + 1. */
static void answers(struct bed *b, char *how, int n)
{
	char text[8192];
	size_t len = 0;
	int got = 0;

	memset(how, 0, (size_t)n + 1);
	while (got < n) {
		ssize_t more;

		loop_turn(true);
		more = recv(b->fd, text + len, sizeof(text) - len, MSG_DONTWAIT);
		if (more <= 0)
			continue;
		len += (size_t)more;
		for (char *end; (end = memchr(text, '\0', len)); len -= (size_t)(end + 1 - text), memmove(text, end + 1, len), got++) {
			struct err err;
			struct js *v = js_parse(text, (size_t)(end - text), &err);
			int64_t id = js_int(v, "id", 0);

			assert_in_range(id, 1, n);
			assert_int_equal(how[id - 1], 0);
			how[id - 1] = js_str(v, "how")[0];
			js_free(v);
		}
	}
}

static void assert_story(const char *expected)
{
	assert_string_equal(story.len ? story.data : "", expected);
}

/* --- the tests --- */

static void test_one_alone(void **state)
{
	static const char *const names[] = { "a" };
	char how[2];

	ask(*state, names, 1);
	answers(*state, how, 1);
	assert_string_equal(how, "a");
	assert_story("alone:a");
}

static void test_together(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	char how[4];

	ask(*state, names, 3);
	answers(*state, how, 3);
	assert_string_equal(how, "ttt");
	/* One file system, synced once after each step; nobody is done before the last. */
	assert_story("write:a write:b write:c sync name:a name:b name:c sync point:a point:b point:c sync done:a done:b done:c");
}

static void test_next_round(void **state)
{
	static const char *const first[] = { "a", "b" }, *const second[] = { "a" };
	char how[3];

	ask(*state, first, 2);
	answers(*state, how, 2);
	assert_string_equal(how, "tt");
	buf_reset(&story);
	ask(*state, second, 1);
	answers(*state, how, 1);
	assert_story("alone:a");
}

static void test_not_for_a_round(void **state)
{
	static const char *const names[] = { "a", "!b", "c" };
	char how[4];

	ask(*state, names, 3);
	answers(*state, how, 3);
	assert_string_equal(how, "tat");
	assert_story("write:a write:c sync name:a name:c sync point:a point:c sync done:a done:c alone:b");
}

/* The same certificate twice would be written to the same place. */
static void test_twice_the_same(void **state)
{
	static const char *const names[] = { "a", "a", "b" };
	char how[4];

	ask(*state, names, 3);
	answers(*state, how, 3);
	assert_string_equal(how, "tat");
	assert_story("write:a write:b sync name:a name:b sync point:a point:b sync done:a done:b alone:a");
}

static void test_one_fails(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	char how[4];

	clumsy = "b";
	ask(*state, names, 3);
	answers(*state, how, 3);
	assert_string_equal(how, "tat");
	assert_story("write:a write:b write:c sync name:a name:b name:c sync point:a point:c sync done:a undone:b done:c alone:b");
}

static void test_unknown_file_system(void **state)
{
	static const char *const names[] = { "a", "b" };
	char how[3];

	foreign = "a";
	ask(*state, names, 2);
	answers(*state, how, 2);
	assert_string_equal(how, "at");
	assert_story("write:a write:b sync name:b sync point:b sync undone:a done:b alone:a");
}

/* Whichever sync fails: nobody is told that it went well, each is done again alone, after all were undone. */
static void test_sync_fails(void **state)
{
	static const char *const names[] = { "a", "b" };
	static const char *const stories[] = {
		"write:a write:b sync undone:a undone:b alone:a alone:b",
		"write:a write:b sync name:a name:b sync undone:a undone:b alone:a alone:b",
		"write:a write:b sync name:a name:b sync point:a point:b sync undone:a undone:b alone:a alone:b",
	};
	char how[3];

	for (int at = 1; at <= 3; at++) {
		buf_reset(&story);
		syncs = 0;
		sync_fails_at = at;
		ask(*state, names, 2);
		answers(*state, how, 2);
		assert_string_equal(how, "aa");
		assert_story(stories[at - 1]);
	}
}

/* More than a round takes make several; every call is answered once. */
static void test_very_many(void **state)
{
	enum { MANY = 200 };
	static char names[MANY][16];
	static const char *list[MANY];
	char how[MANY + 1];

	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d", i);
		list[i] = names[i];
	}
	ask(*state, list, MANY);
	answers(*state, how, MANY);
	assert_int_equal(strspn(how, "ta"), MANY);
	assert_true(syncs >= 6 && syncs < MANY);
}

/* The peer goes, and so does the keeper, before the round began: nothing is done, nothing is lost but memory of ours. */
static void test_gone(void **state)
{
	static const char *const names[] = { "a", "b" };
	struct bed *b = *state;

	ask(b, names, 2);
	loop_turn(true);
	assert_story("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_for_a_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twice_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_file_system, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sync_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_very_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
