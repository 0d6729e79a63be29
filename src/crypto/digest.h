/* SPDX-License-Identifier: ISC */
/* SHA-256 over bytes in memory. */
#ifndef DOVAD_CRYPTO_DIGEST_H
#define DOVAD_CRYPTO_DIGEST_H

#include <stddef.h>

enum { DIGEST_HEX = 65 }; /* 64 lower-case hex digits and NUL */

/* Into out[DIGEST_HEX]; returns out. Cannot fail: SHA-256 is in every OpenSSL, its absence ends the process. */
char *digest_sha256_hex(const void *data, size_t len, char out[DIGEST_HEX]);

#endif
