/* SPDX-License-Identifier: ISC */
/* Configurations for the tests of core/conf*.c out of a few texts. The includer has included cmocka.h. */
#ifndef DOVAD_TESTS_CONF_MADE_H
#define DOVAD_TESTS_CONF_MADE_H

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/conf.h"

#define MAIN_PATH "/etc/dovad/dovad.conf"
#define MAIN_CA "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; agree_tos = true; } );\n"
#define MAIN_HTTP "http = ( { name = \"www\"; type = \"webroot\"; path = \"/var/www/html\"; } );\n"
#define MAIN_SERVICE "service = ( { name = \"nginx\"; unit = \"nginx.service\"; look = [ \"127.0.0.1:443\" ]; } );\n"
#define MAIN_TEXT MAIN_CA MAIN_HTTP MAIN_SERVICE

enum { MADE_FILES = 8 };

static inline struct conf_source made_source(const char *path, const char *text, int kind)
{
	struct conf_source s = {.path = path, .text = text, .len = strlen(text)};

	s.kind = kind;
	return s;
}

/* A main file and snippets a.conf, b.conf, ... up to a NULL. */
static inline struct conf *made_conf(const char *main_text, const char *const *snippets)
{
	static const char *const paths[MADE_FILES] = {"/etc/dovad/conf.d/a.conf", "/etc/dovad/conf.d/b.conf", "/etc/dovad/conf.d/c.conf",
		"/etc/dovad/conf.d/d.conf", "/etc/dovad/conf.d/e.conf", "/etc/dovad/conf.d/f.conf", "/etc/dovad/conf.d/g.conf"};
	struct conf_source v[MADE_FILES + 1] = {made_source(MAIN_PATH, main_text, CONF_MAIN)};
	size_t n = 1;

	for (; snippets && snippets[n - 1]; n++) {
		assert_in_range(n, 1, MADE_FILES);
		v[n] = made_source(paths[n - 1], snippets[n - 1], CONF_SNIPPET);
	}
	return conf_build(v, n, NULL, 0);
}

#define MADE(main_text, ...) made_conf(main_text, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* The whole report, to be searched; lives until the next call. */
static inline const char *made_report(const struct conf *c)
{
	static char text[65536];
	FILE *f = fmemopen(text, sizeof text - 1, "w");

	assert_non_null(f);
	conf_report(c, f, f);
	fclose(f);
	return text;
}

static inline void made_says(const struct conf *c, const char *what)
{
	if (!strstr(made_report(c), what))
		fail_msg("no \"%s\" in:\n%s", what, made_report(c));
}

static inline size_t made_errors(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->problems.n; i++)
		n += !c->problems.v[i].warning;
	return n;
}

/* Good to the last file. */
static inline void made_good(const struct conf *c)
{
	if (!c->usable || made_errors(c))
		fail_msg("not good:\n%s", made_report(c));
}

#endif
