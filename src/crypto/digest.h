/* SPDX-License-Identifier: ISC */
/* SHA-256 over bytes in memory, and over passwords. */
#ifndef DOVAD_CRYPTO_DIGEST_H
#define DOVAD_CRYPTO_DIGEST_H

#include <stddef.h>

enum { DIGEST_HEX = 65 }; /* 64 lower-case hex digits and NUL */

/* Into out[DIGEST_HEX]; returns out. Cannot fail: SHA-256 is in every OpenSSL, its absence ends the process. */
char *digest_sha256_hex(const void *data, size_t len, char out[DIGEST_HEX]);

/* A salt, and what a password is remembered by: slow to try others against (PBKDF2). In hex, into out[DIGEST_HEX]; return out. Cannot fail, as above. */
char *digest_salt(char out[DIGEST_HEX]);
char *digest_password(const char *password, const char *salt, char out[DIGEST_HEX]);

#endif
