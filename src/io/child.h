/* SPDX-License-Identifier: ISC */
/* One program, run by argv, bounded in time and output. No shell, ever. */
#ifndef DOVAD_IO_CHILD_H
#define DOVAD_IO_CHILD_H

#include <sys/types.h>

#include "base/err.h"

struct child;

struct child_end {
	int status;          /* as of waitpid */
	bool timed_out;      /* we ended it: SIGTERM to its process group, SIGKILL 2 s later */
	int64_t timeout_ms;  /* as wished */
	const char *output;  /* what it wrote to stdout and stderr, first 16 KiB, NUL-terminated; borrowed */
	size_t output_len;
};
typedef void child_done(void *arg, const struct child_end *end);

enum { CHILD_KEEP_MAX = 8 };
extern const char *const child_env[]; /* PATH, LANG=C.UTF-8; ends with NULL */

struct child_wish {
	const char *const *argv;      /* NULL-terminated, argv[0] absolute */
	const char *const *env;       /* NULL-terminated "K=V"; NULL: child_env */
	int64_t timeout_ms;
	uid_t uid; gid_t gid;         /* become this before exec (with its supplementary groups cleared); (uid_t)-1: stay */
	const char *user;             /* with uid: initgroups for this name instead of clearing; may be NULL */
	const int *keep;              /* handed over as descriptors 3, 4, ...; all others are closed. stdin is /dev/null */
	size_t nkeep;                 /* at most CHILD_KEEP_MAX */
};
/* Own session and process group; stdin /dev/null; umask 077; default signals; no new core. NULL and *err when it cannot be
 * started (a missing program is reported here, not as exit 127). done() is called once unless child_cancel. */
struct child *child_start(const struct child_wish *wish, child_done *done, void *arg, struct err *err)
	__attribute__((warn_unused_result));
pid_t child_pid(const struct child *c);
void child_cancel(struct child *c); /* kills the group at once and reaps; done() is not called */
/* "exited with 1: first line of output", "killed by signal 9", "still running after 30 s": escaped; into err (ERR_LOCAL, type given).
 * true when it exited with 0. */
bool child_judge(const struct child_end *end, const char *type, const char *what, struct err *err) __attribute__((warn_unused_result));

#endif
