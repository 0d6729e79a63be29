/* SPDX-License-Identifier: ISC */
/* DNS-01 (RFC 8555 section 8.4): a TXT record below _acme-challenge, written where the chain of CNAMEs from there ends, by the dns entry whose zones hold
 * that place, and seen everywhere before the CA is asked. */
#ifndef DOVAD_PROVE_DNS01_H
#define DOVAD_PROVE_DNS01_H

#include "prove/dns_learned.h"
#include "prove/dns_provider.h"
#include "prove/method.h"
#include "prove/verdict.h"
#include "prove/visible.h"

/* What all dns entries share: the network, who may write where, what is published at present. */
struct dns01_world;
struct dns01_world_options { /* borrowed */
	struct asker *asker;
	struct dns *dns;
	struct http *http;         /* for opinions by HTTPS */
	/* Who looks up addresses of name servers in dns's place (a simulated network); NULL: dns itself. */
	struct dns_lookup *(*addresses)(struct dns *, const char *name, uint16_t port, dns_done *, void *arg);
	void (*addresses_cancel)(struct dns_lookup *);
	uint16_t port;             /* of authoritative servers, 53 */
	struct dns_memory memory;
};
struct dns01_world *dns01_world_new(const struct dns01_world_options *options);
void dns01_world_set_port(struct dns01_world *w, uint16_t port);
void dns01_world_free(struct dns01_world *w); /* after its methods; calls still under way are forgotten; NULL is fine */

enum dns01_check { DNS01_AUTHORITATIVE, DNS01_RECURSIVE, DNS01_DOH, DNS01_UNSEEN };
struct dns01_options { /* copied, but for the provider, which is taken over */
	struct dns_provider *provider;
	enum dns01_check check;
	struct quorum quorum;
	const char *const *servers; /* split horizon: asked instead of the own ones of a name's zone, and of zones it writes to for aliases */
	size_t nservers;
	const char *const *opinions;
	size_t nopinions;
	unsigned confirm;
	int64_t timeout_ms, settle_ms;
};
struct method *dns01_new(struct dns01_world *w, const struct dns01_options *options);

#endif
