/* SPDX-License-Identifier: ISC */
#include "keeper/owned.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

bool owned_find(struct owned *o, const char *place, const struct conf_target *t, struct err *err)
{
	struct group *group;
	struct passwd *user;

	*o = (struct owned){ .place = place, .uid = (uid_t)-1, .gid = (gid_t)-1, .mode = t ? t->mode : 0640 };
	if (t && t->owner) {
		user = getpwnam(t->owner);
		if (!user)
			return err_set(err, ERR_LOCAL, "owner", "%s: there is no user \"%s\" on this host", place, t->owner);
		o->uid = user->pw_uid;
	}
	if (t && t->group) {
		group = getgrnam(t->group);
		if (!group)
			return err_set(err, ERR_LOCAL, "owner", "%s: there is no group \"%s\" on this host", place, t->group);
		o->gid = group->gr_gid;
	}
	return true;
}

bool owned_give(const struct owned *o, int fd, mode_t mode, struct err *err)
{
	if ((o->uid != (uid_t)-1 || o->gid != (gid_t)-1) && fchown(fd, o->uid, o->gid) != 0) {
		if (errno == EPERM)
			return err_set(err, ERR_LOCAL, "owner",
				"%s: only root can give files to the owner and group configured; leave them out or run dovad as root", o->place);
		return err_errno(err, "%s: cannot change the owner", o->place);
	}
	return fchmod(fd, mode) == 0 || err_errno(err, "%s: cannot change the mode", o->place);
}

static bool write_all(int fd, const struct buf *b)
{
	for (size_t done = 0; done < b->len;) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			done += (size_t)n;
	}
	return true;
}

int owned_create(const struct owned *o, int dir, const char *name, const struct buf *b, struct err *err)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0) {
		err_errno(err, "%s: cannot create %s", o->place, name);
		return -1;
	}
	if (!owned_give(o, fd, o->mode, err)) {
		close(fd);
		return -1;
	}
	if (!write_all(fd, b)) {
		err_errno(err, "%s: cannot write %s", o->place, name);
		close(fd);
		return -1;
	}
	return fd;
}

bool owned_fits(const struct owned *o, const struct stat *st)
{
	return (st->st_mode & 07777) == o->mode && (o->uid == (uid_t)-1 || st->st_uid == o->uid) && (o->gid == (gid_t)-1 || st->st_gid == o->gid);
}
