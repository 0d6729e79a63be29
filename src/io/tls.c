/* SPDX-License-Identifier: ISC */
#include "io/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/loop.h"

enum { AT_ONCE = 32 }; /* each has some hundred KiB of OpenSSL's; a thousand that were reloaded together are looked at in this many rows */
enum { CERTS_MAX = sizeof(((struct tls_seen *)0)->der) / sizeof(((struct tls_seen *)0)->der[0]) };

struct outcome { /* large */
	struct tls_seen seen;
	unsigned char *der[CERTS_MAX];
	struct err err;
};

struct tls_look {
	TAILQ_ENTRY(tls_look) link; /* while it waits */
	tls_done *done; /* NULL: it is being called */
	void *arg;
	struct addr at;
	enum tls_keys keys;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	bool connected, any; /* any: another kind of key will do by now */
	struct watch watch;
	struct timer timer;
	int64_t timeout_ms;
	char peer[ADDR_TEXT];
	char sni[256];
	enum starttls_kind kind;
	struct starttls *dialog; /* NULL: none, or it is over */
	struct outcome *out;     /* NULL while it waits */
};

static TAILQ_HEAD(, tls_look) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned under_way;

static void look_begin_more(void);

static void look_hang_up(struct tls_look *l)
{
	watch_clear(&l->watch);
	SSL_free(l->ssl);
	SSL_CTX_free(l->ctx);
	if (l->fd >= 0)
		close(l->fd);
	free(l->dialog);
	l->ssl = NULL;
	l->ctx = NULL;
	l->fd = -1;
	l->dialog = NULL;
	l->connected = false;
}

static void look_free(struct tls_look *l)
{
	timer_disarm(&l->timer);
	loop_undefer(l);
	look_hang_up(l);
	if (!l->out)
		TAILQ_REMOVE(&waiting, l, link);
	else
		under_way--;
	for (size_t i = 0; l->out && i < CERTS_MAX; i++)
		OPENSSL_free(l->out->der[i]);
	free(l->out);
	free(l);
	look_begin_more();
}

static void look_tell(void *arg)
{
	struct tls_look *l = arg;
	tls_done *done = l->done;

	l->done = NULL;
	done(l->arg, l->out->err.kind ? NULL : &l->out->seen, l->out->err.kind ? &l->out->err : NULL);
	look_free(l);
}

static void look_over(struct tls_look *l)
{
	timer_disarm(&l->timer);
	watch_clear(&l->watch);
	loop_defer(look_tell, l);
}

static void look_expired(void *arg)
{
	struct tls_look *l = arg;

	if (l->dialog)
		err_set(&l->out->err, ERR_TEMP, "timeout", "%s: %s: %s did not come within %.3g seconds", l->peer, starttls_words[l->kind],
			starttls_awaits(l->dialog), (double)l->timeout_ms / 1000);
	else
		err_set(&l->out->err, ERR_TEMP, "timeout", "%s: %s within %.3g seconds", l->peer,
			l->connected ? "the TLS handshake did not end" : "no connection", (double)l->timeout_ms / 1000);
	look_over(l);
}

static void look_refused(struct tls_look *l, int number)
{
	err_set(&l->out->err, ERR_TEMP, "connect", "%s: %s", l->peer, strerror(number));
	l->out->err.errnum = number;
	look_over(l);
}

static bool take_certs(struct tls_look *l)
{
	const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(l->ssl);

	for (int i = 0; i < sk_X509_num(chain) && l->out->seen.n < CERTS_MAX; i++) {
		int len = i2d_X509(sk_X509_value(chain, i), &l->out->der[l->out->seen.n]);

		if (len <= 0)
			return false;
		l->out->seen.der[l->out->seen.n] = l->out->der[l->out->seen.n];
		l->out->seen.len[l->out->seen.n++] = (size_t)len;
	}
	l->out->seen.version = SSL_get_version(l->ssl);
	return l->out->seen.n > 0;
}

static void look_connect(struct tls_look *l);

static void look_failed(struct tls_look *l, int ssl_error)
{
	unsigned long code = ERR_peek_error();
	bool alert = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
	const char *why = ERR_reason_error_string(code);

	ERR_clear_error();
	/* A service that wants a certificate of ours sends us away, but only after it has shown its own. */
	if (alert && SSL_get0_peer_certificate(l->ssl) && take_certs(l)) {
		look_over(l);
		return;
	}
	if (l->keys != TLS_ANY && !l->any) { /* perhaps it has no key of that kind: what does it show others? */
		l->any = true;
		look_hang_up(l);
		look_connect(l);
		return;
	}
	if (ssl_error == SSL_ERROR_SYSCALL || ssl_error == SSL_ERROR_ZERO_RETURN || !why)
		why = "the peer ended the connection";
	err_set(&l->out->err, ERR_TEMP, "tls", "%s: no TLS handshake%s%s: %s", l->peer, l->sni[0] ? " for " : "", l->sni, why);
	look_over(l);
}

static void look_ready(void *arg, short events);

static void look_wait(struct tls_look *l, short events)
{
	if (!watch_set(&l->watch, l->fd, events, look_ready, l, &l->out->err))
		look_over(l);
}

static void look_shake(struct tls_look *l)
{
	int result, ssl_error;

	ERR_clear_error();
	result = SSL_do_handshake(l->ssl);
	ssl_error = SSL_get_error(l->ssl, result);
	if (result == 1) {
		if (!take_certs(l))
			err_set(&l->out->err, ERR_TEMP, "tls", "%s: the service showed no certificate", l->peer);
		SSL_shutdown(l->ssl); /* says goodbye; the answer is not awaited */
		ERR_clear_error();
		look_over(l);
	} else if (ssl_error == SSL_ERROR_WANT_READ || ssl_error == SSL_ERROR_WANT_WRITE) {
		look_wait(l, ssl_error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
	} else {
		look_failed(l, ssl_error);
	}
}

/* --- before TLS --- */

static void talk_failed(struct tls_look *l, const char *what, const char *why)
{
	err_set(&l->out->err, ERR_TEMP, "starttls", "%s: %s: %s%s", l->peer, starttls_words[l->kind], what, why);
	look_over(l);
}

/* Both sides agreed. What came already, though TLS has not begun, counts as said in plain text. */
static void talk_agreed(struct tls_look *l)
{
	char early[64];
	ssize_t n = recv(l->fd, early, sizeof(early), MSG_PEEK);

	if (n > 0)
		starttls_take(l->dialog, early, (size_t)n);
	if (l->dialog->state == STARTTLS_FAILED) {
		talk_failed(l, l->dialog->why, "");
		return;
	}
	free(l->dialog);
	l->dialog = NULL;
	look_shake(l);
}

/* One step for each time that the peer takes or says something. */
static void look_talk(struct tls_look *l)
{
	struct starttls *d = l->dialog;
	char data[1024];
	bool says = d->nout > 0;
	ssize_t n = says ? send(l->fd, d->out, d->nout, MSG_NOSIGNAL) : recv(l->fd, data, sizeof(data), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		talk_failed(l, n ? strerror(errno) : "the peer ended the connection before ", n ? "" : starttls_awaits(d));
		return;
	}
	if (n > 0 && says)
		starttls_sent(d, (size_t)n);
	else if (n > 0)
		starttls_take(d, data, (size_t)n);
	if (d->state == STARTTLS_TALKS)
		look_wait(l, d->nout ? POLLOUT : POLLIN);
	else if (d->state == STARTTLS_AGREED)
		talk_agreed(l);
	else
		talk_failed(l, d->why, "");
}

static void look_begin(struct tls_look *l)
{
	struct addr us = {.len = sizeof(us.ss)};

	l->connected = true;
	if (l->kind == STARTTLS_NONE)
		return;
	if (getsockname(l->fd, (struct sockaddr *)&us.ss, &us.len) < 0)
		us = (struct addr){.len = 0};
	l->dialog = mem_alloc(sizeof(*l->dialog));
	starttls_begin(l->dialog, l->kind, l->sni, &us);
}

static void look_ready(void *arg, short events)
{
	struct tls_look *l = arg;
	int number = 0;
	socklen_t len = sizeof(number);

	(void)events;
	if (!l->connected) {
		if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &number, &len) < 0)
			number = errno;
		if (number) {
			look_refused(l, number);
			return;
		}
		look_begin(l);
	}
	if (l->dialog)
		look_talk(l);
	else
		look_shake(l);
}

/* What a browser with only ECDSA, or only RSA, would offer; in TLS 1.3 the signature algorithms say it, before that the ciphers do too. */
static bool offer(SSL_CTX *ctx, enum tls_keys keys)
{
	/* Old versions and small keys as well: we want to see them, not to trust them. */
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION))
		return false;
	if (keys == TLS_ANY)
		return SSL_CTX_set_cipher_list(ctx, "DEFAULT");
	if (keys == TLS_ECDSA)
		return SSL_CTX_set_cipher_list(ctx, "aECDSA:!aNULL:!eNULL") &&
			SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:ECDSA+SHA1");
	return SSL_CTX_set_cipher_list(ctx, "aRSA:!aNULL:!eNULL") &&
		SSL_CTX_set1_sigalgs_list(ctx, "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:"
					       "rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512:RSA+SHA1");
}

static bool prepare(struct tls_look *l)
{
	ERR_clear_error();
	l->ctx = SSL_CTX_new(TLS_client_method());
	if (!l->ctx || !offer(l->ctx, l->any ? TLS_ANY : l->keys) || !(l->ssl = SSL_new(l->ctx)) || !SSL_set_fd(l->ssl, l->fd))
		return false;
	SSL_set_connect_state(l->ssl);
	return !l->sni[0] || SSL_set_tlsext_host_name(l->ssl, l->sni);
}

static void look_connect(struct tls_look *l)
{
	l->fd = socket(l->at.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0) {
		look_refused(l, errno);
	} else if (!prepare(l)) {
		err_set(&l->out->err, ERR_LOCAL, "tls", "%s: cannot prepare a TLS connection: %s", l->peer,
			ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error()) : "no reason known");
		ERR_clear_error();
		look_over(l);
	} else if (connect(l->fd, (const struct sockaddr *)&l->at.ss, l->at.len) < 0 && errno != EINPROGRESS) {
		look_refused(l, errno);
	} else {
		look_wait(l, POLLOUT);
	}
}

static void look_begin_more(void)
{
	struct tls_look *l;

	while (under_way < AT_ONCE && (l = TAILQ_FIRST(&waiting))) {
		TAILQ_REMOVE(&waiting, l, link);
		l->out = mem_alloc(sizeof(*l->out));
		under_way++;
		timer_arm(&l->timer, l->timeout_ms, look_expired, l);
		look_connect(l);
	}
}

struct tls_look *tls_look(const struct tls_ask *ask, tls_done *done, void *arg)
{
	struct tls_look *l = mem_alloc(sizeof(*l));
	struct addr literal;

	l->done = done;
	l->arg = arg;
	l->at = ask->at;
	l->keys = ask->keys;
	l->timeout_ms = ask->timeout_ms;
	l->kind = ask->starttls;
	addr_format(&ask->at, l->peer);
	if (ask->sni && !addr_parse_ip(ask->sni, 0, &literal)) /* addresses are never sent as a server name (RFC 6066 section 3) */
		strncpy(l->sni, ask->sni, sizeof(l->sni) - 1);
	l->fd = -1;
	TAILQ_INSERT_TAIL(&waiting, l, link);
	look_begin_more();
	return l;
}

void tls_cancel(struct tls_look *l)
{
	if (l && l->done)
		look_free(l);
}

const char *tls_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
