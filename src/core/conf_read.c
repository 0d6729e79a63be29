/* SPDX-License-Identifier: ISC */
/* The configuration from disk, with suspicion: what somebody else could have written is not read, and what is not a plain file is not opened. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "core/conf.h"

enum { FIRST_ROOM = 16 };

struct names { /* of files in one folder */
	char **v;
	size_t n, room;
};

/* --- the set --- */

/* Room for one more at the end of an array that doubles. */
static void *grow(void *v, size_t n, size_t size)
{
	if (n && (n < FIRST_ROOM || (n & (n - 1))))
		return v;
	return mem_resize(v, n ? 2 * n : FIRST_ROOM, size);
}

static void add_unread(struct conf_set *set, const char *path, bool warning, const char *text)
{
	set->unread = grow(set->unread, set->nunread, sizeof *set->unread);
	set->unread[set->nunread++] =
		(struct conf_problem){.file = arena_strdup(set->arena, path), .warning = warning, .text = arena_strdup(set->arena, text)};
}

static void add_source(struct conf_set *set, const char *path, const struct buf *text, int kind)
{
	char *copy = arena_alloc(set->arena, text->len + 1); /* not strndup: a NUL is found and told later */

	if (text->len)
		memcpy(copy, text->data, text->len);
	set->v = grow(set->v, set->n, sizeof *set->v);
	set->v[set->n] = (struct conf_source){.path = arena_strdup(set->arena, path), .text = copy, .len = text->len};
	set->v[set->n++].kind = kind;
}

void conf_set_free(struct conf_set *set)
{
	free(set->v);
	free(set->unread);
	arena_free(set->arena);
	*set = (struct conf_set){0};
}

/* --- files --- */

/* Nobody but root and us may have had a hand in it. */
static bool check_owner(const struct stat *st, struct err *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(err, ERR_LOCAL, "owner", "belongs to user %lu: only files of root are read", (unsigned long)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_LOCAL, "owner", "can be written by %s: chmod go-w", st->st_mode & S_IWOTH ? "everyone" : "its group");
	return true;
}

/* false: not read, and told. `path` is how messages call what is `name` below dirfd. */
static bool add_file(struct conf_set *set, int dirfd, const char *name, const char *path, int kind, bool owned)
{
	struct err err = {0};
	struct buf text;
	struct stat st;
	bool ok;

	buf_init(&text, CONF_FILE_MAX);
	ok = file_read(dirfd, name, CONF_FILE_MAX, &text, &st, &err) && (!owned || check_owner(&st, &err));
	if (ok)
		add_source(set, path, &text, kind);
	else
		add_unread(set, path, false, err.detail);
	buf_free(&text);
	return ok;
}

/* --- folders --- */

static bool is_snippet(const char *name)
{
	size_t len = strlen(name), suffix = strlen(".conf");

	return name[0] != '.' && len > suffix && strcmp(name + len - suffix, ".conf") == 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_name(const struct names *names, const char *name)
{
	return names->n && bsearch(&name, names->v, names->n, sizeof *names->v, compare_names);
}

static void free_names(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

/* -1 and *err: not there (errnum ENOENT), or not to be trusted. */
static int open_folder(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		err_errno(err, "cannot open this folder");
		return -1;
	}
	if (fstat(fd, &st) != 0 ? err_errno(err, "cannot stat this folder") : check_owner(&st, err))
		return fd;
	close(fd);
	return -1;
}

/* What is not seen of it is not gone. */
static void add_unlisted(struct conf_set *set, const char *path)
{
	struct err err;

	err_errno(&err, "cannot list this folder");
	add_unread(set, path, false, err.detail);
}

/* The names of the files of an open folder, which is closed; sorted. fd -1: errno tells why. */
static struct names list_folder(struct conf_set *set, int fd, const char *path)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct names names = {0};
	struct dirent *entry;

	if (!dir) {
		add_unlisted(set, path);
		if (fd >= 0)
			close(fd);
		return names;
	}
	while (errno = 0, (entry = readdir(dir))) {
		if (!is_snippet(entry->d_name))
			continue;
		if (names.n == CONF_FILES_MAX) {
			add_unread(set, path, false, "too many files: the others are not read");
			break;
		}
		names.v = grow(names.v, names.n, sizeof *names.v);
		names.v[names.n++] = mem_strdup(entry->d_name);
	}
	if (!entry && errno)
		add_unlisted(set, path);
	closedir(dir);
	if (names.n)
		qsort(names.v, names.n, sizeof *names.v, compare_names);
	return names;
}

/* All files of a folder but those that `before` names already; returns the names found. A missing folder of snippets is worth a warning. */
static struct names add_folder(struct conf_set *set, const char *path, int kind, const struct names *before)
{
	struct names names = {0};
	struct err err = {0};
	int fd = open_folder(path, &err);

	if (fd < 0) {
		if (err.errnum != ENOENT || kind == CONF_SNIPPET)
			add_unread(set, path, err.errnum == ENOENT, err.detail);
		return names;
	}
	names = list_folder(set, fcntl(fd, F_DUPFD_CLOEXEC, 3), path);
	for (size_t i = 0; i < names.n; i++) {
		char *file;

		if (before && has_name(before, names.v[i]))
			continue;
		file = mem_printf("%s/%s", path, names.v[i]);
		add_file(set, fd, names.v[i], file, kind, true);
		free(file);
	}
	close(fd);
	return names;
}

/* --- the whole --- */

/* What relative paths count from must not depend on where we were started. */
static char *absolute(const char *path)
{
	char *folder = path[0] == '/' ? NULL : get_current_dir_name(), *whole;

	whole = folder ? mem_printf("%s/%s", folder, path) : mem_strdup(path);
	free(folder);
	return whole;
}

/* Of an absolute path. */
static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static bool add_main(struct conf_set *set, const char *path)
{
	const char *name = base_name(path);
	char *folder = mem_strndup(path, (size_t)(name - path));
	struct err err = {0};
	int fd = open_folder(folder, &err);
	bool ok = fd >= 0 && add_file(set, fd, name, path, CONF_MAIN, true);

	if (fd < 0)
		add_unread(set, folder, false, err.detail);
	else
		close(fd);
	free(folder);
	return ok;
}

void conf_read(const char *main_file, struct conf_set *set)
{
	char *path = absolute(main_file);

	*set = (struct conf_set){.arena = arena_new()};
	if (add_main(set, path)) {
		struct conf *c = conf_build(set->v, set->n, NULL, 0); /* for the folders */
		struct names own = add_folder(set, c->settings.services, CONF_SERVICES, NULL);
		struct names shipped = add_folder(set, DATADIR "/dovad/services.d", CONF_SERVICES, &own);
		struct names snippets = add_folder(set, c->settings.snippets, CONF_SNIPPET, NULL);

		free_names(&own);
		free_names(&shipped);
		free_names(&snippets);
		conf_free(c);
	}
	free(path);
}

/* The last source, to where it would stand had it been in the folder. */
static void sort_in(struct conf_set *set)
{
	struct conf_source last = set->v[--set->n];
	size_t i = set->n;

	while (i > 0 && set->v[i - 1].kind == CONF_SNIPPET && strcmp(base_name(set->v[i - 1].path), base_name(last.path)) > 0)
		i--;
	if (i > 0 && set->v[i - 1].kind == CONF_SNIPPET && strcmp(base_name(set->v[i - 1].path), base_name(last.path)) == 0) {
		set->v[i - 1] = last;
		return;
	}
	memmove(&set->v[i + 1], &set->v[i], (set->n++ - i) * sizeof *set->v);
	set->v[i] = last;
}

void conf_read_snippet(struct conf_set *set, const char *path)
{
	char *full = absolute(path);

	if (!is_snippet(base_name(full)))
		add_unread(set, full, false, "would not be read: only files named *.conf are");
	else if (add_file(set, AT_FDCWD, full, full, CONF_SNIPPET, false))
		sort_in(set);
	free(full);
}
