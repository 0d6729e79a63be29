/* SPDX-License-Identifier: ISC */
/* The CAA record set that counts for a name, and how DNSSEC stands there, as recursive servers tell it: one question for the name and for each parent, up to
 * the first that has records (RFC 8659 section 3). Aliases are followed by the server that is asked, as a CA's does it. */
#ifndef DOVAD_PROVE_CAA_LOOK_H
#define DOVAD_PROVE_CAA_LOOK_H

#include "base/err.h"
#include "io/dns_ask.h"
#include "prove/caa.h"

enum caa_dnssec {
	CAA_SECURE,              /* the server has validated what it said of the name */
	CAA_UNSIGNED,            /* a server that validates says nothing of it */
	CAA_UNVALIDATED,         /* the server asked does not validate: nobody can tell */
	CAA_BOGUS,               /* answered only when told not to validate */
};
struct caa_seen {
	const char *name;        /* where the set was found; "": nowhere */
	const struct caa_record *set;
	size_t n;                /* at most CAA_RECORDS_MAX; more are as good as broken */
	enum caa_dnssec dnssec;
	const char *bogus;       /* CAA_BOGUS: the name that was asked for, and the server's reason, "" for none */
	const char *reason;
	const char *server;      /* that answered last, "192.0.2.1:53" */
};
struct caa_world { /* borrowed, but for the addresses, of which the first three are asked, in order */
	struct asker *asker;
	const struct addr *recursive;
	size_t nrecursive;
};

struct caa_look;
/* seen: borrowed; NULL when err is set: ERR_TEMP "dns" that names what could not be asked for and what each server said: a CA would not issue. Once, on a
 * later turn. */
typedef void caa_looked(void *arg, const struct caa_seen *seen, const struct err *err);
struct caa_look *caa_look_start(const struct caa_world *world, const char *name, caa_looked *done, void *arg);
void caa_look_cancel(struct caa_look *l); /* NULL is fine */

#endif
