/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ctl/print.h"
#include "ctl/print_cells.h"

/* Everything is printed at this moment: 2026-11-22T12:00:00Z. */
enum { NOW = 1795348800 };

static char *text;
static size_t size;
static FILE *out;
static struct print *print;

static void begin(bool colour)
{
	out = open_memstream(&text, &size);
	assert_non_null(out);
	print = print_new(out, colour);
}

static void end(void)
{
	print_free(print);
	fclose(out);
	free(text);
	text = NULL;
}

static int set_up(void **state)
{
	(void)state;
	clock_freeze(NOW);
	begin(false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end();
	clock_thaw();
	return 0;
}

#define CHECK                                                                                                          \
	"\"check\":{\"at\":\"2026-11-22T11:00:00Z\",\"verdict\":\"fail\",\"why\":\"r.example: CAA forbids it\",\"findings\":["  \
	"{\"what\":\"caa\",\"verdict\":\"fail\",\"name\":\"r.example\",\"text\":\"CAA forbids it\"},"                       \
	"{\"what\":\"leftovers\",\"verdict\":\"warn\",\"name\":\"_acme-challenge.r.example\",\"text\":\"1 TXT record\"}]}"

static void show(print_reply *writer, const char *json, bool last)
{
	struct err err;
	struct js *reply = js_parse(json, strlen(json), &err);

	assert_non_null(reply);
	writer(print, reply, last);
	js_free(reply);
}

static int failure(const char *error, const char *json)
{
	struct err err;
	struct js *details = js_parse(json, strlen(json), &err);
	int exit_code;

	assert_non_null(details);
	exit_code = print_failure(print, error, details);
	js_free(details);
	return exit_code;
}

#define CERT(name, state, more)                                                                                        \
	"{\"name\":\"" name "\",\"names\":[\"" name "\"],\"ca\":\"le\",\"state\":\"" state                             \
	"\",\"not_after\":\"2026-12-22T12:00:00Z\","                                                                   \
	"\"next_step\":\"renew\",\"next_at\":\"2026-11-22T15:05:00Z\"" more "}"
#define DUE(name, state, step) \
	"{\"name\":\"" name "\",\"ca\":\"le\",\"state\":\"" state "\",\"next_step\":\"" step "\",\"next_at\":\"2026-11-22T11:59:46Z\"}"
#define ERROR                                                                                                          \
	"\"last_error\":{\"kind\":\"denied\",\"type\":\"caa\",\"detail\":\"CAA forbids "                               \
	"it\",\"during\":\"finalize\",\"status\":403,"                                                                 \
	"\"at\":\"2026-11-22T11:00:00Z\",\"subproblems\":[{\"identifier\":\"b.example\",\"type\":\"dns\",\"detail\":"  \
	"\"no address\"}]}"

static void test_json(void **state)
{
	(void)state;
	show(print_json, "{\"b\":[1,2.5,null],\"a\":\"x\\ny\",\"later\":{\"than\":\"this\"}}", false);
	show(print_json, "{}", true);
	assert_string_equal(text, "{\"b\":[1,2.5,null],\"a\":\"x\\ny\",\"later\":{\"than\":\"this\"}}\n{}\n");
}

static void test_distances(void **state)
{
	static const char *const rows[][2] = {
		{ "2026-11-22T12:00:00Z", "now" }, { "2026-11-22T12:00:01Z", "in 1s" }, { "2026-11-22T11:59:59Z", "1s ago" }, { "soon", "-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(cells_distance(print, rows[i][0]), rows[i][1]);
}

/* What is due is under way, or about to be: how long ago it was due says nothing. */
static void test_next_step(void **state)
{
	static const char *const rows[][2] = {
		{ "\"next_step\":\"renew\",\"next_at\":\"2026-11-22T12:00:01Z\"", "renew in 1s" },
		{ "\"next_step\":\"look\",\"next_at\":\"2026-11-22T12:00:00Z\"", "look now" },
		{ "\"next_step\":\"look\",\"next_at\":\"2026-11-22T11:59:46Z\"", "look now" },
		{ "\"next_at\":\"2026-11-22T11:59:46Z\"", "next now" },
		{ "\"next_step\":\"look\",\"next_at\":\"soon\"", "look -" },
		{ "\"next_step\":\"look\"", "look" },
		{ "\"name\":\"a.example\"", "-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err;
		char *json = mem_printf("{%s}", rows[i][0]);
		struct js *cert = js_parse(json, strlen(json), &err);

		assert_string_equal(cells_next_step(print, cert), rows[i][1]);
		js_free(cert);
		free(json);
	}
}

static void test_status(void **state)
{
	(void)state;
	show(print_status,
		"{\"version\":\"0.1\",\"since\":\"2026-11-22T08:00:00Z\",\"counts\":{\"total\":42,\"failing\":2,"
		"\"stale\":1,\"at_risk\":2,\"running\":1,"
		"\"waiting\":38,\"disabled\":0},"
		"\"failing\":[" CERT("a.example", "failed",
			"," ERROR) ","
				   "{\"name\":\"bb.example\",\"state\":\"stale\",\"not_after\":\"2026-11-22T11:00:"
				   "00Z\",\"next_step\":\"retry\","
				   "\"next_at\":\"2026-11-22T12:10:00Z\",\"targets\":[{\"service\":\"nginx\","
				   "\"address\":\"127.0.0.1:443\",\"ok\":true},"
				   "{\"service\":\"nginx\",\"address\":\"[::1]:443\",\"ok\":false,\"text\":\"serves "
				   "another certificate\",\"not_after\":\"2026-11-22T13:00:00Z\"}]}],"
				   "\"at_risk\":[" CERT("r.example", "waiting", "," CHECK) "],"
				   "\"running\":[" CERT("c.example", "proving", "") "],\"next\":[" CERT("d.example",
					   "waiting",
					   "") "],"
					       "\"issuers\":[{\"name\":\"le\",\"not_before\":\"2026-11-22T13:00:00Z\"},"
					       "{\"name\":\"other\"}],"
					       "\"problems\":[{\"file\":\"x.conf\",\"line\":3,\"text\":\"bad\"},{"
					       "\"file\":\"y.conf\",\"warning\":true,\"text\":\"odd\"}],"
					       "\"errors\":1,\"warnings\":1,\"quarantined\":[\"x.conf\"],\"quarantined_"
					       "count\":1}",
		true);
	assert_string_equal(text,
		"dovad 0.1, started 4h ago: 42 certificates, 2 failing, 1 stale, 2 at risk, 1 running, 38 waiting\n"
		"\nFailing\n"
		"  a.example   failed      expires in 30d, renew in 3h 5m\n"
		"      finalize: CAA forbids it (caa, HTTP 403)\n"
		"  bb.example  stale       expires 1h ago, retry in 10m\n"
		"      nginx [::1]:443: serves another certificate; that one ends 2026-11-22T13:00:00Z (in 1h)\n"
		"  and 1 more\n"
		"\nAt risk\n"
		"  r.example  renew in 3h 5m\n"
		"      the next renewal would fail because r.example: CAA forbids it\n"
		"  and 1 more\n"
		"\nUnder way\n"
		"  c.example  proving\n"
		"\nNext\n"
		"  d.example  renew in 3h 5m\n"
		"\nle takes no new order before 2026-11-22T13:00:00Z (in 1h)\n"
		"\nConfiguration: 1 error, 1 warning, 1 file set aside\n"
		"  x.conf:3: bad\n"
		"  y.conf: warning: odd\n");
}

static void test_status_of_nothing(void **state)
{
	(void)state;
	show(print_status, "{}", true); /* and of a daemon that says nothing we know */
	assert_string_equal(text, "dovad -, started -: 0 certificates\n");
}

static void add_many(struct buf *json, const char *key, const char *one)
{
	assert_true(buf_printf(json, ",\"%s\":[%s", key, one));
	for (int i = 1; i < 20; i++)
		assert_true(buf_printf(json, ",%s", one));
	assert_true(buf_puts(json, "]"));
}

/* However bad it is, it fits one screen. */
static void test_status_fits(void **state)
{
	struct buf json;
	size_t lines = 0;

	(void)state;
	buf_init(&json, 0);
	assert_true(buf_puts(&json, "{\"counts\":{\"total\":900,\"failing\":900,\"at_risk\":50,\"running\":20},\"errors\":20"));
	add_many(&json, "failing", CERT("a.example", "failed", "," ERROR));
	add_many(&json, "at_risk", CERT("r.example", "waiting", "," CHECK));
	add_many(&json, "running", CERT("b.example", "proving", ""));
	add_many(&json, "next", CERT("c.example", "waiting", ""));
	add_many(&json, "problems", "{\"file\":\"x\",\"text\":\"y\"}");
	assert_true(buf_puts(&json, "}"));
	show(print_status, json.data, true);
	buf_free(&json);
	for (const char *s = text; *s; s++)
		lines += *s == '\n';
	assert_in_range(lines, 20, 36);
	assert_non_null(strstr(text, "and 895 more"));
}

static void test_list(void **state)
{
	(void)state;
	show(print_list,
		"{\"certificates\":[" CERT("a.example", "waiting", "") "," CERT("bb.example", "failed", "") "]}",
		false);
	show(print_list, "{\"certificates\":[" DUE("c.example", "looking", "look") "]}", false);
	show(print_list, "{\"certificates\":[{\"name\":\"a-longer-name.example\",\"state\":\"held\"}]}", true);
	assert_string_equal(text, "NAME        STATE       EXPIRES         NEXT                    CA\n"
				  "a.example   waiting     in 30d          renew in 3h 5m          le\n"
				  "bb.example  failed      in 30d          renew in 3h 5m          le\n"
				  "c.example   looking     -               look now                le\n"
				  "a-longer-name.example  held        -               -                       -\n");
	end();
	begin(false);
	show(print_list, "{\"certificates\":[]}", true);
	assert_string_equal(text, "");
}

static void test_show(void **state)
{
	(void)state;
	show(print_show,
		"{\"certificate\":" CERT("a.example", "proving",
			",\"attempts\":2,\"generation\":4,\"serial\":\"0a\",\"prove\":[\"http:www\"]," ERROR
			",\"targets\":[{\"service\":\"nginx\",\"address\":\"127.0.0.1:443\",\"ok\":true,\"since\":"
			"\"2026-11-22T11:00:00Z\"},"
			"{\"service\":\"nginx\",\"address\":\"[::1]:443\"}],\"order\":{\"step\":\"prove\",\"begun\":"
			"\"2026-11-22T11:59:00Z\","
			"\"proofs\":[{\"name\":\"a.example\",\"method\":\"http:www\",\"step\":\"see\",\"seen\":{\"ok\":"
			"false,\"addresses\":["
			"{\"address\":\"192.0.2.1\",\"ok\":true},{\"address\":\"2001:db8::1\",\"ok\":false,\"text\":"
			"\"connection refused\"}]}},{\"name\":\"a.example\",\"wildcard\":true,\"method\":\"dns:corp\",\"step\":\"see\",\"seen\":"
			"{\"decision\":\"wait\",\"why\":\"not there yet: ns2\"}}]}") "}",
		true);
	assert_string_equal(text,
		"a.example\n"
		"  names        a.example\n"
		"  state        proving\n"
		"  next step    renew\n"
		"  next at      2026-11-22T15:05:00Z (in 3h 5m)\n"
		"  last error   finalize: CAA forbids it (caa, HTTP 403)\n"
		"               b.example: no address (dns)\n"
		"               at 2026-11-22T11:00:00Z (1h ago)\n"
		"  failures     2\n"
		"  order        prove, begun 2026-11-22T11:59:00Z (1m ago)\n"
		"               a.example by http:www: see\n"
		"                 192.0.2.1: the proof is there\n"
		"                 2001:db8::1: connection refused\n"
		"               *.a.example by dns:corp: see\n"
		"                 name servers: wait, not there yet: ns2\n"
		"  valid until  2026-12-22T12:00:00Z (in 30d)\n"
		"  ca           le\n"
		"  serial       0a\n"
		"  generation   4\n"
		"  proves by    http:www\n"
		"  served       nginx 127.0.0.1:443: serves this certificate, since 2026-11-22T11:00:00Z (1h ago)\n"
		"               nginx [::1]:443: not seen yet\n");
}

static void test_show_of_what_is_under_way(void **state)
{
	(void)state;
	show(print_show, "{\"certificate\":" DUE("a.example", "looking", "look") "}", true);
	assert_string_equal(text,
		"a.example\n"
		"  state        looking\n"
		"  next step    look\n"
		"  next at      now\n"
		"  ca           le\n");
}

static void test_check(void **state)
{
	(void)state;
	show(print_show, "{\"certificate\":" CERT("r.example", "waiting", "," CHECK) "}", true);
	assert_non_null(strstr(text,
		"  look ahead   the next renewal would fail because r.example: CAA forbids it (looked at 1h ago)\n"
		"               _acme-challenge.r.example: 1 TXT record\n"));
	end();
	begin(false);
	show(print_show, "{\"certificate\":" CERT("r.example", "waiting", ",\"check\":{\"at\":\"2026-11-22T11:00:00Z\",\"verdict\":\"ok\",\"findings\":[]}") "}", true);
	assert_non_null(strstr(text, "  look ahead   the next renewal would work, as far as can be seen (looked at 1h ago)\n"));
	end();
	begin(false);
	show(print_check, "{\"checks\":[{\"name\":\"r.example\"," CHECK "},{\"name\":\"s.example\",\"check\":{\"verdict\":\"new\",\"findings\":[{}]}}]}", true);
	assert_string_equal(text,
		"r.example: the next renewal would fail\n"
		"  FAIL  caa           r.example: CAA forbids it\n"
		"  WARN  leftovers     _acme-challenge.r.example: 1 TXT record\n"
		"s.example: new \n"
		"  -     -             -: -\n");
	end();
	begin(false);
	show(print_check, "{}", true);
	assert_string_equal(text, "");
}

static void test_renewal(void **state)
{
	(void)state;
	show(print_renewal, "{\"certificate\":" CERT("a.example", "waiting", "") "}", true);
	assert_string_equal(text, "a.example: on its way (waiting)\n");
	end();
	begin(false);
	show(print_renewal, "{\"certificate\":" CERT("a.example", "waiting", "") "}", false);
	clock_advance(1250);
	show(print_renewal,
		"{\"event\":{\"at\":\"2026-11-22T12:00:01Z\",\"cert\":\"a.example\",\"event\":\"create\",\"state\":"
		"\"ordering\"}}",
		false);
	clock_advance(60000);
	show(print_renewal,
		"{\"event\":{\"at\":\"2026-11-22T12:01:01Z\",\"event\":\"failed\",\"kind\":\"temp\",\"type\":\"dns\","
		"\"detail\":\"d\"}}",
		false);
	show(print_renewal, "{\"certificate\":" CERT("a.example", "waiting", "") "}", true);
	assert_string_equal(text, "    0.0s  a.example: waiting, renew in 3h 5m\n"
				  "    1.2s  create  state=ordering\n"
				  "   61.2s  failed  d (dns)\n"
				  "   61.2s  a.example: valid until 2026-12-22T12:00:00Z (in 29d 23h)\n");
}

/* The state says what is under way; the step would say it again. */
static void test_renewal_begins(void **state)
{
	(void)state;
	show(print_renewal, "{\"certificate\":" DUE("a.example", "looking", "look") "}", false);
	show(print_renewal, "{\"certificate\":" DUE("b.example", "waiting", "renew") "}", false);
	show(print_renewal, "{\"certificate\":" DUE("c.example", "failed", "retry") "}", false);
	assert_string_equal(text, "    0.0s  a.example: looking\n"
				  "    0.0s  b.example: waiting, renew now\n"
				  "    0.0s  c.example: failed, retry now\n");
}

static void test_reload(void **state)
{
	(void)state;
	show(print_reload,
		"{\"changed\":true,\"problems\":[{\"file\":\"/etc/"
		"x.conf\",\"line\":3,\"warning\":false,\"text\":\"bad\"}],\"errors\":2,"
		"\"warnings\":0,\"quarantined\":[\"/etc/x.conf\"],\"quarantined_count\":1}",
		true);
	assert_string_equal(text, "/etc/x.conf:3: bad\nand 1 more\nset aside: /etc/x.conf\nThe configuration has "
				  "changed: 2 errors, 0 warnings.\n");
}

static void test_events(void **state)
{
	(void)state;
	show(print_watch, "{\"certificates\":[" CERT("a.example", "waiting", "") "],\"current\":true}", false);
	show(print_watch,
		"{\"event\":{\"at\":\"2026-11-22T12:00:00Z\",\"event\":\"done\",\"cert\":\"a.example\",\"generation\":"
		"4,\"ok\":true}}",
		false);
	show(print_history,
		"{\"events\":[{\"at\":\"2026-11-22T12:00:00Z\",\"event\":\"failed\",\"cert\":\"a.example\",\"kind\":"
		"\"temp\",\"detail\":\"d\","
		"\"during\":\"look\",\"list\":[1]},{\"at\":\"2026-11-22T12:00:00Z\",\"event\":\"started\"}]}",
		true);
	assert_string_equal(text, "a.example  waiting     in 30d          renew in 3h 5m          le\n"
				  "2026-11-22T12:00:00Z  a.example  done  generation=4  ok=true\n"
				  "2026-11-22T12:00:00Z  a.example  failed  look: d (temp)\n"
				  "2026-11-22T12:00:00Z  started\n");
}

static void test_rest(void **state)
{
	(void)state;
	show(print_version, "{\"version\":\"0.1\",\"since\":\"2026-11-22T08:00:00Z\"}", true);
	show(print_revoked, "{\"certificate\":" CERT("a.example", "waiting", "") "}", true);
	assert_string_equal(text, "dovad 0.1, started 2026-11-22T08:00:00Z (4h ago)\na.example: revoked\n");
}

static void test_failures(void **state)
{
	static const struct {
		const char *error, *details;
		int exit_code;
		const char *line;
	} rows[] = {
		{"org.dovad.Agent.NoSuchCertificate", "{\"name\":\"x\"}", 3, "no certificate is named x"},
		{"org.dovad.Agent.NotDue", "{\"name\":\"x\",\"renews_at\":\"2026-11-22T13:00:00Z\"}", 1,
			"x is not due before 2026-11-22T13:00:00Z (in 1h); --force renews it all the same"},
		{"org.dovad.Agent.Failed",
			"{\"kind\":\"temp\",\"type\":\"dns\",\"detail\":\"d\",\"during\":\"prove\",\"subproblems\":[{"
			"\"identifier\":\"i\",\"detail\":\"e\"}]}",
			1, "prove: d (dns)\n  i: e (-)"},
		{"org.dovad.Agent.Busy", "{}", 75, "the same is under way already; try again"},
		{"org.varlink.service.PermissionDenied", "{}", 77,
			"not permitted: reading is for members of the groups dovad and dovad-admin, changing for root "
			"and dovad-admin"},
		{"org.varlink.service.InvalidParameter", "{\"parameter\":\"due\"}", 2,
			"the daemon does not take this value: due"},
		{"org.varlink.service.MethodNotFound", "{}", 1,
			"the running daemon does not know this verb; is it of another version?"},
		{"com.example.\033[31mOther", "{}", 1, "the daemon answered com.example.\\x1b[31mOther"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char line[256];

		end();
		begin(false);
		assert_int_equal(failure(rows[i].error, rows[i].details), rows[i].exit_code);
		snprintf(line, sizeof line, "dovactl: %s\n", rows[i].line);
		assert_string_equal(text, line);
	}
}

#define EVIL "\\u001b]0;x\\u0007\\n\\r\\u009b31m\\u202egpj.exe"

#define EVIL_CHECK "\"check\":{\"at\":\"" EVIL "\",\"verdict\":\"" EVIL "\",\"why\":\"" EVIL "\",\"findings\":[{\"what\":\"" EVIL \
	"\",\"verdict\":\"" EVIL "\",\"name\":\"" EVIL "\",\"text\":\"" EVIL "\"},3]}"

/* Whatever stands in a reply, no control or direction character reaches the terminal. */
static void test_hostile(void **state)
{
	static const char cert[] = "{\"name\":\"" EVIL "\",\"names\":[\"" EVIL "\",7],\"ca\":\"" EVIL
				   "\",\"state\":\"" EVIL "\",\"not_after\":\"" EVIL "\","
				   "\"next_step\":\"" EVIL "\",\"next_at\":\"" EVIL "\",\"serial\":\"" EVIL
				   "\",\"file\":\"" EVIL "\",\"prove\":[\"" EVIL "\"],"
				   "\"last_error\":{\"type\":\"" EVIL "\",\"detail\":\"" EVIL "\",\"during\":\"" EVIL
				   "\",\"at\":\"" EVIL "\","
				   "\"subproblems\":[{\"identifier\":\"" EVIL
				   "\"},8]},\"targets\":[{\"service\":\"" EVIL "\",\"address\":\"" EVIL "\","
				   "\"text\":\"" EVIL "\",\"since\":\"" EVIL "\"},[]],\"order\":{\"step\":\"" EVIL
				   "\",\"proofs\":[{\"name\":\"" EVIL "\",\"seen\":"
				   "{\"addresses\":[{\"address\":\"" EVIL "\",\"text\":\"" EVIL "\"}]}}]}," EVIL_CHECK "}";
	static const char problems[] = "[{\"file\":\"" EVIL "\",\"text\":\"" EVIL "\"},null]";
	static print_reply *const writers[] = {print_status, print_list, print_show, print_explain, print_renewal, print_reload,
		print_watch, print_revoked, print_history, print_version, print_check};
	static char json[16384];

	(void)state;
	snprintf(json, sizeof json,
		"{\"version\":\"" EVIL "\",\"since\":\"" EVIL
		"\",\"certificate\":%s,\"certificates\":[%s,1],\"checks\":[{\"name\":\"" EVIL "\"," EVIL_CHECK "},4],\"at_risk\":[%s],\"failing\":[%s],\"running\":[%s],"
		"\"next\":[%s],\"issuers\":[{\"name\":\"" EVIL "\",\"not_before\":\"" EVIL
		"\"}],\"problems\":%s,\"errors\":9,"
		"\"quarantined\":[\"" EVIL "\"],\"event\":{\"at\":\"" EVIL "\",\"cert\":\"" EVIL "\",\"event\":\"" EVIL
		"\",\"" EVIL "\":\"" EVIL "\"},"
		"\"events\":[{\"event\":\"" EVIL "\",\"detail\":\"" EVIL "\"},5]}",
		cert, cert, cert, cert, cert, cert, problems);
	for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
		end();
		begin(false);
		show(writers[i], json, i % 2);
		assert_true(size > 0);
		for (const char *s = text; *s; s++)
			assert_true(*s == '\n' || (*s >= ' ' && *s <= '~')); /* what was not ASCII here was hostile */
	}
	end();
	begin(false);
	assert_int_equal(failure("org.dovad.Agent.NoSuchCertificate", "{\"name\":\"" EVIL "\"}"), 3);
	for (const char *s = text; *s; s++)
		assert_true(*s == '\n' || (*s >= ' ' && *s <= '~'));
}

static void test_inventory(void **state)
{
	(void)state;
	show(print_instances, "{\"instances\":[{\"id\":\"cas_dv-cn-0001\",\"certificate\":\"DV\",\"brand\":\"WoSign\",\"state\":\"normal\",\"certificate_state\":\"issued\","
		"\"names\":[\"a.example\",\"b.example\"],\"single\":2,\"wildcards\":1,\"ends\":\"2026-11-25T12:00:00Z\"},"
		"{\"id\":\"i2\",\"state\":\"in\\u001bactive\",\"wildcards\":1,\"ends\":\"soon\"},{}]}", true);
	assert_string_equal(text,
		"INSTANCE        TYPE  BRAND   GOOD FOR             STATE           NAMES                 ENDS\n"
		"cas_dv-cn-0001  DV    WoSign  2 names, 1 wildcard  normal, issued  a.example and 1 more  in 3d\n"
		"i2              -     -       1 wildcard           in\\x1bactive    -                     -\n"
		"-               -     -       -                    -               -                     -\n");
	end();
	begin(false);
	show(print_contacts, "{\"contacts\":[{\"id\":\"5\",\"name\":\"Tom\",\"email\":\"t@a.example\",\"email_verified\":true}]}", true);
	show(print_companies, "{\"companies\":[{\"id\":\"6\",\"name\":\"Example Ltd\",\"country\":\"CN\"}]}", true);
	show(print_instances, "{\"instances\":[]}", true);
	assert_string_equal(text, "CONTACT  NAME  E-MAIL       VERIFIED\n5        Tom   t@a.example  e-mail\nCOMPANY  NAME         CITY  COUNTRY\n"
		"6        Example Ltd  -     CN\nno instances: buy one at the CA, or look whether the site is the right one\n");
}

static void test_colour(void **state)
{
	(void)state;
	end();
	begin(true);
	show(print_list, "{\"certificates\":[" CERT("a.example", "failed", "") "]}", true);
	assert_non_null(strstr(text, "\033[31mfailed    \033[0m"));
	assert_false(print_may_colour(out)); /* no terminal */
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_json),
		ROW(test_distances),
		ROW(test_next_step),
		ROW(test_status),
		ROW(test_status_of_nothing),
		ROW(test_status_fits),
		ROW(test_list),
		ROW(test_show),
		ROW(test_show_of_what_is_under_way),
		ROW(test_renewal),
		ROW(test_renewal_begins),
		ROW(test_check),
		ROW(test_reload),
		ROW(test_events),
		ROW(test_rest),
		ROW(test_failures),
		ROW(test_hostile),
		ROW(test_inventory),
		ROW(test_colour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
