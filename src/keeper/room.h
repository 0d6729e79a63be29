/* SPDX-License-Identifier: ISC */
/* Could what comes of an order be stored? Tried, not computed: quotas and reserves of the disk are nobody's to know. */
#ifndef DOVAD_KEEPER_ROOM_H
#define DOVAD_KEEPER_ROOM_H

#include "base/err.h"

struct room {
	int dir;   /* borrowed: the folder that is written to */
	int probe; /* -1: not made yet */
};

/* ERR_LOCAL with the reason: full, read-only, broken. */
bool room_check(struct room *r, struct err *err) __attribute__((warn_unused_result));
void room_close(struct room *r);

#endif
