/* SPDX-License-Identifier: ISC */
/* Requests to an ACME server: the directory, nonces, signing by the keeper, one reader for the envelope of every answer, badNonce, limits. */
#ifndef DOVAD_CA_ACME_CLIENT_H
#define DOVAD_CA_ACME_CLIENT_H

#include "ca/acme_envelope.h"
#include "ca/acme_limit.h"
#include "ca/acme_object.h"
#include "io/rpc.h"

enum acme_kind {
	ACME_DIRECTORY,
	ACME_NEW_NONCE,
	ACME_NEW_ACCOUNT,
	ACME_CONTACT,
	ACME_NEW_ORDER,
	ACME_ORDER,
	ACME_AUTHZ,
	ACME_CHALLENGE,
	ACME_FINALIZE,
	ACME_CERTIFICATE,
	ACME_DEACTIVATE,
	ACME_REVOKE,
	ACME_KINDS
};
const char *acme_kind_name(enum acme_kind kind); /* "newOrder" */

enum { ACME_NONCE_RETRIES = 5, ACME_DIRECTORY_AGE_MS = 24 * 3600 * 1000 };

struct acme_client_options {
	const char *name; /* of the ca entry */
	const char *directory;
	const char *ca_file;
	bool allow_private;
	struct dns *dns;
	struct rpc *keeper;
	void (*limited)(void *arg); /* the limit changed: keep it */
	void *arg;
};

struct acme_client;
struct acme_client *acme_client_new(const struct acme_client_options *options, struct err *err) __attribute__((warn_unused_result));
void acme_client_free(struct acme_client *c); /* posts under way are forgotten; NULL is fine */

struct acme_request {
	enum acme_kind kind;
	const char *url;     /* NULL: the directory's for this kind */
	const char *payload; /* exact text; "" for POST-as-GET */
	const char *kid;     /* account URL; NULL: sign with the JWK */
	const char *name;    /* one of the order's names; NULL: none */
	bool bind;	     /* the keeper adds externalAccountBinding */
};

typedef void acme_client_done(void *arg, const struct acme_reply *reply, const struct err *err);

/* Sign and send; a reply is a success (2xx), borrowed for the call. A badNonce answer is repeated with the nonce it carries, at most
 * ACME_NONCE_RETRIES times; nothing else is sent twice. done() is called once, never from inside this call, unless the post is cancelled; reply is
 * NULL when err is set. The request is copied. */
struct acme_post;
struct acme_post *acme_client_post(struct acme_client *c, const struct acme_request *request, acme_client_done *done, void *arg);
void acme_client_cancel(struct acme_post *p); /* NULL is fine */

/* See whether the CA is there: read the directory anew, unless that was done a few seconds ago. done as above, without a reply; err: it could not be
 * read, which is nobody else's concern as long as the one from before is good. */
struct acme_post *acme_client_read_directory(struct acme_client *c, acme_client_done *done, void *arg);
/* What the directory said when it was read last; everything NULL before that. Borrowed until the next turn. */
const struct acme_directory *acme_client_directory(const struct acme_client *c);
const struct acme_origin *acme_client_origin(const struct acme_client *c);
struct acme_limit *acme_client_limit(struct acme_client *c);
/* Adds directory, requests, problems, nonces, profiles, terms. */
void acme_client_status(const struct acme_client *c, struct js *status);

#endif
