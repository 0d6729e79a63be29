/* SPDX-License-Identifier: ISC */
/* The SSL Certificates Service of Alibaba Cloud as an issuer. In this version it tells what the account has, and takes no orders. */
#ifndef DOVAD_CA_CAS_H
#define DOVAD_CA_CAS_H

#include "ca/issuer.h"
#include "io/dns.h"
#include "io/rpc.h"

struct cas_options {
	const char *name;       /* of the ca entry: the keeper knows the credentials by it */
	const char *address;    /* host, and port when it is not 443 */
	const char *access_key; /* its id, for people */
	const char *ca_file;    /* NULL: system */
	bool allow_private;
	struct dns *dns;    /* borrowed */
	struct rpc *keeper; /* borrowed: signs */
};
/* Options are copied. No request leaves before the first operation. */
struct issuer *cas_new(const struct cas_options *options, struct err *err) __attribute__((warn_unused_result));

#endif
