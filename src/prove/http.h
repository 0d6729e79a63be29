/* SPDX-License-Identifier: ISC */
/* HTTP-01 (RFC 8555 section 8.3) in two ways: files below a webroot (the keeper writes them) and our own listener. Both can look for
 * themselves. */
#ifndef DOVAD_PROVE_HTTP_H
#define DOVAD_PROVE_HTTP_H

#include <stdint.h>

#include "io/dns.h"
#include "io/http.h"
#include "io/rpc.h"
#include "prove/method.h"

struct http_look { /* what the self-check needs; borrowed */
	struct dns *dns;
	struct http *http; /* http_look_client() */
	uint16_t port; /* 80; where the name's addresses are asked, and allowed for redirects beside 80 and 443 */
};
/* What all looks ask with: no connection of an earlier look is used, and nobody else's slow server stands in the way. Caller frees (http_free) when none
 * is under way any more. */
struct http *http_look_client(struct dns *dns, struct err *err) __attribute__((warn_unused_result));
struct method *http_webroot_new(const char *name, struct rpc *keeper, const struct http_look *look, struct err *err)
	__attribute__((warn_unused_result));
/* listen: "IP", "IP:port" (default: look->port) or "systemd:NAME". Sockets handed over as "http-" and the name of the entry are used for the
 * addresses they are bound to, before one is made. All sockets open, or NULL. */
struct method *http_listener_new(const char *name, const char *const *listen, size_t nlisten, const struct http_look *look, struct err *err)
	__attribute__((warn_unused_result));

#endif
