/* SPDX-License-Identifier: ISC */
/* The small parsers that everything a peer or an admin wrote passes through: JSON, times, base64, durations, names. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "core/name.h"
#include "fuzz.h"

static void texts(const char *s, size_t len)
{
	char out[64], name[NAME_ROOM];
	unsigned char *bytes;
	struct err err;
	int64_t n;
	size_t got;

	if (text_time_parse(s, &n))
		text_time_format(n, out);
	if (text_time_parse_http(s, &n))
		text_time_format(n, out);
	if (text_duration_parse(s, &n))
		text_duration_format(n, out, sizeof(out));
	if (!text_size_parse(s, &n))
		n = 0;
	if (text_b64url_decode(s, len, &bytes, &got)) {
		char *again = text_b64url_encode(bytes, got);

		check(strlen(again) == len && memcmp(again, s, len) == 0); /* strict means: one text for one value */
		free(again);
		free(bytes);
	}
	if (text_b64_decode_lenient(s, len, &bytes, &got))
		free(bytes);
	text_escape(s, len, out, sizeof(out));
	check(text_is_utf8(out, strlen(out)));
	check(!name_normalise(s, name, &err) || strlen(name) < NAME_ROOM);
	text_glob(s, "example.org");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1), *dump;
	struct err err;
	struct js *v;

	memcpy(s, data, size);
	s[size] = '\0';
	texts(s, strlen(s));
	v = js_parse(s, size, &err);
	if (v) {
		dump = js_dump(v);
		js_to_err(v, &err);
		js_free(v);
		v = js_parse(dump, strlen(dump), &err);
		check(v != NULL); /* what we write we can read */
		js_free(v);
		free(dump);
	}
	free(s);
	return 0;
}
