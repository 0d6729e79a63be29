/* SPDX-License-Identifier: ISC */
#include "core/schedule.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { NONCE_PAUSE = 5, MINUTE = 60, HOUR = 3600, DAY = 86400 };

static int64_t clamp(int64_t n, int64_t low, int64_t high)
{
	return n < low ? low : n > high ? high : n;
}

int64_t schedule_renewal(const char *name, int64_t not_before, int64_t not_after)
{
	int64_t life = not_after - not_before, left;
	char seed[160];

	if (life <= 0)
		return not_after;
	left = life < 10 * DAY ? life / 2 : life / 3;
	/* The seed holds the certificate too: two hosts with one name, or one name twice, should not meet for ever. */
	snprintf(seed, sizeof(seed), "%s %lld", name, (long long)not_before);
	return not_after - left - (life >= 40 ? (int64_t)(text_hash(seed) % (uint64_t)(life / 40)) : 0);
}

int64_t schedule_retry(const struct err *err, unsigned attempts, int64_t now, int64_t not_after, uint64_t seed)
{
	static const int64_t step[] = {MINUTE, 10 * MINUTE, 100 * MINUTE, DAY};
	size_t last = sizeof(step) / sizeof(step[0]) - 1, i = attempts ? attempts - 1 : 0;
	int64_t delay, cap = not_after > now ? clamp((not_after - now) / 8, HOUR, DAY) : DAY;

	if (err->kind == ERR_DENIED || err->kind == ERR_INPUT || err->kind == ERR_BUG)
		i = last;
	delay = step[i < last ? i : last];
	if (i == 0 && strcmp(err->type, "badNonce") == 0)
		delay = NONCE_PAUSE; /* bad luck, most of the time: nothing was asked, so nothing was refused */
	if (delay > cap)
		delay = cap;
	delay += delay / 4 - (int64_t)(seed % (uint64_t)(delay / 2 + 1)); /* -25 % .. +25 % */
	return err->not_before > now + delay ? err->not_before : now + delay;
}

int64_t schedule_forgotten(const char *address, int64_t ttl, int64_t now)
{
	static const struct {
		const char *where; /* part of the CA's address */
		int64_t most;
	} caps[] = {{".api.letsencrypt.org/", MINUTE}, {"", HOUR}};
	size_t i = 0;

	while (!strstr(address, caps[i].where))
		i++;
	return now + clamp(ttl, 0, caps[i].most);
}
