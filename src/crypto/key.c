/* SPDX-License-Identifier: ISC */
#include "crypto/key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/ossl.h"
#include "crypto/token_uri.h"

enum { KEY_PEM_MAX = 64 * 1024 }; /* a key and its certificates in one file fit well */

static const struct {
	const char *name;
	const char *group; /* OpenSSL's word for the curve; NULL: RSA */
	int bits;
} types[KEY_TYPES] = {
	[KEY_ECDSA_P256] = { "ecdsa-p256", "prime256v1", 256 },
	[KEY_ECDSA_P384] = { "ecdsa-p384", "secp384r1", 384 },
	[KEY_RSA_2048] = { "rsa-2048", NULL, 2048 },
	[KEY_RSA_3072] = { "rsa-3072", NULL, 3072 },
	[KEY_RSA_4096] = { "rsa-4096", NULL, 4096 },
};

const char *key_type_name(enum key_type type)
{
	return type < KEY_TYPES ? types[type].name : "other";
}

bool key_type_find(const char *name, enum key_type *type)
{
	for (enum key_type t = 0; t < KEY_TYPES; t++) {
		if (strcmp(types[t].name, name) == 0) {
			*type = t;
			return true;
		}
	}
	return false;
}

static struct key *key_wrap(EVP_PKEY *pkey)
{
	struct key *k = mem_alloc(sizeof *k);

	k->pkey = pkey;
	return k;
}

struct key *key_generate(enum key_type type, struct err *err)
{
	EVP_PKEY *pkey = types[type].group ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", types[type].group)
					   : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)types[type].bits);

	if (!pkey) {
		ossl_fail(err, ERR_LOCAL, "openssl", "cannot make a key");
		return NULL;
	}
	return key_wrap(pkey);
}

/* A damaged or pasted-together file can hold a public half that belongs to another private half: such a key matches a
 * certificate and yet serves nobody. Only kinds we use are tried, so nobody makes us compute with a giant modulus. */
static bool key_is_whole(const struct key *k)
{
	static const char proof[] = "the two halves belong together";
	unsigned char *sig;
	size_t len;
	bool ok;

	if (key_type(k) == KEY_TYPES)
		return true;
	if (!ossl_sign(k, proof, sizeof proof, &sig, &len, NULL))
		return false;
	ok = ossl_verify(k, proof, sizeof proof, sig, len);
	free(sig);
	return ok;
}

/* Without a callback OpenSSL would ask the terminal. */
static int refuse_passphrase(char *out, int room, int writing, void *asked)
{
	(void)out;
	(void)room;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static struct key *parse_whole(const char *pem, size_t len, struct err *err)
{
	BIO *bio = len > 0 && len <= KEY_PEM_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	bool encrypted = false;
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &encrypted) : NULL;
	struct key *k = pkey ? key_wrap(pkey) : NULL;

	BIO_free(bio);
	if (len > KEY_PEM_MAX) {
		err_set(err, ERR_INPUT, "key", "the key file is larger than %d bytes", KEY_PEM_MAX);
	} else if (!k) {
		ossl_fail(err, ERR_INPUT, "key", encrypted ? "the key is encrypted" : "not a private key in PEM");
	} else if (!key_is_whole(k)) {
		err_set(err, ERR_INPUT, "key", "the private and the public half of the key do not belong together");
		key_free(k);
		k = NULL;
	}
	ERR_clear_error();
	return k;
}

/* --- on a token --- */

/* Takes over pkey, NULL: it could not be read. */
static struct key *wrap_public(const char *uri, EVP_PKEY *pkey, struct err *err)
{
	struct key *k = pkey && token_uri_check(uri, err) ? key_wrap(pkey) : NULL;

	if (k) {
		k->uri = mem_strdup(uri);
		if (key_type(k) != KEY_TYPES)
			return k;
		err_set(err, ERR_INPUT, "key", "a key of this kind cannot be used");
	} else if (!pkey) {
		ossl_fail(err, ERR_INPUT, "key", "not a public key");
	}
	if (!k)
		EVP_PKEY_free(pkey);
	key_free(k);
	return NULL;
}

struct key *key_on_token(const char *uri, const void *spki, size_t len, struct err *err)
{
	const unsigned char *p = spki;
	EVP_PKEY *pkey = len <= KEY_PEM_MAX ? d2i_PUBKEY(NULL, &p, (long)len) : NULL;

	return wrap_public(uri, pkey, err);
}

const char *key_uri(const struct key *k)
{
	return k->uri;
}

void key_set_signer(struct key *k, key_sign_fn *sign, void *arg)
{
	k->sign = sign;
	k->sign_arg = arg;
}

static bool is_on_token(const char *text, size_t len)
{
	return len > strlen(TOKEN_URI_SCHEME) && memcmp(text, TOKEN_URI_SCHEME, strlen(TOKEN_URI_SCHEME)) == 0;
}

/* As format_on_token() wrote it. */
static struct key *parse_on_token(const char *text, size_t len, struct err *err)
{
	const char *end = memchr(text, '\n', len);
	size_t line = end ? (size_t)(end - text) : 0;
	BIO *bio = end && len <= KEY_PEM_MAX ? BIO_new_mem_buf(end + 1, (int)(len - line - 1)) : NULL;
	char *uri = mem_strndup(text, line);
	struct key *k = wrap_public(uri, bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL, err);

	BIO_free(bio);
	free(uri);
	ERR_clear_error();
	return k;
}

struct key *key_parse(const char *pem, size_t len, struct err *err)
{
	if (is_on_token(pem, len))
		return parse_on_token(pem, len, err);
	return parse_whole(pem, len, err);
}

void key_free(struct key *k)
{
	if (!k)
		return;
	EVP_PKEY_CTX_free(k->signer);
	EVP_PKEY_free(k->pkey);
	free(k->uri);
	free(k);
}

/* What writes one form of PKCS#8. */
typedef int pkcs8_write(BIO *bio, const PKCS8_PRIV_KEY_INFO *info);

static bool write_pkcs8(BIO *bio, const EVP_PKEY *pkey, pkcs8_write *write)
{
	PKCS8_PRIV_KEY_INFO *info = PKCS8_PRIV_KEY_INFO_new(); /* wiped when freed */
	bool ok;

	if (info && !ossl_pkcs8_fill(info, pkey)) {
		PKCS8_PRIV_KEY_INFO_free(info);
		info = EVP_PKEY2PKCS8(pkey);
	}
	ok = info && write(bio, info) == 1;
	PKCS8_PRIV_KEY_INFO_free(info);
	return ok;
}

static bool add_bio(BIO *bio, bool written, struct buf *out, struct err *err)
{
	char *data;
	long len = written ? BIO_get_mem_data(bio, &data) : 0;
	bool ok = written && (buf_add(out, data, (size_t)len) || err_set(err, ERR_BUG, "key", "no room for the key"));

	BIO_free(bio);
	return ok || (written ? false : ossl_fail(err, ERR_LOCAL, "openssl", "cannot write the key"));
}

static bool format_on_token(const struct key *k, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return add_bio(bio, bio && BIO_printf(bio, "%s\n", k->uri) > 0 && PEM_write_bio_PUBKEY(bio, k->pkey) == 1, out, err);
}

bool key_format_public(const struct key *k, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return add_bio(bio, bio && i2d_PUBKEY_bio(bio, k->pkey) == 1, out, err);
}

bool key_sign(const struct key *k, const void *data, size_t len, struct buf *out, struct err *err)
{
	unsigned char *sig;
	size_t n;
	bool ok;

	if (!ossl_sign(k, data, len, &sig, &n, err))
		return false;
	ok = buf_add(out, sig, n) || err_set(err, ERR_BUG, "key", "no room for the signature");
	free(sig);
	return ok;
}

static bool format_as(const struct key *k, pkcs8_write *write, struct buf *out, struct err *err)
{
	BIO *bio = k->uri ? NULL : BIO_new(BIO_s_mem()); /* wiped when freed */

	if (k->uri)
		return err_set(err, ERR_LOCAL, "key", "the key is on a token and never leaves it");
	return add_bio(bio, bio && write_pkcs8(bio, k->pkey, write), out, err);
}

bool key_format(const struct key *k, struct buf *out, struct err *err)
{
	return k->uri ? format_on_token(k, out, err) : format_as(k, PEM_write_bio_PKCS8_PRIV_KEY_INFO, out, err);
}

bool key_format_der(const struct key *k, struct buf *out, struct err *err)
{
	return format_as(k, i2d_PKCS8_PRIV_KEY_INFO_bio, out, err);
}

enum key_type key_type(const struct key *k)
{
	char group[32] = "";
	bool ec = EVP_PKEY_is_a(k->pkey, "EC") && EVP_PKEY_get_group_name(k->pkey, group, sizeof group, NULL) == 1;
	bool rsa = EVP_PKEY_is_a(k->pkey, "RSA");

	for (enum key_type t = 0; t < KEY_TYPES; t++) {
		if (types[t].group ? ec && strcmp(types[t].group, group) == 0
				   : rsa && types[t].bits == EVP_PKEY_get_bits(k->pkey))
			return t;
	}
	return KEY_TYPES;
}

bool key_digest(const struct key *k, unsigned char out[32], struct err *err)
{
	return ossl_key_digest(k->pkey, out) || ossl_fail(err, ERR_LOCAL, "openssl", "cannot digest the key");
}

bool key_equal(const struct key *a, const struct key *b)
{
	bool equal = EVP_PKEY_eq(a->pkey, b->pkey) == 1;

	ERR_clear_error(); /* keys of two kinds leave a complaint there */
	return equal;
}
