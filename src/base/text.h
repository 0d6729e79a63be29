/* SPDX-License-Identifier: ISC */
/* Small texts: base64url (RFC 4648 section 5), hex, times, durations, sizes, escaping, distance. Pure functions. */
#ifndef DOVAD_BASE_TEXT_H
#define DOVAD_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* base64url without padding. *_encode: caller owns. *_decode: strict alphabet, no padding, no blanks, canonical
 * trailing bits; caller owns *out; false on bad input. */
char *text_b64url_encode(const void *data, size_t len);
bool text_b64url_decode(const char *s, size_t len, unsigned char **out, size_t *out_len) __attribute__((warn_unused_result));
/* Either alphabet, padding optional, surrounding white space ignored: for secrets that people paste (EAB keys). */
bool text_b64_decode_lenient(const char *s, size_t len, unsigned char **out, size_t *out_len) __attribute__((warn_unused_result));
char *text_hex_encode(const void *data, size_t len); /* lower case; caller owns */

enum { TEXT_TIME = 21 }; /* "2026-11-22T16:43:48Z" and NUL */
/* RFC 3339 UTC into out[TEXT_TIME]; returns out. Years outside 0..9999 print as the nearest end. */
char *text_time_format(int64_t unix_seconds, char out[TEXT_TIME]);
bool text_time_parse(const char *s, int64_t *unix_seconds) __attribute__((warn_unused_result));      /* RFC 3339, any offset, fraction ignored */
bool text_time_parse_http(const char *s, int64_t *unix_seconds) __attribute__((warn_unused_result)); /* RFC 9110 section 5.6.7, all three forms */

/* "90s", "15m", "12h", "30d", "2w" -> seconds; "64KiB", "1MiB", "4096" -> bytes. No sign, no blank, no overflow. */
bool text_duration_parse(const char *s, int64_t *seconds) __attribute__((warn_unused_result));
bool text_size_parse(const char *s, int64_t *bytes) __attribute__((warn_unused_result));
/* The two largest units: "3d 4h", "12m 5s", "0s", "-2h": into out; returns out. */
char *text_duration_format(int64_t seconds, char *out, size_t room);

/* Copy s into out so that a terminal, a log reader and a JSON reader are safe: control, DEL, C1, bidi and invalid UTF-8
 * become \xHH or \u{HHHH}; cut with "..." when it does not fit. Always terminated. Returns out. */
char *text_escape(const char *s, size_t len, char *out, size_t room);
bool text_is_utf8(const char *s, size_t len); /* strict: no surrogates, no overlongs, no NUL */
/* RFC 8555 section 8: base64url alphabet, 1..256 characters. The one check every token passes at parse time. */
bool text_is_token(const char *s);
/* [a-z0-9][a-z0-9._-]{0,62}: names of certificates, CAs, services, ... (so never "..", never a slash). */
bool text_is_name(const char *s);
/* A domain name as records have it: up to 253 octets in labels of 1 to 63 of a-z, A-Z, 0-9, '-' and '_', none beginning or ending with a hyphen, no dot
 * at the end. */
bool text_is_domain(const char *s);
/* Is `name` the domain `zone` or below it? Whatever the case of letters. */
bool text_is_below(const char *name, const char *zone);
/* Nearest of n candidates to s by edit distance (at most a third of its length, at least one), or NULL: "did you mean". */
const char *text_nearest(const char *s, const char *const *candidates, size_t n);
/* FNV-1a; for jitter that is the same for one name on every start, never for security. */
uint64_t text_hash(const char *s);
/* Glob with * and ? over the whole of s (dovactl list --name). Linear time. */
bool text_glob(const char *pattern, const char *s);

#endif
