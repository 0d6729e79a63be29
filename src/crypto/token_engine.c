/* SPDX-License-Identifier: ISC */
/* For OpenSSL 3.0 without a PKCS#11 provider (Debian 12). The only file that calls the deprecated ENGINE interface. */
#include <openssl/opensslconf.h>

#include "crypto/token_inner.h"

#ifndef OPENSSL_NO_ENGINE

#include <openssl/engine.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

EVP_PKEY *token_engine_load(const struct token_access *a, UI_METHOD *ui)
{
	ENGINE *e = ENGINE_by_id("pkcs11");

	if (!e || (a->module && ENGINE_ctrl_cmd_string(e, "MODULE_PATH", a->module, 0) != 1) || ENGINE_init(e) != 1)
		return NULL;
	return ENGINE_load_private_key(e, a->uri, ui, (void *)a); /* both live as long as the process */
}

bool token_engine_is_built(void)
{
	return true;
}

#else

EVP_PKEY *token_engine_load(const struct token_access *a, UI_METHOD *ui)
{
	(void)a, (void)ui;
	return NULL;
}

bool token_engine_is_built(void)
{
	return false;
}

#endif
