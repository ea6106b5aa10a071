/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as deb822 text: no crash, names and values never hold what they must not. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deb822.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *ctx, const struct pv_stanza *s)
{
	size_t *total = ctx;

	if (pv_stanza_count(s) == 0 || pv_stanza_count(s) > PV_STANZA_FIELDS)
		abort();
	for (size_t i = 0; i < pv_stanza_count(s); i++) {
		const char *name = pv_stanza_name(s, i), *value = pv_stanza_value(s, i);

		if (!*name || strpbrk(name, ": \t\n") || pv_stanza_get(s, name) != value)
			abort();
		*total += strlen(name) + strlen(value);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoerror err = PV_ERROR_INIT;
	size_t total = 0;
	int rc = pv_deb822_each_mem((const char *)data, size, look, &total, &err);

	if (total > size || (rc < 0) != (err.text != NULL))
		abort();
	return 0;
}
