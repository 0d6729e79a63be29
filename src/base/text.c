/* SPDX-License-Identifier: ISC */
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"

/* Not the ones of ctype.h: those ask the locale. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* --- base64 and hex --- */

static const char b64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *text_b64url_encode(const void *data, size_t len)
{
	const unsigned char *p = data;
	char *s = mem_array(len / 3 + 1, 4 + 1);
	size_t n = 0;
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | p[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			s[n++] = b64url[bits >> (have - 6) & 63];
	}
	if (have)
		s[n++] = b64url[bits << (6 - have) & 63];
	s[n] = '\0';
	return s;
}

static int b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* One decoder for both: `lenient` adds the other alphabet and lets unused trailing bits be anything. */
static bool b64_decode(const char *s, size_t len, bool lenient, unsigned char **out, size_t *out_len)
{
	unsigned char *p;
	size_t n = 0;
	uint32_t bits = 0;
	unsigned have = 0;

	if (len % 4 == 1)
		return false;
	p = mem_array(len / 4 + 1, 3 + 1);
	for (size_t i = 0; i < len; i++) {
		int v = b64_value(lenient && s[i] == '+' ? '-' : lenient && s[i] == '/' ? '_' : s[i]);

		if (v < 0)
			goto bad;
		bits = (bits << 6 | (uint32_t)v) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			p[n++] = (unsigned char)(bits >> have);
		}
	}
	if (!lenient && (bits & ((1u << have) - 1)))
		goto bad;
	*out = p;
	*out_len = n;
	return true;
bad:
	explicit_bzero(p, n); /* it may have been the start of a secret */
	free(p);
	return false;
}

bool text_b64url_decode(const char *s, size_t len, unsigned char **out, size_t *out_len)
{
	return b64_decode(s, len, false, out, out_len);
}

bool text_b64_decode_lenient(const char *s, size_t len, unsigned char **out, size_t *out_len)
{
	size_t padding = 0;

	while (len && is_blank(s[0]))
		s++, len--;
	while (len && is_blank(s[len - 1]))
		len--;
	while (len && padding < 2 && s[len - 1] == '=')
		padding++, len--;
	if (padding && (len + padding) % 4) /* padded but not whole: something was lost in the copying */
		return false;
	return b64_decode(s, len, true, out, out_len);
}

char *text_hex_encode(const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	char *s = mem_array(len + 1, 2);

	for (size_t i = 0; i < len; i++) {
		s[2 * i] = digits[p[i] >> 4];
		s[2 * i + 1] = digits[p[i] & 15];
	}
	return s;
}

/* --- times --- */

char *text_time_format(int64_t unix_seconds, char out[TEXT_TIME])
{
	const int64_t first = -62167219200, last = 253402300799; /* years 0 and 9999 */
	time_t t = unix_seconds < first ? first : unix_seconds > last ? last : unix_seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	/* strftime would leave out leading zeros of the year */
	for (unsigned i = 0, year = (unsigned)(tm.tm_year + 1900); i < 4; i++, year /= 10)
		out[3 - i] = (char)('0' + year % 10);
	strftime(out + 4, TEXT_TIME - 4, "-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const long_days[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
					 "Thursday", "Friday", "Saturday" };

/* Exactly `width` digits at *s; `blank` allows a space for the first. */
static bool scan_digits(const char **s, int width, bool blank, int *value)
{
	*value = 0;
	for (int i = 0; i < width; i++, ++*s) {
		if (i == 0 && blank && **s == ' ')
			continue;
		if (!is_digit(**s))
			return false;
		*value = *value * 10 + (**s - '0');
	}
	return true;
}

static bool scan_word(const char **s, const char *const *words, int n, int *index)
{
	for (*index = 0; *index < n; ++*index) {
		size_t len = strlen(words[*index]);

		if (strncmp(*s, words[*index], len) == 0) {
			*s += len;
			return true;
		}
	}
	return false;
}

/* Fields of one time, in the words of strptime, which itself asks the locale for names. */
static bool scan_field(const char **s, char field, struct tm *tm)
{
	int value;
	bool ok;

	switch (field) {
	case 'Y':
		ok = scan_digits(s, 4, false, &value);
		tm->tm_year = value - 1900;
		return ok;
	case 'y': /* obsolete form: 1970 to 2069, whatever a host without a clock believes the year to be */
		ok = scan_digits(s, 2, false, &value);
		tm->tm_year = value < 70 ? value + 100 : value;
		return ok;
	case 'm':
		ok = scan_digits(s, 2, false, &value);
		tm->tm_mon = value - 1;
		return ok;
	case 'b':
		return scan_word(s, months, 12, &tm->tm_mon);
	case 'a':
		return scan_word(s, days, 7, &value);
	case 'A':
		return scan_word(s, long_days, 7, &value);
	case 'e':
		return scan_digits(s, 2, true, &tm->tm_mday);
	case 'd':
		return scan_digits(s, 2, false, &tm->tm_mday);
	case 'H':
		return scan_digits(s, 2, false, &tm->tm_hour);
	case 'M':
		return scan_digits(s, 2, false, &tm->tm_min);
	default:
		return scan_digits(s, 2, false, &tm->tm_sec);
	}
}

/* Scan s by a pattern of fields (%Y ...) and literal characters. Returns what follows, or NULL; *t is in UTC. */
static const char *scan_time(const char *s, const char *pattern, int64_t *t)
{
	struct tm tm = { .tm_year = 70, .tm_mday = 1 }; /* so that a time alone counts from midnight */
	struct tm checked;
	int leap;

	for (; *pattern; pattern++) {
		if (*pattern == '%') {
			if (!scan_field(&s, *++pattern, &tm))
				return NULL;
		} else if (*s++ != *pattern) {
			return NULL;
		}
	}
	leap = tm.tm_sec == 60;
	tm.tm_sec -= leap;
	checked = tm;
	*t = timegm(&checked) + leap;
	/* timegm turns 30 February into 2 March: what it changed was not a time */
	return checked.tm_year == tm.tm_year && checked.tm_mon == tm.tm_mon && checked.tm_mday == tm.tm_mday &&
	       checked.tm_hour == tm.tm_hour && checked.tm_min == tm.tm_min && checked.tm_sec == tm.tm_sec ? s : NULL;
}

static bool parse_offset(const char *s, int64_t *seconds)
{
	int hours, minutes, sign = *s == '-' ? -1 : 1;

	*seconds = 0;
	if (*s == 'Z' || *s == 'z')
		return s[1] == '\0';
	if (*s != '+' && *s != '-')
		return false;
	s++;
	if (!scan_digits(&s, 2, false, &hours) || *s++ != ':' || !scan_digits(&s, 2, false, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return *s == '\0' && hours < 24 && minutes < 60;
}

bool text_time_parse(const char *s, int64_t *unix_seconds)
{
	int64_t date, time_of_day, offset;

	s = scan_time(s, "%Y-%m-%d", &date);
	if (!s || (*s != 'T' && *s != 't'))
		return false;
	s = scan_time(s + 1, "%H:%M:%S", &time_of_day);
	if (!s)
		return false;
	if (*s == '.') {
		if (!is_digit(*++s))
			return false;
		while (is_digit(*s))
			s++;
	}
	if (!parse_offset(s, &offset))
		return false;
	*unix_seconds = date + time_of_day - offset;
	return true;
}

bool text_time_parse_http(const char *s, int64_t *unix_seconds)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT",
		"%a %b %e %H:%M:%S %Y",
	};

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		const char *rest = scan_time(s, forms[i], unix_seconds);

		if (rest && *rest == '\0')
			return true;
	}
	return false;
}

/* --- durations and sizes --- */

struct unit {
	const char *name;
	int64_t factor;
};

static bool parse_amount(const char *s, const struct unit *units, int64_t *result)
{
	int64_t value = 0;

	if (!is_digit(*s))
		return false;
	for (; is_digit(*s); s++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *s - '0', &value))
			return false;
	for (; units->name; units++)
		if (strcmp(s, units->name) == 0)
			return !__builtin_mul_overflow(value, units->factor, result);
	return false;
}

bool text_duration_parse(const char *s, int64_t *seconds)
{
	static const struct unit units[] = { { "s", 1 },     { "m", 60 },     { "h", 3600 },
					     { "d", 86400 }, { "w", 604800 }, { NULL, 0 } };

	return parse_amount(s, units, seconds);
}

bool text_size_parse(const char *s, int64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "KiB", 1024 }, { "MiB", 1024 * 1024 }, { "GiB", 1024 * 1024 * 1024 }, { NULL, 0 }
	};

	return parse_amount(s, units, bytes);
}

char *text_duration_format(int64_t seconds, char *out, size_t room)
{
	static const struct {
		char name;
		uint64_t size;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }, { 's', 1 } };
	uint64_t left = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
	const char *sign = seconds < 0 ? "-" : "";
	uint64_t second;
	size_t i = 0;

	while (i < 3 && left < units[i].size)
		i++;
	second = left % units[i].size / units[i + 1].size;
	if (second)
		snprintf(out, room, "%s%" PRIu64 "%c %" PRIu64 "%c", sign, left / units[i].size, units[i].name, second,
			 units[i + 1].name);
	else
		snprintf(out, room, "%s%" PRIu64 "%c", sign, left / units[i].size, units[i].name);
	return out;
}

/* --- UTF-8 and escaping --- */

/* Length of the well-formed character at s and its code point, or 0: no overlong form, no surrogate, not too large. */
static size_t utf8_one(const char *s, size_t len, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)s[0];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

	if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || n > len)
		return 0;
	*cp = n == 1 ? c : c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | ((unsigned char)s[i] & 0x3f);
	}
	return *cp < least[n] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp <= 0xdfff) ? 0 : n;
}

bool text_is_utf8(const char *s, size_t len)
{
	uint32_t cp;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_one(s + i, len - i, &cp);
		if (n == 0 || cp == 0)
			return false;
	}
	return true;
}

/* What moves a cursor, breaks a line or turns the reading direction. */
static bool is_treacherous(uint32_t cp)
{
	static const uint32_t ranges[][2] = {
		{ 0x80, 0x9f },     /* C1 */
		{ 0x061c, 0x061c }, /* Arabic letter mark */
		{ 0x200e, 0x200f }, /* direction marks */
		{ 0x2028, 0x202e }, /* line and paragraph separator, embeddings, overrides */
		{ 0x2066, 0x2069 }, /* isolates */
		{ 0xfeff, 0xfeff }, /* byte order mark */
	};

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (cp >= ranges[i][0] && cp <= ranges[i][1])
			return true;
	return false;
}

/* One step of text_escape: the safe form of what stands at s. Returns how much of s it stands for. */
static size_t escape_one(const char *s, size_t len, char piece[16])
{
	uint32_t cp = 0;
	size_t n = utf8_one(s, len, &cp);

	if (n == 0 || cp < 0x20 || cp == 0x7f) {
		snprintf(piece, 16, "\\x%02x", (unsigned char)s[0]);
		return 1;
	}
	if (is_treacherous(cp)) {
		snprintf(piece, 16, "\\u{%04" PRIx32 "}", cp);
		return n;
	}
	memcpy(piece, s, n);
	piece[n] = '\0';
	return n;
}

char *text_escape(const char *s, size_t len, char *out, size_t room)
{
	size_t n = 0, keep = 0; /* keep: the last end of a piece that leaves room for "..." */

	if (room == 0)
		return out;
	for (size_t i = 0; i < len;) {
		char piece[16];
		size_t piece_len;

		i += escape_one(s + i, len - i, piece);
		piece_len = strlen(piece);
		if (piece_len >= room - n) {
			snprintf(out + keep, room - keep, "...");
			return out;
		}
		memcpy(out + n, piece, piece_len);
		n += piece_len;
		if (room - n > 3)
			keep = n;
	}
	out[n] = '\0';
	return out;
}

/* --- words --- */

bool text_is_token(const char *s)
{
	size_t len = strnlen(s, 257);

	return len > 0 && len <= 256 && strspn(s, b64url) >= len;
}

bool text_is_name(const char *s)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strnlen(s, 64);

	return len > 0 && len <= 63 && strspn(s, alphabet) >= len && !strchr("._-", s[0]);
}

bool text_is_domain(const char *s)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t len;

	if (strnlen(s, 254) > 253)
		return false;
	for (;; s += len + 1) {
		len = strspn(s, alphabet);
		if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-' || (s[len] && s[len] != '.'))
			return false;
		if (!s[len])
			return true;
	}
}

bool text_is_below(const char *name, const char *zone)
{
	size_t all = strlen(name), tail = strlen(zone);

	return all >= tail && (all == tail || name[all - tail - 1] == '.') && strcasecmp(name + all - tail, zone) == 0;
}

enum { WORD = 64 }; /* no option of ours is longer; a longer word has no near one */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b; both are shorter than WORD. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	size_t len = strlen(b);

	for (size_t j = 0; j <= len; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[len];
}

const char *text_nearest(const char *s, const char *const *candidates, size_t n)
{
	size_t len = strnlen(s, WORD);
	size_t best = (len / 3 ? len / 3 : 1) + 1;
	const char *nearest = NULL;

	if (len == 0 || len == WORD)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t d = strnlen(candidates[i], WORD) < WORD ? distance(s, candidates[i]) : best;

		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}

uint64_t text_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return h;
}

/* Only the last star is ever tried again: an earlier one cannot help where a later one failed. */
bool text_glob(const char *pattern, const char *s)
{
	const char *star = NULL, *resume = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = s;
		} else if (*pattern == '?' || *pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
