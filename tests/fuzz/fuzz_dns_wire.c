/* SPDX-License-Identifier: ISC */
/* A DNS message as a name server may send it; what is read of its names must be readable again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/dns_wire.h"
#include "fuzz.h"

struct message {
	const uint8_t *data;
	size_t size, records;
};

static void check_name(const char *name)
{
	char again[DNS_NAME_TEXT];
	uint8_t question[DNS_QUESTION_MAX];

	check(dns_name_normalise(name, again) && strcmp(name, again) == 0);
	check(dns_name_labels(name) <= 127);
	check(dns_name_is_in(name, dns_name_parent(name)));
	check(dns_write_question(question, 1, name, DNS_TXT, DNS_MIXED_CASE, 0x5555) <= 12 + 255 + 4 + 11);
}

static void check_data(const struct message *m, const struct dns_rr *rr)
{
	char name[DNS_NAME_TEXT];
	struct dns_soa soa;
	struct dns_caa caa;
	struct buf txt;

	buf_init(&txt, DNS_MESSAGE_MAX);
	for (size_t at = 0; at < 4; at++)
		if (dns_rr_name(m->data, m->size, rr, at, name))
			check_name(name);
	if (dns_rr_txt(rr, &txt))
		check(txt.len < rr->len);
	if (dns_rr_soa(m->data, m->size, rr, &soa))
		check(rr->len >= 22);
	if (dns_rr_caa(rr, &caa))
		check(*caa.tag && strlen(caa.tag) < sizeof(caa.tag) && (const uint8_t *)caa.value + caa.len == rr->data + rr->len);
	buf_free(&txt);
}

static bool each(void *arg, const struct dns_rr *rr)
{
	struct message *m = arg;

	check(rr->section >= DNS_ANSWER && rr->section <= DNS_ADDITIONAL);
	check(rr->data >= m->data + 12 && rr->len <= (size_t)(m->data + m->size - rr->data));
	check_name(rr->owner);
	check_data(m, rr);
	m->records++;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message m = { data, size, 0 };
	struct dns_head head;
	char reason[DNS_REASON];
	bool whole = dns_walk(data, size, each, &m);

	check(dns_read_head(data, size, &head) == (size >= 12));
	check(size < 12 || head.whole == whole);
	dns_read_reason(data, size, reason);
	check(strlen(reason) < sizeof(reason) && (whole || !*reason));
	if (whole)
		check(m.records == (size_t)head.count[1] + head.count[2] + head.count[3] && m.records * 11 <= size);
	if (dns_is_answer_to(data, size, data, size, true))
		check(dns_is_answer_to(data, size, data, size, false) && head.response);
	return 0;
}
