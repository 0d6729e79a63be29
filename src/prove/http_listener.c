/* SPDX-License-Identifier: ISC */
/* HTTP-01 by our own listener: exact tokens, everything else 404. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/systemd.h"
#include "io/web.h"
#include "prove/http_call.h"

enum { LISTENER_SOCKETS_MAX = 16 };

static const char listener_prefix[] = "/.well-known/acme-challenge/";

struct shown { /* one token */
	struct shown *next;
	char *token, *body;
};

struct listener {
	struct method method;
	struct http_look look;
	char *name;
	struct web *web[LISTENER_SOCKETS_MAX];
	size_t nweb;
	bool inherited;
	struct shown *shown; /* few at a time: bounded by the orders under way */
};

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

static void listener_free(struct method *m)
{
	struct listener *l = (struct listener *)m;
	struct shown *s;

	for (size_t i = 0; i < l->nweb; i++)
		web_close(l->web[i]);
	while ((s = l->shown)) {
		l->shown = s->next;
		free(s->token);
		free(s->body);
		free(s);
	}
	free(l->name);
	free(l);
}

static bool listener_add(struct listener *l, const struct addr *a, int fd, struct err *err)
{
	struct web *w;

	if (l->nweb == LISTENER_SOCKETS_MAX)
		return err_set(err, ERR_INPUT, "listen", "more than %d sockets", LISTENER_SOCKETS_MAX);
	w = web_open(a, fd, listener_answer, l, err);
	if (w)
		l->web[l->nweb++] = w;
	return w != NULL;
}

/* Sockets the service manager or the supervisor opened under this name; they stay open in this process over a reload. */
static bool listener_inherit(struct listener *l, const char *name, struct err *err)
{
	int fds[LISTENER_SOCKETS_MAX];
	size_t n = systemd_listen_fds(name, fds, LISTENER_SOCKETS_MAX);

	if (n == 0)
		return err_set(err, ERR_LOCAL, "listen", "no socket named \"%s\" was handed over: is dovad-http.socket enabled?", name);
	for (size_t i = 0; i < n; i++) {
		int fd = dup(fds[i]);

		if (fd < 0)
			return err_errno(err, "cannot use the socket \"%s\"", name);
		if (!listener_add(l, NULL, fd, err))
			return false;
	}
	return true;
}

static bool listener_open(struct listener *l, const char *listen, struct err *err)
{
	struct addr a;
	char *handed;
	bool ok;
	int fd;

	if (strncmp(listen, "systemd:", 8) == 0)
		return listener_inherit(l, listen + 8, err);
	if (!addr_parse(listen, 80, &a))
		return err_set(err, ERR_INPUT, "listen", "\"%s\" is not an address", listen);
	handed = mem_printf("http-%s", l->name + strlen("http:"));
	/* The supervisor bound all low ports of this entry before it gave up root: they come together with the first of them. */
	if (addr_port(&a) < 1024 && systemd_listen_fds(handed, &fd, 1) > 0) {
		ok = l->inherited || listener_inherit(l, handed, err);
		l->inherited = true;
	} else {
		ok = listener_add(l, &a, -1, err);
	}
	free(handed);
	return ok;
}

struct method *http_listener_new(const char *name, const char *const *listen, size_t nlisten, const struct http_look *look, struct err *err)
{
	static const struct method_ops ops = {"http-01", http_fits, listener_publish, listener_see, listener_withdraw, http_call_cancel, listener_free};
	struct listener *l = mem_alloc(sizeof(*l));

	l->name = mem_printf("http:%s", name);
	l->method = (struct method){&ops, l->name};
	l->look = *look;
	for (size_t i = 0; i < nlisten; i++)
		if (!listener_open(l, listen[i], err)) {
			listener_free(&l->method);
			return NULL;
		}
	return &l->method;
}
