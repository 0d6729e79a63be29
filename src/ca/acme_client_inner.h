/* SPDX-License-Identifier: ISC */
/* Between acme_client.c and acme_directory.c only. */
#ifndef DOVAD_CA_ACME_CLIENT_INNER_H
#define DOVAD_CA_ACME_CLIENT_INNER_H

#include <sys/queue.h>

#include "ca/acme_client.h"
#include "ca/acme_nonce.h"

struct acme_post {
	TAILQ_ENTRY(acme_post) link; /* of client->waiting, client->readers or client->busy */
	struct acme_client *client;
	enum { WAITING, READING, SIGNING, SENT, ENDING } state;
	enum acme_kind kind;
	bool bind;
	unsigned retries;
	char *url, *payload, *kid, *name, *nonce;
	struct rpc_call *sign;
	struct http_get *get;
	acme_client_done *done;
	void *arg;
	struct err err; /* ENDING */
};

TAILQ_HEAD(posts, acme_post);

struct head { /* a newNonce request */
	LIST_ENTRY(head) link;
	struct acme_client *client;
	struct http_get *get;
};

struct acme_client {
	char *name, *directory_url;
	struct acme_origin origin;
	struct http *http;
	struct rpc *keeper;
	void (*limited)(void *arg);
	void *arg;

	struct js *document; /* the directory as read; NULL: not yet */
	struct acme_directory directory;
	int64_t read_at; /* clock_boot_ms */
	bool stale;	 /* one of its URLs is gone: read it again */
	struct http_get *reading;
	char *reading_url;
	unsigned hops;

	struct acme_nonces nonces;
	LIST_HEAD(, head) heads;
	size_t nheads;
	struct posts waiting; /* for the directory and a nonce, in order */
	size_t nwaiting;
	struct posts readers; /* want the directory as it is now, and nothing else */
	struct posts busy;
	struct acme_limit limit;
	uint64_t requests[ACME_KINDS], retries;
	uint64_t problems[ERR_BUG + 1];
};

/* --- acme_client.c --- */

struct http_get *acme_client_send(
	struct acme_client *c, enum acme_kind kind, const char *method, const char *url, const char *body, http_done *done, void *arg);
/* One reader for every answer. false: *err says what it means, and who has to stay away because of it has been told. */
bool acme_client_answer(
	struct acme_client *c, enum acme_kind kind, const char *name, const struct http_answer *a, struct acme_reply *r, struct err *err);
/* The directory was read, or could not be: the last thing done on the way of its answer. */
void acme_client_directory_read(struct acme_client *c, const struct err *err);

/* --- acme_directory.c --- */

/* Is what is known of it not older than that, and good? */
bool acme_directory_is_fresh(const struct acme_client *c, int64_t age_ms);
void acme_directory_read(struct acme_client *c); /* unless that is under way */

#endif
