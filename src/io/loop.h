/* SPDX-License-Identifier: ISC */
/* The event loop (one per process), its timers, signals and descriptors. libevent stays behind this header. */
#ifndef DOVAD_IO_LOOP_H
#define DOVAD_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

bool loop_open(struct err *err) __attribute__((warn_unused_result)); /* once per process; SIGPIPE is ignored from here on */
void loop_close(void);                                               /* after everything else was closed */
/* Turns until loop_stop: wait for events, call their handlers, then loop_defer'ed calls, then the loop_on_turn hook. */
void loop_run(void);
void loop_stop(void);
/* One turn; block: wait for at least one event. For tests and small programs. */
void loop_turn(bool block);

/* Call fn(arg) at the end of this turn (never from inside the caller). Calls deferred by deferred calls run in the next round of
 * the same turn; order is kept. loop_undefer forgets every pending call with this arg (of an object about to die). */
void loop_defer(void (*fn)(void *arg), void *arg);
void loop_undefer(void *arg);
/* One hook run after the deferred calls of each turn (the store's commit). It returns true when it made new deferred calls:
 * those run before the loop waits again, followed by the hook again. NULL removes it. */
void loop_on_turn(bool (*fn)(void *arg), void *arg);

/* A timer is memory of its owner; zero it before first use. Single shot. Re-arming moves it. Disarm before the memory goes. */
struct timer {
	void *event;
	void (*fn)(void *arg);
	void *arg;
};
void timer_arm(struct timer *t, int64_t milliseconds, void (*fn)(void *arg), void *arg); /* negative counts as 0 */
bool timer_armed(const struct timer *t);
void timer_disarm(struct timer *t);

/* Signals arrive as ordinary events. At most one handler per signal. */
bool loop_signal(int signum, void (*fn)(void *arg), void *arg, struct err *err) __attribute__((warn_unused_result));

/* Readiness of a descriptor the caller owns. events: POLLIN and/or POLLOUT; persistent. Zero it before first use. */
struct watch {
	void *event;
	void (*fn)(void *arg, short events);
	void *arg;
};
bool watch_set(struct watch *w, int fd, short events, void (*fn)(void *arg, short events), void *arg, struct err *err)
	__attribute__((warn_unused_result)); /* again with other events: changes it */
void watch_clear(struct watch *w);       /* before the descriptor is closed */

const char *loop_library(void); /* the library behind this and its version */

#endif
