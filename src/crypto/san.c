/* SPDX-License-Identifier: ISC */
#include "crypto/san.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "crypto/ossl.h"
#include "crypto/x509.h"

enum { NAME_MAX_BYTES = 253 }; /* of a host name written out (RFC 1035), which is also our bound on what a peer sends */

/* Visible ASCII only: what else a name holds is either a trick (NUL, blanks) or not an A-label. */
static bool is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f)
			return false;
	}
	return len > 0 && len <= NAME_MAX_BYTES;
}

static bool add_name(GENERAL_NAMES *list, const char *name)
{
	GENERAL_NAME *entry = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	if (!entry || !text || ASN1_STRING_set(text, name, -1) != 1) {
		ASN1_IA5STRING_free(text);
		GENERAL_NAME_free(entry);
		return false;
	}
	GENERAL_NAME_set0_value(entry, GEN_DNS, text);
	if (sk_GENERAL_NAME_push(list, entry) > 0)
		return true;
	GENERAL_NAME_free(entry);
	return false;
}

GENERAL_NAMES *san_build(const char *const *names, size_t nnames, struct err *err)
{
	GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
	bool ok = list;

	for (size_t i = 0; ok && i < nnames; i++) {
		if (!is_plain(names[i], strlen(names[i])))
			ok = err_set(err, ERR_INPUT, "badName", "a name that is no host name");
		else if (!add_name(list, names[i]))
			ok = ossl_fail(err, ERR_LOCAL, "openssl", "cannot write the names");
	}
	if (ok)
		return list;
	GENERAL_NAMES_free(list);
	return NULL;
}

static bool refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_DENIED, "badCertificate", "%s", what);
}

bool san_read(const GENERAL_NAMES *list, struct arena *a, struct san *out, struct err *err)
{
	int n = list ? sk_GENERAL_NAME_num(list) : 0;
	const char **names;

	*out = (struct san){ 0 };
	if (n > X509_NAMES_MAX)
		return refuse(err, "too many alternative names");
	names = arena_array(a, (size_t)n, sizeof *names);
	out->names = names;
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *entry = sk_GENERAL_NAME_value(list, i);
		const char *text;
		size_t len;
		char *name;

		if (entry->type != GEN_DNS) {
			out->nothers++;
			continue;
		}
		text = (const char *)ASN1_STRING_get0_data(entry->d.dNSName);
		len = (size_t)ASN1_STRING_length(entry->d.dNSName);
		if (!is_plain(text, len))
			return refuse(err, "an alternative name holds bytes that no host name has");
		name = arena_strndup(a, text, len);
		for (char *c = name; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		names[out->nnames++] = name;
	}
	return true;
}

static bool has(const char *const *names, size_t nnames, const char *name)
{
	for (size_t i = 0; i < nnames; i++) {
		if (strcasecmp(names[i], name) == 0)
			return true;
	}
	return false;
}

bool san_check(const struct san *san, const char *const *names, size_t nnames, struct err *err)
{
	for (size_t i = 0; i < nnames; i++) {
		if (!has(san->names, san->nnames, names[i]))
			return err_set(err, ERR_DENIED, "badCertificate", "the name %s is missing", names[i]);
	}
	for (size_t i = 0; i < san->nnames; i++) {
		if (!has(names, nnames, san->names[i]))
			return err_set(err, ERR_DENIED, "badCertificate", "the name %s was not asked for",
				       san->names[i]);
	}
	return san->nothers == 0 || refuse(err, "an alternative name of another kind was not asked for");
}
