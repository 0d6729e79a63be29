/* SPDX-License-Identifier: ISC */
/* What an account key may sign: the table of payload shapes, and the URLs. The protected header is built here. */
#ifndef DOVAD_KEEPER_SIGN_H
#define DOVAD_KEEPER_SIGN_H

#include "base/json.h"
#include "keeper/vault.h"

struct sign_wish {
	const char *url, *nonce;
	const char *kid;     /* the account's URL; NULL: the JWK goes into the header */
	const char *payload; /* exact text; "": POST-as-GET */
	bool bind;           /* add externalAccountBinding to a newAccount payload when the CA has eab */
};
/* The rules alone; false and *err (ERR_DENIED "policy") says which one was broken. A finalize payload holds the request that waits for a certificate
 * of this CA, by its own key, for the names it has now. ERR_LOCAL: an order whose key or certificate could not be stored. */
bool sign_check(struct vault *v, const struct conf *c, const struct conf_ca *ca, const struct sign_wish *wish, struct err *err)
	__attribute__((warn_unused_result));
/* Checks, then signs. Caller owns the flattened JWS. */
char *sign_jws(struct vault *v, const struct conf *c, const struct conf_ca *ca, const struct sign_wish *wish, struct err *err)
	__attribute__((warn_unused_result));

#endif
