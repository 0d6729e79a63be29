/* SPDX-License-Identifier: ISC */
#include "io/dns_exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/loop.h"

enum {
	MESSAGE_MAX = 65535, HEAD = 12, LENGTH = 2,
	READS = 64, /* at a time: whoever pours out messages does not get the loop for himself */
};

struct dns_exchange {
	struct dns_exchange_options o;
	struct buf out;      /* the message behind its length, as TCP wants it */
	struct buf in;       /* over TCP: what came of the next message and its length */
	int fd;              /* -1: none */
	bool tcp, connected; /* connected: TCP's connection stands */
	bool silent;         /* UDP brought nothing */
	size_t sent;         /* over TCP: bytes; over UDP: datagrams */
	struct watch watch;
	struct timer repeat, limit;
	bool over;
	struct err err;      /* kind set: why it failed, or why UDP did not do */
};

static void quiet(struct dns_exchange *x)
{
	timer_disarm(&x->repeat);
	watch_clear(&x->watch);
	if (x->fd >= 0)
		close(x->fd);
	x->fd = -1;
}

void dns_exchange_cancel(struct dns_exchange *x)
{
	if (!x)
		return;
	quiet(x);
	timer_disarm(&x->limit);
	loop_undefer(x);
	buf_free(&x->out);
	buf_free(&x->in);
	free(x);
}

static void tell(void *arg)
{
	struct dns_exchange *x = arg;
	dns_exchanged *done = x->o.done;
	void *done_arg = x->o.arg;
	struct err err = x->err;

	dns_exchange_cancel(x);
	done(done_arg, err.kind ? &err : NULL);
}

static void over(struct dns_exchange *x)
{
	quiet(x);
	timer_disarm(&x->limit);
	if (!x->over)
		loop_defer(tell, x);
	x->over = true;
}

/* Why UDP did not do is told as well. */
static void fail(struct dns_exchange *x, const char *type, const char *what, int number)
{
	struct err udp = x->err;
	const char *before = udp.kind ? udp.detail : x->silent ? "no answer over UDP" : "";

	err_set(&x->err, udp.kind ? udp.kind : ERR_TEMP, udp.kind ? udp.type : type, "%s%s%s%s%s", before, *before ? "; " : "", what, number ? ": " : "",
		number ? strerror(number) : "");
	x->err.errnum = number;
	over(x);
}

static void expired(void *arg)
{
	struct dns_exchange *x = arg;

	if (!x->err.kind)
		err_set(&x->err, ERR_TEMP, "timeout", "no answer within %.3g seconds, over %sTCP", (double)x->o.timeout_ms / 1000, x->silent ? "UDP and " : "");
	over(x);
}

static void start_tcp(struct dns_exchange *x);

/* true: go on reading. */
static bool hear(struct dns_exchange *x, const uint8_t *msg, size_t len)
{
	struct err err = {0};

	if (len < HEAD || memcmp(msg, x->o.msg, LENGTH) != 0)
		return true;
	switch (x->o.hear(x->o.arg, msg, len, x->tcp, &err)) {
	case DNS_HEARD_NOTHING:
		return true;
	case DNS_HEARD_ANSWER:
		err_clear(&x->err);
		over(x);
		return false;
	case DNS_HEARD_DOUBT:
		break;
	}
	x->err = err;
	if (x->tcp)
		over(x);
	else
		start_tcp(x);
	return false;
}

static bool open_socket(struct dns_exchange *x, int type)
{
	quiet(x);
	x->fd = socket(x->o.to.ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (x->fd >= 0 && (connect(x->fd, (const struct sockaddr *)&x->o.to.ss, x->o.to.len) == 0 || errno == EINPROGRESS))
		return true;
	fail(x, "connect", "the server cannot be reached", errno);
	return false;
}

/* --- TCP --- */

static bool tcp_write(struct dns_exchange *x)
{
	while (x->sent < x->out.len) {
		ssize_t n = send(x->fd, x->out.data + x->sent, x->out.len - x->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		x->sent += (size_t)n;
	}
	return true;
}

/* How many bytes are missing from the next message; 0: it is there. */
static size_t missing(const struct buf *in)
{
	const uint8_t *p = (const uint8_t *)in->data;
	size_t whole = LENGTH;

	if (in->len >= LENGTH)
		whole += (size_t)p[0] << 8 | p[1];
	return whole - in->len;
}

static void tcp_read(struct dns_exchange *x)
{
	char bytes[4096];
	ssize_t n = 0;

	for (int i = 0; i < READS; i++) {
		size_t want = missing(&x->in);

		n = recv(x->fd, bytes, want < sizeof bytes ? want : sizeof bytes, 0);
		if (n <= 0)
			break;
		(void)!buf_add(&x->in, bytes, (size_t)n); /* has room for the longest */
		if (missing(&x->in) > 0)
			continue;
		if (!hear(x, (const uint8_t *)x->in.data + LENGTH, x->in.len - LENGTH))
			return;
		buf_reset(&x->in);
	}
	if (n == 0)
		fail(x, "connect", "the server ended the TCP connection without an answer", 0);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail(x, "connect", "the TCP connection broke", errno);
}

static void tcp_ready(void *arg, short events)
{
	struct dns_exchange *x = arg;
	socklen_t size = sizeof(int);
	int number = 0;

	if (!x->connected) {
		if (getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
			number = errno;
		if (number) {
			fail(x, "connect", "no TCP connection", number);
			return;
		}
		x->connected = true;
	}
	if (!tcp_write(x)) {
		fail(x, "connect", "the TCP connection broke", errno);
		return;
	}
	if (x->sent == x->out.len && !watch_set(&x->watch, x->fd, POLLIN, tcp_ready, x, &x->err)) {
		over(x);
		return;
	}
	if (events & POLLIN)
		tcp_read(x);
}

static void start_tcp(struct dns_exchange *x)
{
	x->tcp = true;
	x->sent = 0;
	if (open_socket(x, SOCK_STREAM) && !watch_set(&x->watch, x->fd, POLLIN | POLLOUT, tcp_ready, x, &x->err))
		over(x);
}

/* --- UDP --- */

static void go_to_tcp(struct dns_exchange *x)
{
	x->silent = true;
	start_tcp(x);
}

static void udp_send(void *arg)
{
	struct dns_exchange *x = arg;
	int64_t gap = x->o.timeout_ms / 8 < DNS_EXCHANGE_REPEAT_MS ? x->o.timeout_ms / 8 : DNS_EXCHANGE_REPEAT_MS;

	/* An error means an ICMP message to an earlier datagram, or no way out of this host: TCP will tell. */
	if (x->sent++ == DNS_EXCHANGE_REPEATS || (send(x->fd, x->out.data + LENGTH, x->out.len - LENGTH, 0) < 0 && errno != EAGAIN))
		go_to_tcp(x);
	else
		timer_arm(&x->repeat, gap, udp_send, x);
}

static void udp_ready(void *arg, short events)
{
	struct dns_exchange *x = arg;
	uint8_t msg[MESSAGE_MAX];
	ssize_t n;

	(void)events;
	for (int i = 0; i < READS; i++) {
		n = recv(x->fd, msg, sizeof msg, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			go_to_tcp(x);
		if (n < 0 || !hear(x, msg, (size_t)n))
			return;
	}
}

static void start_udp(struct dns_exchange *x)
{
	if (!open_socket(x, SOCK_DGRAM))
		return;
	if (watch_set(&x->watch, x->fd, POLLIN, udp_ready, x, &x->err))
		udp_send(x);
	else
		over(x);
}

struct dns_exchange *dns_exchange_start(const struct dns_exchange_options *options)
{
	struct dns_exchange *x = mem_alloc(sizeof(*x));
	uint8_t length[LENGTH] = {(uint8_t)(options->len >> 8), (uint8_t)options->len};

	x->o = *options;
	x->fd = -1;
	buf_init(&x->in, LENGTH + MESSAGE_MAX);
	buf_init(&x->out, LENGTH + MESSAGE_MAX);
	if (options->len < HEAD || !buf_add(&x->out, length, LENGTH) || !buf_add(&x->out, options->msg, options->len)) {
		err_set(&x->err, ERR_BUG, "dns", "%zu bytes are no DNS message", options->len);
		over(x);
		return x;
	}
	x->o.msg = x->out.data + LENGTH;
	timer_arm(&x->limit, options->timeout_ms, expired, x);
	if (options->len > DNS_EXCHANGE_UDP_MAX)
		start_tcp(x);
	else
		start_udp(x);
	return x;
}
