/* SPDX-License-Identifier: ISC */
#include "simwire.h"

#include <string.h>

void paper_put(struct paper *p, uint64_t v, unsigned bytes)
{
	while (bytes-- > 0 && p->n < sizeof p->b)
		p->b[p->n++] = (uint8_t)(v >> (8 * bytes));
}

void paper_bytes(struct paper *p, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		paper_put(p, (uint8_t)s[i], 1);
}

void paper_name(struct paper *p, const char *name)
{
	if (p->n > 12 && p->question && strcmp(name, p->question) == 0) {
		paper_put(p, 0xc00c, 2);
		return;
	}
	while (*name) {
		size_t l = strcspn(name, ".");

		paper_put(p, (unsigned)l, 1);
		paper_bytes(p, name, l);
		name += l + (name[l] == '.');
	}
	paper_put(p, 0, 1);
}

size_t paper_rr(struct paper *p, const char *owner, uint16_t type)
{
	paper_name(p, owner);
	paper_put(p, type, 2);
	paper_put(p, 1, 2);
	paper_put(p, 300, 4);
	paper_put(p, 0, 2);
	return p->n;
}

void paper_end(struct paper *p, size_t from)
{
	p->b[from - 2] = (uint8_t)((p->n - from) >> 8);
	p->b[from - 1] = (uint8_t)(p->n - from);
}

void paper_soa(struct paper *p, const char *apex, uint32_t serial)
{
	static const unsigned rest[] = { 3600, 600, 86400, 300 };
	size_t at = paper_rr(p, apex, PAPER_SOA);

	paper_name(p, "ns1.test");
	paper_name(p, "admin.test");
	paper_put(p, serial, 4);
	for (unsigned i = 0; i < 4; i++)
		paper_put(p, rest[i], 4);
	paper_end(p, at);
}

void paper_begin(struct paper *p, uint16_t id, unsigned flags, const char *question, uint16_t type)
{
	p->n = 0;
	p->question = question;
	paper_put(p, id, 2);
	paper_put(p, flags, 2);
	paper_put(p, 1, 2);
	paper_put(p, 0, 6);
	paper_name(p, question);
	paper_put(p, type, 2);
	paper_put(p, 1, 2);
}

void paper_count(struct paper *p, unsigned answers, unsigned authority, unsigned additional)
{
	paper_put(p, 0, 1);
	paper_put(p, PAPER_OPT, 2);
	paper_put(p, 1232, 2);
	paper_put(p, 0, 6);
	p->b[7] = (uint8_t)answers;
	p->b[9] = (uint8_t)authority;
	p->b[11] = (uint8_t)(additional + 1);
}
