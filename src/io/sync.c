/* SPDX-License-Identifier: ISC */
/* The kernel's own asynchronous fsync (io_submit): no thread of ours, and thirty of them cost hardly more than one. Where a kernel or a sandbox does not
 * have it, they are done one after the other. */
#include "io/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

enum { AT_ONCE = 512 }; /* more are done one after the other */

/* --- gathering --- */

void sync_add(struct sync *s, int fd)
{
	s->fds = mem_resize(s->fds, s->n + 1, sizeof(*s->fds));
	s->fds[s->n++] = fd;
}

void sync_add_copy(struct sync *s, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy >= 0)
		sync_add(s, copy);
	else
		s->errnum = errno;
}

void sync_drop(struct sync *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->fds[i]);
	free(s->fds);
	*s = (struct sync){ 0 };
}

static bool fail(struct err *err, int errnum)
{
	errno = errnum;
	return err_errno(err, "cannot write to the disk");
}

bool sync_now(struct sync *s, struct err *err)
{
	int errnum = s->errnum;

	for (size_t i = 0; i < s->n && !errnum; i++)
		if (fsync(s->fds[i]) != 0)
			errnum = errno;
	sync_drop(s);
	return !errnum || fail(err, errnum);
}

/* --- side by side --- */

struct syncer {
	aio_context_t context; /* 0: there is none */
	int ready;             /* an eventfd */
	struct watch watch;
	struct iocb *calls;
	struct sync set;
	size_t left, ended;    /* taken by the kernel; of these, counted by the eventfd */
	int errnum;
	sync_done *done;
	void *arg;
};

static void finish(void *arg)
{
	struct syncer *y = arg;
	struct err err;

	sync_drop(&y->set);
	free(y->calls);
	y->calls = NULL;
	if (y->errnum)
		fail(&err, y->errnum);
	y->done(y->arg, y->errnum ? &err : NULL);
}

static void collect(struct syncer *y)
{
	struct timespec now = { 0 };
	struct io_event ended[64];
	long n;

	while ((n = syscall(SYS_io_getevents, y->context, 0L, (long)(sizeof(ended) / sizeof(ended[0])), ended, &now)) > 0) {
		for (long i = 0; i < n; i++)
			if (ended[i].res != 0)
				y->errnum = (int)-ended[i].res;
		y->left -= (size_t)n;
	}
	if (n == 0 || errno == EINTR)
		return;
	/* How they ended cannot be learnt: nobody may wait for it for ever, or take it for good. One by one from now on. */
	y->errnum = errno;
	log_error("asynchronous fsync does not work: files are synced one by one", "error", strerror(errno), NULL);
	syscall(SYS_io_destroy, y->context); /* waits */
	y->context = 0;
	y->left = 0;
}

static void ready(void *arg, short events)
{
	struct syncer *y = arg;
	uint64_t count;

	(void)events;
	if (read(y->ready, &count, sizeof(count)) < 0 || (y->ended += count) < y->left || !y->left)
		return;
	collect(y);
	if (!y->left)
		finish(y);
}

struct syncer *syncer_new(void)
{
	struct syncer *y = mem_alloc(sizeof(*y));
	struct err err;

	y->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (y->ready < 0 || syscall(SYS_io_setup, AT_ONCE, &y->context) != 0 || !watch_set(&y->watch, y->ready, POLLIN, ready, y, &err))
		log_info("no asynchronous fsync here: files are synced one by one", NULL);
	return y;
}

void syncer_free(struct syncer *y)
{
	if (!y)
		return;
	loop_undefer(y);
	if (y->context)
		syscall(SYS_io_destroy, y->context); /* waits */
	watch_clear(&y->watch);
	if (y->ready >= 0)
		close(y->ready);
	sync_drop(&y->set);
	free(y->calls);
	free(y);
}

/* How many of the first n the kernel took. */
static size_t submit(struct syncer *y, size_t n)
{
	struct iocb *list[AT_ONCE];
	size_t taken = 0;
	long more = 1;

	for (size_t i = 0; i < n; i++) {
		y->calls[i] = (struct iocb){ .aio_lio_opcode = IOCB_CMD_FSYNC, .aio_fildes = (uint32_t)y->set.fds[i], .aio_flags = IOCB_FLAG_RESFD,
			.aio_resfd = (uint32_t)y->ready };
		list[i] = &y->calls[i];
	}
	while (taken < n && more > 0) {
		more = syscall(SYS_io_submit, y->context, (long)(n - taken), list + taken);
		taken += more > 0 ? (size_t)more : 0;
	}
	return taken;
}

void syncer_start(struct syncer *y, struct sync *s, sync_done *done, void *arg)
{
	size_t n = s->n < AT_ONCE ? s->n : AT_ONCE;

	y->set = *s;
	*s = (struct sync){ 0 };
	y->errnum = y->set.errnum;
	y->ended = 0;
	y->done = done;
	y->arg = arg;
	y->calls = mem_array(n + 1, sizeof(*y->calls));
	y->left = y->context && y->watch.event ? submit(y, n) : 0;
	for (size_t i = y->left; i < y->set.n; i++)
		if (fsync(y->set.fds[i]) != 0)
			y->errnum = errno;
	if (!y->left)
		loop_defer(finish, y);
}
