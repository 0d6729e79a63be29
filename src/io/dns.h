/* SPDX-License-Identifier: ISC */
/* Names to addresses through recursive servers and /etc/hosts (c-ares), never blocking. */
#ifndef DOVAD_IO_DNS_H
#define DOVAD_IO_DNS_H

#include "base/err.h"
#include "io/addr.h"

enum { DNS_ADDRS_MAX = 32 };

struct dns;
struct dns_lookup;

/* servers: "IP" or "IP:port" texts; n == 0: /etc/resolv.conf, read again when it changes. */
struct dns *dns_open(const char *const *servers, size_t n, struct err *err) __attribute__((warn_unused_result));
/* The old channel ends when its look-ups are done. */
bool dns_set_servers(struct dns *d, const char *const *servers, size_t n, struct err *err) __attribute__((warn_unused_result));
void dns_close(struct dns *d); /* pending look-ups are forgotten without an answer */

/* addrs: A and AAAA together, at most DNS_ADDRS_MAX, port already set; err is set when there is none, type "dns", its detail tells NXDOMAIN, no
 * address, SERVFAIL, time-out apart. Called once, on a later turn. An IP literal is answered without a question. */
typedef void dns_done(void *arg, const struct addr *addrs, size_t n, const struct err *err);
struct dns_lookup *dns_addresses(struct dns *d, const char *name, uint16_t port, dns_done *done, void *arg);
void dns_cancel(struct dns_lookup *l); /* NULL is fine; done() will not be called */

/* The recursive servers in use (configured, or resolv.conf's as it is now), for questions of our own to them: at most room, how many. */
size_t dns_recursive(struct dns *d, struct addr *out, size_t room);

const char *dns_library(void); /* the library behind this and its version */

#endif
