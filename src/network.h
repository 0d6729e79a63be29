/* SPDX-License-Identifier: ISC */
/* The network half: every module that talks to the world, started in order and stopped in mirror order. */
#ifndef DOVAD_NETWORK_H
#define DOVAD_NETWORK_H

#include "base/err.h"

struct network_options {
	const char *main_file;     /* for an own keeper and for messages */
	const char *keeper_socket; /* path, NULL: none */
	int keeper_fd;             /* a connected socket, -1: none. With neither, a keeper is started as a child */
	bool verbose;              /* for an own keeper */
	void (*ready)(void);       /* everything is up: may be NULL */
};
/* Runs until SIGTERM or SIGINT. The exit code of the program, see exits.h. */
int network_run(const struct network_options *options);
/* The libraries behind its modules with their versions, up to a NULL. */
const char *const *network_libraries(void);

#endif
