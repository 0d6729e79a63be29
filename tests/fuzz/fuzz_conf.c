/* SPDX-License-Identifier: ISC */
/* A configuration file, as main file and as snippet. What our own scan lets through libconfig must understand; what comes out keeps the promises
 * that the keeper relies on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "core/conf.h"
#include "core/name.h"
#include "fuzz.h"

static const char main_text[] = "ca = { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/\"; }; http = { name = \"www\"; type = "
				"\"webroot\"; path = \"/w\"; };"
				"service = { name = \"nginx\"; unit = \"nginx.service\"; };";

static void check_problems(const struct conf *c)
{
	for (size_t i = 0; i < c->problems.n; i++) {
		const char *text = c->problems.v[i].text;

		check(strcmp(text, "syntax error") != 0 && strcmp(text, "duplicate setting name") != 0 &&
			strcmp(text, "mismatched element type in array") != 0);
		check(text_is_utf8(text, strlen(text)) && !strpbrk(text, "\n\r\t\033"));
		check(c->problems.v[i].line >= 0);
	}
}

static void check_path(const char *path)
{
	check(path[0] == '/' && !strstr(path, "/../") && !strstr(path, "//"));
}

static void check_cert(const struct conf *c, const struct conf_cert *cert)
{
	const char *paths[CONF_TARGET_PATHS];
	char name[NAME_ROOM];

	check(text_is_name(cert->name) && conf_find_cert(c, cert->name) == cert);
	check(cert->ca && cert->prove.n && cert->names.n && cert->file && cert->line > 0);
	for (size_t i = 0; i < cert->names.n; i++)
		check(name_normalise(cert->names.v[i], name, NULL) && strcmp(name, cert->names.v[i]) == 0);
	for (size_t i = 0; i < cert->prove.n; i++)
		check((cert->prove.v[i].kind == CONF_METHOD_DNS) == (cert->prove.v[i].dns != NULL) && !cert->prove.v[i].dns == (cert->prove.v[i].http != NULL));
	for (size_t i = 0; i < cert->install.n; i++) {
		size_t n = conf_target_paths(&cert->install.v[i], paths);

		check(n > 0 && (n == 1 || !cert->install.v[i].dir));
		for (size_t j = 0; j < n; j++)
			check_path(paths[j]);
		check((cert->install.v[i].mode & ~0660u) == 0);
	}
	for (size_t i = 0; i < cert->service.n; i++)
		check(conf_find_service(c, cert->service.v[i]->name) == cert->service.v[i]);
}

static void check_dns(const struct conf_dns *dns)
{
	check(text_is_name(dns->name) && dns->quorum && !dns->key_name == !dns->key_secret);
	for (size_t i = 0; i < dns->zones.n; i++)
		check(text_is_domain(dns->zones.v[i]) && conf_dns_holds(dns, dns->zones.v[i]));
	if (dns->type == CONF_DNS_EXEC)
		check(dns->command.n && dns->command.v[0][0] == '/' && dns->secrets.n <= CONF_DNS_SECRETS);
	else
		check(dns->server && !dns->command.n && !dns->secrets.n);
}

static void check_conf(const struct conf *c)
{
	check_problems(c);
	check_path(c->settings.state);
	check(c->settings.http_port > 0 && c->settings.user);
	for (size_t i = 0; i < c->cert.n; i++)
		check_cert(c, &c->cert.v[i]);
	for (size_t i = 0; i < c->dns.n; i++)
		check_dns(&c->dns.v[i]);
	for (size_t i = 0; i < c->service.n; i++)
		check(!c->service.v[i].test.n || c->service.v[i].test.v[0][0] == '/');
	check(c->usable == c->files.v[0].accepted);
	check(strlen(c->digest) == 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_source v[2] = {{.path = "/etc/dovad/dovad.conf", .text = size ? (const char *)data : "", .len = size, .kind = CONF_MAIN}};
	struct conf *c = conf_build(v, 1, NULL, 0);

	check_conf(c);
	conf_free(c);
	v[1] = v[0];
	v[1].path = "/etc/dovad/conf.d/x.conf";
	v[1].kind = CONF_SNIPPET;
	v[0].text = main_text;
	v[0].len = sizeof main_text - 1;
	c = conf_build(v, 2, NULL, 0);
	check_conf(c);
	check(c->usable);
	conf_free(c);
	return 0;
}
