/* SPDX-License-Identifier: ISC */
/* Folders with more than the four PEM files, from the configuration to the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/pkcs12.h>

#include "crypto/ossl.h"
#include "crypto/x509.h"
#include "keeper/format.h"
#include "keeper_fixture.h"

#define SITE(options) FIXTURE_CONF "certificate = { name = \"site\"; names = [ \"example.org\" ]; prove = [ \"http:www\" ];\n" \
	"install = { dir = \"%D/tls/a\"; " options " }; };\n"
#define ALL SITE("bundle = true; pkcs12 = true; der = true; pkcs12_password = \"credential:p12\";")

static int setup(void **state)
{
	struct fixture *f;
	char *path;

	fixture_setup(state);
	f = *state;
	path = fixture_path(f, "credentials");
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	fixture_write(f, "credentials/p12", "hush\n", 0600);
	return 0;
}

static bool install(struct fixture *f, const char *chain, struct err *err)
{
	int64_t generation, previous;

	err_clear(err);
	return install_chain(&f->install, fixture_cert(f), chain, strlen(chain), &generation, &previous, err);
}

static void installs(struct fixture *f, const char *chain)
{
	struct err err;

	if (!install(f, chain, &err))
		fail_msg("%s", err.detail);
}

/* What stands in tls/a. */
static struct buf read_file(const struct fixture *f, const char *name)
{
	char *path = mem_printf("%s/tls/a/%s", f->dir, name);
	struct err err = { 0 };
	struct buf b;

	buf_init(&b, BUNDLE_FILE_MAX);
	if (!file_read(AT_FDCWD, path, BUNDLE_FILE_MAX, &b, NULL, &err))
		fail_msg("%s", err.detail);
	free(path);
	return b;
}

static void assert_link(const struct fixture *f, const char *text)
{
	char *path = fixture_path(f, "tls/a"), found[64] = "";

	assert_true(readlink(path, found, sizeof(found) - 1) > 0);
	assert_string_equal(found, text);
	free(path);
}

static void assert_p12(const struct buf *b, const struct key *key, const char *password)
{
	const unsigned char *der = (const unsigned char *)b->data;
	PKCS12 *file = d2i_PKCS12(NULL, &der, (long)b->len);
	EVP_PKEY *pkey = NULL;
	X509 *leaf = NULL;

	assert_non_null(file);
	assert_int_equal(PKCS12_verify_mac(file, "wrong", -1), 0);
	assert_int_equal(PKCS12_parse(file, password, &pkey, &leaf, NULL), 1);
	assert_int_equal(EVP_PKEY_eq(pkey, key->pkey), 1);
	assert_int_equal(X509_check_private_key(leaf, pkey), 1);
	EVP_PKEY_free(pkey);
	X509_free(leaf);
	PKCS12_free(file);
}

/* All forms are of the same pair, by what reads them. */
static void assert_all(const struct fixture *f, const char *password)
{
	struct buf pem = read_file(f, "privkey.pem"), cert = read_file(f, "cert.pem"), full = read_file(f, "fullchain.pem"),
		   both = read_file(f, "bundle.pem"), p12 = read_file(f, "bundle.p12"), key_der = read_file(f, "privkey.der"),
		   cert_der = read_file(f, "cert.der"), *const all[] = { &pem, &cert, &full, &both, &p12, &key_der, &cert_der };
	const unsigned char *der = (const unsigned char *)key_der.data;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, (long)key_der.len);
	EVP_PKEY *pkey = EVP_PKCS82PKEY(info);
	struct key *key = key_parse(pem.data, pem.len, NULL);
	struct x509_chain *chain = x509_parse(cert.data, cert.len, NULL);
	size_t len;

	assert_ptr_equal(der, key_der.data + key_der.len);
	assert_int_equal(EVP_PKEY_eq(pkey, key->pkey), 1);
	x509_der(chain, 0, &der, &len);
	assert_int_equal(len, cert_der.len);
	assert_memory_equal(der, cert_der.data, len);
	assert_int_equal(both.len, pem.len + full.len);
	assert_memory_equal(both.data, pem.data, pem.len);
	assert_memory_equal(both.data + pem.len, full.data, full.len);
	assert_p12(&p12, key, password);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(pkey);
	key_free(key);
	x509_free(chain);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_wipe(all[i]);
}

static void all_forms(void **state)
{
	struct fixture *f = *state;
	char *chain, *manifest;

	fixture_configure(f, ALL);
	chain = fixture_issue(f, NULL);
	installs(f, chain);
	assert_all(f, "hush");
	assert_link(f, ".a.dovad/1");
	assert_int_equal(fixture_stat(f, "tls/a/bundle.p12").st_mode & 07777, 0640);
	manifest = fixture_read(f, "tls/a/.manifest");
	assert_non_null(strstr(manifest, "  bundle.p12\n"));
	assert_non_null(strstr(manifest, "  bundle.pem\n"));
	assert_non_null(strstr(manifest, "  privkey.der\n"));
	assert_non_null(strstr(manifest, "  cert.der\n"));
	free(manifest);
	/* Not in live/site, and asked again nothing is written. */
	assert_false(fixture_has(f, "state/live/site/bundle.pem"));
	installs(f, chain);
	install_repair(&f->install, f->conf);
	assert_link(f, ".a.dovad/1");
	assert_false(fixture_has(f, "tls/.a.dovad/2"));
	free(chain);
}

static void a_change_of_the_options_makes_a_generation(void **state)
{
	static const struct {
		const char *conf, *has, *lacks;
	} rows[] = {
		{ SITE(""), "cert.pem", "bundle.pem" },
		{ SITE("bundle = true;"), "bundle.pem", "bundle.p12" },
		{ SITE("der = true;"), "cert.der", "bundle.pem" },
		{ SITE("pkcs12 = true;"), "bundle.p12", "privkey.der" },
		{ SITE("pkcs12 = true; pkcs12_password = \"credential:p12\";"), "bundle.p12", "bundle.pem" },
	};
	struct fixture *f = *state;
	char *chain = NULL, *path, link[32];

	for (int i = 0; i < 5; i++) {
		fixture_configure(f, rows[i].conf);
		chain = chain ? chain : fixture_issue(f, NULL);
		installs(f, chain);
		snprintf(link, sizeof(link), ".a.dovad/%d", i + 1);
		assert_link(f, link);
		path = mem_printf("tls/a/%s", rows[i].has);
		assert_true(fixture_has(f, path));
		free(path);
		path = mem_printf("tls/a/%s", rows[i].lacks);
		assert_false(fixture_has(f, path));
		free(path);
		assert_link(f, link);
	}
	/* Back to what was: that generation is taken again. */
	fixture_configure(f, rows[1].conf);
	install_repair(&f->install, f->conf);
	assert_link(f, ".a.dovad/2");
	free(chain);
}

static void a_changed_password_is_noticed(void **state)
{
	struct fixture *f = *state;
	char *chain;

	fixture_configure(f, ALL);
	chain = fixture_issue(f, NULL);
	installs(f, chain);
	fixture_write(f, "credentials/p12", "louder", 0600);
	install_repair(&f->install, f->conf);
	assert_link(f, ".a.dovad/2");
	assert_all(f, "louder");
	fixture_configure(f, SITE("bundle = true; pkcs12 = true; der = true;"));
	installs(f, chain);
	assert_all(f, "");
	free(chain);
}

static void a_missing_password_is_told(void **state)
{
	static const char nul[] = "a\0b";
	struct fixture *f = *state;
	char *chain, *path = fixture_path(f, "credentials/p12");
	struct err err;
	FILE *file;

	fixture_configure(f, ALL);
	chain = fixture_issue(f, NULL);
	assert_int_equal(unlink(path), 0);
	assert_false(install(f, chain, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_non_null(strstr(err.detail, "pkcs12_password: "));
	assert_true(fixture_has(f, "state/live/site/privkey.pem"));
	assert_false(fixture_has(f, "tls/a"));
	file = fopen(path, "w");
	assert_int_equal(fwrite(nul, 1, 3, file), 3);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	assert_false(install(f, chain, &err));
	assert_non_null(strstr(err.detail, "NUL"));
	fixture_write(f, "credentials/p12", "hush", 0600);
	installs(f, chain);
	assert_all(f, "hush");
	free(path);
	free(chain);
}

static void a_torn_form_is_noticed(void **state)
{
	static const char *const names[] = { "bundle.pem", "bundle.p12", "privkey.der", "cert.der" };
	struct fixture *f = *state;
	char *chain, *path, link[32];

	fixture_configure(f, ALL);
	chain = fixture_issue(f, NULL);
	installs(f, chain);
	for (int i = 0; i < 8; i++) {
		path = mem_printf("tls/a/%s", names[i / 2]);
		if (i % 2) {
			fixture_write(f, path, "half", 0640);
		} else {
			char *file = fixture_path(f, path);

			assert_int_equal(unlink(file), 0);
			free(file);
		}
		free(path);
		install_repair(&f->install, f->conf);
		snprintf(link, sizeof(link), ".a.dovad/%d", i + 2);
		assert_link(f, link);
		assert_all(f, "hush");
	}
	free(chain);
}

/* Two sets: all that goes with a folder, and the parts of files. */
static void parts_are_as_configured(void **state)
{
	struct conf_target files = { .file = { [CONF_PART_KEY] = "/k", [CONF_PART_PKCS12] = "/p" } }, dir = { .dir = "/d" };

	(void)state;
	assert_int_equal(format_parts(&dir, BUNDLE_PEM), BUNDLE_PEM);
	dir.der = true;
	assert_int_equal(format_parts(&dir, BUNDLE_PEM), BUNDLE_PEM | 1 << CONF_PART_KEY_DER | 1 << CONF_PART_CERT_DER);
	assert_int_equal(format_parts(&files, BUNDLE_PEM), 1 << CONF_PART_KEY | 1 << CONF_PART_PKCS12);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_forms),
		TEST(a_change_of_the_options_makes_a_generation),
		TEST(a_changed_password_is_noticed),
		TEST(a_missing_password_is_told),
		TEST(a_torn_form_is_noticed),
		cmocka_unit_test(parts_are_as_configured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
