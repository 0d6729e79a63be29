/* SPDX-License-Identifier: ISC */
/* What HAProxy answers at its runtime API about certificates: read as what a peer says. Pure functions. Answers come without prompts and are
 * NUL-terminated; what they do not understand is an error that holds HAProxy's own words. */
#ifndef DOVAD_KEEPER_HAPROXY_SAY_H
#define DOVAD_KEEPER_HAPROXY_SAY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/x509.h"

/* Where the first whole answer of `text` ends; false: not yet. *next: where the one after it begins. With payloads each line is answered by a "+ ", which
 * is to be left out: *begin. */
bool haproxy_say_split(const char *text, size_t len, size_t *begin, size_t *end, size_t *next) __attribute__((warn_unused_result));

struct haproxy_list {
	const char **v; /* names of what is loaded, in the arena */
	size_t n;
	const char *open; /* a transaction was begun for this name and not ended; NULL: none */
};
/* "show ssl cert" */
bool haproxy_say_list(const char *text, struct arena *arena, struct haproxy_list *list, struct err *err) __attribute__((warn_unused_result));

struct haproxy_print { /* enough to tell one certificate from another */
	char sha1[X509_SHA1_HEX];
	size_t chain;          /* certificates beside the leaf */
};
/* "show ssl cert NAME", with an asterisk before it for what a transaction holds */
bool haproxy_say_cert(const char *text, const char *name, struct haproxy_print *print, struct err *err) __attribute__((warn_unused_result));
/* "set ssl cert NAME", "commit ssl cert NAME", "abort ssl cert NAME": done, and with this very certificate? */
bool haproxy_say_set(const char *text, const char *name, struct err *err) __attribute__((warn_unused_result));
bool haproxy_say_commit(const char *text, const char *name, struct err *err) __attribute__((warn_unused_result));
bool haproxy_say_abort(const char *text, const char *name, struct err *err) __attribute__((warn_unused_result));

/* "show pools match buffer", where versions that do not know "match" list all: a command has to be shorter than this (tune.bufsize), in bytes; HAProxy's own
 * default when it does not tell. */
size_t haproxy_say_room(const char *text);

/* "VERB ssl cert [MARK]NAME", the name as the command line wants it, without an end. false: too long. */
bool haproxy_say_command(struct buf *out, const char *verb, const char *mark, const char *name) __attribute__((warn_unused_result));

#endif
