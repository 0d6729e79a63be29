/* SPDX-License-Identifier: ISC */
#include "ca/acme_url.h"

#include <string.h>

#include "io/http.h"

/* NULL, or what is wrong with it whatever the host. */
static const char *fault(const char *url, struct http_url *parts)
{
	size_t len = strnlen(url, ACME_URL_MAX + 1);

	if (len > ACME_URL_MAX)
		return "is too long";
	for (size_t i = 0; i < len; i++)
		if (url[i] <= ' ' || url[i] > '~')
			return "holds a blank, control or non-ASCII character";
	if (!http_url_parse(url, parts))
		return "is not a URL we request";
	if (!parts->https)
		return "is not https";
	return NULL;
}

bool acme_origin_parse(struct acme_origin *o, const char *directory, struct err *err)
{
	struct http_url parts;
	const char *why = fault(directory, &parts);

	if (why)
		return err_set(err, ERR_INPUT, "policy", "directory %s: \"%.200s\"", why, directory);
	memcpy(o->host, parts.host, sizeof o->host);
	o->port = parts.port;
	return true;
}

bool acme_url_check(const struct acme_origin *o, const char *field, const char *url, struct err *err)
{
	struct http_url parts;
	const char *why = fault(url, &parts);

	if (!why && (parts.port != o->port || strcmp(parts.host, o->host) != 0))
		why = "leads away from the host of the directory";
	if (why)
		return err_set(err, ERR_DENIED, "policy", "%s %s: \"%.200s\"", field, why, url);
	return true;
}
