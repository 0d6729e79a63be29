/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "needs_root.h"

enum { NOW = 1800000000 };

struct bed {
	char dir[40];
	struct store *s;
	bool fresh;
};

static void quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static int setup(void **state)
{
	struct bed *b = mem_alloc(sizeof(*b));

	clock_freeze(NOW);
	log_set_sink(quiet, NULL);
	strcpy(b->dir, "/tmp/dovad-store-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;
	struct err err;

	store_close(b->s);
	assert_true(file_remove_tree(AT_FDCWD, b->dir, &err));
	free(b);
	log_set_sink(NULL, NULL);
	clock_thaw();
	return 0;
}

static void open_it(struct bed *b)
{
	struct err err;

	b->s = store_open(b->dir, &b->fresh, &err);
	if (!b->s)
		fail_msg("%s", err.detail);
}

static void again(struct bed *b)
{
	store_close(b->s);
	open_it(b);
}

static void put(struct bed *b, const char *kind, const char *name, int64_t n)
{
	struct js *v = js_object();

	js_put_int(v, "n", n);
	store_put(b->s, kind, name, v);
	js_free(v);
}

/* -1: no such record. */
static int64_t got(struct bed *b, const char *kind, const char *name)
{
	struct js *v = store_get(b->s, kind, name);
	int64_t n = v ? js_int(v, "n", -2) : -1;

	js_free(v);
	return n;
}

static void commit(struct bed *b)
{
	struct err err;

	if (!store_commit(b->s, &err))
		fail_msg("%s", err.detail);
}

static char *path_of(struct bed *b, const char *name)
{
	return mem_printf("%s/%s", b->dir, name);
}

static void overwrite(struct bed *b, const char *name, const void *data, size_t len, off_t at)
{
	char *path = path_of(b, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, at), len);
	close(fd);
	free(path);
}

static size_t files_named(struct bed *b, const char *part)
{
	DIR *d = opendir(b->dir);
	struct dirent *e;
	size_t n = 0;

	while ((e = readdir(d)))
		n += strstr(e->d_name, part) != NULL;
	closedir(d);
	return n;
}

/* --- records -------------------------------------------------------------------------------------------------------------- */

static void records_last_and_kinds_do_not_mix(void **state)
{
	struct bed *b = *state;

	open_it(b);
	assert_true(b->fresh);
	assert_false(store_dirty(b->s));
	put(b, "cert", "a", 1);
	put(b, "ca", "a", 2);
	assert_true(store_dirty(b->s));
	commit(b);
	assert_false(store_dirty(b->s));
	again(b);
	assert_false(b->fresh);
	assert_int_equal(got(b, "cert", "a"), 1);
	assert_int_equal(got(b, "ca", "a"), 2);
	assert_int_equal(got(b, "cert", "b"), -1);
	assert_int_equal(got(b, "c", "a"), -1);
}

static void what_is_not_committed_is_seen_but_not_kept(void **state)
{
	struct bed *b = *state;
	struct stat st;
	char *path;

	open_it(b);
	put(b, "cert", "a", 1);
	commit(b);
	put(b, "cert", "a", 2);
	put(b, "cert", "a", 3);
	assert_int_equal(got(b, "cert", "a"), 3);
	store_drop(b->s, "cert", "a");
	assert_int_equal(got(b, "cert", "a"), -1);
	put(b, "cert", "a", 4);
	assert_int_equal(got(b, "cert", "a"), 4);
	store_drop(b->s, "cert", "a");
	commit(b);
	assert_int_equal(got(b, "cert", "a"), -1);
	again(b);
	assert_int_equal(got(b, "cert", "a"), -1);
	path = path_of(b, "journal.db");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0077, 0);
	free(path);
}

static void closing_commits(void **state)
{
	struct bed *b = *state;

	open_it(b);
	put(b, "cert", "a", 7);
	again(b);
	assert_int_equal(got(b, "cert", "a"), 7);
}

static void collect(void *arg, const char *name, const struct js *record)
{
	char *text = arg;

	sprintf(text + strlen(text), "%s=%d ", name, (int)js_int(record, "n", -2));
}

static void each_comes_in_the_order_of_names(void **state)
{
	struct bed *b = *state;
	char text[64] = "";

	open_it(b);
	put(b, "cert", "c", 3);
	put(b, "cert", "a", 1);
	put(b, "ca", "zz", 9);
	put(b, "cert", "b", 2);
	commit(b);
	store_each(b->s, "cert", collect, text);
	assert_string_equal(text, "a=1 b=2 c=3 ");
	text[0] = '\0';
	store_each(b->s, "cert", collect, text); /* again: the first walk left nothing behind */
	assert_string_equal(text, "a=1 b=2 c=3 ");
}

static void odd_names_and_texts_are_only_data(void **state)
{
	static const char *const odd[] = {"'; DROP TABLE record; --", "\"", "%", "", "\xc3\xa4\xf0\x9f\x99\x82"};
	struct bed *b = *state;

	open_it(b);
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		put(b, "cert", odd[i], (int64_t)i);
	commit(b);
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		assert_int_equal(got(b, "cert", odd[i]), i);
}

/* --- history ---------------------------------------------------------------------------------------------------------------- */

static void event(struct bed *b, int64_t at, const char *cert, const char *what, const char *word)
{
	struct js *detail = word ? js_object() : NULL;

	if (word)
		js_put_str(detail, "word", word);
	store_event(b->s, at * 1000000, cert, what, detail);
	js_free(detail);
}

static void history_is_newest_first_and_by_certificate(void **state)
{
	struct bed *b = *state;
	struct js *all;

	open_it(b);
	event(b, NOW, "a", "issued", NULL);
	event(b, NOW + 1, "b", "failed", "why");
	event(b, NOW + 2, "a", "done", NULL);
	event(b, NOW + 3, NULL, "started", NULL);
	commit(b);
	all = store_history(b->s, "a", 10);
	assert_int_equal(js_len(all), 2);
	assert_string_equal(js_str(js_at(all, 0), "event"), "done");
	assert_string_equal(js_str(js_at(all, 1), "event"), "issued");
	assert_string_equal(js_str(js_at(all, 1), "at"), "2027-01-15T08:00:00Z");
	js_free(all);
	all = store_history(b->s, NULL, 3);
	assert_int_equal(js_len(all), 3);
	assert_string_equal(js_str(js_at(all, 0), "event"), "started");
	assert_null(js_str(js_at(all, 0), "cert"));
	assert_string_equal(js_str(js_at(all, 2), "word"), "why");
	js_free(all);
}

static void history_has_a_ceiling(void **state)
{
	struct bed *b = *state;
	struct js *all;

	open_it(b);
	event(b, NOW - 366 * 86400, "old", "issued", NULL);
	event(b, NOW - 364 * 86400, "old", "done", NULL);
	event(b, NOW, "quiet", "issued", NULL);
	for (int i = 0; i < 1000; i++) {
		event(b, NOW, "loud", "failed", NULL);
		if (i % 50 == 0)
			commit(b);
	}
	commit(b);
	all = store_history(b->s, "loud", 10000);
	assert_in_range(js_len(all), 200, 700);
	js_free(all);
	all = store_history(b->s, "quiet", 10000);
	assert_int_equal(js_len(all), 1);
	js_free(all);
	all = store_history(b->s, "old", 10000);
	assert_int_equal(js_len(all), 1);
	js_free(all);
}

/* --- what can be wrong with it ------------------------------------------------------------------------------------------------ */

static void a_second_daemon_is_refused_and_disturbs_nothing(void **state)
{
	struct bed *b = *state;
	struct err err;
	bool fresh;

	open_it(b);
	put(b, "cert", "a", 1);
	commit(b);
	assert_null(store_open(b->dir, &fresh, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.type, "in-use");
	put(b, "cert", "a", 2);
	commit(b);
	again(b); /* and the lock ends with its holder */
	assert_int_equal(got(b, "cert", "a"), 2);
}

static void with_data(struct bed *b)
{
	open_it(b);
	for (int i = 0; i < 400; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%d", i);
		put(b, "cert", name, i);
		event(b, NOW, name, "issued", "some text that makes the pages fill up a little faster than they would otherwise");
	}
	commit(b);
	store_close(b->s);
	b->s = NULL;
}

/* Whatever it was, it is kept, and life goes on with a new one. */
static void begins_anew(struct bed *b)
{
	open_it(b);
	assert_true(b->fresh);
	assert_int_equal(got(b, "cert", "n1"), -1);
	assert_in_range(files_named(b, "journal.db.broken-1800000000"), 1, 3);
	put(b, "cert", "a", 1);
	commit(b);
	again(b);
	assert_false(b->fresh);
	assert_int_equal(got(b, "cert", "a"), 1);
}

static void garbage_is_moved_aside(void **state)
{
	struct bed *b = *state;
	char junk[8192];

	memset(junk, 'x', sizeof junk);
	overwrite(b, "journal.db", junk, sizeof junk, 0);
	begins_anew(b);
}

static void a_damaged_page_is_noticed(void **state)
{
	struct bed *b = *state;
	char junk[4096];

	with_data(b);
	memset(junk, 0x5a, sizeof junk);
	overwrite(b, "journal.db", junk, sizeof junk, 3 * 4096);
	begins_anew(b);
}

static void a_truncated_one_is_moved_aside(void **state)
{
	struct bed *b = *state;
	char *path = path_of(b, "journal.db");

	with_data(b);
	assert_int_equal(truncate(path, 3 * 4096 + 100), 0);
	begins_anew(b);
	free(path);
}

static void an_empty_one_is_a_new_one(void **state)
{
	struct bed *b = *state;

	overwrite(b, "journal.db", "", 0, 0);
	open_it(b);
	assert_true(b->fresh);
	assert_int_equal(files_named(b, "broken"), 0);
	put(b, "cert", "a", 1);
	commit(b);
}

static void one_of_a_future_version_is_moved_aside(void **state)
{
	struct bed *b = *state;

	with_data(b);
	overwrite(b, "journal.db", "\0\0\0\x63", 4, 60); /* the user version in the file's header */
	begins_anew(b);
}

static void somebody_elses_database_is_moved_aside(void **state)
{
	struct bed *b = *state;

	with_data(b);
	/* Our version, but no table of ours: its name in the schema reads otherwise. */
	overwrite(b, "journal.db", "\0\0\0\1", 4, 60);
	{
		char *path = path_of(b, "journal.db"), *at;
		struct buf whole;
		struct err err;

		buf_init(&whole, 0);
		assert_true(file_read(AT_FDCWD, path, 64 << 20, &whole, NULL, &err));
		while ((at = memmem(whole.data, 4096, "record", 6)))
			memcpy(at, "drocer", 6);
		overwrite(b, "journal.db", whole.data, 4096, 0);
		buf_free(&whole);
		free(path);
	}
	begins_anew(b);
}

static void what_is_no_file_is_moved_aside(void **state)
{
	struct bed *b = *state;
	char *path = path_of(b, "journal.db");

	assert_int_equal(mkfifo(path, 0600), 0);
	begins_anew(b);
	store_close(b->s);
	b->s = NULL;
	clock_freeze(NOW + 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	open_it(b);
	assert_true(b->fresh);
	assert_int_equal(files_named(b, "broken-1800000001"), 1);
	free(path);
}

/* The file is good: it only cannot be had now. It must not be thrown away for that. */
static void one_that_cannot_be_opened_now_stays(void **state)
{
	struct bed *b = *state;
	struct rlimit few, old;
	struct err err;
	bool fresh;

	with_data(b);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 5 + files_named(b, ""); /* standard ones, folder and lock */
	for (rlim_t n = 3; n < few.rlim_cur; n++) {
		struct rlimit now = {n, old.rlim_max};
		struct store *s;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		s = store_open(b->dir, &fresh, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (s)
			assert_false(fresh);
		else
			assert_int_equal(err.kind, ERR_LOCAL);
		store_close(s);
	}
	assert_int_equal(files_named(b, "broken"), 0);
	open_it(b);
	assert_int_equal(got(b, "cert", "n7"), 7);
}

/* --- when it cannot be written ------------------------------------------------------------------------------------------------- */

static void a_failed_commit_keeps_everything_for_the_next_try(void **state)
{
	struct bed *b = *state;
	struct rlimit none, old;
	struct err err;

	open_it(b);
	put(b, "cert", "a", 1);
	commit(b);
	put(b, "cert", "a", 2);
	put(b, "cert", "b", 1);
	store_event(b->s, NOW, "a", "issued", NULL);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = (struct rlimit){0, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	for (int i = 0; i < 3; i++) {
		bool ok = store_commit(b->s, &err);

		if (ok || err.kind != ERR_LOCAL || !store_dirty(b->s)) {
			setrlimit(RLIMIT_FSIZE, &old);
			fail_msg("a commit that cannot be");
		}
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(got(b, "cert", "a"), 2);
	commit(b);
	again(b);
	assert_int_equal(got(b, "cert", "a"), 2);
	assert_int_equal(got(b, "cert", "b"), 1);
}

static void a_full_disk_is_named_and_survived(void **state)
{
	struct bed *b = *state;
	char *ballast = path_of(b, "ballast"), *big = mem_alloc(20000);
	struct js *v = js_object();
	struct err err;
	int fd;

	if (mount("none", b->dir, "tmpfs", 0, "size=256k") < 0) {
		js_free(v);
		free(big);
		free(ballast);
		skip_without_root();
	}
	open_it(b);
	put(b, "cert", "a", 1);
	commit(b);
	fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, big, 4096) > 0)
		;
	memset(big, 'x', 19999);
	js_put_str(v, "text", big);
	store_put(b->s, "cert", "b", v);
	assert_false(store_commit(b->s, &err));
	assert_string_equal(err.type, "disk-full");
	assert_int_equal(got(b, "cert", "a"), 1);
	close(fd);
	unlink(ballast);
	commit(b);
	again(b);
	assert_false(b->fresh);
	assert_int_equal(got(b, "cert", "a"), 1);
	assert_int_equal(got(b, "cert", "b"), -2);
	store_close(b->s);
	b->s = NULL;
	assert_int_equal(umount(b->dir), 0);
	js_free(v);
	free(big);
	free(ballast);
}

/* A daemon on a full disk can at least be asked what is wrong. */
static void a_full_disk_does_not_keep_it_from_opening(void **state)
{
	struct bed *b = *state;
	char *ballast = path_of(b, "ballast"), page[4096] = "";
	int fd;

	if (mount("none", b->dir, "tmpfs", 0, "size=256k") < 0) {
		free(ballast);
		skip_without_root();
	}
	open_it(b);
	put(b, "cert", "a", 1);
	commit(b);
	fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, page, sizeof page) > 0)
		;
	close(fd);
	assert_int_equal(files_named(b, "journal.db-wal"), 1); /* still open: the files of the log are there */
	free(ballast);
	store_close(b->s);
	b->s = NULL;
	{
		struct err err;
		bool fresh = true;
		struct store *s = store_open(b->dir, &fresh, &err);

		/* Some room may be needed for the log itself; then it says so, and throws nothing away. */
		if (!s)
			assert_int_equal(err.kind, ERR_LOCAL);
		else
			assert_false(fresh);
		store_close(s);
	}
	assert_int_equal(files_named(b, "broken"), 0);
	assert_int_equal(umount(b->dir), 0);
}

static void a_kill_after_the_commit_loses_nothing(void **state)
{
	struct bed *b = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		open_it(b);
		put(b, "cert", "a", 1);
		commit(b);
		put(b, "cert", "a", 2);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	open_it(b);
	assert_false(b->fresh);
	assert_int_equal(got(b, "cert", "a"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(records_last_and_kinds_do_not_mix),
		TEST(what_is_not_committed_is_seen_but_not_kept),
		TEST(closing_commits),
		TEST(each_comes_in_the_order_of_names),
		TEST(odd_names_and_texts_are_only_data),
		TEST(history_is_newest_first_and_by_certificate),
		TEST(history_has_a_ceiling),
		TEST(a_second_daemon_is_refused_and_disturbs_nothing),
		TEST(garbage_is_moved_aside),
		TEST(a_damaged_page_is_noticed),
		TEST(a_truncated_one_is_moved_aside),
		TEST(an_empty_one_is_a_new_one),
		TEST(one_of_a_future_version_is_moved_aside),
		TEST(somebody_elses_database_is_moved_aside),
		TEST(what_is_no_file_is_moved_aside),
		TEST(one_that_cannot_be_opened_now_stays),
		TEST(a_failed_commit_keeps_everything_for_the_next_try),
		TEST(a_full_disk_is_named_and_survived),
		TEST(a_full_disk_does_not_keep_it_from_opening),
		TEST(a_kill_after_the_commit_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
