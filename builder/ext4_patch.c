/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the bytes of an image that hold a small file, and what they become. */
#include "ext4_patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ext4_priv.h"
#include "fsutil.h"
#include "text.h"

/* As pv_ext4_write has mke2fs make them: "-I 256". */
#define INODE_SIZE 256u

union inode {
	struct ext2_inode_large large;
	struct ext2_inode small;
	uint8_t bytes[INODE_SIZE];
};

struct target {
	ext2_filsys fs;
	const char *image;
	uint64_t partition;
	ext2_ino_t ino;
	union inode inode;
};

void pv_patch_add(struct pv_patch *patch, uint64_t offset, const void *before, const void *after, size_t len)
{
	if (memcmp(before, after, len) == 0)
		return;
	patch->v = pv_xreallocarray(patch->v, patch->n + 1, sizeof(*patch->v));
	struct pv_patch_write *w = &patch->v[patch->n++];
	*w = (struct pv_patch_write){ .offset = offset, .before = pv_xmalloc(len), .after = pv_xmalloc(len), .len = len };
	memcpy(w->before, before, len);
	memcpy(w->after, after, len);
}

/* Links of the last name are not followed: an overlay's file replaces one. */
static bool find(struct target *t, const char *path)
{
	if (t->fs->super->s_inode_size != INODE_SIZE || ext2fs_namei(t->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &t->ino))
		return false;
	return ext2fs_read_inode_full(t->fs, t->ino, &t->inode.small, INODE_SIZE) == 0;
}

static bool fits(const struct target *t, size_t len)
{
	uint64_t size = EXT2_I_SIZE(&t->inode.small);
	uint64_t blocks = (size + PV_EXT4_BLOCK - 1) / PV_EXT4_BLOCK;

	return LINUX_S_ISREG(t->inode.small.i_mode) && t->inode.small.i_links_count == 1 && t->inode.small.i_file_acl == 0 &&
	       size > 0 && len > 0 && size <= PV_PATCH_FILE_MAX && len <= PV_PATCH_FILE_MAX &&
	       t->fs->blocksize == PV_EXT4_BLOCK &&
	       blocks == (len + PV_EXT4_BLOCK - 1) / PV_EXT4_BLOCK;
}

static int patch_data(struct target *t, const uint8_t *data, size_t len, struct pv_patch *patch, struct pv_error *err)
{
	uint8_t before[PV_EXT4_BLOCK], after[PV_EXT4_BLOCK];

	for (size_t at = 0; at < len; at += PV_EXT4_BLOCK) {
		size_t n = len - at < PV_EXT4_BLOCK ? len - at : PV_EXT4_BLOCK;
		blk64_t block;
		errcode_t code = ext2fs_bmap2(t->fs, t->ino, &t->inode.small, NULL, 0,
					      at / PV_EXT4_BLOCK, NULL, &block);
		if (!code && block)
			code = io_channel_read_blk64(t->fs->io, block, 1, before);
		if (code || !block)
			return code ? pv_ext4_fail(err, code, t->image) :
				      pv_error_set(err, PV_ERR_STAGE, "%s: a small file has a hole", t->image);
		memset(after, 0, sizeof(after));
		memcpy(after, data + at, n);
		pv_patch_add(patch, t->partition + block * PV_EXT4_BLOCK, before, after, sizeof(after));
	}
	return 0;
}

/* The inode's size, and with it its checksum. */
static int patch_inode(struct target *t, size_t len, struct pv_patch *patch, struct pv_error *err)
{
	const struct ext2_super_block *super = t->fs->super;
	union inode after = t->inode;
	uint64_t index = (t->ino - 1) % super->s_inodes_per_group;
	blk64_t table = ext2fs_inode_table_loc(t->fs, (t->ino - 1) / super->s_inodes_per_group);
	errcode_t code = ext2fs_inode_size_set(t->fs, &after.small, (ext2_off64_t)len);

	if (!code)
		code = ext2fs_inode_csum_set(t->fs, t->ino, &after.large);
	if (code)
		return pv_ext4_fail(err, code, t->image);
	pv_patch_add(patch, t->partition + table * PV_EXT4_BLOCK + index * INODE_SIZE, t->inode.bytes, after.bytes, INODE_SIZE);
	return 0;
}

int pv_ext4_patch(const char *image, uint64_t partition, const char *path, const void *data, size_t len, struct pv_patch *patch,
		  bool *ret_possible, struct pv_error *err)
{
	pv_autofree char *where = pv_fmt("offset=%llu", (unsigned long long)partition);
	struct target t = { .image = image, .partition = partition };
	errcode_t code;
	int rc = 0;

	initialize_ext2_error_table();
	code = ext2fs_open2(image, where, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &t.fs);
	if (code)
		return pv_ext4_fail(err, code, image);
	*ret_possible = find(&t, path) && fits(&t, len);
	if (*ret_possible)
		rc = patch_data(&t, data, len, patch, err);
	if (rc == 0 && *ret_possible)
		rc = patch_inode(&t, len, patch, err);
	ext2fs_free(t.fs);
	return rc;
}

int pv_patch_apply(const struct pv_patch *patch, int fd, const char *image, struct pv_error *err)
{
	for (size_t i = 0; i < patch->n; i++) {
		const struct pv_patch_write *w = &patch->v[i];
		if (pv_pwrite_all(fd, w->after, w->len, (off_t)w->offset) == 0)
			continue;
		int errnum = errno;
		for (size_t k = 0; k <= i; k++)
			if (pv_pwrite_all(fd, patch->v[k].before, patch->v[k].len, (off_t)patch->v[k].offset) < 0)
				return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: half changed", image);
		return pv_error_errno(err, PV_ERR_STAGE, errnum, "%s", image);
	}
	return 0;
}

void pv_patch_done(struct pv_patch *patch)
{
	for (size_t i = 0; i < patch->n; i++) {
		free(patch->v[i].before);
		free(patch->v[i].after);
	}
	free(patch->v);
	*patch = (struct pv_patch){ 0 };
}
