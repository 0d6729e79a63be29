/* SPDX-License-Identifier: ISC */
/* Domain names as admins write them and as CAs want them (libidn2). */
#ifndef DOVAD_CORE_NAME_H
#define DOVAD_CORE_NAME_H

#include "base/err.h"

enum { NAME_ROOM = 254 }; /* 253 octets and NUL */

/* Any case, IDN, one trailing dot -> lower-case A-label form in out. Refused (ERR_INPUT, the reason in words): empty labels, over 63 or 253
 * octets, underscores, leading or trailing hyphen, a single label, IP addresses ("not in this version"), `*` anywhere but as the
 * whole first label, `*.` before a single label, two wildcards. */
bool name_normalise(const char *text, char out[NAME_ROOM], struct err *err) __attribute__((warn_unused_result));
/* The same for names that only the DNS has to like (zones, servers, keys): underscores and single labels are fine, `*` is not. */
bool name_normalise_dns(const char *text, char out[NAME_ROOM], struct err *err) __attribute__((warn_unused_result));
bool name_is_wildcard(const char *name);
/* Does `pattern` (a host name or a wildcard) cover host `name` as TLS clients match it? */
bool name_covers(const char *pattern, const char *name);

const char *name_library(void); /* the library behind this and its version */

#endif
