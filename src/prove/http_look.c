/* SPDX-License-Identifier: ISC */
#include "prove/http_look.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "io/http.h"
#include "io/loop.h"

enum {
	LOOK_REDIRECTS = 10,
	LOOK_BODY_MAX = 4096, /* a proof has 87 bytes; CAs stop reading early too */
	LOOK_TIMEOUT_MS = 10000,
	LOOK_URL_MAX = 2000,
};

struct seek_one { /* one address of the name */
	struct http_seek *seek;
	struct addr address;
	struct http_get *get;
	struct dns_lookup *lookup; /* of a redirect's host */
	char *url;
	unsigned redirects;
	bool ended, ok;
	char text[320];
};

struct http_seek {
	struct http_look look;
	char *name, *want;
	struct http *http;
	struct dns_lookup *lookup;
	struct seek_one *one;
	size_t n, left;
	method_done *done;
	void *arg;
};

static void seek_get(struct seek_one *o, const struct addr *a);

static void seek_free(struct http_seek *s)
{
	for (size_t i = 0; i < s->n; i++) {
		http_cancel(s->one[i].get);
		dns_cancel(s->one[i].lookup);
		free(s->one[i].url);
	}
	dns_cancel(s->lookup);
	http_free(s->http);
	free(s->one);
	free(s->name);
	free(s->want);
	free(s);
}

static struct js *seek_report(const struct http_seek *s, struct err *err)
{
	struct js *report = js_object(), *list = js_array();
	char text[ADDR_TEXT];
	bool ok = true;

	err_clear(err);
	for (size_t i = 0; i < s->n; i++) {
		const struct seek_one *o = &s->one[i];
		struct js *v = js_object();

		js_put_str(v, "address", addr_format(&o->address, text));
		js_put_bool(v, "ok", o->ok);
		js_put_str(v, "text", o->text);
		js_add(list, v);
		if (!o->ok && ok)
			err_set(err, ERR_TEMP, "http", "%s at %s: %s", s->name, text, o->text);
		ok &= o->ok;
	}
	js_put_bool(report, "ok", ok);
	js_put(report, "addresses", list);
	return report;
}

static void seek_finish(void *arg)
{
	struct http_seek *s = arg;
	struct err err;
	struct js *report = seek_report(s, &err);
	method_done *done = s->done;
	void *done_arg = s->arg;

	seek_free(s);
	done(done_arg, report, err.kind == ERR_NONE ? NULL : &err);
	js_free(report);
}

static void seek_one_end(struct seek_one *o, bool ok, const char *text)
{
	o->ended = true;
	o->ok = ok;
	text_escape(text, strlen(text), o->text, sizeof(o->text));
	if (--o->seek->left == 0)
		loop_defer(seek_finish, o->seek);
}

static void seek_one_fail(struct seek_one *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void seek_one_fail(struct seek_one *o, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	seek_one_end(o, false, text);
}

/* --- redirects -------------------------------------------------------------------------------------------------------------- */

static bool seek_may(const struct http_seek *s, const struct addr *a)
{
	for (size_t i = 0; i < s->n; i++)
		if (addr_same_ip(&s->one[i].address, a))
			return true;
	return addr_is_public(a);
}

static void seek_redirect_found(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct seek_one *o = arg;
	char text[ADDR_TEXT];

	o->lookup = NULL;
	if (err) {
		seek_one_fail(o, "redirected to a host that was not found: %s", err->detail);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!seek_may(o->seek, &addrs[i])) {
			seek_one_fail(o, "redirected to %s, which is neither public nor an address of %s", addr_format_ip(&addrs[i], text),
				o->seek->name);
			return;
		}
	seek_get(o, &addrs[0]);
}

/* A Location against the URL it came with (RFC 3986 section 5.3, the forms that occur). NULL: not to be followed. Caller owns. */
static char *seek_resolve(const char *base, const char *location)
{
	const char *path = strstr(base, "://");

	if (strncasecmp(location, "http://", 7) == 0 || strncasecmp(location, "https://", 8) == 0)
		return mem_strdup(location);
	path = path ? strchr(path + 3, '/') : NULL;
	if (!path)
		return NULL;
	if (strncmp(location, "//", 2) == 0)
		return mem_printf("%.*s:%s", (int)(strchr(base, ':') - base), base, location);
	return location[0] == '/' ? mem_printf("%.*s%s", (int)(path - base), base, location) : NULL;
}

static void seek_redirect(struct seek_one *o, const struct http_answer *answer)
{
	const char *location = http_header(answer, "Location", NULL);
	char *url = location && strlen(location) <= LOOK_URL_MAX ? seek_resolve(o->url, location) : NULL;
	struct http_url to;

	if (!url || !http_url_parse(url, &to)) {
		seek_one_fail(o, "answered %d with a Location that cannot be followed", answer->status);
	} else if (++o->redirects > LOOK_REDIRECTS) {
		seek_one_fail(o, "more than %d redirects", LOOK_REDIRECTS);
	} else if (to.port != 80 && to.port != 443 && to.port != o->seek->look.port) {
		seek_one_fail(o, "redirected to port %u: CAs follow only to 80 and 443", to.port);
	} else {
		free(o->url);
		o->url = url;
		o->lookup = dns_addresses(o->seek->look.dns, to.host, to.port, seek_redirect_found, o);
		return;
	}
	free(url);
}

/* --- the answer --------------------------------------------------------------------------------------------------------------- */

static void seek_compare(struct seek_one *o, const struct http_answer *answer)
{
	const char *want = o->seek->want;
	size_t len = answer->len, n = strlen(want), same = 0;

	while (len > n && (answer->body[len - 1] == '\n' || answer->body[len - 1] == '\r' || answer->body[len - 1] == ' '))
		len--; /* RFC 8555 section 8.3: trailing white space is to be ignored */
	while (same < len && same < n && answer->body[same] == want[same])
		same++;
	if (same == n && len == n)
		seek_one_end(o, true, "the proof is there");
	else
		seek_one_fail(o, "answered %d with %zu bytes instead of %zu: differs at byte %zu", answer->status, answer->len, n, same + 1);
}

static void seek_answered(void *arg, const struct http_answer *answer, const struct err *err)
{
	struct seek_one *o = arg;

	o->get = NULL;
	if (err)
		seek_one_fail(o, "%s", err->detail);
	else if (answer->status == 301 || answer->status == 302 || answer->status == 307 || answer->status == 308)
		seek_redirect(o, answer);
	else if (answer->status != 200)
		seek_one_fail(o, "answered %d", answer->status);
	else
		seek_compare(o, answer);
}

static void seek_get(struct seek_one *o, const struct addr *a)
{
	struct http_request request = {.method = "GET", .url = o->url, .max_body = LOOK_BODY_MAX, .timeout_ms = LOOK_TIMEOUT_MS, .address = a};

	o->get = http_send(o->seek->http, &request, seek_answered, o);
}

/* --- start ---------------------------------------------------------------------------------------------------------------------- */

static void seek_fail(struct http_seek *s, const struct err *err)
{
	method_done *done = s->done;
	void *arg = s->arg;

	seek_free(s);
	done(arg, NULL, err);
}

static void seek_found(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct http_seek *s = arg;
	const char *token;

	s->lookup = NULL;
	if (err) {
		seek_fail(s, err);
		return;
	}
	s->one = mem_array(n, sizeof(*s->one));
	s->n = s->left = n;
	token = s->want;
	for (size_t i = 0; i < n; i++) {
		struct seek_one *o = &s->one[i];
		int cut = (int)strcspn(token, ".");

		o->seek = s;
		o->address = addrs[i];
		o->url = s->look.port == 80 ? mem_printf("http://%s/.well-known/acme-challenge/%.*s", s->name, cut, token)
					    : mem_printf("http://%s:%u/.well-known/acme-challenge/%.*s", s->name, s->look.port, cut, token);
		seek_get(o, &o->address);
	}
}

static void seek_no_client(void *arg)
{
	struct err err;

	err_set(&err, ERR_LOCAL, "http", "cannot make an HTTP client for the self-check");
	seek_fail(arg, &err);
}

struct http_seek *http_look_start(const struct http_look *look, const struct method_proof *proof, method_done *done, void *arg)
{
	struct http_options options = {.dns = look->dns, .allow_private = true, .user_agent = "dovad self-check"};
	struct http_seek *s = mem_alloc(sizeof(*s));
	struct err err;

	s->look = *look;
	s->name = mem_strdup(proof->name);
	s->want = mem_printf("%s.%s", proof->token, proof->thumbprint);
	s->done = done;
	s->arg = arg;
	s->http = http_new(&options, &err);
	if (s->http)
		s->lookup = dns_addresses(look->dns, s->name, look->port, seek_found, s);
	else
		loop_defer(seek_no_client, s);
	return s;
}

void http_look_cancel(struct http_seek *s)
{
	if (!s)
		return;
	loop_undefer(s);
	seek_free(s);
}
