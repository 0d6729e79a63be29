/* SPDX-License-Identifier: ISC */
/* First line: a protocol's word. The rest: what its server says in plain text before TLS. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/starttls.h"
#include "fuzz.h"

static void check_dialog(const struct starttls *d)
{
	check(d->nout <= sizeof(d->out));
	check((d->why[0] != '\0') == (d->state == STARTTLS_FAILED));
	check(d->state != STARTTLS_AGREED || d->nout == 0);
	for (const char *c = d->why; *c; c++)
		check((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* Everything is asked in time, and the answers come byte by byte. */
static void talk(struct starttls *d, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		enum starttls_state before = d->state;

		starttls_sent(d, d->nout);
		starttls_take(d, data + i, 1);
		check_dialog(d);
		check(before == STARTTLS_TALKS || d->state == STARTTLS_FAILED);
		check(i < STARTTLS_BYTES || d->state != STARTTLS_TALKS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *eol = size ? memchr(text, '\n', size) : NULL;
	static struct starttls d;
	struct addr us;
	size_t word;

	if (!eol || !addr_parse_ip("127.0.0.1", 0, &us))
		return 0;
	word = (size_t)(eol - text);
	for (int kind = STARTTLS_NONE + 1; kind < STARTTLS_KINDS; kind++) {
		if (strlen(starttls_words[kind]) != word || memcmp(starttls_words[kind], text, word) != 0)
			continue;
		starttls_begin(&d, (enum starttls_kind)kind, "www.test", &us);
		talk(&d, eol + 1, size - word - 1);
		starttls_begin(&d, (enum starttls_kind)kind, "www.test", &us);
		starttls_take(&d, eol + 1, size - word - 1);
		check_dialog(&d);
		check(d.state != STARTTLS_AGREED); /* nothing was asked */
	}
	return 0;
}
