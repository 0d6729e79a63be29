/* SPDX-License-Identifier: ISC */
#include "io/local.h"

#include <netinet/in.h>
#include <unistd.h>

static bool is_loopback(const struct addr *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->ss;

	return a->ss.ss_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
}

/* To an address of its own the kernel talks from that very address. Unlike a list of the interfaces this needs no netlink, and unlike bind() it is not
 * deceived by ip_nonlocal_bind, which hosts that share an address have set. */
bool local_has(const struct addr *a)
{
	struct addr to = *a, from = {.len = sizeof(from.ss)};
	bool has;
	int fd;

	if (a->ss.ss_family != AF_INET && a->ss.ss_family != AF_INET6)
		return false;
	if (is_loopback(a))
		return true;
	addr_set_port(&to, 9); /* any will do */
	fd = socket(a->ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	has = fd >= 0 && connect(fd, (const struct sockaddr *)&to.ss, to.len) == 0 &&
		getsockname(fd, (struct sockaddr *)&from.ss, &from.len) == 0 && addr_same_ip(&from, a);
	if (fd >= 0)
		close(fd);
	return has;
}
