/* SPDX-License-Identifier: ISC */
/* The sweeping state of the order's table: the CA's order is lost, what is left of it is withdrawn and deactivated. What cannot be withdrawn now stays
 * in the record for the next attempt. */
#ifndef DOVAD_CORE_SWEEP_H
#define DOVAD_CORE_SWEEP_H

#include "core/order.h"

void sweep_begin(void *owner, struct machine *m);
int sweep_ended(void *owner, struct machine *m, const void *answer, struct err *err);

#endif
