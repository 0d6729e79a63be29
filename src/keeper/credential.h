/* SPDX-License-Identifier: ISC */
/* Secrets that the configuration names and does not hold: of CAs, of name servers, of hooks. */
#ifndef DOVAD_KEEPER_CREDENTIAL_H
#define DOVAD_KEEPER_CREDENTIAL_H

#include "base/buf.h"
#include "base/err.h"

/* A secret by its credential name: of the service manager ($CREDENTIALS_DIRECTORY), else a file in `folder`, ours or root's and closed to others.
 * Final line ends are dropped. Caller wipes out. */
bool credential_read(const char *folder, const char *name, struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
