/* SPDX-License-Identifier: ISC */
/* One attempt to get a certificate and put it into service: create -> prove -> finalize -> poll -> fetch -> install -> test -> reload -> look -> done.
 * What an attempt leaves (order URL, tokens, chain) is handed to the next one, after a failure as after a crash. */
#ifndef DOVAD_CORE_ORDER_H
#define DOVAD_CORE_ORDER_H

#include "core/cert.h"
#include "core/errand.h"
#include "core/proof.h"
#include "crypto/x509.h"
#include "io/dns.h"
#include "io/rpc.h"
#include "io/tls.h"

enum order_state {
	ORDER_ACCOUNT,
	ORDER_CREATE,
	ORDER_READ,
	ORDER_PROVE,
	ORDER_REQUEST,
	ORDER_FINALIZE,
	ORDER_FETCH,
	ORDER_WITHDRAW,    /* the CA cannot be had: nothing stays published while it is away */
	ORDER_INSTALL,
	ORDER_GATHER,      /* others for the same services are under way */
	ORDER_TEST,
	ORDER_RELOAD,
	ORDER_LOOK,
	ORDER_CONFIRM,
	ORDER_SWEEP,       /* the order is lost: withdraw and deactivate what is left of it */
	ORDER_ROLLBACK,    /* the previous generation back ... */
	ORDER_RESTORE,     /* ... and into service; or tested, when it was never out of it */
	ORDER_DONE,
};

struct order_env { /* what an order needs of the world; borrowed */
	struct rpc *keeper;
	struct errands *errands;
	tls_looker *look;
	void (*look_cancel)(struct tls_look *l);
	struct dns_lookup *(*addresses)(void *arg, const char *name, dns_done *done, void *done_arg); /* of a name, by DNS */
	void (*addresses_cancel)(struct dns_lookup *l);
	const char *(*digest)(void *arg);                                               /* of the running configuration */
	void (*save)(void *arg, struct order *o, bool ahead);                           /* record it; ahead: before the next step begins */
	void (*event)(void *arg, struct order *o, const char *event, struct js *detail); /* takes over detail */
	void (*proved)(void *arg, struct order *o);                                     /* well or not, or nothing had to be: what was shown and seen is complete */
	/* Its services may be tested and reloaded: go() is called once, on a later turn. stay: no more. */
	void (*gather)(void *arg, struct order *o, void (*go)(void *go_arg), void *go_arg);
	void (*stay)(void *arg, struct order *o);
	void (*ca_done)(void *arg, struct order *o);                                    /* nothing more is asked of the CA */
	void (*finished)(void *arg, struct order *o, const struct err *err);            /* err NULL: served; may free o */
	void *arg;
};

struct order_methods {
	struct method *const *v;
	size_t n, nprove; /* the certificate's prove list comes first; the others only withdraw what they published once */
};

struct order {
	struct cert *cert;
	const struct order_env *env;
	struct issuer *issuer;
	uint64_t issue, digest;        /* of the conf_cert it was begun for */
	struct order_methods methods;
	struct machine m;
	struct arena *arena;
	/* kept */
	int64_t begun;                 /* UNIX seconds */
	const char *url, *finalize, *certificate;
	int64_t expires;
	struct proof *proofs;
	size_t nproofs;
	const char *key;               /* hex SHA-256 of the SPKI of the key that was asked for */
	int64_t generation, previous;  /* installed, and what was before; 0: none */
	bool stays;                    /* it was in place before we came: whatever is wrong with the services, it is not taken back */
	uint64_t place;                /* cert_place() of where it is being put */
	/* while running */
	const char *thumbprint, *csr;
	struct x509_chain *leaf;       /* chain parsed, until it is installed; NULL before and after */
	int64_t wait_ms;               /* the CA's word on when to read first */
	bool pending;                  /* the CA waits for proofs */
	bool tidied;                   /* what was published for proofs that do not matter any more was withdrawn, as far as it could be */
	size_t service, look;          /* which one is being tested, reloaded, looked at */
	struct look_own *own;          /* where to look besides what is configured; of the arena, NULL: not found out yet */
	struct look_own *known;        /* where it was looked at before */
	bool answered;                 /* the service that is being looked at did, at one of its addresses */
	uint64_t asleep;               /* bit per service: not running, so not reloaded and not looked at */
	int64_t look_until_ms;
	size_t told;                   /* services that were told of what is rolled back: the first so many; 0: `service` failed its test */
	size_t proofs_left, proof_next;
	size_t sweep;                  /* steps of the sweep done: two for each proof */
	struct err *doubt;             /* how finalize ended, when only the order can tell what came of it; of the arena, NULL: well */
	struct err fail;               /* to be reported once swept or rolled back; kind ERR_NONE when swept: begin anew */
};

/* What methods holds is copied; issuer, methods and env outlive the order. cert->products and its chain, if any, are taken up. */
struct order *order_new(struct cert *cert, const struct order_env *env, struct issuer *issuer, const struct order_methods *methods);
void order_start(struct order *o);
void order_free(struct order *o); /* cancels; the CA's order and everything published stay as they are */
/* The certificate left the configuration or its names changed: withdraw what is published, then finish with ERR_INPUT "abandoned". What is being put
 * into service already goes on to its end, unless the certificate left. */
void order_abandon(struct order *o);
struct js *order_save(const struct order *o);           /* for the record, the chain apart; caller owns; NULL when nothing is worth keeping */
struct js *order_show(const struct order *o);           /* for people */
enum cert_state order_cert_state(const struct order *o);
bool order_renews(const struct order *o);               /* a new certificate comes of it, if all goes well */
/* For order.c: take up what order_save wrote, and the chain if there is one. */
void order_load(struct order *o, const struct js *kept);
enum { ORDER_PROOFS_MAX = 1000 };
/* For proof.c. */
void order_proof_ended(struct order *o, struct proof *p);
/* Forget the CA's order and everything that belongs to it (not what is installed, nor what is still published). */
void order_forget(struct order *o);
/* What is to be reported in the end, though the way there leads through other states. */
void order_set_fail(struct order *o, const struct err *err);
struct js *order_named(const struct order *o); /* a request that names its certificate; caller owns */
/* For begin functions: operations of the keeper and the issuer, cancelled when the state is left. request is taken over. */
void order_ask_keeper(struct order *o, struct machine *m, const char *op, struct js *request, int64_t timeout_ms);
void order_pending(struct order *o, struct machine *m, struct issuer_call *call);
/* The keeper has another configuration than we, for a moment: true, then ask again (m->wait_ms is set). Not for ever. */
bool order_keeper_busy(struct machine *m, const struct err *err);

#endif
