/* SPDX-License-Identifier: ISC */
#include "io/web.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"

enum { CONNECTIONS_MAX = 50, LIFE_S = 10, MEMORY_MAX = 16 * 1024 };

/* One accepted connection. libmicrohttpd's own time-out begins anew with each byte, ours does not. */
struct visitor {
	TAILQ_ENTRY(visitor) link;
	int64_t until_ms;
	int fd;
};

struct web {
	struct MHD_Daemon *daemon;
	struct watch watch;
	struct timer timer;
	TAILQ_HEAD(, visitor) visitors; /* oldest first */
	unsigned nvisitors;
	bool has_room; /* again, after it was full */
	web_handler *handler;
	void *arg;
	bool running; /* inside MHD_run */
	bool closed;  /* by the handler: ends on a later turn */
};

static size_t leave_escaped(void *arg, struct MHD_Connection *c, char *s)
{
	(void)arg;
	(void)c;
	return strlen(s);
}

static void visitor_changed(void *arg, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode what)
{
	struct web *w = arg;
	struct visitor *v = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		v = mem_alloc(sizeof(*v));
		v->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		v->until_ms = clock_mono_ms() + LIFE_S * 1000;
		TAILQ_INSERT_TAIL(&w->visitors, v, link);
		w->nvisitors++;
		*context = v;
	} else if (v) {
		TAILQ_REMOVE(&w->visitors, v, link);
		w->has_room |= w->nvisitors-- == CONNECTIONS_MAX;
		free(v);
		*context = NULL;
	}
}

/* Takes over answer->body. */
static enum MHD_Result send_answer(struct MHD_Connection *c, const struct web_answer *answer)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(answer->len, answer->body, MHD_RESPMEM_MUST_FREE);
	unsigned status = answer->status ? (unsigned)answer->status : MHD_HTTP_NOT_FOUND;
	enum MHD_Result ok = MHD_YES;

	if (!r) {
		free(answer->body);
		return MHD_NO;
	}
	ok &= MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	ok &= MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	ok &= MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type ? answer->content_type : "application/octet-stream");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		ok &= MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ok &= MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version,
	const char *upload, size_t *upload_len, void **context)
{
	struct web *w = arg;
	struct web_answer answer = { 0 };

	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
		return send_answer(c, &answer);
	}
	if (!*context) { /* only the head was read: come again */
		*context = w;
		return MHD_YES;
	}
	if (*upload_len > 0) { /* a body, which nobody wants */
		*upload_len = 0;
		return MHD_YES;
	}
	if (!w->closed)
		w->handler(w->arg, url, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST), &answer);
	return send_answer(c, &answer);
}

static void web_end(void *arg)
{
	struct web *w = arg;

	MHD_stop_daemon(w->daemon);
	free(w);
}

static void web_tick(void *arg);

static void web_step(struct web *w)
{
	MHD_UNSIGNED_LONG_LONG wait = 0;
	int64_t ms = INT64_MAX, life;

	w->running = true;
	do { /* when it was full, libmicrohttpd does not look who else wants to come in before its next run */
		w->has_room = false;
		MHD_run(w->daemon);
	} while (w->has_room);
	w->running = false;
	if (w->closed) {
		loop_defer(web_end, w);
		return;
	}
	if (MHD_get_timeout(w->daemon, &wait) == MHD_YES)
		ms = wait < LIFE_S * 1000 ? (int64_t)wait : LIFE_S * 1000;
	if (!TAILQ_EMPTY(&w->visitors)) {
		life = TAILQ_FIRST(&w->visitors)->until_ms - clock_mono_ms();
		ms = life < ms ? life : ms;
	}
	if (ms == INT64_MAX)
		timer_disarm(&w->timer);
	else
		timer_arm(&w->timer, ms, web_tick, w);
}

static void web_tick(void *arg)
{
	struct web *w = arg;
	int64_t now = clock_mono_ms();
	struct visitor *v;

	while ((v = TAILQ_FIRST(&w->visitors)) && v->until_ms <= now) {
		shutdown(v->fd, SHUT_RDWR); /* libmicrohttpd sees an end and closes it */
		v->until_ms = now + LIFE_S * 1000;
		TAILQ_REMOVE(&w->visitors, v, link);
		TAILQ_INSERT_TAIL(&w->visitors, v, link);
	}
	web_step(w);
}

static void web_ready(void *arg, short events)
{
	(void)events;
	web_step(arg);
}

static int listen_on(const struct addr *a, struct err *err)
{
	int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[ADDR_TEXT];
	const int on = 1;

	addr_format(a, text);
	if (fd < 0) {
		err_errno(err, "cannot make a socket for %s", text);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ss.ss_family == AF_INET6) /* [::] beside 0.0.0.0 */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&a->ss, a->len) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	err_errno(err, "cannot listen on %s", text);
	close(fd);
	return -1;
}

static bool adopt(int fd, struct err *err)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return err_errno(err, "cannot listen on the descriptor that was handed over");
	if (!listening)
		return err_set(err, ERR_LOCAL, "system", "the descriptor that was handed over is no listening socket");
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_errno(err, "cannot prepare the socket that was handed over");
	return true;
}

struct web *web_open(const struct addr *a, int listen_fd, web_handler *handler, void *arg, struct err *err)
{
	int fd = listen_fd >= 0 ? listen_fd : listen_on(a, err);
	struct web *w;

	if (fd < 0)
		return NULL;
	if (listen_fd >= 0 && !adopt(fd, err)) {
		close(fd);
		return NULL;
	}
	w = mem_alloc(sizeof(*w));
	TAILQ_INIT(&w->visitors);
	w->handler = handler;
	w->arg = arg;
	w->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, w, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)LIFE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
		leave_escaped, NULL, MHD_OPTION_NOTIFY_CONNECTION, visitor_changed, w, MHD_OPTION_END);
	if (!w->daemon) {
		if (fcntl(fd, F_GETFD) >= 0) /* some of its failures close it */
			close(fd);
		free(w);
		err_set(err, ERR_LOCAL, "system", "cannot start the web server");
		return NULL;
	}
	if (!watch_set(&w->watch, MHD_get_daemon_info(w->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, POLLIN, web_ready, w, err)) {
		web_end(w);
		return NULL;
	}
	return w;
}

void web_close(struct web *w)
{
	if (!w || w->closed)
		return;
	w->closed = true;
	watch_clear(&w->watch);
	timer_disarm(&w->timer);
	if (!w->running) /* else web_step ends it */
		web_end(w);
}

const char *web_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmicrohttpd %s", MHD_get_version());
	return text;
}
