/* SPDX-License-Identifier: ISC */
/* The accepted configuration as the keeper has it, fetched in batches and built here the same. */
#ifndef DOVAD_CORE_CONF_FETCH_H
#define DOVAD_CORE_CONF_FETCH_H

#include "core/conf.h"
#include "io/rpc.h"

struct conf_fetch;
/* conf: the caller's reference, NULL when err is set. report: {digest, problems, quarantined} for people, borrowed. Once, on a later turn. */
typedef void conf_fetched(void *arg, struct conf *conf, const struct js *report, const struct err *err);
struct conf_fetch *conf_fetch_start(struct rpc *keeper, conf_fetched *done, void *arg);
void conf_fetch_cancel(struct conf_fetch *f); /* NULL is fine */

#endif
