/* SPDX-License-Identifier: ISC */
#include "keeper/acs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "crypto/acs.h"
#include "keeper/credential.h"

#define VERSION "2020-04-07" /* of every call in the table */

enum {
	ROW_PARAMS = 10,
	NONCE = 32, /* as many digits as the vendor's own programs send */
	NUMBER_DIGITS = 2,
	SECRET_MAX = 512, TOKEN_MAX = 8 * 1024,
};

static bool refuse(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(struct err *err, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(err, ERR_DENIED, "policy", "the keeper does not sign this: %s", why);
}

/* --- the table --- */

#define PAGE "CurrentPage", "ShowSize"

/* NAME, as acs_param_fits; NAME=VALUE: with that value only, and not without. */
static const struct row {
	const char *action;
	const char *param[ROW_PARAMS];
} rows[] = {
	{ "ListInstances", { "Status", "CertificateStatus", "InstanceType", "CertificateType", "Brand", "Keyword", "ResourceGroupId", PAGE } },
	{ "GetInstanceDetail", { "InstanceId" } },
	{ "GetInstanceSummary", { "InstanceType" } },
	{ "GetTaskAttribute", { "TaskId", "TaskType" } },
	{ "ListContact", { "Keyword", PAGE } },
	{ "ListCompanies", { "CompanyId", "Keyword", PAGE } },
	{ "ListCertificates", { "InstanceId", "CertificateSource", "CertificateStatus", "Keyword", "ResourceGroupId", PAGE } },
	{ "GetCertificateDetail", { "CertificateId" } },
	/* Unfiltered it tells the private key of any certificate of the account that the service holds one of. */
	{ "GetUserCertificateDetail", { "CertId", "CertFilter=true" } },
};

/* Of the number of a list's entry at the beginning; 0: there is none. */
static size_t number_len(const char *s)
{
	size_t len = strspn(s, "0123456789");

	return s[0] != '0' && len <= NUMBER_DIGITS ? len : 0;
}

bool acs_param_fits(const char *row, const char *name)
{
	for (; *row && *row != '='; row++) {
		size_t len = *row == '#' ? number_len(name) : *row == *name;

		if (!len)
			return false;
		name += len;
	}
	return !*name;
}

static const struct row *find_row(const char *action)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(rows[i].action, action) == 0)
			return &rows[i];
	return NULL;
}

static const char *find_param(const struct row *row, const char *name)
{
	for (size_t i = 0; i < ROW_PARAMS && row->param[i]; i++)
		if (acs_param_fits(row->param[i], name))
			return row->param[i];
	return NULL;
}

/* *all: bytes of the values so far. */
static bool check_param(const struct row *row, const char *name, const char *value, size_t *all, struct err *err)
{
	const char *param = find_param(row, name), *fixed = param ? strchr(param, '=') : NULL;
	char shown[64];

	text_escape(name, strlen(name), shown, sizeof shown);
	if (!param)
		return refuse(err, "%s has no parameter \"%s\"", row->action, shown);
	if (!value)
		return refuse(err, "%s: %s is no text", row->action, shown);
	if (fixed && strcmp(value, fixed + 1) != 0)
		return refuse(err, "%s: %s with another value than \"%s\"", row->action, shown, fixed + 1);
	*all += strlen(value);
	if (strlen(value) > ACS_VALUE_MAX || *all > ACS_VALUES_MAX)
		return refuse(err, "%s: %s, or all together, are too long", row->action, shown);
	return true;
}

static bool check_fixed(const struct row *row, const struct js *params, struct err *err)
{
	for (size_t i = 0; i < ROW_PARAMS && row->param[i]; i++) {
		bool there = !strchr(row->param[i], '=');

		for (void *p = js_first(params); p && !there; p = js_next(params, p))
			there = acs_param_fits(row->param[i], js_key(p));
		if (!there)
			return refuse(err, "%s without %s", row->action, row->param[i]);
	}
	return true;
}

bool acs_wish_check(const struct acs_wish *w, struct err *err)
{
	const struct row *row = find_row(w->action);
	char shown[64];
	size_t all = 0;

	if (!row)
		return refuse(err, "the call \"%s\" is not in its table", text_escape(w->action, strlen(w->action), shown, sizeof shown));
	if (w->skew < -ACS_SKEW_MAX || w->skew > ACS_SKEW_MAX)
		return refuse(err, "for a clock that is more than a day away from ours");
	if (js_len(w->params) > ACS_PARAMS_MAX)
		return refuse(err, "%s with more than %d parameters", row->action, ACS_PARAMS_MAX);
	for (void *i = js_first(w->params); i; i = js_next(w->params, i))
		if (!check_param(row, js_key(i), js_text(js_value(i)), &all, err))
			return false;
	return check_fixed(row, w->params, err);
}

/* --- credentials --- */

static bool read_secret(const char *folder, const char *name, size_t max, struct buf *out, struct err *err)
{
	buf_init(out, 0);
	if (!credential_read(folder, name, out, err))
		return false;
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] <= ' ' || out->data[i] >= 0x7f || out->len > max)
			return err_set(err, ERR_INPUT, "credential", "the credential \"%s\" is none of an access key: one word of up to %zu characters", name, max);
	return true;
}

/* --- the answer --- */

static struct js *to_js(const struct acs_request *r, const struct acs_signed *s)
{
	struct js *answer = js_object(), *headers = js_array();

	for (size_t i = 0; i < s->nheader; i++) {
		struct buf line;

		buf_init(&line, 0);
		if (buf_printf(&line, "%s: %s", s->header[i].name, s->header[i].value))
			js_add_str(headers, line.data);
		buf_wipe(&line);
	}
	js_put_str(answer, "method", r->method);
	js_put_str(answer, "query", s->query.data);
	js_put(answer, "headers", headers);
	return answer;
}

static struct js *sign(const struct conf_ca *ca, const struct acs_wish *w, const struct acs_key *key, struct err *err)
{
	struct acs_pair param[ACS_PARAMS_MAX];
	char date[TEXT_TIME], nonce[DIGEST_HEX];
	struct acs_request r = {
		.method = "POST", .host = conf_ca_address(ca), .action = w->action, .version = VERSION, .format = "JSON", .param = param,
		.date = text_time_format(clock_now() + w->skew, date), .nonce = digest_salt(nonce),
	};
	struct acs_signed s;
	struct js *answer = NULL;

	nonce[NONCE] = '\0';
	for (void *i = js_first(w->params); i; i = js_next(w->params, i))
		param[r.nparam++] = (struct acs_pair){ js_key(i), js_text(js_value(i)) };
	if (ca->signature == CONF_SIGNATURE_RPC ? acs_sign_query(&r, key, &s, err) : acs_sign_headers(&r, key, &s, err))
		answer = to_js(&r, &s);
	acs_signed_free(&s);
	return answer;
}

struct js *acs_wish_sign(const char *folder, const struct conf_ca *ca, const struct acs_wish *w, struct err *err)
{
	struct buf secret, token;
	struct acs_key key = { .id = ca->access_key_id };
	struct js *answer = NULL;

	if (!acs_wish_check(w, err))
		return NULL;
	buf_init(&token, 0);
	if (read_secret(folder, ca->access_key_secret, SECRET_MAX, &secret, err) &&
		(!ca->security_token || read_secret(folder, ca->security_token, TOKEN_MAX, &token, err))) {
		key.secret = secret.data;
		key.token = ca->security_token ? token.data : NULL;
		answer = sign(ca, w, &key, err);
	}
	buf_wipe(&secret);
	buf_wipe(&token);
	return answer;
}
