/* SPDX-License-Identifier: ISC */
/* Folders named in the configuration, reached without being led astray by whoever else may write on the way there. */
#ifndef DOVAD_KEEPER_PATH_H
#define DOVAD_KEEPER_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

/* Opens the directory at an absolute path (O_PATH), one component after the other. A symbolic link is followed only when nobody but root and we
 * can change it: its owner and its folder's owner are root or we, and others cannot write there. `make`: missing folders are made (0755, owner of
 * the one above) where nobody but root and we can write. -1 and *err (ERR_LOCAL) naming the component otherwise. */
int path_open_dir(const char *path, bool make, struct err *err) __attribute__((warn_unused_result));
/* The folder that `path` is in, made when missing, readable; the last component in name. */
int path_open_parent(const char *path, char name[NAME_MAX + 1], struct err *err) __attribute__((warn_unused_result));
/* Could something be made in this folder, which path_open_dir() would make, too, as things stand? Nothing is touched. EROFS and its like in err->errnum. */
bool path_check_folder(const char *path, struct err *err) __attribute__((warn_unused_result));
/* In an open one (O_PATH will do); path is for the error. */
bool path_check_open(int dirfd, const char *path, struct err *err) __attribute__((warn_unused_result));
/* Can nobody but root and us rename or remove entries of ours in this directory? */
bool path_is_guarded(const struct stat *dir);
/* openat() of one component, for names in folders that a stranger may own: never through a link of any kind, never out of dirfd. */
int path_open_below(int dirfd, const char *name, int flags, mode_t mode) __attribute__((warn_unused_result));

#endif
