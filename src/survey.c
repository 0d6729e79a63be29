/* SPDX-License-Identifier: ISC */
#include "survey.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "io/loop.h"
#include "io/msg.h"
#include "io/rpc.h"

enum { AT_ONCE = 500, KEEPER_MS = 10000 };

struct wanted {
	bool webroot;
	const char *path, *file; /* file and line: where it is asked for first */
	size_t above;            /* bytes of the path that name the folder that must be writable */
	int line;
};

struct survey {
	struct wanted *v;
	size_t n, asked, told;
	struct rpc *rpc;
	int fd; /* not used yet; -1: spent */
	FILE *err;
};

/* --- what is wanted --- */

static size_t folder_above(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 1 && path[len - 1] != '/')
		len--;
	return len;
}

static void want(struct survey *s, struct wanted w)
{
	w.above = w.webroot ? strlen(w.path) : folder_above(w.path);
	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = w;
}

static void want_all(struct survey *s, const struct conf_cert *c)
{
	const char *paths[CONF_TARGET_PATHS];

	for (size_t i = 0; i < c->install.n; i++)
		for (size_t k = 0, n = conf_target_paths(&c->install.v[i], paths); k < n; k++)
			want(s, (struct wanted){ .path = paths[k], .file = c->file, .line = c->install.v[i].line });
	for (size_t i = 0; i < c->prove.n; i++)
		if (c->prove.v[i].http && c->prove.v[i].http->type == CONF_HTTP_WEBROOT)
			want(s, (struct wanted){ .webroot = true, .path = c->prove.v[i].http->path, .file = c->file, .line = c->line });
}

static int compare_folders(const struct wanted *a, const struct wanted *b)
{
	size_t shorter = a->above < b->above ? a->above : b->above;
	int order = a->webroot != b->webroot ? a->webroot - b->webroot : memcmp(a->path, b->path, shorter);

	return order ? order : (a->above > b->above) - (a->above < b->above);
}

static int compare(const void *x, const void *y)
{
	const struct wanted *a = x, *b = y;
	int order = compare_folders(a, b);

	if (order == 0)
		order = strcmp(a->file, b->file);
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

/* One of each folder is enough: a host has ten thousand targets in three of them. */
static void keep_one_of_each(struct survey *s)
{
	size_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), compare);
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || compare_folders(&s->v[n - 1], &s->v[i]) != 0)
			s->v[n++] = s->v[i];
	s->n = n;
}

/* --- the keeper --- */

static void ask(struct survey *s);

static void answered(void *arg, const struct js *answer, const struct err *err)
{
	struct survey *s = arg;
	struct js *places = answer ? js_arr(answer, "places") : NULL;
	char text[2048];

	if (err)
		fprintf(s->err, "warning: dovad-keeper was asked which folders it may write to, and does not tell: %s\n", err->detail);
	for (; !err && s->told < s->asked; s->told++) {
		const struct wanted *w = &s->v[s->told];
		const char *problem = js_str(js_at(places, s->told % AT_ONCE), "problem");

		if (problem)
			fprintf(s->err, "%s:%d: warning: %s\n", w->file, w->line, text_escape(problem, strlen(problem), text, sizeof(text)));
	}
	if (err || s->asked == s->n)
		loop_stop();
	else
		ask(s);
}

/* In the order of v, where webroots come last. */
static void ask(struct survey *s)
{
	struct js *request = js_object(), *targets = js_array(), *webroots = js_array();

	for (size_t i = 0; i < AT_ONCE && s->asked < s->n; i++, s->asked++)
		js_add_str(s->v[s->asked].webroot ? webroots : targets, s->v[s->asked].path);
	js_put_str(request, "op", "survey");
	js_put(request, "targets", targets);
	js_put(request, "webroots", webroots);
	rpc_send(s->rpc, request, KEEPER_MS, answered, s);
}

static int connect_once(void *arg, struct err *err)
{
	struct survey *s = arg;
	int fd = s->fd;

	s->fd = -1;
	if (fd < 0)
		err_set(err, ERR_LOCAL, "keeper", "it closed the connection");
	return fd;
}

static void ignore(void *arg, const struct js *event)
{
	(void)arg, (void)event;
}

void survey_report(const struct conf *conf, const char *keeper_socket, FILE *out)
{
	static const struct rpc_ops ops = { .connect = connect_once, .event = ignore };
	struct survey s = { .err = out };
	struct err err;

	for (size_t i = 0; i < conf->cert.n; i++)
		want_all(&s, &conf->cert.v[i]);
	keep_one_of_each(&s);
	s.fd = s.n ? msg_dial(keeper_socket, &err) : -1;
	if (s.fd >= 0 && loop_open(&err)) {
		s.rpc = rpc_new(&ops, &s);
		ask(&s);
		loop_run();
		rpc_free(s.rpc);
		loop_turn(false); /* what was closed is freed at the end of a turn */
		loop_close();
	}
	if (s.fd >= 0)
		close(s.fd);
	free(s.v);
}
