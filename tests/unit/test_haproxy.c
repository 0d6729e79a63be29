/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "crypto/x509.h"
#include "io/loop.h"
#include "keeper/haproxy.h"
#include "keeper_fixture.h"
#include "needs_root.h"

/* Nothing here outlives a power cut, so nothing is really synced. */
int fsync(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

#define CERT(name)                                                                                                             \
	"{ name = \"" name "\"; names = [ \"" name ".example.org\" ]; service = [ \"ha\" ]; "                                 \
	"install = ( { bundle_file = \"%D/" name ".pem\"; }, { dir = \"%D/tls-" name "\"; } ); }"
#define CONF(more) FIXTURE_CONF "service = { name = \"ha\"; haproxy = \"%D/ha/sock\"; timeout = \"1s\"; " more " };\n" \
	"certificate = ( " CERT("a") ", " CERT("b") ", " CERT("c") " );\n"

/* --- a HAProxy of the test's own: does what is asked, unless a rule says otherwise --- */

struct rule {
	const char *command; /* how it begins; %D is the test's folder */
	const char *answer;  /* NULL: none, for ever. What begins with '!' is sent without a prompt, and then it hangs up */
};
#define LONG "-" /* five MiB of it */

struct bench {
	struct fixture *f;
	struct haproxy *haproxy;
	struct gate *gate;
	const struct rule *rules;
	int listener, fd;
	struct watch accepts, reads;
	struct buf in, out;
	bool hangs_up;
	char said[2048];   /* "list show:a set:a commit:a", of what was asked */
	char set[16384];   /* the last payload */
	char now[3][X509_SHA1_HEX]; /* of a, b, c: what it serves at first */
	size_t chain;
	/* how it ended */
	unsigned ended;
	bool ran;
	char output[256];
	struct err err;
};

static char *spelled(const struct bench *b, const char *text)
{
	const char *at = strstr(text, "%D");
	char *head, *rest, *all;

	if (!at)
		return mem_strdup(text);
	head = mem_strndup(text, (size_t)(at - text));
	rest = spelled(b, at + 2);
	all = mem_printf("%s%s%s", head, b->f->dir, rest);
	free(head);
	free(rest);
	return all;
}

static void ready(void *arg, short events);

static void hang_up(struct bench *b)
{
	buf_reset(&b->out);
	b->hangs_up = false;
	watch_clear(&b->reads);
	close(b->fd);
	b->fd = -1;
}

static void writable(struct bench *b)
{
	ssize_t n = b->out.len ? send(b->fd, b->out.data, b->out.len, MSG_NOSIGNAL) : 0;

	if (n < 0 && errno != EAGAIN) {
		hang_up(b);
		return;
	}
	buf_drop(&b->out, n > 0 ? (size_t)n : 0);
	if (!b->out.len && b->hangs_up)
		hang_up(b);
	else
		assert_true(watch_set(&b->reads, b->fd, (short)(POLLIN | (b->out.len ? POLLOUT : 0)), ready, b, NULL));
}

static void give(struct bench *b, const char *answer)
{
	char *text = spelled(b, answer + (*answer == '!'));

	b->hangs_up = *answer == '!';
	for (int i = 0; strcmp(answer, LONG) == 0 && i < 80 * 1024; i++)
		assert_true(buf_puts(&b->out, "sixty-four bytes of an answer that does not come to an end soon."));
	assert_true(buf_puts(&b->out, text) && (b->hangs_up || buf_puts(&b->out, "\n> ")));
	free(text);
	writable(b);
}

static void note(struct bench *b, const char *verb, char of)
{
	size_t len = strlen(b->said);

	snprintf(b->said + len, sizeof(b->said) - len, of ? "%s%s:%c" : "%s%s", len ? " " : "", verb, of);
}

/* What HAProxy says to it. verb and the name's letter are noted. */
static char *usual(struct bench *b, const char *command)
{
	const char *name = strstr(command, "cert ");
	char path[128] = "", of;

	if (strcmp(command, "prompt\n") == 0)
		return mem_strdup("");
	if (!name) {
		note(b, "list", 0);
		return mem_strdup("# filename\n%D/a.pem\n%D/b.pem\n/etc/others.pem\n");
	}
	sscanf(name + 5, "%127s", path);
	of = path[strlen(path) - 5];
	note(b, strncmp(command, "set", 3) == 0 ? "set" : strncmp(command, "show", 4) == 0 ? "show" : strncmp(command, "abort", 5) == 0 ? "abort" : "commit", of);
	if (strncmp(command, "set", 3) == 0) {
		snprintf(b->set, sizeof(b->set), "%s", strchr(command, '\n') + 1);
		return mem_printf("+ + + Transaction created for certificate %s!\n", path);
	}
	if (strncmp(command, "commit", 6) == 0)
		return mem_printf("Committing %s...\nSuccess!\n", path);
	if (strncmp(command, "abort", 5) == 0)
		return mem_printf("Transaction aborted for certificate '%s'!\n", path);
	return mem_printf("Filename: %s\nStatus: Used\nSHA1 FingerPrint: %s\nSubject: /CN=x\n%s", path, of >= 'a' && of <= 'c' ? b->now[of - 'a'] : "",
		b->chain ? "Chain Subject: /CN=y\nChain Issuer: /CN=z\n" : "");
}

static void respond(struct bench *b, const char *command)
{
	char *answer = usual(b, command);

	for (const struct rule *r = b->rules; r && r->command; r++) {
		char *begin = spelled(b, r->command);
		bool meant = strncmp(command, begin, strlen(begin)) == 0;

		free(begin);
		if (!meant)
			continue;
		if (r->answer)
			give(b, r->answer);
		free(answer);
		return;
	}
	give(b, answer);
	free(answer);
}

static void readable(struct bench *b)
{
	char piece[4096];
	ssize_t n = recv(b->fd, piece, sizeof(piece), 0);

	if (n <= 0) {
		hang_up(b);
		return;
	}
	assert_true(buf_add(&b->in, piece, (size_t)n));
	while (b->fd >= 0 && b->in.len) {
		char *eol = strchr(b->in.data, '\n'), *end = eol && eol - b->in.data > 2 && eol[-1] == '<' ? strstr(eol, "\n\n") : eol;
		char *command;

		if (!end)
			return;
		end += end == eol ? 1 : 2;
		command = mem_strndup(b->in.data, (size_t)(end - b->in.data));
		buf_drop(&b->in, strlen(command));
		respond(b, command);
		free(command);
	}
}

static void ready(void *arg, short events)
{
	struct bench *b = arg;

	if (events & POLLIN)
		readable(b);
	if (b->fd >= 0 && events & POLLOUT)
		writable(b);
}

static void accepts(void *arg, short events)
{
	struct bench *b = arg;

	(void)events;
	b->fd = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	buf_reset(&b->in);
	assert_true(b->fd >= 0 && watch_set(&b->reads, b->fd, POLLIN, ready, b, NULL));
}

static void listen_now(struct bench *b)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/ha/sock", b->f->dir);
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(chmod(sun.sun_path, 0666), 0);
	assert_int_equal(listen(b->listener, 5), 0);
	assert_true(watch_set(&b->accepts, b->listener, POLLIN, accepts, b, NULL));
}

/* --- fixture --- */

static bool no_clash(void *arg, const char *service, const char *cert)
{
	(void)arg, (void)service, (void)cert;
	return false;
}

static void install(struct bench *b, const char *name)
{
	const struct conf_cert *cert = conf_find_cert(b->f->conf, name);
	struct testca_wish wish = { .names = cert->names.v, .nnames = cert->names.n };
	struct vault_request request;
	const struct buf *pem;
	int64_t generation, previous;
	struct err err;
	char *chain;

	assert_true(vault_request(b->f->vault, cert, &request, &err));
	free(request.key);
	chain = testca_chain(b->f->ca, vault_pending(b->f->vault, name, &pem, &err), &wish);
	if (!install_chain(&b->f->install, cert, chain, strlen(chain), &generation, &previous, &err))
		fail_msg("%s", err.detail);
	free(chain);
}

/* What is installed is what HAProxy serves. */
static void now_serves(struct bench *b, const char *name)
{
	struct bundle bundle;
	struct x509_chain *chain;
	struct err err;

	bundle_init(&bundle);
	assert_true(install_load(&b->f->install, name, NULL, &bundle, &err));
	chain = x509_parse(bundle.file[CONF_PART_FULLCHAIN].data, bundle.file[CONF_PART_FULLCHAIN].len, &err);
	x509_sha1(chain, b->now[*name - 'a']);
	b->chain = x509_leaf(chain)->length - 1;
	x509_free(chain);
	bundle_wipe(&bundle);
}

static void configure(struct bench *b, const char *conf)
{
	fixture_configure(b->f, conf);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct err err;
	char *folder;

	assert_true(loop_open(&err));
	assert_int_equal(fixture_setup((void **)&b->f), 0);
	folder = fixture_path(b->f, "ha");
	assert_int_equal(mkdir(folder, 0755), 0);
	free(folder);
	configure(b, CONF(""));
	b->listener = b->fd = -1;
	buf_init(&b->in, 0);
	buf_init(&b->out, 0);
	for (int i = 0; i < 3; i++)
		strcpy(b->now[i], "0123456789abcdef0123456789ABCDEF01234567");
	b->gate = gate_new(no_clash, b);
	b->haproxy = haproxy_open(&b->f->install, NULL, b->gate);
	install(b, "a");
	install(b, "b");
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	haproxy_close(b->haproxy);
	gate_free(b->gate);
	if (b->fd >= 0)
		hang_up(b);
	if (b->listener >= 0) {
		watch_clear(&b->accepts);
		close(b->listener);
	}
	buf_free(&b->in);
	buf_free(&b->out);
	loop_turn(false);
	assert_int_equal(fixture_teardown((void **)&b->f), 0);
	loop_close();
	free(b);
	return 0;
}

static void ended(void *arg, bool ran, const char *output, const struct err *err)
{
	struct bench *b = arg;

	b->ended++;
	b->ran = ran;
	snprintf(b->output, sizeof(b->output), "%s", output ? output : "");
	if (err)
		b->err = *err;
	else
		err_clear(&b->err);
}

/* A load (or restore) for certificates, "ab"; how it ended is in b. */
static void ask(struct bench *b, const char *certs, bool restore)
{
	struct haproxy_wish wish = { b->f->conf, conf_find_service(b->f->conf, "ha"), js_array(), restore };

	for (; *certs; certs++)
		js_add_str((struct js *)wish.certs, (char[]){ *certs, '\0' });
	b->said[0] = '\0';
	b->ended = 0;
	haproxy_start(b->haproxy, &wish, ended, b);
	js_free((struct js *)wish.certs);
	assert_int_equal(b->ended, 0);
}

static void load(struct bench *b, const char *certs, bool restore)
{
	ask(b, certs, restore);
	while (!b->ended)
		loop_turn(true);
	assert_int_equal(b->ended, 1);
}

static void assert_failed(const struct bench *b, const char *why)
{
	assert_int_not_equal(b->err.kind, ERR_NONE);
	if (!strstr(b->err.detail, why) || !strstr(b->err.detail, "/ha/sock"))
		fail_msg("\"%s\" is not in: %s", why, b->err.detail);
	for (const char *c = b->err.detail; *c; c++)
		assert_true(isprint((unsigned char)*c));
}

static void assert_well(const struct bench *b, const char *said)
{
	if (b->err.kind != ERR_NONE)
		fail_msg("%s", b->err.detail);
	assert_true(b->ran);
	assert_string_equal(b->said, said);
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
	{ "set ssl cert %D/b", "!+ + ", "HAProxy hangs up when it is longer than tune.bufsize", NULL },
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
