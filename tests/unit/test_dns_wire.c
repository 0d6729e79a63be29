/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/dns_wire.h"

/* A message by hand: counts in the head, then pieces. */
struct made {
	uint8_t b[2048];
	size_t len;
};

static void add(struct made *m, const void *bytes, size_t len)
{
	assert_true(m->len + len <= sizeof(m->b));
	memcpy(m->b + m->len, bytes, len);
	m->len += len;
}
#define ADD(m, literal) add(m, literal, sizeof(literal) - 1)

static void start(struct made *m, unsigned qd, unsigned an, unsigned ns, unsigned ar)
{
	const uint8_t head[12] = { 0x12, 0x34, 0x84, 0x00, (uint8_t)(qd >> 8), (uint8_t)qd, (uint8_t)(an >> 8), (uint8_t)an,
		(uint8_t)(ns >> 8), (uint8_t)ns, (uint8_t)(ar >> 8), (uint8_t)ar };

	memset(m, 0, sizeof(*m));
	add(m, head, sizeof(head));
}

#define QUESTION "\7Example\3org\0\0\20\0\1" /* at 12; "org" at 20 */

/* TXT of two strings, NS in the authority section, A of it and OPT with an extended RCODE */
static void make_answer(struct made *m)
{
	start(m, 1, 1, 1, 2);
	m->b[3] = 0x83; /* RA, NXDOMAIN */
	ADD(m, QUESTION);
	ADD(m, "\xc0\x0c" "\0\20\0\1\0\0\1\x2c\0\7" "\3abc\2de");
	ADD(m, "\xc0\x0c" "\0\2\0\1\0\0\0\1\0\6" "\3ns1\xc0\x14");
	ADD(m, "\3ns1\xc0\x14" "\0\1\0\1\0\0\0\1\0\4" "\xc0\0\2\1");
	ADD(m, "\0" "\0\51\4\xd0\1\0\0\0\0\0");
}

struct seen {
	size_t n, stop_at;
	struct dns_rr rr[8];
};

static bool see(void *arg, const struct dns_rr *rr)
{
	struct seen *s = arg;

	if (s->n < 8)
		s->rr[s->n] = *rr;
	return ++s->n != s->stop_at;
}

static bool walk(const struct made *m, struct seen *s)
{
	memset(s, 0, sizeof(*s));
	return dns_walk(m->b, m->len, see, s);
}

/* --- names --- */

static void test_normalise(void **state)
{
	static const struct {
		const char *text, *back; /* NULL: refused */
	} rows[] = {
		{ "", "" }, { ".", "" }, { "org", "org" }, { "Example.ORG", "example.org" }, { "example.org.", "example.org" },
		{ "_acme-challenge.*.example.org", "_acme-challenge.*.example.org" }, { "a\\046b.c", "a\\046b.c" }, { "\\065\\098", "ab" },
		{ "\\000\\255", "\\000\\255" }, { "\\092", "\\092" },
		{ "..", NULL }, { ".org", NULL }, { "a..b", NULL }, { "a.b..", NULL }, { "a b", NULL }, { "m\xc3\xbcnchen.de", NULL },
		{ "\\256", NULL }, { "\\999", NULL }, { "\\1", NULL }, { "\\12", NULL }, { "\\", NULL }, { "\\a", NULL }, { "a\\.b", NULL },
		{ "a@b", NULL }, { "a/b", NULL },
	};
	char out[DNS_NAME_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool good = dns_name_normalise(rows[i].text, out);

		if (good != (rows[i].back != NULL))
			fail_msg("'%s'", rows[i].text);
		if (good)
			assert_string_equal(out, rows[i].back);
	}
}

/* labels of `each` bytes written as `byte`, then one of `last` */
static char *long_name(size_t labels, size_t each, size_t last, const char *byte)
{
	static char text[4096];

	*text = '\0';
	for (size_t i = 0; i <= labels; i++) {
		size_t n = i < labels ? each : last;

		for (size_t j = 0; j < n; j++)
			strcat(text, byte);
		if (i < labels && last)
			strcat(text, ".");
	}
	return text;
}

static void test_longest_names(void **state)
{
	char out[DNS_NAME_TEXT];
	uint8_t question[DNS_QUESTION_MAX];

	(void)state;
	assert_true(dns_name_normalise(long_name(0, 0, 63, "a"), out));
	assert_false(dns_name_normalise(long_name(0, 0, 64, "a"), out));
	assert_true(dns_name_normalise(long_name(3, 63, 61, "a"), out)); /* 255 octets */
	assert_int_equal(strlen(out), 253);
	assert_int_equal(dns_write_question(question, 1, out, DNS_TXT, 0, 0), 12 + 255 + 4 + 11);
	strcat(out, ".");
	assert_int_equal(dns_write_question(question, 1, out, DNS_TXT, 0, 0), 12 + 255 + 4 + 11);
	assert_false(dns_name_normalise(long_name(3, 63, 62, "a"), out));
	assert_int_equal(dns_write_question(question, 1, long_name(3, 63, 62, "a"), DNS_TXT, 0, 0), 0);
	assert_true(dns_name_normalise(long_name(126, 1, 1, "a"), out));
	assert_false(dns_name_normalise(long_name(127, 1, 1, "a"), out));
	assert_true(dns_name_normalise(long_name(3, 63, 61, "\\000"), out));
	assert_int_equal(strlen(out), 250 * 4 + 3);
}

static void test_name_relations(void **state)
{
	(void)state;
	assert_true(dns_name_is_in("example.org", "org"));
	assert_true(dns_name_is_in("example.org", "example.org"));
	assert_true(dns_name_is_in("example.org", ""));
	assert_true(dns_name_is_in("", ""));
	assert_true(dns_name_is_in("a.b.example.org", "example.org"));
	assert_false(dns_name_is_in("badexample.org", "example.org"));
	assert_false(dns_name_is_in("org", "example.org"));
	assert_false(dns_name_is_in("", "org"));
	assert_false(dns_name_is_in("a\\046org", "org"));
	assert_string_equal(dns_name_parent("a.b.org"), "b.org");
	assert_string_equal(dns_name_parent("org"), "");
	assert_string_equal(dns_name_parent(""), "");
	assert_int_equal(dns_name_labels(""), 0);
	assert_int_equal(dns_name_labels("org"), 1);
	assert_int_equal(dns_name_labels("a.b\\046c.org"), 3);
}

/* --- questions --- */

static void test_question_bytes(void **state)
{
	static const uint8_t plain[] = "\xbe\xef\0\0\0\1\0\0\0\0\0\1" "\1_\3org\0" "\0\20\0\1" "\0\0\51\4\xd0\0\0\0\0\0\0";
	uint8_t out[DNS_QUESTION_MAX];
	size_t n = dns_write_question(out, 0xbeef, "_.org", DNS_TXT, 0, 0);

	(void)state;
	assert_int_equal(n, sizeof(plain) - 1);
	assert_memory_equal(out, plain, n);
	n = dns_write_question(out, 0xbeef, "_.org", DNS_TXT, DNS_RD | DNS_AD | DNS_CD | DNS_DO, 0);
	assert_int_equal(n, sizeof(plain) - 1);
	assert_int_equal(out[2], 0x01);
	assert_int_equal(out[3], 0x30);
	assert_int_equal(out[n - 4], 0x80);
	n = dns_write_question(out, 0xbeef, "_.org", DNS_CAA, DNS_PLAIN | DNS_DO, 0);
	assert_int_equal(n, sizeof(plain) - 1 - 11);
	assert_int_equal(out[11], 0);
	assert_memory_equal(out + n - 4, "\1\1\0\1", 4);
	assert_int_equal(dns_write_question(out, 0, "", DNS_SOA, 0, 0), 12 + 1 + 4 + 11);
	assert_int_equal(dns_write_question(out, 0, ".", DNS_SOA, 0, 0), 12 + 1 + 4 + 11);
	assert_int_equal(dns_write_question(out, 0, "a..b", DNS_SOA, 0, 0), 0);
	assert_int_equal(dns_write_question(out, 0, "a b", DNS_SOA, 0, 0), 0);
}

static void test_mixed_case(void **state)
{
	uint8_t out[DNS_QUESTION_MAX];

	(void)state;
	assert_true(dns_write_question(out, 0, "abc-1.Def", DNS_TXT, DNS_MIXED_CASE, 0x2d) > 0); /* 101101 */
	assert_memory_equal(out + 12, "\5AbC-1\3DeF", 11);
	assert_true(dns_write_question(out, 0, "abc.Def", DNS_TXT, 0, UINT64_MAX) > 0);
	assert_memory_equal(out + 12, "\3abc\3def", 9);
	assert_true(dns_write_question(out, 0, long_name(1, 63, 3, "x"), DNS_TXT, DNS_MIXED_CASE, 1) > 0);
	assert_memory_equal(out + 12, "\77Xx", 3);
	assert_memory_equal(out + 12 + 64, "\3xXx", 4); /* the 65th letter: the first bit again */
}

static void test_round_trip(void **state)
{
	static const char *const names[] = { "", "org", "example.org", "_acme-challenge.x\\000y\\046.example.org" };
	static const uint16_t types[] = { DNS_A, DNS_TXT, DNS_CAA, 65535 };
	uint8_t q[DNS_QUESTION_MAX];
	struct dns_head head;

	(void)state;
	for (size_t i = 0; i < 4 * 4; i++) {
		struct made m;
		struct seen s;
		size_t n = dns_write_question(q, 7, names[i / 4], types[i % 4], DNS_MIXED_CASE | DNS_RD, 0x123456789abcdefULL * (i + 1));

		assert_true(n > 0);
		assert_true(dns_read_head(q, n, &head));
		assert_int_equal(head.id, 7);
		assert_true(head.rd && !head.response && !head.ad && !head.cd);
		start(&m, 0, 1, 0, 0); /* the question's name and type as a record */
		add(&m, q + 12, n - 12 - 11);
		ADD(&m, "\0\0\0\0\0\0");
		assert_true(walk(&m, &s));
		assert_string_equal(s.rr[0].owner, names[i / 4]);
		assert_int_equal(s.rr[0].type, types[i % 4]);
		assert_int_equal(s.rr[0].class, 1);
	}
}

static void test_is_answer_to(void **state)
{
	uint8_t q[DNS_QUESTION_MAX], a[DNS_QUESTION_MAX];
	size_t n = dns_write_question(q, 1, "abc.org", DNS_TXT, DNS_MIXED_CASE, 5);
	static const struct {
		size_t at;
		uint8_t value;
		bool loose, exact;
	} rows[] = {
		{ 0, 99, true, true },    /* the ID is not its matter */
		{ 2, 0x00, false, false }, /* a question */
		{ 2, 0x88, false, false }, /* another opcode */
		{ 3, 0x85, true, true },
		{ 5, 0, false, false },
		{ 5, 2, false, false },
		{ 13, 'a', true, false },
		{ 13, 'x', false, false },
		{ 12, 4, false, false },
		{ 12, 0xc0, false, false },
		{ 22, 15, false, false },
		{ 24, 3, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memcpy(a, q, n);
		a[2] |= 0x80;
		assert_true(dns_is_answer_to(a, n, q, n, true));
		a[rows[i].at] = rows[i].value;
		if (dns_is_answer_to(a, n, q, n, false) != rows[i].loose || dns_is_answer_to(a, n, q, n, true) != rows[i].exact)
			fail_msg("row %zu", i);
	}
	memcpy(a, q, n);
	a[2] |= 0x80;
	for (size_t cut = 0; cut < n - 11; cut++)
		assert_false(dns_is_answer_to(a, cut, q, n, false));
	assert_true(dns_is_answer_to(a, n - 11, q, n, true));
	assert_true(dns_write_question(q, 1, "abcd.org", DNS_TXT, 0, 0) > 0);
	assert_false(dns_is_answer_to(a, n, q, n, false));
}

/* --- messages --- */

static void test_head(void **state)
{
	struct made m;
	struct dns_head head;

	(void)state;
	make_answer(&m);
	assert_true(dns_read_head(m.b, m.len, &head));
	assert_int_equal(head.id, 0x1234);
	assert_true(head.response && head.aa && head.ra && !head.tc && !head.rd && !head.ad && !head.cd);
	assert_int_equal(head.opcode, 0);
	assert_int_equal(head.rcode, 16 + 3);
	assert_int_equal(head.count[0], 1);
	assert_int_equal(head.count[3], 2);
	assert_true(head.whole && head.edns);
	assert_true(dns_read_head(m.b, m.len - 1, &head)); /* cannot be walked: the plain RCODE */
	assert_int_equal(head.rcode, 3);
	assert_true(!head.whole && !head.edns);
	m.b[11] = 1; /* without OPT */
	assert_true(dns_read_head(m.b, m.len, &head));
	assert_int_equal(head.rcode, 3);
	assert_true(head.whole && !head.edns);
	m.b[2] = 0x2b;
	m.b[3] = 0x30;
	assert_true(dns_read_head(m.b, 12, &head));
	assert_true(!head.response && !head.aa && !head.ra && head.tc && head.rd && head.ad && head.cd);
	assert_int_equal(head.opcode, 5);
	for (size_t n = 0; n < 12; n++)
		assert_false(dns_read_head(m.b, n, &head));
}

static void test_walk(void **state)
{
	struct made m;
	struct seen s;
	char name[DNS_NAME_TEXT];

	(void)state;
	make_answer(&m);
	assert_true(walk(&m, &s));
	assert_int_equal(s.n, 4);
	assert_int_equal(s.rr[0].section, DNS_ANSWER);
	assert_string_equal(s.rr[0].owner, "example.org");
	assert_int_equal(s.rr[0].type, DNS_TXT);
	assert_int_equal(s.rr[0].ttl, 300);
	assert_int_equal(s.rr[0].len, 7);
	assert_int_equal(s.rr[1].section, DNS_AUTHORITY);
	assert_true(dns_rr_name(m.b, m.len, &s.rr[1], 0, name));
	assert_string_equal(name, "ns1.org");
	assert_int_equal(s.rr[2].section, DNS_ADDITIONAL);
	assert_string_equal(s.rr[2].owner, "ns1.org");
	assert_memory_equal(s.rr[2].data, "\xc0\0\2\1", 4);
	assert_int_equal(s.rr[3].type, DNS_OPT);
	memset(&s, 0, sizeof(s));
	s.stop_at = 2;
	assert_true(dns_walk(m.b, m.len, see, &s)); /* stopped early */
	assert_int_equal(s.n, 2);
	m.b[m.len++] = 0;
	assert_true(walk(&m, &s)); /* something behind the end is nobody's */
}

static void test_cut_at_every_byte(void **state)
{
	struct made m;
	struct seen s = { 0 };
	struct dns_head head;

	(void)state;
	make_answer(&m);
	for (size_t n = 0; n < m.len; n++) {
		uint8_t *exact = malloc(n ? n : 1); /* an overread is seen */

		memcpy(exact, m.b, n);
		assert_false(dns_walk(exact, n, see, &s));
		assert_true(dns_read_head(exact, n, &head) == (n >= 12));
		assert_true(dns_is_answer_to(exact, n, m.b, m.len, true) == false || n >= 12 + 17);
		free(exact);
	}
}

static void test_counts_beyond_the_message(void **state)
{
	struct made m;
	struct seen s;

	(void)state;
	for (size_t at = 4; at < 12; at++) {
		make_answer(&m);
		m.b[at] = 0xff;
		assert_false(walk(&m, &s));
		assert_true(s.n <= 4);
	}
	start(&m, 0xffff, 0xffff, 0xffff, 0xffff);
	assert_false(walk(&m, &s));
	start(&m, 0, 0, 0, 0);
	assert_true(walk(&m, &s));
	assert_int_equal(s.n, 0);
}

/* One record whose owner is `name`. */
static bool owner(const char *name, size_t len, char out[DNS_NAME_TEXT])
{
	struct made m;
	struct seen s;

	start(&m, 0, 1, 0, 0);
	add(&m, name, len);
	ADD(&m, "\0\20\0\1\0\0\0\0\0\0");
	if (!walk(&m, &s))
		return false;
	strcpy(out, s.rr[0].owner);
	return true;
}
#define OWNER(literal, out) owner(literal, sizeof(literal) - 1, out)

static void test_names_of_peers(void **state)
{
	char out[DNS_NAME_TEXT], wire[300] = "";

	(void)state;
	assert_true(OWNER("\4A.b \1_\0", out));
	assert_string_equal(out, "a\\046b\\032._");
	assert_true(OWNER("\4\0\xff\\*\0", out));
	assert_string_equal(out, "\\000\\255\\092*");
	assert_false(OWNER("\xc0\x0c", out)); /* to itself */
	assert_false(OWNER("\1a\xc0\x0c", out)); /* to its own beginning */
	assert_false(OWNER("\1a\xc0\x0e", out)); /* to the pointer itself */
	assert_false(OWNER("\xc0\x0e", out));    /* forward */
	assert_false(OWNER("\xff\xff", out));
	assert_false(OWNER("\xc0\0", out));      /* into the head */
	assert_false(OWNER("\x40xx\0", out));
	assert_false(OWNER("\x80xx\0", out));
	for (size_t i = 0; i < 3; i++) {
		wire[i * 64] = 63;
		memset(wire + i * 64 + 1, 'a', 63);
	}
	wire[192] = 61;
	memset(wire + 193, 'b', 61);
	assert_true(owner(wire, 255, out));
	assert_int_equal(strlen(out), 253);
	wire[192] = 62;
	memset(wire + 193, 'b', 62);
	wire[255] = 0;
	assert_false(owner(wire, 256, out));
}

/* Two records, the second one's owner `second`; the first name is at 12. */
static bool second_owner(const char *first, size_t n1, const char *second, size_t n2, char out[DNS_NAME_TEXT])
{
	struct made m;
	struct seen s;

	start(&m, 0, 2, 0, 0);
	add(&m, first, n1);
	ADD(&m, "\0\20\0\1\0\0\0\0\0\0");
	add(&m, second, n2);
	ADD(&m, "\0\20\0\1\0\0\0\0\0\0");
	if (!walk(&m, &s))
		return false;
	strcpy(out, s.rr[1].owner);
	return true;
}

static void test_pointers(void **state)
{
	char out[DNS_NAME_TEXT];

	(void)state;
	assert_true(second_owner("\1a\1b\0", 5, "\1c\xc0\x0e", 4, out));
	assert_string_equal(out, "c.b");
	assert_true(second_owner("\1a\1b\0", 5, "\xc0\x0c", 2, out));
	assert_string_equal(out, "a.b");
	assert_true(second_owner("\1a\1b\0", 5, "\xc0\x10", 2, out)); /* to a root */
	assert_string_equal(out, "");
	/* 12: "a" and root; 25: pointers at each other are two steps of which one is not backwards */
	assert_false(second_owner("\1a\0", 3, "\xc0\x1b\xc0\x19", 4, out));
}

static void test_pointer_chains(void **state)
{
	static struct {
		uint8_t b[DNS_MESSAGE_MAX];
	} m;
	struct dns_rr rr = { .data = m.b, .len = sizeof(m.b) };
	char out[DNS_NAME_TEXT];
	size_t at = 13;

	(void)state;
	for (size_t to = 12; at < 16000; at += 2) { /* m[12] is a root; each pointer leads to the one before */
		m.b[at] = (uint8_t)(0xc0 | to >> 8);
		m.b[at + 1] = (uint8_t)to;
		to = at;
	}
	assert_true(dns_rr_name(m.b, sizeof(m.b), &rr, 13 + 2 * 127, out));
	assert_string_equal(out, "");
	assert_false(dns_rr_name(m.b, sizeof(m.b), &rr, 13 + 2 * 128, out));
	assert_false(dns_rr_name(m.b, sizeof(m.b), &rr, at - 2, out));
}

static void test_data_beyond_the_end(void **state)
{
	struct made m;
	struct seen s;

	(void)state;
	start(&m, 0, 1, 0, 0);
	ADD(&m, "\0" "\0\20\0\1\0\0\0\0\0\3" "\2a");
	assert_false(walk(&m, &s));
	ADD(&m, "b");
	assert_true(walk(&m, &s));
	m.b[m.len - 4] = 0xff;
	assert_false(walk(&m, &s));
}

/* --- data of records --- */

static void test_names_in_data(void **state)
{
	static const struct {
		const char *data;
		size_t len, at;
		const char *name; /* NULL: broken */
	} rows[] = {
		{ "\2ns\0", 4, 0, "ns" },
		{ "\2ns\xc0\x0c", 5, 0, "ns.example.org" },
		{ "\xc0\x0c", 2, 0, "example.org" },
		{ "\0\12\2mx\0", 6, 2, "mx" },
		{ "\0\12\2mx\0", 6, 6, NULL },
		{ "\0\12\2mx\0", 6, 600, NULL },
		{ "", 0, 0, NULL },
		{ "\2ns", 3, 0, NULL },  /* goes on behind the data */
		{ "\xc0", 1, 0, NULL },
		{ "\5ns", 3, 0, NULL },
	};
	char out[DNS_NAME_TEXT];
	struct made m;
	struct seen s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char fixed[] = { 0, DNS_NS, 0, 1, 0, 0, 0, 0, 0, (char)rows[i].len };
		bool good;

		start(&m, 1, 2, 0, 0);
		ADD(&m, QUESTION);
		ADD(&m, "\xc0\x0c");
		add(&m, fixed, sizeof(fixed));
		add(&m, rows[i].data, rows[i].len);
		ADD(&m, "\0" "\0\20\0\1\0\0\0\0\0\0");
		assert_true(walk(&m, &s));
		good = dns_rr_name(m.b, m.len, &s.rr[0], rows[i].at, out);
		if (good != (rows[i].name != NULL) || (good && strcmp(out, rows[i].name) != 0))
			fail_msg("row %zu", i);
	}
}

static struct dns_rr record(const char *data, size_t len)
{
	return (struct dns_rr){ .data = (const uint8_t *)data, .len = len };
}
#define RECORD(literal) record(literal, sizeof(literal) - 1)

static void test_txt(void **state)
{
	struct dns_rr rr = RECORD("\3abc\0\2\0e");
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_true(dns_rr_txt(&rr, &b));
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "abc\0e", 5);
	for (size_t n = 1; n < rr.len; n++) {
		struct dns_rr cut = record((const char *)rr.data, n);

		assert_true(dns_rr_txt(&cut, &b) == (n == 4 || n == 5));
	}
	rr = RECORD("\0");
	assert_true(dns_rr_txt(&rr, &b));
	assert_int_equal(b.len, 0);
	rr = RECORD("");
	assert_false(dns_rr_txt(&rr, &b));
	rr = RECORD("\6abcdef");
	assert_false(dns_rr_txt(&rr, &b)); /* more than the caller wants */
	rr = RECORD("\xff" "abc");
	assert_false(dns_rr_txt(&rr, &b));
	buf_free(&b);
}

static void test_soa(void **state)
{
	static const char data[] = "\2ns\xc0\x0c\4mail\xc0\x0c" "\0\0\0\1\0\0\0\2\0\0\0\3\0\1\0\0\xff\xff\xff\xff";
	struct made m;
	struct seen s;
	struct dns_soa soa;

	(void)state;
	for (size_t n = 0; n <= sizeof(data); n++) {
		const char fixed[] = { 0, DNS_SOA, 0, 1, 0, 0, 0, 0, 0, (char)n };

		start(&m, 1, 0, 1, 0);
		ADD(&m, QUESTION);
		ADD(&m, "\xc0\x0c");
		add(&m, fixed, sizeof(fixed));
		add(&m, data, n);
		assert_true(walk(&m, &s));
		assert_true(dns_rr_soa(m.b, m.len, &s.rr[0], &soa) == (n == sizeof(data) - 1));
	}
	assert_int_equal(soa.serial, 1);
	assert_int_equal(soa.refresh, 2);
	assert_int_equal(soa.retry, 3);
	assert_int_equal(soa.expire, 65536);
	assert_int_equal(soa.minimum, UINT32_MAX);
}

static void test_caa(void **state)
{
	struct dns_rr rr = RECORD("\x80\5IsSuEca.example; a=b");
	struct dns_caa caa;

	(void)state;
	assert_true(dns_rr_caa(&rr, &caa));
	assert_true(caa.critical);
	assert_string_equal(caa.tag, "issue");
	assert_int_equal(caa.len, strlen("ca.example; a=b"));
	assert_memory_equal(caa.value, "ca.example; a=b", caa.len);
	rr = RECORD("\x01\11issuewild");
	assert_true(dns_rr_caa(&rr, &caa));
	assert_false(caa.critical);
	assert_int_equal(caa.len, 0);
	rr = RECORD("\x80\24abcdefghijklmnopqrstx");
	assert_true(dns_rr_caa(&rr, &caa));
	assert_string_equal(caa.tag, "abcdefghijklmno");
	assert_memory_equal(caa.value, "x", 1);
	assert_int_equal(caa.len, 1);
	for (size_t n = 0; n < 7; n++) {
		rr = record("\0\5issue", n);
		assert_false(dns_rr_caa(&rr, &caa));
	}
	rr = RECORD("\0\0issue");
	assert_false(dns_rr_caa(&rr, &caa));
	rr = RECORD("\0\3a-b");
	assert_false(dns_rr_caa(&rr, &caa));
	rr = RECORD("\0\xff" "abc");
	assert_false(dns_rr_caa(&rr, &caa));
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(dns_rcode_name(0), "NOERROR");
	assert_string_equal(dns_rcode_name(3), "NXDOMAIN");
	assert_string_equal(dns_rcode_name(5), "REFUSED");
	assert_string_equal(dns_rcode_name(11), "RCODE11");
	assert_string_equal(dns_rcode_name(16), "BADVERS");
	assert_string_equal(dns_rcode_name(23), "BADCOOKIE");
	assert_string_equal(dns_rcode_name(24), "RCODE24");
	assert_string_equal(dns_rcode_name(UINT32_MAX), "RCODE4294967295");
	assert_string_equal(dns_type_name(DNS_TXT), "TXT");
	assert_string_equal(dns_type_name(DNS_CAA), "CAA");
	assert_string_equal(dns_type_name(65), "TYPE65");
	assert_string_equal(dns_type_name(UINT32_MAX), "TYPE4294967295");
}

/* A message without a question, with one OPT record of these options. */
static void assert_reason(const void *options, size_t len, const char *expected)
{
	uint8_t msg[512] = { 0, 1, 0x80, 2, [11] = 1, [14] = DNS_OPT };
	char reason[DNS_REASON];

	msg[21] = (uint8_t)(len >> 8);
	msg[22] = (uint8_t)len;
	memcpy(msg + 23, options, len);
	dns_read_reason(msg, 23 + len, reason);
	assert_string_equal(reason, expected);
}

static void test_reason(void **state)
{
	char reason[DNS_REASON] = "before";

	(void)state;
	assert_reason("", 0, "");
	assert_reason("\0\17\0\2\0\6", 6, "DNSSEC bogus (6)");
	assert_reason("\0\17\0\5\0\7old", 9, "signature expired (7): old");
	assert_reason("\0\17\0\2\1\4", 6, "extended error (260)");
	assert_reason("\0\3\0\2ns\0\17\0\3\0\11\33", 13, "DNSKEY missing (9): \\x1b");  /* behind another option */
	assert_reason("\0\17\0\2\0\12\0\17\0\2\0\6", 12, "RRSIGs missing (10)");            /* the first counts */
	assert_reason("\0\17\0\1\0", 5, "");                                                   /* too short */
	assert_reason("\0\17\0\20\0\6", 6, "");                                                /* longer than the record */
	assert_reason("\0\17\0", 3, "");
	dns_read_reason((const uint8_t *)"x", 1, reason);
	assert_string_equal(reason, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_longest_names),
		cmocka_unit_test(test_name_relations),
		cmocka_unit_test(test_question_bytes),
		cmocka_unit_test(test_mixed_case),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_is_answer_to),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_counts_beyond_the_message),
		cmocka_unit_test(test_names_of_peers),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_pointer_chains),
		cmocka_unit_test(test_data_beyond_the_end),
		cmocka_unit_test(test_names_in_data),
		cmocka_unit_test(test_txt),
		cmocka_unit_test(test_soa),
		cmocka_unit_test(test_caa),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
