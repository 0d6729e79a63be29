/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>

#include "keeper/accepted.h"
#include "keeper/accepted_disk.h"
#include "bad_listing.h"
#include "keeper_fixture.h"

#define MAIN "snippets = \"conf.d\"; services = \"services.d\"; keeper_state = \"state\";\n"                                  \
	"ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; agree_tos = true; } );\n" \
	"http = ( { name = \"www\"; type = \"webroot\"; path = \"/var/www/html\"; } );\n"
#define SNIPPET(name) "certificate = { names = [ \"" name "\" ]; };\n"

/* In front of libc's: a disk that stopped working. */
static bool disk_fails;

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	if (disk_fails) {
		errno = EROFS;
		return -1;
	}
	return renameat2(from_dir, from, to_dir, to, 0);
}

struct folder {
	struct fixture *f;
	struct accepted *a;
	char *main_file;
};

static void make(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name);

	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
}

static int setup(void **state)
{
	struct folder *d = calloc(1, sizeof(*d));

	fixture_setup((void **)&d->f);
	disk_fails = false;
	d->main_file = fixture_path(d->f, "dovad.conf");
	make(d->f, "conf.d");
	make(d->f, "services.d");
	fixture_write(d->f, "dovad.conf", MAIN, 0644);
	fixture_write(d->f, "conf.d/a.conf", SNIPPET("a.example"), 0644);
	fixture_write(d->f, "conf.d/b.conf", SNIPPET("b.example"), 0644);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct folder *d = *state;

	accepted_close(d->a);
	fixture_teardown((void **)&d->f);
	free(d->main_file);
	free(d);
	return 0;
}

/* As at the start of a keeper. */
static bool start(struct folder *d, struct err *err)
{
	struct conf_set set;

	accepted_close(d->a);
	conf_read(d->main_file, &set);
	d->a = accepted_open(d->f->state, d->main_file, &set, err);
	conf_set_free(&set);
	return d->a != NULL;
}

static void started(struct folder *d)
{
	struct err err;

	if (!start(d, &err))
		fail_msg("%s", err.detail);
}

static bool update(struct folder *d, bool reload)
{
	struct conf_set set;
	bool changed;

	conf_read(d->main_file, &set);
	changed = accepted_update(d->a, &set, reload);
	conf_set_free(&set);
	return changed;
}

static void erase(const struct folder *d, const char *name)
{
	char *path = fixture_path(d->f, name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

/* Certificates of these names and no others, in both halves' reading: the sources given out build the very same. */
static void assert_certs(const struct folder *d, const char *names)
{
	const struct conf *c = accepted_conf(d->a);
	struct conf_source *sources = mem_array(accepted_count(d->a) + 1, sizeof(*sources));
	char found[256] = "";
	struct conf *again;

	for (size_t i = 0; i < c->cert.n; i++)
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s", i ? " " : "", c->cert.v[i].names.v[0]);
	assert_string_equal(found, names);
	for (size_t i = 0; accepted_source(d->a, i); i++)
		sources[i] = *accepted_source(d->a, i);
	again = conf_build(sources, accepted_count(d->a), NULL, 0);
	assert_string_equal(again->digest, c->digest);
	assert_int_equal(again->cert.n, c->cert.n);
	conf_free(again);
	free(sources);
}

/* Is a problem told about this file, and is it named as not in use? */
static void assert_told(const struct folder *d, const char *name, bool told)
{
	struct js *problems = accepted_problems(d->a), *quarantined = accepted_quarantined(d->a);
	char *path = fixture_path(d->f, name);
	bool problem = false, named = false;

	for (size_t i = 0; i < js_len(problems); i++)
		problem |= strcmp(js_str(js_at(problems, i), "file"), path) == 0 && js_str(js_at(problems, i), "text")[0];
	for (size_t i = 0; i < js_len(quarantined); i++)
		named |= strcmp(js_str_at(quarantined, i), path) == 0;
	assert_int_equal(problem, told);
	assert_int_equal(named, told);
	js_free(problems);
	js_free(quarantined);
	free(path);
}

static void good_files_are_kept(void **state)
{
	struct folder *d = *state;

	started(d);
	assert_certs(d, "a.example b.example");
	assert_false(update(d, true));
	fixture_write(d->f, "conf.d/c.conf", SNIPPET("c.example"), 0644);
	assert_true(update(d, false));
	assert_certs(d, "a.example b.example c.example");
	assert_int_equal(fixture_stat(d->f, "state/accepted").st_mode & 07777, 0700);
	fixture_write(d->f, "conf.d/a.conf", SNIPPET("changed.example"), 0644);
	assert_true(update(d, false));
	assert_certs(d, "changed.example b.example c.example");
}

static void bad_snippet_keeps_its_last_good_version(void **state)
{
	static const char *const bad[] = { "certificate = {", "", "certificate = { names = [ \"a.example\" ]; no_such_option = 1; };", "\xff\xfe", "certificat = 1;" };
	struct folder *d = *state;

	started(d);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (i == 1)
			continue; /* an empty file is a good one that says nothing */
		fixture_write(d->f, "conf.d/a.conf", bad[i], 0644);
		update(d, true);
		assert_certs(d, "a.example b.example");
		assert_told(d, "conf.d/a.conf", true);
		assert_told(d, "conf.d/b.conf", false);
		started(d); /* after a restart, too */
		assert_certs(d, "a.example b.example");
		assert_told(d, "conf.d/a.conf", true);
	}
	/* A bad one that never was good is just left out. */
	fixture_write(d->f, "conf.d/new.conf", bad[0], 0644);
	update(d, false);
	assert_certs(d, "a.example b.example");
	assert_told(d, "conf.d/new.conf", true);
	fixture_write(d->f, "conf.d/a.conf", SNIPPET("good.example"), 0644);
	erase(d, "conf.d/new.conf");
	assert_true(update(d, false));
	assert_certs(d, "good.example b.example");
	assert_told(d, "conf.d/a.conf", false);
}

static void unreadable_is_not_removed(void **state)
{
	struct folder *d = *state;
	char *path = fixture_path(d->f, "conf.d/a.conf");

	started(d);
	assert_int_equal(chmod(path, 0666), 0);
	update(d, true);
	assert_certs(d, "a.example b.example");
	assert_told(d, "conf.d/a.conf", true);
	assert_int_equal(accepted_wait_ms(d->a), -1);
	erase(d, "conf.d/a.conf");
	assert_int_equal(mkfifo(path, 0644), 0);
	update(d, true);
	assert_certs(d, "a.example b.example");
	free(path);
	/* The whole folder is not to be trusted. */
	path = fixture_path(d->f, "conf.d");
	assert_int_equal(chmod(path, 0777), 0);
	update(d, true);
	assert_certs(d, "a.example b.example");
	assert_int_equal(accepted_wait_ms(d->a), -1);
	free(path);
}

/* Nothing that was not seen counts as removed, by a reload either; and what was stored is not taken for nothing. */
static void unseen_is_not_removed(void **state)
{
	struct folder *d = *state;
	struct err err;

	started(d);
	for (int at = 0; at < 10; at++) {
		listing_fails_at = at;
		update(d, true);
		listing_fails_at = INT_MAX;
		assert_certs(d, "a.example b.example");
	}
	listing_fails_at = 0;
	assert_false(start(d, &err));
	assert_int_equal(err.errnum, EIO);
	listing_fails_at = INT_MAX;
	started(d);
	assert_certs(d, "a.example b.example");
}

static void missing_is_removed_later(void **state)
{
	struct folder *d = *state;

	started(d);
	assert_int_equal(accepted_wait_ms(d->a), -1);
	erase(d, "conf.d/a.conf");
	assert_false(update(d, false));
	assert_certs(d, "a.example b.example");
	assert_int_equal(accepted_wait_ms(d->a), 60000);
	clock_advance(59999);
	assert_false(update(d, false));
	assert_int_equal(accepted_wait_ms(d->a), 1);
	clock_advance(1);
	assert_true(update(d, false));
	assert_certs(d, "b.example");
	assert_int_equal(accepted_wait_ms(d->a), -1);
	/* An editor that removes and writes again is not noticed. */
	erase(d, "conf.d/b.conf");
	assert_false(update(d, false));
	fixture_write(d->f, "conf.d/b.conf", SNIPPET("b.example"), 0644);
	assert_false(update(d, false));
	assert_int_equal(accepted_wait_ms(d->a), -1);
	/* A reload means it. */
	erase(d, "conf.d/b.conf");
	assert_true(update(d, true));
	assert_certs(d, "");
}

static void missing_at_start_waits_too(void **state)
{
	struct folder *d = *state;

	started(d);
	erase(d, "conf.d/a.conf");
	started(d);
	assert_certs(d, "a.example b.example");
	assert_int_equal(accepted_wait_ms(d->a), 60000);
	clock_advance(60000);
	assert_true(update(d, false));
	assert_certs(d, "b.example");
	started(d);
	assert_certs(d, "b.example");
}

static void bad_main_file(void **state)
{
	static const char *const bad[] = { "ca = (", "ca = 7;", MAIN "nonsense = 1;" };
	struct folder *d = *state;
	struct err err;
	char *before;

	started(d);
	before = mem_strdup(accepted_conf(d->a)->digest);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fixture_write(d->f, "dovad.conf", bad[i], 0644);
		erase(d, "conf.d/a.conf"); /* nothing else counts meanwhile */
		update(d, true);
		assert_string_equal(accepted_conf(d->a)->digest, before);
		assert_told(d, "dovad.conf", true);
		assert_int_equal(accepted_wait_ms(d->a), -1);
		started(d);
		assert_certs(d, "a.example b.example");
		assert_told(d, "dovad.conf", true);
		fixture_write(d->f, "conf.d/a.conf", SNIPPET("a.example"), 0644);
	}
	/* Missing is bad, too. */
	erase(d, "dovad.conf");
	started(d);
	assert_certs(d, "a.example b.example");
	fixture_write(d->f, "dovad.conf", MAIN, 0644);
	assert_true(update(d, false));
	assert_told(d, "dovad.conf", false);
	assert_string_equal(accepted_conf(d->a)->digest, before);
	free(before);
	/* What was accepted for another main file is not ours. */
	free(d->main_file);
	d->main_file = fixture_path(d->f, "other.conf");
	fixture_write(d->f, "other.conf", "ca = (", 0644);
	assert_false(start(d, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.detail, "other.conf"));
	fixture_write(d->f, "other.conf", MAIN, 0644);
	started(d);
	assert_certs(d, "a.example b.example");
	fixture_write(d->f, "other.conf", "ca = (", 0644);
	started(d);
	assert_certs(d, "a.example b.example");
}

/* Two files depend on each other: what is good depends on which version of the other one counts. */
static void files_that_clash(void **state)
{
	struct folder *d = *state;

	started(d);
	/* b takes a's name: the later file is set aside, its last good version stays. */
	fixture_write(d->f, "conf.d/b.conf", "certificate = { name = \"a\"; names = [ \"new.example\" ]; };\n", 0644);
	update(d, true);
	assert_certs(d, "a.example b.example");
	assert_told(d, "conf.d/b.conf", true);
	/* Now a goes bad: a's last good version still holds the name. */
	fixture_write(d->f, "conf.d/a.conf", "certificate = {", 0644);
	update(d, true);
	assert_certs(d, "a.example b.example");
	assert_told(d, "conf.d/a.conf", true);
	/* Now a gives it up. */
	fixture_write(d->f, "conf.d/a.conf", "certificate = { name = \"free\"; names = [ \"a.example\" ]; };\n", 0644);
	assert_true(update(d, true));
	assert_certs(d, "new.example a.example");
	/* The CA of all goes away: all of them are set aside, and come back with it. */
	fixture_write(d->f, "dovad.conf", "snippets = \"conf.d\"; keeper_state = \"state\";\n", 0644);
	assert_true(update(d, true));
	assert_certs(d, "");
	fixture_write(d->f, "dovad.conf", MAIN, 0644);
	assert_true(update(d, true));
	assert_certs(d, "new.example a.example");
}

static void full_disk(void **state)
{
	struct folder *d = *state;

	started(d);
	disk_fails = true;
	fixture_write(d->f, "conf.d/a.conf", SNIPPET("changed.example"), 0644);
	assert_true(update(d, false));
	assert_certs(d, "changed.example b.example"); /* it works from memory */
	disk_fails = false;
	fixture_write(d->f, "conf.d/a.conf", "certificate = {", 0644);
	started(d);
	assert_certs(d, "a.example b.example"); /* what the disk has is old, but whole */
}

static void spoilt_store(void **state)
{
	static const char *const parts[] = { "", "garbage", "dovad-accepted 1 2 5 5 0\nxxxxx", "dovad-accepted 9 2 1 1 00\nab", "dovad-accepted 1 99999999999999999999" };
	struct folder *d = *state;
	char *folder = fixture_path(d->f, "state/accepted"), name[400];
	struct dirent *e;
	size_t n = 0;
	DIR *dir;

	started(d);
	dir = opendir(folder);
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof(name), "state/accepted/%s", e->d_name);
			fixture_write(d->f, name, parts[n++ % 5], 0600);
		}
	closedir(dir);
	assert_true(n >= 3); /* and the service definitions of an installed dovad, if there is one */
	fixture_write(d->f, "state/accepted/.half", "x", 0600);
	fixture_write(d->f, "state/accepted/strange", "x", 0600);
	started(d);
	assert_certs(d, "a.example b.example");
	assert_false(fixture_has(d->f, "state/accepted/.half"));
	assert_false(fixture_has(d->f, "state/accepted/strange"));
	started(d);
	free(folder);
}

static void many_files(void **state)
{
	struct folder *d = *state;
	char name[64], text[128];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "conf.d/m%03d.conf", i);
		snprintf(text, sizeof(text), "certificate = { names = [ \"m%03d.example\" ]; };\n", i);
		fixture_write(d->f, name, text, 0644);
	}
	started(d);
	assert_int_equal(accepted_conf(d->a)->cert.n, 302);
	for (int i = 0; i < 300; i += 3) {
		snprintf(name, sizeof(name), "conf.d/m%03d.conf", i);
		fixture_write(d->f, name, i % 2 ? "bad" : SNIPPET("same.example"), 0644);
	}
	started(d);
	assert_int_equal(accepted_conf(d->a)->cert.n, 302);
}

static void name_that_is_no_text(void **state)
{
	struct folder *d = *state;

	fixture_write(d->f, "conf.d/\xff.conf", SNIPPET("c.example"), 0644);
	started(d);
	assert_certs(d, "a.example b.example");
	assert_int_equal(accepted_conf(d->a)->problems.n, 1);
}

static void assert_state(const char *text, const char *path)
{
	struct conf_source source = { .path = "/etc/dovad/dovad.conf", .text = text, .len = strlen(text), .kind = CONF_MAIN };
	struct conf_set set = { .v = &source, .n = 1 };
	char *found = accepted_find_state(&set);

	assert_string_equal(found, path);
	free(found);
}

/* No descriptor is left for the piece, only for the folder: that is no reason to throw the piece away. */
static void what_cannot_be_read_stays(void **state)
{
	struct folder *d = *state;
	struct accepted_file piece = { .path = (char *)"/x", .text = (char *)"y", .len = 1, .kind = CONF_SNIPPET }, *v;
	const struct accepted_file *list[] = { &piece };
	struct rlimit all, few;
	struct err err;
	size_t n;
	int next;

	assert_true(accepted_disk_store(d->f->state, list, 1, &err));
	next = dup(d->f->state);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = all.rlim_max };
	close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_true(accepted_disk_load(d->f->state, &v, &n, &err));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(n, 0);
	free(v);
	assert_true(accepted_disk_load(d->f->state, &v, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(v[0].text, "y");
	accepted_file_free(&v[0]);
	free(v);
}

static void state_folder(void **state)
{
	(void)state;
	assert_state("", LOCALSTATEDIR "/lib/dovad-keeper");
	assert_state("keeper_state = \"/srv/k\";", "/srv/k");
	assert_state("user = (;\n \t keeper_state : \"/srv/k\";\n", "/srv/k");
	assert_state("user = (;\nkeeper_state = \"relative/k\";", "/etc/dovad/relative/k");
	assert_state("user = (;\nkeeper_state = \"/srv/k", LOCALSTATEDIR "/lib/dovad-keeper");
	assert_state("user = (;\nkeeper_state = \"\";", LOCALSTATEDIR "/lib/dovad-keeper");
	assert_state("user = (;\nkeeper_state = ", LOCALSTATEDIR "/lib/dovad-keeper");
	assert_state("user = (;\nkeeper_state", LOCALSTATEDIR "/lib/dovad-keeper");
	assert_state("user = (;\n# keeper_state = \"/srv/k\";", LOCALSTATEDIR "/lib/dovad-keeper");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_files_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_snippet_keeps_its_last_good_version, setup, teardown),
		cmocka_unit_test_setup_teardown(unreadable_is_not_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(unseen_is_not_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_is_removed_later, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_at_start_waits_too, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_main_file, setup, teardown),
		cmocka_unit_test_setup_teardown(files_that_clash, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(spoilt_store, setup, teardown),
		cmocka_unit_test_setup_teardown(many_files, setup, teardown),
		cmocka_unit_test_setup_teardown(name_that_is_no_text, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_stays, setup, teardown),
		cmocka_unit_test(state_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
