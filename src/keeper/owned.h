/* SPDX-License-Identifier: ISC */
/* Whose the files of a target are and who may read them: set before there is a byte in a file, so that the wrong people never could open it. */
#ifndef DOVAD_KEEPER_OWNED_H
#define DOVAD_KEEPER_OWNED_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/conf.h"

struct owned {
	const char *place; /* for errors: what services read; borrowed */
	uid_t uid;         /* (uid_t)-1: left as ours */
	gid_t gid;
	mode_t mode;       /* of the files */
};

/* Looks the configured user and group up; target NULL: none, 0640. */
bool owned_find(struct owned *o, const char *place, const struct conf_target *target, struct err *err) __attribute__((warn_unused_result));
/* Owner and group of an open file or folder, and this mode. */
bool owned_give(const struct owned *o, int fd, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/* A new file below dir, for the caller to sync and close. -1 on error; a part of it may be there then. */
int owned_create(const struct owned *o, int dir, const char *name, const struct buf *b, struct err *err) __attribute__((warn_unused_result));
/* Are owner, group and mode of a file as wanted? */
bool owned_fits(const struct owned *o, const struct stat *st);

#endif
