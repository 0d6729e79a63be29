/* SPDX-License-Identifier: ISC */
#include "keeper/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"

const char *const bundle_file_names[PLACE_FILES] = {
	[PLACE_KEY] = "privkey.pem",
	[PLACE_CERT] = "cert.pem",
	[PLACE_CHAIN] = "chain.pem",
	[PLACE_FULLCHAIN] = "fullchain.pem",
};

void bundle_init(struct bundle *b)
{
	for (int i = 0; i < PLACE_FILES; i++)
		buf_init(&b->file[i], BUNDLE_FILE_MAX);
	buf_init(&b->manifest, BUNDLE_FILE_MAX);
}

void bundle_wipe(struct bundle *b)
{
	for (int i = 0; i < PLACE_FILES; i++)
		buf_wipe(&b->file[i]);
	buf_free(&b->manifest);
}

void bundle_seal(struct bundle *b)
{
	char sum[DIGEST_HEX];

	buf_reset(&b->manifest);
	for (int i = 0; i < PLACE_FILES; i++) {
		digest_sha256_hex(b->file[i].data ? b->file[i].data : "", b->file[i].len, sum);
		if (!buf_printf(&b->manifest, "%s  %s\n", sum, bundle_file_names[i]))
			abort(); /* four short lines fit */
	}
}

bool bundle_fits(const struct bundle *b, const struct buf *manifest)
{
	return b->manifest.len == manifest->len && (!manifest->len || memcmp(b->manifest.data, manifest->data, manifest->len) == 0);
}
