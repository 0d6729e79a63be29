/* SPDX-License-Identifier: ISC */
#include "core/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { STORE_VERSION = 1, STORE_EVENTS_EACH = 200, STORE_EVENTS_DAYS = 365, STORE_PRUNE_EVERY = 500 };

static const char store_file[] = "journal.db";
static const char store_schema[] =
	"BEGIN;"
	"CREATE TABLE record (kind TEXT NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL,"
	" PRIMARY KEY (kind, name)) WITHOUT ROWID;"
	"CREATE TABLE event (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, cert TEXT, event TEXT NOT NULL, data TEXT);"
	"CREATE INDEX event_cert ON event (cert, id);"
	"PRAGMA user_version = 1;"
	"COMMIT";

struct write { /* one gathered change, in order */
	struct write *next;
	enum { WRITE_PUT, WRITE_DROP, WRITE_EVENT } what;
	char *kind, *name, *data; /* event: event, cert or NULL, data or NULL */
	int64_t at;
};

enum { SQL_PUT, SQL_DROP, SQL_GET, SQL_EACH, SQL_EVENT, SQL_HISTORY, SQL_HISTORY_ALL, SQL_COUNT };
static const char *const store_sql[SQL_COUNT] = {
	[SQL_PUT] = "INSERT OR REPLACE INTO record (kind, name, data) VALUES (?1, ?2, ?3)",
	[SQL_DROP] = "DELETE FROM record WHERE kind = ?1 AND name = ?2",
	[SQL_GET] = "SELECT data FROM record WHERE kind = ?1 AND name = ?2",
	[SQL_EACH] = "SELECT name, data FROM record WHERE kind = ?1 ORDER BY name",
	[SQL_EVENT] = "INSERT INTO event (event, cert, data, at) VALUES (?1, ?2, ?3, ?4)",
	[SQL_HISTORY] = "SELECT at, cert, event, data FROM event WHERE cert = ?1 ORDER BY id DESC LIMIT ?2",
	[SQL_HISTORY_ALL] = "SELECT at, cert, event, data FROM event WHERE ?1 IS NULL ORDER BY id DESC LIMIT ?2",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[SQL_COUNT];
	int dir_fd, lock_fd;
	struct write *first, **last;
	unsigned events; /* since the last pruning */
};

/* "damaged": what lies there is not our journal, or not any more. Anything else (no permission, no descriptors, a lock, an I/O error) may be better the
 * next time. */
static bool store_fail(struct store *s, const char *doing, struct err *err)
{
	int rc = sqlite3_errcode(s->db);
	bool damaged = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_FORMAT || rc == SQLITE_ERROR;

	if (rc == SQLITE_FULL)
		return err_set(err, ERR_LOCAL, "disk-full", "%s: the disk of the state directory is full; free some space", doing);
	return err_set(err, ERR_LOCAL, damaged ? "damaged" : "journal", "%s: %s", doing, sqlite3_errmsg(s->db));
}

static bool store_exec(struct store *s, const char *sql, const char *doing, struct err *err)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	return store_fail(s, doing, err);
}

static bool store_lock(struct store *s, const char *dir, struct err *err)
{
	s->dir_fd = file_make_dirs(dir, 0700, err);
	if (s->dir_fd < 0)
		return false;
	s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return err_errno(err, "cannot open %s/lock", dir);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno == EWOULDBLOCK)
		return err_set(err, ERR_LOCAL, "in-use", "%s is in use by another dovad: stop that one first, or give this one its own `state`",
			dir);
	return err_errno(err, "cannot lock %s/lock", dir);
}

/* The first column of the first row of a pragma, as number and as text (to be freed; NULL: no row). */
static char *store_ask(struct store *s, const char *sql, int *number)
{
	sqlite3_stmt *q = NULL;
	char *text = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW) {
		*number = sqlite3_column_int(q, 0);
		text = mem_strdup((const char *)sqlite3_column_text(q, 0));
	}
	sqlite3_finalize(q);
	return text;
}

static bool store_check(struct store *s, bool *fresh, struct err *err)
{
	int version = 0, none;
	char *text = store_ask(s, "PRAGMA user_version", &version), *sound;
	bool ok;

	if (!text)
		return store_fail(s, "cannot read the journal", err);
	free(text);
	if (version > STORE_VERSION || version < 0)
		return err_set(err, ERR_LOCAL, "damaged", "the journal is of version %d, this dovad knows %d", version, STORE_VERSION);
	*fresh = version == 0;
	sound = store_ask(s, "PRAGMA quick_check(1)", &none);
	if (!sound)
		return store_fail(s, "cannot check the journal", err);
	ok = strcmp(sound, "ok") == 0 || err_set(err, ERR_LOCAL, "damaged", "the journal is damaged: %s", sound);
	free(sound);
	return ok;
}

/* Open and look: is it a sound journal of a version we know? */
static bool store_try(struct store *s, const char *path, bool *fresh, struct err *err)
{
	int fd = openat(s->dir_fd, store_file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600); /* whatever the umask */
	bool ok;

	if (fd < 0)
		return err_errno(err, "cannot open %s", path);
	close(fd);
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL)
	    != SQLITE_OK)
		return store_fail(s, "cannot open the journal", err);
	sqlite3_busy_timeout(s->db, 0);
	if (!store_exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;",
		    "cannot prepare the journal", err))
		return false;
	if (!store_check(s, fresh, err) || (*fresh && !store_exec(s, store_schema, "cannot set up the journal", err)))
		return false;
	ok = true;
	for (int i = 0; i < SQL_COUNT && ok; i++)
		ok = sqlite3_prepare_v3(s->db, store_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[i], NULL) == SQLITE_OK;
	return ok || store_fail(s, "cannot use the journal", err);
}

static void store_shut(struct store *s)
{
	for (int i = 0; i < SQL_COUNT; i++) {
		sqlite3_finalize(s->stmt[i]);
		s->stmt[i] = NULL;
	}
	sqlite3_close(s->db);
	s->db = NULL;
}

static void store_move_aside(struct store *s, const struct err *why)
{
	static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
	char from[64], to[64];
	long long now = clock_now();

	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", store_file, suffix[i]);
		snprintf(to, sizeof(to), "%s.broken-%lld%s", store_file, now, suffix[i]);
		if (renameat(s->dir_fd, from, s->dir_fd, to) < 0 && errno != ENOENT)
			log_error("cannot move the broken journal aside", "file", from, "error", strerror(errno), NULL);
	}
	snprintf(to, sizeof(to), "%s.broken-%lld", store_file, now);
	log_error("the journal was unusable: moved aside, a new one begins; certificates are found again from the keeper", "kept", to, "error",
		log_err(why), NULL);
}

/* A FIFO or a directory would never open, a link would lead out of here. */
static bool store_is_odd(const struct store *s, struct err *err)
{
	struct stat st;

	if (fstatat(s->dir_fd, store_file, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode))
		return false;
	err_set(err, ERR_LOCAL, "damaged", "%s is not a regular file", store_file);
	return true;
}

struct store *store_open(const char *dir, bool *fresh, struct err *err)
{
	struct store *s = mem_alloc(sizeof(*s));
	char *path = mem_printf("%s/%s", dir, store_file);
	bool ok;

	s->dir_fd = s->lock_fd = -1;
	s->last = &s->first;
	ok = store_lock(s, dir, err);
	if (ok && (store_is_odd(s, err) || !store_try(s, path, fresh, err))) {
		store_shut(s);
		ok = strcmp(err->type, "damaged") == 0;
		if (ok) {
			store_move_aside(s, err);
			ok = store_try(s, path, fresh, err);
		}
	}
	free(path);
	if (ok)
		return s;
	store_close(s);
	return NULL;
}

static void write_free(struct write *w)
{
	free(w->kind);
	free(w->name);
	free(w->data);
	free(w);
}

void store_close(struct store *s)
{
	struct write *w;
	struct err err;

	if (!s)
		return;
	if (s->db && !store_commit(s, &err))
		log_error("the last changes could not be written to the journal", "error", log_err(&err), NULL);
	while ((w = s->first)) {
		s->first = w->next;
		write_free(w);
	}
	store_shut(s);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s);
}

static struct write *store_gather(struct store *s, int what, const char *kind, const char *name, const struct js *data)
{
	struct write *w = mem_alloc(sizeof(*w));

	w->what = what;
	w->kind = mem_strdup(kind);
	w->name = name ? mem_strdup(name) : NULL;
	w->data = data ? js_dump(data) : NULL;
	*s->last = w;
	s->last = &w->next;
	return w;
}

void store_put(struct store *s, const char *kind, const char *name, const struct js *record)
{
	store_gather(s, WRITE_PUT, kind, name, record);
}

void store_drop(struct store *s, const char *kind, const char *name)
{
	store_gather(s, WRITE_DROP, kind, name, NULL);
}

void store_event(struct store *s, int64_t at_us, const char *cert, const char *event, const struct js *detail)
{
	store_gather(s, WRITE_EVENT, event, cert, detail)->at = at_us;
}

bool store_dirty(const struct store *s)
{
	return s->first != NULL;
}

static bool store_write(struct store *s, const struct write *w)
{
	static const int sql[] = {[WRITE_PUT] = SQL_PUT, [WRITE_DROP] = SQL_DROP, [WRITE_EVENT] = SQL_EVENT};
	sqlite3_stmt *q = s->stmt[sql[w->what]];
	int rc;

	sqlite3_bind_text(q, 1, w->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, w->name, -1, SQLITE_STATIC);
	if (w->what != WRITE_DROP)
		sqlite3_bind_text(q, 3, w->data, -1, SQLITE_STATIC);
	if (w->what == WRITE_EVENT)
		sqlite3_bind_int64(q, 4, w->at);
	rc = sqlite3_step(q);
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return rc == SQLITE_DONE;
}

/* History has a ceiling; a look at it now and then is enough. */
static void store_prune(struct store *s)
{
	char sql[400];

	if (s->events < STORE_PRUNE_EVERY)
		return;
	s->events = 0;
	snprintf(sql, sizeof(sql),
		"DELETE FROM event WHERE at < %lld OR id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY cert ORDER BY id DESC) AS n"
		" FROM event) WHERE n > %d)",
		(long long)(clock_now_us() - (int64_t)STORE_EVENTS_DAYS * 86400 * 1000000), STORE_EVENTS_EACH);
	sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

bool store_commit(struct store *s, struct err *err)
{
	struct write *w;

	if (!s->first)
		return true;
	if (!store_exec(s, "BEGIN IMMEDIATE", "cannot write the journal", err))
		return false;
	for (w = s->first; w; w = w->next)
		if (!store_write(s, w)) {
			store_fail(s, "cannot write the journal", err);
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
	if (!store_exec(s, "COMMIT", "cannot write the journal", err)) {
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return false;
	}
	while ((w = s->first)) {
		s->first = w->next;
		s->events += w->what == WRITE_EVENT;
		write_free(w);
	}
	s->last = &s->first;
	store_prune(s);
	return true;
}

static struct js *store_parse(sqlite3_stmt *q, int column)
{
	const char *text = (const char *)sqlite3_column_text(q, column);
	struct err err;

	return text ? js_parse(text, (size_t)sqlite3_column_bytes(q, column), &err) : NULL;
}

struct js *store_get(struct store *s, const char *kind, const char *name)
{
	const struct write *w, *newest = NULL;
	sqlite3_stmt *q = s->stmt[SQL_GET];
	struct js *v = NULL;
	struct err err;

	for (w = s->first; w; w = w->next)
		if (w->what != WRITE_EVENT && strcmp(w->kind, kind) == 0 && strcmp(w->name, name) == 0)
			newest = w;
	if (newest)
		return newest->data ? js_parse(newest->data, strlen(newest->data), &err) : NULL;
	sqlite3_bind_text(q, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, name, -1, SQLITE_STATIC);
	if (sqlite3_step(q) == SQLITE_ROW)
		v = store_parse(q, 0);
	sqlite3_reset(q);
	return v;
}

void store_each(struct store *s, const char *kind, void (*fn)(void *arg, const char *name, const struct js *record), void *arg)
{
	sqlite3_stmt *q = s->stmt[SQL_EACH];

	sqlite3_bind_text(q, 1, kind, -1, SQLITE_STATIC);
	while (sqlite3_step(q) == SQLITE_ROW) {
		struct js *v = store_parse(q, 1);

		if (v)
			fn(arg, (const char *)sqlite3_column_text(q, 0), v);
		js_free(v);
	}
	sqlite3_reset(q);
}

struct js *store_history(struct store *s, const char *cert, size_t limit)
{
	sqlite3_stmt *q = s->stmt[cert ? SQL_HISTORY : SQL_HISTORY_ALL];
	struct js *all = js_array();

	sqlite3_bind_text(q, 1, cert, -1, SQLITE_STATIC); /* NULL binds NULL */
	sqlite3_bind_int64(q, 2, (sqlite3_int64)limit);
	while (sqlite3_step(q) == SQLITE_ROW) {
		struct js *e = store_parse(q, 3);

		if (!e)
			e = js_object();
		js_put_time(e, "at", sqlite3_column_int64(q, 0) / 1000000);
		js_put_str(e, "cert", (const char *)sqlite3_column_text(q, 1));
		js_put_str(e, "event", (const char *)sqlite3_column_text(q, 2));
		js_add(all, e);
	}
	sqlite3_reset(q);
	return all;
}

void store_rest(struct store *s)
{
	if (s->db)
		sqlite3_db_release_memory(s->db);
}

const char *store_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "SQLite %s", sqlite3_libversion());
	return text;
}
