/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/tls.h"
#include "testserver.h"

struct result {
	int calls;
	size_t n;
	unsigned char leaf[4096];
	size_t len;
	char version[16];
	struct err err;
	struct tls_look *cancel; /* in the callback */
};

static struct testserver server;
static struct testcert *ec, *rsa;
static struct result last;
static enum starttls_kind speak; /* of looks from now on */

static void done(void *arg, const struct tls_seen *seen, const struct err *err)
{
	struct result *r = arg;

	assert_true((seen == NULL) == (err != NULL));
	r->calls++;
	tls_cancel(r->cancel);
	if (err) {
		r->err = *err;
		return;
	}
	r->n = seen->n;
	r->len = seen->len[0];
	assert_in_range(r->len, 1, sizeof(r->leaf));
	memcpy(r->leaf, seen->der[0], r->len);
	for (size_t i = 0; i < seen->n; i++)
		assert_int_equal(seen->der[i][0], 0x30);
	snprintf(r->version, sizeof(r->version), "%s", seen->version);
}

static void wait_for(const struct result *r)
{
	while (!r->calls)
		loop_turn(true);
}

static struct tls_look *begin(const struct addr *a, const char *sni, enum tls_keys keys, int64_t timeout_ms, struct result *r)
{
	return tls_look(&(struct tls_ask){ .at = *a, .sni = sni, .starttls = speak, .keys = keys, .timeout_ms = timeout_ms }, done, r);
}

static struct result *look_at(const struct addr *a, const char *sni, enum tls_keys keys, int64_t timeout_ms)
{
	memset(&last, 0, sizeof(last));
	assert_non_null(begin(a, sni, keys, timeout_ms, &last));
	assert_int_equal(last.calls, 0); /* a later turn */
	wait_for(&last);
	return &last;
}

static struct result *look(enum tls_keys keys)
{
	return look_at(&server.addr, "www.test", keys, 10000);
}

static void assert_is(const struct result *r, const struct testcert *c)
{
	unsigned char *der = NULL;
	int len = i2d_X509(c->leaf, &der);

	assert_int_equal(r->err.kind, ERR_NONE);
	assert_int_equal(r->len, len);
	assert_memory_equal(r->leaf, der, (size_t)len);
	OPENSSL_free(der);
}

static int open_all(void **state)
{
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	ec = testcert_new("www.test", false, TESTCERT_GOOD);
	rsa = testcert_new("www.test", true, TESTCERT_EXPIRED);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	if (server.pid)
		testserver_stop(&server);
	server.pid = 0;
	testserver_newest_tls = 0;
	testserver_wants_our_cert = false;
	testserver_before_tls = NULL;
	speak = STARTTLS_NONE;
	testcert_free(ec);
	testcert_free(rsa);
	testtrust_end();
	loop_close();
	return 0;
}

static void start(struct testcert *first, struct testcert *second)
{
	struct testcert *certs[] = { first, second, NULL };

	if (server.pid)
		testserver_stop(&server);
	testserver_start(&server, "127.0.0.1", certs, testpeer_hang);
}

static void test_sees(void **state)
{
	(void)state;
	start(ec, NULL);
	assert_is(look(TLS_ANY), ec);
	assert_int_equal(last.n, 2);
	assert_string_equal(last.version, "TLSv1.3");
	assert_string_equal(server.notes->sni, "www.test");
	start(rsa, NULL); /* expired: nothing is judged here */
	assert_is(look(TLS_ANY), rsa);
}

static void test_server_names(void **state)
{
	(void)state;
	start(ec, NULL);
	assert_is(look_at(&server.addr, NULL, TLS_ANY, 10000), ec);
	assert_string_equal(server.notes->sni, "");
	assert_is(look_at(&server.addr, "192.0.2.1", TLS_ANY, 10000), ec);
	assert_string_equal(server.notes->sni, "");
	assert_is(look_at(&server.addr, "2001:db8::1", TLS_ANY, 10000), ec);
	assert_string_equal(server.notes->sni, "");
}

static void test_kinds(void **state)
{
	static const int versions[] = { 0, TLS1_2_VERSION, TLS1_1_VERSION };

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		testserver_newest_tls = versions[i];
		start(ec, rsa);
		assert_is(look(TLS_ECDSA), ec);
		assert_is(look(TLS_RSA), rsa);
		start(rsa, NULL);
		assert_is(look(TLS_RSA), rsa);
		assert_is(look(TLS_ECDSA), rsa); /* it has no other */
		start(ec, NULL);
		assert_is(look(TLS_RSA), ec);
	}
	assert_is(look(TLS_ANY), ec);
	assert_string_equal(last.version, "TLSv1.1");
}

static void test_wants_our_certificate(void **state)
{
	(void)state;
	testserver_wants_our_cert = true;
	start(ec, NULL);
	assert_is(look(TLS_ANY), ec);
	testserver_newest_tls = TLS1_2_VERSION;
	start(ec, NULL);
	assert_is(look(TLS_ANY), ec);
	assert_string_equal(last.version, "TLSv1.2");
}

static void test_long_chain(void **state)
{
	(void)state;
	for (int i = 0; i < 15; i++) {
		X509_up_ref(ec->leaf);
		sk_X509_push(ec->chain, ec->leaf);
	}
	start(ec, NULL);
	assert_is(look(TLS_ANY), ec);
	assert_int_equal(last.n, 10);
}

static void greet(struct testpeer *p)
{
	testpeer_puts(p, "220 mail.test ESMTP\r\n");
	testpeer_hang(p);
}

static void slam(struct testpeer *p)
{
	(void)p;
}

static void alert_at_once(struct testpeer *p)
{
	testpeer_write(p, "\x15\x03\x03\x00\x02\x02\x28", 7);
	testpeer_hang(p);
}

static void test_failures(void **state)
{
	static testserver_serve *const servers[] = { greet, slam, alert_at_once };
	struct addr away;

	(void)state;
	for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++) {
		if (server.pid)
			testserver_stop(&server);
		testserver_start(&server, "127.0.0.1", NULL, servers[i]);
		assert_string_equal(look(TLS_ANY)->err.type, "tls");
		assert_int_equal(last.err.kind, ERR_TEMP);
		assert_non_null(strstr(last.err.detail, "127.0.0.1:"));
	}
	away = server.addr;
	testserver_stop(&server);
	server.pid = 0;
	assert_string_equal(look_at(&away, "www.test", TLS_ANY, 10000)->err.type, "connect");
	assert_non_null(strstr(last.err.detail, "refused"));
	assert_int_not_equal(last.err.errnum, 0);
	memset(&away, 0, sizeof(away));
	assert_string_equal(look_at(&away, "www.test", TLS_ANY, 10000)->err.type, "connect");
}

static void test_timeouts(void **state)
{
	int64_t began = clock_mono_ms();
	struct addr hole;
	int fds[2];

	(void)state;
	testserver_start(&server, "127.0.0.1", NULL, testpeer_hang);
	assert_string_equal(look_at(&server.addr, "www.test", TLS_ANY, 100)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "handshake"));
	testserver_black_hole(fds, &hole);
	assert_string_equal(look_at(&hole, "www.test", TLS_ANY, 100)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "no connection"));
	assert_in_range(clock_mono_ms() - began, 198, 5000);
	close(fds[0]);
	close(fds[1]);
}

static void test_cancel(void **state)
{
	struct result never = { 0 }, other = { 0 };
	struct addr nowhere = { .len = 0 };

	(void)state;
	testserver_start(&server, "127.0.0.1", NULL, testpeer_hang);
	tls_cancel(NULL);
	tls_cancel(begin(&nowhere, "www.test", TLS_ANY, 10000, &never)); /* failed already */
	tls_cancel(begin(&server.addr, "www.test", TLS_ANY, 10000, &never));
	other.cancel = begin(&server.addr, "www.test", TLS_ANY, 10000, &never);
	while (!server.notes->connections)
		loop_turn(false);
	begin(&nowhere, "www.test", TLS_ANY, 10000, &other);
	wait_for(&other);
	memset(&other, 0, sizeof(other));
	other.cancel = begin(&nowhere, "www.test", TLS_ANY, 10000, &other); /* itself */
	wait_for(&other);
	loop_turn(false);
	assert_int_equal(never.calls, 0);
}

static void test_many_at_once(void **state)
{
	enum { MANY = 50 };
	struct result *all = mem_array(MANY, sizeof(*all));

	(void)state;
	start(ec, NULL);
	for (int i = 0; i < MANY; i++)
		begin(&server.addr, "www.test", (enum tls_keys)(i % 3), 10000, &all[i]);
	for (int i = 0; i < MANY; i++)
		wait_for(&all[i]);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(all[i].err.kind, ERR_NONE);
	free(all);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* A thousand services that never answer do not take a thousand connections; each gives up its place. */
static void test_few_at_a_time(void **state)
{
	enum { MANY = 100 };
	struct result *all = mem_array(MANY, sizeof(*all));
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), before, most;
	struct tls_look *looks[MANY];
	struct addr at;

	(void)state;
	assert_true(addr_parse("127.0.0.1:0", 0, &at) || addr_parse_ip("127.0.0.1", 0, &at));
	assert_int_equal(bind(silent, (struct sockaddr *)&at.ss, at.len), 0);
	assert_int_equal(listen(silent, MANY), 0);
	assert_int_equal(getsockname(silent, (struct sockaddr *)&at.ss, &at.len), 0);
	start(ec, NULL);
	before = count_fds();
	for (int i = 0; i < MANY; i++)
		looks[i] = begin(&at, "www.test", TLS_ANY, 300, &all[i]);
	most = count_fds() - before;
	assert_in_range(most, 1, 40);
	for (int i = 0; i < MANY; i += 2)
		tls_cancel(looks[i]);
	for (int i = 1; i < MANY; i += 2)
		wait_for(&all[i]);
	assert_is(look(TLS_ANY), ec);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(all[i].calls, i % 2);
	assert_int_equal(count_fds(), before);
	close(silent);
	free(all);
}

/* --- TLS that has to be asked for --- */

/* In plain text, up to the end of the line (and not further: what follows may be TLS). */
static void read_line(struct testpeer *p, char *out, size_t room)
{
	size_t n = 0;

	do
		if (n + 1 == room || read(p->fd, out + n, 1) != 1)
			_exit(0);
	while (out[n++] != '\n');
	out[n] = '\0';
}

/* The other side of a dialog, by lines: what is said, and what the answer to it begins with. Another one gets none. */
static void converse(struct testpeer *p, const char *const *says)
{
	char line[512];

	for (; *says; says += 2) {
		testpeer_puts(p, says[0]);
		if (!says[1])
			return;
		read_line(p, line, sizeof(line));
		if (strncmp(line, says[1], strlen(says[1])) != 0)
			_exit(0);
	}
}

static void mail(struct testpeer *p)
{
	converse(p, (const char *const[]){ "220-mail.test\r\n220 ESMTP\r\n", "EHLO [127.0.0.1]\r\n", "250-mail.test\r\n250-starttls\r\n250 HELP\r\n", "STARTTLS\r\n",
		"220 go ahead\r\n", NULL });
}

static void mail_without(struct testpeer *p)
{
	converse(p, (const char *const[]){ "220 mail.test\r\n", "EHLO ", "250-mail.test\r\n250 HELP\r\n", "QUIT", NULL });
	testpeer_hang(p);
}

static void mail_that_says_no(struct testpeer *p)
{
	converse(p, (const char *const[]){ "220 mail.test\r\n", "EHLO ", "250 STARTTLS\r\n", "STARTTLS\r\n", "454 4.7.0 not \033[31mnow\r\n", NULL });
	testpeer_hang(p);
}

static void mail_with_more(struct testpeer *p)
{
	converse(p, (const char *const[]){ "220 mail.test\r\n", "EHLO ", "250 STARTTLS\r\n", "STARTTLS\r\n", "220 go ahead\r\n250 injected\r\n", NULL });
}

static void mail_that_leaves(struct testpeer *p)
{
	converse(p, (const char *const[]){ "220 mail.test\r\n", "EHLO ", "250-mail.test\r\n", NULL });
	_exit(0);
}

static void mail_that_dribbles(struct testpeer *p)
{
	static const char greeting[] = "220 mail.test\r\n";

	for (const char *c = greeting; *c; c++)
		testpeer_write(p, c, 1);
	converse(p, (const char *const[]){ "", "EHLO ", "2", NULL });
	usleep(1000); /* so that it is likely to arrive by itself; no result hangs on it */
	converse(p, (const char *const[]){ "50 STARTTLS\r\n", "STARTTLS\r\n", "220 go ahead\r\n", NULL });
}

static void mail_that_chats(struct testpeer *p)
{
	for (;;)
		testpeer_puts(p, "220-and another thing\r\n");
}

static void postgres(struct testpeer *p)
{
	char request[8];

	if (recv(p->fd, request, sizeof(request), MSG_WAITALL) != 8 || memcmp(request, "\0\0\0\x08\x04\xd2\x16\x2f", 8) != 0)
		_exit(0);
	testpeer_puts(p, "S");
}

static void start_asked(testserver_serve *before)
{
	testserver_before_tls = before;
	start(ec, NULL);
}

static void test_asks_for_tls(void **state)
{
	(void)state;
	speak = STARTTLS_SMTP;
	start_asked(mail);
	assert_is(look(TLS_ANY), ec);
	assert_int_equal(last.n, 2);
	assert_string_equal(server.notes->sni, "www.test");
	assert_is(look(TLS_RSA), ec); /* asked for twice */
	start_asked(mail_that_dribbles);
	assert_is(look(TLS_ANY), ec);
	speak = STARTTLS_POSTGRES;
	start_asked(postgres);
	assert_is(look(TLS_ANY), ec);
}

static void test_is_refused_tls(void **state)
{
	static const struct {
		testserver_serve *server;
		const char *says;
	} rows[] = {
		{ mail_without, "its answer to EHLO offers no STARTTLS" },
		{ mail_that_says_no, "its answer to STARTTLS is \"454 4.7.0 not \\x1b[31mnow\"" },
		{ mail_with_more, "in plain text" },
		{ mail_that_leaves, "the peer ended the connection before its answer to EHLO" },
		{ mail_that_chats, "its greeting has no end" },
		{ postgres, NULL },
	};
	char peer[ADDR_TEXT], begins[ADDR_TEXT + 8];

	(void)state;
	speak = STARTTLS_SMTP;
	for (size_t i = 0; rows[i].says; i++) {
		start_asked(rows[i].server);
		assert_string_equal(look(TLS_ANY)->err.type, "starttls");
		assert_int_equal(last.err.kind, ERR_TEMP);
		snprintf(begins, sizeof(begins), "%s: smtp: ", addr_format(&server.addr, peer));
		assert_memory_equal(last.err.detail, begins, strlen(begins));
		if (!strstr(last.err.detail, rows[i].says))
			fail_msg("%s", last.err.detail);
	}
}

/* Silence in the middle of a dialog: what is missing is told. */
static void test_awaits_an_answer(void **state)
{
	(void)state;
	testserver_start(&server, "127.0.0.1", NULL, testpeer_hang);
	speak = STARTTLS_IMAP;
	assert_string_equal(look_at(&server.addr, "www.test", TLS_ANY, 100)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "imap: its greeting did not come within 0.1 seconds"));
	testserver_stop(&server);
	testserver_start(&server, "127.0.0.1", NULL, greet);
	speak = STARTTLS_SMTP;
	assert_string_equal(look_at(&server.addr, "www.test", TLS_ANY, 100)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "smtp: its answer to EHLO did not come"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sees), TEST(test_server_names), TEST(test_kinds), TEST(test_wants_our_certificate), TEST(test_long_chain),
		TEST(test_failures), TEST(test_timeouts), TEST(test_cancel), TEST(test_many_at_once), TEST(test_few_at_a_time),
		TEST(test_asks_for_tls), TEST(test_is_refused_tls), TEST(test_awaits_an_answer),
	};

	alarm(120); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
