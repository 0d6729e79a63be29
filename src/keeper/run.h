/* SPDX-License-Identifier: ISC */
/* Tests, reloads and changes of records, each done by a dovad-run process that is told only a word, a name and checked data, and reads the configuration
 * itself. */
#ifndef DOVAD_KEEPER_RUN_H
#define DOVAD_KEEPER_RUN_H

#include <stdint.h>

#include "base/json.h"
#include "keeper/gate.h"

struct run;

struct run_options { /* how a dovad-run is reached; the first that is given */
	const char *socket;    /* path: the service manager starts one for each connection */
	int supervisor;        /* a SOCK_SEQPACKET to the supervisor, which gets one end of a socket pair for each; -1: none */
	const char *program;   /* otherwise started as a child: its path ... */
	const char *main_file; /* ... and dovad.conf */
	struct gate *gate;     /* each waits there for its turn; borrowed */
};

/* ran false: there was nothing to do. output: what the program wrote, borrowed, may be NULL. err NULL: it went well. Once, on a later turn. */
typedef void run_done(void *arg, bool ran, const char *output, const struct err *err);

struct run *run_open(const struct run_options *options); /* options are copied */
void run_close(struct run *r);                           /* children are ended, requests under way end with an error at once */
struct run_wish {           /* copied */
	const char *kind;       /* "test", "load", "restore", "hook" */
	const char *name;       /* of the service or dns entry */
	const struct js *data;  /* goes with the request and is not changed any more; NULL: none */
	int64_t timeout_s;
	bool reads;             /* certificates: has to take turns with their switches (gate.h) */
};
/* One at a time per kind and name, in the order of asking. Requests for the same in a row that come while one is under way are answered together by the
 * next, which begins after the last of them was made: it sees what each of them wanted seen. Twelve are under way at a time, the others wait for their
 * turn, first come, first served; timeout_s counts from when it begins. */
void run_start(struct run *r, const struct run_wish *wish, run_done *done, void *arg);
bool run_is_idle(const struct run *r);

#endif
