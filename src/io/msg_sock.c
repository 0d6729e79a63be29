/* SPDX-License-Identifier: ISC */
#include "io/msg_sock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

bool msg_identify(int fd, struct msg_identity *who, struct err *err)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	struct ucred cred;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return err_errno(err, "descriptor %d is not a socket", fd);
	if (domain != AF_UNIX)
		return err_set(err, ERR_BUG, "connection", "descriptor %d is not a UNIX socket", fd);
	len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return err_errno(err, "cannot tell who connected");
	*who = (struct msg_identity){ .peer = { .pid = cred.pid, .uid = cred.uid, .gid = cred.gid } };
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return true; /* none */
	who->groups = mem_alloc(len);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, who->groups, &len) == 0)
		who->ngroups = len / sizeof(*who->groups);
	return true;
}

bool msg_identity_in_group(const struct msg_identity *who, gid_t gid)
{
	if (who->peer.gid == gid)
		return true;
	for (size_t i = 0; i < who->ngroups; i++)
		if (who->groups[i] == gid)
			return true;
	return false;
}

bool msg_set_up(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		return true;
	return err_errno(err, "cannot set up descriptor %d", fd);
}

bool msg_address(const char *path, struct sockaddr_un *sun, struct err *err)
{
	size_t len = strlen(path);

	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len == 0 || len >= sizeof(sun->sun_path))
		return err_set(err, ERR_INPUT, "socket", "%s: a socket path has 1 to %zu bytes, this one has %zu", path,
			sizeof(sun->sun_path) - 1, len);
	memcpy(sun->sun_path, path, len);
	return true;
}

int msg_dial(const char *path, struct err *err)
{
	struct sockaddr_un sun;
	int fd;

	if (!msg_address(path, &sun, err))
		return -1;
	/* Not blocking: with a full backlog connect would wait for as long as the other side likes. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	err_errno(err, "cannot connect to %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}
