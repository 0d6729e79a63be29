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
#include "bad_listing.h"
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

/* A folder that cannot be listed to its end: the key that was not seen is not replaced. */
static void unseen_keys_are_not_made_again(void **state)
{
	struct fixture *f = *state;
	char *key, *same;
	struct err err;
	int failed = 0;

	fixture_configure(f, SITE);
	assert_non_null(vault_account(f->vault, conf_find_ca(f->conf, "le"), &err));
	key = fixture_read(f, "state/accounts/le.pem");
	vault_close(f->vault);
	f->vault = NULL;
	for (int at = 0; !f->vault && at < 20; at++) {
		listing_fails_at = at;
		f->vault = vault_open(f->state, &err);
		failed += !f->vault && err.errnum == EIO;
	}
	listing_fails_at = INT_MAX;
	assert_non_null(f->vault);
	assert_int_equal(failed, 7); /* at ".", "..", the key and the end, and at ".", ".." and the end of the other folder */
	same = fixture_read(f, "state/accounts/le.pem");
	assert_string_equal(key, same);
	free(key);
	free(same);
}

static size_t count_pending(struct fixture *f)
{
	char *path = fixture_path(f, "state/pending");
	DIR *dir = opendir(path);
	size_t n = 0;

	assert_non_null(dir);
	for (struct dirent *d; (d = readdir(dir));)
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	closedir(dir);
	free(path);
	return n;
}

static void leftovers_go(void **state)
{
	struct fixture *f = *state;

	fixture_write(f, "state/accounts/.le.pem.abcdef", "half a key", 0600);
	fixture_write(f, "state/accounts/le.csr", "not ours", 0600);
	fixture_write(f, "state/pending/.site.pem", "half a key", 0600);
	fixture_write(f, "state/pending/.site.pem.abcdef", "half a key", 0600);
	fixture_write(f, "state/pending/.site.csr", "half a request", 0600);
	fixture_write(f, "state/pending/site.csr", "whose key is gone", 0600);
	fixture_open_vault(f);
	assert_false(fixture_has(f, "state/accounts/.le.pem.abcdef"));
	assert_true(fixture_has(f, "state/accounts/le.csr"));
	assert_int_equal(count_pending(f), 0);
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
	assert_int_equal(key_type(key), cert->key.type);
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

/* The two blocks of a waiting file. */
struct blocks {
	char key[8192], request[8192];
};

static char *format_request(const char *csr)
{
	unsigned char *der;
	struct buf text;
	size_t len;

	buf_init(&text, 0);
	assert_true(text_b64url_decode(csr, strlen(csr), &der, &len));
	assert_true(csr_format(der, len, &text, NULL));
	free(der);
	return buf_take(&text);
}

static struct blocks read_blocks(struct fixture *f)
{
	char *text = fixture_read(f, "state/pending/site.pem"), *request;
	struct blocks b;

	assert_non_null(text);
	request = strstr(text, CSR_BEGIN);
	assert_non_null(request);
	snprintf(b.request, sizeof(b.request), "%s", request);
	snprintf(b.key, sizeof(b.key), "%.*s", (int)(request - text), text);
	free(text);
	return b;
}

static void one_file_holds_both(void **state)
{
	struct fixture *f = *state;
	const struct buf *pem;
	const struct key *key;
	struct buf text;
	struct blocks b;
	struct asked a;
	struct err err;
	char *request;

	fixture_configure(f, SITE);
	a = ask(f);
	b = read_blocks(f);
	assert_int_equal(count_pending(f), 1);
	request = format_request(a.csr);
	assert_string_equal(b.request, request);
	free(request);
	for (int restarted = 0; restarted < 2; restarted++) {
		key = vault_pending(f->vault, "site", &pem, &err);
		assert_non_null(key);
		buf_init(&text, 0);
		assert_true(key_format(key, &text, &err));
		assert_string_equal(text.data, b.key);
		assert_string_equal(pem->data, b.key); /* what becomes privkey.pem has no request in it */
		assert_int_equal(pem->len, strlen(b.key));
		buf_wipe(&text);
		fixture_open_vault(f);
	}
}

/* What stands in the file: K the key that waits, R its request, k and r another pair, h half a request, x what is nothing. */
static void torn_requests_are_made_again(void **state)
{
	static const struct {
		const char *parts;
		bool key, request; /* are kept */
	} torn[] = {
		{ "KR", true, true },
		{ "K", true, false }, { "Kx", true, false }, { "Kh", true, false }, { "Kr", true, false }, { "Kk", true, false },
		{ "KRx", true, false }, { "KxR", true, false }, { "xKR", true, false }, { "KkR", true, false }, { "KRk", true, false },
		{ "KRR", true, false }, { "KRr", true, false }, { "KrR", true, false }, { "Krx", true, false },
		{ "", false, false }, { "x", false, false }, { "R", false, false }, { "RK", false, false }, { "kR", false, false },
		{ "HR", false, false }, { "H", false, false },
	};
	struct fixture *f = *state;
	struct asked first, second;
	struct blocks own, other;
	char text[65536];

	fixture_configure(f, SITE);
	ask(f);
	other = read_blocks(f);
	fixture_write(f, "state/pending/site.pem", "", 0600);
	fixture_open_vault(f);
	for (size_t i = 0; i < sizeof(torn) / sizeof(*torn); i++) {
		size_t n = 0;

		first = ask(f);
		own = read_blocks(f);
		text[0] = '\0';
		for (const char *p = torn[i].parts; *p; p++) {
			const char *part = strchr("KH", *p) ? own.key : strchr("Rh", *p) ? own.request : *p == 'k' ? other.key : *p == 'r' ? other.request : "x\n";

			n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s", (int)(strlen(part) / (strchr("Hh", *p) ? 2 : 1)), part);
		}
		fixture_write(f, "state/pending/site.pem", text, 0600);
		fixture_open_vault(f);
		second = ask(f);
		if ((strcmp(first.key, second.key) == 0) != torn[i].key || (strcmp(first.csr, second.csr) == 0) != torn[i].request)
			fail_msg("a file of %s", torn[i].parts);
		fixture_open_vault(f); /* and it lasts */
		first = ask(f);
		assert_asked(&first, &second, true, true);
	}
}

static void write_der(struct fixture *f, const char *csr)
{
	char *path = fixture_path(f, "state/pending/site.csr");
	FILE *out = fopen(path, "w");
	unsigned char *der;
	size_t len;

	assert_non_null(out);
	assert_true(text_b64url_decode(csr, strlen(csr), &der, &len));
	assert_int_equal(fwrite(der, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
	free(path);
	free(der);
}

/* Before, the request was a file of its own. The key is the one that an order under way may be for. */
static void the_key_of_an_old_pair_is_used(void **state)
{
	struct fixture *f = *state;
	struct asked first, second;
	struct blocks own, again;
	const struct buf *pem;
	struct err err;

	fixture_configure(f, SITE);
	first = ask(f);
	own = read_blocks(f);
	fixture_write(f, "state/pending/site.pem", own.key, 0600);
	write_der(f, first.csr);
	fixture_open_vault(f);
	assert_false(fixture_has(f, "state/pending/site.csr"));
	assert_non_null(vault_pending(f->vault, "site", &pem, &err)); /* a certificate that comes before anybody asks */
	assert_string_equal(pem->data, own.key);
	second = ask(f);
	assert_asked(&first, &second, true, false);
	again = read_blocks(f);
	assert_string_equal(again.key, own.key);
	assert_int_equal(count_pending(f), 1);
	/* One that is installed leaves nothing behind either. */
	fixture_write(f, "state/pending/site.pem", own.key, 0600);
	write_der(f, first.csr);
	fixture_open_vault(f);
	assert_non_null(vault_pending(f->vault, "site", &pem, &err));
	vault_installed(f->vault, "site", pem);
	assert_int_equal(count_pending(f), 0);
}

enum { MANY = 500 };

/* Its text is larger than a key's may be. */
static void a_large_request_stands_behind_its_key(void **state)
{
	static char names[MANY][256];
	const char *v[MANY];
	struct fixture *f = *state;
	struct vault_request r;
	struct conf_cert cert;
	struct err err;
	char *csr;

	fixture_configure(f, SITE);
	cert = *fixture_cert(f);
	cert.names.v = v;
	cert.names.n = MANY;
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d.%060d.%060d.%060d.example", i, i, i, i);
		v[i] = names[i];
	}
	assert_true(vault_request(f->vault, &cert, &r, &err));
	free(r.key);
	csr = mem_strdup(r.csr);
	assert_true(fixture_stat(f, "state/pending/site.pem").st_size > 2 * 64 * 1024);
	fixture_open_vault(f);
	assert_string_equal(vault_find_request(f->vault, csr), "site");
	assert_true(vault_request_fits(f->vault, &cert));
	free(csr);
}

static void a_draft_counts_when_it_is_kept(void **state)
{
	struct fixture *f = *state;
	struct vault_request r;
	struct vault_draft *d;
	struct sync s = { 0 };
	struct err err;
	char *csr;

	fixture_configure(f, SITE);
	for (int kept = 0; kept < 2; kept++) {
		d = vault_draft(f->vault, fixture_cert(f), &s);
		assert_non_null(d);
		assert_int_equal(s.n, 1);
		assert_true(sync_now(&s, &err));
		assert_true(fixture_has(f, "state/pending/.site.pem"));
		assert_int_equal(count_pending(f), 1);
		assert_true(vault_draft_keep(d, &s));
		assert_true(sync_now(&s, &err));
		assert_true(fixture_has(f, "state/pending/site.pem"));
		assert_int_equal(count_pending(f), 1);
		assert_int_equal(vault_draft_end(d, kept, &r), kept);
		assert_int_equal(count_pending(f), kept);
	}
	free(r.key);
	csr = mem_strdup(r.csr);
	assert_null(vault_draft(f->vault, fixture_cert(f), &s));
	assert_string_equal(ask(f).csr, csr);
	fixture_open_vault(f);
	assert_string_equal(ask(f).csr, csr);
	free(csr);
}

/* Row 25: the key of an account put where a certificate's waits, its request beside it, is not asked for; another one is. */
static void an_account_key_gets_no_certificate(void **state)
{
	struct fixture *f = *state;
	const struct account *account;
	struct csr_wish wish = { 0 };
	unsigned char *der = NULL;
	struct asked first, second;
	char *pem, hex[65];
	struct err err;
	struct buf text;
	size_t len = 0;

	fixture_configure(f, SITE);
	first = ask(f);
	account = vault_account(f->vault, conf_find_ca(f->conf, "le"), &err);
	assert_non_null(account);
	pem = fixture_read(f, "state/accounts/le.pem");
	wish = (struct csr_wish){ .names = fixture_cert(f)->names.v, .nnames = fixture_cert(f)->names.n };
	assert_true(csr_build(account->key, &wish, &der, &len, &err));
	buf_init(&text, 0);
	assert_true(buf_puts(&text, pem) && csr_format(der, len, &text, &err));
	fixture_write(f, "state/pending/site.pem", text.data, 0600);
	buf_wipe(&text);
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", account->digest[i]);
	fixture_open_vault(f);
	second = ask(f);
	assert_string_not_equal(second.key, hex);
	assert_asked(&first, &second, false, false);
	free(der);
	free(pem);
}

static void installed_key_waits_no_longer(void **state)
{
	struct fixture *f = *state;
	struct asked first, second;
	struct buf pem;
	struct blocks b;

	fixture_configure(f, SITE);
	first = ask(f);
	b = read_blocks(f);
	buf_init(&pem, 0);
	assert_true(buf_puts(&pem, "another key"));
	vault_installed(f->vault, "site", &pem);
	assert_string_equal(vault_find_request(f->vault, first.csr), "site");
	buf_reset(&pem);
	assert_true(buf_puts(&pem, b.key));
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
		cmocka_unit_test_setup_teardown(unseen_keys_are_not_made_again, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(leftovers_go, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(request_stays_until_the_wish_changes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(one_file_holds_both, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(torn_requests_are_made_again, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(the_key_of_an_old_pair_is_used, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_large_request_stands_behind_its_key, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_draft_counts_when_it_is_kept, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(an_account_key_gets_no_certificate, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(installed_key_waits_no_longer, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_promised_without_a_disk, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(without_room_nothing_is_ordered, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
