/* SPDX-License-Identifier: ISC */
/* The addresses that are asked: channels (c-ares) of each, kept for its next question, capped in all; and what is known of it. */
#ifndef DOVAD_IO_DNS_POOL_H
#define DOVAD_IO_DNS_POOL_H

#include "io/addr.h"
#include "io/dns_channel.h"

enum dns_pool_kind { DNS_POOL_UDP, DNS_POOL_PLAIN /* UDP, for questions without EDNS */, DNS_POOL_TCP, DNS_POOL_KINDS };
enum { DNS_POOL_ROWS = 256 };

struct dns_host {
	LIST_ENTRY(dns_host) link;
	char text[ADDR_TEXT];   /* with port */
	struct dns_channel *channels[DNS_POOL_KINDS];
	unsigned users;         /* it is forgotten some time after the last one is gone; theirs to count */
	int64_t plain_until_ms; /* knows no EDNS (clock_mono_ms) */
};
struct dns_pool {
	size_t cap;             /* of channels; the owner's to set */
	struct dns_channels channels;
	LIST_HEAD(, dns_host) hosts[DNS_POOL_ROWS];
	struct timer sweep;
};
void dns_pool_init(struct dns_pool *p);
void dns_pool_end(struct dns_pool *p); /* hosts too: nobody may use one any more */
struct dns_host *dns_pool_host(struct dns_pool *p, const struct addr *addr); /* never NULL */
/* The channel kept for it, or (`fresh`: always) a new one. NULL: err is set; or its kind is ERR_NONE and as many are in use as may be, which is `cap`, and at
 * most a quarter of the descriptors of this process. Not inside callbacks of c-ares. */
struct dns_channel *dns_pool_channel(struct dns_pool *p, struct dns_host *h, enum dns_pool_kind kind, bool fresh, struct err *err);

#endif
