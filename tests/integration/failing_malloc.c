/* SPDX-License-Identifier: ISC */
/* Preloaded: makes the n-th allocation of a program fail, once or from then on. FAILING_MALLOC names a folder; a program looks there for a file of its
 * own name, which is a struct control shared with whoever wrote it. So a test counts what a scenario takes, arms the n-th, and disarms it, while the
 * program runs. No such file: nothing ever fails.
 *
 * What libconfig asks for is always given: its old versions do not look whether they got it, and nothing of ours could make them. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
	_Atomic int64_t calls;   /* so far, of all processes of this name */
	_Atomic int64_t left;    /* until one fails; 0: none will */
	_Atomic int64_t lasting; /* and all after it */
	_Atomic int64_t failed;  /* how many did */
	char where[224];         /* who was refused first */
};

static struct control *control;
static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static int (*real_memalign)(void **, size_t, size_t);
static void (*real_free)(void *);
static char early[1 << 16]; /* for whom dlsym itself asks */
static size_t early_used;

static void *early_alloc(size_t size)
{
	void *p = early + early_used;

	early_used += (size + 15) / 16 * 16;
	if (early_used > sizeof(early))
		abort();
	return p;
}

static int is_early(const void *p)
{
	return (const char *)p >= early && (const char *)p < early + sizeof(early);
}

static void find_real(void)
{
	static int busy;

	if (busy || real_malloc)
		return;
	busy = 1;
	*(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
	*(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&real_memalign = dlsym(RTLD_NEXT, "posix_memalign");
	*(void **)&real_free = dlsym(RTLD_NEXT, "free");
	*(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
	busy = 0;
}

__attribute__((constructor)) static void attach(void)
{
	const char *folder = getenv("FAILING_MALLOC");
	char path[1024];
	void *p;
	int fd;

	if (!folder || snprintf(path, sizeof(path), "%s/%s", folder, program_invocation_short_name) >= (int)sizeof(path))
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	control = p == MAP_FAILED ? NULL : p;
}

static int refuse(const void *caller)
{
	struct control *c = control;
	Dl_info who = { 0 };
	int64_t left;

	if (!c)
		return 0;
	c->calls++;
	left = c->left;
	if (left <= 0)
		return 0;
	if (left > 1) {
		c->left = left - 1;
		return 0;
	}
	if (dladdr(caller, &who) && who.dli_fname && strstr(who.dli_fname, "libconfig"))
		return 0;
	if (!c->failed++)
		snprintf(c->where, sizeof(c->where), "%s+0x%tx (%s)", who.dli_fname ? who.dli_fname : "?", (const char *)caller - (const char *)who.dli_fbase,
			who.dli_sname ? who.dli_sname : "?");
	if (!c->lasting)
		c->left = 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	find_real();
	if (!real_malloc)
		return early_alloc(size);
	return refuse(__builtin_return_address(0)) ? NULL : real_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	find_real();
	if (!real_malloc)
		return early_alloc(n * size);
	return refuse(__builtin_return_address(0)) ? NULL : real_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	find_real();
	if (is_early(p) || !real_malloc) {
		void *q = real_malloc ? real_malloc(size) : early_alloc(size);

		return q && p ? memcpy(q, p, size < (size_t)(early + sizeof(early) - (char *)p) ? size : (size_t)(early + sizeof(early) - (char *)p)) : q;
	}
	return refuse(__builtin_return_address(0)) ? NULL : real_realloc(p, size);
}

void free(void *p)
{
	find_real();
	if (p && !is_early(p) && real_free)
		real_free(p);
}

int posix_memalign(void **p, size_t align, size_t size)
{
	find_real();
	return refuse(__builtin_return_address(0)) ? ENOMEM : real_memalign(p, align, size);
}

/* The C library's own ones would hide who asks, a sanitizer's would not ask us at all. */
static char *copy(const char *s, size_t len, const void *caller)
{
	char *p;

	find_real();
	if (refuse(caller))
		return NULL;
	p = real_malloc(len + 1);
	if (p) {
		memcpy(p, s, len);
		p[len] = '\0';
	}
	return p;
}

char *strdup(const char *s)
{
	return copy(s, strlen(s), __builtin_return_address(0));
}

char *__strdup(const char *s)
{
	return copy(s, strlen(s), __builtin_return_address(0));
}

char *strndup(const char *s, size_t n)
{
	return copy(s, strnlen(s, n), __builtin_return_address(0));
}
