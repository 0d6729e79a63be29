/* SPDX-License-Identifier: ISC */
/* The bed the tests of the ACME issuer lie in: the real issuer, a scripted CA, a keeper, a memory; and answers copied so that they outlive the call.
 */
#ifndef DOVAD_TESTS_ACMEBED_H
#define DOVAD_TESTS_ACMEBED_H

#include "ca/acme.h"
#include "fakeca.h"
#include "fakekeeper.h"

enum { ACMEBED_NOW = 1790000000 }; /* the frozen clock */

struct got { /* one call and what came of it */
	struct issuer_call *call;
	bool over;
	unsigned times;
	struct err err; /* kind ERR_NONE: it went well */
	struct arena *arena;
	struct issuer_order *order; /* NULL: none in the answer */
	struct issuer_authz *authz;
	char *chain, *text, *identity; /* identity: "name,name account" */
	int64_t wait_ms;
	void (*then)(struct got *g); /* called from inside done() */
	void *arg;
	struct got *next;
};

struct bed {
	struct fakeca *ca;
	struct fakekeeper keeper;
	struct dns *dns;
	struct issuer *issuer;
	struct js *memory;
	unsigned saves;
	struct acme_options options; /* as given to acme_new; change, then bed_restart */
	struct got *gots;
	char *directory;
};

/* cmocka's setup and teardown; teardown fails the test on a broken rule of the CA's. */
int bed_setup(void **state);
int bed_teardown(void **state);
/* A new issuer with b->options and the same memory: a restart of the daemon. */
void bed_restart(struct bed *b);

struct got *bed_got(struct bed *b);
void bed_done(void *arg, const struct issuer_answer *answer, const struct err *err); /* arg: struct got */
struct got *bed_wait(struct got *g);						     /* turns the loop until it is over; returns g */
void bed_turn(struct bed *b, bool (*until)(struct bed *b));

/* One operation, begun and awaited. */
struct got *bed_account(struct bed *b);
struct got *bed_create(struct bed *b, const char *name); /* "a b": two names */
struct got *bed_order(struct bed *b, const char *path);
struct got *bed_authz(struct bed *b, const char *path);
struct got *bed_announce(struct bed *b, const char *path);
struct got *bed_finalize(struct bed *b, const char *csr);
struct got *bed_fetch(struct bed *b, const char *path);
struct got *bed_deactivate(struct bed *b, const char *path);
struct got *bed_identify(struct bed *b);
struct got *bed_revoke(struct bed *b, const char *cert, int reason);

/* Lasting and one-time answers to POSTs, in short. */
void bed_once(struct bed *b, const char *path, int status, const char *headers, const char *body);
void bed_always(struct bed *b, const char *path, int status, const char *headers, const char *body);
/* A problem document for the next POST to path; type without its prefix. */
void bed_problem(struct bed *b, const char *path, int status, const char *headers, const char *type);
/* Text of an order; more: further members, each with a comma before it. */
const char *bed_order_body(const char *status, const char *more);

void assert_ok(const struct got *g);
void assert_error(const struct got *g, enum err_kind kind, const char *type);
void assert_contains(const char *text, const char *part);

#endif
