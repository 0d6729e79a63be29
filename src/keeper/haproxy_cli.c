/* SPDX-License-Identifier: ISC */
#include "keeper/haproxy_cli.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "io/loop.h"
#include "io/msg.h"
#include "keeper/haproxy_say.h"

enum {
	ANSWER_MAX = 4 * 1024 * 1024, /* a list of some ten thousand files */
	PIECE = 65536,
};

struct haproxy_cli {
	int fd;
	struct watch watch;
	short events;
	struct buf in, out;
	size_t asked; /* commands without an answer, the one that asks for prompts among them */
	bool greeted, dead;
	struct haproxy_cli_ops ops;
	void *arg;
};

/* Who listens there was noted when it began to: a HAProxy that became another user since counts as root. */
static bool check_peer(int fd, const char *path, struct err *err)
{
	char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path + 1));
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);
	struct stat st;
	bool ok = false;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid()))
		ok = true;
	else if (who.uid != (uid_t)-1 && stat(folder, &st) == 0)
		ok = st.st_uid == who.uid && !(st.st_mode & (S_IWGRP | S_IWOTH));
	free(folder);
	return ok || err_set(err, ERR_DENIED, "haproxy", "uid %lu listens at %s: neither root nor the only one who can write in its folder, so it is told no keys",
		(unsigned long)who.uid, path);
}

static void reap(void *arg)
{
	struct haproxy_cli *c = arg;

	buf_wipe(&c->in);
	buf_wipe(&c->out);
	free(c);
}

void haproxy_cli_close(struct haproxy_cli *c)
{
	if (!c || c->dead)
		return;
	c->dead = true;
	watch_clear(&c->watch);
	close(c->fd);
	loop_undefer(c);
	loop_defer(reap, c);
}

/* What it said last, for want of an answer, tells more than that it is gone. */
static void broken(struct haproxy_cli *c, const char *why)
{
	char words[200] = "";
	size_t begin = 0;
	struct err err;

	while (begin + 2 <= c->in.len && memcmp(c->in.data + begin, "+ ", 2) == 0)
		begin += 2;
	if (c->in.len > begin)
		text_escape(c->in.data + begin, strcspn(c->in.data + begin, "\n"), words, sizeof(words));
	err_set(&err, ERR_TEMP, "haproxy", "%s%s%s", why, *words ? " after: " : "", words);
	c->ops.closed(c->arg, &err);
}

static void answers(struct haproxy_cli *c)
{
	size_t begin, end, next;

	while (!c->dead && c->in.len && haproxy_say_split(c->in.data, c->in.len, &begin, &end, &next)) {
		if (!c->asked || (!c->greeted && end)) {
			broken(c, c->greeted ? "it answers what was not asked" : "it does not speak the runtime API");
			return;
		}
		c->asked--;
		c->in.data[end] = '\0';
		if (c->greeted)
			c->ops.answered(c->arg, c->in.data + begin);
		c->greeted = true;
		if (!c->dead)
			buf_drop(&c->in, next);
	}
}

static void readable(struct haproxy_cli *c)
{
	char piece[PIECE];
	ssize_t n = recv(c->fd, piece, sizeof(piece), 0);

	if (n > 0 && memchr(piece, 0, (size_t)n))
		broken(c, "it sent a NUL");
	else if (n > 0 && !buf_add(&c->in, piece, (size_t)n))
		broken(c, "its answer is too long");
	else if (n > 0)
		answers(c);
	else if (n == 0 || errno == ECONNRESET || errno == EPIPE)
		broken(c, "it closed the connection");
	else if (errno != EAGAIN && errno != EINTR)
		broken(c, strerror(errno));
}

static void settle(struct haproxy_cli *c);

static void writable(struct haproxy_cli *c)
{
	ssize_t n = c->out.len ? send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL) : 0;

	if (n > 0)
		buf_drop(&c->out, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		buf_reset(&c->out); /* what it said before it went away is to be read */
	settle(c);
}

static void ready(void *arg, short events)
{
	struct haproxy_cli *c = arg;

	if (events & POLLIN)
		readable(c);
	if (!c->dead && events & POLLOUT)
		writable(c);
}

static void unwatched(void *arg)
{
	broken(arg, "it cannot be watched");
}

static void settle(struct haproxy_cli *c)
{
	short events = (short)(POLLIN | (c->out.len ? POLLOUT : 0));

	if (events != c->events && !watch_set(&c->watch, c->fd, events, ready, c, NULL))
		loop_defer(unwatched, c);
	c->events = events;
}

void haproxy_cli_send(struct haproxy_cli *c, const struct buf *command)
{
	if (c->dead)
		return;
	if (!buf_add(&c->out, command->data, command->len))
		abort(); /* no cap */
	c->asked++;
	settle(c);
}

struct haproxy_cli *haproxy_cli_open(const char *path, const struct haproxy_cli_ops *ops, void *arg, struct err *err)
{
	int fd = msg_dial(path, err);
	struct haproxy_cli *c;
	struct buf prompt;

	if (fd < 0)
		return NULL;
	if (!check_peer(fd, path, err)) {
		close(fd);
		return NULL;
	}
	c = mem_alloc(sizeof(*c));
	*c = (struct haproxy_cli){ .fd = fd, .ops = *ops, .arg = arg };
	buf_init(&c->in, ANSWER_MAX);
	buf_init(&c->out, 0);
	if (!watch_set(&c->watch, fd, POLLIN, ready, c, err)) {
		haproxy_cli_close(c);
		return NULL;
	}
	c->events = POLLIN;
	buf_init(&prompt, 0);
	if (!buf_puts(&prompt, "prompt\n"))
		abort();
	haproxy_cli_send(c, &prompt);
	buf_free(&prompt);
	return c;
}
