/* SPDX-License-Identifier: ISC */
#include "io/msg.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/msg_sock.h"

/* What the peer is being waited for, which decides how long. */
enum quiet { QUIET_NONE, QUIET_IDLE, QUIET_PARTIAL };

struct msg {
	int fd;
	struct msg_limits limits;
	struct msg_ops ops;
	void *arg;
	struct msg_identity who;
	struct watch watch;
	short events;
	struct buf in;
	size_t scanned; /* bytes of `in` known to hold no NUL */
	struct buf out;
	size_t sent; /* bytes of `out` the kernel has */
	enum quiet quiet;
	struct timer quiet_timer;
	struct timer write_timer;
	struct timer drained_timer;
	const char *broken; /* why it ends on a later turn */
	bool busy;          /* ordered: msg_next has not come yet */
	bool delivering;
	bool flush_due;
	bool blocked; /* the kernel takes no more for now */
	bool finishing;
	bool dead;
};

static void reap(void *arg)
{
	struct msg *m = arg;

	buf_wipe(&m->in);
	buf_wipe(&m->out);
	free(m->who.groups);
	free(m);
}

void msg_close(struct msg *m)
{
	if (!m || m->dead)
		return;
	m->dead = true;
	watch_clear(&m->watch);
	timer_disarm(&m->quiet_timer);
	timer_disarm(&m->write_timer);
	timer_disarm(&m->drained_timer);
	close(m->fd);
	loop_undefer(m);
	loop_defer(reap, m);
}

/* Every end that the owner did not ask for. */
static void end(struct msg *m, enum err_kind kind, const char *why)
{
	struct err err = { 0 };

	if (kind != ERR_NONE)
		err_set(&err, kind, "connection", "%s", why);
	msg_close(m);
	if (!m->finishing)
		m->ops.closed(m->arg, m, &err);
}

static void end_broken(void *arg)
{
	struct msg *m = arg;

	end(m, ERR_TEMP, m->broken);
}

static void break_later(struct msg *m, const char *why)
{
	if (m->broken)
		return;
	m->broken = why;
	loop_defer(end_broken, m);
}

/* An error number of the socket: that the peer is gone is no failure, it may close when it has seen enough. */
static void end_by_errno(struct msg *m, int errnum)
{
	bool gone = errnum == EPIPE || errnum == ECONNRESET;

	end(m, gone ? ERR_NONE : ERR_LOCAL, strerror(errnum));
}

static void quiet_too_long(void *arg)
{
	struct msg *m = arg;

	end(m, ERR_TEMP, m->quiet == QUIET_IDLE ? "nothing was asked for too long" : "a message came too slowly");
}

static void stuck_too_long(void *arg)
{
	end(arg, ERR_TEMP, "the peer reads too slowly");
}

static void ready(void *arg, short events);

/* Bring watch and timer in line with the buffers; fresh: a message ended, so the peer's time starts anew. */
static void settle(struct msg *m, bool fresh)
{
	bool take = !m->finishing && m->in.len <= m->limits.message;
	short events = (short)((take ? POLLIN : 0) | (m->blocked ? POLLOUT : 0));
	enum quiet quiet = m->busy || m->finishing ? QUIET_NONE : m->in.len ? QUIET_PARTIAL :
		m->out.len ? QUIET_NONE : QUIET_IDLE;
	int64_t limit = quiet == QUIET_IDLE ? m->limits.idle_ms : quiet == QUIET_PARTIAL ? m->limits.partial_ms : 0;
	struct err err;

	if (events != m->events && !watch_set(&m->watch, m->fd, events, ready, m, &err))
		break_later(m, "cannot be watched");
	m->events = events;
	if (quiet == m->quiet && !fresh)
		return;
	m->quiet = quiet;
	timer_disarm(&m->quiet_timer);
	if (limit > 0)
		timer_arm(&m->quiet_timer, limit, quiet_too_long, m);
}

static void hand_over(struct msg *m, const char *text, size_t len)
{
	struct err err = { 0 };
	struct js *v = js_parse(text, len, &err);

	if (v && js_is_object(v)) {
		m->busy = m->ops.ordered;
		m->ops.got(m->arg, m, v);
	} else {
		end(m, ERR_INPUT, v ? "a message is not a JSON object" : err.detail);
	}
	js_free(v);
}

/* Hand over what is complete. Messages are taken off the buffer at the end, so that many small ones cost one move. */
static void deliver(void *arg)
{
	struct msg *m = arg;
	size_t at = 0;
	bool fresh = false;

	m->delivering = true;
	while (!m->dead && !m->finishing && !m->broken && !m->busy && at < m->in.len) {
		const char *text = m->in.data + at;
		size_t len = m->in.len - at;
		const char *nul = memchr(text + m->scanned, '\0', len - m->scanned);

		m->scanned = nul ? 0 : len;
		if (!nul)
			break;
		at += (size_t)(nul - text) + 1;
		fresh = true;
		hand_over(m, text, (size_t)(nul - text));
	}
	m->delivering = false;
	if (m->dead)
		return;
	buf_drop(&m->in, at);
	if (!m->busy && !m->finishing && m->in.len > m->limits.message)
		end(m, ERR_INPUT, "a message is too large");
	else
		settle(m, fresh);
}

/* Returns an error number other than EAGAIN, or 0. */
static int push_out(struct msg *m)
{
	while (m->sent < m->out.len) {
		ssize_t n = send(m->fd, m->out.data + m->sent, m->out.len - m->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : errno;
		m->sent += (size_t)n;
		timer_disarm(&m->write_timer);
	}
	return 0;
}

/* What was answered is sent before we go: the peer may have closed its sending half only. */
static void end_of_input(struct msg *m)
{
	bool cut = m->in.len > 0 && !m->busy;

	(void)push_out(m);
	end(m, cut ? ERR_TEMP : ERR_NONE, "the peer closed within a message");
}

static void receive(struct msg *m)
{
	char chunk[16384];
	size_t room = m->limits.message + 1 - m->in.len;
	ssize_t n;

	do
		n = recv(m->fd, chunk, room < sizeof(chunk) ? room : sizeof(chunk), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		end_by_errno(m, errno);
	else if (n == 0)
		end_of_input(m);
	else if (!buf_add(&m->in, chunk, (size_t)n))
		end(m, ERR_INPUT, "a message is too large");
	else
		deliver(m);
}

static void drained(void *arg)
{
	struct msg *m = arg;

	if (m->out.len == 0)
		m->ops.drained(m->arg, m);
}

static void flush(void *arg)
{
	struct msg *m = arg;
	int errnum = push_out(m);

	m->flush_due = false;
	if (errnum) {
		end_by_errno(m, errnum);
		return;
	}
	m->blocked = m->sent < m->out.len;
	if (!m->blocked && m->finishing) {
		msg_close(m);
		return;
	}
	if (!m->blocked) {
		buf_reset(&m->out);
		m->sent = 0;
		/* On a turn of its own, so that a stream to a quick reader leaves room for everybody else. */
		if (m->ops.drained)
			timer_arm(&m->drained_timer, 0, drained, m);
	} else if (m->limits.write_ms > 0 && !timer_armed(&m->write_timer)) {
		timer_arm(&m->write_timer, m->limits.write_ms, stuck_too_long, m);
	}
	settle(m, false);
}

static void ready(void *arg, short events)
{
	struct msg *m = arg;

	if (events & POLLOUT)
		flush(m);
	if ((events & POLLIN) && !m->dead && !m->finishing)
		receive(m);
}

struct msg *msg_open(int fd, const struct msg_limits *limits, const struct msg_ops *ops, void *arg, struct err *err)
{
	struct msg_identity who = { 0 };
	struct msg *m;

	if (!msg_identify(fd, &who, err) || !msg_set_up(fd, err)) {
		free(who.groups);
		close(fd);
		return NULL;
	}
	m = mem_alloc(sizeof(*m));
	m->fd = fd;
	m->limits = *limits;
	m->ops = *ops;
	m->arg = arg;
	m->who = who;
	buf_init(&m->in, limits->message + 1);
	buf_init(&m->out, 0); /* msg_send keeps the limit: the part that was sent already does not count */
	settle(m, true);
	return m;
}

struct msg *msg_connect(const char *path, const struct msg_limits *limits, const struct msg_ops *ops, void *arg,
	struct err *err)
{
	int fd = msg_dial(path, err);

	return fd < 0 ? NULL : msg_open(fd, limits, ops, arg, err);
}

/* The sent part goes once it is the larger half: every byte is moved a bounded number of times. */
static void drop_sent(struct msg *m)
{
	if (m->sent < m->out.len / 2)
		return;
	buf_drop(&m->out, m->sent);
	m->sent = 0;
}

void msg_send(struct msg *m, const struct js *v)
{
	char *text;
	size_t len;

	if (m->dead || m->finishing || m->broken)
		return;
	text = js_dump(v);
	len = strlen(text) + 1;
	drop_sent(m);
	if (len > m->limits.output || msg_pending(m) > m->limits.output - len || !buf_add(&m->out, text, len))
		break_later(m, "too much output is waiting");
	explicit_bzero(text, len); /* it may hold a secret */
	free(text);
	/* Once per turn: many answers, one system call. */
	if (!m->broken && !m->blocked && !m->flush_due) {
		m->flush_due = true;
		loop_defer(flush, m);
	}
}

void msg_next(struct msg *m)
{
	if (m->dead || !m->busy)
		return;
	m->busy = false;
	if (!m->delivering)
		loop_defer(deliver, m);
}

size_t msg_pending(const struct msg *m)
{
	return m->out.len - m->sent;
}

void msg_set_arg(struct msg *m, void *arg)
{
	m->arg = arg;
}

const struct msg_peer *msg_peer(const struct msg *m)
{
	return &m->who.peer;
}

bool msg_peer_in_group(const struct msg *m, gid_t gid)
{
	return msg_identity_in_group(&m->who, gid);
}

void msg_finish(struct msg *m)
{
	if (m->dead || m->finishing)
		return;
	m->finishing = true;
	timer_disarm(&m->drained_timer);
	if (msg_pending(m) == 0 || m->broken)
		msg_close(m);
	else if (!m->delivering)
		settle(m, true);
}
