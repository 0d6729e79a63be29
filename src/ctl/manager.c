/* SPDX-License-Identifier: ISC */
#include "ctl/manager.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/systemd.h"

enum { TELL_MS = 20000 }; /* well below the registry's minute, which must not fall just short of it */

static void manager_tell(struct manager *m, struct registry *r)
{
	char *text, conf[96] = "", due[32] = "nothing";
	struct registry_summary s;

	registry_summary(r, &s);
	if (m->errors || m->set_aside)
		snprintf(conf, sizeof(conf), "configuration: %zu errors, %zu files set aside; ", m->errors, m->set_aside);
	if (s.next)
		text_duration_format(s.next->next_at - clock_now(), due, sizeof(due));
	text = mem_printf("WATCHDOG=1\nSTATUS=%s%zu certificates, %zu failing, %zu stale, %zu under way; next: %s%s%s", conf, s.certs, s.failing,
		s.stale, s.running, s.next ? s.next->name : "", s.next ? " in " : "", due);
	systemd_notify(text);
	free(text);
	m->told = true;
	m->told_at_ms = clock_boot_ms();
}

void manager_tick(struct manager *m, struct registry *r)
{
	if (!m->told || clock_boot_ms() - m->told_at_ms >= TELL_MS)
		manager_tell(m, r);
}

void manager_report(struct manager *m, struct registry *r, const struct js *report)
{
	const struct js *problems = js_arr(report, "problems");

	m->errors = 0;
	for (size_t i = 0; i < js_len(problems); i++)
		m->errors += !js_bool(js_at(problems, i), "warning", false);
	m->set_aside = js_len(js_arr(report, "quarantined"));
	manager_tell(m, r);
}
