/* SPDX-License-Identifier: ISC */
/* One `install` entry: a folder (place.h) or separately named files (files.h), in the forms it wants. What both do is done here the same way. */
#ifndef DOVAD_KEEPER_TARGET_H
#define DOVAD_KEEPER_TARGET_H

#include "keeper/files.h"
#include "keeper/place.h"

struct target {
	const struct conf_cert *cert; /* these two borrowed */
	const struct conf_target *conf;
	struct place place;           /* with conf->dir */
	struct files files;           /* without */
};

bool target_open(struct target *t, const struct conf_cert *cert, const struct conf_target *conf, struct err *err) __attribute__((warn_unused_result));
void target_close(struct target *t);
/* The steps of place.h; b: the four PEM files. */
bool target_write(struct target *t, const struct bundle *b, struct sync *s, struct err *err) __attribute__((warn_unused_result));
bool target_name(struct target *t, struct sync *s, struct err *err) __attribute__((warn_unused_result));
bool target_point(struct target *t, struct sync *s, struct err *err) __attribute__((warn_unused_result));
void target_undo(struct target *t);

/* All targets of a certificate get what they want of the bundle. Every one is tried; the first failure is told, the others are logged. */
bool targets_put(const struct conf_cert *cert, const struct bundle *b, struct err *err) __attribute__((warn_unused_result));
/* The same where one is not as it should be: leftovers of a crash go, too. Failures are logged. true: something was written. */
bool targets_repair(const struct conf_cert *cert, const struct bundle *b);
/* Old generations beyond `keep` go. */
bool targets_prune(const struct conf_cert *cert, int keep, struct err *err) __attribute__((warn_unused_result));

#endif
