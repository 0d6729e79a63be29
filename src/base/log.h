/* SPDX-License-Identifier: ISC */
/* One line per event, `key=value`, identity first. Values are escaped (control and bidi characters, quotes) and cut;
 * no secret is ever a value. error: a human must act; warning: we retry, and when; notice: a certificate, key or file
 * changed; info: an order came further; debug: each of its steps, what was sent. */
#ifndef DOVAD_BASE_LOG_H
#define DOVAD_BASE_LOG_H

#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* program: prefix of each line on a terminal. With $JOURNAL_STREAM matching stderr lines get a "<N>" priority prefix
 * instead of a time stamp. Lines above `level` are dropped. Safe to call again. Writes to stderr; when whoever reads
 * stderr has gone (the command that started a daemon), lines go to the system's log at /dev/log from then on. A full or
 * closed reader drops lines and counts them, it never blocks for long. */
void log_open(const char *program, enum log_level level);
void log_set_level(enum log_level level);
/* For tests: hand finished lines (no time stamp, program or newline) to `sink` instead of stderr; NULL restores. */
void log_set_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg);

/* message: a constant sentence; then pairs of const char * key, value up to a NULL key. A NULL value skips the pair. */
void log_error(const char *message, ...) __attribute__((sentinel));
void log_warning(const char *message, ...) __attribute__((sentinel));
void log_notice(const char *message, ...) __attribute__((sentinel));
void log_info(const char *message, ...) __attribute__((sentinel));
void log_debug(const char *message, ...) __attribute__((sentinel));
/* Number or time (RFC 3339 UTC) as text for one of the above; valid until 16 further calls of either. */
const char *log_num(int64_t n);
const char *log_time(int64_t unix_seconds);
/* "during: detail (type, HTTP 403)": the whole of a failure in one value; same lifetime as log_num. */
const char *log_err(const struct err *err);

#endif
