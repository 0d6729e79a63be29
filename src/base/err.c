/* SPDX-License-Identifier: ISC */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Longer than any detail: escaping never shortens, so nothing that would be kept is lost here. */
enum { DRAFT = 1024 };

static const char *const kind_names[] = {
	[ERR_NONE] = "none",   [ERR_TEMP] = "temp",   [ERR_LIMIT] = "limit", [ERR_DENIED] = "denied",
	[ERR_INPUT] = "input", [ERR_LOCAL] = "local", [ERR_BUG] = "bug",
};

enum { KINDS = sizeof kind_names / sizeof kind_names[0] };

/* type and draft may come out of *err itself: both are copied before it is cleared. */
static void fill(struct err *err, enum err_kind kind, const char *type, const char *draft)
{
	char word[sizeof err->type] = ""; /* all of it: the stack has no business in an error */

	text_escape(type ? type : "", type ? strlen(type) : 0, word, sizeof word);
	err_clear(err);
	err->kind = kind;
	memcpy(err->type, word, sizeof word);
	text_escape(draft, strlen(draft), err->detail, sizeof err->detail);
}

static void draft_format(char draft[DRAFT], const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void draft_format(char draft[DRAFT], const char *fmt, va_list ap)
{
	if (vsnprintf(draft, DRAFT, fmt, ap) < 0)
		draft[0] = '\0';
}

bool err_set(struct err *err, enum err_kind kind, const char *type, const char *fmt, ...)
{
	char draft[DRAFT];
	va_list ap;

	if (!err)
		return false;
	va_start(ap, fmt);
	draft_format(draft, fmt, ap);
	va_end(ap);
	fill(err, kind, type, draft);
	return false;
}

bool err_errno(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	char draft[DRAFT];
	char reason[128];
	char text[sizeof err->detail];
	va_list ap;

	if (!err)
		return false;
	va_start(ap, fmt);
	draft_format(draft, fmt, ap);
	va_end(ap);
	snprintf(reason, sizeof reason, "%s", strerror(saved));
	/* The reason is what the reader needs most: a long text gives way to it. */
	text_escape(draft, strlen(draft), text, sizeof text - strlen(reason) - 2);
	snprintf(draft, sizeof draft, "%s: %s", text, reason);
	fill(err, ERR_LOCAL, "system", draft);
	err->errnum = saved;
	return false;
}

void err_clear(struct err *err)
{
	memset(err, 0, sizeof *err);
}

bool err_copy(struct err *dst, const struct err *src)
{
	if (dst)
		memmove(dst, src, sizeof *dst);
	return false;
}

const char *err_kind_name(enum err_kind kind)
{
	return (unsigned)kind < KINDS ? kind_names[kind] : "bug";
}

enum err_kind err_kind_find(const char *name)
{
	for (unsigned i = 0; name && i < KINDS; i++)
		if (strcmp(name, kind_names[i]) == 0)
			return (enum err_kind)i;
	return ERR_NONE;
}
