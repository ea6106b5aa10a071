/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a VHD and finds what is wrong with it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "fsutil.h"
#include "vhd.h"
#include "vhd_priv.h"

#define TABLE_MAX ((size_t)32 << 20)
#define BLOCK_MAX (UINT32_C(64) << 20)
#define FAULTS_MAX 100u

struct reader {
	int fd;
	uint64_t file_size;
	const char *name;
	struct pv_strv *faults, *notes;
	struct pv_vhd v;
	uint64_t footer_at, bat_at, head_end;	/* head_end: where blocks may begin */
};

static int bad(const struct reader *r, const char *what, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_STAGE, "%s: damaged VHD: %s", r->name, what);
}

static void add(struct pv_strv *to, const char *fmt, ...) PV_PRINTF(2, 3);
static void add(struct pv_strv *to, const char *fmt, ...)
{
	va_list ap;

	if (!to || to->n >= FAULTS_MAX)
		return;
	va_start(ap, fmt);
	pv_strv_take(to, pv_vfmt(fmt, ap));
	va_end(ap);
}

/* All of it, or PV_ERR_STAGE. */
static int read_at(const struct reader *r, void *data, size_t len, uint64_t offset, const char *what,
		   struct pv_error *err)
{
	ssize_t n;

	if (offset > r->file_size || len > r->file_size - offset)
		return pv_error_set(err, PV_ERR_STAGE, "%s: damaged VHD: %s at %" PRIu64 " is beyond the file's end",
				    r->name, what, offset);
	n = pv_pread_all(r->fd, data, len, (off_t)offset);
	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", r->name);
	if ((size_t)n != len)
		return pv_error_set(err, PV_ERR_STAGE, "%s: was cut short while it was read", r->name);
	return 0;
}

static bool footer_sound(const uint8_t *f)
{
	return memcmp(f, PV_VHD_FOOTER_COOKIE, 8) == 0 &&
	       pv_be32(f + PV_VHD_F_CHECKSUM) == pv_vhd_checksum(f, PV_VHD_FOOTER_LEN, PV_VHD_F_CHECKSUM);
}

/* The one at the end counts, else its copy at the beginning. A footer may be of 511 bytes, from old times. */
static int find_footer(struct reader *r, uint8_t *f, struct pv_error *err)
{
	uint8_t copy[PV_VHD_FOOTER_LEN] = { 0 };
	size_t len = r->file_size % PV_VHD_SECTOR == PV_VHD_SECTOR - 1 ? PV_VHD_FOOTER_LEN - 1 : PV_VHD_FOOTER_LEN;

	memset(f, 0, PV_VHD_FOOTER_LEN);
	if (r->file_size < PV_VHD_FOOTER_LEN)
		return bad(r, "it is shorter than a footer", err);
	r->footer_at = r->file_size - len;
	if (read_at(r, f, len, r->footer_at, "the footer", err) < 0 ||
	    read_at(r, copy, sizeof(copy), 0, "the copy", err) < 0)
		return -1;
	if (!footer_sound(f)) {
		if (!footer_sound(copy))
			return bad(r, "neither its end nor its beginning is a sound footer", err);
		add(r->faults, "the footer at %" PRIu64 " is missing or has a wrong checksum; its copy at 0 is taken",
		    r->footer_at);
		memcpy(f, copy, sizeof(copy));
	} else if (pv_be32(f + PV_VHD_F_TYPE) != PV_VHD_FIXED && memcmp(f, copy, len) != 0) {
		add(r->faults, "the footer's copy at 0 %s", footer_sound(copy) ? "differs from the footer" :
		    "is missing or has a wrong checksum");
	}
	return 0;
}

/* What importers make of a legal footer. */
static void note_footer(struct reader *r, const uint8_t *f)
{
	static const char *const believed[] = { "win ", "qem2", "d2v ", "tap", "CTXS" };
	uint16_t c = pv_be16(f + PV_VHD_F_CHS), want_c;
	uint8_t h = f[PV_VHD_F_CHS + 2], s = f[PV_VHD_F_CHS + 3], want_h, want_s;
	uint64_t chs = (uint64_t)c * h * s * PV_VHD_SECTOR;
	bool known = false;

	for (size_t i = 0; i < PV_COUNT(believed); i++)
		known |= memcmp(f + PV_VHD_F_CREATOR, believed[i], strlen(believed[i])) == 0;
	if (!known && chs != r->v.size && !(c == 65535 && h == 16 && s == 255))
		add(r->notes, "QEMU takes it to be %" PRIu64 " bytes large (its geometry), not %" PRIu64, chs,
		    r->v.size);
	if (f[PV_VHD_F_HIDDEN])
		add(r->notes, "it is marked hidden: XenServer does not take it as a disk");
	if (f[PV_VHD_F_SAVED])
		add(r->notes, "it is marked as a saved state");
	pv_vhd_geometry(r->v.size, &want_c, &want_h, &want_s);
	if (chs > (uint64_t)want_c * want_h * want_s * PV_VHD_SECTOR)
		add(r->notes, "its geometry is larger than its size: vhd-util check refuses it");
	if (r->v.size % (1u << 20))
		add(r->notes, "its size is no whole number of MiB");
}

static int take_footer(struct reader *r, const uint8_t *f, struct pv_error *err)
{
	uint32_t type = pv_be32(f + PV_VHD_F_TYPE);
	pv_autofree char *creator = pv_printable((const char *)f + PV_VHD_F_CREATOR,
						 strnlen((const char *)f + PV_VHD_F_CREATOR, 4));

	snprintf(r->v.creator, sizeof(r->v.creator), "%s", creator);
	r->v.creator_version = pv_be32(f + PV_VHD_F_CREATOR_VERSION);
	r->v.size = pv_be64(f + PV_VHD_F_SIZE);
	memcpy(r->v.uuid, f + PV_VHD_F_UUID, 16);
	if (type == PV_VHD_DIFFERENCING)
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s: a differencing VHD needs its parent, which is not opened; merge it "
				    "first (qemu-img convert, vhd-util coalesce)",
				    r->name);
	if (type != PV_VHD_FIXED && type != PV_VHD_DYNAMIC)
		return bad(r, "its type is neither fixed nor dynamic", err);
	r->v.type = type == PV_VHD_FIXED ? PV_VHD_FIXED : PV_VHD_DYNAMIC;
	if (r->v.size == 0 || r->v.size % PV_VHD_SECTOR || r->v.size > PV_VHD_MAX + (UINT64_C(8) << 30))
		return bad(r, "its disk has no possible size", err);
	if (pv_be32(f + PV_VHD_F_VERSION) != PV_VHD_FORMAT_VERSION)
		add(r->faults, "format version 0x%08" PRIx32 " where only 1.0 is known", pv_be32(f + PV_VHD_F_VERSION));
	if ((pv_be32(f + PV_VHD_F_FEATURES) & ~1u) != 2)
		add(r->faults, "features 0x%" PRIx32 " where 2 is due", pv_be32(f + PV_VHD_F_FEATURES));
	note_footer(r, f);
	if (r->v.type == PV_VHD_FIXED && r->v.size > r->footer_at)
		return bad(r, "its disk is larger than the file: it was cut off", err);
	return 0;
}

/* The header after the footer's copy: block size, and where the table is. */
static int take_header(struct reader *r, uint64_t at, struct pv_error *err)
{
	uint8_t h[PV_VHD_HEADER_LEN] = { 0 };
	uint32_t entries;
	uint64_t needed;

	if (read_at(r, h, sizeof(h), at, "the header", err) < 0)
		return -1;
	if (memcmp(h, PV_VHD_HEADER_COOKIE, 8) != 0)
		return bad(r, "it has no header", err);
	if (pv_be32(h + PV_VHD_H_CHECKSUM) != pv_vhd_checksum(h, sizeof(h), PV_VHD_H_CHECKSUM))
		add(r->faults, "the header at %" PRIu64 " has a wrong checksum", at);
	if (pv_be32(h + PV_VHD_H_VERSION) != PV_VHD_FORMAT_VERSION)
		add(r->faults, "header version 0x%08" PRIx32 " where only 1.0 is known", pv_be32(h + PV_VHD_H_VERSION));
	r->v.block_size = pv_be32(h + PV_VHD_H_BLOCK);
	r->bat_at = pv_be64(h + PV_VHD_H_BAT);
	entries = pv_be32(h + PV_VHD_H_ENTRIES);
	if (r->v.block_size < 4096 || r->v.block_size > BLOCK_MAX || r->v.block_size & (r->v.block_size - 1))
		return bad(r, "its blocks have no possible size", err);
	needed = (r->v.size + r->v.block_size - 1) / r->v.block_size;
	if (entries < needed)
		return bad(r, "its table is too short for its size", err);
	if (needed > TABLE_MAX / 4)
		return bad(r, "its table is larger than 32 MiB", err);
	if (r->bat_at % PV_VHD_SECTOR)
		add(r->faults, "the block table at %" PRIu64 " begins within a sector", r->bat_at);
	if (entries > needed)
		add(r->notes, "the block table has %" PRIu32 " entries, %" PRIu64 " are needed: Azure refuses that",
		    entries, needed);
	r->v.nbat = (uint32_t)needed;
	r->head_end = r->bat_at + (((uint64_t)entries * 4 + PV_VHD_SECTOR - 1) & ~(uint64_t)(PV_VHD_SECTOR - 1));
	return 0;
}

static uint64_t bitmap_bytes(const struct pv_vhd *v)
{
	return pv_vhd_sectors_up(v->block_size / PV_VHD_SECTOR / 8);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* No block before the tables' end, in the footer, or in another block. */
static void check_blocks(struct reader *r)
{
	uint64_t whole = (bitmap_bytes(&r->v) + r->v.block_size) / PV_VHD_SECTOR;
	pv_autofree uint32_t *sorted = pv_xmalloc((size_t)r->v.nbat * 4 + 1);
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->v.nbat; i++) {
		uint64_t at = (uint64_t)r->v.bat[i] * PV_VHD_SECTOR;

		if (r->v.bat[i] == PV_VHD_UNUSED)
			continue;
		sorted[n++] = r->v.bat[i];
		if (at < r->head_end)
			add(r->faults, "block %" PRIu32 " at %" PRIu64 " lies in the tables", i, at);
		else if (at + whole * PV_VHD_SECTOR > r->footer_at)
			add(r->faults,
			    "block %" PRIu32 " at %" PRIu64 " reaches into the footer or beyond the file's end", i, at);
	}
	r->v.used = n;
	qsort(sorted, n, sizeof(*sorted), compare_u32);
	for (uint32_t i = 1; i < n; i++)
		if (sorted[i] - sorted[i - 1] < whole)
			add(r->faults, "the blocks at %" PRIu64 " and %" PRIu64 " overlap",
			    (uint64_t)sorted[i - 1] * PV_VHD_SECTOR, (uint64_t)sorted[i] * PV_VHD_SECTOR);
}

static int check_batmap(struct reader *r, struct pv_error *err)
{
	uint8_t m[PV_VHD_SECTOR] = { 0 };
	uint64_t at, bytes, need = ((uint64_t)r->v.nbat + 7) / 8;

	if (read_at(r, m, sizeof(m), r->head_end, "the batmap", err) < 0)
		return -1;
	at = pv_be64(m + PV_VHD_M_OFFSET);
	bytes = (uint64_t)pv_be32(m + PV_VHD_M_SECTORS) * PV_VHD_SECTOR;
	if (memcmp(m, PV_VHD_BATMAP_COOKIE, 8) != 0) {
		add(r->faults, "its creator says that a batmap follows the block table, and there is none");
		return 0;
	}
	if (at % PV_VHD_SECTOR || bytes < need || bytes > TABLE_MAX || at > r->file_size || bytes > r->file_size - at) {
		add(r->faults, "the batmap at %" PRIu64 " has no possible place or size", at);
		return 0;
	}
	pv_autofree uint8_t *map = pv_xmalloc(bytes);
	if (read_at(r, map, bytes, at, "the batmap", err) < 0)
		return -1;
	/* version 1.1 summed signed bytes; nobody has written it for 15 years */
	if (pv_be32(m + PV_VHD_M_VERSION) == PV_VHD_BATMAP_VERSION &&
	    pv_be32(m + PV_VHD_M_CHECKSUM) != pv_vhd_checksum(map, bytes, bytes))
		add(r->faults, "the batmap at %" PRIu64 " has a wrong checksum", at);
	for (uint32_t i = 0; i < r->v.nbat; i++)
		if (map[i / 8] & 0x80 >> (i % 8) && r->v.bat[i] == PV_VHD_UNUSED)
			add(r->faults, "the batmap calls block %" PRIu32 " full, which is not there", i);
	if (at + bytes > r->head_end)
		r->head_end = at + bytes;
	r->v.batmap = true;
	return 0;
}

static int take_tables(struct reader *r, struct pv_error *err)
{
	size_t bytes = (size_t)r->v.nbat * 4;

	if (r->bat_at > r->file_size || bytes > r->file_size - r->bat_at)
		return bad(r, "its block table is beyond the file's end", err);
	r->v.bat = pv_xmalloc(bytes + 1);
	if (read_at(r, r->v.bat, bytes, r->bat_at, "the block table", err) < 0)
		return -1;
	for (uint32_t i = 0; i < r->v.nbat; i++)
		r->v.bat[i] = pv_be32((const uint8_t *)&r->v.bat[i]);
	/* libvhd: tapdisk's own from version 1.2 on have a batmap */
	if (strcmp(r->v.creator, "tap") == 0 && r->v.creator_version >= 0x00010002u && check_batmap(r, err) < 0)
		return -1;
	check_blocks(r);
	return 0;
}

int pv_vhd_open(int fd, uint64_t file_size, const char *name, struct pv_vhd *ret, struct pv_strv *faults,
		struct pv_strv *notes, struct pv_error *err)
{
	struct reader r = { .fd = fd, .file_size = file_size, .name = name, .faults = faults, .notes = notes };
	uint8_t f[PV_VHD_FOOTER_LEN] = { 0 };

	if (find_footer(&r, f, err) < 0 || take_footer(&r, f, err) < 0)
		return -1;
	if (r.v.type == PV_VHD_DYNAMIC &&
	    (take_header(&r, pv_be64(f + PV_VHD_F_HEADER), err) < 0 || take_tables(&r, err) < 0)) {
		pv_vhd_done(&r.v);
		return -1;
	}
	*ret = r.v;
	return 0;
}

void pv_vhd_done(struct pv_vhd *vhd)
{
	pv_freep(&vhd->bat);
}

/* --- data --- */

static int read_data(int fd, const char *name, void *data, size_t len, uint64_t at, struct pv_error *err)
{
	ssize_t n = pv_pread_all(fd, data, len, (off_t)at);

	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", name);
	if ((size_t)n != len)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the data at %" PRIu64 " is beyond the file's end", name,
				    at);
	return 0;
}

/* A sector whose bit is not set reads as zeros. */
static void apply_bitmap(const uint8_t *bitmap, uint32_t first, size_t len, uint8_t *data)
{
	for (size_t i = 0; i < len / PV_VHD_SECTOR; i++) {
		uint32_t s = first + (uint32_t)i;

		if (!(bitmap[s / 8] & 0x80 >> (s % 8)))
			memset(data + i * PV_VHD_SECTOR, 0, PV_VHD_SECTOR);
	}
}

int pv_vhd_read(const struct pv_vhd *v, int fd, const char *name, uint64_t offset, size_t len, uint8_t *data,
		bool *ret_zero, struct pv_error *err)
{
	*ret_zero = false;
	if (v->type == PV_VHD_FIXED)
		return read_data(fd, name, data, len, offset, err);
	uint32_t entry = v->bat[offset / v->block_size], within = (uint32_t)(offset % v->block_size);
	uint64_t at = (uint64_t)entry * PV_VHD_SECTOR, bitmap_len = bitmap_bytes(v);
	if (entry == PV_VHD_UNUSED) {
		*ret_zero = true;
		return 0;
	}
	pv_autofree uint8_t *bitmap = pv_xmalloc(bitmap_len);
	if (read_data(fd, name, bitmap, bitmap_len, at, err) < 0 ||
	    read_data(fd, name, data, len, at + bitmap_len + within, err) < 0)
		return -1;
	apply_bitmap(bitmap, within / PV_VHD_SECTOR, len, data);
	return 0;
}
