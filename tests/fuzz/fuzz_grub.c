/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as boot.img (the first 512), the disk's first sector (the next) and core.img (the rest): what is taken has
 * its fields set and nothing else changed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "grub.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_core(const uint8_t *data, size_t size)
{
	pv_autofree uint8_t *core = pv_xmalloc(size ? size : 1);

	memcpy(core, data, size);
	if (pv_grub_patch_core(core, size, 2048, NULL) < 0) {
		if (memcmp(core, data, size) != 0)
			abort();
		return;
	}
	if (memcmp(core, data, 0x1f4) != 0 || memcmp(core + 0x1fc, data + 0x1fc, size - 0x1fc) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t mbr[512] = { 0 }, ret[512];
	size_t boot = size < 512 ? size : 512;
	size_t rest = size - boot < 512 ? size - boot : 512;

	memcpy(mbr, data + boot, rest);
	if (pv_grub_patch_boot(data, boot, mbr, 2048, ret, NULL) == 0 &&
	    (memcmp(ret + 0x1b8, mbr + 0x1b8, 72) != 0 || memcmp(ret + 0x68, data + 0x68, 0x150) != 0))
		abort();
	try_core(data + boot + rest, size - boot - rest);
	return 0;
}
