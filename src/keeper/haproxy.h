/* SPDX-License-Identifier: ISC */
/* Services reached by HAProxy's runtime API: what each has loaded is brought to what is installed, in place, without a reload (haproxy_talk.h).
 *
 * A HAProxy that is not there is no error. A certificate it has not loaded is one for whoever asked about it. In both cases the service's unit, if it has
 * one, is reloaded instead, and in no other. */
#ifndef DOVAD_KEEPER_HAPROXY_H
#define DOVAD_KEEPER_HAPROXY_H

#include "keeper/haproxy_talk.h"
#include "keeper/run.h"

struct haproxy;

struct haproxy *haproxy_open(const struct install *install, struct run *run, struct gate *gate); /* borrowed */
void haproxy_close(struct haproxy *h); /* after run_close; what is under way ends with an error at once; NULL is fine */
/* done as of run_start. One at a time per service; those of one kind that come while one is under way are answered together, by the next. */
void haproxy_start(struct haproxy *h, const struct haproxy_wish *wish, run_done *done, void *arg);
bool haproxy_is_idle(const struct haproxy *h);

#endif
