/* SPDX-License-Identifier: ISC */
/* For cases that an ordinary user cannot run. tests/check-faults reads why they were skipped. Include after cmocka.h. */
#ifndef DOVAD_TESTS_NEEDS_ROOT_H
#define DOVAD_TESTS_NEEDS_ROOT_H

#include <unistd.h>

#define skip_without_root()            \
	do {                           \
		print_message("needs root\n"); \
		skip();                \
	} while (0)

#define needs_root()                         \
	do {                                 \
		if (geteuid() != 0)          \
			skip_without_root(); \
	} while (0)

#endif
