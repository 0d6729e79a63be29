/* SPDX-License-Identifier: ISC */
#include "ca/acme_limit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ca/acme_problem.h"

static bool binds(int64_t until)
{
	return clock_is_ahead(until, ACME_PARK_MAX);
}

int64_t acme_limit_not_before(const struct acme_limit *l)
{
	int64_t until = 0;

	if (binds(l->host))
		until = l->host;
	if (binds(l->account) && l->account > until)
		until = l->account;
	return until;
}

bool acme_limit_check(const struct acme_limit *l, enum acme_scope scope, struct err *err)
{
	bool orders = scope == ACME_SCOPE_ACCOUNT || scope == ACME_SCOPE_NAMES;
	int64_t until = orders ? acme_limit_not_before(l) : binds(l->host) ? l->host : 0;
	char stamp[TEXT_TIME];

	if (!until)
		return true;
	err_set(err, ERR_LIMIT, "rateLimited", "the CA asked us to stay away until %s: nothing was sent", text_time_format(until, stamp));
	if (err)
		err->not_before = until;
	return false;
}

/* The last two labels. Where a registry has longer suffixes two unrelated domains may look like one, and the account is merely parked later. */
static const char *domain_of(const char *name)
{
	const char *end = name + strlen(name);
	int dots = 0;

	while (end > name && !(end[-1] == '.' && ++dots == 2))
		end--;
	return end;
}

static bool park(int64_t *until, int64_t wish)
{
	int64_t most = clock_now() + ACME_PARK_MAX;

	if (wish > most)
		wish = most;
	if (wish <= *until && binds(*until))
		return false;
	*until = wish;
	return true;
}

/* Which of its many limits a CA met it does not say in a form for machines. Two domains refused in a row share nothing but the account. */
static bool note_names(struct acme_limit *l, const char *domain, int64_t until)
{
	bool shared = l->until > clock_now() && strcmp(l->domain, domain) != 0;
	int64_t nearest = l->until < until ? l->until : until;

	l->until = until;
	snprintf(l->domain, sizeof l->domain, "%s", domain);
	return shared && park(&l->account, nearest);
}

bool acme_limit_note(struct acme_limit *l, enum acme_scope scope, const char *name, const struct err *err)
{
	if (err->http_status == 503 || scope == ACME_SCOPE_HOST)
		return park(&l->host, err->not_before);
	if (scope == ACME_SCOPE_ACCOUNT)
		return park(&l->account, err->not_before);
	if (scope == ACME_SCOPE_NAMES && name && err->nsub == 0)
		return note_names(l, domain_of(name), err->not_before);
	return false;
}

void acme_limit_accept(struct acme_limit *l)
{
	l->until = 0;
}
