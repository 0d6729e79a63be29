/* SPDX-License-Identifier: ISC */
/* Folders that cannot be listed to their end (a bad sector, no memory): readdir(3) in front of libc's. Included by one file of a test program. */
#ifndef DOVAD_TESTS_BAD_LISTING_H
#define DOVAD_TESTS_BAD_LISTING_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>

static int listing_fails_at = INT_MAX; /* entries until it fails; INT_MAX: never */

struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (listing_fails_at == INT_MAX || listing_fails_at-- > 0)
		return real(dir);
	listing_fails_at = 0;
	errno = EIO;
	return NULL;
}

#endif
