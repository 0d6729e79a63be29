/* SPDX-License-Identifier: ISC */
/* One file, known to be well formed, through libconfig into its draft: everything an option is comes from its row of the table. */
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/conf_draft.h"
#include "crypto/token_uri.h"

enum { CANDIDATES = 64 };

struct parse {
	struct draft *d;
	struct draft_file *f;
	struct conf_value value;
};

/* --- values --- */

/* The text of a scalar as conf_value takes it, NULL when it is not of the wanted kind. `room` is for numbers. */
static const char *scalar_text(const config_setting_t *s, enum schema_type type, char room[24])
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_BOOL:
		return type != SCHEMA_BOOL ? NULL : config_setting_get_bool(s) ? "true" : "false";
	case CONFIG_TYPE_INT:
		snprintf(room, 24, "%d", config_setting_get_int(s));
		return type == SCHEMA_INT || type == SCHEMA_AMOUNT ? room : NULL;
	case CONFIG_TYPE_STRING:
		return type != SCHEMA_BOOL && type != SCHEMA_INT ? config_setting_get_string(s) : NULL;
	default:
		return NULL;
	}
}

/* What is wrong with the spelling of a number was told before. */
static bool is_told(const struct parse *p, const config_setting_t *value)
{
	if (config_setting_is_number(value))
		for (size_t i = p->f->scanned; i < p->f->scanned + p->f->nscanned; i++)
			if (p->d->problem[i].told.line == (int)config_setting_source_line(value))
				return true;
	return false;
}

/* `value` is s or an entry of it. */
static void refuse(struct parse *p, const config_setting_t *s, const config_setting_t *value, const struct schema_option *o)
{
	if (!is_told(p, value))
		draft_error(p->d, p->f, (int)config_setting_source_line(s), "%s: %s", o->name, p->value.why);
}

static void wrong_kind(struct parse *p, const config_setting_t *s, const config_setting_t *value, const struct schema_option *o)
{
	if (!is_told(p, value))
		draft_error(p->d, p->f, (int)config_setting_source_line(s), "%s must be %s", o->name, conf_value_kind(o->type)->wants);
}

static bool is_at_top(const struct schema_option *o)
{
	return schema_find(&schema_top, o->name) == o;
}

/* The option is there, but cannot be read: nothing else is to be missed because of that. The field of one at the top is left alone. */
static void unreadable(struct parse *p, const struct schema_option *o, void *field)
{
	if (o->type == SCHEMA_NAMES)
		*(struct draft_refs *)field = (struct draft_refs){.file = p->f, .partial = true};
	else if (o->type == SCHEMA_NAME)
		*(const char **)field = "";
	p->f->unread = p->f->unread || o->type == SCHEMA_ZONES || is_at_top(o);
}

static void put_scalar(struct parse *p, config_setting_t *s, const struct schema_option *o, void *field)
{
	const config_setting_t *value = s;
	char room[24];
	const char *text;

	if (o->one && config_setting_is_aggregate(s) && config_setting_length(s) == 1)
		value = config_setting_get_elem(s, 0);
	text = scalar_text(value, o->type, room);
	if (text && conf_value_put(&p->value, o, text, field))
		return;
	unreadable(p, o, field);
	if (text)
		refuse(p, s, value, o);
	else
		wrong_kind(p, s, value, o);
}

static bool already_there(struct parse *p, const config_setting_t *s, const struct schema_option *o, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i], v[n]) == 0) {
			draft_warning(p->d, p->f, (int)config_setting_source_line(s), "%s: \"%s\" stands there twice", o->name, v[n]);
			return true;
		}
	return false;
}

/* The entries that are good. false: a problem with others was told. A single text is a list of one, where that cannot be a shell command in
 * disguise. */
static bool collect(struct parse *p, config_setting_t *s, const struct schema_option *o, struct conf_list *list)
{
	bool single = config_setting_type(s) == CONFIG_TYPE_STRING && o->type != SCHEMA_ARGV;
	size_t n = single ? 1 : config_setting_is_list(s) || config_setting_is_array(s) ? (size_t)config_setting_length(s) : 0;
	const char **v = arena_array(p->d->arena, n + 1, sizeof *v);
	const struct conf_kind *kind = conf_value_kind(o->type);
	const config_setting_t *odd = single || config_setting_is_list(s) || config_setting_is_array(s) ? NULL : s;
	bool good = true;

	list->v = v;
	for (p->value.index = list->n = 0; p->value.index < n; p->value.index++) {
		const config_setting_t *entry = single ? s : config_setting_get_elem(s, (unsigned)p->value.index);
		const char *text = config_setting_get_string(entry);

		if (!text) {
			odd = odd ? odd : entry;
		} else if (!kind->text(&p->value, o, text, &v[list->n])) {
			refuse(p, s, entry, o);
			good = false;
		} else if (!kind->unique || !already_there(p, s, o, v, list->n)) {
			list->n++;
		}
	}
	if (odd)
		wrong_kind(p, s, odd, o);
	return good && !odd;
}

static void put_list(struct parse *p, config_setting_t *s, const struct schema_option *o, void *field)
{
	int line = (int)config_setting_source_line(s);
	struct draft_refs refs = {.file = p->f, .line = line};

	refs.partial = !collect(p, s, o, &refs.list);
	if (!refs.partial && o->max && (refs.list.n < (size_t)o->min || refs.list.n > (size_t)o->max)) {
		draft_error(p->d, p->f, line, "%s has %zu entries: from %d to %d are possible", o->name, refs.list.n, (int)o->min, (int)o->max);
		refs.partial = true;
	}
	if (refs.partial)
		unreadable(p, o, field);
	if (o->type == SCHEMA_NAMES)
		*(struct draft_refs *)field = refs;
	else
		*(struct conf_list *)field = refs.list;
}

/* --- groups --- */

static void put_group(struct parse *p, config_setting_t *s, const struct schema_group *group, void *base);
static void check_entry(struct parse *p, const config_setting_t *s, const struct schema_group *group, const void *entry);

static void fill_fallbacks(struct parse *p, const struct schema_group *group, void *base)
{
	for (const struct schema_option *o = group->options; o->name; o++) {
		if (o->fallback && !conf_value_put(&p->value, o, o->fallback, (char *)base + o->offset))
			abort(); /* a mistake in the table, which its test finds */
		if (o->type == SCHEMA_GROUP)
			fill_fallbacks(p, o->group, (char *)base + o->offset);
	}
}

static void wrong_group(struct parse *p, const config_setting_t *s, const struct schema_option *o)
{
	wrong_kind(p, s, s, o);
	unreadable(p, o, NULL);
}

static void put_groups(struct parse *p, config_setting_t *s, const struct schema_option *o, void *base)
{
	const struct schema_group *group = o->group;
	bool single = config_setting_is_group(s);
	size_t n = single ? 1 : config_setting_is_list(s) ? (size_t)config_setting_length(s) : 0;
	struct draft_list list = {arena_array(p->d->arena, n, group->size), 0};

	if (n > (size_t)o->max)
		draft_error(p->d, p->f, (int)config_setting_source_line(s), "%s has %zu entries: up to %d are possible", o->name, n, (int)o->max);
	else if (!single && !config_setting_is_list(s))
		wrong_group(p, s, o);
	for (size_t i = 0; i < n; i++) {
		config_setting_t *entry = single ? s : config_setting_get_elem(s, (unsigned)i);
		char *at = (char *)list.v + list.n * group->size;

		if (!config_setting_is_group(entry)) {
			wrong_group(p, entry, o);
			continue;
		}
		list.n++;
		if (o->base)
			memcpy(at, (char *)base + o->base, group->size);
		else
			fill_fallbacks(p, group, at);
		*(int *)(at + group->line) = (int)config_setting_source_line(entry);
		put_group(p, entry, group, at);
		check_entry(p, entry, group, at);
	}
	memcpy((char *)base + o->offset, &list, sizeof list); /* all lists of structs are a pointer and a count, whatever the pointer's type */
}

static void too_many(struct parse *p, const config_setting_t *s, const struct schema_option *o, void *field)
{
	draft_error(p->d, p->f, (int)config_setting_source_line(s), "more than one %s is not in this version", o->name);
	unreadable(p, o, field);
}

static void put_option(struct parse *p, config_setting_t *s, const struct schema_option *o, void *base)
{
	int line = (int)config_setting_source_line(s);
	void *field = (char *)base + o->offset;

	if (o->type == SCHEMA_LATER)
		draft_error(p->d, p->f, line, "%s is not in this version", o->name);
	else if (o->one && config_setting_is_aggregate(s) && config_setting_length(s) > 1)
		too_many(p, s, o, field);
	else if (o->type == SCHEMA_GROUPS)
		put_groups(p, s, o, base);
	else if (o->type == SCHEMA_GROUP && config_setting_is_group(s))
		put_group(p, s, o->group, field);
	else if (o->type == SCHEMA_GROUP)
		wrong_group(p, s, o);
	else if (conf_value_kind(o->type)->list)
		put_list(p, s, o, field);
	else
		put_scalar(p, s, o, field);
}

/* In the order of the table: the struct an entry starts as a copy of must be there before it. */
static void put_options(struct parse *p, config_setting_t *s, const struct schema_group *group, void *base)
{
	for (const struct schema_option *o = group->options; o->name; o++) {
		config_setting_t *member = config_setting_get_member(s, o->name);

		if (member)
			put_option(p, member, o, base);
	}
}

/* --- what is wrong with a group as a whole --- */

/* The word of the group's option "type"; NULL when there is none or not one of the table's. */
static const char *type_word(const config_setting_t *s, const struct schema_group *group)
{
	const struct schema_option *o = schema_find(group, "type");
	const config_setting_t *member = o ? config_setting_get_member(s, "type") : NULL;
	const char *text = member ? config_setting_get_string(member) : NULL;

	for (const char *const *word = text ? o->words : NULL; word && *word; word++)
		if (strcmp(*word, text) == 0)
			return *word;
	return NULL;
}

static size_t add_candidates(const char **v, size_t n, const struct schema_group *group)
{
	for (const struct schema_option *o = group ? group->options : NULL; o && o->name && n < CANDIDATES; o++)
		v[n++] = o->name;
	return n;
}

/* The option of both groups that an unknown one may be meant to be. NULL: none. */
static const char *meant(const config_setting_t *unknown, const struct schema_group *group, const struct schema_group *more)
{
	const char *v[CANDIDATES] = {NULL};

	return text_nearest(config_setting_name(unknown), v, add_candidates(v, add_candidates(v, 0, group), more));
}

/* Under its name, or in a spelling that is told as unknown. */
static bool is_there(const config_setting_t *s, const struct schema_group *group, const char *name)
{
	bool there = config_setting_get_member(s, name);

	for (int i = 0; i < config_setting_length(s) && !there; i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);
		const char *near = schema_find(group, config_setting_name(member)) ? NULL : meant(member, group, NULL);

		there = near && strcmp(near, name) == 0;
	}
	return there;
}

static void check_rules(struct parse *p, const config_setting_t *s, const struct schema_group *group)
{
	int line = (int)config_setting_source_line(s);
	const char *type = type_word(s, group);

	for (const struct schema_option *o = group->options; o->name; o++) {
		const config_setting_t *member = config_setting_get_member(s, o->name);
		bool fits = !o->when || (type && strcmp(type, o->when) == 0);
		int at = member ? (int)config_setting_source_line(member) : line;

		if (o->required && fits && !is_there(s, group, o->name))
			draft_error(p->d, p->f, line, "%s lacks %s: %s", group->name, o->name, o->help);
		if (member && !fits && type)
			draft_error(p->d, p->f, at, "%s goes with type = \"%s\" only", o->name, o->when);
		if (member && o->not_with && config_setting_get_member(s, o->not_with))
			draft_error(p->d, p->f, at, "either %s or %s, not both", o->name, o->not_with);
		if (member && fits && o->only_with && !is_there(s, group, o->only_with))
			draft_error(p->d, p->f, at, "%s goes with %s only", o->name, o->only_with);
	}
}

/* As it was written: a URL that is none has been told. */
static bool has_url(const config_setting_t *list)
{
	const char *text = config_setting_get_string(list);
	bool url = text && strstr(text, "://");

	for (int i = 0; config_setting_is_aggregate(list) && i < config_setting_length(list) && !url; i++)
		url = has_url(config_setting_get_elem(list, (unsigned)i));
	return url;
}

static void check_dns(struct parse *p, const config_setting_t *s, const struct schema_group *group, const void *entry)
{
	const struct conf_dns *dns = entry;
	const config_setting_t *opinions = config_setting_get_member(s, "opinions");

	if (dns->check == CONF_DNS_DOH && (opinions ? !has_url(opinions) : !is_there(s, group, "opinions")))
		draft_error(p->d, p->f, dns->line, "dns \"%s\": check = \"doh\" takes an https URL among opinions", dns->name ? dns->name : "");
	for (size_t i = 0; i < dns->secrets.n; i++)
		for (size_t j = 0; j < i; j++) {
			char a[CONF_VARIABLE], b[CONF_VARIABLE];

			if (strcmp(conf_secret_variable(dns->secrets.v[i], a), conf_secret_variable(dns->secrets.v[j], b)) == 0)
				draft_error(p->d, p->f, dns->line, "dns \"%s\": two of its secrets would be %s to the command",
					dns->name ? dns->name : "", a);
		}
}

/* A folder, or else at least one of the files that exclude it. */
static void check_install(struct parse *p, const config_setting_t *s, const struct schema_group *group, const void *entry)
{
	const struct conf_target *t = entry;
	const config_setting_t *pkcs12 = config_setting_get_member(s, "pkcs12");
	bool off = pkcs12 ? config_setting_type(pkcs12) == CONFIG_TYPE_BOOL && !t->pkcs12 : !is_there(s, group, "pkcs12");
	bool there = is_there(s, group, "dir");

	for (const struct schema_option *o = group->options; o->name && !there; o++)
		there = o->not_with && is_there(s, group, o->name);
	if (!there)
		draft_error(p->d, p->f, t->line, "install lacks dir, or a file: key_file and fullchain_file, say");
	if (t->pkcs12_password && off && !is_there(s, group, "pkcs12_file"))
		draft_error(p->d, p->f, t->line, "pkcs12_password goes with pkcs12 = true or pkcs12_file only");
}

/* The option of a target that takes the key itself; NULL: none. */
static const char *takes_key(const struct conf_target *t)
{
	const struct {
		bool wanted;
		const char *option;
	} rows[] = {
		{t->bundle, "bundle"}, {t->pkcs12, "pkcs12"}, {t->der, "der"}, {t->file[CONF_PART_KEY], "key_file"}, {t->file[CONF_PART_BUNDLE], "bundle_file"},
		{t->file[CONF_PART_PKCS12], "pkcs12_file"}, {t->file[CONF_PART_KEY_DER], "key_der_file"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].wanted)
			return rows[i].option;
	return NULL;
}

/* A PIN without a token to tell it to. A URI that was refused is one all the same. */
static void check_pin(struct parse *p, const config_setting_t *s, const char *option, const struct conf_key *key)
{
	const config_setting_t *pin = config_setting_get_member(s, "pkcs11_pin"), *written = config_setting_get_member(s, option);
	const char *text;

	if (written && config_setting_is_aggregate(written) && config_setting_length(written) == 1)
		written = config_setting_get_elem(written, 0);
	text = written ? config_setting_get_string(written) : NULL;
	if (pin && !key->uri && !(text && strncmp(text, TOKEN_URI_SCHEME, strlen(TOKEN_URI_SCHEME)) == 0))
		draft_error(p->d, p->f, (int)config_setting_source_line(pin), "pkcs11_pin goes with a key on a token only: %s = \"pkcs11:...\"", option);
}

static void check_certificate(struct parse *p, const config_setting_t *s, const struct schema_group *group, const void *entry)
{
	const struct draft_cert *cert = entry;
	bool own = config_setting_get_member(s, "install"); /* others stand where the defaults are */

	(void)group;
	check_pin(p, s, "key", &cert->key);
	for (size_t i = 0; cert->key.uri && i < cert->install.n; i++) {
		const struct conf_target *t = &cert->install.v[i];
		const char *option = takes_key(t);

		if (option)
			draft_error(p->d, p->f, own ? t->line : cert->line,
				"%s: the key is on a token and never leaves it; a target can have dir, cert_file, chain_file, fullchain_file and cert_der_file",
				option);
	}
}

static void check_ca(struct parse *p, const config_setting_t *s, const struct schema_group *group, const void *entry)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const struct conf_ca *ca = entry;
	const config_setting_t *id = config_setting_get_member(s, "access_key_id");

	(void)group;
	if (ca->type == CONF_CA_ACME)
		check_pin(p, s, "account_key", &ca->account_key);
	if (ca->access_key_id && (ca->access_key_id[strspn(ca->access_key_id, plain)] || strlen(ca->access_key_id) > CONF_KEY_ID_MAX))
		draft_error(p->d, p->f, (int)config_setting_source_line(id), "access_key_id is none: letters, digits, '.', '_' and '-', at most %d",
			CONF_KEY_ID_MAX);
}

/* What the table cannot say of an entry. */
static void check_entry(struct parse *p, const config_setting_t *s, const struct schema_group *group, const void *entry)
{
	static const struct {
		const char *group;
		void (*check)(struct parse *p, const config_setting_t *s, const struct schema_group *group, const void *entry);
	} rows[] = {{"ca", check_ca}, {"certificate", check_certificate}, {"dns", check_dns}, {"install", check_install}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(group->name, rows[i].group) == 0)
			rows[i].check(p, s, group, entry);
}

/* "it belongs into certificate = { ... }": where else an option of this name is known. NULL: nowhere. */
static const char *other_place(const char *name)
{
	for (const struct schema_option *o = schema_top.options; o->name; o++)
		if (o->group && schema_find(o->group, name))
			return o->name;
	return NULL;
}

/* base: the struct of the group, NULL for the top level. */
static void unknown_option(
	struct parse *p, const config_setting_t *s, const struct schema_group *group, const struct schema_group *more, void *base)
{
	const char *name = config_setting_name(s), *near = meant(s, group, more);
	const char *place = base ? NULL : other_place(name);
	bool outside = base && schema_find(&schema_top, name);
	int line = (int)config_setting_source_line(s);

	if (place)
		draft_error(p->d, p->f, line, "%s stands outside: it belongs into %s = { ... }", name, place);
	else if (near)
		draft_error(p->d, p->f, line, "unknown option %s, did you mean %s?", name, near);
	else if (outside)
		draft_error(p->d, p->f, line, "%s does not belong into %s, but outside of it", name, group->name);
	else
		draft_error(p->d, p->f, line, "unknown option %s%s%s", name, *group->name ? " in " : "", group->name);
	if (base && near && !config_setting_get_member(config_setting_parent(s), near))
		unreadable(p, schema_find(group, near), (char *)base + schema_find(group, near)->offset);
	p->f->unread = p->f->unread || place || outside || (!base && config_setting_is_aggregate(s));
}

static void check_members(struct parse *p, config_setting_t *s, const struct schema_group *group, const struct schema_group *more, void *base)
{
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);
		const char *name = config_setting_name(member);

		if (!schema_find(group, name) && !(more && schema_find(more, name)))
			unknown_option(p, member, group, more, base);
	}
}

static void put_group(struct parse *p, config_setting_t *s, const struct schema_group *group, void *base)
{
	put_options(p, s, group, base);
	check_members(p, s, group, NULL, base);
	check_rules(p, s, group);
}

/* --- files --- */

static void put_main(struct parse *p, config_setting_t *root)
{
	put_options(p, root, &schema_settings, &p->d->settings);
	put_options(p, root, &schema_top, p->f);
	check_members(p, root, &schema_top, &schema_settings, NULL);
}

static void put_snippet(struct parse *p, config_setting_t *root)
{
	for (int i = 0; i < config_setting_length(root); i++) {
		config_setting_t *member = config_setting_get_elem(root, (unsigned)i);
		const char *name = config_setting_name(member);
		const struct schema_option *setting = schema_find(&schema_settings, name);
		int line = (int)config_setting_source_line(member);

		if (setting && setting->type == SCHEMA_LATER)
			put_option(p, member, setting, &p->d->settings);
		else if (setting)
			draft_error(p->d, p->f, line, "%s is a setting of the daemon: only in the main file", name);
		else if (!schema_find(&schema_top, name))
			unknown_option(p, member, &schema_top, NULL, NULL);
		else if (p->f->source->kind == CONF_SERVICES && strcmp(name, "service") != 0)
			draft_error(p->d, p->f, line, "%s: a file of the services folder defines services only", name);
		else if (p->f->source->kind == CONF_SERVICES)
			put_option(p, member, schema_find(&schema_top, name), p->f);
	}
	if (p->f->source->kind != CONF_SERVICES)
		put_options(p, root, &schema_top, p->f);
}

/* What a file without a name for its certificate is called. NULL: the file's name is none for a certificate. */
static const char *name_of_file(struct parse *p)
{
	const char *slash = strrchr(p->f->source->path, '/'), *file = slash ? slash + 1 : p->f->source->path;
	size_t len = strlen(file), suffix = strlen(".conf");
	const char *name;

	if (p->f->source->kind != CONF_SNIPPET || p->f->list[DRAFT_CERT].n != 1)
		return NULL;
	name = arena_strndup(p->d->arena, file, len > suffix && strcmp(file + len - suffix, ".conf") == 0 ? len - suffix : len);
	return text_is_name(name) ? name : NULL;
}

static void name_certs(struct parse *p)
{
	struct draft_cert *cert = p->f->list[DRAFT_CERT].v;

	for (size_t n = p->f->list[DRAFT_CERT].n; n; n--, cert++) {
		if (!cert->name)
			cert->name = name_of_file(p);
		if (cert->name)
			continue;
		draft_error(p->d, p->f, cert->line,
			"certificate lacks name: the file's own serves only a snippet's single certificate, and must be of a-z, 0-9, . _ -");
		cert->name = "";
	}
}

static void scanned(void *arg, int line, const char *text)
{
	struct parse *p = arg;

	draft_error(p->d, p->f, line, "%s", text);
}

/* false: libconfig does not think that the text is one of its own. */
static bool parse_text(struct parse *p)
{
	const struct conf_source *source = p->f->source;
	size_t skip = conf_scan_offset(source), len = source->len - skip;
	char *text = mem_array(len + 2, 1);
	config_t config;
	bool good;

	memcpy(text, source->text + skip, len);
	text[len] = '\n'; /* libconfig 1.5 does not know a comment that the file ends with */
	config_init(&config);
	good = config_read_string(&config, text);
	if (!good)
		draft_error(p->d, p->f, config_error_line(&config), "%s", config_error_text(&config) ? config_error_text(&config) : "syntax error");
	else if (source->kind == CONF_MAIN)
		put_main(p, config_root_setting(&config));
	else
		put_snippet(p, config_root_setting(&config));
	config_destroy(&config);
	free(text);
	return good;
}

void conf_parse(struct draft *d, struct draft_file *f)
{
	struct parse p = {.d = d, .f = f, .value = {.arena = d->arena, .folder = d->folder}};
	bool good;

	if (f->source->kind == CONF_MAIN) {
		fill_fallbacks(&p, &schema_settings, &d->settings);
		fill_fallbacks(&p, &schema_top, f);
	} else {
		f->defaults = d->file[0].defaults;
	}
	f->scanned = d->nproblem;
	good = conf_scan(f->source, scanned, &p);
	f->nscanned = d->nproblem - f->scanned;
	f->unread = !good || !parse_text(&p) || f->unread;
	name_certs(&p);
}

const char *conf_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libconfig %d.%d.%d", LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR, LIBCONFIG_VER_REVISION);
	return text;
}
