/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as blocks: which of them another host lacks, and which parts of these are zeros. */
#ifndef PV_FAR_BLOCKS_H
#define PV_FAR_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"

#define PV_FAR_BLOCK (4u << 20)		/* what is compared */
#define PV_FAR_UNIT (256u << 10)	/* zeros of that size do not travel */
#define PV_FAR_UNITS (PV_FAR_BLOCK / PV_FAR_UNIT)
#define PV_FAR_RUN_MAX (64u << 20)	/* of one order to write */

/* What a disk is; the last block may be shorter. */
struct pv_far_blocks {
	uint64_t size;
	size_t n;
	uint16_t *data;			/* a bit a unit: it is not all zeros */
	uint8_t (*digest)[PV_SHA256_LEN];	/* NULL until asked for */
};
void pv_far_blocks_done(struct pv_far_blocks *b);
#define pv_autofarblocks __attribute__((cleanup(pv_far_blocks_done))) struct pv_far_blocks

/* Reads a whole disk: where its data are, and its SHA-256. Asks for interruption. */
int pv_far_blocks_read(int fd, const char *name, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
		       struct pv_far_blocks *ret, char ret_sha256[PV_SHA256_HEX], struct pv_error *err) PV_MUST_CHECK;
/* And the SHA-256 of each block. */
int pv_far_blocks_digest(struct pv_far_blocks *b, int fd, const char *name, struct pv_error *err) PV_MUST_CHECK;

struct pv_far_run {
	uint64_t offset, len;
	bool zero;			/* to be made zeros; else to be written with what the disk has there */
};
/* What turns the far disk into ours, in order, of at most PV_FAR_RUN_MAX bytes where it is data. theirs: the digests of
 * the far disk's blocks, as many as ours has; NULL: it is all zeros. The caller frees. */
struct pv_far_run *pv_far_runs(const struct pv_far_blocks *ours, const uint8_t (*theirs)[PV_SHA256_LEN], size_t *ret_n);

#endif
