/* SPDX-License-Identifier: ISC */
/* The client's writers. Each takes the parameters of one reply as they come from the socket; which of them runs is the
 * only difference between text and JSON. The text writers escape all they print. */
#ifndef DOVAD_CTL_PRINT_H
#define DOVAD_CTL_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/json.h"

struct print;

/* Times that pass are counted from here. out stays the caller's. */
struct print *print_new(FILE *out, bool colour);
void print_free(struct print *p); /* NULL is fine */
bool print_may_colour(FILE *out); /* a terminal, and its user does not mind (NO_COLOR, TERM=dumb) */

/* last: no further reply follows. */
typedef void print_reply(struct print *p, const struct js *reply, bool last);
print_reply print_json; /* exactly what the socket said, one line per reply */
print_reply print_status, print_list, print_show, print_explain, print_renewal, print_reload, print_watch, print_revoked,
	print_history, print_version, print_check, print_metrics, print_instances, print_contacts, print_companies;

/* An error reply in one sentence, and the exit code of dovactl that goes with it. */
int print_failure(struct print *p, const char *error, const struct js *details);

#endif
