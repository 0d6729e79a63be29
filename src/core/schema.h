/* SPDX-License-Identifier: ISC */
/* The option table: the single source of every option's place, type, range, default and help. Parser, manual check, example check and
 * `dovad -t` all read it. */
#ifndef DOVAD_CORE_SCHEMA_H
#define DOVAD_CORE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
	SCHEMA_STRING,
	SCHEMA_BOOL,
	SCHEMA_INT,
	SCHEMA_DURATION, /* "90s" -> int64_t seconds */
	SCHEMA_MODE,     /* "0640" (a string) -> unsigned */
	SCHEMA_WORD,     /* one of `words` -> int index */
	SCHEMA_KEY,      /* one of `words`, or the URI of a key on a PKCS#11 token -> struct conf_key */
	SCHEMA_NAME,     /* [a-z0-9][a-z0-9._-]{0,62} */
	SCHEMA_PATH,     /* absolute, no "..", or relative to the main file's folder; one of `words` -> NULL */
	SCHEMA_URL,      /* https only */
	SCHEMA_ORIGIN,   /* https://HOST or https://HOST:PORT, in the one spelling for each */
	SCHEMA_USER,     /* of a user or group */
	SCHEMA_UNIT,     /* of the service manager: "nginx.service" */
	SCHEMA_SECRET,   /* "credential:NAME" only -> NAME */
	SCHEMA_DOMAIN,   /* a domain name that only the DNS has to like, normalised */
	SCHEMA_HOST,     /* an IP or a domain name, with ":port" or without */
	SCHEMA_AMOUNT,   /* one of `words`, or a whole number from min to max -> its text */
	SCHEMA_NAMES,    /* list of references -> struct draft_refs (here and below: a single string is a list of one) */
	SCHEMA_DOMAINS,  /* list of domain names, normalised, without duplicates */
	SCHEMA_ZONES,    /* list of SCHEMA_DOMAIN */
	SCHEMA_SECRETS,  /* list of SCHEMA_SECRET */
	SCHEMA_ARGV,     /* list, first an absolute path; never a single string */
	SCHEMA_PLACES,   /* list of IP:port or IP; with * in place of the IP: any that belongs there */
	SCHEMA_ADDRS,    /* list of IP:port or IP, or texts that begin with one of `words` */
	SCHEMA_RESOLVERS, /* list of IP, IP:port or https URL */
	SCHEMA_CONTACTS, /* list of mailto: */
	SCHEMA_GROUP,    /* a group: the offsets of its rows count from its own */
	SCHEMA_GROUPS,   /* a list of groups (a single group is taken as a list of one) */
	SCHEMA_LATER,    /* known, but not in this version: a clear error */
};

struct schema_option {
	const char *name;
	enum schema_type type;
	size_t offset;        /* of the field in the struct of its group */
	const char *fallback; /* default as an admin would write it (without quotes); NULL: none */
	int64_t min, max;     /* numbers, durations (seconds), list lengths; max 0: no limits */
	const char *const *words; /* ends with NULL */
	const char *const *later; /* words (SCHEMA_NAMES: beginnings) that are known, but not in this version; ends with NULL */
	const char *when;     /* goes with this word of the group's option "type" only; `required` then too */
	const char *not_with; /* another option that excludes this one */
	const char *only_with; /* another option that this one makes no sense without */
	bool at_start;        /* a change takes effect at the next start only; for fields that are texts */
	bool required;
	bool one;             /* a list to the eye, but more than one entry is not in this version */
	const struct schema_group *group; /* SCHEMA_GROUP(S) */
	size_t base;          /* SCHEMA_GROUPS: offset of the struct that new entries start as a copy of; 0: start from the fallbacks */
	const char *help;     /* one sentence, no final stop */
};

struct schema_group {
	const char *name;    /* "ca", "certificate", ...; "" for the top level */
	size_t size;         /* of its struct */
	size_t line;         /* offset of the int that gets the line an entry begins on; 0: none */
	const struct schema_option *options; /* ends with a NULL name */
};

extern const struct schema_group schema_top;      /* main file and snippets alike */
extern const struct schema_group schema_settings; /* daemon's own settings: main file only */

const struct schema_option *schema_find(const struct schema_group *group, const char *name); /* NULL: no such option */

#endif
