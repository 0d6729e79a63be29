/* SPDX-License-Identifier: ISC */
/* A connection for the tests of io/msg, and the loop around each test. */
#ifndef DOVAD_TESTS_MSG_CONN_H
#define DOVAD_TESTS_MSG_CONN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"
#include "io/msg.h"

/* One end is a msg, the other a plain descriptor that may misbehave. */
struct conn {
	struct msg *m;
	int fd;
	unsigned got;
	unsigned closed;
	unsigned drained;
	struct err err;
	char last[256]; /* the last message */
	bool next_at_once;
	bool close_at_once;
	bool echo;
	unsigned stream; /* messages to send, one per drained */
};

static const struct msg_limits roomy = { .message = 1024, .output = 1 << 20 };

static inline void got(void *arg, struct msg *m, struct js *v)
{
	struct conn *c = arg;
	char *text = js_dump(v);

	c->got++;
	snprintf(c->last, sizeof(c->last), "%s", text);
	free(text);
	if (c->echo)
		msg_send(m, v);
	if (c->next_at_once)
		msg_next(m);
	if (c->close_at_once)
		msg_close(m);
}

static inline void closed(void *arg, struct msg *m, const struct err *err)
{
	struct conn *c = arg;

	assert_ptr_equal(c->m, m);
	c->closed++;
	c->err = *err;
	msg_close(m); /* harmless */
	c->m = NULL;
}

static inline void drained(void *arg, struct msg *m)
{
	struct conn *c = arg;
	struct js *v;

	c->drained++;
	if (c->stream == 0)
		return;
	v = js_object();
	js_put_int(v, "left", --c->stream);
	msg_send(m, v);
	js_free(v);
}

static const struct msg_ops plain = { .got = got, .closed = closed };
static const struct msg_ops ordered = { .got = got, .closed = closed, .ordered = true };
static const struct msg_ops streaming = { .got = got, .closed = closed, .drained = drained };

static inline void conn_open(struct conn *c, const struct msg_limits *limits, const struct msg_ops *ops)
{
	struct err err;
	int fds[2];

	*c = (struct conn){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	c->m = msg_open(fds[0], limits, ops, c, &err);
	assert_non_null(c->m);
	c->fd = fds[1];
	assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
}

static inline void conn_close(struct conn *c)
{
	msg_close(c->m);
	if (c->fd >= 0)
		close(c->fd);
	loop_turn(false);
}

static inline void put(struct conn *c, const void *data, size_t len)
{
	assert_int_equal(send(c->fd, data, len, MSG_NOSIGNAL), len);
}

#define PUT(c, literal) put(c, literal, sizeof(literal)) /* with the NUL */

static inline void send_text(struct msg *m, const char *json)
{
	struct js *v = js_parse(json, strlen(json), NULL);

	assert_non_null(v);
	msg_send(m, v);
	js_free(v);
}

static inline int open_loop(void **state)
{
	struct err err;

	(void)state;
	return loop_open(&err) ? 0 : -1;
}

static inline int close_loop(void **state)
{
	(void)state;
	loop_turn(false);
	loop_close();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

#endif
