/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an initramfs: no crash, an error has words, the names are not more than the bounds allow. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image_initramfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostrv names = PV_STRV_INIT;
	int rc = pv_initramfs_names(data, size, &names, &err);

	if ((rc < 0) != (err.text != NULL) || names.n > PV_INITRAMFS_ENTRIES_MAX)
		abort();
	return 0;
}
