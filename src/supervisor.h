/* SPDX-License-Identifier: ISC */
/* Without a service manager: a dovad started as root stays as this small parent. It binds the configured low ports, starts and restarts the two halves
 * under their own users and runs dovad-run for the keeper. It reads nothing from the network half but one byte: that it is ready. */
#ifndef DOVAD_SUPERVISOR_H
#define DOVAD_SUPERVISOR_H

#include <stdbool.h>

struct supervisor_options {
	const char *main_file;
	bool verbose;
	void (*ready)(void); /* the network half is ready, for the first time; may be NULL */
};
/* Runs until SIGTERM or SIGINT, SIGHUP is handed on. The exit code of the program, see exits.h: also what a half ended with before we were ready, when
 * that is final. Halves are started as
 *   dovad-keeper -c FILE --peer-fd N --run-fd N [-v]
 *   dovad --network -c FILE --keeper-fd N --ready-fd N [-v]
 * the second with LISTEN_FDS, LISTEN_FDNAMES ("http-NAME" for each address of http entry NAME) and LISTEN_PID for the ports it could not bind itself. */
int supervisor_run(const struct supervisor_options *options);

#endif
