/* SPDX-License-Identifier: ISC */
#include "crypto/jose.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/ossl.h"

static const struct alg {
	const char *name;
	const char *curve;
	size_t width; /* octets of a coordinate, and of r and s; 0: RSA */
} algs[KEY_TYPES] = {
	[KEY_ECDSA_P256] = { "ES256", "P-256", 32 },
	[KEY_ECDSA_P384] = { "ES384", "P-384", 48 },
	[KEY_RSA_2048] = { "RS256", NULL, 0 },
	[KEY_RSA_3072] = { "RS256", NULL, 0 },
	[KEY_RSA_4096] = { "RS256", NULL, 0 },
};

static const struct alg *alg_find(const struct key *k)
{
	enum key_type type = key_type(k);

	return type < KEY_TYPES ? &algs[type] : NULL;
}

const char *jose_alg(const struct key *k)
{
	const struct alg *alg = alg_find(k);

	return alg ? alg->name : NULL;
}

/* A public number of the key as base64url, left-padded to `width` octets; 0: as short as it is, which RFC 7518 wants
 * for RSA. */
static bool put_number(struct js *jwk, const char *member, const struct key *k, const char *param, size_t width)
{
	BIGNUM *n = NULL;
	unsigned char *octets = NULL;
	char *text = NULL;

	if (EVP_PKEY_get_bn_param(k->pkey, param, &n) == 1) {
		if (width == 0)
			width = (size_t)BN_num_bytes(n);
		octets = mem_alloc(width);
		if (BN_bn2binpad(n, octets, (int)width) >= 0)
			text = text_b64url_encode(octets, width);
	}
	js_put_str(jwk, member, text);
	BN_free(n);
	free(octets);
	free(text);
	return js_has(jwk, member);
}

struct js *jose_jwk(const struct key *k, struct err *err)
{
	const struct alg *alg = alg_find(k);
	struct js *jwk;
	bool ok;

	if (!alg) {
		err_set(err, ERR_INPUT, "key", "a key of this kind has no place in ACME");
		return NULL;
	}
	jwk = js_object();
	if (alg->curve) {
		js_put_str(jwk, "crv", alg->curve);
		js_put_str(jwk, "kty", "EC");
		ok = put_number(jwk, "x", k, OSSL_PKEY_PARAM_EC_PUB_X, alg->width) &&
		     put_number(jwk, "y", k, OSSL_PKEY_PARAM_EC_PUB_Y, alg->width);
	} else {
		ok = put_number(jwk, "e", k, OSSL_PKEY_PARAM_RSA_E, 0);
		js_put_str(jwk, "kty", "RSA");
		ok = ok && put_number(jwk, "n", k, OSSL_PKEY_PARAM_RSA_N, 0);
	}
	if (ok)
		return jwk;
	js_free(jwk);
	ossl_fail(err, ERR_LOCAL, "openssl", "cannot read the public key");
	return NULL;
}

char *jose_thumbprint(const struct key *k, struct err *err)
{
	struct js *jwk = jose_jwk(k, err);
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *text;

	if (!jwk)
		return NULL;
	text = js_dump(jwk);
	js_free(jwk);
	SHA256((const unsigned char *)text, strlen(text), digest);
	free(text);
	return text_b64url_encode(digest, sizeof digest);
}

char *jose_key_authorization(const char *token, const char *thumbprint)
{
	return mem_printf("%s.%s", token, thumbprint);
}

char *jose_dns_value(const char *token, const char *thumbprint)
{
	char *text = jose_key_authorization(token, thumbprint);
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, strlen(text), digest);
	free(text);
	return text_b64url_encode(digest, sizeof digest);
}

struct jws {
	char *header, *payload; /* base64url */
	char *input;            /* what is signed: both, joined by a dot (RFC 7515 section 5.1) */
};

static void jws_begin(struct jws *w, const struct js *header, const char *payload, size_t len)
{
	char *text = js_dump(header);

	w->header = text_b64url_encode(text, strlen(text));
	w->payload = text_b64url_encode(payload, len);
	w->input = mem_printf("%s.%s", w->header, w->payload);
	free(text);
}

/* The finished object as JSON, where base64url needs no escapes; NULL signature: none. Frees what jws_begin made. */
static char *jws_end(struct jws *w, const unsigned char *sig, size_t len)
{
	char *signature = sig ? text_b64url_encode(sig, len) : NULL, *jws = NULL;

	if (signature)
		jws = mem_printf("{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", w->header, w->payload, signature);
	free(signature);
	free(w->header);
	free(w->payload);
	free(w->input);
	return jws;
}

/* DER to r||s, each at full width: one in 128 signatures has a number shorter than that. */
static bool ecdsa_to_fixed(const unsigned char *der, size_t len, size_t width, unsigned char *out)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)width) >= 0 &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + width, (int)width) >= 0;

	ECDSA_SIG_free(sig);
	return ok;
}

static bool ecdsa_from_fixed(const unsigned char *in, size_t width, unsigned char **der, size_t *len)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(in, (int)width, NULL), *s = BN_bin2bn(in + width, (int)width, NULL);
	int n = -1;

	*der = NULL;
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		n = i2d_ECDSA_SIG(sig, der);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	*len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* Signature in the form of RFC 7518; caller owns *sig. */
static bool sign_jws(const struct key *k, const struct alg *alg, const char *input, unsigned char **sig, size_t *len,
		     struct err *err)
{
	unsigned char *fixed;

	if (!ossl_sign(k, input, strlen(input), sig, len, err))
		return false;
	if (alg->width == 0)
		return true;
	fixed = mem_array(alg->width, 2);
	if (!ecdsa_to_fixed(*sig, *len, alg->width, fixed)) {
		free(*sig);
		free(fixed);
		*sig = NULL;
		return ossl_fail(err, ERR_LOCAL, "openssl", "cannot read back a signature");
	}
	free(*sig);
	*sig = fixed;
	*len = 2 * alg->width;
	return true;
}

/* The protected header of RFC 8555 section 6.2; NULL and *err on failure. */
static struct js *protect(const struct key *k, const struct alg *alg, const struct jose_header *header, struct err *err)
{
	struct js *jwk = NULL, *protected;

	if (!header->kid) {
		jwk = jose_jwk(k, err);
		if (!jwk)
			return NULL;
	}
	protected = js_object();
	js_put_str(protected, "alg", alg->name);
	if (jwk)
		js_put(protected, "jwk", jwk);
	js_put_str(protected, "kid", header->kid);
	js_put_str(protected, "nonce", header->nonce);
	js_put_str(protected, "url", header->url);
	return protected;
}

char *jose_sign(const struct key *k, const struct jose_header *header, const char *payload, size_t len, struct err *err)
{
	const struct alg *alg = alg_find(k);
	unsigned char *sig = NULL;
	size_t sig_len = 0;
	struct js *protected;
	struct jws w;
	char *jws;

	if (!alg) {
		err_set(err, ERR_INPUT, "key", "a key of this kind cannot sign for ACME");
		return NULL;
	}
	protected = protect(k, alg, header, err);
	if (!protected)
		return NULL;
	jws_begin(&w, protected, payload, len);
	js_free(protected);
	if (!sign_jws(k, alg, w.input, &sig, &sig_len, err))
		sig = NULL;
	jws = jws_end(&w, sig, sig_len);
	free(sig);
	return jws;
}

struct js *jose_bind(const struct key *account, const char *url, const char *kid, const unsigned char *hmac,
		     size_t hmac_len, struct err *err)
{
	struct js *jwk, *protected, *bound;
	unsigned char mac[SHA256_DIGEST_LENGTH];
	char *payload, *jws;
	struct jws w;
	bool ok;

	if (hmac_len == 0) {
		err_set(err, ERR_INPUT, "externalAccount", "the key of the external account binding is empty");
		return NULL;
	}
	jwk = jose_jwk(account, err);
	if (!jwk)
		return NULL;
	protected = js_object();
	js_put_str(protected, "alg", "HS256");
	js_put_str(protected, "kid", kid);
	js_put_str(protected, "url", url);
	payload = js_dump(jwk);
	jws_begin(&w, protected, payload, strlen(payload));
	js_free(protected);
	js_free(jwk);
	free(payload);
	ok = HMAC(EVP_sha256(), hmac, (int)hmac_len, (const unsigned char *)w.input, strlen(w.input), mac, NULL);
	jws = jws_end(&w, ok ? mac : NULL, sizeof mac);
	if (!ok)
		ossl_fail(err, ERR_LOCAL, "openssl", "cannot compute an HMAC");
	bound = ok ? js_parse(jws, strlen(jws), err) : NULL;
	free(jws);
	return bound;
}

/* Does the decoded protected header name this algorithm? */
static bool header_names(const char *b64, const char *alg)
{
	unsigned char *text;
	size_t len;
	struct js *header;
	const char *said;
	bool ok;

	if (!text_b64url_decode(b64, strlen(b64), &text, &len))
		return false;
	header = js_parse((const char *)text, len, NULL);
	said = js_str(header, "alg");
	ok = said && strcmp(said, alg) == 0;
	js_free(header);
	free(text);
	return ok;
}

static bool verify_jws(const struct key *k, const struct alg *alg, const char *input, const char *signature)
{
	unsigned char *sig, *der = NULL;
	size_t len, der_len = 0;
	bool ok;

	if (!text_b64url_decode(signature, strlen(signature), &sig, &len))
		return false;
	if (alg->width == 0)
		ok = ossl_verify(k, input, strlen(input), sig, len);
	else
		ok = len == 2 * alg->width && ecdsa_from_fixed(sig, alg->width, &der, &der_len) &&
		     ossl_verify(k, input, strlen(input), der, der_len);
	OPENSSL_free(der);
	free(sig);
	return ok;
}

bool jose_verify(const struct key *k, const char *jws, size_t len, struct err *err)
{
	const struct alg *alg = alg_find(k);
	struct js *object = js_parse(jws, len, err);
	const char *protected = js_str(object, "protected"), *payload = js_str(object, "payload");
	const char *signature = js_str(object, "signature");
	bool ok = true;

	if (!object)
		return false;
	if (!alg || !protected || !payload || !signature || !header_names(protected, alg->name)) {
		ok = err_set(err, ERR_INPUT, "jws", "not a JWS for this key");
	} else {
		char *input = mem_printf("%s.%s", protected, payload);

		if (!verify_jws(k, alg, input, signature))
			ok = err_set(err, ERR_INPUT, "jws", "the signature does not verify");
		free(input);
	}
	js_free(object);
	ERR_clear_error();
	return ok;
}
