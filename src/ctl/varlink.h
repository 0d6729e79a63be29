/* SPDX-License-Identifier: ISC */
/* The service side of Varlink over io/msg: calls, replies, the standard errors, and who may call what. It serves
 * org.varlink.service itself and one interface given as a table of methods, of which it knows nothing else. */
#ifndef DOVAD_CTL_VARLINK_H
#define DOVAD_CTL_VARLINK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

struct varlink;
struct varlink_call; /* one call under way; valid until its end() ran */

enum varlink_class {	 /* who may call: each includes the ones before */
	VARLINK_OPEN,	 /* everybody who can connect */
	VARLINK_READ,	 /* group `readers` */
	VARLINK_OPERATE, /* root, our own user, group `admins`; each such call is logged */
};

enum varlink_type { VARLINK_STRING, VARLINK_INT, VARLINK_BOOL };

struct varlink_field { /* of a method's parameters */
	const char *name;
	enum varlink_type type;
	bool required; /* else it may be absent or null */
};

struct varlink_method {
	const char *name;
	enum varlink_class class;
	bool streams;			    /* makes no sense as a single answer: ExpectedMore without `more` */
	const struct varlink_field *fields; /* ends with a NULL name; NULL: no parameters */
	/* Answer the call, now or later, with one of the functions below. parameters fit `fields`; borrowed, may be
	 * NULL. */
	void (*begin)(void *arg, struct varlink_call *call, const struct js *parameters);
};

struct varlink_options {
	const char *path; /* of the socket, made with mode 0666: each method decides */
	const char *vendor, *product, *version, *url;
	const char *interface;		      /* its full name ... */
	const char *description;	      /* ... and definition */
	const struct varlink_method *methods; /* ends with a NULL name */
	gid_t readers, admins;		      /* (gid_t)-1: no such group */
	void *arg;			      /* for begin() */
};

/* Everything the options point to is borrowed until varlink_close. */
struct varlink *varlink_open(const struct varlink_options *options, struct err *err)
	__attribute__((warn_unused_result));
void varlink_close(struct varlink *v); /* ends every call under way; NULL is fine */

/* For an answer in pieces or later. Both are called by the loop, or end() by varlink_close: never by the functions
 * below. */
struct varlink_ops {
	/* Called at once and again whenever the connection has sent everything, so that a stream never fills memory.
	 * Sends a bounded piece; false: nothing more to send by itself. May be NULL. */
	bool (*step)(void *data);
	/* The call is over: answered, its connection gone, or the service closed. Called exactly once; data is the
	 * owner's to free. */
	void (*end)(void *data);
};
void varlink_keep(struct varlink_call *call, const struct varlink_ops *ops, void *data);

/* Parameters are taken over; NULL: {}. After the last reply (finish, fail, invalid) the others do nothing. */
void varlink_progress(
	struct varlink_call *call, struct js *parameters); /* one of several; dropped when the caller wants but one */
void varlink_finish(struct varlink_call *call, struct js *parameters);
void varlink_fail(struct varlink_call *call, const char *error, struct js *parameters); /* error: full name */
void varlink_invalid(struct varlink_call *call, const char *parameter); /* InvalidParameter: out of range */
void varlink_expect_more(struct varlink_call *call); /* ExpectedMore: does not fit one reply after all */
bool varlink_wants_more(const struct varlink_call *call);

#endif
