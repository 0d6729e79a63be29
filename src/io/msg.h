/* SPDX-License-Identifier: ISC */
/* JSON messages ended by a NUL byte over UNIX stream sockets: the framing of Varlink, used by the status socket, by the keeper's socket and by
 * dovad-run. Bounded in size, output and time. Descriptors are never accepted. */
#ifndef DOVAD_IO_MSG_H
#define DOVAD_IO_MSG_H

#include <stddef.h>
#include <sys/types.h>

#include "base/json.h"

struct msg; /* one connection */

struct msg_limits {
	size_t message;     /* bytes of one incoming message */
	size_t output;      /* bytes waiting to be sent; more closes the connection */
	int64_t idle_ms;    /* with nothing received and nothing owed; 0: for ever */
	int64_t partial_ms; /* from the first byte of a message to its NUL; 0: for ever */
	int64_t write_ms;   /* without progress while output waits; 0: for ever */
};

struct msg_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

struct msg_ops {
	/* A message arrived (an object; anything else closed the connection). v is borrowed. The next one is delivered only after
	 * msg_next() when `ordered` is set, at once otherwise. */
	void (*got)(void *arg, struct msg *m, struct js *v);
	/* Closed by the peer, by a limit or by an error; err says why (kind ERR_NONE: the peer ended it in order). m is dead after return. Not called after msg_close(). */
	void (*closed)(void *arg, struct msg *m, const struct err *err);
	/* May be NULL. All output has been handed to the kernel: more can be sent (streaming without filling memory). */
	void (*drained)(void *arg, struct msg *m);
	bool ordered;
};

/* Takes over fd (made non-blocking; closed when this fails, which it does only for a descriptor that is no UNIX socket). limits and ops
 * are copied. */
struct msg *msg_open(int fd, const struct msg_limits *limits, const struct msg_ops *ops, void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* A connected descriptor, or -1: immediate, an overfull listener is an error. For rpc_ops.connect and the like. */
int msg_dial(const char *path, struct err *err) __attribute__((warn_unused_result));
/* msg_dial and msg_open. */
struct msg *msg_connect(const char *path, const struct msg_limits *limits, const struct msg_ops *ops, void *arg, struct err *err)
	__attribute__((warn_unused_result));
void msg_send(struct msg *m, const struct js *v); /* queued; passing limits->output closes the connection on a later turn */
void msg_next(struct msg *m);                     /* ordered only: the answer is complete, deliver the next call */
size_t msg_pending(const struct msg *m);          /* bytes not yet handed to the kernel */
void msg_set_arg(struct msg *m, void *arg);
const struct msg_peer *msg_peer(const struct msg *m);
bool msg_peer_in_group(const struct msg *m, gid_t gid); /* primary or supplementary group at connect (SO_PEERGROUPS) */
void msg_close(struct msg *m);        /* at once, safe inside callbacks; memory goes on a later turn; NULL is fine */
void msg_finish(struct msg *m);       /* close after pending output was sent (or limits hit); no further callbacks */

struct msg_listener;
struct msg_listener_limits {
	unsigned total;   /* connections at once */
	unsigned per_uid; /* connections of one uid at once, except uid 0, our own uid and members of the `exempt` groups */
	const gid_t *exempt;
	size_t nexempt;
};
/* Listens on path (0 < mode; a stale socket file of ours is replaced, anything else there is an error; the inode never exists with a wider
 * mode) or on listen_fd when that is >= 0 (taken over). accepted() gets a connected descriptor it must take over (msg_open). */
struct msg_listener *msg_listen(const char *path, int listen_fd, mode_t mode, const struct msg_listener_limits *limits,
	void (*accepted)(void *arg, int fd), void *arg, struct err *err) __attribute__((warn_unused_result));
/* A connection handed to accepted() ended: its place is free again. */
void msg_listener_release(struct msg_listener *l, uid_t uid);
void msg_listener_close(struct msg_listener *l); /* unlinks the path it made */

#endif
