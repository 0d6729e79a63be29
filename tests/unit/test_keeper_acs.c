/* SPDX-License-Identifier: ISC */
/* What the access key of an account at Alibaba Cloud signs. That signatures are the vendor's is test_acs's affair: here they are made anew from what is told
 * of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/acs.h"
#include "keeper/acs.h"
#include "keeper_fixture.h"

#define ALI(name, more) \
	"{ name = \"" name "\"; type = \"alibaba-cas\"; access_key_id = \"testAccessKeyId\"; access_key_secret = \"credential:secret\"; " more " }"
#define CONF                                                                                                                        \
	"keeper_state = \"%D/state\"; credentials = \"%D/credentials\";\n"                                                          \
	"ca = ( " ALI("china", "site = \"china\";") ", " ALI("abroad", "site = \"international\"; security_token = \"credential:token\";") ",\n" \
	ALI("old", "site = \"china\"; signature = \"rpc\"; security_token = \"credential:token\"; endpoint = \"https://127.0.0.1:18080\";") ",\n" \
	ALI("port", "site = \"china\"; endpoint = \"https://CAS.example:18080/\";") " );\n"
#define SECRET "testAccessKeySecret"
#define TOKEN "test/Security+Token="

static int setup(void **state)
{
	struct fixture *f;
	char *path;

	fixture_setup(state);
	f = *state;
	fixture_configure(f, CONF);
	path = fixture_path(f, "credentials");
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	fixture_write(f, "credentials/secret", SECRET "\n", 0600);
	fixture_write(f, "credentials/token", TOKEN "\n", 0600);
	return 0;
}

static struct js *params(const char *text)
{
	struct err err;
	struct js *v = js_parse(text, strlen(text), &err);

	assert_non_null(v);
	return v;
}

static struct js *try_sign(const struct fixture *f, const char *ca, const char *action, const char *with, int64_t skew, struct err *err)
{
	struct js *p = with ? params(with) : NULL;
	struct acs_wish w = { .action = action, .params = p, .skew = skew };
	struct js *answer = acs_wish_sign(f->conf->settings.credentials, conf_find_ca(f->conf, ca), &w, err);

	js_free(p);
	return answer;
}

static struct js *sign(const struct fixture *f, const char *ca, const char *action, const char *with, int64_t skew)
{
	struct err err = { 0 };
	struct js *answer = try_sign(f, ca, action, with, skew, &err);
	char *text;

	if (!answer)
		fail_msg("%s: %s", action, err.detail);
	assert_string_equal(js_str(answer, "method"), "POST");
	assert_int_equal(js_len(answer), 3);
	text = js_dump(answer);
	assert_null(strstr(text, SECRET));
	free(text);
	return answer;
}

/* NULL: not there. */
static const char *header(const struct js *answer, const char *name)
{
	const struct js *all = js_arr(answer, "headers");

	for (size_t i = 0; i < js_len(all); i++) {
		const char *line = js_str_at(all, i);

		if (strncmp(line, name, strlen(name)) == 0 && strncmp(line + strlen(name), ": ", 2) == 0)
			return line + strlen(name) + 2;
	}
	return NULL;
}

static void in_headers(const struct fixture *f, const char *ca, const char *host, const char *token, int64_t skew)
{
	static const struct acs_pair sent[] = { { "Keyword", "某 *" }, { "ShowSize", "100" } };
	struct js *answer = sign(f, ca, "ListInstances", "{\"ShowSize\":\"100\",\"Keyword\":\"某 *\"}", skew);
	struct acs_key key = { "testAccessKeyId", SECRET, token };
	struct acs_request r = { .method = "POST", .host = host, .action = "ListInstances", .version = "2020-04-07", .param = sent, .nparam = 2 };
	struct acs_signed s;
	char date[TEXT_TIME];
	struct err err;

	r.date = text_time_format(TESTCA_NOW + skew, date);
	r.nonce = header(answer, "x-acs-signature-nonce");
	assert_int_equal(strlen(r.nonce), 32);
	assert_true(acs_sign_headers(&r, &key, &s, &err));
	assert_string_equal(js_str(answer, "query"), "Keyword=%E6%9F%90%20%2A&ShowSize=100");
	assert_int_equal(js_len(js_arr(answer, "headers")), s.nheader);
	for (size_t i = 0; i < s.nheader; i++)
		assert_string_equal(header(answer, s.header[i].name), s.header[i].value);
	assert_string_equal(header(answer, "x-acs-date"), date);
	assert_string_equal(header(answer, "host"), host);
	acs_signed_free(&s);
	js_free(answer);
}

static void signed_in_headers(void **state)
{
	struct fixture *f = *state;

	in_headers(f, "china", "cas.aliyuncs.com", NULL, 0);
	in_headers(f, "abroad", "cas.ap-southeast-1.aliyuncs.com", TOKEN, -3600);
	in_headers(f, "port", "cas.example:18080", NULL, ACS_SKEW_MAX);
}

static void signed_in_the_query(void **state)
{
	static const struct acs_pair sent[] = { { "InstanceId", "cas_dv-cn-0001" } };
	struct js *answer = sign(*state, "old", "GetInstanceDetail", "{\"InstanceId\":\"cas_dv-cn-0001\"}", 0);
	struct acs_request r = { .method = "POST", .action = "GetInstanceDetail", .version = "2020-04-07", .format = "JSON", .param = sent, .nparam = 1 };
	struct acs_key key = { "testAccessKeyId", SECRET, TOKEN };
	const char *mark = "&SignatureNonce=", *at = strstr(js_str(answer, "query"), mark);
	char date[TEXT_TIME], nonce[33];
	struct acs_signed s;
	struct err err;

	assert_non_null(at);
	snprintf(nonce, sizeof nonce, "%s", at + strlen(mark));
	r.nonce = nonce;
	r.date = text_time_format(TESTCA_NOW, date);
	assert_true(acs_sign_query(&r, &key, &s, &err));
	assert_string_equal(js_str(answer, "query"), s.query.data);
	assert_int_equal(js_len(js_arr(answer, "headers")), 0);
	acs_signed_free(&s);
	js_free(answer);
}

static void no_nonce_comes_twice(void **state)
{
	struct js *a = sign(*state, "china", "ListContact", NULL, 0), *b = sign(*state, "china", "ListContact", "{}", 0);

	assert_string_equal(js_str(a, "query"), "");
	assert_string_equal(js_str(b, "query"), "");
	assert_string_not_equal(header(a, "x-acs-signature-nonce"), header(b, "x-acs-signature-nonce"));
	assert_string_not_equal(header(a, "authorization"), header(b, "authorization"));
	js_free(a);
	js_free(b);
}

static void every_call_of_the_table(void **state)
{
	static const char *const rows[][2] = {
		{ "ListInstances", "{\"Status\":\"pending\",\"CertificateStatus\":\"\",\"InstanceType\":\"BUY\",\"CertificateType\":\"DV\",\"Brand\":\"WoSign\","
			"\"Keyword\":\"x\",\"ResourceGroupId\":\"rg\",\"CurrentPage\":\"1\",\"ShowSize\":\"100\"}" },
		{ "GetInstanceDetail", "{\"InstanceId\":\"i\"}" }, { "GetInstanceSummary", "{\"InstanceType\":\"TEST\"}" },
		{ "GetTaskAttribute", "{\"TaskId\":\"i\",\"TaskType\":\"ApplyCertificate\"}" },
		{ "ListContact", "{\"Keyword\":\"x\",\"CurrentPage\":\"1\",\"ShowSize\":\"20\"}" },
		{ "ListCompanies", "{\"CompanyId\":\"1\",\"Keyword\":\"x\",\"CurrentPage\":\"1\",\"ShowSize\":\"20\"}" },
		{ "ListCertificates", "{\"InstanceId\":\"i\",\"CertificateSource\":\"BUY\",\"CertificateStatus\":\"issued\",\"Keyword\":\"x\","
			"\"ResourceGroupId\":\"rg\",\"CurrentPage\":\"1\",\"ShowSize\":\"100\"}" },
		{ "GetCertificateDetail", "{\"CertificateId\":\"1\"}" }, { "GetUserCertificateDetail", "{\"CertId\":\"1\",\"CertFilter\":\"true\"}" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct js *answer = sign(*state, "china", rows[i][0], rows[i][1], 0);

		assert_string_equal(header(answer, "x-acs-action"), rows[i][0]);
		assert_string_equal(header(answer, "x-acs-version"), "2020-04-07");
		js_free(answer);
	}
}

static void is_refused(const struct fixture *f, const char *action, const char *with, int64_t skew, const char *why)
{
	struct err err = { 0 };

	if (try_sign(f, "china", action, with, skew, &err))
		fail_msg("signed: %s %s", action, with);
	assert_int_equal(err.kind, ERR_DENIED);
	assert_string_equal(err.type, "policy");
	if (!strstr(err.detail, why))
		fail_msg("%s %s: %s", action, with, err.detail);
}

static void nothing_else_is_signed(void **state)
{
	static const char *const actions[] = {
		"", "ApplyCertificate", "UpdateInstance", "CancelPendingCertificate", "RevokeCertificate", "RefundInstance", "DeleteInstance", "CreateContact",
		"UploadUserCertificate", "listinstances", "ListInstances ", "ListInstances\n", "ListCompany",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		is_refused(f, actions[i], NULL, 0, "is not in its table");
	is_refused(f, "a\033[2J", NULL, 0, "\"a\\x1b[2J\" is not in its table");
	is_refused(f, "GetInstanceDetail", "{\"instanceId\":\"i\"}", 0, "GetInstanceDetail has no parameter \"instanceId\"");
	is_refused(f, "GetInstanceDetail", "{\"InstanceId\":\"i\",\"Action\":\"ApplyCertificate\"}", 0, "no parameter \"Action\"");
	is_refused(f, "GetInstanceDetail", "{\"InstanceId.1\":\"i\"}", 0, "no parameter");
	is_refused(f, "GetInstanceDetail", "{\"\":\"i\"}", 0, "no parameter \"\"");
	is_refused(f, "GetInstanceDetail", "{\"InstanceId\":1}", 0, "InstanceId is no text");
	is_refused(f, "GetInstanceDetail", "{\"InstanceId\":[\"i\"]}", 0, "InstanceId is no text");
	is_refused(f, "GetInstanceDetail", "{\"InstanceId\":null}", 0, "InstanceId is no text");
	is_refused(f, "ListContact", "{}", ACS_SKEW_MAX + 1, "more than a day");
	is_refused(f, "ListContact", "{}", -ACS_SKEW_MAX - 1, "more than a day");
	is_refused(f, "ListContact", "{}", INT64_MIN, "more than a day");
}

static void private_keys_are_not_asked_for(void **state)
{
	struct fixture *f = *state;

	is_refused(f, "GetUserCertificateDetail", "{\"CertId\":\"1\"}", 0, "GetUserCertificateDetail without CertFilter=true");
	is_refused(f, "GetUserCertificateDetail", NULL, 0, "without CertFilter=true");
	is_refused(f, "GetUserCertificateDetail", "{\"CertId\":\"1\",\"CertFilter\":\"false\"}", 0, "CertFilter with another value than \"true\"");
	is_refused(f, "GetUserCertificateDetail", "{\"CertId\":\"1\",\"CertFilter\":\"True\"}", 0, "CertFilter with another value");
	is_refused(f, "GetUserCertificateDetail", "{\"CertId\":\"1\",\"CertFilter=true\":\"true\"}", 0, "no parameter");
}

static void sizes_are_bounded(void **state)
{
	char *longest = mem_alloc(ACS_VALUE_MAX + 2), *with;
	struct buf many;

	memset(longest, 'x', ACS_VALUE_MAX);
	with = mem_printf("{\"Keyword\":\"%s\"}", longest);
	js_free(sign(*state, "china", "ListContact", with, 0));
	free(with);
	longest[ACS_VALUE_MAX] = 'x';
	with = mem_printf("{\"Keyword\":\"%s\"}", longest);
	is_refused(*state, "ListContact", with, 0, "too long");
	free(with);
	longest[ACS_VALUE_MAX] = '\0';
	with = mem_printf("{\"Status\":\"%s\",\"Brand\":\"%s\",\"Keyword\":\"%s\",\"CurrentPage\":\"%s\",\"ShowSize\":\"1\"}", longest, longest, longest, longest);
	is_refused(*state, "ListInstances", with, 0, "ShowSize, or all together, are too long");
	free(with);
	free(longest);
	buf_init(&many, 0);
	for (int i = 0; i <= ACS_PARAMS_MAX; i++)
		assert_true(buf_printf(&many, "%s\"Keyword%d\":\"\"", i ? "," : "{", i));
	assert_true(buf_puts(&many, "}"));
	is_refused(*state, "ListContact", many.data, 0, "more than 64 parameters");
	buf_free(&many);
}

static void lists_have_numbers(void **state)
{
	static const struct {
		const char *row, *name;
		bool fits;
	} rows[] = {
		{ "ContactIdList.#", "ContactIdList.1", true }, { "ContactIdList.#", "ContactIdList.99", true }, { "ContactIdList.#", "ContactIdList.100", false },
		{ "ContactIdList.#", "ContactIdList.0", false }, { "ContactIdList.#", "ContactIdList.01", false }, { "ContactIdList.#", "ContactIdList.", false },
		{ "ContactIdList.#", "ContactIdList.1x", false }, { "ContactIdList.#", "ContactIdList.#", false }, { "ContactIdList.#", "ContactIdList", false },
		{ "Tags.#.TagKey", "Tags.10.TagKey", true }, { "Tags.#.TagKey", "Tags.1.TagValue", false }, { "Tags.#.TagKey", "Tags.1.", false },
		{ "CertFilter=true", "CertFilter", true }, { "CertFilter=true", "CertFilter=true", false }, { "CertId", "CertIdx", false }, { "CertId", "CertI", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (acs_param_fits(rows[i].row, rows[i].name) != rows[i].fits)
			fail_msg("%s %s", rows[i].row, rows[i].name);
}

static void bad_credential(struct fixture *f, const char *name, const char *text, mode_t mode, const char *why)
{
	struct err err = { 0 };

	fixture_write(f, name, text, mode);
	assert_null(try_sign(f, "abroad", "ListContact", NULL, 0, &err));
	if (!strstr(err.detail, why))
		fail_msg("%s: %s", name, err.detail);
	assert_true(err.kind == ERR_INPUT || err.kind == ERR_LOCAL);
}

static void bad_credentials(void **state)
{
	struct fixture *f = *state;
	char *longest = mem_alloc(8 * 1024 + 2);

	bad_credential(f, "credentials/secret", "", 0600, "the credential \"secret\" is empty");
	bad_credential(f, "credentials/secret", "two words", 0600, "the credential \"secret\" is none of an access key: one word of up to 512");
	bad_credential(f, "credentials/secret", "gr\xc3\xbc\xc3\x9f", 0600, "is none of an access key");
	bad_credential(f, "credentials/secret", SECRET, 0644, "closed to others");
	fixture_write(f, "credentials/secret", SECRET, 0600);
	bad_credential(f, "credentials/token", "x\r\nhost: evil.example", 0600, "the credential \"token\" is none of an access key");
	memset(longest, 'x', 8 * 1024 + 1);
	bad_credential(f, "credentials/token", longest, 0600, "one word of up to 8192");
	longest[8 * 1024] = '\0';
	fixture_write(f, "credentials/token", longest, 0600);
	js_free(sign(f, "abroad", "ListContact", NULL, 0));
	free(longest);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(signed_in_headers),
		TEST(signed_in_the_query),
		TEST(no_nonce_comes_twice),
		TEST(every_call_of_the_table),
		TEST(nothing_else_is_signed),
		TEST(private_keys_are_not_asked_for),
		TEST(sizes_are_bounded),
		TEST(lists_have_numbers),
		TEST(bad_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
