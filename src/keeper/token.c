/* SPDX-License-Identifier: ISC */
#include "keeper/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/token.h"
#include "crypto/token_uri.h"
#include "io/aside.h"
#include "keeper/credential.h"

enum {
	PAUSE_MS = 5 * 60000,  /* after a token that hung: others have the keeper to themselves meanwhile */
	PIN_CAP = 256,
	REFUSED_CAP = 64 * 1024,
	REFUSED_MAX = 32,      /* the oldest go */
};

struct tokens {
	int state;
	const struct conf_key *wanted; /* whose PIN may be told now */
	char *wanted_uri;              /* its URI: the configuration may be gone */
	char *hung;                    /* the module that did; NULL: none */
	int64_t hung_at;
};

struct tokens *tokens_new(int state)
{
	struct tokens *t = mem_alloc(sizeof(*t));

	t->state = state;
	return t;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	free(t->wanted_uri);
	free(t->hung);
	free(t);
}

/* --- refused PINs: a line "SALT HASH URI" for each --- */

struct refusal {
	char salt[DIGEST_HEX], hash[DIGEST_HEX];
	const char *uri;
};

/* false: not one of ours. Cuts the line. */
static bool parse_refusal(char *line, struct refusal *r)
{
	char *hash = strchr(line, ' '), *uri = hash ? strchr(hash + 1, ' ') : NULL;

	if (!uri || uri - hash != DIGEST_HEX || hash - line != DIGEST_HEX - 1)
		return false;
	snprintf(r->salt, sizeof(r->salt), "%.64s", line);
	snprintf(r->hash, sizeof(r->hash), "%.64s", hash + 1);
	r->uri = uri + 1;
	return true;
}

static bool read_refused(const struct tokens *t, struct buf *text, struct err *err)
{
	struct err why;

	return file_read(t->state, TOKEN_REFUSED, REFUSED_CAP, text, NULL, &why) || why.errnum == ENOENT ||
		err_set(err, ERR_LOCAL, "token", "whether its PIN was refused before cannot be read: %s", why.detail);
}

static bool was_refused(const struct tokens *t, const char *uri, const char *pin, bool *was, struct err *err)
{
	char hash[DIGEST_HEX], *rest, *line;
	struct refusal r;
	struct buf text;
	bool ok;

	*was = false;
	buf_init(&text, REFUSED_CAP);
	ok = read_refused(t, &text, err);
	for (line = ok && text.len ? strtok_r(text.data, "\n", &rest) : NULL; line && !*was; line = strtok_r(NULL, "\n", &rest))
		*was = parse_refusal(line, &r) && token_uri_may_share(r.uri, uri) && strcmp(digest_password(pin, r.salt, hash), r.hash) == 0;
	buf_free(&text);
	return ok;
}

static void note_refused(const struct tokens *t, const char *uri, const char *pin)
{
	char salt[DIGEST_HEX], hash[DIGEST_HEX];
	struct buf text, kept;
	const char *from;
	size_t lines = 1;
	struct err err;

	buf_init(&text, REFUSED_CAP);
	buf_init(&kept, REFUSED_CAP);
	(void)!read_refused(t, &text, &err);
	for (from = text.data ? text.data + text.len : NULL; from && from > text.data; from--)
		if (from[-1] == '\n' && ++lines > REFUSED_MAX)
			break;
	digest_password(pin, digest_salt(salt), hash);
	if (!buf_puts(&kept, from ? from : "") || !buf_printf(&kept, "%s %s %s\n", salt, hash, uri) ||
		!file_write_atomic(t->state, TOKEN_REFUSED, kept.data, kept.len, 0600, &err))
		log_error("a refused PIN cannot be noted: it may be tried again", "uri", uri, NULL);
	buf_free(&text);
	buf_free(&kept);
}

/* --- one use --- */

struct use {
	struct token_access access;
	const void *data; /* to sign; NULL: the public half is wanted */
	size_t len;
};

/* In the copy. */
static bool do_use(void *arg, struct buf *out, struct err *err)
{
	const struct use *u = arg;
	struct key *k = token_open(&u->access, err);

	return k && (u->data ? key_sign(k, u->data, u->len, out, err) : key_format_public(k, out, err));
}

static bool is_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_paused(struct tokens *t, const struct conf_key *c, struct err *err)
{
	int64_t left = t->hung && is_same(t->hung, c->module) ? t->hung_at + PAUSE_MS - clock_mono_ms() : 0;

	if (left > 0)
		err_set(err, ERR_LOCAL, "token", "the token did not answer within %d s (pkcs11_timeout); it is asked again in %d s", (int)c->timeout, (int)(left / 1000) + 1);
	return left > 0;
}

static void note_end(struct tokens *t, const struct conf_key *c, const struct use *u, const struct err *why)
{
	if (strcmp(why->type, ASIDE_TIMEOUT) == 0) {
		free(t->hung);
		t->hung = mem_strdup(c->module ? c->module : "");
		t->hung_at = clock_mono_ms();
	}
	if (strcmp(why->type, TOKEN_PIN_REFUSED) == 0)
		note_refused(t, c->uri, u->access.pin);
}

static bool try_use(struct tokens *t, const struct conf_key *c, struct use *u, struct buf *out, struct err *why)
{
	bool refused;

	if (is_paused(t, c, why))
		return false;
	if (u->access.pin && !was_refused(t, c->uri, u->access.pin, &refused, why))
		return false;
	if (u->access.pin && refused)
		return err_set(why, ERR_LOCAL, "token", "the token refused this PIN before: it is not told again until the credential \"%s\" changes (or, where "
			"the token's PIN was changed, the keeper's file " TOKEN_REFUSED " is removed)", c->pin);
	if (aside_run(do_use, u, c->timeout * 1000, out, why))
		return true;
	note_end(t, c, u, why);
	if (strcmp(why->type, "crash") == 0 || strcmp(why->type, ASIDE_TIMEOUT) == 0)
		return err_set(why, ERR_LOCAL, "token", "the PKCS#11 module: %s", why->detail);
	return false;
}

/* data NULL: the public half. */
static bool use_token(struct tokens *t, const struct conf_key *c, const void *data, size_t len, struct buf *out, struct err *err)
{
	struct use u = { .access = { .uri = c->uri, .module = c->module }, .data = data, .len = len };
	struct err why = { 0 };
	struct buf pin;
	bool ok;

	buf_init(&pin, PIN_CAP);
	ok = !c->pin || credential_read(c->credentials, c->pin, &pin, &why);
	u.access.pin = c->pin ? pin.data : NULL;
	if (ok && c->pin && strlen(pin.data) != pin.len)
		ok = err_set(&why, ERR_LOCAL, "credential", "the credential \"%s\" holds a NUL byte", c->pin);
	ok = ok && try_use(t, c, &u, out, &why);
	buf_wipe(&pin);
	return ok || err_set(err, why.kind, "token", "the key %s: %s", c->uri, why.detail);
}

/* --- keys --- */

static bool sign(void *tokens, const struct key *k, const void *data, size_t len, struct buf *sig, struct err *err)
{
	struct tokens *t = tokens;

	if (!t->wanted_uri || strcmp(t->wanted_uri, key_uri(k)) != 0)
		return err_set(err, ERR_BUG, "token", "the key %s: it is another one's turn", key_uri(k));
	return use_token(t, t->wanted, data, len, sig, err);
}

bool tokens_bind(struct tokens *t, struct key *k, const struct conf_key *wanted, struct err *err)
{
	if (!key_uri(k) || !wanted->uri || strcmp(key_uri(k), wanted->uri) != 0)
		return err_set(err, ERR_BUG, "token", "not the key that is configured");
	free(t->wanted_uri);
	t->wanted_uri = mem_strdup(wanted->uri);
	t->wanted = wanted;
	key_set_signer(k, sign, t);
	return true;
}

struct key *tokens_find(struct tokens *t, const struct conf_key *wanted, struct err *err)
{
	struct key *k = NULL;
	struct buf spki;

	buf_init(&spki, ASIDE_MAX);
	if (use_token(t, wanted, NULL, 0, &spki, err))
		k = key_on_token(wanted->uri, spki.data, spki.len, err);
	buf_free(&spki);
	if (k && !tokens_bind(t, k, wanted, err)) {
		key_free(k);
		k = NULL;
	}
	return k;
}
