/* SPDX-License-Identifier: ISC */
/* The names that the drafts of all files define, and the zones that their dns entries may write to: what files refer to. Only for core/conf_check and
 * conf_link; nothing in it is quadratic in the number of files. */
#ifndef DOVAD_CORE_CONF_INDEX_H
#define DOVAD_CORE_CONF_INDEX_H

#include "core/conf_draft.h"

enum { INDEX_PATH = DRAFT_LISTS, INDEX_KINDS }; /* beside the lists of files: what is written to */
enum { INDEX_NEAR = 256 };
extern const char *const conf_index_kinds[INDEX_KINDS]; /* their words */
/* What `prove` refers to, by what stands before the colon: conf_method_words. */
extern const int conf_index_methods[CONF_METHOD_KINDS];

struct conf_zone { /* that a dns entry may write to */
	const char *name;
	size_t number; /* of that entry, in the order of definition */
};

struct conf_entry { /* one name in use */
	int kind;
	const char *name;
	struct draft_file *file;
	int line;
	const void *thing; /* as drafted, in the end as linked */
	const struct draft_cert *cert; /* of INDEX_PATH: whose */
};

struct conf_index {
	struct draft *d;
	struct conf_entry *table; /* open addressing */
	size_t mask;
	bool all; /* take files that are set aside for good ones */
	struct {
		const char *v[INDEX_NEAR];
		size_t n;
	} known[INDEX_KINDS]; /* some of the names, for a did-you-mean */
	const struct schema_group *group[DRAFT_LISTS];
	bool has_http;
	const struct conf_ca *first_ca; /* what `ca` means when it is not there */
	struct conf_zone *zone;         /* of every dns in use, sorted by name, then number; heap */
	size_t nzone;
};

void conf_index_open(struct conf_index *x, struct draft *d);
void conf_index_close(struct conf_index *x);
/* What is there now: again after a file was set aside. */
void conf_index_fill(struct conf_index *x);

bool conf_index_is_out(const struct conf_index *x, const struct draft_file *f);
/* Where a name stands, or would: then its own name is NULL. A file that is set aside may have it: then nobody else does. */
struct conf_entry *conf_index_slot(struct conf_index *x, int kind, const char *name);
const struct conf_entry *conf_index_find(struct conf_index *x, int kind, const char *name); /* NULL: nobody who is not set aside has it */
char *conf_index_thing(const struct conf_index *x, const struct draft_file *f, int kind, size_t i);
const char *conf_index_name(const void *thing);
/* Every name that a file defines. */
typedef void conf_index_with(struct conf_index *x, struct conf_entry e);
void conf_index_each(struct conf_index *x, struct draft_file *f, conf_index_with *with);
/* Of every zone that holds the name the first row, from the name itself upwards; *name is what is left to look at. NULL at the end. */
const struct conf_zone *conf_index_zone(const struct conf_index *x, const char **name);
/* "http:www" -> CONF_METHOD_HTTP and "www"; CONF_METHOD_KINDS when it names no method. */
int conf_index_method(const char *ref, const char **name);

#endif
