/* SPDX-License-Identifier: ISC */
/* Two signatures for each scheme are published by Alibaba Cloud; the others were made by its SDK for JavaScript (openapi-core 1.0.8) with clock and nonce
 * held still, and come with the sizes and hashes in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "crypto/acs.h"

#define NONCE "9166ab59f013e6ee53d2b9cbbb5b7f17"
#define DATE "2025-06-01T12:00:00Z"
#define CAS "cas.aliyuncs.com"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum { PARAMS = 10 };

static const struct acs_key key = {.id = "testAccessKeyId", .secret = "testAccessKeySecret"};
static const struct acs_key token_key = {.id = "testAccessKeyId", .secret = "testAccessKeySecret", .token = "testSecurityToken"};
static const struct acs_key documented = {.id = "YourAccessKeyId", .secret = "YourAccessKeySecret"};
static const struct acs_key testid = {.id = "testid", .secret = "testsecret"};

struct vector {
	const char *name;
	const struct acs_key *key;
	struct acs_request r;
	struct acs_pair param[PARAMS]; /* in another order than they are signed */
	const char *query, *hash, *signature, *payload; /* NULL: not told */
	size_t size; /* of the canonical text; 0: not told */
};

static const struct vector in_headers[] = {
	{"published", &documented,
		{.method = "POST", .host = "ecs.cn-shanghai.aliyuncs.com", .action = "RunInstances", .version = "2014-05-26", .date = "2023-10-26T10:22:32Z",
			.nonce = "3156853299f313e23d1673dc12e1703d"},
		{{"RegionId", "cn-shanghai"}, {"ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}},
		"ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
		"7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259",
		"06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0", EMPTY, 0},
	{"plain", &key,
		{.method = "POST", .host = CAS, .action = "DescribeCertificateState", .version = "2020-04-07", .date = DATE, .nonce = NONCE},
		{{"OrderId", "98987582437920968"}}, "OrderId=98987582437920968", "9b703a2988798a9156c55fe7003f8e1f8825641cce378915290d7f1dcf7ff7bf",
		"f192e9d051c4c6e674f385f10aacb2a042fc47bcd652b3fa51ae103fe44cbbb6", EMPTY, 442},
	{"what must be encoded", &key,
		{.method = "POST", .host = CAS, .action = "CreateCertificateForPackageRequest", .version = "2020-04-07", .date = DATE, .nonce = NONCE},
		{{"ProductCode", "digicert-free-1-free"}, {"Username", "Tom Zhang"}, {"Phone", "13000000000"}, {"Email", "tom@example.com"},
			{"Domain", "*.example.com,a+b~c.example.com"}, {"ValidateType", "DNS"}, {"CompanyName", "某公司"}},
		"CompanyName=%E6%9F%90%E5%85%AC%E5%8F%B8&Domain=%2A.example.com%2Ca%2Bb~c.example.com&Email=tom%40example.com&Phone=13000000000&"
		"ProductCode=digicert-free-1-free&Username=Tom%20Zhang&ValidateType=DNS",
		"01caf852a505552fa62260b7714266f07aeab1b56f071f719fd709e61f35bac4",
		"1f5dcd8b006262032ac35e598e3b0a6a98a8680de11a3eec71b86263bf722efb", EMPTY, 624},
	{"a temporary key", &token_key,
		{.method = "POST", .host = "alidns.aliyuncs.com", .action = "AddDomainRecord", .version = "2015-01-09", .date = DATE, .nonce = NONCE},
		{{"Value", "202506010000003k+/=abc"}, {"Type", "TXT"}, {"TTL", "600"}, {"RR", "_dnsauth"}, {"DomainName", "example.com"}},
		"DomainName=example.com&RR=_dnsauth&TTL=600&Type=TXT&Value=202506010000003k%2B%2F%3Dabc",
		"a859adc2e17d67f2c5a85f804b7653ffbfb406bd9d97dc06ad96a304bd0c2e19",
		"a029e7ed69101bfcc0db048b4828419a39f3d28356768c544eb9b934d99b3038", EMPTY, 611},
	{"a form for a body", &key,
		{.method = "POST", .host = CAS, .action = "UploadUserCertificate", .version = "2020-04-07", .date = DATE, .nonce = NONCE,
			.body = "Cert=AAA%0ABBB&Key=CCC&Name=my_cert", .body_type = "application/x-www-form-urlencoded"},
		{{NULL, NULL}}, "", "f91d4a96704dae0359cacb28bc6ea3dc5e930625e4f8c24003cdea4a34bbabe5",
		"50e1a0f6cf162ed85b85c619d5be0fbc9c6fbcfd9b35f1ac403751e5f6af0850",
		"e7573beab6738f5719ce9ebf1a98a7fc5013c20049d6f625edfdb8211ae0960c", 474},
	{"lists and PEM", &key,
		{.method = "POST", .host = CAS, .action = "UpdateInstance", .version = "2020-04-07", .date = DATE, .nonce = NONCE},
		{{"InstanceId", "cas_dv-cn-0001"}, {"Domain", "example.com,www.example.com"}, {"ValidationMethod", "DNS"}, {"GenerateCsrMethod", "upload"},
			{"Csr", "-----BEGIN CERTIFICATE REQUEST-----\nMIIB+/=\n-----END CERTIFICATE REQUEST-----\n"}, {"ContactIdList.1", "519580"},
			{"ContactIdList.2", "519581"}, {"Tags.1.TagKey", "env"}, {"Tags.1.TagValue", "prod"}},
		"ContactIdList.1=519580&ContactIdList.2=519581&Csr=-----BEGIN%20CERTIFICATE%20REQUEST-----%0AMIIB%2B%2F%3D%0A-----END%20CERTIFICATE%20"
		"REQUEST-----%0A&Domain=example.com%2Cwww.example.com&GenerateCsrMethod=upload&InstanceId=cas_dv-cn-0001&Tags.1.TagKey=env&"
		"Tags.1.TagValue=prod&ValidationMethod=DNS",
		"7b242ad0b690173ddc985b33926f0fe447f2ce80247407868fa9ba8126bb8927",
		"40f0b3eac5eb95b103b8bce24496d1278afe041c1436070e2513b53f85289f84", EMPTY, 703},
};

#define ADD_RECORD(verb) {.method = verb, .action = "AddDomainRecord", .version = "2015-01-09", .date = DATE, .nonce = NONCE, .format = "JSON"}
#define ADD_RECORD_PARAMS                                                                                                                    \
	{{"DomainName", "example.com"}, {"RR", "_dnsauth"}, {"Type", "TXT"}, {"TTL", "600"}, {"Value", "202506010000003k+/=abc *~"}},        \
		"AccessKeyId=testAccessKeyId&Action=AddDomainRecord&DomainName=example.com&Format=JSON&RR=_dnsauth&SignatureMethod=HMAC-SHA1&" \
		"SignatureNonce=" NONCE "&SignatureVersion=1.0&TTL=600&Timestamp=2025-06-01T12%3A00%3A00Z&Type=TXT&"                           \
		"Value=202506010000003k%2B%2F%3Dabc%20%2A~&Version=2015-01-09", NULL
static const struct vector in_query[] = {
	{"published", &testid,
		{.method = "GET", .action = "DescribeRegions", .version = "2014-05-26", .date = "2016-02-23T12:46:24Z", .format = "XML",
			.nonce = "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"},
		{{NULL, NULL}}, NULL, NULL, "OLeaidS1JvxuMvnyHOwuJ+uX5qY=", NULL, 0},
	{"published, of Alidns", &testid,
		{.method = "GET", .action = "DescribeDomainRecords", .version = "2015-01-09", .date = "2016-03-24T16:41:54Z", .format = "XML",
			.nonce = "f59ed6a9-83fc-473b-9cc6-99c95df3856e"},
		{{"DomainName", "example.com"}}, NULL, NULL, "uRpHwaSEt3J+6KQD//svCh/x+pI=", NULL, 0},
	{"GET", &key, ADD_RECORD("GET"), ADD_RECORD_PARAMS, "NgbD41g6MKHTNpImSDSonlw76Ig=", NULL, 0},
	{"POST", &key, ADD_RECORD("POST"), ADD_RECORD_PARAMS, "f3VtHrIvD0o03LRX2ZBwli/LP6o=", NULL, 0},
	{"plain", &testid,
		{.method = "GET", .action = "DescribeCertificateState", .version = "2020-04-07", .date = DATE, .format = "JSON",
			.nonce = "9166ab59-f013-e6ee-53d2-b9cbbb5b7f17"},
		{{"OrderId", "123451222"}}, NULL, NULL, "CWzx0azfzW0iigjTTi0FayMRVuc=", NULL, 0},
};

static struct acs_request request_of(const struct vector *v)
{
	struct acs_request r = v->r;

	r.param = v->param;
	while (r.nparam < PARAMS && v->param[r.nparam].name)
		r.nparam++;
	return r;
}

static const char *header(const struct acs_signed *s, const char *name)
{
	for (size_t i = 0; i < s->nheader; i++)
		if (strcmp(s->header[i].name, name) == 0)
			return s->header[i].value;
	return NULL;
}

static void check_headers(const struct vector *v, const struct acs_signed *s)
{
	const char *credential = "ACS3-HMAC-SHA256 Credential=", *authorization = header(s, "authorization");
	size_t signature = strlen(authorization) - strlen(v->signature), token = v->key->token ? 2 : 0, body = v->r.body ? 1 : 0;

	assert_memory_equal(authorization, credential, strlen(credential));
	assert_string_equal(authorization + signature, v->signature);
	assert_string_equal(header(s, "host"), v->r.host);
	assert_string_equal(header(s, "x-acs-action"), v->r.action);
	assert_string_equal(header(s, "x-acs-version"), v->r.version);
	assert_string_equal(header(s, "x-acs-date"), v->r.date);
	assert_string_equal(header(s, "x-acs-signature-nonce"), v->r.nonce);
	assert_string_equal(header(s, "x-acs-content-sha256"), v->payload);
	assert_int_equal(s->nheader, 7 + token + body);
	if (token)
		assert_string_equal(header(s, "x-acs-security-token"), v->key->token);
	if (token)
		assert_string_equal(header(s, "x-acs-accesskey-id"), v->key->id);
	if (body)
		assert_string_equal(header(s, "content-type"), v->r.body_type);
}

static void signed_in_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof in_headers / sizeof *in_headers; i++) {
		const struct vector *v = &in_headers[i];
		struct acs_request r = request_of(v);
		char hash[DIGEST_HEX];
		struct acs_signed s;
		struct buf canonical;
		struct err err;

		print_message("%s\n", v->name);
		buf_init(&canonical, 0);
		acs_canonical_headers(&r, v->key, &canonical);
		if (v->size)
			assert_int_equal(canonical.len, v->size);
		assert_string_equal(digest_sha256_hex(canonical.data, canonical.len, hash), v->hash);
		assert_true(acs_sign_headers(&r, v->key, &s, &err));
		assert_string_equal(s.query.data, v->query);
		check_headers(v, &s);
		acs_signed_free(&s);
		buf_free(&canonical);
	}
}

static void the_whole_of_one(void **state)
{
	struct acs_request r = request_of(&in_headers[1]);
	struct acs_signed s;
	struct buf canonical;
	struct err err;

	(void)state;
	buf_init(&canonical, 0);
	acs_canonical_headers(&r, &key, &canonical);
	assert_string_equal(canonical.data,
		"POST\n/\nOrderId=98987582437920968\nhost:cas.aliyuncs.com\nx-acs-action:DescribeCertificateState\nx-acs-content-sha256:" EMPTY "\n"
		"x-acs-date:2025-06-01T12:00:00Z\nx-acs-signature-nonce:" NONCE "\nx-acs-version:2020-04-07\n\n"
		"host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version\n" EMPTY);
	assert_true(acs_sign_headers(&r, &key, &s, &err));
	assert_string_equal(header(&s, "authorization"), "ACS3-HMAC-SHA256 Credential=testAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;"
		"x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=f192e9d051c4c6e674f385f10aacb2a042fc47bcd652b3fa51ae103fe44cbbb6");
	acs_signed_free(&s);
	buf_free(&canonical);
}

static void signed_in_the_query(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof in_query / sizeof *in_query; i++) {
		const struct vector *v = &in_query[i];
		struct acs_request r = request_of(v);
		struct acs_signed s;
		struct buf canonical, end;
		struct err err;

		print_message("%s\n", v->name);
		buf_init(&canonical, 0);
		buf_init(&end, 0);
		acs_canonical_query(&r, v->key, &canonical);
		if (v->query)
			assert_string_equal(canonical.data, v->query);
		assert_true(acs_sign_query(&r, v->key, &s, &err));
		assert_int_equal(s.nheader, 0);
		assert_memory_equal(s.query.data, canonical.data, canonical.len);
		assert_true(buf_puts(&end, "&Signature="));
		acs_encode(v->signature, &end);
		assert_string_equal(s.query.data + canonical.len, end.data);
		acs_signed_free(&s);
		buf_free(&end);
		buf_free(&canonical);
	}
}

static void a_token_in_the_query(void **state)
{
	struct acs_request r = request_of(&in_query[4]);
	struct buf canonical;

	(void)state;
	buf_init(&canonical, 0);
	acs_canonical_query(&r, &token_key, &canonical);
	assert_non_null(strstr(canonical.data, "&OrderId=123451222&SecurityToken=testSecurityToken&SignatureMethod="));
	buf_free(&canonical);
}

static void encoding(void **state)
{
	static const struct {
		const char *text, *encoded;
	} rows[] = {
		{"azAZ09-_.~", "azAZ09-_.~"}, {" *+!'()", "%20%2A%2B%21%27%28%29"}, {"a/b?c=d&e%f", "a%2Fb%3Fc%3Dd%26e%25f"}, {"\n\r\t\x7f", "%0A%0D%09%7F"},
		{"\xe6\x9f\x90", "%E6%9F%90"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b;

		buf_init(&b, 0);
		acs_encode(rows[i].text, &b);
		assert_string_equal(b.data, rows[i].encoded);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoding),
		cmocka_unit_test(signed_in_headers),
		cmocka_unit_test(the_whole_of_one),
		cmocka_unit_test(signed_in_the_query),
		cmocka_unit_test(a_token_in_the_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
