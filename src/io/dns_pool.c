/* SPDX-License-Identifier: ISC */
#include "io/dns_pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

enum {
	TRY_MS = 5000,  /* c-ares gives up; we do so before, as a rule */
	IDLE_MS = 60000, /* an unused channel goes (73 KiB in 1.18) */
	SWEEP_MS = 10000,
	CAP_MIN = 4,
};

void dns_pool_init(struct dns_pool *p)
{
	memset(p, 0, sizeof(*p));
	dns_channels_init(&p->channels);
	for (size_t i = 0; i < DNS_POOL_ROWS; i++)
		LIST_INIT(&p->hosts[i]);
}

void dns_pool_end(struct dns_pool *p)
{
	struct dns_host *h;

	dns_channels_end(&p->channels);
	timer_disarm(&p->sweep);
	for (size_t i = 0; i < DNS_POOL_ROWS; i++) {
		while ((h = LIST_FIRST(&p->hosts[i]))) {
			LIST_REMOVE(h, link);
			free(h);
		}
	}
}

static bool is_known(const struct dns_host *h, int64_t now)
{
	for (size_t i = 0; i < DNS_POOL_KINDS; i++)
		if (h->channels[i])
			return true;
	return h->users > 0 || h->plain_until_ms > now;
}

static void free_idle(struct dns_pool *p, int64_t unused_since)
{
	struct dns_channel *c, *next;

	for (c = TAILQ_FIRST(&p->channels.list); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->users == 0 && c->used_ms <= unused_since)
			dns_channel_free(c);
	}
}

static void sweep(void *arg)
{
	struct dns_pool *p = arg;
	int64_t now = clock_mono_ms();
	struct dns_host *h, *next;
	bool any = false;

	free_idle(p, now - IDLE_MS);
	for (size_t i = 0; i < DNS_POOL_ROWS; i++) {
		for (h = LIST_FIRST(&p->hosts[i]); h; h = next) {
			next = LIST_NEXT(h, link);
			if (is_known(h, now)) {
				any = true;
				continue;
			}
			LIST_REMOVE(h, link);
			free(h);
		}
	}
	if (any)
		timer_arm(&p->sweep, SWEEP_MS, sweep, p);
}

struct dns_host *dns_pool_host(struct dns_pool *p, const struct addr *addr)
{
	char text[ADDR_TEXT];
	size_t row = text_hash(addr_format(addr, text)) % DNS_POOL_ROWS;
	struct dns_host *h;

	LIST_FOREACH(h, &p->hosts[row], link)
		if (strcmp(h->text, text) == 0)
			return h;
	h = mem_alloc(sizeof(*h));
	memcpy(h->text, text, sizeof(text));
	LIST_INSERT_HEAD(&p->hosts[row], h, link);
	if (!timer_armed(&p->sweep))
		timer_arm(&p->sweep, SWEEP_MS, sweep, p);
	return h;
}

static size_t real_cap(const struct dns_pool *p)
{
	struct rlimit files;
	size_t cap = p->cap;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 < cap)
		cap = files.rlim_cur / 4;
	return cap < CAP_MIN ? CAP_MIN : cap;
}

/* false: all that may be are in use. */
static bool make_room(struct dns_pool *p)
{
	size_t cap = real_cap(p);
	struct dns_channel *c, *next;

	for (c = TAILQ_FIRST(&p->channels.list); c && p->channels.n >= cap; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->users == 0)
			dns_channel_free(c);
	}
	return p->channels.n < cap;
}

struct dns_channel *dns_pool_channel(struct dns_pool *p, struct dns_host *h, enum dns_pool_kind kind, bool fresh, struct err *err)
{
	static const int flags[DNS_POOL_KINDS] = {
		/* In 1.18 without ARES_FLAG_EDNS answers are cut at 512 bytes. With it a FORMERR makes the library cut 11 bytes off the question, OPT or
		 * not, and clear the flag. So only questions with OPT go over channels with it. */
		[DNS_POOL_UDP] = ARES_FLAG_EDNS, [DNS_POOL_PLAIN] = 0, [DNS_POOL_TCP] = ARES_FLAG_USEVC,
	};
	const struct dns_channel_options options = {
		/* IGNTC: we ask again over TCP, and so know what came over what. No STAYOPEN: each burst of questions comes from another port. */
		.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NORECURSE | ARES_FLAG_IGNTC | flags[kind],
		.timeout_ms = TRY_MS,
		.tries = 1,
		.lookups = "b",
		.servers = h->text,
	};
	struct dns_channel **home = fresh ? NULL : &h->channels[kind];

	err_clear(err);
	if (home && *home)
		return *home;
	return make_room(p) ? dns_channel_new(&p->channels, &options, home, err) : NULL;
}
