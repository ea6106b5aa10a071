/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a template: no crash, and what it renders to stays in bounds. */
#include <stdint.h>
#include <stdlib.h>

#include "template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pv_vars vars = { 0 };
	pv_autostr out = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	pv_vars_set(&vars, "name", "a value");
	pv_vars_set(&vars, "empty", "");
	pv_vars_set(&vars, "list", "one\ntwo");
	int rc = pv_template_render("fuzz", (const char *)data, size, &vars, &out, &err);
	if ((rc == 0 && out.len > PV_TEMPLATE_MAX) || (rc < 0 && (out.len != 0 || !err.text)))
		abort();
	pv_vars_done(&vars);
	return 0;
}
