/* SPDX-License-Identifier: ISC */
#include "io/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

enum {
	FIRST_FD = 3,        /* where handed-over descriptors begin */
	NOTIFY_WAIT_S = 2,   /* for a manager that is too busy to read */
};

/* A decimal number of the environment, -1 when it is none. */
static int64_t env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long long n;

	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoll(text, &end, 10);
	return errno || *end ? -1 : n;
}

/* A path, or with a leading '@' a name in the abstract space; false for anything else. */
static bool notify_address(const char *path, struct sockaddr_un *sun, socklen_t *len)
{
	size_t n = strlen(path);

	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof(sun->sun_path))
		return false;
	memcpy(sun->sun_path, path, n);
	if (path[0] == '@')
		sun->sun_path[0] = '\0';
	/* An abstract name is as long as said, with no NUL at its end. */
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
	return true;
}

void systemd_notify(const char *lines)
{
	const struct timeval patience = { .tv_sec = NOTIFY_WAIT_S };
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun;
	socklen_t len;
	int fd;

	if (!path || !*path)
		return;
	if (!notify_address(path, &sun, &len)) {
		log_warning("cannot notify the service manager", "socket", path, "error", "not a usable address", NULL);
		return;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
		sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&sun, len) < 0)
		log_warning("cannot notify the service manager", "socket", path, "error", strerror(errno), NULL);
	if (fd >= 0)
		close(fd);
}

int64_t systemd_watchdog_ms(void)
{
	int64_t us = env_number("WATCHDOG_USEC");
	int64_t pid = env_number("WATCHDOG_PID");

	if (us <= 0 || (getenv("WATCHDOG_PID") && pid != getpid()))
		return 0;
	return us < 1000 ? 1 : us / 1000;
}

/* The next name of the colon-separated list; a missing list names nothing. */
static bool next_name(const char **names, const char *wanted)
{
	size_t len;
	bool same;

	if (!*names)
		return false;
	len = strcspn(*names, ":");
	same = strlen(wanted) == len && memcmp(*names, wanted, len) == 0;
	*names = (*names)[len] == ':' ? *names + len + 1 : NULL;
	return same;
}

size_t systemd_listen_fds(const char *name, int *fds, size_t room)
{
	const char *names = getenv("LISTEN_FDNAMES");
	int64_t n = env_number("LISTEN_FDS");
	size_t found = 0;

	if (env_number("LISTEN_PID") != getpid() || n > INT_MAX - FIRST_FD)
		return 0;
	for (int fd = FIRST_FD; fd < FIRST_FD + n && found < room; fd++) {
		if (name && !next_name(&names, name))
			continue;
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
			fds[found++] = fd;
	}
	return found;
}

bool systemd_is_running(void)
{
	struct stat st;

	return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}
