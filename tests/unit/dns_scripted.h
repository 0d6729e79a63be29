/* SPDX-License-Identifier: ISC */
/* A name server that does what a test tells it to, over UDP and TCP at one port of a loopback address, on the loop of this process. */
#ifndef DOVAD_TESTS_DNS_SCRIPTED_H
#define DOVAD_TESTS_DNS_SCRIPTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "io/addr.h"
#include "io/loop.h"

struct dns_peer;
struct dns_peer_conn { /* accepted */
	LIST_ENTRY(dns_peer_conn) link;
	struct dns_peer *peer;
	int fd;
	struct watch watch;
	size_t len;
	uint8_t in[2048];
};
struct dns_peer_question {
	struct dns_peer *peer;
	uint8_t msg[1500];
	size_t len;
	size_t end;                 /* of the question section */
	struct dns_peer_conn *conn; /* NULL: UDP */
	struct addr from;
	uint8_t control[128];       /* for the answer to leave from the address that was asked */
	size_t control_len;
};
typedef void dns_peer_serve(const struct dns_peer_question *q);

struct dns_peer {
	struct addr addr;
	int udp, tcp; /* tcp -1: nobody listens */
	struct watch udp_watch, tcp_watch;
	LIST_HEAD(, dns_peer_conn) conns;
	dns_peer_serve *serve_udp, *serve_tcp; /* NULL: silent */
	unsigned asked_udp, asked_tcp, accepted;
	uint16_t port;       /* the latest question over UDP came from */
	uint8_t last[1500];  /* the latest question */
	size_t last_len;
	const char *txt;     /* for tests: what to answer */
};
/* ip: "127.0.0.1", "::1"; "0.0.0.0" serves all of 127.0.0.0/8. */
void dns_peer_open(struct dns_peer *p, const char *ip, bool tcp);
void dns_peer_close(struct dns_peer *p);

enum { DNS_PEER_AA = 0x0400, DNS_PEER_TC = 0x0200, DNS_PEER_OPT = 0x10000 /* no bit of the head: adds an OPT record */ };
/* The head and the question of an answer, then a TXT record of `txt` (NULL: none; cut into strings of 255), then OPT. Returns its length. */
size_t dns_peer_make(const struct dns_peer_question *q, unsigned flags_rcode, const char *txt, uint8_t *out, size_t room);
void dns_peer_reply(const struct dns_peer_question *q, const void *bytes, size_t len);
void dns_peer_answer(const struct dns_peer_question *q, unsigned flags_rcode, const char *txt); /* both */
bool dns_peer_has_opt(const struct dns_peer_question *q);
void dns_peer_hang_up(const struct dns_peer_question *q); /* closes the connection */

#endif
