/* SPDX-License-Identifier: ISC */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/ossl.h"
#include "crypto/san.h"

enum {
	ID_MAX = 64,         /* octets of a serial number (RFC 5280 allows 20) or key identifier */
	NAME_ROOM = 256,     /* of an issuer's name, escaped */
	UPPER = 8,           /* upper certificates remembered ... */
	UPPER_MAX = 8192,    /* ... up to this size */
};

struct cert {
	X509 *x;
	const unsigned char *der;
	size_t len;
};

struct x509_chain {
	struct arena *arena; /* owns everything, this struct too */
	struct cert cert[X509_CHAIN_MAX];
	size_t n;
	struct san san; /* of the leaf */
	struct x509_leaf leaf;
};

static bool refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_DENIED, "badCertificate", "%s", what);
}

/* --- taking a chain in --- */

static struct x509_chain *chain_new(void)
{
	struct arena *a = arena_new();
	struct x509_chain *c = arena_alloc(a, sizeof *c);

	c->arena = a;
	return c;
}

void x509_free(struct x509_chain *c)
{
	if (c)
		arena_free(c->arena);
}

static void cert_release(void *x)
{
	X509_free(x);
}

/* BER that is not DER is refused: its digest would depend on who wrote it down. x: a new one, taken over. */
static X509 *cert_decode(X509 *x, const unsigned char *der, size_t len, struct err *err)
{
	const unsigned char *p = der;
	unsigned char *again = NULL;
	int again_len;

	if (!x || !d2i_X509(&x, &p, (long)len)) { /* which frees x */
		ossl_fail(err, ERR_DENIED, "badCertificate", "not a certificate");
		return NULL;
	}
	again_len = i2d_X509(x, &again);
	if (again_len < 0 || (size_t)again_len != len || memcmp(again, der, len) != 0) {
		refuse(err, "a certificate is not in DER or has bytes behind it");
		X509_free(x);
		x = NULL;
	}
	OPENSSL_free(again);
	return x;
}

/* A leaf's key is compared by its bytes and never used, and decoding it is most of what OpenSSL 3.0 does with a certificate. A library context
 * without algorithms leaves it as it is. */
static X509 *leaf_decode(const unsigned char *der, size_t len, struct err *err)
{
	static OSSL_LIB_CTX *bare;
	X509 *x;

	if (!bare && (bare = OSSL_LIB_CTX_new()) && !OSSL_PROVIDER_load(bare, "null")) {
		OSSL_LIB_CTX_free(bare);
		bare = NULL; /* as the upper ones, then */
	}
	x = cert_decode(X509_new_ex(bare, NULL), der, len, err);
	if (x)
		(void)X509_check_purpose(x, -1, 0); /* reads the extensions; that there is no SHA-1 for a fingerprint makes this one call fail */
	return x;
}

/* The certificates above the leaf are the same few in all chains of a CA, and to decode one costs OpenSSL 3.0 more than all else that is done with a
 * chain: the last ones are remembered. The same bytes are the same certificate. */
static X509 *upper_decode(const unsigned char *der, size_t len, struct err *err)
{
	static struct cert known[UPPER];
	static size_t next;
	X509 *x;

	for (size_t i = 0; i < UPPER; i++)
		if (known[i].x && known[i].len == len && memcmp(known[i].der, der, len) == 0)
			return X509_up_ref(known[i].x) == 1 ? known[i].x : NULL;
	x = cert_decode(X509_new(), der, len, err);
	if (x && len <= UPPER_MAX && X509_up_ref(x) == 1) {
		X509_free(known[next].x);
		free((void *)known[next].der);
		known[next] = (struct cert){ x, memcpy(mem_alloc(len), der, len), len };
		next = (next + 1) % UPPER;
	}
	return x;
}

/* der lives in the chain's arena. */
static bool chain_add(struct x509_chain *c, const unsigned char *der, size_t len, struct err *err)
{
	X509 *x;

	if (c->n == X509_CHAIN_MAX)
		return refuse(err, "more certificates than a chain has");
	x = (c->n == 0 ? leaf_decode : upper_decode)(der, len, err);
	if (!x)
		return false;
	arena_attach(c->arena, x, cert_release);
	c->cert[c->n++] = (struct cert){ x, der, len };
	return true;
}

static bool starts_with(const char *at, const char *end, const char *what)
{
	return (size_t)(end - at) >= strlen(what) && memcmp(at, what, strlen(what)) == 0;
}

/* Base64 with white space anywhere, padded, nothing else. */
static bool body_decode(struct arena *a, const char *body, size_t len, const unsigned char **der, size_t *der_len)
{
	unsigned char *text = mem_alloc(len), *out;
	size_t n = 0, padding = 0;
	bool ok = true;
	int got = -1;

	for (size_t i = 0; i < len; i++) {
		if (memchr(" \t\r\n", body[i], 4))
			continue;
		if (body[i] == '=')
			padding++;
		else if (padding > 0)
			ok = false;
		text[n++] = (unsigned char)body[i];
	}
	out = arena_alloc(a, n);
	if (ok && n > 0 && padding <= 2)
		got = EVP_DecodeBlock(out, text, (int)n); /* counts the padding as bytes */
	free(text);
	*der = out;
	*der_len = got > 0 ? (size_t)got - padding : 0;
	return got > 0;
}

/* One block; *at is behind "-----BEGIN" and is moved behind the block. */
static bool block_take(struct x509_chain *c, const char **at, const char *end, struct err *err)
{
	static const char label[] = " CERTIFICATE-----", last[] = "-----END CERTIFICATE-----";
	const unsigned char *der;
	const char *body, *stop;
	size_t len;

	if (!starts_with(*at, end, label))
		return refuse(err, "a PEM block that is no certificate");
	body = *at + strlen(label);
	stop = memmem(body, (size_t)(end - body), "-----", 5);
	if (!stop || !starts_with(stop, end, last))
		return refuse(err, "a PEM block without its end");
	*at = stop + strlen(last);
	if (!body_decode(c->arena, body, (size_t)(stop - body), &der, &len))
		return refuse(err, "a PEM block that is not base64");
	return chain_add(c, der, len, err);
}

static bool blocks_take(struct x509_chain *c, const char *pem, size_t len, struct err *err)
{
	static const char begin[] = "-----BEGIN";
	const char *at = pem, *end;

	if (len == 0)
		return refuse(err, "the answer is empty");
	if (len > X509_PEM_MAX)
		return refuse(err, "the answer is too large");
	end = pem + len;
	if (memchr(pem, '\0', len))
		return refuse(err, "the answer holds a NUL byte");
	/* Anywhere, not only at the start of a line: nobody shall read a key out of what we took for text. */
	while ((at = memmem(at, (size_t)(end - at), begin, strlen(begin)))) {
		at += strlen(begin);
		if (!block_take(c, &at, end, err))
			return false;
	}
	return c->n > 0 || refuse(err, "no certificate in the answer");
}

/* --- what the leaf says --- */

/* Takes over the text. */
static const char *keep(struct arena *a, char *text)
{
	arena_attach(a, text, free);
	return text;
}

static bool time_read(const ASN1_TIME *t, int64_t *seconds)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*seconds = timegm(&tm);
	return true;
}

/* The whole name, when it has no common name. */
static const char *name_whole(struct arena *a, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char escaped[NAME_ROOM] = "";
	char *text;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
		long len = BIO_get_mem_data(bio, &text);

		text_escape(text, (size_t)len, escaped, sizeof escaped);
	}
	BIO_free(bio);
	return arena_strdup(a, escaped);
}

static const char *name_read(struct arena *a, const X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	char escaped[NAME_ROOM];
	unsigned char *text = NULL;
	int len = -1;

	if (at >= 0)
		len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len < 0)
		return name_whole(a, name);
	text_escape((const char *)text, (size_t)len, escaped, sizeof escaped);
	OPENSSL_free(text);
	return arena_strdup(a, escaped);
}

static bool serial_read(struct x509_chain *c, struct err *err)
{
	unsigned char *der = NULL;
	const unsigned char *content;
	int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(c->cert[0].x), &der), tag, class;
	long content_len = 0;
	bool ok;

	content = der;
	ok = len > 0 && (ASN1_get_object(&content, &content_len, &tag, &class, len) & 0x80) == 0 &&
	     content_len <= ID_MAX;
	if (ok)
		c->leaf.serial = keep(c->arena, text_hex_encode(content, (size_t)content_len));
	OPENSSL_free(der);
	return ok || refuse(err, "the serial number is too long");
}

static bool identifiers_read(struct x509_chain *c, struct err *err)
{
	const ASN1_OCTET_STRING *aki = X509_get0_authority_key_id(c->cert[0].x);
	unsigned char digest[32];
	size_t aki_len = aki ? (size_t)ASN1_STRING_length(aki) : 0;

	if (!serial_read(c, err))
		return false;
	if (aki_len > ID_MAX)
		return refuse(err, "the authority key identifier is too long");
	if (aki_len > 0)
		c->leaf.aki = keep(c->arena, text_hex_encode(ASN1_STRING_get0_data(aki), aki_len));
	if (!ossl_sha256(c->cert[0].der, c->cert[0].len, digest))
		return ossl_fail(err, ERR_LOCAL, "openssl", "cannot digest the certificate");
	c->leaf.fingerprint = keep(c->arena, text_hex_encode(digest, sizeof digest));
	c->leaf.issuer = name_read(c->arena, X509_get_issuer_name(c->cert[0].x));
	c->leaf.root = name_read(c->arena, X509_get_issuer_name(c->cert[c->n - 1].x));
	return true;
}

static bool names_read(struct x509_chain *c, struct err *err)
{
	int state;
	GENERAL_NAMES *list = X509_get_ext_d2i(c->cert[0].x, NID_subject_alt_name, &state, NULL);
	bool ok = list || state == -1; /* -1: there is none; else it is there twice or cannot be read */

	if (!ok)
		refuse(err, "the alternative names cannot be read");
	else
		ok = san_read(list, c->arena, &c->san, err);
	GENERAL_NAMES_free(list);
	c->leaf.names = c->san.names;
	c->leaf.nnames = c->san.nnames;
	return ok;
}

static bool leaf_read(struct x509_chain *c, struct err *err)
{
	const X509 *x = c->cert[0].x;

	c->leaf.length = c->n;
	if (!time_read(X509_get0_notBefore(x), &c->leaf.not_before) ||
	    !time_read(X509_get0_notAfter(x), &c->leaf.not_after))
		return refuse(err, "the validity cannot be read");
	return identifiers_read(c, err) && names_read(c, err);
}

/* The finished chain, or NULL. */
static struct x509_chain *chain_finish(struct x509_chain *c, bool ok, struct err *err)
{
	ok = ok && leaf_read(c, err);
	ERR_clear_error();
	if (ok)
		return c;
	x509_free(c);
	return NULL;
}

struct x509_chain *x509_parse(const char *pem, size_t len, struct err *err)
{
	struct x509_chain *c = chain_new();

	return chain_finish(c, blocks_take(c, pem, len, err), err);
}

struct x509_chain *x509_parse_der(const unsigned char *const *der, const size_t *len, size_t n, struct err *err)
{
	struct x509_chain *c = chain_new();
	size_t total = 0;
	bool ok = n > 0 || refuse(err, "no certificate");

	for (size_t i = 0; ok && i < n; i++) {
		ok = (len[i] > 0 && len[i] <= X509_PEM_MAX - total) || refuse(err, "too large a chain, or a gap in it");
		if (ok) {
			total += len[i];
			ok = chain_add(c, memcpy(arena_alloc(c->arena, len[i]), der[i], len[i]), len[i], err);
		}
	}
	return chain_finish(c, ok, err);
}

const struct x509_leaf *x509_leaf(const struct x509_chain *c)
{
	return &c->leaf;
}

bool x509_format(const struct x509_chain *c, enum x509_part part, struct buf *out)
{
	size_t first = part == X509_CHAIN ? 1 : 0, end = part == X509_CERT ? 1 : c->n;
	BIO *bio = BIO_new(BIO_s_mem());
	bool ok = bio;
	char *text;
	long len;

	for (size_t i = first; ok && i < end; i++)
		ok = PEM_write_bio(bio, PEM_STRING_X509, "", c->cert[i].der, (long)c->cert[i].len) > 0;
	if (ok) {
		len = BIO_get_mem_data(bio, &text);
		ok = buf_add(out, text, (size_t)len);
	}
	BIO_free(bio);
	return ok;
}

void x509_der(const struct x509_chain *c, size_t n, const unsigned char **der, size_t *len)
{
	*der = c->cert[n].der;
	*len = c->cert[n].len;
}

char *x509_sha1(const struct x509_chain *c, char out[X509_SHA1_HEX])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	char *hex;

	*out = '\0';
	if (EVP_Digest(c->cert[0].der, c->cert[0].len, sum, &len, EVP_sha1(), NULL) != 1 || len != (X509_SHA1_HEX - 1) / 2) {
		ERR_clear_error();
		return out;
	}
	hex = text_hex_encode(sum, len);
	memcpy(out, hex, X509_SHA1_HEX);
	free(hex);
	return out;
}

bool x509_same_leaf(const struct x509_chain *a, const struct x509_chain *b)
{
	return a->cert[0].len == b->cert[0].len && memcmp(a->cert[0].der, b->cert[0].der, a->cert[0].len) == 0;
}

bool x509_is_ordered(const struct x509_chain *c)
{
	for (size_t i = 1; i < c->n; i++)
		if (X509_check_issued(c->cert[i].x, c->cert[i - 1].x) != X509_V_OK)
			return false;
	return true;
}

/* --- acceptance --- */

static bool key_fits(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	const unsigned char *want = wish->key_digest;
	unsigned char digest[32], ours[32];

	if (!ossl_spki_digest(X509_get_X509_PUBKEY(c->cert[0].x), digest))
		return refuse(err, "the certificate's key cannot be read");
	if (wish->key) {
		if (!key_digest(wish->key, ours, err))
			return false;
		want = ours;
	}
	if (want && memcmp(digest, want, sizeof digest) != 0)
		return refuse(err, "the certificate is for another key");
	for (size_t i = 0; i < wish->naccounts; i++) {
		if (memcmp(digest, wish->account_digests[i], sizeof digest) == 0)
			return refuse(err, "the certificate's key is an account key");
	}
	return true;
}

static bool names_fit(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	return san_check(&c->san, wish->names, wish->nnames, err);
}

/* Not a CA, good for a TLS server. */
static bool purpose_fits(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	X509 *x = c->cert[0].x;
	uint32_t usage = X509_get_extended_key_usage(x), flags = X509_get_extension_flags(x);

	(void)wish;
	if (!(flags & EXFLAG_SET) || flags & EXFLAG_INVALID)
		return refuse(err, "the certificate's extensions contradict each other");
	if (X509_check_ca(x) != 0)
		return refuse(err, "the certificate is that of a CA");
	if (usage != UINT32_MAX && !(usage & XKU_SSL_SERVER))
		return refuse(err, "the certificate is not for servers (extended key usage)");
	return true;
}

static bool time_fits(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	if (c->leaf.not_before >= c->leaf.not_after)
		return refuse(err, "the certificate ends before it begins");
	if (c->leaf.not_after <= wish->now)
		return refuse(err, "the certificate has expired");
	if (c->leaf.not_before > wish->now + X509_SKEW)
		return refuse(err, "the certificate is not valid yet");
	return true;
}

static bool serial_fits(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	if (wish->old_serial && strcmp(wish->old_serial, c->leaf.serial) == 0)
		return refuse(err, "the certificate has the serial number of the one in use");
	return true;
}

static bool issuer_fits(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	static const char *const marks[] = { "(STAGING)", "Fake LE " };
	const char *const by[] = { c->leaf.issuer, c->leaf.root };

	for (size_t i = 0; i < 2 * (sizeof marks / sizeof *marks) && !wish->staging; i++)
		if (strncmp(by[i % 2], marks[i / 2], strlen(marks[i / 2])) == 0)
			return err_set(err, ERR_DENIED, "badCertificate",
				"it comes from a staging CA, which no client trusts (%s), and the `directory` of its CA does not say so", by[i % 2]);
	return true;
}

/* place: 1 is the leaf. */
static bool refuse_at(struct err *err, size_t place, const char *what)
{
	return err_set(err, ERR_DENIED, "badCertificate", "certificate %zu of the chain %s", place, what);
}

/* X509_verify, but with the algorithms of the library context that a leaf does not have: the first part of a certificate is what the third signs. */
static bool is_signed(const struct cert *c, EVP_PKEY *by)
{
	const unsigned char *der = c->der;
	ASN1_SEQUENCE_ANY *parts = d2i_ASN1_SEQUENCE_ANY(NULL, &der, (long)c->len);
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *algorithm;
	bool ok;

	X509_get0_signature(&signature, &algorithm, c->x);
	ok = parts && X509_ALGOR_cmp(algorithm, X509_get0_tbs_sigalg(c->x)) == 0 &&
	     ASN1_item_verify_ex(ASN1_ITEM_rptr(ASN1_ANY), algorithm, signature, sk_ASN1_TYPE_value(parts, 0), NULL, by, NULL, NULL) == 1;
	sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
	return ok;
}

static bool chain_fits(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	for (size_t i = 1; i < c->n; i++) {
		X509 *below = c->cert[i - 1].x, *x = c->cert[i].x;
		EVP_PKEY *pkey = X509_get0_pubkey(x);
		int64_t end;

		if (X509_check_issued(x, below) != X509_V_OK || X509_check_ca(x) == 0)
			return refuse_at(err, i, "is not issued by the one behind it");
		if (!pkey || !is_signed(&c->cert[i - 1], pkey))
			return refuse_at(err, i, "has a wrong signature");
		if (!time_read(X509_get0_notAfter(x), &end) || end <= wish->now)
			return refuse_at(err, i + 1, "has expired");
	}
	return true;
}

bool x509_accept(const struct x509_chain *c, const struct x509_wish *wish, struct err *err)
{
	static bool (*const checks[])(const struct x509_chain *, const struct x509_wish *, struct err *) = {
		key_fits, names_fit, purpose_fits, time_fits, serial_fits, issuer_fits, chain_fits,
	};
	bool ok = true;

	for (size_t i = 0; ok && i < sizeof checks / sizeof *checks; i++)
		ok = checks[i](c, wish, err);
	ERR_clear_error();
	return ok;
}
