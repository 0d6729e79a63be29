/* SPDX-License-Identifier: ISC */
/* Inside of keeper/vault.h, for vault*.c only: vault.c has the keys and requests that wait, vault_account.c those of accounts. */
#ifndef DOVAD_KEEPER_VAULT_INNER_H
#define DOVAD_KEEPER_VAULT_INNER_H

#include <sys/queue.h>

#include "keeper/room.h"
#include "keeper/token.h"
#include "keeper/vault.h"

enum {
	PEM_CAP = 64 * 1024,
	CSR_CAP = 256 * 1024, /* of its DER */
	PENDING_CAP = PEM_CAP + 3 * (CSR_CAP / 2), /* of the two as text in one file */
	NAME_ROOM = 80, /* "." name ".pem" */
};

struct pending {
	LIST_ENTRY(pending) link;
	char *cert;
	char *csr;       /* base64url; "": none that can be read */
	char *names;     /* that csr is known to be for, by key; NULL: not looked into yet, which costs as much as making it */
	struct key *key; /* NULL: not read yet. Reading and writing one costs more than all else that is done with it */
	struct buf pem;  /* its text */
};

struct vault {
	int accounts_fd, pending_fd;
	struct room room;
	struct tokens *tokens;
	struct account *accounts;
	unsigned char (*digests)[32];
	size_t naccounts;
	LIST_HEAD(, pending) pending;
};

/* name.suffix -> *name; false for anything else. */
bool vault_parse_name(const char *entry, const char *suffix, char name[NAME_ROOM]) __attribute__((warn_unused_result));
/* RFC 8555 section 11.1: a certificate for an account's key would give whoever has it the account. */
bool vault_is_account_key(const struct vault *v, const struct key *key);
void vault_found_account(struct vault *v, const char *entry);
void vault_accounts_free(struct vault *v);

#endif
