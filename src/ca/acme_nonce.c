/* SPDX-License-Identifier: ISC */
#include "ca/acme_nonce.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static void drop_oldest(struct acme_nonces *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(p->item[i].text);
	p->n -= n;
	memmove(p->item, p->item + n, p->n * sizeof p->item[0]);
}

void acme_nonce_put(struct acme_nonces *p, const char *nonce)
{
	if (!nonce)
		return;
	if (p->n == ACME_NONCE_MAX)
		drop_oldest(p, 1);
	p->item[p->n].text = mem_strdup(nonce);
	p->item[p->n++].at = clock_boot_ms();
}

char *acme_nonce_take(struct acme_nonces *p)
{
	int64_t oldest = clock_boot_ms() - ACME_NONCE_AGE_MS;
	size_t stale = 0;

	while (stale < p->n && p->item[stale].at < oldest)
		stale++;
	drop_oldest(p, stale);
	return p->n ? p->item[--p->n].text : NULL;
}

void acme_nonce_clear(struct acme_nonces *p)
{
	drop_oldest(p, p->n);
}
