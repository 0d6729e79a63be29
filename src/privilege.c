/* SPDX-License-Identifier: ISC */
#include "privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

enum { CAPABILITIES = 64, HIGH_FD = 64 }; /* HIGH_FD: above every number a program gets */

bool privilege_find(const char *option, const char *name, struct privilege_user *user, struct err *err)
{
	struct passwd *found = getpwnam(name);

	if (!found)
		return err_set(err, ERR_INPUT, option, "there is no user \"%s\" on this host: make it (useradd --system %s) or set %s to another",
			name, name, option);
	snprintf(user->name, sizeof(user->name), "%s", name);
	user->uid = found->pw_uid;
	user->gid = found->pw_gid;
	return true;
}

static bool set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = data[i].inheritable = (uint32_t)(keep >> (32 * i));
	if (syscall(SYS_capset, &head, data) != 0)
		return false;
	for (unsigned long c = 0; c < CAPABILITIES; c++)
		if (keep >> c & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) != 0)
			return false;
	return true;
}

static bool become(const struct privilege_user *user, uint64_t keep, struct err *err)
{
	for (unsigned long c = 0; c < CAPABILITIES; c++)
		if (!(keep >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) != 0 && errno != EINVAL) /* EINVAL: beyond the last there is */
			return err_errno(err, "cannot give up capabilities");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || initgroups(user->name, user->gid) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
		setresuid(user->uid, user->uid, user->uid) != 0)
		return err_errno(err, "cannot become user %s", user->name);
	if (!set_capabilities(keep))
		return err_errno(err, "cannot set the capabilities of user %s", user->name);
	/* Last: a change of user would forget the signal. */
	return (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0) || err_errno(err, "cannot give up new privileges");
}

/* First away from the low numbers, then down to their places: the order never matters. */
static bool place(int *fds, size_t n, int first, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if ((fds[i] = fcntl(fds[i], F_DUPFD, HIGH_FD)) < 0)
			return err_errno(err, "cannot hand over descriptors");
	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], first + (int)i) < 0)
			return err_errno(err, "cannot hand over descriptors");
	closefrom(first + (int)n > 3 ? first + (int)n : 3);
	return true;
}

static void set_listen_pid(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
}

pid_t privilege_start(const struct privilege_wish *w)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t pid = fork();
	struct err err;
	sigset_t none;

	if (pid < 0)
		log_error("cannot make a process", "program", w->argv[0], "error", strerror(errno), NULL);
	if (pid != 0)
		return pid > 0 ? pid : 0;
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_listen_pid();
	if (w->locks_memory)
		(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (place(w->fds, w->nfds, w->first_fd, &err) && (!w->user || become(w->user, w->capabilities, &err))) {
		execv(w->argv[0], (char *const *)w->argv);
		err_errno(&err, "cannot run it");
	}
	log_error("a program cannot be started", "program", w->argv[0], "error", err.detail, NULL);
	_exit(127);
}

int privilege_receive(int sock, bool *gone)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_LEN(sizeof(int)) };
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	int fd = -1;

	*gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	/* There is room for one: the kernel closes what else was sent. */
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}
