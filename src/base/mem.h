/* SPDX-License-Identifier: ISC */
/* Memory that is there or the process ends (the journal resumes), and arenas that free everything at once. */
#ifndef DOVAD_BASE_MEM_H
#define DOVAD_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* malloc family that logs and exits with 1 when there is no memory. Sizes are multiplied with overflow checks.
 * The caller owns the result and frees it with free(3). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *mem_array(size_t n, size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *mem_resize(void *p, size_t n, size_t size) __attribute__((returns_nonnull, warn_unused_result));
/* For libraries that take an allocator: they hardly look whether they got any. */
void *mem_bytes(size_t size) __attribute__((malloc, returns_nonnull)); /* not zeroed */
void *mem_resize_bytes(void *p, size_t size); /* 0 frees; never leaves a copy behind */
void mem_trim(void); /* what is free goes back to the system: after a rush, which else stays with us for ever */
void mem_wipe(void *p); /* overwritten, then freed: for what may have held a secret; NULL is fine */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull, nonnull));
char *mem_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull, nonnull));
char *mem_printf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* An arena owns everything allocated from it or attached to it; all of it goes at arena_reset or arena_free. */
struct arena;
struct arena *arena_new(void);
void arena_reset(struct arena *a); /* frees the contents (attached objects in reverse order); the arena stays usable */
void arena_free(struct arena *a);  /* NULL is fine */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull)); /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t n, size_t size) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s); /* NULL in, NULL out */
char *arena_strndup(struct arena *a, const char *s, size_t n) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((returns_nonnull, format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
	__attribute__((returns_nonnull, format(printf, 2, 0)));
/* Let `object` die with the arena through `release(object)`. */
void arena_attach(struct arena *a, void *object, void (*release)(void *));

#endif
