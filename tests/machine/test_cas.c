/* SPDX-License-Identifier: ISC */
/* The client of Alibaba Cloud's service against a scripted server and keeper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acmebed.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/cas_client.h"
#include "io/loop.h"

enum { NOW = ACMEBED_NOW, PATIENCE_S = 60, RESULTS = 1100 };

struct result {
	struct cas_call *call;
	struct cas_list *list;
	unsigned times;
	struct err err;
	char *text; /* the answer, NULL: none */
	bool free;  /* the client, in done() */
};

static struct fakeca *ca;
static struct fakekeeper keeper;
static struct dns *dns;
static struct cas_client *client;
static struct result results[RESULTS];
static size_t nresults;
static char last_line[1024]; /* logged as a warning */

static void note_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	if (level == LOG_LEVEL_WARNING)
		snprintf(last_line, sizeof last_line, "%s", line);
}

static int setup(void **state)
{
	struct cas_client_options o = {.name = "ali", .allow_private = true};
	struct err err;

	(void)state;
	alarm(PATIENCE_S);
	log_open("test", LOG_LEVEL_DEBUG);
	log_set_sink(note_line, NULL);
	last_line[0] = '\0';
	assert_true(loop_open(&err));
	clock_freeze(NOW);
	fakekeeper_open(&keeper);
	ca = fakeca_open(NULL);
	dns = dns_open((const char *[]){"127.0.0.1:1"}, 1, &err);
	o.endpoint = fakeca_base(ca);
	o.ca_file = fakeca_trust_file(ca);
	o.dns = dns;
	o.keeper = keeper.rpc;
	client = cas_client_new(&o, &err);
	assert_non_null(client);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cas_client_free(client);
	dns_close(dns);
	fakeca_close(ca);
	fakekeeper_close(&keeper);
	for (int i = 0; i < 4; i++)
		loop_turn(false);
	loop_close();
	for (size_t i = 0; i < nresults; i++)
		free(results[i].text);
	memset(results, 0, sizeof results);
	nresults = 0;
	clock_thaw();
	alarm(0);
	return 0;
}

static void done(void *arg, const struct js *answer, const struct err *err)
{
	struct result *r = arg;

	assert_true(!answer == !!err);
	r->times++;
	assert_int_equal(r->times, 1);
	r->call = NULL;
	r->list = NULL;
	if (err)
		r->err = *err;
	else
		r->text = js_dump(answer);
	if (r->free) {
		cas_client_free(client);
		client = NULL;
	}
}

static struct result *begin(const char *action, bool read)
{
	struct cas_request q = {.action = action, .read = read};
	struct result *r = &results[nresults++];

	assert_true(nresults <= RESULTS);
	r->call = cas_client_call(client, &q, done, r);
	assert_int_equal(r->times, 0); /* a later turn */
	return r;
}

static struct result *begin_list(const char *action)
{
	static const struct cas_param params[] = {{"ShowSize", "2"}, {"Keyword", NULL}, {NULL, NULL}};
	struct cas_request q = {.action = action, .params = params};
	struct result *r = &results[nresults++];

	r->list = cas_client_list(client, &q, "ItemList", done, r);
	assert_int_equal(r->times, 0);
	return r;
}

static struct result *wait_for(struct result *r)
{
	while (!r->times)
		loop_turn(true);
	return r;
}

static struct result *ask(const char *action)
{
	return wait_for(begin(action, true));
}

static void expect_text(struct result *r, const char *text)
{
	wait_for(r);
	if (r->err.kind != ERR_NONE)
		fail_msg("unexpected: %s", log_err(&r->err));
	assert_string_equal(r->text, text);
}

static void expect_error(struct result *r, enum err_kind kind, const char *type)
{
	wait_for(r);
	if (r->err.kind != kind || strcmp(r->err.type, type) != 0)
		fail_msg("unexpected: %s", r->err.kind ? log_err(&r->err) : r->text);
}

static void once(const char *path, int status, const char *headers, const char *body, unsigned flags)
{
	fakeca_once(ca, &(struct fakeca_answer){"POST", path, status, headers, body, flags});
}

static void always(const char *path, const char *body)
{
	fakeca_always(ca, &(struct fakeca_answer){"POST", path, 200, NULL, body, 0});
}

static size_t count(const char *path)
{
	return fakeca_count(ca, "POST", path);
}

static const char *head(const char *path, int i)
{
	return fakeca_request(ca, "POST", path, i)->head;
}

#define ERROR(code) "{\"RequestId\":\"R\",\"Code\":\"" code "\",\"Message\":\"because\"}"

/* ---- one call ---- */

static void what_is_asked_and_sent(void **state)
{
	static const struct cas_param params[] = {{"Status", "pending"}, {"Brand", NULL}, {"Keyword", "a"}, {NULL, NULL}};
	struct cas_request q = {.action = "ListX", .params = params, .read = true};
	struct result *r = &results[nresults++];
	const char *text;

	(void)state;
	always("/?ListX&Status=pending&Keyword=a", "{\"RequestId\":\"R\",\"Id\":98987582437920968}");
	cas_client_call(client, &q, done, r);
	expect_text(r, "{\"RequestId\":\"R\",\"Id\":98987582437920968}");
	text = js_dump(keeper.last);
	assert_non_null(strstr(text, "\"op\":\"acs\",\"ca\":\"ali\",\"action\":\"ListX\",\"params\":{\"Status\":\"pending\",\"Keyword\":\"a\"},\"skew\":0"));
	free((char *)(uintptr_t)text);
	text = head("/?ListX&Status=pending&Keyword=a", 0);
	assert_contains(text, " HTTP/1.1\r\n");
	assert_contains(text, "\r\nx-action: ListX\r\n");
	assert_contains(text, "\r\nx-skew: 0\r\n");
	assert_contains(text, "\r\naccept: application/json\r\n");
	assert_contains(text, "\r\nContent-Length: 0\r\n");
	assert_contains(text, fakeca_base(ca) + strlen("https://")); /* the host, with its port */
	assert_null(strcasestr(text, "Content-Type"));
	assert_int_equal(keeper.acs, 1);
	assert_int_equal(count(NULL), 1);
}

static void refusals_come_through(void **state)
{
	(void)state;
	once("/?A", 403, NULL, ERROR("NoPermission"), 0);
	once("/?A", 500, NULL, ERROR("InternalError"), 0);
	once("/?A", 200, NULL, "{\"RequestId\":", 0);
	once("/?A", 200, NULL, "{}", FAKECA_CUT);
	once("/?A", 200, NULL, NULL, FAKECA_ENDLESS);
	expect_error(ask("A"), ERR_DENIED, "NoPermission");
	expect_error(ask("A"), ERR_TEMP, "InternalError");
	expect_error(ask("A"), ERR_TEMP, "answer");
	wait_for(begin("A", true));
	assert_int_equal(results[nresults - 1].err.kind, ERR_TEMP);
	expect_error(ask("A"), ERR_TEMP, "too-large");
	assert_int_equal(count("/?A"), 5);
	assert_int_equal(cas_client_not_before(client, "A"), 0);
}

static void the_keeper_refuses(void **state)
{
	static const char *const answers[] = {
		"{}",
		"{\"method\":\"POST\",\"headers\":[]}",
		"{\"query\":\"A\",\"headers\":[]}",
		"{\"method\":\"GET\",\"query\":\"A\",\"headers\":[]}",
		"{\"method\":\"POST\",\"query\":\"A\",\"headers\":[7]}",
		"{\"method\":\"POST\",\"query\":\"A\",\"headers\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24]}",
	};
	char *large = mem_alloc(HTTP_URL_MAX + 200);

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		keeper.say = answers[i];
		expect_error(ask(i % 2 ? "A" : "B"), ERR_BUG, "keeper");
	}
	keeper.say = "{\"method\":\"POST\",\"query\":\"A\",\"headers\":[\"x: y\\r\\nz: a\"]}";
	expect_error(ask("C"), ERR_BUG, "http");
	snprintf(large, HTTP_URL_MAX + 200, "{\"method\":\"POST\",\"query\":\"%0*d\"}", HTTP_URL_MAX, 1);
	keeper.say = large;
	expect_error(ask("D"), ERR_INPUT, "too-large");
	keeper.say = NULL;
	err_set(&keeper.refuse, ERR_DENIED, "policy", "not in the table");
	expect_error(ask("E"), ERR_DENIED, "policy");
	assert_int_equal(count(NULL), 0);
	keeper.say = "{\"method\":\"POST\",\"query\":\"\"}"; /* no headers: all of it in the query, or here nothing at all */
	keeper.refuse.kind = ERR_NONE;
	always("/", "{}");
	expect_text(ask("F"), "{}");
	free(large);
}

/* ---- once more ---- */

static void a_used_nonce(void **state)
{
	(void)state;
	always("/?A", "{}");
	once("/?A", 400, NULL, ERROR("SignatureNonceUsed"), 0);
	expect_text(ask("A"), "{}");
	assert_int_equal(keeper.acs, 2); /* signed anew */
	once("/?A", 400, NULL, ERROR("SignatureNonceUsed"), 0);
	once("/?A", 400, NULL, ERROR("SignatureNonceUsed"), 0);
	expect_error(wait_for(begin("A", false)), ERR_TEMP, "SignatureNonceUsed");
	assert_int_equal(count("/?A"), 4);
}

#define EXPIRED ERROR("InvalidTimeStamp.Expired")

static void the_clock(void **state)
{
	char date[64];
	time_t theirs = NOW + 3600;
	struct js *status = js_object();

	(void)state;
	always("/?A", "{}");
	cas_client_status(client, status);
	assert_false(js_has(status, "clock_skew"));
	strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\n", gmtime(&theirs));
	once("/?A", 400, date, EXPIRED, 0);
	expect_text(ask("A"), "{}");
	assert_contains(head("/?A", 0), "\r\nx-skew: 0\r\n");
	assert_contains(head("/?A", 1), "\r\nx-skew: 3600\r\n");
	assert_contains(last_line, "ca=ali seconds=3600");
	expect_text(ask("A"), "{}"); /* remembered */
	assert_contains(head("/?A", 2), "\r\nx-skew: 3600\r\n");
	cas_client_status(client, status);
	assert_int_equal(js_int(status, "clock_skew", 0), 3600);
	js_free(status);
	theirs = NOW - 60; /* somebody sets ours right */
	strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\n", gmtime(&theirs));
	once("/?A", 400, date, EXPIRED, 0);
	once("/?A", 400, date, EXPIRED, 0); /* once in a call */
	expect_error(ask("A"), ERR_TEMP, "InvalidTimeStamp.Expired");
	assert_contains(head("/?A", -1), "\r\nx-skew: -60\r\n");
	assert_int_equal(count("/?A"), 5);
}

static void a_clock_of_no_use(void **state)
{
	static const char *const dates[] = {NULL, "Date: yesterday\n", "Date: Thu, 01 Jan 1970 00:00:00 GMT\n", "Date: Fri, 31 Dec 9999 23:59:59 GMT\n"};

	(void)state;
	for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
		once("/?A", 400, dates[i], EXPIRED, 0);
		expect_error(ask("A"), ERR_TEMP, "InvalidTimeStamp.Expired");
	}
	assert_int_equal(count("/?A"), 4);
	assert_contains(head("/?A", -1), "\r\nx-skew: 0\r\n");
}

static void both_in_one_call(void **state)
{
	(void)state;
	always("/?A", "{}");
	once("/?A", 400, "Date: Mon, 21 Sep 2026 15:00:00 GMT\n", EXPIRED, 0);
	once("/?A", 400, NULL, ERROR("SignatureNonceUsed"), 0);
	expect_text(ask("A"), "{}");
	assert_int_equal(count("/?A"), 3);
}

/* A connection that breaks under a kept request: what reads is sent again by the library, what changes is not. */
static void a_broken_connection(void **state)
{
	(void)state;
	always("/?A", "{}");
	always("/?B", "{}");
	expect_text(ask("A"), "{}");
	once("/?A", 200, NULL, NULL, FAKECA_CLOSE);
	expect_text(ask("A"), "{}");
	assert_int_equal(count("/?A"), 3);
	expect_text(wait_for(begin("B", false)), "{}");
	once("/?B", 200, NULL, NULL, FAKECA_CLOSE);
	wait_for(begin("B", false));
	assert_int_equal(results[nresults - 1].err.kind, ERR_TEMP);
	assert_int_equal(count("/?B"), 2);
}

/* ---- not so fast ---- */

static void throttled(void **state)
{
	(void)state;
	always("/?A", "{}");
	always("/?B", "{}");
	once("/?A", 400, NULL, ERROR("Throttling.User"), 0);
	expect_error(ask("A"), ERR_LIMIT, "Throttling.User");
	assert_int_equal(results[0].err.not_before, NOW + 2);
	assert_int_equal(cas_client_not_before(client, "A"), NOW + 2);
	assert_int_equal(cas_client_not_before(client, "B"), 0);
	assert_int_equal(cas_client_not_before(client, "C"), 0);
	expect_error(ask("A"), ERR_LIMIT, "Throttling"); /* not sent */
	assert_int_equal(results[1].err.not_before, NOW + 2);
	assert_int_equal(count("/?A"), 1);
	expect_text(ask("B"), "{}");
	clock_advance(2000);
	assert_int_equal(cas_client_not_before(client, "A"), 0);
	once("/?A", 400, NULL, ERROR("Throttling.User"), 0); /* again: longer */
	expect_error(ask("A"), ERR_LIMIT, "Throttling.User");
	assert_int_equal(cas_client_not_before(client, "A"), NOW + 2 + 4);
	for (int i = 0; i < 8; i++) {
		clock_advance(64000);
		once("/?A", 400, NULL, ERROR("Throttling.User"), 0);
		expect_error(ask("A"), ERR_LIMIT, "Throttling.User");
	}
	assert_int_equal(cas_client_not_before(client, "A"), clock_now() + 64); /* no longer than that */
	clock_advance(64000);
	once("/?A", 429, "x-acs-retry-after: 600000\n", ERROR("Throttling.Api"), 0); /* unless it says so */
	expect_error(ask("A"), ERR_LIMIT, "Throttling.Api");
	assert_int_equal(cas_client_not_before(client, "A"), clock_now() + 600);
	clock_advance(600000);
	expect_text(ask("A"), "{}"); /* and from the beginning */
	once("/?A", 400, NULL, ERROR("Throttling"), 0);
	expect_error(ask("A"), ERR_LIMIT, "Throttling");
	assert_int_equal(cas_client_not_before(client, "A"), clock_now() + 2);
	clock_freeze(NOW - 86400); /* a clock set back */
	assert_int_equal(cas_client_not_before(client, "A"), 0);
}

static void throttled_together(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		once("/?GetUserCertificateDetail", 400, NULL, ERROR("Throttling"), 0);
		begin("GetUserCertificateDetail", true);
	}
	for (int i = 0; i < 8; i++)
		expect_error(&results[i], ERR_LIMIT, "Throttling");
	assert_int_equal(cas_client_not_before(client, "GetUserCertificateDetail"), NOW + 2); /* one refusal of all, not eight */
	assert_int_equal(count(NULL), 8);
}

/* Ten a second of this action, a few of which may come at once; others are not held up. The last one's turn comes after seven seconds. */
static void paced(void **state)
{
	enum { MANY = 60, OTHERS = 20 };

	(void)state;
	always("/?A", "{}");
	always("/?B", "{}");
	always("/?GetUserCertificateDetail", "{}");
	for (int i = 0; i < MANY; i++)
		begin("A", true);
	begin("B", true);
	for (int i = 0; i < OTHERS; i++)
		begin("GetUserCertificateDetail", true); /* a hundred a second */
	for (int i = MANY + OTHERS; i >= MANY; i--)
		expect_text(&results[i], "{}");
	assert_true(count("/?A") >= 2 && count("/?A") < MANY);
	cas_client_cancel(results[MANY - 1].call);
	while (!results[4].times)
		loop_turn(true);
	assert_int_equal(results[MANY - 1].times, 0);
}

static bool all_held(unsigned n)
{
	while (keeper.nheld < n)
		loop_turn(true);
	for (int i = 0; i < 20; i++)
		loop_turn(false);
	return keeper.nheld == n;
}

static void let_go(unsigned i)
{
	rpc_refuse(keeper.held[i], &(struct err){.kind = ERR_LOCAL, .type = "held"});
}

static void only_so_many_at_a_time(void **state)
{
	char action[20][8];

	(void)state;
	keeper.hold = true;
	for (int i = 0; i < 20; i++) {
		snprintf(action[i], sizeof action[i], "A%d", i);
		begin(action[i], true);
	}
	assert_true(all_held(CAS_SENT_MAX));
	assert_string_equal(js_str(keeper.last, "action"), "A7");
	cas_client_cancel(results[9].call); /* one that waits */
	assert_true(all_held(CAS_SENT_MAX));
	cas_client_cancel(results[0].call); /* one that does not: the next one's turn */
	assert_true(all_held(CAS_SENT_MAX + 1));
	assert_string_equal(js_str(keeper.last, "action"), "A8");
	let_go(1);
	keeper.held[1] = keeper.held[--keeper.nheld];
	expect_error(&results[1], ERR_LOCAL, "held");
	assert_true(all_held(CAS_SENT_MAX + 1));
	assert_string_equal(js_str(keeper.last, "action"), "A10");
	cas_client_free(client);
	client = NULL;
	for (int i = 0; i < 20; i++)
		assert_int_equal(results[i].times, i == 1);
}

static void only_so_many_in_all(void **state)
{
	(void)state;
	keeper.hold = true;
	for (int i = 0; i <= CAS_CALLS_MAX; i++)
		begin("A", true);
	expect_error(&results[CAS_CALLS_MAX], ERR_TEMP, "busy");
	cas_client_cancel(results[500].call);
	results[500].call = NULL;
	begin("A", true);
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	assert_int_equal(results[CAS_CALLS_MAX + 1].times, 0);
}

/* ---- who goes ---- */

static void cancelled_anywhere(void **state)
{
	(void)state;
	keeper.hold = true;
	begin("A", true); /* at the keeper */
	assert_true(all_held(1));
	cas_client_cancel(results[0].call);
	keeper.hold = false;
	once("/?A", 200, NULL, NULL, FAKECA_HANG);
	begin("A", true); /* at the server */
	while (count("/?A") < 1)
		loop_turn(true);
	cas_client_cancel(results[1].call);
	once("/?B", 400, NULL, ERROR("Throttling"), 0);
	expect_error(ask("B"), ERR_LIMIT, "Throttling");
	begin("B", true); /* about to end */
	cas_client_cancel(results[3].call);
	cas_client_cancel(begin("A", true)->call); /* just begun */
	cas_client_cancel(NULL);
	cas_client_list_cancel(NULL);
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	assert_true(results[0].times == 0 && results[1].times == 0 && results[3].times == 0 && results[4].times == 0);
}

static void freed_by_an_answer(void **state)
{
	(void)state;
	always("/?A", "{}");
	begin("A", true)->free = true;
	for (int i = 0; i < 12; i++)
		begin("A", true);
	begin_list("L");
	wait_for(&results[0]);
	assert_null(client);
	for (int i = 1; i < 14; i++)
		assert_true(results[i].times == 0);
}

static void freed_by_a_refusal(void **state)
{
	(void)state;
	once("/?A", 400, NULL, ERROR("Throttling"), 0);
	expect_error(ask("A"), ERR_LIMIT, "Throttling");
	begin("A", true)->free = true;
	begin("A", true);
	wait_for(&results[1]);
	assert_int_equal(results[2].times, 0);
}

/* ---- lists ---- */

#define PAGE(n) "/?ListX&ShowSize=2&CurrentPage=" #n

static void all_pages(void **state)
{
	(void)state;
	always(PAGE(1), "{\"ItemList\":[1,2],\"TotalCount\":5}");
	always(PAGE(2), "{\"ItemList\":[3,4],\"TotalCount\":5}");
	always(PAGE(3), "{\"ItemList\":[5],\"TotalCount\":\"5\"}");
	expect_text(begin_list("ListX"), "[1,2,3,4,5]");
	assert_int_equal(count(NULL), 3);
}

static void pages_without_a_total(void **state)
{
	(void)state;
	always(PAGE(1), "{\"ItemList\":[1,2]}");
	always(PAGE(2), "{\"ItemList\":[3]}"); /* which may be a page of its own length */
	always(PAGE(3), "{\"ItemList\":[]}");
	expect_text(begin_list("ListX"), "[1,2,3]");
	assert_int_equal(count(NULL), 3);
}

static void pages_of_an_empty_list(void **state)
{
	(void)state;
	once(PAGE(1), 200, NULL, "{\"TotalCount\":0}", 0);
	once(PAGE(1), 200, NULL, "{\"ItemList\":[],\"TotalCount\":7}", 0); /* gone meanwhile: nothing comes any more */
	once(PAGE(1), 200, NULL, "{}", 0);
	for (int i = 0; i < 3; i++)
		expect_text(begin_list("ListX"), "[]");
	assert_int_equal(count(NULL), 3);
}

static void a_page_that_fails(void **state)
{
	(void)state;
	always(PAGE(1), "{\"ItemList\":[1,2],\"TotalCount\":4}");
	once(PAGE(2), 403, NULL, ERROR("NoPermission"), 0);
	once(PAGE(2), 200, NULL, "{\"ItemList\":{}}", 0);
	expect_error(begin_list("ListX"), ERR_DENIED, "NoPermission");
	expect_error(begin_list("ListX"), ERR_TEMP, "object");
}

static void a_list_without_end(void **state)
{
	size_t room = 8 * 1000 + 200;
	char *body = mem_alloc(room);
	char path[100];
	int len = snprintf(body, room, "{\"TotalCount\":99999999,\"ItemList\":[1");

	(void)state;
	for (int i = 1; i < 1000; i++)
		len += snprintf(body + len, room - (size_t)len, ",%d", i);
	snprintf(body + len, room - (size_t)len, "]}");
	for (int i = 1; i <= 11; i++) {
		snprintf(path, sizeof path, "/?GetUserCertificateDetail&ShowSize=2&CurrentPage=%d", i);
		always(path, body);
	}
	expect_error(begin_list("GetUserCertificateDetail"), ERR_DENIED, "too-large");
	assert_int_equal(count(NULL), 11);
	free(body);
}

static void a_list_too_long_in_bytes(void **state)
{
	size_t room = 2 * 1000 * 1000;
	char *body = mem_alloc(room);
	char path[100];

	(void)state;
	snprintf(body, room, "{\"ItemList\":[\"%01900000d\"]}", 1);
	for (int i = 1; i <= 18; i++) {
		snprintf(path, sizeof path, "/?GetUserCertificateDetail&ShowSize=2&CurrentPage=%d", i);
		always(path, body);
	}
	expect_error(begin_list("GetUserCertificateDetail"), ERR_DENIED, "too-large");
	assert_int_equal(count(NULL), 18); /* 32 MiB and a bit */
	free(body);
}

static void a_list_cancelled(void **state)
{
	(void)state;
	always(PAGE(1), "{\"ItemList\":[1,2],\"TotalCount\":4}");
	once(PAGE(2), 200, NULL, NULL, FAKECA_HANG);
	begin_list("ListX");
	while (count(PAGE(2)) < 1)
		loop_turn(true);
	cas_client_list_cancel(results[0].list);
	cas_client_list_cancel(begin_list("ListX")->list);
	for (int i = 0; i < 10; i++)
		loop_turn(false);
	assert_int_equal(results[0].times, 0);
	once(PAGE(1), 200, NULL, "{}", 0);
	begin_list("ListX")->free = true;
	wait_for(&results[2]);
	assert_null(client);
}

/* ---- the rest ---- */

static void endpoints(void **state)
{
	static const char *const bad[] = {"", "cas.aliyuncs.com", "http://cas.aliyuncs.com", "https://", "https://a.example/", "https://a.example/x", "https://a.example?x",
		"https://u@a.example", "https://a.example:0", "https://a example"};
	struct cas_client_options o = {.name = "ali", .ca_file = fakeca_trust_file(ca), .dns = dns, .keeper = keeper.rpc};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		o.endpoint = bad[i];
		if (cas_client_new(&o, &err))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(err.kind, ERR_INPUT);
	}
	o.endpoint = "https://cas.aliyuncs.com";
	o.ca_file = "/nonexistent/bundle";
	assert_null(cas_client_new(&o, &err));
	cas_client_free(NULL);
}

static void status(void **state)
{
	struct js *s = js_object();
	char *text, *want;

	(void)state;
	always("/?A", "{}");
	ask("A");
	once("/?A", 403, NULL, ERROR("NoPermission"), 0);
	ask("A");
	cas_client_status(client, s);
	text = js_dump(s);
	want = mem_printf("{\"endpoint\":\"%s\",\"requests\":{\"A\":2},\"problems\":{\"temp\":0,\"limit\":0,\"denied\":1,\"input\":0,\"local\":0,\"bug\":0}}",
		fakeca_base(ca));
	assert_string_equal(text, want);
	free(text);
	free(want);
	js_free(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_is_asked_and_sent),
		TEST(refusals_come_through),
		TEST(the_keeper_refuses),
		TEST(a_used_nonce),
		TEST(the_clock),
		TEST(a_clock_of_no_use),
		TEST(both_in_one_call),
		TEST(a_broken_connection),
		TEST(throttled),
		TEST(throttled_together),
		TEST(paced),
		TEST(only_so_many_at_a_time),
		TEST(only_so_many_in_all),
		TEST(cancelled_anywhere),
		TEST(freed_by_an_answer),
		TEST(freed_by_a_refusal),
		TEST(all_pages),
		TEST(pages_without_a_total),
		TEST(pages_of_an_empty_list),
		TEST(a_page_that_fails),
		TEST(a_list_without_end),
		TEST(a_list_too_long_in_bytes),
		TEST(a_list_cancelled),
		TEST(endpoints),
		TEST(status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
