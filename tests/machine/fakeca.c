/* SPDX-License-Identifier: ISC */
#include "fakeca.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/jose.h"
#include "io/loop.h"

enum { REQUESTS_MAX = 8192, ENDLESS_PIECE = 65536 };

struct reply {
	TAILQ_ENTRY(reply) link;
	struct fakeca_answer a;
};
TAILQ_HEAD(replies, reply);

struct conn {
	LIST_ENTRY(conn) link;
	struct fakeca *ca;
	int fd;
	SSL *ssl;
	struct watch watch;
	struct buf in, out;
	bool shaken, closing, endless;
};

struct fakeca {
	const struct key *account;
	SSL_CTX *ctx;
	int fd;
	struct watch watch;
	char base[64];
	char trust[64];
	struct replies once, always;
	LIST_HEAD(, conn) conns;
	size_t nconns;
	struct fakeca_request requests[REQUESTS_MAX];
	size_t nrequests;
	char *nonces[REQUESTS_MAX]; /* given and not yet used */
	unsigned last_nonce;
	char *fault;
};

/* A test that cannot make its material cannot go on. */
static void need(bool ok)
{
	if (!ok)
		abort();
}

/* ---- its certificate ---- */

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"fake ca", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	X509_add_ext(x, san, -1);
	X509_EXTENSION_free(san);
	need(X509_sign(x, key, EVP_sha256()));
	return x;
}

static void open_tls(struct fakeca *ca)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = make_certificate(key);
	FILE *f;

	ca->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(ca->ctx, x);
	SSL_CTX_use_PrivateKey(ca->ctx, key);
	SSL_CTX_set_mode(ca->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	snprintf(ca->trust, sizeof ca->trust, "/tmp/dovad-fakeca-%d-XXXXXX", (int)getpid());
	f = fdopen(mkstemp(ca->trust), "w");
	need(f && PEM_write_X509(f, x));
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
}

/* ---- rules ---- */

static void note_fault(struct fakeca *ca, const char *what, const char *value)
{
	if (!ca->fault)
		ca->fault = mem_printf("%s: %s", what, value ? value : "(none)");
}

static void give_nonce(struct fakeca *ca, const char *nonce)
{
	for (size_t i = 0; i < REQUESTS_MAX; i++) {
		if (!ca->nonces[i]) {
			ca->nonces[i] = mem_strdup(nonce);
			return;
		}
	}
	abort();
}

static void use_nonce(struct fakeca *ca, const char *nonce)
{
	for (size_t i = 0; nonce && i < REQUESTS_MAX; i++) {
		if (ca->nonces[i] && strcmp(ca->nonces[i], nonce) == 0) {
			free(ca->nonces[i]);
			ca->nonces[i] = NULL;
			return;
		}
	}
	note_fault(ca, "nonce used twice or never given", nonce);
}

static char *decode(const char *b64)
{
	unsigned char *data;
	size_t len;
	char *text;

	if (!b64 || !text_b64url_decode(b64, strlen(b64), &data, &len))
		return mem_strdup("(not base64url)");
	text = mem_strndup((const char *)data, len);
	free(data);
	return text;
}

static void check_jws(struct fakeca *ca, struct fakeca_request *q, const char *body, size_t len)
{
	struct js *jws = js_parse(body, len, NULL);
	char *header = decode(js_str(jws, "protected"));
	char *url = mem_printf("%s%s", ca->base, q->path);
	struct err err;

	q->payload = decode(js_str(jws, "payload"));
	q->header = js_parse(header, strlen(header), NULL);
	if (!q->header)
		note_fault(ca, "protected header is no JSON", header);
	if (!js_str(q->header, "url") || strcmp(js_str(q->header, "url"), url) != 0)
		note_fault(ca, "url is not the request's", js_str(q->header, "url"));
	if (js_has(q->header, "jwk") == js_has(q->header, "kid"))
		note_fault(ca, "not exactly one of jwk and kid", header);
	if (!jose_verify(ca->account, body, len, &err))
		note_fault(ca, "signature", err.detail);
	use_nonce(ca, js_str(q->header, "nonce"));
	free(header);
	free(url);
	js_free(jws);
}

/* ---- answering ---- */

/* Caller owns. */
static char *expand(const struct fakeca *ca, const char *text)
{
	struct buf b;
	const char *hit;

	buf_init(&b, 0);
	while (text && (hit = strstr(text, "{CA}"))) {
		need(buf_add(&b, text, (size_t)(hit - text)) && buf_puts(&b, ca->base));
		text = hit + 4;
	}
	need(buf_puts(&b, text ? text : ""));
	return buf_take(&b);
}

static struct reply *reply_find(struct replies *list, const char *method, const char *path)
{
	struct reply *r;

	TAILQ_FOREACH(r, list, link)
	if (strcmp(r->a.method, method) == 0 && strcmp(r->a.path, path) == 0)
		return r;
	return NULL;
}

static void reply_free(struct reply *r)
{
	free((char *)(uintptr_t)r->a.method);
	free((char *)(uintptr_t)r->a.path);
	free((char *)(uintptr_t)r->a.headers);
	free((char *)(uintptr_t)r->a.body);
	free(r);
}

static void add_headers(struct conn *c, const char *headers)
{
	for (const char *line = headers; *line;) {
		size_t len = strcspn(line, "\n");

		if (strncasecmp(line, "Replay-Nonce: ", 14) == 0) {
			char *nonce = mem_strndup(line + 14, len - 14);

			give_nonce(c->ca, nonce);
			free(nonce);
		}
		need(buf_add(&c->out, line, len) && buf_puts(&c->out, "\r\n"));
		line += len + (line[len] == '\n');
	}
}

static void answer(struct conn *c, const struct fakeca_answer *a, bool head)
{
	char *body = expand(c->ca, a->body);
	char *headers = expand(c->ca, a->headers);
	char nonce[32];

	if (a->flags & FAKECA_CLOSE)
		c->closing = true;
	if (a->flags & (FAKECA_HANG | FAKECA_CLOSE))
		goto out;
	need(buf_printf(&c->out, "HTTP/1.1 %d Scripted\r\n", a->status));
	if (c->ca->account && !(a->flags & FAKECA_NO_NONCE)) {
		snprintf(nonce, sizeof nonce, "nonce-%u", ++c->ca->last_nonce);
		give_nonce(c->ca, nonce);
		need(buf_printf(&c->out, "Replay-Nonce: %s\r\n", nonce));
	}
	add_headers(c, headers);
	if (a->flags & FAKECA_ENDLESS) {
		c->endless = true;
		need(buf_puts(&c->out, "Transfer-Encoding: chunked\r\n\r\n"));
		goto out;
	}
	need(buf_printf(&c->out, "Content-Length: %zu\r\n\r\n", strlen(body) + !!(a->flags & FAKECA_CUT)));
	c->closing = a->flags & FAKECA_CUT;
	if (!head)
		need(buf_puts(&c->out, body));
out:
	free(body);
	free(headers);
}

static void handle(struct conn *c, struct fakeca_request *q)
{
	static const struct fakeca_answer missing = {
		.status = 404,
		.body = "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"not in the script\"}",
	};
	struct reply *r = reply_find(&c->ca->once, q->method, q->path);
	bool head = strcmp(q->method, "HEAD") == 0;

	if (r) {
		TAILQ_REMOVE(&c->ca->once, r, link);
		answer(c, &r->a, head);
		reply_free(r);
		return;
	}
	r = reply_find(&c->ca->always, q->method, q->path);
	answer(c, r ? &r->a : &missing, head);
}

/* ---- connections ---- */

static void conn_close(struct conn *c)
{
	LIST_REMOVE(c, link);
	watch_clear(&c->watch);
	SSL_free(c->ssl);
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

static const char *header_find(const char *head, const char *name, char *out, size_t room)
{
	size_t len = strlen(name);

	for (const char *line = head; (line = strstr(line, "\r\n")); line += 2) {
		const char *at = line + 2;

		if (strncasecmp(at, name, len) == 0 && at[len] == ':') {
			at += len + 1 + strspn(at + len + 1, " ");
			snprintf(out, room, "%.*s", (int)strcspn(at, "\r"), at);
			return out;
		}
	}
	return NULL;
}

static void check_acme(struct conn *c, struct fakeca_request *q, const char *content, size_t len)
{
	struct fakeca *ca = c->ca;
	char value[512];
	int major;

	/* RFC 8555, section 6.1: of the client and of its HTTP library, name and version each */
	if (!header_find(c->in.data, "User-Agent", value, sizeof value) || sscanf(value, "dovad/%*d.%*d.%*d libcurl/%d.", &major) != 1)
		note_fault(ca, "no User-Agent of ours", q->path);
	if (!header_find(c->in.data, "Accept-Language", value, sizeof value) || strcmp(value, "en") != 0)
		note_fault(ca, "no Accept-Language", q->path);
	if (strcmp(q->method, "POST") == 0) {
		if (!header_find(c->in.data, "Content-Type", value, sizeof value) || strcmp(value, "application/jose+json") != 0)
			note_fault(ca, "wrong content type", q->path);
		check_jws(ca, q, content, len);
	} else if (len) {
		note_fault(ca, "body without POST", q->path);
	}
}

/* One whole request off the front of what came in; false: more is needed. */
static bool take_request(struct conn *c)
{
	struct fakeca *ca = c->ca;
	struct fakeca_request *q = &ca->requests[ca->nrequests];
	char *end = c->in.data ? strstr(c->in.data, "\r\n\r\n") : NULL;
	char value[512];
	size_t head, body;

	if (!end)
		return false;
	head = (size_t)(end - c->in.data) + 4;
	body = header_find(c->in.data, "Content-Length", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
	if (c->in.len < head + body)
		return false;
	need(++ca->nrequests < REQUESTS_MAX);
	end[2] = '\0';
	need(sscanf(c->in.data, "%ms %ms", &q->method, &q->path) == 2);
	q->head = mem_strdup(c->in.data);
	if (ca->account)
		check_acme(c, q, c->in.data + head, body);
	buf_drop(&c->in, head + body);
	handle(c, q);
	return true;
}

static bool flush(struct conn *c)
{
	static char piece[ENDLESS_PIECE + 16];
	int n;

	while (c->out.len || c->endless) {
		if (!c->out.len) {
			memset(piece, 'x', sizeof piece);
			memcpy(piece, "10000\r\n", 7);
			memcpy(piece + 7 + ENDLESS_PIECE, "\r\n", 2);
			need(buf_add(&c->out, piece, ENDLESS_PIECE + 9));
		}
		n = SSL_write(c->ssl, c->out.data, (int)c->out.len);
		if (n <= 0)
			return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE || SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ;
		buf_drop(&c->out, (size_t)n);
	}
	return !c->closing;
}

static bool conn_work(struct conn *c)
{
	char data[16384];
	int n = 1;

	if (!c->shaken) {
		n = SSL_accept(c->ssl);
		if (n != 1)
			return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ || SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE;
		c->shaken = true;
	}
	while ((n = SSL_read(c->ssl, data, sizeof data)) > 0)
		need(buf_add(&c->in, data, (size_t)n));
	if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ && SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_WRITE)
		return false;
	while (!c->closing && take_request(c))
		;
	return flush(c);
}

static void conn_ready(void *arg, short events)
{
	struct conn *c = arg;
	struct err err;

	(void)events;
	if (!conn_work(c))
		conn_close(c);
	else if (!watch_set(&c->watch, c->fd, (short)(POLLIN | (c->out.len || c->endless ? POLLOUT : 0)), conn_ready, c, &err))
		abort();
}

static void accept_ready(void *arg, short events)
{
	struct fakeca *ca = arg;
	struct conn *c = mem_alloc(sizeof *c);
	struct err err;

	(void)events;
	c->fd = accept4(ca->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd < 0) {
		free(c);
		return;
	}
	c->ca = ca;
	c->ssl = SSL_new(ca->ctx);
	SSL_set_fd(c->ssl, c->fd);
	buf_init(&c->in, 0);
	buf_init(&c->out, 0);
	LIST_INSERT_HEAD(&ca->conns, c, link);
	ca->nconns++;
	if (!watch_set(&c->watch, c->fd, POLLIN, conn_ready, c, &err))
		abort();
}

/* ---- the server ---- */

static void add(struct replies *list, const struct fakeca_answer *a, bool front)
{
	struct reply *r = mem_alloc(sizeof *r);

	r->a = *a;
	r->a.method = mem_strdup(a->method);
	r->a.path = mem_strdup(a->path);
	r->a.headers = a->headers ? mem_strdup(a->headers) : NULL;
	r->a.body = a->body ? mem_strdup(a->body) : NULL;
	if (front)
		TAILQ_INSERT_HEAD(list, r, link);
	else
		TAILQ_INSERT_TAIL(list, r, link);
}

void fakeca_once(struct fakeca *ca, const struct fakeca_answer *a)
{
	add(&ca->once, a, false);
}

void fakeca_always(struct fakeca *ca, const struct fakeca_answer *a)
{
	add(&ca->always, a, true);
}

static void add_defaults(struct fakeca *ca)
{
	static const char order[] = "{\"status\":\"%s\",\"expires\":\"2030-01-01T00:00:00Z\","
				    "\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"}],\"authorizations\":[\"{CA}/authz/1\"],"
				    "\"finalize\":\"{CA}/order/1/finalize\"%s}";
	static const struct fakeca_answer answers[] = {
		{"GET", "/dir", 200, NULL,
			"{\"newNonce\":\"{CA}/nonce\",\"newAccount\":\"{CA}/account\",\"newOrder\":\"{CA}/new-order\","
			"\"revokeCert\":\"{CA}/revoke\",\"keyChange\":\"{CA}/key-change\",\"meta\":{\"termsOfService\":\"https://example.net/terms\","
			"\"profiles\":{\"classic\":\"90 days\"}}}",
			FAKECA_NO_NONCE},
		{"HEAD", "/nonce", 200, NULL, NULL, 0},
		{"POST", "/account", 201, "Location: {CA}/acct/1\n", "{\"status\":\"valid\"}", 0},
		{"POST", "/authz/1", 200, NULL,
			"{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"},"
			"\"challenges\":[{\"type\":\"dns-01\",\"url\":\"{CA}/chal/2\",\"status\":\"pending\",\"token\":\"tok-2\"},"
			"{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"pending\",\"token\":\"tok_1\"}]}",
			0},
		{"POST", "/chal/1", 200, NULL, "{\"type\":\"http-01\",\"url\":\"{CA}/chal/1\",\"status\":\"processing\",\"token\":\"tok_1\"}", 0},
		{"POST", "/revoke", 200, NULL, NULL, 0},
	};
	char body[1024];

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		fakeca_always(ca, &answers[i]);
	snprintf(body, sizeof body, order, "pending", "");
	fakeca_always(ca, &(struct fakeca_answer){"POST", "/new-order", 201, "Location: {CA}/order/1\n", body, 0});
	fakeca_always(ca, &(struct fakeca_answer){"POST", "/order/1", 200, NULL, body, 0});
	snprintf(body, sizeof body, order, "processing", "");
	fakeca_always(ca, &(struct fakeca_answer){"POST", "/order/1/finalize", 200, NULL, body, 0});
}

struct fakeca *fakeca_open(const struct key *account)
{
	struct fakeca *ca = mem_alloc(sizeof *ca);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	struct err err;

	ca->account = account;
	TAILQ_INIT(&ca->once);
	TAILQ_INIT(&ca->always);
	open_tls(ca);
	ca->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(ca->fd, (struct sockaddr *)&sin, sizeof sin) < 0 || listen(ca->fd, 128) < 0 ||
		getsockname(ca->fd, (struct sockaddr *)&sin, &len) < 0 || !watch_set(&ca->watch, ca->fd, POLLIN, accept_ready, ca, &err))
		abort();
	snprintf(ca->base, sizeof ca->base, "https://127.0.0.1:%u", ntohs(sin.sin_port));
	if (account)
		add_defaults(ca);
	return ca;
}

static void clear_replies(struct replies *list)
{
	struct reply *r;

	while ((r = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, r, link);
		reply_free(r);
	}
}

void fakeca_close(struct fakeca *ca)
{
	while (!LIST_EMPTY(&ca->conns))
		conn_close(LIST_FIRST(&ca->conns));
	watch_clear(&ca->watch);
	close(ca->fd);
	unlink(ca->trust);
	SSL_CTX_free(ca->ctx);
	clear_replies(&ca->once);
	clear_replies(&ca->always);
	for (size_t i = 0; i < ca->nrequests; i++) {
		free(ca->requests[i].method);
		free(ca->requests[i].path);
		free(ca->requests[i].payload);
		free(ca->requests[i].head);
		js_free(ca->requests[i].header);
	}
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		free(ca->nonces[i]);
	free(ca->fault);
	free(ca);
}

const char *fakeca_base(const struct fakeca *ca)
{
	return ca->base;
}

const char *fakeca_trust_file(const struct fakeca *ca)
{
	return ca->trust;
}

static bool matches(const struct fakeca_request *q, const char *method, const char *path)
{
	return (!method || strcmp(q->method, method) == 0) && (!path || strcmp(q->path, path) == 0);
}

size_t fakeca_count(const struct fakeca *ca, const char *method, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < ca->nrequests; i++)
		n += matches(&ca->requests[i], method, path);
	return n;
}

const struct fakeca_request *fakeca_request(const struct fakeca *ca, const char *method, const char *path, int i)
{
	const struct fakeca_request *last = NULL;

	for (size_t k = 0; k < ca->nrequests; k++) {
		if (!matches(&ca->requests[k], method, path))
			continue;
		last = &ca->requests[k];
		if (i-- == 0)
			return last;
	}
	if (!last || i >= 0) {
		fprintf(stderr, "no such request: %s %s\n", method, path);
		abort();
	}
	return last;
}

size_t fakeca_connections(const struct fakeca *ca)
{
	return ca->nconns;
}

const char *fakeca_fault(const struct fakeca *ca)
{
	return ca->fault;
}
