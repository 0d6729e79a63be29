/* SPDX-License-Identifier: ISC */
/* A record out of the journal. First byte: its kind.
 *   a  of a CA: the account and the limits are taken up, told and saved again: the second time nothing changes
 *   d  what was learned of a provider and zone: it stays within its bounds, whatever is learned on top of it
 *   c  of a certificate, products of an unfinished order included. Whatever it holds, it is shown, saved and taken up again: the third time nothing
 *      changes any more, and an order made of it begins and ends without harm */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ca/acme.h"
#include "ca/acme_account.h"
#include "ca/acme_client.h"
#include "core/cert.h"
#include "core/order.h"
#include "prove/dns_learned.h"
#include "fuzz.h"

/* Of a record that was saved: the same text again. Caller frees. */
static char *round_trip(const struct js *record)
{
	struct cert *c = cert_new("fuzz");
	struct js *saved, *shown;
	char *text;

	cert_load(c, record);
	check(c->next_step == NULL || *c->next_step);
	check((unsigned)c->state < CERT_STATES && c->ntargets <= CERT_TARGETS);
	shown = cert_show(c, true);
	saved = cert_save(c);
	text = js_dump(saved);
	check(js_is_object(shown) && text);
	js_free(shown);
	js_free(saved);
	cert_free(c);
	return text;
}

static void take_up_order(const struct js *record)
{
	static const struct order_env env = { 0 };
	struct issuer issuer = { .name = "le" };
	struct cert *c = cert_new("fuzz");
	struct order *o;

	cert_load(c, record);
	o = order_new(c, &env, &issuer, &(const struct order_methods){0});
	check(o->nproofs <= ORDER_PROOFS_MAX);
	for (size_t i = 0; i < o->nproofs; i++)
		check(o->proofs[i].url && o->proofs[i].name && (!o->proofs[i].published || (o->proofs[i].token && o->proofs[i].method)));
	js_free(order_save(o));
	order_forget(o);
	js_free(order_save(o));
	order_free(o);
	cert_free(c);
}

static void check_cert(const struct js *record)
{
	struct js *again, *more;
	char *first, *second, *third;
	struct err err;

	first = round_trip(record);
	again = js_parse(first, strlen(first), &err);
	check(again != NULL);
	second = round_trip(again); /* what was unreadable is as absent by now */
	more = js_parse(second, strlen(second), &err);
	third = round_trip(more);
	check(strcmp(second, third) == 0);
	take_up_order(record);
	free(first);
	free(second);
	free(third);
	js_free(more);
	js_free(again);
}

/* --- a CA --- */

static struct js *memory; /* what load() finds */

static struct js *memory_load(void *arg, const char *name)
{
	(void)arg, (void)name;
	return js_ref(memory);
}

static void memory_save(void *arg, const char *name, const struct js *record)
{
	struct err err;
	char *text = js_dump(record);

	(void)arg, (void)name;
	js_free(memory);
	memory = js_parse(text, strlen(text), &err); /* as out of a journal */
	check(memory != NULL);
	free(text);
}

static const struct acme_options ca = {
	.name = "le", .directory = "https://ca.example/dir", .memory = { .load = memory_load, .save = memory_save },
};

static void no_matter(void *arg)
{
	(void)arg;
}

/* Caller frees. */
static char *account_round_trip(struct acme_client *client, const struct js *record)
{
	struct acme_account *a = acme_account_new(&ca, client, no_matter, NULL);
	struct js *saved = js_object(), *shown = js_object();
	char *text;

	acme_account_load(a, record);
	check(!acme_account_url(a) || strncasecmp(acme_account_url(a), "https://ca.example/", 19) == 0);
	acme_account_status(a, shown);
	acme_account_save(a, saved);
	text = js_dump(saved);
	js_free(shown);
	js_free(saved);
	acme_account_free(a);
	return text;
}

static void check_ca(const struct js *record)
{
	struct acme_client_options options = { .name = ca.name, .directory = ca.directory, .limited = no_matter };
	struct acme_client *client;
	struct issuer *issuer;
	struct js *again;
	char *first, *second;
	struct err err;

	memory = js_ref((struct js *)record);
	client = acme_client_new(&options, &err);
	issuer = acme_new(&ca, &err);
	check(client && issuer);
	first = account_round_trip(client, record);
	again = js_parse(first, strlen(first), &err);
	second = account_round_trip(client, again);
	check(strcmp(first, second) == 0);
	js_free(issuer->ops->status(issuer));
	(void)issuer->ops->not_before(issuer);
	issuer->ops->retry(issuer);
	issuer->ops->free(issuer);
	acme_client_free(client);
	free(first);
	free(second);
	js_free(again);
	js_free(memory);
}

/* --- what was learned --- */

enum { SETTLE_MOST_MS = 600000, SEEN_MOST_MS = 172800000, TIMES_MOST = 31 };

static void check_bounds(const struct dns_memory *m)
{
	struct dns_learned l = dns_learned_get(m, "corp", "example.org");

	check(l.settle_ms >= 0 && l.settle_ms <= SETTLE_MOST_MS && l.usual_ms >= 0 && l.usual_ms <= SEEN_MOST_MS && l.times <= TIMES_MOST);
}

static void check_learned(const struct js *record)
{
	static const struct dns_memory m = { memory_load, memory_save, NULL };

	memory = js_ref((struct js *)record);
	check_bounds(&m);
	dns_learned_seen(&m, "corp", "example.org", 1500);
	check_bounds(&m);
	check(dns_learned_get(&m, "corp", "example.org").times > 0);
	for (int i = 0; i < 12; i++) {
		dns_learned_judged(&m, "corp", "example.org", i % 12 > 1);
		check_bounds(&m);
	}
	js_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct js *record;
	struct err err;

	if (size < 1)
		return 0;
	fuzz_quiet();
	clock_freeze(1790000000);
	record = js_parse((const char *)data + 1, size - 1, &err);
	if (data[0] == 'd') /* what is no object is as none */
		check_learned(record);
	else if (js_is_object(record))
		(data[0] == 'a' ? check_ca : check_cert)(record);
	js_free(record);
	return 0;
}
