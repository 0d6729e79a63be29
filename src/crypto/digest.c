/* SPDX-License-Identifier: ISC */
#include "crypto/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

char *digest_sha256_hex(const void *data, size_t len, char out[DIGEST_HEX])
{
	unsigned char sum[32];

	if (EVP_Digest(data, len, sum, NULL, EVP_sha256(), NULL) != 1) {
		log_error("OpenSSL has no SHA-256", NULL);
		exit(1);
	}
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	return out;
}
