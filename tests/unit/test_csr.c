/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/csr.h"
#include "crypto/ossl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const names[] = { "example.org", "*.example.org", "xn--bcher-kva.example" };
static const struct csr_wish plain = { .names = names, .nnames = COUNT(names) };

struct request {
	unsigned char *der;
	size_t len;
};

static struct request build(const struct key *k, const struct csr_wish *wish)
{
	struct request r;

	assert_true(csr_build(k, wish, &r.der, &r.len, NULL));
	return r;
}

static X509_REQ *read_back(const struct request *r)
{
	const unsigned char *p = r->der;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)r->len);

	assert_non_null(req);
	assert_ptr_equal(p, r->der + r->len);
	return req;
}

static void assert_refused(const struct key *k, const struct csr_wish *wish, const struct request *r, const char *word)
{
	struct err err = { 0 };

	assert_false(csr_check(k, wish, r->der, r->len, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_string_equal(err.type, "badCSR");
	assert_non_null(strstr(err.detail, word));
	assert_int_equal(ERR_peek_error(), 0);
}

static void assert_names(X509_REQ *req)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
	GENERAL_NAMES *list = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);

	assert_int_equal(sk_X509_EXTENSION_num(extensions), 1); /* no must-staple, no extended key usage */
	assert_int_equal(sk_GENERAL_NAME_num(list), COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, (int)i);

		assert_int_equal(name->type, GEN_DNS);
		assert_int_equal(ASN1_STRING_length(name->d.dNSName), strlen(names[i]));
		assert_memory_equal(ASN1_STRING_get0_data(name->d.dNSName), names[i], strlen(names[i]));
	}
	GENERAL_NAMES_free(list);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void test_request_without_subject(void **state)
{
	static const int signatures[] = { NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384, NID_sha256WithRSAEncryption };

	(void)state;
	for (enum key_type type = 0; type < COUNT(signatures); type++) {
		struct key *k = key_generate(type, NULL);
		struct request r = build(k, &plain);
		X509_REQ *req = read_back(&r);

		assert_int_equal(X509_REQ_get_version(req), X509_REQ_VERSION_1);
		assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 0);
		assert_names(req);
		assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(req), k->pkey), 1);
		assert_int_equal(X509_REQ_verify(req, k->pkey), 1);
		assert_int_equal(X509_REQ_get_signature_nid(req), signatures[type]);
		assert_true(csr_check(k, &plain, r.der, r.len, NULL));
		X509_REQ_free(req);
		free(r.der);
		key_free(k);
	}
}

static void test_request_with_common_name(void **state)
{
	struct csr_wish wish = { .names = names, .nnames = COUNT(names), .common_name = "example.org" };
	struct key *k = key_generate(KEY_ECDSA_P256, NULL);
	struct request r = build(k, &wish);
	X509_REQ *req = read_back(&r);
	char cn[80];

	(void)state;
	assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 1);
	assert_int_equal(X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(req), NID_commonName, cn, sizeof cn), 11);
	assert_string_equal(cn, "example.org");
	assert_names(req);
	assert_true(csr_check(k, &wish, r.der, r.len, NULL));
	assert_refused(k, &plain, &r, "another subject");
	wish.common_name = "*.example.org";
	assert_refused(k, &wish, &r, "another subject");
	X509_REQ_free(req);
	free(r.der);
	key_free(k);
}

static void test_long_common_name_is_left_out(void **state)
{
	static const size_t lengths[] = { 64, 65 };
	struct key *k = key_generate(KEY_ECDSA_P256, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char name[66] = "";
		const char *const one[] = { name };
		struct csr_wish wish = { .names = one, .nnames = 1, .common_name = name };
		struct request r;
		X509_REQ *req;

		memset(name, 'a', lengths[i]);
		name[30] = '.';
		r = build(k, &wish);
		req = read_back(&r);
		assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), lengths[i] <= 64);
		assert_true(csr_check(k, &wish, r.der, r.len, NULL));
		X509_REQ_free(req);
		free(r.der);
	}
	key_free(k);
}

static void test_a_hundred_names(void **state)
{
	char text[100][32];
	const char *many[100];
	struct csr_wish wish = { .names = many, .nnames = COUNT(many) };
	struct key *k = key_generate(KEY_ECDSA_P256, NULL);
	struct request r;

	(void)state;
	for (size_t i = 0; i < COUNT(many); i++) {
		snprintf(text[i], sizeof text[i], "host-%zu.example.org", i);
		many[i] = text[i];
	}
	r = build(k, &wish);
	assert_true(csr_check(k, &wish, r.der, r.len, NULL));
	wish.nnames--;
	assert_refused(k, &wish, &r, "host-99.example.org was not asked for");
	free(r.der);
	key_free(k);
}

static void test_what_cannot_be_asked(void **state)
{
	static const char *const bad[] = { "", "a b", "a\nb", "\xc3\xbc.example", "\x7f" };
	struct key *k = key_generate(KEY_ECDSA_P256, NULL), other = { .pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	struct csr_wish none = { .names = names };
	char longest[255];
	const char *const one[] = { longest };
	struct csr_wish too_long = { .names = one, .nnames = 1 };
	unsigned char *der;
	struct err err = { 0 };
	size_t len;

	(void)state;
	assert_false(csr_build(k, &none, &der, &len, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_false(csr_build(&other, &plain, &der, &len, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	memset(longest, 'a', sizeof longest);
	longest[254] = '\0';
	assert_false(csr_build(k, &too_long, &der, &len, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct csr_wish wish = { .names = &bad[i], .nnames = 1 };

		err_clear(&err);
		assert_false(csr_build(k, &wish, &der, &len, &err));
		assert_int_equal(err.kind, ERR_INPUT);
	}
	EVP_PKEY_free(other.pkey);
	key_free(k);
}

static void test_check_ignores_order_and_case(void **state)
{
	static const char *const shuffled[] = { "xn--bcher-kva.example", "EXAMPLE.org", "*.example.org" };
	struct csr_wish wish = { .names = shuffled, .nnames = COUNT(shuffled) };
	struct key *k = key_generate(KEY_ECDSA_P256, NULL);
	struct request r = build(k, &plain);

	(void)state;
	assert_true(csr_check(k, &wish, r.der, r.len, NULL));
	free(r.der);
	key_free(k);
}

static void test_check_refuses(void **state)
{
	static const char *const more[] = { "example.org", "*.example.org", "xn--bcher-kva.example", "www.example.org" };
	struct csr_wish missing = { .names = more, .nnames = 4 }, extra = { .names = more, .nnames = 2 };
	struct key *k = key_generate(KEY_ECDSA_P256, NULL), *other = key_generate(KEY_ECDSA_P256, NULL);
	struct key *rsa = key_generate(KEY_RSA_2048, NULL);
	struct request r = build(k, &plain), wrong = r;

	(void)state;
	assert_refused(other, &plain, &r, "another key");
	assert_refused(rsa, &plain, &r, "another key");
	assert_refused(k, &missing, &r, "www.example.org is missing");
	assert_refused(k, &extra, &r, "xn--bcher-kva.example was not asked for");
	wrong.der = mem_alloc(r.len + 1);
	memcpy(wrong.der, r.der, r.len);
	wrong.len = r.len + 1;
	assert_refused(k, &plain, &wrong, "not DER");
	wrong.len = r.len - 1;
	assert_refused(k, &plain, &wrong, "not DER");
	wrong.len = 0;
	assert_refused(k, &plain, &wrong, "not DER");
	wrong.len = r.len;
	wrong.der[r.len - 1] ^= 1;
	assert_refused(k, &plain, &wrong, "bad signature");
	free(wrong.der);
	free(r.der);
	key_free(k);
	key_free(other);
	key_free(rsa);
}

static void test_text_and_back(void **state)
{
	struct key *k = key_generate(KEY_ECDSA_P256, NULL);
	struct request r = build(k, &plain), back;
	struct err err = { 0 };
	struct buf text, spoilt;
	X509_REQ *req;
	BIO *bio;

	(void)state;
	buf_init(&text, 0);
	buf_init(&spoilt, 0);
	assert_true(csr_format(r.der, r.len, &text, &err));
	assert_memory_equal(text.data, CSR_BEGIN "\n", strlen(CSR_BEGIN) + 1);
	bio = BIO_new_mem_buf(text.data, (int)text.len);
	req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL); /* OpenSSL takes it for the same */
	assert_non_null(req);
	X509_REQ_free(req);
	BIO_free(bio);
	assert_true(csr_parse(text.data, text.len, &back.der, &back.len, &err));
	assert_int_equal(back.len, r.len);
	assert_memory_equal(back.der, r.der, r.len);
	free(back.der);
	for (size_t cut = 0; cut < text.len; cut++)
		assert_false(csr_parse(text.data, cut, &back.der, &back.len, &err));
	for (int i = 0; i < 3; i++) { /* before it, behind it, twice */
		buf_reset(&spoilt);
		assert_true(buf_puts(&spoilt, i == 0 ? "x\n" : "") && buf_add(&spoilt, text.data, text.len));
		assert_true(buf_puts(&spoilt, i == 1 ? "x\n" : i == 2 ? text.data : ""));
		assert_false(csr_parse(spoilt.data, spoilt.len, &back.der, &back.len, &err));
		assert_string_equal(err.type, "badCSR");
		assert_int_equal(ERR_peek_error(), 0);
	}
	buf_free(&text);
	buf_init(&text, 100);
	assert_false(csr_format(r.der, r.len, &text, &err));
	assert_int_equal(text.len, 0);
	buf_free(&text);
	buf_free(&spoilt);
	free(r.der);
	key_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_without_subject),
		cmocka_unit_test(test_request_with_common_name),
		cmocka_unit_test(test_long_common_name_is_left_out),
		cmocka_unit_test(test_a_hundred_names),
		cmocka_unit_test(test_what_cannot_be_asked),
		cmocka_unit_test(test_check_ignores_order_and_case),
		cmocka_unit_test(test_check_refuses),
		cmocka_unit_test(test_text_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
