/* SPDX-License-Identifier: ISC */
/* Time that stands still while anything is left to do and then passes to the next timer at once: what takes days is over in a moment, and always in the
 * same order. The clocks of base/clock are frozen; libevent's are ours, because this file stands in front of the C library's. */
#ifndef DOVAD_TESTS_SIMTIME_H
#define DOVAD_TESTS_SIMTIME_H

#include <stdint.h>

void simtime_start(int64_t wall_seconds); /* before loop_open */
void simtime_stop(void);

#endif
