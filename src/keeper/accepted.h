/* SPDX-License-Identifier: ISC */
/* The accepted configuration: of each file the bytes that were good last, kept over restarts. Both halves work from these and never from the disk. */
#ifndef DOVAD_KEEPER_ACCEPTED_H
#define DOVAD_KEEPER_ACCEPTED_H

#include <stdint.h>

#include "base/json.h"
#include "core/conf.h"

struct accepted;

/* The folder keeper_state, as the main file sets it; also of a main file that is too broken to be read by its grammar. Caller frees. */
char *accepted_find_state(const struct conf_set *set);
/* Reads state/accepted and takes in what the disk says (set is read, not taken over). A bad main file with a last good version is a warning;
 * without one NULL and *err (ERR_INPUT, its first problem). */
struct accepted *accepted_open(int state, const char *main_file, const struct conf_set *set, struct err *err) __attribute__((warn_unused_result));
void accepted_close(struct accepted *a);

/* Takes in what the disk says now. A file that is bad, or cannot be read, keeps its last good version; one that is missing keeps it for
 * settings.remove_delay, with `reload` it is removed now. With a bad main file everything stays as it was. True when the configuration or the list of
 * its problems changed. */
bool accepted_update(struct accepted *a, const struct conf_set *set, bool reload);
/* Milliseconds until a missing file counts as removed: call accepted_update then. -1: none is missing. */
int64_t accepted_wait_ms(const struct accepted *a);

const struct conf *accepted_conf(const struct accepted *a);
/* The files it is built from, in their order. NULL beyond the end; the path is what problems name. */
const struct conf_source *accepted_source(const struct accepted *a, size_t i);
size_t accepted_count(const struct accepted *a);
struct js *accepted_problems(const struct accepted *a);    /* [{file, line, warning, text}]; a reference of the caller's own */
struct js *accepted_quarantined(const struct accepted *a); /* paths of files whose version on the disk is not in use; as above */

#endif
