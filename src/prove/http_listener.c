/* SPDX-License-Identifier: ISC */
/* HTTP-01 by our own listener: exact tokens, everything else 404. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "io/systemd.h"
#include "io/web.h"
#include "prove/http_call.h"

enum { LISTENER_SOCKETS_MAX = 64 };

static const char listener_prefix[] = "/.well-known/acme-challenge/";

struct shown { /* one token */
	struct shown *next;
	char *token, *body;
};

struct listener {
	struct method method;
	struct listener *next;
	struct http_look look;
	char *name;
	struct door {
		struct web *web;
		int handed; /* the descriptor it was duplicated from, -1: none */
	} doors[LISTENER_SOCKETS_MAX];
	size_t ndoors;
	struct shown *shown; /* few at a time: bounded by the orders under way */
};

static struct listener *listeners; /* two must not answer at one handed-over socket: each would get half of the visitors */

static struct shown **listener_find(struct listener *l, const char *token)
{
	struct shown **at;

	for (at = &l->shown; *at && strcmp((*at)->token, token) != 0; at = &(*at)->next)
		;
	return at;
}

static void listener_answer(void *arg, const char *path, const char *host, struct web_answer *answer)
{
	struct shown *s;

	(void)host;
	if (strncmp(path, listener_prefix, sizeof(listener_prefix) - 1) != 0)
		return;
	s = *listener_find(arg, path + sizeof(listener_prefix) - 1);
	if (!s)
		return;
	answer->status = 200;
	answer->content_type = "application/octet-stream";
	answer->body = mem_strdup(s->body);
	answer->len = strlen(s->body);
}

static struct method_call *listener_publish(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	struct listener *l = (struct listener *)m;
	struct shown **at = listener_find(l, proof->token), *s = *at;

	if (!s) {
		*at = s = mem_alloc(sizeof(*s));
		s->token = mem_strdup(proof->token);
	}
	free(s->body);
	s->body = mem_printf("%s.%s", proof->token, proof->thumbprint);
	return http_call_at_once(done, arg);
}

static struct method_call *listener_withdraw(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	struct shown **at = listener_find((struct listener *)m, proof->token), *s = *at;

	if (s) {
		*at = s->next;
		free(s->token);
		free(s->body);
		free(s);
	}
	return http_call_at_once(done, arg);
}

static struct method_call *listener_see(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return http_call_see(&((struct listener *)m)->look, proof, done, arg);
}

static struct method_call *listener_check(struct method *m, const struct method_proof *proof, method_done *done, void *arg)
{
	return http_call_check(&((struct listener *)m)->look, proof, done, arg);
}

static void listener_free(struct method *m)
{
	struct listener *l = (struct listener *)m, **at;
	struct shown *s;

	for (at = &listeners; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	for (size_t i = 0; i < l->ndoors; i++)
		web_close(l->doors[i].web);
	while ((s = l->shown)) {
		l->shown = s->next;
		free(s->token);
		free(s->body);
		free(s);
	}
	free(l->name);
	free(l);
}

/* --- sockets ------------------------------------------------------------------------------------------------------------------ */

static bool listener_add(struct listener *l, const struct addr *a, int handed, struct err *err)
{
	int fd = -1;
	struct web *web;

	if (l->ndoors == LISTENER_SOCKETS_MAX)
		return err_set(err, ERR_INPUT, "listen", "more than %d sockets", LISTENER_SOCKETS_MAX);
	if (handed >= 0 && (fd = fcntl(handed, F_DUPFD_CLOEXEC, 0)) < 0) /* the original stays open over reloads */
		return err_errno(err, "cannot use a socket that was handed over");
	web = web_open(a, fd, listener_answer, l, err);
	if (web)
		l->doors[l->ndoors++] = (struct door){web, handed};
	return web != NULL;
}

static bool is_taken(int handed)
{
	for (const struct listener *l = listeners; l; l = l->next)
		for (size_t i = 0; i < l->ndoors; i++)
			if (l->doors[i].handed == handed)
				return true;
	return false;
}

static bool is_bound_to(int fd, const struct addr *a)
{
	struct addr own = {.len = sizeof(own.ss)};

	return getsockname(fd, (struct sockaddr *)&own.ss, &own.len) == 0 && addr_same_ip(&own, a) && addr_port(&own) == addr_port(a);
}

/* Sockets that the service manager or the supervisor opened under this name: all, or the one bound to `only`. *found: there was one. */
static bool listener_inherit(struct listener *l, const char *name, const struct addr *only, bool *found, struct err *err)
{
	int fds[LISTENER_SOCKETS_MAX];
	size_t n = systemd_listen_fds(name, fds, LISTENER_SOCKETS_MAX);

	*found = false;
	for (size_t i = 0; i < n; i++) {
		if (only && !is_bound_to(fds[i], only))
			continue;
		*found = true;
		if (is_taken(fds[i]))
			return err_set(err, ERR_INPUT, "listen", "the socket \"%s\" is in use already", name);
		if (!listener_add(l, NULL, fds[i], err))
			return false;
	}
	return true;
}

static void explain(struct err *err)
{
	size_t len = strlen(err->detail);

	snprintf(err->detail + len, sizeof(err->detail) - len, "; such a port is opened when dovad starts: restart it, or under systemd enable "
		"dovad-http.socket and listen on \"systemd:http\"");
}

static bool listener_open(struct listener *l, const char *listen, struct err *err)
{
	static const char handed[] = "systemd:";
	bool found, ok;
	struct addr a;
	char *name;

	if (strncmp(listen, handed, strlen(handed)) == 0) {
		listen += strlen(handed);
		return listener_inherit(l, listen, NULL, &found, err) &&
		       (found || err_set(err, ERR_LOCAL, "listen", "no socket named \"%s\" was handed over: is dovad-http.socket enabled?", listen));
	}
	if (!addr_parse(listen, l->look.port, &a))
		return err_set(err, ERR_INPUT, "listen", "\"%s\" is not an address", listen);
	name = mem_printf("http-%s", l->name + strlen("http:")); /* what the supervisor bound before it gave up root */
	ok = listener_inherit(l, name, &a, &found, err) && (found || listener_add(l, &a, -1, err));
	free(name);
	if (!ok && err->errnum == EACCES) /* we have a port below 1024 from the start, or not at all */
		explain(err);
	return ok;
}

struct method *http_listener_new(const char *name, const char *const *listen, size_t nlisten, const struct http_look *look, struct err *err)
{
	static const struct method_ops ops = {.challenge = "http-01", .fits = http_fits, .publish = listener_publish, .see = listener_see,
		.withdraw = listener_withdraw, .cancel = http_call_cancel, .free = listener_free, .check = listener_check};
	struct listener *l = mem_alloc(sizeof(*l));

	l->name = mem_printf("http:%s", name);
	l->method = (struct method){&ops, l->name};
	l->look = *look;
	l->next = listeners;
	listeners = l;
	for (size_t i = 0; i < nlisten; i++)
		if (!listener_open(l, listen[i], err)) {
			listener_free(&l->method);
			return NULL;
		}
	return &l->method;
}
