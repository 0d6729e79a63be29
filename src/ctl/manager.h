/* SPDX-License-Identifier: ISC */
/* What the service manager is told: the life sign, and one line of how it stands. */
#ifndef DOVAD_CTL_MANAGER_H
#define DOVAD_CTL_MANAGER_H

#include "base/json.h"
#include "core/registry.h"

struct manager { /* memory of its owner; zero it before first use */
	size_t errors, set_aside; /* of the configuration */
	bool told;
	int64_t told_at_ms;
};
/* Call it as often as you like: counting all certificates is work, so most calls do nothing. */
void manager_tick(struct manager *m, struct registry *r);
/* The keeper's word on the configuration (problems, quarantined) is part of the line from now on, and told at once. */
void manager_report(struct manager *m, struct registry *r, const struct js *report);

#endif
