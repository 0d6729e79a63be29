/* SPDX-License-Identifier: ISC */
/* The service manager: readiness, handed-over sockets, reloading units. Without libsystemd the first two work, unit calls say they cannot. */
#ifndef DOVAD_IO_SYSTEMD_H
#define DOVAD_IO_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* sd_notify(3) assignment lines, e.g. "READY=1\nSTATUS=..."; nothing happens without $NOTIFY_SOCKET. */
void systemd_notify(const char *lines);
/* Watchdog interval in ms as asked by the manager ($WATCHDOG_USEC for our pid), 0: none. */
int64_t systemd_watchdog_ms(void);
/* Listening descriptors handed over (sd_listen_fds), with FD_CLOEXEC set, whose name is `name` (NULL: all). Returns how many were written, at most `room`.
 * The environment variables are left alone; call as often as needed. */
size_t systemd_listen_fds(const char *name, int *fds, size_t room);
/* Is a service manager running that can be asked (/run/systemd/system)? */
bool systemd_is_running(void);
/* Blocking, for dovad-run only: reload (ReloadOrRestart is never used) `unit` over D-Bus, await its job at most timeout_ms. *was_active false and
 * true returned when the unit was not running: nothing to do. Fails when the job fails, the unit is not active afterwards, or its main PID changed
 * to 0; *err says which, with the unit's own states. */
bool systemd_reload_unit(const char *unit, int64_t timeout_ms, bool *was_active, struct err *err) __attribute__((warn_unused_result));
/* The same for a unit that ran and shall run: when it is down it is started, its failures forgotten. */
bool systemd_restore_unit(const char *unit, int64_t timeout_ms, bool *was_active, struct err *err) __attribute__((warn_unused_result));

const char *systemd_library(void); /* the library behind unit reloads; NULL: built without */

#endif
