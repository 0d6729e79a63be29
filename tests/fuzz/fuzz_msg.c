/* SPDX-License-Identifier: ISC */
/* A hostile peer of io/msg. First byte: 1 ordered, 2 next at once, 4 answer, 8 close after the first, 16 finish after
 * the first. Second byte: bytes per write. The rest is what the peer sends. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"
#include "io/msg.h"
#include "fuzz.h"

enum { ORDERED = 1, NEXT = 2, ANSWER = 4, CLOSE = 8, FINISH = 16, TURNS = 1000 };

struct run {
	uint8_t options;
	size_t expected; /* at most so many messages */
	size_t got;
	bool waits; /* ordered, and next is to come */
	bool over;  /* no callback may follow */
};

static void got(void *arg, struct msg *m, struct js *v)
{
	struct run *r = arg;

	check(!r->over && !r->waits && js_is_object(v) && ++r->got <= r->expected);
	r->waits = (r->options & ORDERED) && !(r->options & NEXT);
	r->over = r->options & (CLOSE | FINISH);
	if (r->options & ANSWER)
		msg_send(m, v);
	if (r->options & NEXT)
		msg_next(m);
	if (r->options & CLOSE)
		msg_close(m);
	else if (r->options & FINISH)
		msg_finish(m);
}

static void closed(void *arg, struct msg *m, const struct err *err)
{
	struct run *r = arg;

	(void)m;
	(void)err;
	check(!r->over);
	r->over = true;
}

/* What the peer says, in pieces; it reads what comes back, so that nothing but its words decides. */
static void talk(struct run *r, struct msg *m, int fd, const uint8_t *data, size_t size, size_t piece)
{
	char sink[4096];

	for (int turn = 0; turn < TURNS && !r->over; turn++) {
		size_t n = size < piece ? size : piece;
		ssize_t sent = n ? send(fd, data, n, MSG_NOSIGNAL) : 0;

		data += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
		if (size == 0)
			shutdown(fd, SHUT_WR);
		loop_turn(false);
		while (recv(fd, sink, sizeof(sink), 0) > 0)
			;
		if (r->waits && !r->over) {
			r->waits = false;
			msg_next(m);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct msg_limits limits = { .message = 256, .output = 1 << 20 };
	static bool is_open;
	struct run r = { 0 };
	struct msg_ops ops = { .got = got, .closed = closed };
	struct msg *m;
	struct err err;
	int fds[2];

	check(is_open || loop_open(&err));
	is_open = true;
	if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return 0;
	r.options = data[0];
	for (size_t i = 2; i < size; i++)
		r.expected += data[i] == '\0';
	ops.ordered = r.options & ORDERED;
	m = msg_open(fds[0], &limits, &ops, &r, &err);
	check(m != NULL);
	talk(&r, m, fds[1], data + 2, size - 2, data[1] ? data[1] : size);
	if (!r.over)
		msg_close(m);
	r.over = true;
	close(fds[1]);
	for (int i = 0; i < 3; i++)
		loop_turn(false);
	return 0;
}
