/* SPDX-License-Identifier: ISC */
#include "ca/issuer.h"

static const char *const names[] = {
	[ISSUER_PENDING] = "pending",
	[ISSUER_READY] = "ready",
	[ISSUER_PROCESSING] = "processing",
	[ISSUER_VALID] = "valid",
	[ISSUER_INVALID] = "invalid",
	[ISSUER_GONE] = "gone",
};

const char *issuer_status_name(enum issuer_status s)
{
	return (unsigned)s < sizeof names / sizeof names[0] ? names[s] : "unknown";
}
