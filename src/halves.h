/* SPDX-License-Identifier: ISC */
/* How the supervisor starts what it watches over: the two halves with the sockets between them, and dovad-run. */
#ifndef DOVAD_HALVES_H
#define DOVAD_HALVES_H

#include "prepare.h"

enum { HALF_KEEPER, HALF_NETWORK, HALVES };

struct halves_wish {
	const char *main_file;
	bool verbose;
	struct prepared *prepared;
	int ready_fd; /* handed to the network half */
};
/* Both, as supervisor.h says. pids: 0 for one that could not be started, which is logged. Where the keeper asks for a dovad-run, the caller's to close; -1:
 * there is no keeper. */
int halves_start(const struct halves_wish *wish, pid_t pids[HALVES]);
/* One dovad-run that talks over fd (which stays the caller's, too); its pid, 0 after a failure, which is logged. */
pid_t halves_start_run(const char *main_file, int fd);

#endif
