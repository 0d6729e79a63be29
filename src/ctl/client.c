/* SPDX-License-Identifier: ISC */
#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

enum { REPLY_MOST = 16 * 1024 * 1024 };

struct client {
	int fd;
	int64_t deadline_ms; /* monotonic, 0: none */
	struct buf in;
	size_t taken; /* bytes of `in` that the last reply was */
	struct js *last;
};

/* Wait until the socket is ready. */
static bool wait_for(struct client *c, short events, struct err *err)
{
	struct pollfd p = {.fd = c->fd, .events = events};
	int n;

	do {
		int64_t left = c->deadline_ms ? c->deadline_ms - clock_mono_ms() : -1;

		if (c->deadline_ms && left <= 0)
			return err_set(err, ERR_TEMP, "timeout", "no answer in time");
		n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n > 0 || err_errno(err, "cannot wait for the daemon");
}

/* A full queue of a daemon that accepts nobody answers EAGAIN, for which there is nothing to poll. */
static bool dial(struct client *c, const struct sockaddr_un *to, struct err *err)
{
	while (connect(c->fd, (const struct sockaddr *)to, sizeof *to) != 0) {
		if (errno != EAGAIN && errno != EINTR) {
			err_errno(err, "cannot connect to %s", to->sun_path);
			memcpy(err->type, "connect", sizeof "connect");
			return false;
		}
		if (c->deadline_ms && clock_mono_ms() >= c->deadline_ms)
			return err_set(err, ERR_TEMP, "timeout", "the daemon accepts no connection");
		(void)poll(NULL, 0, 50);
	}
	return true;
}

struct client *client_open(const char *path, int64_t timeout_ms, struct err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct client *c;

	if (strlen(path) >= sizeof to.sun_path) {
		err_set(err, ERR_INPUT, "connect", "the path of the socket is longer than %zu bytes",
			sizeof to.sun_path - 1);
		return NULL;
	}
	memcpy(to.sun_path, path, strlen(path));
	c = mem_alloc(sizeof *c);
	c->deadline_ms = timeout_ms > 0 ? clock_mono_ms() + timeout_ms : 0;
	buf_init(&c->in, REPLY_MOST);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		err_errno(err, "cannot make a socket");
	if (c->fd >= 0 && dial(c, &to, err))
		return c;
	client_close(c);
	return NULL;
}

static bool send_all(struct client *c, const char *data, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t n = wait_for(c, POLLOUT, err) ? send(c->fd, data, len, MSG_NOSIGNAL) : 0;

		if (n == 0)
			return false;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_set(
				err, ERR_TEMP, "closed", "the daemon closed the connection: %s", strerror(errno));
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

bool client_call(struct client *c, const char *method, const struct js *parameters, bool more, struct err *err)
{
	struct js *call = js_object();
	char *text;
	bool sent;

	js_put_str(call, "method", method);
	js_put(call, "parameters", js_ref((struct js *)parameters));
	if (more)
		js_put_bool(call, "more", true);
	text = js_dump(call);
	sent = send_all(c, text, strlen(text) + 1, err); /* its NUL ends the message */
	free(text);
	js_free(call);
	return sent;
}

static bool receive_some(struct client *c, struct err *err)
{
	char chunk[65536];
	ssize_t n;

	if (!wait_for(c, POLLIN, err))
		return false;
	n = recv(c->fd, chunk, sizeof chunk, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0)
		return err_set(err, ERR_TEMP, "closed", "the connection broke: %s", strerror(errno));
	if (n == 0)
		return err_set(err, ERR_TEMP, "closed", "the daemon closed the connection");
	return buf_add(&c->in, chunk, (size_t)n) ||
	       err_set(err, ERR_TEMP, "protocol", "the answer is larger than 16 MiB");
}

static bool parse_reply(struct client *c, size_t len, struct client_reply *reply, struct err *err)
{
	struct err why;

	c->last = js_parse(c->in.data, len, &why);
	if (!c->last)
		return err_set(err, ERR_TEMP, "protocol", "the answer is not Varlink: %s", why.detail);
	if (!js_is_object(c->last) || (js_has(c->last, "error") && !js_str(c->last, "error")))
		return err_set(err, ERR_TEMP, "protocol", "the answer is not Varlink");
	if (!js_obj(c->last, "parameters"))
		js_put(c->last, "parameters", js_object());
	reply->error = js_str(c->last, "error");
	reply->parameters = js_obj(c->last, "parameters");
	reply->continues = !reply->error && js_bool(c->last, "continues", false);
	return true;
}

bool client_receive(struct client *c, struct client_reply *reply, struct err *err)
{
	size_t scanned = 0;

	js_free(c->last);
	c->last = NULL;
	buf_drop(&c->in, c->taken);
	c->taken = 0;
	for (;;) {
		const char *nul = c->in.len > scanned ? memchr(c->in.data + scanned, '\0', c->in.len - scanned) : NULL;

		if (nul) {
			c->taken = (size_t)(nul - c->in.data) + 1;
			return parse_reply(c, c->taken - 1, reply, err);
		}
		scanned = c->in.len;
		if (!receive_some(c, err))
			return false;
	}
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	js_free(c->last);
	buf_free(&c->in);
	free(c);
}
