/* SPDX-License-Identifier: ISC */
/* The life sign that a service manager waits for (WatchdogSec=), out of the event loop: a loop that hangs gives none. */
#ifndef DOVAD_IO_ALIVE_H
#define DOVAD_IO_ALIVE_H

#include <stdint.h>

/* A sign now and at each half of the interval the manager asked for, until alive_stop. Nothing happens when it asked for none, or when signs that
 * others give at least each others_ms (0: nobody gives any) are enough. */
void alive_start(int64_t others_ms);
void alive_stop(void);

#endif
