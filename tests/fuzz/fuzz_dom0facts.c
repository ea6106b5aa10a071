/* SPDX-License-Identifier: Apache-2.0 */
/* What dom0 sees: in xenstore and Xen's log a guest's words stand beside dom0's. Facts are few and printable whatever came. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dom0facts.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autofree char *text = pv_xstrndup((const char *)data, size);
	struct pv_dom0facts *f = pv_dom0facts_new();
	struct pv_vars facts = { 0 };
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		pv_dom0facts_line(f, line);
	pv_dom0facts_end(f, &facts);
	if (facts.n > 8)
		abort();
	for (size_t i = 0; i < facts.n; i++)
		for (const char *p = facts.v[i].value; *p; p++)
			if ((unsigned char)*p < 0x20)
				abort();
	pv_vars_done(&facts);
	pv_dom0facts_free(f);
	return 0;
}
