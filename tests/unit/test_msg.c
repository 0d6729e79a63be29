/* SPDX-License-Identifier: ISC */
#include "msg_conn.h"

#include <dirent.h>
#include <errno.h>

#include "base/mem.h"

static void test_several_in_one_read_and_one_in_many(void **state)
{
	static const char slow[] = " {\"n\" : 3}\n";
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	PUT(&c, "{\"n\":1}\0{\"n\":2}");
	loop_turn(true);
	assert_int_equal(c.got, 2);
	assert_string_equal(c.last, "{\"n\":2}");
	for (size_t i = 0; i < sizeof(slow); i++) {
		assert_int_equal(c.got, 2);
		put(&c, slow + i, 1);
		loop_turn(true);
	}
	assert_int_equal(c.got, 3);
	assert_string_equal(c.last, "{\"n\":3}");
	assert_int_equal(c.closed, 0);
	conn_close(&c);
	assert_int_equal(c.closed, 0);
}

static void test_frames_what_it_sends(void **state)
{
	static const char expected[] = "{\"a\":1}\0{\"b\":[]}";
	char text[64];
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &streaming);
	send_text(c.m, "{\"a\": 1}");
	send_text(c.m, "{\"b\": []}");
	assert_int_equal(msg_pending(c.m), sizeof(expected));
	assert_int_equal(recv(c.fd, text, sizeof(text), 0), -1); /* not before the end of the turn */
	loop_turn(true);
	assert_int_equal(msg_pending(c.m), 0);
	assert_int_equal(recv(c.fd, text, sizeof(text), 0), sizeof(expected));
	assert_memory_equal(text, expected, sizeof(expected));
	assert_int_equal(c.drained, 0); /* on a turn of its own */
	loop_turn(true);
	assert_int_equal(c.drained, 1);
	conn_close(&c);
}

static void test_ordered_waits_for_next(void **state)
{
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &ordered);
	PUT(&c, "{\"n\":1}\0{\"n\":2}\0{\"n\":3}");
	loop_turn(true);
	loop_turn(false);
	assert_int_equal(c.got, 1);
	msg_next(c.m);
	assert_int_equal(c.got, 1); /* never inside the caller */
	loop_turn(true);
	assert_int_equal(c.got, 2);
	c.next_at_once = true;
	msg_next(c.m);
	loop_turn(true);
	assert_int_equal(c.got, 3);
	PUT(&c, "{}\0{}\0{}");
	loop_turn(true);
	assert_int_equal(c.got, 6);
	conn_close(&c);
}

/* Calls queued behind an unfinished one are held back by the kernel, not by our memory. */
static void test_ordered_stops_reading_when_full(void **state)
{
	static const char call[] = "{\"n\":12345678}";
	size_t before = 0, more = 0;
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &ordered);
	for (ssize_t n = 0; n >= 0; before += n > 0) {
		n = send(c.fd, call, sizeof(call), MSG_NOSIGNAL);
		assert_true(n < 0 || n == sizeof(call));
	}
	for (int i = 0; i < 200; i++)
		loop_turn(false);
	while (send(c.fd, call, sizeof(call), MSG_NOSIGNAL) > 0)
		more++;
	assert_true(more * sizeof(call) < 32 * 1024);
	assert_int_equal(c.got, 1);
	c.next_at_once = true;
	msg_next(c.m);
	while (c.got < before + more)
		loop_turn(true);
	assert_int_equal(c.closed, 0);
	conn_close(&c);
}

static void bad_input(const void *data, size_t len, enum err_kind kind, const char *word)
{
	struct conn c;

	conn_open(&c, &roomy, &plain);
	put(&c, data, len);
	for (int i = 0; i < 3 && c.closed == 0; i++)
		loop_turn(true);
	assert_int_equal(c.closed, 1);
	assert_int_equal(c.got, 0);
	assert_int_equal(c.err.kind, kind);
	if (word)
		assert_non_null(strstr(c.err.detail, word));
	conn_close(&c);
}

#define BAD(literal, word) bad_input(literal, sizeof(literal), ERR_INPUT, word)

static void test_bad_messages_close(void **state)
{
	(void)state;
	BAD("", NULL); /* a lone NUL */
	BAD("[]", "not a JSON object");
	BAD("17", NULL);
	BAD("\"text\"", NULL);
	BAD("{\"a\":1", NULL);
	BAD("{\"a\":1}}", NULL);
	BAD("{\"a\":1}{\"b\":2}", NULL);
	BAD("{\"a\":1,\"a\":2}", NULL);
	BAD("{\"a\":\"\xff\"}", NULL);
	BAD("{\"a\":\"\xed\xa0\x80\"}", NULL);
	BAD("\xef\xbb\xbf{}", NULL);
	BAD("not json at all", NULL);
}

static void test_depth_is_limited(void **state)
{
	char deep[1000];

	(void)state;
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"a\":", 5);
	deep[sizeof(deep) - 1] = '\0';
	bad_input(deep, sizeof(deep), ERR_INPUT, NULL);
}

static char *sized_message(size_t len)
{
	char *text = mem_alloc(len + 1);

	memset(text, ' ', len);
	text[0] = '{';
	text[len - 1] = '}';
	return text;
}

static void test_size_limit_is_exact(void **state)
{
	char *largest = sized_message(1024), *larger = sized_message(1025), *endless = sized_message(1 << 16);
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	put(&c, largest, 1025);
	PUT(&c, "{\"n\":2}");
	while (c.got < 2 && !c.closed)
		loop_turn(true);
	assert_int_equal(c.closed, 0);
	conn_close(&c);
	bad_input(larger, 1026, ERR_INPUT, "too large");
	bad_input(endless, 1 << 16, ERR_INPUT, "too large");
	free(largest);
	free(larger);
	free(endless);
}

static void test_end_of_peer(void **state)
{
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	PUT(&c, "{}");
	close(c.fd);
	c.fd = -1;
	while (!c.closed)
		loop_turn(true);
	assert_int_equal(c.got, 1);
	assert_int_equal(c.err.kind, ERR_NONE);
	conn_close(&c);
}

static void test_end_within_a_message(void **state)
{
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	put(&c, "{\"cut\"", 6);
	close(c.fd);
	c.fd = -1;
	while (!c.closed)
		loop_turn(true);
	assert_int_equal(c.err.kind, ERR_TEMP);
	conn_close(&c);
}

static void test_answers_reach_a_peer_that_closed_its_sending_half(void **state)
{
	char text[64];
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	c.echo = true;
	PUT(&c, "{\"n\":1}");
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	while (!c.closed)
		loop_turn(true);
	assert_int_equal(recv(c.fd, text, sizeof(text), 0), 8);
	assert_memory_equal(text, "{\"n\":1}", 8);
	conn_close(&c);
}

static void test_peer_gone_with_answers_unread_is_no_failure(void **state)
{
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	send_text(c.m, "{\"n\":1}");
	loop_turn(true);
	close(c.fd); /* resets */
	c.fd = -1;
	send_text(c.m, "{\"n\":2}");
	while (!c.closed)
		loop_turn(true);
	assert_int_equal(c.err.kind, ERR_NONE);
	conn_close(&c);
}

static void test_close_inside_got(void **state)
{
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	c.echo = c.close_at_once = true;
	PUT(&c, "{}\0{}\0{}");
	loop_turn(true);
	c.m = NULL;
	loop_turn(false);
	assert_int_equal(c.got, 1);
	assert_int_equal(c.closed, 0);
	conn_close(&c);
}

static void test_finish_sends_what_is_pending(void **state)
{
	char *big = mem_alloc(700001), *text = mem_alloc(1 << 20);
	struct js *v = js_object();
	size_t all = 0;
	ssize_t n;
	struct conn c;

	(void)state;
	memset(big, 'x', 700000);
	js_put_str(v, "text", big);
	conn_open(&c, &roomy, &plain);
	msg_send(c.m, v);
	js_free(v);
	msg_finish(c.m);
	send_text(c.m, "{\"late\":true}"); /* not sent any more */
	c.m = NULL;
	PUT(&c, "{}"); /* not read any more */
	while ((n = recv(c.fd, text + all, (1 << 20) - all, 0)) != 0) {
		all += n > 0 ? (size_t)n : 0;
		loop_turn(false);
		if (n < 0 && errno == ECONNRESET)
			break; /* closed with our message unread */
	}
	assert_int_equal(all, 700000 + sizeof("{\"text\":\"\"}"));
	assert_int_equal(text[all - 1], '\0');
	assert_int_equal(c.got + c.closed, 0);
	conn_close(&c);
	free(big);
	free(text);
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_descriptors_are_not_accepted(void **state)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "{}", .iov_len = 3 };
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);
	unsigned before;
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	before = open_fds();
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &c.fd, sizeof(int));
	assert_int_equal(sendmsg(c.fd, &hdr, MSG_NOSIGNAL), 3);
	loop_turn(true);
	assert_int_equal(c.got, 1);
	assert_int_equal(open_fds(), before);
	conn_close(&c);
}

static void test_who_is_there(void **state)
{
	gid_t groups[64], absent = 54321;
	int n = getgroups(64, groups);
	struct conn c;

	(void)state;
	conn_open(&c, &roomy, &plain);
	assert_int_equal(msg_peer(c.m)->uid, geteuid());
	assert_int_equal(msg_peer(c.m)->gid, getegid());
	assert_int_equal(msg_peer(c.m)->pid, getpid());
	assert_true(msg_peer_in_group(c.m, getegid()));
	for (int i = 0; i < n; i++) {
		assert_true(msg_peer_in_group(c.m, groups[i]));
		absent += groups[i] == absent;
	}
	assert_false(msg_peer_in_group(c.m, absent));
	conn_close(&c);
}

static void test_only_unix_sockets(void **state)
{
	struct err err;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[2];

	(void)state;
	assert_true(fd >= 0);
	assert_null(msg_open(fd, &roomy, &plain, NULL, &err));
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken over all the same */
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_null(msg_open(fds[0], &roomy, &plain, NULL, &err));
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_several_in_one_read_and_one_in_many),
		TEST(test_frames_what_it_sends),
		TEST(test_ordered_waits_for_next),
		TEST(test_ordered_stops_reading_when_full),
		TEST(test_bad_messages_close),
		TEST(test_depth_is_limited),
		TEST(test_size_limit_is_exact),
		TEST(test_end_of_peer),
		TEST(test_end_within_a_message),
		TEST(test_answers_reach_a_peer_that_closed_its_sending_half),
		TEST(test_peer_gone_with_answers_unread_is_no_failure),
		TEST(test_close_inside_got),
		TEST(test_finish_sends_what_is_pending),
		TEST(test_descriptors_are_not_accepted),
		TEST(test_who_is_there),
		TEST(test_only_unix_sockets),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
