/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/text.h"
#include "crypto/csr.h"
#include "keeper_fixture.h"

#define CERT(names, key) FIXTURE_CONF "certificate = { name = \"site\"; names = [ " names " ]; key = \"" key "\"; prove = [ \"http:www\" ]; };\n"
#define SITE CERT("\"example.org\"", "ecdsa-p256")

/* --- accounts --- */

static void account_is_made_once(void **state)
{
	struct fixture *f = *state;
	const struct account *a;
	struct err err;
	char *thumbprint;
	size_t n;

	fixture_configure(f, SITE);
	vault_account_digests(f->vault, &n);
	assert_int_equal(n, 0);
	a = vault_account(f->vault, conf_find_ca(f->conf, "le"), &err);
	assert_non_null(a);
	thumbprint = mem_strdup(a->thumbprint);
	assert_int_equal(strlen(thumbprint), 43);
	assert_ptr_equal(vault_account(f->vault, conf_find_ca(f->conf, "le"), &err), a);
	assert_int_equal(fixture_stat(f, "state/accounts").st_mode & 07777, 0700);
	assert_int_equal(fixture_stat(f, "state/accounts/le.pem").st_mode & 07777, 0600);
	fixture_open_vault(f);
	vault_account_digests(f->vault, &n);
	assert_int_equal(n, 1);
	a = vault_account(f->vault, conf_find_ca(f->conf, "le"), &err);
	assert_string_equal(a->thumbprint, thumbprint);
	assert_string_not_equal(vault_account(f->vault, conf_find_ca(f->conf, "bound"), &err)->thumbprint, thumbprint);
	free(thumbprint);
}

static void account_key_is_never_replaced(void **state)
{
	static const char *const bad[] = { "", "-----BEGIN PRIVATE KEY-----\nhalf", "garbage" };
	struct fixture *f = *state;
	struct err err;
	char *text;

	fixture_configure(f, SITE);
	for (int i = 0; i < 3; i++) {
		fixture_write(f, "state/accounts/le.pem", bad[i], 0600);
		fixture_open_vault(f);
		assert_null(vault_account(f->vault, conf_find_ca(f->conf, "le"), &err));
		assert_string_equal(err.type, "account-key");
		text = fixture_read(f, "state/accounts/le.pem");
		assert_string_equal(text, bad[i]);
		free(text);
	}
}

static void leftovers_go(void **state)
{
	struct fixture *f = *state;

	fixture_write(f, "state/accounts/.le.pem.abcdef", "half a key", 0600);
	fixture_write(f, "state/pending/.site.pem", "half a key", 0600);
	fixture_open_vault(f);
	assert_false(fixture_has(f, "state/accounts/.le.pem.abcdef"));
	assert_false(fixture_has(f, "state/pending/.site.pem"));
}

/* --- requests --- */

struct asked {
	char csr[4096], key[65];
};

static struct asked ask(struct fixture *f)
{
	const struct conf_cert *cert = fixture_cert(f);
	struct csr_wish wish = { .names = cert->names.v, .nnames = cert->names.n };
	struct vault_request r;
	struct asked a = { 0 };
	const struct buf *pem;
	const struct key *key;
	unsigned char *der;
	struct err err;
	size_t len;

	if (!vault_request(f->vault, cert, &r, &err))
		fail_msg("%s", err.detail);
	snprintf(a.csr, sizeof(a.csr), "%s", r.csr);
	snprintf(a.key, sizeof(a.key), "%s", r.key);
	free(r.key);
	assert_string_equal(vault_find_request(f->vault, a.csr), cert->name);
	/* It is for the key that waits, of the type wanted, and for the names. */
	key = vault_pending(f->vault, cert->name, &pem, &err);
	assert_non_null(key);
	assert_int_equal(key_type(key), cert->key);
	assert_true(text_b64url_decode(a.csr, strlen(a.csr), &der, &len));
	assert_true(csr_check(key, &wish, der, len, &err));
	free(der);
	return a;
}

static void assert_asked(const struct asked *a, const struct asked *b, bool same_key, bool same_csr)
{
	assert_int_equal(strcmp(a->key, b->key) == 0, same_key);
	assert_int_equal(strcmp(a->csr, b->csr) == 0, same_csr);
}

static void request_stays_until_the_wish_changes(void **state)
{
	struct fixture *f = *state;
	struct asked first, second;

	fixture_configure(f, SITE);
	first = ask(f);
	assert_int_equal(fixture_stat(f, "state/pending").st_mode & 07777, 0700);
	assert_int_equal(fixture_stat(f, "state/pending/site.pem").st_mode & 07777, 0600);
	second = ask(f);
	assert_asked(&first, &second, true, true);
	fixture_open_vault(f); /* after a restart, too, and before anybody asks */
	assert_string_equal(vault_find_request(f->vault, first.csr), "site");
	second = ask(f);
	assert_asked(&first, &second, true, true);
	fixture_configure(f, CERT("\"example.org\", \"www.example.org\"", "ecdsa-p256"));
	second = ask(f);
	assert_asked(&first, &second, true, false);
	assert_null(vault_find_request(f->vault, first.csr));
	fixture_configure(f, CERT("\"example.org\", \"www.example.org\"", "ecdsa-p384"));
	first = ask(f);
	assert_asked(&first, &second, false, false);
}

static void torn_requests_are_made_again(void **state)
{
	struct fixture *f = *state;
	struct asked first, second;
	char *path;

	fixture_configure(f, SITE);
	first = ask(f);
	/* The request lost or spoilt: the key is the one the CA may know already. */
	fixture_write(f, "state/pending/site.csr", "", 0600);
	fixture_open_vault(f);
	second = ask(f);
	assert_asked(&first, &second, true, false);
	fixture_write(f, "state/pending/site.csr", "garbage", 0600);
	fixture_open_vault(f);
	second = ask(f);
	assert_asked(&first, &second, true, false);
	path = fixture_path(f, "state/pending/site.csr");
	unlink(path);
	free(path);
	fixture_open_vault(f);
	second = ask(f);
	assert_asked(&first, &second, true, false);
	/* The key spoilt: both anew. */
	fixture_write(f, "state/pending/site.pem", "-----BEGIN PRIVATE KEY-----\n", 0600);
	fixture_open_vault(f);
	first = ask(f);
	assert_asked(&first, &second, false, false);
}

/* Row 25: the key of an account put where a certificate's waits, its request beside it, is not asked for; another one is. */
static void an_account_key_gets_no_certificate(void **state)
{
	struct fixture *f = *state;
	const struct account *account;
	struct csr_wish wish = { 0 };
	unsigned char *der = NULL;
	struct asked first, second;
	char *pem, hex[65], *path;
	struct err err;
	size_t len = 0;
	FILE *out;

	fixture_configure(f, SITE);
	first = ask(f);
	account = vault_account(f->vault, conf_find_ca(f->conf, "le"), &err);
	assert_non_null(account);
	pem = fixture_read(f, "state/accounts/le.pem");
	fixture_write(f, "state/pending/site.pem", pem, 0600);
	wish = (struct csr_wish){ .names = fixture_cert(f)->names.v, .nnames = fixture_cert(f)->names.n };
	assert_true(csr_build(account->key, &wish, &der, &len, &err));
	path = fixture_path(f, "state/pending/site.csr");
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(der, 1, len, out), len);
	fclose(out);
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", account->digest[i]);
	fixture_open_vault(f);
	second = ask(f);
	assert_string_not_equal(second.key, hex);
	assert_asked(&first, &second, false, false);
	free(path);
	free(der);
	free(pem);
}

static void installed_key_waits_no_longer(void **state)
{
	struct fixture *f = *state;
	struct asked first, second;
	struct buf pem;
	char *text;

	fixture_configure(f, SITE);
	first = ask(f);
	buf_init(&pem, 0);
	assert_true(buf_puts(&pem, "another key"));
	vault_installed(f->vault, "site", &pem);
	assert_string_equal(vault_find_request(f->vault, first.csr), "site");
	buf_reset(&pem);
	text = fixture_read(f, "state/pending/site.pem");
	assert_true(buf_puts(&pem, text));
	free(text);
	vault_installed(f->vault, "site", &pem);
	vault_installed(f->vault, "site", &pem);
	buf_wipe(&pem);
	assert_null(vault_find_request(f->vault, first.csr));
	assert_false(fixture_has(f, "state/pending/site.pem"));
	second = ask(f);
	assert_asked(&first, &second, false, false);
}

static void nothing_is_promised_without_a_disk(void **state)
{
	struct fixture *f = *state;
	struct vault_request r;
	struct err err;
	char *path;

	fixture_configure(f, SITE);
	path = fixture_path(f, "state/pending");
	assert_int_equal(rmdir(path), 0);
	assert_false(vault_request(f->vault, fixture_cert(f), &r, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	assert_null(vault_find_request(f->vault, ""));
}

static void without_room_nothing_is_ordered(void **state)
{
	struct fixture *f = *state;
	struct rlimit was, little = {1000, 1000};
	struct err err;

	assert_true(vault_has_room(f->vault, &err));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	little.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	assert_false(vault_has_room(f->vault, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_true(vault_has_room(f->vault, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(account_is_made_once, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(account_key_is_never_replaced, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(leftovers_go, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(request_stays_until_the_wish_changes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(torn_requests_are_made_again, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(an_account_key_gets_no_certificate, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(installed_key_waits_no_longer, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_promised_without_a_disk, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(without_room_nothing_is_ordered, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
