/* SPDX-License-Identifier: ISC */
#include "io/dns_channel.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { LARGEST_DATAGRAM = 4096 /* as much as 1.18 reads */ };

struct dns_port { /* one socket of a channel; fd -1: free to be used */
	LIST_ENTRY(dns_port) link;
	struct dns_channel *channel;
	struct watch watch;
	int fd;
};

static void port_ready(void *arg, short events)
{
	struct dns_port *p = arg;
	struct dns_channel *c = p->channel;
	int fd = p->fd;

	ares_process_fd(c->ares, events & POLLIN ? fd : ARES_SOCKET_BAD, events & POLLOUT ? fd : ARES_SOCKET_BAD);
	dns_channel_arm(c);
}

static void channel_tick(void *arg)
{
	struct dns_channel *c = arg;

	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	dns_channel_arm(c);
}

void dns_channel_arm(struct dns_channel *c)
{
	struct timeval room, *tv = ares_timeout(c->ares, NULL, &room);

	if (tv) /* rounded up: before 1.23 the time is cut to milliseconds and the timer would spin */
		timer_arm(&c->timer, (int64_t)tv->tv_sec * 1000 + tv->tv_usec / 1000 + 1, channel_tick, c);
	else
		timer_disarm(&c->timer);
}

static struct dns_port *find_port(struct dns_channel *c, int fd)
{
	struct dns_port *p;

	LIST_FOREACH(p, &c->ports, link)
		if (p->fd == fd)
			return p;
	return NULL;
}

static void channel_watch(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *c = arg;
	struct dns_port *p = find_port(c, fd);
	struct err err;

	if (!readable && !writable) {
		if (p) {
			watch_clear(&p->watch);
			p->fd = -1; /* kept for the next socket: we may be inside its handler */
		}
		return;
	}
	if (!p)
		p = find_port(c, -1);
	if (!p) {
		p = mem_alloc(sizeof(*p));
		p->channel = c;
		LIST_INSERT_HEAD(&c->ports, p, link);
	}
	p->fd = fd;
	if (!watch_set(&p->watch, fd, (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)), port_ready, p, &err))
		log_error("cannot hear name servers", "error", log_err(&err), NULL);
}

void dns_channels_init(struct dns_channels *all)
{
	TAILQ_INIT(&all->list);
	all->n = 0;
}

void dns_channels_end(struct dns_channels *all)
{
	while (!TAILQ_EMPTY(&all->list))
		dns_channel_free(TAILQ_FIRST(&all->list));
}

static int open_ares(struct dns_channel *c, const struct dns_channel_options *options)
{
	struct ares_options o = {
		.flags = options->flags,
		.timeout = options->timeout_ms,
		.tries = options->tries,
		.ednspsz = LARGEST_DATAGRAM,
		.lookups = (char *)options->lookups,
		.resolvconf_path = (char *)(options->servers ? "/dev/null" : DNS_RESOLV_CONF),
		.sock_state_cb = channel_watch,
		.sock_state_cb_data = c,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF |
		ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB, status;

#ifdef ARES_OPT_QUERY_CACHE /* on by default since 1.31, and it has served stale answers */
	mask |= ARES_OPT_QUERY_CACHE;
	o.qcache_max_ttl = 0;
#endif
	status = ares_init_options(&c->ares, &o, mask);
	if (status != ARES_SUCCESS || !options->servers)
		return status;
	status = ares_set_servers_ports_csv(c->ares, options->servers);
	if (status != ARES_SUCCESS)
		ares_destroy(c->ares);
	return status;
}

struct dns_channel *dns_channel_new(struct dns_channels *all, const struct dns_channel_options *options, struct dns_channel **home, struct err *err)
{
	struct dns_channel *c = mem_alloc(sizeof(*c));
	int status;

	LIST_INIT(&c->ports);
	status = open_ares(c, options);
	if (status != ARES_SUCCESS) {
		free(c);
		err_set(err, ERR_LOCAL, "dns", "cannot prepare DNS look-ups: %s", ares_strerror(status));
		return NULL;
	}
	c->all = all;
	TAILQ_INSERT_TAIL(&all->list, c, link);
	all->n++;
	c->home = home;
	if (home)
		*home = c;
	return c;
}

void dns_channel_take(struct dns_channel *c)
{
	c->users++;
	c->used_ms = clock_mono_ms();
	TAILQ_REMOVE(&c->all->list, c, link);
	TAILQ_INSERT_TAIL(&c->all->list, c, link);
}

void dns_channel_release(struct dns_channel *c)
{
	if (--c->users == 0 && !c->home)
		loop_defer(dns_channel_free, c);
}

void dns_channel_retire(struct dns_channel *c)
{
	if (!c || !c->home)
		return;
	*c->home = NULL;
	c->home = NULL;
	if (c->users == 0)
		loop_defer(dns_channel_free, c);
}

void dns_channel_free(void *arg)
{
	struct dns_channel *c = arg;
	struct dns_port *p;

	ares_destroy(c->ares); /* ends pending questions and, by channel_watch, the use of the ports */
	loop_undefer(c);
	timer_disarm(&c->timer);
	while ((p = LIST_FIRST(&c->ports))) {
		LIST_REMOVE(p, link);
		watch_clear(&p->watch);
		free(p);
	}
	if (c->home)
		*c->home = NULL;
	TAILQ_REMOVE(&c->all->list, c, link);
	c->all->n--;
	free(c);
}
