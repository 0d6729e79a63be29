/* SPDX-License-Identifier: ISC */
#include "keeper/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/jose.h"

enum {
	PEM_CAP = 64 * 1024,
	CSR_CAP = 256 * 1024,
	NAME_ROOM = 80, /* "." name ".pem" */
	ROOM = 128 * 1024, /* for a key, a request and the files of a certificate */
};

struct pending {
	LIST_ENTRY(pending) link;
	char *cert;
	char *csr;       /* base64url; "": none that can be read */
	char *names;     /* that csr is known to be for, by key; NULL: not looked into yet, which costs as much as making it */
	struct key *key; /* NULL: not read yet. Reading and writing one costs more than all else that is done with it */
	struct buf pem;  /* its text */
};

struct vault {
	int accounts_fd, pending_fd;
	struct account *accounts;
	unsigned char (*digests)[32];
	size_t naccounts;
	LIST_HEAD(, pending) pending;
};

/* --- key files --- */

/* pem gets the text, for the caller to wipe in any case. */
static struct key *load_key(int dir, const char *name, struct buf *pem, struct err *err)
{
	buf_init(pem, PEM_CAP);
	return file_read(dir, name, PEM_CAP, pem, NULL, err) ? key_parse(pem->data ? pem->data : "", pem->len, err) : NULL;
}

/* name.suffix -> *name; false for anything else, temporary files (".name...") included. */
static bool parse_name(const char *entry, const char *suffix, char name[NAME_ROOM])
{
	size_t len = strlen(entry), tail = strlen(suffix);

	if (len <= tail || len >= NAME_ROOM || strcmp(entry + len - tail, suffix) != 0)
		return false;
	snprintf(name, NAME_ROOM, "%.*s", (int)(len - tail), entry);
	return text_is_name(name);
}

/* Calls found() for every NAME.suffix and removes what a crash left half-written. */
static bool scan(struct vault *v, int dirfd, const char *suffix, void (*found)(struct vault *v, const char *name), struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	char name[NAME_ROOM];

	if (!dir) {
		err_errno(err, "cannot list a folder of keys");
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((d = readdir(dir))) {
		if (parse_name(d->d_name, suffix, name))
			found(v, name);
		else if (d->d_name[0] == '.' && d->d_name[1] && strcmp(d->d_name, "..") != 0)
			unlinkat(dirfd, d->d_name, 0);
	}
	closedir(dir);
	return true;
}

/* --- accounts --- */

/* Takes over key. */
static struct account *add_account(struct vault *v, const char *ca, struct key *key, struct err *err)
{
	struct account *a = mem_alloc(sizeof(*a));

	a->key = key;
	a->thumbprint = jose_thumbprint(key, err);
	if (!a->thumbprint || !key_digest(key, a->digest, err)) {
		key_free(key);
		free(a->thumbprint);
		free(a);
		return NULL;
	}
	a->ca = mem_strdup(ca);
	a->next = v->accounts;
	v->accounts = a;
	v->digests = mem_resize(v->digests, v->naccounts + 1, sizeof(*v->digests));
	memcpy(v->digests[v->naccounts++], a->digest, sizeof(a->digest));
	return a;
}

static void found_account(struct vault *v, const char *ca)
{
	char name[NAME_ROOM + 8];
	struct key *key;
	struct buf pem;
	struct err err;

	snprintf(name, sizeof(name), "%s.pem", ca);
	key = load_key(v->accounts_fd, name, &pem, &err);
	buf_wipe(&pem);
	if (!key || !add_account(v, ca, key, &err))
		log_error("an account key cannot be read", "ca", ca, "error", err.detail, NULL);
}

static struct account *make_account(struct vault *v, const struct conf_ca *ca, const char *name, struct err *err)
{
	struct key *key = key_generate((enum key_type)ca->account_key, err);
	struct buf pem;
	bool ok;

	if (!key)
		return NULL;
	buf_init(&pem, PEM_CAP);
	ok = key_format(key, &pem, err) && file_write_atomic(v->accounts_fd, name, pem.data, pem.len, 0600, err);
	buf_wipe(&pem);
	if (!ok) {
		unlinkat(v->accounts_fd, name, 0); /* whose folder could not be synced: not to be taken for one that cannot be read */
		key_free(key);
		return NULL;
	}
	log_notice("account key made", "ca", ca->name, "type", key_type_name(key_type(key)), NULL);
	return add_account(v, ca->name, key, err);
}

const struct account *vault_account(struct vault *v, const struct conf_ca *ca, struct err *err)
{
	char name[NAME_ROOM + 8];

	for (struct account *a = v->accounts; a; a = a->next)
		if (strcmp(a->ca, ca->name) == 0)
			return a;
	snprintf(name, sizeof(name), "%s.pem", ca->name);
	if (faccessat(v->accounts_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return make_account(v, ca, name, err);
	err_set(err, ERR_LOCAL, "account-key", "the account key accounts/%s cannot be read: restore it from a backup, or move it away for a new account",
		name);
	return NULL;
}

const unsigned char (*vault_account_digests(const struct vault *v, size_t *n))[32]
{
	*n = v->naccounts;
	return (const unsigned char (*)[32])v->digests;
}

/* --- pending keys and requests --- */

static struct pending *find_pending(const struct vault *v, const char *cert)
{
	struct pending *p;

	LIST_FOREACH(p, &v->pending, link)
		if (strcmp(p->cert, cert) == 0)
			return p;
	return NULL;
}

static void drop_pending(struct pending *p)
{
	LIST_REMOVE(p, link);
	key_free(p->key);
	buf_wipe(&p->pem);
	free(p->cert);
	free(p->csr);
	free(p->names);
	free(p);
}

static struct pending *ensure_pending(struct vault *v, const char *cert)
{
	struct pending *p = find_pending(v, cert);

	if (!p) {
		p = mem_alloc(sizeof(*p));
		p->cert = mem_strdup(cert);
		p->csr = mem_strdup("");
		buf_init(&p->pem, PEM_CAP);
		LIST_INSERT_HEAD(&v->pending, p, link);
	}
	return p;
}

static void set_names(struct pending *p, char *names)
{
	free(p->names);
	p->names = names;
}

static void set_csr(struct pending *p, const void *der, size_t len)
{
	free(p->csr);
	p->csr = text_b64url_encode(der, len);
	set_names(p, NULL);
}

/* Takes over the key and the text. A new key takes the place of one of another type, once it is on the disk. */
static struct pending *set_key(struct vault *v, const char *cert, struct key *key, struct buf *pem)
{
	struct pending *p = ensure_pending(v, cert);

	key_free(p->key);
	buf_wipe(&p->pem);
	p->key = key;
	p->pem = *pem;
	buf_init(pem, PEM_CAP);
	set_names(p, NULL);
	return p;
}

static void found_pending(struct vault *v, const char *cert)
{
	char name[NAME_ROOM + 8];
	struct buf der;
	struct err err;

	snprintf(name, sizeof(name), "%s.csr", cert);
	buf_init(&der, CSR_CAP);
	if (file_read(v->pending_fd, name, CSR_CAP, &der, NULL, &err) && der.len)
		set_csr(ensure_pending(v, cert), der.data, der.len);
	else
		log_warning("a signing request cannot be read and is made again", "cert", cert, NULL);
	buf_free(&der);
}

/* RFC 8555 section 11.1: a certificate for an account's key would give whoever has it the account. */
static bool is_account_key(const struct vault *v, const struct key *key)
{
	unsigned char digest[32];

	if (!key_digest(key, digest, NULL))
		return true;
	for (size_t i = 0; i < v->naccounts; i++)
		if (memcmp(v->digests[i], digest, sizeof(digest)) == 0)
			return true;
	return false;
}

/* NULL and *err when none is waiting. */
static struct pending *ensure_key(struct vault *v, const char *cert, struct err *err)
{
	struct pending *p = find_pending(v, cert);
	char name[NAME_ROOM + 8];
	struct key *key;
	struct buf pem;

	if (p && p->key)
		return p;
	snprintf(name, sizeof(name), "%s.pem", cert);
	key = load_key(v->pending_fd, name, &pem, err);
	if (key && is_account_key(v, key)) {
		log_error("the key that waits for a certificate is one of an account: it is not used", "file", name, NULL);
		err_set(err, ERR_DENIED, "accountKey", "pending/%s is the key of an account", name);
		key_free(key);
		key = NULL;
	}
	p = key ? set_key(v, cert, key, &pem) : NULL;
	buf_wipe(&pem);
	return p;
}

const struct key *vault_pending(struct vault *v, const char *cert, const struct buf **pem, struct err *err)
{
	struct err why;
	const struct pending *p = ensure_key(v, cert, &why);

	if (!p) {
		err_set(err, ERR_DENIED, "noKey", "no key is waiting for this certificate: %s", why.detail);
		return NULL;
	}
	*pem = &p->pem;
	return p->key;
}

const char *vault_find_request(const struct vault *v, const char *csr)
{
	const struct pending *p;

	LIST_FOREACH(p, &v->pending, link)
		if (*csr && strcmp(p->csr, csr) == 0)
			return p->cert;
	return NULL;
}

static struct csr_wish wish_for(const struct conf_cert *cert)
{
	return (struct csr_wish){ .names = cert->names.v, .nnames = cert->names.n };
}

static char *names_of(const struct conf_cert *cert)
{
	struct buf text;

	buf_init(&text, 0);
	for (size_t i = 0; i < cert->names.n; i++)
		(void)!buf_printf(&text, "%s ", cert->names.v[i]);
	return buf_take(&text);
}

static bool is_fitting(struct pending *p, const struct conf_cert *cert)
{
	struct csr_wish wish = wish_for(cert);
	char *names = names_of(cert);
	unsigned char *der;
	size_t len;
	bool fits = p->names && strcmp(p->names, names) == 0;

	if (!fits && text_b64url_decode(p->csr, strlen(p->csr), &der, &len)) {
		fits = csr_check(p->key, &wish, der, len, NULL);
		free(der);
	}
	if (fits)
		set_names(p, names);
	else
		free(names);
	return fits;
}

bool vault_request_fits(struct vault *v, const struct conf_cert *cert)
{
	struct pending *p = ensure_key(v, cert->name, NULL);

	return p && is_fitting(p, cert);
}

/* Tried, because what a file system says of its room is not what it gives. Where it has no files without a name nothing is tried. */
bool vault_has_room(const struct vault *v, struct err *err)
{
	int fd = openat(v->pending_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), bad = 0;

	if (fd >= 0) {
		bad = posix_fallocate(fd, 0, ROOM);
		close(fd);
	} else if (errno != EOPNOTSUPP && errno != EISDIR) {
		bad = errno;
	}
	errno = bad;
	return !bad || err_errno(err, "nothing is ordered while what comes of it could not be stored in the keeper's state directory");
}

enum { PENDING_FILES = 2 };
static const char *const pending_suffix[PENDING_FILES] = { "pem", "csr" };

struct request { /* as it stands in the files */
	struct buf file[PENDING_FILES];
};

static void request_init(struct request *r)
{
	buf_init(&r->file[0], PEM_CAP);
	buf_init(&r->file[1], CSR_CAP);
}

static void request_wipe(struct request *r)
{
	for (int i = 0; i < PENDING_FILES; i++)
		buf_wipe(&r->file[i]);
}

static bool request_format(struct request *r, const struct conf_cert *cert, const struct key *key, struct err *err)
{
	struct csr_wish wish = wish_for(cert);
	unsigned char *der = NULL;
	size_t len = 0;
	bool ok = csr_build(key, &wish, &der, &len, err) && key_format(key, &r->file[0], err);

	if (ok && !buf_add(&r->file[1], der, len))
		ok = err_set(err, ERR_INPUT, "csr", "the signing request is larger than %d bytes", CSR_CAP);
	free(der);
	return ok;
}

/* temporary: the name that does not count. */
static const char *pending_name(char out[NAME_ROOM + 8], const char *cert, int i, bool temporary)
{
	snprintf(out, NAME_ROOM + 8, "%s%s.%s", temporary ? "." : "", cert, pending_suffix[i]);
	return out;
}

static void remove_files(const struct vault *v, const char *cert, bool temporary)
{
	char name[NAME_ROOM + 8];

	for (int i = 0; i < PENDING_FILES; i++)
		unlinkat(v->pending_fd, pending_name(name, cert, i, temporary), 0);
}

static bool write_files(const struct vault *v, const char *cert, const struct request *r, struct sync *s, struct err *err)
{
	char name[NAME_ROOM + 8];

	remove_files(v, cert, true);
	for (int i = 0; i < PENDING_FILES; i++) {
		int fd = file_create_unsynced(v->pending_fd, pending_name(name, cert, i, true), r->file[i].data, r->file[i].len, 0600, err);

		if (fd < 0)
			return false;
		sync_add(s, fd);
	}
	return true;
}

/* A crash between the two leaves a request that does not fit its key: it is made again. */
static bool name_files(const struct vault *v, const char *cert, struct sync *s, struct err *err)
{
	char from[NAME_ROOM + 8], to[NAME_ROOM + 8];

	for (int i = 0; i < PENDING_FILES; i++)
		if (renameat(v->pending_fd, pending_name(from, cert, i, true), v->pending_fd, pending_name(to, cert, i, false)) != 0)
			return err_errno(err, "cannot store pending/%s", to);
	sync_add_copy(s, v->pending_fd);
	return true;
}

static bool store_request(struct vault *v, const struct conf_cert *cert, const struct request *r, struct err *err)
{
	struct sync s = { 0 };
	bool ok = write_files(v, cert->name, r, &s, err) && sync_now(&s, err) && name_files(v, cert->name, &s, err) && sync_now(&s, err);

	sync_drop(&s);
	if (!ok) {
		remove_files(v, cert->name, true);
		return false;
	}
	set_csr(ensure_pending(v, cert->name), r->file[1].data, r->file[1].len);
	return true;
}

/* key NULL: a new one, else the one that waits already. */
static bool make_request(struct vault *v, const struct conf_cert *cert, const struct key *key, struct err *err)
{
	struct key *fresh = key ? NULL : key_generate((enum key_type)cert->key, err);
	struct request r;
	bool ok;

	request_init(&r);
	ok = (key || fresh) && request_format(&r, cert, key ? key : fresh, err) && store_request(v, cert, &r, err);
	if (ok && fresh)
		set_key(v, cert->name, fresh, &r.file[0]);
	else
		key_free(fresh);
	if (ok)
		set_names(find_pending(v, cert->name), names_of(cert));
	request_wipe(&r);
	return ok;
}

/* What is waiting, as an answer. */
static bool tell_request(const struct vault *v, const char *cert, struct vault_request *out, struct err *err)
{
	const struct pending *p = find_pending(v, cert);
	unsigned char digest[32];

	if (!key_digest(p->key, digest, err))
		return false;
	out->csr = p->csr;
	out->key = text_hex_encode(digest, sizeof(digest));
	return true;
}

bool vault_request(struct vault *v, const struct conf_cert *cert, struct vault_request *out, struct err *err)
{
	struct pending *p = ensure_key(v, cert->name, NULL);
	const struct key *key = p && key_type(p->key) == (enum key_type)cert->key ? p->key : NULL;

	return ((key && is_fitting(p, cert)) || make_request(v, cert, key, err)) && tell_request(v, cert->name, out, err);
}

/* --- many at once --- */

struct vault_draft {
	struct vault *vault;
	char *cert, *names;
	struct key *key; /* NULL: the vault has it */
	struct request request;
};

struct vault_draft *vault_draft(struct vault *v, const struct conf_cert *cert, struct sync *s)
{
	struct vault_draft *d;

	if (ensure_key(v, cert->name, NULL))
		return NULL;
	d = mem_alloc(sizeof(*d));
	d->vault = v;
	d->cert = mem_strdup(cert->name);
	d->names = names_of(cert);
	request_init(&d->request);
	d->key = key_generate((enum key_type)cert->key, NULL);
	if (d->key && request_format(&d->request, cert, d->key, NULL) && write_files(v, cert->name, &d->request, s, NULL))
		return d;
	(void)!vault_draft_end(d, false, NULL);
	return NULL;
}

bool vault_draft_keep(struct vault_draft *d, struct sync *s)
{
	if (!name_files(d->vault, d->cert, s, NULL))
		return false;
	set_csr(ensure_pending(d->vault, d->cert), d->request.file[1].data, d->request.file[1].len);
	set_names(set_key(d->vault, d->cert, d->key, &d->request.file[0]), d->names);
	d->key = NULL;
	d->names = NULL;
	return true;
}

bool vault_draft_end(struct vault_draft *d, bool kept, struct vault_request *out)
{
	struct pending *p = find_pending(d->vault, d->cert);

	kept = kept && tell_request(d->vault, d->cert, out, NULL);
	if (!kept) {
		remove_files(d->vault, d->cert, true);
		remove_files(d->vault, d->cert, false);
	}
	if (!kept && p)
		drop_pending(p);
	key_free(d->key);
	request_wipe(&d->request);
	free(d->cert);
	free(d->names);
	free(d);
	return kept;
}

void vault_installed(struct vault *v, const char *cert, const struct buf *pem)
{
	const struct pending *p = ensure_key(v, cert, NULL);

	if (!p || p->pem.len != pem->len || memcmp(p->pem.data, pem->data, pem->len) != 0)
		return;
	remove_files(v, cert, false);
	drop_pending(find_pending(v, cert));
}

/* --- life --- */

struct vault *vault_open(int state, struct err *err)
{
	struct vault *v = mem_alloc(sizeof(*v));

	LIST_INIT(&v->pending);
	v->pending_fd = -1;
	v->accounts_fd = file_open_dir(state, "accounts", 0700, err);
	if (v->accounts_fd >= 0)
		v->pending_fd = file_open_dir(state, "pending", 0700, err);
	if (v->pending_fd >= 0 && file_sync_dir(state, err) && scan(v, v->accounts_fd, ".pem", found_account, err) &&
		scan(v, v->pending_fd, ".csr", found_pending, err))
		return v;
	vault_close(v);
	return NULL;
}

void vault_close(struct vault *v)
{
	struct pending *p;

	if (!v)
		return;
	while ((p = LIST_FIRST(&v->pending)))
		drop_pending(p);
	while (v->accounts) {
		struct account *a = v->accounts;

		v->accounts = a->next;
		key_free(a->key);
		free(a->thumbprint);
		free(a->ca);
		free(a);
	}
	free(v->digests);
	if (v->accounts_fd >= 0)
		close(v->accounts_fd);
	if (v->pending_fd >= 0)
		close(v->pending_fd);
	free(v);
}
