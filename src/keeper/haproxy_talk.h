/* SPDX-License-Identifier: ISC */
/* One conversation with HAProxy, from what it has loaded to what it should have.
 *
 * HAProxy holds one transaction at a time: a certificate is set, then committed, and only that makes it serve. All that differ are therefore set and
 * aborted first: when one is refused, nothing was changed. Then each is set and committed; when one is refused now, those before it are brought back from
 * the generations that are kept, or it is told which are not. A transaction that was left open is told and not touched (HAProxy 2.6 puts into it what is
 * set under another name), unless it holds a generation of ours: then we were killed in between. */
#ifndef DOVAD_KEEPER_HAPROXY_TALK_H
#define DOVAD_KEEPER_HAPROXY_TALK_H

#include "base/json.h"
#include "keeper/install.h"

struct haproxy_talk;

struct haproxy_wish {
	const struct conf *conf;            /* kept */
	const struct conf_service *service; /* of it */
	const struct js *certs;             /* names it is asked for, an array; NULL: none; kept */
	bool restore;                       /* after a rollback: each for itself, the others are brought back though one is refused */
};

enum haproxy_end {
	HAPROXY_DONE,
	HAPROXY_DOWN,    /* nobody answers at the socket */
	HAPROXY_MISSING, /* one that was asked for is not loaded; nothing was done */
	HAPROXY_FAILED,
};
/* Once, on a later turn, unless cancelled. output: what was done, for people; err: why not, and what is left. Borrowed. */
typedef void haproxy_talk_done(void *arg, enum haproxy_end end, const char *output, const struct err *err);

/* Ends by itself in the service's time. What is wished is copied. */
struct haproxy_talk *haproxy_talk_start(const struct install *install, const struct haproxy_wish *wish, haproxy_talk_done *done, void *arg);
void haproxy_talk_cancel(struct haproxy_talk *t); /* NULL is fine */

#endif
