/* SPDX-License-Identifier: ISC */
/* One failure as a plain value: what kind, during what, what the peer said, and not before when to try again.
 * Kinds decide policy and nothing else does. Filled where it happens; decided and logged by the driver. */
#ifndef DOVAD_BASE_ERR_H
#define DOVAD_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum err_kind {
	ERR_NONE,
	ERR_TEMP,   /* may pass by itself: network, 5xx, a validation that did not see our proof yet */
	ERR_LIMIT,  /* the peer told us to wait: see not_before */
	ERR_DENIED, /* the peer says no until a human changes something; one slow retry a day */
	ERR_INPUT,  /* configuration or data given to us is wrong */
	ERR_LOCAL,  /* this host: disk full, permission, missing program */
	ERR_BUG,    /* ours */
};

enum { ERR_SUBS = 3 };

struct err_sub {
	char identifier[256];
	char type[64];
	char detail[160];
};

struct err {
	enum err_kind kind;
	int http_status;    /* 0: no answer */
	int errnum;         /* errno, 0: none */
	int64_t not_before; /* UNIX seconds to wait for: the peer told us so, or keeps an old answer until then; 0: none */
	char type[64];      /* ACME problem type without its urn prefix, or our own word: "connect", "dns", "tls", ... */
	char during[96];    /* set by the driver: "create order", "install" */
	char detail[512];   /* peer text is escaped and cut when it enters */
	unsigned nsub;      /* subproblems in all; the first ERR_SUBS are kept */
	struct err_sub sub[ERR_SUBS];
};

/* Fill *err (which may hold an older failure) and return false, so that callers write `return err_set(...)`.
 * err may be NULL: then only false is returned. Never allocates. */
bool err_set(struct err *err, enum err_kind kind, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same from errno: appends ": strerror(errno)" to the detail and keeps errnum. Kind ERR_LOCAL, type "system". */
bool err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *err);
/* Copy of src into *dst; dst may be NULL. Returns false, as err_set. */
bool err_copy(struct err *dst, const struct err *src);
/* "temp", "limit", ...: stable words, used in JSON. Never NULL. */
const char *err_kind_name(enum err_kind kind);
/* Inverse of err_kind_name; ERR_NONE for an unknown word. */
enum err_kind err_kind_find(const char *name);

#endif
