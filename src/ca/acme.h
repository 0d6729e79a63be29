/* SPDX-License-Identifier: ISC */
/* The ACME (RFC 8555) issuer. */
#ifndef DOVAD_CA_ACME_H
#define DOVAD_CA_ACME_H

#include "ca/issuer.h"
#include "io/dns.h"
#include "io/rpc.h"

struct acme_options {
	const char *name;            /* of the ca entry: the keeper knows the account key by it */
	const char *directory;       /* https URL */
	const char *const *contact;
	size_t ncontact;
	bool agree_tos;
	bool eab;                    /* ask the keeper to bind new accounts */
	const char *ca_file;         /* NULL: system */
	bool allow_private;
	const char *preferred_chain; /* NULL: default chain */
	struct dns *dns;             /* borrowed */
	struct rpc *keeper;          /* borrowed: signs */
	struct issuer_memory memory;
};
/* Options are copied. No request leaves before the first operation. */
struct issuer *acme_new(const struct acme_options *options, struct err *err) __attribute__((warn_unused_result));

#endif
