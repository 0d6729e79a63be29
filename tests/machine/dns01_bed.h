/* SPDX-License-Identifier: ISC */
/* DNS-01 in a DNS on paper (paper.h) and on a frozen clock, with providers that write what they are told into it, late, wrongly or not at all. */
#ifndef DOVAD_TESTS_DNS01_BED_H
#define DOVAD_TESTS_DNS01_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "paper.h"
#include "prove/dns01.h"

#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
#define WWW "_acme-challenge.www.example.org"
enum { BED_RRS = 256, BED_ENTRIES = 4 };

/* How a provider takes a change. */
enum takes { TAKES, FAILS /* says no, did nothing */, LOSES /* did it, says no */, NEVER_ANSWERS };

struct entry { /* of the configuration */
	struct dns_provider provider; /* first */
	const char *zones[2];
	enum takes takes;
	int64_t late;          /* milliseconds until it answers */
	int64_t lag;           /* from when it is told until it can be seen */
	int64_t recursive_lag; /* the same at recursive servers, on top */
	bool nowhere;          /* says yes, and it is never seen */
	bool made, freed;
	unsigned under_way;
	struct dns01_options options;
	struct method *method;
};

struct told { /* what a call told */
	int calls;
	struct js *report; /* NULL: none */
	struct err err;    /* kind ERR_NONE: none */
};
void told_done(void *arg, const struct js *report, const struct err *err);
void told_wait(const struct told *t);
void told_clear(struct told *t);

/* The world: zones example.org (ns1.example.org 192.0.2.1, ns2.example.net 192.0.2.2), example.net and example.com (192.0.2.2); recursive servers
 * 192.0.2.53 and 192.0.2.54. Entry 0 is "main" with example.org, not configured yet; the proof is of www.example.org with the token "t1". */
extern struct bed {
	struct paper paper;
	struct paper_rr rr[BED_RRS];
	size_t nrr;
	struct dns *dns;
	struct dns01_world *world;
	struct entry entry[BED_ENTRIES];
	struct method_proof proof;
	struct js *place, *memory;
	struct told told;
	char log[2000];   /* what was written: "add main zone name token; ..." */
	char lines[8000]; /* warnings */
	int64_t began;    /* of the last operation */
	int64_t took;
} bed;

int bed_open(void **state); /* cmocka's */
int bed_close(void **state);
void bed_open_world(void);
void bed_close_world(void); /* methods first */
struct dns_memory bed_memory(void);
/* zones: NULL: none. */
struct entry *bed_entry(size_t i, const char *name, const char *zone);
void bed_configure(size_t i);
void bed_unconfigure(size_t i);

enum op { PUBLISH, SEE, WITHDRAW, REVIEW, CHECK };
struct method_call *bed_begin(size_t i, enum op op, struct told *told);
void bed_run(size_t i, enum op op); /* to its end; publish leaves its place for what comes after, as the core does */
void bed_until(int64_t ms);
const struct method_ops *bed_ops(size_t i);
int64_t bed_judged(size_t i, const char *type); /* the CA's error; NULL: valid */
void bed_clear(void); /* what was written, and the alias */
struct paper_rr *bed_alias(const char *to); /* the challenge name is an alias from now on */
const char *bed_token(const char *value);

void assert_well(void);
void assert_fails(enum err_kind kind, const char *type, const char *part);
void assert_written(const char *log); /* and begins anew */
void assert_place(const char *zone, const char *owner, const char *by);

#endif
