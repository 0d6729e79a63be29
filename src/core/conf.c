/* SPDX-License-Identifier: ISC */
#include "core/conf.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "core/conf_draft.h"
#include "crypto/token.h"

enum {
	EXIT_CONF = 78,
	PROBLEM_TEXT = 512,
	PROBLEMS_MAX = 100, /* told of one file */
};

struct whole { /* what a struct conf * really points to */
	struct conf conf;
	struct arena *arena;
	unsigned refs;
};

/* --- problems --- */

static void add_problem(struct draft *d, const struct conf_problem *p, size_t file)
{
	char safe[PROBLEM_TEXT];

	if (d->nproblem == d->room) {
		d->room = d->room ? 2 * d->room : 16;
		d->problem = mem_resize(d->problem, d->room, sizeof *d->problem);
	}
	d->problem[d->nproblem] = (struct draft_problem){.told = *p, .file = file, .number = d->nproblem};
	text_escape(p->text, strlen(p->text), safe, sizeof safe);
	d->problem[d->nproblem++].told.text = arena_strdup(d->arena, safe);
}

static void tell(struct draft *d, struct draft_file *f, struct conf_problem p, const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));

static void tell(struct draft *d, struct draft_file *f, struct conf_problem p, const char *fmt, va_list ap)
{
	char text[PROBLEM_TEXT];

	p.file = f->path;
	p.text = text;
	if (++f->told > PROBLEMS_MAX)
		return;
	if (f->told < PROBLEMS_MAX)
		vsnprintf(text, sizeof text, fmt, ap);
	else
		snprintf(text, sizeof text, "too many problems in this file: the others are not shown");
	add_problem(d, &p, (size_t)(f - d->file));
}

void draft_error(struct draft *d, struct draft_file *f, int line, const char *fmt, ...)
{
	va_list ap;

	f->problems++;
	va_start(ap, fmt);
	tell(d, f, (struct conf_problem){.line = line}, fmt, ap);
	va_end(ap);
}

void draft_warning(struct draft *d, struct draft_file *f, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(d, f, (struct conf_problem){.line = line, .warning = true}, fmt, ap);
	va_end(ap);
}

/* Told stage by stage; wanted file by file, from top to bottom. */
static int in_order(const void *va, const void *vb)
{
	const struct draft_problem *a = va, *b = vb;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->told.line != b->told.line)
		return a->told.line < b->told.line ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

static void finish_problems(struct draft *d, struct conf *c)
{
	struct conf_problem *v = arena_array(d->arena, d->nproblem, sizeof *v);

	if (d->nproblem)
		qsort(d->problem, d->nproblem, sizeof *d->problem, in_order);
	for (size_t i = 0; i < d->nproblem; i++)
		v[i] = d->problem[i].told;
	c->problems.v = v;
	c->problems.n = d->nproblem;
	free(d->problem);
}

/* --- the identity of an accepted configuration --- */

/* Four multiplying hashes with seeds and factors of their own. It tells our two halves apart when they hold different files; nobody who could write
 * those files gains anything from a collision, so this needs no cryptography. */
struct identity {
	uint64_t lane[4];
};

static void identity_add(struct identity *id, const void *data, size_t len)
{
	static const uint64_t factors[4] = {0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0xd6e8feb86659fd93, 0xa0761d6478bd642f};
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		for (int j = 0; j < 4; j++) {
			id->lane[j] = (id->lane[j] + p[i] + 1) * factors[j];
			id->lane[j] ^= id->lane[j] >> 29;
		}
}

static void identity_of(const struct draft *d, char out[65])
{
	struct identity id = {{1, 2, 3, 4}};

	for (size_t i = 0; i < d->nfile; i++) {
		const struct conf_source *source = d->file[i].source;
		uint64_t frame[2] = {(uint64_t)source->kind, source->len};

		if (d->file[i].problems)
			continue;
		identity_add(&id, source->path, strlen(source->path) + 1);
		identity_add(&id, frame, sizeof frame);
		identity_add(&id, source->text, source->len);
	}
	for (int j = 0; j < 4; j++)
		snprintf(out + (size_t)j * 16, 17, "%016" PRIx64, id.lane[j]);
}

/* --- building --- */

static const char *folder_of(struct arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? arena_strndup(arena, path, (size_t)(slash - path)) : "";
}

static void add_unread(struct draft *d, const struct conf_problem *unread, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct conf_problem p = unread[i];

		p.file = arena_strdup(d->arena, p.file);
		add_problem(d, &p, d->nfile + i);
	}
}

/* An unread file has one problem each; one that is only a warning is about a folder. */
static void list_files(struct draft *d, struct conf *c, const struct conf_problem *unread, size_t nunread)
{
	struct conf_file *v = arena_array(d->arena, d->nfile + nunread + 1, sizeof *v);
	size_t n = 0;

	for (; n < d->nfile; n++)
		v[n] = (struct conf_file){.path = d->file[n].path, .accepted = !d->file[n].problems};
	for (size_t i = 0; i < nunread; i++)
		if (!unread[i].warning)
			v[n++].path = arena_strdup(d->arena, unread[i].file);
	v[0].main = n > 0;
	c->files.v = v;
	c->files.n = n;
}

/* Without a main file the settings are those of an empty one. */
static void parse_files(struct draft *d, const struct conf_source *sources, size_t n)
{
	static const struct conf_source empty = {.path = CONF_MAIN_FILE, .text = "", .kind = CONF_MAIN};

	d->file = arena_array(d->scratch, n + 1, sizeof *d->file);
	for (size_t i = 0; i < n || i == 0; i++) {
		struct draft_file *f = &d->file[i];

		f->source = n ? &sources[i] : &empty;
		f->path = arena_strdup(d->arena, f->source->path);
		if (i == 0)
			d->folder = folder_of(d->arena, f->path);
		conf_parse(d, f);
	}
	d->nfile = n;
}

struct conf *conf_build(const struct conf_source *sources, size_t n, const struct conf_problem *unread, size_t nunread)
{
	struct whole *w = mem_alloc(sizeof *w);
	struct conf *c = &w->conf;
	struct draft d = {.arena = arena_new(), .scratch = arena_new()};

	w->arena = d.arena;
	w->refs = 1;
	parse_files(&d, sources, n);
	c->settings = d.settings;
	if (n)
		conf_link(&d, c);
	c->usable = n && !d.file[0].problems;
	identity_of(&d, c->digest);
	list_files(&d, c, unread, nunread);
	add_unread(&d, unread, nunread);
	finish_problems(&d, c);
	arena_free(d.scratch);
	return c;
}

struct conf *conf_ref(struct conf *c)
{
	((struct whole *)c)->refs++;
	return c;
}

void conf_free(struct conf *c)
{
	struct whole *w = (struct whole *)c;

	if (!w || --w->refs)
		return;
	arena_free(w->arena);
	free(w);
}

struct first { /* problem of a file */
	struct arena *arena;
	struct conf_problem *problem;
};

static void keep_first(void *arg, int line, const char *text)
{
	struct first *first = arg;
	char safe[PROBLEM_TEXT];

	if (first->problem->text)
		return;
	first->problem->line = line;
	first->problem->text = arena_strdup(first->arena, text_escape(text, strlen(text), safe, sizeof safe));
}

bool conf_precheck(const struct conf_source *source, struct arena *arena, struct conf_problem *problem)
{
	struct first first = {.arena = arena, .problem = problem};

	*problem = (struct conf_problem){.file = source->path};
	return conf_scan(source, keep_first, &first) && !problem->text;
}

/* --- looking up --- */

size_t conf_target_paths(const struct conf_target *t, const char *paths[CONF_TARGET_PATHS])
{
	size_t n = 0;

	if (t->dir)
		paths[n++] = t->dir;
	for (int i = 0; i < CONF_PARTS; i++)
		if (t->file[i])
			paths[n++] = t->file[i];
	return n;
}

bool conf_is_staging(const struct conf_ca *ca)
{
	return ca->directory && strcasestr(ca->directory, "staging");
}

const char *conf_ca_address(const struct conf_ca *ca)
{
	static const char *const hosts[] = {
		[CONF_SITE_CHINA] = "cas.aliyuncs.com", [CONF_SITE_INTERNATIONAL] = "cas.ap-southeast-1.aliyuncs.com"
	};

	if (ca->type == CONF_CA_ACME)
		return ca->directory;
	return ca->endpoint ? ca->endpoint + strlen("https://") : hosts[ca->site];
}

static int compare_cert(const void *name, const void *cert)
{
	return strcmp(name, ((const struct conf_cert *)cert)->name);
}

const struct conf_cert *conf_find_cert(const struct conf *c, const char *name)
{
	return c->cert.n ? bsearch(name, c->cert.v, c->cert.n, sizeof *c->cert.v, compare_cert) : NULL;
}

int conf_name_compare(const void *a, const void *b)
{
	const struct conf_name *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->ca > y->ca) - (x->ca < y->ca);
}

bool conf_has_name(const struct conf *c, const struct conf_ca *ca, const char *name)
{
	const struct conf_name wanted = {name, ca};

	return c->names.n && bsearch(&wanted, c->names.v, c->names.n, sizeof wanted, conf_name_compare);
}

#define FIND(what)                                                                                                                                   \
	const struct conf_##what *conf_find_##what(const struct conf *c, const char *name)                                                           \
	{                                                                                                                                            \
		for (size_t i = 0; i < c->what.n; i++)                                                                                               \
			if (strcmp(c->what.v[i].name, name) == 0)                                                                                    \
				return &c->what.v[i];                                                                                                \
		return NULL;                                                                                                                         \
	}
FIND(ca)
FIND(http)
FIND(dns)
FIND(service)

const char *const conf_method_words[CONF_METHOD_KINDS] = {[CONF_METHOD_HTTP] = "http", [CONF_METHOD_DNS] = "dns"};

bool conf_dns_holds(const struct conf_dns *dns, const char *name)
{
	bool holds = dns->zones.n == 0;

	for (size_t i = 0; i < dns->zones.n && !holds; i++)
		holds = text_is_below(name, dns->zones.v[i]);
	return holds;
}

char *conf_secret_variable(const char *credential, char out[CONF_VARIABLE])
{
	static const char small[] = "abcdefghijklmnopqrstuvwxyz", plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t len = (size_t)snprintf(out, CONF_VARIABLE, "DOVAD_SECRET_FD_");

	for (const char *s = credential; *s && len < CONF_VARIABLE - 1; s++)
		out[len++] = strchr(small, *s) ? (char)(*s - 'a' + 'A') : strchr(plain, *s) ? *s : '_';
	out[len] = '\0';
	return out;
}

/* --- telling --- */

static void print_problem(const struct conf_problem *p, FILE *err)
{
	char file[PATH_MAX];

	text_escape(p->file, strlen(p->file), file, sizeof file);
	if (p->line)
		fprintf(err, "%s:%d: %s%s\n", file, p->line, p->warning ? "warning: " : "", p->text);
	else
		fprintf(err, "%s: %s%s\n", file, p->warning ? "warning: " : "", p->text);
}

/* What is not in the files but on this host; where: what the line begins with. */
static size_t report_token(const struct conf_key *key, const char *where, FILE *err)
{
	struct err why = {0};

	if (!key->uri || (token_backend(&why) && (!key->module || access(key->module, R_OK) == 0)))
		return 0;
	if (why.kind == ERR_NONE)
		err_errno(&why, "pkcs11_module %s", key->module);
	fprintf(err, "%s: warning: the key is on a token: %s\n", where, why.detail);
	return 1;
}

static size_t report_tokens(const struct conf *c, FILE *err)
{
	char where[PATH_MAX + 64];
	size_t warnings = 0;

	for (size_t i = 0; i < c->ca.n; i++) {
		snprintf(where, sizeof where, "ca \"%s\"", c->ca.v[i].name);
		warnings += report_token(&c->ca.v[i].account_key, where, err);
	}
	for (size_t i = 0; i < c->cert.n; i++) {
		snprintf(where, sizeof where, "%s:%d", c->cert.v[i].file, c->cert.v[i].line);
		warnings += report_token(&c->cert.v[i].key, where, err);
	}
	return warnings;
}

int conf_report(const struct conf *c, FILE *out, FILE *err)
{
	size_t warnings = 0, errors, accepted = 0;

	for (size_t i = 0; i < c->problems.n; i++) {
		print_problem(&c->problems.v[i], err);
		warnings += c->problems.v[i].warning;
	}
	for (size_t i = 0; i < c->files.n; i++)
		accepted += c->files.v[i].accepted;
	errors = c->problems.n - warnings;
	warnings += report_tokens(c, err);
	fprintf(out, "%zu of %zu files good, %zu certificate%s; %zu error%s, %zu warning%s\n", accepted, c->files.n, c->cert.n,
		c->cert.n == 1 ? "" : "s", errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
	return errors ? EXIT_CONF : 0;
}
