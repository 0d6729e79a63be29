/* SPDX-License-Identifier: ISC */
/* Files by themselves: options, defaults, messages. Names across files: test_conf_link.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf_made.h"
#include "crypto/key.h"
#include "crypto/tsig.h"
#include "io/starttls.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define A_CONF "/etc/dovad/conf.d/a.conf"

static void everything_is_read(void **state)
{
	struct conf *c = MADE(
		"contact = [ \"mailto:ops@example.net\" ];\n"
		"ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; agree_tos = true; },\n"
		"  { name = \"z\"; type = \"acme\"; directory = \"https://[2001:db8::1]:14000/dir\"; contact = \"mailto:z@example.net\";\n"
		"    ca_file = \"pebble.pem\"; allow_private = true; eab = { key_id = \"kid 1\"; hmac_key = \"credential:z-eab\"; };\n"
		"    max_orders = 7; preferred_chain = \"Root X1\"; account_key = \"rsa-2048\"; } );\n"
		"http = ( { name = \"p80\"; type = \"listener\"; listen = [ \"0.0.0.0:80\", \"[::]:80\", \"systemd:http\" ]; },\n"
		"  { name = \"www\"; type = \"webroot\"; path = \"/var//www/./html/\"; } );\n"
		"service = { name = \"ha\"; test = [ \"/usr/sbin/haproxy\", \"-c\", \"\" ]; command = ( \"/bin/kill\", \"-USR2\" );\n"
		"  look = \"[::1]:443\"; starttls = \"ldap\"; run_as = \"haproxy\"; timeout = \"2m\"; };\n",
		"certificate = { name = \"n.1\"; names = [ \"Example.org\", \"www.example.org.\" ]; ca = [ \"z\" ]; key = [ \"ecdsa-p384\" ];\n"
		"  prove = [ \"http:www\", \"http:p80\" ]; install = ( { dir = \"/etc/tls\"; owner = \"_ha\"; group = \"ssl-cert\"; mode = \"600\"; "
		"} );\n"
		"  service = [ \"ha\" ]; enabled = false; self_check = \"require\"; };\n");
	const struct conf_ca *z = conf_find_ca(c, "z");
	const struct conf_http *p80 = conf_find_http(c, "p80");
	const struct conf_service *ha = conf_find_service(c, "ha");
	const struct conf_cert *cert = conf_find_cert(c, "n.1");

	(void)state;
	made_good(c);
	assert_string_equal(conf_find_ca(c, "le")->contact.v[0], "mailto:ops@example.net");
	assert_null(conf_find_ca(c, "le")->ca_file);
	assert_int_equal(conf_find_ca(c, "le")->max_orders, 32);
	assert_int_equal(conf_find_ca(c, "le")->account_key.type, KEY_ECDSA_P256);
	assert_int_equal(z->contact.n, 1);
	assert_string_equal(z->contact.v[0], "mailto:z@example.net");
	assert_string_equal(z->ca_file, "/etc/dovad/pebble.pem");
	assert_true(z->allow_private && !z->agree_tos);
	assert_string_equal(z->eab.key_id, "kid 1");
	assert_string_equal(z->eab.hmac_key, "z-eab");
	assert_int_equal(z->max_orders, 7);
	assert_string_equal(z->preferred_chain, "Root X1");
	assert_int_equal(z->account_key.type, KEY_RSA_2048);
	assert_int_equal(z->line, 3);
	assert_int_equal(p80->type, CONF_HTTP_LISTENER);
	assert_int_equal(p80->listen.n, 3);
	assert_string_equal(p80->listen.v[2], "systemd:http");
	assert_string_equal(conf_find_http(c, "www")->path, "/var/www/html");
	assert_int_equal(ha->test.n, 3);
	assert_string_equal(ha->test.v[2], "");
	assert_int_equal(ha->command.n, 2);
	assert_null(ha->unit);
	assert_string_equal(ha->look.v[0], "[::1]:443");
	assert_int_equal(ha->starttls, STARTTLS_LDAP);
	assert_string_equal(ha->run_as, "haproxy");
	assert_int_equal(ha->timeout, 120);
	assert_int_equal(cert->names.n, 2);
	assert_string_equal(cert->names.v[0], "example.org");
	assert_string_equal(cert->names.v[1], "www.example.org");
	assert_ptr_equal(cert->ca, z);
	assert_int_equal(cert->key.type, KEY_ECDSA_P384);
	assert_int_equal(cert->prove.n, 2);
	assert_ptr_equal(cert->prove.v[1].http, p80);
	assert_int_equal(cert->install.n, 1);
	assert_string_equal(cert->install.v[0].dir, "/etc/tls");
	assert_string_equal(cert->install.v[0].owner, "_ha");
	assert_string_equal(cert->install.v[0].group, "ssl-cert");
	assert_int_equal(cert->install.v[0].mode, 0600);
	assert_ptr_equal(cert->service.v[0], ha);
	assert_false(cert->enabled);
	assert_int_equal(cert->self_check, CONF_CHECK_REQUIRE);
	assert_string_equal(cert->file, A_CONF);
	assert_int_equal(cert->line, 1);
	conf_free(c);
}

static void alibaba_cas(void **state)
{
	static const struct {
		const char *written, *endpoint, *address;
	} rows[] = {
		{"", NULL, "cas.ap-southeast-1.aliyuncs.com"},
		{"endpoint = \"https://CAS.Example.net\";", "https://cas.example.net", "cas.example.net"},
		{"endpoint = \"https://cas.example.net:443/\";", "https://cas.example.net", "cas.example.net"},
		{"endpoint = \"https://cas.example.net:8443\";", "https://cas.example.net:8443", "cas.example.net:8443"},
		{"endpoint = \"https://127.0.0.1:18080/\";", "https://127.0.0.1:18080", "127.0.0.1:18080"},
		{"endpoint = \"https://[2001:db8::443]:443\";", "https://[2001:db8::443]", "[2001:db8::443]"},
		{"endpoint = \"https://[::1]:8443\";", "https://[::1]:8443", "[::1]:8443"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct conf *c;
		const struct conf_ca *ca;

		snprintf(text, sizeof text, "ca = { name = \"ali\"; type = \"alibaba-cas\"; site = \"international\"; access_key_id = \"STS.LTAI_4-x\"; "
			"access_key_secret = \"credential:ali\"; %s };", rows[i].written);
		c = MADE(MAIN_TEXT, text);
		made_good(c);
		ca = conf_find_ca(c, "ali");
		assert_int_equal(ca->type, CONF_CA_ALIBABA_CAS);
		assert_int_equal(ca->site, CONF_SITE_INTERNATIONAL);
		assert_string_equal(ca->access_key_id, "STS.LTAI_4-x");
		assert_string_equal(ca->access_key_secret, "ali");
		assert_null(ca->security_token);
		assert_int_equal(ca->signature, CONF_SIGNATURE_V3);
		assert_int_equal(ca->max_orders, 32);
		assert_null(ca->ca_file);
		assert_false(ca->allow_private || conf_is_staging(ca));
		if (rows[i].endpoint)
			assert_string_equal(ca->endpoint, rows[i].endpoint);
		else
			assert_null(ca->endpoint);
		assert_string_equal(conf_ca_address(ca), rows[i].address);
		conf_free(c);
	}
}

static void alibaba_cas_as_the_first(void **state)
{
	struct conf *c = MADE("ca = { name = \"ali\"; type = \"alibaba-cas\"; site = \"china\"; access_key_id = \"L\"; access_key_secret = \"credential:a\";\n"
			      "security_token = \"credential:t\"; signature = \"rpc\"; ca_file = \"ca.pem\"; allow_private = true; max_orders = 1; };\n" MAIN_HTTP,
		MAIN_CA, "\ncertificate = { names = \"b.example\"; };", "certificate = { names = \"c.example\"; ca = \"le\"; };");
	const struct conf_ca *ca = conf_find_ca(c, "ali");

	(void)state;
	assert_true(c->usable);
	assert_int_equal(made_errors(c), 1);
	made_says(c, "/etc/dovad/conf.d/b.conf:2: certificates by a ca of type alibaba-cas are not in this version: name another one than \"ali\"");
	assert_non_null(conf_find_cert(c, "c"));
	assert_string_equal(ca->security_token, "t");
	assert_string_equal(ca->ca_file, "/etc/dovad/ca.pem");
	assert_int_equal(ca->signature, CONF_SIGNATURE_RPC);
	assert_string_equal(conf_ca_address(ca), "cas.aliyuncs.com");
	assert_string_equal(conf_ca_address(conf_find_ca(c, "le")), "https://acme.example/directory");
	conf_free(c);
}

static void defaults_are_filled(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = { names = \"example.org\"; install = { dir = \"/etc/tls\"; }; };");
	const struct conf_cert *cert = conf_find_cert(c, "a");
	const struct conf_settings *s = &c->settings;

	(void)state;
	made_good(c);
	assert_string_equal(s->snippets, "/etc/dovad/conf.d");
	assert_string_equal(s->services, "/etc/dovad/services.d");
	assert_string_equal(s->credentials, "/etc/dovad/credentials");
	assert_string_equal(s->state, LOCALSTATEDIR "/lib/dovad");
	assert_string_equal(s->keeper_state, LOCALSTATEDIR "/lib/dovad-keeper");
	assert_string_equal(s->runtime, RUNSTATEDIR "/dovad");
	assert_string_equal(s->user, "dovad");
	assert_string_equal(s->keeper_user, "dovad-keeper");
	assert_true(s->watch);
	assert_int_equal(s->watch_delay, 2);
	assert_int_equal(s->remove_delay, 60);
	assert_int_equal(s->http_port, 80);
	assert_int_equal(s->keep, 3);
	assert_int_equal(s->dns_port, 53);
	assert_int_equal(s->dns_rate, 200);
	assert_int_equal(s->dns_rate_name, 20);
	assert_int_equal(s->resolvers.n, 0);
	assert_non_null(cert);
	assert_string_equal(cert->ca->name, "le");
	assert_int_equal(cert->key.type, KEY_ECDSA_P256);
	assert_int_equal(cert->prove.n, 1);
	assert_string_equal(cert->prove.v[0].name, "www");
	assert_int_equal(cert->install.v[0].mode, 0640);
	assert_null(cert->install.v[0].owner);
	assert_int_equal(cert->service.n, 0);
	assert_true(cert->enabled);
	assert_int_equal(cert->self_check, CONF_CHECK_ADVISE);
	assert_int_equal(conf_find_service(c, "nginx")->timeout, 30);
	assert_null(conf_find_service(c, "nginx")->run_as);
	conf_free(c);
}

static void dns_entries_are_read(void **state)
{
	struct conf *c = MADE("dns_port = 5353; dns_rate = 50; dns_rate_name = 5;\n" MAIN_TEXT,
		"dns = ( { name = \"corp\"; type = \"rfc2136\"; server = \"[2001:db8::1]:5300\"; key_name = \"Dovad.\"; key_secret = \"credential:corp-tsig\";\n"
		"  key_algorithm = \"hmac-sha512\"; zones = [ \"Example.NET.\", \"_acme.b\xc3\xbc" "cher.example\", \"lan\" ]; quorum = \"majority\"; check = \"doh\";\n"
		"  servers = [ \"192.0.2.1\", \"[2001:db8::2]:5354\" ]; opinions = [ \"192.0.2.53\", \"https://dns.example/dns-query\" ];\n"
		"  confirm = 0; timeout = \"1h\"; settle = \"5s\"; ttl = 30; },\n"
		"{ name = \"hook\"; type = \"exec\"; command = [ \"/usr/local/bin/dns-hook\", \"-v\" ]; run_as = \"acme\"; quorum = 2;\n"
		"  secrets = [ \"credential:a\", \"credential:b.c\" ]; command_timeout = \"2m\"; },\n"
		"{ name = \"plain\"; type = \"rfc2136\"; server = \"NS1.example.net.\"; },\n"
		"{ name = \"port\"; type = \"rfc2136\"; server = \"NS1.example.net.:5300\"; } );");
	const struct conf_dns *corp = conf_find_dns(c, "corp"), *hook = conf_find_dns(c, "hook"), *plain = conf_find_dns(c, "plain");
	char variable[CONF_VARIABLE];

	(void)state;
	made_good(c);
	assert_int_equal(c->settings.dns_port, 5353);
	assert_int_equal(c->settings.dns_rate, 50);
	assert_int_equal(c->settings.dns_rate_name, 5);
	assert_int_equal(c->dns.n, 4);
	assert_string_equal(conf_find_dns(c, "port")->server, "ns1.example.net:5300");
	assert_int_equal(corp->type, CONF_DNS_RFC2136);
	assert_string_equal(corp->server, "[2001:db8::1]:5300");
	assert_string_equal(corp->key_name, "dovad");
	assert_string_equal(corp->key_secret, "corp-tsig");
	assert_int_equal(corp->key_algorithm, TSIG_HMAC_SHA512);
	assert_int_equal(corp->zones.n, 3);
	assert_string_equal(corp->zones.v[0], "example.net");
	assert_string_equal(corp->zones.v[1], "_acme.xn--bcher-kva.example");
	assert_string_equal(corp->zones.v[2], "lan");
	assert_string_equal(corp->quorum, "majority");
	assert_int_equal(corp->check, CONF_DNS_DOH);
	assert_string_equal(corp->servers.v[1], "[2001:db8::2]:5354");
	assert_string_equal(corp->opinions.v[1], "https://dns.example/dns-query");
	assert_int_equal(corp->confirm, 0);
	assert_int_equal(corp->timeout, 3600);
	assert_int_equal(corp->settle, 5);
	assert_int_equal(corp->ttl, 30);
	assert_true(conf_dns_holds(corp, "example.net") && conf_dns_holds(corp, "_acme-challenge.EXAMPLE.net") && conf_dns_holds(corp, "a.lan"));
	assert_false(conf_dns_holds(corp, "badexample.net") || conf_dns_holds(corp, "net") || conf_dns_holds(corp, "example.net.evil"));
	assert_int_equal(hook->type, CONF_DNS_EXEC);
	assert_int_equal(hook->command.n, 2);
	assert_string_equal(hook->run_as, "acme");
	assert_string_equal(hook->secrets.v[1], "b.c");
	assert_int_equal(hook->command_timeout, 120);
	assert_string_equal(hook->quorum, "2");
	assert_string_equal(conf_secret_variable("b.c-D_1", variable), "DOVAD_SECRET_FD_B_C_D_1");
	assert_string_equal(plain->server, "ns1.example.net");
	assert_null(plain->key_name);
	assert_null(plain->key_secret);
	assert_int_equal(plain->key_algorithm, TSIG_HMAC_SHA256);
	assert_string_equal(plain->quorum, "all");
	assert_int_equal(plain->check, CONF_DNS_AUTHORITATIVE);
	assert_int_equal(plain->confirm, 1);
	assert_int_equal(plain->timeout, 900);
	assert_int_equal(plain->settle, 0);
	assert_int_equal(plain->ttl, 60);
	assert_int_equal(plain->zones.n, 0);
	assert_true(conf_dns_holds(plain, "anything.example"));
	conf_free(c);
}

static void settings_are_read(void **state)
{
	struct conf *c =
		MADE("snippets = \"sites/\"; services = \"/srv/s\"; credentials = \"./c\"; state = \"s\"; keeper_state = \"k\"; runtime = \"r\";\n"
		     "user = \"www-data\"; keeper_user = \"me\"; watch = false; watch_delay = \"0s\"; remove_delay = \"30d\";\n"
		     "resolvers = [ \"192.0.2.53\", \"[2001:db8::53]:5353\" ]; http_port = 5002; keep = 2;\n" MAIN_TEXT);
	const struct conf_settings *s = &c->settings;

	(void)state;
	made_good(c);
	assert_string_equal(s->snippets, "/etc/dovad/sites");
	assert_string_equal(s->services, "/srv/s");
	assert_string_equal(s->credentials, "/etc/dovad/c");
	assert_string_equal(s->state, "/etc/dovad/s");
	assert_false(s->watch);
	assert_int_equal(s->watch_delay, 0);
	assert_int_equal(s->remove_delay, 30 * 86400);
	assert_int_equal(s->resolvers.n, 2);
	assert_int_equal(s->http_port, 5002);
	assert_int_equal(s->keep, 2);
	conf_free(c);
	c = MADE("snippets = \"sites\"; services = \"/srv/s\"; credentials = \"../x\"; providers = \"p\"; web = { };");
	assert_false(c->usable);
	made_says(c, MAIN_PATH ":1: providers is not in this version");
	made_says(c, MAIN_PATH ":1: web is not in this version");
	made_says(c, MAIN_PATH ":1: credentials: \"../x\" has a \"..\" in it");
	assert_string_equal(c->settings.snippets, "/etc/dovad/sites"); /* as far as they could be read */
	assert_string_equal(c->settings.user, "dovad");
	conf_free(c);
}

/* Each is the whole of one snippet beside a good main file, and sets it aside. */
static const struct {
	const char *text;
	int line;
	const char *why;
} bad[] = {
	/* unknown and misplaced */
	{"certificat = { };", 1, "unknown option certificat, did you mean certificate?"},
	{"\ncertificate = { nmaes = \"x.example\"; names = \"x.example\"; };", 2, "unknown option nmaes, did you mean names?"},
	{"certificate = { names = \"x.example\"; frobnicate = 1; };", 1, "unknown option frobnicate in certificate"},
	{"names = [ \"x.example\" ];", 1, "names stands outside: it belongs into certificate = { ... }"},
	{"hmac_key = \"credential:x\";", 1, "unknown option hmac_key"},
	{"certificate = { names = \"x.example\"; http = { }; };", 1, "http does not belong into certificate, but outside of it"},
	{"http_port = 80;", 1, "only in the main file"},
	{"contact = \"mailto:a@b.example\";", 1, "only in the main file"},
	{"snippets = \"/tmp\";", 1, "only in the main file"},
	/* later */
	{"notify = ( );", 1, "notify is not in this version"},
	{"web = { listen = [ \"127.0.0.1:9110\" ]; };", 1, "web is not in this version"},
	{"certificate = { names = \"x.example\"; ca = [ \"le\", \"z\" ]; };", 1, "more than one ca is not in this version"},
	{"certificate = { names = \"x.example\"; key = [ \"rsa-2048\", \"ecdsa-p256\" ]; };", 1, "more than one key is not in this version"},
	{"certificate = { names = \"x.example\"; prove = [ \"http:www\", \"tls-alpn:a\" ]; };", 1, "\"tls-alpn:a\" is not in this version"},
	{"certificate = { names = \"x.example\"; prove = \"dns-persist\"; };", 1, "\"dns-persist\" is not in this version"},
	{"certificate = { names = [ \"*.x.example\" ]; };", 1, "\"*.x.example\" can only be proven by dns: define a dns entry with its zone, or name one in prove"},
	{"certificate = { names = [ \"192.0.2.1\" ]; };", 1, "IP address: not in this version"},
	/* keys on tokens */
#define ON_TOKEN "certificate = { names = \"x.example\"; key = [ \"pkcs11:token=web;object=www\" ]; "
	{"certificate = { names = \"x.example\";\n key = \"pkcs11:token=web;object=www?pin-value=1234\"; };", 2,
		"key: the URI of the key: a PIN does not belong into the configuration: pkcs11_pin = \"credential:NAME\""},
	{"certificate = { names = \"x.example\"; key = \"pkcs11:object=www\"; };", 1, "it must say which token"},
	{"certificate = { names = \"x.example\"; key = \"pkcs11:token=web\"; };", 1, "it must say which key"},
	{ON_TOKEN "pkcs11_pin = \"1234\"; };", 1, "pkcs11_pin"},
	{ON_TOKEN "\n install = { key_file = \"/x\"; }; };", 2, "key_file: the key is on a token and never leaves it"},
	{ON_TOKEN "install = ( { dir = \"/x\"; },\n { fullchain_file = \"/c\"; bundle_file = \"/b\"; } ); };", 2, "bundle_file: the key is on a token"},
	{ON_TOKEN "install = { pkcs12_file = \"/x\"; }; };", 1, "pkcs12_file: the key is on a token"},
	{ON_TOKEN "install = { key_der_file = \"/x\"; }; };", 1, "key_der_file: the key is on a token"},
	{ON_TOKEN "install = { dir = \"/x\"; bundle = true; }; };", 1, "bundle: the key is on a token"},
	{ON_TOKEN "install = { dir = \"/x\"; pkcs12 = true; }; };", 1, "pkcs12: the key is on a token"},
	{ON_TOKEN "install = { dir = \"/x\"; der = true; }; };", 1, "der: the key is on a token"},
	{"service = { name = \"hap\"; haproxy = \"/x\"; };\n" ON_TOKEN "service = \"hap\"; };", 2, "takes no certificate without its key"},
	{"certificate = { names = \"x.example\";\n pkcs11_pin = \"credential:x\"; };", 2, "pkcs11_pin goes with a key on a token only: key = "},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; account_key = \"rsa-2048\";\n pkcs11_pin = \"credential:x\"; };", 2,
		"pkcs11_pin goes with a key on a token only: account_key = "},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; account_key = \"pkcs11:x\"; };", 1, "account_key: the URI of the key"},
	/* Alibaba Cloud */
#define CAS "ca = { name = \"x\"; type = \"alibaba-cas\"; site = \"china\"; access_key_id = \"LTAI4\"; access_key_secret = \"credential:s\"; "
	{CAS "};\ncertificate = { names = \"x.example\"; ca = \"x\"; };", 2, "certificates by a ca of type alibaba-cas are not in this version"},
	{CAS "};\ndefaults = { ca = \"x\"; };\ncertificate = { names = \"x.example\"; };", 3, "by a ca of type alibaba-cas are not in this version"},
	{"ca = {\n name = \"x\"; type = \"alibaba-cas\"; access_key_id = \"L\"; access_key_secret = \"credential:s\"; };", 1, "ca lacks site: Which of the two"},
	{"ca = { name = \"x\"; type = \"alibaba-cas\"; site = \"china\"; access_key_secret = \"credential:s\"; };", 1, "ca lacks access_key_id: "},
	{"ca = { name = \"x\"; type = \"alibaba-cas\"; site = \"china\"; access_key_id = \"L\"; };", 1, "ca lacks access_key_secret: "},
	{"ca = { name = \"x\"; type = \"alibaba-cas\"; site = \"europe\"; access_key_id = \"L\"; access_key_secret = \"credential:s\"; };", 1,
		"one of \"china\", \"international\""},
	{CAS "signature = \"v4\"; };", 1, "unknown word \"v4\", did you mean \"v3\"?"},
	{CAS "security_token = \"hush\"; };", 1, "secrets never stand here"},
	{"ca = { name = \"x\"; type = \"alibaba-cas\"; site = \"china\"; access_key_id = \"L\"; access_key_secret = \"hush\"; };", 1, "secrets never stand here"},
	{"ca = { name = \"x\"; type = \"alibaba-cas\"; site = \"china\"; access_key_secret = \"credential:s\";\n access_key_id = \"LT AI\"; };", 2,
		"access_key_id is none: letters, digits"},
	{"ca = { name = \"x\"; type = \"alibaba-cas\"; site = \"china\"; access_key_secret = \"credential:s\"; access_key_id = \"a,SignedHeaders=\"; };", 1,
		"access_key_id is none"},
	{CAS "endpoint = \"http://cas.example\"; };", 1, "is no https:// URL"},
	{CAS "endpoint = \"https://cas.example/v2\"; };", 1, "\"https://cas.example/v2\" is more than a host and its port"},
	{CAS "endpoint = \"https://cas.example?x\"; };", 1, "is more than a host and its port"},
	{CAS "endpoint = \"https://2001:db8::1\"; };", 1, "is more than a host and its port"},
	{CAS "endpoint = \"https://cas.example:65536\"; };", 1, "is neither an address nor a host name"},
	{CAS "endpoint = \"https://cas.example:\"; };", 1, "is neither an address nor a host name"},
	{CAS "endpoint = \"https://me@cas.example\"; };", 1, "is no plain URL"},
	{CAS "endpoint = \"https://[::1\"; };", 1, "is neither an address nor a host name"},
	{CAS "endpoint = 1; };", 1, "endpoint must be the https URL of a host in quotes"},
	{CAS "directory = \"https://x.example/\"; };", 1, "directory goes with type = \"acme\" only"},
	{CAS "\neab = { key_id = \"k\"; hmac_key = \"credential:k\"; }; };", 2, "eab goes with type = \"acme\" only"},
	{CAS "contact = \"mailto:a@b.example\"; };", 1, "contact goes with type = \"acme\" only"},
	{CAS "account_key = \"rsa-2048\"; };", 1, "account_key goes with type = \"acme\" only"},
	{CAS "agree_tos = true; };", 1, "agree_tos goes with type = \"acme\" only"},
	{CAS "preferred_chain = \"x\"; };", 1, "preferred_chain goes with type = \"acme\" only"},
	{CAS "pkcs11_pin = \"credential:p\"; };", 1, "pkcs11_pin goes with type = \"acme\" only"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; site = \"china\"; };", 1, "site goes with type = \"alibaba-cas\" only"},
	/* types */
	{"certificate = 1;", 1, "certificate must be a group or a list of groups"},
	{"certificate = ( 1 );", 1, "certificate must be a group or a list of groups"},
	{"certificate = [ ];", 1, "certificate must be a group or a list of groups"},
	{"defaults = ( );", 1, "defaults must be a group"},
	{"certificate = { names = 1; };", 1, "names must be a list of domain names"},
	{"certificate = { names = ( \"x.example\", 1 ); };", 1, "names must be a list of domain names"},
	{"certificate = { names = { }; };", 1, "names must be a list of domain names"},
	{"certificate = { names = \"x.example\"; enabled = \"yes\"; };", 1, "enabled must be true or false, without quotes"},
	{"certificate = { names = \"x.example\"; enabled = 1; };", 1, "enabled must be true or false"},
	{"certificate = { names = \"x.example\"; key = true; };", 1, "key must be a word in quotes"},
	{"certificate = { names = \"x.example\"; key = [ ]; };", 1, "key must be a word in quotes"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; mode = 640; }; };", 1, "mode must be a mode in quotes"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\";\n mode = 0640; }; };", 2, "a leading zero makes no octal"},
	{"service = { name = \"x\"; timeout = 30; };", 1, "timeout must be a time with its unit"},
	{"service = { name = \"x\"; test = \"nginx -t\"; };", 1, "test must be a list of program and arguments, no shell"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; max_orders = \"32\"; };", 1, "max_orders must be a whole number"},
	/* values */
	{"certificate = { names = [ ]; };", 1, "names has 0 entries: from 1 to 100"},
	{"certificate = { name = \"../x\"; names = \"x.example\"; };", 1, "\"../x\" is no name"},
	{"certificate = { name = \"Big\"; names = \"x.example\"; };", 1, "\"Big\" is no name"},
	{"certificate = { names = \"a_b.example\"; };", 1, "underscore"},
	{"certificate = { names = \"x.example\"; key = \"rsa-2084\"; };", 1, "unknown word \"rsa-2084\", did you mean \"rsa-2048\"?"},
	{"certificate = { names = \"x.example\"; self_check = \"maybe so\"; };", 1, "one of \"advise\", \"require\", \"off\""},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; mode = \"0644\"; }; };", 1, "\"0644\" does not suit a private key"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; mode = \"0750\"; }; };", 1, "\"0750\" does not suit"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; mode = \"0060\"; }; };", 1, "\"0060\" does not suit"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; mode = \"rw\"; }; };", 1, "\"rw\" is no mode"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; mode = \"00640\"; }; };", 1, "is no mode"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x/../y\"; }; };", 1, "has a \"..\" in it"},
	{"certificate = { names = \"x.example\"; install = { dir = \"\"; }; };", 1, "dir: is empty"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; group = \"a b\"; }; };", 1, "is no name of a user or group"},
	{"certificate = { names = \"x.example\"; install = { mode = \"0640\"; }; };", 1, "install lacks dir, or a file: key_file"},
	{"certificate = { names = \"x.example\"; install = { key_file = \"/k\"; der = true; }; };", 1, "der goes with dir only"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; key_file = \"/k\"; }; };", 1, "either key_file or dir, not both"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; pkcs12 = 1; }; };", 1, "pkcs12 must be true or false"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; pkcs12 = true; pkcs12_password = \"hush\"; }; };", 1, "secrets never stand here"},
	{"certificate = { names = \"x.example\"; install = { dir = \"/x\"; pkcs12_password = \"credential:p\"; }; };", 1,
		"pkcs12_password goes with pkcs12 = true or pkcs12_file only"},
	{"certificate = { names = \"x.example\"; install = { key_file = \"/x\"; pkcs12_password = \"credential:p\"; }; };", 1,
		"pkcs12_password goes with pkcs12 = true or pkcs12_file only"},
	{"certificate = { names = \"x.example\"; install = { key_file = \"/x/../k\"; }; };", 1, "has a \"..\" in it"},
	{"certificate = { names = \"x.example\"; install = { key_file = \"/k\"; cert_file = \"/k\"; }; };", 1,
		"install path \"/k\" is already defined in " A_CONF ":1"},
	{"certificate = { names = \"x.example\"; install = ( { dir = \"/x\"; }, { key_file = \"/x/more/key.pem\"; } ); };", 1,
		"install path \"/x/more/key.pem\" lies in \"/x\", which " A_CONF ":1 writes itself"},
	{"certificate = {\n};", 1, "certificate lacks names: Domain names it is for"},
	{"service = { name = \"x\"; timeout = \"0s\"; };", 1, "timeout: is out of range: from 1s to 3600s"},
	{"service = { name = \"x\"; timeout = \"2h\"; };", 1, "timeout: is out of range"},
	{"service = { name = \"x\"; timeout = \"soon\"; };", 1, "\"soon\" is no time"},
	{"service = { name = \"x\"; timeout = \"99999999999999999999s\"; };", 1, "is no time"},
	{"service = { name = \"x\"; test = [ \"nginx\" ]; };", 1, "\"nginx\": the program is named by its absolute path"},
	{"service = { name = \"x\"; unit = \"nginx\"; };", 1, "\"nginx\" is no name of a service unit"},
	{"service = { name = \"x\"; unit = \"../x.service\"; };", 1, "is no name of a service unit"},
	{"service = { name = \"x\"; unit = \"-x.service\"; };", 1, "is no name of a service unit"},
	{"service = { name = \"x\"; unit = \"x.service\"; command = [ \"/bin/true\" ]; };", 1, "either unit or command, not both"},
	{"service = { name = \"x\"; haproxy = \"/run/ha\"; command = [ \"/bin/true\" ]; };", 1, "either haproxy or command, not both"},
	{"service = { name = \"x\"; haproxy = \"\"; };", 1, "haproxy: is empty"},
	{"service = { name = \"x\"; haproxy = \"/run/../ha\"; };", 1, "has a \"..\" in it"},
	{"service = { name = \"x\"; haproxy = [ \"/run/ha\" ]; };", 1, "a path in quotes"},
	{"service = { name = \"x\"; haproxy = \"/run/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/s\"; };", 1, "a socket's path has at most 107 bytes, this one has 108"},
	{"service = { name = \"x\"; look = [ \"[::1]\" ]; starttls = \"pop\"; };", 1, "unknown word \"pop\", did you mean \"pop3\"?"},
	{"service = { name = \"x\"; starttls = \"smtp\"; };", 1, "starttls goes with look only"},
	{"service = { name = \"x\"; look = [ \"localhost:443\" ]; };", 1, "\"localhost:443\" is no address"},
	{"service = { name = \"x\"; look = [ \"systemd:x\" ]; };", 1, "\"systemd:x\" is no address"},
	{"service = { name = \"x\"; look = [ \"*:8443\", \"*.example.org\" ]; };", 1, "\"*.example.org\" is no place to look at"},
	{"service = { name = \"x\"; look = [ \"*\", \"*:\" ]; };", 1, "\"*:\" is no place to look at"},
	{"service = { name = \"x\"; look = [ \"*:70000\" ]; };", 1, "\"*:70000\" is no place to look at"},
	{"service = { name = \"x\"; look = [ \"*11:443\" ]; };", 1, "\"*11:443\" is no place to look at"},
	{"service = { unit = \"x.service\"; };", 1, "service lacks name"},
	{"http = { name = \"x\"; type = \"webroot\"; };", 1, "http lacks path"},
	{"http = { name = \"x\"; type = \"listener\"; };", 1, "http lacks listen"},
	{"http = { name = \"x\"; type = \"listener\"; listen = [ ]; };", 1, "listen has 0 entries"},
	{"http = { name = \"x\"; type = \"listener\"; listen = \"systemd:../x\"; };", 1, "is no address"},
	{"http = { name = \"x\"; type = \"webroot\"; path = \"/w\"; listen = \"1.2.3.4\"; };", 1, "listen goes with type = \"listener\" only"},
	{"http = { name = \"x\"; type = \"webrot\"; path = \"/w\"; };", 1, "did you mean \"webroot\"?"},
	{"http = { name = \"x\"; path = \"/w\"; };", 1, "http lacks type"},
	{"ca = { name = \"x\"; type = \"acme\"; };", 1, "ca lacks directory"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"http://x.example/\"; };", 1, "is no https:// URL"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https:///x\"; };", 1, "names no host"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://\"; };", 1, "names no host"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://u@x.example/\"; };", 1, "is no plain URL"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/ y\"; };", 1, "is no plain URL"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; max_orders = 0; };", 1, "from 1 to 1000"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; max_orders = -1; };", 1, "from 1 to 1000"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; max_orders = 4294967297; };", 1, "out of range"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; max_orders = 2147483648; };", 1, "out of range"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; max_orders = 010; };", 1, "a leading zero"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; contact = \"ops@x.example\"; };", 1, "is no contact"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; contact = \"mailto:a@x.example,b@x.example\"; };", 1,
		"is no contact"},
	{"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; eab = { key_id = \"k\"; }; };", 1, "eab lacks hmac_key"},
	/* dns */
	{"dns = { name = \"x\";  };", 1, "dns lacks type"},
	{"dns = { name = \"x\"; type = \"exec\"; };", 1, "dns lacks command"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; };", 1, "dns lacks server"},
	{"dns = { name = \"x\"; type = \"rest\"; };", 1, "\"rest\" is not in this version"},
	{"dns = { name = \"x\"; type = \"rfc2163\"; server = \"192.0.2.1\"; };", 1, "did you mean \"rfc2136\"?"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"ns.example:0\"; };", 1, "\"ns.example:0\" is neither"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"ns.example:65536\"; };", 1, "is neither"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"ns.example:\"; };", 1, "is neither"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"ns.example:53:53\"; };", 1, "is neither"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"\"; };", 1, "is neither"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"2001:db8::1:zz\"; };", 1, "is neither"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.300\"; };", 1, "\"192.0.2.300\" is neither"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"-ns.example\"; };", 1, "\"-ns.example\" is no domain name"},
	{"dns = { name = \"x\"; type = \"exec\"; command = \"/bin/true\"; };", 1, "command must be a list of program and arguments"},
	{"dns = { name = \"x\"; type = \"exec\"; command = [ ]; };", 1, "command has 0 entries"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; provider = \"cf\"; };", 1, "provider is not in this version"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; token = \"abc\"; };", 1, "token is not in this version"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"k\"; };", 1, "key_name goes with key_secret only"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_secret = \"credential:c\"; };", 1, "key_secret goes with key_name only"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_algorithm = \"hmac-sha256\"; };", 1, "key_algorithm goes with key_name only"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"k\"; key_secret = \"c2VjcmV0\"; };", 1, "secrets never stand here"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"192.0.2.1\"; key_secret = \"credential:c\"; };", 1,
		"is an IP address, not a domain name"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"k\"; key_secret = \"credential:c\"; key_algorithm = \"hmac-md5\"; };", 1,
		"unknown word \"hmac-md5\""},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"k\"; key_secret = \"credential:c\"; key_algorithm = \"hmac-sha265\"; };", 1,
		"did you mean \"hmac-sha256\"?"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; run_as = \"nobody\"; };", 1, "run_as goes with type = \"exec\" only"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; secrets = \"credential:c\"; };", 1, "secrets goes with type = \"exec\" only"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; zones = [ ]; };", 1, "zones has 0 entries"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; zones = [ \"*.x.example\" ]; };", 1, "\"*.x.example\" is no domain name"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; zones = [ \"x..example\" ]; };", 1, "is no domain name"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; quorum = \"most\"; };", 1, "unknown word \"most\""},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; quorum = \"majorty\"; };", 1, "did you mean \"majority\"?"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; quorum = 0; };", 1, "\"0\" is no plain number"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; quorum = \"65\"; };", 1, "quorum: is out of range: from 1 to 64"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; quorum = \"02\"; };", 1, "\"02\" is no plain number"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; quorum = -1; };", 1, "unknown word \"-1\""},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; quorum = \"99999999999999999999\"; };", 1, "is no plain number"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; check = \"autoritative\"; };", 1, "did you mean \"authoritative\"?"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; check = \"doh\"; };", 1, "dns \"x\": check = \"doh\" takes an https URL among opinions"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; check = \"doh\"; opinions = \"192.0.2.53\"; };", 1, "takes an https URL among opinions"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; servers = \"ns.example\"; };", 1, "\"ns.example\" is no address"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; servers = [ \"https://dns.example/\" ]; };", 1, "is no address"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; opinions = [ \"http://dns.example/\" ]; };", 1, "\"http://dns.example/\" is no https:// URL"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; opinions = [ \"dns.example\" ]; };", 1, "\"dns.example\" is no address"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; confirm = 11; };", 1, "confirm: is out of range: from 0 to 10"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; timeout = \"2d\"; };", 1, "timeout: is out of range"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; timeout = 900; };", 1, "timeout must be a time with its unit"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; settle = \"2h\"; };", 1, "settle: is out of range"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; ttl = 0; };", 1, "ttl: is out of range: from 1 to 86400"},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; tll = 60; };", 1, "unknown option tll, did you mean ttl?"},
	{"dns = { name = \"x\"; type = \"exec\"; command = [ \"/bin/true\" ]; secrets = [ \"c2VjcmV0\" ]; };", 1, "secrets never stand here"},
	{"dns = { name = \"x\"; type = \"exec\"; command = [ \"/bin/true\" ]; secrets = [ \"credential:a-b\", \"credential:a.B\" ]; };", 1,
		"two of its secrets would be DOVAD_SECRET_FD_A_B to the command"},
	{"dns = { name = \"x\"; type = \"exec\"; command = [ \"/bin/true\" ]; "
		"secrets = [ \"credential:a\", \"credential:b\", \"credential:c\", \"credential:d\", \"credential:e\", \"credential:f\", \"credential:g\", \"credential:h\" ]; };", 1,
		"secrets has 8 entries"},
	{"dns = { name = \"x\"; type = \"exec\"; command = [ \"/bin/true\" ]; command_timeout = \"2h\"; };", 1, "command_timeout: is out of range"},
	{"dns = { name = \"x\"; type = \"exec\"; command = [ \"/bin/true\" ]; server = \"192.0.2.1\"; };", 1, "server goes with type = \"rfc2136\" only"},
	{"dns_port = 53;", 1, "only in the main file"},
};

static void mistakes_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct conf *c = MADE(MAIN_TEXT, bad[i].text);
		char where[64];

		snprintf(where, sizeof where, A_CONF ":%d: ", bad[i].line);
		made_says(c, where);
		made_says(c, bad[i].why);
		assert_true(c->usable);
		assert_int_equal(c->cert.n, 0);
		assert_int_equal(c->files.n, 2);
		assert_false(c->files.v[1].accepted);
		if (made_errors(c) != 1)
			fail_msg("%s\n%s", bad[i].text, made_report(c));
		conf_free(c);
	}
}

static void all_errors_of_a_file_are_told(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = { names = [ \"a_b.example\", \"-x.example\" ];\n"
					 "  prov = 1;\n"
					 "  install = ( { dir = \"/x\"; mode = 0640; },\n"
					 "    { grup = \"x\"; } ); };\n"
					 "htpt = 1;");

	(void)state;
	made_says(c, A_CONF ":1: names: \"a_b.example\" has an underscore");
	made_says(c, A_CONF ":1: names: \"-x.example\"");
	made_says(c, A_CONF ":2: unknown option prov, did you mean prove?");
	made_says(c, A_CONF ":3: mode: a leading zero");
	made_says(c, A_CONF ":4: unknown option grup, did you mean group?");
	made_says(c, A_CONF ":4: install lacks dir, or a file: key_file and fullchain_file, say");
	made_says(c, A_CONF ":5: unknown option htpt, did you mean http?");
	assert_int_equal(made_errors(c), 7);
	for (size_t i = 1; i < c->problems.n; i++)
		assert_true(c->problems.v[i - 1].line <= c->problems.v[i].line);
	conf_free(c);
}

/* Mistakes of different kinds in one snippet, and nothing that is only the consequence of one. */
static const struct {
	const char *text;
	const char *says[6];
} together[] = {
	{"certificate = { names = \"x.example\"; prove = \"http:ww\"; service = \"ngnix\"; ca = \"lee\"; };\nfrobnicate = 1;",
		{"no ca \"lee\" is defined, did you mean \"le\"?", "no http \"ww\" is defined, did you mean \"www\"?",
			"no service \"ngnix\" is defined, did you mean \"nginx\"?", "unknown option frobnicate"}},
	{"certificate = { names = \"a_b.example\"; nmae = \"x\"; key = \"rsa-2084\"; ca = \"lee\"; install = { dir = \"/x\"; mode = 0640; }; };",
		{"underscore", "did you mean name?", "did you mean \"rsa-2048\"?", "no ca \"lee\"", "a leading zero"}},
	{"http = { name = \"www\"; type = \"webroot\"; };\ncertificate = { names = \"*.x.example\"; };",
		{"http lacks path", "http \"www\" is already defined in " MAIN_PATH ":2", "can only be proven by dns"}},
	{"certificate = ( { names = \"x.example\"; }, { name = \"y\"; names = \"-y\"; }, 1 );",
		{"certificate lacks name", "\"-y\"", "certificate must be a group"}},
	{"certificate = ( { name = \"y\"; names = \"x.example\"; }, { name = \"y\"; names = \"x.example\"; install = ( { dir = \"/x\"; }, { dir = \"/x\"; } ); } );",
		{"certificate \"y\" is already defined in " A_CONF ":1", "install path \"/x\" is already defined in " A_CONF ":1"}},
	{"certificate = { names = [ \"a_b.example\", \"*.x.example\" ]; prove = [ \"http:ww\", \"tls-alpn:x\" ]; };",
		{"underscore", "no http \"ww\"", "\"tls-alpn:x\" is not in this version"}},
	{"dns = { name = \"x\"; type = \"exec\"; check = \"doh\"; secrets = [ \"credential:a-b\", \"credential:a.B\", \"x\" ]; tll = 1; };",
		{"dns lacks command", "takes an https URL among opinions", "two of its secrets would be", "secrets never stand here", "did you mean ttl?"}},
	/* What follows from another is left out. */
	{"certificate = { nmaes = \"x.example\"; };", {"did you mean names?"}},
	{"certificate = { names = \"*.x.example\"; prov = \"dns:x\"; };", {"did you mean prove?"}},
	{"certificate = { names = \"*.x.example\"; prove = \"dsn:x\"; };", {"\"dsn:x\" names no method"}},
	{"certificate = { names = \"*.x.example\"; prove = 1; };", {"prove must be"}},
	{"defaults = { prov = \"dns:x\"; };\ncertificate = { names = \"*.x.example\"; };", {"did you mean prove?"}},
	{"certificate = { names = \"x.example\"; prove = \"http:x\"; };\nhtpt = { name = \"x\"; type = \"webroot\"; path = \"/x\"; };",
		{"did you mean http?"}},
	{"certificate = { names = \"x.example\"; prove = \"http:Big\"; };\nhttp = { name = \"Big\"; type = \"webroot\"; path = \"/x\"; };",
		{"\"Big\" is no name"}},
	{"certificate = { names = \"x.example\"; prove = \"http:x\"; };\nhttp = { nmae = \"x\"; type = \"webroot\"; path = \"/x\"; };",
		{"did you mean name?"}},
	{"certificate = { names = \"x.example\"; prove = \"http:x\"; };\nhttp = { name = \"x\"; type = \"webroot\"; };", {"http lacks path"}},
	{"certificate = { names = \"*.x.example\"; };\ndns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; zone = \"x.example\"; };",
		{"did you mean zones?"}},
	{"certificate = { names = \"*.x.example\"; };\ndns = { name = \"x\"; type = \"rfc2136\"; zones = \"x.example\"; };", {"dns lacks server"}},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; key_name = \"k\"; key_secert = \"credential:c\"; };",
		{"did you mean key_secret?"}},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; check = \"doh\"; opinions = \"http://dns.example/\"; };",
		{"is no https:// URL"}},
	{"dns = { name = \"x\"; type = \"rfc2136\"; server = \"192.0.2.1\"; check = \"doh\"; opinion = \"https://dns.example/\"; };",
		{"did you mean opinions?"}},
	{"http = { name = \"x\"; tpye = \"webroot\"; path = \"/x\"; };", {"did you mean type?"}},
	{"service = { name = \"x\"; timeout = 010; look = [ 010 ]; };", {"timeout: a leading zero", "look: a leading zero"}},
	{"certificate = { names = \"x.example\"; prove = \"http:x\"; ca = \"lee\"; };\nhttp = { name = ; };", {"expected"}},
};

static void mistakes_do_not_hide_each_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(together); i++) {
		struct conf *c = MADE(MAIN_TEXT, together[i].text);
		size_t n = 0;

		for (; n < COUNT(together[i].says) && together[i].says[n]; n++)
			made_says(c, together[i].says[n]);
		if (made_errors(c) != n)
			fail_msg("%zu errors are too many or too few: %s\n%s", made_errors(c), together[i].text, made_report(c));
		assert_true(c->usable);
		conf_free(c);
	}
}

static void a_secret_is_never_echoed(void **state)
{
	static const char *const rows[] = {
		"c2VjcmV0c2VjcmV0", "credential:../c2VjcmV0", "credential:", "credential: c2VjcmV0", "Credential:c2VjcmV0"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];
		struct conf *c;

		snprintf(text, sizeof text,
			"ca = { name = \"x\"; type = \"acme\"; directory = \"https://x.example/\"; eab = { key_id = \"k\"; hmac_key = \"%s\"; }; };",
			rows[i]);
		c = MADE(MAIN_TEXT, text);
		assert_int_equal(made_errors(c), 1);
		assert_null(strstr(made_report(c), "c2VjcmV0"));
		made_says(c, strncmp(rows[i], "credential:", 11) == 0 ? "no plain file name" : "secrets never stand here");
		conf_free(c);
	}
}

static void a_duplicate_domain_is_a_warning(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "certificate = { names = [ \"Example.org\", \"www.example.org\", \"example.org.\" ]; };");

	(void)state;
	made_good(c);
	made_says(c, A_CONF ":1: warning: names: \"example.org\" stands there twice");
	assert_int_equal(conf_find_cert(c, "a")->names.n, 2);
	conf_free(c);
}

static void messages_are_escaped_and_few(void **state)
{
	char *text = mem_alloc(200 * 16), *s = text;
	struct conf *c;

	(void)state;
	for (int i = 0; i < 120; i++)
		s += sprintf(s, "%sz%d = 1;", i % 100 ? "" : "\n", i);
	c = MADE(MAIN_TEXT, text);
	assert_int_equal(made_errors(c), 100);
	made_says(c, "too many problems");
	conf_free(c);
	free(text);
}

static void empty_and_foreign_files_do_no_harm(void **state)
{
	struct conf *c = MADE(MAIN_TEXT, "", "# nothing yet", "root:x:0:0:root:/root:/bin/bash\n",
		"\x7f"
		"ELF");

	(void)state;
	assert_true(c->usable);
	assert_int_equal(made_errors(c), 2);
	assert_true(c->files.v[1].accepted && c->files.v[2].accepted);
	assert_false(c->files.v[3].accepted || c->files.v[4].accepted);
	assert_null(strstr(made_report(c), "root"));
	conf_free(c);
	c = MADE("");
	made_good(c);
	conf_free(c);
	c = conf_build(NULL, 0, NULL, 0);
	assert_false(c->usable);
	assert_int_equal(c->files.n, 0);
	assert_string_equal(c->settings.user, "dovad");
	conf_free(c);
	conf_free(NULL);
}

static void the_report_counts(void **state)
{
	struct conf_problem unread = {.file = "/etc/dovad/conf.d/z\n.conf", .text = "z is not a regular\tfile"};
	struct conf_source main_file = made_source(MAIN_PATH, MAIN_TEXT, CONF_MAIN);
	struct conf *c = conf_build(&main_file, 1, &unread, 1), *same;
	FILE *null = fopen("/dev/null", "w");

	(void)state;
	made_says(c, "/etc/dovad/conf.d/z\\x0a.conf: z is not a regular\\x09file\n");
	made_says(c, "1 of 2 files good, 0 certificates; 1 error, 0 warnings\n");
	assert_int_equal(conf_report(c, null, null), 78);
	assert_true(c->usable && c->files.v[0].main && !c->files.v[1].main && !c->files.v[1].accepted);
	same = conf_ref(c);
	conf_free(c);
	conf_free(same);
	c = conf_build(&main_file, 1, NULL, 0);
	assert_int_equal(conf_report(c, null, null), 0);
	conf_free(c);
	fclose(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_read),
		cmocka_unit_test(alibaba_cas),
		cmocka_unit_test(alibaba_cas_as_the_first),
		cmocka_unit_test(defaults_are_filled),
		cmocka_unit_test(dns_entries_are_read),
		cmocka_unit_test(settings_are_read),
		cmocka_unit_test(mistakes_are_explained),
		cmocka_unit_test(all_errors_of_a_file_are_told),
		cmocka_unit_test(mistakes_do_not_hide_each_other),
		cmocka_unit_test(a_secret_is_never_echoed),
		cmocka_unit_test(a_duplicate_domain_is_a_warning),
		cmocka_unit_test(messages_are_escaped_and_few),
		cmocka_unit_test(empty_and_foreign_files_do_no_harm),
		cmocka_unit_test(the_report_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
