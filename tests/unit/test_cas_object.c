/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/cas_object.h"

static struct arena *arena;
static struct err err;

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void drop(void *v)
{
	js_free(v);
}

static struct js *parse(const char *text)
{
	struct js *v = js_parse(text, strlen(text), &err);

	assert_non_null(v);
	arena_attach(arena, v, drop);
	return v;
}

static struct cas_instance instance(const char *text)
{
	struct cas_instance out;

	memset(&out, 0xa5, sizeof out);
	if (!cas_instance_parse(arena, parse(text), &out, &err))
		fail_msg("%s: %s", text, err.detail);
	return out;
}

static void refused(const char *text, const char *why)
{
	struct cas_instance out;

	assert_false(cas_instance_parse(arena, parse(text), &out, &err));
	assert_int_equal(err.kind, ERR_TEMP);
	assert_string_equal(err.type, "object");
	assert_string_equal(err.detail, why);
	assert_false(cas_instance_parse(arena, parse(text), &out, NULL));
}

static void word(struct cas_word w, int known, const char *text)
{
	assert_int_equal(w.known, known);
	assert_string_equal(w.text, text);
}

static void a_whole_instance(void **state)
{
	struct cas_instance i = instance(
		"{\"RequestId\":\"R\",\"InstanceId\":\"cas_dv-cn-0001\",\"InstanceType\":\"BUY\",\"CertificateType\":\"DV\",\"Brand\":\"WoSign\",\"Spec\":\"ws.dv.f\","
		"\"Status\":\"pending\",\"CertificateStatus\":\"issued\",\"CertificateName\":\"shop\",\"CertificateId\":98987582437920968,"
		"\"CertIdentifier\":\"98987582437920968-cn-hangzhou\",\"Domain\":\"www.shop.example,shop.example\",\"FullDomainCount\":2,"
		"\"WildcardDomainCount\":\"1\",\"ValidationMethod\":\"DNS\",\"GenerateCsrMethod\":\"upload\",\"Csr\":\"-----BEGIN\",\"KeyAlgorithm\":\"RSA_2048\","
		"\"ContactIdList\":[519580,\"519581\"],\"AverageWaitingTime\":\"120\",\"PendingResult\":\"\xe5\x9f\x9f\",\"AutoReissue\":\"disable\","
		"\"UpgradeStatus\":\"none\",\"CompanyId\":12,\"CountryCode\":\"CN\",\"Province\":\"Beijing\",\"City\":\"Beijing\",\"ResourceGroupId\":\"rg\","
		"\"OrderStartTime\":1790000000,\"OrderEndTime\":1790000000123,\"InstanceStartTime\":\"1790000000123\",\"InstanceEndTime\":\"1790000000\","
		"\"CertificateNotBefore\":100000000000,\"CertificateNotAfter\":100000000001,\"CertificateRevokeTime\":null,\"Tags\":[{}],\"New\":{\"x\":[]},"
		"\"DomainValidationList\":[{\"Domain\":\"www.shop.example\",\"RootDomain\":\"shop.example\",\"ValidationType\":\"TXT\","
		"\"ValidationKey\":\"_dnsauth.www\",\"ValidationValue\":\"2026\",\"Cname\":\"\",\"CnameKey\":\"\"},"
		"{\"Domain\":\"shop.example\",\"ValidationType\":\"file\",\"ValidationKey\":\"/x\",\"Cname\":\"t.example\",\"CnameKey\":\"_dnsauth\"}]}");

	(void)state;
	assert_string_equal(i.id, "cas_dv-cn-0001");
	word(i.type, CAS_BUY, "BUY");
	word(i.certificate_type, CAS_DV, "DV");
	word(i.status, CAS_PENDING, "pending");
	word(i.certificate_status, CAS_CERT_ISSUED, "issued");
	word(i.method, CAS_METHOD_DNS, "DNS");
	assert_string_equal(i.brand, "WoSign");
	assert_string_equal(i.spec, "ws.dv.f");
	assert_string_equal(i.name, "shop");
	assert_string_equal(i.resource_group, "rg");
	assert_string_equal(i.certificate, "98987582437920968");
	assert_string_equal(i.certificate_global, "98987582437920968-cn-hangzhou");
	assert_string_equal(i.domain, "www.shop.example,shop.example");
	assert_int_equal(i.names, 2);
	assert_int_equal(i.wildcards, 1);
	assert_string_equal(i.csr, "-----BEGIN");
	assert_string_equal(i.csr_method, "upload");
	assert_string_equal(i.key_algorithm, "RSA_2048");
	assert_string_equal(i.pending_result, "\xe5\x9f\x9f");
	assert_int_equal(i.wait_s, 120);
	assert_string_equal(i.company, "12");
	assert_string_equal(i.country, "CN");
	assert_string_equal(i.province, "Beijing");
	assert_string_equal(i.city, "Beijing");
	assert_string_equal(i.auto_reissue, "disable");
	assert_string_equal(i.upgrade, "none");
	assert_int_equal(i.ncontacts, 2);
	assert_string_equal(i.contacts[0], "519580");
	assert_string_equal(i.contacts[1], "519581");
	assert_true(i.order_start == 1790000000 && i.order_end == 1790000000 && i.start == 1790000000 && i.end == 1790000000);
	assert_true(i.not_before == INT64_C(100000000000) && i.not_after == 100000000);
	assert_int_equal(i.revoked, 0);
	assert_int_equal(i.nproofs, 2);
	assert_string_equal(i.proofs[0].domain, "www.shop.example");
	assert_string_equal(i.proofs[0].root, "shop.example");
	word(i.proofs[0].type, CAS_PROOF_TXT, "TXT");
	assert_string_equal(i.proofs[0].key, "_dnsauth.www");
	assert_string_equal(i.proofs[0].value, "2026");
	assert_null(i.proofs[0].cname);
	assert_null(i.proofs[0].cname_key);
	word(i.proofs[1].type, CAS_PROOF_HTTP, "file");
	assert_null(i.proofs[1].root);
	assert_null(i.proofs[1].value);
	assert_string_equal(i.proofs[1].cname, "t.example");
	assert_string_equal(i.proofs[1].cname_key, "_dnsauth");
	assert_null(i.strange);
}

static void a_bare_instance(void **state)
{
	struct cas_instance i = instance("{\"InstanceId\":7,\"Status\":null,\"Brand\":\"\",\"DomainValidationList\":null,\"ContactIdList\":[\"\"]}");

	(void)state;
	assert_string_equal(i.id, "7");
	assert_null(i.status.text);
	assert_int_equal(i.status.known, 0);
	assert_null(i.brand);
	assert_int_equal(i.names, -1);
	assert_int_equal(i.wildcards, -1);
	assert_int_equal(i.wait_s, -1);
	assert_int_equal(i.end, 0);
	assert_int_equal(i.nproofs, 0);
	assert_int_equal(i.ncontacts, 0);
	assert_null(i.strange);
}

static void words(void **state)
{
	static const struct {
		const char *text;
		int known;
	} rows[] = {{"inactive", CAS_INACTIVE}, {"PENDING", CAS_PENDING}, {"Normal", CAS_NORMAL}, {"willexpire", CAS_WILL_EXPIRE}, {"expired", CAS_EXPIRED},
		{"refund", CAS_REFUND}, {"closed", CAS_CLOSED}, {"frozen", 0}, {"normal ", 0}};
	char text[100];

	(void)state;
	for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
		struct cas_instance i;

		snprintf(text, sizeof text, "{\"InstanceId\":\"a\",\"Status\":\"%s\"}", rows[k].text);
		i = instance(text);
		word(i.status, rows[k].known, rows[k].text);
		assert_int_equal(!i.strange, rows[k].known != 0);
	}
	assert_string_equal(instance("{\"InstanceId\":\"a\",\"InstanceType\":\"x\",\"Status\":\"y\"}").strange, "InstanceType: x"); /* the first */
	assert_string_equal(instance("{\"InstanceId\":\"a\",\"DomainValidationList\":[{\"ValidationType\":\"EMAIL\"}]}").strange, "ValidationType: EMAIL");
	assert_string_equal(instance("{\"InstanceId\":\"a\",\"OrderEndTime\":\"2026-01-01\"}").strange, "OrderEndTime: 2026-01-01");
	assert_int_equal(instance("{\"InstanceId\":\"a\",\"OrderEndTime\":\"2026-01-01\"}").order_end, 0);
	assert_int_equal(instance("{\"InstanceId\":\"a\",\"FullDomainCount\":-5}").names, -1);
	assert_int_equal(instance("{\"InstanceId\":\"a\",\"FullDomainCount\":\"99999999999999999999\"}").names, -1);
}

static void wrong_shapes(void **state)
{
	char *text;
	size_t len = 0;

	(void)state;
	refused("[]", "instance is not an object");
	refused("{}", "instance: InstanceId is missing");
	refused("{\"InstanceId\":\"\"}", "instance: InstanceId is missing");
	refused("{\"InstanceId\":null}", "instance: InstanceId is missing");
	refused("{\"InstanceId\":{}}", "instance: InstanceId is not a text or a whole number");
	refused("{\"InstanceId\":1.5}", "instance: InstanceId is not a text or a whole number");
	refused("{\"InstanceId\":\"a\",\"Status\":[]}", "instance: Status is not a text or a whole number");
	refused("{\"InstanceId\":\"a\",\"OrderEndTime\":1.7e12}", "instance: OrderEndTime is not a text or a whole number");
	refused("{\"InstanceId\":\"a\",\"ContactIdList\":{}}", "instance a: ContactIdList is not a list");
	refused("{\"InstanceId\":\"a\",\"ContactIdList\":[{}]}", "instance a: ContactIdList is not a text or a whole number");
	refused("{\"InstanceId\":\"a\",\"DomainValidationList\":\"x\"}", "instance a: DomainValidationList is not a list");
	refused("{\"InstanceId\":\"a\",\"DomainValidationList\":[{},7]}", "instance a: DomainValidationList 2 is not an object");
	refused("{\"InstanceId\":\"a\",\"DomainValidationList\":[{\"Domain\":[]}]}",
		"instance a: DomainValidationList 1: Domain is not a text or a whole number");
	text = mem_alloc(70000);
	len = (size_t)snprintf(text, 70000, "{\"InstanceId\":\"a\",\"Csr\":\"%016385d\"}", 1);
	refused(text, "instance: Csr is too long");
	len = (size_t)snprintf(text, 70000, "{\"InstanceId\":\"a\",\"Csr\":\"%016384d\"}", 1);
	assert_int_equal(strlen(instance(text).csr), 16384);
	len = (size_t)snprintf(text, 70000, "{\"InstanceId\":\"a\",\"DomainValidationList\":[{}");
	for (int i = 0; i < 1000; i++)
		len += (size_t)snprintf(text + len, 70000 - len, ",{}");
	snprintf(text + len, 70000 - len, "]}");
	refused(text, "instance a: DomainValidationList is too long");
	len = (size_t)snprintf(text, 70000, "{\"InstanceId\":\"a\",\"ContactIdList\":[1");
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, 70000 - len, ",1");
	snprintf(text + len, 70000 - len, "]}");
	refused(text, "instance a: ContactIdList is too long");
	free(text);
}

static void contacts(void **state)
{
	struct cas_contact c;

	(void)state;
	assert_true(cas_contact_parse(arena,
		parse("{\"ContactId\":519580,\"Name\":\"\xe5\xbc\xa0\",\"Mobile\":\"13*\",\"Email\":\"h@x.example\",\"EmailStatus\":1,\"MobileStatus\":0,"
		      "\"Webhooks\":\"[]\",\"WebhookList\":[]}"),
		&c, &err));
	assert_string_equal(c.id, "519580");
	assert_string_equal(c.name, "\xe5\xbc\xa0");
	assert_string_equal(c.mobile, "13*");
	assert_string_equal(c.email, "h@x.example");
	assert_true(c.email_verified);
	assert_false(c.mobile_verified);
	assert_true(cas_contact_parse(arena, parse("{\"ContactId\":\"1\",\"EmailStatus\":\"1\",\"MobileStatus\":true}"), &c, &err));
	assert_true(c.email_verified && c.mobile_verified);
	assert_null(c.name);
	assert_true(cas_contact_parse(arena, parse("{\"ContactId\":\"1\",\"EmailStatus\":2,\"MobileStatus\":\"\"}"), &c, &err));
	assert_false(c.email_verified || c.mobile_verified);
	assert_false(cas_contact_parse(arena, parse("{\"Name\":\"x\"}"), &c, &err));
	assert_string_equal(err.detail, "contact: ContactId is missing");
}

static void companies(void **state)
{
	struct cas_company c;

	(void)state;
	assert_true(cas_company_parse(arena,
		parse("{\"CompanyId\":9007199254740993,\"CompanyName\":\"Example Ltd\",\"CompanyType\":1,\"CompanyCode\":\"91\",\"CompanyPhone\":\"010\","
		      "\"CompanyEmail\":\"e\",\"Department\":\"IT\",\"CompanyAddress\":\"a\",\"PostCode\":100000,\"City\":\"c\",\"Province\":\"p\","
		      "\"CountryCode\":\"CN\",\"Lang\":\"zh\"}"),
		&c, &err));
	assert_string_equal(c.id, "9007199254740993"); /* 2^53 + 1 */
	assert_string_equal(c.name, "Example Ltd");
	assert_string_equal(c.type, "1");
	assert_string_equal(c.code, "91");
	assert_string_equal(c.phone, "010");
	assert_string_equal(c.email, "e");
	assert_string_equal(c.department, "IT");
	assert_string_equal(c.address, "a");
	assert_string_equal(c.post_code, "100000");
	assert_string_equal(c.city, "c");
	assert_string_equal(c.province, "p");
	assert_string_equal(c.country, "CN");
	assert_false(cas_company_parse(arena, parse("[1]"), &c, &err));
	assert_string_equal(err.detail, "company is not an object");
}

static void totals_and_tasks(void **state)
{
	struct cas_summary s;
	struct cas_task t;

	(void)state;
	assert_true(cas_summary_parse(arena,
		parse("{\"CertificateCount\":3,\"InactiveCount\":\"2\",\"TotalCount\":9,\"WillExpireCount\":0}"), &s, &err));
	assert_true(s.left == 3 && s.inactive == 2 && s.total == 9 && s.will_expire == 0 && s.auto_reissue == -1);
	assert_true(cas_task_parse(arena, parse("{\"TaskStatus\":\"FAILED\",\"TaskMessage\":\"\xe5\x9f\x9f\"}"), &t, &err));
	word(t.status, CAS_TASK_FAILED, "FAILED");
	assert_string_equal(t.message, "\xe5\x9f\x9f");
	assert_true(cas_task_parse(arena, parse("{\"TaskStatus\":\"completed\"}"), &t, &err));
	assert_int_equal(t.status.known, CAS_TASK_SUCCESS);
	assert_true(cas_task_parse(arena, parse("{\"TaskStatus\":\"Pending\"}"), &t, &err));
	assert_int_equal(t.status.known, CAS_TASK_PROCESSING);
	assert_true(cas_task_parse(arena, parse("{}"), &t, &err));
	assert_null(t.status.text);
}

static void pages(void **state)
{
	struct cas_page p;
	char *text = mem_alloc(10000);
	size_t len;

	(void)state;
	assert_true(cas_page_parse(parse("{\"InstanceList\":[{},{}],\"TotalCount\":\"501\"}"), "InstanceList", &p, &err));
	assert_int_equal(js_len(p.items), 2);
	assert_int_equal(p.total, 501);
	assert_true(cas_page_parse(parse("{\"ContactList\":[]}"), "InstanceList", &p, &err));
	assert_null(p.items);
	assert_int_equal(p.total, -1);
	assert_false(cas_page_parse(parse("{\"InstanceList\":{}}"), "InstanceList", &p, &err));
	assert_string_equal(err.detail, "list: InstanceList is not a list");
	len = (size_t)snprintf(text, 10000, "{\"L\":[1");
	for (int i = 0; i < CAS_PAGE_MAX; i++)
		len += (size_t)snprintf(text + len, 10000 - len, ",1");
	snprintf(text + len, 10000 - len, "]}");
	assert_false(cas_page_parse(parse(text), "L", &p, &err));
	assert_string_equal(err.detail, "list: L is too long");
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_whole_instance, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bare_instance, setup, teardown),
		cmocka_unit_test_setup_teardown(words, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_shapes, setup, teardown),
		cmocka_unit_test_setup_teardown(contacts, setup, teardown),
		cmocka_unit_test_setup_teardown(companies, setup, teardown),
		cmocka_unit_test_setup_teardown(totals_and_tasks, setup, teardown),
		cmocka_unit_test_setup_teardown(pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
