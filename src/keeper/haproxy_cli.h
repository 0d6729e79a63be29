/* SPDX-License-Identifier: ISC */
/* A connection to HAProxy's runtime API (its "stats socket"), kept open for many commands. They may be sent ahead: answers come in their order. */
#ifndef DOVAD_KEEPER_HAPROXY_CLI_H
#define DOVAD_KEEPER_HAPROXY_CLI_H

#include "base/buf.h"
#include "base/err.h"

struct haproxy_cli;

struct haproxy_cli_ops { /* each on a later turn; both may close it, and after `closed` it is to be closed */
	void (*answered)(void *arg, const char *text); /* to the oldest command that is not answered; without prompts, borrowed */
	void (*closed)(void *arg, const struct err *err); /* by the peer, or for what it sent */
};
/* NULL and *err; err->errnum ENOENT or ECONNREFUSED: HAProxy does not run. Only root, we, or the owner of the socket's folder (in which nobody else can
 * write) may be at the other end: it will be told private keys. */
struct haproxy_cli *haproxy_cli_open(const char *path, const struct haproxy_cli_ops *ops, void *arg, struct err *err) __attribute__((warn_unused_result));
/* A line, or a line that ends with "<<", the lines of its payload and an empty one, with their ends. Copied; every copy is overwritten after use. */
void haproxy_cli_send(struct haproxy_cli *c, const struct buf *command);
void haproxy_cli_close(struct haproxy_cli *c); /* NULL is fine */

#endif
