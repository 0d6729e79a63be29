/* SPDX-License-Identifier: ISC */
/* What the text writers are made of: cells (texts safe to print, of the arena) and lines. For ctl/print*.c only. */
#ifndef DOVAD_CTL_PRINT_CELLS_H
#define DOVAD_CTL_PRINT_CELLS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"

#define RED "31"
#define GREEN "32"
#define YELLOW "33"
#define CYAN "36"
#define BOLD "1"
#define DIM "2"

enum { STATE_WIDTH = 10 };

struct print {
	FILE *out;
	bool colour;
	struct arena *arena; /* texts of the reply being printed */
	int64_t began_ms;
	unsigned replies;
	int width; /* of the name column so far */
};

/* Cells: valid until cells_end; "-" where there is nothing. */
const char *cells_safe(struct print *p, const char *s);
const char *cells_text(struct print *p, const struct js *v, const char *key);
const char *cells_distance(struct print *p, const char *stamp);			/* "in 3d 4h", "2h 5m ago" */
const char *cells_moment(struct print *p, const struct js *v, const char *key); /* "2026-... (in 3d 4h)" */
bool cells_is_due(const struct js *cert);					/* its next step is to be now, or was to be: how long ago tells nothing */
const char *cells_next_step(struct print *p, const struct js *cert);		/* "renew in 3h 5m", "look now" */
const char *cells_reason(
	struct print *p, const struct js *failure); /* "finalize: the detail (rateLimited, HTTP 429)" */
const char *cells_proof(struct print *p, const struct js *proof); /* "*.example.org by dns:corp" */
const char *cells_target(struct print *p, const struct js *target);
const char *cells_trouble(struct print *p, const struct js *cert);
const char *cells_span(struct print *p, int64_t ms); /* "0.05 s", "12.8 s", "3m 5s" */
const char *cells_count(struct print *p, int64_t n, const char *what); /* "1 error", "2 errors" */

/* Lines and parts of them. */
void cells_paint(struct print *p, const char *colour, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void cells_label(struct print *p, const char *label); /* of the line that follows; "": of one more line */
void cells_failure(struct print *p, const struct js *failure); /* the rest of a labelled line, and more lines */
const char *cells_risk(struct print *p, const struct js *check); /* "the next renewal would fail because ..." */
void cells_check(struct print *p, const struct js *check);	  /* the rest of a labelled line, and more lines */
void cells_standing(struct print *p, const struct js *cert, const char *what); /* "dnssec" or "caa" of its names: labelled lines */
bool cells_is_under_way(const struct js *cert); /* then its state tells the step */
void cells_state(struct print *p, const struct js *cert, int width);
void cells_widen(struct print *p, const struct js *certs); /* the name column takes these */
void cells_rows(struct print *p, const struct js *certs);
void cells_problem(struct print *p, const struct js *problem);
void cells_end(struct print *p); /* the reply is printed */

#endif
