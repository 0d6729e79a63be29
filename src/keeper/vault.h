/* SPDX-License-Identifier: ISC */
/* The private keys: of accounts, and of certificates asked for but not installed yet. They never leave this half. */
#ifndef DOVAD_KEEPER_VAULT_H
#define DOVAD_KEEPER_VAULT_H

#include "core/conf.h"
#include "crypto/key.h"
#include "io/sync.h"

struct vault;

/* Below the state directory: accounts/CA.pem, pending/CERT.pem with a key and its signing request. state stays the caller's. */
struct vault *vault_open(int state, struct err *err) __attribute__((warn_unused_result));
void vault_close(struct vault *v);

struct account {
	struct account *next;
	char *ca;
	struct key *key;
	char *thumbprint;
	unsigned char digest[32];
};
/* The account key of a CA, made when there is none. A file that cannot be read as a key is an error, never replaced. Borrowed. */
const struct account *vault_account(struct vault *v, const struct conf_ca *ca, struct err *err) __attribute__((warn_unused_result));
/* key_digest() of every account key, *n of them; borrowed until the next account is made. */
const unsigned char (*vault_account_digests(const struct vault *v, size_t *n))[32];

struct vault_request {
	const char *csr; /* base64url of the DER; borrowed until the next call */
	char *key;       /* hex of key_digest(); caller frees */
};
/* The request for a certificate and the key it is for: the ones that are waiting when they fit the configuration, else new ones, on disk before
 * they are answered. */
bool vault_request(struct vault *v, const struct conf_cert *cert, struct vault_request *out, struct err *err) __attribute__((warn_unused_result));
/* A new key and request in two steps, for many at once; what a step adds to `s` is to be synced before the next. First they are written under names that
 * do not count; NULL when those that are waiting may do, and on an error: ask vault_request. */
struct vault_draft *vault_draft(struct vault *v, const struct conf_cert *cert, struct sync *s) __attribute__((warn_unused_result));
/* They are the ones that are waiting. false: ask vault_request, after vault_draft_end. */
bool vault_draft_keep(struct vault_draft *d, struct sync *s) __attribute__((warn_unused_result));
/* Frees the draft. kept: *out is the answer. Otherwise, and on a failure, nothing of it is left. */
bool vault_draft_end(struct vault_draft *d, bool kept, struct vault_request *out);
/* The certificate that exactly this request is waiting for, NULL: none. Borrowed as the request is. */
const char *vault_find_request(const struct vault *v, const char *csr);
/* Is the request that is waiting by the key that is waiting, which is no account's, and for exactly the names that the configuration says now? */
bool vault_request_fits(struct vault *v, const struct conf_cert *cert);
/* Could a key and a certificate be stored now? ERR_LOCAL says why not. */
bool vault_has_room(struct vault *v, struct err *err) __attribute__((warn_unused_result));
/* The key waiting for a certificate, and its PEM text, as key_format() has it and without the request; borrowed until the next request or
 * vault_installed. NULL and *err (ERR_DENIED "noKey") when there is none. */
const struct key *vault_pending(struct vault *v, const char *cert, const struct buf **pem, struct err *err) __attribute__((warn_unused_result));
/* The key of this PEM text is installed: it waits no longer. Nothing happens when another one, or none, is waiting. */
void vault_installed(struct vault *v, const char *cert, const struct buf *pem);

#endif
