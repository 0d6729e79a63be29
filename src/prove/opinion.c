/* SPDX-License-Identifier: ISC */
#include "prove/opinion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/loop.h"

enum {
	ASK_MS = 5000,
	AGAIN_MS = 1000,       /* after silence or SERVFAIL, twice as long each time */
	AGAIN_MOST_MS = 30000,
	SILENT_TRIES = 3,      /* then it counts as one that never answers */
	DOH_ANSWER_MAX = DNS_MESSAGE_MAX,
};

enum view { VIEW_NONE, VIEW_YES, VIEW_NO, VIEW_SILENT, VIEW_BOGUS };

struct row { /* one server */
	struct opinion *opinion;
	const char *server;
	bool https;
	struct addr addr;
	enum view view;
	unsigned asked, silent;
	unsigned rcode;
	bool checking;         /* the question under way has CD set: would it be answered without validation? */
	int64_t next_ms;       /* monotonic, of the next question; 0: none planned */
	char text[sizeof(((struct err *)NULL)->detail)];
	struct dns_query *query;
	struct http_get *get;
	uint8_t question[DNS_QUESTION_MAX];
	size_t qlen;
	struct timer timer;
};

struct opinion {
	struct opinion_options options;
	struct arena *arena;
	struct row rows[OPINIONS_MAX];
	size_t n;
	int64_t until_ms;
	struct timer deadline;
	struct err err;
	opinion_done *done;
	void *arg;
};

/* --- reading an answer ------------------------------------------------------------------------------------------------------- */

struct reading {
	const struct opinion *opinion;
	bool found[OPINION_VALUES_MAX];
	size_t ntxt;
	int64_t keep_s; /* how long what it says is kept; -1: not told */
};

static void keep_at_least(struct reading *r, int64_t ttl)
{
	r->keep_s = r->keep_s < 0 || ttl < r->keep_s ? ttl : r->keep_s;
}

static bool read_record(void *arg, const struct dns_rr *rr)
{
	struct reading *r = arg;
	const struct opinion_options *o = &r->opinion->options;
	struct buf text;

	if (rr->section == DNS_AUTHORITY && rr->type == DNS_SOA)
		keep_at_least(r, rr->ttl);
	if (rr->section != DNS_ANSWER || rr->type != DNS_TXT)
		return true;
	r->ntxt++;
	keep_at_least(r, rr->ttl);
	buf_init(&text, DNS_MESSAGE_MAX);
	if (dns_rr_txt(rr, &text))
		for (size_t i = 0; i < o->nvalues; i++)
			r->found[i] |= strlen(o->values[i]) == text.len && memcmp(o->values[i], text.data ? text.data : "", text.len) == 0;
	buf_free(&text);
	return true;
}

static size_t count_missing(const struct reading *r)
{
	size_t missing = 0;

	for (size_t i = 0; i < r->opinion->options.nvalues; i++)
		missing += !r->found[i];
	return missing;
}

/* --- deciding ---------------------------------------------------------------------------------------------------------------- */

static void finish(void *arg)
{
	struct opinion *o = arg;
	struct js *report = opinion_report(o);
	opinion_done *done = o->done;
	void *done_arg = o->arg;
	struct err err = o->err;

	opinion_cancel(o);
	done(done_arg, report, err.kind ? &err : NULL);
	js_free(report);
}

static void decide(struct opinion *o)
{
	size_t yes = 0, silent = 0;

	for (size_t i = 0; i < o->n; i++) {
		struct row *r = &o->rows[i];

		if (r->view == VIEW_BOGUS && o->err.kind == ERR_NONE)
			err_set(&o->err, ERR_DENIED, "dnssec", "%s: %s", r->server, r->text);
		yes += r->view == VIEW_YES;
		silent += r->view == VIEW_SILENT;
	}
	if (o->err.kind != ERR_NONE || (yes && yes + silent == o->n))
		loop_defer(finish, o);
}

/* Who stands in the way when the time is up: one that says no, before those that said nothing. NULL: nobody. */
static const struct row *blamed(const struct opinion *o)
{
	const struct row *silent = NULL;
	bool yes = false;

	for (size_t i = 0; i < o->n; i++) {
		const struct row *r = &o->rows[i];

		if (r->view == VIEW_NO)
			return r;
		if (r->view == VIEW_YES)
			yes = true;
		else if (!silent)
			silent = r;
	}
	return yes ? NULL : silent;
}

static void expired(void *arg)
{
	struct opinion *o = arg;
	const struct row *r = blamed(o);

	if (r && o->err.kind == ERR_NONE)
		err_set(&o->err, ERR_TEMP, r->view == VIEW_NO ? "propagation" : "opinion", "%s: not seen there by %s: %s", o->options.name,
			r->server, r->text[0] ? r->text : "no answer yet");
	finish(o);
}

static void ask(void *arg);

static void again_in(struct row *r, int64_t ms)
{
	r->next_ms = clock_mono_ms() + ms;
	timer_arm(&r->timer, ms, ask, r);
}

static int64_t backoff(const struct row *r)
{
	int64_t ms = AGAIN_MS;

	for (unsigned i = 1; i < r->asked && ms < AGAIN_MOST_MS; i++)
		ms *= 2;
	return ms < AGAIN_MOST_MS ? ms : AGAIN_MOST_MS;
}

static void no_answer(struct row *r, const char *why)
{
	snprintf(r->text, sizeof(r->text), "%s", why);
	r->checking = false; /* it is to follow a SERVFAIL at once, or says nothing of it */
	if (++r->silent >= SILENT_TRIES)
		r->view = VIEW_SILENT;
	again_in(r, backoff(r));
}

static void failed(struct row *r)
{
	if (r->checking) /* not even without validation */
		snprintf(r->text, sizeof(r->text), "%s: the zone cannot be looked up", dns_rcode_name(r->rcode));
	else
		snprintf(r->text, sizeof(r->text), "%s", dns_rcode_name(r->rcode));
	r->view = VIEW_NO;
	r->checking = !r->checking && r->rcode == DNS_SERVFAIL;
	if (r->checking)
		ask(r);
	else
		again_in(r, backoff(r));
}

static void answered(struct row *r, const uint8_t *msg, size_t len, const struct dns_head *head)
{
	struct reading reading = {.opinion = r->opinion, .keep_s = -1};
	size_t missing;

	if (!dns_walk(msg, len, read_record, &reading)) {
		no_answer(r, "a broken answer");
		return;
	}
	r->silent = 0;
	r->rcode = head->rcode;
	if (head->rcode != DNS_NOERROR && head->rcode != DNS_NXDOMAIN) {
		failed(r);
		return;
	}
	missing = count_missing(&reading);
	if (r->checking) { /* it was SERVFAIL with validation */
		r->checking = false;
		r->view = missing ? VIEW_NO : VIEW_BOGUS;
		snprintf(r->text, sizeof(r->text), missing ? "SERVFAIL" : "DNSSEC is bogus: answered only without validation, so the CA will refuse");
		if (missing)
			again_in(r, backoff(r));
		return;
	}
	r->view = missing ? VIEW_NO : VIEW_YES;
	r->text[0] = '\0';
	if (!missing)
		return;
	if (reading.keep_s < 0)
		reading.keep_s = 5;
	snprintf(r->text, sizeof(r->text), "%s, kept for %lld s", reading.ntxt ? "another value" : head->rcode == DNS_NXDOMAIN ? "NXDOMAIN" : "no TXT record",
		(long long)reading.keep_s);
	again_in(r, reading.keep_s * 1000 + 1000);
}

/* --- asking ------------------------------------------------------------------------------------------------------------------ */

static void dns_came(void *arg, const struct dns_answer *a)
{
	struct row *r = arg;

	r->query = NULL;
	if (a->how == DNS_ANSWERED)
		answered(r, a->msg, a->len, &a->head);
	else
		no_answer(r, a->text ? a->text : "no answer");
	decide(r->opinion);
}

static void https_came(void *arg, const struct http_answer *a, const struct err *err)
{
	const uint8_t *msg = a ? (const uint8_t *)a->body : NULL;
	struct row *r = arg;
	struct dns_head head;
	char text[64];

	r->get = NULL;
	if (err) {
		no_answer(r, err->detail);
	} else if (a->status != 200) {
		snprintf(text, sizeof(text), "HTTP %d", a->status);
		no_answer(r, text);
	} else if (!dns_is_answer_to(msg, a->len, r->question, r->qlen, false) || !dns_read_head(msg, a->len, &head)) {
		no_answer(r, "what came is no answer");
	} else {
		answered(r, msg, a->len, &head);
	}
	decide(r->opinion);
}

static void ask(void *arg)
{
	struct row *r = arg;
	const struct opinion_options *o = &r->opinion->options;
	unsigned bits = DNS_RD | DNS_AD | (r->checking ? DNS_CD : 0);

	r->asked++;
	r->next_ms = 0;
	if (r->https) {
		r->qlen = dns_write_question(r->question, 0, o->name, DNS_TXT, bits, 0); /* id 0: RFC 8484 section 4.1 */
		r->get = http_send(o->http, &(struct http_request){.method = "POST", .url = r->server, .content_type = "application/dns-message",
			.body = (const char *)r->question, .body_len = r->qlen, .repeatable = true, .max_body = DOH_ANSWER_MAX, .timeout_ms = ASK_MS},
			https_came, r);
	} else {
		r->query = o->asker->ops->ask(o->asker, &(struct dns_ask){.to = r->addr, .name = o->name, .type = DNS_TXT, .bits = bits, .timeout_ms = ASK_MS},
			dns_came, r);
	}
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void copy_options(struct opinion *o, const struct opinion_options *from)
{
	const char **values = arena_array(o->arena, from->nvalues + 1, sizeof(*values));

	o->options = *from;
	o->options.name = arena_strdup(o->arena, from->name);
	for (size_t i = 0; i < from->nvalues; i++)
		values[i] = arena_strdup(o->arena, from->values[i]);
	o->options.values = values;
}

struct opinion *opinion_start(const struct opinion_options *options, opinion_done *done, void *arg)
{
	struct opinion *o = mem_alloc(sizeof(*o));

	o->arena = arena_new();
	o->done = done;
	o->arg = arg;
	copy_options(o, options);
	for (size_t i = 0; i < options->nservers && o->n < OPINIONS_MAX; i++) {
		struct row *r = &o->rows[o->n];

		r->opinion = o;
		r->server = arena_strdup(o->arena, options->servers[i]);
		r->https = strncmp(r->server, "https://", 8) == 0;
		if (r->https ? options->http != NULL : addr_parse(r->server, 53, &r->addr))
			o->n++;
	}
	if (!o->n || o->options.nvalues > OPINION_VALUES_MAX) {
		err_set(&o->err, ERR_INPUT, "dns", o->n ? "too many values at %s" : "there is no recursive server to ask for %s", o->options.name);
		loop_defer(finish, o);
		return o;
	}
	timer_arm(&o->deadline, options->timeout_ms, expired, o);
	for (size_t i = 0; i < o->n; i++)
		ask(&o->rows[i]);
	return o;
}

struct js *opinion_report(const struct opinion *o)
{
	struct js *report = js_array();

	for (size_t i = 0; i < o->n; i++) {
		const struct row *r = &o->rows[i];
		struct js *one = js_object();

		js_put_str(one, "server", r->server);
		js_put_bool(one, "ok", r->view == VIEW_YES);
		js_put_int(one, "asked", r->asked);
		js_put_str(one, "rcode", r->view == VIEW_NONE || r->view == VIEW_SILENT ? NULL : dns_rcode_name(r->rcode));
		js_put_str(one, "text", r->text[0] ? r->text : NULL);
		if (r->next_ms)
			js_put_int(one, "next_ms", r->next_ms > clock_mono_ms() ? r->next_ms - clock_mono_ms() : 0);
		js_add(report, one);
	}
	return report;
}

void opinion_cancel(struct opinion *o)
{
	if (!o)
		return;
	loop_undefer(o);
	timer_disarm(&o->deadline);
	for (size_t i = 0; i < o->n; i++) {
		struct row *r = &o->rows[i];

		timer_disarm(&r->timer);
		if (r->query)
			o->options.asker->ops->cancel(r->query);
		if (r->get)
			http_cancel(r->get);
	}
	arena_free(o->arena);
	free(o);
}
