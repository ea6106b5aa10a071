/* SPDX-License-Identifier: Apache-2.0 */
/* A host's answers: whatever comes, an error is one printable line, and a reference has no characters but its own. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "xapi_rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refs(const struct pv_strv *refs)
{
	for (size_t i = 0; i < refs->n; i++)
		if (!pv_xapi_is_ref(refs->v[i]) || strpbrk(refs->v[i], "&?/\r\n <%"))
			abort();
}

static void look_at(const json_t *result)
{
	const char *key;
	json_t *record;

	json_object_foreach((json_t *)result, key, record) {
		pv_autostrv refs = PV_STRV_INIT;
		pv_autofault fault = { 0 };
		pv_autoerror err = PV_ERROR_INIT;

		pv_xapi_refs(record, "VBDs", &refs);
		pv_xapi_refs_of_result(pv_xapi_text(record, "result"), &refs);
		check_refs(&refs);
		(void)pv_xapi_number(record, "virtual_size");
		pv_xapi_fault_of(json_object_get(record, "error_info"), &fault);
		if (pv_xapi_refused("x", &fault, &err) == 0 || !err.text)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autojson *result = NULL;
	pv_autofault fault = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_xapi_answer((const char *)data, size, "x", &result, &fault, &err) == 0) {
		look_at(result);
		return 0;
	}
	for (const char *p = err.text; *p; p++)
		if ((unsigned char)*p < 0x20 || strlen(err.text) > 2000)
			abort();
	return 0;
}
