/* SPDX-License-Identifier: ISC */
/* Everything of an ACME answer that is parsed in src/ca: the first byte chooses the object, the rest is its text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "ca/acme_object.h"
#include "ca/acme_problem.h"
#include "fuzz.h"

static const struct acme_origin origin = {"ca.example", 443};

static void check_order(const struct issuer_order *o, struct err *err)
{
	check(acme_order_check(o, o->names, o->nnames, err));
	for (size_t i = 0; i < o->nauthz; i++)
		check(acme_url_check(&origin, "authz", o->authz[i], err));
}

static void check_authz(const struct issuer_authz *z)
{
	static const char b64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	check(z->name[0] && !strpbrk(z->name, "/*\\ \n"));
	for (size_t i = 0; i < z->nchallenge; i++) {
		const char *token = z->challenge[i].token;

		check(!token || strspn(token, b64url) == strlen(token));
	}
}

static void parse_object(uint8_t what, struct arena *a, const struct js *v, struct err *err)
{
	struct acme_directory directory;
	struct acme_account_object account;
	struct issuer_order order = {0};
	struct issuer_authz authz = {0};
	bool good = true;

	switch (what % 5) {
	case 0:
		good = acme_directory_parse(v, &origin, &directory, err);
		break;
	case 1:
		good = acme_account_parse(v, &account, err);
		break;
	case 2:
		good = acme_order_parse(a, v, &origin, &order, err);
		if (good)
			check_order(&order, err);
		break;
	case 3:
		good = acme_authz_parse(a, v, &origin, &authz, err);
		if (good)
			check_authz(&authz);
		break;
	default:
		acme_problem_parse(v, err);
	}
	check(good || err->kind == ERR_TEMP || err->kind == ERR_DENIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct arena *a;
	struct err err = {0};
	struct js *v;

	if (size < 1)
		return 0;
	if (data[0] == 'p') {
		struct acme_refusal r = {.status = size > 1 ? 300 + data[1] : 400, .body = text, .len = size - 1, .retry_after = (int64_t)size - 40};

		acme_problem_read(&r, &err);
		check(err.kind != ERR_NONE && memchr(err.detail, '\0', sizeof err.detail));
		return 0;
	}
	if (data[0] == 'u') {
		char *url = mem_strndup(text, size - 1);

		check(!acme_url_check(&origin, "url", url, &err) || strncasecmp(url, "https://ca.example", 18) == 0);
		free(url);
		return 0;
	}
	v = acme_object_read("object", text, size - 1, &err);
	if (!v)
		return 0;
	a = arena_new();
	parse_object((uint8_t)(data[0] - '0'), a, v, &err);
	arena_free(a);
	js_free(v);
	return 0;
}
