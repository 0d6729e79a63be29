/* SPDX-License-Identifier: ISC */
#include "keeper/sign.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/jose.h"
#include "keeper/credential.h"

enum {
	URL_MAX = 4096,
	NONCE_MAX = 1024,
	HTTPS_PORT = 443,
};

static bool refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_DENIED, "policy", "the keeper does not sign this: %s", why);
}

/* --- URLs --- */

struct site {
	const char *host; /* not terminated */
	size_t len;
	long port;
	const char *path; /* the rest, terminated */
};

static bool parse_port(const char *text, size_t len, long *port)
{
	*port = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || *port > 65535)
			return false;
		*port = *port * 10 + (text[i] - '0');
	}
	return *port > 0 && *port <= 65535;
}

/* https only, printable ASCII only, no user, no fragment. */
static bool parse_url(const char *url, struct site *s)
{
	static const char scheme[] = "https://";
	size_t all = strlen(url), len;

	if (all > URL_MAX || strncasecmp(url, scheme, strlen(scheme)) != 0)
		return false;
	for (size_t i = 0; i < all; i++)
		if (url[i] <= ' ' || url[i] >= 0x7f || strchr("\"\\<>^`{|}#", url[i]))
			return false;
	s->host = url + strlen(scheme);
	len = strcspn(s->host, "/?");
	s->path = s->host + len;
	if (memchr(s->host, '@', len))
		return false;
	s->len = s->host[0] == '[' ? strcspn(s->host, "]") + 1 : strcspn(s->host, ":/?");
	s->port = HTTPS_PORT;
	if (!s->len || s->len > len)
		return false;
	return s->len == len || (s->host[s->len] == ':' && parse_port(s->host + s->len + 1, len - s->len - 1, &s->port));
}

static bool is_same_site(const struct site *a, const struct site *b)
{
	return a->port == b->port && a->len == b->len && strncasecmp(a->host, b->host, a->len) == 0;
}

/* One spelling only: none of what a lenient server could read as another path. */
static bool is_plain_path(const char *path)
{
	return path[0] == '/' && !strpbrk(path, "?%;") && !strstr(path, "//") && !strstr(path, "/.");
}

static bool is_same_path(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);

	while (x && a[x - 1] == '/')
		x--;
	while (y && b[y - 1] == '/')
		y--;
	return x == y && strncasecmp(a, b, x) == 0;
}

/* --- shapes of payloads --- */

struct shape_context {
	struct vault *vault;
	const struct conf *conf;
	const struct conf_ca *ca;
	const struct sign_wish *wish;
	const struct site *url, *account; /* account->host NULL: no kid */
};

static bool is_listed(const struct conf_list *list, const char *s)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], s) == 0)
			return true;
	return false;
}

static bool check_account(const struct shape_context *c, const struct js *payload, struct err *err)
{
	struct js *contact = js_arr(payload, "contact");

	if (js_has(payload, "contact") && !contact)
		return refuse(err, "\"contact\" is not a list");
	for (size_t i = 0; i < js_len(contact); i++) {
		const char *s = js_str_at(contact, i);

		if (!s || !is_listed(&c->ca->contact, s))
			return refuse(err, "a contact that the configuration does not name");
	}
	return true;
}

/* Those of a new account, or of the one that is there: then by its own URL, and all that are configured, so that nobody is left out. */
static bool check_contact(const struct shape_context *c, const struct js *payload, struct err *err)
{
	const struct conf_list *all = &c->ca->contact;
	struct js *contact = js_arr(payload, "contact");
	bool same = js_len(contact) == all->n;

	if (!check_account(c, payload, err))
		return false;
	if (!c->wish->kid)
		return true;
	for (size_t i = 0; same && i < all->n; i++)
		same = strcmp(js_str_at(contact, i), all->v[i]) == 0;
	if (!same)
		return refuse(err, "other contacts of the account than those configured");
	return (is_plain_path(c->url->path) && strcmp(c->url->path, c->account->path) == 0) || refuse(err, "contacts of something else than the account");
}

static bool check_order(const struct shape_context *c, const struct js *payload, struct err *err)
{
	struct js *all = js_arr(payload, "identifiers");

	if (!js_len(all))
		return refuse(err, "an order without identifiers");
	for (size_t i = 0; i < js_len(all); i++) {
		struct js *one = js_at(all, i);
		const char *type = js_str(one, "type"), *value = js_str(one, "value");

		if (js_len(one) != 2 || !type || strcmp(type, "dns") != 0 || !value || !conf_has_name(c->conf, c->ca, value))
			return refuse(err, "an order for something that is no name of a certificate of this CA");
	}
	return vault_has_room(c->vault, err);
}

static bool check_finalize(const struct shape_context *c, const struct js *payload, struct err *err)
{
	const char *csr = js_str(payload, "csr"), *name = csr ? vault_find_request(c->vault, csr) : NULL;
	const struct conf_cert *cert = name ? conf_find_cert(c->conf, name) : NULL;

	if (!cert || cert->ca != c->ca)
		return refuse(err, "a signing request that was not made here for a certificate of this CA");
	/* What was made for another configuration, or lay in a folder that somebody had a hand in. */
	return vault_request_fits(c->vault, cert) || refuse(err, "a signing request for other names than those configured, or by a key that is not its own");
}

static bool check_deactivate(const struct shape_context *c, const struct js *payload, struct err *err)
{
	const char *status = js_str(payload, "status");

	if (!status || strcmp(status, "deactivated") != 0)
		return refuse(err, "a change of status other than to deactivate an authorization");
	/* The same payload sent to the account's own URL ends the account. */
	if (!is_plain_path(c->url->path) || !is_plain_path(c->account->path))
		return refuse(err, "a deactivation by an URL with more than a plain path");
	return true;
}

static bool check_revoke(const struct shape_context *c, const struct js *payload, struct err *err)
{
	(void)c;
	if (!js_str(payload, "certificate"))
		return refuse(err, "a revocation without a certificate");
	return (js_int(payload, "reason", 0) >= 0 && js_int(payload, "reason", 0) <= 10) || refuse(err, "a reason of revocation that does not exist");
}

static bool check_nothing(const struct shape_context *c, const struct js *payload, struct err *err)
{
	(void)c;
	return js_len(payload) == 0 || refuse(err, "a payload of a shape that is not in the table");
}

/* What the protected header names the signer by: the account's URL, or for a new account the JWK. {} answers a challenge, or is a new account that
 * has nothing to say; a contact is a new account's or is changed. */
enum signer { KID, JWK, EITHER };

/* The first row whose mark is a member of the payload, or that has none, decides. */
static const struct shape {
	const char *mark;
	const char *members[5]; /* no others may be there */
	enum signer signer;
	bool (*check)(const struct shape_context *c, const struct js *payload, struct err *err);
} shapes[] = {
	{ "identifiers", { "identifiers", "profile", "replaces" }, KID, check_order },
	{ "csr", { "csr" }, KID, check_finalize },
	{ "status", { "status" }, KID, check_deactivate },
	{ "certificate", { "certificate", "reason" }, KID, check_revoke },
	{ "termsOfServiceAgreed", { "termsOfServiceAgreed", "contact", "onlyReturnExisting" }, JWK, check_account },
	{ "onlyReturnExisting", { "contact", "onlyReturnExisting" }, JWK, check_account },
	{ "contact", { "contact" }, EITHER, check_contact },
	{ NULL, { NULL }, EITHER, check_nothing },
};

static bool is_member(const struct shape *s, const char *key)
{
	for (size_t i = 0; i < sizeof(s->members) / sizeof(s->members[0]) && s->members[i]; i++)
		if (strcmp(s->members[i], key) == 0)
			return true;
	return false;
}

static bool check_shape(const struct shape_context *c, struct js *payload, struct err *err)
{
	const struct shape *s = shapes;

	while (s->mark && !js_has(payload, s->mark))
		s++;
	for (void *i = js_first(payload); i && s->mark; i = js_next(payload, i))
		if (!is_member(s, js_key(i)))
			return refuse(err, "a payload with a member that does not belong there");
	if (s->signer != EITHER && (s->signer == KID) != (c->wish->kid != NULL))
		return refuse(err, s->signer == KID ? "anything but a new account without the account's URL" : "a new account under the URL of an account");
	if (c->wish->kid && s->check != check_contact && is_same_path(c->url->path, c->account->path))
		return refuse(err, "a change of the account");
	return s->check(c, payload, err);
}

bool sign_check(struct vault *v, const struct conf *conf, const struct conf_ca *ca, const struct sign_wish *w, struct err *err)
{
	struct site directory, url, account = { 0 };
	struct shape_context c = { v, conf, ca, w, &url, &account };
	struct js *payload;
	bool ok;

	if (!ca->directory || !parse_url(ca->directory, &directory))
		return err_set(err, ERR_INPUT, "directory", "the directory URL of \"%s\" is not a usable https URL", ca->name);
	if (!parse_url(w->url, &url) || !is_same_site(&url, &directory))
		return refuse(err, "an URL that is not https or not of the host of the CA's directory");
	if (w->kid && (!parse_url(w->kid, &account) || !is_same_site(&account, &directory)))
		return refuse(err, "an account URL that is not https or not of the host of the CA's directory");
	if (!*w->nonce || strlen(w->nonce) > NONCE_MAX ||
		w->nonce[strspn(w->nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")])
		return refuse(err, "a nonce that is not base64url");
	if (!*w->payload)
		return w->kid || refuse(err, "a reading request without the account's URL");
	payload = js_parse(w->payload, strlen(w->payload), err);
	if (!payload)
		return refuse(err, "a payload that is not JSON");
	ok = js_is_object(payload) ? check_shape(&c, payload, err) : refuse(err, "a payload that is not an object");
	js_free(payload);
	return ok;
}

/* --- external account binding --- */

/* Caller owns the payload with the binding added. */
static char *bind_account(const struct conf *c, const struct conf_ca *ca, const struct key *key, const struct sign_wish *w, struct err *err)
{
	struct js *payload = js_parse(w->payload, strlen(w->payload), err), *binding = NULL;
	unsigned char *hmac = NULL;
	struct buf secret;
	char *text = NULL;
	size_t len = 0;

	buf_init(&secret, 0);
	if (payload && credential_read(c->settings.credentials, ca->eab.hmac_key, &secret, err)) {
		if (text_b64_decode_lenient(secret.data, secret.len, &hmac, &len) && len)
			binding = jose_bind(key, w->url, ca->eab.key_id, hmac, len, err);
		else
			err_set(err, ERR_INPUT, "credential", "the credential \"%s\" is not base64", ca->eab.hmac_key);
	}
	if (binding) {
		js_put(payload, "externalAccountBinding", binding);
		text = js_dump(payload);
	}
	buf_wipe(&secret);
	if (hmac)
		explicit_bzero(hmac, len);
	free(hmac);
	js_free(payload);
	return text;
}

char *sign_jws(struct vault *v, const struct conf *c, const struct conf_ca *ca, const struct sign_wish *w, struct err *err)
{
	const struct jose_header header = { .url = w->url, .nonce = w->nonce, .kid = w->kid };
	const struct account *account;
	char *bound = NULL, *jws = NULL;
	const char *payload = w->payload;

	if (!sign_check(v, c, ca, w, err))
		return NULL;
	account = vault_account(v, ca, err);
	if (!account)
		return NULL;
	if (w->bind && !w->kid && ca->eab.hmac_key) {
		payload = bound = bind_account(c, ca, account->key, w, err);
		if (!bound)
			return NULL;
	}
	jws = jose_sign(account->key, &header, payload, strlen(payload), err);
	free(bound);
	return jws;
}
