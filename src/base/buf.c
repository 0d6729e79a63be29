/* SPDX-License-Identifier: ISC */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_ROOM = 64 };

void buf_init(struct buf *b, size_t cap)
{
	*b = (struct buf){ .cap = cap };
}

/* Room for `more` bytes and the NUL. Not realloc: that may leave a copy of a secret where buf_wipe cannot reach. */
static bool reserve(struct buf *b, size_t more)
{
	size_t limit = b->cap && b->cap < PTRDIFF_MAX ? b->cap : PTRDIFF_MAX - 1;
	size_t room;
	char *data;

	if (b->len > limit || more > limit - b->len)
		return false;
	if (b->len + more < b->room)
		return true;
	room = b->room ? b->room : FIRST_ROOM;
	while (room <= b->len + more)
		room *= 2;
	data = mem_array(room, 1);
	if (b->data) {
		memcpy(data, b->data, b->len + 1);
		explicit_bzero(b->data, b->room);
		free(b->data);
	}
	b->data = data;
	b->room = room;
	return true;
}

bool buf_add(struct buf *b, const void *data, size_t len)
{
	if (!reserve(b, len))
		return false;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return true;
}

bool buf_puts(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || !reserve(b, (size_t)len))
		return false;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
	return true;
}

void buf_drop(struct buf *b, size_t n)
{
	if (n == 0 || !b->data)
		return;
	if (n > b->len)
		n = b->len;
	b->len -= n;
	memmove(b->data, b->data + n, b->len + 1);
	explicit_bzero(b->data + b->len + 1, n);
}

void buf_reset(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	b->len = 0;
}

void buf_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->room);
	buf_free(b);
}

void buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->cap);
}

char *buf_take(struct buf *b)
{
	char *data = b->data ? b->data : mem_strdup("");

	buf_init(b, b->cap);
	return data;
}
