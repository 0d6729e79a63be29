/* SPDX-License-Identifier: ISC */
/* A certificate's record out of the journal, products of an unfinished order included. Whatever it holds, it is shown, saved and taken up again: the
 * third time nothing changes any more, and an order made of it begins and ends without harm. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/cert.h"
#include "core/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool true_always)
{
	if (!true_always)
		abort();
}

static void drop_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

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
	o = order_new(c, &env, &issuer, NULL, 0);
	check(o->nproofs <= ORDER_PROOFS_MAX);
	for (size_t i = 0; i < o->nproofs; i++)
		check(o->proofs[i].url && o->proofs[i].name && (!o->proofs[i].published || (o->proofs[i].token && o->proofs[i].method)));
	js_free(order_save(o));
	order_forget(o);
	js_free(order_save(o));
	order_free(o);
	cert_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct js *record, *again, *more;
	char *first, *second, *third;
	struct err err;

	log_set_sink(drop_log, NULL);
	clock_freeze(1790000000);
	record = js_parse((const char *)data, size, &err);
	if (!js_is_object(record)) {
		js_free(record);
		return 0;
	}
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
	js_free(record);
	return 0;
}
