/* SPDX-License-Identifier: ISC */
/* Could this process write where the configuration wants it to, as things stand? Looked at, nothing is made; asked beforehand instead of learnt at a renewal. */
#ifndef DOVAD_KEEPER_PROBE_H
#define DOVAD_KEEPER_PROBE_H

#include "base/json.h"
#include "core/conf.h"

enum probe_kind { PROBE_TARGET, PROBE_WEBROOT };
/* path: of a target's folder or file, or of a webroot. *err says why not and what to do; a file system that is read-only to us is `unit`'s doing, and what to
 * add to it is told; NULL: we are of no unit. */
bool probe_path(enum probe_kind kind, const char *path, const char *unit, struct err *err) __attribute__((warn_unused_result));
/* Every target of a certificate and every webroot that may prove it: [{what: "target" or "webroot", name: the path, problem (absent: none)}]. */
struct js *probe_cert(const struct conf_cert *cert, const char *unit);
/* Of each path in `paths` (a list of texts), the same; added to list. */
void probe_list(struct js *list, enum probe_kind kind, const struct js *paths, const char *unit);

#endif
