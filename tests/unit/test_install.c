/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <sys/syscall.h>

#include "crypto/x509.h"
#include "keeper_fixture.h"
#include "needs_root.h"

#define CERT "certificate = { name = \"site\"; names = [ \"example.org\", \"www.example.org\" ]; prove = [ \"http:www\" ];\n"
#define PLAIN FIXTURE_CONF CERT "};\n"
#define TARGETS FIXTURE_CONF CERT "install = ( { dir = \"%D/tls/a\"; mode = \"0600\"; }, { dir = \"%D/tls/b\"; } ); };\n"

/* In front of libc's: fails from the given call on, or in that one only. Nothing here outlives a power cut, so nothing is really synced. */
static int fsync_calls, fsync_fails_at, write_calls, write_fails_at;
static bool fails_for_good;

static bool fails(int calls, int at)
{
	return at && (calls == at || (fails_for_good && calls > at));
}

int fsync(int fd)
{
	if (fails(++fsync_calls, fsync_fails_at)) {
		errno = EIO;
		return -1;
	}
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

ssize_t write(int fd, const void *data, size_t len)
{
	if (fails(++write_calls, write_fails_at)) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_write, fd, data, len);
}

static int setup(void **state)
{
	fsync_fails_at = write_fails_at = 0;
	fails_for_good = false;
	return fixture_setup(state);
}

static bool install(struct fixture *f, const char *chain, int64_t *generation, int64_t *previous, struct err *err)
{
	*generation = *previous = -1;
	err_clear(err);
	return install_chain(&f->install, fixture_cert(f), chain, strlen(chain), generation, previous, err);
}

/* Issues and installs a new one; its generation. */
static int64_t renew(struct fixture *f)
{
	char *chain = fixture_issue(f, NULL);
	int64_t generation, previous;
	struct err err;

	if (!install(f, chain, &generation, &previous, &err))
		fail_msg("%s", err.detail);
	free(chain);
	return generation;
}

/* What services read in this folder is a pair that belongs together, whole, and nothing else. */
static void assert_pair(const struct fixture *f, const char *folder)
{
	static const char *const names[] = { "privkey.pem", "cert.pem", "chain.pem", "fullchain.pem" };
	char *text[4], *path;
	struct x509_chain *chain;
	struct x509_wish wish = { .names = fixture_cert(f)->names.v, .nnames = fixture_cert(f)->names.n, .now = TESTCA_NOW };
	struct key *key;
	struct err err;

	for (int i = 0; i < 4; i++) {
		path = mem_printf("%s/%s", folder, names[i]);
		text[i] = fixture_read(f, path);
		assert_non_null(text[i]);
		free(path);
	}
	key = key_parse(text[0], strlen(text[0]), &err);
	assert_non_null(key);
	wish.key = key;
	chain = x509_parse(text[3], strlen(text[3]), &err);
	assert_non_null(chain);
	if (!x509_accept(chain, &wish, &err))
		fail_msg("%s", err.detail);
	assert_int_equal(strlen(text[1]) + strlen(text[2]), strlen(text[3]));
	assert_memory_equal(text[3], text[1], strlen(text[1]));
	for (int i = 0; i < 4; i++)
		free(text[i]);
	x509_free(chain);
	key_free(key);
}

/* Folders of generations hold numbers (and N.failed) only: no leftovers. */
static int count_entries(const struct fixture *f, const char *folder)
{
	char *path = fixture_path(f, folder);
	DIR *dir = opendir(path);
	struct dirent *d;
	int n = 0;

	free(path);
	if (!dir)
		return 0;
	while ((d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		assert_in_range(d->d_name[0], '1', '9');
		n++;
	}
	closedir(dir);
	return n;
}

static char *link_of(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name), text[256] = "";

	assert_true(readlink(path, text, sizeof(text) - 1) > 0);
	free(path);
	return mem_strdup(text);
}

static void assert_link(const struct fixture *f, const char *name, const char *text)
{
	char *found = link_of(f, name);

	assert_string_equal(found, text);
	free(found);
}

static void first_and_second(void **state)
{
	struct fixture *f = *state;
	char *chain;
	int64_t generation, previous;
	struct err err;

	fixture_configure(f, PLAIN);
	chain = fixture_issue(f, NULL);
	assert_true(install(f, chain, &generation, &previous, &err));
	assert_int_equal(generation, 1);
	assert_int_equal(previous, 0);
	assert_pair(f, "state/live/site");
	assert_link(f, "state/live/site", "../generations/site/1");
	assert_int_equal(fixture_stat(f, "state/generations").st_mode & 07777, 0711);
	assert_int_equal(fixture_stat(f, "state/generations/site").st_mode & 07777, 0711);
	assert_int_equal(fixture_stat(f, "state/live").st_mode & 07777, 0711);
	assert_int_equal(fixture_stat(f, "state/generations/site/1").st_mode & 07777, 0750);
	assert_int_equal(fixture_stat(f, "state/generations/site/1/privkey.pem").st_mode & 07777, 0640);
	/* The key moved, it does not wait any more. */
	assert_false(fixture_has(f, "state/pending/site.pem"));
	assert_false(fixture_has(f, "state/pending/site.csr"));
	/* Asked again, the same answer and nothing new on the disk. */
	assert_true(install(f, chain, &generation, &previous, &err));
	assert_int_equal(generation, 1);
	assert_int_equal(count_entries(f, "state/generations/site"), 1);
	free(chain);
	chain = fixture_issue(f, NULL);
	assert_true(install(f, chain, &generation, &previous, &err));
	assert_int_equal(generation, 2);
	assert_int_equal(previous, 1);
	assert_pair(f, "state/live/site");
	free(chain);
}

static void refused(struct fixture *f, const struct testca_wish *wish, const char *type)
{
	char *chain = fixture_issue(f, wish);
	int64_t generation, previous;
	struct err err;

	assert_false(install(f, chain, &generation, &previous, &err));
	assert_int_equal(err.kind, ERR_DENIED);
	assert_string_equal(err.type, type);
	free(chain);
}

static void nothing_is_written_before_it_is_accepted(void **state)
{
	static const char *const other[] = { "example.org" }, *const more[] = { "example.org", "www.example.org", "evil.example" };
	struct fixture *f = *state;
	int64_t generation, previous;
	struct err err;
	char *chain, *with_key;

	fixture_configure(f, PLAIN);
	refused(f, &(struct testca_wish){ .names = other, .nnames = 1 }, "badCertificate");
	refused(f, &(struct testca_wish){ .names = more, .nnames = 3 }, "badCertificate");
	refused(f, &(struct testca_wish){ .not_before = TESTCA_NOW - 7200, .not_after = TESTCA_NOW - 3600 }, "badCertificate");
	refused(f, &(struct testca_wish){ .ca = true }, "badCertificate");
	assert_int_equal(count_entries(f, "state/generations/site"), 0);
	assert_false(fixture_has(f, "state/live/site"));
	chain = fixture_issue(f, NULL);
	with_key = mem_printf("%s-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", chain);
	assert_false(install(f, with_key, &generation, &previous, &err));
	assert_false(install(f, "", &generation, &previous, &err));
	assert_true(fixture_has(f, "state/pending/site.pem"));
	assert_true(install(f, chain, &generation, &previous, &err));
	free(with_key);
	free(chain);
}

static void other_keys_are_refused(void **state)
{
	struct fixture *f = *state;
	struct testca_wish wish = { 0 };
	int64_t generation, previous;
	struct vault_request request;
	struct key *key;
	struct err err;
	char *chain, *pem;

	fixture_configure(f, PLAIN);
	wish.names = fixture_cert(f)->names.v;
	wish.nnames = fixture_cert(f)->names.n;
	key = key_generate(KEY_ECDSA_P256, &err);
	chain = testca_chain(f->ca, key, &wish);
	assert_false(install(f, chain, &generation, &previous, &err)); /* no key waits at all */
	assert_string_equal(err.type, "noKey");
	assert_true(vault_request(f->vault, fixture_cert(f), &request, &err));
	free(request.key);
	assert_false(install(f, chain, &generation, &previous, &err)); /* another one waits */
	assert_string_equal(err.type, "badCertificate");
	key_free(key);
	free(chain);
	/* An account's key is no certificate's: as if someone had copied it there. */
	assert_non_null(vault_account(f->vault, conf_find_ca(f->conf, "le"), &err));
	pem = fixture_read(f, "state/accounts/le.pem");
	fixture_write(f, "state/pending/site.pem", pem, 0600);
	free(pem);
	fixture_open_vault(f);
	chain = testca_chain(f->ca, vault_account(f->vault, conf_find_ca(f->conf, "le"), &err)->key, &wish);
	assert_false(install(f, chain, &generation, &previous, &err));
	assert_string_equal(err.type, "noKey"); /* it is not taken for one that waits */
	free(chain);
}

static void targets_follow(void **state)
{
	struct fixture *f = *state;
	struct err err;
	int64_t n;

	fixture_configure(f, TARGETS);
	assert_int_equal(renew(f), 1);
	assert_pair(f, "tls/a");
	assert_pair(f, "tls/b");
	assert_link(f, "tls/a", ".a.dovad/1");
	assert_int_equal(fixture_stat(f, "tls/.a.dovad").st_mode & 07777, 0711);
	assert_int_equal(fixture_stat(f, "tls/.a.dovad/1").st_mode & 07777, 0750);
	assert_int_equal(fixture_stat(f, "tls/.a.dovad/1/privkey.pem").st_mode & 07777, 0600);
	assert_int_equal(fixture_stat(f, "tls/.b.dovad/1").st_mode & 07777, 0750);
	assert_int_equal(fixture_stat(f, "tls/.b.dovad/1/privkey.pem").st_mode & 07777, 0640);
	assert_int_equal(renew(f), 2);
	assert_link(f, "tls/a", ".a.dovad/2");
	/* Back, everywhere; asked twice it stays there. */
	for (int i = 0; i < 2; i++) {
		assert_true(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
		assert_int_equal(n, 1);
		assert_link(f, "state/live/site", "../generations/site/1");
		assert_link(f, "tls/a", ".a.dovad/1");
		assert_pair(f, "tls/b");
	}
	assert_true(fixture_has(f, "state/generations/site/2.failed"));
	/* The next one counts on, and can be taken back to the same. */
	assert_int_equal(renew(f), 3);
	assert_pair(f, "tls/a");
	assert_true(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
	assert_int_equal(n, 1);
}

static void failed_one_is_found_again(void **state)
{
	struct fixture *f = *state;
	int64_t generation, previous, n;
	struct err err;
	char *chain;

	fixture_configure(f, TARGETS);
	renew(f);
	chain = fixture_issue(f, NULL);
	assert_true(install(f, chain, &generation, &previous, &err));
	assert_true(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
	assert_true(install(f, chain, &generation, &previous, &err));
	assert_int_equal(generation, 2);
	assert_int_equal(previous, 1);
	assert_false(fixture_has(f, "state/generations/site/2.failed"));
	assert_pair(f, "tls/a");
	free(chain);
}

static void first_cannot_go_back(void **state)
{
	struct fixture *f = *state;
	struct err err;
	int64_t n;

	fixture_configure(f, PLAIN);
	assert_false(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
	renew(f);
	assert_false(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
	assert_string_equal(err.type, "no-previous");
	assert_pair(f, "state/live/site");
}

static void confirm_keeps_some(void **state)
{
	struct fixture *f = *state;
	struct err err;
	int64_t n;

	fixture_configure(f, TARGETS);
	for (int i = 1; i <= 6; i++)
		assert_int_equal(renew(f), i);
	assert_true(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
	assert_int_equal(renew(f), 7);
	assert_true(install_confirm(&f->install, fixture_cert(f), 3, &err));
	assert_int_equal(count_entries(f, "state/generations/site"), 3); /* 7, 5, 4; 6 had failed */
	assert_int_equal(count_entries(f, "tls/.a.dovad"), 3);
	assert_true(fixture_has(f, "state/generations/site/5"));
	assert_pair(f, "state/live/site");
	assert_pair(f, "tls/a");
	/* The current one stays whatever the number. */
	assert_true(install_rollback(&f->install, fixture_cert(f), false, &n, &err));
	assert_true(install_confirm(&f->install, fixture_cert(f), 1, &err));
	assert_pair(f, "state/live/site");
}

static void current_is_told(void **state)
{
	struct fixture *f = *state;
	char *chain, *key = NULL;
	int64_t n, previous;
	struct buf text;
	struct err err;

	fixture_configure(f, PLAIN);
	buf_init(&text, X509_PEM_MAX);
	assert_true(install_current(&f->install, "site", &n, &text, &key, &err));
	assert_int_equal(n, 0);
	assert_null(key);
	assert_false(fixture_has(f, "state/generations/site")); /* a question makes nothing */
	chain = fixture_issue(f, NULL);
	assert_true(install(f, chain, &n, &previous, &err));
	assert_true(install_current(&f->install, "site", &n, &text, &key, &err));
	assert_int_equal(n, 1);
	assert_string_equal(text.data, chain);
	assert_int_equal(strlen(key), 64);
	free(key);
	free(chain);
	buf_free(&text);
}

/* A full disk or a dying one, at each write and each fsync in turn, once or from then on: the old pair stays, and the next attempt works. */
static void failing_disk(void **state)
{
	struct fixture *f = *state;
	int64_t generation, previous;
	struct err err;
	int failures = 0;

	fixture_configure(f, TARGETS);
	renew(f);
	for (int mode = 0; mode < 4; mode++) {
		int *at = mode & 1 ? &fsync_fails_at : &write_fails_at, *calls = mode & 1 ? &fsync_calls : &write_calls;
		bool ok = false;

		for (int i = 1; !ok; i++) {
			char *chain = fixture_issue(f, NULL);

			fails_for_good = mode & 2;
			*calls = 0;
			*at = i;
			ok = install(f, chain, &generation, &previous, &err);
			*at = 0;
			if (!ok) {
				failures++;
				assert_int_equal(err.kind, ERR_LOCAL);
				assert_true(err.detail[0]);
			}
			assert_pair(f, "state/live/site");
			assert_pair(f, "tls/a");
			assert_pair(f, "tls/b");
			assert_true(install(f, chain, &generation, &previous, &err));
			count_entries(f, "state/generations/site");
			count_entries(f, "tls/.a.dovad");
			free(chain);
			assert_true(install_confirm(&f->install, fixture_cert(f), 2, &err));
		}
	}
	assert_in_range(failures, 40, 200);
}

/* --- what a power cut or a careless hand leaves --- */

static void spoil(const struct fixture *f, const char *name, const char *text)
{
	char *path = fixture_path(f, name);

	assert_int_equal(unlink(path), 0);
	if (text)
		fixture_write(f, name, text, 0640);
	free(path);
}

static void torn_generation_gives_way(void **state)
{
	static const char *const parts[] = { "privkey.pem", "cert.pem", "chain.pem", "fullchain.pem", ".manifest" };
	struct fixture *f = *state;
	struct err err;

	fixture_configure(f, TARGETS);
	renew(f);
	for (int i = 0; i < 15; i++) {
		char *before = link_of(f, "state/live/site"), *name;

		renew(f);
		name = mem_printf("state/live/site/%s", parts[i / 3]);
		spoil(f, name, i % 3 == 0 ? NULL : i % 3 == 1 ? "" : "-----BEGIN CERTIFICATE-----\nhalf");
		free(name);
		install_repair(&f->install, f->conf);
		assert_link(f, "state/live/site", before);
		assert_pair(f, "state/live/site");
		assert_pair(f, "tls/a"); /* and what followed the torn one went back, too */
		free(before);
		assert_true(install_confirm(&f->install, fixture_cert(f), 2, &err));
	}
}

static void lost_links_come_back(void **state)
{
	struct fixture *f = *state;
	char *path;

	fixture_configure(f, TARGETS);
	renew(f);
	renew(f);
	path = fixture_path(f, "state/live/site");
	assert_int_equal(unlink(path), 0);
	free(path);
	path = fixture_path(f, "tls/b");
	assert_int_equal(unlink(path), 0);
	free(path);
	install_repair(&f->install, f->conf);
	assert_link(f, "state/live/site", "../generations/site/2");
	assert_pair(f, "tls/b");
}

static void torn_target_is_written_anew(void **state)
{
	struct fixture *f = *state;

	fixture_configure(f, TARGETS);
	renew(f);
	spoil(f, "tls/a/privkey.pem", "");
	install_repair(&f->install, f->conf);
	assert_pair(f, "tls/a");
	assert_link(f, "tls/a", ".a.dovad/2");
	assert_link(f, "tls/b", ".b.dovad/1");
}

static void leftovers_go(void **state)
{
	struct fixture *f = *state;
	char *path;

	fixture_configure(f, TARGETS);
	renew(f);
	path = fixture_path(f, "state/generations/site/new");
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	fixture_write(f, "state/generations/site/new/privkey.pem", "half", 0600);
	path = fixture_path(f, "tls/.a.dovad/link");
	assert_int_equal(symlink(".a.dovad/9", path), 0);
	free(path);
	install_repair(&f->install, f->conf);
	assert_int_equal(count_entries(f, "state/generations/site"), 1);
	assert_int_equal(count_entries(f, "tls/.a.dovad"), 1);
	assert_pair(f, "tls/a");
}

static void key_is_not_used_twice(void **state)
{
	struct fixture *f = *state;
	char *pem;

	/* A crash after the switch and before the waiting key was removed. */
	fixture_configure(f, PLAIN);
	renew(f);
	pem = fixture_read(f, "state/live/site/privkey.pem");
	fixture_write(f, "state/pending/site.pem", pem, 0600);
	install_repair(&f->install, f->conf);
	assert_false(fixture_has(f, "state/pending/site.pem"));
	free(pem);
}

/* --- targets that are not as they should be --- */

static void install_fails(struct fixture *f, const char *words)
{
	char *chain = fixture_issue(f, NULL);
	int64_t generation, previous;
	struct err err;

	assert_false(install(f, chain, &generation, &previous, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	if (!strstr(err.detail, words))
		fail_msg("\"%s\" is not in: %s", words, err.detail);
	/* The others are done. */
	assert_pair(f, "state/live/site");
	assert_pair(f, "tls/b");
	free(chain);
}

static void make(const struct fixture *f, const char *name, mode_t mode)
{
	char *path = fixture_path(f, name);

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
	free(path);
}

static void folders_in_the_way(void **state)
{
	struct fixture *f = *state;
	char *path, *to;

	fixture_configure(f, TARGETS);
	make(f, "tls", 0755);
	make(f, "tls/a", 0755);
	fixture_write(f, "tls/a/fullchain.pem", "by hand", 0644);
	install_fails(f, "move it away");
	to = fixture_read(f, "tls/a/fullchain.pem");
	assert_string_equal(to, "by hand");
	free(to);
	path = fixture_path(f, "tls/a/fullchain.pem");
	unlink(path);
	free(path);
	renew(f); /* an empty folder gives way */
	assert_pair(f, "tls/a");
	/* A link of someone else is taken over, where it led nothing happens. */
	make(f, "old", 0755);
	path = fixture_path(f, "tls/a");
	unlink(path);
	assert_int_equal(symlink("../old", path), 0);
	renew(f);
	assert_pair(f, "tls/a");
	assert_false(fixture_has(f, "old/privkey.pem"));
	unlink(path);
	free(path);
	fixture_write(f, "tls/a", "a file", 0644);
	install_fails(f, "not made by dovad");
}

static void hostile_parents(void **state)
{
	struct fixture *f = *state;
	char *path, *target;

	needs_root();
	fixture_configure(f, FIXTURE_CONF CERT "install = ( { dir = \"%D/user/tls/a\"; }, { dir = \"%D/tls/b\"; } ); };\n");
	make(f, "user", 0755);
	path = fixture_path(f, "user");
	assert_int_equal(chown(path, 65534, 65534), 0);
	free(path);
	/* Missing folders are not made in somebody else's. */
	install_fails(f, "make it first");
	/* A link there may lead anywhere. */
	make(f, "elsewhere", 0755);
	path = fixture_path(f, "user/tls");
	target = fixture_path(f, "elsewhere");
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(lchown(path, 65534, 65534), 0);
	install_fails(f, "symbolic link");
	unlink(path);
	assert_false(fixture_has(f, "elsewhere/a"));
	/* A folder for our generations that he made, too. */
	make(f, "user/tls", 0755);
	make(f, "user/tls/.a.dovad", 0777);
	assert_int_equal(chown(path, 65534, 65534), 0);
	free(path);
	install_fails(f, "belongs to someone else");
	path = fixture_path(f, "user/tls/.a.dovad");
	assert_int_equal(chmod(path, 0711), 0);
	assert_int_equal(chown(path, 65534, 65534), 0);
	install_fails(f, "belongs to someone else");
	assert_int_equal(rmdir(path), 0);
	free(path);
	renew(f);
	assert_pair(f, "user/tls/a");
	/* A link of root's is followed. */
	path = fixture_path(f, "way");
	assert_int_equal(symlink("elsewhere", path), 0);
	free(path);
	free(target);
	fixture_configure(f, FIXTURE_CONF CERT "install = ( { dir = \"%D/way/c\"; } ); };\n");
	renew(f);
	assert_pair(f, "elsewhere/c");
}

static void owners(void **state)
{
	struct fixture *f = *state;

	needs_root();
	if (!getgrnam("nogroup"))
		skip();
	fixture_configure(f, FIXTURE_CONF CERT "install = ( { dir = \"%D/tls/a\"; owner = \"nobody\"; group = \"nogroup\"; mode = \"0600\"; } ); };\n");
	renew(f);
	assert_int_equal(fixture_stat(f, "tls/a/privkey.pem").st_uid, 65534);
	assert_int_equal(fixture_stat(f, "tls/a/privkey.pem").st_gid, 65534);
	assert_int_equal(fixture_stat(f, "tls/a/privkey.pem").st_mode & 07777, 0600);
	assert_int_equal(fixture_stat(f, "tls/.a.dovad/1").st_uid, 65534);
	assert_int_equal(fixture_stat(f, "tls/.a.dovad/1").st_mode & 07777, 0750);
	assert_int_equal(fixture_stat(f, "tls/.a.dovad").st_uid, 0);
	assert_int_equal(fixture_stat(f, "state/live/site/privkey.pem").st_uid, 0);
}

static void attributes_change(void **state)
{
	struct fixture *f = *state;
	int64_t generation, previous;
	struct err err;
	char *chain;

	fixture_configure(f, TARGETS);
	chain = fixture_issue(f, NULL);
	assert_true(install(f, chain, &generation, &previous, &err));
	fixture_configure(f, FIXTURE_CONF CERT "install = ( { dir = \"%D/tls/a\"; mode = \"0440\"; }, { dir = \"%D/tls/c\"; } ); };\n");
	assert_true(install(f, chain, &generation, &previous, &err));
	assert_int_equal(generation, 1);
	assert_int_equal(fixture_stat(f, "tls/a/privkey.pem").st_mode & 07777, 0440);
	assert_link(f, "tls/a", ".a.dovad/2");
	assert_pair(f, "tls/c");
	free(chain);
}

static void unknown_owner(void **state)
{
	struct fixture *f = *state;

	fixture_configure(f, FIXTURE_CONF CERT "install = ( { dir = \"%D/tls/a\"; owner = \"no-such-user-here\"; }, { dir = \"%D/tls/b\"; } ); };\n");
	install_fails(f, "there is no user");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_and_second, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_written_before_it_is_accepted, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(other_keys_are_refused, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(targets_follow, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(failed_one_is_found_again, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(first_cannot_go_back, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(confirm_keeps_some, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(current_is_told, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(failing_disk, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(torn_generation_gives_way, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(lost_links_come_back, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(torn_target_is_written_anew, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(leftovers_go, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(key_is_not_used_twice, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(folders_in_the_way, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(hostile_parents, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(owners, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(attributes_change, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(unknown_owner, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
