/* SPDX-License-Identifier: ISC */
/* One change of a record by a dns entry's command (dovad.conf(5), "DNS COMMANDS"): what may be asked, checked where it is passed on and where it is run. */
#ifndef DOVAD_KEEPER_HOOK_H
#define DOVAD_KEEPER_HOOK_H

#include "base/json.h"
#include "core/conf.h"
#include "io/child.h"

enum { HOOK_VALUE_MAX = 4096, HOOK_TEMPORARY = 75 /* exit code: EX_TEMPFAIL */ };

struct hook_call { /* borrowed from the request */
	const char *action;       /* "add" or "remove" */
	const char *zone, *record; /* without the final dot */
	const char *value;        /* of the TXT record */
};
/* The members of those names. ERR_INPUT "call" when they are not what such a command may get; ERR_DENIED "policy" for a record outside of the entry's
 * zones. */
bool hook_read(const struct conf_dns *dns, const struct js *request, struct hook_call *out, struct err *err) __attribute__((warn_unused_result));
struct js *hook_to_js(const struct hook_call *call); /* the members that hook_read reads */

/* What the command gets. Freed by hook_free, in any case and also after hook_prepare failed. */
struct hook {
	const char **argv;
	char **env;
	size_t nenv;
	int secrets[CONF_DNS_SECRETS];
	size_t nsecrets;
};
/* Reads the secrets from the folder of credentials. */
bool hook_prepare(struct hook *h, const struct conf *conf, const struct conf_dns *dns, const struct hook_call *call, struct err *err)
	__attribute__((warn_unused_result));
void hook_free(struct hook *h);
/* true: done. ERR_TEMP: not now (its exit code 75, out of time, killed). ERR_DENIED: it refuses. Type "hook". */
bool hook_judge(const struct child_end *end, const struct conf_dns *dns, struct err *err) __attribute__((warn_unused_result));

#endif
