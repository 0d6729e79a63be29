/* SPDX-License-Identifier: ISC */
/* What the fuzz targets share. A target says in its head comment how it reads its input. */
#ifndef DOVAD_TESTS_FUZZ_H
#define DOVAD_TESTS_FUZZ_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"

enum { FUZZ_FOLDER = 96 }; /* room for its path: short enough for that of a socket in it */

/* Called by libFuzzer, or else by replay.c, with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
static inline void check(bool holds)
{
	if (!holds)
		abort();
}

static inline void fuzz_drop(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* From now on nothing is logged. */
static inline void fuzz_quiet(void)
{
	log_set_sink(fuzz_drop, NULL);
}

static char fuzz_path[FUZZ_FOLDER];

static inline void fuzz_tidy_up(void)
{
	struct err err;

	if (!file_remove_tree(AT_FDCWD, fuzz_path, &err))
		fprintf(stderr, "%s stays: %s\n", fuzz_path, err.detail);
}

/* This process's own scratch folder, below TMPDIR or else /tmp, made by the first call. It goes at exit, after what is registered with atexit later. */
static inline const char *fuzz_folder(void)
{
	const char *top = getenv("TMPDIR");

	if (*fuzz_path)
		return fuzz_path;
	if (snprintf(fuzz_path, sizeof fuzz_path, "%s/dovad-fuzz-XXXXXX", top && *top == '/' ? top : "/tmp") >= (int)sizeof fuzz_path) {
		fprintf(stderr, "TMPDIR is too long for the path of a socket: %s\n", top);
		exit(1);
	}
	if (!mkdtemp(fuzz_path)) {
		perror(fuzz_path);
		exit(1);
	}
	atexit(fuzz_tidy_up);
	return fuzz_path;
}

#endif
