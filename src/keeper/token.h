/* SPDX-License-Identifier: ISC */
/* Keys of the configuration that are on PKCS#11 tokens. Each use is one call in a copy of this process (io/aside.h), which loads the vendor's module, logs in,
 * and ends: a module that hangs or crashes takes nothing with it, a token that was pulled out and put back is found again. */
#ifndef DOVAD_KEEPER_TOKEN_H
#define DOVAD_KEEPER_TOKEN_H

#include "core/conf.h"
#include "crypto/key.h"

/* Refused PINs are remembered in a file of this folder (TOKEN_REFUSED), salted and hashed: each is tried once on a token, whoever restarts us. */
#define TOKEN_REFUSED "refused-pins"
struct tokens *tokens_new(int state); /* borrowed */
void tokens_free(struct tokens *t);   /* NULL is fine */

/* The key of a configured URI, as the token has it now; it signs by the token as long as the configuration stands. Caller owns. NULL and *err name the URI. */
struct key *tokens_find(struct tokens *t, const struct conf_key *wanted, struct err *err) __attribute__((warn_unused_result));
/* Lets one that was read from its text sign again. false: it is another one's. */
bool tokens_bind(struct tokens *t, struct key *k, const struct conf_key *wanted, struct err *err) __attribute__((warn_unused_result));

#endif
