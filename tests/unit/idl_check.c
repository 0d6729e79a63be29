/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "idl_check.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/agent_idl.h"

enum { WORD = 64, PATH = 256 };

struct check {
	const char *at; /* in the definition */
	char *misfit;	/* the first */
	char path[PATH];
};

static void misfit(struct check *c, const char *what)
{
	if (!c->misfit)
		c->misfit = mem_printf("%s: %s", c->path, what);
}

static void pass_blanks(struct check *c)
{
	while (isspace((unsigned char)*c->at) || *c->at == '#')
		c->at += *c->at == '#' ? strcspn(c->at, "\n") : 1;
}

static bool take(struct check *c, const char *sign)
{
	pass_blanks(c);
	if (strncmp(c->at, sign, strlen(sign)) != 0)
		return false;
	c->at += strlen(sign);
	return true;
}

static void must(struct check *c, const char *sign)
{
	if (!take(c, sign))
		fail_msg("the definition: no %s at \"%.40s\"", sign, c->at);
}

static void word(struct check *c, char out[WORD])
{
	size_t n = 0;

	pass_blanks(c);
	while (n + 1 < WORD && (isalnum((unsigned char)*c->at) || *c->at == '_'))
		out[n++] = *c->at++;
	out[n] = '\0';
	if (!n)
		fail_msg("the definition: no word at \"%.40s\"", c->at);
}

/* Types, methods and errors share one space of names: none may be there twice. */
static void must_be_unique(void)
{
	static const char *const keywords[] = { "type ", "method ", "error " };
	char names[100][WORD];
	size_t n = 0;

	for (const char *line = agent_idl; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		for (size_t k = 0; k < sizeof(keywords) / sizeof(keywords[0]); k++)
			if (strncmp(line, keywords[k], strlen(keywords[k])) == 0) {
				struct check c = { .at = line + strlen(keywords[k]) };

				assert_true(n < sizeof(names) / sizeof(names[0]));
				word(&c, names[n]);
				for (size_t i = 0; i < n; i++)
					assert_string_not_equal(names[i], names[n]);
				n++;
			}
}

/* To what follows "type Look" or "method Show". */
static void find(struct check *c, const char *keyword, const char *name)
{
	char have[WORD];

	must_be_unique();
	for (const char *line = agent_idl; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		c->at = line;
		if (strncmp(line, keyword, strlen(keyword)) != 0 || line[strlen(keyword)] != ' ')
			continue;
		c->at += strlen(keyword);
		word(c, have);
		if (strcmp(have, name) == 0)
			return;
	}
	fail_msg("the definition has no %s %s", keyword, name);
}

static const struct js *member(const struct js *v, const char *key)
{
	for (void *i = js_is_object(v) ? js_first(v) : NULL; i; i = js_next(v, i))
		if (strcmp(js_key(i), key) == 0)
			return js_value(i);
	return NULL;
}

static void check_value(struct check *c, const struct js *v);

static void check_members(struct check *c, const struct js *v, const char *known)
{
	char key[WORD + 2];

	for (void *i = js_first(v); i; i = js_next(v, i)) {
		snprintf(key, sizeof key, " %s ", js_key(i));
		if (!strstr(known, key)) {
			snprintf(c->path + strlen(c->path), PATH - strlen(c->path), ".%s", js_key(i));
			misfit(c, "the definition does not tell of it");
		}
	}
}

/* After "(name:", a struct; its members are read to the end even where v is not there. */
static void check_struct(struct check *c, const struct js *v, char name[WORD])
{
	char known[2048] = " ";
	size_t path = strlen(c->path);

	if (v && !js_is_object(v))
		misfit(c, "not an object");
	do {
		if (!*name)
			word(c, name);
		snprintf(known + strlen(known), sizeof known - strlen(known), "%s ", name);
		snprintf(c->path + path, PATH - path, ".%s", name);
		must(c, ":");
		pass_blanks(c);
		if (v && *c->at != '?' && !member(v, name))
			misfit(c, "missing");
		check_value(c, member(v, name));
		c->path[path] = '\0';
		*name = '\0';
	} while (take(c, ","));
	must(c, ")");
	if (js_is_object(v))
		check_members(c, v, known);
}

static void check_enum(struct check *c, const struct js *v, char name[WORD])
{
	bool found = false;

	for (;;) {
		found = found || (js_text(v) && strcmp(js_text(v), name) == 0);
		if (!take(c, ","))
			break;
		word(c, name);
	}
	must(c, ")");
	if (v && !found)
		misfit(c, js_text(v) ? js_text(v) : "not one of its words");
}

static void check_list(struct check *c, const struct js *v)
{
	const char *element = c->at;
	size_t path = strlen(c->path);

	if (v && !js_is_array(v))
		misfit(c, "not a list");
	for (size_t i = 0; i < js_len(v) && js_is_array(v); i++) {
		c->at = element;
		snprintf(c->path + path, PATH - path, "[%zu]", i);
		check_value(c, js_at(v, i));
		c->path[path] = '\0';
	}
	c->at = element;
	check_value(c, NULL);
}

static bool is_number(const struct js *v)
{
	char *text = js_dump(v), *end;
	bool number = (strtod(text, &end), *end == '\0' && end != text);

	free(text);
	return number;
}

static void check_named(struct check *c, const struct js *v, const char *name)
{
	const char *after = c->at;
	bool fits = true;

	if (!v)
		return;
	if (strcmp(name, "string") == 0)
		fits = js_is_string(v);
	else if (strcmp(name, "int") == 0)
		fits = js_is_int(v);
	else if (strcmp(name, "bool") == 0)
		fits = js_is_bool(v);
	else if (strcmp(name, "float") == 0)
		fits = is_number(v);
	else
		find(c, "type", name), check_value(c, v);
	if (!fits)
		misfit(c, "of another type");
	c->at = after;
}

/* Reads one type; v NULL: only that. */
static void check_value(struct check *c, const struct js *v)
{
	char name[WORD];

	if (take(c, "?") && js_is_null(v))
		v = NULL;
	if (take(c, "[]")) {
		check_list(c, v);
	} else if (take(c, "(")) {
		if (take(c, ")")) {
			if (v)
				check_members(c, v, "");
			return;
		}
		word(c, name);
		pass_blanks(c);
		(*c->at == ':' ? check_struct : check_enum)(c, v, name);
	} else {
		word(c, name);
		check_named(c, v, name);
	}
}

char *idl_misfit(const char *keyword, const char *name, const struct js *v)
{
	struct check c = {0};

	snprintf(c.path, sizeof c.path, "%s", name);
	find(&c, keyword, name);
	if (strcmp(keyword, "method") == 0) {
		check_value(&c, NULL); /* what it takes */
		must(&c, "->");
	}
	check_value(&c, v);
	return c.misfit;
}

static void check(const char *keyword, const char *name, const struct js *v)
{
	char *wrong = v ? idl_misfit(keyword, name, v) : NULL;

	assert_non_null(v);
	if (wrong)
		fail_msg("%s", wrong);
}

void idl_check(const char *type, const struct js *v)
{
	check("type", type, v);
}

void idl_check_reply(const char *method, const struct js *parameters)
{
	check("method", method, parameters);
}
