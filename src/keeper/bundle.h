/* SPDX-License-Identifier: ISC */
/* What a generation holds, in memory: the four files services read, and the manifest by which a torn generation is known. */
#ifndef DOVAD_KEEPER_BUNDLE_H
#define DOVAD_KEEPER_BUNDLE_H

#include "base/buf.h"

enum place_file { PLACE_KEY, PLACE_CERT, PLACE_CHAIN, PLACE_FULLCHAIN, PLACE_FILES };

extern const char *const bundle_file_names[PLACE_FILES];

struct bundle {
	struct buf file[PLACE_FILES];
	struct buf manifest; /* "SHA-256  NAME" per file, as sha256sum -c reads it */
};
void bundle_init(struct bundle *b);
void bundle_wipe(struct bundle *b);
/* Writes the manifest from the files. */
void bundle_seal(struct bundle *b);
/* The same files? By the manifests, both sealed. */
bool bundle_is_same(const struct bundle *a, const struct bundle *b);

#endif
