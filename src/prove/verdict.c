/* SPDX-License-Identifier: ISC */
#include "prove/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "prove/answer.h"

enum { NAME_SHOWN = 80, QUORUM_NUMBER_MAX = 64 };

static const struct {
	const char *name;
	bool authoritative; /* the address gave an authoritative answer */
	bool good;          /* ... with all values in it */
} verdicts[] = {
	[VERDICT_NONE] = { "-", false, false },
	[VERDICT_OK] = { "OK", true, true },
	[VERDICT_STALE] = { "STALE", true, false },
	[VERDICT_LAME] = { "LAME", false, false },
	[VERDICT_SICK] = { "SICK", false, false },
	[VERDICT_SILENT] = { "SILENT", false, false },
	[VERDICT_NOROUTE] = { "NOROUTE", false, false },
	[VERDICT_WILD] = { "WILD", true, true },
};

const char *verdict_name(enum verdict v)
{
	return verdicts[v].name;
}

/* --- one answer ----------------------------------------------------------------------------------------------------------------- */

static void say(struct seen *out, enum verdict verdict, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(struct seen *out, enum verdict verdict, const char *fmt, ...)
{
	va_list ap;

	out->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(out->note, sizeof(out->note), fmt, ap);
	va_end(ap);
}

/* Another one of the same length may hold the same start: bytes are compared, all of them. */
static bool is_there(const struct answer *a, const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < a->nvalues; i++)
		if (a->values[i].len == len && memcmp(a->values[i].data, value, len) == 0)
			return true;
	return false;
}

static void read_values(const struct answer *a, const char *const *values, size_t nvalues, struct seen *out)
{
	out->nvalues = a->nvalues;
	out->missing = 0;
	for (size_t i = 0; i < nvalues; i++)
		out->missing += !is_there(a, values[i]);
	if (out->missing == 0 && nvalues > 0)
		say(out, a->wildcard ? VERDICT_WILD : VERDICT_OK, "%s", a->wildcard ? "by a wildcard" : "");
	else if (a->nvalues == 0)
		say(out, VERDICT_STALE, "the name has no TXT record");
	else
		say(out, VERDICT_STALE, "%zu TXT record%s, but %zu of %zu expected value%s not there", a->nvalues, a->nvalues == 1 ? "" : "s",
			out->missing, nvalues, nvalues == 1 ? " is" : "s are");
}

static void read_not_authoritative(const struct answer *a, const struct dns_head *head, struct seen *out)
{
	char name[NAME_SHOWN];

	if (a->ns_owner && !a->cname && a->nvalues == 0)
		say(out, VERDICT_LAME, "not authoritative: refers to the name servers of %s",
			*a->ns_owner ? text_escape(a->ns_owner, strlen(a->ns_owner), name, sizeof(name)) : "the root");
	else
		say(out, VERDICT_LAME, "not authoritative%s", head->ra ? ": a recursive server answers there" : "");
}

static void read_content(const struct answer *a, const struct dns_head *head, const char *const *values, size_t nvalues, struct seen *out)
{
	char name[NAME_SHOWN];

	if (!head->aa)
		read_not_authoritative(a, head, out);
	else if (a->cname)
		say(out, VERDICT_STALE, "is an alias (CNAME) of %s", text_escape(a->cname, strlen(a->cname), name, sizeof(name)));
	else if (head->rcode == DNS_NXDOMAIN)
		say(out, VERDICT_STALE, "NXDOMAIN: the name is not there");
	else
		read_values(a, values, nvalues, out);
}

static void read_message(const struct dns_answer *answer, const char *owner, const char *const *values, size_t nvalues, struct seen *out)
{
	const struct dns_head *head = &answer->head;
	struct arena *arena;
	struct answer a;

	if (head->rcode == DNS_REFUSED || head->rcode == DNS_NOTAUTH) {
		say(out, VERDICT_LAME, "%s", dns_rcode_name(head->rcode));
		return;
	}
	if (head->rcode != DNS_NOERROR && head->rcode != DNS_NXDOMAIN) {
		say(out, VERDICT_SICK, "%s", dns_rcode_name(head->rcode));
		return;
	}
	arena = arena_new();
	if (!answer_read(arena, answer, owner, &a))
		say(out, VERDICT_SICK, "the answer is broken");
	else if (head->tc)
		say(out, VERDICT_SICK, "the answer was cut off, and there is no whole one over TCP");
	else
		read_content(&a, head, values, nvalues, out);
	arena_free(arena);
}

void verdict_read(const struct dns_answer *answer, const char *owner, const char *const *values, size_t nvalues, struct seen *out)
{
	static const enum verdict otherwise[] = {
		[DNS_SILENT] = VERDICT_SILENT, [DNS_NO_ROUTE] = VERDICT_NOROUTE, [DNS_BROKEN] = VERDICT_SICK,
	};

	memset(out, 0, sizeof(*out));
	out->missing = nvalues;
	if (answer->how != DNS_ANSWERED) {
		say(out, otherwise[answer->how], "%s", answer->text ? answer->text : "no answer");
		return;
	}
	out->answered = true;
	out->rcode = answer->head.rcode;
	out->aa = answer->head.aa;
	read_message(answer, owner, values, nvalues, out);
}

/* --- all answers ---------------------------------------------------------------------------------------------------------------- */

struct tally {
	unsigned routable, authoritative, good, stale, none; /* addresses */
	unsigned tolerated;             /* no authoritative answer, which a CA's resolver steps over */
	unsigned names, good_names;     /* name servers with a routable address, and with a good one */
	const char *first_stale, *first_none, *first_bad;
};

static bool same_server(const struct quorum_row *a, const struct quorum_row *b)
{
	return a == b || (*a->server && strcmp(a->server, b->server) == 0);
}

/* Counts the name server of rows[i] when that is its first routable row. */
static void tally_name(struct tally *t, const struct quorum_row *rows, size_t n, size_t i)
{
	bool good = false;

	for (size_t j = 0; j < i; j++)
		if (rows[j].verdict != VERDICT_NOROUTE && same_server(&rows[j], &rows[i]))
			return;
	for (size_t j = i; j < n; j++)
		good |= verdicts[rows[j].verdict].good && same_server(&rows[j], &rows[i]);
	t->names++;
	t->good_names += good;
}

static void tally_row(struct tally *t, const struct quorum_row *row)
{
	enum verdict v = row->verdict;
	const char **first = v == VERDICT_STALE ? &t->first_stale : v == VERDICT_NONE ? &t->first_none : &t->first_bad;

	t->routable++;
	t->authoritative += verdicts[v].authoritative;
	t->good += verdicts[v].good;
	t->stale += v == VERDICT_STALE;
	t->none += v == VERDICT_NONE;
	t->tolerated += v != VERDICT_NONE && !verdicts[v].authoritative;
	if (!verdicts[v].good && !*first)
		*first = *row->server ? row->server : "a server";
}

static struct tally tally_rows(const struct quorum_row *rows, size_t n)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < n; i++)
		if (rows[i].verdict != VERDICT_NOROUTE) {
			tally_row(&t, &rows[i]);
			tally_name(&t, rows, n, i);
		}
	return t;
}

/* What is missing, or NULL. A dead server is stepped over by a CA's resolver, a stale one is believed. */
static const char *lacks_names(const struct tally *t)
{
	return 2 * t->good_names < t->names ? "fewer than half of the name servers show it" : NULL;
}

static const char *lacks_all(const struct tally *t)
{
	if (t->stale > 0)
		return "not there yet";
	return t->none > 0 ? "not answered yet" : lacks_names(t);
}

static const char *lacks_strict(const struct tally *t)
{
	return t->good < t->routable ? "not every address shows it" : NULL;
}

static const char *lacks_majority(const struct tally *t)
{
	if (2 * t->good <= t->authoritative + t->none)
		return "no majority shows it yet";
	return lacks_names(t);
}

static const char *lacks_any(const struct tally *t)
{
	(void)t;
	return NULL; /* one has to show it, whatever the kind */
}

static const struct {
	const char *name;
	const char *(*lacks)(const struct tally *t);
} kinds[] = {
	[QUORUM_ALL] = { "all", lacks_all },
	[QUORUM_STRICT] = { "strict", lacks_strict },
	[QUORUM_MAJORITY] = { "majority", lacks_majority },
	[QUORUM_ANY] = { "any", lacks_any },
};

static enum quorum_state tell(enum quorum_state state, char *why, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static enum quorum_state tell(enum quorum_state state, char *why, const char *fmt, ...)
{
	va_list ap;

	if (why) {
		va_start(ap, fmt);
		vsnprintf(why, 160, fmt, ap);
		va_end(ap);
	}
	return state;
}

enum quorum_state quorum_check(const struct quorum *q, const struct quorum_row *rows, size_t n, char why[160])
{
	struct tally t = tally_rows(rows, n);
	const char *first = t.first_stale ? t.first_stale : t.first_none ? t.first_none : t.first_bad, *lacks;

	if (t.routable == 0)
		return tell(QUORUM_WAIT, why, "no address of a name server can be reached from here");
	if (q->kind == QUORUM_NUMBER && t.good < q->number)
		return tell(QUORUM_WAIT, why, "%u of %u addresses show it%s", t.good, q->number,
			t.routable < q->number ? ", and there are not that many" : "");
	if (t.good == 0)
		return tell(QUORUM_WAIT, why, "no address shows it yet (%u stale, %u without an answer, %u not asked)", t.stale, t.tolerated, t.none);
	lacks = q->kind == QUORUM_NUMBER ? NULL : kinds[q->kind].lacks(&t);
	if (lacks)
		return tell(QUORUM_WAIT, why, "%s: %.60s (%u stale, %u without an answer, %u not asked)", lacks, first, t.stale, t.tolerated, t.none);
	if (!first)
		return tell(QUORUM_HOLDS, why, "%s", "");
	return tell(QUORUM_HOLDS, why, "tolerated: %.60s (%u stale, %u without an answer, %u not asked)", first, t.stale, t.tolerated, t.none);
}

bool quorum_parse(const char *text, struct quorum *out)
{
	char *end;
	unsigned long number;

	*out = (struct quorum){ 0 };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(text, kinds[i].name) == 0) {
			out->kind = (enum quorum_kind)i;
			return true;
		}
	number = strtoul(text, &end, 10);
	if (*text < '1' || *text > '9' || *end || number > QUORUM_NUMBER_MAX)
		return false;
	*out = (struct quorum){ .kind = QUORUM_NUMBER, .number = (unsigned)number };
	return true;
}

int64_t look_gap(unsigned n, int64_t timeout_ms, uint64_t coin)
{
	enum { FIRST_MS = 25, MOST_MS = 10000, MILLE = 1000, SPREAD = 200 };
	int64_t most = timeout_ms / 20 < MOST_MS ? timeout_ms / 20 : MOST_MS, gap = FIRST_MS * MILLE;

	if (most < FIRST_MS)
		most = FIRST_MS;
	for (unsigned i = 0; i < n && gap < most * MILLE; i++)
		gap += gap / 4;
	if (gap > most * MILLE)
		gap = most * MILLE;
	return gap * (MILLE - SPREAD + (int64_t)(coin % (2 * SPREAD + 1))) / (MILLE * MILLE);
}
