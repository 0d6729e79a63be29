/* SPDX-License-Identifier: ISC */
/* The nonces a CA gave us and we have not spent: bounded, and dropped when old. Zeroed memory is an empty pool. */
#ifndef DOVAD_CA_ACME_NONCE_H
#define DOVAD_CA_ACME_NONCE_H

#include <stddef.h>
#include <stdint.h>

enum { ACME_NONCE_MAX = 64, ACME_NONCE_AGE_MS = 55 * 60 * 1000 };

struct acme_nonces {
	struct {
		char *text;
		int64_t at;	/* clock_boot_ms */
	} item[ACME_NONCE_MAX]; /* oldest first */
	size_t n;
};

/* Keep a copy; the oldest gives way when the pool is full. NULL is fine. */
void acme_nonce_put(struct acme_nonces *p, const char *nonce);
char *acme_nonce_take(struct acme_nonces *p); /* the freshest, caller owns; NULL: none left */
void acme_nonce_clear(struct acme_nonces *p);

#endif
