/* SPDX-License-Identifier: ISC */
#include "crypto/pkcs12.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

#include "crypto/ossl.h"

enum { ROUNDS = PKCS12_DEFAULT_ITER, SALT = 16, IV = 16 };

struct seed { /* what would be random */
	unsigned char salt[SALT], iv[IV];
};

enum use { FOR_KEY, FOR_CHAIN, FOR_MAC };

static bool derive(const PKCS8_PRIV_KEY_INFO *key, const char *password, enum use use, struct seed *out)
{
	static const char label[] = "dovad pkcs12";
	unsigned char *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(key, &der);
	struct buf text;
	bool ok;

	_Static_assert(sizeof *out == 32, "as long as the HMAC");
	buf_init(&text, 0);
	ok = len > 0 && buf_printf(&text, "%s %d %s", label, (int)use, password) &&
		HMAC(EVP_sha256(), der, len, (const unsigned char *)text.data, text.len, (unsigned char *)out, NULL);
	OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
	buf_wipe(&text);
	return ok;
}

static X509_ALGOR *cipher_of(struct seed *s)
{
	return PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), ROUNDS, s->salt, SALT, s->iv, NID_hmacWithSHA256);
}

/* --- bags --- */

/* Takes over bag, NULL included. */
static bool add_bag(STACK_OF(PKCS12_SAFEBAG) *bags, PKCS12_SAFEBAG *bag)
{
	if (bag && sk_PKCS12_SAFEBAG_push(bags, bag) > 0)
		return true;
	PKCS12_SAFEBAG_free(bag);
	return false;
}

/* A key and its certificate find each other by this. */
static bool name_bag(PKCS12_SAFEBAG *bag, const struct pkcs12 *p)
{
	unsigned char id[32];

	return bag && ossl_key_digest(p->key->pkey, id) && PKCS12_add_localkeyid(bag, id, sizeof id) == 1 &&
		PKCS12_add_friendlyname_utf8(bag, p->name, -1) == 1;
}

static bool add_certs(STACK_OF(PKCS12_SAFEBAG) *bags, const struct pkcs12 *p)
{
	BIO *bio = BIO_new_mem_buf(p->chain->data ? p->chain->data : "", (int)p->chain->len);
	bool ok = bio != NULL;
	X509 *x;
	int n = 0;

	while (ok && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		PKCS12_SAFEBAG *bag = PKCS12_SAFEBAG_create_cert(x);

		ok = add_bag(bags, bag) && (n++ > 0 || name_bag(bag, p));
		X509_free(x);
	}
	BIO_free(bio);
	return ok && n > 0;
}

/* The whole of p->key, encrypted. */
static PKCS12_SAFEBAG *key_bag(const struct pkcs12 *p, PKCS8_PRIV_KEY_INFO *key)
{
	struct seed s;
	X509_ALGOR *cipher = derive(key, p->password, FOR_KEY, &s) ? cipher_of(&s) : NULL;
	X509_SIG *sealed = cipher ? PKCS8_set0_pbe(p->password, -1, key, cipher) : NULL;
	PKCS12_SAFEBAG *bag = sealed ? PKCS12_SAFEBAG_create0_pkcs8(sealed) : NULL;

	if (!sealed)
		X509_ALGOR_free(cipher);
	if (!bag)
		X509_SIG_free(sealed);
	return bag;
}

/* --- the two halves --- */

static PKCS7 *key_half(const struct pkcs12 *p, PKCS8_PRIV_KEY_INFO *key)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = sk_PKCS12_SAFEBAG_new_null();
	PKCS12_SAFEBAG *bag = key_bag(p, key);
	bool ok = name_bag(bag, p);
	PKCS7 *half;

	ok = bags && add_bag(bags, bag) && ok;
	half = ok ? PKCS12_pack_p7data(bags) : NULL;
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return half;
}

/* PKCS12_pack_p7encdata() with an initial vector of ours. */
static PKCS7 *encrypt(STACK_OF(PKCS12_SAFEBAG) *bags, const char *password, X509_ALGOR *cipher)
{
	PKCS7 *half = PKCS7_new();
	ASN1_OCTET_STRING *sealed = half && PKCS7_set_type(half, NID_pkcs7_encrypted) == 1 ?
		PKCS12_item_i2d_encrypt(cipher, ASN1_ITEM_rptr(PKCS12_SAFEBAGS), password, -1, bags, 1) : NULL;

	if (!sealed) {
		X509_ALGOR_free(cipher);
		PKCS7_free(half);
		return NULL;
	}
	X509_ALGOR_free(half->d.encrypted->enc_data->algorithm);
	half->d.encrypted->enc_data->algorithm = cipher;
	ASN1_OCTET_STRING_free(half->d.encrypted->enc_data->enc_data);
	half->d.encrypted->enc_data->enc_data = sealed;
	return half;
}

static PKCS7 *chain_half(const struct pkcs12 *p, PKCS8_PRIV_KEY_INFO *key)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = sk_PKCS12_SAFEBAG_new_null();
	struct seed s;
	X509_ALGOR *cipher = bags && add_certs(bags, p) && derive(key, p->password, FOR_CHAIN, &s) ? cipher_of(&s) : NULL;
	PKCS7 *half = cipher ? encrypt(bags, p->password, cipher) : NULL;

	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return half;
}

/* Takes over half, NULL included. */
static bool add_half(STACK_OF(PKCS7) *halves, PKCS7 *half)
{
	if (half && sk_PKCS7_push(halves, half) > 0)
		return true;
	PKCS7_free(half);
	return false;
}

static PKCS12 *make(const struct pkcs12 *p, PKCS8_PRIV_KEY_INFO *key)
{
	STACK_OF(PKCS7) *halves = sk_PKCS7_new_null();
	PKCS12 *file = NULL;
	struct seed s;

	if (halves && add_half(halves, chain_half(p, key)) && add_half(halves, key_half(p, key)))
		file = PKCS12_add_safes(halves, 0);
	sk_PKCS7_pop_free(halves, PKCS7_free);
	if (file && derive(key, p->password, FOR_MAC, &s) && PKCS12_set_mac(file, p->password, -1, s.salt, SALT, ROUNDS, EVP_sha256()) == 1)
		return file;
	PKCS12_free(file);
	return NULL;
}

bool pkcs12_format(const struct pkcs12 *p, struct buf *out, struct err *err)
{
	PKCS8_PRIV_KEY_INFO *key = EVP_PKEY2PKCS8(p->key->pkey); /* wiped when freed */
	PKCS12 *file = key ? make(p, key) : NULL;
	unsigned char *der = NULL;
	int len = file ? i2d_PKCS12(file, &der) : -1;
	bool ok = len > 0 ? buf_add(out, der, (size_t)len) || err_set(err, ERR_BUG, "pkcs12", "no room for the PKCS#12 file") :
			    ossl_fail(err, ERR_LOCAL, "openssl", "cannot make a PKCS#12 file");

	OPENSSL_free(der);
	PKCS12_free(file);
	PKCS8_PRIV_KEY_INFO_free(key);
	ERR_clear_error(); /* the end of the chain's text left a complaint there */
	return ok;
}
