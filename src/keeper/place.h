/* SPDX-License-Identifier: ISC */
/* One place where a key and its chain are read by services: numbered generations, each written once and never changed, and one symbolic link that
 * says which of them is current. Switching is one rename: a reader that opens files through the link sees the old pair or the new one. */
#ifndef DOVAD_KEEPER_PLACE_H
#define DOVAD_KEEPER_PLACE_H

#include <limits.h>
#include <sys/types.h>

#include "base/err.h"
#include "core/conf.h"
#include "io/sync.h"
#include "keeper/bundle.h"
#include "keeper/owned.h"

struct place {
	const char *dir;           /* for errors and the log: what services read; borrowed */
	int gens;                  /* the folder of the generations: 1, 2, ..., and N.failed for one that was taken back */
	int above;                 /* the folder it is in; -1: that of the link */
	int links;                 /* the folder of the link */
	char link[NAME_MAX + 1];
	char prefix[NAME_MAX + 48];/* of the link's text, before the number */
	struct owned owner;        /* of the files; a generation's folder is 0750 */
	bool made;                 /* gens is new: its entry is not made to last yet */
	long next;                 /* of place_write: the generation that holds the bundle */
	bool fresh, named;         /* it is written by us; it has its number */
};

/* live/CERT below the state directory (made when absent). The name passed text_is_name. */
bool place_open_live(struct place *p, int state, const char *cert, struct err *err) __attribute__((warn_unused_result));
/* An `install` target with a folder: generations in PARENT/.BASE.dovad, DIR is the link. */
bool place_open_target(struct place *p, const struct conf_target *target, struct err *err) __attribute__((warn_unused_result));
void place_close(struct place *p); /* harmless when opening failed */

/* Numbers count up from 1; 0: none. */
long place_current(const struct place *p);
long place_newest(const struct place *p);                 /* failed ones included */
long place_before(const struct place *p, long n);         /* the newest whole one below n that did not fail; LONG_MAX: of all */
bool place_has_failed(const struct place *p, long n);
/* Reads a generation; false when it is not whole: a file is missing or differs from the manifest. `b` was bundle_init'ed; wipe it in any case. */
bool place_load(const struct place *p, long n, bool failed, struct bundle *b, struct err *err) __attribute__((warn_unused_result));
/* Is the current generation this bundle, with the owner and mode wanted? */
bool place_holds(const struct place *p, const struct bundle *b);
/* Makes the bundle current: an older generation that holds it is taken again, else a new one is written and synced first. *n: its number.
 * After an error the old one is current; but when the last sync failed either may be found after a power cut, both are whole. */
bool place_put(struct place *p, const struct bundle *b, long *n, struct err *err) __attribute__((warn_unused_result));
/* The three steps of it, for many places at once: find or write the generation, give it its number, make it current. What a step adds to `s` is to be
 * synced before the next one. */
bool place_write(struct place *p, const struct bundle *b, struct sync *s, struct err *err) __attribute__((warn_unused_result));
bool place_name(struct place *p, struct sync *s, struct err *err) __attribute__((warn_unused_result));
bool place_point(struct place *p, struct sync *s, struct err *err) __attribute__((warn_unused_result));
void place_undo(struct place *p); /* takes the first two back */
bool place_switch(struct place *p, long n, struct err *err) __attribute__((warn_unused_result)); /* to a generation that is there */
/* Sets a generation aside as failed, or takes that back. */
bool place_set_failed(struct place *p, long n, bool failed, struct err *err) __attribute__((warn_unused_result));
/* Removes what an interrupted place_put left. */
void place_clean(struct place *p);
/* Removes all but the newest `keep` generations and the current one, and failed ones older than that. */
void place_prune(struct place *p, int keep);

#endif
