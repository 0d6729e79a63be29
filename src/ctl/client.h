/* SPDX-License-Identifier: ISC */
/* A small Varlink client: one blocking connection, one call, its replies, and a time limit on all of it. */
#ifndef DOVAD_CTL_CLIENT_H
#define DOVAD_CTL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct client;

struct client_reply {
	const char *error;     /* full name, NULL: a result */
	struct js *parameters; /* an object, possibly empty */
	bool continues;	       /* more replies follow */
};

/* timeout_ms counts from here over everything that follows; 0: none. err: type "timeout", or "connect" with errnum. */
struct client *client_open(const char *path, int64_t timeout_ms, struct err *err) __attribute__((warn_unused_result));
/* Send one call. parameters are borrowed. */
bool client_call(struct client *c, const char *method, const struct js *parameters, bool more, struct err *err)
	__attribute__((warn_unused_result));
/* Wait for the next reply; it is the client's and valid until the next call of this. err: type "timeout", "closed" (the
 * other side went away) or "protocol" (that was no reply). */
bool client_receive(struct client *c, struct client_reply *reply, struct err *err) __attribute__((warn_unused_result));
void client_close(struct client *c); /* NULL is fine */

#endif
