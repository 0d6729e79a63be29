/* SPDX-License-Identifier: ISC */
/* The forms in which a target wants a key and its chain, made of the four PEM files. The same input always makes the same bytes, so whether a target
 * holds what it should is told by making it again. */
#ifndef DOVAD_KEEPER_FORMAT_H
#define DOVAD_KEEPER_FORMAT_H

#include "keeper/bundle.h"

/* What a target gets of a bundle with these parts (bits as of struct bundle): the configured ones, and the key of a folder as it is. */
unsigned format_parts(const struct conf_target *t, unsigned from);
/* `made`, which was bundle_init'ed, gets what this target of this certificate wants of `from`, and its manifest. Wipe it in any case. */
bool format_make(const struct conf_cert *cert, const struct conf_target *t, const struct bundle *from, struct bundle *made, struct err *err)
	__attribute__((warn_unused_result));

#endif
