/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile VHD: opened, judged and read to its end; no read past its bytes, an end, bounded memory. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fsutil.h"
#include "text.h"
#include "vhd.h"

#define READS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoclose int fd = memfd_create("vhd", MFD_CLOEXEC);
	pv_autovhd vhd = PV_VHD_INIT;
	pv_autostrv faults = PV_STRV_INIT, notes = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	static uint8_t block[1 << 16];

	if (fd < 0 || pv_write_all(fd, data, size) < 0)
		return 0;
	if (pv_vhd_open(fd, size, "vhd", &vhd, &faults, &notes, &err) < 0) {
		if (err.kind != PV_ERR_STAGE || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	if (vhd.size == 0 || (vhd.type == PV_VHD_DYNAMIC && (uint64_t)vhd.nbat * vhd.block_size < vhd.size))
		abort();
	size_t step = vhd.type == PV_VHD_DYNAMIC && vhd.block_size < sizeof(block) ? vhd.block_size : sizeof(block);
	for (uint64_t at = 0, n = 0; at < vhd.size && n < READS; at += step, n++) {
		size_t len = vhd.size - at < step ? (size_t)(vhd.size - at) : step;
		bool zero;

		(void)!pv_vhd_read(&vhd, fd, "vhd", at, len, block, &zero, NULL);
	}
	return 0;
}
