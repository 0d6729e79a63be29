/* SPDX-License-Identifier: ISC */
/* What HAProxy should have: the certificates of a service as they are installed, and which of the files it has loaded they are. */
#ifndef DOVAD_KEEPER_HAPROXY_FILES_H
#define DOVAD_KEEPER_HAPROXY_FILES_H

#include "keeper/haproxy_say.h"
#include "keeper/install.h"

struct haproxy_item {         /* a file that HAProxy has loaded and we write */
	const char *name;     /* as HAProxy calls it */
	const char *cert;
	bool whole;           /* its chain is in it, too */
	struct haproxy_print ours; /* that is installed */
	struct haproxy_print theirs; /* for the owner of all this to fill */
	bool back;            /* his, too */
};

struct haproxy_files;

/* conf is kept, `in` borrowed. */
struct haproxy_files *haproxy_files_new(const struct install *in, const struct conf *conf, const char *service);
void haproxy_files_free(struct haproxy_files *f); /* NULL is fine */
/* Reads some of the certificates from the disk; false: it has them all. */
bool haproxy_files_read(struct haproxy_files *f) __attribute__((warn_unused_result));
/* The items, *n of them, borrowed. Names are ours when they are written as ours are, or lead to the same file. Once; the list's memory is borrowed. */
struct haproxy_item *haproxy_files_match(struct haproxy_files *f, const struct haproxy_list *list, size_t *n);
/* A file to be loaded by HAProxy, when the certificate is installed and none of its files is; NULL: all is well. */
const char *haproxy_files_missing(const struct haproxy_files *f, const char *cert);
/* The command that gives HAProxy what is installed, or the generation whose leaf has this x509_sha1(), appended. */
bool haproxy_files_set(const struct haproxy_files *f, const struct haproxy_item *item, const char *sha1, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
