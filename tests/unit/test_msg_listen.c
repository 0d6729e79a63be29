/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/msg.h"
#include "needs_root.h"

static const struct msg_limits roomy = { .message = 1024, .output = 1 << 20 };

/* Either end of a connection; the server's echoes. */
struct conn {
	struct msg *m;
	unsigned got;
	unsigned closed;
	char last[64];
	bool echo;
};

static void got(void *arg, struct msg *m, struct js *v)
{
	struct conn *c = arg;
	char *text = js_dump(v);

	c->got++;
	snprintf(c->last, sizeof(c->last), "%s", text);
	free(text);
	if (c->echo)
		msg_send(m, v);
}

static void closed(void *arg, struct msg *m, const struct err *err)
{
	struct conn *c = arg;

	(void)m;
	(void)err;
	c->closed++;
	c->m = NULL;
}

static const struct msg_ops plain = { .got = got, .closed = closed };

static int open_loop(void **state)
{
	struct err err;

	(void)state;
	return loop_open(&err) ? 0 : -1;
}

static int close_loop(void **state)
{
	(void)state;
	loop_turn(false);
	loop_close();
	return 0;
}

static void send_text(struct msg *m, const char *json)
{
	struct js *v = js_parse(json, strlen(json), NULL);

	assert_non_null(v);
	msg_send(m, v);
	js_free(v);
}

struct server {
	struct msg_listener *l;
	char dir[32];
	char path[64];
	struct conn conns[8];
	unsigned n;
};

static void accepted(void *arg, int fd)
{
	struct server *s = arg;
	struct conn *c = &s->conns[s->n++];
	struct err err;

	*c = (struct conn){ .echo = true };
	c->m = msg_open(fd, &roomy, &plain, c, &err);
	assert_non_null(c->m);
}

static void server_dir(struct server *s)
{
	*s = (struct server){ .dir = "/tmp/dovad-msg-XXXXXX" };
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/socket", s->dir);
}

static void server_open(struct server *s, const struct msg_listener_limits *limits)
{
	struct err err;

	server_dir(s);
	s->l = msg_listen(s->path, -1, 0600, limits, accepted, s, &err);
	assert_non_null(s->l);
}

static void server_close(struct server *s)
{
	for (unsigned i = 0; i < s->n; i++)
		msg_close(s->conns[i].m);
	msg_listener_close(s->l);
	loop_turn(false);
	unlink(s->path);
	assert_int_equal(rmdir(s->dir), 0);
}

static const struct msg_listener_limits few = { .total = 3, .per_uid = 2 };

static void test_listen_connect_and_release(void **state)
{
	struct conn c = { 0 };
	struct server s;
	struct stat st;
	struct err err;
	int fds[3];

	(void)state;
	server_open(&s, &few);
	assert_int_equal(lstat(s.path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	c.m = msg_connect(s.path, &roomy, &plain, &c, &err);
	assert_non_null(c.m);
	send_text(c.m, "{\"hello\":true}");
	while (c.got == 0)
		loop_turn(true);
	assert_string_equal(c.last, "{\"hello\":true}");
	/* Our own uid is not counted by uid, but in the total. */
	for (int i = 0; i < 3; i++) {
		fds[i] = msg_dial(s.path, &err);
		assert_true(fds[i] >= 0);
	}
	while (s.n < 3)
		loop_turn(true);
	loop_turn(false);
	assert_int_equal(recv(fds[2], c.last, 1, 0), 0); /* one too many: closed at once */
	msg_close(s.conns[0].m);
	s.conns[0].m = NULL;
	msg_listener_release(s.l, geteuid());
	close(fds[2]);
	fds[2] = msg_dial(s.path, &err);
	while (s.n < 4)
		loop_turn(true);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	while (!c.closed || !s.conns[3].closed)
		loop_turn(true);
	msg_close(c.m);
	server_close(&s);
	assert_int_equal(lstat(s.path, &st), -1);
	assert_int_equal(msg_dial(s.path, &err), -1);
	assert_int_equal(err.errnum, ENOENT);
}

/* Connects n times as another user and reports how many stayed open after the server's end of turn. */
static _Noreturn void stranger(const char *path, int report)
{
	struct err err;
	char stayed = 0, byte;
	int fds[3];

	if (setgid(54321) != 0 || setuid(54321) != 0)
		_exit(1);
	for (int i = 0; i < 3; i++) {
		fds[i] = msg_dial(path, &err);
		if (fds[i] < 0)
			_exit(1);
	}
	for (int i = 0; i < 3; i++) {
		(void)send(fds[i], "{}", 3, MSG_NOSIGNAL);
		(void)fcntl(fds[i], F_SETFL, 0);
		stayed += recv(fds[i], &byte, 1, 0) == 1;
	}
	(void)!write(report, &stayed, 1);
	_exit(0);
}

static void stranger_stays(const struct msg_listener_limits *limits, int expected)
{
	struct server s;
	int report[2];
	char stayed;
	pid_t pid;

	server_dir(&s);
	assert_int_equal(chmod(s.dir, 0755), 0);
	s.l = msg_listen(s.path, -1, 0666, limits, accepted, &s, NULL);
	assert_non_null(s.l);
	assert_int_equal(pipe2(report, O_CLOEXEC | O_NONBLOCK), 0);
	pid = fork();
	if (pid == 0)
		stranger(s.path, report[1]);
	close(report[1]);
	ssize_t n;
	while ((n = read(report[0], &stayed, 1)) < 0)
		loop_turn(true);
	assert_int_equal(n, 1);
	assert_int_equal(stayed, expected);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(report[0]);
	server_close(&s);
}

static void test_one_uid_gets_its_share_only(void **state)
{
	const gid_t groups[] = { 12, 54321 };
	struct msg_listener_limits limits = { .total = 8, .per_uid = 2 };

	(void)state;
	needs_root();
	stranger_stays(&limits, 2);
	limits.exempt = groups;
	limits.nexempt = 2;
	stranger_stays(&limits, 3);
}

static void test_paths_it_refuses(void **state)
{
	char longest[109];
	struct server s;
	struct err err;
	struct stat st;

	(void)state;
	server_open(&s, &few);
	assert_null(msg_listen(s.path, -1, 0600, &few, accepted, NULL, &err)); /* in use */
	assert_non_null(strstr(err.detail, "another process"));
	assert_int_equal(lstat(s.path, &st), 0);
	memset(longest, 'x', 108);
	longest[0] = '/';
	longest[108] = '\0';
	assert_null(msg_listen(longest, -1, 0600, &few, accepted, NULL, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.detail, "107"));
	assert_null(msg_connect(longest, &roomy, &plain, NULL, &err));
	assert_null(msg_listen("", -1, 0600, &few, accepted, NULL, &err));
	assert_null(msg_listen("/proc/nothing/here", -1, 0600, &few, accepted, NULL, &err));
	server_close(&s);

	server_dir(&s);
	assert_true(file_create(AT_FDCWD, s.path, "precious", 8, 0600, &err));
	assert_null(msg_listen(s.path, -1, 0600, &few, accepted, NULL, &err));
	assert_non_null(strstr(err.detail, "not a socket"));
	assert_int_equal(unlink(s.path), 0);
	assert_int_equal(symlink("/etc/passwd", s.path), 0);
	assert_null(msg_listen(s.path, -1, 0600, &few, accepted, NULL, &err));
	assert_non_null(strstr(err.detail, "not a socket"));
	server_close(&s);
}

static void make_stale(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
}

static void test_stale_socket_is_replaced(void **state)
{
	struct server s;
	struct stat st;
	struct err err;

	(void)state;
	server_dir(&s);
	make_stale(s.path);
	if (geteuid() == 0) {
		assert_int_equal(lchown(s.path, 54321, 54321), 0);
		assert_null(msg_listen(s.path, -1, 0640, &few, accepted, &s, &err));
		assert_non_null(strstr(err.detail, "54321"));
		assert_int_equal(lchown(s.path, 0, 0), 0);
	}
	s.l = msg_listen(s.path, -1, 0640, &few, accepted, &s, &err);
	assert_non_null(s.l);
	assert_int_equal(lstat(s.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	/* A successor's socket survives our end. */
	assert_int_equal(unlink(s.path), 0);
	make_stale(s.path);
	msg_listener_close(s.l);
	s.l = NULL;
	assert_int_equal(lstat(s.path, &st), 0);
	server_close(&s);
}

static void test_listening_descriptor_is_taken_over(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct server s;
	struct stat st;
	struct err err;
	int fd, client;

	(void)state;
	server_dir(&s);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", s.path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_null(msg_listen(NULL, fd, 0, &few, accepted, &s, &err)); /* does not listen */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 5), 0);
	s.l = msg_listen(NULL, fd, 0, &few, accepted, &s, &err);
	assert_non_null(s.l);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	client = msg_dial(s.path, &err);
	while (s.n == 0)
		loop_turn(true);
	msg_listener_close(s.l);
	s.l = NULL;
	assert_int_equal(lstat(s.path, &st), 0); /* not ours to remove */
	close(client);
	server_close(&s);
}

static bool count_turn(void *arg)
{
	++*(int *)arg;
	return false;
}

static unsigned warnings;

static void count_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)line;
	warnings += level == LOG_LEVEL_WARNING;
}

static void tick(void *arg)
{
	(void)arg;
}

static void test_out_of_descriptors_does_not_spin(void **state)
{
	struct rlimit old, now;
	struct timer t = { 0 };
	struct server s;
	struct err err;
	int turns = 0, client;

	(void)state;
	warnings = 0;
	log_set_sink(count_line, NULL);
	server_open(&s, &few);
	client = msg_dial(s.path, &err);
	while (s.n < 1)
		loop_turn(true);
	close(client);
	client = msg_dial(s.path, &err);
	assert_true(client >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	now = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	loop_on_turn(count_turn, &turns);
	timer_arm(&t, 300, tick, NULL);
	while (timer_armed(&t))
		loop_turn(true);
	assert_true(turns < 10);
	loop_on_turn(NULL, NULL);
	assert_int_equal(s.n, 1);
	assert_int_equal(warnings, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	/* An end of a connection is the moment to try again. */
	assert_int_equal(s.conns[0].closed, 1);
	msg_listener_release(s.l, geteuid());
	loop_turn(true);
	assert_int_equal(s.n, 2);
	close(client);
	server_close(&s);
	log_set_sink(NULL, NULL);
}

static void test_pause_ends_by_itself(void **state)
{
	struct rlimit old, now;
	struct server s;
	struct err err;
	int client;

	(void)state;
	log_set_sink(count_line, NULL);
	server_open(&s, &few);
	client = msg_dial(s.path, &err);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	now = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	loop_turn(true);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(s.n, 0);
	while (s.n < 1)
		loop_turn(true);
	close(client);
	server_close(&s);
	log_set_sink(NULL, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_listen_connect_and_release),
		TEST(test_one_uid_gets_its_share_only),
		TEST(test_paths_it_refuses),
		TEST(test_stale_socket_is_replaced),
		TEST(test_listening_descriptor_is_taken_over),
		TEST(test_out_of_descriptors_does_not_spin),
		TEST(test_pause_ends_by_itself),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
