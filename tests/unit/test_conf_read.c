/* SPDX-License-Identifier: ISC */
/* From disk: what is read, what is not, and that nothing makes us wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "conf_made.h"

#define CERT(name) "certificate = { names = [ \"" name "\" ]; };"
#define SECRET "hunter2"

static char top[64]; /* a folder of our own */

static const char *at(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", top, name);
	return p;
}

static void put_mode(const char *name, const char *text, mode_t mode)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put(const char *name, const char *text)
{
	put_mode(name, text, 0644);
}

static int setup(void **state)
{
	(void)state;
	alarm(60); /* whatever hangs ends the test */
	snprintf(top, sizeof top, "/tmp/test_conf_read.XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_int_equal(mkdir(at("conf.d"), 0755), 0);
	assert_int_equal(mkdir(at("services.d"), 0755), 0);
	put("dovad.conf", MAIN_TEXT);
	put("conf.d/good.conf", CERT("good.example"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, top, NULL) ? 0 : -1;
}

static struct conf *read_all(const char *main_file)
{
	struct conf_set set;
	struct conf *c;

	conf_read(main_file, &set);
	c = conf_build(set.v, set.n, set.unread, set.nunread);
	conf_set_free(&set);
	return c;
}

static bool knows(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->files.n; i++)
		if (strcmp(c->files.v[i].path, at(name)) == 0)
			return true;
	return false;
}

/* That one file is refused and named, and the good one lives. */
static void check_refused(const char *name, const char *why)
{
	struct conf *c = read_all(at("dovad.conf"));

	made_says(c, at(name));
	made_says(c, why);
	assert_null(strstr(made_report(c), SECRET));
	assert_true(c->usable);
	assert_int_equal(made_errors(c), 1);
	assert_int_equal(c->cert.n, 1);
	assert_non_null(conf_find_cert(c, "good"));
	assert_true(knows(c, name));
	conf_free(c);
}

static void a_tree_is_read_in_order(void **state)
{
	struct conf *c;

	(void)state;
	put("conf.d/b.conf", CERT("b.example"));
	put("conf.d/a.conf", CERT("a.example"));
	put("conf.d/B.conf", "http = { name = \"big\"; type = \"webroot\"; path = \"w\"; };");
	put("services.d/ha.conf", "service = { name = \"ha\"; unit = \"ha.service\"; };");
	c = read_all(at("dovad.conf"));
	made_good(c);
	assert_int_equal(c->cert.n, 3);
	assert_string_equal(c->settings.snippets, at("conf.d"));
	assert_string_equal(conf_find_http(c, "big")->path, at("w"));
	assert_string_equal(conf_find_service(c, "ha")->unit, "ha.service");
	assert_true(c->files.v[0].main);
	assert_string_equal(c->files.v[0].path, at("dovad.conf"));
	assert_string_equal(c->files.v[1].path, at("services.d/ha.conf"));
	assert_string_equal(c->files.v[c->files.n - 4].path, at("conf.d/B.conf"));
	assert_string_equal(c->files.v[c->files.n - 3].path, at("conf.d/a.conf"));
	assert_string_equal(c->files.v[c->files.n - 1].path, at("conf.d/good.conf"));
	conf_free(c);
}

static void folders_follow_the_main_file(void **state)
{
	char *here = get_current_dir_name();
	struct conf *c;

	(void)state;
	assert_int_equal(mkdir(at("sites"), 0700), 0);
	put("sites/x.conf", CERT("x.example"));
	put("other.conf", "snippets = \"sites\"; services = \"nowhere\";" MAIN_TEXT);
	assert_int_equal(chdir(top), 0);
	c = read_all("other.conf"); /* named relative to where we are: paths are those of the file */
	assert_int_equal(chdir(here), 0);
	free(here);
	made_good(c);
	assert_int_equal(c->cert.n, 1);
	assert_non_null(conf_find_cert(c, "x"));
	assert_string_equal(c->settings.snippets, at("sites"));
	conf_free(c);
	put("other.conf", "snippets = \"missing\";" MAIN_TEXT);
	c = read_all(at("other.conf"));
	made_good(c);
	made_says(c, at("missing"));
	made_says(c, "warning: cannot open this folder");
	conf_free(c);
}

static void editors_leftovers_are_no_snippets(void **state)
{
	static const char *const names[] = {".x.conf.swp", ".x.conf", "x.conf~", "x.conf.dpkg-new", "x.conf.rpmsave", "#x.conf#", ".conf", "x.CONF",
		"README", "x.conf.bak", "xconf"};
	struct conf *c;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[64];

		snprintf(path, sizeof path, "conf.d/%s", names[i]);
		put(path, "this is = no snippet");
	}
	assert_int_equal(symlink("nobody@host.1:2", at("conf.d/.#x.conf")), 0);
	c = read_all(at("dovad.conf"));
	made_good(c);
	assert_int_equal(c->cert.n, 1);
	conf_free(c);
}

static void a_fifo_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(at("conf.d/x.conf"), 0644), 0);
	check_refused("conf.d/x.conf", "not a regular file");
}

static void a_socket_is_refused(void **state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", at("conf.d/x.conf"));
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
	check_refused("conf.d/x.conf", "not a regular file");
	close(fd);
}

static void a_folder_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("conf.d/x.conf"), 0755), 0);
	check_refused("conf.d/x.conf", "not a regular file");
}

static void links_are_refused(void **state)
{
	(void)state;
	put_mode("secret", SECRET, 0600);
	assert_int_equal(symlink(at("secret"), at("conf.d/x.conf")), 0);
	check_refused("conf.d/x.conf", "symbolic link");
	assert_int_equal(unlink(at("conf.d/x.conf")), 0);
	assert_int_equal(symlink("/dev/zero", at("conf.d/x.conf")), 0);
	check_refused("conf.d/x.conf", "symbolic link");
	assert_int_equal(unlink(at("conf.d/x.conf")), 0);
	assert_int_equal(symlink("nowhere", at("conf.d/x.conf")), 0);
	check_refused("conf.d/x.conf", "symbolic link");
}

static void a_huge_file_is_refused(void **state)
{
	(void)state;
	put("conf.d/x.conf", "");
	assert_int_equal(truncate(at("conf.d/x.conf"), 1024L * 1024 * 1024), 0);
	check_refused("conf.d/x.conf", "larger than 1048576 bytes");
}

static void a_binary_file_is_refused(void **state)
{
	int fd;

	(void)state;
	put("conf.d/x.conf", "");
	fd = open(at("conf.d/x.conf"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "a = \"" SECRET "\0\";", 15), 15);
	close(fd);
	check_refused("conf.d/x.conf", "x.conf:1: a NUL byte");
}

static void what_others_can_write_is_refused(void **state)
{
	(void)state;
	put_mode("conf.d/x.conf", CERT("x.example"), 0664);
	check_refused("conf.d/x.conf", "can be written by its group: chmod go-w");
	put_mode("conf.d/x.conf", CERT("x.example"), 0646);
	check_refused("conf.d/x.conf", "can be written by everyone: chmod go-w");
	if (geteuid() == 0) {
		put("conf.d/x.conf", CERT("x.example"));
		assert_int_equal(chown(at("conf.d/x.conf"), 65534, 0), 0);
		check_refused("conf.d/x.conf", "belongs to user 65534: only files of root are read");
	} else {
		put_mode("conf.d/x.conf", CERT("x.example"), 0);
		check_refused("conf.d/x.conf", "Permission denied");
	}
}

static void folders_others_can_write_are_refused(void **state)
{
	struct conf *c;

	(void)state;
	assert_int_equal(chmod(at("conf.d"), 0777), 0);
	c = read_all(at("dovad.conf"));
	made_says(c, at("conf.d: can be written by everyone"));
	assert_int_equal(made_errors(c), 1);
	assert_int_equal(c->cert.n, 0);
	conf_free(c);
	assert_int_equal(chmod(top, 0770), 0);
	c = read_all(at("dovad.conf"));
	made_says(c, at(": can be written by its group"));
	assert_false(c->usable);
	assert_int_equal(chmod(top, 0700), 0);
	conf_free(c);
}

static void a_main_file_may_be_missing_or_odd(void **state)
{
	static const struct {
		const char *path, *why;
	} rows[] = {{"missing.conf", "No such file"}, {"missing/dovad.conf", "cannot open this folder"}, {"fifo", "not a regular file"},
		{"conf.d", "not a regular file"}, {"link", "symbolic link"}, {"dovad.conf/x", "cannot open this folder"}};

	(void)state;
	assert_int_equal(mkfifo(at("fifo"), 0644), 0);
	assert_int_equal(symlink("dovad.conf", at("link")), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct conf_set set;
		struct conf *c;

		conf_read(at(rows[i].path), &set);
		assert_int_equal(set.n, 0);
		assert_int_equal(set.nunread, 1);
		c = conf_build(set.v, set.n, set.unread, set.nunread);
		conf_set_free(&set);
		assert_false(c->usable);
		made_says(c, rows[i].why);
		conf_free(c);
	}
}

static void a_snippet_is_tried_out_in_place(void **state)
{
	static const char *const extra[] = {"good.conf", "zz.conf", "aa.conf", "kept.txt", "bad.conf"};
	struct conf_set set;
	struct conf *c;

	(void)state;
	put("good.conf", "certificate = { names = \"better.example\"; };");
	put("zz.conf", "certificate = { name = \"aa\"; names = \"zz.example\"; };");
	put_mode("aa.conf", CERT("aa.example"), 0666); /* a draft may lie where and how it likes */
	put("kept.txt", CERT("t.example"));
	put("bad.conf", "certificate = { nmaes = 1; };");
	conf_read(at("dovad.conf"), &set);
	for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++)
		conf_read_snippet(&set, at(extra[i]));
	c = conf_build(set.v, set.n, set.unread, set.nunread);
	conf_set_free(&set);
	assert_string_equal(conf_find_cert(c, "good")->names.v[0], "better.example");
	assert_string_equal(conf_find_cert(c, "aa")->names.v[0], "aa.example"); /* so zz.conf is the later one */
	made_says(c, at("zz.conf:1: certificate \"aa\" is already defined in "));
	made_says(c, at("kept.txt: would not be read"));
	made_says(c, at("bad.conf:1: unknown option nmaes"));
	assert_int_equal(c->cert.n, 2);
	conf_free(c);
}

static void slurp(const char *name, struct buf *text)
{
	const char *source = getenv("top_srcdir");
	struct err err;
	char path[512];

	snprintf(path, sizeof path, "%s/etc/%s", source ? source : ".", name);
	buf_init(text, 0);
	if (!file_read(AT_FDCWD, path, CONF_FILE_MAX, text, NULL, &err))
		fail_msg("%s", err.detail);
}

/* As an admin would have it who takes over all of the example: "# x" is a remark, "#x" and "#  x" are not. */
static void uncomment(char *text)
{
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (line[0] == '#' && line[1] != '\n' && !(line[1] == ' ' && line[2] != ' '))
			line[0] = ' ';
	}
}

enum { SHIPPED = 32 };

/* The service definitions, as sources. */
static size_t shipped(struct conf_source *v, struct buf *text)
{
	static char names[SHIPPED][300];
	const char *source = getenv("top_srcdir");
	char folder[512];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	snprintf(folder, sizeof folder, "%s/etc/services.d", source ? source : ".");
	d = opendir(folder);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			assert_in_range(n, 0, SHIPPED - 1);
			snprintf(names[n], sizeof names[n], "services.d/%s", e->d_name);
			slurp(names[n], &text[n]);
			v[n] = made_source(names[n], text[n].data, CONF_SERVICES);
			n++;
		}
	closedir(d);
	return n;
}

static void what_is_shipped_is_good(void **state)
{
	struct conf_source v[SHIPPED + 1];
	struct buf text[SHIPPED + 1];
	size_t n = 1 + shipped(v + 1, text + 1);
	struct conf *c;

	(void)state;
	slurp("dovad.conf", &text[0]);
	v[0] = made_source(MAIN_PATH, text[0].data, CONF_MAIN);
	c = conf_build(v, n, NULL, 0);
	made_good(c);
	assert_int_equal(c->problems.n, 0);
	assert_in_range(n, 11, SHIPPED);
	assert_int_equal(c->service.n, n - 1);
	assert_int_equal(c->cert.n, 0);
	conf_free(c);
	uncomment(text[0].data);
	c = conf_build(v, n, NULL, 0);
	made_good(c);
	assert_int_equal(c->problems.n, 0);
	assert_int_equal(c->ca.n, 3);
	assert_int_equal(c->cert.n, 2);
	assert_int_equal(c->service.n, n + 1); /* nginx in place of the shipped one, two more */
	conf_free(c);
	for (size_t i = 0; i < n; i++)
		buf_free(&text[i]);
}

/* Each file defines the one service it is named after, which can be reloaded and looked at. */
static void what_is_shipped_is_whole(void **state)
{
	struct conf_source v[SHIPPED + 1] = {made_source(MAIN_PATH, "", CONF_MAIN)};
	struct buf text[SHIPPED];
	size_t n = shipped(v + 1, text);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct conf_source one[] = {v[0], v[i + 1]};
		struct conf *c = conf_build(one, 2, NULL, 0);
		char path[300];

		assert_int_equal(c->service.n, 1);
		snprintf(path, sizeof path, "services.d/%s.conf", c->service.v[0].name);
		assert_string_equal(path, v[i + 1].path);
		assert_true(c->service.v[0].unit || c->service.v[0].command.n);
		assert_true(c->service.v[0].look.n);
		conf_free(c);
		buf_free(&text[i]);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_tree_is_read_in_order),
		TEST(folders_follow_the_main_file),
		TEST(editors_leftovers_are_no_snippets),
		TEST(a_fifo_is_refused),
		TEST(a_socket_is_refused),
		TEST(a_folder_is_refused),
		TEST(links_are_refused),
		TEST(a_huge_file_is_refused),
		TEST(a_binary_file_is_refused),
		TEST(what_others_can_write_is_refused),
		TEST(folders_others_can_write_are_refused),
		TEST(a_main_file_may_be_missing_or_odd),
		TEST(a_snippet_is_tried_out_in_place),
		cmocka_unit_test(what_is_shipped_is_good),
		cmocka_unit_test(what_is_shipped_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
