/* SPDX-License-Identifier: ISC */
/* The header lines of an answer while they arrive. Only for io/http. */
#ifndef DOVAD_IO_HTTP_HEAD_H
#define DOVAD_IO_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct head {
	struct buf lines; /* "Name: value" and NUL, one after the other */
	size_t n;         /* of them, at most HTTP_HEADERS_MAX */
	size_t bytes;     /* of all that came, 1xx answers and trailers too */
	bool complete;    /* the empty line was there */
};

/* One line as it came, with its line end. Only the last answer's lines are kept, trailers and malformed lines never. false: too large. */
bool head_add(struct head *h, const char *line, size_t len) __attribute__((warn_unused_result));

/* May a caller's line be sent? "Name: value" with a name that is a token and something in the value, no control characters. (Without a value libcurl would
 * leave out a header of its own instead.) */
bool head_may_send(const char *line);

#endif
