/* SPDX-License-Identifier: ISC */
/* The only place that knows what time it is, so that tests can freeze it and a jump is noticed once. */
#ifndef DOVAD_BASE_CLOCK_H
#define DOVAD_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_now(void);     /* wall, UNIX seconds */
int64_t clock_now_us(void);  /* wall, microseconds: for events that people read */
int64_t clock_mono_us(void); /* monotonic, microseconds, stops in suspend */
int64_t clock_mono_ms(void); /* the same in milliseconds */
int64_t clock_boot_ms(void); /* monotonic, milliseconds, goes on in suspend */
/* The wall clock is plausible when it is not before this program was built (a host without RTC boots in 1970). */
bool clock_is_plausible(void);
/* Is a wall time still to come? One that is further away than `most` seconds, which is more than whoever set it would have, comes from a clock that was
 * set back since, and binds nobody. */
bool clock_is_ahead(int64_t until, int64_t most);
/* Tests: stop the clocks at a wall time; clock_advance moves all of them. clock_thaw restores. */
void clock_freeze(int64_t wall_seconds);
void clock_advance(int64_t milliseconds);
void clock_thaw(void);

#endif
