/* SPDX-License-Identifier: ISC */
/* "GROUP OPTION DEFAULT WHEN" for every option of this version, for tests/check-options. The file itself is called "-"; an absolute path is a default
 * of the build, not of the manual, and told as "-", as none is. WHEN a change takes effect: at the next start, or with a reload. */
#include <stdio.h>
#include <string.h>

#include "core/schema.h"

static void print_group(const char *name, const struct schema_group *g)
{
	for (const struct schema_option *o = g->options; o->name; o++) {
		if (o->type == SCHEMA_LATER)
			continue;
		printf("%s %s %s %s\n", name, o->name, o->fallback && o->fallback[0] && o->fallback[0] != '/' ? o->fallback : "-",
			o->at_start ? "start" : "reload");
		if (o->group && strcmp(o->name, "defaults") != 0) /* its options are the certificate's */
			print_group(o->group->name, o->group);
	}
}

int main(void)
{
	print_group("-", &schema_settings);
	print_group("-", &schema_top);
	return 0;
}
