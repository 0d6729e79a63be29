/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/jose.h"
#include "keeper/vault_inner.h"

/* Takes over key. */
static struct account *add_account(struct vault *v, const char *ca, struct key *key, struct err *err)
{
	struct account *a = mem_alloc(sizeof(*a));

	a->key = key;
	a->thumbprint = jose_thumbprint(key, err);
	if (!a->thumbprint || !key_digest(key, a->digest, err)) {
		key_free(key);
		free(a->thumbprint);
		free(a);
		return NULL;
	}
	a->ca = mem_strdup(ca);
	a->next = v->accounts;
	v->accounts = a;
	v->digests = mem_resize(v->digests, v->naccounts + 1, sizeof(*v->digests));
	memcpy(v->digests[v->naccounts++], a->digest, sizeof(a->digest));
	return a;
}

void vault_found_account(struct vault *v, const char *entry)
{
	char ca[NAME_ROOM];
	struct key *key;
	struct buf pem;
	struct err err;

	if (!vault_parse_name(entry, ".pem", ca))
		return;
	buf_init(&pem, PEM_CAP);
	key = file_read(v->accounts_fd, entry, PEM_CAP, &pem, NULL, &err) ? key_parse(pem.data ? pem.data : "", pem.len, &err) : NULL;
	buf_wipe(&pem);
	if (!key || !add_account(v, ca, key, &err))
		log_error("an account key cannot be read", "ca", ca, "error", err.detail, NULL);
}

static struct account *make_account(struct vault *v, const struct conf_ca *ca, const char *name, struct err *err)
{
	const struct conf_key *wanted = &ca->account_key;
	struct key *key = wanted->uri ? tokens_find(v->tokens, wanted, err) : key_generate((enum key_type)wanted->type, err);
	struct buf pem;
	bool ok;

	if (!key)
		return NULL;
	buf_init(&pem, PEM_CAP);
	ok = key_format(key, &pem, err) && file_write_atomic(v->accounts_fd, name, pem.data, pem.len, 0600, err);
	buf_wipe(&pem);
	if (!ok) {
		unlinkat(v->accounts_fd, name, 0); /* whose folder could not be synced: not to be taken for one that cannot be read */
		key_free(key);
		return NULL;
	}
	log_notice(wanted->uri ? "account key found on its token" : "account key made", "ca", ca->name, "type", key_type_name(key_type(key)), "uri",
		wanted->uri, NULL);
	return add_account(v, ca->name, key, err);
}

/* The type of a key that is here may differ from the configured one, which is for the next account. Where the key is, is another matter. */
static const struct account *ready(struct vault *v, struct account *a, const struct conf_ca *ca, struct err *err)
{
	const char *uri = key_uri(a->key), *wanted = ca->account_key.uri;

	if (!uri && !wanted)
		return a;
	if (uri && wanted && strcmp(uri, wanted) == 0)
		return tokens_bind(v->tokens, a->key, &ca->account_key, err) ? a : NULL;
	err_set(err, ERR_LOCAL, "account-key", "the account at \"%s\" was made with %s%s, account_key says another one: move accounts/%s.pem away for a new account",
		ca->name, uri ? "the key " : "a key in a file", uri ? uri : "", ca->name);
	return NULL;
}

const struct account *vault_account(struct vault *v, const struct conf_ca *ca, struct err *err)
{
	char name[NAME_ROOM + 8];

	for (struct account *a = v->accounts; a; a = a->next)
		if (strcmp(a->ca, ca->name) == 0)
			return ready(v, a, ca, err);
	snprintf(name, sizeof(name), "%s.pem", ca->name);
	if (faccessat(v->accounts_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return make_account(v, ca, name, err);
	err_set(err, ERR_LOCAL, "account-key", "the account key accounts/%s cannot be read: restore it from a backup, or move it away for a new account",
		name);
	return NULL;
}

const unsigned char (*vault_account_digests(const struct vault *v, size_t *n))[32]
{
	*n = v->naccounts;
	return (const unsigned char (*)[32])v->digests;
}

bool vault_is_account_key(const struct vault *v, const struct key *key)
{
	unsigned char digest[32];

	if (!key_digest(key, digest, NULL))
		return true;
	for (size_t i = 0; i < v->naccounts; i++)
		if (memcmp(v->digests[i], digest, sizeof(digest)) == 0)
			return true;
	return false;
}

void vault_accounts_free(struct vault *v)
{
	while (v->accounts) {
		struct account *a = v->accounts;

		v->accounts = a->next;
		key_free(a->key);
		free(a->thumbprint);
		free(a->ca);
		free(a);
	}
	free(v->digests);
}
