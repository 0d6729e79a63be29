/* SPDX-License-Identifier: ISC */
/* Calls to Alibaba Cloud's certificate service: signed by the keeper (its operation "acs"), sent, read. All parameters stand in the query, the body is
 * empty. Nothing here knows what an action does; whether a change may be asked for again is its owner's to know (cas_answer_retry tells what is known).
 *
 * What it repeats by itself, each at most once in a call: a request refused because of the clock, signed again with the time of the service (the
 * difference is remembered), and one whose nonce was used. Both were refused before anything was done. A read whose connection broke may be sent twice,
 * a change never. */
#ifndef DOVAD_CA_CAS_CLIENT_H
#define DOVAD_CA_CAS_CLIENT_H

#include "ca/cas_answer.h"
#include "io/rpc.h"

enum {
	CAS_CALLS_MAX = 1000, /* of one client, waiting or not; one more ends with ERR_TEMP "busy" */
	CAS_SENT_MAX = 8,     /* signed or sent at a time; the others wait in the order of their coming */
	CAS_ITEMS_MAX = 10000,
};

struct cas_client_options {
	const char *name;     /* of the ca entry */
	const char *endpoint; /* "https://host[:port]", of the entry or its site's: the same that the keeper signs for */
	const char *ca_file;
	bool allow_private;
	struct dns *dns;
	struct rpc *keeper;
};

struct cas_client;
struct cas_client *cas_client_new(const struct cas_client_options *options, struct err *err) __attribute__((warn_unused_result));
void cas_client_free(struct cas_client *c); /* what is under way is forgotten; NULL is fine */

struct cas_param {
	const char *name, *value;
};
struct cas_request {
	const char *action;
	const struct cas_param *params; /* ended by a NULL name; NULL: none */
	bool read;			/* changes nothing: may be sent again when its connection breaks */
};

/* One call; the answer is a success, borrowed. done() is called once, on a later turn, unless the call is cancelled; answer is NULL when err is set. The
 * request is copied. Calls of one action leave no faster than the service allows (all others are not held up by that), and none before not_before of a
 * refusal of that action: until then they end with ERR_LIMIT, and nothing is sent. */
struct cas_call;
typedef void cas_done(void *arg, const struct js *answer, const struct err *err);
struct cas_call *cas_client_call(struct cas_client *c, const struct cas_request *request, cas_done *done, void *arg);
void cas_client_cancel(struct cas_call *call); /* NULL is fine */

/* All items of a list that comes in pages, one page after the other: CurrentPage is added to the parameters, ShowSize is the caller's to give (the longest
 * page differs from action to action). done as above; the answer is a list of the items in the order they came. What is made or deleted meanwhile may be
 * missed or come twice. More than CAS_ITEMS_MAX of them, or 32 MiB, are an error ("too-large"): nothing is chosen from half of a list. */
struct cas_list;
struct cas_list *cas_client_list(struct cas_client *c, const struct cas_request *request, const char *member, cas_done *done, void *arg);
void cas_client_list_cancel(struct cas_list *list); /* NULL is fine */

/* UNIX seconds before which this action is not sent, because the service said so; 0: none. */
int64_t cas_client_not_before(const struct cas_client *c, const char *action);
/* Adds endpoint, requests and problems (as the ACME client does), clock_skew in seconds if there is one. */
void cas_client_status(const struct cas_client *c, struct js *status);

#endif
