/* SPDX-License-Identifier: ISC */
/* JSON values (jansson inside): strict parsing of what others sent, building of what we send.
 * Duplicate keys, NUL bytes, bad UTF-8, trailing text and a depth over 64 are errors. Foreign values are never dumped or
 * copied recursively beyond that depth. What a value held is overwritten when it is freed. */
#ifndef DOVAD_BASE_JSON_H
#define DOVAD_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct js; /* reference-counted */

/* Parse exactly len bytes into an object or array. Caller owns; NULL and *err (ERR_TEMP "json") on anything else. */
struct js *js_parse(const char *text, size_t len, struct err *err) __attribute__((warn_unused_result));
char *js_dump(const struct js *v); /* compact, keys in insertion order; caller owns */
struct js *js_ref(struct js *v);
void js_free(struct js *v); /* drops one reference; NULL is fine */

/* Reading. A missing member, null, or another type is "not there". obj may be NULL. Results are borrowed. */
bool js_is_object(const struct js *v);
bool js_is_array(const struct js *v);
bool js_is_string(const struct js *v);
bool js_is_int(const struct js *v); /* written without fraction and exponent */
bool js_is_bool(const struct js *v);
bool js_is_null(const struct js *v);
bool js_has(const struct js *obj, const char *key); /* present with any value, null included */
struct js *js_get(const struct js *obj, const char *key);                   /* any of them */
const char *js_str(const struct js *obj, const char *key);                  /* NULL when not there */
int64_t js_int(const struct js *obj, const char *key, int64_t otherwise);
double js_real(const struct js *obj, const char *key, double otherwise);      /* any number */
bool js_bool(const struct js *obj, const char *key, bool otherwise);
struct js *js_obj(const struct js *obj, const char *key);                   /* NULL when not there */
struct js *js_arr(const struct js *obj, const char *key);                   /* NULL when not there */
size_t js_len(const struct js *v);                                          /* of array or object, else 0 */
struct js *js_at(const struct js *arr, size_t i);                           /* NULL beyond the end */
const char *js_str_at(const struct js *arr, size_t i);                      /* NULL when not a string */
const char *js_text(const struct js *v);                                    /* of a string value, else NULL */
/* Walk the members of an object: for (void *i = js_first(o); i; i = js_next(o, i)) ... */
void *js_first(const struct js *obj);
void *js_next(const struct js *obj, void *i);
const char *js_key(void *i);
struct js *js_value(void *i);

/* Building. put/add of a struct js * takes over the reference. Strings must be UTF-8; others are escaped first. */
struct js *js_object(void);
struct js *js_array(void);
struct js *js_string(const char *s);
void js_put(struct js *obj, const char *key, struct js *v);
void js_put_str(struct js *obj, const char *key, const char *s); /* NULL: member left out */
void js_put_int(struct js *obj, const char *key, int64_t n);
void js_put_real(struct js *obj, const char *key, double d);
void js_put_bool(struct js *obj, const char *key, bool b);
void js_put_null(struct js *obj, const char *key);
void js_put_time(struct js *obj, const char *key, int64_t unix_seconds); /* RFC 3339; 0: member left out */
void js_add(struct js *arr, struct js *v);
void js_add_str(struct js *arr, const char *s);
/* A failure as {kind, type, detail, during, status, not_before, subproblems}, and back. */
struct js *js_from_err(const struct err *err);
void js_to_err(const struct js *obj, struct err *err);

const char *js_library(void); /* the library behind this and its version */

#endif
