/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers of xapi, by jansson, and words for what it refuses. */
#include "xapi_rpc.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 300		/* of what a host says, in an error's line */

void pv_json_decrefp(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

void pv_xapi_fault_done(struct pv_xapi_fault *f)
{
	pv_freep(&f->code);
	pv_strv_done(&f->data);
}

char *pv_xapi_request(const char *method, const char *session, json_t *params)
{
	pv_autojson *list = params ? params : json_array(), *root = NULL;

	if (session)
		json_array_insert_new(list, 0, json_string(session));
	root = json_pack("{s:s, s:i, s:s, s:O}", "jsonrpc", "2.0", "id", 1, "method", method, "params", list);
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	return text ? text : pv_xstrdup("{}");
}

/* --- what is refused --- */

struct advice {
	const char *code, *words;
	bool may_pass;
};

static const struct advice advices[] = {
	{ "SESSION_AUTHENTICATION_FAILED", "user name or password is wrong; they come from PVIMG_XAPI_USER and "
	  "PVIMG_XAPI_PASSWORD or the file that PVIMG_XAPI_CREDENTIALS names", false },
	{ "SESSION_INVALID", "the session has ended", true },
	{ "HOST_IS_SLAVE", "this host is not its pool's master", false },
	{ "RBAC_PERMISSION_DENIED", "this user may not do that; a role of pool-operator or above can", false },
	{ "SR_BACKEND_FAILURE_44", "the storage is full; free some, or name another one after the host: xapi://HOST/SR",
	  false },
	{ "SR_FULL", "the storage is full; free some, or name another one after the host: xapi://HOST/SR", false },
	{ "DEFAULT_SR_NOT_FOUND", "the pool has no default storage; name one after the host: xapi://HOST/SR", false },
	{ "SR_OPERATION_NOT_SUPPORTED", "this storage takes no disks; name another one after the host: xapi://HOST/SR",
	  false },
	{ "IMPORT_ERROR_PREMATURE_EOF", "the upload broke off", true },
	{ "IMPORT_ERROR_SOME_CHECKSUMS_FAILED", "what arrived is not what was sent", true },
	{ "VDI_IO_ERROR", "the host could not write to its storage", true },
	{ "HOST_OFFLINE", "the host is offline", true },
	{ "HOST_STILL_BOOTING", "the host is still starting", true },
	{ "TASK_CANCELLED", "somebody cancelled the upload on the host", false },
	{ "NOT_SUPPORTED_DURING_UPGRADE", "the pool is being upgraded; try later", false },
	{ "IMPORT_INCOMPATIBLE_VERSION", "the host is older than XenServer 7.6 and XCP-ng 7.6", false },
	{ "LICENCE_RESTRICTION", "the host's licence does not allow it", false },
};

static const struct advice *advice_of(const char *code)
{
	for (size_t i = 0; i < PV_COUNT(advices); i++)
		if (pv_streq(advices[i].code, code))
			return &advices[i];
	return NULL;
}

bool pv_xapi_may_pass(const struct pv_xapi_fault *fault)
{
	const struct advice *advice = fault->code ? advice_of(fault->code) : NULL;

	return advice && advice->may_pass;
}

/* References are of no use to a reader, and a session's own is a secret. */
static bool has_reference(const char *word)
{
	return strstr(word, "OpaqueRef:");
}

int pv_xapi_refused(const char *what, const struct pv_xapi_fault *fault, struct pv_error *err)
{
	const char *code = fault->code && !has_reference(fault->code) ? fault->code : "no reason given";
	const struct advice *advice = advice_of(code);
	pv_autostr said = PV_STR_INIT;

	pv_str_add(&said, code);
	for (size_t i = 0; i < fault->data.n; i++)
		if (*fault->data.v[i] && !has_reference(fault->data.v[i]))
			pv_str_addf(&said, ", %s", fault->data.v[i]);
	pv_autofree char *shown = pv_printable(said.data, said.len < WORDS_MAX ? said.len : WORDS_MAX);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the host refused: %s%s%s", what, shown, advice ? ": " : "",
			    advice ? advice->words : "");
}

void pv_xapi_fault_of(const json_t *list, struct pv_xapi_fault *ret)
{
	const char *code = json_string_value(json_array_get(list, 0));

	pv_xapi_fault_done(ret);
	ret->code = pv_xstrdup(code && *code ? code : "no reason given");
	for (size_t i = 1; i < json_array_size(list) && i < 16; i++) {
		const char *word = json_string_value(json_array_get(list, i));

		pv_strv_add(&ret->data, word ? word : "");
	}
}

/* JSON-RPC 2.0: {"code": 1, "message": CODE, "data": [PARAMETERS]} */
static void fault_of_error(const json_t *error, struct pv_xapi_fault *ret)
{
	pv_autojson *list = json_array();
	const json_t *data = json_object_get(error, "data");

	json_array_append(list, json_object_get(error, "message"));
	for (size_t i = 0; i < json_array_size(data); i++)
		json_array_append(list, json_array_get(data, i));
	pv_xapi_fault_of(list, ret);
}

int pv_xapi_answer(const char *text, size_t len, const char *what, json_t **ret, struct pv_xapi_fault *ret_fault,
		   struct pv_error *err)
{
	json_error_t why;
	pv_autojson *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	json_t *result;

	if (!root)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the answer is no JSON (byte %d); is this a XenServer or "
				    "XCP-ng of 2016 or newer?", what, why.position);
	const json_t *error = json_object_get(root, "error");
	if (json_is_object(error)) {
		fault_of_error(error, ret_fault);
		return pv_xapi_refused(what, ret_fault, err);
	}
	result = json_object_get(root, "result");
	if (!result)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the answer has neither a result nor an error; is this a "
				    "XenServer or XCP-ng?", what);
	*ret = json_incref(result);
	return 0;
}

/* --- parts of results --- */

static size_t ref_length(const char *text)
{
	static const char prefix[] = "OpaqueRef:";
	size_t n;

	if (!pv_starts(text, prefix))
		return 0;
	n = strspn(text + sizeof(prefix) - 1, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
	return n > 0 && n <= 64 ? sizeof(prefix) - 1 + n : 0;
}

bool pv_xapi_is_ref(const char *text)
{
	size_t n = ref_length(text);

	return n > 0 && text[n] == '\0' && !pv_streq(text, PV_XAPI_NULL);
}

void pv_xapi_refs_of_result(const char *result, struct pv_strv *ret)
{
	static const char tag[] = "<value>";

	for (const char *at = strstr(result, tag); at; at = strstr(at + 1, tag)) {
		size_t n = ref_length(at + sizeof(tag) - 1);

		if (n == 0 || at[sizeof(tag) - 1 + n] != '<')
			continue;
		pv_autofree char *ref = pv_xstrndup(at + sizeof(tag) - 1, n);
		if (pv_xapi_is_ref(ref))
			pv_strv_add(ret, ref);
	}
}

const char *pv_xapi_text(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "";
}

bool pv_xapi_flag(const json_t *record, const char *key)
{
	return json_is_true(json_object_get(record, key));
}

uint64_t pv_xapi_number(const json_t *record, const char *key)
{
	const json_t *value = json_object_get(record, key);
	uint64_t n;

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		return (uint64_t)json_integer_value(value);
	return pv_parse_u64(pv_xapi_text(record, key), 0, UINT64_MAX, &n) < 0 ? 0 : n;
}

void pv_xapi_refs(const json_t *record, const char *key, struct pv_strv *ret)
{
	const json_t *list = json_object_get(record, key);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *ref = json_string_value(json_array_get(list, i));

		if (ref && pv_xapi_is_ref(ref))
			pv_strv_add(ret, ref);
	}
}
