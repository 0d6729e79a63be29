/* SPDX-License-Identifier: ISC */
#include "io/notice.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

enum {
	BURST_MS = 10000, /* longest silence towards the owner while changes go on */
	ATTEMPTS = 8,     /* at a path that changes while we climb it */
};

/* IN_CREATE is for links, and for directories that appear on the way to a missing one. */
#define CHANGES (IN_CLOSE_WRITE | IN_MOVE | IN_DELETE | IN_ATTRIB | IN_CREATE)
#define ITSELF (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct notice {
	int fd;
	char **dirs;
	int *wds; /* one per directory; several may be the same */
	size_t ndirs;
	struct watch watch;
	struct timer timer;
	int64_t debounce_ms;
	int64_t burst_since; /* clock_mono_ms, while the timer is armed */
	void (*changed)(void *arg);
	void *arg;
	bool dead;
};

/* Cut the last component off; "." and "/" stay what they are and end the climb. */
static bool climb(char *path)
{
	char *slash = strrchr(path, '/');

	if (strcmp(path, "/") == 0 || strcmp(path, ".") == 0)
		return false;
	if (!slash)
		memcpy(path, ".", 2);
	else if (slash == path)
		path[1] = '\0';
	else
		*slash = '\0';
	return true;
}

/* Watch the directory, or while it is missing the nearest one above that is there. -1 and errno when that fails too. */
static int watch_path(int fd, const char *dir)
{
	int wd = -1;

	for (int i = 0; i < ATTEMPTS; i++) {
		char *path = mem_printf("%s", dir), *below = NULL;

		while ((wd = inotify_add_watch(fd, path, CHANGES | ITSELF)) < 0 && (errno == ENOENT || errno == ENOTDIR)) {
			free(below);
			below = mem_strdup(path);
			if (!climb(path))
				break;
		}
		/* Made after we found it missing and before we watched where it would appear: once more. */
		bool again = wd >= 0 && below && access(below, F_OK) == 0;

		free(below);
		free(path);
		if (!again)
			break;
	}
	return wd;
}

static bool is_in(const int *wds, size_t n, int wd)
{
	for (size_t i = 0; i < n; i++)
		if (wds[i] == wd)
			return true;
	return false;
}

/* By path again: what was watched may have been moved away and another put in its place. */
static bool rewatch(struct notice *n, struct err *err)
{
	int *wds = mem_array(n->ndirs, sizeof(*wds));
	bool ok = true;

	for (size_t i = 0; i < n->ndirs; i++) {
		wds[i] = watch_path(n->fd, n->dirs[i]);
		if (wds[i] < 0)
			ok = err_errno(err, "cannot watch the directory %s", n->dirs[i]);
	}
	for (size_t i = 0; n->wds && i < n->ndirs; i++)
		if (n->wds[i] >= 0 && !is_in(wds, n->ndirs, n->wds[i]))
			(void)inotify_rm_watch(n->fd, n->wds[i]); /* may be gone by itself */
	free(n->wds);
	n->wds = wds;
	return ok;
}

static void burst_over(void *arg)
{
	struct notice *n = arg;
	struct err err = { 0 };

	/* Before the owner looks, so that nothing falls between its look and the new watch. */
	if (!rewatch(n, &err))
		log_warning("changes may go unnoticed", "error", log_err(&err), NULL);
	n->changed(n->arg);
}

static void note_change(struct notice *n)
{
	int64_t now = clock_mono_ms();
	int64_t left;

	if (!timer_armed(&n->timer))
		n->burst_since = now;
	left = n->burst_since + BURST_MS - now;
	timer_arm(&n->timer, left < n->debounce_ms ? left : n->debounce_ms, burst_over, n);
}

/* A new file counts when it is closed after writing; a new link is never written to, so it counts at once. */
static bool is_link(const struct notice *n, const struct inotify_event *e)
{
	struct stat st;

	for (size_t i = 0; i < n->ndirs; i++) {
		if (n->wds[i] != e->wd)
			continue;
		char *path = mem_printf("%s/%s", n->dirs[i], e->len ? e->name : "");
		bool link = lstat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_nlink > 1);

		free(path);
		return link;
	}
	return false;
}

static bool is_change(const struct notice *n, const struct inotify_event *e)
{
	if (e->mask == IN_CREATE)
		return is_link(n, e);
	return !(e->mask & IN_IGNORED); /* the end of a watch; its reason came before it */
}

static void something_happened(void *arg, short events)
{
	char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct notice *n = arg;
	ssize_t len = read(n->fd, buffer, sizeof(buffer));
	bool changed = false;

	(void)events;
	for (ssize_t at = 0; at < len;) {
		const struct inotify_event *e = (const struct inotify_event *)(buffer + at);

		changed = changed || is_change(n, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	if (changed)
		note_change(n);
}

static void reap(void *arg)
{
	struct notice *n = arg;

	for (size_t i = 0; i < n->ndirs; i++)
		free(n->dirs[i]);
	free(n->dirs);
	free(n->wds);
	free(n);
}

struct notice *notice_open(const char *const *dirs, size_t ndirs, int64_t debounce_ms, void (*changed)(void *arg),
	void *arg, struct err *err)
{
	struct notice *n = mem_alloc(sizeof(*n));
	bool ok;

	n->dirs = mem_array(ndirs, sizeof(*n->dirs));
	n->ndirs = ndirs;
	for (size_t i = 0; i < ndirs; i++)
		n->dirs[i] = mem_strdup(dirs[i]);
	n->debounce_ms = debounce_ms;
	n->changed = changed;
	n->arg = arg;
	n->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ok = n->fd >= 0 || err_errno(err, "cannot watch directories");
	if (ok && rewatch(n, err) && watch_set(&n->watch, n->fd, POLLIN, something_happened, n, err))
		return n;
	notice_close(n);
	return NULL;
}

void notice_close(struct notice *n)
{
	if (!n || n->dead)
		return;
	n->dead = true;
	watch_clear(&n->watch);
	timer_disarm(&n->timer);
	if (n->fd >= 0)
		close(n->fd);
	loop_defer(reap, n);
}
