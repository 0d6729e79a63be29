/* SPDX-License-Identifier: ISC */
/* Foreign code run in a copy of this process: what crashes, hangs or hoards there, does so alone, and nothing of it stays. */
#ifndef DOVAD_IO_ASIDE_H
#define DOVAD_IO_ASIDE_H

#include "base/buf.h"
#include "base/err.h"

enum { ASIDE_MAX = 16 * 1024 }; /* bytes of an answer */
#define ASIDE_TIMEOUT "timeout" /* err.type: it was still at it */

typedef bool aside_work(void *arg, struct buf *out, struct err *err);

/* work(arg) in the copy, which has our memory as it is now and none of our descriptors; it ends with us. Waits for it, at most limit_ms: for what is rare and
 * short. What it adds to out comes back, and its *err. ERR_LOCAL, too, when it crashed or took too long: it is killed. */
bool aside_run(aside_work *work, void *arg, int64_t limit_ms, struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
