/* SPDX-License-Identifier: ISC */
/* The network half's side of the configuration: what the keeper accepted is fetched at the start, whenever it may have changed, and for a reload on
 * demand. One fetch at a time; what is asked for meanwhile is one more after it. */
#ifndef DOVAD_CORE_CONF_FOLLOW_H
#define DOVAD_CORE_CONF_FOLLOW_H

#include "core/conf_fetch.h"

struct conf_follow;
/* report: {digest, changed, problems, quarantined}, borrowed, NULL when err is set. Once, on a later turn. */
typedef void conf_reloaded(void *arg, const struct js *report, const struct err *err);

struct conf_follow_ops {
	conf_fetched *fetched;                   /* a fetch ended, whoever asked for it */
	void (*reloading)(void *arg, bool busy); /* a reload begins, has ended */
};
struct conf_follow *conf_follow_new(struct rpc *keeper, const struct conf_follow_ops *ops, void *arg); /* the first fetch begins */
void conf_follow_free(struct conf_follow *f); /* NULL is fine; who waits for a reload is forgotten */

void conf_follow_changed(struct conf_follow *f); /* the keeper says so, or was away */
/* The keeper reads the disk now; done (may be NULL) when what it accepted then was fetched and handed over, or with the first failure on that way. A
 * reload asked for while one is under way is another one after it: the disk may have been read too early for this one. However many are asked for
 * then, it is one; at most one of them may name a done. */
void conf_follow_reload(struct conf_follow *f, conf_reloaded *done, void *arg);

#endif
