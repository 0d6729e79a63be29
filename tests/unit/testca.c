/* SPDX-License-Identifier: ISC */
#include "testca.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/ossl.h"

static const int64_t ca_begin = 946684800, ca_end = 4102444800; /* 2000, 2100 */

struct testca {
	const struct testca *parent;
	struct key *key;
	X509 *x;
	char *pem;
};

/* A test that cannot make its material cannot go on. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "testca: %s failed\n", what);
	abort();
}

static void add_general_name(GENERAL_NAMES *list, int type, void *value)
{
	GENERAL_NAME *entry = GENERAL_NAME_new();

	need(entry && value, "a name");
	GENERAL_NAME_set0_value(entry, type, value);
	need(sk_GENERAL_NAME_push(list, entry) > 0, "a list of names");
}

static void add_dns_name(GENERAL_NAMES *list, const char *name, size_t len)
{
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	need(text && ASN1_STRING_set(text, name, (int)len) == 1, "a name");
	add_general_name(list, GEN_DNS, text);
}

static void add_broken_names(X509 *x)
{
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	need(octets && ASN1_OCTET_STRING_set(octets, (const unsigned char *)"broken", 6) == 1, "octets");
	ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, octets);
	need(ext && X509_add_ext(x, ext, -1) == 1, "an extension");
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(octets);
}

static void add_names(X509 *x, const struct testca_wish *wish)
{
	GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();

	need(list, "a list of names");
	for (size_t i = 0; i < wish->nnames; i++)
		add_dns_name(list, wish->names[i], strlen(wish->names[i]));
	if (wish->raw)
		add_dns_name(list, wish->raw, wish->raw_len);
	if (wish->address)
		add_general_name(list, GEN_IPADD, a2i_IPADDRESS(wish->address));
	if (sk_GENERAL_NAME_num(list) > 0) {
		for (int n = wish->names_twice ? 2 : 1; n > 0; n--)
			need(X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, X509V3_ADD_APPEND) == 1, "the names");
	}
	GENERAL_NAMES_free(list);
	if (wish->names_broken)
		add_broken_names(x);
}

static void add_text_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	need(ext && X509_add_ext(x, ext, -1) == 1, value);
	X509_EXTENSION_free(ext);
}

static void add_aki(X509 *x, X509 *issuer, const char *hex)
{
	AUTHORITY_KEYID *aki;
	unsigned char *octets;
	long len;

	if (!hex) {
		add_text_ext(x, issuer, NID_authority_key_identifier, "keyid");
		return;
	}
	if (!*hex)
		return;
	aki = AUTHORITY_KEYID_new();
	need(aki, "a key identifier");
	aki->keyid = ASN1_OCTET_STRING_new();
	octets = OPENSSL_hexstr2buf(hex, &len);
	need(aki->keyid && octets && ASN1_OCTET_STRING_set(aki->keyid, octets, (int)len) == 1, "a key identifier");
	need(X509_add1_ext_i2d(x, NID_authority_key_identifier, aki, 0, X509V3_ADD_APPEND) == 1, "a key identifier");
	OPENSSL_free(octets);
	AUTHORITY_KEYID_free(aki);
}

static void set_serial(X509 *x, const char *hex)
{
	static uint64_t next = 0x1000;
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	BIGNUM *n = NULL;

	if (hex)
		need(BN_hex2bn(&n, hex) > 0 && BN_to_ASN1_INTEGER(n, serial), "a serial number");
	else
		need(ASN1_INTEGER_set_uint64(serial, next++) == 1, "a serial number");
	need(X509_set_serialNumber(x, serial) == 1, "a serial number");
	BN_free(n);
	ASN1_INTEGER_free(serial);
}

static void add_to_subject(X509_NAME *name, const char *field, const char *value)
{
	if (value)
		need(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1, value);
}

static void set_subject(X509 *x, const struct testca_wish *wish)
{
	X509_NAME *name = X509_NAME_new();

	need(name, "a subject");
	add_to_subject(name, "O", wish->org);
	add_to_subject(name, "CN", wish->cn);
	need(X509_set_subject_name(x, name) == 1, "a subject");
	X509_NAME_free(name);
}

static void set_times(X509 *x, int64_t not_before, int64_t not_after)
{
	ASN1_TIME *begin = ASN1_TIME_set(NULL, not_before), *end = ASN1_TIME_set(NULL, not_after);

	need(begin && end && X509_set1_notBefore(x, begin) == 1 && X509_set1_notAfter(x, end) == 1, "a validity");
	ASN1_TIME_free(begin);
	ASN1_TIME_free(end);
}

/* The signature's last byte stands at the very end of the DER, inside a number: changing it leaves the form intact. */
static X509 *spoil(X509 *x)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);
	const unsigned char *p = der;

	need(len > 0, "DER");
	der[len - 1] ^= 1;
	X509_free(x);
	x = d2i_X509(NULL, &p, len);
	OPENSSL_free(der);
	return x;
}

static void sign(X509 *x, const struct key *signer, bool pss)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;

	need(ctx && EVP_DigestSignInit(ctx, &how, ossl_md(signer), NULL, signer->pkey) == 1, "a signer");
	need(!pss || EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1, "RSA-PSS");
	need(X509_sign_ctx(x, ctx) > 0, "a signature");
	EVP_MD_CTX_free(ctx);
}

/* issuer NULL: self-signed. */
static X509 *mint(const struct testca *issuer, const struct key *key, const struct testca_wish *wish)
{
	const struct key *signer = issuer ? issuer->key : key;
	X509 *x = X509_new(), *above = issuer ? issuer->x : x;

	need(x && X509_set_version(x, X509_VERSION_3) == 1 && X509_set_pubkey(x, key->pkey) == 1, "a certificate");
	set_serial(x, wish->serial);
	set_subject(x, wish);
	need(X509_set_issuer_name(x, X509_get_subject_name(above)) == 1, "an issuer");
	set_times(x, wish->not_before, wish->not_after);
	if (wish->ca) {
		add_text_ext(x, above, NID_basic_constraints, "critical,CA:TRUE");
		add_text_ext(x, above, NID_key_usage, "critical,keyCertSign,cRLSign");
	} else if (!wish->eku || *wish->eku) {
		for (int n = wish->eku_twice ? 2 : 1; n > 0; n--)
			add_text_ext(x, above, NID_ext_key_usage, wish->eku ? wish->eku : "serverAuth");
	}
	add_text_ext(x, above, NID_subject_key_identifier, "hash");
	if (issuer)
		add_aki(x, above, wish->aki);
	add_names(x, wish);
	sign(x, signer, wish->pss);
	return wish->bad_signature ? spoil(x) : x;
}

static char *to_pem(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long len;

	need(x && bio && PEM_write_bio_X509(bio, x) == 1, "PEM");
	len = BIO_get_mem_data(bio, &text);
	copy = mem_strndup(text, (size_t)len);
	BIO_free(bio);
	return copy;
}

struct testca *testca_new(const char *cn, const struct testca *parent, const struct testca_wish *wish)
{
	struct testca *ca = mem_alloc(sizeof *ca);
	struct testca_wish w = wish ? *wish : (struct testca_wish){ 0 };

	w.cn = cn;
	w.ca = !w.not_ca;
	w.not_before = w.not_before ? w.not_before : ca_begin;
	w.not_after = w.not_after ? w.not_after : ca_end;
	ca->parent = parent;
	ca->key = key_generate(w.rsa ? KEY_RSA_2048 : KEY_ECDSA_P256, NULL);
	need(ca->key, "a key");
	ca->x = mint(parent, ca->key, &w);
	ca->pem = to_pem(ca->x);
	return ca;
}

void testca_free(struct testca *ca)
{
	if (!ca)
		return;
	key_free(ca->key);
	X509_free(ca->x);
	free(ca->pem);
	free(ca);
}

const struct key *testca_key(const struct testca *ca)
{
	return ca->key;
}

char *testca_pem(const struct testca *ca)
{
	return mem_strdup(ca->pem);
}

char *testca_mint(const struct testca *ca, const struct key *key, const struct testca_wish *wish)
{
	struct testca_wish w = *wish;
	X509 *x;
	char *pem;

	w.not_before = w.not_before ? w.not_before : TESTCA_NOW - 3600;
	w.not_after = w.not_after ? w.not_after : TESTCA_NOW + 90 * 86400;
	x = mint(ca, key, &w);
	pem = to_pem(x);
	X509_free(x);
	return pem;
}

char *testca_chain(const struct testca *ca, const struct key *key, const struct testca_wish *wish)
{
	char *pem = testca_mint(ca, key, wish);

	for (; ca->parent; ca = ca->parent) {
		char *longer = mem_printf("%s%s", pem, ca->pem);

		free(pem);
		pem = longer;
	}
	return pem;
}
