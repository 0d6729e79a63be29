/* SPDX-License-Identifier: ISC */
/* How long does the next one have to wait, so that no key hears of more than so many a second? On the monotonic clock; keys that have been quiet for a
 * while are forgotten. */
#ifndef DOVAD_IO_PACE_H
#define DOVAD_IO_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pace;
struct pace *pace_new(void);
void pace_free(struct pace *p); /* NULL is fine */
/* Takes the next turn of `key` and returns the microseconds until then. No second, whenever it begins, has more than per_second turns. A quarter of them may
 * come at once after a pause (of 8 a second and more); the others come evenly, three quarters of the rate in the long run. per_second: at least 1. */
int64_t pace_take(struct pace *p, const char *key, unsigned per_second);
size_t pace_forget(struct pace *p); /* what is quiet: done by itself every ten seconds; how many keys are left */

#endif
