/* SPDX-License-Identifier: ISC */
#include "crypto/token_uri.h"

#include <ctype.h>
#include <string.h>

static const struct attribute {
	const char *name;
	bool of_token; /* it says which token, not which key on it */
} attributes[] = {
	{ "token", true }, { "serial", true }, { "manufacturer", true }, { "model", true }, { "object", false }, { "id", false }, { "type", false },
};
enum { ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0]) };

/* Where what RFC 7512 knows and we do not take belongs. */
static const struct {
	const char *name, *why;
} elsewhere[] = {
	{ "pin-value", "a PIN does not belong into the configuration: pkcs11_pin = \"credential:NAME\"" },
	{ "pin-source", "the PIN comes from a credential: pkcs11_pin = \"credential:NAME\"" },
	{ "module-path", "the module is a setting of the daemon: pkcs11_module" },
	{ "module-name", "the module is a setting of the daemon: pkcs11_module" },
};

static bool refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_INPUT, "token-uri", "the URI of the key: %s", why);
}

static bool is_named(const char *at, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(at, name, len) == 0;
}

static const struct attribute *find_attribute(const char *at, size_t len)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (is_named(at, len, attributes[i].name))
			return &attributes[i];
	return NULL;
}

static bool refuse_attribute(const char *at, size_t len, struct err *err)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (is_named(at, len, elsewhere[i].name))
			return refuse(err, elsewhere[i].why);
	return err_set(err, ERR_INPUT, "token-uri", "the URI of the key: unknown part \"%.*s\": token, serial, manufacturer, model, object, id and type are "
		"taken", len < 32 ? (int)len : 32, at);
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Up to the end of the part; false: bad escapes, or too long. *n: octets. */
static bool decode(const char *value, char out[TOKEN_VALUE], size_t *n)
{
	*n = 0;
	for (; *value && *value != ';' && *value != '?'; value++) {
		int c = (unsigned char)*value;

		if (c == '%') {
			int high = hex_digit(value[1]), low = high < 0 ? -1 : hex_digit(value[2]);

			if (low < 0)
				return false;
			c = high * 16 + low;
			value += 2;
		}
		if (*n == TOKEN_VALUE - 1)
			return false;
		out[(*n)++] = (char)c;
	}
	out[*n] = '\0';
	return true;
}

static const char *find_value(const char *uri, const char *name)
{
	const char *part = uri + strlen(TOKEN_URI_SCHEME);
	size_t len = strlen(name);

	for (; *part && *part != '?'; part += strspn(part, ";")) {
		if (strncmp(part, name, len) == 0 && part[len] == '=')
			return part + len + 1;
		part += strcspn(part, ";?");
	}
	return NULL;
}

static bool check_value(const struct attribute *a, const char *value, struct err *err)
{
	char out[TOKEN_VALUE];
	size_t n;

	if (!decode(value, out, &n))
		return refuse(err, "a value with a bad % escape, or too long");
	if (n == 0 || (strcmp(a->name, "id") != 0 && strlen(out) != n))
		return refuse(err, n ? "a NUL byte" : "an empty value");
	return strcmp(a->name, "type") != 0 || strcmp(out, "private") == 0 || refuse(err, "type is private, or left out");
}

static bool check_parts(const char *uri, struct err *err)
{
	const char *part = uri + strlen(TOKEN_URI_SCHEME);

	for (size_t n = 0; n == 0 || *part; n++) {
		size_t len = strcspn(part, "=;?");
		const struct attribute *a = find_attribute(part, len);

		if (part[len] != '=')
			return refuse(err, "parts are \"attribute=value\", with ; between them");
		if (!a)
			return refuse_attribute(part, len, err);
		if (find_value(uri, a->name) != part + len + 1)
			return refuse(err, "the same attribute twice");
		if (!check_value(a, part + len + 1, err))
			return false;
		part += strcspn(part, ";?");
		if (*part == '?') { /* what asks for things, not names them */
			part++;
			return refuse_attribute(part, strcspn(part, "=&"), err);
		}
		part += *part == ';';
	}
	return true;
}

bool token_uri_check(const char *uri, struct err *err)
{
	size_t len = strlen(uri);

	if (strncmp(uri, TOKEN_URI_SCHEME, strlen(TOKEN_URI_SCHEME)) != 0)
		return refuse(err, "it begins with \"pkcs11:\"");
	if (len > TOKEN_URI_MAX)
		return refuse(err, "it is too long");
	for (size_t i = 0; i < len; i++)
		if (uri[i] <= ' ' || uri[i] >= 0x7f || strchr("\"<>\\^`{}|#/", uri[i]))
			return refuse(err, "a character that must be written as %XX");
	if (!check_parts(uri, err))
		return false;
	if (!find_value(uri, "token") && !find_value(uri, "serial"))
		return refuse(err, "it must say which token: token=LABEL, or serial=NUMBER");
	return find_value(uri, "object") || find_value(uri, "id") || refuse(err, "it must say which key: object=LABEL, or id=%XX");
}

bool token_uri_find(const char *uri, const char *attribute, char out[TOKEN_VALUE])
{
	const char *value = find_value(uri, attribute);
	size_t n;

	return value && decode(value, out, &n);
}

bool token_uri_may_share(const char *a, const char *b)
{
	char x[TOKEN_VALUE], y[TOKEN_VALUE];

	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (attributes[i].of_token && token_uri_find(a, attributes[i].name, x) && token_uri_find(b, attributes[i].name, y) && strcmp(x, y) != 0)
			return false;
	return true;
}
