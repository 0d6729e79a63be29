/* SPDX-License-Identifier: ISC */
/* Starting a program of ours from root: as an unprivileged user for good, with a few capabilities or with none, and with the descriptors it is to have. */
#ifndef DOVAD_PRIVILEGE_H
#define DOVAD_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct privilege_user {
	char name[256];
	uid_t uid;
	gid_t gid;
};
/* ERR_INPUT with what to do when there is no such user; `option` is where it was named. */
bool privilege_find(const char *option, const char *name, struct privilege_user *user, struct err *err) __attribute__((warn_unused_result));

struct privilege_wish {
	const struct privilege_user *user; /* NULL: stay root, with everything */
	uint64_t capabilities;             /* bit set: the only ones it has, in every set */
	bool locks_memory;                 /* all that it wants, where we may allow that */
	int *fds;                          /* become first_fd and up; all above are closed. Overwritten in the child only */
	size_t nfds;
	int first_fd;                      /* 0, or 3 to keep the standard ones */
	const char *const *argv;           /* NULL-terminated, argv[0] absolute */
};
/* In a session of its own, no signal blocked, LISTEN_PID set to itself; with a user also no new privileges, and SIGTERM when we die. The pid, 0 after
 * a failure, which is logged; what fails after the fork ends the child with 127. */
pid_t privilege_start(const struct privilege_wish *wish);
/* The descriptor of one message (SCM_RIGHTS) waiting on a socket, close-on-exec; -1: none was in it. *gone: the other side closed. */
int privilege_receive(int socket, bool *gone);

#endif
