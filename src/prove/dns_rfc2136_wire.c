/* SPDX-License-Identifier: ISC */
#include "prove/dns_rfc2136_wire.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/dns_wire.h"
#include "prove/dns_provider.h"

enum { HEAD = 12, STRING_MAX = 255, OPCODE_UPDATE = 5 };

/* --- writing --- */

static bool add_rr(ldns_rr_list *list, const char *owner, ldns_rr_type type, ldns_rr_class class)
{
	ldns_rr *rr = ldns_rr_new();
	ldns_rdf *name = ldns_dname_new_frm_str(owner);

	ldns_rr_set_owner(rr, name);
	ldns_rr_set_type(rr, type);
	ldns_rr_set_class(rr, class);
	ldns_rr_set_ttl(rr, 0);
	return ldns_rr_list_push_rr(list, rr);
}

/* A TXT record holds a value as strings of at most 255 bytes each; one at least. */
static void add_txt(ldns_rr_list *list, const struct update *u)
{
	size_t len = strlen(u->value), at = 0;
	ldns_rr *rr;

	add_rr(list, u->name, LDNS_RR_TYPE_TXT, u->kind == UPDATE_ADD ? LDNS_RR_CLASS_IN : LDNS_RR_CLASS_NONE);
	rr = ldns_rr_list_rr(list, ldns_rr_list_rr_count(list) - 1);
	if (u->kind == UPDATE_ADD)
		ldns_rr_set_ttl(rr, u->ttl);
	do {
		size_t n = len - at < STRING_MAX ? len - at : STRING_MAX;
		uint8_t string[1 + STRING_MAX] = {(uint8_t)n};

		memcpy(string + 1, u->value + at, n);
		ldns_rr_push_rdf(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, n + 1, string));
		at += n;
	} while (at < len);
}

static ldns_pkt *compose(const struct update *u)
{
	ldns_rr_list *wanted = ldns_rr_list_new(), *updates = ldns_rr_list_new();
	ldns_pkt *p;

	if (u->kind == UPDATE_PROBE)
		add_rr(wanted, u->zone, LDNS_RR_TYPE_SOA, LDNS_RR_CLASS_ANY);
	if (u->kind != UPDATE_REMOVE)
		add_rr(wanted, u->name, LDNS_RR_TYPE_CNAME, LDNS_RR_CLASS_NONE);
	add_txt(updates, u);
	p = ldns_update_pkt_new(ldns_dname_new_frm_str(*u->zone ? u->zone : "."), LDNS_RR_CLASS_IN, wanted, updates, NULL);
	if (p) {
		ldns_pkt_set_id(p, u->id);
		ldns_pkt_set_rd(p, false);
	}
	ldns_rr_list_deep_free(wanted);
	ldns_rr_list_deep_free(updates);
	return p;
}

bool update_name_is_in(const char *name, const char *zone)
{
	ldns_rdf *n = ldns_dname_new_frm_str(name), *z = ldns_dname_new_frm_str(*zone ? zone : ".");
	bool in = n && z && (ldns_dname_compare(n, z) == 0 || ldns_dname_is_subdomain(n, z));

	ldns_rdf_deep_free(n);
	ldns_rdf_deep_free(z);
	return in;
}

bool update_write(const struct update *u, struct buf *out, struct err *err)
{
	uint8_t *wire = NULL;
	ldns_pkt *p;
	size_t len;
	bool ok;

	if (!update_name_is_in(u->name, u->zone))
		return err_set(err, ERR_INPUT, "dns", "the name is not in the zone");
	if (strlen(u->value) > UPDATE_VALUE_MAX)
		return err_set(err, ERR_INPUT, "dns", "a TXT record of more than %d bytes", UPDATE_VALUE_MAX);
	p = compose(u);
	ok = p && ldns_pkt2wire(&wire, p, &len) == LDNS_STATUS_OK;
	ldns_pkt_free(p);
	buf_reset(out);
	ok = ok && buf_add(out, wire, len);
	LDNS_FREE(wire);
	return ok || err_set(err, ERR_BUG, "dns", "the update cannot be written as a DNS message");
}

/* --- reading --- */

static const struct {
	unsigned rcode;
	enum err_kind kind;
	const char *text;
} rcodes[] = {
	{DNS_FORMERR, ERR_DENIED, "FORMERR: the server cannot read the update"},
	{DNS_SERVFAIL, ERR_TEMP, "SERVFAIL: the server could not do it; its log says why"},
	{DNS_NXDOMAIN, ERR_DENIED, "NXDOMAIN: the server misses a name"},
	{DNS_NOTIMP, ERR_DENIED, "NOTIMP: the server takes no updates: is it the primary of the zone?"},
	{DNS_REFUSED, ERR_DENIED, "REFUSED: the server does not allow it: its ACL (allow-update, update-policy) must let this host or key change TXT records here"},
	{DNS_YXDOMAIN, ERR_DENIED, "YXDOMAIN: the server has a name that should not be there"},
	{DNS_YXRRSET, ERR_DENIED, "YXRRSET: there is a CNAME at this name, and no TXT record can be beside it"},
	{DNS_NXRRSET, ERR_DENIED, "NXRRSET: the zone has no SOA record at its apex on this server"},
	{DNS_NOTAUTH, ERR_DENIED, "NOTAUTH: the server is not the primary of this zone, or the zone is called otherwise there, or wants a key it knows"},
	{DNS_NOTZONE, ERR_DENIED, "NOTZONE: the name is not in this zone"},
};

/* more: what else is to be told, or NULL. */
static void explain(unsigned rcode, const char *more, struct err *err)
{
	enum err_kind kind = ERR_TEMP;
	char other[48];
	const char *text = other;

	snprintf(other, sizeof other, "RCODE %u: not one that updates have", rcode);
	for (size_t i = 0; i < sizeof rcodes / sizeof *rcodes; i++)
		if (rcodes[i].rcode == rcode) {
			kind = rcodes[i].kind;
			text = rcodes[i].text;
		}
	err_set(err, kind, "update", "%s%s%s", text, more ? "; " : "", more ? more : "");
}

enum dns_heard update_read(const struct update_signature *s, const uint8_t *msg, size_t len, bool tcp, struct update_answer *answer, struct err *doubt)
{
	unsigned rcode;
	size_t stripped;
	enum tsig_verdict verdict = TSIG_GOOD;

	*answer = (struct update_answer){0};
	if (len < HEAD || !(msg[2] & 0x80) || (msg[2] >> 3 & 15) != OPCODE_UPDATE) {
		err_set(doubt, ERR_TEMP, "update", "what came is no answer to an update");
		return tcp ? DNS_HEARD_DOUBT : DNS_HEARD_NOTHING;
	}
	if (!tcp && (msg[2] & 2)) {
		err_set(doubt, ERR_TEMP, "update", "the answer over UDP was cut off");
		return DNS_HEARD_DOUBT;
	}
	rcode = msg[3] & 15;
	if (s->key)
		verdict = tsig_verify(s->key, msg, len, s->now, s->state, &stripped, doubt);
	if (verdict == TSIG_REFUSED)
		answer->key_refused = doubt->kind == ERR_DENIED;
	if (verdict == TSIG_DOUBTFUL && rcode != DNS_NOERROR) {
		struct err unsure = *doubt;

		/* Without a TSIG error: that is how PowerDNS 4.7 turns down a key. */
		answer->key_refused = rcode == DNS_REFUSED || rcode == DNS_NOTAUTH;
		explain(rcode, unsure.detail, doubt);
	}
	if (verdict != TSIG_GOOD)
		return DNS_HEARD_DOUBT;
	if (rcode != DNS_NOERROR)
		explain(rcode, NULL, &answer->err);
	return DNS_HEARD_ANSWER;
}

const char *dns_rfc2136_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "ldns %s", ldns_version());
	return text;
}
