/* SPDX-License-Identifier: ISC */
/* The deploying half of the order's table: install, gather, test, reload, look, confirm, and the way back. Each is begun and ended like any state. */
#ifndef DOVAD_CORE_DEPLOY_H
#define DOVAD_CORE_DEPLOY_H

#include "core/order.h"

void deploy_install_begin(void *owner, struct machine *m);
int deploy_install_ended(void *owner, struct machine *m, const void *answer, struct err *err);
void deploy_gather_begin(void *owner, struct machine *m);
int deploy_gather_ended(void *owner, struct machine *m, const void *answer, struct err *err);
void deploy_test_begin(void *owner, struct machine *m);
int deploy_test_ended(void *owner, struct machine *m, const void *answer, struct err *err);
void deploy_reload_begin(void *owner, struct machine *m);
int deploy_reload_ended(void *owner, struct machine *m, const void *answer, struct err *err);
void deploy_look_begin(void *owner, struct machine *m);
int deploy_look_ended(void *owner, struct machine *m, const void *answer, struct err *err);
void deploy_confirm_begin(void *owner, struct machine *m);
int deploy_confirm_ended(void *owner, struct machine *m, const void *answer, struct err *err);
void deploy_rollback_begin(void *owner, struct machine *m);
int deploy_rollback_ended(void *owner, struct machine *m, const void *answer, struct err *err);
void deploy_restore_begin(void *owner, struct machine *m);
int deploy_restore_ended(void *owner, struct machine *m, const void *answer, struct err *err);

#endif
