/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of the ext4 being written: handing them out in order, filling them with few large writes, mapping them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <et/com_err.h>

#include "bytes.h"
#include "ext4_priv.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define MAX_EXTENT 32768u	/* blocks of one initialized extent */
#define INLINE_EXTENTS 4u	/* that fit into the inode */

int pv_ext4_fail(struct pv_error *err, errcode_t code, const char *what)
{
	if (code > 0 && code < 256)
		return pv_error_errno(err, PV_ERR_STAGE, (int)code, "%s", what);
	return pv_error_set(err, PV_ERR_STAGE, "%s: %s", what, error_message(code));
}

void pv_ext4_forget_run(struct pv_ext4 *w)
{
	w->run_end = w->run_start;
}

/* Up to want blocks in one piece; *ret_n of them. */
static int alloc_blocks(struct pv_ext4 *w, uint32_t want, uint64_t *ret_block, uint32_t *ret_n, struct pv_error *err)
{
	uint64_t last = ext2fs_blocks_count(w->fs->super) - 1;
	errcode_t code;

	if (w->run_start == w->run_end) {
		blk64_t first, end;

		if (w->run_start > last)
			return pv_error_set(err, PV_ERR_STAGE, "%s: the file system is full", w->image);
		code = ext2fs_find_first_zero_block_bitmap2(w->fs->block_map, w->run_start, last, &first);
		if (code == ENOENT)
			return pv_error_set(err, PV_ERR_STAGE, "%s: the file system is full", w->image);
		if (code)
			return pv_ext4_fail(err, code, w->image);
		code = ext2fs_find_first_set_block_bitmap2(w->fs->block_map, first, last, &end);
		if (code && code != ENOENT)
			return pv_ext4_fail(err, code, w->image);
		w->run_start = first;
		w->run_end = code ? last + 1 : end;
	}
	uint64_t n = w->run_end - w->run_start;

	if (n > want)
		n = want;
	ext2fs_block_alloc_stats_range(w->fs, w->run_start, (blk_t)n, +1);
	*ret_block = w->run_start;
	*ret_n = (uint32_t)n;
	w->run_start += n;
	return 0;
}

int pv_ext4_flush(struct pv_ext4 *w, struct pv_error *err)
{
	off_t at = (off_t)(w->offset + w->buffer_block * PV_EXT4_BLOCK);

	if (w->fill && pv_pwrite_all(w->fd, w->buffer, w->fill, at) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", w->image);
	w->fill = 0;
	return 0;
}

static int append(struct pv_ext4 *w, const uint8_t *src, uint64_t block, uint32_t n, struct pv_error *err)
{
	size_t len = (size_t)n * PV_EXT4_BLOCK;

	if (w->fill && (block != w->buffer_block + w->fill / PV_EXT4_BLOCK || w->fill + len > PV_EXT4_BUFFER))
		if (pv_ext4_flush(w, err) < 0)
			return -1;
	if (w->fill == 0)
		w->buffer_block = block;
	if (src != w->buffer + w->fill)
		memmove(w->buffer + w->fill, src, len);
	w->fill += len;
	return 0;
}

static void add_run(struct pv_ext4_runs *runs, uint32_t logical, uint64_t block, uint32_t n)
{
	struct pv_ext4_run *last = runs->n ? &runs->v[runs->n - 1] : NULL;

	if (last && last->logical + last->len == logical && last->physical + last->len == block &&
	    last->len + n <= MAX_EXTENT) {
		last->len += n;
		return;
	}
	if (!runs->v || runs->n == runs->cap) {
		runs->cap = runs->cap ? runs->cap * 2 : 16;
		runs->v = pv_xreallocarray(runs->v, runs->cap, sizeof(*runs->v));
	}
	runs->v[runs->n++] = (struct pv_ext4_run){ block, logical, n };
}

int pv_ext4_put(struct pv_ext4 *w, const uint8_t *src, uint32_t logical, uint32_t n, struct pv_error *err)
{
	while (n) {
		uint64_t block = 0;
		uint32_t got = 0;
		uint32_t want = n > PV_EXT4_BUFFER / PV_EXT4_BLOCK ? PV_EXT4_BUFFER / PV_EXT4_BLOCK : n;

		if (alloc_blocks(w, want, &block, &got, err) < 0 || append(w, src, block, got, err) < 0)
			return -1;
		add_run(&w->runs, logical, block, got);
		src += (size_t)got * PV_EXT4_BLOCK;
		logical += got;
		n -= got;
	}
	return 0;
}

/* One buffer's worth of a file, from the fill mark on: units of zeros become holes unless the file is small. */
static int put_chunk(struct pv_ext4 *w, uint64_t pos, size_t len, bool holes, struct pv_error *err)
{
	uint8_t *src = w->buffer + w->fill;
	size_t kept = 0;		/* bytes before `at` that are to be put in one go */
	size_t at = 0;

	while (at <= len) {
		size_t unit = len - at < PV_EXT4_HOLE_UNIT ? len - at : PV_EXT4_HOLE_UNIT;
		bool hole = unit && holes && pv_all_zero(src + at, unit);

		if (unit && !hole) {
			kept += unit;
			at += unit;
			continue;
		}
		if (kept) {
			uint64_t from = pos + at - kept;

			if (pv_ext4_put(w, src + at - kept, (uint32_t)(from / PV_EXT4_BLOCK),
					(uint32_t)(kept / PV_EXT4_BLOCK), err) < 0)
				return -1;
		}
		kept = 0;
		if (hole)
			w->stats.hole_bytes += unit;
		if (!unit)
			break;
		at += unit;
	}
	return 0;
}

/* Skips what the host knows to be a hole, in whole units: the result is the same as by reading the zeros. */
static uint64_t skip_hole(struct pv_ext4 *w, int fd, uint64_t pos, uint64_t end)
{
	off_t data = lseek(fd, (off_t)pos, SEEK_DATA);
	uint64_t to;

	if (data < 0)
		to = errno == ENXIO ? end : pos;
	else
		to = (uint64_t)data / PV_EXT4_HOLE_UNIT * PV_EXT4_HOLE_UNIT;
	if (to <= pos)
		return pos;
	if (to > end)
		to = end;
	w->stats.hole_bytes += (to - pos + PV_EXT4_BLOCK - 1) / PV_EXT4_BLOCK * PV_EXT4_BLOCK;
	return to;
}

int pv_ext4_copy(struct pv_ext4 *w, int fd, const struct stat *st, const char *path, struct pv_error *err)
{
	uint64_t size = (uint64_t)st->st_size;
	bool holes = size > PV_EXT4_HOLE_UNIT;
	bool sparse = holes && (uint64_t)st->st_blocks * 512 < size / 2;

	if (size > (uint64_t)UINT32_MAX * PV_EXT4_BLOCK)
		return pv_error_set(err, PV_ERR_STAGE, "%s: too large for ext4", path);
	for (uint64_t pos = 0; pos < size;) {
		size_t room, padded;
		ssize_t got;

		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		if (sparse)
			pos = skip_hole(w, fd, pos, size);
		if (pos >= size)
			break;
		if (PV_EXT4_BUFFER - w->fill < PV_EXT4_HOLE_UNIT && pv_ext4_flush(w, err) < 0)
			return -1;
		room = (PV_EXT4_BUFFER - w->fill) / PV_EXT4_HOLE_UNIT * PV_EXT4_HOLE_UNIT;
		if (room > size - pos)
			room = (size_t)(size - pos);
		got = pv_pread_all(fd, w->buffer + w->fill, room, (off_t)pos);
		if (got < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
		if ((size_t)got != room)
			return pv_error_set(err, PV_ERR_STAGE, "%s: changed while it was read", path);
		padded = (room + PV_EXT4_BLOCK - 1) / PV_EXT4_BLOCK * PV_EXT4_BLOCK;
		memset(w->buffer + w->fill + room, 0, padded - room);
		if (put_chunk(w, pos, padded, holes, err) < 0)
			return -1;
		pos += room;
	}
	return 0;
}

int pv_ext4_write_inode(struct pv_ext4 *w, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
			struct pv_error *err)
{
	errcode_t code = ext2fs_write_inode_full(w->fs, ino, (struct ext2_inode *)inode, sizeof(*inode));

	return code ? pv_ext4_fail(err, code, path) : 0;
}

/* More extents than the inode holds: libext2fs builds the tree. */
static int insert_extents(struct pv_ext4 *w, ext2_ino_t ino, const char *path, struct pv_error *err)
{
	ext2_extent_handle_t handle;
	errcode_t code = ext2fs_extent_open2(w->fs, ino, NULL, &handle);

	if (code)
		return pv_ext4_fail(err, code, path);
	for (size_t i = 0; i < w->runs.n && !code; i++) {
		struct ext2fs_extent extent = {
			.e_pblk = w->runs.v[i].physical,
			.e_lblk = w->runs.v[i].logical,
			.e_len = w->runs.v[i].len,
		};

		code = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
		if (!code)
			code = ext2fs_extent_fix_parents(handle);
	}
	ext2fs_extent_free(handle);
	pv_ext4_forget_run(w);
	return code ? pv_ext4_fail(err, code, path) : 0;
}

int pv_ext4_write_mapped(struct pv_ext4 *w, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
			 struct pv_error *err)
{
	struct ext3_extent_header *header = (struct ext3_extent_header *)inode->i_block;
	struct ext3_extent *extents = (struct ext3_extent *)(header + 1);
	bool fits = w->runs.n <= INLINE_EXTENTS;
	uint64_t blocks = 0;
	int rc;

	for (size_t i = 0; i < w->runs.n; i++)
		blocks += w->runs.v[i].len;
	inode->i_flags |= EXT4_EXTENTS_FL;
	memset(inode->i_block, 0, sizeof(inode->i_block));
	*header = (struct ext3_extent_header){
		.eh_magic = ext2fs_cpu_to_le16(EXT3_EXT_MAGIC),
		.eh_max = ext2fs_cpu_to_le16(INLINE_EXTENTS),
		.eh_entries = ext2fs_cpu_to_le16(fits ? (uint16_t)w->runs.n : 0),
	};
	for (size_t i = 0; fits && i < w->runs.n; i++) {
		const struct pv_ext4_run *run = &w->runs.v[i];

		extents[i] = (struct ext3_extent){
			.ee_block = ext2fs_cpu_to_le32(run->logical),
			.ee_len = ext2fs_cpu_to_le16((uint16_t)run->len),
			.ee_start = ext2fs_cpu_to_le32((uint32_t)run->physical),
			.ee_start_hi = ext2fs_cpu_to_le16((uint16_t)(run->physical >> 32)),
		};
	}
	ext2fs_iblk_set(w->fs, (struct ext2_inode *)inode, blocks);
	rc = pv_ext4_write_inode(w, ino, inode, path, err);
	if (rc == 0 && !fits)
		rc = insert_extents(w, ino, path, err);
	w->runs.n = 0;
	return rc;
}
