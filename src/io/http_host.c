/* SPDX-License-Identifier: ISC */
#include "io/http_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { GOOD_MS = 60 * 1000 };

static void host_free(struct host *host)
{
	dns_cancel(host->lookup);
	if (!host->old)
		LIST_REMOVE(host, link);
	free(host);
}

void host_release(struct host *host)
{
	if (host && --host->users == 0 && host->old)
		host_free(host);
}

struct host *host_find(struct host_cache *c, const char *name, uint16_t port)
{
	int64_t now = clock_mono_ms();
	struct host *host, *next, *found = NULL;

	for (host = LIST_FIRST(&c->hosts); host; host = next) {
		next = LIST_NEXT(host, link);
		if (host->lookup || host->until_ms > now) {
			if (host->port == port && strcmp(host->name, name) == 0)
				found = host;
			continue;
		}
		LIST_REMOVE(host, link); /* requests that still use these addresses keep them */
		host->old = true;
		if (host->users == 0)
			host_free(host);
	}
	return found;
}

bool host_has(const struct host *host, const struct addr *a)
{
	for (size_t i = 0; i < host->n; i++)
		if (addr_port(&host->addrs[i]) == addr_port(a) && addr_same_ip(&host->addrs[i], a))
			return true;
	return false;
}

static void looked_up(void *arg, const struct addr *addrs, size_t n, const struct err *why)
{
	struct host *host = arg;
	struct host_cache *c = host->cache;
	struct err err;
	char ip[ADDR_TEXT];

	host->lookup = NULL;
	for (size_t i = 0; i < n; i++)
		if (c->allow_private || addr_is_public(&addrs[i]))
			host->addrs[host->n++] = addrs[i];
	if (host->n > 0) {
		host->until_ms = clock_mono_ms() + GOOD_MS;
		why = NULL;
	} else if (!why) {
		err_set(&err, ERR_TEMP, "policy", "%s: the address %s is not public, and private addresses are not allowed here",
			host->name, addr_format_ip(&addrs[0], ip));
		why = &err;
	}
	host->users++; /* it stays until the last one was told */
	c->found(c->arg, host, why);
	host_release(host);
}

struct host *host_take(struct host_cache *c, const char *name, uint16_t port)
{
	struct host *host = host_find(c, name, port);

	if (!host) {
		host = mem_alloc(sizeof(*host));
		host->cache = c;
		host->port = port;
		memcpy(host->name, name, strnlen(name, sizeof(host->name) - 1));
		LIST_INSERT_HEAD(&c->hosts, host, link);
		host->lookup = dns_addresses(c->dns, name, port, looked_up, host);
	}
	host->users++;
	return host;
}

void host_forget_all(struct host_cache *c)
{
	while (!LIST_EMPTY(&c->hosts))
		host_free(LIST_FIRST(&c->hosts));
}
