/* SPDX-License-Identifier: ISC */
/* The journal: records of certificates and CAs, and the history of events. Writes gather in memory and are committed together once per loop turn
 * (store_commit); nothing that follows from them happens before. SQLite (WAL, synchronous=FULL) is the embedded default. */
#ifndef DOVAD_CORE_STORE_H
#define DOVAD_CORE_STORE_H

#include "base/json.h"

struct store;

/* dir: our state directory (0700). Takes the lock (flock on dir/lock): a second daemon is refused with ERR_LOCAL "in-use". A journal that is not one
 * (garbage, truncated, from a future version, no file) is moved aside as journal.db.broken-TIME and a new one begun: *fresh tells. One that merely
 * cannot be opened now is an error. */
struct store *store_open(const char *dir, bool *fresh, struct err *err) __attribute__((warn_unused_result));
void store_close(struct store *s); /* commits; NULL is fine */

/* Records by kind ("cert", "ca") and name. put takes a borrowed value. */
void store_put(struct store *s, const char *kind, const char *name, const struct js *record);
void store_drop(struct store *s, const char *kind, const char *name);
struct js *store_get(struct store *s, const char *kind, const char *name); /* caller owns; NULL: none. Sees uncommitted puts */
/* Every record of a kind, in name order; record is borrowed. */
void store_each(struct store *s, const char *kind, void (*fn)(void *arg, const char *name, const struct js *record), void *arg);

/* History. event: "issued", "failed", ...; cert or NULL; detail borrowed or NULL. Events beyond 200 per certificate and 365 days are pruned. */
void store_event(struct store *s, int64_t at_us, const char *cert, const char *event, const struct js *detail);
/* Newest first, at most limit; cert NULL: all. Each {at, cert, event, ...detail}. Caller owns the array. */
struct js *store_history(struct store *s, const char *cert, size_t limit);

bool store_dirty(const struct store *s);
/* One transaction with everything gathered. false: nothing was written (disk full, I/O error), everything is kept for the next try. */
bool store_commit(struct store *s, struct err *err) __attribute__((warn_unused_result));

/* Nothing more is to be written for a while: gives memory back. */
void store_rest(struct store *s);

const char *store_library(void); /* the library behind this and its version */

#endif
