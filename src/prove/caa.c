/* SPDX-License-Identifier: ISC */
#include "prove/caa.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { SHOWN = 3, SHOWN_VALUE = 120 };

/* How one property fits who asks, the better the later: one that fits is enough. */
enum fit {
	FIT_MALFORMED, /* counts as one that allows nobody: RFC 8659 section 4.2 */
	FIT_NOBODY,
	FIT_OTHER,
	FIT_PARAMETER, /* a parameter that cannot be satisfied: RFC 8657 sections 3 and 4 */
	FIT_ACCOUNT,
	FIT_METHOD,
	FIT_NO_ACCOUNT, /* ours is not known */
	FIT_NO_NAME,    /* the CA's names are not */
	FIT_LOOSE,      /* good but for its form */
	FIT_YES,
};

struct piece { /* of a value */
	const char *at;
	size_t len;
};

struct property {
	struct piece issuer;
	struct piece account, methods; /* at NULL: not there */
	unsigned naccount, nmethods;
	bool loose;                    /* ends with ";", which is not in the grammar */
};

/* --- the grammar of RFC 8659 section 4.2 ------------------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static struct piece trim(struct piece p)
{
	while (p.len && is_blank(*p.at))
		p.at++, p.len--;
	while (p.len && is_blank(p.at[p.len - 1]))
		p.len--;
	return p;
}

/* What is before the first `c`; the rest, without it, stays in *p, whose `at` is NULL when there was none. */
static struct piece cut(struct piece *p, char c)
{
	const char *end = p->len ? memchr(p->at, c, p->len) : NULL;
	struct piece first = *p;

	if (!end) {
		*p = (struct piece){0};
		return trim(first);
	}
	first.len = (size_t)(end - p->at);
	*p = (struct piece){end + 1, p->len - first.len - 1};
	return trim(first);
}

/* One or more words of letters, digits and inner hyphens, separated by dots if these are allowed. */
static bool is_words(struct piece p, bool dots)
{
	for (size_t i = 0; i < p.len; i++) {
		bool edge = i == 0 || i + 1 == p.len || (dots && (p.at[i - 1] == '.' || p.at[i + 1] == '.'));

		if (!is_alnum(p.at[i]) && (edge || (p.at[i] != '-' && !(dots && p.at[i] == '.'))))
			return false;
	}
	return p.len > 0;
}

static bool is_value(struct piece p)
{
	for (size_t i = 0; i < p.len; i++)
		if (p.at[i] < 0x21 || p.at[i] > 0x7e)
			return false;
	return true;
}

static bool is_same(struct piece p, const char *text)
{
	return p.len == strlen(text) && strncasecmp(p.at, text, p.len) == 0;
}

static bool read_parameter(struct piece p, struct property *out)
{
	struct piece tag = cut(&p, '='), value;

	if (!p.at || !is_words(tag, false))
		return false;
	value = trim(p);
	if (!is_value(value))
		return false;
	if (is_same(tag, "accounturi")) {
		out->account = value;
		out->naccount++;
	} else if (is_same(tag, "validationmethods")) {
		out->methods = value;
		out->nmethods++;
	}
	return true;
}

static bool read_property(const struct caa_record *r, struct property *out)
{
	struct piece rest = {r->value, r->len};

	memset(out, 0, sizeof(*out));
	out->issuer = cut(&rest, ';');
	if (out->issuer.len && !is_words(out->issuer, true))
		return false;
	for (bool first = true; rest.at; first = false) {
		struct piece one = cut(&rest, ';');

		if (!one.len && !rest.at)
			out->loose = !first;
		else if (!read_parameter(one, out))
			return false;
	}
	return true;
}

/* --- one property ------------------------------------------------------------------------------------------------------------------ */

/* Is the method among "dns-01,http-01"? *good: the list is one. */
static bool lists(struct piece methods, const char *challenge, bool *good)
{
	bool found = false;

	*good = true;
	while (methods.at) {
		struct piece one = cut(&methods, ',');

		*good &= is_words(one, false);
		found |= one.len == strlen(challenge) && memcmp(one.at, challenge, one.len) == 0;
	}
	return found;
}

static enum fit fit_parameters(const struct property *p, const struct caa_ask *ask)
{
	bool good = true, listed = !p->nmethods || (p->methods.len && lists(p->methods, ask->challenge, &good));

	if (p->naccount > 1 || p->nmethods > 1 || !good || (p->naccount && !p->account.len))
		return FIT_PARAMETER;
	if (!listed)
		return FIT_METHOD;
	if (p->naccount && !ask->account)
		return FIT_NO_ACCOUNT;
	if (p->naccount && (p->account.len != strlen(ask->account) || memcmp(p->account.at, ask->account, p->account.len) != 0))
		return FIT_ACCOUNT;
	return FIT_YES;
}

static enum fit fit_property(const struct caa_record *r, const struct caa_ask *ask)
{
	struct property p;
	bool named = false;
	enum fit fit;

	if (!read_property(r, &p))
		return FIT_MALFORMED;
	if (!p.issuer.len)
		return FIT_NOBODY;
	for (size_t i = 0; i < ask->nissuers; i++)
		named |= is_same(p.issuer, ask->issuers[i]);
	if (!named && ask->nissuers)
		return FIT_OTHER;
	fit = fit_parameters(&p, ask);
	if (fit == FIT_YES && !named)
		return FIT_NO_NAME;
	return fit == FIT_YES && p.loose ? FIT_LOOSE : fit;
}

/* --- the set ----------------------------------------------------------------------------------------------------------------------- */

struct said {
	char *text;
	size_t used;
};

static void say(struct said *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct said *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->text + s->used, CAA_TEXT - s->used, fmt, ap);
	va_end(ap);
	s->used += n < 0 ? 0 : (size_t)n;
	if (s->used >= CAA_TEXT)
		s->used = CAA_TEXT - 1;
}

static void say_value(struct said *s, const struct caa_record *r)
{
	char shown[SHOWN_VALUE];

	say(s, "%s \"%s\"", r->tag, text_escape(r->value, r->len, shown, sizeof(shown)));
}

/* The properties that count, in their own words. */
static void say_all(struct said *s, const struct caa_record *set, size_t n, const char *tag)
{
	size_t shown = 0, all = 0;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(set[i].tag, tag) != 0)
			continue;
		if (all++ >= SHOWN)
			continue;
		say(s, "%s", shown++ ? ", " : "");
		say_value(s, &set[i]);
	}
	if (all > shown)
		say(s, " and %zu more", all - shown);
}

static const struct {
	enum caa_verdict verdict;
	const char *text;
} fits[] = {
	[FIT_MALFORMED] = {CAA_FORBIDDEN, "allow nobody: what they say is malformed, which counts as nobody"},
	[FIT_NOBODY] = {CAA_FORBIDDEN, "allow no CA at all"},
	[FIT_OTHER] = {CAA_FORBIDDEN, "allow other CAs only"},
	[FIT_PARAMETER] = {CAA_FORBIDDEN, "allow this CA only by a parameter that nobody can satisfy (empty, malformed or given twice)"},
	[FIT_ACCOUNT] = {CAA_FORBIDDEN, "allow this CA only for another account (accounturi)"},
	[FIT_METHOD] = {CAA_FORBIDDEN, "do not allow the method of proof (validationmethods)"},
	[FIT_NO_ACCOUNT] = {CAA_UNSURE, "allow this CA for one account only (accounturi), and ours is not known yet"},
	[FIT_NO_NAME] = {CAA_UNSURE, "name who may issue, but the CA does not tell its names (caaIdentities)"},
	[FIT_LOOSE] = {CAA_UNSURE, "allow this CA, but end in \";\", which some CAs take for malformed"},
	[FIT_YES] = {CAA_ALLOWED, "allow this CA"},
};

/* What would have to be there instead. */
static void say_mend(struct said *s, const char *tag, enum fit fit, const struct caa_ask *ask)
{
	if (fit == FIT_METHOD)
		say(s, "; it would be proven by %s", ask->challenge);
	else if (fit == FIT_ACCOUNT)
		say(s, "; ours is %.200s", ask->account);
	else if (ask->nissuers)
		say(s, "; this CA is %s \"%.100s\"", tag, ask->issuers[0]);
}

static bool is_known(const char *tag)
{
	/* What RFC 8659 and RFC 9495 define. Others, contactemail among them, are not known to every CA. */
	static const char *const known[] = {"issue", "issuewild", "issuemail", "iodef"};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i], tag) == 0)
			return true;
	return false;
}

static size_t count(const struct caa_record *set, size_t n, const char *tag)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += strcmp(set[i].tag, tag) == 0;
	return found;
}

/* What forbids to issue whatever else there is. */
static bool is_refused(const struct caa_record *set, size_t n, struct said *s)
{
	for (size_t i = 0; i < n; i++) {
		if (set[i].broken) {
			say(s, "hold one that is broken: CAs refuse");
			return true;
		}
		if (set[i].critical && !is_known(set[i].tag)) {
			say(s, "hold a critical property that CAs may not know: ");
			say_value(s, &set[i]);
			return true;
		}
	}
	return false;
}

enum caa_verdict caa_check(const struct caa_record *set, size_t n, const struct caa_ask *ask, char text[CAA_TEXT])
{
	const char *tag = ask->wildcard && count(set, n, "issuewild") ? "issuewild" : "issue";
	enum fit best = FIT_MALFORMED;
	struct said s = {text, 0};

	text[0] = '\0';
	if (is_refused(set, n, &s))
		return CAA_FORBIDDEN;
	if (!count(set, n, tag)) {
		say(&s, n ? "restrict nobody" : "are none, which restricts nobody");
		return CAA_FREE;
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(set[i].tag, tag) == 0 && fit_property(&set[i], ask) > best)
			best = fit_property(&set[i], ask);
	say(&s, "%s: ", fits[best].text);
	say_all(&s, set, n, tag);
	if (best < FIT_LOOSE)
		say_mend(&s, tag, best, ask);
	return fits[best].verdict;
}

struct caa_record caa_read(const struct dns_rr *rr)
{
	struct caa_record r = {0};
	struct dns_caa caa;

	if (!dns_rr_caa(rr, &caa))
		return (struct caa_record){.broken = true};
	memcpy(r.tag, caa.tag, sizeof(r.tag));
	r.critical = caa.critical || (rr->data[0] & 1);
	r.value = caa.value;
	r.len = caa.len;
	return r;
}
