/* SPDX-License-Identifier: ISC */
/* The vectors were made by another implementation: tests/unit/tsig_vectors.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/tsig.h"
#include "tsig_vectors.h"

#define NOW INT64_C(1790000000)
enum { VECTORS = sizeof vectors / sizeof *vectors, TSIG_TAIL = 6 /* id, error, length of other data */ };

static const uint8_t secret[32] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
				   17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
static const size_t mac_len[TSIG_ALGORITHMS] = {20, 28, 32, 48, 64};
static struct err err;

/* Bytes of their own, exactly as many: an overread is seen. */
struct wire {
	uint8_t *p;
	size_t len;
};

static struct wire from_hex(const char *hex)
{
	struct wire w = {mem_alloc(strlen(hex) / 2 + 1), strlen(hex) / 2};

	w.p = mem_resize(w.p, w.len, 1);
	for (size_t i = 0; i < w.len; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &w.p[i]), 1);
	return w;
}

static struct tsig_key key_of(const struct vector *v)
{
	return (struct tsig_key){v->key, v->algorithm, secret, sizeof secret};
}

/* The state after the vector's request was signed by us; *out, if not NULL, is what we made of it. */
static struct tsig_state sign(const struct vector *v, struct buf *out)
{
	struct wire w = from_hex(v->request);
	struct tsig_key key = key_of(v);
	struct tsig_state state;
	struct buf b;

	buf_init(&b, 65535);
	assert_true(buf_add(&b, w.p, w.len));
	assert_true(tsig_sign(&key, &b, NOW, &state, &err));
	free(w.p);
	if (out)
		*out = b;
	else
		buf_free(&b);
	return state;
}

static enum tsig_verdict verify_at(const struct vector *v, const uint8_t *msg, size_t len, int64_t now)
{
	struct tsig_state state = sign(v, NULL);
	struct tsig_key key = key_of(v);
	size_t stripped = 0;
	enum tsig_verdict verdict;

	err_clear(&err);
	verdict = tsig_verify(&key, msg, len, now, &state, &stripped, &err);
	assert_true((verdict == TSIG_GOOD) == (err.kind == ERR_NONE));
	if (verdict == TSIG_GOOD)
		assert_in_range(stripped, 12, len - 1);
	else
		assert_string_equal(err.type, "tsig");
	return verdict;
}

static enum tsig_verdict verify(const struct vector *v, const struct wire *w)
{
	return verify_at(v, w->p, w->len, NOW);
}

static void test_sign(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct vector *v = &vectors[i];
		struct wire theirs = from_hex(v->signed_request);
		struct buf ours;
		struct tsig_state s = sign(v, &ours);

		assert_int_equal(s.id, theirs.p[0] << 8 | theirs.p[1]);
		assert_int_equal(s.mac_len, mac_len[v->algorithm]);
		assert_memory_equal(s.mac, theirs.p + theirs.len - TSIG_TAIL - s.mac_len, s.mac_len);
		if (v->key[0] == 'd') { /* not one that they compress */
			assert_int_equal(ours.len, theirs.len);
			assert_memory_equal(ours.data, theirs.p, ours.len);
		}
		buf_free(&ours);
		free(theirs.p);
	}
}

static void test_names(void **state)
{
	struct vector v = vectors[0];
	struct tsig_state plain = sign(&v, NULL), other;

	(void)state;
	v.key = "DOVAD-Key"; /* case and the final dot are no difference */
	other = sign(&v, NULL);
	assert_memory_equal(plain.mac, other.mac, plain.mac_len);
	assert_true(tsig_name_check("a.b_c-d.E"));
	assert_false(tsig_name_check(""));
	assert_false(tsig_name_check("."));
	assert_false(tsig_name_check("a..b"));
	assert_false(tsig_name_check(".a"));
	assert_false(tsig_name_check("a b"));
	assert_false(tsig_name_check("a\\.b"));
	assert_false(tsig_name_check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")); /* 64 */
	assert_true(tsig_name_check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void test_sign_refuses(void **state)
{
	struct tsig_key key = {"k", TSIG_HMAC_SHA256, secret, sizeof secret};
	struct tsig_state s;
	struct buf b;
	char head[12] = {0};

	(void)state;
	buf_init(&b, 40); /* no room */
	assert_true(buf_add(&b, head, 11));
	assert_false(tsig_sign(&key, &b, NOW, &s, &err));
	assert_true(buf_add(&b, head, 1));
	assert_false(tsig_sign(&key, &b, NOW, &s, &err));
	assert_int_equal(err.kind, ERR_BUG);
	assert_int_equal(b.len, 12);
	assert_int_equal(b.data[11], 0);
	buf_free(&b);
	buf_init(&b, 0);
	head[10] = head[11] = (char)0xff; /* that many additional records cannot be one more */
	assert_true(buf_add(&b, head, 12));
	assert_false(tsig_sign(&key, &b, NOW, &s, &err));
	b.data[10] = 0;
	key.len = 0;
	assert_false(tsig_sign(&key, &b, NOW, &s, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	key = (struct tsig_key){"no key", TSIG_HMAC_SHA256, secret, sizeof secret};
	assert_false(tsig_sign(&key, &b, NOW, &s, &err));
	assert_non_null(strstr(err.detail, "'no key'"));
	key = (struct tsig_key){"k", TSIG_ALGORITHMS, secret, sizeof secret};
	assert_false(tsig_sign(&key, &b, NOW, &s, &err));
	buf_free(&b);
}

static void test_verify(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct wire w = from_hex(vectors[i].answer);

		assert_int_equal(verify(&vectors[i], &w), TSIG_GOOD);
		free(w.p);
	}
}

/* Where the record begins in the answers: behind the head and one question. */
static size_t record_at(const struct wire *w)
{
	size_t at = 12;

	while (w->p[at])
		at += w->p[at] + 1u;
	return at + 5;
}

static void test_every_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct wire w = from_hex(vectors[i].answer);
		size_t record = record_at(&w), other_case = 0;

		for (size_t bit = 0; bit < 8 * w.len; bit++) {
			w.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (verify(&vectors[i], &w) == TSIG_GOOD) {
				/* only the case of a letter of the key's or the algorithm's name may differ */
				assert_int_equal(bit % 8, 5);
				assert_true(bit / 8 > record && isalpha(w.p[bit / 8]));
				other_case++;
			}
			w.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(other_case, (vectors[i].key[0] == 'd' ? 8 : 6) + 7); /* dovadkey or UpDate, and hmacsha */
		free(w.p);
	}
}

static void test_every_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct wire w = from_hex(vectors[i].answer);

		for (size_t len = 0; len < w.len; len++) {
			uint8_t *cut = malloc(len ? len : 1);

			memcpy(cut, w.p, len);
			assert_int_equal(verify_at(&vectors[i], cut, len, NOW), TSIG_DOUBTFUL);
			free(cut);
		}
		w.p = mem_resize(w.p, w.len + 1, 1);
		w.p[w.len] = 0;
		assert_int_equal(verify_at(&vectors[i], w.p, w.len + 1, NOW), TSIG_DOUBTFUL);
		free(w.p);
	}
}

static void test_time(void **state)
{
	static const struct {
		int64_t apart;
		enum tsig_verdict verdict;
		const char *text;
	} rows[] = {
		{0, TSIG_GOOD, ""}, {300, TSIG_GOOD, ""}, {-300, TSIG_GOOD, ""}, {301, TSIG_DOUBTFUL, "signed 5m 1s ago"},
		{-301, TSIG_DOUBTFUL, "5m 1s in the future"}, {INT64_C(1) << 40, TSIG_DOUBTFUL, " ago"}, {-NOW, TSIG_DOUBTFUL, "in the future"},
	};
	struct wire w = from_hex(vectors[4].answer);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(verify_at(&vectors[4], w.p, w.len, NOW + rows[i].apart), rows[i].verdict);
		assert_non_null(strstr(err.detail, rows[i].text));
	}
	free(w.p);
}

/* The answer to another request, with another secret, to another key, with another algorithm. */
static void test_wrong(void **state)
{
	const struct vector *v = &vectors[4];
	struct wire w = from_hex(v->answer);
	struct tsig_key key = key_of(v);
	struct tsig_state s = sign(v, NULL);
	size_t stripped;
	uint8_t other[32] = {0};

	(void)state;
	s.mac[31] ^= 1;
	assert_int_equal(tsig_verify(&key, w.p, w.len, NOW, &s, &stripped, &err), TSIG_DOUBTFUL);
	assert_non_null(strstr(err.detail, "signature of the answer is wrong"));
	s.mac[31] ^= 1;
	s.id ^= 1;
	assert_int_equal(tsig_verify(&key, w.p, w.len, NOW, &s, &stripped, &err), TSIG_DOUBTFUL);
	assert_non_null(strstr(err.detail, "another request"));
	s.id ^= 1;
	key.secret = other;
	assert_int_equal(tsig_verify(&key, w.p, w.len, NOW, &s, &stripped, &err), TSIG_DOUBTFUL);
	key = (struct tsig_key){"other-key", v->algorithm, secret, sizeof secret};
	assert_int_equal(tsig_verify(&key, w.p, w.len, NOW, &s, &stripped, &err), TSIG_DOUBTFUL);
	assert_non_null(strstr(err.detail, "another key"));
	key = (struct tsig_key){v->key, TSIG_HMAC_SHA512, secret, sizeof secret};
	assert_int_equal(tsig_verify(&key, w.p, w.len, NOW, &s, &stripped, &err), TSIG_DOUBTFUL);
	assert_non_null(strstr(err.detail, "another algorithm"));
	key = key_of(v);
	assert_int_equal(tsig_verify(&key, w.p, w.len, NOW, &s, &stripped, &err), TSIG_GOOD);
	assert_int_equal(stripped, record_at(&w));
	free(w.p);
}

/* The record with its MAC cut, or made longer, to n bytes. */
static struct wire with_mac(const struct vector *v, size_t n)
{
	struct wire w = from_hex(v->answer), out;
	size_t whole = mac_len[v->algorithm], mac = w.len - TSIG_TAIL - whole, data = record_at(&w), length;

	while (w.p[data] && w.p[data] < 0xc0)
		data += w.p[data] + 1u;
	data += (w.p[data] ? 2 : 1) + 8;
	out = (struct wire){mem_alloc(w.len - whole + n), w.len - whole + n};
	memcpy(out.p, w.p, mac);
	memcpy(out.p + mac, w.p + mac, n < whole ? n : whole);
	memcpy(out.p + mac + n, w.p + w.len - TSIG_TAIL, TSIG_TAIL);
	length = ((size_t)w.p[data] << 8 | w.p[data + 1]) - whole + n;
	out.p[data] = (uint8_t)(length >> 8);
	out.p[data + 1] = (uint8_t)length;
	out.p[mac - 2] = (uint8_t)(n >> 8);
	out.p[mac - 1] = (uint8_t)n;
	free(w.p);
	return out;
}

static void test_cut_mac(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		size_t whole = mac_len[vectors[i].algorithm];

		for (size_t n = 0; n <= whole + 2; n++) {
			struct wire w = with_mac(&vectors[i], n);
			bool allowed = n >= 10 && n >= whole / 2 && n <= whole;

			assert_int_equal(verify(&vectors[i], &w), allowed ? TSIG_GOOD : TSIG_DOUBTFUL);
			if (n > 0) {
				w.p[w.len - TSIG_TAIL - 1] ^= 1; /* its last byte counts */
				assert_int_equal(verify(&vectors[i], &w), TSIG_DOUBTFUL);
			}
			free(w.p);
		}
	}
}

static void test_server_errors(void **state)
{
	static const struct {
		unsigned code;
		enum err_kind kind;
		const char *text;
	} rows[] = {
		{16, ERR_DENIED, "BADSIG: the server has another secret for this key (key dovad-key., hmac-sha256)"},
		{17, ERR_DENIED, "BADKEY"}, {18, ERR_TEMP, "BADTIME"}, {22, ERR_DENIED, "BADTRUNC"}, {999, ERR_DENIED, "TSIG error 999"},
	};
	const struct vector *v = &vectors[4];
	struct wire w = with_mac(v, 0);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		w.p[3] = 9; /* NOTAUTH */
		w.p[w.len - 4] = (uint8_t)(rows[i].code >> 8);
		w.p[w.len - 3] = (uint8_t)rows[i].code;
		assert_int_equal(verify(v, &w), TSIG_REFUSED);
		assert_int_equal(err.kind, rows[i].kind);
		assert_non_null(strstr(err.detail, rows[i].text));
		w.p[3] = 0; /* success that is not signed, whatever the record says */
		assert_int_equal(verify(v, &w), TSIG_DOUBTFUL);
	}
	w.p[3] = 9;
	w.p[w.len - 3] = w.p[w.len - 4] = 0; /* no MAC and no error */
	assert_int_equal(verify(v, &w), TSIG_DOUBTFUL);
	free(w.p);
}

static void test_clocks(void **state)
{
	struct wire w = from_hex(late.answer);

	(void)state;
	assert_int_equal(verify(&late, &w), TSIG_REFUSED);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_string_equal(err.detail, "BADTIME: the server's clock (2026-09-22T15:14:21Z) is 1d 1h ahead of ours: one of them is wrong");
	assert_int_equal(verify_at(&late, w.p, w.len, NOW + 2 * 90061), TSIG_REFUSED);
	assert_non_null(strstr(err.detail, "is 1d 1h behind ours"));
	w.p[w.len - 1] ^= 1; /* the time it gives is signed */
	assert_int_equal(verify(&late, &w), TSIG_DOUBTFUL);
	free(w.p);
}

static void test_unsigned(void **state)
{
	const struct vector *v = &vectors[4];
	struct wire w = from_hex(v->answer);

	(void)state;
	w.p[11] = 0;
	assert_int_equal(verify_at(v, w.p, record_at(&w), NOW), TSIG_DOUBTFUL);
	assert_string_equal(err.detail, "the answer is not signed");
	assert_int_equal(verify_at(v, w.p, 12, NOW), TSIG_DOUBTFUL); /* a question is announced that is not there */
	w.p[5] = 0;
	assert_int_equal(verify_at(v, w.p, 12, NOW), TSIG_DOUBTFUL);
	assert_string_equal(err.detail, "the answer is not signed");
	free(w.p);
}

/* Messages that were made to hurt. */
static void test_hostile(void **state)
{
	static const struct {
		const char *what, *hex;
	} rows[] = {
		{"a pointer to itself", "1234a8000001000000000001c00c00060001"},
		{"a pointer forward", "1234a8000001000000000001c00e0000060001"},
		{"two pointers at each other", "1234a8000001000000000001c00ec00c00060001"},
		{"half a pointer", "1234a8000001000000000001c0"},
		{"a label of a kind there is not", "1234a80000010000000000014100060001"},
		{"65535 of each", "1234a800ffffffffffffffff"},
		{"data past the end", "1234a80000000000000000010000fa00ff00000000ffff00"},
		{"a TSIG that is not the last", "1234a80000000000000000020000fa00ff0000000000000000fa00ff000000000000"},
		{"a TSIG in another section", "1234a80000000001000000000000fa00ff000000000000"},
		{"an empty TSIG", "1234a80000000000000000010000fa00ff000000000000"},
		{"a MAC past the end", "1234a80000000000000000010000fa00ff0000000000110000000000000000012cffff123400000000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wire w = from_hex(rows[i].hex);

		if (verify(&vectors[0], &w) != TSIG_DOUBTFUL || !strstr(err.detail, "is broken"))
			fail_msg("%s: %s", rows[i].what, err.detail);
		free(w.p);
	}
}

/* The longest chain of pointers there can be, in the data of a record, and many records that are called by it. */
static void test_pointers(void **state)
{
	static const uint8_t head[] = {0x12, 0x34, 0xa8, 0, 0, 0, 0, 1, 0, 0, 0x0f, 0xa0, 0, 0, 16, 0, 1, 0, 0, 0, 0, 0x3e, 0x81, 0};
	struct wire w = {mem_alloc(65535), sizeof head};

	(void)state;
	memcpy(w.p, head, sizeof head);
	for (size_t to = sizeof head - 1; w.len < sizeof head + 16000; to = w.len - 2) {
		w.p[w.len++] = (uint8_t)(0xc0 | to >> 8);
		w.p[w.len++] = (uint8_t)to;
	}
	for (size_t i = 0, to = w.len - 2; i < 4000; i++) {
		uint8_t rr[12] = {(uint8_t)(0xc0 | to >> 8), (uint8_t)to, 0, 16, 0, 1};

		memcpy(w.p + w.len, rr, sizeof rr);
		w.len += sizeof rr;
	}
	assert_int_equal(verify(&vectors[0], &w), TSIG_DOUBTFUL);
	assert_string_equal(err.detail, "the answer is not signed");
	free(w.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sign_refuses),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_cut_mac),
		cmocka_unit_test(test_server_errors),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_unsigned),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
