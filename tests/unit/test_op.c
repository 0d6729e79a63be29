/* SPDX-License-Identifier: ISC */
/* Operations as the network half calls them: what it may be told, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "io/loop.h"
#include "keeper/op.h"
#include "keeper_fixture.h"

#define DNS                                                                                                                                  \
	"dns = ( { name = \"corp\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"k\"; key_secret = \"credential:tsig\"; },\n"            \
	"  { name = \"plain\"; type = \"rfc2136\"; server = \"192.0.2.1\"; },\n"                                                                  \
	"  { name = \"gone\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"k\"; key_secret = \"credential:gone\"; },\n"                 \
	"  { name = \"hook\"; type = \"exec\"; command = [ \"/bin/true\" ]; zones = \"example.org\"; secrets = \"credential:tsig\"; } );\n"
#define CAS                                                                                                                                  \
	"ca = ( { name = \"ali\"; type = \"alibaba-cas\"; site = \"china\"; access_key_id = \"L\"; access_key_secret = \"credential:tsig\"; },\n"     \
	"  { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/dir\"; } );\n"                                                   \
	"http = { name = \"www\"; type = \"webroot\"; path = \"/nonexistent/www\"; };\n"
#define SECRET "c2VjcmV0IGtleQ==" /* as a key file has it */
#define ANSWERED "YzJWamNtVjBJR3RsZVE9PQ"

struct bed {
	struct fixture *f;
	struct op_parts parts;
	struct gate *gate;
	struct rpc_peer *peer;
	int fd; /* the asking end */
	struct js *answer;
};

/* Before libc's: what is overwritten, is it the secret? */
static unsigned wiped, wiped_answers, wiped_in_time;

static void overwrite(char *data, size_t len)
{
	wiped += memmem(data, len, SECRET, strlen(SECRET)) != NULL;
	wiped_answers += memmem(data, len, ANSWERED, strlen(ANSWERED)) != NULL;
	for (volatile char *p = data; len > 0; len--)
		*p++ = 0;
}

static void (*volatile overwrite_there)(char *data, size_t len) = overwrite; /* libc declares that nothing is read */

void explicit_bzero(void *data, size_t len)
{
	overwrite_there(data, len);
}

void __explicit_bzero_chk(void *data, size_t len, size_t room); /* what it becomes with _FORTIFY_SOURCE */
void __explicit_bzero_chk(void *data, size_t len, size_t room)
{
	(void)room;
	overwrite_there(data, len);
}

static char logged[4096];

static void keep_log(void *arg, enum log_level level, const char *line)
{
	size_t used = strlen(logged);

	(void)arg, (void)level;
	snprintf(logged + used, sizeof(logged) - used, "%s\n", line);
}

static uid_t asking; /* as that user */

static void called(void *arg, struct rpc_request *request, const struct js *q)
{
	op_call(&((struct bed *)arg)->parts, request, q, asking);
}

static void closed(void *arg, struct rpc_peer *p)
{
	(void)p;
	((struct bed *)arg)->peer = NULL;
}

static bool all_clash(void *arg, const char *service, const char *cert)
{
	(void)arg, (void)service, (void)cert;
	return true;
}

static int setup(void **state)
{
	static const struct rpc_serve_ops serve = { .call = called, .closed = closed };
	struct bed *b = mem_alloc(sizeof(*b));
	struct conf_set set;
	char *main_file, *path;
	struct err err;
	int pair[2];

	assert_true(loop_open(&err));
	fixture_setup((void **)&b->f);
	fixture_write(b->f, "dovad.conf", "keeper_state = \"state\"; credentials = \"credentials\";\n" DNS CAS, 0600);
	path = fixture_path(b->f, "credentials");
	assert_int_equal(mkdir(path, 0700), 0);
	fixture_write(b->f, "credentials/tsig", SECRET "\n", 0600);
	main_file = fixture_path(b->f, "dovad.conf");
	conf_read(main_file, &set);
	b->parts.accepted = accepted_open(b->f->state, main_file, &set, &err);
	assert_non_null(b->parts.accepted);
	conf_set_free(&set);
	free(main_file);
	free(path);
	b->parts.vault = b->f->vault;
	b->gate = gate_new(all_clash, b);
	b->parts.round = round_new(&b->parts, b->gate);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	b->fd = pair[0];
	b->peer = rpc_serve(pair[1], 65536, &serve, b, &err);
	assert_non_null(b->peer);
	logged[0] = '\0';
	log_set_sink(keep_log, NULL);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	js_free(b->answer);
	rpc_peer_close(b->peer);
	round_free(b->parts.round);
	gate_free(b->gate);
	close(b->fd);
	loop_turn(false);
	loop_close();
	accepted_close(b->parts.accepted);
	fixture_teardown((void **)&b->f);
	free(b);
	return 0;
}

/* The answer, until the next call. */
static const struct js *ask(struct bed *b, const char *request)
{
	char *text = mem_printf("{\"id\":7,%s}", request), answer[16384];
	struct err err;
	ssize_t n;

	assert_int_equal(send(b->fd, text, strlen(text) + 1, 0), strlen(text) + 1);
	free(text);
	do
		loop_turn(true);
	while ((n = recv(b->fd, answer, sizeof(answer), MSG_DONTWAIT)) <= 0);
	wiped_in_time = wiped_answers; /* what follows is ours */
	assert_int_equal(answer[n - 1], '\0'); /* whole: it fits into one packet */
	js_free(b->answer);
	b->answer = js_parse(answer, strlen(answer), &err);
	assert_non_null(b->answer);
	return b->answer;
}

static void is_refused(struct bed *b, const char *request, const char *type, const char *detail)
{
	const struct js *error = js_obj(ask(b, request), "error");

	if (!error)
		fail_msg("%s was not refused", request);
	assert_string_equal(js_str(error, "type"), type);
	if (!strstr(js_str(error, "detail"), detail))
		fail_msg("%s: %s", request, js_str(error, "detail"));
}

/* --- secrets --- */

static void a_key_is_told(void **state)
{
	struct bed *b = *state;

	assert_string_equal(js_str(ask(b, "\"op\":\"secret\",\"dns\":\"corp\""), "secret"), ANSWERED);
	assert_non_null(strstr(logged, "corp"));
	assert_null(strstr(logged, SECRET));
	assert_null(strstr(logged, ANSWERED));
}

static void nothing_of_it_stays(void **state)
{
	struct bed *b = *state;

	wiped = wiped_answers = 0;
	ask(b, "\"op\":\"secret\",\"dns\":\"corp\"");
	assert_int_equal(wiped, 2);         /* as read and as kept */
	assert_in_range(wiped_in_time, 6, 9); /* as encoded, as a value, as written (in a buffer that grows), as the text of a message, as sent */
}

static void other_secrets_are_not_told(void **state)
{
	struct bed *b = *state;

	is_refused(b, "\"op\":\"secret\",\"dns\":\"hook\"", "policy", "dns \"hook\" has no secret for the network half");
	assert_non_null(strstr(logged, "against the rules"));
	is_refused(b, "\"op\":\"secret\",\"dns\":\"plain\"", "policy", "has no secret");
	is_refused(b, "\"op\":\"secret\",\"dns\":\"tsig\"", "unknown-dns", "there is no dns \"tsig\"");
	is_refused(b, "\"op\":\"secret\"", "unknown-dns", "there is no dns");
	is_refused(b, "\"op\":\"secret\",\"dns\":\"gone\"", "system", "gone");
	fixture_write(b->f, "credentials/tsig", SECRET, 0644);
	is_refused(b, "\"op\":\"secret\",\"dns\":\"corp\"", "credential", "closed to others");
}

/* --- accounts --- */

static void there_are_accounts_at_acme_only(void **state)
{
	struct bed *b = *state;

	is_refused(b, "\"op\":\"account\",\"ca\":\"ali\"", "policy", "ca \"ali\" is none of type acme");
	is_refused(b, "\"op\":\"sign\",\"ca\":\"ali\",\"url\":\"https://cas.aliyuncs.com/\",\"nonce\":\"n\",\"payload\":\"{}\"", "policy", "none of type acme");
	is_refused(b, "\"op\":\"publish\",\"ca\":\"ali\",\"http\":\"www\",\"token\":\"t\"", "policy", "none of type acme");
	assert_false(fixture_has(b->f, "state/accounts/ali.pem"));
	assert_non_null(strstr(logged, "against the rules"));
}

/* --- signed requests --- */

static void a_request_is_signed(void **state)
{
	static const char list[] = "\"op\":\"acs\",\"ca\":\"ali\",\"action\":\"ListContact\",\"params\":{\"Keyword\":\"a b\"},\"skew\":-7";
	struct bed *b = *state;
	const struct js *answer;

	wiped = 0;
	answer = ask(b, list);
	assert_string_equal(js_str(answer, "method"), "POST");
	assert_string_equal(js_str(answer, "query"), "Keyword=a%20b");
	assert_int_equal(js_len(js_arr(answer, "headers")), 7);
	assert_int_equal(wiped, 2); /* as read and as kept */
	assert_null(strstr(logged, SECRET));
}

static void other_requests_are_not(void **state)
{
	struct bed *b = *state;

	is_refused(b, "\"op\":\"acs\",\"ca\":\"ali\",\"action\":\"ApplyCertificate\"", "policy", "\"ApplyCertificate\" is not in its table");
	assert_non_null(strstr(logged, "against the rules"));
	assert_non_null(strstr(logged, "action=ApplyCertificate"));
	is_refused(b, "\"op\":\"acs\",\"ca\":\"le\",\"action\":\"ListContact\"", "policy", "ca \"le\" is none of type alibaba-cas");
	is_refused(b, "\"op\":\"acs\",\"ca\":\"none\",\"action\":\"ListContact\"", "unknown-ca", "there is no ca");
	is_refused(b, "\"op\":\"acs\",\"ca\":\"ali\"", "call", "acs wants an action");
	is_refused(b, "\"op\":\"acs\",\"ca\":\"ali\",\"action\":\"ListContact\",\"params\":[]", "call", "params that are an object");
	is_refused(b, "\"op\":\"acs\",\"ca\":\"ali\",\"action\":\"ListContact\",\"skew\":86401", "policy", "more than a day");
	fixture_write(b->f, "credentials/tsig", SECRET, 0644);
	is_refused(b, "\"op\":\"acs\",\"ca\":\"ali\",\"action\":\"ListContact\"", "credential", "closed to others");
}

/* --- records --- */

static void a_command_is_asked_for_records_only(void **state)
{
#define HOOK(dns, more) "\"op\":\"hook\",\"dns\":\"" dns "\",\"zone\":\"example.org\"," more
	struct bed *b = *state;

	is_refused(b, HOOK("corp", "\"action\":\"add\",\"record\":\"a.example.org\",\"value\":\"v\""), "call", "has no command");
	is_refused(b, HOOK("none", "\"action\":\"add\",\"record\":\"a.example.org\",\"value\":\"v\""), "unknown-dns", "there is no dns \"none\"");
	is_refused(b, HOOK("hook", "\"action\":\"run\",\"record\":\"a.example.org\",\"value\":\"v\""), "call", "add or remove");
	is_refused(b, "\"op\":\"hook\",\"dns\":\"hook\",\"action\":\"add\",\"zone\":\"net\",\"record\":\"example.net\",\"value\":\"v\"", "policy",
		"not below its zones");
	assert_non_null(strstr(logged, "against the rules"));
}

static void a_command_is_run_by_dovad_run(void **state)
{
	struct run_options o = { .supervisor = -1, .program = "/nonexistent/dovad-run", .main_file = "/x" };
	struct bed *b = *state;

	b->parts.run = run_open(&o);
	is_refused(b, HOOK("hook", "\"action\":\"add\",\"record\":\"a.example.org\",\"value\":\"v\""), "system", "/nonexistent/dovad-run");
	run_close(b->parts.run);
	b->parts.run = NULL;
}

/* --- where it may write --- */

static void paths_are_roots_to_ask_for(void **state)
{
	static const char survey[] = "\"op\":\"survey\",\"targets\":[\"/\",\"/tmp/x\",7],\"webroots\":[\"/nonexistent/www\"]";
	struct bed *b = *state;
	const struct js *places;

	asking = 65534;
	is_refused(b, survey, "policy", "only root may ask for this");
	assert_non_null(strstr(logged, "against the rules"));
	asking = 0;
	places = js_arr(ask(b, survey), "places");
	assert_int_equal(js_len(places), 3);
	assert_string_equal(js_str(js_at(places, 1), "name"), "/tmp/x");
	assert_string_equal(js_str(js_at(places, 2), "what"), "webroot");
	assert_non_null(strstr(js_str(js_at(places, 2), "problem"), "No such file or directory"));
	is_refused(b, "\"op\":\"probe\",\"cert\":\"x\"", "stale-conf", "another configuration");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_key_is_told),
		TEST(nothing_of_it_stays),
		TEST(other_secrets_are_not_told),
		TEST(there_are_accounts_at_acme_only),
		TEST(a_request_is_signed),
		TEST(other_requests_are_not),
		TEST(a_command_is_asked_for_records_only),
		TEST(a_command_is_run_by_dovad_run),
		TEST(paths_are_roots_to_ask_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
