/* SPDX-License-Identifier: ISC */
/* The configuration: each file parsed by itself (libconfig), all errors collected with file and line, the good rest linked together into one
 * immutable, reference-counted struct. A pure function of the files' bytes, so that both halves build the same. */
#ifndef DOVAD_CORE_CONF_H
#define DOVAD_CORE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#ifndef DATADIR
#define DATADIR "/usr/share"
#endif
#ifndef LOCALSTATEDIR
#define LOCALSTATEDIR "/var"
#endif
#ifndef RUNSTATEDIR
#define RUNSTATEDIR "/run"
#endif
#define CONF_MAIN_FILE SYSCONFDIR "/dovad/dovad.conf" /* when no -c is given */

struct conf_list { /* of strings */
	const char *const *v;
	size_t n;
};

struct conf_key { /* that is to be made, or that is on a PKCS#11 token */
	int type;                         /* enum key_type of crypto/key.h; KEY_TYPES: that of the key on the token */
	const char *uri;                  /* of the key on the token; NULL: none, the keeper makes one */
	const char *pin;                  /* credential name; NULL: none */
	const char *module, *credentials; /* here and below: of the settings */
	int64_t timeout;                  /* seconds */
};

enum conf_ca_type { CONF_CA_ACME, CONF_CA_ALIBABA_CAS };
enum conf_ca_site { CONF_SITE_CHINA, CONF_SITE_INTERNATIONAL };
enum conf_ca_signature { CONF_SIGNATURE_V3, CONF_SIGNATURE_RPC };
enum { CONF_KEY_ID_MAX = 128 };
struct conf_ca {
	const char *name;
	int type;                    /* enum conf_ca_type */
	const char *ca_file;         /* absolute path, NULL: the system's ("system") */
	bool allow_private;
	int max_orders;              /* at once, default 32 */
	/* acme */
	const char *directory;       /* https URL */
	bool agree_tos;
	struct conf_list contact;    /* "mailto:..."; own or the top level's */
	struct {
		const char *key_id, *hmac_key; /* hmac_key: credential name (without "credential:"); NULL: no EAB */
	} eab;
	const char *preferred_chain; /* common name of the root wanted; NULL: the CA's default */
	struct conf_key account_key; /* default ecdsa-p256 */
	/* alibaba-cas */
	int site;                    /* enum conf_ca_site */
	const char *endpoint;        /* https URL of host and port alone, the latter only when it is not 443; NULL: the site's own */
	const char *access_key_id;   /* letters, digits, ". _ -", up to CONF_KEY_ID_MAX */
	const char *access_key_secret, *security_token; /* credential names; token NULL: none */
	int signature;               /* enum conf_ca_signature */
	int line;                    /* here and below: where it was defined */
};

enum conf_http_type { CONF_HTTP_WEBROOT, CONF_HTTP_LISTENER };
struct conf_http {
	const char *name;
	int type;
	const char *path;        /* webroot */
	struct conf_list listen; /* listener: addresses as written (without a port: settings.http_port); "systemd:NAME" for a handed-over socket */
	int line;
};

enum conf_dns_type { CONF_DNS_RFC2136, CONF_DNS_EXEC };
enum conf_dns_check { CONF_DNS_AUTHORITATIVE, CONF_DNS_RECURSIVE, CONF_DNS_DOH, CONF_DNS_UNSEEN };
enum { CONF_DNS_SECRETS = 7 }; /* descriptors 3 to 9: a shell reads those with one digit */
struct conf_dns {
	const char *name;
	int type;
	struct conf_list zones;    /* normalised; empty: any */
	int ttl;                   /* seconds */
	int check;                 /* enum conf_dns_check */
	const char *quorum;        /* "all", "strict", "majority", "any" or a number from 1 to 64, as text */
	struct conf_list servers;  /* IP or IP:port as written; empty: the zone's own */
	struct conf_list opinions; /* IP, IP:port or https URL as written */
	int confirm;
	int64_t timeout, settle;   /* seconds: to be seen; to wait once it was */
	/* rfc2136 */
	const char *server;        /* an IP or a domain name, with ":port" or without */
	const char *key_name;      /* without the final dot; NULL: unsigned */
	int key_algorithm;         /* enum tsig_algorithm of crypto/tsig.h */
	const char *key_secret;    /* credential name; NULL with key_name */
	/* exec */
	struct conf_list command;  /* argv */
	const char *run_as;        /* user; NULL: nobody, or the invoking user of an unprivileged instance */
	struct conf_list secrets;  /* credential names */
	int64_t command_timeout;   /* seconds */
	int line;
};

enum conf_method_kind { CONF_METHOD_HTTP, CONF_METHOD_DNS, CONF_METHOD_KINDS };
extern const char *const conf_method_words[CONF_METHOD_KINDS]; /* "http", "dns": what stands before the colon in `prove` */
struct conf_method { /* one way of proving */
	int kind;
	const char *name;             /* of the entry, one of the two */
	const struct conf_http *http; /* NULL: none */
	const struct conf_dns *dns;
};

struct conf_service {
	const char *name;
	struct conf_list test;    /* argv; empty: none */
	const char *unit;         /* NULL: none */
	struct conf_list command; /* argv that reloads; empty: none */
	const char *haproxy;      /* absolute path of the socket of HAProxy's runtime API; NULL: none. `unit` is then for what cannot be done there */
	struct conf_list look;    /* IP:port or IP as written; empty: not looked at */
	int starttls;             /* enum starttls_kind of io/starttls.h: what is spoken there before TLS; it says the port of an IP alone */
	const char *run_as;       /* user; NULL: whoever runs dovad-run (root, or the invoking user of an unprivileged instance) */
	int64_t timeout;          /* seconds for each of test and reload, default 30 */
	int line;
};

/* The forms in which a key and its chain are written. */
enum conf_part {
	CONF_PART_KEY, CONF_PART_CERT, CONF_PART_CHAIN, CONF_PART_FULLCHAIN, /* PEM */
	CONF_PART_BUNDLE,                      /* PEM: the key, then the full chain */
	CONF_PART_PKCS12,
	CONF_PART_KEY_DER, CONF_PART_CERT_DER, /* the key as PKCS#8 */
	CONF_PART_PUBKEY,                      /* instead of the key that is on a token: its URI, and the public half in PEM */
	CONF_PARTS
};
enum { CONF_TARGET_PATHS = 1 + CONF_PARTS };
struct conf_target {
	const char *dir;             /* gets the first four parts; NULL: separately named files, at least one */
	bool bundle, pkcs12, der;    /* what dir gets beside them */
	const char *file[CONF_PARTS]; /* separately named; NULL: not wanted */
	const char *pkcs12_password; /* credential name; NULL: an empty password */
	const char *owner, *group; /* NULL: left as the keeper's */
	unsigned mode;             /* of the files, default 0640 */
	int line;
};

struct conf_cert {
	const char *name;
	struct conf_list names;            /* normalised, in the order written, no duplicates */
	const struct conf_ca *ca;
	struct conf_key key;
	struct { const struct conf_method *v; size_t n; } prove; /* in order of preference */
	struct { const struct conf_target *v; size_t n; } install;
	struct { const struct conf_service *const *v; size_t n; } service;
	bool enabled;
	int self_check;                    /* enum conf_self_check */
	const char *file;                  /* where it was defined */
	int line;
	const char *credentials;           /* the folder of the settings, for what targets name */
	uint64_t issue;                    /* over what is issued (names, ca, key): changed means order anew */
	uint64_t digest;                   /* over that and prove: changed means begin an order that is under way anew */
};
enum conf_self_check { CONF_CHECK_ADVISE, CONF_CHECK_REQUIRE, CONF_CHECK_OFF };

struct conf_settings { /* the daemon's own, main file only */
	const char *snippets, *services, *credentials, *state, *keeper_state, *runtime; /* absolute */
	const char *user, *keeper_user;
	const char *pkcs11_module; /* path; NULL: p11-kit's */
	int64_t pkcs11_timeout;    /* seconds that one use of a token may take */
	struct conf_list contact; /* for every ca without its own */
	bool watch;
	int64_t watch_delay; /* seconds of debounce, default 2 */
	int64_t remove_delay; /* seconds until a vanished snippet counts as removed, default 60 */
	struct conf_list resolvers; /* IP or IP:port (53) as written; empty: those of resolv.conf */
	int http_port;       /* of the self-check and listener, 80 */
	int dns_port;        /* of the zones' own name servers, 53 */
	int dns_rate, dns_rate_name; /* questions a second to one address: over all names, 200, and for one name, 20 */
	int keep;            /* generations kept, default 3 */
	int64_t check_every; /* seconds in which renewals that are near are looked ahead at, default 86400; 0: only when asked */
	int64_t look_every;  /* seconds in which what services serve is looked at once, default 3600; 0: never */
};

struct conf_problem { /* one error or warning */
	const char *file;
	int line;          /* 0: the file as a whole */
	bool warning;      /* does not set the file aside */
	const char *text;  /* escaped; says what to do */
};

struct conf_file { /* one file's part in the whole */
	const char *path;
	bool main;
	bool accepted;     /* false: set aside, see problems */
};

struct conf_name { /* that a certificate is for, and who issues it */
	const char *name;
	const struct conf_ca *ca;
};

struct conf {
	struct conf_settings settings;
	struct { const struct conf_ca *v; size_t n; } ca;
	struct { const struct conf_http *v; size_t n; } http;
	struct { const struct conf_dns *v; size_t n; } dns;
	struct { const struct conf_method *v; size_t n; } methods; /* every http, then every dns */
	struct { const struct conf_service *v; size_t n; } service;
	struct { const struct conf_cert *v; size_t n; } cert; /* sorted by name */
	struct { const struct conf_name *v; size_t n; } names; /* of all certificates, for conf_has_name */
	struct { const struct conf_file *v; size_t n; } files; /* one for each source in its order, then the unread ones */
	struct { const struct conf_problem *v; size_t n; } problems; /* in the order of files, then by line */
	bool usable;        /* the main file is good; otherwise only files, problems and, as far as they could be read, settings are filled */
	char digest[65];    /* 256-bit identity over names and bytes of the accepted files, hex: both halves name it in requests */
};

struct conf_source {
	const char *path; /* as shown in errors; the main file is source 0, service definitions shipped with dovad and snippets follow in name order */
	const char *text;
	size_t len;
	enum { CONF_MAIN, CONF_SERVICES, CONF_SNIPPET } kind;
};

/* Never NULL; look at ->usable and ->problems. The first reference belongs to the caller. Unreadable files are no sources: the caller adds
 * their problems by passing them in `unread` (copied). A name defined twice: the later file is set aside, both are named. A service of a snippet or of
 * the main file replaces a shipped one of the same name; among shipped ones the first counts. `defaults` of the main file hold everywhere, those
 * of a snippet in that snippet. */
struct conf *conf_build(const struct conf_source *sources, size_t n, const struct conf_problem *unread, size_t nunread);
struct conf *conf_ref(struct conf *c);
void conf_free(struct conf *c); /* drops one reference; NULL is fine */

/* What a target writes to: its folder, or each of its files. Returns how many. */
size_t conf_target_paths(const struct conf_target *t, const char *paths[CONF_TARGET_PATHS]);
bool conf_is_staging(const struct conf_ca *ca); /* the URL of its directory says so */
/* Where it is asked: the URL of its directory; or, of type alibaba-cas, host (and port, when it is not 443) of the endpoint. */
const char *conf_ca_address(const struct conf_ca *ca);
const struct conf_cert *conf_find_cert(const struct conf *c, const char *name);          /* NULL: none */
bool conf_has_name(const struct conf *c, const struct conf_ca *ca, const char *name); /* Is it one of a certificate of this CA? */
const struct conf_ca *conf_find_ca(const struct conf *c, const char *name);
const struct conf_http *conf_find_http(const struct conf *c, const char *name);
const struct conf_dns *conf_find_dns(const struct conf *c, const char *name);
/* May the entry write at this name? */
bool conf_dns_holds(const struct conf_dns *dns, const char *name);
/* The environment variable that tells a command the descriptor of a credential: "cf-token" -> "DOVAD_SECRET_FD_CF_TOKEN". Returns out. */
enum { CONF_VARIABLE = 80 };
char *conf_secret_variable(const char *credential, char out[CONF_VARIABLE]);
const struct conf_service *conf_find_service(const struct conf *c, const char *name);

enum { CONF_FILE_MAX = 1024 * 1024, CONF_FILES_MAX = 200000 };

/* Every problem as "FILE:LINE: text" (FILE: text where a file as a whole is meant; "warning:" before the text of warnings) to err, then one
 * line that sums up to out. Returns the exit code of `dovad -t`: 0, or 78 when there is an error. */
int conf_report(const struct conf *c, FILE *out, FILE *err);

/* The checks that come before libconfig sees a byte: size, NUL, UTF-8, control and bidi characters, nesting, number of settings, @include, numbers out
 * of range or with a leading zero, and the syntax as a whole. false and *problem filled with the first (text allocated in `arena`). */
struct arena;
bool conf_precheck(const struct conf_source *source, struct arena *arena, struct conf_problem *problem) __attribute__((warn_unused_result));

/* Reading from disk with the owner and mode rules of the interface: only regular files, owned by root or our own uid, not writable by others;
 * only names matching "*.conf" without a leading dot. `set` owns the bytes. A main file that cannot be read is a problem with n == 0. */
struct conf_set {
	struct conf_source *v;
	size_t n;
	struct conf_problem *unread;
	size_t nunread;
	struct arena *arena;
};
/* main_file: path. The folders of snippets and services are taken from the main file's settings (defaults otherwise). */
void conf_read(const char *main_file, struct conf_set *set);
/* `dovad -t SNIPPET`: add the file as if it lay among the snippets (in place of one of the same name), whoever owns it. */
void conf_read_snippet(struct conf_set *set, const char *path);
void conf_set_free(struct conf_set *set);

const char *conf_library(void); /* the library behind this and its version */

#endif
