/* SPDX-License-Identifier: ISC */
#include "io/http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/http_curl.h"
#include "io/http_head.h"
#include "io/http_host.h"
#include "io/loop.h"

enum {
	CONNECT_MS = 30 * 1000,
	UNANSWERED_MS = 20 * 1000,     /* sent bytes without an acknowledgement: the connection is dead */
	CONNECTION_LIFE_S = 600,       /* then a new one is made and the certificate is looked at again */
	CONNECTIONS_PER_HOST = 8,
	IDLE_HANDLES = 32,
};

/* Who calls whom: libcurl's callbacks only take notes. Callers hear of an end through loop_defer, never from inside libcurl, so they may do anything
 * there, http_free included. */
struct http {
	struct multi multi;
	char *ca_file, *user_agent, *language_line;
	bool https_only, verify, one_connection, fresh;
	struct host_cache hosts;
	TAILQ_HEAD(, http_get) gets;
	CURL *idle[IDLE_HANDLES];
	size_t nidle;
};

struct http_get {
	TAILQ_ENTRY(http_get) link;
	struct http *http;
	http_done *done;
	void *arg;
	enum { LOOKING_UP, RUNNING, OVER, TELLING } state;
	bool is_head, is_post, repeatable;
	char *url, *type_line, *body;
	size_t body_len, body_sent, max_body;
	struct host *host;         /* NULL: the caller chose the address */
	struct addr address;
	char peer[280];            /* "host port 443", for messages */
	struct timer timer;
	int64_t timeout_ms, began_ms;
	CURL *easy;                /* while libcurl has it */
	struct curl_slist *headers, *pairs, *connect_to;
	char error[CURL_ERROR_SIZE];
	char tried[3 * ADDR_TEXT]; /* addresses, for messages */
	int fd;                    /* opened last */
	bool refused;              /* libcurl wanted an address that is not ours */
	const char *too_large;     /* what was */
	struct buf content;
	struct head head;
	int64_t waited_ms, elapsed_us;
	long status, connects, os_errno;
	char from[ADDR_TEXT];
	struct err err;
};

/* --- what libcurl calls during a request --- */

static bool is_ours(const struct http_get *g, const struct addr *a)
{
	struct host *newer;

	if (!g->host)
		return addr_port(&g->address) == addr_port(a) && addr_same_ip(&g->address, a);
	if (host_has(g->host, a))
		return true;
	/* A request that waited for a free connection gets what a later one told libcurl. */
	newer = host_find(&g->http->hosts, g->host->name, g->host->port);
	return newer && host_has(newer, a);
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct http_get *g = arg;
	struct addr a = { .len = to->addrlen };
	unsigned unanswered = UNANSWERED_MS;
	size_t used = strlen(g->tried);
	char ip[ADDR_TEXT];

	if (purpose != CURLSOCKTYPE_IPCXN || to->addrlen > sizeof(a.ss))
		return CURL_SOCKET_BAD;
	memcpy(&a.ss, &to->addr, to->addrlen);
	snprintf(g->tried + used, sizeof(g->tried) - used, "%s%s", used ? ", " : "", addr_format_ip(&a, ip));
	if (!is_ours(g, &a)) {
		g->refused = true;
		return CURL_SOCKET_BAD;
	}
	g->fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->protocol);
	if (g->fd >= 0)
		setsockopt(g->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof(unanswered));
	return g->fd;
}

static size_t on_header(char *line, size_t one, size_t len, void *arg)
{
	struct http_get *g = arg;

	(void)one;
	if (head_add(&g->head, line, len))
		return len;
	g->too_large = MULTI_LARGE_HEAD;
	return 0;
}

static size_t on_content(char *data, size_t one, size_t len, void *arg)
{
	struct http_get *g = arg;

	(void)one;
	if (len <= g->max_body - g->content.len && buf_add(&g->content, data, len))
		return len;
	g->too_large = MULTI_LARGE_BODY;
	return 0;
}

/* --- one request --- */

static const struct {
	CURLoption option;
	long value;
} always[] = {
	{ CURLOPT_NOSIGNAL, 1 },
	{ CURLOPT_FOLLOWLOCATION, 0 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_PATH_AS_IS, 1 }, /* what was signed must be what is asked for */
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS },
	{ CURLOPT_LOW_SPEED_LIMIT, 1 },
	{ CURLOPT_LOW_SPEED_TIME, 30 },
	{ CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S },
};

#define SET(option, value) (ok &= curl_easy_setopt(easy, option, value) == CURLE_OK)

/* A handle with everything set that is the same for all requests of this client. */
static CURL *take_easy(struct http *h)
{
	CURL *easy;
	bool ok = true;

	if (h->nidle > 0)
		return h->idle[--h->nidle];
	easy = curl_easy_init();
	if (!easy)
		return NULL;
	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		SET(always[i].option, always[i].value);
	SET(CURLOPT_PROTOCOLS_STR, h->https_only ? "https" : "https,http");
	SET(CURLOPT_PROXY, ""); /* not even from the environment */
	SET(CURLOPT_CAINFO, h->ca_file);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_SSL_VERIFYPEER, h->verify ? 1L : 0L);
	SET(CURLOPT_SSL_VERIFYHOST, h->verify ? 2L : 0L);
	SET(CURLOPT_USERAGENT, h->user_agent);
	SET(CURLOPT_PIPEWAIT, h->one_connection ? 1L : 0L);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_WRITEFUNCTION, on_content);
	if (ok)
		return easy;
	curl_easy_cleanup(easy);
	return NULL;
}

/* A handle whose request did not end well remembers it: libcurl 8 would rewind the body of a request that is gone. */
static void give_easy(struct http *h, CURL *easy, bool ended_well)
{
	if (!ended_well || h->nidle == IDLE_HANDLES) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
	h->idle[h->nidle++] = easy;
}

/* Each has buffers of some 80 KiB: once the rush is over, one will do. */
static void unlink_get(struct http_get *g)
{
	struct http *h = g->http;

	TAILQ_REMOVE(&h->gets, g, link);
	while (TAILQ_EMPTY(&h->gets) && h->nidle > 1)
		curl_easy_cleanup(h->idle[--h->nidle]);
}

/* Tell libcurl where to connect, so that it never looks up anything itself. */
static bool dress_address(struct http_get *g)
{
	struct buf b;
	struct addr literal;
	char ip[ADDR_TEXT];

	buf_init(&b, 0);
	if (!g->host) {
		(void)!buf_printf(&b, "::%s", addr_format(&g->address, ip));
		g->connect_to = curl_slist_append(NULL, b.data);
	} else if (!addr_parse_ip(g->host->name, 0, &literal)) {
		(void)!buf_printf(&b, "%s:%u:", g->host->name, g->host->port);
		for (size_t i = 0; i < g->host->n; i++)
			(void)!buf_printf(&b, g->host->addrs[i].ss.ss_family == AF_INET6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "",
				addr_format_ip(&g->host->addrs[i], ip));
		g->pairs = curl_slist_append(NULL, b.data);
	} else {
		return true;
	}
	buf_free(&b);
	return g->pairs || g->connect_to;
}

/* When a kept connection dies libcurl sends the request again by itself, and what the server had already taken would happen twice. Only the
 * caller knows whether that does harm, so a body is given out once unless he said that it does none. */
static size_t on_body(char *to, size_t one, size_t room, void *arg)
{
	struct http_get *g = arg;
	size_t left = g->body_len - g->body_sent;
	size_t n = left < one * room ? left : one * room;

	memcpy(to, g->body + g->body_sent, n);
	g->body_sent += n;
	return n;
}

static int on_rewind(void *arg, curl_off_t offset, int origin)
{
	struct http_get *g = arg;

	if ((g->body_sent > 0 && !g->repeatable) || offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	g->body_sent = 0;
	return CURL_SEEKFUNC_OK;
}

static bool dress(struct http_get *g)
{
	CURL *easy = g->easy;
	int64_t left = g->timeout_ms - g->waited_ms + 500; /* our own timer comes first: it knows better what to say */
	bool ok = dress_address(g);

	if (g->is_post)
		g->headers = curl_slist_append(g->headers, g->type_line);
	if (g->http->language_line)
		g->headers = curl_slist_append(g->headers, g->http->language_line);
	SET(CURLOPT_PRIVATE, g);
	SET(CURLOPT_ERRORBUFFER, g->error);
	SET(CURLOPT_OPENSOCKETDATA, g);
	SET(CURLOPT_HEADERDATA, g);
	SET(CURLOPT_WRITEDATA, g);
	SET(CURLOPT_URL, g->url);
	SET(CURLOPT_RESOLVE, g->pairs);
	SET(CURLOPT_CONNECT_TO, g->connect_to);
	SET(CURLOPT_HTTPHEADER, g->headers);
	SET(CURLOPT_HTTPGET, 1L);
	if (g->is_head)
		SET(CURLOPT_NOBODY, 1L);
	if (g->is_post) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_READFUNCTION, on_body);
		SET(CURLOPT_READDATA, g);
		SET(CURLOPT_SEEKFUNCTION, on_rewind);
		SET(CURLOPT_SEEKDATA, g);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)g->body_len);
	}
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)(g->is_head ? 0 : g->max_body));
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(left < 1 ? 1 : left < CONNECT_MS ? left : CONNECT_MS));
	SET(CURLOPT_FORBID_REUSE, g->http->fresh ? 1L : 0L);
	/* Without a body nobody asks on_rewind. */
	SET(CURLOPT_FRESH_CONNECT, g->http->fresh || (g->is_post && !g->body_len && !g->repeatable) ? 1L : 0L);
	return ok;
}

static void get_tell(void *arg);

static void get_over(struct http_get *g)
{
	g->state = OVER;
	timer_disarm(&g->timer);
	loop_defer(get_tell, g);
}

/* Note what libcurl knows and take the request away from it. */
static void get_stop(struct http_get *g, bool ended_well)
{
	curl_off_t elapsed = 0;
	char *ip = NULL;

	curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &g->status);
	curl_easy_getinfo(g->easy, CURLINFO_NUM_CONNECTS, &g->connects);
	curl_easy_getinfo(g->easy, CURLINFO_TOTAL_TIME_T, &elapsed);
	curl_easy_getinfo(g->easy, CURLINFO_OS_ERRNO, &g->os_errno);
	curl_easy_getinfo(g->easy, CURLINFO_PRIMARY_IP, &ip);
	g->elapsed_us = elapsed + g->waited_ms * 1000;
	if (ip)
		snprintf(g->from, sizeof(g->from), "%s", ip);
	curl_multi_remove_handle(g->http->multi.curl, g->easy);
	give_easy(g->http, g->easy, ended_well);
	g->easy = NULL;
}

static void get_start(struct http_get *g)
{
	struct http *h = g->http;

	g->state = RUNNING;
	g->waited_ms = clock_mono_ms() - g->began_ms;
	g->easy = take_easy(h);
	if (g->easy && dress(g) && curl_multi_add_handle(h->multi.curl, g->easy) == CURLM_OK)
		return;
	if (g->easy)
		curl_easy_cleanup(g->easy);
	g->easy = NULL;
	err_set(&g->err, ERR_LOCAL, "http", "this %s cannot do what we need", http_library());
	get_over(g);
}

/* Of which address is the talk: the one that answered, those tried, or the one that was next. */
static const char *where(const struct http_get *g, bool answered, char ip[ADDR_TEXT])
{
	if (answered && g->from[0])
		return g->from;
	if (g->tried[0])
		return g->tried;
	if (!g->host)
		return addr_format_ip(&g->address, ip);
	return g->host->n > 0 ? addr_format_ip(&g->host->addrs[0], ip) : "no address yet";
}

static void explain(struct http_get *g, CURLcode code)
{
	const char *why = g->error[0] ? g->error : curl_easy_strerror(code), *type = multi_explain(code, &why);
	char ip[ADDR_TEXT];
	bool untrusted = code == CURLE_PEER_FAILED_VERIFICATION && g->http->ca_file;

	if (code != CURLE_COULDNT_CONNECT)
		g->os_errno = 0;
	if (g->os_errno)
		why = strerror((int)g->os_errno);
	if (g->refused) {
		type = "policy";
		why = "this address was not looked up by us";
	} else if (g->too_large) {
		type = "too-large";
		why = g->too_large;
	}
	err_set(&g->err, ERR_TEMP, type, "%s (%s): %s%s%s", g->peer, where(g, code != CURLE_COULDNT_CONNECT, ip), why,
		untrusted ? "; trusted CAs come from " : "", untrusted ? g->http->ca_file : "");
	g->err.errnum = (int)g->os_errno;
}

static void get_ended(CURL *easy, CURLcode code)
{
	struct http_get *g = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &g);
	get_stop(g, code == CURLE_OK);
	if (code == CURLE_OK && !g->head.complete) { /* good enough for libcurl, but nobody knows what the rest would have said */
		snprintf(g->error, sizeof(g->error), "the connection ended within the headers of the answer");
		code = CURLE_PARTIAL_FILE;
	}
	if (code != CURLE_OK)
		explain(g, code);
	get_over(g);
}

/* libcurl tells only when the TLS handshake has ended, too. Should the descriptor be another's by now, the address says so. */
static bool is_connected(const struct http_get *g)
{
	struct addr peer = { .len = sizeof(peer.ss) };

	return g->fd >= 0 && getpeername(g->fd, (struct sockaddr *)&peer.ss, &peer.len) == 0 && is_ours(g, &peer);
}

static const char *phase(const struct http_get *g)
{
	curl_off_t asked = 0, answered = 0;

	if (!g->easy)
		return "the address was not found";
	curl_easy_getinfo(g->easy, CURLINFO_PRETRANSFER_TIME_T, &asked);
	curl_easy_getinfo(g->easy, CURLINFO_STARTTRANSFER_TIME_T, &answered);
	if (answered)
		return "the answer did not end";
	if (asked)
		return "no answer";
	if (is_connected(g))
		return "the TLS handshake did not end";
	return "no connection";
}

static void get_expired(void *arg)
{
	struct http_get *g = arg;
	const char *what = phase(g);
	char ip[ADDR_TEXT];

	if (g->easy) {
		curl_easy_setopt(g->easy, CURLOPT_FORBID_REUSE, 1L); /* a peer that hangs must not get the next request too */
		get_stop(g, false);
	}
	err_set(&g->err, ERR_TEMP, "timeout", "%s (%s): %s within %.3g seconds", g->peer, where(g, true, ip), what,
		(double)g->timeout_ms / 1000);
	get_over(g);
}

static void get_free(struct http_get *g)
{
	host_release(g->host);
	curl_slist_free_all(g->headers);
	curl_slist_free_all(g->pairs);
	curl_slist_free_all(g->connect_to);
	buf_free(&g->content);
	buf_free(&g->head.lines);
	free(g->url);
	free(g->type_line);
	free(g->body);
	free(g);
}

static void get_tell(void *arg)
{
	struct http_get *g = arg;
	const char *headers[HTTP_HEADERS_MAX + 1] = { NULL };
	const char *line = g->head.lines.data;
	struct http_answer answer = {
		.status = (int)g->status,
		.body = g->content.data ? g->content.data : "",
		.len = g->content.len,
		.elapsed_us = g->elapsed_us,
		.connects = g->connects,
		.headers = headers,
		.address = g->from[0] ? g->from : NULL,
	};

	for (size_t i = 0; i < g->head.n; i++, line += strlen(line) + 1)
		headers[i] = line;
	unlink_get(g); /* now, since done() may free the client */
	host_release(g->host);
	g->host = NULL;
	g->state = TELLING;
	g->done(g->arg, g->err.kind ? NULL : &answer, g->err.kind ? &g->err : NULL);
	get_free(g);
}

static void get_found(void *arg, struct host *host, const struct err *err)
{
	struct http *h = arg;
	struct http_get *g, *next;

	for (g = TAILQ_FIRST(&h->gets); g; g = next) {
		next = TAILQ_NEXT(g, link);
		if (g->host != host || g->state != LOOKING_UP)
			continue;
		if (!err) {
			get_start(g);
			continue;
		}
		err_copy(&g->err, err);
		get_over(g);
	}
}

static bool get_prepare(struct http_get *g, const struct http_request *r, struct http_url *url)
{
	bool six;

	if (!http_url_parse(r->url, url))
		return err_set(&g->err, ERR_TEMP, "policy", "'%.200s' is not a URL that we ask", r->url);
	if (g->http->https_only && !url->https)
		return err_set(&g->err, ERR_TEMP, "policy", "'%.200s' does not begin with https://, and nothing else is allowed here", r->url);
	g->is_head = strcmp(r->method, "HEAD") == 0;
	g->is_post = strcmp(r->method, "POST") == 0;
	if (!g->is_head && !g->is_post && strcmp(r->method, "GET") != 0)
		return err_set(&g->err, ERR_BUG, "http", "there is no method '%s' here", r->method);
	if (r->content_type && r->content_type[strcspn(r->content_type, "\r\n")])
		return err_set(&g->err, ERR_BUG, "http", "a content type of several lines");
	for (const char *const *line = r->headers; line && *line; g->headers = curl_slist_append(g->headers, *line++))
		if (!head_may_send(*line))
			return err_set(&g->err, ERR_BUG, "http", "'%.100s' is not a header that we send", *line);
	six = strchr(url->host, ':') != NULL;
	g->url = mem_printf("%s://%s%s%s:%u%s%s", url->https ? "https" : "http", six ? "[" : "", url->host, six ? "]" : "", url->port,
		*url->path == '/' ? "" : "/", url->path); /* written anew, so that libcurl reads what we have checked */
	g->type_line = mem_printf("Content-Type:%s%s", r->content_type ? " " : "", r->content_type ? r->content_type : "");
	g->body = mem_alloc(r->body_len + 1);
	if (r->body_len)
		memcpy(g->body, r->body, r->body_len);
	g->body_len = r->body_len;
	snprintf(g->peer, sizeof(g->peer), "%s port %u", url->host, url->port);
	return true;
}

struct http_get *http_send(struct http *h, const struct http_request *r, http_done *done, void *arg)
{
	struct http_get *g = mem_alloc(sizeof(*g));
	struct http_url url;

	g->http = h;
	g->fd = -1;
	g->done = done;
	g->arg = arg;
	g->repeatable = r->repeatable;
	g->max_body = r->max_body;
	g->timeout_ms = r->timeout_ms;
	g->began_ms = clock_mono_ms();
	buf_init(&g->content, 0);
	TAILQ_INSERT_TAIL(&h->gets, g, link);
	if (!get_prepare(g, r, &url)) {
		get_over(g);
		return g;
	}
	timer_arm(&g->timer, g->timeout_ms, get_expired, g);
	if (r->address)
		g->address = *r->address;
	else
		g->host = host_take(&h->hosts, url.host, url.port);
	if (!g->host || g->host->n > 0)
		get_start(g);
	return g;
}

void http_cancel(struct http_get *g)
{
	if (!g || g->state == TELLING)
		return;
	if (g->easy)
		get_stop(g, false);
	loop_undefer(g);
	timer_disarm(&g->timer);
	unlink_get(g);
	get_free(g);
}

/* --- the client --- */

struct http *http_new(const struct http_options *options, struct err *err)
{
	struct http *h = mem_alloc(sizeof(*h));

	TAILQ_INIT(&h->gets);
	h->hosts = (struct host_cache){
		.dns = options->dns, .allow_private = options->allow_private, .found = get_found, .arg = h,
	};
	if (options->user_agent)
		h->user_agent = mem_printf("%s libcurl/%s", options->user_agent, curl_version_info(CURLVERSION_NOW)->version);
	if (options->language)
		h->language_line = mem_printf("Accept-Language: %s", options->language);
	h->https_only = options->https_only;
	h->verify = options->verify;
	h->one_connection = options->one_connection;
	h->fresh = options->fresh;
	if (h->verify && !(h->ca_file = multi_bundle(options->ca_file, err)))
		goto failed;
	if (multi_open(&h->multi, h->fresh ? 0 : CONNECTIONS_PER_HOST, get_ended))
		return h;
	err_set(err, ERR_LOCAL, "http", "cannot prepare %s", http_library());
failed:
	http_free(h);
	return NULL;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (!TAILQ_EMPTY(&h->gets))
		http_cancel(TAILQ_FIRST(&h->gets));
	while (h->nidle > 0)
		curl_easy_cleanup(h->idle[--h->nidle]);
	multi_close(&h->multi);
	host_forget_all(&h->hosts);
	free(h->ca_file);
	free(h->user_agent);
	free(h->language_line);
	free(h);
}

const char *http_library(void)
{
	static char text[64];

	/* Not curl_version(): where libcurl has LDAP it looks up the host's own name, and waits for it. */
	snprintf(text, sizeof(text), "libcurl %s", curl_version_info(CURLVERSION_NOW)->version);
	return text;
}
