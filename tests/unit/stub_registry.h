/* SPDX-License-Identifier: ISC */
/* A registry and a history that do what a test says: linked instead of core/registry and core/store. */
#ifndef DOVAD_TESTS_STUB_REGISTRY_H
#define DOVAD_TESTS_STUB_REGISTRY_H

#include "core/registry.h"

struct stub_cert {
	struct cert *cert;
	struct conf_cert conf;
	const char *names[2];
};

struct registry {
	struct stub_cert *v; /* in name order */
	size_t n;
	struct registry_watch *watches;
	struct issuer *issuer;
	struct err renew_error; /* kind ERR_NONE: registry_renew agrees */
	unsigned renewals, summaries; /* how often asked for */
	bool forced;
	int reason; /* of the revocation under way */
	void (*revoked)(void *arg, const struct err *err);
	void *revoked_arg;
	void (*back)(void *arg, const struct err *err);
	void *back_arg;
	char *inventory; /* "alibaba 0": of which CA, and what; freed by the test */
	void (*listed)(void *arg, const struct js *list, const struct err *err);
	void *listed_arg;
	struct js *history; /* answer of store_history, NULL: empty */
	struct js *last_order; /* of the first certificate; NULL: none */
	int64_t not_before;    /* of the issuer */
	const char *trouble;   /* NULL: none */
	const char *at_risk;   /* of this name a renewal would fail; NULL: of none */
	unsigned checks, checks_most, checks_over; /* under way, most at one time, ended well */
	bool checks_silent;    /* they never end */
	bool checks_gone;      /* they find that the certificate left */
	size_t history_limit;
	char *history_cert;
};

extern struct registry stub;

void stub_open(size_t ncerts); /* named c00000, c00001, ...: waiting, renewed in a day and more */
void stub_close(void);
struct cert *stub_cert(size_t i);
void stub_remove(size_t i);
void stub_event(const char *cert, const char *event); /* to everybody who watches */
unsigned stub_watchers(void);

#endif
