/* SPDX-License-Identifier: ISC */
/* What a client says in plain text before TLS begins on the same connection. A pure dialog: bytes that came go in, bytes to send come out; the socket and
 * the limit of time are the caller's. */
#ifndef DOVAD_IO_STARTTLS_H
#define DOVAD_IO_STARTTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/addr.h"

enum starttls_kind {
	STARTTLS_NONE,     /* TLS from the first byte: no dialog */
	STARTTLS_SMTP,     /* RFC 3207 */
	STARTTLS_IMAP,     /* RFC 9051 section 6.2.1 */
	STARTTLS_POP3,     /* RFC 2595 section 4 */
	STARTTLS_LDAP,     /* RFC 4511 section 4.14 */
	STARTTLS_POSTGRES, /* PostgreSQL's frontend/backend protocol: SSLRequest */
	STARTTLS_XMPP,     /* RFC 6120 section 5, as a client */
	STARTTLS_KINDS
};
extern const char *const starttls_words[STARTTLS_KINDS + 1]; /* "none", "smtp", ...; ends with NULL */
uint16_t starttls_port(enum starttls_kind kind);             /* 0: of no dialog */

enum {
	STARTTLS_UNIT = 4096,      /* bytes of a line, message or tag of the server's, at most */
	STARTTLS_UNITS = 200,      /* of these */
	STARTTLS_BYTES = 64 * 1024 /* in all */
};

enum starttls_state { STARTTLS_TALKS, STARTTLS_AGREED, STARTTLS_FAILED };

struct starttls {
	enum starttls_state state; /* AGREED: the next byte that is sent begins the handshake */
	char out[768];             /* the first nout bytes of it are to be sent, before anything more is taken */
	size_t nout;
	char why[256];             /* FAILED: the reason; what the server said is escaped and cut */
	/* inside */
	enum starttls_kind kind;
	const char *name;
	char us[ADDR_TEXT];
	size_t step, nin, nunits, nbytes;
	char within;               /* XMPP: '<' or a quote that is open */
	bool offered, refusing;
	char in[STARTTLS_UNIT + 1];
};

/* kind: not NONE. name: the domain name that is looked at, "" when there is none; borrowed as long as the dialog goes on. us: our end. */
void starttls_begin(struct starttls *d, enum starttls_kind kind, const char *name, const struct addr *us);
void starttls_sent(struct starttls *d, size_t n); /* n of the nout bytes are on their way */
/* What came from the server. Bytes in plain text behind its go-ahead make the dialog fail: somebody put them there to pass for what came by TLS. */
void starttls_take(struct starttls *d, const char *data, size_t len);
const char *starttls_awaits(const struct starttls *d); /* what is to come now, in words: "its answer to EHLO" */

#endif
