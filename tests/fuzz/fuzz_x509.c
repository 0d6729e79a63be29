/* SPDX-License-Identifier: ISC */
/* What a CA or a TLS server sends, as PEM and as DER. What is taken must be what is written again. */
#include <stdlib.h>

#include "crypto/x509.h"
#include "fuzz.h"

static void check_again(const struct x509_chain *c)
{
	struct x509_chain *again;
	struct buf pem;

	buf_init(&pem, 2 * X509_PEM_MAX);
	check(x509_format(c, X509_FULLCHAIN, &pem));
	if (pem.len <= X509_PEM_MAX) { /* line ends may have made it longer than what came */
		again = x509_parse(pem.data, pem.len, NULL);
		check(again && x509_same_leaf(c, again) && x509_leaf(again)->length == x509_leaf(c)->length);
		x509_free(again);
	}
	buf_free(&pem);
}

static void look_at(struct x509_chain *c, const struct err *err)
{
	struct x509_wish wish = { 0 };
	const struct x509_leaf *leaf;
	struct err why = { 0 };

	if (!c) {
		check(err->kind == ERR_DENIED && err->detail[0]);
		return;
	}
	leaf = x509_leaf(c);
	check(leaf->serial && leaf->fingerprint && leaf->issuer && leaf->root && leaf->length >= 1);
	wish.names = leaf->names;
	wish.nnames = leaf->nnames;
	wish.now = leaf->not_after - 1;
	check(x509_accept(c, &wish, &why) || why.kind == ERR_DENIED);
	check_again(c);
	x509_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };

	look_at(x509_parse((const char *)data, size, &err), &err);
	err_clear(&err);
	look_at(x509_parse_der(&data, &size, 1, &err), &err);
	return 0;
}
