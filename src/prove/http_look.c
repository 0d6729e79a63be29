/* SPDX-License-Identifier: ISC */
#include "prove/http_look.h"

#include <ctype.h>
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
	LOOK_URL_MAX = 2000,       /* of a redirect */
	LOOK_PROOF_MAX = 127,      /* longer bodies are refused by CAs, whatever is in them */
	LOOK_BODY_MAX = 64 * 1024, /* an error page may come to be "answered 404", too */
	LOOK_HOP_MS = 10000,       /* one request */
	LOOK_ALL_S = 15,           /* with all redirects */
};

struct seek_one { /* one address of the name */
	struct http_seek *seek;
	struct addr address;
	struct http_get *get;
	struct dns_lookup *lookup; /* of a redirect's host */
	char *url;
	unsigned redirects;
	int status; /* of the answer it ended with; 0: none */
	bool ended, ok;
	char text[320];
};

struct http_seek {
	struct http_look look;
	char *name, *url, *want;
	struct dns_lookup *lookup;
	struct timer limit;
	struct seek_one *one;
	size_t n, left;
	method_done *done;
	void *arg;
};

static void seek_get(struct seek_one *o, const struct addr *a);

static void seek_free(struct http_seek *s)
{
	for (size_t i = 0; i < s->n; i++) {
		dns_cancel(s->one[i].lookup);
		http_cancel(s->one[i].get);
		free(s->one[i].url);
	}
	dns_cancel(s->lookup);
	timer_disarm(&s->limit);
	free(s->one);
	free(s->name);
	free(s->url);
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
		if (o->status)
			js_put_int(v, "status", o->status);
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
	size_t used;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	used = strlen(text);
	if (o->redirects)
		snprintf(text + used, sizeof(text) - used, " (redirect %u, to %.*s)", o->redirects, (int)strcspn(o->url, "?"), o->url);
	seek_one_end(o, false, text);
}

static void seek_expired(void *arg)
{
	struct http_seek *s = arg;

	for (size_t i = 0; i < s->n; i++) {
		struct seek_one *o = &s->one[i];

		http_cancel(o->get);
		dns_cancel(o->lookup);
		o->get = NULL;
		o->lookup = NULL;
		if (!o->ended)
			seek_one_fail(o, "no end within %d seconds", LOOK_ALL_S);
	}
}

/* --- redirects ---------------------------------------------------------------------------------------------------------------- */

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

/* A Location against the URL it came with (RFC 3986 section 5.2; dots in paths are left to the server). Caller owns. */
static char *seek_resolve(const char *base, const char *location)
{
	const char *host = strstr(base, "://") + 3, *path = host + strcspn(host, "/?");
	size_t scheme = strcspn(location, ":/?#"), keep = (size_t)(path - base);
	const char *slash = "";

	if (location[scheme] == ':') {
		keep = 0;
	} else if (strncmp(location, "//", 2) == 0) {
		keep = (size_t)(host - base) - 2;
	} else if (*location == '?' || *location == '#') {
		keep += strcspn(path, *location == '?' ? "?" : "");
	} else if (*location != '/') {
		const char *last = memrchr(path, '/', strcspn(path, "?"));

		keep = last ? (size_t)(last + 1 - base) : keep;
		slash = last ? "" : "/";
	}
	return mem_printf("%.*s%s%.*s", (int)keep, base, slash, (int)strcspn(location, "#"), location);
}

static void seek_follow(struct seek_one *o, const struct http_url *to)
{
	struct http_seek *s = o->seek;
	struct addr here = o->address;

	if (++o->redirects > LOOK_REDIRECTS) {
		seek_one_fail(o, "more than %d redirects", LOOK_REDIRECTS);
	} else if (to->port != 80 && to->port != 443 && to->port != s->look.port) {
		seek_one_fail(o, "redirected to port %u, but CAs follow only to 80 and 443", to->port);
	} else if (strcasecmp(to->host, s->name) == 0) { /* to https, mostly: this address has to have it, too */
		addr_set_port(&here, to->port);
		seek_get(o, &here);
	} else {
		o->lookup = dns_addresses(s->look.dns, to->host, to->port, seek_redirect_found, o);
	}
}

static void seek_redirect(struct seek_one *o, const struct http_answer *answer)
{
	const char *location = http_header(answer, "Location", NULL);
	char *url = location && *location && strlen(location) <= LOOK_URL_MAX ? seek_resolve(o->url, location) : NULL;
	struct http_url to;

	if (!url || !http_url_parse(url, &to)) {
		free(url);
		seek_one_fail(o, "answered %d with a Location that cannot be followed", answer->status);
		return;
	}
	free(o->url);
	o->url = url;
	seek_follow(o, &to);
}

/* --- the answer --------------------------------------------------------------------------------------------------------------- */

static void seek_compare(struct seek_one *o, const struct http_answer *answer)
{
	const char *want = o->seek->want;
	size_t len = answer->len, n = strlen(want), same = 0;

	while (len > 0 && answer->len <= LOOK_PROOF_MAX && isspace((unsigned char)answer->body[len - 1]))
		len--; /* RFC 8555 section 8.3: white space at the end is to be ignored */
	while (same < len && same < n && answer->body[same] == want[same])
		same++;
	if (same == n && len == n)
		seek_one_end(o, true, "the proof is there");
	else
		seek_one_fail(o, "answered 200 with %zu bytes instead of %zu: differs at byte %zu", answer->len, n, same + 1);
}

static void seek_answered(void *arg, const struct http_answer *answer, const struct err *err)
{
	struct seek_one *o = arg;
	int status = answer ? answer->status : 0;

	o->get = NULL;
	if (status == 301 || status == 302 || status == 307 || status == 308) {
		seek_redirect(o, answer);
		return;
	}
	o->status = status;
	if (err)
		seek_one_fail(o, "%s", err->detail);
	else if (status == 200)
		seek_compare(o, answer);
	else
		seek_one_fail(o, "answered %d%s", status, status / 100 == 3 ? ", which CAs do not follow" : "");
}

static void seek_get(struct seek_one *o, const struct addr *a)
{
	struct http_request request = {.method = "GET", .url = o->url, .max_body = LOOK_BODY_MAX, .timeout_ms = LOOK_HOP_MS, .address = a};

	o->get = http_send(o->seek->look.http, &request, seek_answered, o);
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

	s->lookup = NULL;
	if (err) {
		seek_fail(s, err);
		return;
	}
	s->one = mem_array(n, sizeof(*s->one));
	s->n = s->left = n;
	timer_arm(&s->limit, LOOK_ALL_S * 1000, seek_expired, s);
	for (size_t i = 0; i < n; i++) {
		s->one[i] = (struct seek_one){.seek = s, .address = addrs[i], .url = mem_strdup(s->url)};
		seek_get(&s->one[i], &addrs[i]);
	}
}

struct http *http_look_client(struct dns *dns, struct err *err)
{
	const struct http_options options = {.dns = dns, .allow_private = true, .user_agent = "dovad self-check", .fresh = true};

	return http_new(&options, err);
}

struct http_seek *http_look_start(const struct http_look *look, const struct method_proof *proof, method_done *done, void *arg)
{
	struct http_seek *s = mem_alloc(sizeof(*s));

	s->look = *look;
	s->name = mem_strdup(proof->name);
	s->url = mem_printf("http://%s:%u/.well-known/acme-challenge/%s", s->name, look->port, proof->token);
	s->want = mem_printf("%s.%s", proof->token, proof->thumbprint);
	s->done = done;
	s->arg = arg;
	s->lookup = dns_addresses(look->dns, s->name, look->port, seek_found, s);
	return s;
}

void http_look_cancel(struct http_seek *s)
{
	if (!s)
		return;
	loop_undefer(s);
	seek_free(s);
}
