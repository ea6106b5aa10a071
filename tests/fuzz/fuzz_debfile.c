/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .deb: no crash, no more than was allowed comes out. */
#include <stdint.h>
#include <stdlib.h>

#include "debfile.h"

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autostr out = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_deb_read_member_mem(data, size, "fuzz.deb", "usr/share/keyrings/k.gpg", MAX, &out, &err);

	if (out.len > MAX || (rc < 0 && (out.data || !err.text)))
		abort();
	return 0;
}
