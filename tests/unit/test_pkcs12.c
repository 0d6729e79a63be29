/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ossl.h"
#include "crypto/pkcs12.h"
#include "crypto/x509.h"
#include "testca.h"

struct made {
	struct testca *root, *ca;
	struct key *key;
	struct buf chain;
};

static void setup_key(struct made *m, enum key_type type)
{
	static const char *const names[] = { "example.org" };
	char *pem;

	key_free(m->key);
	m->key = key_generate(type, NULL);
	assert_non_null(m->key);
	pem = testca_chain(m->ca, m->key, &(struct testca_wish){ .cn = "example.org", .names = names, .nnames = 1 });
	buf_reset(&m->chain);
	assert_true(buf_puts(&m->chain, pem));
	free(pem);
}

static int setup(void **state)
{
	struct made *m = calloc(1, sizeof *m);

	m->root = testca_new("Test Root", NULL, NULL);
	m->ca = testca_new("Test Issuing CA", m->root, NULL);
	buf_init(&m->chain, X509_PEM_MAX);
	setup_key(m, KEY_ECDSA_P256);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct made *m = *state;

	key_free(m->key);
	testca_free(m->ca);
	testca_free(m->root);
	buf_free(&m->chain);
	free(m);
	return 0;
}

static struct buf format(const struct made *m, const char *password)
{
	struct pkcs12 p = { .key = m->key, .chain = &m->chain, .password = password, .name = "my site" };
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	if (!pkcs12_format(&p, &out, &err))
		fail_msg("%s", err.detail);
	assert_int_equal(ERR_peek_error(), 0);
	return out;
}

static PKCS12 *decode(const struct buf *b)
{
	const unsigned char *der = (const unsigned char *)b->data;
	PKCS12 *file = d2i_PKCS12(NULL, &der, (long)b->len);

	assert_non_null(file);
	assert_ptr_equal(der, b->data + b->len);
	return file;
}

/* How the bytes of a certificate of the chain look, in order. NULL: there is no more. */
static X509 *next_cert(BIO *bio)
{
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	ERR_clear_error();
	return x;
}

static void assert_holds(const struct made *m, const struct buf *b, const char *password)
{
	PKCS12 *file = decode(b);
	BIO *bio = BIO_new_mem_buf(m->chain.data, (int)m->chain.len);
	STACK_OF(X509) *upper = NULL;
	EVP_PKEY *key = NULL;
	X509 *leaf = NULL, *x;
	int len;

	assert_int_equal(PKCS12_parse(file, password, &key, &leaf, &upper), 1);
	assert_int_equal(EVP_PKEY_eq(key, m->key->pkey), 1);
	assert_int_equal(X509_check_private_key(leaf, key), 1);
	assert_memory_equal(X509_alias_get0(leaf, &len), "my site", strlen("my site"));
	assert_int_equal(len, strlen("my site"));
	x = next_cert(bio);
	assert_int_equal(X509_cmp(x, leaf), 0);
	X509_free(x);
	for (int i = 0; i < sk_X509_num(upper); i++) {
		x = next_cert(bio);
		assert_non_null(x);
		assert_int_equal(X509_cmp(x, sk_X509_value(upper, i)), 0);
		X509_free(x);
	}
	assert_null(next_cert(bio));
	sk_X509_pop_free(upper, X509_free);
	EVP_PKEY_free(key);
	X509_free(leaf);
	PKCS12_free(file);
	BIO_free(bio);
}

static void opens_with_its_password_only(void **state)
{
	static const char *const passwords[] = { "", "secret", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac", "a longer one than most with \" and \\ in it, sixty-four or more" };
	struct made *m = *state;

	for (size_t i = 0; i < 4; i++) {
		struct buf b = format(m, passwords[i]);
		PKCS12 *file = decode(&b);

		assert_holds(m, &b, passwords[i]);
		assert_int_equal(PKCS12_verify_mac(file, passwords[(i + 1) % 4], -1), 0);
		ERR_clear_error();
		PKCS12_free(file);
		buf_wipe(&b);
	}
}

static void all_kinds_of_keys(void **state)
{
	struct made *m = *state;

	for (enum key_type t = 0; t <= KEY_RSA_2048; t++) {
		struct buf b;

		setup_key(m, t);
		b = format(m, "x");
		assert_holds(m, &b, "x");
		buf_wipe(&b);
	}
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void same_input_same_bytes(void **state)
{
	struct made *m = *state;
	struct buf a = format(m, "x"), again = format(m, "x"), other = format(m, "y"), third;

	assert_true(same(&a, &again));
	assert_false(same(&a, &other));
	setup_key(m, KEY_ECDSA_P256);
	third = format(m, "x");
	assert_false(same(&a, &third));
	buf_wipe(&a);
	buf_wipe(&again);
	buf_wipe(&other);
	buf_wipe(&third);
}

/* PBES2 with AES-256-CBC and HMAC-SHA-256; its salt and initial vector into seen. */
static void check_cipher(const X509_ALGOR *a, unsigned char (*seen)[16])
{
	const ASN1_OBJECT *o;
	const void *value;
	PBE2PARAM *pbe;
	PBKDF2PARAM *kdf;
	int type;

	X509_ALGOR_get0(&o, &type, &value, a);
	assert_int_equal(OBJ_obj2nid(o), NID_pbes2);
	pbe = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), a->parameter);
	assert_non_null(pbe);
	assert_int_equal(OBJ_obj2nid(pbe->encryption->algorithm), NID_aes_256_cbc);
	kdf = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), pbe->keyfunc->parameter);
	assert_non_null(kdf);
	assert_int_equal(OBJ_obj2nid(kdf->prf->algorithm), NID_hmacWithSHA256);
	assert_true(ASN1_INTEGER_get(kdf->iter) >= 2048);
	assert_int_equal(kdf->salt->value.octet_string->length, 16);
	memcpy(seen[0], kdf->salt->value.octet_string->data, 16);
	assert_int_equal(pbe->encryption->parameter->value.octet_string->length, 16);
	memcpy(seen[1], pbe->encryption->parameter->value.octet_string->data, 16);
	PBKDF2PARAM_free(kdf);
	PBE2PARAM_free(pbe);
}

static void modern_algorithms_and_no_salt_twice(void **state)
{
	struct made *m = *state;
	struct buf b = format(m, "x");
	PKCS12 *file = decode(&b);
	STACK_OF(PKCS7) *halves = PKCS12_unpack_authsafes(file);
	STACK_OF(PKCS12_SAFEBAG) *bags;
	const ASN1_OCTET_STRING *salt;
	const ASN1_INTEGER *rounds;
	const X509_ALGOR *mac;
	unsigned char seen[5][16];

	assert_int_equal(sk_PKCS7_num(halves), 2);
	assert_true(PKCS7_type_is_encrypted(sk_PKCS7_value(halves, 0)));
	check_cipher(sk_PKCS7_value(halves, 0)->d.encrypted->enc_data->algorithm, seen);
	bags = PKCS12_unpack_p7data(sk_PKCS7_value(halves, 1));
	assert_int_equal(sk_PKCS12_SAFEBAG_num(bags), 1);
	assert_int_equal(PKCS12_SAFEBAG_get_nid(sk_PKCS12_SAFEBAG_value(bags, 0)), NID_pkcs8ShroudedKeyBag);
	X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(sk_PKCS12_SAFEBAG_value(bags, 0)), &mac, NULL);
	check_cipher(mac, seen + 2);
	PKCS12_get0_mac(NULL, &mac, &salt, &rounds, file);
	assert_int_equal(OBJ_obj2nid(mac->algorithm), NID_sha256);
	assert_int_equal(ASN1_STRING_length(salt), 16);
	assert_true(ASN1_INTEGER_get(rounds) >= 2048);
	memcpy(seen[4], ASN1_STRING_get0_data(salt), 16);
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(seen[i], seen[j], 16);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	sk_PKCS7_pop_free(halves, PKCS7_free);
	PKCS12_free(file);
	buf_wipe(&b);
}

static void what_is_no_chain_is_refused(void **state)
{
	struct made *m = *state;
	struct buf empty, out;
	struct pkcs12 p = { .key = m->key, .chain = &empty, .password = "", .name = "x" };
	struct err err;

	buf_init(&empty, 100);
	buf_init(&out, 1 << 20);
	assert_false(pkcs12_format(&p, &out, &err));
	assert_true(buf_puts(&empty, "no certificate"));
	assert_false(pkcs12_format(&p, &out, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	p.chain = &m->chain;
	out.cap = 100;
	assert_false(pkcs12_format(&p, &out, &err));
	assert_int_equal(err.kind, ERR_BUG);
	assert_int_equal(ERR_peek_error(), 0);
	buf_free(&empty);
	buf_free(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_with_its_password_only),
		TEST(all_kinds_of_keys),
		TEST(same_input_same_bytes),
		TEST(modern_algorithms_and_no_salt_twice),
		TEST(what_is_no_chain_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
