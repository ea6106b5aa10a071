/* SPDX-License-Identifier: Apache-2.0 */
/* All that an inode of the root file system says, and its data piece by piece: for comparisons. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image_priv.h"

#define XATTR_NAME_MAX 255u
#define GROUPS_MAX 16384u		/* 2 TiB of 4 KiB blocks */

/* ext4's 34 bits of seconds and 30 of nanoseconds: Documentation/filesystems/ext4, "Inode Timestamps". */
static struct pv_image_time time_of(uint32_t seconds, uint32_t extra)
{
	return (struct pv_image_time){ (int64_t)(int32_t)seconds + ((int64_t)(extra & 3) << 32), extra >> 2 };
}

static uint32_t device_of(const struct ext2_inode_large *inode)
{
	if (!S_ISCHR(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return 0;
	return inode->i_block[0] ? inode->i_block[0] : inode->i_block[1];
}

bool pv_image_inode(const struct pv_image *image, uint32_t ino, struct pv_image_inode *ret)
{
	struct ext2_inode_large inode;

	memset(&inode, 0, sizeof(inode));
	if (ext2fs_read_inode_full(image->fs, ino, (struct ext2_inode *)&inode, sizeof(inode)))
		return false;
	*ret = (struct pv_image_inode){
		.stat = {
			.mode = inode.i_mode, .uid = inode_uid(inode), .gid = inode_gid(inode),
			.size = EXT2_I_SIZE(&inode), .inode = ino, .links = inode.i_links_count,
		},
		.device = device_of(&inode), .flags = inode.i_flags, .generation = inode.i_generation,
		.atime = time_of(inode.i_atime, inode.i_atime_extra), .ctime = time_of(inode.i_ctime, inode.i_ctime_extra),
		.mtime = time_of(inode.i_mtime, inode.i_mtime_extra),
		.crtime = time_of(inode.i_crtime, inode.i_crtime_extra),
	};
	return true;
}

static int take_xattr(char *name, char *value, size_t len, void *ctx)
{
	struct pv_strv *list = ctx;
	pv_autostr text = PV_STR_INIT;
	pv_autofree char *shown = pv_printable(name, strnlen(name, XATTR_NAME_MAX));

	pv_str_addf(&text, "%s=", shown);
	for (size_t i = 0; i < len; i++)
		pv_str_addf(&text, "%02x", (unsigned char)value[i]);
	pv_strv_take(list, pv_str_steal(&text));
	return 0;
}

void pv_image_xattrs(const struct pv_image *image, uint32_t ino, struct pv_strv *ret)
{
	struct ext2_xattr_handle *handle = NULL;

	if (ext2fs_xattrs_open(image->fs, ino, &handle))
		return;
	if (ext2fs_xattrs_read(handle) == 0)
		(void)ext2fs_xattrs_iterate(handle, take_xattr, ret);	/* damaged: what was read until there */
	(void)ext2fs_xattrs_close(&handle);
	pv_strv_sort(ret);
}

ssize_t pv_image_inode_read(const struct pv_image *image, uint32_t ino, void *data, unsigned len, uint64_t offset)
{
	ext2_file_t file;
	unsigned got = 0;

	if (ext2fs_file_open(image->fs, ino, 0, &file))
		return -1;
	errcode_t rc = ext2fs_file_llseek(file, offset, EXT2_SEEK_SET, NULL);
	if (rc == 0)
		rc = ext2fs_file_read(file, data, len, &got);
	ext2fs_file_close(file);
	return rc ? -1 : (ssize_t)got;
}

struct block_list {
	uint64_t *v;			/* sorted */
	size_t n, max;
};

static int take_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t count, blk64_t ref, int offset, void *ctx)
{
	struct block_list *list = ctx;

	(void)fs, (void)count, (void)ref, (void)offset;
	if (list->n == list->max)
		return BLOCK_ABORT;
	list->v[list->n++] = *block;
	return 0;
}

static int compare_blocks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

#define JOURNAL_BLOCKS_MAX 262144u	/* 1 GiB: more than mke2fs ever makes */

static void journal_blocks(const struct pv_image *image, struct block_list *ret)
{
	*ret = (struct block_list){ pv_xcalloc(JOURNAL_BLOCKS_MAX, sizeof(*ret->v)), 0, JOURNAL_BLOCKS_MAX };
	(void)ext2fs_block_iterate3(image->fs, EXT2_JOURNAL_INO, BLOCK_FLAG_READ_ONLY, NULL, take_block, ret);
	qsort(ret->v, ret->n, sizeof(*ret->v), compare_blocks);
}

static enum pv_image_block_use in_groups(ext2_filsys fs, blk64_t block)
{
	for (dgrp_t group = 0; group < fs->group_desc_count && group < GROUPS_MAX; group++) {
		blk64_t super = 0, old_desc = 0, new_desc = 0, table = ext2fs_inode_table_loc(fs, group);
		blk_t used = 0;
		if (ext2fs_super_and_bgd_loc2(fs, group, &super, &old_desc, &new_desc, &used))
			continue;
		bool has_super = ext2fs_bg_has_super(fs, (int)group);
		blk64_t desc = new_desc ? new_desc : old_desc;
		if (has_super && block == super)
			return PV_BLOCK_SUPER;
		if (desc && block >= desc && block < desc + fs->desc_blocks + fs->super->s_reserved_gdt_blocks)
			return PV_BLOCK_GROUPS;
		if (block == ext2fs_block_bitmap_loc(fs, group))
			return PV_BLOCK_BLOCK_BITMAP;
		if (block == ext2fs_inode_bitmap_loc(fs, group))
			return PV_BLOCK_INODE_BITMAP;
		if (block >= table && block < table + fs->inode_blocks_per_group)
			return PV_BLOCK_INODES;
	}
	return PV_BLOCK_DATA;
}

void pv_image_block_uses(const struct pv_image *image, const uint64_t *blocks, size_t n, enum pv_image_block_use *ret)
{
	struct block_list journal;

	journal_blocks(image, &journal);
	for (size_t i = 0; i < n; i++) {
		if (bsearch(&blocks[i], journal.v, journal.n, sizeof(*journal.v), compare_blocks))
			ret[i] = PV_BLOCK_JOURNAL;
		else
			ret[i] = in_groups(image->fs, blocks[i]);
	}
	free(journal.v);
}

unsigned pv_image_fs_block(const struct pv_image *image)
{
	return image->fs->blocksize;
}

uint64_t pv_image_fs_used(const struct pv_image *image)
{
	blk64_t all = ext2fs_blocks_count(image->fs->super), unused = ext2fs_free_blocks_count(image->fs->super);

	return (all > unused ? all - unused : 0) * image->fs->blocksize;
}
