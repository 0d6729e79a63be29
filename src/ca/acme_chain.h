/* SPDX-License-Identifier: ISC */
/* Download of a certificate chain and, where one root is preferred, the choice among the CA's alternates. */
#ifndef DOVAD_CA_ACME_CHAIN_H
#define DOVAD_CA_ACME_CHAIN_H

#include "ca/acme_client.h"

enum { ACME_ALTERNATES_MAX = 10 };

struct acme_chain_request {
	const char *name; /* of the ca entry, for logs */
	const char *url, *kid;
	const char *preferred; /* common name of the root; NULL: the default chain */
};

/* pem is borrowed and NULL when err is set: exactly as the CA sent it; it was looked into (x509_parse) only where one root is preferred. Once, never from
 * inside the call. Without an alternate that ends at the preferred root and is for the same certificate, the default chain is the answer, with a warning in
 * the log. */
typedef void acme_chain_done(void *arg, const char *pem, size_t len, const struct err *err);
struct acme_chain;
struct acme_chain *acme_chain_fetch(struct acme_client *client, const struct acme_chain_request *request, acme_chain_done *done, void *arg);
void acme_chain_cancel(struct acme_chain *f); /* NULL is fine */

#endif
