/* SPDX-License-Identifier: ISC */
/* What connections and listeners of io/msg share: socket addresses and who is at the other end. For io/msg*.c only. */
#ifndef DOVAD_IO_MSG_SOCK_H
#define DOVAD_IO_MSG_SOCK_H

#include <sys/un.h>

#include "io/msg.h"

/* Who is at the other end, as of connect. The owner frees groups. */
struct msg_identity {
	struct msg_peer peer;
	gid_t *groups; /* supplementary */
	size_t ngroups;
};
bool msg_identify(int fd, struct msg_identity *who, struct err *err) __attribute__((warn_unused_result));
bool msg_identity_in_group(const struct msg_identity *who, gid_t gid); /* primary or supplementary */
/* Non-blocking and closed on exec. */
bool msg_set_up(int fd, struct err *err) __attribute__((warn_unused_result));
/* The address of a socket path; fails (ERR_INPUT) when it does not fit. */
bool msg_address(const char *path, struct sockaddr_un *sun, struct err *err) __attribute__((warn_unused_result));

#endif
