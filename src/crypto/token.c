/* SPDX-License-Identifier: ISC */
#include "crypto/token.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/ossl.h"
#include "crypto/token_inner.h"

#define P11_KIT "p11-kit-proxy.so"

/* The token was told the PIN; provider and engine ask for it all the same, before they see that it was. */
static int tell_pin(char *out, int room, int writing, void *access)
{
	const struct token_access *a = access;
	size_t len = a->pin ? strlen(a->pin) : 0;

	(void)writing;
	if (!len || len >= (size_t)room)
		return -1;
	memcpy(out, a->pin, len + 1);
	return (int)len;
}

/* SoftHSM for one calls OpenSSL itself, in the library's common context: were the provider there, too, it would wait for itself. */
static OSSL_LIB_CTX *open_provider(const struct token_access *a)
{
	OSSL_LIB_CTX *lib = setenv("PKCS11_PROVIDER_MODULE", a->module, 1) == 0 ? OSSL_LIB_CTX_new() : NULL;

	if (lib && OSSL_PROVIDER_load(lib, "default") && OSSL_PROVIDER_load(lib, "pkcs11"))
		return lib;
	OSSL_LIB_CTX_free(lib);
	return NULL;
}

static EVP_PKEY *load_from(OSSL_LIB_CTX *lib, const struct token_access *a, UI_METHOD *ui)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open_ex(a->uri, lib, NULL, ui, (void *)a, NULL, NULL, NULL);
	EVP_PKEY *pkey = NULL;

	/* Only private keys: the public half is found under the same name. */
	while (store && !pkey && !OSSL_STORE_eof(store) && !OSSL_STORE_error(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			pkey = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	return pkey;
}

/* *lib: the context of the key. NULL and *err. */
static EVP_PKEY *load(const struct token_access *a, const char *backend, OSSL_LIB_CTX **lib, struct err *err)
{
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(tell_pin, 0);
	EVP_PKEY *pkey;

	*lib = NULL;
	if (strcmp(backend, "provider") == 0 && !(*lib = open_provider(a))) {
		ossl_fail(err, ERR_LOCAL, "token", "OpenSSL's provider does not start with this module; one that keeps files must be able to write there "
			"(dovad.conf(5), KEYS ON TOKENS)");
		return NULL;
	}
	pkey = !ui ? NULL : *lib ? load_from(*lib, a, ui) : token_engine_load(a, ui);
	if (!pkey)
		ossl_fail(err, ERR_LOCAL, "token", "the token has no such private key that OpenSSL can use");
	return pkey;
}

struct key *token_open(const struct token_access *asked, struct err *err)
{
	static struct token_access a; /* what OpenSSL keeps a pointer to lives as long as the process */
	const char *backend = token_backend(err);
	OSSL_LIB_CTX *lib;
	EVP_PKEY *pkey;
	struct key *k;

	a = *asked;
	if (!a.module)
		a.module = P11_KIT;
	pkey = backend && token_login(&a, err) ? load(&a, backend, &lib, err) : NULL;
	if (!pkey)
		return NULL;
	k = mem_alloc(sizeof(*k));
	k->pkey = pkey;
	k->lib = lib;
	if (key_type(k) != KEY_TYPES)
		return k;
	err_set(err, ERR_LOCAL, "token", "the key is neither RSA of 2048, 3072 or 4096 bits nor ECDSA on P-256 or P-384: CAs take no other");
	key_free(k);
	return NULL;
}

static bool is_there(const char *folder, const char *file)
{
	char *path = folder ? mem_printf("%s/%s", folder, file) : NULL;
	bool there = path && access(path, R_OK) == 0;

	free(path);
	return there;
}

/* OPENSSL_info() does not look at the environment, the library does. */
static const char *folder_of(const char *variable, int info)
{
	const char *own = secure_getenv(variable);

	return own ? own : OPENSSL_info(info);
}

const char *token_backend(struct err *err)
{
	if (is_there(folder_of("OPENSSL_MODULES", OPENSSL_INFO_MODULES_DIR), "pkcs11.so"))
		return "provider";
	if (token_engine_is_built() && is_there(folder_of("OPENSSL_ENGINES", OPENSSL_INFO_ENGINES_DIR), "pkcs11.so"))
		return "engine";
	err_set(err, ERR_LOCAL, "token", "OpenSSL here has no way to PKCS#11 tokens: install pkcs11-provider or libengine-pkcs11-openssl");
	return NULL;
}
