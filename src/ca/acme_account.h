/* SPDX-License-Identifier: ISC */
/* The account at a CA: made once however many orders start at the same moment, found again by its key, never made anew lightly. */
#ifndef DOVAD_CA_ACME_ACCOUNT_H
#define DOVAD_CA_ACME_ACCOUNT_H

#include <sys/queue.h>

#include "ca/acme.h"
#include "ca/acme_client.h"

enum {
	ACME_ACCOUNT_AGAIN_S = 24 * 3600,   /* an account the CA has lost is made again at most this often */
	ACME_ACCOUNT_STOP_MS = 3600 * 1000, /* a refused account is not asked for again before, for whichever order */
};

struct acme_account;
/* options and client are borrowed; changed() is called when acme_account_save would tell something new. */
struct acme_account *acme_account_new(const struct acme_options *options, struct acme_client *client, void (*changed)(void *arg), void *arg);
void acme_account_free(struct acme_account *a); /* waits are forgotten; NULL is fine */

struct acme_wait { /* memory of its owner; cancel it before the memory goes */
	TAILQ_ENTRY(acme_wait) link;
	struct acme_account *account;
	enum { ACME_WAIT_NONE, ACME_WAIT_QUEUED, ACME_WAIT_DEFERRED } state;
	void (*ready)(void *arg, const struct err *err); /* err NULL: the account is usable */
	void *arg;
};
/* Is the account usable right now, without a question to anybody? */
bool acme_account_is_ready(const struct acme_account *a);
/* Look for it, or make it; ready() is called later, once. */
void acme_account_wait(struct acme_account *a, struct acme_wait *w, void (*ready)(void *arg, const struct err *err), void *arg);
void acme_account_cancel(struct acme_wait *w);
/* A request failed: does that put the account in doubt? Then true, and the next wait asks the CA about it. age is acme_account_age() when the request
 * was sent: what was looked at since is not doubted again. */
bool acme_account_doubt(struct acme_account *a, unsigned age, const struct err *err);
unsigned acme_account_age(const struct acme_account *a);
/* A refusal that still stands is forgotten: the next wait asks again. */
void acme_account_retry(struct acme_account *a);

const char *acme_account_url(const struct acme_account *a);	   /* NULL: none */
const char *acme_account_thumbprint(const struct acme_account *a); /* NULL: not known yet */
/* What is kept over restarts, and back; memory of another directory or key is ignored. */
void acme_account_save(const struct acme_account *a, struct js *memory);
void acme_account_load(struct acme_account *a, const struct js *memory);
/* Adds account {url, thumbprint, status, error}. */
void acme_account_status(const struct acme_account *a, struct js *status);

#endif
