/* SPDX-License-Identifier: ISC */
#include "prepare.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "core/conf.h"
#include "io/addr.h"

enum { LOW_PORTS = 1024 };

static void bind_port(struct prepared *p, const struct conf_http *http, const struct addr *a)
{
	const int yes = 1;
	int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size_t used = strlen(p->names);
	char text[ADDR_TEXT];

	if (fd >= 0 && p->nports < PREPARE_PORTS && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
		(a->ss.ss_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) == 0) &&
		bind(fd, (const struct sockaddr *)&a->ss, a->len) == 0 && listen(fd, SOMAXCONN) == 0) {
		snprintf(p->names + used, sizeof(p->names) - used, "%shttp-%s", used ? ":" : "", http->name);
		p->ports[p->nports++] = fd;
		return;
	}
	log_error("a port cannot be listened on", "http", http->name, "address", addr_format(a, text), "error", strerror(errno), NULL);
	if (fd >= 0)
		close(fd);
}

static bool make_folder(const char *path, const struct privilege_user *owner, mode_t mode, struct err *err)
{
	int fd = file_make_dirs(path, mode, err);
	bool ok = fd >= 0 && (fchown(fd, owner->uid, owner->gid) == 0 || err_errno(err, "cannot give %s to %s", path, owner->name));

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool prepare_for(const struct conf *c, struct prepared *p, struct err *err)
{
	const struct conf_settings *s = &c->settings;
	struct addr a;

	if (!privilege_find("keeper_user", s->keeper_user, &p->keeper, err) || !privilege_find("user", s->user, &p->network, err) ||
		!make_folder(s->keeper_state, &p->keeper, 0711, err) || !make_folder(s->state, &p->network, 0700, err) ||
		!make_folder(s->runtime, &p->network, 0755, err))
		return false;
	for (size_t i = 0; i < c->http.n; i++)
		for (size_t j = 0; c->http.v[i].type == CONF_HTTP_LISTENER && j < c->http.v[i].listen.n; j++)
			if (addr_parse(c->http.v[i].listen.v[j], (uint16_t)s->http_port, &a) && addr_port(&a) < LOW_PORTS)
				bind_port(p, &c->http.v[i], &a);
	return true;
}

bool prepare(const char *main_file, struct prepared *p, struct err *err)
{
	struct conf_set set;
	struct conf *c;
	bool ok;

	*p = (struct prepared){ 0 };
	conf_read(main_file, &set);
	c = conf_build(set.v, set.n, set.unread, set.nunread);
	conf_set_free(&set);
	if (c->usable)
		ok = prepare_for(c, p, err);
	else
		ok = conf_report(c, stderr, stderr) && err_set(err, ERR_INPUT, "conf", "%s cannot be used", main_file);
	conf_free(c);
	return ok;
}
