/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf_made.h"

#define LE(more) "{ name = \"le\"; type = \"acme\"; directory = \"https://le.test/dir\"; " more " }"
#define ZERO "{ name = \"zero\"; type = \"acme\"; directory = \"https://zero.test/dir\"; }"
#define WWW "{ name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; }"
#define OWN(addr) "{ name = \"own\"; type = \"listener\"; listen = [ \"" addr "\" ]; }"
#define CONF(cas, https) "ca = ( " cas " );\nhttp = ( " https " );\n"

/* What was made and what is alive, by name. */
static struct {
	unsigned made, alive;
	bool fails;
	char order[256]; /* "+own -own" */
} seen;

struct made_issuer {
	struct issuer issuer;
	char *name;
};
struct made_method {
	struct method method;
	char *name;
};

static void note(const char *sign, const char *name)
{
	snprintf(seen.order + strlen(seen.order), sizeof seen.order - strlen(seen.order), "%s%s ", sign, name);
}

static void free_issuer(struct issuer *is)
{
	struct made_issuer *m = (struct made_issuer *)is;

	note("-", m->name);
	seen.alive--;
	free(m->name);
	free(m);
}

static void free_method(struct method *how)
{
	struct made_method *m = (struct made_method *)how;

	note("-", m->name);
	seen.alive--;
	free(m->name);
	free(m);
}

static struct issuer_call *no_order(struct issuer *is, const char *const *names, size_t n, issuer_done *done, void *arg)
{
	(void)is, (void)names, (void)n, (void)done, (void)arg;
	fail();
	return NULL;
}

static struct issuer *make_issuer(void *arg, const struct conf_ca *ca, struct err *err)
{
	static const struct issuer_ops ops[] = { [CONF_CA_ACME] = { .create = no_order, .free = free_issuer }, [CONF_CA_ALIBABA_CAS] = { .free = free_issuer } };
	struct made_issuer *m;

	(void)arg;
	if (seen.fails) {
		err_set(err, ERR_LOCAL, "system", "no such file");
		return NULL;
	}
	m = mem_alloc(sizeof(*m));
	m->name = mem_strdup(ca->name);
	m->issuer = (struct issuer){ .ops = &ops[ca->type], .name = m->name };
	seen.made++;
	seen.alive++;
	note("+", m->name);
	return &m->issuer;
}

static struct method *make_method(void *arg, const struct conf_method *method, struct err *err)
{
	static const struct method_ops ops = { .free = free_method };
	struct made_method *m;

	(void)arg;
	if (seen.fails) {
		err_set(err, ERR_LOCAL, "listen", "address in use");
		return NULL;
	}
	m = mem_alloc(sizeof(*m));
	m->name = mem_strdup(method->name);
	m->method = (struct method){ &ops, m->name };
	seen.made++;
	seen.alive++;
	note("+", m->name);
	return &m->method;
}

struct bed {
	struct parts parts;
	struct registry_parts make;
	struct conf *conf;
};

static void quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static int setup(void **state)
{
	struct bed *b = mem_alloc(sizeof(*b));

	log_set_sink(quiet, NULL);
	memset(&seen, 0, sizeof seen);
	b->make = (struct registry_parts){ .issuer = make_issuer, .method = make_method };
	b->parts.make = &b->make;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	parts_free(&b->parts);
	conf_free(b->conf);
	free(b);
	log_set_sink(NULL, NULL);
	return seen.alive ? -1 : 0;
}

static void apply(struct bed *b, const char *text)
{
	struct conf *conf = MADE(text), *before = b->conf;

	if (!conf->usable)
		fail_msg("%s", made_report(conf));
	b->conf = conf;
	seen.order[0] = '\0';
	parts_apply(&b->parts, conf);
	conf_free(before);
}

static struct part *http_part(struct bed *b, const char *name)
{
	return parts_method(&b->parts, &(struct conf_method){ .kind = CONF_METHOD_HTTP, .name = name, .http = &(struct conf_http){ .name = name } });
}

static struct part *dns_part(struct bed *b, const char *name)
{
	return parts_method(&b->parts, &(struct conf_method){ .kind = CONF_METHOD_DNS, .name = name, .dns = &(struct conf_dns){ .name = name } });
}

static void what_did_not_change_stays(void **state)
{
	struct bed *b = *state;
	struct part *le;

	apply(b, CONF(LE("") ", " ZERO, WWW));
	le = parts_issuer(&b->parts, "le");
	assert_non_null(le->issuer);
	assert_non_null(parts_issuer(&b->parts, "zero")->issuer);
	assert_non_null(http_part(b, "www")->method);
	assert_null(parts_issuer(&b->parts, "www"));
	assert_null(http_part(b, "le"));
	assert_int_equal(seen.made, 3);
	apply(b, CONF(ZERO ", " LE(""), WWW));
	assert_ptr_equal(parts_issuer(&b->parts, "le"), le);
	assert_int_equal(seen.made, 3);
	assert_string_equal(seen.order, "");
	assert_int_equal(le->limit, 32);
	apply(b, CONF(LE("max_orders = 5;") ", " ZERO, WWW));
	assert_ptr_equal(parts_issuer(&b->parts, "le"), le);
	assert_int_equal(le->limit, 5);
}

#define ALI(more) "{ name = \"ali\"; type = \"alibaba-cas\"; access_key_secret = \"credential:a\"; " more " }"
#define ID "access_key_id = \"L\"; "
#define CHINA "site = \"china\"; "

static void who_takes_no_orders_does_not_clean_up(void **state)
{
	struct bed *b = *state;

	apply(b, CONF(ALI(ID CHINA), WWW));
	assert_non_null(parts_issuer(&b->parts, "ali")->issuer);
	assert_null(parts_cleaner(&b->parts, "ali"));
	assert_null(parts_cleaner(&b->parts, "gone"));
	apply(b, CONF(ALI(ID CHINA) ", " ZERO, WWW));
	assert_ptr_equal(parts_cleaner(&b->parts, "ali"), parts_issuer(&b->parts, "zero"));
	assert_ptr_equal(parts_cleaner(&b->parts, "gone"), parts_issuer(&b->parts, "zero"));
}

/* Row by row against the one before it: each differs in one option. */
static void every_option_of_the_other_type_makes_a_new_one(void **state)
{
	static const char *const rows[] = {
		CONF(ALI(CHINA "access_key_id = \"M\";"), WWW),
		CONF(ALI("site = \"international\"; access_key_id = \"M\";"), WWW),
		CONF(ALI("site = \"international\"; access_key_id = \"M\"; security_token = \"credential:t\";"), WWW),
		CONF(ALI("site = \"international\"; access_key_id = \"M\"; security_token = \"credential:u\";"), WWW),
		CONF(ALI("site = \"international\"; access_key_id = \"M\"; signature = \"rpc\";"), WWW),
		CONF(ALI("site = \"international\"; access_key_id = \"M\"; signature = \"rpc\"; endpoint = \"https://cas.example\";"), WWW),
		CONF("{ name = \"ali\"; type = \"alibaba-cas\"; site = \"international\"; access_key_id = \"M\"; access_key_secret = \"credential:b\"; "
			"signature = \"rpc\"; endpoint = \"https://cas.example\"; }", WWW),
	};
	struct bed *b = *state;

	apply(b, CONF(ALI(ID CHINA), WWW));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		apply(b, rows[i]);
		assert_string_equal(seen.order, "-ali +ali ");
	}
}

static void every_option_that_matters_makes_a_new_one(void **state)
{
	static const char *const changed[] = {
		CONF(LE("agree_tos = true;"), WWW),
		CONF(LE("allow_private = true;"), WWW),
		CONF(LE("account_key = \"rsa-2048\";"), WWW),
		CONF(LE("ca_file = \"/etc/ca.pem\";"), WWW),
		CONF(LE("preferred_chain = \"Root\";"), WWW),
		CONF(LE("contact = [ \"mailto:a@b.test\" ];"), WWW),
		CONF(LE("eab = { key_id = \"k\"; hmac_key = \"credential:c\"; };"), WWW),
	};
	struct bed *b = *state;

	apply(b, CONF(LE(""), WWW));
	for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
		apply(b, changed[i]);
		assert_string_equal(seen.order, "-le +le ");
	}
	apply(b, "http_port = 8080;\n" CONF(LE("eab = { key_id = \"k\"; hmac_key = \"credential:c\"; };"), WWW));
	assert_string_equal(seen.order, "-www +www ");
}

#define DNS(more) "{ name = \"www\"; type = \"rfc2136\"; server = \"192.0.2.1\"; " more " }"
#define EXEC(more) "{ name = \"www\"; type = \"exec\"; " more " }"
#define KEY "key_name = \"k\"; key_secret = \"credential:c\"; "

/* Row by row against the one before it: each differs in one option. An http and a dns may have the same name. */
static void every_option_of_dns_makes_a_new_one(void **state)
{
	static const char *const rows[] = {
		DNS("zones = \"a.test\";"),
		DNS("zones = \"b.test\";"),
		DNS("server = \"192.0.2.2\";"),
		DNS("ttl = 61;"),
		DNS("check = \"none\";"),
		DNS("quorum = 2;"),
		DNS("servers = \"192.0.2.3\";"),
		DNS("opinions = \"192.0.2.3\";"),
		DNS("confirm = 0;"),
		DNS("timeout = \"1m\";"),
		DNS("settle = \"1m\";"),
		DNS(KEY),
		DNS(KEY "key_algorithm = \"hmac-sha512\";"),
		DNS("key_name = \"l\"; key_secret = \"credential:c\";"),
		DNS("key_name = \"l\"; key_secret = \"credential:d\";"),
		EXEC("command = [ \"/bin/true\" ];"),
		EXEC("command = [ \"/bin/true\", \"x\" ];"),
		EXEC("command = [ \"/bin/true\", \"x\" ]; run_as = \"daemon\";"),
		EXEC("command = [ \"/bin/true\", \"x\" ]; secrets = \"credential:c\";"),
		EXEC("command = [ \"/bin/true\", \"x\" ]; secrets = \"credential:c\"; command_timeout = \"61s\";"),
	};
	struct bed *b = *state;

	apply(b, CONF(LE(""), WWW) "dns = " DNS("") ";");
	assert_string_equal(seen.order, "+le +www +www ");
	assert_ptr_not_equal(http_part(b, "www"), dns_part(b, "www"));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		/* An option that stands there twice is an error: the rows with a server of their own replace the one of the macro. */
		char *entry = mem_printf("%s", rows[i]), *text, *again = strstr(entry, "server = \"192.0.2.2\";");

		if (again)
			memset(strstr(entry, "server = \"192.0.2.1\";"), ' ', strlen("server = \"192.0.2.1\";"));
		text = mem_printf(CONF(LE(""), WWW) "dns = %s;", entry);
		apply(b, text);
		assert_string_equal(seen.order, "-www +www ");
		apply(b, text);
		assert_string_equal(seen.order, "");
		free(text);
		free(entry);
	}
	apply(b, "dns_port = 5353;\n" CONF(LE(""), WWW) "dns = " DNS("") ";");
	assert_string_equal(seen.order, "-www +www ");
	apply(b, CONF(LE(""), WWW));
	assert_string_equal(seen.order, "-www ");
	assert_null(dns_part(b, "www"));
	assert_non_null(http_part(b, "www"));
}

/* No trick with separators makes two entries one. */
static void identities_cannot_be_forged(void **state)
{
	struct bed *b = *state;

	apply(b, CONF(LE("preferred_chain = \"Root|mailto:a@b.test\";"), WWW));
	apply(b, CONF(LE("preferred_chain = \"Root\"; contact = [ \"mailto:a@b.test\" ];"), WWW));
	assert_string_equal(seen.order, "-le +le ");
}

/* A listener's address must be free before the next one takes it. */
static void what_goes_goes_first(void **state)
{
	struct bed *b = *state;

	apply(b, CONF(LE(""), OWN("127.0.0.1")));
	apply(b, CONF(LE(""), OWN("127.0.0.2")));
	assert_string_equal(seen.order, "-own +own ");
	apply(b, CONF(ZERO, WWW));
	assert_null(parts_issuer(&b->parts, "le"));
	assert_null(http_part(b, "own"));
	assert_int_equal(seen.alive, 2);
}

static void one_that_is_held_lives_until_it_is_released(void **state)
{
	struct bed *b = *state;
	struct part *le;

	apply(b, CONF(LE(""), WWW));
	le = parts_issuer(&b->parts, "le");
	part_hold(le);
	part_hold(le);
	apply(b, CONF(ZERO, WWW));
	assert_null(parts_issuer(&b->parts, "le"));
	assert_string_equal(le->issuer->name, "le");
	part_release(&b->parts, le);
	assert_int_equal(seen.alive, 3);
	part_release(&b->parts, le);
	assert_int_equal(seen.alive, 2);
}

static void one_that_comes_back_is_the_same(void **state)
{
	struct bed *b = *state;
	struct part *le;

	apply(b, CONF(LE(""), WWW));
	le = parts_issuer(&b->parts, "le");
	part_hold(le);
	apply(b, CONF(LE("agree_tos = true;"), WWW));
	assert_ptr_not_equal(parts_issuer(&b->parts, "le"), le);
	apply(b, CONF(LE(""), WWW));
	assert_ptr_equal(parts_issuer(&b->parts, "le"), le);
	assert_string_equal(seen.order, "-le ");
	part_release(&b->parts, le);
	assert_ptr_equal(parts_issuer(&b->parts, "le"), le);
	assert_int_equal(seen.alive, 2);
}

static void one_that_cannot_be_made_is_made_later(void **state)
{
	struct bed *b = *state;
	struct part *le, *www;

	seen.fails = true;
	apply(b, CONF(LE(""), WWW));
	le = parts_issuer(&b->parts, "le");
	www = http_part(b, "www");
	assert_null(le->issuer);
	assert_string_equal(le->err.type, "system");
	assert_false(part_ready(&b->parts, le));
	assert_string_equal(www->err.detail, "address in use");
	assert_null(parts_cleaner(&b->parts, "le"));
	seen.fails = false;
	assert_true(part_ready(&b->parts, le));
	assert_true(part_ready(&b->parts, le));
	assert_int_equal(seen.made, 1);
	apply(b, CONF(LE(""), WWW)); /* a reload tries the rest */
	assert_non_null(www->method);
	assert_int_equal(seen.made, 2);
}

static void somebody_is_found_to_clean_up_with(void **state)
{
	struct bed *b = *state;

	apply(b, CONF(LE("") ", " ZERO, WWW));
	assert_string_equal(parts_cleaner(&b->parts, "zero")->name, "zero");
	assert_true(parts_cleaner(&b->parts, "gone")->kind == PART_CA);
	assert_true(parts_cleaner(&b->parts, NULL)->kind == PART_CA);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_did_not_change_stays),
		TEST(who_takes_no_orders_does_not_clean_up),
		TEST(every_option_of_the_other_type_makes_a_new_one),
		TEST(every_option_that_matters_makes_a_new_one),
		TEST(every_option_of_dns_makes_a_new_one),
		TEST(identities_cannot_be_forged),
		TEST(what_goes_goes_first),
		TEST(one_that_is_held_lives_until_it_is_released),
		TEST(one_that_comes_back_is_the_same),
		TEST(one_that_cannot_be_made_is_made_later),
		TEST(somebody_is_found_to_clean_up_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
