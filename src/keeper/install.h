/* SPDX-License-Identifier: ISC */
/* The generations of each certificate: accepted, written to live/CERT and to every install target, switched, taken back, cleared. What is in
 * live/CERT is the truth; targets are copies that follow it. */
#ifndef DOVAD_KEEPER_INSTALL_H
#define DOVAD_KEEPER_INSTALL_H

#include "base/buf.h"
#include "core/conf.h"
#include "keeper/bundle.h"
#include "keeper/vault.h"

struct install { /* borrowed */
	int state;   /* the state directory */
	struct vault *vault;
};

/* Takes in a chain: nothing is written before x509_accept said yes. The pending key moves with it. A chain that is current already, or was set aside by
 * a rollback, is found again. *previous: the generation to go back to, 0: none. When a target fails the others are done all the same and the first
 * failure is the error: asked again, only what is missing is done. */
bool install_chain(const struct install *in, const struct conf_cert *cert, const char *pem, size_t len, int64_t *generation, int64_t *previous,
	struct err *err) __attribute__((warn_unused_result));
/* install_chain in three steps, for many at once; what a step adds to `s` is to be synced before the next. The generation is written everywhere, gets its
 * number everywhere, is current everywhere. NULL and false: this is not the plain case, ask install_chain (after install_end). cert is of conf, which is
 * kept. */
struct install_job *install_write(const struct install *in, const struct conf *conf, const struct conf_cert *cert, const char *pem, size_t len,
	struct sync *s) __attribute__((warn_unused_result));
bool install_name(struct install_job *j, struct sync *s) __attribute__((warn_unused_result));
bool install_point(struct install_job *j, struct sync *s) __attribute__((warn_unused_result));
/* Frees the job. done: all three lasted; *generation and *previous as above. Otherwise what is not current yet is taken back. */
void install_end(struct install_job *j, bool done, int64_t *generation, int64_t *previous);
/* What is current; *generation 0: nothing. chain gets the PEM, key_hex (caller frees) hex of key_digest(). */
bool install_current(const struct install *in, const char *cert, int64_t *generation, struct buf *chain, char **key_hex, struct err *err)
	__attribute__((warn_unused_result));
/* The current generation in memory (`b` was bundle_init'ed; wipe it in any case), or the newest whose leaf has this x509_sha1(), though it was taken back.
 * false and an err whose type is "none": there is no such. */
bool install_load(const struct install *in, const char *cert, const char *sha1, struct bundle *b, struct err *err) __attribute__((warn_unused_result));
/* The previous generation is current again, here and in every target; the one it replaces is kept aside as failed. Asked again nothing more happens.
 * valid: only to one that did not expire yet (ERR_LOCAL "no-previous", as when there is none). */
bool install_rollback(const struct install *in, const struct conf_cert *cert, bool valid, int64_t *generation, struct err *err)
	__attribute__((warn_unused_result));
/* Old generations beyond `keep` go. */
bool install_confirm(const struct install *in, const struct conf_cert *cert, int keep, struct err *err) __attribute__((warn_unused_result));
/* Once at start, for every certificate ever installed: leftovers of a crash go; a current generation that is not whole is replaced by the newest one
 * that is; targets of the configuration that do not hold what is current are written anew. Failures are logged. */
void install_repair(const struct install *in, const struct conf *c);
/* The same for one of the configuration. true: what services read was not what is installed, and is again. */
bool install_verify(const struct install *in, const struct conf_cert *cert);

#endif
