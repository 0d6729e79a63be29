/* SPDX-License-Identifier: ISC */
/* The sweeping states of the order's table. The CA's order is lost: what is left of it is withdrawn and deactivated. Or nothing can be asked of the CA for
 * now: it is only withdrawn. What cannot be withdrawn now stays
 * in the record for the next attempt. */
#ifndef DOVAD_CORE_SWEEP_H
#define DOVAD_CORE_SWEEP_H

#include "core/order.h"

/* Nothing came of asking the CA, for now. What an earlier attempt left published would stay until it answers again; the next one publishes it anew. The
 * state that follows. */
int sweep_put_off(struct order *o, const struct err *err);
void sweep_begin(void *owner, struct machine *m);
int sweep_withdraw_ended(void *owner, struct machine *m, const void *answer, struct err *err); /* the order may yet go on: it is kept */
int sweep_ended(void *owner, struct machine *m, const void *answer, struct err *err);

#endif
