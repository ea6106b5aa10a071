/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a kernel module: no crash, an error has words, a value ends within the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image_module.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *value = NULL;
	int rc = pv_module_info(data, size, "vermagic", &value, &err);

	if ((rc < 0) != (err.text != NULL) || (rc == 0) != (value != NULL))
		abort();
	return 0;
}
