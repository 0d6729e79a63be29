/* SPDX-License-Identifier: ISC */
#include "keeper/target.h"

#include "base/log.h"
#include "keeper/format.h"

bool target_open(struct target *t, const struct conf_cert *cert, const struct conf_target *conf, struct err *err)
{
	t->cert = cert;
	t->conf = conf;
	return conf->dir ? place_open_target(&t->place, conf, err) : files_open(&t->files, conf, err);
}

void target_close(struct target *t)
{
	if (t->conf->dir)
		place_close(&t->place);
	else
		files_close(&t->files);
}

bool target_write(struct target *t, const struct bundle *b, struct sync *s, struct err *err)
{
	struct bundle made;
	bool ok;

	bundle_init(&made);
	ok = format_make(t->cert, t->conf, b, &made, err) &&
		(t->conf->dir ? place_write(&t->place, &made, s, err) : files_write(&t->files, &made, s, err));
	bundle_wipe(&made);
	return ok;
}

bool target_name(struct target *t, struct sync *s, struct err *err)
{
	return !t->conf->dir || place_name(&t->place, s, err);
}

bool target_point(struct target *t, struct sync *s, struct err *err)
{
	return t->conf->dir ? place_point(&t->place, s, err) : files_point(&t->files, s, err);
}

void target_undo(struct target *t)
{
	if (t->conf->dir)
		place_undo(&t->place);
	else
		files_undo(&t->files);
}

/* --- all of a certificate --- */

/* An open one; made: what it wants. */
static bool put(struct target *t, const struct bundle *made, struct err *err)
{
	long n;

	return t->conf->dir ? place_put(&t->place, made, &n, err) : files_put(&t->files, made, err);
}

static bool check(struct target *t, const struct bundle *made, struct err *err)
{
	if (t->conf->dir)
		place_clean(&t->place);
	else
		files_clean(&t->files);
	return (t->conf->dir ? place_holds(&t->place, made) : files_hold(&t->files, made)) ||
		err_set(err, ERR_LOCAL, "differs", "it does not hold what is installed");
}

typedef bool target_do(struct target *t, const struct bundle *made, struct err *err);

static bool do_one(const struct conf_cert *cert, const struct conf_target *conf, const struct bundle *b, target_do *what, struct err *err)
{
	struct bundle made;
	struct target t;
	bool ok;

	bundle_init(&made);
	ok = format_make(cert, conf, b, &made, err) && target_open(&t, cert, conf, err);
	if (ok) {
		ok = what(&t, &made, err);
		target_close(&t);
	}
	bundle_wipe(&made);
	return ok;
}

static void tell_failure(const struct conf_cert *cert, const struct conf_target *conf, const struct err *err)
{
	const char *paths[CONF_TARGET_PATHS];

	(void)conf_target_paths(conf, paths);
	log_error("a target cannot be written", "cert", cert->name, "target", paths[0], "error", err->detail, NULL);
}

bool targets_put(const struct conf_cert *cert, const struct bundle *b, struct err *err)
{
	struct err why;
	bool ok = true;

	for (size_t i = 0; i < cert->install.n; i++) {
		if (do_one(cert, &cert->install.v[i], b, put, &why))
			continue;
		if (ok)
			err_copy(err, &why);
		else
			tell_failure(cert, &cert->install.v[i], &why);
		ok = false;
	}
	return ok;
}

bool targets_repair(const struct conf_cert *cert, const struct bundle *b)
{
	bool mended = false;
	struct err why;

	for (size_t i = 0; i < cert->install.n; i++) {
		if (do_one(cert, &cert->install.v[i], b, check, &why))
			continue;
		if (do_one(cert, &cert->install.v[i], b, put, &why))
			mended = true;
		else
			tell_failure(cert, &cert->install.v[i], &why);
	}
	return mended;
}

bool targets_prune(const struct conf_cert *cert, int keep, struct err *err)
{
	struct place p;

	for (size_t i = 0; i < cert->install.n; i++) {
		if (!cert->install.v[i].dir)
			continue;
		if (!place_open_target(&p, &cert->install.v[i], err))
			return false;
		place_prune(&p, keep);
		place_close(&p);
	}
	return true;
}
