/* SPDX-License-Identifier: ISC */
#include "keeper/install.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x509.h"
#include "keeper/target.h"

/* --- what generations hold --- */

static struct x509_chain *bundle_chain(const struct bundle *b, struct err *err)
{
	const struct buf *full = &b->file[CONF_PART_FULLCHAIN];

	return x509_parse(full->data ? full->data : "", full->len, err);
}

/* We wrote it, so the text decides. */
static bool holds_leaf(const struct bundle *b, const struct x509_chain *chain)
{
	const struct buf *cert = &b->file[CONF_PART_CERT];
	struct buf leaf;
	bool same;

	buf_init(&leaf, X509_PEM_MAX);
	same = x509_format(chain, X509_CERT, &leaf) && leaf.len == cert->len && memcmp(leaf.data, cert->data, leaf.len) == 0;
	buf_free(&leaf);
	return same;
}

static bool format_bundle(const struct buf *pem, const struct key *key, const struct x509_chain *chain, struct bundle *b, struct err *err)
{
	if (!bundle_set_key(b, pem, key_uri(key) != NULL) || !x509_format(chain, X509_CERT, &b->file[CONF_PART_CERT]) ||
		!x509_format(chain, X509_CHAIN, &b->file[CONF_PART_CHAIN]) || !x509_format(chain, X509_FULLCHAIN, &b->file[CONF_PART_FULLCHAIN]))
		return err_set(err, ERR_DENIED, "badCertificate", "the chain cannot be written as PEM");
	bundle_seal(b);
	return true;
}

/* --- install --- */

struct job {
	const struct install *in;
	const struct conf_cert *cert;
	struct x509_chain *chain; /* to be installed */
	struct place live;
	long current;
	struct bundle bundle;     /* what ends up current */
};

static bool accept_chain(const struct job *j, const struct key *key, struct err *err)
{
	struct x509_chain *old = NULL;
	struct x509_wish wish = {
		.key = key, .names = j->cert->names.v, .nnames = j->cert->names.n, .staging = conf_is_staging(j->cert->ca), .now = clock_now(),
	};
	struct bundle b;
	bool ok;

	bundle_init(&b);
	if (j->current && place_load(&j->live, j->current, false, &b, NULL))
		old = bundle_chain(&b, NULL);
	wish.old_serial = old ? x509_leaf(old)->serial : NULL;
	wish.account_digests = vault_account_digests(j->in->vault, &wish.naccounts);
	ok = x509_accept(j->chain, &wish, err);
	x509_free(old);
	bundle_wipe(&b);
	return ok;
}

/* Does generation n hold the chain, whole? Then it is in j->bundle. */
static bool find_in(struct job *j, long n, bool failed)
{
	if (place_load(&j->live, n, failed, &j->bundle, NULL) && holds_leaf(&j->bundle, j->chain))
		return true;
	bundle_wipe(&j->bundle);
	return false;
}

/* One that was written before a crash, or taken back since. It is accepted anew: time has passed. */
static bool reuse(struct job *j, long n, bool failed, struct err *err)
{
	const struct buf *pem = bundle_key(&j->bundle);
	struct key *key = key_parse(pem->data ? pem->data : "", pem->len, err);
	bool ok = key && accept_chain(j, key, err);

	key_free(key);
	return ok && (!failed || place_set_failed(&j->live, n, false, err)) && place_switch(&j->live, n, err);
}

static bool write_new(struct job *j, struct err *err)
{
	const struct buf *pem;
	const struct key *key = vault_pending(j->in->vault, j->cert->name, &pem, err);
	long n;

	return key && accept_chain(j, key, err) && format_bundle(pem, key, j->chain, &j->bundle, err) &&
		place_put(&j->live, &j->bundle, &n, err);
}

static bool make_current(struct job *j, struct err *err)
{
	if (j->current && find_in(j, j->current, false))
		return file_sync_dir(j->live.links, err); /* whoever switched may have been killed before he did this */
	for (long n = place_newest(&j->live); n > j->current; n--)
		for (int failed = 0; failed <= 1; failed++)
			if (find_in(j, n, failed))
				return reuse(j, n, failed, err);
	return write_new(j, err);
}

static void tell_installed(const struct job *j, int64_t generation)
{
	log_notice("certificate installed", "cert", j->cert->name, "generation", log_num(generation), "not_after",
		log_time(x509_leaf(j->chain)->not_after), NULL);
}

static bool run_install(struct job *j, int64_t *generation, int64_t *previous, struct err *err)
{
	bool ok;

	if (!make_current(j, err))
		return false;
	*generation = place_current(&j->live);
	*previous = place_before(&j->live, (long)*generation);
	/* From here on the key has a home: what fails now is only a target. */
	vault_installed(j->in->vault, j->cert->name, bundle_key(&j->bundle));
	ok = targets_put(j->cert, &j->bundle, err);
	if (*generation != j->current)
		tell_installed(j, *generation);
	return ok;
}

bool install_chain(const struct install *in, const struct conf_cert *cert, const char *pem, size_t len, int64_t *generation, int64_t *previous,
	struct err *err)
{
	struct job j = { .in = in, .cert = cert };
	bool ok;

	j.chain = x509_parse(pem, len, err);
	if (!j.chain)
		return false;
	bundle_init(&j.bundle);
	ok = place_open_live(&j.live, in->state, cert->name, err);
	if (ok) {
		j.current = place_current(&j.live);
		ok = run_install(&j, generation, previous, err);
		place_close(&j.live);
	}
	bundle_wipe(&j.bundle);
	x509_free(j.chain);
	return ok;
}

/* --- many at once --- */

struct install_job {
	struct job job;
	struct conf *conf; /* what is configured may change between two steps */
	struct target *targets;
	size_t ntargets;
};

/* What an earlier attempt left is for install_chain to find. */
static bool write_live(struct job *j, struct sync *s)
{
	const struct buf *pem;
	const struct key *key;
	struct err why;

	if (!place_open_live(&j->live, j->in->state, j->cert->name, &why))
		return false;
	j->current = place_current(&j->live);
	if (place_newest(&j->live) != j->current || (j->current && find_in(j, j->current, false)))
		return false;
	key = vault_pending(j->in->vault, j->cert->name, &pem, &why);
	return key && accept_chain(j, key, &why) && format_bundle(pem, key, j->chain, &j->bundle, &why) && place_write(&j->live, &j->bundle, s, &why);
}

static bool write_targets(struct install_job *j, struct sync *s)
{
	const struct conf_cert *cert = j->job.cert;
	struct err why;

	j->targets = mem_array(cert->install.n + 1, sizeof(*j->targets));
	for (size_t i = 0; i < cert->install.n; i++) {
		struct target *t = &j->targets[i];

		if (!target_open(t, cert, &cert->install.v[i], &why))
			return false;
		j->ntargets++;
		if (!target_write(t, &j->job.bundle, s, &why))
			return false;
	}
	return true;
}

struct install_job *install_write(const struct install *in, const struct conf *conf, const struct conf_cert *cert, const char *pem, size_t len,
	struct sync *s)
{
	struct install_job *j = mem_alloc(sizeof(*j));
	int64_t none;

	j->job = (struct job){ .in = in, .cert = cert, .chain = x509_parse(pem, len, NULL), .live = { .gens = -1, .above = -1, .links = -1 } };
	j->conf = conf_ref((struct conf *)conf);
	bundle_init(&j->job.bundle);
	if (j->job.chain && write_live(&j->job, s) && write_targets(j, s))
		return j;
	install_end(j, false, &none, &none);
	return NULL;
}

bool install_name(struct install_job *j, struct sync *s)
{
	struct err why;
	bool ok = place_name(&j->job.live, s, &why);

	for (size_t i = 0; ok && i < j->ntargets; i++)
		ok = target_name(&j->targets[i], s, &why);
	return ok;
}

bool install_point(struct install_job *j, struct sync *s)
{
	struct err why;
	bool ok = place_point(&j->job.live, s, &why);

	for (size_t i = 0; ok && i < j->ntargets; i++)
		ok = target_point(&j->targets[i], s, &why);
	return ok;
}

void install_end(struct install_job *j, bool done, int64_t *generation, int64_t *previous)
{
	struct job *job = &j->job;

	if (done) {
		*generation = job->live.next;
		*previous = place_before(&job->live, job->live.next);
		vault_installed(job->in->vault, job->cert->name, bundle_key(&job->bundle));
		tell_installed(job, *generation);
	}
	if (!done)
		place_undo(&job->live);
	place_close(&job->live);
	for (size_t i = 0; i < j->ntargets; i++) {
		if (!done)
			target_undo(&j->targets[i]);
		target_close(&j->targets[i]);
	}
	free(j->targets);
	bundle_wipe(&job->bundle);
	x509_free(job->chain);
	conf_free(j->conf);
	free(j);
}

/* --- what is current --- */

static bool describe(const struct bundle *b, struct buf *chain, char **key_hex, struct err *err)
{
	const struct buf *pem = bundle_key(b), *full = &b->file[CONF_PART_FULLCHAIN];
	struct key *key = key_parse(pem->data ? pem->data : "", pem->len, err);
	unsigned char digest[32];
	bool ok = key && key_digest(key, digest, err);

	key_free(key);
	if (ok && !buf_add(chain, full->data, full->len))
		ok = err_set(err, ERR_BUG, "size", "the chain is too large");
	if (ok)
		*key_hex = text_hex_encode(digest, sizeof(digest));
	return ok;
}

/* Asked about thousands that never were, nothing is made on the disk. */
static bool was_installed(const struct install *in, const char *cert)
{
	char link[NAME_MAX + 1];
	struct stat st;

	snprintf(link, sizeof(link), "live/%s", cert);
	return fstatat(in->state, link, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

bool install_current(const struct install *in, const char *cert, int64_t *generation, struct buf *chain, char **key_hex, struct err *err)
{
	struct bundle b;
	struct place p;
	bool ok;
	long n;

	*generation = 0;
	*key_hex = NULL;
	if (!was_installed(in, cert))
		return true;
	if (!place_open_live(&p, in->state, cert, err))
		return false;
	n = place_current(&p);
	bundle_init(&b);
	ok = !n || (place_load(&p, n, false, &b, err) && describe(&b, chain, key_hex, err));
	bundle_wipe(&b);
	place_close(&p);
	if (ok)
		*generation = n;
	return ok;
}

static bool has_sha1(const struct bundle *b, const char *sha1)
{
	struct x509_chain *chain = bundle_chain(b, NULL);
	char own[X509_SHA1_HEX];
	bool same = chain && strcmp(x509_sha1(chain, own), sha1) == 0;

	x509_free(chain);
	return same;
}

static bool find_sha1(const struct place *p, const char *sha1, struct bundle *b)
{
	for (long n = place_newest(p); n > 0; n--)
		for (int failed = 0; failed <= 1; failed++) {
			if (place_load(p, n, failed, b, NULL) && has_sha1(b, sha1))
				return true;
			bundle_wipe(b);
		}
	return false;
}

bool install_load(const struct install *in, const char *cert, const char *sha1, struct bundle *b, struct err *err)
{
	struct place p;
	bool ok;
	long n;

	if (!was_installed(in, cert))
		return err_set(err, ERR_LOCAL, "none", "%s is not installed", cert);
	if (!place_open_live(&p, in->state, cert, err))
		return false;
	n = place_current(&p);
	if (sha1)
		ok = find_sha1(&p, sha1, b) || err_set(err, ERR_LOCAL, "none", "no generation of %s that is kept is this one", cert);
	else
		ok = n ? place_load(&p, n, false, b, err) : err_set(err, ERR_LOCAL, "none", "%s is not installed", cert);
	place_close(&p);
	return ok;
}

/* --- rollback and confirm --- */

/* A generation newer than the current one was taken back already, or never became current. */
static bool find_back(const struct place *live, long *n, struct err *err)
{
	long current = place_current(live);

	if (!current)
		return err_set(err, ERR_LOCAL, "no-previous", "nothing is installed");
	*n = place_newest(live) > current ? current : place_before(live, current);
	return *n || err_set(err, ERR_LOCAL, "no-previous", "there is no earlier generation to go back to");
}

static bool is_valid_still(const struct bundle *b, long n, struct err *err)
{
	struct x509_chain *chain = bundle_chain(b, err);
	int64_t end = chain ? x509_leaf(chain)->not_after : 0;
	char when[TEXT_TIME];

	x509_free(chain);
	return end > clock_now() ||
		(chain && err_set(err, ERR_LOCAL, "no-previous", "the one before, generation %ld, was good until %s only", n, text_time_format(end, when)));
}

/* Set aside only when no target holds it any more, so that a crash in between is taken up again. */
static bool set_aside(struct place *live, long n, struct err *err)
{
	long newest = place_newest(live);

	return newest <= n || place_has_failed(live, newest) || place_set_failed(live, newest, true, err);
}

bool install_rollback(const struct install *in, const struct conf_cert *cert, bool valid, int64_t *generation, struct err *err)
{
	struct place live;
	struct bundle b;
	bool ok;
	long n = 0;

	if (!place_open_live(&live, in->state, cert->name, err))
		return false;
	bundle_init(&b);
	ok = find_back(&live, &n, err) && place_load(&live, n, false, &b, err) && (!valid || is_valid_still(&b, n, err)) &&
		(n == place_current(&live) || place_switch(&live, n, err)) && targets_put(cert, &b, err) && set_aside(&live, n, err);
	bundle_wipe(&b);
	place_close(&live);
	*generation = n;
	if (ok)
		log_notice("certificate rolled back", "cert", cert->name, "generation", log_num(n), NULL);
	return ok;
}

bool install_confirm(const struct install *in, const struct conf_cert *cert, int keep, struct err *err)
{
	struct place p;

	if (!place_open_live(&p, in->state, cert->name, err))
		return false;
	place_prune(&p, keep);
	place_close(&p);
	return targets_prune(cert, keep, err);
}

/* --- repair --- */

/* Returns the current generation, whole and in *b; 0: nothing is installed. *mended: it is another one now. */
static long repair_live(struct place *live, struct bundle *b, const char *cert, bool *mended)
{
	long current = place_current(live), n = current;
	struct err why = { 0 };

	place_clean(live);
	if (current && place_load(live, current, false, b, &why))
		return current;
	n = current ? place_before(live, current) : 0;
	if (!n)
		n = place_before(live, LONG_MAX);
	if (!n && !current)
		return 0;
	bundle_wipe(b);
	if (n && place_switch(live, n, &why) && place_load(live, n, false, b, &why)) {
		log_warning("the current generation was not whole, an earlier one is current now", "cert", cert, "generation", log_num(n), NULL);
		*mended = true;
		return n;
	}
	log_error("the installed certificate is not whole and no other generation is", "cert", cert, "error", why.detail, NULL);
	return 0;
}

/* `cert` is NULL for a certificate that left the configuration: its files stay, whole. */
static bool repair(const struct install *in, const char *name, const struct conf_cert *cert)
{
	bool mended = false;
	struct place live;
	struct bundle b;
	struct err why;

	if (!place_open_live(&live, in->state, name, &why)) {
		log_error("a certificate's folder cannot be opened", "cert", name, "error", why.detail, NULL);
		return false;
	}
	bundle_init(&b);
	if (repair_live(&live, &b, name, &mended)) {
		/* A crash may have come before this. Not for a key on a token, which the next request is by, too: it waits on, and is asked with again. */
		if (bundle_has(&b, CONF_PART_KEY))
			vault_installed(in->vault, name, bundle_key(&b));
		mended |= cert && targets_repair(cert, &b);
	}
	bundle_wipe(&b);
	place_close(&live);
	return mended;
}

bool install_verify(const struct install *in, const struct conf_cert *cert)
{
	return repair(in, cert->name, cert);
}

void install_repair(const struct install *in, const struct conf *c)
{
	int fd = openat(in->state, "generations", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (text_is_name(d->d_name))
			repair(in, d->d_name, conf_find_cert(c, d->d_name));
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}
