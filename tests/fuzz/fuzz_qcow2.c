/* SPDX-License-Identifier: Apache-2.0 */
/* The header and the tables of a hostile qcow2: no read past its bytes, an end, and what is taken is within bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fsutil.h"
#include "qcow2.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a whole file. */
static void walk(const uint8_t *data, size_t size)
{
	pv_autoclose int fd = memfd_create("image", MFD_CLOEXEC);
	struct pv_qcow2 q;

	if (fd < 0 || pv_qcow2_header(data, size, size, "image", &q, NULL) < 0 || pv_write_all(fd, data, size) < 0)
		return;
	(void)!pv_qcow2_check_clusters(fd, size, "image", &q, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* on the heap and of just this size, so that a sanitizer sees what goes beyond */
	pv_autofree uint8_t *exact = pv_xmalloc(size ? size : 1);
	const uint64_t file_sizes[] = { size, size + 65536, UINT64_C(1) << 33, INT64_MAX };

	memcpy(exact, data, size);
	for (size_t i = 0; i < PV_COUNT(file_sizes); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		struct pv_qcow2 q;

		if (pv_qcow2_header(exact, size, file_sizes[i], "image", &q, &err) < 0) {
			if (err.kind != PV_ERR_STAGE || strchr(err.text, '\n'))
				abort();
			continue;
		}
		if (q.size == 0 || q.cluster_bits < 9 || q.cluster_bits > 21 || q.l1_entries == 0 ||
		    q.l1_entries > 4u * 1024 * 1024 || q.l1_offset > file_sizes[i] ||
		    (uint64_t)q.l1_entries * 8 > file_sizes[i] - q.l1_offset)
			abort();
	}
	walk(exact, size);
	return 0;
}
