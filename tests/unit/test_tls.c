/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static struct result *look_at(const struct addr *a, const char *sni, int ecdsa, int64_t timeout_ms)
{
	memset(&last, 0, sizeof(last));
	assert_non_null(tls_look(a, sni, ecdsa, timeout_ms, done, &last));
	assert_int_equal(last.calls, 0); /* a later turn */
	wait_for(&last);
	return &last;
}

static struct result *look(int ecdsa)
{
	return look_at(&server.addr, "www.test", ecdsa, 10000);
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
	assert_is(look(-1), ec);
	assert_int_equal(last.n, 2);
	assert_string_equal(last.version, "TLSv1.3");
	assert_string_equal(server.notes->sni, "www.test");
	start(rsa, NULL); /* expired: nothing is judged here */
	assert_is(look(-1), rsa);
}

static void test_server_names(void **state)
{
	(void)state;
	start(ec, NULL);
	assert_is(look_at(&server.addr, NULL, -1, 10000), ec);
	assert_string_equal(server.notes->sni, "");
	assert_is(look_at(&server.addr, "192.0.2.1", -1, 10000), ec);
	assert_string_equal(server.notes->sni, "");
	assert_is(look_at(&server.addr, "2001:db8::1", -1, 10000), ec);
	assert_string_equal(server.notes->sni, "");
}

static void test_kinds(void **state)
{
	static const int versions[] = { 0, TLS1_2_VERSION, TLS1_1_VERSION };

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		testserver_newest_tls = versions[i];
		start(ec, rsa);
		assert_is(look(true), ec);
		assert_is(look(false), rsa);
		start(rsa, NULL);
		assert_is(look(false), rsa);
		assert_string_equal(look(true)->err.type, "tls");
		assert_non_null(strstr(last.err.detail, "www.test"));
		start(ec, NULL);
		assert_string_equal(look(false)->err.type, "tls");
	}
	assert_is(look(-1), ec);
	assert_string_equal(last.version, "TLSv1.1");
}

static void test_wants_our_certificate(void **state)
{
	(void)state;
	testserver_wants_our_cert = true;
	start(ec, NULL);
	assert_is(look(-1), ec);
	testserver_newest_tls = TLS1_2_VERSION;
	start(ec, NULL);
	assert_is(look(-1), ec);
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
	assert_is(look(-1), ec);
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
		assert_string_equal(look(-1)->err.type, "tls");
		assert_int_equal(last.err.kind, ERR_TEMP);
		assert_non_null(strstr(last.err.detail, "127.0.0.1:"));
	}
	away = server.addr;
	testserver_stop(&server);
	server.pid = 0;
	assert_string_equal(look_at(&away, "www.test", -1, 10000)->err.type, "connect");
	assert_non_null(strstr(last.err.detail, "refused"));
	assert_int_not_equal(last.err.errnum, 0);
	memset(&away, 0, sizeof(away));
	assert_string_equal(look_at(&away, "www.test", -1, 10000)->err.type, "connect");
}

static void test_timeouts(void **state)
{
	int64_t began = clock_mono_ms();
	struct addr hole;
	int fds[2];

	(void)state;
	testserver_start(&server, "127.0.0.1", NULL, testpeer_hang);
	assert_string_equal(look_at(&server.addr, "www.test", -1, 100)->err.type, "timeout");
	assert_non_null(strstr(last.err.detail, "handshake"));
	testserver_black_hole(fds, &hole);
	assert_string_equal(look_at(&hole, "www.test", -1, 100)->err.type, "timeout");
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
	tls_cancel(tls_look(&nowhere, "www.test", -1, 10000, done, &never)); /* failed already */
	tls_cancel(tls_look(&server.addr, "www.test", -1, 10000, done, &never));
	other.cancel = tls_look(&server.addr, "www.test", -1, 10000, done, &never);
	while (!server.notes->connections)
		loop_turn(false);
	tls_look(&nowhere, "www.test", -1, 10000, done, &other);
	wait_for(&other);
	memset(&other, 0, sizeof(other));
	other.cancel = tls_look(&nowhere, "www.test", -1, 10000, done, &other); /* itself */
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
		tls_look(&server.addr, "www.test", i % 3 - 1, 10000, done, &all[i]);
	for (int i = 0; i < MANY; i++)
		wait_for(&all[i]);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(all[i].err.kind == ERR_NONE, i % 3 != 1);
	free(all);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sees), TEST(test_server_names), TEST(test_kinds), TEST(test_wants_our_certificate), TEST(test_long_chain),
		TEST(test_failures), TEST(test_timeouts), TEST(test_cancel), TEST(test_many_at_once),
	};

	alarm(120); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
