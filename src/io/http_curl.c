/* SPDX-License-Identifier: ISC */
#include "io/http_curl.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

enum { BUNDLE_MAX = 16 * 1024 * 1024 };

struct sock { /* a descriptor of libcurl's; fd -1: free to be used */
	LIST_ENTRY(sock) link;
	struct multi *multi;
	struct watch watch;
	int fd;
};

static void reap(struct multi *m)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(m->curl, &left)))
		if (message->msg == CURLMSG_DONE)
			m->ended(message->easy_handle, message->data.result);
}

static void tick(void *arg)
{
	struct multi *m = arg;
	int running;

	curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(m);
}

static void sock_ready(void *arg, short events)
{
	struct sock *s = arg;
	struct multi *m = s->multi;
	int running;

	curl_multi_socket_action(m->curl, s->fd, (events & POLLIN ? CURL_CSELECT_IN : 0) | (events & POLLOUT ? CURL_CSELECT_OUT : 0),
		&running);
	reap(m);
}

static struct sock *find_sock(struct multi *m, int fd)
{
	struct sock *s;

	LIST_FOREACH(s, &m->socks, link)
		if (s->fd == fd)
			return s;
	return NULL;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct multi *m = arg;
	struct sock *s = find_sock(m, fd);
	short events = (short)(what == CURL_POLL_IN ? POLLIN : what == CURL_POLL_OUT ? POLLOUT : what == CURL_POLL_INOUT ? POLLIN | POLLOUT : 0);
	struct err err;

	(void)easy;
	(void)unused;
	if (!events) {
		if (s) {
			watch_clear(&s->watch);
			s->fd = -1; /* kept for the next one: we may be inside its handler */
		}
		return 0;
	}
	if (!s)
		s = find_sock(m, -1);
	if (!s) {
		s = mem_alloc(sizeof(*s));
		s->multi = m;
		LIST_INSERT_HEAD(&m->socks, s, link);
	}
	s->fd = fd;
	if (!watch_set(&s->watch, fd, events, sock_ready, s, &err))
		log_error("cannot hear an HTTP peer", "error", log_err(&err), NULL);
	return 0;
}

static int on_timer(CURLM *curl, long ms, void *arg)
{
	struct multi *m = arg;

	(void)curl;
	if (ms < 0)
		timer_disarm(&m->timer);
	else
		timer_arm(&m->timer, ms, tick, m);
	return 0;
}

bool multi_open(struct multi *m, long connections_per_host, multi_ended *ended)
{
	static bool initialized;

	*m = (struct multi){ .ended = ended };
	if (!initialized) {
		unsetenv("SSLKEYLOGFILE"); /* libcurl would write session secrets there */
		if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_bytes, free, mem_resize_bytes, mem_strdup, mem_array) != CURLE_OK)
			return false;
		initialized = true;
	}
	m->curl = curl_multi_init();
	return m->curl && curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
		curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m) == CURLM_OK &&
		curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
		curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m) == CURLM_OK &&
		curl_multi_setopt(m->curl, CURLMOPT_MAX_HOST_CONNECTIONS, connections_per_host) == CURLM_OK &&
		curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, connections_per_host) == CURLM_OK;
}

void multi_close(struct multi *m)
{
	struct sock *s;

	if (m->curl) { /* it closes connections now: nothing of that is for the loop */
		curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, NULL);
		curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, NULL);
	}
	timer_disarm(&m->timer);
	while ((s = LIST_FIRST(&m->socks))) {
		LIST_REMOVE(s, link);
		watch_clear(&s->watch);
		free(s);
	}
	curl_multi_cleanup(m->curl);
}

static bool is_bundle(const char *path, struct err *err)
{
	char *real = realpath(path, NULL); /* distributions put a symbolic link there */
	struct buf b;
	struct err why;
	bool ok;

	if (!real)
		return err_errno(err, "cannot use the CA bundle %s", path);
	buf_init(&b, BUNDLE_MAX);
	ok = file_read(AT_FDCWD, real, BUNDLE_MAX, &b, NULL, &why);
	free(real);
	if (!ok)
		err_set(err, ERR_LOCAL, "tls", "cannot use the CA bundle %s: %s", path, why.detail);
	else if (!b.data || !strstr(b.data, "-----BEGIN CERTIFICATE-----"))
		ok = err_set(err, ERR_LOCAL, "tls", "there is no certificate in the CA bundle %s", path);
	buf_free(&b);
	return ok;
}

char *multi_bundle(const char *configured, struct err *err)
{
	const char *built_in = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (!configured)
		configured = built_in && access(built_in, R_OK) == 0 ? built_in : SYSTEM_BUNDLE;
	return is_bundle(configured, err) ? mem_strdup(configured) : NULL;
}

static const struct {
	CURLcode code;
	const char *type;
	const char *why; /* NULL: what libcurl says */
} ends[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, "dns", NULL },
	{ CURLE_COULDNT_CONNECT, "connect", NULL },
	{ CURLE_GOT_NOTHING, "connect", NULL },
	{ CURLE_SEND_ERROR, "connect", NULL },
	{ CURLE_RECV_ERROR, "connect", NULL },
	{ CURLE_SEND_FAIL_REWIND, "connect", "the connection ended before an answer came" },
	{ CURLE_READ_ERROR, "connect", "the connection ended before an answer came" }, /* the same in newer versions */
	{ CURLE_OPERATION_TIMEDOUT, "timeout", NULL },
	{ CURLE_SSL_CONNECT_ERROR, "tls", NULL },
	{ CURLE_PEER_FAILED_VERIFICATION, "tls", NULL },
	{ CURLE_SSL_CERTPROBLEM, "tls", NULL },
	{ CURLE_SSL_CIPHER, "tls", NULL },
	{ CURLE_SSL_CACERT_BADFILE, "tls", NULL },
	{ CURLE_SSL_ENGINE_INITFAILED, "tls", NULL },
	{ CURLE_FILESIZE_EXCEEDED, "too-large", MULTI_LARGE_BODY },
	{ CURLE_OUT_OF_MEMORY, "too-large", MULTI_LARGE_HEAD }, /* a header line too long for libcurl before 8.6 */
#if LIBCURL_VERSION_NUM >= 0x080600
	{ CURLE_TOO_LARGE, "too-large", MULTI_LARGE_HEAD },
#endif
};

const char *multi_explain(CURLcode code, const char **why)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		if (ends[i].code != code)
			continue;
		*why = ends[i].why ? ends[i].why : *why;
		return ends[i].type;
	}
	return "http";
}
