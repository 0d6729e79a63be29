/* SPDX-License-Identifier: ISC */
/* Names across files: references, duplicates, defaults, what a file that is set aside takes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "conf_made.h"

#define SNIPPETS "/etc/dovad/conf.d/"
#define CERT(name) "certificate = { names = [ \"" name "\" ]; };"

static bool accepted(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->files.n; i++)
		if (strcmp(c->files.v[i].path, path) == 0)
			return c->files.v[i].accepted;
	fail_msg("no file %s", path);
	return false;
}

static void one_bad_among_good_ones(void **state)
{
	struct conf_source v[52] = {made_source(MAIN_PATH, MAIN_TEXT, CONF_MAIN)};
	char text[51][64], path[51][64];
	struct conf *c;

	(void)state;
	for (int i = 0; i < 51; i++) {
		snprintf(path[i], sizeof path[i], SNIPPETS "site%02d.conf", i);
		snprintf(text[i], sizeof text[i], i == 25 ? "certificate = { names = [ \"x.example\", ]; };" : CERT("www%d.example.org"), i);
		v[i + 1] = made_source(path[i], text[i], CONF_SNIPPET);
	}
	c = conf_build(v, 52, NULL, 0);
	assert_true(c->usable);
	assert_int_equal(c->cert.n, 50);
	assert_int_equal(c->problems.n, 1);
	made_says(c, SNIPPETS "site25.conf:1: a trailing comma");
	for (int i = 0; i < 51; i++)
		assert_int_equal(accepted(c, path[i]), i != 25);
	assert_non_null(conf_find_cert(c, "site00"));
	assert_non_null(conf_find_cert(c, "site50"));
	assert_null(conf_find_cert(c, "site25"));
	conf_free(c);
}

static void a_bad_main_file_is_not_usable(void **state)
{
	struct conf *c = MADE(MAIN_TEXT "keep = 0;", CERT("example.org"), "certificate = 1;");

	(void)state;
	assert_false(c->usable);
	assert_int_equal(c->cert.n, 0);
	made_says(c, MAIN_PATH ":4: keep: is out of range");
	made_says(c, SNIPPETS "b.conf:1: certificate must be"); /* snippets are checked all the same */
	assert_int_equal(made_errors(c), 2);			/* but not blamed for what the main file would have defined */
	conf_free(c);
}

/* Each CA has the names of its own certificates, those in files that are set aside not among them; two may have one and the same. */
static void names_are_found_by_their_ca(void **state)
{
	struct conf *c = MADE(MAIN_CA MAIN_HTTP, "ca = { name = \"other\"; type = \"acme\"; directory = \"https://other.example/\"; };",
		CERT("b.example\", \"a.example"), "certificate = { names = [ \"b.example\", \"c.example\" ]; ca = \"other\"; };",
		"certificate = { names = [ \"d.example\" ]; servce = \"x\"; };");
	const struct conf_ca *first, *other;

	(void)state;
	first = c->ca.v;
	other = conf_find_ca(c, "other");
	assert_true(conf_has_name(c, first, "a.example"));
	assert_true(conf_has_name(c, first, "b.example"));
	assert_true(conf_has_name(c, other, "b.example"));
	assert_true(conf_has_name(c, other, "c.example"));
	assert_false(conf_has_name(c, other, "a.example"));
	assert_false(conf_has_name(c, first, "c.example"));
	assert_false(conf_has_name(c, first, "d.example"));
	assert_false(conf_has_name(c, NULL, "a.example"));
	conf_free(c);
}

static void references_cross_files(void **state)
{
	struct conf *c = MADE(MAIN_CA, "certificate = { names = \"a.example\"; prove = \"http:two\"; service = \"nginx\"; ca = \"other\"; };",
		MAIN_HTTP "service = { name = \"nginx\"; unit = \"nginx.service\"; };",
		"http = { name = \"two\"; type = \"webroot\"; path = \"/srv\"; };"
		"ca = { name = \"other\"; type = \"acme\"; directory = \"https://other.example/\"; };");
	const struct conf_cert *cert = conf_find_cert(c, "a");

	(void)state;
	made_good(c);
	assert_string_equal(cert->prove.v[0].http->path, "/srv");
	assert_string_equal(cert->service.v[0]->unit, "nginx.service");
	assert_string_equal(cert->ca->directory, "https://other.example/");
	assert_string_equal(c->ca.v[0].name, "le"); /* in the order of definition */
	conf_free(c);
}

static void undefined_references_set_aside(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = { names = \"a.example\";\nca = \"lee\"; };",
		"certificate = { names = \"b.example\"; prove = [ \"http:www\",\n\"http:ww\" ]; };",
		"certificate = { names = \"c.example\"; service = [ \"ngnix\" ]; };",
		"certificate = { names = \"d.example\"; service = [ \"postfix\" ]; };", "certificate = { names = \"e.example\"; prove = \"www\"; };",
		CERT("f.example"));

	(void)state;
	made_says(c, SNIPPETS "a.conf:2: no ca \"lee\" is defined, did you mean \"le\"?");
	made_says(c, SNIPPETS "b.conf:1: no http \"ww\" is defined, did you mean \"www\"?");
	made_says(c, SNIPPETS "c.conf:1: no service \"ngnix\" is defined, did you mean \"nginx\"?");
	made_says(c, SNIPPETS "d.conf:1: no service \"postfix\" is defined\n");
	made_says(c, SNIPPETS "e.conf:1: prove: \"www\" names no method, did you mean \"http:www\"?");
	assert_int_equal(made_errors(c), 5);
	assert_int_equal(c->cert.n, 1);
	assert_true(c->usable && accepted(c, SNIPPETS "f.conf"));
	conf_free(c);
}

static void what_is_missing_altogether_is_told(void **state)
{
	struct conf *c = MADE(MAIN_HTTP, CERT("a.example"));

	(void)state;
	made_says(c, SNIPPETS "a.conf:1: no ca is defined that could issue \"a\"");
	conf_free(c);
	c = MADE(MAIN_CA, CERT("a.example"));
	made_says(c, SNIPPETS "a.conf:1: no http is defined that could prove the names of \"a\", and no dns with zones");
	assert_true(c->usable);
	conf_free(c);
	c = MADE(MAIN_CA, "certificate = { names = \"a.example\"; prove = [ ]; };");
	made_says(c, "prove has 0 entries");
	conf_free(c);
}

#define CORP(zones) "dns = { name = \"corp\"; type = \"rfc2136\"; server = \"192.0.2.1\"; " zones " };\n"

static void methods_are_named_by_kind(void **state)
{
	struct conf *c = MADE(MAIN_TEXT CORP(""), "certificate = { names = [ \"*.a.example\", \"a.example\" ]; prove = [ \"dns:corp\", \"http:www\" ]; };",
		"certificate = { names = \"b.example\"; prove = \"dns:crop\"; };", "certificate = { names = \"c.example\"; prove = \"corp\"; };",
		"certificate = { names = \"d.example\"; prove = \"dsn:corp\"; };", "certificate = { names = \"e.example\"; prove = \"dns\"; };",
		"certificate = { names = [ \"f.example\",\n\"*.f.example\" ]; prove = \"http:www\"; };");
	const struct conf_cert *cert = conf_find_cert(c, "a");

	(void)state;
	made_says(c, SNIPPETS "b.conf:1: no dns \"crop\" is defined, did you mean \"corp\"?");
	made_says(c, SNIPPETS "c.conf:1: prove: \"corp\" names no method, did you mean \"dns:corp\"?");
	made_says(c, SNIPPETS "d.conf:1: prove: \"dsn:corp\" names no method: \"http:NAME\" or \"dns:NAME\", say");
	made_says(c, SNIPPETS "e.conf:1: prove: \"dns\" names no method");
	made_says(c, SNIPPETS "f.conf:1: \"*.f.example\" can only be proven by dns: define a dns entry with its zone, or name one in prove");
	assert_int_equal(made_errors(c), 5);
	assert_int_equal(cert->prove.n, 2);
	assert_int_equal(cert->prove.v[0].kind, CONF_METHOD_DNS);
	assert_ptr_equal(cert->prove.v[0].dns, conf_find_dns(c, "corp"));
	assert_null(cert->prove.v[0].http);
	assert_string_equal(cert->prove.v[0].name, "corp");
	assert_ptr_equal(cert->prove.v[1].http, conf_find_http(c, "www"));
	assert_null(cert->prove.v[1].dns);
	assert_int_equal(c->methods.n, 2);
	conf_free(c);
}

/* "http:www dns:corp ..." */
static const char *methods(const struct conf *c, const char *cert)
{
	const struct conf_cert *found = conf_find_cert(c, cert);
	static char text[256];
	size_t len = 0;

	assert_non_null(found);
	for (size_t i = 0; i < found->prove.n; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s:%s", i ? " " : "", conf_method_words[found->prove.v[i].kind],
			found->prove.v[i].name);
	return text;
}

static void without_prove_what_fits_is_used(void **state)
{
	static const char dns[] =
		"dns = ( { name = \"one\"; type = \"rfc2136\"; server = \"192.0.2.1\"; zones = [ \"b.example\", \"a.example\" ]; },\n"
		"{ name = \"any\"; type = \"rfc2136\"; server = \"192.0.2.1\"; },\n"
		"{ name = \"two\"; type = \"rfc2136\"; server = \"192.0.2.1\"; zones = \"sub.a.example\"; },\n"
		"{ name = \"six\"; type = \"rfc2136\"; server = \"192.0.2.1\"; zones = [ \"a.example\", \"c.example\" ]; } );\n";
	struct conf *c = MADE(MAIN_CA MAIN_HTTP, dns, "certificate = { names = [ \"*.a.example\" ]; };",
		"certificate = { names = [ \"x.sub.a.example\", \"c.example\", \"y.sub.a.example\" ]; };", CERT("aa.example"),
		"certificate = { names = [ \"*.example\" ]; };", "certificate = { names = [ \"x.b.example\", \"*.d.example\" ]; };");

	(void)state;
	assert_string_equal(methods(c, "b"), "http:www dns:one dns:six");
	assert_string_equal(methods(c, "c"), "http:www dns:one dns:two dns:six");
	assert_string_equal(methods(c, "d"), "http:www");
	assert_ptr_equal(conf_find_cert(c, "d")->prove.v, c->methods.v);
	made_says(c, SNIPPETS "f.conf:1: \"*.d.example\" can only be proven by dns");
	assert_null(conf_find_cert(c, "f"));
	conf_free(c);
	c = MADE(MAIN_CA, dns, CERT("a.example"), "certificate = { names = [ \"b.example\", \"d.example\" ]; };");
	assert_string_equal(methods(c, "b"), "dns:one dns:six");
	made_says(c, SNIPPETS "c.conf:1: no http is defined that could prove \"d.example\", and no dns that has it in its zones");
	assert_int_equal(made_errors(c), 1);
	conf_free(c);
	/* An entry without zones is used by those who name it only. */
	c = MADE(MAIN_CA CORP(""), CERT("a.example"), "certificate = { names = \"b.example\"; prove = \"dns:corp\"; };");
	made_says(c, SNIPPETS "a.conf:1: no http is defined that could prove the names of \"a\", and no dns with zones");
	assert_string_equal(methods(c, "b"), "dns:corp");
	conf_free(c);
	/* Zones go with a file that is set aside. */
	c = MADE(MAIN_CA, CORP("zones = \"a.example\";") "typo = 1;", CERT("a.example"));
	made_says(c, SNIPPETS "b.conf:1: no http is defined that could prove the names of \"b\"");
	assert_int_equal(made_errors(c), 2);
	conf_free(c);
}

static void the_later_of_two_is_set_aside(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "\ncertificate = { name = \"x\"; names = \"a.example\"; };",
		"certificate = { name = \"x\"; names = \"b.example\"; };", "http = { name = \"www\"; type = \"webroot\"; path = \"/other\"; };",
		CERT("d.example") "service = { name = \"nginx\"; };");

	(void)state;
	made_says(c, SNIPPETS "b.conf:1: certificate \"x\" is already defined in " SNIPPETS "a.conf:2");
	made_says(c, SNIPPETS "c.conf:1: http \"www\" is already defined in " MAIN_PATH ":2");
	made_says(c, SNIPPETS "d.conf:1: service \"nginx\" is already defined in " MAIN_PATH ":3");
	assert_int_equal(made_errors(c), 3);
	assert_int_equal(c->cert.n, 1);
	assert_string_equal(conf_find_cert(c, "x")->names.v[0], "a.example");
	assert_string_equal(conf_find_http(c, "www")->path, "/var/www/html");
	conf_free(c);
}

static void a_file_may_clash_with_itself(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = (\n{ name = \"x\"; names = \"a.example\"; },\n{ name = \"x\"; names = \"b.example\"; } );",
		"certificate = ( { name = \"y\"; names = \"a.example\"; }, { names = \"b.example\"; } );");

	(void)state;
	made_says(c, SNIPPETS "a.conf:3: certificate \"x\" is already defined in " SNIPPETS "a.conf:2");
	made_says(c, SNIPPETS "b.conf:1: certificate lacks name");
	assert_int_equal(c->cert.n, 0);
	conf_free(c);
	c = MADE(MAIN_TEXT CERT("a.example"));
	made_says(c, MAIN_PATH ":4: certificate lacks name");
	assert_false(c->usable);
	conf_free(c);
}

static void one_folder_has_one_certificate(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = { names = \"a.example\"; install = { dir = \"/etc/tls/x\"; }; };",
		"certificate = { names = \"b.example\";\n install = { dir = \"/etc//tls/./x/\"; }; };",
		"certificate = { names = \"c.example\"; install = ( { dir = \"/etc/tls/y\"; },\n{ dir = \"/etc/tls/y\"; } ); };",
		"certificate = { names = \"a.example\"; };"); /* the same domain again: RSA and ECDSA beside each other, say */

	(void)state;
	made_says(c, SNIPPETS "b.conf:2: install path \"/etc/tls/x\" is already defined in " SNIPPETS "a.conf:1");
	made_says(c, SNIPPETS "c.conf:2: install path \"/etc/tls/y\" is already defined in " SNIPPETS "c.conf:1");
	assert_int_equal(made_errors(c), 2);
	assert_int_equal(c->cert.n, 2);
	conf_free(c);
}

static void one_file_has_one_certificate(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = { names = \"a.example\"; install = { key_file = \"/etc/tls/k\"; fullchain_file = \"/etc/tls/f\"; }; };",
		"certificate = { names = \"b.example\"; install = { cert_file = \"/etc/tls/c\";\n bundle_file = \"/etc/tls/./k\"; }; };",
		"certificate = { names = \"c.example\"; install = { dir = \"/etc/tls/f\"; }; };",
		"certificate = { names = \"d.example\"; install = ( { dir = \"/etc/tls/d\"; }, { dir = \"/etc/tls\"; } ); };",
		"certificate = { names = \"e.example\"; install = { key_file = \"/etc/tls/d/key.pem\"; }; };",
		"certificate = { names = \"f.example\"; install = { key_file = \"/etc/tlsd/key.pem\"; }; };");

	(void)state;
	made_says(c, SNIPPETS "b.conf:1: install path \"/etc/tls/k\" is already defined in " SNIPPETS "a.conf:1");
	made_says(c, SNIPPETS "c.conf:1: install path \"/etc/tls/f\" is already defined in " SNIPPETS "a.conf:1");
	/* What lies in its own other folder is told; that others write below one of its folders is not held against them. */
	made_says(c, SNIPPETS "d.conf:1: install path \"/etc/tls/d\" lies in \"/etc/tls\", which " SNIPPETS "d.conf:1 writes itself");
	assert_int_equal(made_errors(c), 3);
	assert_int_equal(c->cert.n, 3);
	conf_free(c);
}

static void inherited_folder_has_one_certificate(void **state)
{
	struct conf *c = MADE(MAIN_TEXT "defaults = {\ninstall = { dir = \"/etc/tls/x\"; }; };", "certificate = { names = \"a.example\"; };",
		"\n\ncertificate = { names = \"b.example\"; };", "certificate = { names = \"c.example\"; install = { dir = \"/etc/tls/c\"; }; };");

	(void)state;
	made_says(c, SNIPPETS "b.conf:3: install path \"/etc/tls/x\" is already defined in " SNIPPETS "a.conf:1");
	assert_int_equal(made_errors(c), 1);
	assert_int_equal(c->cert.n, 2);
	conf_free(c);
}

static void forms_of_targets_are_read(void **state)
{
	struct conf *c = MADE("credentials = \"secrets\";\n" MAIN_TEXT,
		"certificate = { names = \"example.org\"; install = (\n"
		"  { dir = \"/x\"; bundle = true; pkcs12 = true; pkcs12_password = \"credential:p12\"; },\n"
		"  { key_file = \"/y/k\"; cert_file = \"/y/c\"; chain_file = \"/y/h\"; fullchain_file = \"/y/f\"; bundle_file = \"/y/b\";\n"
		"    pkcs12_file = \"tls/p\"; key_der_file = \"/y/kd\"; cert_der_file = \"/y/cd\"; pkcs12_password = \"credential:p\"; mode = \"0600\"; } ); };");
	static const char *const files[CONF_PART_PUBKEY] = {"/y/k", "/y/c", "/y/h", "/y/f", "/y/b", "/etc/dovad/tls/p", "/y/kd", "/y/cd"};
	const struct conf_cert *cert = conf_find_cert(c, "a");
	const char *paths[CONF_TARGET_PATHS];

	(void)state;
	made_good(c);
	assert_string_equal(cert->credentials, "/etc/dovad/secrets");
	assert_true(cert->install.v[0].bundle && cert->install.v[0].pkcs12 && !cert->install.v[0].der);
	assert_string_equal(cert->install.v[0].pkcs12_password, "p12");
	assert_int_equal(conf_target_paths(&cert->install.v[0], paths), 1);
	assert_string_equal(paths[0], "/x");
	assert_null(cert->install.v[1].dir);
	assert_int_equal(cert->install.v[1].mode, 0600);
	assert_int_equal(conf_target_paths(&cert->install.v[1], paths), CONF_PART_PUBKEY);
	for (int i = 0; i < CONF_PART_PUBKEY; i++) { /* all that can be named */
		assert_string_equal(cert->install.v[1].file[i], files[i]);
		assert_string_equal(paths[i], files[i]);
	}
	conf_free(c);
}

static void a_file_set_aside_takes_its_names_with_it(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = { names = \"a.example\"; service = \"inb\"; };",
		"service = { name = \"inb\"; };" CERT("b.example") "http = { name = \"inb\"; type = \"webroot\"; path = \"/x\"; }; typo = 1;",
		"certificate = { names = \"c.example\"; prove = \"http:inb\"; }; service = { name = \"inc\"; };",
		"certificate = { names = \"d.example\"; service = \"inc\"; };", CERT("e.example"));

	(void)state;
	made_says(c, SNIPPETS "b.conf:1: unknown option typo");
	made_says(c, SNIPPETS "a.conf:1: service \"inb\" is defined in " SNIPPETS "b.conf, which is set aside");
	made_says(c, SNIPPETS "c.conf:1: http \"inb\" is defined in " SNIPPETS "b.conf, which is set aside");
	made_says(c, SNIPPETS "d.conf:1: service \"inc\" is defined in " SNIPPETS "c.conf, which is set aside");
	assert_int_equal(made_errors(c), 4);
	assert_int_equal(c->cert.n, 1);
	assert_int_equal(c->http.n, 1);
	assert_int_equal(c->service.n, 1);
	conf_free(c);
}

/* A good file must not lose its names to one that is set aside for another reason, whichever comes first. */
static void a_bad_file_takes_no_names(void **state)
{
	struct conf *c =
		MADE(MAIN_TEXT, "certificate = { name = \"x\"; names = \"a.example\"; service = \"nowhere\"; install = { dir = \"/x\"; }; };",
			"certificate = { name = \"x\"; names = \"b.example\"; install = { dir = \"/x\"; }; };");

	(void)state;
	assert_int_equal(made_errors(c), 1);
	assert_string_equal(conf_find_cert(c, "x")->names.v[0], "b.example");
	conf_free(c);
}

/* A file that is set aside hears all at once, and what others have to do with it, but not what comes of their mistakes. */
static void what_is_set_aside_is_linked_for_its_mistakes(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, CERT("a.example") "http = { name = \"ina\"; type = \"webroot\"; path = \"/x\"; frob = 1; };",
		"certificate = { name = \"x\"; names = \"b.example\"; install = { dir = \"/x\"; }; prove = \"http:ina\"; };\ntypo = 1;",
		"certificate = { name = \"x\"; names = \"c.example\"; install = { dir = \"/x\"; }; };",
		"certificate = { name = \"x\"; names = \"d.example\"; install = { dir = \"/x\"; }; service = \"nowhere\"; prove = \"http:ina\"; };\ntypo = 1;");

	(void)state;
	made_says(c, SNIPPETS "a.conf:1: unknown option frob");
	made_says(c, SNIPPETS "b.conf:2: unknown option typo");
	made_says(c, SNIPPETS "d.conf:1: certificate \"x\" is already defined in " SNIPPETS "b.conf:1");
	made_says(c, SNIPPETS "d.conf:1: install path \"/x\" is already defined in " SNIPPETS "b.conf:1");
	made_says(c, SNIPPETS "d.conf:1: no service \"nowhere\" is defined");
	made_says(c, SNIPPETS "d.conf:2: unknown option typo");
	assert_int_equal(made_errors(c), 6);
	assert_int_equal(c->cert.n, 1);
	assert_string_equal(conf_find_cert(c, "x")->names.v[0], "c.example");
	assert_int_equal(c->http.n, 1);
	conf_free(c);
}

static void a_clash_with_what_falls_is_none(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "http = ( { name = \"www\"; type = \"webroot\"; path = \"/a\"; }, { name = \"two\"; type = \"webroot\"; path = \"/a\"; } );",
		"http = { name = \"two\"; type = \"webroot\"; path = \"/b\"; };");

	(void)state;
	made_says(c, SNIPPETS "a.conf:1: http \"www\" is already defined in " MAIN_PATH ":2");
	assert_int_equal(made_errors(c), 1);
	assert_string_equal(conf_find_http(c, "two")->path, "/b");
	conf_free(c);
}

/* Where the main file could be read it is known what it defines. */
static void snippets_are_linked_beside_a_bad_main_file(void **state)
{
	struct conf *c = MADE(MAIN_TEXT "frobnicate = 1; defaults = { service = \"ngnix\"; };",
		"certificate = { names = \"a.example\"; prove = \"http:ww\"; ca = \"le\"; };", CERT("b.example"));

	(void)state;
	assert_false(c->usable);
	made_says(c, MAIN_PATH ":4: unknown option frobnicate");
	made_says(c, MAIN_PATH ":4: no service \"ngnix\" is defined, did you mean \"nginx\"?");
	made_says(c, SNIPPETS "a.conf:1: no http \"ww\" is defined, did you mean \"www\"?");
	assert_int_equal(made_errors(c), 3);
	assert_int_equal(c->cert.n, 0);
	conf_free(c);
	c = MADE(MAIN_TEXT "keep = ;", "certificate = { names = \"*.a.example\"; prove = \"http:ww\"; ca = \"l\"; };");
	assert_int_equal(made_errors(c), 1);
	conf_free(c);
}

static void shipped_services_give_way(void **state)
{
	const struct conf_source v[] = {
		made_source(MAIN_PATH, MAIN_TEXT, CONF_MAIN),
		made_source("/etc/dovad/services.d/haproxy.conf", "service = { name = \"haproxy\"; unit = \"own.service\"; };", CONF_SERVICES),
		made_source("/usr/share/dovad/services.d/all.conf",
			"service = ( { name = \"haproxy\"; unit = \"shipped.service\"; }, { name = \"nginx\"; unit = \"shipped.service\"; }, { name "
			"= \"apache2\"; "
			"unit = \"shipped.service\"; }, { name = \"exim\"; unit = \"shipped.service\"; } );",
			CONF_SERVICES),
		made_source("/usr/share/dovad/services.d/bad.conf", CERT("x.example"), CONF_SERVICES),
		made_source(SNIPPETS "a.conf", "service = { name = \"exim\"; unit = \"mine.service\"; };", CONF_SNIPPET),
	};
	struct conf *c = conf_build(v, 5, NULL, 0);

	(void)state;
	assert_int_equal(made_errors(c), 1);
	made_says(c, "/usr/share/dovad/services.d/bad.conf:1: certificate: a file of the services folder defines services only");
	assert_int_equal(c->service.n, 4);
	assert_string_equal(conf_find_service(c, "haproxy")->unit, "own.service");
	assert_string_equal(conf_find_service(c, "nginx")->unit, "nginx.service");
	assert_string_equal(conf_find_service(c, "apache2")->unit, "shipped.service");
	assert_string_equal(conf_find_service(c, "exim")->unit, "mine.service");
	conf_free(c);
}

static void defaults_stack(void **state)
{
	struct conf *c = MADE("certificate = { name = \"m\"; names = \"m.example\"; };\n" /* defaults count wherever they stand */
			      "defaults = { service = [ \"nginx\" ]; key = \"rsa-2048\"; self_check = \"off\"; };\n" MAIN_TEXT,
		CERT("a.example"),
		"certificate = { names = \"b.example\"; key = \"ecdsa-p384\"; service = [ ]; };\ndefaults = { self_check = \"require\"; };",
		CERT("c.example"));
	const struct conf_cert *m = conf_find_cert(c, "m"), *a = conf_find_cert(c, "a"), *b = conf_find_cert(c, "b"), *last = conf_find_cert(c, "c");

	(void)state;
	made_good(c);
	assert_int_equal(m->key.type, 2);
	assert_int_equal(a->key.type, 2);
	assert_int_equal(a->service.n, 1);
	assert_int_equal(a->self_check, CONF_CHECK_OFF);
	assert_int_equal(b->key.type, 1);
	assert_int_equal(b->service.n, 0);
	assert_int_equal(b->self_check, CONF_CHECK_REQUIRE);
	assert_int_equal(last->self_check, CONF_CHECK_OFF); /* those of a snippet end with it */
	conf_free(c);
}

static void bad_defaults_are_told_once_where_they_stand(void **state)
{
	struct conf *c = MADE(MAIN_TEXT "defaults = { service = \"ngin\"; };", CERT("a.example"), CERT("b.example"));

	(void)state;
	assert_false(c->usable);
	assert_int_equal(made_errors(c), 1);
	made_says(c, MAIN_PATH ":4: no service \"ngin\" is defined, did you mean \"nginx\"?");
	conf_free(c);
	c = MADE(MAIN_TEXT,
		"defaults = { ca = \"l\"; };\ncertificate = ( { name = \"x\"; names = \"x.example\"; }, { name = \"y\"; names = \"y.example\"; } );",
		CERT("b.example"));
	assert_int_equal(made_errors(c), 1);
	made_says(c, SNIPPETS "a.conf:1: no ca \"l\" is defined, did you mean \"le\"?");
	assert_int_equal(c->cert.n, 1);
	conf_free(c);
	c = MADE(MAIN_TEXT "defaults = { name = \"x\"; names = \"x.example\"; };");
	made_says(c, "unknown option name");
	made_says(c, "unknown option names");
	conf_free(c);
}

static void digests_tell_what_changed(void **state)
{
	static const char *const variants[] = {
		"certificate = { names = [ \"a.example\", \"b.example\" ]; };",
		"certificate = { names = [ \"a.example\" ]; };",
		"certificate = { names = [ \"a.example\", \"b.example\" ]; key = \"rsa-2048\"; };",
		"certificate = { names = [ \"a.example\", \"b.example\" ]; ca = \"two\"; };",
		"certificate = { names = [ \"a.example\", \"b.example\" ]; prove = \"http:two\"; };",
		"certificate = { names = [ \"a.example\", \"b.example\" ]; prove = \"dns:two\"; };",
	};
	static const char more[] = MAIN_SERVICE
		"ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; },\n"
		"{ name = \"two\"; type = \"acme\"; directory = \"https://two.example/\"; } );\n"
		"http = ( { name = \"www\"; type = \"webroot\"; path = \"/w\"; }, { name = \"two\"; type = \"webroot\"; path = \"/2\"; } );"
		"dns = { name = \"two\"; type = \"rfc2136\"; server = \"192.0.2.1\"; };";
	enum { N = sizeof variants / sizeof variants[0], PROVED = N - 2 }; /* the last are proved another way, and need no new certificate */
	uint64_t digest[N], issue[N];
	char whole[N][65];

	(void)state;
	for (int i = 0; i < N; i++) {
		struct conf *c = MADE(more, variants[i]), *again = MADE(more, variants[i]), *same;

		made_good(c);
		digest[i] = conf_find_cert(c, "a")->digest;
		issue[i] = conf_find_cert(c, "a")->issue;
		memcpy(whole[i], c->digest, 65);
		assert_string_equal(c->digest, again->digest);
		assert_int_equal(strspn(c->digest, "0123456789abcdef"), 64);
		for (int j = 0; j < i; j++) {
			assert_true(digest[i] != digest[j] && strcmp(whole[i], whole[j]) != 0);
			assert_true((issue[i] == issue[j]) == (i >= PROVED && (j == 0 || j >= PROVED)));
		}
		conf_free(again);
		conf_free(c);
		/* What does not matter for issuing leaves the certificate's alone. */
		same = MADE(more, "certificate = { names = [ \"A.example.\", \"b.example\" ]; service = \"nginx\"; install = { dir = \"/x\"; }; };");
		assert_true(conf_find_cert(same, "a")->digest == digest[0] && conf_find_cert(same, "a")->issue == issue[0]);
		assert_string_not_equal(same->digest, whole[0]);
		conf_free(same);
	}
}

static void certificates_are_sorted(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = ( { name = \"m\"; names = \"m.example\"; }, { name = \"a\"; names = \"a.example\"; } );",
		"certificate = { name = \"k\"; names = \"k.example\"; };");

	(void)state;
	made_good(c);
	assert_string_equal(c->cert.v[0].name, "a");
	assert_string_equal(c->cert.v[1].name, "k");
	assert_string_equal(c->cert.v[2].name, "m");
	assert_null(conf_find_cert(c, "b"));
	assert_null(conf_find_ca(c, "b"));
	assert_null(conf_find_http(c, ""));
	assert_null(conf_find_service(c, "ngin"));
	conf_free(c);
}

enum { MANY = 10000 };

/* Many files, and every one of them with a reference that does not resolve: the work grows with their number, not its square. The bound is
 * generous, for sanitizers on a busy machine; the square would take minutes. */
static void many_files_take_no_time(void **state)
{
	struct conf_source *v = mem_array(MANY + 1, sizeof *v);
	clock_t begin = clock();
	struct conf *c;

	(void)state;
	v[0] = made_source(MAIN_PATH, MAIN_TEXT, CONF_MAIN);
	for (int i = 0; i < MANY; i++)
		v[i + 1] = made_source(mem_printf(SNIPPETS "h%05d.conf", i),
			mem_printf("certificate = { names = \"h%d.example\"; install = { dir = \"/etc/tls/h%d\"; }; service = \"%s\"; };", i, i,
				i % 2 ? "nginx" : "ngnix"),
			CONF_SNIPPET);
	c = conf_build(v, MANY + 1, NULL, 0);
	assert_int_equal(c->cert.n, MANY / 2);
	assert_int_equal(c->problems.n, MANY / 2);
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
	conf_free(c);
	for (int i = 1; i <= MANY; i++) {
		free((void *)(uintptr_t)v[i].path);
		free((void *)(uintptr_t)v[i].text);
	}
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_bad_among_good_ones),
		cmocka_unit_test(a_bad_main_file_is_not_usable),
		cmocka_unit_test(names_are_found_by_their_ca),
		cmocka_unit_test(references_cross_files),
		cmocka_unit_test(undefined_references_set_aside),
		cmocka_unit_test(what_is_missing_altogether_is_told),
		cmocka_unit_test(methods_are_named_by_kind),
		cmocka_unit_test(without_prove_what_fits_is_used),
		cmocka_unit_test(the_later_of_two_is_set_aside),
		cmocka_unit_test(a_file_may_clash_with_itself),
		cmocka_unit_test(one_folder_has_one_certificate),
		cmocka_unit_test(one_file_has_one_certificate),
		cmocka_unit_test(inherited_folder_has_one_certificate),
		cmocka_unit_test(forms_of_targets_are_read),
		cmocka_unit_test(a_file_set_aside_takes_its_names_with_it),
		cmocka_unit_test(a_bad_file_takes_no_names),
		cmocka_unit_test(what_is_set_aside_is_linked_for_its_mistakes),
		cmocka_unit_test(a_clash_with_what_falls_is_none),
		cmocka_unit_test(snippets_are_linked_beside_a_bad_main_file),
		cmocka_unit_test(shipped_services_give_way),
		cmocka_unit_test(defaults_stack),
		cmocka_unit_test(bad_defaults_are_told_once_where_they_stand),
		cmocka_unit_test(digests_tell_what_changed),
		cmocka_unit_test(certificates_are_sorted),
		cmocka_unit_test(many_files_take_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
