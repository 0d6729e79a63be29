/* SPDX-License-Identifier: ISC */
/* A small service of its own for the tests of ctl/varlink, and the loop and the log around each of them. */
#ifndef DOVAD_TESTS_VARLINK_SERVICE_H
#define DOVAD_TESTS_VARLINK_SERVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/varlink.h"
#include "varlink_peer.h"

#define TEST "org.example.Test."
#define SERVICE "org.varlink.service."
#define INFO "{\"method\":\"org.varlink.service.GetInfo\"}"
#define TEST_ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

enum { READERS = 4242, ADMINS = 4243 };

static char folder[64], path[80];
static struct varlink *service;
static struct varlink_call *later; /* the call Later keeps open */
static unsigned ended, stepped, changed, echoed;
static int64_t pieces;
static char log_text[65536];

/* --- a service to ask --- */

static inline void echo(void *arg, struct varlink_call *call, const struct js *parameters)
{
	assert_string_equal(arg, "arg");
	echoed++;
	varlink_finish(call, js_ref((struct js *)parameters));
}

static inline void change(void *arg, struct varlink_call *call, const struct js *parameters)
{
	(void)arg;
	(void)parameters;
	changed++;
	varlink_finish(call, NULL);
}

static inline void count_end(void *data)
{
	ended++;
	free(data);
}

static inline bool stream_step(void *data)
{
	struct varlink_call *call = *(struct varlink_call **)data;
	struct js *piece = js_object();
	char *filler = mem_alloc(65536);

	memset(filler, 'x', 65535);
	js_put_int(piece, "n", ++stepped);
	js_put_str(piece, "filler", filler);
	free(filler);
	if (stepped < pieces)
		varlink_progress(call, piece);
	else
		varlink_finish(call, piece);
	return true;
}

static inline bool idle_step(void *data)
{
	(void)data;
	if (++stepped < pieces)
		return true;
	varlink_finish(*(struct varlink_call **)data, NULL);
	varlink_finish(*(struct varlink_call **)data, NULL); /* a call is answered once */
	return true;
}

static inline void keep(struct varlink_call *call, const struct varlink_ops *ops)
{
	struct varlink_call **data = mem_alloc(sizeof *data);

	*data = call;
	varlink_keep(call, ops, data);
}

static inline void stream(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct varlink_ops ops = {stream_step, count_end};

	(void)arg;
	pieces = js_int(parameters, "n", 1);
	keep(call, &ops);
}

/* Looks at a lot and finds nothing to say until the end. */
static inline void search(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct varlink_ops ops = {idle_step, count_end};

	(void)arg;
	pieces = js_int(parameters, "n", 1);
	keep(call, &ops);
}

static inline void wait_for_it(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct varlink_ops ops = {.end = count_end};

	(void)arg;
	(void)parameters;
	later = call;
	keep(call, &ops);
	varlink_progress(call, NULL); /* reaches only who said more */
}

static const struct varlink_field echo_fields[] = {
	{"name", VARLINK_STRING, true},
	{"n", VARLINK_INT, false},
	{"flag", VARLINK_BOOL, false},
	{NULL, 0, false},
};
static const struct varlink_field n_field[] = {{"n", VARLINK_INT, false}, {NULL, 0, false}};

static const struct varlink_method methods[] = {
	{"Echo", VARLINK_READ, false, echo_fields, echo},
	{"Change", VARLINK_OPERATE, false, echo_fields, change},
	{"Stream", VARLINK_READ, true, n_field, stream},
	{"Search", VARLINK_READ, false, n_field, search},
	{"Later", VARLINK_READ, false, NULL, wait_for_it},
	{NULL, 0, false, NULL, NULL},
};

static inline void remember(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(log_text + strlen(log_text), sizeof log_text - strlen(log_text), "%s\n", line);
}

static inline unsigned lines_with(const char *what)
{
	unsigned n = 0;

	for (const char *s = log_text; (s = strstr(s, what)); s++)
		n++;
	return n;
}

static inline int set_up(void **state)
{
	struct varlink_options o = {
		.path = path,
		.vendor = "a vendor",
		.product = "a product",
		.version = "1.2",
		.url = "https://example.net/",
		.interface = "org.example.Test",
		.description = "interface org.example.Test\n",
		.methods = methods,
		.readers = READERS,
		.admins = ADMINS,
		.arg = (void *)"arg",
	};
	struct err err;

	(void)state;
	ended = stepped = changed = echoed = 0;
	later = NULL;
	log_text[0] = '\0';
	snprintf(folder, sizeof folder, "/tmp/dovad-varlink-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(path, sizeof path, "%s/sock", folder);
	log_set_sink(remember, NULL);
	assert_true(loop_open(&err));
	service = varlink_open(&o, &err);
	assert_non_null(service);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	varlink_close(service);
	loop_turn(false);
	loop_close();
	assert_int_equal(rmdir(folder), 0); /* the socket is gone */
	log_set_sink(NULL, NULL);
	return 0;
}

#endif
