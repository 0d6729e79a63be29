/* SPDX-License-Identifier: ISC */
/* Tell when something changed in a directory (inotify), debounced. */
#ifndef DOVAD_IO_NOTICE_H
#define DOVAD_IO_NOTICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct notice;
/* changed(arg) once, debounce_ms after the last of a burst of: file closed after writing, moved in or out, deleted, attributes changed; also when the
 * directory itself is replaced (it is watched by path again). At most 10 s after the first of a burst that does not end. */
struct notice *notice_open(const char *const *dirs, size_t ndirs, int64_t debounce_ms, void (*changed)(void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));
void notice_close(struct notice *n); /* NULL is fine */

#endif
