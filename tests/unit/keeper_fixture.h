/* SPDX-License-Identifier: ISC */
/* A state directory, a configuration and a certification authority for the tests of the keeper. The includer has included cmocka.h. */
#ifndef DOVAD_TESTS_KEEPER_FIXTURE_H
#define DOVAD_TESTS_KEEPER_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "keeper/install.h"
#include "keeper/vault.h"
#include "testca.h"

struct fixture {
	char dir[64];  /* a folder of the test's own */
	int state;     /* the state directory in it, "state" */
	struct conf *conf;
	struct vault *vault;
	struct install install;
	struct testca *root, *ca;
};

static inline void fixture_quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static inline char *fixture_path(const struct fixture *f, const char *name)
{
	return mem_printf("%s/%s", f->dir, name);
}

/* Writes DIR/name with this mode. */
static inline void fixture_write(const struct fixture *f, const char *name, const char *text, mode_t mode)
{
	char *path = fixture_path(f, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	free(path);
}

/* NULL: it is not there, or not a plain file. Caller frees. */
static inline char *fixture_read(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name), *text = NULL;
	struct stat st;
	FILE *file = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "r") : NULL;

	if (file) {
		text = calloc(1, (size_t)st.st_size + 1);
		assert_int_equal(fread(text, 1, (size_t)st.st_size, file), st.st_size);
		fclose(file);
	}
	free(path);
	return text;
}

static inline struct stat fixture_stat(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name);
	struct stat st = { 0 };

	assert_int_equal(lstat(path, &st), 0);
	free(path);
	return st;
}

static inline bool fixture_has(const struct fixture *f, const char *name)
{
	char *path = fixture_path(f, name);
	struct stat st;
	bool has = lstat(path, &st) == 0;

	free(path);
	return has;
}

/* %D in the text stands for DIR. Replaces the configuration. */
static inline void fixture_configure(struct fixture *f, const char *format)
{
	char text[8192];
	char *main_file = fixture_path(f, "dovad.conf");
	struct conf_source source = { .path = main_file, .text = text, .kind = CONF_MAIN };
	size_t used = 0;

	for (const char *p = format; *p; p++) {
		bool dir = strncmp(p, "%D", 2) == 0;

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s", dir ? (int)strlen(f->dir) : 1, dir ? f->dir : p);
		p += dir;
	}
	source.len = used;
	conf_free(f->conf);
	f->conf = conf_build(&source, 1, NULL, 0);
	for (size_t i = 0; i < f->conf->problems.n; i++)
		print_message("%s\n", f->conf->problems.v[i].text);
	assert_true(f->conf->usable);
	free(main_file);
}

static inline void fixture_open_vault(struct fixture *f)
{
	struct err err;

	vault_close(f->vault);
	f->vault = vault_open(f->state, &err);
	assert_non_null(f->vault);
	f->install = (struct install){ .state = f->state, .vault = f->vault };
}

#define FIXTURE_CONF                                                                                                                       \
	"keeper_state = \"%D/state\"; credentials = \"%D/credentials\"; contact = [ \"mailto:admin@example.net\" ];\n"                     \
	"ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; agree_tos = true; },\n"                  \
	"  { name = \"bound\"; type = \"acme\"; directory = \"https://[2001:db8::1]:14000/dir\"; agree_tos = true;\n"                      \
	"    eab = { key_id = \"kid-1\"; hmac_key = \"credential:eab\"; }; } );\n"                                                         \
	"http = ( { name = \"www\"; type = \"webroot\"; path = \"%D/www\"; } );\n"

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;
	char *path;

	log_set_sink(fixture_quiet, NULL);
	clock_freeze(TESTCA_NOW);
	strcpy(f->dir, "/tmp/dovad-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	path = fixture_path(f, "state");
	f->state = file_make_dirs(path, 0711, &err);
	assert_true(f->state >= 0);
	free(path);
	f->root = testca_new("Test Root", NULL, NULL);
	f->ca = testca_new("Test Issuing CA", f->root, NULL);
	fixture_open_vault(f);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	struct err err;

	vault_close(f->vault);
	conf_free(f->conf);
	testca_free(f->ca);
	testca_free(f->root);
	close(f->state);
	assert_true(file_remove_tree(AT_FDCWD, f->dir, &err));
	free(f);
	log_set_sink(NULL, NULL);
	return 0;
}

static inline const struct conf_cert *fixture_cert(const struct fixture *f)
{
	assert_true(f->conf->cert.n > 0);
	return &f->conf->cert.v[0];
}

/* A chain for the key that waits for the first certificate, as asked. Caller frees. */
static inline char *fixture_issue(struct fixture *f, const struct testca_wish *wish)
{
	const struct conf_cert *cert = fixture_cert(f);
	struct testca_wish own = wish ? *wish : (struct testca_wish){ 0 };
	struct vault_request request;
	struct err err;
	const struct key *key;
	const struct buf *pem;
	char *chain;

	assert_true(vault_request(f->vault, cert, &request, &err));
	free(request.key);
	if (!own.names) {
		own.names = cert->names.v;
		own.nnames = cert->names.n;
	}
	key = vault_pending(f->vault, cert->name, &pem, &err);
	assert_non_null(key);
	chain = testca_chain(f->ca, key, &own);
	return chain;
}

#endif
