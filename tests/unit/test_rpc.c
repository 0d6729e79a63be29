/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/loop.h"
#include "io/rpc.h"

enum { HELD = 8 };

/* Both sides in one process: the client's connect() makes a pair and serves the other end. */
struct world {
	struct rpc *client;
	struct rpc_peer *peer;
	unsigned refusals_left; /* of connect() */
	unsigned connects;
	unsigned ups, downs;
	unsigned events;
	unsigned served;
	unsigned peers_closed;
	struct rpc_request *held[HELD]; /* calls "hold", to be answered by hand */
	unsigned nheld;
	bool break_on_call;
};

struct answer {
	struct world *w;
	unsigned calls;
	int64_t n;
	struct err err;
	struct rpc_call *cancel; /* in done() */
	bool free_client;
	unsigned order;
};

static unsigned order;

static void serve_call(void *arg, struct rpc_request *q, const struct js *request)
{
	struct world *w = arg;
	const char *op = js_str(request, "op");
	struct js *v;
	struct err err;

	w->served++;
	if (w->break_on_call) {
		w->break_on_call = false;
		rpc_peer_close(w->peer);
		w->peer = NULL;
		rpc_refuse(q, &(struct err){ .kind = ERR_BUG }); /* nobody hears it */
	} else if (strcmp(op, "hold") == 0) {
		assert_true(w->nheld < HELD);
		w->held[w->nheld++] = q;
	} else if (strcmp(op, "refuse") == 0) {
		err_set(&err, ERR_DENIED, "policy", "not for you");
		err.not_before = 1234567890;
		rpc_refuse(q, &err);
	} else if (strcmp(op, "empty") == 0) {
		rpc_answer(q, NULL);
	} else {
		v = js_object();
		js_put_int(v, "n", js_int(request, "n", -1));
		rpc_answer(q, v);
	}
}

static void serve_closed(void *arg, struct rpc_peer *p)
{
	struct world *w = arg;

	w->peers_closed++;
	if (w->peer == p)
		w->peer = NULL;
}

static const struct rpc_serve_ops serve_ops = { .call = serve_call, .closed = serve_closed };

static int connect_pair(void *arg, struct err *err)
{
	struct world *w = arg;
	int fds[2];

	w->connects++;
	if (w->refusals_left > 0) {
		w->refusals_left--;
		err_set(err, ERR_LOCAL, "test", "refused");
		return -1;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	w->peer = rpc_serve(fds[1], 4096, &serve_ops, w, err);
	assert_non_null(w->peer);
	return fds[0];
}

static void client_event(void *arg, const struct js *event)
{
	struct world *w = arg;

	assert_string_equal(js_str(event, "event"), "changed");
	w->events++;
}

static void client_state(void *arg, bool up, const struct err *err)
{
	struct world *w = arg;

	if (up)
		w->ups++;
	else
		w->downs++;
	assert_true(up == (err == NULL));
	assert_true(up || err->kind != ERR_NONE);
}

static const struct rpc_ops client_ops = { .connect = connect_pair, .event = client_event, .state = client_state };

static void done(void *arg, const struct js *answer, const struct err *err)
{
	struct answer *a = arg;

	a->calls++;
	a->order = ++order;
	assert_true((answer == NULL) != (err == NULL));
	if (err)
		a->err = *err;
	else
		a->n = js_int(answer, "n", 0);
	rpc_cancel(a->cancel);
	if (a->free_client) {
		rpc_free(a->w->client);
		a->w->client = NULL;
	}
}

static struct rpc_call *call(struct world *w, const char *op, int n, int64_t timeout_ms, struct answer *a)
{
	struct js *v = js_object();

	*a = (struct answer){ .w = w };
	js_put_str(v, "op", op);
	js_put_int(v, "n", n);
	return rpc_send(w->client, v, timeout_ms, done, a);
}

static void until(const unsigned *count, unsigned n)
{
	while (*count < n)
		loop_turn(true);
}

static int open_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err;

	*state = w;
	order = 0;
	if (!w || !loop_open(&err))
		return -1;
	w->client = rpc_new(&client_ops, w);
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	rpc_free(w->client);
	rpc_peer_close(w->peer);
	for (unsigned i = 0; i < w->nheld; i++)
		if (w->held[i])
			rpc_answer(w->held[i], NULL);
	loop_turn(false);
	loop_close();
	free(w);
	return 0;
}

static void test_call_and_answer(void **state)
{
	struct world *w = *state;
	struct answer a[100], empty;

	assert_int_equal(w->connects, 0); /* not inside rpc_new */
	for (int i = 0; i < 50; i++)
		call(w, "echo", i, 10000, &a[i]); /* before it is up */
	until(&w->ups, 1);
	for (int i = 50; i < 100; i++)
		call(w, "echo", i, 10000, &a[i]);
	call(w, "empty", 0, 10000, &empty);
	assert_int_equal(a[99].calls, 0);
	until(&empty.calls, 1);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(a[i].calls, 1);
		assert_int_equal(a[i].n, i);
		assert_int_equal(a[i].err.kind, ERR_NONE);
	}
	assert_int_equal(w->served, 101); /* each sent once */
}

static void test_refusal_is_an_error(void **state)
{
	struct world *w = *state;
	struct answer a;

	call(w, "refuse", 0, 10000, &a);
	until(&a.calls, 1);
	assert_int_equal(a.err.kind, ERR_DENIED);
	assert_string_equal(a.err.type, "policy");
	assert_string_equal(a.err.detail, "not for you");
	assert_int_equal(a.err.not_before, 1234567890);
}

static void test_answers_in_any_order(void **state)
{
	struct world *w = *state;
	struct answer a, b, c;
	struct js *v = js_object();

	call(w, "hold", 1, 10000, &a);
	call(w, "hold", 2, 10000, &b);
	call(w, "echo", 3, 10000, &c);
	until(&c.calls, 1);
	assert_int_equal(a.calls + b.calls, 0);
	until(&w->nheld, 2);
	js_put_int(v, "n", 22);
	rpc_answer(w->held[1], v);
	rpc_answer(w->held[0], NULL);
	w->nheld = 0;
	until(&a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.n, 22);
	assert_true(b.order < a.order);
}

static void test_events(void **state)
{
	struct world *w = *state;
	struct js *v = js_object();

	until(&w->ups, 1);
	js_put_str(v, "event", "changed");
	rpc_event(w->peer, v);
	rpc_event(w->peer, v);
	until(&w->events, 2);
	js_free(v);
}

static void test_comes_up_after_refusals(void **state)
{
	struct world *w = *state;
	int64_t before = clock_mono_ms();
	struct answer a;

	w->refusals_left = 2;
	call(w, "echo", 7, 60000, &a);
	until(&a.calls, 1);
	assert_int_equal(a.n, 7);
	assert_int_equal(w->connects, 3);
	assert_int_equal(w->downs, 2);
	assert_true(clock_mono_ms() - before >= 250 + 500);
}

static void test_calls_are_sent_again_after_a_break(void **state)
{
	struct world *w = *state;
	struct answer held, a;

	call(w, "hold", 1, 60000, &held);
	until(&w->nheld, 1);
	w->break_on_call = true;
	call(w, "echo", 2, 60000, &a);
	until(&w->downs, 1);
	assert_int_equal(held.calls + a.calls, 0);
	until(&a.calls, 1);
	assert_int_equal(a.n, 2);
	until(&w->nheld, 2); /* the first came again, too */
	rpc_answer(w->held[0], NULL); /* of the old connection: harmless, and nobody hears it */
	rpc_answer(w->held[1], NULL);
	w->nheld = 0;
	until(&held.calls, 1);
	assert_int_equal(held.err.kind, ERR_NONE);
	assert_int_equal(w->ups, 2);
}

static void test_time_runs_while_it_is_down(void **state)
{
	struct world *w = *state;
	struct answer a;

	w->refusals_left = 1000;
	call(w, "echo", 1, 30, &a);
	until(&a.calls, 1);
	assert_int_equal(a.err.kind, ERR_LOCAL);
	assert_string_equal(a.err.type, "keeper");
	assert_non_null(strstr(a.err.detail, "echo"));
	assert_non_null(strstr(a.err.detail, "not connected"));
}

static void test_late_answer_is_harmless(void **state)
{
	struct world *w = *state;
	struct answer a, b;

	call(w, "hold", 1, 50, &a);
	until(&a.calls, 1);
	assert_string_equal(a.err.type, "keeper");
	until(&w->nheld, 1);
	rpc_answer(w->held[0], NULL);
	w->nheld = 0;
	call(w, "echo", 2, 10000, &b);
	until(&b.calls, 1);
	assert_int_equal(a.calls, 1);
}

static void test_cancel(void **state)
{
	struct world *w = *state;
	struct answer unsent, sent, a;
	struct rpc_call *c = call(w, "echo", 1, 10000, &unsent);

	rpc_cancel(NULL);
	rpc_cancel(c);
	until(&w->ups, 1);
	c = call(w, "hold", 2, 10000, &sent);
	until(&w->nheld, 1);
	rpc_cancel(c);
	rpc_answer(w->held[0], NULL);
	w->nheld = 0;
	call(w, "echo", 3, 10000, &a);
	until(&a.calls, 1);
	assert_int_equal(unsent.calls + sent.calls, 0);
	assert_int_equal(w->served, 2);
}

static void test_cancel_another_inside_done(void **state)
{
	struct world *w = *state;
	struct answer a, b, c;

	call(w, "echo", 1, 10000, &a);
	a.cancel = call(w, "echo", 2, 10000, &b);
	call(w, "echo", 3, 10000, &c);
	until(&c.calls, 1);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
}

static void test_free_inside_done(void **state)
{
	struct world *w = *state;
	struct answer a, b, late;

	call(w, "echo", 1, 10000, &a);
	a.free_client = true;
	call(w, "echo", 2, 10000, &b);
	until(&a.calls, 1);
	assert_null(w->client);
	until(&w->peers_closed, 1);
	assert_int_equal(b.calls, 0);
	w->client = rpc_new(&client_ops, w);
	call(w, "hold", 3, 1, &late);
	late.free_client = true; /* from the time limit */
	until(&late.calls, 1);
	assert_null(w->client);
}

static void test_free_with_calls_under_way(void **state)
{
	struct world *w = *state;
	struct answer a, b;

	call(w, "hold", 1, 10000, &a);
	until(&w->nheld, 1);
	call(w, "hold", 2, 10000, &b);
	rpc_free(w->client);
	w->client = NULL;
	until(&w->peers_closed, 1);
	assert_int_equal(a.calls + b.calls, 0);
	rpc_answer(w->held[0], NULL);
	w->nheld = 0;
}

/* Raw bytes to a serving side. */
static void hostile(struct world *w, const char *text, size_t len, const char *expected)
{
	char reply[512] = "";
	size_t all = 0;
	ssize_t n;
	struct err err;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	rpc_peer_close(w->peer);
	w->peers_closed = 0;
	w->peer = rpc_serve(fds[0], 4096, &serve_ops, w, &err);
	assert_non_null(w->peer);
	assert_int_equal(send(fds[1], text, len, MSG_NOSIGNAL), len);
	while ((n = recv(fds[1], reply + all, sizeof(reply) - 1 - all, 0)) != 0) {
		all += n > 0 ? (size_t)n : 0;
		if (w->peers_closed || (all > 0 && expected))
			break;
		loop_turn(true);
	}
	if (expected)
		assert_non_null(memmem(reply, all, expected, strlen(expected)));
	else
		assert_int_equal(w->peers_closed, 1);
	close(fds[1]);
	until(&w->peers_closed, 1);
}

#define HOSTILE(w, literal, expected) hostile(w, literal, sizeof(literal), expected)

static void test_hostile_calls(void **state)
{
	struct world *w = *state;

	rpc_free(w->client);
	w->client = NULL;
	HOSTILE(w, "{\"op\":\"echo\"}", NULL);
	HOSTILE(w, "{\"id\":0,\"op\":\"echo\"}", NULL);
	HOSTILE(w, "{\"id\":-5,\"op\":\"echo\"}", NULL);
	HOSTILE(w, "{\"id\":\"5\",\"op\":\"echo\"}", NULL);
	HOSTILE(w, "{\"id\":1.5,\"op\":\"echo\"}", NULL);
	HOSTILE(w, "{\"id\":99999999999999999999,\"op\":\"echo\"}", NULL);
	HOSTILE(w, "[1]", NULL);
	HOSTILE(w, "garbage", NULL);
	assert_int_equal(w->served, 0);
	HOSTILE(w, "{\"id\":5}", "\"error\"");
	HOSTILE(w, "{\"id\":5,\"op\":17}", "\"error\"");
	assert_int_equal(w->served, 0);
	HOSTILE(w, "{\"id\":9223372036854775807,\"op\":\"echo\",\"n\":4}", "9223372036854775807");
	HOSTILE(w, "{\"id\":5,\"op\":\"echo\",\"n\":1}\0{\"id\":5,\"op\":\"echo\",\"n\":2}", "\"n\":2");
}

static void flood_call(void *arg, struct rpc_request *q, const struct js *request)
{
	struct rpc_request ***next = arg;

	(void)request;
	*(*next)++ = q;
}

static void flood_closed(void *arg, struct rpc_peer *p)
{
	(void)arg;
	(void)p;
}

/* Calls that are never answered do not pile up without end. */
static void test_open_calls_are_limited(void **state)
{
	static const struct rpc_serve_ops ops = { .call = flood_call, .closed = flood_closed };
	static const char one[] = "{\"id\":1,\"op\":\"x\"}";
	static struct rpc_request *open[4096];
	struct rpc_request **next = open;
	char reply[4096];
	struct rpc_peer *p;
	struct err err;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	p = rpc_serve(fds[0], 4096, &ops, &next, &err);
	for (int i = 0; i < 4100; i++)
		while (send(fds[1], one, sizeof(one), MSG_NOSIGNAL) < 0)
			loop_turn(true);
	while (recv(fds[1], reply, sizeof(reply), 0) < (ssize_t)(4 * sizeof("{\"error\":{}}")))
		loop_turn(true);
	assert_ptr_equal(next, open + 4096);
	assert_non_null(strstr(reply, "4096"));
	rpc_peer_close(p);
	for (size_t i = 0; i < 4096; i++)
		rpc_answer(open[i], NULL); /* after the end: harmless */
	close(fds[1]);
}

static void got_error(void *arg, const struct js *answer, const struct err *err)
{
	assert_null(answer);
	*(struct err *)arg = *err;
}

static int connect_fd(void *arg, struct err *err)
{
	(void)err;
	return dup(*(int *)arg);
}

/* What no side of ours sends: strays are passed over, a failure of an unknown kind stays a failure. */
static void test_strange_answers(void **state)
{
	static const struct rpc_ops ops = { .connect = connect_fd };
	static const char strays[] = "{}\0{\"id\":999999999}\0{\"event\":\"changed\"}\0{\"id\":\"x\",\"error\":5}";
	char text[512] = "";
	struct err got = { 0 };
	struct js *v = js_object();
	struct rpc *r;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	r = rpc_new(&ops, &fds[0]);
	js_put_str(v, "op", "x");
	rpc_send(r, v, 10000, got_error, &got);
	while (recv(fds[1], text, sizeof(text) - 1, 0) < 0)
		loop_turn(true);
	v = js_parse(text, strlen(text), NULL);
	assert_true(js_int(v, "id", 0) > 0);
	assert_string_equal(js_str(v, "op"), "x");
	assert_int_equal(send(fds[1], strays, sizeof(strays), MSG_NOSIGNAL), sizeof(strays));
	snprintf(text, sizeof(text), "{\"id\":%lld,\"error\":{\"kind\":\"novel\",\"detail\":\"hm\"}}",
		(long long)js_int(v, "id", 0));
	assert_int_equal(send(fds[1], text, strlen(text) + 1, MSG_NOSIGNAL), strlen(text) + 1);
	while (got.kind == ERR_NONE)
		loop_turn(true);
	assert_int_equal(got.kind, ERR_BUG);
	assert_string_equal(got.detail, "hm");
	js_free(v);
	rpc_free(r);
	close(fds[0]);
	close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_call_and_answer),
		TEST(test_refusal_is_an_error),
		TEST(test_answers_in_any_order),
		TEST(test_events),
		TEST(test_comes_up_after_refusals),
		TEST(test_calls_are_sent_again_after_a_break),
		TEST(test_time_runs_while_it_is_down),
		TEST(test_late_answer_is_harmless),
		TEST(test_cancel),
		TEST(test_cancel_another_inside_done),
		TEST(test_free_inside_done),
		TEST(test_free_with_calls_under_way),
		TEST(test_hostile_calls),
		TEST(test_open_calls_are_limited),
		TEST(test_strange_answers),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
