/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/x509.h"
#include "testca.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NAMES(...) .names = (const char *const[]){ __VA_ARGS__ }, .nnames = COUNT(((const char *const[]){ __VA_ARGS__ }))

static struct testca *root, *middle;
static struct key *key, *other_key;

static int make_authority(void **state)
{
	(void)state;
	root = testca_new("Test Root", NULL, NULL);
	middle = testca_new("Test Intermediate", root, NULL);
	key = key_generate(KEY_ECDSA_P256, NULL);
	other_key = key_generate(KEY_ECDSA_P256, NULL);
	return key && other_key ? 0 : -1;
}

static int end_authority(void **state)
{
	(void)state;
	testca_free(middle);
	testca_free(root);
	key_free(key);
	key_free(other_key);
	return 0;
}

/* Takes over both texts. */
static char *join(char *a, char *b)
{
	char *both = mem_printf("%s%s", a, b);

	free(a);
	free(b);
	return both;
}

/* Takes over the text; what is parsed has no byte behind it, so that the sanitizer sees who reads on. */
static struct x509_chain *parse(char *pem)
{
	size_t len = strlen(pem);
	char *exact = memcpy(mem_alloc(len), pem, len);
	struct err err = { 0 };
	struct x509_chain *c = x509_parse(exact, len, &err);

	assert_string_equal(err.detail, "");
	assert_non_null(c);
	free(exact);
	free(pem);
	return c;
}

static void assert_denied(const struct err *err, const char *word)
{
	assert_int_equal(err->kind, ERR_DENIED);
	assert_string_equal(err->type, "badCertificate");
	if (!strstr(err->detail, word))
		fail_msg("\"%s\" is not in \"%s\"", word, err->detail);
	assert_int_equal(ERR_peek_error(), 0); /* else the next TLS connection would trip over it */
}

static void assert_unparsed_bytes(const char *pem, size_t len, const char *word)
{
	struct err err = { 0 };
	char *exact = len > 0 ? memcpy(mem_alloc(len), pem, len) : NULL;

	assert_null(x509_parse(exact, len, &err));
	assert_denied(&err, word);
	free(exact);
}

/* Takes over the text. */
static void assert_unparsed(char *pem, const char *word)
{
	assert_unparsed_bytes(pem, strlen(pem), word);
	free(pem);
}

static const char *const asked_names[] = { "*.example.org", "example.org" };
static const struct testca_wish good = { .names = asked_names, .nnames = 2 };
static const struct x509_wish asked = { .names = asked_names, .nnames = 2, .now = TESTCA_NOW };

static char *good_chain(void)
{
	return testca_chain(middle, key, &good);
}

/* Takes over the text. */
static void assert_accepted(char *pem, const struct x509_wish *wish)
{
	struct x509_chain *c = parse(pem);
	struct err err = { 0 };

	if (!x509_accept(c, wish, &err))
		fail_msg("refused: %s", err.detail);
	assert_int_equal(ERR_peek_error(), 0);
	x509_free(c);
}

static void assert_refused(char *pem, const struct x509_wish *wish, const char *word)
{
	struct x509_chain *c = parse(pem);
	struct err err = { 0 };

	assert_false(x509_accept(c, wish, &err));
	assert_denied(&err, word);
	x509_free(c);
}

/* A leaf of `middle` with these wishes, against a wish for example.org. */
static void assert_leaf(const struct testca_wish *made, const char *word)
{
	const struct x509_wish wish = { .key = key, NAMES("example.org"), .now = TESTCA_NOW };
	char *pem = testca_chain(middle, key, made);

	if (word)
		assert_refused(pem, &wish, word);
	else
		assert_accepted(pem, &wish);
}

/* --- reading --- */

static void test_leaf_is_read(void **state)
{
	struct testca_wish wish = { NAMES("Example.ORG", "*.example.org"), .cn = "example.org", .serial = "1234ABCD",
				    .aki = "0A0B" };
	struct x509_chain *c = parse(testca_chain(middle, key, &wish));
	const struct x509_leaf *leaf = x509_leaf(c);

	(void)state;
	assert_int_equal(leaf->not_before, TESTCA_NOW - 3600);
	assert_int_equal(leaf->not_after, TESTCA_NOW + 90 * 86400);
	assert_string_equal(leaf->serial, "1234abcd");
	assert_string_equal(leaf->issuer, "Test Intermediate");
	assert_string_equal(leaf->root, "Test Root");
	assert_string_equal(leaf->aki, "0a0b");
	assert_int_equal(strlen(leaf->fingerprint), 64);
	assert_int_equal(leaf->nnames, 2);
	assert_string_equal(leaf->names[0], "example.org");
	assert_string_equal(leaf->names[1], "*.example.org");
	assert_int_equal(leaf->length, 2);
	x509_free(c);
	x509_free(NULL);
}

/* RFC 9773 wants the octets of the DER integer: a leading zero belongs to them. */
static void test_serial_keeps_its_octets(void **state)
{
	static const char *const rows[][2] = {
		{ "0", "00" },
		{ "7F", "7f" },
		{ "80", "0080" },
		{ "87654321", "0087654321" },
		{ "-80", "80" },
		{ "00FFEEDDCCBBAA99887766554433221100FFEEDD", "00ffeeddccbbaa99887766554433221100ffeedd" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct testca_wish wish = { NAMES("a.example"), .serial = rows[i][0] };
		struct x509_chain *c = parse(testca_mint(middle, key, &wish));

		assert_string_equal(x509_leaf(c)->serial, rows[i][1]);
		x509_free(c);
	}
}

static void test_identifiers_have_a_limit(void **state)
{
	char digits[131];
	struct testca_wish serial = { NAMES("a.example"), .serial = digits }, aki = { NAMES("a.example"), .aki = digits };

	(void)state;
	memset(digits, '7', sizeof digits);
	digits[128] = '\0';
	x509_free(parse(testca_mint(middle, key, &serial)));
	x509_free(parse(testca_mint(middle, key, &aki)));
	digits[128] = '7';
	digits[130] = '\0';
	assert_unparsed(testca_mint(middle, key, &serial), "serial number is too long");
	assert_unparsed(testca_mint(middle, key, &aki), "key identifier is too long");
}

static void test_leaf_without_key_identifier_and_names(void **state)
{
	struct testca_wish wish = { .cn = "example.org", .aki = "" };
	struct x509_chain *c = parse(testca_mint(middle, key, &wish));

	(void)state;
	assert_null(x509_leaf(c)->aki);
	assert_int_equal(x509_leaf(c)->nnames, 0);
	x509_free(c);
}

static void test_issuer_is_escaped_and_cut(void **state)
{
	char longest[65];
	const struct {
		const char *cn, *org, *expected;
	} rows[] = {
		{ "Evil\x1b[31m\nCA", NULL, "Evil\\x1b[31m\\x0aCA" },
		{ NULL, "Some Organisation", "O=Some Organisation" },
		{ NULL, NULL, "" },
		{ longest, NULL, longest },
	};

	(void)state;
	memset(longest, 'x', 64);
	longest[64] = '\0';
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct testca_wish wish = { .org = rows[i].org };
		struct testca *ca = testca_new(rows[i].cn, NULL, &wish);
		struct x509_chain *c = parse(testca_mint(ca, key, &good));

		assert_string_equal(x509_leaf(c)->issuer, rows[i].expected);
		assert_string_equal(x509_leaf(c)->root, rows[i].expected);
		x509_free(c);
		testca_free(ca);
	}
}

/* --- what the text may look like --- */

static char *with_line_ends(char *pem, const char *line_end)
{
	char *out = mem_alloc(2 * strlen(pem) + 1), *at = out;

	for (const char *in = pem; *in; in++) {
		if (*in == '\n')
			at = stpcpy(at, line_end);
		else
			*at++ = *in;
	}
	free(pem);
	return out;
}

static void assert_same_as(char *pem, const char *expected)
{
	struct x509_chain *c = parse(pem);
	struct buf out;

	buf_init(&out, 0);
	assert_true(x509_format(c, X509_FULLCHAIN, &out));
	assert_string_equal(out.data, expected);
	buf_free(&out);
	x509_free(c);
}

static void test_harmless_dress_is_taken_off(void **state)
{
	char *plain = good_chain(), *first = testca_mint(middle, key, &good), *second = testca_pem(middle), *two, *last;

	(void)state;
	assert_same_as(mem_strdup(plain), plain);
	assert_same_as(with_line_ends(mem_strdup(plain), "\r\n"), plain);
	assert_same_as(mem_printf("\xef\xbb\xbf%s", plain), plain);
	assert_same_as(mem_printf("subject=CN = x\n\n%s\nthe end, \xff\xfe", plain), plain);
	assert_same_as(mem_strndup(plain, strlen(plain) - 1), plain);
	two = mem_printf("%s%s", first, second);
	assert_same_as(mem_printf("%s\n  text - between -----\n\n%s", first, second), two);
	last = mem_strndup(first, strlen(first) - 1);
	assert_same_as(mem_printf("%s%s", last, second), two);
	free(last);
	free(two);
	free(first);
	free(second);
	free(plain);
}

static void test_line_lengths_do_not_matter(void **state)
{
	char *plain = testca_mint(middle, key, &good), *copy = mem_strdup(plain), *body = strchr(copy, '\n') + 1;
	char *end = strstr(body, "-----END");

	(void)state;
	for (char *c = body; c < end; c++) {
		if (*c == '\n')
			*c = ' ';
	}
	assert_same_as(copy, plain);
	free(plain);
}

/* RFC 8555 section 11.4: a label other than CERTIFICATE, wherever it stands, condemns the whole answer. */
static void test_other_blocks_are_refused(void **state)
{
	static const char *const blocks[] = {
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
		"  -----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
		"text -----BEGIN PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
		"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n",
		"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
		"-----BEGIN CERTIFICATE----\n",
		"-----BEGIN certificate-----\n",
		"-----BEGINCERTIFICATE-----\n",
		"-----BEGIN",
		"------BEGIN PRIVATE KEY------",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(blocks); i++) {
		assert_unparsed(join(mem_strdup(blocks[i]), good_chain()), "no certificate");
		assert_unparsed(join(good_chain(), mem_strdup(blocks[i])), "no certificate");
		assert_unparsed(join(join(testca_mint(middle, key, &good), mem_strdup(blocks[i])), testca_pem(middle)),
				"no certificate");
		assert_unparsed(mem_strdup(blocks[i]), "no certificate");
	}
}

static void test_private_key_of_ours_is_refused(void **state)
{
	struct buf pem;

	(void)state;
	buf_init(&pem, 0);
	assert_true(key_format(key, &pem, NULL));
	assert_unparsed(join(good_chain(), mem_strdup(pem.data)), "no certificate");
	assert_unparsed(join(mem_strdup(pem.data), good_chain()), "no certificate");
	buf_wipe(&pem);
}

static void test_damaged_blocks_are_refused(void **state)
{
	static const struct {
		const char *text, *word;
	} rows[] = {
		{ "-----BEGIN CERTIFICATE-----\n", "without its end" },
		{ "-----BEGIN CERTIFICATE-----", "without its end" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE----", "without its end" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----\n", "without its end" },
		{ "-----BEGIN CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "without its end" },
		{ "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nA===\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\n====\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nAA==AAAA\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nAA-_\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nAA\xc3\xa4\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END CERTIFICATE-----\n", "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a certificate" },
		{ "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "not a certificate" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_unparsed(mem_strdup(rows[i].text), rows[i].word);
		assert_unparsed(join(good_chain(), mem_strdup(rows[i].text)), rows[i].word);
	}
}

static void test_no_certificate_is_refused(void **state)
{
	char *pem = good_chain();
	size_t len = strlen(pem);

	(void)state;
	assert_unparsed_bytes("", 0, "empty");
	assert_unparsed_bytes("\n", 1, "no certificate");
	assert_unparsed_bytes("\xef\xbb\xbf", 3, "no certificate");
	assert_unparsed_bytes("<html>503</html>", 16, "no certificate");
	assert_unparsed_bytes("-----END CERTIFICATE-----\n", 26, "no certificate");
	assert_unparsed_bytes(pem, len + 1, "NUL");
	pem[len / 2] = '\0';
	assert_unparsed_bytes(pem, len, "NUL");
	free(pem);
}

static void test_every_shorter_text_is_refused(void **state)
{
	char *pem = testca_mint(middle, key, &good);

	(void)state;
	for (size_t len = 0; len < strlen(pem) - 1; len++)
		assert_unparsed_bytes(pem, len, "");
	free(pem);
}

static void test_chain_length_has_a_limit(void **state)
{
	char *pem = testca_mint(middle, key, &good);
	struct x509_chain *c;

	(void)state;
	for (int i = 1; i < X509_CHAIN_MAX; i++)
		pem = join(pem, testca_pem(middle));
	c = parse(mem_strdup(pem));
	assert_int_equal(x509_leaf(c)->length, X509_CHAIN_MAX);
	x509_free(c);
	assert_unparsed(join(pem, testca_pem(middle)), "more certificates");
}

static void test_size_has_a_limit(void **state)
{
	char *pem = good_chain(), *large = mem_alloc(X509_PEM_MAX + 2);

	(void)state;
	memset(large, '\n', X509_PEM_MAX + 1);
	memcpy(large, pem, strlen(pem));
	assert_unparsed_bytes(large, X509_PEM_MAX + 1, "too large");
	large[X509_PEM_MAX] = '\0';
	assert_same_as(large, pem);
	free(pem);
}

/* --- names that are tricks --- */

static void test_hostile_names_are_refused(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} rows[] = {
		{ "example.org\0.evil.example", 25 }, { "\0", 1 },	   { "", 0 }, { "example.org ", 12 },
		{ "example.org\n", 12 },	      { "ex\xc3\xa4.org", 8 }, { "\x7f", 1 },
	};
	char longest[254];
	struct testca_wish wish = { NAMES("example.org") };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		wish.raw = rows[i].name;
		wish.raw_len = rows[i].len;
		assert_unparsed(testca_chain(middle, key, &wish), "bytes that no host name has");
	}
	memset(longest, 'a', sizeof longest);
	wish.raw = longest;
	wish.raw_len = 254;
	assert_unparsed(testca_mint(middle, key, &wish), "bytes that no host name has");
	wish.raw_len = 253;
	x509_free(parse(testca_mint(middle, key, &wish)));
}

static void test_unreadable_names_are_refused(void **state)
{
	struct testca_wish twice = { NAMES("example.org"), .names_twice = true }, broken = { .names_broken = true };

	(void)state;
	assert_unparsed(testca_mint(middle, key, &twice), "names cannot be read");
	assert_unparsed(testca_mint(middle, key, &broken), "names cannot be read");
}

static void test_number_of_names_has_a_limit(void **state)
{
	static char text[X509_NAMES_MAX + 1][16];
	static const char *many[X509_NAMES_MAX + 1];
	struct testca_wish wish = { .names = many, .nnames = X509_NAMES_MAX };
	struct x509_wish ask = { .key = key, .names = many, .nnames = X509_NAMES_MAX, .now = TESTCA_NOW };

	(void)state;
	for (size_t i = 0; i < COUNT(many); i++) {
		snprintf(text[i], sizeof text[i], "h%zu.example", i);
		many[i] = text[i];
	}
	assert_accepted(testca_mint(middle, key, &wish), &ask);
	wish.nnames++;
	assert_unparsed(testca_mint(middle, key, &wish), "too many");
}

/* --- DER, parts, comparison --- */

static void test_der_of_a_server(void **state)
{
	struct x509_chain *c = parse(good_chain()), *above = parse(testca_pem(middle)), *d;
	const unsigned char *der[2];
	size_t len[2];

	(void)state;
	x509_der(c, 0, &der[0], &len[0]);
	x509_der(above, 0, &der[1], &len[1]);
	d = x509_parse_der(der, len, 2, NULL);
	assert_non_null(d);
	assert_int_equal(x509_leaf(d)->length, 2);
	assert_true(x509_same_leaf(c, d));
	assert_false(x509_same_leaf(c, above));
	assert_string_equal(x509_leaf(c)->fingerprint, x509_leaf(d)->fingerprint);
	assert_true(x509_accept(d, &asked, NULL));
	assert_true(x509_is_ordered(d));
	x509_free(d);
	der[1] = der[0];
	len[1] = len[0];
	d = x509_parse_der(der, len, 2, NULL);
	assert_false(x509_is_ordered(d)); /* twice the same */
	assert_true(x509_is_ordered(c) && x509_is_ordered(above));
	x509_free(c);
	x509_free(above);
	x509_free(d);
}

static void assert_unparsed_der(const unsigned char *der, size_t len, size_t n, const char *word)
{
	const unsigned char *all[X509_CHAIN_MAX + 1];
	size_t lens[X509_CHAIN_MAX + 1];
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT(all); i++) {
		all[i] = der;
		lens[i] = len;
	}
	assert_null(x509_parse_der(all, lens, n, &err));
	assert_denied(&err, word);
}

static void test_der_is_refused_like_pem(void **state)
{
	struct x509_chain *c = parse(good_chain());
	unsigned char *longer, *large = mem_alloc(X509_PEM_MAX + 1);
	const unsigned char *der;
	size_t len;

	(void)state;
	x509_der(c, 0, &der, &len);
	assert_unparsed_der(der, len, 0, "no certificate");
	assert_unparsed_der(der, len, X509_CHAIN_MAX + 1, "more certificates");
	assert_unparsed_der(der, len - 1, 1, "not a certificate");
	assert_unparsed_der(der, 0, 1, "gap");
	assert_unparsed_der(NULL, 0, 1, "gap");
	assert_unparsed_der(large, X509_PEM_MAX + 1, 1, "too large");
	assert_unparsed_der(large, X509_PEM_MAX, 1, "not a certificate");

	longer = mem_alloc(len + 1);
	memcpy(longer, der, len);
	assert_unparsed_der(longer, len + 1, 1, "bytes behind it");
	/* The outer length in one octet more than it needs: BER, not DER. */
	assert_int_equal(der[1], 0x82);
	memcpy(longer + 3, der + 2, len - 2);
	longer[1] = 0x83;
	longer[2] = 0;
	assert_unparsed_der(longer, len + 1, 1, "not in DER");
	free(longer);
	free(large);
	x509_free(c);
}

static void test_size_of_all_der_has_a_limit(void **state)
{
	static char text[X509_NAMES_MAX][160];
	static const char *many[X509_NAMES_MAX];
	struct testca_wish wish = { .names = many, .nnames = X509_NAMES_MAX };
	struct x509_chain *c;
	const unsigned char *der;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(many); i++) {
		memset(text[i], 'a', sizeof text[i] - 1);
		many[i] = text[i];
	}
	c = parse(testca_mint(middle, key, &wish));
	x509_der(c, 0, &der, &len);
	assert_true(len > X509_PEM_MAX / 2 && len < X509_PEM_MAX);
	assert_unparsed_der(der, len, 2, "too large");
	x509_free(c);
}

static void test_parts(void **state)
{
	char *cert = testca_mint(middle, key, &good), *chain = testca_pem(middle), *full = mem_printf("%s%s", cert, chain);
	const char *const expected[] = { [X509_CERT] = cert, [X509_CHAIN] = chain, [X509_FULLCHAIN] = full };
	struct x509_chain *c = parse(mem_strdup(full)), *alone = parse(mem_strdup(cert));
	struct buf out;

	(void)state;
	for (enum x509_part part = X509_CERT; part <= X509_FULLCHAIN; part++) {
		buf_init(&out, 0);
		assert_true(buf_puts(&out, "#"));
		assert_true(x509_format(c, part, &out));
		assert_string_equal(out.data + 1, expected[part]);
		buf_free(&out);
	}
	buf_init(&out, 0);
	assert_true(x509_format(alone, X509_CHAIN, &out));
	assert_int_equal(out.len, 0);
	buf_free(&out);
	buf_init(&out, strlen(full) - 1);
	assert_false(x509_format(c, X509_FULLCHAIN, &out));
	assert_int_equal(out.len, 0);
	buf_free(&out);
	x509_free(c);
	x509_free(alone);
	free(cert);
	free(chain);
	free(full);
}

/* --- acceptance --- */

static void test_right_chains_are_accepted(void **state)
{
	struct x509_wish wish = asked;

	(void)state;
	wish.key = key;
	assert_accepted(good_chain(), &wish);
	assert_accepted(testca_mint(middle, key, &good), &wish);
	assert_accepted(join(good_chain(), testca_pem(root)), &wish);
	assert_accepted(testca_mint(root, key, &good), &wish);
}

static void test_every_kind_of_key_is_accepted(void **state)
{
	(void)state;
	for (enum key_type type = 0; type <= KEY_RSA_2048; type++) {
		struct key *k = key_generate(type, NULL);
		struct x509_wish wish = asked;

		wish.key = k;
		assert_accepted(testca_chain(middle, k, &good), &wish);
		wish.key = key;
		assert_refused(testca_chain(middle, k, &good), &wish, "another key");
		key_free(k);
	}
}

static void test_key_must_fit(void **state)
{
	unsigned char digest[32], other_digest[32];
	struct x509_wish wish = asked;

	(void)state;
	assert_true(key_digest(key, digest, NULL));
	assert_true(key_digest(other_key, other_digest, NULL));
	assert_accepted(good_chain(), &wish);
	wish.key_digest = digest;
	assert_accepted(good_chain(), &wish);
	wish.key_digest = other_digest;
	assert_refused(good_chain(), &wish, "another key");
	wish.key = key;
	assert_accepted(good_chain(), &wish);
	wish.key_digest = digest;
	wish.key = other_key;
	assert_refused(good_chain(), &wish, "another key");
}

static void test_account_key_is_refused(void **state)
{
	unsigned char accounts[2][32] = { { 0 } };
	struct x509_wish wish = asked;

	(void)state;
	wish.key = key;
	wish.account_digests = (const unsigned char (*)[32])accounts;
	wish.naccounts = 2;
	assert_accepted(good_chain(), &wish);
	assert_true(key_digest(key, accounts[1], NULL));
	assert_refused(good_chain(), &wish, "account key");
}

static void test_names_must_be_the_asked_ones(void **state)
{
	const struct {
		struct testca_wish made;
		const char *word;
	} rows[] = {
		{ { NAMES("example.org") }, NULL },
		{ { NAMES("EXAMPLE.Org") }, NULL },
		{ { NAMES("example.org", "example.org") }, NULL },
		{ { NAMES("www.example.org") }, "the name example.org is missing" },
		{ { NAMES("example.org", "www.example.org") }, "the name www.example.org was not asked for" },
		{ { NAMES("*.org") }, "the name example.org is missing" },
		{ { NAMES("example.org", "*.example.org") }, "the name *.example.org was not asked for" },
		{ { NAMES("example.org.") }, "the name example.org is missing" },
		{ { .cn = "example.org" }, "the name example.org is missing" },
		{ { NAMES("example.org"), .address = "192.0.2.1" }, "another kind" },
		{ { NAMES("example.org"), .address = "2001:db8::1" }, "another kind" },
	};
	struct x509_wish three = asked;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_leaf(&rows[i].made, rows[i].word);
	three.names = (const char *const[]){ "example.org", "*.example.org", "example.net" };
	three.nnames = 3;
	assert_refused(good_chain(), &three, "the name example.net is missing");
}

static void test_times(void **state)
{
	const int64_t now = TESTCA_NOW, day = 86400;
	const struct {
		int64_t not_before, not_after;
		const char *word;
	} rows[] = {
		{ now, now + day, NULL },
		{ now + X509_SKEW, now + day, NULL },
		{ now + X509_SKEW + 1, now + day, "not valid yet" },
		{ now + day, now + 2 * day, "not valid yet" },
		{ now - day, now + 1, NULL },
		{ now - day, now, "expired" },
		{ now - 2 * day, now - day, "expired" },
		{ now + 10, now + 10, "before it begins" },
		{ now + day, now - day, "before it begins" },
		{ now - day, INT64_C(253402300799), NULL }, /* the last second of 9999 */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct testca_wish wish = { NAMES("example.org"), .not_before = rows[i].not_before,
					    .not_after = rows[i].not_after };

		assert_leaf(&wish, rows[i].word);
	}
}

static void test_purpose(void **state)
{
	static const struct {
		const char *eku, *word;
	} rows[] = {
		{ "serverAuth", NULL },
		{ "", NULL },
		{ "clientAuth,serverAuth", NULL },
		{ "clientAuth", "extended key usage" },
		{ "codeSigning,emailProtection", "extended key usage" },
		{ "anyExtendedKeyUsage", "extended key usage" },
	};
	struct testca_wish ca = { NAMES("example.org"), .ca = true }, twice = { NAMES("example.org"), .eku_twice = true };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct testca_wish wish = { NAMES("example.org"), .eku = rows[i].eku };

		assert_leaf(&wish, rows[i].word);
	}
	assert_leaf(&ca, "that of a CA");
	assert_leaf(&twice, "contradict each other");
}

static void test_serial_must_be_new(void **state)
{
	struct testca_wish made = { NAMES("example.org", "*.example.org"), .serial = "8001" };
	struct x509_wish wish = asked;

	(void)state;
	wish.old_serial = "008001";
	assert_refused(testca_chain(middle, key, &made), &wish, "serial number");
	wish.old_serial = "8001";
	assert_accepted(testca_chain(middle, key, &made), &wish);
}

static void test_chain_must_be_in_order(void **state)
{
	struct testca *stranger = testca_new("Stranger", root, NULL);

	(void)state;
	assert_refused(join(join(testca_mint(middle, key, &good), testca_pem(root)), testca_pem(middle)), &asked,
		       "certificate 1 of the chain is not issued by");
	assert_refused(join(testca_mint(middle, key, &good), testca_pem(root)), &asked, "certificate 1 of the chain is not issued by");
	assert_refused(join(good_chain(), testca_pem(stranger)), &asked, "certificate 2 of the chain is not issued by");
	assert_refused(join(testca_mint(middle, key, &good), good_chain()), &asked, "certificate 1 of the chain is not issued by");
	assert_refused(join(testca_pem(middle), testca_mint(middle, key, &good)), &asked, "");
	testca_free(stranger);
}

static void test_signatures_must_be_right(void **state)
{
	struct testca_wish spoiled = { NAMES("example.org", "*.example.org"), .bad_signature = true };
	struct testca_wish no_aki = { NAMES("example.org", "*.example.org"), .aki = "" };
	struct testca *impostor = testca_new("Test Intermediate", root, NULL);
	struct testca *torn = testca_new("Torn", root, &(struct testca_wish){ .bad_signature = true });

	(void)state;
	assert_refused(testca_chain(middle, key, &spoiled), &asked, "certificate 1 of the chain has a wrong signature");
	assert_refused(join(testca_mint(impostor, key, &good), testca_pem(middle)), &asked, "not issued by");
	assert_refused(join(testca_mint(impostor, key, &no_aki), testca_pem(middle)), &asked, "certificate 1 of the chain has a wrong signature");
	assert_accepted(testca_chain(torn, key, &good), &asked); /* nothing here to check its signature with */
	assert_refused(join(testca_chain(torn, key, &good), testca_pem(root)), &asked, "certificate 2 of the chain has a wrong signature");
	testca_free(impostor);
	testca_free(torn);
}

static void test_signatures_of_rsa_are_looked_at_as_well(void **state)
{
	struct testca *rsa = testca_new("RSA", root, &(struct testca_wish){ .rsa = true });
	struct testca_wish pss = good, spoiled = good, spoiled_pss = good;

	(void)state;
	pss.pss = spoiled_pss.pss = spoiled.bad_signature = spoiled_pss.bad_signature = true;
	assert_accepted(testca_chain(rsa, key, &good), &asked);
	assert_accepted(testca_chain(rsa, key, &pss), &asked);
	assert_refused(testca_chain(rsa, key, &spoiled), &asked, "certificate 1 of the chain has a wrong signature");
	assert_refused(testca_chain(rsa, key, &spoiled_pss), &asked, "certificate 1 of the chain has a wrong signature");
	testca_free(rsa);
}

static void test_staging_only_where_it_is_expected(void **state)
{
	struct testca *staging = testca_new("(STAGING) Riddling Rhubarb R12", root, NULL), *old = testca_new("Fake LE Intermediate X1", root, NULL);
	struct testca *apex = testca_new("(STAGING) Pretend Pear X1", NULL, NULL), *plain = testca_new("R12", apex, NULL);
	struct x509_wish test = asked;

	(void)state;
	test.staging = true;
	assert_refused(testca_chain(staging, key, &good), &asked, "staging CA");
	assert_refused(testca_chain(old, key, &good), &asked, "Fake LE Intermediate X1");
	assert_refused(testca_chain(plain, key, &good), &asked, "Pretend Pear");
	assert_accepted(testca_chain(plain, key, &good), &test);
	assert_accepted(testca_chain(staging, key, &good), &test);
	testca_free(plain);
	testca_free(apex);
	testca_free(old);
	testca_free(staging);
}

static void test_issuers_must_be_authorities_and_alive(void **state)
{
	struct testca *no_ca = testca_new("No CA", root, &(struct testca_wish){ .not_ca = true });
	struct testca *old = testca_new("Old", root, &(struct testca_wish){ .not_after = TESTCA_NOW });

	(void)state;
	assert_refused(testca_chain(no_ca, key, &good), &asked, "certificate 1 of the chain is not issued by");
	assert_refused(testca_chain(old, key, &good), &asked, "certificate 2 of the chain has expired");
	testca_free(no_ca);
	testca_free(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_is_read),
		cmocka_unit_test(test_serial_keeps_its_octets),
		cmocka_unit_test(test_identifiers_have_a_limit),
		cmocka_unit_test(test_leaf_without_key_identifier_and_names),
		cmocka_unit_test(test_issuer_is_escaped_and_cut),
		cmocka_unit_test(test_harmless_dress_is_taken_off),
		cmocka_unit_test(test_line_lengths_do_not_matter),
		cmocka_unit_test(test_other_blocks_are_refused),
		cmocka_unit_test(test_private_key_of_ours_is_refused),
		cmocka_unit_test(test_damaged_blocks_are_refused),
		cmocka_unit_test(test_no_certificate_is_refused),
		cmocka_unit_test(test_every_shorter_text_is_refused),
		cmocka_unit_test(test_chain_length_has_a_limit),
		cmocka_unit_test(test_size_has_a_limit),
		cmocka_unit_test(test_hostile_names_are_refused),
		cmocka_unit_test(test_unreadable_names_are_refused),
		cmocka_unit_test(test_number_of_names_has_a_limit),
		cmocka_unit_test(test_der_of_a_server),
		cmocka_unit_test(test_der_is_refused_like_pem),
		cmocka_unit_test(test_size_of_all_der_has_a_limit),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_right_chains_are_accepted),
		cmocka_unit_test(test_every_kind_of_key_is_accepted),
		cmocka_unit_test(test_key_must_fit),
		cmocka_unit_test(test_account_key_is_refused),
		cmocka_unit_test(test_names_must_be_the_asked_ones),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_purpose),
		cmocka_unit_test(test_serial_must_be_new),
		cmocka_unit_test(test_chain_must_be_in_order),
		cmocka_unit_test(test_signatures_must_be_right),
		cmocka_unit_test(test_signatures_of_rsa_are_looked_at_as_well),
		cmocka_unit_test(test_staging_only_where_it_is_expected),
		cmocka_unit_test(test_issuers_must_be_authorities_and_alive),
	};

	return cmocka_run_group_tests(tests, make_authority, end_authority);
}
