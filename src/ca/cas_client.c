/* SPDX-License-Identifier: ISC */
#include "config.h"

#include "ca/cas_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/cas_object.h"
#include "io/loop.h"
#include "io/pace.h"

enum {
	TIMEOUT_MS = 60 * 1000,
	KEEPER_MS = 60 * 1000,
	BODY_MAX = 2 * 1024 * 1024,
	LIST_BYTES = 32 * 1024 * 1024,
	PAGES_MAX = 1000,
	HEADERS = 24, /* the keeper's, with ours */
	PER_SECOND = 10,
	SKEW_MAX = 24 * 3600, /* as the keeper's */
	BACK_OFF_MAX = 6,     /* doublings: a minute */
};

/* Calls a second and account, where the vendor's SDK says another number than for most. */
static const struct {
	const char *action;
	unsigned per_second;
} rates[] = {
	{"GetUserCertificateDetail", 100},
};

struct action { /* what is known of one; there are as many as the program has names for */
	LIST_ENTRY(action) link;
	int64_t not_before;
	unsigned refused; /* throttled, one after the other */
	uint64_t requests;
	char name[];
};

struct cas_call {
	TAILQ_ENTRY(cas_call) link; /* of client->waiting in that state, else of client->others */
	struct cas_client *client;
	enum { PACED, WAITING, SIGNING, SENT, ENDING } state;
	struct action *action;
	struct js *params;
	bool read, clocked, renonced;
	struct timer pace;
	struct rpc_call *sign;
	struct http_get *get;
	size_t len; /* of the answer */
	cas_done *done;
	void *arg;
	struct err err; /* ENDING */
};
TAILQ_HEAD(calls, cas_call);

struct cas_list {
	LIST_ENTRY(cas_list) link;
	struct cas_client *client;
	struct cas_request request;
	struct cas_param *params; /* the request's, CurrentPage and the end */
	size_t nparams;
	char *member, page_text[16];
	unsigned page;
	struct js *items;
	size_t bytes;
	struct cas_call *call;
	cas_done *done;
	void *arg;
};

struct cas_client {
	char *name, *endpoint;
	struct http *http;
	struct rpc *keeper;
	struct pace *pace;
	int64_t skew; /* seconds to add to our clock */
	LIST_HEAD(, action) actions;
	struct calls waiting, others;
	size_t ncalls, nsent;
	LIST_HEAD(, cas_list) lists;
	uint64_t problems[ERR_BUG + 1];
};

/* ---- what the service said about an action ---- */

static struct action *action_find(const struct cas_client *c, const char *name)
{
	struct action *a;

	LIST_FOREACH(a, &c->actions, link)
	if (strcmp(a->name, name) == 0)
		return a;
	return NULL;
}

static struct action *action_ensure(struct cas_client *c, const char *name)
{
	struct action *a = action_find(c, name);

	if (a)
		return a;
	a = mem_alloc(sizeof *a + strlen(name) + 1);
	memcpy(a->name, name, strlen(name) + 1);
	LIST_INSERT_HEAD(&c->actions, a, link);
	return a;
}

static unsigned rate_of(const char *name)
{
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
		if (strcmp(rates[i].action, name) == 0)
			return rates[i].per_second;
	return PER_SECOND;
}

static int64_t not_before(const struct action *a)
{
	return a && clock_is_ahead(a->not_before, CAS_WAIT_MAX_S) ? a->not_before : 0;
}

int64_t cas_client_not_before(const struct cas_client *c, const char *name)
{
	return not_before(action_find(c, name));
}

static bool may_leave(const struct action *a, struct err *err)
{
	int64_t until = not_before(a);
	char stamp[TEXT_TIME];

	if (!until)
		return true;
	err_set(err, ERR_LIMIT, "Throttling", "the service asked us not to send %s before %s: nothing was sent", a->name, text_time_format(until, stamp));
	err->not_before = until;
	return false;
}

/* What it said, or longer where it goes on refusing. Those under way together are refused together, and count as one. */
static void note_limit(struct action *a, struct err *err)
{
	int64_t least;

	if (!not_before(a) && a->refused < BACK_OFF_MAX)
		a->refused++;
	least = clock_now() + (INT64_C(1) << a->refused);
	if (err->not_before < least)
		err->not_before = least;
	if (err->not_before > a->not_before || !not_before(a))
		a->not_before = err->not_before;
}

/* ---- the end of a call ---- */

static struct calls *queue_of(struct cas_call *q)
{
	return q->state == WAITING ? &q->client->waiting : &q->client->others;
}

static void call_move(struct cas_call *q, int state)
{
	TAILQ_REMOVE(queue_of(q), q, link);
	q->client->nsent -= q->state == SIGNING || q->state == SENT;
	q->state = state;
	q->client->nsent += q->state == SIGNING || q->state == SENT;
	TAILQ_INSERT_TAIL(queue_of(q), q, link);
}

static void call_unlink(struct cas_call *q)
{
	q->client->nsent -= q->state == SIGNING || q->state == SENT;
	q->client->ncalls--;
	TAILQ_REMOVE(queue_of(q), q, link);
}

static void call_free(struct cas_call *q)
{
	timer_disarm(&q->pace);
	js_free(q->params);
	free(q);
}

static void pump(struct cas_client *c);

/* The last thing done on the way of an answer: the owner may free the whole client. */
static void call_end(struct cas_call *q, const struct js *answer, const struct err *err)
{
	if (err)
		q->client->problems[err->kind]++;
	call_unlink(q);
	pump(q->client);
	q->done(q->arg, answer, err);
	call_free(q);
}

static void call_end_now(void *arg)
{
	struct cas_call *q = arg;

	call_end(q, NULL, &q->err);
}

static void call_end_soon(struct cas_call *q, const struct err *err)
{
	call_move(q, ENDING);
	q->err = *err;
	loop_defer(call_end_now, q);
}

/* ---- a call: paced, waiting, signing, sent ---- */

static void call_wait(void *arg)
{
	struct cas_call *q = arg;

	call_move(q, WAITING);
	pump(q->client);
}

static void call_pace(struct cas_call *q)
{
	int64_t us = pace_take(q->client->pace, q->action->name, rate_of(q->action->name));

	call_move(q, us > 0 ? PACED : WAITING);
	if (us > 0)
		timer_arm(&q->pace, (us + 999) / 1000, call_wait, q);
	pump(q->client);
}

/* The time it has, if it says so and is not further off than the keeper allows. */
static bool learn_skew(struct cas_client *c, const struct http_answer *a)
{
	const char *date = http_header(a, "Date", NULL);
	int64_t theirs, skew;

	if (!date || !text_time_parse_http(date, &theirs))
		return false;
	skew = theirs - clock_now();
	if (skew < -SKEW_MAX || skew > SKEW_MAX)
		return false;
	log_warning("the service has another time than this host, requests are signed with its", "ca", c->name, "seconds", log_num(skew), NULL);
	c->skew = skew;
	return true;
}

/* May it be sent once more, at once? */
static bool call_again(struct cas_call *q, const struct http_answer *a, const struct err *err)
{
	enum cas_retry retry = cas_answer_retry(err);

	if (retry == CAS_RETRY_CLOCK && !q->clocked && learn_skew(q->client, a))
		return q->clocked = true;
	if (retry == CAS_RETRY_NONCE && !q->renonced)
		return q->renonced = true;
	return false;
}

static void call_got(void *arg, const struct http_answer *a, const struct err *err)
{
	struct cas_call *q = arg;
	struct js *body;
	struct err why;

	q->get = NULL;
	if (!a) {
		call_end(q, NULL, err);
		return;
	}
	q->len = a->len;
	if (cas_answer_read(a, q->action->name, &body, &why)) {
		q->action->refused = 0;
		log_debug("answer", "ca", q->client->name, "action", q->action->name, "status", log_num(a->status), NULL);
		call_end(q, body, NULL);
		js_free(body);
		return;
	}
	log_debug("answer", "ca", q->client->name, "action", q->action->name, "status", log_num(a->status), "error", log_err(&why), NULL);
	if (call_again(q, a, &why)) {
		call_pace(q);
		return;
	}
	if (why.kind == ERR_LIMIT)
		note_limit(q->action, &why);
	call_end(q, NULL, &why);
}

/* The keeper's headers and ours, borrowed. */
static bool headers_read(const struct js *answer, const char *out[HEADERS + 1])
{
	const struct js *list = js_arr(answer, "headers");
	size_t n = 0;

	out[n++] = "accept: application/json";
	if (js_len(list) > HEADERS - n)
		return false;
	for (size_t i = 0; i < js_len(list); i++)
		if (!(out[n++] = js_str_at(list, i)))
			return false;
	out[n] = NULL;
	return true;
}

static bool call_send(struct cas_call *q, const struct js *answer, struct err *err)
{
	const char *query = js_str(answer, "query"), *method = js_str(answer, "method"), *headers[HEADERS + 1];
	struct http_request r = {.method = "POST", .headers = headers, .repeatable = q->read, .max_body = BODY_MAX, .timeout_ms = TIMEOUT_MS};
	char *url;

	if (!query || !method || strcmp(method, r.method) != 0 || !headers_read(answer, headers))
		return err_set(err, ERR_BUG, "keeper", "the keeper's answer to \"acs\" holds no request");
	url = mem_printf("%s/%s%s", q->client->endpoint, *query ? "?" : "", query);
	if (strlen(url) > HTTP_URL_MAX) {
		free(url);
		return err_set(err, ERR_INPUT, "too-large", "%s: its parameters make a request of more than %d bytes", q->action->name, HTTP_URL_MAX);
	}
	r.url = url;
	call_move(q, SENT);
	q->action->requests++;
	log_debug("request sent", "ca", q->client->name, "action", q->action->name, NULL); /* the query may hold a token, and what is of persons */
	q->get = http_send(q->client->http, &r, call_got, q);
	free(url);
	return true;
}

static void call_signed(void *arg, const struct js *answer, const struct err *err)
{
	struct cas_call *q = arg;
	struct err why;

	q->sign = NULL;
	if (err)
		call_end(q, NULL, err);
	else if (!call_send(q, answer, &why))
		call_end(q, NULL, &why);
}

static void call_sign(struct cas_call *q)
{
	struct js *request = js_object();

	call_move(q, SIGNING);
	js_put_str(request, "op", "acs");
	js_put_str(request, "ca", q->client->name);
	js_put_str(request, "action", q->action->name);
	js_put(request, "params", js_ref(q->params));
	js_put_int(request, "skew", q->client->skew);
	q->sign = rpc_send(q->client->keeper, request, KEEPER_MS, call_signed, q);
}

static void pump(struct cas_client *c)
{
	struct cas_call *q;
	struct err why;

	while (c->nsent < CAS_SENT_MAX && (q = TAILQ_FIRST(&c->waiting))) {
		if (may_leave(q->action, &why))
			call_sign(q);
		else
			call_end_soon(q, &why);
	}
}

struct cas_call *cas_client_call(struct cas_client *c, const struct cas_request *r, cas_done *done, void *arg)
{
	struct cas_call *q = mem_alloc(sizeof *q);
	struct err why;

	q->client = c;
	q->state = PACED;
	q->action = action_ensure(c, r->action);
	q->params = js_object();
	q->read = r->read;
	q->done = done;
	q->arg = arg;
	for (const struct cas_param *p = r->params; p && p->name; p++)
		js_put_str(q->params, p->name, p->value);
	TAILQ_INSERT_TAIL(&c->others, q, link);
	if (++c->ncalls > CAS_CALLS_MAX) {
		err_set(&why, ERR_TEMP, "busy", "%d requests to this CA are under way already", CAS_CALLS_MAX);
		call_end_soon(q, &why);
	} else if (!may_leave(q->action, &why)) {
		call_end_soon(q, &why);
	} else {
		call_pace(q);
	}
	return q;
}

void cas_client_cancel(struct cas_call *q)
{
	struct cas_client *c;

	if (!q)
		return;
	c = q->client;
	http_cancel(q->get);
	rpc_cancel(q->sign);
	loop_undefer(q);
	call_unlink(q);
	call_free(q);
	pump(c);
}

/* ---- a list in pages ---- */

static void list_free(struct cas_list *l)
{
	for (size_t i = 0; i < l->nparams; i++) {
		free((char *)(uintptr_t)l->params[i].name);
		free((char *)(uintptr_t)l->params[i].value);
	}
	free(l->params);
	free((char *)(uintptr_t)l->request.action);
	free(l->member);
	js_free(l->items);
	free(l);
}

/* As call_end: nothing of the client is touched after it. */
static void list_end(struct cas_list *l, const struct err *err)
{
	LIST_REMOVE(l, link);
	l->done(l->arg, err ? NULL : l->items, err);
	list_free(l);
}

static void list_ask(struct cas_list *l);

/* *more: is there another page? */
static bool list_add(struct cas_list *l, const struct js *answer, bool *more, struct err *err)
{
	struct cas_page page = {0};

	if (!cas_page_parse(answer, l->member, &page, err))
		return false;
	for (size_t i = 0; i < js_len(page.items); i++)
		js_add(l->items, js_ref(js_at(page.items, i)));
	*more = js_len(page.items) > 0 && (page.total < 0 || (int64_t)js_len(l->items) < page.total);
	l->bytes += l->call->len;
	if (js_len(l->items) <= CAS_ITEMS_MAX && l->bytes <= LIST_BYTES && (!*more || l->page < PAGES_MAX))
		return true;
	return err_set(err, ERR_DENIED, "too-large", "%s: more than %d items, %d pages or %d MiB", l->request.action, CAS_ITEMS_MAX, PAGES_MAX, LIST_BYTES >> 20);
}

static void list_got(void *arg, const struct js *answer, const struct err *err)
{
	struct cas_list *l = arg;
	bool more = false;
	struct err why;

	if (!err && !list_add(l, answer, &more, &why))
		err = &why;
	l->call = NULL;
	if (!err && more)
		list_ask(l);
	else
		list_end(l, err);
}

static void list_ask(struct cas_list *l)
{
	snprintf(l->page_text, sizeof l->page_text, "%u", ++l->page);
	l->call = cas_client_call(l->client, &l->request, list_got, l);
}

struct cas_list *cas_client_list(struct cas_client *c, const struct cas_request *r, const char *member, cas_done *done, void *arg)
{
	struct cas_list *l = mem_alloc(sizeof *l);

	l->client = c;
	l->member = mem_strdup(member);
	l->items = js_array();
	l->done = done;
	l->arg = arg;
	while (r->params && r->params[l->nparams].name)
		l->nparams++;
	l->params = mem_array(l->nparams + 2, sizeof *l->params);
	for (size_t i = 0; i < l->nparams; i++)
		l->params[i] = (struct cas_param){mem_strdup(r->params[i].name), r->params[i].value ? mem_strdup(r->params[i].value) : NULL};
	l->params[l->nparams] = (struct cas_param){"CurrentPage", l->page_text};
	l->request = (struct cas_request){.action = mem_strdup(r->action), .params = l->params, .read = true};
	LIST_INSERT_HEAD(&c->lists, l, link);
	list_ask(l);
	return l;
}

void cas_client_list_cancel(struct cas_list *l)
{
	if (!l)
		return;
	cas_client_cancel(l->call);
	LIST_REMOVE(l, link);
	list_free(l);
}

/* ---- the client ---- */

static bool endpoint_check(const char *endpoint, struct err *err)
{
	struct http_url u;

	if (http_url_parse(endpoint, &u) && u.https && !*u.path)
		return true;
	return err_set(err, ERR_INPUT, "endpoint", "\"%s\" is not https://HOST or https://HOST:PORT", endpoint);
}

struct cas_client *cas_client_new(const struct cas_client_options *o, struct err *err)
{
	struct http_options http = {
		.dns = o->dns,
		.ca_file = o->ca_file,
		.https_only = true,
		.verify = true,
		.allow_private = o->allow_private,
		.user_agent = PACKAGE_NAME "/" PACKAGE_VERSION,
		.one_connection = true,
	};
	struct cas_client *c = mem_alloc(sizeof *c);

	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->others);
	LIST_INIT(&c->actions);
	LIST_INIT(&c->lists);
	if (!endpoint_check(o->endpoint, err) || !(c->http = http_new(&http, err))) {
		free(c);
		return NULL;
	}
	c->name = mem_strdup(o->name);
	c->endpoint = mem_strdup(o->endpoint);
	c->keeper = o->keeper;
	c->pace = pace_new();
	return c;
}

void cas_client_free(struct cas_client *c)
{
	struct action *a;

	if (!c)
		return;
	while (!LIST_EMPTY(&c->lists))
		cas_client_list_cancel(LIST_FIRST(&c->lists));
	while (!TAILQ_EMPTY(&c->waiting)) /* first, so that none of them follows one that goes */
		cas_client_cancel(TAILQ_LAST(&c->waiting, calls));
	while (!TAILQ_EMPTY(&c->others))
		cas_client_cancel(TAILQ_FIRST(&c->others));
	while ((a = LIST_FIRST(&c->actions))) {
		LIST_REMOVE(a, link);
		free(a);
	}
	http_free(c->http);
	pace_free(c->pace);
	free(c->name);
	free(c->endpoint);
	free(c);
}

void cas_client_status(const struct cas_client *c, struct js *status)
{
	struct js *requests = js_object(), *problems = js_object();
	struct action *a;

	js_put_str(status, "endpoint", c->endpoint);
	LIST_FOREACH(a, &c->actions, link)
	js_put_int(requests, a->name, (int64_t)a->requests);
	for (int i = ERR_TEMP; i <= ERR_BUG; i++)
		js_put_int(problems, err_kind_name((enum err_kind)i), (int64_t)c->problems[i]);
	js_put(status, "requests", requests);
	js_put(status, "problems", problems);
	if (c->skew)
		js_put_int(status, "clock_skew", c->skew);
}
