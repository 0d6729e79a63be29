/* SPDX-License-Identifier: ISC */
#include "config.h"

#include "ca/acme_client_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/loop.h"

enum {
	TIMEOUT_MS = 90 * 1000,
	KEEPER_MS = 60 * 1000,
	REREAD_MS = 60 * 1000,
	SEEN_MS = 10 * 1000, /* so long who was there is there: many ask at one time */
	PROFILES_MAX = 32,
	HEADS_MAX = 16, /* newNonce requests at once; answers to what is under way bring the rest */
	KIB = 1024,
};

static const struct kind_row {
	const char *name;
	size_t max_body;
	enum acme_scope scope;
} kind_rows[ACME_KINDS] = {
	[ACME_DIRECTORY] = {"directory", 256 * KIB, ACME_SCOPE_HOST},
	[ACME_NEW_NONCE] = {"newNonce", 64 * KIB, ACME_SCOPE_HOST},
	[ACME_NEW_ACCOUNT] = {"newAccount", 64 * KIB, ACME_SCOPE_ACCOUNT},
	[ACME_CONTACT] = {"contact", 64 * KIB, ACME_SCOPE_ONE},
	[ACME_NEW_ORDER] = {"newOrder", 64 * KIB, ACME_SCOPE_NAMES},
	[ACME_ORDER] = {"order", 64 * KIB, ACME_SCOPE_ONE},
	[ACME_AUTHZ] = {"authz", 64 * KIB, ACME_SCOPE_ONE},
	[ACME_CHALLENGE] = {"challenge", 64 * KIB, ACME_SCOPE_ONE},
	[ACME_FINALIZE] = {"finalize", 64 * KIB, ACME_SCOPE_ONE},
	[ACME_CERTIFICATE] = {"certificate", 256 * KIB, ACME_SCOPE_ONE},
	[ACME_DEACTIVATE] = {"deactivate", 64 * KIB, ACME_SCOPE_ONE},
	[ACME_REVOKE] = {"revokeCert", 64 * KIB, ACME_SCOPE_ONE},
};

const char *acme_kind_name(enum acme_kind kind)
{
	return kind_rows[kind].name;
}

static void pump(struct acme_client *c);

/* ---- the end of a post ---- */

static void post_unlink(struct acme_post *p)
{
	struct acme_client *c = p->client;

	TAILQ_REMOVE(p->state == WAITING ? &c->waiting : p->state == READING ? &c->readers : &c->busy, p, link);
	c->nwaiting -= p->state == WAITING;
}

static void post_free(struct acme_post *p)
{
	free(p->url);
	free(p->payload);
	free(p->kid);
	free(p->name);
	free(p->nonce);
	free(p);
}

/* The last thing done on the way of an answer: the owner may free the whole client. */
static void post_end(struct acme_post *p, const struct acme_reply *reply, const struct err *err)
{
	if (err)
		p->client->problems[err->kind]++;
	post_unlink(p);
	p->done(p->arg, reply, err);
	post_free(p);
}

static void post_end_now(void *arg)
{
	struct acme_post *p = arg;

	post_end(p, NULL, p->err.kind == ERR_NONE ? NULL : &p->err);
}

static void post_move(struct acme_post *p, int state)
{
	struct acme_client *c = p->client;

	post_unlink(p);
	p->state = state;
	if (state == WAITING)
		TAILQ_INSERT_HEAD(&c->waiting, p, link); /* it had its turn before */
	else
		TAILQ_INSERT_TAIL(&c->busy, p, link);
	c->nwaiting += state == WAITING;
}

/* err NULL: it ends well, without a reply. */
static void post_end_soon(struct acme_post *p, const struct err *err)
{
	post_move(p, ENDING);
	if (err)
		p->err = *err;
	loop_defer(post_end_now, p);
}

static void fail_waiting(struct acme_client *c, const struct err *err)
{
	struct acme_post *p;

	while ((p = TAILQ_FIRST(&c->waiting)))
		post_end_soon(p, err);
}

/* ---- sending, and the envelope of every answer ---- */

struct http_get *acme_client_send(
	struct acme_client *c, enum acme_kind kind, const char *method, const char *url, const char *body, http_done *done, void *arg)
{
	struct http_request q = {.method = method, .url = url, .max_body = kind_rows[kind].max_body, .timeout_ms = TIMEOUT_MS};

	if (body) {
		q.content_type = "application/jose+json";
		q.body = body;
		q.body_len = strlen(body);
	}
	c->requests[kind]++;
	log_debug("request sent", "ca", c->name, "kind", kind_rows[kind].name, "method", method, "url", url, NULL);
	return http_send(c->http, &q, done, arg);
}

/* Who may not leave any more does not wait for a nonce either. */
static void hold_waiting(struct acme_client *c)
{
	struct acme_post *p = TAILQ_FIRST(&c->waiting);
	struct err err;

	while (p) {
		struct acme_post *next = TAILQ_NEXT(p, link);

		if (!acme_limit_check(&c->limit, kind_rows[p->kind].scope, &err))
			post_end_soon(p, &err);
		p = next;
	}
}

/* A URL of the directory that is gone means that the directory has changed, if it is not the one just read. */
static void check_directory(struct acme_client *c, enum acme_kind kind, struct err *err)
{
	bool listed = kind == ACME_NEW_NONCE || kind == ACME_NEW_ACCOUNT || kind == ACME_NEW_ORDER || kind == ACME_REVOKE;

	if (!listed || err->http_status != 404 || clock_boot_ms() - c->read_at < REREAD_MS)
		return;
	c->stale = true;
	err->kind = ERR_TEMP;
}

bool acme_client_answer(
	struct acme_client *c, enum acme_kind kind, const char *name, const struct http_answer *a, struct acme_reply *r, struct err *err)
{
	bool good = acme_envelope_read(a, kind_rows[kind].name, r, err);

	if (!good)
		check_directory(c, kind, err);
	log_debug("answer", "ca", c->name, "kind", kind_rows[kind].name, "status", log_num(r->status), "error", good ? NULL : log_err(err), NULL);
	if (!good && err->kind == ERR_LIMIT && acme_limit_note(&c->limit, kind_rows[kind].scope, name, err)) {
		hold_waiting(c);
		c->limited(c->arg);
	}
	return good;
}

/* ---- directory ---- */

static const char *directory_url(const struct acme_client *c, enum acme_kind kind)
{
	switch (kind) {
	case ACME_NEW_ACCOUNT:
		return c->directory.new_account;
	case ACME_NEW_ORDER:
		return c->directory.new_order;
	case ACME_REVOKE:
		return c->directory.revoke_cert;
	default:
		return NULL;
	}
}

/* ---- nonces ---- */

static void head_got(void *arg, const struct http_answer *a, const struct err *err)
{
	struct head *h = arg;
	struct acme_client *c = h->client;
	struct acme_reply r = {0};
	struct err why;

	LIST_REMOVE(h, link);
	c->nheads--;
	free(h);
	if (a) {
		bool good = acme_client_answer(c, ACME_NEW_NONCE, NULL, a, &r, &why);

		if (good && !r.nonce)
			good = err_set(&why, ERR_TEMP, "nonce", "newNonce gave no Replay-Nonce of use");
		err = good ? NULL : &why;
	}
	acme_nonce_put(&c->nonces, r.nonce);
	if (err)
		fail_waiting(c, err);
	pump(c);
}

static void head_send(struct acme_client *c)
{
	struct head *h = mem_alloc(sizeof *h);

	h->client = c;
	LIST_INSERT_HEAD(&c->heads, h, link);
	c->nheads++;
	h->get = acme_client_send(c, ACME_NEW_NONCE, "HEAD", c->directory.new_nonce, NULL, head_got, h);
}

/* ---- a post: waiting, signing, sent ---- */

static void post_got(void *arg, const struct http_answer *a, const struct err *err)
{
	struct acme_post *p = arg;
	struct acme_client *c = p->client;
	struct acme_reply r;
	struct err why;
	bool good;

	p->get = NULL;
	if (!a) {
		post_end(p, NULL, err);
		return;
	}
	good = acme_client_answer(c, p->kind, p->name, a, &r, &why);
	acme_nonce_put(&c->nonces, r.nonce); /* on top: a repetition takes exactly this one */
	if (good && p->kind == ACME_NEW_ORDER)
		acme_limit_accept(&c->limit);
	if (!good && strcmp(why.type, "badNonce") == 0 && p->retries++ < ACME_NONCE_RETRIES) {
		c->retries++;
		post_move(p, WAITING);
		pump(c);
		return;
	}
	pump(c);
	post_end(p, good ? &r : NULL, good ? NULL : &why);
}

static void post_signed(void *arg, const struct js *answer, const struct err *err)
{
	struct acme_post *p = arg;
	const char *jws = js_str(answer, "jws");
	struct err why;

	p->sign = NULL;
	if (!err && !jws) {
		err_set(&why, ERR_BUG, "keeper", "the keeper's answer to \"sign\" holds no jws");
		err = &why;
	}
	if (err) {
		acme_nonce_put(&p->client->nonces, p->nonce); /* not spent */
		post_end(p, NULL, err);
		return;
	}
	p->state = SENT;
	p->get = acme_client_send(p->client, p->kind, "POST", p->url, jws, post_got, p);
}

static void post_sign(struct acme_post *p, char *nonce)
{
	struct acme_client *c = p->client;
	struct js *q = js_object();
	struct err why;

	post_move(p, SIGNING);
	free(p->nonce);
	p->nonce = nonce;
	if (!p->url && directory_url(c, p->kind))
		p->url = mem_strdup(directory_url(c, p->kind));
	if (!p->url) {
		js_free(q);
		err_set(&why, ERR_DENIED, "directory", "the CA's directory offers no %s", kind_rows[p->kind].name);
		post_end_soon(p, &why);
		return;
	}
	js_put_str(q, "op", "sign");
	js_put_str(q, "ca", c->name);
	js_put_str(q, "url", p->url);
	js_put_str(q, "nonce", nonce);
	js_put_str(q, "kid", p->kid);
	js_put_str(q, "payload", p->payload);
	if (p->bind)
		js_put_bool(q, "bind", true);
	p->sign = rpc_send(c->keeper, q, KEEPER_MS, post_signed, p);
}

static void end_readers(struct acme_client *c, const struct err *err)
{
	struct acme_post *p;

	while ((p = TAILQ_FIRST(&c->readers)))
		post_end_soon(p, err);
}

/* Whatever waits and can go on does: first the directory, then nonces, those in hand before new ones. Who has a directory that is good for a day does not
 * wait for those who want to see it anew. */
static void pump(struct acme_client *c)
{
	bool usable = acme_directory_is_fresh(c, ACME_DIRECTORY_AGE_MS), seen = acme_directory_is_fresh(c, SEEN_MS);
	struct acme_post *p;
	char *nonce;

	if ((!TAILQ_EMPTY(&c->waiting) && !usable) || (!TAILQ_EMPTY(&c->readers) && !seen))
		acme_directory_read(c);
	if (seen)
		end_readers(c, NULL);
	if (!usable)
		return;
	while ((p = TAILQ_FIRST(&c->waiting)) && (nonce = acme_nonce_take(&c->nonces)))
		post_sign(p, nonce);
	while (c->nheads < c->nwaiting && c->nheads < HEADS_MAX)
		head_send(c);
}

void acme_client_directory_read(struct acme_client *c, const struct err *err)
{
	if (err) {
		end_readers(c, err);
		if (!acme_directory_is_fresh(c, ACME_DIRECTORY_AGE_MS))
			fail_waiting(c, err);
	}
	pump(c);
}

static bool may_leave(struct acme_client *c, const struct acme_request *q, struct err *err)
{
	return acme_limit_check(&c->limit, kind_rows[q->kind].scope, err) &&
	       (!q->url || acme_url_check(&c->origin, kind_rows[q->kind].name, q->url, err));
}

static struct acme_post *post_new(struct acme_client *c, const struct acme_request *q, int state, acme_client_done *done, void *arg)
{
	struct acme_post *p = mem_alloc(sizeof *p);
	struct err why;

	p->client = c;
	p->state = state;
	p->kind = q->kind;
	p->bind = q->bind;
	p->url = q->url ? mem_strdup(q->url) : NULL;
	p->payload = mem_strdup(q->payload);
	p->kid = q->kid ? mem_strdup(q->kid) : NULL;
	p->name = q->name ? mem_strdup(q->name) : NULL;
	p->done = done;
	p->arg = arg;
	TAILQ_INSERT_TAIL(state == READING ? &c->readers : &c->waiting, p, link);
	c->nwaiting += state == WAITING;
	if (may_leave(c, q, &why))
		pump(c);
	else
		post_end_soon(p, &why);
	return p;
}

struct acme_post *acme_client_post(struct acme_client *c, const struct acme_request *q, acme_client_done *done, void *arg)
{
	return post_new(c, q, WAITING, done, arg);
}

struct acme_post *acme_client_read_directory(struct acme_client *c, acme_client_done *done, void *arg)
{
	static const struct acme_request q = {.kind = ACME_DIRECTORY, .payload = ""};

	return post_new(c, &q, READING, done, arg);
}

void acme_client_cancel(struct acme_post *p)
{
	if (!p)
		return;
	http_cancel(p->get);
	rpc_cancel(p->sign);
	loop_undefer(p);
	post_unlink(p);
	post_free(p);
}

/* ---- the client ---- */

struct acme_client *acme_client_new(const struct acme_client_options *o, struct err *err)
{
	struct http_options http = {
		.dns = o->dns,
		.ca_file = o->ca_file,
		.https_only = true,
		.verify = true,
		.allow_private = o->allow_private,
		.user_agent = PACKAGE_NAME "/" PACKAGE_VERSION,
		.language = "en",
		.one_connection = true,
	};
	struct acme_client *c = mem_alloc(sizeof *c);

	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->readers);
	TAILQ_INIT(&c->busy);
	if (!acme_origin_parse(&c->origin, o->directory, err) || !(c->http = http_new(&http, err))) {
		free(c);
		return NULL;
	}
	c->name = mem_strdup(o->name);
	c->directory_url = mem_strdup(o->directory);
	c->keeper = o->keeper;
	c->limited = o->limited;
	c->arg = o->arg;
	return c;
}

void acme_client_free(struct acme_client *c)
{
	struct head *h;

	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->waiting))
		acme_client_cancel(TAILQ_FIRST(&c->waiting));
	while (!TAILQ_EMPTY(&c->readers))
		acme_client_cancel(TAILQ_FIRST(&c->readers));
	while (!TAILQ_EMPTY(&c->busy))
		acme_client_cancel(TAILQ_FIRST(&c->busy));
	while ((h = LIST_FIRST(&c->heads))) {
		LIST_REMOVE(h, link);
		http_cancel(h->get);
		free(h);
	}
	http_cancel(c->reading);
	http_free(c->http);
	acme_nonce_clear(&c->nonces);
	js_free(c->document);
	free(c->reading_url);
	free(c->name);
	free(c->directory_url);
	free(c);
}

const struct acme_origin *acme_client_origin(const struct acme_client *c)
{
	return &c->origin;
}

const struct acme_directory *acme_client_directory(const struct acme_client *c)
{
	return &c->directory;
}

struct acme_limit *acme_client_limit(struct acme_client *c)
{
	return &c->limit;
}

static struct js *profiles_copy(const struct js *from)
{
	struct js *profiles = js_object();
	size_t n = 0;

	for (void *i = js_first(from); i && n < PROFILES_MAX; i = js_next(from, i), n++)
		js_put_str(profiles, js_key(i), js_text(js_value(i)));
	return profiles;
}

void acme_client_status(const struct acme_client *c, struct js *status)
{
	struct js *requests = js_object();
	struct js *problems = js_object();

	js_put_str(status, "directory", c->directory_url);
	for (int i = 0; i < ACME_KINDS; i++)
		js_put_int(requests, kind_rows[i].name, (int64_t)c->requests[i]);
	for (int i = ERR_TEMP; i <= ERR_BUG; i++)
		js_put_int(problems, err_kind_name((enum err_kind)i), (int64_t)c->problems[i]);
	js_put(status, "requests", requests);
	js_put(status, "problems", problems);
	js_put_int(status, "bad_nonces", (int64_t)c->retries);
	js_put_str(status, "terms", c->directory.terms);
	js_put(status, "profiles", profiles_copy(c->directory.profiles));
}
