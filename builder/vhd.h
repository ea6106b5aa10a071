/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic VHD: written as Xen's own tools write it, so that XenServer and XCP-ng import and resize it; and any VHD of
 * one file read back, as hostile data. Numbers are big-endian.
 *
 * Sources of the layout: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0; xen-api
 * ocaml/libs/vhd/vhd_format/f.ml; blktap vhd/lib/libvhd.c (batmap, what vhd-util check wants); QEMU block/vpc.c (which
 * creators it believes the size of). */
#ifndef PV_VHD_H
#define PV_VHD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blocks.h"
#include "error.h"
#include "text.h"

#define PV_VHD_SECTOR 512u
#define PV_VHD_BLOCK ((size_t)2 << 20)			/* of data; one pv_block */
#define PV_VHD_MAX (UINT64_C(2040) << 30)		/* what 32-bit sector numbers leave after bitmaps */
#define PV_VHD_UNUSED 0xffffffffu
/* Before each block: its bitmap's sector, and padding so that the data begins on a page. */
#define PV_VHD_PREFIX ((size_t)4096)

/* --- writing --- */

struct pv_vhd_writer {
	uint64_t size;
	uint8_t uuid[16];
	int64_t epoch;			/* seconds since 1970 */
	uint32_t *bat;
	uint32_t nbat, used;		/* used: blocks that have data */
	size_t head_len;		/* everything before the first block's prefix */
};

/* size: whole sectors, PV_VHD_MAX at most, else PV_ERR_USAGE. */
int pv_vhd_writer_init(uint64_t size, const uint8_t uuid[16], int64_t epoch, struct pv_vhd_writer *ret,
		       struct pv_error *err) PV_MUST_CHECK;
void pv_vhd_writer_done(struct pv_vhd_writer *w);

/* Notes that this block has data and returns where its prefix begins in the file. Blocks come in order. */
uint64_t pv_vhd_add_block(struct pv_vhd_writer *w, uint64_t index);
/* The prefix: padding and a bitmap that calls the whole block used. PV_VHD_PREFIX bytes. */
void pv_vhd_prefix(uint8_t *ret);
/* Footer copy, header, BAT and batmap: head_len bytes. */
void pv_vhd_head(const struct pv_vhd_writer *w, uint8_t *ret);
/* The end: a footer of PV_VHD_SECTOR bytes. Returns where it belongs. */
uint64_t pv_vhd_end(const struct pv_vhd_writer *w, uint8_t *ret);

/* All of it into a file: the sink (struct pv_block_sink), then the finish. */
struct pv_vhd_file {
	struct pv_vhd_writer w;
	int fd;
	const char *name;
};
int pv_vhd_file_write(void *file, const struct pv_block *b, const void *slot, struct pv_error *err);
int pv_vhd_file_finish(struct pv_vhd_file *file, struct pv_error *err) PV_MUST_CHECK;

/* Cylinders, heads and sectors that the specification's appendix computes; exposed for the tests. */
void pv_vhd_geometry(uint64_t size, uint16_t *ret_c, uint8_t *ret_h, uint8_t *ret_s);

/* --- reading --- */

enum pv_vhd_type { PV_VHD_FIXED = 2, PV_VHD_DYNAMIC = 3, PV_VHD_DIFFERENCING = 4 };

struct pv_vhd {
	enum pv_vhd_type type;
	uint64_t size;
	char creator[5];		/* printable */
	uint32_t creator_version;
	uint8_t uuid[16];
	bool batmap;
	uint32_t block_size;		/* of a dynamic one, as are those below */
	uint32_t nbat, used;
	uint32_t *bat;			/* owned */
};
#define PV_VHD_INIT { .bat = 0 }

/* Reads footer, header and tables. faults: what is damaged; notes: what is legal and yet trips somebody's importer (may
 * be NULL). Fails (PV_ERR_STAGE) where no disk can be read from it at all: no footer, a parent in another file, tables
 * beyond the file's end or beyond reason (more than 32 MiB). */
int pv_vhd_open(int fd, uint64_t file_size, const char *name, struct pv_vhd *ret, struct pv_strv *faults,
		struct pv_strv *notes, struct pv_error *err) PV_MUST_CHECK;
void pv_vhd_done(struct pv_vhd *vhd);
#define pv_autovhd __attribute__((cleanup(pv_vhd_done))) struct pv_vhd

/* len bytes of the disk at offset; *ret_zero: all of them are in blocks that are not there, and data was not touched.
 * Both whole sectors, and both within one block of a dynamic one. */
int pv_vhd_read(const struct pv_vhd *vhd, int fd, const char *name, uint64_t offset, size_t len, uint8_t *data,
		bool *ret_zero, struct pv_error *err) PV_MUST_CHECK;

#endif
