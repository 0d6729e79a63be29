/* SPDX-License-Identifier: ISC */
/* What recursive servers say, by DNS or by HTTPS (RFC 8484): a second opinion after the authoritative servers were seen, or the only one where those
 * cannot be reached. Never asked before the record is there: their "no" is kept for the zone's negative TTL, and is waited for to the second. */
#ifndef DOVAD_PROVE_OPINION_H
#define DOVAD_PROVE_OPINION_H

#include "base/json.h"
#include "io/dns_ask.h"
#include "io/http.h"

enum { OPINIONS_MAX = 16, OPINION_VALUES_MAX = 64 };

struct opinion_options { /* names and values are copied */
	struct asker *asker;
	struct http *http;               /* for https:// URLs; may be NULL when there are none */
	const char *const *servers;      /* "IP", "IP:port" or "https://..." */
	size_t nservers;
	const char *name;                /* that the CA will ask for: the challenge name, which they follow to its end by themselves */
	const char *const *values;       /* all of them are to be there */
	size_t nvalues;
	int64_t timeout_ms;
};
/* report: [{server, ok, asked, rcode, text, next_ms}]; err set (type "propagation", "opinion" when nobody answered, or "dnssec" at once when the zone is
 * bogus): not visible, with the first server that stands in the way. One that never answers is tolerated when another one says yes. Once, on a later turn. */
typedef void opinion_done(void *arg, const struct js *report, const struct err *err);
struct opinion;
struct opinion *opinion_start(const struct opinion_options *options, opinion_done *done, void *arg);
struct js *opinion_report(const struct opinion *o); /* so far; caller owns */
void opinion_cancel(struct opinion *o);             /* NULL is fine */

#endif
