/* SPDX-License-Identifier: ISC */
#include "crypto/digest.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/ossl.h"

enum { SUM = 32, ITERATIONS = 20000 };

static char *format(const unsigned char sum[SUM], char out[DIGEST_HEX])
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < SUM; i++) {
		out[2 * i] = digit[sum[i] >> 4];
		out[2 * i + 1] = digit[sum[i] & 15];
	}
	out[DIGEST_HEX - 1] = '\0';
	return out;
}

static _Noreturn void give_up(const char *what)
{
	log_error("OpenSSL cannot do what everything rests on", "what", what, NULL);
	exit(1);
}

char *digest_sha256_hex(const void *data, size_t len, char out[DIGEST_HEX])
{
	unsigned char sum[SUM];

	if (!ossl_sha256(data, len, sum))
		give_up("SHA-256");
	return format(sum, out);
}

char *digest_salt(char out[DIGEST_HEX])
{
	unsigned char salt[SUM];

	if (RAND_bytes(salt, sizeof(salt)) != 1)
		give_up("random bytes");
	return format(salt, out);
}

char *digest_password(const char *password, const char *salt, char out[DIGEST_HEX])
{
	unsigned char sum[SUM];

	if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)salt, (int)strlen(salt), ITERATIONS, EVP_sha256(), sizeof(sum), sum) != 1)
		give_up("PBKDF2");
	return format(sum, out);
}
