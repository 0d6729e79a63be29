/* SPDX-License-Identifier: ISC */
/* One file of the keeper's accepted configuration, as a disk gives it back. What is taken must be whole; it is stored again as the very same bytes, and
 * what is not taken is gone from the folder. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/accepted_disk.h"
#include "fuzz.h"

static int dir = -1;

static void open_folder(void)
{
	dir = open(fuzz_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(dir >= 0);
	fuzz_quiet();
}

static void free_all(struct accepted_file *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		accepted_file_free(&v[i]);
	free(v);
}

static void store_again(const struct accepted_file *f)
{
	const struct accepted_file *list[] = { f };
	struct accepted_file *v = NULL;
	struct err err;
	size_t n = 0;

	unlinkat(dir, "piece", 0);
	check(accepted_disk_store(dir, list, 1, &err) && accepted_disk_load(dir, &v, &n, &err) && n == 1);
	check(strcmp(v[0].path, f->path) == 0 && v[0].len == f->len && memcmp(v[0].text, f->text, f->len) == 0 && v[0].kind == f->kind);
	accepted_disk_remove(dir, f->path);
	free_all(v, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct accepted_file *v;
	struct err err;
	size_t n;
	int fd;

	if (dir < 0)
		open_folder();
	fd = openat(dir, "piece", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
	close(fd);
	check(accepted_disk_load(dir, &v, &n, &err) && n <= 1);
	check(n == 1 || faccessat(dir, "piece", F_OK, 0) != 0);
	if (n) {
		check(strlen(v[0].text) == v[0].len);
		store_again(&v[0]);
	}
	free_all(v, n);
	return 0;
}
