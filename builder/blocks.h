/* SPDX-License-Identifier: Apache-2.0 */
/* One parallel read of a raw disk for any number of readers: threads take blocks in order, find their zeros once, do
 * the costly steps (checksums, compression) side by side, and hand each block to every sink in order. */
#ifndef PV_BLOCKS_H
#define PV_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define PV_BLOCK_LEN ((size_t)2 << 20)
#define PV_BLOCK_PAGE ((size_t)4096)		/* zeros are known at this grain */
#define PV_BLOCK_PAGES (PV_BLOCK_LEN / PV_BLOCK_PAGE)

struct pv_block {
	uint64_t index, offset;
	size_t len;				/* of the disk; data has zeros beyond, up to PV_BLOCK_LEN */
	const uint8_t *data;			/* PV_BLOCK_LEN bytes; not to be read where zero is true */
	bool zero;				/* all of it */
	uint64_t zeros[PV_BLOCK_PAGES / 64];	/* a bit a page, lowest first: 1 is all zero */
};
/* offset and len within the block, whole pages. */
bool pv_block_is_zero(const struct pv_block *b, size_t offset, size_t len);

/* A step that runs for each block in any thread, in any order. Its result is bytes in a slot of slot_size. Sinks share
 * a step by naming the same one. */
struct pv_block_step {
	size_t slot_size;
	void *(*begin)(void);			/* what a thread keeps (a compressor); NULL: nothing */
	void (*end)(void *thread);
	int (*run)(void *thread, const struct pv_block *b, void *slot, struct pv_error *err);
};

/* Gets every block in order, one at a time, in whichever thread. */
struct pv_block_sink {
	const struct pv_block_step *step;	/* NULL: none; `slot` is NULL then */
	int (*write)(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err);
	void *ctx;
};

#define PV_BLOCK_SINKS 8

struct pv_blocks_request {
	int fd;					/* a file or a block device */
	uint64_t size;                          /* bytes to read; what the file lacks at its end is zeros (padding) */
	const char *name;			/* for errors */
	const struct pv_block_sink *sinks;
	size_t nsinks;				/* 1 to PV_BLOCK_SINKS */
	unsigned threads;			/* 0: one a processor, 12 at most */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* in the caller's thread; NULL: none */
	void *progress_ctx;
};

/* The first error of a step or sink, of reading, or an interrupt. A file that became shorter meanwhile is an error only
 * where it lacks more than padding: its size was read at the start. Memory: about 14 blocks and their slots at most. */
int pv_blocks_run(const struct pv_blocks_request *req, struct pv_error *err) PV_MUST_CHECK;

#endif
