/* SPDX-License-Identifier: ISC */
/* What each type of option means: one row per type. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/conf_draft.h"
#include "core/name.h"
#include "crypto/key.h"
#include "crypto/token_uri.h"
#include "io/addr.h"

enum { WORD_MAX = 63, UNIT_MAX = 255, SHOWN = 100 /* bytes of a value in a message */ };

static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static bool refuse(struct conf_value *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(struct conf_value *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->why, sizeof v->why, fmt, ap);
	va_end(ap);
	return false;
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* First character a letter, digit or underscore, the others also of `more`: what file names, users and units have in common. */
static bool is_word(const char *s, const char *more, size_t max)
{
	size_t len = strlen(s);

	if (len == 0 || len > max || (!strchr(alnum, s[0]) && s[0] != '_'))
		return false;
	for (; *s; s++)
		if (!strchr(alnum, *s) && !strchr(more, *s))
			return false;
	return true;
}

/* --- texts: checked, and normalised into *out --- */

static bool text_string(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	(void)o;
	*out = arena_strdup(v->arena, text);
	return *text || refuse(v, "is empty");
}

static bool text_name(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	if (!text_is_name(text))
		return refuse(v, "\"%.*s\" is no name: at most 63 of a-z, 0-9, '.', '_' and '-', the first a letter or digit", SHOWN, text);
	return text_string(v, o, text, out);
}

/* Folder and text joined, without empty and "." components, so that one place has one spelling. false: "..". */
static bool join(char *out, const char *folder, const char *text)
{
	const char *parts[] = {text[0] == '/' ? "" : folder, text};
	char *end = out;

	for (size_t i = 0; i < 2; i++)
		for (const char *s = parts[i]; *s;) {
			size_t len = strcspn(s += strspn(s, "/"), "/");

			if (len == 2 && s[0] == '.' && s[1] == '.')
				return false;
			if (len > 0 && !(len == 1 && s[0] == '.')) {
				*end++ = '/';
				memcpy(end, s, len);
				end += len;
			}
			s += len;
		}
	if (end == out)
		*end++ = '/';
	*end = '\0';
	return true;
}

static bool text_path(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	char *path;

	*out = NULL;
	for (const char *const *word = o->words; word && *word; word++)
		if (strcmp(text, *word) == 0)
			return true;
	if (!*text)
		return refuse(v, "is empty");
	path = arena_alloc(v->arena, strlen(v->folder) + strlen(text) + 3);
	if (!join(path, v->folder, text))
		return refuse(v, "\"%.*s\" has a \"..\" in it: write the path without", SHOWN, text);
	if (o->max && strlen(path) > (size_t)o->max)
		return refuse(v, "\"%.*s\": a socket's path has at most %lld bytes, this one has %zu", SHOWN, text, (long long)o->max, strlen(path));
	*out = path;
	return true;
}

/* Only what a CA's directory can look like; io/http checks each URL again before it is asked. */
static bool text_url(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	const char *host = text + strlen("https://");

	if (!begins(text, "https://"))
		return refuse(v, "\"%.*s\" is no https:// URL", SHOWN, text);
	if (!*host || (!strchr(alnum, *host) && *host != '['))
		return refuse(v, "\"%.*s\" names no host", SHOWN, text);
	for (const char *s = text; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"<>\\^`{|}#@", *s))
			return refuse(v, "\"%.*s\" is no plain URL: no blanks, user names or fragments", SHOWN, text);
	return text_string(v, o, text, out);
}

static bool text_user(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	if (!is_word(text, "._-", WORD_MAX))
		return refuse(v, "\"%.*s\" is no name of a user or group", SHOWN, text);
	return text_string(v, o, text, out);
}

static bool text_unit(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	const char *dot = strrchr(text, '.');

	if (!is_word(text, "._-:@\\", UNIT_MAX) || !dot || strcmp(dot, ".service") != 0)
		return refuse(v, "\"%.*s\" is no name of a service unit: \"nginx.service\", say", SHOWN, text);
	return text_string(v, o, text, out);
}

/* The value is never part of the message: it may be the secret itself. */
static bool text_secret(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	static const char prefix[] = "credential:";

	if (!begins(text, prefix))
		return refuse(
			v, "secrets never stand here: put it into a file NAME (mode 0600) of the credentials folder, and write \"credential:NAME\"");
	if (!is_word(text + strlen(prefix), "._-", WORD_MAX))
		return refuse(v, "what follows credential: is no plain file name");
	return text_string(v, o, text + strlen(prefix), out);
}

static bool text_argument(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	(void)o;
	*out = arena_strdup(v->arena, text);
	return v->index > 0 || text[0] == '/' || refuse(v, "\"%.*s\": the program is named by its absolute path", SHOWN, text);
}

static bool text_reference(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	for (const char *const *word = o->later; word && *word; word++)
		if (begins(text, *word))
			return refuse(v, "\"%.*s\" is not in this version", SHOWN, text);
	return text_string(v, o, text, out);
}

static bool text_domain(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	char name[NAME_ROOM];
	struct err err = {0};

	if (!name_normalise(text, name, &err))
		return refuse(v, "%s", err.detail);
	return text_string(v, o, name, out);
}

static bool text_addr(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	bool known = false;
	struct addr a;

	for (const char *const *word = o->words; word && *word; word++)
		known = known || (begins(text, *word) && is_word(text + strlen(*word), "._-", WORD_MAX));
	if (!known && !addr_parse(text, 1, &a))
		return refuse(v, "\"%.*s\" is no address: \"192.0.2.1:443\" or \"[2001:db8::1]:443\", say; names are not looked up", SHOWN, text);
	return text_string(v, o, text, out);
}

static bool text_place(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	char in_place[ADDR_TEXT];
	struct addr a;

	if (*text != '*')
		return text_addr(v, o, text, out);
	snprintf(in_place, sizeof in_place, "127.0.0.1%.8s", text + 1);
	if (strlen(text) > 7 || (text[1] && text[1] != ':') || !addr_parse(in_place, 1, &a))
		return refuse(v, "\"%.*s\" is no place to look at: \"*\" or \"*:443\", say", SHOWN, text);
	return text_string(v, o, text, out);
}

static bool text_domain_name(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	char name[NAME_ROOM];
	struct err err = {0};

	if (!name_normalise_dns(text, name, &err))
		return refuse(v, "%s", err.detail);
	return text_string(v, o, name, out);
}

/* The name normalised, its port as written. */
static bool text_host(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	size_t len = strcspn(text, ":");
	struct err err = {0};
	char name[NAME_ROOM], *host;
	struct addr a;

	if (addr_parse(text, 1, &a))
		return text_string(v, o, text, out);
	snprintf(name, sizeof name, "127.0.0.1%.8s", text + len); /* the port: as that of an address */
	if (strspn(text, "0123456789.") == len || strlen(text + len) > 6 || !addr_parse(name, 1, &a))
		return refuse(v, "\"%.*s\" is neither an address nor a host name: \"192.0.2.1:53\", \"[2001:db8::1]:53\" or \"ns1.example.org\", say",
			SHOWN, text);
	host = arena_strndup(v->arena, text, len);
	if (!name_normalise_dns(host, name, &err))
		return refuse(v, "%s", err.detail);
	snprintf(host = arena_alloc(v->arena, sizeof name + 7), sizeof name + 7, "%s%s", name, text + len);
	*out = host;
	return true;
}

/* The host is in lower case, and the port there only when it is not the scheme's own: what is signed is what is sent. */
static bool text_origin(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	const char *host = text + strlen("https://"), *end;
	size_t len;

	if (!text_url(v, o, text, out))
		return false;
	len = strcspn(host, "/?");
	if ((host[len] && strcmp(host + len, "/") != 0) || (*host != '[' && memchr(host, ':', len) != memrchr(host, ':', len)))
		return refuse(v, "\"%.*s\" is more than a host and its port: \"https://cas.example.net:8443\", say", SHOWN, text);
	if (!text_host(v, o, arena_strndup(v->arena, host, len), &host))
		return false;
	end = strrchr(host, ':');
	*out = arena_printf(v->arena, "https://%.*s", (int)(end && strcmp(end, ":443") == 0 ? (size_t)(end - host) : strlen(host)), host);
	return true;
}

static bool text_resolver(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	return strstr(text, "://") ? text_url(v, o, text, out) : text_addr(v, o, text, out);
}

static bool text_contact(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	const char *at = strchr(text, '@');

	if (!begins(text, "mailto:") || !at || at == text + strlen("mailto:") || !strchr(at, '.') || strchr(at + 1, '@') ||
		strpbrk(text, " ,;?&<>\""))
		return refuse(v, "\"%.*s\" is no contact: \"mailto:hostmaster@example.org\", say, one address in each", SHOWN, text);
	return text_string(v, o, text, out);
}

/* --- the others: converted into the field, which a bad value leaves as it was --- */

static bool in_range(struct conf_value *v, const struct schema_option *o, int64_t n, const char *unit)
{
	if (o->max && (n < o->min || n > o->max))
		return refuse(v, "is out of range: from %" PRId64 "%s to %" PRId64 "%s", o->min, unit, o->max, unit);
	return true;
}

static bool put_bool(struct conf_value *v, const struct schema_option *o, const char *text, void *field)
{
	(void)v;
	(void)o;
	*(bool *)field = strcmp(text, "true") == 0;
	return true;
}

static bool put_int(struct conf_value *v, const struct schema_option *o, const char *text, void *field)
{
	long n = strtol(text, NULL, 10); /* a number already, and in range of int */

	if (!in_range(v, o, n, ""))
		return false;
	*(int *)field = (int)n;
	return true;
}

static bool put_duration(struct conf_value *v, const struct schema_option *o, const char *text, void *field)
{
	int64_t seconds;

	if (!text_duration_parse(text, &seconds))
		return refuse(v, "\"%.*s\" is no time: \"90s\", \"15m\", \"12h\" or \"30d\", say", SHOWN, text);
	if (!in_range(v, o, seconds, "s"))
		return false;
	*(int64_t *)field = seconds;
	return true;
}

static bool put_mode(struct conf_value *v, const struct schema_option *o, const char *text, void *field)
{
	size_t len = strlen(text);
	unsigned long mode = strtoul(text, NULL, 8);

	(void)o;
	if (len < 3 || len > 4 || strspn(text, "01234567") < len)
		return refuse(v, "\"%.*s\" is no mode: \"0640\", say", SHOWN, text);
	if (mode & ~0660ul || !(mode & 0400))
		return refuse(v, "\"%s\" does not suit a private key: read for its owner, nothing for others, no execution", text);
	*(unsigned *)field = (unsigned)mode;
	return true;
}

static size_t count(const char *const *words)
{
	size_t n = 0;

	while (words && words[n])
		n++;
	return n;
}

static bool put_word(struct conf_value *v, const struct schema_option *o, const char *text, void *field)
{
	const char *near;
	char all[160] = "";
	size_t len = 0;

	for (int i = 0; o->words[i]; i++)
		if (strcmp(text, o->words[i]) == 0) {
			*(int *)field = i;
			return true;
		}
	for (const char *const *word = o->later; word && *word; word++)
		if (strcmp(text, *word) == 0)
			return refuse(v, "\"%s\" is not in this version", text);
	near = text_nearest(text, o->words, count(o->words));
	if (near)
		return refuse(v, "unknown word \"%.*s\", did you mean \"%s\"?", SHOWN, text, near);
	for (const char *const *word = o->words; *word && len < sizeof all; word++)
		len += (size_t)snprintf(all + len, sizeof all - len, "%s\"%s\"", len ? ", " : "", *word);
	return refuse(v, "unknown word \"%.*s\": one of %s", SHOWN, text, all);
}

static bool put_key(struct conf_value *v, const struct schema_option *o, const char *text, void *field)
{
	struct conf_key *key = field;
	struct err err = {0};

	if (!begins(text, TOKEN_URI_SCHEME)) {
		key->uri = NULL;
		return put_word(v, o, text, &key->type);
	}
	if (!token_uri_check(text, &err))
		return refuse(v, "%s", err.detail);
	key->type = KEY_TYPES;
	key->uri = arena_strdup(v->arena, text);
	return true;
}

/* A number stays a text, so that one field holds either. */
static bool text_amount(struct conf_value *v, const struct schema_option *o, const char *text, const char **out)
{
	long n = strtol(text, NULL, 10);
	int word;

	if (*text && strspn(text, "0123456789") == strlen(text))
		return ((text[0] != '0' && strlen(text) < 6) || refuse(v, "\"%.*s\" is no plain number", SHOWN, text)) && in_range(v, o, n, "") &&
			text_string(v, o, text, out);
	return put_word(v, o, text, &word) && text_string(v, o, text, out);
}

/* --- the table --- */

static const struct conf_kind kinds[] = {
	[SCHEMA_STRING] = {.wants = "a text in quotes", .text = text_string},
	[SCHEMA_BOOL] = {.wants = "true or false, without quotes", .put = put_bool},
	[SCHEMA_INT] = {.wants = "a whole number, without quotes", .put = put_int},
	[SCHEMA_DURATION] = {.wants = "a time with its unit, in quotes: \"90s\", \"15m\", say", .put = put_duration},
	[SCHEMA_MODE] = {.wants = "a mode in quotes (a number would be read as decimal): \"0640\"", .put = put_mode},
	[SCHEMA_WORD] = {.wants = "a word in quotes", .put = put_word},
	[SCHEMA_KEY] = {.wants = "a word in quotes, or the pkcs11: URI of a key on a token", .put = put_key},
	[SCHEMA_NAME] = {.wants = "a name in quotes", .text = text_name},
	[SCHEMA_PATH] = {.wants = "a path in quotes", .text = text_path},
	[SCHEMA_URL] = {.wants = "a URL in quotes", .text = text_url},
	[SCHEMA_ORIGIN] = {.wants = "the https URL of a host in quotes", .text = text_origin},
	[SCHEMA_USER] = {.wants = "the name of a user or group in quotes", .text = text_user},
	[SCHEMA_UNIT] = {.wants = "the name of a unit in quotes", .text = text_unit},
	[SCHEMA_SECRET] = {.wants = "\"credential:NAME\"", .text = text_secret},
	[SCHEMA_DOMAIN] = {.wants = "a domain name in quotes", .text = text_domain_name},
	[SCHEMA_HOST] = {.wants = "an address or host name in quotes", .text = text_host},
	[SCHEMA_AMOUNT] = {.wants = "a word in quotes, or a whole number", .text = text_amount},
	[SCHEMA_NAMES] = {.wants = "a list of names: [ \"a\", \"b\" ]", .text = text_reference, .list = true, .unique = true},
	[SCHEMA_DOMAINS] = {.wants = "a list of domain names: [ \"example.org\", \"www.example.org\" ]",
		.text = text_domain,
		.list = true,
		.unique = true},
	[SCHEMA_ZONES] = {.wants = "a list of domain names: [ \"example.org\" ]", .text = text_domain_name, .list = true, .unique = true},
	[SCHEMA_SECRETS] = {.wants = "a list of \"credential:NAME\"", .text = text_secret, .list = true, .unique = true},
	[SCHEMA_ARGV] = {.wants = "a list of program and arguments, no shell: [ \"/usr/sbin/nginx\", \"-t\" ], say",
		.text = text_argument,
		.list = true},
	[SCHEMA_PLACES] = {.wants = "a list of addresses: [ \"127.0.0.1:443\" ] or [ \"*:443\" ]", .text = text_place, .list = true, .unique = true},
	[SCHEMA_ADDRS] = {.wants = "a list of addresses: [ \"127.0.0.1:443\" ]", .text = text_addr, .list = true, .unique = true},
	[SCHEMA_RESOLVERS] = {.wants = "a list of addresses or https URLs: [ \"192.0.2.53\", \"https://dns.example/dns-query\" ]",
		.text = text_resolver,
		.list = true,
		.unique = true},
	[SCHEMA_CONTACTS] = {.wants = "a list of contacts: [ \"mailto:hostmaster@example.org\" ]",
		.text = text_contact,
		.list = true,
		.unique = true},
	[SCHEMA_GROUP] = {.wants = "a group: { ... }"},
	[SCHEMA_GROUPS] = {.wants = "a group or a list of groups: ( { ... }, { ... } )"},
};

bool conf_value_put(struct conf_value *v, const struct schema_option *o, const char *text, void *field)
{
	const struct conf_kind *k = &kinds[o->type];
	const char *out;

	if (k->put)
		return k->put(v, o, text, field);
	if (!k->text(v, o, text, &out))
		return false;
	*(const char **)field = out;
	return true;
}

const struct conf_kind *conf_value_kind(enum schema_type type)
{
	return &kinds[type];
}
