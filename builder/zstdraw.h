/* SPDX-License-Identifier: Apache-2.0 */
/* A raw disk in seekable zstd: frames that any zstd reads in a row, and a table of them at the end in a skippable
 * frame, by which a reader begins anywhere. Source of the table: facebook/zstd
 * contrib/seekable_format/zstd_seekable_compression_format.md. */
#ifndef PV_ZSTDRAW_H
#define PV_ZSTDRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blocks.h"
#include "clusters.h"
#include "error.h"
#include "text.h"

struct pv_zstdraw_writer {
	int fd;				/* a pipe may be fine */
	const char *name;
	struct pv_str table;		/* of frames: 8 bytes each, 128 KiB a GiB of data */
	uint32_t frames;
	uint8_t zero[PV_CLUSTER_ZERO_BOUND];
	size_t zero_len;		/* of a whole block of zeros */
};
void pv_zstdraw_writer_init(int fd, const char *name, struct pv_zstdraw_writer *ret);
void pv_zstdraw_writer_done(struct pv_zstdraw_writer *w);
/* The sink, whose step is pv_clusters_zstd. */
int pv_zstdraw_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err);
int pv_zstdraw_finish(struct pv_zstdraw_writer *w, struct pv_error *err) PV_MUST_CHECK;

/* --- reading --- */

struct pv_zstdraw {
	bool seekable;			/* it has a table */
	uint64_t frames, size;		/* as the table says; 0 without one */
};

#define PV_ZSTDRAW_MAGIC 0xfd2fb528u	/* little-endian, of every zstd file */

/* Reads the table, where there is one. Its sums are checked against the file's size; what is wrong goes to faults. */
int pv_zstdraw_open(int fd, uint64_t file_size, const char *name, struct pv_zstdraw *ret, struct pv_strv *faults,
		    struct pv_error *err) PV_MUST_CHECK;

typedef int pv_zstdraw_fn(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct pv_error *err);

/* Unpacks the whole file in pieces of at most 128 KiB, up to max bytes; *ret_size: of what came out. PV_ERR_STAGE when
 * it is damaged, cut off or larger. Blocks of zeros are not handed on: what fn does not get is zeros. Windows beyond
 * 128 MiB are refused. */
int pv_zstdraw_read(int fd, const char *name, uint64_t max, pv_zstdraw_fn *fn, void *ctx, uint64_t *ret_size,
		    struct pv_error *err) PV_MUST_CHECK;

#endif
