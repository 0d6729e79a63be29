/* SPDX-License-Identifier: ISC */
/* When: renewal points, retries, and a clock that jumps. Pure functions over numbers, saturating. */
#ifndef DOVAD_CORE_SCHEDULE_H
#define DOVAD_CORE_SCHEDULE_H

#include <stdint.h>

#include "base/err.h"

/* When to renew: 1/3 of the life left (1/2 when the life is under 10 days), earlier by a jitter of up to 1/40 of the life that stays the same for
 * one name and certificate. UNIX seconds. */
int64_t schedule_renewal(const char *name, int64_t not_before, int64_t not_after);
/* When to try again after `attempts` failures in a row (>= 1): 1 min, 10 min, 100 min, then daily; ERR_DENIED, ERR_INPUT and ERR_BUG daily from the
 * start; after the first "badNonce" 5 s; never more than an eighth of the remaining life (within 1 h .. 24 h; not_after 0: no certificate
 * yet, 24 h); jitter +-25 %; never before err->not_before. seed: makes the jitter. */
int64_t schedule_retry(const struct err *err, unsigned attempts, int64_t now, int64_t not_after, uint64_t seed);

/* When a CA that did not see a proof can have forgotten that: after ttl seconds, or as long as its resolver keeps anything at most. address: the CA's,
 * as conf_ca_address. */
int64_t schedule_forgotten(const char *address, int64_t ttl, int64_t now);

enum { SCHEDULE_JUMP = 300 }; /* seconds by which the wall may move against the monotonic clock in a minute before we call it a jump */
/* Longest single wait of the registry's one timer: a wall-clock deadline is looked at this often, so suspend and jumps are noticed. */
enum { SCHEDULE_TICK = 60 };

#endif
