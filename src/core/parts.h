/* SPDX-License-Identifier: ISC */
/* Issuers and methods made from the configuration. One whose entry did not change stays over a reload; one that changed or went lives until the last
 * order that holds it has ended. */
#ifndef DOVAD_CORE_PARTS_H
#define DOVAD_CORE_PARTS_H

#include "core/registry.h"

enum part_kind { PART_CA, PART_HTTP, PART_DNS };

struct part {
	struct part *next;
	char *identity;        /* everything of the entry that matters, as one text */
	struct issuer *issuer; /* one of the two, or neither: see err */
	struct method *method;
	struct err err;        /* why it could not be made */
	unsigned holds;
	bool configured;       /* the running configuration holds it */
	bool retired;          /* not to be found any more */
	enum part_kind kind;
	char *name;
	/* of an issuer */
	unsigned running, limit;
	struct cert *first_waiting, *last_waiting;
};

struct parts {
	struct part *all;
	const struct registry_parts *make;
	const struct conf *conf; /* the running one */
};

/* Make what is new, retire what is gone. */
void parts_apply(struct parts *p, const struct conf *conf);
struct part *parts_issuer(struct parts *p, const char *ca);     /* NULL: none configured; ->issuer may be NULL: see ->err */
struct part *parts_method(struct parts *p, const struct conf_method *method);
struct part *parts_named_method(struct parts *p, const char *name); /* as method->name has it, "http:www"; NULL: none configured */
/* The named CA or, when it is gone, any: for cleaning up, which asks a CA only for what is its own. Not one that takes no
 * orders. NULL: there is none at all. */
struct part *parts_cleaner(struct parts *p, const char *ca);
bool part_ready(struct parts *p, struct part *part); /* made anew when it could not be made before; false: see ->err */
void part_hold(struct part *part);
void part_release(struct parts *p, struct part *part); /* frees it when retired and no one else holds it */
void parts_free(struct parts *p);

#endif
