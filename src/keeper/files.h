/* SPDX-License-Identifier: ISC */
/* Separately named files of one `install` entry, for what can read no folder. All are written beside their names and made to last first, then renamed one
 * directly after the other, the key first: only a reader between these renames sees some new and some old ones. When one of them fails the others are
 * taken back. */
#ifndef DOVAD_KEEPER_FILES_H
#define DOVAD_KEEPER_FILES_H

#include <limits.h>

#include "io/sync.h"
#include "keeper/bundle.h"
#include "keeper/owned.h"

struct files_one {
	int dir; /* the folder it is in; -1: it is not wanted */
	char name[NAME_MAX + 1];
	char fresh[NAME_MAX + 1]; /* ".NAME.dovad-new": about to be renamed */
	char old[NAME_MAX + 1];   /* ".NAME.dovad-old": what stood there, until all renames are done */
	bool written, kept;       /* fresh is there; so is old */
};

struct files {
	const struct conf_target *target; /* borrowed */
	struct owned owner;
	struct files_one one[CONF_PARTS];
};

/* Opens the folders, as those of a place. Names that something else than a file or a symbolic link has are errors when something is written. */
bool files_open(struct files *f, const struct conf_target *target, struct err *err) __attribute__((warn_unused_result));
void files_close(struct files *f); /* harmless when opening failed */
/* Does each file hold its part of the bundle, with the owner and mode wanted? */
bool files_hold(const struct files *f, const struct bundle *b);
/* Writes and switches, each synced. b has the parts that the target names. */
bool files_put(struct files *f, const struct bundle *b, struct err *err) __attribute__((warn_unused_result));
/* The two steps of it, for many at once. What a step adds to `s` is to be synced before the next one. Nothing is written when all is there. */
bool files_write(struct files *f, const struct bundle *b, struct sync *s, struct err *err) __attribute__((warn_unused_result));
bool files_point(struct files *f, struct sync *s, struct err *err) __attribute__((warn_unused_result));
void files_undo(struct files *f); /* takes the first one back */
/* Removes what an interrupted files_put left. */
void files_clean(struct files *f);

#endif
