/* SPDX-License-Identifier: ISC */
#include "crypto/ossl.h"

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SIGNATURE_MAX = 4096 };

static void *take(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size ? mem_bytes(size) : NULL;
}

static void *resize(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem_resize_bytes(p, size);
}

/* What reads and writes keys leaves them in much that it gives back: decoders' copies, numbers on their way, buffers that became too small. */
static void give(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	mem_wipe(p);
}

/* OpenSSL crashes here and there when it gets no memory, most of all in its beginning. Too late once it has taken some, so before main(). */
__attribute__((constructor)) static void use_mem(void)
{
	CRYPTO_set_mem_functions(take, resize, give);
}

bool ossl_fail(struct err *err, enum err_kind kind, const char *type, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	err_set(err, kind, type, reason ? "%s: %s" : "%s", what, reason);
	ERR_clear_error();
	return false;
}

const EVP_MD *ossl_md(const struct key *k)
{
	switch (key_type(k)) {
	case KEY_ECDSA_P384:
		return EVP_sha384();
	case KEY_TYPES:
		return NULL;
	default:
		return EVP_sha256();
	}
}

/* Made once for a key: looking up how to sign takes a tenth of signing. */
static EVP_PKEY_CTX *signer_of(const struct key *k, const EVP_MD *md)
{
	EVP_PKEY_CTX *c = k->signer ? NULL : EVP_PKEY_CTX_new_from_pkey(k->lib, k->pkey, NULL);

	if (c && EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, md) == 1)
		((struct key *)k)->signer = c;
	else
		EVP_PKEY_CTX_free(c);
	return k->signer;
}

static bool digest_by(const EVP_MD *md, const void *data, size_t len, unsigned char out[EVP_MAX_MD_SIZE])
{
	return EVP_MD_is_a(md, "SHA2-256") ? ossl_sha256(data, len, out) : EVP_Digest(data, len, out, NULL, md, NULL) == 1;
}

/* What a token gives is looked at: it may hold another key by now. */
static bool sign_elsewhere(const struct key *k, const void *data, size_t len, struct buf *out, struct err *err)
{
	if (!k->sign)
		return err_set(err, ERR_BUG, "key", "nobody said how the key %s signs", k->uri);
	return k->sign(k->sign_arg, k, data, len, out, err) && (ossl_verify(k, data, len, (unsigned char *)out->data, out->len) ||
		err_set(err, ERR_LOCAL, "token", "%s: the key there is another one than before", k->uri));
}

static bool sign_by_token(const struct key *k, const void *data, size_t len, unsigned char **sig, size_t *sig_len, struct err *err)
{
	struct buf out;
	bool ok;

	buf_init(&out, SIGNATURE_MAX);
	ok = sign_elsewhere(k, data, len, &out, err);
	*sig_len = ok ? out.len : 0;
	*sig = ok ? (unsigned char *)buf_take(&out) : NULL;
	buf_free(&out);
	return ok;
}

bool ossl_sign(const struct key *k, const void *data, size_t len, unsigned char **sig, size_t *sig_len, struct err *err)
{
	const EVP_MD *md = ossl_md(k);
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_PKEY_CTX *signer;

	if (!md)
		return err_set(err, ERR_INPUT, "key", "a key of this kind cannot sign for us");
	if (k->uri)
		return sign_by_token(k, data, len, sig, sig_len, err);
	signer = signer_of(k, md);
	*sig_len = (size_t)EVP_PKEY_get_size(k->pkey);
	*sig = mem_alloc(*sig_len);
	if (signer && digest_by(md, data, len, digest) && EVP_PKEY_sign(signer, *sig, sig_len, digest, (size_t)EVP_MD_get_size(md)) == 1)
		return true;
	free(*sig);
	*sig = NULL;
	*sig_len = 0;
	return ossl_fail(err, ERR_LOCAL, "openssl", "cannot sign");
}

bool ossl_verify(const struct key *k, const void *data, size_t len, const unsigned char *sig, size_t sig_len)
{
	const EVP_MD *md = ossl_md(k);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = md && ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, k->pkey) == 1 &&
		  EVP_DigestVerify(ctx, sig, sig_len, data, len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* NID_undef: not a key on a curve with a name. */
static int curve_of(const EVP_PKEY *pkey)
{
	char group[32];

	return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 ? OBJ_txt2nid(group) : NID_undef;
}

bool ossl_spki_fill(X509_PUBKEY *spki, const EVP_PKEY *pkey)
{
	int curve = curve_of(pkey);
	unsigned char *point = NULL;
	size_t len = curve == NID_undef ? 0 : EVP_PKEY_get1_encoded_public_key((EVP_PKEY *)pkey, &point);

	if (len > 0 && X509_PUBKEY_set0_param(spki, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT, OBJ_nid2obj(curve), point, (int)len) == 1)
		return true;
	OPENSSL_free(point);
	return false;
}

struct ec_private_key { /* RFC 5915 section 3, without the curve, which PKCS#8 names */
	int32_t version;
	ASN1_OCTET_STRING *number;
	ASN1_BIT_STRING *point;
};
typedef struct ec_private_key EC_PRIVATE_KEY;
ASN1_SEQUENCE(EC_PRIVATE_KEY) = {
	ASN1_EMBED(EC_PRIVATE_KEY, version, INT32),
	ASN1_SIMPLE(EC_PRIVATE_KEY, number, ASN1_OCTET_STRING),
	ASN1_EXP(EC_PRIVATE_KEY, point, ASN1_BIT_STRING, 1),
} static_ASN1_SEQUENCE_END(EC_PRIVATE_KEY)

/* As many octets as the order of the curve has. */
static bool set_number(ASN1_OCTET_STRING *out, const EVP_PKEY *pkey)
{
	int len = (EVP_PKEY_get_bits(pkey) + 7) / 8;
	BIGNUM *n = NULL;
	bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &n) == 1 && ASN1_STRING_set(out, NULL, len) == 1 &&
		BN_bn2binpad(n, out->data, len) == len;

	BN_clear_free(n);
	return ok;
}

static bool set_point(ASN1_BIT_STRING *out, const EVP_PKEY *pkey)
{
	unsigned char *point = NULL;
	size_t len = EVP_PKEY_get1_encoded_public_key((EVP_PKEY *)pkey, &point);

	if (len == 0)
		return false;
	ASN1_STRING_set0(out, point, (int)len);
	out->flags = (out->flags & ~7L) | ASN1_STRING_FLAG_BITS_LEFT; /* whole octets, a last one of zeros too */
	return true;
}

bool ossl_pkcs8_fill(PKCS8_PRIV_KEY_INFO *info, const EVP_PKEY *pkey)
{
	EC_PRIVATE_KEY key = { .version = 1, .number = ASN1_OCTET_STRING_new(), .point = ASN1_BIT_STRING_new() };
	int curve = curve_of(pkey), len = -1;
	unsigned char *der = NULL;

	if (curve != NID_undef && key.number && key.point && set_number(key.number, pkey) && set_point(key.point, pkey))
		len = ASN1_item_i2d((ASN1_VALUE *)&key, &der, ASN1_ITEM_rptr(EC_PRIVATE_KEY));
	ASN1_STRING_clear_free(key.number);
	ASN1_BIT_STRING_free(key.point);
	if (len > 0 && PKCS8_pkey_set0(info, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), 0, V_ASN1_OBJECT, OBJ_nid2obj(curve), der, len) == 1)
		return true; /* which wipes it when it goes */
	OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
	return false;
}

bool ossl_sha256(const void *data, size_t len, unsigned char out[32])
{
	static EVP_MD *md;

	if (!md)
		md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	return md && EVP_Digest(data, len, out, NULL, md, NULL) == 1;
}

/* Takes over der. */
static bool der_digest(unsigned char *der, int len, unsigned char out[32])
{
	bool ok = len > 0 && ossl_sha256(der, (size_t)len, out);

	OPENSSL_free(der);
	return ok;
}

bool ossl_spki_digest(const X509_PUBKEY *spki, unsigned char out[32])
{
	unsigned char *der = NULL;
	int len = spki ? i2d_X509_PUBKEY(spki, &der) : -1;

	return der_digest(der, len, out);
}

bool ossl_key_digest(const EVP_PKEY *pkey, unsigned char out[32])
{
	X509_PUBKEY *spki = X509_PUBKEY_new();
	unsigned char *der = NULL;
	int len = -1;

	if (pkey && spki)
		len = ossl_spki_fill(spki, pkey) ? i2d_X509_PUBKEY(spki, &der) : i2d_PUBKEY(pkey, &der);
	X509_PUBKEY_free(spki);
	return der_digest(der, len, out);
}
