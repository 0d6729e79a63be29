/* SPDX-License-Identifier: ISC */
#include "io/alive.h"

#include "io/loop.h"
#include "io/systemd.h"

static struct timer sign;

static void alive(void *arg)
{
	systemd_notify("WATCHDOG=1");
	timer_arm(&sign, systemd_watchdog_ms() / 2, alive, arg);
}

void alive_start(int64_t others_ms)
{
	int64_t half = systemd_watchdog_ms() / 2;

	if (half > 0 && (others_ms == 0 || half < others_ms))
		alive(NULL);
}

void alive_stop(void)
{
	timer_disarm(&sign);
}
