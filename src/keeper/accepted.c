/* SPDX-License-Identifier: ISC */
#include "keeper/accepted.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "keeper/accepted_disk.h"

struct accepted {
	int dir;
	char *main_file;
	struct accepted_file *v; /* in the order of the sources of conf */
	struct conf_source *sources; /* the same as conf_build wants them */
	size_t n;
	bool foreign; /* v was accepted for another main file: it goes when ours is accepted, and counts for nothing until then */
	struct conf *conf; /* NULL: none yet */
	struct js *problems, *quarantined;
};

/* --- lookup --- */

static int by_path(const void *a, const void *b)
{
	const struct accepted_file *x = *(struct accepted_file *const *)a, *y = *(struct accepted_file *const *)b;

	return strcmp(x->path, y->path);
}

static struct accepted_file **make_index(const struct accepted *a, size_t n)
{
	struct accepted_file **index = mem_array(n + 1, sizeof(struct accepted_file *));

	for (size_t i = 0; i < n; i++)
		index[i] = &a->v[i];
	qsort(index, n, sizeof(*index), by_path);
	return index;
}

/* --- one round of taking in what the disk says --- */

struct candidate {
	struct conf_source source;
	struct accepted_file *last; /* the last good version of this file; NULL: none */
	bool fresh;                 /* source is what the disk says, not the last good version */
};

struct round {
	struct accepted *a;
	const struct conf_set *set;
	struct accepted_file **index; /* of what was accepted before, by path */
	size_t known;
	struct candidate *v;
	size_t n;
	struct conf_problem *told; /* of files not in use: unreadable ones, and fresh ones that were set aside */
	size_t ntold;
	struct arena *arena;
	struct js *quarantined;
	struct conf *conf; /* the result; NULL: keep what there is */
};

static void tell(struct round *r, const struct conf_problem *p)
{
	r->told = mem_resize(r->told, r->ntold + 1, sizeof(*r->told));
	r->told[r->ntold++] = (struct conf_problem){
		.file = arena_strdup(r->arena, p->file), .line = p->line, .warning = p->warning, .text = arena_strdup(r->arena, p->text)
	};
}

static struct accepted_file *find_last(const struct round *r, const char *path)
{
	struct accepted_file key = { .path = (char *)path }, *wanted = &key;
	struct accepted_file **found = bsearch(&wanted, r->index, r->known, sizeof(*r->index), by_path);

	return found ? *found : NULL;
}

static struct conf_source source_of(const struct accepted_file *f)
{
	struct conf_source s = { .path = f->path, .text = f->text, .len = f->len };

	s.kind = f->kind;
	return s;
}

/* Unreadable itself, or in a folder that is. */
static bool is_unread(const struct conf_set *set, const char *path)
{
	for (size_t i = 0; i < set->nunread; i++) {
		size_t len = strlen(set->unread[i].file);

		if (!set->unread[i].warning && strncmp(set->unread[i].file, path, len) == 0 && (path[len] == '\0' || path[len] == '/'))
			return true;
	}
	return false;
}

/* Missing or unreadable: does the last good version stay? */
static bool stays(const struct round *r, struct accepted_file *f, bool reload)
{
	int64_t delay = r->a->conf ? r->a->conf->settings.remove_delay * 1000 : INT64_MAX;

	if (is_unread(r->set, f->path)) {
		f->gone_ms = 0;
		return true;
	}
	if (!f->gone_ms)
		f->gone_ms = clock_boot_ms() ? clock_boot_ms() : 1;
	return !reload && clock_boot_ms() - f->gone_ms < delay;
}

static bool comes_before(const struct accepted_file *f, const struct conf_source *s)
{
	return f->kind != (int)s->kind ? f->kind < (int)s->kind : strcmp(f->path, s->path) < 0;
}

static void add_kept(struct round *r, struct accepted_file *f)
{
	r->v[r->n++] = (struct candidate){ .source = source_of(f), .last = f };
}

/* The other half gets it as JSON: a name that is not UTF-8 would not arrive as it is. */
static void add_fresh(struct round *r, const struct conf_source *s)
{
	struct accepted_file *last = find_last(r, s->path);
	struct conf_problem p = { .file = s->path, .text = "the name of this file is not UTF-8: rename it" };

	if (!text_is_utf8(s->path, strlen(s->path))) {
		tell(r, &p);
		return;
	}
	if (last)
		last->gone_ms = 0;
	r->v[r->n++] = (struct candidate){ .source = *s, .last = last, .fresh = true };
}

/* What the disk says, and between it, in the order of names, what stays although the disk does not say it. */
static void gather(struct round *r, bool reload)
{
	const struct conf_set *set = r->set;
	struct accepted_file **missing = mem_array(r->known + 1, sizeof(struct accepted_file *));
	bool *there = mem_array(r->known + 1, sizeof(bool));
	size_t n = 0, j = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct accepted_file *f = find_last(r, set->v[i].path);

		if (f)
			there[f - r->a->v] = true;
	}
	for (size_t i = 0; i < r->known; i++)
		if (!there[i] && stays(r, &r->a->v[i], reload))
			missing[n++] = &r->a->v[i];
	r->v = mem_array(set->n + n + 1, sizeof(*r->v));
	for (size_t i = 0; i < set->n; i++) {
		while (j < n && comes_before(missing[j], &set->v[i]))
			add_kept(r, missing[j++]);
		add_fresh(r, &set->v[i]);
	}
	while (j < n)
		add_kept(r, missing[j++]);
	free(missing);
	free(there);
}

static struct conf *build(const struct round *r)
{
	struct conf_source *sources = mem_array(r->n + 1, sizeof(*sources));
	struct conf *c;

	for (size_t i = 0; i < r->n; i++)
		sources[i] = r->v[i].source;
	c = conf_build(sources, r->n, r->told, r->ntold);
	free(sources);
	return c;
}

static void tell_of_file(struct round *r, const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->problems.n; i++)
		if (strcmp(c->problems.v[i].file, path) == 0)
			tell(r, &c->problems.v[i]);
}

static bool is_last(const struct candidate *k)
{
	return k->last && k->last->len == k->source.len && memcmp(k->last->text, k->source.text, k->source.len) == 0;
}

/* Every file that was set aside falls back to its last good version, or out. False when there was none: the build stands. Files depend on each
 * other, so it may take more than one round; each takes something away, so it ends. */
static bool fall_back(struct round *r, const struct conf *c)
{
	size_t kept = 0;
	bool any = false;

	for (size_t i = 0; i < r->n; i++) {
		struct candidate *k = &r->v[i];

		if (!c->files.v[i].accepted) {
			bool other = k->fresh && k->last && !is_last(k);

			any = true;
			if (k->fresh) {
				tell_of_file(r, c, k->source.path);
				js_add_str(r->quarantined, k->source.path);
			}
			if (!other)
				continue;
			*k = (struct candidate){ .source = source_of(k->last), .last = k->last };
		}
		r->v[kept++] = *k;
	}
	r->n = kept;
	return any;
}

/* The main file is bad: everything stays, what is missing too: where it was looked for is not certain. What there is to say is all that this
 * build found. */
static void keep_all(struct round *r, const struct conf *c)
{
	for (size_t i = 0; i < r->a->n; i++)
		r->a->v[i].gone_ms = 0;
	js_free(r->quarantined);
	r->quarantined = js_array();
	js_add_str(r->quarantined, r->a->main_file);
	r->ntold = 0;
	for (size_t i = 0; i < c->problems.n; i++)
		tell(r, &c->problems.v[i]);
}

static void settle(struct round *r, bool reload)
{
	const struct conf_set *set = r->set;

	for (size_t i = 0; i < set->nunread; i++) {
		tell(r, &set->unread[i]);
		if (!set->unread[i].warning)
			js_add_str(r->quarantined, set->unread[i].file);
	}
	if (set->n)
		gather(r, reload);
	for (;;) {
		struct conf *c = build(r);

		if (!set->n || !c->usable)
			keep_all(r, c);
		else if (fall_back(r, c)) {
			conf_free(c);
			continue;
		} else {
			r->conf = conf_ref(c);
		}
		conf_free(c);
		return;
	}
}

/* --- taking over the result --- */

static struct js *problems_to_js(const struct conf_problem *v, size_t n)
{
	struct js *all = js_array();

	for (size_t i = 0; i < n; i++) {
		struct js *one = js_object();

		js_put_str(one, "file", v[i].file);
		js_put_int(one, "line", v[i].line);
		js_put_bool(one, "warning", v[i].warning);
		js_put_str(one, "text", v[i].text);
		js_add(all, one);
	}
	return all;
}

static void log_problems(const struct conf_problem *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		log_warning("configuration", "file", v[i].file, "line", v[i].line ? log_num(v[i].line) : NULL, "problem", v[i].text, NULL);
}

/* Takes over both. False: they are what was there. */
static bool set_lists(struct accepted *a, struct js *problems, struct js *quarantined)
{
	char *old = a->problems ? js_dump(a->problems) : NULL, *new = js_dump(problems);
	bool changed = !old || strcmp(old, new) != 0;

	free(old);
	free(new);
	js_free(a->problems);
	js_free(a->quarantined);
	a->problems = problems;
	a->quarantined = quarantined;
	return changed;
}

static void adopt(struct accepted_file *f, struct candidate *k, const struct accepted_file ***dirty)
{
	if (k->last && (!k->fresh || is_last(k))) {
		*f = *k->last; /* its strings move over */
		*k->last = (struct accepted_file){ 0 };
		return;
	}
	if (k->last)
		accepted_file_free(k->last);
	*f = (struct accepted_file){
		.path = mem_strdup(k->source.path), .text = mem_strndup(k->source.text, k->source.len), .len = k->source.len, .kind = (int)k->source.kind,
	};
	*(*dirty)++ = f;
}

/* What could not be stored works all the same, but would be read from the disk again after a restart. */
static void store(const struct accepted *a, const struct accepted_file **dirty, size_t n)
{
	struct err err;

	if (!accepted_disk_store(a->dir, dirty, n, &err))
		log_error("the accepted configuration cannot be stored", "files", log_num((int64_t)n), "error", err.detail, NULL);
}

static void set_files(struct accepted *a, struct accepted_file *v, size_t n)
{
	for (size_t i = 0; i < a->n; i++)
		accepted_file_free(&a->v[i]);
	free(a->v);
	free(a->sources);
	a->v = v;
	a->n = n;
	a->sources = mem_array(n + 1, sizeof(*a->sources));
	for (size_t i = 0; i < n; i++)
		a->sources[i] = source_of(&v[i]);
}

static void take_over(struct round *r)
{
	struct accepted *a = r->a;
	struct accepted_file *v = mem_array(r->n + 1, sizeof(*v));
	const struct accepted_file **dirty = mem_array(r->n + 1, sizeof(*dirty)), **end = dirty;

	for (size_t i = 0; i < r->n; i++)
		adopt(&v[i], &r->v[i], &end);
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].path) /* neither moved nor replaced */
			accepted_disk_remove(a->dir, a->v[i].path);
	store(a, dirty, (size_t)(end - dirty));
	free(dirty);
	a->foreign = false;
	set_files(a, v, r->n);
	conf_free(a->conf);
	a->conf = r->conf;
}

bool accepted_update(struct accepted *a, const struct conf_set *set, bool reload)
{
	struct round r = { .a = a, .set = set, .arena = arena_new(), .known = a->foreign ? 0 : a->n, .quarantined = js_array() };
	bool changed, told;

	r.index = make_index(a, r.known);
	settle(&r, reload);
	changed = r.conf && (!a->conf || strcmp(a->conf->digest, r.conf->digest) != 0);
	if (r.conf) {
		told = set_lists(a, problems_to_js(r.conf->problems.v, r.conf->problems.n), r.quarantined);
		if (told)
			log_problems(r.conf->problems.v, r.conf->problems.n);
		take_over(&r);
	} else {
		told = set_lists(a, problems_to_js(r.told, r.ntold), r.quarantined);
		if (told)
			log_problems(r.told, r.ntold);
	}
	if (changed)
		log_notice("configuration accepted", "certificates", log_num((int64_t)a->conf->cert.n), "files", log_num((int64_t)a->n), "digest",
			a->conf->digest, NULL);
	free(r.v);
	free(r.index);
	free(r.told);
	arena_free(r.arena);
	return changed || told;
}

int64_t accepted_wait_ms(const struct accepted *a)
{
	int64_t now = clock_boot_ms(), delay = a->conf->settings.remove_delay * 1000, least = -1;

	for (size_t i = 0; i < a->n; i++) {
		int64_t left = a->v[i].gone_ms ? a->v[i].gone_ms + delay - now : -1;

		if (a->v[i].gone_ms && (least < 0 || left < least))
			least = left > 0 ? left : 0;
	}
	return least;
}

/* --- life --- */

/* The value of a line `keeper_state = "..."`, for a file whose grammar is broken elsewhere; below the file's folder when it is relative. */
static char *find_line(const struct conf_source *file)
{
	static const char word[] = "keeper_state";

	for (const char *line = file->text; line; line = strchr(line, '\n')) {
		size_t len;

		line += strspn(line, " \t\n");
		if (strncmp(line, word, strlen(word)) != 0)
			continue;
		line += strlen(word);
		line += strspn(line, " \t=:");
		if (line[0] != '"')
			continue;
		line++;
		len = strcspn(line, "\"\n");
		if (len && line[len] == '"')
			return line[0] == '/' ? mem_strndup(line, len) :
						mem_printf("%.*s%.*s", (int)(strrchr(file->path, '/') - file->path + 1), file->path, (int)len, line);
	}
	return NULL;
}

char *accepted_find_state(const struct conf_set *set)
{
	struct conf *c = conf_build(set->v, set->n ? 1 : 0, NULL, 0);
	char *path = set->n && !c->usable ? find_line(&set->v[0]) : NULL;

	if (!path)
		path = mem_strdup(c->settings.keeper_state);
	conf_free(c);
	return path;
}

/* The stored files as a configuration, for when the disk has no usable one. */
static bool use_stored(struct accepted *a)
{
	if (!a->foreign)
		a->conf = conf_build(a->sources, a->n, NULL, 0);
	if (a->conf && a->conf->usable)
		return true;
	conf_free(a->conf);
	a->conf = NULL;
	return false;
}

static int by_kind_and_path(const void *a, const void *b)
{
	const struct accepted_file *x = a, *y = b;

	return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : strcmp(x->path, y->path);
}

static bool load(struct accepted *a, struct err *err)
{
	struct accepted_file *v;
	size_t n;

	if (!accepted_disk_load(a->dir, &v, &n, err))
		return false;
	if (n)
		qsort(v, n, sizeof(*v), by_kind_and_path);
	set_files(a, v, n);
	a->foreign = n && (v[0].kind != CONF_MAIN || strcmp(v[0].path, a->main_file) != 0);
	return true;
}

static bool fail_with_problem(const struct accepted *a, struct err *err)
{
	struct js *first = js_at(a->problems, 0);

	for (size_t i = 0; i < js_len(a->problems); i++) {
		first = js_at(a->problems, i);
		if (!js_bool(first, "warning", false))
			break;
	}
	return err_set(err, ERR_INPUT, "conf", "%s:%d: %s", first ? js_str(first, "file") : a->main_file, (int)js_int(first, "line", 0),
		first ? js_str(first, "text") : "cannot be used");
}

struct accepted *accepted_open(int state, const char *main_file, const struct conf_set *set, struct err *err)
{
	struct accepted *a = mem_alloc(sizeof(*a));

	a->main_file = mem_strdup(set->n ? set->v[0].path : main_file);
	a->dir = file_open_dir(state, "accepted", 0700, err);
	if (a->dir >= 0 && load(a, err)) {
		accepted_update(a, set, false);
		if (a->conf || use_stored(a))
			return a;
		fail_with_problem(a, err);
	}
	accepted_close(a);
	return NULL;
}

void accepted_close(struct accepted *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++)
		accepted_file_free(&a->v[i]);
	free(a->v);
	free(a->sources);
	conf_free(a->conf);
	js_free(a->problems);
	js_free(a->quarantined);
	if (a->dir >= 0)
		close(a->dir);
	free(a->main_file);
	free(a);
}

const struct conf *accepted_conf(const struct accepted *a)
{
	return a->conf;
}

const struct conf_source *accepted_source(const struct accepted *a, size_t i)
{
	return i < a->n ? &a->sources[i] : NULL;
}

size_t accepted_count(const struct accepted *a)
{
	return a->n;
}

struct js *accepted_problems(const struct accepted *a)
{
	return js_ref(a->problems);
}

struct js *accepted_quarantined(const struct accepted *a)
{
	return js_ref(a->quarantined);
}
