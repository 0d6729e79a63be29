/* SPDX-License-Identifier: ISC */
/* Without a service manager: a dovad started as root stays as this small parent. It binds the configured low ports, starts and restarts the two halves
 * under their own users and runs dovad-run for the keeper. It reads nothing from the network half. */
#ifndef DOVAD_SUPERVISOR_H
#define DOVAD_SUPERVISOR_H

#include <stdbool.h>

enum { SUPERVISOR_CONF = 78 }; /* exit code: the configuration is at fault */

/* Runs until SIGTERM or SIGINT, SIGHUP is handed on; the exit code of the program. Halves are started as
 *   dovad-keeper -c FILE --peer-fd N --run-fd N
 *   dovad --network -c FILE --keeper-fd N [-v]
 * the second with LISTEN_FDS, LISTEN_FDNAMES ("http-NAME" for each address of http entry NAME) and LISTEN_PID for the ports it could not bind itself. */
int supervisor_run(const char *main_file, bool verbose);

#endif
