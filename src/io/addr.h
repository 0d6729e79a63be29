/* SPDX-License-Identifier: ISC */
/* Socket addresses: text, comparison, and which part of the internet they belong to. */
#ifndef DOVAD_IO_ADDR_H
#define DOVAD_IO_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	struct sockaddr_storage ss;
	socklen_t len;
};
enum { ADDR_TEXT = 64 };

/* "192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1" (default_port). IP literals only, never a look-up. */
bool addr_parse(const char *text, uint16_t default_port, struct addr *a) __attribute__((warn_unused_result));
bool addr_parse_ip(const char *ip, uint16_t port, struct addr *a) __attribute__((warn_unused_result)); /* no brackets, no port in text */
char *addr_format(const struct addr *a, char out[ADDR_TEXT]);    /* with port; returns out */
char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT]); /* without */
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_same_ip(const struct addr *a, const struct addr *b); /* IPv4-mapped IPv6 counts as IPv4 */
/* Globally reachable unicast? false for loopback, private, link-local, shared, documentation, multicast, unspecified, ULA, mapped/6to4/NAT64 of
 * such (IANA special-purpose registries). */
bool addr_is_public(const struct addr *a);

#endif
