/* SPDX-License-Identifier: ISC */
#include "ca/acme.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "base/text.h"
#include "ca/acme_account.h"
#include "ca/acme_chain.h"
#include "ca/acme_problem.h"
#include "io/loop.h"

struct acme {
	struct issuer issuer;
	struct arena *arena; /* of the options */
	struct acme_options options;
	struct acme_client *client;
	struct acme_account *account;
	TAILQ_HEAD(, issuer_call) calls;
};

/* One operation: first the account, then one request (fetch: some), then its answer read by op->read. */
struct op {
	enum acme_kind kind;
	bool repeat; /* may be sent once more after the CA was asked about the account: it creates nothing that a second time would double */
	bool (*read)(struct issuer_call *c, const struct acme_reply *r, struct issuer_answer *answer, struct err *err);
	void (*start)(struct issuer_call *c); /* NULL: post url and payload */
};

struct issuer_call {
	TAILQ_ENTRY(issuer_call) link;
	struct acme *acme;
	const struct op *op;
	struct arena *arena; /* of the request and of the answer */
	const char *url;     /* to post to; NULL: the directory knows */
	const char *subject; /* order or authorization the answer is about */
	const char *payload;
	const char *const *names;
	size_t nnames;
	struct acme_wait wait;
	struct acme_post *post;
	struct acme_chain *chain;
	unsigned age;
	bool again, over;
	issuer_done *done;
	void *arg;
	struct issuer_order order;
	struct issuer_authz authz;
	struct err err;
};

/* ---- the life of a call ---- */

static void call_free(struct issuer_call *c)
{
	arena_free(c->arena);
	free(c);
}

/* The last thing done on the way of an answer: the caller may free the issuer. */
static void call_end(struct issuer_call *c, const struct issuer_answer *answer, const struct err *err)
{
	TAILQ_REMOVE(&c->acme->calls, c, link);
	c->over = true;
	c->done(c->arg, answer, err);
	call_free(c);
}

static void acme_cancel(struct issuer_call *c)
{
	if (!c || c->over)
		return;
	acme_account_cancel(&c->wait);
	acme_client_cancel(c->post);
	acme_chain_cancel(c->chain);
	loop_undefer(c);
	TAILQ_REMOVE(&c->acme->calls, c, link);
	call_free(c);
}

static void call_begin(struct issuer_call *c);

/* An order that the CA does not know, or that is not ours, is a fact and no failure: there is nothing to wait for. */
static bool is_gone(const struct issuer_call *c, const struct err *err)
{
	return c->op->kind == ACME_ORDER && (err->http_status == 404 || err->http_status == 410 || strcmp(err->type, "unauthorized") == 0);
}

static void call_fail(struct issuer_call *c, const struct err *err)
{
	struct issuer_answer gone = {.order = &c->order};

	if (acme_account_doubt(c->acme->account, c->age, err) && c->op->repeat && !c->again) {
		c->again = true;
		call_begin(c);
	} else if (is_gone(c, err)) {
		c->order = (struct issuer_order){.status = ISSUER_GONE, .url = c->subject};
		call_end(c, &gone, NULL);
	} else {
		call_end(c, NULL, err);
	}
}

static void call_got(void *arg, const struct acme_reply *r, const struct err *err)
{
	struct issuer_call *c = arg;
	struct issuer_answer answer = {0};

	c->post = NULL;
	if (err)
		call_fail(c, err);
	else if (c->op->read(c, r, &answer, &c->err))
		call_end(c, &answer, NULL);
	else
		call_end(c, NULL, &c->err);
}

static void call_send(struct issuer_call *c)
{
	struct acme_request q = {
		.kind = c->op->kind,
		.url = c->url,
		.payload = c->payload,
		.kid = acme_account_url(c->acme->account),
		.name = c->nnames ? c->names[0] : NULL,
	};

	c->age = acme_account_age(c->acme->account);
	c->post = acme_client_post(c->acme->client, &q, call_got, c);
}

static void call_go(struct issuer_call *c)
{
	if (c->op->start)
		c->op->start(c);
	else
		call_send(c);
}

static void call_ready(void *arg, const struct err *err)
{
	struct issuer_call *c = arg;

	if (err) {
		c->err = *err;
		call_end(c, NULL, &c->err);
	} else {
		call_go(c);
	}
}

static void call_begin(struct issuer_call *c)
{
	if (acme_account_is_ready(c->acme->account))
		call_go(c);
	else
		acme_account_wait(c->acme->account, &c->wait, call_ready, c);
}

static struct issuer_call *call_new(struct issuer *i, const struct op *op, issuer_done *done, void *arg)
{
	struct issuer_call *c = mem_alloc(sizeof *c);

	c->acme = (struct acme *)i;
	c->op = op;
	c->arena = arena_new();
	c->payload = "";
	c->done = done;
	c->arg = arg;
	TAILQ_INSERT_TAIL(&c->acme->calls, c, link);
	return c;
}

/* Takes over the payload. */
static void call_pay(struct issuer_call *c, struct js *payload)
{
	char *text = js_dump(payload);

	c->payload = arena_strdup(c->arena, text);
	free(text);
	js_free(payload);
}

static void release(void *v)
{
	js_free(v);
}

/* The answer's object, alive as long as the call. */
static struct js *answer_object(struct issuer_call *c, const char *what, const struct acme_reply *r, struct err *err)
{
	struct js *v = acme_object_read(what, r->body, r->len, err);

	if (v)
		arena_attach(c->arena, v, release);
	return v;
}

/* ---- account ---- */

static void account_tell(void *arg)
{
	struct issuer_call *c = arg;
	struct issuer_answer answer = {.text = acme_account_thumbprint(c->acme->account)};

	call_end(c, &answer, NULL);
}

static void account_start(struct issuer_call *c)
{
	loop_defer(account_tell, c);
}

static struct issuer_call *acme_account(struct issuer *i, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_NEW_ACCOUNT, .start = account_start};
	struct issuer_call *c = call_new(i, &op, done, arg);

	call_begin(c);
	return c;
}

/* ---- orders ---- */

static bool order_read(struct issuer_call *c, const struct acme_reply *r, struct issuer_answer *answer, struct err *err)
{
	struct js *v = answer_object(c, "order", r, err);

	c->order.url = c->subject;
	c->order.wait_ms = acme_poll_ms(r->retry_after);
	answer->order = &c->order;
	return v && acme_order_parse(c->arena, v, acme_client_origin(c->acme->client), &c->order, err);
}

static bool create_read(struct issuer_call *c, const struct acme_reply *r, struct issuer_answer *answer, struct err *err)
{
	if (!r->location)
		return err_set(err, ERR_TEMP, "object", "order: the answer to newOrder has no Location");
	if (!acme_url_check(acme_client_origin(c->acme->client), "order: Location", r->location, err))
		return false;
	c->subject = arena_strdup(c->arena, r->location);
	return order_read(c, r, answer, err) && acme_order_check(&c->order, c->names, c->nnames, err);
}

static struct issuer_call *acme_create(struct issuer *i, const char *const *names, size_t n, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_NEW_ORDER, .repeat = true, .read = create_read};
	struct issuer_call *c = call_new(i, &op, done, arg);
	const char **copy = arena_array(c->arena, n, sizeof *copy);
	struct js *payload = js_object();
	struct js *identifiers = js_array();

	for (size_t k = 0; k < n; k++) {
		struct js *identifier = js_object();

		copy[k] = arena_strdup(c->arena, names[k]);
		js_put_str(identifier, "type", "dns");
		js_put_str(identifier, "value", names[k]);
		js_add(identifiers, identifier);
	}
	js_put(payload, "identifiers", identifiers);
	call_pay(c, payload);
	c->names = copy;
	c->nnames = n;
	call_begin(c);
	return c;
}

static struct issuer_call *acme_order(struct issuer *i, const char *url, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_ORDER, .repeat = true, .read = order_read};
	struct issuer_call *c = call_new(i, &op, done, arg);

	c->url = c->subject = arena_strdup(c->arena, url);
	call_begin(c);
	return c;
}

static struct issuer_call *acme_finalize(
	struct issuer *i, const char *order_url, const char *finalize_url, const char *csr_b64url, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_FINALIZE, .read = order_read};
	struct issuer_call *c = call_new(i, &op, done, arg);
	struct js *payload = js_object();

	c->subject = arena_strdup(c->arena, order_url);
	c->url = arena_strdup(c->arena, finalize_url);
	js_put_str(payload, "csr", csr_b64url);
	call_pay(c, payload);
	call_begin(c);
	return c;
}

/* ---- authorizations ---- */

static bool authz_read(struct issuer_call *c, const struct acme_reply *r, struct issuer_answer *answer, struct err *err)
{
	struct js *v = answer_object(c, "authorization", r, err);

	c->authz.url = c->subject;
	c->authz.wait_ms = acme_poll_ms(r->retry_after);
	answer->authz = &c->authz;
	return v && acme_authz_parse(c->arena, v, acme_client_origin(c->acme->client), &c->authz, err);
}

static struct issuer_call *acme_authz(struct issuer *i, const char *url, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_AUTHZ, .repeat = true, .read = authz_read};
	struct issuer_call *c = call_new(i, &op, done, arg);

	c->url = c->subject = arena_strdup(c->arena, url);
	call_begin(c);
	return c;
}

/* That the CA took it is all there is to know: the authorization tells how it went. */
static bool taken_read(struct issuer_call *c, const struct acme_reply *r, struct issuer_answer *answer, struct err *err)
{
	(void)c;
	(void)err;
	answer->wait_ms = acme_poll_ms(r->retry_after);
	return true;
}

static struct issuer_call *acme_announce(struct issuer *i, const char *challenge_url, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_CHALLENGE, .read = taken_read};
	struct issuer_call *c = call_new(i, &op, done, arg);

	c->url = arena_strdup(c->arena, challenge_url);
	c->payload = "{}";
	call_begin(c);
	return c;
}

static struct issuer_call *acme_deactivate(struct issuer *i, const char *authz_url, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_DEACTIVATE, .read = taken_read};
	struct issuer_call *c = call_new(i, &op, done, arg);

	c->url = arena_strdup(c->arena, authz_url);
	c->payload = "{\"status\":\"deactivated\"}";
	call_begin(c);
	return c;
}

/* ---- certificates ---- */

static void fetch_got(void *arg, const char *pem, size_t len, const struct err *err)
{
	struct issuer_call *c = arg;
	struct issuer_answer answer = {.chain = pem, .chain_len = len};

	c->chain = NULL;
	if (err)
		call_fail(c, err);
	else
		call_end(c, &answer, NULL);
}

static void fetch_start(struct issuer_call *c)
{
	struct acme_chain_request q = {
		.name = c->acme->issuer.name,
		.url = c->url,
		.kid = acme_account_url(c->acme->account),
		.preferred = c->acme->options.preferred_chain,
	};

	c->age = acme_account_age(c->acme->account);
	c->chain = acme_chain_fetch(c->acme->client, &q, fetch_got, c);
}

static struct issuer_call *acme_fetch(struct issuer *i, const char *certificate_url, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_CERTIFICATE, .start = fetch_start};
	struct issuer_call *c = call_new(i, &op, done, arg);

	c->url = arena_strdup(c->arena, certificate_url);
	call_begin(c);
	return c;
}

static struct issuer_call *acme_revoke(struct issuer *i, const char *cert_b64url, int reason, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_REVOKE, .read = taken_read};
	struct issuer_call *c = call_new(i, &op, done, arg);
	struct js *payload = js_object();

	js_put_str(payload, "certificate", cert_b64url);
	if (reason > 0)
		js_put_int(payload, "reason", reason);
	call_pay(c, payload);
	call_begin(c);
	return c;
}

/* ---- who it is ---- */

/* What an old directory says is told with the reason why it could not be read anew. */
static void identify_read(void *arg, const struct acme_reply *r, const struct err *err)
{
	struct issuer_call *c = arg;
	const struct acme_directory *d = acme_client_directory(c->acme->client);
	const char **names = arena_array(c->arena, ISSUER_NAMES_MAX, sizeof *names);
	struct issuer_identity identity = {.names = names, .account = acme_account_url(c->acme->account)};
	struct issuer_answer answer = {.identity = &identity};

	(void)r;
	c->post = NULL;
	for (size_t i = 0; i < js_len(d->caa) && identity.n < ISSUER_NAMES_MAX; i++)
		if (js_str_at(d->caa, i) && text_is_domain(js_str_at(d->caa, i)))
			names[identity.n++] = js_str_at(d->caa, i);
	call_end(c, d->new_order ? &answer : NULL, err);
}

static struct issuer_call *acme_identify(struct issuer *i, issuer_done *done, void *arg)
{
	static const struct op op = {.kind = ACME_DIRECTORY};
	struct issuer_call *c = call_new(i, &op, done, arg);

	c->post = acme_client_read_directory(c->acme->client, identify_read, c);
	return c;
}

/* ---- the issuer ---- */

static void memory_save(void *arg)
{
	struct acme *a = arg;
	const struct acme_limit *limit = acme_client_limit(a->client);
	struct js *memory = js_object();

	acme_account_save(a->account, memory);
	js_put_int(memory, "host_until", limit->host);
	js_put_int(memory, "account_until", limit->account);
	a->options.memory.save(a->options.memory.arg, a->issuer.name, memory);
	js_free(memory);
}

static void memory_load(struct acme *a)
{
	struct acme_limit *limit = acme_client_limit(a->client);
	struct js *memory = a->options.memory.load(a->options.memory.arg, a->issuer.name);

	acme_account_load(a->account, memory);
	limit->host = js_int(memory, "host_until", 0);
	limit->account = js_int(memory, "account_until", 0);
	js_free(memory);
}

static void acme_retry(struct issuer *i)
{
	acme_account_retry(((struct acme *)i)->account);
}

static struct js *acme_status(struct issuer *i)
{
	struct acme *a = (struct acme *)i;
	struct js *status = js_object();

	acme_account_status(a->account, status);
	js_put_time(status, "not_before", acme_limit_not_before(acme_client_limit(a->client)));
	acme_client_status(a->client, status);
	return status;
}

static int64_t acme_not_before(const struct issuer *i)
{
	return acme_limit_not_before(acme_client_limit(((const struct acme *)i)->client));
}

static void acme_free(struct issuer *i)
{
	struct acme *a = (struct acme *)i;

	while (!TAILQ_EMPTY(&a->calls))
		acme_cancel(TAILQ_FIRST(&a->calls));
	acme_account_free(a->account);
	acme_client_free(a->client);
	arena_free(a->arena);
	free(a);
}

static const struct issuer_ops acme_ops = {
	.account = acme_account,
	.create = acme_create,
	.order = acme_order,
	.authz = acme_authz,
	.announce = acme_announce,
	.finalize = acme_finalize,
	.fetch = acme_fetch,
	.deactivate = acme_deactivate,
	.revoke = acme_revoke,
	.cancel = acme_cancel,
	.status = acme_status,
	.free = acme_free,
	.retry = acme_retry,
	.identify = acme_identify,
	.not_before = acme_not_before,
};

static void options_copy(struct acme *a, const struct acme_options *o)
{
	const char **contact = arena_array(a->arena, o->ncontact, sizeof *contact);

	for (size_t i = 0; i < o->ncontact; i++)
		contact[i] = arena_strdup(a->arena, o->contact[i]);
	a->options = *o;
	a->options.name = arena_strdup(a->arena, o->name);
	a->options.directory = arena_strdup(a->arena, o->directory);
	a->options.contact = contact;
	a->options.ca_file = arena_strdup(a->arena, o->ca_file);
	a->options.preferred_chain = arena_strdup(a->arena, o->preferred_chain);
}

struct issuer *acme_new(const struct acme_options *o, struct err *err)
{
	struct acme *a = mem_alloc(sizeof *a);
	struct acme_client_options client;

	a->arena = arena_new();
	options_copy(a, o);
	client = (struct acme_client_options){
		.name = a->options.name,
		.directory = a->options.directory,
		.ca_file = a->options.ca_file,
		.allow_private = o->allow_private,
		.dns = o->dns,
		.keeper = o->keeper,
		.limited = memory_save,
		.arg = a,
	};
	a->client = acme_client_new(&client, err);
	if (!a->client) {
		arena_free(a->arena);
		free(a);
		return NULL;
	}
	TAILQ_INIT(&a->calls);
	a->issuer.ops = &acme_ops;
	a->issuer.name = a->options.name;
	a->account = acme_account_new(&a->options, a->client, memory_save, a);
	memory_load(a);
	return &a->issuer;
}
