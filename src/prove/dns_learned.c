/* SPDX-License-Identifier: ISC */
#include "prove/dns_learned.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	SETTLE_FIRST_MS = 2000,
	SETTLE_MOST_MS = 600000,
	CLEAN = 10, /* good ones in a row that halve the wait */
	TIMES = 31,
	SEEN_MOST_MS = 172800000, /* two days; a look ends within one */
};

static char *record_name(const char *provider, const char *zone)
{
	return mem_printf("%s %s", provider, zone);
}

/* The record, or a new one; *name for the caller to free. */
static struct js *load(const struct dns_memory *m, const char *provider, const char *zone, char **name)
{
	struct js *record;

	*name = record_name(provider, zone);
	record = m->load(m->arg, *name);
	if (js_is_object(record))
		return record;
	js_free(record);
	return js_object();
}

static void save(const struct dns_memory *m, char *name, struct js *record)
{
	m->save(m->arg, name, record);
	js_free(record);
	free(name);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The newest, which are the last. */
static size_t times_read(const struct js *record, int64_t times[TIMES])
{
	const struct js *kept = js_arr(record, "seen_ms");
	size_t all = js_len(kept), n = 0;

	for (size_t i = all > TIMES ? all - TIMES : 0; i < all; i++) {
		int64_t ms = js_int(js_at(kept, i), "ms", -1);

		if (ms >= 0 && ms <= SEEN_MOST_MS)
			times[n++] = ms;
	}
	return n;
}

static int64_t settle_of(const struct js *record)
{
	int64_t ms = js_int(record, "settle_ms", 0);

	return ms < 0 ? 0 : ms > SETTLE_MOST_MS ? SETTLE_MOST_MS : ms;
}

static int64_t clean_of(const struct js *record)
{
	int64_t n = js_int(record, "clean", 0);

	return n < 0 ? 0 : n > CLEAN ? CLEAN : n;
}

struct dns_learned dns_learned_get(const struct dns_memory *m, const char *provider, const char *zone)
{
	int64_t times[TIMES];
	char *name;
	struct js *record = load(m, provider, zone, &name);
	size_t n = times_read(record, times);
	struct dns_learned out = {.settle_ms = settle_of(record), .times = (unsigned)n};

	qsort(times, n, sizeof(times[0]), by_size);
	out.usual_ms = n ? times[n / 2] : 0;
	js_free(record);
	free(name);
	return out;
}

void dns_learned_seen(const struct dns_memory *m, const char *provider, const char *zone, int64_t ms)
{
	int64_t times[TIMES];
	char *name;
	struct js *record = load(m, provider, zone, &name), *kept = js_array();
	size_t n = times_read(record, times), from = n == TIMES ? 1 : 0;

	for (size_t i = from; i <= n; i++) {
		struct js *one = js_object();

		js_put_int(one, "ms", i < n ? times[i] : ms);
		js_add(kept, one);
	}
	js_put(record, "seen_ms", kept);
	save(m, name, record);
}

void dns_learned_judged(const struct dns_memory *m, const char *provider, const char *zone, bool valid)
{
	char *name;
	struct js *record = load(m, provider, zone, &name);
	int64_t settle = settle_of(record), clean = clean_of(record);

	if (valid && settle == 0) { /* nothing to unlearn */
		js_free(record);
		free(name);
		return;
	}
	clean = valid ? clean + 1 : 0;
	if (!valid)
		settle = settle ? 2 * settle : SETTLE_FIRST_MS;
	else if (clean >= CLEAN) {
		settle = settle / 2 < SETTLE_FIRST_MS ? 0 : settle / 2;
		clean = 0;
	}
	js_put_int(record, "settle_ms", settle > SETTLE_MOST_MS ? SETTLE_MOST_MS : settle);
	js_put_int(record, "clean", clean);
	save(m, name, record);
}
