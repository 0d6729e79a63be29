/* SPDX-License-Identifier: ISC */
/* The privileged half's operations, as called over io/rpc by the network half. It accepts names of things in the root-owned configuration and
 * bytes; never a path, unit, command or owner (survey, which changes nothing, is root's alone). Every operation is repeatable: asked again after a crash it
 * ends the same.
 *
 *   op          request                                   answer
 *   hello       -                                         version
 *   conf        from                                      digest, total, next (absent at the end), files [{path, kind, text}] in batches of about 1 MiB from
 *                                                         index `from`; with from 0 also problems [{file, line, warning, text}], quarantined [path]
 *   reload      -                                         digest, changed, problems (as conf): reads the disk again now
 *   account     ca                                        thumbprint; the account key is made when absent
 *   sign        ca, url, nonce, kid (absent: the JWK)     jws. payload is the exact text ("" for POST-as-GET). bind true: the keeper adds
 *               payload, bind                             externalAccountBinding to a newAccount payload when the CA has eab
 *   acs         ca, action, params {NAME: VALUE text},    method, query (encoded, behind "?"), headers ["name: value"]: the whole signed request to the endpoint
 *               skew (seconds that its clock is ahead)    of a ca of type alibaba-cas, with date, nonce and token; good once, for a quarter of an hour
 *   request     conf, cert                                csr (base64url DER), key (hex of the SPKI's SHA-256): a pending key and its request,
 *                                                         the same ones until they are installed or the wish (names, key type) changes
 *   secret      dns                                       secret: base64url of the credential that its key_secret names, and of no other one
 *   publish     http, ca, token                           length: writes token "." thumbprint below the webroot
 *   withdraw    http, token                               - : gone, also when it never was there
 *   install     conf, cert, chain (PEM)                   generation, previous (absent: none): accepted, written, synced, switched; the pending key
 *                                                         moves with it. The chain that is already current answers its generation
 *   installed   cert                                      generation, chain (PEM), key; all absent when nothing is installed
 *   rollback    conf, cert, valid                         generation: the previous one is current again everywhere; the failed one is kept aside.
 *                                                         valid true: only one that did not expire yet
 *   verify      conf, cert                                mended (bool): what services read was not what is installed, and is again
 *   confirm     cert                                      - : seen on the wire; old generations beyond settings.keep go
 *   test        conf, service                             ran (false: no test configured), output
 *   load        conf, service, certs [name]               ran (false: it is not running, nothing to reload), output: reload by unit or command, or the
 *                                                         runtime API of HAProxy (haproxy.h). certs: those that it is asked for
 *   restore     conf, service, certs [name]               ran, output: as load, but a unit that is down is started; for one that load reached before
 *   hook        dns, action, zone, record, value          ran, output: the entry's command adds or removes that TXT value (hook.h)
 *   probe       conf, cert                                places [{what: "target" or "webroot", name: path, problem (absent: none)}]: could it write there
 *                                                         now? Nothing is touched
 *   survey      targets [path], webroots [path]           places, as probe, in that order. Asked by root only: of paths that are not configured yet
 *   event "conf" {digest}: the accepted configuration changed.
 *
 * install, rollback and verify wait for tests and reloads of services that may read the certificate, and these for them (gate.h). Nothing else waits.
 *
 * `conf` is the digest both halves must share; another one is refused with ERR_TEMP "stale-conf".
 *
 * What sign refuses: an URL that is not https or not of the host (and port) of that CA's directory; a payload of a shape that is not in its table
 * (empty, {}, newAccount, newOrder, finalize holding exactly a request of ours for a certificate of this CA, deactivate of an authorization,
 * revokeCert); anything to the account's own URL but POST-as-GET and exactly the contacts of the configuration. What acs refuses: a call that is not in its
 * table (all of them read only, and none tells a private key), a parameter that is not in that call's row, more than ACS_PARAMS_MAX or too long ones, a skew
 * of more than a day. */
#ifndef DOVAD_KEEPER_KEEPER_H
#define DOVAD_KEEPER_KEEPER_H

#include "base/err.h"

struct keeper;

struct keeper_options {
	const char *main_file;   /* absolute path of dovad.conf */
	int peer_fd;             /* a connected socket to the network half (supervisor, unprivileged); -1: none */
	int listen_fd;           /* a listening socket handed over by the service manager; -1: none */
	int run_fd;              /* a connected socket to the supervisor, which starts dovad-run for us; -1: none */
	const char *run_socket;  /* path of dovad-run.socket; NULL: none. With neither, dovad-run is started as a child */
};
/* Reads the configuration and the state directory, which it locks (ERR_LOCAL "in-use": another keeper has it). Ends the loop (loop_stop) when peer_fd
 * closes, and 60 s after the last peer left a socket handed over. A bad main file with a last good version in the state directory is a warning; without, an error
 * (ERR_INPUT). */
struct keeper *keeper_open(const struct keeper_options *options, struct err *err) __attribute__((warn_unused_result));
void keeper_close(struct keeper *k);
void keeper_reload(struct keeper *k); /* reads the disk again, as the operation of that name does */

#endif
