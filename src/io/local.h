/* SPDX-License-Identifier: ISC */
/* Which addresses are this host's. */
#ifndef DOVAD_IO_LOCAL_H
#define DOVAD_IO_LOCAL_H

#include "io/addr.h"

/* Loopback, or an address of one of its interfaces. Nothing is sent. */
bool local_has(const struct addr *a);

#endif
