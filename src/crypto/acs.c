/* SPDX-License-Identifier: ISC */
#include "crypto/acs.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/ossl.h"

enum { SUM_SHA1 = 20, SUM_SHA256 = 32, COMMON = 9 /* parameters that every request signed in its query has, the token included */ };

#define SCHEME "ACS3-HMAC-SHA256"

/* --- texts; of buffers without a cap --- */

static void add(struct buf *b, const char *s)
{
	(void)!buf_puts(b, s);
}

void acs_encode(const char *text, struct buf *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	while (*text) {
		size_t n = strspn(text, plain);

		(void)!buf_add(out, text, n);
		text += n;
		if (*text)
			(void)!buf_printf(out, "%%%02X", (unsigned char)*text++);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct acs_pair *)a)->name, ((const struct acs_pair *)b)->name);
}

/* Sorted by what names are before they are encoded. */
static void add_query(const struct acs_pair *v, size_t n, struct buf *out)
{
	struct acs_pair *sorted = mem_array(n + 1, sizeof *sorted);

	if (n) {
		memcpy(sorted, v, n * sizeof *sorted);
		qsort(sorted, n, sizeof *sorted, by_name);
	}
	for (size_t i = 0; i < n; i++) {
		add(out, i ? "&" : "");
		acs_encode(sorted[i].name, out);
		add(out, "=");
		acs_encode(sorted[i].value, out);
	}
	free(sorted);
}

static bool mac(const char *digest, const char *key, const char *text, size_t len, unsigned char *out, size_t size, struct err *err)
{
	size_t got = 0;

	return (EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, key, strlen(key), (const unsigned char *)text, len, out, size, &got) && got == size) ||
		ossl_fail(err, ERR_LOCAL, "openssl", "cannot compute an HMAC");
}

/* --- in headers --- */

/* All that are signed, in order. `payload` gets the body's hash. Returns how many. */
static size_t headers(const struct acs_request *r, const struct acs_key *key, char payload[DIGEST_HEX], struct acs_pair out[ACS_HEADERS])
{
	const struct acs_pair all[] = {
		{"content-type", r->body ? r->body_type : NULL}, {"host", r->host}, {"x-acs-accesskey-id", key->token ? key->id : NULL},
		{"x-acs-action", r->action}, {"x-acs-content-sha256", payload}, {"x-acs-date", r->date}, {"x-acs-security-token", key->token},
		{"x-acs-signature-nonce", r->nonce}, {"x-acs-version", r->version},
	};
	size_t n = 0;

	_Static_assert(sizeof all / sizeof all[0] < ACS_HEADERS, "one more is the signature's");
	digest_sha256_hex(r->body ? r->body : "", r->body ? strlen(r->body) : 0, payload);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i].value)
			out[n++] = all[i];
	return n;
}

static void add_names(const struct acs_pair *v, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		add(out, i ? ";" : "");
		add(out, v[i].name);
	}
}

void acs_canonical_headers(const struct acs_request *r, const struct acs_key *key, struct buf *out)
{
	struct acs_pair v[ACS_HEADERS];
	char payload[DIGEST_HEX];
	size_t n = headers(r, key, payload, v);

	add(out, r->method);
	add(out, "\n/\n");
	add_query(r->param, r->nparam, out);
	add(out, "\n");
	for (size_t i = 0; i < n; i++) {
		add(out, v[i].name);
		add(out, ":");
		add(out, v[i].value);
		add(out, "\n");
	}
	add(out, "\n");
	add_names(v, n, out);
	add(out, "\n");
	add(out, payload);
}

static bool sign_canonical(const struct acs_request *r, const struct acs_key *key, unsigned char sum[SUM_SHA256], struct err *err)
{
	char text[sizeof SCHEME + DIGEST_HEX] = SCHEME "\n";
	struct buf canonical;

	buf_init(&canonical, 0);
	acs_canonical_headers(r, key, &canonical);
	digest_sha256_hex(canonical.data, canonical.len, text + sizeof SCHEME);
	buf_wipe(&canonical);
	return mac("SHA256", key->secret, text, strlen(text), sum, SUM_SHA256, err);
}

static void signed_open(struct acs_signed *s)
{
	*s = (struct acs_signed){.nheader = 0};
	buf_init(&s->query, 0);
	buf_init(&s->authorization, 0);
	add(&s->query, "");
}

bool acs_sign_headers(const struct acs_request *r, const struct acs_key *key, struct acs_signed *out, struct err *err)
{
	unsigned char sum[SUM_SHA256];
	char *hex;

	signed_open(out);
	if (!sign_canonical(r, key, sum, err))
		return false;
	add_query(r->param, r->nparam, &out->query);
	out->nheader = headers(r, key, out->payload, out->header);
	(void)!buf_printf(&out->authorization, SCHEME " Credential=%s,SignedHeaders=", key->id);
	add_names(out->header, out->nheader, &out->authorization);
	hex = text_hex_encode(sum, sizeof sum);
	(void)!buf_printf(&out->authorization, ",Signature=%s", hex);
	free(hex);
	out->header[out->nheader++] = (struct acs_pair){"authorization", out->authorization.data};
	return true;
}

/* --- in the query --- */

void acs_canonical_query(const struct acs_request *r, const struct acs_key *key, struct buf *out)
{
	const struct acs_pair common[COMMON] = {
		{"AccessKeyId", key->id}, {"Action", r->action}, {"Format", r->format}, {"SignatureMethod", "HMAC-SHA1"}, {"SignatureNonce", r->nonce},
		{"SignatureVersion", "1.0"}, {"Timestamp", r->date}, {"Version", r->version}, {"SecurityToken", key->token},
	};
	size_t n = key->token ? COMMON : COMMON - 1;
	struct acs_pair *all = mem_array(n + r->nparam, sizeof *all);

	memcpy(all, common, n * sizeof *all);
	if (r->nparam)
		memcpy(all + n, r->param, r->nparam * sizeof *all);
	add_query(all, n + r->nparam, out);
	free(all);
}

/* The secret with "&" behind it is the key. */
static bool sign_query(const char *method, const char *query, const char *secret, unsigned char sum[SUM_SHA1], struct err *err)
{
	struct buf text, key;
	bool ok;

	buf_init(&text, 0);
	buf_init(&key, 0);
	add(&text, method);
	add(&text, "&%2F&");
	acs_encode(query, &text);
	add(&key, secret);
	add(&key, "&");
	ok = mac("SHA1", key.data, text.data, text.len, sum, SUM_SHA1, err);
	buf_wipe(&key);
	buf_wipe(&text);
	return ok;
}

bool acs_sign_query(const struct acs_request *r, const struct acs_key *key, struct acs_signed *out, struct err *err)
{
	unsigned char sum[SUM_SHA1], base64[(SUM_SHA1 + 2) / 3 * 4 + 1];

	signed_open(out);
	acs_canonical_query(r, key, &out->query);
	if (!sign_query(r->method, out->query.data, key->secret, sum, err))
		return false;
	EVP_EncodeBlock(base64, sum, sizeof sum);
	add(&out->query, "&Signature=");
	acs_encode((const char *)base64, &out->query);
	return true;
}

void acs_signed_free(struct acs_signed *s)
{
	buf_wipe(&s->query);
	buf_wipe(&s->authorization);
	s->nheader = 0;
}
