/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of buckets, and what an S3 server answers. The answers are examples of the Amazon S3 API Reference, shortened. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "publish_s3.h"
#include "s3_answer.h"

static void test_address(void **state)
{
	__attribute__((cleanup(pv_s3_address_done))) struct pv_s3_address a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(pv_s3_address_parse("s3://images", &a, NULL), 0);
	assert_string_equal(a.bucket, "images");
	assert_string_equal(a.prefix, "");
	assert_null(a.endpoint);
	assert_null(a.region);
	assert_false(a.path_style || a.virtual_host);
	assert_int_equal(pv_s3_address_parse("s3://images/a/b/?endpoint=http://127.0.0.1:8080&region=here&addressing=path", &b,
					     NULL), 0);
	assert_string_equal(b.prefix, "a/b/");
	assert_string_equal(b.endpoint, "http://127.0.0.1:8080");
	assert_string_equal(b.region, "here");
	assert_true(b.path_style);
}

static void test_address_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "s3://", "a bucket's name" },
		{ "s3://ab", "a bucket's name" },
		{ "s3://-ab", "a bucket's name" },
		{ "s3://a..b", "a bucket's name" },
		{ "s3://key:sesame@images", "a bucket's name" },
		{ "s3://images//x", "the prefix" },
		{ "s3://images/../x", "the prefix" },
		{ "s3://images/%2e", "the prefix" },
		{ "s3://images?endpoint=http://s3.example.org", "loopback" },
		{ "s3://images?endpoint=https://s3.example.org/path", "nothing after it" },
		{ "s3://images?endpoint=https://u:sesame@s3.example.org", "nothing after it" },
		{ "s3://images?endpoint=file:///x", "endpoint" },
		{ "s3://images?region=a&region=b", "each once" },
		{ "s3://images?region=a%20b", "region" },
		{ "s3://images?region=", "region" },
		{ "s3://images?addressing=other", "addressing" },
		{ "s3://images?secret=sesame", "?secret" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		__attribute__((cleanup(pv_s3_address_done))) struct pv_s3_address a = { 0 };
		pv_autoerror err = PV_ERROR_INIT;

		if (pv_s3_address_parse(bad[i][0], &a, &err) == 0)
			fail_msg("%s: taken", bad[i][0]);
		assert_int_equal(err.kind, PV_ERR_USAGE);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("%s: no word of \"%s\": %s", bad[i][0], bad[i][1], err.text);
		assert_null(strstr(err.text, "sesame"));
	}
}

static void parse(const char *text, struct pv_s3_answer *ret)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_s3_answer_parse(text, strlen(text), ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_answers(void **state)
{
	pv_autos3answer error = { 0 }, keys = { 0 }, uploads = { 0 }, parts = { 0 }, begun = { 0 };

	(void)state;
	parse(" \n<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>a\nb</Message><Resource>/x</Resource></Error>", &error);
	assert_string_equal(error.root, "Error");
	assert_string_equal(error.code, "NoSuchKey");
	assert_null(strchr(error.message, '\n'));
	parse("<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><IsTruncated>true</IsTruncated>"
	      "<NextContinuationToken>t/=</NextContinuationToken><Contents><Key>a&amp;b</Key><ETag>&quot;e1&quot;</ETag>"
	      "<Size>434234</Size><Owner><ID>x</ID></Owner></Contents><Contents><Key>c</Key></Contents></ListBucketResult>", &keys);
	assert_true(keys.truncated);
	assert_string_equal(keys.next_token, "t/=");
	assert_int_equal(keys.n, 2);
	assert_string_equal(keys.entries[0].key, "a&b");
	assert_string_equal(keys.entries[0].etag, "e1");
	assert_int_equal(keys.entries[0].size, 434234);
	assert_string_equal(keys.entries[1].key, "c");
	parse("<ListMultipartUploadsResult><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker><Upload>"
	      "<Key>k</Key><UploadId>VXB</UploadId></Upload></ListMultipartUploadsResult>", &uploads);
	assert_false(uploads.truncated);
	assert_string_equal(uploads.next_key, "k");
	assert_string_equal(uploads.next_upload, "u");
	assert_string_equal(uploads.entries[0].upload_id, "VXB");
	parse("<ListPartsResult><UploadId>U</UploadId><Part><PartNumber>10000</PartNumber><ETag>\"x\"</ETag><Size>5</Size></Part>"
	      "<Part><PartNumber>10001</PartNumber></Part></ListPartsResult>", &parts);
	assert_int_equal(parts.entries[0].part, 10000);
	assert_int_equal(parts.entries[1].part, 0);
	parse("<InitiateMultipartUploadResult><UploadId>VXBsb2</UploadId></InitiateMultipartUploadResult>", &begun);
	assert_string_equal(begun.upload_id, "VXBsb2");
}

static void test_answers_refused(void **state)
{
	static const char *const bad[] = {
		"", "   ", "no", "<a>", "<a></b>", "<a/><b/>", "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
		"<a><b><c><d><e><f><g><h><i><j><k><l><m><n><o><p><q/></p></o></n></m></l></k></j></i></h></g></f></e></d></c></b></a>",
	};
	pv_autostr longest = PV_STR_INIT;

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autos3answer a = { 0 };
		pv_autoerror err = PV_ERROR_INIT;

		if (pv_s3_answer_parse(bad[i], strlen(bad[i]), &a, &err) == 0)
			fail_msg("%s: taken", bad[i]);
		assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	}
	pv_str_add(&longest, "<a><Key>");
	for (unsigned i = 0; i < 5000; i++)
		pv_str_addc(&longest, 'k');
	pv_str_add(&longest, "</Key></a>");
	pv_autos3answer a = { 0 };
	assert_int_equal(pv_s3_answer_parse(longest.data, longest.len, &a, NULL), -1);
}

/* At most 10000 parts of whole MiB, whatever the size; no part but the last is smaller than the protocol's 5 MiB. */
static void test_parts(void **state)
{
	static const uint64_t sizes[] = { 1, UINT64_C(16) << 20, UINT64_C(160000) << 20, (UINT64_C(160000) << 20) + 1,
					  UINT64_C(2040) << 30, UINT64_C(5) << 40 };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(sizes); i++) {
		uint64_t part = pv_s3_part_size(sizes[i]);

		assert_true(part >= PV_S3_PART && part % (1 << 20) == 0);
		assert_true((sizes[i] + part - 1) / part <= PV_S3_PARTS_MAX);
	}
	pv_autofree char *path = pv_s3_encode("a b/c+d=é~_-.", true), *word = pv_s3_encode("a/b", false);
	assert_string_equal(path, "a%20b/c%2Bd%3D%C3%A9~_-.");
	assert_string_equal(word, "a%2Fb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_address_refused),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_answers_refused),
		cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
