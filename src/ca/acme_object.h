/* SPDX-License-Identifier: ISC */
/* The objects of RFC 8555 section 7.1 as a CA sends them, read into structs. Types are strict (null counts as missing, unknown members are ignored),
 * every URL passes acme_url_check, every token text_is_token; an error names the field. Texts are borrowed from the JSON value, arrays and what had
 * to be changed live in the arena.
 *
 * Errors: ERR_TEMP "object" for a wrong shape, ERR_DENIED "policy" for content nobody may act on. */
#ifndef DOVAD_CA_ACME_OBJECT_H
#define DOVAD_CA_ACME_OBJECT_H

#include "base/json.h"
#include "base/mem.h"
#include "ca/acme_url.h"
#include "ca/issuer.h"

/* js_parse with the object's name in the error. Caller owns. */
struct js *acme_object_read(const char *what, const char *text, size_t len, struct err *err) __attribute__((warn_unused_result));

struct acme_directory {
	const char *new_nonce, *new_account, *new_order;
	const char *revoke_cert, *key_change, *renewal_info; /* NULL: not offered */
	const char *terms;				     /* for humans, never requested; NULL: none */
	bool eab_required;
	const struct js *profiles; /* name: text; NULL: none */
	const struct js *caa;	   /* its names in CAA records, as it wrote them: any list; NULL: none. Advice only, so nothing is wrong with a wrong one */
};
bool acme_directory_parse(const struct js *v, const struct acme_origin *o, struct acme_directory *out, struct err *err)
	__attribute__((warn_unused_result));

struct acme_account_object {
	const char *status; /* "valid", "deactivated", "revoked": others are errors */
	bool valid;
};
bool acme_account_parse(const struct js *v, struct acme_account_object *out, struct err *err) __attribute__((warn_unused_result));

/* url and wait_ms come from elsewhere: they are left alone. */
bool acme_order_parse(struct arena *a, const struct js *v, const struct acme_origin *o, struct issuer_order *out, struct err *err)
	__attribute__((warn_unused_result));
bool acme_authz_parse(struct arena *a, const struct js *v, const struct acme_origin *o, struct issuer_authz *out, struct err *err)
	__attribute__((warn_unused_result));
/* Are the order's identifiers exactly the asked ones (case and order do not matter)? Else ERR_DENIED "identifiers" that names the difference. */
bool acme_order_check(const struct issuer_order *order, const char *const *names, size_t n, struct err *err) __attribute__((warn_unused_result));

#endif
