/* SPDX-License-Identifier: ISC */
/* A growing byte string with a ceiling: nothing a peer sizes is unbounded. */
#ifndef DOVAD_BASE_BUF_H
#define DOVAD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* always NUL-terminated beyond len once anything was added; NULL before */
	size_t len;
	size_t room;
	size_t cap; /* most bytes ever held; 0: no limit (only for sizes we choose ourselves) */
};

void buf_init(struct buf *b, size_t cap);
/* false, and nothing added, when the cap would be passed. */
bool buf_add(struct buf *b, const void *data, size_t len) __attribute__((warn_unused_result));
bool buf_puts(struct buf *b, const char *s) __attribute__((warn_unused_result));
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((warn_unused_result, format(printf, 2, 3)));
void buf_drop(struct buf *b, size_t n); /* forget the first n bytes; here and below they are overwritten */
void buf_reset(struct buf *b);          /* empty, keep the room */
void buf_wipe(struct buf *b);           /* overwrite, then free: for secrets */
void buf_free(struct buf *b);           /* free, back to the state after buf_init */
char *buf_take(struct buf *b);          /* caller owns the (NUL-terminated, never NULL) text; b is empty afterwards */

#endif
