/* SPDX-License-Identifier: ISC */
/* One operation of the keeper on a state directory, without loop, socket or configuration lock: for the loops that kill it at every system call and fail
 * each of them in turn.
 *
 *   install_harness MAIN-FILE request CERT            prints the signing request (DER, hex); makes key and request when there are none
 *   install_harness MAIN-FILE install CERT CHAIN-FILE prints the generation
 *   install_harness MAIN-FILE request-round CERT      these two as when many ask at once: in steps, what each wrote is synced after it
 *   install_harness MAIN-FILE install-round CERT CHAIN-FILE
 *   install_harness MAIN-FILE rollback CERT           prints the generation
 *   install_harness MAIN-FILE confirm CERT
 *   install_harness MAIN-FILE look CERT               as a service: reads every place once through its link; the pair must belong together
 *   install_harness MAIN-FILE repair CERT             what a keeper does at start, then as look; no leftover may be there, and separately named files,
 *                                                     which look leaves out, are a pair, too
 *   install_harness MAIN-FILE VERB CERT ... , VERB CERT ...   one after the other, each as a keeper of its own; after each "VERB: CODE"
 *
 * Exit codes: 0; 1 the operation failed (its reason on stderr); 2 usage; 3 what is on the disk is wrong. Of several: the last one's. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x509.h"
#include "keeper/install.h"
#include "keeper/vault.h"

enum { FAILED = 1, USAGE = 2, WRONG = 3, FILE_CAP = 1024 * 1024 };

struct harness {
	struct conf *conf;
	const struct conf_cert *cert;
	const char *argument;
	struct install install;
};

static int failed(const struct err *err)
{
	fprintf(stderr, "%s\n", err->detail);
	return FAILED;
}

static int tell_request(const struct vault_request *r)
{
	unsigned char *der;
	char *hex;
	size_t len;

	free(r->key);
	if (!text_b64url_decode(r->csr, strlen(r->csr), &der, &len))
		return WRONG;
	hex = text_hex_encode(der, len);
	puts(hex);
	free(hex);
	free(der);
	return 0;
}

static int do_request(struct harness *h)
{
	struct vault_request r;
	struct err err;

	return vault_request(h->install.vault, h->cert, &r, &err) ? tell_request(&r) : failed(&err);
}

static int do_request_round(struct harness *h)
{
	struct sync s = { 0 };
	struct vault_draft *d = vault_draft(h->install.vault, h->cert, &s);
	struct vault_request r;
	struct err err;
	bool ok;

	ok = d && sync_now(&s, &err) && vault_draft_keep(d, &s) && sync_now(&s, &err);
	sync_drop(&s);
	if (!d)
		return do_request(h);
	return vault_draft_end(d, ok, &r) ? tell_request(&r) : do_request(h);
}

static bool install_in_steps(struct harness *h, const struct buf *chain, int64_t *generation)
{
	struct sync s = { 0 };
	struct install_job *j = install_write(&h->install, h->conf, h->cert, chain->data, chain->len, &s);
	int64_t previous;
	struct err err;
	bool ok;

	ok = j && sync_now(&s, &err) && install_name(j, &s) && sync_now(&s, &err) && install_point(j, &s) && sync_now(&s, &err);
	sync_drop(&s);
	if (j)
		install_end(j, ok, generation, &previous);
	return ok;
}

static int install_from(struct harness *h, bool round)
{
	int64_t generation, previous;
	struct buf chain;
	struct err err;
	bool ok;

	buf_init(&chain, FILE_CAP);
	ok = file_read(AT_FDCWD, h->argument, FILE_CAP, &chain, NULL, &err) &&
		((round && install_in_steps(h, &chain, &generation)) ||
			install_chain(&h->install, h->cert, chain.data, chain.len, &generation, &previous, &err));
	buf_free(&chain);
	if (!ok)
		return failed(&err);
	printf("%lld\n", (long long)generation);
	return 0;
}

static int do_install(struct harness *h)
{
	return install_from(h, false);
}

static int do_install_round(struct harness *h)
{
	return install_from(h, true);
}

static int do_rollback(struct harness *h)
{
	int64_t generation;
	struct err err;

	if (!install_rollback(&h->install, h->cert, false, &generation, &err))
		return failed(&err);
	printf("%lld\n", (long long)generation);
	return 0;
}

static int do_confirm(struct harness *h)
{
	struct err err;

	return install_confirm(&h->install, h->cert, h->conf->settings.keep, &err) ? 0 : failed(&err);
}

/* Both files must be one pair, for the names, and not expired. */
static bool check_files(const struct harness *h, int dir, const char *key_name, const char *full_name, struct err *err)
{
	struct x509_wish wish = { .names = h->cert->names.v, .nnames = h->cert->names.n, .now = clock_now() };
	struct x509_chain *chain = NULL;
	struct buf key, full;
	struct key *k = NULL;
	bool ok;

	buf_init(&key, FILE_CAP);
	buf_init(&full, FILE_CAP);
	ok = file_read(dir, key_name, FILE_CAP, &key, NULL, err) && file_read(dir, full_name, FILE_CAP, &full, NULL, err) &&
		(k = key_parse(key.data ? key.data : "", key.len, err)) && (chain = x509_parse(full.data ? full.data : "", full.len, err));
	wish.key = k;
	ok = ok && x509_accept(chain, &wish, err);
	x509_free(chain);
	key_free(k);
	buf_wipe(&key);
	buf_free(&full);
	return ok;
}

/* A service opens the folder, then reads both files, whatever happens meanwhile. */
static bool check_pair(const struct harness *h, const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return err_errno(err, "%s", dir);
	ok = check_files(h, fd, "privkey.pem", "fullchain.pem", err);
	close(fd);
	if (!ok)
		fprintf(stderr, "%s: ", dir);
	return ok;
}

static int do_look(struct harness *h)
{
	char *live = mem_printf("%s/live/%s", h->conf->settings.keeper_state, h->cert->name);
	struct err err;
	bool ok = check_pair(h, live, &err);

	for (size_t i = 0; ok && i < h->cert->install.n; i++)
		ok = !h->cert->install.v[i].dir || check_pair(h, h->cert->install.v[i].dir, &err);
	free(live);
	if (ok)
		return 0;
	failed(&err);
	return WRONG;
}

/* Names that are neither hidden nor numbers are leftovers. */
static bool is_clean(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	bool clean = true;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.' && (d->d_name[0] < '1' || d->d_name[0] > '9')) {
			fprintf(stderr, "leftover: %s/%s\n", path, d->d_name);
			clean = false;
		}
	if (dir)
		closedir(dir);
	return clean;
}

/* Nothing is left beside the file. */
static bool is_clean_beside(const char *file)
{
	static const char *const suffixes[] = { "new", "old" };
	const char *base = strrchr(file, '/') + 1;
	bool clean = true;

	for (int i = 0; i < 2; i++) {
		char *path = mem_printf("%.*s.%s.dovad-%s", (int)(base - file), file, base, suffixes[i]);

		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			fprintf(stderr, "leftover: %s\n", path);
			clean = false;
		}
		free(path);
	}
	return clean;
}

static bool has_live(const struct harness *h)
{
	char *live = mem_printf("%s/live/%s", h->conf->settings.keeper_state, h->cert->name);
	bool has = faccessat(AT_FDCWD, live, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	free(live);
	return has;
}

static bool is_paired(const struct harness *h, const struct conf_target *t)
{
	const char *paths[CONF_TARGET_PATHS];
	struct err err;
	bool clean = true;

	for (size_t i = 0, n = conf_target_paths(t, paths); i < n; i++)
		clean &= is_clean_beside(paths[i]);
	if (check_files(h, AT_FDCWD, t->file[CONF_PART_KEY], t->file[CONF_PART_FULLCHAIN], &err))
		return clean;
	fprintf(stderr, "%s: %s\n", paths[0], err.detail);
	return false;
}

static int do_repair(struct harness *h)
{
	char *path = mem_printf("%s/generations/%s", h->conf->settings.keeper_state, h->cert->name);
	bool clean;

	install_repair(&h->install, h->conf);
	clean = is_clean(path);
	free(path);
	for (size_t i = 0; i < h->cert->install.n; i++) {
		const char *dir = h->cert->install.v[i].dir, *base = dir ? strrchr(dir, '/') + 1 : NULL;

		if (!dir) {
			clean &= !has_live(h) || is_paired(h, &h->cert->install.v[i]);
			continue;
		}
		path = mem_printf("%.*s.%s.dovad", (int)(base - dir), dir, base);
		clean &= is_clean(path);
		free(path);
	}
	return clean ? do_look(h) : WRONG;
}

static const struct {
	const char *name;
	int words;
	int (*run)(struct harness *h);
} verbs[] = {
	{ "request", 2, do_request },
	{ "request-round", 2, do_request_round },
	{ "install", 3, do_install },
	{ "install-round", 3, do_install_round },
	{ "rollback", 2, do_rollback },
	{ "confirm", 2, do_confirm },
	{ "look", 2, do_look },
	{ "repair", 2, do_repair },
};

/* words: VERB CERT [CHAIN-FILE] */
static int run(struct harness *h, int n, char **words)
{
	int (*verb)(struct harness *h) = NULL;
	struct err err;
	int code;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (n == verbs[i].words && strcmp(words[0], verbs[i].name) == 0)
			verb = verbs[i].run;
	h->cert = verb ? conf_find_cert(h->conf, words[1]) : NULL;
	h->argument = n == 3 ? words[2] : NULL;
	if (!h->cert)
		return USAGE;
	h->install.state = file_make_dirs(h->conf->settings.keeper_state, 0711, &err);
	if (h->install.state < 0 || !(h->install.vault = vault_open(h->install.state, &err)))
		return failed(&err);
	code = verb(h);
	vault_close(h->install.vault);
	close(h->install.state);
	return code;
}

static int run_all(struct harness *h, int n, char **words)
{
	int code = USAGE, first = 0;

	for (int i = 0; i <= n; i++)
		if (i == n || strcmp(words[i], ",") == 0) {
			code = run(h, i - first, words + first);
			if (code == USAGE)
				break;
			if (first > 0 || i < n)
				printf("%s: %d\n", words[first], code);
			first = i + 1;
		}
	return code;
}

int main(int argc, char **argv)
{
	struct harness h = { 0 };
	struct conf_set set;
	int code = USAGE;

	log_open("install_harness", LOG_LEVEL_WARNING);
	if (argc > 2) {
		conf_read(argv[1], &set);
		h.conf = conf_build(set.v, set.n, set.unread, set.nunread);
		conf_set_free(&set);
		code = h.conf->usable ? run_all(&h, argc - 2, argv + 2) : USAGE;
		conf_free(h.conf);
	}
	if (code == USAGE)
		fputs("usage: install_harness MAIN-FILE request[-round]|install[-round]|rollback|confirm|look|repair CERT [CHAIN-FILE] [, ...]\n", stderr);
	return code;
}
