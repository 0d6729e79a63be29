/* SPDX-License-Identifier: ISC */
/* A key file from disk. What is taken must be the same key when it is written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	struct key *k = key_parse((const char *)data, size, &err), *again;
	unsigned char before[32], after[32];
	struct buf pem;

	if (!k) {
		check(err.kind == ERR_INPUT && err.detail[0]);
		return 0;
	}
	buf_init(&pem, 0);
	/* Kinds we do not use need not be complete: only ours were tried out. */
	if (key_type(k) != KEY_TYPES) {
		check(key_digest(k, before, NULL) && key_format(k, &pem, NULL));
		again = key_parse(pem.data, pem.len, NULL);
		check(again && key_type(again) == key_type(k) && key_equal(k, again) && key_digest(again, after, NULL));
		check(memcmp(before, after, sizeof before) == 0);
		key_free(again);
	}
	buf_wipe(&pem);
	key_free(k);
	return 0;
}
