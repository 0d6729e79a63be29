/* SPDX-License-Identifier: ISC */
/* Would the next renewal of a certificate work? For each name: what CAA records say of this CA, account and method of proof, whether DNSSEC holds, and what
 * the method itself finds when it looks ahead; for each target and webroot, whether the keeper may write there. Advice: nothing is ordered, written or held
 * back for it. */
#ifndef DOVAD_CORE_PREFLIGHT_H
#define DOVAD_CORE_PREFLIGHT_H

#include "ca/issuer.h"
#include "core/conf.h"
#include "prove/caa_look.h"
#include "prove/finding.h"
#include "prove/method.h"

struct preflight_plan { /* what it points to is borrowed until the end */
	const struct conf_cert *conf;
	struct issuer *issuer;         /* NULL: it could not be made */
	struct method *const *methods; /* of its prove list, those that could be made; in order */
	size_t nmethods;
	struct rpc *keeper;            /* NULL: targets and webroots are left out */
	const char *digest;            /* of the configuration */
	struct js *findings;           /* what is known to be wrong beforehand; taken over */
	/* caa_look_start with the recursive servers as they are; NULL: CAA and DNSSEC are left out. */
	struct caa_look *(*caa)(void *arg, const char *name, caa_looked *done, void *done_arg);
	void (*caa_cancel)(struct caa_look *);
	void *arg;
};

enum { PREFLIGHT_AT_ONCE = 4 /* names */, PREFLIGHT_S = 120 };
/* findings: as finding.h has it, in the order of names; borrowed. Once, on a later turn, after PREFLIGHT_S at the latest. */
typedef void preflight_done(void *arg, const struct js *findings);
struct preflight;
struct preflight *preflight_start(const struct preflight_plan *plan, preflight_done *done, void *arg);
void preflight_cancel(struct preflight *p); /* NULL is fine */

#endif
