/* SPDX-License-Identifier: ISC */
#include "base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum { DEPTH = 64 };

/* struct js is never defined: a value is jansson's own under our name. */
static json_t *in(const struct js *v)
{
	return (json_t *)v;
}

static struct js *out(json_t *v)
{
	return (struct js *)v;
}

/* jansson then never sees an allocation fail, so none of its builders returns NULL for want of memory. Any of it may have been a secret. */
__attribute__((constructor)) static void use_mem(void)
{
	json_set_alloc_funcs(mem_bytes, mem_wipe);
}

/* Counted before parsing: jansson allows 2048 levels, and its dump and copy recurse over them. */
static bool is_shallow(const char *text, size_t len)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '"')
			quoted = !quoted;
		else if (quoted)
			i += c == '\\';
		else if ((c == '[' || c == '{') && ++depth > DEPTH)
			return false;
		else if (c == ']' || c == '}')
			depth--;
	}
	return true;
}

struct js *js_parse(const char *text, size_t len, struct err *err)
{
	json_error_t why;
	json_t *v;

	if (!is_shallow(text, len)) {
		err_set(err, ERR_TEMP, "json", "JSON is nested more than %d deep", DEPTH);
		return NULL;
	}
	v = json_loadb(text ? text : "", len, JSON_REJECT_DUPLICATES, &why);
	if (!v)
		err_set(err, ERR_TEMP, "json", "bad JSON at byte %d: %s", why.position, why.text);
	return out(v);
}

char *js_dump(const struct js *v)
{
	char *s = json_dumps(in(v), JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	return s ? s : mem_strdup("null"); /* only a value that contains itself cannot be written */
}

struct js *js_ref(struct js *v)
{
	return out(json_incref(in(v)));
}

void js_free(struct js *v)
{
	json_decref(in(v));
}

bool js_is_object(const struct js *v)
{
	return json_is_object(in(v));
}

bool js_is_array(const struct js *v)
{
	return json_is_array(in(v));
}

bool js_is_string(const struct js *v)
{
	return json_is_string(in(v));
}

bool js_is_int(const struct js *v)
{
	return json_is_integer(in(v));
}

bool js_is_bool(const struct js *v)
{
	return json_is_boolean(in(v));
}

bool js_is_null(const struct js *v)
{
	return json_is_null(in(v));
}

bool js_has(const struct js *obj, const char *key)
{
	return json_object_get(in(obj), key) != NULL;
}

struct js *js_get(const struct js *obj, const char *key)
{
	json_t *v = json_object_get(in(obj), key);

	return json_is_null(v) ? NULL : out(v);
}

const char *js_str(const struct js *obj, const char *key)
{
	return js_text(out(json_object_get(in(obj), key)));
}

int64_t js_int(const struct js *obj, const char *key, int64_t otherwise)
{
	json_t *v = json_object_get(in(obj), key);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

double js_real(const struct js *obj, const char *key, double otherwise)
{
	json_t *v = json_object_get(in(obj), key);

	return json_is_number(v) ? json_number_value(v) : otherwise;
}

bool js_bool(const struct js *obj, const char *key, bool otherwise)
{
	json_t *v = json_object_get(in(obj), key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

struct js *js_obj(const struct js *obj, const char *key)
{
	json_t *v = json_object_get(in(obj), key);

	return json_is_object(v) ? out(v) : NULL;
}

struct js *js_arr(const struct js *obj, const char *key)
{
	json_t *v = json_object_get(in(obj), key);

	return json_is_array(v) ? out(v) : NULL;
}

size_t js_len(const struct js *v)
{
	return json_is_array(in(v)) ? json_array_size(in(v)) : json_object_size(in(v));
}

struct js *js_at(const struct js *arr, size_t i)
{
	return out(json_array_get(in(arr), i));
}

const char *js_str_at(const struct js *arr, size_t i)
{
	return js_text(js_at(arr, i));
}

/* A NUL inside would let a check see less than what was sent. */
const char *js_text(const struct js *v)
{
	const char *s = json_string_value(in(v));

	return s && strlen(s) == json_string_length(in(v)) ? s : NULL;
}

void *js_first(const struct js *obj)
{
	return json_object_iter(in(obj));
}

void *js_next(const struct js *obj, void *i)
{
	return json_object_iter_next(in(obj), i);
}

const char *js_key(void *i)
{
	return json_object_iter_key(i);
}

struct js *js_value(void *i)
{
	return out(json_object_iter_value(i));
}

struct js *js_object(void)
{
	return out(json_object());
}

struct js *js_array(void)
{
	return out(json_array());
}

/* s with what is not UTF-8 escaped: a byte becomes at most four. Caller owns. */
static char *clean(const char *s)
{
	size_t len = strlen(s);
	char *safe = mem_array(len + 1, 4);

	return text_escape(s, len, safe, 4 * (len + 1));
}

struct js *js_string(const char *s)
{
	json_t *v = json_string(s);
	char *safe;

	if (v)
		return out(v);
	safe = clean(s);
	v = json_string(safe);
	free(safe);
	return out(v);
}

void js_put(struct js *obj, const char *key, struct js *v)
{
	char *safe;

	if (text_is_utf8(key, strlen(key))) {
		json_object_set_new_nocheck(in(obj), key, in(v));
		return;
	}
	safe = clean(key);
	json_object_set_new_nocheck(in(obj), safe, in(v));
	free(safe);
}

void js_put_str(struct js *obj, const char *key, const char *s)
{
	if (s)
		js_put(obj, key, js_string(s));
}

void js_put_int(struct js *obj, const char *key, int64_t n)
{
	js_put(obj, key, out(json_integer(n)));
}

void js_put_real(struct js *obj, const char *key, double d)
{
	json_t *v = json_real(d);

	js_put(obj, key, out(v ? v : json_null())); /* JSON has no word for NaN and infinity */
}

void js_put_bool(struct js *obj, const char *key, bool b)
{
	js_put(obj, key, out(json_boolean(b)));
}

void js_put_null(struct js *obj, const char *key)
{
	js_put(obj, key, out(json_null()));
}

void js_put_time(struct js *obj, const char *key, int64_t unix_seconds)
{
	char stamp[TEXT_TIME];

	if (unix_seconds)
		js_put_str(obj, key, text_time_format(unix_seconds, stamp));
}

void js_add(struct js *arr, struct js *v)
{
	json_array_append_new(in(arr), in(v));
}

void js_add_str(struct js *arr, const char *s)
{
	js_add(arr, js_string(s));
}

static const char *or_null(const char *s)
{
	return s[0] ? s : NULL;
}

static struct js *from_sub(const struct err_sub *sub)
{
	struct js *o = js_object();

	js_put_str(o, "identifier", or_null(sub->identifier));
	js_put_str(o, "type", or_null(sub->type));
	js_put_str(o, "detail", or_null(sub->detail));
	return o;
}

struct js *js_from_err(const struct err *err)
{
	unsigned kept = err->nsub < ERR_SUBS ? err->nsub : ERR_SUBS;
	struct js *o = js_object();
	struct js *subs;

	js_put_str(o, "kind", err_kind_name(err->kind));
	js_put_str(o, "type", or_null(err->type));
	js_put_str(o, "detail", or_null(err->detail));
	js_put_str(o, "during", or_null(err->during));
	if (err->http_status)
		js_put_int(o, "status", err->http_status);
	js_put_time(o, "not_before", err->not_before);
	if (kept == 0)
		return o;
	subs = js_array();
	for (unsigned i = 0; i < kept; i++)
		js_add(subs, from_sub(&err->sub[i]));
	js_put(o, "subproblems", subs);
	return o;
}

static void get_text(const struct js *obj, const char *key, char *to, size_t room)
{
	const char *s = js_str(obj, key);

	text_escape(s ? s : "", s ? strlen(s) : 0, to, room);
}

void js_to_err(const struct js *obj, struct err *err)
{
	const struct js *subs = js_arr(obj, "subproblems");
	const char *not_before = js_str(obj, "not_before");
	int64_t status = js_int(obj, "status", 0);
	size_t n = js_len(subs) < ERR_SUBS ? js_len(subs) : ERR_SUBS;

	err_clear(err);
	err->kind = err_kind_find(js_str(obj, "kind"));
	get_text(obj, "type", err->type, sizeof err->type);
	get_text(obj, "detail", err->detail, sizeof err->detail);
	get_text(obj, "during", err->during, sizeof err->during);
	err->http_status = status > 0 && status < 1000 ? (int)status : 0;
	if (!not_before || !text_time_parse(not_before, &err->not_before))
		err->not_before = 0;
	err->nsub = (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		const struct js *sub = js_at(subs, i);

		get_text(sub, "identifier", err->sub[i].identifier, sizeof err->sub[i].identifier);
		get_text(sub, "type", err->sub[i].type, sizeof err->sub[i].type);
		get_text(sub, "detail", err->sub[i].detail, sizeof err->sub[i].detail);
	}
}

const char *js_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "jansson %s", jansson_version_str());
	return text;
}
