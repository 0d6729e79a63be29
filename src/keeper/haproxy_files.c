/* SPDX-License-Identifier: ISC */
#include "keeper/haproxy_files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "keeper/bundle.h"

enum {
	SLICE = 16,   /* certificates read in one go */
	OF_DIR = 3,   /* files of a folder that HAProxy can read */
};

struct cert {
	const struct conf_cert *conf;
	struct haproxy_print print;
	const char *path; /* of the first file HAProxy could load, for people */
	bool loaded;
};

struct file {
	const char *path;
	struct cert *cert;
	bool whole;
	dev_t dev;
	ino_t ino; /* 0: there is none */
};

struct haproxy_files {
	const struct install *in;
	struct conf *conf;
	struct arena *arena;
	struct cert *cert;
	size_t ncert, read;
	struct file *file; /* by path */
	struct file *inode; /* the same by inode */
	size_t nfile;
	struct haproxy_item *item;
	size_t nitem;
};

static bool is_of(const struct conf_cert *c, const char *service)
{
	for (size_t i = 0; i < c->service.n; i++)
		if (strcmp(c->service.v[i]->name, service) == 0)
			return c->enabled;
	return false;
}

struct haproxy_files *haproxy_files_new(const struct install *in, const struct conf *conf, const char *service)
{
	struct haproxy_files *f = mem_alloc(sizeof(*f));
	size_t most = 0;

	f->in = in;
	f->conf = conf_ref((struct conf *)conf);
	f->arena = arena_new();
	f->cert = arena_array(f->arena, conf->cert.n + 1, sizeof(*f->cert));
	for (size_t i = 0; i < conf->cert.n; i++)
		if (is_of(&conf->cert.v[i], service)) {
			f->cert[f->ncert++].conf = &conf->cert.v[i];
			most += OF_DIR * (conf->cert.v[i].install.n + 1);
		}
	f->file = arena_array(f->arena, most + 1, sizeof(*f->file));
	return f;
}

void haproxy_files_free(struct haproxy_files *f)
{
	if (!f)
		return;
	conf_free(f->conf);
	arena_free(f->arena);
	free(f);
}

/* --- reading --- */

static void add_file(struct haproxy_files *f, struct cert *c, const char *path, bool whole)
{
	struct file *file = &f->file[f->nfile++];
	struct stat st;

	*file = (struct file){ .path = path, .cert = c, .whole = whole };
	if (stat(path, &st) == 0) {
		file->dev = st.st_dev;
		file->ino = st.st_ino;
	}
	if (!c->path)
		c->path = path;
}

/* In the order in which an admin would choose. A chain that HAProxy has a key for by its own means (a .key file, a crt-store) is one that can be given
 * anew as well. */
static const struct {
	enum conf_part part;
	bool whole;
} loadable[OF_DIR] = { { CONF_PART_BUNDLE, true }, { CONF_PART_FULLCHAIN, true }, { CONF_PART_CERT, false } };

static void add_folder(struct haproxy_files *f, struct cert *c, const char *dir, bool bundle)
{
	for (size_t i = bundle ? 0 : 1; i < OF_DIR; i++)
		add_file(f, c, arena_printf(f->arena, "%s/%s", dir, bundle_file_names[loadable[i].part]), loadable[i].whole);
}

static void add_files(struct haproxy_files *f, struct cert *c)
{
	const struct conf_cert *conf = c->conf;

	for (size_t i = 0; i < conf->install.n; i++) {
		const struct conf_target *t = &conf->install.v[i];

		if (t->dir)
			add_folder(f, c, t->dir, t->bundle);
		for (size_t k = 0; !t->dir && k < OF_DIR; k++)
			if (t->file[loadable[k].part])
				add_file(f, c, t->file[loadable[k].part], loadable[k].whole);
	}
	add_folder(f, c, arena_printf(f->arena, "%s/live/%s", f->conf->settings.keeper_state, conf->name), false);
}

static bool read_print(const struct haproxy_files *f, struct cert *c, struct err *err)
{
	const struct buf *full;
	struct x509_chain *chain = NULL;
	struct bundle b;

	bundle_init(&b);
	if (install_load(f->in, c->conf->name, NULL, &b, err)) {
		full = &b.file[CONF_PART_FULLCHAIN];
		chain = x509_parse(full->data ? full->data : "", full->len, err);
	}
	bundle_wipe(&b);
	if (!chain)
		return false;
	x509_sha1(chain, c->print.sha1);
	c->print.chain = x509_leaf(chain)->length - 1;
	x509_free(chain);
	return true;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static int by_inode(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return x->ino != y->ino ? (x->ino > y->ino) - (x->ino < y->ino) : (x->dev > y->dev) - (x->dev < y->dev);
}

bool haproxy_files_read(struct haproxy_files *f)
{
	struct err err;

	for (size_t end = f->read + SLICE; f->read < f->ncert && f->read < end; f->read++) {
		struct cert *c = &f->cert[f->read];

		if (read_print(f, c, &err))
			add_files(f, c);
		else if (strcmp(err.type, "none") != 0)
			log_warning("HAProxy does not get a certificate that cannot be read", "cert", c->conf->name, "error", err.detail, NULL);
	}
	if (f->read < f->ncert)
		return true;
	f->inode = arena_array(f->arena, f->nfile + 1, sizeof(*f->inode));
	memcpy(f->inode, f->file, f->nfile * sizeof(*f->file));
	qsort(f->file, f->nfile, sizeof(*f->file), by_path);
	qsort(f->inode, f->nfile, sizeof(*f->inode), by_inode);
	return false;
}

/* --- matching --- */

static const struct file *find_file(const struct haproxy_files *f, const char *name)
{
	struct file key = { .path = name };
	const struct file *found = bsearch(&key, f->file, f->nfile, sizeof(key), by_path);
	struct stat st;

	if (found || name[0] != '/' || stat(name, &st) != 0)
		return found;
	key.dev = st.st_dev;
	key.ino = st.st_ino;
	return bsearch(&key, f->inode, f->nfile, sizeof(key), by_inode);
}

struct haproxy_item *haproxy_files_match(struct haproxy_files *f, const struct haproxy_list *list, size_t *n)
{
	f->item = arena_array(f->arena, list->n + 1, sizeof(*f->item));
	for (size_t i = 0; i < list->n; i++) {
		const struct file *file = find_file(f, list->v[i]);

		if (!file)
			continue;
		file->cert->loaded = true;
		f->item[f->nitem] = (struct haproxy_item){
			.name = list->v[i], .cert = file->cert->conf->name, .whole = file->whole, .ours = file->cert->print,
		};
		if (!file->whole)
			f->item[f->nitem].ours.chain = 0;
		f->nitem++;
	}
	*n = f->nitem;
	return f->item;
}

const char *haproxy_files_missing(const struct haproxy_files *f, const char *cert)
{
	for (size_t i = 0; i < f->ncert; i++)
		if (strcmp(f->cert[i].conf->name, cert) == 0)
			return f->cert[i].loaded ? NULL : f->cert[i].path;
	return NULL;
}

bool haproxy_files_set(const struct haproxy_files *f, const struct haproxy_item *item, const char *sha1, struct buf *out, struct err *err)
{
	const struct buf *key, *chain;
	struct bundle b;
	bool ok;

	bundle_init(&b);
	key = &b.file[CONF_PART_KEY];
	chain = &b.file[item->whole ? CONF_PART_FULLCHAIN : CONF_PART_CERT];
	ok = install_load(f->in, item->cert, sha1, &b, err);
	if (ok && !key->len)
		ok = err_set(err, ERR_LOCAL, "haproxy", "%s: its key is on a token, and HAProxy takes none without one", item->cert);
	/* HAProxy takes an empty line for the end. */
	if (ok && (!chain->len || strstr(key->data, "\n\n") || strstr(chain->data, "\n\n")))
		ok = err_set(err, ERR_BUG, "haproxy", "%s: there is an empty line in its files", item->cert);
	if (ok && !(haproxy_say_command(out, "set", "", item->name) && buf_puts(out, " <<\n") && buf_add(out, key->data, key->len) &&
		buf_add(out, chain->data, chain->len) && buf_puts(out, "\n")))
		ok = err_set(err, ERR_BUG, "haproxy", "%s: its files are too large", item->cert);
	bundle_wipe(&b);
	return ok;
}
