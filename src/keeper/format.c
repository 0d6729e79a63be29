/* SPDX-License-Identifier: ISC */
#include "keeper/format.h"

#include <string.h>

#include "crypto/pkcs12.h"
#include "crypto/x509.h"
#include "keeper/credential.h"

struct making {
	const struct conf_cert *cert;
	const struct conf_target *target;
	const struct bundle *from;
	struct key *key;
};

static bool add(struct buf *out, const struct buf *in)
{
	return buf_add(out, in->data ? in->data : "", in->len);
}

static bool make_bundle(const struct making *m, struct buf *out, struct err *err)
{
	return (add(out, &m->from->file[CONF_PART_KEY]) && add(out, &m->from->file[CONF_PART_FULLCHAIN])) ||
		err_set(err, ERR_BUG, "size", "the bundle is too large");
}

/* "": none is configured. */
static bool read_password(const struct making *m, struct buf *out, struct err *err)
{
	const char *name = m->target->pkcs12_password;
	struct err why;

	if (!name)
		return buf_puts(out, "");
	if (!credential_read(m->cert->credentials, name, out, &why))
		return err_set(err, why.kind, why.type, "pkcs12_password: %s", why.detail);
	return strlen(out->data) == out->len || err_set(err, ERR_LOCAL, "credential", "pkcs12_password: the credential \"%s\" holds a NUL byte", name);
}

static bool make_pkcs12(const struct making *m, struct buf *out, struct err *err)
{
	struct pkcs12 p = { .key = m->key, .chain = &m->from->file[CONF_PART_FULLCHAIN], .name = m->cert->name };
	struct buf password;
	bool ok;

	buf_init(&password, BUNDLE_FILE_MAX);
	ok = read_password(m, &password, err);
	p.password = password.data ? password.data : "";
	ok = ok && pkcs12_format(&p, out, err);
	buf_wipe(&password);
	return ok;
}

static bool make_key_der(const struct making *m, struct buf *out, struct err *err)
{
	return key_format_der(m->key, out, err);
}

static bool make_cert_der(const struct making *m, struct buf *out, struct err *err)
{
	const struct buf *pem = &m->from->file[CONF_PART_CERT];
	struct x509_chain *cert = x509_parse(pem->data ? pem->data : "", pem->len, err);
	const unsigned char *der;
	size_t len;
	bool ok = cert != NULL;

	if (ok) {
		x509_der(cert, 0, &der, &len);
		ok = buf_add(out, der, len) || err_set(err, ERR_BUG, "size", "the certificate is too large");
	}
	x509_free(cert);
	return ok;
}

static const struct {
	bool (*make)(const struct making *m, struct buf *out, struct err *err); /* NULL: as it is */
	bool key; /* it takes the key itself, not only its text */
} parts[CONF_PARTS] = {
	[CONF_PART_BUNDLE] = { make_bundle, false },
	[CONF_PART_PKCS12] = { make_pkcs12, true },
	[CONF_PART_KEY_DER] = { make_key_der, true },
	[CONF_PART_CERT_DER] = { make_cert_der, false },
};

enum { NEEDS_KEY = 1 << CONF_PART_KEY | 1 << CONF_PART_BUNDLE | 1 << CONF_PART_PKCS12 | 1 << CONF_PART_KEY_DER };

unsigned format_parts(const struct conf_target *t, unsigned from)
{
	unsigned wanted = 0;

	if (t->dir)
		return BUNDLE_CERTS | (from & BUNDLE_KEYS) | (unsigned)t->bundle << CONF_PART_BUNDLE | (unsigned)t->pkcs12 << CONF_PART_PKCS12 |
			(unsigned)t->der << CONF_PART_KEY_DER | (unsigned)t->der << CONF_PART_CERT_DER;
	for (int i = 0; i < CONF_PARTS; i++)
		wanted |= (unsigned)(t->file[i] != NULL) << i;
	return wanted;
}

static bool make_part(struct making *m, enum conf_part part, struct buf *out, struct err *err)
{
	const struct buf *pem = bundle_key(m->from);

	/* The configuration does not ask for it, but the generation may be one of before. */
	if (bundle_has(m->from, CONF_PART_PUBKEY) && (1u << part & NEEDS_KEY))
		return err_set(err, ERR_LOCAL, "key", "%s cannot be written: the key of this generation is on a token", bundle_file_names[part]);
	if (!parts[part].make)
		return add(out, &m->from->file[part]) || err_set(err, ERR_BUG, "size", "%s is too large", bundle_file_names[part]);
	if (parts[part].key && !m->key)
		m->key = key_parse(pem->data ? pem->data : "", pem->len, err);
	return (!parts[part].key || m->key) && parts[part].make(m, out, err);
}

bool format_make(const struct conf_cert *cert, const struct conf_target *t, const struct bundle *from, struct bundle *made, struct err *err)
{
	struct making m = { .cert = cert, .target = t, .from = from };
	bool ok = true;

	made->parts = format_parts(t, from->parts);
	for (int i = 0; ok && i < CONF_PARTS; i++)
		ok = !bundle_has(made, i) || make_part(&m, i, &made->file[i], err);
	key_free(m.key);
	if (ok)
		bundle_seal(made);
	return ok;
}
