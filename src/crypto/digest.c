/* SPDX-License-Identifier: ISC */
#include "crypto/digest.h"

#include <stdlib.h>

#include "base/log.h"
#include "crypto/ossl.h"

char *digest_sha256_hex(const void *data, size_t len, char out[DIGEST_HEX])
{
	static const char digit[] = "0123456789abcdef";
	unsigned char sum[32];

	if (!ossl_sha256(data, len, sum)) {
		log_error("OpenSSL has no SHA-256", NULL);
		exit(1);
	}
	for (size_t i = 0; i < sizeof(sum); i++) {
		out[2 * i] = digit[sum[i] >> 4];
		out[2 * i + 1] = digit[sum[i] & 15];
	}
	out[DIGEST_HEX - 1] = '\0';
	return out;
}
