/* SPDX-License-Identifier: ISC */
/* How long does the next one have to wait, so that no key hears of more than so many a second? On the monotonic clock; keys that have been quiet for a
 * while are forgotten. */
#ifndef DOVAD_IO_DNS_PACE_H
#define DOVAD_IO_DNS_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_pace;
struct dns_pace *dns_pace_new(void);
void dns_pace_free(struct dns_pace *p); /* NULL is fine */
/* Takes the next turn of `key` and returns the microseconds until then. No second, whenever it begins, has more than per_second turns. A quarter of them may
 * come at once after a pause (of 8 a second and more); the others come evenly, three quarters of the rate in the long run. per_second: at least 1. */
int64_t dns_pace_take(struct dns_pace *p, const char *key, unsigned per_second);
size_t dns_pace_forget(struct dns_pace *p); /* what is quiet: done by itself every ten seconds; how many keys are left */

#endif
