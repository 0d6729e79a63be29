/* SPDX-License-Identifier: ISC */
#include "base/mem.h"

#include <malloc.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Small: an idle order keeps one, and there may be thousands of orders. */
enum { CHUNK = 1024 };

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	alignas(max_align_t) unsigned char bytes[];
};

struct attached {
	struct attached *next;
	void *object;
	void (*release)(void *);
};

struct arena {
	struct chunk *chunks; /* newest first */
	struct attached *attached;
};

/* _exit: handlers of libraries would ask for memory again. */
static void die_without_memory(size_t size) __attribute__((noreturn));

static void die_without_memory(size_t size)
{
	log_error("out of memory", "bytes", log_num(size > INT64_MAX ? INT64_MAX : (int64_t)size), NULL);
	_exit(1);
}

static size_t product(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total) || total > PTRDIFF_MAX)
		die_without_memory(SIZE_MAX);
	return total;
}

void *mem_alloc(size_t size)
{
	return mem_array(1, size);
}

void *mem_array(size_t n, size_t size)
{
	size_t total = product(n, size);
	void *p = calloc(1, total ? total : 1);

	if (!p)
		die_without_memory(total);
	return p;
}

void *mem_resize(void *p, size_t n, size_t size)
{
	size_t total = product(n, size);
	void *q = realloc(p, total ? total : 1);

	if (!q)
		die_without_memory(total);
	return q;
}

void *mem_bytes(size_t size)
{
	return mem_resize(NULL, size, 1);
}

void *mem_resize_bytes(void *p, size_t size)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *q = size ? mem_bytes(size) : NULL;

	if (p && q)
		memcpy(q, p, had < size ? had : size);
	mem_wipe(p);
	return q;
}

void mem_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void mem_wipe(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_array(len + 1, 1);

	memcpy(copy, s, len);
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	char *s;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (len < 0)
		die_without_memory(0);
	return s;
}

struct arena *arena_new(void)
{
	return mem_alloc(sizeof(struct arena));
}

void arena_reset(struct arena *a)
{
	/* Taken off before it is released, so that a release function may use the arena. */
	while (a->attached) {
		struct attached *at = a->attached;

		a->attached = at->next;
		at->release(at->object);
	}
	while (a->chunks) {
		struct chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a);
}

/* Something larger than a chunk gets one of its own, behind the one that still has room. */
static struct chunk *chunk_add(struct arena *a, size_t need)
{
	size_t size = need > CHUNK ? need : CHUNK;
	struct chunk *c;

	if (size > PTRDIFF_MAX - sizeof *c)
		die_without_memory(size);
	c = mem_alloc(sizeof *c + size);
	c->size = size;
	if (need > CHUNK && a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct chunk *c = a->chunks;
	size_t need;
	void *p;

	if (size > PTRDIFF_MAX - align)
		die_without_memory(size);
	need = size ? (size + align - 1) / align * align : align;
	if (!c || c->size - c->used < need)
		c = chunk_add(a, need);
	p = c->bytes + c->used;
	c->used += need;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	return arena_alloc(a, product(n, size));
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = arena_alloc(a, len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	s = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *s;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	if (len < 0)
		die_without_memory(0);
	s = arena_alloc(a, (size_t)len + 1);
	vsnprintf(s, (size_t)len + 1, fmt, again);
	va_end(again);
	return s;
}

void arena_attach(struct arena *a, void *object, void (*release)(void *))
{
	struct attached *at = arena_alloc(a, sizeof *at);

	*at = (struct attached){ .next = a->attached, .object = object, .release = release };
	a->attached = at;
}
