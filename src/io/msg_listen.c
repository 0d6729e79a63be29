/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/msg_sock.h"

enum {
	ACCEPT_ROUND = 16,       /* connections taken in one turn */
	ACCEPT_PAUSE_MS = 1000,  /* without descriptors left: try again after */
	REFUSAL_LOG_MS = 60000,  /* somebody else's doing must not fill the log */
};

struct place {
	uid_t uid;
	unsigned count;
};

struct msg_listener {
	int fd;
	char *path;   /* NULL: not ours to unlink */
	dev_t dev;    /* of the inode we made */
	ino_t ino;
	struct msg_listener_limits limits;
	void (*accepted)(void *arg, int fd);
	void *arg;
	struct watch watch;
	struct timer pause;
	struct place *places; /* by uid, of connections that are there */
	size_t nplaces;
	unsigned total;
	bool refused_before;
	int64_t refused_at; /* clock_mono_ms of the last line about it */
	bool dead;
};

/* A socket nobody listens on, and ours: make room. Anything else at that path stays, and is an error. */
static bool clear_stale(const char *path, const struct sockaddr_un *sun, struct err *err)
{
	struct stat st;
	int fd, result;

	if (lstat(path, &st) != 0)
		return errno == ENOENT || err_errno(err, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_LOCAL, "socket", "%s exists and is not a socket", path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_LOCAL, "socket", "%s exists and belongs to uid %u", path, st.st_uid);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, "cannot make a socket");
	result = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ? 0 : errno;
	close(fd);
	if (result == 0 || result == EAGAIN)
		return err_set(err, ERR_LOCAL, "in-use", "%s: another process listens there", path);
	errno = result;
	if (result != ECONNREFUSED)
		return err_errno(err, "cannot tell whether %s is in use", path);
	return unlink(path) == 0 || err_errno(err, "cannot remove the stale %s", path);
}

static bool bind_path(struct msg_listener *l, const char *path, mode_t mode, struct err *err)
{
	struct sockaddr_un sun;
	struct stat st;
	mode_t mask;
	int result;

	if (!msg_address(path, &sun, err) || !clear_stale(path, &sun, err))
		return false;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_errno(err, "cannot make a socket");
	mask = umask(~mode & 0777); /* bind makes the inode with 0777 less this */
	result = bind(l->fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0 ? 0 : errno;
	umask(mask);
	errno = result;
	if (result != 0 || lstat(path, &st) != 0)
		return err_errno(err, "cannot make the socket %s", path);
	l->path = mem_strdup(path);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return listen(l->fd, SOMAXCONN) == 0 || err_errno(err, "cannot listen on %s", path);
}

static bool take_over(struct msg_listener *l, int fd, struct err *err)
{
	int listening = 0, domain = 0;
	socklen_t len = sizeof(int);

	l->fd = fd;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return err_errno(err, "descriptor %d is not a socket", fd);
	if (!listening || domain != AF_UNIX)
		return err_set(err, ERR_INPUT, "socket", "descriptor %d is not a listening UNIX socket", fd);
	return msg_set_up(fd, err);
}

static struct place *find_place(struct msg_listener *l, uid_t uid)
{
	for (size_t i = 0; i < l->nplaces; i++)
		if (l->places[i].uid == uid)
			return &l->places[i];
	return NULL;
}

static void take_place(struct msg_listener *l, uid_t uid)
{
	struct place *p = find_place(l, uid);

	if (!p) {
		l->places = mem_resize(l->places, l->nplaces + 1, sizeof(*l->places));
		p = &l->places[l->nplaces++];
		*p = (struct place){ .uid = uid };
	}
	p->count++;
	l->total++;
}

static bool is_exempt(const struct msg_listener *l, const struct msg_identity *who)
{
	if (who->peer.uid == 0 || who->peer.uid == geteuid())
		return true;
	for (size_t i = 0; i < l->limits.nexempt; i++)
		if (msg_identity_in_group(who, l->limits.exempt[i]))
			return true;
	return false;
}

static bool has_room(struct msg_listener *l, const struct msg_identity *who)
{
	struct place *p = find_place(l, who->peer.uid);

	if (l->limits.total > 0 && l->total >= l->limits.total)
		return false;
	return l->limits.per_uid == 0 || !p || p->count < l->limits.per_uid || is_exempt(l, who);
}

static void log_refusal(struct msg_listener *l, const struct msg_peer *peer)
{
	int64_t now = clock_mono_ms();

	if (l->refused_before && now - l->refused_at < REFUSAL_LOG_MS)
		return;
	l->refused_before = true;
	l->refused_at = now;
	log_warning("connection refused: too many at once", "uid", log_num(peer->uid), "pid", log_num(peer->pid),
		"open", log_num(l->total), NULL);
}

static void admit(struct msg_listener *l, int fd)
{
	struct msg_identity who = { 0 };
	struct err err;

	if (!msg_identify(fd, &who, &err)) {
		log_warning("connection refused", "error", log_err(&err), NULL);
		close(fd);
		return;
	}
	if (has_room(l, &who)) {
		take_place(l, who.peer.uid);
		l->accepted(l->arg, fd);
	} else {
		log_refusal(l, &who.peer);
		close(fd);
	}
	free(who.groups);
}

static void resume(void *arg);

/* Out of descriptors the listener stays readable: without a pause that is a busy loop. */
static void pause_accepting(struct msg_listener *l, int errnum)
{
	log_warning("cannot accept connections", "error", strerror(errnum), "again_in_ms", log_num(ACCEPT_PAUSE_MS),
		NULL);
	watch_clear(&l->watch);
	timer_arm(&l->pause, ACCEPT_PAUSE_MS, resume, l);
}

static void accept_some(void *arg, short events)
{
	struct msg_listener *l = arg;

	(void)events;
	for (int i = 0; i < ACCEPT_ROUND && !l->dead; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			admit(l, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			pause_accepting(l, errno);
			return;
		}
	}
}

static void resume(void *arg)
{
	struct msg_listener *l = arg;
	struct err err;

	timer_disarm(&l->pause);
	if (watch_set(&l->watch, l->fd, POLLIN, accept_some, l, &err))
		return;
	log_warning("cannot accept connections", "error", log_err(&err), NULL);
	timer_arm(&l->pause, ACCEPT_PAUSE_MS, resume, l);
}

static void reap(void *arg)
{
	struct msg_listener *l = arg;

	free(l->path);
	free(l->places);
	free((gid_t *)l->limits.exempt);
	free(l);
}

struct msg_listener *msg_listen(const char *path, int listen_fd, mode_t mode, const struct msg_listener_limits *limits,
	void (*accepted)(void *arg, int fd), void *arg, struct err *err)
{
	struct msg_listener *l = mem_alloc(sizeof(*l));
	gid_t *exempt = mem_array(limits->nexempt, sizeof(*exempt));

	for (size_t i = 0; i < limits->nexempt; i++)
		exempt[i] = limits->exempt[i];
	l->fd = -1;
	l->limits = *limits;
	l->limits.exempt = exempt;
	l->accepted = accepted;
	l->arg = arg;
	if ((listen_fd >= 0 ? take_over(l, listen_fd, err) : bind_path(l, path, mode, err)) &&
		watch_set(&l->watch, l->fd, POLLIN, accept_some, l, err))
		return l;
	msg_listener_close(l);
	return NULL;
}

void msg_listener_release(struct msg_listener *l, uid_t uid)
{
	struct place *p = find_place(l, uid);

	if (!p)
		return;
	l->total--;
	if (--p->count == 0)
		*p = l->places[--l->nplaces];
	if (timer_armed(&l->pause))
		resume(l);
}

void msg_listener_close(struct msg_listener *l)
{
	struct stat st;

	if (!l || l->dead)
		return;
	l->dead = true;
	watch_clear(&l->watch);
	timer_disarm(&l->pause);
	/* Only what we made: a successor may have put its own there. */
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		(void)unlink(l->path);
	if (l->fd >= 0)
		close(l->fd);
	loop_defer(reap, l);
}
