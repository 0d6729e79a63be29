/* SPDX-License-Identifier: ISC */
/* Exit codes of dovad and dovad-keeper, as their manual pages name them. */
#ifndef DOVAD_EXITS_H
#define DOVAD_EXITS_H

#include <string.h>

#include "base/err.h"

enum exits {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_IN_USE = 75, /* another instance works on the same state; as sysexits.h: try again later */
	EXIT_CONFIG = 78, /* the configuration cannot be used */
};

/* What a program ends with that could not start. */
static inline enum exits exits_of(const struct err *err)
{
	if (strcmp(err->type, "in-use") == 0)
		return EXIT_IN_USE;
	return err->kind == ERR_INPUT ? EXIT_CONFIG : EXIT_FAILED;
}

/* A part of us ended so: the whole does, too, another start would end the same. */
static inline bool exits_are_final(int code)
{
	return code == EXIT_IN_USE || code == EXIT_CONFIG;
}

#endif
