/* SPDX-License-Identifier: ISC */
#include "prove/answer.h"

#include <netinet/in.h>
#include <string.h>

enum { CLASS_IN = 1, TXT_MAX = 65535 };

struct reading {
	struct arena *arena;
	const struct dns_answer *from;
	struct answer *out;
	struct buf text;
	size_t room; /* for values; a message of 64 KiB bounds them */
	bool broken;
};

static char *read_name(struct reading *r, const struct dns_rr *rr)
{
	char name[DNS_NAME_TEXT];

	if (!dns_rr_name(r->from->msg, r->from->len, rr, 0, name)) {
		r->broken = true;
		return NULL;
	}
	return arena_strdup(r->arena, name);
}

static void read_txt(struct reading *r, const struct dns_rr *rr)
{
	struct answer *out = r->out;
	char *data;

	if (!dns_rr_txt(rr, &r->text)) {
		r->broken = true;
		return;
	}
	if (out->nvalues == r->room) {
		struct answer_value *more = arena_array(r->arena, r->room = r->room ? 2 * r->room : 8, sizeof(*more));

		for (size_t i = 0; i < out->nvalues; i++)
			more[i] = out->values[i];
		out->values = more;
	}
	data = arena_alloc(r->arena, r->text.len + 1);
	if (r->text.len > 0)
		memcpy(data, r->text.data, r->text.len);
	out->values[out->nvalues++] = (struct answer_value){ .data = data, .len = r->text.len, .ttl = rr->ttl };
}

static void read_soa(struct reading *r, const struct dns_rr *rr)
{
	struct answer *out = r->out;

	if (out->soa_owner)
		return;
	if (!dns_rr_soa(r->from->msg, r->from->len, rr, &out->soa)) {
		r->broken = true;
		return;
	}
	out->soa_owner = arena_strdup(r->arena, rr->owner);
	out->soa_is_answer = rr->section == DNS_ANSWER;
	out->soa_ttl = rr->ttl;
}

static void read_ns(struct reading *r, const struct dns_rr *rr)
{
	struct answer *out = r->out;
	char *host = read_name(r, rr);

	if (!host || (out->ns_owner && strcmp(out->ns_owner, rr->owner) != 0) || out->nns == ANSWER_NS_MAX)
		return;
	if (!out->ns_owner)
		out->ns_owner = arena_strdup(r->arena, rr->owner);
	out->ns[out->nns++] = host;
}

static void read_glue(struct reading *r, const struct dns_rr *rr)
{
	struct answer *out = r->out;
	struct answer_glue *g = &out->glue[out->nglue];

	if (out->nglue == ANSWER_GLUE_MAX || rr->len != (rr->type == DNS_A ? 4 : 16))
		return;
	if (rr->type == DNS_A) {
		struct sockaddr_in in = { .sin_family = AF_INET };

		memcpy(&in.sin_addr, rr->data, 4);
		memcpy(&g->addr.ss, &in, g->addr.len = sizeof(in));
	} else {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

		memcpy(&in6.sin6_addr, rr->data, 16);
		memcpy(&g->addr.ss, &in6, g->addr.len = sizeof(in6));
	}
	g->host = arena_strdup(r->arena, rr->owner);
	out->nglue++;
}

/* Type covered: 2 bytes, algorithm: 1, labels: 1 (RFC 4034 section 3.1). */
static void read_rrsig(struct reading *r, const struct dns_rr *rr)
{
	if (rr->len >= 4 && (rr->data[0] << 8 | rr->data[1]) == DNS_TXT && rr->data[3] < dns_name_labels(r->out->owner))
		r->out->wildcard = true;
}

static bool read_record(void *arg, const struct dns_rr *rr)
{
	struct reading *r = arg;
	bool here = rr->section == DNS_ANSWER && strcmp(rr->owner, r->out->owner) == 0;

	if (rr->class != CLASS_IN)
		return true;
	switch (rr->type) {
	case DNS_TXT:
		if (here)
			read_txt(r, rr);
		break;
	case DNS_CNAME:
		if (here && !r->out->cname)
			r->out->cname = read_name(r, rr);
		break;
	case DNS_RRSIG:
		if (here)
			read_rrsig(r, rr);
		break;
	case DNS_SOA:
		if (rr->section != DNS_ADDITIONAL)
			read_soa(r, rr);
		break;
	case DNS_NS:
		if (rr->section != DNS_ADDITIONAL)
			read_ns(r, rr);
		break;
	case DNS_A:
	case DNS_AAAA:
		if (rr->section == DNS_ADDITIONAL)
			read_glue(r, rr);
		break;
	default:
		break;
	}
	return !r->broken;
}

bool answer_read(struct arena *arena, const struct dns_answer *answer, const char *owner, struct answer *out)
{
	struct reading r = { .arena = arena, .from = answer, .out = out };
	char name[DNS_NAME_TEXT];
	bool whole;

	memset(out, 0, sizeof(*out));
	if (!dns_name_normalise(owner, name))
		return false;
	out->owner = arena_strdup(arena, name);
	buf_init(&r.text, TXT_MAX);
	whole = dns_walk(answer->msg, answer->len, read_record, &r);
	buf_free(&r.text);
	return whole && !r.broken;
}
