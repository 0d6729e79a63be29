/* SPDX-License-Identifier: ISC */
/* A name server for the tests of what talks to one, on the loop of this process: UDP and TCP at one port of its own, counting, answering by script. */
#ifndef DOVAD_TESTS_DNS_PEER_H
#define DOVAD_TESTS_DNS_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/addr.h"
#include "io/loop.h"

enum { DNS_PEER_SILENT = 0, DNS_PEER_CLOSE = -1, DNS_PEER_CONNS = 64 };

struct dns_peer;
/* Length of the answer in out (65535 bytes), or DNS_PEER_SILENT, or over TCP DNS_PEER_CLOSE. */
typedef int dns_peer_script(struct dns_peer *p, const uint8_t *msg, size_t len, bool tcp, uint8_t *out);

struct dns_peer_conn {
	struct dns_peer *peer;
	int fd;
	struct watch watch;
	uint8_t in[2 + 65535];
	size_t got;
};
struct dns_peer {
	dns_peer_script *script;
	struct addr addr;
	char address[ADDR_TEXT];
	int udp, tcp;
	struct watch udp_watch, tcp_watch;
	struct dns_peer_conn *conns[DNS_PEER_CONNS];
	size_t nconns;
	unsigned udp_seen, tcp_seen; /* messages */
	struct sockaddr_storage from; /* of the datagram that is being answered */
	socklen_t from_len;
	uint8_t last[65535];
	size_t last_len;
	bool bytewise; /* over TCP: each byte is a segment */
};

static inline void dns_peer_heard(struct dns_peer *p, const uint8_t *msg, size_t len)
{
	memcpy(p->last, msg, len);
	p->last_len = len;
}

static inline void dns_peer_datagram(void *arg, short events)
{
	static uint8_t in[65535], out[65535];
	struct dns_peer *p = arg;
	ssize_t len;
	int n;

	(void)events;
	p->from_len = sizeof p->from;
	len = recvfrom(p->udp, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&p->from, &p->from_len);
	if (len < 0)
		return;
	p->udp_seen++;
	dns_peer_heard(p, in, (size_t)len);
	n = p->script(p, in, (size_t)len, false, out);
	if (n > 0)
		assert_int_equal(sendto(p->udp, out, (size_t)n, 0, (struct sockaddr *)&p->from, p->from_len), n);
}

static inline void dns_peer_conn_end(struct dns_peer_conn *c)
{
	watch_clear(&c->watch);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static inline void dns_peer_stream(void *arg, short events)
{
	static uint8_t out[2 + 65535];
	struct dns_peer_conn *c = arg;
	struct dns_peer *p = c->peer;
	ssize_t len = recv(c->fd, c->in + c->got, sizeof c->in - c->got, MSG_DONTWAIT);
	int n;

	(void)events;
	if (len <= 0) {
		dns_peer_conn_end(c);
		return;
	}
	c->got += (size_t)len;
	if (c->got < 2 || c->got - 2 < (size_t)(c->in[0] << 8 | c->in[1]))
		return;
	assert_int_equal(c->got - 2, c->in[0] << 8 | c->in[1]);
	p->tcp_seen++;
	dns_peer_heard(p, c->in + 2, c->got - 2);
	n = p->script(p, c->in + 2, c->got - 2, true, out + 2);
	c->got = 0;
	if (n == DNS_PEER_CLOSE) {
		dns_peer_conn_end(c);
	} else if (n > 0) {
		out[0] = (uint8_t)(n >> 8);
		out[1] = (uint8_t)n;
		for (int at = 0, step = p->bytewise ? 1 : n + 2; at < n + 2; at += step) {
			assert_int_equal(send(c->fd, out + at, (size_t)step, MSG_NOSIGNAL), step);
			if (p->bytewise)
				loop_turn(false);
		}
	}
}

static inline void dns_peer_accept(void *arg, short events)
{
	struct dns_peer *p = arg;
	struct dns_peer_conn *c = mem_alloc(sizeof *c);
	int yes = 1;

	(void)events;
	c->peer = p;
	c->fd = accept4(p->tcp, NULL, NULL, SOCK_CLOEXEC);
	assert_true(c->fd >= 0 && p->nconns < DNS_PEER_CONNS);
	setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes);
	p->conns[p->nconns++] = c;
	assert_true(watch_set(&c->watch, c->fd, POLLIN, dns_peer_stream, c, NULL));
}

/* ip: "127.0.0.N" or "::1". Without TCP, the port refuses connections. */
static inline struct dns_peer *dns_peer_open(const char *ip, bool with_tcp, dns_peer_script *script)
{
	struct dns_peer *p = mem_alloc(sizeof *p);
	int tries = 0;

	p->script = script;
	do { /* a port that is free for both */
		assert_true(tries++ < 100);
		assert_true(addr_parse_ip(ip, 0, &p->addr));
		p->udp = socket(p->addr.ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		p->tcp = socket(p->addr.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(p->udp, (struct sockaddr *)&p->addr.ss, p->addr.len), 0);
		assert_int_equal(getsockname(p->udp, (struct sockaddr *)&p->addr.ss, &p->addr.len), 0);
	} while (bind(p->tcp, (struct sockaddr *)&p->addr.ss, p->addr.len) < 0 && (close(p->udp), close(p->tcp), true));
	addr_format(&p->addr, p->address);
	assert_true(watch_set(&p->udp_watch, p->udp, POLLIN, dns_peer_datagram, p, NULL));
	if (with_tcp) {
		assert_int_equal(listen(p->tcp, 64), 0);
		assert_true(watch_set(&p->tcp_watch, p->tcp, POLLIN, dns_peer_accept, p, NULL));
	}
	return p;
}

static inline void dns_peer_close(struct dns_peer *p)
{
	for (size_t i = 0; i < p->nconns; i++) {
		dns_peer_conn_end(p->conns[i]);
		free(p->conns[i]);
	}
	watch_clear(&p->udp_watch);
	watch_clear(&p->tcp_watch);
	close(p->udp);
	close(p->tcp);
	free(p);
}

#endif
