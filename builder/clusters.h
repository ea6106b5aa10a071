/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks compressed in clusters of 64 KiB: what compressed qcow2 and seekable zstd are made of, done once for both. */
#ifndef PV_CLUSTERS_H
#define PV_CLUSTERS_H

#include <stdint.h>

#include "blocks.h"

#define PV_CLUSTER_LEN ((size_t)65536)
#define PV_CLUSTERS (PV_BLOCK_LEN / PV_CLUSTER_LEN)
#define PV_CLUSTER_BOUND (PV_CLUSTER_LEN + PV_CLUSTER_LEN / 256 + 64)	/* ZSTD_COMPRESSBOUND, deflate's too */

/* A step's slot: the clusters' compressed bytes, one after the other. Clusters beyond the disk's end have none. Nothing
 * is set for a block that is all zero. */
struct pv_clusters {
	uint32_t len[PV_CLUSTERS];
	uint32_t total;
	uint8_t data[PV_CLUSTERS * PV_CLUSTER_BOUND];
};

/* zstd: each cluster a frame of its own, with content size and checksum; clusters of zeros too.
 * deflate: raw, window of 4 KiB (QEMU reads no larger one); a cluster of zeros, or one that did not shrink, has length
 * 0. */
extern const struct pv_block_step pv_clusters_zstd;
extern const struct pv_block_step pv_clusters_deflate;

/* A zstd frame of len zeros, at most PV_BLOCK_LEN; returns its length. */
#define PV_CLUSTER_ZERO_BOUND 1024u
size_t pv_clusters_zero_frame(size_t len, uint8_t ret[PV_CLUSTER_ZERO_BOUND]);

#endif
