/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile XVA, and a hostile ova.xml: chunks stay on the disk, faults are bounded, there is an end. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fsutil.h"
#include "text.h"
#include "xva.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct pv_error *err)
{
	uint64_t *end = ctx;

	(void)err;
	if (len == 0 || offset > UINT64_MAX - len)
		abort();
	volatile uint8_t last = data[len - 1];
	(void)last;
	if (offset + len > *end)
		*end = offset + len;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoclose int fd = memfd_create("xva", MFD_CLOEXEC);
	pv_autoxva xva = { .machine = NULL }, alone = { .machine = NULL };
	pv_autostrv faults = PV_STRV_INIT, more = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT, err2 = PV_ERROR_INIT;
	pv_autofree char *vdi = NULL;
	uint64_t end = 0;

	if (pv_xva_ova_read((const char *)data, size, "ova", &alone, &vdi, &more, &err2) == 0 && (!vdi || alone.size == 0))
		abort();
	if (fd < 0 || pv_write_all(fd, data, size) < 0)
		return 0;
	if (pv_xva_read(fd, "xva", &xva, take, &end, &faults, &err) < 0) {
		if (err.kind != PV_ERR_STAGE || strchr(err.text, '\n'))
			abort();
	} else if (xva.size == 0 || end > xva.size || faults.n > 300) {
		abort();
	}
	return 0;
}
