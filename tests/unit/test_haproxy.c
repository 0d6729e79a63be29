/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "haproxy_fixture.h"
#include "needs_root.h"

/* Nothing here outlives a power cut, so nothing is really synced. */
int fsync(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

/* --- all is well --- */

static void brings_what_differs(void **state)
{
	struct bench *b = *state;

	listen_now(b);
	load(b, "a", false);
	assert_well(b, "list show:a show:b set:a abort:a set:b abort:b set:a commit:a abort:a set:b commit:b abort:b");
	assert_string_equal(b->output, "2 files replaced in HAProxy");
	/* The key, the certificate, its issuer, then the empty line. */
	assert_non_null(strstr(b->set, "-----BEGIN PRIVATE KEY-----\n"));
	assert_non_null(strstr(b->set, "-----BEGIN CERTIFICATE-----\n"));
	assert_ptr_equal(strstr(b->set, "\n\n"), b->set + strlen(b->set) - 2);
	now_serves(b, "a");
	load(b, "a", false);
	assert_well(b, "list show:a show:b set:b commit:b abort:b");
	now_serves(b, "b");
	load(b, "b", false);
	assert_well(b, "list show:a show:b");
	b->chain = 0; /* an intermediate certificate is missing */
	load(b, "b", true);
	assert_well(b, "list show:a show:b set:a commit:a abort:a set:b commit:b abort:b");
}

/* Those that come meanwhile are one: who asks for the same twice is answered twice. */
static void one_after_the_other(void **state)
{
	struct bench *b = *state;

	listen_now(b);
	ask(b, "a", false);
	while (!strstr(b->said, "list"))
		loop_turn(true);
	ask(b, "b", false);
	ask(b, "a", false);
	while (b->ended < 3)
		loop_turn(true);
	assert_non_null(strstr(b->said, "commit:b abort:b list show:a show:b"));
	assert_null(strstr(strstr(b->said, "list") + 1, "list"));
	assert_true(haproxy_is_idle(b->haproxy));
}

static void not_there(void **state)
{
	struct bench *b = *state;

	load(b, "a", false);
	assert_int_equal(b->err.kind, ERR_NONE);
	assert_false(b->ran);
	listen_now(b);
	watch_clear(&b->accepts);
	close(b->listener); /* the file stays */
	b->listener = -1;
	load(b, "a", false);
	assert_int_equal(b->err.kind, ERR_NONE);
	assert_false(b->ran);
}

static void not_loaded(void **state)
{
	struct bench *b = *state;
	static const struct rule rules[] = { { "show ssl cert\n", "# filename\n%D/a.pem\n" }, { 0 } };

	b->rules = rules;
	listen_now(b);
	load(b, "ab", false);
	assert_failed(b, "it has loaded no file of certificate b: name ");
	assert_non_null(strstr(b->err.detail, "/b.pem in a bind line"));
	assert_string_equal(b->said, "list");
	load(b, "a", false); /* not its business */
	assert_well(b, "list show:a set:a commit:a abort:a");
	load(b, "c", false); /* was never installed */
	assert_well(b, "list show:a set:a commit:a abort:a");
}

/* What cannot be done at the socket is the unit's, and nothing else. (Nobody is at the socket of those who reach units.) */
static void takes_the_unit(void **state)
{
	struct bench *b = *state;
	char *path = fixture_path(b->f, "run.sock");
	struct run_options options = { .socket = path, .supervisor = -1, .main_file = "/nowhere", .gate = b->gate };
	struct run *run = run_open(&options);
	static const struct rule one[] = { { "show ssl cert\n", "# filename\n%D/a.pem\n" }, { 0 } };
	static const struct rule no[] = { { "set", "Can't update!\n" }, { 0 } };

	haproxy_close(b->haproxy);
	b->haproxy = haproxy_open(&b->f->install, run, b->gate);
	configure(b, CONF("unit = \"ha.service\";"));
	load(b, "a", false);
	assert_non_null(strstr(b->err.detail, "run.sock"));
	listen_now(b);
	b->rules = one;
	load(b, "ab", true);
	assert_non_null(strstr(b->err.detail, "run.sock"));
	assert_string_equal(b->said, "list");
	load(b, "a", false);
	assert_well(b, "list show:a set:a commit:a abort:a");
	b->rules = no;
	load(b, "a", false);
	assert_failed(b, "Can't update!");
	run_close(run);
	free(path);
}

/* Names are taken for ours when they lead to the same file. */
static void other_names(void **state)
{
	struct bench *b = *state;
	static const struct rule rules[] = { { "show ssl cert\n", "# filename\n%D/ha/../b.pem\n%D/link a.pem\nb.pem\n" },
		{ "show ssl cert %D/link\\ a.pem", "Filename: %D/link a.pem\nSHA1 FingerPrint: 0123456789ABCDEF0123456789ABCDEF01234567\n" },
		{ "set ssl cert %D/link\\ a.pem", "+ Transaction created for certificate %D/link a.pem!" }, { 0 } };
	char *link = fixture_path(b->f, "link a.pem");

	assert_int_equal(symlink("a.pem", link), 0);
	free(link);
	b->rules = rules;
	listen_now(b);
	load(b, "ab", true);
	assert_int_equal(b->err.kind, ERR_NONE);
	assert_string_equal(b->output, "2 files replaced in HAProxy");
}

/* --- it says no --- */

static const struct no {
	const char *command, *answer; /* the rule */
	const char *why, *said;       /* said NULL: whatever */
} noes[] = {
	{ "prompt", "Unknown command: 'prompt', but maybe one of the following ones is a better match\n", "it does not speak the runtime API after: Unknown command", NULL },
	{ "prompt", "!HTTP/1.1 400 Bad Request\r\n", "it closed the connection after: HTTP/1.1 400 Bad Request\\x0d", NULL },
	{ "", NULL, "no answer in 1 s, at \"show ssl cert\"", NULL },
	{ "show ssl cert\n", "Permission denied\n", "show ssl cert: Permission denied", "list" },
	{ "show ssl cert\n", "\x1b[31mrubbish\n", "show ssl cert: \\x1b[31mrubbish", "list" },
	{ "show ssl cert\n", LONG, "its answer is too long", NULL },
	{ "show ssl cert\n", "!# filen", "it closed the connection after: # filen", NULL },
	{ "show ssl cert\n", "# filename\n%D/a.pem\n%D/b.pem\n\n> one more", "/a.pem: one more", NULL },
	{ "show ssl cert %D/a", "Filename: %D/b.pem\nSHA1 FingerPrint: 0123456789ABCDEF0123456789ABCDEF01234567\n", "show ssl cert ", "list show:a show:b" },
	{ "show ssl cert %D/a", "Filename: %D/a.pem\nSHA1 FingerPrint: 0123456789ABCDEF0123456789ABCDEF0123456\n", "show ssl cert ", "list show:a show:b" },
	{ "show ssl cert %D/b", "", "no answer to it", NULL },
	{ "set ssl cert %D/a", "Can't load the payload\nCan't update it!\n", "Can't load the payload; Can't update it!; nothing was changed", NULL },
	{ "set ssl cert %D/b", "+ Transaction updated for certificate %D/other.pem!\n", "Transaction updated for certificate ", NULL },
	{ "set ssl cert %D/b", "!+ + ", "it closed the connection, at \"set ssl cert ", NULL },
	{ "set ssl cert %D/b", NULL, "/b.pem\"; 0 of 2 files were replaced", NULL },
	{ "abort ssl cert %D/b", "No ongoing transaction!\n", "No ongoing transaction!; nothing was changed", NULL },
	{ "commit ssl cert %D/a", "Committing.\nCan't commit!\n", "Can't commit!; what was replaced before it is put back",
		"list show:a show:b set:a abort:a set:b abort:b set:a commit:a abort:a" },
	{ "commit ssl cert %D/a", "Success\n", "commit ssl cert ", NULL },
	/* What HAProxy had before is none of ours, so it cannot be given back. */
	{ "commit ssl cert %D/b", "unable to create a SSL context\n", "unable to create a SSL context; 1 of the 1 files replaced before could not be put back, ", NULL },
	{ "commit ssl cert %D/b", NULL, "/b.pem\"; 1 of 2 files were replaced", NULL },
	{ "commit ssl cert %D/b", "!", "; 1 of 2 files were replaced", NULL },
};

static void says_no(void **state)
{
	struct bench *b = *state;

	listen_now(b);
	for (size_t i = 0; i < sizeof(noes) / sizeof(noes[0]); i++) {
		const struct no *no = &noes[i];
		const struct rule rules[] = { { no->command, no->answer }, { 0 } };

		print_message("%s -> %s\n", no->command, no->why);
		b->rules = rules;
		load(b, "ab", false);
		assert_failed(b, no->why);
		if (no->said)
			assert_string_equal(b->said, no->said);
		assert_true(haproxy_is_idle(b->haproxy));
		if (b->fd >= 0)
			hang_up(b);
	}
}

/* A command that is longer than its buffer can be the end of it. */
static void never_gets_what_is_too_long(void **state)
{
	struct bench *b = *state;
	static const struct { const char *pools; bool fits; } cases[] = {
		{ "  - Pool buffer (900 bytes) : 2 allocated\n", false }, { "Dumping.\n  - Pool trash (9 bytes)\n  - Pool buffer (1000 bytes)\n", false },
		{ "Permission denied\n", true }, { "  - Pool buffer (0 bytes)\n", true }, { "  - Pool buffer (-5 bytes)\n", true },
		{ "  - Pool buffer (99999999999999999999 bytes)\n", true }, { "  - Pool buffer (", true }, { "  - Pool buffer (900000 bytes)\n", true },
	};

	listen_now(b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int restore = 0; restore < 2; restore++) {
			const struct rule rules[] = { { "show pools", cases[i].pools }, { 0 } };

			b->rules = rules;
			load(b, "ab", restore);
			if (cases[i].fits) {
				assert_int_equal(b->err.kind, ERR_NONE);
				continue;
			}
			assert_failed(b, "HAProxy takes less than tune.bufsize, ");
			assert_string_equal(b->said, "list show:a show:b");
		}
}

static void sends_a_nul(void **state)
{
	struct bench *b = *state;

	listen_now(b);
	ask(b, "a", false);
	while (!strstr(b->said, "list"))
		loop_turn(true);
	send(b->fd, "# file\0name", 11, MSG_NOSIGNAL);
	while (!b->ended)
		loop_turn(true);
	assert_true(b->err.kind != ERR_NONE);
	assert_non_null(strstr(b->err.detail, "HAProxy at "));
}

/* --- the way back --- */

/* The second is refused for good: the first gets the generation it had. */
static void those_before_are_put_back(void **state)
{
	struct bench *b = *state;
	static const struct rule rules[] = { { "commit ssl cert %D/b", "Can't commit!\n" }, { 0 } };
	char *old;

	now_serves(b, "a");
	listen_now(b);
	load(b, "b", false);
	assert_non_null(strstr(b->said, "set:b commit:b"));
	load(b, "a", true);
	now_serves(b, "a");
	now_serves(b, "b");
	old = fixture_read(b->f, "a.pem");
	install(b, "a");
	install(b, "b");
	b->rules = rules;
	load(b, "ab", false);
	assert_failed(b, "what was replaced before it is put back");
	assert_string_equal(b->said, "list show:a show:b set:a abort:a set:b abort:b set:a commit:a abort:a set:b commit:b abort:b set:a commit:a abort:a");
	assert_memory_equal(b->set, old, strlen(old));
	free(old);
}

/* After a rollback each is for itself. */
static void restores_what_it_can(void **state)
{
	struct bench *b = *state;
	static const struct rule rules[] = { { "set ssl cert %D/a", "Can't update!\n" }, { "commit ssl cert %D/a", "No ongoing transaction!\n" }, { 0 } };

	b->rules = rules;
	listen_now(b);
	load(b, "a", true);
	assert_failed(b, "Can't update!");
	assert_string_equal(b->said, "list show:a show:b set:a commit:a abort:a set:b commit:b abort:b");
}

/* --- transactions left open --- */

static void of_somebody_else(void **state)
{
	struct bench *b = *state;
	static const struct rule rules[] = { { "show ssl cert\n", "# transaction\n*%D/a.pem\n# filename\n%D/a.pem\n%D/b.pem\n" },
		{ "show ssl cert *", "Filename: *%D/a.pem\nStatus: Unused\nSHA1 FingerPrint: 0123456789ABCDEF0123456789ABCDEF01234567\n" }, { 0 } };

	b->rules = rules;
	listen_now(b);
	load(b, "a", false);
	assert_failed(b, "somebody else's transaction for ");
	assert_string_equal(b->said, "list show:a");
}

static void of_ours(void **state)
{
	struct bench *b = *state;
	struct rule rules[] = { { "show ssl cert\n", "# transaction\n*%D/a.pem\n# filename\n%D/a.pem\n%D/b.pem\n" }, { "show ssl cert *", NULL }, { 0 } };
	char *shown;

	now_serves(b, "a");
	rules[1].answer = shown = mem_printf("Filename: *%%D/a.pem\nSHA1 FingerPrint: %s\n", b->now[0]);
	install(b, "a"); /* and was taken back since, or not */
	b->rules = rules;
	listen_now(b);
	load(b, "a", false);
	assert_int_equal(b->err.kind, ERR_NONE);
	assert_int_equal(strncmp(b->said, "list show:a abort:a show:a show:b set:a", 39), 0);
	free(shown);
}

/* --- who is told a key --- */

static void listens_as(struct bench *b, uid_t uid)
{
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(listen(b->listener, 5), 0);
	assert_int_equal(seteuid(0), 0);
}

static void only_who_may(void **state)
{
	struct bench *b = *state;
	char *folder = fixture_path(b->f, "ha");

	needs_root();
	listen_now(b);
	listens_as(b, 12345);
	load(b, "a", false);
	assert_int_equal(b->err.kind, ERR_DENIED);
	assert_failed(b, "uid 12345 listens at");
	assert_string_equal(b->said, "");
	assert_int_equal(chown(folder, 12345, 12345), 0);
	load(b, "a", false);
	assert_int_equal(b->err.kind, ERR_NONE);
	assert_int_equal(chmod(folder, 0775), 0);
	load(b, "a", false);
	assert_int_equal(b->err.kind, ERR_DENIED);
	listens_as(b, 0);
	load(b, "a", false);
	assert_int_equal(b->err.kind, ERR_NONE);
	free(folder);
}

/* The keeper ends in the middle. */
static void ends_in_the_middle(void **state)
{
	struct bench *b = *state;

	listen_now(b);
	ask(b, "a", false);
	while (!strstr(b->said, "set:a"))
		loop_turn(true);
	haproxy_close(b->haproxy);
	b->haproxy = NULL;
	assert_int_equal(b->ended, 1);
	assert_int_equal(b->err.kind, ERR_TEMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(brings_what_differs, setup, teardown),
		cmocka_unit_test_setup_teardown(one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(not_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_the_unit, setup, teardown),
		cmocka_unit_test_setup_teardown(other_names, setup, teardown),
		cmocka_unit_test_setup_teardown(says_no, setup, teardown),
		cmocka_unit_test_setup_teardown(never_gets_what_is_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(sends_a_nul, setup, teardown),
		cmocka_unit_test_setup_teardown(those_before_are_put_back, setup, teardown),
		cmocka_unit_test_setup_teardown(restores_what_it_can, setup, teardown),
		cmocka_unit_test_setup_teardown(of_somebody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(of_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(only_who_may, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_in_the_middle, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
