/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "io/loop.h"
#include "io/notice.h"

enum { DEBOUNCE_MS = 30 };

/* A directory of its own, with "conf" and "conf/d" in it, both watched. */
struct world {
	char root[40];
	char conf[64];
	char d[64];
	struct notice *n;
	unsigned changes;
	bool close_in_change;
};

static void changed(void *arg)
{
	struct world *w = arg;

	w->changes++;
	if (w->close_in_change) {
		notice_close(w->n);
		w->n = NULL;
	}
}

static char *at(const char *dir, const char *name)
{
	static char path[2][128];
	static unsigned i;

	i ^= 1;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void write_file(const char *dir, const char *name)
{
	int fd = open(at(dir, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static int open_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err;

	*state = w;
	if (!w || !loop_open(&err))
		return -1;
	strcpy(w->root, "/tmp/dovad-notice-XXXXXX");
	if (!mkdtemp(w->root))
		return -1;
	snprintf(w->conf, sizeof(w->conf), "%s/conf", w->root);
	snprintf(w->d, sizeof(w->d), "%s/conf/d", w->root);
	return mkdir(w->conf, 0755) || mkdir(w->d, 0755);
}

static void watch_for(struct world *w, int64_t debounce_ms)
{
	const char *dirs[] = { w->conf, w->d };
	struct err err = { 0 };

	w->n = notice_open(dirs, 2, debounce_ms, changed, w, &err);
	assert_string_equal(err.detail, "");
	assert_non_null(w->n);
}

static void watch_both(struct world *w)
{
	watch_for(w, DEBOUNCE_MS);
}

static int close_world(void **state)
{
	struct world *w = *state;
	struct err err;

	notice_close(w->n);
	loop_turn(false);
	loop_close();
	if (!file_remove_tree(AT_FDCWD, w->root, &err))
		return -1;
	free(w);
	return 0;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Long enough for a change to be told, had there been one. */
static void let_pass(int64_t ms)
{
	struct timer t = { 0 };

	timer_arm(&t, ms, nothing, NULL);
	while (timer_armed(&t))
		loop_turn(true);
}

/* The change just made is told once. */
static void expect_change(struct world *w)
{
	unsigned before = w->changes;

	while (w->changes == before)
		loop_turn(true);
	let_pass(3 * DEBOUNCE_MS);
	assert_int_equal(w->changes, before + 1);
}

static void expect_silence(struct world *w)
{
	unsigned before = w->changes;

	let_pass(3 * DEBOUNCE_MS);
	assert_int_equal(w->changes, before);
}

static void test_each_kind_of_change(void **state)
{
	struct world *w = *state;

	watch_both(w);
	expect_silence(w);
	write_file(w->d, "a");
	expect_change(w);
	write_file(w->conf, "main");
	expect_change(w);
	assert_int_equal(chmod(at(w->d, "a"), 0640), 0);
	expect_change(w);
	assert_int_equal(rename(at(w->d, "a"), at(w->root, "a")), 0);
	expect_change(w);
	assert_int_equal(rename(at(w->root, "a"), at(w->d, "b")), 0);
	expect_change(w);
	assert_int_equal(symlink("/nowhere", at(w->d, "link")), 0);
	expect_change(w);
	assert_int_equal(link(at(w->d, "b"), at(w->d, "hard")), 0);
	expect_change(w);
	assert_int_equal(unlink(at(w->d, "b")), 0);
	expect_change(w);
}

static void test_reading_and_beginning_are_no_changes(void **state)
{
	struct world *w = *state;
	char byte;
	int fd;

	write_file(w->d, "a");
	watch_both(w);
	fd = open(at(w->d, "a"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &byte, 1), 1);
	close(fd);
	expect_silence(w);
	fd = open(at(w->d, "b"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	expect_silence(w); /* half a file is nothing to look at */
	close(fd);
	expect_change(w);
	write_file(w->root, "elsewhere");
	expect_silence(w);
}

static void test_burst_is_told_once(void **state)
{
	struct world *w = *state;
	char name[16];

	watch_for(w, 500); /* writing may be slow */
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		write_file(w->d, name);
		loop_turn(false);
	}
	expect_change(w);
}

static void write_again(void *arg)
{
	write_file(((struct world *)arg)->d, "busy");
}

static void test_endless_burst_is_told_all_the_same(void **state)
{
	struct world *w = *state;
	struct timer t = { 0 };

	watch_both(w);
	clock_freeze(clock_now());
	for (int i = 0; i < 12 && w->changes == 0; i++) {
		timer_arm(&t, DEBOUNCE_MS / 6, write_again, w);
		while (timer_armed(&t))
			loop_turn(true);
		clock_advance(1000); /* what a change every second would be */
	}
	timer_arm(&t, 0, nothing, NULL);
	while (timer_armed(&t))
		loop_turn(true);
	clock_thaw();
	assert_int_equal(w->changes, 1);
}

static void test_directory_is_replaced(void **state)
{
	struct world *w = *state;

	watch_both(w);
	assert_int_equal(rename(w->d, at(w->root, "old")), 0);
	assert_int_equal(mkdir(w->d, 0755), 0);
	expect_change(w);
	write_file(w->d, "in-the-new-one");
	expect_change(w);
	write_file(at(w->root, "old"), "in-the-old-one");
	expect_silence(w);
}

static void test_the_one_above_is_replaced(void **state)
{
	struct world *w = *state;

	watch_both(w);
	assert_int_equal(rename(w->conf, at(w->root, "old")), 0);
	expect_change(w);
	assert_int_equal(mkdir(w->conf, 0755), 0);
	expect_change(w);
	assert_int_equal(mkdir(w->d, 0755), 0);
	expect_change(w);
	write_file(w->d, "a");
	expect_change(w);
	write_file(at(w->root, "old/d"), "a");
	expect_silence(w);
}

static void test_missing_directory_is_awaited(void **state)
{
	struct world *w = *state;

	assert_int_equal(rmdir(w->d), 0);
	assert_int_equal(rmdir(w->conf), 0);
	watch_both(w);
	expect_silence(w);
	assert_int_equal(mkdir(w->conf, 0755), 0);
	assert_int_equal(mkdir(w->d, 0755), 0);
	expect_change(w);
	write_file(w->d, "a");
	expect_change(w);
	assert_true(file_remove_tree(AT_FDCWD, w->conf, NULL));
	expect_change(w);
	assert_int_equal(mkdir(w->conf, 0755), 0);
	expect_change(w);
	assert_int_equal(mkdir(w->d, 0755), 0);
	expect_change(w);
}

static void test_close_inside_changed(void **state)
{
	struct world *w = *state;

	watch_both(w);
	w->close_in_change = true;
	write_file(w->d, "a");
	while (w->n)
		loop_turn(true);
	write_file(w->d, "b");
	expect_silence(w);
	notice_close(NULL);
}

static void test_what_cannot_be_watched_is_an_error(void **state)
{
	char *endless = malloc(6000);
	const char *dirs[] = { endless };
	struct err err;

	(void)state;
	memset(endless, 'x', 5999);
	endless[5999] = '\0';
	assert_null(notice_open(dirs, 1, DEBOUNCE_MS, changed, NULL, &err)); /* name too long */
	assert_int_equal(err.kind, ERR_LOCAL);
	free(endless);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_kind_of_change),
		TEST(test_reading_and_beginning_are_no_changes),
		TEST(test_burst_is_told_once),
		TEST(test_endless_burst_is_told_all_the_same),
		TEST(test_directory_is_replaced),
		TEST(test_the_one_above_is_replaced),
		TEST(test_missing_directory_is_awaited),
		TEST(test_close_inside_changed),
		TEST(test_what_cannot_be_watched_is_an_error),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
