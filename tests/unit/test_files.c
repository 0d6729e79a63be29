/* SPDX-License-Identifier: ISC */
/* Separately named files of an `install` group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/syscall.h>

#include "io/sync.h"
#include "keeper_fixture.h"
#include "needs_root.h"

#define HEAD FIXTURE_CONF "certificate = { name = \"site\"; names = [ \"example.org\" ]; prove = [ \"http:www\" ]; install = { "
#define SITE(target) HEAD target " }; };\n"
#define FILES SITE("fullchain_file = \"%D/b/full.pem\"; key_file = \"%D/a/key.pem\"; chain_file = \"%D/a/chain.pem\"; pkcs12_file = \"%D/a/site.p12\";")

/* In front of libc's: what was done, as "rename key.pem", "sync"; and the rename that fails. */
static char done[4096];
static int rename_calls, rename_fails_at;

static void note(const char *what, const char *name)
{
	size_t used = strlen(done);

	snprintf(done + used, sizeof(done) - used, "%s%s%s\n", what, name ? " " : "", name ? name : "");
}

int fsync(int fd)
{
	note("sync", NULL);
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

int renameat(int from, const char *old, int to, const char *new)
{
	if (++rename_calls == rename_fails_at) {
		errno = EIO;
		return -1;
	}
	note("rename", new);
	return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

static int setup(void **state)
{
	rename_fails_at = 0;
	return fixture_setup(state);
}

static bool install(struct fixture *f, const char *chain, struct err *err)
{
	int64_t generation, previous;

	err_clear(err);
	return install_chain(&f->install, fixture_cert(f), chain, strlen(chain), &generation, &previous, err);
}

static void renew(struct fixture *f)
{
	char *chain = fixture_issue(f, NULL);
	struct err err;

	if (!install(f, chain, &err))
		fail_msg("%s", err.detail);
	free(chain);
}

static void assert_same(const struct fixture *f, const char *a, const char *b)
{
	char *x = fixture_read(f, a), *y = fixture_read(f, b);

	assert_non_null(x);
	assert_non_null(y);
	assert_string_equal(x, y);
	free(x);
	free(y);
}

/* Whole, whatever bytes are in it. */
static struct buf bytes(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name);
	struct err err = { 0 };
	struct buf b;

	buf_init(&b, 1 << 20);
	if (!file_read(AT_FDCWD, path, 1 << 20, &b, NULL, &err))
		fail_msg("%s", err.detail);
	free(path);
	return b;
}

static bool equal(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void assert_nothing_beside(const struct fixture *f)
{
	static const char *const names[] = { "a/.key.pem", "a/.chain.pem", "a/.site.p12", "b/.full.pem" };

	for (int i = 0; i < 8; i++) {
		char *path = mem_printf("%s.dovad-%s", names[i / 2], i % 2 ? "old" : "new");

		assert_false(fixture_has(f, path));
		free(path);
	}
}

/* What is in live/site, and nothing beside it. */
static void assert_follows(const struct fixture *f)
{
	assert_same(f, "a/key.pem", "state/live/site/privkey.pem");
	assert_same(f, "a/chain.pem", "state/live/site/chain.pem");
	assert_same(f, "b/full.pem", "state/live/site/fullchain.pem");
	assert_true(fixture_stat(f, "a/site.p12").st_size > 500);
	assert_nothing_beside(f);
}

static void they_follow_live(void **state)
{
	struct fixture *f = *state;
	struct buf p12, again;
	int64_t n;
	struct err err;

	fixture_configure(f, FILES);
	renew(f);
	assert_follows(f);
	assert_int_equal(fixture_stat(f, "a/key.pem").st_mode & 07777, 0640);
	assert_int_equal(fixture_stat(f, "a").st_mode & 07777, 0755);
	p12 = bytes(f, "a/site.p12");
	renew(f);
	assert_follows(f);
	again = bytes(f, "a/site.p12");
	assert_false(equal(&again, &p12));
	buf_wipe(&again);
	assert_true(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
	assert_follows(f);
	again = bytes(f, "a/site.p12");
	assert_true(equal(&again, &p12));
	buf_wipe(&again);
	buf_wipe(&p12);
	assert_true(install_confirm(&f->install, fixture_cert(f), 1, &err));
	assert_follows(f);
}

static void renames_follow_each_other(void **state)
{
	struct fixture *f = *state;
	const char *renames = "rename key.pem\nrename chain.pem\nrename full.pem\nrename site.p12\n", *found;

	fixture_configure(f, FILES);
	for (int i = 0; i < 2; i++) {
		done[0] = '\0';
		renew(f);
		found = strstr(done, renames);
		assert_non_null(found);
		/* The four files before, their folders after it. */
		assert_true(found - done >= 20 && strncmp(found - 20, "sync\nsync\nsync\nsync\n", 20) == 0);
		assert_string_equal(found + strlen(renames), "sync\nsync\nsync\nsync\n");
	}
}

static void asked_again_nothing_is_written(void **state)
{
	struct fixture *f = *state;
	struct stat before;
	struct err err;
	char *chain;

	fixture_configure(f, FILES);
	chain = fixture_issue(f, NULL);
	assert_true(install(f, chain, &err));
	before = fixture_stat(f, "a/key.pem");
	assert_true(install(f, chain, &err));
	install_repair(&f->install, f->conf);
	assert_int_equal(fixture_stat(f, "a/key.pem").st_ino, before.st_ino);
	/* Another mode is. */
	fixture_configure(f, SITE("key_file = \"%D/a/key.pem\"; mode = \"0600\";"));
	assert_true(install(f, chain, &err));
	assert_int_equal(fixture_stat(f, "a/key.pem").st_mode & 07777, 0600);
	free(chain);
}

/* Somebody copied an old file over one: told, and put right, once. */
static void what_differs_is_told(void **state)
{
	struct fixture *f = *state;
	const struct conf_cert *cert;

	fixture_configure(f, FILES);
	cert = &f->conf->cert.v[0];
	assert_false(install_verify(&f->install, cert)); /* nothing is installed */
	renew(f);
	assert_false(install_verify(&f->install, cert));
	fixture_write(f, "a/key.pem", "another one", 0640);
	assert_true(install_verify(&f->install, cert));
	assert_follows(f);
	assert_false(install_verify(&f->install, cert));
}

static void many_at_once(void **state)
{
	struct fixture *f = *state;
	int64_t generation, previous;
	struct install_job *j;
	struct sync s = { 0 };
	struct err err;
	char *chain;

	fixture_configure(f, FILES);
	for (int i = 0; i < 3; i++) {
		bool goes_on = i != 1; /* a job that is given up leaves what was there */

		chain = fixture_issue(f, NULL);
		j = install_write(&f->install, f->conf, fixture_cert(f), chain, strlen(chain), &s);
		assert_non_null(j);
		assert_true(fixture_has(f, "a/.key.pem.dovad-new"));
		assert_true(sync_now(&s, &err) && install_name(j, &s) && sync_now(&s, &err));
		assert_true(!goes_on || (install_point(j, &s) && sync_now(&s, &err)));
		install_end(j, goes_on, &generation, &previous);
		assert_follows(f);
		free(chain);
	}
	sync_drop(&s);
}

/* Whichever rename fails, all files are those of before, and the next attempt works. */
static void a_rename_fails(void **state)
{
	struct fixture *f = *state;
	struct err err;
	int failures = 0;
	bool ok = false;

	fixture_configure(f, FILES);
	renew(f);
	for (int i = 1; !ok; i++) {
		static const char *const names[] = { "a/key.pem", "a/chain.pem", "b/full.pem", "a/site.p12" };
		char *chain = fixture_issue(f, NULL);
		struct buf before[4], now;

		for (int k = 0; k < 4; k++)
			before[k] = bytes(f, names[k]);
		rename_calls = 0;
		rename_fails_at = i;
		ok = install(f, chain, &err);
		rename_fails_at = 0;
		for (int k = 0; k < 4; k++) {
			now = bytes(f, names[k]);
			/* The same CA issues. */
			assert_int_equal(!equal(&now, &before[k]), ok && k != 1);
			buf_wipe(&now);
			buf_wipe(&before[k]);
		}
		assert_nothing_beside(f);
		failures += !ok;
		if (!ok)
			assert_non_null(strstr(err.detail, "cannot"));
		assert_true(install(f, chain, &err));
		assert_follows(f);
		free(chain);
	}
	assert_int_equal(failures, 6); /* live/site: the generation, its link; four files */
	/* Where nothing was, nothing is. */
	fixture_configure(f, SITE("key_file = \"%D/c/key.pem\"; cert_file = \"%D/c/cert.pem\";"));
	rename_calls = 0;
	rename_fails_at = 2;
	install_repair(&f->install, f->conf);
	rename_fails_at = 0;
	assert_int_equal(rename_calls, 2);
	assert_false(fixture_has(f, "c/key.pem"));
	assert_false(fixture_has(f, "c/cert.pem"));
}

static void leftovers_and_mixtures_are_put_right(void **state)
{
	struct fixture *f = *state;

	fixture_configure(f, FILES);
	renew(f);
	fixture_write(f, "a/.key.pem.dovad-new", "half", 0600);
	fixture_write(f, "b/.full.pem.dovad-old", "old", 0600);
	install_repair(&f->install, f->conf);
	assert_follows(f);
	fixture_write(f, "a/.key.pem.dovad-new", "half", 0600);
	fixture_write(f, "a/.key.pem.dovad-old", "old", 0600);
	renew(f);
	assert_follows(f);
	fixture_write(f, "b/full.pem", "of another time", 0640);
	install_repair(&f->install, f->conf);
	assert_follows(f);
	fixture_write(f, "a/site.p12", "torn", 0640);
	install_repair(&f->install, f->conf);
	assert_follows(f);
}

static void fails_with(struct fixture *f, const char *words)
{
	char *chain = fixture_issue(f, NULL);
	struct err err;

	assert_false(install(f, chain, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	if (!strstr(err.detail, words))
		fail_msg("\"%s\" is not in: %s", words, err.detail);
	assert_true(fixture_has(f, "state/live/site/privkey.pem"));
	free(chain);
}

static void make(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name);

	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
}

static void what_is_in_the_way(void **state)
{
	struct fixture *f = *state;
	char *path, *text;

	fixture_configure(f, FILES);
	make(f, "b");
	path = fixture_path(f, "b/full.pem");
	assert_int_equal(mkdir(path, 0755), 0);
	fails_with(f, "b/full.pem is there already and is not a file");
	assert_false(fixture_has(f, "a/key.pem")); /* all or nothing */
	assert_nothing_beside(f);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	fails_with(f, "is not a file");
	assert_int_equal(unlink(path), 0);
	/* A link is replaced, what it leads to is left alone. */
	fixture_write(f, "elsewhere", "by hand", 0644);
	assert_int_equal(symlink("../elsewhere", path), 0);
	renew(f);
	assert_follows(f);
	assert_true(S_ISREG(fixture_stat(f, "b/full.pem").st_mode));
	text = fixture_read(f, "elsewhere");
	assert_string_equal(text, "by hand");
	free(text);
	/* So is the file of whoever was here before. */
	fixture_write(f, "b/full.pem", "certbot's", 0644);
	renew(f);
	assert_follows(f);
	assert_int_equal(fixture_stat(f, "b/full.pem").st_mode & 07777, 0640);
	free(path);
}

static void names_that_are_none(void **state)
{
	struct fixture *f = *state;
	char name[251], conf[2048];

	memset(name, 'x', sizeof(name));
	name[250] = '\0'; /* good for a file, not for ".NAME.dovad-new" */
	snprintf(conf, sizeof(conf), "%s%s%s", HEAD "key_file = \"%D/", name, "\"; }; };\n");
	fixture_configure(f, conf);
	fails_with(f, "too long");
	fixture_configure(f, SITE("key_file = \"/\";"));
	fails_with(f, "not the absolute path of a file");
	fixture_configure(f, SITE("key_file = \"%D/key.pem\"; owner = \"no-such-user-here\";"));
	fails_with(f, "there is no user");
}

static void hostile_folders(void **state)
{
	struct fixture *f = *state;
	char *path, *old;

	needs_root();
	fixture_configure(f, SITE("key_file = \"%D/user/tls/key.pem\"; fullchain_file = \"%D/b/full.pem\";"));
	make(f, "user");
	path = fixture_path(f, "user");
	assert_int_equal(chown(path, 65534, 65534), 0);
	free(path);
	fails_with(f, "make it first");
	assert_false(fixture_has(f, "b/full.pem"));
	make(f, "elsewhere");
	path = fixture_path(f, "user/tls");
	assert_int_equal(symlink("../elsewhere", path), 0);
	assert_int_equal(lchown(path, 65534, 65534), 0);
	fails_with(f, "symbolic link");
	assert_int_equal(unlink(path), 0);
	make(f, "user/tls");
	assert_int_equal(chown(path, 65534, 65534), 0);
	free(path);
	/* He cannot have us write into what he put there. */
	fixture_write(f, "precious", "precious", 0600);
	path = fixture_path(f, "user/tls/.key.pem.dovad-new");
	old = fixture_path(f, "precious");
	assert_int_equal(symlink("../../precious", path), 0);
	renew(f);
	assert_same(f, "user/tls/key.pem", "state/live/site/privkey.pem");
	assert_int_equal(mkdir(path, 0700), 0);
	fails_with(f, "cannot create .key.pem.dovad-new");
	assert_int_equal(rmdir(path), 0);
	free(path);
	path = fixture_read(f, "precious");
	assert_string_equal(path, "precious");
	free(path);
	free(old);
}

static void owner_and_mode(void **state)
{
	struct fixture *f = *state;

	needs_root();
	fixture_configure(f, SITE("key_file = \"%D/a/key.pem\"; bundle_file = \"%D/a/both.pem\"; owner = \"nobody\"; mode = \"0400\";"));
	for (int i = 0; i < 2; i++) {
		renew(f);
		assert_int_equal(fixture_stat(f, "a/key.pem").st_uid, 65534);
		assert_int_equal(fixture_stat(f, "a/both.pem").st_uid, 65534);
		assert_int_equal(fixture_stat(f, "a/both.pem").st_mode & 07777, 0400);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(they_follow_live),
		TEST(renames_follow_each_other),
		TEST(asked_again_nothing_is_written),
		TEST(what_differs_is_told),
		TEST(many_at_once),
		TEST(a_rename_fails),
		TEST(leftovers_and_mixtures_are_put_right),
		TEST(what_is_in_the_way),
		TEST(names_that_are_none),
		TEST(hostile_folders),
		TEST(owner_and_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
