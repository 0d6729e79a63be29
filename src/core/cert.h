/* SPDX-License-Identifier: ISC */
/* One certificate of the configuration and everything known about it: what is installed, what is served, what comes next. Kept in the store as
 * one record; the running order, if any, hangs on it. */
#ifndef DOVAD_CORE_CERT_H
#define DOVAD_CORE_CERT_H

#include "base/json.h"
#include "core/conf.h"
#include "crypto/x509.h"

enum cert_state { /* the words of the interface, in its order */
	CERT_WAITING,    /* nothing to do before next_at */
	CERT_ORDERING,
	CERT_PROVING,
	CERT_ISSUING,
	CERT_INSTALLING,
	CERT_RELOADING,
	CERT_LOOKING,
	CERT_STALE,      /* issued, but the service still serves another one: retried at next_at */
	CERT_FAILED,     /* the last attempt failed: retried at next_at */
	CERT_HELD,       /* a person must act */
	CERT_DISABLED,
	CERT_STATES
};
const char *cert_state_name(enum cert_state s);

enum { CERT_TARGETS = 64 };
struct cert_target { /* one service address and what it serves */
	char *service, *address;
	char *serves;        /* fingerprint seen, NULL: nothing seen yet or no answer */
	int64_t not_after;   /* of that; UNIX seconds, 0: unknown */
	bool ok;             /* it is the certificate installed */
	char *text;          /* why not, NULL when ok */
	int64_t since;       /* UNIX seconds since when this is so */
};

struct cert_standing { /* CAA and DNSSEC of its names when they were last looked at, be it well or not */
	int64_t at;                     /* UNIX seconds; 0: not looked at since it was configured as it is now */
	struct js *dnssec, *caa;        /* as finding_gather has them */
};

struct cert_back { /* an operator went back to an earlier generation */
	int64_t at;      /* UNIX seconds; 0: nobody did */
	int64_t from;    /* the generation that was left */
	uint64_t issue;  /* of the conf_cert at the time: it is over when another one is configured */
};

struct cert {
	const char *name;               /* owned */
	const struct conf_cert *conf;   /* of the running configuration; NULL: removed from it */
	const char *ca;                 /* issued by; NULL: nothing issued */
	enum cert_state state;
	int64_t not_before, not_after;  /* of the installed certificate, 0: none */
	char *serial, *fingerprint, *issuer; /* the same; NULL: none */
	size_t length;                  /* certificates in its chain; 0: unknown */
	int64_t generation;             /* 0: none */
	uint64_t issue;                 /* of the conf_cert it was issued for */
	uint64_t placed;                /* cert_place() of where it was seen in service; 0: nowhere yet */
	int64_t next_at;                /* UNIX seconds; 0: nothing planned */
	const char *next_step;          /* constant: "renew", "issue", "retry", "look", "withdraw", NULL */
	unsigned attempts;              /* failures in a row */
	bool forced;                    /* an operator asked: renew although not due */
	struct cert_back back;
	struct err *last_error;         /* NULL: the last attempt went well */
	int64_t last_error_at;
	struct cert_target *targets;    /* at most CERT_TARGETS */
	size_t ntargets;
	struct order *order;            /* running, NULL: none */
	struct js *check;               /* the last look ahead: {at, verdict, why, findings [those that are not well]}; NULL: none yet. Its record is another one */
	struct cert_standing standing;  /* in the same */
	struct js *products;            /* what an unfinished order left for its next attempt (order URL, tokens); NULL: none, or `order` has them */
	char *chain;                    /* PEM that the CA issued, until it is in service. A record of its own, larger than all the rest and written once; NULL: none */
	/* the registry's own */
	size_t heap;                    /* place in its queue by time, 0: not in it */
	struct cert *next_waiting;      /* in a CA's queue */
	bool waiting, asking;
	bool dirty, urgent;             /* to be written; before anything that follows begins */
	bool chain_changed;             /* since it was written */
	bool unknown;                   /* what is installed: the keeper is asked before anything is ordered */
	struct cert *next_dirty;
};

struct cert *cert_new(const char *name);
void cert_free(struct cert *c);
/* The record as stored, and back. cert_load tolerates missing members (older versions) and unknown ones (newer). */
struct js *cert_save(const struct cert *c);
void cert_load(struct cert *c, const struct js *record);
/* What the socket tells: the stable keys of the interface; `whole` adds order, proofs, serial, issuer, file. */
struct js *cert_show(const struct cert *c, bool whole);
void cert_set_chain(struct cert *c, char *chain); /* taken over; NULL: none */
void cert_set_ca(struct cert *c, const char *ca); /* who issued what is installed; copied; NULL: nobody */
/* Note what is installed; NULL: nothing is. */
void cert_set_leaf(struct cert *c, const struct x509_leaf *leaf);
/* A mere comparison of where a certificate goes: folders and services. Never 0. */
uint64_t cert_place(const struct conf_cert *conf);
/* Forget what the services were seen to serve; find or add one of them (serving nothing yet). */
void cert_reset_targets(struct cert *c);
struct cert_target *cert_target(struct cert *c, const char *service, const char *address);
/* Forget those for which keep() says no; NULL: all. true: there were some. */
bool cert_keep_targets(struct cert *c, bool (*keep)(const void *arg, const struct cert_target *t), const void *arg);
/* What was seen there: the leaf (NULL: none) is ours when text is NULL. Copied. true: it is news. */
bool cert_target_note(struct cert_target *t, const struct x509_leaf *serves, const char *text);
/* When clients are shown the first expired one, as far as was seen: the installed one's end, or that of another one still served. 0: nothing is installed. */
int64_t cert_ends(const struct cert *c);
/* Where an operator put it back to, it stays until he renews it or changes its configuration, at the longest for half of the life that was left. */
bool cert_is_back(const struct cert *c);
int64_t cert_back_until(const struct cert *c); /* UNIX seconds */
void cert_set_check(struct cert *c, struct js *check); /* taken over; NULL: forget it */
void cert_set_standing(struct cert *c, struct js *dnssec, struct js *caa); /* looked at now; taken over */
void cert_forget_standing(struct cert *c);
/* What the last look ahead found, as a record of its own, and back: nothing when it was found for another configuration. As tolerant as cert_load. */
struct js *cert_save_check(const struct cert *c);
void cert_load_check(struct cert *c, const struct js *record);
bool cert_is_at_risk(const struct cert *c);            /* the next renewal would fail, said the last look ahead */
void cert_set_error(struct cert *c, const struct err *err, int64_t at); /* NULL: forget it */

#endif
