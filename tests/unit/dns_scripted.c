/* SPDX-License-Identifier: ISC */
#include "dns_scripted.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno)); \
			abort(); \
		} \
	} while (0)

static size_t question_end(const uint8_t *m, size_t len)
{
	size_t at = 12;

	while (at < len && m[at])
		at += m[at] + 1U;
	return at + 5 <= len ? at + 5 : 0;
}

static void note(struct dns_peer *p, struct dns_peer_question *q)
{
	q->peer = p;
	q->end = question_end(q->msg, q->len);
	MUST(q->len >= 12 && q->end);
	memcpy(p->last, q->msg, q->len);
	p->last_len = q->len;
}

static bool udp_next(struct dns_peer *p)
{
	struct dns_peer_question q = { .from.len = sizeof(q.from.ss) };
	struct iovec iov = { q.msg, sizeof(q.msg) };
	struct msghdr m = { &q.from.ss, q.from.len, &iov, 1, q.control, sizeof(q.control), 0 };
	ssize_t n = recvmsg(p->udp, &m, MSG_DONTWAIT);

	if (n < 0)
		return false;
	q.len = (size_t)n;
	q.from.len = m.msg_namelen;
	q.control_len = m.msg_controllen;
	note(p, &q);
	p->asked_udp++;
	p->port = addr_port(&q.from);
	if (p->serve_udp)
		p->serve_udp(&q);
	return true;
}

static void udp_ready(void *arg, short events)
{
	(void)events;
	for (int i = 0; i < 100 && udp_next(arg); i++)
		;
}

static void conn_free(void *arg)
{
	struct dns_peer_conn *c = arg;

	loop_undefer(c);
	LIST_REMOVE(c, link);
	watch_clear(&c->watch);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

void dns_peer_hang_up(const struct dns_peer_question *q)
{
	watch_clear(&q->conn->watch);
	close(q->conn->fd);
	q->conn->fd = -1;
	loop_defer(conn_free, q->conn);
}

static void conn_ready(void *arg, short events)
{
	struct dns_peer_conn *c = arg;
	ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, MSG_DONTWAIT);

	(void)events;
	if (n <= 0) {
		watch_clear(&c->watch);
		loop_defer(conn_free, c);
		return;
	}
	c->len += (size_t)n;
	while (c->fd >= 0 && c->len >= 2 && c->len - 2 >= (size_t)(c->in[0] << 8 | c->in[1])) {
		struct dns_peer_question q = { .conn = c, .len = (size_t)(c->in[0] << 8 | c->in[1]) };

		MUST(q.len <= sizeof(q.msg));
		memcpy(q.msg, c->in + 2, q.len);
		c->len -= 2 + q.len;
		memmove(c->in, c->in + 2 + q.len, c->len);
		note(c->peer, &q);
		c->peer->asked_tcp++;
		if (c->peer->serve_tcp)
			c->peer->serve_tcp(&q);
	}
}

static void tcp_ready(void *arg, short events)
{
	struct dns_peer *p = arg;
	struct dns_peer_conn *c = mem_alloc(sizeof(*c));

	(void)events;
	c->fd = accept4(p->tcp, NULL, NULL, SOCK_CLOEXEC);
	MUST(c->fd >= 0);
	c->peer = p;
	p->accepted++;
	LIST_INSERT_HEAD(&p->conns, c, link);
	MUST(watch_set(&c->watch, c->fd, POLLIN, conn_ready, c, NULL));
}

/* A port that is free for both. */
static void bind_both(struct dns_peer *p, const char *ip, bool tcp)
{
	int on = 1, room = 8 << 20;

	for (int tries = 0; tries < 50; tries++) {
		MUST(addr_parse_ip(ip, 0, &p->addr));
		p->udp = socket(p->addr.ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		MUST(p->udp >= 0);
		setsockopt(p->udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
		if (p->addr.ss.ss_family == AF_INET)
			setsockopt(p->udp, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
		MUST(bind(p->udp, (struct sockaddr *)&p->addr.ss, p->addr.len) == 0);
		MUST(getsockname(p->udp, (struct sockaddr *)&p->addr.ss, &p->addr.len) == 0);
		p->tcp = socket(p->addr.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		MUST(p->tcp >= 0);
		if (bind(p->tcp, (struct sockaddr *)&p->addr.ss, p->addr.len) == 0)
			break;
		close(p->tcp);
		close(p->udp);
	}
	if (!tcp) { /* bound, so that nobody else is there */
		return;
	}
	MUST(listen(p->tcp, 512) == 0);
	MUST(watch_set(&p->tcp_watch, p->tcp, POLLIN, tcp_ready, p, NULL));
}

void dns_peer_open(struct dns_peer *p, const char *ip, bool tcp)
{
	memset(p, 0, sizeof(*p));
	LIST_INIT(&p->conns);
	bind_both(p, ip, tcp);
	MUST(watch_set(&p->udp_watch, p->udp, POLLIN, udp_ready, p, NULL));
}

void dns_peer_close(struct dns_peer *p)
{
	while (!LIST_EMPTY(&p->conns))
		conn_free(LIST_FIRST(&p->conns));
	watch_clear(&p->udp_watch);
	watch_clear(&p->tcp_watch);
	close(p->udp);
	close(p->tcp);
}

bool dns_peer_has_opt(const struct dns_peer_question *q)
{
	return q->msg[11] == 1;
}

static size_t put_txt(uint8_t *out, const char *txt)
{
	size_t len = strlen(txt), n = 12;

	memcpy(out, "\xc0\x0c\0\20\0\1\0\0\0\x3c", 10);
	do {
		size_t part = len > 255 ? 255 : len;

		out[n++] = (uint8_t)part;
		memcpy(out + n, txt, part);
		n += part;
		txt += part;
		len -= part;
	} while (len > 0);
	out[10] = (uint8_t)((n - 12) >> 8);
	out[11] = (uint8_t)(n - 12);
	return n;
}

size_t dns_peer_make(const struct dns_peer_question *q, unsigned flags_rcode, const char *txt, uint8_t *out, size_t room)
{
	size_t n = q->end;

	MUST(room >= n + 12 + 11 + (txt ? strlen(txt) + strlen(txt) / 255 + 1 : 0));
	memcpy(out, q->msg, n);
	out[2] = (uint8_t)(0x80 | flags_rcode >> 8 | (q->msg[2] & 1));
	out[3] = (uint8_t)flags_rcode;
	memset(out + 6, 0, 6);
	if (txt) {
		out[7] = 1;
		n += put_txt(out + n, txt);
	}
	if (flags_rcode & DNS_PEER_OPT) {
		out[11] = 1;
		memcpy(out + n, "\0\0\51\4\xd0\0\0\0\0\0\0", 11);
		n += 11;
	}
	return n;
}

void dns_peer_reply(const struct dns_peer_question *q, const void *bytes, size_t len)
{
	if (q->conn) {
		uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };

		MUST(send(q->conn->fd, head, 2, MSG_NOSIGNAL | MSG_MORE) == 2);
		while (len > 0) { /* a large one does not fit at once: the reader is on this loop, so room must be made */
			ssize_t n = send(q->conn->fd, bytes, len, MSG_NOSIGNAL);

			MUST(n > 0);
			bytes = (const uint8_t *)bytes + n;
			len -= (size_t)n;
		}
	} else {
		struct iovec iov = { (void *)bytes, len };
		struct msghdr m = { (void *)&q->from.ss, q->from.len, &iov, 1, (void *)q->control, q->control_len, 0 };

		MUST(sendmsg(q->peer->udp, &m, 0) == (ssize_t)len);
	}
}

void dns_peer_answer(const struct dns_peer_question *q, unsigned flags_rcode, const char *txt)
{
	uint8_t out[65535];

	dns_peer_reply(q, out, dns_peer_make(q, flags_rcode, txt, out, sizeof(out)));
}
