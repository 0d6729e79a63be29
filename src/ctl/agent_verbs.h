/* SPDX-License-Identifier: ISC */
/* What the methods of org.dovad.Agent share. For ctl/agent*.c only. */
#ifndef DOVAD_CTL_AGENT_VERBS_H
#define DOVAD_CTL_AGENT_VERBS_H

#include <sys/queue.h>

#include "ctl/agent.h"
#include "ctl/varlink.h"

#define AGENT_INTERFACE "org.dovad.Agent"

struct agent {
	struct agent_options options;
	struct varlink *varlink;
	int64_t since;
	struct js *report; /* NULL: none was given yet */
	bool reloading;
	TAILQ_HEAD(, agent_pending) pending;
};

/* The certificate of parameters' "name"; NULL: the call was answered with NoSuchCertificate. */
struct cert *agent_find(struct agent *a, struct varlink_call *call, const struct js *parameters);
/* Answer with Failed, or Busy. */
void agent_fail(struct varlink_call *call, const struct err *err);
/* Goes on to tell what becomes of what was begun for it, and answers the call when it is done or failed. */
void agent_wait(struct agent *a, struct varlink_call *call, const struct cert *c);
/* An object with the one member "certificate" (whole: as Show tells it). */
struct js *agent_certificate(const struct cert *c, bool whole);
/* Add problems, errors, warnings, quarantined and quarantined_count to answer, the lists cut to `most`. */
void agent_put_problems(const struct agent *a, struct js *answer, size_t most);
bool agent_is_failing(const struct cert *c); /* failed, held or stale: not as the admin wants it */

void agent_status(void *arg, struct varlink_call *call, const struct js *parameters);
void agent_list(void *arg, struct varlink_call *call, const struct js *parameters);
void agent_watch(void *arg, struct varlink_call *call, const struct js *parameters);
void agent_check(void *arg, struct varlink_call *call, const struct js *parameters);
void agent_metrics(void *arg, struct varlink_call *call, const struct js *parameters);
void agent_renew(void *arg, struct varlink_call *call, const struct js *parameters);

#endif
