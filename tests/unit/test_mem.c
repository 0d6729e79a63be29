/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

static void test_memory_is_zeroed(void **state)
{
	unsigned char *p = mem_alloc(64);
	uint32_t *q = mem_array(16, sizeof *q);

	(void)state;
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(p[i], 0);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(q[i], 0);
	free(p);
	free(q);
	p = mem_alloc(0);
	free(p);
}

static void test_resize_keeps_contents(void **state)
{
	char *p = mem_strdup("abc");

	(void)state;
	p = mem_resize(p, 100, 10);
	assert_string_equal(p, "abc");
	p = mem_resize(p, 0, 10);
	free(p);
	p = mem_resize(NULL, 1, 8);
	free(p);
}

static void test_strings(void **state)
{
	static const char unterminated[3] = { 'x', 'y', 'z' };
	char *a = mem_strdup(""), *b = mem_strndup(unterminated, 3), *c = mem_strndup("ab", 9);
	char *d = mem_printf("%d-%s", 7, "seven");

	(void)state;
	assert_string_equal(a, "");
	assert_string_equal(b, "xyz");
	assert_string_equal(c, "ab");
	assert_string_equal(d, "7-seven");
	free(a);
	free(b);
	free(c);
	free(d);
}

/* Runs `ask` in a child. Returns its exit code; what it said is in said. */
static int child_exit(void (*ask)(size_t), size_t n, char *said, size_t room)
{
	int fds[2], status;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		ask(n);
		_exit(0);
	}
	close(fds[1]);
	got = read(fds[0], said, room - 1);
	said[got > 0 ? got : 0] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void ask_array(size_t n)
{
	free(mem_array(n, 16));
}

static void ask_resize(size_t n)
{
	free(mem_resize(NULL, n, 16));
}

static void ask_arena(size_t n)
{
	struct arena *a = arena_new();

	arena_array(a, n, 16);
	arena_free(a);
}

static void ask_arena_bytes(size_t n)
{
	struct arena *a = arena_new();

	arena_alloc(a, n);
	arena_free(a);
}

static void test_overflow_logs_and_exits(void **state)
{
	static const struct {
		void (*ask)(size_t);
		size_t n;
	} rows[] = {
		{ ask_array, SIZE_MAX / 8 },       { ask_array, SIZE_MAX / 16 }, { ask_resize, SIZE_MAX / 8 },
		{ ask_arena, SIZE_MAX / 16 + 2 },  { ask_arena_bytes, SIZE_MAX },  { ask_arena_bytes, SIZE_MAX - 16 },
		{ ask_arena_bytes, PTRDIFF_MAX - 16 },
	};
	char said[512];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(child_exit(rows[i].ask, rows[i].n, said, sizeof said), 1);
		assert_non_null(strstr(said, "out of memory bytes="));
	}
	assert_int_equal(child_exit(ask_array, 4, said, sizeof said), 0);
	assert_string_equal(said, "");
}

static void test_arena_memory_is_zeroed_and_aligned(void **state)
{
	struct arena *a = arena_new();
	static const size_t sizes[] = { 1, 3, 16, 0, 700, 5000, 2, 1024, 1025, 900 };

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			unsigned char *p = arena_alloc(a, sizes[i]);

			assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(p[j], 0);
			memset(p, 0xee, sizes[i]);
		}
		arena_reset(a);
	}
	arena_free(a);
	arena_free(NULL);
}

static void test_arena_strings(void **state)
{
	struct arena *a = arena_new();
	char big[4000];
	char *s = arena_strdup(a, "one"), *t;

	(void)state;
	assert_null(arena_strdup(a, NULL));
	assert_string_equal(arena_strndup(a, "four", 2), "fo");
	assert_string_equal(arena_strndup(a, "four", 20), "four");
	memset(big, 'b', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	t = arena_printf(a, "<%s>", big);
	assert_int_equal(strlen(t), sizeof big + 1);
	assert_string_equal(arena_printf(a, "%s", ""), "");
	assert_string_equal(s, "one");
	arena_free(a);
}

static char order[16];

static void release(void *object)
{
	strcat(order, object);
}

static void *attach_to;

static void release_and_attach(void *object)
{
	strcat(order, object);
	arena_attach(attach_to, "z", release);
}

static void test_attached_objects_die_in_reverse(void **state)
{
	struct arena *a = arena_new();

	(void)state;
	order[0] = '\0';
	arena_attach(a, "1", release);
	arena_attach(a, "2", release);
	arena_attach(a, "3", release);
	arena_reset(a);
	assert_string_equal(order, "321");
	arena_reset(a);
	assert_string_equal(order, "321");
	arena_attach(a, "4", release);
	arena_free(a);
	assert_string_equal(order, "3214");
}

static void test_release_may_use_the_arena(void **state)
{
	struct arena *a = arena_new();

	(void)state;
	order[0] = '\0';
	attach_to = a;
	arena_attach(a, "x", release_and_attach);
	arena_free(a);
	assert_string_equal(order, "xz");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_zeroed),
		cmocka_unit_test(test_resize_keeps_contents),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_overflow_logs_and_exits),
		cmocka_unit_test(test_arena_memory_is_zeroed_and_aligned),
		cmocka_unit_test(test_arena_strings),
		cmocka_unit_test(test_attached_objects_die_in_reverse),
		cmocka_unit_test(test_release_may_use_the_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
