/* SPDX-License-Identifier: ISC */
#include "crypto/tsig.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/ossl.h"

enum {
	TYPE_TSIG = 250, CLASS_ANY = 255,
	HEAD = 12, RECORD_HEAD = 10,
	COUNT_MAX = UINT16_MAX,
	NAME_WIRE_MAX = 255, LABEL_MAX = 63,
	MAC_LEAST = 10, /* RFC 8945 section 5.2.2.1 */
	RCODE_NOTAUTH = 9,
};

const char *const tsig_algorithm_words[TSIG_ALGORITHMS + 1] = {
	[TSIG_HMAC_SHA1] = "hmac-sha1",     [TSIG_HMAC_SHA224] = "hmac-sha224", [TSIG_HMAC_SHA256] = "hmac-sha256",
	[TSIG_HMAC_SHA384] = "hmac-sha384", [TSIG_HMAC_SHA512] = "hmac-sha512",
};
static const struct {
	const char *digest;
	size_t len;
} hashes[TSIG_ALGORITHMS] = {
	[TSIG_HMAC_SHA1] = {"SHA1", 20},     [TSIG_HMAC_SHA224] = {"SHA224", 28}, [TSIG_HMAC_SHA256] = {"SHA256", 32},
	[TSIG_HMAC_SHA384] = {"SHA384", 48}, [TSIG_HMAC_SHA512] = {"SHA512", 64},
};

struct name { /* in canonical form: whole, and in lower case */
	uint8_t bytes[NAME_WIRE_MAX];
	size_t len;
};
struct record {
	size_t at; /* in its message */
	struct name name, algorithm;
	bool compressed; /* the algorithm's name, which must not be */
	uint16_t class;
	uint32_t ttl;
	int64_t time; /* 48 bits */
	uint16_t fudge, id, error;
	const uint8_t *mac, *other;
	size_t mac_len, other_len;
};

/* --- bytes --- */

static uint64_t get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void put(struct buf *b, uint64_t v, size_t n)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> 8 * (n - 1 - i));
	(void)!buf_add(b, bytes, n); /* of buffers without a cap */
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool name_add(struct name *n, const uint8_t *label, size_t len)
{
	if (len > LABEL_MAX || len + 1 > NAME_WIRE_MAX - n->len)
		return false;
	n->bytes[n->len++] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		n->bytes[n->len++] = lower(label[i]);
	return true;
}

static bool name_from_text(const char *text, struct name *out)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	out->len = 0;
	do {
		size_t len = strspn(text, letters);

		if (len == 0 || (text[len] && text[len] != '.') || !name_add(out, (const uint8_t *)text, len))
			return false;
		text += len + (text[len] == '.');
	} while (*text);
	return name_add(out, NULL, 0);
}

/* Moves *at behind the name. Pointers lead backward only, each before the place the last one led to: so this ends. */
static bool name_read(const uint8_t *msg, size_t len, size_t *at, struct name *out)
{
	size_t p = *at, before = p;
	bool jumped = false;

	out->len = 0;
	while (p < len) {
		size_t n = msg[p];

		if (n >= 0xc0) {
			size_t to = p + 1 < len ? get(msg + p, 2) & 0x3fff : before;

			if (to >= before)
				return false;
			if (!jumped)
				*at = p + 2;
			jumped = true;
			p = before = to;
			continue;
		}
		if (n > LABEL_MAX || n >= len - p || !name_add(out, msg + p + 1, n))
			return false;
		p += n + 1;
		if (n == 0) {
			if (!jumped)
				*at = p;
			return true;
		}
	}
	return false;
}

static bool name_same(const struct name *a, const struct name *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* --- the record --- */

static bool read_data(const uint8_t *msg, size_t at, size_t end, struct record *r)
{
	size_t begin = at;

	if (!name_read(msg, end, &at, &r->algorithm) || end - at < 10)
		return false;
	r->compressed = at - begin != r->algorithm.len;
	r->time = (int64_t)get(msg + at, 6);
	r->fudge = (uint16_t)get(msg + at + 6, 2);
	r->mac_len = get(msg + at + 8, 2);
	at += 10;
	r->mac = msg + at;
	if (r->mac_len > end - at || end - at - r->mac_len < 6)
		return false;
	at += r->mac_len;
	r->id = (uint16_t)get(msg + at, 2);
	r->error = (uint16_t)get(msg + at + 2, 2);
	r->other_len = get(msg + at + 4, 2);
	r->other = msg + at + 6;
	return end - at - 6 == r->other_len;
}

enum found { BROKEN, NONE, FOUND };

/* The last record of the message, if it is a TSIG; one anywhere else breaks the message. */
static enum found find_record(const uint8_t *msg, size_t len, struct record *r)
{
	size_t at = HEAD, questions, records;

	if (len < HEAD)
		return BROKEN;
	questions = get(msg + 4, 2);
	records = get(msg + 6, 2) + get(msg + 8, 2) + get(msg + 10, 2);
	for (size_t i = 0; i < questions; i++) {
		if (!name_read(msg, len, &at, &r->name) || len - at < 4)
			return BROKEN;
		at += 4;
	}
	for (size_t i = 0; i < records; i++) {
		size_t data_len, begin = at;
		bool last = i + 1 == records;

		if (!name_read(msg, len, &at, &r->name) || len - at < RECORD_HEAD)
			return BROKEN;
		data_len = get(msg + at + 8, 2);
		if (data_len > len - at - RECORD_HEAD)
			return BROKEN;
		if (get(msg + at, 2) == TYPE_TSIG) {
			r->at = begin;
			r->class = (uint16_t)get(msg + at + 2, 2);
			r->ttl = (uint32_t)get(msg + at + 4, 4);
			at += RECORD_HEAD;
			return last && get(msg + 10, 2) > 0 && at + data_len == len && read_data(msg, at, len, r) ? FOUND : BROKEN;
		}
		at += RECORD_HEAD + data_len;
	}
	return at == len ? NONE : BROKEN;
}

/* --- the MAC --- */

/* What is signed (RFC 8945 section 4.3), into `out`: `before` is the message as it was without the record. */
struct signed_parts {
	const struct tsig_state *request; /* NULL: this is the request */
	const uint8_t *before;
	size_t len;
	uint16_t id, records; /* in place of those in the head */
	const struct record *record;
};

static bool compute(const struct tsig_key *key, const struct signed_parts *s, uint8_t mac[TSIG_MAC_MAX], struct err *err)
{
	const struct record *r = s->record;
	struct buf b;
	size_t got = 0;
	bool ok;

	buf_init(&b, 0);
	if (s->request) {
		put(&b, s->request->mac_len, 2);
		(void)!buf_add(&b, s->request->mac, s->request->mac_len);
	}
	put(&b, s->id, 2);
	(void)!buf_add(&b, s->before + 2, 8);
	put(&b, s->records, 2);
	(void)!buf_add(&b, s->before + HEAD, s->len - HEAD);
	(void)!buf_add(&b, r->name.bytes, r->name.len);
	put(&b, CLASS_ANY, 2);
	put(&b, 0, 4);
	(void)!buf_add(&b, r->algorithm.bytes, r->algorithm.len);
	put(&b, (uint64_t)r->time, 6);
	put(&b, r->fudge, 2);
	put(&b, r->error, 2);
	put(&b, r->other_len, 2);
	(void)!buf_add(&b, r->other, r->other_len);
	ok = EVP_Q_mac(NULL, "HMAC", NULL, hashes[key->algorithm].digest, NULL, key->secret, key->len, (const unsigned char *)b.data, b.len, mac,
		TSIG_MAC_MAX, &got) && got == hashes[key->algorithm].len;
	buf_free(&b);
	return ok || ossl_fail(err, ERR_LOCAL, "openssl", "cannot compute an HMAC");
}

bool tsig_name_check(const char *name)
{
	struct name n;

	return name_from_text(name, &n);
}

static bool key_check(const struct tsig_key *key, struct name *name, struct name *algorithm, struct err *err)
{
	if ((unsigned)key->algorithm >= TSIG_ALGORITHMS || !name_from_text(tsig_algorithm_words[key->algorithm], algorithm))
		return err_set(err, ERR_BUG, "tsig", "there is no TSIG algorithm %d", (int)key->algorithm);
	if (!name_from_text(key->name, name))
		return err_set(err, ERR_INPUT, "tsig", "'%.100s' cannot be the name of a TSIG key", key->name);
	if (key->len == 0)
		return err_set(err, ERR_INPUT, "tsig", "the secret of TSIG key %.100s is empty", key->name);
	return true;
}

bool tsig_sign(const struct tsig_key *key, struct buf *msg, int64_t now, struct tsig_state *state, struct err *err)
{
	struct record r = {.time = now, .fudge = TSIG_FUDGE};
	const uint8_t *head = (const uint8_t *)msg->data;
	struct buf b;
	size_t records;
	bool fits;

	if (!key_check(key, &r.name, &r.algorithm, err))
		return false;
	records = msg->len < HEAD ? COUNT_MAX : get(head + 10, 2);
	if (records == COUNT_MAX)
		return err_set(err, ERR_BUG, "tsig", "a message of %zu bytes cannot be signed", msg->len);
	state->id = r.id = (uint16_t)get(head, 2);
	state->mac_len = r.mac_len = hashes[key->algorithm].len;
	if (!compute(key, &(struct signed_parts){NULL, head, msg->len, r.id, (uint16_t)records, &r}, state->mac, err))
		return false;
	buf_init(&b, 0);
	(void)!buf_add(&b, r.name.bytes, r.name.len);
	put(&b, TYPE_TSIG, 2);
	put(&b, CLASS_ANY, 2);
	put(&b, 0, 4);
	put(&b, r.algorithm.len + 10 + r.mac_len + 6, 2);
	(void)!buf_add(&b, r.algorithm.bytes, r.algorithm.len);
	put(&b, (uint64_t)r.time, 6);
	put(&b, r.fudge, 2);
	put(&b, r.mac_len, 2);
	(void)!buf_add(&b, state->mac, r.mac_len);
	put(&b, r.id, 2);
	put(&b, 0, 4); /* no error, no other data */
	fits = buf_add(msg, b.data, b.len);
	buf_free(&b);
	if (!fits)
		return err_set(err, ERR_BUG, "tsig", "no room for a signature behind %zu bytes", msg->len);
	msg->data[10] = (char)((records + 1) >> 8);
	msg->data[11] = (char)((records + 1) & 0xff);
	return true;
}

/* --- answers --- */

enum { BADSIG = 16, BADKEY = 17, BADTIME = 18, BADTRUNC = 22 };

static const struct {
	uint16_t code;
	enum err_kind kind;
	const char *text;
} errors[] = {
	{BADSIG, ERR_DENIED, "BADSIG: the server has another secret for this key"},
	{BADKEY, ERR_DENIED, "BADKEY: the server does not know this key, or knows it with another algorithm"},
	{BADTIME, ERR_TEMP, "BADTIME: the clock of the server and that of this host are too far apart"},
	{BADTRUNC, ERR_DENIED, "BADTRUNC: the server wants longer signatures"},
};

static enum tsig_verdict doubt(struct err *err, const char *text)
{
	err_set(err, ERR_TEMP, "tsig", "%s", text);
	return TSIG_DOUBTFUL;
}

static enum tsig_verdict refused(const struct tsig_key *key, const struct record *r, int64_t now, struct err *err)
{
	char apart[32], text[TEXT_TIME];

	err_set(err, ERR_DENIED, "tsig", "the server refuses the signature by key %.100s with TSIG error %u", key->name, r->error);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].code == r->error)
			err_set(err, errors[i].kind, "tsig", "%s (key %.100s, %s)", errors[i].text, key->name, tsig_algorithm_words[key->algorithm]);
	if (r->error == BADTIME && r->other_len == 6) {
		int64_t theirs = (int64_t)get(r->other, 6), gap = theirs > now ? theirs - now : now - theirs;

		err_set(err, ERR_TEMP, "tsig", "BADTIME: the server's clock (%s) is %s %s ours: one of them is wrong", text_time_format(theirs, text),
			text_duration_format(gap, apart, sizeof apart), theirs > now ? "ahead of" : "behind");
	}
	return TSIG_REFUSED;
}

/* RFC 8945 section 5.2.2.1: cut MACs are allowed down to half of the hash, and ten bytes. */
static bool mac_len_check(size_t len, size_t whole)
{
	return len <= whole && len >= whole / 2 && len >= MAC_LEAST;
}

/* The MAC, then the time, in this order (RFC 8945 section 5.2). */
static enum tsig_verdict check_mac(const struct tsig_key *key, const struct signed_parts *s, int64_t now, struct err *err)
{
	const struct record *r = s->record;
	uint8_t mac[TSIG_MAC_MAX];
	int64_t gap = r->time > now ? r->time - now : now - r->time;
	char line[160], apart[32];

	if (!mac_len_check(r->mac_len, hashes[key->algorithm].len))
		return doubt(err, "the signature of the answer has a length that is not allowed");
	if (!compute(key, s, mac, err))
		return TSIG_DOUBTFUL;
	if (CRYPTO_memcmp(mac, r->mac, r->mac_len) != 0)
		return doubt(err, "the signature of the answer is wrong: it comes from somebody else, or was changed on its way");
	if (r->error != 0)
		return refused(key, r, now, err);
	if (gap <= r->fudge)
		return TSIG_GOOD;
	snprintf(line, sizeof line, "the answer was signed %s %s: an old one, or one of the clocks is wrong", text_duration_format(gap, apart, sizeof apart),
		r->time > now ? "in the future" : "ago");
	return doubt(err, line);
}

enum tsig_verdict tsig_verify(const struct tsig_key *key, const uint8_t *msg, size_t len, int64_t now, const struct tsig_state *state, size_t *stripped,
	struct err *err)
{
	struct record r = {0};
	struct name name, algorithm;
	enum found found = find_record(msg, len, &r);

	if (!key_check(key, &name, &algorithm, err))
		return TSIG_DOUBTFUL;
	if (found == NONE)
		return doubt(err, "the answer is not signed");
	if (found == BROKEN || r.class != CLASS_ANY || r.ttl != 0 || r.compressed)
		return doubt(err, "the answer, or its signature, is broken");
	if (r.id != state->id || get(msg, 2) != state->id)
		return doubt(err, "the answer is signed for another request");
	if (!name_same(&r.name, &name))
		return doubt(err, "the answer is signed by another key");
	if (r.mac_len == 0 && r.error != 0 && (msg[3] & 15) == RCODE_NOTAUTH)
		return refused(key, &r, now, err);
	if (!name_same(&r.algorithm, &algorithm))
		return doubt(err, "the answer is signed with another algorithm");
	*stripped = r.at;
	return check_mac(key, &(struct signed_parts){state, msg, r.at, r.id, (uint16_t)(get(msg + 10, 2) - 1), &r}, now, err);
}
