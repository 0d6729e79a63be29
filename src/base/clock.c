/* SPDX-License-Identifier: ISC */
#include "base/clock.h"

#include <time.h>

/* 2026-11-01T00:00:00Z, moved on with each release. Not the moment of compilation: builds are to be reproducible. */
static const int64_t build_epoch = 1793491200;

static struct {
	bool frozen;
	int64_t wall_us;
	int64_t mono_us;
	int64_t boot_ms;
} still;

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_now(void)
{
	int64_t us = clock_now_us();

	return us / 1000000 - (us % 1000000 < 0);
}

int64_t clock_now_us(void)
{
	return still.frozen ? still.wall_us : read_us(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
	return still.frozen ? still.mono_us : read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_boot_ms(void)
{
	return still.frozen ? still.boot_ms : read_us(CLOCK_BOOTTIME) / 1000;
}

bool clock_is_plausible(void)
{
	return clock_now() >= build_epoch;
}

bool clock_is_ahead(int64_t until, int64_t most)
{
	int64_t now = clock_now();

	return until > now && until - now <= most;
}

/* Frozen again while frozen, only the wall clock jumps: the monotonic ones never do. */
void clock_freeze(int64_t wall_seconds)
{
	still.mono_us = clock_mono_us();
	still.boot_ms = clock_boot_ms();
	still.wall_us = wall_seconds * 1000000;
	still.frozen = true;
}

void clock_advance(int64_t milliseconds)
{
	still.wall_us += milliseconds * 1000;
	still.mono_us += milliseconds * 1000;
	still.boot_ms += milliseconds;
}

void clock_thaw(void)
{
	still.frozen = false;
}
