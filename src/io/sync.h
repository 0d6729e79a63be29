/* SPDX-License-Identifier: ISC */
/* Making files last. What was written is gathered and synced at once, side by side: a file system does in one go, and while the loop goes on, what it
 * would otherwise do one after the other. */
#ifndef DOVAD_IO_SYNC_H
#define DOVAD_IO_SYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct sync { /* descriptors of files and folders written to; zero it before first use */
	int *fds;
	size_t n;
	int errnum; /* of one that could not be taken in */
};
void sync_add(struct sync *s, int fd);      /* taken over */
void sync_add_copy(struct sync *s, int fd); /* stays the caller's; what cannot be copied makes the sync fail */
void sync_drop(struct sync *s);             /* closes them all; empty afterwards */
/* One after the other, now. Empty afterwards. A failure is final: what of the data is on the disk nobody can tell. */
bool sync_now(struct sync *s, struct err *err) __attribute__((warn_unused_result));

struct syncer;
/* err NULL: all of it is on the disk. On a later turn. */
typedef void sync_done(void *arg, const struct err *err);
struct syncer *syncer_new(void);
void syncer_free(struct syncer *y); /* waits for what is under way; done() is not called. NULL is fine */
/* Side by side, while the loop goes on. Takes the descriptors over; *s is empty afterwards. One at a time. */
void syncer_start(struct syncer *y, struct sync *s, sync_done *done, void *arg);

#endif
