/* SPDX-License-Identifier: ISC */
#include "simtime.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static struct {
	bool on;
	int64_t wait_ns; /* until the next timer, as libevent last said; 0: there is none */
} sim;

void simtime_start(int64_t wall_seconds)
{
	clock_freeze(wall_seconds);
	sim.on = true;
}

void simtime_stop(void)
{
	sim.on = false;
	clock_thaw();
}

static struct timespec in_parts(int64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
}

int clock_gettime(clockid_t id, struct timespec *out)
{
	if (!sim.on)
		return (int)syscall(SYS_clock_gettime, id, out);
	*out = in_parts(id == CLOCK_REALTIME ? clock_now_us() * 1000 : clock_mono_ms() * 1000000);
	return 0;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	if (!sim.on)
		return (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
	sim.wait_ns = (int64_t)value->it_value.tv_sec * 1000000000 + value->it_value.tv_nsec;
	return 0;
}

/* Nothing outside of this process takes part: when no descriptor is ready now, none will ever be before the next timer. */
int epoll_wait(int fd, struct epoll_event *events, int room, int timeout)
{
	int n = (int)syscall(SYS_epoll_pwait, fd, events, room, sim.on ? 0 : timeout, NULL, 0);

	if (!sim.on || n != 0 || timeout == 0)
		return n;
	if (timeout > 0) {
		clock_advance(timeout);
	} else if (sim.wait_ns > 0) {
		clock_advance((sim.wait_ns + 999999) / 1000000);
	} else {
		fprintf(stderr, "simtime: nothing will ever happen any more\n");
		abort();
	}
	return 0;
}
