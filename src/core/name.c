/* SPDX-License-Identifier: ISC */
#include "core/name.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum {
	LABEL_MAX = 63,
	INPUT_MAX = 1024, /* an IDN in UTF-8 is longer than its A-labels, but not by this much */
};

static bool refuse(struct err *err, const char *text, const char *why)
{
	return err_set(err, ERR_INPUT, "name", "\"%.*s\" %s", 300, text, why);
}

static bool is_ip(const char *text)
{
	unsigned char address[16];

	return text[0] == '[' || strchr(text, ':') || inet_pton(AF_INET, text, address) == 1;
}

/* The part of the work that is libidn2's: mapping, normalisation, and the check of A-labels that came as such. Pure ASCII without them stays away
 * from it, so that its reasons are ours and in plain words. */
static bool to_ascii(const char *text, int flags, char out[NAME_ROOM + 1], struct err *err)
{
	bool plain = !strcasestr(text, "xn--");
	char *ascii = NULL;
	int rc = IDN2_OK;

	for (const char *s = text; *s; s++)
		plain = plain && (unsigned char)*s < 0x80;
	if (!plain)
		rc = idn2_to_ascii_8z(text, &ascii, IDN2_NONTRANSITIONAL | flags);
	if (rc != IDN2_OK)
		return refuse(err, text, "is not a valid internationalised name");
	snprintf(out, NAME_ROOM + 1, "%s", ascii ? ascii : text);
	idn2_free(ascii);
	for (char *s = out; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
	return true;
}

static const char *label_fault(const char *label, size_t len)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (len == 0)
		return "has an empty label (two dots, or a dot at an end)";
	if (len > LABEL_MAX)
		return "has a label of more than 63 octets";
	if (memchr(label, '*', len))
		return "has a * that is not the whole first label";
	if (memchr(label, '_', len))
		return "has an underscore, which CAs refuse in host names";
	if (strspn(label, alphabet) < len)
		return "has a character that is not a letter, digit or hyphen";
	if (label[0] == '-' || label[len - 1] == '-')
		return "has a label that begins or ends with a hyphen";
	if (len > 3 && label[2] == '-' && label[3] == '-' && strncmp(label, "xn", 2) != 0)
		return "has a label of a reserved form (hyphens in third and fourth place)";
	return NULL;
}

static const char *host_fault(const char *host)
{
	const char *label = host, *fault = NULL;
	size_t len = 0, labels = 0;

	if (strlen(host) >= NAME_ROOM)
		return "is longer than 253 octets";
	for (; !fault; label += len + 1, labels++) {
		len = strcspn(label, ".");
		fault = label_fault(label, len);
		if (!fault && label[len] == '\0')
			break;
	}
	if (fault)
		return fault;
	if (labels == 0)
		return "is a single label: no public CA issues for it";
	if (strspn(label, "0123456789") == len)
		return "ends in a number: that is no domain";
	return NULL;
}

/* The dot of the root, which says nothing more. Returns the length. */
static size_t strip_dot(char *host)
{
	size_t len = strlen(host);

	if (len > 1 && host[len - 1] == '.')
		host[--len] = '\0';
	return len;
}

bool name_normalise(const char *text, char out[NAME_ROOM], struct err *err)
{
	size_t wild = strncmp(text, "*.", 2) == 0 ? 2 : 0;
	char host[NAME_ROOM + 1];
	const char *fault;
	size_t len;

	if (strnlen(text, INPUT_MAX) == INPUT_MAX)
		return refuse(err, text, "is longer than 253 octets");
	if (is_ip(text + wild))
		return refuse(err, text, "is an IP address: not in this version");
	if (!to_ascii(text + wild, IDN2_USE_STD3_ASCII_RULES, host, err))
		return false;
	len = strip_dot(host);
	fault = is_ip(host) ? "is an IP address: not in this version" : host_fault(host);
	if (!fault && wild + len >= NAME_ROOM)
		fault = "is longer than 253 octets";
	if (fault)
		return refuse(err, text, fault);
	memmove(out, text, wild);
	memcpy(out + wild, host, len + 1);
	return true;
}

bool name_normalise_dns(const char *text, char out[NAME_ROOM], struct err *err)
{
	char name[NAME_ROOM + 1];

	if (strnlen(text, INPUT_MAX) == INPUT_MAX)
		return refuse(err, text, "is longer than 253 octets");
	if (is_ip(text))
		return refuse(err, text, "is an IP address, not a domain name");
	if (!to_ascii(text, 0, name, err))
		return false;
	strip_dot(name);
	if (!text_is_domain(name))
		return refuse(err, text, "is no domain name: labels of letters, digits, hyphens and underscores, with dots between them");
	memcpy(out, name, strlen(name) + 1);
	return true;
}

bool name_is_wildcard(const char *name)
{
	return strncmp(name, "*.", 2) == 0;
}

bool name_covers(const char *pattern, const char *name)
{
	const char *dot = strchr(name, '.');

	if (strcasecmp(pattern, name) == 0)
		return true;
	return name_is_wildcard(pattern) && dot && dot != name && !name_is_wildcard(name) && strcasecmp(pattern + 1, dot) == 0;
}

const char *name_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libidn2 %s", idn2_check_version(NULL));
	return text;
}
