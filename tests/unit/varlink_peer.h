/* SPDX-License-Identifier: ISC */
/* The caller's side of the status socket for tests: raw bytes out, replies in, the service's loop turned meanwhile in
 * the same process. */
#ifndef DOVAD_TESTS_VARLINK_PEER_H
#define DOVAD_TESTS_VARLINK_PEER_H

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "io/loop.h"

struct peer {
	int fd;
	struct buf in;
};

static inline void peer_open(struct peer *p, const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	memcpy(to.sun_path, path, strlen(path));
	buf_init(&p->in, 0);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(connect(p->fd, (struct sockaddr *)&to, sizeof to), 0);
}

static inline void peer_close(struct peer *p)
{
	close(p->fd);
	buf_free(&p->in);
}

/* Turn the loop while that lets bytes go. false: the service closed the connection meanwhile. */
static inline bool peer_send(struct peer *p, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = send(p->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return false;
		assert_true(n > 0 || errno == EAGAIN);
		if (n < 0)
			loop_turn(true);
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* The next reply, owned by the caller; NULL: the connection was closed. Only the members that Varlink knows are let
 * through. */
static inline struct js *peer_take(struct peer *p)
{
	for (;;) {
		char *nul = p->in.len ? memchr(p->in.data, '\0', p->in.len) : NULL;
		char chunk[65536];
		ssize_t n;

		if (nul) {
			struct err err;
			struct js *v = js_parse(p->in.data, (size_t)(nul - p->in.data), &err);

			assert_non_null(v);
			assert_non_null(js_obj(v, "parameters"));
			for (void *i = js_first(v); i; i = js_next(v, i))
				assert_true(strcmp(js_key(i), "parameters") == 0 || strcmp(js_key(i), "error") == 0 ||
					    strcmp(js_key(i), "continues") == 0);
			assert_false(js_has(v, "error") && js_has(v, "continues"));
			buf_drop(&p->in, (size_t)(nul - p->in.data) + 1);
			return v;
		}
		n = recv(p->fd, chunk, sizeof chunk, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return NULL;
		if (n > 0)
			assert_true(buf_add(&p->in, chunk, (size_t)n));
		else
			loop_turn(true);
	}
}

static inline struct js *peer_ask(struct peer *p, const char *call)
{
	assert_true(peer_send(p, call, strlen(call) + 1));
	return peer_take(p);
}

static inline void peer_expect_reply(struct peer *p, const char *call)
{
	struct js *v = peer_ask(p, call);

	assert_non_null(v);
	js_free(v);
}

/* Asks and expects an error of this full name, whose one detail (NULL: none) has this value. */
static inline void peer_expect_error(
	struct peer *p, const char *call, const char *error, const char *key, const char *value)
{
	struct js *v = peer_ask(p, call);

	assert_non_null(v);
	assert_string_equal(js_str(v, "error"), error);
	if (key)
		assert_string_equal(js_str(js_obj(v, "parameters"), key), value);
	else
		assert_int_equal(js_len(js_obj(v, "parameters")), 0);
	js_free(v);
}

#endif
