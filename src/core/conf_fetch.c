/* SPDX-License-Identifier: ISC */
#include "core/conf_fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FETCH_MS = 60000, FETCH_RESTARTS = 20 };

struct conf_fetch {
	struct rpc *keeper;
	struct rpc_call *call;
	conf_fetched *done;
	void *arg;
	struct arena *arena;
	struct conf_source *sources;
	size_t n, room;
	char *digest;
	struct js *report;
	unsigned restarts; /* the configuration changed between two batches */
};

static void fetch_ask(struct conf_fetch *f);

static void fetch_free(struct conf_fetch *f)
{
	arena_free(f->arena);
	js_free(f->report);
	free(f->digest);
	free(f->sources);
	free(f);
}

static void fetch_end(struct conf_fetch *f, const struct err *err)
{
	struct conf *conf = err ? NULL : conf_build(f->sources, f->n, NULL, 0);
	struct err e;

	if (conf && strcmp(conf->digest, f->digest) != 0) {
		err_set(&e, ERR_BUG, "conf", "the two halves read the same configuration differently: are they of one version?");
		conf_free(conf);
		conf = NULL;
		err = &e;
	}
	f->done(f->arg, conf, f->report, err);
	fetch_free(f);
}

static int fetch_kind(const char *kind)
{
	return strcmp(kind, "main") == 0 ? CONF_MAIN : strcmp(kind, "services") == 0 ? CONF_SERVICES : CONF_SNIPPET;
}

static bool fetch_add(struct conf_fetch *f, const struct js *file)
{
	const char *path = js_str(file, "path"), *kind = js_str(file, "kind"), *text = js_str(file, "text");

	if (!path || !kind || !text || f->n >= CONF_FILES_MAX)
		return false;
	if (f->n == f->room) {
		f->room = f->room ? f->room * 2 : 64;
		f->sources = mem_resize(f->sources, f->room, sizeof(*f->sources));
	}
	f->sources[f->n++] = (struct conf_source){.path = arena_strdup(f->arena, path), .text = arena_strdup(f->arena, text), .len = strlen(text),
		.kind = fetch_kind(kind)};
	return true;
}

static void fetch_restart(struct conf_fetch *f)
{
	arena_reset(f->arena);
	f->n = 0;
	js_free(f->report);
	f->report = NULL;
	free(f->digest);
	f->digest = NULL;
	fetch_ask(f);
}

static void fetch_answered(void *arg, const struct js *answer, const struct err *err)
{
	const char *digest = answer ? js_str(answer, "digest") : NULL;
	struct conf_fetch *f = arg;
	struct js *files;
	struct err e;

	f->call = NULL;
	if (!err && (!digest || (f->digest && strcmp(digest, f->digest) != 0 && ++f->restarts > FETCH_RESTARTS))) {
		err_set(&e, ERR_BUG, "conf", "the keeper's configuration does not come to rest");
		err = &e;
	}
	if (err) {
		fetch_end(f, err);
		return;
	}
	if (f->digest && strcmp(digest, f->digest) != 0) {
		fetch_restart(f);
		return;
	}
	if (!f->digest) {
		f->digest = mem_strdup(digest);
		f->report = js_ref((struct js *)answer);
	}
	files = js_arr(answer, "files");
	for (size_t i = 0; i < js_len(files); i++)
		if (!fetch_add(f, js_at(files, i))) {
			err_set(&e, ERR_BUG, "conf", "the keeper sent a configuration file without path, kind or text");
			fetch_end(f, &e);
			return;
		}
	if (js_len(files) && js_int(answer, "next", 0) > 0)
		fetch_ask(f);
	else
		fetch_end(f, NULL);
}

static void fetch_ask(struct conf_fetch *f)
{
	struct js *request = js_object();

	js_put_str(request, "op", "conf");
	js_put_int(request, "from", (int64_t)f->n);
	f->call = rpc_send(f->keeper, request, FETCH_MS, fetch_answered, f);
}

struct conf_fetch *conf_fetch_start(struct rpc *keeper, conf_fetched *done, void *arg)
{
	struct conf_fetch *f = mem_alloc(sizeof(*f));

	f->keeper = keeper;
	f->done = done;
	f->arg = arg;
	f->arena = arena_new();
	fetch_ask(f);
	return f;
}

void conf_fetch_cancel(struct conf_fetch *f)
{
	if (!f)
		return;
	rpc_cancel(f->call);
	fetch_free(f);
}
