/* SPDX-License-Identifier: ISC */
#include "keeper/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "keeper/path.h"

#define NEW "new"   /* a generation being written or removed */
#define LINK "link" /* a link about to be switched to */
#define FAILED ".failed"

enum {
	NUMBER_ROOM = 32, /* "N.failed" */
};

/* --- opening --- */

static int open_readable(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A new folder's entry is made to last before anything in it counts: now, or by place_write when *made says so. */
static int open_made(int dirfd, const char *name, bool *made, struct err *err)
{
	int fd = open_readable(dirfd, name);

	if (fd >= 0)
		return fd;
	fd = file_open_dir(dirfd, name, 0711, err);
	if (made)
		*made = fd >= 0;
	if (fd >= 0 && !made && !file_sync_dir(dirfd, err)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void reset(struct place *p, const char *dir)
{
	*p = (struct place){ .dir = dir, .gens = -1, .above = -1, .links = -1 };
}

bool place_open_live(struct place *p, int state, const char *cert, struct err *err)
{
	reset(p, cert);
	snprintf(p->link, sizeof(p->link), "%s", cert);
	snprintf(p->prefix, sizeof(p->prefix), "../generations/%s/", cert);
	if (!owned_find(&p->owner, cert, NULL, err))
		return false;
	p->above = open_made(state, "generations", NULL, err);
	if (p->above >= 0)
		p->gens = open_made(p->above, cert, &p->made, err);
	if (p->gens >= 0)
		p->links = open_made(state, "live", NULL, err);
	if (p->links >= 0)
		return true;
	place_close(p);
	return false;
}

/* In a folder of someone else he may have put this here, to be shown our keys. */
static bool check_gens(const struct place *p, struct err *err)
{
	struct stat st;

	if (fstat(p->gens, &st) != 0)
		return err_errno(err, "%s: cannot stat the folder of its generations", p->dir);
	if (path_is_guarded(&st))
		return true;
	return err_set(err, ERR_LOCAL, "path", "%s: the folder .%s.dovad beside it belongs to someone else or others can write there; remove it",
		p->dir, p->link);
}

bool place_open_target(struct place *p, const struct conf_target *target, struct err *err)
{
	char name[NAME_MAX + 32];
	struct err why;

	reset(p, target->dir);
	if (!owned_find(&p->owner, p->dir, target, err))
		return false;
	p->links = path_open_parent(p->dir, p->link, err);
	if (p->links < 0)
		return false;
	snprintf(name, sizeof(name), ".%s.dovad", p->link);
	snprintf(p->prefix, sizeof(p->prefix), "%s/", name);
	p->gens = open_made(p->links, name, &p->made, &why);
	if (p->gens < 0) {
		errno = why.errnum;
		err_errno(err, "%s: cannot make the folder %s beside it", p->dir, name);
	}
	if (p->gens >= 0 && check_gens(p, err))
		return true;
	place_close(p);
	return false;
}

void place_close(struct place *p)
{
	int *const fds[] = { &p->gens, &p->above, &p->links };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* --- which generations there are --- */

struct entry {
	long n;
	bool failed;
};

static bool parse_entry(const char *name, struct entry *e)
{
	char *end;

	if (name[0] < '1' || name[0] > '9')
		return false;
	errno = 0;
	e->n = strtol(name, &end, 10);
	e->failed = strcmp(end, FAILED) == 0;
	return !errno && e->n < LONG_MAX && (e->failed || !*end);
}

static int newest_first(const void *a, const void *b)
{
	long x = ((const struct entry *)a)->n, y = ((const struct entry *)b)->n;

	return (x < y) - (x > y);
}

/* Caller frees; newest first, *n of them. */
static struct entry *list(const struct place *p, size_t *n)
{
	bool empty = p->made && !p->named; /* nobody has put anything there yet */
	int fd = empty ? -1 : open_readable(p->gens, ".");
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct entry *all = NULL, e;
	struct dirent *d;

	*n = 0;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	while ((d = readdir(dir)))
		if (parse_entry(d->d_name, &e)) {
			all = mem_resize(all, *n + 1, sizeof(*all));
			all[(*n)++] = e;
		}
	closedir(dir);
	if (*n)
		qsort(all, *n, sizeof(*all), newest_first);
	return all;
}

static const char *entry_name(long n, bool failed, char out[NUMBER_ROOM])
{
	snprintf(out, NUMBER_ROOM, "%ld%s", n, failed ? FAILED : "");
	return out;
}

long place_current(const struct place *p)
{
	char text[PATH_MAX];
	ssize_t len = readlinkat(p->links, p->link, text, sizeof(text) - 1);
	size_t skip = strlen(p->prefix);
	struct entry e;

	if (len < 0)
		return 0;
	text[len] = '\0';
	return strncmp(text, p->prefix, skip) == 0 && parse_entry(text + skip, &e) && !e.failed ? e.n : 0;
}

long place_newest(const struct place *p)
{
	size_t n;
	struct entry *all = list(p, &n);
	long newest = n ? all[0].n : 0;

	free(all);
	return newest;
}

static bool is_whole(const struct place *p, long n)
{
	struct bundle b;
	bool whole;

	bundle_init(&b);
	whole = place_load(p, n, false, &b, NULL);
	bundle_wipe(&b);
	return whole;
}

long place_before(const struct place *p, long n)
{
	size_t count;
	struct entry *all = list(p, &count);
	long found = 0;

	for (size_t i = 0; i < count && !found; i++)
		if (!all[i].failed && all[i].n < n && is_whole(p, all[i].n))
			found = all[i].n;
	free(all);
	return found;
}

bool place_has_failed(const struct place *p, long n)
{
	char name[NUMBER_ROOM];
	struct stat st;

	return fstatat(p->gens, entry_name(n, true, name), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- reading --- */

bool place_load(const struct place *p, long n, bool failed, struct bundle *b, struct err *err)
{
	char name[NUMBER_ROOM];
	int dir = open_readable(p->gens, entry_name(n, failed, name));
	struct err why;
	bool ok;

	if (dir < 0)
		return err_errno(err, "%s: cannot open generation %s", p->dir, name);
	ok = bundle_load(b, dir, &why);
	close(dir);
	return ok || err_set(err, ERR_LOCAL, "torn", "%s: generation %s is not whole: %s", p->dir, name, why.detail);
}

static bool has_attributes(const struct place *p, long n, const struct bundle *b)
{
	char path[NUMBER_ROOM + 32];
	struct stat st;
	bool fits = true;

	for (int i = 0; i < CONF_PARTS && fits; i++) {
		if (!bundle_has(b, i))
			continue;
		snprintf(path, sizeof(path), "%ld/%s", n, bundle_file_names[i]);
		fits = fstatat(p->gens, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && owned_fits(&p->owner, &st);
	}
	return fits;
}

static bool is_same(const struct place *p, long n, const struct bundle *b)
{
	struct bundle there;
	bool same;

	bundle_init(&there);
	same = place_load(p, n, false, &there, NULL) && bundle_fits(&there, &b->manifest) && has_attributes(p, n, b);
	bundle_wipe(&there);
	return same;
}

bool place_holds(const struct place *p, const struct bundle *b)
{
	long n = place_current(p);

	return n && is_same(p, n, b);
}

/* --- writing --- */

static bool fill(const struct place *p, int dir, const struct bundle *b, struct sync *s, struct err *err)
{
	for (int i = 0; i <= CONF_PARTS; i++) {
		bool last = i == CONF_PARTS;
		int fd;

		if (!last && !bundle_has(b, i))
			continue;
		fd = owned_create(&p->owner, dir, last ? BUNDLE_MANIFEST : bundle_file_names[i], last ? &b->manifest : &b->file[i], err);
		if (fd < 0)
			return false;
		sync_add(s, fd);
	}
	return true;
}

static bool remove_tree(const struct place *p, const char *name)
{
	struct err err;

	if (file_remove_tree(p->gens, name, &err))
		return true;
	log_warning("a leftover cannot be removed", "place", p->dir, "name", name, "error", err.detail, NULL);
	return false;
}

static bool write_new(const struct place *p, const struct bundle *b, struct sync *s, struct err *err)
{
	int dir;

	if (!file_remove_tree(p->gens, NEW, err))
		return false;
	dir = file_open_dir(p->gens, NEW, 0700, err);
	if (dir < 0)
		return false;
	sync_add(s, dir);
	if (fill(p, dir, b, s, err) && owned_give(&p->owner, dir, 0750, err))
		return true;
	remove_tree(p, NEW);
	return false;
}

static bool is_empty(int dirfd, const char *name)
{
	int fd = open_readable(dirfd, name);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (readdir(dir))
		n++;
	closedir(dir);
	return n <= 2; /* "." and ".." */
}

/* May what stands where the link goes be replaced? *folder: it is an empty one. */
static bool check_link(const struct place *p, bool *folder, struct err *err)
{
	struct stat st;

	*folder = false;
	if (fstatat(p->links, p->link, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || err_errno(err, "%s: cannot stat it", p->dir);
	*folder = S_ISDIR(st.st_mode) && is_empty(p->links, p->link);
	/* A link of somebody else, to a placeholder or to where the files were before, is how a running service is moved over to dovad. */
	if (*folder || S_ISLNK(st.st_mode))
		return true;
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_LOCAL, "occupied",
			"%s is a folder with files in it, and dovad makes a symbolic link of that name: move it away (mv %s %s.old), "
			"the service keeps its open files until it is reloaded", p->dir, p->dir, p->dir);
	return err_set(err, ERR_LOCAL, "occupied", "%s is there already and not made by dovad: move it away", p->dir);
}

static void tell_takeover(const struct place *p)
{
	char was[PATH_MAX];
	ssize_t len = readlinkat(p->links, p->link, was, sizeof(was) - 1);

	if (len < 0 || place_current(p))
		return;
	was[len] = '\0';
	log_notice("a symbolic link that dovad did not make is replaced", "target", p->dir, "was", was, NULL);
}

bool place_write(struct place *p, const struct bundle *b, struct sync *s, struct err *err)
{
	size_t count;
	struct entry *all = list(p, &count);
	bool folder, ok = check_link(p, &folder, err);

	p->next = 0;
	p->fresh = p->named = false;
	for (size_t i = 0; ok && i < count && !p->next; i++)
		if (!all[i].failed && is_same(p, all[i].n, b))
			p->next = all[i].n;
	if (ok && !p->next) {
		p->next = count ? all[0].n + 1 : 1;
		p->fresh = ok = write_new(p, b, s, err);
		if (p->made)
			sync_add_copy(s, p->above >= 0 ? p->above : p->links);
	}
	free(all);
	return ok;
}

bool place_name(struct place *p, struct sync *s, struct err *err)
{
	char name[NUMBER_ROOM];

	if (!p->fresh)
		return true;
	p->named = renameat(p->gens, NEW, p->gens, entry_name(p->next, false, name)) == 0;
	if (!p->named)
		return err_errno(err, "%s: cannot name generation %ld", p->dir, p->next);
	sync_add_copy(s, p->gens);
	return true;
}

bool place_point(struct place *p, struct sync *s, struct err *err)
{
	char text[sizeof(p->prefix) + NUMBER_ROOM], name[NUMBER_ROOM];
	bool folder;

	if (!check_link(p, &folder, err))
		return false;
	snprintf(text, sizeof(text), "%s%s", p->prefix, entry_name(p->next, false, name));
	tell_takeover(p);
	if ((unlinkat(p->gens, LINK, 0) != 0 && errno != ENOENT) || symlinkat(text, p->gens, LINK) != 0)
		return err_errno(err, "%s: cannot make a symbolic link", p->dir);
	if ((folder && unlinkat(p->links, p->link, AT_REMOVEDIR) != 0) || renameat(p->gens, LINK, p->links, p->link) != 0) {
		err_errno(err, "%s: cannot switch to generation %ld", p->dir, p->next);
		unlinkat(p->gens, LINK, 0);
		return false;
	}
	sync_add_copy(s, p->links);
	return true;
}

/* After a failed sync the kernel may have dropped the data: nothing of this generation is used, the next attempt writes all of it again. */
void place_undo(struct place *p)
{
	char name[NUMBER_ROOM];

	if (p->fresh && place_current(p) != p->next)
		remove_tree(p, p->named ? entry_name(p->next, false, name) : NEW);
	p->fresh = p->named = false;
}

bool place_switch(struct place *p, long n, struct err *err)
{
	struct sync s = { 0 };
	bool ok;

	p->next = n;
	ok = place_point(p, &s, err) && sync_now(&s, err);
	sync_drop(&s);
	return ok;
}

bool place_put(struct place *p, const struct bundle *b, long *n, struct err *err)
{
	struct sync s = { 0 };
	bool ok = place_write(p, b, &s, err) && sync_now(&s, err) && place_name(p, &s, err) && sync_now(&s, err);

	sync_drop(&s);
	if (!ok)
		place_undo(p);
	*n = ok ? p->next : 0;
	return ok && place_switch(p, p->next, err);
}

bool place_set_failed(struct place *p, long n, bool failed, struct err *err)
{
	char from[NUMBER_ROOM], to[NUMBER_ROOM];

	if (renameat(p->gens, entry_name(n, !failed, from), p->gens, entry_name(n, failed, to)) != 0)
		return err_errno(err, "%s: cannot rename generation %ld", p->dir, n);
	return file_sync_dir(p->gens, err);
}

void place_clean(struct place *p)
{
	remove_tree(p, NEW);
	if (unlinkat(p->gens, LINK, 0) != 0 && errno != ENOENT)
		log_warning("a leftover cannot be removed", "place", p->dir, "name", LINK, "error", strerror(errno), NULL);
}

void place_prune(struct place *p, int keep)
{
	size_t count = 0;
	struct entry *all = p->made ? NULL : list(p, &count); /* a new one has nothing but what was put there now */
	long current = place_current(p);
	char name[NUMBER_ROOM];

	for (size_t i = 0; i < count; i++) {
		bool goes = all[i].failed ? all[i].n < current : keep-- <= 0;

		if (!goes || all[i].n == current)
			continue;
		/* Renamed first: half removed it would look like a generation. */
		if (remove_tree(p, NEW) && renameat(p->gens, entry_name(all[i].n, all[i].failed, name), p->gens, NEW) == 0)
			remove_tree(p, NEW);
	}
	free(all);
}
