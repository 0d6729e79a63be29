/* SPDX-License-Identifier: ISC */
/* HTTP-01 files below a web server's folder, which may belong to a hostile user: never through a link, never into a file that is there. */
#ifndef DOVAD_KEEPER_WEBROOT_H
#define DOVAD_KEEPER_WEBROOT_H

#include <stddef.h>

#include "base/err.h"

/* ROOT/.well-known/acme-challenge/TOKEN with token "." thumbprint in it, 0644, owned as its folder. The folders below ROOT are made when absent. A
 * file of that name is replaced when it is a plain one, anything else there is an error. *len: bytes in the file. */
bool webroot_publish(const char *root, const char *token, const char *thumbprint, size_t *len, struct err *err) __attribute__((warn_unused_result));
/* The file is gone, also when it never was there. A file that does not begin as ours is left and reported; folders stay. */
bool webroot_withdraw(const char *root, const char *token, struct err *err) __attribute__((warn_unused_result));

/* Could a file be published below it, as things stand? Nothing is touched. */
bool webroot_check(const char *root, struct err *err) __attribute__((warn_unused_result));

#endif
