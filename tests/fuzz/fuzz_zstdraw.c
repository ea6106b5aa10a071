/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile seekable zstd: table and frames; what comes out is in order and bounded. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fsutil.h"
#include "text.h"
#include "zstdraw.h"

#define MOST (UINT64_C(64) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct pv_error *err)
{
	uint64_t *at = ctx;

	(void)data;
	(void)err;
	if (offset < *at || len > MOST - offset)
		abort();
	*at = offset + len;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoclose int fd = memfd_create("zstd", MFD_CLOEXEC);
	struct pv_zstdraw z;
	pv_autostrv faults = PV_STRV_INIT;
	uint64_t at = 0, end = 0;

	if (fd < 0 || pv_write_all(fd, data, size) < 0)
		return 0;
	(void)!pv_zstdraw_open(fd, size, "zstd", &z, &faults, NULL);
	if (pv_zstdraw_read(fd, "zstd", MOST, take, &at, &end, NULL) == 0 && end < at)
		abort();
	return 0;
}
