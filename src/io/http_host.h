/* SPDX-License-Identifier: ISC */
/* Addresses of the hosts an HTTP client talks to: looked up at most once a minute, shared by all its requests, under the address policy. Only
 * for io/http. */
#ifndef DOVAD_IO_HTTP_HOST_H
#define DOVAD_IO_HTTP_HOST_H

#include <sys/queue.h>

#include "base/err.h"
#include "io/dns.h"

struct host {
	LIST_ENTRY(host) link;
	struct host_cache *cache;
	struct dns_lookup *lookup; /* under way */
	char name[256];
	uint16_t port;
	struct addr addrs[DNS_ADDRS_MAX];
	size_t n;
	int64_t until_ms;
	unsigned users;
	bool old; /* out of the cache; ends with its last user */
};

/* host->n addresses were found, or none and err says why. Users wait for this when host->n is 0 at host_take. */
typedef void host_found(void *arg, struct host *host, const struct err *err);

struct host_cache {
	struct dns *dns;
	bool allow_private;
	host_found *found;
	void *arg;
	LIST_HEAD(, host) hosts;
};

struct host *host_find(struct host_cache *c, const char *name, uint16_t port); /* NULL when unknown or too old */
struct host *host_take(struct host_cache *c, const char *name, uint16_t port); /* looks up if need be; give back with host_release */
void host_release(struct host *host);                                          /* NULL is fine */
bool host_has(const struct host *host, const struct addr *a);
void host_forget_all(struct host_cache *c); /* when there are no users any more */

#endif
