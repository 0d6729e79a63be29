/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "keeper/webroot.h"
#include "keeper_fixture.h"
#include "needs_root.h"

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define PRINT "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
#define WELL "www/.well-known"
#define FOLDER WELL "/acme-challenge"
#define FILE_NAME FOLDER "/" TOKEN

enum { STRANGER = 65534 };

static int setup(void **state)
{
	struct fixture *f;
	char *path;

	fixture_setup(state);
	f = *state;
	path = fixture_path(f, "www");
	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
	return 0;
}

/* The configured path, as the keeper gets it. Caller frees. */
static bool publish(const struct fixture *f, const char *token, struct err *err)
{
	char *root = fixture_path(f, "www");
	size_t len = 0;
	bool ok = webroot_publish(root, token, PRINT, &len, err);

	if (ok)
		assert_int_equal(len, strlen(token) + 1 + strlen(PRINT));
	free(root);
	return ok;
}

static bool withdraw(const struct fixture *f, const char *token, struct err *err)
{
	char *root = fixture_path(f, "www");
	bool ok = webroot_withdraw(root, token, err);

	free(root);
	return ok;
}

static void assert_file(const struct fixture *f)
{
	char *text = fixture_read(f, FILE_NAME);

	assert_non_null(text);
	assert_string_equal(text, TOKEN "." PRINT);
	assert_int_equal(fixture_stat(f, FILE_NAME).st_mode, S_IFREG | 0644);
	free(text);
}

static void give(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name);

	assert_int_equal(lchown(path, STRANGER, STRANGER), 0);
	free(path);
}

static void make(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name);

	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
}

static void link_to(const struct fixture *f, const char *name, const char *target)
{
	char *path = fixture_path(f, name);

	assert_int_equal(symlink(target, path), 0);
	free(path);
}

static void there_and_gone(void **state)
{
	struct fixture *f = *state;
	struct err err;

	umask(077);
	assert_true(withdraw(f, TOKEN, &err)); /* nothing was there, nothing is made */
	assert_false(fixture_has(f, WELL));
	for (int i = 0; i < 2; i++) {
		assert_true(publish(f, TOKEN, &err));
		assert_file(f);
	}
	assert_int_equal(fixture_stat(f, WELL).st_mode, S_IFDIR | 0755);
	assert_int_equal(fixture_stat(f, FOLDER).st_mode, S_IFDIR | 0755);
	for (int i = 0; i < 2; i++) {
		assert_true(withdraw(f, TOKEN, &err));
		assert_false(fixture_has(f, FILE_NAME));
	}
	assert_true(fixture_has(f, FOLDER));
	umask(022);
}

static void hostile_tokens(void **state)
{
	static const char *const tokens[] = { "", ".", "..", "../x", "a/b", "/etc/passwd", "a.b", "a b", "$(id)", "`id`", "a\nb", "a%2fb", "\xc3\xa4" };
	struct fixture *f = *state;
	char *longest = mem_printf("%0300d", 0);
	struct err err;

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		assert_false(publish(f, tokens[i], &err));
		assert_int_equal(err.kind, ERR_INPUT);
		assert_false(withdraw(f, tokens[i], &err));
	}
	assert_false(publish(f, longest, &err));
	assert_false(fixture_has(f, WELL));
	free(longest);
}

static void missing_root(void **state)
{
	struct fixture *f = *state;
	char *path = fixture_path(f, "www");
	struct err err;

	assert_int_equal(rmdir(path), 0);
	free(path);
	assert_false(publish(f, TOKEN, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_true(withdraw(f, TOKEN, &err));
	fixture_write(f, "www", "a file", 0644);
	assert_false(publish(f, TOKEN, &err));
	assert_false(withdraw(f, TOKEN, &err));
}

static void owners_follow_the_folder(void **state)
{
	struct fixture *f = *state;
	struct err err;

	needs_root();
	give(f, "www");
	assert_true(publish(f, TOKEN, &err));
	assert_file(f);
	assert_int_equal(fixture_stat(f, WELL).st_uid, STRANGER);
	assert_int_equal(fixture_stat(f, FOLDER).st_uid, STRANGER);
	assert_int_equal(fixture_stat(f, FOLDER).st_gid, STRANGER);
	assert_int_equal(fixture_stat(f, FILE_NAME).st_uid, STRANGER);
	assert_true(withdraw(f, TOKEN, &err));
	assert_false(fixture_has(f, FILE_NAME));
}

/* Whoever owns the webroot puts a link where we go. */
static void links_on_the_way(void **state)
{
	static const char *const links[] = { WELL, FOLDER };
	struct fixture *f = *state;
	struct err err;

	make(f, "target");
	make(f, "target/acme-challenge");
	for (int i = 0; i < 2; i++) {
		char *path = fixture_path(f, links[i]);

		link_to(f, links[i], i ? "../../target" : "../target");
		assert_false(publish(f, TOKEN, &err));
		assert_int_equal(err.kind, ERR_LOCAL);
		assert_non_null(strstr(err.detail, "symbolic link"));
		fixture_write(f, "target/" TOKEN, TOKEN ".", 0644);
		fixture_write(f, "target/acme-challenge/" TOKEN, TOKEN ".", 0644);
		assert_false(withdraw(f, TOKEN, &err));
		assert_true(fixture_has(f, "target/" TOKEN));
		assert_true(fixture_has(f, "target/acme-challenge/" TOKEN));
		assert_int_equal(unlink(path), 0);
		free(path);
		if (!i)
			make(f, WELL);
	}
}

/* Something else stands where the file goes: it is not opened, written, followed or removed. */
static void things_in_place_of_the_file(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct fixture *f = *state;
	char *path, *text;
	struct err err;
	int fd;

	make(f, WELL);
	make(f, FOLDER);
	path = fixture_path(f, FILE_NAME);
	fixture_write(f, "secret", TOKEN ".x", 0600);
	for (int i = 0; i < 5; i++) {
		if (i == 0)
			link_to(f, FILE_NAME, "../../../secret");
		else if (i == 1)
			link_to(f, FILE_NAME, "nowhere");
		else if (i == 2)
			assert_int_equal(mkfifo(path, 0666), 0);
		else if (i == 3)
			assert_int_equal(mkdir(path, 0755), 0);
		else {
			snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", f->dir);
			fd = socket(AF_UNIX, SOCK_STREAM, 0);
			assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
			assert_int_equal(rename(sun.sun_path, path), 0);
			close(fd);
		}
		assert_false(publish(f, TOKEN, &err));
		assert_int_equal(err.kind, ERR_LOCAL);
		assert_false(withdraw(f, TOKEN, &err));
		assert_true(fixture_has(f, FILE_NAME));
		assert_int_equal(remove(path), 0);
	}
	/* A second name of a file elsewhere. */
	text = fixture_path(f, "secret");
	assert_int_equal(link(text, path), 0);
	free(text);
	assert_false(publish(f, TOKEN, &err));
	text = fixture_read(f, "secret");
	assert_string_equal(text, TOKEN ".x");
	free(text);
	free(path);
}

static void only_ours_is_withdrawn(void **state)
{
	static const char *const others[] = { "hello", TOKEN "x", "." TOKEN, TOKEN "." PRINT "\n", TOKEN "." PRINT PRINT };
	static const char *const ours[] = { "", TOKEN, TOKEN ".", TOKEN "." PRINT };
	struct fixture *f = *state;
	struct err err;

	make(f, WELL);
	make(f, FOLDER);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		fixture_write(f, FILE_NAME, others[i], 0644);
		assert_false(withdraw(f, TOKEN, &err));
		assert_true(fixture_has(f, FILE_NAME));
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		fixture_write(f, FILE_NAME, ours[i], 0644);
		assert_true(withdraw(f, TOKEN, &err));
		assert_false(fixture_has(f, FILE_NAME));
	}
	/* What a crash left is replaced. */
	fixture_write(f, FILE_NAME, TOKEN, 0600);
	assert_true(publish(f, TOKEN, &err));
	assert_file(f);
}

static void root_behind_links(void **state)
{
	struct fixture *f = *state;
	char *path = fixture_path(f, "way");
	struct err err;
	size_t len;

	link_to(f, "way", "www");
	assert_true(webroot_publish(path, TOKEN, PRINT, &len, &err)); /* ours, in a folder of ours */
	assert_file(f);
	if (geteuid() == 0) {
		give(f, "way");
		assert_false(webroot_publish(path, TOKEN, PRINT, &len, &err)); /* his */
		unlink(path);
		link_to(f, "way", "www");
		give(f, "");
		assert_false(webroot_publish(path, TOKEN, PRINT, &len, &err)); /* ours, but he could put another in its place */
		assert_non_null(strstr(err.detail, "symbolic link"));
	}
	unlink(path);
	link_to(f, "way", "way");
	if (geteuid() == 0)
		assert_int_equal(chown(f->dir, 0, 0), 0);
	assert_false(webroot_publish(path, TOKEN, PRINT, &len, &err)); /* round and round */
	assert_false(webroot_publish("relative", TOKEN, PRINT, &len, &err));
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_gone, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(hostile_tokens, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(missing_root, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(owners_follow_the_folder, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(links_on_the_way, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(things_in_place_of_the_file, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(only_ours_is_withdrawn, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(root_behind_links, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
