/* SPDX-License-Identifier: ISC */
/* Stands in for libFuzzer: runs the target once over each file of its corpus folder (or of the arguments), then over cut and flipped copies of them. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static unsigned files, runs;

static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* exactly as large as the input: an overread is seen */

	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	runs++;
}

static void mangle(uint8_t *data, size_t size)
{
	size_t step = size / 64 + 1;

	for (size_t i = 0; i < size; i += step) {
		uint8_t was = data[i];

		run(data, i);
		data[i] = was ^ 0x80;
		run(data, size);
		data[i] = 0;
		run(data, size);
		data[i] = was;
	}
}

static int replay(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t size;

	if (!f) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	run(data, size);
	mangle(data, size);
	files++;
	return 0;
}

int main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir") ? getenv("top_srcdir") : ".";
	char folder[4096], path[8192];
	struct dirent *e;
	int bad = 0;
	DIR *d;

	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	if (argc > 1)
		return bad;
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", top, CORPUS);
	d = opendir(folder);
	if (!d) {
		perror(folder);
		return 1;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
			bad |= replay(path);
		}
	closedir(d);
	printf("%s: %u files, %u inputs\n", CORPUS, files, runs);
	return bad || files == 0;
}
