/* SPDX-License-Identifier: ISC */
#include "keeper/haproxy_say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char prompt[] = "\n> ", more[] = "+ ";

bool haproxy_say_split(const char *text, size_t len, size_t *begin, size_t *end, size_t *next)
{
	const char *at = len ? memmem(text, len, prompt, sizeof(prompt) - 1) : NULL;

	if (!at)
		return false;
	*end = (size_t)(at - text);
	*next = *end + sizeof(prompt) - 1;
	for (*begin = 0; *begin + 2 <= *end && memcmp(text + *begin, more, 2) == 0;)
		*begin += 2;
	return true;
}

/* --- lines --- */

/* The line at *at, without its end, and *at on the next; false: there is none. */
static bool next_line(const char **at, const char **line, size_t *len)
{
	if (!**at)
		return false;
	*line = *at;
	*len = strcspn(*at, "\n");
	*at += *len + ((*at)[*len] == '\n');
	return true;
}

static bool is_line(const char *line, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(line, text, len) == 0;
}

static bool begins(const char *line, size_t len, const char *text, size_t *at)
{
	*at = strlen(text);
	return len >= *at && memcmp(line, text, *at) == 0;
}

/* All of its words in one line. */
static bool refused(struct err *err, const char *what, const char *name, const char *text)
{
	const char *at = text, *line;
	char words[320] = "", part[200];
	size_t len, used = 0;

	while (used < sizeof(words) - 1 && next_line(&at, &line, &len)) {
		if (!len)
			continue;
		text_escape(line, len, part, sizeof(part));
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s", used ? "; " : "", part);
	}
	text_escape(name, strlen(name), part, sizeof(part));
	return err_set(err, ERR_LOCAL, "haproxy", "%s ssl cert%s%s: %s", what, *name ? " " : "", part, *words ? words : "no answer to it");
}

static bool has_line(const char *text, const char *wanted)
{
	const char *line;
	size_t len;

	while (next_line(&text, &line, &len))
		if (is_line(line, len, wanted))
			return true;
	return false;
}

/* --- show --- */

bool haproxy_say_list(const char *text, struct arena *arena, struct haproxy_list *list, struct err *err)
{
	const char *at = text, *line;
	enum { NOTHING, TRANSACTION, FILENAME } part = NOTHING;
	size_t len, lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	*list = (struct haproxy_list){ .v = arena_array(arena, lines + 1, sizeof(*list->v)) };
	while (next_line(&at, &line, &len)) {
		if (is_line(line, len, "# transaction"))
			part = TRANSACTION;
		else if (is_line(line, len, "# filename"))
			part = FILENAME;
		else if (part == TRANSACTION && len > 1 && *line == '*')
			list->open = arena_strndup(arena, line + 1, len - 1);
		else if (part == FILENAME && len)
			list->v[list->n++] = arena_strndup(arena, line, len);
		else if (len)
			return refused(err, "show", "", text);
	}
	return true;
}

static bool read_sha1(const char *hex, size_t len, char out[X509_SHA1_HEX])
{
	if (len != X509_SHA1_HEX - 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = hex[i];

		if (c >= 'A' && c <= 'F')
			c += 'a' - 'A';
		else if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
		out[i] = c;
	}
	out[len] = '\0';
	return true;
}

bool haproxy_say_cert(const char *text, const char *name, struct haproxy_print *print, struct err *err)
{
	const char *at = text, *line;
	bool named = false, told = false;
	size_t len, skip;

	*print = (struct haproxy_print){ .chain = 0 };
	while (next_line(&at, &line, &len)) {
		if (begins(line, len, "Filename: ", &skip))
			named = is_line(line + skip, len - skip, name);
		else if (begins(line, len, "SHA1 FingerPrint: ", &skip))
			told = read_sha1(line + skip, len - skip, print->sha1);
		else if (begins(line, len, "Chain Subject: ", &skip))
			print->chain++;
	}
	return (named && told) || refused(err, "show", name, text);
}

/* --- set, commit, abort --- */

/* Where it says that it did it for another one than was asked, its words are those of an error. */
static bool did(const char *text, char *sentence, const char *verb, const char *name, struct err *err)
{
	bool ok = has_line(text, sentence);

	free(sentence);
	return ok || refused(err, verb, name, text);
}

bool haproxy_say_set(const char *text, const char *name, struct err *err)
{
	return did(text, mem_printf("Transaction created for certificate %s!", name), "set", name, err);
}

bool haproxy_say_abort(const char *text, const char *name, struct err *err)
{
	return did(text, mem_printf("Transaction aborted for certificate '%s'!", name), "abort", name, err);
}

bool haproxy_say_commit(const char *text, const char *name, struct err *err)
{
	return has_line(text, "Success!") || refused(err, "commit", name, text);
}

/* --- room --- */

size_t haproxy_say_room(const char *text)
{
	enum { UNLESS_SET = 16384, HUGE = 1 << 30 };
	const char *line;
	size_t len, skip;

	while (next_line(&text, &line, &len))
		if (begins(line, len, "  - Pool buffer (", &skip)) {
			unsigned long bytes = strtoul(line + skip, NULL, 10);

			return bytes && bytes < HUGE ? bytes : UNLESS_SET;
		}
	return UNLESS_SET;
}

/* --- commands --- */

bool haproxy_say_command(struct buf *out, const char *verb, const char *mark, const char *name)
{
	bool ok = buf_printf(out, "%s ssl cert %s", verb, mark);

	for (; ok && *name; name++)
		ok = (!strchr(" ;\\", *name) || buf_add(out, "\\", 1)) && buf_add(out, name, 1);
	return ok;
}
