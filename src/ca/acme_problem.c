/* SPDX-License-Identifier: ISC */
#include "ca/acme_problem.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

struct row {
	const char *type;
	enum acme_class answer;	    /* to a request of ours */
	enum acme_class validation; /* inside an order, a challenge or a subproblem: about one name */
};

static const struct row rows[] = {
	{"badNonce", ACME_NOW, ACME_NOW},
	{"orderNotReady", ACME_NOW, ACME_NOW},
	{"alreadyReplaced", ACME_NOW, ACME_NOW},
	{"conflict", ACME_NOW, ACME_NOW},
	{"serverInternal", ACME_TRANSIENT, ACME_TRANSIENT},
	{"connection", ACME_TRANSIENT, ACME_TRANSIENT},
	{"tls", ACME_TRANSIENT, ACME_TRANSIENT},
	{"dns", ACME_TRANSIENT, ACME_TRANSIENT},
	{"incorrectResponse", ACME_TRANSIENT, ACME_TRANSIENT},
	{"rateLimited", ACME_WAIT, ACME_PERMANENT}, /* without a time to wait for it is a pause that a human ends */
	{"unauthorized", ACME_ACCOUNT, ACME_TRANSIENT},
	{"accountDoesNotExist", ACME_ACCOUNT, ACME_ACCOUNT},
	{"externalAccountRequired", ACME_ACCOUNT, ACME_ACCOUNT},
	{"userActionRequired", ACME_ACCOUNT, ACME_ACCOUNT},
	{"alreadyRevoked", ACME_PERMANENT, ACME_PERMANENT},
	{"badCSR", ACME_PERMANENT, ACME_PERMANENT},
	{"badPublicKey", ACME_PERMANENT, ACME_PERMANENT},
	{"badRevocationReason", ACME_PERMANENT, ACME_PERMANENT},
	{"badSignatureAlgorithm", ACME_PERMANENT, ACME_PERMANENT}, /* the key decides the algorithm: there is no second one to try */
	{"caa", ACME_PERMANENT, ACME_PERMANENT},
	{"invalidContact", ACME_PERMANENT, ACME_PERMANENT},
	{"invalidProfile", ACME_PERMANENT, ACME_PERMANENT},
	{"malformed", ACME_PERMANENT, ACME_PERMANENT},
	{"rejectedIdentifier", ACME_PERMANENT, ACME_PERMANENT},
	{"unsupportedContact", ACME_PERMANENT, ACME_PERMANENT},
	{"unsupportedIdentifier", ACME_PERMANENT, ACME_PERMANENT},
};

static const enum err_kind kinds[] = {
	[ACME_NOW] = ERR_TEMP,
	[ACME_TRANSIENT] = ERR_TEMP,
	[ACME_WAIT] = ERR_LIMIT,
	[ACME_PERMANENT] = ERR_DENIED,
	[ACME_ACCOUNT] = ERR_DENIED,
};

enum { HTML_SHOWN = 200 };

static const char *const prefixes[] = {"urn:ietf:params:acme:error:", "urn:acme:error:"};

enum err_kind acme_class_kind(enum acme_class c)
{
	return kinds[c];
}

static int64_t clamp(int64_t n, int64_t least, int64_t most)
{
	return n < least ? least : n > most ? most : n;
}

int64_t acme_poll_ms(int64_t retry_after)
{
	return retry_after < 0 ? 0 : 1000 * clamp(retry_after, ACME_POLL_MIN, ACME_POLL_MAX);
}

static const char *short_type(const char *type)
{
	for (size_t i = 0; type && i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (strncmp(type, prefixes[i], strlen(prefixes[i])) == 0)
			return type + strlen(prefixes[i]);
	return type;
}

static const struct row *row_find(const char *type)
{
	for (size_t i = 0; type && i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(type, rows[i].type) == 0)
			return &rows[i];
	return NULL;
}

static enum acme_class class_of_status(int status)
{
	if (status == 429)
		return ACME_WAIT;
	if (status == 401)
		return ACME_ACCOUNT;
	return status >= 400 && status < 500 && status != 408 ? ACME_PERMANENT : ACME_TRANSIENT;
}

/* A compound problem, and any other with no meaning of its own, is as grave as its gravest part. */
static enum acme_class class_of_parts(const struct js *parts, enum acme_class otherwise)
{
	const struct row *row;
	bool known = false;
	enum acme_class worst = ACME_NOW;

	for (size_t i = 0; i < js_len(parts); i++) {
		row = row_find(short_type(js_str(js_at(parts, i), "type")));
		if (!row)
			continue;
		known = true;
		if (row->validation > worst)
			worst = row->validation;
	}
	return known ? worst : otherwise;
}

static void put_part(struct err_sub *to, const struct js *part)
{
	const char *name = js_str(js_obj(part, "identifier"), "value");
	const char *type = short_type(js_str(part, "type"));
	const char *detail = js_str(part, "detail");

	text_escape(name ? name : "", name ? strlen(name) : 0, to->identifier, sizeof to->identifier);
	text_escape(type ? type : "", type ? strlen(type) : 0, to->type, sizeof to->type);
	text_escape(detail ? detail : "", detail ? strlen(detail) : 0, to->detail, sizeof to->detail);
}

static void put_parts(struct err *err, const struct js *parts)
{
	size_t n = js_len(parts);

	err->nsub = (unsigned)n;
	for (size_t i = 0; i < n && i < ERR_SUBS; i++)
		put_part(&err->sub[i], js_at(parts, i));
}

/* What a problem document adds for a human: where to act, what would have been accepted. */
static void extra_format(const struct js *doc, char *out, size_t room)
{
	const struct js *algorithms = js_arr(doc, "algorithms");
	const char *instance = js_str(doc, "instance");
	size_t len = 0;

	out[0] = '\0';
	if (instance)
		len = (size_t)snprintf(out, room, " (see %.300s)", instance);
	for (size_t i = 0; i < js_len(algorithms) && len < room; i++)
		if (js_str_at(algorithms, i))
			len += (size_t)snprintf(out + len, room - len, "%s%.20s", i ? ", " : " (accepted: ", js_str_at(algorithms, i));
	if (algorithms && js_len(algorithms) && len + 1 < room)
		snprintf(out + len, room - len, ")");
}

static void put_document(struct err *err, enum acme_class class, const struct js *doc)
{
	const char *type = short_type(js_str(doc, "type"));
	const char *detail = js_str(doc, "detail");
	const char *title = js_str(doc, "title");
	char extra[400];

	extra_format(doc, extra, sizeof extra);
	err_set(err, kinds[class], type ? type : "about:blank", "%.480s%s", detail ? detail : title ? title : "the CA gave no reason", extra);
	put_parts(err, js_arr(doc, "subproblems"));
}

/* No problem document: the first bytes are for the eyes of a human only. */
static void put_other(struct err *err, enum acme_class class, const struct acme_refusal *r)
{
	int shown = r->body && r->len ? (int)(r->len < HTML_SHOWN ? r->len : HTML_SHOWN) : 0;

	if (shown)
		err_set(err, kinds[class], "http", "HTTP %d without a problem document: \"%.*s\"", r->status, shown, r->body);
	else
		err_set(err, kinds[class], "http", "HTTP %d without a reason", r->status);
}

/* Two things outrank the type: a server that is out of order, and one that says when to come back. */
static enum acme_class class_of_answer(const struct js *doc, const struct acme_refusal *r)
{
	const struct row *row = row_find(short_type(js_str(doc, "type")));
	enum acme_class class = row ? row->answer : class_of_parts(js_arr(doc, "subproblems"), class_of_status(r->status));

	if (r->status >= 500)
		class = r->status == 503 && r->retry_after >= 0 ? ACME_WAIT : ACME_TRANSIENT;
	return class == ACME_WAIT && r->retry_after < 0 ? ACME_PERMANENT : class;
}

enum acme_class acme_problem_read(const struct acme_refusal *r, struct err *err)
{
	struct js *doc = r->body && r->len ? js_parse(r->body, r->len, NULL) : NULL;
	enum acme_class class = class_of_answer(doc, r);

	if (js_is_object(doc))
		put_document(err, class, doc);
	else
		put_other(err, class, r);
	err->http_status = r->status;
	if ((class == ACME_WAIT || class == ACME_TRANSIENT) && r->retry_after >= 0)
		err->not_before = clock_now() + clamp(r->retry_after, ACME_WAIT_MIN, ACME_WAIT_MAX);
	js_free(doc);
	return class;
}

enum acme_class acme_problem_parse(const struct js *problem, struct err *err)
{
	const struct row *row = row_find(short_type(js_str(problem, "type")));
	int64_t status = js_int(problem, "status", 0);
	bool valid = status >= 100 && status < 600;
	enum acme_class otherwise = valid ? class_of_status((int)status) : ACME_TRANSIENT;
	enum acme_class class = row ? row->validation : class_of_parts(js_arr(problem, "subproblems"), otherwise);

	if (class == ACME_WAIT)
		class = ACME_PERMANENT;
	put_document(err, class, problem);
	err->http_status = valid ? (int)status : 0;
	return class;
}
