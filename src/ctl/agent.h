/* SPDX-License-Identifier: ISC */
/* The status socket: the methods of org.dovad.Agent on the registry. Root, our own user and the admin group may change
 * things, the reading group may read, everybody else may only ask for the interface. */
#ifndef DOVAD_CTL_AGENT_H
#define DOVAD_CTL_AGENT_H

#include "base/err.h"
#include "base/json.h"
#include "core/registry.h"
#include "core/store.h"

struct agent;

/* report: {digest, changed, problems [{file, line, warning, text}], quarantined [path]} as the keeper answers; NULL
 * when err is set. */
typedef void agent_reloaded(void *arg, const struct js *report, const struct err *err);

struct agent_options {
	const char *path; /* of the socket */
	struct registry *registry;
	struct store *store;
	const char *version;
	const char *read_group, *admin_group; /* names; a group that does not exist has no members */
	/* Read the configuration again and apply it: done(done_arg, ...) once, at once or later. Not called while one
	 * is under way. */
	void (*reload)(void *arg, agent_reloaded *done, void *done_arg);
	void *arg;
};

/* Options are copied; registry, store, version and arg are borrowed until agent_close, the other texts for the call
 * only. */
struct agent *agent_open(const struct agent_options *options, struct err *err) __attribute__((warn_unused_result));
/* Ends every call. Whatever still owes a done() (reload, revocations in the registry) must be closed before the loop
 * turns again. */
void agent_close(struct agent *a); /* NULL is fine */
/* What Status tells of the configuration: for a report that was not asked for here (start, a dropped snippet, SIGHUP).
 * Borrowed. */
void agent_set_report(struct agent *a, const struct js *report);

#endif
