/* SPDX-License-Identifier: ISC */
/* What stands between a file and libconfig: 1.5 is quadratic in places, reads 4294967297 as 1 and 0640 as 640, follows @include into FIFOs,
 * leaks on a syntax error and says no more than "syntax error". So the syntax is checked here first, in one linear pass that is stricter than
 * libconfig's grammar and the same for all its versions; libconfig then builds the tree of a text that is known to be good. */
#include "core/conf_draft.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
	DEPTH_MAX = 32,
	OPTIONS_MAX = 128,   /* in one group: there libconfig is quadratic */
	VALUES_MAX = 80000,  /* in one file: about 20 MiB of libconfig's memory; a list of 10,000 certificates fits */
	TEXT_MAX_LEN = 4096, /* of one value */
	NAME_LEN = 64,
	MESSAGE = 256,
};

/* HOPELESS is 0, so that it is false as well: the rest cannot be understood. */
enum token { HOPELESS, NAME, EQUALS, TEXT, FLAG, NUMBER, COMMA, SEMICOLON, OPEN_GROUP, OPEN_LIST, OPEN_ARRAY, CLOSE, END };
enum state { AT_OPTION, AT_EQUALS, AT_VALUE, AFTER_VALUE, AT_FIRST, AT_ENTRY, AFTER_ENTRY };

#define BIT(x) (1u << (x))
#define VALUES (BIT(TEXT) | BIT(FLAG) | BIT(NUMBER) | BIT(OPEN_GROUP) | BIT(OPEN_LIST) | BIT(OPEN_ARRAY))

struct level { /* something opened and not closed yet; level[0] is the file */
	char close;
	int line;
	enum token first;	    /* of an array: all entries are of its kind */
	unsigned n;		    /* options in a group */
	uint64_t seen[OPTIONS_MAX]; /* their names, hashed */
};

struct scan {
	const char *s, *end;
	int line;
	enum state state;
	int depth;
	size_t values;
	const char *start;   /* of the token at hand */
	char name[NAME_LEN]; /* of the last option, for messages */
	char close;	     /* which of the three, with CLOSE */
	bool garbled;	     /* we read on, but libconfig could not */
	conf_scan_report *report;
	void *arg;
	struct level level[DEPTH_MAX + 1];
};

static enum token hopeless(struct scan *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct scan *c, int line, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
static void mention(struct scan *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct scan *c, int line, const char *fmt, va_list ap)
{
	char text[MESSAGE];

	vsnprintf(text, sizeof text, fmt, ap);
	c->report(c->arg, line, text);
}

/* A problem after which reading goes on. */
static void mention(struct scan *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(c, c->line, fmt, ap);
	va_end(ap);
}

static enum token hopeless(struct scan *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(c, c->line, fmt, ap);
	va_end(ap);
	return HOPELESS;
}

/* --- bytes --- */

size_t conf_scan_offset(const struct conf_source *source)
{
	return source->len >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* What is wrong with the character of *n bytes at s, in words; NULL: nothing. ASCII that may stand anywhere does not come here. */
static const char *character_fault(const char *s, size_t left, size_t *n)
{
	unsigned char lead = (unsigned char)*s;
	char safe[32];

	*n = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (lead == '\0')
		return "a NUL byte: this is no text file";
	if (lead == '\r')
		return left > 1 && s[1] == '\n' ? NULL : "a carriage return that ends no line";
	if (*n > left || !text_is_utf8(s, *n))
		return "not valid UTF-8";
	text_escape(s, *n, safe, sizeof safe); /* it knows what must not reach a terminal */
	return strlen(safe) == *n ? NULL : "a control character, or a hidden one that changes the direction of reading";
}

static bool check_bytes(struct scan *c)
{
	size_t n = 1;

	for (const char *s = c->s; s < c->end; s += n) {
		const char *fault = NULL;

		n = 1;
		if (*s == '\n')
			c->line++;
		else if (*s < ' ' ? *s != '\t' : *s > '~')
			fault = character_fault(s, (size_t)(c->end - s), &n);
		if (fault)
			return hopeless(c, "%s", fault);
	}
	c->line = 1;
	return true;
}

/* --- tokens --- */

static bool in_list(const struct scan *c)
{
	return c->depth > 0 && c->level[c->depth].close != '}';
}

static bool is_letter(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '*';
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool in_word(char ch)
{
	return is_letter(ch) || is_digit(ch) || ch == '-' || ch == '_';
}

static bool starts(const struct scan *c, const char *text)
{
	return (size_t)(c->end - c->s) >= strlen(text) && memcmp(c->s, text, strlen(text)) == 0;
}

/* false: a comment that never ends. */
static bool skip_comment(struct scan *c)
{
	bool block = starts(c, "/*");

	if (block)
		c->s += 2;
	for (; c->s < c->end; c->s++) {
		if (block ? starts(c, "*/") : *c->s == '\n') {
			c->s += block ? 2 : 0;
			return true;
		}
		c->line += *c->s == '\n';
	}
	return !block;
}

static bool skip_blank(struct scan *c)
{
	while (c->s < c->end) {
		if (*c->s == '#' || starts(c, "//") || starts(c, "/*")) {
			int line = c->line;

			if (!skip_comment(c)) {
				c->line = line;
				return false;
			}
		} else if (strchr(" \t\r\n", *c->s)) {
			c->line += *c->s++ == '\n';
		} else {
			break;
		}
	}
	return true;
}

static enum token scan_text(struct scan *c)
{
	while (++c->s < c->end && *c->s != '"') {
		if (*c->s == '\n')
			return hopeless(c, "a text is not closed before the end of its line: a \" is missing");
		if (*c->s == '\t')
			return hopeless(c, "a tab inside a text");
		if (*c->s == '\\' && ++c->s < c->end && *c->s != '"' && *c->s != '\\')
			return hopeless(c, "a backslash stands only before \" or another backslash");
	}
	if (c->s >= c->end)
		return hopeless(c, "a text is not closed before the end of the file: a \" is missing");
	if (++c->s - c->start > TEXT_MAX_LEN)
		return hopeless(c, "a text of more than %d bytes", TEXT_MAX_LEN);
	return TEXT;
}

/* All options take plain whole numbers; what libconfig makes of anything else depends on its version. */
static enum token scan_number(struct scan *c)
{
	const char *digits = c->s + (*c->s == '-' || *c->s == '+');
	bool plain = true;
	char text[16];
	size_t len;

	for (; c->s < c->end && (in_word(*c->s) || *c->s == '.' || *c->s == '+'); c->s++)
		plain = plain && (is_digit(*c->s) || c->s < digits);
	len = (size_t)(c->s - digits);
	snprintf(text, sizeof text, "%.*s", (int)(c->s - c->start), c->start);
	c->garbled = c->garbled || !plain || len == 0 || len > 18;
	if (!plain || len == 0)
		mention(c, "%s: not a plain whole number", c->name);
	else if (len > 1 && digits[0] == '0')
		mention(c, "%s: a leading zero makes no octal number here (0640 would be read as 640); a mode is a text: \"0640\"", c->name);
	else if (len > 10 || strtoll(text, NULL, 10) > INT_MAX || strtoll(text, NULL, 10) < INT_MIN)
		mention(c, "%s: a number out of range", c->name);
	return NUMBER;
}

static enum token scan_word(struct scan *c)
{
	size_t len;

	while (c->s < c->end && in_word(*c->s))
		c->s++;
	len = (size_t)(c->s - c->start);
	if ((len == 4 && strncasecmp(c->start, "true", len) == 0) || (len == 5 && strncasecmp(c->start, "false", len) == 0))
		return FLAG;
	return NAME;
}

static enum token scan_mark(struct scan *c)
{
	static const char marks[] = "=:,;{([";
	static const enum token tokens[] = {EQUALS, EQUALS, COMMA, SEMICOLON, OPEN_GROUP, OPEN_LIST, OPEN_ARRAY};
	const char *at = strchr(marks, *c->s);

	if (starts(c, "@include"))
		return hopeless(c, "@include is not supported: what several files share goes into a snippet or into defaults");
	if (strchr("})]", *c->s)) {
		c->close = *c->s++;
		return CLOSE;
	}
	if (!at)
		return hopeless(c, *c->s == '\'' ? "texts stand in double quotes" : "a character that has no meaning here");
	c->s++;
	return tokens[at - marks];
}

static enum token next_token(struct scan *c)
{
	if (!skip_blank(c))
		return hopeless(c, "a comment that begins here is never closed: */ is missing");
	c->start = c->s;
	if (c->s == c->end)
		return END;
	if (*c->s == '"')
		return scan_text(c);
	if (is_letter(*c->s))
		return scan_word(c);
	if (is_digit(*c->s) || strchr("+-.", *c->s))
		return scan_number(c);
	return scan_mark(c);
}

/* --- syntax --- */

static const struct {
	unsigned allowed;
	const char *wants;
} states[] = {
	[AT_OPTION] = {BIT(NAME) | BIT(CLOSE) | BIT(END), "the name of an option"},
	[AT_EQUALS] = {BIT(EQUALS), "= after the name of an option"},
	[AT_VALUE] = {VALUES, "a value"},
	[AFTER_VALUE] = {BIT(NAME) | BIT(SEMICOLON) | BIT(COMMA) | BIT(CLOSE) | BIT(END), "; or the next option"},
	[AT_FIRST] = {VALUES | BIT(CLOSE), "a value"},
	[AT_ENTRY] = {VALUES, "a value after the comma"},
	[AFTER_ENTRY] = {BIT(COMMA) | BIT(CLOSE), "a comma or the end of the list"},
};

static const struct { /* mistakes that people make, in better words */
	enum state state;
	enum token token;
	const char *text;
} traps[] = {
	{AT_ENTRY, CLOSE, "a trailing comma: the last entry of a list has none"},
	{AT_VALUE, NAME, "texts stand in quotes"},
	{AT_ENTRY, NAME, "texts stand in quotes"},
	{AT_FIRST, NAME, "texts stand in quotes, and options in { }"},
	{AFTER_VALUE, TEXT, "two texts side by side: several values make a list, [ \"a\", \"b\" ]"},
	{AFTER_ENTRY, TEXT, "two texts side by side: a comma is missing"},
	{AFTER_ENTRY, OPEN_GROUP, "a comma is missing between two groups"},
	{AFTER_ENTRY, SEMICOLON, "entries of a list are separated by commas; or the end of the list is missing"},
	{AFTER_ENTRY, EQUALS, "options stand in { }"},
	{AT_OPTION, SEMICOLON, "a ; too many"},
	{AT_OPTION, COMMA, "a comma too many"},
};

static const char openers[] = "{([", closers[] = "})]";

static char opener(char close)
{
	return openers[strchr(closers, close) - closers];
}

static enum token explain(struct scan *c, enum token t)
{
	const struct level *l = &c->level[c->depth];

	if (t == END && c->depth > 0)
		return hopeless(c, "the file ends, but the %c of line %d is not closed", opener(l->close), l->line);
	for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++)
		if (traps[i].state == c->state && traps[i].token == t)
			return hopeless(c, "%s", traps[i].text);
	return hopeless(c, "expected %s", states[c->state].wants);
}

static bool open_level(struct scan *c, char close)
{
	struct level *l = &c->level[c->depth];

	if (l->close == ']')
		return hopeless(c, "groups and lists stand in ( ), not in [ ]");
	if (c->depth == DEPTH_MAX)
		return hopeless(c, "nested more than %d deep", DEPTH_MAX);
	l = &c->level[++c->depth];
	l->close = close;
	l->line = c->line;
	l->n = 0;
	l->first = END;
	return true;
}

static bool close_level(struct scan *c)
{
	const struct level *l = &c->level[c->depth];

	if (c->depth == 0)
		return hopeless(c, "a %c too many", c->close);
	if (l->close != c->close)
		return hopeless(c, "the %c of line %d is closed by %c", opener(l->close), l->line, c->close);
	c->depth--;
	return true;
}

static bool add_option(struct scan *c)
{
	struct level *l = &c->level[c->depth];
	uint64_t hash;

	if (c->s - c->start >= NAME_LEN)
		return hopeless(c, "the name of an option has more than %d characters", NAME_LEN - 1);
	snprintf(c->name, sizeof c->name, "%.*s", (int)(c->s - c->start), c->start);
	hash = text_hash(c->name);
	for (unsigned i = 0; i < l->n; i++)
		if (l->seen[i] == hash)
			return hopeless(c, "%s stands twice in the same group; several of a kind are a list: ( { ... }, { ... } )", c->name);
	if (l->n == OPTIONS_MAX)
		return hopeless(c, "more than %d options in one group", OPTIONS_MAX);
	l->seen[l->n++] = hash;
	return true;
}

static bool add_value(struct scan *c, enum token t)
{
	struct level *l = &c->level[c->depth];

	if (++c->values > VALUES_MAX)
		return hopeless(c, "more than %d values in one file", VALUES_MAX);
	if (l->close == ']' && l->first != END && l->first != t)
		return hopeless(c, "entries of [ ] are all of one kind");
	l->first = t;
	return true;
}

/* One token of the right kind: where does it lead? */
static bool step(struct scan *c, enum token t)
{
	bool ok = !(BIT(t) & VALUES) || add_value(c, t);

	if (t == NAME)
		ok = add_option(c);
	else if (t == CLOSE)
		ok = close_level(c);
	else if (ok && t >= OPEN_GROUP && t <= OPEN_ARRAY)
		ok = open_level(c, closers[t - OPEN_GROUP]);
	if (t == NAME)
		c->state = AT_EQUALS;
	else if (t == EQUALS)
		c->state = AT_VALUE;
	else if (t == COMMA || t == SEMICOLON || t == OPEN_GROUP)
		c->state = in_list(c) ? AT_ENTRY : AT_OPTION;
	else if (t == OPEN_LIST || t == OPEN_ARRAY)
		c->state = AT_FIRST;
	else
		c->state = in_list(c) ? AFTER_ENTRY : AFTER_VALUE;
	return ok;
}

bool conf_scan(const struct conf_source *source, conf_scan_report *report, void *arg)
{
	struct scan *c = mem_alloc(sizeof *c);
	enum token t = HOPELESS;
	bool good;

	c->report = report;
	c->arg = arg;
	c->line = 1;
	c->s = source->text + conf_scan_offset(source);
	c->end = source->text + source->len;
	if (source->len > CONF_FILE_MAX) {
		c->line = 0;
		hopeless(c, "larger than %d bytes", CONF_FILE_MAX);
	} else if (check_bytes(c)) {
		do {
			t = next_token(c);
			if (t && (!(states[c->state].allowed & BIT(t)) || (t == END && c->depth > 0)))
				t = explain(c, t);
			if (t && !step(c, t))
				t = HOPELESS;
		} while (t && t != END);
	}
	good = t && !c->garbled;
	free(c);
	return good;
}
