/* SPDX-License-Identifier: ISC */
#include "ca/acme_account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

enum { KEEPER_MS = 60 * 1000 };

struct acme_account {
	const struct acme_options *options;
	struct acme_client *client;
	void (*changed)(void *arg);
	void *arg;

	char *url;	       /* last known; NULL: never had one */
	char *thumbprint;      /* of the keeper's key; NULL: not asked yet */
	char *kept;	       /* thumbprint that url belongs to, as remembered */
	char *contact;	       /* what the CA has, one a line; NULL: unknown */
	bool contact_tried;    /* to change it: once, the account is good without */
	int64_t created;       /* UNIX seconds we last made one; 0: never */
	bool doubt;	       /* the CA said something that puts url in question */
	unsigned age;	       /* times the account was looked at */
	struct err result;     /* of the last look; kind ERR_NONE: usable */
	int64_t stopped_until; /* clock_boot_ms: until then the result stands; 0: ask again */

	bool running;
	struct rpc_call *call;
	struct acme_post *post;
	TAILQ_HEAD(, acme_wait) waits;
};

/* ---- who waits ---- */

static void wait_end(void *arg)
{
	struct acme_wait *w = arg;
	const struct err *result = &w->account->result;

	w->state = ACME_WAIT_NONE;
	w->ready(w->arg, result->kind == ERR_NONE ? NULL : result);
}

static void wait_defer(struct acme_wait *w)
{
	w->state = ACME_WAIT_DEFERRED;
	loop_defer(wait_end, w);
}

void acme_account_cancel(struct acme_wait *w)
{
	if (w->state == ACME_WAIT_QUEUED)
		TAILQ_REMOVE(&w->account->waits, w, link);
	else if (w->state == ACME_WAIT_DEFERRED)
		loop_undefer(w);
	w->state = ACME_WAIT_NONE;
}

/* The look is over. Everybody hears of it on a later round, so nobody's reaction meets a half-told list. */
static void finish(struct acme_account *a, const struct err *err)
{
	struct acme_wait *w;

	a->running = false;
	a->age++;
	if (err)
		a->result = *err;
	else
		err_clear(&a->result);
	if (err && err->kind == ERR_DENIED)
		snprintf(a->result.during, sizeof(a->result.during), "account"); /* whatever the order was at when it came to light */
	a->stopped_until = 0;
	if (err && err->kind == ERR_DENIED) {
		a->stopped_until = clock_boot_ms() + ACME_ACCOUNT_STOP_MS;
		log_error(
			"account not usable: no order of this CA can go on", "ca", a->options->name, "account", a->url, "error", log_err(err), NULL);
	}
	while ((w = TAILQ_FIRST(&a->waits))) {
		TAILQ_REMOVE(&a->waits, w, link);
		wait_defer(w);
	}
}

/* ---- asking the CA ---- */

static void ask(struct acme_account *a, struct js *payload, bool bind, acme_client_done *done)
{
	char *text = js_dump(payload);
	struct acme_request q = {.kind = ACME_NEW_ACCOUNT, .payload = text, .bind = bind};

	a->post = acme_client_post(a->client, &q, done, a);
	free(text);
	js_free(payload);
}

static struct js *contact_list(const struct acme_account *a)
{
	struct js *list = js_array();

	for (size_t i = 0; i < a->options->ncontact; i++)
		js_add_str(list, a->options->contact[i]);
	return list;
}

/* One a line; NULL for no list. Caller owns. */
static char *contact_text(const struct js *list)
{
	char *text = list ? mem_strdup("") : NULL, *longer;

	for (size_t i = 0; i < js_len(list); i++) {
		const char *one = js_str_at(list, i);

		longer = mem_printf("%s%s\n", text, one ? one : "");
		free(text);
		text = longer;
	}
	return text;
}

static void set_contact(struct acme_account *a, const struct js *list)
{
	free(a->contact);
	a->contact = contact_text(list);
}

static bool is_contact_right(const struct acme_account *a)
{
	struct js *list = contact_list(a);
	char *wanted = contact_text(list);
	bool right = strcmp(a->contact ? a->contact : "", wanted) == 0;

	free(wanted);
	js_free(list);
	return right;
}

/* What is known of the contacts of an account that answered. A CA need not show them. */
static void note_contact(struct acme_account *a, const struct acme_reply *r, const struct js *shown)
{
	struct js *ours = contact_list(a);

	if (r->status == 201)
		set_contact(a, ours);
	else if (shown || !a->url || strcmp(a->url, r->location) != 0)
		set_contact(a, shown);
	js_free(ours);
}

static bool adopt(struct acme_account *a, const struct acme_reply *r, struct err *err)
{
	struct js *v = acme_object_read("account", r->body, r->len, err);
	struct acme_account_object account;
	bool good = v && acme_account_parse(v, &account, err);

	if (good && !account.valid)
		good = err_set(err, ERR_DENIED, "unauthorized", "the CA says the account is \"%s\"", account.status);
	if (good && !r->location)
		good = err_set(err, ERR_TEMP, "object", "account: the answer has no Location");
	if (good)
		good = acme_url_check(acme_client_origin(a->client), "account: Location", r->location, err);
	if (good)
		note_contact(a, r, js_arr(v, "contact"));
	js_free(v);
	if (!good)
		return false;
	free(a->url);
	a->url = mem_strdup(r->location);
	free(a->kept);
	a->kept = mem_strdup(a->thumbprint);
	a->doubt = false;
	if (r->status == 201)
		a->created = clock_now();
	log_notice(r->status == 201 ? "account made" : "account found by its key", "ca", a->options->name, "account", a->url, NULL);
	a->changed(a->arg);
	return true;
}

static void run_with_key(struct acme_account *a);

static void contact_changed(void *arg, const struct acme_reply *r, const struct err *err)
{
	struct acme_account *a = arg;
	struct js *list;

	(void)r;
	a->post = NULL;
	if (err) {
		log_warning("the contacts of the account could not be changed, it is used as it is until the next start", "ca", a->options->name,
			"account", a->url, "error", log_err(err), NULL);
		acme_account_doubt(a, a->age, err);
	} else {
		list = contact_list(a);
		set_contact(a, list);
		js_free(list);
		log_notice("contacts of the account changed", "ca", a->options->name, "account", a->url, NULL);
		a->changed(a->arg);
	}
	run_with_key(a);
}

/* The account is usable. Contacts that were changed in the configuration reach it before it is used again (RFC 8555, section 7.3.2). */
static void settle(struct acme_account *a)
{
	struct acme_request q = {.kind = ACME_CONTACT, .url = a->url, .kid = a->url};
	struct js *payload;
	char *text;

	if (a->contact_tried || is_contact_right(a)) {
		finish(a, NULL);
		return;
	}
	a->contact_tried = true;
	payload = js_object();
	js_put(payload, "contact", contact_list(a));
	q.payload = text = js_dump(payload);
	a->post = acme_client_post(a->client, &q, contact_changed, a);
	free(text);
	js_free(payload);
}

static void asked(struct acme_account *a, const struct acme_reply *r, const struct err *err)
{
	struct err why;

	if (!err && !adopt(a, r, &why))
		err = &why;
	if (err)
		finish(a, err);
	else
		settle(a);
}

static void registered(void *arg, const struct acme_reply *r, const struct err *err)
{
	struct acme_account *a = arg;
	struct err why;

	a->post = NULL;
	if (err && strcmp(err->type, "userActionRequired") == 0 && !a->options->agree_tos) {
		err_set(&why, ERR_DENIED, "userActionRequired", "agree_tos is not set for this CA: %s", err->detail);
		why.http_status = err->http_status;
		err = &why;
	}
	asked(a, r, err);
}

static void register_account(struct acme_account *a)
{
	struct js *payload = js_object();

	if (a->options->agree_tos)
		js_put_bool(payload, "termsOfServiceAgreed", true);
	if (a->options->ncontact)
		js_put(payload, "contact", contact_list(a));
	ask(a, payload, a->options->eab, registered);
}

/* May an account that the CA no longer knows be made again? A binding may be good for one use only, and a loop of registrations is worse than a stop.
 */
static bool may_register_again(const struct acme_account *a, struct err *err)
{
	if (a->url && a->options->eab)
		return err_set(err, ERR_DENIED, "accountDoesNotExist",
			"the CA has lost the account; a new one may need a new external account binding: set it, then reload");
	if (a->created && clock_now() - a->created < ACME_ACCOUNT_AGAIN_S && clock_now() >= a->created)
		return err_set(
			err, ERR_DENIED, "accountDoesNotExist", "the CA has lost the account that was made less than a day ago: not made again yet");
	return true;
}

static void looked_up(void *arg, const struct acme_reply *r, const struct err *err)
{
	struct acme_account *a = arg;
	bool absent = err && strcmp(err->type, "accountDoesNotExist") == 0;
	struct err why;

	a->post = NULL;
	/* A CA may answer the very first look with what it thinks is missing from a registration. */
	if (err && !a->url && err->kind == ERR_DENIED && strcmp(err->type, "unauthorized") != 0)
		absent = true;
	if (!absent)
		asked(a, r, err);
	else if (may_register_again(a, &why))
		register_account(a);
	else
		finish(a, &why);
}

static void look_up(struct acme_account *a)
{
	struct js *payload = js_object();

	js_put_bool(payload, "onlyReturnExisting", true);
	ask(a, payload, false, looked_up);
}

/* ---- one look ---- */

static void run_with_key(struct acme_account *a)
{
	if (a->url && a->kept && strcmp(a->kept, a->thumbprint) != 0) { /* remembered of an older key */
		free(a->url);
		a->url = NULL;
		set_contact(a, NULL);
		a->created = 0;
		a->doubt = false;
	}
	if (a->url && !a->doubt)
		settle(a);
	else if (a->url || a->options->eab) /* a binding is not spent where an account exists */
		look_up(a);
	else
		register_account(a);
}

static void got_key(void *arg, const struct js *answer, const struct err *err)
{
	struct acme_account *a = arg;
	const char *thumbprint = js_str(answer, "thumbprint");
	struct err why;

	a->call = NULL;
	if (!err && !thumbprint) {
		err_set(&why, ERR_BUG, "keeper", "the keeper's answer to \"account\" holds no thumbprint");
		err = &why;
	}
	if (err) {
		finish(a, err);
		return;
	}
	a->thumbprint = mem_strdup(thumbprint);
	run_with_key(a);
}

static void run(struct acme_account *a)
{
	struct js *q;

	a->running = true;
	if (a->thumbprint) {
		run_with_key(a);
		return;
	}
	q = js_object();
	js_put_str(q, "op", "account");
	js_put_str(q, "ca", a->options->name);
	a->call = rpc_send(a->options->keeper, q, KEEPER_MS, got_key, a);
}

bool acme_account_is_ready(const struct acme_account *a)
{
	return a->url && a->thumbprint && !a->doubt && !a->running;
}

void acme_account_wait(struct acme_account *a, struct acme_wait *w, void (*ready)(void *arg, const struct err *err), void *arg)
{
	w->account = a;
	w->ready = ready;
	w->arg = arg;
	if (a->stopped_until > clock_boot_ms()) {
		wait_defer(w);
		return;
	}
	w->state = ACME_WAIT_QUEUED;
	TAILQ_INSERT_TAIL(&a->waits, w, link);
	if (!a->running)
		run(a);
}

bool acme_account_doubt(struct acme_account *a, unsigned age, const struct err *err)
{
	bool denied = strcmp(err->type, "unauthorized") == 0 || err->http_status == 401;

	if (strcmp(err->type, "accountDoesNotExist") != 0 && !denied)
		return false;
	if (age == a->age)
		a->doubt = true;
	return true;
}

void acme_account_retry(struct acme_account *a)
{
	a->stopped_until = 0;
}

unsigned acme_account_age(const struct acme_account *a)
{
	return a->age;
}

const char *acme_account_url(const struct acme_account *a)
{
	return a->url;
}

const char *acme_account_thumbprint(const struct acme_account *a)
{
	return a->thumbprint;
}

/* ---- memory and status ---- */

void acme_account_save(const struct acme_account *a, struct js *memory)
{
	js_put_str(memory, "directory", a->options->directory);
	js_put_str(memory, "account", a->url);
	js_put_str(memory, "thumbprint", a->kept);
	js_put_int(memory, "created", a->created);
	js_put_str(memory, "contact", a->contact);
}

void acme_account_load(struct acme_account *a, const struct js *memory)
{
	const char *directory = js_str(memory, "directory");
	const char *url = js_str(memory, "account");
	const char *thumbprint = js_str(memory, "thumbprint");

	if (!directory || strcmp(directory, a->options->directory) != 0 || !url || !thumbprint ||
		!acme_url_check(acme_client_origin(a->client), "account", url, NULL))
		return;
	a->url = mem_strdup(url);
	a->kept = mem_strdup(thumbprint);
	a->created = js_int(memory, "created", 0);
	a->contact = js_str(memory, "contact") ? mem_strdup(js_str(memory, "contact")) : NULL;
}

void acme_account_status(const struct acme_account *a, struct js *status)
{
	struct js *account = js_object();
	bool failed = a->result.kind != ERR_NONE;

	js_put_str(account, "url", a->url);
	js_put_str(account, "thumbprint", a->thumbprint ? a->thumbprint : a->kept);
	js_put_str(account, "status", failed ? "failed" : a->doubt ? "unsure" : a->url ? "valid" : "none");
	if (failed)
		js_put(account, "error", js_from_err(&a->result));
	js_put(status, "account", account);
}

struct acme_account *acme_account_new(const struct acme_options *options, struct acme_client *client, void (*changed)(void *arg), void *arg)
{
	struct acme_account *a = mem_alloc(sizeof *a);

	a->options = options;
	a->client = client;
	a->changed = changed;
	a->arg = arg;
	TAILQ_INIT(&a->waits);
	return a;
}

void acme_account_free(struct acme_account *a)
{
	if (!a)
		return;
	while (!TAILQ_EMPTY(&a->waits))
		acme_account_cancel(TAILQ_FIRST(&a->waits));
	acme_client_cancel(a->post);
	rpc_cancel(a->call);
	free(a->contact);
	free(a->url);
	free(a->thumbprint);
	free(a->kept);
	free(a);
}
