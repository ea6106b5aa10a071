/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as SHA256SUMS: refused with a line, or the very bytes that it is written as, and no name leaves the folder. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autosums sums = { NULL, 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_sums_parse((const char *)data, size, &sums, &err) < 0) {
		if (err.kind != PV_ERR_ARCHIVE || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	pv_autofree char *text = pv_sums_text(&sums);
	if (strlen(text) != size || memcmp(text, data, size) != 0)
		abort();
	for (size_t i = 0; i < sums.n; i++)
		if (strchr(sums.v[i].name, '/') || sums.v[i].name[0] == '.' || !pv_sums_find(&sums, sums.v[i].name))
			abort();
	return 0;
}
