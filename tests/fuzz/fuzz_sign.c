/* SPDX-License-Identifier: ISC */
/* What an untrusted network half wants signed: a line each with URL, nonce and account URL ("-": none), then the payload, in which @CSR@ stands for the
 * request that is waiting. Whatever is accepted keeps the promises of SECURITY, looked at here without the code that decides. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "keeper/sign.h"
#include "fuzz.h"

#define SITE "https://acme.example"

static struct vault *vault;
static struct conf *conf;
static const struct conf_ca *ca;
static char *csr;

static void tidy_up(void)
{
	vault_close(vault);
	conf_free(conf);
	free(csr);
}

static void open_keeper(void)
{
	const char *folder = fuzz_folder();
	char *text;
	struct conf_source source = { .path = "/fuzz/dovad.conf", .kind = CONF_MAIN };
	struct vault_request request;
	struct err err;

	fuzz_quiet();
	text = mem_printf("keeper_state = \"%s\"; contact = [ \"mailto:admin@example.net\" ];\n"
			  "ca = ( { name = \"le\"; type = \"acme\"; directory = \"" SITE "/directory\"; agree_tos = true; } );\n"
			  "http = ( { name = \"www\"; type = \"webroot\"; path = \"%s\"; } );\n"
			  "certificate = { name = \"site\"; names = [ \"example.org\" ]; prove = [ \"http:www\" ]; };\n", folder, folder);
	source.text = text;
	source.len = strlen(text);
	conf = conf_build(&source, 1, NULL, 0);
	check(conf->usable && conf->cert.n == 1);
	ca = conf_find_ca(conf, "le");
	vault = vault_open(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &err);
	check(vault && vault_request(vault, &conf->cert.v[0], &request, &err));
	csr = mem_strdup(request.csr);
	free(request.key);
	free(text);
	atexit(tidy_up);
}

/* The rest of a line; the text goes on after it. */
static char *take_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	*text = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	return line;
}

static char *fill_in(const char *payload)
{
	const char *mark = strstr(payload, "@CSR@");

	return mark ? mem_printf("%.*s%s%s", (int)(mark - payload), payload, csr, mark + 5) : mem_strdup(payload);
}

static void is_of_the_site(const char *url)
{
	check(strncasecmp(url, SITE, strlen(SITE)) == 0);
	url += strlen(SITE);
	if (*url == ':') {
		check(strtol(url + 1, NULL, 10) == 443);
		url += 1 + strspn(url + 1, "0123456789");
	}
	check(!*url || *url == '/' || *url == '?');
	check(strlen(url) <= 4096 && !strpbrk(url, "#\"\\ \r\n\t"));
}

static void is_harmless(const struct sign_wish *w)
{
	struct js *p, *names;
	struct err err;

	is_of_the_site(w->url);
	if (w->kid)
		is_of_the_site(w->kid);
	check(*w->nonce && !strpbrk(w->nonce, "\"\\ \r\n+/="));
	if (!*w->payload)
		return;
	p = js_parse(w->payload, strlen(w->payload), &err);
	check(js_is_object(p));
	/* The account stays as it is, but for its configured contacts. */
	if (w->kid && strcmp(w->kid, w->url) == 0)
		check(js_len(p) == 1 && js_len(js_arr(p, "contact")) == 1);
	for (const char *const *never = (const char *const[]){ "oldKey", "account", "externalAccountBinding", "resource", NULL }; *never; never++)
		check(!js_has(p, *never));
	names = js_arr(p, "identifiers");
	for (size_t i = 0; i < js_len(names); i++)
		check(strcmp(js_str(js_at(names, i), "value"), "example.org") == 0);
	check(!js_has(p, "csr") || strcmp(js_str(p, "csr"), csr) == 0);
	check(!js_has(p, "status") || strcmp(js_str(p, "status"), "deactivated") == 0);
	for (size_t i = 0; i < js_len(js_arr(p, "contact")); i++)
		check(strcmp(js_str_at(js_arr(p, "contact"), i), "mailto:admin@example.net") == 0);
	js_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *rest, *payload, *kid;
	struct sign_wish w = { 0 };
	struct err err = { 0 };

	if (!vault)
		open_keeper();
	rest = text = mem_strndup((const char *)data, size);
	w.url = take_line(&rest);
	w.nonce = take_line(&rest);
	kid = take_line(&rest);
	w.kid = strcmp(kid, "-") == 0 ? NULL : kid;
	w.payload = payload = fill_in(rest);
	if (sign_check(vault, conf, ca, &w, &err))
		is_harmless(&w);
	else
		check(err.kind == ERR_DENIED && strcmp(err.type, "policy") == 0 && err.detail[0]);
	free(payload);
	free(text);
	return 0;
}
