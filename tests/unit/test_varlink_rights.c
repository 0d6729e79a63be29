/* SPDX-License-Identifier: ISC */
/* ctl/varlink: who may call what, and how many may call. */
#include "needs_root.h"
#include "varlink_service.h"

#include <grp.h>

enum { NOBODY = 65534 };

/* Connections made from here on come from this user. */
static void become(uid_t uid, gid_t gid, size_t n, const gid_t *groups)
{
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setgroups(n, groups), 0);
	assert_int_equal(setegid(gid), 0);
	assert_int_equal(seteuid(uid), 0);
}

static void peer_open_as(struct peer *p, uid_t uid, gid_t gid, size_t n, const gid_t *groups)
{
	become(uid, gid, n, groups);
	peer_open(p, path);
	become(0, 0, 0, NULL);
}

#define ECHO_CALL "{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"name\":\"x\"}}"
#define CHANGE_CALL "{\"method\":\"org.example.Test.Change\",\"parameters\":{\"name\":\"some\\nname\"}}"

static void expect_rights(uid_t uid, gid_t gid, const gid_t *group, bool read, bool operate)
{
	struct peer p;
	struct js *v;

	log_text[0] = '\0';
	peer_open_as(&p, uid, gid, group ? 1 : 0, group);
	v = peer_ask(&p, INFO);
	assert_false(js_has(v, "error"));
	js_free(v);
	v = peer_ask(&p, ECHO_CALL);
	assert_int_equal(js_has(v, "error"), !read);
	js_free(v);
	changed = 0;
	v = peer_ask(&p, CHANGE_CALL);
	assert_int_equal(js_has(v, "error"), !operate);
	assert_int_equal(changed, operate);
	if (!operate)
		assert_string_equal(js_str(v, "error"), SERVICE "PermissionDenied");
	js_free(v);
	assert_int_equal(lines_with("operator's call"), operate);
	assert_int_equal(lines_with("call refused"), !operate);
	assert_int_equal(lines_with("\n"), 1);
	peer_close(&p);
}

static void test_rights(void **state)
{
	static const gid_t readers = READERS, admins = ADMINS, others = 4244;

	(void)state;
	needs_root();
	expect_rights(0, 0, NULL, true, true);
	expect_rights(NOBODY, NOBODY, NULL, false, false);
	expect_rights(NOBODY, NOBODY, &others, false, false);
	expect_rights(NOBODY, 0, NULL, false, false); /* root's group is no right */
	expect_rights(NOBODY, NOBODY, &readers, true, false);
	expect_rights(NOBODY, READERS, NULL, true, false);
	expect_rights(NOBODY, NOBODY, &admins, true, true);
	expect_rights(NOBODY, ADMINS, &readers, true, true);
}

/* A stranger's attempt is in the log with who he is, and a hundred attempts make one line. */
static void test_refusals_are_logged_once(void **state)
{
	struct peer p;
	char pid[32];

	(void)state;
	needs_root();
	peer_open_as(&p, NOBODY, NOBODY, 0, NULL);
	for (int i = 0; i < 100; i++)
		peer_expect_error(&p, CHANGE_CALL, SERVICE "PermissionDenied", NULL, NULL);
	/* Rights come before parameters: nothing is to be learned by guessing. */
	peer_expect_error(&p, "{\"method\":\"org.example.Test.Change\",\"parameters\":{\"x\":1}}",
		SERVICE "PermissionDenied", NULL, NULL);
	snprintf(pid, sizeof pid, "pid=%d", getpid());
	assert_int_equal(lines_with("\n"), 1);
	assert_int_equal(lines_with("uid=65534"), 1);
	assert_int_equal(lines_with(pid), 1);
	assert_int_equal(lines_with("some\nname"), 0); /* what strangers say is escaped */
	peer_close(&p);
}

static void test_connections_per_uid(void **state)
{
	static const gid_t readers = READERS;
	enum { CAP = 16, MORE = 20 };
	struct peer strangers[CAP], friends[MORE], p;

	(void)state;
	needs_root();
	for (int i = 0; i < CAP; i++) {
		peer_open_as(&strangers[i], NOBODY, NOBODY, 0, NULL);
		peer_expect_reply(&strangers[i], INFO);
	}
	peer_open_as(&p, NOBODY, NOBODY, 0, NULL);
	assert_null(peer_take(&p));
	peer_close(&p);
	for (int i = 0; i < MORE; i++) {
		struct js *v;

		peer_open_as(&friends[i], i % 2 ? 0 : NOBODY, NOBODY, 1, &readers);
		v = peer_ask(&friends[i], INFO);
		assert_non_null(v);
		js_free(v);
	}
	peer_close(&strangers[0]);
	for (int i = 0; i < MORE; i++)
		peer_close(&friends[i]);
	for (int i = 0; i < 3; i++)
		loop_turn(false);
	peer_open_as(&p, NOBODY, NOBODY, 0, NULL); /* the place that became free */
	peer_expect_reply(&p, INFO);
	peer_close(&p);
	for (int i = 1; i < CAP; i++)
		peer_close(&strangers[i]);
}

static void test_socket_mode(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_ROW(test_rights),
		TEST_ROW(test_refusals_are_logged_once),
		TEST_ROW(test_connections_per_uid),
		TEST_ROW(test_socket_mode),
	};

	alarm(60); /* a reply that never comes is a failure, not a wait */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
