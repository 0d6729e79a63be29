/* SPDX-License-Identifier: ISC */
#include "core/look.h"

#include <stdio.h>
#include <string.h>

bool look_find(const struct conf_cert *conf, size_t n, struct look_at *out)
{
	const char *name = conf->names.v[0];
	bool wild = name[0] == '*';

	/* Any name below a wildcard will do. */
	snprintf(out->sni, sizeof(out->sni), "%s%s", wild ? "dovad" : "", wild ? name + 1 : name);
	for (out->nth = 0; out->nth < conf->service.n; out->nth++) {
		out->service = conf->service.v[out->nth];
		if (n < out->service->look.n) {
			out->address = out->service->look.v[n];
			return true;
		}
		n -= out->service->look.n;
	}
	return false;
}

bool look_compare(const struct x509_chain *served, const char *fingerprint, const char *address, const struct conf_cert *conf, struct err *err)
{
	const struct x509_leaf *leaf = x509_leaf(served);

	return strcmp(leaf->fingerprint, fingerprint) == 0 || err_set(err, ERR_LOCAL, "stale",
		"%s still serves another certificate for %s (serial %s, issued by %s)", address, conf->names.v[0], leaf->serial, leaf->issuer);
}
