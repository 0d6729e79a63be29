/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/jose.h"
#include "crypto/ossl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 7515 appendix A.3 */
#define A3_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define A3_D "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
#define A3_JWK "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}"
#define A_PAYLOAD "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static BIGNUM *number(const char *b64)
{
	unsigned char *octets;
	size_t len;
	BIGNUM *n;

	assert_true(text_b64url_decode(b64, strlen(b64), &octets, &len));
	n = BN_bin2bn(octets, (int)len, NULL);
	free(octets);
	return n;
}

static struct key *from_params(const char *kind, OSSL_PARAM_BLD *builder, int selection)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	struct key *k = mem_alloc(sizeof *k);

	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &k->pkey, selection, params), 1);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	return k;
}

/* point: the uncompressed one, 04 and both coordinates. */
static struct key *ec_key(const char *group, const unsigned char *point, size_t len, const BIGNUM *d)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();

	assert_int_equal(OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, len), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d), 1);
	return from_params("EC", builder, EVP_PKEY_KEYPAIR);
}

static struct key *key_a3(void)
{
	BIGNUM *x = number(A3_X), *y = number(A3_Y), *d = number(A3_D);
	unsigned char point[65] = { 4 };
	struct key *k;

	assert_int_equal(BN_bn2binpad(x, point + 1, 32), 32);
	assert_int_equal(BN_bn2binpad(y, point + 33, 32), 32);
	k = ec_key("prime256v1", point, sizeof point, d);
	BN_free(x);
	BN_free(y);
	BN_free(d);
	return k;
}

/* The public half alone. */
static struct key *rsa_key(const char *modulus)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = number(modulus), *e = number("AQAB");
	struct key *k;

	assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e), 1);
	k = from_params("RSA", builder, EVP_PKEY_PUBLIC_KEY);
	BN_free(n);
	BN_free(e);
	return k;
}

static void assert_dump(const struct js *v, const char *expected)
{
	char *text = js_dump(v);

	assert_string_equal(text, expected);
	free(text);
}

/* A base64url member of a JWS, decoded; caller owns. */
static char *decoded(const struct js *jws, const char *member, size_t *len)
{
	const char *text = js_str(jws, member);
	unsigned char *octets;
	char *out;

	assert_non_null(text);
	assert_true(text_b64url_decode(text, strlen(text), &octets, len));
	out = mem_alloc(*len + 1);
	memcpy(out, octets, *len);
	free(octets);
	return out;
}

static void assert_decodes_to(const struct js *jws, const char *member, const char *expected)
{
	size_t len;
	char *text = decoded(jws, member, &len);

	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
	free(text);
}

static void test_alg_of_each_type(void **state)
{
	static const char *const algs[KEY_TYPES] = { "ES256", "ES384", "RS256", "RS256", "RS256" };
	struct key other = { .pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	struct jose_header header = { .url = "https://ca.example/" };
	struct err err = { 0 };

	(void)state;
	for (enum key_type type = 0; type <= KEY_RSA_2048; type++) {
		struct key *k = key_generate(type, NULL);

		assert_string_equal(jose_alg(k), algs[type]);
		key_free(k);
	}
	assert_null(jose_alg(&other));
	assert_null(jose_jwk(&other, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_null(jose_thumbprint(&other, &err));
	assert_null(jose_sign(&other, &header, "", 0, &err));
	assert_null(jose_bind(&other, "u", "k", (const unsigned char *)"x", 1, &err));
	assert_false(jose_verify(&other, "{}", 2, &err));
	EVP_PKEY_free(other.pkey);
}

/* RFC 7638 section 3.1 */
static void test_thumbprint_of_the_rfc(void **state)
{
	struct key *k = rsa_key("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
				"RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
				"AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3"
				"XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw");
	char *thumbprint = jose_thumbprint(k, NULL);

	(void)state;
	assert_string_equal(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	free(thumbprint);
	key_free(k);
}

static void test_jwk_and_key_authorization(void **state)
{
	struct key *k = key_a3();
	struct js *jwk = jose_jwk(k, NULL);
	char *thumbprint = jose_thumbprint(k, NULL), *both;

	(void)state;
	assert_dump(jwk, A3_JWK);
	assert_string_equal(thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
	both = jose_key_authorization("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", thumbprint);
	assert_string_equal(both, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
	free(both);
	free(thumbprint);
	js_free(jwk);
	key_free(k);
}

/* Small multiples of the base point whose x or y begins with zero octets, computed apart from OpenSSL. */
static void test_short_coordinates_keep_their_width(void **state)
{
	static const struct {
		const char *group;
		unsigned d;
		const char *x, *y;
	} rows[] = {
		{ "prime256v1", 379, "005543894AF3D00ED7D740ABDBD75C96B06877B787DB5F70EEA78B90A8D7C00A",
		  "BB4C85A3D8EA29EFAAFA24406912DD84D5B14DC32BF656EF6C6BD58A5D943F92" },
		{ "prime256v1", 43, "986AE2506F1FF104D04230861D8F4B498F4BC4C6D009B30F7544DC129B82D28D",
		  "003CCCC0A6460E0AE328A4D97D3C7B61D86FC6289C189F2525110C441BB07E97" },
		{ "prime256v1", 40393, "00003F5F178AA0706C4231EB6E5495AA1642C5B8A994127C89465F22994A42F9",
		  "C248B337599F0C2F29772E256F1D5549C89BA9E5731382CD1E3CC09D10D00B55" },
		{ "secp384r1", 197, "004D104B26EE5671F72C10C986841D3E65D285E2516161B7BAA341B12631B9E32B6F0D5896D8431C51D5D93A37CBC90E",
		  "F11A1E3F8B7B90538EE42CC00EE934A6E2EE25541607D8FB65C7A8B11E2F886853886EEF3865EC933200B9F25599F29F" },
		{ "secp384r1", 176, "D03AA748F5F48EB3E0C54B683F25D2E2D7D7E3201282A95B57A59FFB8F94CF4C43B1107CA944B9211C351112DE16ED18",
		  "000A08C602DC5E0031DAD088C19305F6B252A2BC3F245F7A5B80B484C7B99F6981C32374C714A7683255F5331F66BB06" },
		{ "secp384r1", 14971, "000070E4B8C79BB1D5525F91E292BCE96007D71EA940A11AD0AFB2953D37FEFFB15BD3BE202D6A7DD3E09F63F00BAEA8",
		  "5C6D736F3E2B454D4B4E81DE3CC76A1CA39C04B0CB4177143C06F6D040480261A7080F80D3E1B3E792D3537D0F507557" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t width = strlen(rows[i].x) / 2, len;
		unsigned char point[97] = { 4 };
		BIGNUM *d = BN_new(), *x = NULL, *y = NULL;
		struct key *k;
		struct js *jwk;
		char *octets;

		assert_int_equal(BN_set_word(d, rows[i].d), 1);
		assert_true(BN_hex2bn(&x, rows[i].x) > 0 && BN_hex2bn(&y, rows[i].y) > 0);
		assert_int_equal(BN_bn2binpad(x, point + 1, (int)width), (int)width);
		assert_int_equal(BN_bn2binpad(y, point + 1 + width, (int)width), (int)width);
		k = ec_key(rows[i].group, point, 1 + 2 * width, d);
		jwk = jose_jwk(k, NULL);
		octets = decoded(jwk, "x", &len);
		assert_int_equal(len, width);
		assert_memory_equal(octets, point + 1, width);
		free(octets);
		octets = decoded(jwk, "y", &len);
		assert_int_equal(len, width);
		assert_memory_equal(octets, point + 1 + width, width);
		free(octets);
		js_free(jwk);
		key_free(k);
		BN_free(d);
		BN_free(x);
		BN_free(y);
	}
}

static void assert_verifies(const struct key *k, const char *protected, const char *signature)
{
	char *jws = mem_printf("{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", protected, A_PAYLOAD, signature);

	assert_true(jose_verify(k, jws, strlen(jws), NULL));
	free(jws);
}

/* RFC 7515 appendices A.2 and A.3: signatures made by somebody else. */
static void test_signatures_of_the_rfc_verify(void **state)
{
	struct key *ec = key_a3();
	struct key *rsa = rsa_key("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql"
				  "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs"
				  "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud"
				  "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ");

	(void)state;
	assert_verifies(ec, "eyJhbGciOiJFUzI1NiJ9",
			"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
	assert_verifies(rsa, "eyJhbGciOiJSUzI1NiJ9",
			"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb"
			"F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383"
			"LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy"
			"wlVmtVrBp0igcN_IoypGlUPQGe77Rw");
	key_free(ec);
	key_free(rsa);
}

/* RFC 8555 section 6.2: alg, url, nonce, and either jwk or kid. */
static void test_protected_headers(void **state)
{
	static const struct {
		struct jose_header header;
		const char *expected;
	} rows[] = {
		{ { "https://ca.example/acme/new-account", "oFvnlFP1wIhRlYS2jTaXbA", NULL },
		  "{\"alg\":\"ES256\",\"jwk\":" A3_JWK ",\"nonce\":\"oFvnlFP1wIhRlYS2jTaXbA\","
		  "\"url\":\"https://ca.example/acme/new-account\"}" },
		{ { "https://ca.example/acme/order/1", "n", "https://ca.example/acme/acct/7" },
		  "{\"alg\":\"ES256\",\"kid\":\"https://ca.example/acme/acct/7\",\"nonce\":\"n\","
		  "\"url\":\"https://ca.example/acme/order/1\"}" },
		{ { "https://ca.example/acme/key-change", NULL, NULL },
		  "{\"alg\":\"ES256\",\"jwk\":" A3_JWK ",\"url\":\"https://ca.example/acme/key-change\"}" },
	};
	struct key *k = key_a3();

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *text = jose_sign(k, &rows[i].header, "{\"a\":1}", 7, NULL);
		struct js *jws = js_parse(text, strlen(text), NULL);

		assert_int_equal(js_len(jws), 3);
		assert_decodes_to(jws, "protected", rows[i].expected);
		assert_decodes_to(jws, "payload", "{\"a\":1}");
		assert_true(jose_verify(k, text, strlen(text), NULL));
		js_free(jws);
		free(text);
	}
	key_free(k);
}

static void test_post_as_get_has_an_empty_payload(void **state)
{
	struct jose_header header = { "https://ca.example/acme/order/1", "n", "https://ca.example/acme/acct/7" };
	struct key *k = key_a3();
	char *text = jose_sign(k, &header, "", 0, NULL);
	struct js *jws = js_parse(text, strlen(text), NULL);

	(void)state;
	assert_string_equal(js_str(jws, "payload"), "");
	assert_true(jose_verify(k, text, strlen(text), NULL));
	js_free(jws);
	free(text);
	key_free(k);
}

static void test_every_type_signs(void **state)
{
	static const size_t widths[] = { 64, 96, 256, 384, 512 };
	struct jose_header header = { "https://ca.example/", "n", "https://ca.example/acme/acct/7" };

	(void)state;
	for (enum key_type type = 0; type < KEY_TYPES; type++) {
		struct key *k = key_generate(type, NULL);
		char *text = jose_sign(k, &header, "{}", 2, NULL), *sig;
		struct js *jws = js_parse(text, strlen(text), NULL);
		size_t len;

		assert_true(jose_verify(k, text, strlen(text), NULL));
		sig = decoded(jws, "signature", &len);
		assert_int_equal(len, widths[type]);
		free(sig);
		js_free(jws);
		free(text);
		key_free(k);
	}
}

/* One signature in 128 has an r or s that fits in fewer octets. */
static void test_ten_thousand_signatures(void **state)
{
	struct jose_header header = { "https://ca.example/", NULL, "https://ca.example/acme/acct/7" };
	struct key *k = key_generate(KEY_ECDSA_P256, NULL);
	unsigned short_ones = 0;
	char nonce[16];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		char *text, *sig;
		struct js *jws;
		size_t len;

		snprintf(nonce, sizeof nonce, "n%d", i);
		header.nonce = nonce;
		text = jose_sign(k, &header, "", 0, NULL);
		assert_non_null(text);
		assert_true(jose_verify(k, text, strlen(text), NULL));
		jws = js_parse(text, strlen(text), NULL);
		sig = decoded(jws, "signature", &len);
		assert_int_equal(len, 64);
		short_ones += sig[0] == 0 || sig[32] == 0;
		free(sig);
		js_free(jws);
		free(text);
	}
	assert_true(short_ones > 0);
	assert_int_equal(ERR_peek_error(), 0);
	key_free(k);
}

static void assert_not_verified(const struct key *k, const char *protected, const char *payload, const char *signature)
{
	char *jws = mem_printf("{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", protected, payload, signature);
	struct err err = { 0 };

	assert_false(jose_verify(k, jws, strlen(jws), &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_equal(ERR_peek_error(), 0);
	free(jws);
}

static void test_wrong_signatures_do_not_verify(void **state)
{
	static const char protected[] = "eyJhbGciOiJFUzI1NiJ9";
	static const char good[] = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
	static const char *const texts[] = { "", "[]", "{}", "{\"protected\":1}", "{\"protected\":\"eyJhbGciOiJFUzI1NiJ9\"}" };
	struct key *k = key_a3(), *other = key_generate(KEY_ECDSA_P256, NULL), *p384 = key_generate(KEY_ECDSA_P384, NULL);
	char *zeros = mem_strdup(good);

	(void)state;
	assert_not_verified(other, protected, A_PAYLOAD, good);
	assert_not_verified(p384, protected, A_PAYLOAD, good);
	assert_not_verified(k, protected, "e30", good);
	assert_not_verified(k, "eyJhbGciOiJFUzM4NCJ9", A_PAYLOAD, good);
	assert_not_verified(k, "eyJhbGciOiJub25lIn0", A_PAYLOAD, "");
	assert_not_verified(k, "e30", A_PAYLOAD, good);
	assert_not_verified(k, "*", A_PAYLOAD, good);
	assert_not_verified(k, protected, A_PAYLOAD, "");
	assert_not_verified(k, protected, A_PAYLOAD, "AAAA");
	assert_not_verified(k, protected, A_PAYLOAD, "+/+/");
	memset(zeros, 'A', strlen(zeros));
	assert_not_verified(k, protected, A_PAYLOAD, zeros);
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_false(jose_verify(k, texts[i], strlen(texts[i]), NULL));
	free(zeros);
	key_free(k);
	key_free(other);
	key_free(p384);
}

/* RFC 8555 section 7.3.4, with the HMAC key of RFC 7515 appendix A.1; the signature was computed apart from OpenSSL. */
static void test_external_account_binding(void **state)
{
	static const char hmac_b64[] = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
	struct key *account = key_a3();
	unsigned char *hmac, mac[32];
	struct err err = { 0 };
	struct js *jws;
	size_t hmac_len, len;
	char *input, *sig;

	(void)state;
	assert_true(text_b64url_decode(hmac_b64, strlen(hmac_b64), &hmac, &hmac_len));
	jws = jose_bind(account, "https://ca.example/acme/new-account", "kid-1", hmac, hmac_len, NULL);
	assert_int_equal(js_len(jws), 3);
	assert_decodes_to(jws, "protected", "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"https://ca.example/acme/new-account\"}");
	assert_decodes_to(jws, "payload", A3_JWK);
	assert_string_equal(js_str(jws, "signature"), "MSHslYR3EgmsLOlc7dZ46NfwBJ23DWpm00rSqHI_G9Q");

	input = mem_printf("%s.%s", js_str(jws, "protected"), js_str(jws, "payload"));
	assert_non_null(HMAC(EVP_sha256(), hmac, (int)hmac_len, (const unsigned char *)input, strlen(input), mac, NULL));
	sig = decoded(jws, "signature", &len);
	assert_int_equal(len, sizeof mac);
	assert_memory_equal(sig, mac, len);

	assert_null(jose_bind(account, "https://ca.example/acme/new-account", "kid-1", hmac, 0, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	free(sig);
	free(input);
	js_free(jws);
	free(hmac);
	key_free(account);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alg_of_each_type),
		cmocka_unit_test(test_thumbprint_of_the_rfc),
		cmocka_unit_test(test_jwk_and_key_authorization),
		cmocka_unit_test(test_short_coordinates_keep_their_width),
		cmocka_unit_test(test_signatures_of_the_rfc_verify),
		cmocka_unit_test(test_protected_headers),
		cmocka_unit_test(test_post_as_get_has_an_empty_payload),
		cmocka_unit_test(test_every_type_signs),
		cmocka_unit_test(test_ten_thousand_signatures),
		cmocka_unit_test(test_wrong_signatures_do_not_verify),
		cmocka_unit_test(test_external_account_binding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
