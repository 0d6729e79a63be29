/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "ctl/print_explain.h"

/* The first row that fits is taken: a NULL fits anything. Types are those of RFC 8555 section 6.7 and our own. */
static const struct advice {
	const char *type, *kind, *text;
} rows[] = {
	/* the names and their proofs */
	{"caa", NULL, "A CAA record at or above the name shuts out this CA, this account or this way of proving: change it, or choose another CA."},
	{"dnssec", NULL, "DNSSEC of the zone is broken, and every CA has to refuse it: mend the signatures, or the DS record in the parent zone."},
	{"propagation", "temp", "Not every name server shows the record: see why the STALE ones lag (NOTIFY, zone transfer), or raise `timeout` of the dns entry."},
	{"opinion", NULL, "No recursive server could be asked: the text says why not; see its certificate, or name others in `opinions` (or else `resolvers`)."},
	{"zones", NULL, "Let a dns entry list a zone in `zones` that holds this place, or change the CNAME that leads there."},
	{"tsig", NULL, "The DNS server does not take our signature: compare key_name, key_algorithm and the secret with its own, and both clocks."},
	{"update", NULL, "The DNS server did not change the record: see its log, and what its update policy allows this key."},
	{"no-method", NULL, "Add an entry to `prove` that can prove this name; wildcards need a dns entry."},
	{"dns", "temp", "A name could not be looked up: see that it is registered and delegated, that its name servers answer, and that DNSSEC is valid."},
	{"dns", "input", "Mend the dns entry (zones, server, key), or name recursive servers in `resolvers` or /etc/resolv.conf."},
	{"connection", "temp", "The CA could not connect: let port 80 of every address of the name (AAAA too) be reached from the whole Internet."},
	{"incorrectResponse", NULL, "The CA found another proof than ours: see that no CDN, other host or old record answers for the name."},
	{"unauthorized", "temp", "The CA did not find the proof: see below who did not show it, and that no CDN, other host or old record answers for the name."},
	{"unauthorized", NULL, "The CA refuses the account, or what it asked for: see whether the account is still valid there."},
	{"http", "temp", "An HTTP server gave no good answer: see what stands at that address, and in its log."},
	{"redirect", NULL, "The answer leads elsewhere: let /.well-known/acme-challenge/ be answered without it."},
	{"webroot", NULL, "Mend what stands in the way below the webroot; the text says what."},
	{"rejectedIdentifier", NULL, "The CA does not issue for this name: take it out, or choose another CA."},
	{"unsupportedIdentifier", NULL, "The CA does not issue for this kind of name: take it out, or choose another CA."},
	{"authorization", NULL, "Nothing to do: the next attempt makes a new order."},
	{"order", NULL, "Nothing to do: the next attempt makes a new order."},
	{"orderNotReady", NULL, "Nothing to do: the next attempt reads the order again."},
	/* the CA and its account */
	{"rateLimited", NULL, "Too many requests in the CA's eyes: nothing to do but wait; each attempt by hand makes it longer."},
	{"externalAccountRequired", NULL, "This CA takes only accounts bound to a customer: get a key from it and set `eab` of the ca entry."},
	{"externalAccount", NULL, "This CA takes only accounts bound to a customer: get a key from it and set `eab` of the ca entry."},
	{"userActionRequired", NULL, "The CA waits for you, mostly to agree to its terms: open the address it names, then set agree_tos = true."},
	{"accountDoesNotExist", NULL, "The CA does not know the account any more: check `directory`, or move the account key away for a new account."},
	{"account-key", NULL, "Restore the account key from a backup, or move it away for a new account."},
	{"invalidContact", NULL, "Mend `contact`: the CA does not take it."},
	{"unsupportedContact", NULL, "Mend `contact`: the CA does not take it."},
	{"badNonce", NULL, "Nothing to do: it is sent again. If it stays, something between here and the CA keeps its answers."},
	{"serverInternal", NULL, "The CA is out of order: nothing to do, dovad tries again; its status page may tell when."},
	{"badPublicKey", NULL, "The CA does not take this kind of key: set another `key`."},
	{"badSignatureAlgorithm", NULL, "The CA does not take this kind of account key."},
	{"badCSR", NULL, "The CA does not take the request: see that `key`, `names` and what else is asked for suit it."},
	{"badCertificate", NULL, "What the CA sent is not what was asked for, and was not installed: ask the CA."},
	{"identifiers", NULL, "The CA's order is for other names than were asked for: ask the CA."},
	{"policy", "denied", "The keeper or an address rule forbids it: see that the `directory` is the CA's own, and allow_private if it is on this network."},
	{"directory", NULL, "See that `directory` of the ca entry is the address of an ACME directory."},
	{"connect", NULL, "This host could not connect: see its network, its firewall and the proxy."},
	{"timeout", NULL, "No answer in time: see the network, the firewall and the proxy; dovad tries again."},
	{"tls", NULL, "No good TLS connection: see the certificate of the other side, ca_file and this host's clock."},
	/* this host */
	{"stale", NULL, "It is installed, but a service still serves another one: see what that service reads, and that its reload reaches it; dovad goes on trying."},
	{"rolledBack", NULL, "Mend what made you go back, then dovactl renew; it renews itself when its time comes."},
	{"reload", NULL, "The service manager could not reload the unit: see systemctl status of it."},
	{"run", NULL, "A command of the service failed: run its `test` and `reload` by hand, and see its output in the log."},
	{"occupied", NULL, "Move away what stands where the certificate is to be installed."},
	{"owner", NULL, "Mend owner or group of the target; the text says which."},
	{"path", NULL, "Mend the folder named; the text says what is wrong with it."},
	{"credential", NULL, "Mend the credential named: a file of root's, closed to others (chmod 600), with the secret in it."},
	{"disk-full", NULL, "Make room on the disk."},
	{"keeper", NULL, "dovad-keeper is gone or refuses: see its log, and systemctl status dovad-keeper."},
	{"connection", NULL, "dovad-keeper is gone or refuses: see its log, and systemctl status dovad-keeper."},
	{"listen", NULL, "See who else listens on that address, and whether dovad-http.socket is enabled."},
	{"stale-conf", NULL, "Nothing to do: the configuration changed meanwhile, and the next attempt goes by the new one."},
	{"conf", NULL, "Mend the configuration: dovad -t names file and line."},
	{"policy", NULL, "Mend the configuration: dovad -t names file and line."},
	/* whatever else */
	{NULL, "temp", "It may pass by itself, and dovad tries again; if it stays, the text above names the place to look."},
	{NULL, "limit", "A limit of the CA: nothing to do but wait."},
	{NULL, "denied", "It is refused until something is changed, here or at the CA: the text above says what; then dovactl renew."},
	{NULL, "input", "Mend the configuration: dovad -t names file and line."},
	{NULL, "local", "Something on this host stands in the way: mend it, then dovactl renew."},
	{NULL, "bug", "An error in dovad: please report it, with the log."},
	{NULL, NULL, "See the log of dovad."},
};

static bool fits(const char *wanted, const char *have)
{
	return !wanted || (have && strcmp(wanted, have) == 0);
}

const char *advice_find(const struct js *failure)
{
	const struct advice *row = rows;

	while (!fits(row->type, js_str(failure, "type")) || !fits(row->kind, js_str(failure, "kind")))
		row++;
	return row->text;
}
