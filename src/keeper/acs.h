/* SPDX-License-Identifier: ISC */
/* What the access key of a CA of type alibaba-cas may sign: the table of calls and their parameters. Clock, nonce and all else that is signed are added
 * here. */
#ifndef DOVAD_KEEPER_ACS_H
#define DOVAD_KEEPER_ACS_H

#include "base/json.h"
#include "core/conf.h"

struct acs_wish {
	const char *action;
	const struct js *params; /* {NAME: VALUE text, ...}; NULL: none */
	int64_t skew;            /* seconds that the service's clock is ahead of ours, up to ACS_SKEW_MAX either way */
};
enum { ACS_SKEW_MAX = 86400, ACS_PARAMS_MAX = 64, ACS_VALUE_MAX = 16 * 1024 /* bytes of one */, ACS_VALUES_MAX = 64 * 1024 /* of all */ };

/* Is this the parameter of a table's row? There "#" stands for a number from 1 to 99, "ContactIdList.#", and what follows "=" is no part of the name. */
bool acs_param_fits(const char *row, const char *name);
/* The rules alone; false and *err (ERR_DENIED "policy") says which one was broken. */
bool acs_wish_check(const struct acs_wish *w, struct err *err) __attribute__((warn_unused_result));
/* Checks, reads the credentials (of `folder` or the service manager), then signs as the CA's `signature` says. Caller owns the answer of keeper.h's
 * operation "acs"; NULL and *err. */
struct js *acs_wish_sign(const char *folder, const struct conf_ca *ca, const struct acs_wish *w, struct err *err) __attribute__((warn_unused_result));

#endif
