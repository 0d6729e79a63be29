/* SPDX-License-Identifier: ISC */
/* What a look ahead found: {what, verdict, name, text} in a list, the same object from where it is seen to the status socket. Where `what` can be told in
 * one word, that is `state`. */
#ifndef DOVAD_PROVE_FINDING_H
#define DOVAD_PROVE_FINDING_H

#include "base/json.h"

enum finding { /* the worse the later */
	FINDING_OK,
	FINDING_UNTESTED, /* it cannot be told from here */
	FINDING_WARN,     /* it may go wrong, or will become wrong */
	FINDING_FAIL,     /* a renewal would fail as things stand */
};
const char *finding_word(enum finding verdict);
enum finding finding_find(const char *word);    /* FINDING_UNTESTED for an unknown one */

/* what: one word or two with a hyphen; name: of what it is about. The text is escaped and cut. Returns what was added, borrowed. */
struct js *finding_add(struct js *list, enum finding verdict, const char *what, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
enum finding finding_verdict(const struct js *one);
/* The first of the worst ones; NULL: there are none. Borrowed. */
const struct js *finding_worst(const struct js *list);
/* Those about `what`, the worst first and at most `most`; of those that differ in the name only the first stands for all, `more` says for how many others. */
struct js *finding_gather(const struct js *list, const char *what, size_t most);

#endif
