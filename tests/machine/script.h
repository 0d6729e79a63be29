/* SPDX-License-Identifier: ISC */
/* A whole world for the registry and its orders: CAs, methods of proof, keeper and services that do everything right unless a rule says otherwise, on
 * simulated time. CAs, published tokens, installed generations and services are of the world: they outlive a crash of what is tested. */
#ifndef DOVAD_TESTS_SCRIPT_H
#define DOVAD_TESTS_SCRIPT_H

#include "core/order.h"
#include "core/registry.h"
#include "core/store.h"
#include "io/rpc.h"

#define SCRIPT_CA "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://le.test/dir\"; agree_tos = true; } );\n"
#define SCRIPT_HTTP "http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; } );\n"
#define SCRIPT_SERVICE "look_every = \"0s\"; service = ( { name = \"web\"; test = [ \"/bin/true\" ]; command = [ \"/bin/true\" ]; look = [ \"127.0.0.1:443\" ]; } );\n"
#define SCRIPT_MAIN SCRIPT_CA SCRIPT_HTTP SCRIPT_SERVICE
#define SCRIPT_CERT(name, more) "{ name = \"" name "\"; names = [ \"" name ".test\" ]; service = [ \"web\" ]; " more " }"
#define SCRIPT_ONE SCRIPT_MAIN "certificate = ( " SCRIPT_CERT("a", "") " );\n"

enum {
	SCRIPT_NOW = 1800000000, /* 2027-01-15 */
	MINUTE_MS = 60000,
	HOUR_MS = 3600000,
	DAY_MS = 86400000,
};

enum script_op { /* everything that is asked of the world */
	OP_ACCOUNT, OP_CREATE, OP_ORDER, OP_AUTHZ, OP_ANNOUNCE, OP_FINALIZE, OP_FETCH, OP_DEACTIVATE, OP_REVOKE, OP_LIST, /* of a CA */
	OP_PUBLISH, OP_SEE, OP_WITHDRAW, OP_REVIEW,                                                            /* of a method */
	OP_REQUEST, OP_INSTALL, OP_INSTALLED, OP_TEST, OP_LOAD, OP_RESTORE, OP_ROLLBACK, OP_CONFIRM, OP_VERIFY,           /* of the keeper */
	OP_LOOK, OP_RESOLVE,
	OP_IDENTIFY, OP_CAA, OP_CHECK,                                                                         /* looking ahead */
	SCRIPT_OPS
};

struct script;
enum script_what {
	PASS,   /* as it should be, perhaps late */
	FAIL,   /* nothing was done, an error comes back */
	LOSE,   /* done, but an error comes back */
	SILENT, /* nothing was done, no answer ever */
	VANISH, /* done, no answer ever */
};
struct script_rule {
	struct script_rule *next;
	enum script_op op;
	enum script_what what;
	const char *about; /* part of what it is about (a name, a URL, a service); NULL: anything */
	unsigned skip;     /* the first ones that would match */
	unsigned times;    /* 1 unless changed */
	struct err err;    /* ERR_TEMP "scripted" unless changed */
	int64_t delay_ms;
	void (*before)(struct script *s, const char *about); /* the world is changed first */
};
enum { ALWAYS = 1000000000 };

struct script_authz {
	char *url, *name, *token;
	const char *type; /* of its one challenge */
	enum issuer_status status;
	enum issuer_proof_status challenge;
	struct err problem; /* kind ERR_NONE: none */
};

struct script_order { /* at a CA */
	struct script_order *next;
	const char *ca;
	char *url, *certificate;
	char **names;
	size_t nnames;
	struct script_authz *authz;
	size_t nauthz;
	enum issuer_status status;
	int64_t expires;
	char *chain;
	unsigned finalized; /* times */
	struct err problem;
};

enum script_mint { MINT_GOOD, MINT_OTHER_KEY, MINT_NAME_MISSING, MINT_NAME_EXTRA, MINT_EXPIRED, MINT_FUTURE, MINT_KEY_INSIDE, MINT_SAME, MINT_GARBAGE };

struct script_generation {
	int64_t number;
	char *chain;
	bool failed;
};
struct script_place { /* a certificate at the keeper */
	struct script_place *next;
	char *name;
	struct key *pending;
	char *csr;
	struct script_generation *gen;
	size_t ngen;
	int64_t current;
	char *served; /* chain that the services loaded; NULL: none */
};

struct script {
	/* the world, to be changed at will */
	struct script_rule *rules;
	struct script_order *orders; /* newest first */
	struct script_place *places;
	enum script_mint mint;
	int64_t life_s;          /* of certificates, 90 days */
	int64_t early_s;         /* notBefore of certificates, from now: an hour ago */
	int64_t order_life_s;    /* 7 days */
	enum issuer_status born; /* of new orders; pending */
	unsigned processing;     /* reads that say so after finalize */
	int64_t ca_not_before;   /* no new order at any CA */
	int64_t wait_ms;         /* the CA's word with every answer; 0: none */
	bool reuse;              /* create hands out a pending order for the same names again, as CAs do; true unless changed */
	bool deaf;               /* services reload without taking the new certificate */
	bool asleep;             /* services do not run */
	const char *resolves;    /* addresses of every name, separated by blanks; NULL: none */
	const char *unwritable;  /* why the keeper may not write the target /srv/tls; NULL: it may */
	const char *damaged;     /* the files of this certificate are not what was installed; NULL: of none */
	const char *keeper_conf; /* digest the keeper goes by; NULL: ours */
	bool no_issuer;          /* cannot be made */
	const char *no_method;   /* of this name cannot be made; "*": none can */
	bool strict;             /* methods made from now on: what they do not see is nowhere; they tell a place, look again, hear of judgements */
	int64_t kept_s;          /* they say that resolvers keep what the CA saw for so long */
	const char *where;       /* the place they tell; "here" unless changed */
	bool ahead;              /* what is made from now on can look ahead */
	const char *caa;         /* "issue ca.example", at every name; NULL: none */
	int dnssec;              /* enum caa_dnssec */
	const char *finding;     /* "fail text" of the method's own look ahead; NULL: "ok fine" */
	const char *perhaps;     /* only trying tells whether the method of this name can prove anything; "*": any */
	/* what was seen of it */
	unsigned count[SCRIPT_OPS], created, issued, retried, broken; /* broken: rules of the world, must stay 0 */
	size_t loaded_for;       /* certificates that services were last reloaded for */
	char trace[65536];       /* the operations' words in order, separated by blanks */
	char handed[SCRIPT_OPS][32]; /* the place that the latest was told of, "": none */
	char judged[256];        /* how methods were told that the CA judged, separated by blanks: "valid", or what was wrong */
	int spoken;              /* before TLS, at the latest look: enum starttls_kind */
	uint16_t looked_port;    /* of that look */
	size_t published;        /* tokens now */
	struct js *tokens;
	/* crash when operation number crash_at (from 1) is begun; crash_done: it was done first */
	unsigned ops, crash_at;
	bool crash_done, crashed;
	/* what is tested */
	char *dir, *text;
	struct conf *conf;
	struct store *store;
	struct rpc *keeper;
	struct rpc_peer *peer;
	struct registry *registry;
	unsigned shown; /* checks of what people are shown */
	unsigned ticks, starts;
	/* the script's own */
	struct testca *root, *mid;
	struct leaf *leaves;
	struct key *other;
	uint64_t numbers;
};

int script_setup(void **state);    /* cmocka's; *state is the script: loop open, world made, nothing started */
int script_teardown(void **state); /* fails when a rule of the world was broken or a token is still published */

/* Starts with this configuration (or goes on with the last one when NULL); applies it when started already. */
void script_conf(struct script *s, const char *text);
void script_stop(struct script *s);  /* in good order; script_conf(s, NULL) starts again */
void script_crash(struct script *s); /* what was not committed is lost; starts again */

struct script_rule *script_rule(struct script *s, enum script_op op, enum script_what what);
struct script_rule *script_fail(struct script *s, enum script_op op, enum err_kind kind, const char *type);
void script_forget_rules(struct script *s);

void script_run(struct script *s, int64_t ms); /* so much time passes; a crash that comes up is carried out */
/* Until fn says so; fails the test after so much time. */
void script_until(struct script *s, bool (*fn)(struct script *s, const void *arg), const void *arg, int64_t ms);
void script_until_op(struct script *s, enum script_op op, unsigned count);
struct cert *script_cert(struct script *s, const char *name); /* fails the test when there is none */
void script_until_served(struct script *s, const char *name); /* within ten days */
void script_until_state(struct script *s, const char *name, enum cert_state state);
void script_until_idle(struct script *s, const char *name); /* no order runs and none waits */
struct script_place *script_place(struct script *s, const char *name);
const char *script_current(struct script *s, const char *name); /* chain current at the keeper, NULL: none */
bool script_is_served(struct script *s, const char *name);      /* what is current is what services serve */
struct js *script_record(struct script *s, const char *kind, const char *name); /* of the journal; caller owns; NULL: none */
void script_lose_record(struct script *s, const char *name);     /* while stopped */
bool script_has_event(struct script *s, const char *cert, const char *event);
void script_forget(struct script *s); /* counts and trace */

/* Between the files of the script. */
struct leaf { /* one operation under way */
	struct leaf *next;
	struct script *s;
	const void *owner; /* issuer, method, peer */
	enum script_op op;
	struct timer timer;
	struct err err; /* kind ERR_NONE: goes well */
	void (*end)(struct leaf *l);
	void *done, *arg;
	char *about, *extra;
	struct rpc_request *q;
	struct js *answer;
};
/* Notes the operation and finds what the rules say: true: `effect` is to happen. The leaf ends by itself. */
bool leaf_begin(struct leaf *l, struct script *s, enum script_op op, const char *about, void (*end)(struct leaf *l));
void leaf_free(struct leaf *l);
void leaf_free_of(struct script *s, const void *owner);
char *script_number(struct script *s, const char *before);
void script_broken(struct script *s, const char *what);
struct issuer *script_issuer(void *s, const struct conf_ca *ca, struct err *err);
struct method *script_method(void *s, const struct conf_method *method, struct err *err);
struct rpc *script_keeper(struct script *s);
void script_keeper_gone(struct script *s); /* the connection breaks; it is back at once */
tls_looker script_look;
void script_look_cancel(struct tls_look *l);
const struct key *script_key_of(struct script *s, const char *csr); /* NULL: no such request */
bool script_is_published(struct script *s, const char *token);
void script_free_orders(struct script *s);
void script_free_places(struct script *s);

#endif
