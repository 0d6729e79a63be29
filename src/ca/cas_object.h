/* SPDX-License-Identifier: ISC */
/* The objects of Alibaba Cloud's certificate service (version 2020-04-07, its "instance" half) as it sends them, read into structs. What is not there is
 * NULL, 0 or -1 as said below; null and "" count as not there, unknown members are ignored. Numbers and texts stand for each other, as they do in its
 * answers: an id is text here, digit for digit, whatever it was. Times come in seconds or milliseconds; here they are UNIX seconds, 0: not there.
 *
 * A member of any other shape, or of a length nobody means, is an error that names it: ERR_TEMP "object"; text where a number should be is left out.
 * Texts are as they were sent, for the reader to escape; they are borrowed from the JSON value, arrays and what had to be changed live in the arena.
 *
 * Source: the vendor's SDK models (Go, cas-20200407 4.5). */
#ifndef DOVAD_CA_CAS_OBJECT_H
#define DOVAD_CA_CAS_OBJECT_H

#include "base/json.h"
#include "base/mem.h"

/* A word of a list that may grow: what we know it as, and how it was written. known 0 with a text: not in our list, to be shown and waited with. */
struct cas_word {
	int known;	  /* of the enum named beside it */
	const char *text; /* NULL: not there */
};

enum cas_status { CAS_INACTIVE = 1, CAS_PENDING, CAS_NORMAL, CAS_WILL_EXPIRE, CAS_EXPIRED, CAS_REFUND, CAS_CLOSED };
enum cas_certificate_status { CAS_CERT_ISSUED = 1, CAS_CERT_REVOKED, CAS_CERT_WILL_EXPIRE, CAS_CERT_EXPIRED };
enum cas_instance_type { CAS_BUY = 1, CAS_TEST };
enum cas_certificate_type { CAS_DV = 1, CAS_OV, CAS_EV };
enum cas_proof_type { CAS_PROOF_TXT = 1, CAS_PROOF_CNAME, CAS_PROOF_HTTP }; /* HTTP: also written FILE */
enum cas_method { CAS_METHOD_DNS = 1, CAS_METHOD_HTTP };
enum cas_task_status { CAS_TASK_PROCESSING = 1, CAS_TASK_SUCCESS, CAS_TASK_FAILED };

/* How ownership of one name is to be shown. */
struct cas_proof {
	const char *domain, *root;
	struct cas_word type; /* enum cas_proof_type */
	const char *key;      /* host record, relative to root (or absolute: see the vendor's contradictions); HTTP: the path when it begins with '/' */
	const char *value;
	const char *cname, *cname_key; /* delegation once and for ever: cname_key, relative to root, is to be an alias of cname */
};

struct cas_instance {
	const char *id; /* always there */
	struct cas_word type, status, certificate_type, certificate_status, method;
	const char *spec, *brand, *name, *resource_group;
	const char *domain; /* names, separated by commas */
	int64_t names, wildcards; /* that it is good for; -1: not said */
	const char *certificate, *certificate_global; /* CertificateId and CertIdentifier */
	const char *csr, *csr_method, *key_algorithm;
	const char *pending_result; /* the CA's last word, in any language */
	int64_t wait_s;		    /* AverageWaitingTime; -1: not said */
	const char *company, *country, *province, *city;
	const char *auto_reissue, *upgrade;
	const char *const *contacts; /* ids */
	size_t ncontacts;
	const struct cas_proof *proofs;
	size_t nproofs;
	int64_t order_start, order_end, start, end, not_before, not_after, revoked;
	const char *strange; /* "Status: frozen": the first word not in our lists, or text where a number should be; NULL: none */
};
bool cas_instance_parse(struct arena *a, const struct js *v, struct cas_instance *out, struct err *err) __attribute__((warn_unused_result));

struct cas_contact {
	const char *id; /* always there */
	const char *name, *mobile, *email;
	bool mobile_verified, email_verified;
};
bool cas_contact_parse(struct arena *a, const struct js *v, struct cas_contact *out, struct err *err) __attribute__((warn_unused_result));

struct cas_company {
	const char *id; /* always there */
	const char *name, *type, *code, *phone, *email, *department, *address, *post_code, *city, *province, *country;
};
bool cas_company_parse(struct arena *a, const struct js *v, struct cas_company *out, struct err *err) __attribute__((warn_unused_result));

/* GetInstanceSummary; each -1: not said. */
struct cas_summary {
	int64_t left, inactive, total, will_expire, auto_reissue;
};
bool cas_summary_parse(struct arena *a, const struct js *v, struct cas_summary *out, struct err *err) __attribute__((warn_unused_result));

/* GetTaskAttribute. */
struct cas_task {
	struct cas_word status; /* enum cas_task_status */
	const char *message;
};
bool cas_task_parse(struct arena *a, const struct js *v, struct cas_task *out, struct err *err) __attribute__((warn_unused_result));

enum { CAS_PAGE_MAX = 1000 }; /* items of one answer */
struct cas_page {
	const struct js *items; /* a list; NULL: none in this answer */
	int64_t total;		/* of all pages; -1: not said */
};
/* member: "InstanceList", "ContactList", "CompanyList", ... */
bool cas_page_parse(const struct js *v, const char *member, struct cas_page *out, struct err *err) __attribute__((warn_unused_result));

#endif
