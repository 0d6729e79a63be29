/* SPDX-License-Identifier: ISC */
/* A HAProxy of the test's own, and a keeper's certificates beside it. It does what is asked, unless a rule says otherwise. The includer has included
 * cmocka.h. */
#ifndef DOVAD_TESTS_HAPROXY_FIXTURE_H
#define DOVAD_TESTS_HAPROXY_FIXTURE_H

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "crypto/x509.h"
#include "io/loop.h"
#include "keeper/haproxy.h"
#include "keeper_fixture.h"

#define CERT(name)                                                                                                             \
	"{ name = \"" name "\"; names = [ \"" name ".example.org\" ]; service = [ \"ha\" ]; "                                 \
	"install = ( { bundle_file = \"%D/" name ".pem\"; }, { dir = \"%D/tls-" name "\"; } ); }"
#define CONF(more) FIXTURE_CONF "service = { name = \"ha\"; haproxy = \"%D/ha/sock\"; timeout = \"1s\"; " more " };\n" \
	"certificate = ( " CERT("a") ", " CERT("b") ", " CERT("c") " );\n"

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

static inline char *spelled(const struct bench *b, const char *text)
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

static inline void ready(void *arg, short events);

static inline void hang_up(struct bench *b)
{
	buf_reset(&b->out);
	b->hangs_up = false;
	watch_clear(&b->reads);
	close(b->fd);
	b->fd = -1;
}

static inline void writable(struct bench *b)
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

static inline void give(struct bench *b, const char *answer)
{
	char *text = spelled(b, answer + (*answer == '!'));

	b->hangs_up = *answer == '!';
	for (int i = 0; strcmp(answer, LONG) == 0 && i < 80 * 1024; i++)
		assert_true(buf_puts(&b->out, "sixty-four bytes of an answer that does not come to an end soon."));
	assert_true(buf_puts(&b->out, text) && (b->hangs_up || buf_puts(&b->out, "\n> ")));
	free(text);
	writable(b);
}

static inline void note(struct bench *b, const char *verb, char of)
{
	size_t len = strlen(b->said);

	snprintf(b->said + len, sizeof(b->said) - len, of ? "%s%s:%c" : "%s%s", len ? " " : "", verb, of);
}

/* What HAProxy says to it. verb and the name's letter are noted. */
static inline char *usual(struct bench *b, const char *command)
{
	const char *name = strstr(command, "cert ");
	char path[128] = "", of;

	if (strcmp(command, "prompt\n") == 0)
		return mem_strdup("");
	if (strncmp(command, "show pools", 10) == 0)
		return mem_strdup("Dumping pools usage. Use SIGQUIT to flush them.\n  - Pool quic_conn (16384 bytes) : 0 allocated\n  - Pool buffer (8192 bytes) : 2 allocated\n");
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

static inline void respond(struct bench *b, const char *command)
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

static inline void readable(struct bench *b)
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

static inline void ready(void *arg, short events)
{
	struct bench *b = arg;

	if (events & POLLIN)
		readable(b);
	if (b->fd >= 0 && events & POLLOUT)
		writable(b);
}

static inline void accepts(void *arg, short events)
{
	struct bench *b = arg;

	(void)events;
	b->fd = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	buf_reset(&b->in);
	assert_true(b->fd >= 0 && watch_set(&b->reads, b->fd, POLLIN, ready, b, NULL));
}

static inline void listen_now(struct bench *b)
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

static inline bool no_clash(void *arg, const char *service, const char *cert)
{
	(void)arg, (void)service, (void)cert;
	return false;
}

static inline void install(struct bench *b, const char *name)
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
static inline void now_serves(struct bench *b, const char *name)
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

static inline void configure(struct bench *b, const char *conf)
{
	fixture_configure(b->f, conf);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void ended(void *arg, bool ran, const char *output, const struct err *err)
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
static inline void ask(struct bench *b, const char *certs, bool restore)
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

static inline void load(struct bench *b, const char *certs, bool restore)
{
	ask(b, certs, restore);
	while (!b->ended)
		loop_turn(true);
	assert_int_equal(b->ended, 1);
}

static inline void assert_failed(const struct bench *b, const char *why)
{
	assert_int_not_equal(b->err.kind, ERR_NONE);
	if (!strstr(b->err.detail, why) || !strstr(b->err.detail, "/ha/sock"))
		fail_msg("\"%s\" is not in: %s", why, b->err.detail);
	for (const char *c = b->err.detail; *c; c++)
		assert_true(isprint((unsigned char)*c));
}

static inline void assert_well(const struct bench *b, const char *said)
{
	if (b->err.kind != ERR_NONE)
		fail_msg("%s", b->err.detail);
	assert_true(b->ran);
	assert_string_equal(b->said, said);
}

#endif
