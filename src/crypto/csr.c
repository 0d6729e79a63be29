/* SPDX-License-Identifier: ISC */
#include "crypto/csr.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/ossl.h"
#include "crypto/san.h"

enum { CN_MAX = 64 }; /* ub-common-name (RFC 5280) */

/* What the wish says the subject is; caller owns. */
static X509_NAME *subject_build(const struct csr_wish *wish)
{
	X509_NAME *subject = X509_NAME_new();
	const unsigned char *cn = (const unsigned char *)wish->common_name;

	if (!subject || !cn || strlen(wish->common_name) > CN_MAX ||
	    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, cn, -1, -1, 0) == 1)
		return subject;
	X509_NAME_free(subject);
	return NULL;
}

static bool add_names(X509_REQ *req, GENERAL_NAMES *names)
{
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	bool ok = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
		  X509_REQ_add_extensions(req, extensions) == 1;

	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return ok;
}

static bool set_algorithm(X509_REQ *req, const struct key *k, const EVP_MD *md)
{
	X509_ALGOR *alg = X509_ALGOR_new();
	int nid, parameter = EVP_PKEY_is_a(k->pkey, "RSA") ? V_ASN1_NULL : V_ASN1_UNDEF; /* RFC 4055 section 5, RFC 5758 section 3.2 */
	bool ok = alg && OBJ_find_sigid_by_algs(&nid, EVP_MD_get_type(md), EVP_PKEY_get_base_id(k->pkey)) == 1 &&
		X509_ALGOR_set0(alg, OBJ_nid2obj(nid), parameter, NULL) == 1 && X509_REQ_set1_signature_algo(req, alg) == 1;

	X509_ALGOR_free(alg);
	return ok;
}

static bool set_signature(X509_REQ *req, const unsigned char *sig, size_t len)
{
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();

	if (!bits || ASN1_BIT_STRING_set(bits, (unsigned char *)sig, (int)len) != 1) {
		ASN1_BIT_STRING_free(bits);
		return false;
	}
	bits->flags = (bits->flags & ~7L) | ASN1_STRING_FLAG_BITS_LEFT; /* whole octets */
	X509_REQ_set0_signature(req, bits);
	return true;
}

/* OpenSSL's own call wants the private half at hand. */
static bool sign_by_token(X509_REQ *req, const struct key *k, const EVP_MD *md, struct err *err)
{
	unsigned char *text = NULL, *sig = NULL;
	int n = set_algorithm(req, k, md) ? i2d_re_X509_REQ_tbs(req, &text) : -1;
	size_t len;
	bool ok = n > 0 ? ossl_sign(k, text, (size_t)n, &sig, &len, err) : ossl_fail(err, ERR_LOCAL, "openssl", "cannot make a signing request");

	if (ok && !set_signature(req, sig, len))
		ok = ossl_fail(err, ERR_LOCAL, "openssl", "cannot sign a request");
	OPENSSL_free(text);
	free(sig);
	return ok;
}

static bool sign_request(X509_REQ *req, const struct key *k, const EVP_MD *md, struct err *err)
{
	if (key_uri(k))
		return sign_by_token(req, k, md, err);
	return X509_REQ_sign(req, k->pkey, md) > 0 || ossl_fail(err, ERR_LOCAL, "openssl", "cannot sign a request");
}

/* The wish and the key are looked at already. NULL and *err. */
static X509_REQ *build(const struct key *k, const struct csr_wish *wish, GENERAL_NAMES *names, struct err *err)
{
	X509_NAME *subject = subject_build(wish);
	X509_REQ *req = X509_REQ_new();
	bool filled = subject && req && X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 && X509_REQ_set_subject_name(req, subject) == 1 &&
		(ossl_spki_fill(X509_REQ_get_X509_PUBKEY(req), k->pkey) || X509_REQ_set_pubkey(req, k->pkey) == 1) && add_names(req, names);

	X509_NAME_free(subject);
	if (filled ? sign_request(req, k, ossl_md(k), err) : ossl_fail(err, ERR_LOCAL, "openssl", "cannot make a signing request"))
		return req;
	X509_REQ_free(req);
	return NULL;
}

bool csr_build(const struct key *k, const struct csr_wish *wish, unsigned char **der, size_t *len, struct err *err)
{
	unsigned char *text = NULL;
	GENERAL_NAMES *names;
	X509_REQ *req;
	int n;

	if (!ossl_md(k) || wish->nnames == 0)
		return err_set(err, ERR_INPUT, "badCSR", ossl_md(k) ? "no name to ask for" : "no key to ask with");
	names = san_build(wish->names, wish->nnames, err);
	req = names ? build(k, wish, names, err) : NULL;
	GENERAL_NAMES_free(names);
	if (!req)
		return false;
	n = i2d_X509_REQ(req, &text);
	X509_REQ_free(req);
	if (n <= 0)
		return ossl_fail(err, ERR_LOCAL, "openssl", "cannot write the signing request");
	*len = (size_t)n;
	*der = memcpy(mem_alloc(*len), text, *len);
	OPENSSL_free(text);
	return true;
}

static bool refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_INPUT, "badCSR", "the signing request %s", what);
}

bool csr_format(const unsigned char *der, size_t len, struct buf *out, struct err *err)
{
	BIO *bio = len <= LONG_MAX ? BIO_new(BIO_s_mem()) : NULL;
	char *text;
	long n;
	bool ok;

	if (!bio || PEM_write_bio(bio, PEM_STRING_X509_REQ, "", der, (long)len) <= 0) {
		BIO_free(bio);
		return ossl_fail(err, ERR_LOCAL, "openssl", "cannot write the signing request");
	}
	n = BIO_get_mem_data(bio, &text);
	ok = buf_add(out, text, (size_t)n) || err_set(err, ERR_INPUT, "badCSR", "no room for the text of the signing request");
	BIO_free(bio);
	return ok;
}

/* OpenSSL reads on past what it does not know. */
static bool is_formatted(const unsigned char *der, size_t der_len, const char *pem, size_t len)
{
	struct buf text;
	bool same;

	buf_init(&text, 0);
	same = csr_format(der, der_len, &text, NULL) && text.len == len && memcmp(text.data, pem, len) == 0;
	buf_free(&text);
	return same;
}

bool csr_parse(const char *pem, size_t len, unsigned char **der, size_t *der_len, struct err *err)
{
	BIO *bio = len > 0 && len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	char *label = NULL, *header = NULL;
	unsigned char *data = NULL;
	long n = 0;
	bool ok = bio && PEM_read_bio(bio, &label, &header, &data, &n) == 1 && n > 0 && is_formatted(data, (size_t)n, pem, len);

	if (ok) {
		*der_len = (size_t)n;
		*der = memcpy(mem_alloc(*der_len), data, *der_len);
	}
	OPENSSL_free(label);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(bio);
	ERR_clear_error();
	return ok || refuse(err, "is not one block of PEM");
}

static bool names_check(X509_REQ *req, const struct csr_wish *wish, struct err *err)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
	GENERAL_NAMES *list = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	struct arena *a = arena_new();
	struct err why = { 0 };
	struct san san;
	bool ok = san_read(list, a, &san, &why) && san_check(&san, wish->names, wish->nnames, &why);

	if (!ok)
		err_set(err, ERR_INPUT, "badCSR", "the signing request is for other names: %s", why.detail);
	arena_free(a);
	GENERAL_NAMES_free(list);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return ok;
}

static bool subject_check(const X509_REQ *req, const struct csr_wish *wish, struct err *err)
{
	X509_NAME *subject = subject_build(wish);
	bool ok = subject && X509_NAME_cmp(subject, X509_REQ_get_subject_name(req)) == 0;

	X509_NAME_free(subject);
	return ok || refuse(err, "has another subject");
}

static bool request_check(X509_REQ *req, const struct key *k, const struct csr_wish *wish, struct err *err)
{
	EVP_PKEY *pkey = X509_REQ_get0_pubkey(req);

	if (!pkey || EVP_PKEY_eq(pkey, k->pkey) != 1)
		return refuse(err, "is for another key");
	if (X509_REQ_verify(req, pkey) != 1)
		return refuse(err, "has a bad signature");
	return subject_check(req, wish, err) && names_check(req, wish, err);
}

bool csr_check(const struct key *k, const struct csr_wish *wish, const unsigned char *der, size_t len, struct err *err)
{
	const unsigned char *p = der;
	X509_REQ *req = len <= INT_MAX ? d2i_X509_REQ(NULL, &p, (long)len) : NULL;
	bool ok = req && p == der + len ? request_check(req, k, wish, err) : refuse(err, "is not DER");

	X509_REQ_free(req);
	ERR_clear_error();
	return ok;
}
