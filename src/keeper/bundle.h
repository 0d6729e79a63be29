/* SPDX-License-Identifier: ISC */
/* What a generation holds, in memory: the files services read, and the manifest by which a torn generation is known. */
#ifndef DOVAD_KEEPER_BUNDLE_H
#define DOVAD_KEEPER_BUNDLE_H

#include "base/buf.h"
#include "base/err.h"
#include "core/conf.h"

enum {
	BUNDLE_FILE_MAX = 1024 * 1024,
	BUNDLE_CERTS = 1 << CONF_PART_CERT | 1 << CONF_PART_CHAIN | 1 << CONF_PART_FULLCHAIN, /* the parts that always are */
	BUNDLE_PEM = 1 << CONF_PART_KEY | BUNDLE_CERTS,
	BUNDLE_KEYS = 1 << CONF_PART_KEY | 1 << CONF_PART_PUBKEY, /* one of these two is, too */
};
#define BUNDLE_MANIFEST ".manifest"

extern const char *const bundle_file_names[CONF_PARTS];

struct bundle {
	struct buf file[CONF_PARTS];
	unsigned parts;      /* which of them it has: a bit for each */
	struct buf manifest; /* "SHA-256  NAME" per file, as sha256sum -c reads it */
};
void bundle_init(struct bundle *b); /* BUNDLE_PEM, empty */
void bundle_wipe(struct bundle *b);
bool bundle_has(const struct bundle *b, enum conf_part part);
/* The key's text, as key_format() has it, whichever part it is; and the same to be filled. */
const struct buf *bundle_key(const struct bundle *b);
bool bundle_set_key(struct bundle *b, const struct buf *text, bool on_token) __attribute__((warn_unused_result));
/* Writes the manifest from the files. */
void bundle_seal(struct bundle *b);
/* Is this its manifest, too? */
bool bundle_fits(const struct bundle *b, const struct buf *manifest);
/* The files of a folder that its manifest names; false, too, when one of them is not what it says. */
bool bundle_load(struct bundle *b, int dir, struct err *err) __attribute__((warn_unused_result));

#endif
