/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a qcow2 image's own account of itself, and refuses what would make QEMU open another file or read past the end. */
#ifndef PV_QCOW2_H
#define PV_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Source: QEMU docs/interop/qcow2.txt ("Header", "Header extensions", "Cluster mapping"). */
#define PV_QCOW2_HEAD_MAX (2u * 1024 * 1024)	/* QEMU's largest cluster: header and extensions lie in the first one */

struct pv_qcow2 {
	uint64_t size;			/* of the disk inside */
	unsigned cluster_bits;
	bool extended_l2;
	uint32_t l1_entries;
	uint64_t l1_offset;
};

bool pv_qcow2_magic(const uint8_t *head, size_t len);

/* Pure. head: the file's first PV_QCOW2_HEAD_MAX bytes, or all of it where it is shorter. Refuses (PV_ERR_STAGE, the
 * words begin with name) other versions, a backing file, an external data file, encryption, unknown incompatible
 * features, what is marked corrupt, sizes beyond QEMU's limits, and tables beyond the file's end. */
int pv_qcow2_header(const uint8_t *head, size_t len, uint64_t file_size, const char *name, struct pv_qcow2 *ret,
		    struct pv_error *err) PV_MUST_CHECK;

/* Walks the tables: a cluster that should be beyond the file's end means that the file was cut off. QEMU would read zeros
 * there and say nothing. Reads at most as many bytes as the file has. */
int pv_qcow2_check_clusters(int fd, uint64_t file_size, const char *name, const struct pv_qcow2 *q, struct pv_error *err)
	PV_MUST_CHECK;

#endif
