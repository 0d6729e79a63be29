/* SPDX-License-Identifier: ISC */
/* Inside of the configuration's reading, for src/core/conf*.c and schema.c only: files as parsed, before they are linked into a struct conf.
 * The way of one file: conf_scan (bytes and syntax) -> conf_parse (options by table) -> conf_check and conf_link (names across files). */
#ifndef DOVAD_CORE_CONF_DRAFT_H
#define DOVAD_CORE_CONF_DRAFT_H

#include "base/mem.h"
#include "core/conf.h"
#include "core/schema.h"

struct draft_file;

struct draft_refs { /* names of other things, not looked up yet */
	struct conf_list list;
	const struct draft_file *file; /* where they were written: not always where they are used (defaults). NULL: nowhere */
	int line;
	bool partial; /* they are more than these: others could not be read */
};

/* What files define. The structs of all begin with the name. */
enum draft_kind { DRAFT_CA, DRAFT_HTTP, DRAFT_DNS, DRAFT_SERVICE, DRAFT_CERT, DRAFT_LISTS };

/* What is looked at across files. */
enum draft_check { DRAFT_REFS, DRAFT_NAMES, DRAFT_CHECKS };

struct draft_list {
	void *v; /* struct conf_ca, conf_http, conf_dns, conf_service, draft_cert */
	size_t n;
};

struct draft_cert {
	const char *name;
	struct conf_list names;
	struct draft_refs ca, prove, service;
	struct conf_key key;
	struct { const struct conf_target *v; size_t n; } install;
	bool enabled;
	int self_check;
	int line;
};

struct draft_file {
	const struct conf_source *source;
	const char *path; /* as in source, but as long-lived as the result */
	size_t scanned, nscanned; /* which of the problems conf_scan found */
	unsigned problems; /* any sets the file aside; warnings are none */
	unsigned told;     /* both */
	bool unread;       /* what could not be read of it may define anything: nothing is told to be missing */
	bool checked[DRAFT_CHECKS]; /* what set it aside */
	struct draft_cert defaults;
	struct draft_list list[DRAFT_LISTS];
};

struct draft_problem {
	struct conf_problem told;
	size_t file, number; /* what they are sorted by, with the line */
};

struct draft {
	struct arena *arena;   /* lives as long as the result */
	struct arena *scratch; /* gone when the result is there */
	const char *folder;    /* of the main file, for relative paths */
	struct conf_settings settings;
	struct draft_file *file; /* file[0] is the main file */
	size_t nfile;
	struct draft_problem *problem; /* heap */
	size_t nproblem, room;
};

/* An error sets the file aside. Texts are escaped here. */
void draft_error(struct draft *d, struct draft_file *f, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void draft_warning(struct draft *d, struct draft_file *f, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Reads a whole file as libconfig would, but strictly. false: hopeless, libconfig must not see it. `report` gets every problem found; one that
 * leaves the rest readable (a bad number) does not make it false. */
typedef void conf_scan_report(void *arg, int line, const char *text);
bool conf_scan(const struct conf_source *source, conf_scan_report *report, void *arg) __attribute__((warn_unused_result));
/* What conf_scan skipped in front: a byte order mark. */
size_t conf_scan_offset(const struct conf_source *source);

/* Values: from the text an admin wrote to the field of an option. Pure but for the arena. */
struct conf_value {
	struct arena *arena;
	const char *folder; /* that relative paths count from */
	size_t index;       /* of the entry in its list */
	char why[256];      /* after false */
};
/* What a type means. text: a value, or an entry of a list, checked and normalised into *out, which the arena owns; put: a value converted into its
 * field. A type has one of both. */
struct conf_kind {
	const char *wants; /* what to write, for people: "true or false, without quotes" */
	bool list, unique; /* unique: entries that stand there twice count once */
	bool (*text)(struct conf_value *v, const struct schema_option *o, const char *text, const char **out);
	bool (*put)(struct conf_value *v, const struct schema_option *o, const char *text, void *field);
};
const struct conf_kind *conf_value_kind(enum schema_type type);
/* A scalar, whichever of both its type has. */
bool conf_value_put(struct conf_value *v, const struct schema_option *o, const char *text, void *field) __attribute__((warn_unused_result));

void conf_parse(struct draft *d, struct draft_file *f);
/* Sets aside the files whose names do not resolve or clash, tells of every file that is set aside what else is wrong with it, and fills c from the
 * good ones; nothing is filled when the main file is none of them. */
void conf_link(struct draft *d, struct conf *c);

int conf_name_compare(const void *a, const void *b); /* of two struct conf_name, for sorting and finding */

#endif
