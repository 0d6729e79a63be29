/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/key.h"
#include "crypto/ossl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One and the same key in all its clothes; made for these tests. */
static const char pkcs8[] = "-----BEGIN PRIVATE KEY-----\n"
			    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBhzVwEkftms8JOCc\n"
			    "2Bh+1PhGj6nf9aym4nPySl1ffomhRANCAAQNfCUo/OihrT4VFlTidBhrGujRC1wG\n"
			    "tzGoomP38YRiEYC4b9hfAEV8X0Ig7Xa/cbQqRbqDfku+tCmxje/Ft/zp\n"
			    "-----END PRIVATE KEY-----\n";
static const char traditional[] = "-----BEGIN EC PARAMETERS-----\n"
				  "BggqhkjOPQMBBw==\n"
				  "-----END EC PARAMETERS-----\n"
				  "-----BEGIN EC PRIVATE KEY-----\n"
				  "MHcCAQEEIAYc1cBJH7ZrPCTgnNgYftT4Ro+p3/WspuJz8kpdX36JoAoGCCqGSM49\n"
				  "AwEHoUQDQgAEDXwlKPzooa0+FRZU4nQYaxro0QtcBrcxqKJj9/GEYhGAuG/YXwBF\n"
				  "fF9CIO12v3G0KkW6g35LvrQpsY3vxbf86Q==\n"
				  "-----END EC PRIVATE KEY-----\n";
static const char public_half[] = "-----BEGIN PUBLIC KEY-----\n"
				  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDXwlKPzooa0+FRZU4nQYaxro0Qtc\n"
				  "BrcxqKJj9/GEYhGAuG/YXwBFfF9CIO12v3G0KkW6g35LvrQpsY3vxbf86Q==\n"
				  "-----END PUBLIC KEY-----\n";
static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
				"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjLp/KjETZmrQICCAAw\n"
				"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAzWSO/kitcKcjml2hOFKsoEgZDo\n"
				"lDXYVJDh9ABhz+fVWYqjUddNFOJCwOU1RCCm3EejnPJebU0q6t1tMfXwT10KcVHu\n"
				"N/6L5dDc5lX1I8G/pcJZooPYUby8eSzPrpy8Hx+l+3fdjL5CrYC0rFFqjWyRROig\n"
				"B5xsl9Oq19DPqV2TjfLPtj0DR6efQUTvoZe091zd/lD60DUXTfdAqjgK48+Dbdc=\n"
				"-----END ENCRYPTED PRIVATE KEY-----\n";
static const char encrypted_traditional[] = "-----BEGIN EC PRIVATE KEY-----\n"
					    "Proc-Type: 4,ENCRYPTED\n"
					    "DEK-Info: AES-128-CBC,4C4B301BD46993B850C7E6E5AF17BA91\n"
					    "\n"
					    "WwCSNDssl3jPOmKdEhOH14/8HgjJJeqWZt5ACR5Z1h0k0Z6h3FHZEiM37RJeplLQ\n"
					    "eFE3W0DDDBxMf2bkxGu7iAhmZNwlZjigFemRMQtAUKLTGXro3Wt6Vc8BT1aLh8NN\n"
					    "Yf06uOgpVB/ctc2v0RigVNw42ZUqYFwbPWCliAKjtlY=\n"
					    "-----END EC PRIVATE KEY-----\n";
static const char digest_hex[] = "423fa0c19c2bb20bca8f0e8c229804ef8d49a1092d1f2c13a5e6f5b96f95365b";

static struct key *parse(const char *pem)
{
	struct err err = { 0 };
	struct key *k = key_parse(pem, strlen(pem), &err);

	assert_non_null(k);
	return k;
}

static void assert_refused(const char *pem, size_t len, const char *word)
{
	struct err err = { 0 };

	assert_null(key_parse(pem, len, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.detail, word));
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_type_words(void **state)
{
	static const char *const words[] = { "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096" };
	enum key_type type;

	(void)state;
	assert_int_equal(COUNT(words), KEY_TYPES);
	for (size_t i = 0; i < COUNT(words); i++) {
		assert_true(key_type_find(words[i], &type));
		assert_int_equal(type, i);
		assert_string_equal(key_type_name(type), words[i]);
	}
	assert_false(key_type_find("rsa-1024", &type));
	assert_false(key_type_find("", &type));
	assert_string_equal(key_type_name(KEY_TYPES), "other");
}

static void test_every_type_round_trips(void **state)
{
	(void)state;
	for (enum key_type type = 0; type < KEY_TYPES; type++) {
		unsigned char before[32], after[32];
		struct key *k = key_generate(type, NULL), *again;
		struct buf pem;

		assert_non_null(k);
		assert_int_equal(key_type(k), type);
		buf_init(&pem, 16384);
		assert_true(key_format(k, &pem, NULL));
		assert_memory_equal(pem.data, "-----BEGIN PRIVATE KEY-----\n", 28);
		again = parse(pem.data);
		buf_wipe(&pem);
		assert_int_equal(key_type(again), type);
		assert_true(key_equal(k, again));
		assert_true(key_digest(k, before, NULL));
		assert_true(key_digest(again, after, NULL));
		assert_memory_equal(before, after, sizeof before);
		key_free(again);
		key_free(k);
	}
}

/* The same bytes as between the lines of the PEM form. */
static void test_der_is_what_is_in_the_pem(void **state)
{
	(void)state;
	for (enum key_type type = 0; type <= KEY_RSA_2048; type++) {
		struct key *k = key_generate(type, NULL);
		char *name, *header;
		struct buf pem, der;
		unsigned char *data;
		struct err err;
		long len;
		BIO *bio;

		buf_init(&pem, 16384);
		buf_init(&der, 16384);
		assert_true(key_format(k, &pem, NULL) && key_format_der(k, &der, NULL));
		bio = BIO_new_mem_buf(pem.data, (int)pem.len);
		assert_int_equal(PEM_read_bio(bio, &name, &header, &data, &len), 1);
		assert_int_equal(der.len, len);
		assert_memory_equal(der.data, data, der.len);
		buf_wipe(&der);
		der.cap = 10;
		assert_false(key_format_der(k, &der, &err));
		assert_int_equal(err.kind, ERR_BUG);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
		BIO_free(bio);
		buf_wipe(&pem);
		buf_wipe(&der);
		key_free(k);
	}
}

static void test_generated_keys_differ(void **state)
{
	struct key *a = key_generate(KEY_ECDSA_P256, NULL), *b = key_generate(KEY_ECDSA_P256, NULL);
	struct key *other = key_generate(KEY_ECDSA_P384, NULL);

	(void)state;
	assert_false(key_equal(a, b));
	assert_true(key_equal(a, a));
	assert_false(key_equal(a, other));
	assert_int_equal(ERR_peek_error(), 0);
	key_free(a);
	key_free(b);
	key_free(other);
	key_free(NULL);
}

static void test_both_forms_are_one_key(void **state)
{
	struct key *a = parse(pkcs8), *b = parse(traditional);
	unsigned char digest[32];
	char *hex;

	(void)state;
	assert_true(key_equal(a, b));
	assert_true(key_digest(b, digest, NULL));
	hex = text_hex_encode(digest, sizeof digest);
	assert_string_equal(hex, digest_hex);
	free(hex);
	key_free(a);
	key_free(b);
}

static void test_format_is_pkcs8(void **state)
{
	struct key *k = parse(traditional);
	struct err err = { 0 };
	struct buf pem;

	(void)state;
	buf_init(&pem, 0);
	assert_true(buf_puts(&pem, "before\n"));
	assert_true(key_format(k, &pem, &err));
	assert_memory_equal(pem.data, "before\n", 7);
	assert_string_equal(pem.data + 7, pkcs8);
	buf_wipe(&pem);

	buf_init(&pem, 100);
	assert_false(key_format(k, &pem, &err));
	assert_int_equal(err.kind, ERR_BUG);
	assert_int_equal(pem.len, 0);
	buf_free(&pem);
	key_free(k);
}

/* What we write ourselves is what OpenSSL writes, private numbers with a leading zero octet and points that end in one included. */
static void test_format_is_openssls(void **state)
{
	enum { KEYS = 2000 };

	(void)state;
	for (int i = 0; i < KEYS; i++) {
		struct key *k = key_generate(i % 2 ? KEY_ECDSA_P384 : KEY_ECDSA_P256, NULL);
		BIO *bio = BIO_new(BIO_s_mem());
		struct buf pem;
		char *text;
		long len;

		buf_init(&pem, 0);
		assert_true(key_format(k, &pem, NULL));
		assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL), 1);
		len = BIO_get_mem_data(bio, &text);
		assert_int_equal(pem.len, len);
		assert_memory_equal(pem.data, text, pem.len);
		BIO_free(bio);
		buf_wipe(&pem);
		key_free(k);
	}
}

static void test_parse_goes_by_length(void **state)
{
	char *crlf = mem_alloc(2 * sizeof pkcs8), *exact = mem_alloc(strlen(pkcs8)), *out = crlf;
	struct key *k;

	(void)state;
	for (const char *in = pkcs8; *in; in++) {
		if (*in == '\n')
			*out++ = '\r';
		*out++ = *in;
	}
	k = parse(crlf);
	key_free(k);
	memcpy(exact, pkcs8, strlen(pkcs8)); /* no NUL behind it: the sanitizer watches */
	k = key_parse(exact, strlen(pkcs8), NULL);
	assert_non_null(k);
	key_free(k);
	free(crlf);
	free(exact);
}

static void test_what_is_no_key_is_refused(void **state)
{
	enum { LARGE = 64 * 1024 + 1 };
	char *large = mem_alloc(LARGE);

	(void)state;
	assert_refused(NULL, 0, "not a private key");
	assert_refused("", 0, "not a private key");
	assert_refused("hello\n", 6, "not a private key");
	assert_refused("\0\0\0\0", 4, "not a private key");
	assert_refused(public_half, strlen(public_half), "");
	assert_refused(pkcs8, strlen(pkcs8) / 2, "not a private key");
	assert_refused(pkcs8, strlen(pkcs8) - 40, "not a private key");
	memset(large, '\n', LARGE);
	memcpy(large, pkcs8, strlen(pkcs8));
	assert_refused(large, LARGE, "larger than");
	free(large);
}

static void test_encrypted_keys_are_refused_without_asking(void **state)
{
	(void)state;
	assert_refused(encrypted, strlen(encrypted), "encrypted");
	assert_refused(encrypted_traditional, strlen(encrypted_traditional), "encrypted");
}

/* A file whose private half is that of one key and whose public half is that of another. */
static void test_pasted_halves_are_refused(void **state)
{
	struct key *a = key_generate(KEY_ECDSA_P256, NULL), *b = key_generate(KEY_ECDSA_P256, NULL), chimera = { 0 };
	unsigned char point[65];
	BIGNUM *d = NULL;
	size_t len;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	struct buf pem;

	(void)state;
	assert_int_equal(EVP_PKEY_get_bn_param(a->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
	assert_int_equal(EVP_PKEY_get_octet_string_param(b->pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, len), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d), 1);
	params = OSSL_PARAM_BLD_to_param(builder);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &chimera.pkey, EVP_PKEY_KEYPAIR, params), 1);
	buf_init(&pem, 0);
	assert_true(key_format(&chimera, &pem, NULL));
	assert_refused(pem.data, pem.len, "do not belong together");

	buf_wipe(&pem);
	EVP_PKEY_free(chimera.pkey);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(d);
	key_free(a);
	key_free(b);
}

static void test_other_kinds_are_named_so(void **state)
{
	EVP_PKEY *others[] = {
		EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp521r1"),
		EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		struct key k = { .pkey = others[i] }, *parsed;
		struct buf pem;

		assert_non_null(k.pkey);
		assert_int_equal(key_type(&k), KEY_TYPES);
		buf_init(&pem, 0);
		assert_true(key_format(&k, &pem, NULL));
		parsed = parse(pem.data);
		assert_int_equal(key_type(parsed), KEY_TYPES);
		assert_true(key_equal(parsed, &k));
		key_free(parsed);
		buf_wipe(&pem);
		EVP_PKEY_free(k.pkey);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type_words),
		cmocka_unit_test(test_every_type_round_trips),
		cmocka_unit_test(test_der_is_what_is_in_the_pem),
		cmocka_unit_test(test_generated_keys_differ),
		cmocka_unit_test(test_both_forms_are_one_key),
		cmocka_unit_test(test_format_is_pkcs8),
		cmocka_unit_test(test_format_is_openssls),
		cmocka_unit_test(test_parse_goes_by_length),
		cmocka_unit_test(test_what_is_no_key_is_refused),
		cmocka_unit_test(test_encrypted_keys_are_refused_without_asking),
		cmocka_unit_test(test_pasted_halves_are_refused),
		cmocka_unit_test(test_other_kinds_are_named_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
