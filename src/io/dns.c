/* SPDX-License-Identifier: ISC */
#include "io/dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/dns_channel.h"

#define NAME_MAX_LEN 253

enum { ASK_MS = 1000, ASK_TRIES = 3, LOOK_AGAIN_MS = 1000, DNS_PORT = 53 };

struct dns {
	char *servers;       /* for ares_set_servers_ports_csv; NULL: resolv.conf */
	struct stat read_at; /* resolv.conf as `ask` has read it, zero when there was none */
	int64_t looked_ms;   /* when that was last compared */
	struct dns_channel *ask; /* goes on to the next server after SERVFAIL and REFUSED */
	struct dns_channel *why; /* shows them; made on need */
	struct dns_channels channels;
	LIST_HEAD(, dns_lookup) lookups;
};

struct dns_lookup {
	LIST_ENTRY(dns_lookup) link;
	struct dns *dns;
	struct dns_channel *channel; /* while c-ares holds us */
	char *name;
	uint16_t port;
	dns_done *done;          /* NULL: nobody waits any more */
	void *arg;
	bool asked_why;
	int status;
	struct addr *addrs;
	size_t n;
};

static struct dns_channel *channel_new(struct dns *d, bool show_refusals, struct dns_channel **home, struct err *err)
{
	const struct dns_channel_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | (show_refusals ? ARES_FLAG_NOCHECKRESP : 0),
		.timeout_ms = ASK_MS,
		.tries = ASK_TRIES,
		.lookups = "fb",
		.servers = d->servers,
	};

	return dns_channel_new(&d->channels, &options, home, err);
}

/* Servers or resolv.conf changed: new look-ups ask anew, old ones end where they are. */
static bool renew_channels(struct dns *d, struct err *err)
{
	struct dns_channel *ask = channel_new(d, false, NULL, err);

	if (!ask)
		return false;
	dns_channel_retire(d->ask);
	dns_channel_retire(d->why);
	d->ask = ask;
	ask->home = &d->ask;
	return true;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void follow_resolv_conf(struct dns *d)
{
	int64_t now = clock_mono_ms();
	struct stat st;
	struct err err;

	if (d->servers || now - d->looked_ms < LOOK_AGAIN_MS)
		return;
	d->looked_ms = now;
	if (stat(DNS_RESOLV_CONF, &st) < 0)
		memset(&st, 0, sizeof(st));
	if (same_file(&st, &d->read_at))
		return;
	d->read_at = st;
	if (!renew_channels(d, &err))
		log_warning("the old name servers stay in use", "error", log_err(&err), NULL);
}

static bool join_servers(const char *const *servers, size_t n, char **out, struct err *err)
{
	struct buf b;
	struct addr a;
	char text[ADDR_TEXT];

	*out = NULL;
	buf_init(&b, 0);
	for (size_t i = 0; i < n; i++) {
		if (!addr_parse(servers[i], DNS_PORT, &a)) {
			buf_free(&b);
			return err_set(err, ERR_INPUT, "dns", "name server '%.100s' is not an IP address, with or without a port",
				servers[i]);
		}
		(void)!buf_printf(&b, "%s%s", i > 0 ? "," : "", addr_format(&a, text));
	}
	if (n > 0)
		*out = buf_take(&b);
	return true;
}

bool dns_set_servers(struct dns *d, const char *const *servers, size_t n, struct err *err)
{
	char *old = d->servers, *new;

	if (!join_servers(servers, n, &new, err))
		return false;
	d->servers = new;
	if (!new && stat(DNS_RESOLV_CONF, &d->read_at) < 0)
		memset(&d->read_at, 0, sizeof(d->read_at));
	d->looked_ms = clock_mono_ms();
	if (!renew_channels(d, err)) {
		d->servers = old;
		free(new);
		return false;
	}
	free(old);
	return true;
}

struct dns *dns_open(const char *const *servers, size_t n, struct err *err)
{
	struct dns *d = mem_alloc(sizeof(*d));
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	dns_channels_init(&d->channels);
	LIST_INIT(&d->lookups);
	if (status != ARES_SUCCESS) {
		err_set(err, ERR_LOCAL, "dns", "cannot prepare DNS look-ups: %s", ares_strerror(status));
		free(d);
		return NULL;
	}
	if (!dns_set_servers(d, servers, n, err)) {
		dns_close(d);
		return NULL;
	}
	return d;
}

static void lookup_drop(struct dns_lookup *l)
{
	free(l->addrs);
	free(l->name);
	free(l);
}

static void lookup_forget(struct dns_lookup *l)
{
	loop_undefer(l);
	LIST_REMOVE(l, link);
	lookup_drop(l);
}

void dns_close(struct dns *d)
{
	struct dns_lookup *l, *next;

	for (l = LIST_FIRST(&d->lookups); l; l = next) {
		next = LIST_NEXT(l, link);
		dns_cancel(l);
	}
	dns_channels_end(&d->channels);
	ares_library_cleanup();
	free(d->servers);
	free(d);
}

void dns_cancel(struct dns_lookup *l)
{
	if (!l || !l->done) /* without `done`: it is being called right now, or was cancelled before */
		return;
	l->done = NULL;
	if (!l->channel)
		lookup_forget(l);
}

static const struct {
	int status;
	const char *text;
} reasons[] = {
	{ ARES_ENOTFOUND, "the name does not exist (NXDOMAIN)" },
	{ ARES_ENODATA, "the name has no address (neither A nor AAAA record)" },
	{ ARES_ESERVFAIL, "the name servers cannot answer for it (SERVFAIL: often a broken delegation or DNSSEC signature)" },
	{ ARES_EREFUSED, "the name servers refuse to answer (REFUSED)" },
	{ ARES_ETIMEOUT, "no name server answered in time" },
	{ ARES_ECONNREFUSED, "no name server can be reached" },
	{ ARES_EBADRESP, "a name server's answer makes no sense" },
	{ ARES_EBADNAME, "this is not a name that DNS can look up" },
};

static void explain(const struct dns_lookup *l, struct err *err)
{
	enum err_kind kind = l->status == ARES_EBADNAME ? ERR_INPUT : ERR_TEMP;
	const char *text = NULL;
	char name[NAME_MAX_LEN + 4];

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons) && !text; i++)
		if (reasons[i].status == l->status)
			text = reasons[i].text;
	text_escape(l->name, strlen(l->name), name, sizeof(name));
	err_set(err, kind, "dns", "looking up %s: %s", name, text ? text : ares_strerror(l->status));
}

static void deliver(void *arg)
{
	struct dns_lookup *l = arg;
	dns_done *done = l->done;
	struct err err;

	l->done = NULL;
	LIST_REMOVE(l, link); /* done() may close d */
	if (l->n > 0) {
		done(l->arg, l->addrs, l->n, NULL);
	} else {
		explain(l, &err);
		done(l->arg, NULL, 0, &err);
	}
	lookup_drop(l);
}

static void add_address(struct dns_lookup *l, const struct sockaddr *sa, socklen_t len)
{
	struct addr a = { .len = len };

	if (l->n == DNS_ADDRS_MAX || len > sizeof(a.ss) || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return;
	memcpy(&a.ss, sa, len);
	addr_set_port(&a, l->port);
	for (size_t i = 0; i < l->n; i++)
		if (addr_same_ip(&a, &l->addrs[i]))
			return;
	if (!l->addrs)
		l->addrs = mem_array(DNS_ADDRS_MAX, sizeof(*l->addrs));
	l->addrs[l->n++] = a;
}

/* RFC 6761 section 6.3: nobody is asked for it, and it is there without /etc/hosts, too (where c-ares 1.18 does not know it). */
static void add_loopback(struct dns_lookup *l)
{
	static const char *const loopback[] = { "127.0.0.1", "::1" };
	size_t len = strlen(l->name), tail = strlen("localhost");
	struct addr a;

	len -= len > 0 && l->name[len - 1] == '.';
	if (len < tail || strncasecmp(l->name + len - tail, "localhost", tail) != 0 || (len > tail && l->name[len - tail - 1] != '.'))
		return;
	for (size_t i = 0; i < sizeof(loopback) / sizeof(*loopback); i++)
		if (addr_parse_ip(loopback[i], l->port, &a))
			add_address(l, (const struct sockaddr *)&a.ss, a.len);
}

static void lookup_ask(void *arg);

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct dns_lookup *l = arg;
	struct dns_channel *c = l->channel;

	(void)timeouts;
	l->channel = NULL;
	dns_channel_release(c);
	for (struct ares_addrinfo_node *node = ai ? ai->nodes : NULL; node; node = node->ai_next)
		add_address(l, node->ai_addr, (socklen_t)node->ai_addrlen);
	if (ai)
		ares_freeaddrinfo(ai);
	if (l->n == 0)
		add_loopback(l);
	l->status = status == ARES_SUCCESS ? ARES_ENODATA : status;
	if (!l->done) {
		lookup_forget(l);
	} else if (l->n == 0 && status == ARES_ECONNREFUSED && !l->asked_why) {
		/* 1.18 says so too when every server said REFUSED or SERVFAIL. Ask once more, showing such answers. */
		l->asked_why = true;
		loop_defer(lookup_ask, l);
	} else {
		loop_defer(deliver, l);
	}
}

static void lookup_ask(void *arg)
{
	struct dns_lookup *l = arg;
	struct dns *d = l->dns;
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct dns_channel *c = d->ask;

	if (l->asked_why)
		c = d->why ? d->why : channel_new(d, true, &d->why, NULL);
	if (!c) {
		loop_defer(deliver, l);
		return;
	}
	l->channel = c;
	dns_channel_take(c);
	ares_getaddrinfo(c->ares, l->name, NULL, &hints, answered, l);
	dns_channel_arm(c);
}

static bool is_askable(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX_LEN &&
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

struct dns_lookup *dns_addresses(struct dns *d, const char *name, uint16_t port, dns_done *done, void *arg)
{
	struct dns_lookup *l = mem_alloc(sizeof(*l));
	struct addr a;

	l->dns = d;
	l->name = mem_strdup(name);
	l->port = port;
	l->done = done;
	l->arg = arg;
	LIST_INSERT_HEAD(&d->lookups, l, link);
	if (addr_parse_ip(name, port, &a)) {
		add_address(l, (const struct sockaddr *)&a.ss, a.len);
		loop_defer(deliver, l);
	} else if (is_askable(name)) {
		follow_resolv_conf(d);
		lookup_ask(l);
	} else {
		l->status = ARES_EBADNAME;
		loop_defer(deliver, l);
	}
	return l;
}

static bool server_address(const struct ares_addr_port_node *node, struct addr *out)
{
	char ip[INET6_ADDRSTRLEN];
	int port = node->udp_port ? node->udp_port : DNS_PORT; /* 1.18 leaves the default unsaid */

	return inet_ntop(node->family, &node->addr, ip, sizeof(ip)) && addr_parse_ip(ip, (uint16_t)port, out);
}

size_t dns_recursive(struct dns *d, struct addr *out, size_t room)
{
	struct ares_addr_port_node *nodes = NULL;
	size_t n = 0;

	follow_resolv_conf(d);
	if (ares_get_servers_ports(d->ask->ares, &nodes) != ARES_SUCCESS)
		return 0;
	for (const struct ares_addr_port_node *node = nodes; node && n < room; node = node->next)
		if (server_address(node, &out[n]))
			n++;
	ares_free_data(nodes);
	return n;
}

const char *dns_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "c-ares %s", ares_version(NULL));
	return text;
}
