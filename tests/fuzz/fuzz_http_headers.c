/* SPDX-License-Identifier: ISC */
/* First line: a URL. The rest: an answer's head as it comes from the wire. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/http.h"
#include "io/http_head.h"
#include "fuzz.h"

static void fuzz_url(const char *text, size_t len)
{
	char *url = mem_strndup(text, len);
	struct http_url parts;
	struct addr a;

	if (http_url_parse(url, &parts)) {
		check(parts.port > 0);
		check(strlen(parts.host) > 0);
		check(addr_parse_ip(parts.host, 0, &a) || !strpbrk(parts.host, ":[]@/?#%\\ "));
		check(!*parts.path || *parts.path == '/' || *parts.path == '?');
		check(parts.path >= url && parts.path <= url + strlen(url));
	}
	free(url);
}

static void fuzz_answer(const struct http_answer *answer)
{
	static const char *const rels[] = { "alternate", "next", "up", "" };
	int64_t seconds = http_retry_after(answer);
	char *links[5];
	size_t from = 0;
	const char *value;

	check(seconds >= -1 && seconds <= INT64_C(10) * 365 * 86400);
	for (size_t i = 0; i < sizeof(rels) / sizeof(*rels); i++) {
		size_t n = http_links(answer, rels[i], links, 5);

		check(n <= 5);
		while (n > 0) {
			fuzz_url(links[n - 1], strlen(links[n - 1]));
			free(links[--n]);
		}
	}
	while ((value = http_header(answer, "Replay-Nonce", &from)))
		check(*value != ' ' && !strpbrk(value, "\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size, *eol = size ? memchr(p, '\n', size) : NULL;
	const char *headers[HTTP_HEADERS_MAX + 1] = { NULL };
	struct http_answer answer = { .headers = headers };
	struct head head = { .n = 0 };
	const char *line;

	fuzz_url(p, (size_t)((eol ? eol : end) - p));
	for (p = eol ? eol + 1 : end; p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (!eol)
			eol = end - 1;
		if (!head_add(&head, p, (size_t)(eol + 1 - p)))
			break;
	}
	check(head.n <= HTTP_HEADERS_MAX);
	line = head.lines.data;
	for (size_t i = 0; i < head.n; i++, line += strlen(line) + 1) {
		check(line < head.lines.data + head.lines.len && strchr(line, ':'));
		headers[i] = line;
	}
	fuzz_answer(&answer);
	buf_free(&head.lines);
	return 0;
}
