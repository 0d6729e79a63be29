/* SPDX-License-Identifier: ISC */
/* A small HTTP server on the loop (libmicrohttpd): GET and HEAD only, exact answers from one handler, capped in connections (50), time (10 s) and size. */
#ifndef DOVAD_IO_WEB_H
#define DOVAD_IO_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "io/addr.h"

struct web;
struct web_answer {
	int status;               /* 0: 404 */
	const char *content_type; /* NULL: application/octet-stream */
	char *body;               /* malloc'ed, taken over; NULL: empty */
	size_t len;
};
/* path is the raw request target without its query, not decoded; host the Host header or NULL. Fill *answer. */
typedef void web_handler(void *arg, const char *path, const char *host, struct web_answer *answer);

/* Listens on a, or on listen_fd when >= 0 (taken over; a may be NULL then). */
struct web *web_open(const struct addr *a, int listen_fd, web_handler *handler, void *arg, struct err *err) __attribute__((warn_unused_result));
void web_close(struct web *w); /* NULL is fine */

const char *web_library(void); /* the library behind this and its version */

#endif
