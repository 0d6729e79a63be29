/* SPDX-License-Identifier: ISC */
#include "ca/cas_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"
#include "ca/cas_xml.h"

enum { MESSAGE = 300, SHOWN = 200, RECOMMEND = 128, CODE = 64, RETRY_AFTER_DIGITS = 9 };

#define RAM "the RAM policy of this access key has to allow the operation, under both of its prefixes, yundun-cert: and cas:"
#define SITE "are site and endpoint those of this account?"
#define QUOTA "nothing is left to be used: buy more in the console"
#define KEY "are access_key_id, access_key_secret and site of one account?"

struct row {
	const char *code; /* "X*": all that begin so, unless they have a row of their own above */
	enum err_kind kind;
	enum cas_retry retry;
	const char *remedy; /* NULL: none that we know */
};

/* The first that fits counts. */
static const struct row rows[] = {
	{"InvalidTimeStamp.Expired", ERR_TEMP, CAS_RETRY_CLOCK, "set the clock of this host"},
	{"InvalidTimeStamp*", ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"SignatureNonceUsed", ERR_TEMP, CAS_RETRY_NONCE, NULL},
	{"SignatureDoesNotMatch", ERR_DENIED, CAS_RETRY_NEVER, KEY},
	{"IncompleteSignature", ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"InvalidSignatureMethod", ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"InvalidAccessKeyId.NotFound", ERR_DENIED, CAS_RETRY_NEVER, KEY},
	{"InvalidAccessKeyId.Inactive", ERR_DENIED, CAS_RETRY_NEVER, "this access key is disabled: enable it or configure another"},
	{"InvalidAccessKeyId*", ERR_DENIED, CAS_RETRY_NEVER, KEY},
	{"InvalidSecurityToken.Expired", ERR_TEMP, CAS_RETRY_TOKEN, "whatever renews the credentials of security_token has to do so"},
	{"InvalidSecurityToken*", ERR_DENIED, CAS_RETRY_TOKEN, "is security_token that of this access key?"},
	{"UnsupportedHTTPMethod", ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"InvalidAction.NotFound", ERR_DENIED, CAS_RETRY_NEVER, SITE},
	{"InvalidApi.NotFound", ERR_DENIED, CAS_RETRY_NEVER, SITE},
	{"InvalidProduct.NotFound", ERR_DENIED, CAS_RETRY_NEVER, SITE},
	{"InvalidProtocol.NeedSsl", ERR_INPUT, CAS_RETRY_NEVER, "endpoint has to be https://"},
	{"InvalidVersion", ERR_DENIED, CAS_RETRY_NEVER, SITE},
	{"NoSuchVersion", ERR_DENIED, CAS_RETRY_NEVER, SITE},
	{"NotApplicable", ERR_DENIED, CAS_RETRY_NEVER, SITE},
	{"Forbidden.RAM", ERR_DENIED, CAS_RETRY_NEVER, RAM},
	{"NoPermission*", ERR_DENIED, CAS_RETRY_NEVER, RAM},
	{"PermissionDenied*", ERR_DENIED, CAS_RETRY_NEVER, RAM},
	{"AccessDenied*", ERR_DENIED, CAS_RETRY_NEVER, RAM},
	{"Forbidden.UserVerification", ERR_DENIED, CAS_RETRY_NEVER, "the account has to be verified in the console"},
	{"Forbidden.RiskControl", ERR_DENIED, CAS_RETRY_NEVER, "the account is restricted: only the vendor's support can tell why"},
	{"Forbidden*", ERR_DENIED, CAS_RETRY_NEVER, "is anything wrong with the account, or with the rights of this access key?"},
	{"FlowControlError", ERR_LIMIT, CAS_RETRY_WAIT, NULL},
	{"ServiceUnavailable", ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"InternalError", ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"UnKnownError", ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"Error", ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"500", ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"OperationDenied.SystemUpgrading", ERR_TEMP, CAS_RETRY_LATER, NULL},
	{"OperationDenied.StatusNotSupport", ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"OperationDenied.NotSameCompanyEntity", ERR_DENIED, CAS_RETRY_NEVER, "the company is not the one the account was verified for"},
	{"OperationDenied*", ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"InvalidStatus*", ERR_TEMP, CAS_RETRY_STATE, NULL}, /* UpdateProtection, DeleteProtection: for seconds */
	{"OrderStateError", ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"InsufficientQuota", ERR_DENIED, CAS_RETRY_NEVER, QUOTA},
	{"CouldNotRefund*", ERR_DENIED, CAS_RETRY_NEVER, NULL},
	{"DeductQuotaFailed", ERR_DENIED, CAS_RETRY_NEVER, QUOTA},
	{"NotFoundPackage", ERR_DENIED, CAS_RETRY_NEVER, QUOTA},
	{"NotRemainCount", ERR_DENIED, CAS_RETRY_NEVER, QUOTA},
	{"OrderExpired", ERR_DENIED, CAS_RETRY_NEVER, "this instance has run out: another has to be bought"},
	{"NotFound*", ERR_DENIED, CAS_RETRY_NEVER, "is the id right, and site that where it was bought?"},
	{"InvalidInstanceId*", ERR_DENIED, CAS_RETRY_NEVER, "is the id right, and site that where it was bought?"},
	{"DomainAndProductNotMatch", ERR_INPUT, CAS_RETRY_NEVER, "the instance is not made for these names"},
	{"Domain*", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"InvalidParameter.MobileIllegal", ERR_INPUT, CAS_RETRY_NEVER, "the contact's telephone number has to be corrected"},
	{"Invalid*", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"Missing*", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"AlreadyExists*", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"NameRepeat", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"ParamRepeat", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"Certificate*", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"CreateCsrFailed", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"DataTooLongException", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"DecryptError", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"ParseCertificateFailed", ERR_INPUT, CAS_RETRY_NEVER, NULL},
	{"ResourceAlreadyAssociated", ERR_TEMP, CAS_RETRY_STATE, NULL},
	{"CreateOrderFailed", ERR_DENIED, CAS_RETRY_STATE, NULL}, /* whether one was made all the same is to be seen there */
};

/* Ours, for answers that are none of theirs. */
#define NOT_JSON "answer"

static bool code_fits(const char *pattern, const char *code)
{
	size_t len = strlen(pattern);

	return pattern[len - 1] == '*' ? strncasecmp(code, pattern, len - 1) == 0 : strcasecmp(code, pattern) == 0;
}

static struct row row_of(const char *code, int status)
{
	struct row row = {code, ERR_DENIED, CAS_RETRY_NEVER, NULL};
	size_t i = 0;

	if (strcasestr(code, "Throttling") || status == 429)
		return (struct row){code, ERR_LIMIT, CAS_RETRY_WAIT, NULL};
	while (i < sizeof rows / sizeof rows[0] && !code_fits(rows[i].code, code))
		i++;
	if (i < sizeof rows / sizeof rows[0])
		row = rows[i];
	if ((status >= 500 || status == 408) && row.retry == CAS_RETRY_NEVER)
		row = (struct row){code, ERR_TEMP, CAS_RETRY_LATER, row.remedy};
	return row;
}

enum cas_retry cas_answer_retry(const struct err *err)
{
	if (err->http_status == 0 || strcmp(err->type, NOT_JSON) == 0)
		return err->kind == ERR_TEMP ? CAS_RETRY_LATER : err->kind == ERR_LIMIT ? CAS_RETRY_WAIT : CAS_RETRY_NEVER;
	return row_of(err->type, err->http_status).retry;
}

static bool is_success(const struct http_answer *a)
{
	return a->status >= 200 && a->status < 300;
}

/* ---- when to come back ---- */

/* In no public text stands what unit x-acs-retry-after has; the vendor's own SDK waits so many milliseconds. A small number cannot be meant so by anybody
 * who wants fewer requests, and is read as seconds: to wait for two minutes in vain does less harm than to ask again after two tenths of a second. */
static int64_t wait_said(const struct http_answer *a)
{
	const char *said = http_header(a, "x-acs-retry-after", NULL);
	size_t digits = said ? strspn(said, "0123456789") : 0;
	int64_t n;

	if (!said || digits == 0 || digits > RETRY_AFTER_DIGITS || said[digits])
		return http_retry_after(a);
	n = strtoll(said, NULL, 10);
	return n > CAS_WAIT_SECONDS ? (n + 999) / 1000 : n;
}

/* Who is throttled waits, told or not; who meets a server that is out of order does so when it says how long. */
static void put_wait(const struct http_answer *a, enum cas_retry retry, struct err *err)
{
	int64_t wait = wait_said(a);

	if (!err || (retry != CAS_RETRY_WAIT && (retry != CAS_RETRY_LATER || wait < 0)))
		return;
	if (wait < 0)
		wait = CAS_WAIT_S;
	err->not_before = clock_now() + (wait < 1 ? 1 : wait > CAS_WAIT_MAX_S ? CAS_WAIT_MAX_S : wait);
}

/* ---- the envelope ---- */

/* In the vendor's spelling if it is there, else in any. */
static const struct js *member(const struct js *o, const char *key)
{
	const struct js *other = NULL;

	for (void *i = js_is_object(o) ? js_first(o) : NULL; i; i = js_next(o, i)) {
		if (strcmp(js_key(i), key) == 0)
			return js_value(i);
		if (strcasecmp(js_key(i), key) == 0)
			other = js_value(i);
	}
	return other;
}

static const char *member_text(const struct js *o, const char *key)
{
	return js_text(member(o, key));
}

/* The code as text; "" when there is none, or one that says that all is well. */
static void code_read(const struct js *o, char out[CODE])
{
	static const char *const fine[] = {"200", "OK", "Success"};
	const struct js *code = member(o, "Code");
	char *number = js_is_int(code) ? js_dump(code) : NULL;
	const char *text = number ? number : js_text(code);

	text_escape(text ? text : "", text ? strlen(text) : 0, out, CODE);
	free(number);
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
		if (strcasecmp(out, fine[i]) == 0)
			out[0] = '\0';
}

/* What was to be signed is repeated to whoever signed it wrongly: SecurityToken=... in a query (once more encoded: %3D), x-acs-security-token:... in a
 * header. How much of `text` is before that. */
static size_t before_token(const char *text)
{
	static const char *const names[] = {"SecurityToken", "security-token"};
	size_t least = strlen(text);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *at = text;

		while ((at = strcasestr(at, names[i]))) {
			at += strlen(names[i]);
			if (strchr("=%:\"", *at) && *at && (size_t)(at - text) < least)
				least = (size_t)(at - text);
		}
	}
	return least;
}

/* Adds prefix, text, suffix as one, escaped; all or nothing. */
static void add(char *out, size_t room, const char *prefix, const char *text, const char *suffix)
{
	char safe[512];
	size_t used = strlen(out), need;

	if (!text || !*text)
		return;
	text_escape(text, strlen(text), safe, sizeof safe);
	need = strlen(prefix) + strlen(safe) + strlen(suffix);
	if (used + need < room)
		snprintf(out + used, room - used, "%s%s%s", prefix, safe, suffix);
}

/* Which policy, which action, whom: members of text, as they come. */
static void add_access(char *out, size_t room, const struct js *access)
{
	char text[160] = "";

	for (void *i = js_is_object(access) ? js_first(access) : NULL; i; i = js_next(access, i)) {
		char one[80];

		if (!js_text(js_value(i)) || strlen(js_key(i)) + strlen(js_text(js_value(i))) > 70)
			continue; /* an encoded message, which only support can read */
		snprintf(one, sizeof one, "%s=%s", js_key(i), js_text(js_value(i)));
		add(text, sizeof text, *text ? ", " : "", one, "");
	}
	add(out, room, " (", text, ")");
}

static void put_error(const struct http_answer *a, const struct js *o, const char *code, struct err *err)
{
	const char *message = member_text(o, "Message"), *recommend = member_text(o, "Recommend");
	struct row row = row_of(code, a->status);
	char detail[sizeof err->detail] = "";
	size_t clean = message ? before_token(message) : 0;

	if (message)
		text_escape(message, clean, detail, MESSAGE);
	if (message && message[clean])
		add(detail, sizeof detail, "", "(a security token, left out)", "");
	if (!detail[0])
		add(detail, sizeof detail, "", "the service gave no reason", "");
	add(detail, sizeof detail, " (hint: ", row.remedy, ")");
	add_access(detail, sizeof detail, member(o, "AccessDeniedDetail"));
	add(detail, sizeof detail, " (request ", member_text(o, "RequestId"), ")");
	if (recommend && strlen(recommend) <= RECOMMEND)
		add(detail, sizeof detail, " (see ", recommend, ")");
	err_set(err, row.kind, code, "%s", detail);
	put_wait(a, row.retry, err);
}

/* Not theirs: of something between us, or cut. The first bytes are for the eyes of a human only; those of what would have been a success hold names and
 * telephone numbers, or a key, and are for nobody's (nor is what a JSON parser says about them). */
static void put_other(const struct http_answer *a, const char *action, const char *why, struct err *err)
{
	bool limit = a->status == 429 || (a->status == 503 && wait_said(a) >= 0);
	bool denied = a->status >= 400 && a->status < 500 && a->status != 408;
	char safe[SHOWN] = "";

	if (!is_success(a))
		text_escape(a->body, before_token(a->body), safe, sizeof safe);
	err_set(err, limit ? ERR_LIMIT : denied ? ERR_DENIED : ERR_TEMP, NOT_JSON, "%s: HTTP %d with %s%s%s%s", action, a->status, why, *safe ? ": \"" : "",
		safe, *safe ? "\"" : "");
	put_wait(a, limit ? CAS_RETRY_WAIT : denied ? CAS_RETRY_NEVER : CAS_RETRY_LATER, err);
}

static bool refuse(const struct http_answer *a, struct js *o, const char *code, struct err *err)
{
	put_error(a, o, code, err);
	if (err)
		err->http_status = a->status;
	js_free(o);
	return false;
}

bool cas_answer_read(const struct http_answer *a, const char *action, struct js **body, struct err *err)
{
	struct js *json = js_parse(a->body, a->len, NULL), *o = json ? json : cas_xml_read(a->body, a->len);
	char code[CODE];

	*body = NULL;
	code_read(o, code);
	if (*code)
		return refuse(a, o, code, err);
	if (is_success(a) && js_is_object(json)) {
		*body = json;
		return true;
	}
	put_other(a, action, o ? "neither data nor an error code" : a->len ? "something that is no JSON" : "nothing in it", err);
	js_free(o);
	if (err)
		err->http_status = a->status;
	return false;
}
