/* SPDX-License-Identifier: ISC */
/* What a generation holds, in memory: the four files services read, and the manifest by which a torn generation is known. */
#ifndef DOVAD_KEEPER_BUNDLE_H
#define DOVAD_KEEPER_BUNDLE_H

#include "base/buf.h"

enum place_file { PLACE_KEY, PLACE_CERT, PLACE_CHAIN, PLACE_FULLCHAIN, PLACE_FILES };
enum { BUNDLE_FILE_MAX = 1024 * 1024 };

extern const char *const bundle_file_names[PLACE_FILES];

struct bundle {
	struct buf file[PLACE_FILES];
	struct buf manifest; /* "SHA-256  NAME" per file, as sha256sum -c reads it */
};
void bundle_init(struct bundle *b);
void bundle_wipe(struct bundle *b);
/* Writes the manifest from the files. */
void bundle_seal(struct bundle *b);
/* Is this its manifest, too? */
bool bundle_fits(const struct bundle *b, const struct buf *manifest);

#endif
