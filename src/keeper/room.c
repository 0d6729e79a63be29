/* SPDX-License-Identifier: ISC */
#include "keeper/room.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	ROOM = 128 * 1024, /* for a key, a request and the files of a certificate */
	INODES = 16,
};

/* One file without a name, for all checks: to make one each time would leave as many deleted ones behind. */
static int open_probe(struct room *r)
{
	if (r->probe < 0)
		r->probe = openat(r->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	return r->probe >= 0 || errno == EOPNOTSUPP || errno == EISDIR ? 0 : errno;
}

/* An open file is written to although its folder is read-only since, and needs no inode any more. */
static int check_folder(const struct room *r)
{
	struct statvfs s;

	if (faccessat(r->dir, ".", W_OK, AT_EACCESS) != 0 || fstatvfs(r->dir, &s) != 0)
		return errno;
	return s.f_files && s.f_favail < INODES ? ENOSPC : 0;
}

static int try_room(const struct room *r)
{
	int bad = posix_fallocate(r->probe, 0, ROOM);

	return ftruncate(r->probe, 0) != 0 && !bad ? errno : bad;
}

bool room_check(struct room *r, struct err *err)
{
	int bad = open_probe(r);

	if (!bad)
		bad = check_folder(r);
	if (!bad && r->probe >= 0)
		bad = try_room(r);
	errno = bad;
	return !bad || err_errno(err, "nothing is ordered while what comes of it could not be stored in the keeper's state directory");
}

void room_close(struct room *r)
{
	if (r->probe >= 0)
		close(r->probe);
	r->probe = -1;
}
