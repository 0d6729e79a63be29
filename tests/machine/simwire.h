/* SPDX-License-Identifier: ISC */
/* DNS messages as simulated servers write them. Apart from src/io/dns_wire.c on purpose: what is tested is not written by its own code. */
#ifndef DOVAD_TESTS_SIMWIRE_H
#define DOVAD_TESTS_SIMWIRE_H

#include <stddef.h>
#include <stdint.h>

enum { PAPER_A = 1, PAPER_NS = 2, PAPER_CNAME = 5, PAPER_SOA = 6, PAPER_TXT = 16, PAPER_AAAA = 28, PAPER_OPT = 41 };
struct paper {
	uint8_t b[32768];
	size_t n;
	const char *question;            /* its name, at byte 12: said again as a pointer */
};
void paper_put(struct paper *p, uint64_t v, unsigned bytes);
void paper_bytes(struct paper *p, const char *s, size_t len);
void paper_name(struct paper *p, const char *name);
size_t paper_rr(struct paper *p, const char *owner, uint16_t type); /* for paper_end, after the data */
void paper_end(struct paper *p, size_t from);
void paper_soa(struct paper *p, const char *apex, uint32_t serial); /* a whole record */
/* A head and a question; flags: the second 16 bits. Then the records, counted by the caller. */
void paper_begin(struct paper *p, uint16_t id, unsigned flags, const char *question, uint16_t type);
void paper_count(struct paper *p, unsigned answers, unsigned authority, unsigned additional); /* and the OPT record */

#endif
