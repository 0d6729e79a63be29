/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/jose.h"
#include "keeper/sign.h"
#include "keeper_fixture.h"

#define CONF                                                                                                                         \
	FIXTURE_CONF                                                                                                                       \
	"certificate = ( { name = \"site\"; ca = \"le\"; names = [ \"example.org\", \"www.example.org\" ]; prove = [ \"http:www\" ]; },\n" \
	"  { name = \"other\"; ca = \"bound\"; names = [ \"other.example\" ]; prove = [ \"http:www\" ]; } );\n"

#define ACME "https://acme.example"
#define ACCOUNT ACME "/acct/1"

static int setup(void **state)
{
	fixture_setup(state);
	fixture_configure(*state, CONF);
	return 0;
}

/* Signs and checks all of what was signed; the payload, decoded. Caller frees. */
static char *sign(struct fixture *f, const char *ca_name, const struct sign_wish *w, struct js **header)
{
	const struct conf_ca *ca = conf_find_ca(f->conf, ca_name);
	struct err err = { 0 };
	char *text = sign_jws(f->vault, f->conf, ca, w, &err), *payload;
	unsigned char *raw;
	struct js *jws;
	size_t len;

	if (!text)
		fail_msg("%s: %s", w->payload, err.detail);
	assert_true(jose_verify(vault_account(f->vault, ca, &err)->key, text, strlen(text), &err));
	jws = js_parse(text, strlen(text), &err);
	assert_int_equal(js_len(jws), 3);
	assert_true(text_b64url_decode(js_str(jws, "payload"), strlen(js_str(jws, "payload")), &raw, &len));
	payload = mem_strndup((char *)raw, len);
	free(raw);
	assert_true(text_b64url_decode(js_str(jws, "protected"), strlen(js_str(jws, "protected")), &raw, &len));
	*header = js_parse((char *)raw, len, &err);
	assert_string_equal(js_str(*header, "url"), w->url);
	assert_string_equal(js_str(*header, "nonce"), w->nonce);
	assert_int_equal(js_has(*header, "jwk"), w->kid == NULL);
	assert_int_equal(js_has(*header, "kid"), w->kid != NULL);
	free(raw);
	js_free(jws);
	free(text);
	return payload;
}

static void accepted(struct fixture *f, const char *url, const char *kid, const char *payload)
{
	struct sign_wish w = { .url = url, .nonce = "no-nce_1", .kid = kid, .payload = payload };
	struct js *header;
	char *signed_payload = sign(f, "le", &w, &header);

	assert_string_equal(signed_payload, payload);
	free(signed_payload);
	js_free(header);
}

static void refused_wish(struct fixture *f, const char *ca, const struct sign_wish *w)
{
	struct err err = { 0 };

	if (sign_jws(f->vault, f->conf, conf_find_ca(f->conf, ca), w, &err))
		fail_msg("signed: %s %s", w->url, w->payload);
	assert_int_equal(err.kind, ERR_DENIED);
	assert_string_equal(err.type, "policy");
}

static void refused(struct fixture *f, const char *url, const char *kid, const char *payload)
{
	refused_wish(f, "le", &(struct sign_wish){ .url = url, .nonce = "nonce", .kid = kid, .payload = payload });
}

static char *csr_payload(struct fixture *f, const char *cert)
{
	struct vault_request r;
	struct err err;

	assert_true(vault_request(f->vault, conf_find_cert(f->conf, cert), &r, &err));
	free(r.key);
	return mem_printf("{\"csr\":\"%s\"}", r.csr);
}

static void what_acme_needs(void **state)
{
	struct fixture *f = *state;
	char *csr = csr_payload(f, "site");

	accepted(f, ACME "/new-account", NULL, "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:admin@example.net\"]}");
	accepted(f, ACME "/new-account", NULL, "{\"termsOfServiceAgreed\":true}");
	accepted(f, ACME "/new-account", NULL, "{\"onlyReturnExisting\":true}");
	accepted(f, ACME "/new-account", NULL, "{\"contact\":[\"mailto:admin@example.net\"]}");
	accepted(f, ACME "/new-account", NULL, "{}");
	accepted(f, ACME "/new-order", ACCOUNT, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"},{\"type\":\"dns\",\"value\":\"www.example.org\"}]}");
	accepted(f, ACME "/order/7", ACCOUNT, "");
	accepted(f, ACCOUNT, ACCOUNT, "");
	accepted(f, ACME ":443/chall/7", ACCOUNT, "{}");
	accepted(f, ACME "/order/7/finalize", ACCOUNT, csr);
	accepted(f, ACME "/authz/7", ACCOUNT, "{\"status\":\"deactivated\"}");
	accepted(f, ACME "/revoke?x=1", ACCOUNT, "{\"certificate\":\"AAAA\",\"reason\":4}");
	free(csr);
}

static void urls_elsewhere(void **state)
{
	static const char *const urls[] = {
		"", "http://acme.example/new-order", "https://evil.example/new-order", "https://acme.example.evil.example/", "https://acme.example:8443/new-order",
		"https://acme.example@evil.example/", "https://evil.example#acme.example/", "https://acme.example#/x", "file:///etc/passwd",
		"https:acme.example/new-order", "https:///new-order", "https://acme.example:/new-order", "https://acme.example:443x/", "https://acme.example:00443443/",
		"https://acme.example:99999999999999999999/", "https://acme.example/\"", "https://acme.example/a b", "https://acme.example/\n", "https://acme.example/\x7f",
		"https://acme.example/\xc3\xa4", "https://acme.exampl/", "https://[acme.example]/", "https://[acme.example", "https://169.254.169.254/", "//acme.example/",
	};
	struct fixture *f = *state;
	char *longest = mem_printf("https://acme.example/%05000d", 0);

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		refused(f, urls[i], ACCOUNT, "");
		refused(f, ACME "/order/7", urls[i], "");
	}
	refused(f, longest, ACCOUNT, "");
	free(longest);
	/* Of the other CA: its host is an address with a port. */
	refused_wish(f, "bound", &(struct sign_wish){ .url = ACME "/x", .nonce = "n", .kid = ACCOUNT, .payload = "" });
	refused_wish(f, "bound", &(struct sign_wish){ .url = "https://[2001:db8::1]/x", .nonce = "n", .kid = "https://[2001:db8::1]:14000/a", .payload = "" });
	refused_wish(f, "bound", &(struct sign_wish){ .url = "https://[2001:db8::2]:14000/x", .nonce = "n", .kid = "https://[2001:db8::1]:14000/a", .payload = "" });
}

static void nonces(void **state)
{
	static const char *const nonces[] = { "", "a b", "a\r\nb", "\"", "a.b", "a=" };
	struct fixture *f = *state;
	char *longest = mem_printf("%02000d", 0);

	for (size_t i = 0; i < sizeof(nonces) / sizeof(nonces[0]); i++)
		refused_wish(f, "le", &(struct sign_wish){ .url = ACME "/o", .nonce = nonces[i], .kid = ACCOUNT, .payload = "" });
	refused_wish(f, "le", &(struct sign_wish){ .url = ACME "/o", .nonce = longest, .kid = ACCOUNT, .payload = "" });
	free(longest);
}

static void shapes_not_in_the_table(void **state)
{
	static const char *const payloads[] = {
		"null", "[]", "7", "\"text\"", "{", "{}x", "{\"a\":1}", "{\"newKey\":{}}",
		"{\"account\":\"" ACCOUNT "\",\"oldKey\":{}}", /* key rollover */
		"{\"orders\":\"x\"}", "{\"resource\":\"new-authz\"}", "{\"identifier\":{\"type\":\"dns\",\"value\":\"example.org\"}}",
		"{\"Status\":\"deactivated\"}", "{\"status\":\"valid\"}", "{\"status\":1}", "{\"status\":null}", "{\"status\":\"deactivated\",\"contact\":[]}",
		"{\"status\":\"deactivated\",\"status\":\"deactivated\"}",
		"{\"identifiers\":[]}", "{\"identifiers\":{}}", "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"evil.example\"}]}",
		"{\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"},{\"type\":\"dns\",\"value\":\"other.example\"}]}", /* another CA's */
		"{\"identifiers\":[{\"type\":\"ip\",\"value\":\"example.org\"}]}", "{\"identifiers\":[{\"type\":\"dns\"}]}", "{\"identifiers\":[\"example.org\"]}",
		"{\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\",\"x\":1}]}",
		"{\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"}],\"notBefore\":\"2026-01-01T00:00:00Z\"}",
		"{\"csr\":\"AAAA\"}", "{\"csr\":7}", "{\"csr\":\"\"}",
		"{\"certificate\":7}", "{\"certificate\":\"AAAA\",\"reason\":99}", "{\"certificate\":\"AAAA\",\"reason\":-1}", "{\"certificate\":\"AAAA\",\"x\":1}",
		/* a new account, but under an account's URL: that would change it */
		"{\"termsOfServiceAgreed\":true}", "{\"contact\":[\"mailto:admin@example.net\"]}", "{\"onlyReturnExisting\":true}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
		refused(f, ACME "/some/thing", ACCOUNT, payloads[i]);
	for (size_t i = 0; i < 32; i++) /* nor without one, up to where a new account is right */
		refused(f, ACME "/some/thing", NULL, payloads[i]);
}

static void contacts_of_the_account(void **state)
{
	static const char good[] = "{\"contact\":[\"mailto:admin@example.net\"]}";
	static const char *const bad[] = {
		"{\"contact\":[]}", "{\"contact\":[\"mailto:evil@example.net\"]}", "{\"contact\":[\"mailto:admin@example.net\",\"mailto:admin@example.net\"]}",
		"{\"contact\":\"mailto:admin@example.net\"}", "{\"contact\":null}", "{\"contact\":[\"mailto:admin@example.net\"],\"status\":\"deactivated\"}",
		"{\"contact\":[\"mailto:admin@example.net\"],\"termsOfServiceAgreed\":true}", "{\"status\":\"deactivated\"}", "{}",
	};
	struct fixture *f = *state;

	accepted(f, ACCOUNT, ACCOUNT, good); /* all that are configured, and nothing else */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(f, ACCOUNT, ACCOUNT, bad[i]);
	refused(f, ACCOUNT "/", ACCOUNT, good);
	refused(f, ACCOUNT "?", ACCOUNT, good);
	refused(f, ACME "/some/thing", ACCOUNT, good);
	refused(f, ACCOUNT "?x", ACCOUNT "?x", good);
}

static void new_accounts(void **state)
{
	struct fixture *f = *state;

	refused(f, ACME "/new-account", NULL, "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:evil@example.net\"]}");
	refused(f, ACME "/new-account", NULL, "{\"termsOfServiceAgreed\":true,\"contact\":\"mailto:admin@example.net\"}");
	refused(f, ACME "/new-account", NULL, "{\"termsOfServiceAgreed\":true,\"contact\":[7]}");
	refused(f, ACME "/new-account", NULL, "{\"termsOfServiceAgreed\":true,\"externalAccountBinding\":{}}");
	refused(f, ACME "/new-account", NULL, "{\"termsOfServiceAgreed\":true,\"status\":\"deactivated\"}");
	refused(f, ACME "/new-account", NULL, "");
	refused(f, ACME "/new-order", NULL, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"}]}");
	refused(f, ACME "/revoke", NULL, "{\"certificate\":\"AAAA\"}");
}

/* {"status": "deactivated"} ends an authorization at its URL, and the account at the account's. */
static void the_account_itself(void **state)
{
	static const char *const same[] = {
		ACCOUNT, "https://ACME.example/acct/1", "HTTPS://acme.example:443/acct/1", ACCOUNT "/", ACCOUNT "//", ACME "//acct/1", ACME "/./acct/1",
		ACME "/x/../acct/1", ACME "/%61cct/1", ACCOUNT "?", ACCOUNT "?x", ACCOUNT ";x", ACME "/ACCT/1", ACME "?/acct/1", ACME,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		refused(f, same[i], ACCOUNT, "{\"status\":\"deactivated\"}");
		refused(f, ACCOUNT, same[i], "{\"status\":\"deactivated\"}");
	}
	refused(f, ACCOUNT, ACCOUNT, "{}");
	refused(f, ACCOUNT "/", ACCOUNT, "{}");
	refused(f, ACCOUNT, ACCOUNT, "{\"certificate\":\"AAAA\"}");
	accepted(f, ACCOUNT "0", ACCOUNT, "{\"status\":\"deactivated\"}");
}

static void only_our_requests(void **state)
{
	struct fixture *f = *state;
	char *site = csr_payload(f, "site"), *other = csr_payload(f, "other"), *longer = mem_printf("%.*s\",\"x\":1}", (int)strlen(site) - 2, site);

	accepted(f, ACME "/f", ACCOUNT, site);
	refused(f, ACME "/f", ACCOUNT, other); /* ours, but not of this CA */
	refused(f, ACME "/f", ACCOUNT, longer);
	refused(f, ACME "/f", NULL, site);
	site[strlen(site) - 4] ^= 1;
	refused(f, ACME "/f", ACCOUNT, site);
	free(site);
	free(other);
	free(longer);
}

/* A request that waited since before: for names that the configuration gives to the certificate no more. */
static void only_for_configured_names(void **state)
{
	static const char fewer[] = FIXTURE_CONF
		"certificate = { name = \"site\"; ca = \"le\"; names = [ \"example.org\" ]; prove = [ \"http:www\" ]; };\n";
	static const char none[] = FIXTURE_CONF
		"certificate = { name = \"other\"; ca = \"le\"; names = [ \"example.org\", \"www.example.org\" ]; prove = [ \"http:www\" ]; };\n";
	struct fixture *f = *state;
	char *old = csr_payload(f, "site"), *new;

	fixture_configure(f, none);
	refused(f, ACME "/f", ACCOUNT, old);
	fixture_configure(f, fewer);
	refused(f, ACME "/f", ACCOUNT, old);
	new = csr_payload(f, "site");
	accepted(f, ACME "/f", ACCOUNT, new);
	fixture_configure(f, CONF);
	refused(f, ACME "/f", ACCOUNT, new);
	free(old);
	free(new);
}

/* RFC 8555 section 11.1, whatever stands in the files: as if somebody had put an account's key, and a request by it, where a certificate's wait. */
static void no_request_by_an_account_key(void **state)
{
	struct fixture *f = *state;
	const struct conf_cert *cert = conf_find_cert(f->conf, "site");
	struct csr_wish wish = { .names = cert->names.v, .nnames = cert->names.n };
	const struct account *account;
	char *payload, *pem, *b64;
	struct buf text;
	struct err err = { 0 };
	unsigned char *der;
	size_t len;

	account = vault_account(f->vault, conf_find_ca(f->conf, "bound"), &err); /* any account's */
	assert_non_null(account);
	assert_true(csr_build(account->key, &wish, &der, &len, &err));
	b64 = text_b64url_encode(der, len);
	payload = mem_printf("{\"csr\":\"%s\"}", b64);
	pem = fixture_read(f, "state/accounts/bound.pem");
	buf_init(&text, 0);
	assert_true(buf_puts(&text, pem) && csr_format(der, len, &text, &err));
	fixture_write(f, "state/pending/site.pem", text.data, 0600);
	buf_wipe(&text);
	fixture_open_vault(f);
	assert_string_equal(vault_find_request(f->vault, b64), "site");
	refused(f, ACME "/f", ACCOUNT, payload);
	free(payload);
	free(b64);
	free(pem);
	free(der);
}

/* A request whose key is another's: nothing here could use what is issued for it. */
static void only_by_the_key_that_waits(void **state)
{
	struct fixture *f = *state;
	char *site = csr_payload(f, "site"), *other, *pem;

	free(csr_payload(f, "other"));
	pem = fixture_read(f, "state/pending/other.pem");
	fixture_write(f, "state/pending/site.pem", pem, 0600);
	fixture_open_vault(f);
	refused(f, ACME "/f", ACCOUNT, site);
	other = csr_payload(f, "site");
	accepted(f, ACME "/f", ACCOUNT, other);
	free(site);
	free(other);
	free(pem);
}

static void bindings(void **state)
{
	struct fixture *f = *state;
	struct sign_wish w = { .url = "https://[2001:db8::1]:14000/new-account", .nonce = "n", .payload = "{\"termsOfServiceAgreed\":true}", .bind = true };
	const struct conf_ca *bound = conf_find_ca(f->conf, "bound");
	struct js *header, *payload, *binding, *inner;
	struct err err = { 0 };
	unsigned char *raw;
	char *path, *text;
	size_t len;

	assert_null(sign_jws(f->vault, f->conf, bound, &w, &err)); /* the secret is missing */
	assert_int_equal(err.kind, ERR_LOCAL);
	path = fixture_path(f, "credentials");
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	fixture_write(f, "credentials/eab", "???", 0600);
	assert_null(sign_jws(f->vault, f->conf, bound, &w, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	fixture_write(f, "credentials/eab", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0\n", 0600);
	text = sign(f, "bound", &w, &header);
	payload = js_parse(text, strlen(text), &err);
	assert_true(js_bool(payload, "termsOfServiceAgreed", false));
	binding = js_obj(payload, "externalAccountBinding");
	assert_non_null(binding);
	assert_true(text_b64url_decode(js_str(binding, "protected"), strlen(js_str(binding, "protected")), &raw, &len));
	inner = js_parse((char *)raw, len, &err);
	assert_string_equal(js_str(inner, "kid"), "kid-1");
	assert_string_equal(js_str(inner, "url"), w.url);
	assert_false(js_has(inner, "nonce"));
	free(raw);
	js_free(inner);
	js_free(payload);
	js_free(header);
	free(text);
	/* A CA without a binding signs as it is. */
	w.url = ACME "/new-account";
	text = sign(f, "le", &w, &header);
	assert_string_equal(text, w.payload);
	js_free(header);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_acme_needs, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(urls_elsewhere, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(nonces, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(shapes_not_in_the_table, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(contacts_of_the_account, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(new_accounts, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(the_account_itself, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(only_our_requests, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(only_for_configured_names, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(no_request_by_an_account_key, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(only_by_the_key_that_waits, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(bindings, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
