/* SPDX-License-Identifier: ISC */
#include "testserver.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/loop.h"

/* Set-up that fails is no result of a test. */
#define MUST(what) ((what) ? (void)0 : must_failed(#what, __LINE__))

static _Noreturn void must_failed(const char *what, int line)
{
	fprintf(stderr, "testserver.c:%d: %s: %s\n", line, what, strerror(errno));
	abort();
}

/* --- certificates --- */

static struct {
	EVP_PKEY *key;
	X509 *cert;
	char file[64];
} ca;

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	MUST(ext && X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
}

static X509 *make_cert(EVP_PKEY *key, const char *cn, X509 *issuer, EVP_PKEY *issuer_key, const char *san, bool expired)
{
	X509 *cert = X509_new();
	static long serial = 1000;

	MUST(cert && X509_set_version(cert, X509_VERSION_3));
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400 * 2);
	X509_gmtime_adj(X509_getm_notAfter(cert), expired ? -86400 : 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
	MUST(X509_set_pubkey(cert, key));
	add_extension(cert, issuer ? issuer : cert, NID_basic_constraints, san ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (san)
		add_extension(cert, issuer, NID_subject_alt_name, san);
	MUST(X509_sign(cert, issuer_key, EVP_sha256()));
	return cert;
}

static void ensure_ca(void)
{
	FILE *f = NULL;
	int fd;

	if (ca.key)
		return;
	ca.key = EVP_EC_gen("P-256");
	MUST(ca.key);
	ca.cert = make_cert(ca.key, "dovad test CA", NULL, ca.key, NULL, false);
	strcpy(ca.file, "/tmp/dovad-test-ca-XXXXXX");
	fd = mkstemp(ca.file);
	MUST(fd >= 0 && (f = fdopen(fd, "w")));
	MUST(PEM_write_X509(f, ca.cert) && fclose(f) == 0);
}

const char *testtrust_file(void)
{
	ensure_ca();
	return ca.file;
}

void testtrust_end(void)
{
	if (ca.key)
		unlink(ca.file);
	EVP_PKEY_free(ca.key);
	X509_free(ca.cert);
	memset(&ca, 0, sizeof(ca));
}

struct testcert *testcert_new(const char *dns, bool rsa, int kind)
{
	struct testcert *c = mem_alloc(sizeof(*c));
	EVP_PKEY *other = kind == TESTCERT_STRANGER ? EVP_EC_gen("P-256") : NULL;
	X509 *issuer = other ? make_cert(other, "somebody else", NULL, other, NULL, false) : NULL;
	char san[300];

	ensure_ca();
	snprintf(san, sizeof(san), "DNS:%s,IP:127.0.0.1,IP:::1", dns);
	c->key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	MUST(c->key);
	c->leaf = make_cert(c->key, "leaf", issuer ? issuer : ca.cert, other ? other : ca.key, san, kind == TESTCERT_EXPIRED);
	c->chain = sk_X509_new_null();
	if (!issuer)
		X509_up_ref(issuer = ca.cert);
	sk_X509_push(c->chain, issuer);
	EVP_PKEY_free(other);
	return c;
}

void testcert_free(struct testcert *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	free(c);
}

/* --- HTTP server --- */

static ssize_t peer_read(struct testpeer *p, char *out, size_t room)
{
	return p->ssl ? SSL_read(p->ssl, out, (int)room) : read(p->fd, out, room);
}

bool testpeer_request(struct testpeer *p)
{
	char *text = p->server->notes->last, *end = NULL;
	size_t len = 0, need = 0, room = sizeof(p->server->notes->last) - 1;

	while (!end || len < need) {
		ssize_t n = len < room ? peer_read(p, text + len, room - len) : 0;

		if (n <= 0)
			return false;
		len += (size_t)n;
		text[len] = '\0';
		if (!end && (end = strstr(text, "\r\n\r\n"))) {
			const char *body_len = strcasestr(text, "\r\nContent-Length:");

			need = (size_t)(end + 4 - text) + (body_len ? strtoul(body_len + 17, NULL, 10) : 0);
		}
	}
	p->server->notes->requests++;
	return true;
}

void testpeer_write(struct testpeer *p, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = p->ssl ? SSL_write(p->ssl, data, (int)len) : write(p->fd, data, len);

		if (n <= 0)
			_exit(0);
		data += n;
		len -= (size_t)n;
	}
}

void testpeer_puts(struct testpeer *p, const char *text)
{
	testpeer_write(p, text, strlen(text));
}

void testpeer_hang(struct testpeer *p)
{
	char c[256];

	while (read(p->fd, c, sizeof(c)) > 0)
		;
	_exit(0);
}

testserver_serve *testserver_before_tls;

static void serve_one(struct testserver *s, int fd)
{
	struct testpeer p = { .fd = fd, .server = s };

	if (testserver_before_tls)
		testserver_before_tls(&p);
	if (s->ctx) {
		p.ssl = SSL_new(s->ctx);
		SSL_set_fd(p.ssl, fd);
		if (SSL_accept(p.ssl) != 1)
			_exit(0);
	}
	s->serve(&p);
	if (p.ssl)
		SSL_shutdown(p.ssl);
	_exit(0);
}

static void serve_all(struct testserver *s)
{
	int fd;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	alarm(0);
	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		s->notes->connections++;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(s->fd);
			serve_one(s, fd);
		}
		close(fd);
	}
	_exit(0);
}

int testserver_newest_tls;
bool testserver_wants_our_cert;

static int note_sni(SSL *ssl, int *alert, void *arg)
{
	struct testnotes *notes = arg;
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	snprintf(notes->sni, sizeof(notes->sni), "%s", sni ? sni : "");
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_ctx(struct testcert *const *certs, struct testnotes *notes)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	MUST(ctx && SSL_CTX_set_max_proto_version(ctx, testserver_newest_tls));
	if (testserver_newest_tls)
		MUST(SSL_CTX_set_min_proto_version(ctx, 0) && SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0"));
	if (testserver_wants_our_cert)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, note_sni);
	SSL_CTX_set_tlsext_servername_arg(ctx, notes);
	for (; *certs; certs++)
		MUST(SSL_CTX_use_cert_and_key(ctx, (*certs)->leaf, (*certs)->key, (*certs)->chain, 0));
	return ctx;
}

void testserver_start(struct testserver *s, const char *ip, struct testcert *const *certs, testserver_serve *serve)
{
	memset(s, 0, sizeof(*s));
	s->serve = serve;
	MUST(addr_parse(ip, 0, &s->addr));
	s->notes = mmap(NULL, sizeof(*s->notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(s->notes != MAP_FAILED);
	s->fd = socket(s->addr.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&s->addr.ss, s->addr.len) == 0 && listen(s->fd, 600) == 0);
	s->addr.len = sizeof(s->addr.ss);
	MUST(getsockname(s->fd, (struct sockaddr *)&s->addr.ss, &s->addr.len) == 0);
	s->port = addr_port(&s->addr);
	if (certs)
		s->ctx = make_ctx(certs, s->notes);
	s->pid = fork();
	MUST(s->pid >= 0);
	if (s->pid == 0)
		serve_all(s);
	setpgid(s->pid, s->pid);
}

void testserver_stop(struct testserver *s)
{
	kill(-s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	close(s->fd);
	SSL_CTX_free(s->ctx);
	munmap(s->notes, sizeof(*s->notes));
}

void testserver_black_hole(int fds[2], struct addr *addr)
{
	MUST(addr_parse_ip("127.0.0.1", 0, addr));
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fds[0] >= 0 && bind(fds[0], (struct sockaddr *)&addr->ss, addr->len) == 0 && listen(fds[0], 0) == 0);
	MUST(getsockname(fds[0], (struct sockaddr *)&addr->ss, &addr->len) == 0);
	MUST(connect(fds[1], (struct sockaddr *)&addr->ss, addr->len) == 0);
}

/* --- name server --- */

enum { RULES = 32, TYPE_A = 1, TYPE_AAAA = 28 };

struct testdns {
	int fd;
	struct watch watch;
	char address[ADDR_TEXT];
	unsigned questions;
	struct rule {
		char name[256];
		int rcode;
		char addresses[1024];
	} rules[RULES];
	size_t n;
};

static size_t put_answers(unsigned char *out, const struct rule *rule, int type, unsigned *count)
{
	char list[sizeof(rule->addresses)], *rest = list, *ip;
	size_t size = type == TYPE_A ? 4 : 16, len = 0;

	strcpy(list, rule->addresses);
	while ((ip = strsep(&rest, ","))) {
		unsigned char rdata[16];

		if (inet_pton(type == TYPE_A ? AF_INET : AF_INET6, ip, rdata) != 1)
			continue;
		memcpy(out + len, (unsigned char[]){ 0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0, 0, 60, 0, (unsigned char)size }, 12);
		memcpy(out + len + 12, rdata, size);
		len += 12 + size;
		++*count;
	}
	return len;
}

/* The question's name as text; where its type begins, 0 when it is malformed. */
static size_t question_name(const unsigned char *m, size_t len, char out[256])
{
	size_t at = 12, used = 0;

	while (at < len && m[at]) {
		size_t n = m[at];

		if (n > 63 || at + n + 1 >= len || used + n + 1 >= 256)
			return 0;
		memcpy(out + used, m + at + 1, n);
		used += n;
		out[used++] = '.';
		at += n + 1;
	}
	out[used > 0 ? used - 1 : 0] = '\0';
	return at + 5 <= len ? at + 1 : 0;
}

static void testdns_ready(void *arg, short events)
{
	struct testdns *d = arg;
	unsigned char m[4096];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	static const struct rule unknown = { .rcode = 3 };
	const struct rule *rule = &unknown;
	char name[256];
	ssize_t len = recvfrom(d->fd, m, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	size_t type_at, out;
	unsigned count = 0;

	(void)events;
	if (len < 12 || !(type_at = question_name(m, (size_t)len, name)))
		return;
	d->questions++;
	for (size_t i = 0; i < d->n; i++)
		if (strcasecmp(d->rules[i].name, name) == 0)
			rule = &d->rules[i];
	if (rule->rcode == TESTDNS_SILENT)
		return;
	out = type_at + 4;
	out += put_answers(m + out, rule, m[type_at + 1], &count);
	m[2] = 0x81;
	m[3] = (unsigned char)(0x80 | rule->rcode);
	memset(m + 6, 0, 6);
	m[7] = (unsigned char)count;
	(void)!sendto(d->fd, m, out, 0, (struct sockaddr *)&from, from_len);
}

struct testdns *testdns_open(void)
{
	struct testdns *d = mem_alloc(sizeof(*d));
	struct addr a;

	MUST(addr_parse_ip("127.0.0.1", 0, &a));
	d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	MUST(d->fd >= 0 && bind(d->fd, (struct sockaddr *)&a.ss, a.len) == 0);
	MUST(getsockname(d->fd, (struct sockaddr *)&a.ss, &a.len) == 0);
	addr_format(&a, d->address);
	MUST(watch_set(&d->watch, d->fd, POLLIN, testdns_ready, d, NULL));
	return d;
}

void testdns_close(struct testdns *d)
{
	watch_clear(&d->watch);
	close(d->fd);
	free(d);
}

const char *testdns_address(const struct testdns *d)
{
	return d->address;
}

void testdns_set(struct testdns *d, const char *name, int rcode, const char *addresses)
{
	struct rule *rule = NULL;

	for (size_t i = 0; i < d->n; i++)
		if (strcasecmp(d->rules[i].name, name) == 0)
			rule = &d->rules[i];
	if (!rule) {
		MUST(d->n < RULES);
		rule = &d->rules[d->n++];
	}
	rule->rcode = rcode;
	snprintf(rule->name, sizeof(rule->name), "%s", name);
	snprintf(rule->addresses, sizeof(rule->addresses), "%s", addresses);
}

unsigned testdns_questions(const struct testdns *d)
{
	return d->questions;
}
