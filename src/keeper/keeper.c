/* SPDX-License-Identifier: ISC */
#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/msg.h"
#include "io/notice.h"
#include "io/rpc.h"
#include "keeper/op.h"
#include "keeper/path.h"

enum {
	MESSAGE_MAX = 1024 * 1024, /* a chain of X509_PEM_MAX with its line ends escaped fits well */
	IDLE_MS = 60000,
	PEERS_MAX = 16,
	WATCHED = 3,
};

struct peer {
	LIST_ENTRY(peer) link;
	struct keeper *keeper;
	struct rpc_peer *rpc;
	uid_t uid;    /* -1: the network half's, whatever it may be */
	bool lasting; /* of peer_fd: the keeper ends with it */
};

struct keeper {
	char *main_file;
	int state, lock;
	struct install install;
	struct gate *gate;
	struct op_parts parts;
	struct msg_listener *listener;
	LIST_HEAD(, peer) peers;
	struct notice *notice;
	char *watched; /* what the notice is about */
	struct timer removal, idle;
};

/* --- configuration --- */

static const struct conf *conf_of(const struct keeper *k)
{
	return accepted_conf(k->parts.accepted);
}

static void tell_peers(struct keeper *k)
{
	struct js *event = js_object();
	struct peer *p;

	js_put_str(event, "event", "conf");
	js_put_str(event, "digest", conf_of(k)->digest);
	LIST_FOREACH(p, &k->peers, link)
		rpc_event(p->rpc, event);
	js_free(event);
}

static void read_disk(struct keeper *k, bool reload);

static void disk_changed(void *arg)
{
	read_disk(arg, false);
}

/* Folders and whether to watch are settings themselves. true: they are watched only from now on, and what changed since they were read is not known. */
static bool watch_disk(struct keeper *k)
{
	const struct conf_settings *s = &conf_of(k)->settings;
	char *folder = mem_strndup(k->main_file, (size_t)(strrchr(k->main_file, '/') - k->main_file + 1));
	const char *dirs[WATCHED] = { folder, s->snippets, s->services };
	char *key = s->watch ? mem_printf("%s\n%s\n%s\n%s", folder, s->snippets, s->services, log_num(s->watch_delay)) : mem_strdup("");
	bool anew = !k->watched || strcmp(k->watched, key) != 0;
	struct err err;

	if (anew) {
		notice_close(k->notice);
		k->notice = s->watch ? notice_open(dirs, WATCHED, s->watch_delay * 1000, disk_changed, k, &err) : NULL;
		if (s->watch && !k->notice)
			log_warning("changes of the configuration are not noticed until a reload", "error", err.detail, NULL);
		free(k->watched);
		k->watched = mem_strdup(key);
	}
	free(key);
	free(folder);
	return anew && k->notice;
}

static void read_disk(struct keeper *k, bool reload)
{
	struct conf_set set;
	bool changed;

	do {
		conf_read(k->main_file, &set);
		changed = accepted_update(k->parts.accepted, &set, reload);
		conf_set_free(&set);
		if (changed)
			tell_peers(k);
	} while (watch_disk(k));
	if (accepted_wait_ms(k->parts.accepted) >= 0)
		timer_arm(&k->removal, accepted_wait_ms(k->parts.accepted), disk_changed, k);
	else
		timer_disarm(&k->removal);
}

void keeper_reload(struct keeper *k)
{
	read_disk(k, true);
}

static void reload(void *arg)
{
	keeper_reload(arg);
}

/* --- peers --- */

static void is_idle(void *arg)
{
	struct keeper *k = arg;

	if (run_is_idle(k->parts.run) && haproxy_is_idle(k->parts.haproxy))
		loop_stop();
	else
		timer_arm(&k->idle, IDLE_MS, is_idle, k);
}

static void drop_peer(struct peer *p)
{
	struct keeper *k = p->keeper;

	LIST_REMOVE(p, link);
	if (p->lasting)
		loop_stop();
	else
		msg_listener_release(k->listener, p->uid);
	free(p);
	if (k->listener && LIST_EMPTY(&k->peers))
		timer_arm(&k->idle, IDLE_MS, is_idle, k);
}

static void peer_closed(void *arg, struct rpc_peer *rpc)
{
	(void)rpc;
	drop_peer(arg);
}

static void called(void *arg, struct rpc_request *request, const struct js *q)
{
	struct peer *p = arg;

	op_call(&p->keeper->parts, request, q, p->uid);
}

/* Takes over fd. */
static bool add_peer(struct keeper *k, int fd, uid_t uid, bool lasting, struct err *err)
{
	static const struct rpc_serve_ops serve = { .call = called, .closed = peer_closed };
	struct peer *p = mem_alloc(sizeof(*p));

	p->keeper = k;
	p->uid = uid;
	p->lasting = lasting;
	p->rpc = rpc_serve(fd, MESSAGE_MAX, &serve, p, err);
	if (!p->rpc) {
		free(p);
		return false;
	}
	LIST_INSERT_HEAD(&k->peers, p, link);
	timer_disarm(&k->idle);
	return true;
}

static bool is_welcome(const struct keeper *k, uid_t uid)
{
	struct passwd *user = getpwnam(conf_of(k)->settings.user);

	return uid == 0 || uid == geteuid() || (user && uid == user->pw_uid);
}

static void accepted_peer(void *arg, int fd)
{
	struct keeper *k = arg;
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);
	struct err err;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && is_welcome(k, who.uid)) {
		if (add_peer(k, fd, who.uid, false, &err))
			return;
		log_warning("a connection could not be served", "error", err.detail, NULL);
	} else {
		log_error("a connection of a user who has no business here was refused", "uid", log_num(who.uid), "pid", log_num(who.pid), NULL);
		close(fd);
	}
	msg_listener_release(k->listener, who.uid);
}

/* --- life --- */

static bool open_state(struct keeper *k, const struct conf_set *set, struct err *err)
{
	char *path = accepted_find_state(set);
	struct stat st;
	bool ok;

	k->state = file_make_dirs(path, 0711, err);
	ok = k->state >= 0 && (fstat(k->state, &st) == 0 || err_errno(err, "cannot stat %s", path));
	if (ok && !path_is_guarded(&st))
		ok = err_set(err, ERR_LOCAL, "path", "%s belongs to someone else, or others can write there", path);
	if (ok) {
		k->lock = openat(k->state, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (k->lock < 0)
			ok = err_errno(err, "cannot open %s/lock", path);
		else if (flock(k->lock, LOCK_EX | LOCK_NB) != 0)
			ok = errno == EWOULDBLOCK ? err_set(err, ERR_LOCAL, "in-use", "another dovad-keeper works in %s", path) :
						    err_errno(err, "cannot lock %s", path);
	}
	free(path);
	return ok;
}

/* A certificate that names services is read by those: what another one has to do need not wait for a service that hangs. One that names none, or is not
 * configured any more, may be read by any of them. That a service reads a certificate without being named there cannot be known: it is not reloaded for it
 * either. */
static bool may_read(void *arg, const char *service, const char *cert)
{
	const struct conf_cert *c = cert ? conf_find_cert(conf_of(arg), cert) : NULL;

	for (size_t i = 0; c && i < c->service.n; i++)
		if (strcmp(c->service.v[i]->name, service) == 0)
			return true;
	return !c || c->service.n == 0;
}

static bool open_modules(struct keeper *k, const struct keeper_options *o, struct err *err)
{
	struct run_options run = { .socket = o->run_socket, .supervisor = o->run_fd, .program = LIBEXECDIR "/dovad-run", .main_file = k->main_file };
	struct conf_set set;
	bool ok;

	conf_read(k->main_file, &set);
	ok = open_state(k, &set, err);
	if (!ok && !set.n && set.nunread) /* where the state is stands in a file that cannot be read: say that */
		err_set(err, ERR_INPUT, "conf", "%s: %s", set.unread[0].file, set.unread[0].text);
	if (ok)
		k->parts.accepted = accepted_open(k->state, k->main_file, &set, err);
	conf_set_free(&set);
	if (!k->parts.accepted)
		return false;
	k->parts.vault = vault_open(k->state, err);
	if (!k->parts.vault)
		return false;
	k->install = (struct install){ .state = k->state, .vault = k->parts.vault };
	k->parts.install = &k->install;
	k->parts.unit = o->listen_fd >= 0 ? "dovad-keeper.service" : NULL;
	k->parts.reload = reload;
	k->parts.arg = k;
	install_repair(&k->install, conf_of(k));
	run.gate = k->gate = gate_new(may_read, k);
	k->parts.run = run_open(&run);
	k->parts.haproxy = haproxy_open(&k->install, k->parts.run, k->gate);
	k->parts.round = round_new(&k->parts, k->gate);
	return true;
}

static bool open_peers(struct keeper *k, const struct keeper_options *o, struct err *err)
{
	const struct msg_listener_limits limits = { .total = PEERS_MAX, .per_uid = PEERS_MAX };

	if (o->peer_fd >= 0 && !add_peer(k, o->peer_fd, (uid_t)-1, true, err))
		return false;
	if (o->listen_fd < 0)
		return true;
	k->listener = msg_listen(NULL, o->listen_fd, 0, &limits, accepted_peer, k, err);
	if (k->listener && LIST_EMPTY(&k->peers))
		timer_arm(&k->idle, IDLE_MS, is_idle, k);
	return k->listener != NULL;
}

struct keeper *keeper_open(const struct keeper_options *o, struct err *err)
{
	struct keeper *k = mem_alloc(sizeof(*k));

	LIST_INIT(&k->peers);
	k->state = k->lock = -1;
	k->main_file = mem_strdup(o->main_file);
	if (o->main_file[0] != '/') {
		err_set(err, ERR_BUG, "path", "%s is not an absolute path", o->main_file);
	} else if (open_modules(k, o, err) && open_peers(k, o, err)) {
		(void)watch_disk(k);
		read_disk(k, false); /* again: nobody told of what changed meanwhile */
		return k;
	}
	keeper_close(k);
	return NULL;
}

void keeper_close(struct keeper *k)
{
	struct peer *p;

	if (!k)
		return;
	timer_disarm(&k->removal);
	timer_disarm(&k->idle);
	notice_close(k->notice);
	while ((p = LIST_FIRST(&k->peers))) {
		LIST_REMOVE(p, link);
		rpc_peer_close(p->rpc);
		free(p);
	}
	round_free(k->parts.round);
	run_close(k->parts.run); /* after the peers: they ask the next keeper again instead of being told of a failure */
	haproxy_close(k->parts.haproxy);
	gate_free(k->gate);
	if (k->listener)
		msg_listener_close(k->listener);
	vault_close(k->parts.vault);
	accepted_close(k->parts.accepted);
	if (k->lock >= 0)
		close(k->lock);
	if (k->state >= 0)
		close(k->state);
	free(k->watched);
	free(k->main_file);
	free(k);
}
