/* SPDX-License-Identifier: ISC */
/* HTTP client: libcurl on the loop, addresses from io/dns under our address policy, every size and time capped, no redirect followed by itself,
 * no cookies, no netrc, no proxy from the environment, no decompression. */
#ifndef DOVAD_IO_HTTP_H
#define DOVAD_IO_HTTP_H

#include "base/err.h"
#include "io/dns.h"

struct http;     /* one client: connections are shared only among requests of one client, so make one per CA and credential */
struct http_get; /* one request under way */

struct http_options {
	struct dns *dns;        /* borrowed, outlives the client */
	const char *ca_file;    /* PEM bundle; NULL: the system's. A bundle that is missing, empty or unreadable is an error, never "trust all" */
	bool https_only;
	bool verify;            /* false only for the self-check's https hop, where the CA does not verify either */
	bool allow_private;     /* may addresses be private or loopback? */
	const char *user_agent; /* the library's name and version follow it */
	const char *language;   /* wanted of texts for people (Accept-Language); NULL: any */
	bool one_connection;    /* wait for the first connection's HTTP/2 instead of opening more */
	bool fresh;             /* every request has a connection of its own, at once, and nobody uses it again */
};
struct http *http_new(const struct http_options *options, struct err *err) __attribute__((warn_unused_result));
void http_free(struct http *h); /* requests under way are forgotten without an answer; safe inside callbacks */

enum { HTTP_HEADERS_MAX = 100, HTTP_URL_MAX = 16 * 1024 }; /* a CA that takes everything in the query gets a request with 100 names there, too */
struct http_answer {
	int status;
	const char *body; /* NUL-terminated beyond len */
	size_t len;
	int64_t elapsed_us;
	long connects;              /* new connections this request made */
	const char *const *headers; /* "Name: value" lines of the final answer, NULL-terminated, at most HTTP_HEADERS_MAX */
	const char *address;        /* the peer's address as text, NULL when unknown */
};
/* First header of this name (case does not matter) or NULL; next one with *from. Borrowed. */
const char *http_header(const struct http_answer *a, const char *name, size_t *from); /* from may be NULL */

/* answer is borrowed and NULL when err is set (type "dns", "connect", "tls", "timeout", "too-large", "policy", "http"). Once, on a later turn. */
typedef void http_done(void *arg, const struct http_answer *answer, const struct err *err);

struct http_request {
	const char *method;        /* "GET", "HEAD", "POST" */
	const char *url;           /* https://host[:port]/path, at most HTTP_URL_MAX; control characters, blanks, user info, fragments are refused */
	const char *content_type;  /* with a body */
	const char *body;
	size_t body_len;
	const char *const *headers; /* more of them, "Name: value", up to a NULL; beside ours, in place of the library's. NULL: none */
	bool repeatable;           /* may this POST be sent again when its kept connection died before an answer? (GET and HEAD always may) */
	size_t max_body;           /* of the answer, bytes; more ends the request with "too-large" */
	int64_t timeout_ms;        /* the whole of it; slow peers (under 1 byte/s for 30 s) end earlier */
	const struct addr *address; /* NULL: resolve; else connect exactly here (the policy does not apply: the caller chose it) */
};
struct http_get *http_send(struct http *h, const struct http_request *request, http_done *done, void *arg); /* request is copied */
void http_cancel(struct http_get *g); /* NULL is fine; done() will not be called */

/* Parts of an http(s) URL, copied into the given fields; false when it is not one we would ever request. */
struct http_url {
	bool https;
	char host[256]; /* lower case, without brackets */
	uint16_t port;
	const char *path; /* into the argument; "" when absent */
};
bool http_url_parse(const char *url, struct http_url *out) __attribute__((warn_unused_result));

/* Retry-After (RFC 9110 section 10.2.3): seconds or a date (against the answer's own Date when there is one). Seconds from now, at least 0;
 * -1 when absent or not understood. Saturates at 10 years. */
int64_t http_retry_after(const struct http_answer *a);
/* Every target of `Link: <...>; rel="..."` with this relation (RFC 8288), over all Link headers and list items; at most `room`; each is copied
 * and owned by the caller. */
size_t http_links(const struct http_answer *a, const char *rel, char **out, size_t room);

const char *http_library(void); /* the library behind this and its version */

#endif
