/* SPDX-License-Identifier: ISC */
#include "ca/cas_object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { TEXT_BYTES = 16 * 1024, CONTACTS_MAX = 100, PROOFS_MAX = 1000 };

/* Later than any time in seconds (the year 5138), earlier than any of our days in milliseconds (March 1973). */
#define MILLISECONDS INT64_C(100000000000)

/* What may stand in a member and, with the struct that takes it, the type of its slot. */
enum shape {
	TEXT,	/* const char *: text, or a number or flag as such */
	NUMBER, /* int64_t: a whole number, or text that is one; -1 when it is not there */
	TIME,	/* int64_t, UNIX seconds: the same; 0 when it is not there */
	FLAG,	/* bool: true, or the number 1, or text that is one of these */
	WORD,	/* struct cas_word */
};

struct word {
	const char *name;
	int value;
};

struct field {
	const char *name;
	enum shape shape;
	size_t offset;
	const struct word *words; /* WORD: ended by a NULL name */
};

struct reader {
	struct arena *arena;
	struct err *err;
	const char *what; /* "instance": for errors */
	const char *strange;
};

#define COUNT(table) (sizeof table / sizeof table[0])
#define AT(type, member) offsetof(struct type, member)

static bool refuse(const struct reader *r, const char *field, const char *why)
{
	return err_set(r->err, ERR_TEMP, "object", "%s: %s %s", r->what, field, why);
}

/* Of a text, a whole number or a flag; *out is NULL for an empty one. */
static bool value_text(const struct reader *r, const char *field, const struct js *v, const char **out)
{
	const char *text = js_text(v);
	char *made;

	*out = NULL;
	if (text) {
		*out = *text ? text : NULL;
		return strnlen(text, TEXT_BYTES + 1) <= TEXT_BYTES || refuse(r, field, "is too long");
	}
	if (!js_is_int(v) && !js_is_bool(v))
		return refuse(r, field, "is not a text or a whole number");
	made = js_dump(v);
	*out = arena_strdup(r->arena, made);
	free(made);
	return true;
}

static void note_strange(struct reader *r, const char *field, const char *text)
{
	if (!r->strange)
		r->strange = arena_printf(r->arena, "%s: %.100s", field, text);
}

/* Text that is no number leaves *out alone: no order should fail because of a time that is only shown. */
static bool value_number(struct reader *r, const char *field, const struct js *v, int64_t *out)
{
	const char *text;
	char *end;
	long long n;

	if (!value_text(r, field, v, &text))
		return false;
	if (!text)
		return true;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end || n < 0)
		note_strange(r, field, text);
	else
		*out = n;
	return true;
}

static bool value_word(struct reader *r, const struct field *f, const struct js *v, struct cas_word *out)
{
	if (!value_text(r, f->name, v, &out->text))
		return false;
	if (!out->text)
		return true;
	for (const struct word *w = f->words; w->name; w++)
		if (strcasecmp(w->name, out->text) == 0)
			out->known = w->value;
	if (!out->known)
		note_strange(r, f->name, out->text);
	return true;
}

static bool value_flag(const struct reader *r, const char *field, const struct js *v, bool *out)
{
	const char *text;

	if (!value_text(r, field, v, &text))
		return false;
	*out = text && (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0);
	return true;
}

static bool read_field(struct reader *r, const struct field *f, const struct js *v, void *slot)
{
	switch (f->shape) {
	case TEXT:
		return value_text(r, f->name, v, slot);
	case NUMBER:
		return value_number(r, f->name, v, slot);
	case TIME:
		if (!value_number(r, f->name, v, slot))
			return false;
		if (*(int64_t *)slot > MILLISECONDS)
			*(int64_t *)slot /= 1000;
		return true;
	case FLAG:
		return value_flag(r, f->name, v, slot);
	case WORD:
		return value_word(r, f, v, slot);
	}
	return false;
}

/* out is zeroed. */
static bool read_fields(struct reader *r, const struct js *o, const struct field *f, size_t n, void *out)
{
	if (!js_is_object(o))
		return err_set(r->err, ERR_TEMP, "object", "%s is not an object", r->what);
	for (size_t i = 0; i < n; i++) {
		struct js *v = js_get(o, f[i].name);
		void *slot = (char *)out + f[i].offset;

		if (f[i].shape == NUMBER)
			*(int64_t *)slot = -1;
		if (v && !read_field(r, &f[i], v, slot))
			return false;
	}
	return true;
}

static bool read_list(const struct reader *r, const struct js *o, const char *name, size_t most, const struct js **out)
{
	*out = js_get(o, name);
	if (*out && !js_is_array(*out))
		return refuse(r, name, "is not a list");
	return js_len(*out) <= most || refuse(r, name, "is too long");
}

static bool has_id(const struct reader *r, const char *field, const char *id)
{
	return id || refuse(r, field, "is missing");
}

/* ---- instance ---- */

static const struct word statuses[] = {{"inactive", CAS_INACTIVE}, {"pending", CAS_PENDING}, {"normal", CAS_NORMAL}, {"willExpire", CAS_WILL_EXPIRE},
	{"expired", CAS_EXPIRED}, {"refund", CAS_REFUND}, {"closed", CAS_CLOSED}, {NULL, 0}};
static const struct word certificate_statuses[] = {{"issued", CAS_CERT_ISSUED}, {"revoked", CAS_CERT_REVOKED}, {"willExpire", CAS_CERT_WILL_EXPIRE},
	{"expired", CAS_CERT_EXPIRED}, {NULL, 0}};
static const struct word types[] = {{"BUY", CAS_BUY}, {"TEST", CAS_TEST}, {NULL, 0}};
static const struct word certificate_types[] = {{"DV", CAS_DV}, {"OV", CAS_OV}, {"EV", CAS_EV}, {NULL, 0}};
static const struct word methods[] = {{"DNS", CAS_METHOD_DNS}, {"HTTP", CAS_METHOD_HTTP}, {"FILE", CAS_METHOD_HTTP}, {NULL, 0}};
static const struct word proof_types[] = {
	{"TXT", CAS_PROOF_TXT}, {"CNAME", CAS_PROOF_CNAME}, {"HTTP", CAS_PROOF_HTTP}, {"FILE", CAS_PROOF_HTTP}, {NULL, 0}};
static const struct word task_statuses[] = {{"processing", CAS_TASK_PROCESSING}, {"PENDING", CAS_TASK_PROCESSING}, {"success", CAS_TASK_SUCCESS},
	{"COMPLETED", CAS_TASK_SUCCESS}, {"failed", CAS_TASK_FAILED}, {NULL, 0}};

static const struct field instance_fields[] = {
	{"InstanceId", TEXT, AT(cas_instance, id), NULL},
	{"InstanceType", WORD, AT(cas_instance, type), types},
	{"Status", WORD, AT(cas_instance, status), statuses},
	{"CertificateType", WORD, AT(cas_instance, certificate_type), certificate_types},
	{"CertificateStatus", WORD, AT(cas_instance, certificate_status), certificate_statuses},
	{"ValidationMethod", WORD, AT(cas_instance, method), methods},
	{"Spec", TEXT, AT(cas_instance, spec), NULL},
	{"Brand", TEXT, AT(cas_instance, brand), NULL},
	{"CertificateName", TEXT, AT(cas_instance, name), NULL},
	{"ResourceGroupId", TEXT, AT(cas_instance, resource_group), NULL},
	{"Domain", TEXT, AT(cas_instance, domain), NULL},
	{"FullDomainCount", NUMBER, AT(cas_instance, names), NULL},
	{"WildcardDomainCount", NUMBER, AT(cas_instance, wildcards), NULL},
	{"CertificateId", TEXT, AT(cas_instance, certificate), NULL},
	{"CertIdentifier", TEXT, AT(cas_instance, certificate_global), NULL},
	{"Csr", TEXT, AT(cas_instance, csr), NULL},
	{"GenerateCsrMethod", TEXT, AT(cas_instance, csr_method), NULL},
	{"KeyAlgorithm", TEXT, AT(cas_instance, key_algorithm), NULL},
	{"PendingResult", TEXT, AT(cas_instance, pending_result), NULL},
	{"AverageWaitingTime", NUMBER, AT(cas_instance, wait_s), NULL},
	{"CompanyId", TEXT, AT(cas_instance, company), NULL},
	{"CountryCode", TEXT, AT(cas_instance, country), NULL},
	{"Province", TEXT, AT(cas_instance, province), NULL},
	{"City", TEXT, AT(cas_instance, city), NULL},
	{"AutoReissue", TEXT, AT(cas_instance, auto_reissue), NULL},
	{"UpgradeStatus", TEXT, AT(cas_instance, upgrade), NULL},
	{"OrderStartTime", TIME, AT(cas_instance, order_start), NULL},
	{"OrderEndTime", TIME, AT(cas_instance, order_end), NULL},
	{"InstanceStartTime", TIME, AT(cas_instance, start), NULL},
	{"InstanceEndTime", TIME, AT(cas_instance, end), NULL},
	{"CertificateNotBefore", TIME, AT(cas_instance, not_before), NULL},
	{"CertificateNotAfter", TIME, AT(cas_instance, not_after), NULL},
	{"CertificateRevokeTime", TIME, AT(cas_instance, revoked), NULL},
};

static const struct field proof_fields[] = {
	{"Domain", TEXT, AT(cas_proof, domain), NULL},
	{"RootDomain", TEXT, AT(cas_proof, root), NULL},
	{"ValidationType", WORD, AT(cas_proof, type), proof_types},
	{"ValidationKey", TEXT, AT(cas_proof, key), NULL},
	{"ValidationValue", TEXT, AT(cas_proof, value), NULL},
	{"Cname", TEXT, AT(cas_proof, cname), NULL},
	{"CnameKey", TEXT, AT(cas_proof, cname_key), NULL},
};

static bool read_contacts(struct reader *r, const struct js *v, struct cas_instance *out)
{
	const struct js *list;
	const char **ids;

	if (!read_list(r, v, "ContactIdList", CONTACTS_MAX, &list))
		return false;
	ids = arena_array(r->arena, js_len(list) + 1, sizeof *ids);
	for (size_t i = 0; i < js_len(list); i++) {
		if (!value_text(r, "ContactIdList", js_at(list, i), &ids[out->ncontacts]))
			return false;
		out->ncontacts += ids[out->ncontacts] != NULL;
	}
	out->contacts = ids;
	return true;
}

static bool read_proofs(struct reader *r, const struct js *v, struct cas_instance *out)
{
	const char *whole = r->what;
	const struct js *list;
	struct cas_proof *proofs;

	if (!read_list(r, v, "DomainValidationList", PROOFS_MAX, &list))
		return false;
	proofs = arena_array(r->arena, js_len(list) + 1, sizeof *proofs);
	for (; out->nproofs < js_len(list); out->nproofs++) {
		r->what = arena_printf(r->arena, "%s: DomainValidationList %zu", whole, out->nproofs + 1);
		if (!read_fields(r, js_at(list, out->nproofs), proof_fields, COUNT(proof_fields), &proofs[out->nproofs]))
			return false;
	}
	r->what = whole;
	out->proofs = proofs;
	return true;
}

bool cas_instance_parse(struct arena *a, const struct js *v, struct cas_instance *out, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .what = "instance"};

	*out = (struct cas_instance){0};
	if (!read_fields(&r, v, instance_fields, COUNT(instance_fields), out) || !has_id(&r, "InstanceId", out->id))
		return false;
	r.what = arena_printf(a, "instance %.100s", out->id);
	if (!read_contacts(&r, v, out) || !read_proofs(&r, v, out))
		return false;
	out->strange = r.strange;
	return true;
}

/* ---- contact, company ---- */

static const struct field contact_fields[] = {
	{"ContactId", TEXT, AT(cas_contact, id), NULL},
	{"Name", TEXT, AT(cas_contact, name), NULL},
	{"Mobile", TEXT, AT(cas_contact, mobile), NULL},
	{"Email", TEXT, AT(cas_contact, email), NULL},
	{"MobileStatus", FLAG, AT(cas_contact, mobile_verified), NULL},
	{"EmailStatus", FLAG, AT(cas_contact, email_verified), NULL},
};

bool cas_contact_parse(struct arena *a, const struct js *v, struct cas_contact *out, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .what = "contact"};

	*out = (struct cas_contact){0};
	return read_fields(&r, v, contact_fields, COUNT(contact_fields), out) && has_id(&r, "ContactId", out->id);
}

static const struct field company_fields[] = {
	{"CompanyId", TEXT, AT(cas_company, id), NULL},
	{"CompanyName", TEXT, AT(cas_company, name), NULL},
	{"CompanyType", TEXT, AT(cas_company, type), NULL},
	{"CompanyCode", TEXT, AT(cas_company, code), NULL},
	{"CompanyPhone", TEXT, AT(cas_company, phone), NULL},
	{"CompanyEmail", TEXT, AT(cas_company, email), NULL},
	{"Department", TEXT, AT(cas_company, department), NULL},
	{"CompanyAddress", TEXT, AT(cas_company, address), NULL},
	{"PostCode", TEXT, AT(cas_company, post_code), NULL},
	{"City", TEXT, AT(cas_company, city), NULL},
	{"Province", TEXT, AT(cas_company, province), NULL},
	{"CountryCode", TEXT, AT(cas_company, country), NULL},
};

bool cas_company_parse(struct arena *a, const struct js *v, struct cas_company *out, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .what = "company"};

	*out = (struct cas_company){0};
	return read_fields(&r, v, company_fields, COUNT(company_fields), out) && has_id(&r, "CompanyId", out->id);
}

/* ---- totals, task, pages ---- */

static const struct field summary_fields[] = {
	{"CertificateCount", NUMBER, AT(cas_summary, left), NULL},
	{"InactiveCount", NUMBER, AT(cas_summary, inactive), NULL},
	{"TotalCount", NUMBER, AT(cas_summary, total), NULL},
	{"WillExpireCount", NUMBER, AT(cas_summary, will_expire), NULL},
	{"AutoReissueCount", NUMBER, AT(cas_summary, auto_reissue), NULL},
};

bool cas_summary_parse(struct arena *a, const struct js *v, struct cas_summary *out, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .what = "summary of instances"};

	return read_fields(&r, v, summary_fields, COUNT(summary_fields), out);
}

static const struct field task_fields[] = {
	{"TaskStatus", WORD, AT(cas_task, status), task_statuses},
	{"TaskMessage", TEXT, AT(cas_task, message), NULL},
};

bool cas_task_parse(struct arena *a, const struct js *v, struct cas_task *out, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .what = "task"};

	*out = (struct cas_task){0};
	return read_fields(&r, v, task_fields, COUNT(task_fields), out);
}

static const struct field page_fields[] = {{"TotalCount", NUMBER, AT(cas_page, total), NULL}};

bool cas_page_parse(const struct js *v, const char *name, struct cas_page *out, struct err *err)
{
	struct arena *a = arena_new(); /* of the number as text */
	struct reader r = {.arena = a, .err = err, .what = "list"};
	bool good = read_fields(&r, v, page_fields, COUNT(page_fields), out) && read_list(&r, v, name, CAS_PAGE_MAX, &out->items);

	arena_free(a);
	return good;
}
