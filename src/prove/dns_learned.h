/* SPDX-License-Identifier: ISC */
/* What experience tells of one provider and zone: how long a record takes to be seen everywhere, and how long to wait on top of that because a CA, which
 * looks from elsewhere, did not see what we saw. Kept over restarts. */
#ifndef DOVAD_PROVE_DNS_LEARNED_H
#define DOVAD_PROVE_DNS_LEARNED_H

#include "base/json.h"

struct dns_memory { /* where it is kept; load: caller owns, NULL: nothing yet */
	struct js *(*load)(void *arg, const char *name);
	void (*save)(void *arg, const char *name, const struct js *record);
	void *arg;
};

struct dns_learned {
	int64_t settle_ms;   /* to wait after we have seen it; 0: nothing is known against asking at once */
	int64_t usual_ms;    /* median of the last times; 0: none */
	unsigned times;      /* of these */
};
struct dns_learned dns_learned_get(const struct dns_memory *m, const char *provider, const char *zone);
/* It was seen everywhere so long after the provider had said yes. */
void dns_learned_seen(const struct dns_memory *m, const char *provider, const char *zone, int64_t ms);
/* The CA judged. Against us: two seconds at first, then twice as long, ten minutes at most; ten good ones in a row halve it. */
void dns_learned_judged(const struct dns_memory *m, const char *provider, const char *zone, bool valid);

#endif
