/* SPDX-License-Identifier: ISC */
/* Keys on a token: SoftHSM behind p11_module.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>

#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/jose.h"
#include "crypto/token.h"
#include "keeper/sign.h"
#include "keeper_fixture.h"
#include "keeper/token.h"

#define URI "pkcs11:token=web;object=www"
#define WITH_KEY(key, more) \
	"pkcs11_module = \"%D/module.so\"; pkcs11_timeout = \"1s\";\n" FIXTURE_CONF \
	"certificate = { name = \"site\"; names = [ \"example.org\" ]; key = [ \"" key "\" ]; prove = [ \"http:www\" ]; " more " };\n"
#define PIN "pkcs11_pin = \"credential:pin\";"
#define SITE WITH_KEY(URI, PIN)

/* --- the bed --- */

/* AddressSanitizer ends a process that binds a library deeply, as pkcs11-provider does with modules. */
void *dlopen(const char *file, int flags)
{
	void *(*next)(const char *file, int flags);

	*(void **)&next = dlsym(RTLD_NEXT, "dlopen");
	return next(file, flags & ~RTLD_DEEPBIND);
}

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void init_token(const struct fixture *f)
{
	run("softhsm2-util --init-token --free --label web --so-pin 999999 --pin 1234 >>%s/made", f->dir);
}

/* A fresh key as `object` on the token. */
static void put_key_as(const struct fixture *f, enum key_type type, const char *object, int id)
{
	struct key *k = key_generate(type, NULL);
	char *path = fixture_path(f, "import.pem");
	struct buf pem;

	buf_init(&pem, 0);
	assert_true(key_format(k, &pem, NULL));
	fixture_write(f, "import.pem", pem.data, 0600);
	run("softhsm2-util --import %s --token web --pin 1234 --label %s --id %02d --force >/dev/null", path, object, id);
	buf_wipe(&pem);
	key_free(k);
	free(path);
}

static void put_key(const struct fixture *f)
{
	put_key_as(f, KEY_ECDSA_P256, "www", 1);
}

/* The same name and PIN, and another key. */
static void renew_token(const struct fixture *f)
{
	run("softhsm2-util --delete-token --token web >>%s/made", f->dir);
	init_token(f);
	put_key(f);
}

static void set_pin(const struct fixture *f, const char *pin)
{
	fixture_write(f, "credentials/pin", pin, 0600);
}

static void set_fault(const struct fixture *f, const char *fault)
{
	fixture_write(f, "fault", fault, 0600);
}

static void make_token(const struct fixture *f)
{
	char *path = fixture_path(f, "softhsm2.conf"), *text = mem_printf("directories.tokendir = %s/tokens\nlog.level = ERROR\n", f->dir);

	fixture_write(f, "softhsm2.conf", text, 0600);
	setenv("SOFTHSM2_CONF", path, 1);
	setenv("P11_TEST_DIR", f->dir, 1);
	free(text);
	free(path);
	run("mkdir %s/tokens %s/credentials", f->dir, f->dir);
	init_token(f);
	run("cp \"${top_builddir:-.}/tests/unit/p11_module.so\" %s/module.so", f->dir);
	put_key(f);
	set_pin(f, "1234\n");
}

static int setup(void **state)
{
	fixture_setup(state);
	clock_thaw();
	make_token(*state);
	fixture_configure(*state, SITE);
	return 0;
}

/* How often the module was told a PIN, or refused one. */
static int count(const struct fixture *f, const char *what)
{
	char *log = fixture_read(f, "log"), *p = log;
	int n = 0;

	for (; p && (p = strstr(p, what)); p += strlen(what))
		n++;
	free(log);
	return n;
}

static void fails(struct fixture *f, const char *why)
{
	struct vault_request request;
	struct err err = { 0 };

	assert_false(vault_request(f->vault, fixture_cert(f), &request, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	if (!strstr(err.detail, why))
		fail_msg("\"%s\" is not in: %s", why, err.detail);
	assert_non_null(strstr(err.detail, fixture_cert(f)->key.uri));
	assert_null(strstr(err.detail, "1234"));
	assert_null(strstr(err.detail, "4321"));
}

static char *works(struct fixture *f)
{
	struct vault_request request;
	struct err err = { 0 };
	char *csr;

	if (!vault_request(f->vault, fixture_cert(f), &request, &err))
		fail_msg("%s", err.detail);
	csr = mem_strdup(request.csr);
	assert_int_equal(strlen(request.key), 64);
	free(request.key);
	return csr;
}

static void install(struct fixture *f, int64_t wanted)
{
	struct testca_wish wish = { .not_before = clock_now() - 60, .not_after = clock_now() + 86400 };
	char *chain = fixture_issue(f, &wish);
	int64_t generation = 0, previous;
	struct err err = { 0 };

	if (!install_chain(&f->install, fixture_cert(f), chain, strlen(chain), &generation, &previous, &err))
		fail_msg("%s", err.detail);
	assert_int_equal(generation, wanted);
	free(chain);
}

/* --- keys of certificates --- */

static void requests_are_signed_by_the_token(void **state)
{
	static const enum key_type types[] = { KEY_ECDSA_P256, KEY_ECDSA_P384, KEY_RSA_2048 };
	static const char *const name[] = { "example.org" };
	struct csr_wish wish = { .names = name, .nnames = 1 };
	struct fixture *f = *state;
	struct err err = { 0 };

	for (size_t i = 0; i < 3; i++) {
		const struct key *key;
		const struct buf *pem;
		unsigned char *der;
		char *csr;
		size_t len;

		if (i)
			put_key_as(f, types[i], i == 1 ? "p384" : "rsa", (int)i + 1);
		fixture_configure(f, i == 0 ? SITE : i == 1 ? WITH_KEY("pkcs11:token=web;object=p384;type=private", PIN) : WITH_KEY("pkcs11:token=web;object=rsa", PIN));
		csr = works(f);
		key = vault_pending(f->vault, "site", &pem, &err);
		assert_non_null(key);
		assert_string_equal(key_uri(key), fixture_cert(f)->key.uri);
		assert_int_equal(key_type(key), types[i]);
		assert_memory_equal(pem->data, "pkcs11:token=web;", 17);
		assert_null(strstr(pem->data, "PRIVATE"));
		assert_true(text_b64url_decode(csr, strlen(csr), &der, &len));
		assert_true(csr_check(key, &wish, der, len, &err));
		free(der);
		free(csr);
	}
}

/* No second request for the same key, not after a restart either. A new one when the token has another key. */
static void a_request_waits_as_long_as_the_key_is_there(void **state)
{
	struct fixture *f = *state;
	char *first = works(f), *again = works(f), *other;

	assert_string_equal(first, again);
	free(again);
	fixture_open_vault(f);
	assert_string_equal(vault_find_request(f->vault, first), "site");
	assert_true(vault_request_fits(f->vault, fixture_cert(f)));
	again = works(f);
	assert_string_equal(first, again);
	renew_token(f);
	other = works(f);
	assert_string_not_equal(first, other);
	free(first);
	free(again);
	free(other);
}

/* From a token to a file and back: each takes what the configuration says. */
static void the_configuration_says_where_the_key_is(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	const struct buf *pem;
	char *csr = works(f);

	free(csr);
	fixture_configure(f, WITH_KEY("ecdsa-p256", ""));
	csr = works(f);
	assert_null(key_uri(vault_pending(f->vault, "site", &pem, &err)));
	free(csr);
	fixture_configure(f, SITE);
	csr = works(f);
	assert_non_null(key_uri(vault_pending(f->vault, "site", &pem, &err)));
	free(csr);
}

static void a_generation_has_the_public_half(void **state)
{
	struct fixture *f = *state;
	int64_t generation;
	char *text, *hex, *csr;
	struct err err = { 0 };
	struct buf chain;

	fixture_configure(f, WITH_KEY(URI, PIN "install = ( { dir = \"%D/tls\"; }, { fullchain_file = \"%D/full.pem\"; } );"));
	install(f, 1);
	assert_false(fixture_has(f, "state/live/site/privkey.pem"));
	assert_false(fixture_has(f, "tls/privkey.pem"));
	text = fixture_read(f, "tls/pubkey.pem");
	assert_memory_equal(text, URI "\n-----BEGIN PUBLIC KEY-----\n", strlen(URI) + 28);
	free(text);
	assert_true(fixture_has(f, "full.pem"));
	assert_false(fixture_has(f, "state/pending/site.pem"));
	buf_init(&chain, 0);
	assert_true(install_current(&f->install, "site", &generation, &chain, &hex, &err));
	assert_int_equal(generation, 1);
	assert_int_equal(strlen(hex), 64);
	free(hex);
	buf_free(&chain);
	/* A request of the next renewal, by the same key, is still there after a restart and a daily look. */
	csr = works(f);
	assert_false(install_verify(&f->install, fixture_cert(f)));
	fixture_open_vault(f);
	install_repair(&f->install, f->conf);
	assert_string_equal(vault_find_request(f->vault, csr), "site");
	free(csr);
	fixture_write(f, "state/live/site/pubkey.pem", "torn", 0600);
	assert_true(install_verify(&f->install, fixture_cert(f)) || !fixture_has(f, "x")); /* nothing to go back to: told, not repaired */
	install(f, 2);
	install(f, 3);
	fixture_write(f, "state/live/site/pubkey.pem", "torn", 0600);
	assert_true(install_verify(&f->install, fixture_cert(f)));
	assert_true(install_rollback(&f->install, fixture_cert(f), false, &generation, &err));
}

/* The generation of before had its key in a file: back there, the file is back, and forth again it is not. */
static void rollback_goes_across(void **state)
{
	struct fixture *f = *state;
	int64_t generation;
	struct err err = { 0 };

	fixture_configure(f, WITH_KEY("ecdsa-p256", "install = { dir = \"%D/tls\"; };"));
	install(f, 1);
	assert_true(fixture_has(f, "tls/privkey.pem"));
	fixture_configure(f, WITH_KEY(URI, PIN "install = { dir = \"%D/tls\"; };"));
	install(f, 2);
	assert_false(fixture_has(f, "tls/privkey.pem"));
	assert_true(install_rollback(&f->install, fixture_cert(f), false, &generation, &err));
	assert_int_equal(generation, 1);
	assert_true(fixture_has(f, "tls/privkey.pem"));
	assert_false(fixture_has(f, "tls/pubkey.pem"));
}

/* --- what goes wrong --- */

static void a_wrong_pin_is_told_once(void **state)
{
	struct fixture *f = *state;
	char *csr;

	set_pin(f, "4321");
	fails(f, "refused the PIN");
	assert_int_equal(count(f, "refused"), 1);
	fails(f, "refused this PIN before");
	fixture_open_vault(f); /* the keeper was restarted */
	fails(f, "refused this PIN before");
	fixture_configure(f, WITH_KEY("pkcs11:token=web;object=other", PIN)); /* another key of the same token */
	fails(f, "refused this PIN before");
	assert_int_equal(count(f, "refused"), 1);
	assert_int_equal(count(f, "login"), 0);
	fixture_configure(f, SITE);
	set_pin(f, "4322");
	fails(f, "the token refused the PIN");
	assert_int_equal(count(f, "refused"), 2);
	set_pin(f, "1234");
	csr = works(f);
	free(csr);
	set_pin(f, "4321"); /* it is still known */
	fails(f, "refused this PIN before");
	assert_int_equal(count(f, "refused"), 2);
	assert_int_equal(fixture_stat(f, "state/" TOKEN_REFUSED).st_mode & 07777, 0600);
	csr = fixture_read(f, "state/" TOKEN_REFUSED);
	assert_null(strstr(csr, "4321"));
	free(csr);
}

static void what_is_missing_is_named(void **state)
{
	struct fixture *f = *state;
	char *csr;

	fixture_configure(f, WITH_KEY("pkcs11:token=absent;object=www", PIN));
	fails(f, "no such token");
	fixture_configure(f, WITH_KEY("pkcs11:token=web;object=absent", PIN));
	fails(f, "no such private key");
	fixture_configure(f, WITH_KEY(URI, ""));
	fails(f, "wants a PIN");
	assert_int_equal(count(f, "refused"), 0);
	fixture_configure(f, SITE);
	set_fault(f, "absent"); /* pulled out, and put back */
	fails(f, "no such token");
	set_fault(f, "");
	csr = works(f);
	free(csr);
	run("rm %s/credentials/pin", f->dir);
	fails(f, "pin");
	run("rm %s/module.so", f->dir);
	set_pin(f, "1234");
	fails(f, "module.so cannot be loaded");
}

static void a_module_that_crashes_or_hangs_is_outlived(void **state)
{
	struct fixture *f = *state;
	int64_t began;
	char *csr;

	set_fault(f, "crash sign");
	fails(f, "killed by signal 6");
	set_fault(f, "linger");
	csr = works(f);
	free(csr);
	renew_token(f);
	set_fault(f, "hang start");
	fails(f, "no answer within");
	began = clock_mono_ms();
	set_fault(f, "");
	fails(f, "asked again in"); /* at once */
	assert_true(clock_mono_ms() - began < 500);
	clock_freeze(clock_now());
	clock_advance(6 * 60000);
	csr = works(f);
	free(csr);
}

/* --- keys of accounts --- */

#define ON_TOKEN(key) \
	"pkcs11_module = \"%D/module.so\"; credentials = \"%D/credentials\";\n" \
	"ca = { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; agree_tos = true; " key " };\n"

static void an_account_signs_by_the_token(void **state)
{
	static const char conf[] = ON_TOKEN("account_key = \"pkcs11:token=web;object=www\"; " PIN);
	struct sign_wish wish = { .url = "https://acme.example/new", .nonce = "abc", .payload = "{\"termsOfServiceAgreed\":true}" };
	struct fixture *f = *state;
	const struct account *a;
	struct err err = { 0 };
	char *thumbprint, *jws;

	fixture_configure(f, conf);
	a = vault_account(f->vault, conf_find_ca(f->conf, "le"), &err);
	if (!a)
		fail_msg("%s", err.detail);
	thumbprint = mem_strdup(a->thumbprint);
	for (int i = 0; i < 2; i++) {
		jws = sign_jws(f->vault, f->conf, conf_find_ca(f->conf, "le"), &wish, &err);
		if (!jws)
			fail_msg("%s", err.detail);
		a = vault_account(f->vault, conf_find_ca(f->conf, "le"), &err);
		assert_true(jose_verify(a->key, jws, strlen(jws), &err));
		assert_string_equal(a->thumbprint, thumbprint);
		free(jws);
		fixture_open_vault(f); /* the public half is known without the token */
	}
	/* The key in the file and account_key must agree on where it is. */
	fixture_configure(f, ON_TOKEN("account_key = \"ecdsa-p256\";"));
	assert_null(vault_account(f->vault, conf_find_ca(f->conf, "le"), &err));
	assert_non_null(strstr(err.detail, "accounts/le.pem"));
	fixture_configure(f, ON_TOKEN("account_key = \"pkcs11:token=web;object=other\"; " PIN));
	assert_null(vault_account(f->vault, conf_find_ca(f->conf, "le"), &err));
	/* Another key under the same name is not taken for it. */
	fixture_configure(f, conf);
	renew_token(f);
	assert_null(sign_jws(f->vault, f->conf, conf_find_ca(f->conf, "le"), &wish, &err));
	assert_non_null(strstr(err.detail, "another one than before"));
	free(thumbprint);
}

static void one_key_is_not_both(void **state)
{
	struct fixture *f = *state;
	struct vault_request request;
	struct err err = { 0 };

	fixture_configure(f, ON_TOKEN("account_key = \"" URI "\"; " PIN) "http = { name = \"www\"; type = \"webroot\"; path = \"%D\"; };\n"
		"certificate = { name = \"site\"; names = \"example.org\"; key = \"" URI "\"; " PIN " };");
	assert_non_null(vault_account(f->vault, conf_find_ca(f->conf, "le"), &err));
	assert_false(vault_request(f->vault, fixture_cert(f), &request, &err));
	assert_string_equal(err.type, "accountKey");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_signed_by_the_token),
		TEST(a_request_waits_as_long_as_the_key_is_there),
		TEST(the_configuration_says_where_the_key_is),
		TEST(a_generation_has_the_public_half),
		TEST(rollback_goes_across),
		TEST(a_wrong_pin_is_told_once),
		TEST(what_is_missing_is_named),
		TEST(a_module_that_crashes_or_hangs_is_outlived),
		TEST(an_account_signs_by_the_token),
		TEST(one_key_is_not_both),
	};
	struct err err = { 0 };

	if (!token_backend(&err) || system("softhsm2-util --version >/dev/null 2>&1") != 0) {
		fprintf(stderr, "left out, no softhsm2 or %s\n", err.detail[0] ? err.detail : "no way to it");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
