/* SPDX-License-Identifier: ISC */
/* The parts of HTTP that are only text: URLs and header values. Everything here was written by a stranger. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/http.h"
#include "io/http_head.h"

#define DIGITS "0123456789"
#define BLANKS " \t"

enum { HOST_MAX = 253, LABEL_MAX = 63, LINE_MAX_BYTES = 16 * 1024, HEAD_MAX_BYTES = 128 * 1024 };
#define RETRY_AFTER_MAX (INT64_C(10) * 365 * 86400)

/* Numbers as the last label mean an IPv4 address to some parsers, in forms ("0x7f.1", "2130706433") that others read otherwise. */
static bool ends_in_number(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *label = dot ? dot + 1 : host;

	return label[strspn(label, DIGITS)] == '\0' || (label[0] == '0' && label[1] == 'x');
}

static bool is_host_name(const char *host)
{
	const char *label = host;

	if (strlen(host) > HOST_MAX || host[strspn(host, "abcdefghijklmnopqrstuvwxyz" DIGITS "-_.")])
		return false;
	for (;;) {
		size_t len = strcspn(label, ".");

		if (len == 0 || len > LABEL_MAX)
			return false;
		if (!label[len])
			return true;
		label += len + 1;
	}
}

static bool take_host(const char *text, size_t len, bool bracketed, char out[256])
{
	struct addr a;

	if (len == 0 || len > 255)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
	out[len] = '\0';
	if (bracketed || ends_in_number(out))
		return addr_parse_ip(out, 0, &a) && (a.ss.ss_family == AF_INET6) == bracketed;
	return is_host_name(out);
}

static bool take_port(const char *text, size_t len, uint16_t *out)
{
	unsigned port = 0;

	if (len == 0 || len > 5 || strspn(text, DIGITS) < len)
		return false;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	*out = (uint16_t)port;
	return port > 0 && port <= UINT16_MAX;
}

bool http_url_parse(const char *url, struct http_url *out)
{
	const char *p = url, *end, *host_end;
	bool bracketed;

	memset(out, 0, sizeof(*out));
	if (strnlen(url, HTTP_URL_MAX + 1) > HTTP_URL_MAX)
		return false;
	for (p = url; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("\"<>\\^`{|}#", *p))
			return false;
	out->https = strncasecmp(url, "https://", 8) == 0;
	if (!out->https && strncasecmp(url, "http://", 7) != 0)
		return false;
	p = url + (out->https ? 8 : 7);
	end = p + strcspn(p, "/?");
	bracketed = *p == '[';
	if (bracketed)
		p++;
	host_end = memchr(p, bracketed ? ']' : ':', (size_t)(end - p));
	if (bracketed && !host_end)
		return false;
	if (!take_host(p, (size_t)((host_end ? host_end : end) - p), bracketed, out->host))
		return false;
	p = host_end ? host_end + bracketed : end;
	out->port = out->https ? 443 : 80;
	out->path = end;
	return p == end || (*p == ':' && take_port(p + 1, (size_t)(end - p - 1), &out->port));
}

static bool is_field(const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);

	if (!colon || colon == line || strchr(BLANKS, line[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return false;
	return true;
}

bool head_may_send(const char *line)
{
	size_t len = strlen(line), name = strcspn(line, ":"), blanks = line[name] ? strspn(line + name + 1, BLANKS) : 0;

	return len <= LINE_MAX_BYTES && is_field(line, len) && strcspn(line, BLANKS "\"(),/;<=>?@[\\]{}") > name && line[name + 1 + blanks];
}

bool head_add(struct head *h, const char *line, size_t len)
{
	h->bytes += len;
	if (len > LINE_MAX_BYTES || h->bytes > HEAD_MAX_BYTES)
		return false;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		buf_reset(&h->lines);
		h->n = 0;
		h->complete = false;
		return true;
	}
	while (len > 0 && memchr(BLANKS "\r\n", line[len - 1], 4))
		len--;
	if (len == 0)
		h->complete = true;
	else if (!h->complete && h->n < HTTP_HEADERS_MAX && is_field(line, len) && buf_add(&h->lines, line, len) &&
		buf_add(&h->lines, "", 1))
		h->n++;
	return true;
}

const char *http_header(const struct http_answer *a, const char *name, size_t *from)
{
	size_t len = strlen(name), i = from ? *from : 0;
	const char *value = NULL;

	for (; !value && a->headers[i]; i++)
		if (strncasecmp(a->headers[i], name, len) == 0 && a->headers[i][len] == ':')
			value = a->headers[i] + len + 1;
	if (from)
		*from = i;
	return value ? value + strspn(value, BLANKS) : NULL;
}

int64_t http_retry_after(const struct http_answer *a)
{
	const char *value = http_header(a, "Retry-After", NULL), *date = http_header(a, "Date", NULL);
	int64_t now, then, seconds = 0;

	if (!value || !*value)
		return -1;
	if (!value[strspn(value, DIGITS)]) {
		for (; *value && seconds < RETRY_AFTER_MAX; value++)
			seconds = seconds * 10 + (*value - '0');
	} else {
		if (!text_time_parse_http(value, &then))
			return -1;
		if (!date || !text_time_parse_http(date, &now)) /* their clock, so that ours may be wrong */
			now = clock_now();
		seconds = then > now ? then - now : 0;
	}
	return seconds < RETRY_AFTER_MAX ? seconds : RETRY_AFTER_MAX;
}

/* One of the blank-separated words of s is `word`. */
static bool has_word(const char *s, size_t len, const char *word)
{
	const char *end = s + len;

	while (s < end) {
		size_t n = 0;

		while (s + n < end && s[n] != ' ' && s[n] != '\t')
			n++;
		if (n == strlen(word) && strncasecmp(s, word, n) == 0)
			return true;
		s += n + (s + n < end);
	}
	return false;
}

/* At the opening quote: behind the closing one, or the end of the text. */
static const char *skip_quoted(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* Parameters of one link, up to the comma behind it or the end. Is its (first) rel ours? */
static const char *link_params(const char *p, const char *rel, bool *ours)
{
	bool seen = false;

	*ours = false;
	for (p += strspn(p, BLANKS ";"); *p && *p != ','; p += strspn(p, BLANKS ";")) {
		const char *name = p, *value;
		size_t name_len = strcspn(p, BLANKS ";,=\"");

		p += name_len;
		p += strspn(p, BLANKS);
		if (*p == '"') {
			p = skip_quoted(p);
			continue;
		}
		if (*p != '=')
			continue;
		p++;
		value = p += strspn(p, BLANKS);
		p = *p == '"' ? skip_quoted(p) : p + strcspn(p, BLANKS ";,");
		if (name_len != 3 || strncasecmp(name, "rel", 3) != 0 || seen)
			continue;
		seen = true;
		if (*value == '"')
			value++;
		*ours = has_word(value, (size_t)(p - value) - (p > value && p[-1] == '"'), rel);
	}
	return p;
}

static size_t links_of(const char *p, const char *rel, char **out, size_t room)
{
	size_t n = 0;
	bool ours;

	while (n < room) {
		const char *target, *end;

		p += strspn(p, BLANKS ",");
		if (*p != '<' || !(end = strchr(p, '>')))
			return n;
		target = p + 1;
		p = link_params(end + 1, rel, &ours);
		if (ours)
			out[n++] = mem_strndup(target, (size_t)(end - target));
	}
	return n;
}

size_t http_links(const struct http_answer *a, const char *rel, char **out, size_t room)
{
	size_t n = 0, from = 0;
	const char *value;

	while (n < room && (value = http_header(a, "Link", &from)))
		n += links_of(value, rel, out + n, room - n);
	return n;
}
