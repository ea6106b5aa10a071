/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to xapi and its answers, refusals and task results. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "text.h"
#include "xapi_rpc.h"

static void test_request(void **state)
{
	pv_autofree char *with = pv_xapi_request("VM.destroy", "OpaqueRef:s", json_pack("[s]", "OpaqueRef:v"));
	pv_autofree char *without = pv_xapi_request("session.login_with_password", NULL, json_pack("[s, s]", "root", "a\"b\\"));
	pv_autofree char *alone = pv_xapi_request("pool.get_all_records", "OpaqueRef:s", NULL);

	(void)state;
	assert_string_equal(with, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"VM.destroy\","
				  "\"params\":[\"OpaqueRef:s\",\"OpaqueRef:v\"]}");
	assert_non_null(strstr(without, "\"params\":[\"root\",\"a\\\"b\\\\\"]"));
	assert_non_null(strstr(alone, "\"params\":[\"OpaqueRef:s\"]"));
}

static int answer(const char *text, json_t **ret, struct pv_xapi_fault *fault, struct pv_error *err)
{
	return pv_xapi_answer(text, strlen(text), "https://host: VM.x", ret, fault, err);
}

static void test_result(void **state)
{
	pv_autojson *ret = NULL;
	pv_autofault fault = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(answer("{\"jsonrpc\":\"2.0\",\"result\":\"\",\"id\":1}", &ret, &fault, &err), 0);
	assert_string_equal(json_string_value(ret), "");
	assert_null(fault.code);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *words;
		bool may_pass;
	} cases[] = {
		{ "{\"error\":{\"code\":1,\"message\":\"SESSION_AUTHENTICATION_FAILED\",\"data\":[\"root\",\"x\"]},\"id\":1}",
		  "user name or password is wrong", false },
		{ "{\"error\":{\"code\":1,\"message\":\"SR_BACKEND_FAILURE_44\",\"data\":[\"\",\"no space\",\"\"]}}",
		  "SR_BACKEND_FAILURE_44, no space: the storage is full", false },
		{ "{\"error\":{\"code\":1,\"message\":\"SESSION_INVALID\",\"data\":[\"OpaqueRef:secret\"]}}",
		  "SESSION_INVALID: the session has ended", true },
		{ "{\"error\":{\"code\":1,\"message\":\"OTHER\",\"data\":[\"GET /?session_id=OpaqueRef:secret\",\"why\"]}}",
		  "the host refused: OTHER, why", false },
		{ "{\"error\":{\"code\":1,\"message\":\"X OpaqueRef:secret\",\"data\":[]}}", "refused: no reason given", false },
		{ "{\"error\":{\"code\":1,\"message\":\"NEVER_SEEN\",\"data\":[]}}", "the host refused: NEVER_SEEN", false },
		{ "{\"error\":{\"code\":1,\"message\":7,\"data\":{}}}", "no reason given", false },
		{ "{\"error\":{\"message\":\"A\\nB\\u001b[1m\",\"data\":[\"x\\ny\"]}}", "A?B?[1m, x?y", false },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autojson *ret = NULL;
		pv_autofault fault = { 0 };
		pv_autoerror err = PV_ERROR_INIT;

		assert_int_equal(answer(cases[i].text, &ret, &fault, &err), -1);
		assert_non_null(strstr(err.text, cases[i].words));
		assert_null(strstr(err.text, "secret"));
		assert_null(strchr(err.text, '\n'));
		assert_int_equal(err.kind, PV_ERR_ARCHIVE);
		assert_int_equal(pv_xapi_may_pass(&fault), cases[i].may_pass);
	}
}

static void test_no_answers(void **state)
{
	static const char *const texts[] = {
		"", "{", "<html>500</html>", "[]", "7", "{}", "{\"id\":1}", "{\"error\":\"x\"}",
		"{\"result\":1,\"result\":2}", "{\"result\":\"\xff\"}",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(texts); i++) {
		pv_autojson *ret = NULL;
		pv_autofault fault = { 0 };
		pv_autoerror err = PV_ERROR_INIT;

		assert_int_equal(answer(texts[i], &ret, &fault, &err), -1);
		assert_null(ret);
		assert_null(fault.code);
		assert_non_null(strstr(err.text, "https://host: VM.x"));
	}
}

static void test_task(void **state)
{
	pv_autostrv refs = PV_STRV_INIT;
	pv_autofault fault = { 0 };
	pv_autojson *list = json_pack("[s, s]", "IMPORT_ERROR_PREMATURE_EOF", "x"), *none = json_array();

	(void)state;
	pv_xapi_refs_of_result("<value><array><data><value>OpaqueRef:a-1</value><value>OpaqueRef:b</value>"
			       "<value>OpaqueRef:NULL</value><value>OpaqueRef:c d</value><value>x</value>"
			       "<value>OpaqueRef:</value></data></array></value>", &refs);
	assert_int_equal(refs.n, 2);
	assert_string_equal(refs.v[0], "OpaqueRef:a-1");
	assert_string_equal(refs.v[1], "OpaqueRef:b");
	pv_xapi_refs_of_result("<value>OpaqueRef:abc", &refs);
	pv_xapi_refs_of_result("", &refs);
	assert_int_equal(refs.n, 2);
	pv_xapi_fault_of(list, &fault);
	assert_string_equal(fault.code, "IMPORT_ERROR_PREMATURE_EOF");
	assert_true(pv_xapi_may_pass(&fault));
	pv_xapi_fault_of(none, &fault);
	assert_string_equal(fault.code, "no reason given");
	assert_int_equal(fault.data.n, 0);
}

static void test_refs(void **state)
{
	(void)state;
	assert_true(pv_xapi_is_ref("OpaqueRef:7ab29f6c-1111-2222-3333-444455556666"));
	assert_false(pv_xapi_is_ref("OpaqueRef:NULL"));
	assert_false(pv_xapi_is_ref("OpaqueRef:a&task_id=b"));
	assert_false(pv_xapi_is_ref("OpaqueRef:"));
	assert_false(pv_xapi_is_ref("Ref:1"));
}

static void test_members(void **state)
{
	pv_autojson *r = json_pack("{s:s, s:b, s:I, s:s, s:[s, s, i], s:n}", "label", "x", "flag", 1, "size",
				   (json_int_t)5, "old", "6442450944", "list", "OpaqueRef:a", "OpaqueRef:NULL", 3, "none");
	pv_autostrv refs = PV_STRV_INIT;

	(void)state;
	assert_string_equal(pv_xapi_text(r, "label"), "x");
	assert_string_equal(pv_xapi_text(r, "none"), "");
	assert_string_equal(pv_xapi_text(NULL, "label"), "");
	assert_true(pv_xapi_flag(r, "flag"));
	assert_false(pv_xapi_flag(r, "label"));
	assert_int_equal(pv_xapi_number(r, "size"), 5);
	assert_int_equal(pv_xapi_number(r, "old"), UINT64_C(6442450944));
	assert_int_equal(pv_xapi_number(r, "label"), 0);
	pv_xapi_refs(r, "list", &refs);
	pv_xapi_refs(r, "label", &refs);
	assert_int_equal(refs.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),	   cmocka_unit_test(test_result), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_no_answers), cmocka_unit_test(test_task),	  cmocka_unit_test(test_refs),
		cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
