/* SPDX-License-Identifier: ISC */
#include "io/dns_wire.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
	HEAD_LEN = 12, NAME_OCTETS = 255, LABEL_MAX = 63, OPT_LEN = 11, RR_FIXED = 10, CLASS_IN = 1,
	HOPS_MAX = 128 /* no name has more labels: nobody needs more pointers, and each one costs */
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint8_t *put16(uint8_t *p, unsigned value)
{
	*p++ = (uint8_t)(value >> 8);
	*p++ = (uint8_t)value;
	return p;
}

/* Not ctype.h: a locale has no say here. */
static bool is_letter(uint8_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_plain(uint8_t c)
{
	return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '*';
}

static uint8_t lower(uint8_t c)
{
	return is_letter(c) ? c | 0x20 : c;
}

/* --- names --- */

static char *label_format(const uint8_t *label, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = lower(label[i]);

		if (is_plain(c)) {
			*out++ = (char)c;
			continue;
		}
		*out++ = '\\';
		*out++ = (char)('0' + c / 100);
		*out++ = (char)('0' + c / 10 % 10);
		*out++ = (char)('0' + c % 10);
	}
	return out;
}

/* The name at `at`: as text, and where what follows it begins. A pointer must lead to before the run of labels it ends, so each brings us closer to the
 * start of the message and none can be met twice. */
static bool name_read(const uint8_t *msg, size_t len, size_t at, char out[DNS_NAME_TEXT], size_t *next)
{
	size_t octets = 1, run = at, hops = 0;
	char *text = out;

	*next = 0;
	for (;;) {
		uint8_t n;

		if (at >= len)
			return false;
		n = msg[at];
		if (n >= 0xc0) {
			if (len - at < 2 || ++hops > HOPS_MAX)
				return false;
			if (!*next)
				*next = at + 2;
			at = get16(msg + at) & 0x3fff;
			if (at < HEAD_LEN || at >= run)
				return false;
			run = at;
			continue;
		}
		octets += n ? n + 1U : 0;
		if (n > LABEL_MAX || octets > NAME_OCTETS || len - at < n + 1U)
			return false;
		at += n + 1U;
		if (n == 0)
			break;
		if (text > out)
			*text++ = '.';
		text = label_format(msg + at - n, n, text);
	}
	*text = '\0';
	if (!*next)
		*next = at;
	return true;
}

/* One byte of a label; NULL: none can be here. */
static const char *text_byte(const char *p, uint8_t *out)
{
	unsigned value;

	if (*p != '\\') {
		*out = lower((uint8_t)*p);
		return is_plain(*out) ? p + 1 : NULL;
	}
	if (!is_digit((uint8_t)p[1]) || !is_digit((uint8_t)p[2]) || !is_digit((uint8_t)p[3]))
		return NULL;
	value = (unsigned)(p[1] - '0') * 100 + (unsigned)(p[2] - '0') * 10 + (unsigned)(p[3] - '0');
	*out = lower((uint8_t)value);
	return value <= 255 ? p + 4 : NULL;
}

/* The octets of a name; 0: it is none. */
static size_t name_write(uint8_t out[NAME_OCTETS], const char *text)
{
	size_t n = 0, label = 0; /* where the length of the label is */

	if (strcmp(text, ".") == 0)
		text = "";
	while (*text) {
		if (n == label)
			n++;
		if (n >= NAME_OCTETS - 1 || n - label > LABEL_MAX)
			return 0;
		text = text_byte(text, &out[n++]);
		if (!text)
			return 0;
		out[label] = (uint8_t)(n - label - 1);
		if (*text == '.') {
			label = n;
			text++;
		}
	}
	out[n++] = 0;
	return n;
}

bool dns_name_normalise(const char *text, char out[DNS_NAME_TEXT])
{
	uint8_t name[HEAD_LEN + NAME_OCTETS];
	size_t n = name_write(name, text), next;

	return n > 0 && name_read(name, n, 0, out, &next);
}

bool dns_name_is_in(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	if (z == 0)
		return true;
	return n >= z && strcmp(name + n - z, zone) == 0 && (n == z || name[n - z - 1] == '.');
}

const char *dns_name_parent(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : name + strlen(name);
}

size_t dns_name_labels(const char *name)
{
	size_t n = 0;

	for (; *name; name = dns_name_parent(name))
		n++;
	return n;
}

/* --- questions --- */

/* Each letter of the name by one bit of the coin, which goes round. */
static void mix_case(uint8_t *name, size_t n, uint64_t coin)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_letter(name[i])) /* a length is at most 63, so never a letter */
			continue;
		if (coin & 1)
			name[i] ^= 0x20;
		coin = coin >> 1 | coin << 63;
	}
}

size_t dns_write_question(uint8_t out[DNS_QUESTION_MAX], uint16_t id, const char *name, uint16_t type, unsigned bits, uint64_t coin)
{
	size_t n = name_write(out + HEAD_LEN, name);
	uint8_t *p = put16(out, id);

	if (n == 0)
		return 0;
	p = put16(p, (bits & DNS_RD ? 0x0100U : 0U) | (bits & DNS_AD ? 0x0020U : 0U) | (bits & DNS_CD ? 0x0010U : 0U));
	p = put16(p, 1);
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, bits & DNS_PLAIN ? 0 : 1);
	if (bits & DNS_MIXED_CASE)
		mix_case(p, n, coin);
	p = put16(p + n, type);
	p = put16(p, CLASS_IN);
	if (!(bits & DNS_PLAIN)) { /* last and empty, as c-ares 1.18 wants it */
		*p++ = 0;
		p = put16(p, DNS_OPT);
		p = put16(p, DNS_UDP_SIZE);
		p = put16(p, 0);
		p = put16(p, bits & DNS_DO ? 0x8000 : 0);
		p = put16(p, 0);
	}
	return (size_t)(p - out);
}

static size_t question_end(const uint8_t *msg, size_t len)
{
	char name[DNS_NAME_TEXT];
	size_t next;

	if (len < HEAD_LEN || get16(msg + 4) != 1 || !name_read(msg, len, HEAD_LEN, name, &next) || len - next < 4)
		return 0;
	return next + 4;
}

bool dns_is_answer_to(const uint8_t *msg, size_t len, const uint8_t *question, size_t qlen, bool exact)
{
	size_t end = question_end(msg, len), name_end = end - 4;

	if (end == 0 || end != question_end(question, qlen))
		return false;
	if (!(msg[2] & 0x80) || (msg[2] & 0x78)) /* an answer, to a query */
		return false;
	for (size_t i = HEAD_LEN; i < end; i++) {
		if (msg[i] != question[i] && (exact || i >= name_end || lower(msg[i]) != lower(question[i])))
			return false;
	}
	return true;
}

/* --- messages --- */

static bool read_rr(const uint8_t *msg, size_t len, size_t *at, struct dns_rr *rr)
{
	const uint8_t *p;

	if (!name_read(msg, len, *at, rr->owner, at) || len - *at < RR_FIXED)
		return false;
	p = msg + *at;
	*at += RR_FIXED;
	rr->type = get16(p);
	rr->class = get16(p + 2);
	rr->ttl = get32(p + 4);
	rr->len = get16(p + 8);
	rr->data = msg + *at;
	if (len - *at < rr->len)
		return false;
	*at += rr->len;
	return true;
}

bool dns_walk(const uint8_t *msg, size_t len, bool (*fn)(void *arg, const struct dns_rr *rr), void *arg)
{
	size_t at = HEAD_LEN;
	struct dns_rr rr;

	if (len < HEAD_LEN)
		return false;
	for (unsigned n = get16(msg + 4); n > 0; n--) {
		if (!name_read(msg, len, at, rr.owner, &at) || len - at < 4)
			return false;
		at += 4;
	}
	for (rr.section = DNS_ANSWER; rr.section <= DNS_ADDITIONAL; rr.section++) {
		for (unsigned n = get16(msg + 4 + 2 * rr.section); n > 0; n--) {
			if (!read_rr(msg, len, &at, &rr))
				return false;
			if (!fn(arg, &rr))
				return true;
		}
	}
	return true;
}

static bool find_opt(void *arg, const struct dns_rr *rr)
{
	struct dns_rr *opt = arg;

	if (rr->section == DNS_ADDITIONAL && rr->type == DNS_OPT && !*rr->owner)
		*opt = *rr;
	return true;
}

bool dns_read_head(const uint8_t *msg, size_t len, struct dns_head *out)
{
	struct dns_rr opt = { .type = 0 };
	unsigned flags;

	if (len < HEAD_LEN)
		return false;
	flags = get16(msg + 2);
	*out = (struct dns_head){
		.id = get16(msg),
		.response = flags & 0x8000, .aa = flags & 0x0400, .tc = flags & 0x0200, .rd = flags & 0x0100,
		.ra = flags & 0x0080, .ad = flags & 0x0020, .cd = flags & 0x0010,
		.opcode = flags >> 11 & 15,
		.rcode = flags & 15,
	};
	for (size_t i = 0; i < 4; i++)
		out->count[i] = get16(msg + 4 + 2 * i);
	out->whole = dns_walk(msg, len, find_opt, &opt);
	out->edns = out->whole && opt.type == DNS_OPT;
	if (out->edns)
		out->rcode |= opt.ttl >> 24 << 4;
	return true;
}

/* --- data of records --- */

/* A name in the data, and where in the data what follows it begins. */
static bool data_name(const uint8_t *msg, size_t len, const struct dns_rr *rr, size_t *at, char out[DNS_NAME_TEXT])
{
	size_t start = (size_t)(rr->data - msg), next;

	if (*at >= rr->len || !name_read(msg, len, start + *at, out, &next) || next > start + rr->len)
		return false;
	*at = next - start;
	return true;
}

bool dns_rr_name(const uint8_t *msg, size_t len, const struct dns_rr *rr, size_t at, char out[DNS_NAME_TEXT])
{
	return data_name(msg, len, rr, &at, out);
}

bool dns_rr_txt(const struct dns_rr *rr, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < rr->len; i += 1U + rr->data[i])
		if (rr->data[i] >= rr->len - i || !buf_add(out, rr->data + i + 1, rr->data[i]))
			return false;
	return rr->len > 0;
}

bool dns_rr_soa(const uint8_t *msg, size_t len, const struct dns_rr *rr, struct dns_soa *out)
{
	char name[DNS_NAME_TEXT];
	const uint8_t *p;
	size_t at = 0;

	if (!data_name(msg, len, rr, &at, name) || !data_name(msg, len, rr, &at, name) || rr->len - at != 20)
		return false;
	p = rr->data + at;
	*out = (struct dns_soa){ get32(p), get32(p + 4), get32(p + 8), get32(p + 12), get32(p + 16) };
	return true;
}

bool dns_rr_caa(const struct dns_rr *rr, struct dns_caa *out)
{
	size_t n = rr->len > 1 ? rr->data[1] : 0, kept = n < sizeof(out->tag) ? n : sizeof(out->tag) - 1;

	if (n == 0 || n > rr->len - 2)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_letter(rr->data[2 + i]) && !is_digit(rr->data[2 + i]))
			return false;
	/* No tag that means anything to us is so long that it would be cut; an unknown one still counts when it is critical. */
	for (size_t i = 0; i < kept; i++)
		out->tag[i] = (char)lower(rr->data[2 + i]);
	out->tag[kept] = '\0';
	out->critical = rr->data[0] & 0x80;
	out->value = (const char *)rr->data + 2 + n;
	out->len = rr->len - 2 - n;
	return true;
}

struct reason {
	char *out;
	bool found;
};

static const char *reason_name(unsigned code)
{
	static const char *const names[] = {
		[5] = "DNSSEC indeterminate", [6] = "DNSSEC bogus", [7] = "signature expired", [8] = "signature not yet valid", [9] = "DNSKEY missing",
		[10] = "RRSIGs missing", [11] = "no zone key bit set", [12] = "NSEC missing", [22] = "no reachable authority", [23] = "network error",
	};

	return code < sizeof(names) / sizeof(*names) && names[code] ? names[code] : "extended error";
}

static bool read_options(void *arg, const struct dns_rr *rr)
{
	enum { EXTENDED_ERROR = 15 };
	struct reason *r = arg;
	char text[120];

	for (size_t at = 0; rr->type == DNS_OPT && !r->found && rr->len - at >= 4;) {
		size_t code = (size_t)rr->data[at] << 8 | rr->data[at + 1], n = (size_t)rr->data[at + 2] << 8 | rr->data[at + 3];
		const uint8_t *p = rr->data + at + 4;

		if (n > rr->len - at - 4)
			break;
		at += 4 + n;
		if (code != EXTENDED_ERROR || n < 2)
			continue;
		r->found = true;
		text_escape((const char *)p + 2, n - 2, text, sizeof(text));
		snprintf(r->out, DNS_REASON, "%s (%u)%s%s", reason_name((unsigned)p[0] << 8 | p[1]), (unsigned)p[0] << 8 | p[1], *text ? ": " : "", text);
	}
	return true; /* to the end: a message that is broken behind it is broken */
}

void dns_read_reason(const uint8_t *msg, size_t len, char out[DNS_REASON])
{
	struct reason r = { out, false };

	out[0] = '\0';
	if (!dns_walk(msg, len, read_options, &r))
		out[0] = '\0';
}

/* --- for people --- */

const char *dns_rcode_name(unsigned rcode)
{
	static const char *const names[] = {
		[DNS_NOERROR] = "NOERROR", [DNS_FORMERR] = "FORMERR", [DNS_SERVFAIL] = "SERVFAIL", [DNS_NXDOMAIN] = "NXDOMAIN",
		[DNS_NOTIMP] = "NOTIMP", [DNS_REFUSED] = "REFUSED", [DNS_YXDOMAIN] = "YXDOMAIN", [DNS_YXRRSET] = "YXRRSET", [DNS_NXRRSET] = "NXRRSET", [DNS_NOTAUTH] = "NOTAUTH",
		[DNS_NOTZONE] = "NOTZONE", [16] = "BADVERS", [17] = "BADKEY", [18] = "BADTIME", [19] = "BADMODE", [20] = "BADNAME", [21] = "BADALG",
		[22] = "BADTRUNC", [23] = "BADCOOKIE",
	};
	static char other[sizeof("RCODE4294967295")];

	if (rcode < sizeof(names) / sizeof(*names) && names[rcode])
		return names[rcode];
	snprintf(other, sizeof(other), "RCODE%u", rcode);
	return other;
}

const char *dns_type_name(unsigned type)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
		{ DNS_A, "A" }, { DNS_NS, "NS" }, { DNS_CNAME, "CNAME" }, { DNS_SOA, "SOA" }, { DNS_TXT, "TXT" }, { DNS_AAAA, "AAAA" },
		{ DNS_OPT, "OPT" }, { DNS_DS, "DS" }, { DNS_RRSIG, "RRSIG" }, { DNS_CAA, "CAA" },
	};
	static char other[sizeof("TYPE4294967295")];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(other, sizeof(other), "TYPE%u", type);
	return other;
}
