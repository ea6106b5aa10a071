/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a dynamic VHD: everything but the tables in one forward pass. */
#include "vhd.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "fsutil.h"
#include "vhd_priv.h"

#define BAT_OFFSET (PV_VHD_FOOTER_LEN + PV_VHD_HEADER_LEN)
#define FEATURE_RESERVED 2u			/* always set */
#define CREATOR "tap"				/* and a NUL: tapdisk, whose size QEMU believes too */
#define CREATOR_VERSION 0x00010003u		/* libvhd's own: a batmap is there */
#define HOST_OS "Wi2k"

uint32_t pv_vhd_checksum(const uint8_t *data, size_t len, size_t skip)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		if (i - skip >= 4)	/* unsigned: also true before skip */
			sum += data[i];
	return ~sum;
}

size_t pv_vhd_sectors_up(size_t bytes)
{
	return (bytes + PV_VHD_SECTOR - 1) / PV_VHD_SECTOR * PV_VHD_SECTOR;
}

void pv_vhd_geometry(uint64_t size, uint16_t *ret_c, uint8_t *ret_h, uint8_t *ret_s)
{
	uint64_t most = UINT64_C(65535) * 16 * 255, t = size / PV_VHD_SECTOR, c, h, s;

	if (t > most)
		t = most;
	if (t >= UINT64_C(65535) * 16 * 63) {
		s = 255;
		h = 16;
		c = t / s;
	} else {
		s = 17;
		c = t / s;
		h = (c + 1023) / 1024;
		if (h < 4)
			h = 4;
		if (c >= h * 1024 || h > 16) {
			s = 31;
			h = 16;
			c = t / s;
		}
		if (c >= h * 1024) {
			s = 63;
			h = 16;
			c = t / s;
		}
	}
	*ret_c = (uint16_t)(c / h);
	*ret_h = (uint8_t)h;
	*ret_s = (uint8_t)s;
}

static size_t batmap_bytes(uint32_t nbat)
{
	return pv_vhd_sectors_up(((size_t)nbat + 7) / 8);
}

static size_t batmap_offset(uint32_t nbat)
{
	return BAT_OFFSET + pv_vhd_sectors_up((size_t)nbat * 4);
}

int pv_vhd_writer_init(uint64_t size, const uint8_t uuid[16], int64_t epoch, struct pv_vhd_writer *ret,
		       struct pv_error *err)
{
	struct pv_vhd_writer w = { .size = size, .epoch = epoch };
	size_t head;

	if (size > PV_VHD_MAX)
		return pv_error_set(err, PV_ERR_USAGE,
				    "a VHD holds 2040 GiB at most, this disk has %llu MiB: use qcow2 or xva",
				    (unsigned long long)(size >> 20));
	if (size == 0 || size % PV_VHD_SECTOR)
		return pv_error_set(err, PV_ERR_USAGE,
				    "a VHD holds whole sectors of 512 bytes, this disk has %llu bytes",
				    (unsigned long long)size);
	memcpy(w.uuid, uuid, sizeof(w.uuid));
	w.nbat = (uint32_t)((size + PV_VHD_BLOCK - 1) / PV_VHD_BLOCK);
	w.bat = pv_xmalloc((size_t)w.nbat * 4);
	memset(w.bat, 0xff, (size_t)w.nbat * 4);
	head = batmap_offset(w.nbat) + PV_VHD_SECTOR + batmap_bytes(w.nbat);
	w.head_len = (head + PV_VHD_PREFIX - 1) / PV_VHD_PREFIX * PV_VHD_PREFIX;
	*ret = w;
	return 0;
}

void pv_vhd_writer_done(struct pv_vhd_writer *w)
{
	pv_freep(&w->bat);
}

static uint64_t block_offset(const struct pv_vhd_writer *w, uint32_t n)
{
	return w->head_len + n * (uint64_t)(PV_VHD_PREFIX + PV_VHD_BLOCK);
}

uint64_t pv_vhd_add_block(struct pv_vhd_writer *w, uint64_t index)
{
	uint64_t at = block_offset(w, w->used++);

	w->bat[index] = (uint32_t)((at + PV_VHD_PREFIX) / PV_VHD_SECTOR - 1);
	return at;
}

void pv_vhd_prefix(uint8_t *ret)
{
	memset(ret, 0, PV_VHD_PREFIX - PV_VHD_SECTOR);
	memset(ret + PV_VHD_PREFIX - PV_VHD_SECTOR, 0xff, PV_VHD_SECTOR);
}

static void put_footer(const struct pv_vhd_writer *w, uint8_t *f)
{
	int64_t since = w->epoch - PV_VHD_EPOCH;
	uint16_t cylinders;

	memset(f, 0, PV_VHD_FOOTER_LEN);
	memcpy(f, PV_VHD_FOOTER_COOKIE, 8);
	pv_put_be32(f + PV_VHD_F_FEATURES, FEATURE_RESERVED);
	pv_put_be32(f + PV_VHD_F_VERSION, PV_VHD_FORMAT_VERSION);
	pv_put_be64(f + PV_VHD_F_HEADER, PV_VHD_FOOTER_LEN);
	pv_put_be32(f + PV_VHD_F_TIME, since < 0 ? 0 : since > UINT32_MAX ? UINT32_MAX : (uint32_t)since);
	memcpy(f + PV_VHD_F_CREATOR, CREATOR, 4);
	pv_put_be32(f + PV_VHD_F_CREATOR_VERSION, CREATOR_VERSION);
	memcpy(f + PV_VHD_F_HOST, HOST_OS, 4);
	pv_put_be64(f + PV_VHD_F_ORIGINAL, w->size);
	pv_put_be64(f + PV_VHD_F_SIZE, w->size);
	pv_vhd_geometry(w->size, &cylinders, f + PV_VHD_F_CHS + 2, f + PV_VHD_F_CHS + 3);
	pv_put_be16(f + PV_VHD_F_CHS, cylinders);
	pv_put_be32(f + PV_VHD_F_TYPE, PV_VHD_DYNAMIC);
	memcpy(f + PV_VHD_F_UUID, w->uuid, 16);
	pv_put_be32(f + PV_VHD_F_CHECKSUM, pv_vhd_checksum(f, PV_VHD_FOOTER_LEN, PV_VHD_F_CHECKSUM));
}

static void put_header(const struct pv_vhd_writer *w, uint8_t *h)
{
	memcpy(h, PV_VHD_HEADER_COOKIE, 8);
	memset(h + PV_VHD_H_NEXT, 0xff, 8);
	pv_put_be64(h + PV_VHD_H_BAT, BAT_OFFSET);
	pv_put_be32(h + PV_VHD_H_VERSION, PV_VHD_FORMAT_VERSION);
	pv_put_be32(h + PV_VHD_H_ENTRIES, w->nbat);
	pv_put_be32(h + PV_VHD_H_BLOCK, PV_VHD_BLOCK);
	pv_put_be32(h + PV_VHD_H_CHECKSUM, pv_vhd_checksum(h, PV_VHD_HEADER_LEN, PV_VHD_H_CHECKSUM));
}

void pv_vhd_head(const struct pv_vhd_writer *w, uint8_t *ret)
{
	size_t at = batmap_offset(w->nbat), bytes = batmap_bytes(w->nbat);
	uint8_t *m = ret + at, *map = m + PV_VHD_SECTOR;

	memset(ret, 0, w->head_len);
	put_footer(w, ret);
	put_header(w, ret + PV_VHD_FOOTER_LEN);
	memset(ret + BAT_OFFSET, 0xff, at - BAT_OFFSET);
	for (uint32_t i = 0; i < w->nbat; i++) {
		pv_put_be32(ret + BAT_OFFSET + (size_t)i * 4, w->bat[i]);
		if (w->bat[i] != PV_VHD_UNUSED)
			map[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	}
	memcpy(m, PV_VHD_BATMAP_COOKIE, 8);
	pv_put_be64(m + PV_VHD_M_OFFSET, at + PV_VHD_SECTOR);
	pv_put_be32(m + PV_VHD_M_SECTORS, (uint32_t)(bytes / PV_VHD_SECTOR));
	pv_put_be32(m + PV_VHD_M_VERSION, PV_VHD_BATMAP_VERSION);
	pv_put_be32(m + PV_VHD_M_CHECKSUM, pv_vhd_checksum(map, bytes, bytes));
}

uint64_t pv_vhd_end(const struct pv_vhd_writer *w, uint8_t *ret)
{
	put_footer(w, ret);
	return block_offset(w, w->used);
}

int pv_vhd_file_write(void *arg, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	struct pv_vhd_file *file = arg;
	uint8_t bitmap[PV_VHD_SECTOR];
	uint64_t at;

	(void)slot;
	if (b->zero)
		return 0;
	memset(bitmap, 0xff, sizeof(bitmap));
	at = pv_vhd_add_block(&file->w, b->index) + PV_VHD_PREFIX;
	if (pv_pwrite_all(file->fd, bitmap, sizeof(bitmap), (off_t)(at - sizeof(bitmap))) < 0 ||
	    pv_pwrite_all(file->fd, b->data, PV_VHD_BLOCK, (off_t)at) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", file->name);
	return 0;
}

int pv_vhd_file_finish(struct pv_vhd_file *file, struct pv_error *err)
{
	pv_autofree uint8_t *head = pv_xmalloc(file->w.head_len);
	uint8_t footer[PV_VHD_SECTOR];
	uint64_t end = pv_vhd_end(&file->w, footer);

	pv_vhd_head(&file->w, head);
	if (pv_pwrite_all(file->fd, head, file->w.head_len, 0) < 0 ||
	    pv_pwrite_all(file->fd, footer, sizeof(footer), (off_t)end) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", file->name);
	return 0;
}
