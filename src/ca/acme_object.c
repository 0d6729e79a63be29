/* SPDX-License-Identifier: ISC */
#include "ca/acme_object.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "ca/acme_problem.h"

/* What may stand in a member and, with the struct that takes it, the type of its slot. */
enum shape {
	TEXT,	/* const char * */
	URL,	/* const char *, of the CA's own origin */
	TIME,	/* int64_t, UNIX seconds */
	FLAG,	/* bool */
	OBJECT, /* const struct js * */
	LIST,	/* const struct js * */
};

struct field {
	const char *name;
	enum shape shape;
	bool required;
	size_t offset;
};

struct reader {
	const struct acme_origin *origin;
	struct err *err;
	const char *what; /* "order": for errors */
	size_t index;	  /* of `what` in its list, counted from 1; 0: in none */
};

struct js *acme_object_read(const char *what, const char *text, size_t len, struct err *err)
{
	struct err why;
	struct js *v = js_parse(text, len, &why);

	if (!v)
		err_set(err, why.kind, why.type, "%s: %s", what, why.detail);
	return v;
}

static const char *const shape_names[] = {
	[TEXT] = "a text",
	[URL] = "a text",
	[TIME] = "a time (RFC 3339)",
	[FLAG] = "true or false",
	[OBJECT] = "an object",
	[LIST] = "a list",
};

static const char *place(const struct reader *r, const char *field, char out[96])
{
	if (r->index)
		snprintf(out, 96, "%s %zu: %s", r->what, r->index, field);
	else
		snprintf(out, 96, "%s: %s", r->what, field);
	return out;
}

static bool refuse(const struct reader *r, enum err_kind kind, const char *field, const char *why, const char *value)
{
	char where[96];

	place(r, field, where);
	if (value)
		return err_set(r->err, kind, kind == ERR_DENIED ? "policy" : "object", "%s %s: \"%.200s\"", where, why, value);
	return err_set(r->err, kind, "object", "%s %s", where, why);
}

static bool wrong_shape(const struct reader *r, const struct field *f)
{
	char why[64];

	snprintf(why, sizeof why, "is not %s", shape_names[f->shape]);
	return refuse(r, ERR_TEMP, f->name, why, NULL);
}

static bool read_text(const struct reader *r, const struct field *f, const char *text, const char **slot)
{
	char where[96];

	*slot = text;
	if (!text)
		return wrong_shape(r, f);
	return f->shape == TEXT || acme_url_check(r->origin, place(r, f->name, where), text, r->err);
}

static bool read_field(const struct reader *r, const struct field *f, const struct js *o, struct js *v, void *slot)
{
	switch (f->shape) {
	case TEXT:
	case URL:
		return read_text(r, f, js_text(v), slot);
	case TIME:
		return (js_text(v) && text_time_parse(js_text(v), slot)) || wrong_shape(r, f);
	case FLAG:
		*(bool *)slot = js_bool(o, f->name, false);
		return js_is_bool(v) || wrong_shape(r, f);
	case OBJECT:
		*(const struct js **)slot = v;
		return js_is_object(v) || wrong_shape(r, f);
	case LIST:
		*(const struct js **)slot = v;
		return js_is_array(v) || wrong_shape(r, f);
	}
	return false;
}

/* out is zeroed: members that are not there keep NULL, 0, false. */
static bool read_fields(const struct reader *r, const struct js *o, const struct field *f, size_t n, void *out)
{
	if (!js_is_object(o))
		return err_set(r->err, ERR_TEMP, "object", "%s%s is not an object", r->what, r->index ? " in its list" : "");
	for (size_t i = 0; i < n; i++) {
		struct js *v = js_get(o, f[i].name);

		if (!v && f[i].required)
			return refuse(r, ERR_TEMP, f[i].name, "is missing", NULL);
		if (v && !read_field(r, &f[i], o, v, (char *)out + f[i].offset))
			return false;
	}
	return true;
}

struct word {
	const char *name;
	int value;
};

static bool read_status(const struct reader *r, const struct word *words, size_t n, const char *text, int *out)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text, words[i].name) == 0) {
			*out = words[i].value;
			return true;
		}
	}
	return refuse(r, ERR_TEMP, "status", "is not known", text);
}

#define COUNT(table) (sizeof table / sizeof table[0])
#define AT(type, member) offsetof(struct type, member)

/* ---- directory ---- */

struct raw_directory {
	struct acme_directory d;
	const struct js *meta;
};

static const struct field directory_fields[] = {
	{"newNonce", URL, true, AT(raw_directory, d.new_nonce)},
	{"newAccount", URL, true, AT(raw_directory, d.new_account)},
	{"newOrder", URL, true, AT(raw_directory, d.new_order)},
	{"revokeCert", URL, false, AT(raw_directory, d.revoke_cert)},
	{"keyChange", URL, false, AT(raw_directory, d.key_change)},
	{"renewalInfo", URL, false, AT(raw_directory, d.renewal_info)},
	{"meta", OBJECT, false, AT(raw_directory, meta)},
};

static const struct field meta_fields[] = {
	{"termsOfService", TEXT, false, AT(acme_directory, terms)},
	{"externalAccountRequired", FLAG, false, AT(acme_directory, eab_required)},
	{"profiles", OBJECT, false, AT(acme_directory, profiles)},
};

bool acme_directory_parse(const struct js *v, const struct acme_origin *o, struct acme_directory *out, struct err *err)
{
	struct reader r = {o, err, "directory", 0};
	struct reader meta = {o, err, "directory meta", 0};
	struct raw_directory raw = {0};

	if (!read_fields(&r, v, directory_fields, COUNT(directory_fields), &raw))
		return false;
	if (raw.meta && !read_fields(&meta, raw.meta, meta_fields, COUNT(meta_fields), &raw.d))
		return false;
	*out = raw.d;
	out->caa = js_arr(raw.meta, "caaIdentities");
	return true;
}

/* ---- account ---- */

static const struct field account_fields[] = {
	{"status", TEXT, true, AT(acme_account_object, status)},
};

static const struct word account_words[] = {{"valid", true}, {"deactivated", false}, {"revoked", false}};

bool acme_account_parse(const struct js *v, struct acme_account_object *out, struct err *err)
{
	struct reader r = {NULL, err, "account", 0};
	int valid = false;

	memset(out, 0, sizeof *out);
	if (!read_fields(&r, v, account_fields, COUNT(account_fields), out) ||
		!read_status(&r, account_words, COUNT(account_words), out->status, &valid))
		return false;
	out->valid = valid;
	return true;
}

/* ---- identifiers ---- */

struct raw_identifier {
	const char *type, *value;
};

static const struct field identifier_fields[] = {
	{"type", TEXT, true, AT(raw_identifier, type)},
	{"value", TEXT, true, AT(raw_identifier, value)},
};

/* What goes on into files, DNS questions and logs is a name and nothing else. Returns it in lower case, NULL on error. */
static const char *read_identifier(const struct reader *r, struct arena *a, const struct js *v, bool star)
{
	struct raw_identifier raw = {0};
	size_t from, len;
	char *name;

	if (!read_fields(r, v, identifier_fields, COUNT(identifier_fields), &raw))
		return NULL;
	if (strcmp(raw.type, "dns") != 0) {
		refuse(r, ERR_TEMP, "type", "is not one we asked for", raw.type);
		return NULL;
	}
	from = star && strncmp(raw.value, "*.", 2) == 0 ? 2 : 0;
	len = strlen(raw.value);
	name = arena_strdup(a, raw.value);
	for (size_t i = from; i < len; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (char)(name[i] - 'A' + 'a');
	if (len == from || len > 253 || strspn(name + from, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != len - from) {
		refuse(r, ERR_DENIED, "value", "is not a name", raw.value);
		return NULL;
	}
	return name;
}

/* ---- order ---- */

struct raw_order {
	struct issuer_order order;
	const char *status;
	const struct js *identifiers, *authorizations, *error;
};

static const struct field order_fields[] = {
	{"status", TEXT, true, AT(raw_order, status)},
	{"expires", TIME, false, AT(raw_order, order.expires)},
	{"identifiers", LIST, true, AT(raw_order, identifiers)},
	{"authorizations", LIST, true, AT(raw_order, authorizations)},
	{"finalize", URL, false, AT(raw_order, order.finalize)},
	{"certificate", URL, false, AT(raw_order, order.certificate)},
	{"error", OBJECT, false, AT(raw_order, error)},
};

static const struct word order_words[] = {
	{"pending", ISSUER_PENDING},
	{"ready", ISSUER_READY},
	{"processing", ISSUER_PROCESSING},
	{"valid", ISSUER_VALID},
	{"invalid", ISSUER_INVALID},
};

static bool read_names(const struct reader *r, struct arena *a, struct raw_order *raw)
{
	size_t n = js_len(raw->identifiers);
	const char **names = arena_array(a, n, sizeof *names);

	for (size_t i = 0; i < n; i++) {
		struct reader one = {r->origin, r->err, "order: identifier", i + 1};

		names[i] = read_identifier(&one, a, js_at(raw->identifiers, i), true);
		if (!names[i])
			return false;
	}
	raw->order.names = names;
	raw->order.nnames = n;
	return true;
}

static bool read_authz_urls(const struct reader *r, struct arena *a, struct raw_order *raw)
{
	size_t n = js_len(raw->authorizations);
	const char **urls = arena_array(a, n, sizeof *urls);

	for (size_t i = 0; i < n; i++) {
		urls[i] = js_str_at(raw->authorizations, i);
		if (!urls[i])
			return refuse(r, ERR_TEMP, "authorizations", "holds something that is not a text", NULL);
		if (!acme_url_check(r->origin, "order: authorizations", urls[i], r->err))
			return false;
	}
	raw->order.authz = urls;
	raw->order.nauthz = n;
	return true;
}

static const struct err *read_problem(struct arena *a, const struct js *problem)
{
	struct err *err = arena_alloc(a, sizeof *err);

	acme_problem_parse(problem, err);
	return err;
}

bool acme_order_parse(struct arena *a, const struct js *v, const struct acme_origin *o, struct issuer_order *out, struct err *err)
{
	struct reader r = {o, err, "order", 0};
	struct raw_order raw = {0};
	int status = 0;

	if (!read_fields(&r, v, order_fields, COUNT(order_fields), &raw) || !read_status(&r, order_words, COUNT(order_words), raw.status, &status) ||
		!read_names(&r, a, &raw) || !read_authz_urls(&r, a, &raw))
		return false;
	raw.order.status = (enum issuer_status)status;
	if (raw.order.nnames == 0)
		return refuse(&r, ERR_TEMP, "identifiers", "is empty", NULL);
	if (!raw.order.finalize && (status == ISSUER_PENDING || status == ISSUER_READY))
		return refuse(&r, ERR_TEMP, "finalize", "is missing", NULL);
	if (!raw.order.certificate && status == ISSUER_VALID)
		return refuse(&r, ERR_TEMP, "certificate", "is missing although the order is valid", NULL);
	if (raw.error && status == ISSUER_INVALID)
		raw.order.problem = read_problem(a, raw.error);
	raw.order.url = out->url;
	raw.order.wait_ms = out->wait_ms;
	*out = raw.order;
	return true;
}

static bool holds(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

bool acme_order_check(const struct issuer_order *order, const char *const *names, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!holds(order->names, order->nnames, names[i]))
			return err_set(err, ERR_DENIED, "identifiers", "the CA's order lacks \"%s\"", names[i]);
	for (size_t i = 0; i < order->nnames; i++)
		if (!holds(names, n, order->names[i]))
			return err_set(err, ERR_DENIED, "identifiers", "the CA's order has \"%s\", which was not asked for", order->names[i]);
	return true;
}

/* ---- authorization and challenges ---- */

struct raw_challenge {
	const char *type, *url, *token, *status;
	const struct js *error;
};

static const struct field challenge_fields[] = {
	{"type", TEXT, true, AT(raw_challenge, type)},
	{"url", URL, true, AT(raw_challenge, url)},
	{"status", TEXT, true, AT(raw_challenge, status)},
	{"token", TEXT, false, AT(raw_challenge, token)},
	{"error", OBJECT, false, AT(raw_challenge, error)},
};

static const struct word challenge_words[] = {
	{"pending", ISSUER_PROOF_PENDING},
	{"processing", ISSUER_PROOF_PROCESSING},
	{"valid", ISSUER_PROOF_VALID},
	{"invalid", ISSUER_PROOF_INVALID},
};

/* The types whose shape we know: each has a token. Others are passed over unread, as RFC 8555 section 7.1.4 allows. */
static const char *const challenge_types[] = {"http-01", "dns-01", "tls-alpn-01", "dns-account-01"};

static bool is_known_type(const char *type)
{
	for (size_t i = 0; type && i < COUNT(challenge_types); i++)
		if (strcmp(type, challenge_types[i]) == 0)
			return true;
	return false;
}

static bool read_challenge(const struct reader *r, const struct js *v, struct raw_challenge *raw, struct issuer_challenge *out)
{
	int status = 0;

	if (!read_fields(r, v, challenge_fields, COUNT(challenge_fields), raw) ||
		!read_status(r, challenge_words, COUNT(challenge_words), raw->status, &status))
		return false;
	if (raw->token && !text_is_token(raw->token))
		return refuse(r, ERR_DENIED, "token", "is not a token (RFC 8555 section 8.1)", raw->token);
	if (!raw->token && status == ISSUER_PROOF_PENDING)
		return refuse(r, ERR_TEMP, "token", "is missing", NULL);
	out->type = raw->type;
	out->url = raw->url;
	out->token = raw->token;
	out->status = (enum issuer_proof_status)status;
	return true;
}

struct raw_authz {
	struct issuer_authz authz;
	const char *status;
	const struct js *identifier, *challenges;
};

static const struct field authz_fields[] = {
	{"status", TEXT, true, AT(raw_authz, status)},
	{"expires", TIME, false, AT(raw_authz, authz.expires)},
	{"identifier", OBJECT, true, AT(raw_authz, identifier)},
	{"challenges", LIST, true, AT(raw_authz, challenges)},
	{"wildcard", FLAG, false, AT(raw_authz, authz.wildcard)},
};

/* "processing" stands in no RFC for an authorization, but CAs that say it mean: not yet decided. */
static const struct word authz_words[] = {
	{"pending", ISSUER_PENDING},
	{"processing", ISSUER_PENDING},
	{"valid", ISSUER_VALID},
	{"invalid", ISSUER_INVALID},
	{"deactivated", ISSUER_GONE},
	{"expired", ISSUER_GONE},
	{"revoked", ISSUER_GONE},
};

static bool read_challenges(const struct reader *r, struct arena *a, struct raw_authz *raw)
{
	size_t n = js_len(raw->challenges);
	struct issuer_challenge *list = arena_array(a, n, sizeof *list);

	for (size_t i = 0; i < n; i++) {
		const struct js *v = js_at(raw->challenges, i);
		struct reader one = {r->origin, r->err, "authorization: challenge", i + 1};
		struct raw_challenge c = {0};

		if (js_str(v, "type") && !is_known_type(js_str(v, "type")))
			continue;
		if (!read_challenge(&one, v, &c, &list[raw->authz.nchallenge]))
			return false;
		if (c.error && list[raw->authz.nchallenge].status == ISSUER_PROOF_INVALID && !raw->authz.problem)
			raw->authz.problem = read_problem(a, c.error);
		raw->authz.nchallenge++;
	}
	raw->authz.challenge = list;
	return true;
}

bool acme_authz_parse(struct arena *a, const struct js *v, const struct acme_origin *o, struct issuer_authz *out, struct err *err)
{
	struct reader r = {o, err, "authorization", 0};
	struct reader id = {o, err, "authorization: identifier", 0};
	struct raw_authz raw = {0};
	int status = 0;

	if (!read_fields(&r, v, authz_fields, COUNT(authz_fields), &raw) || !read_status(&r, authz_words, COUNT(authz_words), raw.status, &status))
		return false;
	raw.authz.name = read_identifier(&id, a, raw.identifier, false);
	if (!raw.authz.name || !read_challenges(&r, a, &raw))
		return false;
	raw.authz.status = (enum issuer_status)status;
	raw.authz.url = out->url;
	raw.authz.wait_ms = out->wait_ms;
	*out = raw.authz;
	return true;
}
