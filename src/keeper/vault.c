/* SPDX-License-Identifier: ISC */
#include "keeper/vault_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/csr.h"

/* --- key files --- */

bool vault_parse_name(const char *entry, const char *suffix, char name[NAME_ROOM])
{
	size_t len = strlen(entry), tail = strlen(suffix);

	if (len <= tail || len >= NAME_ROOM || strcmp(entry + len - tail, suffix) != 0)
		return false;
	snprintf(name, NAME_ROOM, "%.*s", (int)(len - tail), entry);
	return text_is_name(name);
}

/* Calls found() for every entry and removes what a crash left half-written (".name..."). */
static bool scan(struct vault *v, int dirfd, void (*found)(struct vault *v, const char *entry), struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	bool ok;

	if (!dir) {
		err_errno(err, "cannot list a folder of keys");
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (errno = 0, (d = readdir(dir))) {
		if (d->d_name[0] != '.')
			found(v, d->d_name);
		else if (d->d_name[1] && strcmp(d->d_name, "..") != 0)
			unlinkat(dirfd, d->d_name, 0);
	}
	ok = errno == 0 || err_errno(err, "cannot list a folder of keys"); /* a key that is not seen is not gone */
	closedir(dir);
	return ok;
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

static void replace(char **text, char *by)
{
	free(*text);
	*text = by;
}

/* Takes over the key and the text. A new key takes the place of one of another type, once it is on the disk. */
static void set_key(struct pending *p, struct key *key, struct buf *pem)
{
	key_free(p->key);
	buf_wipe(&p->pem);
	p->key = key;
	p->pem = *pem;
	buf_init(pem, PEM_CAP);
}

/* How much of a file's text is not its request. */
static size_t key_part(const struct buf *text)
{
	const char *request = text->len ? memmem(text->data, text->len, CSR_BEGIN, strlen(CSR_BEGIN)) : NULL;

	return request ? (size_t)(request - text->data) : text->len;
}

/* temporary: the name that does not count. */
static const char *pending_name(char out[NAME_ROOM + 8], const char *cert, bool temporary)
{
	snprintf(out, NAME_ROOM + 8, "%s%s.pem", temporary ? "." : "", cert);
	return out;
}

static void remove_file(const struct vault *v, const char *cert, bool temporary)
{
	char name[NAME_ROOM + 8];

	unlinkat(v->pending_fd, pending_name(name, cert, temporary), 0);
}

static void found_pending(struct vault *v, const char *entry)
{
	char cert[NAME_ROOM];
	unsigned char *der;
	struct buf text;
	struct err err;
	size_t len;

	if (vault_parse_name(entry, ".csr", cert)) /* older ones gave the request a file of its own */
		unlinkat(v->pending_fd, entry, 0);
	if (!vault_parse_name(entry, ".pem", cert))
		return;
	buf_init(&text, PENDING_CAP);
	if (file_read(v->pending_fd, entry, PENDING_CAP, &text, NULL, &err) &&
		csr_parse(text.len ? text.data + key_part(&text) : "", text.len - key_part(&text), &der, &len, &err)) {
		replace(&ensure_pending(v, cert)->csr, text_b64url_encode(der, len));
		free(der);
	} else {
		log_warning("a signing request cannot be read and is made again", "cert", cert, "error", err.detail, NULL);
	}
	buf_wipe(&text);
}

/* pem: its own text, whatever else stands in the file. */
static struct key *read_key(const struct vault *v, const char *name, const struct buf *text, struct buf *pem, struct err *err)
{
	struct key *key = key_parse(text->data ? text->data : "", key_part(text), err);
	bool ok = key && key_format(key, pem, err);

	if (ok && vault_is_account_key(v, key)) {
		log_error("the key that waits for a certificate is one of an account: it is not used", "file", name, NULL);
		ok = err_set(err, ERR_DENIED, "accountKey", "pending/%s is the key of an account", name);
	}
	if (!ok)
		key_free(key);
	return ok ? key : NULL;
}

/* NULL and *err when none is waiting. A request counts where there is nothing but one key before it. */
static struct pending *ensure_key(struct vault *v, const char *cert, struct err *err)
{
	struct pending *p = find_pending(v, cert);
	char name[NAME_ROOM + 8];
	struct key *key = NULL;
	struct buf text, pem;

	if (p && p->key)
		return p;
	buf_init(&text, PENDING_CAP);
	buf_init(&pem, PEM_CAP);
	if (file_read(v->pending_fd, pending_name(name, cert, false), PENDING_CAP, &text, NULL, err))
		key = read_key(v, name, &text, &pem, err);
	p = key ? ensure_pending(v, cert) : NULL;
	if (p && (pem.len != key_part(&text) || memcmp(pem.data, text.data, pem.len) != 0))
		replace(&p->csr, mem_strdup(""));
	if (p)
		set_key(p, key, &pem);
	buf_wipe(&pem);
	buf_wipe(&text);
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
		replace(&p->names, names);
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
bool vault_has_room(struct vault *v, struct err *err)
{
	return room_check(&v->room, err);
}

struct request {
	struct buf key;  /* its text */
	struct buf file; /* that and the request's */
	char *csr;       /* base64url */
};

static void request_init(struct request *r)
{
	buf_init(&r->key, PEM_CAP);
	buf_init(&r->file, PENDING_CAP);
}

static void request_wipe(struct request *r)
{
	buf_wipe(&r->key);
	buf_wipe(&r->file);
	free(r->csr);
}

static bool request_format(struct request *r, const struct conf_cert *cert, const struct key *key, struct err *err)
{
	struct csr_wish wish = wish_for(cert);
	unsigned char *der = NULL;
	size_t len = 0;
	bool ok = csr_build(key, &wish, &der, &len, err) &&
		(len <= CSR_CAP || err_set(err, ERR_INPUT, "csr", "the signing request is larger than %d bytes", CSR_CAP)) && key_format(key, &r->key, err) &&
		buf_add(&r->file, r->key.data, r->key.len) && csr_format(der, len, &r->file, err);

	r->csr = ok ? text_b64url_encode(der, len) : NULL;
	free(der);
	return ok;
}

/* It is the one that waits. Takes over its parts, the names, and the key, NULL: the one that waits already. */
static void take_request(struct vault *v, const char *cert, struct request *r, char *names, struct key *key)
{
	struct pending *p = ensure_pending(v, cert);

	if (key)
		set_key(p, key, &r->key);
	replace(&p->csr, r->csr);
	r->csr = NULL;
	replace(&p->names, names);
}

/* By the key that waits already, or a fresh one, which is taken over. Both NULL, and *err: it could not be made. */
static bool make_request(struct vault *v, const struct conf_cert *cert, const struct key *waiting, struct key *fresh, struct err *err)
{
	const struct key *key = fresh ? fresh : waiting;
	char name[NAME_ROOM + 8];
	struct request r = { 0 };
	bool ok;

	request_init(&r);
	ok = key && request_format(&r, cert, key, err) &&
		file_write_atomic(v->pending_fd, pending_name(name, cert->name, false), r.file.data, r.file.len, 0600, err);
	if (ok)
		take_request(v, cert->name, &r, names_of(cert), fresh);
	else
		key_free(fresh);
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

/* The token is asked each time: what waits may be for a key that is not there any more. */
static bool ensure_by_token(struct vault *v, const struct conf_cert *cert, struct err *err)
{
	struct pending *p = ensure_key(v, cert->name, NULL);
	struct key *key = tokens_find(v->tokens, &cert->key, err);
	bool ok = key && (!vault_is_account_key(v, key) ||
		err_set(err, ERR_DENIED, "accountKey", "the key %s is the key of an account", cert->key.uri));
	bool fits = ok && p && key_uri(p->key) && strcmp(key_uri(p->key), cert->key.uri) == 0 && key_equal(key, p->key) && is_fitting(p, cert);

	if (ok && !fits)
		return make_request(v, cert, NULL, key, err);
	key_free(key);
	return ok;
}

static bool ensure_request(struct vault *v, const struct conf_cert *cert, struct err *err)
{
	struct pending *p = ensure_key(v, cert->name, NULL);
	const struct key *key = p && !key_uri(p->key) && key_type(p->key) == (enum key_type)cert->key.type ? p->key : NULL;

	return (key && is_fitting(p, cert)) || make_request(v, cert, key, key ? NULL : key_generate((enum key_type)cert->key.type, err), err);
}

bool vault_request(struct vault *v, const struct conf_cert *cert, struct vault_request *out, struct err *err)
{
	return (cert->key.uri ? ensure_by_token(v, cert, err) : ensure_request(v, cert, err)) && tell_request(v, cert->name, out, err);
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
	char name[NAME_ROOM + 8];
	struct vault_draft *d;
	int fd = -1;

	if (cert->key.uri || ensure_key(v, cert->name, NULL))
		return NULL;
	d = mem_alloc(sizeof(*d));
	d->vault = v;
	d->cert = mem_strdup(cert->name);
	d->names = names_of(cert);
	request_init(&d->request);
	d->key = key_generate((enum key_type)cert->key.type, NULL);
	if (d->key && request_format(&d->request, cert, d->key, NULL))
		fd = file_create_unsynced(v->pending_fd, pending_name(name, cert->name, true), d->request.file.data, d->request.file.len, 0600, NULL);
	if (fd >= 0) {
		sync_add(s, fd);
		return d;
	}
	(void)!vault_draft_end(d, false, NULL);
	return NULL;
}

bool vault_draft_keep(struct vault_draft *d, struct sync *s)
{
	int dir = d->vault->pending_fd;
	char from[NAME_ROOM + 8], to[NAME_ROOM + 8];

	if (renameat(dir, pending_name(from, d->cert, true), dir, pending_name(to, d->cert, false)) != 0)
		return false;
	sync_add_copy(s, dir);
	take_request(d->vault, d->cert, &d->request, d->names, d->key);
	d->key = NULL;
	d->names = NULL;
	return true;
}

bool vault_draft_end(struct vault_draft *d, bool kept, struct vault_request *out)
{
	struct pending *p = find_pending(d->vault, d->cert);

	kept = kept && tell_request(d->vault, d->cert, out, NULL);
	if (!kept) {
		remove_file(d->vault, d->cert, true);
		remove_file(d->vault, d->cert, false);
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
	remove_file(v, cert, false);
	drop_pending(find_pending(v, cert));
}

/* --- life --- */

struct vault *vault_open(int state, struct err *err)
{
	struct vault *v = mem_alloc(sizeof(*v));

	LIST_INIT(&v->pending);
	v->tokens = tokens_new(state);
	v->pending_fd = v->room.probe = -1;
	v->accounts_fd = file_open_dir(state, "accounts", 0700, err);
	if (v->accounts_fd >= 0)
		v->pending_fd = v->room.dir = file_open_dir(state, "pending", 0700, err);
	if (v->pending_fd >= 0 && file_sync_dir(state, err) && scan(v, v->accounts_fd, vault_found_account, err) &&
		scan(v, v->pending_fd, found_pending, err))
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
	vault_accounts_free(v);
	tokens_free(v->tokens);
	room_close(&v->room);
	if (v->accounts_fd >= 0)
		close(v->accounts_fd);
	if (v->pending_fd >= 0)
		close(v->pending_fd);
	free(v);
}
