/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/dns.h"
#include "io/loop.h"
#include "needs_root.h"
#include "testserver.h"

struct result {
	int calls;
	size_t n;
	char text[2048]; /* addresses with ports */
	struct err err;
	struct dns *close; /* in the callback */
	struct dns_lookup *cancel;
};

static struct testdns *server;
static struct dns *dns;

static void done(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct result *r = arg;
	char text[ADDR_TEXT];

	r->calls++;
	r->n = n;
	r->text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		strcat(r->text, i > 0 ? " " : "");
		strcat(r->text, addr_format(&addrs[i], text));
	}
	assert_true((n == 0) == (err != NULL));
	if (err)
		r->err = *err;
	dns_cancel(r->cancel);
	if (r->close)
		dns_close(r->close);
}

static void wait_for(const struct result *r)
{
	while (!r->calls)
		loop_turn(true);
}

static struct result *look_up(const char *name, uint16_t port)
{
	static struct result r;

	memset(&r, 0, sizeof(r));
	assert_non_null(dns_addresses(dns, name, port, done, &r));
	assert_int_equal(r.calls, 0); /* a later turn */
	wait_for(&r);
	return &r;
}

static struct dns *open_with(const char *address)
{
	struct err err;
	struct dns *d = dns_open(&address, address ? 1 : 0, &err);

	assert_non_null(d);
	return d;
}

static int open_all(void **state)
{
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	server = testdns_open();
	dns = open_with(testdns_address(server));
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	if (dns)
		dns_close(dns);
	testdns_close(server);
	loop_close();
	return 0;
}

static void test_both_families(void **state)
{
	struct result *r;

	(void)state;
	testdns_set(server, "both.test", 0, "192.0.2.1,192.0.2.2,2001:db8::1,192.0.2.1");
	r = look_up("both.test", 443);
	assert_int_equal(r->n, 3);
	assert_non_null(strstr(r->text, "192.0.2.1:443"));
	assert_non_null(strstr(r->text, "192.0.2.2:443"));
	assert_non_null(strstr(r->text, "[2001:db8::1]:443"));
	testdns_set(server, "four.test", 0, "192.0.2.4");
	assert_string_equal(look_up("four.test", 80)->text, "192.0.2.4:80");
	testdns_set(server, "six.test", 0, "2001:db8::6");
	assert_string_equal(look_up("six.test", 80)->text, "[2001:db8::6]:80");
}

static void test_no_search_list(void **state)
{
	unsigned before = testdns_questions(server);

	(void)state;
	look_up("single", 1);
	assert_int_equal(testdns_questions(server) - before, 2); /* A and AAAA, nothing appended */
}

static void test_literals(void **state)
{
	unsigned before = testdns_questions(server);

	(void)state;
	assert_string_equal(look_up("192.0.2.7", 80)->text, "192.0.2.7:80");
	assert_string_equal(look_up("2001:db8::7", 443)->text, "[2001:db8::7]:443");
	assert_int_equal(testdns_questions(server), before);
}

static void test_hosts_file(void **state)
{
	unsigned before = testdns_questions(server);
	struct result *r = look_up("localhost", 8080);

	(void)state;
	assert_true(strstr(r->text, "127.0.0.1:8080") || strstr(r->text, "[::1]:8080"));
	assert_int_equal(testdns_questions(server), before);
}

static void test_many_addresses(void **state)
{
	char list[1024] = "";

	(void)state;
	for (int i = 0; i < 30; i++) /* about as many as fit into 512 bytes */
		sprintf(list + strlen(list), "%s192.0.2.%d", i ? "," : "", i + 1);
	for (int i = 0; i < 12; i++)
		sprintf(list + strlen(list), ",2001:db8::%d", i + 1);
	testdns_set(server, "m.test", 0, list);
	assert_int_equal(look_up("m.test", 1)->n, DNS_ADDRS_MAX);
}

static void test_failures(void **state)
{
	static const struct {
		int rcode;
		const char *word;
	} rows[] = {
		{ 0, "no address" }, { 2, "SERVFAIL" }, { 3, "NXDOMAIN" }, { 5, "REFUSED" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct result *r;

		testdns_set(server, "bad.test", rows[i].rcode, "");
		r = look_up("bad.test", 1);
		assert_int_equal(r->err.kind, ERR_TEMP);
		assert_string_equal(r->err.type, "dns");
		assert_non_null(strstr(r->err.detail, "bad.test"));
		if (!strstr(r->err.detail, rows[i].word))
			fail_msg("rcode %d: %s", rows[i].rcode, r->err.detail);
	}
}

static void test_names_refused(void **state)
{
	static const char *const names[] = { "", "a b.test", "a\nb.test", "\xc3\xa4.test", "a/b", "[::1]", "a%00b" };
	unsigned before = testdns_questions(server);
	char large[400];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(look_up(names[i], 1)->err.kind, ERR_INPUT);
	memset(large, 'a', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(look_up(large, 1)->err.kind, ERR_INPUT);
	large[200] = '\0';
	assert_string_equal(look_up(large, 1)->err.type, "dns"); /* a label of 200 */
	assert_string_equal(look_up("a..test", 1)->err.type, "dns");
	assert_int_equal(testdns_questions(server), before);
}

static void test_second_server(void **state)
{
	struct testdns *second = testdns_open();
	const char *both[] = { testdns_address(server), testdns_address(second) };
	struct err err;

	(void)state;
	testdns_set(server, "fail.test", 2, "");
	testdns_set(second, "fail.test", 0, "192.0.2.9");
	assert_true(dns_set_servers(dns, both, 2, &err));
	assert_string_equal(look_up("fail.test", 1)->text, "192.0.2.9:1");
	testdns_close(second);
}

static void test_nobody_there(void **state)
{
	struct testdns *gone = testdns_open();
	char address[ADDR_TEXT];
	const char *servers[] = { address };
	struct result *r;
	struct err err;

	(void)state;
	strcpy(address, testdns_address(gone));
	testdns_close(gone);
	assert_true(dns_set_servers(dns, servers, 1, &err));
	r = look_up("any.test", 1);
	assert_int_equal(r->err.kind, ERR_TEMP);
	if (!strstr(r->err.detail, "reached") && !strstr(r->err.detail, "in time"))
		fail_msg("%s", r->err.detail);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* How long this process stood ready to run and was not let: no fault of ours. */
static int64_t kept_waiting_ms(void)
{
	unsigned long long ran, waited = 0;
	FILE *f = fopen("/proc/self/schedstat", "r");

	if (f && fscanf(f, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	if (f)
		fclose(f);
	return (int64_t)(waited / 1000000);
}

static void count_turn(void *arg)
{
	++*(int *)arg;
}

static void test_silent_server(void **state)
{
	struct result r = { 0 };
	int64_t began = now_ms(), longest = 0, before;
	struct timer tick = { 0 };
	int ticks = 0, turns = 0;

	(void)state;
	testdns_set(server, "silent.test", TESTDNS_SILENT, "");
	dns_addresses(dns, "silent.test", 1, done, &r);
	while (!r.calls) {
		if (!timer_armed(&tick))
			timer_arm(&tick, 20, count_turn, &ticks);
		before = now_ms() - kept_waiting_ms();
		loop_turn(true);
		before = now_ms() - kept_waiting_ms() - before;
		longest = before > longest ? before : longest;
		turns++;
	}
	timer_disarm(&tick);
	assert_non_null(strstr(r.err.detail, "in time"));
	assert_in_range(now_ms() - began, 1000, 20000);
	assert_in_range(turns, 10, 2000); /* it neither blocked nor spun */
	assert_in_range(longest, 0, 50); /* of which 20 are the tick's */
}

static void test_cancel(void **state)
{
	struct result r = { 0 }, other = { 0 };
	struct dns_lookup *l;

	(void)state;
	testdns_set(server, "c.test", 0, "192.0.2.3");
	dns_cancel(NULL);
	l = dns_addresses(dns, "c.test", 1, done, &r); /* asked */
	dns_cancel(l);
	l = dns_addresses(dns, "192.0.2.1", 1, done, &r); /* answered, not yet told */
	dns_cancel(l);
	dns_addresses(dns, "c.test", 1, done, &other);
	wait_for(&other);
	assert_int_equal(r.calls, 0);

	memset(&other, 0, sizeof(other));
	l = dns_addresses(dns, "c.test", 1, done, &r);
	other.cancel = l; /* another look-up, from inside a callback */
	dns_addresses(dns, "192.0.2.1", 1, done, &other);
	wait_for(&other);
	memset(&other, 0, sizeof(other));
	other.cancel = dns_addresses(dns, "c.test", 1, done, &other); /* itself, from inside its callback */
	wait_for(&other);
	assert_int_equal(r.calls, 0);
}

static void test_close_with_pending(void **state)
{
	struct result r = { 0 }, last = { 0 };

	(void)state;
	testdns_set(server, "silent.test", TESTDNS_SILENT, "");
	dns_cancel(dns_addresses(dns, "silent.test", 1, done, &r));
	dns_addresses(dns, "silent.test", 1, done, &r);
	dns_addresses(dns, "192.0.2.1", 1, done, &r);
	dns_close(dns);
	dns = open_with(testdns_address(server));
	dns_addresses(dns, "silent.test", 1, done, &r);
	last.close = dns;
	dns_addresses(dns, "192.0.2.1", 1, done, &last);
	dns_addresses(dns, "192.0.2.2", 1, done, &r);
	wait_for(&last);
	dns = NULL;
	loop_turn(false);
	assert_int_equal(r.calls, 0);
}

static void test_set_servers(void **state)
{
	struct testdns *second = testdns_open();
	const char *address = testdns_address(second), *bad[] = { "192.0.2.1", "ns.example.org" };
	struct result pending = { 0 };
	struct err err;

	(void)state;
	testdns_set(server, "old.test", 0, "192.0.2.1");
	testdns_set(second, "old.test", 0, "192.0.2.2");
	dns_addresses(dns, "old.test", 1, done, &pending);
	assert_true(dns_set_servers(dns, &address, 1, &err));
	assert_string_equal(look_up("old.test", 1)->text, "192.0.2.2:1");
	wait_for(&pending);
	assert_string_equal(pending.text, "192.0.2.1:1"); /* it ended where it began */
	assert_false(dns_set_servers(dns, bad, 2, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.detail, "ns.example.org"));
	assert_string_equal(look_up("old.test", 1)->text, "192.0.2.2:1");
	assert_null(dns_open(bad, 2, &err));
	testdns_close(second);
}

static void test_system_servers(void **state)
{
	struct dns *d = open_with(NULL);
	struct result r = { 0 };

	(void)state;
	dns_addresses(d, "localhost", 1, done, &r);
	wait_for(&r);
	assert_true(r.n > 0);
	dns_close(d);
}

static void test_recursive_servers(void **state)
{
	const char *three[] = { "192.0.2.1", "[2001:db8::1]:5353", testdns_address(server) };
	struct dns *system = open_with(NULL);
	struct addr out[4];
	char text[ADDR_TEXT];
	struct err err;
	size_t n;

	(void)state;
	assert_true(dns_set_servers(dns, three, 3, &err));
	assert_int_equal(dns_recursive(dns, out, 4), 3);
	assert_string_equal(addr_format(&out[0], text), "192.0.2.1:53");
	assert_string_equal(addr_format(&out[1], text), "[2001:db8::1]:5353");
	assert_string_equal(addr_format(&out[2], text), testdns_address(server));
	assert_int_equal(out[1].len, sizeof(struct sockaddr_in6));
	assert_int_equal(dns_recursive(dns, out, 2), 2);
	assert_int_equal(dns_recursive(dns, out, 0), 0);
	n = dns_recursive(system, out, 4); /* resolv.conf's, or the library's idea of none */
	for (size_t i = 0; i < n; i++)
		assert_int_equal(addr_port(&out[i]), 53);
	dns_close(system);
}

static bool write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	return f && fputs(text, f) >= 0 && fclose(f) == 0;
}

/* The servers in use, joined by blanks. */
static const char *recursive(struct dns *d)
{
	static char text[512];
	char one[ADDR_TEXT];
	struct addr out[4];
	size_t n = dns_recursive(d, out, 4);

	*text = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? " " : "", addr_format(&out[i], one));
	return text;
}

/* With a resolv.conf of its own. 77: not possible here; the row of the first mistake and one, or 99. */
static int with_resolv_conf(const char *path)
{
	static const struct {
		const char *text, *servers;
	} rows[] = {
		{ "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.org\n", "192.0.2.1:53 192.0.2.2:53" },
		{ "nameserver 2001:db8::53\n", "[2001:db8::53]:53" },
		{ "options edns0\n\n# nothing\nnameserver 192.0.2.3\n", "192.0.2.3:53" },
		{ "", "127.0.0.1:53" }, /* the library's, which is the resolver's as well */
		{ "nameserver 127.0.0.53\n", "127.0.0.53:53" },
	};
	struct err err;
	struct dns *d;

	if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	if (!write_file(path, "nameserver 192.0.2.9\n") || mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		return 77;
	clock_freeze(1800000000);
	if (!loop_open(&err) || !(d = dns_open(NULL, 0, &err)) || strcmp(recursive(d), "192.0.2.9:53") != 0)
		return 99;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!write_file(path, rows[i].text))
			return 99;
		clock_advance(1001); /* it is not looked at more often */
		if (strcmp(recursive(d), rows[i].servers) != 0) {
			fprintf(stderr, "row %zu: %s\n", i, recursive(d));
			return (int)i + 1;
		}
	}
	dns_close(d);
	loop_close();
	return 0;
}

static void test_resolv_conf_changes(void **state)
{
	char path[] = "/tmp/test_dns_XXXXXX";
	int fd = mkstemp(path), status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(with_resolv_conf(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	unlink(path);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip_without_root();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_many_at_once(void **state)
{
	enum { MANY = 80 };
	struct result *all = mem_array(MANY, sizeof(*all));

	(void)state;
	testdns_set(server, "many.test", 0, "192.0.2.1");
	for (int i = 0; i < MANY; i++)
		dns_addresses(dns, "many.test", (uint16_t)i, done, &all[i]);
	for (int i = 0; i < MANY; i++) {
		char expected[ADDR_TEXT];

		wait_for(&all[i]);
		sprintf(expected, "192.0.2.1:%d", i);
		assert_string_equal(all[i].text, expected);
		assert_int_equal(all[i].calls, 1);
	}
	free(all);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_families), TEST(test_no_search_list), TEST(test_literals), TEST(test_hosts_file), TEST(test_many_addresses),
		TEST(test_failures), TEST(test_names_refused), TEST(test_second_server), TEST(test_nobody_there), TEST(test_silent_server),
		TEST(test_cancel), TEST(test_close_with_pending), TEST(test_set_servers), TEST(test_system_servers), TEST(test_recursive_servers),
		cmocka_unit_test(test_resolv_conf_changes), TEST(test_many_at_once),
	};

	alarm(120); /* instead of hanging */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
