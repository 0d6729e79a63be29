/* SPDX-License-Identifier: ISC */
#include "core/schema.h"

#include <string.h>

#include "core/conf_draft.h"
#include "crypto/key.h"
#include "crypto/tsig.h"
#include "io/starttls.h"

enum { DAY = 86400 };

/* clang-format off */
static const char *const key_words[] = {
	[KEY_ECDSA_P256] = "ecdsa-p256", [KEY_ECDSA_P384] = "ecdsa-p384", [KEY_RSA_2048] = "rsa-2048",
	[KEY_RSA_3072] = "rsa-3072",     [KEY_RSA_4096] = "rsa-4096",     [KEY_TYPES] = NULL,
};
static const char *const ca_words[] = { [CONF_CA_ACME] = "acme", [CONF_CA_ALIBABA_CAS] = "alibaba-cas", NULL };
static const char *const site_words[] = { [CONF_SITE_CHINA] = "china", [CONF_SITE_INTERNATIONAL] = "international", NULL };
static const char *const signature_words[] = { [CONF_SIGNATURE_V3] = "v3", [CONF_SIGNATURE_RPC] = "rpc", NULL };
static const char *const http_words[] = { [CONF_HTTP_WEBROOT] = "webroot", [CONF_HTTP_LISTENER] = "listener", NULL };
static const char *const check_words[] = {
	[CONF_CHECK_ADVISE] = "advise", [CONF_CHECK_REQUIRE] = "require", [CONF_CHECK_OFF] = "off", NULL
};
static const char *const dns_words[] = { [CONF_DNS_RFC2136] = "rfc2136", [CONF_DNS_EXEC] = "exec", NULL };
static const char *const dns_later[] = { "rest", NULL };
static const char *const dns_check_words[] = {
	[CONF_DNS_AUTHORITATIVE] = "authoritative", [CONF_DNS_RECURSIVE] = "recursive", [CONF_DNS_DOH] = "doh", [CONF_DNS_UNSEEN] = "none", NULL
};
static const char *const quorum_words[] = { "all", "strict", "majority", "any", NULL };
static const char *const prove_later[] = { "tls-alpn:", "dns-persist", NULL };
static const char *const listen_words[] = { "systemd:", NULL };
static const char *const ca_file_words[] = { "system", NULL };

#define AT(structure, field) .offset = offsetof(struct structure, field)
#define LATER(word) { .name = word, .type = SCHEMA_LATER, .help = "Not in this version" }
#define END { .name = NULL }

/* --- ca --- */

static const struct schema_option eab_options[] = {
	{ .name = "key_id", .type = SCHEMA_STRING, AT(conf_ca, eab.key_id), .required = true,
	  .help = "Key identifier the CA gave for external account binding" },
	{ .name = "hmac_key", .type = SCHEMA_SECRET, AT(conf_ca, eab.hmac_key), .required = true,
	  .help = "The credential that holds the key that came with it" },
	END
};
static const struct schema_group eab = { .name = "eab", .options = eab_options };

static const struct schema_option ca_options[] = {
	{ .name = "name", .type = SCHEMA_NAME, AT(conf_ca, name), .required = true, .help = "What certificates call it by" },
	{ .name = "type", .type = SCHEMA_WORD, AT(conf_ca, type), .required = true, .words = ca_words,
	  .help = "The protocol it speaks" },
	{ .name = "directory", .type = SCHEMA_URL, AT(conf_ca, directory), .required = true, .when = "acme",
	  .help = "URL of the ACME directory" },
	{ .name = "agree_tos", .type = SCHEMA_BOOL, AT(conf_ca, agree_tos), .fallback = "false", .when = "acme",
	  .help = "Whether you agree to the CA's terms of service; most CAs give no account without" },
	{ .name = "contact", .type = SCHEMA_CONTACTS, AT(conf_ca, contact), .when = "acme", .max = 10,
	  .help = "Addresses for the account; without it the ones of the main file" },
	{ .name = "ca_file", .type = SCHEMA_PATH, AT(conf_ca, ca_file), .words = ca_file_words,
	  .help = "PEM bundle that the CA's own server must verify against, or \"system\", which is the default" },
	{ .name = "allow_private", .type = SCHEMA_BOOL, AT(conf_ca, allow_private), .fallback = "false",
	  .help = "Whether the CA may live on a private or loopback address" },
	{ .name = "eab", .type = SCHEMA_GROUP, .when = "acme", .group = &eab, .help = "External account binding, for CAs that ask for it" },
	{ .name = "max_orders", .type = SCHEMA_INT, AT(conf_ca, max_orders), .fallback = "32", .min = 1, .max = 1000,
	  .help = "Orders under way at one time" },
	{ .name = "preferred_chain", .type = SCHEMA_STRING, AT(conf_ca, preferred_chain), .when = "acme",
	  .help = "Common name of the root the chain shall lead to, where the CA offers several" },
	{ .name = "account_key", .type = SCHEMA_KEY, AT(conf_ca, account_key), .fallback = "ecdsa-p256", .when = "acme",
	  .words = key_words, .help = "Type of the account's key, or the pkcs11: URI of one on a token" },
	{ .name = "pkcs11_pin", .type = SCHEMA_SECRET, AT(conf_ca, account_key.pin), .when = "acme",
	  .help = "The credential that holds the PIN of the token with that key" },
	{ .name = "site", .type = SCHEMA_WORD, AT(conf_ca, site), .required = true, .when = "alibaba-cas", .words = site_words,
	  .help = "Which of the two separate sites of Alibaba Cloud the account is of" },
	{ .name = "access_key_id", .type = SCHEMA_STRING, AT(conf_ca, access_key_id), .required = true, .when = "alibaba-cas",
	  .help = "Identifier of the key that requests are signed with" },
	{ .name = "access_key_secret", .type = SCHEMA_SECRET, AT(conf_ca, access_key_secret), .required = true, .when = "alibaba-cas",
	  .help = "The credential that holds that key" },
	{ .name = "security_token", .type = SCHEMA_SECRET, AT(conf_ca, security_token), .when = "alibaba-cas",
	  .help = "The credential that holds the token of a temporary key (STS)" },
	{ .name = "endpoint", .type = SCHEMA_ORIGIN, AT(conf_ca, endpoint), .when = "alibaba-cas",
	  .help = "Where to ask instead of the site's own host: https://HOST or https://HOST:PORT" },
	{ .name = "signature", .type = SCHEMA_WORD, AT(conf_ca, signature), .fallback = "v3", .when = "alibaba-cas", .words = signature_words,
	  .help = "How requests are signed: by ACS3-HMAC-SHA256, or the older HMAC-SHA1 (rpc)" },
	END
};
static const struct schema_group ca = {
	.name = "ca", .size = sizeof(struct conf_ca), .line = offsetof(struct conf_ca, line), .options = ca_options
};

/* --- http --- */

static const struct schema_option http_options[] = {
	{ .name = "name", .type = SCHEMA_NAME, AT(conf_http, name), .required = true,
	  .help = "What certificates call it by: http:NAME" },
	{ .name = "type", .type = SCHEMA_WORD, AT(conf_http, type), .required = true, .words = http_words,
	  .help = "Whether a web server shows the file, or dovad itself" },
	{ .name = "path", .type = SCHEMA_PATH, AT(conf_http, path), .required = true, .when = "webroot",
	  .help = "Folder the web server serves, in which .well-known/acme-challenge is made" },
	{ .name = "listen", .type = SCHEMA_ADDRS, AT(conf_http, listen), .required = true, .when = "listener", .min = 1, .max = 64,
	  .words = listen_words, .help = "Addresses to listen on, or systemd:NAME for a socket handed over by the service manager" },
	END
};
static const struct schema_group http = {
	.name = "http", .size = sizeof(struct conf_http), .line = offsetof(struct conf_http, line), .options = http_options
};

/* --- dns --- */

static const struct schema_option dns_options[] = {
	{ .name = "name", .type = SCHEMA_NAME, AT(conf_dns, name), .required = true,
	  .help = "What certificates call it by: dns:NAME" },
	{ .name = "type", .type = SCHEMA_WORD, AT(conf_dns, type), .required = true, .words = dns_words, .later = dns_later,
	  .help = "How records are written: by dynamic update (RFC 2136), or by a command of yours" },
	{ .name = "zones", .type = SCHEMA_ZONES, AT(conf_dns, zones), .min = 1, .max = 10000,
	  .help = "Domains it may write to, with all below them; without it any, but only certificates that name the entry use it" },
	{ .name = "ttl", .type = SCHEMA_INT, AT(conf_dns, ttl), .fallback = "60", .min = 1, .max = DAY, .help = "TTL of the records in seconds" },
	{ .name = "check", .type = SCHEMA_WORD, AT(conf_dns, check), .fallback = "authoritative", .words = dns_check_words,
	  .help = "Who is asked whether a record can be seen" },
	{ .name = "quorum", .type = SCHEMA_AMOUNT, AT(conf_dns, quorum), .fallback = "all", .words = quorum_words, .min = 1, .max = 64,
	  .help = "How many addresses of name servers must show a record" },
	{ .name = "servers", .type = SCHEMA_ADDRS, AT(conf_dns, servers), .min = 1, .max = 64,
	  .help = "Addresses to ask instead of the name servers that the zone has" },
	{ .name = "opinions", .type = SCHEMA_RESOLVERS, AT(conf_dns, opinions), .min = 1, .max = 16,
	  .help = "Recursive servers, or https URLs of DNS over HTTPS, to ask once the name servers show the record" },
	{ .name = "confirm", .type = SCHEMA_INT, AT(conf_dns, confirm), .fallback = "1", .min = 0, .max = 10,
	  .help = "Times that all servers are asked again before a record counts as seen" },
	{ .name = "timeout", .type = SCHEMA_DURATION, AT(conf_dns, timeout), .fallback = "15m", .min = 1, .max = DAY,
	  .help = "Time until a record must be seen" },
	{ .name = "settle", .type = SCHEMA_DURATION, AT(conf_dns, settle), .fallback = "0s", .min = 0, .max = 3600,
	  .help = "Time to wait once a record was seen, before the CA is asked" },
	{ .name = "server", .type = SCHEMA_HOST, AT(conf_dns, server), .required = true, .when = "rfc2136",
	  .help = "Primary server that takes updates, by address or name" },
	{ .name = "key_name", .type = SCHEMA_DOMAIN, AT(conf_dns, key_name), .when = "rfc2136", .only_with = "key_secret",
	  .help = "Name of the key that updates are signed with (TSIG)" },
	{ .name = "key_algorithm", .type = SCHEMA_WORD, AT(conf_dns, key_algorithm), .fallback = "hmac-sha256", .words = tsig_algorithm_words,
	  .when = "rfc2136", .only_with = "key_name", .help = "Algorithm of that key" },
	{ .name = "key_secret", .type = SCHEMA_SECRET, AT(conf_dns, key_secret), .when = "rfc2136", .only_with = "key_name",
	  .help = "The credential that holds that key" },
	{ .name = "command", .type = SCHEMA_ARGV, AT(conf_dns, command), .required = true, .when = "exec", .min = 1, .max = 64,
	  .help = "Command that adds and removes records" },
	{ .name = "run_as", .type = SCHEMA_USER, AT(conf_dns, run_as), .when = "exec",
	  .help = "User that the command runs as; without it nobody, or whoever runs an unprivileged dovad" },
	{ .name = "secrets", .type = SCHEMA_SECRETS, AT(conf_dns, secrets), .when = "exec", .min = 1, .max = CONF_DNS_SECRETS,
	  .help = "Credentials handed to the command, each as an open descriptor" },
	{ .name = "command_timeout", .type = SCHEMA_DURATION, AT(conf_dns, command_timeout), .fallback = "60s", .when = "exec", .min = 1,
	  .max = 600, .help = "Time that one run of the command may take" },
	LATER("provider"),
	LATER("token"),
	END
};
static const struct schema_group dns = {
	.name = "dns", .size = sizeof(struct conf_dns), .line = offsetof(struct conf_dns, line), .options = dns_options
};

/* --- service --- */

static const struct schema_option service_options[] = {
	{ .name = "name", .type = SCHEMA_NAME, AT(conf_service, name), .required = true, .help = "What certificates call it by" },
	{ .name = "test", .type = SCHEMA_ARGV, AT(conf_service, test), .max = 64,
	  .help = "Command that checks the service's configuration before a reload" },
	{ .name = "unit", .type = SCHEMA_UNIT, AT(conf_service, unit), .not_with = "command",
	  .help = "Unit the service manager reloads" },
	{ .name = "command", .type = SCHEMA_ARGV, AT(conf_service, command), .max = 64,
	  .help = "Command that reloads the service" },
	{ .name = "haproxy", .type = SCHEMA_PATH, AT(conf_service, haproxy), .max = 107, .not_with = "command",
	  .help = "Socket of HAProxy's runtime API, by which certificates are replaced without a reload" },
	{ .name = "look", .type = SCHEMA_PLACES, AT(conf_service, look), .max = 64,
	  .help = "Addresses to connect to, to see what the service really serves; *: those of the name on this host" },
	{ .name = "starttls", .type = SCHEMA_WORD, AT(conf_service, starttls), .fallback = "none", .words = starttls_words, .only_with = "look",
	  .help = "Protocol spoken at these addresses to ask for TLS; none: TLS begins at once" },
	{ .name = "run_as", .type = SCHEMA_USER, AT(conf_service, run_as),
	  .help = "User that test and command run as; without it root, or whoever runs an unprivileged dovad" },
	{ .name = "timeout", .type = SCHEMA_DURATION, AT(conf_service, timeout), .fallback = "30s", .min = 1, .max = 3600,
	  .help = "Time that test and reload may each take" },
	END
};
static const struct schema_group service = {
	.name = "service", .size = sizeof(struct conf_service), .line = offsetof(struct conf_service, line),
	.options = service_options
};

/* --- certificate and defaults --- */

#define NAMED_FILE(option, part, text) \
	{ .name = option, .type = SCHEMA_PATH, AT(conf_target, file[CONF_PART_##part]), .not_with = "dir", .help = text }

static const struct schema_option install_options[] = {
	{ .name = "dir", .type = SCHEMA_PATH, AT(conf_target, dir),
	  .help = "Folder that gets privkey.pem, cert.pem, chain.pem and fullchain.pem" },
	{ .name = "bundle", .type = SCHEMA_BOOL, AT(conf_target, bundle), .fallback = "false", .only_with = "dir",
	  .help = "Whether the folder gets bundle.pem, too: the key, then the full chain" },
	{ .name = "pkcs12", .type = SCHEMA_BOOL, AT(conf_target, pkcs12), .fallback = "false", .only_with = "dir",
	  .help = "Whether the folder gets bundle.p12, too: key and chain as PKCS#12" },
	{ .name = "der", .type = SCHEMA_BOOL, AT(conf_target, der), .fallback = "false", .only_with = "dir",
	  .help = "Whether the folder gets privkey.der (PKCS#8) and cert.der, too" },
	NAMED_FILE("key_file", KEY, "File that gets the private key"),
	NAMED_FILE("cert_file", CERT, "File that gets the certificate alone"),
	NAMED_FILE("chain_file", CHAIN, "File that gets the chain without the certificate"),
	NAMED_FILE("fullchain_file", FULLCHAIN, "File that gets the certificate and its chain"),
	NAMED_FILE("bundle_file", BUNDLE, "File that gets the key, then certificate and chain"),
	NAMED_FILE("pkcs12_file", PKCS12, "File that gets key and chain as PKCS#12"),
	NAMED_FILE("key_der_file", KEY_DER, "File that gets the private key as PKCS#8 in DER"),
	NAMED_FILE("cert_der_file", CERT_DER, "File that gets the certificate in DER"),
	{ .name = "pkcs12_password", .type = SCHEMA_SECRET, AT(conf_target, pkcs12_password),
	  .help = "The credential that holds the password of the PKCS#12 file; without it the password is empty" },
	{ .name = "owner", .type = SCHEMA_USER, AT(conf_target, owner), .help = "User the files belong to" },
	{ .name = "group", .type = SCHEMA_USER, AT(conf_target, group), .help = "Group that may read the files" },
	{ .name = "mode", .type = SCHEMA_MODE, AT(conf_target, mode), .fallback = "0640", .help = "Mode of the files" },
	END
};
static const struct schema_group install = {
	.name = "install", .size = sizeof(struct conf_target), .line = offsetof(struct conf_target, line),
	.options = install_options
};

enum { OF_ITS_OWN = 2 }; /* the first rows: no defaults for these */

static const struct schema_option certificate_options[] = {
	{ .name = "name", .type = SCHEMA_NAME, AT(draft_cert, name), .help = "Its name; without it the snippet's file name less .conf" },
	{ .name = "names", .type = SCHEMA_DOMAINS, AT(draft_cert, names), .required = true, .min = 1, .max = 100,
	  .help = "Domain names it is for" },
	{ .name = "ca", .type = SCHEMA_NAMES, AT(draft_cert, ca), .min = 1, .max = 8, .one = true,
	  .help = "Who issues it; without it the first ca defined" },
	{ .name = "key", .type = SCHEMA_KEY, AT(draft_cert, key), .fallback = "ecdsa-p256", .words = key_words, .one = true,
	  .help = "Type of its private key, or the pkcs11: URI of one on a token" },
	{ .name = "pkcs11_pin", .type = SCHEMA_SECRET, AT(draft_cert, key.pin), .help = "The credential that holds the PIN of the token with its key" },
	{ .name = "prove", .type = SCHEMA_NAMES, AT(draft_cert, prove), .min = 1, .max = 64, .later = prove_later,
	  .help = "How its names are proven, in order of preference; without it every http, then every dns whose zones hold one of them" },
	{ .name = "install", .type = SCHEMA_GROUPS, AT(draft_cert, install), .group = &install, .max = 64,
	  .help = "Where it is written to; live/NAME below the keeper's state in any case" },
	{ .name = "service", .type = SCHEMA_NAMES, AT(draft_cert, service), .max = 64,
	  .help = "Services that use it: tested, reloaded and looked at" },
	{ .name = "enabled", .type = SCHEMA_BOOL, AT(draft_cert, enabled), .fallback = "true",
	  .help = "Whether anything is done about it" },
	{ .name = "self_check", .type = SCHEMA_WORD, AT(draft_cert, self_check), .fallback = "advise", .words = check_words,
	  .help = "Whether dovad must see a proof itself before it asks the CA" },
	END
};
static const struct schema_group certificate = {
	.name = "certificate", .size = sizeof(struct draft_cert), .line = offsetof(struct draft_cert, line),
	.options = certificate_options
};
static const struct schema_group defaults = {
	.name = "defaults", .size = sizeof(struct draft_cert), .options = certificate_options + OF_ITS_OWN
};

/* --- the files --- */

static const struct schema_option top_options[] = {
	{ .name = "ca", .type = SCHEMA_GROUPS, AT(draft_file, list[DRAFT_CA]), .group = &ca, .max = 1000, .help = "Certification authorities" },
	{ .name = "http", .type = SCHEMA_GROUPS, AT(draft_file, list[DRAFT_HTTP]), .group = &http, .max = 10000,
	  .help = "Ways to show a file to the CA by HTTP" },
	{ .name = "service", .type = SCHEMA_GROUPS, AT(draft_file, list[DRAFT_SERVICE]), .group = &service, .max = 10000,
	  .help = "Programs that serve certificates" },
	{ .name = "dns", .type = SCHEMA_GROUPS, AT(draft_file, list[DRAFT_DNS]), .group = &dns, .max = 10000,
	  .help = "Ways to show a record to the CA in the DNS" },
	/* defaults before certificate: options are read in the order of this table, and each certificate starts as a copy. */
	{ .name = "defaults", .type = SCHEMA_GROUP, AT(draft_file, defaults), .group = &defaults,
	  .help = "Any certificate option but name and names, for the certificates that do not set it themselves" },
	{ .name = "certificate", .type = SCHEMA_GROUPS, AT(draft_file, list[DRAFT_CERT]), .group = &certificate, .max = 100000,
	  .base = offsetof(struct draft_file, defaults), .help = "Certificates to keep" },
	LATER("notify"),
	END
};
const struct schema_group schema_top = { .name = "", .size = sizeof(struct draft_file), .options = top_options };

/* Relative paths count from the main file's folder, so that an instance out of one folder needs few of these. */
static const struct schema_option settings_options[] = {
	{ .name = "contact", .type = SCHEMA_CONTACTS, AT(conf_settings, contact), .max = 10,
	  .help = "Addresses for the accounts at every ca without its own" },
	{ .name = "snippets", .type = SCHEMA_PATH, AT(conf_settings, snippets), .fallback = "conf.d", .help = "Folder of the snippets" },
	{ .name = "services", .type = SCHEMA_PATH, AT(conf_settings, services), .fallback = "services.d",
	  .help = "Folder of service definitions; those shipped with dovad come after it" },
	{ .name = "credentials", .type = SCHEMA_PATH, AT(conf_settings, credentials), .fallback = "credentials",
	  .help = "Folder of the files that credential:NAME means" },
	{ .name = "state", .type = SCHEMA_PATH, AT(conf_settings, state), .fallback = LOCALSTATEDIR "/lib/dovad", .at_start = true,
	  .help = "Folder of journal and history" },
	{ .name = "keeper_state", .type = SCHEMA_PATH, AT(conf_settings, keeper_state), .fallback = LOCALSTATEDIR "/lib/dovad-keeper", .at_start = true,
	  .help = "Folder of keys, accepted configuration and certificates" },
	{ .name = "runtime", .type = SCHEMA_PATH, AT(conf_settings, runtime), .fallback = RUNSTATEDIR "/dovad", .at_start = true,
	  .help = "Folder of the status socket" },
	{ .name = "user", .type = SCHEMA_USER, AT(conf_settings, user), .fallback = "dovad", .at_start = true,
	  .help = "User of the network half when no service manager sets it" },
	{ .name = "keeper_user", .type = SCHEMA_USER, AT(conf_settings, keeper_user), .fallback = "dovad-keeper", .at_start = true,
	  .help = "User of the privileged half when no service manager sets it" },
	{ .name = "pkcs11_module", .type = SCHEMA_PATH, AT(conf_settings, pkcs11_module),
	  .help = "PKCS#11 module that knows the tokens with keys; without it those that p11-kit knows" },
	{ .name = "pkcs11_timeout", .type = SCHEMA_DURATION, AT(conf_settings, pkcs11_timeout), .fallback = "10s", .min = 1, .max = 60,
	  .help = "Time that a token may take for one signature, login included; the keeper does nothing else meanwhile" },
	{ .name = "watch", .type = SCHEMA_BOOL, AT(conf_settings, watch), .fallback = "true",
	  .help = "Whether changed files are picked up without a reload" },
	{ .name = "watch_delay", .type = SCHEMA_DURATION, AT(conf_settings, watch_delay), .fallback = "2s", .min = 0, .max = 3600,
	  .help = "Time without a further change before changed files are read" },
	{ .name = "remove_delay", .type = SCHEMA_DURATION, AT(conf_settings, remove_delay), .fallback = "60s", .min = 0, .max = 30 * DAY,
	  .help = "Time before a snippet that disappeared counts as removed" },
	{ .name = "resolvers", .type = SCHEMA_ADDRS, AT(conf_settings, resolvers), .max = 16,
	  .help = "Recursive name servers to ask; without it those of resolv.conf" },
	{ .name = "http_port", .type = SCHEMA_INT, AT(conf_settings, http_port), .fallback = "80", .min = 1, .max = 65535,
	  .help = "Port of the self-check and of listeners" },
	{ .name = "dns_port", .type = SCHEMA_INT, AT(conf_settings, dns_port), .fallback = "53", .min = 1, .max = 65535,
	  .help = "Port of the zones' own name servers" },
	{ .name = "dns_rate", .type = SCHEMA_INT, AT(conf_settings, dns_rate), .fallback = "200", .min = 1, .max = 100000,
	  .help = "Questions a second to one address of a name server, over all names" },
	{ .name = "dns_rate_name", .type = SCHEMA_INT, AT(conf_settings, dns_rate_name), .fallback = "20", .min = 1, .max = 100000,
	  .help = "Questions a second to one address for one name" },
	{ .name = "keep", .type = SCHEMA_INT, AT(conf_settings, keep), .fallback = "3", .min = 2, .max = 100,
	  .help = "Generations of each certificate that are kept, the current one included" },
	{ .name = "look_every", .type = SCHEMA_DURATION, AT(conf_settings, look_every), .fallback = "1h", .min = 0, .max = 30 * DAY,
	  .help = "Time in which everything that services serve is looked at once; 0s: only after a reload" },
	{ .name = "check_every", .type = SCHEMA_DURATION, AT(conf_settings, check_every), .fallback = "1d", .min = 0, .max = 30 * DAY,
	  .help = "Time in which each renewal that is near is looked ahead at once; 0s: only when asked" },
	LATER("providers"),
	LATER("web"),
	END
};
const struct schema_group schema_settings = { .name = "", .size = sizeof(struct conf_settings), .options = settings_options };

/* clang-format on */

const struct schema_option *schema_find(const struct schema_group *group, const char *name)
{
	for (const struct schema_option *o = group->options; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}
