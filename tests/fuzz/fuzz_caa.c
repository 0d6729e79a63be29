/* SPDX-License-Identifier: ISC */
/* A set of CAA records as anybody may publish it: each line of the input is the data of one record. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "prove/caa.h"
#include "fuzz.h"

/* Printable, and ended. */
static void check_text(const char *text)
{
	check(strnlen(text, CAA_TEXT) < CAA_TEXT && *text);
	for (; *text; text++)
		check((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"ca.example"};
	struct caa_record set[CAA_RECORDS_MAX];
	uint8_t *copy[CAA_RECORDS_MAX];
	size_t n = 0;

	for (size_t at = 0; at < size && n < CAA_RECORDS_MAX;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		copy[n] = malloc(len ? len : 1); /* of this very size, so that reading beyond is seen */
		memcpy(copy[n], data + at, len);
		set[n] = caa_read(&(struct dns_rr){.section = DNS_ANSWER, .type = DNS_CAA, .class = 1, .data = copy[n], .len = len});
		n++;
		at += len + 1;
	}
	for (int i = 0; i < 8; i++) {
		struct caa_ask ask = {names, i & 1, i & 2 ? "https://ca.example/1" : NULL, "dns-01", i & 4};
		char text[CAA_TEXT];
		enum caa_verdict verdict = caa_check(set, n, &ask, text);

		check_text(text);
		check(n || verdict == CAA_FREE);
		check((i & 1) || verdict != CAA_ALLOWED); /* nobody is allowed by a name that is not known */
	}
	for (size_t i = 0; i < n; i++)
		free(copy[i]);
	return 0;
}
