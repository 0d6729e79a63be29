/* SPDX-License-Identifier: ISC */
/* The accepted files on disk: one file each, named by the digest of its path, so that a change writes what changed. For accepted.c only. */
#ifndef DOVAD_KEEPER_ACCEPTED_DISK_H
#define DOVAD_KEEPER_ACCEPTED_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct accepted_file {
	char *path;
	char *text;
	size_t len;
	int kind;        /* of struct conf_source */
	int64_t gone_ms; /* clock_boot_ms() when it was first missed on the disk, 0: it is there */
};
void accepted_file_free(struct accepted_file *f);

/* Every whole file in the folder, in no order; others are removed, with a warning. Caller owns *v and what is in it. */
bool accepted_disk_load(int dir, struct accepted_file **v, size_t *n, struct err *err) __attribute__((warn_unused_result));
/* Stores n files; each is replaced at once or stays as it was. */
bool accepted_disk_store(int dir, const struct accepted_file *const *v, size_t n, struct err *err) __attribute__((warn_unused_result));
void accepted_disk_remove(int dir, const char *path);

#endif
