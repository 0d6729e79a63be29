/* SPDX-License-Identifier: ISC */
#include "msg_conn.h"

#include <poll.h>

#include "base/clock.h"
#include "base/mem.h"

static void test_too_much_output_closes_later(void **state)
{
	struct msg_limits limits = { .message = 64, .output = 20 };
	struct conn c;

	(void)state;
	conn_open(&c, &limits, &plain);
	send_text(c.m, "{\"n\":100000000}"); /* 16 bytes on the wire */
	send_text(c.m, "{}");
	assert_int_equal(c.closed, 0);
	send_text(c.m, "{}");
	assert_int_equal(c.closed, 0);
	send_text(c.m, "{}");
	loop_turn(true);
	assert_int_equal(c.closed, 1);
	assert_int_equal(c.err.kind, ERR_TEMP);
	conn_close(&c);
}

static void test_stream_by_drained(void **state)
{
	struct conn c;
	char text[4096];

	(void)state;
	conn_open(&c, &roomy, &streaming);
	c.stream = 50;
	send_text(c.m, "{}");
	while (c.drained < 51)
		loop_turn(true);
	assert_true(recv(c.fd, text, sizeof(text), 0) > 50 * 10);
	conn_close(&c);
}

static void limits_close(const struct msg_limits *limits, const char *first, const char *send, const char *word)
{
	int64_t before = clock_mono_ms();
	struct conn c;

	conn_open(&c, limits, &plain);
	if (first)
		put(&c, first, strlen(first) + 1);
	if (send)
		put(&c, send, strlen(send));
	while (!c.closed)
		loop_turn(true);
	assert_true(clock_mono_ms() - before >= 40);
	assert_int_equal(c.err.kind, ERR_TEMP);
	assert_non_null(strstr(c.err.detail, word));
	conn_close(&c);
}

static void test_idle_and_partial_limits(void **state)
{
	struct msg_limits idle = { .message = 64, .output = 64, .idle_ms = 40 };
	struct msg_limits partial = { .message = 64, .output = 64, .partial_ms = 40 };

	(void)state;
	limits_close(&idle, NULL, NULL, "nothing was asked");
	limits_close(&idle, "{}", NULL, "nothing was asked");
	limits_close(&partial, NULL, "{", "too slowly");
	limits_close(&partial, "{}", "{\"", "too slowly");
}

static void trickle(void *arg)
{
	struct conn *c = arg;

	if (!c->closed)
		put(c, " ", 1);
}

/* Bytes that keep coming do not buy time. */
static void test_trickling_is_partial_all_the_time(void **state)
{
	struct msg_limits limits = { .message = 1000, .output = 64, .partial_ms = 60, .idle_ms = 10000 };
	struct timer t = { 0 };
	unsigned sent = 0;
	struct conn c;

	(void)state;
	conn_open(&c, &limits, &plain);
	for (; !c.closed; sent++) {
		timer_arm(&t, 5, trickle, &c);
		while (timer_armed(&t) && !c.closed)
			loop_turn(true);
	}
	timer_disarm(&t);
	assert_true(sent < 30);
	assert_non_null(strstr(c.err.detail, "too slowly"));
	conn_close(&c);
}

static void test_owed_answers_suspend_the_idle_limit(void **state)
{
	struct msg_limits limits = { .message = 64, .output = 64, .idle_ms = 30, .partial_ms = 30 };
	struct timer t = { 0 };
	struct conn c;

	(void)state;
	conn_open(&c, &limits, &ordered);
	PUT(&c, "{\"n\":1}");
	put(&c, "{", 1); /* the next, begun too early */
	timer_arm(&t, 100, trickle, &c);
	while (timer_armed(&t))
		loop_turn(true);
	assert_int_equal(c.closed, 0);
	msg_next(c.m);
	while (!c.closed)
		loop_turn(true);
	assert_non_null(strstr(c.err.detail, "too slowly"));
	conn_close(&c);
}

static void test_write_limit(void **state)
{
	struct msg_limits limits = { .message = 64, .output = 4 << 20, .write_ms = 40 };
	char *big = mem_alloc(1 << 20);
	struct js *v = js_object();
	struct conn c;

	(void)state;
	memset(big, 'x', (1 << 20) - 1);
	js_put_str(v, "text", big);
	conn_open(&c, &limits, &plain);
	msg_send(c.m, v);
	while (!c.closed)
		loop_turn(true);
	assert_int_equal(c.err.kind, ERR_TEMP);
	assert_non_null(strstr(c.err.detail, "reads too slowly"));
	conn_close(&c);
	/* Nor does an ending connection wait for ever. */
	conn_open(&c, &limits, &plain);
	msg_send(c.m, v);
	msg_finish(c.m);
	c.m = NULL;
	for (char chunk[4096]; recv(c.fd, chunk, 1, MSG_PEEK) != 0;) {
		struct pollfd p = { .fd = c.fd, .events = POLLRDHUP };

		loop_turn(true);
		if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
			break;
	}
	assert_int_equal(c.closed, 0);
	conn_close(&c);
	js_free(v);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_too_much_output_closes_later),
		TEST(test_stream_by_drained),
		TEST(test_idle_and_partial_limits),
		TEST(test_trickling_is_partial_all_the_time),
		TEST(test_owed_answers_suspend_the_idle_limit),
		TEST(test_write_limit),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
