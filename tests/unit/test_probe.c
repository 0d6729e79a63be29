/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "conf_made.h"
#include "keeper/probe.h"
#include "keeper_fixture.h"
#include "needs_root.h"

enum { STRANGER = 65534 };

static void make_folder(const struct fixture *f, const char *name, mode_t mode, uid_t owner)
{
	char *path = fixture_path(f, name);

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
	if (owner != geteuid())
		assert_int_equal(chown(path, owner, owner), 0);
	free(path);
}

/* "" for yes, else why not; with "$" for the folder of the test. */
static const char *probe_as(const struct fixture *f, const char *unit, enum probe_kind kind, const char *name)
{
	static char text[1024];
	char *path = fixture_path(f, name), *at;
	struct err err;

	snprintf(text, sizeof(text), "%s", probe_path(kind, path, unit, &err) ? "" : err.detail);
	while ((at = strstr(text, f->dir))) {
		memmove(at + 1, at + strlen(f->dir), strlen(at + strlen(f->dir)) + 1);
		*at = '$';
	}
	free(path);
	return text;
}

static const char *probe(const struct fixture *f, enum probe_kind kind, const char *name)
{
	return probe_as(f, NULL, kind, name);
}

static void nothing_is_made(void **state)
{
	struct fixture *f = *state;

	make_folder(f, "etc", 0755, geteuid());
	make_folder(f, "www", 0755, geteuid());
	assert_string_equal(probe(f, PROBE_TARGET, "etc/site"), "");
	assert_string_equal(probe(f, PROBE_TARGET, "etc/a/b/site/"), "");
	assert_string_equal(probe(f, PROBE_WEBROOT, "www"), "");
	assert_false(fixture_has(f, "etc/a"));
	assert_false(fixture_has(f, "www/.well-known"));
	assert_string_equal(probe(f, PROBE_WEBROOT, "none"), "$/none: cannot open \"none\": No such file or directory");
	fixture_write(f, "etc/file", "", 0600);
	assert_string_equal(probe(f, PROBE_TARGET, "etc/file/site"), "$/etc/file: \"file\" is not a folder");
}

static void links_and_strangers(void **state)
{
	struct fixture *f = *state;
	char *path = fixture_path(f, "open/link");

	make_folder(f, "open", 0777, geteuid());
	assert_non_null(strstr(probe(f, PROBE_TARGET, "open/new/site"), "there is no \"new\" and it is not made where others than root can write"));
	assert_int_equal(symlink("/etc", path), 0);
	assert_non_null(strstr(probe(f, PROBE_TARGET, "open/link/site"), "\"link\" is a symbolic link that others than root can change"));
	make_folder(f, "www", 0755, geteuid());
	free(path);
	path = fixture_path(f, "www/.well-known");
	assert_int_equal(symlink("/etc", path), 0);
	assert_string_equal(probe(f, PROBE_WEBROOT, "www"), "$/www: \".well-known\" in it is a symbolic link; make it a folder");
	free(path);
}

/* In a child, which stays a stranger. */
static void without_rights(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status;

	needs_root();
	make_folder(f, "etc", 0755, 0);
	make_folder(f, "theirs", 0755, STRANGER);
	assert_int_equal(chmod(f->dir, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) || setresgid(STRANGER, STRANGER, STRANGER) || setresuid(STRANGER, STRANGER, STRANGER))
			_exit(2);
		_exit(strcmp(probe(f, PROBE_TARGET, "etc/site"), "$/etc cannot be written to: Permission denied") != 0 || *probe(f, PROBE_TARGET, "theirs/site"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* As ProtectSystem=strict makes it. In a child with mounts of its own. */
static int look_read_only(const struct fixture *f)
{
	static const struct { enum probe_kind kind; const char *path, *says; } rows[] = {
		{ PROBE_TARGET, "ro/tls/site", "dovad-keeper.service may not write to $/ro/tls: make that folder, then systemctl edit dovad-keeper.service, "
			"and add [Service] ReadWritePaths=$/ro/tls, then systemctl restart dovad-keeper.service" },
		{ PROBE_TARGET, "ro/site", "dovad-keeper.service may not write to $/ro: systemctl edit dovad-keeper.service, and add [Service] "
			"ReadWritePaths=$/ro, then systemctl restart dovad-keeper.service" },
		{ PROBE_WEBROOT, "ro/www", "dovad-keeper.service may not write to $/ro/www: systemctl edit dovad-keeper.service, and add [Service] "
			"ReadWritePaths=$/ro/www, then systemctl restart dovad-keeper.service" },
	};
	char *ro = fixture_path(f, "ro");

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount(ro, ro, NULL, MS_BIND, NULL) ||
		mount(NULL, ro, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		return 77;
	free(ro);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *says = probe_as(f, "dovad-keeper.service", rows[i].kind, rows[i].path);

		if (strcmp(says, rows[i].says) != 0) {
			fprintf(stderr, "row %zu: %s\n", i, says);
			return 1;
		}
		if (!strstr(probe(f, rows[i].kind, rows[i].path), "Read-only file system"))
			return 2;
	}
	return 0;
}

static void read_only(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status;

	needs_root();
	make_folder(f, "ro", 0755, 0);
	make_folder(f, "ro/www", 0755, 0);
	pid = fork();
	if (pid == 0)
		_exit(look_read_only(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* a container that may not mount */
	assert_int_equal(status, 0);
}

static void all_of_a_certificate(void **state)
{
	struct fixture *f = *state;
	char *text = mem_printf("http = ( { name = \"www\"; type = \"webroot\"; path = \"%s/www\"; } );\n"
		"ca = ( { name = \"t\"; type = \"acme\"; directory = \"https://t.test/\"; agree_tos = true; } );\n"
		"certificate = { name = \"a\"; names = [ \"a.test\" ]; prove = [ \"http:www\" ]; install = ( { dir = \"%s/a\"; }, "
		"{ key_file = \"%s/b/k\"; fullchain_file = \"%s/c/f\"; } ); };\n", f->dir, f->dir, f->dir, f->dir);
	struct conf *conf = MADE(text);
	struct js *all;

	assert_true(conf->usable);
	make_folder(f, "b", 0755, geteuid());
	all = probe_cert(conf_find_cert(conf, "a"), NULL);
	assert_int_equal(js_len(all), 4);
	for (size_t i = 0; i < 4; i++) {
		const struct js *one = js_at(all, i);

		assert_string_equal(js_str(one, "what"), i < 3 ? "target" : "webroot");
		assert_int_equal(js_has(one, "problem"), i == 3); /* there is no webroot */
	}
	js_free(all);
	conf_free(conf);
	free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_made), TEST(links_and_strangers), TEST(without_rights), TEST(read_only), TEST(all_of_a_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
