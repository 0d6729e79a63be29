/* SPDX-License-Identifier: ISC */
/* Who writes TXT records: one interface, one file per way (dns_rfc2136.c, dns_exec.c). Only exact values are added and removed; what others wrote stays. */
#ifndef DOVAD_PROVE_DNS_PROVIDER_H
#define DOVAD_PROVE_DNS_PROVIDER_H

#include "base/err.h"
#include "io/addr.h"
#include "io/dns.h"
#include "io/rpc.h"

struct dns_record { /* copied */
	const char *zone;       /* apex, without the final dot */
	const char *name;       /* of the record, the same way */
	const char *value;      /* of one TXT record; at most 4096 printable bytes */
};

/* err NULL: the provider said yes. Once, on a later turn. */
typedef void dns_changed(void *arg, const struct err *err);
struct dns_change;
struct dns_provider;
struct dns_provider_ops {
	/* Both are repeatable: what is there already, or not there any more, is no error. */
	struct dns_change *(*add)(struct dns_provider *, const struct dns_record *, dns_changed *, void *arg);
	struct dns_change *(*remove)(struct dns_provider *, const struct dns_record *, dns_changed *, void *arg);
	/* Would add be taken? Changes nothing. NULL: this kind cannot tell. */
	struct dns_change *(*probe)(struct dns_provider *, const struct dns_record *, dns_changed *, void *arg);
	void (*cancel)(struct dns_change *); /* NULL is fine; done() will not be called */
	void (*free)(struct dns_provider *); /* changes under way are forgotten without an answer; safe inside callbacks */
};
struct dns_provider { /* first member of each implementation */
	const struct dns_provider_ops *ops;
	const char *name;           /* of the dns entry */
	const char *const *zones;   /* what it may write to: zones and names below them, none: anything; its own copy */
	size_t nzones;
};

struct dns_rfc2136_options { /* copied */
	const char *name;
	const char *const *zones;
	size_t nzones;
	const char *server;         /* an IP address or a host name, with ":port" or without: 53 */
	const char *key_name;       /* NULL: unsigned */
	int key_algorithm;          /* enum tsig_algorithm */
	uint32_t ttl;               /* of the records, seconds */
	int64_t timeout_ms;
	struct dns *dns;            /* to look the server up; borrowed */
	struct rpc *keeper;         /* holds the key's secret: op "secret"; borrowed */
};
/* Dynamic update (RFC 2136) with TSIG (RFC 8945), to the primary, which need not be one of the public name servers. Each address of the server is tried in turn.
 * Errors name entry, server, zone and name: ERR_DENIED when the server says no, ERR_TEMP for silence, SERVFAIL, clocks apart, answers not to be believed,
 * ERR_INPUT for a name outside of the entry's zones. At most 32 changes are under way at a time, others wait in line; timeout_ms counts from the first message.
 * A key the server refuses is asked for again: another secret is tried at once. */
struct dns_provider *dns_rfc2136_new(const struct dns_rfc2136_options *options, struct err *err) __attribute__((warn_unused_result));
const char *dns_rfc2136_library(void); /* the library behind the messages and its version */

struct dns_exec_options { /* copied */
	const char *name;
	const char *const *zones;
	size_t nzones;
	int64_t timeout_ms;
	struct rpc *keeper;         /* has the command run by name: op "hook" */
};
struct dns_provider *dns_exec_new(const struct dns_exec_options *options, struct err *err) __attribute__((warn_unused_result));

#endif
