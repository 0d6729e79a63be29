/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/msg.h"
#include "keeper/run.h"

/* --- a dovad-run of the test's own: this program, started again --- */

/* What it does is told where the real one is told of its configuration. */
static int act(const char *how)
{
	char request[512] = "", answer[256];
	const char *kind;

	if (read(3, request, sizeof(request) - 1) <= 0)
		return 9;
	kind = strstr(request, "\"test\"") ? "test" : "load";
	if (strcmp(how, "/die") == 0) {
		fputs("no such luck\n", stderr);
		return 7;
	}
	if (strcmp(how, "/silent") == 0)
		return 0;
	if (strcmp(how, "/hang") == 0)
		for (;;)
			pause();
	if (strcmp(how, "/garbage") == 0)
		snprintf(answer, sizeof(answer), "][");
	else if (strcmp(how, "/refuse") == 0)
		snprintf(answer, sizeof(answer), "{\"ok\":false,\"ran\":true,\"output\":\"bad\",\"error\":{\"kind\":\"local\",\"type\":\"test\",\"detail\":\"it says no\"}}");
	else if (strcmp(how, "/nothing") == 0)
		snprintf(answer, sizeof(answer), "{\"ok\":false}");
	else
		snprintf(answer, sizeof(answer), "{\"ok\":true,\"ran\":%s,\"output\":\"%s\"}", strcmp(how, "/absent") == 0 ? "false" : "true", kind);
	return write(3, answer, strlen(answer) + 1) > 0 ? 0 : 8;
}

/* --- fixture --- */

struct seen {
	unsigned ended;
	bool ran;
	char output[64];
	struct err err;
};

enum { SEEN = 24, MOST = 12 };

struct bench {
	struct gate *gate;
	struct gate_pass change; /* of a certificate that nginx reads */
	struct run *run;
	struct seen seen[SEEN];
	char dir[64], path[96];
	int supervisor;
	struct watch watch;
	struct msg_listener *listener;
	struct msg *peers[SEEN];
	char asked[SEEN][64]; /* "kind service" of each connection */
	size_t npeers;
};

static char self[PATH_MAX];

static void quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static bool only_nginx(void *arg, const char *service, const char *cert)
{
	(void)arg, (void)cert;
	return strcmp(service, "nginx") == 0;
}

static void no_matter(void *arg)
{
	(void)arg;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct err err;

	log_set_sink(quiet, NULL);
	assert_true(loop_open(&err));
	b->gate = gate_new(only_nginx, NULL);
	b->change = (struct gate_pass){ .kind = GATE_SWITCH, .name = "site", .enter = no_matter };
	b->supervisor = -1;
	strcpy(b->dir, "/tmp/dovad-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/run.sock", b->dir);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	run_close(b->run);
	gate_leave(&b->change);
	gate_free(b->gate);
	for (size_t i = 0; i < b->npeers; i++)
		msg_close(b->peers[i]);
	watch_clear(&b->watch);
	if (b->listener)
		msg_listener_close(b->listener);
	if (b->supervisor >= 0)
		close(b->supervisor);
	loop_turn(false);
	loop_close();
	rmdir(b->dir);
	free(b);
	log_set_sink(NULL, NULL);
	return 0;
}

static void ended(void *arg, bool ran, const char *output, const struct err *err)
{
	struct seen *s = arg;

	s->ended++;
	s->ran = ran;
	snprintf(s->output, sizeof(s->output), "%s", output ? output : "");
	s->err = err ? *err : (struct err){ 0 };
}

static void await(struct bench *b, size_t i)
{
	while (!b->seen[i].ended)
		loop_turn(true);
	assert_int_equal(b->seen[i].ended, 1);
}

static void start(struct bench *b, const char *kind, const char *name, int64_t timeout, struct seen *seen)
{
	run_start(b->run, &(struct run_wish){ kind, name, NULL, timeout, strcmp(kind, "hook") != 0 }, ended, seen);
}

/* --- as a child --- */

static struct seen *run_child(struct bench *b, const char *how, int64_t timeout)
{
	struct run_options o = { .supervisor = -1, .program = self, .main_file = how, .gate = b->gate };

	run_close(b->run);
	b->run = run_open(&o);
	b->seen[0] = (struct seen){ 0 };
	start(b, "test", "nginx", timeout, &b->seen[0]);
	assert_int_equal(b->seen[0].ended, 0); /* on a later turn */
	assert_false(run_is_idle(b->run));
	await(b, 0);
	assert_true(run_is_idle(b->run));
	return &b->seen[0];
}

static void children(void **state)
{
	struct seen *s;

	s = run_child(*state, "/well", 30);
	assert_int_equal(s->err.kind, ERR_NONE);
	assert_true(s->ran);
	assert_string_equal(s->output, "test");
	s = run_child(*state, "/absent", 30);
	assert_int_equal(s->err.kind, ERR_NONE);
	assert_false(s->ran);
	s = run_child(*state, "/refuse", 30);
	assert_int_equal(s->err.kind, ERR_LOCAL);
	assert_string_equal(s->err.detail, "it says no");
	assert_string_equal(s->output, "bad");
	s = run_child(*state, "/nothing", 30);
	assert_int_equal(s->err.kind, ERR_BUG);
}

static void children_that_fail(void **state)
{
	struct bench *b = *state;
	struct run_options o = { .supervisor = -1, .program = "/nonexistent/dovad-run", .main_file = "/x", .gate = b->gate };
	struct seen *s;

	s = run_child(b, "/die", 30);
	assert_int_equal(s->err.kind, ERR_LOCAL);
	assert_non_null(strstr(s->err.detail, "no such luck"));
	s = run_child(b, "/silent", 30);
	assert_int_equal(s->err.kind, ERR_LOCAL);
	assert_non_null(strstr(s->err.detail, "without an answer"));
	s = run_child(b, "/garbage", 30);
	assert_int_not_equal(s->err.kind, ERR_NONE);
	run_close(b->run);
	b->run = run_open(&o);
	b->seen[0] = (struct seen){ 0 };
	start(b, "load", "nginx", 30, &b->seen[0]);
	await(b, 0);
	assert_int_equal(b->seen[0].err.kind, ERR_LOCAL);
}

/* What waits for it waits no longer than that. */
static void child_that_hangs(void **state)
{
	struct bench *b = *state;
	struct run_options o = { .supervisor = -1, .program = self, .main_file = "/hang", .gate = b->gate };

	b->run = run_open(&o);
	start(b, "test", "nginx", -4, &b->seen[0]); /* the margin makes it a second */
	loop_turn(false);
	gate_ask(b->gate, &b->change);
	loop_turn(false);
	assert_false(b->change.inside);
	await(b, 0);
	assert_int_equal(b->seen[0].err.kind, ERR_LOCAL);
	loop_turn(false);
	assert_true(b->change.inside);
}

static void closing_ends_all(void **state)
{
	struct bench *b = *state;
	struct run_options o = { .supervisor = -1, .program = self, .main_file = "/hang", .gate = b->gate };

	b->run = run_open(&o);
	start(b, "test", "nginx", 30, &b->seen[0]);
	start(b, "test", "apache", 30, &b->seen[1]);
	loop_turn(false);
	start(b, "test", "nginx", 30, &b->seen[2]);
	run_close(b->run);
	b->run = NULL;
	loop_turn(false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(b->seen[i].ended, 1);
		assert_int_equal(b->seen[i].err.kind, ERR_TEMP);
	}
}

/* --- by a socket --- */

static void got(void *arg, struct msg *m, struct js *v)
{
	struct bench *b = arg;

	for (size_t i = 0; i < b->npeers; i++)
		if (b->peers[i] == m)
			snprintf(b->asked[i], sizeof(b->asked[i]), "%s %s%s%s", js_str(v, "kind"), js_str(v, "name"), js_obj(v, "data") ? " " : "",
				js_obj(v, "data") ? js_str(js_obj(v, "data"), "value") : "");
}

static void gone(void *arg, struct msg *m, const struct err *err)
{
	struct bench *b = arg;

	(void)err;
	for (size_t i = 0; i < b->npeers; i++)
		if (b->peers[i] == m)
			b->peers[i] = NULL;
}

static void connected(void *arg, int fd)
{
	static const struct msg_limits limits = { .message = 4096, .output = 65536 };
	static const struct msg_ops ops = { .got = got, .closed = gone };
	struct bench *b = arg;
	struct err err;

	assert_in_range(b->npeers, 0, SEEN - 1);
	b->peers[b->npeers] = msg_open(fd, &limits, &ops, b, &err);
	assert_non_null(b->peers[b->npeers++]);
}

static void answer(struct bench *b, size_t i, const char *text)
{
	struct err err;
	struct js *v = js_parse(text, strlen(text), &err);

	msg_send(b->peers[i], v);
	msg_finish(b->peers[i]);
	b->peers[i] = NULL;
	js_free(v);
}

static void await_asked(struct bench *b, size_t i, const char *what)
{
	while (!b->asked[i][0])
		loop_turn(true);
	assert_string_equal(b->asked[i], what);
}

static void listen_there(struct bench *b)
{
	static const struct msg_listener_limits limits = { .total = SEEN, .per_uid = SEEN };
	struct run_options o = { .socket = b->path, .supervisor = -1, .main_file = "/x", .gate = b->gate };
	struct err err;

	b->listener = msg_listen(b->path, -1, 0600, &limits, connected, b, &err);
	assert_non_null(b->listener);
	b->run = run_open(&o);
}

static void by_socket(void **state)
{
	struct bench *b = *state;

	listen_there(b);
	start(b, "load", "nginx", 30, &b->seen[0]);
	await_asked(b, 0, "load nginx");
	answer(b, 0, "{\"ok\":true,\"ran\":false,\"output\":\"\"}");
	await(b, 0);
	assert_int_equal(b->seen[0].err.kind, ERR_NONE);
	assert_false(b->seen[0].ran);
	/* Closed without an answer. */
	start(b, "load", "nginx", 30, &b->seen[1]);
	await_asked(b, 1, "load nginx");
	msg_close(b->peers[1]);
	b->peers[1] = NULL;
	await(b, 1);
	assert_int_equal(b->seen[1].err.kind, ERR_LOCAL);
	/* Nobody there any more. */
	msg_listener_close(b->listener);
	b->listener = NULL;
	start(b, "load", "nginx", 30, &b->seen[2]);
	await(b, 2);
	assert_int_equal(b->seen[2].err.kind, ERR_LOCAL);
}

/* What comes while one is under way is done together, by one that begins after all of them were asked for. */
static void many_are_one(void **state)
{
	struct bench *b = *state;

	listen_there(b);
	start(b, "load", "nginx", 30, &b->seen[0]);
	start(b, "load", "nginx", 30, &b->seen[1]); /* not begun yet: the same */
	await_asked(b, 0, "load nginx");
	for (int i = 2; i < 5; i++)
		start(b, "load", "nginx", 30, &b->seen[i]);
	start(b, "test", "nginx", 30, &b->seen[5]);
	start(b, "load", "apache", 30, &b->seen[6]);
	await_asked(b, 1, "test nginx");
	await_asked(b, 2, "load apache");
	answer(b, 0, "{\"ok\":true,\"ran\":true,\"output\":\"first\"}");
	await(b, 0);
	await(b, 1);
	assert_string_equal(b->seen[1].output, "first");
	assert_int_equal(b->seen[2].ended, 0);
	await_asked(b, 3, "load nginx");
	answer(b, 3, "{\"ok\":true,\"ran\":true,\"output\":\"second\"}");
	for (int i = 2; i < 5; i++) {
		await(b, (size_t)i);
		assert_string_equal(b->seen[i].output, "second");
	}
	answer(b, 1, "{\"ok\":true,\"ran\":true,\"output\":\"\"}");
	answer(b, 2, "{\"ok\":true,\"ran\":true,\"output\":\"\"}");
	await(b, 5);
	await(b, 6);
	assert_int_equal(b->npeers, 4);
	assert_true(run_is_idle(b->run));
}

/* Nothing begins that may read what is being switched; it begins once and for all that asked meanwhile. The next one waits for who came before it. */
static void waits_at_the_gate(void **state)
{
	struct bench *b = *state;

	listen_there(b);
	gate_ask(b->gate, &b->change);
	loop_turn(false);
	start(b, "load", "nginx", 30, &b->seen[0]);
	start(b, "load", "apache", 30, &b->seen[1]);
	await_asked(b, 0, "load apache");
	start(b, "load", "nginx", 30, &b->seen[2]);
	assert_int_equal(b->npeers, 1);
	gate_leave(&b->change);
	await_asked(b, 1, "load nginx");
	start(b, "load", "nginx", 30, &b->seen[3]);
	gate_ask(b->gate, &b->change);
	loop_turn(false);
	assert_false(b->change.inside);
	answer(b, 1, "{\"ok\":true,\"ran\":true,\"output\":\"\"}");
	await(b, 0);
	await(b, 2);
	loop_turn(false);
	assert_true(b->change.inside);
	assert_int_equal(b->npeers, 2);
	run_close(b->run); /* one waits */
	b->run = NULL;
	assert_int_equal(b->seen[3].ended, 1);
}

static void start_with(struct bench *b, const char *value, size_t seen)
{
	struct js *data = js_object();

	js_put_str(data, "value", value);
	run_start(b->run, &(struct run_wish){ "hook", "corp", data, 30, false }, ended, &b->seen[seen]);
	js_free(data);
}

/* Changes of one entry go one after the other, none overtakes another; the same in a row is done once. */
static void changes_stand_in_line(void **state)
{
	static const char done[] = "{\"ok\":true,\"ran\":true,\"output\":\"\"}";
	static const char *const order[] = { "hook corp one", "hook corp one", "hook corp two", "hook corp one", "hook corp three" };
	struct bench *b = *state;

	listen_there(b);
	start_with(b, "one", 0);
	await_asked(b, 0, "hook corp one");
	start_with(b, "one", 1); /* again: the first one may have come too early */
	start_with(b, "one", 2);
	start_with(b, "two", 3);
	start_with(b, "one", 4);
	start_with(b, "three", 5);
	start(b, "hook", "other", 30, &b->seen[6]); /* another line */
	await_asked(b, 1, "hook other");
	answer(b, 1, done);
	await(b, 6);
	answer(b, 0, done);
	await(b, 0);
	assert_int_equal(b->npeers, 2);
	for (size_t i = 1; i < 5; i++) {
		await_asked(b, i + 1, order[i]);
		assert_int_equal(b->npeers, i + 2);
		assert_int_equal(b->seen[i == 1 ? 1 : i + 1].ended, 0);
		answer(b, i + 1, done);
		await(b, i == 1 ? 1 : i + 1);
	}
	assert_int_equal(b->seen[2].ended, 1);
	assert_true(run_is_idle(b->run));
}

/* --- many at a time --- */

/* So many, each of a line of its own; those that may are asked. */
static void start_many(struct bench *b, size_t n)
{
	char name[16];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "s%u", (unsigned)i);
		start(b, "hook", name, 30, &b->seen[i]);
	}
	for (size_t i = 0; i < n && i < MOST; i++)
		while (!b->asked[i][0])
			loop_turn(true);
	for (int i = 0; i < 5; i++)
		loop_turn(false);
	assert_int_equal(b->npeers, n < MOST ? n : MOST);
}

/* What starts them refuses what is too much: the others wait, and come in the order of asking as room is made, whichever way one ends. */
static void too_many_wait(void **state)
{
	static const char done[] = "{\"ok\":true,\"ran\":true,\"output\":\"\"}";
	struct bench *b = *state;

	listen_there(b);
	start_many(b, MOST + 3);
	start(b, "hook", "s13", 30, &b->seen[MOST + 3]); /* waits already: the same */
	start(b, "hook", "s0", 30, &b->seen[MOST + 4]);  /* the next of its line, behind all of them */
	answer(b, 7, done);
	await_asked(b, MOST, "hook s12");
	msg_close(b->peers[3]);
	b->peers[3] = NULL;
	await_asked(b, MOST + 1, "hook s13");
	assert_int_equal(b->seen[3].err.kind, ERR_LOCAL);
	answer(b, 0, done);
	await_asked(b, MOST + 2, "hook s14");
	assert_int_equal(b->npeers, MOST + 3);
	answer(b, MOST + 1, done);
	await(b, MOST + 1);
	await(b, MOST + 3);
	await_asked(b, MOST + 3, "hook s0");
	assert_int_equal(b->npeers, MOST + 4);
	for (size_t i = 0; i < b->npeers; i++)
		if (b->peers[i])
			answer(b, i, done);
	for (size_t i = 0; i < MOST + 5; i++)
		if (!b->seen[i].ended)
			await(b, i);
	assert_true(run_is_idle(b->run));
	start(b, "hook", "again", 30, &b->seen[MOST + 5]); /* all places are free again */
	await_asked(b, MOST + 4, "hook again");
}

/* Who waits for room keeps nobody from switching, and ends with the keeper as all do. */
static void too_many_are_ended(void **state)
{
	struct bench *b = *state;

	listen_there(b);
	start_many(b, MOST + 2);
	start(b, "load", "nginx", 30, &b->seen[MOST + 2]);
	gate_ask(b->gate, &b->change);
	loop_turn(false);
	assert_true(b->change.inside);
	run_close(b->run);
	b->run = NULL;
	for (size_t i = 0; i < MOST + 3; i++) {
		assert_int_equal(b->seen[i].ended, 1);
		assert_int_equal(b->seen[i].err.kind, ERR_TEMP);
	}
	assert_int_equal(b->npeers, MOST);
}

/* --- by a supervisor --- */

static void handed_over(void *arg, short events)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct bench *b = arg;
	struct cmsghdr *c;
	int fd;

	(void)events;
	assert_int_equal(recvmsg(b->supervisor, &m, MSG_CMSG_CLOEXEC), 1);
	c = CMSG_FIRSTHDR(&m);
	assert_non_null(c);
	assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	connected(b, fd);
}

static void by_supervisor(void **state)
{
	struct bench *b = *state;
	struct run_options o = { .main_file = "/x", .gate = b->gate };
	struct err err;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	o.supervisor = pair[0];
	b->supervisor = pair[1];
	assert_true(watch_set(&b->watch, pair[1], POLLIN, handed_over, b, &err));
	b->run = run_open(&o);
	start(b, "test", "nginx", 30, &b->seen[0]);
	await_asked(b, 0, "test nginx");
	answer(b, 0, "{\"ok\":true,\"ran\":true,\"output\":\"fine\"}");
	await(b, 0);
	assert_string_equal(b->seen[0].output, "fine");
	/* It is gone. */
	watch_clear(&b->watch);
	close(pair[1]);
	b->supervisor = -1;
	start(b, "test", "nginx", 30, &b->seen[1]);
	await(b, 1);
	assert_int_equal(b->seen[1].err.kind, ERR_LOCAL);
	close(pair[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(children, setup, teardown),
		cmocka_unit_test_setup_teardown(children_that_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(child_that_hangs, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_ends_all, setup, teardown),
		cmocka_unit_test_setup_teardown(by_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(many_are_one, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_at_the_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_stand_in_line, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_are_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(by_supervisor, setup, teardown),
	};

	if (argc == 5 && strcmp(argv[3], "--fd") == 0)
		return act(argv[2]);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
