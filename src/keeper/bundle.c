/* SPDX-License-Identifier: ISC */
#include "keeper/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "crypto/digest.h"

const char *const bundle_file_names[CONF_PARTS] = {
	[CONF_PART_KEY] = "privkey.pem",
	[CONF_PART_CERT] = "cert.pem",
	[CONF_PART_CHAIN] = "chain.pem",
	[CONF_PART_FULLCHAIN] = "fullchain.pem",
	[CONF_PART_BUNDLE] = "bundle.pem",
	[CONF_PART_PKCS12] = "bundle.p12",
	[CONF_PART_KEY_DER] = "privkey.der",
	[CONF_PART_CERT_DER] = "cert.der",
	[CONF_PART_PUBKEY] = "pubkey.pem",
};

void bundle_init(struct bundle *b)
{
	for (int i = 0; i < CONF_PARTS; i++)
		buf_init(&b->file[i], BUNDLE_FILE_MAX);
	buf_init(&b->manifest, BUNDLE_FILE_MAX);
	b->parts = BUNDLE_PEM;
}

void bundle_wipe(struct bundle *b)
{
	for (int i = 0; i < CONF_PARTS; i++)
		buf_wipe(&b->file[i]);
	buf_free(&b->manifest);
	b->parts = BUNDLE_PEM;
}

bool bundle_has(const struct bundle *b, enum conf_part part)
{
	return b->parts & 1u << part;
}

const struct buf *bundle_key(const struct bundle *b)
{
	return &b->file[bundle_has(b, CONF_PART_PUBKEY) ? CONF_PART_PUBKEY : CONF_PART_KEY];
}

bool bundle_set_key(struct bundle *b, const struct buf *text, bool on_token)
{
	enum conf_part part = on_token ? CONF_PART_PUBKEY : CONF_PART_KEY;

	b->parts = (b->parts & ~(unsigned)BUNDLE_KEYS) | 1u << part;
	return buf_add(&b->file[part], text->data, text->len);
}

/* One key, not two. */
static bool is_complete(unsigned parts)
{
	unsigned keys = parts & BUNDLE_KEYS;

	return (parts & BUNDLE_CERTS) == BUNDLE_CERTS && keys && keys != BUNDLE_KEYS;
}

void bundle_seal(struct bundle *b)
{
	char sum[DIGEST_HEX];

	buf_reset(&b->manifest);
	for (int i = 0; i < CONF_PARTS; i++) {
		if (!bundle_has(b, i))
			continue;
		digest_sha256_hex(b->file[i].data ? b->file[i].data : "", b->file[i].len, sum);
		if (!buf_printf(&b->manifest, "%s  %s\n", sum, bundle_file_names[i]))
			abort(); /* some short lines fit */
	}
}

bool bundle_fits(const struct bundle *b, const struct buf *manifest)
{
	return b->manifest.len == manifest->len && (!manifest->len || memcmp(b->manifest.data, manifest->data, manifest->len) == 0);
}

/* What else stands there makes the comparison with our own fail. */
static unsigned named_parts(const struct buf *manifest)
{
	unsigned parts = 0;
	char line[64];

	for (int i = 0; manifest->len && i < CONF_PARTS; i++) {
		snprintf(line, sizeof(line), "  %s\n", bundle_file_names[i]);
		if (strstr(manifest->data, line))
			parts |= 1u << i;
	}
	return parts;
}

bool bundle_load(struct bundle *b, int dir, struct err *err)
{
	struct buf manifest;
	bool ok;

	buf_init(&manifest, BUNDLE_FILE_MAX);
	ok = file_read(dir, BUNDLE_MANIFEST, BUNDLE_FILE_MAX, &manifest, NULL, err);
	b->parts = named_parts(&manifest);
	for (int i = 0; ok && i < CONF_PARTS; i++)
		ok = !bundle_has(b, i) || file_read(dir, bundle_file_names[i], BUNDLE_FILE_MAX, &b->file[i], NULL, err);
	if (ok) {
		bundle_seal(b);
		ok = is_complete(b->parts) && bundle_fits(b, &manifest);
		if (!ok)
			err_set(err, ERR_LOCAL, "torn", "a file is not what was written");
	}
	buf_free(&manifest);
	return ok;
}
