/* SPDX-License-Identifier: ISC */
/* Which URLs of a CA are followed: those of the directory's own host and port, by https. Every URL that enters is checked here once, so that no CA
 * can send us (or a request signed by its account key) anywhere else. */
#ifndef DOVAD_CA_ACME_URL_H
#define DOVAD_CA_ACME_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { ACME_URL_MAX = 2048 };

struct acme_origin {
	char host[256];
	uint16_t port;
};

/* The origin of the configured directory; ERR_INPUT "policy" when it is no https URL. */
bool acme_origin_parse(struct acme_origin *o, const char *directory, struct err *err) __attribute__((warn_unused_result));
/* ERR_DENIED "policy", naming the field the URL stood in, unless url is https, of this origin, at most ACME_URL_MAX bytes, printable ASCII and
 * without user info and fragment. */
bool acme_url_check(const struct acme_origin *o, const char *field, const char *url, struct err *err) __attribute__((warn_unused_result));

#endif
