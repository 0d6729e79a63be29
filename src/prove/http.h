/* SPDX-License-Identifier: ISC */
/* HTTP-01 (RFC 8555 section 8.3) in two ways: files below a webroot (the keeper writes them) and our own listener. Both look for themselves first. */
#ifndef DOVAD_PROVE_HTTP_H
#define DOVAD_PROVE_HTTP_H

#include <stdint.h>

#include "io/dns.h"
#include "io/rpc.h"
#include "prove/method.h"

struct http_look { /* what the self-check needs; borrowed */
	struct dns *dns;
	uint16_t port; /* 80 */
};
struct method *http_webroot_new(const char *name, struct rpc *keeper, const struct http_look *look, struct err *err) __attribute__((warn_unused_result));
/* listen: "IP:port" texts or "systemd:NAME". */
struct method *http_listener_new(const char *name, const char *const *listen, size_t nlisten, const struct http_look *look, struct err *err)
	__attribute__((warn_unused_result));

#endif
