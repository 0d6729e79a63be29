/* SPDX-License-Identifier: ISC */
/* Narrowing this process for the rest of its life, where the kernel can: what it reaches in the file system and beyond (Landlock), and which system calls
 * it has (a seccomp filter). Nothing of it can be widened again, and whoever is started inherits it: so a process that starts commands stays as it is. */
#ifndef DOVAD_BASE_CONFINE_H
#define DOVAD_BASE_CONFINE_H

#include <stdbool.h>

struct confine_wish {
	const char *const *read;  /* NULL-terminated: what may be read, each with all below it; what is not there is left out */
	const char *const *write; /* ... and made, changed, renamed and removed, too; never devices or pipes */
	bool network;             /* sockets of the internet besides those of this host, which can then be made in the folders of `write`, too */
};
/* For a process of one thread that is done with its beginning. No program is run any more, no user changed by one, nothing mounted, traced or loaded: the
 * wish table in confine.c. Such a call fails with EPERM (a family of sockets with EAFNOSUPPORT), which the kernel's audit log tells of, and we go on.
 * What the kernel does not know is left out: what is in force then is logged, and no failure. */
void confine(const struct confine_wish *wish);
/* Is it readable under a wish of these folders? For what is named only later. */
bool confine_covers(const char *const *read, const char *path);
/* For -V: words for what is compiled in, "" for nothing; and the library, NULL: none. */
const char *confine_features(void);
const char *confine_library(void);

#endif
