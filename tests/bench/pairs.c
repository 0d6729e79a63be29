/* SPDX-License-Identifier: ISC */
/* pairs LIVE dir|bundle|paths NAME...: reads key and chain of each certificate below LIVE again and again, until told to end, and says how often, how often
 * they did not belong together, and how many different pairs it saw.
 *   dir     the folder is resolved once, both files are opened in it
 *   bundle  one file with both
 *   paths   one path after the other: this may straddle a switch */
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEN = 1 << 16, ROOM = 65536 };

static volatile sig_atomic_t over;
static char text[2 * ROOM]; /* key, then chain */
static struct {
	uint64_t hash;
	int good; /* 1: yes, 2: no, 0: not seen */
} seen[SEEN];
static unsigned long reads, mixed, missing, pairs;

static void end(int number)
{
	(void)number;
	over = 1;
}

static long add(int at, const char *path, size_t len)
{
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text + len, sizeof(text) - len);

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : (long)len + n;
}

static long read_both(const char *mode, const char *name)
{
	char path[512];
	long len;
	int dir;

	if (strcmp(mode, "bundle") == 0) {
		snprintf(path, sizeof(path), "%s/bundle.pem", name);
		return add(AT_FDCWD, path, 0);
	}
	if (strcmp(mode, "paths") == 0) {
		snprintf(path, sizeof(path), "%s/privkey.pem", name);
		len = add(AT_FDCWD, path, 0);
		snprintf(path, sizeof(path), "%s/fullchain.pem", name);
		return len < 0 ? len : add(AT_FDCWD, path, (size_t)len);
	}
	dir = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	len = dir < 0 ? -1 : add(dir, "privkey.pem", 0);
	len = len < 0 ? len : add(dir, "fullchain.pem", (size_t)len);
	if (dir >= 0)
		close(dir);
	return len;
}

static int belong_together(size_t len)
{
	BIO *for_key = BIO_new_mem_buf(text, (int)len), *for_cert = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(for_key, NULL, NULL, NULL);
	X509 *cert = PEM_read_bio_X509(for_cert, NULL, NULL, NULL);
	int good = key && cert && X509_check_private_key(cert, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(for_cert);
	BIO_free(for_key);
	return good;
}

/* The same bytes need not be looked at twice. */
static int is_good(size_t len)
{
	uint64_t hash = 0xcbf29ce484222325;
	size_t at;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
	for (at = hash % SEEN; seen[at].good && seen[at].hash != hash; at = (at + 1) % SEEN)
		;
	if (!seen[at].good) {
		seen[at].hash = hash;
		seen[at].good = belong_together(len) ? 1 : 2;
		pairs += seen[at].good == 1;
	}
	return seen[at].good == 1;
}

int main(int argc, char **argv)
{
	if (argc < 4 || chdir(argv[1]) != 0)
		return 2;
	signal(SIGTERM, end);
	for (int i = 3; !over; i = i + 1 < argc ? i + 1 : 3) {
		long len = read_both(argv[2], argv[i]);

		reads++;
		if (len < 0)
			missing++;
		else if (!is_good((size_t)len))
			mixed++;
	}
	printf("{\"reads\": %lu, \"mixed\": %lu, \"missing\": %lu, \"pairs\": %lu}\n", reads, mixed, missing, pairs);
	return 0;
}
