/* SPDX-License-Identifier: ISC */
/* One finished DNS message to one server, and the answer to it: over UDP, repeated while there is silence, and over TCP when UDP does not do. Made for
 * messages that c-ares cannot carry (UPDATE, TSIG). What is in them is the caller's business. */
#ifndef DOVAD_IO_DNS_EXCHANGE_H
#define DOVAD_IO_DNS_EXCHANGE_H

#include "base/err.h"
#include "io/addr.h"

enum {
	DNS_EXCHANGE_UDP_MAX = 512,   /* what is larger goes over TCP: RFC 1035 section 2.3.4 */
	DNS_EXCHANGE_REPEAT_MS = 1000, /* between the datagrams; an eighth of the timeout when that is less */
	DNS_EXCHANGE_REPEATS = 3,     /* datagrams, before TCP */
};

enum dns_heard {
	DNS_HEARD_ANSWER,  /* this is it */
	DNS_HEARD_NOTHING, /* somebody else's message: wait on */
	DNS_HEARD_DOUBT,   /* with err filled: cut off, or not to be believed. Over UDP: TCP is tried at once, where nobody off the path can put words into the
	                    * server's mouth. Over TCP, or when TCP cannot be had: that is the end */
};
/* What a message is. Called from inside the loop's handlers: it may keep what it read, and must neither cancel nor start anything. */
typedef enum dns_heard dns_hear(void *arg, const uint8_t *msg, size_t len, bool tcp, struct err *err);
/* err NULL: dns_hear said DNS_HEARD_ANSWER. Else its doubt, or what kept the message from the server (ERR_TEMP, types "dns", "connect", "timeout"), without
 * the server's address. Once, on a later turn. */
typedef void dns_exchanged(void *arg, const struct err *err);

struct dns_exchange_options {
	struct addr to;      /* copied */
	const void *msg;     /* copied; at most 65535 bytes, the first two are its id */
	size_t len;
	int64_t timeout_ms;  /* of it all */
	dns_hear *hear;
	dns_exchanged *done;
	void *arg;           /* of both */
};
struct dns_exchange;
struct dns_exchange *dns_exchange_start(const struct dns_exchange_options *options);
void dns_exchange_cancel(struct dns_exchange *x); /* NULL is fine; neither hear nor done is called any more */

#endif
