/* SPDX-License-Identifier: ISC */
/* What one turn brings is done in step: here on jobs that only write down what is asked of them. The real ones are killed, failed and cut off in
 * tests/integration/test_install_loop.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
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

/* --- the disk, in front of libc's --- */

static struct buf story; /* what happened, in order */
static int syncs, sync_fails_at;
static bool syncing;

static void note(const char *what, const char *name)
{
	syncing = false;
	assert_true(buf_printf(&story, "%s%s%s", story.len ? " " : "", what, name));
}

/* Mostly without the kernel's own asynchronous fsync, so that each is seen here. */
static bool has_aio;

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list ap;
	long a[5];

	va_start(ap, number);
	for (size_t i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if (has_aio)
		return real(number, a[0], a[1], a[2], a[3], a[4]);
	errno = ENOSYS;
	return -1;
}

int fsync(int fd)
{
	if (!syncing) {
		note("sync", "");
		syncing = true;
		syncs++;
	}
	if (syncs != sync_fails_at)
		return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
	errno = EIO;
	return -1;
}

/* --- jobs --- */

struct job {
	char name[16];
};

static const char *clumsy = ""; /* whose first step fails */

static void touch(struct sync *s)
{
	sync_add(s, open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void *job_write(void *arg, const struct js *q, struct sync *s)
{
	const char *name = js_str(q, "cert");
	struct job *j;

	(void)arg;
	if (js_bool(q, "odd", false))
		return NULL;
	note("write:", name);
	touch(s);
	j = mem_alloc(sizeof(*j));
	snprintf(j->name, sizeof(j->name), "%s", name);
	return j;
}

static bool job_step(void *job, int step, struct sync *s)
{
	note(step == 0 ? "name:" : "point:", ((struct job *)job)->name);
	touch(s);
	return strcmp(((struct job *)job)->name, clumsy) != 0;
}

static struct js *job_end(void *job, bool done)
{
	struct js *answer = done ? js_object() : NULL;

	note(done ? "done:" : "undone:", ((struct job *)job)->name);
	if (done)
		js_put_str(answer, "how", "together");
	free(job);
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

static const struct round_op long_op = { job_write, 2, job_step, job_end, job_alone, false };
static const struct round_op short_op = { job_write, 1, job_step, job_end, job_alone, false };
static const struct round_op switch_op = { job_write, 2, job_step, job_end, job_alone, true };

static bool all_of_them(void *arg, const char *service, const char *cert)
{
	(void)arg, (void)service, (void)cert;
	return true;
}

static void no_matter(void *arg)
{
	(void)arg;
}

/* --- a peer that asks --- */

struct bed {
	struct gate *gate;
	struct gate_pass run; /* of a service that reads them all */
	struct round *round;
	struct rpc_peer *peer;
	int fd; /* the asking end */
};

static void called(void *arg, struct rpc_request *request, const struct js *q)
{
	const struct round_op *op = js_bool(q, "switch", false) ? &switch_op : js_bool(q, "short", false) ? &short_op : &long_op;

	round_add(((struct bed *)arg)->round, op, request, q);
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
	b->gate = gate_new(all_of_them, NULL);
	b->run = (struct gate_pass){ .kind = GATE_RUN, .name = "nginx", .enter = no_matter };
	b->round = round_new(b, b->gate);
	b->peer = rpc_serve(pair[1], 1 << 20, &serve, b, &err);
	assert_non_null(b->peer);
	buf_init(&story, 0);
	syncs = sync_fails_at = 0;
	clumsy = "";
	syncing = false;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	rpc_peer_close(b->peer);
	round_free(b->round);
	gate_leave(&b->run);
	gate_free(b->gate);
	close(b->fd);
	loop_turn(false);
	loop_close();
	buf_free(&story);
	free(b);
	log_set_sink(NULL, NULL);
	return 0;
}

/* n calls in one packet. Each of `names` is a certificate; one that begins with '!' is not for a round, one with '-' has a step less, one with '+'
 * switches what services read. */
static void ask(struct bed *b, const char *const *names, int n)
{
	struct buf all;

	buf_init(&all, 0);
	for (int i = 0; i < n; i++) {
		bool odd = names[i][0] == '!', brief = names[i][0] == '-', switches = names[i][0] == '+';

		assert_true(buf_printf(&all, "{\"id\":%d,\"op\":\"x\",\"cert\":\"%s\",\"odd\":%s,\"short\":%s,\"switch\":%s}", i + 1,
			names[i] + (odd || brief || switches), odd ? "true" : "false", brief ? "true" : "false", switches ? "true" : "false"));
		assert_true(buf_add(&all, "", 1));
	}
	assert_int_equal(write(b->fd, all.data, all.len), all.len);
	buf_free(&all);
}

/* Turns until n answers came; how[i] is 't' or 'a' for call i + 1. */
static void answers(struct bed *b, char *how, int n)
{
	static char text[65536];
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

static void test_one(void **state)
{
	static const char *const names[] = { "a" };
	char how[2];

	ask(*state, names, 1);
	answers(*state, how, 1);
	assert_string_equal(how, "t");
	assert_story("write:a sync name:a sync point:a sync done:a");
}

static void test_together(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	char how[4];

	ask(*state, names, 3);
	answers(*state, how, 3);
	assert_string_equal(how, "ttt");
	/* Synced once after each step; nobody is done before the last. */
	assert_story("write:a write:b write:c sync name:a name:b name:c sync point:a point:b point:c sync done:a done:b done:c");
}

/* Who has fewer steps is answered earlier, and not before his last one is on the disk. */
static void test_fewer_steps(void **state)
{
	static const char *const names[] = { "a", "-b" };
	char how[3];

	ask(*state, names, 2);
	answers(*state, how, 2);
	assert_string_equal(how, "tt");
	assert_story("write:a write:b sync name:a name:b sync point:a done:b sync done:a");
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
	assert_story("write:a sync name:a sync point:a sync done:a");
}

static void test_not_for_a_round(void **state)
{
	static const char *const names[] = { "a", "!b", "c" };
	char how[4];

	ask(*state, names, 3);
	answers(*state, how, 3);
	assert_string_equal(how, "tat");
	assert_story("write:a alone:b write:c sync name:a name:c sync point:a point:c sync done:a done:c");
}

/* The same certificate twice is written to the same place: the second waits until the first is done, whatever it asks. */
static void test_twice_the_same(void **state)
{
	static const char *const names[] = { "a", "!a", "b", "a" };
	struct bed *b = *state;
	char how[5];

	ask(b, names, 4);
	assert_false(round_holds(b->round, "a"));
	answers(b, how, 4);
	assert_string_equal(how, "tatt");
	assert_story("write:a write:b sync name:a name:b sync point:a point:b sync done:a done:b alone:a write:a sync name:a sync point:a sync done:a");
	assert_false(round_holds(b->round, "a"));
}

static void test_one_fails(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	char how[4];

	clumsy = "b";
	ask(*state, names, 3);
	answers(*state, how, 3);
	assert_string_equal(how, "tat");
	assert_story("write:a write:b write:c sync name:a name:b undone:b alone:b name:c sync point:a point:c sync done:a done:c");
}

/* Whichever sync fails: nobody is told that it went well, each is taken back and done again alone. */
static void test_sync_fails(void **state)
{
	static const char *const names[] = { "a", "b" };
	static const char *const stories[] = {
		"write:a write:b sync undone:a alone:a undone:b alone:b",
		"write:a write:b sync name:a name:b sync undone:a alone:a undone:b alone:b",
		"write:a write:b sync name:a name:b sync point:a point:b sync undone:a alone:a undone:b alone:b",
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
	enum { MANY = 600 };
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
	assert_in_range(syncs, 3, MANY);
}

/* A service reads the pairs: what switches one waits, with what comes after it for the same certificate; the others go on. */
static void test_waits_at_the_gate(void **state)
{
	static const char *const names[] = { "+a", "b", "-a", "+c" };
	struct bed *b = *state;
	char how[5];

	gate_ask(b->gate, &b->run);
	loop_turn(false);
	ask(b, names, 4);
	while (!round_holds(b->round, "c"))
		loop_turn(true);
	while (round_holds(b->round, "b"))
		loop_turn(true);
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	assert_story("write:b sync name:b sync point:b sync done:b");
	gate_leave(&b->run);
	gate_ask(b->gate, &b->run); /* the next one waits until they are all on the disk */
	buf_reset(&story);
	syncing = false;
	answers(b, how, 4);
	assert_string_equal(how, "tttt");
	assert_story("write:a write:c sync name:a name:c sync point:a point:c sync done:a done:c write:a sync name:a sync done:a");
	assert_true(b->run.inside);
}

/* Its peer leaves, then the keeper ends: both while it waits. */
static void test_gone_at_the_gate(void **state)
{
	static const char *const names[] = { "+a" };
	struct bed *b = *state;

	gate_ask(b->gate, &b->run);
	loop_turn(false);
	ask(b, names, 1);
	while (!round_holds(b->round, "a"))
		loop_turn(true);
	rpc_peer_close(b->peer);
	b->peer = NULL;
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	round_free(b->round);
	b->round = NULL;
	assert_story("");
	gate_leave(&b->run);
	loop_turn(false);
}

/* The keeper ends before the round began, and in the middle of it: what was begun is taken back. */
static void test_gone_before(void **state)
{
	static const char *const names[] = { "a", "b" };
	struct bed *b = *state;

	ask(b, names, 2);
	loop_turn(true);
	assert_true(round_holds(b->round, "a"));
	rpc_peer_close(b->peer);
	round_free(b->round);
	b->round = NULL;
	b->peer = NULL;
	assert_story("");
}

static void test_gone_within(void **state)
{
	static const char *const names[] = { "a", "b" };
	struct bed *b = *state;

	round_free(b->round);
	has_aio = true;
	b->round = round_new(b, b->gate);
	ask(b, names, 2);
	while (!story.len)
		loop_turn(true);
	rpc_peer_close(b->peer);
	round_free(b->round);
	has_aio = false;
	b->round = NULL;
	b->peer = NULL;
	assert_story("write:a write:b undone:a undone:b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fewer_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_for_a_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twice_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sync_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_very_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_at_the_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_at_the_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_within, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
