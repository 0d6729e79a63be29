/* SPDX-License-Identifier: ISC */
/* Files read with suspicion and written so that a crash leaves the old or the new one, never a half. */
#ifndef DOVAD_BASE_FILE_H
#define DOVAD_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

/* Read a regular file below dirfd (AT_FDCWD allowed) into out: O_NOFOLLOW on the last component, O_NONBLOCK (a FIFO never hangs us), fstat
 * before the first byte, at most `cap` bytes (also when it grows meanwhile). st may be NULL, else gets the fstat.
 * Errors (ERR_LOCAL) say which: "is not a regular file", "is larger than N bytes", ... */
bool file_read(int dirfd, const char *name, size_t cap, struct buf *out, struct stat *st, struct err *err)
	__attribute__((warn_unused_result));
/* Create a temporary file beside name with exactly `mode` from birth, write, fsync, rename over name, fsync the directory.
 * After any failure the temporary is unlinked and name is what it was; only when the fsync of the directory itself
 * fails name may already be the new one, whole. name holds no slash. */
bool file_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
	__attribute__((warn_unused_result));
/* Create a new file (O_EXCL, O_NOFOLLOW) with exactly `mode` from birth, write and fsync it. Unlinked again on failure. */
bool file_create(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
	__attribute__((warn_unused_result));
/* file_create without the fsync: the descriptor, for the caller to sync and close. -1 on error. */
int file_create_unsynced(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *err)
	__attribute__((warn_unused_result));
bool file_sync_dir(int dirfd, struct err *err) __attribute__((warn_unused_result));
/* Open (making it with `mode` when absent; mode is exact whatever the umask) a directory below dirfd, not through a symlink. -1 on error. */
int file_open_dir(int dirfd, const char *name, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/* Same for an absolute path or one relative to the working directory, making missing parents with 0755. */
int file_make_dirs(const char *path, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/* Remove a directory below dirfd with everything in it, never following a symlink, never leaving the file system. Missing is fine. */
bool file_remove_tree(int dirfd, const char *name, struct err *err) __attribute__((warn_unused_result));

#endif
