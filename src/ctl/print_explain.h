/* SPDX-License-Identifier: ISC */
/* The parts of `explain`, each in a file of its own. For ctl/print*.c only. */
#ifndef DOVAD_CTL_PRINT_EXPLAIN_H
#define DOVAD_CTL_PRINT_EXPLAIN_H

#include "ctl/print_cells.h"

/* What dovad saw when it looked for a proof: each address of a host (HTTP), or the zone and the table of its name servers (DNS). */
void look_print(struct print *p, const struct js *look);
/* The CA's refusal beside what dovad saw right after it, the servers that differ from its look before named. */
void look_review(struct print *p, const struct js *look);

/* What to do about a failure, in one sentence; never NULL. Borrowed. */
const char *advice_find(const struct js *failure);

#endif
