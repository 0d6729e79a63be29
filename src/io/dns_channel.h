/* SPDX-License-Identifier: ISC */
/* A channel of c-ares on the loop. c-ares must not be told to end something from inside its own callbacks (double free, CVE-2026-33630), nor is it asked
 * anything there: those callbacks only note what happened, callers hear of it, and channels end, through loop_defer. Only for io/dns*.c. */
#ifndef DOVAD_IO_DNS_CHANNEL_H
#define DOVAD_IO_DNS_CHANNEL_H

#define CARES_NO_DEPRECATED /* we build on 1.18 as well, which has none of the calls that later headers recommend */
#include <ares.h>
#include <sys/queue.h>

#include "base/err.h"
#include "io/loop.h"

#define DNS_RESOLV_CONF "/etc/resolv.conf"

struct dns_port;
struct dns_channel {
	TAILQ_ENTRY(dns_channel) link;
	struct dns_channels *all;
	struct dns_channel **home; /* where it is kept for the next question; NULL: it ends with its last one */
	unsigned users;            /* who wait for an answer of it */
	int64_t used_ms;           /* when it was taken last (clock_mono_ms) */
	ares_channel ares;
	struct timer timer;
	LIST_HEAD(, dns_port) ports;
};
struct dns_channels { /* of one owner */
	TAILQ_HEAD(, dns_channel) list; /* the one unused the longest first */
	size_t n;
};
void dns_channels_init(struct dns_channels *all);
void dns_channels_end(struct dns_channels *all); /* questions under way end with ARES_EDESTRUCTION */

struct dns_channel_options {
	int flags;           /* ARES_FLAG_... */
	int timeout_ms;      /* of the first of `tries` */
	int tries;
	const char *lookups; /* "b": DNS, "f": /etc/hosts */
	const char *servers; /* for ares_set_servers_ports_csv; NULL: resolv.conf */
};
/* NULL: err is set. With `home`, it is kept there. */
struct dns_channel *dns_channel_new(struct dns_channels *all, const struct dns_channel_options *options, struct dns_channel **home, struct err *err);
void dns_channel_take(struct dns_channel *c);    /* before each question */
void dns_channel_arm(struct dns_channel *c);     /* after it */
void dns_channel_release(struct dns_channel *c); /* when its answer came or is not waited for any more; fine in callbacks of c-ares */
void dns_channel_retire(struct dns_channel *c);  /* no longer kept: ends, on a later turn, when nobody waits; NULL is fine; fine in such callbacks too */
void dns_channel_free(void *c);                  /* at once */

#endif
